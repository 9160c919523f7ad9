//! A dry run prints what the act would print, and leaves every row and every file as it was.

mod operator;

use operator::{Desk, Said, Small, walk};
use std::path::Path;
use testkit::postgres::Database;

const NIGHT: &str = "20071011_v1";

fn small() -> Small<'static> {
    Small { frames: 4, detections: 10, ..Small::default() }
}

/// A site, and its database where that is on a server.
struct Place {
    desk: Desk,
    database: Option<Database>,
}

/// A new site of each kind that this machine can have.
fn places() -> Vec<Place> {
    let on_server = Desk::on_server().map(|(desk, database)| (desk, Some(database)));
    let all = [(Desk::new(), None)].into_iter().chain(on_server);
    all.map(|(desk, database)| Place { desk, database }).collect()
}

/// Every row of every table, a line each, and every file of the site but its logs, with the permissions.
#[derive(Debug, PartialEq, Eq)]
struct Everything {
    rows: Vec<String>,
    files: Vec<String>,
}

impl Place {
    fn everything(&self) -> Everything {
        let rows = match &self.database {
            None => rows_of_file(&self.desk.site.join("archive.db")),
            Some(database) => rows_of_server(database),
        };
        assert!(rows.len() > 20, "{rows:?}");
        let is_meant =
            |file: &String| !file.starts_with("archive.db") && !file.starts_with("logs/");
        let mut files: Vec<String> = walk(&self.desk.site).into_iter().filter(is_meant).collect();
        files.sort();
        for file in &mut files {
            let path = file.rsplit_once(' ').expect("a sum").0;
            let metadata = self.desk.site.join(path).metadata().expect("there");
            let mode = std::os::unix::fs::MetadataExt::mode(&metadata);
            *file += &format!(" {mode:o}");
        }
        Everything { rows, files }
    }

    /// Tries an act, which must change nothing.
    #[track_caller]
    fn tried(&self, words: &[&str]) -> Said {
        let before = self.everything();
        let said = self.desk.at_site(&[words, &["--dry-run"]].concat());
        let after = self.everything();
        assert_eq!(after.files, before.files, "{words:?}");
        for (row, known) in after.rows.iter().zip(&before.rows) {
            assert_eq!(row, known, "{words:?}");
        }
        assert_eq!(after.rows.len(), before.rows.len(), "{words:?}");
        said
    }

    /// Tries an act and does it: both must print the same.
    #[track_caller]
    fn tried_and_done(&self, words: &[&str]) {
        let tried = self.tried(words).ended(0);
        let before = self.everything();
        let done = self.desk.at_site(words).ended(0);
        assert_eq!(tried, format!("dry run, nothing is changed:\n{done}"), "{words:?}");
        assert_ne!(self.everything(), before, "{words:?} changes something");
    }
}

fn rows_of_file(database: &Path) -> Vec<String> {
    let c = rusqlite::Connection::open(database).expect("it opens");
    let mut tables = c
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        .expect("a query");
    let tables: Vec<String> = tables
        .query_map([], |r| r.get(0))
        .expect("tables")
        .map(|name| name.expect("text"))
        .collect();
    let mut lines = Vec::new();
    for table in tables {
        let mut select = c.prepare(&format!("SELECT * FROM \"{table}\"")).expect("a table");
        let columns = select.column_count();
        let mut rows = select.query([]).expect("rows");
        let mut of_table = Vec::new();
        while let Some(row) = rows.next().expect("a row") {
            let values: Vec<String> =
                (0..columns).map(|n| format!("{:?}", row.get_ref(n).expect("a value"))).collect();
            of_table.push(format!("{table}: {}", values.join(" ")));
        }
        of_table.sort();
        lines.extend(of_table);
    }
    lines
}

fn rows_of_server(database: &Database) -> Vec<String> {
    let tables = database.psql(
        "SELECT string_agg(quote_ident(relname), ' ' ORDER BY relname) FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'",
    );
    let of_table = |table: &str| {
        format!(
            "SELECT '{table} ' || count(*) || ' ' || md5(coalesce(string_agg(t::text, ' ' ORDER BY t::text), '')) FROM {table} AS t"
        )
    };
    let select: Vec<String> = tables.split_whitespace().map(of_table).collect();
    database.psql(&select.join(" UNION ALL ")).lines().map(str::to_owned).collect()
}

#[test]
fn of_a_retraction_and_its_undo() {
    for place in places() {
        let desk = &place.desk;
        desk.run(&desk.simulate(&small())).ended(0);
        place.tried_and_done(&["retract", NIGHT, "--use-case", "catalogue", "--reason", "flat"]);
        place.tried_and_done(&["retract", NIGHT, "--undo", "--reason", "flat"]);
        place.tried_and_done(&["retract", NIGHT, "--reason", "flat"]);
        let report =
            place.tried(&["retract", NIGHT, "--undo", "--reason", "flat", "--json"]).json(0);
        assert_eq!(report["rounds"].as_array().map(Vec::len), Some(3), "{report}");
        assert!(report["rows"]["detection"].as_u64() > Some(0), "{report}");
        // What the act refuses, its dry run refuses too.
        let again: [&[&str]; 2] =
            [&["retract", NIGHT, "--reason", "flat"], &["retract", "20071099_v1", "--reason", "x"]];
        for words in again {
            let refused = place.tried(words);
            assert_eq!(refused.code, desk.at_site(words).code, "{refused:?}");
            assert_ne!(refused.code, Some(0), "{refused:?}");
        }
        desk.verified();
    }
}

/// The detections of a frame end within a file of the lake: the end is a file of its own, which no dry run leaves.
#[test]
fn of_a_decision_that_older_products_end() {
    for place in places() {
        let desk = &place.desk;
        desk.run(&desk.simulate(&small())).ended(0);
        let second = desk.simulate(&Small { version: 2, ..small() });
        let entries = std::fs::read_dir(&second).expect("there").flatten().map(|e| e.path());
        let is_catalogue =
            |path: &std::path::PathBuf| path.to_string_lossy().ends_with("_cat.fits");
        let catalogue = entries.filter(is_catalogue).min().expect("a catalogue");
        std::fs::remove_file(&catalogue).expect("removed");
        assert!(desk.run(&second).code.is_some_and(|code| code <= 1));
        let supersede = ["supersede", "20071011_v2", "--reason", "it is bad"];
        let report = place.tried(&[&supersede[..], &["--json"]].concat()).json(0);
        let shown = (&report["dry_run"], &report["act"], &report["subject"], &report["reason"]);
        let wanted =
            (&true.into(), &"supersede".into(), &"20071011_v2".into(), &"it is bad".into());
        assert_eq!(shown, wanted, "{report}");
        assert!(report["who"].as_str().is_some_and(|who| !who.is_empty()), "{report}");
        assert_eq!(report["products"][0]["why"], "no_catalogue", "{report}");
        place.tried_and_done(&supersede);
        place.tried_and_done(&["supersede", "20071011_v2", "--undo", "--reason", "it is good"]);
        desk.verified();
    }
}

#[test]
fn of_decisions_on_refusals_and_of_programmes() {
    for place in places() {
        let desk = &place.desk;
        let faulty = Small { faults: true, ..small() };
        let delivery = desk.simulate(&faulty);
        std::fs::remove_file(delivery.join("OK_TO_COPY")).expect("a marker");
        desk.at_site(&["transfer", delivery.to_str().expect("UTF-8")]);
        let open = desk.refusals();
        assert!(open.len() >= 3, "{open:?}");
        for (act, refusal) in ["accept", "dismiss", "retry"].iter().zip(&open) {
            let number = refusal["number"].to_string();
            place.tried_and_done(&["refusals", act, &number, "--reason", "a test"]);
        }
        place.tried_and_done(&["programme", "add", "U99A1", "u/99a/1"]);
        place.tried_and_done(&["transfer", "--complete", NIGHT]);
    }
}

#[test]
fn of_a_repair_and_a_scrub() {
    for place in places() {
        let desk = &place.desk;
        desk.run(&desk.simulate(&small())).ended(0);
        let stray = desk.site.join("previews").join(NIGHT).join("stray.jpg");
        std::fs::write(&stray, b"x").expect("written");
        let open: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        std::fs::set_permissions(&stray, open).expect("opened");
        let tried = place.tried(&["verify", "--repair"]);
        assert!(tried.code == Some(3) && tried.out.contains("nothing is changed"), "{tried:?}");
        assert!(tried.out.contains("removed") && tried.out.contains("stray.jpg"), "{tried:?}");
        assert!(tried.out.contains("took forbidden permissions from 1 path"), "{tried:?}");
        let quiet = place.tried(&["verify", "--repair", "-q"]);
        assert_eq!((quiet.out, quiet.err), (tried.out, String::new()));
        let report = place.tried(&["verify", "--repair", "--json"]).json(3);
        assert!(report["repairs"][0].as_str().is_some_and(|r| r.contains("stray.jpg")), "{report}");
        assert_eq!(report["repairs"].as_array().map(Vec::len), Some(2), "{report}");
        let done = desk.at_site(&["verify", "--repair"]);
        assert!(done.code == Some(0) && done.out.contains("stray.jpg"), "{done:?}");
        assert!(!stray.exists());
        let file = desk.value("SELECT min(path) FROM file JOIN image USING (file_id)");
        let path = desk.site.join("library").join(file.as_str().expect("a path"));
        assert!(path.is_file(), "{}", path.display());
        damage(&path);
        let tried = place.tried(&["scrub"]).ended(3);
        let done = desk.at_site(&["scrub"]).ended(3);
        assert_eq!(tried, format!("dry run, nothing is changed:\n{done}"));
        let report = place.tried(&["scrub", "--json"]).json(3);
        assert_eq!(
            (&report["dry_run"], &report["unsound"][0]["found"]),
            (&true.into(), &"corrupt".into())
        );
    }
}

/// Changes a byte of a file, which keeps its length.
fn damage(path: &Path) {
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(path, mode(0o640)).expect("opened");
    let mut bytes = std::fs::read(path).expect("readable");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(path, bytes).expect("written");
    std::fs::set_permissions(path, mode(0o440)).expect("closed");
}

#[test]
fn of_a_reconciliation() {
    let place = Place { desk: Desk::new(), database: None };
    let desk = &place.desk;
    desk.transfer(&[small()]);
    let file = desk.value("SELECT min(path) FROM file JOIN image USING (file_id)");
    let lost = desk.site.join("library").join(file.as_str().expect("a path"));
    std::fs::remove_file(&lost).expect("removed");
    let tried = place.tried(&["reconcile", "--right", "source"]);
    assert!(tried.code == Some(3) && tried.out.contains("fetch 1 file of"), "{tried:?}");
    assert!(!lost.exists());
    desk.at_site(&["reconcile", "--right", "source"]).ended(0);
    assert!(lost.is_file());
    let stray = lost.with_file_name("stray.fit");
    std::fs::copy(&lost, &stray).expect("copied");
    let tried = place.tried(&["reconcile", "--right", "library"]);
    assert!(tried.out.contains("register stray.fit of"), "{tried:?}");
    let tried = place.tried(&["reconcile", "--right", "archive"]);
    assert!(tried.out.contains("moved") && tried.out.contains("stray.fit"), "{tried:?}");
    let report = place.tried(&["reconcile", "--right", "archive", "--json"]).json(3);
    assert_eq!(report[0]["code"], "stray", "{report}");
    assert!(stray.is_file());
    strays_with_other_names_are_not_promised(&place, &stray);
    let done = desk.at_site(&["reconcile", "--right", "archive", "-q"]);
    assert!(done.out.contains("moved") && done.out.contains("stray.fit"), "{done:?}");
    assert!(!stray.exists());
}

/// A stray whose name the act refuses or skips is not promised to be registered.
fn strays_with_other_names_are_not_promised(place: &Place, stray: &Path) {
    let others = ["a$(b).fit", "late.fit.part"].map(|name| stray.with_file_name(name));
    for other in &others {
        std::fs::copy(stray, other).expect("copied");
    }
    let tried = place.tried(&["reconcile", "--right", "library"]).out;
    assert!(tried.contains("register stray.fit of"), "{tried}");
    assert!(tried.contains("refuse a$(b).fit of 20071011_v1: name_shell_character: "), "{tried}");
    assert!(tried.contains("skip late.fit.part of 20071011_v1: "), "{tried}");
    assert_eq!(tried.matches("register ").count(), 1, "{tried}");
    for other in &others {
        std::fs::remove_file(other).expect("removed");
    }
}

#[test]
fn of_a_backup_and_a_restore() {
    for place in places() {
        let desk = &place.desk;
        desk.run(&desk.simulate(&small())).ended(0);
        let copy = desk.dir.path().join("copy");
        let tried = place.tried(&["backup", "copy", "--json"]).json(0);
        assert!(!copy.exists());
        let done = desk.at_site(&["backup", "copy", "--json"]).json(0);
        assert!(tried["copied"].as_u64() > Some(0), "{tried}");
        assert_eq!((&tried["copied"], &tried["kept"]), (&done["copied"], &done["kept"]));
        assert_eq!((&tried["dry_run"], &done["dry_run"]), (&true.into(), &false.into()));
        let held = walk(&copy);
        let tried = place.tried(&["backup", "copy"]).ended(0);
        assert!(tried.starts_with("dry run, nothing is changed:\nfiles copied"), "{tried}");
        assert_eq!(walk(&copy), held);
        // The way back.
        let other = place.database.as_ref().and_then(|_| testkit::postgres::Server::shared());
        let other = other.map(|server| server.database());
        let url = other.as_ref().map(Database::url);
        let mut words = vec!["restore", "copy", "again", "--json"];
        words.extend(url.iter().flat_map(|url| ["--database", url.as_str()]));
        let tried = desk.plain(&[&words[..], &["--dry-run"]].concat()).json(0);
        assert!(!desk.dir.path().join("again").exists());
        let done = desk.plain(&words).json(0);
        assert!(tried["bytes"].as_u64() > Some(0), "{tried}");
        for number in ["copied", "kept", "damaged"] {
            assert_eq!(tried[number], done[number], "{number}");
        }
        // A site exists: exit code 3; a database holds an archive: 5.
        let code = if place.database.is_some() { 5 } else { 3 };
        for words in [[&words[..], &["--dry-run"]].concat(), words.clone()] {
            let refused = desk.plain(&words);
            assert_eq!(refused.code, Some(code), "{words:?}: {refused:?}");
        }
    }
}

/// An act that cannot write its directory or file fails as a dry run too, with the same exit code.
#[test]
fn of_acts_that_cannot_write() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    desk.run(&desk.simulate(&small())).ended(0);
    desk.at_site(&["backup", "copy"]).ended(0);
    std::fs::write(desk.dir.path().join("file"), "not a directory").expect("written");
    let closed = desk.dir.path().join("closed");
    std::fs::create_dir(&closed).expect("made");
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o555)).expect("closed");
    // A superuser may write there.
    let places =
        if rustix::process::getuid().is_root() { &["file"][..] } else { &["file", "closed"] };
    for place in places {
        let below = format!("{place}/new");
        let acts: [&[&str]; 4] = [
            &["backup", &below],
            &["restore", "copy", &below],
            &["init", &below],
            &["contact-sheet", "--output", &below],
        ];
        for words in acts {
            let run = |words: &[&str]| match words[0] {
                "restore" | "init" => desk.plain(words),
                _ => desk.at_site(words),
            };
            let (tried, done) = (run(&[words, &["--dry-run"]].concat()), run(words));
            assert_eq!(
                (tried.code, done.code),
                (Some(4), Some(4)),
                "{words:?}: {tried:?} {done:?}"
            );
            assert!(tried.err.contains(place) && tried.out.is_empty(), "{words:?}: {tried:?}");
        }
    }
    let nowhere = ["contact-sheet", "--output", "nowhere/page.html", "--dry-run"];
    desk.at_site(&nowhere).ended(4);
}

/// A backup into a directory that another backup holds, and one without pg_dump, work neither as an act nor as a dry run.
#[test]
fn of_a_backup_that_cannot_be_made() {
    for place in places() {
        let desk = &place.desk;
        let copy = desk.dir.path().join("copy");
        std::fs::create_dir(&copy).expect("made");
        let held = files::lock_dir(&copy).expect("locked").expect("free");
        for words in [&["backup", "copy"][..], &["backup", "copy", "--dry-run"]] {
            let refused = desk.at_site(words);
            assert_eq!(refused.code, Some(5), "{refused:?}");
            assert!(refused.err.contains("another backup into copy is running"), "{refused:?}");
        }
        drop(held);
        if place.database.is_none() {
            continue;
        }
        for words in [&["backup", "copy", "--dry-run"][..], &["backup", "copy"]] {
            let out = desk.command(words).env("PATH", "/nowhere").output().expect("it starts");
            let refused = Said::from(out);
            assert_eq!(refused.code, Some(4), "{refused:?}");
            assert!(refused.err.contains("pg_dump"), "{refused:?}");
        }
    }
}

/// The schema of a backup, and its configuration, are checked before anything is copied.
#[test]
fn of_a_restore_that_this_program_cannot_read() {
    for place in places() {
        let desk = &place.desk;
        let name = "UPDATE migration SET name = 'records of the beginning' WHERE number = 1";
        match &place.database {
            None => drop(
                rusqlite::Connection::open(desk.site.join("archive.db"))
                    .and_then(|c| c.execute(name, []))
                    .expect("renamed"),
            ),
            Some(database) => drop(database.psql(name)),
        }
        // This program does not open the archive for a backup.
        desk.at_site(&["backup", "copy"]).ended(0);
        let other = place.database.as_ref().and_then(|_| testkit::postgres::Server::shared());
        let other = other.map(|server| server.database());
        let url = other.as_ref().map(Database::url);
        let mut words = vec!["restore", "copy", "again"];
        words.extend(url.iter().flat_map(|url| ["--database", url.as_str()]));
        for words in [[&words[..], &["--dry-run"]].concat(), words.clone()] {
            let refused = desk.plain(&words);
            assert_eq!(refused.code, Some(3), "{refused:?}");
            assert!(refused.err.contains("before the first release"), "{refused:?}");
        }
        let copied = walk(&desk.dir.path().join("again"));
        assert_eq!(copied, Vec::<String>::new());
        if let Some(other) = &other {
            assert_eq!(other.psql("SELECT to_regclass('migration') IS NULL"), "t");
        }
    }
}

#[test]
fn of_a_restore_with_a_configuration_that_cannot_be_read() {
    let desk = Desk::new();
    desk.at_site(&["backup", "copy"]).ended(0);
    let config = desk.dir.path().join("copy/almagest.toml");
    std::fs::write(&config, "[work]\nworkers = \"many\"\n").expect("written");
    for words in [&["restore", "copy", "again", "--dry-run"][..], &["restore", "copy", "again"]] {
        let refused = desk.plain(words);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.err.contains("line 2: work.workers"), "{refused:?}");
    }
    assert!(!desk.dir.path().join("again/archive.db").exists());
}

#[test]
fn only_commands_that_write_files() {
    let desk = Desk::new();
    desk.run(&desk.simulate(&small())).ended(0);
    let here = || {
        let is_meant = |file: &String| !file.contains("archive.db") && !file.contains("/logs/");
        let mut files: Vec<String> = walk(desk.dir.path()).into_iter().filter(is_meant).collect();
        files.sort();
        files
    };
    let before = here();
    let tried = desk.at_site(&["contact-sheet", "--dry-run"]).ended(0);
    let simulate = ["simulate", "inbox", "--night", "20071012", "--frames", "2", "--dry-run"];
    desk.plain(&simulate).ended(0);
    let taken = ["simulate", "inbox", "--night", "20071011", "--dry-run"];
    assert_eq!(desk.plain(&taken).code, Some(5));
    let demo = desk.plain(&["demo", "shown", "--dry-run"]).ended(0);
    assert!(demo.contains("make site shown") && demo.contains("simulate"), "{demo}");
    let pages = desk.plain(&["man", "pages", "--dry-run"]).ended(0);
    assert!(pages.contains("pages/almagest-run.1"), "{pages}");
    desk.at_site(&["profile", "set", "wfcam", "project.unnamed", "X", "--dry-run"]).ended(0);
    assert_eq!(here(), before);
    let done = desk.at_site(&["contact-sheet"]).ended(0);
    assert_eq!(tried, format!("dry run, nothing is changed:\n{done}"));
}

#[test]
fn of_the_roles_of_a_database() {
    let Some((desk, database)) = Desk::on_server() else { return };
    let site = desk.site.to_str().expect("UTF-8").to_owned();
    let place = Place { desk, database: Some(database) };
    let before = place.everything();
    let tried = place.desk.plain(&["init", &site, "--roles", "--dry-run"]).ended(0);
    assert_eq!(place.everything(), before);
    let done = place.desk.plain(&["init", &site, "--roles"]).ended(0);
    assert_eq!(tried, format!("dry run, nothing is changed:\n{done}"));
}

/// A dry run of a step plans what an operator requests with it, and refuses what the step refuses.
#[test]
fn of_a_step_that_is_requested_again() {
    let place = Place { desk: Desk::new(), database: None };
    let desk = &place.desk;
    desk.run(&desk.simulate(&small())).ended(0);
    let planned = |words: &[&str]| {
        let report = place.tried(&[words, &["--json"]].concat()).json(0);
        let files =
            report["rounds"].as_array().expect("a list").iter().map(|r| r["files"].as_u64());
        files.sum::<Option<u64>>().expect("numbers")
    };
    assert_eq!(planned(&["preview"]), 0);
    let all = planned(&["preview", "--again"]);
    assert!(all >= 4, "{all}");
    assert_eq!(planned(&["metadata", "--again"]), all);
    let lost = desk.value("SELECT min(path) FROM preview");
    std::fs::remove_file(desk.site.join("previews").join(lost.as_str().expect("a path")))
        .expect("removed");
    assert_eq!(planned(&["preview", "--lost"]), 1);
    let tried = place.tried(&["preview", "--lost"]).ended(0);
    assert!(tried.starts_with("1 multiframe with lost previews"), "{tried}");
    for words in [&["metadata", "--lost"][..], &["catalogue", "--lost", "--dry-run"]] {
        assert_eq!(desk.at_site(words).code, Some(2), "{words:?}");
    }
    desk.at_site(&["pause", "--use-case", "preview", "--reason", "a test"]).ended(0);
    let paused = ["preview", "--again", "--delivery", NIGHT];
    let refused = place.tried(&paused);
    assert_eq!((refused.code, desk.at_site(&paused).code), (Some(5), Some(5)), "{refused:?}");
    assert_eq!(planned(&["preview", "--again"]), 0, "what is paused does not start");
    assert_eq!(planned(&["preview", "--again", "--force"]), all);
}

/// A dry run names the instructions that stop the act, and refuses work of which nothing may start.
#[test]
fn of_work_that_an_operator_stopped() {
    let place = Place { desk: Desk::new(), database: None };
    let desk = &place.desk;
    let delivery = desk.simulate(&small());
    let delivery = delivery.to_str().expect("UTF-8");
    desk.at_site(&["transfer", delivery]).ended(0);
    desk.at_site(&["pause", "--use-case", "preview", "--reason", "a test"]).ended(0);
    let left = "left alone: use case preview is paused by";
    let unnamed = ["preview", "--json"];
    let (tried, done) = (place.tried(&unnamed), desk.at_site(&unnamed));
    assert!(tried.err.contains(left) && done.err.contains(left), "{tried:?} {done:?}");
    assert_eq!((tried.code, done.code), (Some(0), Some(0)));
    assert_eq!(done.json(0)["stopped"][0]["unit"], format!("{NIGHT}/preview"));
    assert_eq!(desk.at_site(&["preview"]).ended(0), "nothing was done\n");
    // A part of a run is stopped, then all of it.
    let run = ["run", delivery];
    let (tried, done) = (place.tried(&run), desk.at_site(&run));
    assert!(tried.err.contains(left) && done.err.contains(left), "{tried:?} {done:?}");
    assert_eq!((tried.code, done.code), (Some(5), Some(5)));
    desk.at_site(&["pause", "--delivery", NIGHT, "--reason", "clouds"]).ended(0);
    let (tried, done) = (place.tried(&run), desk.at_site(&run));
    assert_eq!((tried.code, done.code), (Some(5), Some(5)));
    assert_eq!(tried.err, done.err);
}

/// A run works on known deliveries whose source no longer exists, and its dry run plans them.
#[test]
fn of_a_run_without_a_source() {
    let place = Place { desk: Desk::new(), database: None };
    let desk = &place.desk;
    let delivery = desk.simulate(&small());
    desk.at_site(&["transfer", delivery.to_str().expect("UTF-8")]).ended(0);
    std::fs::remove_dir_all(&delivery).expect("removed");
    let planned = place.tried(&["run", "--delivery", NIGHT, "--json"]).json(0);
    let rounds = planned["rounds"].as_array().expect("a list");
    let use_cases: Vec<&str> = rounds.iter().filter_map(|r| r["use_case"].as_str()).collect();
    assert_eq!(use_cases, ["preview", "metadata"], "{planned}");
    desk.at_site(&["run", "--delivery", NIGHT]).ended(0);
    assert!(desk.count("SELECT count(*) FROM preview") > 0);
}

/// A refusal that is named twice is decided once.
#[test]
fn of_a_decision_that_names_a_refusal_twice() {
    for place in places() {
        let desk = &place.desk;
        let delivery = desk.simulate(&small());
        std::fs::write(delivery.join("w1.fit"), "SIMPLE  =").expect("written");
        desk.run(&delivery).ended(1);
        let number = desk.refusals()[0]["number"].to_string();
        place.tried_and_done(&["refusals", "dismiss", &number, &number, "--reason", "twice"]);
    }
}

#[test]
fn of_a_site_whose_configuration_names_another_database() {
    let desk = Desk::bare();
    let other = desk.dir.path().join("other");
    std::fs::create_dir(&other).expect("made");
    let config = "[database]\nurl = \"postgres://a@127.0.0.1:1/other\"\n";
    std::fs::write(other.join("almagest.toml"), config).expect("written");
    for words in [&["init", "other", "--dry-run"][..], &["init", "other"]] {
        let refused = desk.plain(words);
        assert_eq!(refused.code, Some(5), "{refused:?}");
        assert!(refused.err.contains("names another database"), "{refused:?}");
    }
    assert_eq!(walk(&other).len(), 1, "nothing is made");
}

/// An archive that an act would upgrade first is not upgraded by its dry run, which answers nevertheless.
#[test]
fn of_an_act_on_an_archive_that_it_would_upgrade() {
    const LOST: &str = "preview_path";
    for place in places() {
        let desk = &place.desk;
        desk.run(&desk.simulate(&small())).ended(0);
        let drop_index = format!("DROP INDEX {LOST}");
        match &place.database {
            None => {
                let c = rusqlite::Connection::open(desk.site.join("archive.db")).expect("opened");
                c.execute_batch(&drop_index).expect("dropped");
            }
            Some(database) => drop(database.psql(&drop_index)),
        }
        let is_there = || match &place.database {
            None => {
                let c = rusqlite::Connection::open(desk.site.join("archive.db")).expect("opened");
                let sql = "SELECT count(*) FROM sqlite_schema WHERE name = ?1";
                c.query_row(sql, [LOST], |r| r.get::<_, i64>(0)).expect("a number") == 1
            }
            Some(database) => {
                database.psql(&format!("SELECT to_regclass('{LOST}') IS NOT NULL")) == "t"
            }
        };
        assert!(!is_there());
        let words = ["retract", NIGHT, "--reason", "flat"];
        let tried = place.tried(&words).ended(0);
        assert!(!is_there(), "a dry run upgrades nothing");
        assert_eq!(
            tried,
            format!("dry run, nothing is changed:\n{}", desk.at_site(&words).ended(0))
        );
        assert!(is_there());
    }
}
