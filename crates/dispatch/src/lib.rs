//! Has tasks run somewhere, and says when they ended.
//!
//! Takes task files, leaves ended attempts: whether their results count is decided by who collects them, never
//! here. An exit is not a result; the result is the `result.json` in the attempt's directory.
//!
//! Start at [`Executor`]; [`Local`] is the pool on this machine. Another place to run (a batch system, other
//! hosts) is another implementation, and nothing else changes.
//! Does not plan, keep states, or touch a database.

mod local;
pub mod planner;

pub use local::Local;

use std::path::PathBuf;
use std::time::Duration;

/// One start of a task: its file is written, its directory exists.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Start {
    /// The attempt's task file.
    pub task_file: PathBuf,
}

/// How a start ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ran to its end; `result.json` should be there.
    Finished,
    /// It failed, for the reason given.
    Failed {
        /// The chain of errors, in one line.
        reason: String,
        /// Trying again may help.
        transient: bool,
    },
}

/// A start that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What was started.
    pub start: Start,
    /// How it ended.
    pub outcome: Outcome,
}

/// A place where tasks cannot be started or looked after.
#[derive(Debug, thiserror::Error)]
#[error("executor {executor}: {reason}")]
pub struct DispatchFault {
    /// Name of the executor.
    pub executor: &'static str,
    /// What is wrong.
    pub reason: String,
}

/// A place where tasks run.
pub trait Executor {
    /// Its name in histories.
    fn name(&self) -> &'static str;

    /// How many more starts it would work on at once.
    fn free_slots(&self) -> usize;

    /// Starts a task and returns at once.
    ///
    /// # Errors
    /// When it is certain that the task does not run.
    fn start(&mut self, start: Start) -> Result<(), DispatchFault>;

    /// Starts that ended since the last call; waits for the first one up to `patience`.
    ///
    /// # Errors
    /// When nothing can be learned at present.
    fn poll(&mut self, patience: Duration) -> Result<Vec<Ended>, DispatchFault>;

    /// Lets go of what has not begun; what runs is left to end.
    fn drain(&mut self);
}
