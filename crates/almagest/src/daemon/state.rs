//! What an ingester did and does: shared with its port, and kept in a file for `status`.

use archive::Timestamp;
use archive::lease::Process;
use ingest::PassReport;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts since its start, and its state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Host, boot, pid and start time.
    pub process: String,
    /// When it began, ISO 8601 UTC.
    pub began: String,
    /// `working`, `waiting`, `away` (the database is) or `stopped`.
    pub state: String,
    /// End of the last pass that went through.
    pub last_pass: Option<String>,
    /// Passes.
    pub passes: u64,
    /// Batches made visible.
    pub published: u64,
    /// Rows made visible, per table.
    pub rows: BTreeMap<String, u64>,
    /// Batches refused.
    pub refused: u64,
    /// Batches that wait for something to pass, each with the reason.
    pub postponed: Vec<String>,
    /// Batches that wait for another batch.
    pub blocked: u64,
    /// Batches staged after the last pass.
    pub staged: u64,
    /// Why the archive cannot be used now.
    pub fault: Option<String>,
    /// How often it could not.
    pub failures: u64,
}

impl State {
    /// That of this process.
    pub fn begin(now: Timestamp) -> Self {
        Self {
            process: Process::me().to_string(),
            began: text(now),
            state: "starting".to_owned(),
            ..Self::default()
        }
    }

    /// Notes what it does.
    pub fn now_is(&mut self, state: &str) {
        state.clone_into(&mut self.state);
    }

    /// Counts a pass.
    pub fn passed(&mut self, pass: &PassReport, staged: u64, now: Timestamp) {
        self.now_is("waiting");
        self.last_pass = Some(text(now));
        self.passes += 1;
        self.published += pass.published.len() as u64;
        for (table, rows) in pass.published.iter().flat_map(|p| &p.rows) {
            *self.rows.entry(table.clone()).or_default() += rows;
        }
        self.refused += pass.refused.len() as u64;
        self.postponed =
            pass.postponed.iter().map(|(u, why)| format!("{u} waits: {why}")).collect();
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

    /// Whether its process is there, as far as this machine can tell.
    pub fn is_alive(&self) -> bool {
        self.state != "stopped" && Process::parse(&self.process).is_some_and(|p| !p.is_gone())
    }

    /// Number of its process.
    pub fn pid(&self) -> &str {
        self.process.rsplit('/').nth(1).unwrap_or_default()
    }
}

fn text(time: Timestamp) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// Where an ingester keeps its state and its lock.
pub fn directory(logs: &Path) -> PathBuf {
    logs.join("ingester")
}

const FILE: &str = "state.json";

/// The state that the last ingester left in a directory.
pub fn read(directory: &Path) -> Option<State> {
    serde_json::from_slice(&std::fs::read(directory.join(FILE)).ok()?).ok()
}

/// A state that several threads see; every change is written down.
#[derive(Clone)]
pub struct Shared {
    state: Arc<Mutex<State>>,
    directory: PathBuf,
}

impl Shared {
    pub(super) fn new(state: State, directory: PathBuf) -> Self {
        let shared = Self { state: Arc::new(Mutex::new(state)), directory };
        shared.change(|_| {});
        shared
    }

    /// Reads something of it.
    pub fn get<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes it. A file that cannot be written stops nothing.
    pub fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        let text = serde_json::to_vec_pretty(&*state).unwrap_or_default();
        // Not synced: after a crash of the machine its process is gone anyway.
        let path = self.directory.join(FILE);
        let temporary = self.directory.join(format!(".{FILE}"));
        let _ = std::fs::write(&temporary, text).and_then(|()| std::fs::rename(temporary, path));
    }
}
