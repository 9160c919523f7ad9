//! Loading of unattached tables by binary COPY.
//!
//! One transaction per table creates it, fills it by COPY FREEZE and builds keys and CHECKs, so that a table is complete or does
//! not exist. Format: "Binary Format" of PostgreSQL's COPY: per row the number of fields, per field its length and bytes.

use super::schema::owner_sql;
use super::{capitalised_plural, last_of, partition_name, root_name};
use crate::error::ArchiveFault;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, PrimitiveArray, RecordBatch};
use arrow_buffer::NullBuffer;
use engine::quoted;
use engine::{EngineError, Server};
use lake::{
    BEGIN_EVENT, ByteCounter, LakeError, LakeRowRange, LakeTable, OpenFile, Staged, check_staged,
};
use model::ProgrammeId;
use model::tables::ColumnType;
use model::{BatchId, EventId, ObjectId};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::hash::Hasher;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Number of rows decoded at a time.
const ROWS_AT_ONCE: usize = 8192;
/// Number of bytes written to the connection at a time.
const CHUNK: usize = 32 << 10;
/// Number of chunks that are decoded before the connection accepts them.
const CHUNKS_AHEAD: usize = 64;

/// The rows to be loaded: all rows of a lake table of one programme in one batch.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The lake table.
    pub table: &'a LakeTable,
    /// The batch.
    pub batch: BatchId,
    /// Owner of all rows.
    pub programme_id: ProgrammeId,
    /// Final id = base - temporary id; the first row gets base + 1. Of a table without ids, [`LakeTable::base_of`].
    pub base: i64,
    /// The event that will publish the rows.
    pub event: EventId,
    /// The staged files, in the order of their offsets.
    pub staged: &'a [Staged<'a>],
    /// True when the files are those of a lake: their ids are already final.
    pub is_final: bool,
}

/// A table that was filled and is not attached yet.
#[derive(Clone, Debug)]
pub struct LoadedPartition {
    /// Its name.
    pub name: String,
    /// Owner of all its rows.
    pub programme_id: ProgrammeId,
    /// Id of the first row; the others follow without a gap.
    pub first_obj_id: ObjectId,
    /// Number of rows.
    pub rows: u64,
    /// The ranges, in the order of their rows.
    pub detectors: Vec<LakeRowRange>,
    /// Seconds that building the keys took.
    pub keys_seconds: f64,
}

/// Fills the tables of a batch until `stop` is set, as many at the same time as there are connections. An unattached table that
/// an earlier run left is dropped first; an attached one is reused. If another process loads the same batch, the function waits
/// for a moment and then gives up.
///
/// # Errors
/// [`ArchiveFault::Check`] when the rows do not fit their table, otherwise the error of the engine or the disk.
pub fn load(
    server: &Server,
    connections: usize,
    wanted: &[Wanted<'_>],
    stop: &AtomicBool,
) -> Result<Vec<LoadedPartition>, ArchiveFault> {
    let next = std::sync::Mutex::new(wanted.iter().enumerate());
    let address = server.address();
    let workers = connections.min(wanted.len());
    // More threads than processors would not run in parallel.
    let is_ahead = workers < std::thread::available_parallelism().map_or(1, usize::from);
    let work = || -> Result<Vec<(usize, LoadedPartition)>, ArchiveFault> {
        let mut client = None;
        let mut done = Vec::new();
        loop {
            let taken = next.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
            let Some((place, wanted)) = taken else { return Ok(done) };
            let client = match &mut client {
                Some(client) => client,
                none => none.insert(address.connect()?),
            };
            done.push((place, load_one(client, wanted, is_ahead, stop)?));
        }
    };
    let mut loaded = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut loaded = Vec::new();
        for worker in workers {
            let done = worker.join().unwrap_or_else(|_| {
                Err(ArchiveFault::Damaged("a loading thread ended without result".to_owned()))
            });
            loaded.extend(done?);
        }
        Ok::<_, ArchiveFault>(loaded)
    })?;
    loaded.sort_by_key(|(place, _)| *place);
    Ok(loaded.into_iter().map(|(_, partition)| partition).collect())
}

/// Returns the XXH64 of the rows of a batch and programme in the form in which they are sent.
///
/// # Errors
/// Returns the error of the disk.
pub fn digest(wanted: &Wanted<'_>) -> Result<u64, ArchiveFault> {
    let counter = Arc::default();
    let opened: Result<Vec<OpenFile>, _> = wanted.staged.iter().map(|s| s.open(&counter)).collect();
    digest_of_files(wanted, &opened?)
}

fn digest_of_files(wanted: &Wanted<'_>, opened: &[OpenFile]) -> Result<u64, ArchiveFault> {
    let mut digest = Digest::default();
    write_rows((wanted, opened), &AtomicBool::new(false), &mut digest)?;
    Ok(digest.0.finish())
}

/// Returns the XXH64 of the binary form of a query's rows.
///
/// # Errors
/// Returns the engine's error, or that the connection was cut.
pub fn digest_of(
    client: &mut impl postgres::GenericClient,
    select: &str,
) -> Result<u64, ArchiveFault> {
    let mut digest = Digest::default();
    let mut reader = client
        .copy_out(&format!("COPY ({select}) TO STDOUT (FORMAT binary)"))
        .map_err(EngineError::from)?;
    std::io::copy(&mut reader, &mut digest).map_err(ArchiveFault::Cut)?;
    Ok(digest.0.finish())
}

/// The XXH64 of the written bytes.
#[derive(Default)]
pub struct Digest(twox_hash::XxHash64);

impl Digest {
    /// Returns the hash of what was written until now.
    pub fn value(&self) -> u64 {
        self.0.finish()
    }

    /// Adds bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        std::hash::Hasher::write(&mut self.0, bytes);
    }
}

impl Write for Digest {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        std::hash::Hasher::write(&mut self.0, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Opens the staged files, each once, so that the checked content is what is sent. Also returns their ranges and the number of
/// rows.
fn open_all(wanted: &Wanted<'_>) -> Result<(Vec<OpenFile>, Vec<LakeRowRange>, u64), ArchiveFault> {
    let counter = Arc::new(ByteCounter::default());
    let (mut opened, mut runs, mut rows) = (Vec::with_capacity(wanted.staged.len()), Vec::new(), 0);
    for staged in wanted.staged {
        let file = staged.open(&counter)?;
        if !wanted.is_final {
            check_staged(wanted.table, &file, staged, rows)?;
        }
        for run in lake::ranges(wanted.table, &file)? {
            runs.push(LakeRowRange { first_row: rows + run.first_row, ..run });
        }
        rows += file.rows();
        opened.push(file);
    }
    Ok((opened, runs, rows))
}

fn load_one(
    client: &mut postgres::Client,
    wanted: &Wanted<'_>,
    is_ahead: bool,
    stop: &AtomicBool,
) -> Result<LoadedPartition, ArchiveFault> {
    let table = wanted.table;
    let name = partition_name(table, wanted.batch, wanted.programme_id);
    let (opened, runs, rows) = open_all(wanted)?;
    if rows == 0 {
        let message = format!("{name} would have no rows");
        return Err(ArchiveFault::Check { check: "lake_file", message });
    }
    let first = ObjectId::try_from(wanted.base.saturating_add(1)).map_err(ArchiveFault::Damaged)?;
    let last = last_of(first, rows)?;
    let mut loaded = LoadedPartition {
        name: name.clone(),
        programme_id: wanted.programme_id,
        first_obj_id: first,
        rows,
        detectors: runs,
        keys_seconds: 0.0,
    };
    let mut tx = client.transaction().map_err(EngineError::from)?;
    tx.batch_execute("SET LOCAL lock_timeout = '5s'").map_err(EngineError::from)?;
    let is_attached: bool = tx
        .query_one(
            "SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace = current_schema()::regnamespace
                 AND relname = $1::text AND relispartition)",
            &[&name],
        )
        .map_err(EngineError::from)?
        .get(0);
    if is_attached {
        take_up(tx, &name, (wanted, &opened))?;
        return Ok(loaded);
    }
    let columns = columns_of(table);
    tx.batch_execute(&format!(
        "DROP TABLE IF EXISTS {name}; {}; {}",
        create_sql(table, &name, wanted.programme_id, (first, last)),
        owner_sql(table, &name)
    ))
    .map_err(EngineError::from)?;
    let mut writer = tx
        .copy_in(&format!("COPY {name} ({columns}) FROM STDIN (FORMAT binary, FREEZE)"))
        .map_err(EngineError::from)?;
    let sent = match is_ahead {
        true => write_rows_ahead((wanted, &opened), stop, &mut writer),
        false => write_rows((wanted, &opened), stop, &mut writer),
    };
    sent.map_err(|fault| match fault {
        ArchiveFault::Engine(fault) => misfit(&name, fault),
        other => other,
    })?;
    let copied = writer.finish().map_err(|fault| misfit(&name, fault.into()))?;
    if copied != rows {
        return Err(ArchiveFault::Check {
            check: "row_count",
            message: format!("{name} took {copied} rows of {rows}"),
        });
    }
    files::crash_point("load:copied");
    let began = std::time::Instant::now();
    tx.batch_execute(&keys_sql(table, &name, wanted.programme_id, (first, last)))
        .map_err(|fault| misfit(&name, fault.into()))?;
    loaded.keys_seconds = began.elapsed().as_secs_f64();
    files::crash_point("load:before-commit");
    tx.commit().map_err(EngineError::from)?;
    files::crash_point("load:after-commit");
    Ok(loaded)
}

/// Writes all wanted rows.
fn write_rows(
    (wanted, opened): (&Wanted<'_>, &[OpenFile]),
    stop: &AtomicBool,
    out: &mut impl Write,
) -> Result<(), ArchiveFault> {
    let mut rows = Rows::new(wanted, stop);
    for file in opened {
        rows.write_file(file, out)?;
    }
    rows.finish(out)
}

/// Writes all rows while another thread decodes the next ones, so that the server need not wait for them.
fn write_rows_ahead(
    what: (&Wanted<'_>, &[OpenFile]),
    stop: &AtomicBool,
    writer: &mut impl Write,
) -> Result<(), ArchiveFault> {
    let (chunks, decoded) = std::sync::mpsc::sync_channel(CHUNKS_AHEAD);
    std::thread::scope(|scope| {
        let decoding = scope.spawn(move || write_rows(what, stop, &mut Ahead(chunks)));
        let sent = decoded.iter().try_for_each(|chunk: Vec<u8>| writer.write_all(&chunk));
        drop(decoded); // no decoding for a connection that is cut
        let done = decoding.join().unwrap_or_else(|_| {
            Err(ArchiveFault::Damaged("a decoding thread ended without result".to_owned()))
        });
        sent.map_err(cut).and(done)
    })
}

/// Passes chunks to the thread that sends them.
struct Ahead(std::sync::mpsc::SyncSender<Vec<u8>>);

impl Write for Ahead {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.send(bytes.to_vec()).map_err(|_| std::io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Converts the fault of a broken connection: to the server's error, if there is one.
fn cut(fault: std::io::Error) -> ArchiveFault {
    match fault.downcast::<postgres::Error>() {
        Ok(fault) => EngineError::from(fault).into(),
        Err(fault) => ArchiveFault::Cut(fault),
    }
}

/// Reuses a table that an earlier run attached and did not publish: its rows, which are in no view, get the event that will
/// publish them, and must equal those of the staged files.
fn take_up(
    mut tx: postgres::Transaction<'_>,
    name: &str,
    (wanted, opened): (&Wanted<'_>, &[OpenFile]),
) -> Result<(), ArchiveFault> {
    let update = format!("UPDATE {name} SET begin_event = $1 WHERE begin_event <> $1");
    tx.execute(&update, &[&wanted.event.get()]).map_err(EngineError::from)?;
    let (columns, id) = (columns_of(wanted.table), wanted.table.id());
    let found = digest_of(&mut tx, &format!("SELECT {columns} FROM {name} ORDER BY {id}"))?;
    if found != digest_of_files(wanted, opened)? {
        return Err(ArchiveFault::Check {
            check: "detection_rows",
            message: format!("{name} is attached already, with other rows than those staged"),
        });
    }
    files::crash_point("load:taken-up");
    Ok(tx.commit().map_err(EngineError::from)?)
}

/// Returns the columns of a table's partitions as a list in SQL: those of the definition, and the row number of a table without
/// ids.
pub fn columns_of(table: &LakeTable) -> String {
    let defined = table.definition().columns.iter().map(|c| quoted(&c.name));
    let columns: Vec<String> = defined.chain(table.row_number().map(str::to_owned)).collect();
    columns.join(", ")
}

/// Returns the SQL that creates a partition for rows of one programme and a range of ids, with all CHECKs: those of the
/// columns and the one that lets the table be attached without a scan of its rows. During COPY each row's values are at hand;
/// adding CHECKs later would require a scan.
pub fn create_sql(
    table: &LakeTable,
    name: &str,
    programme_id: ProgrammeId,
    (first, last): (ObjectId, ObjectId),
) -> String {
    format!(
        "CREATE TABLE {name} (LIKE {all} INCLUDING CONSTRAINTS, CONSTRAINT {name}_bounds CHECK (
             programme_id IS NOT NULL AND programme_id = {programme_id}
             AND {id} IS NOT NULL AND {id} >= {first} AND {id} < {end}))",
        all = root_name(table),
        id = table.id(),
        end = last.get() + 1
    )
}

/// Returns the SQL that adds the keys to a filled partition: the ids, and the columns by which ranges and their rows are found.
pub fn keys_sql(
    table: &LakeTable,
    name: &str,
    programme_id: ProgrammeId,
    (first, last): (ObjectId, ObjectId),
) -> String {
    let (id, layout) = (table.id(), table.layout());
    let of_range = table.range_key().iter().chain(&layout.version);
    let of_range: Vec<&str> =
        of_range.chain(&layout.row_key).chain(&layout.sort).map(String::as_str).collect();
    let of_range = of_range.join(", ");
    let keys = match layout.row_key.is_empty() {
        false => format!(", ADD UNIQUE ({of_range})"),
        true => format!("; CREATE INDEX ON {name} ({of_range})"),
    };
    let comment = format!(
        "{} of programme {programme_id}, {id} {first} to {last}.",
        capitalised_plural(table)
    );
    format!(
        "ALTER TABLE {name} ADD PRIMARY KEY (programme_id, {id}){keys};
         COMMENT ON TABLE {name} IS {}",
        engine::text(&comment)
    )
}

/// Converts the engine's fault: a constraint that refuses a row is a fault of the batch, everything else one of the system.
fn misfit(name: &str, fault: EngineError) -> ArchiveFault {
    if fault.is_constraint() {
        let message = format!("{name}: {fault}");
        return ArchiveFault::Check { check: "detection_rows", message };
    }
    fault.into()
}

/// Writes rows in the binary form.
struct Rows<'a> {
    table: &'a LakeTable,
    next_obj_id: i64,
    event: i64,
    /// Bytes to be sent.
    buffer: Vec<u8>,
    block: Block,
    stop: &'a AtomicBool,
}

impl<'a> Rows<'a> {
    fn new(wanted: &Wanted<'a>, stop: &'a AtomicBool) -> Self {
        let mut buffer = Vec::with_capacity(2 * CHUNK);
        // The header consists of signature, no flags, no extension.
        buffer.extend_from_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
        let (next_obj_id, event) = (wanted.base + 1, wanted.event.get());
        Self { table: wanted.table, next_obj_id, event, buffer, block: Block::default(), stop }
    }

    fn write_file(&mut self, file: &OpenFile, out: &mut impl Write) -> Result<(), ArchiveFault> {
        let fault = LakeError::parquet(file.path());
        let reader = ParquetRecordBatchReaderBuilder::try_new(file.whole()?)
            .and_then(|builder| builder.with_batch_size(ROWS_AT_ONCE).build())
            .map_err(&fault)?;
        for batch in reader {
            let batch = batch.map_err(|e| fault(e.into()))?;
            self.write_batch(&batch, out)?;
        }
        Ok(())
    }

    fn write_batch(
        &mut self,
        batch: &RecordBatch,
        out: &mut impl Write,
    ) -> Result<(), ArchiveFault> {
        let defined = self.table.definition().columns.iter();
        let columns: Result<Vec<Column<'_>>, ArchiveFault> =
            defined.map(|defined| Column::of(batch, self.table, defined)).collect();
        let mut columns = columns?;
        columns.extend(self.table.row_number().map(|_| Column::ObjectId));
        for first in (0..batch.num_rows()).step_by(Block::ROWS) {
            let rows = first..batch.num_rows().min(first + Block::ROWS);
            let ids = self.next_obj_id;
            self.next_obj_id += i64::try_from(rows.len()).unwrap_or(i64::MAX);
            self.block.fill(&columns, rows, ids, self.event);
            for row in self.block.rows() {
                self.buffer.extend_from_slice(row);
            }
            if self.buffer.len() >= CHUNK {
                self.flush(out)?;
            }
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut impl Write) -> Result<(), ArchiveFault> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(ArchiveFault::Interrupted);
        }
        let sent = out.write_all(&self.buffer);
        self.buffer.clear();
        sent.map_err(cut)
    }

    fn finish(mut self, out: &mut impl Write) -> Result<(), ArchiveFault> {
        self.buffer.extend_from_slice(&(-1_i16).to_be_bytes());
        self.flush(out)
    }
}

/// A block of rows that is written column by column, which is much faster than cell by cell. Each row has a slot with room for
/// its widest form.
#[derive(Default)]
struct Block {
    bytes: Vec<u8>,
    /// Bytes between the beginnings of two rows.
    stride: usize,
    /// Current end of each row.
    ends: Vec<usize>,
}

impl Block {
    /// Number of rows; this many stay in the processor's cache.
    const ROWS: usize = 32;

    fn fill(
        &mut self,
        columns: &[Column<'_>],
        rows: std::ops::Range<usize>,
        first_obj_id: i64,
        event: i64,
    ) {
        let longest = |column: &Column<'_>| match column {
            Column::Bytes(array) => rows.clone().map(|row| bytes_of(array, row).len()).max(),
            _ => None,
        };
        let texts: usize = columns.iter().filter_map(longest).sum();
        self.stride = 2 + 12 * columns.len() + texts;
        self.bytes.resize(self.bytes.len().max(self.stride * Self::ROWS), 0);
        self.ends.clear();
        self.ends.extend((0..rows.len()).map(|row| row * self.stride));
        let fields = i16::try_from(columns.len()).unwrap_or(i16::MAX).to_be_bytes();
        self.put(None, &rows, |_| fields);
        let first = rows.start;
        for column in columns {
            match column {
                Column::ObjectId => self.put(None, &rows, |row| {
                    let place = i64::try_from(row - first).unwrap_or(i64::MAX);
                    wide((first_obj_id + place).to_be_bytes())
                }),
                Column::Event => self.put(None, &rows, |_| wide(event.to_be_bytes())),
                Column::Absent => self.put(None, &rows, |_| NULL),
                Column::I16(values, nulls) => self.put(*nulls, &rows, |row| {
                    let [a, b] = values[row].to_be_bytes();
                    [0, 0, 0, 2, a, b]
                }),
                Column::I32(values, nulls) => {
                    self.put(*nulls, &rows, |row| narrow(values[row].to_be_bytes()));
                }
                Column::F32(values, nulls) => {
                    self.put(*nulls, &rows, |row| narrow(values[row].to_be_bytes()));
                }
                Column::I64(values, nulls) => {
                    self.put(*nulls, &rows, |row| wide(values[row].to_be_bytes()));
                }
                Column::F64(values, nulls) => {
                    self.put(*nulls, &rows, |row| wide(values[row].to_be_bytes()));
                }
                Column::Bool(array) => {
                    self.put(array.nulls(), &rows, |row| [0, 0, 0, 1, u8::from(array.value(row))])
                }
                Column::Bytes(array) => self.put_bytes(array, &rows),
            }
        }
    }

    /// Adds a cell to each row: its length and bytes, or NULL.
    #[inline(always)]
    fn put<const N: usize>(
        &mut self,
        nulls: Option<&NullBuffer>,
        rows: &std::ops::Range<usize>,
        cell: impl Fn(usize) -> [u8; N],
    ) {
        let ends = self.ends.iter_mut().zip(rows.clone());
        let Some(nulls) = nulls else {
            for (end, row) in ends {
                self.bytes[*end..*end + N].copy_from_slice(&cell(row));
                *end += N;
            }
            return;
        };
        for (end, row) in ends {
            if nulls.is_valid(row) {
                self.bytes[*end..*end + N].copy_from_slice(&cell(row));
                *end += N;
            } else {
                self.bytes[*end..*end + NULL.len()].copy_from_slice(&NULL);
                *end += NULL.len();
            }
        }
    }

    fn put_bytes(&mut self, array: &ArrayRef, rows: &std::ops::Range<usize>) {
        for (end, row) in self.ends.iter_mut().zip(rows.clone()) {
            let mut add = |bytes: &[u8]| {
                self.bytes[*end..*end + bytes.len()].copy_from_slice(bytes);
                *end += bytes.len();
            };
            if array.is_valid(row) {
                let bytes = bytes_of(array, row);
                add(&i32::try_from(bytes.len()).unwrap_or(i32::MAX).to_be_bytes());
                add(bytes);
            } else {
                add(&NULL);
            }
        }
    }

    fn rows(&self) -> impl Iterator<Item = &[u8]> {
        let begun = (0..).map(|row| row * self.stride);
        begun.zip(&self.ends).map(|(begin, end)| &self.bytes[begin..*end])
    }
}

/// Length of a field that is NULL.
const NULL: [u8; 4] = [0xff; 4];

/// Returns a field of four bytes with its length.
#[inline(always)]
fn narrow([a, b, c, d]: [u8; 4]) -> [u8; 8] {
    [0, 0, 0, 4, a, b, c, d]
}

/// Returns a field of eight bytes with its length.
#[inline(always)]
fn wide([a, b, c, d, e, f, g, h]: [u8; 8]) -> [u8; 12] {
    [0, 0, 0, 8, a, b, c, d, e, f, g, h]
}

fn bytes_of(array: &ArrayRef, row: usize) -> &[u8] {
    match array.as_string_opt::<i32>() {
        Some(texts) => texts.value(row).as_bytes(),
        None => array.as_binary::<i32>().value(row),
    }
}

/// A column of a batch, ready to be written row by row.
enum Column<'a> {
    ObjectId,
    Event,
    /// Missing in batches of an older definition.
    Absent,
    I16(&'a [i16], Option<&'a NullBuffer>),
    I32(&'a [i32], Option<&'a NullBuffer>),
    I64(&'a [i64], Option<&'a NullBuffer>),
    F32(&'a [f32], Option<&'a NullBuffer>),
    F64(&'a [f64], Option<&'a NullBuffer>),
    Bool(&'a BooleanArray),
    Bytes(&'a ArrayRef),
}

impl<'a> Column<'a> {
    fn of(
        batch: &'a RecordBatch,
        table: &LakeTable,
        defined: &model::tables::Column,
    ) -> Result<Self, ArchiveFault> {
        match defined.name.as_str() {
            id if id == table.id() => return Ok(Self::ObjectId),
            BEGIN_EVENT => return Ok(Self::Event),
            _ => {}
        }
        let absent = || absent(table, &defined.name);
        let Some(array) = batch.column_by_name(&defined.name) else {
            return if defined.nullable { Ok(Self::Absent) } else { Err(absent()) };
        };
        let nulls = array.nulls();
        fn values<T: arrow_array::ArrowPrimitiveType>(array: &ArrayRef) -> Option<&[T::Native]> {
            array.as_any().downcast_ref::<PrimitiveArray<T>>().map(|a| &a.values()[..])
        }
        let column = match defined.kind {
            ColumnType::I16 => values::<Int16Type>(array).map(|v| Self::I16(v, nulls)),
            ColumnType::I32 => values::<Int32Type>(array).map(|v| Self::I32(v, nulls)),
            ColumnType::I64 => values::<Int64Type>(array).map(|v| Self::I64(v, nulls)),
            ColumnType::F32 => values::<Float32Type>(array).map(|v| Self::F32(v, nulls)),
            ColumnType::F64 => values::<Float64Type>(array).map(|v| Self::F64(v, nulls)),
            ColumnType::Bool => array.as_boolean_opt().map(Self::Bool),
            ColumnType::Text | ColumnType::Bytes => Some(Self::Bytes(array)),
        };
        column.ok_or_else(absent)
    }
}

fn absent(table: &LakeTable, column: &str) -> ArchiveFault {
    let plural = &table.layout().plural;
    ArchiveFault::Check {
        check: "schema",
        message: format!("the staged {plural} have no column {column} of the archive's type"),
    }
}
