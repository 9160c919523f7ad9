//! The ingester: a loop over one idempotent pass.
//!
//! The ingester wakes after a batch is staged (the archive sends a notification, or is polled), and at least every
//! `poll_seconds`. While the database is unreachable, the ingester retries with increasing delays. A batch that does not fit is
//! refused and named. SIGTERM stops the ingester in the middle of a load, with nothing half done. A second ingester on the same
//! site stands by until the first has stopped. Two concurrent ingesters would do no harm, since each batch is claimed in the
//! transaction that publishes it.
//!
//! Start at [`ingest()`]. The counts of the ingester are in [`state`], for `status` and the port of [`mod@port`].

mod connections;
mod port;
pub mod state;

use crate::log::{act, note, of_round, tell};
use crate::loops::{BACK_OFF, is_for_ever, sleep, stand_by};
use crate::site::{self, Archive, Site};
use crate::words::shown;
use archive::history::Cause;
use ingest::PassReport;
use model::UnitKey;
use state::{IngesterState, IngesterStatus, Shared};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Interval between two removals of the remains of attempts.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// A pass that postponed something is repeated after this time, even when nothing changed.
const POSTPONED: Duration = Duration::from_secs(5);

/// Runs until a signal ends it.
///
/// # Errors
/// Faults that waiting does not repair: no archive, a newer schema, a wrong configuration.
pub fn ingest(site: &Site, stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
    let directory = state::directory(&site.place.logs());
    files::create_dir(&directory)?;
    let Some(_lock) = stand_by(&directory, stop, &|| {
        let other = state::read(&directory).map(|s| s.process).unwrap_or_default();
        format!("another ingester runs on this site ({other}); standing by")
    })?
    else {
        return Ok(());
    };
    tell!(INFO, "daemon_begun", "ingester started, pid {}", std::process::id());
    let shared = Shared::new(IngesterStatus::begin(site::now()), directory);
    if let Err(fault) = port::serve(&site.config.ingest, &shared) {
        let why = format!("no /metrics and /healthz: {fault:#}");
        tell!(ERROR, "port_not_served", "{why}");
        shared.change(|state| state.port_fault = Some(shown(&why)));
    }
    let mut daemon = Daemon { site, stop: Arc::clone(stop), shared, swept: None };
    let ended = daemon.run();
    daemon.shared.change(|state| state.now_is(IngesterState::Stopped));
    tell!(INFO, "daemon_ended", "ingester stopped");
    ended
}

struct Daemon<'a> {
    site: &'a Site,
    stop: Arc<AtomicBool>,
    shared: Shared,
    swept: Option<Instant>,
}

impl Daemon<'_> {
    fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn run(&mut self) -> anyhow::Result<()> {
        let mut back_off = BACK_OFF.0;
        let mut archive: Option<Archive> = None;
        while !self.stopping() {
            let turn = match &mut archive {
                Some(archive) => self.turn(archive),
                None => self.open().map(|opened| archive = Some(opened)),
            };
            match turn {
                Ok(()) => back_off = BACK_OFF.0,
                Err(fault) if self.stopping() => {
                    note!(WARN, "daemon_stopped", "ingester stops: {fault:#}");
                }
                Err(fault) if is_for_ever(&fault) => return Err(fault),
                Err(fault) => {
                    archive = None; // a new connection
                    self.wait_out(&fault, back_off);
                    back_off = (2 * back_off).min(BACK_OFF.1);
                }
            }
        }
        Ok(())
    }

    fn open(&self) -> anyhow::Result<Archive> {
        let mut archive = self.site.write()?;
        archive.stop_with(Arc::clone(&self.stop));
        Ok(archive)
    }

    /// Runs one pass, then waits for something to do.
    fn turn(&mut self, archive: &mut Archive) -> anyhow::Result<()> {
        if self.swept.is_none_or(|at| at.elapsed() > SWEEP_EVERY) {
            crate::swept::sweep(archive, self.site.config.staging.keep())?;
            self.swept = Some(Instant::now());
        }
        self.shared.change(|state| state.now_is(IngesterState::Working));
        let cause = Cause::new("ingester", "a batch was ready");
        let stop = Arc::clone(&self.stop);
        let pass = ingest::pass_until(
            &|| stop.load(Ordering::Relaxed),
            archive,
            &[],
            &cause,
            site::now(),
        )?;
        let known = self.shared.get(|state| state.postponed.clone());
        log_pass(&pass, true, |unit, why| {
            !known.contains(&state::waits(unit, why)) && !self.stopping()
        });
        let staged = archive.staged_rounds()?.len() as u64;
        self.shared.change(|state| state.passed(&pass, staged, site::now()));
        let poll = Duration::from_secs(self.site.config.ingest.poll_seconds.max(1));
        let longest = if pass.postponed.is_empty() { poll } else { poll.min(POSTPONED) };
        archive.await_change(longest)?;
        Ok(())
    }

    /// Reports a fault and waits before the next try, or until a signal.
    fn wait_out(&mut self, fault: &anyhow::Error, time: Duration) {
        let why = shown(&format!("{fault:#}"));
        let is_news = self.shared.get(|state| state.fault.as_deref() != Some(why.as_str()));
        if is_news {
            tell!(ERROR, "archive_unusable", "the archive cannot be used, and is retried: {why}");
        }
        self.shared.change(|state| state.failed(&why, site::now()));
        // Several ingesters that lost the same server do not reconnect at the same instant.
        let jitter = u64::from(std::process::id()) % 100;
        sleep(time + Duration::from_millis(jitter), &self.stop);
    }
}

/// Records what a pass did, and notifies the operator when `is_shown` is set. `is_news` chooses among the batches that wait, by
/// their reasons.
pub(crate) fn log_pass(
    pass: &PassReport,
    is_shown: bool,
    is_news: impl Fn(&UnitKey, &str) -> bool,
) {
    for batch in &pass.published {
        let rows: u64 = batch.rows.iter().map(|(_, rows)| rows).sum();
        let seconds = batch.timing.load + batch.timing.keys + batch.timing.publish;
        of_round!(
            is_shown, act, batch.unit; INFO, "published", rows, seconds, archive_event = batch.event.get(),
            "{}", batch.in_words()
        );
    }
    for batch in &pass.refused {
        of_round!(
            is_shown, act, batch.unit; WARN, "refused", check = batch.check,
            "refused {}: check {}: {}", batch.unit, batch.check, batch.message
        );
    }
    for name in &pass.completed {
        act!(is_shown; INFO, "completed", delivery = name.as_str(), "{name} is complete");
    }
    for (unit, why) in pass.postponed.iter().filter(|(unit, why)| is_news(unit, why)) {
        of_round!(is_shown, act, unit; WARN, "postponed", "{}", state::waits(unit, why));
    }
    if let Some(why) = &pass.untidy {
        act!(is_shown; WARN, "partitions_not_folded", "partitions were not folded: {why}");
    }
    note!(
        DEBUG,
        "pass",
        published = pass.published.len(),
        postponed = pass.postponed.len(),
        blocked = pass.blocked.len(),
        "a pass of the ingester ended"
    );
}
