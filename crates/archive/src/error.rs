//! Faults of the archive, with their classification as transient or not.

use engine::EngineError;
use lake::LakeError;
use model::{Advice, UnitState, one_line};
use std::io;
use std::path::PathBuf;

/// A fault of the archive, with the act that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {act}")]
pub struct ArchiveError {
    /// The act that failed, e.g. `publish 20071011_v1 metadata round 1`.
    pub act: String,
    /// The fault.
    #[source]
    pub fault: ArchiveFault,
}

/// A fault of the archive or of a request to it.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveFault {
    /// The database engine returned an error.
    #[error("the database refused")]
    Engine(#[from] EngineError),
    /// The connection to the database was cut while rows were copied.
    #[error("the connection to the database was lost")]
    Cut(#[source] io::Error),
    /// An interruption was requested; nothing is half done.
    #[error("the act was interrupted")]
    Interrupted,
    /// The lake returned an error.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// A file or directory could not be used.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// There is no archive in the directory.
    #[error("{} is not a site: archive.db is missing (create a site with `{}`)", .0.display(), init(.0))]
    NoSite(PathBuf),
    /// There is no archive on the server.
    #[error("{location} holds no archive: create one there")]
    NoArchive {
        /// The place of the archive, in words.
        location: String,
        /// The command that creates the archive; `None` when the site names no server.
        create: Option<Box<Advice>>,
    },
    /// A restore was not finished.
    #[error("the restore of {} was interrupted: repeat it", site.display())]
    RestoreInterrupted {
        /// The directory of the site.
        site: PathBuf,
        /// The command that repeats the restore; `None` when the note about the restore cannot be read.
        repeat: Option<Box<Advice>>,
    },
    /// A site exists already in the directory.
    #[error("{} is a site already", .0.display())]
    SiteExists(PathBuf),
    /// The database would be on a network disk, where its locks do not work.
    #[error("{} is on a network file system ({kind}); archive.db needs a local disk", path.display())]
    NetworkDisk {
        /// Directory of the site.
        path: PathBuf,
        /// Kind of file system.
        kind: &'static str,
    },
    /// The archive has the schema of a version before the first release.
    #[error(
        "the archive was created by a version before the first release, which this program cannot read: create a \
         new archive, and transfer the deliveries again"
    )]
    EarlierSchema,
    /// The archive was written by a newer program.
    #[error("the archive has schema {found}, this program knows {known}: use a newer almagest")]
    NewerSchema {
        /// Number of the last migration in the archive.
        found: u32,
        /// Number of the last migration of this program.
        known: u32,
    },
    /// A definition lost or changed a column that the archive has.
    #[error("the definition of {table} does not match the archive: {reason}")]
    Definition {
        /// Table.
        table: String,
        /// The mismatch between definition and archive.
        reason: String,
    },
    /// Nothing has that name.
    #[error("{what} {name:?} does not exist")]
    Unknown {
        /// Kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A transition between two states is not allowed.
    #[error("{what} is {from}, which cannot become {to}")]
    State {
        /// The round.
        what: String,
        /// Its state.
        from: UnitState,
        /// The requested state.
        to: UnitState,
    },
    /// The request contradicts what is stored.
    #[error("{0}")]
    Conflict(String),
    /// A staged batch is invalid.
    #[error("check {check} failed: {message}")]
    Check {
        /// Name of the check.
        check: &'static str,
        /// Message of one sentence.
        message: String,
    },
    /// Stored data contradict each other.
    #[error("the archive is inconsistent: {0}")]
    Damaged(String),
    /// A backup differs from what was written.
    #[error("the backup is damaged: {0}")]
    Backup(String),
    /// A program of PostgreSQL failed.
    #[error("{program} failed: {said}")]
    Program {
        /// Its name.
        program: String,
        /// The first line of its output.
        said: String,
    },
}

/// Returns a path in the form for a command.
pub(crate) fn in_words(path: Option<&std::path::Path>) -> Option<String> {
    path.map(|path| path.display().to_string())
}

fn init(site: &std::path::Path) -> model::Advice {
    model::Advice::Init { site: site.display().to_string() }
}

impl From<rusqlite::Error> for ArchiveFault {
    fn from(fault: rusqlite::Error) -> Self {
        Self::Engine(fault.into())
    }
}

fn is_about_data(fault: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{ConstraintViolation, TooBig, TypeMismatch};
    matches!(fault.sqlite_error_code(), Some(ConstraintViolation | TooBig | TypeMismatch))
}

impl ArchiveError {
    /// Returns a function that adds the failed act to a fault.
    pub fn during<F: Into<ArchiveFault>>(act: impl Into<String>) -> impl FnOnce(F) -> Self {
        let act = act.into();
        move |fault| Self { act, fault: fault.into() }
    }

    /// Returns true when the same act may succeed later without intervention.
    pub fn is_transient(&self) -> bool {
        match &self.fault {
            ArchiveFault::Engine(fault) => fault.is_transient(),
            ArchiveFault::Cut(_) | ArchiveFault::Interrupted => true,
            ArchiveFault::Lake(fault) => fault.is_transient(),
            ArchiveFault::Io { source, .. } => source.kind() != io::ErrorKind::NotFound,
            _ => false,
        }
    }

    /// Returns true when the request contradicts what is stored.
    pub fn is_conflict(&self) -> bool {
        matches!(
            self.fault,
            ArchiveFault::Conflict(_)
                | ArchiveFault::State { .. }
                | ArchiveFault::RestoreInterrupted { .. }
        )
    }

    /// Returns the command that the message mentions.
    pub fn advice(&self) -> Option<Advice> {
        match &self.fault {
            ArchiveFault::Engine(fault) => fault.advice(),
            ArchiveFault::NoArchive { create: command, .. }
            | ArchiveFault::RestoreInterrupted { repeat: command, .. } => {
                command.as_deref().cloned()
            }
            _ => None,
        }
    }

    /// Returns true when the archive is closed, since it moved or is moving: the archive is elsewhere, and a retry here does not
    /// help.
    pub fn is_moved(&self) -> bool {
        matches!(&self.fault, ArchiveFault::Engine(fault) if fault.is_moved())
    }

    /// Returns true when a precondition of the site or the request failed.
    pub fn is_gate(&self) -> bool {
        matches!(&self.fault, ArchiveFault::Engine(fault) if fault.is_gate())
            || matches!(
                self.fault,
                ArchiveFault::NoSite(_)
                    | ArchiveFault::NoArchive { .. }
                    | ArchiveFault::SiteExists(_)
                    | ArchiveFault::NetworkDisk { .. }
                    | ArchiveFault::EarlierSchema
                    | ArchiveFault::NewerSchema { .. }
                    | ArchiveFault::Definition { .. }
                    | ArchiveFault::Unknown { .. }
                    | ArchiveFault::Backup(_)
            )
    }

    /// Returns true when the written or read data are at fault, not the archive: a value that the engine refuses, or an invalid
    /// stored text.
    pub fn is_about_data(&self) -> bool {
        match &self.fault {
            ArchiveFault::Engine(fault) => fault.is_about_data(),
            ArchiveFault::Lake(LakeError::Sql(fault)) => is_about_data(fault),
            ArchiveFault::Lake(LakeError::UnknownType { .. }) | ArchiveFault::Damaged(_) => true,
            _ => false,
        }
    }

    /// Returns the name of the check and the message, when a staged batch itself is at fault.
    pub fn failed_check(&self) -> Option<(&'static str, String)> {
        match &self.fault {
            ArchiveFault::Check { check, message } => Some((check, message.clone())),
            ArchiveFault::Lake(
                fault @ (LakeError::Staged { .. }
                | LakeError::Parquet { .. }
                | LakeError::FileName(_)),
            ) => Some(("lake_file", one_line(fault))),
            _ => None,
        }
    }
}
