//! Lake tables that no code knows by name: from their definitions to rows in our SQL and in DuckDB.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod fixture;
#[path = "lake_tables/server.rs"]
mod server;

use arrow_array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array,
    RecordBatch,
};
use fixture::duckdb::{Eyes, duckdb};
use fixture::lake::{event_id, now};
use fixture::query::{query, try_query};
use lake::{
    FinaliseRequest, LAKE_FILE_DDL, LakeError, LakeFile, LakeTable, Publication, RangeKey, Staged,
};
use model::tables::{Column, ColumnType, Table};
use model::{BatchId, EventId};
use query::{Session, SqlLimits};
use rusqlite::Connection;
use rusqlite::types::Value;
use stage::StagedWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The owner of all rows.
const PROGRAMME: i64 = 101;

fn programme() -> model::ProgrammeId {
    PROGRAMME.try_into().unwrap()
}

type Rows = Vec<Vec<Value>>;

/// A lake table with its definition.
struct Invented {
    definition: &'static Table,
    table: LakeTable,
}

impl Invented {
    fn of(text: &str) -> Self {
        let definition: &'static Table = Box::leak(Box::new(toml::from_str(text).unwrap()));
        Self { definition, table: LakeTable::of(definition).unwrap() }
    }

    /// Returns rows as they are published: with ids from base + 1 on, and the event.
    fn published(&self, rows: &[Vec<Value>], base: i64, event: i64) -> Rows {
        let mut rows = rows.to_vec();
        let id = self.definition.position(self.table.id()).unwrap();
        let begin_event = self.definition.position("begin_event").unwrap();
        for (row, number) in rows.iter_mut().zip(1..) {
            row[id] = (base + number).into();
            row[begin_event] = event.into();
        }
        rows
    }

    /// Stages each list of rows as a file, and returns the files with their offsets in the batch.
    fn stage(&self, staging: &Path, batch: i64, parts: &[Rows]) -> Vec<(PathBuf, u64)> {
        let (mut paths, mut offset) = (Vec::new(), 0);
        for (task, rows) in parts.iter().enumerate() {
            let name = format!("{}-{batch}-{task}.parquet", self.table.name());
            let (definition, expected) = (self.definition, rows.len() as u64);
            let mut writer = StagedWriter::create(staging, definition, &name, expected).unwrap();
            writer.write(&self.batch(rows)).unwrap();
            writer.finish(Some(programme())).unwrap();
            paths.push((staging.join(name), offset));
            offset += rows.len() as u64;
        }
        paths
    }

    fn batch(&self, rows: &[Vec<Value>]) -> RecordBatch {
        let id = self.definition.position(self.table.id());
        let columns = self.definition.columns.iter().enumerate().map(|(i, column)| {
            if Some(i) == id {
                let ids = (1..=rows.len() as i64).map(|n| -n);
                return Arc::new(Int64Array::from_iter_values(ids)) as ArrayRef;
            }
            array(column, &rows.iter().map(|row| row[i].clone()).collect::<Vec<_>>())
        });
        RecordBatch::try_new(self.definition.arrow_schema(), columns.collect()).unwrap()
    }
}

fn array(column: &Column, values: &[Value]) -> ArrayRef {
    let whole = || {
        values.iter().map(|value| match value {
            Value::Integer(n) => Some(*n),
            _ => None,
        })
    };
    let real = || {
        values.iter().map(|value| match value {
            Value::Real(x) => Some(*x),
            _ => None,
        })
    };
    match column.kind {
        ColumnType::I16 => Arc::new(whole().map(|n| n.map(|n| n as i16)).collect::<Int16Array>()),
        ColumnType::I32 => Arc::new(whole().map(|n| n.map(|n| n as i32)).collect::<Int32Array>()),
        ColumnType::I64 => Arc::new(whole().collect::<Int64Array>()),
        ColumnType::F32 => Arc::new(real().map(|x| x.map(|x| x as f32)).collect::<Float32Array>()),
        ColumnType::F64 => Arc::new(real().collect::<Float64Array>()),
        ColumnType::Bool => Arc::new(whole().map(|n| n.map(|n| n != 0)).collect::<BooleanArray>()),
        other => panic!("the test has no {other:?}"),
    }
}

/// Measurements of some sources in two filters, 40 each, in the order of the definition's columns.
fn measurements(sources: std::ops::Range<i64>, season: i64, flux: f64) -> Rows {
    let keys = sources.flat_map(|source| [1, 2].map(|filter| (source, filter)));
    keys.flat_map(|(source, filter)| {
        (0..40).map(move |i| {
            let flux = flux + f64::from(i) / 4.0;
            vec![
                source.into(),
                season.into(),
                filter.into(),
                Value::Null, // id and event are assigned
                Value::Null,
                PROGRAMME.into(),
                (55_000.0 + 365.0 * season as f64 + f64::from(i)).into(),
                (10.0 * source as f64 + f64::from(i) / 16384.0).into(),
                (source as f64 - 5.0).into(),
                if i % 7 == 3 { Value::Null } else { flux.into() },
            ]
        })
    })
    .collect()
}

/// Light curves of some sources, three each, in the order of the definition's columns.
fn curves(sources: std::ops::Range<i64>) -> Rows {
    sources
        .flat_map(|source| {
            (0..3).map(move |i| {
                let median = if i == 1 { Value::Null } else { (source as f64 / 8.0).into() };
                let is_variable = Value::Integer((source + i) % 2);
                vec![
                    Value::Null,
                    PROGRAMME.into(),
                    source.into(),
                    7.into(),
                    Value::Null,
                    median,
                    is_variable,
                ]
            })
        })
        .collect()
}

/// An archive with `detection` and the two invented tables.
struct Site {
    dir: tempfile::TempDir,
    connection: Connection,
    forced: Invented,
    variability: Invented,
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let forced = Invented::of(include_str!("lake_tables/forced.toml"));
        let variability = Invented::of(include_str!("lake_tables/variability.toml"));
        let connection = Connection::open(dir.path().join("archive.db")).unwrap();
        connection.pragma_update(None, "journal_mode", "wal").unwrap();
        lake::keep_wal_files(&connection).unwrap();
        connection.execute_batch(LAKE_FILE_DDL).unwrap();
        connection.execute_batch("CREATE TABLE event (event_id INTEGER PRIMARY KEY)").unwrap();
        let site = Self { dir, connection, forced, variability };
        std::fs::create_dir_all(site.staging()).unwrap();
        site.init();
        site
    }

    fn init(&self) {
        for table in [lake::detection(), &self.forced.table, &self.variability.table] {
            let schema = table.schema().unwrap();
            lake::init(&self.connection, &self.lake(), table, &schema, now()).unwrap();
        }
    }

    fn lake(&self) -> PathBuf {
        self.dir.path().join("lake")
    }

    fn staging(&self) -> PathBuf {
        self.dir.path().join("staging")
    }

    /// Stages each list of rows as a file, and makes one lake file of them.
    fn load(
        &self,
        invented: &Invented,
        batch: i64,
        parts: &[Rows],
        (base, event): (i64, i64),
    ) -> Result<LakeFile, LakeError> {
        let paths = invented.stage(&self.staging(), batch, parts);
        let staging = self.staging();
        let staged: Vec<Staged<'_>> = paths
            .iter()
            .map(|(path, offset)| Staged { base: &staging, path, offset: *offset })
            .collect();
        let name = invented.table.file_name(BatchId::new(batch).unwrap(), programme());
        let request = FinaliseRequest {
            name: &name,
            programme_id: programme(),
            base,
            event: event_id(event),
            staged: &staged,
        };
        let files = lake::finalise(&self.lake(), &invented.table, &[request], &Default::default());
        files.map(|mut files| files.remove(0))
    }

    /// Changes the lake in one event, and returns its snapshot.
    fn event<'a>(
        &'a self,
        event: i64,
        change: impl FnOnce(&mut Publication<'a>, &'a Self),
    ) -> Option<i64> {
        self.connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        self.connection.execute("INSERT INTO event VALUES (?1)", [event]).unwrap();
        let mut publication =
            Publication::begin(&self.connection, &self.lake(), event_id(event)).unwrap();
        change(&mut publication, self);
        let snapshot = publication.finish(now(), "a test").unwrap();
        self.connection.execute_batch("COMMIT").unwrap();
        snapshot.map(|snapshot| snapshot.get())
    }

    fn session(&self, as_of: Option<i64>) -> Session {
        let tables = vec![
            lake::detection().clone(),
            self.forced.table.clone(),
            self.variability.table.clone(),
        ];
        let limits = SqlLimits { memory_bytes: None, ..SqlLimits::DEFAULT };
        let as_of = as_of.map(|event| EventId::new(event).unwrap());
        let database = self.dir.path().join("archive.db");
        Session::open_with_tables(&database, &self.lake(), limits, as_of, tables).unwrap()
    }

    fn rows(&self, sql: &str) -> Rows {
        query(&self.session(None), sql)
    }
}

fn key(source: i64, filter: i64, season: i64) -> RangeKey {
    RangeKey::new([source, filter, season])
}

/// Rows of two tables, published in one event: four sources and two sources of season 1, and six light curves of three rows.
fn first_event(site: &Site) -> (Rows, Rows) {
    let parts = [measurements(1..5, 1, 0.5), measurements(5..7, 1, 100.0)];
    let forced = site.load(&site.forced, 1, &parts, (0, 1)).unwrap();
    assert_eq!(
        (forced.name.as_str(), forced.ranges.len()),
        ("forced00000001-programme101.parquet", 12)
    );
    assert!(forced.ranges.iter().all(|range| range.rows == 40 && range.sky.is_some()));
    let light = curves(1..7);
    let variability =
        site.load(&site.variability, 1, std::slice::from_ref(&light), (500, 1)).unwrap();
    assert!(variability.ranges.iter().all(|range| range.rows == 3 && range.sky.is_none()));
    let snapshot = site.event(1, |publication, site| {
        let added =
            publication.add(&site.forced.table, &forced, |_| panic!("no versions")).unwrap();
        assert_eq!((added.ranges, added.rows), (12, 480));
        publication.add(&site.variability.table, &variability, |_| 7).unwrap();
    });
    assert_eq!(snapshot, Some(4), "one snapshot per table, one of the event");
    let rows = site.forced.published(&parts.concat(), 0, 1);
    (rows, site.variability.published(&light, 500, 1))
}

/// Conditions on rows of `forced`.
const CONDITIONS: [&str; 11] = [
    "source_id = 2",
    "source_id IN (2, 6) AND filter_id = 1",
    "source_id BETWEEN 3 AND 4 AND season = 1",
    "season = 2",
    "forced_id = 77",
    "forced_id BETWEEN 79 AND 82",
    "mjd < 55370",
    "flux IS NULL",
    "flux >= 105",
    "programme_id = 101 AND source_id = 5",
    "in_cone(source_ra, source_dec, 20, -3, 0.01)",
];

/// The rows for which a condition on a row holds.
fn only(rows: &[Vec<Value>], holds: impl Fn(&[Value]) -> bool) -> Rows {
    rows.iter().filter(|row| holds(row)).cloned().collect()
}

fn is(row: &[Value], column: usize, wanted: i64) -> bool {
    row[column] == Value::Integer(wanted)
}

#[test]
fn invented_tables_are_read_by_range_and_by_column() {
    let site = Site::new();
    site.init(); // safe to repeat
    let (forced, variability) = first_event(&site);
    assert_eq!(site.rows("SELECT * FROM forced ORDER BY forced_id"), forced);
    assert_eq!(site.rows("SELECT * FROM forced_all ORDER BY forced_id"), forced);
    assert_eq!(site.rows("SELECT * FROM variability ORDER BY curve_id"), variability);
    assert!(site.rows("SELECT * FROM detection").is_empty());
    let real = |row: &[Value], column: usize| match row[column] {
        Value::Real(x) => x,
        _ => f64::NAN,
    };
    type Case<'c> = &'c dyn Fn(&[Value]) -> bool;
    let cases: [Case<'_>; 11] = [
        &|r| is(r, 0, 2),
        &|r| (is(r, 0, 2) || is(r, 0, 6)) && is(r, 2, 1),
        &|r| is(r, 0, 3) || is(r, 0, 4),
        &|_| false,
        &|r| is(r, 3, 77),
        &|r| (79..=82).any(|id| is(r, 3, id)),
        &|r| real(r, 6) < 55_370.0,
        &|r| r[9] == Value::Null,
        &|r| real(r, 9) >= 105.0,
        &|r| is(r, 0, 5),
        &|r| is(r, 0, 2),
    ];
    for (condition, holds) in CONDITIONS.iter().zip(cases) {
        for table in ["forced", "forced_all"] {
            let sql = format!("SELECT * FROM {table} WHERE {condition} ORDER BY forced_id");
            assert_eq!(site.rows(&sql), only(&forced, holds), "{sql}");
        }
    }
    let of_source = "SELECT * FROM variability WHERE source_id = 4 ORDER BY curve_id";
    assert_eq!(site.rows(of_source), only(&variability, |r| is(r, 2, 4)));
    let joined = "SELECT count(*) FROM variability AS v JOIN forced AS f USING (source_id)
         WHERE v.curve_id = 501 AND f.filter_id = 2";
    assert_eq!(site.rows(joined), [[Value::Integer(40)]]);
    let session = site.session(None);
    let narrow =
        try_query(&session, "SELECT count(flux) FROM forced WHERE source_id = 99").unwrap();
    assert_eq!((narrow.0, narrow.1.lake_files), (vec![vec![Value::Integer(0)]], 0));
}

#[test]
fn ranges_of_an_invented_table_end_and_are_reopened() {
    let site = Site::new();
    let (before, _) = first_event(&site);
    let ended = [key(1, 1, 1), key(5, 1, 1), key(5, 2, 1), key(6, 1, 1), key(6, 2, 1)];
    site.event(2, |publication, site| {
        assert_eq!(publication.end(&site.forced.table, ended.clone()).unwrap(), 200);
        assert_eq!(publication.end(&site.forced.table, ended.clone()).unwrap(), 0); // twice is once
    });
    let current = |sql: &str| site.rows(&format!("SELECT * FROM {sql} ORDER BY forced_id"));
    let left = only(&before, |r| {
        ended.iter().all(|k| (0..3).any(|i| !is(r, [0, 2, 1][i], k.values()[i])))
    });
    assert_eq!(left.len(), 280);
    assert_eq!(current("forced"), left);
    assert_eq!(
        current("forced WHERE mjd > 55368"),
        only(&left, |r| matches!(r[6], Value::Real(x) if x > 55_368.0))
    );
    assert_eq!(current("forced_all"), before);
    for (event, wanted) in [(1, &before), (2, &left)] {
        let session = site.session(Some(event));
        assert_eq!(query(&session, "SELECT * FROM forced ORDER BY forced_id"), *wanted, "{event}");
    }
    // Two ranges are reopened, one of them is superseded in the same event.
    let newer = measurements(5..6, 1, 7.0);
    let file = site.load(&site.forced, 2, std::slice::from_ref(&newer), (480, 3)).unwrap();
    site.event(3, |publication, site| {
        let table = &site.forced.table;
        assert_eq!(
            publication.reopen(table, event_id(2), [key(5, 2, 1), key(6, 1, 1)]).unwrap(),
            80
        );
        assert_eq!(publication.end(table, [key(5, 1, 1), key(5, 2, 1)]).unwrap(), 40);
        publication.add(table, &file, |_| 0).unwrap();
    });
    let newer = site.forced.published(&newer, 480, 3);
    let open = only(&before, |r| left.contains(&r.to_vec()) || (is(r, 0, 6) && is(r, 2, 1)));
    assert_eq!(current("forced"), [open, newer.clone()].concat());
    assert_eq!(current("forced_all"), [before.clone(), newer].concat());
    let snapshot = lake::SnapshotId::new(5).unwrap();
    let added = lake::ended_rows_since(&site.connection, &site.lake(), snapshot).unwrap();
    assert_eq!(added.len(), 1);
    assert!(added[0].starts_with(site.lake().join("forced")) && added[0].is_file());
    // What is forgotten is lost to history too.
    let forgotten =
        lake::forget(&site.connection, &site.lake(), &site.forced.table, [PROGRAMME, 1, 480])
            .unwrap();
    assert_eq!(forgotten.len(), 3, "{forgotten:?}"); // the file, and two of ended rows
    let listed = "SELECT count(DISTINCT path) FROM ducklake_data_file WHERE table_id IN (3, 4)";
    let listed: i64 = site.connection.query_row(listed, [], |r| r.get(0)).unwrap();
    assert_eq!(listed, 1);
}

#[test]
fn rows_of_a_table_without_history_never_end() {
    let site = Site::new();
    first_event(&site);
    let changed = site.event(2, |publication, site| {
        let table = &site.variability.table;
        let fault = publication.end(table, [RangeKey::new([1])]).unwrap_err();
        assert!(fault.to_string().ends_with("variability has no history"), "{fault}");
        let fault = publication.end(&site.forced.table, [RangeKey::new([1])]).unwrap_err();
        let wanted = "a range of forced has 1 values for 3 key columns";
        assert!(fault.to_string().ends_with(wanted), "{fault}");
    });
    assert_eq!(changed, None);
    let fault = try_query(&site.session(None), "SELECT * FROM variability_all").unwrap_err();
    assert!(fault.to_string().contains("variability_all does not exist"), "{fault}");
}

#[test]
fn files_that_contradict_the_definition_are_refused() {
    let site = Site::new();
    let good = measurements(1..3, 1, 0.5);
    let mut unsorted = good.clone();
    unsorted.swap(3, 4);
    let mut torn = good.clone();
    torn.extend(measurements(1..2, 1, 0.5));
    let mut foreign = good;
    foreign[7][5] = Value::Integer(9);
    let cases = [
        (unsorted, "row 4 is out of order: a range ascends by mjd"),
        (torn, "the rows of source_id 1, filter_id 1, season 1 are not contiguous"),
        (foreign, "not all rows are of programme 101"),
    ];
    for (rows, wanted) in cases {
        let fault = site.load(&site.forced, 1, &[rows], (0, 1)).unwrap_err().to_string();
        assert!(fault.ends_with(wanted), "{fault}");
    }
}

/// Rows as DuckDB's JSON has them.
fn json(rows: &[Vec<Value>]) -> serde_json::Value {
    let cell = |value: &Value| match value {
        Value::Null => serde_json::Value::Null,
        Value::Integer(n) => (*n).into(),
        Value::Real(x) => (*x).into(),
        other => panic!("the test has no {other:?}"),
    };
    rows.iter().map(|row| row.iter().map(cell).collect::<serde_json::Value>()).collect()
}

#[test]
fn foreign_duckdb_reads_invented_tables() {
    let site = Site::new();
    let (forced, variability) = first_event(&site);
    let snapshot = site.event(2, |publication, site| {
        publication.end(&site.forced.table, [key(2, 1, 1), key(3, 2, 1)]).unwrap();
    });
    let left = only(&forced, |r| !(is(r, 0, 2) && is(r, 2, 1) || is(r, 0, 3) && is(r, 2, 2)));
    let variable = "SELECT * REPLACE (CAST(is_variable AS INTEGER) AS is_variable) FROM lk.variability ORDER BY curve_id";
    let before = format!(
        "SELECT * FROM lk.forced AT (VERSION => {}) ORDER BY forced_id",
        snapshot.unwrap() - 1
    );
    let comments = "SELECT comment FROM duckdb_tables() WHERE database_name = 'lk' AND table_name LIKE 'forced%'
        UNION ALL SELECT comment FROM duckdb_columns() WHERE database_name = 'lk' AND table_name = 'forced' AND column_name = 'mjd'";
    let comment = &site.forced.definition.description;
    let cases = [
        ("SELECT * FROM lk.forced ORDER BY forced_id", json(&left)),
        ("SELECT * FROM lk.forced_all ORDER BY forced_id", json(&forced)),
        (&before, json(&forced)),
        (
            "SELECT * FROM lk.forced WHERE source_id = 2 AND mjd > 55380 ORDER BY forced_id",
            json(&only(&left, |r| is(r, 0, 2) && matches!(r[6], Value::Real(x) if x > 55_380.0))),
        ),
        (variable, json(&variability)),
        ("SELECT count(*) FROM lk.detection_all", serde_json::json!([[0]])),
        (
            comments,
            serde_json::json!([
                [comment],
                [comment],
                ["Modified Julian date (UTC) of the image. [d]"]
            ]),
        ),
        (
            "SELECT count(*) FROM meta.forced_rows WHERE end_event IS NOT NULL",
            serde_json::json!([[2]]),
        ),
    ];
    let queries: Vec<String> = cases.iter().map(|(sql, _)| sql.replace('\n', " ")).collect();
    let dir: &Path = site.dir.path();
    let Some(answers) = duckdb(dir, "stored", Eyes::Ours, &queries) else { return };
    for ((sql, wanted), answer) in cases.iter().zip(answers) {
        assert_eq!(answer, *wanted, "{sql}");
    }
}
