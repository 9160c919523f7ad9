//! Behaviour of the sky room through its public functions, against published rows, real headers and wcslib.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cards;
mod footprints;
mod foreign;
mod golden;
mod headers;
mod layouts;
mod listed;
mod points;
mod real;
mod whole;
