//! The move back: an archive on a server becomes an embedded one again.
//!
//! The server is locked against writers while it is read. The rows of each batch and programme become a lake file, read
//! back in the binary form of COPY. All other tables are copied into archive.db in one transaction, in which the
//! history of the lake is replayed, event by event, so that DuckDB finds the snapshot of each event. Before that is
//! committed every table must equal the server's, byte for byte. The database on the server is unchanged.

use super::handover::{self, Handover, Progress};
use super::replay::{replay, verify_ranges};
use super::{ACT, Alone, Moved, columns_of, conflict, tables, taken, write_rows};
use archive::error::{ArchiveError, ArchiveFault};
use archive::metadata::PACKED;
use archive::partitions::{self, Digest, Wanted};
use archive::site::Site;
use archive::unfinished::MIGRATED;
use archive::{Access, Archive, Timestamp, connect};
use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Float32Builder, Float64Builder, Int16Builder, Int32Builder,
    Int64Builder, StringBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use engine::quoted;
use engine::{self, Connection, Database, Incoming, Kind, Server};
use lake::{self, FinaliseRequest, LakeFile, LakeTable, Staged};
use model::ProgrammeId;
use model::tables::ColumnType;
use model::{BatchId, EventId};
use postgres::binary_copy::{BinaryCopyOutIter, BinaryCopyOutRow};
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::Type;
use rusqlite::types::Value;
use stage::StagedWriter;
use stage::metadata::packed_cards;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Rows decoded at a time.
const ROWS_AT_ONCE: usize = 8192;
/// Moves the archive of a site from its server into the site.
///
/// # Errors
/// [`ArchiveError`]; a conflict when the site holds an embedded archive, including one from before a move to the
/// server.
pub fn to_embedded(site: &Site, now: Timestamp, _: &Alone) -> Result<Moved, ArchiveError> {
    if site.is_embedded() {
        return Err(conflict("the archive is embedded already"));
    }
    let target = site.clone().on(Database::default());
    check_free(site)?;
    let handover = match Archive::open_alone(site, now) {
        Ok(_) => Handover::begin(site, &target, now),
        Err(error) if error.is_moved() => return handover::resume(site, &target, now),
        Err(error) => return Err(error),
    };
    if target.database().exists() {
        match handover::progress(&target)? {
            Progress::Nothing => {}
            Progress::Blank | Progress::Copied => remove_database(&target)?,
            Progress::InUse => return Err(taken(&target)),
        }
    }
    if !target.database().exists() {
        drop(Archive::create_alone(&target, now)?);
    }
    run(site, &target, &handover).map_err(ArchiveError::during(ACT))
}

/// Checks that no archive from before a move to the server is kept in a site.
pub(super) fn check_free(site: &Site) -> Result<(), ArchiveError> {
    match site.root().join(MIGRATED).exists() {
        false => Ok(()),
        true => Err(conflict(
            "archive.db.migrated, the archive from before it moved to the server, still exists: remove it and the files of \
             lake/detection/",
        )),
    }
}

/// Removes a database without tables, or that of a copy that was never opened; its lake files are written again under
/// the same names.
fn remove_database(target: &Site) -> Result<(), ArchiveError> {
    for suffix in ["", "-wal", "-shm"] {
        let path = target.root().join(format!("archive.db{suffix}"));
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(ArchiveError::during(ACT)(ArchiveFault::Io { path, source }));
            }
            _ => {}
        }
    }
    Ok(())
}

fn run(site: &Site, target: &Site, handover: &Handover) -> Result<Moved, ArchiveFault> {
    let from = connect(site, Access::Write)?;
    let to = connect(target, Access::Write)?;
    let (Some(server), Some(sqlite)) = (from.server(), to.sqlite()) else {
        return Err(ArchiveFault::Damaged("the database is not of the expected engine".to_owned()));
    };
    let held = from.begin(Kind::Write)?; // no process writes while it is read
    held.execute_batch("SET LOCAL synchronize_seqscans = off")?;
    let mut moved = Moved::default();
    let place = site.staging().join("moving");
    // The lake from before the archive moved to the server may have been removed, as `migrate` proposes.
    let lake_tables = site.lake_tables();
    let directories = lake_tables.iter().map(|table| table.directory(&site.lake()));
    for directory in std::iter::once(place.clone()).chain(directories) {
        let io = |source| ArchiveFault::Io { path: directory.clone(), source };
        files::create_dir(&directory).map_err(io)?;
    }
    let mut written = Vec::new();
    for table in lake_tables {
        for part in batches(&held, table)? {
            moved.detections += part.rows;
            let file = write_lake_file(server, site, &place, &part)?;
            written.push(Written { table, file, event: part.event });
        }
    }
    let _ = std::fs::remove_dir_all(&place);
    files::crash_point("migrate:loaded");
    let tx = to.begin(Kind::Move)?;
    tx.defer_foreign_keys()?;
    let tables = tables(&tx)?;
    for table in &tables {
        tx.execute_batch(&format!("DELETE FROM {}", quoted(table)))?;
    }
    for table in &tables {
        moved.tables += 1;
        if lake_tables.iter().any(|of_lake| of_lake.index() == table) {
            continue;
        }
        moved.rows += copy_table(server, sqlite, table)?;
    }
    moved.rows += replay(&held, sqlite, target, &written)?;
    for table in lake_tables {
        verify_ranges(server, sqlite, table)?;
    }
    handover.copied(tx)?;
    handover.close(held)?;
    handover.open(&to)?;
    Ok(moved)
}

/// A lake file that was written, and the event of its rows.
pub(super) struct Written {
    pub table: &'static LakeTable,
    pub file: LakeFile,
    pub event: EventId,
}

/// The rows of a lake table, batch and programme.
struct Part {
    table: &'static LakeTable,
    batch: BatchId,
    programme: ProgrammeId,
    first: i64,
    rows: u64,
    event: EventId,
}

fn batches(c: &Connection, table: &'static LakeTable) -> Result<Vec<Part>, ArchiveFault> {
    let mut select = c.prepare(&format!(
        "SELECT file_id, programme_id, min({first_id}), max({first_id} + rows) - min({first_id}),
             sum(rows)::bigint, min(begin_event), max(begin_event)
         FROM {} GROUP BY file_id, programme_id ORDER BY file_id, programme_id",
        table.index(),
        first_id = table.first_id()
    ))?;
    let rows = select.query_map([], |r| {
        let part = Part {
            table,
            batch: r.id(0)?,
            programme: r.id(1)?,
            first: r.get(2)?,
            rows: r.get(4)?,
            event: r.id(5)?,
        };
        Ok((part, r.get::<u64>(3)?, r.id(6)?))
    })?;
    let mut parts = Vec::new();
    for row in rows {
        let (part, ids, last_event) = row?;
        if (ids, last_event) != (part.rows, part.event) {
            let message = format!("the ids of {} of batch {} have gaps", table.name(), part.batch);
            return Err(ArchiveFault::Damaged(message));
        }
        parts.push(part);
    }
    Ok(parts)
}

/// Writes a lake file of a part and compares it with the rows of the server.
fn write_lake_file(
    server: &Server,
    site: &Site,
    place: &Path,
    part: &Part,
) -> Result<LakeFile, ArchiveFault> {
    let (table, definition) = (part.table, part.table.definition());
    let select = format!(
        "SELECT {} FROM {} WHERE programme_id = {} AND {id} >= {} AND {id} < {} ORDER BY {id}",
        partitions::columns_of(table),
        partitions::root_name(table),
        part.programme,
        part.first,
        part.first.saturating_add_unsigned(part.rows),
        id = table.id()
    );
    let damaged = |fault: stage::StageError| ArchiveFault::Damaged(model::one_line(&fault));
    let name = table.file_name(part.batch, part.programme);
    let mut writer = StagedWriter::create(place, definition, &name, part.rows).map_err(damaged)?;
    let types = definition.columns.iter().map(|c| engine::server_type(c.kind));
    let types: Vec<Type> = types.chain(table.row_number().map(|_| Type::INT8)).collect();
    let rows = server.with_client(|client| {
        let reader = client.copy_out(&format!("COPY ({select}) TO STDOUT (FORMAT binary)"))?;
        let mut rows = BinaryCopyOutIter::new(reader, &types).fuse();
        let (mut count, mut temporary) = (0, 0);
        loop {
            let mut batch = Vec::with_capacity(ROWS_AT_ONCE);
            while batch.len() < ROWS_AT_ONCE
                && let Some(row) = rows.next()?
            {
                batch.push(row);
            }
            if batch.is_empty() {
                return Ok(Ok(count));
            }
            count += batch.len() as u64;
            let written = record_batch(table, &batch, &mut temporary)
                .and_then(|batch| writer.write(&batch).map_err(damaged));
            if let Err(fault) = written {
                return Ok(Err(fault));
            }
        }
    })??;
    if rows != part.rows {
        let message = format!("batch {} has {rows} rows, not {}", part.batch, part.rows);
        return Err(ArchiveFault::Damaged(message));
    }
    writer.finish(Some(part.programme)).map_err(damaged)?;
    let path = place.join(&name);
    let staged = [Staged { base: place, path: &path, offset: 0 }];
    let base = part.first - 1;
    let request = FinaliseRequest {
        name: &name,
        programme_id: part.programme,
        base,
        event: part.event,
        staged: &staged,
    };
    let mut written = lake::finalise(&site.lake(), table, &[request], &AtomicBool::new(false))?;
    let Some(file) = written.pop() else {
        return Err(ArchiveFault::Damaged(format!("{name} was not written")));
    };
    let _ = std::fs::remove_file(&path);
    let directory = table.directory(&site.lake());
    let path = directory.join(&name);
    let staged = [Staged { base: &directory, path: &path, offset: 0 }];
    let wanted = Wanted {
        table,
        batch: part.batch,
        programme_id: part.programme,
        base,
        event: part.event,
        staged: &staged,
        is_final: true,
    };
    let found = server.with_client(|client| Ok(partitions::digest_of(client, &select)))??;
    if found != partitions::digest(&wanted)? {
        return Err(ArchiveFault::Damaged(format!("{name} differs from the rows of the server")));
    }
    Ok(file)
}

/// Returns rows of the server as staged ones, with temporary ids that continue from `temporary`.
fn record_batch(
    table: &LakeTable,
    rows: &[BinaryCopyOutRow],
    temporary: &mut i64,
) -> Result<RecordBatch, ArchiveFault> {
    let definition = table.definition();
    let plural = &table.layout().plural;
    let fault = |e: String| ArchiveFault::Damaged(format!("{plural} of the server: {e}"));
    let column = |at: usize, kind: ColumnType| -> Result<ArrayRef, postgres::Error> {
        macro_rules! built {
            ($builder:ty, $value:ty) => {{
                let mut builder = <$builder>::new();
                for row in rows {
                    builder.append_option(row.try_get::<Option<$value>>(at)?);
                }
                Arc::new(builder.finish()) as ArrayRef
            }};
        }
        Ok(match kind {
            ColumnType::I16 => built!(Int16Builder, i16),
            ColumnType::I32 => built!(Int32Builder, i32),
            ColumnType::I64 => built!(Int64Builder, i64),
            ColumnType::F32 => built!(Float32Builder, f32),
            ColumnType::F64 => built!(Float64Builder, f64),
            ColumnType::Bool => built!(BooleanBuilder, bool),
            ColumnType::Text => built!(StringBuilder, &str),
            ColumnType::Bytes => built!(BinaryBuilder, &[u8]),
        })
    };
    let mut columns = Vec::with_capacity(definition.columns.len());
    for (at, defined) in definition.columns.iter().enumerate() {
        columns.push(if Some(&defined.name) == table.layout().id.as_ref() {
            let mut ids = Int64Builder::with_capacity(rows.len());
            for _ in rows {
                *temporary -= 1;
                ids.append_value(*temporary);
            }
            Arc::new(ids.finish())
        } else {
            column(at, defined.kind).map_err(|e| fault(model::one_line(&e)))?
        });
    }
    RecordBatch::try_new(definition.arrow_schema(), columns).map_err(|e| fault(e.to_string()))
}

/// Copies all rows of a table, and compares both.
fn copy_table(
    server: &Server,
    sqlite: &rusqlite::Connection,
    table: &str,
) -> Result<u64, ArchiveFault> {
    let columns = columns_of(server, table)?;
    let names: Vec<String> = columns.iter().map(|(name, _)| quoted(name)).collect();
    // In their later order in archive.db.
    let key: Option<String> = sqlite.query_row(
        "SELECT CASE WHEN count(*) = 1 AND max(type) = 'INTEGER' THEN max(name) END
         FROM pragma_table_info(?1) WHERE pk > 0",
        [table],
        |r| r.get(0),
    )?;
    let order = key.map_or_else(String::new, |key| format!(" ORDER BY {}", quoted(&key)));
    let select = format!("SELECT {} FROM {}{order}", names.join(", "), quoted(table));
    let marks: Vec<String> = (1..=names.len()).map(|n| format!("?{n}")).collect();
    let mut insert = sqlite.prepare(&format!(
        "INSERT INTO {} ({}) VALUES ({})",
        quoted(table),
        names.join(", "),
        marks.join(", ")
    ))?;
    let types: Vec<Type> = columns.iter().map(|(_, kind)| kind.clone()).collect();
    let packed = columns
        .iter()
        .position(|(name, _)| (table.trim_end_matches("_all"), name.as_str()) == PACKED);
    let mut count = 0;
    server.with_client(|client| {
        let reader = client.copy_out(&format!("COPY ({select}) TO STDOUT (FORMAT binary)"))?;
        let mut rows = BinaryCopyOutIter::new(reader, &types);
        while let Some(row) = rows.next()? {
            let mut values = Vec::with_capacity(types.len());
            for at in 0..types.len() {
                values.push(match row.try_get::<Incoming>(at)?.0 {
                    Value::Blob(cards) if packed == Some(at) => {
                        Value::Blob(packed_cards(&cards).unwrap_or(cards))
                    }
                    value => value,
                });
            }
            if let Err(fault) = insert.execute(rusqlite::params_from_iter(values)) {
                return Ok(Err(ArchiveFault::from(fault)));
            }
            count += 1;
        }
        Ok(Ok(()))
    })??;
    verify_equal(server, sqlite, table, &columns, &select, &order)?;
    Ok(count)
}

/// Checks that a select of the server and the rows of archive.db have the same binary form.
pub(super) fn verify_equal(
    server: &Server,
    sqlite: &rusqlite::Connection,
    table: &str,
    columns: &[(String, Type)],
    select: &str,
    order: &str,
) -> Result<(), ArchiveFault> {
    let found = server.with_client(|client| Ok(partitions::digest_of(client, select)))??;
    let names: Vec<String> = columns.iter().map(|(name, _)| quoted(name)).collect();
    let order = if order.is_empty() { " ORDER BY rowid" } else { order };
    let ours = format!("SELECT {} FROM {}{order}", names.join(", "), quoted(table));
    let mut digest = Digest::default();
    write_rows(sqlite, table, columns, &ours, &mut digest, &mut std::io::sink())?;
    if found == digest.value() {
        return Ok(());
    }
    Err(ArchiveFault::Damaged(format!("{table} in archive.db differs from that of the server")))
}
