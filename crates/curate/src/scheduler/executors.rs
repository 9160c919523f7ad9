//! The executor that the configuration names, and the load of its hosts.

use crate::config::ExecutorKind;
use crate::failure;
use crate::site::Site;
use dispatch::command::System;
use dispatch::{Executor, HostState, Print, Slurm, Ssh, ThisHost, print, slurm, ssh};
use model::HostName;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// Longest time that a tool of a batch system, or ssh, may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Cores and memory in MB of a host for which scripts are printed and whose size is not configured.
const PRINTED: (u32, u32) = (1, 4000);

/// Makes the executor.
///
/// # Errors
/// `Kind::Gate` when the configuration names no hosts, or there is no program for them.
pub fn of(site: &Site) -> anyhow::Result<Box<dyn Executor>> {
    let config = &site.config;
    Ok(match config.plan.executor {
        ExecutorKind::Local => this_machine(site),
        ExecutorKind::Slurm => {
            let options = slurm::Options {
                configuration: slurm::configuration(),
                partition: config.slurm.partition.clone(),
                account: config.slurm.account.clone(),
                more: config.slurm.options.clone(),
                node_program: node_program(site)?,
                logs: site.place.logs().join("jobs"),
            };
            files::create_dir(&options.logs)?;
            let system = System::with(&slurm::ENVIRONMENT, &slurm::LOCALE, TIMEOUT);
            Box::new(Slurm::new(system, options))
        }
        ExecutorKind::Ssh => {
            if config.ssh.hosts.is_empty() {
                return Err(failure::gate("[ssh] hosts in almagest.toml names no hosts"));
            }
            let options = ssh::Options {
                hosts: config.ssh.hosts.clone(),
                more: config.ssh.options.clone(),
                node_program: node_program(site)?,
                reports: site.place.staging().join("hosts"),
                report_seconds: config.ssh.report_seconds,
            };
            files::create_dir(&options.reports)?;
            let system = System::with(&["SSH_AUTH_SOCK"], &[("LC_ALL", "C")], TIMEOUT);
            Box::new(Ssh::new(system, options))
        }
        ExecutorKind::Print => {
            if config.hosts.is_empty() {
                return Err(failure::gate(
                    "almagest.toml names no hosts: each needs a section such as [hosts.pixel1]",
                ));
            }
            let or = |value: u32, default: u32| if value == 0 { default } else { value };
            let host = |(name, host): (&HostName, &crate::config::HostConfig)| {
                let memory = u64::from(or(host.memory_mb, PRINTED.1)) * 1_000_000;
                (name.clone(), or(host.cores, PRINTED.0), memory)
            };
            Box::new(Print::new(print::Options {
                hosts: config.hosts.iter().map(host).collect(),
                node_program: node_program(site)?,
                scripts: site.place.root().join("scripts"),
            }))
        }
    })
}

/// Makes the executor of this machine.
pub fn this_machine(site: &Site) -> Box<dyn Executor> {
    let cores = u32::try_from(site.config.work.workers()).unwrap_or(u32::MAX);
    Box::new(ThisHost::new(HostName::reported(&files::host_name()), cores))
}

/// Returns the path of `almagest-node` on the hosts: as configured, or next to this program.
fn node_program(site: &Site) -> anyhow::Result<String> {
    let configured = &site.config.plan.node_program;
    if !configured.is_empty() {
        return Ok(configured.clone());
    }
    let beside = std::env::current_exe().map(|exe| exe.with_file_name("almagest-node"));
    match beside {
        Ok(path) if path.is_file() => Ok(path.to_string_lossy().into_owned()),
        _ => Err(failure::gate(
            "no almagest-node next to this program: set [plan] node_program in almagest.toml",
        )),
    }
}

/// Recent numbers of our tasks on each host: a load average over minutes still includes tasks that have ended.
#[derive(Default)]
pub struct Loads {
    ours: HashMap<HostName, VecDeque<(Instant, usize)>>,
}

impl Loads {
    /// Notes the numbers of tasks that run now.
    pub fn note(&mut self, running: &HashMap<HostName, usize>, hosts: &[HostState]) {
        let now = Instant::now();
        for host in hosts {
            let count = running.get(&host.name).copied().unwrap_or(0);
            let of_host = self.ours.entry(host.name.clone()).or_default();
            of_host.push_back((now, count));
            while of_host.front().is_some_and(|(at, _)| at.elapsed() > Duration::from_secs(900)) {
                of_host.pop_front();
            }
        }
    }

    /// Returns the load of a host that is not from our tasks.
    pub fn of_others(&self, host: &HostState) -> f64 {
        let Some((load, minutes)) = host.load else { return 0.0 };
        let span = Duration::from_secs(u64::from(minutes) * 60);
        let recent = self.ours.get(&host.name).into_iter().flatten();
        let counts = recent.filter(|(at, _)| at.elapsed() <= span).map(|(_, count)| *count);
        // The recent maximum, not the mean: to avoid a host because of our own tasks is the worse mistake.
        (load - counts.max().unwrap_or(0) as f64).max(0.0)
    }
}
