//! One staged file of one table, from record batches.

use crate::fault::{StageError, StageFault};
use crate::number_column;
use crate::parquet_format::{PAGE_ROWS, lake_writer_properties, metadata_writer_properties};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use files::{Hashing, is_plain};
use model::tables::Table;
use model::task::StagedFile;
use model::{ProgrammeId, Sha256};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, compute_leaves};
use parquet::errors::Result as ParquetResult;
use parquet::file::writer::SerializedFileWriter;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Greatest number of rows of a row group: a writer holds one of detections in memory, some 70 MB.
const GROUP_ROWS: u64 = 131_072;

/// Writes one staged file: rows in, bytes and checksum out. The bytes depend only on the rows and the expected number
/// of rows.
///
/// The file is written under its own name into an attempt's directory, which no process reads before its result is
/// published; [`crate::write_result`] makes it durable.
///
/// Rows wait until their row group is full and are then encoded column by column: only one compressor is active at a
/// time and stays in the processor's cache, where 150 of them would evict each other at every page.
pub struct StagedWriter {
    path: PathBuf,
    table: &'static Table,
    name: String,
    schema: SchemaRef,
    writer: SerializedFileWriter<Hashing<BufWriter<File>>>,
    waiting: Vec<RecordBatch>,
    waiting_rows: u64,
    rows: u64,
    group_rows: u64,
}

/// Returns the rows per row group for a file of about this many rows: groups of equal size, between 65 536 and 131 072
/// rows, so that the last one is not tiny.
pub fn row_group_rows(expected_rows: u64) -> u64 {
    match expected_rows.div_ceil(GROUP_ROWS) {
        0 | 1 => GROUP_ROWS,
        groups => expected_rows.div_ceil(groups),
    }
}

impl StagedWriter {
    /// Creates the file `name` of a table in an attempt's directory; an older one of the name is replaced.
    ///
    /// # Errors
    /// A name that is not plain, or an error of the system.
    pub fn create(
        dir: &Path,
        table: &'static Table,
        name: &str,
        expected_rows: u64,
    ) -> Result<Self, StageError> {
        let path = dir.join(name);
        Self::open(&path, table, name, expected_rows).map_err(|fault| fault.at(&path))
    }

    fn open(
        path: &Path,
        table: &'static Table,
        name: &str,
        expected_rows: u64,
    ) -> Result<Self, StageFault> {
        if !is_plain(name) {
            return Err(StageFault::NotPlain(name.to_owned()));
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let file = File::options().write(true).create_new(true).open(path)?;
        let file = BufWriter::with_capacity(1 << 20, file);
        let schema = table.arrow_schema();
        let properties = match &table.lake {
            Some(layout) => lake_writer_properties(&schema, &layout.statistics),
            None => metadata_writer_properties(),
        };
        // No Arrow schema in the file's metadata: the definition of the table is the schema, and a second copy in every
        // file is redundant.
        let columns = ArrowSchemaConverter::new().convert(&schema)?;
        let writer = SerializedFileWriter::new(
            Hashing::new(file),
            columns.root_schema_ptr(),
            Arc::new(properties),
        )?;
        Ok(Self {
            path: path.to_owned(),
            table,
            name: name.to_owned(),
            schema,
            writer,
            waiting: Vec::new(),
            waiting_rows: 0,
            rows: 0,
            group_rows: row_group_rows(expected_rows),
        })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// A batch of another schema, or an error of the system.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), StageError> {
        self.append(batch).map_err(|fault| fault.at(&self.path))
    }

    fn append(&mut self, batch: &RecordBatch) -> Result<(), StageFault> {
        if batch.schema_ref().fields() != self.schema.fields() {
            return Err(differs(batch, &self.schema));
        }
        let rows = batch.num_rows() as u64;
        let mut done = 0;
        while done < rows {
            let now = (self.group_rows - self.waiting_rows).min(rows - done);
            self.waiting.push(batch.slice(done as usize, now as usize));
            self.waiting_rows += now;
            done += now;
            if self.waiting_rows == self.group_rows {
                self.write_row_group()?;
            }
        }
        self.rows += rows;
        Ok(())
    }

    fn write_row_group(&mut self) -> ParquetResult<()> {
        let pieces = cut_at_pages(&std::mem::take(&mut self.waiting));
        self.waiting_rows = 0;
        if self.schema.fields().iter().all(|f| number_column::is_number(f.data_type())) {
            self.write_numbers(&pieces)
        } else {
            self.write_any(&pieces)
        }
    }

    fn write_numbers(&mut self, pieces: &[RecordBatch]) -> ParquetResult<()> {
        let mut group = self.writer.next_row_group()?;
        for (position, field) in self.schema.fields().iter().enumerate() {
            number_column::write(&mut group, field, pieces.iter().map(|p| p.column(position)))?;
        }
        group.close()?;
        Ok(())
    }

    fn write_any(&mut self, pieces: &[RecordBatch]) -> ParquetResult<()> {
        let factory = ArrowRowGroupWriterFactory::new(&self.writer, Arc::clone(&self.schema));
        let columns = factory.create_column_writers(self.writer.flushed_row_groups().len())?;
        let mut group = self.writer.next_row_group()?;
        for (position, mut column) in columns.into_iter().enumerate() {
            for piece in pieces {
                for leaf in compute_leaves(self.schema.field(position), piece.column(position))? {
                    column.write(&leaf)?;
                }
            }
            column.close()?.append_to_row_group(&mut group)?;
        }
        group.close()?;
        Ok(())
    }

    /// Completes the file. For detections, `programme_id` is the owner of all rows.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn finish(mut self, programme_id: Option<ProgrammeId>) -> Result<StagedFile, StageError> {
        if self.waiting_rows > 0 {
            self.write_row_group().map_err(|fault| StageFault::from(fault).at(&self.path))?;
        }
        let Self { path, table, name, writer, rows, .. } = self;
        let finish = || -> Result<files::Published, StageFault> {
            let (file, written) = writer.into_inner()?.finish();
            file.into_inner().map_err(io::IntoInnerError::into_error)?;
            Ok(written)
        };
        let files::Published { bytes, sha256 } = finish().map_err(|fault| fault.at(&path))?;
        Ok(StagedFile {
            table: table.name.clone(),
            name,
            rows,
            bytes,
            sha256: Sha256::new(sha256),
            schema_version: table.schema_version,
            programme_id,
        })
    }
}

/// Returns the rows in pieces none of which extends across the end of a page, so that pages end at the same rows
/// regardless of the batches in which the rows were passed.
fn cut_at_pages(batches: &[RecordBatch]) -> Vec<RecordBatch> {
    let mut pieces = Vec::new();
    let mut begun = 0;
    for batch in batches {
        let mut done = 0;
        while done < batch.num_rows() {
            let now = (PAGE_ROWS - begun).min(batch.num_rows() - done);
            pieces.push(batch.slice(done, now));
            done += now;
            begun = (begun + now) % PAGE_ROWS;
        }
    }
    pieces
}

fn differs(batch: &RecordBatch, wanted: &SchemaRef) -> StageFault {
    let found = batch.schema();
    let odd = found.fields().iter().zip(wanted.fields()).find(|(a, b)| a != b);
    let (column, problem) = match odd {
        Some((found, wanted)) => (wanted.name().clone(), format!("{found:?} was given")),
        None => {
            let counts = (found.fields().len(), wanted.fields().len());
            ("(all)".to_owned(), format!("{} columns were given, not {}", counts.0, counts.1))
        }
    };
    StageFault::Schema { column, problem }
}
