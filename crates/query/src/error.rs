//! Failures of a query, described so that its author can correct it.

use super::budget::Stopped;
use engine::EngineError;
use lake::LakeError;
use model::Advice;
use std::fmt;
use std::io;
use std::path::Path;

/// A query that returned no result, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// `archive.db` cannot be opened.
    #[error("cannot open the archive {path}")]
    Open {
        /// The database.
        path: String,
        /// The error of SQLite.
        #[source]
        source: rusqlite::Error,
    },
    /// The archive has a schema that this program does not know.
    #[error(transparent)]
    Schema(archive::ArchiveFault),
    /// The server cannot be reached, or lost the query.
    #[error("cannot query the server")]
    Server(#[source] EngineError),
    /// The login of queries has more rights than a reader.
    #[error(
        "queries run under a login that has the reader's rights alone, and {login} {why}: name one in almagest.toml \
         ([database] query_user), or have one created"
    )]
    Rights {
        /// The login.
        login: String,
        /// The excess rights.
        why: String,
    },
    /// The archive is closed, since it is at another place.
    #[error(transparent)]
    Moved(EngineError),
    /// The archive has not reached that event.
    #[error("event {asked} does not exist: the last one is {last}")]
    NoEvent {
        /// The requested event.
        asked: i64,
        /// The last event.
        last: i64,
    },
    /// The lake's catalogue cannot be read.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// There is no statement in the text, or more than one.
    #[error("one SELECT at a time: the text holds {0}")]
    Statements(&'static str),
    /// The query names a table that does not exist.
    #[error("table {name} does not exist; the tables are {}", tables.join(", "))]
    UnknownTable {
        /// The name.
        name: String,
        /// All tables that can be queried.
        tables: Vec<String>,
    },
    /// The query names a column that does not exist.
    #[error("column {name} does not exist{}", Alike(alike))]
    UnknownColumn {
        /// The name.
        name: String,
        /// Columns of a similar name, as `table.column`.
        alike: Vec<String>,
    },
    /// The query names a function that does not exist.
    #[error("function {name} does not exist; in addition to the engine's own functions there are {}", functions.join(", "))]
    UnknownFunction {
        /// The name.
        name: String,
        /// Functions that Almagest adds.
        functions: Vec<&'static str>,
    },
    /// The query requests more than reading.
    #[error("the archive can only be read here: {0} is not permitted")]
    Denied(String),
    /// The query exceeded a limit.
    #[error("the query was stopped: {0}")]
    Stopped(Stopped),
    /// Any other error of the engine.
    #[error("the query is wrong: {0}")]
    Engine(String),
    /// The output of the rows failed.
    #[error("the result could not be written")]
    Output(#[from] io::Error),
}

impl SqlError {
    /// Returns the command that the message recommends, for a site's directory.
    pub fn advice(&self, site: &Path) -> Option<Advice> {
        match self {
            Self::Rights { .. } => Some(Advice::InitRoles { site: site.display().to_string() }),
            Self::Moved(fault) | Self::Server(fault) => fault.advice(),
            _ => None,
        }
    }

    /// Returns true when the query was interrupted.
    pub fn is_interrupted(&self) -> bool {
        matches!(self, Self::Stopped(Stopped::Interrupted))
    }

    /// Returns true when a limit stopped the query.
    pub fn is_stopped(&self) -> bool {
        matches!(self, Self::Stopped(_)) && !self.is_interrupted()
    }

    /// Returns true when the archive is closed, since it is at another place.
    pub fn is_moved(&self) -> bool {
        matches!(self, Self::Moved(_))
    }

    /// Returns true when the configuration of the site must change before a query can run.
    pub fn is_gate(&self) -> bool {
        match self {
            Self::Rights { .. } | Self::Schema(_) => true,
            Self::Server(fault) => fault.is_gate(),
            _ => false,
        }
    }

    /// Returns true when the query itself is at fault, not the archive or the machine.
    pub fn is_mistake(&self) -> bool {
        match self {
            Self::NoEvent { .. }
            | Self::Statements(_)
            | Self::UnknownTable { .. }
            | Self::UnknownColumn { .. }
            | Self::UnknownFunction { .. }
            | Self::Denied(_)
            | Self::Engine(_) => true,
            Self::Open { .. }
            | Self::Schema(_)
            | Self::Server(_)
            | Self::Rights { .. }
            | Self::Moved(_)
            | Self::Lake(_)
            | Self::Stopped(_)
            | Self::Output(_) => false,
        }
    }
}

struct Alike<'a>(&'a [String]);

impl fmt::Display for Alike<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            Ok(())
        } else {
            write!(f, "; did you mean {}?", self.0.join(" or "))
        }
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(limit) => {
                write!(f, "the time limit of {} s is exceeded", limit.as_secs_f64())
            }
            Self::Rows(limit) => write!(f, "the result has more than {limit} rows"),
            Self::TemporarySpace(limit) => {
                write!(f, "the temporary files grew beyond {} MB", limit / 1_000_000)
            }
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}
