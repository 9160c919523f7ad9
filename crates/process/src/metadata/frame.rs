//! A frame as it is read: its image file, its catalogue file, and the table of each detector.

use fits::{FitsFile, Hdu, HduKind};
use model::profile::{MissingExtensions, Pairing, SurveyProfile};
use model::task::TaskInput;
use model::{ExtNum, RefusalCode, one_line};

use super::astrometry;
use super::notes::{Notes, Place};
use crate::catalogue::{catalogue_hdus, is_catalogue};
use crate::header_view::HeaderView;
use crate::ldac::CellHeaders;
use crate::pairing::{Identity, Pair, Sides, pair};
use crate::roles::{is_candidate, is_detector};

/// One detector: an image extension, with its table in the catalogue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Detector<'f> {
    pub hdu: &'f Hdu,
    pub ext_num: ExtNum,
    pub view: HeaderView<'f>,
    pub table: Option<(&'f Hdu, HeaderView<'f>)>,
    /// Header of the image in the file of its table (FITS_LDAC).
    pub cell: Option<HeaderView<'f>>,
}

impl<'f> Detector<'f> {
    fn set_table(&mut self, table: &'f Hdu, view: HeaderView<'f>, cells: &'f CellHeaders) {
        self.table = Some((table, view));
        self.cell = cells.before(table.index.0).map(HeaderView::of_header);
    }

    /// Returns the numbers of columns and rows of the image.
    pub fn size(&self) -> [u64; 2] {
        let axis = |n| self.view.own_integer(n).and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        [axis("NAXIS1"), axis("NAXIS2")]
    }
}

/// A frame.
#[derive(Debug)]
pub(super) struct Frame<'f> {
    pub input: &'f TaskInput,
    pub image: &'f FitsFile,
    pub catalogue: Option<&'f FitsFile>,
    /// Header for keywords of the frame: the primary header, then that of the first detector.
    pub primary: HeaderView<'f>,
    pub detectors: Vec<Detector<'f>>,
}

impl<'f> Frame<'f> {
    /// Scans the HDUs. `None` when nothing in the file can be used; the notes hold the reason.
    pub fn open(
        input: &'f TaskInput,
        image: &'f FitsFile,
        (catalogue, cells): (Option<&'f FitsFile>, &'f CellHeaders),
        profile: &SurveyProfile,
        notes: &mut Notes,
    ) -> Option<Self> {
        let file = input.image.name.as_str();
        let primary = image.hdus().first()?;
        if let Some(fault) = &primary.fault {
            let place = Place { file, hdu: Some(0) };
            notes.refuse(
                place,
                RefusalCode::of_fault(fault.code()),
                fault.keyword(),
                one_line(fault),
            );
            return None;
        }
        let detectors = detectors(input, image, primary, profile, notes);
        if detectors.is_empty() && image.hdus().iter().any(|hdu| is_detector(hdu, profile)) {
            let message = "no image of the file can be used".to_owned();
            notes.refuse(Place { file, hdu: None }, RefusalCode::NO_USABLE_DETECTOR, None, message);
            return None;
        }
        count_detectors(image, file, profile, notes);
        count_extensions(image, file, profile.limits.missing_extensions, notes);
        let mut frame =
            Self { input, image, catalogue, primary: HeaderView::new(primary), detectors };
        frame.pair(cells, profile, notes);
        Some(frame)
    }

    /// Returns the name of the image file.
    pub fn file(&self) -> &'f str {
        &self.input.image.name
    }

    /// Returns the catalogue's name and file; `None` unless both exist.
    pub fn catalogue(&self) -> Option<(&'f str, &'f FitsFile)> {
        Some((self.input.catalogue.as_ref()?.file.name.as_str(), self.catalogue?))
    }

    /// Returns the catalogue's name and file; `None` unless both exist, and for a catalogue in the image file.
    pub fn catalogue_beside(&self) -> Option<(&'f str, &'f FitsFile)> {
        self.catalogue().filter(|_| !self.input.has_catalogue_in_image())
    }

    /// Returns the value of a keyword as text: primary header, then that of the first detector.
    pub fn keyword(&self, keyword: &str) -> Option<String> {
        let first = || self.detectors.first().and_then(|d| d.view.written(keyword));
        self.primary.written(keyword).or_else(first)
    }

    /// Assigns each detector its table.
    fn pair(&mut self, cells: &'f CellHeaders, profile: &SurveyProfile, notes: &mut Notes) {
        let Some((file, catalogue)) = self.catalogue() else { return };
        let Some(primary) = catalogue.hdus().first() else { return };
        let rules = &profile.catalogue;
        let of_image = self.input.has_catalogue_in_image();
        let mut tables: Vec<&'f Hdu> = catalogue
            .hdus()
            .iter()
            .filter(|hdu| is_table(hdu) && is_candidate(catalogue, hdu, profile, of_image))
            .collect();
        let all_tables = tables.len();
        // A table that is not a catalogue takes no place, and no name: `CCD1_STD` next to `CCD1_CAT`.
        let is_by_hdu = rules.pairing == Pairing::Hdu;
        if !is_by_hdu || all_tables > self.detectors.len() || are_mixed(&tables) {
            let is_one = |hdu: &&Hdu| is_catalogue(catalogue, hdu, profile);
            if !is_by_hdu || tables.iter().any(is_one) {
                tables.retain(is_one);
            }
        }
        let identity = |detector: &Detector<'_>| {
            let own = |keyword: &str| detector.view.own_written(keyword);
            Identity::of(detector.hdu.index.0, rules, own)
        };
        let images: Vec<Identity> = self.detectors.iter().map(identity).collect();
        let all_images = self.image.hdus().iter().filter(|hdu| is_detector(hdu, profile)).count();
        let named: Vec<Identity> =
            tables.iter().map(|hdu| Identity::of_table(hdu, rules, cells)).collect();
        let alone = all_images == 1 && all_tables == 1;
        let sides = Sides {
            image_name: self.file(),
            images: &images,
            tables: &named,
            image_hdus: &image_hdus(self.image, profile),
            table_hdus: &catalogue_hdus(catalogue, profile, of_image),
            alone,
        };
        // The primary header of an image file describes the image, and is none of the table's.
        let view_of = |table: &'f Hdu| match of_image {
            true => HeaderView::new(table),
            false => HeaderView::of_extension(table, primary),
        };
        let mut apart = Vec::new();
        for (table, found) in tables.into_iter().zip(pair(&sides, rules)) {
            match found {
                Pair::With { image, .. } => {
                    self.detectors[image].set_table(table, view_of(table), cells)
                }
                // The catalogue task compares the positions with the WCS of the image, and refuses the rows where they disagree.
                // The WCS of the table itself would always agree.
                Pair::IfPlaced { image, otherwise }
                    if astrometry::is_in(self.detectors[image].view, profile) =>
                {
                    self.detectors[image].set_table(table, view_of(table), cells);
                    let message = format!(
                        "the table is taken for that of the detector at the same place, if RA and DEC of its rows agree: {}",
                        otherwise.message
                    );
                    let place = Place { file, hdu: Some(table.index.0) };
                    notes.find(place, RefusalCode::PAIRING_RENUMBERED, "XTENSION", message);
                }
                Pair::IfPlaced { otherwise: reason, .. } | Pair::Apart(reason) => {
                    apart.push(format!(
                        "ext_num {}: {}",
                        model::ext_num_of(table.index.0),
                        reason.message
                    ));
                }
            }
        }
        if let Some(first) = apart.first() {
            let message =
                format!("tables that belong to no detector: {}, the first: {first}", apart.len());
            notes.find(Place { file, hdu: None }, RefusalCode::TABLE_UNPAIRED, "XTENSION", message);
        }
    }
}

/// Checks the number of detectors. A file that was cut exactly between two extensions is a sound one with fewer detectors.
fn count_detectors(image: &FitsFile, file: &str, profile: &SurveyProfile, notes: &mut Notes) {
    let usual = &profile.limits.detectors;
    let found = image.hdus().iter().filter(|hdu| is_detector(hdu, profile)).count();
    if !usual.is_empty() && !usual.iter().any(|usual| usize::from(*usual) == found) {
        let usual: Vec<String> = usual.iter().map(u16::to_string).collect();
        let message = format!("{found} detectors, the survey's files have {}", usual.join(" or "));
        notes.find(Place { file, hdu: None }, RefusalCode::DETECTOR_COUNT, "XTENSION", message);
    }
}

fn count_extensions(image: &FitsFile, file: &str, policy: MissingExtensions, notes: &mut Notes) {
    const KEYWORD: &str = "NEXTEND";
    let promised = image.hdus().first().and_then(|p| p.header.integer(KEYWORD).ok().flatten());
    let found = image.hdus().len() - 1;
    if promised.is_none_or(|promised| i64::try_from(found).is_ok_and(|found| found >= promised)) {
        return;
    }
    let promised = promised.unwrap_or_default();
    let message = format!(
        "{KEYWORD} states {promised} extensions, the file has {found}: the file was cut between two, or some were cut out"
    );
    let (place, code) = (Place { file, hdu: None }, RefusalCode::EXTENSIONS_MISSING);
    match policy {
        MissingExtensions::Finding => notes.find(place, code, KEYWORD, message),
        MissingExtensions::Refuse => notes.refuse(place, code, Some(KEYWORD), message),
    }
}

/// Returns the image extensions that can be used; a primary with an image is one.
fn detectors<'f>(
    input: &TaskInput,
    image: &'f FitsFile,
    primary: &'f Hdu,
    profile: &SurveyProfile,
    notes: &mut Notes,
) -> Vec<Detector<'f>> {
    let mut detectors = Vec::new();
    for hdu in image.hdus() {
        let number = hdu.index.0;
        if input.image.refused_hdus.contains(&number) {
            continue; // reported when it was refused
        }
        if let Some(fault) = &hdu.fault {
            let place = Place { file: &input.image.name, hdu: Some(number) };
            notes.refuse_hdu(
                place,
                RefusalCode::of_fault(fault.code()),
                fault.keyword(),
                one_line(fault),
            );
            continue;
        }
        if !is_detector(hdu, profile) {
            continue;
        }
        if let Some(ext_num) = ExtNum::of_hdu(number) {
            let view = HeaderView::of_extension(hdu, primary);
            detectors.push(Detector { hdu, ext_num, view, table: None, cell: None });
        }
    }
    detectors
}

/// Returns the HDUs of detectors, and those that may be detectors and cannot be read.
fn image_hdus(image: &FitsFile, profile: &SurveyProfile) -> Vec<u16> {
    let counts =
        |hdu: &&Hdu| is_detector(hdu, profile) || hdu.kind == HduKind::Other && hdu.fault.is_some();
    image.hdus().iter().filter(counts).map(|hdu| hdu.index.0).collect()
}

/// Returns true when tables differ in the number of their columns: they are not all of one kind.
fn are_mixed(tables: &[&Hdu]) -> bool {
    let fields = |hdu: &Hdu| HeaderView::new(hdu).own_integer("TFIELDS");
    tables.windows(2).any(|pair| fields(pair[0]) != fields(pair[1]))
}

/// Returns true when an HDU may be the catalogue of a detector.
fn is_table(hdu: &Hdu) -> bool {
    matches!(hdu.kind, HduKind::BinTable | HduKind::AsciiTable)
}
