//! A script per host, to be run by hand, as the VDFS did it.
//!
//! Each start becomes a line of the script of its host; the operator who runs the script decides on the time. A finished task is
//! skipped when a script is run again. Heartbeats show which tasks run, never this executor.

use crate::command::quoted;
use crate::executor::{DispatchFault, Executor, HostState, Job, JobState, Sent, Start};
use model::HostName;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Directory and hosts of the scripts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Hosts with their cores and memory in bytes.
    pub hosts: Vec<(HostName, u32, u64)>,
    /// Path of `almagest-node` on the hosts.
    pub node_program: String,
    /// Directory of the scripts.
    pub scripts: PathBuf,
}

/// An executor that writes scripts for operators.
pub struct Print {
    options: Options,
}

impl Print {
    /// Makes an executor with these options.
    pub fn new(options: Options) -> Self {
        Self { options }
    }

    fn write(&self, host: &HostName, starts: &[&Start]) -> std::io::Result<PathBuf> {
        files::create_dir(&self.options.scripts)?;
        let name = starts.first().map_or("", |s| s.name.as_str());
        let path = self.options.scripts.join(format!("{name}.{host}.sh"));
        let mut script = format!(
            "#!/bin/sh\n# {} for {host}. Run this script there; repeated runs skip finished tasks.\n",
            if starts.len() == 1 {
                "One task".to_owned()
            } else {
                format!("{} tasks", starts.len())
            }
        );
        let program = quoted(&self.options.node_program);
        for start in starts {
            let file = quoted(&start.task_file.to_string_lossy());
            script += &format!("ALMAGEST_HOST={} {program} run {file}\n", quoted(host));
        }
        files::publish_bytes(&path, script.as_bytes()).map_err(|fault| fault.source)?;
        Ok(path)
    }
}

impl Executor for Print {
    fn name(&self) -> &'static str {
        "print"
    }

    fn hosts(&mut self) -> Result<Vec<HostState>, DispatchFault> {
        let host = |(name, cores, memory_bytes): &(HostName, u32, u64)| HostState {
            name: name.clone(),
            cores: *cores,
            memory_bytes: *memory_bytes,
            load: None,
            users: Vec::new(),
            closed: None,
        };
        Ok(self.options.hosts.iter().map(host).collect())
    }

    fn start(&mut self, starts: &[Start]) -> Vec<Sent> {
        let mut by_host: BTreeMap<&HostName, Vec<&Start>> = BTreeMap::new();
        for start in starts {
            by_host.entry(&start.host).or_default().push(start);
        }
        let written: BTreeMap<&HostName, Sent> = by_host
            .into_iter()
            .map(|(host, mine)| {
                let sent = match self.write(host, &mine) {
                    Ok(path) => Sent::As(path.display().to_string()),
                    Err(why) => Sent::No(format!("the script of {host}: {why}")),
                };
                (host, sent)
            })
            .collect();
        starts.iter().map(|start| written[&start.host].clone()).collect()
    }

    fn poll(&mut self, jobs: &[Job]) -> Result<Vec<JobState>, DispatchFault> {
        let waits = || JobState::Waiting("for an operator to run the script".to_owned());
        Ok(jobs.iter().map(|_| waits()).collect())
    }

    /// Removes scripts. A script that has been started cannot be stopped.
    fn cancel(&mut self, jobs: &[Job]) -> Result<(), DispatchFault> {
        for job in jobs.iter().filter(|job| !job.id.is_empty()) {
            // Only in the directory of the scripts, whatever the archive has as the id of the job.
            let _ = files::remove_below(&self.options.scripts, &PathBuf::from(&job.id));
        }
        Ok(())
    }

    fn outlives(&self) -> bool {
        true
    }

    fn ahead(&self) -> f64 {
        f64::INFINITY
    }

    fn is_manual(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_per_computer_runs_its_tasks() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("node program");
        std::fs::write(&program, "#!/bin/sh\necho \"$ALMAGEST_HOST $1 $2\"\n").unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        let mut print = Print::new(Options {
            hosts: vec![("n1".parse().unwrap(), 2, 1 << 30), ("n2".parse().unwrap(), 4, 1 << 30)],
            node_program: program.to_string_lossy().into_owned(),
            scripts: directory.path().join("scripts"),
        });
        assert_eq!(print.hosts().unwrap().iter().map(|h| h.cores).sum::<u32>(), 6);
        let start = |n: u32, host: &str| Start {
            name: format!("alm-7.{n}"),
            task_file: PathBuf::from(format!("/site/a b/{n}/task.json")),
            host: host.parse().unwrap(),
            threads: 1,
            memory_bytes: 1,
            seconds: 1.0,
        };
        let sent = print.start(&[start(1, "n1"), start(2, "n2"), start(3, "n1")]);
        assert_eq!(sent[0], sent[2]);
        let Sent::As(script) = &sent[0] else { panic!("{sent:?}") };
        let said = std::process::Command::new("sh").arg(script).output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        assert_eq!(said, "n1 run /site/a b/1/task.json\nn1 run /site/a b/3/task.json\n");
    }
}
