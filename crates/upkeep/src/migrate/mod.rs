//! Moving an embedded archive to a server: every row of every table under the same ids, those of lake tables too.
//!
//! The embedded archive is locked against writers while it is read; lake files are copied one by one, all other
//! rows in one transaction with the attaching of those tables. Before that is committed, each table is read back in the
//! binary form in which it was sent and must be the same, byte for byte. The embedded archive keeps all its contents,
//! and is closed.
//!
//! No night can be lost between the two ([`mod@handover`]): the new archive is closed until the old one is closed, the
//! old one is closed by the transaction that read it, and every transaction of every process checks that. A move needs
//! a site on which no other process works ([`Alone`]).
//!
//! Start at [`to_server`]; [`to_embedded()`] moves in the opposite direction. [`Reopening`] reopens the old archive
//! when the new place is lost. This module does not change a site's configuration.

mod alone;
mod handover;
mod reopening;
mod replay;
mod to_embedded;

pub use alone::Alone;
pub use handover::set_aside;
pub use reopening::{Lead, NewPlace, Reopening};
pub use to_embedded::to_embedded;

use archive::error::{ArchiveError, ArchiveFault};
use archive::metadata::PACKED;
use archive::migrations::migration_number;
use archive::partitions::{self, Digest, Wanted};
use archive::site::Site;
use archive::{Access, Archive, Timestamp, connect};
use bytes::{BufMut, BytesMut};
use engine::quoted;
use engine::{self, Connection, Database, Kind, Server, ValueRef};
use handover::{Handover, Progress};
use lake::{LakeTable, Staged};
use model::{BatchId, EventId, ObjectId, ProgrammeId};
use postgres::types::{IsNull, Type};
use stage::metadata::unpacked_cards;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

/// Numbers of the moved rows, which were found equal afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Tables.
    pub tables: u64,
    /// Their rows.
    pub rows: u64,
    /// Rows of lake tables: detections.
    pub detections: u64,
    /// True when an earlier, interrupted move had copied everything: only the remaining steps were done now.
    pub was_copied: bool,
}

/// Moves the archive of a site into an empty database. Repeated after an interruption, it does the remaining steps.
///
/// # Errors
/// [`ArchiveError`]; a conflict when the database holds an archive with contents, or the archive has moved to another
/// place.
pub fn to_server(
    site: &Site,
    database: &Database,
    now: Timestamp,
    _: &Alone,
) -> Result<Moved, ArchiveError> {
    let target = site.clone().on(database.clone());
    if !site.is_embedded() {
        return Err(conflict("the archive is on a server already"));
    }
    // Both are migrated to this program's schema.
    let handover = match Archive::open_alone(site, now) {
        Ok(_) => Handover::begin(site, &target, now),
        Err(error) if error.is_moved() => return handover::resume(site, &target, now),
        Err(error) => return Err(error),
    };
    match Archive::create_alone(&target, now) {
        Ok(_) => {}
        Err(error) if error.is_conflict() => match handover::progress(&target)? {
            Progress::Nothing | Progress::Blank => {}
            Progress::Copied => empty(&target).map_err(ArchiveError::during(ACT))?,
            Progress::InUse => return Err(taken(&target)),
        },
        Err(error) => return Err(error),
    }
    run(site, &target, &handover).map_err(ArchiveError::during(ACT))
}

const ACT: &str = "move the archive";

/// Checks that a site keeps no archive that blocks a move to a database, including a move that was interrupted.
///
/// # Errors
/// A conflict when the archive moves into the site and an earlier one is kept there.
pub fn check_site(site: &Site, database: &Database) -> Result<(), ArchiveError> {
    if database.url.is_none() { to_embedded::check_free(site) } else { Ok(()) }
}

/// Checks that the archive of a site may move to a database: it holds no other archive.
///
/// # Errors
/// [`ArchiveError`]; a conflict when it holds one that is in use.
pub fn check_target(site: &Site, database: &Database) -> Result<(), ArchiveError> {
    let target = site.clone().on(database.clone());
    if target.lacks_database() {
        return Ok(());
    }
    let is_made = || -> Result<bool, ArchiveFault> {
        Ok(migration_number(&connect(&target, Access::Read)?)? > 0)
    };
    if !is_made().map_err(ArchiveError::during(ACT))? {
        return Ok(());
    }
    match handover::progress(&target)? {
        Progress::Nothing | Progress::Blank | Progress::Copied => Ok(()),
        Progress::InUse => Err(taken(&target)),
    }
}

fn taken(target: &Site) -> ArchiveError {
    conflict(&format!("{} holds an archive already", target.location()))
}

/// Drops the partitions of a copy that was not confirmed; its other tables are emptied when they are filled.
fn empty(target: &Site) -> Result<(), ArchiveFault> {
    let to = connect(target, Access::Write)?;
    let tx = to.begin(Kind::Move)?;
    for table in target.lake_tables() {
        let mut select = tx.prepare(
            "SELECT relname::text FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
                 AND relname ~ ?1",
        )?;
        let names = select.query_map([partitions::partition_pattern(table)], |r| r.get(0))?;
        let names: Vec<String> = names.collect::<engine::Result<_>>()?;
        drop(select);
        for name in names {
            tx.execute_batch(&format!("DROP TABLE {}", quoted(&name)))?;
        }
    }
    Ok(tx.commit()?)
}

fn conflict(message: &str) -> ArchiveError {
    let fault = ArchiveFault::Conflict(message.to_owned());
    ArchiveError { act: "move the archive".to_owned(), fault }
}

fn run(site: &Site, target: &Site, handover: &Handover) -> Result<Moved, ArchiveFault> {
    let from = connect(site, Access::Write)?;
    let to = connect(target, Access::Write)?;
    let (Some(sqlite), Some(server)) = (from.sqlite(), to.server()) else {
        return Err(ArchiveFault::Damaged("the database is not of the expected engine".to_owned()));
    };
    let held = from.begin(Kind::Write)?; // no process writes while it is read
    let mut moved = Moved::default();
    let mut parts = Vec::new();
    for table in site.lake_tables() {
        parts.extend(self::parts(&held, site, table)?);
    }
    for part in &parts {
        moved.detections += load_part(server, site, part)?;
    }
    files::crash_point("migrate:loaded");
    let tx = to.begin(Kind::Move)?;
    tx.defer_foreign_keys()?;
    for part in &parts {
        let name = part.partition();
        partitions::attach(&tx, part.table, &name, part.programme, part.first, part.rows)?;
    }
    let tables = tables(&held)?;
    // Empty files, so that the rows are stored in the order in which they are sent.
    let names: Vec<String> = tables.iter().map(|table| quoted(table)).collect();
    tx.execute_batch(&format!("TRUNCATE {}", names.join(", ")))?;
    for table in &tables {
        moved.rows += copy_table(sqlite, server, table, &parts)?;
        moved.tables += 1;
    }
    numbers_go_on(&tx)?;
    handover.copied(tx)?;
    handover.close(held)?;
    handover.open(&to)?;
    Ok(moved)
}

/// A lake file, which becomes a partition.
struct Part {
    table: &'static LakeTable,
    file_id: i64,
    path: PathBuf,
    batch: BatchId,
    programme: ProgrammeId,
    first: ObjectId,
    rows: u64,
    event: EventId,
    /// Number of rows of the same batch before its own.
    before: u64,
}

impl Part {
    fn partition(&self) -> String {
        partitions::partition_name(self.table, self.batch, self.programme)
    }
}

/// Returns the files of a lake table.
fn parts(
    c: &Connection,
    site: &Site,
    table: &'static LakeTable,
) -> Result<Vec<Part>, ArchiveFault> {
    let mut select = c.prepare(&format!(
        "SELECT file_id, path, min({}), sum(i.rows), min(begin_event), max(begin_event), min(programme_id)
         FROM {} AS i JOIN ducklake_data_file ON data_file_id = file_id GROUP BY file_id, path ORDER BY path",
        table.first_id(),
        table.index()
    ))?;
    let rows = select.query_map([], |r| {
        Ok((r.get(0)?, r.get::<String>(1)?, r.id(2)?, r.get(3)?, (r.id(4)?, r.id(5)?), r.id(6)?))
    })?;
    let mut parts = Vec::new();
    let mut before: BTreeMap<BatchId, u64> = BTreeMap::new();
    for row in rows {
        let (file_id, name, first, rows, events, programme): (
            i64,
            String,
            ObjectId,
            u64,
            (EventId, EventId),
            ProgrammeId,
        ) = row?;
        let (Some(batch), true) = (table.batch_of(&name), events.0 == events.1) else {
            return Err(ArchiveFault::Damaged(format!("{name} is not a lake file of one batch")));
        };
        let path = table.directory(&site.lake()).join(&name);
        let until_now = before.entry(batch).or_default();
        parts.push(Part {
            table,
            file_id,
            path,
            batch,
            programme,
            first,
            rows,
            event: events.0,
            before: *until_now,
        });
        *until_now += rows;
    }
    Ok(parts)
}

/// Fills the table of a lake file and compares it with the file.
fn load_part(server: &Server, site: &Site, part: &Part) -> Result<u64, ArchiveFault> {
    let lake = site.lake();
    let staged = [Staged { base: &lake, path: &part.path, offset: 0 }];
    let wanted = Wanted {
        table: part.table,
        batch: part.batch,
        programme_id: part.programme,
        base: part.first.get() - 1,
        event: part.event,
        staged: &staged,
        is_final: true,
    };
    let described = part.path.file_name().map(|n| n.to_string_lossy().into_owned());
    let described = described.unwrap_or_default();
    let described = lake::describe(&site.lake(), part.table, &described, part.programme)?;
    if (described.first_id, described.rows) != (part.first, part.rows) {
        let (path, index) = (part.path.display(), part.table.index());
        let message = format!("{path} does not hold the rows that {index} lists");
        return Err(ArchiveFault::Damaged(message));
    }
    let stop = AtomicBool::new(false);
    let loaded = partitions::load(server, 1, &[wanted], &stop)?;
    let (columns, name) = (partitions::columns_of(part.table), part.partition());
    let select = format!("SELECT {columns} FROM {name} ORDER BY {}", part.table.id());
    let found = server.with_client(|client| Ok(partitions::digest_of(client, &select)))??;
    if found != partitions::digest(&wanted)? {
        return Err(ArchiveFault::Damaged(format!("{name} differs from its lake file")));
    }
    Ok(loaded.iter().map(|l| l.rows).sum())
}

/// Returns the tables of the embedded archive that a server has too, those first to which others refer.
fn tables(c: &Connection) -> Result<Vec<String>, ArchiveFault> {
    let mut select = c.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'ducklake%' AND name NOT LIKE 'sqlite%'
             AND name NOT IN ('migration', 'lake_file', 'relocation', 'writer_lock') ORDER BY name LIKE '%\\_all' ESCAPE '\\', rowid",
    )?;
    Ok(select.query_map([], |r| r.get(0))?.collect::<engine::Result<_>>()?)
}

/// Copies all rows of a table, and reads them back.
fn copy_table(
    sqlite: &rusqlite::Connection,
    server: &Server,
    table: &str,
    parts: &[Part],
) -> Result<u64, ArchiveFault> {
    let columns = columns_of(server, table)?;
    let names: Vec<String> = columns.iter().map(|(name, _)| quoted(name)).collect();
    let names = names.join(", ");
    let values: Vec<String> =
        columns.iter().map(|(name, _)| value_of(table, name, parts)).collect();
    let values = values.join(", ");
    let ours = format!("SELECT {values} FROM {} ORDER BY rowid", quoted(table));
    let mut digest = Digest::default();
    let statement = format!("COPY {} ({names}) FROM STDIN (FORMAT binary)", quoted(table));
    let count = server.with_client(|client| {
        let mut writer = client.copy_in(&statement)?;
        match write_rows(sqlite, table, &columns, &ours, &mut digest, &mut writer) {
            Ok(count) => writer.finish().map(|_| Ok(count)),
            Err(fault) => Ok(Err(fault)), // the writer that is dropped takes the rows back
        }
    })??;
    // In the order in which they were sent: no other process writes there.
    server.with_client(|client| client.batch_execute("SET LOCAL synchronize_seqscans = off"))?;
    let select = format!("SELECT {names} FROM {}", quoted(table));
    let found = server.with_client(|client| Ok(partitions::digest_of(client, &select)))??;
    if found != digest.value() {
        return Err(ArchiveFault::Damaged(format!(
            "{table} on the server differs from the embedded one"
        )));
    }
    Ok(count)
}

/// Writes the selected rows of archive.db in the binary form of COPY, and returns their number.
fn write_rows(
    sqlite: &rusqlite::Connection,
    table: &str,
    columns: &[(String, Type)],
    select: &str,
    digest: &mut Digest,
    writer: &mut impl Write,
) -> Result<u64, ArchiveFault> {
    let mut select = sqlite.prepare(select)?;
    let mut rows = select.query([])?;
    let mut out = BytesMut::from(&b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0"[..]);
    let mut count = 0;
    while let Some(row) = rows.next()? {
        out.put_i16(i16::try_from(columns.len()).unwrap_or(i16::MAX));
        for (at, (name, kind)) in columns.iter().enumerate() {
            write_cell(&mut out, (table, name), kind, row.get_ref(at)?)?;
        }
        count += 1;
        if out.len() > 1 << 20 {
            flush(&mut out, digest, writer)?;
        }
    }
    out.put_i16(-1);
    flush(&mut out, digest, writer)?;
    Ok(count)
}

fn flush(
    out: &mut BytesMut,
    digest: &mut Digest,
    writer: &mut impl Write,
) -> Result<(), ArchiveFault> {
    digest.add(out);
    writer.write_all(out).map_err(ArchiveFault::Cut)?;
    out.clear();
    Ok(())
}

/// Returns the expression selected for a column of the server: the column itself, except that row ranges are located by
/// batch and position there, not by file.
fn value_of(table: &str, column: &str, parts: &[Part]) -> String {
    let parts: Vec<&Part> = parts.iter().filter(|part| part.table.index() == table).collect();
    let by_file = |value: &dyn Fn(&Part) -> String| -> String {
        parts.iter().map(|part| format!(" WHEN {} THEN {}", part.file_id, value(part))).collect()
    };
    match column {
        _ if parts.is_empty() => quoted(column),
        "file_id" => {
            format!("CASE file_id{} END", by_file(&|part| part.batch.to_string()))
        }
        "file_row" => {
            format!("file_row + CASE file_id{} END", by_file(&|part| part.before.to_string()))
        }
        _ => quoted(column),
    }
}

/// Writes a value in the server's form: cards unpacked.
fn write_cell(
    out: &mut BytesMut,
    (table, column): (&str, &str),
    kind: &Type,
    value: ValueRef<'_>,
) -> Result<(), ArchiveFault> {
    let cards = match value {
        ValueRef::Blob(packed) if (table.trim_end_matches("_all"), column) == PACKED => {
            unpacked_cards(packed)
        }
        _ => None,
    };
    let value = cards.as_deref().map_or(value, ValueRef::Blob);
    let at = out.len();
    out.put_i32(-1);
    let written = engine::write_value(value, kind, out);
    let fault = |e: String| ArchiveFault::Damaged(format!("{table}.{column}: {e}"));
    if let IsNull::No = written.map_err(|e| fault(e.to_string()))? {
        let length = i32::try_from(out.len() - at - 4).map_err(|e| fault(e.to_string()))?;
        out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

/// Returns names and types of a table's columns on the server.
fn columns_of(server: &Server, table: &str) -> Result<Vec<(String, Type)>, ArchiveFault> {
    let rows = server.with_client(|client| {
        client.query(
            "SELECT attname::text, atttypid FROM pg_attribute
             WHERE attrelid = to_regclass(quote_ident($1)) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            &[&table],
        )
    })?;
    rows.iter()
        .map(|row| {
            let (name, oid): (String, u32) = (row.get(0), row.get(1));
            let kind = Type::from_oid(oid);
            let fault = || ArchiveFault::Damaged(format!("{table}.{name} has a type of its own"));
            Ok((name.clone(), kind.ok_or_else(fault)?))
        })
        .collect()
}

/// Sets the server's own sequences to continue after the highest number.
fn numbers_go_on(tx: &Connection) -> Result<(), ArchiveFault> {
    let mut select = tx.prepare(
        "SELECT c.relname, a.attname FROM pg_class AS c JOIN pg_attribute AS a ON attrelid = c.oid
         WHERE relnamespace = current_schema()::regnamespace AND attidentity <> ''",
    )?;
    let columns: Vec<(String, String)> =
        select.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?.collect::<engine::Result<_>>()?;
    for (table, column) in columns {
        tx.execute_batch(&format!(
            "SELECT setval(pg_get_serial_sequence({}, {}), greatest((SELECT max({}) FROM {}), 1))",
            engine::text(&table),
            engine::text(&column),
            quoted(&column),
            quoted(&table)
        ))?;
    }
    Ok(())
}
