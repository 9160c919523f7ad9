//! A pool of threads on this machine.

use crate::{DispatchFault, Ended, Executor, Outcome, Start};
use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a worker does with a task file.
pub type Work = dyn Fn(&Start) -> Outcome + Send + Sync;

/// A pool of worker threads, each doing one task at a time.
pub struct Local {
    queue: Arc<Queue>,
    ended: Receiver<Ended>,
    workers: Vec<JoinHandle<()>>,
    under_way: usize,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    nudge: Condvar,
}

#[derive(Default)]
struct Waiting {
    starts: VecDeque<Start>,
    closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Start> {
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

impl Local {
    /// A pool that does tasks as `almagest-node` would.
    pub fn new(workers: usize) -> Self {
        Self::with_work(
            workers,
            Arc::new(|start: &Start| match node::run_file(&start.task_file) {
                Ok(_) => Outcome::Finished,
                Err(fault) => Outcome::Failed {
                    reason: model::one_line(&fault),
                    transient: fault.is_transient(),
                },
            }),
        )
    }

    /// A pool that does something else with task files.
    pub fn with_work(workers: usize, work: Arc<Work>) -> Self {
        let queue = Arc::new(Queue::default());
        let (tell, ended) = mpsc::channel();
        let workers = (0..workers.max(1))
            .map(|_| {
                let (queue, work, tell) = (Arc::clone(&queue), Arc::clone(&work), tell.clone());
                std::thread::spawn(move || work_off(&queue, &*work, &tell))
            })
            .collect();
        Self { queue, ended, workers, under_way: 0 }
    }
}

fn work_off(queue: &Queue, work: &Work, tell: &Sender<Ended>) {
    while let Some(start) = queue.next() {
        let outcome =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&start))).unwrap_or_else(
                |panic| Outcome::Failed { reason: panic_text(&*panic), transient: false },
            );
        if tell.send(Ended { start, outcome }).is_err() {
            return;
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("a defect of the program: {}", text.unwrap_or_else(|| "panic".to_owned()))
}

impl Executor for Local {
    fn name(&self) -> &'static str {
        "local"
    }

    fn free_slots(&self) -> usize {
        self.workers.len().saturating_sub(self.under_way)
    }

    fn start(&mut self, start: Start) -> Result<(), DispatchFault> {
        self.queue.lock().starts.push_back(start);
        self.under_way += 1;
        self.queue.nudge.notify_one();
        Ok(())
    }

    fn poll(&mut self, patience: Duration) -> Result<Vec<Ended>, DispatchFault> {
        let mut all = Vec::new();
        if self.under_way == 0 {
            return Ok(all);
        }
        match self.ended.recv_timeout(patience) {
            Ok(ended) => all.push(ended),
            Err(RecvTimeoutError::Timeout) => return Ok(all),
            Err(RecvTimeoutError::Disconnected) => {
                let reason = "all workers are gone".to_owned();
                return Err(DispatchFault { executor: self.name(), reason });
            }
        }
        all.extend(self.ended.try_iter());
        self.under_way = self.under_way.saturating_sub(all.len());
        Ok(all)
    }

    fn drain(&mut self) {
        let mut waiting = self.queue.lock();
        self.under_way -= waiting.starts.len();
        waiting.starts.clear();
    }
}

impl Drop for Local {
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
    use std::path::PathBuf;

    fn start(name: &str) -> Start {
        Start { task_file: PathBuf::from(name) }
    }

    fn all_ended(pool: &mut Local, count: usize) -> Vec<Ended> {
        let mut all = Vec::new();
        while all.len() < count {
            all.extend(pool.poll(Duration::from_secs(10)).unwrap());
        }
        all.sort_by(|a, b| a.start.task_file.cmp(&b.start.task_file));
        all
    }

    #[test]
    fn every_start_ends_once_and_a_panic_ends_only_its_own() {
        let mut pool = Local::with_work(
            3,
            Arc::new(|start| match start.task_file.to_str() {
                Some("b") => panic!("broken"),
                _ => Outcome::Finished,
            }),
        );
        for name in ["a", "b", "c", "d", "e"] {
            pool.start(start(name)).unwrap();
        }
        let ended = all_ended(&mut pool, 5);
        assert_eq!(ended[0].outcome, Outcome::Finished);
        assert!(
            matches!(&ended[1].outcome, Outcome::Failed { reason, .. } if reason.contains("broken"))
        );
        assert_eq!(ended.len(), 5);
        assert_eq!(pool.free_slots(), 3);
        assert!(pool.poll(Duration::ZERO).unwrap().is_empty());
    }

    #[test]
    fn drain_lets_go_of_what_has_not_begun() {
        let (go, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let mut pool = Local::with_work(
            1,
            Arc::new(move |_| {
                let _ = wait.lock().map(|w| w.recv());
                Outcome::Finished
            }),
        );
        for name in ["a", "b", "c"] {
            pool.start(start(name)).unwrap();
        }
        while pool.queue.lock().starts.len() > 2 {
            std::thread::yield_now();
        }
        pool.drain();
        go.send(()).unwrap();
        assert_eq!(all_ended(&mut pool, 1)[0].start, start("a"));
        assert_eq!(pool.free_slots(), 1);
    }
}
