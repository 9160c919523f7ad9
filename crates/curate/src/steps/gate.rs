//! Work that the steps of this machine do not touch: work that an operator paused or rejected, and work of the scheduler.

use super::NightRun;
use crate::log::tell;
pub use crate::scheduler::held;
use crate::site::Site;
use crate::words::counted;
use crate::{advice, failure, scheduler};
use archive::Reader;
use archive::planning::{Held, Standing};
use archive::refusals::Stage;
use model::{Advice, DeliveryName, UseCase};
use std::path::Path;

/// Refuses to work alongside a data daemon, which plans and starts the work of its site.
///
/// # Errors
/// `Kind::Conflict` while a data daemon works on the site; `advice` has the commands that help then.
pub fn alone(site: &Site, advice: &[Advice]) -> anyhow::Result<()> {
    let state = scheduler::state::read(&scheduler::state::directory(&site.place.logs()));
    let Some(daemon) = state.filter(scheduler::state::SchedulerStatus::is_alive) else {
        return Ok(());
    };
    Err(failure::conflict(format!(
        "the data daemon (pid {}) plans and starts the work of this site: {}; --force overrides",
        daemon.pid(),
        advice::commands(advice)
    )))
}

/// Returns true when a data daemon works on a site, if this machine can determine it.
pub fn has_scheduler(site: &Site) -> bool {
    let state = scheduler::state::read(&scheduler::state::directory(&site.place.logs()));
    state.is_some_and(|state| state.is_alive())
}

impl NightRun {
    /// Ignores instructions of operators from this point.
    pub fn force(&mut self) {
        self.is_forced = true;
    }

    /// Returns the instructions of operators that stop some use cases of some deliveries.
    ///
    /// # Errors
    /// When the archive fails.
    pub fn held(
        &self,
        deliveries: &[DeliveryName],
        use_cases: &[UseCase],
    ) -> anyhow::Result<Vec<Held>> {
        if self.is_forced {
            return Ok(Vec::new());
        }
        self.curator.held(deliveries, use_cases)
    }

    /// Refuses deliveries of which nothing may start, before any work on them.
    ///
    /// # Errors
    /// `Kind::Conflict`, with the instructions and the commands that end them.
    pub fn admit(&self, deliveries: &[DeliveryName], use_cases: &[UseCase]) -> anyhow::Result<()> {
        admit(&self.held(deliveries, use_cases)?, deliveries, use_cases)
    }
}

/// Refuses deliveries of which nothing may start by the instructions that stop them.
///
/// # Errors
/// As [`NightRun::admit`].
pub fn admit(
    held: &[Held],
    deliveries: &[DeliveryName],
    use_cases: &[UseCase],
) -> anyhow::Result<()> {
    if held.is_empty() || held.len() < deliveries.len() * use_cases.len() {
        return Ok(());
    }
    tell_held(held);
    let what = match deliveries {
        [only] => only.to_string(),
        many => counted(many.len() as u64, "delivery"),
    };
    Err(failure::conflict(format!("{what} is paused or rejected; --force overrides")))
}

/// Reports each instruction that stopped something, with the command that ends it.
pub fn tell_held(held: &[Held]) {
    let mut told: Vec<&Standing> = Vec::new();
    for one in held {
        let is_same = |s: &&Standing| match one.standing.plan_id {
            Some(plan) => s.plan_id == Some(plan),
            None => **s == one.standing,
        };
        if told.iter().any(is_same) {
            continue;
        }
        told.push(&one.standing);
        tell!(
            WARN,
            "stopped_by_operator",
            "left alone: {}: `{}`",
            one.standing,
            advice::command(&advice::resume_of(&one.standing))
        );
    }
}

/// Returns the commands that redo the work that a stage refused of a delivery.
pub fn redo(site: &Site, archive: &Reader, delivery: &DeliveryName, stage: Stage) -> Vec<Advice> {
    let (delivery, has_scheduler) = (delivery.to_owned(), has_scheduler(site));
    let place = archive.source(&delivery).map(|place| place.to_string_lossy().into_owned());
    let place = place.ok().filter(|p| p.contains("://") || Path::new(p).is_dir());
    match (stage, place) {
        (Stage::Task(_) | Stage::Ingest, _) if has_scheduler => vec![Advice::Plan],
        (_, Some(place)) if has_scheduler => vec![Advice::TransferFrom { place }],
        (_, Some(place)) => vec![Advice::Run { place }],
        (Stage::Task(use_case), None) => {
            vec![Advice::Step { use_case, delivery: delivery.clone() }, Advice::Ingest { delivery }]
        }
        (_, None) => vec![Advice::Explain { name: delivery.into() }],
    }
}
