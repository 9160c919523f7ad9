//! The reader through its public functions: headers, tables, sums, and files that are damaged in every way.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod bytes;
mod checksums;
mod damage;
mod header_cases;
mod header_properties;
mod inspection;
mod opening;
mod tables;
