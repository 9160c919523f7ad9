//! Marks in the directory of a site that close its archive: a restore that was not finished, and a database that moved to a
//! server. A restore or a move writes them, and opening the archive reads them.

use crate::error::{ArchiveFault, in_words};
use engine::{Connection, Optional};
use model::Advice;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Name of the note about a restore.
pub const RESTORING: &str = ".restoring";
/// Name of archive.db after the archive moved to a server.
pub const MIGRATED: &str = "archive.db.migrated";

/// The last event of an archive, by which archives are distinguished.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastEvent {
    /// Its number; 0 for an archive without events.
    event_id: i64,
    /// Time of the event.
    happened: String,
}

impl LastEvent {
    /// Returns the last event that a connection sees.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub fn of(c: &Connection) -> Result<Self, ArchiveFault> {
        let last = "SELECT event_id, happened FROM event ORDER BY event_id DESC LIMIT 1";
        let last = c.query_row(last, [], |r| Ok(Self { event_id: r.get(0)?, happened: r.get(1)? }));
        Ok(last.optional()?.unwrap_or_default())
    }

    /// Returns whether an archive has the event: a backup that ends with that event is an earlier backup of this archive.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub fn is_in(&self, c: &Connection) -> Result<bool, ArchiveFault> {
        let had = "SELECT EXISTS (SELECT * FROM event WHERE event_id = ?1 AND happened = ?2)";
        Ok(c.query_row(had, rusqlite::params![self.event_id, self.happened], |r| r.get(0))?)
    }
}

/// A restore that is running.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The backup.
    pub backup: PathBuf,
    /// Address of the server's database; `None` for an embedded archive.
    pub database: Option<String>,
    /// The file with the database's password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// True when the roles of the database are to be created after the restore.
    #[serde(default)]
    pub roles: bool,
    /// The last event of the backup.
    pub last_event: LastEvent,
}

impl Note {
    /// Returns the note in the directory of a site; `None` when there is none that can be read.
    pub fn of(root: &Path) -> Option<Self> {
        let text = std::fs::read(root.join(RESTORING)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Returns true for notes about the same backup, database and last event; the command only repeats the other fields.
    pub fn is_same(&self, other: &Self) -> bool {
        self.backup == other.backup
            && self.database == other.database
            && self.last_event == other.last_event
    }
}

/// Returns the fault of a site whose restore was not finished.
pub(crate) fn interrupted(root: &Path) -> Option<ArchiveFault> {
    if !root.join(RESTORING).exists() {
        return None;
    }
    let repeat = Note::of(root).map(|note| {
        Box::new(Advice::Restore {
            backup: note.backup.display().to_string(),
            site: root.display().to_string(),
            database: note.database,
            password_file: in_words(note.password_file.as_deref()),
            roles: note.roles,
        })
    });
    Some(ArchiveFault::RestoreInterrupted { site: root.to_owned(), repeat })
}
