//! What steps may use: the section `work`.

use serde::{Deserialize, Serialize};

/// What steps may use.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Work {
    /// Worker threads; 0 = one per processor.
    pub threads: usize,
    /// Memory per worker thread.
    pub memory_per_thread_mb: u64,
    /// Memory per process beside that.
    pub memory_per_process_mb: u64,
    /// Rows of a catalogue task at the least.
    pub rows_per_catalogue_task: u64,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            threads: 0,
            memory_per_thread_mb: 150,
            memory_per_process_mb: 300,
            rows_per_catalogue_task: 100_000,
        }
    }
}

impl Work {
    /// Worker threads, never 0.
    pub fn workers(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }
}
