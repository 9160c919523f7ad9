//! `almagest plan`, `approve`, `daemon data` and what belongs to them: the operator decides, the daemon does it.

mod operator;

use operator::{Daemon, Desk, Small, until};
use std::path::{Path, PathBuf};
use std::time::Duration;

fn night(night: &str) -> Small<'_> {
    Small { night, frames: 8, detections: 12, seed: night.parse().unwrap_or(1), ..Small::default() }
}

const NIGHTS: [&str; 3] = ["20071011", "20071012", "20071013"];

/// Nights in the library, nothing done about them.
fn transferred(desk: &Desk) {
    desk.in_a_hurry();
    desk.transfer(&NIGHTS.map(night));
}

#[test]
fn one_approval_brings_three_nights_in() {
    let other = Desk::undisturbed(&NIGHTS.map(night));
    for desk in Desk::of_both_engines() {
        transferred(&desk);
        let plan = desk.at_site(&["plan"]).ended(0);
        for words in [
            "plan 1, proposed at",
            "20071011_v1/metadata",
            "20071013_v1/catalogue",
            "expected, estimated",
            "approve --all",
        ] {
            assert!(plan.contains(words), "{words}:\n{plan}");
        }
        assert_eq!(desk.at_site(&["plan"]).ended(0), plan, "the same plan, not another one");
        let json = desk.at_site(&["plan", "--json"]).json(0);
        assert_eq!((&json["plan_id"], &json["state"]), (&1.into(), &"proposed".into()));
        let daemon = Daemon::start(&desk, &["data"], &[]);
        let ingester = Daemon::start(&desk, &["ingest"], &[]);
        std::thread::sleep(Duration::from_secs(2));
        let status = desk.status();
        assert_eq!(status["running_attempts"], 0, "nothing starts before it is approved");
        assert_eq!(status["data_daemon"]["alive"], true);
        desk.at_site(&["approve", "--all", "--reason", "a good night"]).ended(0);
        until("three nights", || desk.complete() == 3);
        let said = daemon.end();
        assert_eq!(said.code, Some(0), "{}", said.err);
        ingester.end().ended(0);
        desk.content_without_ids().is_that_of(&other.content_without_ids(), "planned and approved");
        desk.verified();
        let compared = desk.at_site(&["plan", "--compare", "1"]).ended(0);
        for use_case in ["preview", "metadata", "catalogue"] {
            assert!(
                compared.contains(&format!("20071011_v1/{use_case}")),
                "{use_case}:\n{compared}"
            );
        }
        let history = desk.rows(
            "SELECT DISTINCT who, why FROM unit_history WHERE to_state = 'approved' ORDER BY why",
        );
        assert_eq!(history.len(), 2, "approved, and approved beforehand: {history:?}");
        assert!(history.iter().all(|row| row["who"] == history[0]["who"]), "{history:?}");
        let nothing = desk.at_site(&["plan"]).ended(0);
        assert!(!nothing.contains("approve --all"), "{nothing}");
    }
}

#[test]
fn plans_are_approved_by_policy_and_a_killed_daemon_resumes() {
    let other = Desk::undisturbed(&NIGHTS.map(night));
    let desk = Desk::new();
    transferred(&desk);
    let ingester = Daemon::start(&desk, &["ingest"], &[]);
    for pause in [300, 700, 1200, 500] {
        let daemon = Daemon::start(&desk, &["data", "--auto"], &[]);
        std::thread::sleep(Duration::from_millis(pause));
        daemon.kill();
    }
    let daemon = Daemon::start(&desk, &["data", "--auto"], &[]);
    until("three nights", || desk.complete() == 3);
    daemon.end().ended(0);
    ingester.end().ended(0);
    let (mine, wanted) = (desk.content_without_ids(), other.content_without_ids());
    mine.is_that_of(&wanted, "with a daemon that was killed four times");
    desk.verified();
}

#[test]
fn the_operator_approves_parts_pauses_and_sets_priorities() {
    let desk = Desk::new();
    transferred(&desk);
    desk.at_site(&["edit", "--night", "20071013", "--priority", "5", "--reason", "a supernova"])
        .ended(0);
    desk.at_site(&["pause", "--delivery", "20071012_v1", "--reason", "bad flats"]).ended(0);
    let plan = desk.at_site(&["plan", "--json"]).json(0);
    let units = plan["units"].as_array().expect("units");
    assert_eq!(units[0]["delivery"], "20071013_v1", "the most urgent one first");
    assert!(units.iter().all(|u| u["delivery"] != "20071012_v1"), "{units:?}");
    let waits = plan["waits"].to_string();
    assert!(
        waits.contains("delivery 20071012_v1 is paused by") && waits.contains("bad flats"),
        "{waits}"
    );
    let why = desk.at_site(&["explain", "20071012_v1"]).ended(0);
    assert!(why.contains("is paused by") && why.contains("resume --delivery 20071012_v1"), "{why}");
    let why = desk.at_site(&["explain", "20071013_v1"]).ended(0);
    assert!(why.contains("waits for a decision"), "{why}");
    // A part of it, then the rest is rejected.
    let daemon = Daemon::start(&desk, &["data"], &[]);
    desk.at_site(&["approve", "--unit", "20071013_v1/metadata"]).ended(0);
    let state = |unit: &str| -> String {
        let (delivery, use_case) = unit.split_once('/').expect("a unit");
        let status = desk.status();
        let deliveries = status["deliveries"].as_array().expect("deliveries");
        let delivery = deliveries.iter().find(|d| d["name"] == delivery).expect("it is there");
        let rounds = delivery["rounds"].as_array().expect("rounds");
        let round = rounds.iter().find(|r| r["use_case"] == use_case);
        round.map_or(String::new(), |r| r["state"].as_str().expect("a state").to_owned())
    };
    until("metadata", || state("20071013_v1/metadata") == "staged");
    assert_eq!(state("20071011_v1/metadata"), "proposed");
    desk.at_site(&["reject", "--reason", "not tonight"]).ended(0);
    assert_eq!(state("20071011_v1/metadata"), "ready");
    let refused = desk.at_site(&["approve", "--all"]);
    assert!(
        refused.err.contains("no plan waits for a decision: almagest --site"),
        "{}",
        refused.err
    );
    refused.ended(5);
    let held = desk.at_site(&["plan"]).ended(0);
    assert!(held.contains("rejected: not tonight"), "{held}");
    desk.at_site(&["resume", "--unit", "20071011_v1/metadata"]).ended(0);
    until("a new plan", || desk.at_site(&["plan"]).out.contains("approve --all"));
    desk.at_site(&["resume", "--unit", "20071011_v1/metadata"]).ended(5);
    // A host: this machine has one. A daemon at work would withdraw the plan that has no host any more.
    daemon.end().ended(0);
    let host = plan["hosts"][0]["host"].as_str().expect("a name").to_owned();
    desk.at_site(&["pause", "--host", &host, "--reason", "new fan"]).ended(0);
    desk.at_site(&["approve", "--all"]).ended(0);
    let daemon = Daemon::start(&desk, &["data"], &[]);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(state("20071011_v1/metadata"), "approved", "it may, and has no place");
    let shown = desk.at_site(&["plan", "--dry-run"]).ended(0);
    assert!(shown.contains("is paused by") && shown.contains("new fan"), "{shown}");
    desk.at_site(&["resume", "--host", &host]).ended(0);
    until("metadata of the other night", || state("20071011_v1/metadata") == "staged");
    daemon.end().ended(0);
    let history = desk.at_site(&["plan", "--history"]).ended(0);
    for words in ["priority 5", "end of pause", "a supernova", "new fan"] {
        assert!(history.contains(words), "{words}: {history}");
    }
}

#[test]
fn mistakes_are_reported() {
    let desk = Desk::new();
    desk.at_site(&["approve", "--all"]).ended(3);
    desk.at_site(&["approve"]).ended(2);
    let number: [(&[&str], &str); 2] = [
        (&["approve", "--all", "--plan", "0"], "plan"),
        (&["refusals", "dismiss", "0", "--reason", "x"], "refusal"),
    ];
    for (words, noun) in number {
        let said = desk.at_site(words);
        let wanted = format!("0 is not the number of a {noun}: numbers begin at 1");
        assert!(said.err.contains(&wanted), "{words:?}: {said:?}");
        said.ended(2);
    }
    desk.at_site(&["reject", "--reason", "none"]).ended(3);
    desk.at_site(&["plan", "--compare"]).ended(3);
    desk.at_site(&["pause", "--night", "20071011", "--reason", "x"]).ended(3);
    desk.at_site(&["pause", "--reason", "x"]).ended(2);
    desk.at_site(&["edit", "--unit", "20071011_v1", "--hold", "--reason", "x"]).ended(2);
    desk.at_site(&["drain", "--all", "--reason", "x"]).ended(2);
    let empty = desk.at_site(&["plan"]).ended(0);
    assert!(empty.contains("nothing can start"), "{empty}");
    assert!(desk.at_site(&["status", "--watch"]).err.contains("for a terminal"));
}

/// The work on what is there begins while the rest is on its way.
#[test]
fn a_night_is_worked_on_while_it_arrives() {
    let desk = Desk::new();
    desk.in_a_hurry();
    let there = desk.dir.path().join("there");
    std::fs::create_dir(&there).expect("made");
    desk.configure(&[
        ("directories = []", "directories = [\"../there\"]"),
        ("poll_seconds = 5", "poll_seconds = 1"),
        ("min_early_images = 100", "min_early_images = 4"),
        ("auto = false", "auto = true"),
    ]);
    let whole = desk.simulate(&night(NIGHTS[0]));
    let delivery = there.join(whole.file_name().expect("a name"));
    std::fs::create_dir(&delivery).expect("made");
    let mut names: Vec<_> =
        std::fs::read_dir(&whole).expect("there").flatten().map(|e| e.file_name()).collect();
    names.retain(|name| name != "OK_TO_COPY");
    names.sort();
    let put = |name: &std::ffi::OsString| {
        std::fs::copy(whole.join(name), delivery.join(name)).expect("copied");
    };
    let (early, late) = names.split_at(names.len() * 3 / 4);
    early.iter().for_each(put);
    let daemon = Daemon::start(&desk, &[], &[]);
    until("metadata of what is there", || desk.count("SELECT count(*) FROM multiframe") > 0);
    assert_eq!(desk.status()["deliveries"][0]["state"], "arriving");
    late.iter().for_each(put);
    put(&"OK_TO_COPY".into());
    until("all of it", || desk.complete() == 1);
    daemon.end();
    let rounds = desk.status()["deliveries"][0]["rounds"].as_array().expect("rounds").len();
    assert!(rounds <= 9, "{rounds} rounds");
    let alone = Desk::undisturbed(&[night(NIGHTS[0])]);
    let rows = "SELECT count(*) FROM detection";
    assert_eq!(desk.count(rows), alone.count(rows));
    desk.verified();
}

#[test]
fn new_files_become_queryable_and_a_failure_is_reported_once() {
    let desk = Desk::new();
    desk.in_a_hurry();
    let told = desk.dir.path().join("told");
    let command =
        format!("command = [\"sh\", \"-c\", \"cat >> {0}; echo >> {0}\"]", told.display());
    desk.configure(&[
        ("directories = []", "directories = [\"../inbox\"]"),
        ("poll_seconds = 5", "poll_seconds = 1"),
        ("command = []", &command),
        ("low_disk_gb = 20", "low_disk_gb = 0"),
        ("auto = false", "auto = true"),
    ]);
    let daemon = Daemon::start(&desk, &[], &[]);
    desk.simulate(&Small { faults: true, ..night(NIGHTS[0]) });
    desk.simulate(&night(NIGHTS[1]));
    until("two nights", || desk.complete() == 2);
    assert!(desk.count("SELECT count(*) FROM detection") > 0);
    let lines = || -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(&told).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    };
    until("a word about the damaged files", || !lines().is_empty());
    std::thread::sleep(Duration::from_secs(12));
    let said = daemon.end();
    assert_eq!(said.code, Some(0), "{}", said.err);
    let keys: Vec<String> = lines().iter().map(|l| l["key"].to_string()).collect();
    let mut once = keys.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), keys.len(), "each once: {keys:?}");
    assert!(lines().iter().all(|l| l["kind"] == "refusals"), "{:?}", lines());
    desk.verified();
}

/// Task files of attempts without a result yet: `UNIT/ROUND/TASK/ATTEMPT/task.json`.
fn waiting(staging: &Path, answered: &mut Vec<PathBuf>) -> Vec<PathBuf> {
    let mut directories = vec![staging.to_owned()];
    for _ in 0..4 {
        let below = directories.iter().filter_map(|dir| std::fs::read_dir(dir).ok());
        directories = below.flatten().flatten().map(|entry| entry.path()).collect();
    }
    let task_files = directories.into_iter().map(|dir| dir.join("task.json"));
    let new: Vec<PathBuf> =
        task_files.filter(|path| path.is_file() && !answered.contains(path)).collect();
    // One that is being written is answered when it is whole.
    let is_whole = |path: &PathBuf| {
        let text = std::fs::read(path).unwrap_or_default();
        serde_json::from_slice::<serde_json::Value>(&text).is_ok()
    };
    let new: Vec<PathBuf> = new.into_iter().filter(is_whole).collect();
    answered.extend(new.clone());
    new
}

/// The node of one night leaves files that no honest node would; that night's tasks fail with a reason, and an honest night comes
/// through beside it: the scheduler and the ingester neither stop nor wait.
#[test]
fn a_hostile_node_holds_up_its_own_night_alone() {
    let node = Path::new(env!("CARGO_BIN_EXE_almagest")).with_file_name("almagest-node");
    for desk in Desk::of_both_engines() {
        desk.transfer(&[night(NIGHTS[0]), night(NIGHTS[1])]);
        desk.in_a_hurry();
        desk.configure(&[
            ("executor = \"local\"", "executor = \"print\""),
            ("auto = false", "auto = true"),
        ]);
        let path = desk.site.join("almagest.toml");
        let text = std::fs::read_to_string(&path).expect("a configuration");
        std::fs::write(&path, text + "\n[hosts.far]\ncores = 4\nmemory_mb = 8000\n")
            .expect("written");
        let daemon = Daemon::start(&desk, &["data"], &[]);
        let ingester = Daemon::start(&desk, &["ingest"], &[]);
        let staging = desk.site.join("staging");
        let precious = desk.site.join("library/precious");
        std::fs::create_dir_all(&precious).expect("made");
        std::fs::write(precious.join("file"), "x").expect("written");
        let mut answered = Vec::new();
        let mut hostile = 0;
        until("the honest night", || {
            for task_file in waiting(&staging, &mut answered) {
                let directory = task_file.parent().expect("a directory");
                if !task_file.to_string_lossy().contains(NIGHTS[0]) {
                    let status =
                        std::process::Command::new(&node).arg("run").arg(&task_file).status();
                    assert!(status.expect("it runs").success());
                    continue;
                }
                leave_hostile(hostile, &task_file, directory, &precious);
                hostile += 1;
            }
            let status = desk.status();
            let deliveries = status["deliveries"].as_array().cloned().unwrap_or_default();
            deliveries
                .iter()
                .any(|d| d["name"] == format!("{}_v1", NIGHTS[1]) && d["state"] == "complete")
        });
        until("the hostile night to be given up", || {
            for task_file in waiting(&staging, &mut answered) {
                leave_hostile(hostile, &task_file, task_file.parent().expect("one"), &precious);
                hostile += 1;
            }
            desk.refusals().iter().any(|r| r["code"] == "task_failed")
        });
        assert_eq!(daemon.end().code, Some(0));
        assert_eq!(ingester.end().code, Some(0));
        assert!(precious.join("file").exists(), "nothing outside was removed");
        let refusals = desk.refusals();
        let failed = refusals.iter().find(|r| r["code"] == "task_failed").expect("a reason");
        assert!(failed["message"].as_str().is_some_and(|m| m.starts_with("on far: ")), "{failed}");
    }
}

/// Something that no honest node leaves, another thing each time.
fn leave_hostile(number: usize, task_file: &Path, directory: &Path, precious: &Path) {
    let text = std::fs::read_to_string(task_file).expect("a task file");
    let task: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let mut result = serde_json::json!({
        "version": 1, "unit": task["unit"], "task": task["task"], "attempt": task["attempt"],
        "files": [], "hdus": [], "refusals": [], "findings": [], "software": "evil\u{0}\u{202e}",
        "run": {"host": "far", "seconds": 1.0, "cpu_seconds": 1.0, "peak_memory_bytes": 1, "input_bytes": 1},
    });
    match number % 5 {
        0 => {
            result["refusals"] = serde_json::json!([
                {"code": "Not A Code\u{0}", "file": "x", "message": "m"}
            ]);
        }
        1 => result["run"]["peak_memory_bytes"] = u64::MAX.into(),
        2 => result["run"]["input_bytes"] = (1_u64 << 63).into(),
        3 => {
            let end = "{\"version\": 1, \"code\": \"failed\", \"reason\": \"a\\u0000b\\u001b[2J\",
                \"host\": \"far\", \"seconds\": 1e308, \"peak_memory_bytes\": 18446744073709551615}";
            std::fs::write(directory.join("end.json"), end).expect("written");
            return;
        }
        _ => {
            std::os::unix::fs::symlink(precious, directory.join("link")).expect("linked");
            std::fs::write(directory.join("result.json"), "[[[[").expect("written");
            return;
        }
    }
    std::fs::write(directory.join("result.json"), result.to_string()).expect("written");
}
