//! The archive: control store, metadata and detections, behind traits that declare what the pipeline needs.
//!
//! A site ([`Site`]) holds one `archive.db` and the lake. [`Archive`] implements the traits in [`control`] on both: [`Registry`]
//! records deliveries, [`Queue`] runs tasks, [`Publication`] ingests batches, [`Inquiry`] reports; the others plan, retract and
//! verify. Tables and states are in [`schema`]; metadata tables follow the definitions of `model::tables` ([`metadata`]);
//! detections are Parquet files under the catalogue of [`lake`], or partitions of a server ([`partitions`]).
//!
//! Start at [`Archive::create`] and [`Archive::open`], then the traits. A new column begins in `model/tables/`, a new control
//! table in [`schema`]. Does not decide what is to be done, read FITS files, run tasks, or answer queries.

#[cfg(test)]
extern crate self as archive;

pub mod attempts;
pub mod batches;
mod changes;
pub mod control;
pub mod deliveries;
mod detections;
pub mod error;
pub mod explain;
mod findings;
mod handle;
pub mod history;
pub mod library;
pub mod metadata;
pub mod migrations;
pub mod partitions;
pub mod planning;
pub mod products;
pub mod programmes;
pub mod refusals;
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

pub use control::{Curation, Holdings, Inquiry, Planning, Publication, Queue, Registry};
pub use engine::Database;
pub use error::{ArchiveError, ArchiveFault};
pub use handle::{Access, Archive, at_work, connect};
pub use metadata::{Cell, ReferenceRows};
pub use roles::{check_server, make_roles, rehearse_roles};
pub use site::{Site, SiteFile};
pub use time::Timestamp;
