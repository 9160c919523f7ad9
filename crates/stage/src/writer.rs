//! One staged file of one table, from record batches.

use crate::fault::{StageError, StageFault};
use crate::parquet_format::{PAGE_ROWS, detection_writer_properties, metadata_writer_properties};
use crate::result::is_plain;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use model::tables::{Keeping, Table};
use model::task::StagedFile;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Rows of a row group at most: a writer holds one of detections in memory, some 60 MB.
const GROUP_ROWS: u64 = 131_072;

/// Writes one staged file: rows in, bytes and checksum out. The bytes depend on the rows, and on the expected
/// number of rows, alone.
///
/// The file is written under its own name into an attempt's directory, which nobody reads before its result is
/// published; [`crate::write_result`] makes it durable.
pub struct StagedWriter {
    path: PathBuf,
    table: &'static Table,
    name: String,
    schema: SchemaRef,
    writer: ArrowWriter<Hashing<BufWriter<File>>>,
    rows: u64,
    group_rows: u64,
}

/// Rows per row group for a file of about this many rows: groups of equal size, between 65 536 and 131 072 rows,
/// so that the last one is no crumb.
pub fn row_group_rows(expected_rows: u64) -> u64 {
    match expected_rows.div_ceil(GROUP_ROWS) {
        0 | 1 => GROUP_ROWS,
        groups => expected_rows.div_ceil(groups),
    }
}

impl StagedWriter {
    /// Begins the file `name` of a table in an attempt's directory; an older one of the name is replaced.
    ///
    /// # Errors
    /// A name that is not plain, or whatever the system says.
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
        let properties = match table.keeping {
            Keeping::Lake => detection_writer_properties(&schema),
            Keeping::Versioned | Keeping::Reference => metadata_writer_properties(),
        };
        let options = ArrowWriterOptions::new()
            .with_properties(properties)
            // The definition of the table is the schema; a second copy in every file says nothing.
            .with_skip_arrow_metadata(true);
        let writer =
            ArrowWriter::try_new_with_options(Hashing::new(file), schema.clone(), options)?;
        Ok(Self {
            path: path.to_owned(),
            table,
            name: name.to_owned(),
            schema,
            writer,
            rows: 0,
            group_rows: row_group_rows(expected_rows),
        })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// A batch of another schema, or whatever the system says.
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
            let begun = self.writer.in_progress_rows() as u64;
            let room = self.group_rows - begun;
            // Pages end at the same rows however the rows are handed over.
            let to_page_end = match begun % PAGE_ROWS as u64 {
                0 => room,
                used => PAGE_ROWS as u64 - used,
            };
            let now = room.min(to_page_end).min(rows - done);
            self.writer.write(&batch.slice(done as usize, now as usize))?;
            done += now;
            if now == room {
                self.writer.flush()?;
            }
        }
        self.rows += rows;
        Ok(())
    }

    /// Completes the file. For detections, `programme_id` tells whose they all are.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn finish(self, programme_id: Option<i32>) -> Result<StagedFile, StageError> {
        let Self { path, table, name, writer, rows, .. } = self;
        let finish = || -> Result<(u64, String), StageFault> {
            let hashing = writer.into_inner()?;
            let file = hashing.inner.into_inner().map_err(io::IntoInnerError::into_error)?;
            drop(file);
            Ok((hashing.bytes, files::hex(&hashing.hash.finalize())))
        };
        let (bytes, sha256) = finish().map_err(|fault| fault.at(&path))?;
        Ok(StagedFile {
            table: table.name.clone(),
            name,
            rows,
            bytes,
            sha256,
            schema_version: table.schema_version,
            programme_id,
        })
    }
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

/// Counts and hashes what passes.
struct Hashing<W: Write> {
    inner: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Hashing<W> {
    fn new(inner: W) -> Self {
        Self { inner, hash: Sha256::new(), bytes: 0 }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buffer)?;
        self.hash.update(&buffer[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
