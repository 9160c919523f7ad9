//! `almagest cancel`.

use super::dry_run::tell_dry_run;
use super::instruction::StopArguments;
use crate::exit::Exit;
use crate::report::{counted, say, tell};
use archive::Reader;
use archive::attempts::{AttemptKey, Place};
use archive::history::Cause;
use archive::planning::{Instruction, Subject};
use curate::advice;
use curate::scheduler::Curator;
use curate::site::{self, Site};
use model::{Advice, HostName, UnitState};
use std::path::PathBuf;

/// Cancels units: their running tasks are ended, and none of their tasks start until they are resumed.
pub fn run(site: Option<PathBuf>, arguments: &StopArguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let mut curator =
        Curator::open_or_rehearse(site, &site::operator(), "cancel", arguments.dry_run)?;
    let site = curator.site().clone();
    let subject = arguments.about.known(&site, curator.archive())?;
    let cause = Cause::new(site::operator(), arguments.reason.clone());
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
    let cancelled = match (curator.reaches(), arguments.dry_run) {
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
            if curator.reaches() && arguments.dry_run {
                continue;
            }
            tell!(
                WARN,
                "runs_on",
                "{unit}: what runs of it on this machine's own pool ends by itself"
            );
        } else {
            curator.archive().move_unit(unit, UnitState::Ready, &cause, now)?;
        }
    }
    tell_dry_run(arguments.dry_run);
    say!(
        "{subject}: {} ended, {} to be decided on again after {}",
        counted(cancelled, "task"),
        counted(units.len() as u64, "unit"),
        advice::command(&Advice::Resume { target: subject.target() })
    );
    Ok(Exit::Done)
}
