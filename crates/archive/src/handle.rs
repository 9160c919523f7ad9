//! The control store, next to the metadata and detections: in the site's own SQLite file, or in a database on a server.
//!
//! [`Reader`] is a connection that reads, [`Archive`] one that writes too. Their methods are in the modules of the concepts: each
//! is one complete act in one transaction. A write is the only one at its time ([`Archive::write`]); a method reads everything
//! that it decides on inside that transaction. Foreign keys are enforced, commits are synced; the files `archive.db`, `-wal` and
//! `-shm` persist for readers of the group.
//!
//! This module does not depend on the modules of the concepts. [`Reader::open`] and [`Archive::open`], which do, are in
//! [`crate::open`].

use crate::Timestamp;
use crate::error::{ArchiveError, ArchiveFault};
use crate::site::Site;
use engine::{Connection, Kind, Server};
use rusqlite::OpenFlags;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Maximum time that a write waits for another process's write.
const BUSY: Duration = Duration::from_secs(60);

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
    /// A note for the user, if the archive could not be opened as usual.
    pub(crate) note: Option<String>,
}

/// The archive of a site, open for reading and writing. All methods of its [`Reader`] are its own.
#[derive(Debug)]
pub struct Archive {
    pub(crate) reader: Reader,
    pub(crate) stop: Arc<AtomicBool>,
    /// The rehearsal, in which every write is rolled back: see [`Archive::open_rehearsal`].
    pub(crate) rehearsal: Option<Rehearsal>,
    /// Keeps a move of the archive from beginning; only who writes has it.
    pub(crate) _at_work: Option<files::DirLock>,
}

/// A rehearsal of writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rehearsal {
    /// Time of the rehearsal.
    pub now: Timestamp,
    /// The upgrade of the schema, with which each write begins.
    pub upgrade: fn(&Connection, &Site, Timestamp) -> Result<Option<String>, ArchiveFault>,
}

impl Deref for Archive {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl Reader {
    /// Returns the site whose staging area and previews belong to this archive.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Returns a note for the user of this archive, if it could not be opened as usual.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
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
    /// Returns the archive that a connection writes to.
    pub(crate) fn of(reader: Reader) -> Self {
        Self { reader, stop: Arc::default(), rehearsal: None, _at_work: None }
    }

    /// Sets the flag that interrupts loads and waits; the next run finds and resumes the interrupted work.
    pub fn stop_with(&mut self, stop: Arc<AtomicBool>) {
        self.stop = stop;
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
        self.rehearsal.is_some()
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
            if let Some(Rehearsal { now, upgrade }) = self.rehearsal {
                return rehearsed(&tx, &self.site, |tx| {
                    upgrade(tx, &self.site, now)?;
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

/// Runs a write that is rolled back afterwards. The lake's files of ended rows that it wrote are removed, as long as the
/// transaction keeps other writers out.
fn rehearsed<T>(
    tx: &Connection,
    site: &Site,
    body: impl FnOnce(&Connection) -> Result<T, ArchiveFault>,
) -> Result<T, ArchiveFault> {
    let Some(sqlite) = tx.sqlite() else { return body(tx) };
    let before = lake::latest_snapshot(sqlite)?;
    let value = body(tx);
    for path in lake::ended_rows_since(sqlite, &site.lake(), before)? {
        // A file that stays belongs to no event: the next process that writes removes it.
        let _ = files::remove_below(&site.lake(), &path);
    }
    value
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
pub(crate) fn connect_noting(
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
