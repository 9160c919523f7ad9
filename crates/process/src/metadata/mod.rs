//! CU3: rows of `multiframe` and its companions from the headers of images and their catalogues.
//!
//! Takes the inputs of a task and returns one record batch per table and block of files, refusals and findings. Only headers
//! are read, no data.
//!
//! Start at [`run`] for a whole task, at [`Extractor`] for single frames. A column that is copied from a keyword needs an entry
//! in the table's definition and nothing here; one that is computed is set in `multiframe`, `detector` or `astrometry`.
//! Spellings, expectations and the known keywords are in the survey's profile. A frame that is refused or parked has no row: it
//! is retried in a later round.
//! Does not link components to multiframes that are in the archive: a node does not know the archive.

mod admissible;
mod astrometry;
mod batches;
mod cell;
mod detector;
mod drift;
mod expected;
mod frame;
mod headers;
mod keywords;
mod multiframe;
mod notes;
mod observed;
mod plan;
mod programme;
mod provenance;
mod reference;
mod row;
mod sexagesimal;
mod task;
mod time;
mod time_scale;

pub use crate::task::TaskFault;
pub use headers::unpack as unpack_cards;
pub use task::run;

use arrow_array::RecordBatch;
use fits::FitsFile;
use model::profile::{FrameKind, SurveyProfile};
use model::tables::Table;
use model::task::{CountedFinding, ProgrammeRef, TaskInput};
use model::{DeliveryName, Finding, Refusal};

use crate::ldac::CellHeaders;
use batches::Accumulator;
use frame::Frame;
use notes::Notes;
use plan::Plan;
use row::{Kind, Row};

/// The products of metadata extraction.
#[derive(Debug)]
pub struct Products {
    /// The batches of each table in the order of the frames; their schema is [`Table::arrow_schema`]. Empty batches are
    /// omitted.
    pub tables: Vec<(&'static Table, Vec<RecordBatch>)>,
    /// Rejected inputs.
    pub refusals: Vec<Refusal>,
    /// Findings; drift of keywords is counted over all files.
    pub findings: Vec<Finding>,
    /// The inputs with findings that are reported once per task.
    pub counted: Vec<CountedFinding>,
    /// Bytes of the library that were opened (lengths of the files).
    pub input_bytes: u64,
}

impl Products {
    /// Returns the batches of a table.
    pub fn batches(&self, table: &str) -> &[RecordBatch] {
        self.tables.iter().find(|(t, _)| t.name == table).map_or(&[], |(_, batches)| batches)
    }

    /// Returns the number of rows of a table.
    pub fn rows(&self, table: &str) -> usize {
        self.batches(table).iter().map(RecordBatch::num_rows).sum()
    }
}

/// A reader of frames with one survey's profile; it may be shared by threads.
#[derive(Debug)]
pub struct Extractor<'p> {
    profile: &'p SurveyProfile,
    programmes: &'p [ProgrammeRef],
    delivery: &'p DeliveryName,
    plan: Plan,
}

/// Rows, refusals and findings of the frames read until now.
#[derive(Debug)]
pub struct Rows {
    rows: Accumulator,
    notes: Notes,
    counted: notes::Counted,
    /// Ordinal of the input that is read, from 1.
    ordinal: u32,
}

impl Default for Rows {
    fn default() -> Self {
        Self {
            rows: Accumulator::new(),
            notes: Notes::default(),
            counted: notes::Counted::default(),
            ordinal: 0,
        }
    }
}

impl Rows {
    /// Returns all rows as record batches, with refusals and findings.
    pub fn finish(self) -> Products {
        let tables = self.rows.finish().into_iter().map(|(table, batch)| {
            let batches = if batch.num_rows() > 0 { vec![batch] } else { Vec::new() };
            (table, batches)
        });
        Products {
            tables: tables.collect(),
            refusals: self.notes.refusals,
            findings: notes::counted(self.notes.findings),
            counted: self.counted.finish(),
            input_bytes: 0,
        }
    }

    /// Adds a refusal made outside [`Extractor::extract`].
    pub(self) fn add_refusal(&mut self, refusal: Refusal) {
        self.notes.refusals.push(refusal);
    }
}

impl<'p> Extractor<'p> {
    /// Makes an extractor for the frames of one delivery.
    pub fn new(
        profile: &'p SurveyProfile,
        programmes: &'p [ProgrammeRef],
        delivery: &'p DeliveryName,
    ) -> Self {
        Self { profile, programmes, delivery, plan: Plan::new(profile) }
    }

    /// Adds the rows of one frame, or the reasons to reject it.
    pub fn extract(
        &self,
        input: &TaskInput,
        image: &FitsFile,
        catalogue: Option<&FitsFile>,
        into: &mut Rows,
    ) {
        into.ordinal += 1;
        let mut notes = Notes::default();
        let of_image = input.has_catalogue_in_image();
        let cells = catalogue.map(|file| CellHeaders::of(file, self.profile, of_image));
        let cells = cells.unwrap_or_default();
        let frame = Frame::open(input, image, (catalogue, &cells), self.profile, &mut notes);
        let mut rows = frame.map(|frame| self.rows_of(&frame, &mut notes)).unwrap_or_default();
        admissible::check(&mut rows, &input.image.name, &mut notes);
        if !notes.refused {
            for row in &rows {
                into.rows.push(row);
            }
        }
        into.counted.add(into.ordinal, &input.image.name, &notes.findings);
        into.notes.findings.append(&mut notes.findings);
        into.notes.refusals.append(&mut notes.refusals);
    }

    fn rows_of<'f>(&'f self, frame: &Frame<'f>, notes: &mut Notes) -> Vec<Row<'f>> {
        let (plan, profile) = (&self.plan, self.profile);
        let mut first = multiframe::row(frame, plan, profile, self.delivery, notes);
        let exposure = multiframe::exposure(&mut first, frame, profile);
        let programme = programme::row(frame, exposure, profile, self.programmes, notes);
        if notes.refused {
            return Vec::new();
        }
        let namings = drift::survey(frame, plan, profile, notes);
        provenance::set_library_names(&mut first, &namings);
        let expects_wcs =
            exposure.frame_type.is_some_and(|rule| rule.kind != FrameKind::Calibration);
        let mut rows = vec![first];
        for detector in &frame.detectors {
            let mut row = detector::row(frame, detector, exposure, plan, profile, notes);
            let sky = astrometry::row(frame, detector, plan, profile, expects_wcs, notes);
            detector::set_pixel_size(&mut row, &sky);
            rows.extend([row, sky]);
        }
        let is_companion = profile.is_companion(frame.file());
        expected::check(&rows, frame, exposure, (plan, is_companion), notes);
        rows.extend(provenance::rows(frame.input.multiframe_id, &namings));
        if exposure.frame_type.is_none_or(|rule| rule.kind == FrameKind::Science) {
            let companions = profile.companions_of(frame.file());
            let id = frame.input.multiframe_id;
            rows.extend(provenance::companion_rows(id, companions, &namings));
        }
        rows.extend(programme);
        rows.extend(headers::rows(frame));
        rows
    }
}

/// Returns the names of the tables of metadata, in the order in which they are staged.
pub fn table_names() -> [&'static str; 6] {
    Kind::ALL.map(|kind| kind.sheet().table.name.as_str())
}
