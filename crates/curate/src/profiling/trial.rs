//! A trial: a delivery is run by the steps of `run` in a throw-away site, whose archive is read afterwards.
//!
//! Files stay where they are (`library.mode = "in-place"`). The site is in a temporary directory, which is removed with the
//! trial. Previews are not made.

use super::candidates::Candidates;
use crate::profiles::{self, Loaded};
use crate::site::{self, Archive, Site};
use crate::steps::{Completeness, Declarations, NightRun};
use crate::{log, sources};
use anyhow::Context;
use archive::SiteFile;
use archive::history::Cause;
use model::UseCase;
use query::{ResultColumn, RowSink, SqlLimits, SqlReader, SqlValue};
use serde_json::Value;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// A delivery in the archive of a throw-away site.
pub(super) struct Trial {
    sql: SqlReader,
    /// Files that wait for others, each with the reason.
    pub waits: Vec<(String, String)>,
    /// Name of the delivery.
    pub delivery: String,
    // Last, so that the archive is closed before its directory is removed.
    _scratch: Scratch,
}

impl Trial {
    /// Runs a delivery with some profiles. `None` when a signal requested a stop.
    ///
    /// # Errors
    /// When the directory cannot be a delivery, or the machine fails. Faults of files are refusals in the archive.
    pub fn run(
        profiles: &Candidates,
        directory: &Path,
        stop: &Arc<AtomicBool>,
    ) -> anyhow::Result<Option<Self>> {
        // The files of the temporary site are of no interest to the operator, and neither is its log.
        log::under(&log::tracing::Dispatch::none(), || {
            Self::run_unlogged(profiles, directory, stop)
        })
    }

    fn run_unlogged(
        profiles: &Candidates,
        directory: &Path,
        stop: &Arc<AtomicBool>,
    ) -> anyhow::Result<Option<Self>> {
        let scratch = Scratch::new()?;
        let site = temporary_site(&scratch.0, &profiles.all)?;
        let (origin, name) = sources::of_delivery(&site, &directory.to_string_lossy())?;
        let mut night = NightRun::open_until(site, "profile", "profile check", Arc::clone(stop))?;
        let declared =
            Declarations { completeness: Completeness::Complete, ..Declarations::default() };
        let delivery = night.fetch_all(&origin, &name, &declared)?;
        let use_cases = [UseCase::Metadata, UseCase::Catalogue];
        night.work(std::slice::from_ref(&delivery), &use_cases, true)?;
        if night.interrupted() {
            return Ok(None);
        }
        let waits = night.waits.iter().map(|w| (w.file.clone(), w.why.clone())).collect();
        let limits = SqlLimits { time: None, ..SqlLimits::DEFAULT };
        let sql = SqlReader::open(&night.site().place, limits)?;
        Ok(Some(Self { sql, waits, delivery: delivery.to_string(), _scratch: scratch }))
    }

    /// Returns the rows of a query.
    ///
    /// # Errors
    /// When the archive cannot be read.
    pub fn rows(&self, query: &str) -> anyhow::Result<Vec<Vec<Value>>> {
        let mut collected = Collected(Vec::new());
        self.sql.query(query, &mut collected)?;
        Ok(collected.0)
    }
}

/// Makes a site with some profiles, whose library leaves files where they are.
fn temporary_site(root: &Path, loaded: &[Loaded]) -> anyhow::Result<Site> {
    let named: Vec<(String, &str)> = loaded
        .iter()
        .map(|one| (format!("surveys/{}.toml", one.profile.name), one.text.as_str()))
        .collect();
    let config =
        SiteFile { path: crate::config::FILE_NAME, text: "[library]\nmode = \"in-place\"\n" };
    let profiles = named.iter().map(|(path, text)| SiteFile { path, text });
    let texts: Vec<SiteFile<'_>> = profiles.chain([config]).collect();
    let place = archive::Site::create(root, &texts)?;
    let mut archive = Archive::create(&place, site::now())?;
    let rows = profiles::reference_rows(loaded, place.products());
    archive.load_reference(&rows, &Cause::new("profile", "temporary site"), site::now())?;
    drop(archive);
    Site::find(Some(root.to_owned()))
}

/// A temporary directory of this process, removed when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> anyhow::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("almagest-profile-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make the temporary directory {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Rows as JSON values; numbers that are not finite are null.
struct Collected(Vec<Vec<Value>>);

impl RowSink for Collected {
    fn columns(&mut self, _: &[ResultColumn]) -> std::io::Result<()> {
        Ok(())
    }

    fn row(&mut self, values: &[SqlValue<'_>]) -> std::io::Result<()> {
        let value = |value: &SqlValue<'_>| match *value {
            SqlValue::Null | SqlValue::Blob(_) => Value::Null,
            SqlValue::Integer(number) => number.into(),
            SqlValue::Real(number) => number.into(),
            SqlValue::Text(text) => String::from_utf8_lossy(text).into_owned().into(),
        };
        self.0.push(values.iter().map(value).collect());
        Ok(())
    }
}
