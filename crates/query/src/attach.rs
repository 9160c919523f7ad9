//! The statements by which DuckDB, and through it Python and R, attaches the archive of a site.
//!
//! DuckDB reads the lake and the other tables of an embedded archive in two transactions, so that a join of the two may
//! show a night in one of them and not in the other while it is published or retracted. The names of `pinned` show one
//! event in both: the lake as of the event's snapshot, and of the other tables the rows that were current after the
//! event. They do not change until the variables are set again.

use crate::as_of;
use archive::metadata::tables;
use archive::{ArchiveError, Site};
use engine::quoted;
use lake::LakeTable;
use std::fmt::Write;

/// Pins all names of `pinned` to the newest event. The snapshot is the last one of that event or an earlier one,
/// whatever has been published between the two statements; without detections it is the one that made the tables.
const PIN: &str = "\
-- What `pinned` shows: repeat these two statements to see newer events.
SET VARIABLE almagest_event = (SELECT coalesce(max(event_id), 0) FROM archive.event);
SET VARIABLE almagest_snapshot = (SELECT coalesce(max(snapshot_id), 1) FROM archive.ducklake_snapshot_changes \
WHERE CAST(nullif(regexp_extract(commit_extra_info, '[0-9]+'), '') AS BIGINT) <= getvariable('almagest_event'));
";

/// The event in an expression of DuckDB.
const EVENT: &str = "getvariable('almagest_event')";
/// The event within a text of SQL in an expression of DuckDB.
const EVENT_IN_TEXT: &str = "' || getvariable('almagest_event') || '";

/// Returns the statements that make the views of `pinned`.
fn pinned(lake_tables: &[LakeTable]) -> String {
    let mut sql = format!("ATTACH IF NOT EXISTS ':memory:' AS pinned;\n{PIN}");
    let lake_tables =
        lake_tables.iter().flat_map(|table| [Some(table.name().to_owned()), table.companion()]);
    for name in lake_tables.flatten() {
        let _ = writeln!(
            sql,
            "CREATE OR REPLACE VIEW pinned.{name} AS SELECT * FROM lake.{name} \
             AT (VERSION => getvariable('almagest_snapshot'));"
        );
    }
    let _ = writeln!(
        sql,
        "CREATE OR REPLACE VIEW pinned.event AS SELECT * FROM archive.event WHERE event_id <= {EVENT};"
    );
    for table in tables() {
        let columns: Vec<String> = table.columns.iter().map(|c| quoted(&c.name)).collect();
        let all = quoted(&format!("{}_all", table.name));
        // DuckDB may scan two tables of one statement at two moments. The visible rows are determined by a single
        // statement of SQLite; the contents of a row never change.
        let shows = as_of::condition("t", as_of::use_case_of(table), "EVENT").replace('\'', "''");
        let shows: Vec<&str> = shows.split_whitespace().collect();
        let shows = shows.join(" ").replace("EVENT", EVENT_IN_TEXT);
        let _ = writeln!(
            sql,
            "CREATE OR REPLACE VIEW pinned.{} AS SELECT {}, begin_event FROM archive.{all} AS t WHERE t.rowid IN \
             (SELECT CAST(shown AS BIGINT) FROM sqlite_query('archive', \
             'SELECT t.rowid AS shown FROM {all} AS t WHERE {shows}'));",
            quoted(&table.name),
            columns.join(", "),
        );
    }
    sql
}

/// Returns the statements that attach an archive to DuckDB, read-only. A server's password is not among them: DuckDB
/// finds it as psql does.
///
/// # Errors
/// [`ArchiveError`] when the configuration names no usable database.
pub fn attach_statements(site: &Site) -> Result<String, ArchiveError> {
    let address = site.address().map_err(ArchiveError::during("name the database"))?;
    let Some(address) = address else {
        let pinned = pinned(site.lake_tables());
        return Ok(lake::attach_statements(&site.database(), &site.lake()) + &pinned);
    };
    let words =
        [("PGHOST", "host"), ("PGPORT", "port"), ("PGUSER", "user"), ("PGDATABASE", "dbname")];
    let environment = address.environment();
    let parts: Vec<String> = words
        .iter()
        .filter_map(|(variable, word)| {
            let (_, value) = environment.iter().find(|(name, _)| name == variable)?;
            Some(format!("{word}={value}"))
        })
        .collect();
    let parts = parts.join(" ").replace('\'', "''");
    Ok(format!(
        "INSTALL postgres;\nLOAD postgres;\nATTACH IF NOT EXISTS '{parts}' AS archive (TYPE postgres, READ_ONLY);\n"
    ))
}
