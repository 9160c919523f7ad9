//! The counts and the state of an ingester: shared with its port, and kept in a file for `status`.

use crate::file_time::FileTime;
use crate::state_file;
use archive::Timestamp;
use archive::attempts::lease::Process;
use ingest::PassReport;
use model::UnitKey;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The state that an ingester is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IngesterState {
    /// No pass has begun.
    #[default]
    Starting,
    /// A pass is under way.
    Working,
    /// Waits for the next pass.
    Waiting,
    /// The database is unreachable.
    Away,
    /// Has ended.
    Stopped,
}

impl IngesterState {
    /// Returns the name in files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Working => "working",
            Self::Waiting => "waiting",
            Self::Away => "away",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for IngesterState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The state of an ingester, with counts since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngesterStatus {
    /// Host, boot, pid and start time.
    pub process: String,
    /// Time of the start.
    pub began: FileTime<true>,
    /// State of the ingester.
    pub state: IngesterState,
    /// End of the last pass that succeeded; `None` before the first.
    pub last_pass: Option<FileTime<true>>,
    /// Passes.
    pub passes: u64,
    /// Batches published.
    pub published: u64,
    /// Rows made visible, per table.
    pub rows: BTreeMap<String, u64>,
    /// Batches refused.
    pub refused: u64,
    /// Batches that wait for a transient failure to pass, each with the reason.
    pub postponed: Vec<String>,
    /// Number of batches that wait for another batch.
    pub blocked: u64,
    /// Number of batches that are staged after the last pass.
    pub staged: u64,
    /// Reason why the archive cannot be used now; `None` when it can.
    pub fault: Option<String>,
    /// Number of times that the archive could not be used.
    pub failures: u64,
    /// Reason why there are no `/metrics` and `/healthz`; `None` when they are served, or not configured.
    #[serde(default)]
    pub port_fault: Option<String>,
}

/// Returns the line about a batch that waits for a transient failure to pass.
pub(super) fn waits(unit: &UnitKey, why: &str) -> String {
    format!("{unit} waits: {why}")
}

impl IngesterStatus {
    /// Returns the initial state of this process.
    pub fn begin(now: Timestamp) -> Self {
        Self {
            process: Process::me().to_string(),
            began: now.into(),
            state: IngesterState::Starting,
            ..Self::default()
        }
    }

    /// Sets the state.
    pub fn now_is(&mut self, state: IngesterState) {
        self.state = state;
    }

    /// Counts a pass.
    pub fn passed(&mut self, pass: &PassReport, staged: u64, now: Timestamp) {
        self.now_is(IngesterState::Waiting);
        self.last_pass = Some(now.into());
        self.passes += 1;
        self.published += pass.published.len() as u64;
        for (table, rows) in pass.published.iter().flat_map(|p| &p.rows) {
            *self.rows.entry(table.clone()).or_default() += rows;
        }
        self.refused += pass.refused.len() as u64;
        self.postponed = pass.postponed.iter().map(|(unit, why)| waits(unit, why)).collect();
        self.blocked = pass.blocked.len() as u64;
        self.staged = staged;
        self.fault = None;
    }

    /// Counts a failure.
    pub fn failed(&mut self, why: &str, _: Timestamp) {
        self.now_is(IngesterState::Away);
        self.failures += 1;
        self.fault = Some(why.to_owned());
    }

    /// Returns true when the process of this state is running, if this machine can determine it.
    pub fn is_alive(&self) -> bool {
        state_file::is_alive(&self.process, self.state == IngesterState::Stopped)
    }

    /// Returns the pid of the process.
    pub fn pid(&self) -> &str {
        state_file::pid(&self.process)
    }
}

/// Returns the directory in which an ingester keeps its state and its lock.
pub fn directory(logs: &Path) -> PathBuf {
    logs.join("ingester")
}

/// Reads the state that the last ingester wrote to a directory.
pub fn read(directory: &Path) -> Option<IngesterStatus> {
    state_file::read(directory)
}

/// A state that several threads share; every change is written to the state file.
#[derive(Clone)]
pub struct Shared {
    state: Arc<Mutex<IngesterStatus>>,
    directory: PathBuf,
}

impl Shared {
    pub(super) fn new(state: IngesterStatus, directory: PathBuf) -> Self {
        let shared = Self { state: Arc::new(Mutex::new(state)), directory };
        shared.change(|_| {});
        shared
    }

    /// Reads something from the state.
    pub fn get<T>(&self, read: impl FnOnce(&IngesterStatus) -> T) -> T {
        read(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the state and writes its file. A file that cannot be written stops nothing.
    pub fn change(&self, change: impl FnOnce(&mut IngesterStatus)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        state_file::write(&self.directory, &*state);
    }
}
