//! A reader's connection: the archive's tables and views, the detections, the functions, and limits.

use super::budget::{Budget, SqlLimits, Stopped, can_watch_temporary_files};
use super::error::SqlError;
use super::guard::{Guard, authorizer};
use super::shared::{LakeReading, LakeShare};
use super::{as_of, cone_hint, functions, lake_table};
use archive::ArchiveFault;
use engine::EngineError;
use lake::{ByteCounter, LakeTable};
use model::EventId;
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, Statement};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// SQLite instructions between two checks of the limits: about a millisecond.
const INSTRUCTIONS_PER_CHECK: i32 = 20_000;
/// Longest text, blob or row.
const MAX_VALUE_BYTES: i32 = 256 << 20;

/// A value of a result, as SQLite has it.
pub use rusqlite::types::ValueRef as SqlValue;

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultColumn {
    /// Its name.
    pub name: String,
    /// Declared type of the table's column that it is, e.g. `FLOAT`; `None` for an expression.
    pub declared: Option<String>,
}

/// Takes the rows of a result one by one.
pub trait RowSink {
    /// Receives the columns; called once, before the rows.
    ///
    /// # Errors
    /// Ends the query.
    fn columns(&mut self, columns: &[ResultColumn]) -> io::Result<()>;

    /// Receives one row. The values live until it returns.
    ///
    /// # Errors
    /// Ends the query.
    fn row(&mut self, values: &[ValueRef<'_>]) -> io::Result<()>;
}

/// Result and cost of a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryReport {
    /// Rows returned.
    pub rows: u64,
    /// Bytes read from lake files.
    pub lake_bytes: u64,
    /// Read requests to lake files.
    pub lake_reads: u64,
    /// Lake files opened.
    pub lake_files: u64,
}

/// A read-only connection for queries. One query runs at a time; each sees one state of the archive.
#[derive(Debug)]
pub struct Session {
    connection: Connection,
    reading: Arc<LakeReading>,
    budget: Arc<Budget>,
    guard: Arc<Guard>,
    note: Option<String>,
}

/// Interrupts a session's query from another thread or a signal.
#[derive(Clone)]
pub struct Interrupt(Arc<dyn Fn() + Send + Sync>);

impl Interrupt {
    pub(crate) fn new(stop: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(stop))
    }

    /// Requests that the running query stop.
    pub fn stop(&self) {
        (self.0)();
    }
}

impl Session {
    /// Opens an archive for reading. `lake_dir` is the site's `lake/`, whatever place the catalogue records.
    ///
    /// # Errors
    /// [`SqlError::Open`] when the database is absent or not readable, [`SqlError::Schema`] when it has the schema of another
    /// version, [`SqlError::Lake`] when it has no lake.
    pub fn open(archive_db: &Path, lake_dir: &Path, limits: SqlLimits) -> Result<Self, SqlError> {
        Self::open_as_of(archive_db, lake_dir, limits, None)
    }

    /// Opens an archive with the public names as they were after an event.
    ///
    /// # Errors
    /// As [`Session::open`]; [`SqlError::NoEvent`] when there is no such event.
    pub fn open_as_of(
        archive_db: &Path,
        lake_dir: &Path,
        limits: SqlLimits,
        as_of: Option<EventId>,
    ) -> Result<Self, SqlError> {
        let tables = lake::tables().to_vec();
        Self::open_with_tables(archive_db, lake_dir, limits, as_of, tables)
    }

    /// Opens an archive with some lake tables, instead of those that `model::tables` defines.
    ///
    /// # Errors
    /// As [`Session::open_as_of`].
    pub fn open_with_tables(
        archive_db: &Path,
        lake_dir: &Path,
        limits: SqlLimits,
        as_of: Option<EventId>,
        tables: Vec<LakeTable>,
    ) -> Result<Self, SqlError> {
        let fault = |source| SqlError::Open { path: archive_db.display().to_string(), source };
        let (mut connection, note) = engine::reading::open(archive_db).map_err(fault)?;
        archive::migrations::check_embedded(&connection).map_err(|other| match other {
            ArchiveFault::Engine(EngineError::Sqlite(source)) => fault(source),
            schema => SqlError::Schema(schema),
        })?;
        configure(&connection, limits).map_err(fault)?;
        let budget = Arc::new(Budget::new(limits));
        let event = as_of.map(EventId::get);
        let reading = Arc::new(LakeReading::new(lake_dir, Arc::clone(&budget), event));
        for table in tables {
            if let Some(share) = LakeShare::of(&connection, &reading, table)? {
                lake_table::create(&connection, share).map_err(fault)?;
            }
        }
        if let Some(event) = as_of {
            let last = "SELECT coalesce(max(event_id), 0) FROM event";
            let last: i64 = connection.query_row(last, [], |r| r.get(0)).map_err(fault)?;
            as_of::check(event, last)?;
            connection
                .execute_batch(&as_of::views("TEMP VIEW", "main", event.get()))
                .map_err(fault)?;
        }
        functions::register(&connection).map_err(fault)?;
        connection.pragma_update(None, "query_only", true).map_err(fault)?;
        let watched = Arc::clone(&budget);
        connection
            .progress_handler(INSTRUCTIONS_PER_CHECK, Some(move || watched.exhausted().is_some()))
            .map_err(fault)?;
        let guard = Arc::new(Guard::default());
        connection.authorizer(Some(authorizer(Arc::clone(&guard)))).map_err(fault)?;
        Ok(Self { connection, reading, budget, guard, note })
    }

    /// Returns a handle that interrupts this session's queries.
    pub fn interrupt(&self) -> Interrupt {
        let budget = Arc::clone(&self.budget);
        Interrupt::new(move || budget.interrupt())
    }

    /// Returns a note for the reader, if the database could not be opened as usual.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Returns the counter of bytes read from lake files since the session was opened.
    pub fn lake_counter(&self) -> &ByteCounter {
        &self.reading.counter
    }

    /// Runs one SELECT (or EXPLAIN, or a PRAGMA that only reports) and passes its rows to `sink`, as they are found.
    ///
    /// # Errors
    /// [`SqlError`]; rows may have been passed before.
    pub fn query(&self, sql: &str, sink: &mut dyn RowSink) -> Result<QueryReport, SqlError> {
        let before = self.report(0);
        self.budget.start();
        let _snapshot = ReadTransaction::begin(&self.connection).map_err(|e| self.explained(e))?;
        engine::relocation::check(&self.connection).map_err(|e| match e.is_moved() {
            true => SqlError::Moved(e),
            false => SqlError::Engine(e.to_string()),
        })?;
        let armed = self.guard.arm();
        let result = self.run(sql, sink);
        drop(armed);
        // The queries that explain a fault can run only now.
        let result = result.map_err(|fault| match fault {
            Fault::Engine(e) => self.explained(e),
            Fault::Told(e) => e,
        });
        let after = self.report(result?);
        Ok(QueryReport {
            rows: after.rows,
            lake_bytes: after.lake_bytes - before.lake_bytes,
            lake_reads: after.lake_reads - before.lake_reads,
            lake_files: after.lake_files - before.lake_files,
        })
    }

    fn report(&self, rows: u64) -> QueryReport {
        let counter = self.lake_counter();
        QueryReport {
            rows,
            lake_bytes: counter.bytes(),
            lake_reads: counter.reads(),
            lake_files: counter.files(),
        }
    }

    fn run(&self, sql: &str, sink: &mut dyn RowSink) -> Result<u64, Fault> {
        let hinted = cone_hint::with_hints(sql);
        let mut statement = self.connection.prepare(&hinted)?;
        if statement.column_count() == 0 {
            return Err(Fault::Told(SqlError::Statements("none that gives rows")));
        }
        let columns = if hinted == sql {
            result_columns(&statement)
        } else {
            // A column without a name of its own is named by its expression, as the reader wrote it.
            result_columns(&self.connection.prepare(sql)?)
        };
        sink.columns(&columns).map_err(SqlError::Output)?;
        let mut rows = statement.raw_query();
        let mut count = 0;
        while let Some(row) = rows.next()? {
            if self.budget.limits().rows.is_some_and(|limit| count >= limit) {
                return Err(Fault::Told(SqlError::Stopped(Stopped::Rows(count))));
            }
            let values: Vec<ValueRef<'_>> =
                (0..columns.len()).map(|i| row.get_ref(i)).collect::<Result<_, _>>()?;
            if is_due(count, &values)
                && let Some(stopped) = self.budget.exhausted()
            {
                return Err(Fault::Told(SqlError::Stopped(stopped)));
            }
            sink.row(&values).map_err(SqlError::Output)?;
            count += 1;
        }
        Ok(count)
    }

    /// Returns all tables and views that can be queried, in alphabetical order; the lake's own catalogue is last.
    ///
    /// # Errors
    /// Fails when the schema cannot be read.
    pub fn tables(&self) -> Result<Vec<String>, SqlError> {
        let names = || -> rusqlite::Result<Vec<String>> {
            let mut select = self.connection.prepare(
                "SELECT name FROM (SELECT name, type FROM main.sqlite_schema UNION SELECT name, type FROM temp.sqlite_schema)
                 WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
                 ORDER BY name LIKE 'ducklake\\_%' ESCAPE '\\', name",
            )?;
            select.query_map([], |r| r.get(0))?.collect()
        };
        names().map_err(|e| SqlError::Engine(e.to_string()))
    }

    /// Returns columns of all tables whose name resembles one, as `table.column`.
    fn columns_like(&self, name: &str) -> Vec<String> {
        let wanted = name.rsplit('.').next().unwrap_or(name).replace('_', "").to_ascii_lowercase();
        let all = || -> rusqlite::Result<Vec<(String, String)>> {
            let mut select = self.connection.prepare(
                "SELECT t.name, c.name FROM pragma_table_list AS t, pragma_table_info(t.name) AS c
                 WHERE t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND t.name NOT LIKE 'ducklake\\_%' ESCAPE '\\'",
            )?;
            select.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?.collect()
        };
        let mut alike: Vec<String> = all()
            .unwrap_or_default()
            .into_iter()
            .filter(|(_, column)| {
                let column = column.replace('_', "").to_ascii_lowercase();
                column == wanted || (wanted.len() >= 3 && column.contains(&wanted))
            })
            .map(|(table, column)| format!("{table}.{column}"))
            .collect();
        alike.sort();
        alike.truncate(5);
        alike
    }

    /// Returns SQLite's message, with an explanation.
    fn explained(&self, error: rusqlite::Error) -> SqlError {
        if let Some(stopped) = self.budget.stopped() {
            return SqlError::Stopped(stopped);
        }
        if let Some(what) = self.guard.take_refused() {
            return SqlError::Denied(what);
        }
        if matches!(error, rusqlite::Error::MultipleStatement) {
            return SqlError::Statements("several");
        }
        let text = match &error {
            rusqlite::Error::SqliteFailure(code, _) if code.code == ErrorCode::ReadOnly => {
                return SqlError::Denied("writing".to_owned());
            }
            rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
            rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
            other => other.to_string(),
        };
        if let Some(name) = text.strip_prefix("no such table: ") {
            let tables = self.tables().unwrap_or_default();
            let tables = tables.into_iter().filter(|t| !t.starts_with("ducklake_")).collect();
            return SqlError::UnknownTable { name: name.to_owned(), tables };
        }
        if let Some(name) = text.strip_prefix("no such column: ") {
            return SqlError::UnknownColumn {
                name: name.to_owned(),
                alike: self.columns_like(name),
            };
        }
        if let Some(name) = text.strip_prefix("no such function: ") {
            let functions = functions::FUNCTIONS.iter().map(|(call, _)| *call).collect();
            return SqlError::UnknownFunction { name: name.to_owned(), functions };
        }
        SqlError::Engine(text)
    }
}

/// Returns true when the clock must be read before a row is passed on: at regular intervals, and before each long row.
pub(crate) fn is_due(row: u64, values: &[ValueRef<'_>]) -> bool {
    let is_long = |value: &ValueRef<'_>| match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len() > 4096,
        _ => false,
    };
    row.is_multiple_of(256) || values.iter().any(is_long)
}

/// A fault of a run: SQLite's own is explained after the run.
enum Fault {
    Engine(rusqlite::Error),
    Told(SqlError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(error)
    }
}

impl From<SqlError> for Fault {
    fn from(error: SqlError) -> Self {
        Self::Told(error)
    }
}

fn configure(connection: &Connection, limits: SqlLimits) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.set_prepared_statement_cache_capacity(64);
    let store = if can_watch_temporary_files() { "file" } else { "memory" };
    connection.pragma_update(None, "temp_store", store)?;
    if let Some(bytes) = limits.memory_bytes {
        connection.pragma_update(
            None,
            "hard_heap_limit",
            i64::try_from(bytes).unwrap_or(i64::MAX),
        )?;
    }
    Ok(())
}

fn result_columns(statement: &Statement<'_>) -> Vec<ResultColumn> {
    statement
        .columns()
        .map(|c| ResultColumn {
            name: c.name().to_owned(),
            declared: c.decl_type().map(str::to_owned),
        })
        .collect()
}

/// Transaction that shows one snapshot of the database to a whole query, the lookups of the detection tables included.
struct ReadTransaction<'a>(&'a Connection);

impl<'a> ReadTransaction<'a> {
    fn begin(connection: &'a Connection) -> rusqlite::Result<Self> {
        connection.execute_batch("BEGIN DEFERRED")?;
        let transaction = Self(connection);
        connection.query_row("SELECT count(*) FROM main.sqlite_schema", [], |_| Ok(()))?;
        Ok(transaction)
    }
}

impl Drop for ReadTransaction<'_> {
    fn drop(&mut self) {
        // Nothing was written; a failure to end it appears at the next BEGIN.
        let _ = self.0.execute_batch("ROLLBACK");
    }
}
