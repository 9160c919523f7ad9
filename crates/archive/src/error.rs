//! What can go wrong with the archive, and whether waiting helps.

use crate::site::Site;
use engine::EngineError;
use lake::LakeError;
use model::{Advice, UnitState, one_line};
use std::io;
use std::path::PathBuf;

/// A fault of the archive, with what was being done.
#[derive(Debug, thiserror::Error)]
#[error("cannot {act}")]
pub struct ArchiveError {
    /// What was being done, e.g. `publish 20071011_v1 metadata round 1`.
    pub act: String,
    /// What is wrong.
    #[source]
    pub fault: ArchiveFault,
}

/// What is wrong with the archive or with what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveFault {
    /// The database engine refused.
    #[error("the database refused")]
    Engine(#[from] EngineError),
    /// The line to the database was cut in the middle of a load.
    #[error("the line to the database was cut")]
    Cut(#[source] io::Error),
    /// Somebody asked for an end; nothing is half done.
    #[error("it was interrupted")]
    Interrupted,
    /// The lake refused.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// A file or directory could not be used.
    #[error("cannot use {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No archive here.
    #[error("{} is no site: it has no archive.db (make one with `{}`)", .0.display(), init(.0))]
    NoSite(PathBuf),
    /// No archive on the server.
    #[error("{} holds no archive: make one there", .0.whereabouts())]
    NoArchive(Box<Site>),
    /// A restore was not finished.
    #[error("the restore of {} was interrupted: repeat it", site.display())]
    RestoreInterrupted {
        /// The directory of the site.
        site: PathBuf,
        /// The command that repeats it, when the note about it can be read.
        repeat: Option<Box<Advice>>,
    },
    /// A site is here already.
    #[error("{} is a site already", .0.display())]
    SiteExists(PathBuf),
    /// The database would lie on a network disk, where its locks do not hold.
    #[error("{} is on a network file system ({kind}); archive.db needs a local disk", path.display())]
    NetworkDisk {
        /// Where.
        path: PathBuf,
        /// Kind of file system.
        kind: &'static str,
    },
    /// Written by a newer program.
    #[error("the archive has schema {found}, this program knows {known}: use a newer almagest")]
    NewerSchema {
        /// Number of the last migration in the archive.
        found: u32,
        /// Number of the last migration of this program.
        known: u32,
    },
    /// A definition lost or changed a column that the archive has.
    #[error("the definition of {table} does not fit the archive: {reason}")]
    Definition {
        /// Table.
        table: String,
        /// What does not fit.
        reason: String,
    },
    /// Nothing goes by that name.
    #[error("there is no {what} {name:?}")]
    Unknown {
        /// Kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A state may not become another.
    #[error("{what} is {from}, which may not become {to}")]
    State {
        /// Which round.
        what: String,
        /// Its state.
        from: UnitState,
        /// The state asked for.
        to: UnitState,
    },
    /// What is asked contradicts what is stored.
    #[error("{0}")]
    Conflict(String),
    /// A staged batch is not what it should be.
    #[error("check {check} failed: {message}")]
    Check {
        /// Name of the check.
        check: &'static str,
        /// One sentence.
        message: String,
    },
    /// What is stored contradicts itself.
    #[error("the archive holds what cannot be: {0}")]
    Damaged(String),
    /// A backup is not as it was written.
    #[error("the backup is damaged: {0}")]
    Backup(String),
    /// One of PostgreSQL's own programs did not succeed.
    #[error("{program} failed: {said}")]
    Program {
        /// Its name.
        program: String,
        /// The first line that it said.
        said: String,
    },
}

/// Returns a path as a command names it.
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
    /// Names what was being done.
    pub fn during<F: Into<ArchiveFault>>(act: impl Into<String>) -> impl FnOnce(F) -> Self {
        let act = act.into();
        move |fault| Self { act, fault: fault.into() }
    }

    /// Whether the same act may succeed later without anybody's help.
    pub fn is_transient(&self) -> bool {
        match &self.fault {
            ArchiveFault::Engine(fault) => fault.is_transient(),
            ArchiveFault::Cut(_) | ArchiveFault::Interrupted => true,
            ArchiveFault::Lake(fault) => fault.is_transient(),
            ArchiveFault::Io { source, .. } => source.kind() != io::ErrorKind::NotFound,
            _ => false,
        }
    }

    /// Whether what was asked contradicts what is stored.
    pub fn is_conflict(&self) -> bool {
        matches!(
            self.fault,
            ArchiveFault::Conflict(_)
                | ArchiveFault::State { .. }
                | ArchiveFault::RestoreInterrupted { .. }
        )
    }

    /// Returns the command that the message speaks of.
    pub fn advice(&self) -> Option<Advice> {
        match &self.fault {
            ArchiveFault::Engine(fault) => fault.advice(),
            ArchiveFault::NoArchive(site) => {
                let database = site.store();
                Some(Advice::InitDatabase {
                    site: site.root().display().to_string(),
                    database: database.url.clone()?,
                    password_file: in_words(database.password_file.as_deref()),
                })
            }
            ArchiveFault::RestoreInterrupted { repeat, .. } => repeat.as_deref().cloned(),
            _ => None,
        }
    }

    /// Whether the archive is closed, since it moved or is moving: another place has it, and no repetition here helps.
    pub fn is_moved(&self) -> bool {
        matches!(&self.fault, ArchiveFault::Engine(fault) if fault.is_moved())
    }

    /// Whether a precondition of the site or the request failed.
    pub fn is_gate(&self) -> bool {
        matches!(&self.fault, ArchiveFault::Engine(fault) if fault.is_gate())
            || matches!(
                self.fault,
                ArchiveFault::NoSite(_)
                    | ArchiveFault::NoArchive(_)
                    | ArchiveFault::SiteExists(_)
                    | ArchiveFault::NetworkDisk { .. }
                    | ArchiveFault::NewerSchema { .. }
                    | ArchiveFault::Definition { .. }
                    | ArchiveFault::Unknown { .. }
                    | ArchiveFault::Backup(_)
            )
    }

    /// Whether what was written or read is at fault, not the archive: a value that the engine refuses, or a stored text that is
    /// not what it should be.
    pub fn is_about_data(&self) -> bool {
        match &self.fault {
            ArchiveFault::Engine(fault) => fault.is_about_data(),
            ArchiveFault::Lake(LakeError::Sql(fault)) => is_about_data(fault),
            ArchiveFault::Lake(LakeError::UnknownType { .. }) | ArchiveFault::Damaged(_) => true,
            _ => false,
        }
    }

    /// Name of the check and the message, when a staged batch itself is at fault.
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
