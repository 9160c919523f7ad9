//! What a place to run tasks must offer.

use model::task::HostReport;
use std::path::PathBuf;
use std::time::Duration;

/// Starts of one array at most: below Slurm's default MaxArraySize, which also bounds their numbers.
pub const ARRAY_MOST: usize = 500;

/// One start of a task, to be sent somewhere: its task file is written, its directory exists.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// A name of ours that no other start has: `array.number`, of letters, digits and `-`, and a number below
    /// [`ARRAY_MOST`]. Starts of one array ask the same of the same host, and follow each other.
    pub name: String,
    /// The attempt's task file.
    pub task_file: PathBuf,
    /// Where it is to run.
    pub host: String,
    /// Cores.
    pub threads: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// How long it is expected to take, in seconds.
    pub seconds: f64,
}

/// What became of a request to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is there, under this name of the executor's.
    As(String),
    /// It is certain that it does not run.
    No(String),
    /// Nobody can tell: it may run or not, and is found by its name.
    Unknown(String),
}

/// A start that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Our name of it.
    pub name: String,
    /// The executor's name of it; empty when that is not known.
    pub id: String,
    /// Where it was sent.
    pub host: String,
    /// Its task file.
    pub task_file: PathBuf,
}

/// Where a job stands, as far as its executor knows. Whether there is a result is told by files, never here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It waits to begin, for the reason given.
    Waiting(String),
    /// It runs.
    Running,
    /// It is over.
    Over(Over),
    /// The executor has not heard of it, or not any more.
    Unheard,
}

/// How a job ended, by its executor's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// By itself.
    Ended,
    /// With a failure.
    Failed,
    /// It took longer than it might.
    Time,
    /// It wanted more memory than it might have.
    Memory,
    /// Its computer failed.
    HostFailed,
    /// Somebody cancelled it.
    Cancelled,
}

impl Over {
    /// The code in histories.
    pub fn code(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Failed => "failed",
            Self::Time => "time",
            Self::Memory => "memory",
            Self::HostFailed => "host_failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A computer that an executor offers.
#[derive(Clone, Debug, PartialEq)]
pub struct HostState {
    /// Its name, unique among the executor's.
    pub name: String,
    /// Cores that it has for us: those of others are not among them.
    pub cores: u32,
    /// Memory that it has for us, in bytes.
    pub memory_bytes: u64,
    /// Load average, and over which time it is one in minutes; `None` when it is not known.
    pub load: Option<(f64, u32)>,
    /// People logged in.
    pub users: Vec<String>,
    /// Why nothing new can start there, if so.
    pub closed: Option<String>,
}

impl HostState {
    /// The state that a report tells.
    pub fn of_report(name: &str, report: &HostReport) -> Self {
        Self {
            name: name.to_owned(),
            cores: report.cores,
            memory_bytes: report.memory_bytes,
            load: Some((report.load[0], 1)),
            users: report.users.clone(),
            closed: None,
        }
    }
}

/// A place where tasks cannot be started or looked after at present.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("executor {executor}: {reason}")]
pub struct DispatchFault {
    /// Name of the executor.
    pub executor: &'static str,
    /// What is wrong.
    pub reason: String,
}

/// A place to run tasks. Each call ends within seconds; [`Executor::wait`] alone waits for a task.
pub trait Executor {
    /// Its name in histories.
    fn name(&self) -> &'static str;

    /// The computers that it offers now.
    ///
    /// # Errors
    /// When nothing can be learned at present.
    fn hosts(&mut self) -> Result<Vec<HostState>, DispatchFault>;

    /// Sends starts; the answers have their order.
    fn start(&mut self, starts: &[Start]) -> Vec<Sent>;

    /// Where jobs stand, in their order.
    ///
    /// # Errors
    /// When nothing can be learned at present; what runs goes on.
    fn look(&mut self, jobs: &[Job]) -> Result<Vec<Standing>, DispatchFault>;

    /// Ends jobs, whether they wait or run. Those that are over stay as they are.
    ///
    /// # Errors
    /// When it is not certain that all have got the word.
    fn cancel(&mut self, jobs: &[Job]) -> Result<(), DispatchFault>;

    /// Whether jobs outlive this process.
    fn outlives(&self) -> bool;

    /// Returns how many seconds before a core is free a start is sent. Executors that take their time to begin a job, or give it to
    /// people, get starts earlier.
    fn ahead(&self) -> f64 {
        0.1
    }

    /// Whether people begin jobs, when they like: one that has not begun is not lost.
    fn is_by_hand(&self) -> bool {
        false
    }

    /// Waits until a job may have ended, at most for `patience`.
    fn wait(&mut self, patience: Duration) {
        std::thread::sleep(patience);
    }
}
