//! The move back: an archive on a server becomes an embedded one again.
//!
//! The server is locked against writers while it is read. The rows of each batch and programme become a lake file, read
//! back in the binary form of COPY. All other tables are copied into archive.db in one transaction, in which the
//! history of the lake is replayed, event by event, so that DuckDB finds the snapshot of each event. Before that is
//! committed every table must equal the server's, byte for byte. The database on the server is unchanged.

use super::handover::{self, Handover, Progress};
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
use lake::{self, DetectorKey, FinaliseRequest, LakeFile, RangeKey, Staged};
use model::ProgrammeId;
use model::tables::{ColumnType, Table};
use model::{BatchId, EventId};
use postgres::binary_copy::{BinaryCopyOutIter, BinaryCopyOutRow};
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::Type;
use rusqlite::types::Value;
use stage::StagedWriter;
use stage::metadata::packed_cards;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Rows decoded at a time.
const ROWS_AT_ONCE: usize = 8192;
/// Columns of `detector_rows` that do not depend on the storage of detections.
const OF_DETECTORS: [&str; 11] = [
    "programme_id",
    "first_obj_id",
    "rows",
    "multiframe_id",
    "ext_num",
    "version",
    "begin_event",
    "end_event",
    "centre_healpix29",
    "radius_deg",
    "radius_class",
];

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
    for directory in [&place, &lake::detection().directory(&site.lake())] {
        let io = |source| ArchiveFault::Io { path: directory.clone(), source };
        files::create_dir(directory).map_err(io)?;
    }
    let mut parts = Vec::new();
    for part in batches(&held)? {
        moved.detections += part.rows;
        parts.push((write_lake_file(server, site, &place, &part)?, part.event));
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
        if table == "detector_rows" {
            continue;
        }
        moved.rows += copy_table(server, sqlite, table)?;
    }
    moved.rows += replay(&held, sqlite, target, &parts)?;
    verify_detectors(server, sqlite)?;
    handover.copied(tx)?;
    handover.close(held)?;
    handover.open(&to)?;
    Ok(moved)
}

/// The rows of a batch and programme.
struct Part {
    batch: BatchId,
    programme: ProgrammeId,
    first: i64,
    rows: u64,
    event: EventId,
}

fn batches(c: &Connection) -> Result<Vec<Part>, ArchiveFault> {
    let mut select = c.prepare(
        "SELECT file_id, programme_id, min(first_obj_id), max(first_obj_id + rows) - min(first_obj_id),
             sum(rows)::bigint, min(begin_event), max(begin_event)
         FROM detector_rows GROUP BY file_id, programme_id ORDER BY file_id, programme_id",
    )?;
    let rows = select.query_map([], |r| {
        let part = Part {
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
            let message = format!("the object ids of batch {} have gaps", part.batch);
            return Err(ArchiveFault::Damaged(message));
        }
        parts.push(part);
    }
    Ok(parts)
}

fn definition() -> Result<&'static Table, ArchiveFault> {
    model::tables::table("detection")
        .ok_or_else(|| ArchiveFault::Damaged("there is no definition of detections".to_owned()))
}

/// Writes a lake file of a part and compares it with the rows of the server.
fn write_lake_file(
    server: &Server,
    site: &Site,
    place: &Path,
    part: &Part,
) -> Result<LakeFile, ArchiveFault> {
    let table = definition()?;
    let columns: Vec<String> = table.columns.iter().map(|c| quoted(&c.name)).collect();
    let select = format!(
        "SELECT {} FROM detection_data WHERE programme_id = {} AND obj_id >= {} AND obj_id < {} ORDER BY obj_id",
        columns.join(", "),
        part.programme,
        part.first,
        part.first.saturating_add_unsigned(part.rows)
    );
    let damaged = |fault: stage::StageError| ArchiveFault::Damaged(model::one_line(&fault));
    let name = lake::detection().file_name(part.batch, part.programme);
    let mut writer = StagedWriter::create(place, table, &name, part.rows).map_err(damaged)?;
    let types: Vec<Type> = table.columns.iter().map(|c| engine::server_type(c.kind)).collect();
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
    let mut written =
        lake::finalise(&site.lake(), lake::detection(), &[request], &AtomicBool::new(false))?;
    let Some(file) = written.pop() else {
        return Err(ArchiveFault::Damaged(format!("{name} was not written")));
    };
    let _ = std::fs::remove_file(&path);
    let directory = lake::detection().directory(&site.lake());
    let path = directory.join(&name);
    let staged = [Staged { base: &directory, path: &path, offset: 0 }];
    let wanted = Wanted {
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
    table: &Table,
    rows: &[BinaryCopyOutRow],
    temporary: &mut i64,
) -> Result<RecordBatch, ArchiveFault> {
    let fault = |e: String| ArchiveFault::Damaged(format!("detections of the server: {e}"));
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
    let mut columns = Vec::with_capacity(table.columns.len());
    for (at, defined) in table.columns.iter().enumerate() {
        columns.push(if defined.name == "obj_id" {
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
    RecordBatch::try_new(table.arrow_schema(), columns).map_err(|e| fault(e.to_string()))
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
fn verify_equal(
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

/// Replays the history of detections, with a snapshot for each event that added, ended or opened some. Returns the rows
/// of `detector_rows`.
fn replay(
    from: &Connection,
    sqlite: &rusqlite::Connection,
    target: &Site,
    parts: &[(LakeFile, EventId)],
) -> Result<u64, ArchiveFault> {
    let mut versions = BTreeMap::new();
    let mut ends: BTreeMap<EventId, BTreeSet<DetectorKey>> = BTreeMap::new();
    // Rows that ended in the event that added them were never visible then.
    let mut ends_at_once: BTreeMap<EventId, BTreeSet<DetectorKey>> = BTreeMap::new();
    let mut reopens: BTreeMap<EventId, BTreeMap<EventId, BTreeSet<DetectorKey>>> = BTreeMap::new();
    let mut select = from.prepare(
        "SELECT multiframe_id, ext_num, version, begin_event, end_event FROM detector_rows",
    )?;
    let rows = select.query_map([], |r| {
        let key = DetectorKey { multiframe_id: r.get(0)?, ext_num: r.get(1)? };
        Ok((key, r.get::<i64>(2)?, r.id::<EventId>(3)?, r.optional_id::<EventId>(4)?))
    })?;
    let rows: Vec<_> = rows.collect::<engine::Result<_>>()?;
    let mut select = from.prepare(
        "SELECT multiframe_id, ext_num, from_event, to_event FROM detector_interruption",
    )?;
    let spans = select.query_map([], |r| {
        let key = DetectorKey { multiframe_id: r.get(0)?, ext_num: r.get(1)? };
        Ok((key, r.id(2)?, r.id(3)?))
    })?;
    let mut interrupted: BTreeMap<DetectorKey, Vec<(EventId, EventId)>> = BTreeMap::new();
    for span in spans {
        let (key, out, back) = span?;
        interrupted.entry(key).or_default().push((out, back));
    }
    for (key, version, begin, end) in &rows {
        versions.insert((*key, *begin), *version);
        let mut ends_in = |event: EventId| {
            let of = if event == *begin { &mut ends_at_once } else { &mut ends };
            of.entry(event).or_default().insert(*key);
        };
        if let Some(end) = end {
            ends_in(*end);
        }
        for (out, back) in interrupted.get(key).into_iter().flatten() {
            if begin <= out && end.is_none_or(|end| end >= *back) {
                ends_in(*out);
                reopens.entry(*back).or_default().entry(*out).or_default().insert(*key);
            }
        }
    }
    let mut select = from.prepare("SELECT event_id, happened, why FROM event ORDER BY event_id")?;
    let events = select
        .query_map([], |r| Ok((r.id::<EventId>(0)?, r.get::<String>(1)?, r.get::<String>(2)?)))?;
    for event in events {
        let (event, happened, why) = event?;
        let now: Timestamp = happened
            .parse()
            .map_err(|e| ArchiveFault::Damaged(format!("event {event}: {happened}: {e}")))?;
        let mut changes = lake::Publication::begin(sqlite, &target.lake(), event)?;
        let keys = |set: Option<&BTreeSet<DetectorKey>>| -> Vec<DetectorKey> {
            set.into_iter().flatten().copied().collect()
        };
        for (out, detectors) in reopens.get(&event).into_iter().flatten() {
            changes.reopen(lake::detection(), *out, keys(Some(detectors)))?;
        }
        changes.end(lake::detection(), keys(ends.get(&event)))?;
        for (file, _) in parts.iter().filter(|(_, begin)| *begin == event) {
            let version = |key: &RangeKey| {
                let version = DetectorKey::of(key).ok().and_then(|key| versions.get(&(key, event)));
                version.copied().unwrap_or(0)
            };
            changes.add(lake::detection(), file, version)?;
        }
        changes.end(lake::detection(), keys(ends_at_once.get(&event)))?;
        changes.finish(now, &why)?;
    }
    Ok(rows.len() as u64)
}

/// Checks that the contents of `detector_rows` after the replay equal those on the server.
fn verify_detectors(server: &Server, sqlite: &rusqlite::Connection) -> Result<(), ArchiveFault> {
    let mut columns = columns_of(server, "detector_rows")?;
    columns.retain(|(name, _)| OF_DETECTORS.contains(&name.as_str()));
    let names: Vec<String> = columns.iter().map(|(name, _)| quoted(name)).collect();
    let order = " ORDER BY programme_id, first_obj_id";
    let select = format!("SELECT {} FROM detector_rows{order}", names.join(", "));
    verify_equal(server, sqlite, "detector_rows", &columns, &select, order)
}
