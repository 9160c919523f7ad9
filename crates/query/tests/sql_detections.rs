//! The detection tables answer as an ordinary SQLite table with the same rows would.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod fixture;

use fixture::lake::{Archive, field};
use fixture::query::{number, query, session, try_query};
use fixture::{Detector, Width, batch};
use lake::DetectorKey;
use rusqlite::Connection;
use rusqlite::types::Value;

const COLUMNS: &str =
    "obj_id, multiframe_id, ext_num, seq_num, programme_id, filter_id, mjd, ra, dec, healpix29,
    begin_event, aper_flux3, aper_mag3, class, deprecated, quality";

/// Three nights, of one and of two tasks, the last with row groups that are copied; some detectors ended.
fn archive(dir: &std::path::Path) -> (Archive, Vec<Detector>) {
    let mut archive = Archive::new(dir, Width::Narrow);
    let nights = [
        field(1, 3, (10.0, -20.0), 90),
        field(4, 5, (359.9, 0.0), 120),
        field(9, 4, (200.0, 60.0), 4000),
    ];
    for (night, tasks) in nights.iter().zip([1, 2, 1]) {
        archive.publish(night, tasks);
    }
    let ended: Vec<DetectorKey> = [(2, 3), (2, 4), (9, 2), (10, 5)]
        .map(|(multiframe_id, ext_num)| DetectorKey { multiframe_id, ext_num })
        .to_vec();
    archive.end(&ended);
    (archive, nights.concat())
}

/// The same rows in a table `t`: current ones have `current = 1`.
fn oracle(archive: &Archive, detectors: &[Detector]) -> Connection {
    use arrow_array::cast::AsArray;
    use arrow_array::{Array, types::*};
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(&format!(
        "CREATE TABLE t (obj_id BIGINT, multiframe_id BIGINT, ext_num SMALLINT, seq_num INTEGER, programme_id INTEGER,
         filter_id SMALLINT, mjd DOUBLE, ra DOUBLE, dec DOUBLE, healpix29 BIGINT, begin_event BIGINT, aper_flux3 FLOAT,
         aper_mag3 FLOAT, class SMALLINT, deprecated BOOLEAN, quality TEXT, current INTEGER);
         CREATE VIEW v AS SELECT {COLUMNS} FROM t WHERE current; BEGIN"
    ))
    .unwrap();
    let mut id = 0;
    let mut insert =
        db.prepare(&format!("INSERT INTO t VALUES ({})", ["?"; 17].join(","))).unwrap();
    // Values of a staged batch depend on its first detector: two tasks made the second night.
    let chunks = [&detectors[..12], &detectors[12..22], &detectors[22..32], &detectors[32..]];
    for chunk in chunks {
        let rows = batch(Width::Narrow, chunk);
        for row in 0..rows.num_rows() {
            id += 1;
            let mut values: Vec<Value> = rows
                .columns()
                .iter()
                .map(|c| {
                    if c.is_null(row) {
                        return Value::Null;
                    }
                    match c.data_type() {
                        arrow_schema::DataType::Int16 => {
                            i64::from(c.as_primitive::<Int16Type>().value(row)).into()
                        }
                        arrow_schema::DataType::Int32 => {
                            i64::from(c.as_primitive::<Int32Type>().value(row)).into()
                        }
                        arrow_schema::DataType::Int64 => {
                            c.as_primitive::<Int64Type>().value(row).into()
                        }
                        arrow_schema::DataType::Float32 => {
                            f64::from(c.as_primitive::<Float32Type>().value(row)).into()
                        }
                        arrow_schema::DataType::Float64 => {
                            c.as_primitive::<Float64Type>().value(row).into()
                        }
                        arrow_schema::DataType::Boolean => {
                            i64::from(c.as_boolean().value(row)).into()
                        }
                        _ => c.as_string::<i32>().value(row).to_owned().into(),
                    }
                })
                .collect();
            values[0] = Value::Integer(id);
            let (frame, ext) = (values[1].clone(), values[2].clone());
            let event: i64 = archive
                .connection
                .prepare_cached("SELECT begin_event FROM detector_rows WHERE multiframe_id = ?1 AND ext_num = ?2")
                .unwrap()
                .query_row([&frame, &ext], |r| r.get(0))
                .unwrap();
            values[10] = Value::Integer(event);
            let gone =
                [(2, 3), (2, 4), (9, 2), (10, 5)].contains(&(integer(&frame), integer(&ext)));
            values.push(Value::Integer(i64::from(!gone)));
            insert.execute(rusqlite::params_from_iter(values)).unwrap();
        }
    }
    drop(insert);
    db.execute_batch("COMMIT").unwrap();
    db
}

fn integer(value: &Value) -> i64 {
    match value {
        Value::Integer(n) => *n,
        other => panic!("{other:?}"),
    }
}

fn asked(db: &Connection, sql: &str) -> Vec<Vec<Value>> {
    let mut statement = db.prepare(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    let width = statement.column_count();
    let rows = statement.query_map([], |r| (0..width).map(|i| r.get(i)).collect()).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// Conditions to be tried alone and in pairs.
const CONDITIONS: &[&str] = &[
    "obj_id = 7",
    "obj_id IN (1, 500, 500, 2000.0, 'x', NULL, -3, 99999999, '1081')",
    "obj_id BETWEEN 1075 AND 1085.5",
    "obj_id > 60000",
    "obj_id >= 2.5 AND obj_id < 9.0",
    "multiframe_id = 10",
    "multiframe_id IN (2, 9, 3)",
    "multiframe_id = '5'",
    "multiframe_id = 'five'",
    "multiframe_id < 'five'",
    "multiframe_id BETWEEN 8 AND 9",
    "multiframe_id IS 4",
    "multiframe_id <> 9",
    "ext_num = 3",
    "ext_num IN (3, 5)",
    "ext_num > 4.5",
    "programme_id = 101",
    "programme_id <> 101",
    "filter_id IS NULL",
    "filter_id = 2",
    "filter_id NOT IN (2, 3)",
    "mjd > 54384.26",
    "mjd = 54384.254",
    "mjd IS NULL",
    "mjd IS NOT NULL",
    "ra BETWEEN 359.8 AND 360",
    "ra < 0.1 OR ra > 359.95",
    "dec > 60.05 AND dec <= 60.06",
    "healpix29 BETWEEN 2305843009213693952 AND 2405843009213693952",
    "begin_event = 2",
    "begin_event >= 3",
    "aper_flux3 > 100000",
    "aper_flux3 IS NULL",
    "aper_mag3 < 2.5",
    "class = -1",
    "class = -1.0",
    "class > NULL",
    "deprecated",
    "deprecated = 0",
    "NOT deprecated",
    "quality = 'good'",
    "quality IS NULL",
    "quality LIKE '%text%'",
    "seq_num % 7 = 3",
    "multiframe_id = 9 AND ext_num = 3",
    "(multiframe_id, ext_num) IN (VALUES (4, 2), (9, 4), (77, 1))",
    "obj_id IN (SELECT max(obj_id) FROM X GROUP BY multiframe_id, ext_num)",
    "in_cone(ra, dec, 0.05, 0.02, 0.05)",
    "NOT in_cone(ra, dec, 0.05, 0.02, 0.3)",
    "in_cone(ra, dec, 0.0, 0.0, 0.1) OR class = 1",
    "in_cone(ra, dec, NULL, 0, 1)",
    "angular_distance_deg(ra, dec, 200, 60) < 0.05",
];

#[test]
fn every_condition_finds_the_rows_that_sqlite_finds() {
    let dir = tempfile::tempdir().unwrap();
    let (archive, detectors) = archive(dir.path());
    let mut oracle = oracle(&archive, &detectors);
    register_functions(&mut oracle);
    let session = session(dir.path());
    let mut nonempty = 0;
    for (table, mirror) in [("detection", "v"), ("detection_all", "t")] {
        let sums = "count(*), min(obj_id), max(obj_id), sum(obj_id), count(mjd), total(seq_num)";
        let mut check = |condition: &str| {
            let ours =
                format!("SELECT {sums} FROM {table} WHERE {}", condition.replace('X', table));
            let theirs =
                format!("SELECT {sums} FROM {mirror} WHERE {}", condition.replace('X', mirror));
            let wanted = asked(&oracle, &theirs);
            assert_eq!(query(&session, &ours), wanted, "{ours}");
            nonempty += usize::from(wanted[0][0] != Value::Integer(0));
        };
        check("1");
        for a in CONDITIONS {
            check(a);
        }
        for (i, a) in CONDITIONS.iter().enumerate() {
            for b in CONDITIONS.iter().skip(i % 3).step_by(3) {
                check(&format!("({a}) AND ({b})"));
            }
        }
    }
    assert!(nonempty > 300, "only {nonempty} conditions found anything");
}

/// The functions as plain SQL functions on another connection.
fn register_functions(db: &mut Connection) {
    use rusqlite::functions::FunctionFlags;
    let distance = |c: &rusqlite::functions::Context<'_>| -> rusqlite::Result<Option<f64>> {
        let n: Vec<Option<f64>> = (0..4).map(|i| c.get(i)).collect::<Result<_, _>>()?;
        Ok(n.into_iter()
            .collect::<Option<Vec<f64>>>()
            .map(|n| sky::angular_distance_deg(n[0], n[1], n[2], n[3])))
    };
    db.create_scalar_function("angular_distance_deg", 4, FunctionFlags::default(), distance)
        .unwrap();
    db.create_scalar_function("in_cone", 5, FunctionFlags::default(), move |c| {
        let radius: Option<f64> = c.get(4)?;
        Ok(distance(c)?.zip(radius).map(|(d, r)| d <= r))
    })
    .unwrap();
}

#[test]
fn all_values_come_through() {
    let dir = tempfile::tempdir().unwrap();
    let (archive, detectors) = archive(dir.path());
    let oracle = oracle(&archive, &detectors);
    let session = session(dir.path());
    for order in ["obj_id", "aper_mag3, obj_id DESC"] {
        let sql =
            |table| format!("SELECT {COLUMNS} FROM {table} ORDER BY {order} LIMIT 3000 OFFSET 900");
        assert!(query(&session, &sql("detection")) == asked(&oracle, &sql("v")), "{order}");
    }
}

#[test]
fn joins_and_groups_work_from_either_side() {
    let dir = tempfile::tempdir().unwrap();
    let (_archive, _) = archive(dir.path());
    let session = session(dir.path());
    let by_join = query(
        &session,
        "SELECT m.file_name, count(*) FROM multiframe AS m JOIN detection AS d USING (multiframe_id)
         WHERE m.filter_id = 5 GROUP BY 1 ORDER BY 1",
    );
    let text = |n: i64| Value::Text(format!("w{n:08}.fit"));
    let wanted = vec![vec![text(4), Value::Integer(480)], vec![text(9), Value::Integer(12_000)]];
    assert_eq!(by_join, wanted);
    let left = "SELECT count(*) FROM multiframe AS m LEFT JOIN detection AS d
                ON d.multiframe_id = m.multiframe_id AND d.ext_num = 3 AND d.seq_num = 1";
    assert_eq!(number(&session, left), 12);
    assert_eq!(number(&session, &format!("{left} WHERE d.obj_id IS NULL")), 1); // frame 2's was ended
    let itself =
        "SELECT count(*) FROM detection AS a JOIN detection AS b ON b.obj_id = a.obj_id + 1
                  WHERE a.multiframe_id = 5 AND a.ext_num = 2";
    assert_eq!(number(&session, itself), 120);
}

#[test]
fn a_search_reads_only_what_it_needs() {
    let dir = tempfile::tempdir().unwrap();
    let mut archive = Archive::new(dir.path(), Width::Full);
    for night in 0..4 {
        archive.publish(&field(1 + 10 * night, 4, (20.0 + 40.0 * night as f64, 10.0), 3300), 1);
    }
    let files = std::fs::read_dir(dir.path().join("lake/detection")).unwrap();
    let lake: u64 = files.map(|f| f.unwrap().metadata().unwrap().len()).sum();
    let read = |sql: &str| {
        let (rows, report) = try_query(&session(dir.path()), sql).unwrap();
        (rows.len(), report.lake_bytes as f64 / lake as f64, report)
    };
    // One page or two of two columns, one footer.
    let (rows, share, report) = read(
        "SELECT aper_mag3, measure_150 FROM detection WHERE multiframe_id = 12 AND ext_num = 3",
    );
    assert!(rows == 3300 && share < 0.002 && report.lake_files == 1, "{rows} {share} {report:?}");
    let (rows, share, report) = read(
        "SELECT d.aper_mag3 FROM multiframe AS m JOIN detection AS d USING (multiframe_id) WHERE m.file_name = 'w00000012.fit'",
    );
    assert!(rows == 13_200 && share < 0.003 && report.lake_files == 1, "{rows} {share} {report:?}");
    let (rows, share, _) =
        read("SELECT ra FROM detection WHERE in_cone(ra, dec, 60.04, 10.01, 1.0 / 60)");
    assert!(rows > 20 && share < 0.01, "{rows} {share}");
    let (rows, share, report) = read("SELECT count(*) FROM detection WHERE ra BETWEEN 59 AND 61");
    assert!(rows == 1 && share < 0.01 && report.lake_files == 1, "{rows} {share} {report:?}");
    // Nothing but footers for a count.
    let (_, share, report) = read("SELECT count(*) FROM detection");
    assert!(share < 0.01 && report.lake_files == 4, "{share} {report:?}");
    // Rows that a rare condition leaves cost their own pages of the other columns.
    let (rows, share, _) = read("SELECT * FROM detection WHERE obj_id IN (17, 60001)");
    assert!(rows == 2 && share < 0.2, "{rows} {share}");
    let (_, all, _) = read("SELECT * FROM detection WHERE multiframe_id BETWEEN 1 AND 9 LIMIT 1");
    assert!(all < 0.05, "{all}");
}

/// 300 small nights all over the sky: a cone of one arcminute reads under 1 % of the lake, and one file of it.
#[test]
fn a_cone_among_many_nights_reads_next_to_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut archive = Archive::new(dir.path(), Width::Full);
    for night in 0..300 {
        let centre = (0.5 + 1.19 * f64::from(night), -30.0 + f64::from(night % 7) * 10.0);
        archive.publish(&field(1 + i64::from(night), 1, centre, 100), 1);
    }
    let files = std::fs::read_dir(dir.path().join("lake/detection")).unwrap();
    let lake: u64 = files.map(|f| f.unwrap().metadata().unwrap().len()).sum();
    let ask = |sql: &str| try_query(&session(dir.path()), sql).unwrap();
    let one = "SELECT ra, dec FROM detection WHERE multiframe_id = 151 AND ext_num = 3 AND ra IS NOT NULL LIMIT 1";
    let [Value::Real(ra), Value::Real(dec)] = ask(one).0[0][..] else { panic!("a position") };
    let cone = format!("WHERE in_cone(ra, dec, {ra:?}, {dec:?}, 1/60.0)");
    for (columns, table) in [("obj_id, ra, dec, aper_mag3", "detection"), ("count(*)", "detection")]
    {
        let (rows, report) = ask(&format!("SELECT {columns} FROM {table} {cone}"));
        assert!(!rows.is_empty());
        let share = report.lake_bytes as f64 / lake as f64;
        assert!(share < 0.01 && report.lake_files == 1, "{columns}: {share} {report:?}");
    }
}
