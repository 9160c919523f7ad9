//! The daemons: loops over idempotent operations, in one process ([`all`]) or in a process each.
//!
//! [`transfer()`] watches the sources, [`mod@notify`] reports failures to the operators, [`crate::scheduler`] plans tasks and has
//! them run, [`ingest()`] makes batches visible.

use crate::log::{self, Writer, tell};
use crate::site::Site;
use crate::{arrivals, failure, ingester, notify, scheduler};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs all loops in one process until a signal stops them or one of them cannot continue.
///
/// # Errors
/// The first error of a loop.
pub fn all(site: &Site, stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
    type Loop = fn(&Site, &Arc<AtomicBool>) -> anyhow::Result<()>;
    log::open(site, Writer::Commands);
    let has_sources = arrivals::has_sources(site);
    let data = log::of_loop(site, Writer::Data);
    let loops: [(bool, _, Loop); 4] = [
        (has_sources, log::of_loop(site, Writer::Transfer), arrivals::watch),
        (true, data.clone(), |site, stop| scheduler::daemon(site, false, stop)),
        (true, log::of_loop(site, Writer::Ingester), ingester::ingest),
        (true, data, notify::watch),
    ];
    if !has_sources {
        tell!(
            WARN,
            "no_source",
            "nothing is watched: [inbox] directories, [sources.NAME] in almagest.toml"
        );
    }
    let run = |subscriber, looped: Loop| {
        let _guard = StopOnPanic(stop);
        let ended = log::under(&subscriber, || looped(site, stop));
        if ended.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
        ended
    };
    let ended: Vec<anyhow::Result<()>> = std::thread::scope(|scope| {
        let wanted = loops.into_iter().filter(|(is_wanted, ..)| *is_wanted);
        let threads: Vec<_> =
            wanted.map(|(_, log, looped)| scope.spawn(move || run(log, looped))).collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(ended) => ended,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect()
    });
    first_of(ended)
}

/// Watches the sources.
///
/// # Errors
/// Faults that waiting does not repair.
pub fn transfer(site: &Site, stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
    log::open(site, Writer::Transfer);
    arrivals::watch(site, stop)
}

/// Runs the ingester.
///
/// # Errors
/// Faults that waiting does not repair.
pub fn ingest(site: &Site, stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
    log::open(site, Writer::Ingester);
    ingester::ingest(site, stop)
}

/// Runs the data daemon and the notifier.
///
/// # Errors
/// Faults that waiting does not repair.
pub fn data(site: &Site, auto: bool, stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
    log::open(site, Writer::Data);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let _guard = StopOnPanic(stop);
            notify::watch(site, stop)
        });
        let ended = scheduler::daemon(site, auto, stop);
        stop.store(true, Ordering::Relaxed);
        let watched = watcher.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        first_of(vec![ended, watched])
    })
}

/// Stops the other loops when the thread of one panics: its work must not be missing without notice.
struct StopOnPanic<'a>(&'a AtomicBool);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
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
