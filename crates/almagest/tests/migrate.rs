//! Migrations in both directions, killed anywhere, and beside others that work on the site: no night is lost.
//!
//! `ALMAGEST_MIGRATIONS` sets the number of migrations beside a run, a scheduler and readers, in each direction.

mod operator;

use model::Advice;
use operator::{Content, Daemon, Desk, Said, Small, signal, until, until_stopped};
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use testkit::postgres::Server;

/// Migrations beside others in an ordinary run of the suite, in each direction.
const MIGRATIONS: usize = 3;

/// Instants of a migration. Before `closed` the old archive is in use, from there on it is closed.
const INSTANTS: [(&str, bool); 11] = [
    ("migrate:loaded", false),
    ("migrate:before-commit", false),
    ("migrate:copied", false),
    ("migrate:before-close", false),
    ("migrate:closed", true),
    ("migrate:opened", true),
    ("migrate:switched", true),
    ("migrate:aside-checkpointed", true),
    ("migrate:aside-wal-renamed", true),
    ("migrate:aside-shm-renamed", true),
    ("migrate:aside-renamed", true),
];

/// Instants of a reopening, in the order in which they are passed.
const REOPENING_INSTANTS: [&str; 9] = [
    "reopen:checked",
    "reopen:closed",
    "reopen:name-checkpointed",
    "reopen:name-wal-renamed",
    "reopen:name-shm-renamed",
    "reopen:name-renamed",
    "reopen:renamed",
    "reopen:aside",
    "reopen:opened",
];

fn small<'a>(night: &'a str, seed: u64) -> Small<'a> {
    Small { night, seed, frames: 2, detections: 6, ..Small::default() }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A site on one of the engines, and how its archive moves to the other.
struct Moving {
    desk: Desk,
    words: Vec<String>,
    /// The place of the archive before it moves.
    old: String,
}

impl Moving {
    fn new(is_back: bool) -> Option<Self> {
        let server = Server::shared()?;
        if is_back {
            let (desk, database) = Desk::on_server()?;
            let words = ["migrate", "--to", "embedded"].map(str::to_owned).to_vec();
            return Some(Self { desk, words, old: database.url() });
        }
        let words = ["migrate", "--roles", "--to", &server.database().url()].map(str::to_owned);
        Some(Self { desk: Desk::new(), words: words.to_vec(), old: "embedded".to_owned() })
    }

    fn command(&self) -> Command {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        self.desk.command(&words)
    }

    fn migrate(&self) -> Said {
        self.command().output().expect("it starts").into()
    }

    /// Returns the command that reopens the old archive.
    fn reopening(&self, more: &[&str]) -> Command {
        let mut words = vec!["migrate", "--reopen", "--reason", "a test", "--to", &self.old];
        words.extend(if self.old == "embedded" { &[][..] } else { &["--roles"] });
        words.extend(more);
        self.desk.command(&words)
    }

    fn reopen(&self, more: &[&str]) -> Said {
        self.reopening(more).output().expect("it starts").into()
    }

    /// Instants of the reopening: the old archive gets its name back only in the site.
    fn reopening_instants(&self) -> impl Iterator<Item = &'static str> {
        let is_embedded = self.old == "embedded";
        REOPENING_INSTANTS
            .into_iter()
            .filter(move |instant| is_embedded || !instant.starts_with("reopen:name"))
    }

    /// Leaves the mark of the move in the log of the old archive, as a kill does.
    fn leave_log(&self) {
        let path = |suffix: &str| self.desk.site.join(format!("archive.db.migrated{suffix}"));
        let c = rusqlite::Connection::open(path("")).expect("opened");
        let marks = "CREATE TEMP TABLE kept AS SELECT * FROM relocation; DELETE FROM relocation;";
        c.execute_batch(marks).expect("deleted");
        c.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("written");
        c.execute_batch("INSERT INTO relocation SELECT * FROM kept").expect("inserted");
        let copies = ["", "-wal"].map(|suffix| std::fs::read(path(suffix)).expect("a file"));
        assert!(!copies[1].is_empty(), "the log holds the mark");
        drop(c);
        for (suffix, bytes) in ["", "-wal"].iter().zip(copies) {
            std::fs::write(path(suffix), bytes).expect("written");
        }
    }

    /// Returns the name of the database to which the archive moves; `None` when it moves into the site.
    fn database(&self) -> Option<&str> {
        let url = self.words.last()?;
        (url != "embedded").then(|| url.rsplit('/').next().unwrap_or_default())
    }

    /// Removes the archive from the place to which it moved.
    fn lose(&self) {
        match self.database() {
            Some(name) => {
                let server = Server::shared().expect("it is installed");
                server.psql("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"));
            }
            None => {
                for suffix in ["", "-wal", "-shm"] {
                    let _ =
                        std::fs::remove_file(self.desk.site.join(format!("archive.db{suffix}")));
                }
            }
        }
    }

    /// Removes the previews of a night that only the lost place knew: its files stay when the old archive is reopened.
    fn without_previews(&self, night: &str) {
        let previews = self.desk.site.join(format!("previews/{night}_v1"));
        std::fs::remove_dir_all(previews).expect("they are left");
    }

    /// Moves the files of the site into a directory of the same name, as if locks were not seen there: processes that have the
    /// archive open keep it, and no process knows them.
    fn hide_from_locks(&self) {
        let (site, aside) = (&self.desk.site, self.desk.site.with_extension("aside"));
        std::fs::rename(site, &aside).expect("renamed");
        std::fs::create_dir(site).expect("made");
        for entry in std::fs::read_dir(&aside).expect("listed").flatten() {
            std::fs::rename(entry.path(), site.join(entry.file_name())).expect("renamed");
        }
        std::fs::remove_dir(aside).expect("empty");
    }
}

fn run_of(desk: &Desk, delivery: &Path) -> Command {
    desk.command(&["run", "--force", path(delivery)])
}

/// Returns whether the archive has all of a night: its frames, and detections of each.
fn knows(desk: &Desk, night: &str) -> bool {
    let frames = format!(
        "SELECT count(*) FROM multiframe JOIN image USING (multiframe_id) JOIN file USING (file_id)
             JOIN delivery USING (delivery_id) WHERE delivery.name = '{night}_v1'"
    );
    let detections = format!(
        "SELECT count(*) FROM detection JOIN image USING (multiframe_id) JOIN file USING (file_id)
             JOIN delivery USING (delivery_id) WHERE delivery.name = '{night}_v1'"
    );
    desk.count(&frames) > 0 && desk.count(&detections) > 0
}

/// Killed at every instant: until the old archive is closed it takes new nights, afterwards it says where everything is; the same
/// command finishes the move, and every night is there.
#[test]
fn killed_anywhere_and_repeated() {
    for is_back in [false, true] {
        for (instant, is_closed) in INSTANTS {
            if is_back && instant.starts_with("migrate:aside") {
                continue;
            }
            let Some(moving) = Moving::new(is_back) else { return };
            let desk = &moving.desk;
            desk.run(&desk.simulate(&small("20071011", 1))).ended(0);
            let second = desk.simulate(&small("20071012", 2));
            let before: Content = desk.content();
            let killed = moving.command().env("ALMAGEST_CRASH_AT", instant).output();
            assert_eq!(killed.expect("it starts").status.code(), None, "{instant} was not passed");
            let ran = desk.run(&second);
            let is_switched = instant == "migrate:switched" || instant.starts_with("migrate:aside");
            if is_closed && !is_switched {
                assert_eq!(ran.code, Some(5), "{instant}: {ran:?}");
                assert!(ran.err.contains("migrate --to"), "{instant}: {ran:?}");
                let asked = desk.at_site(&["sql", "SELECT count(*) FROM event"]);
                assert!(asked.code == Some(5) && asked.err.contains("has moved to"), "{asked:?}");
                assert_eq!(desk.at_site(&["status"]).code, Some(5), "{instant}");
            } else {
                ran.ended(0);
            }
            moving.migrate().ended(0);
            assert_eq!(desk.is_embedded_by_config(), is_back, "{instant}");
            assert_eq!(desk.site.join("archive.db").exists(), is_back, "{instant}");
            if is_closed && !is_switched {
                desk.content().is_that_of(&before, instant);
                desk.run(&second).ended(0);
            }
            assert!(knows(desk, "20071011") && knows(desk, "20071012"), "{instant}");
            desk.at_site(&["verify", "--checksums"]).ended(0);
            moving.migrate().ended(0);
        }
    }
}

/// A run that has the old archive open while it moves, and of which the migration cannot know: it ends, says where the archive
/// is, and brings its night in when it is repeated.
#[test]
fn an_open_archive_learns_that_it_moved() {
    for is_back in [false, true] {
        for instant in
            ["register:after-commit:1", "result:after-commit:1", "publish:after-commit:1"]
        {
            let Some(moving) = Moving::new(is_back) else { return };
            let desk = &moving.desk;
            let delivery = desk.simulate(&small("20071011", 1));
            let mut command = run_of(desk, &delivery);
            command.env("ALMAGEST_STOP_AT", instant).stdout(Stdio::null()).stderr(Stdio::piped());
            let process = command.spawn().expect("it starts");
            until_stopped(&process);
            // Whoever sees the lock does not begin.
            let refused = moving.migrate();
            assert_eq!(refused.code, Some(5), "{instant}: {refused:?}");
            let pid = process.id().to_string();
            assert!(refused.err.contains(&pid), "{instant}: {refused:?}");
            moving.hide_from_locks();
            let moved = moving.migrate();
            if moved.err.contains("tasks are running") {
                // Its attempts are recorded: the migration waits for them even so.
                assert_eq!(moved.code, Some(5), "{instant}: {moved:?}");
                signal(&process, Signal::CONT);
                Said::from(process.wait_with_output().expect("it ends")).ended(0);
                moving.migrate().ended(0);
            } else {
                moved.ended(0);
                signal(&process, Signal::CONT);
                let said = Said::from(process.wait_with_output().expect("it ends"));
                assert_eq!(said.code, Some(5), "{instant}: {said:?}");
                assert!(said.err.contains("has moved to"), "{instant}: {said:?}");
                desk.run(&delivery).ended(0);
            }
            assert!(knows(desk, "20071011"), "{instant}");
            desk.at_site(&["verify"]).ended(0);
        }
    }
}

/// `run`, the scheduler and readers beside migrations, begun at every distance in time: each night is known in the end, or its
/// command said that it failed, and brings it in when it is repeated.
#[test]
fn nights_beside_migrations() {
    let wanted = std::env::var("ALMAGEST_MIGRATIONS").ok().and_then(|n| n.parse().ok());
    let mut next = operator::numbers();
    for is_back in [false, true] {
        let (mut refused, mut ended) = (0, 0);
        for n in 0..wanted.unwrap_or(MIGRATIONS) {
            let Some(moving) = Moving::new(is_back) else { return };
            beside(&moving, n, &mut next, &mut refused, &mut ended);
        }
        println!(
            "back: {is_back}; {refused} migrations were refused at first, {ended} runs ended with code 5"
        );
    }
}

fn beside(
    moving: &Moving,
    n: usize,
    next: &mut impl FnMut(u64) -> u64,
    refused: &mut u32,
    ended: &mut u32,
) {
    let desk = &moving.desk;
    desk.run(&desk.simulate(&small("20071011", 1))).ended(0);
    let delivery: PathBuf = desk.simulate(&small("20071012", 2));
    let scheduler = (n % 3 == 2).then(|| {
        desk.in_a_hurry();
        let scheduler = Daemon::start(desk, &["data", "--auto"], &[]);
        until("the scheduler", || desk.status()["data_daemon"]["alive"] == true);
        scheduler
    });
    let asked =
        desk.command(&["sql", "SELECT count(*) FROM detection"]).stdout(Stdio::null()).spawn();
    let later = |command: &mut Command, wait: u64| {
        std::thread::sleep(Duration::from_millis(wait));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
    };
    let wait = next(600);
    let (run, moved) = if next(2) == 0 {
        let run = later(&mut run_of(desk, &delivery), 0);
        (run, later(&mut moving.command(), wait))
    } else {
        let moved = later(&mut moving.command(), 0);
        (later(&mut run_of(desk, &delivery), wait), moved)
    };
    let run = Said::from(run.wait_with_output().expect("it ends"));
    let moved = Said::from(moved.wait_with_output().expect("it ends"));
    let asked = asked.expect("it started").wait().expect("it ends").code();
    assert!(matches!(asked, Some(0 | 3 | 5)), "it answers, or fails with a message: {asked:?}");
    let is_scheduled = scheduler.is_some();
    if let Some(scheduler) = scheduler {
        assert_eq!(moved.code, Some(5), "a scheduler works on the site: {moved:?}");
        scheduler.end().ended(0);
    }
    assert!(matches!(moved.code, Some(0 | 5)), "{moved:?}");
    if moved.code == Some(5) {
        *refused += 1;
        let again = moving.migrate();
        if again.code == Some(5) {
            // The scheduler ended with tasks under way: as the message says, their steps are run again.
            assert!(again.err.contains("run their steps again"), "{again:?}");
            run_of(desk, &delivery).status().expect("it starts");
            moving.migrate().ended(0);
        }
    }
    assert!(matches!(run.code, Some(0 | 5)), "{run:?}");
    if run.code == Some(5) {
        *ended += 1;
        // Of a scheduler's tasks it says that another process works on them.
        let why = if is_scheduled { "another process" } else { "moved" };
        assert!(run.err.contains(why) || run.err.contains("moved"), "{run:?}");
        desk.run(&delivery).ended(0);
    }
    assert!(knows(desk, "20071011") && knows(desk, "20071012"), "{run:?} {moved:?}");
    desk.at_site(&["verify"]).ended(0);
}

/// The new place is lost: the old archive is reopened with all that it had, also after kills at every instant, and works.
#[test]
fn an_archive_whose_new_place_is_lost_is_reopened() {
    for is_back in [false, true] {
        let Some(moving) = Moving::new(is_back) else { return };
        let desk = &moving.desk;
        desk.run(&desk.simulate(&small("20071011", 1))).ended(0);
        let before = desk.content();
        let fault = moving.reopen(&[]);
        assert!(fault.code == Some(5) && fault.err.contains("is not closed"), "{fault:?}");
        moving.migrate().ended(0);
        let second = desk.simulate(&small("20071012", 2));
        desk.run(&second).ended(0);
        let refused = moving.reopen(&[]);
        assert_eq!(refused.code, Some(5), "{refused:?}");
        assert!(
            refused.err.contains("has 3 events") && refused.err.contains("--force"),
            "{refused:?}"
        );
        assert!(knows(desk, "20071012"), "nothing was changed");
        moving.lose();
        let said = moving.reopen(&["--dry-run"]).ended(0);
        assert!(said.contains("would reopen"), "{said}");
        if !is_back {
            moving.leave_log();
        }
        for instant in moving.reopening_instants() {
            assert_eq!(desk.is_embedded_by_config(), is_back, "{instant}");
            let killed = moving.reopening(&[]).env("ALMAGEST_CRASH_AT", instant).output();
            assert_eq!(killed.expect("it starts").status.code(), None, "{instant} was not passed");
        }
        let said = moving.reopen(&[]).ended(0);
        assert!(said.contains("is reopened"), "{said}");
        assert_eq!(desk.is_embedded_by_config(), !is_back);
        moving.without_previews("20071012");
        desk.content().is_that_of(&before, "reopened");
        let why = "SELECT why FROM reopening";
        let why: String = match moving.old.as_str() {
            "embedded" => {
                let c = rusqlite::Connection::open(desk.site.join("archive.db")).expect("opened");
                c.query_row(why, [], |r| r.get(0)).expect("a row")
            }
            url => {
                let name = url.rsplit('/').next().unwrap_or_default();
                Server::shared().expect("it is installed").psql(name, why)
            }
        };
        assert_eq!(why.trim(), "a test");
        assert!(!knows(desk, "20071012"));
        desk.run(&second).ended(0);
        assert!(knows(desk, "20071011") && knows(desk, "20071012"));
        desk.at_site(&["verify", "--checksums"]).ended(0);
    }
}

/// A new place that can be reached is closed when the old archive is reopened; its own records are given up by force alone.
#[test]
fn a_new_place_that_can_be_reached_is_closed() {
    for (is_back, has_news) in [(false, false), (false, true), (true, false), (true, true)] {
        let Some(moving) = Moving::new(is_back) else { return };
        let desk = &moving.desk;
        desk.run(&desk.simulate(&small("20071011", 1))).ended(0);
        let before = desk.content();
        moving.migrate().ended(0);
        if has_news {
            desk.run(&desk.simulate(&small("20071012", 2))).ended(0);
            assert_eq!(moving.reopen(&[]).code, Some(5));
            let said = moving.reopen(&["--force"]).ended(0);
            assert!(said.contains("3 events") && said.contains("discarded"), "{said}");
            moving.without_previews("20071012");
        } else {
            moving.reopen(&[]).ended(0);
        }
        desk.content().is_that_of(&before, "reopened");
        let state = match moving.database() {
            Some(name) => {
                let server = Server::shared().expect("it is installed");
                server.psql(name, "SELECT state FROM relocation")
            }
            None => {
                let c = rusqlite::Connection::open(desk.site.join("archive.db")).expect("opened");
                c.query_row("SELECT state FROM relocation", [], |r| r.get(0)).expect("a row")
            }
        };
        assert_eq!(state.trim(), "moved");
    }
}

/// Killed at every instant with the new place reachable: every command recommends the one that finishes the reopening.
#[test]
fn a_reopening_is_finished_by_the_command_that_is_recommended() {
    for is_back in [false, true] {
        let Some(moving) = Moving::new(is_back) else { return };
        let desk = &moving.desk;
        desk.run(&desk.simulate(&small("20071011", 1))).ended(0);
        let before = desk.content();
        moving.migrate().ended(0);
        let second = desk.simulate(&small("20071012", 2));
        desk.run(&second).ended(0);
        let advice = Advice::MigrateReopen { to: moving.old.clone(), password_file: None };
        let command = advice.command(&["--site".to_owned(), path(&desk.site).to_owned()]);
        for instant in moving.reopening_instants() {
            let force = matches!(instant, "reopen:checked" | "reopen:closed");
            let more = if force { &["--force"][..] } else { &[] };
            let killed = moving.reopening(more).env("ALMAGEST_CRASH_AT", instant).output();
            assert_eq!(killed.expect("it starts").status.code(), None, "{instant} was not passed");
            if instant == "reopen:checked" {
                desk.at_site(&["status"]).ended(0);
                continue;
            }
            for words in [&["status"][..], &["sql", "SELECT 1"], &["run", path(&second)]] {
                let said = desk.at_site(words);
                assert_eq!(said.code, Some(5), "{instant}: {said:?}");
                assert!(said.err.contains(&command), "{instant}: {command}: {said:?}");
            }
        }
        let mut shell = Command::new("sh");
        let program = Path::new(env!("CARGO_BIN_EXE_almagest"));
        let names = std::env::var("PATH").unwrap_or_default();
        let names = format!("{}:{names}", path(program.parent().expect("a directory")));
        shell.args(["-c", &command]).env("PATH", names);
        Said::from(shell.output().expect("a shell")).ended(0);
        if is_back {
            desk.at_site(&["migrate", "--roles", "--to", &moving.old]).ended(0);
        }
        moving.without_previews("20071012");
        desk.content().is_that_of(&before, "reopened");
        desk.run(&second).ended(0);
        desk.at_site(&["verify", "--checksums"]).ended(0);
    }
}

/// A place that cannot be reached is not lost: it is given up by force alone, also when the reopening was interrupted.
#[test]
fn a_place_that_cannot_be_reached_is_given_up_by_force() {
    let Some(moving) = Moving::new(false) else { return };
    let desk = &moving.desk;
    desk.run(&desk.simulate(&small("20071011", 1))).ended(0);
    moving.migrate().ended(0);
    let (url, unreachable) = (moving.words.last().expect("a URL"), "postgres://a@127.0.0.1:1/lost");
    let config = desk.site.join("almagest.toml");
    let text = std::fs::read_to_string(&config).expect("a configuration");
    assert!(text.contains(url.as_str()));
    std::fs::write(&config, text.replace(url.as_str(), unreachable)).expect("written");
    let old = rusqlite::Connection::open(desk.site.join("archive.db.migrated")).expect("opened");
    old.execute("UPDATE relocation SET place = ?1", [unreachable]).expect("changed");
    drop(old);
    let refused = || {
        let said = moving.reopen(&[]);
        assert_eq!(said.code, Some(5), "{said:?}");
        assert!(said.err.contains("cannot be reached") && said.err.contains("--force"), "{said:?}");
    };
    refused();
    let mut killed = moving.reopening(&["--force"]);
    let killed = killed.env("ALMAGEST_CRASH_AT", "reopen:opened").output();
    assert_eq!(killed.expect("it starts").status.code(), None);
    refused();
    let said = moving.reopen(&["--force"]).ended(0);
    assert!(said.contains("without being closed"), "{said}");
    assert!(knows(desk, "20071011"));
}

/// Decisions at the new place are records too, also those that are made while it is being closed.
#[test]
fn decisions_at_the_new_place_are_not_given_up_silently() {
    let Some(moving) = Moving::new(false) else { return };
    let desk = &moving.desk;
    desk.run(&desk.simulate(&small("20071011", 1))).ended(0);
    moving.migrate().ended(0);
    desk.at_site(&["programme", "add", "LATE", "a late project"]).ended(0);
    let refused = moving.reopen(&[]);
    assert_eq!(refused.code, Some(5), "{refused:?}");
    assert!(refused.err.contains("1 programmes that the old archive lacks"), "{refused:?}");
    let mut command = moving.reopening(&["--force"]);
    command.env("ALMAGEST_STOP_AT", "reopen:checked");
    let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    until_stopped(&process);
    let server = Server::shared().expect("it is installed");
    server.psql(
        moving.database().expect("it moved to one"),
        "INSERT INTO instruction_history (number, subject, name, act, value, is_set, changed, who, why)
         VALUES (1000, 'all', '', 'pause', '', 1, '2026-01-01T00:00:00Z', 'a test', 'a test')",
    );
    signal(&process, Signal::CONT);
    let said = Said::from(process.wait_with_output().expect("it ends"));
    assert_eq!(said.code, Some(5), "{said:?}");
    assert!(said.err.contains("1 programmes and 1 instructions"), "{said:?}");
    desk.at_site(&["status"]).ended(0);
    moving.reopen(&["--force"]).ended(0);
    assert!(knows(desk, "20071011"));
}

/// Rounds that were running when the archive moved are restarted by the reopening, in the operator's name.
#[test]
fn a_round_that_was_running_is_restarted_by_the_reopening() {
    let Some(moving) = Moving::new(false) else { return };
    let desk = &moving.desk;
    let delivery = desk.simulate(&small("20071011", 1));
    let mut command = run_of(desk, &delivery);
    let killed = command.env("ALMAGEST_CRASH_AT", "start:after-commit").output();
    assert_eq!(killed.expect("it starts").status.code(), None);
    moving.migrate().ended(0);
    moving.reopen(&[]).ended(0);
    let who: Vec<String> = {
        let c = rusqlite::Connection::open(desk.site.join("archive.db")).expect("opened");
        let whose = "SELECT DISTINCT who FROM unit_history WHERE to_state = 'failed'";
        let mut select = c.prepare(whose).expect("a query");
        let rows = select.query_map([], |r| r.get(0)).expect("rows");
        rows.collect::<Result<_, _>>().expect("names")
    };
    assert!(who.len() == 1 && who[0] != "restore", "{who:?}");
}

/// A dry run refuses what the move refuses.
#[test]
fn an_archive_that_was_set_aside_is_in_the_way() {
    let Some(moving) = Moving::new(false) else { return };
    moving.migrate().ended(0);
    for more in [&["--dry-run"][..], &[]] {
        let said = moving.desk.at_site(&[&["migrate", "--to", "embedded"], more].concat());
        assert_eq!(said.code, Some(5), "{said:?}");
        assert!(said.err.contains("archive.db.migrated"), "{said:?}");
    }
}

#[test]
fn an_archive_that_was_only_begun_is_no_archive() {
    let Some(moving) = Moving::new(true) else { return };
    let desk = &moving.desk;
    desk.run(&desk.simulate(&small("20071011", 1))).ended(0);
    // A process that was killed while it made the database leaves a file without a table.
    std::fs::write(desk.site.join("archive.db"), "").expect("written");
    moving.migrate().ended(0);
    assert!(desk.is_embedded_by_config() && knows(desk, "20071011"));
    desk.verified();
    // Nor does a clean close leave a fault: the next process makes the files of the log.
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(desk.site.join(format!("archive.db{suffix}")));
    }
    let said = desk.at_site(&["doctor"]);
    assert!(!said.out.contains("archive.db-"), "{said:?}");
}

/// Attempts whose process was killed do not block a migration; the next run at the new place restarts their tasks.
#[test]
fn attempts_of_killed_processes_move() {
    for is_back in [false, true] {
        let Some(moving) = Moving::new(is_back) else { return };
        let desk = &moving.desk;
        let delivery = desk.simulate(&small("20071011", 1));
        let mut command = run_of(desk, &delivery);
        let killed = command.env("ALMAGEST_CRASH_AT", "start:after-commit").output();
        assert_eq!(killed.expect("it starts").status.code(), None);
        assert_eq!(desk.status()["running_attempts"], 1);
        let said = {
            let words: Vec<&str> = moving.words.iter().map(String::as_str).collect();
            desk.at_site(&[&words[..], &["--dry-run"]].concat()).ended(0)
        };
        assert!(said.contains("would move 1 deliveries"), "{said}");
        assert_eq!(desk.is_embedded_by_config(), !is_back, "nothing was moved");
        moving.migrate().ended(0);
        assert_eq!(desk.is_embedded_by_config(), is_back);
        desk.run(&delivery).ended(0);
        assert!(knows(desk, "20071011"));
        desk.at_site(&["verify", "--checksums"]).ended(0);
    }
}

/// An old archive of another schema is named as such by a reopening, which changes nothing.
#[test]
fn an_old_archive_of_another_schema_is_not_reopened() {
    for is_back in [false, true] {
        let Some(moving) = Moving::new(is_back) else { return };
        moving.migrate().ended(0);
        let earlier = "UPDATE migration SET name = 'earlier'; DROP TABLE reopening";
        match moving.old.rsplit_once('/') {
            Some((_, name)) => {
                let name = name.split('?').next().expect("a name");
                Server::shared().expect("it is installed").psql(name, earlier);
            }
            None => {
                let aside = moving.desk.site.join("archive.db.migrated");
                let c = rusqlite::Connection::open(aside).expect("opened");
                c.execute_batch(earlier).expect("written");
            }
        }
        for more in [&["--dry-run"][..], &[]] {
            let said = moving.reopen(more);
            assert!(said.code == Some(3), "{said:?}");
            assert!(said.err.contains("before the first release"), "{said:?}");
        }
    }
}
