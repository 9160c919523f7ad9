//! Errors of an engine.

use model::Advice;
use postgres::error::SqlState;
use rusqlite::ErrorCode;

/// An error of an engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A query that must have a row has none.
    #[error("the query returned no row")]
    NoRows,
    /// A stored value does not have the type that the program expects.
    #[error("column {column} of a result cannot be read: {reason}")]
    Value {
        /// Position in the result, from 0.
        column: usize,
        /// The fault.
        reason: String,
    },
    /// Error of SQLite.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// Error of PostgreSQL, or of the network between.
    #[error("{}", told(.0))]
    Postgres(postgres::Error),
    /// The server cannot be used under its configured address.
    #[error("{0}")]
    Address(String),
    /// The archive is closed: its contents are at another place.
    #[error(
        "the archive has moved to {place}: run the command again, so that it reads the new configuration, or finish the migration \
         if it was interrupted"
    )]
    Moved {
        /// The other place.
        place: String,
        /// File of the password of the database there.
        password_file: Option<String>,
    },
    /// The archive is closed: the one from before the move is reopened.
    #[error(
        "the archive at {place} is reopened, and this one is closed: run the command again, so that it reads the new \
         configuration, or finish the reopening if it was interrupted"
    )]
    Reopening {
        /// The other place.
        place: String,
        /// File of the password of the database there.
        password_file: Option<String>,
    },
    /// The archive is closed: its copy is not confirmed.
    #[error(
        "the archive is being moved here from {0}, and its copy is not confirmed: wait for the migration, or reopen the old \
         archive if the migration was interrupted"
    )]
    Arriving(String),
}

/// Returns the place of an archive in the form of `migrate --to`.
fn target(place: &str) -> &str {
    if place.starts_with('/') { "embedded" } else { place }
}

impl From<postgres::Error> for EngineError {
    fn from(error: postgres::Error) -> Self {
        Self::Postgres(error)
    }
}

/// Returns the server's message with its detail; the message of the library is only "db error".
fn told(error: &postgres::Error) -> String {
    match error.as_db_error() {
        None => model::one_line(error),
        Some(said) => {
            let detail = said.detail().map(|d| format!(" ({d})")).unwrap_or_default();
            format!("{}{detail} [SQLSTATE {}]", said.message(), said.code().code())
        }
    }
}

impl EngineError {
    /// Returns true when the same action may succeed later without intervention.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Sqlite(rusqlite::Error::SqliteFailure(fault, _)) => matches!(
                fault.code,
                ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::DiskFull
                    | ErrorCode::SystemIoFailure
            ),
            Self::Postgres(error) => match error.code() {
                Some(code) => Self::is_transient_code(code),
                None => error.is_closed() || is_of_the_network(error),
            },
            _ => false,
        }
    }

    /// Returns true when a code of PostgreSQL denotes a failure that may be temporary: a lost connection, short
    /// resources, a lock not granted, a conflict with another transaction, the server shutting down.
    pub fn is_transient_code(code: &SqlState) -> bool {
        let class = code.code().get(..2).unwrap_or_default();
        matches!(class, "08" | "53" | "40" | "57" | "58") || *code == SqlState::LOCK_NOT_AVAILABLE
    }

    /// Returns the command that the message recommends.
    pub fn advice(&self) -> Option<Advice> {
        match self {
            Self::Moved { place, password_file } => Some(Advice::Migrate {
                to: target(place).to_owned(),
                password_file: password_file.clone(),
            }),
            Self::Reopening { place, password_file } => Some(Advice::MigrateReopen {
                to: target(place).to_owned(),
                password_file: password_file.clone(),
            }),
            Self::Arriving(place) => {
                Some(Advice::MigrateReopen { to: target(place).to_owned(), password_file: None })
            }
            _ => None,
        }
    }

    /// Returns true when the archive is closed, since it moved or is moving.
    pub fn is_moved(&self) -> bool {
        matches!(self, Self::Moved { .. } | Self::Reopening { .. } | Self::Arriving(_))
    }

    /// Returns true when a constraint of a table refused a row.
    pub fn is_constraint(&self) -> bool {
        match self {
            Self::Sqlite(fault) => {
                fault.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
            }
            Self::Postgres(error) => error.code().is_some_and(|code| code.code().starts_with("23")),
            _ => false,
        }
    }

    /// Returns true when a value is at fault, not the database: one that a constraint, a type or a limit of the engine
    /// refuses, or that cannot be converted to the engine's form.
    pub fn is_about_data(&self) -> bool {
        match self {
            Self::Value { .. } => true,
            Self::Sqlite(rusqlite::Error::SqliteFailure(fault, _)) => matches!(
                fault.code,
                ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig
            ),
            Self::Sqlite(fault) => matches!(
                fault,
                rusqlite::Error::ToSqlConversionFailure(_)
                    | rusqlite::Error::FromSqlConversionFailure(..)
                    | rusqlite::Error::IntegralValueOutOfRange(..)
                    | rusqlite::Error::Utf8Error(..)
                    | rusqlite::Error::NulError(_)
            ),
            Self::Postgres(error) => match error.code() {
                // Cardinality, data exceptions, constraints, limits of rows and indexes.
                Some(code) => {
                    matches!(code.code().get(..2), Some("21" | "22" | "23" | "54"))
                }
                // A parameter that cannot be encoded for the connection.
                None => !error.is_closed() && !is_of_the_network(error),
            },
            _ => false,
        }
    }

    /// Returns true when the database is read-only.
    pub fn is_read_only(&self) -> bool {
        match self {
            Self::Sqlite(fault) => fault.sqlite_error_code() == Some(ErrorCode::ReadOnly),
            Self::Postgres(error) => error.code().is_some_and(|code| code.code() == "25006"),
            _ => false,
        }
    }

    /// Returns true when the request itself cannot be served: a wrong name, password, or right.
    pub fn is_gate(&self) -> bool {
        match self {
            Self::Address(_) => true,
            Self::Postgres(error) => error.code().is_some_and(|code| {
                matches!(code.code().get(..2), Some("28" | "3D")) || code.code() == "42501"
            }),
            _ => self.is_read_only(),
        }
    }
}

fn is_of_the_network(error: &postgres::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(fault) = cause {
        if fault.is::<std::io::Error>() {
            return true;
        }
        cause = fault.source();
    }
    false
}
