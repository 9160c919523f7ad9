//! Merging staged files into one lake file: final ids and the event are re-encoded, all other data are copied.
//!
//! A row group of sufficient size is spliced: its column chunks are copied byte for byte with their page indexes. Runs
//! of small row groups are decoded and encoded again as larger ones, since each costs at least a footer entry and a
//! page per column.

use super::describe::describe_open;
use super::sum::Summed;
use super::table::BEGIN_EVENT;
use super::{ByteCounter, LakeError, LakeFile, LakeTable, OpenFile};
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::Schema;
use arrow_select::concat::concat_batches;
use bytes::{Buf, Bytes};
use files::OpenFault;
use model::{EventId, ProgrammeId};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, compute_leaves};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::Int64Type;
use parquet::errors::Result as ParquetResult;
use parquet::file::page_index::index_reader::decode_offset_index;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::TypePtr;
use stage::parquet_format::{ROW_GROUP_ROWS, lake_writer_properties};
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Row groups of at least this many rows are copied unchanged.
pub const GOOD_ROWS: u64 = 50_000;
/// Merged row groups are closed when they have this many rows.
const MERGED_ROWS: u64 = 250_000;

/// One staged file of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Staged<'a> {
    /// The directory below which it is. No link beneath it is followed.
    pub base: &'a Path,
    /// Its path. Its temporary ids are -1, -2, … in the order of its rows.
    pub path: &'a Path,
    /// Number of rows of the same batch and programme before its own.
    pub offset: u64,
}

impl Staged<'_> {
    /// Opens the file, following no link beneath its base.
    ///
    /// # Errors
    /// [`LakeError::Staged`] when another kind of entry has its name, [`LakeError::Io`] when it is absent or cannot be
    /// read, [`LakeError::Parquet`] when it has no footer.
    pub fn open(&self, counter: &Arc<ByteCounter>) -> Result<OpenFile, LakeError> {
        OpenFile::of(open_staged(self.base, self.path)?, self.path, counter)
    }
}

/// Opens a file below a directory of the site that nodes may write to, following no link beneath `base`.
///
/// # Errors
/// [`LakeError::Staged`] when another kind of entry has its name, [`LakeError::Io`] when it is absent or cannot be
/// read.
pub fn open_staged(base: &Path, path: &Path) -> Result<File, LakeError> {
    files::open_below(base, path).map_err(|fault| match fault {
        OpenFault::Io(source) => LakeError::io(path)(source),
        OpenFault::Missing => LakeError::io(path)(std::io::ErrorKind::NotFound.into()),
        fault => LakeError::Staged { path: path.to_owned(), reason: fault.to_string() },
    })
}

/// A request to publish all rows of one programme in one batch.
#[derive(Clone, Copy, Debug)]
pub struct FinaliseRequest<'a> {
    /// Name of the new file within the directory of its table, see [`LakeTable::file_name`].
    pub name: &'a str,
    /// Owner of all rows.
    pub programme_id: ProgrammeId,
    /// Final id = base - temporary id; the first row gets base + 1.
    pub base: i64,
    /// The event that will publish the rows.
    pub event: EventId,
    /// The staged files, in the order of their offsets.
    pub staged: &'a [Staged<'a>],
}

/// Writes the lake files of a batch for one table, each whole or not at all, and describes their contents. A repetition of the same
/// requests writes the same bytes. When `stop` is set, it stops between two row groups.
///
/// # Errors
/// [`LakeError::Staged`] when a staged file does not match its request, [`LakeError::Stopped`], otherwise the error of
/// the system or of Parquet.
pub fn finalise(
    lake_dir: &Path,
    table: &LakeTable,
    requests: &[FinaliseRequest<'_>],
    stop: &AtomicBool,
) -> Result<Vec<LakeFile>, LakeError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_name = |name: &str| {
        name.ends_with(".parquet") && !name.starts_with('.') && name.chars().all(plain)
    };
    if let Some(request) = requests.iter().find(|r| !is_name(r.name)) {
        return Err(LakeError::FileName(request.name.to_owned()));
    }
    let dir = table.directory(lake_dir);
    let write = |request: &FinaliseRequest<'_>, file: &mut File| {
        let sources = open_sources(table, request)?;
        let path = dir.join(request.name);
        let fault = LakeError::parquet(&path);
        let buffered = BufWriter::with_capacity(1 << 20, Summed::new(&*file));
        let mut out = Output::new(buffered, &sources, table, request).map_err(&fault)?;
        for step in plan(&sources) {
            if stop.load(Ordering::Relaxed) {
                return Err(LakeError::Stopped);
            }
            out.write(&sources, &step)?;
        }
        let buffered = out.writer.into_inner().map_err(fault)?;
        let summed = buffered.into_inner().map_err(|e| LakeError::io(&path)(e.into_error()))?;
        let xxhash64 = Some(summed.finish());
        let written = file.try_clone().map_err(LakeError::io(&path))?;
        let written = OpenFile::of(written, &path, &Arc::new(ByteCounter::default()))?;
        let described = describe_open(&written, table, request.name, request.programme_id)?;
        Ok(LakeFile { xxhash64, ..described })
    };
    files::publish_together(&dir, requests, |r| r.name, write)
}

/// A staged file and the batch-wide number of its first row, from 0.
struct Source {
    file: OpenFile,
    offset: u64,
}

fn open_sources(
    table: &LakeTable,
    request: &FinaliseRequest<'_>,
) -> Result<Vec<Source>, LakeError> {
    let counter = Arc::new(ByteCounter::default());
    let mut sources: Vec<Source> = Vec::with_capacity(request.staged.len());
    let mut next = 0;
    for staged in request.staged {
        let misfit = |reason: String| LakeError::Staged { path: staged.path.to_owned(), reason };
        let file = staged.open(&counter)?;
        check_staged(table, &file, staged, next)?;
        next += file.rows();
        if let Some(first) = sources.first() {
            let schema =
                |f: &OpenFile| f.metadata().file_metadata().schema_descr().root_schema_ptr();
            if schema(&first.file) != schema(&file) {
                return Err(misfit(
                    "the schema differs from that of the batch's first file".to_owned(),
                ));
            }
        }
        sources.push(Source { file, offset: staged.offset });
    }
    if next == 0 {
        return Err(LakeError::Catalogue(format!("{} would have no rows", request.name)));
    }
    Ok(sources)
}

/// Checks that each staged file begins where the one before ended, with its temporary ids in order, if the table has ids.
pub fn check_staged(
    table: &LakeTable,
    file: &OpenFile,
    staged: &Staged<'_>,
    rows_before: u64,
) -> Result<(), LakeError> {
    let misfit = |reason: String| LakeError::Staged { path: staged.path.to_owned(), reason };
    if staged.offset != rows_before {
        return Err(misfit(format!("the offset is {} after {rows_before} rows", staged.offset)));
    }
    match table.row_number() {
        None => check_temporary_ids(file, table.id()).map_err(misfit),
        Some(_) => Ok(()),
    }
}

/// Checks that the ids are -1 … -n over the file, from the statistics of its row groups.
fn check_temporary_ids(file: &OpenFile, id: &str) -> Result<(), String> {
    let column = file.column(id).ok_or_else(|| format!("column {id} is missing"))?;
    let mut before = 0;
    for group in file.metadata().row_groups() {
        let Some(Statistics::Int64(ids)) = group.column(column).statistics() else {
            return Err(format!("{id} has no statistics"));
        };
        let (first, last) = (-before - 1, -before - group.num_rows());
        if (ids.max_opt(), ids.min_opt()) != (Some(&first), Some(&last)) {
            return Err(format!("the temporary ids are not {first} to {last}"));
        }
        before += group.num_rows();
    }
    Ok(())
}

/// A row group of the new file: source and row group of each part. A single part is copied.
type Step = Vec<(usize, usize)>;

fn plan(sources: &[Source]) -> Vec<Step> {
    let groups = sources.iter().enumerate().flat_map(|(source, s)| {
        let groups = s.file.metadata().row_groups();
        groups
            .iter()
            .enumerate()
            .map(move |(group, g)| ((source, group), g.num_rows().unsigned_abs()))
    });
    plan_row_groups(groups)
}

fn plan_row_groups<P>(groups: impl Iterator<Item = (P, u64)>) -> Vec<Vec<P>> {
    let mut steps = Vec::new();
    let (mut run, mut run_rows) = (Vec::new(), 0);
    for (part, rows) in groups {
        if rows == 0 {
            continue;
        }
        if rows >= GOOD_ROWS || run_rows + rows > ROW_GROUP_ROWS as u64 {
            steps.extend(std::iter::once(std::mem::take(&mut run)).filter(|r| !r.is_empty()));
            run_rows = 0;
        }
        if rows >= GOOD_ROWS {
            steps.push(vec![part]);
            continue;
        }
        run.push(part);
        run_rows += rows;
        if run_rows >= MERGED_ROWS {
            steps.push(std::mem::take(&mut run));
            run_rows = 0;
        }
    }
    steps.extend(std::iter::once(run).filter(|r| !r.is_empty()));
    steps
}

struct Output<'a, W: std::io::Write + Send> {
    writer: SerializedFileWriter<W>,
    schema: Arc<Schema>,
    request: &'a FinaliseRequest<'a>,
    /// Positions of the columns that ingest assigns: the id and the event.
    id: Option<usize>,
    event: Option<usize>,
    next_id: i64,
}

impl<'a, W: std::io::Write + Send> Output<'a, W> {
    fn new(
        out: W,
        sources: &[Source],
        table: &LakeTable,
        request: &'a FinaliseRequest<'a>,
    ) -> ParquetResult<Self> {
        let metadata = sources[0].file.metadata();
        let root: TypePtr = metadata.file_metadata().schema_descr().root_schema_ptr();
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let schema =
            ArrowReaderMetadata::try_new(Arc::new(metadata.clone()), options)?.schema().clone();
        let properties = Arc::new(lake_writer_properties(&schema, &table.layout().statistics));
        let writer = SerializedFileWriter::new(out, root, properties)?;
        let position = |name: &str| schema.fields().iter().position(|f| f.name() == name);
        let (id, event) = (position(table.id()), position(BEGIN_EVENT));
        Ok(Self { writer, schema, request, id, event, next_id: request.base + 1 })
    }

    fn write(&mut self, sources: &[Source], step: &Step) -> Result<(), LakeError> {
        match step[..] {
            [(source, group)] => self.copy(&sources[source], group),
            _ => self.merge(sources, step),
        }
    }

    /// Takes the ids of the next rows.
    fn take_ids(&mut self, source: &Source, rows: i64) -> std::ops::Range<i64> {
        let first = self.next_id;
        self.next_id += rows;
        debug_assert!(first > self.request.base + i64::try_from(source.offset).unwrap_or(i64::MAX));
        first..self.next_id
    }

    fn copy(&mut self, source: &Source, group: usize) -> Result<(), LakeError> {
        let fault = LakeError::parquet(source.file.path());
        let rows = source.file.metadata().row_group(group).num_rows();
        let ids: Vec<i64> = self.take_ids(source, rows).collect();
        let event = self.request.event.get();
        let mut out = self.writer.next_row_group().map_err(&fault)?;
        for (column, field) in self.schema.fields().iter().enumerate() {
            let done = if Some(column) == self.id {
                write_integers(&mut out, &ids, false)
            } else if Some(column) == self.event {
                write_integers(&mut out, &vec![event; ids.len()], field.is_nullable())
            } else {
                splice(&mut out, source, group, column)
            };
            done.map_err(&fault)?;
        }
        out.close().map_err(&fault)?;
        Ok(())
    }

    /// Decodes small row groups one by one into the column writers of one larger row group.
    fn merge(&mut self, sources: &[Source], step: &Step) -> Result<(), LakeError> {
        let fault = LakeError::parquet(sources[step[0].0].file.path());
        let factory = ArrowRowGroupWriterFactory::new(&self.writer, Arc::clone(&self.schema));
        let index = self.writer.flushed_row_groups().len();
        let mut columns = factory.create_column_writers(index).map_err(&fault)?;
        for &(source, group) in step {
            let fault = LakeError::parquet(sources[source].file.path());
            let batch = decode(&sources[source].file, group).map_err(&fault)?;
            let batch = self.identify(&sources[source], batch);
            for ((column, field), values) in
                columns.iter_mut().zip(self.schema.fields()).zip(batch.columns())
            {
                for leaf in compute_leaves(field, values).map_err(&fault)? {
                    column.write(&leaf).map_err(&fault)?;
                }
            }
        }
        let mut out = self.writer.next_row_group().map_err(&fault)?;
        for column in columns {
            column.close().and_then(|c| c.append_to_row_group(&mut out)).map_err(&fault)?;
        }
        out.close().map_err(&fault)?;
        Ok(())
    }

    /// Inserts final ids and the event into a decoded row group.
    fn identify(&mut self, source: &Source, batch: RecordBatch) -> RecordBatch {
        let rows = batch.num_rows();
        let ids = self.take_ids(source, i64::try_from(rows).unwrap_or(i64::MAX));
        let event = self.request.event.get();
        let (schema, mut columns, _) = batch.into_parts();
        if let Some(id) = self.id {
            columns[id] = Arc::new(Int64Array::from_iter_values(ids)) as ArrayRef;
        }
        if let Some(column) = self.event {
            columns[column] = Arc::new(Int64Array::from_value(event, rows)) as ArrayRef;
        }
        RecordBatch::try_new(schema, columns)
            .expect("types and lengths are those of the staged batch")
    }
}

fn write_integers<W: std::io::Write + Send>(
    out: &mut SerializedRowGroupWriter<'_, W>,
    values: &[i64],
    nullable: bool,
) -> ParquetResult<()> {
    let mut column = out.next_column()?.ok_or_else(too_many_columns)?;
    let levels = nullable.then(|| vec![1; values.len()]);
    column.typed::<Int64Type>().write_batch(values, levels.as_deref(), None)?;
    column.close()
}

fn too_many_columns() -> parquet::errors::ParquetError {
    parquet::errors::ParquetError::General("more columns than the schema has".to_owned())
}

/// Copies one column chunk, byte for byte.
fn splice<W: std::io::Write + Send>(
    out: &mut SerializedRowGroupWriter<'_, W>,
    source: &Source,
    group: usize,
    column: usize,
) -> ParquetResult<()> {
    let reader = source.file.reader();
    let row_group = source.file.metadata().row_group(group);
    let chunk = row_group.column(column).clone();
    let offset_index = match (chunk.offset_index_offset(), chunk.offset_index_length()) {
        (Some(start), Some(length)) => {
            let bytes = reader.get_bytes(start.unsigned_abs(), length.unsigned_abs() as usize)?;
            Some(decode_offset_index(&bytes)?)
        }
        _ => None,
    };
    let column_index = source
        .file
        .page_bounds(group, column)
        .map_err(|e| parquet::errors::ParquetError::External(Box::new(e)))?;
    let close = ColumnCloseResult {
        bytes_written: chunk.compressed_size().unsigned_abs(),
        rows_written: row_group.num_rows().unsigned_abs(),
        metadata: chunk,
        bloom_filter: None,
        column_index,
        offset_index,
    };
    out.append_column(reader.as_ref(), close)
}

fn decode(file: &OpenFile, group: usize) -> ParquetResult<RecordBatch> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let metadata = ArrowReaderMetadata::try_new(Arc::new(file.metadata().clone()), options)?;
    let rows = usize::try_from(file.metadata().row_group(group).num_rows()).unwrap_or(0);
    let reader = Window::over(file, group)?;
    let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(reader, metadata.clone())
        .with_row_groups(vec![group])
        .with_batch_size(rows)
        .build()?
        .collect::<Result<Vec<_>, _>>()?;
    Ok(concat_batches(metadata.schema(), &batches)?)
}

/// The bytes of one row group, read at once: its pages are small and numerous.
struct Window {
    start: u64,
    bytes: Bytes,
    file_bytes: u64,
}

impl Window {
    fn over(file: &OpenFile, group: usize) -> ParquetResult<Self> {
        let chunks = file.metadata().row_group(group).columns().iter().map(|c| c.byte_range());
        let (start, end) = chunks.fold((u64::MAX, 0), |(start, end), (at, length)| {
            (start.min(at), end.max(at.saturating_add(length)))
        });
        let length = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
        let bytes = file.reader().get_bytes(start, length)?;
        Ok(Self { start, bytes, file_bytes: file.bytes() })
    }
}

impl Length for Window {
    fn len(&self) -> u64 {
        self.file_bytes
    }
}

impl ChunkReader for Window {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        let at = start.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        let at = at.filter(|at| *at <= self.bytes.len()).ok_or_else(outside)?;
        Ok(self.bytes.slice(at..).reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let at = start.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        let range = at.and_then(|at| Some(at..at.checked_add(length)?));
        let range = range.filter(|range| range.end <= self.bytes.len()).ok_or_else(outside)?;
        Ok(self.bytes.slice(range))
    }
}

fn outside() -> parquet::errors::ParquetError {
    parquet::errors::ParquetError::EOF("a page outside its row group".to_owned())
}

#[cfg(test)]
mod tests {
    use super::plan_row_groups;

    #[test]
    fn small_row_groups_are_merged_and_large_ones_copied() {
        let cases: [(&[u64], &[&[usize]]); 6] = [
            (&[100_000, 60_000], &[&[0], &[1]]),
            (&[10, 20, 30], &[&[0, 1, 2]]),
            (&[10, 50_000, 20, 30], &[&[0], &[1], &[2, 3]]),
            (&[49_999; 7], &[&[0, 1, 2, 3, 4, 5], &[6]]), // closed beyond 250 000
            (&[0, 5, 0], &[&[1]]),
            (&[], &[]),
        ];
        for (rows, wanted) in cases {
            let plan = plan_row_groups(rows.iter().copied().enumerate());
            assert_eq!(plan, wanted, "{rows:?}");
        }
    }
}
