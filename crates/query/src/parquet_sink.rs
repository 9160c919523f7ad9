//! The rows of a query as a Parquet file.
//!
//! SQLite's results have no types of their own: a column that is a table's column has the type declared there, an
//! expression the type of its first values. A value that does not fit the type found is an error that names the
//! column, never a silent change.

use super::session::{ResultColumn, RowSink};
use arrow_array::RecordBatch;
use arrow_array::builder::{
    ArrayBuilder, BinaryBuilder, BooleanBuilder, Float32Builder, Float64Builder, Int16Builder,
    Int32Builder, Int64Builder, StringBuilder,
};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use rusqlite::types::{Value, ValueRef};
use std::io::{self, Write};
use std::sync::Arc;

/// Rows of a batch; the types of expressions are found from the first batch.
const BATCH_ROWS: usize = 8192;
/// Greatest number of bytes of a batch: with long values it has fewer rows.
const BATCH_BYTES: usize = 4 << 20;
/// Rows of a row group.
const ROW_GROUP_ROWS: usize = 100_000;
/// Bytes in memory of a row group.
const ROW_GROUP_BYTES: usize = 64 << 20;

/// Writes the rows of one query as Parquet. It must be completed by [`finish`](Self::finish), or the file is not Parquet
/// file.
pub struct ParquetSink<W: Write + Send> {
    out: Option<W>,
    columns: Vec<ResultColumn>,
    first: Vec<Vec<Value>>,
    first_bytes: usize,
    writing: Option<Writing<W>>,
}

struct Writing<W: Write + Send> {
    writer: ArrowWriter<W>,
    schema: Arc<Schema>,
    columns: Vec<Builder>,
    rows: usize,
    bytes: usize,
}

impl<W: Write + Send> ParquetSink<W> {
    /// Makes a sink that writes to `out`.
    pub fn new(out: W) -> Self {
        Self {
            out: Some(out),
            columns: Vec::new(),
            first: Vec::new(),
            first_bytes: 0,
            writing: None,
        }
    }

    /// Writes the remaining rows and the footer, and returns the output.
    ///
    /// # Errors
    /// Fails when the output fails or a value does not fit its column.
    pub fn finish(mut self) -> io::Result<W> {
        self.begin_writing()?;
        let Some(mut writing) = self.writing.take() else {
            return Err(io::Error::other("the query had no columns"));
        };
        writing.flush()?;
        writing.writer.into_inner().map_err(io::Error::other)
    }

    /// Determines the types from the rows received until now, and starts the file.
    fn begin_writing(&mut self) -> io::Result<()> {
        let Some(out) = self.out.take() else { return Ok(()) };
        let kinds: Vec<DataType> =
            (0..self.columns.len()).map(|i| kind(&self.columns[i], &self.first, i)).collect();
        let fields: Vec<Field> = self
            .columns
            .iter()
            .zip(&kinds)
            .map(|(c, k)| Field::new(&c.name, k.clone(), true))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let properties = stage::parquet_format::table_writer_properties()
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let writer = ArrowWriter::try_new(out, Arc::clone(&schema), Some(properties))
            .map_err(io::Error::other)?;
        let columns = kinds.iter().map(Builder::new).collect();
        let mut writing = Writing { writer, schema, columns, rows: 0, bytes: 0 };
        for row in self.first.drain(..) {
            let row: Vec<ValueRef<'_>> = row.iter().map(ValueRef::from).collect();
            writing.row(&row)?;
        }
        self.writing = Some(writing);
        Ok(())
    }
}

impl<W: Write + Send> RowSink for ParquetSink<W> {
    fn columns(&mut self, columns: &[ResultColumn]) -> io::Result<()> {
        self.columns = columns.to_vec();
        Ok(())
    }

    fn row(&mut self, values: &[ValueRef<'_>]) -> io::Result<()> {
        if let Some(writing) = &mut self.writing {
            return writing.row(values);
        }
        let row = values.iter().map(|&v| Value::try_from(v)).collect::<Result<_, _>>();
        self.first.push(row.map_err(io::Error::other)?);
        self.first_bytes += bytes_of(values);
        if self.first.len() < BATCH_ROWS && self.first_bytes < BATCH_BYTES {
            return Ok(());
        }
        self.begin_writing()
    }
}

impl<W: Write + Send> Writing<W> {
    fn row(&mut self, values: &[ValueRef<'_>]) -> io::Result<()> {
        for ((column, value), field) in
            self.columns.iter_mut().zip(values).zip(self.schema.fields())
        {
            column.push(*value).map_err(|kind| {
                io::Error::other(format!(
                    "column {} was {} at first and holds {kind} now: use CAST",
                    field.name(),
                    field.data_type()
                ))
            })?;
        }
        self.rows += 1;
        self.bytes += bytes_of(values);
        let is_full = self.rows == BATCH_ROWS || self.bytes >= BATCH_BYTES;
        if is_full { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        (self.rows, self.bytes) = (0, 0);
        let arrays = self.columns.iter_mut().map(|c| c.0.finish()).collect();
        let batch =
            RecordBatch::try_new(Arc::clone(&self.schema), arrays).map_err(io::Error::other)?;
        self.writer.write(&batch).map_err(io::Error::other)?;
        if self.writer.memory_size() >= ROW_GROUP_BYTES {
            self.writer.flush().map_err(io::Error::other)?;
        }
        Ok(())
    }
}

/// Estimates the bytes of a row's values.
fn bytes_of(values: &[ValueRef<'_>]) -> usize {
    let bytes = |value: &ValueRef<'_>| match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
        _ => 8,
    };
    values.iter().map(bytes).sum()
}

/// Returns the type of a column: the declared one if the first values fit it, otherwise that of the first values.
fn kind(column: &ResultColumn, first: &[Vec<Value>], at: usize) -> DataType {
    let declared = column.declared.as_deref().map(str::to_ascii_uppercase);
    let declared = match declared.as_deref() {
        Some("SMALLINT") => Some(DataType::Int16),
        Some("INTEGER") => Some(DataType::Int64),
        Some("BIGINT") => Some(DataType::Int64),
        Some("FLOAT") => Some(DataType::Float32),
        Some("DOUBLE" | "REAL") => Some(DataType::Float64),
        Some("BOOLEAN") => Some(DataType::Boolean),
        Some("TEXT" | "VARCHAR") => Some(DataType::Utf8),
        Some("BLOB") => Some(DataType::Binary),
        _ => None,
    };
    let values = || first.iter().map(|row| ValueRef::from(&row[at]));
    if let Some(declared) = declared {
        let mut trial = Builder::new(&declared);
        if values().all(|v| trial.push(v).is_ok()) {
            return declared;
        }
    }
    let mut found = None;
    for value in values() {
        found = match (value, found) {
            (ValueRef::Null, found) => found,
            (ValueRef::Integer(_), None) => Some(DataType::Int64),
            (ValueRef::Real(_), None | Some(DataType::Int64)) => Some(DataType::Float64),
            (ValueRef::Text(_), None) => Some(DataType::Utf8),
            (ValueRef::Blob(_), None) => Some(DataType::Binary),
            (_, found) => found,
        };
    }
    found.unwrap_or(DataType::Utf8)
}

/// Collects the values of one column.
struct Builder(Box<dyn ArrayBuilder>);

impl Builder {
    fn new(kind: &DataType) -> Self {
        Self(match kind {
            DataType::Boolean => Box::new(BooleanBuilder::new()),
            DataType::Int16 => Box::new(Int16Builder::new()),
            DataType::Int32 => Box::new(Int32Builder::new()),
            DataType::Int64 => Box::new(Int64Builder::new()),
            DataType::Float32 => Box::new(Float32Builder::new()),
            DataType::Float64 => Box::new(Float64Builder::new()),
            DataType::Binary => Box::new(BinaryBuilder::new()),
            _ => Box::new(StringBuilder::new()),
        })
    }

    /// Adds a value; returns the description of one that does not fit.
    fn push(&mut self, value: ValueRef<'_>) -> Result<(), String> {
        let misfit = || Err(format!("{:?}", value.data_type()).to_uppercase());
        let any = self.0.as_any_mut();
        if let Some(b) = any.downcast_mut::<Float64Builder>() {
            match value {
                ValueRef::Null => b.append_null(),
                ValueRef::Real(x) => b.append_value(x),
                ValueRef::Integer(n) if n.unsigned_abs() <= 1 << 53 => b.append_value(n as f64),
                _ => return misfit(),
            }
        } else if let Some(b) = any.downcast_mut::<Float32Builder>() {
            match value {
                ValueRef::Null => b.append_null(),
                ValueRef::Real(x) if f64::from(x as f32) == x || x.is_nan() => {
                    b.append_value(x as f32)
                }
                _ => return misfit(),
            }
        } else if let Some(b) = any.downcast_mut::<StringBuilder>() {
            match value {
                ValueRef::Null => b.append_null(),
                ValueRef::Text(text) => b.append_value(String::from_utf8_lossy(text)),
                _ => return misfit(),
            }
        } else if let Some(b) = any.downcast_mut::<BinaryBuilder>() {
            match value {
                ValueRef::Null => b.append_null(),
                ValueRef::Blob(bytes) => b.append_value(bytes),
                _ => return misfit(),
            }
        } else {
            return self.push_whole(value);
        }
        Ok(())
    }

    fn push_whole(&mut self, value: ValueRef<'_>) -> Result<(), String> {
        let n = match value {
            ValueRef::Null => None,
            ValueRef::Integer(n) => Some(n),
            _ => return Err(format!("{:?}", value.data_type()).to_uppercase()),
        };
        let too_large = || format!("{}", n.unwrap_or(0));
        let any = self.0.as_any_mut();
        if let Some(b) = any.downcast_mut::<Int64Builder>() {
            b.append_option(n);
        } else if let Some(b) = any.downcast_mut::<Int32Builder>() {
            b.append_option(n.map(i32::try_from).transpose().map_err(|_| too_large())?);
        } else if let Some(b) = any.downcast_mut::<Int16Builder>() {
            b.append_option(n.map(i16::try_from).transpose().map_err(|_| too_large())?);
        } else if let Some(b) = any.downcast_mut::<BooleanBuilder>() {
            if n.is_some_and(|n| n != 0 && n != 1) {
                return Err(too_large());
            }
            b.append_option(n.map(|n| n == 1));
        }
        Ok(())
    }
}
