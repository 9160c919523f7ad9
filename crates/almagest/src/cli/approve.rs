//! `almagest approve`.

use super::decision::{Form, cause, unit_name};
use super::plan::{latest, undecidable};
use super::subject::{check_host, unit};
use crate::exit::{self, Exit};
use crate::report::{counted, say, tell};
use archive::Reader;
use archive::planning::{Decided, Selection, Standing};
use curate::advice;
use curate::scheduler;
use curate::site::{self, Site};
use model::{Advice, DeliveryName, HostName, Night, PlanId, UseCase};
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --json: one object {dry_run, act, subject, who, reason, plan, tasks, units: [UNIT], expected:
[UNIT]}.")]
pub struct Arguments {
    /// All of it.
    #[arg(long, conflicts_with_all = ["unit", "host"])]
    all: bool,
    /// Only this unit, as DELIVERY/USE_CASE; may be repeated.
    #[arg(long, value_name = "UNIT", value_parser = unit)]
    unit: Vec<(DeliveryName, UseCase)>,
    /// Only tasks planned on this host, and only there; may be repeated.
    #[arg(long, value_name = "HOST")]
    host: Vec<HostName>,
    /// Number of the plan [default: the latest].
    #[arg(long, value_name = "N")]
    plan: Option<PlanId>,
    /// Reason, for the history.
    #[arg(long, default_value = "approved")]
    reason: String,
    #[command(flatten)]
    form: Form,
}

/// Approves a plan or part of it.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    if !arguments.all && arguments.unit.is_empty() && arguments.host.is_empty() {
        return Err(exit::usage("nothing to approve: give --all, --unit UNIT or --host HOST"));
    }
    let cause = cause(&arguments.reason)?;
    let mut archive = site.write_or_rehearse(arguments.form.dry_run)?;
    latest(&archive, arguments.plan)?;
    for host in &arguments.host {
        check_host(&site, host)?;
    }
    let selection = Selection { units: arguments.unit.clone(), hosts: arguments.host.clone() };
    let decided = archive
        .approve(arguments.plan, &selection, &cause, site::now())
        .map_err(|error| undecidable(error, arguments.plan))?;
    let number = decided.plan_id;
    if decided.tasks == 0 && decided.expected.is_empty() {
        return Err(exit::gate(format!(
            "plan {number} has no undecided task of the selection: {}",
            advice::command(&Advice::Plan)
        )));
    }
    let in_words = approved(&archive, number, &decided)?;
    let subject = format!("plan {number}");
    let units = decided.units.iter().map(|unit| (unit.delivery.clone(), unit.use_case));
    let details = serde_json::json!({
        "plan": number,
        "tasks": decided.tasks,
        "units": units.map(|unit| unit_name(&unit)).collect::<Vec<_>>(),
        "expected": decided.expected.iter().map(unit_name).collect::<Vec<_>>(),
    });
    arguments
        .form
        .report(("approve", &subject), &cause, details, || say!("{subject}: {in_words}"))?;
    still_paused(&archive, &decided)?;
    if arguments.form.dry_run {
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
    if !decided.expected.is_empty() {
        let document =
            archive.plan(Some(number))?.map(|record| scheduler::parsed(&record)).transpose()?;
        let tasks = document.map_or(0, |document| document.tasks_to_come(&decided.expected));
        text += &format!(
            "; {} in {} expected",
            counted(tasks, "more task"),
            counted(decided.expected.len() as u64, "round")
        );
    }
    Ok(text)
}

/// Reports the instructions by which approved units do not start.
fn still_paused(archive: &Reader, decided: &Decided) -> anyhow::Result<()> {
    let units: Vec<(DeliveryName, UseCase)> = decided
        .units
        .iter()
        .map(|unit| (unit.delivery.clone(), unit.use_case))
        .chain(decided.expected.iter().cloned())
        .collect();
    let mut deliveries: Vec<(DeliveryName, Option<Night>)> =
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
