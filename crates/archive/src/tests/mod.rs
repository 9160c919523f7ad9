//! Tests on tables of the size that they reach in years: query plans, durations, long answers.

pub(crate) mod filling;
pub(crate) mod load;
mod long_answers;
pub(crate) mod plans;
