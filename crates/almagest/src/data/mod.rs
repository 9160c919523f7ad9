//! The data daemon: looks at computers, load and work, proposes a plan, and has run what was approved.
//!
//! A [`Curator`] holds the open archive of a site and its executor. One [`Curator::pass`] takes what attempts left, opens the
//! rounds that can be opened, proposes what nobody has decided on, and sends what may start. Every pass looks at the whole
//! state anew, so a killed daemon finds on its next start what runs, and starts nothing twice.
//!
//! A decision is about units and hosts, not about minutes: what was approved runs on the approved hosts wherever there is
//! room first, most urgent first, by the same planner. What was approved `--host` by host stays there.
//!
//! [`mod@situation`] and [`mod@verdict`] decide and touch nothing; [`document`] is the plan as people see it.

pub mod document;
mod executors;
mod run;
pub mod situation;
pub mod state;
mod verdict;

pub use run::daemon;

use crate::config::ExecutorKind;
use crate::exit;
use crate::journal::Journal;
use crate::profiles::Loaded;
use crate::report::{shown, tell};
use crate::site::{self, Archive, Site};
use crate::steps;
use anyhow::Context;
use archive::lease::Process;
use archive::planning::{OpenTask, Place, PlanRecord, PlanState, Selection, Standing, Unfinished};
use archive::records::{
    AttemptEnd, AttemptKey, Cause, Lease, PlannedInput, PlannedRound, PlannedTask, RunningAttempt,
    Started, Taken, TaskKey,
};
use archive::{Planning, Queue, Registry};
use dispatch::planner::costs::{Costs, Sample};
use dispatch::planner::{self, Placement};
use dispatch::{Executor, HostState, Job, Sent, Start};
use document::Document;
use executors::Loads;
use model::task::{
    END_NAME, HEARTBEAT_NAME, Heartbeat, RESULT_NAME, TASK_NAME, TaskEnd, TaskLimits,
};
use model::{UnitState, UseCase};
use situation::{ComingRound, Facts, Piece, UnderWay, UnitName};
use stage::Verification;
use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use verdict::{Signs, Verdict, verdict};

/// How long nobody else may sweep an attempt of ours; renewed long before.
const LEASE: chrono::TimeDelta = chrono::TimeDelta::hours(24);
/// Failures of a task after which it is given up, and attempts that were lost.
const FAILURES_MOST: u32 = 3;
const LOST_MOST: u32 = 8;
/// A delivery is looked at after this even when nothing seems to have changed.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// How often costs are learned anew.
const LEARN_EVERY: Duration = Duration::from_secs(20);
/// Wait after the first failure, four times as long after each further one: what may pass takes its time.
const FAILURE_PAUSE: Duration = Duration::from_secs(5);
/// Results from which costs are learned.
const RESULTS_MOST: u32 = 3000;
/// A batch system gets tasks that are to start within so many seconds, so that no core waits for the next pass.
const AHEAD: f64 = 20.0;
/// Heartbeats and notes are read up to this length.
const NOTE_BYTES: u64 = 1 << 20;
/// A host that refused a start is left alone for so long.
const REFUSED: Duration = Duration::from_secs(60);
/// A plan is made anew when it is older, as long as nobody has decided on it.
const STALE: chrono::TimeDelta = chrono::TimeDelta::minutes(30);

/// What one pass did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PassReport {
    /// Results taken.
    pub taken: u64,
    /// Attempts that failed or were lost.
    pub failed: u64,
    /// Tasks given up.
    pub given_up: u64,
    /// Rounds opened.
    pub opened: u64,
    /// Attempts sent.
    pub sent: u64,
    /// A plan that was proposed now.
    pub proposed: Option<i64>,
    /// New refusals.
    pub refusals: u64,
}

impl PassReport {
    /// Whether it changed anything.
    pub fn is_idle(&self) -> bool {
        *self == Self::default()
    }
}

/// What is done about a round that can be opened: it may be put among those to come instead.
type Opens<'a> =
    dyn FnMut(&mut Archive, &mut Vec<PlannedRound>, PlannedRound) -> anyhow::Result<()> + 'a;

/// What a look at a delivery led to.
struct Looked {
    mark: String,
    at: Instant,
    coming: Vec<ComingRound>,
    waits: Vec<register::plan::Wait>,
}

/// What is remembered of an attempt between two passes.
#[derive(Default)]
struct Memory {
    beat: Option<(u64, Instant)>,
    over: Option<Instant>,
    unreadable: Option<Instant>,
    seen: Option<Instant>,
    heartbeat: Option<Heartbeat>,
    waits: bool,
}

/// The open archive of a site, its executor, and what is remembered between passes.
pub struct Curator {
    site: Site,
    archive: Archive,
    profiles: Vec<Loaded>,
    executor: Box<dyn Executor>,
    cause: Cause,
    journal: Journal,
    /// Plans are approved by the policy.
    auto: bool,
    attempts: HashMap<AttemptKey, Memory>,
    loads: Loads,
    hosts: Vec<HostState>,
    refused: HashMap<String, (Instant, String)>,
    /// Tasks that failed for a reason that may pass are not started before.
    again_at: HashMap<TaskKey, Instant>,
    costs: Option<(Instant, Costs)>,
    looked: HashMap<String, Looked>,
    coming: Vec<ComingRound>,
    file_waits: Vec<(String, register::plan::Wait)>,
    /// Names of starts count on from here.
    names: (String, u64),
    /// Something that a pass met and that is no reason to stop, told once.
    told: BTreeSet<String>,
}

impl Curator {
    /// Opens a site.
    ///
    /// # Errors
    /// When configuration, profiles or archive are not usable, or there is no such executor.
    pub fn open(site: Site, who: &str, why: &str) -> anyhow::Result<Self> {
        let mut archive = site.write()?;
        let profiles = site.profiles()?;
        let cause = Cause::new(who, why);
        archive.load_reference(&crate::profiles::reference_rows(&profiles), &cause, site::now())?;
        let executor = executors::of(&site)?;
        let journal = Journal::open(&site.place.logs());
        let auto = site.config.plan.auto;
        let names = (format!("alm-{}", run_name()), 0);
        Ok(Self {
            site,
            archive,
            profiles,
            executor,
            cause,
            journal,
            auto,
            attempts: HashMap::new(),
            loads: Loads::default(),
            hosts: Vec::new(),
            refused: HashMap::new(),
            again_at: HashMap::new(),
            costs: None,
            looked: HashMap::new(),
            coming: Vec::new(),
            file_waits: Vec::new(),
            names,
            told: BTreeSet::new(),
        })
    }

    /// The archive.
    pub fn archive(&mut self) -> &mut Archive {
        &mut self.archive
    }

    /// The site.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// One look at everything; `starts` tells whether anything may be sent.
    ///
    /// # Errors
    /// When the archive fails. What fails of executors and nodes is told, and tried again by the next pass.
    pub fn pass(&mut self, starts: bool) -> anyhow::Result<PassReport> {
        let mut report = PassReport::default();
        self.collect(&mut report)?;
        self.look_at_hosts();
        self.open_rounds(&mut report)?;
        self.propose_when_due(&mut report)?;
        if starts {
            self.start(&mut report)?;
        }
        Ok(report)
    }

    /// Tells something that is no reason to stop, once.
    fn tell_once(&mut self, line: String) {
        if self.told.insert(line.clone()) {
            self.journal.note(&line);
            tell!("almagest: {}", shown(&line));
        }
    }

    fn note(&mut self, line: &str) {
        self.journal.note(line);
        tell!("almagest: {}", shown(line));
    }

    // What attempts left.

    /// Attempts under way of this executor. Those of a process that is gone are left to the sweep.
    fn mine(&self) -> anyhow::Result<Vec<(RunningAttempt, Place)>> {
        let me = Process::me().to_string();
        let mut places: HashMap<AttemptKey, Place> =
            self.archive.placed_attempts()?.into_iter().map(|p| (p.attempt, p.place)).collect();
        let is_mine = |attempt: &RunningAttempt| {
            attempt.lease.executor == self.executor.name()
                && (self.executor.outlives() || attempt.lease.holder == me)
        };
        let running = self.archive.running_attempts()?.into_iter().filter(is_mine);
        // Who died between the start and its place has not sent it: nobody will hear of it.
        let nowhere = || Place { host: String::new(), job: String::new(), memory_bytes: 0 };
        let placed = |attempt: RunningAttempt| {
            let place = places.remove(&attempt.attempt).unwrap_or_else(nowhere);
            (attempt, place)
        };
        Ok(running.map(placed).collect())
    }

    fn collect(&mut self, report: &mut PassReport) -> anyhow::Result<()> {
        let mine = self.mine()?;
        let jobs: Vec<Job> = mine.iter().map(|(attempt, place)| job(attempt, place)).collect();
        let standings = match self.executor.look(&jobs) {
            Ok(standings) => standings.into_iter().map(Some).collect(),
            Err(fault) => {
                self.tell_once(fault.to_string());
                vec![None; jobs.len()]
            }
        };
        let known: std::collections::HashSet<&AttemptKey> =
            mine.iter().map(|(a, _)| &a.attempt).collect();
        self.attempts.retain(|key, _| known.contains(key));
        for (((attempt, place), job), standing) in mine.iter().zip(&jobs).zip(standings) {
            self.attend(attempt, place, job, standing, report)?;
        }
        Ok(())
    }

    fn attend(
        &mut self,
        attempt: &RunningAttempt,
        place: &Place,
        job: &Job,
        standing: Option<dispatch::Standing>,
        report: &mut PassReport,
    ) -> anyhow::Result<()> {
        let now = site::now();
        let memory = self.attempts.entry(attempt.attempt.clone()).or_default();
        let seen = *memory.seen.get_or_insert_with(Instant::now);
        memory.waits = matches!(standing, Some(dispatch::Standing::Waiting(_)));
        let mut unreadable = None;
        if attempt.directory.join(RESULT_NAME).exists() {
            match stage::read_result(&attempt.directory, Verification::Lengths) {
                Ok(result) if is_of(&result, &attempt.attempt) => {
                    return self.take(&result, report);
                }
                Ok(_) => unreadable = Some("it is that of another attempt".to_owned()),
                Err(error) => unreadable = Some(model::one_line(&error)),
            }
        }
        let unreadable = unreadable.map(|why| {
            let since = *memory.unreadable.get_or_insert_with(Instant::now);
            (since.elapsed().as_secs_f64(), why)
        });
        if let Some(heartbeat) = read_note::<Heartbeat>(&attempt.directory.join(HEARTBEAT_NAME)) {
            if memory.beat.is_none_or(|(beat, _)| beat != heartbeat.beat) {
                memory.beat = Some((heartbeat.beat, Instant::now()));
                memory.waits = false;
            }
            memory.heartbeat = Some(heartbeat);
        }
        let is_over = matches!(standing, Some(dispatch::Standing::Over(_)));
        let over =
            if is_over { *memory.over.get_or_insert_with(Instant::now) } else { Instant::now() };
        let host_closed = self.hosts.iter().find(|h| h.name == place.host);
        let signs = Signs {
            end: read_note::<TaskEnd>(&attempt.directory.join(END_NAME)),
            standing,
            beat_age: memory.beat.map(|(_, since)| since.elapsed().as_secs_f64()),
            // By this process's own clock: wall clocks may jump.
            age: seen.elapsed().as_secs_f64(),
            over_for: over.elapsed().as_secs_f64(),
            host_closed: host_closed.and_then(|h| h.closed.clone()),
            unreadable,
        };
        let plan = &self.site.config.plan;
        let is_by_hand = plan.executor == ExecutorKind::Print;
        let patience = plan.silent_seconds.max(1) as f64;
        match verdict(&signs, patience, is_by_hand) {
            Verdict::GoOn => {
                if attempt.lease.until - now < LEASE / 2 {
                    self.archive.renew_lease(&attempt.attempt, now + LEASE)?;
                }
                Ok(())
            }
            Verdict::Failed { code, reason, transient } => {
                let reason = format!("on {}: {reason}", place.host);
                self.end(&attempt.attempt, AttemptEnd::Failed, &code, &reason)?;
                report.failed += 1;
                // More memory is asked for once.
                let is_raised =
                    code == "memory" && self.memory_failures(&attempt.attempt.task)? > 1;
                if !transient || is_raised || attempt.attempt.attempt >= FAILURES_MOST {
                    self.give_up(&attempt.attempt.task, &reason, report)?;
                } else if code != "memory" {
                    let pause = FAILURE_PAUSE * 4_u32.pow(attempt.attempt.attempt - 1);
                    self.again_at.insert(attempt.attempt.task.clone(), Instant::now() + pause);
                }
                Ok(())
            }
            Verdict::Lost { code, reason } => {
                let reason = format!("on {}: {reason}", place.host);
                self.end(&attempt.attempt, AttemptEnd::Lost, &code, &reason)?;
                report.failed += 1;
                if let Err(fault) = self.executor.cancel(std::slice::from_ref(job)) {
                    self.tell_once(fault.to_string());
                }
                if attempt.attempt.attempt >= LOST_MOST {
                    self.give_up(&attempt.attempt.task, &reason, report)?;
                }
                Ok(())
            }
        }
    }

    fn take(
        &mut self,
        result: &model::task::TaskResult,
        report: &mut PassReport,
    ) -> anyhow::Result<()> {
        if let Taken::Taken { new_refusals, staged } =
            self.archive.take_result(result, site::now())?
        {
            report.taken += 1;
            report.refusals += new_refusals;
            if staged {
                self.note(&format!("{} is staged", result.unit));
            }
        }
        Ok(())
    }

    fn end(
        &mut self,
        attempt: &AttemptKey,
        end: AttemptEnd,
        code: &str,
        reason: &str,
    ) -> anyhow::Result<()> {
        self.archive.note_end(attempt, code)?;
        self.archive.end_attempt(attempt, end, reason, site::now())?;
        let task = &attempt.task;
        self.note(&format!(
            "{} task {} attempt {}: {reason}",
            task.unit, task.task, attempt.attempt
        ));
        Ok(())
    }

    fn memory_failures(&self, task: &TaskKey) -> anyhow::Result<u32> {
        let open = self.archive.open_tasks()?;
        Ok(open.iter().find(|t| t.key == *task).map_or(0, |t| t.memory_failures))
    }

    fn give_up(
        &mut self,
        task: &TaskKey,
        reason: &str,
        report: &mut PassReport,
    ) -> anyhow::Result<()> {
        let cause = Cause::new("almagest", reason);
        if let Taken::Taken { new_refusals, .. } =
            self.archive.give_up_task(task, &cause, site::now())?
        {
            report.refusals += new_refusals;
            report.given_up += 1;
        }
        Ok(())
    }

    // Hosts.

    fn look_at_hosts(&mut self) {
        match self.executor.hosts() {
            Ok(hosts) => self.hosts = hosts,
            // What they were is the best guess.
            Err(fault) => self.tell_once(fault.to_string()),
        }
        self.refused.retain(|_, (since, _)| since.elapsed() < REFUSED);
        for host in &mut self.hosts {
            if let Some((_, why)) = self.refused.get(&host.name) {
                host.closed.get_or_insert_with(|| format!("it refused a start: {why}"));
            }
        }
    }

    /// Attempts under way as the planner counts them.
    fn under_way(&self) -> anyhow::Result<Vec<UnderWay>> {
        let bytes: HashMap<TaskKey, u64> =
            self.archive.open_tasks()?.into_iter().map(|t| (t.key, t.input_bytes)).collect();
        let now = site::now();
        let under_way = |(attempt, place): (RunningAttempt, Place)| {
            let unit = &attempt.attempt.task.unit;
            UnderWay {
                unit: (unit.delivery.clone(), unit.use_case),
                host: place.host,
                input_bytes: bytes.get(&attempt.attempt.task).copied().unwrap_or(0),
                memory_bytes: place.memory_bytes,
                seconds: (now - attempt.started).num_milliseconds().max(0) as f64 / 1000.0,
                waits: self.attempts.get(&attempt.attempt).is_some_and(|m| m.waits),
            }
        };
        Ok(self.mine()?.into_iter().map(under_way).collect())
    }

    // Rounds and plans.

    fn open_rounds(&mut self, report: &mut PassReport) -> anyhow::Result<()> {
        let cause = self.cause.clone();
        self.gather(&mut |archive, _, round| {
            archive.open_round(&round, &cause, site::now())?;
            report.opened += 1;
            Ok(())
        })?;
        self.archive.approve_coming(site::now())?;
        Ok(())
    }

    /// Goes over unfinished deliveries: what waits, what comes, and what is to be done about rounds that can be opened now.
    fn gather(&mut self, opens: &mut Opens<'_>) -> anyhow::Result<()> {
        self.coming.clear();
        self.file_waits.clear();
        let unfinished = self.archive.unfinished_deliveries()?;
        self.looked.retain(|name, _| unfinished.iter().any(|u| u.name == *name));
        for (order, Unfinished { name, mark }) in (0..).zip(unfinished) {
            // To look at thousands of files for nothing, again and again, is what a night's hours would go into.
            if let Some(looked) = self.looked.get(&name)
                && looked.mark == mark
                && looked.at.elapsed() < LOOK_AGAIN
            {
                self.coming.extend(looked.coming.clone());
                self.file_waits
                    .extend(looked.waits.iter().map(|wait| (name.clone(), wait.clone())));
                continue;
            }
            let work = self.archive.delivery_work(&name)?;
            let plan = steps::plan(&self.site, &self.profiles, &work, &UseCase::ALL);
            let mut coming = plan.coming;
            for round in plan.rounds {
                opens(&mut self.archive, &mut coming, round)?;
            }
            let night = self.profiles.iter().find_map(|p| p.profile.naming.delivery(&name));
            let night = night.map(|found| found.night);
            let bytes: HashMap<_, (u64, u64)> = work
                .images
                .iter()
                .map(|i| (i.multiframe_id, (i.bytes, i.catalogue.as_ref().map_or(0, |c| c.bytes))))
                .collect();
            let bytes_of = |use_case: UseCase, input: &PlannedInput| {
                let (image, catalogue) =
                    bytes.get(&input.multiframe_id).copied().unwrap_or_default();
                match use_case {
                    UseCase::Preview => image,
                    UseCase::Metadata => image + catalogue,
                    UseCase::Catalogue => catalogue,
                }
            };
            let coming = coming.into_iter().map(|round| {
                let of_task =
                    |t: &PlannedTask| t.inputs.iter().map(|i| bytes_of(round.use_case, i)).sum();
                let input_bytes = round.tasks.iter().map(of_task).collect();
                ComingRound { input_bytes, round, night, order }
            });
            let (at, coming) = (Instant::now(), coming.collect());
            let looked = Looked { mark, at, coming, waits: plan.waits };
            self.coming.extend(looked.coming.clone());
            self.file_waits.extend(looked.waits.iter().map(|wait| (name.clone(), wait.clone())));
            self.looked.insert(name, looked);
        }
        Ok(())
    }

    fn costs(&mut self) -> anyhow::Result<Costs> {
        if let Some((at, costs)) = &self.costs
            && at.elapsed() < LEARN_EVERY
        {
            return Ok(costs.clone());
        }
        let took = self.archive.results_of_late(RESULTS_MOST)?;
        let sample = |t: archive::planning::Took| Sample {
            use_case: t.use_case,
            host: t.host,
            input_bytes: t.input_bytes,
            output_bytes: t.output_bytes,
            seconds: t.seconds,
            peak_memory_bytes: t.peak_memory_bytes,
        };
        let costs = Costs::learn(&took.into_iter().map(sample).collect::<Vec<_>>());
        self.costs = Some((Instant::now(), costs.clone()));
        Ok(costs)
    }

    /// Does something with all that decides.
    fn with_facts<T>(&mut self, act: impl FnOnce(&Facts<'_>) -> T) -> anyhow::Result<T> {
        let open = self.archive.open_tasks()?;
        let standing: Vec<Standing> = self.archive.instructions()?;
        let costs = self.costs()?;
        let under_way = self.under_way()?;
        let mut running: HashMap<String, usize> = HashMap::new();
        for attempt in under_way.iter().filter(|u| !u.waits) {
            *running.entry(attempt.host.clone()).or_default() += 1;
        }
        self.loads.note(&running, &self.hosts);
        let hosts: Vec<(HostState, f64)> =
            self.hosts.iter().map(|h| (h.clone(), self.loads.of_others(h))).collect();
        Ok(act(&Facts {
            config: &self.site.config,
            open: &open,
            coming: &self.coming,
            under_way: &under_way,
            standing: &standing,
            costs: &costs,
            hosts: &hosts,
            has_processes: self.executor.outlives(),
            free_bytes: executors::free_bytes(&self.site),
            now: site::now(),
        }))
    }

    /// The plan of everything that is open or comes, approved or not.
    ///
    /// # Errors
    /// When the archive fails.
    pub fn document(&mut self) -> anyhow::Result<Document> {
        let approved: BTreeSet<UnitName> = self.archive.approved_to_come()?.into_iter().collect();
        let waits = self.file_waits.clone();
        let name = self.executor.name();
        self.with_facts(|facts| {
            let work = situation::situation(facts, &|_| true, true);
            let plan = planner::plan(&work.situation);
            let is_approved = |unit: &UnitName| {
                let mut open = facts
                    .open
                    .iter()
                    .filter(|t| (&t.key.unit.delivery, t.key.unit.use_case) == (&unit.0, unit.1))
                    .peekable();
                match open.peek() {
                    Some(_) => open.all(OpenTask::may_start),
                    None => approved.contains(unit),
                }
            };
            document::document(&work, &plan, (name, facts.now), &is_approved, &waits)
        })
    }

    /// What would be proposed now, opening nothing.
    ///
    /// # Errors
    /// When the archive fails.
    pub fn look(&mut self) -> anyhow::Result<Document> {
        self.look_at_hosts();
        self.gather(&mut |_, coming, round| {
            coming.push(round);
            Ok(())
        })?;
        self.document()
    }

    /// Whether this process can end what it finds under way: a pool is only its own process's.
    pub fn reaches(&self) -> bool {
        self.executor.outlives()
    }

    /// Opens the rounds that can be opened, and proposes what nobody has decided on, unless the latest plan has it already.
    /// Gives the plan and its record; when the latest plan is decided, how things stand now and that plan's record.
    ///
    /// # Errors
    /// When the archive fails.
    pub fn propose(&mut self) -> anyhow::Result<(Document, Option<PlanRecord>)> {
        let mut report = PassReport::default();
        self.collect(&mut report)?;
        self.look_at_hosts();
        self.open_rounds(&mut report)?;
        self.propose_when_due(&mut report)?;
        match self.archive.plan(None)? {
            Some(record) if is_open(&record) => Ok((parsed(&record)?, Some(record))),
            decided => Ok((self.document()?, decided)),
        }
    }

    fn propose_when_due(&mut self, report: &mut PassReport) -> anyhow::Result<()> {
        let open = self.archive.open_tasks()?;
        let is_undecided = |t: &OpenTask| {
            matches!(t.state, UnitState::Ready | UnitState::Proposed) && t.assignment.is_none()
        };
        let to_come: BTreeSet<UnitName> = self.archive.approved_to_come()?.into_iter().collect();
        let latest = self.archive.plan(None)?;
        let undecided =
            latest.as_ref().filter(|p| matches!(p.state, PlanState::Proposed | PlanState::Partly));
        let in_plan: BTreeSet<UnitName> = match undecided {
            Some(record) => parsed(record)?.proposal().coming.into_iter().collect(),
            None => BTreeSet::new(),
        };
        let comes = self.coming.iter().map(|c| (c.round.delivery.clone(), c.round.use_case));
        let is_new = open.iter().any(is_undecided)
            || comes.into_iter().any(|unit| !to_come.contains(&unit) && !in_plan.contains(&unit));
        let is_stale = undecided.is_some_and(|p| site::now() - p.proposed > STALE);
        if is_new || is_stale {
            let document = self.document()?;
            // What cannot be planned is proposed when it can: the same plan again would tell nothing.
            if document.has_undecided() && !self.is_told_already(&document, undecided)? {
                let proposal = document.proposal();
                let number = self.archive.propose(&proposal, &self.cause, site::now())?;
                report.proposed = Some(number);
                let what = format!(
                    "plan {number} proposes {} tasks of {} units",
                    proposal.tasks.len(),
                    document.units.iter().filter(|u| !u.approved).count()
                );
                self.note(&what);
            }
        }
        if self.auto {
            self.approve_by_policy()?;
        }
        Ok(())
    }

    /// Whether an undecided plan holds every undecided task of a document.
    fn is_told_already(
        &self,
        document: &Document,
        undecided: Option<&PlanRecord>,
    ) -> anyhow::Result<bool> {
        let Some(record) = undecided.filter(|p| site::now() - p.proposed <= STALE) else {
            return Ok(false);
        };
        let old = parsed(record)?.proposal();
        let new = document.proposal();
        let known: BTreeSet<_> = old.tasks.iter().map(|t| &t.task).collect();
        Ok(new.tasks.iter().all(|t| known.contains(&t.task))
            && new.coming.iter().all(|unit| old.coming.contains(unit)))
    }

    fn approve_by_policy(&mut self) -> anyhow::Result<()> {
        let Some(record) = self.archive.plan(None)? else { return Ok(()) };
        if !is_open(&record) {
            return Ok(());
        }
        let most = self.site.config.plan.auto_hours_most;
        let hours = parsed(&record)?.makespan_seconds / 3600.0;
        if most > 0.0 && hours > most {
            let plan = record.plan_id;
            self.tell_once(format!(
                "plan {plan} would take {hours:.1} h, more than the policy approves by itself ({most} h): almagest plan"
            ));
            return Ok(());
        }
        let cause = Cause::new("almagest", "approved by the policy");
        self.archive.approve(record.plan_id, &Selection::default(), &cause, site::now())?;
        Ok(())
    }

    // Starts.

    fn start(&mut self, report: &mut PassReport) -> anyhow::Result<()> {
        let ahead = match self.site.config.plan.executor {
            ExecutorKind::Print => f64::INFINITY,
            ExecutorKind::Slurm => AHEAD,
            ExecutorKind::Local | ExecutorKind::Ssh => 0.1,
        };
        self.again_at.retain(|_, at| *at > Instant::now());
        let again_at = self.again_at.clone();
        let due: Vec<(TaskKey, String, Placement, u64)> = self.with_facts(|facts| {
            let may = |task: &OpenTask| task.may_start() && !again_at.contains_key(&task.key);
            let work = situation::situation(facts, &may, false);
            let plan = planner::plan(&work.situation);
            let due = plan.placements.into_iter().filter(|p| p.start <= ahead);
            due.filter_map(|placement| {
                let Piece::Open(key) = &work.pieces[placement.task] else { return None };
                let host = work.situation.hosts[placement.host].name.clone();
                let memory = work.situation.tasks[placement.task].memory_bytes;
                Some((key.clone(), host, placement, memory))
            })
            .collect()
        })?;
        // What goes to the same host and asks the same goes together.
        let mut due = due;
        due.sort_by(|a, b| (&a.1, a.3).cmp(&(&b.1, b.3)));
        let mut sent: Vec<(AttemptKey, Place, Start)> = Vec::new();
        let mut array: Option<(String, u64, String, u64)> = None; // host, memory, name, count
        for (task, host, placement, memory_bytes) in due {
            let name = match &mut array {
                Some((h, m, name, count)) if *h == host && *m == memory_bytes => {
                    *count += 1;
                    format!("{name}.{count}")
                }
                _ => {
                    self.names.1 += 1;
                    let name = format!("{}-{}", self.names.0, self.names.1);
                    array = Some((host.clone(), memory_bytes, name.clone(), 0));
                    format!("{name}.0")
                }
            };
            let holder = match self.executor.outlives() {
                true => name.clone(),
                false => Process::me().to_string(),
            };
            let executor = self.executor.name().to_owned();
            let lease = Lease { executor, holder, until: site::now() + LEASE };
            let started = match self.archive.start_attempt(&task, &lease, site::now()) {
                Ok(started) => started,
                // Somebody decided otherwise meanwhile.
                Err(error) if error.is_conflict() => continue,
                Err(error) => return Err(error.into()),
            };
            files::crash_point("data:started");
            let place = Place { host: host.clone(), job: String::new(), memory_bytes };
            self.archive.note_place(&started.attempt, &place)?;
            let task_file = self.write_task(&started, memory_bytes)?;
            let seconds = placement.seconds;
            let start = Start { name, task_file, host, threads: 1, memory_bytes, seconds };
            sent.push((started.attempt, place, start));
        }
        if sent.is_empty() {
            return Ok(());
        }
        files::crash_point("data:before-sending");
        let starts: Vec<Start> = sent.iter().map(|(_, _, start)| start.clone()).collect();
        let answers = self.executor.start(&starts);
        files::crash_point("data:after-sending");
        for ((attempt, place, start), answer) in sent.into_iter().zip(answers) {
            match answer {
                Sent::As(id) => {
                    report.sent += 1;
                    if self.executor.outlives() {
                        self.archive.note_place(&attempt, &Place { job: id, ..place })?;
                    }
                }
                Sent::No(why) => {
                    self.refused.insert(start.host.clone(), (Instant::now(), why.clone()));
                    let reason = format!("it was not sent to {}: {why}", start.host);
                    self.archive.note_end(&attempt, "not_sent")?;
                    self.archive.end_attempt(&attempt, AttemptEnd::Lost, &reason, site::now())?;
                    self.tell_once(reason);
                }
                // It is looked up by its name.
                Sent::Unknown(why) => {
                    report.sent += 1;
                    self.tell_once(format!(
                        "nobody can tell whether {} was started: {why}",
                        start.name
                    ));
                }
            }
        }
        Ok(())
    }

    fn write_task(&self, started: &Started, memory_bytes: u64) -> anyhow::Result<PathBuf> {
        let task =
            steps::task_file(started, &self.profiles, TaskLimits { threads: 1, memory_bytes })?;
        steps::write_task_file(&started.directory, &task)
    }

    /// Takes back attempts of some units or of a host: those that wait to begin, or all.
    ///
    /// # Errors
    /// When the archive fails.
    pub fn cancel(
        &mut self,
        is_meant: &dyn Fn(&AttemptKey, &Place) -> bool,
        only_waiting: bool,
        why: &str,
    ) -> anyhow::Result<u64> {
        let mine = self.mine()?;
        let jobs: Vec<Job> = mine.iter().map(|(attempt, place)| job(attempt, place)).collect();
        let standings = self.executor.look(&jobs).context("the executor cannot be asked")?;
        let mut cancelled = 0;
        for (((attempt, place), job), standing) in mine.iter().zip(&jobs).zip(standings) {
            let waits = matches!(standing, dispatch::Standing::Waiting(_));
            if !is_meant(&attempt.attempt, place) || (only_waiting && !waits) {
                continue;
            }
            self.executor
                .cancel(std::slice::from_ref(job))
                .map_err(|e| exit::gate(e.to_string()))?;
            self.archive.note_end(&attempt.attempt, "cancelled")?;
            self.archive.end_attempt(&attempt.attempt, AttemptEnd::Lost, why, site::now())?;
            cancelled += 1;
        }
        Ok(cancelled)
    }
}

/// The job of an attempt: its holder is our name of it.
fn job(attempt: &RunningAttempt, place: &Place) -> Job {
    Job {
        name: attempt.lease.holder.clone(),
        id: place.job.clone(),
        host: place.host.clone(),
        task_file: attempt.directory.join(TASK_NAME),
    }
}

/// Whether something of a plan can be decided on.
pub fn is_open(record: &PlanRecord) -> bool {
    matches!(record.state, PlanState::Proposed | PlanState::Partly)
}

/// A plan as it was kept.
///
/// # Errors
/// When another version of the program wrote it.
pub fn parsed(record: &PlanRecord) -> anyhow::Result<Document> {
    serde_json::from_str(&record.document)
        .with_context(|| format!("plan {} was written by another version", record.plan_id))
}

fn is_of(result: &model::task::TaskResult, key: &AttemptKey) -> bool {
    result.unit == key.task.unit && result.task == key.task.task && result.attempt == key.attempt
}

/// A small file of a node, which is trusted less than we are.
fn read_note<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    let file = files::open_regular(path).ok()?;
    let mut text = Vec::new();
    file.take(NOTE_BYTES).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// A name that no other run of the program has.
fn run_name() -> String {
    let now = site::now().timestamp_micros().unsigned_abs();
    format!("{:x}-{:x}", now, std::process::id())
}
