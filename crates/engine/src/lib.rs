//! One interface to the two engines: connections, statements, rows and transactions, as the crates above use them.
//!
//! SQL is written once, in the common subset of SQLite and PostgreSQL, with parameters `?1 …`; values are those of
//! `rusqlite` on both. Differences beyond that which recur are methods of [`Dialect`] and [`Connection`] (`capabilities`,
//! `changes`); for the others [`Connection::sqlite`] and [`Connection::server`] return the engine in use.
//!
//! Only one write transaction runs at a time on both engines: `BEGIN IMMEDIATE` on SQLite, the lock of the table
//! `writer_lock`, to which readers have no right, on PostgreSQL. So the values on which an action depends can be read
//! inside its transaction. Every transaction checks the table `relocation` first: an archive that moved to another
//! place is closed ([`relocation`]).
//!
//! Start at [`Connection`]. This crate does not know tables.

mod address;
mod capabilities;
mod changes;
mod error;
pub mod prepared;
pub mod reading;
pub mod relocation;
mod server;
mod tls;

pub use address::{Address, Database};
pub use capabilities::RowAddress;
pub use error::EngineError;
pub use server::numbered;
pub use server::{Incoming, Outgoing, Server, closed_by, is_readable, server_type, write_value};

pub use rusqlite::ToSql;
pub use rusqlite::types::{FromSql, Value, ValueRef};
use std::fmt::Display;
use std::ops::Deref;
use std::str::FromStr;

/// Result of an engine's call.
pub type Result<T> = std::result::Result<T, EngineError>;

/// The engine, for code in which its SQL differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite, in the process.
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
}

/// Returns a text as an SQL literal.
pub fn text(words: &str) -> String {
    format!("'{}'", words.replace('\'', "''"))
}

/// Returns a name quoted for SQL.
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

/// The purpose of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One consistent view for several statements.
    Read,
    /// The only writer at its time.
    Write,
    /// The same, even in an archive that is closed by a move: for the move itself.
    Move,
}

impl Connection {
    /// Returns the engine in use.
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Returns the SQLite connection, for features that only the embedded archive has.
    pub fn sqlite(&self) -> Option<&rusqlite::Connection> {
        match self {
            Self::Sqlite(connection) => Some(connection),
            Self::Postgres(_) => None,
        }
    }

    /// Returns the server, for features that only a server has.
    pub fn server(&self) -> Option<&Server> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(server) => Some(server),
        }
    }

    /// Begins a transaction, which is rolled back unless it is committed.
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

    /// Prepares a statement that will be reused.
    pub fn prepare_cached(&self, sql: &str) -> Result<Statement<'_>> {
        prepared::note(sql);
        Ok(match self {
            Self::Sqlite(c) => Statement::Sqlite(c.prepare_cached(sql)?),
            Self::Postgres(server) => Statement::Postgres(server, server.prepare(sql)?),
        })
    }

    /// Prepares a statement.
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

    /// Runs one statement and returns the number of rows it changed.
    pub fn execute(&self, sql: &str, params: impl Params) -> Result<usize> {
        self.prepare_cached(sql)?.execute(params)
    }

    /// Returns the first row of a query.
    pub fn query_row<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<T> {
        self.prepare_cached(sql)?.query_row(params, map)
    }

    /// Defers the check of references until the transaction is committed.
    pub fn defer_foreign_keys(&self) -> Result<()> {
        self.execute_batch(match self.dialect() {
            Dialect::Sqlite => "PRAGMA defer_foreign_keys = ON",
            Dialect::Postgres => "SET CONSTRAINTS ALL DEFERRED",
        })
    }
}

/// A running transaction: a connection, until it is committed or dropped.
#[derive(Debug)]
pub struct Transaction<'c> {
    connection: &'c Connection,
    is_open: bool,
}

impl Transaction<'_> {
    /// Commits the transaction.
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
            // A lost connection has ended the transaction too.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }
}

/// A prepared statement.
pub enum Statement<'c> {
    /// Statement of SQLite.
    Sqlite(rusqlite::CachedStatement<'c>),
    /// Statement of a server, with its connection.
    Postgres(&'c Server, postgres::Statement),
}

impl Statement<'_> {
    /// Runs it and returns the number of rows it changed.
    pub fn execute(&mut self, params: impl Params) -> Result<usize> {
        prepared::count(1, 0);
        params.with(|params| match self {
            Self::Sqlite(statement) => Ok(statement.execute(params)?),
            Self::Postgres(server, statement) => server.execute(statement, params),
        })
    }

    /// Returns its first row.
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

    /// Returns all its rows, each as a value.
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

    /// Returns its rows, one after the other.
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
    /// Errors of the engine.
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
    /// Row of SQLite.
    Sqlite(&'r rusqlite::Row<'r>),
    /// Row of a server.
    Postgres(postgres::Row),
}

impl Row<'_> {
    /// Returns a column's value; the first column has number 0.
    pub fn get<T: FromSql>(&self, column: usize) -> Result<T> {
        let value = match self {
            Self::Sqlite(row) => return Ok(row.get(column)?),
            Self::Postgres(row) => server::value(row, column)?,
        };
        T::column_result(ValueRef::from(&value))
            .map_err(|fault| EngineError::Value { column, reason: format!("{fault} ({value:?})") })
    }

    /// Returns a column's number as an identity, which checks it.
    pub fn id<T: TryFrom<i64, Error = String>>(&self, column: usize) -> Result<T> {
        T::try_from(self.get(column)?).map_err(|reason| EngineError::Value { column, reason })
    }

    /// Returns a column's number as an identity, `None` for NULL.
    pub fn optional_id<T: TryFrom<i64, Error = String>>(&self, column: usize) -> Result<Option<T>> {
        let number: Option<i64> = self.get(column)?;
        let id = number.map(T::try_from).transpose();
        id.map_err(|reason| EngineError::Value { column, reason })
    }

    /// Returns a column's text as a value of a type that checks it.
    pub fn parsed<T: FromStr<Err = String>>(&self, column: usize) -> Result<T> {
        let text: String = self.get(column)?;
        text.parse().map_err(|reason| EngineError::Value { column, reason })
    }
}

impl Row<'_> {
    /// Returns the name in a text column as its type.
    ///
    /// # Errors
    /// [`EngineError::Value`] for a text that is no such name.
    pub fn name<T: FromStr<Err: Display>>(&self, column: usize) -> Result<T> {
        parsed(&self.get::<String>(column)?, column)
    }

    /// Returns the name in a text column as its type; `None` for NULL.
    ///
    /// # Errors
    /// [`EngineError::Value`] for a text that is no such name.
    pub fn name_if_any<T: FromStr<Err: Display>>(&self, column: usize) -> Result<Option<T>> {
        self.get::<Option<String>>(column)?.map(|text| parsed(&text, column)).transpose()
    }
}

fn parsed<T: FromStr<Err: Display>>(text: &str, column: usize) -> Result<T> {
    text.parse().map_err(|fault: T::Err| EngineError::Value { column, reason: fault.to_string() })
}

/// Values for a statement's parameters.
pub trait Params: Sized {
    /// Passes them to a function.
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
    /// Returns `None` instead of [`EngineError::NoRows`].
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
