//! Units of work: one use case on one delivery, processed in rounds.

use crate::{DeliveryName, RoundNumber, UseCase};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One round of one use case on one delivery.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnitKey {
    /// Name of the delivery, e.g. `20071011_v1`.
    pub delivery: DeliveryName,
    /// The use case.
    pub use_case: UseCase,
    /// Number of the round.
    pub round: RoundNumber,
}

impl UnitKey {
    /// Returns the directory of the unit's round below `staging/`.
    pub fn directory(&self) -> String {
        format!("{}.{}/{}", self.delivery, self.use_case, self.round)
    }
}

impl fmt::Display for UnitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} round {}", self.delivery, self.use_case, self.round)
    }
}

/// The state of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnitState {
    /// A prerequisite is missing.
    Waiting,
    /// Can be planned.
    Ready,
    /// In a plan that is not yet decided.
    Proposed,
    /// Decided: may start.
    Approved,
    /// Tasks have been started.
    Running,
    /// All tasks done; the batch can be ingested.
    Staged,
    /// Visible in the archive.
    Ingested,
    /// Abandoned, with a reason.
    Failed,
    /// Removed from the archive again.
    Retracted,
}

impl UnitState {
    /// All states, in the order of a round's life.
    pub const ALL: [Self; 9] = [
        Self::Waiting,
        Self::Ready,
        Self::Proposed,
        Self::Approved,
        Self::Running,
        Self::Staged,
        Self::Ingested,
        Self::Failed,
        Self::Retracted,
    ];

    /// Returns the name in tables and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ready => "ready",
            Self::Proposed => "proposed",
            Self::Approved => "approved",
            Self::Running => "running",
            Self::Staged => "staged",
            Self::Ingested => "ingested",
            Self::Failed => "failed",
            Self::Retracted => "retracted",
        }
    }

    /// Returns true when a round may change from this state to `next`.
    pub fn may_become(self, next: Self) -> bool {
        use UnitState::*;
        matches!(
            (self, next),
            (Waiting, Ready)
                | (Ready, Proposed | Approved | Waiting)
                | (Proposed, Approved | Ready)
                | (Approved, Running | Ready)
                | (Running, Staged | Ready | Failed)
                | (Staged, Ingested | Failed)
                | (Failed, Ready)
                | (Ingested, Retracted)
                | (Retracted, Ingested)
        )
    }
}

impl fmt::Display for UnitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for UnitState {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|s| s.name() == name)
            .ok_or_else(|| format!("{name:?} is not a state of a unit"))
    }
}
