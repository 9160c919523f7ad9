//! Backup and restore of what cannot be made again: archive.db and the lake, or the database on a server.
//!
//! A server's database is dumped by its own pg_dump, in one consistent view while others write, and brought back by
//! pg_restore; both find the password in their environment.
//!
//! A backup is a directory with one consistent archive.db and the lake files that it lists; lake files never change, so
//! the next backup into the same directory copies only what is new. archive.db comes last, in both directions: what
//! lies under its name is always whole.
//!
//! Start at [`back_up`] and [`restore`]. Does not know library and previews: the library is the provider's, and previews
//! are made again.

use crate::engine::{Address, Connection, Database, Server};
use crate::error::{ArchiveError, ArchiveFault};
use crate::lake::{self, LakeError};
use crate::site::Site;
use rusqlite::OpenFlags;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
const DUMP: &str = "archive.dump";
const SNAPSHOT: &str = ".publishing-archive.db";

/// Brings a backup of a site up to date in a directory, while others may write into the site.
///
/// # Errors
/// [`ArchiveError`]; damaged lake files are in the report.
pub fn back_up(site: &Site, target: &Path) -> Result<BackupReport, ArchiveError> {
    let run = || -> Result<BackupReport, ArchiveFault> {
        if let Some(address) = site.address()? {
            return dump(&address, target);
        }
        files::create_dir(&lake_of(target)).map_err(at(target))?;
        let Some(_lock) = files::lock_dir(target).map_err(at(target))? else {
            let message = format!("another backup into {} is going on", target.display());
            return Err(ArchiveFault::Conflict(message));
        };
        let snapshot = target.join(SNAPSHOT);
        remove(&snapshot)?;
        let from = rusqlite::Connection::open_with_flags(
            site.database(),
            OpenFlags::SQLITE_OPEN_READ_ONLY,
        )?;
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

/// Lays archive.db and the lake of a backup into a site's directory, which has no archive.db, or a dump into an empty
/// database of a server.
///
/// # Errors
/// [`ArchiveError`]; a conflict when there is an archive already, or the backup is one of the other kind.
pub fn restore(
    backup: &Path,
    root: &Path,
    database: &Database,
) -> Result<BackupReport, ArchiveError> {
    let run = || -> Result<BackupReport, ArchiveFault> {
        let is_dump = backup.join(DUMP).is_file();
        if is_dump != database.url.is_some() {
            let message = match is_dump {
                true => {
                    "the backup is one of an archive on a server: name an empty database by --database"
                }
                false => "the backup is one of an embedded archive: restore it without --database",
            };
            return Err(ArchiveFault::Conflict(message.to_owned()));
        }
        if is_dump {
            return bring_back(&Address::of(database)?, backup, root);
        }
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

/// Dumps a server's database under a temporary name, then under its own.
fn dump(address: &Address, target: &Path) -> Result<BackupReport, ArchiveFault> {
    files::create_dir(target).map_err(at(target))?;
    let Some(_lock) = files::lock_dir(target).map_err(at(target))? else {
        let message = format!("another backup into {} is going on", target.display());
        return Err(ArchiveFault::Conflict(message));
    };
    let unfinished = target.join(".publishing-archive.dump");
    remove(&unfinished)?;
    let mut command = Command::new("pg_dump");
    command.args(["--format=custom", "--no-owner", "--no-privileges", "--file"]).arg(&unfinished);
    run_tool(&mut command, address)?;
    let file = File::open(&unfinished).map_err(at(&unfinished))?;
    file.sync_all().map_err(at(&unfinished))?;
    let bytes = file.metadata().map_err(at(&unfinished))?.len();
    std::fs::rename(&unfinished, target.join(DUMP)).map_err(at(target))?;
    files::sync_dir(target).map_err(at(target))?;
    Ok(BackupReport { bytes, ..BackupReport::default() })
}

/// Brings a dump back into a database without an archive, wholly or not at all.
fn bring_back(address: &Address, backup: &Path, root: &Path) -> Result<BackupReport, ArchiveFault> {
    let server = Connection::Postgres(Server::connect(address)?);
    let is_taken: bool =
        server.query_row("SELECT to_regclass('migration') IS NOT NULL", [], |r| r.get(0))?;
    if is_taken {
        return Err(ArchiveFault::Conflict(format!("{address} holds an archive already")));
    }
    let dump = backup.join(DUMP);
    let mut command = Command::new("pg_restore");
    command.args(["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]);
    command.arg("--dbname").arg(address.database()).arg(&dump);
    run_tool(&mut command, address)?;
    set_aside(&root.join("staging"))?;
    let bytes = std::fs::metadata(&dump).map_err(at(&dump))?.len();
    Ok(BackupReport { bytes, ..BackupReport::default() })
}

/// Runs one of PostgreSQL's own programs on a database.
fn run_tool(command: &mut Command, address: &Address) -> Result<(), ArchiveFault> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.envs(address.environment()).stdin(Stdio::null());
    let out = command.output().map_err(|source| ArchiveFault::Io {
        path: PathBuf::from(format!("{program} (of PostgreSQL's client programs)")),
        source,
    })?;
    if out.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&out.stderr);
    let said = said.lines().next().unwrap_or_default();
    Err(ArchiveFault::Damaged(format!("{program} failed: {said}")))
}

/// Copies the lake files that a database lists and that are not there yet.
fn copy_lake(database: &Path, from: &Path, to: &Path) -> Result<BackupReport, ArchiveFault> {
    let listed = rusqlite::Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
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
