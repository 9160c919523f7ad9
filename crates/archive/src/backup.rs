//! Backup and restore of what cannot be made again: archive.db and the lake.
//!
//! A backup is a directory with one consistent archive.db and the lake files that it lists; lake files never change, so
//! the next backup into the same directory copies only what is new. archive.db comes last, in both directions: what
//! lies under its name is always whole.
//!
//! Start at [`back_up`] and [`restore`]. Does not know library and previews: the library is the provider's, and previews
//! are made again.

use crate::error::{ArchiveError, ArchiveFault};
use crate::lake::{self, LakeError};
use crate::site::Site;
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// What a backup or restore did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupReport {
    /// Lake files copied.
    pub copied: u64,
    /// Their bytes, and those of archive.db.
    pub bytes: u64,
    /// Lake files that were there already.
    pub kept: u64,
    /// Lake files that are missing, or whose bytes are not those that were published.
    pub damaged: Vec<String>,
}

const DATABASE: &str = "archive.db";
const SNAPSHOT: &str = ".publishing-archive.db";

/// Brings a backup of a site up to date in a directory, while others may write into the site.
///
/// # Errors
/// [`ArchiveError`]; damaged lake files are in the report.
pub fn back_up(site: &Site, target: &Path) -> Result<BackupReport, ArchiveError> {
    let run = || -> Result<BackupReport, ArchiveFault> {
        files::create_dir(&lake_of(target)).map_err(at(target))?;
        let Some(_lock) = files::lock_dir(target).map_err(at(target))? else {
            let message = format!("another backup into {} is going on", target.display());
            return Err(ArchiveFault::Conflict(message));
        };
        let snapshot = target.join(SNAPSHOT);
        remove(&snapshot)?;
        let from = Connection::open_with_flags(site.database(), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        from.execute("VACUUM INTO ?1", [snapshot.to_string_lossy()])?;
        let mut report = copy_lake(&snapshot, &lake_of(site.root()), &lake_of(target))?;
        let file = File::open(&snapshot).map_err(at(&snapshot))?;
        file.sync_all().map_err(at(&snapshot))?;
        report.bytes += file.metadata().map_err(at(&snapshot))?.len();
        std::fs::rename(&snapshot, target.join(DATABASE)).map_err(at(target))?;
        files::sync_dir(target).map_err(at(target))?;
        Ok(report)
    };
    run().map_err(ArchiveError::during(format!("back up into {}", target.display())))
}

/// Lays archive.db and the lake of a backup into a site's directory, which has no archive.db.
///
/// # Errors
/// [`ArchiveError`]; a conflict when there is an archive.db.
pub fn restore(backup: &Path, root: &Path) -> Result<BackupReport, ArchiveError> {
    let run = || -> Result<BackupReport, ArchiveFault> {
        let (from, to) = (backup.join(DATABASE), root.join(DATABASE));
        if to.exists() {
            return Err(ArchiveFault::SiteExists(root.to_owned()));
        }
        if !from.is_file() {
            return Err(ArchiveFault::NoSite(backup.to_owned()));
        }
        // What a lost database left beside itself belongs to no other one.
        remove(&root.join("archive.db-wal"))?;
        remove(&root.join("archive.db-shm"))?;
        files::create_dir(&lake_of(root)).map_err(at(root))?;
        set_aside(&root.join("staging"))?;
        let mut report = copy_lake(&from, &lake_of(backup), &lake_of(root))?;
        report.bytes += copy(&from, &to, None)?.unwrap_or(0);
        Ok(report)
    };
    run().map_err(ArchiveError::during(format!("restore {}", backup.display())))
}

/// Copies the lake files that a database lists and that are not there yet.
fn copy_lake(database: &Path, from: &Path, to: &Path) -> Result<BackupReport, ArchiveFault> {
    let listed = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut select = listed.prepare(
        "SELECT path, max(file_size_bytes), max(xxhash64)
         FROM ducklake_data_file LEFT JOIN lake_file ON name = path GROUP BY path
         UNION ALL SELECT path, file_size_bytes, NULL FROM ducklake_delete_file",
    )?;
    let rows = select.query_map([], |r| Ok((r.get(0)?, (r.get(1)?, r.get(2)?))))?;
    let listed: BTreeMap<String, (u64, Option<String>)> = rows.collect::<Result<_, _>>()?;
    let mut report = BackupReport::default();
    for (name, (bytes, xxhash64)) in listed {
        let (from, to) = (from.join(&name), to.join(&name));
        let wanted = (bytes, xxhash64.as_deref());
        if is_there(&to, wanted)? {
            report.kept += 1;
        } else if let Some(copied) = copy(&from, &to, Some(wanted))? {
            report.copied += 1;
            report.bytes += copied;
        } else {
            report.damaged.push(name);
        }
    }
    Ok(report)
}

/// Length and, where it is known, XXH64.
type Wanted<'a> = (u64, Option<&'a str>);

/// Whether a file is there as it should be.
fn is_there(path: &Path, (bytes, xxhash64): Wanted<'_>) -> Result<bool, ArchiveFault> {
    if !std::fs::metadata(path).is_ok_and(|there| there.len() == bytes) {
        return Ok(false);
    }
    let Some(wanted) = xxhash64 else { return Ok(true) };
    let found = File::open(path).and_then(lake::xxhash64).map_err(at(path))?;
    Ok(found == wanted)
}

/// Publishes a copy and gives its bytes; none when the source is not what is wanted.
fn copy(from: &Path, to: &Path, wanted: Option<Wanted<'_>>) -> Result<Option<u64>, ArchiveFault> {
    let Ok(mut source) = File::open(from) else { return Ok(None) };
    let copied = files::publish(to, |file| -> Result<u64, CopyFault> {
        let mut summed = lake::Summed::new(&*file);
        let bytes = io::copy(&mut source, &mut summed).map_err(LakeError::io(from))?;
        let found = summed.finish();
        match wanted {
            Some((length, sum)) if length != bytes || sum.is_some_and(|sum| sum != found) => {
                Err(CopyFault::Damaged)
            }
            _ => Ok(bytes),
        }
    });
    match copied {
        Ok(bytes) => Ok(Some(bytes)),
        Err(CopyFault::Damaged) => Ok(None),
        Err(CopyFault::Lake(fault)) => Err(fault.into()),
    }
}

/// Why there is no copy.
enum CopyFault {
    Damaged,
    Lake(LakeError),
}

impl From<LakeError> for CopyFault {
    fn from(fault: LakeError) -> Self {
        Self::Lake(fault)
    }
}

impl From<files::PublishFault> for CopyFault {
    fn from(fault: files::PublishFault) -> Self {
        Self::Lake(fault.into())
    }
}

/// Results of a lost database must not meet the numbers of the restored one.
fn set_aside(staging: &Path) -> Result<(), ArchiveFault> {
    let aside = staging.with_extension("before-restore");
    let _ = std::fs::remove_dir_all(&aside);
    match std::fs::rename(staging, &aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(staging)(error)),
        _ => Ok(()),
    }
}

fn lake_of(root: &Path) -> PathBuf {
    root.join("lake/detection")
}

fn remove(path: &Path) -> Result<(), ArchiveFault> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> ArchiveFault {
    move |source| ArchiveFault::Io { path: path.to_owned(), source }
}
