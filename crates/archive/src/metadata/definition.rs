//! DDL of the tables with history, and their growth by new columns.

use crate::error::ArchiveFault;
use model::tables::{Column, ColumnType, Keeping, Table};
use rusqlite::{Connection, params};
use std::fmt::Write;

/// The tables that live in the database itself, not in the lake.
pub(crate) fn tables() -> impl Iterator<Item = &'static Table> {
    model::tables::tables().iter().filter(|t| t.keeping != Keeping::Lake)
}

/// The tables whose rows belong to multiframes.
pub(crate) fn versioned() -> impl Iterator<Item = &'static Table> {
    tables().filter(|t| t.keeping == Keeping::Versioned)
}

/// A name as SQL writes it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Makes a table that is absent, adds the columns that a grown definition has more, and renews view and
/// descriptions. Safe to repeat; `true` when anything was new.
///
/// # Errors
/// [`ArchiveFault::Definition`] when the archive has a column that the definition lost or changed, or a new column
/// may not be NULL.
pub(crate) fn bring_up(tx: &Connection, table: &Table) -> Result<bool, ArchiveFault> {
    let stored = stored_columns(tx, table)?;
    let new: Vec<&Column> = if stored.is_empty() {
        tx.execute_batch(&create_sql(table))?;
        table.columns.iter().collect()
    } else {
        check(table, &stored)?;
        let new = table.columns.iter().filter(|c| stored.iter().all(|(name, _)| *name != c.name));
        new.collect()
    };
    if !stored.is_empty() {
        for column in &new {
            add_column(tx, table, column)?;
        }
    }
    if new.is_empty() {
        return Ok(false);
    }
    tx.execute_batch(&view_sql(table))?;
    describe(tx, table)?;
    Ok(true)
}

/// Writes the descriptions of a table's columns.
pub(crate) fn describe(tx: &Connection, table: &Table) -> Result<(), ArchiveFault> {
    let mut insert = tx.prepare_cached(
        "INSERT OR REPLACE INTO column_description (table_name, column_name, ordinal, type, unit, ucd,
             description, source) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for (position, column) in table.columns.iter().enumerate() {
        let source = [&column.keyword, &column.ttype, &column.formula];
        let source = source.into_iter().flatten().next().map_or("", String::as_str);
        insert.execute(params![
            table.name,
            column.name,
            Table::field_id(position),
            format!("{:?}", column.kind).to_lowercase(),
            column.unit,
            column.ucd,
            column.description,
            source
        ])?;
    }
    Ok(())
}

/// Name and SQLite type of the columns that `<name>_all` has, without the two of its history.
fn stored_columns(tx: &Connection, table: &Table) -> Result<Vec<(String, String)>, ArchiveFault> {
    let mut select = tx.prepare("SELECT name, type FROM pragma_table_info(?1) ORDER BY cid")?;
    let rows = select.query_map([format!("{}_all", table.name)], |r| Ok((r.get(0)?, r.get(1)?)))?;
    let columns: Vec<(String, String)> = rows.collect::<Result<_, _>>()?;
    Ok(columns.into_iter().filter(|(n, _)| n != "begin_event" && n != "end_event").collect())
}

fn check(table: &Table, stored: &[(String, String)]) -> Result<(), ArchiveFault> {
    for (name, kind) in stored {
        let misfit = |reason| ArchiveFault::Definition { table: table.name.clone(), reason };
        match table.column(name) {
            None => return Err(misfit(format!("column {name} is in the archive only"))),
            Some(column) if sqlite_type(column.kind) != kind => {
                return Err(misfit(format!(
                    "column {name} is {kind} in the archive and {} in the definition",
                    sqlite_type(column.kind)
                )));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn add_column(tx: &Connection, table: &Table, column: &Column) -> Result<(), ArchiveFault> {
    if !column.nullable {
        return Err(ArchiveFault::Definition {
            table: table.name.clone(),
            reason: format!(
                "the new column {} must be nullable: older rows do not have it",
                column.name
            ),
        });
    }
    let table = quoted(&format!("{}_all", table.name));
    tx.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {}", column_sql(column)))?;
    Ok(())
}

fn create_sql(table: &Table) -> String {
    let mut sql = comment(&table.description);
    let name = format!("{}_all", table.name);
    let _ = writeln!(sql, "CREATE TABLE {} (", quoted(&name));
    for column in &table.columns {
        let unit =
            if column.unit.is_empty() { String::new() } else { format!(" [{}]", column.unit) };
        let _ = writeln!(
            sql,
            "    {}, -- {}{unit}",
            column_sql(column),
            unwrapped(&column.description)
        );
    }
    let key = keys(table);
    let _ = write!(
        sql,
        "    begin_event INTEGER NOT NULL REFERENCES event (event_id), -- event that began the row\n    \
             end_event INTEGER REFERENCES event (event_id) CHECK (end_event >= begin_event), -- event that ended it\n    \
             PRIMARY KEY ({key}, begin_event)\n) STRICT;\n\
         CREATE UNIQUE INDEX {} ON {} ({key}) WHERE end_event IS NULL;\n",
        quoted(&format!("{}_current", table.name)),
        quoted(&name),
    );
    if table.column("multiframe_id").is_some()
        && table.key.first().is_some_and(|k| k != "multiframe_id")
    {
        let index = quoted(&format!("{}_multiframe", table.name));
        let _ = writeln!(sql, "CREATE INDEX {index} ON {} (multiframe_id);", quoted(&name));
    }
    sql
}

fn view_sql(table: &Table) -> String {
    let columns: Vec<String> = table.columns.iter().map(|c| quoted(&c.name)).collect();
    let name = quoted(&table.name);
    format!(
        "DROP VIEW IF EXISTS {name};\nCREATE VIEW {name} AS SELECT {}, begin_event FROM {} WHERE end_event IS NULL;\n",
        columns.join(", "),
        quoted(&format!("{}_all", table.name))
    )
}

fn keys(table: &Table) -> String {
    table.key.iter().map(|k| quoted(k)).collect::<Vec<_>>().join(", ")
}

/// One column: type, NOT NULL, limits, reference.
fn column_sql(column: &Column) -> String {
    let name = quoted(&column.name);
    let mut sql = format!("{name} {}", sqlite_type(column.kind));
    if !column.nullable {
        sql += " NOT NULL";
    }
    match (column.range, column.kind) {
        (Some([low, high]), _) => {
            let _ = write!(sql, " CHECK ({name} BETWEEN {low:?} AND {high:?})");
        }
        (None, ColumnType::Bool) => {
            let _ = write!(sql, " CHECK ({name} IN (0, 1))");
        }
        (None, ColumnType::I16) => {
            let _ = write!(sql, " CHECK ({name} BETWEEN -32768 AND 32767)");
        }
        (None, ColumnType::I32) => {
            let _ = write!(sql, " CHECK ({name} BETWEEN -2147483648 AND 2147483647)");
        }
        (None, _) => {}
    }
    match (column.name.as_str(), column.references.as_deref()) {
        ("multiframe_id", _) | (_, Some("multiframe.multiframe_id")) => {
            sql += " REFERENCES image (multiframe_id)";
        }
        ("programme_id", _) | (_, Some("programme.programme_id")) => {
            sql += " REFERENCES programme_counter (programme_id)";
        }
        _ => {}
    }
    sql
}

fn comment(text: &str) -> String {
    text.lines().map(|line| format!("-- {}\n", line.trim())).collect()
}

fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Type of a column in a STRICT table.
pub(super) fn sqlite_type(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::I16 | ColumnType::I32 | ColumnType::I64 | ColumnType::Bool => "INTEGER",
        ColumnType::F32 | ColumnType::F64 => "REAL",
        ColumnType::Text => "TEXT",
        ColumnType::Bytes => "BLOB",
    }
}
