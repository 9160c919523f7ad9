//! Plain hosts without a batch system, through the system's ssh.
//!
//! Each host runs `almagest-node report`, which writes the state and the tasks of the host to a directory that the curator sees;
//! it is started through ssh when its reports stop. Tasks are started detached, so that a broken connection ends nothing; the
//! running tasks are read from the reports. Without reports the state is unknown, and a new attempt is made elsewhere.

use crate::command::{NoAnswer, Programs, quoted};
use crate::executor::{DispatchFault, Executor, HostState, Job, JobState, Sent, Start};
use model::HostName;
use model::task::HostReport;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Interval between two reports of a host, in seconds.
const REPORT_SECONDS: u64 = 30;
/// Reports that may be missed before a host counts as lost.
const MAX_MISSED: u64 = 3;
/// Maximum length to which a report of a host is read.
const REPORT_BYTES: u64 = 1 << 20;
/// Delay before a reporter that does not start is restarted.
const RESTART_DELAY: Duration = Duration::from_secs(60);

/// The options for reaching hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Names of the hosts as ssh takes them: of ~/.ssh/config, or user@host.
    pub hosts: Vec<HostName>,
    /// Options of ssh, passed unchanged.
    pub more: Vec<String>,
    /// Path of `almagest-node` on the hosts.
    pub node_program: String,
    /// Directory to which hosts write their reports, visible to all.
    pub reports: PathBuf,
    /// Seconds between reports; 0 = 30.
    pub report_seconds: u64,
}

/// An executor of the hosts of a list.
pub struct Ssh<P> {
    programs: P,
    options: Options,
    began: Instant,
    /// The latest report of each host, and the time at which it was first seen here: clocks need not agree.
    seen: HashMap<HostName, Seen>,
    reporters: HashMap<HostName, Instant>,
    /// Time at which a start was sent, and the number of reports then, by the name of the start: older reports do not know of it.
    sent: HashMap<String, (Instant, u64)>,
}

#[derive(Clone, Debug)]
struct Seen {
    report: HostReport,
    since: Instant,
    /// Number of reports since this process started.
    count: u64,
}

impl<P: Programs + Clone + Send + 'static> Ssh<P> {
    /// Makes an executor of hosts that are reached by the `ssh` of `programs`.
    pub fn new(programs: P, options: Options) -> Self {
        Self {
            programs,
            options,
            began: Instant::now(),
            seen: HashMap::new(),
            reporters: HashMap::new(),
            sent: HashMap::new(),
        }
    }

    fn seconds(&self) -> u64 {
        match self.options.report_seconds {
            0 => REPORT_SECONDS,
            seconds => seconds,
        }
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(MAX_MISSED * self.seconds())
    }

    /// Runs a script in the shell of a host. An error contains true when the effect of the script is unknown.
    fn run_script(&self, host: &HostName, script: &str) -> Result<String, (bool, String)> {
        match self.programs.run("ssh", &self.words(host, script), "") {
            Ok(answer) if answer.is_ok() => Ok(answer.out),
            // 255 is the code of ssh itself: the connection failed, perhaps after the command began.
            Ok(answer) => Err((answer.code == Some(255), answer.complaint())),
            Err(NoAnswer::NotStarted(why)) => Err((false, why)),
            Err(timed_out) => Err((true, timed_out.to_string())),
        }
    }

    fn words(&self, host: &HostName, script: &str) -> Vec<String> {
        let mut words: Vec<String> = self.options.more.clone();
        words.extend(["-o", "BatchMode=yes", "-o", "ConnectTimeout=10"].map(str::to_owned));
        words.extend(["--".to_owned(), host.to_string(), format!("exec sh -c {}", quoted(script))]);
        words
    }

    /// Reads the reports, and notes new ones.
    fn read_reports(&mut self) {
        for host in &self.options.hosts {
            let path = self.options.reports.join(format!("{}.json", file_name(host)));
            let Some(report) = read_report(&path) else { continue };
            let seen = self.seen.entry(host.clone()).or_insert_with(|| Seen {
                report: report.clone(),
                // A report that existed before may be a week old.
                since: Instant::now()
                    .checked_sub(Duration::from_secs(3600))
                    .unwrap_or_else(Instant::now),
                count: 0,
            });
            if (seen.report.beat, seen.report.at) != (report.beat, report.at) {
                *seen = Seen { report, since: Instant::now(), count: seen.count + 1 };
            }
        }
    }

    /// Starts the reporter of each host that does not report.
    fn keep_reporting(&mut self) {
        for host in self.options.hosts.clone() {
            let is_silent = self.seen.get(&host).is_none_or(|s| s.since.elapsed() > self.timeout());
            let is_starting =
                self.reporters.get(&host).is_some_and(|at| at.elapsed() < RESTART_DELAY);
            if !is_silent || is_starting {
                continue;
            }
            self.reporters.insert(host.clone(), Instant::now());
            let (program, name) = (quoted(&self.options.node_program), quoted(&file_name(&host)));
            let directory = quoted(&self.options.reports.to_string_lossy());
            let seconds = self.seconds();
            // Without setsid and nohup the reporter would end with the session of its connection.
            let script = format!(
                "cd / && ALMAGEST_HOST={name} setsid nohup {program} report {directory} {seconds} </dev/null >/dev/null 2>&1 &"
            );
            // In a thread of its own: a host that is switched off delays the connection.
            let (programs, words) = (self.programs.clone(), self.words(&host, &script));
            std::thread::spawn(move || programs.run("ssh", &words, ""));
        }
    }

    fn is_reporting(&self, host: &HostName) -> bool {
        self.seen.get(host).is_some_and(|s| s.since.elapsed() <= self.timeout())
    }
}

/// Returns a host's name as the name of a file.
fn file_name(host: &HostName) -> String {
    host.chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '_' })
        .collect()
}

fn read_report(path: &Path) -> Option<HostReport> {
    let report = serde_json::from_slice(&files::read_regular(path, REPORT_BYTES).ok()?).ok();
    report.and_then(HostReport::checked)
}

impl<P: Programs + Clone + Send + 'static> Executor for Ssh<P> {
    fn name(&self) -> &'static str {
        "ssh"
    }

    fn hosts(&mut self) -> Result<Vec<HostState>, DispatchFault> {
        self.read_reports();
        self.keep_reporting();
        let state = |host: &HostName| match self.seen.get(host) {
            Some(seen) => {
                let silent = seen.since.elapsed();
                let closed = (silent > self.timeout())
                    .then(|| format!("no report for {} s", silent.as_secs()));
                HostState { closed, ..HostState::of_report(host, &seen.report) }
            }
            None => HostState {
                name: host.clone(),
                cores: 0,
                memory_bytes: 0,
                load: None,
                users: Vec::new(),
                closed: Some("the host has not reported yet".to_owned()),
            },
        };
        Ok(self.options.hosts.iter().map(state).collect())
    }

    fn start(&mut self, starts: &[Start]) -> Vec<Sent> {
        let mut sent: Vec<Sent> = vec![Sent::No("not sent".to_owned()); starts.len()];
        // One connection for all starts on a host.
        for host in self.options.hosts.clone() {
            let mine: Vec<usize> = (0..starts.len()).filter(|n| starts[*n].host == host).collect();
            if mine.is_empty() {
                continue;
            }
            let program = quoted(&self.options.node_program);
            let name = quoted(&file_name(&host));
            let mut script = "cd / || exit 1\n".to_owned();
            for n in &mine {
                let file = &starts[*n].task_file;
                let log = file.with_extension("log");
                let (file, log) = (quoted(&file.to_string_lossy()), quoted(&log.to_string_lossy()));
                script += &format!(
                    "ALMAGEST_HOST={name} setsid nohup {program} run {file} </dev/null >{log} 2>&1 &\n"
                );
            }
            let count = self.seen.get(&host).map_or(0, |s| s.count);
            let answer = match self.run_script(&host, &script) {
                Ok(_) => Sent::As(host.to_string()),
                Err((true, why)) => Sent::Unknown(format!("{host}: {why}")),
                Err((false, why)) => Sent::No(format!("{host}: {why}")),
            };
            for n in mine {
                self.sent.insert(starts[n].name.clone(), (Instant::now(), count));
                sent[n] = answer.clone();
            }
        }
        sent
    }

    fn poll(&mut self, jobs: &[Job]) -> Result<Vec<JobState>, DispatchFault> {
        self.read_reports();
        self.keep_reporting();
        let state = |job: &Job| {
            if !self.is_reporting(&job.host) {
                return JobState::Unknown;
            }
            let Some(seen) = self.seen.get(&job.host) else { return JobState::Unknown };
            if seen.report.tasks.contains(&job.task_file) {
                return JobState::Running;
            }
            // The second report after the start must know of it.
            match self.sent.get(&job.name) {
                Some((_, count)) if seen.count < count + 2 => JobState::Running,
                None if seen.count < 2 => JobState::Running,
                _ => JobState::Unknown,
            }
        };
        let all = jobs.iter().map(state).collect();
        let known: std::collections::HashSet<&String> = jobs.iter().map(|job| &job.name).collect();
        self.sent.retain(|name, _| known.contains(name));
        Ok(all)
    }

    fn cancel(&mut self, jobs: &[Job]) -> Result<(), DispatchFault> {
        let mut faults = Vec::new();
        for job in jobs {
            // A process that has just started cannot know which hosts report.
            if self.began.elapsed() > self.timeout() && !self.is_reporting(&job.host) {
                faults.push(format!("{} does not report", job.host));
                continue;
            }
            let directory = job.task_file.parent().unwrap_or(Path::new("/"));
            let (program, directory) =
                (quoted(&self.options.node_program), quoted(&directory.to_string_lossy()));
            let name = quoted(&file_name(&job.host));
            let script = format!("cd / && ALMAGEST_HOST={name} {program} stop {directory}");
            if let Err((_, why)) = self.run_script(&job.host, &script) {
                faults.push(format!("{}: {why}", job.host));
            }
        }
        faults.dedup();
        match faults.is_empty() {
            true => Ok(()),
            false => Err(DispatchFault { executor: "ssh", reason: faults.join("; ") }),
        }
    }

    fn outlives(&self) -> bool {
        true
    }
}
