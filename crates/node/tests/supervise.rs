//! The binary as a batch system runs it: heartbeats, limits, signals, and what is left when it does not end well.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

use model::profile::shipped;
use model::task::{
    END_NAME, EndCode, FORMAT_VERSION, FileRef, HEARTBEAT_NAME, Heartbeat, HostReport, TaskEnd,
    TaskFile, TaskInput, TaskLimits,
};
use model::{AttemptNumber, RoundNumber, TaskNumber, UnitKey, UseCase};
use simulate::{Mix, NightSpec};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_almagest-node");
const AMPLE: TaskLimits = TaskLimits { threads: 1, memory_bytes: 1 << 30 };

/// A library with one night, and a place for attempts.
struct Bench {
    directory: tempfile::TempDir,
    images: Vec<PathBuf>,
}

impl Bench {
    fn new(frames: usize, size: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let spec =
            NightSpec { frames, size, mix: Mix::Stacks, detections: 50, ..NightSpec::default() };
        simulate::night(directory.path(), &spec, &|_| {}).unwrap();
        let mut images: Vec<PathBuf> = std::fs::read_dir(directory.path().join("20071011_v1"))
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| p.to_string_lossy().ends_with("_st.fit"))
            .collect();
        images.sort();
        assert_eq!(images.len(), frames);
        Self { directory, images }
    }

    /// The task file of an attempt, and the attempt's directory.
    fn attempt(&self, attempt: u32, limits: TaskLimits) -> (PathBuf, PathBuf) {
        let output_dir = self.directory.path().join(format!("staging/{attempt}"));
        std::fs::create_dir_all(&output_dir).unwrap();
        let input = |(id, path): (i64, &PathBuf)| TaskInput {
            multiframe_id: model::MultiframeId::new(id).unwrap(),
            image: FileRef {
                path: path.clone(),
                name: path.file_name().unwrap().to_string_lossy().into_owned(),
                bytes: std::fs::metadata(path).unwrap().len(),
                sha256: model::Sha256::new([0; 32]),
                refused_hdus: Vec::new(),
            },
            catalogue: None,
        };
        let unit = UnitKey {
            delivery: "20071011_v1".parse().unwrap(),
            use_case: UseCase::Preview,
            round: RoundNumber::FIRST,
        };
        let profile = shipped().iter().find(|(name, _)| *name == "wfcam").unwrap().1;
        let task = TaskFile {
            version: FORMAT_VERSION,
            unit,
            task: TaskNumber::FIRST,
            attempt: AttemptNumber::new(attempt).unwrap(),
            inputs: (1..).zip(&self.images).map(input).collect(),
            survey: "wfcam".parse().unwrap(),
            profile: profile.to_owned(),
            programmes: Vec::new(),
            metadata: Vec::new(),
            limits,
            output_dir: output_dir.clone(),
            umask: None,
        };
        let file = output_dir.join("task.json");
        std::fs::write(&file, serde_json::to_vec(&task).unwrap()).unwrap();
        (file, output_dir)
    }
}

fn node(words: &[&Path]) -> Output {
    Command::new(PROGRAM).args(words).output().unwrap()
}

/// An attempt whose worker stops itself before it leaves a result: whatever the machine does, the task is not done before
/// the test has done what it is about.
fn started(task: &Path) -> Child {
    let mut run = Command::new(PROGRAM);
    run.env("ALMAGEST_STOP_AT", "node:before-result");
    let child =
        run.arg("run").arg(task).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    within(LIMIT, "a worker that stopped itself", || {
        workers(task).iter().any(|process| {
            let stat = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
            stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
        })
    });
    child
}

/// Directories in /proc of the workers of a task.
fn workers(task: &Path) -> Vec<PathBuf> {
    let worker = format!("work\0{}", task.display());
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|p| p.path());
    let is_worker = |process: &PathBuf| {
        let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&worker)
    };
    processes.filter(is_worker).collect()
}

/// Seconds that something may take on a machine that does much else.
const LIMIT: u64 = 600;

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn within(seconds: u64, what: &str, look: impl Fn() -> bool) {
    let began = Instant::now();
    while !look() {
        assert!(began.elapsed() < Duration::from_secs(seconds), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Products of an attempt by name, without the facts of the run.
fn products(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = std::fs::read_dir(directory)
        .unwrap()
        .map(|e| e.unwrap())
        .map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap()))
        .filter(|(name, _)| !name.ends_with(".json"))
        .collect();
    all.sort();
    all
}

#[test]
fn an_attempt_reports_progress_and_writes_the_same_bytes_again() {
    let bench = Bench::new(4, 256);
    let (task, first) = bench.attempt(1, AMPLE);
    let run = node(&[Path::new("run"), &task]);
    assert_eq!(run.status.code(), Some(0), "{}", String::from_utf8_lossy(&run.stderr));
    assert!(String::from_utf8_lossy(&run.stderr).contains("of 4 files"), "progress on stderr");
    let heartbeat: Heartbeat = read(&first.join(HEARTBEAT_NAME));
    assert_eq!((heartbeat.beat >= 1, heartbeat.files), (true, 4));
    assert!(!first.join(END_NAME).exists());
    let (task, second) = bench.attempt(2, TaskLimits { threads: 3, ..AMPLE });
    assert!(node(&[Path::new("run"), &task]).status.success());
    let bytes = products(&first);
    assert!(bytes.len() > 16, "previews of 16 detectors, mosaics, rows");
    assert_eq!(bytes, products(&second));
    // Again in the same place, as a batch system may do it.
    let result = std::fs::read(second.join("result.json")).unwrap();
    assert!(node(&[Path::new("run"), &task]).status.success());
    assert_eq!(std::fs::read(second.join("result.json")).unwrap(), result);
}

#[test]
fn memory_is_limited_and_the_end_note_reports_it() {
    let bench = Bench::new(1, 2048);
    let (task, directory) = bench.attempt(1, TaskLimits { threads: 1, memory_bytes: 8 << 20 });
    let run = node(&[Path::new("run"), &task]);
    assert_eq!(run.status.code(), Some(6), "{}", String::from_utf8_lossy(&run.stderr));
    let end: TaskEnd = read(&directory.join(END_NAME));
    assert_eq!(end.code, EndCode::Memory);
    assert!(end.reason.contains("8 MB"), "{}", end.reason);
    assert!(!directory.join("result.json").exists());
}

#[test]
fn sigterm_ends_it_and_another_attempt_does_it() {
    let bench = Bench::new(2, 64);
    let (task, directory) = bench.attempt(1, AMPLE);
    let mut child = started(&task);
    within(LIMIT, "a heartbeat", || directory.join(HEARTBEAT_NAME).exists());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let end: TaskEnd = read(&directory.join(END_NAME));
    assert_eq!(end.code, EndCode::Interrupted);
    let (task, directory) = bench.attempt(2, AMPLE);
    assert!(node(&[Path::new("run"), &task]).status.success());
    assert!(directory.join("result.json").exists());
}

#[test]
fn a_report_names_running_tasks_and_stop_ends_them() {
    let bench = Bench::new(2, 64);
    let (task, directory) = bench.attempt(1, AMPLE);
    let mut child = started(&task);
    within(LIMIT, "a heartbeat", || directory.join(HEARTBEAT_NAME).exists());
    let hosts = bench.directory.path().join("hosts");
    assert!(node(&[Path::new("report"), &hosts]).status.success());
    let file = std::fs::read_dir(&hosts).unwrap().next().unwrap().unwrap().path();
    let report: HostReport = read(&file);
    assert_eq!(report.tasks.iter().filter(|t| **t == task).count(), 1, "{:?}", report.tasks);
    let stopped = node(&[Path::new("stop"), &directory]);
    assert_eq!(String::from_utf8_lossy(&stopped.stdout), "stopped\n");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let again = node(&[Path::new("stop"), &directory]);
    assert_eq!(String::from_utf8_lossy(&again.stdout), "the attempt does not run on this host\n");
}

#[test]
fn the_worker_ends_with_its_watcher() {
    let bench = Bench::new(2, 64);
    let (task, directory) = bench.attempt(1, AMPLE);
    let mut child = started(&task);
    assert_eq!(workers(&task).len(), 1);
    child.kill().unwrap();
    child.wait().unwrap();
    within(LIMIT, "the worker's end", || workers(&task).is_empty());
    assert!(!directory.join("result.json").exists() && !directory.join(END_NAME).exists());
}

#[test]
fn what_cannot_be_done_has_codes_of_its_own() {
    let bench = Bench::new(1, 64);
    let (task, directory) = bench.attempt(1, AMPLE);
    std::fs::remove_file(&bench.images[0]).unwrap();
    assert_eq!(node(&[Path::new("run"), &task]).status.code(), Some(4), "may come back");
    let end: TaskEnd = read(&directory.join(END_NAME));
    assert_eq!(end.code, EndCode::Failed);
    assert!(end.reason.contains("were registered"), "{}", end.reason);
    std::fs::write(&task, "{}").unwrap();
    assert_eq!(node(&[Path::new("run"), &task]).status.code(), Some(3), "no task file");
    assert_eq!(node(&[Path::new("run")]).status.code(), Some(2), "usage");
}
