//! Fills the control store with the rows of many deliveries, so that tests run on tables of the size that they reach in years.

use crate::Archive;
use engine::{Connection, Dialect, Kind};
use model::tables::{Column, ColumnType, Table};

const TIME: &str = "'2020-01-01T00:00:00Z'";
const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The rows to be written. A frame and everything that belongs to the frame have one number in every table.
pub(crate) struct Filling {
    /// Number of the first frame, above every number in the store.
    pub first: i64,
    /// Number of frames.
    pub frames: i64,
    /// Number of frames of each delivery.
    pub per_delivery: i64,
    /// Number of calibration frames of each delivery, `w00000.fit` and so on: all deliveries share these names.
    pub calibrations: i64,
}

impl Filling {
    /// Returns the filling for the tests of query plans.
    pub(crate) fn of_many_years() -> Self {
        Self { first: 1000, frames: 20_000, per_delivery: 110, calibrations: 0 }
    }

    fn last(&self) -> i64 {
        self.first + self.frames - 1
    }

    /// Returns the delivery of frame `n`, as SQL.
    fn delivery(&self) -> String {
        format!("{} + n / {}", self.first, self.per_delivery)
    }

    /// Returns the file name of frame `n`, as SQL.
    fn name(&self) -> String {
        let place = format!("(n % {})", self.per_delivery);
        let shared = format!(
            "'w' || substr('00000' || {place}, length(CAST({place} AS TEXT)) + 1) || '.fit'"
        );
        format!("CASE WHEN {place} < {} THEN {shared} ELSE 'f' || n END", self.calibrations)
    }

    /// Returns the beginning of a statement that makes the rows `n` between two numbers.
    fn series(dialect: Dialect, first: i64, last: i64) -> String {
        match dialect {
            Dialect::Sqlite => format!(
                "WITH RECURSIVE n(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM n WHERE n < {last})"
            ),
            Dialect::Postgres => {
                format!("WITH n(n) AS (SELECT generate_series({first}::bigint, {last}::bigint))")
            }
        }
    }
}

/// Writes the rows in one transaction, and refreshes the statistics of the engine.
pub(crate) fn fill(archive: &mut Archive, filling: &Filling) {
    let tx = archive.connection.begin(Kind::Write).unwrap();
    rows(&tx, filling);
    tx.commit().unwrap();
    archive.connection.execute_batch("ANALYZE").unwrap();
}

/// Writes the rows, inside the caller's transaction.
pub(crate) fn rows(tx: &Connection, filling: &Filling) {
    let dialect = tx.dialect();
    let series = Filling::series(dialect, filling.first, filling.last());
    let first = filling.first + filling.first / filling.per_delivery;
    let last = filling.first + filling.last() / filling.per_delivery;
    tx.defer_foreign_keys().unwrap();
    run(tx, &deliveries(&Filling::series(dialect, first, last)));
    run(tx, &files(filling, &series));
    run(
        tx,
        &["UPDATE file SET frame_name = replace(name, '.fit', '') WHERE frame_name = ''"
            .to_owned()],
    );
    run(tx, &work(filling, &series));
    run(tx, &fill_refusals_and_findings(filling, &series));
    run(tx, &detections(&series));
    run(tx, &detectors(&series));
    let tables = crate::metadata::definition::versioned();
    run(tx, &tables.map(|table| metadata(dialect, table, &series)).collect::<Vec<_>>());
}

fn run(tx: &Connection, statements: &[String]) {
    for statement in statements {
        tx.execute_batch(statement).unwrap();
    }
}

fn deliveries(series: &str) -> [String; 1] {
    [format!(
        "INSERT INTO delivery (delivery_id, name, night, version, source, state, first_seen, last_arrival, completed)
         {series} SELECT n, 'd' || n, 20000101 + n, '1', '/x', 'complete', {TIME}, {TIME}, {TIME} FROM n"
    )]
}

fn files(filling: &Filling, series: &str) -> [String; 4] {
    let (delivery, name) = (filling.delivery(), filling.name());
    [
        format!(
            "INSERT INTO file (file_id, delivery_id, name, sha256, bytes, kind, format, survey, path, state, arrived, registered)
             {series} SELECT n, {delivery}, {name}, substr('{ZEROS}' || n, length(CAST(n AS TEXT)) + 1, 64), 1, 'image', 'fits',
                 'wfcam', 'd/f' || n, 'current', {TIME}, {TIME} FROM n"
        ),
        format!("INSERT INTO image (multiframe_id, file_id) {series} SELECT n, n FROM n"),
        format!(
            "INSERT INTO catalogue (multiframe_id, version, file_id, sha256) {series} SELECT n, 1, n, substr('{ZEROS}', 1, 64) FROM n"
        ),
        format!("INSERT INTO scrub (file_id, checked, outcome) {series} SELECT n, {TIME}, 'intact' FROM n"),
    ]
}

/// Returns the statements for rounds, tasks, attempts and plans. Parents are written before their children, because SQLite
/// searches for rows that wait for a parent without an index.
fn work(filling: &Filling, series: &str) -> [String; 12] {
    let delivery = filling.delivery();
    [
        format!(
            "INSERT INTO unit (unit_id, delivery_id, use_case, round, recipe, state, opened)
             {series} SELECT n, {delivery}, 'metadata', n, '', 'ingested', {TIME} FROM n"
        ),
        format!(
            "INSERT INTO event (event_id, act, unit_id, happened, who, why, software)
             {series} SELECT n, 'ingest', n, {TIME}, 'x', 'x', 'x' FROM n"
        ),
        format!("UPDATE counter SET last = {} WHERE name = 'event'", filling.last()),
        format!(
            "INSERT INTO redo (redo_id, file_id, use_case, requested, why, unit_id) {series} SELECT n, n, 'preview', {TIME}, 'x', n FROM n"
        ),
        format!("INSERT INTO batch (unit_id, staged) {series} SELECT n, {TIME} FROM n"),
        format!(
            "INSERT INTO unit_history (unit_id, number, from_state, to_state, changed, who, why)
             {series} SELECT n, 1, 'staged', 'ingested', {TIME}, 'x', 'x' FROM n"
        ),
        format!(
            "INSERT INTO task (task_id, unit_id, number, survey, state) {series} SELECT n, n, 1, 'wfcam', 'given_up' FROM n"
        ),
        format!(
            "INSERT INTO task_input (task_id, ordinal, multiframe_id, outcome) {series} SELECT n, 1, n, 'done' FROM n"
        ),
        format!(
            "INSERT INTO attempt (task_id, number, state, directory, swept, executor, holder, started, lease_until, ended)
             {series} SELECT n, 1, 'lost', 'x', 1, 'x', 'x', {TIME}, {TIME}, {TIME} FROM n"
        ),
        format!(
            "INSERT INTO attempt_place (task_id, number, host, job, memory_bytes) {series} SELECT n, 1, 'x', '', 1 FROM n"
        ),
        format!(
            "INSERT INTO plan (plan_id, proposed, proposer, state, document) VALUES (1, {TIME}, 'x', 'superseded', 'x')"
        ),
        format!(
            "INSERT INTO assignment (task_id, plan_id, host, starts, seconds, approved, is_bound)
             {series} SELECT n, 1, 'x', {TIME}, 1, 1, 0 FROM n"
        ),
    ]
}

fn fill_refusals_and_findings(filling: &Filling, series: &str) -> [String; 4] {
    let (delivery, name) = (filling.delivery(), filling.name());
    [
        format!(
            "INSERT INTO refusal (refusal_id, delivery_id, file_id, file_name, stage, code, message, parked, state, first_seen, last_seen)
             {series} SELECT n, {delivery}, CASE WHEN n % 2 = 0 THEN n END, {name}, 'metadata', 'bad', 'x', 0, 'resolved',
                 {TIME}, {TIME} FROM n"
        ),
        format!(
            "INSERT INTO refusal_history (refusal_id, number, to_state, changed, who, why)
             {series} SELECT n, 1, 'resolved', {TIME}, 'x', 'x' FROM n"
        ),
        format!(
            "INSERT INTO finding (delivery_id, stage, round, code, subject, files, occurrences, example_file, message)
             {series} SELECT {delivery}, 'metadata', n, 'odd', '', 1, 1, 'x', 'x' FROM n"
        ),
        format!(
            "INSERT INTO hdu_rows (unit_id, multiframe_id, cat_ext_num, rows_read, rows_written, rows_refused)
             {series} SELECT n, n, 1, 10, 10, 0 FROM n"
        ),
    ]
}

/// Returns the statements for detections and products. All those of every second frame ended in the frame's own event.
fn detections(series: &str) -> [String; 4] {
    [
        format!(
            "INSERT INTO detector_rows (programme_id, first_obj_id, rows, multiframe_id, ext_num, version, file_id, file_row,
                 begin_event, end_event)
             {series} SELECT 7, n * 100, 10, n, 2, 1, n, 0, n, CASE WHEN n % 2 = 0 THEN n + 0 END FROM n"
        ),
        format!(
            "INSERT INTO id_range (lake_table, programme_id, first_id, last_id, unit_id, state)
             {series} SELECT 'detection', 7, n * 100, n * 100 + 10, n, 'ingested' FROM n"
        ),
        format!(
            "INSERT INTO retraction (event_id, unit_id, purged) {series} SELECT n, n, {TIME} FROM n"
        ),
        format!(
            "INSERT INTO product (multiframe_id, use_case, state, ended_event, changed_event)
             {series} SELECT n, use_case, CASE WHEN n % 2 = 0 THEN 'retracted' ELSE 'current' END, CASE WHEN n % 2 = 0 THEN n END, n
             FROM n CROSS JOIN (SELECT 'metadata' AS use_case UNION ALL SELECT 'preview' UNION ALL SELECT 'catalogue') AS made"
        ),
    ]
}

fn detectors(series: &str) -> [String; 1] {
    [format!(
        "INSERT INTO product_detector (multiframe_id, ext_num, state, version, ended_event, changed_event)
         {series} SELECT n, 2, CASE WHEN n % 2 = 0 THEN 'retracted' ELSE 'current' END, 1, CASE WHEN n % 2 = 0 THEN n END, n FROM n"
    )]
}

/// Returns the statement for the rows of a table of metadata, whose columns are NULL where that is allowed.
fn metadata(dialect: Dialect, table: &Table, series: &str) -> String {
    use ColumnType::{Bool, Bytes, Text};
    let needed: Vec<&Column> = table.columns.iter().filter(|c| !c.nullable).collect();
    let names: Vec<String> = needed.iter().map(|c| format!("\"{}\"", c.name)).collect();
    let values: Vec<&str> = needed
        .iter()
        .map(|c| match (c.name.as_str(), c.kind, dialect) {
            ("multiframe_id", ..) => "n",
            ("programme_id", ..) => "7",
            (_, Text, _) => "'x' || n",
            (_, Bool, Dialect::Postgres) => "true",
            (_, Bytes, Dialect::Postgres) => "''::bytea",
            (_, Bytes, _) => "x''",
            _ => "1",
        })
        .collect();
    format!(
        "INSERT INTO \"{}_all\" ({}, begin_event, end_event) {series}
         SELECT {}, n, CASE WHEN n % 2 = 0 THEN n END FROM n",
        table.name,
        names.join(", "),
        values.join(", ")
    )
}
