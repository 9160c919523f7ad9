//! The best order of a small number of tasks, by branch and bound.
//!
//! Tasks are placed in the order of their starts, each as early as it can on the host chosen: some schedule of that kind
//! is the best (a schedule in which no task can start earlier is one, and moving tasks earlier never makes it longer).

use super::schedule::{Outcome, Scheduler};
use super::{Placement, Seconds, Situation, seconds_on};

/// Maximum number of tasks that are searched.
const MAX_TASKS: usize = 10;
/// Maximum number of placements that are tried.
const MAX_STEPS: u32 = 300_000;
/// Ratio to the lower bound up to which no better plan is searched.
const GOOD: f64 = 1.001;

/// Returns a better plan than the known one, if there are few tasks and a better one is found.
pub(super) fn best_order(
    scheduler: &mut Scheduler<'_>,
    lower_bound: Seconds,
    known: &Outcome,
) -> Option<Outcome> {
    let situation = scheduler.situation();
    let tasks = scheduler.tasks().to_vec();
    let has_busy = situation.hosts.iter().any(|h| h.busy.len() > 2 * h.cores as usize);
    if tasks.len() > MAX_TASKS || !known.unplanned.is_empty() || has_busy {
        return None;
    }
    let mut search = Search {
        situation,
        usable: scheduler.usable().to_vec(),
        tasks,
        lower_bound,
        best: None,
        limit: known.makespan,
        steps: 0,
        placed: Vec::new(),
        disks: situation.disks.clone(),
    };
    search.deepen(0.0, None);
    let placements = search.best?;
    Some(Outcome { makespan: search.limit, placements, unplanned: Vec::new() })
}

struct Search<'a> {
    situation: &'a Situation,
    usable: Vec<usize>,
    tasks: Vec<usize>,
    lower_bound: Seconds,
    best: Option<Vec<Placement>>,
    limit: Seconds,
    steps: u32,
    placed: Vec<Placement>,
    disks: Vec<u64>,
}

impl Search<'_> {
    fn is_finished(&self) -> bool {
        self.steps >= MAX_STEPS || self.limit <= GOOD * self.lower_bound
    }

    /// Places one more task, not before `from`; of tasks that start together, the larger number is placed later.
    fn deepen(&mut self, from: Seconds, last: Option<usize>) {
        if self.placed.len() == self.tasks.len() {
            let makespan = self.placed.iter().map(Placement::end).fold(0.0, f64::max);
            if makespan < 0.999 * self.limit {
                self.limit = makespan;
                self.best = Some(self.placed.clone());
            }
            return;
        }
        for at in 0..self.tasks.len() {
            let t = self.tasks[at];
            if self.is_finished() {
                return;
            }
            let Some(ready) = self.ready(t) else { continue };
            for host in self.hosts_for(t) {
                let Some(placement) = self.earliest(t, host, ready.max(from)) else { continue };
                let is_repeat = placement.start <= from && last.is_some_and(|last| t < last);
                if is_repeat || placement.end() >= 0.999 * self.limit {
                    continue;
                }
                self.steps += 1;
                let output = self.situation.tasks[t].output_bytes;
                let disk = self.situation.hosts[host].disk;
                if let Some(left) = self.disks.get_mut(disk) {
                    *left -= output;
                }
                self.placed.push(placement);
                self.deepen(placement.start, Some(t));
                self.placed.pop();
                if let Some(left) = self.disks.get_mut(disk) {
                    *left += output;
                }
            }
        }
    }

    /// Returns the time from which a task may start; `None` when it is placed, or a task before it is not.
    fn ready(&self, t: usize) -> Option<Seconds> {
        if self.placed.iter().any(|p| p.task == t) {
            return None;
        }
        let group = &self.situation.groups[self.situation.tasks[t].group];
        let mut ready = group.from;
        let mut open = group.after.clone();
        let mut seen = vec![false; self.situation.groups.len()];
        while let Some(group) = open.pop() {
            if std::mem::replace(&mut seen[group], true) {
                continue;
            }
            for other in self.tasks.iter().filter(|o| self.situation.tasks[**o].group == group) {
                ready = ready.max(self.placed.iter().find(|p| p.task == *other)?.end());
            }
            // A group without tasks delays the groups after it until its own earliest start.
            ready = ready.max(self.situation.groups[group].from);
            open.extend(&self.situation.groups[group].after);
        }
        Some(ready)
    }

    /// Returns the hosts that are large enough; of several equal ones on which nothing is placed, the first.
    fn hosts_for(&self, t: usize) -> Vec<usize> {
        let task = &self.situation.tasks[t];
        let mut hosts: Vec<usize> = Vec::new();
        for h in self.usable.iter().copied() {
            let host = &self.situation.hosts[h];
            let has_space = self.disks.get(host.disk).is_none_or(|left| *left >= task.output_bytes);
            let is_chosen = task.host.is_none_or(|chosen| chosen == h);
            if task.threads > host.cores
                || task.memory_bytes > host.memory_bytes
                || !has_space
                || !is_chosen
            {
                continue;
            }
            let is_empty = |h: usize| !self.placed.iter().any(|p| p.host == h);
            let is_alike = |other: usize| {
                let (a, b) = (&self.situation.hosts[other], host);
                is_empty(other)
                    && a.cores == b.cores
                    && a.memory_bytes == b.memory_bytes
                    && a.speed == b.speed
                    && a.has_library == b.has_library
                    && a.busy == b.busy
                    && a.quiet == b.quiet
                    && a.disk == b.disk
            };
            let is_chosen_by_any =
                self.tasks.iter().any(|t| self.situation.tasks[*t].host.is_some());
            if is_empty(h) && !is_chosen_by_any && hosts.iter().any(|o| is_alike(*o)) {
                continue;
            }
            hosts.push(h);
        }
        hosts
    }

    fn earliest(&self, t: usize, h: usize, from: Seconds) -> Option<Placement> {
        let (task, host) = (&self.situation.tasks[t], &self.situation.hosts[h]);
        let seconds = seconds_on(task, host, &self.situation.policy);
        let mut ends: Vec<Seconds> = vec![from];
        ends.extend(self.placed.iter().filter(|p| p.host == h).map(Placement::end));
        ends.extend(host.busy.iter().map(|b| b.left));
        ends.extend(host.quiet.iter().map(|(_, to)| *to));
        ends.retain(|e| *e >= from);
        ends.sort_by(f64::total_cmp);
        ends.into_iter().find_map(|start| {
            let (mut threads, mut memory) = (task.threads, task.memory_bytes);
            for p in self.placed.iter().filter(|p| p.host == h && p.end() > start) {
                threads += self.situation.tasks[p.task].threads;
                memory += self.situation.tasks[p.task].memory_bytes;
            }
            for busy in host.busy.iter().filter(|b| b.left > start) {
                threads += busy.threads;
                memory += busy.memory_bytes;
            }
            let end = start + seconds;
            let is_quiet = host.quiet.iter().any(|(a, b)| start < *b && end > *a);
            let is_known = host.quiet.last().is_none_or(|(a, _)| end <= *a);
            let fits = threads <= host.cores && memory <= host.memory_bytes;
            (fits && !is_quiet && is_known).then_some(Placement {
                task: t,
                host: h,
                start,
                seconds,
            })
        })
    }
}
