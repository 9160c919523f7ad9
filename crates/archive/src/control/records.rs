//! What the control store takes and gives: plain values, no handles.

use super::lease::Process;
use chrono::{DateTime, Utc};
use model::task::{TaskInput, TaskResult};
use model::{EventId, MultiframeId, ProgrammeId, Refusal, UnitKey, UnitState, UseCase};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Time as the archive keeps it: UTC.
pub type Timestamp = DateTime<Utc>;

/// What a file is, decided by its content.
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
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Catalogue => "catalogue",
            Self::Other => "other",
        }
    }
}

/// What looking into a file told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// What it is.
    pub kind: FileKind,
    /// Format in a word: `fits`, `fits.gz`, `text` ….
    pub format: String,
    /// Name of the survey profile that fits, for images and catalogues.
    pub survey: Option<String>,
    /// HDUs with pixels (image) or rows (catalogue).
    pub hdus: u32,
    /// Rows of a catalogue, all HDUs.
    pub rows: u64,
}

/// A file that stands verified in the library.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// Name within the delivery.
    pub name: String,
    /// Where it is, below `library/`; absolute when the file is kept in place.
    pub path: String,
    /// Modification time at the source, nanoseconds since 1970.
    pub modified_ns: i64,
    /// Length.
    pub bytes: u64,
    /// SHA-256 of the content, lower-case hexadecimal.
    pub sha256: String,
    /// What looking into it told.
    pub content: Content,
    /// When its transfer ended.
    pub arrived: Timestamp,
    /// How long that took.
    pub transfer_seconds: f64,
    /// How it went.
    pub journey: Journey,
}

/// How the transfer of a file went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journey {
    /// Times that it was read from its beginning.
    pub tries: u32,
    /// Bytes that an earlier try had brought.
    pub resumed_bytes: u64,
    /// What vouches for it: `sha256`, `md5`, `datasum` or `second_look`.
    pub proof: &'static str,
}

impl Default for Journey {
    /// Read once, and looked at twice.
    fn default() -> Self {
        Self { tries: 1, resumed_bytes: 0, proof: "second_look" }
    }
}

/// A file that could not be brought for a reason that may pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postponed {
    /// Name within the delivery.
    pub name: String,
    /// What stood in the way.
    pub why: String,
}

/// An entry that a source shows and that was not fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedEntry {
    /// The name as the source shows it, escaped where needed.
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
    /// The configuration names the origin as a source.
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
    /// No file of the delivery is registered yet: its first fetch is under way or was interrupted.
    pub is_reserved: bool,
}

/// Claim of an origin on the name of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim<'a> {
    /// The delivery is the origin's own.
    Own,
    /// The origin is known to have the delivery, under another spelling of its name or address.
    Known,
    /// An operator declares the delivery the same as one of another origin.
    Join(&'a str),
}

/// What is known of a delivery as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFacts {
    /// Name, e.g. `20071011_v1`; one plain path component.
    pub name: String,
    /// Observing night as yyyymmdd, when the name tells it.
    pub night: Option<i32>,
    /// Version of the pipeline, when the name tells it.
    pub version: Option<String>,
    /// Where it came from.
    pub source: String,
    /// Name of the marker file that was seen.
    pub marker: Option<String>,
    /// Name of the provider's manifest that was used.
    pub manifest: Option<String>,
    /// Count of files that marker or manifest announced.
    pub expected_files: Option<u64>,
    /// Whether everything announced is there (marker, manifest, count or quiet time).
    pub all_there: bool,
    /// What is known to be still to come; catalogues without image are no news until then.
    pub awaited: Option<String>,
    /// The fetch is not over: the facts are those of one group of its files.
    pub is_under_way: bool,
    /// The operator declares that more is to come, whatever was declared before.
    pub is_reopened: bool,
}

/// A current file that may have a partner.
#[derive(Clone, Copy, Debug)]
pub struct Partner<'a> {
    /// Image or catalogue.
    pub kind: FileKind,
    /// Name within the delivery.
    pub name: &'a str,
    /// Its survey profile, when it tells one.
    pub survey: Option<&'a str>,
}

/// What an image and its catalogue have in common, most telling first: a catalogue belongs to the first image (by
/// name) that has the catalogue's first key among its own, else to one that has its second, and so on.
pub type PairingRule<'a> = dyn Fn(Partner<'_>) -> Vec<String> + 'a;

/// One content that came under a file's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownFile {
    /// Name within the delivery.
    pub name: String,
    /// Length.
    pub bytes: u64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
    /// Where it is, below `library/` (or absolute).
    pub path: String,
    /// Modification time at the source, nanoseconds since 1970.
    pub modified_ns: i64,
    /// A refusal of it on arrival is to be tried again: it must be looked at although it did not change.
    pub look_again: bool,
}

/// A file of the library, as the archive knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Internal number.
    pub file_id: i64,
    /// Its delivery.
    pub delivery: String,
    /// Name within that.
    pub name: String,
    /// Where it is, below `library/` (or absolute).
    pub path: String,
    /// Length.
    pub bytes: u64,
    /// Modification time at the source, nanoseconds since 1970.
    pub modified_ns: i64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
    /// No newer content of the name replaced it.
    pub is_current: bool,
    /// What the last look at its bytes found, if there was one.
    pub soundness: Option<Soundness>,
}

/// What a look at the bytes of a library file finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Soundness {
    /// They fit its checksum.
    Sound,
    /// They do not.
    Rotten,
    /// It is not there.
    Lost,
    /// It cannot be read.
    Unreadable,
}

impl Soundness {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Rotten => "rotten",
            Self::Lost => "lost",
            Self::Unreadable => "unreadable",
        }
    }

    /// The one of a name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Sound, Self::Rotten, Self::Lost, Self::Unreadable]
            .into_iter()
            .find(|s| s.name() == name)
    }
}

/// What one act of registration records.
pub struct Registration<'a> {
    /// The delivery.
    pub delivery: DeliveryFacts,
    /// Files of the library, new or known, that were looked at.
    pub arrivals: &'a [Arrival],
    /// Names of files that stand in the delivery as they did before, and were not looked at.
    pub unchanged: &'a [String],
    /// Names that the source shows now, sorted; `None` while files are being brought.
    pub present: Option<&'a [String]>,
    /// Of the unchanged ones, files whose date at the source is another one than before, with that date in nanoseconds since 1970: they
    /// are not to be read for it again.
    pub touched: &'a [(String, i64)],
    /// What was not accepted.
    pub refusals: &'a [StagedRefusal],
    /// What could not be brought this time.
    pub postponed: &'a [Postponed],
    /// Entries that the source shows and that were not fetched.
    pub skipped: &'a [SkippedEntry],
    /// What was noticed.
    pub findings: &'a [model::Finding],
    /// How catalogues find their images.
    pub pairing: &'a PairingRule<'a>,
}

/// What registration did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Images that got an id now.
    pub images: u64,
    /// Catalogue files recorded now.
    pub catalogues: u64,
    /// Other files recorded now.
    pub others: u64,
    /// Files that were known before, with the same content.
    pub known: u64,
    /// Files whose earlier content is superseded now.
    pub superseded: u64,
    /// Refusals met for the first time.
    pub new_refusals: u64,
    /// Refusals that newer content or a late image resolved.
    pub resolved_refusals: u64,
}

/// Where in the pipeline something was refused or noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// While copying into the library.
    Transfer,
    /// While looking what it is.
    Register,
    /// In a task of a use case.
    Task(UseCase),
    /// While making it visible.
    Ingest,
}

impl Stage {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transfer => "transfer",
            Self::Register => "register",
            Self::Task(use_case) => use_case.name(),
            Self::Ingest => "ingest",
        }
    }

    /// The stage of a name.
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
    /// Where in the pipeline.
    pub stage: Stage,
    /// The refusal.
    pub refusal: Refusal,
}

/// Where a refusal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusalState {
    /// Nobody has dealt with it.
    Open,
    /// It stays out, and that is right so.
    Accepted,
    /// It was no trouble.
    Dismissed,
    /// To be done again.
    Retried,
    /// Newer content, a late file or a later round took its cause away.
    Resolved,
}

impl RefusalState {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Dismissed => "dismissed",
            Self::Retried => "retried",
            Self::Resolved => "resolved",
        }
    }

    /// The state of a name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Open, Self::Accepted, Self::Dismissed, Self::Retried, Self::Resolved]
            .into_iter()
            .find(|s| s.name() == name)
    }
}

/// Codes of refusals on arrival that an operator can overrule: the data can be read, and nobody but people can know
/// whether they are right.
pub const TAKEABLE: [&str; 1] = ["datasum_mismatch"];

/// What an operator decides on a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It stays out, and that is right so.
    Accept,
    /// It is let in all the same, marked by a finding; see [`TAKEABLE`].
    Take,
    /// It was no trouble.
    Dismiss,
    /// Do it again in the next round.
    Retry,
}

/// One refusal as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusalRecord {
    /// Number shown to operators.
    pub refusal_id: i64,
    /// In which delivery.
    pub delivery: String,
    /// Where in the pipeline.
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
    /// Where it stands.
    pub state: RefusalState,
    /// It was accepted, and what was refused is used all the same.
    pub taken: bool,
    /// How often it was met.
    pub seen_times: u64,
    /// When first.
    pub first_seen: Timestamp,
    /// When last.
    pub last_seen: Timestamp,
    /// Decisions, oldest first: state, when, who, why.
    pub history: Vec<RefusalChange>,
}

/// One decision on a refusal.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusalChange {
    /// State after it.
    pub state: RefusalState,
    /// When.
    pub changed: Timestamp,
    /// Who, and why.
    pub cause: Cause,
}

/// Which refusals are asked for; empty = all.
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

/// Bytes of each part of a cause that are kept.
const CAUSE_BYTES: usize = 4000;

/// Who or what did something, and why: stands in every history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Person or part of the program.
    pub who: String,
    /// The reason, in a few words.
    pub why: String,
}

impl Cause {
    /// A cause in short. Both are shown, and kept by engines that refuse some characters: they are escaped.
    pub fn new(who: impl Into<String>, why: impl Into<String>) -> Self {
        let text = |text: String| model::shown_briefly(&text, CAUSE_BYTES);
        Self { who: text(who.into()), why: text(why.into()) }
    }
}

/// What became of one file in a task.
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
    /// The name in tables.
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

/// How far a use case is with one image: the latest round that covers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Round.
    pub round: u32,
    /// Where the round stands.
    pub state: UnitState,
    /// Recipe that the round works by.
    pub recipe: String,
    /// Catalogue version that the round reads.
    pub catalogue_version: Option<i32>,
    /// What became of the file; `None` while its task is not done.
    pub outcome: Option<Outcome>,
    /// What its task made is still in staging.
    pub is_staged: bool,
}

/// One use case on one image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Latest round that covers it.
    pub coverage: Option<Coverage>,
    /// Why it is to be done again, when it is.
    pub redo: Option<String>,
}

/// A catalogue of a current image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueWork {
    /// 1, 2 … of its image.
    pub version: i32,
    /// Name within the delivery.
    pub name: String,
    /// Length.
    pub bytes: u64,
    /// Rows, all HDUs.
    pub rows: u64,
}

/// A current image of a delivery, with all that decides what is to be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageWork {
    /// Its identity.
    pub multiframe_id: MultiframeId,
    /// Name within the delivery.
    pub name: String,
    /// Length.
    pub bytes: u64,
    /// Name of the survey profile.
    pub survey: String,
    /// HDUs with pixels.
    pub hdus: u32,
    /// Its programme, once its metadata are ingested.
    pub programme: Option<i32>,
    /// Latest current version of its catalogue.
    pub catalogue: Option<CatalogueWork>,
    /// How far previews are.
    pub preview: Progress,
    /// How far metadata are.
    pub metadata: Progress,
    /// How far detections are.
    pub catalogue_progress: Progress,
}

impl ImageWork {
    /// Returns the catalogue that a catalogue round is due to read, although rounds have covered the image before.
    ///
    /// Images without metadata, whose metadata failed or are retracted, and images whose detections failed or are retracted have
    /// none: nothing takes up their catalogues without a decision.
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

    /// Returns true when a round that covers the image is under way, so that a newer one follows it.
    pub fn is_in_hand(&self) -> bool {
        let is_over = |s: UnitState| {
            matches!(s, UnitState::Ingested | UnitState::Failed | UnitState::Retracted)
        };
        let of = [&self.metadata, &self.catalogue_progress];
        of.iter().any(|progress| progress.coverage.as_ref().is_some_and(|c| !is_over(c.state)))
    }

    /// How far a use case is.
    pub fn progress(&self, use_case: UseCase) -> &Progress {
        match use_case {
            UseCase::Preview => &self.preview,
            UseCase::Metadata => &self.metadata,
            UseCase::Catalogue => &self.catalogue_progress,
        }
    }
}

/// A round with its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundWork {
    /// Which.
    pub unit: UnitKey,
    /// Where it stands.
    pub state: UnitState,
    /// Recipe that it works by.
    pub recipe: String,
    /// Tasks in all.
    pub tasks: u32,
    /// Tasks done or given up.
    pub tasks_over: u32,
}

/// All that decides what is to be done about a delivery.
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
    /// When the latest file came, while more is known to be still to come.
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
    /// What is to be done.
    pub use_case: UseCase,
    /// Recipe that it works by.
    pub recipe: String,
    /// Its tasks, in their order.
    pub tasks: Vec<PlannedTask>,
    /// Why the round is opened, for the history.
    pub why: String,
}

/// One task.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskKey {
    /// Whose part.
    pub unit: UnitKey,
    /// 1, 2 … within the round.
    pub task: u32,
}

/// One start of a task.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptKey {
    /// Of which task.
    pub task: TaskKey,
    /// 1, 2 … of this task.
    pub attempt: u32,
}

impl AttemptKey {
    /// The attempt that a result says it is of.
    pub fn of(result: &TaskResult) -> Self {
        let task = TaskKey { unit: result.unit.clone(), task: result.task };
        Self { task, attempt: result.attempt }
    }
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// Not done.
    Open,
    /// A result was taken.
    Done,
    /// No further start; its files are refused.
    GivenUp,
}

/// One task as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskRecord {
    /// Which.
    pub key: TaskKey,
    /// Survey profile of its files.
    pub survey: String,
    /// Where it stands.
    pub state: TaskState,
    /// Files in it.
    pub inputs: u32,
    /// Starts so far.
    pub attempts: u32,
    /// Starts that ended without result.
    pub failures: u32,
    /// Whether a start holds a lease now.
    pub running: bool,
}

/// Who starts an attempt, and for how long nobody else may sweep it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Executor, e.g. `local`.
    pub executor: String,
    /// Process or job that holds it, e.g. `host/boot/pid/start`.
    pub holder: String,
    /// Until when.
    pub until: Timestamp,
}

/// A started attempt: everything of the task file that the archive knows.
#[derive(Clone, Debug, PartialEq)]
pub struct Started {
    /// Which start.
    pub attempt: AttemptKey,
    /// Its own directory, absolute; not made yet.
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
    /// Which.
    pub attempt: AttemptKey,
    /// Its directory, absolute.
    pub directory: PathBuf,
    /// Its lease.
    pub lease: Lease,
    /// When it started.
    pub started: Timestamp,
    /// Where it was sent; `None` when it runs in the process that started it.
    pub place: Option<Place>,
}

impl RunningAttempt {
    /// Returns whether its process is known to have ended, or its lease has expired. Only its own machine knows of a process; for
    /// the others the lease decides.
    pub fn is_over(&self, now: Timestamp) -> bool {
        Process::parse(&self.lease.holder).is_some_and(|process| process.is_gone())
            || self.lease.until < now
    }
}

/// Where an attempt was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The computer.
    pub host: String,
    /// What the executor calls it; empty when that is not known.
    pub job: String,
    /// Memory that it may use, in bytes.
    pub memory_bytes: u64,
}

/// What became of a handed-in result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It counts.
    Taken {
        /// Refusals met for the first time.
        new_refusals: u64,
        /// Whether the round is staged now.
        staged: bool,
    },
    /// This very result was taken before.
    Already,
    /// Another start's result was first; this one may be swept.
    Surplus,
}

/// Why an attempt is over without result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// It reported or showed a failure.
    Failed,
    /// Its lease ended or its process is gone.
    Lost,
}

/// A programme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programme {
    /// Identity.
    pub programme_id: ProgrammeId,
    /// Short name.
    pub name: String,
    /// PROJECT text that it is known by.
    pub project: String,
}

/// A staged round that waits to be ingested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedRound {
    /// The round.
    pub unit: UnitKey,
    /// Why it cannot be ingested yet, if so.
    pub blocked: Option<String>,
}

/// A staged round with the results that were taken.
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
    /// Directory of the attempt that was taken, absolute; `None` when the task was given up.
    pub directory: Option<PathBuf>,
    /// Its result, when it was not given up.
    pub result: Option<TaskResult>,
    /// What it covers, and what became of each.
    pub inputs: Vec<StagedInput>,
    /// Names of its images, by multiframe.
    pub images: BTreeMap<i64, String>,
    /// It was done by the archive's own program on this machine, not by a node.
    pub is_own: bool,
}

/// One file of a task that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StagedInput {
    /// The image.
    pub multiframe_id: MultiframeId,
    /// Version of its catalogue that the task read.
    pub catalogue_version: Option<i32>,
    /// What became of it.
    pub outcome: Outcome,
}

/// How many detections a batch has for a programme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowsOfProgramme {
    /// Programme.
    pub programme_id: ProgrammeId,
    /// Rows, at least 1.
    pub rows: u64,
}

/// Object ids given to a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// Whose ids.
    pub programme_id: ProgrammeId,
    /// First one.
    pub first_obj_id: i64,
    /// How many.
    pub rows: u64,
}

/// What publishing a batch did.
#[derive(Clone, Debug, PartialEq)]
pub enum Receipt {
    /// It is visible now.
    Published {
        /// The event.
        event: EventId,
        /// Rows per table, in the order of the definitions.
        rows: Vec<(String, u64)>,
        /// Multiframes that newer content superseded now.
        superseded: u64,
        /// What it took.
        timing: Timing,
    },
    /// An earlier run had done it.
    AlreadyPublished,
}

/// Wall-clock seconds of an ingest.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timing {
    /// Loading rows unseen, keys not counted.
    pub load: f64,
    /// Building keys and CHECKs on a server; the sum over all connections.
    pub keys: f64,
    /// The transaction that published.
    pub publish: f64,
}

/// What a purge did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Rounds that cannot come back any more.
    pub rounds: Vec<UnitKey>,
    /// Rows deleted.
    pub rows: u64,
    /// Files removed.
    pub files: u64,
}

/// Why a newer image, or a newer catalogue of an image, lacks a product that an older one keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// No catalogue belongs to it.
    NoCatalogue,
    /// It is not ingested yet.
    Pending,
    /// It was refused.
    Refused,
    /// It is parked.
    Parked,
    /// Its round failed.
    Failed,
    /// It is retracted.
    Retracted,
    /// It was refused in part: HDUs of the detectors that keep their older detections.
    HduRefused,
    /// It has no HDUs for the detectors that keep their older detections.
    HduAbsent,
}

impl Lack {
    /// The name in reports.
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
    /// Which product.
    pub use_case: UseCase,
    /// Delivery of the newer image.
    pub newer_delivery: String,
    /// The newer image; the same image where its own newer catalogue lacks them.
    pub newer_multiframe_id: i64,
    /// File of the newer image.
    pub newer_file: String,
    /// Of detections, the detectors that keep them.
    pub ext_nums: Vec<i64>,
    /// Why the newer one lacks the product.
    pub why: Lack,
}

impl KeptProduct {
    /// Returns the name of the product for people.
    pub fn product(&self) -> &'static str {
        match self.use_case {
            UseCase::Preview => "preview",
            UseCase::Metadata | UseCase::Catalogue => "detections",
        }
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
        let product = match self.use_case {
            UseCase::Preview => "preview",
            UseCase::Metadata | UseCase::Catalogue => "catalogue",
        };
        let newer = &self.newer_delivery;
        let its = match self.is_of_own_catalogue() {
            true => format!("its newer {product}"),
            false => format!("its {product} of {newer}"),
        };
        match self.why {
            Lack::NoCatalogue => format!("no catalogue in {newer} belongs to it"),
            Lack::Pending => format!("{its} is not ingested yet"),
            Lack::Refused => format!("{its} was refused"),
            Lack::Parked => format!("{its} is parked"),
            Lack::Failed => format!("the {product} round of {newer} failed"),
            Lack::Retracted => format!("{its} is retracted"),
            Lack::HduRefused => {
                format!(
                    "{its} has no accepted detections of ext_num {}: HDU refused",
                    self.detectors()
                )
            }
            Lack::HduAbsent => format!("{its} has no HDU for ext_num {}", self.detectors()),
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

/// What a decision to end kept products, or its undo, changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetAside {
    /// Its event.
    pub event: Option<EventId>,
    /// The products that it ended, or that show again.
    pub products: Vec<KeptProduct>,
}

/// What a retraction or its undo did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retracted {
    /// Its event.
    pub event: Option<EventId>,
    /// Rounds that it took out or brought back.
    pub rounds: Vec<UnitKey>,
    /// Rows per table.
    pub rows: Vec<(String, u64)>,
    /// Multiframes of earlier processings that show again.
    pub shown_again: Vec<i64>,
}
