//! Enforcement of time limits on queries by the clock, regardless of the query, the engine and the writer.
//!
//! A query checks its limits between rows and between SQLite's instructions. One call of an expensive function, one long row or a
//! stalled reader of our output can take longer than that. So after a grace period the process itself exits, with the message and
//! exit code that the query would have had. The process only reads, so nothing is lost except its unwritten output.

use crate::exit::Exit;
use crate::report::tell;
use query::{Interrupt, Stopped};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time that a query has to stop before its process is ended.
const GRACE: Duration = Duration::from_millis(500);

/// Watches the query of this process until it is dropped.
pub struct Watchdog(Arc<Watched>);

struct Watched {
    state: Mutex<State>,
    changed: Condvar,
    /// Output file; `None` for stdout.
    output: Option<PathBuf>,
}

#[derive(Default)]
struct State {
    /// Time at which the process ends, and the reason.
    end: Option<(Instant, Stopped)>,
    is_over: bool,
}

impl Watchdog {
    /// Starts the clock, and interrupts the query on SIGINT and SIGTERM.
    ///
    /// # Errors
    /// When the system does not take the handlers.
    pub fn start(
        interrupt: Interrupt,
        limit: Option<Duration>,
        output: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let end = limit.map(|limit| (Instant::now() + limit + GRACE, Stopped::Time(limit)));
        let watched = Arc::new(Watched {
            state: Mutex::new(State { end, is_over: false }),
            changed: Condvar::new(),
            output: output.map(Path::to_owned),
        });
        let mut signals = signal_hook::iterator::Signals::new([
            signal_hook::consts::SIGINT,
            signal_hook::consts::SIGTERM,
        ])?;
        let at_signal = Arc::clone(&watched);
        std::thread::spawn(move || {
            for _ in signals.forever() {
                at_signal.end_soon();
                interrupt.stop(); // may wait for a server: last
            }
        });
        let watching = Arc::clone(&watched);
        std::thread::spawn(move || watching.watch());
        Ok(Self(watched))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.change(|state| state.is_over = true);
    }
}

impl Watched {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    fn end_soon(&self) {
        let at = Instant::now() + GRACE;
        self.change(|state| {
            if state.end.is_none_or(|(end, _)| end > at) {
                state.end = Some((at, Stopped::Interrupted));
            }
        });
    }

    /// Ends the process when its time has expired before the end of the query.
    fn watch(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !state.is_over {
            let now = Instant::now();
            let left = match state.end {
                Some((end, why)) if end <= now => self.end(why),
                Some((end, _)) => end - now,
                None => Duration::from_secs(3600),
            };
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn end(&self, why: Stopped) -> ! {
        if let Some(output) = &self.output {
            let parent = output.parent().filter(|parent| !parent.as_os_str().is_empty());
            files::remove_own_temporaries(parent.unwrap_or(Path::new(".")));
        }
        tell!(ERROR, "query_stopped", "{}", query::SqlError::Stopped(why));
        let exit = if why == Stopped::Interrupted { Exit::Interrupted } else { Exit::Gate };
        std::process::exit(exit as i32)
    }
}
