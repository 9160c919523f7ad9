//! Collection of attempts: results are accepted, ends are recorded, silence is detected.

use super::verdict::{Signs, Verdict, verdict};
use super::{Curator, LEASE, SchedulerPass};
use crate::log::of_round;
use crate::{failure, site};
use anyhow::Context;
use archive::attempts::lease::Process;
use archive::attempts::results::Acceptance;
use archive::attempts::{AttemptEnd, AttemptKey, EndCause, Place, RunningAttempt};
use archive::history::Cause;
use archive::rounds::TaskKey;
use dispatch::{Job, JobState};
use files::{Dir, OpenFault};
use model::task::{
    END_NAME, HEARTBEAT_NAME, Heartbeat, RESULT_NAME, TASK_NAME, TaskEnd, TaskResult,
};
use stage::{ResultCheck, StageError, StageFault};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::Read;
use std::time::{Duration, Instant};

/// Number of failures after which a task is given up, and number of lost attempts.
const MAX_FAILURES: u32 = 3;
const MAX_LOST: u32 = 8;
/// Delay after the first failure, four times as long after each further one: a transient failure takes time to pass.
const FAILURE_PAUSE: Duration = Duration::from_secs(5);
/// Maximum length to which heartbeats and notes are read.
const NOTE_BYTES: u64 = 1 << 20;

/// The memory of an attempt between two passes.
#[derive(Default)]
pub(super) struct Memory {
    beat: Option<(u64, Instant)>,
    over: Option<Instant>,
    unreadable: Option<Instant>,
    seen: Option<Instant>,
    pub(super) heartbeat: Option<Heartbeat>,
    pub(super) waits: bool,
    /// Files in the task.
    pub(super) files: u64,
}

impl Curator {
    /// Returns the attempts of this executor under way, with their places. Attempts of a process that has ended are left to the
    /// sweep.
    pub(super) fn mine(&self) -> anyhow::Result<Vec<(RunningAttempt, Place)>> {
        let me = Process::me().to_string();
        let is_mine = |attempt: &RunningAttempt| {
            attempt.lease.executor == self.executor.name()
                && (self.executor.outlives() || attempt.lease.holder == me)
        };
        let running = self.archive.running_attempts()?.into_iter().filter(is_mine);
        Ok(running.filter_map(|a| a.place.clone().map(|place| (a, place))).collect())
    }

    /// Collects the results of attempts, and decides on attempts without a result.
    pub(super) fn collect(&mut self, report: &mut SchedulerPass) -> anyhow::Result<()> {
        let mine = self.mine()?;
        let jobs: Vec<Job> = mine.iter().map(|(attempt, place)| job(attempt, place)).collect();
        let standings = match self.executor.poll(&jobs) {
            Ok(standings) => standings.into_iter().map(Some).collect(),
            Err(fault) => {
                self.executor_failed(&fault.to_string());
                vec![None; jobs.len()]
            }
        };
        let known: HashSet<&AttemptKey> = mine.iter().map(|(a, _)| &a.attempt).collect();
        self.attempts.retain(|key, _| known.contains(key));
        for (((attempt, place), job), standing) in mine.iter().zip(&jobs).zip(standings) {
            self.attend(attempt, place, job, standing, report)?;
        }
        self.is_stale |= report.accepted + report.failed + report.given_up > 0;
        Ok(())
    }

    fn attend(
        &mut self,
        attempt: &RunningAttempt,
        place: &Place,
        job: &Job,
        standing: Option<JobState>,
        report: &mut SchedulerPass,
    ) -> anyhow::Result<()> {
        let staging = self.site.place.staging();
        let directory = match Dir::below(&staging, &attempt.directory) {
            Ok(directory) => Some(directory),
            Err(OpenFault::Missing) => None,
            Err(fault) => {
                self.not_read(&attempt.attempt, "its directory", &model::one_line(&fault));
                None
            }
        };
        let unreadable = match directory.as_ref().and_then(left_result) {
            Some(Ok(result)) if AttemptKey::of(&result) == attempt.attempt => {
                match self.take(&result, report)? {
                    None => return Ok(()),
                    Some(why) => return self.invalid(attempt, place, &why, report),
                }
            }
            Some(Ok(_)) => {
                return self.invalid(
                    attempt,
                    place,
                    "the result is that of another attempt",
                    report,
                );
            }
            Some(Err(error)) if !error.fault.is_transient() => {
                return self.invalid(attempt, place, &model::one_line(&error), report);
            }
            Some(Err(error)) => Some(model::one_line(&error)),
            None => None,
        };
        let signs = self.signs(attempt, place, standing, unreadable, directory.as_ref());
        let timeout = self.site.config.plan.heartbeat_timeout_seconds.max(1) as f64;
        let key = &attempt.attempt;
        match verdict(&signs, timeout, self.executor.is_manual()) {
            Verdict::NoAction => {
                let now = site::now();
                if attempt.lease.until - now < LEASE / 2 {
                    self.archive.renew_lease(key, now + LEASE)?;
                }
                Ok(())
            }
            Verdict::Failed { cause, reason, transient } => {
                self.failed(key, place, (cause, &reason), transient, report)
            }
            Verdict::Lost { cause, reason } => {
                let reason = format!("on {}: {reason}", place.host);
                self.end((key, &place.host), AttemptEnd::Lost, cause, &reason)?;
                report.failed += 1;
                if let Err(fault) = self.executor.cancel(std::slice::from_ref(job)) {
                    self.executor_failed(&fault.to_string());
                }
                if key.attempt.get() >= MAX_LOST {
                    self.give_up(&key.task, &reason, report)?;
                }
                Ok(())
            }
        }
    }

    /// Ends an attempt that failed, and decides whether its task is retried.
    fn failed(
        &mut self,
        key: &AttemptKey,
        place: &Place,
        (cause, reason): (EndCause, &str),
        transient: bool,
        report: &mut SchedulerPass,
    ) -> anyhow::Result<()> {
        let reason = format!("on {}: {reason}", place.host);
        self.end((key, &place.host), AttemptEnd::Failed, cause, &reason)?;
        report.failed += 1;
        // More memory is requested only once.
        let is_raised = cause == EndCause::Memory && self.memory_failures(&key.task)? > 1;
        if !transient || is_raised || key.attempt.get() >= MAX_FAILURES {
            self.give_up(&key.task, &reason, report)?;
        } else if cause != EndCause::Memory {
            let pause = FAILURE_PAUSE * 4_u32.saturating_pow(key.attempt.get().saturating_sub(1));
            self.again_at.insert(key.task.clone(), Instant::now() + pause);
        }
        Ok(())
    }

    /// Ends an attempt whose result cannot be accepted, now or later. Another host may succeed.
    fn invalid(
        &mut self,
        attempt: &RunningAttempt,
        place: &Place,
        why: &str,
        report: &mut SchedulerPass,
    ) -> anyhow::Result<()> {
        let reason = format!("the result of the task is invalid: {why}");
        self.failed(&attempt.attempt, place, (EndCause::InvalidResult, &reason), true, report)
    }

    /// Returns the observations of an attempt without result, by this process's own clock: wall clocks may jump.
    fn signs(
        &mut self,
        attempt: &RunningAttempt,
        place: &Place,
        standing: Option<JobState>,
        unreadable: Option<String>,
        directory: Option<&Dir>,
    ) -> Signs {
        let key = &attempt.attempt;
        let heartbeat = self.note_of::<Heartbeat>(key, directory, HEARTBEAT_NAME);
        let end = self.note_of::<TaskEnd>(key, directory, END_NAME);
        let memory = self.attempts.entry(key.clone()).or_default();
        let since = |first: &mut Option<Instant>| {
            first.get_or_insert_with(Instant::now).elapsed().as_secs_f64()
        };
        memory.waits = matches!(standing, Some(JobState::Waiting(_)));
        if let Some(heartbeat) = heartbeat.and_then(Heartbeat::checked) {
            if memory.beat.is_none_or(|(beat, _)| beat != heartbeat.beat) {
                memory.beat = Some((heartbeat.beat, Instant::now()));
                memory.waits = false;
            }
            memory.heartbeat = Some(heartbeat);
        }
        let is_over = matches!(standing, Some(JobState::Ended(_)));
        let host = self.hosts.iter().find(|h| h.name == place.host);
        Signs {
            end: end.and_then(TaskEnd::checked),
            standing,
            is_thread: !self.executor.outlives(),
            beat_age: memory.beat.map(|(_, since)| since.elapsed().as_secs_f64()),
            age: since(&mut memory.seen),
            over_for: if is_over { since(&mut memory.over) } else { 0.0 },
            host_closed: host.and_then(|h| h.closed.clone()),
            unreadable: unreadable.map(|why| (since(&mut memory.unreadable), why)),
        }
    }

    /// Takes a result. Returns the reason when the result itself is invalid.
    fn take(
        &mut self,
        result: &TaskResult,
        report: &mut SchedulerPass,
    ) -> anyhow::Result<Option<String>> {
        match self.archive.accept_result(result, site::now()) {
            Ok(Acceptance::Accepted { new_refusals, staged }) => {
                report.accepted += 1;
                report.refusals += new_refusals;
                self.counted(result, new_refusals);
                if staged {
                    let unit = &result.unit;
                    of_round!(self.is_daemon(), act, unit; INFO, "staged", "{unit} is staged");
                }
                Ok(None)
            }
            Ok(_) => Ok(None),
            Err(error) if error.failed_check().is_some() || error.is_about_data() => {
                Ok(Some(model::one_line(&error.fault)))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn counted(&mut self, result: &TaskResult, new_refusals: u64) {
        let step = result.unit.use_case.name();
        let memory = self.attempts.get(&AttemptKey::of(result));
        let files = memory.map_or(0, |memory| memory.files);
        self.counts.entry(step).or_default().add(result, files, new_refusals);
        self.progress.done(step, files);
    }

    fn end(
        &mut self,
        (attempt, host): (&AttemptKey, &str),
        end: AttemptEnd,
        cause: EndCause,
        reason: &str,
    ) -> anyhow::Result<()> {
        self.archive.note_end(attempt, cause)?;
        self.archive.end_attempt(attempt, end, reason, site::now())?;
        let (TaskKey { unit, task }, attempt) = (&attempt.task, attempt.attempt);
        let code = cause.name();
        of_round!(
            self.is_daemon(), act, unit; WARN, "attempt_failed", task = task.get(), attempt = attempt.get(), host, code,
            "{unit} task {task} attempt {attempt}: {reason}"
        );
        Ok(())
    }

    /// Reports something that a node left and that cannot be read, once.
    fn not_read(&mut self, attempt: &AttemptKey, what: &str, why: &str) {
        let (TaskKey { unit, task }, attempt) = (&attempt.task, attempt.attempt);
        let line = format!("{unit} task {task} attempt {attempt}: {what} cannot be read: {why}");
        if self.is_news(&line) {
            of_round!(tell, unit; WARN, "note_not_read", task = task.get(), attempt = attempt.get(), "{line}");
        }
    }

    /// Returns a small file that a node wrote. One that cannot be read counts as none and is reported.
    fn note_of<T: serde::de::DeserializeOwned>(
        &mut self,
        attempt: &AttemptKey,
        directory: Option<&Dir>,
        name: &str,
    ) -> Option<T> {
        match read_note(directory?, name) {
            Ok(note) => note,
            Err(why) => {
                self.not_read(attempt, name, &why);
                None
            }
        }
    }

    fn memory_failures(&self, task: &TaskKey) -> anyhow::Result<u32> {
        let open = self.archive.open_tasks()?;
        Ok(open.iter().find(|t| t.key == *task).map_or(0, |t| t.memory_failures))
    }

    pub(super) fn give_up(
        &mut self,
        task: &TaskKey,
        reason: &str,
        report: &mut SchedulerPass,
    ) -> anyhow::Result<()> {
        let cause = Cause::new("almagest", reason);
        if let Acceptance::Accepted { new_refusals, .. } =
            self.archive.give_up_task(task, &cause, site::now())?
        {
            report.refusals += new_refusals;
            report.given_up += 1;
            let TaskKey { unit, task } = task;
            of_round!(
                note, unit; WARN, "task_given_up", task = task.get(),
                "{unit} task {task} is given up: {reason}"
            );
            let counts = self.counts.entry(unit.use_case.name()).or_default();
            counts.refusals += new_refusals;
            counts.end();
        }
        Ok(())
    }

    /// Cancels attempts of some units or of a host: those that wait to begin, or all.
    ///
    /// # Errors
    /// When the archive fails.
    pub fn cancel(
        &mut self,
        is_meant: &dyn Fn(&AttemptKey, &Place) -> bool,
        only_waiting: bool,
        why: &str,
    ) -> anyhow::Result<u64> {
        let mut cancelled = 0;
        let meant = self.meant(is_meant, only_waiting)?;
        for (_, job) in &meant {
            self.executor
                .cancel(std::slice::from_ref(job))
                .map_err(|e| failure::gate(e.to_string()))?;
        }
        let began = if self.executor.outlives() { HashSet::new() } else { self.begun()? };
        for (attempt, _) in meant {
            // A thread of this process started it before it was cancelled, and runs to completion.
            if began.contains(&attempt) {
                continue;
            }
            self.archive.note_end(&attempt, EndCause::Cancelled)?;
            self.archive.end_attempt(&attempt, AttemptEnd::Lost, why, site::now())?;
            cancelled += 1;
        }
        Ok(cancelled)
    }

    /// Returns how many attempts [`Curator::cancel`] would cancel.
    ///
    /// # Errors
    /// When the archive fails, or the executor cannot be queried.
    pub fn cancellable(
        &mut self,
        is_meant: &dyn Fn(&AttemptKey, &Place) -> bool,
        only_waiting: bool,
    ) -> anyhow::Result<u64> {
        Ok(self.meant(is_meant, only_waiting)?.len() as u64)
    }

    /// Returns the attempts that run by their executor's word.
    fn begun(&mut self) -> anyhow::Result<HashSet<AttemptKey>> {
        let runs = |(_, _, _, standing): &Dispatched| matches!(standing, JobState::Running);
        Ok(self.dispatched()?.into_iter().filter(runs).map(|(attempt, ..)| attempt).collect())
    }

    /// Returns the attempts that an operator or a signal cancels, with their jobs.
    fn meant(
        &mut self,
        is_meant: &dyn Fn(&AttemptKey, &Place) -> bool,
        only_waiting: bool,
    ) -> anyhow::Result<Vec<(AttemptKey, Job)>> {
        let meant = |(attempt, place, _, standing): &Dispatched| {
            is_meant(attempt, place) && (!only_waiting || matches!(standing, JobState::Waiting(_)))
        };
        let meant = self.dispatched()?.into_iter().filter(meant);
        Ok(meant.map(|(attempt, _, job, _)| (attempt, job)).collect())
    }

    /// Queries the executor for all attempts under way.
    fn dispatched(&mut self) -> anyhow::Result<Vec<Dispatched>> {
        let mine = self.mine()?;
        let jobs: Vec<Job> = mine.iter().map(|(attempt, place)| job(attempt, place)).collect();
        let standings = self.executor.poll(&jobs).context("the executor cannot be queried")?;
        let all = mine.into_iter().zip(jobs).zip(standings);
        Ok(all.map(|(((a, place), job), standing)| (a.attempt, place, job, standing)).collect())
    }
}

/// An attempt under way with its place, its job and the executor's word on it.
type Dispatched = (AttemptKey, Place, Job, JobState);

/// Returns the job of an attempt: the holder of its lease is our name of the job.
fn job(attempt: &RunningAttempt, place: &Place) -> Job {
    Job {
        name: attempt.lease.holder.clone(),
        id: place.job.clone(),
        host: place.host.clone(),
        task_file: attempt.directory.join(TASK_NAME),
    }
}

/// Reads the result in an attempt's directory; `None` when there is none yet.
fn left_result(directory: &Dir) -> Option<Result<TaskResult, StageError>> {
    match stage::read_result_in(directory, ResultCheck::Lengths) {
        Err(StageError { path, fault: StageFault::NotOpened(OpenFault::Missing) })
            if path.ends_with(RESULT_NAME) =>
        {
            None
        }
        read => Some(read),
    }
}

/// Reads a small file that a node wrote; `None` when there is none. Nodes are trusted less than this process.
///
/// # Errors
/// The reason why the file cannot be read.
fn read_note<T: serde::de::DeserializeOwned>(
    directory: &Dir,
    name: &str,
) -> Result<Option<T>, String> {
    let mut text = Vec::new();
    let file = match directory.open_regular(OsStr::new(name)) {
        Ok(file) => file,
        Err(OpenFault::Missing) => return Ok(None),
        Err(fault) => return Err(model::one_line(&fault)),
    };
    file.take(NOTE_BYTES).read_to_end(&mut text).map_err(|fault| fault.to_string())?;
    serde_json::from_slice(&text).map(Some).map_err(|fault| fault.to_string())
}
