//! The interface of a place to run tasks.

use model::HostName;
use model::task::HostReport;
use std::path::PathBuf;
use std::time::Duration;

/// Maximum number of starts of one array: below Slurm's default MaxArraySize, which also bounds their numbers.
pub const MAX_ARRAY_SIZE: usize = 500;

/// One start of a task, to be sent somewhere: its task file is written, its directory exists.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// Unique name of the start: `array.number`, of letters, digits and `-`, and a number below [`MAX_ARRAY_SIZE`].
    /// Starts of one array request the same resources of the same host, and follow each other.
    pub name: String,
    /// Task file of the attempt.
    pub task_file: PathBuf,
    /// Host on which the task is to run.
    pub host: HostName,
    /// Number of cores.
    pub threads: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Expected duration in seconds.
    pub seconds: f64,
}

/// The outcome of a request to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The job exists, under this id of the executor.
    As(String),
    /// The job certainly does not run, for the reason given.
    No(String),
    /// The outcome is unknown, for the reason given: the job may run or not, and is found by its name.
    Unknown(String),
}

/// A start that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Our name of the job.
    pub name: String,
    /// The executor's id of the job; empty when it is not known.
    pub id: String,
    /// Host to which the job was sent.
    pub host: HostName,
    /// Task file of the job.
    pub task_file: PathBuf,
}

/// The state of a job, as known to its executor. The existence of a result is determined by files, never by this state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// The job waits to begin, for the reason given.
    Waiting(String),
    /// The job runs.
    Running,
    /// The job has ended.
    Ended(JobEnd),
    /// The executor does not know the job, or no longer knows it.
    Unknown,
}

/// The end of a job, as reported by its executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobEnd {
    /// The job ended without being cancelled.
    Ended,
    /// The job ended with a failure.
    Failed,
    /// The job took longer than it may.
    Time,
    /// The job used more memory than it may.
    Memory,
    /// The host of the job failed.
    HostFailed,
    /// The job was cancelled.
    Cancelled,
}

/// A host that an executor offers.
#[derive(Clone, Debug, PartialEq)]
pub struct HostState {
    /// Name of the host, unique among those of the executor.
    pub name: HostName,
    /// Cores available to us: those used by others are not included.
    pub cores: u32,
    /// Memory available to us, in bytes.
    pub memory_bytes: u64,
    /// Load average, and the minutes over which it is taken; `None` when it is not known.
    pub load: Option<(f64, u32)>,
    /// Users logged in.
    pub users: Vec<String>,
    /// Reason why nothing new can start there; `None` when something can.
    pub closed: Option<String>,
}

impl HostState {
    /// Returns the state that a report contains.
    pub fn of_report(name: &HostName, report: &HostReport) -> Self {
        Self {
            name: name.clone(),
            cores: report.cores,
            memory_bytes: report.memory_bytes,
            load: Some((report.load[0], 1)),
            users: report.users.clone(),
            closed: None,
        }
    }
}

/// A fault by which tasks cannot be started or monitored at present.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("executor {executor}: {reason}")]
pub struct DispatchFault {
    /// Name of the executor.
    pub executor: &'static str,
    /// Reason.
    pub reason: String,
}

/// A place to run tasks. Each call ends within seconds; [`Executor::wait`] alone waits for a task.
pub trait Executor {
    /// Returns the name of the executor in histories.
    fn name(&self) -> &'static str;

    /// Returns the hosts that the executor offers now.
    ///
    /// # Errors
    /// When the hosts cannot be queried at present.
    fn hosts(&mut self) -> Result<Vec<HostState>, DispatchFault>;

    /// Sends starts. Returns the outcomes in the order of the starts.
    fn start(&mut self, starts: &[Start]) -> Vec<Sent>;

    /// Returns the states of jobs, in the order of the jobs.
    ///
    /// # Errors
    /// When the jobs cannot be queried at present; running jobs continue.
    fn poll(&mut self, jobs: &[Job]) -> Result<Vec<JobState>, DispatchFault>;

    /// Cancels jobs that wait or run. Finished jobs stay as they are.
    ///
    /// # Errors
    /// When it is not certain that all cancellations arrived.
    fn cancel(&mut self, jobs: &[Job]) -> Result<(), DispatchFault>;

    /// Returns true when jobs outlive this process.
    fn outlives(&self) -> bool;

    /// Returns how many seconds before a core is free a start is sent. Executors that begin jobs slowly, or pass them to
    /// operators, get starts earlier.
    fn ahead(&self) -> f64 {
        0.1
    }

    /// Returns true when operators begin jobs, at a time of their choice: a job that has not begun is not lost.
    fn is_manual(&self) -> bool {
        false
    }

    /// Waits until a job may have ended, at most for `timeout`.
    fn wait(&mut self, timeout: Duration) {
        std::thread::sleep(timeout);
    }
}
