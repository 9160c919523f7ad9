//! The steps of a night on this machine: transfer, the three use cases, ingest; in any combination.
//!
//! A [`Night`] holds the open archive of a site and what has been counted so far. [`Night::work`] is the loop
//! around plan, run, collect and ingest: it looks at the whole state, does what can be done, and ends when there
//! is nothing more. Killed anywhere, it finds on the next call what was done and what was not.

mod bring;
pub mod gate;
mod identity;

pub use bring::{Brought, Coming, Whole, Word, came_from, profile_of, prospect};
pub use identity::{Identity, own};

use crate::failure;
use crate::journal::Journal;
use crate::profiles::Loaded;
use crate::progress::{Progress, Silent};
use crate::rounds;
use crate::scope::{Scope, chosen};
use crate::site::{self, Archive, Site};
use crate::task_files;
use crate::words;
use anyhow::Context;
use archive::lease::Process;
use archive::planning::Held;
use archive::records::{
    AttemptEnd, AttemptKey, Cause, DeliveryWork, Lease, PlannedRound, RoundWork, Started, Taken,
    TaskKey, TaskRecord, TaskState,
};
use archive::{ArchiveError, Queue, Registry};
use dispatch::{Ended, Local, Outcome};
use model::task::{TaskLimits, TaskResult};
use model::{UnitKey, UnitState, UseCase};
use register::plan::{Plan, Wait};
use stage::Verification;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long nobody else may sweep an attempt of ours; while this process lives nobody does anyway.
const LEASE: chrono::TimeDelta = chrono::TimeDelta::hours(24);
/// Starts of a task that fail for a passing reason before it is given up.
const TRIES: u32 = 3;
/// Turns in a row in which another process opens or approves the same rounds, before that is reported.
const MAX_CONTESTED: u32 = 5;

/// Staged and archived metadata of one multiframe, generously.
const METADATA_FILE_BYTES: u64 = 300_000;

/// A task that the pool works on.
struct UnderWay {
    attempt: AttemptKey,
    directory: PathBuf,
    /// Multiframes in it.
    files: u64,
}

/// What one step did, for the summary.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Files read.
    pub files: u64,
    /// Detectors: image HDUs, of catalogues their detectors.
    pub detectors: u64,
    /// Detections written.
    pub detections: u64,
    /// JPEGs written.
    pub previews: u64,
    /// Bytes read from the source or the library.
    pub bytes: u64,
    /// Refusals that were not there before.
    pub refusals: u64,
    /// Wall-clock seconds from the first start to the last end.
    pub seconds: f64,
    began: Option<Instant>,
}

impl Counts {
    fn begin(&mut self) {
        self.began.get_or_insert_with(Instant::now);
    }

    fn end(&mut self) {
        if let Some(began) = self.began {
            self.seconds = began.elapsed().as_secs_f64();
        }
    }
}

/// The open archive of a site, and what was done since it was opened.
pub struct Night {
    site: Site,
    archive: Archive,
    profiles: Vec<Loaded>,
    cause: Cause,
    journal: Journal,
    stop: Arc<AtomicBool>,
    /// By step: transfer, preview, metadata, catalogue, ingest.
    pub counts: BTreeMap<&'static str, Counts>,
    /// What waits, and why, as of the last look.
    pub waits: Vec<Wait>,
    /// Tasks that somebody else is doing.
    pub busy_elsewhere: u64,
    /// Batches that could not be ingested for a reason that may pass by itself.
    pub postponed: Vec<(UnitKey, String)>,
    /// Files that could not be brought for such a reason.
    pub not_brought: Vec<(String, String)>,
    /// What operators stopped of the work that was asked for, as of the last look.
    pub stopped: Vec<Held>,
    /// The deliveries that were worked on.
    pub deliveries: BTreeSet<String>,
    /// Instructions of operators do not count.
    is_forced: bool,
    progress: Arc<dyn Progress>,
}

impl Night {
    /// Opens a site for work. Reference tables follow the profiles as they are now.
    ///
    /// # Errors
    /// When configuration, profiles or archive are not usable.
    pub fn open(site: Site, why: &str) -> anyhow::Result<Self> {
        let stop = crate::loops::stop_flag()?;
        Self::open_until(site, site::operator(), why, stop)
    }

    /// The same for somebody who has a flag that asks to stop already.
    ///
    /// # Errors
    /// As [`Night::open`].
    pub fn open_until(
        site: Site,
        who: String,
        why: &str,
        stop: Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let mut archive = site.write()?;
        let profiles = site.profiles()?;
        let cause = Cause::new(who, why);
        archive.load_reference(&crate::profiles::reference_rows(&profiles), &cause, site::now())?;
        let mut journal = Journal::open(&site.place.logs());
        journal.note(&format!("{why} begins"));
        Ok(Self {
            site,
            archive,
            profiles,
            cause,
            journal,
            stop,
            counts: BTreeMap::new(),
            waits: Vec::new(),
            busy_elsewhere: 0,
            postponed: Vec::new(),
            not_brought: Vec::new(),
            stopped: Vec::new(),
            deliveries: BTreeSet::new(),
            is_forced: false,
            progress: Arc::new(Silent),
        })
    }

    /// Shows how far its steps are from now on.
    pub fn show(&mut self, progress: Arc<dyn Progress>) {
        self.progress = progress;
    }

    /// The site.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The archive.
    pub fn archive(&mut self) -> &mut Archive {
        &mut self.archive
    }

    /// Whether a signal asked to stop.
    pub fn interrupted(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Writes down how it ended, with the exit code of the command.
    pub fn ended(&mut self, exit: i32) {
        let counts: Vec<String> = self
            .counts
            .iter()
            .map(|(step, c)| format!("{step} {} files in {:.1} s", c.files, c.seconds))
            .collect();
        let new = self.new_refusals();
        self.journal.note(&format!(
            "{} ends with {}, {new} new refusals; {}",
            self.cause.why,
            exit,
            counts.join(", ")
        ));
    }

    /// Refusals that this call met for the first time.
    pub fn new_refusals(&self) -> u64 {
        self.counts.values().map(|c| c.refusals).sum()
    }

    fn count(&mut self, step: &'static str) -> &mut Counts {
        self.counts.entry(step).or_default()
    }

    /// Has all images of the chosen deliveries done again in the next round.
    ///
    /// # Errors
    /// `Kind::Gate` for a delivery or night that the archive does not know.
    pub fn ask_again(&mut self, scope: &Scope, use_case: UseCase) -> anyhow::Result<()> {
        for delivery in self.chosen(scope)? {
            self.archive.ask_again(&delivery, use_case, &self.cause, site::now())?;
        }
        Ok(())
    }

    /// Has the lost and damaged previews of some deliveries made again in the next round, and returns of how many multiframes.
    ///
    /// # Errors
    /// When the archive fails.
    pub fn ask_for_lost(&mut self, deliveries: &[String]) -> anyhow::Result<u64> {
        let cause = Cause::new(self.cause.who.clone(), "their files are lost or damaged");
        let now = site::now();
        Ok(archive::verify::ask_for_lost_previews(&mut self.archive, deliveries, &cause, now)?)
    }

    /// Does all that can be done of some use cases on some deliveries, and ingests what is staged when `ingest`
    /// is set.
    ///
    /// # Errors
    /// When the archive or the machine fails. What is wrong with files becomes refusals.
    pub fn work(
        &mut self,
        deliveries: &[String],
        use_cases: &[UseCase],
        ingest: bool,
    ) -> anyhow::Result<()> {
        let workers = self.site.config.work.workers();
        self.deliveries.extend(deliveries.iter().cloned());
        let mut pool = Local::new(workers);
        let mut under_way: HashMap<PathBuf, UnderWay> = HashMap::new();
        self.sweep()?;
        let mut contested = 0;
        loop {
            let stopping = self.interrupted();
            // Ingest first: catalogue tasks are cut by the programmes that ingested metadata tell.
            let ingested = ingest && !stopping && self.ingest(deliveries)?;
            if stopping {
                for file in pool.drain() {
                    if let Some(task) = under_way.remove(&file) {
                        let why = "interrupted before it began";
                        let end = AttemptEnd::Lost;
                        self.archive.end_attempt(&task.attempt, end, why, site::now())?;
                    }
                }
            } else {
                // A pause takes effect at once: what runs ends, nothing new starts.
                self.stopped = self.held(deliveries, use_cases)?;
                contested = match self.open_rounds(deliveries, use_cases) {
                    Ok(()) => 0,
                    // Another process opened or approved a round in between: what is open is read again.
                    Err(fault) if failure::is_conflict(&fault) && contested < MAX_CONTESTED => {
                        contested + 1
                    }
                    Err(fault) => return Err(fault),
                };
                self.start_tasks(deliveries, use_cases, &mut pool, &mut under_way)?;
            }
            if under_way.is_empty() {
                let has_more =
                    ingested || contested > 0 || self.has_plans(deliveries, use_cases)?;
                if stopping || !has_more {
                    break;
                }
                continue;
            }
            for ended in pool.poll(Duration::from_millis(200))? {
                if let Some(task) = under_way.remove(&ended.task_file) {
                    self.collect(&task, ended)?;
                }
            }
        }
        self.progress.finish();
        self.sweep()
    }

    /// Whether rounds can be opened.
    fn has_plans(&self, deliveries: &[String], use_cases: &[UseCase]) -> anyhow::Result<bool> {
        for name in deliveries {
            let work = self.archive.delivery_work(name)?;
            if !self.plan(&work, &self.not_stopped(name, use_cases)).rounds.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The use cases of a delivery that no operator stopped.
    fn not_stopped(&self, delivery: &str, use_cases: &[UseCase]) -> Vec<UseCase> {
        let is_stopped =
            |u: &UseCase| self.stopped.iter().any(|h| h.delivery == delivery && h.use_case == *u);
        use_cases.iter().copied().filter(|u| !is_stopped(u)).collect()
    }

    fn plan(&self, work: &DeliveryWork, use_cases: &[UseCase]) -> Plan {
        rounds::plan(&self.site, &self.profiles, work, use_cases, 0)
    }

    /// Opens and approves every round that can be done now.
    fn open_rounds(&mut self, deliveries: &[String], use_cases: &[UseCase]) -> anyhow::Result<()> {
        self.waits.clear();
        for name in deliveries {
            let work = self.archive.delivery_work(name)?;
            let use_cases = self.not_stopped(name, use_cases);
            let plan = self.plan(&work, &use_cases);
            for round in &plan.rounds {
                self.check_room(&work, round)?;
                let unit = self.archive.open_round(round, &self.cause, site::now())?;
                self.archive.move_unit(&unit, UnitState::Approved, &self.cause, site::now())?;
            }
            let undecided =
                |r: &&RoundWork| matches!(r.state, UnitState::Ready | UnitState::Proposed);
            for unit in work.rounds.iter().filter(undecided) {
                if use_cases.contains(&unit.unit.use_case) {
                    self.archive.move_unit(
                        &unit.unit,
                        UnitState::Approved,
                        &self.cause,
                        site::now(),
                    )?;
                }
            }
            self.waits.extend(plan.waits);
        }
        Ok(())
    }

    /// Hands tasks to the pool until every worker has one and the next one waits.
    fn start_tasks(
        &mut self,
        deliveries: &[String],
        use_cases: &[UseCase],
        pool: &mut Local,
        under_way: &mut HashMap<PathBuf, UnderWay>,
    ) -> anyhow::Result<()> {
        let backlog = 2 * self.site.config.work.workers();
        self.busy_elsewhere = 0;
        for task in self.open_tasks(deliveries, use_cases)? {
            if under_way.len() >= backlog {
                break;
            }
            if task.running {
                let mine = under_way.values().any(|mine| mine.attempt.task == task.key);
                self.busy_elsewhere += u64::from(!mine);
                continue;
            }
            self.progress.expect(step_name(task.key.unit.use_case), u64::from(task.inputs));
            let lease = Lease {
                executor: "local".to_owned(),
                holder: Process::me().to_string(),
                until: site::now() + LEASE,
            };
            let started = self.archive.start_attempt(&task.key, &lease, None, site::now())?;
            let file = match self.write_task(&started) {
                Ok(file) => file,
                Err(fault) => {
                    let reason = format!("{fault:#}");
                    let attempt = &started.attempt;
                    self.archive.end_attempt(attempt, AttemptEnd::Failed, &reason, site::now())?;
                    self.give_up(&attempt.task, &reason)?;
                    continue;
                }
            };
            self.count(step_name(task.key.unit.use_case)).begin();
            pool.start(file.clone());
            let files = started.inputs.len() as u64;
            let (attempt, directory) = (started.attempt, started.directory);
            under_way.insert(file, UnderWay { attempt, directory, files });
        }
        Ok(())
    }

    /// Open tasks of rounds that may run, in the order in which a night is best done.
    fn open_tasks(
        &self,
        deliveries: &[String],
        use_cases: &[UseCase],
    ) -> anyhow::Result<Vec<TaskRecord>> {
        const FIRST_TO_LAST: [UseCase; 3] =
            [UseCase::Metadata, UseCase::Catalogue, UseCase::Preview];
        let mut tasks = Vec::new();
        for use_case in FIRST_TO_LAST.into_iter().filter(|u| use_cases.contains(u)) {
            for name in deliveries {
                for round in self.archive.delivery_work(name)?.rounds {
                    let may_run = matches!(round.state, UnitState::Approved | UnitState::Running)
                        && !self.not_stopped(name, &[use_case]).is_empty();
                    if round.unit.use_case != use_case || !may_run {
                        continue;
                    }
                    let open = self.archive.tasks(&round.unit)?;
                    tasks.extend(open.into_iter().filter(|t| t.state == TaskState::Open));
                }
            }
        }
        Ok(tasks)
    }

    fn write_task(&self, started: &Started) -> anyhow::Result<PathBuf> {
        let memory_bytes = self.site.config.work.memory_per_thread_mb * 1_000_000;
        let limits = TaskLimits { threads: 1, memory_bytes };
        let may = (limits, self.site.config.files.mask());
        task_files::write(started, &self.site.place.staging(), &self.profiles, may)
    }

    /// Takes the result of an attempt that ended, or notes that there is none.
    fn collect(&mut self, task: &UnderWay, ended: Ended) -> anyhow::Result<()> {
        let attempt = &task.attempt;
        let use_case = attempt.task.unit.use_case;
        let failed = match ended.outcome {
            Outcome::Finished => match self.read_result(&task.directory) {
                Ok(result) => match self.take(&result, task.files) {
                    Ok(()) => {
                        self.progress.done(step_name(use_case), task.files);
                        None
                    }
                    Err(error) if error.failed_check().is_some() || error.is_about_data() => {
                        let why = model::one_line(&error.fault);
                        Some((format!("its result is invalid: {why}"), false))
                    }
                    Err(error) => return Err(error.into()),
                },
                Err(error) => Some((model::one_line(&error), error.fault.is_transient())),
            },
            Outcome::Failed { reason, transient } => Some((reason, transient)),
        };
        if let Some((reason, transient)) = failed {
            self.archive.end_attempt(attempt, AttemptEnd::Failed, &reason, site::now())?;
            if !transient || attempt.attempt >= TRIES {
                self.give_up(&attempt.task, &reason)?;
            }
        }
        self.count(step_name(use_case)).end();
        Ok(())
    }

    fn read_result(&self, directory: &Path) -> Result<TaskResult, stage::StageError> {
        let fault = |fault: files::OpenFault| stage::StageError {
            path: directory.to_owned(),
            fault: fault.into(),
        };
        let directory = files::Dir::below(&self.site.place.staging(), directory).map_err(fault)?;
        stage::read_result_in(&directory, Verification::Lengths)
    }

    fn give_up(&mut self, task: &TaskKey, reason: &str) -> anyhow::Result<()> {
        let cause = Cause::new("almagest", reason);
        if let Taken::Taken { new_refusals, .. } =
            self.archive.give_up_task(task, &cause, site::now())?
        {
            self.count(step_name(task.unit.use_case)).refusals += new_refusals;
        }
        Ok(())
    }

    fn take(&mut self, result: &TaskResult, files: u64) -> Result<(), ArchiveError> {
        let Taken::Taken { new_refusals, .. } = self.archive.take_result(result, site::now())?
        else {
            return Ok(());
        };
        let counts = self.count(step_name(result.unit.use_case));
        counts.refusals += new_refusals;
        counts.files += files;
        counts.bytes += result.run.input_bytes;
        counts.detectors += result.detectors.len() as u64;
        for file in &result.files {
            match file.table.as_str() {
                "jpeg" => {
                    counts.previews += 1;
                    counts.detectors += u64::from(process::preview::is_of_detector(&file.name));
                }
                "multiframe_detector" => counts.detectors += file.rows,
                "detection" => counts.detections += file.rows,
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether a round and what ingest makes of it will fit on the disk of the site.
    fn check_room(&self, work: &DeliveryWork, round: &PlannedRound) -> anyhow::Result<()> {
        let inputs: HashSet<_> =
            round.tasks.iter().flat_map(|t| &t.inputs).map(|i| i.multiframe_id).collect();
        let images = work.images.iter().filter(|i| inputs.contains(&i.multiframe_id));
        let wanted: u64 = images
            .map(|image| match round.use_case {
                UseCase::Preview => image.bytes / 8,
                UseCase::Metadata => METADATA_FILE_BYTES,
                // Staged, and once more in the lake.
                UseCase::Catalogue => 2 * image.catalogue.as_ref().map_or(0, |c| c.bytes),
            })
            .sum();
        let root = self.site.place.root();
        let free = files::free_bytes(root)
            .with_context(|| format!("cannot tell the free room of {}", root.display()))?;
        if wanted <= free {
            return Ok(());
        }
        Err(failure::gate(format!(
            "{} of {} take about {}, and {} are free on the disk of {}",
            round.use_case,
            round.delivery,
            words::bytes(wanted),
            words::bytes(free),
            root.display()
        )))
    }

    /// Makes staged rounds of some deliveries visible; all of them when the list is empty. `true` when that changed
    /// anything.
    ///
    /// # Errors
    /// When the archive or the machine fails.
    pub fn ingest(&mut self, deliveries: &[String]) -> anyhow::Result<bool> {
        let began = Instant::now();
        let pass = ingest::pass(&mut self.archive, deliveries, &self.cause, site::now())?;
        let is_changed = !pass.published.is_empty() || !pass.refused.is_empty();
        self.postponed.clone_from(&pass.postponed);
        if !is_changed {
            return Ok(false);
        }
        for batch in &pass.published {
            self.journal.note(&batch.in_words());
        }
        for batch in &pass.refused {
            self.journal
                .note(&format!("refused {}: {}: {}", batch.unit, batch.check, batch.message));
        }
        for name in &pass.completed {
            self.journal.note(&format!("{name} is complete"));
        }
        let counts = self.count("ingest");
        counts.seconds += began.elapsed().as_secs_f64();
        counts.files += pass.rows_of("multiframe");
        counts.detectors += pass.rows_of("multiframe_detector");
        counts.detections += pass.rows_of("detection");
        counts.previews += pass.rows_of("preview");
        counts.refusals += pass.new_refusals();
        Ok(true)
    }

    /// Takes results that nobody waited for, and removes what dead attempts left.
    fn sweep(&mut self) -> anyhow::Result<()> {
        let report =
            ingest::sweep::sweep(&mut self.archive, self.site.config.staging.keep(), site::now())?;
        if report.new_refusals > 0 {
            self.count("recovery").refusals += report.new_refusals;
        }
        Ok(())
    }

    /// See [`chosen`].
    ///
    /// # Errors
    /// `Kind::Gate` for a delivery or night that the archive does not know.
    pub fn chosen(&self, scope: &Scope) -> anyhow::Result<Vec<String>> {
        chosen(&self.archive, scope)
    }
}

/// Name of the step in summaries.
fn step_name(use_case: UseCase) -> &'static str {
    use_case.name()
}
