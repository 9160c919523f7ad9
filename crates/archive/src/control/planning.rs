//! What planning takes and gives: instructions of operators, proposals, and where attempts were sent.

use super::records::{Cause, TaskKey, Timestamp};
use model::advice::Target;
use model::{UnitKey, UnitState, UseCase};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;

/// What an instruction is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Subject {
    /// Everything.
    All,
    /// A computer.
    Host(String),
    /// A use case of every delivery.
    UseCase(UseCase),
    /// An observing night, yyyymmdd.
    Night(i32),
    /// A delivery.
    Delivery(String),
    /// A use case of a delivery.
    Unit(String, UseCase),
}

impl Subject {
    /// The kind in tables.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Host(_) => "host",
            Self::UseCase(_) => "use_case",
            Self::Night(_) => "night",
            Self::Delivery(_) => "delivery",
            Self::Unit(..) => "unit",
        }
    }

    /// The name in tables; a unit's is `delivery/use case`.
    pub fn name(&self) -> String {
        match self {
            Self::All => String::new(),
            Self::Host(name) | Self::Delivery(name) => name.clone(),
            Self::UseCase(use_case) => use_case.to_string(),
            Self::Night(night) => night.to_string(),
            Self::Unit(delivery, use_case) => format!("{delivery}/{use_case}"),
        }
    }

    /// The subject of a kind and name as tables have them.
    pub fn of(kind: &str, name: &str) -> Option<Self> {
        Some(match kind {
            "all" => Self::All,
            "host" => Self::Host(name.to_owned()),
            "use_case" => Self::UseCase(name.parse().ok()?),
            "night" => Self::Night(name.parse().ok()?),
            "delivery" => Self::Delivery(name.to_owned()),
            "unit" => {
                let (delivery, use_case) = name.rsplit_once('/')?;
                Self::Unit(delivery.to_owned(), use_case.parse().ok()?)
            }
            _ => return None,
        })
    }

    /// Whether a use case of a delivery is meant.
    pub fn covers(&self, delivery: &str, night: Option<i32>, use_case: UseCase) -> bool {
        match self {
            Self::All => true,
            Self::Host(_) => false,
            Self::UseCase(of) => *of == use_case,
            Self::Night(of) => Some(*of) == night,
            Self::Delivery(of) => of == delivery,
            Self::Unit(of, what) => of == delivery && *what == use_case,
        }
    }
}

impl Subject {
    /// Returns true when all that `other` is about lies within this subject. `night_of` gives the night of a delivery. A host
    /// holds itself alone.
    pub fn holds(&self, other: &Self, night_of: &dyn Fn(&str) -> Option<i32>) -> bool {
        if self == other {
            return true;
        }
        match (self, other) {
            (Self::Host(_), _) | (_, Self::Host(_)) => false,
            (Self::All, _) => true,
            (Self::UseCase(mine), Self::Unit(_, its)) => mine == its,
            (Self::Night(night), Self::Delivery(name) | Self::Unit(name, _)) => {
                night_of(name) == Some(*night)
            }
            (Self::Delivery(name), Self::Unit(of, _)) => name == of,
            _ => false,
        }
    }

    /// Returns true when some unit may belong to both subjects.
    pub fn meets(&self, other: &Self, night_of: &dyn Fn(&str) -> Option<i32>) -> bool {
        let is_crossed = matches!(
            (self, other),
            (Self::UseCase(_), Self::Night(_) | Self::Delivery(_))
                | (Self::Night(_) | Self::Delivery(_), Self::UseCase(_))
        );
        is_crossed || self.holds(other, night_of) || other.holds(self, night_of)
    }

    /// Returns the subject as commands name it.
    pub fn target(&self) -> Target {
        match self.clone() {
            Self::All => Target::All,
            Self::Host(name) => Target::Host(name),
            Self::UseCase(use_case) => Target::UseCase(use_case),
            Self::Night(night) => Target::Night(night),
            Self::Delivery(name) => Target::Delivery(name),
            Self::Unit(delivery, use_case) => Target::Unit(delivery, use_case),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("everything"),
            Self::Host(name) => write!(f, "host {name}"),
            Self::UseCase(use_case) => write!(f, "use case {use_case}"),
            Self::Night(night) => write!(f, "night {night}"),
            Self::Delivery(name) => write!(f, "delivery {name}"),
            Self::Unit(delivery, use_case) => write!(f, "unit {delivery}/{use_case}"),
        }
    }
}

/// What is to be with a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Instruction {
    /// Nothing new of it, or there, starts.
    Pause,
    /// Of a host: nothing new starts there, and what was sent there and has not begun is taken back.
    Drain,
    /// How urgent it is: higher comes first, 0 is usual.
    Priority(i64),
    /// It runs on that host only.
    Move(String),
}

impl Instruction {
    /// The name in tables.
    pub fn act(&self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Drain => "drain",
            Self::Priority(_) => "priority",
            Self::Move(_) => "move",
        }
    }

    /// The value in tables.
    pub fn value(&self) -> String {
        match self {
            Self::Pause | Self::Drain => String::new(),
            Self::Priority(priority) => priority.to_string(),
            Self::Move(host) => host.clone(),
        }
    }

    /// The instruction of an act and value as tables have them.
    pub fn of(act: &str, value: &str) -> Option<Self> {
        Some(match act {
            "pause" => Self::Pause,
            "drain" => Self::Drain,
            "priority" => Self::Priority(value.parse().ok()?),
            "move" => Self::Move(value.to_owned()),
            _ => return None,
        })
    }
}

/// An instruction that holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// What it is about.
    pub subject: Subject,
    /// What is to be.
    pub instruction: Instruction,
    /// Since when.
    pub since: Timestamp,
    /// Who gave it, and why.
    pub cause: Cause,
    /// The plan whose rejection gave it.
    pub plan_id: Option<i64>,
}

impl Standing {
    /// Returns true for instructions that let nothing new start.
    pub fn is_stop(&self) -> bool {
        matches!(self.instruction, Instruction::Pause | Instruction::Drain)
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cause { who, why } = &self.cause;
        let act = match &self.instruction {
            Instruction::Pause if self.plan_id.is_some() => "is rejected".to_owned(),
            Instruction::Pause => "is paused".to_owned(),
            Instruction::Drain => "is drained".to_owned(),
            Instruction::Priority(priority) => format!("has priority {priority}"),
            Instruction::Move(host) => format!("is moved to {host}"),
        };
        write!(f, "{} {act} by {who}: {why}", self.subject)
    }
}

/// Units of which nothing new may start, and the instruction that says so.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// Delivery.
    pub delivery: String,
    /// Use case.
    pub use_case: UseCase,
    /// The instruction.
    pub standing: Standing,
}

/// A decision on a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanDecision {
    /// The plan.
    pub plan_id: i64,
    /// Approved, or rejected.
    pub is_approval: bool,
    /// Which part of the plan.
    pub about: String,
    /// When.
    pub decided: Timestamp,
    /// Who, and why.
    pub cause: Cause,
}

/// What [`crate::Planning::resume`] ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// The pauses and drains of a subject, and of all that lies within it.
    Subject(Subject),
    /// The pauses that the rejection of a plan gave.
    Plan(i64),
}

/// One instruction given or withdrawn.
#[derive(Clone, Debug, PartialEq)]
pub struct InstructionChange {
    /// What it was about.
    pub subject: Subject,
    /// What was to be.
    pub instruction: Instruction,
    /// Given, or withdrawn.
    pub given: bool,
    /// When.
    pub changed: Timestamp,
    /// Who, and why.
    pub cause: Cause,
}

/// A delivery of which something is to be done, or may arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// Its name.
    pub name: String,
    /// Changes with everything that decides which of its rounds can be opened: files, states of rounds, what is to be redone.
    pub mark: String,
}

/// A task of a round that is neither staged nor over.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenTask {
    /// Which.
    pub key: TaskKey,
    /// State of its round.
    pub state: UnitState,
    /// Observing night of its delivery, yyyymmdd.
    pub night: Option<i32>,
    /// Order of registration of its delivery.
    pub order: i64,
    /// Files in it.
    pub files: u64,
    /// Bytes that it reads.
    pub input_bytes: u64,
    /// Starts so far.
    pub attempts: u32,
    /// Starts that wanted more memory than they might have.
    pub memory_failures: u32,
    /// Memory of the last start, in bytes; 0 before the first.
    pub memory_bytes: u64,
    /// Whether a start is under way.
    pub running: bool,
    /// What the latest plan says.
    pub assignment: Option<Assignment>,
}

/// What a plan says of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// The plan.
    pub plan_id: i64,
    /// Where.
    pub host: String,
    /// When it is expected to start.
    pub starts: Timestamp,
    /// How long it is expected to take.
    pub seconds: f64,
    /// Whether it may start.
    pub approved: bool,
    /// Whether it may start on that host only.
    pub is_bound: bool,
}

impl OpenTask {
    /// Whether it may be started.
    pub fn may_start(&self) -> bool {
        matches!(self.state, UnitState::Approved | UnitState::Running)
            && self.assignment.as_ref().is_none_or(|a| a.approved)
    }
}

/// What a task took, for costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Took {
    /// What was done.
    pub use_case: UseCase,
    /// Where.
    pub host: String,
    /// Bytes read.
    pub input_bytes: u64,
    /// Bytes left.
    pub output_bytes: u64,
    /// Rows left, in all tables; 0 for results of before they were counted.
    pub output_rows: u64,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Peak memory of its process, in bytes.
    pub peak_memory_bytes: u64,
}

/// A task of a proposal.
#[derive(Clone, Debug, PartialEq)]
pub struct ProposedTask {
    /// Which.
    pub task: TaskKey,
    /// Where.
    pub host: String,
    /// When it is expected to start.
    pub starts: Timestamp,
    /// How long it is expected to take.
    pub seconds: f64,
}

/// A plan to be put before the operator.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proposal {
    /// Its tasks.
    pub tasks: Vec<ProposedTask>,
    /// Rounds in it that are not open yet.
    pub coming: Vec<(String, UseCase)>,
    /// The whole of it, for people and programs (JSON).
    pub document: String,
}

impl Proposal {
    /// Whether everything of another one is in this one.
    pub fn holds(&self, other: &Self) -> bool {
        let known: HashSet<&TaskKey> = self.tasks.iter().map(|t| &t.task).collect();
        other.tasks.iter().all(|t| known.contains(&t.task))
            && other.coming.iter().all(|unit| self.coming.contains(unit))
    }
}

/// A part of a plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// Only these units; all when empty.
    pub units: Vec<(String, UseCase)>,
    /// Only what is planned on these hosts, and then bound to them; all when empty.
    pub hosts: Vec<String>,
}

impl Selection {
    /// Whether a task of a unit on a host is meant.
    pub fn covers(&self, delivery: &str, use_case: UseCase, host: &str) -> bool {
        self.covers_unit(delivery, use_case)
            && (self.hosts.is_empty() || self.hosts.iter().any(|h| h == host))
    }

    pub(crate) fn covers_unit(&self, delivery: &str, use_case: UseCase) -> bool {
        self.units.is_empty() || self.units.iter().any(|(d, u)| d == delivery && *u == use_case)
    }
}

/// What became of a decision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// The plan that was decided on.
    pub plan_id: i64,
    /// Tasks that may start now.
    pub tasks: u64,
    /// Units of which something may start now.
    pub units: Vec<UnitKey>,
    /// Rounds that may start as soon as they are open.
    pub coming: Vec<(String, UseCase)>,
}

/// Where a plan stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlanState {
    /// Nobody has decided.
    Proposed,
    /// Some of it was approved.
    Partly,
    /// All of it was.
    Approved,
    /// None of it is to be.
    Rejected,
    /// A newer plan took its place.
    Superseded,
}

impl PlanState {
    const ALL: [Self; 5] =
        [Self::Proposed, Self::Partly, Self::Approved, Self::Rejected, Self::Superseded];

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Partly => "partly",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Superseded => "superseded",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// A plan as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanRecord {
    /// Its number.
    pub plan_id: i64,
    /// When it was made.
    pub proposed: Timestamp,
    /// Who or what made it.
    pub proposer: String,
    /// Where it stands.
    pub state: PlanState,
    /// The whole of it (JSON).
    pub document: String,
    /// The last decision: when, who, why.
    pub decided: Option<(Timestamp, Cause)>,
}

/// What came of a task of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedAndDone {
    /// Which.
    pub task: TaskKey,
    /// What the plan said.
    pub assignment: Assignment,
    /// Its start whose result was taken: host, start, seconds.
    pub actual: Option<(String, Timestamp, f64)>,
}

/// What came of a task of a round that a plan named before it was open.
#[derive(Clone, Debug, PartialEq)]
pub struct CameAndDone {
    /// Which.
    pub task: TaskKey,
    /// Its start whose result was taken: host, start, seconds.
    pub actual: Option<(String, Timestamp, f64)>,
}

/// The latest rows of a list, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latest<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// How many the whole list has.
    pub count: u64,
}
