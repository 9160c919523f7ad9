//! A pool of threads on this machine.

use crate::executor::{DispatchFault, Executor, HostState, Job, JobEnd, JobState, Sent, Start};
use model::HostName;
use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// The function that a worker applies to a task file.
type Work = dyn Fn(&Path) -> Outcome + Send + Sync;

/// The outcome of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// The task ran to completion; `result.json` should exist.
    Finished,
    /// The task failed, for the reason given.
    Failed {
        /// The chain of errors, in one line.
        reason: String,
        /// True when a retry may help.
        transient: bool,
    },
}

/// A task that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ended {
    /// Task file of the task.
    task_file: PathBuf,
    /// Outcome of the task.
    outcome: Outcome,
}

/// A pool of worker threads, each doing one task at a time. A thread is started when a task finds none free.
struct Pool {
    queue: Arc<Queue>,
    work: Arc<Work>,
    sender: Sender<Ended>,
    ended: Receiver<Ended>,
    workers: Vec<JoinHandle<()>>,
    max_workers: usize,
    running: usize,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    nudge: Condvar,
}

#[derive(Default)]
struct Waiting {
    starts: VecDeque<PathBuf>,
    closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<PathBuf> {
        let mut waiting = self.lock();
        loop {
            if let Some(start) = waiting.starts.pop_front() {
                return Some(start);
            }
            if waiting.closed {
                return None;
            }
            waiting = self.nudge.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Pool {
    /// Makes a pool that does tasks as `almagest-node` would.
    fn new(workers: usize) -> Self {
        Self::with_work(
            workers,
            Arc::new(|task_file: &Path| match node::run_file(task_file) {
                Ok(_) => Outcome::Finished,
                Err(fault) => Outcome::Failed {
                    reason: model::one_line(&fault),
                    transient: fault.is_transient(),
                },
            }),
        )
    }

    /// Makes a pool that applies another function to task files.
    fn with_work(workers: usize, work: Arc<Work>) -> Self {
        let (sender, ended) = mpsc::channel();
        Self {
            queue: Arc::default(),
            work,
            sender,
            ended,
            workers: Vec::new(),
            max_workers: workers.max(1),
            running: 0,
        }
    }
}

fn work_through(queue: &Queue, work: &Work, sender: &Sender<Ended>) {
    while let Some(task_file) = queue.next() {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&task_file)))
            .unwrap_or_else(|panic| Outcome::Failed {
                reason: panic_text(&*panic),
                transient: false,
            });
        if sender.send(Ended { task_file, outcome }).is_err() {
            return;
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("internal error: {}", text.unwrap_or_else(|| "panic".to_owned()))
}

impl Pool {
    /// Starts a task and returns immediately.
    fn start(&mut self, task_file: PathBuf) {
        self.queue.lock().starts.push_back(task_file);
        self.running += 1;
        if self.workers.len() < self.running.min(self.max_workers) {
            let (queue, work) = (Arc::clone(&self.queue), Arc::clone(&self.work));
            let sender = self.sender.clone();
            self.workers.push(std::thread::spawn(move || work_through(&queue, &*work, &sender)));
        }
        self.queue.nudge.notify_one();
    }

    /// Returns the tasks that ended since the last call; waits for the first one up to `timeout`.
    fn poll(&mut self, timeout: Duration) -> Vec<Ended> {
        if self.running == 0 {
            return Vec::new();
        }
        // An error means that no task ended in time: the channel stays open, since the pool has a sender itself.
        let first = self.ended.recv_timeout(timeout).ok();
        let all: Vec<Ended> = first.into_iter().chain(self.ended.try_iter()).collect();
        self.running = self.running.saturating_sub(all.len());
        all
    }

    /// Returns the tasks that have not begun.
    fn waiting(&self) -> HashSet<PathBuf> {
        self.queue.lock().starts.iter().cloned().collect()
    }

    /// Removes a task that has not begun; returns `false` when it has.
    fn withdraw(&mut self, task_file: &Path) -> bool {
        let mut waiting = self.queue.lock();
        let before = waiting.starts.len();
        waiting.starts.retain(|waits| waits != task_file);
        self.running -= before - waiting.starts.len();
        before > waiting.starts.len()
    }
}

/// The pool as an executor: this machine is its only host.
pub struct ThisHost {
    name: HostName,
    cores: u32,
    memory_bytes: u64,
    pool: Pool,
    states: HashMap<PathBuf, JobState>,
}

impl ThisHost {
    /// Makes an executor of this machine under a name, with `cores` cores for tasks and all its memory.
    pub fn new(name: HostName, cores: u32) -> Self {
        let pool = Pool::new(cores as usize);
        // Where the memory is not known, there is no limit.
        let memory_bytes = node::host::memory("MemTotal").unwrap_or(1 << 50);
        Self { name, cores, memory_bytes, pool, states: HashMap::new() }
    }

    /// Notes the tasks that ended; waits for the first one up to `timeout`.
    fn collect(&mut self, timeout: Duration) {
        for ended in self.pool.poll(timeout) {
            let end = match ended.outcome {
                Outcome::Finished => JobEnd::Ended,
                Outcome::Failed { reason, transient } => {
                    write_end_note(&ended.task_file, reason, transient);
                    JobEnd::Failed
                }
            };
            self.states.insert(ended.task_file, JobState::Ended(end));
        }
    }
}

/// Writes the end note that a separate process would write. A note that cannot be written is missing in the history, with no
/// other effect.
fn write_end_note(task_file: &Path, reason: String, transient: bool) {
    use model::task::{END_NAME, EndCode, FORMAT_VERSION, TaskEnd};
    let code = if transient { EndCode::Failed } else { EndCode::Impossible };
    let host = node::host::name();
    let version = FORMAT_VERSION;
    let end = TaskEnd { version, code, reason, host, seconds: 0.0, peak_memory_bytes: 0 };
    let text = serde_json::to_vec(&end).unwrap_or_default();
    let _ = files::publish_bytes(&task_file.with_file_name(END_NAME), &text);
}

impl Executor for ThisHost {
    fn name(&self) -> &'static str {
        "local"
    }

    fn hosts(&mut self) -> Result<Vec<HostState>, DispatchFault> {
        Ok(vec![HostState {
            name: self.name.clone(),
            cores: self.cores,
            memory_bytes: self.memory_bytes,
            load: node::host::load().map(|load| (load[0], 1)),
            users: Vec::new(),
            closed: None,
        }])
    }

    fn start(&mut self, starts: &[Start]) -> Vec<Sent> {
        let send = |start: &Start| {
            self.states.insert(start.task_file.clone(), JobState::Running);
            self.pool.start(start.task_file.clone());
            Sent::As(start.name.clone())
        };
        starts.iter().map(send).collect()
    }

    fn poll(&mut self, jobs: &[Job]) -> Result<Vec<JobState>, DispatchFault> {
        self.collect(Duration::ZERO);
        let waiting = self.pool.waiting();
        let known = |job: &Job| match waiting.contains(&job.task_file) {
            true => Some(JobState::Waiting("for a free core".to_owned())),
            false => self.states.get(&job.task_file).cloned(),
        };
        let all: Vec<JobState> =
            jobs.iter().map(|job| known(job).unwrap_or(JobState::Unknown)).collect();
        let polled: HashSet<&PathBuf> = jobs.iter().map(|j| &j.task_file).collect();
        self.states
            .retain(|file, state| polled.contains(file) || !matches!(state, JobState::Ended(_)));
        Ok(all)
    }

    /// Removes waiting jobs. Running jobs continue to their end: a thread cannot be ended.
    fn cancel(&mut self, jobs: &[Job]) -> Result<(), DispatchFault> {
        for job in jobs {
            if self.pool.withdraw(&job.task_file) {
                self.states.insert(job.task_file.clone(), JobState::Ended(JobEnd::Cancelled));
            }
        }
        Ok(())
    }

    fn outlives(&self) -> bool {
        false
    }

    fn wait(&mut self, timeout: Duration) {
        match self.pool.running {
            0 => std::thread::sleep(timeout),
            _ => self.collect(timeout),
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut waiting = self.queue.lock();
        waiting.starts.clear();
        waiting.closed = true;
        drop(waiting);
        self.queue.nudge.notify_all();
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_ended(pool: &mut Pool, count: usize) -> Vec<Ended> {
        let mut all = Vec::new();
        while all.len() < count {
            all.extend(pool.poll(Duration::from_secs(10)));
        }
        all.sort_by(|a, b| a.task_file.cmp(&b.task_file));
        all
    }

    #[test]
    fn every_start_ends_once_and_a_panic_ends_only_its_own() {
        let mut pool = Pool::with_work(
            3,
            Arc::new(|file| match file.to_str() {
                Some("b") => panic!("broken"),
                _ => Outcome::Finished,
            }),
        );
        for name in ["a", "b", "c", "d", "e"] {
            pool.start(PathBuf::from(name));
        }
        let ended = all_ended(&mut pool, 5);
        assert_eq!(ended[0].outcome, Outcome::Finished);
        assert!(
            matches!(&ended[1].outcome, Outcome::Failed { reason, .. } if reason.contains("broken"))
        );
        assert_eq!(ended.len(), 5);
        assert_eq!(pool.workers.len(), 3);
        assert!(pool.poll(Duration::ZERO).is_empty());
    }

    #[test]
    fn tasks_that_have_not_begun_are_withdrawn() {
        let (go, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let mut pool = Pool::with_work(
            1,
            Arc::new(move |_| {
                let _ = wait.lock().map(|w| w.recv());
                Outcome::Finished
            }),
        );
        for name in ["a", "b", "c"] {
            pool.start(PathBuf::from(name));
        }
        while pool.waiting().len() > 2 {
            std::thread::yield_now();
        }
        assert_eq!(pool.waiting(), HashSet::from([PathBuf::from("b"), PathBuf::from("c")]));
        assert!(!pool.withdraw(Path::new("a")));
        assert!(pool.withdraw(Path::new("b")) && pool.withdraw(Path::new("c")));
        go.send(()).unwrap();
        assert_eq!(all_ended(&mut pool, 1)[0].task_file, PathBuf::from("a"));
        assert_eq!(pool.running, 0);
    }
}
