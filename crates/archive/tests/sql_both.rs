//! One SQL on both engines: the same queries on the same archive give the same answers, NULLs, infinities, comparisons, sums
//! and the sky included.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../query/tests/fixture/query.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod query;
#[path = "control_conformance/staging.rs"]
mod staging;

use ::query::{SqlError, SqlLimits, SqlReader};
use archive::{Archive, Site};
use model::task::TaskResult;
use model::{EventId, UseCase};
use query::Rows;
use rusqlite::types::Value as Cell;
use staging::*;

fn ask(reader: &SqlReader, sql: &str) -> Result<Vec<Vec<Cell>>, SqlError> {
    let mut rows = Rows::default();
    reader.query(sql, &mut rows)?;
    Ok(rows.rows)
}

/// Calls of in_cone that no cone answers, and part of the error.
const NO_CONES: [(&str, &str); 5] = [
    ("in_cone(1, 2, 3, 4, -1)", "radius is -1"),
    ("in_cone(1, 2, 3, 4, 1/60)", "write 1/60.0"),
    ("in_cone(1, 2, 3, 95, 1)", "dec0 is 95"),
    ("in_cone(1, 120, 3, 4, 1)", "dec is 120"),
    ("in_cone(1, 2, 3, 4, 'NaN'::float8)", "radius is NaN"),
];

/// An error with all its causes.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn limits() -> SqlLimits {
    SqlLimits { memory_bytes: None, ..SqlLimits::DEFAULT }
}

/// Twelve frames on a small field and at odd places of the sky; fluxes with NULLs and infinities; one catalogue in two
/// versions, one image superseded.
fn filled(site: &Site, archive: &mut Archive) {
    record(archive, &night(12));
    for use_case in [UseCase::Metadata, UseCase::Preview] {
        let unit = stage_round(archive, use_case, 2);
        publish(archive, &unit);
    }
    for (round, only) in [(1, None), (2, Some("w00003.fit"))] {
        if round == 2 {
            record(archive, &[arrival("w00003_cat.fits", "newer rows")]);
            let unit = open_round(archive, UseCase::Metadata, 1, &|i| i.name == "w00003.fit");
            for started in start_all(archive, &unit) {
                archive.accept_result(&work_off(&started), now()).unwrap();
            }
            publish(archive, &unit);
        }
        let unit =
            open_round(archive, UseCase::Catalogue, 2, &|i| only.is_none_or(|name| i.name == name));
        for started in start_all(archive, &unit) {
            let mut result = work_off(&started);
            let rows: Vec<Row> = with_values(&result);
            result.files[0] =
                write(&started.directory, "detection", &rows, model::ProgrammeId::new(7));
            archive.accept_result(&result, now()).unwrap();
        }
        publish(archive, &unit);
    }
    assert_eq!(site.is_embedded(), url_of(site).is_none());
}

/// The rows of a result's detectors, with values that depend on their place alone.
fn with_values(result: &TaskResult) -> Vec<Row> {
    const CENTRES: [(f64, f64); 12] = [
        (150.0, 2.0),
        (150.02, 2.01),
        (0.0, 0.0),
        (359.99, -0.01),
        (10.0, 89.99),
        (200.0, -89.99),
        (45.0, 41.8),
        (90.0, -41.8),
        (180.0, 0.0),
        (270.0, 66.0),
        (315.5, -12.25),
        (123.456, 33.3),
    ];
    let mut rows = Vec::new();
    for detector in &result.detectors {
        let multiframe = detector.multiframe_id.get();
        for n in 1..=i64::try_from(detector.rows).unwrap() {
            let (ra, dec) = CENTRES[usize::try_from(multiframe - 1).unwrap() % 12];
            let step = 0.001 * n as f64 + 0.01 * f64::from(detector.ext_num);
            let ra = (ra + step).rem_euclid(360.0);
            let dec = (dec + 0.0005 * n as f64).min(89.9999);
            let temporary = -(i64::try_from(rows.len()).unwrap() + 1);
            let mut values = row([
                ("obj_id", Value::Integer(temporary)),
                ("programme_id", Value::Integer(7)),
                ("multiframe_id", Value::Integer(multiframe)),
                ("ext_num", Value::Integer(detector.ext_num.into())),
                ("version", Value::Integer(detector.version.into())),
                ("seq_num", Value::Integer(n)),
                ("ra", Value::Real(ra)),
                ("dec", Value::Real(dec)),
            ]);
            let flux = match n {
                3 => None,
                4 if multiframe == 1 => Some(f64::INFINITY),
                5 if multiframe == 2 => Some(f64::NEG_INFINITY),
                n => Some(0.1 * n as f64 * multiframe as f64),
            };
            if let Some(flux) = flux {
                values.insert("aper_flux3", Value::Real(flux));
            }
            rows.push(values);
        }
    }
    rows
}

fn publish(archive: &mut Archive, unit: &model::UnitKey) {
    let batch = archive.batch(unit).unwrap();
    let rows: u64 = batch
        .tasks
        .iter()
        .filter_map(|t| t.result.as_ref())
        .flat_map(|r| &r.files)
        .filter(|f| f.table == "detection")
        .map(|f| f.rows)
        .sum();
    let wanted = archive::batches::RowsOfProgramme { programme_id: 7.try_into().unwrap(), rows };
    let wanted: &[_] = if rows > 0 { &[wanted] } else { &[] };
    let ranges = archive.reserve(unit, wanted, now()).unwrap();
    let loaded = archive.load(&batch, &ranges).unwrap();
    archive.publish(&batch, loaded, &cause(), now()).unwrap();
}

/// Returns what the archive shows now or showed as of an event, in numbers.
fn counts(site: &Site, as_of: Option<EventId>) -> Vec<Vec<Cell>> {
    let reader = SqlReader::open_as_of(site, limits(), as_of).unwrap();
    let sql = "SELECT (SELECT count(*) FROM detection), (SELECT coalesce(sum(obj_id), 0) FROM detection),
        (SELECT count(*) FROM multiframe), (SELECT count(*) FROM preview), (SELECT count(*) FROM programme),
        (SELECT count(*) FROM detection WHERE multiframe_id = 4), (SELECT count(*) FROM detection WHERE obj_id < 50),
        (SELECT count(*) FROM detection WHERE in_cone(ra, dec, 150.03, 2.003, 0.5))";
    ask(&reader, sql).unwrap()
}

/// After every act, what the archive shows is remembered; as of its event it shows the same for ever.
fn remembers(site: &Site, archive: &mut Archive) {
    filled(site, archive);
    let site = &as_reader(site);
    let mut seen = Vec::new();
    let mut note = |archive: &archive::Reader| {
        let event = EventId::new(archive.status().unwrap().events).unwrap();
        seen.push((event, counts(site, None)));
    };
    note(archive);
    let acts: [&dyn Fn(&mut Archive); 6] = [
        &|a| {
            drop(
                a.retract(&NIGHT.parse().unwrap(), &[UseCase::Catalogue], &cause(), now()).unwrap(),
            )
        },
        &|a| drop(a.restore(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap()),
        &|a| drop(a.retract(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap()),
        &|a| drop(a.restore(&NIGHT.parse().unwrap(), &[], &cause(), now()).unwrap()),
        &|a| {
            a.load_reference(&[programme_row(9, "GPS")], &cause(), now()).unwrap();
        },
        &|a| {
            record_of(a, "20071011_v2", &night(2));
            let unit = stage_round_of(a, "20071011_v2", UseCase::Metadata, 1);
            publish(a, &unit);
        },
    ];
    for act in acts {
        act(archive);
        note(archive);
    }
    archive.retract(&"20071011_v2".parse().unwrap(), &[], &cause(), now()).unwrap();
    for (event, wanted) in &seen {
        assert_eq!(counts(site, Some(*event)), *wanted, "as of {event}");
    }
    assert!(seen.iter().any(|(_, c)| c[0][0] == Cell::Integer(0)));
    let beyond = EventId::new(1000);
    assert!(SqlReader::open_as_of(site, limits(), beyond).unwrap_err().is_mistake());
    let first = counts(site, EventId::new(1));
    assert_eq!(first[0][..5], [0, 0, 0, 0, 1].map(Cell::Integer), "one programme, nothing else");
}

#[test]
fn the_archive_as_of_an_event_stays_as_it_was() {
    on_both_engines(|| {
        let dir = tempfile::tempdir().unwrap();
        let (site, mut archive) = new_site(&dir.path().join("site"));
        remembers(&site, &mut archive);
    });
}

const QUERIES: &[&str] = &[
    "SELECT count(*) FROM detection",
    "SELECT count(*), count(aper_flux3), min(obj_id), max(obj_id) FROM detection_all",
    "SELECT obj_id, ra, dec, seq_num, aper_flux3, aper_mag3 FROM detection WHERE multiframe_id = 4 ORDER BY obj_id",
    "SELECT version, count(*) FROM detection_all WHERE multiframe_id = 4 GROUP BY version ORDER BY version",
    // NULLs.
    "SELECT count(*) FROM detection WHERE aper_flux3 IS NULL",
    "SELECT count(*) FROM detection WHERE NOT (aper_flux3 > 1)",
    "SELECT count(*) FROM detection WHERE aper_flux3 IS NOT NULL AND aper_mag3 IS NULL",
    "SELECT coalesce(aper_flux3, -1.0) FROM detection WHERE multiframe_id = 5 ORDER BY obj_id",
    "SELECT NULL, NULL = NULL, NULL IS NULL, 1 + NULL",
    // Infinities.
    "SELECT count(*) FROM detection WHERE aper_flux3 > 1e30",
    "SELECT aper_flux3 FROM detection WHERE aper_flux3 < -1e30 ORDER BY obj_id",
    "SELECT max(aper_flux3), min(aper_flux3) FROM detection",
    "SELECT sum(aper_flux3) FROM detection WHERE multiframe_id = 1",
    "SELECT sum(aper_flux3) FROM detection WHERE multiframe_id IN (1, 2)",
    // Comparisons: single precision against literals, integers against reals.
    "SELECT count(*) FROM detection WHERE aper_flux3 = 0.1",
    "SELECT count(*) FROM detection WHERE aper_flux3 >= 0.3 AND aper_flux3 < 2.5",
    "SELECT count(*) FROM detection WHERE seq_num > 4.5",
    "SELECT count(*) FROM detection WHERE ext_num BETWEEN 2.5 AND 3",
    "SELECT count(*) FROM detection WHERE obj_id IN (1, 7, 13, 100000)",
    "SELECT obj_id FROM detection WHERE obj_id > 55 AND obj_id <= 60 ORDER BY obj_id DESC",
    "SELECT 7 / 2, -7 / 2, 7 % 3, -7 % 3, 7 / 2.0",
    // Sums and groups.
    "SELECT sum(aper_flux3), avg(aper_flux3), count(aper_flux3) FROM detection WHERE multiframe_id > 2",
    "SELECT sum(seq_num), sum(obj_id), avg(seq_num), total(seq_num) FROM detection",
    "SELECT sum(aper_flux3), total(aper_flux3) FROM detection WHERE multiframe_id = 999",
    "SELECT multiframe_id, ext_num, count(*), sum(ra) FROM detection GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT median(seq_num), percentile(seq_num, 90) FROM detection",
    "SELECT multiframe_id FROM detection GROUP BY multiframe_id HAVING count(*) = 20 ORDER BY 1 LIMIT 3",
    // Joins with the metadata.
    "SELECT m.file_name, count(*) FROM detection AS d JOIN multiframe AS m USING (multiframe_id)
     WHERE m.multiframe_id < 4 GROUP BY m.file_name ORDER BY 1",
    "SELECT count(*) FROM multiframe AS m LEFT JOIN detection AS d ON d.multiframe_id = m.multiframe_id AND d.seq_num = 1",
    "SELECT name, project FROM programme ORDER BY programme_id",
    "SELECT count(*) FROM preview_all",
    "SELECT act, count(*) FROM event GROUP BY act ORDER BY act",
    // The sky.
    "SELECT obj_id FROM detection WHERE in_cone(ra, dec, 150.03, 2.003, 0.01) ORDER BY obj_id",
    "SELECT count(*) FROM detection WHERE in_cone(ra, dec, 0, 0, 0.05)",
    "SELECT count(*) FROM detection WHERE in_cone(ra, dec, 100, 90, 0.02)",
    "SELECT count(*) FROM detection WHERE in_cone(ra, dec, 77, -90, 1/60.0)",
    "SELECT count(*) FROM detection WHERE NOT in_cone(ra, dec, 150, 2, 1)",
    "SELECT count(*) FROM detection AS d WHERE in_cone(d.ra, d.dec, 180.0, 0.0, 0.03) AND seq_num > 3",
    "SELECT count(*) FROM detection_all d JOIN multiframe m USING (multiframe_id) WHERE in_cone(d.ra, d.dec, 45, 41.8, 0.1)",
    "SELECT count(*) FROM detection WHERE in_cone(ra, dec, 20, 20, 0.1)",
    "SELECT in_cone(1, 2, 1, 2, 1e-9), in_cone(1, 2, 1, 3, 0.5), in_cone(1, NULL, 1, 2, 1), in_cone(NULL, 2, 1, 2, 1)",
    "SELECT obj_id, healpix29(ra, dec), healpix(5, ra, dec), htm20(ra, dec) FROM detection WHERE seq_num = 1 ORDER BY obj_id",
    "SELECT obj_id, galactic_l(ra, dec), galactic_b(ra, dec), sdss_lambda(ra, dec), sdss_eta(ra, dec)
     FROM detection WHERE seq_num = 2 ORDER BY obj_id",
    "SELECT obj_id, angular_distance_deg(ra, dec, 150, 2) FROM detection WHERE seq_num = 3 ORDER BY obj_id",
    "SELECT healpix29(0, 91), healpix(30, 1, 1), htm20(1, -91), galactic_l(1, 99)",
    // Texts and mathematics.
    "SELECT ifnull(NULL, 5), instr('abc', 'c'), upper('a'), length('abc'), substr('abcd', 2, 2), replace('aba', 'b', 'c')",
    "SELECT round(2.567, 2), log10(100.0), log2(8.0), sqrt(2.0), power(2.0, 10.0), abs(-3), exp(1.0), pi()",
    "SELECT CASE WHEN 1 < 2 THEN 'yes' ELSE 'no' END, coalesce(NULL, 'x'), nullif(1, 1), 'a' || 'b'",
    "SELECT count(*) FROM (SELECT DISTINCT multiframe_id FROM detection) AS m",
    "WITH bright AS (SELECT * FROM detection WHERE aper_flux3 > 3) SELECT count(*) FROM bright",
    "SELECT obj_id, row_number() OVER (PARTITION BY multiframe_id ORDER BY obj_id) FROM detection ORDER BY 1 LIMIT 5",
    "SELECT column_name, type, unit FROM column_description WHERE table_name = 'detection' ORDER BY ordinal LIMIT 5",
];

#[test]
fn both_engines_return_the_same_answers() {
    let dir = tempfile::tempdir().unwrap();
    let (site, mut archive) = new_site(&dir.path().join("embedded"));
    filled(&site, &mut archive);
    let Some((on_server, mut archive)) = new_site_on_server(&dir.path().join("server")) else {
        return;
    };
    filled(&on_server, &mut archive);
    let embedded = SqlReader::open(&site, limits()).unwrap();
    let server = SqlReader::open(&as_reader(&on_server), limits()).unwrap();
    let mut differing = Vec::new();
    for sql in QUERIES {
        let a = ask(&embedded, sql)
            .unwrap_or_else(|e| panic!("embedded: {sql}: {}", model::one_line(&e)));
        match ask(&server, sql) {
            Ok(b) if alike(&a, &b) => {}
            Ok(b) => differing.push(format!("{sql}\n  embedded {a:?}\n  server   {b:?}")),
            Err(e) => differing.push(format!("{sql}\n  server: {}", model::one_line(&e))),
        }
    }
    assert!(
        differing.is_empty(),
        "{} of {}:\n{}",
        differing.len(),
        QUERIES.len(),
        differing.join("\n")
    );
}

#[test]
fn every_column_of_the_public_tables_is_described() {
    let dir = tempfile::tempdir().unwrap();
    let mut sites = vec![new_site(&dir.path().join("embedded")).0];
    let server = new_site_on_server(&dir.path().join("server"));
    sites.extend(server.as_ref().map(|(site, _)| as_reader(site)));
    let mut wanted: Vec<Vec<Cell>> = model::tables::tables()
        .iter()
        .flat_map(|table| table.columns.iter().map(move |column| (table, column)))
        .map(|(table, column)| {
            [&table.name, &column.name, &column.unit, &column.description]
                .map(|text| Cell::Text(text.clone()))
                .to_vec()
        })
        .collect();
    let order = |row: &[Cell]| format!("{row:?}");
    wanted.sort_by_key(|row| order(row));
    assert!(wanted.iter().any(|row| row[0] == Cell::Text("detection".to_owned())));
    for site in sites {
        let reader = SqlReader::open(&site, limits()).unwrap();
        let sql = "SELECT table_name, column_name, unit, description FROM column_description";
        let mut found = ask(&reader, sql).unwrap();
        found.sort_by_key(|row| order(row));
        assert_eq!(found, wanted);
    }
}

/// Equal, reals to 13 digits: sums are taken in another order.
fn alike(a: &[Vec<Cell>], b: &[Vec<Cell>]) -> bool {
    let same = |a: &Cell, b: &Cell| match (a, b) {
        (Cell::Real(x), Cell::Real(y)) => {
            x == y || (x - y).abs() <= 1e-13 * x.abs().max(y.abs()).max(1e-3)
        }
        (a, b) => a == b,
    };
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(a, b)| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)))
}

#[test]
fn the_server_only_reads_and_says_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let Some((site, archive)) = new_site_on_server(&dir.path().join("site")) else { return };
    drop(archive);
    let site = as_reader(&site);
    let reader = SqlReader::open(&site, SqlLimits { rows: Some(3), ..limits() }).unwrap();
    let fault = |sql: &str| ask(&reader, sql).unwrap_err();
    for sql in [
        "DELETE FROM counter",
        "WITH gone AS (DELETE FROM counter RETURNING *) SELECT * FROM gone",
        "SELECT nextval('unit_unit_id_seq')",
        "DROP TABLE counter",
        "SELECT pg_read_file('/etc/passwd') FROM nothing",
    ] {
        assert!(fault(sql).is_mistake(), "{sql}: {}", fault(sql));
    }
    assert!(matches!(fault("SELECT 1; SELECT 2"), SqlError::Statements(_)));
    assert!(
        matches!(fault("SELECT * FROM detections"), SqlError::UnknownTable { name, .. } if name == "detections")
    );
    let unknown = fault("SELECT aperMag3 FROM detection").to_string();
    assert!(unknown.contains("detection.aper_mag3"), "{unknown}");
    assert!(matches!(fault("SELECT in_cones(1, 2)"), SqlError::UnknownFunction { .. }));
    for (call, said) in NO_CONES {
        for sql in [
            format!("SELECT {call}"),
            format!("SELECT count(*) FROM detection WHERE {}", call.replace("(1, 2,", "(ra, dec,")),
        ] {
            let told = in_full(&fault(&sql));
            assert!(told.contains(said), "{sql}: {told}");
        }
    }
    assert!(fault("SELECT * FROM generate_series(1, 10)").is_stopped());
    assert_eq!(psql(&site, "SELECT count(*) FROM counter"), "3");
    // Types without a binary decoder arrive as text; the session continues after a fault.
    let rows = ask(&reader, "SELECT date '2026-01-02', ARRAY[1,2], interval '1 day', 1.5").unwrap();
    let text = |s: &str| Cell::Text(s.to_owned());
    assert_eq!(rows[0][..3], [text("2026-01-02"), text("{1,2}"), text("1 day")]);
    let slow = SqlLimits { time: Some(std::time::Duration::from_millis(200)), ..limits() };
    let reader = SqlReader::open(&site, slow).unwrap();
    assert!(ask(&reader, "SELECT pg_sleep(60)").unwrap_err().is_stopped());
    let reader = SqlReader::open(&site, limits()).unwrap();
    let interrupt = reader.interrupt();
    std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        interrupt.stop();
    });
    assert!(ask(&reader, "SELECT pg_sleep(60)").unwrap_err().is_interrupted());
}
