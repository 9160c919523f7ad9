//! Contents of `status`: values for `--json`. The queries are in [`reports`]. The report of findings is in [`drift`].

pub(crate) mod drift;
pub(crate) mod reports;

use crate::Timestamp;
use crate::deliveries::DeliveryState;
use model::advice::Target;
use model::{
    DeliveryName, HostName, Night, ObjectId, ProgrammeId, ProgrammeName, RoundNumber, UnitState,
};
use serde::{Serialize, Serializer};
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
    pub delivery_states: BTreeMap<DeliveryState, u64>,
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
    /// Time of the instruction.
    #[serde(serialize_with = "crate::time::serialize")]
    pub since: Timestamp,
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
    pub deliveries: Vec<DeliveryName>,
    /// Only of these nights.
    pub nights: Vec<Night>,
    /// Only in this state.
    pub state: Option<DeliveryState>,
    /// Maximum number of deliveries: unfinished ones first, then the latest.
    pub at_most: Option<u32>,
}

/// The throughput of recent tasks of a use case on a host.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rate {
    /// Use case.
    pub use_case: String,
    /// Host.
    pub host: HostName,
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
    pub name: DeliveryName,
    /// Observing night.
    pub night: Option<Night>,
    /// State of the delivery.
    pub state: DeliveryState,
    /// Description of what is known to be still outstanding; `None` when nothing is.
    pub awaited: Option<String>,
    /// Time of the latest arrival.
    #[serde(serialize_with = "crate::time::serialize")]
    pub last_arrival: Timestamp,
    /// Current images.
    pub images: u64,
    /// HDUs with pixels of the current images.
    pub detectors: u64,
    /// Current catalogues: files, and those in image files.
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
    /// Number of the round.
    pub round: RoundNumber,
    /// State of the round.
    pub state: UnitState,
    /// Total number of tasks.
    pub tasks: u32,
    /// Number of tasks done or given up.
    pub tasks_over: u32,
    /// The reason of the last change of state.
    pub why: String,
    /// Time of the last change of state.
    #[serde(serialize_with = "crate::time::serialize")]
    pub since: Timestamp,
    /// The instruction that prevents new starts of the round; `None` when there is none.
    pub paused: Option<String>,
}

/// One programme.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProgrammeStatus {
    /// Identity.
    pub programme_id: ProgrammeId,
    /// Short name.
    pub name: ProgrammeName,
    /// Detections that the archive shows.
    pub detections: u64,
    /// Last object id that was reserved; `None` when none was, which is 0 in JSON.
    #[serde(serialize_with = "or_zero")]
    pub last_obj_id: Option<ObjectId>,
}

/// Writes an object id, and 0 for none.
fn or_zero<S: Serializer>(id: &Option<ObjectId>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_i64(id.map_or(0, ObjectId::get))
}
