//! Loading a batch's staged Parquet rows into the tables with history.

use crate::error::ArchiveFault;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::Schema;
use bytes::{BufMut, BytesMut};
use engine::quoted;
use engine::{self, Connection, Server};
use model::tables::{Column, ColumnType, Table};
use model::{DeliveryName, EventId, MultiframeId, preview_name};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use postgres::types::IsNull;
use rusqlite::CachedStatement as Statement;
use rusqlite::types::{ToSqlOutput, ValueRef};
use stage::metadata::unpacked_cards;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const ROWS_AT_ONCE: usize = 1024;

/// A staged file whose schema was checked and that is ready to be read.
pub(crate) struct StagedRows {
    table: &'static Table,
    path: PathBuf,
    reader: ParquetRecordBatchReader,
}

/// The result of loading a file.
#[derive(Debug, Default)]
pub(crate) struct LoadedRows {
    /// Number of inserted rows.
    pub rows: u64,
    /// Values outside their column's range that became NULL, per column.
    pub out_of_range: BTreeMap<&'static str, OutOfRange>,
    /// Texts with control characters, which were cut at the first NUL and escaped: per column, their number for each multiframe.
    pub cleaned: BTreeMap<&'static str, BTreeMap<i64, u64>>,
}

/// Values of one column that became NULL.
#[derive(Debug)]
pub(crate) struct OutOfRange {
    /// The first value.
    pub first: f64,
    /// Number of values in the rows of each multiframe.
    pub counts: BTreeMap<i64, u64>,
}

fn misfit(path: &Path, message: impl std::fmt::Display) -> ArchiveFault {
    ArchiveFault::Check { check: "staged_rows", message: format!("{}: {message}", path.display()) }
}

/// The expected subjects of a staged file's rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    /// Name of the delivery.
    pub delivery: DeliveryName,
    /// The multiframes of the task, with the names of their images.
    pub images: BTreeMap<MultiframeId, String>,
}

/// Opens a staged file of a table below `staging` and checks its columns against the definition.
pub(crate) fn open(
    table: &'static Table,
    staging: &Path,
    path: &Path,
) -> Result<StagedRows, ArchiveFault> {
    let file = files::open_below(staging, path).map_err(|fault| misfit(path, fault))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|f| misfit(path, f))?;
    check_columns(table, builder.schema(), path)?;
    let reader = builder.with_batch_size(ROWS_AT_ONCE).build().map_err(|f| misfit(path, f))?;
    Ok(StagedRows { table, path: path.to_owned(), reader })
}

/// Checks that every column of a staged file is one of its table, of the same type. A missing column must be nullable: the batch
/// was staged before the definition had it.
///
/// # Errors
/// [`ArchiveFault::Check`] that names the column.
pub(crate) fn check_columns(
    table: &Table,
    found: &Schema,
    path: &Path,
) -> Result<(), ArchiveFault> {
    let wanted = table.arrow_schema();
    let misfit = |column: &str, how: &str| ArchiveFault::Check {
        check: "schema",
        message: format!("{} {how} column {column} of {}", path.display(), table.name),
    };
    for field in found.fields().iter().filter(|field| !table.is_retired(field.name())) {
        match wanted.field_with_name(field.name()) {
            Ok(wanted) if wanted.data_type() == field.data_type() => {}
            Ok(_) => return Err(misfit(field.name(), "has another type in")),
            Err(_) => return Err(misfit(field.name(), "has an unknown")),
        }
    }
    let lacking =
        table.columns.iter().find(|c| !c.nullable && found.field_with_name(&c.name).is_err());
    lacking.map_or(Ok(()), |column| Err(misfit(&column.name, "lacks")))
}

/// Inserts all rows of a staged file. Rows may only belong to the given multiframes, and name these multiframes' files.
pub(crate) fn insert(
    tx: &Connection,
    staged: StagedRows,
    expected: &Expected,
    event: EventId,
) -> Result<LoadedRows, ArchiveFault> {
    if let Some(server) = tx.server() {
        return copy(server, staged, expected, event);
    }
    let StagedRows { table, path, reader } = staged;
    let columns: Vec<String> = table.columns.iter().map(|c| quoted(&c.name)).collect();
    let marks: Vec<String> = (1..=columns.len() + 1).map(|i| format!("?{i}")).collect();
    let Some(sqlite) = tx.sqlite() else { return Ok(LoadedRows::default()) };
    let mut insert = sqlite.prepare_cached(&format!(
        "INSERT INTO {} ({}, begin_event) VALUES ({})",
        quoted(&format!("{}_all", table.name)),
        columns.join(", "),
        marks.join(", ")
    ))?;
    let mut loaded = LoadedRows::default();
    for batch in reader {
        let batch = batch.map_err(|fault| misfit(&path, fault))?;
        check_identity(&batch, table, expected, &path)?;
        insert_batch(&mut insert, table, &batch, event, &mut loaded)
            .map_err(|fault| refused(&path, fault))?;
    }
    Ok(loaded)
}

/// Returns the columns of a batch in the order of the definition; `None` for a missing one.
fn columns_of<'a>(table: &Table, batch: &'a RecordBatch) -> Vec<Option<&'a ArrayRef>> {
    table.columns.iter().map(|column| batch.column_by_name(&column.name)).collect()
}

/// Converts the fault of a row that a constraint refuses to a fault of the batch.
fn refused(path: &Path, fault: ArchiveFault) -> ArchiveFault {
    match fault {
        ArchiveFault::Engine(fault) if fault.is_constraint() => misfit(path, fault),
        other => other,
    }
}

/// Copies all rows of a staged file into its table on a server, within the current transaction. Cards of headers are unpacked:
/// the server compresses long values itself, and its SQL cannot unpack the staged form.
fn copy(
    server: &Server,
    staged: StagedRows,
    expected: &Expected,
    event: EventId,
) -> Result<LoadedRows, ArchiveFault> {
    let StagedRows { table, path, reader } = staged;
    let mut loaded = LoadedRows::default();
    let mut out = BytesMut::from(&b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0"[..]);
    for batch in reader {
        let batch = batch.map_err(|fault| misfit(&path, fault))?;
        check_identity(&batch, table, expected, &path)?;
        let columns = columns_of(table, &batch);
        let owners = batch.column_by_name("multiframe_id");
        for row in 0..batch.num_rows() {
            let multiframe = whole(value_at(owners, ColumnType::I64, row));
            out.put_i16(i16::try_from(table.columns.len() + 1).unwrap_or(i16::MAX));
            for (column, values) in table.columns.iter().zip(&columns) {
                let value = value_at(*values, column.kind, row);
                let value = within_range(table, column, value, multiframe, &mut loaded)?;
                let text = cleaned(column, value, multiframe, &mut loaded);
                let value = text.as_deref().map_or(value, |text| ValueRef::Text(text.as_bytes()));
                let cards = match value {
                    ValueRef::Blob(packed)
                        if (table.name.as_str(), column.name.as_str()) == PACKED =>
                    {
                        unpacked_cards(packed)
                    }
                    _ => None,
                };
                let value = match cards.as_deref() {
                    Some(cards) => ValueRef::Blob(cards),
                    None => without_sign_of_zero(value),
                };
                write_field(&mut out, value, column.kind).map_err(|fault| misfit(&path, fault))?;
            }
            let event = ValueRef::Integer(event.get());
            write_field(&mut out, event, ColumnType::I64).map_err(|fault| misfit(&path, fault))?;
        }
        loaded.rows += batch.num_rows() as u64;
    }
    out.put_i16(-1);
    let columns: Vec<String> = table.columns.iter().map(|c| quoted(&c.name)).collect();
    let statement = format!(
        "COPY {} ({}, begin_event) FROM STDIN (FORMAT binary)",
        quoted(&format!("{}_all", table.name)),
        columns.join(", ")
    );
    server.copy_in(&statement, &out).map_err(|fault| refused(&path, fault.into()))?;
    Ok(loaded)
}

/// Removes the sign of a zero: SQLite has no negative zero, and both engines must return the same.
fn without_sign_of_zero(value: ValueRef<'_>) -> ValueRef<'_> {
    match value {
        ValueRef::Real(number) => ValueRef::Real(number + 0.0),
        other => other,
    }
}

/// The table and column whose values are staged packed.
pub const PACKED: (&str, &str) = ("header", "cards");

/// Appends a field of the binary form of COPY: its length and bytes.
fn write_field(
    out: &mut BytesMut,
    value: ValueRef<'_>,
    kind: ColumnType,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let at = out.len();
    out.put_i32(-1);
    if let IsNull::No = engine::write_value(value, &engine::server_type(kind), out)? {
        let length = i32::try_from(out.len() - at - 4)?;
        out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

fn check_identity(
    batch: &RecordBatch,
    table: &Table,
    expected: &Expected,
    path: &Path,
) -> Result<(), ArchiveFault> {
    let ids = batch
        .column_by_name("multiframe_id")
        .ok_or_else(|| misfit(path, format!("rows of {} belong to no multiframe", table.name)))?
        .as_primitive::<Int64Type>();
    let is_mine =
        |id: i64| MultiframeId::new(id).is_some_and(|id| expected.images.contains_key(&id));
    match ids.iter().find(|id| id.is_none_or(|id| !is_mine(id))) {
        None if table.name == "preview" => check_preview_paths(batch, expected, path),
        None => Ok(()),
        Some(id) => Err(ArchiveFault::Check {
            check: "multiframe_id",
            message: format!(
                "{} has rows of multiframe {}, which is not in the task",
                path.display(),
                id.map_or("NULL".to_owned(), |id| id.to_string())
            ),
        }),
    }
}

/// Checks that a preview is at the path that the archive itself would choose.
fn check_preview_paths(
    batch: &RecordBatch,
    expected: &Expected,
    path: &Path,
) -> Result<(), ArchiveFault> {
    let column = |name: &str| {
        batch.column_by_name(name).ok_or_else(|| misfit(path, format!("column {name} is missing")))
    };
    let ids = column("multiframe_id")?.as_primitive::<Int64Type>();
    let ext_nums = column("ext_num")?.as_primitive::<Int16Type>();
    let paths = column("path")?.as_string::<i32>();
    for ((id, ext_num), found) in ids.iter().zip(ext_nums).zip(paths) {
        let wanted = id.zip(ext_num).and_then(|(id, ext_num)| {
            let id = MultiframeId::new(id)?;
            let image = expected.images.get(&id)?;
            preview_name::path(&expected.delivery, image, id, ext_num.into())
        });
        if wanted.is_none() || found != wanted.as_deref() {
            let id = id.unwrap_or_default();
            let found = model::shown_briefly(found.unwrap_or_default(), 300);
            return Err(ArchiveFault::Check {
                check: "preview_path",
                message: format!("a preview of multiframe {id} has the path {found:?}"),
            });
        }
    }
    Ok(())
}

fn insert_batch(
    insert: &mut Statement<'_>,
    table: &'static Table,
    batch: &RecordBatch,
    event: EventId,
    loaded: &mut LoadedRows,
) -> Result<(), ArchiveFault> {
    let columns = columns_of(table, batch);
    let owners = batch.column_by_name("multiframe_id");
    for row in 0..batch.num_rows() {
        let multiframe = whole(value_at(owners, ColumnType::I64, row));
        for (position, column) in table.columns.iter().enumerate() {
            let value = value_at(columns[position], column.kind, row);
            let value = within_range(table, column, value, multiframe, loaded)?;
            let text = cleaned(column, value, multiframe, loaded);
            let value = text.as_deref().map_or(value, |text| ValueRef::Text(text.as_bytes()));
            insert.raw_bind_parameter(position + 1, ToSqlOutput::Borrowed(value))?;
        }
        insert.raw_bind_parameter(table.columns.len() + 1, event.get())?;
        insert.raw_execute()?;
    }
    loaded.rows += batch.num_rows() as u64;
    Ok(())
}

/// Makes a value outside its column's range unknown, where the column is nullable.
fn within_range<'a>(
    table: &'static Table,
    column: &'static Column,
    value: ValueRef<'a>,
    multiframe: i64,
    loaded: &mut LoadedRows,
) -> Result<ValueRef<'a>, ArchiveFault> {
    let Some(range) = column.range else { return Ok(value) };
    let Some(outside) = outside(value, range) else { return Ok(value) };
    if !column.nullable {
        return Err(ArchiveFault::Check {
            check: "value_range",
            message: format!("{}.{} = {outside} is outside {range:?}", table.name, column.name),
        });
    }
    let first = || OutOfRange { first: outside, counts: BTreeMap::new() };
    let found = loaded.out_of_range.entry(&column.name).or_insert_with(first);
    *found.counts.entry(multiframe).or_default() += 1;
    Ok(ValueRef::Null)
}

/// Returns the stored form of a text with control characters: one engine refuses NUL, and on the other no query finds such a
/// text.
fn cleaned(
    column: &'static Column,
    value: ValueRef<'_>,
    multiframe: i64,
    loaded: &mut LoadedRows,
) -> Option<String> {
    let ValueRef::Text(bytes) = value else { return None };
    if bytes.iter().all(|b| (0x20..0x7f).contains(b)) {
        return None;
    }
    let text = String::from_utf8_lossy(bytes);
    if !text.chars().any(char::is_control) {
        return None;
    }
    *loaded.cleaned.entry(&column.name).or_default().entry(multiframe).or_default() += 1;
    let kept = text.split('\0').next().unwrap_or_default();
    Some(model::shown(kept.trim_end()))
}

fn value_at(array: Option<&ArrayRef>, kind: ColumnType, row: usize) -> ValueRef<'_> {
    let Some(array) = array.filter(|array| array.is_valid(row)) else { return ValueRef::Null };
    match kind {
        ColumnType::I16 => ValueRef::Integer(array.as_primitive::<Int16Type>().value(row).into()),
        ColumnType::I32 => ValueRef::Integer(array.as_primitive::<Int32Type>().value(row).into()),
        ColumnType::I64 => ValueRef::Integer(array.as_primitive::<Int64Type>().value(row)),
        ColumnType::F32 => real(array.as_primitive::<Float32Type>().value(row).into()),
        ColumnType::F64 => real(array.as_primitive::<Float64Type>().value(row)),
        ColumnType::Bool => ValueRef::Integer(array.as_boolean().value(row).into()),
        ColumnType::Text => ValueRef::Text(array.as_string::<i32>().value(row).as_bytes()),
        ColumnType::Bytes => ValueRef::Blob(array.as_binary::<i32>().value(row)),
    }
}

/// Returns an integer that was checked before.
fn whole(value: ValueRef<'_>) -> i64 {
    if let ValueRef::Integer(id) = value { id } else { 0 }
}

/// Returns a number; NaN becomes NULL.
fn real(x: f64) -> ValueRef<'static> {
    if x.is_nan() { ValueRef::Null } else { ValueRef::Real(x) }
}

fn outside(value: ValueRef<'_>, [low, high]: [f64; 2]) -> Option<f64> {
    let x = match value {
        ValueRef::Integer(i) => i as f64,
        ValueRef::Real(x) => x,
        _ => return None,
    };
    (!(low..=high).contains(&x)).then_some(x)
}
