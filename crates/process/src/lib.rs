//! Stage 3 of 5: derives products from library files: previews, metadata rows, detections.
//!
//! Takes the inputs of a task and the survey's profile, leaves record batches (and JPEG bytes), what was refused
//! and what was noticed. Everything here is a function of its inputs: the same files give the same bytes.
//!
//! Start at [`preview::run`] (CU2), [`metadata::run`] (CU3) or [`catalogue::extract`] (CU4); a header is looked at
//! through [`header_view::HeaderView`], files are opened and shared out to threads in `task`. A new column begins in
//! `model::tables`, a new spelling in a survey's profile.
//! Does not write files, assign ids, or know that a database exists.

pub mod catalogue;
pub mod header_view;
pub mod metadata;
mod pairing;
pub mod preview;
mod task;

pub use task::{TaskFault, files_opened, limits};
