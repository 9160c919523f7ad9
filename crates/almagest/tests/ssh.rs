//! The data daemon with plain computers that it reaches by ssh, and with scripts that people run.

mod operator;

use operator::{Desk, Said, Small, signal};
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use testkit::sshd::Servers;

struct Daemon(Option<Child>);

impl Daemon {
    fn start(desk: &Desk, words: &[&str]) -> Self {
        let mut command = desk.command(&[&["daemon"], words].concat());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Self(Some(command.spawn().expect("it starts")))
    }

    fn end(mut self) {
        signal(self.0.as_ref().expect("it runs"), Signal::TERM);
        let code = self.0.take().expect("it runs").wait().expect("it ends").code();
        assert_eq!(code, Some(0));
    }

    fn kill(mut self) {
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

#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(180), "{what}: it never came");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn simulated(desk: &Desk, number: u32) -> PathBuf {
    let name = format!("{}", 20_071_010 + number);
    let seed = u64::from(number);
    desk.simulate(&Small { night: &name, frames: 6, detections: 12, seed, ..Small::default() })
}

fn undisturbed(nights: u32) -> Desk {
    let desk = Desk::new();
    let deliveries: Vec<PathBuf> = (1..=nights).map(|n| simulated(&desk, n)).collect();
    let mut words = vec!["run"];
    words.extend(deliveries.iter().map(|d| d.to_str().expect("UTF-8")));
    desk.at_site(&words).ended(0);
    desk
}

/// A node program that takes its time, and a configuration that says so.
fn configure(desk: &Desk, seconds_more: f64, changes: &[(&str, &str)]) {
    let node = PathBuf::from(env!("CARGO_BIN_EXE_almagest")).with_file_name("almagest-node");
    assert!(node.is_file(), "no almagest-node: the tests are run by `cargo test --workspace`");
    // A program of that name: reports find what runs by it.
    let slow = desk.dir.path().join("slow/almagest-node");
    std::fs::create_dir_all(slow.parent().expect("a parent")).expect("made");
    let node = node.display();
    let script =
        format!("#!/bin/sh\n[ \"$1\" = run ] && sleep {seconds_more}\nexec {node} \"$@\"\n");
    std::fs::write(&slow, script).expect("a script");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&slow, mode).expect("executable");
    let path = desk.site.join("almagest.toml");
    let mut text = std::fs::read_to_string(&path).expect("there");
    let node_program = format!("node_program = \"{}\"", slow.display());
    let usual = [
        ("node_program = \"\"", node_program.as_str()),
        ("load_most = 1.5", "load_most = 0.0"),
        ("poll_seconds = 10", "poll_seconds = 1"),
        ("poll_seconds = 2", "poll_seconds = 1"),
        ("listen = \"127.0.0.1:9187\"", "listen = \"\""),
    ];
    for (from, to) in usual.iter().chain(changes) {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    std::fs::write(&path, text).expect("written");
}

fn transferred(desk: &Desk, nights: u32) {
    for number in 1..=nights {
        let delivery = simulated(desk, number);
        desk.at_site(&["transfer", delivery.to_str().expect("UTF-8")]).ended(0);
    }
}

fn status(desk: &Desk) -> serde_json::Value {
    desk.at_site(&["status", "--json"]).json(0)
}

fn complete(desk: &Desk) -> usize {
    let status = status(desk);
    let deliveries = status["deliveries"].as_array().cloned().unwrap_or_default();
    deliveries.iter().filter(|d| d["state"] == "complete").count()
}

/// A site with five computers.
fn of_five(seconds_more: f64) -> Option<(Servers, Desk)> {
    let servers = Servers::start(5)?;
    let desk = Desk::new();
    let hosts = format!("hosts = {:?}", servers.names());
    let options =
        format!("options = [\"-F\", \"{}\"]\n# Seconds between", servers.configuration().display());
    let changes = [
        ("executor = \"local\"", "executor = \"ssh\""),
        ("hosts = []", hosts.as_str()),
        ("options = []\n# Seconds between", options.as_str()),
        ("report_seconds = 0", "report_seconds = 1"),
        ("silent_seconds = 180", "silent_seconds = 15"),
    ];
    configure(&desk, seconds_more, &changes);
    Some((servers, desk))
}

#[test]
fn three_nights_on_five_computers_without_a_batch_system() {
    let Some((_servers, desk)) = of_five(0.0) else { return };
    transferred(&desk, 3);
    let ingester = Daemon::start(&desk, &["ingest"]);
    let daemon = Daemon::start(&desk, &["data"]);
    until("reports of all", || {
        let status = status(&desk);
        let hosts = status["data_daemon"]["state"]["hosts"].as_array().cloned().unwrap_or_default();
        hosts.len() == 5 && hosts.iter().all(|h| h["closed"].is_null() && h["load"].is_number())
    });
    let plan = desk.at_site(&["plan"]).ended(0);
    for word in ["h1", "h5", "20071013_v1/preview"] {
        assert!(plan.contains(word), "{word}:\n{plan}");
    }
    desk.at_site(&["approve", "--all"]).ended(0);
    until("three nights", || complete(&desk) == 3);
    let wanted = undisturbed(3);
    desk.content_without_ids().is_that_of(&wanted.content_without_ids(), "on five computers");
    desk.verified();
    daemon.end();
    ingester.end();
}

#[test]
fn a_computer_is_lost_and_the_daemon_killed_while_tasks_run() {
    let Some((servers, desk)) = of_five(3.0) else { return };
    transferred(&desk, 2);
    let ingester = Daemon::start(&desk, &["ingest"]);
    let daemon = Daemon::start(&desk, &["data", "--auto"]);
    let runs_on = |host: &str| {
        let status = status(&desk);
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
    let daemon = Daemon::start(&desk, &["data", "--auto"]);
    until("two nights", || complete(&desk) == 2);
    let wanted = undisturbed(2);
    desk.content_without_ids().is_that_of(&wanted.content_without_ids(), "with one of five lost");
    desk.verified();
    // It comes back, and reports again by itself.
    servers.restart(lost);
    let name = format!("h{lost}");
    until("its reports", || {
        let status = status(&desk);
        let hosts = status["data_daemon"]["state"]["hosts"].as_array().cloned().unwrap_or_default();
        hosts.iter().any(|h| h["host"] == name.as_str() && h["closed"].is_null())
    });
    daemon.end();
    ingester.end();
}

#[test]
fn what_runs_elsewhere_can_be_cancelled() {
    let Some((_servers, desk)) = of_five(60.0) else { return };
    transferred(&desk, 1);
    let daemon = Daemon::start(&desk, &["data", "--auto"]);
    let running = || status(&desk)["running_attempts"].as_u64().unwrap_or(0);
    until("work", || running() > 0);
    std::thread::sleep(Duration::from_secs(2));
    let said: Said = desk.at_site(&["cancel", "--all", "--reason", "wrong flats"]);
    said.ended(0);
    assert_eq!(running(), 0);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(running(), 0, "nothing starts again by itself");
    let plan = desk.at_site(&["plan"]).ended(0);
    assert!(plan.contains("wrong flats"), "{plan}");
    daemon.end();
}

/// Scripts, of every computer, in the order of their names.
fn scripts(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> = entries.map(|e| e.path()).collect();
    all.sort();
    all
}

#[test]
fn people_run_the_scripts_of_their_computers() {
    let desk = Desk::new();
    configure(&desk, 0.0, &[("executor = \"local\"", "executor = \"print\"")]);
    let path = desk.site.join("almagest.toml");
    let text = std::fs::read_to_string(&path).expect("there");
    let hosts = "\n[hosts.pixel1]\ncores = 2\n[hosts.pixel2]\ncores = 2\n";
    std::fs::write(&path, text + hosts).expect("written");
    transferred(&desk, 2);
    let ingester = Daemon::start(&desk, &["ingest"]);
    let daemon = Daemon::start(&desk, &["data", "--auto"]);
    let directory = desk.site.join("scripts");
    let mut done = std::collections::BTreeSet::new();
    until("two nights", || {
        for script in scripts(&directory) {
            if done.insert(script.clone()) {
                let ran = Command::new("sh").arg(&script).stderr(Stdio::null()).status();
                assert!(ran.is_ok(), "{}", script.display());
            }
        }
        complete(&desk) == 2
    });
    let names: Vec<String> = done.iter().map(|p| p.display().to_string()).collect();
    for host in [".pixel1.sh", ".pixel2.sh"] {
        assert!(names.iter().any(|n| n.ends_with(host)), "{names:?}");
    }
    let wanted = undisturbed(2);
    desk.content_without_ids().is_that_of(&wanted.content_without_ids(), "by hand");
    desk.verified();
    daemon.end();
    ingester.end();
}
