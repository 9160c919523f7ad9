//! Runs one task of any use case, from files to files, on a computer without database or configuration.
//!
//! Takes a task file, writes Parquet (and JPEG) files to the attempt's directory and, last, `result.json`. The same
//! task writes the same bytes in every run and with any number of threads.
//!
//! Start at [`run_file`]; [`Makers`] has the function that makes each product. [`supervise`] does the same in a separate process,
//! with heartbeats and limits; [`host`] reports on the computer.
//! This crate does not know the other tasks, and links no database.

pub mod host;
pub mod supervise;
mod work;

pub use work::{Make, Makers, Output};

use model::profile::{ProfileFaults, SurveyProfile};
use model::task::{FORMAT_VERSION, RunReport, TaskFile, TaskResult};
use model::{SurveyName, UseCase};
use stage::StageError;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Largest task file that is read.
const TASK_BYTES: u64 = 64 << 20;

/// The reason that a task was not done. A fault of an input file is not reported here but as a refusal in the result.
#[derive(Debug, thiserror::Error)]
pub enum NodeFault {
    /// The task file cannot be read.
    #[error("cannot read the task file {}: {reason}", path.display())]
    TaskFile {
        /// Its expected path.
        path: PathBuf,
        /// The fault.
        reason: String,
    },
    /// The survey profile in it does not parse.
    #[error("the survey profile {survey} of the task is invalid")]
    Profile {
        /// Its name.
        survey: SurveyName,
        /// All faults.
        #[source]
        faults: ProfileFaults,
    },
    /// This version of the program does not make the product of the task.
    #[error("{} cannot make the product {use_case:?} of the task", software())]
    NoMaker {
        /// The product.
        use_case: UseCase,
    },
    /// Reading or writing failed.
    #[error("the task cannot continue")]
    Task(#[from] process::TaskFault),
    /// Reading catalogues or passing on detections failed.
    #[error("the task cannot continue")]
    Catalogue(#[from] process::catalogue::CatalogueError<StageError>),
    /// The products could not be staged, or the metadata that they need not be read.
    #[error("the products cannot be staged")]
    Stage(#[from] StageError),
    /// The process that runs the task cannot be started.
    #[error("cannot start {}", program.display())]
    Worker {
        /// The program.
        program: PathBuf,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// A directory cannot be made, or written to.
    #[error("cannot write to {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
}

impl NodeFault {
    /// Returns true when another attempt may succeed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::TaskFile { .. } | Self::Profile { .. } | Self::NoMaker { .. } => false,
            Self::Stage(error) => error.fault.is_transient(),
            Self::Task(_) | Self::Catalogue(_) | Self::Directory { .. } | Self::Worker { .. } => {
                true
            }
        }
    }
}

/// Runs the task of a task file.
///
/// # Errors
/// [`NodeFault`]; then there is no `result.json`.
pub fn run_file(path: &Path) -> Result<TaskResult, NodeFault> {
    run_file_with(path, &Makers::default())
}

/// Runs the task of a task file with a list of makers, as [`run_file`] does.
///
/// # Errors
/// As [`run_file`].
pub fn run_file_with(path: &Path, makers: &Makers) -> Result<TaskResult, NodeFault> {
    let task = read_task(path)?;
    limit_permissions(&task);
    run_with(&task, makers)
}

/// Removes the permissions that the site of a task forbids from the files that this process makes.
pub(crate) fn limit_permissions(task: &TaskFile) {
    // The owner keeps all permissions, since nothing works without them.
    if let Some(mask) = task.umask.filter(|mask| *mask <= 0o077) {
        files::limit_permissions(Some(mask));
    }
}

pub(crate) fn read_task(path: &Path) -> Result<TaskFile, NodeFault> {
    let fault = |reason: String| NodeFault::TaskFile { path: path.to_owned(), reason };
    let file = files::open_regular(path).map_err(|e| fault(format!("the file {e}")))?;
    let mut text = String::new();
    file.take(TASK_BYTES).read_to_string(&mut text).map_err(|e| fault(e.to_string()))?;
    let task: TaskFile = serde_json::from_str(&text).map_err(|e| fault(e.to_string()))?;
    if task.version != FORMAT_VERSION {
        return Err(fault(format!("the format version is {}, not {FORMAT_VERSION}", task.version)));
    }
    // All output of a task is in the directory of its task file.
    let home = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let is_home = home.canonicalize().ok().zip(task.output_dir.canonicalize().ok());
    if is_home.is_none_or(|(home, output)| home != output) {
        let output = task.output_dir.display();
        return Err(fault(format!(
            "the task names the directory {output}, and the task file is not in it"
        )));
    }
    Ok(task)
}

/// Returns the name and version of this program.
pub(crate) fn software() -> String {
    format!("almagest {}", env!("CARGO_PKG_VERSION"))
}

/// Runs a task.
///
/// # Errors
/// [`NodeFault`]; then there is no `result.json`.
pub fn run(task: &TaskFile) -> Result<TaskResult, NodeFault> {
    run_with(task, &Makers::default())
}

fn run_with(task: &TaskFile, makers: &Makers) -> Result<TaskResult, NodeFault> {
    let started = Instant::now();
    let profile = SurveyProfile::parse(&task.profile)
        .map_err(|faults| NodeFault::Profile { survey: task.survey.clone(), faults })?;
    let dir = &task.output_dir;
    files::create_dir(dir).map_err(|source| NodeFault::Directory { path: dir.clone(), source })?;
    let output = makers.of(task.unit.use_case)?(task, &profile)?;
    let result = TaskResult {
        version: FORMAT_VERSION,
        unit: task.unit.clone(),
        task: task.task,
        attempt: task.attempt,
        files: output.files,
        hdus: output.hdus,
        detectors: output.detectors,
        kept: output.kept,
        refusals: output.refusals,
        findings: output.findings,
        counted: output.counted,
        software: software(),
        run: RunReport {
            host: host::name(),
            seconds: started.elapsed().as_secs_f64(),
            cpu_seconds: 0.0,
            peak_memory_bytes: host::status_bytes(std::process::id(), "VmHWM").unwrap_or(0),
            input_bytes: output.input_bytes,
        },
    };
    files::crash_point("node:before-result");
    stage::write_result(dir, &result)?;
    files::crash_point("node:after-result");
    Ok(result)
}
