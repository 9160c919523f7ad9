//! Finding and opening the site that a command is for.

use crate::{config, failure, log, profiles};
use anyhow::Context;
use archive::Reader;
use model::Advice;
use std::path::{Path, PathBuf};

/// The archive of a site, embedded or on a server as configured.
pub use archive::Archive;

pub use crate::clock::{iso, now};
pub use crate::operator::{OPERATOR, operator};

/// A site with its configuration.
#[derive(Clone, Debug)]
pub struct Site {
    /// Paths of the site.
    pub place: archive::Site,
    /// Configuration of the site.
    pub config: config::Config,
}

impl Site {
    /// Opens the site that was named, else the one [`around`] the working directory.
    ///
    /// # Errors
    /// `Kind::Usage` when the directory is not a site, or its configuration does not parse.
    pub fn find(named: Option<PathBuf>) -> anyhow::Result<Self> {
        let (root, config) = configured(named)?;
        let place = archive::Site::open_on(&root, &config.database)?;
        let place = place.with_connections(config.work.workers());
        Ok(Self { place, config })
    }

    /// Returns the site like [`Site::find`], even when its archive is lost.
    ///
    /// # Errors
    /// `Kind::Usage` when the directory is not a site, or its configuration does not parse.
    pub fn find_without_archive(named: Option<PathBuf>) -> anyhow::Result<Self> {
        let (root, config) = configured(named)?;
        let place = archive::Site::at(&root)?.on(config.database.clone());
        Ok(Self { place, config })
    }

    /// Makes the process write to a log file of the site. The first call decides which.
    pub fn open_log(&self, writer: log::Writer) {
        log::open(&self.place.logs(), &self.config.log, writer);
    }

    /// Returns a subscriber for one of several loops of a process, with a log file of its own.
    pub fn loop_log(&self, writer: log::Writer) -> tracing::Dispatch {
        log::of_loop(&self.place.logs(), &self.config.log, writer)
    }

    /// Opens the archive of the site for reports.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub fn read(&self) -> anyhow::Result<Reader> {
        let archive = Reader::open(&self.place)?;
        noted(archive.note());
        Ok(archive)
    }

    /// Opens the archive of the site for work, and starts logging.
    ///
    /// # Errors
    /// When the database cannot be opened or updated.
    pub fn write(&self) -> anyhow::Result<Archive> {
        self.open_log(log::Writer::Commands);
        let archive = Archive::open(&self.place, now())?;
        noted(archive.note());
        Ok(archive)
    }

    /// Opens the archive for work, or in a dry run for a rehearsal of it, in which every write is rolled back.
    ///
    /// # Errors
    /// As [`Site::write`].
    pub fn write_or_rehearse(&self, is_dry_run: bool) -> anyhow::Result<Archive> {
        if !is_dry_run {
            return self.write();
        }
        let archive = Archive::open_rehearsal(&self.place, now())?;
        noted(archive.note());
        Ok(archive)
    }

    /// Returns the directories that hold delivered files: `library/`, then those on further disks.
    pub fn library_roots(&self) -> Vec<PathBuf> {
        let more = self.config.library.volumes.iter();
        let more = more.map(|volume| self.place.root().join(volume));
        [self.place.library()].into_iter().chain(more).collect()
    }

    /// Returns the files and directories of the site with permissions that its configuration forbids.
    ///
    /// # Errors
    /// When a directory cannot be listed.
    pub fn wide_permissions(&self) -> anyhow::Result<Vec<files::Wide>> {
        let roots = [self.place.root().to_owned()].into_iter().chain(self.library_roots());
        let roots: Vec<PathBuf> = roots.collect();
        files::wide_permissions(&roots, self.config.files.mask())
            .context("the permissions of the site's files cannot be read")
    }

    /// Reads the survey profiles of the site.
    ///
    /// # Errors
    /// `Kind::Usage` with all faults of all profiles.
    pub fn profiles(&self) -> anyhow::Result<Vec<profiles::Loaded>> {
        profiles::load(&self.place.surveys())
    }
}

/// Returns the directory of a site and its configuration.
fn configured(named: Option<PathBuf>) -> anyhow::Result<(PathBuf, config::Config)> {
    let root = match named {
        Some(path) if is_site(&path) => path,
        Some(path) => {
            return Err(failure::usage(format!(
                "{} is not a site: it has no {} (make one with `{}`)",
                path.display(),
                config::FILE_NAME,
                Advice::Init { site: path.display().to_string() }
            )));
        }
        None => around().ok_or_else(|| {
            failure::usage(
                "no site given: use --site DIR, or ALMAGEST_SITE, or run in a site's directory or below it",
            )
        })?,
    };
    let config = config::load(&root)?;
    if let Some(mask) = config.files.mask() {
        files::limit_permissions(Some(mask));
    }
    Ok((root, config))
}

/// Prints a note for readers of an archive, once.
pub fn noted(note: Option<&str>) {
    static TOLD: std::sync::Once = std::sync::Once::new();
    if let Some(note) = note {
        TOLD.call_once(|| log::tell!(WARN, "archive_note", "note: {note}"));
    }
}

/// Returns the site in which the working directory is: that itself, or the nearest directory above it that is a site.
pub fn around() -> Option<PathBuf> {
    let here = PathBuf::from(".");
    if is_site(&here) {
        return Some(here);
    }
    let working = std::env::current_dir().ok()?;
    working.ancestors().skip(1).find(|above| is_site(above)).map(Path::to_owned)
}

/// Returns whether a directory is a site.
pub fn is_site(root: &Path) -> bool {
    root.join(config::FILE_NAME).is_file()
}
