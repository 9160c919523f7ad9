//! The steps `preview`, `metadata` and `catalogue`: one use case for the chosen deliveries, without ingest.

use super::ScopeArguments;
use super::night::{as_json, ended, open, report_as, tell_blocked};
use crate::exit::Exit;
use crate::report::{Table, counted, grouped, say, shown};
use archive::Reader;
use archive::planning::Held;
use archive::work::ImageWork;
use curate::advice;
use curate::profiles::Loaded;
use curate::rounds::plan;
use curate::scope::chosen;
use curate::site::Site;
use curate::steps::{NightRun, gate};
use model::{Advice, DeliveryName, UseCase};
use serde::Serialize;
use std::path::PathBuf;

/// The forms of `--json` of `preview`, `metadata` and `catalogue`.
pub const JSON_HELP: &str = "\
With --json: one object {steps: {STEP: {files, detectors, detections, previews, bytes, refusals,
seconds}}, waits, stopped, blocked, postponed, not_fetched: [{file or unit, why}], busy_elsewhere,
interrupted, left_to_daemon}.

With --dry-run --json: {rounds: [{delivery, use_case, files, tasks, why}], waits: [{file,
delivery, why}]}.";

/// Arguments of `metadata` and `catalogue`, and of `preview`, which has more.
#[derive(Debug, clap::Args)]
#[command(after_help = JSON_HELP)]
pub struct StepArguments {
    #[command(flatten)]
    of: ScopeArguments,
    /// Redo finished work: all previews, deliveries that were retracted.
    #[arg(long)]
    again: bool,
    /// Include paused and rejected work, and run alongside the data daemon.
    #[arg(long)]
    force: bool,
    /// Only print what would be done.
    #[arg(long)]
    dry_run: bool,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

impl StepArguments {
    /// Returns the images that the options request again.
    pub fn redo(&self) -> Redo {
        if self.again { Redo::All } else { Redo::None }
    }
}

/// The images that an operator requests again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redo {
    /// None: only what is due.
    None,
    /// All images of the chosen deliveries.
    All,
    /// Images whose previews are lost or damaged.
    LostPreviews,
}

/// Runs a single use case, without ingest.
pub fn run(
    site: Option<PathBuf>,
    use_case: UseCase,
    arguments: &StepArguments,
    redo: Redo,
) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let is_named = !arguments.of.scope().is_all();
    let has_scheduler = !arguments.force && gate::has_scheduler(&site);
    if has_scheduler && redo == Redo::None {
        gate::alone(&site, &[Advice::Plan])?;
    }
    if arguments.dry_run {
        return rehearse(&site, use_case, arguments, redo);
    }
    let mut night = open(site, use_case.name())?;
    if arguments.force {
        night.force();
    }
    let deliveries = night.chosen(&arguments.of.scope())?;
    if is_named {
        night.admit(&deliveries, &[use_case])?;
    }
    match redo {
        Redo::None => {}
        Redo::All => night.ask_again(&arguments.of.scope(), use_case)?,
        Redo::LostPreviews => {
            let asked = night.ask_for_lost(&deliveries)?;
            if !arguments.json {
                say!("{} with lost previews", counted(asked, "multiframe"));
            }
        }
    }
    if has_scheduler {
        match arguments.json {
            true => say!("{}", crate::report::json(&as_json(&night, true))?),
            false => say!("left to the data daemon: {}", advice::command(&Advice::Plan)),
        }
        return Ok(Exit::Done);
    }
    night.work(&deliveries, &[use_case], false)?;
    gate::tell_held(&night.stopped);
    say_done(&night, use_case, arguments.json)?;
    // The exit code reports stopped work only for deliveries that were named: without names, all permitted work is wanted.
    if !is_named {
        night.stopped.clear();
    }
    Ok(ended(&mut night))
}

/// Prints the rounds that a step would open, after its checks.
fn rehearse(
    site: &Site,
    use_case: UseCase,
    arguments: &StepArguments,
    redo: Redo,
) -> anyhow::Result<Exit> {
    let archive = site.read()?;
    let deliveries = chosen(&archive, &arguments.of.scope())?;
    let use_cases = [use_case];
    let profiles = site.profiles()?;
    let admitted = admitted(&archive, &profiles, &use_cases, &deliveries, arguments.force)?;
    let is_named = !arguments.of.scope().is_all();
    if is_named {
        admitted.check()?;
    }
    let lost = match redo {
        Redo::LostPreviews => upkeep::verify::lost_previews(&archive, &deliveries)?,
        Redo::None | Redo::All => Vec::new(),
    };
    let is_requested = |image: &ImageWork| match redo {
        Redo::None => false,
        Redo::All => use_case.product().inputs.images || image.catalogue.is_some(),
        Redo::LostPreviews => lost.contains(&image.multiframe_id),
    };
    let planned = planned(site, &archive, &profiles, &admitted, |image| {
        if is_requested(image) {
            let progress = image.products.entry(use_case).or_default();
            progress.redo.get_or_insert_with(|| "requested again".to_owned());
        }
    })?;
    let exit = admitted.told();
    if arguments.json {
        say!("{}", crate::report::json(&planned)?);
    } else {
        if redo == Redo::LostPreviews {
            say!("{} with lost previews", counted(lost.len() as u64, "multiframe"));
        }
        planned.say();
    }
    Ok(if is_named { exit } else { Exit::Done })
}

/// Prints the summary, or the files that wait when nothing could be done.
fn say_done(night: &NightRun, use_case: UseCase, is_json: bool) -> anyhow::Result<()> {
    let waits: Vec<_> = night.waits.iter().filter(|w| w.use_case == use_case).collect();
    if is_json || !night.counts().is_empty() || waits.is_empty() {
        report_as(night, is_json)?;
    } else {
        tell_blocked(night);
        say!("nothing can be done now: {} wait", counted(waits.len() as u64, "file"));
        for wait in waits.iter().take(10) {
            say!("waits: {}: {}", shown(&wait.file), shown(&wait.why));
        }
        if waits.len() > 10 {
            say!("waits: {} more", waits.len() - 10);
        }
    }
    Ok(())
}

/// The rounds that steps would open, and the files that wait.
#[derive(Debug, Default, Serialize)]
pub struct Planned {
    rounds: Vec<PlannedRound>,
    waits: Vec<PlannedWait>,
}

#[derive(Debug, Serialize)]
struct PlannedRound {
    delivery: DeliveryName,
    use_case: &'static str,
    files: usize,
    tasks: usize,
    why: String,
}

#[derive(Debug, Serialize)]
struct PlannedWait {
    file: String,
    delivery: DeliveryName,
    why: String,
}

/// Deliveries and use cases, and the instructions that stop some of them.
pub struct Admitted<'a> {
    use_cases: &'a [UseCase],
    deliveries: &'a [DeliveryName],
    held: Vec<Held>,
}

impl Admitted<'_> {
    /// Refuses deliveries of which nothing may start, as the step does.
    pub fn check(&self) -> anyhow::Result<()> {
        gate::admit(&self.held, self.deliveries, self.use_cases)
    }

    /// Reports the instructions that stop something, and returns the exit code of a step that they stop.
    pub fn told(&self) -> Exit {
        gate::tell_held(&self.held);
        if self.held.is_empty() { Exit::Done } else { Exit::Conflict }
    }

    fn use_cases_of(&self, delivery: &DeliveryName) -> Vec<UseCase> {
        let is_held =
            |u: &UseCase| self.held.iter().any(|h| h.delivery == *delivery && h.use_case == *u);
        self.use_cases.iter().copied().filter(|use_case| !is_held(use_case)).collect()
    }
}

/// Returns deliveries and use cases with the instructions that stop some of them, as of now.
pub fn admitted<'a>(
    archive: &Reader,
    profiles: &[Loaded],
    use_cases: &'a [UseCase],
    deliveries: &'a [DeliveryName],
    is_forced: bool,
) -> anyhow::Result<Admitted<'a>> {
    let held = match is_forced {
        true => Vec::new(),
        false => gate::held(archive, profiles, deliveries, use_cases)?,
    };
    Ok(Admitted { use_cases, deliveries, held })
}

/// Returns the rounds that steps would open after `request` has requested images again, and the files that wait.
pub fn planned(
    site: &Site,
    archive: &Reader,
    profiles: &[Loaded],
    admitted: &Admitted<'_>,
    request: impl Fn(&mut ImageWork),
) -> anyhow::Result<Planned> {
    let mut planned = Planned::default();
    for name in admitted.deliveries {
        let mut work = archive.delivery_work(name)?;
        work.images.iter_mut().for_each(&request);
        let use_cases = admitted.use_cases_of(name);
        let plan = plan(site, profiles, &work, &use_cases, 0);
        planned.rounds.extend(plan.rounds.into_iter().map(|round| PlannedRound {
            delivery: name.clone(),
            use_case: round.use_case.name(),
            files: round.tasks.iter().map(|t| t.inputs.len()).sum(),
            tasks: round.tasks.len(),
            why: round.why,
        }));
        planned.waits.extend(plan.waits.into_iter().map(|wait| PlannedWait {
            file: wait.file,
            delivery: name.clone(),
            why: wait.why,
        }));
    }
    Ok(planned)
}

impl Planned {
    /// Prints both as tables.
    pub fn say(self) {
        let mut rounds = Table::new(["delivery", "use case", "files", "tasks", "why"]);
        let mut waits = Table::new(["waits", "delivery", "why"]);
        for round in self.rounds {
            rounds.row([
                round.delivery.into(),
                round.use_case.to_owned(),
                grouped(round.files as u64),
                grouped(round.tasks as u64),
                round.why,
            ]);
        }
        for wait in self.waits {
            waits.row([wait.file, wait.delivery.into(), wait.why]);
        }
        for table in [rounds, waits].iter().filter(|table| !table.is_empty()) {
            say!("{}", table.text());
        }
    }
}
