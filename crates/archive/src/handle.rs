//! The control store, next to the metadata and detections: in the site's own SQLite file, or in a database on a server.
//!
//! [`Reader`] is a connection that reads, [`Archive`] one that writes too. Their methods are in the modules of the concepts: each
//! is one complete act in one transaction. A write is the only one at its time ([`Archive::write`]); a method reads everything
//! that it decides on inside that transaction. Foreign keys are enforced, commits are synced; the files `archive.db`, `-wal` and
//! `-shm` persist for readers of the group.
//!
//! Start at [`Reader::open`] and [`Archive::open`].

use crate::error::{ArchiveError, ArchiveFault};
use crate::retraction::deletions;
use crate::site::{self, Site};
use crate::{Timestamp, detections, migrations, partitions};
use engine::{Connection, Dialect, Kind, Server};
use rusqlite::OpenFlags;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Maximum time that a write waits for another process's write.
const BUSY: Duration = Duration::from_secs(60);

/// Returns the command that updates the rights of a site's roles.
fn roles_of(site: &Site) -> String {
    format!("`{}`", model::Advice::InitRoles { site: site.root().display().to_string() })
}

/// The purpose of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    Read,
    /// Reading and writing.
    Write,
    /// Creating the database, and then reading and writing.
    Create,
}

/// The archive of a site, open for reading: control store, metadata and detections.
#[derive(Debug)]
pub struct Reader {
    pub(crate) connection: Connection,
    pub(crate) site: Site,
    note: Option<String>,
}

/// The archive of a site, open for reading and writing. All methods of its [`Reader`] are its own.
#[derive(Debug)]
pub struct Archive {
    reader: Reader,
    pub(crate) stop: Arc<AtomicBool>,
    /// The time of a rehearsal, in which every write is rolled back: see [`Archive::open_rehearsal`].
    rehearsed: Option<Timestamp>,
    /// Keeps a move of the archive from beginning; only who writes has it.
    _at_work: Option<files::DirLock>,
}

impl Deref for Archive {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl Reader {
    /// Opens the archive of a site for reading.
    ///
    /// # Errors
    /// Returns an error when there is no archive, it is newer than the program, or its server is unsuitable.
    pub fn open(site: &Site) -> Result<Self, ArchiveError> {
        Self::connected(site, Access::Read)
    }

    /// Connects to an archive that exists and that this program can read.
    fn connected(site: &Site, access: Access) -> Result<Self, ArchiveError> {
        let fault = |fault| ArchiveError { act: "open the archive".to_owned(), fault };
        if site.lacks_database() {
            return Err(fault(site::absent(site)));
        }
        if site.is_embedded() && access != Access::Read {
            site.check_disk()?;
        }
        let (connection, note) = connect_noting(site, access).map_err(fault)?;
        let found = migrations::migration_number(&connection).map_err(fault)?;
        if found == 0 && !site.is_embedded() {
            let interrupted = crate::unfinished::interrupted(site.root());
            return Err(fault(interrupted.unwrap_or_else(|| site.without_archive())));
        }
        Ok(Self { connection, site: site.clone(), note })
    }

    /// Returns the site whose staging area and previews belong to this archive.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Returns a note for the user of this archive, if it could not be opened as usual.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Returns the facts about the database, and its faults: one sentence each.
    ///
    /// # Errors
    /// Returns an error when the database cannot be read.
    pub fn examine(&self) -> Result<(Vec<String>, Vec<String>), ArchiveError> {
        self.read("examine the database", |c| match c.dialect() {
            Dialect::Sqlite => Ok((Vec::new(), Vec::new())),
            Dialect::Postgres => {
                let (mut facts, mut faults) = partitions::examine(c)?;
                let (user, may_write): (String, bool) = c.query_row(
                    "SELECT current_user::text, has_table_privilege('unit', 'INSERT, UPDATE, DELETE')",
                    [],
                    |r| Ok((r.get(0)?, r.get(1)?)),
                )?;
                match may_write {
                    true => facts.push(format!("{user} may write to the database")),
                    false => faults.push(format!(
                        "{user} cannot write to the database: commands that change the archive fail for this login"
                    )),
                }
                let unreadable = crate::roles::unreadable(c)?;
                if !unreadable.is_empty() {
                    let roles = roles_of(&self.site);
                    faults.push(format!("readers cannot read {}: {roles}", unreadable.join(", ")));
                }
                Ok((facts, faults))
            }
        })
    }

    /// Runs several statements on one consistent view of the archive.
    ///
    /// # Errors
    /// Returns an error of the database or of `body`; `act` describes the act in the error.
    pub fn read<T>(
        &self,
        act: impl Into<String>,
        body: impl FnOnce(&Connection) -> Result<T, ArchiveFault>,
    ) -> Result<T, ArchiveError> {
        let run = || -> Result<T, ArchiveFault> {
            let tx = self.connection.begin(Kind::Read)?;
            body(&tx)
        };
        run().map_err(ArchiveError::during(act))
    }
}

impl Archive {
    /// Creates the archive of a new site.
    ///
    /// # Errors
    /// Returns an error when the site has an archive already, its disk is unsuitable, or its server cannot be reached.
    pub fn create(site: &Site, now: Timestamp) -> Result<Self, ArchiveError> {
        let lock = at_work(site)?;
        Ok(Self { _at_work: Some(lock), ..Self::create_alone(site, now)? })
    }

    /// Creates the archive for a caller that is the only process working on the site.
    ///
    /// # Errors
    /// As [`Archive::create`].
    pub fn create_alone(site: &Site, now: Timestamp) -> Result<Self, ArchiveError> {
        let exists = || ArchiveError {
            act: "create an archive".to_owned(),
            fault: ArchiveFault::SiteExists(site.root().to_owned()),
        };
        if site.is_embedded() {
            if site.database().exists() {
                return Err(exists());
            }
            site.check_disk()?;
        }
        let connection =
            connect(site, Access::Create).map_err(ArchiveError::during("create an archive"))?;
        if !site.is_embedded() {
            let found = migrations::migration_number(&connection)
                .map_err(ArchiveError::during("create an archive"))?;
            if found > 0 {
                return Err(ArchiveError {
                    act: "create an archive".to_owned(),
                    fault: ArchiveFault::Conflict(format!(
                        "{} holds an archive already",
                        site.location()
                    )),
                });
            }
        }
        let reader = Reader { connection, site: site.clone(), note: None };
        Ok(Self::of(reader).brought_up(now)?.without_remains())
    }

    /// Opens the archive of a site for writing. New migrations and columns are applied first, and a moved lake is recorded.
    ///
    /// # Errors
    /// Returns an error when there is no archive, it is newer than the program, or its disk or server is unsuitable.
    pub fn open(site: &Site, now: Timestamp) -> Result<Self, ArchiveError> {
        let lock = at_work(site)?;
        Ok(Self { _at_work: Some(lock), ..Self::open_alone(site, now)? })
    }

    /// Opens the archive for a caller that is the only process working on the site.
    ///
    /// # Errors
    /// As [`Archive::open`].
    pub fn open_alone(site: &Site, now: Timestamp) -> Result<Self, ArchiveError> {
        Ok(Self::connected(site)?.brought_up(now)?.without_remains())
    }

    /// Opens the archive for a rehearsal: as [`Archive::open`], and every write is rolled back after it has answered as it would,
    /// so that a command shows what it would do. Only for acts that change nothing but the database and the lake, whose new
    /// files are removed again. Remains of killed processes stay, and nothing is upgraded: each write begins with the upgrade.
    ///
    /// # Errors
    /// As [`Archive::open`].
    pub fn open_rehearsal(site: &Site, now: Timestamp) -> Result<Self, ArchiveError> {
        let lock = at_work(site)?;
        let mut archive = Self::connected(site)?.prepared()?;
        let fault = ArchiveError::during("open the archive");
        let found = migrations::migration_number(&archive.connection).map_err(fault)?;
        archive.reader.note = migrations::would_upgrade(found).or(archive.reader.note);
        Ok(Self { _at_work: Some(lock), rehearsed: Some(now), ..archive })
    }

    fn connected(site: &Site) -> Result<Self, ArchiveError> {
        Reader::connected(site, Access::Write).map(Self::of)
    }

    fn of(reader: Reader) -> Self {
        Self { reader, stop: Arc::default(), rehearsed: None, _at_work: None }
    }

    /// Sets the flag that interrupts loads and waits; the next run finds and resumes the interrupted work.
    pub fn stop_with(&mut self, stop: Arc<AtomicBool>) {
        self.stop = stop;
    }

    fn prepared(self) -> Result<Self, ArchiveError> {
        if let Some(sqlite) = self.connection.sqlite() {
            let prepare = || -> Result<(), ArchiveFault> {
                // With a limit, the last connection leaves the -wal empty; without, the next one reads megabytes that are in the
                // database already.
                sqlite.execute_batch(
                    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;\
                     PRAGMA journal_size_limit = 4194304;",
                )?;
                lake::keep_wal_files(sqlite)?;
                Ok(())
            };
            prepare().map_err(ArchiveError::during("prepare the archive"))?;
        }
        Ok(self)
    }

    fn brought_up(self, now: Timestamp) -> Result<Self, ArchiveError> {
        let mut archive = self.prepared()?;
        let site = archive.site.clone();
        let rights = archive
            .write("open", "upgrade the archive", |tx| migrations::bring_up(tx, &site, now))?;
        archive.reader.note = rights.map(|fault| {
            format!(
                "the rights of the database's roles are not up to date: {fault}: {}",
                roles_of(&site)
            )
        });
        if site.is_embedded() {
            for suffix in ["", "-wal", "-shm"] {
                let path = site.root().join(format!("archive.db{suffix}"));
                // `doctor` reports a group that cannot read, so the error does not stop the program.
                let _ = site::let_group_read(&path);
            }
        }
        Ok(archive)
    }

    /// Removes the remains of killed processes. The next process meets a failure here again, so the error does not stop the
    /// program.
    fn without_remains(mut self) -> Self {
        let _ = deletions::finish(&mut self);
        let _ = self.clear_abandoned();
        self
    }

    /// Waits for another process to change the archive, for a limited time. Returns `true` when one did. A change may be missed,
    /// so the result is only a hint.
    ///
    /// # Errors
    /// [`ArchiveError`] when the archive cannot be reached.
    pub fn await_change(&mut self, at_most: Duration) -> Result<bool, ArchiveError> {
        let changed = self.connection.await_change(at_most, &self.stop);
        changed.map_err(ArchiveError::during("wait for changes"))
    }

    /// Returns true when every write is rolled back.
    pub fn is_rehearsal(&self) -> bool {
        self.rehearsed.is_some()
    }

    /// Runs a write transaction. `point` names the crash points before and after its commit.
    ///
    /// # Errors
    /// Returns an error of the database or of `body`; `act` describes the act in the error.
    pub fn write<T>(
        &mut self,
        point: &str,
        act: impl Into<String>,
        body: impl FnOnce(&Connection) -> Result<T, ArchiveFault>,
    ) -> Result<T, ArchiveError> {
        let run = || -> Result<T, ArchiveFault> {
            let tx = self.connection.begin(Kind::Write)?;
            #[cfg(test)]
            let began = std::time::Instant::now();
            if let Some(now) = self.rehearsed {
                return detections::rehearsed(&tx, &self.site, |tx| {
                    migrations::bring_up(tx, &self.site, now)?;
                    body(tx)
                });
            }
            let value = body(&tx)?;
            files::crash_point(&format!("{point}:before-commit"));
            tx.commit()?;
            #[cfg(test)]
            crate::tests::load::note(began.elapsed());
            files::crash_point(&format!("{point}:after-commit"));
            Ok(value)
        };
        run().map_err(ArchiveError::during(act))
    }
}

/// Shares a site with other writing processes, so that no move of its archive starts before the lock is dropped.
///
/// # Errors
/// A conflict while an archive is being moved or restored.
pub fn at_work(site: &Site) -> Result<files::DirLock, ArchiveError> {
    let act = "work on the site";
    let io = |source| ArchiveFault::Io { path: site.root().to_owned(), source };
    let shared = files::share_dir(site.root()).map_err(io).map_err(ArchiveError::during(act))?;
    shared.ok_or_else(|| {
        let message = "the archive is being moved or restored: run the command again afterwards";
        ArchiveError::during(act)(ArchiveFault::Conflict(message.to_owned()))
    })
}

/// Connects to the archive of a site.
///
/// # Errors
/// Returns the engine's error.
pub fn connect(site: &Site, access: Access) -> Result<Connection, ArchiveFault> {
    Ok(connect_noting(site, access)?.0)
}

/// Connects to the archive, and returns a note for the user if it is not opened as usual.
fn connect_noting(
    site: &Site,
    access: Access,
) -> Result<(Connection, Option<String>), ArchiveFault> {
    if let Some(address) = site.address()? {
        return Ok((Connection::Postgres(Server::connect(&address)?), None));
    }
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if access == Access::Create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let (connection, note) = match access {
        Access::Read => engine::reading::open(&site.database())?,
        _ => (rusqlite::Connection::open_with_flags(site.database(), flags)?, None),
    };
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(200);
    // With QPSG, query plans do not depend on the values of parameters; without it, SQLite plans again for every value.
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.execute_batch(
        "PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536;",
    )?;
    Ok((Connection::Sqlite(connection), note))
}
