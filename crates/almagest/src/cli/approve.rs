//! `almagest approve`.

use super::dry_run::tell_dry_run;
use super::plan::{latest, undecidable};
use super::subject::{check_host, unit};
use crate::exit::{self, Exit};
use crate::report::{counted, say, tell};
use archive::Reader;
use archive::history::Cause;
use archive::planning::{Decided, Selection, Standing};
use curate::advice;
use curate::scheduler;
use curate::site::{self, Site};
use model::{Advice, PlanId, UseCase};
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// All of it.
    #[arg(long, conflicts_with_all = ["unit", "host"])]
    all: bool,
    /// Only this unit, as DELIVERY/USE_CASE; may be repeated.
    #[arg(long, value_name = "UNIT", value_parser = unit)]
    unit: Vec<(String, UseCase)>,
    /// Only what is planned on this host, and there only; may be repeated.
    #[arg(long, value_name = "HOST")]
    host: Vec<String>,
    /// The plan that is meant; the latest when left out.
    #[arg(long, value_name = "N")]
    plan: Option<PlanId>,
    /// Why, for the history.
    #[arg(long, default_value = "approved")]
    reason: String,
    /// Only say what would be approved.
    #[arg(long)]
    dry_run: bool,
}

/// Approves a plan or part of it.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    if !arguments.all && arguments.unit.is_empty() && arguments.host.is_empty() {
        return Err(exit::usage("what is approved? --all, --unit UNIT or --host HOST"));
    }
    let mut archive = site.write_or_rehearse(arguments.dry_run)?;
    latest(&archive, arguments.plan)?;
    for host in &arguments.host {
        check_host(&site, host)?;
    }
    let selection = Selection { units: arguments.unit.clone(), hosts: arguments.host.clone() };
    let cause = Cause::new(site::operator(), arguments.reason.clone());
    let decided = archive
        .approve(arguments.plan, &selection, &cause, site::now())
        .map_err(|error| undecidable(error, arguments.plan))?;
    let number = decided.plan_id;
    if decided.tasks == 0 && decided.coming.is_empty() {
        return Err(exit::gate(format!(
            "plan {number} has nothing undecided of that: {}",
            advice::command(&Advice::Plan)
        )));
    }
    tell_dry_run(arguments.dry_run);
    say!("plan {number}: {}", approved(&archive, number, &decided)?);
    still_paused(&archive, &decided)?;
    if arguments.dry_run {
        return Ok(Exit::Done);
    }
    let daemon = scheduler::state::read(&scheduler::state::directory(&site.place.logs()));
    if !daemon.is_some_and(|state| state.is_alive()) {
        tell!(
            WARN,
            "no_data_daemon",
            "no data daemon runs on this machine: {}",
            advice::command(&Advice::DaemonData)
        );
    }
    Ok(Exit::Done)
}

/// Returns the numbers of tasks and units that were approved, as in the plan's header.
fn approved(archive: &Reader, number: PlanId, decided: &Decided) -> anyhow::Result<String> {
    let mut text = format!(
        "{} of {} may start",
        counted(decided.tasks, "task"),
        counted(decided.units.len() as u64, "unit")
    );
    if !decided.coming.is_empty() {
        let document =
            archive.plan(Some(number))?.map(|record| scheduler::parsed(&record)).transpose()?;
        let tasks = document.map_or(0, |document| document.tasks_to_come(&decided.coming));
        text += &format!(
            ", and {} in {} to come",
            counted(tasks, "more task"),
            counted(decided.coming.len() as u64, "round")
        );
    }
    Ok(text)
}

/// Reports the instructions by which approved units do not start.
fn still_paused(archive: &Reader, decided: &Decided) -> anyhow::Result<()> {
    let units: Vec<(String, UseCase)> = decided
        .units
        .iter()
        .map(|unit| (unit.delivery.clone(), unit.use_case))
        .chain(decided.coming.iter().cloned())
        .collect();
    let mut deliveries: Vec<(String, Option<i32>)> =
        units.iter().map(|(delivery, _)| (delivery.clone(), None)).collect();
    deliveries.dedup();
    let mut told: Vec<Standing> = Vec::new();
    for held in archive.held(&deliveries)? {
        if units.contains(&(held.delivery, held.use_case)) && !told.contains(&held.standing) {
            told.push(held.standing);
        }
    }
    for standing in &told {
        tell!(
            WARN,
            "still_stopped",
            "{}, and does not start: {}",
            standing,
            advice::command(&advice::resume_of(standing))
        );
    }
    Ok(())
}
