//! Faults of queries on a server.

use super::SqlError;

/// A fault of a run: the server's own is explained after the run.
pub(crate) enum Fault {
    Engine(postgres::Error),
    Told(SqlError),
}

impl From<postgres::Error> for Fault {
    fn from(error: postgres::Error) -> Self {
        Self::Engine(error)
    }
}

impl From<SqlError> for Fault {
    fn from(error: SqlError) -> Self {
        Self::Told(error)
    }
}
