//! Slurm (22.05 and later), through the text output of its command-line tools.
//!
//! A job is identified by our name of it and its place in the array, never by its id alone: an `sbatch` without an answer may
//! have been accepted nevertheless, and a restarted controller may have forgotten the last seconds. Jobs are never requeued by
//! Slurm: the next attempt is ours. The formats are those of squeue(1), sinfo(1) and sbatch(1); exit codes of the tools are not
//! specific and are not relied upon.

use crate::command::{NoAnswer, Programs, quoted};
use crate::executor::{DispatchFault, Executor, HostState, Job, JobEnd, JobState, Sent, Start};
use model::HostName;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Environment variables that the tools need in addition to PATH and HOME.
pub const ENVIRONMENT: [&str; 1] = ["SLURM_CONF"];
/// Environment variables that determine the format of the output.
pub const LOCALE: [(&str, &str); 2] = [("LC_ALL", "C"), ("SLURM_TIME_FORMAT", "%s")];
/// Ratio of the time limit of a task to its expected duration, and the minimum of the limit: limits have a resolution of one
/// minute.
const TIME_FACTOR: f64 = 5.0;
const MIN_MINUTES: u64 = 10;
/// Memory that is requested from Slurm beyond that of the task, for the process that supervises it.
const SUPERVISOR_MEMORY: u64 = 64 << 20;
/// Minimum interval between two queries of the hosts.
const HOSTS_EVERY: Duration = Duration::from_secs(5);

/// Returns the path of the configuration that Slurm's tools use: SLURM_CONF, or the usual place.
pub fn configuration() -> PathBuf {
    let usual = || PathBuf::from("/etc/slurm/slurm.conf");
    std::env::var_os("SLURM_CONF").map_or_else(usual, PathBuf::from)
}

/// The options of job submission.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Path of the configuration of Slurm. Without this file the tools would query the DNS, and fail slowly: they are not called.
    pub configuration: PathBuf,
    /// Partition; the cluster's default when empty.
    pub partition: String,
    /// Account; the user's default when empty.
    pub account: String,
    /// Further options of sbatch, passed unchanged.
    pub more: Vec<String>,
    /// Path of `almagest-node` on the nodes.
    pub node_program: String,
    /// Directory for the output of jobs, visible to the nodes.
    pub logs: PathBuf,
}

/// An executor of a Slurm cluster.
pub struct Slurm<P> {
    programs: P,
    options: Options,
    hosts: Option<(Instant, Vec<HostState>)>,
    /// Cores of our running jobs, by node, as of the last query.
    ours: HashMap<String, u32>,
}

impl<P: Programs> Slurm<P> {
    /// Makes an executor of a cluster whose tools are run through `programs`.
    pub fn new(programs: P, options: Options) -> Self {
        Self { programs, options, hosts: None, ours: HashMap::new() }
    }

    fn check_configuration(&self) -> Result<(), String> {
        let path = &self.options.configuration;
        match path.is_file() {
            true => Ok(()),
            false => Err(format!(
                "no Slurm configuration at {} (SLURM_CONF names another path)",
                path.display()
            )),
        }
    }

    fn run_tool(&self, program: &str, words: &[String]) -> Result<String, DispatchFault> {
        let fault = |reason| DispatchFault { executor: "slurm", reason };
        self.check_configuration().map_err(fault)?;
        let answer =
            self.programs.run(program, words, "").map_err(|e| fault(format!("{program}: {e}")))?;
        if answer.is_ok() {
            return Ok(answer.out);
        }
        Err(fault(format!("{program}: {}", answer.complaint())))
    }

    /// Submits one array: tasks that request the same resources of the same node.
    fn submit(&self, starts: &[Start]) -> Sent {
        let Some(first) = starts.first() else { return Sent::No("no tasks".to_owned()) };
        if let Err(why) = self.check_configuration() {
            return Sent::No(why);
        }
        let words = self.sbatch_arguments(starts, first);
        match self.programs.run("sbatch", &words, &self.script(starts)) {
            Ok(answer) if answer.is_ok() => {
                let id = answer.out.trim().split(';').next().unwrap_or_default().to_owned();
                match id.parse::<u64>() {
                    Ok(_) => Sent::As(id),
                    Err(_) => Sent::Unknown(format!("sbatch printed {:?}", answer.out.trim())),
                }
            }
            Ok(answer) if is_unknown(&answer.err) => Sent::Unknown(answer.complaint()),
            Ok(answer) => Sent::No(format!("sbatch: {}", answer.complaint())),
            Err(NoAnswer::NotStarted(why)) => Sent::No(why),
            Err(timed_out) => Sent::Unknown(format!("sbatch: {timed_out}")),
        }
    }

    fn sbatch_arguments(&self, starts: &[Start], first: &Start) -> Vec<String> {
        let options = &self.options;
        let longest = starts.iter().map(|s| s.seconds).fold(0.0, f64::max);
        let minutes = ((TIME_FACTOR * longest / 60.0).ceil() as u64).max(MIN_MINUTES);
        let memory = (first.memory_bytes + SUPERVISOR_MEMORY).div_ceil(1 << 20);
        let logs = options.logs.display();
        let numbers: Vec<String> = starts.iter().map(|s| array_of(&s.name).1.to_string()).collect();
        let mut words = vec![
            "--parsable".to_owned(),
            "--no-requeue".to_owned(),
            "--export=ALL".to_owned(),
            format!("--job-name={}", array_of(&first.name).0),
            format!("--array={}", numbers.join(",")),
            "--nodes=1".to_owned(),
            "--ntasks=1".to_owned(),
            format!("--nodelist={}", first.host),
            format!("--cpus-per-task={}", first.threads),
            format!("--mem={memory}M"),
            format!("--time={minutes}"),
            "--chdir=/".to_owned(),
            format!("--output={logs}/%x.%a.out"),
            "--open-mode=append".to_owned(),
        ];
        for (name, value) in [("partition", &options.partition), ("account", &options.account)] {
            if !value.is_empty() {
                words.push(format!("--{name}={value}"));
            }
        }
        words.extend(options.more.iter().cloned());
        words
    }

    fn script(&self, starts: &[Start]) -> String {
        let mut script = "#!/bin/sh\ncase \"$SLURM_ARRAY_TASK_ID\" in\n".to_owned();
        let program = quoted(&self.options.node_program);
        for start in starts {
            let number = array_of(&start.name).1;
            let file = quoted(&start.task_file.to_string_lossy());
            let host = quoted(&start.host);
            let _ = writeln!(script, "{number}) ALMAGEST_HOST={host} exec {program} run {file};;");
        }
        script + "esac\n"
    }

    /// Returns all our jobs that Slurm knows, by name and number in the array.
    fn known(&mut self) -> Result<HashMap<(String, u64), Known>, DispatchFault> {
        let format = "%F|%K|%T|%C|%N|%r|%j";
        let words = ["-h", "-r", "--me", "-t", "all", "-o", format].map(str::to_owned);
        let text = self.run_tool("squeue", &words)?;
        self.ours.clear();
        let mut known = HashMap::new();
        for line in text.lines() {
            let Some(job) = Known::of(line) else { continue };
            if job.state == "RUNNING" || job.state == "COMPLETING" {
                *self.ours.entry(job.node.clone()).or_default() += job.cores;
            }
            known.insert((job.name.clone(), job.number), job);
        }
        Ok(known)
    }
}

/// Splits a name of the form `array.number`: all starts of one array have the first part in common.
fn array_of(name: &str) -> (&str, u64) {
    match name.rsplit_once('.') {
        Some((array, number)) => (array, number.parse().unwrap_or(0)),
        None => (name, 0),
    }
}

/// Returns true when an error message does not determine the action of the controller.
fn is_unknown(complaint: &str) -> bool {
    ["timed out", "Unable to contact", "Connection", "Zero Bytes", "communication"]
        .iter()
        .any(|words| complaint.contains(words))
}

/// A line of squeue.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    id: String,
    number: u64,
    state: String,
    cores: u32,
    node: String,
    reason: String,
    name: String,
}

impl Known {
    fn of(line: &str) -> Option<Self> {
        let mut fields = line.splitn(7, '|');
        let mut next = || fields.next().map(|f| f.trim().to_owned());
        Some(Self {
            id: next()?,
            number: next()?.parse().ok()?,
            state: next()?,
            cores: next()?.parse().unwrap_or(1),
            node: next()?,
            reason: next()?,
            name: next()?,
        })
    }

    fn state(&self) -> JobState {
        match self.state.as_str() {
            "PENDING" | "REQUEUED" | "REQUEUE_HOLD" | "REQUEUE_FED" | "SPECIAL_EXIT" => {
                JobState::Waiting(self.reason.clone())
            }
            "RUNNING" | "COMPLETING" | "CONFIGURING" | "SUSPENDED" | "STOPPED" | "RESIZING"
            | "SIGNALING" | "STAGE_OUT" => JobState::Running,
            "COMPLETED" => JobState::Ended(JobEnd::Ended),
            "TIMEOUT" | "DEADLINE" => JobState::Ended(JobEnd::Time),
            "OUT_OF_MEMORY" => JobState::Ended(JobEnd::Memory),
            "NODE_FAIL" | "BOOT_FAIL" => JobState::Ended(JobEnd::HostFailed),
            "CANCELLED" | "PREEMPTED" | "REVOKED" => JobState::Ended(JobEnd::Cancelled),
            _ => JobState::Ended(JobEnd::Failed),
        }
    }
}

/// Parses a line of sinfo: node, state, cores as allocated/idle/other/total, load over five minutes, memory in MB, reason.
fn host_of(line: &str, ours: &HashMap<String, u32>) -> Option<HostState> {
    let mut fields = line.splitn(6, '|').map(str::trim);
    let (name, state) = (fields.next()?.parse::<HostName>().ok()?, fields.next()?);
    let cores: Vec<u32> = fields.next()?.split('/').filter_map(|n| n.parse().ok()).collect();
    let [allocated, _, other, total] = cores.as_slice() else { return None };
    let load = fields.next()?.parse().ok().map(|load| (load, 5));
    let memory: u64 = fields.next()?.trim_end_matches('+').parse().ok()?;
    let reason = fields.next().unwrap_or_default();
    let of_others = allocated.saturating_sub(ours.get(name.as_str()).copied().unwrap_or(0));
    let is_open = ["idle", "mixed", "allocated", "completing"].contains(&state);
    let closed = (!is_open).then(|| match reason {
        "" | "none" => format!("Slurm reports the node as {state}"),
        reason => format!("Slurm reports the node as {state}: {reason}"),
    });
    Some(HostState {
        name,
        cores: total.saturating_sub(*other).saturating_sub(of_others),
        memory_bytes: memory << 20,
        load,
        users: Vec::new(),
        closed,
    })
}

impl<P: Programs> Executor for Slurm<P> {
    fn name(&self) -> &'static str {
        "slurm"
    }

    fn hosts(&mut self) -> Result<Vec<HostState>, DispatchFault> {
        if let Some((queried, hosts)) = &self.hosts
            && queried.elapsed() < HOSTS_EVERY
        {
            return Ok(hosts.clone());
        }
        let mut words = ["-h", "-N", "-o", "%N|%T|%C|%O|%m|%E"].map(str::to_owned).to_vec();
        if !self.options.partition.is_empty() {
            words.push(format!("--partition={}", self.options.partition));
        }
        let text = self.run_tool("sinfo", &words)?;
        // A node is listed once for each of its partitions.
        let hosts: BTreeMap<HostName, HostState> = text
            .lines()
            .filter_map(|line| host_of(line, &self.ours))
            .map(|host| (host.name.clone(), host))
            .collect();
        let hosts: Vec<HostState> = hosts.into_values().collect();
        self.hosts = Some((Instant::now(), hosts.clone()));
        Ok(hosts)
    }

    fn start(&mut self, starts: &[Start]) -> Vec<Sent> {
        // Names of one array follow each other, and so do their starts.
        let mut sent = Vec::with_capacity(starts.len());
        for array in starts.chunk_by(|a, b| array_of(&a.name).0 == array_of(&b.name).0) {
            let answer = self.submit(array);
            sent.extend(std::iter::repeat_n(answer, array.len()));
        }
        sent
    }

    fn poll(&mut self, jobs: &[Job]) -> Result<Vec<JobState>, DispatchFault> {
        if jobs.is_empty() {
            self.ours.clear();
            return Ok(Vec::new());
        }
        let known = self.known()?;
        let state = |job: &Job| {
            let (array, number) = array_of(&job.name);
            known.get(&(array.to_owned(), number)).map_or(JobState::Unknown, Known::state)
        };
        Ok(jobs.iter().map(state).collect())
    }

    fn cancel(&mut self, jobs: &[Job]) -> Result<(), DispatchFault> {
        let known = self.known()?;
        let ids: Vec<String> = jobs
            .iter()
            .filter_map(|job| {
                let (array, number) = array_of(&job.name);
                let known = known.get(&(array.to_owned(), number))?;
                let has_ended = matches!(known.state(), JobState::Ended(_));
                (!has_ended).then(|| format!("{}_{number}", known.id))
            })
            .collect();
        for some in ids.chunks(100) {
            self.run_tool("scancel", some)?;
        }
        Ok(())
    }

    fn outlives(&self) -> bool {
        true
    }

    /// Returns a lead time, so that no core waits for the next pass.
    fn ahead(&self) -> f64 {
        20.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Answer;
    use std::cell::RefCell;

    /// A fake that answers as given, and records the calls.
    struct Fake {
        answers: RefCell<Vec<Result<Answer, NoAnswer>>>,
        asked: RefCell<Vec<(String, Vec<String>, String)>>,
    }

    impl Programs for &Fake {
        fn run(&self, program: &str, words: &[String], stdin: &str) -> Result<Answer, NoAnswer> {
            let asked = (program.to_owned(), words.to_vec(), stdin.to_owned());
            self.asked.borrow_mut().push(asked);
            self.answers.borrow_mut().remove(0)
        }
    }

    fn fake(answers: Vec<Result<Answer, NoAnswer>>) -> Fake {
        Fake { answers: RefCell::new(answers), asked: RefCell::default() }
    }

    fn out(text: &str) -> Result<Answer, NoAnswer> {
        Ok(Answer { code: Some(0), out: text.to_owned(), err: String::new() })
    }

    fn complaint(text: &str) -> Result<Answer, NoAnswer> {
        Ok(Answer { code: Some(1), out: String::new(), err: text.to_owned() })
    }

    fn start(name: &str, host: &str) -> Start {
        Start {
            name: name.to_owned(),
            task_file: PathBuf::from(format!("/site/it's {name}/task.json")),
            host: host.parse().unwrap(),
            threads: 1,
            memory_bytes: 450 << 20,
            seconds: 300.0,
        }
    }

    fn job(name: &str) -> Job {
        let (id, host) = (String::new(), "n1".parse().unwrap());
        Job { name: name.to_owned(), id, host, task_file: PathBuf::new() }
    }

    fn options() -> Options {
        Options {
            configuration: PathBuf::from("/proc/version"), // an existing file
            partition: "main".to_owned(),
            more: vec!["--nice=10".to_owned()],
            node_program: "/opt/almagest-node".to_owned(),
            logs: PathBuf::from("/site/logs/jobs"),
            ..Options::default()
        }
    }

    #[test]
    fn output_of_the_tools_is_understood() {
        let fake = fake(vec![
            out("1234;cluster\n"),
            complaint(
                "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
            ),
            complaint("sbatch: error: invalid partition specified: main"),
            Err(NoAnswer::TimedOut(Duration::from_secs(20))),
        ]);
        let mut slurm = Slurm::new(&fake, options());
        let starts = [
            start("alm-a.0", "n1"),
            // The start with number 1 was dropped before sending.
            start("alm-a.2", "n1"),
            start("alm-b.0", "n2"),
            start("alm-c.0", "n2"),
            start("alm-d.0", "n2"),
        ];
        let sent = slurm.start(&starts);
        assert_eq!(sent[..2], [Sent::As("1234".to_owned()), Sent::As("1234".to_owned())]);
        assert!(matches!(&sent[2], Sent::Unknown(why) if why.contains("timed out")));
        assert!(matches!(&sent[3], Sent::No(why) if why.contains("invalid partition")));
        assert!(matches!(&sent[4], Sent::Unknown(why) if why.contains("no response")));
        let asked = fake.asked.borrow();
        let (program, words, script) = &asked[0];
        assert_eq!(program, "sbatch");
        for word in [
            "--no-requeue",
            "--job-name=alm-a",
            "--array=0,2",
            "--nodelist=n1",
            "--time=25",
            "--mem=514M",
            "--partition=main",
            "--nice=10",
            "--export=ALL",
        ] {
            assert!(words.iter().any(|w| w == word), "{word} in {words:?}");
        }
        assert!(!words.iter().any(|w| w.starts_with("--account")));
        assert!(script.contains(
            "2) ALMAGEST_HOST=n1 exec /opt/almagest-node run '/site/it'\\''s alm-a.2/task.json';;"
        ));
    }

    #[test]
    fn states_are_mapped_by_name_and_number() {
        let lines = "77|0|RUNNING|1|n1|None|alm-a\n77|1|PENDING|1||Resources|alm-a\n\
                     78|0|NODE_FAIL|1|n2|NodeDown|alm-b\n79|0|TIMEOUT|1|n2|TimeLimit|alm-c\n\
                     80|N/A|RUNNING|4|n2|None|of|another|user\n81|0|OUT_OF_MEMORY|1|n2|OOM|alm-d\n\
                     82|0|CANCELLED|1|n2|None|alm-e\n83|0|COMPLETED|1|n2|None|alm-f\n84|0|FAILED|1|n1|x|alm-g\n";
        let fake = fake(vec![out(lines), out(lines), out(""), out("")]);
        let mut slurm = Slurm::new(&fake, options());
        let names = [
            "alm-a.0", "alm-a.1", "alm-b.0", "alm-c.0", "alm-d.0", "alm-e.0", "alm-f.0", "alm-g.0",
            "alm-x.0",
        ];
        let jobs = names.map(job);
        let over = |over| JobState::Ended(over);
        assert_eq!(
            slurm.poll(&jobs).unwrap(),
            [
                JobState::Running,
                JobState::Waiting("Resources".to_owned()),
                over(JobEnd::HostFailed),
                over(JobEnd::Time),
                over(JobEnd::Memory),
                over(JobEnd::Cancelled),
                over(JobEnd::Ended),
                over(JobEnd::Failed),
                JobState::Unknown
            ]
        );
        slurm.cancel(&jobs).unwrap();
        assert_eq!(fake.asked.borrow()[2].0, "scancel");
        assert_eq!(fake.asked.borrow()[2].1, ["77_0", "77_1"]);
    }

    #[test]
    fn nodes_are_counted_once_and_without_what_others_use() {
        let jobs = "77|0|RUNNING|2|n1|None|alm-a\n";
        let nodes = "n1|mixed|5/3/0/8|2.51|16000|none\nn1|mixed|5/3/0/8|2.51|16000|none\n\
                     n2|down*|0/0/8/8|N/A|16000|Not responding\nn3|drained|0/8/0/8|0.10|32000|new fan | soon\n";
        let fake = fake(vec![out(jobs), out(nodes)]);
        let mut slurm = Slurm::new(&fake, options());
        slurm.poll(&[job("alm-a.0")]).unwrap();
        let hosts = slurm.hosts().unwrap();
        assert_eq!(hosts.len(), 3);
        assert_eq!((hosts[0].cores, hosts[0].memory_bytes), (5, 16_000 << 20));
        assert_eq!(hosts[0].load, Some((2.51, 5)));
        assert_eq!(hosts[0].closed, None);
        assert_eq!(
            hosts[1].closed.as_deref(),
            Some("Slurm reports the node as down*: Not responding")
        );
        assert_eq!(hosts[1].load, None);
        assert_eq!(
            hosts[2].closed.as_deref(),
            Some("Slurm reports the node as drained: new fan | soon")
        );
        assert_eq!(slurm.hosts().unwrap(), hosts, "not asked again at once");
    }
}
