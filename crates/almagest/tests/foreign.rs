//! The archive as stock DuckDB and stock sqlite3 see it: they must agree with `almagest sql` in everything, as any user,
//! while a night is ingested, and wherever the site was moved.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod operator;

use operator::{Desk, Said, Small};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const SCRIPT: &str = include_str!("foreign.py");

/// User and group `nobody`.
const NOBODY: u32 = 65534;

/// Columns whose statistics the lake keeps.
const INDEXED: [&str; 10] = [
    "obj_id",
    "multiframe_id",
    "ext_num",
    "programme_id",
    "mjd",
    "healpix29",
    "ra",
    "dec",
    "filter_id",
    "begin_event",
];

/// Whose eyes the other program looks with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Eyes {
    Ours,
    /// Those of the user `nobody`; only root can lend them.
    Others,
}

impl Eyes {
    /// A program that looks with these eyes and keeps its own files in a home of its own.
    fn program(self, desk: &Desk, program: &Path) -> Command {
        let home = desk.dir.path().join(format!("home of {self:?}"));
        std::fs::create_dir_all(&home).unwrap();
        let mut command = match self {
            Self::Ours => Command::new(program),
            Self::Others => {
                chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
                let mut command = Command::new("setpriv");
                let user = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")];
                command.args(user).arg("--clear-groups").arg(program);
                command
            }
        };
        command.env("HOME", &home).current_dir(home);
        command
    }
}

/// DuckDB with the archive attached as `almagest attach` says.
struct Duckdb {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Duckdb {
    /// `None` without Python (and says so).
    fn start(desk: &Desk, eyes: Eyes) -> Option<Self> {
        let python = testkit::python()?;
        let attach = desk.at_site(&["attach"]).ended(0);
        let mut child = eyes
            .program(desk, &python)
            .args(["-W", "error", "-c", SCRIPT, &attach])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let questions = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Some(Self { child, questions, answers })
    }

    #[track_caller]
    fn asked(&mut self, sql: &str, fresh: bool) -> Value {
        let question = json!({ "sql": sql, "fresh": fresh });
        writeln!(self.questions, "{question}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "DuckDB failed at {sql}");
        serde_json::from_str(&line).unwrap()
    }

    #[track_caller]
    fn rows(&mut self, sql: &str) -> Value {
        self.asked(sql, false)
    }

    /// Its only failure is one of a query.
    fn end(self) {
        let Self { mut child, questions, answers } = self;
        drop((questions, answers));
        assert!(child.wait().unwrap().success(), "DuckDB ended badly");
    }
}

/// The rows of `almagest sql`, as arrays.
#[track_caller]
fn ours(desk: &Desk, sql: &str) -> Value {
    let rows = desk.rows(sql);
    rows.into_iter()
        .map(|row| row.as_object().unwrap().values().cloned().collect::<Vec<Value>>())
        .collect()
}

/// Equal, but for the order in which floating-point numbers were added up.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Number(x), Value::Number(y)) if x.is_f64() || y.is_f64() => {
            let (x, y) = (x.as_f64().unwrap(), y.as_f64().unwrap());
            (x - y).abs() <= 1e-11 * x.abs().max(y.abs())
        }
        _ => a == b,
    }
}

/// Asks both the same; `LAKE.` and `META.` stand before the names of tables.
#[track_caller]
fn agree(desk: &Desk, duckdb: &mut Duckdb, sql: &str) -> Value {
    let ours = ours(desk, &sql.replace("LAKE.", "").replace("META.", ""));
    let theirs = duckdb.rows(&sql.replace("LAKE.", "lake.").replace("META.", "archive."));
    assert!(same(&ours, &theirs), "{sql}:\nours   {ours:.2000}\ntheirs {theirs:.2000}");
    ours
}

/// A number as both dialects read it: not as a decimal fraction.
fn literal(text: &str) -> String {
    if text.contains('.') { format!("{text}e0") } else { text.to_owned() }
}

/// Values of a column at some places of its order, as `almagest sql` writes them.
fn quantiles(desk: &Desk, column: &str, table: &str) -> [String; 3] {
    let sql = format!("SELECT {column} FROM {table} WHERE {column} IS NOT NULL ORDER BY 1");
    let csv = desk.at_site(&["sql", &sql, "--format", "csv"]).ended(0);
    let values: Vec<&str> = csv.lines().skip(1).collect();
    [0.25, 0.5, 0.75].map(|at| literal(values[(values.len() as f64 * at) as usize]))
}

/// Conditions on an indexed column.
fn conditions(desk: &Desk, column: &str, table: &str) -> Vec<String> {
    let [low, middle, high] = quantiles(desk, column, table);
    vec![
        format!("{column} = {middle}"),
        format!("{column} <> {middle}"),
        format!("{column} IN ({low}, {high})"),
        format!("{column} BETWEEN {low} AND {high}"),
        format!("{column} < {low}"),
        format!("{column} >= {high}"),
        format!("{column} IS NULL"),
        format!("{column} IS NOT NULL"),
        format!("{column} IS NULL OR {column} > {middle}"),
    ]
}

const JOIN: &str = "SELECT m.file_name, m.filter_id, count(*), CAST(sum(d.obj_id) AS BIGINT)
     FROM META.multiframe AS m JOIN LAKE.detection AS d USING (multiframe_id) GROUP BY 1, 2 ORDER BY 1, 2 NULLS FIRST";

/// Counts, sums, filtered counts, a sample of rows, a join.
fn agree_in_everything(desk: &Desk, duckdb: &mut Duckdb) {
    for table in ["detection", "detection_all"] {
        let counts = format!(
            "SELECT count(*), {}, count(aper_mag3), CAST(sum(obj_id) AS BIGINT), CAST(sum(seq_num) AS BIGINT),
                 sum(ra), sum(dec), sum(CAST(aper_mag3 AS DOUBLE)), min(mjd), max(mjd), min(ra), max(dec),
                 min(healpix29), max(healpix29), min(begin_event), max(begin_event)",
            INDEXED.map(|c| format!("count({c})")).join(", ")
        );
        agree(desk, duckdb, &format!("{counts} FROM LAKE.{table}"));
        for column in INDEXED {
            let conditions = conditions(desk, column, table);
            let each = conditions.iter().enumerate().map(|(i, condition)| {
                let counts = counts.replacen("SELECT", &format!("SELECT {i} AS number,"), 1);
                format!("{counts} FROM LAKE.{table} WHERE {condition}")
            });
            let sql = each.collect::<Vec<_>>().join(" UNION ALL ") + " ORDER BY 1";
            let found = agree(desk, duckdb, &sql);
            assert_ne!(found[0][1], json!(0), "{}", conditions[0]);
        }
        for sample in ["obj_id % 23 = 5", "mjd IS NULL AND obj_id % 7 = 0"] {
            let sql = format!(
                "SELECT * FROM LAKE.{table} WHERE {sample} ORDER BY programme_id, obj_id LIMIT 200"
            );
            let rows = agree(desk, duckdb, &sql);
            assert!(rows[0].as_array().unwrap().len() > 50, "many columns");
        }
    }
    let joined = agree(desk, duckdb, JOIN);
    assert!(joined.as_array().unwrap().len() > 3);
}

/// What an ingest changes: rows, their sum, the frames they are of.
const STATE: &str = "SELECT count(*), CAST(sum(obj_id) AS BIGINT), count(DISTINCT multiframe_id) FROM LAKE.detection";

/// The same through a join with another attached database.
const JOINED_STATE: &str =
    "SELECT count(*), CAST(sum(d.obj_id) AS BIGINT), count(DISTINCT m.multiframe_id)
     FROM LAKE.detection AS d JOIN META.multiframe AS m USING (multiframe_id)";

fn last_snapshot(duckdb: &mut Duckdb) -> i64 {
    let rows = duckdb.rows("SELECT max(snapshot_id) FROM lake.snapshots()");
    rows[0][0].as_i64().unwrap()
}

/// Where the ingest of detections is held while others look: files in the lake that no table lists; rows that are not
/// committed; rows that are, with the log not yet merged into the database.
const HELD: [&str; 3] = ["load:lake-files:1", "publish:before-commit:3", "publish:after-commit:3"];

/// Ingests a night and looks at held instants and in between; every answer is the state before or the one after. Then
/// as of before.
fn an_ingest(desk: &Desk, eyes: Eyes, night: &str, held: &str, seed: u64) -> Option<()> {
    let delivery =
        desk.simulate(&Small { night, frames: 96, detections: 150, seed, ..Small::default() });
    readable_by_all(desk);
    let mut duckdb = Duckdb::start(desk, eyes)?;
    let before = agree(desk, &mut duckdb, STATE);
    let snapshot = last_snapshot(&mut duckdb);
    let by_filter =
        "SELECT filter_id, count(*) FROM LAKE.detection GROUP BY 1 ORDER BY 1 NULLS FIRST";
    let filters_before = agree(desk, &mut duckdb, by_filter);

    let mut run = desk.command(&["run", delivery.to_str().unwrap()]);
    let mut run = run
        .env("ALMAGEST_STOP_AT", held)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut seen, mut looks) = (Vec::new(), 0);
    let questions = [(true, STATE), (false, STATE), (true, JOINED_STATE), (false, JOINED_STATE)];
    for (fresh, sql) in questions.into_iter().cycle() {
        if run.try_wait().unwrap().is_some() {
            break;
        }
        let stopped = operator::is_stopped(&run);
        seen.push(duckdb.asked(&sql.replace("LAKE", "lake").replace("META", "archive"), fresh));
        looks += usize::from(stopped);
        if stopped && looks == 2 * questions.len() {
            operator::signal(&run, rustix::process::Signal::CONT);
        }
    }
    assert_eq!(run.wait().unwrap().code(), Some(0), "the run");
    assert!(looks >= 2 * questions.len(), "the run never passed {held}");
    let after = agree(desk, &mut duckdb, STATE);
    assert_ne!(before, after);
    for state in &seen {
        assert!(*state == before || *state == after, "{state} is neither {before} nor {after}");
    }
    assert_eq!(seen[0], before);

    let then = |sql: &str| {
        sql.replace("LAKE.detection", &format!("lake.detection AT (VERSION => {snapshot})"))
    };
    assert_eq!(duckdb.rows(&then(STATE)), before, "as of snapshot {snapshot}");
    assert_eq!(duckdb.rows(&then(by_filter)), filters_before, "as of snapshot {snapshot}");
    assert!(last_snapshot(&mut duckdb) > snapshot);
    duckdb.end();
    Some(())
}

/// Lets users of no group of the site read it, now and what comes.
fn readable_by_all(desk: &Desk) {
    let dir = desk.dir.path();
    let config = desk.site.join("almagest.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    if !text.contains("\numask = \"022\"") {
        assert!(text.contains("# umask = "), "{text}");
        let open = text.replacen("# umask = \"\"", "umask = \"022\"", 1);
        std::fs::write(&config, open).unwrap();
    }
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    let status = Command::new("chmod").args(["-R", "a+rX"]).arg(&desk.site).status().unwrap();
    assert!(status.success());
}

/// Renames cards of a file, by their prefix, so that no reader finds them; checksums too, which would reveal it.
fn hide_cards(file: &Path, cards: &[&str]) {
    let mut bytes = std::fs::read(file).unwrap();
    for card in bytes.chunks_exact_mut(80) {
        let hidden = ["CHECKSUM=", "DATASUM ="];
        if hidden.iter().chain(cards).any(|beginning| card.starts_with(beginning.as_bytes())) {
            card[..8].copy_from_slice(b"HIDDEN  ");
        }
    }
    std::fs::write(file, bytes).unwrap();
}

/// A site with unknown values in indexed columns, and with rows that ended.
fn grown() -> Desk {
    let desk = Desk::new();
    let small = Small { frames: 32, detections: 60, ..Small::default() };
    let first = desk.simulate(&small);
    let mut names: Vec<String> = std::fs::read_dir(&first)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| n.ends_with("_cat.fits"))
        .collect();
    names.sort();
    assert!(names.len() > 3);
    // No filter; no date. A row without a place on the sky would be refused.
    let unknown = [&["FILTER  ="][..], &["MJD-OBS =", "DATE-OBS="]];
    for (catalogue, cards) in names[1..].iter().zip(unknown) {
        hide_cards(&first.join(catalogue), cards);
        hide_cards(&first.join(catalogue.replace("_cat.fits", ".fit")), cards);
    }
    let said = desk.run(&first);
    assert_eq!(said.code, Some(0), "{said:?}\n{:?}", desk.refusals());
    // The first frame is delivered again, with other rows.
    let other = Desk::new();
    let second = other.simulate(&Small { seed: 2, ..small });
    for name in [names[0].clone(), names[0].replace("_cat.fits", ".fit")] {
        std::fs::copy(second.join(&name), first.join(&name)).unwrap();
    }
    desk.run(&first).ended(0);
    assert!(
        desk.count("SELECT count(*) FROM detection_all")
            > desk.count("SELECT count(*) FROM detection")
    );
    for column in ["mjd", "filter_id"] {
        let unknown = format!("SELECT count(*) FROM detection WHERE {column} IS NULL");
        assert!(desk.count(&unknown) > 0, "{column} is always known");
    }
    desk
}

/// A retraction hides rows from DuckDB as from us, and its undo shows them again.
fn a_retraction(desk: &Desk, eyes: Eyes, delivery: &str) {
    let before = desk.count("SELECT count(*) FROM detection");
    for undo in [false, true] {
        let words = ["retract", delivery, "--reason", "a test", "--undo"];
        desk.at_site(&words[..if undo { 5 } else { 4 }]).ended(0);
        assert_eq!(desk.count("SELECT count(*) FROM detection") == before, undo);
        readable_by_all(desk);
        let Some(mut duckdb) = Duckdb::start(desk, eyes) else { return };
        agree_in_everything(desk, &mut duckdb);
        duckdb.end();
    }
}

fn everything(eyes: Eyes) {
    let mut desk = grown();
    for ((night, seed), held) in
        [("20071013", 3), ("20071014", 4), ("20071015", 5)].into_iter().zip(HELD)
    {
        readable_by_all(&desk);
        let Some(mut duckdb) = Duckdb::start(&desk, eyes) else { return };
        agree_in_everything(&desk, &mut duckdb);
        duckdb.end();
        an_ingest(&desk, eyes, night, held, seed);
        if night == "20071013" {
            a_retraction(&desk, eyes, "20071013_v1");
        }
        let elsewhere = desk.dir.path().join(format!("the site's place after {night}"));
        std::fs::rename(&desk.site, &elsewhere).unwrap();
        desk.site = elsewhere;
    }
}

#[test]
fn foreign_duckdb_agrees_during_an_ingest_and_after_a_move() {
    everything(Eyes::Ours);
}

#[test]
fn foreign_duckdb_of_another_user_agrees_during_an_ingest_and_after_a_move() {
    if !rustix::process::getuid().is_root() {
        testkit::skipped("only root can become another user");
        return;
    }
    everything(Eyes::Others);
}

/// While a writer retracts a night and restores it, every answer about `pinned` shows one event: detections, and frames
/// joined with them, are there together or not at all.
#[test]
fn foreign_duckdb_sees_one_event_under_pinned_names() {
    let desk = Desk::new();
    for (night, seed) in [("20071011", 1), ("20071012", 2)] {
        let small = Small { night, seed, frames: 4, detections: 20, ..Small::default() };
        desk.run(&desk.simulate(&small)).ended(0);
    }
    let Some(mut duckdb) = Duckdb::start(&desk, Eyes::Ours) else { return };
    let attach = desk.at_site(&["attach"]).ended(0);
    let pins: Vec<&str> = attach.lines().filter(|l| l.starts_with("SET VARIABLE")).collect();
    assert_eq!(pins.len(), 2, "{attach}");
    let question = "SELECT (SELECT count(*) FROM pinned.detection),
            (SELECT count(*) FROM pinned.detection JOIN pinned.multiframe USING (multiframe_id)),
            (SELECT count(*) FROM pinned.detection JOIN pinned.multiframe_detector USING (multiframe_id, ext_num)),
            (SELECT count(*) FROM pinned.multiframe), (SELECT count(*) FROM pinned.preview),
            (SELECT count(DISTINCT multiframe_id) FROM pinned.detection)";
    let with = duckdb.rows(question);
    let words = ["retract", "20071012_v1", "--reason", "a test", "--undo"];
    desk.at_site(&words[..4]).ended(0);
    let again = |duckdb: &mut Duckdb| {
        for pin in &pins {
            duckdb.rows(pin);
        }
        duckdb.rows(question)
    };
    assert_eq!(duckdb.rows(question), with, "a pinned state stays");
    let without = again(&mut duckdb);
    assert_ne!(with, without);
    for state in [&with, &without] {
        assert!(state[0][0] == state[0][1] && state[0][0] == state[0][2], "{state}");
    }
    let stop = std::sync::atomic::AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let stop = &stop;
        let writer = scope.spawn(|| {
            let mut undo = true;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                desk.at_site(&words[..if undo { 5 } else { 4 }]).ended(0);
                undo = !undo;
            }
        });
        let mut seen: Vec<Value> = Vec::new();
        let began = std::time::Instant::now();
        // A failure here ends the writer, too.
        let ends = Stop(stop);
        let both = |seen: &[Value]| seen.contains(&with) && seen.contains(&without);
        while (seen.len() < 60 || !both(&seen)) && began.elapsed().as_secs() < 300 {
            seen.push(again(&mut duckdb));
        }
        drop(ends);
        writer.join().unwrap();
        seen
    });
    assert!(seen.contains(&with) && seen.contains(&without), "both states were met");
    for state in &seen {
        assert!(*state == with || *state == without, "{state} is neither {with} nor {without}");
    }
    // The whole of what is printed may be repeated.
    duckdb.rows(&attach);
    duckdb.end();
}

/// Tables and views of archive.db with their numbers of rows, as `almagest sql` sees them.
fn objects(desk: &Desk) -> Vec<(String, i64)> {
    let names =
        desk.rows("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY 1");
    let mut objects = Vec::new();
    for row in names {
        let name = row["name"].as_str().unwrap();
        objects.push((
            name.to_owned(),
            desk.count(&format!("SELECT count(*) FROM \"{name}\"")) as i64,
        ));
    }
    assert!(objects.len() > 50, "{}", objects.len());
    objects
}

#[test]
fn foreign_duckdb_lists_and_reads_every_object() {
    let desk = grown();
    let Some(mut duckdb) = Duckdb::start(&desk, Eyes::Ours) else { return };
    let listed = duckdb.rows(
        "SELECT table_name FROM information_schema.tables WHERE table_catalog = 'archive' ORDER BY 1",
    );
    let objects = objects(&desk);
    let names: Value = objects.iter().map(|(name, _)| vec![name.as_str()]).collect();
    assert_eq!(listed, names);
    for (name, rows) in &objects {
        let counted = duckdb.rows(&format!("SELECT count(*) FROM archive.\"{name}\""));
        assert_eq!(counted, json!([[rows]]), "{name}");
        // Every value of every column has the type that its column declares.
        duckdb.rows(&format!("SELECT count(COLUMNS(*)) FROM archive.\"{name}\""));
    }
    duckdb.end();
}

/// Returns the output of stock sqlite3.
fn sqlite3(desk: &Desk, eyes: Eyes, sql: &str) -> String {
    let said: Said = eyes
        .program(desk, Path::new("sqlite3"))
        .args(["-batch", "-bail", "-readonly"])
        .arg(desk.site.join("archive.db"))
        .arg(sql)
        .output()
        .unwrap()
        .into();
    assert_eq!(said.err, "", "{sql}");
    said.ended(0)
}

#[test]
fn foreign_sqlite3_lists_and_reads_every_object() {
    if Command::new("sqlite3").arg("-version").output().is_err() {
        testkit::skipped("no sqlite3");
        return;
    }
    let desk = grown();
    readable_by_all(&desk);
    let mut eyes = vec![Eyes::Ours];
    if rustix::process::getuid().is_root() {
        eyes.push(Eyes::Others);
    }
    let objects = objects(&desk);
    for eyes in eyes {
        let listed = sqlite3(
            &desk,
            eyes,
            "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY 1",
        );
        let names: Vec<&str> = objects.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(listed.lines().collect::<Vec<_>>(), names);
        for (name, rows) in &objects {
            let counted = sqlite3(&desk, eyes, &format!("SELECT count(*) FROM \"{name}\""));
            assert_eq!(counted.trim(), rows.to_string(), "{name}");
        }
        let checked = sqlite3(&desk, eyes, "PRAGMA integrity_check; PRAGMA foreign_key_check");
        assert_eq!(checked.trim(), "ok");
    }
}

/// Sets a flag when it is dropped.
struct Stop<'a>(&'a std::sync::atomic::AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}
