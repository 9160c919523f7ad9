//! What a session permits, how it stops, and what it says.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod fixture;

use fixture::Width;
use fixture::lake::{Archive, field};
use fixture::query::{Rows, number, query, session, try_query};
use query::{ParquetSink, Session, SqlError, SqlLimits, Stopped};
use rusqlite::types::Value;
use std::time::Duration;

fn archive(dir: &std::path::Path) -> Archive {
    let mut archive = Archive::new(dir, Width::Narrow);
    archive.publish(&field(1, 3, (10.0, -20.0), 500), 1);
    archive
}

#[test]
fn only_reading_is_permitted() {
    let dir = tempfile::tempdir().unwrap();
    let _archive = archive(dir.path());
    let session = session(dir.path());
    let cases = [
        "ATTACH ':memory:' AS x",
        "DETACH temp",
        "INSERT INTO multiframe_all VALUES (99, 'x', 1, 1, NULL)",
        "UPDATE multiframe_all SET filter_id = 1",
        "DELETE FROM detector_rows",
        "DELETE FROM detection",
        "CREATE TABLE t (x)",
        "CREATE TEMP TABLE t (x)",
        "CREATE TEMP VIEW t AS SELECT 1",
        "DROP TABLE detection",
        "DROP VIEW multiframe",
        "PRAGMA journal_mode = delete",
        "PRAGMA query_only = 0",
        "PRAGMA temp_store_directory = '/'",
        "PRAGMA writable_schema = 1",
        "SELECT load_extension('x')",
        "BEGIN",
        "COMMIT",
        "SAVEPOINT s",
        "VACUUM",
        "VACUUM INTO '/tmp/x'",
        "REINDEX",
        "ANALYZE",
        "CREATE VIRTUAL TABLE temp.v USING almagest_detection(all)",
    ];
    for sql in cases {
        let error = try_query(&session, sql).unwrap_err();
        assert!(
            matches!(error, SqlError::Denied(_) | SqlError::Engine(_) | SqlError::Statements(_)),
            "{sql}: {error:?}"
        );
        assert_eq!(number(&session, "SELECT count(*) FROM detection"), 6000, "after {sql}");
    }
    let said = |sql: &str| try_query(&session, sql).unwrap_err().to_string();
    assert_eq!(said(cases[0]), "the archive can only be read here: ATTACH is not permitted");
    assert_eq!(
        said(cases[11]),
        "the archive can only be read here: PRAGMA journal_mode is not permitted"
    );
}

#[test]
fn mistakes_are_answered_with_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let _archive = archive(dir.path());
    let session = session(dir.path());
    let said = |sql: &str| try_query(&session, sql).unwrap_err().to_string();
    let tables = "table detections does not exist; the tables are counter, detection, detection_all, detector_rows, lake_file, multiframe, multiframe_all";
    assert_eq!(said("SELECT * FROM detections"), tables);
    assert_eq!(
        said("SELECT multiframeid FROM multiframe_all"),
        "column multiframeid does not exist; did you mean detection.multiframe_id or detection_all.multiframe_id or \
         detector_rows.multiframe_id or multiframe.multiframe_id or multiframe_all.multiframe_id?"
    );
    assert!(said("SELECT cone(1)").starts_with(
        "function cone does not exist; in addition to the engine's own functions there are in_cone("
    ));
    assert_eq!(said("SELECT 1; SELECT 2"), "one SELECT at a time: the text holds several");
    assert_eq!(said(""), "one SELECT at a time: the text holds none that gives rows");
    assert!(said("SELEC 1").contains("syntax error"));
    assert_eq!(number(&session, "SELECT count(*) FROM pragma_table_info('detection')"), 16);
}

#[test]
fn limits_stop_a_query() {
    let dir = tempfile::tempdir().unwrap();
    let _archive = archive(dir.path());
    let open = |limits| {
        Session::open(&dir.path().join("archive.db"), &dir.path().join("lake"), limits).unwrap()
    };
    let none = SqlLimits { time: None, rows: None, temporary_bytes: None, memory_bytes: None };
    let endless =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";

    let short = open(SqlLimits { time: Some(Duration::from_millis(50)), ..none });
    for sql in [
        endless,
        "SELECT count(*) FROM detection AS a, detection AS b WHERE a.aper_flux3 > b.mjd + 1e30",
    ] {
        let error = try_query(&short, sql).unwrap_err();
        assert!(matches!(error, SqlError::Stopped(Stopped::Time(_))), "{sql}: {error:?}");
    }
    assert_eq!(number(&short, "SELECT 1"), 1);

    let few = open(SqlLimits { rows: Some(10), ..none });
    let mut rows = Rows::default();
    let error = few.query("SELECT obj_id FROM detection", &mut rows).unwrap_err();
    assert_eq!(error.to_string(), "the query was stopped: the result has more than 10 rows");
    assert_eq!(rows.rows.len(), 10);
    assert_eq!(query(&few, "SELECT obj_id FROM detection LIMIT 10").len(), 10);

    let small = open(SqlLimits {
        temporary_bytes: Some(20_000_000),
        time: Some(Duration::from_secs(60)),
        ..none
    });
    let sorting = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
                   SELECT i, hex(randomblob(500)) AS h FROM n ORDER BY h";
    let error = try_query(&small, sorting).unwrap_err();
    assert!(matches!(error, SqlError::Stopped(Stopped::TemporarySpace(_))), "{error:?}");

    let session = open(none);
    let interrupt = session.interrupt();
    let stopper = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        interrupt.stop();
    });
    let error = try_query(&session, endless).unwrap_err();
    assert!(matches!(error, SqlError::Stopped(Stopped::Interrupted)), "{error:?}");
    stopper.join().unwrap();
    assert_eq!(number(&session, "SELECT 1"), 1);
}

#[test]
fn functions_know_the_sky() {
    let dir = tempfile::tempdir().unwrap();
    let _archive = archive(dir.path());
    let session = session(dir.path());
    let one = |sql: &str| query(&session, sql)[0][0].clone();
    let close = |sql: &str, wanted: f64| match one(sql) {
        Value::Real(x) => assert!((x - wanted).abs() < 1e-11, "{sql}: {x} is not {wanted}"),
        other => panic!("{sql}: {other:?}"),
    };
    // A source of the VVV release, with what that archive gives.
    let position = "190.86805228939133, -64.37475822559404";
    assert_eq!(one(&format!("SELECT htm20({position})")), Value::Integer(11_440_553_537_287));
    close(&format!("SELECT galactic_l({position})"), 302.070_498_364_609_36);
    close(&format!("SELECT galactic_b({position})"), -1.516_333_561_554_815_5);
    close(&format!("SELECT sdss_lambda({position})"), 2.534_224_827_958_481_4);
    close(&format!("SELECT sdss_eta({position})"), -96.991_946_498_369_84);
    close("SELECT angular_distance_deg(359.5, 0, 0.5, 0)", 1.0);
    assert_eq!(one("SELECT healpix(0, 45, 0.1)"), one("SELECT healpix29(45, 0.1) >> 58"));
    for none in ["healpix29(10, 91)", "angular_distance_deg(1, 2, 3, NULL)", "htm20(1e999, 0)"] {
        assert_eq!(one(&format!("SELECT {none}")), Value::Null, "{none}");
    }
    assert_eq!(one("SELECT in_cone(359.99, 0, 0.01, 0, 0.0201)"), Value::Integer(1));
    assert_eq!(one("SELECT in_cone(1, 2, NULL, 4, 1)"), Value::Null);
    for (call, said) in [
        ("in_cone(1, 2, 3, 4, -1)", "radius is -1"),
        ("in_cone(1, 2, 3, 4, 1/60)", "write 1/60.0"),
        ("in_cone(1, 2, 3, 95, 1)", "dec0 is 95"),
        ("in_cone(1, 2, 1e999, 4, 1)", "ra0 is inf"),
        ("in_cone(1, 120, 3, 4, 1)", "dec is 120"),
    ] {
        for sql in [
            format!("SELECT {call}"),
            format!("SELECT count(*) FROM (SELECT 1 AS ra, 2 AS dec) WHERE {call}"),
        ] {
            let told = try_query(&session, &sql).unwrap_err().to_string();
            assert!(told.contains(said), "{sql}: {told}");
        }
    }
    let text = try_query(&session, "SELECT healpix29('ten', 1)").unwrap_err().to_string();
    assert!(text.contains("healpix29") || text.contains("type"), "{text}");
}

#[test]
fn results_become_parquet_with_the_types_of_their_columns() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    let dir = tempfile::tempdir().unwrap();
    let _archive = archive(dir.path());
    let session = session(dir.path());
    let mut sink = ParquetSink::new(Vec::new());
    let sql = "SELECT obj_id, ext_num, mjd, aper_mag3, deprecated, quality, 2 * seq_num AS double, mjd + 1, NULL AS empty
               FROM detection CROSS JOIN (VALUES (1), (2)) ORDER BY obj_id";
    let report = session.query(sql, &mut sink).unwrap();
    assert_eq!(report.rows, 12_000);
    let file = SerializedFileReader::new(bytes::Bytes::from(sink.finish().unwrap())).unwrap();
    assert_eq!(file.metadata().file_metadata().num_rows(), 12_000);
    let types: Vec<String> = file
        .metadata()
        .file_metadata()
        .schema_descr()
        .columns()
        .iter()
        .map(|c| c.physical_type().to_string())
        .collect();
    let wanted = [
        "INT64",
        "INT32",
        "DOUBLE",
        "FLOAT",
        "BOOLEAN",
        "BYTE_ARRAY",
        "INT64",
        "DOUBLE",
        "BYTE_ARRAY",
    ];
    assert_eq!(types, wanted);

    let mut sink = ParquetSink::new(Vec::new());
    let changing = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)
                    SELECT iif(i < 8500, i, 'text') AS x FROM n";
    let error = session.query(changing, &mut sink).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "column x was Int64 at first and holds TEXT now: use CAST");

    let mut empty = ParquetSink::new(Vec::new());
    session.query("SELECT obj_id FROM detection WHERE 0", &mut empty).unwrap();
    let file = SerializedFileReader::new(bytes::Bytes::from(empty.finish().unwrap())).unwrap();
    assert_eq!(file.metadata().file_metadata().num_rows(), 0);
}

#[test]
fn a_query_sees_one_state_while_the_archive_grows() {
    let dir = tempfile::tempdir().unwrap();
    let mut archive = archive(dir.path());
    let session = session(dir.path());
    struct Growing<'a>(&'a mut Archive, u64);
    impl query::RowSink for Growing<'_> {
        fn columns(&mut self, _: &[query::ResultColumn]) -> std::io::Result<()> {
            Ok(())
        }
        fn row(&mut self, _: &[rusqlite::types::ValueRef<'_>]) -> std::io::Result<()> {
            if self.1 == 0 {
                self.0.publish(&field(100, 1, (10.0, -20.0), 500), 1);
            }
            self.1 += 1;
            Ok(())
        }
    }
    let mut growing = Growing(&mut archive, 0);
    session
        .query(
            "SELECT a.obj_id FROM (SELECT 1 UNION ALL SELECT 2) JOIN detection AS a",
            &mut growing,
        )
        .unwrap();
    assert_eq!(growing.1, 12_000);
    assert_eq!(number(&session, "SELECT count(*) FROM detection"), 8000);
}

#[test]
fn a_column_is_called_by_its_expression_as_written() {
    let dir = tempfile::tempdir().unwrap();
    archive(dir.path());
    let session = session(dir.path());
    for (expression, name) in [
        ("in_cone(1,  2, 1, 2, 0.5)", "in_cone(1,  2, 1, 2, 0.5)"),
        ("in_cone(1, 2, 1, 2, 0.5) AS inside", "inside"),
        ("count(*)", "count(*)"),
    ] {
        let mut rows = Rows::default();
        session.query(&format!("SELECT {expression}"), &mut rows).unwrap();
        let names: Vec<&str> = rows.columns.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, [name]);
    }
}
