//! One damaged archive per kind of finding: each damage is found, with its code, and nothing else is.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../archive/tests/control_conformance/staging.rs"]
mod staging;

use archive::{Archive, Reader, Site};
use model::UseCase;
use rusqlite::Connection;
use staging::*;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use upkeep::verify::{Options, verify};

/// A night of two frames in the archive: library, previews and lake complete, a second content of one frame, and a
/// round that failed.
fn whole_site(root: &Path) -> Site {
    let (site, mut archive) = new_site(root);
    deliver(&site, &mut archive, &night(2));
    publish_all(&mut archive, &|_| true);
    deliver(&site, &mut archive, &[arrival("w00001.fit", "newer image")]);
    publish_all(&mut archive, &|i| i.multiframe_id.get() == 3);
    site
}

fn deliver(site: &Site, archive: &mut Archive, files: &[archive::registration::Arrival]) {
    std::fs::create_dir_all(site.library().join(NIGHT)).unwrap();
    for file in files {
        let text = match file.name.as_str() {
            "w00001.fit" if file.bytes == 11 => "newer image".to_owned(),
            name => {
                let number: u32 = name[1..6].parse().unwrap();
                let kind = if name.contains("_cat") { "catalogue" } else { "image" };
                format!("{kind} {number}")
            }
        };
        std::fs::write(site.library_file(&file.path), text).unwrap();
    }
    record(archive, files);
}

fn publish_all(archive: &mut Archive, wanted: &dyn Fn(&archive::work::ImageWork) -> bool) {
    for use_case in [UseCase::Metadata, UseCase::Preview, UseCase::Catalogue] {
        let unit = open_round(archive, use_case, 1, wanted);
        for started in start_all(archive, &unit) {
            archive.accept_result(&work_off(&started), now()).unwrap();
        }
        let batch = archive.batch(&unit).unwrap();
        let result = batch.tasks[0].result.as_ref().unwrap();
        let rows = result.detectors.iter().map(|d| d.rows).sum();
        let programme_id = model::ProgrammeId::new(7).unwrap();
        let wanted = archive::batches::RowsOfProgramme { programme_id, rows };
        let wanted = if rows > 0 { vec![wanted] } else { Vec::new() };
        let ranges = archive.reserve(&unit, &wanted, now()).unwrap();
        if use_case == UseCase::Preview {
            let home = archive.site().previews().join(NIGHT);
            std::fs::create_dir_all(&home).unwrap();
            for jpeg in result.files.iter().filter(|f| f.table == "jpeg") {
                let from = batch.tasks[0].directory.as_ref().unwrap().join(&jpeg.name);
                std::fs::copy(from, home.join(&jpeg.name)).unwrap();
            }
        }
        let loaded = archive.load(&batch, &ranges).unwrap();
        archive.publish(&batch, loaded, &cause(), now()).unwrap();
    }
}

fn found(site: &Site) -> BTreeSet<&'static str> {
    let archive = Reader::open(site).unwrap();
    let report = verify(&archive, Options { checksums: true, ..Default::default() }).unwrap();
    for finding in &report.findings {
        assert!(!finding.to_string().is_empty() && !finding.repair().is_empty());
    }
    assert!(report.checked().len() >= 9);
    assert_eq!(report.to_json()["findings"].as_array().unwrap().len(), report.findings.len());
    report.findings.iter().map(|f| f.code()).collect()
}

/// How an archive is damaged: by SQL without regard for keys, or on disk.
enum Damage {
    Sql(&'static str),
    Disk(fn(&Site)),
}

fn lake_file(site: &Site) -> std::path::PathBuf {
    let mut files: Vec<_> = std::fs::read_dir(site.lake().join("detection"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.to_string_lossy().contains("programme7"))
        .collect();
    files.sort();
    files[0].clone()
}

const UNGUARDED: &str = "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON;";

use Damage::{Disk, Sql};

/// Damage to tables of the archive, by the code of its finding.
fn damaged_tables() -> Vec<(&'static str, Damage)> {
    vec![
        ("", Sql("SELECT 1")),
        (
            "broken_reference",
            Sql(
                "UPDATE refusal_history SET refusal_id = 1; INSERT INTO refusal_history VALUES (99, 1, 'open', '2026-01-01T00:00:00Z', 'x', 'y')",
            ),
        ),
        ("number_missing", Sql("UPDATE counter SET last = last + 1 WHERE name = 'multiframe'")),
        ("number_beyond_counter", Sql("UPDATE counter SET last = 1 WHERE name = 'event'")),
        (
            "object_ids_unaccounted",
            Sql("UPDATE id_counter SET last_id = last_id + 5 WHERE programme_id = 7"),
        ),
        (
            "object_ids_twice",
            Sql(
                "INSERT INTO id_range SELECT 'detection', 7, 2, 3, unit_id, 'abandoned', 'x' FROM batch WHERE unit_id NOT IN (SELECT unit_id FROM id_range) LIMIT 1",
            ),
        ),
        ("range_state", Sql("UPDATE id_range SET state = 'reserved' WHERE first_id = 1")),
        ("range_rows", Sql("UPDATE detector_rows SET rows = rows - 1 WHERE first_obj_id = 1")),
        (
            "detectors_overlap",
            Sql("UPDATE detector_rows SET rows = rows + 1 WHERE first_obj_id = 1"),
        ),
        (
            "natural_key_twice",
            Sql(
                "INSERT INTO detector_rows (programme_id, first_obj_id, rows, multiframe_id, ext_num, version, file_id, file_row, begin_event) SELECT 9, 1, rows, multiframe_id, ext_num, version, file_id, 999, begin_event FROM detector_rows WHERE first_obj_id = 1",
            ),
        ),
        (
            "multiframe_absent",
            Sql("UPDATE multiframe_all SET end_event = begin_event WHERE multiframe_id = 1"),
        ),
        (
            "superseded_current",
            Sql("UPDATE preview_all SET end_event = NULL WHERE multiframe_id = 2"),
        ),
        (
            "product_not_shown",
            Sql("UPDATE preview_all SET end_event = begin_event WHERE multiframe_id = 1"),
        ),
        ("batch_rows", Sql("DELETE FROM multiframe_detector_all WHERE rowid = 1")),
        ("round_without_event", Sql("UPDATE unit SET state = 'staged' WHERE unit_id = 2")),
    ]
}

/// Damage to files, by the code of its finding.
fn damaged_files() -> Vec<(&'static str, Damage)> {
    vec![
        (
            "library_file_missing",
            Disk(|s| std::fs::remove_file(s.library().join("20071011_v1/w00000.fit")).unwrap()),
        ),
        (
            "library_file_length",
            Disk(|s| std::fs::write(s.library().join("20071011_v1/w00000.fit"), "x").unwrap()),
        ),
        (
            "library_file_content",
            Disk(|s| {
                std::fs::write(s.library().join("20071011_v1/w00000.fit"), "image X").unwrap()
            }),
        ),
        (
            "preview_missing",
            Disk(|s| std::fs::remove_file(s.previews().join("20071011_v1/w00000.jpg")).unwrap()),
        ),
        (
            "preview_length",
            Disk(|s| std::fs::write(s.previews().join("20071011_v1/w00000.jpg"), "x").unwrap()),
        ),
        ("lake_file_missing", Disk(|s| std::fs::remove_file(lake_file(s)).unwrap())),
        ("lake_file_length", Disk(|s| std::fs::write(lake_file(s), "PAR1").unwrap())),
        (
            "lake_file_content",
            Disk(|s| {
                let bytes = std::fs::read(lake_file(s)).unwrap().len();
                std::fs::write(lake_file(s), vec![0; bytes]).unwrap();
            }),
        ),
        (
            "lake_file_stray",
            Disk(|s| std::fs::write(s.lake().join("detection/mine.parquet"), "x").unwrap()),
        ),
    ]
}

/// Damage to DuckLake's own tables, by the code of its finding.
fn damaged_catalogue() -> Vec<(&'static str, Damage)> {
    vec![
        (
            "lake_file_without_event",
            Sql(
                "INSERT INTO ducklake_data_file SELECT 900, 1, begin_snapshot, NULL, NULL, 'foreign.parquet', 1, 'parquet', 1, 1, 1, 0, NULL, NULL, NULL, NULL FROM ducklake_data_file LIMIT 1",
            ),
        ),
        (
            "snapshot_without_event",
            Sql(
                "INSERT INTO ducklake_snapshot SELECT max(snapshot_id) + 1, snapshot_time, schema_version, next_catalog_id, next_file_id FROM ducklake_snapshot; INSERT INTO ducklake_snapshot_changes SELECT max(snapshot_id), 'inserted_into_table:1', 'somebody', NULL, NULL FROM ducklake_snapshot",
            ),
        ),
        (
            "snapshot_without_event",
            Sql(
                "UPDATE ducklake_snapshot_changes SET commit_extra_info = '{\"event\":4711}' WHERE snapshot_id = 2",
            ),
        ),
        (
            "inlined_rows",
            Sql(
                "CREATE TABLE ducklake_inlined_data_1_1 (row_id INTEGER); INSERT INTO ducklake_inlined_data_1_1 VALUES (1)",
            ),
        ),
    ]
}

#[test]
fn every_kind_of_damage_is_found() {
    let cases = [damaged_tables(), damaged_files(), damaged_catalogue()].into_iter().flatten();
    let dir = tempfile::tempdir().unwrap();
    let whole = whole_site(&dir.path().join("whole"));
    for (n, (code, damage)) in cases.enumerate() {
        let root = dir.path().join(format!("damaged-{n}"));
        assert!(
            Command::new("cp").arg("-a").arg(whole.root()).arg(&root).status().unwrap().success()
        );
        let site = Site::open(&root).unwrap();
        match damage {
            Sql(sql) => {
                let connection = Connection::open(site.database()).unwrap();
                connection.execute_batch(UNGUARDED).unwrap();
                connection.execute_batch(sql).unwrap();
            }
            Disk(act) => act(&site),
        }
        let codes = found(&site);
        assert!(
            codes.contains(code) || code.is_empty(),
            "case {n}: {code} was not found in {codes:?}"
        );
        let companions = companions(code);
        let others: Vec<_> =
            codes.iter().filter(|c| **c != code && !companions.contains(c)).collect();
        assert!(others.is_empty(), "case {n}: {code} came with {others:?}");
        std::fs::remove_dir_all(&root).unwrap();
    }
}

/// Lists the findings that a damage implies: a wrong row count is wrong in several ways.
fn companions(code: &str) -> &'static [&'static str] {
    match code {
        "range_rows" => &["batch_rows", "lake_file_content"],
        "detectors_overlap" => &["range_rows", "batch_rows", "lake_file_content"],
        "natural_key_twice" => &["broken_reference", "batch_rows", "lake_file_content"],
        "object_ids_twice" => &["range_state", "broken_reference"],
        "range_state" => &[],
        "multiframe_absent" => &["product_not_shown"],
        "round_without_event" => &["range_state", "number_missing"],
        "lake_file_without_event" => &["lake_file_missing"],
        "number_missing" => &[],
        _ => &[],
    }
}

#[test]
fn many_broken_references_are_one_finding() {
    let dir = tempfile::tempdir().unwrap();
    let site = whole_site(&dir.path().join("site"));
    let connection = Connection::open(site.database()).unwrap();
    connection.execute_batch(UNGUARDED).unwrap();
    connection
        .execute_batch(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
             INSERT INTO refusal_history SELECT 99, i, 'open', '2026-01-01T00:00:00Z', 'x', 'y' FROM n",
        )
        .unwrap();
    drop(connection);
    let archive = Reader::open(&site).unwrap();
    let told: Vec<String> = verify(&archive, Options::default())
        .unwrap()
        .findings
        .iter()
        .map(|f| format!("{}: {f}", f.code()))
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let wanted = "broken_reference: 1000 rows of refusal_history refer to rows that refusal lacks";
    assert!(told[0].starts_with(wanted), "{told:?}");
}

#[test]
fn a_damaged_database_file_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let site = whole_site(&dir.path().join("site"));
    let connection = Connection::open(site.database()).unwrap();
    connection
        .execute_batch(
            "PRAGMA wal_checkpoint(TRUNCATE);
             CREATE TABLE extra (a INTEGER, b INTEGER); INSERT INTO extra VALUES (1, 1), (2, 2), (3, 3);
             CREATE INDEX extra_b ON extra (b);",
        )
        .unwrap();
    // An index that lost an entry: its page is taken from an empty one.
    let page: i64 = connection
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'extra_b'", [], |r| r.get(0))
        .unwrap();
    let page_bytes: i64 = connection.query_row("PRAGMA page_size", [], |r| r.get(0)).unwrap();
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(connection);
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::options().write(true).open(site.database()).unwrap();
    let at = u64::try_from((page - 1) * page_bytes).unwrap();
    file.write_all_at(&[10, 0, 0, 0, 0, 0, 0, 0], at).unwrap(); // a leaf index page with no cells
    drop(file);
    assert!(found(&site).contains("database_damaged"));
}

/// A rehearsal of a repair promises no removal that the repair refuses: beneath a link, nothing is removed.
#[test]
fn a_rehearsed_repair_removes_what_the_repair_removes() {
    let dir = tempfile::tempdir().unwrap();
    let site = whole_site(dir.path());
    let outside = dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("precious.jpg"), "jpeg").unwrap();
    std::os::unix::fs::symlink(&outside, site.previews().join("link")).unwrap();
    std::fs::write(site.previews().join("stray.jpg"), "jpeg").unwrap();
    let path = |name: &str| site.previews().join(name);
    let mut report = upkeep::verify::Report::default();
    for name in ["link/precious.jpg", "stray.jpg"] {
        report.findings.push(upkeep::verify::VerifyFinding::PreviewStray { path: path(name) });
    }
    let repaired = |archive: Result<Archive, archive::ArchiveError>| {
        upkeep::verify::repair(&mut archive.unwrap(), &report, &cause(), now()).unwrap()
    };
    let rehearsed = repaired(Archive::open_rehearsal(&site, now()));
    assert!(path("stray.jpg").exists());
    assert_eq!(
        rehearsed,
        [format!("removed {}, which no event created", path("stray.jpg").display())]
    );
    assert_eq!(repaired(Archive::open(&site, now())), rehearsed);
    assert!(outside.join("precious.jpg").exists() && !path("stray.jpg").exists());
}
