//! The steps `preview`, `metadata` and `catalogue`: one use case for the chosen deliveries, without ingest.

use super::ScopeArguments;
use super::night::{ended, open, report, tell_blocked};
use crate::exit::{self, Exit};
use crate::report::{Table, counted, grouped, say, shown};
use archive::Queue;
use curate::advice;
use curate::rounds::plan;
use curate::scope::chosen;
use curate::site::Site;
use curate::steps::gate;
use model::{Advice, UseCase};
use std::path::PathBuf;

/// Arguments of `preview`, `metadata` and `catalogue`.
#[derive(Debug, clap::Args)]
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
        return planned(&site, &[use_case], &deliveries);
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
        say!("{} with lost previews", counted(asked, "multiframe"));
    }
    if has_scheduler {
        say!("the data daemon does it: {}", advice::command(&Advice::Plan));
        return Ok(Exit::Done);
    }
    night.work(&deliveries, &[use_case], false)?;
    gate::tell_held(&night.stopped);
    // The exit code reports stopped work only for deliveries that were named: without names, all permitted work is wanted.
    if !is_named {
        night.stopped.clear();
    }
    let waits: Vec<_> = night.waits.iter().filter(|w| w.use_case == use_case).collect();
    if !night.counts().is_empty() || waits.is_empty() {
        report(&night);
    } else {
        tell_blocked(&night);
        say!("nothing can be done now: {} wait", counted(waits.len() as u64, "file"));
        for wait in waits.iter().take(10) {
            say!("waits: {}: {}", shown(&wait.file), shown(&wait.why));
        }
        if waits.len() > 10 {
            say!("waits: {} more", waits.len() - 10);
        }
    }
    Ok(ended(&mut night))
}

/// Shows the rounds that steps would open, and the files that wait.
pub fn planned(site: &Site, use_cases: &[UseCase], deliveries: &[String]) -> anyhow::Result<Exit> {
    let (archive, profiles) = (site.read()?, site.profiles()?);
    let mut rounds = Table::new(["delivery", "use case", "files", "tasks", "why"]);
    let mut waits = Table::new(["waits", "delivery", "why"]);
    for name in deliveries {
        let plan = plan(site, &profiles, &archive.delivery_work(name)?, use_cases, 0);
        for round in &plan.rounds {
            let files: usize = round.tasks.iter().map(|t| t.inputs.len()).sum();
            rounds.row([
                name.clone(),
                round.use_case.name().to_owned(),
                grouped(files as u64),
                grouped(round.tasks.len() as u64),
                round.why.clone(),
            ]);
        }
        for wait in &plan.waits {
            waits.row([wait.file.clone(), name.clone(), wait.why.clone()]);
        }
    }
    for table in [rounds, waits].iter().filter(|table| !table.is_empty()) {
        say!("{}", table.text());
    }
    Ok(Exit::Done)
}
