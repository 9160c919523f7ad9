//! The log files of a site and the messages on stderr: levels, formats, and failures of what reports failures.

mod operator;

use operator::{Daemon, Desk, Said, Small, until};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A delivery with one file that is still being written, so that fetching it says something to the operator.
fn delivery(desk: &Desk) -> PathBuf {
    let delivery = desk.simulate(&Small { frames: 2, detections: 5, ..Small::default() });
    std::fs::write(delivery.join("late.fit.part"), "the beginning of a file").expect("written");
    delivery
}

/// Removes the log of what prepared a site.
fn begin_log(desk: &Desk) {
    std::fs::remove_file(desk.site.join("logs/almagest.log")).expect("a log");
}

fn log(desk: &Desk, name: &str) -> String {
    std::fs::read_to_string(desk.site.join("logs").join(name)).unwrap_or_default()
}

/// The lines, which must be JSON objects with everything that each has.
#[track_caller]
fn objects(text: &str) -> Vec<Value> {
    let parsed = |line: &str| {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        for key in ["time", "level", "event", "message", "pid"] {
            assert!(object.get(key).is_some(), "{key}: {line}");
        }
        object
    };
    text.lines().map(parsed).collect()
}

const SKIPPED: &str = "almagest: 20071011_v1: late.fit.part is skipped: ";

#[test]
fn a_command_prints_what_its_options_select() {
    let desk = Desk::new();
    let delivery = delivery(&desk);
    let delivery = delivery.to_str().expect("UTF-8");
    let run = |options: &[&str]| desk.at_site(&[options, &["run", delivery]].concat());
    let said = run(&[]);
    assert!(said.err.contains(SKIPPED), "{said:?}");
    assert_eq!(said.err.lines().count(), 1, "{said:?}");
    let out = said.ended(0);
    let text = log(&desk, "almagest.log");
    for (words, fields) in [
        (": run begins event=begun", " what=run"),
        (
            ": ingested 20071011_v1 catalogue round 1 in event ",
            " event=published delivery=20071011_v1 use_case=catalogue round=1 rows=",
        ),
        (
            ": 20071011_v1: late.fit.part is skipped: ",
            " event=skipped delivery=20071011_v1 file=late.fit.part",
        ),
        (": run ends with 0, 0 new refusals; ", " event=ended what=run exit=0 refusals=0"),
    ] {
        let found = |line: &str| line.contains(words) && line.contains(fields);
        assert_eq!(text.lines().filter(|line| found(line)).count(), 1, "{words}{fields}:\n{text}");
    }

    let said = run(&["--quiet"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    assert!(!said.out.is_empty() && !out.is_empty(), "results are no messages: {said:?}");
    let said = desk.at_site(&["run", "nowhere/20071011_v9", "-q"]);
    assert!(said.code == Some(2) || said.code == Some(3), "{said:?}");
    assert!(said.err.starts_with("almagest: ") && said.err.contains("nowhere"), "{said:?}");

    let said = run(&["-v"]);
    assert!(said.err.contains(SKIPPED) && said.err.contains("almagest: run begins\n"), "{said:?}");
    assert!(!said.err.contains("staging was swept"), "{said:?}");
    let said = run(&["-vv"]);
    assert!(said.err.contains("almagest: run begins\n"), "{said:?}");
    assert!(said.err.contains("almagest: staging was swept\n"), "{said:?}");
    assert!(
        !log(&desk, "almagest.log").contains("staging was swept"),
        "the file has its own level"
    );
    desk.at_site(&["-q", "-v", "status"]).ended(2);
}

#[test]
fn json_has_an_object_per_line() {
    let desk = Desk::new();
    let delivery = delivery(&desk);
    let delivery = delivery.to_str().expect("UTF-8");
    begin_log(&desk);
    let said = desk.at_site(&["--log-format", "json", "run", delivery]);
    let told = objects(&said.err);
    assert_eq!(told.len(), 1, "{said:?}");
    assert_eq!((&told[0]["event"], &told[0]["level"]), (&json!("skipped"), &json!("warn")));
    assert_eq!(told[0]["file"], "late.fit.part");
    said.ended(0);
    let logged = objects(&log(&desk, "almagest.log"));
    let published = |o: &&Value| o["event"] == "published" && o["use_case"] == "catalogue";
    let published: Vec<&Value> = logged.iter().filter(published).collect();
    assert_eq!(published.len(), 1, "{logged:?}");
    assert_eq!(
        (&published[0]["delivery"], &published[0]["round"]),
        (&json!("20071011_v1"), &json!(1))
    );
    let rows = desk.count("SELECT count(*) FROM detection");
    assert_eq!(published[0]["rows"].as_u64(), Some(rows), "{published:?}");
    assert!(published[0]["seconds"].is_f64() && published[0]["archive_event"].is_u64());
    assert!(published[0]["user"].is_string());
    // The configuration decides about files where the command line does not.
    desk.configure(&[("level = \"info\"", "level = \"error\"")]);
    desk.at_site(&["run", delivery]).ended(0);
    assert_eq!(objects(&log(&desk, "almagest.log")).len(), logged.len(), "nothing failed");
    desk.configure(&[
        ("level = \"error\"", "level = \"debug\""),
        ("format = \"text\"", "format = \"json\""),
    ]);
    let said = desk.at_site(&["run", delivery]);
    assert!(said.err.contains(SKIPPED), "stderr stays text: {said:?}");
    said.ended(0);
    let more = objects(&log(&desk, "almagest.log"));
    assert!(more[logged.len()..].iter().any(|o| o["level"] == "debug"), "{more:?}");
}

/// Returns the number of occurrences of a text in another one.
fn times(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

#[test]
fn each_loop_has_its_own_file() {
    let desk = Desk::new();
    desk.in_a_hurry();
    desk.configure(&[
        ("directories = []", "directories = [\"../inbox\"]"),
        ("poll_seconds = 5", "poll_seconds = 1"),
        ("auto = false", "auto = true"),
    ]);
    desk.simulate(&Small { frames: 2, detections: 5, ..Small::default() });
    let daemon = Daemon::start(&desk, &[], &[]);
    let published = "event=published delivery=20071011_v1 use_case=catalogue";
    until("detections", || log(&desk, "ingester.log").contains(published));
    let said = daemon.end();
    for (name, wanted, of_another) in [
        ("transfer.log", "event=fetched delivery=20071011_v1 source=", "event=published"),
        ("data.log", "event=staged delivery=20071011_v1 use_case=catalogue", "event=fetched"),
        ("ingester.log", published, "event=staged"),
    ] {
        let text = log(&desk, name);
        assert!(text.contains(wanted) && !text.contains(of_another), "{name}:\n{text}");
        assert_eq!(times(&text, "event=daemon_begun"), 1, "{name}:\n{text}");
    }
    for text in ["almagest: ingester started, pid ", "almagest: data daemon stopped\n"] {
        assert_eq!(times(&said.err, text), 1, "{said:?}");
    }
    said.ended(0);
    let text = log(&desk, "almagest.log");
    assert!(!text.contains("event=published") && !text.contains("event=staged"), "{text}");
}

#[test]
fn a_failing_notification_is_in_the_log_and_in_status() {
    let desk = Desk::new();
    desk.in_a_hurry();
    desk.configure(&[
        ("command = []", "command = [\"/bin/false\"]"),
        ("low_disk_gb = 20", "low_disk_gb = 1000000000"), // a condition that always holds
    ]);
    let daemon = Daemon::start(&desk, &["data"], &[]);
    let fault = || desk.status()["notify_fault"].clone();
    until("the failure", || fault().is_string());
    assert!(fault().as_str().is_some_and(|why| why.contains("/bin/false")), "{}", fault());
    let shown = desk.at_site(&["status"]).ended(0);
    assert!(shown.contains("notifications fail: /bin/false"), "{shown}");
    let examined = desk.at_site(&["doctor"]).ended(3);
    assert!(examined.contains("notifications fail: /bin/false"), "{examined}");
    let said = daemon.end();
    let text = log(&desk, "data.log");
    let found = |line: &&str| line.contains(" ERROR ") && line.contains("event=notify_failed");
    assert_eq!(text.lines().filter(found).count(), 1, "{text}");
    assert_eq!(times(&said.err, "almagest: notifications fail and are retried: "), 1, "{said:?}");
    said.ended(0);
}

#[track_caller]
fn reported_once(said: &Said, path: &Path) {
    let report =
        format!("almagest: cannot write to the log {}, and work continues: ", path.display());
    assert_eq!(times(&said.err, &report), 1, "{report}: {said:?}");
}

#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let desk = Desk::new();
    desk.in_a_hurry();
    let delivery = delivery(&desk);
    let logs = desk.site.join("logs");
    std::fs::remove_dir_all(&logs).expect("removed");
    std::fs::write(&logs, "no directory").expect("written");
    let said = desk.run(&delivery);
    reported_once(&said, &logs.join("almagest.log"));
    said.ended(0);
    assert!(desk.count("SELECT count(*) FROM detection") > 0);

    std::fs::remove_file(&logs).expect("removed");
    std::fs::create_dir_all(logs.join("ingester.log")).expect("made");
    let daemon = Daemon::start(&desk, &["ingest"], &[]);
    until("a pass", || desk.status()["ingester"]["state"]["passes"].as_u64() > Some(1));
    let said = daemon.end();
    reported_once(&said, &logs.join("ingester.log"));
    assert_eq!(times(&said.err, "almagest: ingester stopped\n"), 1, "{said:?}");
    said.ended(0);
}

#[test]
fn a_port_that_is_taken_is_in_the_log_and_in_status() {
    let desk = Desk::new();
    desk.in_a_hurry();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("listen = \"{}\"", taken.local_addr().expect("an address"));
    desk.configure(&[("listen = \"\"", &address)]);
    let daemon = Daemon::start(&desk, &["ingest"], &[]);
    until("a pass", || desk.status()["ingester"]["state"]["passes"].as_u64() > Some(0));
    let shown = desk.at_site(&["status"]).ended(0);
    assert!(shown.contains("  no /metrics and /healthz: cannot listen on 127.0.0.1:"), "{shown}");
    daemon.end().ended(0);
    let text = log(&desk, "ingester.log");
    let found = |line: &&str| line.contains(" ERROR ") && line.contains("event=port_not_served");
    assert_eq!(text.lines().filter(found).count(), 1, "{text}");
}

/// Each decision has one line in the log, with its subject, who made it and why, and a form for programs; a dry run has none.
#[test]
fn a_decision_is_logged_once() {
    let desk = Desk::new();
    desk.run(&desk.simulate(&Small { frames: 2, detections: 5, ..Small::default() })).ended(0);
    desk.configure(&[("format = \"text\"", "format = \"json\"")]);
    begin_log(&desk);
    const NIGHT: &str = "20071011_v1";
    let decisions: [(&[&str], &str, &str); 8] = [
        (&["pause", "--delivery", NIGHT], "pause", "delivery 20071011_v1"),
        (&["edit", "--delivery", NIGHT, "--priority", "3"], "edit", "delivery 20071011_v1"),
        (&["resume", "--delivery", NIGHT], "resume", "delivery 20071011_v1"),
        (&["cancel", "--use-case", "preview"], "cancel", "use case preview"),
        (&["resume", "--use-case", "preview"], "resume", "use case preview"),
        (&["retract", NIGHT], "retract", NIGHT),
        (&["retract", NIGHT, "--undo"], "retract --undo", NIGHT),
        (&["retract", NIGHT, "--use-case", "preview"], "retract", NIGHT),
    ];
    for (words, act, subject) in decisions {
        let words = [words, &["--reason", "a test", "--json"][..]].concat();
        let logged = || {
            let lines = objects(&log(&desk, "almagest.log"));
            lines.into_iter().filter(|line| line["event"] == "decision").collect::<Vec<_>>()
        };
        let before = logged().len();
        let tried = desk.at_site(&[&words[..], &["--dry-run"]].concat()).json(0);
        assert_eq!(tried["dry_run"], true, "{words:?}: {tried}");
        assert_eq!(logged().len(), before, "{words:?}: a dry run decides nothing");
        let done = desk.at_site(&words).json(0);
        assert_eq!(done["dry_run"], false, "{words:?}: {done}");
        let new = logged().split_off(before);
        assert_eq!(new.len(), 1, "{words:?}: {new:?}");
        assert_eq!((&new[0]["act"], &new[0]["subject"]), (&json!(act), &json!(subject)), "{new:?}");
        assert_eq!((&new[0]["reason"], &new[0]["level"]), (&json!("a test"), &json!("info")));
        assert!(new[0]["who"].as_str().is_some_and(|who| !who.is_empty()), "{new:?}");
        assert_eq!((&done["act"], &done["subject"]), (&json!(act), &json!(subject)), "{done}");
        assert_eq!((&done["reason"], &done["who"]), (&new[0]["reason"], &new[0]["who"]));
    }
    let purged = ["purge", "--reason", "a test", "--yes", "--json"];
    desk.at_site(&purged).json(0);
    let lines = objects(&log(&desk, "almagest.log"));
    let purges = lines.iter().filter(|line| line["act"] == "purge");
    assert_eq!(purges.count(), 1, "{lines:?}");
}
