//! Limits of a query: time, rows, temporary space, memory.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The resources that a query may use. `None` means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SqlLimits {
    /// Wall-clock time of one query.
    pub time: Option<Duration>,
    /// Rows that one query may return.
    pub rows: Option<u64>,
    /// Bytes in temporary files (sorting, grouping, materialised subqueries).
    pub temporary_bytes: Option<u64>,
    /// Heap of SQLite in the whole process; a setting that the process can lower but not raise.
    pub memory_bytes: Option<u64>,
}

impl SqlLimits {
    /// The default: ten minutes, no limit of rows, 8 GiB of temporary space, 512 MiB of memory.
    pub const DEFAULT: Self = Self {
        time: Some(Duration::from_secs(600)),
        rows: None,
        temporary_bytes: Some(8 << 30),
        memory_bytes: Some(512 << 20),
    };
}

impl Default for SqlLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The reason that a query was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It took longer than the limit.
    Time(Duration),
    /// It would return more rows than the limit.
    Rows(u64),
    /// Its temporary files grew beyond the limit.
    TemporarySpace(u64),
    /// A user or another thread interrupted it.
    Interrupted,
}

/// Interval between checks of the temporary files.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The running query's limits. SQLite checks them between its instructions, the detection tables between blocks.
#[derive(Debug)]
pub(crate) struct Budget {
    limits: SqlLimits,
    interrupted: AtomicBool,
    run: Mutex<Run>,
}

#[derive(Debug)]
struct Run {
    started: Instant,
    measured: Instant,
    stopped: Option<Stopped>,
}

impl Budget {
    pub(crate) fn new(limits: SqlLimits) -> Self {
        let now = Instant::now();
        let run = Run { started: now, measured: now, stopped: None };
        Self { limits, interrupted: AtomicBool::new(false), run: Mutex::new(run) }
    }

    /// Starts the clock of a query.
    pub(crate) fn start(&self) {
        let now = Instant::now();
        self.interrupted.store(false, Ordering::Relaxed);
        *self.run() = Run { started: now, measured: now, stopped: None };
    }

    /// Requests that the running query stop.
    pub(crate) fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Relaxed);
    }

    /// Returns the reason for which the query must stop, if it must; the reason is kept from then on.
    pub(crate) fn exhausted(&self) -> Option<Stopped> {
        let mut run = self.run();
        if run.stopped.is_none() {
            run.stopped = self.reason(&mut run);
        }
        run.stopped
    }

    /// Returns the reason for which the last query was stopped, if it was.
    pub(crate) fn stopped(&self) -> Option<Stopped> {
        self.run().stopped
    }

    /// Returns the limits of the session.
    pub(crate) fn limits(&self) -> SqlLimits {
        self.limits
    }

    fn reason(&self, run: &mut Run) -> Option<Stopped> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Some(Stopped::Interrupted);
        }
        let now = Instant::now();
        if let Some(limit) = self.limits.time.filter(|limit| now - run.started > *limit) {
            return Some(Stopped::Time(limit));
        }
        let limit = self.limits.temporary_bytes?;
        if now - run.measured < POLL_INTERVAL {
            return None;
        }
        run.measured = now;
        (temporary_bytes() > limit).then_some(Stopped::TemporarySpace(limit))
    }

    fn run(&self) -> std::sync::MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the bytes in SQLite's temporary files of this process. They are unlinked as soon as they are open, so only
/// the descriptors refer to them. 0 without `/proc`; the session then keeps temporary data in memory.
pub(crate) fn temporary_bytes() -> u64 {
    let Ok(descriptors) = std::fs::read_dir("/proc/self/fd") else { return 0 };
    descriptors
        .flatten()
        .filter(|d| std::fs::read_link(d.path()).is_ok_and(|to| is_temporary(&to)))
        .filter_map(|d| std::fs::metadata(d.path()).ok())
        .map(|m| m.len())
        .sum()
}

/// Returns true when a descriptor's link names a temporary file of SQLite: `etilqs_…`, or `#<inode>` where the file
/// system makes files without a name.
fn is_temporary(link: &std::path::Path) -> bool {
    let Some(name) = link.file_name().and_then(|n| n.to_str()) else { return false };
    let Some(name) = name.strip_suffix(" (deleted)") else { return false };
    let unnamed = name.strip_prefix('#').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
    name.starts_with("etilqs_") || unnamed
}

/// Returns true when temporary files can be watched.
pub(crate) fn can_watch_temporary_files() -> bool {
    std::path::Path::new("/proc/self/fd").is_dir()
}
