//! The lake as DuckDB sees it, with its own extensions: it must agree with our SQL in everything.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod fixture;

use fixture::Width;
use fixture::duckdb::{Eyes, duckdb};
use fixture::lake::{Archive, event_id, field};
use fixture::query::{query, session};
use lake::DetectorKey;
use rusqlite::types::Value;
use std::path::Path;
use std::process::Command;

/// Our answer in the same shape.
fn ours(site: &Path, sql: &str) -> serde_json::Value {
    let cell = |value: Value| match value {
        Value::Null => serde_json::Value::Null,
        Value::Integer(n) => n.into(),
        Value::Real(x) => x.into(),
        Value::Text(text) => text.into(),
        Value::Blob(_) => panic!("no blobs here"),
    };
    let rows = query(&session(site), sql);
    serde_json::Value::Array(
        rows.into_iter()
            .map(|r| serde_json::Value::Array(r.into_iter().map(cell).collect()))
            .collect(),
    )
}

fn keys(keys: &[(i64, i64)]) -> Vec<DetectorKey> {
    keys.iter().map(|&(multiframe_id, ext_num)| DetectorKey { multiframe_id, ext_num }).collect()
}

/// Four nights; detectors of the first ended, the second ended whole, of the third ended and opened again.
fn grown(dir: &Path) -> Archive {
    let mut archive = Archive::new(dir, Width::Narrow);
    for (i, centre) in
        [(10.0, -20.0), (359.9, 0.0), (200.0, 60.0), (15.0, -20.0)].into_iter().enumerate()
    {
        archive.publish(&field(1 + 5 * i as i64, 4, centre, 700), 1 + i % 2);
    }
    archive.end(&keys(&[(1, 2), (3, 4)]));
    let second: Vec<(i64, i64)> = (6..10).flat_map(|m| (2..6).map(move |e| (m, e))).collect();
    archive.end(&keys(&second));
    archive.end(&keys(&[(11, 2), (11, 3), (12, 2)]));
    let event = archive.event;
    archive.reopen(event, &keys(&[(11, 2), (12, 2)]));
    archive.end(&keys(&[(4, 5)])); // a second delete file for the first night
    archive
}

/// Queries that mean the same to both, with `T` for the table.
fn common_queries() -> Vec<String> {
    let conditions = [
        "1 = 1",
        "obj_id BETWEEN 1000 AND 25000",
        "obj_id IN (1, 1401, 9999, 33000)",
        "multiframe_id = 3",
        "multiframe_id BETWEEN 6 AND 12",
        "ext_num = 4",
        "programme_id = 101",
        "programme_id <> 101",
        "mjd > 54384.258",
        "mjd IS NULL",
        "mjd IS NOT NULL",
        "healpix29 > 1500000000000000000",
        "healpix29 IS NULL",
        "ra < 20",
        "ra IS NULL",
        "ra BETWEEN 359.5 AND 360",
        "dec > 60.1",
        "dec IS NULL",
        "filter_id = 3",
        "filter_id IS NULL",
        "filter_id IN (1, 5)",
        "begin_event = 2",
        "begin_event IS NULL",
        "begin_event >= 3 AND mjd IS NULL",
        "aper_mag3 < 100",
        "aper_mag3 IS NULL",
        "class = -2",
        "quality = 'good'",
    ];
    let mut queries = Vec::new();
    for condition in conditions {
        queries.push(format!(
            "SELECT count(*), min(obj_id), max(obj_id), CAST(sum(obj_id) AS BIGINT), count(ra), max(mjd), min(dec),
             CAST(sum(seq_num) AS BIGINT) FROM T WHERE {condition}"
        ).replace('\n', " "));
    }
    queries.push(
        "SELECT obj_id, multiframe_id, ext_num, seq_num, filter_id, mjd, ra, dec, healpix29, begin_event, class, quality
         FROM T WHERE obj_id % 397 = 5 ORDER BY obj_id".replace('\n', " "),
    );
    queries
}

fn check(site: &Path, mode: &str, eyes: Eyes) -> bool {
    let mut asked = Vec::new();
    for table in ["detection", "detection_all"] {
        for common in common_queries() {
            asked.push((
                common.replace(" T ", &format!(" lk.{table} ")),
                common.replace(" T ", &format!(" {table} ")),
            ));
        }
        let join = format!(
            "SELECT m.file_name, count(*) FROM META.multiframe AS m JOIN LAKE.{table} AS d USING (multiframe_id)
             WHERE d.ext_num = 2 GROUP BY 1 ORDER BY 1"
        ).replace('\n', " ");
        asked.push((
            join.replace("META", "meta").replace("LAKE", "lk"),
            join.replace("META.", "").replace("LAKE.", ""),
        ));
    }
    let theirs: Vec<String> = asked.iter().map(|(theirs, _)| theirs.clone()).collect();
    let Some(answers) = duckdb(site, mode, eyes, &theirs) else { return false };
    assert_eq!(answers.len(), asked.len());
    for ((theirs, sql), answer) in asked.iter().zip(answers) {
        assert_eq!(answer, ours(site, sql), "{theirs}");
    }
    true
}

fn readable_by_all(dir: &Path) {
    let status = Command::new("chmod").args(["-R", "a+rX"]).arg(dir).status().unwrap();
    assert!(status.success());
}

fn root() -> bool {
    rustix::process::getuid().is_root()
}

#[test]
fn foreign_duckdb_agrees_with_our_sql() {
    let dir = tempfile::tempdir().unwrap();
    let archive = grown(dir.path());
    if !check(dir.path(), "stored", Eyes::Ours) {
        return;
    }
    drop(archive);
    check(dir.path(), "stored", Eyes::Ours); // no process has it open now
    let moved = dir.path().join("moved to another place");
    std::fs::create_dir(&moved).unwrap();
    for name in ["archive.db", "archive.db-wal", "archive.db-shm", "lake"] {
        std::fs::rename(dir.path().join(name), moved.join(name)).unwrap();
    }
    check(&moved, "moved", Eyes::Ours);
    let db = rusqlite::Connection::open(moved.join("archive.db")).unwrap();
    lake::keep_wal_files(&db).unwrap();
    assert!(lake::correct_data_path(&db, &moved.join("lake")).unwrap());
    assert!(!lake::correct_data_path(&db, &moved.join("lake")).unwrap());
    drop(db);
    check(&moved, "stored", Eyes::Ours);
}

#[test]
fn foreign_duckdb_travels_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut archive = Archive::new(dir.path(), Width::Narrow);
    let empty = "SELECT count(*) FROM lk.detection".to_owned();
    let Some(answers) = duckdb(dir.path(), "stored", Eyes::Ours, &[empty]) else { return };
    assert_eq!(answers[0], serde_json::json!([[0]]));
    // After each event: snapshot, current rows, all rows.
    let mut states = Vec::new();
    let mut note = |archive: &Archive, snapshot: i64| {
        let rows = |sql: &str| ours(&archive.dir, sql)[0][0].as_i64().unwrap();
        let current = rows("SELECT count(*) FROM detection");
        states.push((
            snapshot,
            current,
            rows("SELECT count(*) FROM detection_all"),
            rows("SELECT coalesce(sum(obj_id), 0) FROM detection"),
        ));
    };
    let night = archive.publish(&field(1, 2, (10.0, 0.0), 300), 1);
    note(&archive, night.snapshot);
    let night = archive.publish(&field(3, 2, (10.0, 0.0), 300), 2);
    note(&archive, night.snapshot);
    let whole: Vec<(i64, i64)> = (1..3).flat_map(|m| (2..6).map(move |e| (m, e))).collect();
    for step in [&whole[..1], &whole[1..3], &whole[3..]] {
        let (rows, snapshot) = archive.end(&keys(step));
        assert_eq!(rows, 300 * step.len() as u64);
        note(&archive, snapshot.unwrap());
    }
    let (rows, snapshot) = archive.end(&keys(&whole)); // twice is once
    assert_eq!((rows, snapshot), (0, None));
    for (event, part) in [(4, &whole[..3]), (5, &whole[3..]), (3, &whole[..])] {
        let (rows, snapshot) = archive.reopen(event, &keys(part));
        assert!(rows > 0);
        note(&archive, snapshot.unwrap());
    }
    let travels: Vec<String> = states
        .iter()
        .map(|(snapshot, ..)| {
            format!(
                "SELECT (SELECT count(*) FROM lk.detection AT (VERSION => {snapshot})),
                 (SELECT count(*) FROM lk.detection_all AT (VERSION => {snapshot})),
                 (SELECT CAST(coalesce(sum(obj_id), 0) AS BIGINT) FROM lk.detection AT (VERSION => {snapshot}))"
            ).replace('\n', " ")
        })
        .collect();
    let answers = duckdb(dir.path(), "stored", Eyes::Ours, &travels).unwrap();
    for (state, answer) in states.iter().zip(answers) {
        assert_eq!(
            answer,
            serde_json::json!([[state.1, state.2, state.3]]),
            "snapshot {}",
            state.0
        );
    }
    let named = "SELECT snapshot_id, commit_message, commit_extra_info FROM meta.ducklake_snapshot_changes ORDER BY 1 LIMIT 1 OFFSET 3";
    let answers = duckdb(dir.path(), "stored", Eyes::Ours, &[named.to_owned()]).unwrap();
    assert_eq!(answers[0], serde_json::json!([[3, "event 2: ingest", "{\"event\":2}"]]));
}

#[test]
fn foreign_reader_of_another_user_attaches_at_rest_and_during_ingest() {
    if !root() {
        testkit::skipped("only root can become another user");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut archive = grown(dir.path());
    readable_by_all(dir.path());
    if !check(dir.path(), "stored", Eyes::Others) {
        return;
    }
    // In the middle of an ingest: a write transaction with registered but uncommitted rows.
    let file = archive.load(&field(50, 2, (30.0, 0.0), 400), 1);
    let tx = archive.connection.transaction().unwrap();
    let mut publication =
        lake::Publication::begin(&tx, &dir.path().join("lake"), event_id(archive.event + 1))
            .unwrap();
    publication.add(lake::detection(), &file, |_| 1).unwrap();
    readable_by_all(dir.path());
    check(dir.path(), "stored", Eyes::Others);
    publication.finish(fixture::lake::now(), "ingest").unwrap();
    tx.commit().unwrap();
    check(dir.path(), "stored", Eyes::Others);
    drop(archive);
    assert!(
        dir.path().join("archive.db-wal").exists() && dir.path().join("archive.db-shm").exists()
    );
    check(dir.path(), "stored", Eyes::Others);
}

#[test]
fn foreign_programs_list_and_count_every_object() {
    let dir = tempfile::tempdir().unwrap();
    let archive = grown(dir.path());
    let mut select = archive
        .connection
        .prepare("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")
        .unwrap();
    let names: Vec<String> =
        select.query_map([], |r| r.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    assert!(names.len() > 30);
    let counts: Vec<String> =
        names.iter().map(|n| format!("SELECT count(*) FROM meta.{n}")).collect();
    let mut queries = counts.clone();
    queries.push("SELECT count(*) FROM duckdb_columns() WHERE database_name = 'lk' AND table_name = 'detection'".to_owned());
    let Some(answers) = duckdb(dir.path(), "stored", Eyes::Ours, &queries) else { return };
    for (name, answer) in names.iter().zip(&answers) {
        let count: i64 = archive
            .connection
            .query_row(&format!("SELECT count(*) FROM {name}"), [], |r| r.get(0))
            .unwrap();
        assert_eq!(answer[0][0], count, "{name}");
    }
    assert_eq!(answers[names.len()][0][0], 16);
    let inlined: i64 = archive
        .connection
        .query_row("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'ducklake_inlined_data_%' AND name <> 'ducklake_inlined_data_tables'", [], |r| r.get(0))
        .unwrap();
    assert_eq!(inlined, 0);
}

#[test]
fn foreign_duckdb_sees_columns_added_later() {
    use lake::{LakeColumn, LakeSchema, LakeType, init};
    let dir = tempfile::tempdir().unwrap();
    let archive = grown(dir.path());
    let lake_dir = archive.lake_dir();
    let mut schema = LakeSchema::from_arrow(&fixture::schema(Width::Narrow)).unwrap();
    schema.columns.push(LakeColumn {
        field_id: lake::FieldId::new(17).unwrap(),
        name: "illum_corr".to_owned(),
        kind: LakeType::Float32,
        nullable: true,
        comment: "Illumination correction. [mag]".to_owned(),
    });
    init(&archive.connection, &lake_dir, lake::detection(), &schema, fixture::lake::now()).unwrap();
    init(&archive.connection, &lake_dir, lake::detection(), &schema, fixture::lake::now()).unwrap();
    let sql = "SELECT count(*), count(illum_corr) FROM detection WHERE illum_corr IS NULL";
    let answer = ours(dir.path(), sql);
    assert_eq!(answer[0][1], 0);
    let queries = [
        sql.replace("detection", "lk.detection"),
        "SELECT comment FROM duckdb_columns() WHERE column_name = 'illum_corr' AND table_name = 'detection'".to_owned(),
    ];
    let Some(answers) = duckdb(dir.path(), "stored", Eyes::Ours, &queries) else { return };
    assert_eq!(answers[0], answer);
    assert_eq!(answers[1][0][0], "Illumination correction. [mag]");
    schema.columns[3].name = "sequence".to_owned();
    let error =
        init(&archive.connection, &lake_dir, lake::detection(), &schema, fixture::lake::now());
    assert!(error.unwrap_err().to_string().contains("column 4 of detection is seq_num int32"));
}
