//! The state of the data daemon, kept in a file for `status`.

use super::document::Document;
use super::{Curator, SchedulerPass};
use crate::file_time::FileTime;
use crate::state_file;
use archive::Timestamp;
use archive::attempts::lease::Process;
use model::{AttemptNumber, HostName, TaskNumber};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// The state that a data daemon is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SchedulerState {
    /// Starts and collects attempts.
    #[default]
    Working,
    /// Starts nothing new, and ends when its attempts have ended.
    Draining,
    /// The database is unreachable.
    Away,
    /// Has ended.
    Stopped,
}

impl SchedulerState {
    /// Returns the name in files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Draining => "draining",
            Self::Away => "away",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for SchedulerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The state of a data daemon, with counts since its start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SchedulerStatus {
    /// Host, boot, pid and start time.
    pub process: String,
    /// Time of the start.
    pub began: FileTime<false>,
    /// Time at which this state was written.
    pub at: FileTime<false>,
    /// State of the daemon.
    pub state: SchedulerState,
    /// Executor of the tasks.
    pub executor: String,
    /// Results accepted since the start.
    pub accepted: u64,
    /// Attempts that failed or were lost since the start.
    pub failed: u64,
    /// Attempts sent since the start.
    pub sent: u64,
    /// The hosts.
    pub hosts: Vec<HostLine>,
    /// The attempts under way.
    pub attempts: Vec<AttemptLine>,
    /// Expected end of all planned work; `None` without work.
    pub expected_end: Option<FileTime<false>>,
    /// Reason why the archive cannot be used now; `None` when it can.
    pub fault: Option<String>,
}

/// A host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostLine {
    /// Name of the host.
    pub host: HostName,
    /// Cores for tasks.
    pub cores: u32,
    /// Memory for tasks, in bytes.
    pub memory_bytes: u64,
    /// Load average.
    pub load: Option<f64>,
    /// Minutes over which the load average is taken.
    pub load_minutes: Option<u32>,
    /// Users logged in.
    pub users: Vec<String>,
    /// Attempts that run on the host.
    pub running: u64,
    /// Attempts that wait on the host.
    pub waiting: u64,
    /// Reason why nothing new starts on the host; `None` when something may.
    pub closed: Option<String>,
}

/// An attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptLine {
    /// Unit of the attempt as delivery/use case.
    pub unit: String,
    /// Number of the task.
    pub task: TaskNumber,
    /// Number of the start.
    pub attempt: AttemptNumber,
    /// Host of the attempt.
    pub host: HostName,
    /// Seconds since the attempt was sent.
    pub seconds: f64,
    /// Files done, and files in all, by the last heartbeat.
    pub files: Option<(u64, u64)>,
    /// True when the attempt waits to begin.
    pub waits: bool,
}

impl SchedulerStatus {
    /// Returns the initial state of this process.
    pub fn begin(executor: &str, now: Timestamp) -> Self {
        let (process, began) = (Process::me().to_string(), now.into());
        let (executor, state) = (executor.to_owned(), SchedulerState::Working);
        Self { process, began, executor, state, ..Self::default() }
    }

    /// Returns true when the process of this state is running, if this machine can determine it.
    pub fn is_alive(&self) -> bool {
        state_file::is_alive(&self.process, self.state == SchedulerState::Stopped)
    }

    /// Returns the pid of the process.
    pub fn pid(&self) -> &str {
        state_file::pid(&self.process)
    }

    /// Updates the state after a pass.
    ///
    /// # Errors
    /// When the archive fails.
    pub fn passed(
        &mut self,
        curator: &Curator,
        pass: &SchedulerPass,
        document: Option<&Document>,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        self.accepted += pass.accepted;
        self.failed += pass.failed;
        self.sent += pass.sent;
        self.fault = None;
        let mine = curator.mine()?;
        self.attempts = mine
            .iter()
            .map(|(attempt, place)| {
                let memory = curator.attempts.get(&attempt.attempt);
                let heartbeat = memory.and_then(|m| m.heartbeat.as_ref());
                let task = &attempt.attempt.task;
                AttemptLine {
                    unit: format!("{}/{}", task.unit.delivery, task.unit.use_case),
                    task: task.task,
                    attempt: attempt.attempt.attempt,
                    host: place.host.clone(),
                    seconds: (now - attempt.started).num_milliseconds().max(0) as f64 / 1000.0,
                    files: heartbeat.map(|h| (h.files_done, h.files)),
                    waits: memory.is_some_and(|m| m.waits),
                }
            })
            .collect();
        let count = |host: &HostName, waits: bool| {
            self.attempts.iter().filter(|a| a.host == *host && a.waits == waits).count() as u64
        };
        let host = |h: &dispatch::HostState| HostLine {
            host: h.name.clone(),
            cores: h.cores,
            memory_bytes: h.memory_bytes,
            load: h.load.map(|l| l.0),
            load_minutes: h.load.map(|l| l.1),
            users: h.users.clone(),
            running: count(&h.name, false),
            waiting: count(&h.name, true),
            closed: h.closed.clone(),
        };
        self.hosts = curator.hosts.iter().map(host).collect();
        if let Some(document) = document {
            let seconds = (document.makespan_seconds * 1000.0) as i64;
            let end = document.made + chrono::TimeDelta::milliseconds(seconds);
            let has_work = !document.tasks.is_empty() || !self.attempts.is_empty();
            self.expected_end = has_work.then(|| end.into());
        }
        Ok(())
    }

    /// Writes the state to its file. A file that cannot be written stops nothing.
    pub fn write(&mut self, directory: &Path, now: Timestamp) {
        self.at = now.into();
        state_file::write(directory, self);
    }
}

/// Returns the directory in which a data daemon keeps its state and its lock.
pub fn directory(logs: &Path) -> PathBuf {
    logs.join("data")
}

/// Reads the state that the last data daemon wrote to a directory.
pub fn read(directory: &Path) -> Option<SchedulerStatus> {
    state_file::read(directory)
}
