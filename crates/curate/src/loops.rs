//! Functions shared by the loops of daemons: they stop on a signal, stand by while another daemon runs, wait while the archive
//! is unreachable, and report why they ended.

use crate::failure::{self, Failure};
use crate::log::tell;
use archive::ArchiveError;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// First and longest wait when the database is unreachable.
pub const BACK_OFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));
const SLICE: Duration = Duration::from_millis(100);

/// Time before which a second SIGTERM is ignored: supervisors, containers and `timeout` send several in a row.
const GRACE: Duration = Duration::from_secs(10);
/// The same time for SIGINT, which a terminal and a wrapper may both send for one key.
const KEY_GRACE: Duration = Duration::from_secs(1);

/// Returns the flag that SIGINT and SIGTERM set. Another signal ends the process immediately when its grace period has expired:
/// unfinished work is found again.
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
                    // Returns only when the system refuses; the flag is set nevertheless.
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

/// Waits until no other daemon of the kind works on the site; returns `None` when a signal arrived first.
pub fn stand_by(
    directory: &Path,
    stop: &AtomicBool,
    words: &dyn Fn() -> String,
) -> anyhow::Result<Option<files::DirLock>> {
    let mut told = false;
    while !stop.load(Ordering::Relaxed) {
        if let Some(lock) = files::lock_dir(directory)? {
            return Ok(Some(lock));
        }
        if !told {
            tell!(INFO, "standing_by", "{}", words());
            told = true;
        }
        std::thread::sleep(SLICE);
    }
    Ok(None)
}

/// Waits for a time, or until a signal.
pub fn sleep(time: Duration, stop: &AtomicBool) {
    let until = Instant::now() + time;
    while Instant::now() < until && !stop.load(Ordering::Relaxed) {
        std::thread::sleep(SLICE.min(time));
    }
}

/// Returns true for a fault that waiting does not repair.
pub fn is_for_ever(fault: &anyhow::Error) -> bool {
    if fault.downcast_ref::<Failure>().is_some() {
        return true;
    }
    let archive = fault.chain().find_map(|e| e.downcast_ref::<ArchiveError>());
    archive.is_some_and(|error| error.is_moved() || error.is_gate() && !error.is_transient())
}

/// Returns the first error of some loops, which the command reports, and reports the others.
pub(crate) fn first_of(ended: Vec<anyhow::Result<()>>) -> anyhow::Result<()> {
    let mut faults = ended.into_iter().filter_map(Result::err);
    let Some(first) = faults.next() else { return Ok(()) };
    // Loops that meet the same failure report it once.
    let mut reported = BTreeSet::from([failure::in_words(&first, None)]);
    for fault in faults {
        let why = failure::in_words(&fault, None);
        if reported.insert(why.clone()) {
            tell!(ERROR, "loop_failed", "{why}");
        }
    }
    Err(first)
}
