//! DDL of the tables with history, and their extension by new columns.

use crate::error::ArchiveFault;
use engine::{self, Connection, Dialect, quoted};
use model::tables::{Column, ColumnType, Keeping, Table};
use rusqlite::params;
use std::collections::HashMap;
use std::fmt::Write;

/// Returns the tables that are in the database itself, not in the lake.
pub fn tables() -> impl Iterator<Item = &'static Table> {
    model::tables::tables().iter().filter(|t| t.keeping != Keeping::Lake)
}

/// Returns the tables whose rows belong to multiframes.
pub fn versioned() -> impl Iterator<Item = &'static Table> {
    tables().filter(|t| t.keeping == Keeping::Versioned)
}

/// Creates a table that is missing, adds the columns that are new in the definition, and recreates view and descriptions. Safe to
/// repeat; returns `true` when anything was new.
///
/// # Errors
/// [`ArchiveFault::Definition`] when the archive has a column that the definition lost or changed, or a new column may not be
/// NULL.
pub(crate) fn bring_up(tx: &Connection, table: &Table) -> Result<bool, ArchiveFault> {
    let stored = stored_columns(tx, table)?;
    let dialect = tx.dialect();
    let new: Vec<&Column> = if stored.is_empty() {
        tx.execute_batch(&create_sql(table, dialect))?;
        table.columns.iter().collect()
    } else {
        check(table, &stored, dialect)?;
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
    if dialect.has_comments() {
        tx.execute_batch(&comments_sql(table, &format!("{}_all", table.name)))?;
        tx.execute_batch(&comments_sql(table, &table.name))?;
    }
    Ok(true)
}

/// Creates the missing indexes that find the rows which an event ended, and the previews of a path.
pub(crate) fn ensure_indexes(tx: &Connection) -> Result<(), ArchiveFault> {
    let ended = |table: &Table| {
        let index = format!("{}_ended", table.name);
        (index, format!("{}_all", table.name), "(end_event) WHERE end_event IS NOT NULL")
    };
    let path = ("preview_path".to_owned(), "preview_all".to_owned(), "(path)");
    for (index, all, of) in versioned().map(ended).chain([path]) {
        tx.ensure_index(&index, (&all, of))?;
    }
    Ok(())
}

/// Writes the descriptions of a table's columns, if they differ from the stored ones.
pub(crate) fn describe(tx: &Connection, table: &Table) -> Result<(), ArchiveFault> {
    let mut select = tx.prepare_cached(
        "SELECT column_name, ordinal, type, unit, ucd, description, source FROM column_description
         WHERE table_name = ?1",
    )?;
    let rows = select.query_map([&table.name], |r| {
        let described = (r.get(1)?, [r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?, r.get(6)?]);
        Ok((r.get(0)?, described))
    })?;
    let stored: HashMap<String, (i64, [String; 5])> = rows.collect::<Result<_, _>>()?;
    let mut insert = tx.prepare_cached(
        "INSERT INTO column_description (table_name, column_name, ordinal, type, unit, ucd, description, source)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (table_name, column_name) DO UPDATE SET ordinal = excluded.ordinal, type = excluded.type,
             unit = excluded.unit, ucd = excluded.ucd, description = excluded.description, source = excluded.source",
    )?;
    for (position, column) in table.columns.iter().enumerate() {
        let source = [&column.keyword, &column.ttype, &column.formula];
        let source = source.into_iter().flatten().next().map_or("", String::as_str);
        let kind = format!("{:?}", column.kind).to_lowercase();
        let wanted = [&kind, &column.unit, &column.ucd, &column.description, source];
        let ordinal = i64::from(Table::field_id(position));
        if stored.get(&column.name).is_some_and(|(n, texts)| *n == ordinal && *texts == wanted) {
            continue;
        }
        insert.execute(params![
            table.name,
            column.name,
            ordinal,
            kind,
            column.unit,
            column.ucd,
            column.description,
            source
        ])?;
    }
    Ok(())
}

/// Returns name and type of the columns of `<name>_all`, without the two of its history.
fn stored_columns(tx: &Connection, table: &Table) -> Result<Vec<(String, String)>, ArchiveFault> {
    let columns = tx.columns(&format!("{}_all", table.name))?;
    Ok(columns.into_iter().filter(|(n, _)| n != "begin_event" && n != "end_event").collect())
}

fn check(table: &Table, stored: &[(String, String)], dialect: Dialect) -> Result<(), ArchiveFault> {
    for (name, kind) in stored {
        let misfit = |reason| ArchiveFault::Definition { table: table.name.clone(), reason };
        match table.column(name) {
            None => return Err(misfit(format!("column {name} is in the archive only"))),
            Some(column) if column_type(column.kind, dialect) != kind => {
                return Err(misfit(format!(
                    "column {name} is {kind} in the archive and {} in the definition",
                    column_type(column.kind, dialect)
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
    tx.execute_batch(&format!(
        "ALTER TABLE {table} ADD COLUMN {}",
        column_sql(column, tx.dialect())
    ))?;
    Ok(())
}

fn create_sql(table: &Table, dialect: Dialect) -> String {
    let mut sql = comment(&table.description);
    let (integer, end) = (dialect.integer(), dialect.table_options());
    let name = format!("{}_all", table.name);
    let _ = writeln!(sql, "CREATE TABLE {} (", quoted(&name));
    for column in &table.columns {
        let unit =
            if column.unit.is_empty() { String::new() } else { format!(" [{}]", column.unit) };
        let _ = writeln!(
            sql,
            "    {}, -- {}{unit}",
            column_sql(column, dialect),
            unwrapped(&column.description)
        );
    }
    let key = keys(table);
    let _ = write!(
        sql,
        "    begin_event {integer} NOT NULL REFERENCES event (event_id), -- event that began the row\n    \
             end_event {integer} REFERENCES event (event_id) CHECK (end_event >= begin_event), -- event that ended it\n    \
             PRIMARY KEY ({key}, begin_event)\n){end};\n\
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

/// Returns the SQL of one column: type, NOT NULL, limits, reference.
pub(crate) fn column_sql(column: &Column, dialect: Dialect) -> String {
    let name = quoted(&column.name);
    let mut sql = format!("{name} {}", column_type(column.kind, dialect));
    if !column.nullable {
        sql += " NOT NULL";
    }
    match (column.range, column.kind) {
        // The server's own types have the limits.
        (None, _) if dialect.has_narrow_types() => {}
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

/// Returns the SQL of comments on a table or view and its columns, for PostgreSQL.
pub(crate) fn comments_sql(table: &Table, name: &str) -> String {
    let is_current = name == table.name;
    let has_history = table.lake.as_ref().is_none_or(|lake| lake.history.is_some());
    let is_root = table.lake.is_some() && name == format!("{}_data", table.name);
    let is_view = is_current || (table.lake.is_some() && !is_root);
    let kind = if is_view { "VIEW" } else { "TABLE" };
    let what = match (is_current, is_root) {
        (true, _) => " Current rows.".to_owned(),
        (false, true) => format!(
            " Every row, those of events that are not published yet too; query {}{}.",
            table.name,
            if has_history { "_all" } else { "" }
        ),
        (false, false) => " Every row, current or ended.".to_owned(),
    };
    let name = quoted(name);
    let text = engine::text(&(unwrapped(&table.description) + &what));
    let mut sql = format!("COMMENT ON {kind} {name} IS {text};\n");
    let mut add = |column: &str, text: &str| {
        let (column, text) = (quoted(column), engine::text(text));
        let _ = writeln!(sql, "COMMENT ON COLUMN {name}.{column} IS {text};");
    };
    for column in &table.columns {
        let unit =
            if column.unit.is_empty() { String::new() } else { format!(" [{}]", column.unit) };
        add(&column.name, &format!("{}{unit}", unwrapped(&column.description)));
    }
    if table.column("begin_event").is_none() {
        add("begin_event", "event that began the row");
    }
    if !is_view && table.keeping != Keeping::Lake {
        add("end_event", "event that ended it");
    }
    sql
}

/// Returns the type of a column: that of a STRICT table of SQLite, or PostgreSQL's.
pub(crate) fn column_type(kind: ColumnType, dialect: Dialect) -> &'static str {
    if dialect == Dialect::Postgres {
        return match kind {
            ColumnType::I16 => "SMALLINT",
            ColumnType::I32 => "INTEGER",
            ColumnType::I64 => "BIGINT",
            ColumnType::Bool => "BOOLEAN",
            ColumnType::F32 => "REAL",
            ColumnType::F64 => "DOUBLE PRECISION",
            ColumnType::Text => "TEXT",
            ColumnType::Bytes => "BYTEA",
        };
    }
    match kind {
        ColumnType::I16 | ColumnType::I32 | ColumnType::I64 | ColumnType::Bool => "INTEGER",
        ColumnType::F32 | ColumnType::F64 => "REAL",
        ColumnType::Text => "TEXT",
        ColumnType::Bytes => "BLOB",
    }
}
