//! Conversion of the archive's state and the configuration to the input of the planner. Pure.

use crate::config::{Config, Order, Span};
use archive::Timestamp;
use archive::planning::{Instruction, OpenTask, Standing, Subject};
use archive::rounds::{PlannedRound, TaskKey};
use chrono::{TimeDelta, Timelike};
use dispatch::HostState;
use dispatch::planner::costs::Costs;
use dispatch::planner::{Busy, Group, Host, Policy, Situation, Task};
use model::products::{self, Scope};
use model::{DeliveryName, HostName, Night, UseCase};
use std::collections::{BTreeMap, BTreeSet};

/// Days for which quiet hours are laid out.
const DAYS: i64 = 14;

/// A unit as the planner sees it: one use case of a delivery.
pub type UnitName = (DeliveryName, UseCase);

/// The work that a task of the planner represents.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// An open task.
    Open(TaskKey),
    /// A task that an expected round may have.
    Expected,
}

/// An attempt under way.
#[derive(Clone, Debug, PartialEq)]
pub struct UnderWay {
    /// Unit of the attempt.
    pub unit: UnitName,
    /// Host of the attempt.
    pub host: HostName,
    /// Bytes that the attempt reads.
    pub input_bytes: u64,
    /// Memory that the attempt may use, in bytes.
    pub memory_bytes: u64,
    /// Seconds since the attempt was sent.
    pub seconds: f64,
    /// True when the attempt waits to begin.
    pub waits: bool,
}

/// A round that is not open yet, with the night and order of its delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedRound {
    /// The round, with a tentative cut into tasks.
    pub round: PlannedRound,
    /// Observing night, yyyymmdd.
    pub night: Option<Night>,
    /// Order of registration of the delivery.
    pub order: i64,
    /// Bytes that each task reads.
    pub input_bytes: Vec<u64>,
}

/// The complete input of a decision.
pub struct Facts<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Tasks without result.
    pub open: &'a [OpenTask],
    /// Expected rounds.
    pub expected: &'a [ExpectedRound],
    /// Attempts under way.
    pub under_way: &'a [UnderWay],
    /// Instructions in force.
    pub standing: &'a [Standing],
    /// Costs of tasks.
    pub costs: &'a Costs,
    /// Hosts, each with the load that is not from our tasks.
    pub hosts: &'a [(HostState, f64)],
    /// True when attempts are processes of their own.
    pub has_processes: bool,
    /// True when a command requests the work on this machine now: the load of others, quiet hours and the hosts of plans do not
    /// count then.
    pub is_requested: bool,
    /// Free bytes on the disk where products are staged.
    pub free_bytes: u64,
    /// The present time.
    pub now: Timestamp,
}

/// The input of the planner, and the meaning of its numbers.
pub struct Work {
    /// The input of the planner.
    pub situation: Situation,
    /// The work of each task, by task of the situation.
    pub pieces: Vec<Piece>,
    /// The unit of each group, by group of the situation.
    pub units: Vec<UnitName>,
}

/// Returns the planner's situation of the tasks that `wanted` picks, and of the expected rounds when `with_expected` is set.
pub fn situation(
    facts: &Facts<'_>,
    wanted: &dyn Fn(&OpenTask) -> bool,
    with_expected: bool,
) -> Work {
    let mut units: BTreeMap<UnitName, (Option<Night>, i64)> = BTreeMap::new();
    for task in facts.open {
        let unit = (task.key.unit.delivery.clone(), task.key.unit.use_case);
        units.insert(unit, (task.night, task.order));
    }
    for expected in facts.expected.iter().filter(|_| with_expected) {
        let unit = (expected.round.delivery.clone(), expected.round.use_case);
        units.entry(unit).or_insert((expected.night, expected.order));
    }
    let (groups, names) = groups(facts, &units);
    let group_of: BTreeMap<&UnitName, usize> =
        names.iter().enumerate().map(|(at, name)| (name, at)).collect();
    let hosts = hosts(facts);
    let mut tasks = Vec::new();
    let mut pieces = Vec::new();
    for open in facts.open.iter().filter(|t| !t.running && wanted(t)) {
        let unit = (open.key.unit.delivery.clone(), open.key.unit.use_case);
        let host = host_of(facts, open, &unit);
        let known = host.as_ref().map(|name| hosts.iter().position(|h| h.name == *name));
        let closed = match known {
            Some(None) => Some(format!(
                "the task is bound to host {}, which does not exist",
                host.unwrap_or_default()
            )),
            _ => None,
        };
        let memory_bytes = memory_of(facts, open);
        tasks.push(Task {
            host: known.flatten(),
            closed,
            ..task(facts, group_of[&unit], unit.1, open.input_bytes, memory_bytes)
        });
        pieces.push(Piece::Open(open.key.clone()));
    }
    for expected in facts.expected.iter().filter(|_| with_expected) {
        let unit = (expected.round.delivery.clone(), expected.round.use_case);
        for bytes in &expected.input_bytes {
            let memory = memory_at_first(facts);
            tasks.push(task(facts, group_of[&unit], unit.1, *bytes, memory));
            pieces.push(Piece::Expected);
        }
    }
    let plan = &facts.config.plan;
    let policy = Policy {
        max_hosts: plan.max_hosts,
        max_load: plan.max_load,
        remote_rate: plan.remote_mb_per_second * 1e6,
    };
    let situation = Situation { hosts, disks: vec![facts.free_bytes], groups, tasks, policy };
    Work { situation, pieces, units: names }
}

fn task(facts: &Facts<'_>, group: usize, use_case: UseCase, bytes: u64, memory_bytes: u64) -> Task {
    Task {
        group,
        use_case,
        seconds: facts.costs.seconds(use_case, bytes),
        threads: 1,
        memory_bytes,
        input_bytes: bytes,
        output_bytes: facts.costs.output_bytes(use_case, bytes),
        host: None,
        closed: None,
    }
}

fn groups(
    facts: &Facts<'_>,
    units: &BTreeMap<UnitName, (Option<Night>, i64)>,
) -> (Vec<Group>, Vec<UnitName>) {
    let names: Vec<UnitName> = units.keys().cloned().collect();
    let use_cases: BTreeSet<UseCase> = names.iter().map(|(_, use_case)| *use_case).collect();
    let use_cases: Vec<UseCase> = use_cases.into_iter().collect();
    // A night alone starts with what others wait for.
    let ordered = if facts.is_requested { products::chains_first(&use_cases) } else { use_cases };
    let place = |use_case: UseCase| ordered.iter().position(|u| *u == use_case);
    let mut ranks: Vec<_> = units
        .iter()
        .map(|(unit, of)| ((urgency(facts, *of), &unit.0, place(unit.1)), unit))
        .collect();
    ranks.sort();
    let rank: BTreeMap<&UnitName, i64> = (0..).zip(ranks).map(|(n, (_, unit))| (unit, n)).collect();
    let groups = names
        .iter()
        .map(|unit| {
            let is_before = |other: &UnitName| comes_after(unit, other);
            let after = (0..).zip(&names).filter(|(_, name)| is_before(name)).map(|(at, _)| at);
            let busy = facts.under_way.iter().filter(|u| is_before(&u.unit));
            let from = busy.map(|u| left(facts, u)).fold(0.0, f64::max);
            let closed = pause(facts, unit, units[unit].0);
            Group {
                name: format!("{}/{}", unit.0, unit.1),
                after: after.collect(),
                priority: priority(facts, unit, units[unit].0),
                urgency: rank[unit],
                from,
                closed,
            }
        })
        .collect();
    (groups, names)
}

/// Returns true when the tasks of a unit start after those of another: its product follows that of the other one, in the same
/// delivery or, for a release, in any.
fn comes_after(unit: &UnitName, other: &UnitName) -> bool {
    let product = unit.1.product();
    let is_in_scope = product.scope == Scope::Release || unit.0 == other.0;
    is_in_scope && product.follows.contains(&other.1)
}

/// Returns the priority of a unit: the operator's priority first, then the nights named in the configuration.
fn priority(facts: &Facts<'_>, unit: &UnitName, night: Option<Night>) -> i64 {
    let mut priority = 0;
    for standing in facts.standing {
        if let Instruction::Priority(p) = standing.instruction
            && standing.subject.covers(&unit.0, night, unit.1)
        {
            priority = p;
        }
    }
    let is_first = night.is_some_and(|n| facts.config.plan.priority_nights.contains(&n));
    priority.saturating_mul(2).saturating_add(i64::from(is_first))
}

/// Returns the urgency of a unit: the order of nights, then of registration.
fn urgency(facts: &Facts<'_>, (night, order): (Option<Night>, i64)) -> (i64, i64) {
    let age = night.map_or(i32::MAX.into(), i64::from);
    match facts.config.plan.order {
        Order::Oldest => (age, order),
        Order::Newest => (-age, -order),
    }
}

/// Returns the reason why nothing of a unit may start; `None` when something may.
fn pause(facts: &Facts<'_>, unit: &UnitName, night: Option<Night>) -> Option<String> {
    let covers = |s: &&Standing| {
        s.instruction == Instruction::Pause && s.subject.covers(&unit.0, night, unit.1)
    };
    facts.standing.iter().find(covers).map(ToString::to_string)
}

/// Returns the only host on which a task may run: that of the plan, when the task was approved for it, or that of the operator.
fn host_of(facts: &Facts<'_>, task: &OpenTask, unit: &UnitName) -> Option<HostName> {
    if facts.is_requested {
        return None;
    }
    let mut host = task.assignment.as_ref().filter(|a| a.is_bound).map(|a| a.host.clone());
    for standing in facts.standing {
        if let Instruction::Move(to) = &standing.instruction
            && standing.subject.covers(&unit.0, task.night, unit.1)
        {
            host = Some(to.clone());
        }
    }
    host
}

fn memory_at_first(facts: &Facts<'_>) -> u64 {
    let thread = facts.config.work.memory_per_thread_mb * 1_000_000;
    if facts.has_processes { thread + process_bytes(facts) } else { thread }
}

/// Returns the memory that a process needs in addition to its threads.
fn process_bytes(facts: &Facts<'_>) -> u64 {
    facts.config.work.memory_per_process_mb * 1_000_000
}

/// Returns the memory of the next start: twice that of a start that had too little.
pub fn memory_of(facts: &Facts<'_>, task: &OpenTask) -> u64 {
    match task.memory_failures {
        0 => memory_at_first(facts),
        _ => 2 * task.memory_bytes.max(memory_at_first(facts) / 2),
    }
}

/// Returns the seconds until an attempt is expected to end, and at least a tenth of its expected duration.
fn left(facts: &Facts<'_>, under_way: &UnderWay) -> f64 {
    let speed = facts.costs.speed(&under_way.host).of(under_way.unit.1);
    let expected = facts.costs.seconds(under_way.unit.1, under_way.input_bytes) / speed;
    match under_way.waits {
        true => expected,
        false => (expected - under_way.seconds).max(expected / 10.0),
    }
}

fn hosts(facts: &Facts<'_>) -> Vec<Host> {
    let special = &facts.config.hosts;
    // All hosts are equal when the configuration does not specify which of them have the library.
    let is_configured = special.values().any(|h| h.local_library.is_some());
    let host = |(state, load): &(HostState, f64)| {
        let config = special.get(&state.name);
        let cores = match config.map_or(0, |c| c.cores) {
            0 => state.cores,
            n => n.min(state.cores),
        };
        let memory = match config.map_or(0, |c| c.memory_mb) {
            0 => state.memory_bytes,
            mb => (u64::from(mb) * 1_000_000).min(state.memory_bytes),
        };
        Host {
            name: state.name.clone(),
            cores,
            memory_bytes: if facts.has_processes {
                memory
            } else {
                memory.saturating_sub(process_bytes(facts))
            },
            disk: 0,
            speed: facts.costs.speed(&state.name),
            has_library: !is_configured || config.and_then(|c| c.local_library).unwrap_or(false),
            load: if facts.is_requested { 0.0 } else { *load },
            busy: busy(facts, &state.name, cores),
            closed: state.closed.clone().or_else(|| host_instruction(facts, &state.name)),
            quiet: match config {
                Some(config) if !facts.is_requested => quiet(&config.quiet_hours, facts.now),
                _ => Vec::new(),
            },
        }
    };
    facts.hosts.iter().map(host).collect()
}

fn host_instruction(facts: &Facts<'_>, name: &HostName) -> Option<String> {
    let of_host = |s: &&Standing| {
        s.subject == Subject::Host(name.clone())
            && matches!(s.instruction, Instruction::Pause | Instruction::Drain)
    };
    facts.standing.iter().find(of_host).map(ToString::to_string)
}

/// Returns the attempts that run on a host and, behind them, those that wait there, core by core.
fn busy(facts: &Facts<'_>, host: &HostName, cores: u32) -> Vec<Busy> {
    let here = || facts.under_way.iter().filter(|u| u.host == *host);
    let mut slots: Vec<Busy> = Vec::new();
    for attempt in here().filter(|u| !u.waits).chain(here().filter(|u| u.waits)) {
        let own = left(facts, attempt);
        let memory_bytes = attempt.memory_bytes;
        if slots.len() < cores as usize {
            slots.push(Busy { left: own, threads: 1, memory_bytes });
        } else if let Some(slot) = slots.iter_mut().min_by(|a, b| a.left.total_cmp(&b.left)) {
            slot.left += own;
            slot.memory_bytes = slot.memory_bytes.max(memory_bytes);
        }
    }
    slots
}

/// Returns spans of the day laid out from the present, in seconds from now.
fn quiet(spans: &[Span], now: Timestamp) -> Vec<(f64, f64)> {
    let midnight = f64::from(now.num_seconds_from_midnight());
    let mut all: Vec<(f64, f64)> = Vec::new();
    for day in -1..DAYS {
        let start = TimeDelta::days(day).num_seconds() as f64 - midnight;
        for span in spans {
            let from = start + f64::from(span.from * 60);
            let length = (span.to + 1440 - span.from) % 1440;
            let to = from + f64::from(length * 60);
            if to > 0.0 {
                all.push((from.max(0.0), to));
            }
        }
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut merged: Vec<(f64, f64)> = Vec::new();
    for (from, to) in all {
        match merged.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use archive::history::Cause;
    use archive::planning::Assignment;
    use model::{RoundNumber, TaskNumber, UnitKey, UnitState};

    fn now() -> Timestamp {
        "2026-01-02T03:00:00Z".parse().unwrap()
    }

    fn task(delivery: &DeliveryName, night: i32, use_case: UseCase) -> OpenTask {
        let unit = UnitKey { delivery: delivery.to_owned(), use_case, round: RoundNumber::FIRST };
        OpenTask {
            key: TaskKey { unit, task: TaskNumber::FIRST },
            state: UnitState::Ready,
            night: Some(Night::new(night).unwrap()),
            order: i64::from(night),
            files: 10,
            input_bytes: 240_000_000,
            attempts: 0,
            memory_failures: 0,
            memory_bytes: 0,
            running: false,
            assignment: None,
        }
    }

    fn host(name: &str) -> (HostState, f64) {
        let state = HostState {
            name: name.parse().unwrap(),
            cores: 2,
            memory_bytes: 4_000_000_000,
            load: None,
            users: Vec::new(),
            closed: None,
        };
        (state, 0.0)
    }

    fn standing(subject: Subject, instruction: Instruction) -> Standing {
        let cause = Cause::new("anna", "new fan");
        Standing { subject, instruction, since: now(), cause, plan_id: None }
    }

    struct Case {
        config: Config,
        open: Vec<OpenTask>,
        under_way: Vec<UnderWay>,
        standing: Vec<Standing>,
        hosts: Vec<(HostState, f64)>,
        costs: Costs,
    }

    impl Case {
        fn new(open: Vec<OpenTask>) -> Self {
            let hosts = vec![host("n1"), host("n2")];
            let (config, costs) = (Config::default(), Costs::default());
            Self { config, open, under_way: Vec::new(), standing: Vec::new(), hosts, costs }
        }

        fn work(&self) -> Work {
            let facts = Facts {
                config: &self.config,
                open: &self.open,
                expected: &[],
                under_way: &self.under_way,
                standing: &self.standing,
                costs: &self.costs,
                hosts: &self.hosts,
                has_processes: true,
                is_requested: false,
                free_bytes: 1 << 40,
                now: now(),
            };
            situation(&facts, &|_| true, false)
        }

        /// Returns the names of the units, the most urgent first.
        fn order(&self) -> Vec<String> {
            let work = self.work();
            let mut groups = work.situation.groups;
            groups.sort_by_key(|g| (-g.priority, g.urgency));
            groups.into_iter().map(|g| g.name).collect()
        }
    }

    #[test]
    fn nights_are_processed_in_the_order_of_the_policy() {
        let mut case = Case::new(vec![
            task(&"b".parse().unwrap(), 20_071_012, UseCase::Metadata),
            task(&"a".parse().unwrap(), 20_071_011, UseCase::Metadata),
            task(&"c".parse().unwrap(), 20_071_013, UseCase::Preview),
        ]);
        assert_eq!(case.order(), ["a/metadata", "b/metadata", "c/preview"]);
        case.config.plan.order = Order::Newest;
        assert_eq!(case.order(), ["c/preview", "b/metadata", "a/metadata"]);
        case.config.plan.priority_nights = vec![Night::new(20_071_012).unwrap()];
        assert_eq!(case.order()[0], "b/metadata");
        case.standing.push(standing(Subject::UseCase(UseCase::Preview), Instruction::Priority(5)));
        assert_eq!(case.order()[..2], ["c/preview", "b/metadata"]);
    }

    #[test]
    fn instructions_close_units_and_hosts_and_move_tasks() {
        let mut case = Case::new(vec![task(&"a".parse().unwrap(), 20_071_011, UseCase::Preview)]);
        case.standing
            .push(standing(Subject::Night(Night::new(20_071_011).unwrap()), Instruction::Pause));
        case.standing.push(standing(Subject::Host("n2".parse().unwrap()), Instruction::Drain));
        let work = case.work();
        let closed = work.situation.groups[0].closed.as_deref();
        assert_eq!(closed, Some("night 20071011 is paused by anna: new fan"));
        let closed = work.situation.hosts[1].closed.as_deref();
        assert_eq!(closed, Some("host n2 is drained by anna: new fan"));
        case.standing = vec![standing(Subject::All, Instruction::Move("n2".parse().unwrap()))];
        assert_eq!(case.work().situation.tasks[0].host, Some(1));
        case.standing = vec![standing(Subject::All, Instruction::Move("n7".parse().unwrap()))];
        let closed = case.work().situation.tasks[0].closed.clone();
        assert_eq!(closed.as_deref(), Some("the task is bound to host n7, which does not exist"));
        case.standing.clear();
        case.open[0].assignment = Some(Assignment {
            plan_id: model::PlanId::new(1).unwrap(),
            host: "n2".parse().unwrap(),
            starts: now(),
            seconds: 1.0,
            approved: true,
            is_bound: true,
        });
        assert_eq!(case.work().situation.tasks[0].host, Some(1));
    }

    #[test]
    fn a_busy_machine_is_one_line_that_names_the_setting() {
        let nights = (20_071_001..20_071_031).map(|n| (format!("{n}_v1"), n));
        let mut open = Vec::new();
        for (name, night) in nights {
            for number in 1..=5 {
                let mut task = task(&name.parse().unwrap(), night, UseCase::Preview);
                task.key.task = TaskNumber::new(number).unwrap();
                open.push(task);
            }
        }
        let mut case = Case::new(open);
        case.hosts.iter_mut().for_each(|(_, load)| *load = 9.0);
        let work = case.work();
        let plan = dispatch::planner::plan(&work.situation);
        let document =
            crate::scheduler::document::document(&work, &plan, ("local", now()), &|_| false, &[]);
        let text = document.text("plan 1");
        let why =
            "no host can be used: n1: load 9.0 of others, above 1.5 per core ([plan] max_load)";
        let lines: Vec<&str> = text.lines().filter(|line| line.contains(why)).collect();
        assert_eq!(lines.len(), 1, "{text}");
        assert!(lines[0].starts_with("30 units  150 tasks"), "{text}");
        assert!(text.lines().count() < 15, "{text}");
    }

    #[test]
    fn running_tasks_keep_their_cores_and_their_successors_wait() {
        let mut case = Case::new(vec![task(&"a".parse().unwrap(), 20_071_011, UseCase::Catalogue)]);
        let attempt = |host: &HostName, waits| UnderWay {
            unit: ("a".parse().unwrap(), UseCase::Metadata),
            host: host.to_owned(),
            input_bytes: 2_500_000_000, // 10.3 s on day one
            memory_bytes: 450_000_000,
            seconds: 4.0,
            waits,
        };
        case.under_way = vec![
            attempt(&"n1".parse().unwrap(), false),
            attempt(&"n1".parse().unwrap(), false),
            attempt(&"n1".parse().unwrap(), true),
            attempt(&"n2".parse().unwrap(), false),
        ];
        let work = case.work();
        let left = |h: usize| -> Vec<i64> {
            work.situation.hosts[h].busy.iter().map(|b| (10.0 * b.left).round() as i64).collect()
        };
        assert_eq!((left(0), left(1)), (vec![166, 63], vec![63]));
        assert!((work.situation.groups[0].from - 10.3).abs() < 1e-6, "the one that waits");
        assert_eq!(work.situation.tasks[0].memory_bytes, 450_000_000);
        case.open[0].memory_failures = 1;
        case.open[0].memory_bytes = 450_000_000;
        assert_eq!(case.work().situation.tasks[0].memory_bytes, 900_000_000);
    }

    #[test]
    fn quiet_hours_cross_midnight_and_repeat() {
        let spans = [Span { from: 1320, to: 390 }, Span { from: 720, to: 780 }];
        let windows = quiet(&spans, now()); // 03:00
        assert_eq!(windows[0], (0.0, 3.5 * 3600.0), "it is quiet now, until 06:30");
        assert_eq!(windows[1], (9.0 * 3600.0, 10.0 * 3600.0));
        assert_eq!(windows[2], (19.0 * 3600.0, 27.5 * 3600.0));
        assert!(windows.windows(2).all(|w| w[0].1 < w[1].0));
        assert_eq!(quiet(&[], now()), []);
    }
}
