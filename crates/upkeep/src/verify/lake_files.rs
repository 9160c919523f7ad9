//! The lake: snapshots, inlined rows and files that no event made; files that are missing or changed.

use super::disk::length;
use super::{Options, Report, VerifyFinding};
use archive::error::ArchiveFault;
use archive::site::Site;
use engine::quoted;
use lake::{LakeRowRange, LakeTable, RangeKey};
use model::{BatchId, ProgrammeId, one_line};
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeSet;
use std::path::Path;

/// Checks that everything in the lake's catalogue was made by an event of the archive.
pub(super) fn catalogue(
    c: &Connection,
    tables: &[LakeTable],
    report: &mut Report,
) -> Result<(), ArchiveFault> {
    snapshots(c, tables, report)?;
    inlined(c, report)?;
    let indexed: Vec<String> =
        tables.iter().map(|table| format!("SELECT file_id FROM {}", table.index())).collect();
    let indexed = indexed.join(" UNION ALL ");
    let mut select = c.prepare(&format!(
        "SELECT DISTINCT path FROM ducklake_data_file
         WHERE data_file_id NOT IN ({indexed})
             AND path NOT IN (SELECT f.path FROM ducklake_data_file AS f
                              JOIN ({indexed}) AS ranges ON ranges.file_id = f.data_file_id)
         ORDER BY path",
    ))?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        report.findings.push(VerifyFinding::LakeFileWithoutEvent { name: row.get(0)? });
    }
    Ok(())
}

/// Checks that snapshots change rows for an existing event, or only the schema.
fn snapshots(
    c: &Connection,
    tables: &[LakeTable],
    report: &mut Report,
) -> Result<(), ArchiveFault> {
    let mut schema_changes = vec![r#"created_schema:"main""#.to_owned()];
    for table in tables {
        schema_changes.extend([lake::creation(table), lake::alteration(table)]);
    }
    let mut select = c.prepare(
        "SELECT snapshot_id, ifnull(changes_made, ''), commit_extra_info
         FROM ducklake_snapshot LEFT JOIN ducklake_snapshot_changes USING (snapshot_id) ORDER BY snapshot_id",
    )?;
    let mut rows = select.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        let (snapshot_id, changes): (i64, String) = (row.get(0)?, row.get(1)?);
        let extra: Option<String> = row.get(2)?;
        let event = extra
            .and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok())
            .and_then(|extra| extra.get("event")?.as_i64());
        let made = match event {
            Some(event) => c
                .prepare_cached("SELECT event_id FROM event WHERE event_id = ?1")?
                .query_row([event], |r| r.get::<_, i64>(0))
                .optional()?
                .is_some(),
            // Schema changes are made when the archive is opened, not by an event, and never add rows.
            None => schema_changes.contains(&changes),
        };
        if !made {
            report.findings.push(VerifyFinding::SnapshotWithoutEvent { snapshot_id, changes });
        }
    }
    report.note("snapshots of the lake", count);
    Ok(())
}

fn inlined(c: &Connection, report: &mut Report) -> Result<(), ArchiveFault> {
    let mut select = c.prepare("SELECT DISTINCT table_name FROM ducklake_inlined_data_tables")?;
    let registered: Vec<String> = select.query_map([], |r| r.get(0))?.collect::<Result<_, _>>()?;
    let mut select = c.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND (name GLOB 'ducklake_inlined_data_[0-9]*'
             OR name GLOB 'ducklake_inlined_delete_[0-9]*')",
    )?;
    let found: Vec<String> = select.query_map([], |r| r.get(0))?.collect::<Result<_, _>>()?;
    let tables: BTreeSet<String> = registered.into_iter().chain(found).collect();
    for table in tables {
        let any = format!("SELECT EXISTS (SELECT * FROM {})", quoted(&table));
        // A registered table that is absent is as suspicious as one with rows.
        if c.query_row(&any, [], |r| r.get(0)).unwrap_or(true) {
            report.findings.push(VerifyFinding::InlinedRows { table });
        }
    }
    Ok(())
}

struct Listed {
    path: String,
    bytes: u64,
    rows: u64,
    programme_id: Option<i64>,
}

/// Checks that every listed file exists with its length (and the recorded contents), and that there is no other file.
pub(super) fn on_disk(
    c: &Connection,
    site: &Site,
    options: Options,
    report: &mut Report,
) -> Result<(), ArchiveFault> {
    let mut count = 0;
    for table in site.lake_tables() {
        count += files_of(c, (site, table), options, report)?;
    }
    report.note("files of the lake", count);
    Ok(())
}

/// Checks the files of a lake table, and returns their number.
fn files_of(
    c: &Connection,
    (site, table): (&Site, &LakeTable),
    options: Options,
    report: &mut Report,
) -> Result<u64, ArchiveFault> {
    let directory = table.directory(&site.lake());
    let mut select = c.prepare(&format!(
        "SELECT path, max(file_size_bytes), max(record_count), max(programme_id)
         FROM ducklake_data_file LEFT JOIN (SELECT DISTINCT file_id, programme_id FROM {})
             ON file_id = data_file_id
         WHERE table_id IN (?1, ?2)
         GROUP BY path
         UNION ALL
         SELECT path, file_size_bytes, delete_count, NULL FROM ducklake_delete_file WHERE table_id = ?1",
        table.index()
    ))?;
    let rows = select.query_map([table.current_table(), table.lasting_table()], |r| {
        Ok(Listed { path: r.get(0)?, bytes: r.get(1)?, rows: r.get(2)?, programme_id: r.get(3)? })
    })?;
    let mut names = BTreeSet::new();
    for listed in rows {
        let listed = listed?;
        let path = directory.join(&listed.path);
        match length(&path) {
            None => report.findings.push(VerifyFinding::LakeFileMissing { path }),
            Some(found) if found != listed.bytes => {
                report.findings.push(VerifyFinding::LakeFileLength {
                    path,
                    found,
                    wanted: listed.bytes,
                });
            }
            Some(_) if options.reads(&listed.path) && listed.programme_id.is_some() => {
                report.has_read(listed.bytes, options);
                content(c, (site, table), &listed, report)?;
            }
            Some(_) if options.reads(&listed.path) => ended_rows(path, &listed, report),
            Some(_) => {}
        }
        names.insert(listed.path);
    }
    strays(c, (table, &directory), &names, report)?;
    Ok(names.len() as u64)
}

/// Checks a delete file: it has as many positions as are listed, each once.
fn ended_rows(path: std::path::PathBuf, listed: &Listed, report: &mut Report) {
    let message = match lake::read_delete_file(&path) {
        Ok(found) if found.len() as u64 != listed.rows => {
            format!("the file ends {} rows, the lake lists {}", found.len(), listed.rows)
        }
        Ok(found) if !found.is_sorted_by(|a, b| a < b) => "the rows are not in order".to_owned(),
        Ok(_) => return,
        Err(fault) => one_line(&fault),
    };
    report.findings.push(VerifyFinding::LakeFileContent { path, message });
}

/// Compares a data file with its checksum, and its ranges with the index of its table.
fn content(
    c: &Connection,
    (site, table): (&Site, &LakeTable),
    listed: &Listed,
    report: &mut Report,
) -> Result<(), ArchiveFault> {
    let Some(programme_id) = listed.programme_id else { return Ok(()) };
    let path = table.directory(&site.lake()).join(&listed.path);
    let mut differs = |message: String| {
        report.findings.push(VerifyFinding::LakeFileContent { path: path.clone(), message })
    };
    let sum: Option<String> = c
        .prepare_cached("SELECT xxhash64 FROM lake_file WHERE name = ?1")?
        .query_row([&listed.path], |r| r.get(0))
        .optional()?;
    let is = |sum: &str| {
        let found = files::open_regular(&path).ok().and_then(|file| lake::xxhash64(file).ok());
        found.as_deref() == Some(sum)
    };
    if sum.is_some_and(|sum| !is(&sum)) {
        differs("the bytes are not those that were published".to_owned());
        return Ok(());
    }
    let programme_id = match ProgrammeId::try_from(programme_id) {
        Ok(programme_id) => programme_id,
        Err(reason) => {
            differs(reason);
            return Ok(());
        }
    };
    let file = match lake::describe(&site.lake(), table, &listed.path, programme_id) {
        Ok(file) => file,
        Err(fault) => {
            differs(one_line(&fault));
            return Ok(());
        }
    };
    if file.rows != listed.rows {
        differs(format!("the file has {} rows, the lake lists {}", file.rows, listed.rows));
    }
    let (index, key) = (table.index(), table.range_key());
    let mut select = c.prepare_cached(&format!(
        "SELECT file_row, {index}.rows, {}, {} FROM {index} JOIN ducklake_data_file ON data_file_id = file_id
         WHERE path = ?1 ORDER BY file_row",
        table.first_id(),
        key.join(", ")
    ))?;
    let rows = select.query_map([&listed.path], |r| {
        let values: Vec<i64> = (3..3 + key.len()).map(|i| r.get(i)).collect::<Result<_, _>>()?;
        Ok((RangeKey::new(values), r.get(0)?, r.get(1)?, r.get(2)?))
    })?;
    let stored: Vec<(RangeKey, u64, u64, i64)> = rows.collect::<Result<_, _>>()?;
    let first_id = |range: &LakeRowRange| file.first_id.get() + range.first_row.cast_signed();
    let found: Vec<(RangeKey, u64, u64, i64)> = file
        .ranges
        .iter()
        .map(|range| (range.key.clone(), range.first_row, range.rows, first_id(range)))
        .collect();
    if stored != found {
        let (found, stored) = (found.len(), stored.len());
        differs(format!("the file holds {found} ranges of rows, {index} lists {stored}"));
    }
    Ok(())
}

/// Finds files that nothing lists, except those of batches that are not published yet and unfinished publications.
fn strays(
    c: &Connection,
    (table, directory): (&LakeTable, &Path),
    listed: &BTreeSet<String>,
    report: &mut Report,
) -> Result<(), ArchiveFault> {
    let mut select = c.prepare(match table.row_number() {
        None => {
            "SELECT unit_id, programme_id FROM id_range JOIN unit USING (unit_id)
             WHERE lake_table = ?1 AND unit.state = 'staged'"
        }
        Some(_) => {
            "SELECT unit_id, programme_id FROM unit CROSS JOIN programme_counter
             WHERE ?1 <> '' AND unit.state = 'staged'"
        }
    })?;
    let rows = select.query_map([table.name()], |r| Ok((r.get(0)?, r.get(1)?)))?;
    let mut coming = BTreeSet::new();
    for row in rows {
        let (batch, programme): (i64, i64) = row?;
        let batch = BatchId::try_from(batch).map_err(ArchiveFault::Damaged)?;
        let programme = ProgrammeId::try_from(programme).map_err(ArchiveFault::Damaged)?;
        coming.insert(table.file_name(batch, programme));
    }
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            let (path, why) = (directory.to_owned(), error.to_string());
            report.findings.push(VerifyFinding::DirectoryUnreadable { path, why });
            return Ok(());
        }
    };
    let mut strays: Vec<_> = entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            !listed.contains(&name) && !coming.contains(&name) && !files::is_temporary(&name)
        })
        .map(|entry| entry.path())
        .collect();
    strays.sort();
    report.findings.extend(strays.into_iter().map(|path| VerifyFinding::LakeFileStray { path }));
    Ok(())
}
