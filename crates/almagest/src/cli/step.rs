//! The steps `preview`, `metadata` and `catalogue`: one use case for the chosen deliveries, without ingest.

use super::ScopeArguments;
use super::night::{as_json, ended, open, report_as, tell_blocked};
use crate::exit::{self, Exit};
use crate::report::{Table, counted, grouped, say, shown};
use curate::advice;
use curate::rounds::plan;
use curate::scope::chosen;
use curate::site::Site;
use curate::steps::{Night, gate};
use model::{Advice, DeliveryName, UseCase};
use serde::Serialize;
use std::path::PathBuf;

/// Arguments of `preview`, `metadata` and `catalogue`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --json: one object {steps: {STEP: {files, detectors, detections, previews, bytes, refusals,
seconds}}, waits, stopped, blocked, postponed, not_fetched: [{file or unit, why}], busy_elsewhere,
interrupted, left_to_daemon}.

With --dry-run --json: {rounds: [{delivery, use_case, files, tasks, why}], waits: [{file,
delivery, why}]}.")]
pub struct Arguments {
    #[command(flatten)]
    of: ScopeArguments,
    /// Do again what was done: all previews, deliveries that were retracted.
    #[arg(long)]
    again: bool,
    /// Of previews: make those again whose files are lost or damaged, and no others.
    #[arg(long, conflicts_with = "again")]
    lost: bool,
    /// Work on what is paused or rejected too, and beside the data daemon.
    #[arg(long)]
    force: bool,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs one use case alone, without ingest.
pub fn run(
    site: Option<PathBuf>,
    use_case: UseCase,
    arguments: &Arguments,
) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    if arguments.dry_run {
        let deliveries = chosen(&site.read()?, &arguments.of.scope())?;
        let planned = planned(&site, &[use_case], &deliveries)?;
        match arguments.json {
            true => say!("{}", crate::report::json(&planned)?),
            false => planned.say(),
        }
        return Ok(Exit::Done);
    }
    let is_named = !arguments.of.scope().is_all();
    let has_scheduler = !arguments.force && gate::has_scheduler(&site);
    if arguments.lost && use_case != UseCase::Preview {
        return Err(exit::usage("--lost is for previews"));
    }
    let asks = arguments.again || arguments.lost;
    if has_scheduler && !asks {
        gate::alone(&site, &[Advice::Plan])?;
    }
    let mut night = open(site, use_case.name())?;
    if arguments.force {
        night.force();
    }
    let deliveries = night.chosen(&arguments.of.scope())?;
    if is_named {
        night.admit(&deliveries, &[use_case])?;
    }
    if arguments.again {
        night.ask_again(&arguments.of.scope(), use_case)?;
    }
    if arguments.lost {
        let asked = night.ask_for_lost(&deliveries)?;
        if !arguments.json {
            say!("{} with lost previews", counted(asked, "multiframe"));
        }
    }
    if has_scheduler {
        match arguments.json {
            true => say!("{}", crate::report::json(&as_json(&night, true))?),
            false => say!("the data daemon does it: {}", advice::command(&Advice::Plan)),
        }
        return Ok(Exit::Done);
    }
    night.work(&deliveries, &[use_case], false)?;
    gate::tell_held(&night.stopped);
    // The exit code reports stopped work only for deliveries that were named: without names, all permitted work is wanted.
    if !is_named {
        night.stopped.clear();
    }
    say_done(&night, use_case, arguments.json)?;
    Ok(ended(&mut night))
}

/// Prints the summary, or the files that wait when nothing could be done.
fn say_done(night: &Night, use_case: UseCase, is_json: bool) -> anyhow::Result<()> {
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

/// Returns the rounds that steps would open, and the files that wait.
pub fn planned(
    site: &Site,
    use_cases: &[UseCase],
    deliveries: &[DeliveryName],
) -> anyhow::Result<Planned> {
    let (archive, profiles) = (site.read()?, site.profiles()?);
    let mut planned = Planned::default();
    for name in deliveries {
        let plan = plan(site, &profiles, &archive.delivery_work(name)?, use_cases, 0);
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
