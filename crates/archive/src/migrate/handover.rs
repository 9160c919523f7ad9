//! The order in which one archive closes and the other opens, so that at no instant both can be written.
//!
//! 1. The new archive is filled, and committed as *arriving*: closed for everybody.
//! 2. The old archive is closed as *moved*, in the transaction that read it.
//! 3. The new archive is opened (*arrived*).
//! 4. The caller switches the configuration over, and sets the old archive aside.
//!
//! Interrupted before 2, the old archive is in use, and the copy is thrown away by the next move. Interrupted after it, the
//! next move does what is left.

use super::{ACT, Moved, conflict};
use crate::control::records::Timestamp;
use crate::control::store::{Access, connect, text_of};
use crate::engine::relocation::{self, Relocation};
use crate::engine::{Connection, Kind, Transaction};
use crate::error::{ArchiveError, ArchiveFault};
use crate::site::Site;
use std::path::PathBuf;

/// Name of archive.db after the archive moved to a server.
pub const MIGRATED: &str = "archive.db.migrated";

/// One move: where from, where to, and its word.
pub(super) struct Handover {
    from: String,
    to: String,
    word: String,
    now: String,
}

/// What a target holds before a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// An archive without events.
    Nothing,
    /// A copy that was never opened.
    Copied,
    /// An archive that has been used.
    InUse,
}

impl Handover {
    pub(super) fn begin(site: &Site, target: &Site, now: Timestamp) -> Self {
        Self {
            from: site.whereabouts(),
            to: target.whereabouts(),
            word: format!("{}-{}", now.timestamp_micros(), std::process::id()),
            now: text_of(now),
        }
    }

    fn row(&self, state: &str, place: &str) -> Relocation {
        Relocation { state: state.to_owned(), word: self.word.clone(), place: place.to_owned() }
    }

    /// Commits the copy, closed.
    pub(super) fn copied(&self, tx: Transaction<'_>) -> Result<(), ArchiveFault> {
        relocation::set(&tx, &self.row("arriving", &self.from), &self.now)?;
        files::crash_point("migrate:before-commit");
        tx.commit()?;
        files::crash_point("migrate:copied");
        Ok(())
    }

    /// Closes the old archive, in the transaction that read it.
    pub(super) fn close(&self, held: Transaction<'_>) -> Result<(), ArchiveFault> {
        relocation::set(&held, &self.row("moved", &self.to), &self.now)?;
        files::crash_point("migrate:before-close");
        held.commit()?;
        files::crash_point("migrate:closed");
        Ok(())
    }

    /// Opens the new archive.
    pub(super) fn open(&self, to: &Connection) -> Result<(), ArchiveFault> {
        let tx = to.begin(Kind::Move)?;
        relocation::set(&tx, &self.row("arrived", &self.from), &self.now)?;
        tx.commit()?;
        files::crash_point("migrate:opened");
        Ok(())
    }
}

/// Does what is left of a move whose old archive is closed.
pub(super) fn resume(site: &Site, target: &Site, now: Timestamp) -> Result<Moved, ArchiveError> {
    let rows = |site: &Site| -> Result<Vec<Relocation>, ArchiveFault> {
        Ok(relocation::all(&connect(site, Access::Read)?)?)
    };
    let during = ArchiveError::during::<ArchiveFault>;
    let old = rows(site).map_err(during(ACT))?;
    let Some(moved) = old.into_iter().find(|row| row.state == "moved") else {
        return Err(conflict("this archive is itself a copy that was not confirmed"));
    };
    if moved.place != target.whereabouts() {
        return Err(conflict(&format!("the archive has moved to {} already", moved.place)));
    }
    let handover = Handover { word: moved.word.clone(), ..Handover::begin(site, target, now) };
    let new = rows(target).map_err(during(ACT))?;
    match new.iter().find(|row| row.word == moved.word).map(|row| row.state.as_str()) {
        Some("arriving") => {
            let to = connect(target, Access::Write).map_err(during(ACT))?;
            handover.open(&to).map_err(during(ACT))?;
        }
        Some("arrived") => {}
        _ => {
            let message = format!(
                "the archive has moved to {}, which does not hold its copy now: repair that place, or reopen the old \
                 archive",
                moved.place
            );
            return Err(conflict(&message));
        }
    }
    Ok(Moved { was_copied: true, ..Moved::default() })
}

/// What an existing archive in the place of a move holds.
pub(super) fn progress(target: &Site) -> Result<Progress, ArchiveError> {
    let look = || -> Result<Progress, ArchiveFault> {
        let c = connect(target, Access::Read)?;
        match relocation::all(&c)?.first().map(|row| row.state.as_str()) {
            Some("arriving") => return Ok(Progress::Copied),
            Some(_) => return Ok(Progress::InUse),
            None => {}
        }
        let events: i64 = c.query_row("SELECT count(*) FROM event", [], |r| r.get(0))?;
        Ok(if events == 0 { Progress::Nothing } else { Progress::InUse })
    };
    look().map_err(ArchiveError::during(ACT))
}

/// Sets an embedded archive aside that has moved to a server: `archive.db` becomes `archive.db.migrated`. Gives where it
/// moved to; `None` when there is no such archive.
///
/// # Errors
/// [`ArchiveError`]
pub fn set_aside(site: &Site) -> Result<Option<String>, ArchiveError> {
    let old = site.clone().on(crate::Database::default());
    if !old.database().is_file() {
        return Ok(None);
    }
    let run = || -> Result<Option<String>, ArchiveFault> {
        let rows = relocation::all(&connect(&old, Access::Read)?)?;
        let Some(moved) = rows.into_iter().find(|row| row.state == "moved") else {
            return Ok(None);
        };
        // archive.db goes last: while it is there, the others are its own.
        for suffix in ["-wal", "-shm", ""] {
            let path = |name: &str| -> PathBuf { site.root().join(format!("{name}{suffix}")) };
            let (from, to) = (path("archive.db"), path(MIGRATED));
            if from.exists() {
                std::fs::rename(&from, &to)
                    .map_err(|source| ArchiveFault::Io { path: from.clone(), source })?;
            }
        }
        files::sync_dir(site.root())
            .map_err(|source| ArchiveFault::Io { path: site.root().to_owned(), source })?;
        Ok(Some(moved.place))
    };
    run().map_err(ArchiveError::during("set the old archive aside"))
}
