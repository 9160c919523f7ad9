//! A frame as it is read: its image file, its catalogue file, and the table of each detector.

use fits::{FitsFile, Hdu, HduKind};
use model::profile::{MissingExtensions, Pairing, SurveyProfile};
use model::task::TaskInput;
use model::{ExtNum, RefusalCode, one_line};

use super::astrometry;
use super::notes::{Notes, Place};
use crate::catalogue::{catalogue_hdus, is_catalogue};
use crate::header_view::HeaderView;
use crate::pairing::{Identity, Pair, Sides, pair};

/// One detector: an image extension, with its table in the catalogue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Detector<'f> {
    pub hdu: &'f Hdu,
    pub ext_num: ExtNum,
    pub view: HeaderView<'f>,
    pub table: Option<(&'f Hdu, HeaderView<'f>)>,
}

impl Detector<'_> {
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
        catalogue: Option<&'f FitsFile>,
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
        let detectors = detectors(input, image, primary, notes);
        if detectors.is_empty() && image.hdus().iter().any(is_image) {
            let message = "no image of the file can be used".to_owned();
            notes.refuse(Place { file, hdu: None }, RefusalCode::NO_USABLE_DETECTOR, None, message);
            return None;
        }
        count_detectors(image, file, &profile.limits.detectors, notes);
        count_extensions(image, file, profile.limits.missing_extensions, notes);
        let mut frame =
            Self { input, image, catalogue, primary: HeaderView::new(primary), detectors };
        frame.pair(profile, notes);
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

    /// Returns the value of a keyword as text: primary header, then that of the first detector.
    pub fn keyword(&self, keyword: &str) -> Option<String> {
        let first = || self.detectors.first().and_then(|d| d.view.written(keyword));
        self.primary.written(keyword).or_else(first)
    }

    /// Assigns each detector its table.
    fn pair(&mut self, profile: &SurveyProfile, notes: &mut Notes) {
        let Some((file, catalogue)) = self.catalogue() else { return };
        let Some(primary) = catalogue.hdus().first() else { return };
        let rules = &profile.catalogue;
        let mut tables: Vec<&Hdu> = catalogue.hdus().iter().filter(|hdu| is_table(hdu)).collect();
        let all_tables = tables.len();
        // A table that is not a catalogue takes no place, and no name: `CCD1_STD` next to `CCD1_CAT`.
        if rules.pairing == Pairing::Order || all_tables > self.detectors.len() {
            let is_one = |hdu: &&Hdu| is_catalogue(catalogue, hdu, rules);
            if rules.pairing == Pairing::Order || tables.iter().any(is_one) {
                tables.retain(is_one);
            }
        }
        let identity = |view: HeaderView<'_>, hdu: &Hdu| {
            Identity::of(hdu.index.0, &rules.pair_by, |keyword| view.own_written(keyword))
        };
        let images: Vec<Identity> =
            self.detectors.iter().map(|d| identity(d.view, d.hdu)).collect();
        let all_images = self.image.hdus().iter().filter(|hdu| is_image(hdu)).count();
        let named: Vec<Identity> =
            tables.iter().map(|hdu| identity(HeaderView::new(hdu), hdu)).collect();
        let alone = all_images == 1 && all_tables == 1;
        let sides = Sides {
            image_name: self.file(),
            images: &images,
            tables: &named,
            image_hdus: &image_hdus(self.image),
            table_hdus: &catalogue_hdus(catalogue, rules),
            alone,
        };
        let mut apart = Vec::new();
        for (table, found) in tables.into_iter().zip(pair(&sides, rules)) {
            match found {
                Pair::With { image, .. } => {
                    let view = HeaderView::of_extension(table, primary);
                    self.detectors[image].table = Some((table, view));
                }
                // The catalogue task compares the positions with the WCS of the image, and refuses the rows where they disagree.
                // The WCS of the table itself would always agree.
                Pair::IfPlaced { image, otherwise }
                    if astrometry::is_in(self.detectors[image].view, profile) =>
                {
                    let view = HeaderView::of_extension(table, primary);
                    self.detectors[image].table = Some((table, view));
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
fn count_detectors(image: &FitsFile, file: &str, usual: &[u16], notes: &mut Notes) {
    let found = image.hdus().iter().filter(|hdu| is_image(hdu)).count();
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
        if !is_image(hdu) {
            continue;
        }
        if let Some(ext_num) = ExtNum::of_hdu(number) {
            let view = HeaderView::of_extension(hdu, primary);
            detectors.push(Detector { hdu, ext_num, view, table: None });
        }
    }
    detectors
}

fn is_image(hdu: &Hdu) -> bool {
    matches!(hdu.kind, HduKind::Image | HduKind::CompressedImage)
}

/// Returns the HDUs that hold an image, and those that may hold one and cannot be read.
fn image_hdus(image: &FitsFile) -> Vec<u16> {
    let counts = |hdu: &&Hdu| is_image(hdu) || hdu.kind == HduKind::Other && hdu.fault.is_some();
    image.hdus().iter().filter(counts).map(|hdu| hdu.index.0).collect()
}

/// Returns true when an HDU may be the catalogue of a detector.
fn is_table(hdu: &Hdu) -> bool {
    matches!(hdu.kind, HduKind::BinTable | HduKind::AsciiTable)
}
