//! The daemons: loops over idempotent operations, in one process ([`all`]) or in a process each.
//!
//! [`transfer()`] watches the sources, [`mod@notify`] reports failures to the operators, [`crate::scheduler`] plans tasks and has
//! them run, [`ingest()`] makes batches visible.

use crate::log::{self, Writer, tell};
use crate::loops::first_of;
use crate::site::Site;
use crate::{arrivals, ingester, notify, scheduler};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs all loops in one process until a signal stops them or one of them cannot continue.
///
/// # Errors
/// The first error of a loop.
pub fn all(site: &Site, stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
    type Loop = fn(&Site, &Arc<AtomicBool>) -> anyhow::Result<()>;
    site.open_log(Writer::Commands);
    let has_sources = arrivals::has_sources(site);
    let data = site.loop_log(Writer::Data);
    let loops: [(bool, _, Loop); 4] = [
        (has_sources, site.loop_log(Writer::Transfer), arrivals::watch),
        (true, data.clone(), |site, stop| scheduler::daemon(site, false, stop)),
        (true, site.loop_log(Writer::Ingester), ingester::ingest),
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
    site.open_log(Writer::Transfer);
    arrivals::watch(site, stop)
}

/// Runs the ingester.
///
/// # Errors
/// Faults that waiting does not repair.
pub fn ingest(site: &Site, stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
    site.open_log(Writer::Ingester);
    ingester::ingest(site, stop)
}

/// Runs the data daemon and the notifier.
///
/// # Errors
/// Faults that waiting does not repair.
pub fn data(site: &Site, auto: bool, stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
    site.open_log(Writer::Data);
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
