//! Damaged and hostile files through the real binary: each is refused with a reason, and the night completes.
//!
//! [`hostile_cases::expected`] says what is to come of each kind. `ALMAGEST_FAULTS=all` takes every kind through a
//! night of its own; otherwise a sample is taken alone, and all kinds together.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod hostile_cases;
mod operator;
