//! The daemons: loops around acts that may be repeated, in one process ([`all`]) or each in its own.
//!
//! [`transfer()`] watches the sources, [`mod@notify`] tells people of trouble, [`crate::data`] plans and has run. What stands here
//! is the ingester: one idempotent pass, again and again. It wakes when a batch is staged (the archive tells, or is looked at), and at least every `poll_seconds`. When the database is
//! away it waits longer and longer and goes on when it is back; a batch that does not fit is refused and named. SIGTERM
//! ends it in the middle of a load, with nothing half done. A second daemon on the same site stands by until the first
//! is gone; even two at once would do no harm, since each batch is claimed in the transaction that publishes it.
//!
//! Start at [`ingest()`]. What it did is in [`state`], for `status` and the port of [`mod@port`].

pub mod arrivals;
mod connections;
pub mod kept;
pub mod notify;
mod port;
pub mod state;

pub use arrivals::watch as transfer;

use crate::exit::{self, Exit};
use crate::journal::Journal;
use crate::report::{shown, tell};
use crate::site::{self, Archive, Site};
use archive::ArchiveError;
use archive::Publication;
use archive::records::Cause;
use ingest::PassReport;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use state::{Shared, State};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often what attempts left is cleared away.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// First and longest wait when the database is away.
pub(crate) const BACK_OFF: (Duration, Duration) =
    (Duration::from_millis(500), Duration::from_secs(60));
/// A pass that postponed something is repeated after this, whether or not anything changed.
const POSTPONED: Duration = Duration::from_secs(5);
const SLICE: Duration = Duration::from_millis(100);

/// Runs until a signal ends it.
///
/// # Errors
/// What waiting does not mend: no archive, a newer schema, a wrong configuration.
pub fn ingest(site: &Site, stop: &Arc<AtomicBool>) -> anyhow::Result<Exit> {
    let directory = state::directory(&site.place.logs());
    files::create_dir(&directory)?;
    let mut journal = Journal::open(&site.place.logs());
    let Some(_lock) = stand_by(&directory, stop, &|| {
        let other = state::read(&directory).map(|s| s.process).unwrap_or_default();
        format!("another ingester works on this site ({other}); standing by")
    })?
    else {
        return Ok(Exit::Done);
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
    ended.map(|()| Exit::Done)
}

/// All loops in one process, until a signal ends them or one of them cannot go on.
///
/// # Errors
/// The first of a loop.
pub fn all(site: &Site, stop: &Arc<AtomicBool>) -> anyhow::Result<Exit> {
    type Loop = fn(&Site, &Arc<AtomicBool>) -> anyhow::Result<Exit>;
    let has_sources = arrivals::has_sources(site);
    let loops: [(bool, Loop); 4] = [
        (has_sources, arrivals::watch),
        (true, |site, stop| crate::data::daemon(site, false, stop)),
        (true, ingest),
        (true, notify::watch),
    ];
    if !has_sources {
        tell!("almagest: nothing is watched: [inbox] directories, [sources.NAME] in almagest.toml");
    }
    let run = |looped: Loop| {
        let ended = looped(site, stop);
        if ended.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
        ended
    };
    let ended: Vec<anyhow::Result<Exit>> = std::thread::scope(|scope| {
        let wanted = loops.into_iter().filter(|(is_wanted, _)| *is_wanted);
        let threads: Vec<_> = wanted.map(|(_, looped)| scope.spawn(move || run(looped))).collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(ended) => ended,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect()
    });
    ended.into_iter().find(Result::is_err).unwrap_or(Ok(Exit::Done))
}

/// The data daemon, and who tells people of trouble.
///
/// # Errors
/// What waiting does not mend.
pub fn data(site: &Site, auto: bool, stop: &Arc<AtomicBool>) -> anyhow::Result<Exit> {
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| notify::watch(site, stop));
        let ended = crate::data::daemon(site, auto, stop);
        stop.store(true, Ordering::Relaxed);
        let _ = watcher.join();
        ended
    })
}

/// A second SIGTERM ends a process at once only after this: supervisors, containers and `timeout` send several in a row.
const GRACE: Duration = Duration::from_secs(10);
/// The same for SIGINT, which a terminal and a wrapper may both send for one key.
const KEY_GRACE: Duration = Duration::from_secs(1);

/// Returns the flag that SIGINT and SIGTERM set. Another one ends the process at once when its time of grace is over: what
/// is unfinished is found again.
///
/// # Errors
/// When the system does not take the handlers.
pub fn stop_flag() -> anyhow::Result<Arc<AtomicBool>> {
    static FLAG: Mutex<Option<Arc<AtomicBool>>> = Mutex::new(None);
    let mut known = FLAG.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(flag) = known.as_ref() {
        return Ok(Arc::clone(flag));
    }
    let flag = Arc::new(AtomicBool::new(false));
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let stop = Arc::clone(&flag);
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut first: Option<Instant> = None;
        for signal in signals.forever() {
            let grace = if signal == SIGTERM { GRACE } else { KEY_GRACE };
            match first {
                Some(at) if at.elapsed() >= grace => {
                    let _ = signal_hook::low_level::emulate_default_handler(signal);
                }
                Some(_) => {}
                None => first = Some(Instant::now()),
            }
            stop.store(true, Ordering::Relaxed);
        }
    })?;
    *known = Some(Arc::clone(&flag));
    Ok(flag)
}

/// Waits until no other daemon of the kind works on the site; `None` when a signal came first.
pub(crate) fn stand_by(
    directory: &std::path::Path,
    stop: &AtomicBool,
    words: &dyn Fn() -> String,
) -> anyhow::Result<Option<files::DirLock>> {
    let mut told = false;
    while !stop.load(Ordering::Relaxed) {
        if let Some(lock) = files::lock_dir(directory)? {
            return Ok(Some(lock));
        }
        if !told {
            tell!("almagest: {}", words());
            told = true;
        }
        std::thread::sleep(SLICE);
    }
    Ok(None)
}

/// Waits for a time, or until a signal.
pub(crate) fn sleep(time: Duration, stop: &AtomicBool) {
    let until = Instant::now() + time;
    while Instant::now() < until && !stop.load(Ordering::Relaxed) {
        std::thread::sleep(SLICE.min(time));
    }
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

    /// One pass, then a wait for something to do.
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

    /// Tells what a pass did, on stderr and in the log.
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

    /// Waits before the next try, or until a signal.
    fn wait_out(&mut self, fault: &anyhow::Error, time: Duration) {
        let why = shown(&format!("{fault:#}"));
        let is_news = self.shared.get(|state| state.fault.as_deref() != Some(why.as_str()));
        if is_news {
            let line = format!("the archive cannot be used, trying again: {why}");
            self.journal.note(&line);
            tell!("almagest: {line}");
        }
        self.shared.change(|state| state.failed(&why, site::now()));
        // Several that lost the same server do not come back at the same instant.
        let jitter = u64::from(std::process::id()) % 100;
        sleep(time + Duration::from_millis(jitter), &self.stop);
    }
}

/// Whether waiting cannot mend a fault.
pub(crate) fn is_for_ever(fault: &anyhow::Error) -> bool {
    if fault.downcast_ref::<exit::Failure>().is_some() {
        return true;
    }
    let archive = fault.chain().find_map(|e| e.downcast_ref::<ArchiveError>());
    archive.is_some_and(|error| error.is_moved() || error.is_gate() && !error.is_transient())
}
