//! A plan as it is stored and shown.

use super::situation::{Piece, UnitName, Work};
use crate::table::Table;
use crate::words::{bytes, counted, grouped, utc};
use archive::Timestamp;
use archive::planning::{ExpectedRun, PlannedRun, Proposal, ProposedTask};
use chrono::TimeDelta;
use dispatch::planner::Plan;
use model::{DeliveryName, HostName, RoundNumber, TaskNumber, UseCase};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A whole plan. Times are seconds from `made`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// Time at which the plan was made, ISO 8601 UTC.
    #[serde(with = "iso")]
    pub made: Timestamp,
    /// Executor of the tasks: `local`, `slurm`, `ssh` or `print`.
    pub executor: String,
    /// End of the last task.
    pub makespan_seconds: f64,
    /// Lower bound: no plan of these tasks can end before.
    pub lower_bound_seconds: f64,
    /// The hosts, used or not.
    pub hosts: Vec<PlanHostLine>,
    /// The units of the plan.
    pub units: Vec<UnitLine>,
    /// The placement of every task, by start.
    pub tasks: Vec<TaskLine>,
    /// Work that is not planned, each with the reason.
    pub waits: Vec<WaitLine>,
    /// Number of the latest change of an instruction that the plan follows: a later change makes the plan stale.
    #[serde(default)]
    pub instructions: i64,
}

/// Times as ISO 8601 in UTC.
mod iso {
    use archive::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&crate::site::iso(*time))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanHostLine {
    /// Name of the host.
    pub host: HostName,
    /// Cores for tasks.
    pub cores: u32,
    /// Memory for tasks, in bytes.
    pub memory_bytes: u64,
    /// Load that is not from our tasks.
    pub load: f64,
    /// Number of attempts that run on the host already.
    pub running: u64,
    /// Number of tasks planned on the host.
    pub tasks: u64,
    /// End of the last task planned on the host.
    pub until_seconds: f64,
    /// Reason why the host is not used; `None` when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_alone: Option<String>,
}

/// A use case of a delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnitLine {
    /// Delivery.
    pub delivery: DeliveryName,
    /// Use case.
    pub use_case: UseCase,
    /// True when the round of the unit is not open yet: the numbers are estimates then.
    pub to_come: bool,
    /// True when the unit was approved before, and is listed because it is not done.
    pub approved: bool,
    /// Number of tasks planned.
    pub tasks: u64,
    /// Hosts of these tasks.
    pub hosts: Vec<HostName>,
    /// Start of the first task.
    pub start_seconds: f64,
    /// End of the last task.
    pub end_seconds: f64,
    /// Bytes read.
    pub input_bytes: u64,
}

/// A task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskLine {
    /// Delivery.
    pub delivery: DeliveryName,
    /// Use case.
    pub use_case: UseCase,
    /// Round and number of the task; `None` when the round is not open yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<(RoundNumber, TaskNumber)>,
    /// Host of the task.
    pub host: HostName,
    /// Start of the task.
    pub start_seconds: f64,
    /// Duration of the task.
    pub seconds: f64,
}

/// Work that is not planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WaitLine {
    /// Delivery.
    pub delivery: DeliveryName,
    /// Use case.
    pub use_case: UseCase,
    /// Number of tasks or files.
    pub count: u64,
    /// `task` or `file`.
    pub of: String,
    /// Reason.
    pub why: String,
    /// Reason without the parts that differ from task to task.
    #[serde(default)]
    pub cause: String,
}

/// Makes the document of a plan, with the work that is not planned.
pub fn document(
    work: &Work,
    plan: &Plan,
    (executor, made): (&str, Timestamp),
    is_approved: &dyn Fn(&UnitName) -> bool,
    file_waits: &[(DeliveryName, register::plan::Wait)],
) -> Document {
    let situation = &work.situation;
    let mut hosts = host_lines(work, plan);
    let mut units: BTreeMap<usize, (UnitLine, BTreeSet<usize>)> = BTreeMap::new();
    let mut tasks = Vec::new();
    for placement in &plan.placements {
        let task = &situation.tasks[placement.task];
        let unit = &work.units[task.group];
        let host = &mut hosts[placement.host];
        host.tasks += 1;
        host.until_seconds = host.until_seconds.max(placement.end());
        let key = match &work.pieces[placement.task] {
            Piece::Open(key) => Some((key.unit.round, key.task)),
            Piece::Expected => None,
        };
        tasks.push(TaskLine {
            delivery: unit.0.clone(),
            use_case: unit.1,
            task: key,
            host: host.host.clone(),
            start_seconds: placement.start,
            seconds: placement.seconds,
        });
        let (line, on) = units.entry(task.group).or_insert_with(|| {
            let line = UnitLine {
                delivery: unit.0.clone(),
                use_case: unit.1,
                to_come: key.is_none(),
                approved: is_approved(unit),
                tasks: 0,
                hosts: Vec::new(),
                start_seconds: f64::INFINITY,
                end_seconds: 0.0,
                input_bytes: 0,
            };
            (line, BTreeSet::new())
        });
        line.tasks += 1;
        line.input_bytes += task.input_bytes;
        line.start_seconds = line.start_seconds.min(placement.start);
        line.end_seconds = line.end_seconds.max(placement.end());
        on.insert(placement.host);
    }
    let mut units: Vec<UnitLine> = units
        .into_values()
        .map(|(line, on)| UnitLine {
            hosts: on.into_iter().map(|h| situation.hosts[h].name.clone()).collect(),
            ..line
        })
        .collect();
    units.sort_by(|a, b| a.start_seconds.total_cmp(&b.start_seconds));
    Document {
        made,
        executor: executor.to_owned(),
        makespan_seconds: plan.makespan,
        lower_bound_seconds: plan.lower_bound,
        hosts,
        units,
        tasks,
        waits: waits(work, plan, file_waits),
        instructions: 0,
    }
}

/// Returns the hosts without the tasks planned on them.
fn host_lines(work: &Work, plan: &Plan) -> Vec<PlanHostLine> {
    work.situation
        .hosts
        .iter()
        .enumerate()
        .map(|(at, host)| PlanHostLine {
            host: host.name.clone(),
            cores: host.cores,
            memory_bytes: host.memory_bytes,
            load: host.load,
            running: host.busy.len() as u64,
            tasks: 0,
            until_seconds: host.busy.iter().map(|b| b.left).fold(0.0, f64::max),
            left_alone: plan
                .unused_hosts
                .iter()
                .find(|(h, _)| *h == at)
                .map(|(_, why)| why.clone()),
        })
        .collect()
}

/// Returns the work that is not planned, by unit; tasks with the same cause are one line.
fn waits(
    work: &Work,
    plan: &Plan,
    file_waits: &[(DeliveryName, register::plan::Wait)],
) -> Vec<WaitLine> {
    let mut counted: BTreeMap<(UnitName, &str, String), (u64, String)> = BTreeMap::new();
    let mut count = |unit: UnitName, of: &'static str, cause: String, why: String| {
        counted.entry((unit, of, cause)).or_insert((0, why)).0 += 1;
    };
    for (task, reason) in &plan.unplanned {
        let unit = work.units[work.situation.tasks[*task].group].clone();
        count(unit, "task", reason.cause(), reason.to_string());
    }
    for (delivery, wait) in file_waits.iter().filter(|(_, wait)| !wait.ends_by_itself) {
        let unit = (delivery.clone(), wait.use_case);
        count(unit, "file", wait.why.clone(), wait.why.clone());
    }
    let line = |((unit, of, cause), (count, why)): ((UnitName, &str, String), (u64, String))| {
        WaitLine { delivery: unit.0, use_case: unit.1, count, of: of.to_owned(), why, cause }
    };
    counted.into_iter().map(line).collect()
}

/// Numbers of tasks of a plan, by the decision on them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskCounts {
    /// Undecided tasks whose rounds are open.
    pub undecided: u64,
    /// Undecided tasks that are estimates of rounds that are not open yet.
    pub to_come: u64,
    /// Units of the undecided tasks.
    pub units: u64,
    /// Tasks that were approved before.
    pub approved: u64,
}

impl Document {
    /// Returns the proposal in the form that the archive takes. Units that were approved before are not proposed again.
    pub fn proposal(&self) -> Proposal {
        let undecided: BTreeSet<(&str, UseCase)> = self
            .units
            .iter()
            .filter(|u| !u.approved)
            .map(|u| (u.delivery.as_str(), u.use_case))
            .collect();
        let mut proposal = Proposal {
            document: serde_json::to_string(self)
                .expect("a document has no key that is not a string"),
            ..Proposal::default()
        };
        for task in &self.tasks {
            if !undecided.contains(&(task.delivery.as_str(), task.use_case)) {
                continue;
            }
            let Some((round, number)) = task.task else { continue };
            let (delivery, use_case) = (task.delivery.clone(), task.use_case);
            proposal.tasks.push(ProposedTask {
                task: archive::rounds::TaskKey {
                    unit: model::UnitKey { delivery, use_case, round },
                    task: number,
                },
                host: task.host.clone(),
                starts: self.at(task.start_seconds),
                seconds: task.seconds,
            });
        }
        for unit in self.units.iter().filter(|u| u.to_come && !u.approved) {
            proposal.expected.push((unit.delivery.clone(), unit.use_case));
        }
        proposal
    }

    /// Returns true when there is something to decide on.
    pub fn has_undecided(&self) -> bool {
        self.units.iter().any(|u| !u.approved)
    }

    /// Returns how many tasks wait for a decision and how many are approved. Every header shows these numbers.
    pub fn counts(&self) -> TaskCounts {
        let mut counts = TaskCounts::default();
        for unit in &self.units {
            match (unit.approved, unit.to_come) {
                (true, _) => counts.approved += unit.tasks,
                (false, true) => counts.to_come += unit.tasks,
                (false, false) => counts.undecided += unit.tasks,
            }
            counts.units += u64::from(!unit.approved);
        }
        counts
    }

    /// Returns the estimated number of tasks of some expected rounds.
    pub fn tasks_to_come(&self, rounds: &[UnitName]) -> u64 {
        let is_meant = |unit: &&UnitLine| {
            unit.to_come && rounds.iter().any(|(d, u)| *d == unit.delivery && *u == unit.use_case)
        };
        self.units.iter().filter(is_meant).map(|unit| unit.tasks).sum()
    }

    /// Returns a planned time as a point in time.
    pub fn at(&self, seconds: f64) -> Timestamp {
        self.made + TimeDelta::milliseconds((seconds * 1000.0) as i64)
    }

    /// Returns the plan as text for operators, under a title.
    pub fn text(&self, title: &str) -> String {
        let mut text = title.to_owned();
        let used = self.hosts.iter().filter(|h| h.tasks > 0).count();
        text += &match self.tasks.len() as u64 {
            0 => ": nothing can start\n".to_owned(),
            tasks => format!(
                ": {}{} on {} of {} hosts, until {} UTC (in {}; no plan ends before {} UTC)\n",
                counted(tasks, "task"),
                self.parts(),
                used,
                self.hosts.len(),
                utc(self.at(self.makespan_seconds)),
                duration(self.makespan_seconds),
                utc(self.at(self.lower_bound_seconds))
            ),
        };
        for table in [self.hosts_table(), self.units_table(), self.waits_table()] {
            if !table.is_empty() {
                text += &format!("\n{}", table.text());
            }
        }
        text
    }

    /// Returns the parts of the number of tasks, when there is more than one.
    fn parts(&self) -> String {
        let TaskCounts { to_come, approved, .. } = self.counts();
        let parts: Vec<String> = [(to_come, "in expected rounds"), (approved, "approved")]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{} {what}", grouped(count)))
            .collect();
        if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
    }

    fn hosts_table(&self) -> Table {
        let mut table = Table::new([
            "host",
            "cores",
            "memory",
            "load of others",
            "running",
            "tasks",
            "until (UTC)",
            "",
        ]);
        for host in &self.hosts {
            let until = match host.tasks + host.running {
                0 => String::new(),
                _ => utc(self.at(host.until_seconds)),
            };
            table.row([
                host.host.to_string(),
                host.cores.to_string(),
                bytes(host.memory_bytes),
                format!("{:.1}", host.load),
                grouped(host.running),
                grouped(host.tasks),
                until,
                host.left_alone.clone().map(|why| format!("not used: {why}")).unwrap_or_default(),
            ]);
        }
        table
    }

    fn units_table(&self) -> Table {
        let mut table =
            Table::new(["unit", "tasks", "size", "starts (UTC)", "ends (UTC)", "on", ""]);
        for unit in &self.units {
            let remark = match (unit.approved, unit.to_come) {
                (true, true) => "approved, expected",
                (true, false) => "approved",
                (false, true) => "expected, estimated",
                (false, false) => "",
            };
            table.row([
                format!("{}/{}", unit.delivery, unit.use_case),
                grouped(unit.tasks),
                bytes(unit.input_bytes),
                utc(self.at(unit.start_seconds)),
                utc(self.at(unit.end_seconds)),
                in_short(&unit.hosts),
                remark.to_owned(),
            ]);
        }
        table
    }

    /// Returns a table of the work that is not planned: one line for each cause, with the number of tasks or files.
    fn waits_table(&self) -> Table {
        let mut table = Table::new(["waits", "what", "why"]);
        let mut causes: Vec<(&str, &str, Vec<&WaitLine>)> = Vec::new();
        for wait in &self.waits {
            let cause = if wait.cause.is_empty() { &wait.why } else { &wait.cause };
            match causes.iter_mut().find(|(of, known, _)| *of == wait.of && known == cause) {
                Some((.., lines)) => lines.push(wait),
                None => causes.push((&wait.of, cause, vec![wait])),
            }
        }
        for (of, cause, lines) in causes {
            let units = match lines.as_slice() {
                [only] => format!("{}/{}", only.delivery, only.use_case),
                many => counted(many.len() as u64, "unit"),
            };
            let count = lines.iter().map(|wait| wait.count).sum();
            let why = if lines.len() == 1 { &lines[0].why } else { cause };
            table.row([units, counted(count, of), why.to_owned()]);
        }
        table
    }
}

/// Returns a few names of hosts, or their number.
fn in_short(hosts: &[HostName]) -> String {
    match hosts.len() {
        0..=6 => hosts.join(" "),
        n => format!("{} … {} ({n} hosts)", hosts[0], hosts[n - 1]),
    }
}

/// Returns a duration as text: "45 s", "12 min", "3 h 20 min".
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    match whole {
        0..=119 => format!("{whole} s"),
        120..=7199 => format!("{} min", whole / 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// Tasks of the rounds that a plan named before they were open, by unit.
pub type Came = BTreeMap<UnitName, Vec<ExpectedRun>>;

/// Compares a plan with the actual course, unit by unit.
pub fn compared(document: &Document, done: &[PlannedRun], came: &Came) -> Table {
    let mut table = Table::new([
        "unit",
        "tasks",
        "done",
        "elsewhere",
        "planned seconds",
        "actual seconds",
        "ratio",
        "planned end (UTC)",
        "actual end (UTC)",
    ]);
    let mut units: BTreeMap<UnitName, Compared> = BTreeMap::new();
    for one in done {
        let unit = &one.task.unit;
        let line = units.entry((unit.delivery.clone(), unit.use_case)).or_default();
        line.planned(after(one.assignment.starts, one.assignment.seconds));
        if let Some(actual) = &one.actual {
            line.planned_seconds += one.assignment.seconds;
            line.elsewhere += u64::from(one.assignment.host != actual.0);
            line.happened(actual);
        }
    }
    for (unit, tasks) in came {
        let line = units.entry(unit.clone()).or_default();
        let of_unit =
            |t: &&TaskLine| t.task.is_none() && (&t.delivery, t.use_case) == (&unit.0, unit.1);
        for planned in document.tasks.iter().filter(of_unit) {
            line.planned(document.at(planned.start_seconds + planned.seconds));
            line.planned_seconds += planned.seconds;
        }
        tasks.iter().filter_map(|t| t.actual.as_ref()).for_each(|actual| line.happened(actual));
    }
    for ((delivery, use_case), line) in units {
        let shown = |time: Option<Timestamp>| time.map(utc).unwrap_or_default();
        let ratio = line.actual_seconds / line.planned_seconds;
        table.row([
            format!("{delivery}/{use_case}"),
            grouped(line.tasks),
            grouped(line.done),
            grouped(line.elsewhere),
            format!("{:.1}", line.planned_seconds),
            format!("{:.1}", line.actual_seconds),
            if line.planned_seconds > 0.0 { format!("{ratio:.2}") } else { String::new() },
            shown(line.planned_end),
            shown(line.actual_end),
        ]);
    }
    table
}

/// One unit of a comparison.
#[derive(Default)]
struct Compared {
    tasks: u64,
    done: u64,
    elsewhere: u64,
    planned_seconds: f64,
    actual_seconds: f64,
    planned_end: Option<Timestamp>,
    actual_end: Option<Timestamp>,
}

impl Compared {
    fn planned(&mut self, end: Timestamp) {
        self.tasks += 1;
        self.planned_end = self.planned_end.max(Some(end));
    }

    fn happened(&mut self, (_, start, seconds): &(HostName, Timestamp, f64)) {
        self.done += 1;
        self.actual_seconds += seconds;
        self.actual_end = self.actual_end.max(Some(after(*start, *seconds)));
    }
}

fn after(start: Timestamp, seconds: f64) -> Timestamp {
    start + TimeDelta::milliseconds((seconds * 1000.0) as i64)
}
