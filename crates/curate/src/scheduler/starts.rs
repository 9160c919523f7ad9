//! Sending of tasks that may start: the approved tasks that are due, to the host that has room first.

use super::situation::{self, Piece};
use super::{Curator, LEASE, SchedulerPass};
use crate::log::{of_round, tell};
use crate::{site, task_files};
use archive::attempts::lease::Process;
use archive::attempts::{AttemptEnd, AttemptKey, EndCause, Lease, Place};
use archive::planning::OpenTask;
use archive::rounds::TaskKey;
use dispatch::planner;
use dispatch::{HostState, MAX_ARRAY_SIZE, Sent, Start};
use model::HostName;
use model::task::TaskLimits;
use std::time::{Duration, Instant};

/// Seconds for which tasks of a request are sent ahead.
const AHEAD_OF_INGEST: f64 = 20.0;

/// A task whose file could not be written is tried again after this.
const REWRITE_AFTER: Duration = Duration::from_secs(60);

/// A task that is to be sent now.
struct Due {
    task: TaskKey,
    host: HostName,
    memory_bytes: u64,
    seconds: f64,
}

impl Curator {
    pub(super) fn start(&mut self, report: &mut SchedulerPass) -> anyhow::Result<()> {
        let mut sent: Vec<(AttemptKey, Start)> = Vec::new();
        let due = self.due()?;
        let alike = due.chunk_by(|a, b| (&a.host, a.memory_bytes) == (&b.host, b.memory_bytes));
        for alike in alike.flat_map(|alike| alike.chunks(MAX_ARRAY_SIZE)) {
            self.names.1 += 1;
            let array = format!("{}-{}", self.names.0, self.names.1);
            for (number, due) in alike.iter().enumerate() {
                sent.extend(self.start_one(due, format!("{array}.{number}"), report)?);
            }
        }
        if sent.is_empty() {
            return Ok(());
        }
        files::crash_point("data:before-sending");
        let starts: Vec<Start> = sent.iter().map(|(_, start)| start.clone()).collect();
        let answers = self.executor.start(&starts);
        files::crash_point("data:after-sending");
        for ((attempt, start), answer) in sent.iter().zip(answers) {
            self.answered(attempt, start, answer, report)?;
        }
        Ok(())
    }

    /// Returns how many seconds before a core is free a start is sent. An operator who waits ingests between two passes: no core is
    /// to wait for that. Where memory or the configuration leaves cores unused, the pool must not start more than was planned.
    fn ahead(&self) -> f64 {
        let per_task = self.site.config.work.memory_per_thread_mb * 1_000_000;
        let has_room = |host: &HostState| {
            host.memory_bytes / 2 >= u64::from(host.cores) * per_task
                && !self.site.config.hosts.contains_key(&host.name)
        };
        match self.request.is_some() && self.hosts.iter().all(has_room) {
            true => self.executor.ahead().max(AHEAD_OF_INGEST),
            false => self.executor.ahead(),
        }
    }

    /// Lists the starts that are due, similar ones together.
    fn due(&mut self) -> anyhow::Result<Vec<Due>> {
        let ahead = self.ahead();
        self.again_at.retain(|_, at| *at > Instant::now());
        let again_at = self.again_at.clone();
        let request = self.request.clone();
        let (mut due, blocked): (Vec<Due>, _) = self.with_facts(|facts| {
            let is_approved = |task: &OpenTask| match &request {
                Some(request) => request.approves(task),
                None => task.may_start(),
            };
            let may = |task: &OpenTask| is_approved(task) && !again_at.contains_key(&task.key);
            let work = situation::situation(facts, &may, false);
            let plan = planner::plan(&work.situation);
            let unit = |task: usize| work.units[work.situation.tasks[task].group].clone();
            let blocked: Vec<_> =
                plan.unplanned.into_iter().map(|(task, reason)| (unit(task), reason)).collect();
            let due = plan.placements.into_iter().filter(|p| p.start <= ahead);
            let due = due.filter_map(|placement| {
                let Piece::Open(key) = &work.pieces[placement.task] else { return None };
                Some(Due {
                    task: key.clone(),
                    host: work.situation.hosts[placement.host].name.clone(),
                    memory_bytes: work.situation.tasks[placement.task].memory_bytes,
                    seconds: placement.seconds,
                })
            });
            (due.collect(), blocked)
        })?;
        self.blocked = blocked;
        due.sort_by(|a, b| (&a.host, a.memory_bytes).cmp(&(&b.host, b.memory_bytes)));
        Ok(due)
    }

    /// Records a start and writes its task file. Returns `None` when another process decided otherwise in the meantime, or the
    /// file cannot be written.
    fn start_one(
        &mut self,
        due: &Due,
        name: String,
        report: &mut SchedulerPass,
    ) -> anyhow::Result<Option<(AttemptKey, Start)>> {
        let Due { task, host, memory_bytes, seconds } = due;
        let holder = match self.executor.outlives() {
            true => name.clone(),
            false => Process::me().to_string(),
        };
        let executor = self.executor.name().to_owned();
        let lease = Lease { executor, holder, until: site::now() + LEASE };
        let (host, memory_bytes) = (host.clone(), *memory_bytes);
        let place = Place { host: host.clone(), job: String::new(), memory_bytes };
        let started = match self.archive.start_attempt(task, &lease, Some(&place), site::now()) {
            Ok(started) => started,
            Err(error) if error.is_conflict() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        files::crash_point("data:started");
        let limits = TaskLimits { threads: 1, memory_bytes };
        let (staging, umask) = (self.site.place.staging(), self.site.config.files.mask());
        let task_file = match task_files::write(&started, &staging, &self.profiles, (limits, umask))
        {
            Ok(task_file) => task_file,
            Err(fault) => {
                self.not_written(&started.attempt, &format!("{fault:#}"), report)?;
                return Ok(None);
            }
        };
        let files = started.inputs.len() as u64;
        self.attempts.entry(started.attempt.clone()).or_default().files = files;
        let step = task.unit.use_case.name();
        self.counts.entry(step).or_default().begin();
        self.progress.expect(step, files);
        let start = Start { name, task_file, host, threads: 1, memory_bytes, seconds: *seconds };
        Ok(Some((started.attempt, start)))
    }

    /// Ends an attempt whose task file could not be written, so that it does not hold up the others.
    fn not_written(
        &mut self,
        attempt: &AttemptKey,
        why: &str,
        report: &mut SchedulerPass,
    ) -> anyhow::Result<()> {
        self.archive.note_end(attempt, EndCause::NotWritten)?;
        let TaskKey { unit, task } = &attempt.task;
        let line = format!("{unit} task {task}: {why}");
        if self.is_news(&line) {
            of_round!(tell, unit; ERROR, "task_not_written", task = task.get(), "{line}");
        }
        // Whoever asks for the work waits for its end; a daemon has time until the disk or the profile is repaired.
        if self.request.is_some() {
            self.archive.end_attempt(attempt, AttemptEnd::Failed, why, site::now())?;
            return self.give_up(&attempt.task, why, report);
        }
        self.archive.end_attempt(attempt, AttemptEnd::Lost, why, site::now())?;
        self.again_at.insert(attempt.task.clone(), Instant::now() + REWRITE_AFTER);
        Ok(())
    }

    fn answered(
        &mut self,
        attempt: &AttemptKey,
        start: &Start,
        answer: Sent,
        report: &mut SchedulerPass,
    ) -> anyhow::Result<()> {
        match answer {
            Sent::As(id) => {
                report.sent += 1;
                let TaskKey { unit, task } = &attempt.task;
                of_round!(
                    note, unit; DEBUG, "sent", task = task.get(), attempt = attempt.attempt.get(), host = start.host.as_str(),
                    "{unit} task {task} is sent to {}", start.host
                );
                if self.executor.outlives() {
                    self.archive.note_job(attempt, &id)?;
                }
            }
            Sent::No(why) => {
                self.refused.insert(start.host.clone(), (Instant::now(), why.clone()));
                let TaskKey { unit, task } = &attempt.task;
                let reason = format!("the task was not sent to {}: {why}", start.host);
                self.archive.note_end(attempt, EndCause::NotSent)?;
                self.archive.end_attempt(attempt, AttemptEnd::Lost, &reason, site::now())?;
                if self.is_news(&reason) {
                    of_round!(
                        tell, unit; ERROR, "not_sent", task = task.get(), attempt = attempt.attempt.get(), host = start.host.as_str(),
                        "{unit} task {task} was not sent to {}: {why}", start.host
                    );
                }
            }
            // The job is found by its name later.
            Sent::Unknown(why) => {
                report.sent += 1;
                let name = &start.name;
                let line = format!("unknown whether {name} was started: {why}");
                if self.is_news(&line) {
                    tell!(WARN, "start_unknown", host = start.host.as_str(), "{line}");
                }
            }
        }
        Ok(())
    }
}
