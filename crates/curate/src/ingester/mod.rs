//! The ingester: a loop over one idempotent pass.
//!
//! The ingester wakes after a batch is staged (the archive sends a notification, or is polled), and at least every
//! `poll_seconds`. While the database is unreachable, the ingester retries with increasing delays. A batch that does not fit is
//! refused and named. SIGTERM stops the ingester in the middle of a load, with nothing half done. A second ingester on the same
//! site stands by until the first has stopped. Even two at once would do no harm, since each batch is claimed in the transaction
//! that publishes it.
//!
//! Start at [`ingest()`]. The counts of the ingester are in [`state`], for `status` and the port of [`mod@port`].

mod connections;
mod port;
pub mod state;

use crate::journal::Journal;
use crate::loops::{BACK_OFF, is_for_ever, sleep, stand_by};
use crate::site::{self, Archive, Site};
use crate::words::{shown, tell};
use archive::Publication;
use archive::records::Cause;
use ingest::PassReport;
use state::{Shared, State};
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
    let mut journal = Journal::open(&site.place.logs());
    let Some(_lock) = stand_by(&directory, stop, &|| {
        let other = state::read(&directory).map(|s| s.process).unwrap_or_default();
        format!("another ingester works on this site ({other}); standing by")
    })?
    else {
        return Ok(());
    };
    journal.note("ingester begins");
    tell!("almagest: ingester begins, pid {}", std::process::id());
    let shared = Shared::new(State::begin(site::now()), directory);
    if let Err(fault) = port::serve(&site.config.ingest, &shared) {
        tell!("almagest: no /metrics and /healthz: {}", shown(&format!("{fault:#}")));
    }
    let mut daemon = Daemon { site, stop: Arc::clone(stop), shared, journal, swept: None };
    let ended = daemon.run();
    daemon.shared.change(|state| state.now_is("stopped"));
    daemon.journal.note("ingester ends");
    tell!("almagest: ingester ends");
    ended
}

struct Daemon<'a> {
    site: &'a Site,
    stop: Arc<AtomicBool>,
    shared: Shared,
    journal: Journal,
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
                    self.journal.note(&format!("ingester stops: {fault:#}"));
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
            ingest::sweep::sweep(archive, self.site.config.staging.keep(), site::now())?;
            self.swept = Some(Instant::now());
        }
        self.shared.change(|state| state.now_is("working"));
        let cause = Cause::new("ingester", "a batch was ready");
        let stop = Arc::clone(&self.stop);
        let pass = ingest::pass_until(
            &|| stop.load(Ordering::Relaxed),
            archive,
            &[],
            &cause,
            site::now(),
        )?;
        self.note(&pass);
        let staged = archive.staged_rounds()?.len() as u64;
        self.shared.change(|state| state.passed(&pass, staged, site::now()));
        let poll = Duration::from_secs(self.site.config.ingest.poll_seconds.max(1));
        let longest = if pass.postponed.is_empty() { poll } else { poll.min(POSTPONED) };
        archive.await_change(longest)?;
        Ok(())
    }

    /// Reports a pass on stderr and in the log.
    fn note(&mut self, pass: &PassReport) {
        let mut lines = Vec::new();
        lines.extend(pass.published.iter().map(ingest::Published::in_words));
        for batch in &pass.refused {
            lines.push(format!("refused {}: check {}: {}", batch.unit, batch.check, batch.message));
        }
        for name in &pass.completed {
            lines.push(format!("{name} is complete"));
        }
        let known = self.shared.get(|state| state.postponed.clone());
        for (unit, why) in &pass.postponed {
            let line = format!("{unit} waits: {why}");
            if !known.contains(&line) && !self.stopping() {
                lines.push(line);
            }
        }
        lines.extend(pass.untidy.iter().map(|why| format!("partitions were not folded: {why}")));
        for line in lines {
            self.journal.note(&line);
            tell!("almagest: {}", shown(&line));
        }
    }

    /// Reports a fault and waits before the next try, or until a signal.
    fn wait_out(&mut self, fault: &anyhow::Error, time: Duration) {
        let why = shown(&format!("{fault:#}"));
        let is_news = self.shared.get(|state| state.fault.as_deref() != Some(why.as_str()));
        if is_news {
            let line = format!("the archive cannot be used, trying again: {why}");
            self.journal.note(&line);
            tell!("almagest: {line}");
        }
        self.shared.change(|state| state.failed(&why, site::now()));
        // Several ingesters that lost the same server do not reconnect at the same instant.
        let jitter = u64::from(std::process::id()) % 100;
        sleep(time + Duration::from_millis(jitter), &self.stop);
    }
}
