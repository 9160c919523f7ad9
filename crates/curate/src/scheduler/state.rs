//! What the data daemon does, kept in a file for `status`.

use super::document::Document;
use super::{Curator, PassReport};
use crate::state_file;
use archive::Timestamp;
use archive::lease::Process;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Its state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Host, boot, pid and start time.
    pub process: String,
    /// When it began, ISO 8601 UTC.
    pub began: String,
    /// When this was written, ISO 8601 UTC.
    pub at: String,
    /// `working`, `draining`, `away` (the database is) or `stopped`.
    pub state: String,
    /// Where tasks run.
    pub executor: String,
    /// Results taken since it began.
    pub taken: u64,
    /// Attempts that failed or were lost since it began.
    pub failed: u64,
    /// Attempts sent since it began.
    pub sent: u64,
    /// The computers.
    pub hosts: Vec<HostLine>,
    /// What runs.
    pub attempts: Vec<AttemptLine>,
    /// When all that is planned is expected to be done, ISO 8601 UTC.
    pub expected_end: Option<String>,
    /// Why the archive cannot be used now.
    pub fault: Option<String>,
}

/// A computer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostLine {
    /// Its name.
    pub host: String,
    /// Cores for tasks.
    pub cores: u32,
    /// Memory for tasks, in bytes.
    pub memory_bytes: u64,
    /// Load average.
    pub load: Option<f64>,
    /// Over so many minutes.
    pub load_minutes: Option<u32>,
    /// People logged in.
    pub users: Vec<String>,
    /// Attempts that run there.
    pub running: u64,
    /// Attempts that wait there.
    pub waiting: u64,
    /// Why nothing new starts there, if so.
    pub closed: Option<String>,
}

/// An attempt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AttemptLine {
    /// Its unit as delivery/use case.
    pub unit: String,
    /// Number of the task.
    pub task: u32,
    /// Number of the start.
    pub attempt: u32,
    /// Where.
    pub host: String,
    /// Seconds since it was sent.
    pub seconds: f64,
    /// Files done, and files in all, by its last heartbeat.
    pub files: Option<(u64, u64)>,
    /// It waits to begin.
    pub waits: bool,
}

impl State {
    /// That of this process.
    pub fn begin(executor: &str, now: Timestamp) -> Self {
        let (process, began) = (Process::me().to_string(), text(now));
        let (executor, state) = (executor.to_owned(), "working".to_owned());
        Self { process, began, executor, state, ..Self::default() }
    }

    /// Whether its process is there, as far as this machine can tell.
    pub fn is_alive(&self) -> bool {
        state_file::is_alive(&self.process, &self.state)
    }

    /// Number of its process.
    pub fn pid(&self) -> &str {
        state_file::pid(&self.process)
    }

    /// Takes up what a pass did.
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
        self.taken += pass.taken;
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
        let count = |host: &str, waits: bool| {
            self.attempts.iter().filter(|a| a.host == host && a.waits == waits).count() as u64
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

    /// Writes it down. A file that cannot be written stops nothing.
    pub fn write(&mut self, directory: &Path, now: Timestamp) {
        self.at = text(now);
        state_file::write(directory, self);
    }
}

fn text(time: Timestamp) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// Where a data daemon keeps its state and its lock.
pub fn directory(logs: &Path) -> PathBuf {
    logs.join("data")
}

/// The state that the last data daemon left in a directory.
pub fn read(directory: &Path) -> Option<State> {
    state_file::read(directory)
}
