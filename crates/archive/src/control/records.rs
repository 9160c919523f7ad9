//! The input and output values of the control store: plain values, no handles.

use super::lease::Process;
use chrono::{DateTime, Utc};
use model::task::{TaskInput, TaskResult};
use model::{
    EventId, MultiframeId, ProgrammeId, Refusal, RefusalCode, UnitKey, UnitState, UseCase,
};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Times in the archive, in UTC.
pub type Timestamp = DateTime<Utc>;

/// The kind of a file, decided by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// FITS with image extensions: gets a multiframe id.
    Image,
    /// FITS with catalogue tables: a version of its image's catalogue.
    Catalogue,
    /// Anything else; kept and listed.
    Other,
}

impl FileKind {
    /// Returns the name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Catalogue => "catalogue",
            Self::Other => "other",
        }
    }
}

/// The result of examining a file's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Kind of the file.
    pub kind: FileKind,
    /// Format as one word: `fits`, `fits.gz`, `text` ….
    pub format: String,
    /// Name of the survey profile that fits, for images and catalogues.
    pub survey: Option<String>,
    /// HDUs with pixels (image) or rows (catalogue).
    pub hdus: u32,
    /// Rows of a catalogue, all HDUs.
    pub rows: u64,
}

/// A file in the library whose transfer was verified.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// Name within the delivery.
    pub name: String,
    /// Path below `library/`; absolute when the file is kept in place.
    pub path: String,
    /// Modification time at the source, nanoseconds since 1970.
    pub modified_ns: i64,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 of the content, lower-case hexadecimal.
    pub sha256: String,
    /// The result of examining its content.
    pub content: Content,
    /// Time of the end of its transfer.
    pub arrived: Timestamp,
    /// Duration of the transfer in seconds.
    pub transfer_seconds: f64,
    /// Course of the transfer.
    pub transfer_record: TransferRecord,
}

/// The course of a file's transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferRecord {
    /// Number of times that the file was read from its beginning.
    pub tries: u32,
    /// Bytes that an earlier try had transferred.
    pub resumed_bytes: u64,
    /// Method of the file's verification: `sha256`, `md5`, `datasum` or `second_look`.
    pub verified_by: &'static str,
}

impl Default for TransferRecord {
    /// Returns the course of a transfer that read the file once and verified it by a second listing.
    fn default() -> Self {
        Self { tries: 1, resumed_bytes: 0, verified_by: "second_look" }
    }
}

/// A file that could not be fetched for a reason that may be temporary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postponed {
    /// Name within the delivery.
    pub name: String,
    /// The reason why the file could not be fetched.
    pub why: String,
}

/// An entry that a source shows and that was not fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedEntry {
    /// The name as the source shows it, escaped if needed.
    pub name: String,
    /// Machine-readable reason.
    pub code: String,
    /// Reason in words.
    pub why: String,
}

/// Place that a delivery comes from. Together with the directory's name it identifies the delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryOrigin {
    /// Name of a configured source, or address of the parent directory.
    pub origin: String,
    /// True when the configuration names the origin as a source.
    pub is_source: bool,
    /// Address of the parent directory, without secrets.
    pub address: String,
    /// Name of the delivery's directory there.
    pub directory: String,
}

/// An origin with the delivery that comes from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownOrigin {
    /// The place.
    pub place: DeliveryOrigin,
    /// Name of the delivery.
    pub delivery: String,
    /// True when no file of the delivery is registered yet: its first fetch is running or was interrupted.
    pub is_reserved: bool,
}

/// Claim of an origin on the name of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim<'a> {
    /// The delivery is the origin's own.
    Own,
    /// The origin is known to supply the delivery, under another spelling of its name or address.
    Known,
    /// An operator declares the delivery to be the same as one of another origin.
    Join(&'a str),
}

/// The facts about a delivery as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFacts {
    /// Name, e.g. `20071011_v1`; one plain path component.
    pub name: String,
    /// Observing night as yyyymmdd, when the name contains it.
    pub night: Option<i32>,
    /// Version of the pipeline, when the name contains it.
    pub version: Option<String>,
    /// Directory or address that the delivery was fetched from.
    pub source: String,
    /// Name of the marker file that was seen.
    pub marker: Option<String>,
    /// Name of the provider's manifest that was used.
    pub manifest: Option<String>,
    /// Number of files that marker or manifest announced.
    pub expected_files: Option<u64>,
    /// True when everything announced has arrived (by marker, manifest, count or quiet time).
    pub all_there: bool,
    /// Description of what is known to be still outstanding; until it arrives, catalogues without image are not reported.
    pub awaited: Option<String>,
    /// True while the fetch is running: the facts are those of one group of its files.
    pub is_under_way: bool,
    /// True when the operator declares that more will arrive, whatever was declared before.
    pub is_reopened: bool,
}

/// A current file that may have a partner.
#[derive(Clone, Copy, Debug)]
pub struct Partner<'a> {
    /// Image or catalogue.
    pub kind: FileKind,
    /// Name within the delivery.
    pub name: &'a str,
    /// Its survey profile, if any.
    pub survey: Option<&'a str>,
}

/// The keys that an image and its catalogue have in common, most significant first: a catalogue belongs to the first image (by
/// name) that has the catalogue's first key among its own, else to one that has its second, and so on.
pub type PairingRule<'a> = dyn Fn(Partner<'_>) -> Vec<String> + 'a;

/// One content that arrived under a file's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownFile {
    /// Name within the delivery.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
    /// Path below `library/` (or absolute).
    pub path: String,
    /// Modification time at the source, nanoseconds since 1970.
    pub modified_ns: i64,
    /// True when a refusal of the file on arrival is to be retried: the file must be checked again although it did not change.
    pub reexamine: bool,
}

/// A file of the library with the archive's facts about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Internal number.
    pub file_id: i64,
    /// Its delivery.
    pub delivery: String,
    /// Name within the delivery.
    pub name: String,
    /// Path below `library/` (or absolute).
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Modification time at the source, nanoseconds since 1970.
    pub modified_ns: i64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
    /// True when no newer content of the name replaced the file.
    pub is_current: bool,
    /// Result of the last check of the file's bytes; `None` before the first.
    pub soundness: Option<Soundness>,
}

/// The result of a check of the bytes of a library file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Soundness {
    /// The bytes match the checksum.
    Sound,
    /// The bytes do not match the checksum.
    Rotten,
    /// The file is missing.
    Lost,
    /// The file cannot be read.
    Unreadable,
}

impl Soundness {
    /// Returns the name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Rotten => "rotten",
            Self::Lost => "lost",
            Self::Unreadable => "unreadable",
        }
    }

    /// Returns the value of a name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Sound, Self::Rotten, Self::Lost, Self::Unreadable]
            .into_iter()
            .find(|s| s.name() == name)
    }
}

/// The input of one act of registration.
pub struct Registration<'a> {
    /// The delivery.
    pub delivery: DeliveryFacts,
    /// Files of the library, new or known, that were examined.
    pub arrivals: &'a [Arrival],
    /// Names of files that are unchanged in the delivery and were not examined.
    pub unchanged: &'a [String],
    /// Names that the source shows now, sorted; `None` while files are being fetched.
    pub present: Option<&'a [String]>,
    /// Of the unchanged files, those whose modification time at the source differs from the recorded one, with the new time in
    /// nanoseconds since 1970. The recorded time is updated, so that the files are not read again because of it.
    pub touched: &'a [(String, i64)],
    /// Rejected inputs.
    pub refusals: &'a [StagedRefusal],
    /// Files that could not be fetched this time.
    pub postponed: &'a [Postponed],
    /// Entries that the source shows and that were not fetched.
    pub skipped: &'a [SkippedEntry],
    /// Findings about the files.
    pub findings: &'a [model::Finding],
    /// The rule by which catalogues find their images.
    pub pairing: &'a PairingRule<'a>,
}

/// The result of an act of registration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Number of images that got an id now.
    pub images: u64,
    /// Number of catalogue files recorded now.
    pub catalogues: u64,
    /// Number of other files recorded now.
    pub others: u64,
    /// Number of files that were known before, with the same content.
    pub known: u64,
    /// Number of files whose earlier content is superseded now.
    pub superseded: u64,
    /// Number of refusals met for the first time.
    pub new_refusals: u64,
    /// Number of refusals that newer content or a late image resolved.
    pub resolved_refusals: u64,
}

/// The stage of the pipeline in which something was refused or noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Copying into the library.
    Transfer,
    /// Examining the content.
    Register,
    /// A task of a use case.
    Task(UseCase),
    /// Publishing.
    Ingest,
}

impl Stage {
    /// Returns the name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transfer => "transfer",
            Self::Register => "register",
            Self::Task(use_case) => use_case.name(),
            Self::Ingest => "ingest",
        }
    }

    /// Returns the stage of a name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "transfer" => Some(Self::Transfer),
            "register" => Some(Self::Register),
            "ingest" => Some(Self::Ingest),
            _ => name.parse().ok().map(Self::Task),
        }
    }
}

/// A refusal with the stage that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedRefusal {
    /// The stage of the pipeline.
    pub stage: Stage,
    /// The refusal.
    pub refusal: Refusal,
}

/// The state of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusalState {
    /// The refusal waits for a decision.
    Open,
    /// The refused data stay out, by an operator's decision that this is right.
    Accepted,
    /// An operator decided that the refusal did not matter.
    Dismissed,
    /// The refused data are to be redone.
    Retried,
    /// Newer content, a late file or a later round removed the cause.
    Resolved,
}

impl RefusalState {
    /// Returns the name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Dismissed => "dismissed",
            Self::Retried => "retried",
            Self::Resolved => "resolved",
        }
    }

    /// Returns the state of a name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Open, Self::Accepted, Self::Dismissed, Self::Retried, Self::Resolved]
            .into_iter()
            .find(|s| s.name() == name)
    }
}

/// Codes of refusals on arrival that an operator can overrule: the data can be read, and only a person can judge whether they are
/// right.
pub const TAKEABLE: [&str; 1] = [RefusalCode::DATASUM_MISMATCH.as_str()];

/// An operator's decision on a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The refused data stay out, and that is right.
    Accept,
    /// The refused data are accepted nevertheless, marked by a finding; see [`TAKEABLE`].
    Take,
    /// The refusal did not matter.
    Dismiss,
    /// The refused data are redone in the next round.
    Retry,
}

/// A refusal as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusalRecord {
    /// Number shown to operators.
    pub refusal_id: i64,
    /// Delivery of the refusal.
    pub delivery: String,
    /// Stage of the pipeline.
    pub stage: Stage,
    /// Round that refused it.
    pub round: Option<u32>,
    /// The refusal; its file name is empty when a whole round is meant.
    pub refusal: Refusal,
    /// Content of its file, when the file is registered.
    pub file_id: Option<i64>,
    /// Survey of its file, when the file is registered.
    pub survey: Option<String>,
    /// Name of the image that its file is the catalogue of.
    pub image: Option<String>,
    /// State of the refusal.
    pub state: RefusalState,
    /// True when the refusal was accepted and the refused data are used nevertheless.
    pub taken: bool,
    /// Number of times that the refusal was met.
    pub seen_times: u64,
    /// Time when the refusal was first met.
    pub first_seen: Timestamp,
    /// Time when the refusal was last met.
    pub last_seen: Timestamp,
    /// Decisions, oldest first.
    pub history: Vec<RefusalChange>,
}

/// One decision on a refusal.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusalChange {
    /// State after it.
    pub state: RefusalState,
    /// Time of the decision.
    pub changed: Timestamp,
    /// Author and reason of the decision.
    pub cause: Cause,
}

/// The selection of refusals; fields that are `None` select all.
#[derive(Clone, Debug, Default)]
pub struct RefusalFilter {
    /// Only of this delivery.
    pub delivery: Option<String>,
    /// Only in this state.
    pub state: Option<RefusalState>,
    /// Only with this code.
    pub code: Option<String>,
    /// Only of this file.
    pub file: Option<String>,
}

/// Maximum bytes that are stored of each part of a cause.
const CAUSE_BYTES: usize = 4000;

/// The actor and the reason of a change, as stored in every history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Person or part of the program.
    pub who: String,
    /// The reason, in a few words.
    pub why: String,
}

impl Cause {
    /// Makes a cause of limited length. Both parts are shown, and stored by engines that refuse some characters, so they are
    /// escaped.
    pub fn new(who: impl Into<String>, why: impl Into<String>) -> Self {
        let text = |text: String| model::shown_briefly(&text, CAUSE_BYTES);
        Self { who: text(who.into()), why: text(why.into()) }
    }
}

/// The outcome of one file in a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Products were staged (some HDUs or rows may have been refused).
    Done,
    /// The whole file was refused.
    Refused,
    /// The whole file waits for another file or a programme, and is retried automatically.
    Parked,
}

impl Outcome {
    /// Returns the name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Parked => "parked",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Done, Self::Refused, Self::Parked].into_iter().find(|o| o.name() == name)
    }
}

/// The progress of a use case with one image: the latest round that covers the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Round.
    pub round: u32,
    /// State of the round.
    pub state: UnitState,
    /// Recipe of the round.
    pub recipe: String,
    /// Catalogue version that the round reads.
    pub catalogue_version: Option<i32>,
    /// Outcome of the file; `None` while its task is not done.
    pub outcome: Option<Outcome>,
    /// True when the products of the file's task are still in staging.
    pub is_staged: bool,
}

/// One use case on one image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Latest round that covers the image.
    pub coverage: Option<Coverage>,
    /// The reason why the use case is to be redone; `None` when it is not.
    pub redo: Option<String>,
}

/// A catalogue of a current image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueWork {
    /// 1, 2 … of its image.
    pub version: i32,
    /// Name within the delivery.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Number of rows in all HDUs.
    pub rows: u64,
}

/// A current image of a delivery, with all data that decide what is to be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageWork {
    /// Its identity.
    pub multiframe_id: MultiframeId,
    /// Name within the delivery.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Name of the survey profile.
    pub survey: String,
    /// Number of HDUs with pixels.
    pub hdus: u32,
    /// Its programme, once its metadata are ingested.
    pub programme: Option<i32>,
    /// Latest current version of its catalogue.
    pub catalogue: Option<CatalogueWork>,
    /// Progress of previews.
    pub preview: Progress,
    /// Progress of metadata.
    pub metadata: Progress,
    /// Progress of detections.
    pub catalogue_progress: Progress,
}

impl ImageWork {
    /// Returns the catalogue that a catalogue round is due to read, although earlier rounds have covered the image.
    ///
    /// Returns `None` for images without metadata, for images whose metadata failed or are retracted, and for images whose
    /// detections failed or are retracted: no round reads their catalogues without a decision.
    pub fn waiting_catalogue(&self) -> Option<&CatalogueWork> {
        let catalogue = self.catalogue.as_ref()?;
        let metadata = self.metadata.coverage.as_ref()?;
        let is_other = |c: &Coverage| c.catalogue_version != Some(catalogue.version);
        let is_stuck = |c: &Coverage| matches!(c.state, UnitState::Failed | UnitState::Retracted);
        let has_none = matches!(metadata.outcome, Some(Outcome::Refused | Outcome::Parked));
        if is_stuck(metadata) || has_none && !is_other(metadata) {
            return None;
        }
        let is_due =
            self.catalogue_progress.coverage.as_ref().is_none_or(|c| is_other(c) && !is_stuck(c));
        is_due.then_some(catalogue)
    }

    /// Returns true when a round that covers the image is running, so that a newer round will follow it.
    pub fn is_in_hand(&self) -> bool {
        let is_over = |s: UnitState| {
            matches!(s, UnitState::Ingested | UnitState::Failed | UnitState::Retracted)
        };
        let of = [&self.metadata, &self.catalogue_progress];
        of.iter().any(|progress| progress.coverage.as_ref().is_some_and(|c| !is_over(c.state)))
    }

    /// Returns the progress of a use case.
    pub fn progress(&self, use_case: UseCase) -> &Progress {
        match use_case {
            UseCase::Preview => &self.preview,
            UseCase::Metadata => &self.metadata,
            _ => &self.catalogue_progress,
        }
    }
}

/// A round with its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundWork {
    /// The round.
    pub unit: UnitKey,
    /// State of the round.
    pub state: UnitState,
    /// Recipe of the round.
    pub recipe: String,
    /// Total number of tasks.
    pub tasks: u32,
    /// Number of tasks done or given up.
    pub tasks_over: u32,
}

/// All data that decide what is to be done about a delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryWork {
    /// Name of the delivery.
    pub delivery: String,
    /// Current images, in the order of their names.
    pub images: Vec<ImageWork>,
    /// Current catalogues without image.
    pub unpaired: Vec<String>,
    /// Rounds, oldest first.
    pub rounds: Vec<RoundWork>,
    /// Time of the latest arrival, while more files are known to be outstanding; `None` otherwise.
    pub arriving: Option<Timestamp>,
}

/// One file of a task to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedInput {
    /// The image.
    pub multiframe_id: MultiframeId,
    /// Version of its catalogue that the task reads.
    pub catalogue_version: Option<i32>,
}

/// One task to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedTask {
    /// Survey profile of all its files.
    pub survey: String,
    /// The files, in the order of their names.
    pub inputs: Vec<PlannedInput>,
}

/// A round to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedRound {
    /// Name of the delivery.
    pub delivery: String,
    /// The use case.
    pub use_case: UseCase,
    /// Recipe of the round.
    pub recipe: String,
    /// Its tasks, in their order.
    pub tasks: Vec<PlannedTask>,
    /// The reason for opening the round, for the history.
    pub why: String,
}

/// One task.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskKey {
    /// The round of the task.
    pub unit: UnitKey,
    /// 1, 2 … within the round.
    pub task: u32,
}

/// Identity of one start of a task.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptKey {
    /// The task.
    pub task: TaskKey,
    /// 1, 2 … of this task.
    pub attempt: u32,
}

impl AttemptKey {
    /// Returns the attempt that a result names.
    pub fn of(result: &TaskResult) -> Self {
        let task = TaskKey { unit: result.unit.clone(), task: result.task };
        Self { task, attempt: result.attempt }
    }
}

/// The state of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// Not done.
    Open,
    /// A result was accepted.
    Done,
    /// The task is not started again; its files are refused.
    GivenUp,
}

/// A task as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskRecord {
    /// The task.
    pub key: TaskKey,
    /// Survey profile of its files.
    pub survey: String,
    /// State of the task.
    pub state: TaskState,
    /// Number of files.
    pub inputs: u32,
    /// Number of starts.
    pub attempts: u32,
    /// Number of starts that ended without result.
    pub failures: u32,
    /// True when a start holds a lease now.
    pub running: bool,
}

/// The holder of an attempt, and the time until which no other process may sweep the attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Executor, e.g. `local`.
    pub executor: String,
    /// Process or job that holds it, e.g. `host/boot/pid/start`.
    pub holder: String,
    /// Time of expiry.
    pub until: Timestamp,
}

/// A started attempt: all contents of the task file that the archive knows.
#[derive(Clone, Debug, PartialEq)]
pub struct Started {
    /// The attempt.
    pub attempt: AttemptKey,
    /// The attempt's own directory, absolute; not created yet.
    pub directory: PathBuf,
    /// Survey profile of its files.
    pub survey: String,
    /// The files, in order.
    pub inputs: Vec<TaskInput>,
    /// Programmes of the archive.
    pub programmes: Vec<Programme>,
    /// For `catalogue`: directories of the finished `metadata` attempts that hold these multiframes.
    pub metadata: Vec<PathBuf>,
}

/// An attempt that holds or held a lease.
#[derive(Clone, Debug, PartialEq)]
pub struct RunningAttempt {
    /// The attempt.
    pub attempt: AttemptKey,
    /// Its directory, absolute.
    pub directory: PathBuf,
    /// Its lease.
    pub lease: Lease,
    /// Time of the start.
    pub started: Timestamp,
    /// The host and job that the attempt was sent to; `None` when it runs in the process that started it.
    pub place: Option<Place>,
}

impl RunningAttempt {
    /// Returns whether the attempt's process is known to have ended, or its lease has expired. A process is known on its own
    /// machine only; on other machines the lease decides.
    pub fn is_over(&self, now: Timestamp) -> bool {
        Process::parse(&self.lease.holder).is_some_and(|process| process.has_stopped())
            || self.lease.until < now
    }
}

/// The host and job of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The computer.
    pub host: String,
    /// The executor's name of the attempt; empty when it is not known.
    pub job: String,
    /// Memory limit in bytes.
    pub memory_bytes: u64,
}

/// The treatment of a submitted result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The result was accepted.
    Taken {
        /// Refusals met for the first time.
        new_refusals: u64,
        /// True when the round is staged now.
        staged: bool,
    },
    /// The same result was accepted before.
    Already,
    /// The result of another start was first; this attempt may be swept.
    Surplus,
}

/// The reason why an attempt ended without result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// The attempt reported or showed a failure.
    Failed,
    /// The attempt's lease expired or its process has ended.
    Lost,
}

/// A programme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programme {
    /// Identity.
    pub programme_id: ProgrammeId,
    /// Short name.
    pub name: String,
    /// PROJECT text that identifies the programme.
    pub project: String,
}

/// A staged round that waits to be ingested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedRound {
    /// The round.
    pub unit: UnitKey,
    /// The reason why the round cannot be ingested yet; `None` when it can.
    pub blocked: Option<String>,
}

/// A staged round with the results that were accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct StagedBatch {
    /// The round.
    pub unit: UnitKey,
    /// Tasks in their order.
    pub tasks: Vec<StagedTask>,
}

/// One task of a staged round.
#[derive(Clone, Debug, PartialEq)]
pub struct StagedTask {
    /// Number of the task.
    pub task: u32,
    /// Directory of the accepted attempt, absolute; `None` when the task was given up.
    pub directory: Option<PathBuf>,
    /// Result of the task; `None` when the task was given up.
    pub result: Option<TaskResult>,
    /// The files that the task covers, with their outcomes.
    pub inputs: Vec<StagedInput>,
    /// Names of its images, by multiframe.
    pub images: BTreeMap<i64, String>,
    /// True when the archive's own program ran the task on this machine, false when a node did.
    pub is_own: bool,
}

/// One file of a finished task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StagedInput {
    /// The image.
    pub multiframe_id: MultiframeId,
    /// Version of its catalogue that the task read.
    pub catalogue_version: Option<i32>,
    /// Outcome of the file.
    pub outcome: Outcome,
}

/// The number of detections of a programme in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowsOfProgramme {
    /// Programme.
    pub programme_id: ProgrammeId,
    /// Rows, at least 1.
    pub rows: u64,
}

/// Object ids reserved for a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// Programme of the ids.
    pub programme_id: ProgrammeId,
    /// First id.
    pub first_obj_id: i64,
    /// Number of ids.
    pub rows: u64,
}

/// The result of publishing a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Receipt {
    /// The batch is visible now.
    Published {
        /// The event.
        event: EventId,
        /// Rows per table, in the order of the definitions.
        rows: Vec<(String, u64)>,
        /// Number of multiframes that newer content superseded now.
        superseded: u64,
        /// Duration of the ingest.
        timing: Timing,
    },
    /// An earlier run had published the batch.
    AlreadyPublished,
}

/// Wall-clock seconds of an ingest.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timing {
    /// Loading rows invisibly, without building keys.
    pub load: f64,
    /// Building keys and CHECKs on a server; the sum over all connections.
    pub keys: f64,
    /// The transaction that published.
    pub publish: f64,
}

/// The retracted rounds that a purge deletes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PurgeScope<'a> {
    /// Every retracted round.
    All,
    /// The retracted rounds of a delivery.
    Delivery(&'a str),
    /// These rounds, as far as they are retracted.
    Rounds(&'a [UnitKey]),
}

/// The result of a purge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Rounds that can no longer be restored.
    pub rounds: Vec<UnitKey>,
    /// Number of deleted rows.
    pub rows: u64,
    /// Number of deleted files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The record of a purged round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgedRound {
    /// The use case.
    pub use_case: UseCase,
    /// The number of the round.
    pub round: u32,
    /// Time of the purge.
    pub purged: Timestamp,
    /// The operator, with the reason.
    pub cause: Cause,
}

/// The reason why a newer image, or a newer catalogue of an image, lacks a product that an older one keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// No catalogue belongs to the newer image.
    NoCatalogue,
    /// The product is not ingested yet.
    Pending,
    /// The product was refused.
    Refused,
    /// The product is parked.
    Parked,
    /// The round of the product failed.
    Failed,
    /// The product is retracted.
    Retracted,
    /// The product was refused in part: HDUs of the detectors that keep their older detections.
    HduRefused,
    /// The catalogue has no HDUs for the detectors that keep their older detections.
    HduAbsent,
}

impl Lack {
    /// Returns the name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoCatalogue => "no_catalogue",
            Self::Pending => "pending",
            Self::Refused => "refused",
            Self::Parked => "parked",
            Self::Failed => "failed",
            Self::Retracted => "retracted",
            Self::HduRefused => "hdu_refused",
            Self::HduAbsent => "hdu_absent",
        }
    }
}

/// A product of an older image that stays current because the newer image of its name lacks it, or detections that stay because
/// a newer catalogue of the same image lacks them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptProduct {
    /// Delivery of the older image.
    pub delivery: String,
    /// File of the older image.
    pub file: String,
    /// The older image.
    pub multiframe_id: i64,
    /// The product.
    pub use_case: UseCase,
    /// Delivery of the newer image.
    pub newer_delivery: String,
    /// The newer image; the same image when its own newer catalogue lacks the detections.
    pub newer_multiframe_id: i64,
    /// File of the newer image.
    pub newer_file: String,
    /// The detectors that keep detections.
    pub ext_nums: Vec<i64>,
    /// The reason why the newer image or catalogue lacks the product.
    pub why: Lack,
}

impl KeptProduct {
    /// Returns the name of the product for users.
    pub fn product(&self) -> &'static str {
        self.use_case.product().noun
    }

    /// Returns whether the newer catalogue of the same image lacks the detections.
    pub fn is_of_own_catalogue(&self) -> bool {
        self.newer_multiframe_id == self.multiframe_id
    }

    /// Returns whether other detectors of the image may have newer detections.
    pub fn is_of_detectors(&self) -> bool {
        self.is_of_own_catalogue() || matches!(self.why, Lack::HduRefused | Lack::HduAbsent)
    }

    /// Returns the name of the product, with the detectors where other detectors of the image have newer detections.
    pub fn part(&self) -> String {
        match self.is_of_detectors() {
            true => format!("{} of ext_num {}", self.product(), self.detectors()),
            false => self.product().to_owned(),
        }
    }

    /// Returns the extension numbers of the detectors that keep detections, as a list.
    pub fn detectors(&self) -> String {
        let numbers: Vec<String> = self.ext_nums.iter().map(ToString::to_string).collect();
        numbers.join(", ")
    }

    /// Returns the reason why the newer image or catalogue lacks the product, as a clause.
    pub fn reason(&self) -> String {
        let product = self.use_case;
        let newer = &self.newer_delivery;
        let lacking = match self.is_of_own_catalogue() {
            true => format!("the newer {product} of the image"),
            false => format!("the {product} of the frame in {newer}"),
        };
        match self.why {
            Lack::NoCatalogue => format!("no catalogue in {newer} belongs to the image"),
            Lack::Pending => format!("{lacking} is not ingested yet"),
            Lack::Refused => format!("{lacking} was refused"),
            Lack::Parked => format!("{lacking} is parked"),
            Lack::Failed => format!("the {product} round of {newer} failed"),
            Lack::Retracted => format!("{lacking} is retracted"),
            Lack::HduRefused => {
                format!(
                    "{lacking} has no accepted detections of ext_num {}: HDU refused",
                    self.detectors()
                )
            }
            Lack::HduAbsent => format!("{lacking} has no HDU for ext_num {}", self.detectors()),
        }
    }
}

impl std::fmt::Display for KeptProduct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kept, why) = (self.part(), self.reason());
        match self.is_of_own_catalogue() {
            true => write!(f, "{} shows older {kept}: {why}", self.file),
            false => write!(f, "{} shows the {kept} of {}: {why}", self.file, self.delivery),
        }
    }
}

/// The result of a decision to end kept products, or of its undo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetAside {
    /// Its event.
    pub event: Option<EventId>,
    /// The products that it ended, or that show again.
    pub products: Vec<KeptProduct>,
}

/// The result of a retraction or of its undo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retracted {
    /// Its event.
    pub event: Option<EventId>,
    /// Rounds that were retracted or restored.
    pub rounds: Vec<UnitKey>,
    /// Rows per table.
    pub rows: Vec<(String, u64)>,
    /// Multiframes of earlier processings that show again.
    pub shown_again: Vec<i64>,
}
