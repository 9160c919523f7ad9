//! The loop of the data daemon.

use super::state::{self, SchedulerState, SchedulerStatus};
use super::{Curator, SchedulerPass};
use crate::log::{note, tell};
use crate::loops::{self, BACK_OFF};
use crate::site::{self, Site};
use crate::words::shown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Interval between two removals of the remains of attempts.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// Interval between two estimates of the expected end.
const FORECAST_EVERY: Duration = Duration::from_secs(15);
/// Delay of the next pass after a pass that did something.
const SOON: Duration = Duration::from_millis(200);

/// Runs until a signal ends it. Attempts that outlive this process continue; those of this machine's own pool are awaited.
///
/// # Errors
/// Faults that waiting does not repair: no archive, a newer schema, a wrong configuration.
pub fn daemon(site: &Site, auto: bool, stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
    let directory = state::directory(&site.place.logs());
    files::create_dir(&directory)?;
    let Some(_lock) = loops::stand_by(&directory, stop, &|| {
        let other = state::read(&directory).map(|s| s.process).unwrap_or_default();
        format!("another data daemon runs on this site ({other}); standing by")
    })?
    else {
        return Ok(());
    };
    tell!(INFO, "daemon_begun", "data daemon started, pid {}", std::process::id());
    let mut state = SchedulerStatus::begin("", site::now());
    let mut looped = Loop { site, auto, stop, directory: &directory, swept: None, forecast: None };
    let ended = looped.run(&mut state);
    state.state = SchedulerState::Stopped;
    state.write(&directory, site::now());
    tell!(INFO, "daemon_ended", "data daemon stopped");
    ended
}

struct Loop<'a> {
    site: &'a Site,
    auto: bool,
    stop: &'a AtomicBool,
    directory: &'a std::path::Path,
    swept: Option<Instant>,
    forecast: Option<Instant>,
}

impl Loop<'_> {
    fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn run(&mut self, state: &mut SchedulerStatus) -> anyhow::Result<()> {
        let mut back_off = BACK_OFF.0;
        let mut curator: Option<Curator> = None;
        loop {
            let is_idle = match &curator {
                Some(curator) => {
                    curator.executor.outlives() || curator.mine().is_ok_and(|m| m.is_empty())
                }
                None => true,
            };
            if self.stopping() && is_idle {
                return Ok(());
            }
            let turn = match &mut curator {
                Some(curator) => self.turn(curator, state),
                None => self.open().map(|opened| {
                    state.executor = opened.executor.name().to_owned();
                    curator = Some(opened);
                }),
            };
            match turn {
                Ok(()) => back_off = BACK_OFF.0,
                Err(fault) if loops::is_for_ever(&fault) => return Err(fault),
                Err(fault) if self.stopping() => {
                    note!(WARN, "daemon_stopped", "data daemon stops: {fault:#}");
                    return Ok(());
                }
                Err(fault) => {
                    // A new curator has a new connection to the archive, but a pool of our own would be lost with the old one.
                    if curator.as_ref().is_none_or(|c| c.executor.outlives()) {
                        curator = None;
                    }
                    let why = shown(&format!("{fault:#}"));
                    if state.fault.as_ref() != Some(&why) {
                        tell!(
                            ERROR,
                            "archive_unusable",
                            "the archive cannot be used, and is retried: {why}"
                        );
                    }
                    state.fault = Some(why);
                    state.state = SchedulerState::Away;
                    state.write(self.directory, site::now());
                    loops::sleep(back_off, self.stop);
                    back_off = (2 * back_off).min(BACK_OFF.1);
                }
            }
        }
    }

    fn open(&self) -> anyhow::Result<Curator> {
        let mut curator = Curator::open(self.site.clone(), "data daemon", "new work")?;
        curator.auto |= self.auto;
        Ok(curator)
    }

    /// Runs one pass, then waits for something to do.
    fn turn(&mut self, curator: &mut Curator, state: &mut SchedulerStatus) -> anyhow::Result<()> {
        if self.swept.is_none_or(|at| at.elapsed() > SWEEP_EVERY) {
            let keep = self.site.config.staging.keep();
            crate::swept::sweep(curator.archive(), keep)?;
            self.swept = Some(Instant::now());
        }
        let stopping = self.stopping();
        state.state = if stopping { SchedulerState::Draining } else { SchedulerState::Working };
        let pass: SchedulerPass = curator.pass(!stopping)?;
        if !pass.is_idle() {
            note!(
                DEBUG,
                "pass",
                accepted = pass.accepted,
                failed = pass.failed,
                opened = pass.opened,
                sent = pass.sent,
                "a pass of the data daemon ended"
            );
        }
        let is_due = self.forecast.is_none_or(|at| at.elapsed() > FORECAST_EVERY);
        let document = if is_due && !stopping {
            self.forecast = Some(Instant::now());
            Some(curator.document()?)
        } else {
            None
        };
        state.passed(curator, &pass, document.as_ref(), site::now())?;
        state.write(self.directory, site::now());
        let poll = Duration::from_secs(self.site.config.plan.poll_seconds.max(1));
        let is_busy = !pass.is_idle() || !curator.executor.outlives() && !state.attempts.is_empty();
        let wait = if is_busy || stopping { SOON.min(poll) } else { poll };
        if is_busy {
            loops::sleep(wait, self.stop);
        } else {
            curator.archive().await_change(wait)?;
        }
        Ok(())
    }
}
