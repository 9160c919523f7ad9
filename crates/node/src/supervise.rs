//! One attempt as a separate process, watched by another: heartbeats, limits of memory, and a note about its end.
//!
//! The worker is another process of this program, under a limit of the kernel for its data (RLIMIT_DATA of
//! setrlimit(2)); its resident memory is watched as well. However the attempt ends, one that has no result leaves a
//! note ([`model::task::TaskEnd`]) with the reason; only when the watcher itself is killed there is no note, and then
//! the heartbeat stops.

use crate::host;
use crate::{NodeFault, read_task, software};
use model::task::{
    END_NAME, EndCode, FORMAT_VERSION, HEARTBEAT_NAME, Heartbeat, RESULT_NAME, TaskEnd, TaskFile,
};
use rustix::process::{Pid, Resource, Rlimit, Signal};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Interval between heartbeats of an attempt.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// Interval between checks of memory and signals.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);
/// Time allowed to a worker to end after a request to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// Data that the kernel's limit allows beyond the task's memory: code, stacks of threads, memory held by the allocator.
const EXTRA_DATA_BYTES: u64 = 128 << 20;
/// Prefix of the progress messages of a worker on its stderr.
const PROGRESS: &str = "files ";

/// Exit code of a worker whose task cannot be done as it is.
pub const EXIT_IMPOSSIBLE: u8 = 3;
/// Exit code when it cannot continue now.
pub const EXIT_FAILED: u8 = 4;
/// Exit code when it needed more memory than allowed.
pub const EXIT_MEMORY: u8 = 6;
/// Exit code after SIGTERM or SIGINT.
pub const EXIT_INTERRUPTED: u8 = 130;

/// The end of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// `result.json` exists.
    Done {
        /// True when something was refused.
        with_refusals: bool,
    },
    /// There is no result.
    Without(TaskEnd),
}

impl Ended {
    /// Returns the exit code of `almagest-node run`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Done { with_refusals } => u8::from(*with_refusals),
            Self::Without(end) => match end.code {
                EndCode::Memory => EXIT_MEMORY,
                EndCode::Interrupted => EXIT_INTERRUPTED,
                EndCode::Impossible => EXIT_IMPOSSIBLE,
                EndCode::Crashed | EndCode::Failed => EXIT_FAILED,
            },
        }
    }
}

/// Runs the task of a task file in a separate process, `program work FILE`, until it ends or `stop` is set.
///
/// # Errors
/// [`NodeFault`] when there is no such task, or no process can be started.
pub fn supervise(
    task_file: &Path,
    program: &Path,
    stop: &Arc<AtomicBool>,
) -> Result<Ended, NodeFault> {
    let task = read_task(task_file)?;
    crate::limit_permissions(&task);
    let directory = task.output_dir.clone();
    files::create_dir(&directory)
        .map_err(|source| NodeFault::Directory { path: directory.clone(), source })?;
    if directory.join(RESULT_NAME).exists() {
        // The task was done before; this is the case for a second copy of a job.
        return Ok(Ended::Done { with_refusals: has_refusals(&directory) });
    }
    let start = |source| NodeFault::Worker { program: program.to_owned(), source };
    limit_data(&task).map_err(start)?;
    let mut child = Command::new(program)
        .arg("work")
        .arg(task_file)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(start)?;
    let output = WorkerOutput::collect(&mut child);
    let mut watch = Watch { task: &task, child, output, began: Instant::now(), beat: 0, peak: 0 };
    let ended = watch.until_it_ends(stop);
    if let Ended::Without(end) = &ended {
        let text = serde_json::to_vec_pretty(end).unwrap_or_default();
        let path = directory.join(END_NAME);
        files::publish_bytes(&path, &text)
            .map_err(|f| NodeFault::Directory { path, source: f.source })?;
    }
    Ok(ended)
}

/// Limits the memory for data of this process, which the worker inherits. This process itself stays far below the
/// limit.
fn limit_data(task: &TaskFile) -> std::io::Result<()> {
    let max_bytes = task.limits.memory_bytes + EXTRA_DATA_BYTES;
    let old = rustix::process::getrlimit(Resource::Data);
    let current = old.maximum.map_or(max_bytes, |maximum| max_bytes.min(maximum));
    rustix::process::setrlimit(
        Resource::Data,
        Rlimit { current: Some(current), maximum: old.maximum },
    )?;
    Ok(())
}

fn has_refusals(directory: &Path) -> bool {
    stage::read_result(directory, stage::ResultCheck::Lengths)
        .is_ok_and(|result| !result.refusals.is_empty())
}

/// Returns the number of files that a task will open.
fn files_of(task: &TaskFile) -> u64 {
    let catalogues = task.inputs.iter().filter(|i| i.catalogue.is_some()).count() as u64;
    task.unit.use_case.product().amount_read(task.inputs.len() as u64, catalogues)
}

struct Watch<'a> {
    task: &'a TaskFile,
    child: Child,
    output: WorkerOutput,
    began: Instant,
    beat: u64,
    peak: u64,
}

impl Watch<'_> {
    fn until_it_ends(&mut self, stop: &AtomicBool) -> Ended {
        let mut next_beat = Duration::ZERO;
        let mut stop_requested: Option<(EndCode, Instant)> = None;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                self.output.close();
                return self.ended(status, stop_requested.map(|(code, _)| code));
            }
            let memory = host::status_bytes(self.child.id(), "VmRSS").unwrap_or(0);
            self.peak = self.peak.max(memory);
            let is_too_large = memory > self.task.limits.memory_bytes;
            if stop_requested.is_none() && (is_too_large || stop.load(Ordering::Relaxed)) {
                let code = if is_too_large { EndCode::Memory } else { EndCode::Interrupted };
                stop_requested = Some((code, Instant::now()));
                self.signal(Signal::TERM);
            }
            if stop_requested.is_some_and(|(_, at)| at.elapsed() > STOP_TIMEOUT) {
                self.signal(Signal::KILL);
            }
            if self.began.elapsed() >= next_beat {
                self.beat(memory);
                next_beat += HEARTBEAT;
            }
            std::thread::sleep(CHECK_INTERVAL);
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.child.id() as i32) {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// Writes a heartbeat; one that cannot be written is missing, which is the intended signal.
    fn beat(&mut self, memory_bytes: u64) {
        self.beat += 1;
        let heartbeat = Heartbeat {
            version: FORMAT_VERSION,
            host: host::name(),
            pid: std::process::id(),
            pid_start: files::start_of(std::process::id()).unwrap_or(0),
            beat: self.beat,
            at: host::clock(),
            seconds: self.began.elapsed().as_secs_f64(),
            files_done: self.output.files_done(),
            files: files_of(self.task),
            memory_bytes,
        };
        let text = serde_json::to_vec(&heartbeat).unwrap_or_default();
        let _ = files::publish_bytes(&self.task.output_dir.join(HEARTBEAT_NAME), &text);
        eprintln!(
            "{} task {}: {} of {} files, {:.0} s, {} MB",
            self.task.unit,
            self.task.task,
            heartbeat.files_done,
            heartbeat.files,
            heartbeat.seconds,
            memory_bytes >> 20
        );
    }

    fn ended(&self, status: ExitStatus, stop_requested: Option<EndCode>) -> Ended {
        let has_result = self.task.output_dir.join(RESULT_NAME).exists();
        if has_result && matches!(status.code(), Some(0 | 1)) {
            return Ended::Done { with_refusals: status.code() == Some(1) };
        }
        let message = self.output.last();
        let allowed = self.task.limits.memory_bytes >> 20;
        let memory = format!(
            "the task needed more than the {allowed} MB that it may use ({} MB seen)",
            self.peak >> 20
        );
        let (code, reason) = match (stop_requested, status.code(), status.signal()) {
            (Some(EndCode::Memory), ..) => (EndCode::Memory, memory),
            (Some(code), ..) => (code, "stopped on request".to_owned()),
            // The message of Rust's allocator before it aborts.
            (None, None, Some(_)) if message.contains("memory allocation of") => {
                (EndCode::Memory, memory)
            }
            (None, Some(code), _) if code == i32::from(EXIT_IMPOSSIBLE) => {
                (EndCode::Impossible, message)
            }
            (None, Some(_), _) => (EndCode::Failed, message),
            (None, None, signal) => {
                (EndCode::Crashed, format!("ended by signal {}: {message}", signal.unwrap_or(0)))
            }
        };
        Ended::Without(TaskEnd {
            version: FORMAT_VERSION,
            code,
            reason,
            host: host::name(),
            seconds: self.began.elapsed().as_secs_f64(),
            peak_memory_bytes: self.peak,
        })
    }
}

/// The messages of the worker on stderr: progress, and complaints, of which the last is kept.
struct WorkerOutput {
    files_done: Arc<AtomicU64>,
    last: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl WorkerOutput {
    fn collect(child: &mut Child) -> Self {
        let (files_done, last) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(String::new())));
        let reader = child.stderr.take().map(|stderr| {
            let (files_done, last) = (Arc::clone(&files_done), Arc::clone(&last));
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stderr);
                let mut line = Vec::new();
                while lines.by_ref().take(1 << 16).read_until(b'\n', &mut line).is_ok_and(|n| n > 0)
                {
                    let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                    line.clear();
                    match text.strip_prefix(PROGRESS).and_then(|n| n.parse().ok()) {
                        Some(n) => files_done.store(n, Ordering::Relaxed),
                        None => {
                            eprintln!("{text}");
                            *last.lock().unwrap_or_else(PoisonError::into_inner) = text;
                        }
                    }
                }
            })
        });
        Self { files_done, last, reader }
    }

    fn files_done(&self) -> u64 {
        self.files_done.load(Ordering::Relaxed)
    }

    fn last(&self) -> String {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the remaining messages.
    fn close(&mut self) {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// Runs the task on the worker's side, writing its progress to stderr. Returns the exit code.
pub fn work(task_file: &Path) -> u8 {
    // Without its watcher, no process would limit the worker.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    std::thread::spawn(|| {
        let mut reported = 0;
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let files = process::files_opened();
            if files != reported {
                eprintln!("{PROGRESS}{files}");
                reported = files;
            }
        }
    });
    match crate::run_file(task_file) {
        Ok(result) => u8::from(!result.refusals.is_empty()),
        Err(fault) => {
            eprintln!("{}: {}", software(), model::one_line(&fault));
            if fault.is_transient() { EXIT_FAILED } else { EXIT_IMPOSSIBLE }
        }
    }
}

/// The outcome of a request to stop an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It ran here and has ended.
    Stopped,
    /// It does not run here.
    NotHere,
}

/// Ends the attempt whose directory is given, if it runs on this host.
///
/// # Errors
/// Fails when its heartbeat exists but cannot be read.
pub fn stop(directory: &Path) -> Result<Stopped, NodeFault> {
    let path: PathBuf = directory.join(HEARTBEAT_NAME);
    let fault = |reason: String| NodeFault::TaskFile { path: path.clone(), reason };
    if !path.exists() {
        return Ok(Stopped::NotHere);
    }
    let text = files::read_regular(&path, 1 << 16).map_err(|e| fault(format!("the file {e}")))?;
    let heartbeat: Heartbeat = serde_json::from_slice(&text).map_err(|e| fault(e.to_string()))?;
    let lives = || files::start_of(heartbeat.pid) == Some(heartbeat.pid_start);
    if heartbeat.host != host::name() || !lives() {
        return Ok(Stopped::NotHere);
    }
    let Some(pid) = Pid::from_raw(heartbeat.pid as i32) else { return Ok(Stopped::NotHere) };
    let _ = rustix::process::kill_process(pid, Signal::TERM);
    let began = Instant::now();
    while lives() {
        if began.elapsed() > 2 * STOP_TIMEOUT {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(CHECK_INTERVAL);
    }
    Ok(Stopped::Stopped)
}
