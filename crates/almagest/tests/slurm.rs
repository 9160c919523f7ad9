//! The data daemon on a real Slurm cluster of five nodes: nodes, controller and daemon fail, and nothing is lost or doubled.

mod operator;

use operator::{Daemon, Desk, Said, Small, until_within};
use rustix::process::{Pid, Signal};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};
use testkit::slurm::Cluster;

/// A site whose tasks run on a cluster of its own.
struct Field {
    cluster: Cluster,
    desk: Desk,
    /// The program that nodes run.
    node: PathBuf,
    _ingester: Daemon,
}

fn started(desk: &Desk, cluster: &Cluster, words: &[&str]) -> Daemon {
    let mut command = desk.command(&[&["daemon"], words].concat());
    command.env("SLURM_CONF", cluster.configuration());
    Daemon::start_unheard(command)
}

#[track_caller]
fn until(what: &str, is_so: impl FnMut() -> bool) {
    until_within(1800, what, is_so);
}

/// Side of the detectors of most nights.
const SIZE: usize = 64;

fn nights(count: u32, size: usize) -> Vec<Small<'static>> {
    const NAMES: [&str; 15] = [
        "20071011", "20071012", "20071013", "20071014", "20071015", "20071016", "20071017",
        "20071018", "20071019", "20071020", "20071021", "20071022", "20071023", "20071024",
        "20071025",
    ];
    assert!(count as usize <= NAMES.len(), "there are {} names of nights", NAMES.len());
    let night =
        |(seed, night)| Small { night, frames: 6, detections: 12, size, seed, ..Small::default() };
    (1..).zip(NAMES).take(count as usize).map(night).collect()
}

impl Field {
    /// Nights in the library, and a node program that is slow. `None` where there is no Slurm.
    fn new(nights: u32, nodes: u32, seconds_more: f64, changes: &[(&str, &str)]) -> Option<Self> {
        Self::prepared(nights, nodes, seconds_more, changes, SIZE, &|_| {})
    }

    /// The same, with something done to the site before there are nodes: those do not see what is mounted later.
    fn prepared(
        count: u32,
        nodes: u32,
        seconds_more: f64,
        changes: &[(&str, &str)],
        size: usize,
        prepare: &dyn Fn(&Desk),
    ) -> Option<Self> {
        let desk = Desk::new();
        prepare(&desk);
        let cluster = Cluster::start(nodes)?;
        desk.in_a_hurry();
        desk.configure(&[("executor = \"local\"", "executor = \"slurm\"")]);
        desk.configure(changes);
        let node = desk.slow_node(seconds_more);
        desk.transfer(&nights(count, size));
        let ingester = started(&desk, &cluster, &["ingest"]);
        Some(Self { cluster, desk, node, _ingester: ingester })
    }

    fn daemon(&self) -> Daemon {
        started(&self.desk, &self.cluster, &["data", "--auto"])
    }

    fn at_site(&self, words: &[&str]) -> Said {
        let mut command = self.desk.command(words);
        command.env("SLURM_CONF", self.cluster.configuration());
        command.output().expect("it runs").into()
    }

    fn accepted(&self) -> u64 {
        self.desk.status()["data_daemon"]["state"]["accepted"].as_u64().unwrap_or(0)
    }

    /// All nights came in, as they would have anywhere.
    #[track_caller]
    fn has_all(&self, count: u32, what: &str) {
        until("the nights", || self.desk.complete() == count as usize);
        let mine = self.desk.content_without_ids();
        mine.is_that_of(&Desk::undisturbed(&nights(count, SIZE)).content_without_ids(), what);
        self.desk.verified();
    }

    #[track_caller]
    fn has_submitted_nothing_twice(&self) {
        let jobs = self.jobs();
        let names: BTreeSet<&str> = jobs.iter().filter_map(|j| j.rsplit(' ').next()).collect();
        assert_eq!(names.len(), jobs.len(), "no job twice: {jobs:?}");
    }

    /// Jobs of the test that Slurm knows, in any state.
    fn jobs(&self) -> Vec<String> {
        let said = self.cluster.run_tool("squeue", &["-h", "-r", "-t", "all", "-o", "%T %N %j.%K"]);
        String::from_utf8_lossy(&said.stdout).lines().map(str::to_owned).collect()
    }
}

#[test]
fn six_nights_on_five_nodes_after_one_approval() {
    let Some(field) = Field::new(6, 5, 0.0, &[]) else { return };
    let plan = field.at_site(&["plan"]).ended(0);
    for word in ["n1", "n5", "5 of 5 hosts", "20071016_v1/preview"] {
        assert!(plan.contains(word), "{word}:\n{plan}");
    }
    let daemon = started(&field.desk, &field.cluster, &["data"]);
    field.at_site(&["approve", "--all"]).ended(0);
    field.has_all(6, "on five nodes");
    daemon.end().ended(0);
    field.has_submitted_nothing_twice();
    let jobs = field.jobs();
    let nodes: BTreeSet<&str> = jobs.iter().filter_map(|j| j.split(' ').nth(1)).collect();
    assert_eq!(nodes.len(), 5, "all five worked: {jobs:?}");
}

#[test]
fn a_node_is_killed_and_another_cut_off_while_their_tasks_run() {
    let changes = [("heartbeat_timeout_seconds = 180", "heartbeat_timeout_seconds = 12")];
    let Some(field) = Field::new(2, 3, 4.0, &changes) else { return };
    let daemon = field.daemon();
    let on = |host: &str| field.jobs().iter().any(|j| j.starts_with(&format!("RUNNING {host} ")));
    until("work on two nodes", || on("n1") && on("n2"));
    field.cluster.run(&["kill-node", "1"]);
    field.cluster.run(&["cut-node", "2"]);
    // The first copy continues to write while the second runs elsewhere.
    std::thread::sleep(Duration::from_secs(20));
    field.cluster.run(&["heal-node", "2"]);
    field.cluster.run(&["restart-node", "1"]);
    field.has_all(2, "with a node killed and one cut off");
    daemon.end().ended(0);
}

#[test]
fn the_controller_hangs_then_is_killed_and_restarts() {
    let Some(field) = Field::new(2, 3, 2.0, &[]) else { return };
    // A submission without a response that was accepted nevertheless.
    let controller = Pid::from_raw(field.cluster.controller() as i32).expect("a process");
    rustix::process::kill_process(controller, Signal::STOP).expect("it lives");
    let daemon = field.daemon();
    std::thread::sleep(Duration::from_secs(12));
    rustix::process::kill_process(controller, Signal::CONT).expect("it lives");
    until("the first results", || field.accepted() > 0);
    field.cluster.run(&["kill-controller"]);
    std::thread::sleep(Duration::from_secs(5));
    field.cluster.run(&["restart-controller"]);
    field.has_all(2, "with a controller that was unreachable");
    daemon.end().ended(0);
    field.has_submitted_nothing_twice();
}

#[test]
fn the_daemon_is_killed_repeatedly_and_submits_nothing_twice() {
    let Some(field) = Field::new(3, 3, 1.0, &[]) else { return };
    let kills =
        std::env::var("ALMAGEST_DAEMON_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(6_u64);
    for n in 0..kills {
        let daemon = field.daemon();
        // Anywhere within the first seconds, by a sequence that every run has.
        std::thread::sleep(Duration::from_millis(300 + (n * 7919) % 2500));
        daemon.kill();
    }
    let daemon = field.daemon();
    field.has_all(3, "with a daemon that was killed");
    daemon.end().ended(0);
    field.has_submitted_nothing_twice();
}

#[test]
fn the_daemon_dies_at_every_instant_around_a_submission() {
    let changes = [("heartbeat_timeout_seconds = 180", "heartbeat_timeout_seconds = 8")];
    let Some(field) = Field::new(1, 3, 0.5, &changes) else { return };
    let points = [
        "propose:before-commit",
        "propose:after-commit",
        "approve:before-commit",
        "approve:after-commit",
        "start:after-commit",
        "data:started",
        "job:after-commit",
        "data:before-sending",
        "data:after-sending",
        "job:after-commit:3",
        "result:before-commit",
        "result:after-commit",
        "end:after-commit",
    ];
    let mut missed = Vec::new();
    for (count, point) in (2..).zip(points) {
        // Something to propose, to send and to take at every instant, whatever the earlier daemons got done.
        field.desk.transfer(&nights(count, SIZE)[count as usize - 1..]);
        let mut command = field.desk.command(&["daemon", "data", "--auto"]);
        command.env("SLURM_CONF", field.cluster.configuration()).env("ALMAGEST_CRASH_AT", point);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut daemon = command.spawn().expect("it starts");
        let began = Instant::now();
        let is_over = || field.desk.complete() == count as usize;
        while daemon.try_wait().expect("a child").is_none()
            && began.elapsed() < Duration::from_secs(600)
            && !is_over()
        {
            std::thread::sleep(Duration::from_millis(50));
        }
        if daemon.try_wait().expect("a child").is_none() {
            missed.push(point);
        }
        let _ = daemon.kill();
        let _ = daemon.wait();
    }
    let hit = points.len() - missed.len();
    println!("{hit} of {} instants hit; not: {missed:?}", points.len());
    assert!(hit >= 9, "only {hit} instants were hit, not {missed:?}");
    let daemon = field.daemon();
    field.has_all(points.len() as u32 + 1, "with a daemon that died at named instants");
    daemon.end().ended(0);
}

#[test]
fn a_drained_host_gets_nothing_new() {
    let Some(field) = Field::new(2, 2, 1.0, &[]) else { return };
    field.at_site(&["drain", "--host", "n1", "--reason", "new fan"]).ended(0);
    let plan = field.at_site(&["plan"]).ended(0);
    assert!(plan.contains("not used: host n1 is drained by"), "{plan}");
    let daemon = field.daemon();
    field.has_all(2, "on the other host");
    assert!(field.jobs().iter().all(|j| j.split(' ').nth(1) == Some("n2")), "{:?}", field.jobs());
    field.at_site(&["resume", "--host", "n1"]).ended(0);
    daemon.end().ended(0);
}

#[test]
fn a_task_beyond_its_memory_limit_gets_more_memory_once() {
    let changes = [
        ("memory_per_thread_mb = 150", "memory_per_thread_mb = 1"),
        ("memory_per_process_mb = 300", "memory_per_process_mb = 1"),
    ];
    // Large enough that its memory is seen before it is done.
    let Some(field) = Field::prepared(1, 2, 0.0, &changes, 1024, &|_| {}) else { return };
    let daemon = field.daemon();
    until("a task is given up", || !field.desk.refusals().is_empty());
    let refusals = field.desk.refusals();
    // A catalogue waits for an image whose metadata were given up, if they were by now.
    let of_tasks = || refusals.iter().filter(|r| r["code"] != "metadata_refused");
    assert!(of_tasks().count() > 0, "{refusals:?}");
    assert!(
        of_tasks().all(|r| {
            let message = r["message"].as_str().unwrap_or("");
            r["code"] == "task_failed" && message.contains("more than the 3 MB")
        }),
        "twice 2 MB, then no more: {refusals:?}"
    );
    // The operator allows more, and asks for it again.
    daemon.end().ended(0);
    field.desk.configure(&[("memory_per_process_mb = 1", "memory_per_process_mb = 300")]);
    let daemon = field.daemon();
    let retried = |field: &Field| field.at_site(&["retry", "--all"]).code;
    until("all is done", || {
        if field.desk.complete() == 1 && field.desk.refusals().is_empty() {
            return true;
        }
        retried(&field);
        false
    });
    daemon.end().ended(0);
    field.desk.verified();
}

#[test]
fn a_task_beyond_its_time_limit_is_restarted() {
    // Slurm's shortest limit is a minute; it ends a job some seconds after that.
    let changes = [("options = []\n\n[ssh]", "options = [\"--time=1\"]\n\n[ssh]")];
    let Some(field) = Field::new(1, 2, 0.0, &changes) else { return };
    let mark = field.desk.dir.path().join("stuck-once");
    let script = std::fs::read_to_string(&field.node).expect("a script");
    let stuck = format!("mkdir {} 2>/dev/null && sleep 600\nexec ", mark.display());
    std::fs::write(&field.node, script.replace("exec ", &stuck)).expect("written");
    let daemon = field.daemon();
    field.has_all(1, "with a task that was stuck once");
    daemon.end().ended(0);
    // On a machine that does much else, a task that was not stuck may reach the limit too, and is made again as well.
    let over = field.jobs().iter().filter(|j| j.starts_with("TIMEOUT ")).count();
    assert!(over >= 1, "{:?}", field.jobs());
    let log = std::fs::read_to_string(field.desk.site.join("logs/data.log")).expect("a log");
    assert!(log.contains("the task exceeded its time limit"), "{log}");
}

#[test]
fn a_full_staging_disk_stops_nothing_permanently() {
    let mount = |desk: &Desk, words: &[&str]| {
        let mut mount = std::process::Command::new("mount");
        mount.args(words).arg(desk.site.join("staging")).status().is_ok_and(|s| s.success())
    };
    let small = |desk: &Desk| {
        assert!(mount(desk, &["-t", "tmpfs", "-o", "size=64k", "tmpfs"]), "root can mount");
    };
    let Some(field) = Field::prepared(1, 2, 0.0, &[], SIZE, &small) else { return };
    let daemon = field.daemon();
    std::thread::sleep(Duration::from_secs(6));
    let plan = field.at_site(&["plan", "--dry-run"]).ended(0);
    let status = field.desk.status();
    assert_eq!(field.desk.complete(), 0, "{plan}\n{status}");
    assert!(mount(&field.desk, &["-o", "remount,size=512m"]));
    let is_done = || {
        if field.desk.complete() == 1 && field.desk.refusals().is_empty() {
            return true;
        }
        let _ = field.at_site(&["retry", "--all"]);
        false
    };
    until("the night", is_done);
    field.desk.verified();
    daemon.end().ended(0);
    let _ = std::process::Command::new("umount")
        .arg("-l")
        .arg(field.desk.site.join("staging"))
        .status();
}
