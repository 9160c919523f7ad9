//! Queries that would take for ever, or all memory, and archives beside which nothing can be written.

mod operator;

use operator::{Desk, Said, Small, signal, until, until_stopped};
use rustix::process::Signal;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A query that never ends: one call of one function, or rows that never come.
fn endless(desk: &Desk) -> &'static str {
    match desk.is_on_server() {
        true => "SELECT count(*) FROM generate_series(1, 1000000000000) AS g (x) WHERE sqrt(x) < 0",
        false => {
            "SELECT instr(printf('%.*c', 50000000, 'a'), printf('%.*c', 1000000, 'a') || 'b') AS found"
        }
    }
}

/// Rows of a long text each.
fn long_rows(desk: &Desk, rows: u64, bytes: u64) -> String {
    match desk.is_on_server() {
        true => {
            format!("SELECT i, repeat('x', {bytes}) AS t FROM generate_series(1, {rows}) AS g (i)")
        }
        false => format!(
            "WITH RECURSIVE g (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM g WHERE i < {rows})
             SELECT i, printf('%.*c', {bytes}, 'x') AS t FROM g"
        ),
    }
}

const FORMATS: [&str; 4] = ["table", "csv", "json", "parquet"];

/// Long beyond what a machine that is busy with other tests adds.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Threads of a process: those that watch the clock and the signals are there.
fn threads(process: &Child) -> usize {
    std::fs::read_dir(format!("/proc/{}/task", process.id())).map_or(0, Iterator::count)
}

#[test]
fn limits_of_time_hold_whatever_a_query_does() {
    for desk in Desk::of_both_engines() {
        for format in FORMATS {
            let began = Instant::now();
            let words = ["sql", endless(&desk), "--seconds", "1", "--format", format];
            let said = desk.at_site(&[&words[..], &["--output", "out"]].concat());
            assert_eq!(said.code, Some(3), "{format}: {said:?}");
            assert!(said.err.contains("time limit of 1 s"), "{format}: {said:?}");
            assert!(began.elapsed() < TIMEOUT, "{format}");
            let left: Vec<_> = std::fs::read_dir(desk.dir.path())
                .expect("listed")
                .flatten()
                .map(|e| e.file_name().to_string_lossy().into_owned())
                .filter(|name| name == "out" || name.starts_with(".publishing"))
                .collect();
            assert!(left.is_empty(), "{format}: {left:?}");
        }
        // A program that reads our output and stops reading does not hold it up either.
        let mut command =
            desk.command(&["sql", &long_rows(&desk, 1_000_000, 100_000), "--seconds", "1"]);
        let unread = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut unread = unread.expect("it starts");
        until("the end of the unread query", || unread.try_wait().expect("it runs").is_some());
        assert_eq!(unread.wait().expect("it ended").code(), Some(3));
    }
}

#[test]
fn an_interrupt_ends_a_query_whatever_it_does() {
    for desk in Desk::of_both_engines() {
        let mut command = desk.command(&["sql", endless(&desk)]);
        let process =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        until("threads that watch", || threads(&process) >= 3);
        std::thread::sleep(Duration::from_millis(300));
        signal(&process, Signal::INT);
        let began = Instant::now();
        let said = Said::from(process.wait_with_output().expect("it ends"));
        assert_eq!(said.code, Some(130), "{said:?}");
        assert!(said.err.contains("interrupted"), "{said:?}");
        assert!(began.elapsed() < TIMEOUT);
    }
}

/// A process with less memory than a tenth of the result's bytes writes it whole, in every format.
#[test]
fn writers_hold_a_few_rows_however_long() {
    for desk in Desk::of_both_engines() {
        let query = long_rows(&desk, 80, 20_000_000);
        for format in FORMATS {
            let binary = env!("CARGO_BIN_EXE_almagest");
            let script = "ulimit -v 900000 && exec \"$@\" >/dev/null";
            let said: Said = Command::new("sh")
                .args(["-c", script, "sh", binary, "--site"])
                .arg(&desk.site)
                .args(["sql", &query, "--seconds", "0", "--format", format])
                .stdin(Stdio::null())
                .output()
                .expect("it starts")
                .into();
            assert_eq!(said.code, Some(0), "{format}: {:.2000}", said.err);
        }
    }
}

#[test]
fn no_length_of_a_cell_is_a_panic() {
    for desk in Desk::of_both_engines() {
        for bytes in [65_534_u64, 65_535, 65_536, 70_000] {
            let said = desk.at_site(&["sql", &long_rows(&desk, 3, bytes)]).ended(0);
            assert_eq!(said.matches('x').count() as u64, 3 * bytes);
        }
    }
}

/// User and group `nobody`.
const NOBODY: u32 = 65534;

/// A user who may read a directory and write nothing.
struct Reader {
    dir: tempfile::TempDir,
    binary: PathBuf,
    is_other: bool,
}

impl Reader {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("ours");
        let binary = dir.path().join("almagest");
        std::fs::copy(env!("CARGO_BIN_EXE_almagest"), &binary).expect("copied");
        std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).expect("ours");
        let home = dir.path().join("home");
        std::fs::create_dir(&home).expect("made");
        let is_other = rustix::process::getuid().is_root();
        if is_other {
            chown(&home, Some(NOBODY), Some(NOBODY)).expect("root may");
        }
        Self { dir, binary, is_other }
    }

    /// A copy of a site without the named files, in which nothing can be written.
    fn copy(&self, site: &Path, name: &str, without: &[&str]) -> PathBuf {
        let copy = self.dir.path().join(name);
        let copied = Command::new("cp").arg("-a").arg(site).arg(&copy).status();
        assert!(copied.expect("cp runs").success());
        for name in without {
            let _ = std::fs::remove_file(copy.join(name));
        }
        let mode = Command::new("chmod").args(["-R", "a+rX,a-w"]).arg(&copy).status();
        assert!(mode.expect("chmod runs").success());
        copy
    }

    fn run(&self, site: &Path, words: &[&str]) -> Said {
        let mut command =
            Command::new(if self.is_other { Path::new("setpriv") } else { &self.binary });
        if self.is_other {
            let user = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")];
            command.args(user).arg("--clear-groups").arg(&self.binary);
        }
        command.arg("--site").arg(site).args(words).current_dir(self.dir.path().join("home"));
        command.stdin(Stdio::null()).output().expect("it starts").into()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = Command::new("chmod").args(["-R", "u+w"]).arg(self.dir.path()).status();
    }
}

#[test]
fn a_copy_beside_which_nothing_can_be_written_is_read() {
    let desk = Desk::new();
    let small = |night, seed| Small { night, seed, frames: 3, ..Small::default() };
    desk.run(&desk.simulate(&small("20071011", 1))).ended(0);
    let reader = Reader::new();
    let questions: [&[&str]; 4] = [
        &[
            "sql",
            "SELECT count(*), sum(obj_id) FROM detection JOIN multiframe USING (multiframe_id)",
        ],
        &["status"],
        &["explain", "20071011_v1"],
        &["refusals", "list"],
    ];
    let same = |name: &str, without: &[&str], note: Option<&str>| {
        let copy = reader.copy(&desk.site, name, without);
        for words in questions {
            let said = reader.run(&copy, words);
            assert_eq!(said.code, Some(0), "{name}: {words:?}: {said:?}");
            match note {
                Some(note) => assert_eq!(said.err.matches(note).count(), 1, "{name}: {said:?}"),
                None => assert!(!said.err.contains("note:"), "{name}: {said:?}"),
            }
            if words[0] == "sql" {
                assert_eq!(said.out, desk.at_site(words).ended(0), "{name}");
            }
        }
        // What would write says that it cannot.
        let said = reader.run(&copy, &["ingest"]);
        assert!(matches!(said.code, Some(3 | 4)), "{name}: {said:?}");
    };
    same("whole", &[], None);
    same("without-both", &["archive.db-shm", "archive.db-wal"], Some("that does not change"));
    same("without-shm", &["archive.db-shm"], Some("note:"));
    // In the midst of an ingest the log holds what the database does not.
    let next = desk.simulate(&small("20071012", 2));
    let mut command = desk.command(&["run", next.to_str().expect("UTF-8")]);
    command.env("ALMAGEST_STOP_AT", "publish:after-commit:3").stdout(Stdio::null());
    let process = command.spawn().expect("it starts");
    until_stopped(&process);
    assert!(std::fs::metadata(desk.site.join("archive.db-wal")).expect("there").len() > 0);
    same("with-a-log", &["archive.db-shm"], Some("a copy of the database is read"));
    signal(&process, Signal::CONT);
    assert_eq!(process.wait_with_output().expect("it ends").status.code(), Some(0));
}
