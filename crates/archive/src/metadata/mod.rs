//! Metadata tables: ordinary tables with history, made from the definitions in `model::tables`.
//!
//! Each definition with `keeping` "versioned" or "reference" becomes a table `<name>_all` whose rows carry the event that began
//! and the event that ended them, and a plain view `<name>` of current rows, which every program that reads SQLite can use.
//! [`definition`] writes the DDL and adds columns that are new; [`staged`] loads a batch's Parquet rows; [`mod@reference`] stores
//! the rows of profiles; [`links`] connects frames with components and calibration frames that were ingested later.
//!
//! Start at [`staged::insert`]. A new column begins in `model/tables/*.toml`; the code here names no columns but those of
//! identity. Does not open transactions or assign event numbers.

pub(crate) mod definition;
pub(crate) mod links;
pub(crate) mod reference;
pub(crate) mod staged;

pub use definition::{tables, versioned};
pub use reference::{Cell, ReferenceRows};
pub use staged::PACKED;
