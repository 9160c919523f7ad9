//! Placing tasks one after the other, each where it ends soonest.
//!
//! Hosts are found through heaps of the earliest time at which they could take a task of some kind. Those times only grow while
//! tasks are placed, so an old entry is a lower bound, and is corrected when it reaches the top.

use super::{Placement, Reason, Seconds, Situation, Task, seconds_on};
use model::UseCase;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// Factor up to which speeds count as equal in the search for hosts.
const SPEED_STEP: f64 = 1.05;

/// The outcome of one order of the tasks.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    pub placements: Vec<Placement>,
    pub unplanned: Vec<(usize, Reason)>,
    pub makespan: Seconds,
}

impl Outcome {
    pub(super) fn is_better_than(&self, other: &Self) -> bool {
        let value = |o: &Self| (o.unplanned.len(), o.makespan);
        let (mine, theirs) = (value(self), value(other));
        mine.0 < theirs.0 || (mine.0 == theirs.0 && mine.1 < 0.995 * theirs.1)
    }
}

/// A total order of finite times.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Time(Seconds);

impl Eq for Time {}

impl PartialOrd for Time {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Time {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// A span in which a host works for us, with the ends of its tasks, ascending.
#[derive(Clone, Debug)]
struct Session {
    from: Seconds,
    to: Seconds,
    running: Vec<Running>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    end: Seconds,
    threads: u32,
    memory_bytes: u64,
}

/// Tasks that request the same of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Kind {
    use_case: UseCase,
    threads: u32,
    memory_bytes: u64,
}

type Heap = BinaryHeap<Reverse<(Time, usize)>>;

/// The hosts for one kind, those of about the same speed together.
struct Candidates {
    classes: Vec<Class>,
    /// Duration of the shortest task of the kind, on a host of speed 1.
    shortest: Seconds,
}

/// Hosts of about the same speed, and the fastest of them.
struct Class {
    heap: Heap,
    fastest: usize,
}

/// The part of a search that does not change between two orders.
pub(super) struct Scheduler<'a> {
    situation: &'a Situation,
    usable: Vec<usize>,
    tasks: Vec<usize>,
    kinds: Vec<Kind>,
    kind_of: Vec<usize>,
    shortest: Vec<Seconds>,
}

impl<'a> Scheduler<'a> {
    pub(super) fn new(
        situation: &'a Situation,
        usable: &[usize],
        unplanned: &[(usize, Reason)],
    ) -> Self {
        let mut is_out = vec![false; situation.tasks.len()];
        for (task, _) in unplanned {
            is_out[*task] = true;
        }
        let tasks: Vec<usize> = (0..is_out.len()).filter(|t| !is_out[*t]).collect();
        let mut known: HashMap<Kind, usize> = HashMap::new();
        let mut kinds = Vec::new();
        let mut shortest = Vec::new();
        let mut kind_of = vec![usize::MAX; situation.tasks.len()];
        for t in &tasks {
            let task = &situation.tasks[*t];
            let kind = Kind {
                use_case: task.use_case,
                threads: task.threads,
                memory_bytes: task.memory_bytes,
            };
            let at = *known.entry(kind).or_insert_with(|| {
                kinds.push(kind);
                shortest.push(f64::INFINITY);
                kinds.len() - 1
            });
            kind_of[*t] = at;
            shortest[at] = shortest[at].min(task.seconds);
        }
        Self { situation, usable: usable.to_vec(), tasks, kinds, kind_of, shortest }
    }

    /// Returns the tasks that can be planned.
    pub(super) fn tasks(&self) -> &[usize] {
        &self.tasks
    }

    pub(super) fn situation(&self) -> &'a Situation {
        self.situation
    }

    pub(super) fn usable(&self) -> &[usize] {
        &self.usable
    }

    /// Places the tasks, those of the lowest rank first among those that can start.
    pub(super) fn run(&mut self, rank: &[u32]) -> Outcome {
        let mut run = Run::new(self, rank);
        run.release_free_groups();
        run.place_all();
        run.finish()
    }

    fn candidates(&self, kind: usize, sessions: &[Vec<Session>]) -> Candidates {
        let Kind { use_case, threads, memory_bytes } = self.kinds[kind];
        let mut by_class: HashMap<(i64, bool), Heap> = HashMap::new();
        for h in &self.usable {
            let host = &self.situation.hosts[*h];
            if host.cores < threads || host.memory_bytes < memory_bytes {
                continue;
            }
            let speed = host.speed.of(use_case).max(1e-6).ln() / SPEED_STEP.ln();
            let key = (speed.round() as i64, host.has_library);
            let from = sessions[*h].first().map_or(0.0, |s| s.from);
            by_class.entry(key).or_default().push(Reverse((Time(from), *h)));
        }
        let mut classes: Vec<_> = by_class.into_iter().collect();
        classes.sort_by_key(|(key, _)| Reverse(*key));
        let speed = |h: &usize| Time(self.situation.hosts[*h].speed.of(use_case));
        let class = |heap: Heap| {
            let fastest = heap.iter().map(|Reverse((_, h))| *h).max_by_key(speed)?;
            Some(Class { heap, fastest })
        };
        let classes = classes.into_iter().filter_map(|(_, heap)| class(heap)).collect();
        Candidates { classes, shortest: self.shortest[kind] }
    }
}

struct Run<'a, 'b> {
    scheduler: &'b Scheduler<'a>,
    rank: &'b [u32],
    sessions: Vec<Vec<Session>>,
    disks: Vec<u64>,
    candidates: Vec<Candidates>,
    /// Tasks that can start, or could if a host were free.
    available: BinaryHeap<Reverse<(u32, usize)>>,
    /// Groups, each with the time from which its tasks can start.
    pending: BinaryHeap<Reverse<(Time, usize)>>,
    groups: Vec<GroupState>,
    tasks_of: Vec<Vec<usize>>,
    followers: Vec<Vec<usize>>,
    outcome: Outcome,
}

#[derive(Clone, Default)]
struct GroupState {
    /// Number of tasks that are not placed.
    left: usize,
    /// Number of groups before this group that are not done.
    before: usize,
    ready: Seconds,
    end: Seconds,
}

impl<'a, 'b> Run<'a, 'b> {
    fn new(scheduler: &'b Scheduler<'a>, rank: &'b [u32]) -> Self {
        let situation = scheduler.situation;
        let sessions: Vec<_> = situation.hosts.iter().map(sessions_of).collect();
        let mut tasks_of = vec![Vec::new(); situation.groups.len()];
        for t in &scheduler.tasks {
            tasks_of[situation.tasks[*t].group].push(*t);
        }
        let mut followers = vec![Vec::new(); situation.groups.len()];
        let mut groups = vec![GroupState::default(); situation.groups.len()];
        for (at, group) in situation.groups.iter().enumerate() {
            groups[at].ready = group.from;
            groups[at].before = group.after.len();
            groups[at].left = tasks_of[at].len();
            for before in &group.after {
                followers[*before].push(at);
            }
        }
        let candidates =
            (0..scheduler.kinds.len()).map(|k| scheduler.candidates(k, &sessions)).collect();
        Self {
            scheduler,
            rank,
            sessions,
            disks: situation.disks.clone(),
            candidates,
            available: BinaryHeap::new(),
            pending: BinaryHeap::new(),
            groups,
            tasks_of,
            followers,
            outcome: Outcome::default(),
        }
    }

    fn release_free_groups(&mut self) {
        for group in 0..self.groups.len() {
            if self.scheduler.situation.groups[group].after.is_empty() {
                self.release(group);
            }
        }
    }

    /// Releases a group: all groups before it are done.
    fn release(&mut self, group: usize) {
        let ready = self.groups[group].ready;
        if self.tasks_of[group].is_empty() {
            self.groups[group].end = ready;
            self.complete(group);
        } else {
            self.pending.push(Reverse((Time(ready), group)));
        }
    }

    fn complete(&mut self, group: usize) {
        let end = self.groups[group].end;
        for follower in std::mem::take(&mut self.followers[group]) {
            let state = &mut self.groups[follower];
            state.ready = state.ready.max(end);
            state.before -= 1;
            if state.before == 0 {
                self.release(follower);
            }
        }
    }

    fn open_next_group(&mut self) {
        if let Some(Reverse((_, group))) = self.pending.pop() {
            let rank = self.rank;
            self.available.extend(self.tasks_of[group].iter().map(|t| Reverse((rank[*t], *t))));
        }
    }

    fn place_all(&mut self) {
        loop {
            let Some(Reverse((rank, t))) = self.available.pop() else {
                match self.pending.is_empty() {
                    true => return,
                    false => self.open_next_group(),
                }
                continue;
            };
            let task = &self.scheduler.situation.tasks[t];
            let ready = self.groups[task.group].ready;
            let placement = match self.best_host(t, task, ready) {
                Ok(placement) => placement,
                Err(reason) => {
                    self.outcome.unplanned.push((t, reason));
                    continue;
                }
            };
            // More urgent tasks that can start before this task come first.
            if self.pending.peek().is_some_and(|Reverse((at, _))| at.0 <= placement.start) {
                self.available.push(Reverse((rank, t)));
                self.open_next_group();
                continue;
            }
            self.place(placement);
        }
    }

    fn place(&mut self, placement: Placement) {
        let situation = self.scheduler.situation;
        let task = &situation.tasks[placement.task];
        let host = &situation.hosts[placement.host];
        if let Some(left) = self.disks.get_mut(host.disk) {
            *left = left.saturating_sub(task.output_bytes);
        }
        let end = placement.end();
        let running = Running { end, threads: task.threads, memory_bytes: task.memory_bytes };
        if let Some(session) =
            self.sessions[placement.host].iter_mut().find(|s| placement.start < s.to)
        {
            session.add(running, host.cores);
        }
        self.outcome.makespan = self.outcome.makespan.max(end);
        self.outcome.placements.push(placement);
        let group = &mut self.groups[task.group];
        group.end = group.end.max(end);
        group.left -= 1;
        if group.left == 0 {
            self.complete(task.group);
        }
    }

    /// Returns the placement at which the task ends soonest.
    fn best_host(&mut self, t: usize, task: &Task, ready: Seconds) -> Result<Placement, Reason> {
        let situation = self.scheduler.situation;
        let max_free_bytes = self.disks.iter().copied().max().unwrap_or(u64::MAX);
        if task.output_bytes > max_free_bytes {
            return Err(Reason::NoSpace {
                output_bytes: task.output_bytes,
                free_bytes: max_free_bytes,
            });
        }
        let on = |h: usize, sessions: &[Vec<Session>]| {
            let seconds = seconds_on(task, &situation.hosts[h], &situation.policy);
            let start = earliest(&situation.hosts[h], &sessions[h], task, ready, seconds)?;
            Some(Placement { task: t, host: h, start, seconds })
        };
        let has_space = |h: usize, disks: &[u64]| {
            disks.get(situation.hosts[h].disk).is_none_or(|left| *left >= task.output_bytes)
        };
        let mut best: Option<Placement> = None;
        let mut is_full = false;
        if let Some(h) = task.host {
            is_full = !has_space(h, &self.disks);
            best = on(h, &self.sessions).filter(|_| !is_full);
        } else {
            let candidates = &mut self.candidates[self.scheduler.kind_of[t]];
            let shortest = candidates.shortest;
            for Class { heap, fastest } in &mut candidates.classes {
                // Even the fastest host of the class, free when the first one is, would end later.
                let min_seconds = seconds_on(task, &situation.hosts[*fastest], &situation.policy);
                let from = heap.peek().map_or(0.0, |Reverse((known, _))| known.0.max(ready));
                if best.is_some_and(|best| from + min_seconds > best.end()) {
                    continue;
                }
                let mut considered = Vec::new();
                let mut of_class: Option<Placement> = None;
                while let Some(Reverse((known, h))) = heap.pop() {
                    if of_class.is_some_and(|best| best.start <= known.0.max(ready)) {
                        heap.push(Reverse((known, h)));
                        break;
                    }
                    // The entry of this host is updated for the next search.
                    let host = &situation.hosts[h];
                    let min_seconds = shortest / host.speed.of(task.use_case).max(1e-6);
                    let from = earliest(host, &self.sessions[h], task, 0.0, min_seconds);
                    let Some(from) = from else { continue };
                    considered.push(Reverse((Time(from), h)));
                    if !has_space(h, &self.disks) {
                        is_full = true;
                        continue;
                    }
                    let here = on(h, &self.sessions);
                    if let Some(here) = here.filter(|p| of_class.is_none_or(|b| p.start < b.start))
                    {
                        of_class = Some(here);
                    }
                }
                heap.extend(considered);
                if let Some(here) = of_class {
                    let value = |p: &Placement| (Time(p.end()), Time(p.start), p.host);
                    if best.is_none_or(|b| value(&here) < value(&b)) {
                        best = Some(here);
                    }
                }
            }
        }
        best.ok_or_else(|| match is_full {
            true => Reason::NoSpace { output_bytes: task.output_bytes, free_bytes: max_free_bytes },
            false => Reason::NoTime {
                seconds: (self.scheduler.usable.iter())
                    .map(|h| seconds_on(task, &situation.hosts[*h], &situation.policy))
                    .fold(f64::INFINITY, f64::min),
            },
        })
    }

    fn finish(mut self) -> Outcome {
        let situation = self.scheduler.situation;
        // Groups that were never released come after a group with tasks that could not be placed.
        for (at, state) in self.groups.iter().enumerate() {
            if state.before > 0 && !self.tasks_of[at].is_empty() {
                let before = situation.groups[at].after.iter().find(|g| {
                    let before = &self.groups[**g];
                    before.left > 0 || before.before > 0
                });
                let group = before.map(|g| situation.groups[*g].name.clone()).unwrap_or_default();
                let after = |t: &usize| (*t, Reason::After { group: group.clone() });
                self.outcome.unplanned.extend(self.tasks_of[at].iter().map(after));
            }
        }
        self.outcome
    }
}

fn sessions_of(host: &super::Host) -> Vec<Session> {
    let mut sessions: Vec<Session> = Vec::new();
    let mut from = 0.0;
    for (quiet_from, quiet_to) in &host.quiet {
        if *quiet_from > from {
            sessions.push(Session { from, to: *quiet_from, running: Vec::new() });
        }
        from = quiet_to.max(from);
    }
    if host.quiet.is_empty() {
        sessions.push(Session { from, to: f64::INFINITY, running: Vec::new() });
    }
    for session in &mut sessions {
        let from = session.from;
        for busy in host.busy.iter().filter(|busy| busy.left > from) {
            let (end, threads, memory_bytes) = (busy.left, busy.threads, busy.memory_bytes);
            session.add(Running { end, threads, memory_bytes }, host.cores);
        }
    }
    sessions
}

impl Session {
    fn add(&mut self, running: Running, cores: u32) {
        let at = self.running.partition_point(|r| r.end <= running.end);
        self.running.insert(at, running);
        // The earliest end has no effect when every core is taken by work that ends later.
        if self.running.len() > cores as usize {
            self.running.remove(0);
        }
    }

    /// Returns the time from which cores and memory are free for a task.
    fn free_from(&self, task: &Task, host: &super::Host) -> Seconds {
        let mut cores = host.cores - task.threads.min(host.cores);
        let mut memory = host.memory_bytes.saturating_sub(task.memory_bytes);
        for running in self.running.iter().rev() {
            if running.threads > cores || running.memory_bytes > memory {
                return running.end.max(self.from);
            }
            cores -= running.threads;
            memory -= running.memory_bytes;
        }
        self.from
    }
}

/// Returns the earliest time not before `ready` at which a host can do a task that takes `seconds` there.
fn earliest(
    host: &super::Host,
    sessions: &[Session],
    task: &Task,
    ready: Seconds,
    seconds: Seconds,
) -> Option<Seconds> {
    sessions.iter().find_map(|session| {
        let start = session.free_from(task, host).max(ready);
        (start + seconds <= session.to).then_some(start)
    })
}

/// Returns the groups, each after those that it follows; groups in a cycle are omitted.
pub(super) fn in_order(groups: &[super::Group]) -> Vec<usize> {
    let mut before: Vec<usize> = groups.iter().map(|g| g.after.len()).collect();
    let mut followers = vec![Vec::new(); groups.len()];
    for (at, group) in groups.iter().enumerate() {
        for g in &group.after {
            followers[*g].push(at);
        }
    }
    let mut order: Vec<usize> = (0..groups.len()).filter(|g| before[*g] == 0).collect();
    let mut next = 0;
    while next < order.len() {
        for follower in &followers[order[next]] {
            before[*follower] -= 1;
            if before[*follower] == 0 {
                order.push(*follower);
            }
        }
        next += 1;
    }
    order
}

/// Returns the rank of every task: the most urgent group first, within it the tasks on which most depends, then the longest.
/// Tasks of at least `long` seconds go before all others.
pub(super) fn by_urgency(
    situation: &Situation,
    usable: &[usize],
    long: Option<Seconds>,
) -> Vec<u32> {
    let cores: f64 = usable.iter().map(|h| f64::from(situation.hosts[*h].cores)).sum();
    let mut work = vec![0.0_f64; situation.groups.len()];
    let mut longest = vec![0.0_f64; situation.groups.len()];
    for task in &situation.tasks {
        work[task.group] += task.seconds * f64::from(task.threads);
        longest[task.group] = longest[task.group].max(task.seconds);
    }
    // Duration of the groups that follow a group.
    let mut tail = vec![0.0_f64; situation.groups.len()];
    for group in in_order(&situation.groups).into_iter().rev() {
        let own = longest[group].max(work[group] / cores.max(1.0)) + tail[group];
        for before in &situation.groups[group].after {
            tail[*before] = tail[*before].max(own);
        }
    }
    let key = |t: usize| {
        let task = &situation.tasks[t];
        let chain = task.seconds + tail[task.group];
        let is_long = long.is_some_and(|long| chain >= long);
        let group = &situation.groups[task.group];
        let urgency = if is_long { i64::MIN } else { group.urgency };
        let order = (Reverse(group.priority), !is_long, urgency);
        (order, Reverse(Time(chain)), Reverse(Time(task.seconds)), t)
    };
    let mut order: Vec<_> = (0..situation.tasks.len()).map(key).collect();
    order.sort_unstable();
    let mut rank = vec![0; order.len()];
    for (place, (.., t)) in order.into_iter().enumerate() {
        rank[t] = u32::try_from(place).unwrap_or(u32::MAX);
    }
    rank
}
