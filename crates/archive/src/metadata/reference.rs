//! Reference tables: surveys, filters, programmes, use cases, as in the profiles, with history.

use crate::error::{ArchiveError, ArchiveFault};
use crate::history::{self, Cause};
use crate::metadata::reference;
use crate::{Archive, Timestamp};
use engine::quoted;
use engine::{Connection, Optional, Value};
use model::EventId;
use model::tables::{ColumnType, Keeping, Table};

/// A value of a reference table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Unknown.
    Null,
    /// Integer or truth value.
    Integer(i64),
    /// Number.
    Real(f64),
    /// Text.
    Text(String),
}

impl From<&Cell> for Value {
    fn from(cell: &Cell) -> Self {
        match cell {
            Cell::Null => Self::Null,
            Cell::Integer(i) => Self::Integer(*i),
            Cell::Real(x) => Self::Real(*x),
            Cell::Text(text) => Self::Text(text.clone()),
        }
    }
}

/// Rows of a reference table.
#[derive(Clone, Debug, PartialEq)]
pub struct ReferenceRows {
    /// Name of the table.
    pub table: String,
    /// Columns that the rows contain; the others become NULL.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Cell>>,
}

/// Returns the rows that are new or differ from the current ones.
pub(crate) fn changed(
    tx: &Connection,
    rows: &ReferenceRows,
) -> Result<Vec<Vec<Value>>, ArchiveFault> {
    let table = definition(&rows.table)?;
    let columns: Vec<String> = table.columns.iter().map(|c| quoted(&c.name)).collect();
    let mut select = tx.prepare(&format!(
        "SELECT {} FROM {} WHERE {} AND end_event IS NULL",
        columns.join(", "),
        quoted(&format!("{}_all", table.name)),
        key_condition(table)
    ))?;
    let mut changed = Vec::new();
    for row in &rows.rows {
        let full = full_row(table, rows, row)?;
        let key = table.key.iter().filter_map(|k| table.position(k)).map(|p| full[p].clone());
        let stored: Option<Vec<Value>> = select
            .query_row(key.collect::<Vec<_>>(), |r| (0..columns.len()).map(|i| r.get(i)).collect())
            .optional()?;
        if stored.is_none_or(|stored| stored != full) {
            changed.push(full);
        }
    }
    Ok(changed)
}

/// Ends the rows that the given rows replace, and inserts the given rows.
pub(crate) fn replace(
    tx: &Connection,
    table: &str,
    rows: &[Vec<Value>],
    event: EventId,
) -> Result<(), ArchiveFault> {
    let table = definition(table)?;
    let all = quoted(&format!("{}_all", table.name));
    let mut end = tx.prepare(&format!(
        "UPDATE {all} SET end_event = ?{} WHERE {} AND end_event IS NULL",
        table.key.len() + 1,
        key_condition(table)
    ))?;
    let columns: Vec<String> = table.columns.iter().map(|c| quoted(&c.name)).collect();
    let marks: Vec<String> = (1..=columns.len() + 1).map(|i| format!("?{i}")).collect();
    let mut insert = tx.prepare(&format!(
        "INSERT INTO {all} ({}, begin_event) VALUES ({})",
        columns.join(", "),
        marks.join(", ")
    ))?;
    for row in rows {
        let event = Value::Integer(event.get());
        let key = table.key.iter().filter_map(|k| table.position(k)).map(|p| row[p].clone());
        end.execute(key.chain([event.clone()]).collect::<Vec<_>>())?;
        if table.name == "programme" {
            tx.prepare_cached(
                "INSERT INTO programme_counter (programme_id) VALUES (?1) ON CONFLICT DO NOTHING",
            )?
            .execute([&row[table.position("programme_id").unwrap_or(0)]])?;
        }
        insert.execute(row.iter().cloned().chain([event]).collect::<Vec<_>>())?;
    }
    Ok(())
}

fn definition(name: &str) -> Result<&'static Table, ArchiveFault> {
    model::tables::table(name)
        .filter(|t| t.keeping == Keeping::Reference)
        .ok_or_else(|| ArchiveFault::Unknown { what: "reference table", name: name.to_owned() })
}

fn key_condition(table: &Table) -> String {
    let parts = table.key.iter().enumerate().map(|(i, k)| format!("{} = ?{}", quoted(k), i + 1));
    parts.collect::<Vec<_>>().join(" AND ")
}

/// Returns a row in the order of the definition. Reals that SQLite stores as integers compare as reals.
fn full_row(table: &Table, rows: &ReferenceRows, row: &[Cell]) -> Result<Vec<Value>, ArchiveFault> {
    if let Some(name) = rows.columns.iter().find(|name| table.column(name).is_none()) {
        return Err(ArchiveFault::Unknown {
            what: "column",
            name: format!("{}.{name}", table.name),
        });
    }
    if row.len() != rows.columns.len() {
        return Err(ArchiveFault::Conflict(format!(
            "a row for {} has {} values",
            table.name,
            row.len()
        )));
    }
    let value = |name: &String| {
        let given =
            rows.columns.iter().position(|c| c == name).map_or(Value::Null, |p| (&row[p]).into());
        let real =
            table.column(name).is_some_and(|c| matches!(c.kind, ColumnType::F32 | ColumnType::F64));
        match given {
            Value::Integer(i) if real => Value::Real(i as f64),
            other => other,
        }
    };
    Ok(table.columns.iter().map(|c| value(&c.name)).collect())
}

impl Archive {
    /// Updates a reference table to the rows of the profiles, in one event; returns `None` when nothing changed. Rows that are
    /// not mentioned stay.
    ///
    /// # Errors
    /// [`ArchiveError`]; nothing is changed then.
    pub fn load_reference(
        &mut self,
        tables: &[ReferenceRows],
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Option<EventId>, ArchiveError> {
        self.write("reference", "load reference tables", |tx| {
            load_reference(tx, tables, cause, now)
        })
    }
}

/// Implements [`crate::Archive::load_reference`].
pub(crate) fn load_reference(
    tx: &Connection,
    tables: &[ReferenceRows],
    cause: &Cause,
    now: Timestamp,
) -> Result<Option<EventId>, ArchiveFault> {
    let mut news = Vec::new();
    for rows in tables {
        let changed = reference::changed(tx, rows)?;
        if !changed.is_empty() {
            news.push((rows.table.as_str(), changed));
        }
    }
    if news.is_empty() {
        return Ok(None);
    }
    let event = history::next_event(tx)?;
    history::record_event(tx, event, history::Act::Reference, None, cause, now)?;
    for (table, rows) in news {
        reference::replace(tx, table, &rows, event)?;
    }
    Ok(Some(event))
}
