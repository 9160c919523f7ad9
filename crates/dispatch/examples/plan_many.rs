//! Plans many tasks on many hosts and tells how long that took: `plan_many [TASKS HOSTS]`.
//!
//! Nights of three groups (previews, metadata, catalogues after metadata), hosts of several sizes and speeds, some with
//! quiet hours, memory that binds.

#![expect(clippy::unwrap_used, reason = "an example may panic")]

use dispatch::planner::costs::Speeds;
use dispatch::planner::{Group, Host, Policy, Situation, Task, plan};
use model::UseCase;
use std::time::Instant;

fn main() {
    let numbers: Vec<usize> =
        std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let tasks = numbers.first().copied().unwrap_or(100_000);
    let hosts = numbers.get(1).copied().unwrap_or(1000);
    let situation = situation(tasks, hosts);
    let mut seconds: Vec<f64> = Vec::new();
    let mut last = None;
    for _ in 0..5 {
        let began = Instant::now();
        last = Some(plan(&situation));
        seconds.push(began.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    if let Some(plan) = last {
        println!(
            "{{\"tasks\": {tasks}, \"hosts\": {hosts}, \"median_s\": {:.3}, \"most_s\": {:.3}, \"makespan_s\": {:.1}, \
             \"lower_bound_s\": {:.1}, \"unplanned\": {}}}",
            seconds[2],
            seconds[4],
            plan.makespan,
            plan.lower_bound,
            plan.unplanned.len()
        );
    }
}

fn situation(tasks: usize, hosts: usize) -> Situation {
    let hosts = (0..hosts).map(|n| Host {
        name: format!("node{n:04}").parse().unwrap(),
        cores: [8, 16, 32, 64][n % 4],
        memory_bytes: [4, 8, 32, 64][n % 4] << 30,
        disk: 0,
        speed: Speeds::uniform(1.0 + (n % 7) as f64 / 10.0),
        has_library: n % 10 == 0,
        load: (n % 3) as f64,
        busy: Vec::new(),
        closed: (n % 50 == 49).then(|| "draining".to_owned()),
        quiet: match n % 5 {
            0 => (0..14)
                .map(|day| f64::from(day) * 86_400.0 + 30_000.0)
                .map(|t| (t, t + 7200.0))
                .collect(),
            _ => Vec::new(),
        },
    });
    let mut groups = Vec::new();
    let mut all = Vec::new();
    let mut random = 1_u64;
    while all.len() < tasks {
        let night = groups.len() / 3;
        let first = groups.len();
        for (name, after) in [("preview", None), ("metadata", None), ("catalogue", Some(first + 1))]
        {
            groups.push(Group {
                name: format!("night {night} {name}"),
                after: after.into_iter().collect(),
                urgency: night as i64,
                priority: 0,
                from: 0.0,
                closed: None,
            });
        }
        for n in 0..120_usize.min(tasks - all.len()) {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let odd = 0.7 + (random >> 40) as f64 / (1 << 24) as f64;
            let use_case = UseCase::ALL[n % 3];
            all.push(Task {
                group: first + n % 3,
                use_case,
                seconds: odd * [60.0, 5.0, 40.0][n % 3],
                threads: 1,
                memory_bytes: [450, 450, 900][n % 3] << 20,
                input_bytes: [600, 600, 300][n % 3] << 20,
                output_bytes: [20, 5, 250][n % 3] << 20,
                host: None,
                closed: None,
            });
        }
    }
    Situation {
        hosts: hosts.collect(),
        disks: vec![u64::MAX],
        groups,
        tasks: all,
        policy: Policy { remote_rate: 1e9, ..Policy::default() },
    }
}
