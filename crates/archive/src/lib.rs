//! The archive: control store, metadata and detections, by concept.
//!
//! A site ([`Site`]) holds one `archive.db` and the lake, or its tables are on a server. [`Reader`] reads an archive, [`Archive`]
//! writes too; both run on either engine. Each concept is a module with its types, its SQL and its methods of the two handles:
//! [`deliveries`], [`registration`], [`library`], [`rounds`], [`work`], [`attempts`], [`refusals`], [`findings`], [`batches`],
//! [`products`], [`retraction`], [`planning`], [`programmes`], [`history`]; [`status`] and [`explain`] report. Control tables are in
//! [`schema`]; metadata tables follow the definitions of `model::tables` ([`metadata`]); detections are Parquet files under the
//! catalogue of [`lake`], or partitions of a server ([`partitions`]).
//!
//! A method is one complete act in one transaction, and may be repeated after a crash: it finds what was done before. Time is a
//! parameter. A state changes only where [`model::UnitState::may_become`] allows, and every change adds a row to a history. One
//! conformance suite runs on both engines (`tests/control_conformance`).
//!
//! Modules import each other in one direction. The lowest ones ([`error`], [`time`], [`site`]) know no handle, the handles know no
//! concept, and opening an archive, which needs several concepts, is above all.
//!
//! Start at [`Archive::create`], [`Archive::open`] and [`Reader::open`], then the module of the concept. A new column begins in
//! `model/tables/`, a new control table in [`schema`]. Does not decide which work to do (that is `register::plan` and `ingest`),
//! read FITS files, run tasks, or answer queries.

#[cfg(test)]
extern crate self as archive;

pub mod attempts;
pub mod batches;
pub mod deliveries;
mod detections;
pub mod error;
pub mod explain;
pub mod findings;
mod handle;
pub mod history;
pub mod library;
pub mod metadata;
pub mod migrations;
mod open;
pub mod partitions;
pub mod planning;
mod product_names;
pub mod products;
pub mod programmes;
pub mod refusals;
pub mod registration;
pub mod retraction;
mod roles;
pub mod rounds;
pub mod schema;
pub mod site;
pub mod status;
#[cfg(test)]
mod tests;
pub mod time;
pub mod unfinished;
mod values;
pub mod work;

pub use engine::Database;
pub use error::{ArchiveError, ArchiveFault};
pub use handle::{Access, Archive, Reader, at_work, connect};
pub use metadata::{Cell, ReferenceRows};
pub use roles::{check_server, make_roles, rehearse_roles};
pub use site::{Site, SiteFile};
pub use time::Timestamp;
