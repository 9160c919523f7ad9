//! Queries on the archive of a site, embedded or on a server.

use super::server_session::ServerSession;
use super::session::{Interrupt, QueryReport, RowSink, Session};
use super::{SqlError, SqlLimits};
use archive::Site;
use model::EventId;

/// A read-only connection for queries. One query runs at a time; each sees one state of the archive.
#[derive(Debug)]
pub struct SqlReader(Engine);

#[derive(Debug)]
enum Engine {
    Embedded(Session),
    Server(Box<ServerSession>),
}

impl SqlReader {
    /// Opens the archive of a site for reading.
    ///
    /// # Errors
    /// [`SqlError`] when it cannot be reached.
    pub fn open(site: &Site, limits: SqlLimits) -> Result<Self, SqlError> {
        Self::open_as_of(site, limits, None)
    }

    /// Opens the archive with the public names as they were after an event.
    ///
    /// # Errors
    /// As [`SqlReader::open`]; [`SqlError::NoEvent`] when there is no such event.
    pub fn open_as_of(
        site: &Site,
        limits: SqlLimits,
        as_of: Option<EventId>,
    ) -> Result<Self, SqlError> {
        Ok(Self(match site.query_address().map_err(SqlError::Server)? {
            None => Engine::Embedded(Session::open_with_tables(
                &site.database(),
                &site.lake(),
                limits,
                as_of,
                site.lake_tables().to_vec(),
            )?),
            Some(address) => {
                let session = ServerSession::open(&address, limits, as_of, site.lake_tables())?;
                Engine::Server(Box::new(session))
            }
        }))
    }

    /// Returns a note for the reader, if the archive could not be opened as usual.
    pub fn note(&self) -> Option<&str> {
        match &self.0 {
            Engine::Embedded(session) => session.note(),
            Engine::Server(_) => None,
        }
    }

    /// Returns a handle that interrupts this reader's queries.
    pub fn interrupt(&self) -> Interrupt {
        match &self.0 {
            Engine::Embedded(session) => session.interrupt(),
            Engine::Server(session) => session.interrupt(),
        }
    }

    /// Runs one SELECT (or EXPLAIN) and passes its rows to `sink`, as they are found.
    ///
    /// # Errors
    /// [`SqlError`]; rows may have been passed before.
    pub fn query(&self, sql: &str, sink: &mut dyn RowSink) -> Result<QueryReport, SqlError> {
        match &self.0 {
            Engine::Embedded(session) => session.query(sql, sink),
            Engine::Server(session) => session.query(sql, sink),
        }
    }

    /// Returns all tables and views that can be queried, in alphabetical order.
    ///
    /// # Errors
    /// Fails when the schema cannot be read.
    pub fn tables(&self) -> Result<Vec<String>, SqlError> {
        match &self.0 {
            Engine::Embedded(session) => session.tables(),
            Engine::Server(session) => session.tables(),
        }
    }
}
