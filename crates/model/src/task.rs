//! The input and output of a node: the task file and its result.
//!
//! A task file is all that a node needs: no database, no configuration, no network. `result.json` is written last; an
//! attempt's directory without it is unfinished work.

use crate::{
    AttemptNumber, Finding, HostName, MultiframeId, ProgrammeId, ProgrammeName, Refusal,
    ReportCode, Sha256, SurveyName, TaskNumber, UnitKey, shown_briefly,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

pub use crate::staged_file::{JPEG, StagedFile, staged_name};

/// Version of both formats; a reader refuses another one.
pub const FORMAT_VERSION: u32 = 1;
/// Name of the result within its attempt's directory.
pub const RESULT_NAME: &str = "result.json";
/// Name of the task file within its attempt's directory.
pub const TASK_NAME: &str = "task.json";

/// Name of the heartbeat within its attempt's directory.
pub const HEARTBEAT_NAME: &str = "heartbeat.json";
/// Name of the note that an attempt without result writes to its directory.
pub const END_NAME: &str = "end.json";

/// A file of the library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRef {
    /// Absolute path.
    pub path: PathBuf,
    /// Its name within the delivery.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its content.
    pub sha256: Sha256,
    /// HDUs that were refused on arrival (primary = 0) and must not be used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_hdus: Vec<u16>,
}

/// A version of an image's catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogueRef {
    /// The catalogue file.
    pub file: FileRef,
    /// Version number, 1, 2 … for the same image.
    pub version: i32,
    /// HDUs all rows of which are in the archive already, of this version: their objects keep their ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub done: Vec<DoneHdu>,
}

/// A catalogue HDU all rows of which are in the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoneHdu {
    /// HDU of the catalogue file, primary = 0.
    pub hdu: u16,
    /// Detector that its rows are of.
    pub ext_num: i16,
}

/// One multiframe of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskInput {
    /// Identity of the image.
    pub multiframe_id: MultiframeId,
    /// The image.
    pub image: FileRef,
    /// Its catalogue, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalogue: Option<CatalogueRef>,
}

impl TaskInput {
    /// Returns true when the catalogue is in the image file.
    pub fn has_catalogue_in_image(&self) -> bool {
        self.catalogue.as_ref().is_some_and(|catalogue| catalogue.file.name == self.image.name)
    }
}

/// A programme as a node needs it to assign PROJECT (domain rules in `profile::programmes`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgrammeRef {
    /// `programme_id`.
    pub programme_id: ProgrammeId,
    /// Short name, e.g. `LAS`.
    pub name: ProgrammeName,
    /// The PROJECT text it is known by (`dfsIDString` of the WSA).
    pub project: String,
}

/// The resources that a task may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskLimits {
    /// Worker threads.
    pub threads: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
}

/// The complete input of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskFile {
    /// [`FORMAT_VERSION`].
    pub version: u32,
    /// The unit that the work belongs to.
    pub unit: UnitKey,
    /// Number of the task in its round.
    pub task: TaskNumber,
    /// Number of this start of the task.
    pub attempt: AttemptNumber,
    /// The multiframes, in the order of their file names.
    pub inputs: Vec<TaskInput>,
    /// Name of the survey profile.
    pub survey: SurveyName,
    /// The profile itself, TOML.
    pub profile: String,
    /// All programmes of the archive.
    pub programmes: Vec<ProgrammeRef>,
    /// For `catalogue`: directories of the finished `metadata` attempts that hold these multiframes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metadata: Vec<PathBuf>,
    /// The resources that it may use.
    pub limits: TaskLimits,
    /// The attempt's own directory; all its output is in there.
    pub output_dir: PathBuf,
    /// Permissions that files of the site do not have, when the site configures them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub umask: Option<u32>,
}

/// The rows of one detector in a staged detection file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetectorRows {
    /// Name of the staged file.
    pub file: String,
    /// Owner of the rows.
    pub programme_id: ProgrammeId,
    /// The image.
    pub multiframe_id: MultiframeId,
    /// The detector.
    pub ext_num: i16,
    /// Version of the catalogue.
    pub version: i32,
    /// First row in the staged file, from 0.
    pub first_row: u64,
    /// Number of rows.
    pub rows: u64,
}

/// A detector whose detections were left unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptDetector {
    /// The image.
    pub multiframe_id: MultiframeId,
    /// The detector.
    pub ext_num: i16,
    /// Version of the catalogue.
    pub version: i32,
}

/// The outcome of one HDU. Rows read = written + refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HduReport {
    /// Name of the file within its delivery.
    pub file: String,
    /// The image it belongs to.
    pub multiframe_id: MultiframeId,
    /// HDU, primary = 0.
    pub hdu: u16,
    /// Detector that it belongs to; `None` when none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ext_num: Option<i16>,
    /// Rows in the file.
    pub rows_read: u64,
    /// Rows staged.
    pub rows_written: u64,
    /// Rows refused.
    pub rows_refused: u64,
    /// NaN turned into NULL, per column.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nan: BTreeMap<String, u64>,
}

/// The output of a task, written last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskResult {
    /// [`FORMAT_VERSION`].
    pub version: u32,
    /// The unit that the work belonged to.
    pub unit: UnitKey,
    /// Number of the task.
    pub task: TaskNumber,
    /// Number of the attempt.
    pub attempt: AttemptNumber,
    /// Files written, in a fixed order.
    pub files: Vec<StagedFile>,
    /// Per input HDU.
    pub hdus: Vec<HduReport>,
    /// Position of each detector's detections.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detectors: Vec<DetectorRows>,
    /// Detectors that were skipped, since the archive has all of their rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<KeptDetector>,
    /// Rejected inputs.
    pub refusals: Vec<Refusal>,
    /// Findings.
    pub findings: Vec<Finding>,
    /// The inputs with findings that are reported once per task.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counted: Vec<CountedFinding>,
    /// Version of the software.
    pub software: String,
    /// Host and resources of the run; not part of the reproducible content.
    pub run: RunReport,
}

/// The inputs with a finding that is reported once per task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedFinding {
    /// Code of the finding.
    pub code: ReportCode,
    /// Its keyword or column.
    pub subject: String,
    /// `true`: in the catalogue files of the inputs, `false`: in their images.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub catalogue: bool,
    /// Runs of inputs: first and last ordinal, from 1, and the number of occurrences in each input.
    pub inputs: Vec<[u32; 3]>,
}

/// Host and resources of the run of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// Host name.
    #[serde(deserialize_with = "HostName::deserialize_reported")]
    pub host: HostName,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// CPU seconds of its threads, when known.
    pub cpu_seconds: f64,
    /// Peak resident memory of the process in bytes, when known.
    pub peak_memory_bytes: u64,
    /// Bytes read from the library.
    pub input_bytes: u64,
}

/// A time by the clock of a host, in seconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixSeconds(u64);

impl UnixSeconds {
    /// Makes the time of a number of seconds.
    pub fn new(seconds: u64) -> Self {
        Self(seconds)
    }
}

/// The report that an independently running attempt writes every few seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// [`FORMAT_VERSION`].
    pub version: u32,
    /// Host name.
    #[serde(deserialize_with = "HostName::deserialize_reported")]
    pub host: HostName,
    /// Its process on that host.
    pub pid: u32,
    /// Start time of the process in clock ticks since boot, which distinguishes it from a later one of the same number.
    pub pid_start: u64,
    /// Counter 1, 2 … that grows with every heartbeat, so that clocks need not agree.
    pub beat: u64,
    /// Time of writing by the host's clock.
    pub at: UnixSeconds,
    /// Seconds since the attempt began.
    pub seconds: f64,
    /// Number of library files opened until now.
    pub files_done: u64,
    /// Number of library files that it will open.
    pub files: u64,
    /// Resident memory in bytes.
    pub memory_bytes: u64,
}

/// The reason for which an attempt ended without result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndCode {
    /// It needed more memory than the task file allows.
    Memory,
    /// A signal requested that it stop.
    Interrupted,
    /// It was killed, or crashed.
    Crashed,
    /// It reported that it cannot continue now; another attempt may succeed.
    Failed,
    /// It reported that the task cannot be done as it is.
    Impossible,
}

/// The note that an attempt writes when it ends without result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskEnd {
    /// [`FORMAT_VERSION`].
    pub version: u32,
    /// The reason.
    pub code: EndCode,
    /// The same in words.
    pub reason: String,
    /// Host name.
    #[serde(deserialize_with = "HostName::deserialize_reported")]
    pub host: HostName,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Greatest observed resident memory in bytes.
    pub peak_memory_bytes: u64,
}

/// Greatest length in bytes of a text in a heartbeat, note or report; longer texts are truncated.
const TEXT_BYTES: usize = 2000;
/// Greatest number of processors and bytes of memory of a computer; a report of more is rejected.
const MAX_CORES: u32 = 4096;
const MAX_MEMORY: u64 = 1 << 50;

impl Heartbeat {
    /// Returns the heartbeat made safe to use: texts escaped, numbers within their bounds. `None` when it is of another
    /// format.
    pub fn checked(self) -> Option<Self> {
        let files = self.files.min(1 << 32);
        let seconds = if self.seconds.is_finite() { self.seconds.clamp(0.0, 1e9) } else { 0.0 };
        (self.version == FORMAT_VERSION).then(|| Self {
            seconds,
            files,
            files_done: self.files_done.min(files),
            memory_bytes: self.memory_bytes.min(MAX_MEMORY),
            ..self
        })
    }
}

impl TaskEnd {
    /// Returns the note made safe to use: texts escaped, numbers within their bounds. `None` when it is of another
    /// format.
    pub fn checked(self) -> Option<Self> {
        let seconds = if self.seconds.is_finite() { self.seconds.clamp(0.0, 1e9) } else { 0.0 };
        (self.version == FORMAT_VERSION).then(|| Self {
            reason: match shown_briefly(&self.reason, TEXT_BYTES) {
                reason if reason.is_empty() => "the end has no reason".to_owned(),
                reason => reason,
            },
            seconds,
            peak_memory_bytes: self.peak_memory_bytes.min(MAX_MEMORY),
            ..self
        })
    }
}

impl HostReport {
    /// Returns the report made safe to use, texts escaped. `None` when it is of another format, or its numbers are
    /// impossible.
    pub fn checked(self) -> Option<Self> {
        let is_load = |load: &f64| load.is_finite() && (0.0..1e6).contains(load);
        let is_sane = self.version == FORMAT_VERSION
            && self.cores <= MAX_CORES
            && self.memory_bytes <= MAX_MEMORY
            && self.memory_free_bytes <= MAX_MEMORY
            && self.load.iter().all(is_load);
        is_sane.then(|| Self {
            users: self.users.iter().take(100).map(|user| shown_briefly(user, 100)).collect(),
            software: shown_briefly(&self.software, TEXT_BYTES),
            ..self
        })
    }
}

/// The report of a host about itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostReport {
    /// [`FORMAT_VERSION`].
    pub version: u32,
    /// Host name.
    #[serde(deserialize_with = "HostName::deserialize_reported")]
    pub host: HostName,
    /// Counter 1, 2 … that grows with every report of this reporter.
    pub beat: u64,
    /// Time of writing by the host's clock.
    pub at: UnixSeconds,
    /// Processors.
    pub cores: u32,
    /// Load averages over 1, 5 and 15 minutes.
    pub load: [f64; 3],
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Memory available to programs, in bytes.
    pub memory_free_bytes: u64,
    /// Free bytes on the disk of its report, to which tasks write too.
    pub disk_free_bytes: u64,
    /// Users logged in.
    pub users: Vec<String>,
    /// Task files of the attempts that run on it.
    pub tasks: Vec<PathBuf>,
    /// Version of the software.
    pub software: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_of_nodes_are_bounded() {
        let beat = Heartbeat {
            version: FORMAT_VERSION,
            host: HostName::reported("a\0\u{1b}[2J"),
            pid: u32::MAX,
            pid_start: u64::MAX,
            beat: u64::MAX,
            at: UnixSeconds::new(u64::MAX),
            seconds: f64::NAN,
            files_done: u64::MAX,
            files: u64::MAX,
            memory_bytes: u64::MAX,
        };
        assert_eq!(Heartbeat { version: 2, ..beat.clone() }.checked(), None);
        let beat = beat.checked().unwrap();
        assert_eq!((beat.host.as_str(), beat.seconds), ("a\\x00\\x1b[2J", 0.0));
        assert!(beat.files_done <= beat.files && beat.files < u64::MAX / 2);
        let end = TaskEnd {
            version: FORMAT_VERSION,
            code: EndCode::Failed,
            reason: "\0".repeat(100_000),
            host: HostName::default(),
            seconds: -1.0,
            peak_memory_bytes: u64::MAX,
        };
        let end = end.checked().unwrap();
        assert!(end.reason.len() < 2100 && crate::is_clean(&end.reason) && end.seconds == 0.0);
        let report = HostReport { version: FORMAT_VERSION, cores: 8, ..HostReport::default() };
        assert!(report.clone().checked().is_some());
        for odd in [
            HostReport { cores: u32::MAX, ..report.clone() },
            HostReport { memory_bytes: u64::MAX, ..report.clone() },
            HostReport { load: [f64::INFINITY, 0.0, 0.0], ..report.clone() },
            HostReport { load: [-1.0, 0.0, 0.0], ..report.clone() },
            HostReport { version: 9, ..report.clone() },
        ] {
            assert_eq!(odd.clone().checked(), None, "{odd:?}");
        }
    }
}
