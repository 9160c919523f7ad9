//! Backup and restore of data that cannot be made again: archive.db and the lake, or the database on a server.
//!
//! A backup is a directory with one consistent archive.db and the lake files that it lists; lake files never change, so
//! the next backup into the same directory copies only new files. archive.db is written last, in both directions: a
//! file of its name is always whole. Of a server the backup holds a dump, and the detections batch by batch (`server`).
//! `ledger.json` lists the contents.
//!
//! Start at [`back_up`] and [`Restoration`]. This module does not handle library and previews: the library is the
//! provider's, and previews are made again.

mod ledger;
mod restoration;
mod server;

pub use restoration::Restoration;

use archive::Timestamp;
use archive::error::{ArchiveError, ArchiveFault};
use archive::history::Cause;
use archive::site::Site;
use archive::time::text_of;
use archive::unfinished::LastEvent;
use engine::Connection;
use lake::{self, LakeError};
use ledger::{Ledger, Listed};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Report of a backup or restore.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupReport {
    /// Files of detections copied.
    pub copied: u64,
    /// Their bytes, and those of the database.
    pub bytes: u64,
    /// Files that existed already.
    pub kept: u64,
    /// Files that could not be made: of the lake, missing or with bytes that differ from the published ones; of a
    /// server, batches with rows that differ from the published ones.
    pub damaged: Vec<String>,
}

const DATABASE: &str = "archive.db";
const SNAPSHOT: &str = ".publishing-archive.db";

/// The effect of a function that copies files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// The files are copied.
    Copy,
    /// A dry run: the files are checked and counted.
    Count,
}

/// Returns the report that [`back_up`] would make, and changes nothing. The bytes are those of the lake files and of archive.db
/// as it is; of a server, whose dump and rows have no length yet, they are 0.
///
/// # Errors
/// As [`back_up`].
pub fn prospect(site: &Site, target: &Path) -> Result<BackupReport, ArchiveError> {
    let run = || -> Result<BackupReport, ArchiveFault> {
        files::may_create_dir(target).map_err(at(target))?;
        let _lock = if target.exists() { Some(locked(target)?) } else { None };
        check_kind(site, target)?;
        if let Some(address) = site.address()? {
            return server::prospect(&address, site.lake_tables(), target);
        }
        let database = site.database();
        engine::relocation::check(&open(&database)?)?;
        let (from, to) = (lake_of(site.root()), lake_of(target));
        let (mut report, _) = copy_lake(&database, &from, &to, Effect::Count)?;
        report.bytes += database.metadata().map_err(at(&database))?.len();
        Ok(report)
    };
    run().map_err(ArchiveError::during(format!("back up into {}", target.display())))
}

/// Locks the directory of a backup for one process.
fn locked(target: &Path) -> Result<files::DirLock, ArchiveFault> {
    files::lock_dir(target).map_err(at(target))?.ok_or_else(|| {
        let message = format!("another backup into {} is running", target.display());
        ArchiveFault::Conflict(message)
    })
}

/// Checks that a directory is not the backup of an archive of the other engine.
fn check_kind(site: &Site, target: &Path) -> Result<(), ArchiveFault> {
    let of_server = Ledger::read(target)?.map(|ledger| ledger.is_of_server());
    if of_server.is_some_and(|of_server| of_server == site.is_embedded()) {
        let message =
            format!("{} is the backup of an archive on another kind of database", target.display());
        return Err(ArchiveFault::Conflict(message));
    }
    Ok(())
}

/// Updates a backup of a site in a directory, while other processes may write into the site.
///
/// # Errors
/// [`ArchiveError`]; damaged lake files are in the report.
pub fn back_up(site: &Site, target: &Path) -> Result<BackupReport, ArchiveError> {
    let run = || -> Result<BackupReport, ArchiveFault> {
        files::create_dir(target).map_err(at(target))?;
        let _lock = locked(target)?;
        check_kind(site, target)?;
        if let Some(address) = site.address()? {
            return server::back_up(&address, site.lake_tables(), target);
        }
        files::create_dir(&lake_of(target)).map_err(at(target))?;
        let snapshot = target.join(SNAPSHOT);
        remove(&snapshot)?;
        let from = open(&site.database())?;
        engine::relocation::check(&from)?;
        from.execute("VACUUM INTO ?1", [snapshot.to_string_lossy()])?;
        let (lake, copies) = (lake_of(site.root()), lake_of(target));
        let (mut report, detections) = copy_lake(&snapshot, &lake, &copies, Effect::Copy)?;
        files::crash_point("backup:copied");
        let file = File::open(&snapshot).map_err(at(&snapshot))?;
        file.sync_all().map_err(at(&snapshot))?;
        let bytes = file.metadata().map_err(at(&snapshot))?.len();
        report.bytes += bytes;
        let xxh64 = lake::xxhash64(file).map_err(at(&snapshot))?;
        let last_event = LastEvent::of(&Connection::Sqlite(open(&snapshot)?))?;
        let database = Listed { name: DATABASE.to_owned(), bytes, xxh64, rows: None };
        let mut ledger = Ledger::new(site.root().display().to_string(), last_event, database);
        ledger.detections = detections;
        std::fs::rename(&snapshot, target.join(DATABASE)).map_err(at(target))?;
        files::sync_dir(target).map_err(at(target))?;
        files::crash_point("backup:written");
        ledger.write(target)?;
        Ok(report)
    };
    run().map_err(ArchiveError::during(format!("back up into {}", target.display())))
}

/// The reason for which rounds are restarted after a restore.
const RESULTS_LOST: &str = "the results of the task are not in the backup that was restored";

/// Returns the statements that restart rounds whose results are lost after a restore.
fn after_restore_sql(now: Timestamp) -> String {
    start_again_sql(now, &Cause::new("restore", RESULTS_LOST), "restored")
}

/// Returns the statements that restart rounds whose results are lost. `check` is the check that their staged batches
/// failed.
pub(crate) fn start_again_sql(now: Timestamp, cause: &Cause, check: &str) -> String {
    let values = [
        ("now", text_of(now)),
        ("who", cause.who.clone()),
        ("why", cause.why.clone()),
        ("check", check.to_owned()),
        ("software", concat!("almagest ", env!("CARGO_PKG_VERSION")).to_owned()),
    ];
    let mut parts = include_str!("unfinished.sql").split(':');
    let mut sql = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let named = values.iter().find_map(|(name, value)| Some((value, part.strip_prefix(name)?)));
        match named {
            Some((value, rest)) => sql += &(engine::text(value) + rest),
            None => sql += &format!(":{part}"),
        }
    }
    sql
}

fn open(database: &Path) -> Result<rusqlite::Connection, ArchiveFault> {
    Ok(engine::reading::open(database)?.0)
}

/// Copies the lake files that a database lists and that do not exist yet; returns those that exist now. A dry run copies none.
fn copy_lake(
    database: &Path,
    from: &Path,
    to: &Path,
    effect: Effect,
) -> Result<(BackupReport, Vec<Listed>), ArchiveFault> {
    let c = open(database)?;
    let mut select = c.prepare(
        "SELECT t.path || f.path, max(file_size_bytes), max(xxhash64)
         FROM ducklake_data_file AS f JOIN ducklake_table AS t USING (table_id)
             LEFT JOIN lake_file ON name = f.path GROUP BY 1
         UNION ALL SELECT t.path || f.path, file_size_bytes, NULL
         FROM ducklake_delete_file AS f JOIN ducklake_table AS t USING (table_id)",
    )?;
    let rows = select.query_map([], |r| Ok((r.get(0)?, (r.get(1)?, r.get(2)?))))?;
    let listed: BTreeMap<String, (u64, Option<String>)> = rows.collect::<Result<_, _>>()?;
    let (mut report, mut there) = (BackupReport::default(), Vec::new());
    if effect == Effect::Copy {
        let mut select = c.prepare("SELECT DISTINCT path FROM ducklake_table")?;
        for directory in select.query_map([], |r| r.get::<_, String>(0))? {
            files::create_dir(&to.join(directory?)).map_err(at(to))?;
        }
    }
    for (name, (bytes, xxhash64)) in listed {
        let (from, to) = (from.join(&name), to.join(&name));
        let wanted = (bytes, xxhash64.as_deref());
        let path = format!("lake/{name}");
        if is_there(&to, wanted)? {
            report.kept += 1;
        } else if effect == Effect::Count {
            match is_there(&from, wanted)? {
                true => (report.copied, report.bytes) = (report.copied + 1, report.bytes + bytes),
                false => report.damaged.push(path),
            }
            continue;
        } else if let Some(copied) = copy(&from, &to, Some(wanted))? {
            report.copied += 1;
            report.bytes += copied;
        } else {
            report.damaged.push(path);
            continue;
        }
        let xxh64 = match xxhash64 {
            Some(sum) => sum,
            None => File::open(&to).and_then(lake::xxhash64).map_err(at(&to))?,
        };
        there.push(Listed { name: path, bytes, xxh64, rows: None });
    }
    Ok((report, there))
}

/// Length and, where it is known, XXH64.
type Wanted<'a> = (u64, Option<&'a str>);

/// Returns true when a file exists with the wanted length and content.
fn is_there(path: &Path, (bytes, xxhash64): Wanted<'_>) -> Result<bool, ArchiveFault> {
    if !std::fs::metadata(path).is_ok_and(|there| there.len() == bytes) {
        return Ok(false);
    }
    let Some(wanted) = xxhash64 else { return Ok(true) };
    let found = File::open(path).and_then(lake::xxhash64).map_err(at(path))?;
    Ok(found == wanted)
}

/// Publishes a copy and returns its bytes; `None` when the source is not the wanted one.
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

/// The reason that there is no copy.
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

/// Sets the results of a lost database aside: they must not be mistaken for results of the same numbers in the restored
/// one.
fn set_aside(staging: &Path) -> Result<(), ArchiveFault> {
    let is_empty = std::fs::read_dir(staging).map_or(true, |mut entries| entries.next().is_none());
    if is_empty {
        return Ok(()); // also when an interrupted restore did this
    }
    let aside = staging.with_extension("before-restore");
    let _ = std::fs::remove_dir_all(&aside);
    std::fs::rename(staging, &aside).map_err(at(staging))?;
    files::create_dir(staging).map_err(at(staging))
}

fn lake_of(root: &Path) -> PathBuf {
    root.join("lake")
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
