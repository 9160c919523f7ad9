//! One face of the two engines: connections, statements, rows and transactions, as the crates above use them.
//!
//! SQL is written once, in what SQLite and PostgreSQL have in common, with parameters `?1 …`; values are those of
//! `rusqlite` on both. Where the engines differ beyond that, [`Connection::dialect`] says which one it is.
//!
//! A write transaction is the only one at its time on both engines: `BEGIN IMMEDIATE` on SQLite, the lock of the table
//! `writer_lock`, to which readers have no right, on PostgreSQL. So what an act decides it may read inside its transaction.
//! Every transaction checks the table `relocation` first: an archive that moved to another place is closed ([`relocation`]).
//!
//! Start at [`Connection`]. Does not know tables.

mod address;
mod ddl;
mod error;
pub mod prepared;
pub mod reading;
pub mod relocation;
mod server;
mod tls;

pub use address::{Address, Database};
pub use ddl::{postgres_ddl, text};
pub use error::EngineError;
pub use server::numbered;
pub use server::{Incoming, Outgoing, Server, closed_by, is_readable, server_type, write_value};

pub use rusqlite::ToSql;
pub use rusqlite::types::{FromSql, Value, ValueRef};
use std::ops::Deref;

/// What an engine's call gives.
pub type Result<T> = std::result::Result<T, EngineError>;

/// Which engine it is, where its SQL differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite, in the process.
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
}

/// Writes a name as SQL does.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A connection to one of the engines.
#[derive(Debug)]
pub enum Connection {
    /// To a file.
    Sqlite(rusqlite::Connection),
    /// To a server.
    Postgres(Box<Server>),
}

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One consistent view for several statements.
    Read,
    /// The only writer at its time.
    Write,
    /// The same, also in an archive that is closed by a move: for the move itself.
    Move,
}

impl Connection {
    /// Which engine it is.
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// The SQLite connection, for what only the embedded archive has.
    pub fn sqlite(&self) -> Option<&rusqlite::Connection> {
        match self {
            Self::Sqlite(connection) => Some(connection),
            Self::Postgres(_) => None,
        }
    }

    /// The server, for what only it has.
    pub fn server(&self) -> Option<&Server> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(server) => Some(server),
        }
    }

    /// Begins a transaction, which is undone unless it is committed.
    pub fn begin(&self, kind: Kind) -> Result<Transaction<'_>> {
        match (self, kind) {
            (Self::Sqlite(c), Kind::Read) => c.execute_batch("BEGIN DEFERRED")?,
            (Self::Sqlite(c), _) => c.execute_batch("BEGIN IMMEDIATE")?,
            (Self::Postgres(server), _) => server.begin(kind)?,
        }
        let transaction = Transaction { connection: self, is_open: true };
        if let (Self::Sqlite(c), Kind::Read | Kind::Write) = (self, kind) {
            relocation::check(c)?;
        }
        Ok(transaction)
    }

    /// A statement that will be used again.
    pub fn prepare_cached(&self, sql: &str) -> Result<Statement<'_>> {
        prepared::note(sql);
        Ok(match self {
            Self::Sqlite(c) => Statement::Sqlite(c.prepare_cached(sql)?),
            Self::Postgres(server) => Statement::Postgres(server, server.prepare(sql)?),
        })
    }

    /// A statement.
    pub fn prepare(&self, sql: &str) -> Result<Statement<'_>> {
        self.prepare_cached(sql)
    }

    /// Runs statements without parameters.
    pub fn execute_batch(&self, sql: &str) -> Result<()> {
        match self {
            Self::Sqlite(c) => Ok(c.execute_batch(sql)?),
            Self::Postgres(server) => server.batch(sql),
        }
    }

    /// Runs one statement and gives the number of rows it changed.
    pub fn execute(&self, sql: &str, params: impl Params) -> Result<usize> {
        self.prepare_cached(sql)?.execute(params)
    }

    /// The first row of a query.
    pub fn query_row<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<T> {
        self.prepare_cached(sql)?.query_row(params, map)
    }

    /// Lets references dangle until the transaction is committed.
    pub fn defer_foreign_keys(&self) -> Result<()> {
        self.execute_batch(match self.dialect() {
            Dialect::Sqlite => "PRAGMA defer_foreign_keys = ON",
            Dialect::Postgres => "SET CONSTRAINTS ALL DEFERRED",
        })
    }
}

/// A transaction that is under way: a connection, until it is committed or dropped.
#[derive(Debug)]
pub struct Transaction<'c> {
    connection: &'c Connection,
    is_open: bool,
}

impl Transaction<'_> {
    /// Makes it so.
    pub fn commit(mut self) -> Result<()> {
        self.connection.execute_batch("COMMIT")?;
        self.is_open = false;
        Ok(())
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.is_open {
            // When the engine is gone, so is the transaction.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }
}

/// A prepared statement.
pub enum Statement<'c> {
    /// Of SQLite.
    Sqlite(rusqlite::CachedStatement<'c>),
    /// Of a server, with its connection.
    Postgres(&'c Server, postgres::Statement),
}

impl Statement<'_> {
    /// Runs it and gives the number of rows it changed.
    pub fn execute(&mut self, params: impl Params) -> Result<usize> {
        prepared::count(1, 0);
        params.with(|params| match self {
            Self::Sqlite(statement) => Ok(statement.execute(params)?),
            Self::Postgres(server, statement) => server.execute(statement, params),
        })
    }

    /// Its first row.
    pub fn query_row<T>(
        &mut self,
        params: impl Params,
        map: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<T> {
        match self.query(params)?.next()? {
            Some(row) => map(&row),
            None => Err(EngineError::NoRows),
        }
    }

    /// All its rows, each as a value.
    pub fn query_map<T>(
        &mut self,
        params: impl Params,
        mut map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<std::vec::IntoIter<Result<T>>> {
        let mut rows = self.query(params)?;
        let mut values = Vec::new();
        while let Some(row) = rows.next()? {
            values.push(map(&row));
        }
        Ok(values.into_iter())
    }

    /// Its rows, one after the other.
    pub fn query(&mut self, params: impl Params) -> Result<Rows<'_>> {
        prepared::count(1, 0);
        params.with(|params| match self {
            Self::Sqlite(statement) => {
                for (number, value) in params.iter().enumerate() {
                    statement.raw_bind_parameter(number + 1, value)?;
                }
                Ok(Rows::Sqlite(statement.raw_query()))
            }
            Self::Postgres(server, statement) => {
                Ok(Rows::Postgres(server.query(statement, params)?.into_iter()))
            }
        })
    }
}

/// The rows of a query.
pub enum Rows<'s> {
    /// Stepped through.
    Sqlite(rusqlite::Rows<'s>),
    /// Fetched.
    Postgres(std::vec::IntoIter<postgres::Row>),
}

impl Rows<'_> {
    /// Returns the next row.
    ///
    /// # Errors
    /// What the engine reports.
    #[expect(
        clippy::should_implement_trait,
        reason = "a row borrows from the rows, which no iterator's item can"
    )]
    pub fn next(&mut self) -> Result<Option<Row<'_>>> {
        let row = match self {
            Self::Sqlite(rows) => rows.next()?.map(Row::Sqlite),
            Self::Postgres(rows) => rows.next().map(Row::Postgres),
        };
        prepared::count(0, u64::from(row.is_some()));
        Ok(row)
    }
}

/// One row.
pub enum Row<'r> {
    /// Of SQLite.
    Sqlite(&'r rusqlite::Row<'r>),
    /// Of a server.
    Postgres(postgres::Row),
}

impl Row<'_> {
    /// A column's value, the first has number 0.
    pub fn get<T: FromSql>(&self, column: usize) -> Result<T> {
        let value = match self {
            Self::Sqlite(row) => return Ok(row.get(column)?),
            Self::Postgres(row) => server::value(row, column)?,
        };
        T::column_result(ValueRef::from(&value))
            .map_err(|fault| EngineError::Value { column, reason: format!("{fault} ({value:?})") })
    }
}

/// Values for a statement's parameters.
pub trait Params: Sized {
    /// Hands them over.
    fn with<T>(&self, act: impl FnOnce(&[&dyn ToSql]) -> T) -> T;
}

impl Params for &[&dyn ToSql] {
    fn with<T>(&self, act: impl FnOnce(&[&dyn ToSql]) -> T) -> T {
        act(self)
    }
}

impl Params for [&(dyn ToSql + Send + Sync); 0] {
    fn with<T>(&self, act: impl FnOnce(&[&dyn ToSql]) -> T) -> T {
        act(&[])
    }
}

impl Params for Vec<Value> {
    fn with<T>(&self, act: impl FnOnce(&[&dyn ToSql]) -> T) -> T {
        let refs: Vec<&dyn ToSql> = self.iter().map(|v| v as &dyn ToSql).collect();
        act(&refs)
    }
}

macro_rules! params_of_arrays {
    ($($n:literal)*) => {$(
        impl<P: ToSql> Params for [P; $n] {
            fn with<T>(&self, act: impl FnOnce(&[&dyn ToSql]) -> T) -> T {
                act(&self.each_ref().map(|value| value as &dyn ToSql))
            }
        }
    )*};
}
params_of_arrays!(1 2 3 4 5);

/// A query without a row as `None`.
pub trait Optional<T> {
    /// `None` instead of [`EngineError::NoRows`].
    fn optional(self) -> Result<Option<T>>;
}

impl<T> Optional<T> for Result<T> {
    fn optional(self) -> Result<Option<T>> {
        match self {
            Ok(value) => Ok(Some(value)),
            Err(EngineError::NoRows) => Ok(None),
            Err(fault) => Err(fault),
        }
    }
}
