//! `almagest cancel`.

use super::decision::{cause, unit_name};
use super::instruction::{StopArguments, resume};
use crate::exit::Exit;
use crate::report::{counted, say, tell};
use archive::Reader;
use archive::attempts::{AttemptKey, Place};
use archive::planning::{Instruction, Subject};
use curate::scheduler::Curator;
use curate::site::{self, Site};
use model::{HostName, UnitState};
use std::path::PathBuf;

/// Cancels units: their running tasks are ended, and none of their tasks start until they are resumed.
pub fn run(site: Option<PathBuf>, arguments: &StopArguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let (cause, is_dry_run) = (cause(&arguments.why.reason)?, arguments.form.dry_run);
    let mut curator = Curator::open_or_rehearse(site, &cause.who, "cancel", is_dry_run)?;
    let site = curator.site().clone();
    let subject = arguments.about.known(&site, curator.archive())?;
    let now = site::now();
    curator.archive().instruct(&subject, &Instruction::Pause, &cause, now)?;
    let open = curator.archive().open_tasks()?;
    let is_meant = |unit: &model::UnitKey, host: Option<&HostName>| match &subject {
        Subject::Host(name) => Some(name) == host,
        subject => {
            let night = open.iter().find(|t| t.key.unit == *unit).and_then(|t| t.night);
            subject.covers(&unit.delivery, night, unit.use_case)
        }
    };
    let is_chosen = |a: &AttemptKey, p: &Place| is_meant(&a.task.unit, Some(&p.host));
    let cancelled = match (curator.reaches(), is_dry_run) {
        (false, _) => 0,
        (true, true) => curator.cancellable(&is_chosen, false)?,
        (true, false) => curator.cancel(&is_chosen, false, "cancelled by the operator")?,
    };
    // Units are decided on again; their finished work is kept.
    let mut units: Vec<_> = open
        .iter()
        .filter(|t| matches!(t.state, UnitState::Approved | UnitState::Running))
        .filter(|t| !matches!(subject, Subject::Host(_)) && is_meant(&t.key.unit, None))
        .map(|t| t.key.unit.clone())
        .collect();
    units.dedup();
    let is_under_way = |archive: &Reader, unit: &model::UnitKey| {
        archive.running_attempts().map(|all| all.iter().any(|a| a.attempt.task.unit == *unit))
    };
    for unit in &units {
        if is_under_way(curator.archive(), unit)? {
            if curator.reaches() && is_dry_run {
                continue;
            }
            tell!(WARN, "runs_on", "{unit}: tasks that run in the pool of this machine finish");
        } else {
            curator.archive().move_unit(unit, UnitState::Ready, &cause, now)?;
        }
    }
    let names = units.iter().map(|unit| unit_name(&(unit.delivery.clone(), unit.use_case)));
    let details = serde_json::json!({"tasks_ended": cancelled, "units": names.collect::<Vec<_>>()});
    arguments.form.report(("cancel", &subject.to_string()), &cause, details, || {
        say!(
            "{subject}: {} stopped, {} to be approved again after {}",
            counted(cancelled, "task"),
            counted(units.len() as u64, "unit"),
            resume(&subject)
        );
    })
}
