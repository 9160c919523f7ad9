//! Placement of tasks on hosts and in time: a pure function from hosts, tasks and policy to a plan.
//!
//! Takes hosts with their cores, memory, disks, load and running work, tasks in groups, and a policy; returns a placement for
//! every task that can be done, and a reason for every other one. Times are seconds from now. Nothing is read or written here,
//! and the same input yields the same plan.
//!
//! Tasks are placed one after the other, the most urgent first, each where it ends soonest (list scheduling by earliest
//! completion). Independent tasks of one thread end, on n cores of equal speed, at most one task's time after the lower bound
//! (Graham 1969); when the plan is far from the bound, long tasks are placed first (Graham's LPT: at most 1/k more than the bound
//! when each core has k tasks). The best order of a small number of tasks is found by search.
//!
//! Start at [`plan`]; [`costs`] learns the costs of tasks on hosts.

mod bound;
pub mod costs;
mod schedule;
mod search;

use costs::Speeds;
use model::{HostName, UseCase};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// Ratio to the lower bound up to which a plan is good enough.
const GOOD: f64 = 1.03;
/// Share of the lower bound beyond which a task is started early, when urgency alone leaves hosts idle at the end.
const LONG: f64 = 0.04;

/// Seconds from now.
pub type Seconds = f64;

/// A computer, or the part of it that a batch system grants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// Name of the host, unique.
    pub name: HostName,
    /// Cores that tasks may use.
    pub cores: u32,
    /// Memory that tasks may use, in bytes.
    pub memory_bytes: u64,
    /// Index in [`Situation::disks`] of the disk that takes the output of the host's tasks.
    pub disk: usize,
    /// Speed of the host.
    pub speed: Speeds,
    /// True when the library is on a disk of the host itself.
    pub has_library: bool,
    /// Load average that is not of our tasks.
    pub load: f64,
    /// Our work that already runs on the host.
    pub busy: Vec<Busy>,
    /// Reason why nothing new may start there (paused, draining, not answering); `None` when something may.
    pub closed: Option<String>,
    /// Spans in which no tasks may run there, ascending and disjoint.
    pub quiet: Vec<(Seconds, Seconds)>,
}

/// Running work.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Busy {
    /// Expected end.
    pub left: Seconds,
    /// Number of cores.
    pub threads: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
}

/// Tasks that belong together: a unit, or part of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Name of the group in reasons.
    pub name: String,
    /// Groups whose tasks must all have ended before a task of this group starts.
    pub after: Vec<usize>,
    /// Priority: tasks of a higher one are placed before all of a lower one, at any cost.
    pub priority: i64,
    /// Urgency among groups of equal priority, lower is more urgent: ignored where hosts would be idle at the end because of it.
    pub urgency: i64,
    /// Earliest start: the running work of the groups before this group ends then.
    pub from: Seconds,
    /// Reason why no task of the group may start; `None` when they may.
    pub closed: Option<String>,
}

/// One piece of work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Index of the group of the task.
    pub group: usize,
    /// Use case.
    pub use_case: UseCase,
    /// Duration at speed 1, without reading.
    pub seconds: Seconds,
    /// Number of cores.
    pub threads: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Bytes that the task reads from the library.
    pub input_bytes: u64,
    /// Bytes that the task writes.
    pub output_bytes: u64,
    /// Index of the only host that may do the task, when the operator chose one.
    pub host: Option<usize>,
    /// Reason why the task may not start; `None` when it may.
    pub closed: Option<String>,
}

/// The policy of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Maximum number of hosts in use at a time; 0 = all.
    pub max_hosts: usize,
    /// Foreign load per core above which a host is not used; 0 = any load.
    pub max_load: f64,
    /// Bytes per second at which a host reads a library that is not on its own disk; 0 = as fast as from its own.
    pub remote_rate: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Self { max_hosts: 0, max_load: 1.5, remote_rate: 100e6 }
    }
}

/// The complete input of a plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Situation {
    /// The hosts.
    pub hosts: Vec<Host>,
    /// Free bytes of each disk that takes output.
    pub disks: Vec<u64>,
    /// The groups. No group comes after itself, directly or indirectly.
    pub groups: Vec<Group>,
    /// The tasks.
    pub tasks: Vec<Task>,
    /// The policy.
    pub policy: Policy,
}

/// The host and the time of a task.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Placement {
    /// Index of the task.
    pub task: usize,
    /// Index of the host.
    pub host: usize,
    /// Start of the task.
    pub start: Seconds,
    /// Duration of the task.
    pub seconds: Seconds,
}

impl Placement {
    /// Returns the end of the task.
    pub fn end(&self) -> Seconds {
        self.start + self.seconds
    }
}

/// Reason why a task is not planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "code")]
pub enum Reason {
    /// The task, or its group, may not start.
    Closed {
        /// Reason given by the operator or the pipeline.
        why: String,
    },
    /// No host may be used at all.
    NoHost {
        /// Each host with the reason against it.
        hosts: Vec<String>,
    },
    /// No usable host is large enough.
    TooLarge {
        /// Cores that the task needs.
        threads: u32,
        /// Memory that the task needs, in bytes.
        memory_bytes: u64,
        /// Cores of the largest host.
        max_cores: u32,
        /// Memory of the largest host, in bytes.
        max_memory_bytes: u64,
    },
    /// The host that the operator chose cannot be used.
    HostClosed {
        /// Name of the host.
        host: HostName,
        /// Reason against the host.
        why: String,
    },
    /// The output of the task would not fit.
    #[serde(rename = "no_room")]
    NoSpace {
        /// Bytes that the task writes.
        output_bytes: u64,
        /// Bytes that are free after the tasks before it, on the disk with the most free space.
        free_bytes: u64,
    },
    /// A group before the task's own is not planned completely.
    After {
        /// Name of that group.
        group: String,
    },
    /// No span between quiet hours is long enough.
    NoTime {
        /// Duration on the fastest host.
        seconds: Seconds,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mb = |bytes: u64| bytes / 1_000_000;
        match self {
            Self::Closed { why } => f.write_str(why),
            Self::NoHost { hosts } if hosts.is_empty() => f.write_str("there are no hosts"),
            Self::NoHost { hosts } => write!(f, "no host can be used: {}", hosts.join("; ")),
            Self::TooLarge { threads, memory_bytes, max_cores, max_memory_bytes } => write!(
                f,
                "the task needs {threads} cores and {} MB, the largest host has {max_cores} and {} MB",
                mb(*memory_bytes),
                mb(*max_memory_bytes)
            ),
            Self::HostClosed { host, why } => {
                write!(f, "assigned to {host}, which cannot be used: {why}")
            }
            Self::NoSpace { output_bytes, free_bytes } => write!(
                f,
                "the task writes about {} MB, and {} MB are free on the disk",
                mb(*output_bytes),
                mb(*free_bytes)
            ),
            Self::After { group } => write!(f, "waits for {group}, which is not planned"),
            Self::NoTime { seconds } => {
                write!(f, "the task takes {seconds:.0} s, longer than the time between quiet hours")
            }
        }
    }
}

impl Reason {
    /// Returns the reason without the parts that differ from task to task: tasks with the same cause are one line of a report.
    pub fn cause(&self) -> String {
        match self {
            Self::NoSpace { .. } => {
                "the output does not fit on the disk where products are staged".to_owned()
            }
            Self::After { group } => match group.rsplit_once('/') {
                Some((_, use_case)) => format!("waits for {use_case}, which is not planned"),
                None => self.to_string(),
            },
            Self::NoTime { .. } => {
                "the task takes longer than the time between quiet hours ([hosts] quiet_hours)"
                    .to_owned()
            }
            Self::TooLarge { max_cores, max_memory_bytes, .. } => format!(
                "the task needs more than the largest host has: {max_cores} cores and {} MB",
                max_memory_bytes / 1_000_000
            ),
            Self::Closed { .. } | Self::NoHost { .. } | Self::HostClosed { .. } => self.to_string(),
        }
    }
}

/// The placements of tasks, and the reasons why the others have none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Placements, by start, then host.
    pub placements: Vec<Placement>,
    /// Tasks without a placement, each with the reason, by task.
    pub unplanned: Vec<(usize, Reason)>,
    /// End of the last task.
    pub makespan: Seconds,
    /// Lower bound: no plan of these tasks can end before.
    pub lower_bound: Seconds,
    /// Hosts that are not used, each with the reason.
    pub unused_hosts: Vec<(usize, String)>,
}

/// Makes the plan of a situation.
///
/// # Panics
/// Never for groups without a cycle; tasks of groups in a cycle are not planned.
pub fn plan(situation: &Situation) -> Plan {
    let (usable, unused_hosts) = usable_hosts(situation);
    let mut unplanned = refused(situation, &usable, &unused_hosts);
    close_followers(situation, &mut unplanned);
    let mut scheduler = schedule::Scheduler::new(situation, &usable, &unplanned);
    let mut lower_bound = bound::lower_bound(situation, &usable, scheduler.tasks());
    let mut best = scheduler.run(&schedule::by_urgency(situation, &usable, None));
    if best.makespan > GOOD * lower_bound {
        let long = LONG * lower_bound;
        let other = scheduler.run(&schedule::by_urgency(situation, &usable, Some(long)));
        if other.is_better_than(&best) {
            best = other;
        }
        let is_free = situation.groups.windows(2).all(|w| w[0].priority == w[1].priority);
        if is_free
            && best.makespan > GOOD * lower_bound
            && let Some(found) = search::best_order(&mut scheduler, lower_bound, &best)
        {
            best = found;
        }
    }
    unplanned.extend(best.unplanned);
    unplanned.sort_by_key(|(task, _)| *task);
    unplanned.dedup_by_key(|(task, _)| *task);
    if best.placements.is_empty() {
        lower_bound = 0.0;
    }
    best.placements.sort_by(|a, b| {
        a.start.total_cmp(&b.start).then(a.host.cmp(&b.host)).then(a.task.cmp(&b.task))
    });
    Plan {
        makespan: best.makespan,
        placements: best.placements,
        unplanned,
        lower_bound: lower_bound.min(best.makespan),
        unused_hosts,
    }
}

/// Returns the duration of a task on a host.
pub fn seconds_on(task: &Task, host: &Host, policy: &Policy) -> Seconds {
    let speed = host.speed.of(task.use_case);
    let reading = match host.has_library || policy.remote_rate <= 0.0 {
        true => 0.0,
        false => task.input_bytes as f64 / policy.remote_rate,
    };
    task.seconds / speed.max(1e-6) + reading
}

/// Returns the hosts that may be used, and the reason against each other host.
fn usable_hosts(situation: &Situation) -> (Vec<usize>, Vec<(usize, String)>) {
    let policy = &situation.policy;
    let mut usable = Vec::new();
    let mut unused_hosts = Vec::new();
    for (at, host) in situation.hosts.iter().enumerate() {
        let load = host.load / f64::from(host.cores.max(1));
        if let Some(why) = &host.closed {
            unused_hosts.push((at, why.clone()));
        } else if host.cores == 0 {
            unused_hosts.push((at, "no cores for tasks ([hosts] cores)".to_owned()));
        } else if policy.max_load > 0.0 && load > policy.max_load {
            let (max_load, load) = (policy.max_load, host.load);
            unused_hosts.push((
                at,
                format!("load {load:.1} of others, above {max_load} per core ([plan] max_load)"),
            ));
        } else {
            usable.push(at);
        }
    }
    let max_hosts = match policy.max_hosts {
        0 => usable.len(),
        n => n,
    };
    // Hosts that already work for us first, then those that are strongest in what is to be done.
    let use_cases: BTreeSet<UseCase> = situation.tasks.iter().map(|t| t.use_case).collect();
    let strength = |at: usize| {
        let host = &situation.hosts[at];
        let speed = host.speed.sum(&use_cases) * f64::from(host.cores);
        (host.busy.is_empty(), std::cmp::Reverse((speed * 1000.0) as u64), !host.has_library, at)
    };
    usable.sort_by_key(|at| strength(*at));
    for at in usable.split_off(max_hosts.min(usable.len())) {
        unused_hosts
            .push((at, format!("at most {max_hosts} hosts may be used ([plan] max_hosts)")));
    }
    usable.sort_unstable();
    unused_hosts.sort_by_key(|(at, _)| *at);
    (usable, unused_hosts)
}

/// Returns the tasks that cannot be planned, regardless of the others.
fn refused(
    situation: &Situation,
    usable: &[usize],
    unused_hosts: &[(usize, String)],
) -> Vec<(usize, Reason)> {
    let hosts = &situation.hosts;
    let max_cores = usable.iter().map(|h| hosts[*h].cores).max().unwrap_or(0);
    let max_memory_bytes = usable.iter().map(|h| hosts[*h].memory_bytes).max().unwrap_or(0);
    let fits = |task: &Task, host: &Host| {
        task.threads <= host.cores && task.memory_bytes <= host.memory_bytes
    };
    let reason = |task: &Task| {
        let group = &situation.groups[task.group];
        if let Some(why) = task.closed.as_ref().or(group.closed.as_ref()) {
            return Some(Reason::Closed { why: why.clone() });
        }
        if let Some(host) = task.host {
            let name = hosts[host].name.clone();
            if let Some((_, why)) = unused_hosts.iter().find(|(at, _)| *at == host) {
                return Some(Reason::HostClosed { host: name, why: why.clone() });
            }
            return (!fits(task, &hosts[host])).then(|| Reason::TooLarge {
                threads: task.threads,
                memory_bytes: task.memory_bytes,
                max_cores: hosts[host].cores,
                max_memory_bytes: hosts[host].memory_bytes,
            });
        }
        if usable.is_empty() {
            let hosts = unused_hosts.iter().map(|(at, why)| format!("{}: {why}", hosts[*at].name));
            return Some(Reason::NoHost { hosts: hosts.collect() });
        }
        let is_large = task.threads > 1 || task.memory_bytes > 0;
        (is_large && !usable.iter().any(|h| fits(task, &hosts[*h]))).then_some(Reason::TooLarge {
            threads: task.threads,
            memory_bytes: task.memory_bytes,
            max_cores,
            max_memory_bytes,
        })
    };
    let of = |(at, task)| reason(task).map(|reason| (at, reason));
    situation.tasks.iter().enumerate().filter_map(of).collect()
}

/// Adds the tasks of groups after one that is not planned completely.
fn close_followers(situation: &Situation, unplanned: &mut Vec<(usize, Reason)>) {
    let mut broken = vec![false; situation.groups.len()];
    for (task, _) in unplanned.iter() {
        broken[situation.tasks[*task].group] = true;
    }
    // A group is broken by any group before it, directly or indirectly.
    let mut behind: Vec<Option<usize>> = vec![None; broken.len()];
    let mut is_changed = true;
    while is_changed {
        is_changed = false;
        for (at, group) in situation.groups.iter().enumerate() {
            if behind[at].is_none()
                && let Some(before) =
                    group.after.iter().find(|g| broken[**g] || behind[**g].is_some())
            {
                behind[at] = Some(*before);
                is_changed = true;
            }
        }
    }
    let known: std::collections::HashSet<usize> = unplanned.iter().map(|(task, _)| *task).collect();
    for (at, task) in situation.tasks.iter().enumerate() {
        if let Some(before) = behind[task.group].filter(|_| !known.contains(&at)) {
            let group = situation.groups[before].name.clone();
            unplanned.push((at, Reason::After { group }));
        }
    }
}

#[cfg(test)]
mod tests;
