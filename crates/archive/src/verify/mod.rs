//! Compares what is stored with what it should be, and reports all that differs.
//!
//! Takes the archive of a site, leaves typed [`Finding`]s, each with what is concerned and a suggested repair. Reading only;
//! nothing is repaired here.
//!
//! Start at [`verify`]. A new kind is a variant of [`Finding`], a query in [`identity`], [`rows`], [`lake_files`] or
//! [`disk`], and a damaged archive in `tests/control_verify.rs`.
//! Does not know how damage came about.

mod disk;
mod finding;
mod identity;
mod lake_files;
mod partitions;
mod repair;
mod rows;

pub use finding::Finding;
pub use repair::repair;

use crate::control::Publication;
use crate::control::store::Archive;
use crate::engine::Connection;
use crate::error::{ArchiveError, ArchiveFault};
use crate::site::Site;
use serde_json::json;

/// How closely to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Read every library and lake file and compare contents.
    pub checksums: bool,
}

/// What was looked at, and what was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// All that is not as it must be.
    pub findings: Vec<Finding>,
    checked: Vec<(&'static str, u64)>,
}

impl Report {
    /// One line per kind of thing that was looked at, with how many.
    pub fn checked(&self) -> Vec<String> {
        self.checked.iter().map(|(what, count)| format!("{what}: {count} checked")).collect()
    }

    /// For `--json`.
    pub fn to_json(&self) -> serde_json::Value {
        let findings: Vec<_> = self
            .findings
            .iter()
            .map(|f| json!({ "code": f.code(), "message": f.to_string(), "repair": f.repair() }))
            .collect();
        let checked: serde_json::Map<_, _> =
            self.checked.iter().map(|(what, count)| ((*what).to_owned(), json!(count))).collect();
        json!({ "findings": findings, "checked": checked })
    }

    fn note(&mut self, what: &'static str, count: u64) {
        self.checked.push((what, count));
    }
}

/// Looks at everything, in one consistent view of the database.
///
/// # Errors
/// [`ArchiveError`] when the database cannot be read at all.
pub fn verify(archive: &Archive, options: Options) -> Result<Report, ArchiveError> {
    let site = Publication::site(archive).clone();
    archive.read("verify the archive", |c| look(c, &site, options))
}

fn look(c: &Connection, site: &Site, options: Options) -> Result<Report, ArchiveFault> {
    let mut report = Report::default();
    identity::database(c, &mut report)?;
    identity::numbers(c, &mut report)?;
    identity::object_ids(c, &mut report)?;
    rows::references(c, &mut report)?;
    rows::counts(c, &mut report)?;
    match c.sqlite() {
        Some(sqlite) => lake_files::catalogue(sqlite, &mut report)?,
        None => partitions::tables(c, options, &mut report)?,
    }
    disk::library(c, site, options, &mut report)?;
    disk::previews(c, site, &mut report)?;
    disk::library_strays(site, &mut report)?;
    disk::preview_strays(site, &mut report)?;
    if let Some(sqlite) = c.sqlite() {
        lake_files::on_disk(sqlite, site, options, &mut report)?;
    }
    Ok(report)
}
