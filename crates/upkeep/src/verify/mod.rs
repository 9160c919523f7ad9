//! Comparison of stored data with their required state; all differences are reported.
//!
//! Takes the archive of a site, returns typed [`VerifyFinding`]s, each with the object concerned and a suggested repair. It
//! only reads; nothing is repaired here.
//!
//! Start at [`verify`]. A new kind is a variant of [`VerifyFinding`], a query in [`identity`], [`rows`], [`lake_files`] or
//! [`disk`], and a damaged archive in `tests/control_verify.rs`.
//! This module does not know the origin of damage.

mod disk;
mod finding;
mod group;
mod identity;
mod lake_files;
mod partitions;
mod repair;
mod rows;

pub use finding::{Delivered, VerifyFinding};
pub use group::Group;
pub use repair::{lost_previews, repair, request_lost_previews};

use archive::Reader;
use archive::error::{ArchiveError, ArchiveFault};
use archive::site::Site;
use engine::Connection;
use serde_json::json;
use std::time::{Duration, Instant};

/// The extent of the checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// True to read library and lake files and compare contents.
    pub checksums: bool,
    /// Percentage of the files to read; `None` for all.
    pub sample_percent: Option<u8>,
    /// Number of the sample: another number reads other files.
    pub sample: u64,
    /// Greatest number of bytes per second to read; `None` for no limit.
    pub bytes_per_second: Option<u64>,
}

impl Options {
    /// Returns true when a file's content is to be read.
    fn reads(self, name: &str) -> bool {
        let place = twox_hash::XxHash64::oneshot(self.sample, name.as_bytes()) % 100;
        self.checksums && self.sample_percent.is_none_or(|percent| place < u64::from(percent))
    }
}

/// Numbers of checked objects, and the findings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// All findings.
    pub findings: Vec<VerifyFinding>,
    checked: Vec<(&'static str, u64)>,
    /// Bytes of contents read until now, and the start of reading.
    read: u64,
    began: Option<Instant>,
}

impl Report {
    /// Returns one line per kind of checked objects, with their number.
    pub fn checked(&self) -> Vec<String> {
        self.checked.iter().map(|(what, count)| format!("{what}: {count} checked")).collect()
    }

    /// Returns the report for `--json`.
    pub fn to_json(&self) -> serde_json::Value {
        let findings: Vec<_> = self
            .findings
            .iter()
            .map(|f| json!({ "code": f.code(), "message": f.to_string(), "repair": f.repair() }))
            .collect();
        let groups: Vec<_> = self
            .groups()
            .iter()
            .map(|g| {
                let commands: Vec<String> = g.commands.iter().map(ToString::to_string).collect();
                let kinds: Vec<&str> = g.commands.iter().map(model::Advice::kind).collect();
                json!({
                    "code": g.code.as_str(), "subject": g.subject, "count": g.count, "repair": g.repair,
                    "commands": commands, "kinds": kinds,
                })
            })
            .collect();
        let checked: serde_json::Map<_, _> =
            self.checked.iter().map(|(what, count)| ((*what).to_owned(), json!(count))).collect();
        json!({ "findings": findings, "groups": groups, "checked": checked })
    }

    /// Records that a content was read, and waits when reading was faster than permitted.
    fn has_read(&mut self, bytes: u64, options: Options) {
        self.read += bytes;
        let began = *self.began.get_or_insert_with(Instant::now);
        if let Some(limit) = options.bytes_per_second.filter(|limit| *limit > 0) {
            let due = Duration::from_secs_f64(self.read as f64 / limit as f64);
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        }
    }

    fn note(&mut self, what: &'static str, count: u64) {
        self.checked.push((what, count));
    }
}

/// Checks everything, in one consistent view of the database.
///
/// # Errors
/// [`ArchiveError`] when the database cannot be read at all.
pub fn verify(archive: &Reader, options: Options) -> Result<Report, ArchiveError> {
    let site = archive.site().clone();
    archive.read("verify the archive", |c| run_checks(c, &site, options))
}

fn run_checks(c: &Connection, site: &Site, options: Options) -> Result<Report, ArchiveFault> {
    let mut report = Report::default();
    identity::database(c, &mut report)?;
    identity::numbers(c, &mut report)?;
    identity::ids(c, site.lake_tables(), &mut report)?;
    rows::references(c, &mut report)?;
    rows::counts(c, &mut report)?;
    match c.sqlite() {
        Some(sqlite) => lake_files::catalogue(sqlite, site.lake_tables(), &mut report)?,
        None => partitions::tables(c, site.lake_tables(), options, &mut report)?,
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

#[cfg(test)]
mod tests {
    use super::Options;

    #[test]
    fn a_sample_is_a_part_and_another_one_every_day() {
        let names: Vec<String> = (0..2000).map(|n| format!("night/{n}.fit")).collect();
        let read = |sample, percent| -> Vec<bool> {
            let options = Options {
                checksums: true,
                sample,
                sample_percent: Some(percent),
                ..Options::default()
            };
            names.iter().map(|name| options.reads(name)).collect()
        };
        let count = |read: &[bool]| read.iter().filter(|is| **is).count();
        assert_eq!(count(&read(1, 100)), 2000);
        let (one, other) = (read(1, 30), read(2, 30));
        assert!((500..700).contains(&count(&one)), "{}", count(&one));
        assert_ne!(one, other);
        assert_eq!(one, read(1, 30));
    }
}
