//! A lower bound of the end of all plans.

use super::{Seconds, Situation, seconds_on};
use model::UseCase;
use std::collections::{BTreeMap, BTreeSet};

/// Returns the time before which these tasks cannot all be done on these hosts: the largest of the bounds by the capacity of the
/// cores, with and without regard to memory, and the longest chain.
pub(super) fn lower_bound(situation: &Situation, usable: &[usize], tasks: &[usize]) -> Seconds {
    if tasks.is_empty() || usable.is_empty() {
        return 0.0;
    }
    let by_chain = longest_chain(situation, usable, tasks);
    let mut thresholds: BTreeSet<u64> =
        tasks.iter().map(|t| situation.tasks[*t].memory_bytes).collect();
    thresholds.insert(0);
    // Usually there are few sizes; of many, some suffice.
    let step = thresholds.len().div_ceil(16);
    thresholds
        .into_iter()
        .step_by(step)
        .map(|min_memory_bytes| by_capacity(situation, usable, tasks, min_memory_bytes))
        .fold(by_chain, f64::max)
}

/// Returns the end of the tasks that take at least `min_memory_bytes`, if cores were never idle and tasks could be cut.
fn by_capacity(
    situation: &Situation,
    usable: &[usize],
    tasks: &[usize],
    min_memory_bytes: u64,
) -> Seconds {
    let large = || {
        tasks.iter().map(|t| &situation.tasks[*t]).filter(|t| t.memory_bytes >= min_memory_bytes)
    };
    // In reference seconds, at the best speed of each host; and in seconds of the fastest host.
    let reference: f64 = large().map(|t| t.seconds * f64::from(t.threads)).sum();
    let use_cases: BTreeSet<UseCase> = large().map(|t| t.use_case).collect();
    let rate = |h: usize| situation.hosts[h].speed.max(&use_cases);
    let speed_of =
        |u: UseCase| usable.iter().map(|h| situation.hosts[*h].speed.of(u)).fold(0.0, f64::max);
    let fastest: BTreeMap<UseCase, f64> =
        use_cases.iter().map(|use_case| (*use_case, speed_of(*use_case))).collect();
    let quickest: f64 =
        large().map(|t| t.seconds / fastest[&t.use_case].max(1e-6) * f64::from(t.threads)).sum();
    let slots = |h: usize| {
        let host = &situation.hosts[h];
        let by_memory = host.memory_bytes.checked_div(min_memory_bytes).unwrap_or(u64::MAX);
        u64::from(host.cores).min(by_memory) as f64
    };
    let done = |until: Seconds, rate: &dyn Fn(usize) -> f64| -> f64 {
        usable.iter().map(|h| rate(*h) * capacity(situation, *h, slots(*h), until)).sum()
    };
    let when = |work: f64, rate: &dyn Fn(usize) -> f64| {
        let mut high = 1.0;
        while done(high, rate) < work && high < 1e9 {
            high *= 2.0;
        }
        let mut low = 0.0;
        for _ in 0..40 {
            let middle = (low + high) / 2.0;
            if done(middle, rate) < work {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    };
    when(reference, &rate).max(when(quickest, &|_| 1.0))
}

/// Returns the core-seconds that a host has until a time.
fn capacity(situation: &Situation, host: usize, slots: f64, until: Seconds) -> f64 {
    let host = &situation.hosts[host];
    let quiet: f64 =
        host.quiet.iter().map(|(from, to)| (to.min(until) - from.min(until)).max(0.0)).sum();
    let busy: f64 = host.busy.iter().map(|b| b.left.min(until) * f64::from(b.threads)).sum();
    // With more cores than memory for tasks of this size, running tasks may use the other cores.
    let beside = (f64::from(host.cores) - slots) * until;
    (slots * (until - quiet) - (busy - beside).max(0.0)).max(0.0)
}

fn longest_chain(situation: &Situation, usable: &[usize], tasks: &[usize]) -> Seconds {
    let mut longest = vec![0.0_f64; situation.groups.len()];
    let mut quickest: Vec<usize> = Vec::new(); // one host of each kind suffices
    for h in usable {
        let host = &situation.hosts[*h];
        if !quickest.iter().any(|q| {
            let other = &situation.hosts[*q];
            other.speed == host.speed && other.has_library == host.has_library
        }) {
            quickest.push(*h);
        }
    }
    for t in tasks {
        let task = &situation.tasks[*t];
        let hosts =
            task.host.as_slice().iter().chain(quickest.iter().filter(|_| task.host.is_none()));
        let shortest = hosts
            .map(|h| seconds_on(task, &situation.hosts[*h], &situation.policy))
            .fold(f64::INFINITY, f64::min);
        longest[task.group] = longest[task.group].max(shortest);
    }
    let mut ends = vec![0.0_f64; longest.len()];
    for group in super::schedule::in_order(&situation.groups) {
        let of = &situation.groups[group];
        let start = of.after.iter().map(|g| ends[*g]).fold(of.from, f64::max);
        ends[group] = start + longest[group];
    }
    // Groups without tasks only delay the groups after them.
    let has_tasks = tasks.iter().map(|t| situation.tasks[*t].group);
    has_tasks.map(|group| ends[group]).fold(0.0, f64::max)
}
