//! CU4: the rows of catalogue files become rows of `detection`.
//!
//! Takes the catalogues of a task and their [`model::detector::Detector`]s, and returns Arrow batches with exactly the schema
//! of `detection`, programme by programme, and a [`CatalogueReport`] that accounts for every row: rows read = written +
//! refused. Unusable rows are refused with a code, or parked until metadata or a zero point arrive.
//!
//! Start at [`extract()`]. A new spelling or layout of a catalogue is a matter of the survey profile alone; a new
//! column begins in `model/tables/detection.toml`, and one that is computed is added to `measures` or
//! `photometry`.
//! Does not write files, assign final object ids, or know that a database exists.

mod angle;
mod anomalies;
mod batch;
mod cells;
mod column_frame;
mod detectors;
mod extract;
mod hdu;
mod layout;
mod logarithm;
mod photometry;
mod positions;
mod quality;
mod report;
mod rows;
mod shift;
mod wcs_cards;

pub use extract::{CatalogueError, CatalogueTask, DetectionSink, extract};
pub(crate) use extract::{catalogue_hdus, is_catalogue};
pub use report::{CatalogueReport, staged_file_name};
