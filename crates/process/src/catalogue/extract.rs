//! The task: file by file, HDU by HDU, programme by programme.

use super::anomalies::Contradiction;
use super::batch::{Batch, detection};
use super::column_frame::column_frame;
use super::detectors::{Paired, Pairing, pair};
use super::hdu::{Counts, HduContext, Judged, Workspace, judge};
use super::layout::{Layout, NoCatalogue, has_required};
use super::photometry::{Calibration, NoCalibration, mag_add};
use super::report::{CatalogueReport, LISTED_RANGES, Place, staged_file_name};
use super::rows::{by_fault, ranges};
use super::wcs_cards::wcs;
use crate::header_view::HeaderView;
use crate::ldac::{self, CellHeaders};
use crate::pairing::{Identity, Unpaired};
use crate::roles;
use crate::task::{self, Opened, TaskFault};
use arrow_array::RecordBatch;
use fits::{FitsError, FitsFile, Hdu, HduIndex, Table};
use model::detector::Detector;
use model::profile::{
    Distortion, HduRole, MissingZeroPoint, Pairing as Rule, SurveyProfile, ZeroRows,
};
use model::task::{CatalogueRef, DetectorRows, DoneHdu, HduReport, KeptDetector, TaskInput};
use model::{ExtNum, MultiframeId, ProgrammeId, RefusalCode};
use std::collections::{BTreeMap, BTreeSet};

/// Rows that are collected before they are passed on.
const BATCH_ROWS: usize = 8_000;

/// The input of the work on catalogues.
#[derive(Clone, Copy, Debug)]
pub struct CatalogueTask<'a> {
    /// The multiframes; those without a catalogue are skipped.
    pub inputs: &'a [TaskInput],
    /// The detectors of the multiframes, from the staged metadata.
    pub detectors: &'a BTreeMap<(MultiframeId, ExtNum), Detector>,
    /// The survey profile of all of them.
    pub profile: &'a SurveyProfile,
}

/// A receiver of the detections, programme by programme.
pub trait DetectionSink {
    /// The error of the sink.
    type Error;
    /// Begins the rows of a programme; `expected_rows` is about the number that headers state.
    ///
    /// # Errors
    /// The sink's own.
    fn begin(&mut self, programme: ProgrammeId, expected_rows: u64) -> Result<(), Self::Error>;
    /// Accepts some rows of the programme, in order, with exactly the schema of `detection`.
    ///
    /// # Errors
    /// The sink's own.
    fn rows(&mut self, rows: &RecordBatch) -> Result<(), Self::Error>;
    /// Ends the rows of the programme. Not called for a programme without rows.
    ///
    /// # Errors
    /// The sink's own.
    fn end(&mut self) -> Result<(), Self::Error>;
}

/// A failure that is not the catalogue's: the task has to be run again.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError<E> {
    /// The machine failed, or a file is not as it was registered.
    #[error("cannot continue with the catalogues")]
    Task(#[source] TaskFault),
    /// The rows could not be passed on.
    #[error("cannot pass on detections")]
    Sink(#[source] E),
}

/// Makes detections of the task's catalogues and passes them to the sink, in the order (programme, file name, extension, row).
///
/// # Errors
/// Fails on a failure of the machine only; faults of a file are in the report.
pub fn extract<S: DetectionSink>(
    task: &CatalogueTask<'_>,
    sink: &mut S,
) -> Result<CatalogueReport, CatalogueError<S::Error>> {
    let mut report = CatalogueReport::default();
    let (mut batch, mut workspace) = (Batch::new(), Workspace::default());
    for (programme, catalogues) in by_programme(task, &mut report) {
        let expected_rows = catalogues.iter().map(|c| c.expected_rows()).sum();
        let mut run = Run {
            task,
            programme,
            expected_rows,
            begun: false,
            written: 0,
            batch: &mut batch,
            workspace: &mut workspace,
            report: &mut report,
            sink,
        };
        for catalogue in &catalogues {
            run.catalogue(catalogue)?;
        }
        run.finish()?;
    }
    Ok(report)
}

/// A catalogue that can be worked on.
struct Catalogue<'a> {
    multiframe_id: MultiframeId,
    catalogue: &'a CatalogueRef,
    image_name: &'a str,
    /// HDUs of the image that were refused.
    refused_images: &'a [u16],
    /// True when the catalogue is in the image file.
    of_image: bool,
    detectors: Vec<&'a Detector>,
}

impl Catalogue<'_> {
    fn expected_rows(&self) -> u64 {
        self.detectors.iter().filter_map(|d| d.catalogue_rows).sum()
    }

    /// Returns the HDUs of the image's detectors, refused or not, ascending. Of the refused HDUs of an image in another file than
    /// the catalogue, the role is not known.
    fn image_hdus(&self, file: &FitsFile, profile: &SurveyProfile) -> Vec<u16> {
        let usable = self.detectors.iter().map(|d| d.ext_num.hdu());
        let is_detector = |hdu: &u16| {
            !self.of_image
                || file
                    .hdu(HduIndex(*hdu))
                    .is_ok_and(|hdu| roles::is_detector(hdu, profile) || hdu.fault.is_some())
        };
        let refused = self.refused_images.iter().copied().filter(is_detector);
        let all: BTreeSet<u16> = usable.chain(refused).collect();
        all.into_iter().collect()
    }
}

/// Groups the catalogues of each programme by file name. Catalogues without metadata are parked.
fn by_programme<'a>(
    task: &CatalogueTask<'a>,
    report: &mut CatalogueReport,
) -> BTreeMap<ProgrammeId, Vec<Catalogue<'a>>> {
    let mut programmes: BTreeMap<ProgrammeId, Vec<Catalogue<'_>>> = BTreeMap::new();
    for input in task.inputs {
        let Some(catalogue) = &input.catalogue else { continue };
        let place = Place { file: &catalogue.file.name, hdu: None };
        let id = input.multiframe_id;
        let detectors: Vec<&Detector> = task
            .detectors
            .range((id, ExtNum::FIRST)..=(id, ExtNum::LAST))
            .map(|(_, detector)| detector)
            .collect();
        let image_name = input.image.name.as_str();
        let Some(first) = detectors.first() else {
            let message =
                format!("the archive lacks the metadata of {image_name}: refused or not made yet");
            let mut refusal = place.refusal(RefusalCode::NO_METADATA, message);
            refusal.parked = true;
            report.refusals.push(refusal);
            continue;
        };
        let Some(programme) = first.programme_id else {
            let message = format!("PROJECT of {image_name} belongs to no programme");
            let mut refusal = place.refusal(RefusalCode::NO_PROGRAMME, message);
            refusal.keyword = Some("PROJECT".to_owned());
            refusal.parked = true;
            report.refusals.push(refusal);
            continue;
        };
        let multiframe_id = first.multiframe_id;
        let refused_images = input.image.refused_hdus.as_slice();
        let of_image = input.has_catalogue_in_image();
        let ready =
            Catalogue { multiframe_id, catalogue, image_name, refused_images, of_image, detectors };
        programmes.entry(programme).or_default().push(ready);
    }
    for catalogues in programmes.values_mut() {
        catalogues.sort_by(|a, b| {
            let key = |c: &Catalogue<'a>| (c.image_name, c.catalogue.version, c.multiframe_id);
            key(a).cmp(&key(b))
        });
    }
    programmes
}

struct Run<'r, 'a, S: DetectionSink> {
    task: &'r CatalogueTask<'a>,
    programme: ProgrammeId,
    expected_rows: u64,
    begun: bool,
    written: u64,
    batch: &'r mut Batch,
    workspace: &'r mut Workspace,
    report: &'r mut CatalogueReport,
    sink: &'r mut S,
}

type Outcome<S> = Result<(), CatalogueError<<S as DetectionSink>::Error>>;

impl<S: DetectionSink> Run<'_, '_, S> {
    fn catalogue(&mut self, catalogue: &Catalogue<'_>) -> Outcome<S> {
        let source = &catalogue.catalogue.file;
        let limits = task::limits(self.task.profile);
        let file = match task::open(source, &limits).map_err(CatalogueError::Task)? {
            Opened::Usable(file) => file,
            Opened::Refused(refusal) => {
                self.report.refusals.push(refusal);
                return Ok(());
            }
        };
        let tables = self.tables(catalogue, &file);
        let paired = self.paired(catalogue, &file, &tables);
        self.report_unpaired(catalogue, &paired);
        let mut work: Vec<_> = tables.iter().zip(paired).collect();
        work.sort_by_key(|(_, paired)| paired.as_ref().ok().map(|p| p.detector.ext_num));
        for ((table, layout), paired) in work {
            let hdu = table.hdu().index.0;
            match paired {
                Ok(Paired { detector, .. }) if is_done(catalogue.catalogue, hdu, detector) => {
                    self.report.kept.push(KeptDetector {
                        multiframe_id: catalogue.multiframe_id,
                        ext_num: detector.ext_num.get(),
                        version: catalogue.catalogue.version,
                    });
                }
                Ok(paired) => self.hdu(catalogue, &file, (table, layout), paired)?,
                Err(reason) => self.refuse_unpaired(catalogue, table, reason),
            }
        }
        Ok(())
    }

    /// Returns the detector of each table.
    fn paired<'d>(
        &self,
        catalogue: &Catalogue<'d>,
        file: &FitsFile,
        tables: &[(Table<'_>, Layout)],
    ) -> Vec<Result<Paired<'d>, Unpaired>> {
        let profile = self.task.profile;
        let rules = &profile.catalogue;
        let of_image = catalogue.of_image;
        let cells = CellHeaders::of(file, profile, of_image);
        let identity =
            |(table, _): &(Table<'_>, Layout)| Identity::of_table(table.hdu(), rules, &cells);
        let identities: Vec<Identity> = tables.iter().map(identity).collect();
        let is_candidate = |hdu: &&Hdu| roles::is_candidate(file, hdu, profile, of_image);
        let all_tables = file.hdus().iter().filter(is_candidate).count();
        let image_hdus = catalogue.image_hdus(file, profile);
        pair(&Pairing {
            image_name: catalogue.image_name,
            tables: &identities,
            detectors: &catalogue.detectors,
            image_hdus: &image_hdus,
            table_hdus: &catalogue_hdus(file, profile, of_image),
            alone: all_tables == 1 && image_hdus.len() == 1 && catalogue.detectors.len() == 1,
            rules,
        })
    }

    /// Returns the tables of a file that are catalogues. Tables that should be catalogues and are not are refused.
    fn tables<'f>(
        &mut self,
        catalogue: &Catalogue<'_>,
        file: &'f FitsFile,
    ) -> Vec<(Table<'f>, Layout)> {
        let source = &catalogue.catalogue.file;
        let mut tables = Vec::new();
        let mut others: Vec<(u16, u64, NoCatalogue)> = Vec::new();
        let profile = self.task.profile;
        let rules = &profile.catalogue;
        let is_candidate = |hdu: &Hdu| roles::is_candidate(file, hdu, profile, catalogue.of_image);
        let mut declared = BTreeSet::new();
        // Tables between the catalogues are in the HDUs of detectors by chance (`LDAC_IMHEAD`).
        let may_be_between = |table: &Table<'_>| {
            ldac::is_header(table.hdu(), profile)
                || rules.pairing != Rule::Hdu && !has_required(table.columns(), rules)
        };
        let mut between = BTreeSet::new();
        for hdu in file.hdus().iter().filter(|hdu| !source.refused_hdus.contains(&hdu.index.0)) {
            if !is_candidate(hdu) {
                continue;
            }
            let is_declared = roles::declared(hdu, profile) == Some(HduRole::Catalogue);
            declared.extend(is_declared.then_some(hdu.index.0));
            match file.table(hdu.index) {
                Err(error) => self.refuse_hdu(catalogue, hdu.index.0, &error),
                Ok(table) => match Layout::of_table(&table, rules) {
                    Ok(layout) => tables.push((table, layout)),
                    Err(reason) => {
                        between.extend(may_be_between(&table).then_some(hdu.index.0));
                        others.push((hdu.index.0, table.rows(), reason));
                    }
                },
            }
        }
        let is_expected = |hdu: u16| {
            declared.contains(&hdu)
                || !between.contains(&hdu)
                    && catalogue
                        .detectors
                        .iter()
                        .any(|d| d.catalogue_hdu.unwrap_or(d.ext_num.hdu()) == hdu)
        };
        let none = tables.is_empty();
        for (hdu, rows, reason) in others.into_iter().filter(|(hdu, ..)| none || is_expected(*hdu))
        {
            let place = Place { file: &source.name, hdu: Some(hdu) };
            let mut refusal = place.refusal(reason.code(), format!("no catalogue: {reason}"));
            refusal.column = reason.column().map(str::to_owned);
            refusal.rows = rows;
            self.report.refusals.push(refusal);
            self.account(catalogue, hdu, None, (rows, 0), BTreeMap::new());
        }
        if !file.hdus().iter().any(is_candidate) {
            let place = Place { file: &source.name, hdu: None };
            let message = match catalogue.of_image {
                true => "no table of the image file is its catalogue, by the profile".to_owned(),
                false => "the file has no table".to_owned(),
            };
            self.report.refusals.push(place.refusal(RefusalCode::NO_TABLE, message));
        }
        tables
    }

    /// Refuses an HDU whose table cannot be read at all; none of its rows count as read.
    fn refuse_hdu(&mut self, catalogue: &Catalogue<'_>, hdu: u16, error: &FitsError) {
        self.report.refusals.push(task::refusal(&catalogue.catalogue.file.name, error));
        self.account(catalogue, hdu, None, (0, 0), BTreeMap::new());
    }

    fn report_unpaired(
        &mut self,
        catalogue: &Catalogue<'_>,
        paired: &[Result<Paired<'_>, Unpaired>],
    ) {
        let place = Place { file: &catalogue.catalogue.file.name, hdu: None };
        for detector in &catalogue.detectors {
            if !paired.iter().flatten().any(|p| p.detector.ext_num == detector.ext_num) {
                let message = format!(
                    "ext_num {} of {} has no usable catalogue",
                    detector.ext_num, catalogue.image_name
                );
                let finding =
                    place.finding(RefusalCode::DETECTOR_WITHOUT_CATALOGUE, None, 1, message);
                self.report.findings.push(finding);
            }
        }
    }

    fn refuse_unpaired(&mut self, catalogue: &Catalogue<'_>, table: &Table<'_>, reason: Unpaired) {
        // Other metadata may add the detector later, but names do not change.
        let parked = reason.code == RefusalCode::NO_DETECTOR;
        let reason = Reason { code: reason.code, message: reason.message, parked };
        self.refuse_table(catalogue, table, None, reason);
    }

    /// Refuses all rows of a table.
    fn refuse_table(
        &mut self,
        catalogue: &Catalogue<'_>,
        table: &Table<'_>,
        detector: Option<&Detector>,
        reason: Reason,
    ) {
        let Reason { code, message, parked } = reason;
        let hdu = table.hdu().index.0;
        let place = Place { file: &catalogue.catalogue.file.name, hdu: Some(hdu) };
        let mut refusal = place.refusal(code, message);
        refusal.rows = table.rows();
        refusal.row_ranges = ranges(0..table.rows().min(1), 1);
        if let Some(range) = refusal.row_ranges.first_mut() {
            range.last = table.rows();
        }
        refusal.parked = parked;
        self.report.refusals.push(refusal);
        self.account(catalogue, hdu, detector, (table.rows(), 0), BTreeMap::new());
    }

    fn account(
        &mut self,
        catalogue: &Catalogue<'_>,
        hdu: u16,
        detector: Option<&Detector>,
        (rows_read, rows_written): (u64, u64),
        nan: BTreeMap<String, u64>,
    ) {
        self.report.hdus.push(HduReport {
            file: catalogue.catalogue.file.name.clone(),
            multiframe_id: catalogue.multiframe_id,
            hdu,
            ext_num: detector.map(|d| d.ext_num.get()),
            rows_read,
            rows_written,
            rows_refused: rows_read - rows_written,
            nan,
        });
    }

    fn hdu(
        &mut self,
        catalogue: &Catalogue<'_>,
        file: &FitsFile,
        (table, layout): (&Table<'_>, &Layout),
        paired: Paired<'_>,
    ) -> Outcome<S> {
        let rules = &self.task.profile.catalogue;
        let Paired { detector, unconfirmed, otherwise } = paired;
        if table.rows() == 0 && rules.zero_rows == ZeroRows::Refuse {
            let message = "the catalogue has no rows".to_owned();
            let reason = Reason { code: RefusalCode::ZERO_ROWS, message, parked: false };
            self.refuse_table(catalogue, table, Some(detector), reason);
            return Ok(());
        }
        let view = HeaderView::of_extension(table.hdu(), &file.hdus()[0]);
        let Ok((calibration, mag_add)) = self.calibration((catalogue, table), view, detector)
        else {
            return Ok(());
        };
        let wcs = wcs(detector, self.task.profile);
        if let Err(fault) = &wcs
            && rules.photometry.distortion == Distortion::Wcs
            && !rules.photometry.are_delivered()
        {
            let message = format!("magnitudes are not corrected for distortion: {fault}");
            self.find(catalogue, table, RefusalCode::NO_WCS, fault.keyword(), 1, message);
        }
        let context = HduContext {
            detector,
            programme_id: self.programme.get(),
            version: catalogue.catalogue.version,
            profile: self.task.profile,
            wcs: wcs.as_ref().ok(),
            frame: column_frame((table, view), layout, detector, rules.position.frame),
            calibration,
            mag_add: mag_add.unwrap_or(f64::NAN),
        };
        let judged = judge(table, layout, &context, self.workspace);
        let judged = judged.map_err(|error| CatalogueError::Task(error.into()))?;
        self.report_columns(catalogue, table, layout);
        for anomaly in judged.anomalies() {
            let message = anomaly.message();
            self.find(catalogue, table, anomaly.code(), Some("RA, DEC"), anomaly.count(), message);
        }
        if unconfirmed && !judged.is_compared() {
            self.report_unconfirmed(catalogue, table, detector);
        }
        if let Some(otherwise) = otherwise {
            if !is_placed(catalogue, detector, &judged) {
                self.refuse_unpaired(catalogue, table, otherwise);
                return Ok(());
            }
            self.report_renumbered(catalogue, table, detector, &otherwise);
        }
        if self.refuse_misplaced(catalogue, (table, layout, view), detector, &judged) {
            return Ok(());
        }
        if let Some(found) = judged.contradiction() {
            let image = format!("ext_num {} of {}", detector.ext_num, catalogue.image_name);
            let reason =
                Reason { code: found.code(), message: found.message(&image), parked: false };
            self.refuse_table(catalogue, table, Some(detector), reason);
            if let Some(refusal) = self.report.refusals.last_mut() {
                refusal.column = Some(found.column().to_owned());
            }
            return Ok(());
        }
        let share = self.task.profile.limits.refused_rows_share;
        if judged.faults.len() as f64 > share * judged.rows_read() as f64 {
            self.refuse_judged(catalogue, table, detector, &judged);
            return Ok(());
        }
        self.write(catalogue, table, &context, &judged)
    }

    /// Refuses a table whose positions do not fit its detector and fit another one of the image. Returns `false` when there is no
    /// such detector.
    fn refuse_misplaced(
        &mut self,
        catalogue: &Catalogue<'_>,
        (table, layout, view): (&Table<'_>, &Layout, HeaderView<'_>),
        detector: &Detector,
        judged: &Judged<'_, '_>,
    ) -> bool {
        if !judged.is_misplaced() {
            return false;
        }
        let profile = self.task.profile;
        let rule = profile.catalogue.position.frame;
        let mut others = catalogue.detectors.iter().filter(|d| d.ext_num != detector.ext_num);
        let fitting = others.find(|other| {
            let frame = column_frame((table, view), layout, other, rule);
            judged.fits(other, wcs(other, profile).ok().as_ref(), &frame, profile)
        });
        let Some(other) = fitting else { return false };
        let columns = if judged.contradiction().is_some() { "RA and DEC" } else { "x and y" };
        let message = format!(
            "{columns} of the rows do not fit ext_num {} of {}, with which the table was paired, and fit ext_num {}: set \
             catalogue.pairing of the profile",
            detector.ext_num, catalogue.image_name, other.ext_num
        );
        let code = RefusalCode::PAIRING_CONTRADICTED;
        self.refuse_table(
            catalogue,
            table,
            Some(detector),
            Reason { code, message, parked: false },
        );
        if let Some(refusal) = self.report.refusals.last_mut() {
            refusal.column = Some(columns.split(' ').next().unwrap_or_default().to_owned());
        }
        true
    }

    /// Returns the calibration of a detector's magnitudes, and the number to add to delivered ones. Both are `None` where there
    /// is none and the profile lets magnitudes be NULL; delivered magnitudes have no calibration.
    ///
    /// # Errors
    /// Fails when the table is refused, as the report states.
    fn calibration(
        &mut self,
        (catalogue, table): (&Catalogue<'_>, &Table<'_>),
        view: HeaderView<'_>,
        detector: &Detector,
    ) -> Result<(Option<Calibration>, Option<f64>), ()> {
        let rules = &self.task.profile.catalogue.photometry;
        let found = if rules.are_delivered() {
            mag_add(rules, view).map(|mag_add| (None, Some(mag_add)))
        } else {
            let calibration = Calibration::of(&detector.photometry, detector.mjd, rules);
            calibration.map(|calibration| (Some(calibration), None))
        };
        let reason = match found {
            Ok(found) => return Ok(found),
            Err(reason) => reason,
        };
        if rules.missing_zero_point == MissingZeroPoint::Null {
            let message = reason.to_string();
            self.find(catalogue, table, reason.code(), reason.keyword(), 1, message);
            return Ok((None, None));
        }
        // Metadata do not change the catalogue's own headers.
        let of_catalogue = matches!(reason, NoCalibration::MagAdd(_));
        let parked = rules.missing_zero_point == MissingZeroPoint::Park && !of_catalogue;
        let refused = Reason { code: reason.code(), message: reason.to_string(), parked };
        self.refuse_table(catalogue, table, Some(detector), refused);
        if let Some(refusal) = self.report.refusals.last_mut() {
            refusal.keyword = reason.keyword().map(str::to_owned);
        }
        Err(())
    }

    fn find(
        &mut self,
        catalogue: &Catalogue<'_>,
        table: &Table<'_>,
        code: RefusalCode,
        subject: Option<&str>,
        count: u64,
        message: String,
    ) {
        let hdu = Some(table.hdu().index.0);
        let place = Place { file: &catalogue.catalogue.file.name, hdu };
        self.report.findings.push(place.finding(code, subject, count, message));
    }

    fn report_unconfirmed(
        &mut self,
        catalogue: &Catalogue<'_>,
        table: &Table<'_>,
        detector: &Detector,
    ) {
        let message = format!(
            "paired with ext_num {} of {} by its position in the file alone: the names and numbers of the two headers are not comparable, and no RA and DEC can be checked",
            detector.ext_num, catalogue.image_name
        );
        self.find(catalogue, table, RefusalCode::PAIRING_BY_POSITION, None, 1, message);
    }

    fn report_renumbered(
        &mut self,
        catalogue: &Catalogue<'_>,
        table: &Table<'_>,
        detector: &Detector,
        otherwise: &Unpaired,
    ) {
        let message = format!(
            "paired with ext_num {} of {}, whose WCS agrees with RA and DEC: the numbering of the tables starts at a different number than that of the images ({})",
            detector.ext_num, catalogue.image_name, otherwise.message
        );
        self.find(catalogue, table, RefusalCode::PAIRING_RENUMBERED, None, 1, message);
    }

    fn report_columns(&mut self, catalogue: &Catalogue<'_>, table: &Table<'_>, layout: &Layout) {
        let kinds = [
            (
                RefusalCode::COLUMN_UNKNOWN,
                &layout.unknown,
                "neither the archive nor the profile knows",
            ),
            (RefusalCode::COLUMN_UNUSABLE, &layout.unusable, "without one number per row:"),
        ];
        for (code, names, what) in kinds {
            if !names.is_empty() {
                let message = format!("{} columns {what} {}", names.len(), names.join(", "));
                let subject = names.first().map(String::as_str);
                self.find(catalogue, table, code, subject, names.len() as u64, message);
            }
        }
    }

    /// Refuses a table with too many unusable rows: none of its rows is used.
    fn refuse_judged(
        &mut self,
        catalogue: &Catalogue<'_>,
        table: &Table<'_>,
        detector: &Detector,
        judged: &Judged<'_, '_>,
    ) {
        let kinds = by_fault(&judged.faults, 0);
        let reasons: Vec<String> =
            kinds.iter().map(|(fault, rows, _)| format!("{rows} {}", fault.code())).collect();
        let message = format!(
            "{} of {} rows cannot be used, more than the profile allows: {}",
            judged.faults.len(),
            judged.rows_read(),
            reasons.join(", ")
        );
        let reason = Reason { code: RefusalCode::TOO_MANY_REFUSED_ROWS, message, parked: false };
        self.refuse_table(catalogue, table, Some(detector), reason);
        if let Some(refusal) = self.report.refusals.last_mut() {
            let rows = judged.faults.iter().map(|(row, _)| *row as u64);
            refusal.row_ranges = ranges(rows, LISTED_RANGES);
            refusal.column = kinds.first().map(|(fault, ..)| fault.column().to_owned());
        }
    }

    fn write(
        &mut self,
        catalogue: &Catalogue<'_>,
        table: &Table<'_>,
        context: &HduContext<'_>,
        judged: &Judged<'_, '_>,
    ) -> Outcome<S> {
        let first_row = self.written;
        let mut counts = Counts::default();
        for range in judged.blocks() {
            let rows = judged
                .append(range, context, self.written, self.batch, self.workspace, &mut counts)
                .map_err(|error| CatalogueError::Task(error.into()))?;
            self.written += rows as u64;
            if self.batch.rows() >= BATCH_ROWS {
                self.flush()?;
            }
        }
        let rows = self.written - first_row;
        let hdu = table.hdu().index.0;
        let place = Place { file: &catalogue.catalogue.file.name, hdu: Some(hdu) };
        for (fault, rows, row_ranges) in by_fault(&judged.faults, LISTED_RANGES) {
            let mut refusal = place.refusal(fault.code(), fault.message().to_owned());
            refusal.column = Some(fault.column().to_owned());
            refusal.rows = rows;
            refusal.row_ranges = row_ranges;
            self.report.refusals.push(refusal);
        }
        self.report_counts(catalogue, table, &counts);
        let name = |column: &usize| detection().columns[*column].name.clone();
        let nan = counts.nan.iter().map(|(column, count)| (name(column), *count)).collect();
        self.account(catalogue, hdu, Some(context.detector), (judged.rows_read(), rows), nan);
        self.report.detectors.push(DetectorRows {
            file: staged_file_name(self.programme),
            programme_id: self.programme,
            multiframe_id: catalogue.multiframe_id,
            ext_num: context.detector.ext_num.get(),
            version: catalogue.catalogue.version,
            first_row,
            rows,
        });
        Ok(())
    }

    fn report_counts(&mut self, catalogue: &Catalogue<'_>, table: &Table<'_>, counts: &Counts) {
        for (column, count) in &counts.infinite {
            let name = &detection().columns[*column].name;
            let message = format!("{count} infinite values of {name} are NULL");
            self.find(catalogue, table, RefusalCode::INFINITE_VALUE, Some(name), *count, message);
        }
        let classes = [
            (RefusalCode::CLASS_NOT_SET, counts.classes.unclassified, "rows were never classified"),
            (
                RefusalCode::CLASS_NOT_WHOLE,
                counts.classes.not_whole,
                "classes are no whole number and NULL",
            ),
        ];
        for (code, count, what) in classes.into_iter().filter(|(_, count, _)| *count > 0) {
            self.find(catalogue, table, code, Some("class"), count, format!("{count} {what}"));
        }
    }

    fn flush(&mut self) -> Outcome<S> {
        if self.batch.rows() == 0 {
            return Ok(());
        }
        if !self.begun {
            self.begun = true;
            let begun = self.sink.begin(self.programme, self.expected_rows);
            begun.map_err(CatalogueError::Sink)?;
        }
        let rows = self.batch.take();
        self.sink.rows(&rows).map_err(CatalogueError::Sink)
    }

    fn finish(mut self) -> Outcome<S> {
        self.flush()?;
        if self.begun {
            self.report.rows.insert(self.programme, self.written);
            self.sink.end().map_err(CatalogueError::Sink)?;
        }
        Ok(())
    }
}

/// The reason why no row of a table is used.
struct Reason {
    code: RefusalCode,
    message: String,
    parked: bool,
}

/// Returns true when the positions of a table's rows agree with the WCS of a detector, which no other detector has.
fn is_placed(catalogue: &Catalogue<'_>, detector: &Detector, judged: &Judged<'_, '_>) -> bool {
    let is_only = catalogue
        .detectors
        .iter()
        .all(|other| other.ext_num == detector.ext_num || other.wcs != detector.wcs);
    is_only
        && judged.is_compared()
        && judged.contradiction().is_none_or(Contradiction::is_of_pixels)
}

/// Returns true when all rows of a table are in the archive, as rows of this detector.
fn is_done(catalogue: &CatalogueRef, hdu: u16, detector: &Detector) -> bool {
    catalogue.done.contains(&DoneHdu { hdu, ext_num: detector.ext_num.get() })
}

/// Returns true when an HDU is a catalogue by its role and by the columns of its table.
pub(crate) fn is_catalogue(file: &FitsFile, hdu: &Hdu, profile: &SurveyProfile) -> bool {
    roles::may_be_catalogue(hdu, profile)
        && file
            .table(hdu.index)
            .is_ok_and(|table| Layout::of_table(&table, &profile.catalogue).is_ok())
}

/// Returns the HDUs that hold a catalogue, or a table that cannot be read and may be a catalogue; none where the profile does
/// not pair by their order, since reading the columns of all tables takes as long as the headers of the frame.
pub(crate) fn catalogue_hdus(file: &FitsFile, profile: &SurveyProfile, of_image: bool) -> Vec<u16> {
    let rules = &profile.catalogue;
    if rules.pairing == Rule::Hdu {
        return Vec::new();
    }
    let counts = |hdu: &&Hdu| {
        roles::is_candidate(file, hdu, profile, of_image)
            && file.table(hdu.index).map_or(true, |table| Layout::of_table(&table, rules).is_ok())
    };
    file.hdus().iter().filter(counts).map(|hdu| hdu.index.0).collect()
}
