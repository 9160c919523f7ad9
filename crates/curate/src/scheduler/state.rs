//! The state of the data daemon, kept in a file for `status`.

use super::document::Document;
use super::{Curator, PassReport};
use crate::state_file;
use archive::Timestamp;
use archive::attempts::lease::Process;
use model::HostName;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The state of a data daemon.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Host, boot, pid and start time.
    pub process: String,
    /// Time of the start, ISO 8601 UTC.
    pub began: String,
    /// Time at which this state was written, ISO 8601 UTC.
    pub at: String,
    /// `working`, `draining`, `away` (the database is unreachable) or `stopped`.
    pub state: String,
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
    /// Expected end of all planned work, ISO 8601 UTC; `None` without work.
    pub expected_end: Option<String>,
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AttemptLine {
    /// Unit of the attempt as delivery/use case.
    pub unit: String,
    /// Number of the task.
    pub task: u32,
    /// Number of the start.
    pub attempt: u32,
    /// Host of the attempt.
    pub host: HostName,
    /// Seconds since the attempt was sent.
    pub seconds: f64,
    /// Files done, and files in all, by the last heartbeat.
    pub files: Option<(u64, u64)>,
    /// True when the attempt waits to begin.
    pub waits: bool,
}

impl State {
    /// Returns the initial state of this process.
    pub fn begin(executor: &str, now: Timestamp) -> Self {
        let (process, began) = (Process::me().to_string(), text(now));
        let (executor, state) = (executor.to_owned(), "working".to_owned());
        Self { process, began, executor, state, ..Self::default() }
    }

    /// Returns true when the process of this state is running, if this machine can determine it.
    pub fn is_alive(&self) -> bool {
        state_file::is_alive(&self.process, &self.state)
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
        pass: &PassReport,
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
            self.expected_end = has_work.then(|| text(end));
        }
        Ok(())
    }

    /// Writes the state to its file. A file that cannot be written stops nothing.
    pub fn write(&mut self, directory: &Path, now: Timestamp) {
        self.at = text(now);
        state_file::write(directory, self);
    }
}

fn text(time: Timestamp) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// Returns the directory in which a data daemon keeps its state and its lock.
pub fn directory(logs: &Path) -> PathBuf {
    logs.join("data")
}

/// Reads the state that the last data daemon wrote to a directory.
pub fn read(directory: &Path) -> Option<State> {
    state_file::read(directory)
}
