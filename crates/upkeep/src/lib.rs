//! What keeps an archive in order beside its daily work: [`verify`] and repair, [`backup`] and restore, and the move to another
//! place ([`migrate`]).
//!
//! Start at [`verify::verify`], [`backup::back_up`] and [`migrate`]. Each reads and writes through [`archive::Archive`] and what the
//! archive says of its tables. Knows no command line; nothing here runs by itself.

pub mod backup;
pub mod migrate;
pub mod verify;
