//! A reader's connection to a server: one SELECT in a READ ONLY transaction, under a login that can only read
//! ([`server_guard`]), within limits.
//!
//! The server's own SQL, with the functions of the sky. Results arrive row by row; a type whose binary form is not read
//! here is requested as text. Sums of single precision are computed in double precision, as the embedded archive does:
//! the aggregates of `postgres/functions.sql` have precedence over the server's own.

use super::budget::{SqlLimits, Stopped};
use super::server_fault::Fault;
use super::session::{Interrupt, QueryReport, ResultColumn, RowSink, is_due};
use super::{FUNCTIONS, SqlError};
use super::{as_of, server_cone, server_guard};
use archive::partitions::root_name;
use engine::relocation::CLOSED;
use engine::{Address, EngineError, Incoming, Outgoing, Value, ValueRef, closed_by, is_readable};
use lake::LakeTable;
use model::EventId;
use postgres::error::SqlState;
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::Type;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A connection for queries.
pub(crate) struct ServerSession {
    client: RefCell<postgres::Client>,
    limits: SqlLimits,
    schema: String,
    /// Tables that are no public names: the parents of partitions.
    hidden: Vec<String>,
    interrupted: Arc<AtomicBool>,
    address: Address,
}

impl std::fmt::Debug for ServerSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServerSession({})", self.address)
    }
}

impl ServerSession {
    pub(crate) fn open(
        address: &Address,
        limits: SqlLimits,
        as_of: Option<EventId>,
        lake_tables: &[LakeTable],
    ) -> Result<Self, SqlError> {
        let mut client = address.connect().map_err(SqlError::Server)?;
        let fault = |e: postgres::Error| SqlError::Server(e.into());
        check_schema(&mut client)?;
        server_guard::check_login(&mut client, address.user())?;
        // A text in quotes ends at the same place for the guard and the server.
        client.batch_execute("SET standard_conforming_strings = on").map_err(fault)?;
        let row = client.query_one("SELECT current_schema()::text", &[]).map_err(fault)?;
        let schema: String = row.get(0);
        if let Some(event) = as_of {
            make_views(&mut client, &schema, event, lake_tables)?;
        }
        Ok(Self {
            schema,
            hidden: lake_tables.iter().map(root_name).collect(),
            client: RefCell::new(client),
            limits,
            interrupted: Arc::default(),
            address: address.clone(),
        })
    }

    pub(crate) fn interrupt(&self) -> Interrupt {
        let (token, flag) = (self.client.borrow().cancel_token(), Arc::clone(&self.interrupted));
        let address = self.address.clone();
        Interrupt::new(move || {
            flag.store(true, Ordering::Relaxed);
            address.cancel(&token);
        })
    }

    pub(crate) fn tables(&self) -> Result<Vec<String>, SqlError> {
        let rows = self.client.borrow_mut().query(
            "SELECT relname::text FROM pg_class WHERE relnamespace = current_schema()::regnamespace
                 AND relkind IN ('r', 'p', 'v') AND NOT relispartition AND relname <> ALL ($1)
                 AND has_table_privilege(oid, 'SELECT')
             ORDER BY 1",
            &[&self.hidden],
        );
        let rows = rows.map_err(|e| SqlError::Server(e.into()))?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    pub(crate) fn query(&self, sql: &str, sink: &mut dyn RowSink) -> Result<QueryReport, SqlError> {
        self.interrupted.store(false, Ordering::Relaxed);
        let begun = self.begin();
        let asked = begun.and_then(|()| self.run(sql, sink));
        let ended = self.client.borrow_mut().batch_execute("ROLLBACK");
        let rows = asked.map_err(|fault| self.explained(fault))?;
        ended.map_err(|e| SqlError::Server(e.into()))?;
        Ok(QueryReport { rows, ..QueryReport::default() })
    }

    fn begin(&self) -> Result<(), Fault> {
        let time = self.limits.time.map_or(0, |limit| limit.as_millis());
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {time};
             SET LOCAL search_path = pg_temp, {}, pg_catalog",
            quoted(&self.schema)
        );
        let begun = format!("{begin}; {CLOSED}");
        let said = self.client.borrow_mut().simple_query(&begun)?;
        if let Some(moved) = said.iter().find_map(closed_by) {
            return Err(Fault::Told(SqlError::Moved(moved)));
        }
        // Only logins that may set it have a limit of temporary space; the server's own limit holds for all.
        if let Some(bytes) = self.limits.temporary_bytes {
            let limit = format!("SAVEPOINT s; SET LOCAL temp_file_limit = '{}kB'", bytes / 1024);
            let mut client = self.client.borrow_mut();
            if client.batch_execute(&limit).is_err() {
                client.batch_execute("ROLLBACK TO SAVEPOINT s")?;
            }
        }
        Ok(())
    }

    fn run(&self, sql: &str, sink: &mut dyn RowSink) -> Result<u64, Fault> {
        let mut client = self.client.borrow_mut();
        server_guard::check_functions(&mut client, &self.schema, sql)?;
        let hinted = server_cone::with_hints(&mut client, sql);
        let mut statement = client.prepare(&hinted)?;
        if statement.columns().is_empty() {
            return Err(Fault::Told(SqlError::Statements("none that gives rows")));
        }
        if !statement.params().is_empty() {
            return Err(Fault::Told(SqlError::Engine("a parameter has no value".to_owned())));
        }
        let columns: Vec<ResultColumn> = statement
            .columns()
            .iter()
            .map(|c| ResultColumn {
                name: c.name().to_owned(),
                declared: declared(c.type_()).map(str::to_owned),
            })
            .collect();
        if statement.columns().iter().any(|c| !is_readable(c.type_())) {
            statement = client.prepare(&as_text(&hinted, statement.columns()))?;
        }
        sink.columns(&columns).map_err(SqlError::Output)?;
        let began = Instant::now();
        let mut rows = client.query_raw(&statement, std::iter::empty::<Outgoing>())?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            if self.limits.rows.is_some_and(|limit| count >= limit) {
                return Err(Fault::Told(SqlError::Stopped(Stopped::Rows(count))));
            }
            let values: Vec<Value> = (0..columns.len())
                .map(|i| row.try_get::<_, Incoming>(i).map(|value| value.0))
                .collect::<Result<_, _>>()?;
            let values: Vec<ValueRef<'_>> = values.iter().map(ValueRef::from).collect();
            if is_due(count, &values) {
                self.check_clock(began)?;
            }
            sink.row(&values).map_err(SqlError::Output)?;
            count += 1;
        }
        Ok(count)
    }

    /// Stops a query whose rows take longer than its limit here, or that was interrupted.
    fn check_clock(&self, began: Instant) -> Result<(), SqlError> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(SqlError::Stopped(Stopped::Interrupted));
        }
        match self.limits.time {
            Some(limit) if began.elapsed() > limit => Err(SqlError::Stopped(Stopped::Time(limit))),
            _ => Ok(()),
        }
    }

    /// Returns the server's message, with an explanation.
    fn explained(&self, fault: Fault) -> SqlError {
        let error = match fault {
            Fault::Told(error) => return error,
            Fault::Engine(error) => error,
        };
        let Some(said) = error.as_db_error() else { return SqlError::Server(error.into()) };
        let message = said.message();
        let name = || message.split('"').nth(1).unwrap_or(message).to_owned();
        match *said.code() {
            SqlState::QUERY_CANCELED if self.interrupted.load(Ordering::Relaxed) => {
                SqlError::Stopped(Stopped::Interrupted)
            }
            SqlState::QUERY_CANCELED => {
                SqlError::Stopped(Stopped::Time(self.limits.time.unwrap_or_default()))
            }
            SqlState::CONFIGURATION_LIMIT_EXCEEDED => SqlError::Stopped(Stopped::TemporarySpace(
                self.limits.temporary_bytes.unwrap_or_default(),
            )),
            SqlState::UNDEFINED_TABLE => {
                SqlError::UnknownTable { name: name(), tables: self.tables().unwrap_or_default() }
            }
            SqlState::UNDEFINED_COLUMN => {
                // `column "x" does not exist`, or `column t.x does not exist`
                let name = message.trim_start_matches("column ");
                let name = name.split(" does not").next().unwrap_or(name).trim_matches('"');
                SqlError::UnknownColumn { name: name.to_owned(), alike: self.columns_like(name) }
            }
            SqlState::UNDEFINED_FUNCTION if message.starts_with("function ") => {
                let name = message.trim_start_matches("function ");
                SqlError::UnknownFunction {
                    name: name.split(" does not").next().unwrap_or(name).to_owned(),
                    functions: FUNCTIONS.iter().map(|(call, _)| *call).collect(),
                }
            }
            SqlState::SYNTAX_ERROR if message.contains("multiple commands") => {
                SqlError::Statements("several")
            }
            SqlState::READ_ONLY_SQL_TRANSACTION | SqlState::INSUFFICIENT_PRIVILEGE => {
                SqlError::Denied(message.trim_start_matches("permission denied for ").to_owned())
            }
            _ if EngineError::is_transient_code(said.code()) => SqlError::Server(error.into()),
            _ => SqlError::Engine(message.to_owned()),
        }
    }

    /// Returns columns of all tables whose name resembles one, as `table.column`.
    fn columns_like(&self, name: &str) -> Vec<String> {
        let wanted = name.rsplit('.').next().unwrap_or(name).replace('_', "").to_lowercase();
        let rows = self.client.borrow_mut().query(
            "SELECT table_name || '.' || column_name FROM information_schema.columns
             WHERE table_schema = current_schema() AND table_name !~ '^detection_[bfp][0-9]'
                 AND (replace(column_name, '_', '') = $1
                      OR length($1) >= 3 AND strpos(replace(column_name, '_', ''), $1) > 0)
             ORDER BY 1 LIMIT 5",
            &[&wanted],
        );
        rows.unwrap_or_default().iter().map(|row| row.get(0)).collect()
    }
}

/// Refuses an archive of another history. A login that may not read the migrations is refused by [`server_guard`], or it gets
/// the server's own messages.
fn check_schema(client: &mut postgres::Client) -> Result<(), SqlError> {
    let fault = |e: postgres::Error| SqlError::Server(e.into());
    let may_read =
        "SELECT coalesce(has_table_privilege(to_regclass('migration'), 'SELECT'), false)";
    if !client.query_one(may_read, &[]).map_err(fault)?.get::<_, bool>(0) {
        return Ok(());
    }
    let applied = "SELECT number::bigint, name::text FROM migration ORDER BY number";
    let rows = client.query(applied, &[]).map_err(fault)?;
    let row = |row: &postgres::Row| {
        (u32::try_from(row.get::<_, i64>(0)).unwrap_or(u32::MAX), row.get::<_, String>(1))
    };
    let applied: Vec<(u32, String)> = rows.iter().map(row).collect();
    archive::migrations::check_applied(&applied).map_err(SqlError::Schema)
}

/// Makes views of this session over the rows that were current after an event, under the public names.
fn make_views(
    client: &mut postgres::Client,
    schema: &str,
    event: EventId,
    lake_tables: &[LakeTable],
) -> Result<(), SqlError> {
    let fault = |e: postgres::Error| SqlError::Server(e.into());
    let last =
        client.query_one("SELECT coalesce(max(event_id), 0) FROM event", &[]).map_err(fault)?;
    as_of::check(event, last.get(0))?;
    let schema = quoted(schema);
    let mut sql = as_of::views("TEMP VIEW", &schema, event.get());
    for table in lake_tables {
        let (name, companion) = (table.name(), table.companion());
        sql += &format!(
            "CREATE TEMP VIEW {name} AS SELECT d.* FROM {schema}.{} AS d WHERE d.begin_event <= {event}",
            companion.as_deref().unwrap_or(name)
        );
        if companion.is_some() {
            sql += &format!(
                " AND NOT EXISTS (SELECT FROM {schema}.{} AS r WHERE {} AND NOT ({}))",
                table.index(),
                table.row_condition("r", "d"),
                as_of::range_condition("r", table, event.get())
            );
        }
        sql += ";\n";
    }
    client.batch_execute(&sql).map_err(fault)
}

fn quoted(name: &str) -> String {
    engine::quoted(name)
}

/// Returns the query with those columns as text that are not read in binary form.
fn as_text(sql: &str, columns: &[postgres::Column]) -> String {
    let names: Vec<String> = (1..=columns.len()).map(|i| format!("c{i}")).collect();
    let cells: Vec<String> = names
        .iter()
        .zip(columns)
        .map(|(name, column)| match is_readable(column.type_()) {
            true => name.clone(),
            false => format!("{name}::text"),
        })
        .collect();
    let sql = sql.trim_end().trim_end_matches(';');
    format!("SELECT {} FROM (\n{sql}\n) AS result ({})", cells.join(", "), names.join(", "))
}

/// Returns the type of a column in the terms that results use.
fn declared(kind: &Type) -> Option<&'static str> {
    Some(match *kind {
        Type::BOOL | Type::INT2 => "SMALLINT",
        Type::INT4 => "INTEGER",
        Type::INT8 => "BIGINT",
        Type::FLOAT4 => "FLOAT",
        Type::FLOAT8 => "DOUBLE",
        Type::TEXT | Type::VARCHAR => "TEXT",
        Type::BYTEA => "BLOB",
        _ => return None,
    })
}
