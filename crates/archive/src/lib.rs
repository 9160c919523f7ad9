//! The archive: control store, metadata and detections, behind traits that declare what the pipeline needs.
//!
//! A site ([`Site`]) holds one `archive.db` and the lake. [`Archive`] implements the traits in [`control`] on both: [`Registry`]
//! records deliveries, [`Queue`] runs tasks, [`Publication`] ingests batches, [`Inquiry`] reports; the others plan, retract and
//! verify. Tables and states are in [`control::schema`]; metadata tables follow the definitions of `model::tables` ([`metadata`]);
//! detections are Parquet files under the catalogue of [`lake`], or partitions of a server ([`partitions`]).
//!
//! Start at [`Archive::create`] and [`Archive::open`], then the traits. A new column begins in `model/tables/`, a new control
//! table in [`control::schema`]. Does not decide which work to do, read FITS files, run tasks, or answer queries.

#[cfg(test)]
extern crate self as archive;

pub mod control;
pub mod error;
pub mod metadata;
pub mod partitions;
mod provider;
mod roles;
pub mod site;
pub mod unfinished;

pub use control::records::Timestamp;
pub use control::store::{self, Access, Archive, at_work};
pub use control::{
    Curation, Holdings, Inquiry, Planning, Publication, Queue, Registry, explain, lease, planning,
    records, report,
};
pub use engine::Database;
pub use error::{ArchiveError, ArchiveFault};
pub use metadata::{Cell, ReferenceRows};
pub use roles::{check_server, make_roles, rehearse_roles};
pub use site::{Site, SiteFile};
