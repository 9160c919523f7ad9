//! Waiting for changes by other processes: a server notifies, an embedded database is polled.

use crate::Archive;
use crate::error::ArchiveError;
use engine::{Connection, Result, Server};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Interval at which the stop flag and an embedded database are polled.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

impl Archive {
    /// Waits for another process to change the archive, for a limited time. Returns `true` when one did. A change may be missed,
    /// so the result is only a hint.
    ///
    /// # Errors
    /// [`ArchiveError`] when the archive cannot be reached.
    pub fn await_change(&mut self, at_most: Duration) -> std::result::Result<bool, ArchiveError> {
        wait(&self.connection, at_most, &self.stop)
            .map_err(ArchiveError::during("wait for changes"))
    }
}

/// Notifies waiting processes that a batch is published.
pub(crate) fn tell(tx: &Connection) -> Result<()> {
    match tx.server() {
        None => Ok(()),
        Some(_) => tx.execute_batch("SELECT pg_notify('almagest_' || current_schema(), '')"),
    }
}

/// Implements [`crate::Archive::await_change`].
pub(crate) fn wait(c: &Connection, at_most: Duration, stop: &AtomicBool) -> Result<bool> {
    let until = Instant::now() + at_most;
    let mut look: Box<dyn FnMut(Duration) -> Result<bool> + '_> = match c {
        Connection::Postgres(server) => {
            listen(server)?;
            Box::new(|slice| server.notified(slice))
        }
        Connection::Sqlite(_) => {
            let before = version(c)?;
            Box::new(move |slice| {
                std::thread::sleep(slice);
                Ok(version(c)? != before)
            })
        }
    };
    while Instant::now() < until && !stop.load(Ordering::Relaxed) {
        let left = until.saturating_duration_since(Instant::now());
        if look(left.min(POLL_INTERVAL))? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn listen(server: &Server) -> Result<()> {
    let channel: String = server.with_client(|client| {
        Ok(client.query_one("SELECT quote_ident('almagest_' || current_schema())", &[])?.get(0))
    })?;
    server.with_client(|client| client.batch_execute(&format!("LISTEN {channel}")))
}

/// Returns a number that changes with every commit of another connection.
fn version(c: &Connection) -> Result<i64> {
    c.query_row("PRAGMA data_version", [], |r| r.get(0))
}
