//! Planning: instructions of operators, plans, and the decisions on them.
//!
//! The values are here; [`instructions`], [`plans`] and [`open_work`] hold the SQL and the methods of the handles.

pub(crate) mod instructions;
pub(crate) mod open_work;
pub(crate) mod plans;

use crate::Timestamp;
use crate::history::Cause;
use crate::rounds::TaskKey;
use model::advice::Target;
use model::{DeliveryName, HostName, Night, PlanId, UnitKey, UnitState, UseCase};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;

/// The subject of an instruction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Subject {
    /// Everything.
    All,
    /// A computer.
    Host(HostName),
    /// A use case of every delivery.
    UseCase(UseCase),
    /// An observing night.
    Night(Night),
    /// A delivery.
    Delivery(DeliveryName),
    /// A use case of a delivery.
    Unit(DeliveryName, UseCase),
}

/// The kind of a subject, as tables have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectKind {
    /// Everything.
    All,
    /// A computer.
    Host,
    /// A use case of every delivery.
    UseCase,
    /// An observing night.
    Night,
    /// A delivery.
    Delivery,
    /// A use case of a delivery.
    Unit,
}

impl SubjectKind {
    const ALL: [Self; 6] =
        [Self::All, Self::Host, Self::UseCase, Self::Night, Self::Delivery, Self::Unit];

    /// Returns the name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Host => "host",
            Self::UseCase => "use_case",
            Self::Night => "night",
            Self::Delivery => "delivery",
            Self::Unit => "unit",
        }
    }

    /// Returns the kind of a name in tables.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl Subject {
    /// Returns the kind.
    pub fn kind(&self) -> SubjectKind {
        match self {
            Self::All => SubjectKind::All,
            Self::Host(_) => SubjectKind::Host,
            Self::UseCase(_) => SubjectKind::UseCase,
            Self::Night(_) => SubjectKind::Night,
            Self::Delivery(_) => SubjectKind::Delivery,
            Self::Unit(..) => SubjectKind::Unit,
        }
    }

    /// Returns the name in tables; a unit's is `delivery/use case`.
    pub fn name(&self) -> String {
        match self {
            Self::All => String::new(),
            Self::Host(name) => name.to_string(),
            Self::Delivery(name) => name.to_string(),
            Self::UseCase(use_case) => use_case.to_string(),
            Self::Night(night) => night.to_string(),
            Self::Unit(delivery, use_case) => format!("{delivery}/{use_case}"),
        }
    }

    /// Returns the subject of a kind by its name in tables; `None` for a text that is no such name.
    pub fn of(kind: SubjectKind, name: &str) -> Option<Self> {
        Some(match kind {
            SubjectKind::All => Self::All,
            SubjectKind::Host => Self::Host(name.parse().ok()?),
            SubjectKind::UseCase => Self::UseCase(name.parse().ok()?),
            SubjectKind::Night => Self::Night(name.parse().ok()?),
            SubjectKind::Delivery => Self::Delivery(name.parse().ok()?),
            SubjectKind::Unit => {
                let (delivery, use_case) = name.rsplit_once('/')?;
                Self::Unit(delivery.parse().ok()?, use_case.parse().ok()?)
            }
        })
    }

    /// Returns true when the subject includes a use case of a delivery.
    pub fn covers(&self, delivery: &DeliveryName, night: Option<Night>, use_case: UseCase) -> bool {
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
    /// Returns true when everything that `other` includes is within this subject. `night_of` returns the night of a delivery. A
    /// host includes only itself.
    pub fn holds(&self, other: &Self, night_of: &dyn Fn(&DeliveryName) -> Option<Night>) -> bool {
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
    pub fn meets(&self, other: &Self, night_of: &dyn Fn(&DeliveryName) -> Option<Night>) -> bool {
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

/// An operator's instruction about a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Instruction {
    /// Nothing new of the subject, or on that host, starts.
    Pause,
    /// For a host: nothing new starts there, and attempts that were sent there and have not begun are cancelled.
    Drain,
    /// The urgency: higher values run first, 0 is the default.
    Priority(i64),
    /// The subject runs on that host only.
    Move(HostName),
}

impl Instruction {
    /// Returns the name in tables.
    pub fn act(&self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Drain => "drain",
            Self::Priority(_) => "priority",
            Self::Move(_) => "move",
        }
    }

    /// Returns the value in tables.
    pub fn value(&self) -> String {
        match self {
            Self::Pause | Self::Drain => String::new(),
            Self::Priority(priority) => priority.to_string(),
            Self::Move(host) => host.to_string(),
        }
    }

    /// Parses the act and value of an instruction in tables.
    pub fn of(act: &str, value: &str) -> Option<Self> {
        Some(match act {
            "pause" => Self::Pause,
            "drain" => Self::Drain,
            "priority" => Self::Priority(value.parse().ok()?),
            "move" => Self::Move(value.parse().ok()?),
            _ => return None,
        })
    }
}

/// An instruction in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The subject.
    pub subject: Subject,
    /// The instruction.
    pub instruction: Instruction,
    /// Time of the instruction.
    pub since: Timestamp,
    /// Author and reason of the instruction.
    pub cause: Cause,
    /// The plan whose rejection made the instruction.
    pub plan_id: Option<PlanId>,
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

/// A unit of which nothing new may start, and the instruction that stops it.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// Delivery.
    pub delivery: DeliveryName,
    /// Use case.
    pub use_case: UseCase,
    /// The instruction.
    pub standing: Standing,
}

/// A decision on a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanDecision {
    /// The plan.
    pub plan_id: PlanId,
    /// True when the plan was approved; false when it was rejected.
    pub is_approval: bool,
    /// The part of the plan that was decided on.
    pub subject: String,
    /// Time of the decision.
    pub decided: Timestamp,
    /// Author and reason of the decision.
    pub cause: Cause,
}

/// The pauses and drains that [`crate::Archive::resume`] ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// The pauses and drains of a subject, and of everything within it.
    Subject(Subject),
    /// The pauses that the rejection of a plan made.
    Plan(PlanId),
}

/// One instruction given or withdrawn.
#[derive(Clone, Debug, PartialEq)]
pub struct InstructionChange {
    /// The subject.
    pub subject: Subject,
    /// The instruction.
    pub instruction: Instruction,
    /// True when the instruction was set; false when it was withdrawn.
    pub is_set: bool,
    /// Time of the change.
    pub changed: Timestamp,
    /// Author and reason of the change.
    pub cause: Cause,
}

/// A delivery that has work to do or may receive files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfinishedDelivery {
    /// Its name.
    pub name: DeliveryName,
    /// A mark that changes with everything that decides which of the delivery's rounds can be opened: files, states of rounds,
    /// requests to redo.
    pub mark: String,
}

/// A task of a round that is neither staged nor finished.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenTask {
    /// The task.
    pub key: TaskKey,
    /// State of its round.
    pub state: UnitState,
    /// Observing night of its delivery, yyyymmdd.
    pub night: Option<Night>,
    /// Order of registration of its delivery.
    pub order: i64,
    /// Files in it.
    pub files: u64,
    /// Bytes that it reads.
    pub input_bytes: u64,
    /// Number of starts.
    pub attempts: u32,
    /// Number of starts that failed because they needed more memory than they were allowed.
    pub memory_failures: u32,
    /// Memory of the last start, in bytes; 0 before the first.
    pub memory_bytes: u64,
    /// True when a start is running.
    pub running: bool,
    /// The assignment of the task in the latest plan.
    pub assignment: Option<Assignment>,
}

/// The assignment of a task in a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// The plan.
    pub plan_id: PlanId,
    /// The assigned host.
    pub host: HostName,
    /// Expected time of the start.
    pub starts: Timestamp,
    /// Expected run time in seconds.
    pub seconds: f64,
    /// True when the task may start.
    pub approved: bool,
    /// True when the task may start on that host only.
    pub is_bound: bool,
}

impl OpenTask {
    /// Returns true when the task may be started.
    pub fn may_start(&self) -> bool {
        matches!(self.state, UnitState::Approved | UnitState::Running)
            && self.assignment.as_ref().is_none_or(|a| a.approved)
    }
}

/// The resources that a task used, for cost estimates.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskUsage {
    /// The use case.
    pub use_case: UseCase,
    /// The host.
    pub host: HostName,
    /// Bytes read.
    pub input_bytes: u64,
    /// Bytes written.
    pub output_bytes: u64,
    /// Rows written, in all tables; 0 for results from before rows were counted.
    pub output_rows: u64,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Peak memory of its process, in bytes.
    pub peak_memory_bytes: u64,
}

/// A task of a proposal.
#[derive(Clone, Debug, PartialEq)]
pub struct ProposedTask {
    /// The task.
    pub task: TaskKey,
    /// The proposed host.
    pub host: HostName,
    /// Expected time of the start.
    pub starts: Timestamp,
    /// Expected run time in seconds.
    pub seconds: f64,
}

/// A plan to be submitted to the operator.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proposal {
    /// Its tasks.
    pub tasks: Vec<ProposedTask>,
    /// Rounds in it that are not open yet.
    pub expected: Vec<(DeliveryName, UseCase)>,
    /// The whole plan, for users and programs (JSON).
    pub document: String,
}

impl Proposal {
    /// Returns true when this proposal includes everything of another.
    pub fn holds(&self, other: &Self) -> bool {
        let known: HashSet<&TaskKey> = self.tasks.iter().map(|t| &t.task).collect();
        other.tasks.iter().all(|t| known.contains(&t.task))
            && other.expected.iter().all(|unit| self.expected.contains(unit))
    }
}

/// A part of a plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// Only these units; all when empty.
    pub units: Vec<(DeliveryName, UseCase)>,
    /// Only what is planned on these hosts, which is then bound to them; all when empty.
    pub hosts: Vec<HostName>,
}

impl Selection {
    /// Returns true when the selection includes the tasks of a unit on a host.
    pub fn covers(&self, delivery: &DeliveryName, use_case: UseCase, host: &HostName) -> bool {
        self.covers_unit(delivery, use_case)
            && (self.hosts.is_empty() || self.hosts.iter().any(|h| h == host))
    }

    pub(crate) fn covers_unit(&self, delivery: &DeliveryName, use_case: UseCase) -> bool {
        self.units.is_empty() || self.units.iter().any(|(d, u)| d == delivery && *u == use_case)
    }
}

/// The result of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The plan that was decided on.
    pub plan_id: PlanId,
    /// Number of tasks that may start now.
    pub tasks: u64,
    /// Units of which something may start now.
    pub units: Vec<UnitKey>,
    /// Rounds that may start as soon as they are open.
    pub expected: Vec<(DeliveryName, UseCase)>,
}

/// The state of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlanState {
    /// The plan is undecided.
    Proposed,
    /// Part of the plan was approved; the rest is undecided.
    PartlyApproved,
    /// The plan was approved, at least in part, and nothing of it is undecided.
    Approved,
    /// The plan, or what was undecided of it, was rejected.
    Rejected,
    /// A newer plan replaced it.
    Superseded,
}

impl PlanState {
    const ALL: [Self; 5] =
        [Self::Proposed, Self::PartlyApproved, Self::Approved, Self::Rejected, Self::Superseded];

    /// Returns the name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::PartlyApproved => "partly_approved",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Superseded => "superseded",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// A plan as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanRecord {
    /// Its number.
    pub plan_id: PlanId,
    /// Time of the proposal.
    pub proposed: Timestamp,
    /// The person or part of the program that made the plan.
    pub proposer: String,
    /// The state of the plan.
    pub state: PlanState,
    /// The whole plan (JSON).
    pub document: String,
    /// The last decision: time, person and reason.
    pub decided: Option<(Timestamp, Cause)>,
}

/// The planned and the actual run of a task of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedRun {
    /// The task.
    pub task: TaskKey,
    /// The assignment in the plan.
    pub assignment: Assignment,
    /// The start whose result was accepted: host, start, seconds.
    pub actual: Option<(HostName, Timestamp, f64)>,
}

/// The actual run of a task whose round a plan named before the round was open.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedRun {
    /// The task.
    pub task: TaskKey,
    /// The start whose result was accepted: host, start, seconds.
    pub actual: Option<(HostName, Timestamp, f64)>,
}

/// The latest rows of a list, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latest<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Number of rows in the whole list.
    pub count: u64,
}
