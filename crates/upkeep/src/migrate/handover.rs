//! The order in which one archive closes and the other opens, so that both can never be writable at the same instant.
//!
//! 1. The new archive is filled, and committed as *arriving*: closed for every process.
//! 2. The old archive is closed as *moved*, in the transaction that read it.
//! 3. The new archive is opened (*arrived*).
//! 4. The caller switches the configuration over, and sets the old archive aside.
//!
//! After an interruption before 2, the old archive is in use, and the next move discards the copy. After an
//! interruption later than 2, the next move does the remaining steps.

use super::{ACT, Moved, conflict};
use archive::error::{ArchiveError, ArchiveFault};
use archive::time::text_of;
use archive::unfinished::MIGRATED;
use archive::{Access, Site, Timestamp, connect};
use engine::relocation::{self, Relocation, RelocationState};
use engine::{Connection, Kind, Transaction};
use rusqlite::OpenFlags;
use std::path::Path;
use std::time::Duration;

/// Greatest time for which readers of an archive may hold its log.
const MAX_READ: Duration = Duration::from_secs(60);

/// One move: its source, its target, and its identifier.
pub(super) struct Handover {
    from: String,
    to: String,
    word: String,
    password_file: Option<String>,
    now: String,
}

/// The contents of a target before a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// An archive without events.
    Nothing,
    /// A file in which no table was made: a process was killed while making an embedded archive.
    Blank,
    /// A copy that was never opened.
    Copied,
    /// An archive that has been used.
    InUse,
}

impl Handover {
    pub(super) fn begin(site: &Site, target: &Site, now: Timestamp) -> Self {
        Self {
            from: site.location(),
            to: target.location(),
            word: format!("{}-{}", now.timestamp_micros(), std::process::id()),
            password_file: password_file_of(target),
            now: text_of(now),
        }
    }

    fn row(&self, state: RelocationState, place: &str) -> Relocation {
        Relocation { state, word: self.word.clone(), place: place.to_owned(), password_file: None }
    }

    /// Commits the copy, closed.
    pub(super) fn copied(&self, tx: Transaction<'_>) -> Result<(), ArchiveFault> {
        relocation::set(&tx, &self.row(RelocationState::Arriving, &self.from), &self.now)?;
        files::crash_point("migrate:before-commit");
        tx.commit()?;
        files::crash_point("migrate:copied");
        Ok(())
    }

    /// Closes the old archive, in the transaction that read it.
    pub(super) fn close(&self, held: Transaction<'_>) -> Result<(), ArchiveFault> {
        let row = Relocation {
            password_file: self.password_file.clone(),
            ..self.row(RelocationState::Moved, &self.to)
        };
        relocation::set(&held, &row, &self.now)?;
        files::crash_point("migrate:before-close");
        held.commit()?;
        files::crash_point("migrate:closed");
        Ok(())
    }

    /// Opens the new archive.
    pub(super) fn open(&self, to: &Connection) -> Result<(), ArchiveFault> {
        let tx = to.begin(Kind::Move)?;
        relocation::set(&tx, &self.row(RelocationState::Arrived, &self.from), &self.now)?;
        tx.commit()?;
        files::crash_point("migrate:opened");
        Ok(())
    }
}

/// Returns the file of the password of a site's database, for the column of a relocation.
pub(super) fn password_file_of(site: &Site) -> Option<String> {
    let file = site.store().password_file.as_deref()?;
    Some(site.root().join(file).to_string_lossy().into_owned())
}

/// Does the remaining steps of a move whose old archive is closed.
pub(super) fn resume(site: &Site, target: &Site, now: Timestamp) -> Result<Moved, ArchiveError> {
    let rows = |site: &Site| -> Result<Vec<Relocation>, ArchiveFault> {
        Ok(relocation::all(&connect(site, Access::Read)?)?)
    };
    let during = ArchiveError::during::<ArchiveFault>;
    let old = rows(site).map_err(during(ACT))?;
    let Some(moved) = old.into_iter().find(Relocation::is_moved) else {
        return Err(conflict("this archive is a copy that was not confirmed"));
    };
    if moved.is_reopening() {
        let message = format!(
            "this archive is closed, because the one at {} was reopened: finish the reopening",
            moved.place
        );
        return Err(conflict(&message));
    }
    if moved.place != target.location() {
        return Err(conflict(&format!("the archive has moved to {} already", moved.place)));
    }
    let handover = Handover { word: moved.word.clone(), ..Handover::begin(site, target, now) };
    let new = rows(target).map_err(during(ACT))?;
    match new.iter().find(|row| row.word == moved.word).map(|row| row.state) {
        Some(RelocationState::Arriving) => {
            let to = connect(target, Access::Write).map_err(during(ACT))?;
            handover.open(&to).map_err(during(ACT))?;
        }
        Some(RelocationState::Arrived) => {}
        _ => {
            let message = format!(
                "the archive has moved to {}, which no longer holds the copy: repair it, or \
                 reopen the old archive",
                moved.place
            );
            return Err(conflict(&message));
        }
    }
    Ok(Moved { was_copied: true, ..Moved::default() })
}

/// Returns the contents of an existing archive in the place of a move.
pub(super) fn progress(target: &Site) -> Result<Progress, ArchiveError> {
    let read = || -> Result<Progress, ArchiveFault> {
        let c = connect(target, Access::Read)?;
        if is_blank(&c)? {
            return Ok(Progress::Blank);
        }
        match relocation::all(&c)?.first().map(|row| row.state) {
            Some(RelocationState::Arriving) => return Ok(Progress::Copied),
            Some(_) => return Ok(Progress::InUse),
            None => {}
        }
        let events: i64 = c.query_row("SELECT count(*) FROM event", [], |r| r.get(0))?;
        Ok(if events == 0 { Progress::Nothing } else { Progress::InUse })
    };
    read().map_err(ArchiveError::during(ACT))
}

/// Returns true when an embedded archive was only begun: its file exists, and holds no table.
fn is_blank(c: &Connection) -> Result<bool, ArchiveFault> {
    let Some(sqlite) = c.sqlite() else { return Ok(false) };
    let count = "SELECT count(*) FROM sqlite_schema";
    Ok(sqlite.query_row(count, [], |r| r.get::<_, i64>(0))? == 0)
}

/// Sets an embedded archive aside that has moved to a server: `archive.db` becomes `archive.db.migrated`. Returns the
/// place to which it moved; `None` when there is no such archive.
///
/// # Errors
/// [`ArchiveError`]
pub fn set_aside(site: &Site) -> Result<Option<String>, ArchiveError> {
    let old = site.clone().on(engine::Database::default());
    if !old.database().is_file() {
        return Ok(None);
    }
    let run = || -> Result<Option<String>, ArchiveFault> {
        let c = connect(&old, Access::Read)?;
        if is_blank(&c)? {
            return Ok(None);
        }
        let rows = relocation::all(&c)?;
        drop(c);
        let Some(moved) = rows.into_iter().find(Relocation::is_moved) else {
            return Ok(None);
        };
        rename_database(site.root(), "archive.db", MIGRATED, "migrate:aside")?;
        Ok(Some(moved.place))
    };
    run().map_err(ArchiveError::during("set the old archive aside"))
}

/// Renames a database of the site's directory, with the files of its log. All of the log is in the database before the first
/// rename, so that the database is complete under either name if the process is killed in between.
pub(super) fn rename_database(
    root: &Path,
    from: &str,
    to: &str,
    instant: &str,
) -> Result<(), ArchiveFault> {
    empty_log(&root.join(from))?;
    files::crash_point(&format!("{instant}-checkpointed"));
    // The database is renamed last: where it exists under the new name, the others have their new names too.
    for suffix in ["-wal", "-shm", ""] {
        let path = |name: &str| root.join(format!("{name}{suffix}"));
        let source = path(from);
        match std::fs::rename(&source, path(to)) {
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound && !suffix.is_empty() => {}
            done => done.map_err(|fault| ArchiveFault::Io { path: source, source: fault })?,
        }
        files::crash_point(&format!("{instant}{suffix}-renamed"));
    }
    files::sync_dir(root).map_err(|source| ArchiveFault::Io { path: root.to_owned(), source })
}

/// Writes all of a database's log into the database.
fn empty_log(path: &Path) -> Result<(), ArchiveFault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let c = rusqlite::Connection::open_with_flags(path, flags)?;
    c.busy_timeout(MAX_READ)?;
    let row = |r: &rusqlite::Row<'_>| Ok((r.get(0)?, r.get(1)?, r.get(2)?));
    let (is_busy, pages, written): (bool, i64, i64) =
        c.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], row)?;
    // A reader of the latest state keeps the log, all of which is in the database then.
    if is_busy && (pages < 0 || pages != written) {
        return Err(ArchiveFault::Conflict(format!(
            "another process reads {}: run the command again afterwards",
            path.display()
        )));
    }
    Ok(c.close().map_err(|(_, fault)| fault)?)
}
