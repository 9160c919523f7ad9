//! Stage 3 of 5: derives products from library files: previews, metadata rows, detections.
//!
//! Takes the inputs of a task and the survey's profile, and returns record batches (and JPEG bytes), rejected inputs and
//! findings. All results are a function of the inputs: equal files yield equal bytes.
//!
//! Start at [`preview::run`] (CU2), [`metadata::run`] (CU3) or [`catalogue::extract`] (CU4); a header is read through
//! [`header_view::HeaderView`], `task` opens files and distributes them to threads. A new column begins in `model::tables`, a
//! new spelling in a survey's profile.
//! Does not write files, assign ids, or know that a database exists.

pub mod catalogue;
pub mod header_view;
mod ldac;
pub mod metadata;
mod pairing;
mod pixel_offsets;
pub mod preview;
mod reading;
mod roles;
mod task;

pub use pixel_offsets::{PlacedRow, pixel_offsets};
pub use roles::uses;
pub use task::{TaskFault, files_opened, limits};
