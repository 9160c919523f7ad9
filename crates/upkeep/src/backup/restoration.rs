//! A restore, which may be interrupted at any point and repeated.
//!
//! It is noted in the site's directory before anything is changed. As long as the note exists, a database with the last
//! event of the backup is the product of an interrupted restore, and not another archive.

use super::ledger::Ledger;
use super::{
    BackupReport, DATABASE, Effect, SNAPSHOT, after_restore_sql, at, copy, copy_lake, lake_of,
    open, remove, server, set_aside,
};
use archive::Timestamp;
use archive::unfinished::{LastEvent, Note, RESTORING};
use archive::{ArchiveError, ArchiveFault};
use engine::{Address, Connection, Database, Server};
use lake::LakeTable;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A restore in progress: a backup, a site, and the database of its archive.
#[derive(Debug)]
pub struct Restoration {
    backup: PathBuf,
    root: PathBuf,
    database: Database,
    of_server: Option<Ledger>,
    is_restored: bool,
    lake_tables: &'static [LakeTable],
}

impl Restoration {
    /// Returns the same restore of an archive with other lake tables than those that `model::tables` defines.
    pub fn with_lake_tables(mut self, lake_tables: &'static [LakeTable]) -> Self {
        self.lake_tables = lake_tables;
        self
    }

    /// Checks that a backup can be restored into a site's directory, which has no archive, or into an empty database of
    /// a server; resumes a restore that was interrupted. `roles`: the caller makes the roles of the database
    /// afterwards, and so does the command that repeats the restore.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when there is an archive already, or the backup is one of the other kind.
    pub fn begin(
        backup: &Path,
        root: &Path,
        database: &Database,
        roles: bool,
    ) -> Result<Self, ArchiveError> {
        let run = || -> Result<Self, ArchiveFault> {
            let (restoration, note) = Self::checked(backup, root, database, roles)?;
            files::create_dir(root).map_err(at(root))?;
            let text = serde_json::to_vec_pretty(&note)
                .map_err(|e| ArchiveFault::Damaged(format!("a note: {e}")))?;
            files::publish_bytes(&root.join(RESTORING), &text).map_err(lake::LakeError::from)?;
            files::crash_point("restore:noted");
            Ok(restoration)
        };
        run().map_err(ArchiveError::during(restore_act(backup)))
    }

    /// Returns the report that the restore would make, after the checks of [`Restoration::begin`], and changes nothing.
    ///
    /// # Errors
    /// As [`Restoration::begin`] and [`Restoration::run`].
    pub fn prospect(
        backup: &Path,
        root: &Path,
        database: &Database,
        roles: bool,
    ) -> Result<BackupReport, ArchiveError> {
        let run = || -> Result<BackupReport, ArchiveFault> {
            let (restoration, _) = Self::checked(backup, root, database, roles)?;
            let lakes = (lake_of(backup), lake_of(root));
            match &restoration.of_server {
                Some(ledger) if restoration.is_restored => Ok(Self::all_kept(ledger)),
                Some(ledger) => server::counted(backup, ledger),
                None if restoration.is_restored => {
                    let listed = root.join(DATABASE);
                    Ok(copy_lake(&listed, &lakes.0, &lakes.1, Effect::Count)?.0)
                }
                None => {
                    let listed = backup.join(DATABASE);
                    let (mut report, _) = copy_lake(&listed, &lakes.0, &lakes.1, Effect::Count)?;
                    report.bytes += listed.metadata().map_err(at(&listed))?.len();
                    Ok(report)
                }
            }
        };
        run().map_err(ArchiveError::during(restore_act(backup)))
    }

    fn checked(
        backup: &Path,
        root: &Path,
        database: &Database,
        roles: bool,
    ) -> Result<(Self, Note), ArchiveFault> {
        let of_server = Ledger::read(backup)?.filter(Ledger::is_of_server);
        if of_server.is_some() != database.url.is_some() {
            let message = match of_server.is_some() {
                true => {
                    "the backup is one of an archive on a server: name an empty database by --database"
                }
                false => "the backup is one of an embedded archive: restore it without --database",
            };
            return Err(ArchiveFault::Conflict(message.to_owned()));
        }
        let last_event = match &of_server {
            Some(ledger) => ledger.last_event.clone(),
            None if !backup.join(DATABASE).is_file() => {
                return Err(ArchiveFault::NoSite(backup.to_owned()));
            }
            None => {
                let held = open(&backup.join(DATABASE))?;
                archive::migrations::check_embedded(&held)?;
                LastEvent::of(&Connection::Sqlite(held))?
            }
        };
        let note = Note {
            backup: std::path::absolute(backup).map_err(at(backup))?,
            database: database.url.clone(),
            password_file: database.password_file.clone(),
            roles,
            last_event,
        };
        let existing = existing(root, database)?;
        let is_restored = match &existing {
            None => false,
            Some(c)
                if Note::of(root).is_some_and(|noted| noted.is_same(&note))
                    && note.last_event.is_in(c)? =>
            {
                true
            }
            Some(_) => return Err(taken(root, database)),
        };
        if let Some(ledger) = of_server.as_ref().filter(|_| !is_restored) {
            server::check_dump(backup, ledger)?;
        }
        let (backup, root) = (backup.to_owned(), root.to_owned());
        let database = database.clone();
        let lake_tables = lake::tables();
        Ok((Self { backup, root, database, of_server, is_restored, lake_tables }, note))
    }

    /// Copies archive.db and the lake into the site, or the dump into the database. Rounds that were not ingested are
    /// restarted: staged results are in no backup.
    ///
    /// # Errors
    /// [`ArchiveError`]
    pub fn run(&self, now: Timestamp) -> Result<BackupReport, ArchiveError> {
        let run = || match &self.of_server {
            Some(ledger) => self.fill_server(ledger, now),
            None => self.fill_site(now),
        };
        run().map_err(ArchiveError::during(restore_act(&self.backup)))
    }

    /// Removes the note: the site is complete.
    ///
    /// # Errors
    /// [`ArchiveError`] when it cannot be removed.
    pub fn end(self) -> Result<(), ArchiveError> {
        remove(&self.root.join(RESTORING)).map_err(ArchiveError::during(restore_act(&self.backup)))
    }

    fn fill_server(&self, ledger: &Ledger, now: Timestamp) -> Result<BackupReport, ArchiveFault> {
        set_aside(&self.root.join("staging"))?;
        let report = if self.is_restored {
            Self::all_kept(ledger)
        } else {
            let address = Address::of(&self.database)?;
            server::bring_back(&address, self.lake_tables, (&self.backup, ledger), now)?
        };
        files::crash_point("restore:restored");
        Ok(report)
    }

    /// Returns the report about a server's database that an interrupted restore filled.
    fn all_kept(ledger: &Ledger) -> BackupReport {
        BackupReport { kept: ledger.detections.len() as u64 + 1, ..BackupReport::default() }
    }

    fn fill_site(&self, now: Timestamp) -> Result<BackupReport, ArchiveFault> {
        let (from, to) = (self.backup.join(DATABASE), self.root.join(DATABASE));
        let root = &self.root;
        files::create_dir(&lake_of(root)).map_err(at(root))?;
        if self.is_restored {
            let lakes = (lake_of(&self.backup), lake_of(root));
            let (report, _) = copy_lake(&to, &lakes.0, &lakes.1, Effect::Copy)?;
            return Ok(report);
        }
        // Files that a lost database left in its directory do not belong to another one.
        remove(&root.join("archive.db-wal"))?;
        remove(&root.join("archive.db-shm"))?;
        set_aside(&root.join("staging"))?;
        let lakes = (lake_of(&self.backup), lake_of(root));
        let (mut report, _) = copy_lake(&from, &lakes.0, &lakes.1, Effect::Copy)?;
        files::crash_point("restore:lake");
        let unfinished = root.join(SNAPSHOT);
        remove(&unfinished)?;
        report.bytes += copy(&from, &unfinished, None)?.unwrap_or(0);
        let connection = rusqlite::Connection::open(&unfinished)?;
        connection.execute_batch(&format!("BEGIN; {} COMMIT;", after_restore_sql(now)))?;
        connection.close().map_err(|(_, fault)| fault)?;
        let file = File::open(&unfinished).map_err(at(&unfinished))?;
        file.sync_all().map_err(at(&unfinished))?;
        files::crash_point("restore:before-rename");
        std::fs::rename(&unfinished, &to).map_err(at(&to))?;
        files::sync_dir(root).map_err(at(root))?;
        files::crash_point("restore:restored");
        Ok(report)
    }
}

fn restore_act(backup: &Path) -> String {
    format!("restore {}", backup.display())
}

/// Returns the archive at the place of a restore.
fn existing(root: &Path, database: &Database) -> Result<Option<Connection>, ArchiveFault> {
    if database.url.is_none() {
        let path = root.join(DATABASE);
        return Ok(if path.exists() { Some(Connection::Sqlite(open(&path)?)) } else { None });
    }
    let c = Connection::Postgres(Server::connect(&Address::of(database)?)?);
    let is_taken: bool =
        c.query_row("SELECT to_regclass('migration') IS NOT NULL", [], |r| r.get(0))?;
    Ok(is_taken.then_some(c))
}

fn taken(root: &Path, database: &Database) -> ArchiveFault {
    match &database.url {
        None => ArchiveFault::SiteExists(root.to_owned()),
        Some(url) => ArchiveFault::Conflict(format!("{url} holds an archive already")),
    }
}
