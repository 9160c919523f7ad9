//! The counts and the state of an ingester: shared with its port, and kept in a file for `status`.

use crate::site::iso;
use crate::state_file;
use archive::Timestamp;
use archive::attempts::lease::Process;
use ingest::PassReport;
use model::UnitKey;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The state of an ingester, with counts since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngesterStatus {
    /// Host, boot, pid and start time.
    pub process: String,
    /// Time of the start, ISO 8601 UTC.
    pub began: String,
    /// `starting`, `working`, `waiting`, `away` (the database is unreachable) or `stopped`.
    pub state: String,
    /// End of the last pass that succeeded; `None` before the first.
    pub last_pass: Option<String>,
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
            began: iso(now),
            state: "starting".to_owned(),
            ..Self::default()
        }
    }

    /// Sets the name of the state.
    pub fn now_is(&mut self, state: &str) {
        state.clone_into(&mut self.state);
    }

    /// Counts a pass.
    pub fn passed(&mut self, pass: &PassReport, staged: u64, now: Timestamp) {
        self.now_is("waiting");
        self.last_pass = Some(iso(now));
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
        self.now_is("away");
        self.failures += 1;
        self.fault = Some(why.to_owned());
    }

    /// Returns true when the process of this state is running, if this machine can determine it.
    pub fn is_alive(&self) -> bool {
        state_file::is_alive(&self.process, &self.state)
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
