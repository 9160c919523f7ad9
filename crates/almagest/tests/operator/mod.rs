//! What an operator does, through the real binary, in a temporary directory.
#![allow(dead_code, reason = "each test binary uses its part")]

use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use testkit::postgres::{Database, Server};

/// The binary under test.
pub fn almagest() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_almagest"));
    command.env_remove("ALMAGEST_SITE").env_remove("ALMAGEST_CRASH_AT").stdin(Stdio::null());
    command
}

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Said {
    /// Exit code; `None` when it was killed.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Said {
    /// The output of a command that must have ended with this code.
    #[track_caller]
    pub fn ended(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "out:\n{}\nerr:\n{}", self.out, self.err);
        self.out
    }

    /// The same, as JSON.
    #[track_caller]
    pub fn json(self, code: i32) -> Value {
        let out = self.ended(code);
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}:\n{out}"))
    }
}

/// A daemon that is ended when the test is over.
pub struct Daemon(Option<Child>);

impl Daemon {
    /// Starts one, whose words are kept for its end.
    pub fn start(desk: &Desk, words: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = desk.command(&[&["daemon"], words].concat());
        command.envs(environment.iter().copied());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(Some(command.spawn().expect("it starts")))
    }

    /// Starts one whose output may exceed a pipe; the output is discarded.
    pub fn start_unheard(mut command: Command) -> Self {
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Self(Some(command.spawn().expect("it starts")))
    }

    pub fn process(&self) -> &Child {
        self.0.as_ref().expect("it runs")
    }

    /// Ends it by SIGTERM and gives what it said.
    pub fn end(self) -> Said {
        signal(self.process(), rustix::process::Signal::TERM);
        self.wait()
    }

    /// Returns its output, when it has ended by itself.
    pub fn wait(mut self) -> Said {
        self.0.take().expect("it runs").wait_with_output().expect("it ends").into()
    }

    /// Ends it by SIGKILL.
    pub fn kill(mut self) {
        let mut process = self.0.take().expect("it runs");
        process.kill().expect("it lives");
        process.wait().expect("it ends");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut process) = self.0.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Waits until something is so. The limit ends a test that would hang; no outcome depends on the load of the machine.
#[track_caller]
pub fn until(what: &str, is_so: impl FnMut() -> bool) {
    until_within(900, what, is_so);
}

/// Waits until a condition holds, for at most a number of seconds.
#[track_caller]
pub fn until_within(seconds: u64, what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(seconds), "{what}: it never came");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Rows of all tables, then previews, a line each.
#[derive(Debug, PartialEq, Eq)]
pub struct Content(Vec<String>);

impl Content {
    /// Both must be the same; says where they differ.
    #[track_caller]
    pub fn is_that_of(&self, other: &Self, what: &str) {
        for (mine, wanted) in self.0.iter().zip(&other.0) {
            assert!(mine == wanted, "{what}: differs\n{mine:.3000}\nfrom\n{wanted:.3000}");
        }
        assert_eq!(self.0.len(), other.0.len(), "{what}: number of rows and previews");
    }
}

/// A night small enough for a test.
#[derive(Clone, Debug)]
pub struct Small<'a> {
    pub night: &'a str,
    pub version: u32,
    pub frames: usize,
    pub detections: usize,
    pub size: usize,
    pub seed: u64,
    pub faults: bool,
}

impl Default for Small<'_> {
    fn default() -> Self {
        Self {
            night: "20071011",
            version: 1,
            frames: 16,
            detections: 30,
            size: 64,
            seed: 1,
            faults: false,
        }
    }
}

/// What is wrong with a catalogue file of a simulated night.
#[derive(Clone, Copy, Debug)]
pub enum Spoilt {
    /// The HDU of a detector, by its extension number, lacks a column and is refused.
    Refused(usize),
    /// The last HDU is absent.
    LastAbsent,
    /// The first extension is absent, and all others have other extension numbers.
    FirstAbsent,
}

impl Spoilt {
    /// Returns the bytes of a catalogue, or an image, that is spoilt.
    pub fn of(self, whole: &[u8]) -> Vec<u8> {
        const BLOCK: usize = 2880;
        let begins = |at: &usize| whole[*at..].starts_with(b"XTENSION");
        let hdus: Vec<usize> = (0..whole.len()).step_by(BLOCK).filter(begins).collect();
        let mut bytes = whole.to_vec();
        match self {
            Self::LastAbsent => bytes.truncate(*hdus.last().expect("HDUs")),
            Self::FirstAbsent => drop(bytes.drain(hdus[0]..hdus[1])),
            // The first extension has the number 2.
            Self::Refused(ext_num) => {
                let begin = hdus[ext_num - 2];
                let column = b"'X_coordinate";
                let found = bytes[begin..].windows(column.len()).position(|text| text == column);
                bytes[begin + found.expect("a column") + 1] = b'Q';
            }
        }
        bytes
    }
}

/// A directory with an inbox and a site.
pub struct Desk {
    pub dir: TempDir,
    pub site: PathBuf,
}

impl Desk {
    /// A new site that knows the projects of simulated nights, and an empty inbox.
    pub fn new() -> Self {
        let desk = Self::bare();
        desk.at_site(&["programme", "add", "U07B12", "u/07b/12"]).ended(0);
        desk
    }

    /// A new site as `init` makes it, and an empty inbox.
    pub fn bare() -> Self {
        Self::made(&[])
    }

    /// A new site whose archive is in a database of the shared server; `None` where there is no server.
    pub fn on_server() -> Option<(Self, Database)> {
        let database = Server::shared()?.database();
        let desk = Self::made(&["--database", &database.url(), "--roles"]);
        desk.at_site(&["programme", "add", "U07B12", "u/07b/12"]).ended(0);
        Some((desk, database))
    }

    /// A new desk of each kind that this machine can have.
    pub fn of_both_engines() -> Vec<Self> {
        let on_server = Self::on_server().map(|(desk, _)| desk);
        [Self::new()].into_iter().chain(on_server).collect()
    }

    fn made(options: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let site = dir.path().join("site");
        std::fs::create_dir(dir.path().join("inbox")).expect("an inbox");
        let desk = Self { dir, site };
        let words = ["init", desk.site.to_str().expect("UTF-8")];
        desk.plain(&[&words[..], options].concat()).ended(0);
        desk
    }

    /// Nights done by one process on this machine: what everything else is compared with.
    pub fn undisturbed(nights: &[Small]) -> Self {
        let desk = Self::new();
        let deliveries: Vec<PathBuf> = nights.iter().map(|night| desk.simulate(night)).collect();
        let mut words = vec!["run"];
        words.extend(deliveries.iter().map(|d| d.to_str().expect("UTF-8")));
        desk.at_site(&words).ended(0);
        desk
    }

    /// Brings nights into the library, and does nothing about them.
    pub fn transfer(&self, nights: &[Small]) {
        for night in nights {
            let delivery = self.simulate(night);
            self.at_site(&["transfer", delivery.to_str().expect("UTF-8")]).ended(0);
        }
    }

    /// Changes texts of the configuration, each of which must be there. A setting that is commented out as the default is
    /// set by that.
    #[track_caller]
    pub fn configure(&self, changes: &[(&str, &str)]) {
        let path = self.site.join("almagest.toml");
        let mut text = std::fs::read_to_string(&path).expect("there");
        for (from, to) in changes {
            let mut at = 0;
            let mut is_found = false;
            while let Some(found) = text[at..].find(from).map(|found| at + found) {
                let line = text[..found].rfind('\n').map_or(0, |end| end + 1);
                let is_example = text[..line]
                    .rsplit("\n\n")
                    .next()
                    .is_some_and(|part| part.contains("\n# [") || part.starts_with("# ["));
                if is_example {
                    at = found + from.len();
                    continue;
                }
                is_found = true;
                let begin = if text[line..].starts_with("# ") { line + 2 } else { line };
                let kept = text[begin..found].to_owned();
                text.replace_range(line..found + from.len(), &format!("{kept}{to}"));
                at = line + kept.len() + to.len();
            }
            assert!(is_found, "{from}");
        }
        std::fs::write(path, text).expect("written");
    }

    /// Daemons that look often, whatever else this machine does, and an ingester without a port.
    pub fn in_a_hurry(&self) {
        self.configure(&[
            ("max_load = 1.5", "max_load = 0.0"),
            ("poll_seconds = 10", "poll_seconds = 1"),
            ("poll_seconds = 2", "poll_seconds = 1"),
            ("listen = \"127.0.0.1:19187\"", "listen = \"\""),
        ]);
    }

    /// Has tasks run by an `almagest-node` (reports find what runs by that name) that takes a number of seconds more. Returns its
    /// path.
    pub fn slow_node(&self, seconds_more: f64) -> PathBuf {
        let node = Path::new(env!("CARGO_BIN_EXE_almagest")).with_file_name("almagest-node");
        assert!(node.is_file(), "no almagest-node: the tests are run by `cargo test --workspace`");
        let slow = self.dir.path().join("slow/almagest-node");
        std::fs::create_dir_all(slow.parent().expect("a parent")).expect("made");
        let node = node.display();
        let script =
            format!("#!/bin/sh\n[ \"$1\" = run ] && sleep {seconds_more}\nexec {node} \"$@\"\n");
        std::fs::write(&slow, script).expect("a script");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&slow, mode).expect("executable");
        let program = format!("node_program = \"{}\"", slow.display());
        self.configure(&[("node_program = \"\"", &program)]);
        slow
    }

    /// Returns the output of `status --json`.
    pub fn status(&self) -> Value {
        self.at_site(&["status", "--json"]).json(0)
    }

    /// Counts the complete deliveries.
    pub fn complete(&self) -> usize {
        let deliveries = self.status()["deliveries"].as_array().cloned().unwrap_or_default();
        deliveries.iter().filter(|d| d["state"] == "complete").count()
    }

    /// Returns whether the archive is on a server.
    pub fn is_on_server(&self) -> bool {
        !self.site.join("archive.db").exists()
    }

    /// Returns whether the configuration names no database of a server.
    pub fn is_embedded_by_config(&self) -> bool {
        let config = std::fs::read_to_string(self.site.join("almagest.toml")).expect("a site");
        !config.lines().any(|line| line.starts_with("url = "))
    }

    pub fn inbox(&self) -> PathBuf {
        self.dir.path().join("inbox")
    }

    /// A command without a site.
    pub fn plain(&self, words: &[&str]) -> Said {
        almagest()
            .args(words)
            .current_dir(self.dir.path())
            .output()
            .expect("the binary starts")
            .into()
    }

    /// A command for the site.
    pub fn at_site(&self, words: &[&str]) -> Said {
        self.command(words).output().expect("the binary starts").into()
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = almagest();
        command.arg("--site").arg(&self.site).args(words).current_dir(self.dir.path());
        command
    }

    /// Simulates a night into the inbox; its directory.
    pub fn simulate(&self, night: &Small) -> PathBuf {
        let inbox = self.inbox();
        let mut command = almagest();
        command.arg("simulate").arg(&inbox);
        command.args(["--night", night.night, "--version", &night.version.to_string()]);
        command.args([
            "--frames",
            &night.frames.to_string(),
            "--detections",
            &night.detections.to_string(),
        ]);
        command.args([
            "--detector-size",
            &night.size.to_string(),
            "--seed",
            &night.seed.to_string(),
        ]);
        if night.faults {
            command.arg("--faults");
        }
        Said::from(command.output().expect("the binary starts")).ended(0);
        let delivery = inbox.join(format!("{}_v{}", night.night, night.version));
        // A web server reads it as another user.
        let opened = Command::new("chmod").args(["-R", "a+rX"]).arg(&delivery).status();
        assert!(opened.expect("chmod").success());
        delivery
    }

    pub fn run(&self, delivery: &Path) -> Said {
        self.at_site(&["run", delivery.to_str().expect("UTF-8")])
    }

    /// Rows of a query, as JSON objects.
    #[track_caller]
    pub fn rows(&self, query: &str) -> Vec<Value> {
        match self.at_site(&["sql", query, "--format", "json"]).json(0) {
            Value::Array(rows) => rows,
            other => panic!("no array: {other}"),
        }
    }

    /// The only value of a query.
    #[track_caller]
    pub fn value(&self, query: &str) -> Value {
        let rows = self.rows(query);
        assert_eq!(rows.len(), 1, "{query}: {rows:?}");
        let object = rows[0].as_object().expect("an object");
        object.values().next().expect("a value").clone()
    }

    #[track_caller]
    pub fn count(&self, query: &str) -> u64 {
        self.value(query).as_u64().unwrap_or_else(|| panic!("{query} gives no count"))
    }

    /// Open refusals.
    #[track_caller]
    pub fn refusals(&self) -> Vec<Value> {
        match self.at_site(&["refusals", "list", "--json"]).json(0) {
            Value::Array(rows) => rows,
            other => panic!("no array: {other}"),
        }
    }

    /// Everything that curation made, without the times at which it did: for comparing two archives. Events go by what
    /// they were about: two batches may be ready in either order.
    pub fn content(&self) -> Content {
        let events: HashMap<u64, Value> = self
            .rows("SELECT event_id, why FROM event")
            .into_iter()
            .map(|e| (e["event_id"].as_u64().expect("a number"), e["why"].clone()))
            .collect();
        let mut lines = Vec::new();
        for (table, order) in TABLES {
            for mut row in self.rows(&format!("SELECT * FROM {table} ORDER BY {order}")) {
                let event = row["begin_event"].as_u64().expect("every row has an event");
                row["begin_event"] = events[&event].clone();
                lines.push(format!("{table}: {row}"));
            }
        }
        let mut previews: Vec<String> = walk(&self.site.join("previews"));
        previews.sort();
        lines.extend(previews);
        Content(lines)
    }

    /// The same without object ids, which follow the order in which nights became ready.
    pub fn content_without_ids(&self) -> Content {
        let Content(lines) = self.content();
        let without = |line: String| match line.strip_prefix("detection: ") {
            Some(row) => {
                let mut row: Value = serde_json::from_str(row).expect("a row");
                let ids = ["multiframe_id", "ext_num", "seq_num"];
                let key = ids.map(|id| format!("{:>9}", row[id].to_string())).concat();
                row.as_object_mut().expect("an object").remove("obj_id");
                format!("detection: {key} {row}")
            }
            None => line,
        };
        let mut lines: Vec<String> = lines.into_iter().map(without).collect();
        lines.sort();
        Content(lines)
    }

    /// `verify` must find nothing.
    #[track_caller]
    pub fn verified(&self) {
        self.at_site(&["verify"]).ended(0);
    }
}

/// Public tables and an order that identifies their rows.
const TABLES: &[(&str, &str)] = &[
    ("multiframe", "multiframe_id"),
    ("multiframe_detector", "multiframe_id, ext_num"),
    ("astrometry", "multiframe_id, ext_num"),
    ("provenance", "multiframe_id, ext_num, role, position, component_name"),
    ("programme_frame", "programme_id, multiframe_id"),
    ("preview", "multiframe_id, ext_num"),
    ("detection", "programme_id, obj_id"),
];

/// Files below a directory, with their SHA-256.
pub fn walk(dir: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(here) = open.pop() {
        for entry in std::fs::read_dir(&here).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let file = std::fs::File::open(&path).expect("a file");
                let sum = files::hex(&files::sha256(file).expect("readable").0);
                all.push(format!("{} {sum}", path.strip_prefix(dir).expect("below").display()));
            }
        }
    }
    all
}

/// Returns whether a process was stopped, by itself at `ALMAGEST_STOP_AT`.
pub fn is_stopped(process: &std::process::Child) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).expect("it runs");
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
}

/// Waits until a process has stopped.
#[track_caller]
pub fn until_stopped(process: &std::process::Child) {
    let began = std::time::Instant::now();
    while !is_stopped(process) {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id()));
        assert!(!stat.is_ok_and(|stat| stat.contains(") Z ")), "it came to its end");
        assert!(began.elapsed().as_secs() < 900, "it never stopped");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// Sends a signal.
pub fn signal(process: &std::process::Child, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_child(process), signal)
        .expect("it runs");
}

/// Numbers below a bound that look random and are the same every time.
pub fn numbers() -> impl FnMut(u64) -> u64 {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    move |below| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    }
}
