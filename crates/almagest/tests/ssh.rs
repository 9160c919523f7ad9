//! The data daemon with plain computers that it reaches by ssh, and with scripts that users run.

mod operator;

use operator::{Daemon, Desk, Said, Small, until_within};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use testkit::sshd::Servers;

fn started(desk: &Desk, words: &[&str]) -> Daemon {
    Daemon::start_unheard(desk.command(&[&["daemon"], words].concat()))
}

#[track_caller]
fn until(what: &str, is_so: impl FnMut() -> bool) {
    until_within(1800, what, is_so);
}

fn nights(count: usize) -> Vec<Small<'static>> {
    const NAMES: [&str; 3] = ["20071011", "20071012", "20071013"];
    let night =
        |(seed, night)| Small { night, frames: 6, detections: 12, seed, ..Small::default() };
    (1..).zip(NAMES).take(count).map(night).collect()
}

/// All nights came in, as they would have anywhere.
#[track_caller]
fn has_all(desk: &Desk, count: usize, what: &str) {
    until("the nights", || desk.complete() == count);
    let wanted = Desk::undisturbed(&nights(count));
    desk.content_without_ids().is_that_of(&wanted.content_without_ids(), what);
    desk.verified();
}

/// The computers by the daemon's word.
fn hosts(desk: &Desk) -> Vec<serde_json::Value> {
    let status = desk.status();
    status["data_daemon"]["state"]["hosts"].as_array().cloned().unwrap_or_default()
}

/// A site with five computers.
fn of_five(seconds_more: f64) -> Option<(Servers, Desk)> {
    let servers = Servers::start(5)?;
    let desk = Desk::new();
    let hosts = format!("hosts = {:?}", servers.names());
    let options =
        format!("options = [\"-F\", \"{}\"]\n# Seconds between", servers.configuration().display());
    desk.in_a_hurry();
    desk.slow_node(seconds_more);
    desk.configure(&[
        ("executor = \"local\"", "executor = \"ssh\""),
        ("hosts = []", &hosts),
        ("options = []\n# Seconds between", &options),
        ("report_seconds = 0", "report_seconds = 1"),
        ("heartbeat_timeout_seconds = 180", "heartbeat_timeout_seconds = 15"),
    ]);
    Some((servers, desk))
}

#[test]
fn three_nights_on_five_computers_without_a_batch_system() {
    let Some((_servers, desk)) = of_five(0.0) else { return };
    desk.transfer(&nights(3));
    let ingester = started(&desk, &["ingest"]);
    let daemon = started(&desk, &["data"]);
    until("reports of all", || {
        let hosts = hosts(&desk);
        hosts.len() == 5 && hosts.iter().all(|h| h["closed"].is_null() && h["load"].is_number())
    });
    let plan = desk.at_site(&["plan"]).ended(0);
    for word in ["h1", "h5", "20071013_v1/preview"] {
        assert!(plan.contains(word), "{word}:\n{plan}");
    }
    desk.at_site(&["approve", "--all"]).ended(0);
    has_all(&desk, 3, "on five computers");
    daemon.end().ended(0);
    ingester.end().ended(0);
}

#[test]
fn a_computer_is_lost_and_the_daemon_killed_while_tasks_run() {
    let Some((servers, desk)) = of_five(3.0) else { return };
    desk.transfer(&nights(2));
    let ingester = started(&desk, &["ingest"]);
    let daemon = started(&desk, &["data", "--auto"]);
    let runs_on = |host: &str| {
        let status = desk.status();
        let attempts = status["data_daemon"]["state"]["attempts"].as_array().cloned();
        attempts.unwrap_or_default().iter().any(|a| a["host"] == host)
    };
    let mut lost = 0;
    until("work somewhere", || {
        lost = (1..=5).find(|n| runs_on(&format!("h{n}"))).unwrap_or(0);
        lost > 0
    });
    servers.kill(lost);
    daemon.kill();
    let daemon = started(&desk, &["data", "--auto"]);
    has_all(&desk, 2, "with one of five lost");
    // It comes back, and reports again by itself.
    servers.restart(lost);
    let name = format!("h{lost}");
    until("its reports", || {
        let hosts = hosts(&desk);
        hosts.iter().any(|h| h["host"] == name.as_str() && h["closed"].is_null())
    });
    daemon.end().ended(0);
    ingester.end().ended(0);
}

#[test]
fn tasks_on_other_hosts_can_be_cancelled() {
    let Some((_servers, desk)) = of_five(60.0) else { return };
    desk.transfer(&nights(1));
    let daemon = started(&desk, &["data", "--auto"]);
    let running = || desk.status()["running_attempts"].as_u64().unwrap_or(0);
    until("work", || running() > 0);
    std::thread::sleep(Duration::from_secs(2));
    let said: Said = desk.at_site(&["cancel", "--all", "--reason", "wrong flats"]);
    said.ended(0);
    assert_eq!(running(), 0);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(running(), 0, "nothing starts again by itself");
    let plan = desk.at_site(&["plan"]).ended(0);
    assert!(plan.contains("wrong flats"), "{plan}");
    daemon.end().ended(0);
}

/// Scripts, of every computer, in the order of their names.
fn scripts(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> = entries.map(|e| e.path()).collect();
    all.sort();
    all
}

#[test]
fn users_run_the_scripts_of_their_computers() {
    let desk = Desk::new();
    desk.in_a_hurry();
    desk.slow_node(0.0);
    desk.configure(&[("executor = \"local\"", "executor = \"print\"")]);
    let path = desk.site.join("almagest.toml");
    let text = std::fs::read_to_string(&path).expect("there");
    let hosts = "\n[hosts.pixel1]\ncores = 2\n[hosts.pixel2]\ncores = 2\n";
    std::fs::write(&path, text + hosts).expect("written");
    desk.transfer(&nights(2));
    let ingester = started(&desk, &["ingest"]);
    let daemon = started(&desk, &["data", "--auto"]);
    let directory = desk.site.join("scripts");
    let mut done = std::collections::BTreeSet::new();
    until("two nights", || {
        for script in scripts(&directory) {
            if done.insert(script.clone()) {
                let ran = Command::new("sh").arg(&script).stderr(Stdio::null()).status();
                assert!(ran.is_ok(), "{}", script.display());
            }
        }
        desk.complete() == 2
    });
    let names: Vec<String> = done.iter().map(|p| p.display().to_string()).collect();
    for host in [".pixel1.sh", ".pixel2.sh"] {
        assert!(names.iter().any(|n| n.ends_with(host)), "{names:?}");
    }
    has_all(&desk, 2, "by hand");
    daemon.end().ended(0);
    ingester.end().ended(0);
}
