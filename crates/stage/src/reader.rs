//! Reading a staged file back: its columns must be those of the table's definition.

use crate::fault::{StageError, StageFault};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{Field, Schema, SchemaRef};
use model::tables::Table;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const BATCH_ROWS: usize = 16_384;

/// Reads columns of a staged file batch by batch; every batch has exactly the requested columns, in their order.
pub struct TableReader {
    path: PathBuf,
    schema: SchemaRef,
    /// Position of each column in the batches of the file; `None` for a column that is newer than the file.
    places: Vec<Option<usize>>,
    reader: ParquetRecordBatchReader,
    rows: u64,
}

/// Opens a staged file of a table. Columns that were added to the definition after it was written are NULL.
///
/// # Errors
/// A missing file, one that is not Parquet, or one whose columns are not those of the definition.
pub fn read_table(path: &Path, table: &Table, columns: &[&str]) -> Result<TableReader, StageError> {
    open(path, table, columns).map_err(|fault| fault.at(path))
}

fn open(path: &Path, table: &Table, columns: &[&str]) -> Result<TableReader, StageFault> {
    let file: File = files::open_regular(path)?;
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)?;
    let held = check_schema(builder.schema(), table)?;
    let rows = builder.metadata().file_metadata().num_rows();
    let mut wanted = Vec::with_capacity(columns.len());
    for name in columns {
        wanted.push(table.position(name).ok_or_else(|| unknown(name, table))?);
    }
    let mut read: Vec<usize> = wanted.iter().filter_map(|p| held.get(*p).copied()).collect();
    read.sort_unstable();
    read.dedup();
    let places = wanted.iter().map(|p| read.binary_search(held.get(*p)?).ok()).collect();
    let fields = table.arrow_schema();
    let fields: Vec<Field> = wanted.iter().map(|p| fields.field(*p).clone()).collect();
    let mask = ProjectionMask::leaves(builder.parquet_schema(), read);
    let reader = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build()?;
    Ok(TableReader {
        path: path.to_owned(),
        schema: Arc::new(Schema::new(fields)),
        places,
        reader,
        rows: u64::try_from(rows).unwrap_or(0),
    })
}

fn unknown(name: &str, table: &Table) -> StageFault {
    let problem = format!("{} has no such column", table.name);
    StageFault::Schema { column: name.to_owned(), problem }
}

/// Returns the positions in the file of the columns that it holds: the first ones of the definition, all of it or all
/// but the newest nullable ones. Retired columns may be between them.
fn check_schema(found: &Schema, table: &Table) -> Result<Vec<usize>, StageFault> {
    let wanted = table.arrow_schema();
    let mut held = Vec::with_capacity(found.fields().len());
    let is_current = |(_, field): &(usize, &Arc<Field>)| !table.is_retired(field.name());
    for (n, field) in found.fields().iter().enumerate().filter(is_current) {
        let fault = |problem: String| StageFault::Schema { column: field.name().clone(), problem };
        let Some(defined) = wanted.fields().get(held.len()) else {
            return Err(fault("the column is newer than this software".to_owned()));
        };
        if field.name() != defined.name() {
            return Err(fault(format!("{} was expected in this place", defined.name())));
        }
        if field.data_type() != defined.data_type() {
            return Err(fault(format!(
                "the type is {}, not {}",
                field.data_type(),
                defined.data_type()
            )));
        }
        if field.is_nullable() != defined.is_nullable() {
            return Err(fault("the column should be nullable, or should not".to_owned()));
        }
        // Fields are numbered by their position in the file.
        if field.metadata().get(FIELD_ID) != Some(&Table::field_id(n).to_string()) {
            return Err(fault(format!("the field id should be {}", Table::field_id(n))));
        }
        held.push(n);
    }
    match wanted.fields().iter().skip(held.len()).find(|field| !field.is_nullable()) {
        None => Ok(held),
        Some(field) => Err(StageFault::Schema {
            column: field.name().clone(),
            problem: "the column is missing and may not be NULL".to_owned(),
        }),
    }
}

const FIELD_ID: &str = "PARQUET:field_id";

impl TableReader {
    /// Returns the schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Returns the number of rows of the file.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    fn arranged(&self, batch: &RecordBatch) -> Result<RecordBatch, StageFault> {
        let rows = batch.num_rows();
        let column = |(place, field): (&Option<usize>, &Arc<Field>)| -> ArrayRef {
            match place {
                Some(place) => batch.column(*place).clone(),
                None => new_null_array(field.data_type(), rows),
            }
        };
        let columns = self.places.iter().zip(self.schema.fields()).map(column).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map_err(|error| StageFault::Parquet(error.to_string()))
    }
}

impl Iterator for TableReader {
    type Item = Result<RecordBatch, StageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?;
        let batch = batch
            .map_err(|error| StageFault::Parquet(error.to_string()))
            .and_then(|batch| self.arranged(&batch));
        Some(batch.map_err(|fault| fault.at(&self.path)))
    }
}
