//! Backup and restore of an archive on a server.
//!
//! One snapshot is shared by pg_dump, which dumps everything but the partitions of lake tables, and by a COPY in the
//! binary form for each lake table, batch and programme whose rows are not in the backup yet: such rows never change. PostgreSQL's
//! own pg_restore and psql, which find the password in their environment, restore all of it in one transaction.

use super::ledger::{HeldTable, Ledger, Listed, Rows};
use super::{BackupReport, Wanted, after_restore_sql, at, is_there, remove};
use archive::error::ArchiveFault;
use archive::unfinished::LastEvent;
use archive::{Timestamp, partitions};
use engine::quoted;
use engine::{Address, Connection, Kind, Server};
use lake::{self, LakeError, LakeTable};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Directory of the rows of lake tables in the backup.
const DETECTIONS: &str = "detections";

/// Updates the backup of a server's database.
pub(super) fn back_up(
    address: &Address,
    lake_tables: &[LakeTable],
    target: &Path,
) -> Result<BackupReport, ArchiveFault> {
    let place = target.join(DETECTIONS);
    files::create_dir(&place).map_err(at(&place))?;
    let c = Connection::Postgres(Server::connect(address)?);
    let view = c.begin(Kind::Read)?;
    let snapshot: String = view.query_row("SELECT pg_export_snapshot()", [], |r| r.get(0))?;
    let last_event = LastEvent::of(&view)?;
    let columns = columns(&view, lake_tables)?;
    let earlier = earlier(&view, target, &columns)?;
    let dump = dump(address, lake_tables, target, &snapshot)?;
    files::crash_point("backup:dumped");
    let mut report = BackupReport { bytes: dump.bytes, ..BackupReport::default() };
    let mut ledger = Ledger::new(address.to_string(), last_event, dump);
    for (table, unit, rows) in batches(&view, lake_tables)? {
        let name = name_of(table, unit, &rows);
        match due(&view, target, &earlier, (table, &name, &rows))? {
            Due::Kept(known) => {
                report.kept += 1;
                ledger.detections.push(known);
                continue;
            }
            Due::Damaged => {
                report.damaged.push(name);
                continue;
            }
            Due::Copied => {}
        }
        let names = columns.get(table.name()).map_or(&[][..], Vec::as_slice);
        let copied = copy_out(&view, &target.join(&name), (table, names), &rows)?;
        report.copied += 1;
        report.bytes += copied.0;
        ledger.detections.push(Listed { name, bytes: copied.0, xxh64: copied.1, rows: Some(rows) });
        files::crash_point("backup:copied");
    }
    for table in lake_tables {
        let held = partitions::partitions(&view, table)?.into_iter().filter(|p| p.is_published);
        ledger.tables.extend(held.map(|p| HeldTable {
            name: p.name,
            rows: Rows {
                table: table.name().to_owned(),
                programme_id: p.programme_id,
                first_obj_id: p.first_obj_id,
                last_obj_id: p.last_obj_id,
            },
        }));
    }
    ledger.columns = columns;
    ledger.write(target)?;
    files::crash_point("backup:written");
    for entry in std::fs::read_dir(target).map_err(at(target))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".dump") && name != ledger.database.name {
            remove(&entry.path())?;
        }
    }
    Ok(report)
}

/// Returns the report that [`back_up`] would make, without the bytes of what is not written yet. pg_dump dumps one empty
/// definition, which shows that it exists and can dump this server.
pub(super) fn prospect(
    address: &Address,
    lake_tables: &[LakeTable],
    target: &Path,
) -> Result<BackupReport, ArchiveFault> {
    let mut probe = tool("pg_dump", address);
    probe.args(["--schema-only", "--table=migration"]);
    output_of(probe, "pg_dump")?;
    let c = Connection::Postgres(Server::connect(address)?);
    let view = c.begin(Kind::Read)?;
    let earlier = earlier(&view, target, &columns(&view, lake_tables)?)?;
    let mut report = BackupReport::default();
    for (table, unit, rows) in batches(&view, lake_tables)? {
        let name = name_of(table, unit, &rows);
        match due(&view, target, &earlier, (table, &name, &rows))? {
            Due::Kept(_) => report.kept += 1,
            Due::Damaged => report.damaged.push(name),
            Due::Copied => report.copied += 1,
        }
    }
    Ok(report)
}

/// The columns of lake tables, by table.
type Columns = BTreeMap<String, Vec<String>>;

/// Returns the columns that the lake tables have in the archive.
fn columns(view: &Connection, lake_tables: &[LakeTable]) -> Result<Columns, ArchiveFault> {
    let columns = lake_tables
        .iter()
        .map(|table| Ok((table.name().to_owned(), partitions::columns(view, table)?)));
    columns.collect()
}

/// Returns the files of the backup in a directory, if it is an earlier one of this archive.
fn earlier(
    view: &Connection,
    target: &Path,
    columns: &Columns,
) -> Result<Vec<Listed>, ArchiveFault> {
    Ok(match Ledger::read(target)? {
        Some(earlier) if earlier.columns == *columns && earlier.last_event.is_in(view)? => {
            earlier.detections
        }
        _ => Vec::new(),
    })
}

fn name_of(table: &LakeTable, unit: i64, rows: &Rows) -> String {
    format!("{DETECTIONS}/{}{unit}-p{}.copy", table.layout().file_prefix, rows.programme_id)
}

/// The treatment of the rows of a batch in a backup.
enum Due {
    /// The backup has them already.
    Kept(Listed),
    /// They are written.
    Copied,
    /// They differ from the published ones.
    Damaged,
}

/// Decides what a backup does about the rows of a batch, whose file has a name.
fn due(
    view: &Connection,
    target: &Path,
    earlier: &[Listed],
    (table, name, rows): (&LakeTable, &str, &Rows),
) -> Result<Due, ArchiveFault> {
    let known = earlier.iter().find(|f| f.name == name && f.rows.as_ref() == Some(rows));
    if let Some(known) = known
        && is_there(&target.join(name), (known.bytes, Some(&known.xxh64)))?
    {
        return Ok(Due::Kept(known.clone()));
    }
    let counted: i64 = view.query_row(
        &format!(
            "SELECT count(*) FROM {} WHERE programme_id = ?1 AND {} BETWEEN ?2 AND ?3",
            partitions::root_name(table),
            table.id()
        ),
        [rows.programme_id.into(), rows.first_obj_id.get(), rows.last_obj_id.get()],
        |r| r.get(0),
    )?;
    let is_whole = counted == rows.last_obj_id.get() - rows.first_obj_id.get() + 1;
    Ok(if is_whole { Due::Copied } else { Due::Damaged })
}

/// Returns batches with the ids of their rows, per lake table and programme; those that were purged have none. On a server the
/// `file_id` of a range is its batch.
fn batches<'t>(
    c: &Connection,
    lake_tables: &'t [LakeTable],
) -> Result<Vec<(&'t LakeTable, i64, Rows)>, ArchiveFault> {
    let mut batches = Vec::new();
    for table in lake_tables {
        let mut select = c.prepare(&format!(
            "SELECT file_id, programme_id, min({first_id}), max({first_id} + rows - 1) FROM {}
             GROUP BY file_id, programme_id ORDER BY programme_id, min({first_id})",
            table.index(),
            first_id = table.first_id()
        ))?;
        let rows = select.query_map([], |r| {
            let rows = Rows {
                table: table.name().to_owned(),
                programme_id: r.id(1)?,
                first_obj_id: r.id(2)?,
                last_obj_id: r.id(3)?,
            };
            Ok((table, r.get(0)?, rows))
        })?;
        for row in rows {
            batches.push(row?);
        }
    }
    Ok(batches)
}

/// Dumps the contents of a snapshot, without the partitions of lake tables, under a separate name.
fn dump(
    address: &Address,
    lake_tables: &[LakeTable],
    target: &Path,
    snapshot: &str,
) -> Result<Listed, ArchiveFault> {
    let unfinished = target.join(".publishing-archive.dump");
    remove(&unfinished)?;
    let mut command = tool("pg_dump", address);
    command.args(["--format=custom", "--no-owner", "--no-privileges", "--snapshot", snapshot]);
    for table in lake_tables {
        let partitions = format!("{}_[bf][0-9]*_p[0-9]*", table.name());
        command.args(["--exclude-table", &partitions]);
    }
    command.arg("--file").arg(&unfinished);
    output_of(command, "pg_dump")?;
    let file = std::fs::File::open(&unfinished).map_err(at(&unfinished))?;
    file.sync_all().map_err(at(&unfinished))?;
    let bytes = file.metadata().map_err(at(&unfinished))?.len();
    let xxh64 = lake::xxhash64(file).map_err(at(&unfinished))?;
    let name = format!("archive-{xxh64}.dump");
    std::fs::rename(&unfinished, target.join(&name)).map_err(at(target))?;
    files::sync_dir(target).map_err(at(target))?;
    Ok(Listed { name, bytes, xxh64, rows: None })
}

/// Writes some rows into a file and returns its length and sum.
fn copy_out(
    c: &Connection,
    to: &Path,
    (table, columns): (&LakeTable, &[String]),
    rows: &Rows,
) -> Result<(u64, String), ArchiveFault> {
    let Some(server) = c.server() else {
        return Err(ArchiveFault::Damaged("the database is not of the expected engine".to_owned()));
    };
    let copy = format!(
        "COPY (SELECT {} FROM {} WHERE programme_id = {} AND {id} BETWEEN {} AND {}
             ORDER BY {id}) TO STDOUT (FORMAT binary)",
        list(columns),
        partitions::root_name(table),
        rows.programme_id,
        rows.first_obj_id,
        rows.last_obj_id,
        id = table.id()
    );
    server.with_client(|client| {
        let mut reader = client.copy_out(&copy)?;
        Ok(files::publish(to, |file| -> Result<(u64, String), LakeError> {
            let mut summed = lake::Summed::new(&*file);
            let bytes = std::io::copy(&mut reader, &mut summed).map_err(LakeError::io(to))?;
            Ok((bytes, summed.finish()))
        })
        .map_err(ArchiveFault::from))
    })?
}

fn list(columns: &[String]) -> String {
    let quoted: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
    quoted.join(", ")
}

/// Restores a backup into a database without an archive, wholly or not at all.
pub(super) fn bring_back(
    address: &Address,
    lake_tables: &[LakeTable],
    (backup, ledger): (&Path, &Ledger),
    now: Timestamp,
) -> Result<BackupReport, ArchiveFault> {
    let c = Connection::Postgres(Server::connect(address)?);
    let (is_taken, schema): (bool, String) = c.query_row(
        "SELECT to_regclass('migration') IS NOT NULL, current_schema()::text",
        [],
        |r| Ok((r.get(0)?, r.get(1)?)),
    )?;
    if is_taken {
        return Err(ArchiveFault::Conflict(format!("{address} holds an archive already")));
    }
    let report = counted(backup, ledger)?;
    let dump = backup.join(&ledger.database.name);
    let after = partitions_sql(lake_tables, (backup, ledger), &schema)? + &after_restore_sql(now);
    restore(address, &dump, &after)?;
    Ok(report)
}

/// Checks and counts the files of a backup.
pub(super) fn counted(backup: &Path, ledger: &Ledger) -> Result<BackupReport, ArchiveFault> {
    let mut report = BackupReport::default();
    for file in ledger.detections.iter().chain([&ledger.database]) {
        check_file(backup, file)?;
        report.copied += 1;
        report.bytes += file.bytes;
    }
    Ok(report)
}

/// Checks that a file of a backup is the one that was written.
fn check_file(backup: &Path, file: &Listed) -> Result<(), ArchiveFault> {
    let wanted: Wanted<'_> = (file.bytes, Some(&file.xxh64));
    if is_there(&backup.join(&file.name), wanted)? {
        return Ok(());
    }
    let message = format!("{} is missing, or differs from the file that was written", file.name);
    Err(ArchiveFault::Backup(message))
}

/// Checks that this program knows the schema of the archive in a dump, and that the programs that restore it exist.
///
/// # Errors
/// [`ArchiveFault::EarlierSchema`] or [`ArchiveFault::NewerSchema`]; [`ArchiveFault::Backup`] for a damaged dump; the fault of
/// a program that is missing.
pub(super) fn check_dump(backup: &Path, ledger: &Ledger) -> Result<(), ArchiveFault> {
    check_file(backup, &ledger.database)?;
    let mut pg_restore = Command::new("pg_restore");
    pg_restore.args(["--data-only", "--table=migration", "--file=-"]);
    pg_restore.arg(backup.join(&ledger.database.name)).stdin(Stdio::null());
    let rows = output_of(pg_restore, "pg_restore")?;
    let Some(applied) = migrations(&String::from_utf8_lossy(&rows)) else {
        let message = format!("{} has no migrations of an archive", ledger.database.name);
        return Err(ArchiveFault::Backup(message));
    };
    archive::migrations::check_applied(&applied)?;
    let mut psql = Command::new("psql");
    psql.arg("--version").stdin(Stdio::null());
    output_of(psql, "psql").map(drop)
}

/// Returns the rows of the table of migrations from the COPY statement of a dump, by number and name.
fn migrations(script: &str) -> Option<Vec<(u32, String)>> {
    let mut lines = script.lines().skip_while(|line| !line.starts_with("COPY "));
    let columns = lines.next()?.split_once('(')?.1.split_once(')')?.0;
    let place = |name: &str| columns.split(", ").position(|column| column == name);
    let (number, name) = (place("number")?, place("name")?);
    let row = |line: &str| {
        let values: Vec<&str> = line.split('\t').collect();
        Some((values.get(number)?.parse().ok()?, (*values.get(name)?).to_owned()))
    };
    let mut rows = lines.take_while(|line| *line != "\\.").map(row).collect::<Option<Vec<_>>>()?;
    rows.sort();
    Some(rows)
}

/// Returns the SQL that psql runs after the dump: makes, fills and attaches the partitions.
fn partitions_sql(
    lake_tables: &[LakeTable],
    (backup, ledger): (&Path, &Ledger),
    schema: &str,
) -> Result<String, ArchiveFault> {
    let mut sql =
        format!("SET search_path = {};\n{};\n", quoted(schema), partitions::STEADY_READERS);
    for HeldTable { name, rows } in &ledger.tables {
        let known = lake_tables.iter().find(|table| table.name() == rows.table);
        let (Some(table), Some(columns)) = (known, ledger.columns.get(&rows.table)) else {
            let message = format!("this program has no lake table {}", rows.table);
            return Err(ArchiveFault::Backup(message));
        };
        let columns = list(columns);
        let of_it = |file: &&Listed| {
            file.rows.as_ref().is_some_and(|r| {
                (&r.table, r.programme_id) == (&rows.table, rows.programme_id)
                    && (rows.first_obj_id..=rows.last_obj_id).contains(&r.first_obj_id)
            })
        };
        let bounds = (rows.first_obj_id, rows.last_obj_id);
        let _ =
            writeln!(sql, "{};", partitions::create_sql(table, name, rows.programme_id, bounds));
        for file in ledger.detections.iter().filter(of_it) {
            let path = std::path::absolute(backup.join(&file.name)).map_err(at(backup))?;
            let path = path.to_string_lossy().replace('\'', "''");
            let _ =
                writeln!(sql, "\\copy {name} ({columns}) FROM '{path}' (FORMAT binary, FREEZE)");
        }
        let keys = partitions::keys_sql(table, name, rows.programme_id, bounds);
        let attach = partitions::attach_sql(table, name, rows.programme_id, bounds);
        let _ = writeln!(sql, "{keys};\n{attach};");
    }
    Ok(sql)
}

/// Feeds psql with the output of pg_restore for a dump, then with `after`, in one transaction. When any of the
/// processes ends early, including this one, psql sees no COMMIT.
fn restore(address: &Address, dump: &Path, after: &str) -> Result<(), ArchiveFault> {
    let mut pg_restore = tool("pg_restore", address);
    pg_restore.args(["--no-owner", "--no-privileges", "--file=-"]).arg(dump);
    let mut pg_restore = Running(
        pg_restore
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(missing("pg_restore"))?,
    );
    let mut psql = tool("psql", address);
    psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file=-"]);
    let mut psql = Running(
        psql.stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(missing("psql"))?,
    );
    let mut feed = || -> std::io::Result<()> {
        let mut into = psql.0.stdin.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
        let mut from = pg_restore.0.stdout.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
        into.write_all(b"BEGIN ISOLATION LEVEL READ COMMITTED;\n")?;
        std::io::copy(&mut from, &mut into)?;
        if !pg_restore.0.wait()?.success() {
            return Ok(()); // no COMMIT
        }
        into.write_all(after.as_bytes())?;
        files::crash_point("restore:before-commit");
        into.write_all(b"COMMIT;\n")
    };
    let fed = feed();
    let psql = psql.end("psql");
    // After an early stop of psql, pg_restore's complaint of a broken pipe is only the consequence.
    psql.and_then(|()| pg_restore.end("pg_restore"))?;
    fed.map_err(at(dump))
}

/// A program that is stopped when the value is dropped.
struct Running(Child);

impl Running {
    fn end(&mut self, name: &str) -> Result<(), ArchiveFault> {
        let mut said = Vec::new();
        if let Some(mut errors) = self.0.stderr.take() {
            let _ = std::io::Read::read_to_end(&mut errors, &mut said);
        }
        let status = self.0.wait().map_err(at(Path::new(name)))?;
        if status.success() { Ok(()) } else { Err(failed(name, &said)) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns a command for one of PostgreSQL's own programs, for a database.
fn tool(program: &str, address: &Address) -> Command {
    let mut command = Command::new(program);
    command.envs(address.environment()).env("PGOPTIONS", "-c client_min_messages=warning");
    command.stdin(Stdio::null());
    command
}

/// Runs a program to its end and returns what it wrote.
fn output_of(mut command: Command, program: &str) -> Result<Vec<u8>, ArchiveFault> {
    let out = command.output().map_err(missing(program))?;
    if out.status.success() { Ok(out.stdout) } else { Err(failed(program, &out.stderr)) }
}

fn missing(program: &str) -> impl Fn(std::io::Error) -> ArchiveFault {
    let path = PathBuf::from(format!("{program} (of PostgreSQL's client programs)"));
    move |source| ArchiveFault::Io { path: path.clone(), source }
}

fn failed(program: &str, said: &[u8]) -> ArchiveFault {
    let said = String::from_utf8_lossy(said).lines().next().unwrap_or_default().to_owned();
    ArchiveFault::Program { program: program.to_owned(), said }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_in_a_dump() {
        let script = "SET x;\nCOPY public.migration (number, name, applied) FROM stdin;\n2\tmore\tt\n1\tbaseline\tt\n\\.\n\n--\n";
        let found = migrations(script).expect("rows");
        assert_eq!(found, [(1, "baseline".to_owned()), (2, "more".to_owned())]);
        assert_eq!(migrations("--\n-- PostgreSQL database dump\n--\n"), None);
    }
}
