//! The data daemon: monitors hosts, load and work, proposes a plan, and has approved work run.
//!
//! A [`Curator`] holds the open archive of a site and its executor. One [`Curator::pass`] collects the results of attempts, opens
//! the rounds that can be opened, proposes undecided work, and sends tasks that may start. Every pass reads the whole state
//! again, so a killed daemon finds the running attempts on its next start, and starts nothing twice.
//!
//! A decision is about units and hosts, not about minutes: approved work runs on the approved hosts, on the one that has room
//! first, the most urgent work first, by the same planner. Work that was approved host by host with `--host` stays on its host.
//!
//! A command that works itself has a curator too: it requests use cases of deliveries on this machine, now, by a [`Request`] that
//! approves itself.
//!
//! [`mod@situation`] and [`mod@verdict`] decide and have no side effects; [`document`] is the plan as shown to operators;
//! [`attempts`] collects results, [`starts`] sends tasks.

mod attempts;
pub mod document;
mod executors;
mod request;
mod run;
pub mod situation;
mod starts;
pub mod state;
mod verdict;

pub use request::{Request, held};
pub use run::daemon;

use crate::counts::Counts;
use crate::log::{act, note, tell};
use crate::profiles::Loaded;
use crate::progress::{Progress, Silent};
use crate::rounds;
use crate::site::{self, Archive, Site};
use crate::words::counted;
use anyhow::Context;
use archive::attempts::{AttemptKey, Place, RunningAttempt};
use archive::history::Cause;
use archive::planning::{
    OpenTask, PlanRecord, PlanState, Proposal, Selection, Standing, UnfinishedDelivery,
};
use archive::rounds::{PlannedInput, PlannedRound, PlannedTask, TaskKey};
use archive::work::{DeliveryWork, RoundWork};
use attempts::Memory;
use dispatch::planner;
use dispatch::planner::Reason;
use dispatch::planner::costs::{Costs, Sample};
use dispatch::{Executor, HostState};
use document::Document;
use executors::Loads;
use model::{DeliveryName, HostName, UnitKey, UnitState, UseCase};
use situation::{ExpectedRound, Facts, UnderWay, UnitName};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time for which no other process may sweep an attempt of this process; renewed long before it expires.
const LEASE: chrono::TimeDelta = chrono::TimeDelta::hours(24);
/// Interval after which a delivery is checked again even when nothing seems to have changed.
const RECHECK_AFTER: Duration = Duration::from_secs(60);
/// Time without new files after which a delivery that is arriving is processed with the files that exist.
const ARRIVAL_QUIET: chrono::TimeDelta = chrono::TimeDelta::minutes(5);
/// Interval between two updates of the costs.
const LEARN_EVERY: Duration = Duration::from_secs(20);
/// Maximum number of results from which costs are learned.
const MAX_RESULTS: u32 = 3000;
/// Time for which a host that refused a start is not used.
const REFUSED: Duration = Duration::from_secs(60);
/// Age beyond which an undecided plan is replaced by a new one.
const STALE: chrono::TimeDelta = chrono::TimeDelta::minutes(30);

/// The counts of one pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SchedulerPass {
    /// Results accepted.
    pub accepted: u64,
    /// Attempts that failed or were lost.
    pub failed: u64,
    /// Tasks given up.
    pub given_up: u64,
    /// Rounds opened.
    pub opened: u64,
    /// Attempts sent.
    pub sent: u64,
    /// Number of the plan that was proposed; `None` when none was.
    pub proposed: Option<model::PlanId>,
    /// New refusals.
    pub refusals: u64,
    /// Rounds that another process opened or approved at the same time.
    pub contested: u64,
}

impl SchedulerPass {
    /// Returns true when the pass changed nothing.
    pub fn is_idle(&self) -> bool {
        *self == Self::default()
    }
}

/// The action on a round that can be opened: it may put the round among the expected ones instead.
type Opens<'a> = dyn FnMut(&mut Archive, &DeliveryWork, &mut Vec<PlannedRound>, PlannedRound) -> anyhow::Result<()>
    + 'a;

/// The result of checking a delivery.
struct Checked {
    mark: String,
    at: Instant,
    expected: Vec<ExpectedRound>,
    waits: Vec<register::plan::Wait>,
}

/// The open archive of a site, its executor, and the memory between passes.
pub struct Curator {
    pub(crate) site: Site,
    pub(crate) archive: Archive,
    pub(crate) profiles: Vec<Loaded>,
    executor: Box<dyn Executor>,
    pub(crate) cause: Cause,
    /// The work that a command requests; `None` for all work, which an operator or the policy approves.
    request: Option<Request>,
    /// True when the deliveries of the request are to be checked again.
    is_stale: bool,
    /// Tasks of the request that cannot start, each with the reason.
    blocked: Vec<(UnitName, Reason)>,
    /// Counts by step: transfer, preview, metadata, catalogue, ingest.
    pub counts: BTreeMap<&'static str, Counts>,
    pub(crate) progress: Arc<dyn Progress>,
    /// True when plans are approved by the policy.
    auto: bool,
    attempts: HashMap<AttemptKey, Memory>,
    loads: Loads,
    hosts: Vec<HostState>,
    refused: HashMap<HostName, (Instant, String)>,
    /// Tasks that failed for a transient reason, with the earliest time of the next start.
    again_at: HashMap<TaskKey, Instant>,
    costs: Option<(Instant, Costs)>,
    checked: HashMap<DeliveryName, Checked>,
    expected: Vec<ExpectedRound>,
    file_waits: Vec<(DeliveryName, register::plan::Wait)>,
    /// Name of this run and number of the latest array of starts.
    names: (String, u64),
    /// Messages that were reported once, and that are no reason to stop.
    told: BTreeSet<String>,
}

impl Curator {
    /// Opens a site.
    ///
    /// # Errors
    /// When configuration, profiles or archive are not usable, or there is no such executor.
    pub fn open(site: Site, who: &str, why: &str) -> anyhow::Result<Self> {
        Self::open_or_rehearse(site, who, why, false)
    }

    /// Opens a site, in a dry run for a rehearsal in which nothing is written: see [`Site::write_or_rehearse`].
    ///
    /// # Errors
    /// As [`Curator::open`].
    pub fn open_or_rehearse(
        site: Site,
        who: &str,
        why: &str,
        is_dry_run: bool,
    ) -> anyhow::Result<Self> {
        let executor = executors::of(&site)?;
        let archive = site.write_or_rehearse(is_dry_run)?;
        Self::with(executor, archive, site, who, why)
    }

    fn with(
        executor: Box<dyn Executor>,
        mut archive: Archive,
        site: Site,
        who: &str,
        why: &str,
    ) -> anyhow::Result<Self> {
        let profiles = site.profiles()?;
        let cause = Cause::new(who, why);
        let rows = crate::profiles::reference_rows(&profiles, site.place.products());
        archive.load_reference(&rows, &cause, site::now())?;
        let auto = site.config.plan.auto;
        let names = (format!("alm-{}", run_name()), 0);
        Ok(Self {
            site,
            archive,
            profiles,
            executor,
            cause,
            request: None,
            is_stale: true,
            blocked: Vec::new(),
            counts: BTreeMap::new(),
            progress: Arc::new(Silent),
            auto,
            attempts: HashMap::new(),
            loads: Loads::default(),
            hosts: Vec::new(),
            refused: HashMap::new(),
            again_at: HashMap::new(),
            costs: None,
            checked: HashMap::new(),
            expected: Vec::new(),
            file_waits: Vec::new(),
            names,
            told: BTreeSet::new(),
        })
    }

    /// Returns the archive.
    pub fn archive(&mut self) -> &mut Archive {
        &mut self.archive
    }

    /// Returns the site.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Runs one pass; `starts` is true when tasks may be sent.
    ///
    /// # Errors
    /// When the archive fails. Failures of executors and nodes are reported, and the next pass retries.
    pub fn pass(&mut self, starts: bool) -> anyhow::Result<SchedulerPass> {
        let report = self.accept_results()?;
        self.open_and_send(report, starts)
    }

    /// Runs the first half of a pass: accepts the results that attempts left.
    ///
    /// # Errors
    /// As [`Curator::pass`].
    pub fn accept_results(&mut self) -> anyhow::Result<SchedulerPass> {
        let mut report = SchedulerPass::default();
        self.collect(&mut report)?;
        Ok(report)
    }

    /// Runs the second half of a pass: opens rounds, proposes a plan and sends tasks.
    ///
    /// # Errors
    /// As [`Curator::pass`].
    pub fn open_and_send(
        &mut self,
        mut report: SchedulerPass,
        starts: bool,
    ) -> anyhow::Result<SchedulerPass> {
        self.poll_hosts();
        match &self.request {
            Some(_) if starts => self.open_requested(&mut report)?,
            Some(_) => {}
            None => {
                self.open_rounds(&mut report)?;
                self.propose_when_due(&mut report)?;
            }
        }
        if starts {
            self.start(&mut report)?;
        }
        Ok(report)
    }

    /// Returns true for a message that was not reported before.
    fn is_news(&mut self, message: &str) -> bool {
        self.told.insert(message.to_owned())
    }

    /// Returns true when acts are reported on stderr too: a command reports its own outcome.
    fn is_daemon(&self) -> bool {
        self.request.is_none()
    }

    // Hosts.

    fn poll_hosts(&mut self) {
        match self.executor.hosts() {
            Ok(hosts) => self.hosts = hosts,
            // The hosts as last known are the best guess.
            Err(fault) => self.executor_failed(&fault.to_string()),
        }
        self.refused.retain(|_, (since, _)| since.elapsed() < REFUSED);
        for host in &mut self.hosts {
            if let Some((_, why)) = self.refused.get(&host.name) {
                host.closed.get_or_insert_with(|| format!("the host refused a start: {why}"));
            }
        }
    }

    /// Reports a failure of the executor, once.
    fn executor_failed(&mut self, fault: &str) {
        if self.is_news(fault) {
            tell!(ERROR, "executor_failed", executor = self.executor.name(), "{fault}");
        }
    }

    /// Returns the free bytes of the disk on which products are staged. A disk that cannot be queried counts as full.
    fn free_bytes(&mut self) -> u64 {
        let staging = self.site.place.staging();
        files::free_bytes(&staging).unwrap_or_else(|fault| {
            let line = format!("the disk of {} cannot be queried: {fault}", staging.display());
            if self.is_news(&line) {
                tell!(ERROR, "disk_not_queried", "{line}");
            }
            0
        })
    }

    /// Returns the attempts under way as the planner counts them.
    fn under_way(&self, open: &[OpenTask]) -> anyhow::Result<Vec<UnderWay>> {
        let bytes: HashMap<&TaskKey, u64> = open.iter().map(|t| (&t.key, t.input_bytes)).collect();
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

    fn open_rounds(&mut self, report: &mut SchedulerPass) -> anyhow::Result<()> {
        let cause = self.cause.clone();
        self.gather(&mut |archive, _, _, round| {
            match archive.open_round(&round, &cause, site::now()) {
                Ok(_) => report.opened += 1,
                // Another process opened the round after the open rounds were read.
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error.into()),
            }
            Ok(())
        })?;
        self.archive.approve_expected(site::now())?;
        Ok(())
    }

    /// Checks unfinished deliveries, or those of the request: collects waiting files and expected rounds, and calls `opens` for
    /// rounds that can be opened now. Returns the open rounds of the checked deliveries that are undecided.
    fn gather(&mut self, opens: &mut Opens<'_>) -> anyhow::Result<Vec<UnitKey>> {
        let mut undecided = Vec::new();
        self.expected.clear();
        self.file_waits.clear();
        let unfinished = match &self.request {
            Some(request) => request.named(),
            None => self.archive.unfinished_deliveries()?,
        };
        self.checked.retain(|name, _| unfinished.iter().any(|u| u.name == *name));
        for (order, UnfinishedDelivery { name, mark }) in (0..).zip(unfinished) {
            // Rereading thousands of unchanged files in every pass would take up the hours of a night.
            if let Some(checked) = self.checked.get(&name)
                && self.request.is_none()
                && checked.mark == mark
                && checked.at.elapsed() < RECHECK_AFTER
            {
                self.expected.extend(checked.expected.clone());
                self.file_waits
                    .extend(checked.waits.iter().map(|wait| (name.clone(), wait.clone())));
                continue;
            }
            let work = self.archive.delivery_work(&name)?;
            let is_coming =
                work.arriving.is_some_and(|latest| site::now() - latest < ARRIVAL_QUIET);
            let is_early = is_coming && self.request.is_none();
            let early_least = if is_early { self.site.config.plan.min_early_images } else { 0 };
            let use_cases = self.use_cases_of(&name)?;
            let plan = rounds::plan(&self.site, &self.profiles, &work, &use_cases, early_least);
            let is_undecided = |round: &&RoundWork| {
                use_cases.contains(&round.unit.use_case)
                    && matches!(round.state, UnitState::Ready | UnitState::Proposed)
            };
            undecided.extend(work.rounds.iter().filter(is_undecided).map(|r| r.unit.clone()));
            let mut expected = plan.expected;
            for round in plan.rounds {
                opens(&mut self.archive, &work, &mut expected, round)?;
            }
            let night = self.profiles.iter().find_map(|p| p.profile.naming.delivery(&name)?.night);
            let bytes: HashMap<_, (u64, u64)> = work
                .images
                .iter()
                .map(|i| (i.multiframe_id, (i.bytes, i.catalogue.as_ref().map_or(0, |c| c.bytes))))
                .collect();
            let bytes_of = |use_case: UseCase, input: &PlannedInput| {
                let (image, catalogue) =
                    bytes.get(&input.multiframe_id).copied().unwrap_or_default();
                use_case.product().amount_read(image, catalogue)
            };
            let expected = expected.into_iter().map(|round| {
                let of_task =
                    |t: &PlannedTask| t.inputs.iter().map(|i| bytes_of(round.use_case, i)).sum();
                let input_bytes = round.tasks.iter().map(of_task).collect();
                ExpectedRound { input_bytes, round, night, order }
            });
            let (at, expected) = (Instant::now(), expected.collect());
            let checked = Checked { mark, at, expected, waits: plan.waits };
            self.expected.extend(checked.expected.clone());
            self.file_waits.extend(checked.waits.iter().map(|wait| (name.clone(), wait.clone())));
            self.checked.insert(name, checked);
        }
        Ok(undecided)
    }

    fn costs(&mut self) -> anyhow::Result<Costs> {
        if let Some((at, costs)) = &self.costs
            && at.elapsed() < LEARN_EVERY
        {
            return Ok(costs.clone());
        }
        let took = self.archive.recent_results(MAX_RESULTS)?;
        let sample = |t: archive::planning::TaskUsage| Sample {
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

    /// Calls `act` with the complete input of a decision.
    fn with_facts<T>(&mut self, act: impl FnOnce(&Facts<'_>) -> T) -> anyhow::Result<T> {
        let open = self.archive.open_tasks()?;
        let mut standing: Vec<Standing> = self.archive.instructions()?;
        if let Some(request) = &self.request {
            standing.retain(|standing| request.heeds(standing));
        }
        let costs = self.costs()?;
        let under_way = self.under_way(&open)?;
        let mut running: HashMap<HostName, usize> = HashMap::new();
        for attempt in under_way.iter().filter(|u| !u.waits) {
            *running.entry(attempt.host.clone()).or_default() += 1;
        }
        self.loads.note(&running, &self.hosts);
        let free_bytes = self.free_bytes();
        let hosts: Vec<(HostState, f64)> =
            self.hosts.iter().map(|h| (h.clone(), self.loads.of_others(h))).collect();
        Ok(act(&Facts {
            config: &self.site.config,
            open: &open,
            expected: &self.expected,
            under_way: &under_way,
            standing: &standing,
            costs: &costs,
            hosts: &hosts,
            has_processes: self.executor.outlives(),
            is_requested: self.request.is_some(),
            free_bytes,
            now: site::now(),
        }))
    }

    /// Returns the plan of all open and expected work, approved or not.
    ///
    /// # Errors
    /// When the archive fails.
    pub fn document(&mut self) -> anyhow::Result<Document> {
        let approved: BTreeSet<UnitName> = self.archive.approved_expected()?.into_iter().collect();
        // Read first: an instruction that arrives in the meantime makes the document stale.
        let instructions = self.archive.instructions_given()?;
        let waits = self.file_waits.clone();
        let name = self.executor.name();
        let mut document = self.with_facts(|facts| {
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
        })?;
        document.instructions = instructions;
        Ok(document)
    }

    /// Returns the plan that would be proposed now, without opening anything.
    ///
    /// # Errors
    /// When the archive fails.
    pub fn preview_plan(&mut self) -> anyhow::Result<Document> {
        self.poll_hosts();
        self.gather(&mut |_, _, expected, round| {
            expected.push(round);
            Ok(())
        })?;
        self.document()
    }

    /// Returns true when this process can end the attempts that it finds under way: the attempts of a pool belong to its own
    /// process only.
    pub fn reaches(&self) -> bool {
        self.executor.outlives()
    }

    /// Opens the rounds that can be opened, and proposes undecided work, unless the latest plan contains it already. Returns the
    /// plan and its record; when the latest plan is decided, the present plan and the record of the latest.
    ///
    /// # Errors
    /// When the archive fails.
    pub fn propose(&mut self) -> anyhow::Result<(Document, Option<PlanRecord>)> {
        let mut report = self.accept_results()?;
        self.poll_hosts();
        self.open_rounds(&mut report)?;
        self.propose_when_due(&mut report)?;
        match self.archive.plan(None)? {
            Some(record) if is_open(&record) => {
                let mut document = parsed(&record)?;
                self.note_approvals(&mut document)?;
                Ok((document, Some(record)))
            }
            decided => Ok((self.document()?, decided)),
        }
    }

    /// Marks the units of a plan that were approved since it was proposed.
    fn note_approvals(&self, document: &mut Document) -> anyhow::Result<()> {
        let open = self.archive.open_tasks()?;
        let to_come = self.archive.approved_expected()?;
        for unit in &mut document.units {
            let is_of = |t: &&OpenTask| {
                (&t.key.unit.delivery, t.key.unit.use_case) == (&unit.delivery, unit.use_case)
            };
            let mut tasks = open.iter().filter(is_of).peekable();
            unit.approved = match tasks.peek() {
                Some(_) => tasks.all(OpenTask::may_start),
                // The tasks of the unit are done, or its round is not open yet.
                None => !unit.to_come || to_come.contains(&(unit.delivery.clone(), unit.use_case)),
            };
        }
        Ok(())
    }

    fn propose_when_due(&mut self, report: &mut SchedulerPass) -> anyhow::Result<()> {
        let open = self.archive.open_tasks()?;
        let is_undecided = |t: &OpenTask| {
            matches!(t.state, UnitState::Ready | UnitState::Proposed) && t.assignment.is_none()
        };
        let to_come: BTreeSet<UnitName> = self.archive.approved_expected()?.into_iter().collect();
        let latest = self.archive.plan(None)?.filter(is_open);
        let (old, followed) = match &latest {
            Some(record) => {
                let document = parsed(record)?;
                (document.proposal(), Some(document.instructions))
            }
            None => (Proposal::default(), None),
        };
        // A pause, a hold or an edit after the plan changes the work that would be done.
        let is_outdated =
            followed.is_some() && followed != Some(self.archive.instructions_given()?);
        let is_old = latest.as_ref().is_some_and(|p| site::now() - p.proposed > STALE);
        let is_stale = is_outdated || is_old;
        let comes = self.expected.iter().map(|c| (c.round.delivery.clone(), c.round.use_case));
        let is_new = open.iter().any(is_undecided)
            || comes.into_iter().any(|u| !to_come.contains(&u) && !old.expected.contains(&u));
        if is_new || is_stale {
            let document = self.document()?;
            let proposal = document.proposal();
            // Work that cannot be planned is proposed once it can be planned: the same plan again would add nothing.
            let is_proposed = latest.is_some() && !is_stale && old.holds(&proposal);
            if document.has_undecided() && !is_proposed {
                let number = self.archive.propose(&proposal, &self.cause, site::now())?;
                report.proposed = Some(number);
                let counts = document.counts();
                let what = format!(
                    "plan {number} proposes {} of {}",
                    counted(counts.undecided + counts.to_come, "task"),
                    counted(counts.units, "unit")
                );
                act!(self.is_daemon(); INFO, "plan_proposed", plan = number.get(), "{what}");
            } else if is_outdated {
                let cause = Cause::new(self.cause.who.clone(), "nothing of the plan may start now");
                self.archive.withdraw_proposal(&cause, site::now())?;
            }
        }
        if self.auto {
            self.approve_by_policy()?;
        }
        Ok(())
    }

    fn approve_by_policy(&mut self) -> anyhow::Result<()> {
        let Some(record) = self.archive.plan(None)?.filter(is_open) else { return Ok(()) };
        let most = self.site.config.plan.auto_max_hours;
        let hours = parsed(&record)?.makespan_seconds / 3600.0;
        if most > 0.0 && hours > most {
            let plan = record.plan_id;
            let line = format!(
                "plan {plan} would take {hours:.1} h, more than the policy approves automatically ({most} h): {}",
                crate::advice::command(&model::Advice::Plan)
            );
            if self.is_news(&line) {
                tell!(WARN, "plan_not_approved", plan = plan.get(), "{line}");
            }
            return Ok(());
        }
        let cause = Cause::new("almagest", "approved by the policy");
        self.archive.approve(Some(record.plan_id), &Selection::default(), &cause, site::now())?;
        let plan = record.plan_id;
        note!(INFO, "plan_approved", plan = plan.get(), "plan {plan} is approved by the policy");
        Ok(())
    }
}

/// Returns the names of the hosts that exist.
///
/// # Errors
/// When the executor does not exist, or cannot be queried.
pub fn hosts(site: &Site) -> anyhow::Result<Vec<HostName>> {
    let hosts = executors::of(site)?.hosts()?;
    Ok(hosts.into_iter().map(|host| host.name).collect())
}

/// Returns true when something of a plan can be decided on.
pub fn is_open(record: &PlanRecord) -> bool {
    matches!(record.state, PlanState::Proposed | PlanState::PartlyApproved)
}

/// Parses the document of a stored plan.
///
/// # Errors
/// When another version of the program wrote it.
pub fn parsed(record: &PlanRecord) -> anyhow::Result<Document> {
    serde_json::from_str(&record.document)
        .with_context(|| format!("plan {} was written by another version", record.plan_id))
}

/// Returns a name that no other run of the program has.
fn run_name() -> String {
    let now = site::now().timestamp_micros().unsigned_abs();
    format!("{:x}-{:x}", now, std::process::id())
}
