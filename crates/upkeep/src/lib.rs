//! Maintenance of an archive outside its daily work: [`verify`] and repair, [`backup`] and restore, and the move to
//! another place ([`migrate`]).
//!
//! Start at [`verify::verify`], [`backup::back_up`] and [`migrate`]. Each reads and writes through [`archive::Archive`]
//! and the archive's description of its tables. This crate knows no command line, and nothing here runs by itself.

pub mod backup;
pub mod migrate;
pub mod verify;
