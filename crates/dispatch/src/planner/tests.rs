use super::*;
use proptest::prelude::*;
use std::collections::{BTreeSet, HashMap};

fn host(name: &str, cores: u32, memory_bytes: u64) -> Host {
    Host {
        name: name.parse().unwrap(),
        cores,
        memory_bytes,
        disk: 0,
        speed: Speeds::uniform(1.0),
        has_library: true,
        load: 0.0,
        busy: Vec::new(),
        closed: None,
        quiet: Vec::new(),
    }
}

fn task(group: usize, seconds: Seconds) -> Task {
    Task {
        group,
        use_case: UseCase::Preview,
        seconds,
        threads: 1,
        memory_bytes: 0,
        input_bytes: 0,
        output_bytes: 0,
        host: None,
        closed: None,
    }
}

fn group(name: &str, after: &[usize], urgency: i64) -> Group {
    Group {
        name: name.to_owned(),
        after: after.to_vec(),
        priority: 0,
        urgency,
        from: 0.0,
        closed: None,
    }
}

fn situation(hosts: Vec<Host>, groups: Vec<Group>, tasks: Vec<Task>) -> Situation {
    Situation { hosts, disks: vec![u64::MAX], groups, tasks, policy: Policy::default() }
}

/// Checks everything that must hold of any plan.
fn check(situation: &Situation, plan: &Plan) {
    let mut placed: HashMap<usize, Placement> = HashMap::new();
    for p in &plan.placements {
        assert!(placed.insert(p.task, *p).is_none(), "task {} twice", p.task);
    }
    let unplanned: BTreeSet<usize> = plan.unplanned.iter().map(|(t, _)| *t).collect();
    assert_eq!(unplanned.len(), plan.unplanned.len(), "a reason twice");
    for t in 0..situation.tasks.len() {
        assert!(placed.contains_key(&t) != unplanned.contains(&t), "task {t}: one or the other");
    }
    assert!(plan.unplanned.iter().all(|(_, reason)| !reason.to_string().is_empty()));
    for p in &plan.placements {
        let (task, host) = (&situation.tasks[p.task], &situation.hosts[p.host]);
        assert!(task.host.is_none_or(|h| h == p.host), "not where the operator wants it");
        assert!(p.start >= situation.groups[task.group].from, "before its group may start");
        assert!(host.closed.is_none() && task.closed.is_none(), "closed");
        assert!(
            host.quiet.iter().all(|(from, to)| p.end() <= *from || p.start >= *to),
            "runs in quiet hours"
        );
        for before in &situation.groups[task.group].after {
            for (t, other) in situation.tasks.iter().enumerate() {
                if other.group == *before {
                    let end = placed.get(&t).map(Placement::end);
                    assert!(end.is_some_and(|e| e <= p.start + 1e-6), "starts before {t} ended");
                }
            }
        }
    }
    for (h, host) in situation.hosts.iter().enumerate() {
        let here: Vec<_> = plan.placements.iter().filter(|p| p.host == h).collect();
        for at in here.iter().map(|p| p.start) {
            let at = at + 1e-9;
            let running = here.iter().filter(|p| p.start < at && p.end() > at);
            let tasks = running.map(|p| &situation.tasks[p.task]);
            let (mut cores, mut memory) =
                tasks.fold((0, 0), |(c, m), t| (c + t.threads, m + t.memory_bytes));
            for busy in host.busy.iter().filter(|b| b.left > at) {
                cores += busy.threads;
                memory += busy.memory_bytes;
            }
            assert!(cores <= host.cores, "{cores} of {} cores", host.cores);
            assert!(memory <= host.memory_bytes, "memory");
        }
    }
    for (disk, free) in situation.disks.iter().enumerate() {
        let here = plan.placements.iter().filter(|p| situation.hosts[p.host].disk == disk);
        let written: u64 = here.map(|p| situation.tasks[p.task].output_bytes).sum();
        assert!(written <= *free, "disk {disk}");
    }
    assert!(plan.makespan + 1e-6 >= plan.lower_bound);
}

prop_compose! {
    fn any_host()(
        cores in 1..6_u32,
        memory in 1..8_u64,
        disk in 0..2_usize,
        speed in prop_oneof![Just(1.0), 0.3..3.0],
        has_library: bool,
        load in 0.0..4.0,
        busy in proptest::collection::vec((1.0..50.0, 0..3_u64), 0..3),
        is_closed in proptest::bool::weighted(0.1),
        quiet in prop_oneof![3 => Just(None), 1 => (1.0..40.0, 1.0..40.0).prop_map(Some)],
    ) -> Host {
        let busy = busy.into_iter().take(cores as usize);
        let quiet = quiet.map_or(Vec::new(), |(from, long): (f64, f64)| {
            (0..4).map(|n| f64::from(n) * 100.0 + from).map(|from| (from, from + long)).collect()
        });
        Host {
            memory_bytes: memory + 6,
            disk,
            speed: [UseCase::Preview, UseCase::Metadata].map(|u| (u, speed)).into_iter().collect(),
            has_library,
            load,
            busy: busy.map(|(left, memory_bytes)| Busy { left, threads: 1, memory_bytes }).collect(),
            closed: is_closed.then(|| "paused by anna: new fan".to_owned()),
            quiet,
            ..host("h", cores, 0)
        }
    }
}

prop_compose! {
    fn any_task(groups: usize, hosts: usize)(
        group in 0..groups,
        use_case in 0..3_usize,
        seconds in 0.5..60.0,
        threads in prop_oneof![4 => Just(1_u32), 1 => 1..4_u32],
        memory_bytes in 0..9_u64,
        input_bytes in 0..3_000_000_000_u64,
        output_bytes in 0..40_u64,
        host in prop_oneof![9 => Just(None), 1 => (0..hosts).prop_map(Some)],
        is_closed in proptest::bool::weighted(0.05),
    ) -> Task {
        let closed = is_closed.then(|| "held".to_owned());
        let use_case = UseCase::ALL[use_case];
        Task { group, use_case, seconds, threads, memory_bytes, input_bytes, output_bytes, host, closed }
    }
}

prop_compose! {
    fn any_situation()(hosts in proptest::collection::vec(any_host(), 0..6), groups in 1..7_usize)(
        tasks in proptest::collection::vec(any_task(groups, hosts.len().max(1)), 0..40),
        arrows in proptest::collection::vec((0..groups, 0..groups), 0..8),
        urgencies in proptest::collection::vec(0..5_i64, groups),
        disks in proptest::collection::vec(prop_oneof![Just(u64::MAX), 0..500_u64], 2),
        max_hosts in 0..5_usize,
        first in prop_oneof![Just(0.0), 0.0..50.0],
        mut hosts in Just(hosts),
    ) -> Situation {
        let mut groups: Vec<Group> = urgencies
            .iter()
            .enumerate()
            .map(|(n, urgency)| group(&format!("g{n}"), &[], *urgency))
            .collect();
        for (a, b) in arrows {
            if a < b && !groups[b].after.contains(&a) {
                groups[b].after.push(a);
            }
        }
        groups[0].from = first;
        for (n, host) in hosts.iter_mut().enumerate() {
            host.name = format!("h{n}").parse().unwrap();
        }
        let tasks = match hosts.len() {
            0 => tasks.into_iter().map(|t| Task { host: None, ..t }).collect(),
            _ => tasks,
        };
        let policy = Policy { max_hosts, ..Policy::default() };
        Situation { hosts, disks, groups, tasks, policy }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_plan_keeps_the_rules(situation in any_situation()) {
        let plan = plan(&situation);
        check(&situation, &plan);
        prop_assert_eq!(&super::plan(&situation), &plan, "the same again");
    }

    /// Checks the bound for independent tasks of one thread, on hosts of any speed.
    #[test]
    fn a_plan_ends_at_most_the_longest_task_after_the_bound(
        cores in proptest::collection::vec((1..9_u32, prop_oneof![3 => Just(1.0), 1 => 0.25..4.0]), 1..6),
        seconds in proptest::collection::vec(prop_oneof![0.1..10.0, 1.0..200.0], 1..120),
        urgencies in proptest::collection::vec(0..5_i64, 4),
    ) {
        let hosts: Vec<Host> = cores
            .iter()
            .enumerate()
            .map(|(n, (cores, speed))| Host { speed: Speeds::uniform(*speed), ..host(&format!("h{n}"), *cores, 0) })
            .collect();
        let groups: Vec<Group> = urgencies.iter().map(|u| group("g", &[], *u)).collect();
        let tasks: Vec<Task> = seconds.iter().enumerate().map(|(n, s)| task(n % 4, *s)).collect();
        let slots: f64 = cores.iter().map(|(c, _)| f64::from(*c)).sum();
        let speed = cores.iter().map(|(c, s)| f64::from(*c) * s).sum::<f64>() / slots;
        let longest = seconds.iter().copied().fold(0.0, f64::max) / speed.min(1.0);
        let situation = situation(hosts, groups, tasks);
        let plan = plan(&situation);
        check(&situation, &plan);
        prop_assert!(plan.unplanned.is_empty());
        prop_assert!(plan.makespan <= plan.lower_bound + longest + 1e-6,
            "{} after a bound of {}", plan.makespan, plan.lower_bound);
        if seconds.len() as f64 >= 20.0 * slots {
            prop_assert!(plan.makespan <= 1.1 * plan.lower_bound,
                "{} with a bound of {}", plan.makespan, plan.lower_bound);
        }
    }
}

/// Checks realistic nights: metadata before catalogues, previews concurrently, several deliveries, on up to eight hosts.
#[test]
fn nights_are_planned_close_to_the_bound() {
    for (hosts, nights) in [(1_u32, 2_u32), (3, 5), (5, 7), (8, 30)] {
        let computers: Vec<Host> =
            (0..hosts).map(|n| host(&format!("n{n}"), 2, 4_000_000_000)).collect();
        let mut groups = Vec::new();
        let mut tasks = Vec::new();
        for night in 0..nights {
            let first = groups.len();
            let urgency = i64::from(night);
            groups.push(group(&format!("{night} preview"), &[], urgency));
            groups.push(group(&format!("{night} metadata"), &[], urgency));
            groups.push(group(&format!("{night} catalogue"), &[first + 1], urgency));
            for n in 0..16 {
                let part = |use_case, group, seconds| Task {
                    use_case,
                    memory_bytes: 450_000_000,
                    ..task(first + group, seconds)
                };
                let odd = 1.0 + f64::from((n * 7 + night) % 5) / 10.0;
                tasks.push(part(UseCase::Preview, 0, 30.0 * odd));
                tasks.push(part(UseCase::Metadata, 1, 2.0 * odd));
                tasks.push(part(UseCase::Catalogue, 2, 9.0 * odd));
            }
        }
        let situation = situation(computers, groups, tasks);
        let plan = plan(&situation);
        check(&situation, &plan);
        assert!(
            plan.makespan <= 1.1 * plan.lower_bound,
            "{hosts} hosts: {} with a bound of {}",
            plan.makespan,
            plan.lower_bound
        );
        // The oldest night is done long before the last one.
        let first_night = plan.placements.iter().filter(|p| p.task < 48);
        let done = first_night.map(Placement::end).fold(0.0, f64::max);
        assert!(done < 1.5 * plan.makespan / f64::from(nights) + 60.0, "{done}");
    }
}

#[test]
fn reasons_name_the_obstacle() {
    let words = |situation: &Situation| -> Vec<String> {
        let plan = plan(situation);
        check(situation, &plan);
        plan.unplanned.iter().map(|(t, reason)| format!("{t}: {reason}")).collect()
    };
    let hosts = || vec![host("n1", 2, 1_000_000_000), host("n2", 4, 500_000_000)];
    let groups = || vec![group("metadata", &[], 0), group("catalogue", &[0], 0)];
    let mut case = situation(hosts(), groups(), vec![task(0, 1.0), task(1, 1.0)]);
    assert!(words(&case).is_empty());
    case.tasks[0].memory_bytes = 2_000_000_000;
    assert_eq!(
        words(&case),
        [
            "0: the task needs 1 cores and 2000 MB, the largest host has 4 and 1000 MB",
            "1: waits for metadata, which is not planned"
        ]
    );
    case.tasks[0].memory_bytes = 0;
    case.groups[1].closed = Some("paused by anna: bad flats".to_owned());
    assert_eq!(words(&case), ["1: paused by anna: bad flats"]);
    case.groups[1].closed = None;
    case.hosts[0].closed = Some("draining".to_owned());
    case.hosts[1].load = 40.0;
    case.tasks.pop();
    assert_eq!(
        words(&case),
        [
            "0: no host can be used: n1: draining; n2: load 40.0 of others, above 1.5 per core ([plan] max_load)"
        ]
    );
    case.hosts = hosts();
    case.hosts[1].closed = Some("draining".to_owned());
    case.tasks[0].host = Some(1);
    assert_eq!(words(&case), ["0: assigned to n2, which cannot be used: draining"]);
    case.tasks[0].host = None;
    case.tasks[0].output_bytes = 3_000_000;
    case.disks = vec![2_000_000];
    assert_eq!(words(&case), ["0: the task writes about 3 MB, and 2 MB are free on the disk"]);
    case.disks = vec![9_000_000];
    case.tasks[0].seconds = 50.0;
    case.hosts[0].quiet = vec![(10.0, 20.0), (30.0, 40.0)];
    assert_eq!(words(&case), ["0: the task takes 50 s, longer than the time between quiet hours"]);
    case.hosts.clear();
    assert_eq!(words(&case), ["0: there are no hosts"]);
}

#[test]
fn few_hosts_are_used_when_configured_and_those_at_work_first() {
    let mut hosts: Vec<Host> = (1..=4).map(|n| host(&format!("n{n}"), n, 0)).collect();
    hosts[0].busy.push(Busy { left: 5.0, threads: 1, memory_bytes: 0 });
    let tasks = (0..20).map(|_| task(0, 1.0)).collect();
    let mut situation = situation(hosts, vec![group("g", &[], 0)], tasks);
    situation.policy.max_hosts = 2;
    let plan = plan(&situation);
    check(&situation, &plan);
    let used: BTreeSet<usize> = plan.placements.iter().map(|p| p.host).collect();
    assert!(used.is_subset(&BTreeSet::from([0, 3])), "{used:?}");
    assert_eq!(plan.unused_hosts.len(), 2);
    assert!(plan.unused_hosts[0].1.contains("at most 2 hosts"));
}

#[test]
fn a_priority_is_kept_whatever_it_costs() {
    let mut groups = vec![group("usual", &[], 0), group("urgent", &[], 9)];
    groups[1].priority = 1;
    let mut tasks = vec![task(0, 10.0), task(0, 9.0)];
    tasks.extend(vec![task(1, 2.0); 4]);
    let situation = situation(vec![host("n1", 1, 0), host("n2", 1, 0)], groups, tasks);
    let plan = plan(&situation);
    check(&situation, &plan);
    let last = |group| {
        let of = plan.placements.iter().filter(|p| situation.tasks[p.task].group == group);
        of.map(|p| p.start).fold(0.0, f64::max)
    };
    assert_eq!(last(1), 2.0, "two and two of the urgent ones");
    assert_eq!(plan.makespan, 14.0);
}

#[test]
fn tasks_run_where_the_library_is() {
    let mut hosts = vec![host("far", 4, 0), host("near", 4, 0)];
    hosts[0].has_library = false;
    let part = Task { input_bytes: 2_000_000_000, ..task(0, 10.0) };
    let situation = situation(hosts, vec![group("g", &[], 0)], vec![part; 6]);
    let plan = plan(&situation);
    check(&situation, &plan);
    // Reading takes 20 s more on the far host: the near one does four at once, and two more before the far one would end.
    assert!(plan.placements.iter().filter(|p| p.host == 1).count() >= 4);
    assert!(plan.makespan <= 30.0 + 1e-6, "{}", plan.makespan);
}

/// The shortest schedule by exhaustive search: at every moment at which something ends, start any tasks on any hosts, or wait.
mod optimum {
    use super::*;

    #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
    struct State {
        started: u16,
        /// Running tasks as (left, host, task).
        running: Vec<(u32, usize, usize)>,
    }

    pub(super) fn of(situation: &Situation) -> u32 {
        let start = State { started: 0, running: Vec::new() };
        least(situation, start, &mut HashMap::new())
    }

    fn least(situation: &Situation, state: State, known: &mut HashMap<State, u32>) -> u32 {
        if state.started.count_ones() as usize == situation.tasks.len() {
            return state.running.iter().map(|r| r.0).max().unwrap_or(0);
        }
        if let Some(answer) = known.get(&state) {
            return *answer;
        }
        let mut answer = u32::MAX;
        for (t, task) in situation.tasks.iter().enumerate() {
            let is_ready = state.started & (1 << t) == 0
                && situation.tasks.iter().enumerate().all(|(o, other)| {
                    !situation.groups[task.group].after.contains(&other.group)
                        || (state.started & (1 << o) != 0
                            && !state.running.iter().any(|r| r.2 == o))
                });
            if !is_ready {
                continue;
            }
            for (h, host) in situation.hosts.iter().enumerate() {
                let here = state.running.iter().filter(|r| r.1 == h);
                let cores = here.clone().count() as u32;
                let memory: u64 = here.map(|r| situation.tasks[r.2].memory_bytes).sum();
                if cores < host.cores && memory + task.memory_bytes <= host.memory_bytes {
                    let mut next = state.clone();
                    next.started |= 1 << t;
                    next.running.push((task.seconds as u32, h, t));
                    next.running.sort_unstable();
                    answer = answer.min(least(situation, next, known));
                }
            }
        }
        if let Some(step) = state.running.iter().map(|r| r.0).min() {
            let left = |r: &(u32, usize, usize)| (r.0 > step).then(|| (r.0 - step, r.1, r.2));
            let running = state.running.iter().filter_map(left).collect();
            let next = State { started: state.started, running };
            answer = answer.min(step.saturating_add(least(situation, next, known)));
        }
        known.insert(state, answer);
        answer
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_handful_of_tasks_is_planned_as_well_as_can_be(
        hosts in proptest::collection::vec((1..3_u32, 4..9_u64), 1..4),
        tasks in proptest::collection::vec((1..7_u32, 0..5_u64), 1..9),
        arrows in proptest::collection::vec((0..8_usize, 0..8_usize), 0..5),
    ) {
        let hosts = hosts.iter().enumerate().map(|(n, (c, m))| host(&format!("h{n}"), *c, *m)).collect();
        let mut groups: Vec<Group> = tasks.iter().map(|_| group("g", &[], 0)).collect();
        for (a, b) in arrows {
            if a < b && b < groups.len() && !groups[b].after.contains(&a) {
                groups[b].after.push(a);
            }
        }
        let tasks = tasks
            .iter()
            .enumerate()
            .map(|(n, (s, m))| Task { memory_bytes: *m, ..task(n, f64::from(*s)) })
            .collect();
        let situation = situation(hosts, groups, tasks);
        let plan = plan(&situation);
        check(&situation, &plan);
        let optimum = f64::from(optimum::of(&situation));
        prop_assert!(plan.makespan <= 1.1 * optimum, "{} where {optimum} can be", plan.makespan);
        prop_assert!(plan.lower_bound <= optimum + 1e-6, "bound {} above {optimum}", plan.lower_bound);
    }
}
