//! Catalogues become detections: layouts, rows that are refused, real files, and what other software makes of it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod foreign;
mod frames;
mod layouts;
mod made;
mod real;
mod refusals;
mod spellings;
