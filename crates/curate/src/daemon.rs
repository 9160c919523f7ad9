//! The daemons: loops over idempotent operations, in one process ([`all`]) or in a process each.
//!
//! [`transfer()`] watches the sources, [`mod@notify`] reports failures to the operators, [`crate::scheduler`] plans tasks and has
//! them run, [`ingest()`] makes batches visible.

use crate::site::Site;
use crate::words::tell;
use crate::{arrivals, notify, scheduler};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use crate::arrivals::watch as transfer;
pub use crate::ingester::ingest;

/// Runs all loops in one process until a signal stops them or one of them cannot continue.
///
/// # Errors
/// The first error of a loop.
pub fn all(site: &Site, stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
    type Loop = fn(&Site, &Arc<AtomicBool>) -> anyhow::Result<()>;
    let has_sources = arrivals::has_sources(site);
    let loops: [(bool, Loop); 4] = [
        (has_sources, arrivals::watch),
        (true, |site, stop| scheduler::daemon(site, false, stop)),
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
    let ended: Vec<anyhow::Result<()>> = std::thread::scope(|scope| {
        let wanted = loops.into_iter().filter(|(is_wanted, _)| *is_wanted);
        let threads: Vec<_> = wanted.map(|(_, looped)| scope.spawn(move || run(looped))).collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(ended) => ended,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect()
    });
    ended.into_iter().find(Result::is_err).unwrap_or(Ok(()))
}

/// Runs the data daemon and the notifier.
///
/// # Errors
/// Faults that waiting does not repair.
pub fn data(site: &Site, auto: bool, stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| notify::watch(site, stop));
        let ended = scheduler::daemon(site, auto, stop);
        stop.store(true, Ordering::Relaxed);
        let _ = watcher.join();
        ended
    })
}
