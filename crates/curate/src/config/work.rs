//! Resources of steps: the section `work`.

use serde::{Deserialize, Serialize};

/// The resources that steps may use.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Work {
    /// Worker threads; 0 = one per processor.
    pub threads: usize,
    /// Memory per worker thread.
    pub memory_per_thread_mb: u64,
    /// Memory per process in addition to that of its threads.
    pub memory_per_process_mb: u64,
    /// Minimum number of rows of a catalogue task.
    pub min_rows_per_catalogue_task: u64,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            threads: 0,
            memory_per_thread_mb: 150,
            memory_per_process_mb: 300,
            min_rows_per_catalogue_task: 100_000,
        }
    }
}

impl Work {
    /// Returns the number of worker threads, never 0.
    pub fn workers(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }
}
