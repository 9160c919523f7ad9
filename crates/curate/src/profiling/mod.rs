//! Profiles for unknown files: a profile is checked against a delivery, or drafted from one.
//!
//! Takes a directory of files and profiles, and returns a [`Report`] or the text of a profile. [`check()`] runs the delivery in a
//! throw-away site (`trial`), by the steps of `run` itself, and reads the results from its archive; nothing is judged by other
//! rules than those of `run`. [`draft()`] reads headers and columns, writes the evidence beside each guess, and tests what it can by the same trials.
//! Names of columns and keywords of common programs are in `dictionary.toml`.
//!
//! The directory is not changed, and no site is needed.

mod candidates;
mod check;
mod choice;
mod delivered;
mod dictionary;
mod draft;
mod hdus;
mod measures;
mod patterns;
mod report;
mod spellings;
mod trial;

pub use check::check;
pub use draft::draft;
pub use report::{Problem, Report, Sheet};
