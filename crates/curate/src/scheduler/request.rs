//! Work that a command requests: on this machine, now, and approved by the command itself.

use super::executors;
use super::situation::UnitName;
use super::{Curator, SchedulerPass};
use crate::profiles::{self, Loaded};
use crate::progress::Progress;
use crate::site::{self, Site};
use crate::{failure, words};
use anyhow::Context;
use archive::planning::{Held, Instruction, OpenTask, Standing, Subject, UnfinishedDelivery};
use archive::rounds::PlannedRound;
use archive::work::DeliveryWork;
use archive::{ArchiveError, Reader};
use dispatch::planner::Reason;
use model::{DeliveryName, UnitState, UseCase};
use register::plan::Wait;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Use cases of deliveries that a command requests.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Names of the deliveries.
    pub deliveries: Vec<DeliveryName>,
    /// Use cases.
    pub use_cases: Vec<UseCase>,
    /// True when instructions of operators do not count.
    pub is_forced: bool,
}

impl Request {
    /// Returns the deliveries of the request in the form of [`archive::Reader::unfinished_deliveries`]; finished ones are checked too.
    pub(super) fn named(&self) -> Vec<UnfinishedDelivery> {
        let named =
            |name: &DeliveryName| UnfinishedDelivery { name: name.clone(), mark: String::new() };
        self.deliveries.iter().map(named).collect()
    }

    fn covers(&self, task: &OpenTask) -> bool {
        let unit = &task.key.unit;
        self.use_cases.contains(&unit.use_case) && self.deliveries.contains(&unit.delivery)
    }

    /// Returns true for a task that may start by this request.
    pub(super) fn approves(&self, task: &OpenTask) -> bool {
        self.covers(task) && matches!(task.state, UnitState::Approved | UnitState::Running)
    }

    /// Returns true for an instruction that applies to the request.
    pub(super) fn heeds(&self, standing: &Standing) -> bool {
        let stops = matches!(standing.instruction, Instruction::Pause | Instruction::Drain);
        !(self.is_forced && stops)
    }
}

impl Curator {
    /// Opens a site for work on this machine, whatever executor the site has.
    ///
    /// # Errors
    /// When configuration, profiles or archive are not usable.
    pub fn on_this_machine(site: Site, who: &str, why: &str) -> anyhow::Result<Self> {
        let executor = executors::this_machine(&site);
        let archive = site.write()?;
        Self::with(executor, archive, site, who, why)
    }

    /// Accepts a request for all following passes.
    pub fn take_on(&mut self, request: Request) {
        self.request = Some(request);
        self.recheck();
    }

    /// Shows the progress of the steps from this point.
    pub fn show(&mut self, progress: Arc<dyn Progress>) {
        self.progress = progress;
    }

    /// Marks the deliveries of the request to be checked in the next pass.
    pub fn recheck(&mut self) {
        self.is_stale = true;
    }

    /// Returns true when the next pass checks the deliveries of the request.
    pub fn is_recheck_due(&self) -> bool {
        self.is_stale
    }

    /// Waits until an attempt may have ended, at most for `timeout`.
    pub fn wait(&mut self, timeout: Duration) {
        self.executor.wait(timeout);
    }

    /// Returns true while attempts of this process are under way and, when something may start, while tasks wait for another try.
    ///
    /// # Errors
    /// When the archive fails.
    pub fn is_at_work(&self, starts: bool) -> anyhow::Result<bool> {
        Ok(starts && !self.again_at.is_empty() || !self.mine()?.is_empty())
    }

    /// Returns the number of tasks of the request on which another process works.
    ///
    /// # Errors
    /// When the archive fails.
    pub fn busy_elsewhere(&self) -> anyhow::Result<u64> {
        let Some(request) = &self.request else { return Ok(0) };
        let mine: HashSet<_> = self.mine()?.into_iter().map(|(a, _)| a.attempt.task).collect();
        let open = self.archive.open_tasks()?;
        let elsewhere = |t: &&OpenTask| t.running && request.covers(t) && !mine.contains(&t.key);
        Ok(open.iter().filter(elsewhere).count() as u64)
    }

    /// Returns the units of the request with tasks that may start and cannot, each with the reason. Units that are stopped by an
    /// instruction about them are not included: see [`Curator::held`].
    pub fn blocked(&self) -> BTreeMap<UnitName, String> {
        let is_of_unit =
            |reason: &Reason| matches!(reason, Reason::Closed { .. } | Reason::After { .. });
        let blocked = self.blocked.iter().filter(|(_, reason)| !is_of_unit(reason));
        blocked.map(|(unit, reason)| (unit.clone(), reason.cause())).collect()
    }

    /// Returns the instruction by which nothing may start on this machine.
    ///
    /// # Errors
    /// When the archive fails.
    pub fn host_stopped(&self) -> anyhow::Result<Option<Standing>> {
        let stops = |standing: &Standing| {
            self.request.as_ref().is_none_or(|request| request.heeds(standing))
                && matches!(standing.instruction, Instruction::Pause | Instruction::Drain)
                && self
                    .hosts
                    .iter()
                    .any(|host| standing.subject == Subject::Host(host.name.clone()))
        };
        Ok(self.archive.instructions()?.into_iter().find(stops))
    }

    /// Returns the files that wait, each with the reason, as of the last check.
    pub fn waits(&self) -> Vec<Wait> {
        self.file_waits.iter().map(|(_, wait)| wait.clone()).collect()
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
        held(&self.archive, &self.profiles, deliveries, use_cases)
    }

    /// Returns the use cases of a delivery that may be worked on: those of the request that no operator stopped, or all.
    pub(super) fn use_cases_of(&self, delivery: &DeliveryName) -> anyhow::Result<Vec<UseCase>> {
        let Some(request) = &self.request else {
            return Ok(self.site.place.products().to_vec());
        };
        if request.is_forced {
            return Ok(request.use_cases.clone());
        }
        let held = self.held(&[delivery.to_owned()], &request.use_cases)?;
        let is_held = |use_case: &UseCase| held.iter().any(|h| h.use_case == *use_case);
        Ok(request.use_cases.iter().copied().filter(|u| !is_held(u)).collect())
    }

    /// Opens every round of the request that can be opened now, and approves the undecided ones.
    pub(super) fn open_requested(&mut self, report: &mut SchedulerPass) -> anyhow::Result<()> {
        if !self.is_stale {
            return Ok(());
        }
        self.is_stale = false;
        let (site, cause) = (self.site.clone(), self.cause.clone());
        let undecided = self.gather(&mut |archive, work, _, round| {
            check_room(&site, work, &round)?;
            let opened = archive.open_round(&round, &cause, site::now()).and_then(|unit| {
                archive.move_unit(&unit, UnitState::Approved, &cause, site::now())
            });
            noted(opened, report)
        })?;
        for unit in undecided {
            noted(self.archive.move_unit(&unit, UnitState::Approved, &cause, site::now()), report)?;
        }
        self.is_stale |= report.contested > 0;
        Ok(())
    }
}

/// Returns the instructions of operators that stop some use cases of some deliveries.
///
/// # Errors
/// When the archive fails.
pub fn held(
    archive: &Reader,
    profiles: &[Loaded],
    deliveries: &[DeliveryName],
    use_cases: &[UseCase],
) -> anyhow::Result<Vec<Held>> {
    let named = |name: &DeliveryName| {
        let night = profiles::naming_of(profiles, name).and_then(|n| n.delivery(name));
        (name.clone(), night.and_then(|found| found.night))
    };
    let deliveries: Vec<_> = deliveries.iter().map(named).collect();
    let mut held = archive.held(&deliveries)?;
    held.retain(|h| use_cases.contains(&h.use_case));
    Ok(held)
}

/// Counts an approved round, or one that another process opened or approved meanwhile: the next pass reads the open rounds again.
fn noted<T>(approved: Result<T, ArchiveError>, report: &mut SchedulerPass) -> anyhow::Result<()> {
    match approved {
        Ok(_) => report.opened += 1,
        Err(error) if error.is_conflict() => report.contested += 1,
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Checks that a round and the results of its ingest fit on the disk of the site.
fn check_room(site: &Site, work: &DeliveryWork, round: &PlannedRound) -> anyhow::Result<()> {
    let inputs: HashSet<_> =
        round.tasks.iter().flat_map(|t| &t.inputs).map(|i| i.multiframe_id).collect();
    let images = work.images.iter().filter(|i| inputs.contains(&i.multiframe_id));
    let product = round.use_case.product();
    let wanted: u64 = images
        .map(|image| {
            let catalogue = image.catalogue.as_ref().map_or(0, |c| c.bytes);
            product.room_bytes(image.bytes, catalogue)
        })
        .sum();
    let root: &Path = site.place.root();
    let free = files::free_bytes(root)
        .with_context(|| format!("cannot determine the free space of {}", root.display()))?;
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
