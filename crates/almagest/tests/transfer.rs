//! Deliveries that arrive by themselves: sources in the configuration, `daemon transfer`, kills, and looking after the library.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod operator;

use operator::{Daemon, Desk, Small, until, walk};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use testkit::sshd::Servers;
use testkit::web;

/// Kills of an ordinary run of the suite; `ALMAGEST_TRANSFER_KILLS` sets another number.
const KILLS: usize = 30;
const NIGHT: &str = "20071011_v1";
const LARGE: &str = "large.dat";

fn small() -> Small<'static> {
    Small { frames: 6, detections: 10, ..Small::default() }
}

/// A provider's directory with a night and a file of several pieces.
fn provided(desk: &Desk) -> PathBuf {
    let delivery = desk.simulate(&small());
    let noise: Vec<u8> =
        (0..20_000_123_u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 37) as u8).collect();
    fs::write(delivery.join(LARGE), noise).expect("written");
    delivery
}

/// Adds a source to the configuration.
fn add_source(desk: &Desk, name: &str, lines: &[String]) {
    let path = desk.site.join("almagest.toml");
    let mut text = fs::read_to_string(&path).expect("there");
    text += &format!("\n[sources.{name}]\n{}\n", lines.join("\n"));
    fs::write(path, text).expect("written");
}

/// The library holds what the provider has, and nothing is on its way.
#[track_caller]
fn is_in(desk: &Desk, delivery: &Path) {
    let (mut wanted, mut found) = (walk(delivery), walk(&desk.site.join("library").join(NIGHT)));
    wanted.sort();
    found.sort();
    assert_eq!(found, wanted);
}

/// Every file arrived once, images have the ids 1, 2 … in the order of their names.
#[track_caller]
fn ledger_is_right(desk: &Desk, delivery: &Path) {
    let files = walk(delivery).len() as u64;
    let arrived =
        "SELECT count(*) FROM transfer JOIN file USING (file_id) WHERE outcome = 'arrived'";
    assert_eq!(desk.count(arrived), files, "a row for each file");
    assert_eq!(desk.count("SELECT count(DISTINCT name) FROM transfer"), files, "and no file twice");
    assert_eq!(desk.count("SELECT count(*) FROM file WHERE state = 'current'"), files);
    let odd = "SELECT count(*) FROM (SELECT multiframe_id AS id, row_number() OVER (ORDER BY file.name) AS nth
        FROM image JOIN file USING (file_id)) AS numbered WHERE id <> nth";
    assert_eq!(desk.count(odd), 0, "ids follow the names, without a gap");
}

#[test]
fn a_source_entry_and_the_daemon_are_all_that_is_needed() {
    let desk = Desk::new();
    let provider = desk.dir.path().join("provider");
    let whole = provided(&desk);
    let (delivery, whole) = (provider.join(NIGHT), whole);
    fs::create_dir_all(&delivery).unwrap();
    let Some(server) = web::nginx(&provider, None) else { return };
    let url = format!("url = \"http://127.0.0.1:{}\"", server.port);
    add_source(
        &desk,
        "casu",
        &[
            url,
            "poll_seconds = 1".into(),
            "settle_seconds = 1".into(),
            "quiet_seconds = 600".into(),
        ],
    );
    let names: Vec<String> = {
        let mut names: Vec<_> =
            walk(&whole).iter().map(|l| l.split(' ').next().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    let put = |name: &str| {
        fs::copy(whole.join(name), delivery.join(name)).expect("copied");
    };
    let half = names.iter().filter(|n| *n != "OK_TO_COPY").take(names.len() / 2);
    half.clone().for_each(|name| put(name));
    let daemon = Daemon::start(&desk, &["transfer"], &[]);
    let came = || desk.count("SELECT count(*) FROM file");
    until("what is there comes before the rest", || came() == half.clone().count() as u64);
    let status = desk.status();
    assert_eq!(status["deliveries"][0]["state"], "arriving");
    let awaited = status["deliveries"][0]["awaited"].as_str().expect("something").to_owned();
    assert!(awaited.starts_with("OK_TO_COPY has not arrived, quiet for "), "{awaited}");
    assert_eq!(status["sources"]["state"]["sources"]["casu"]["fault"], serde_json::Value::Null);
    let text = desk.at_site(&["status"]).ended(0);
    assert!(text.contains("casu") && text.contains("OK_TO_COPY has not arrived"), "{text}");
    assert_eq!(desk.refusals().len(), 0, "awaited files are no news");
    // A file that grows is not taken before it stays as it is.
    let growing = delivery.join("growing.dat");
    for part in 0..4 {
        let mut file = fs::File::options().append(true).create(true).open(&growing).unwrap();
        std::io::Write::write_all(&mut file, &[part; 1000]).unwrap();
        std::thread::sleep(Duration::from_millis(700));
    }
    names.iter().filter(|n| *n != "OK_TO_COPY").for_each(|name| put(name));
    put("OK_TO_COPY");
    until("the delivery is there", || desk.status()["deliveries"][0]["state"] == "registered");
    assert_eq!(desk.status()["deliveries"][0]["awaited"], serde_json::Value::Null);
    until("all of it", || came() == names.len() as u64 + 1);
    is_in(&desk, &delivery);
    assert_eq!(
        desk.count("SELECT count(*) FROM transfer WHERE name = 'growing.dat'"),
        1,
        "whole, at once"
    );
    assert_eq!(desk.count("SELECT bytes FROM file WHERE name = 'growing.dat'"), 4000);
    // A late file joins, and only it is new.
    fs::write(delivery.join("late.dat"), "late").unwrap();
    until("a late file", || desk.count("SELECT count(*) FROM file WHERE name = 'late.dat'") == 1);
    let said = daemon.end();
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("not complete: OK_TO_COPY has not arrived"), "{}", said.err);
    let rows = desk.rows("SELECT DISTINCT source, outcome FROM transfer");
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["source"], format!("http://127.0.0.1:{}/{NIGHT}", server.port));
    let table = desk.at_site(&["sources"]).ended(0);
    assert!(table.contains("casu") && table.contains("registered"), "{table}");
}

#[test]
fn deliveries_are_complete_by_list_or_count() {
    let desk = Desk::new();
    let delivery = provided(&desk);
    let inbox = format!("url = \"{}\"", desk.inbox().display());
    let quick = ["poll_seconds = 1".to_owned(), "settle_seconds = 0".to_owned()];
    fs::remove_file(delivery.join("OK_TO_COPY")).unwrap();
    let sums: String = walk(&delivery)
        .iter()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, sum)| format!("{sum}  {name}\n"))
        .collect();
    let aside = desk.dir.path().join(LARGE);
    fs::rename(delivery.join(LARGE), &aside).unwrap();
    let awaited =
        || desk.status()["deliveries"][0]["awaited"].as_str().unwrap_or_default().to_owned();
    add_source(
        &desk,
        "listed",
        &[&[inbox, "complete_when = \"manifest\"".into()], &quick[..]].concat(),
    );
    let daemon = Daemon::start(&desk, &["transfer"], &[]);
    until("files without their list", || awaited() == "the list of files has not arrived");
    fs::write(delivery.join("SHA256SUMS"), sums).unwrap();
    until("a list with a file that is missing", || awaited().contains(" in the list"));
    assert!(awaited().starts_with("missing: 1 file of "), "{}", awaited());
    let missing = desk.refusals();
    assert!(
        missing.iter().any(|r| r["code"] == "missing_from_delivery" && r["file"] == LARGE),
        "{missing:?}"
    );
    fs::rename(aside, delivery.join(LARGE)).unwrap();
    until("all of it", || desk.status()["deliveries"][0]["state"] == "registered");
    daemon.end();
    assert_eq!(
        desk.value(&format!("SELECT verified_by FROM transfer WHERE name = '{LARGE}'")),
        "sha256"
    );

    let desk = Desk::new();
    let delivery = provided(&desk);
    let files = walk(&delivery).len() + 1;
    let inbox = format!("url = \"{}\"", desk.inbox().display());
    let count = format!("expected_files = {files}");
    add_source(
        &desk,
        "counted",
        &[&[inbox, "complete_when = \"count\"".into(), count], &quick[..]].concat(),
    );
    let daemon = Daemon::start(&desk, &["transfer"], &[]);
    let awaited =
        || desk.status()["deliveries"][0]["awaited"].as_str().unwrap_or_default().to_owned();
    until("one too few", || awaited() == format!("{} of {files} files have arrived", files - 1));
    fs::write(delivery.join("last.dat"), "x").unwrap();
    until("all of it", || desk.status()["deliveries"][0]["state"] == "registered");
    daemon.end();
}

#[test]
fn faults_of_a_source_are_reported_without_its_secrets() {
    let refused = |lines: &[&str], wanted: &str| {
        let desk = Desk::bare();
        let lines: Vec<String> = lines.iter().map(|l| (*l).to_owned()).collect();
        add_source(&desk, "casu", &lines);
        let said = desk.at_site(&["sources"]);
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.err.contains("casu") && said.err.contains(wanted), "{}", said.err);
        assert!(!said.err.contains("geheim"), "{}", said.err);
    };
    refused(&["url = \"ssh://me:geheim@host/x\""], "a password does not belong in a URL");
    refused(&["url = \"gopher://host/x\""], "the scheme is not");
    refused(
        &["url = \"https://host/x\"", "secret_env = \"ALMAGEST_NO_SUCH\""],
        "the environment has no ALMAGEST_NO_SUCH",
    );
    refused(&["url = \"x\"", "complete_when = \"count\""], "is not a number of files");
    refused(&["url = \"x\"", "wrong = 1"], "unknown field");
    let desk = Desk::bare();
    let secret = desk.site.join("casu.secret");
    fs::write(&secret, "geheim\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    add_source(
        &desk,
        "casu",
        &["url = \"https://127.0.0.1:9/x\"".into(), "secret_file = \"casu.secret\"".into()],
    );
    let said = desk.at_site(&["sources"]);
    assert!(said.code == Some(2) && said.err.contains("chmod 600"), "{said:?}");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let said = desk.at_site(&["sources"]);
    assert_eq!(said.code, Some(4), "no server listens there: {said:?}");
    assert!(said.out.contains("casu") && !said.out.contains("geheim"), "{}", said.out);
    let shown = desk.at_site(&["config", "show"]).ended(0);
    assert!(shown.contains("casu.secret") && !shown.contains("geheim"), "{shown}");
}

#[test]
fn outside_its_window_a_source_is_left_alone() {
    let desk = Desk::new();
    provided(&desk);
    // A minute of the day that is not now, nor soon.
    let minute = (chrono_minute() + 720) % 1440;
    let window = format!(
        "windows = [\"{:02}:{:02}-{:02}:{:02}\"]",
        minute / 60,
        minute % 60,
        (minute + 1) % 1440 / 60,
        (minute + 1) % 60
    );
    add_source(
        &desk,
        "night",
        &[format!("url = \"{}\"", desk.inbox().display()), window, "poll_seconds = 1".into()],
    );
    let daemon = Daemon::start(&desk, &["transfer"], &[]);
    until("it says so", || {
        desk.status()["sources"]["state"]["sources"]["night"]["state"] == "closed"
    });
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(desk.count("SELECT count(*) FROM file"), 0);
    daemon.end();
}

fn chrono_minute() -> u64 {
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    now.as_secs() / 60 % 1440
}

#[test]
fn volumes_are_filled_and_what_does_not_fit_is_not_begun() {
    let desk = Desk::new();
    let delivery = provided(&desk);
    let second = desk.dir.path().join("second");
    let text = delivery.to_str().unwrap();
    desk.configure(&[("keep_free_gb = 0", "keep_free_gb = 1000000")]);
    let said = desk.at_site(&["transfer", text]);
    assert!(said.code == Some(1) || said.code == Some(3), "{said:?}");
    assert_eq!(desk.count("SELECT count(*) FROM file WHERE bytes > 0"), 0, "nothing was begun");
    desk.configure(&[
        ("keep_free_gb = 1000000", "keep_free_gb = 0"),
        ("volumes = []", &format!("volumes = [\"{}\"]", second.display())),
        ("fill = \"in-order\"", "fill = \"most-free\""),
    ]);
    desk.at_site(&["transfer", text]).ended(0);
    let stored =
        walk(&desk.site.join("library").join(NIGHT)).len() + walk(&second.join(NIGHT)).len();
    assert_eq!(stored, walk(&delivery).len());
    desk.at_site(&["verify", "--checksums"]).ended(0);
}

#[test]
fn rot_is_found_and_repaired_from_the_right_copy() {
    let desk = Desk::new();
    let delivery = provided(&desk);
    let text = delivery.to_str().unwrap();
    desk.at_site(&["transfer", text]).ended(0);
    desk.at_site(&["scrub"]).ended(0);
    desk.at_site(&["reconcile"]).ended(0);
    let library = desk.site.join("library").join(NIGHT);
    let images: Vec<String> = desk
        .rows("SELECT name FROM file WHERE kind = 'image' ORDER BY name")
        .iter()
        .map(|r| r["name"].as_str().unwrap().to_owned())
        .collect();
    let (rotten, lost, short) =
        (library.join(&images[0]), library.join(&images[1]), library.join(&images[2]));
    let before = walk(&library);
    let writable =
        |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    writable(&rotten);
    let mut bytes = fs::read(&rotten).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&rotten, bytes).unwrap();
    fs::remove_file(&lost).unwrap();
    writable(&short);
    fs::File::options().write(true).open(&short).unwrap().set_len(100).unwrap();
    fs::write(library.join("stray.dat"), "stray").unwrap();
    fs::write(delivery.join("new.dat"), "new").unwrap();
    let found = desk.at_site(&["scrub", "--json"]).json(3);
    assert_eq!(found["unsound"].as_array().unwrap().len(), 3, "{found}");
    assert!(desk.at_site(&["status"]).ended(0).contains("3 files of the library damaged or lost"));
    let codes = |said: operator::Said, code: i32| {
        let found = said.json(code);
        let mut codes: Vec<String> = found
            .as_array()
            .unwrap()
            .iter()
            .map(|d| d["code"].as_str().unwrap().to_owned())
            .collect();
        codes.sort();
        codes
    };
    let all = ["corrupt", "missing", "not_fetched", "size_differs", "stray"];
    assert_eq!(codes(desk.at_site(&["reconcile", "--json"]), 3), all);
    assert_eq!(codes(desk.at_site(&["reconcile", "--json"]), 3), all, "a report changes nothing");
    assert_eq!(codes(desk.at_site(&["reconcile", "--right", "source", "--json"]), 3), ["stray"]);
    let mut after = walk(&library);
    after.retain(|line| !line.starts_with("stray.dat") && !line.starts_with("new.dat"));
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines
    };
    assert_eq!(sorted(after), sorted(before), "what was lost is what it was");
    desk.at_site(&["scrub"]).ended(0);
    assert_eq!(desk.status()["unsound_files"], 0);
    // A stray belongs to the archive, or out of the way.
    let other = library.join("other.dat");
    fs::write(&other, "other").unwrap();
    desk.at_site(&["reconcile", "--right", "library"]).ended(0);
    assert_eq!(desk.count("SELECT count(*) FROM file WHERE name IN ('stray.dat', 'other.dat')"), 2);
    assert_eq!(
        desk.value("SELECT source FROM delivery"),
        text,
        "it still came from where it came from"
    );
    fs::write(library.join("third.dat"), "third").unwrap();
    // While another process fetches the delivery, a file without a record may be one of its files.
    let busy = files::lock_dir(&library).unwrap();
    desk.at_site(&["reconcile", "--right", "archive"]).ended(0);
    assert!(library.join("third.dat").exists());
    drop(busy);
    desk.at_site(&["reconcile", "--right", "archive"]).ended(0);
    assert!(!library.join("third.dat").exists());
    assert!(walk(&desk.site.join("library/.strays")).iter().any(|line| line.contains("third.dat")));
    // A file that is deleted at the source stays, and is reported.
    fs::remove_file(delivery.join("new.dat")).unwrap();
    let gone = codes(desk.at_site(&["reconcile", "--json"]), 0);
    assert!(gone.contains(&"gone_at_source".to_owned()), "{gone:?}");
    assert!(library.join("new.dat").is_file());
    desk.verified();
}

/// The ways in which the kills come to the provider.
struct Way {
    name: &'static str,
    place: String,
    source: Vec<String>,
}

impl Way {
    fn desk(&self) -> Desk {
        let desk = Desk::new();
        add_source(&desk, "provider", &self.source);
        desk
    }

    /// Transfers undisturbed. Returns the points that are passed, and the time that it takes.
    fn undisturbed(&self, delivery: &Path) -> (Vec<String>, Duration) {
        let desk = self.desk();
        let list = desk.dir.path().join("passed");
        let began = std::time::Instant::now();
        let code = desk
            .command(&["transfer", &self.place])
            .env("ALMAGEST_CRASH_LIST", &list)
            .output()
            .unwrap()
            .status
            .code();
        assert_eq!(code, Some(0), "{}", self.name);
        is_in(&desk, delivery);
        ledger_is_right(&desk, delivery);
        let passed: Vec<String> =
            fs::read_to_string(&list).unwrap().lines().map(str::to_owned).collect();
        assert!(passed.iter().any(|p| p == "transfer:renamed"), "{passed:?}");
        (passed, began.elapsed())
    }
}

/// Kills a transfer at a point or after a time. Returns where, and whether the kill hit.
fn killed(
    mut command: Command,
    (passed, took): &(Vec<String>, Duration),
    next: &mut impl FnMut(u64) -> u64,
) -> (String, bool) {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let is_point = next(2) == 0;
    if is_point {
        let at = usize::try_from(next(passed.len() as u64)).unwrap();
        let passing = passed[..=at].iter().filter(|p| **p == passed[at]).count();
        let point = format!("{}:{passing}", passed[at]);
        command.env("ALMAGEST_CRASH_AT", &point);
        (point, command.status().unwrap().code().is_none())
    } else {
        let after = Duration::from_millis(next(u64::try_from(took.as_millis()).unwrap().max(1)));
        let mut child = command.spawn().unwrap();
        std::thread::sleep(after);
        child.kill().unwrap();
        (format!("{after:?}"), child.wait().unwrap().code().is_none())
    }
}

#[test]
fn killed_at_any_instant_the_library_and_the_ledger_end_the_same() {
    let kills =
        std::env::var("ALMAGEST_TRANSFER_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(KILLS);
    let provider = Desk::new();
    let delivery = provided(&provider);
    let inbox = provider.inbox();
    let directory = Way {
        name: "directory",
        place: delivery.display().to_string(),
        source: vec![format!("url = \"{}\"", inbox.display())],
    };
    let mut ways = vec![directory];
    let servers = Servers::start(1);
    if let Some(servers) = &servers {
        let source = vec![
            format!("url = \"ssh://h1{}\"", inbox.display()),
            format!("ssh_options = [\"-F\", \"{}\"]", servers.configuration().display()),
            "mb_per_second = 25.0".to_owned(),
        ];
        ways.push(Way { name: "ssh", place: format!("ssh://h1{}", delivery.display()), source });
    }
    let server = web::nginx(&inbox, None);
    if let Some(server) = &server {
        let url = format!("http://127.0.0.1:{}", server.port);
        let source = vec![format!("url = \"{url}\""), "mb_per_second = 25.0".to_owned()];
        ways.push(Way { name: "http", place: format!("{url}/{NIGHT}"), source });
    }
    let mut next = operator::numbers();
    // What each way passes, undisturbed, and how long it takes.
    let aims: Vec<_> = ways.iter().map(|way| way.undisturbed(&delivery)).collect();
    let mut hit = 0;
    for kill in 0..kills {
        let number = kill % ways.len();
        let (way, aim) = (&ways[number], &aims[number]);
        let desk = way.desk();
        let mut what = String::new();
        // Once, twice or three times in a row before it may come to its end.
        for _ in 0..=next(3) {
            let (place, is_hit) = killed(desk.command(&["transfer", &way.place]), aim, &mut next);
            what += &format!(" {place}");
            hit += usize::from(is_hit);
        }
        println!("{}:{what}", way.name);
        let said = desk.at_site(&["transfer", &way.place]);
        assert_eq!(said.code, Some(0), "{}:{what}: {said:?}", way.name);
        is_in(&desk, &delivery);
        ledger_is_right(&desk, &delivery);
        desk.verified();
    }
    println!("{kills} runs, killed {hit} times");
    assert!(hit * 2 > kills, "most kills must hit: {hit} of {kills}");
}
