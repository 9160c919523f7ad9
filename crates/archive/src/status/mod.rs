//! Contents of `status` and of the lists of refusals and findings: values for `--json`, and refusals in words.

pub(crate) mod reports;

use model::advice::Target;
use model::{Advice, Refusal, RefusalCode, RowRange};
use serde::Serialize;
use std::collections::BTreeMap;

/// All contents of `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Deliveries in the order of their registration.
    pub deliveries: Vec<DeliveryStatus>,
    /// Detections per programme.
    pub programmes: Vec<ProgrammeStatus>,
    /// Number of the latest event; 0 when there is none.
    pub events: i64,
    /// Attempts that run now.
    pub running_attempts: u64,
    /// Refusals that wait for a decision, without the parked ones.
    pub open_refusals: u64,
    /// Refusals that wait for a file or a programme.
    pub parked_refusals: u64,
    /// Files of the library that the last check found rotten or lost.
    pub unsound_files: u64,
    /// Kinds of findings, of all deliveries.
    pub findings: u64,
    /// Products of older frames that stay current because the newer frames of their names lack them.
    pub kept_products: u64,
    /// Number of deliveries in each state, whether or not they are listed.
    pub delivery_states: BTreeMap<String, u64>,
    /// Rounds that are not ingested, failed or retracted, of all deliveries.
    pub open_rounds: u64,
    /// Pauses and drains in force, oldest first.
    pub paused: Vec<PauseStatus>,
}

/// A pause, a hold, a rejection or a drain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PauseStatus {
    /// The paused subject, e.g. `night 20071011`.
    pub subject: String,
    /// `pause`, `reject` or `drain`.
    pub act: String,
    /// Time of the instruction, RFC 3339 UTC.
    pub since: String,
    /// The person who gave the instruction.
    pub who: String,
    /// The reason.
    pub why: String,
    /// The subject as commands name it.
    #[serde(skip)]
    pub target: Target,
}

/// The selection of deliveries that a status lists; all when empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusFilter {
    /// Only these.
    pub deliveries: Vec<String>,
    /// Only of these nights.
    pub nights: Vec<i32>,
    /// Only in this state.
    pub state: Option<String>,
    /// Maximum number of deliveries: unfinished ones first, then the latest.
    pub at_most: Option<u32>,
}

/// The throughput of recent tasks of a use case on a host.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rate {
    /// Use case.
    pub use_case: String,
    /// Host.
    pub host: String,
    /// Number of tasks.
    pub tasks: u64,
    /// Bytes that the tasks read.
    pub input_bytes: u64,
    /// Rows that the tasks wrote, in all tables.
    pub rows: u64,
    /// Wall-clock seconds, summed over the tasks.
    pub seconds: f64,
}

/// One delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DeliveryStatus {
    /// Name.
    pub name: String,
    /// Observing night, yyyymmdd.
    pub night: Option<i32>,
    /// `arriving`, `registered` or `complete`.
    pub state: String,
    /// Description of what is known to be still outstanding; `None` when nothing is.
    pub awaited: Option<String>,
    /// Time of the latest arrival, ISO 8601 UTC.
    pub last_arrival: String,
    /// Current images.
    pub images: u64,
    /// HDUs with pixels of the current images.
    pub detectors: u64,
    /// Current catalogue files.
    pub catalogues: u64,
    /// Current files that are neither image nor catalogue.
    pub others: u64,
    /// Contents that newer ones replaced.
    pub superseded: u64,
    /// Bytes of the current files.
    pub bytes: u64,
    /// Multiframes that the archive shows.
    pub multiframes: u64,
    /// Detections that the archive shows.
    pub detections: u64,
    /// Previews that the archive shows.
    pub previews: u64,
    /// Refusals that wait for a decision, without the parked ones.
    pub open_refusals: u64,
    /// Refusals that wait for a file or a programme.
    pub parked_refusals: u64,
    /// Kinds of findings: number of lines in the delivery's drift report.
    pub findings: u64,
    /// Entries that the delivery's source showed at the last listing and that were not fetched.
    pub skipped: u64,
    /// Rounds, oldest first.
    pub rounds: Vec<RoundStatus>,
}

/// One round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoundStatus {
    /// `preview`, `metadata` or `catalogue`.
    pub use_case: String,
    /// 1, 2 ….
    pub round: u32,
    /// State of the round.
    pub state: String,
    /// Total number of tasks.
    pub tasks: u32,
    /// Number of tasks done or given up.
    pub tasks_over: u32,
    /// The reason of the last change of state.
    pub why: String,
    /// Time of the last change of state, ISO 8601 UTC.
    pub since: String,
    /// The instruction that prevents new starts of the round; `None` when there is none.
    pub paused: Option<String>,
}

/// One programme.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProgrammeStatus {
    /// Identity.
    pub programme_id: i32,
    /// Short name.
    pub name: String,
    /// Detections that the archive shows.
    pub detections: u64,
    /// Last object id that was reserved.
    pub last_obj_id: i64,
}

/// One line of the drift report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// Delivery.
    pub delivery: String,
    /// Stage of the pipeline.
    pub stage: String,
    /// Kind.
    pub code: String,
    /// Keyword or column; empty when there is none.
    pub subject: String,
    /// Number of files with the finding.
    pub files: u64,
    /// Total number of occurrences.
    pub occurrences: u64,
    /// Name of one of the files.
    pub example_file: String,
    /// Extension number of the HDU in that file, primary = 1.
    pub example_ext_num: Option<u32>,
    /// Message of one sentence.
    pub message: String,
}

impl Drift {
    /// Returns the command that ends the condition that the finding reports, if there is one.
    pub fn advice(&self) -> Option<Advice> {
        let delivery = self.delivery.clone();
        let is_kept = matches!(self.code.as_str(), OLDER_DETECTIONS_KEPT | OLDER_PREVIEW_KEPT);
        is_kept.then_some(Advice::Supersede { delivery })
    }
}

/// Code of detections of an older image that stay current.
pub(crate) const OLDER_DETECTIONS_KEPT: &str = RefusalCode::OLDER_DETECTIONS_KEPT.as_str();
/// Code of a preview of an older image that stays current.
pub(crate) const OLDER_PREVIEW_KEPT: &str = RefusalCode::OLDER_PREVIEW_KEPT.as_str();

/// Returns the message of a refusal, with keyword, column and rows if the message does not name them itself.
pub fn in_full(refusal: &Refusal) -> String {
    const RANGES_SHOWN: usize = 3;
    let mut more = Vec::new();
    for (what, name) in [("keyword", &refusal.keyword), ("column", &refusal.column)] {
        let name = name.as_deref().filter(|n| !n.starts_with('#') && !refusal.message.contains(n));
        more.extend(name.map(|name| format!("{what} {name}")));
    }
    if refusal.rows > 0 {
        more.push(format!("{} refused", rows_in_words(refusal, RANGES_SHOWN)));
    }
    if more.is_empty() {
        return refusal.message.clone();
    }
    format!("{} ({})", refusal.message, more.join("; "))
}

/// Returns the number of rows in words, and at most `most` of the ranges that were listed.
pub fn rows_in_words(refusal: &Refusal, most: usize) -> String {
    let in_words = |range: &RowRange| match range.first == range.last {
        true => range.first.to_string(),
        false => format!("{}-{}", range.first, range.last),
    };
    let mut which: Vec<String> = refusal.row_ranges.iter().take(most).map(in_words).collect();
    if refusal.row_ranges.len() > most {
        which.push("…".to_owned());
    }
    let plural = if refusal.rows == 1 { "row" } else { "rows" };
    let which = if which.is_empty() { String::new() } else { format!(" ({})", which.join(", ")) };
    format!("{} {plural}{which}", refusal.rows)
}

/// Returns file and HDU of a refusal, the HDU by its extension number (primary = 1); empty for a whole round.
pub fn place_in_words(refusal: &Refusal) -> String {
    match refusal.hdu {
        Some(hdu) => format!("{} ext_num {}", refusal.file, model::ext_num_of(hdu)),
        None => refusal.file.clone(),
    }
}
