//! Waiting for changes by other processes: a server notifies, an embedded database is polled.

use crate::{Connection, Result, Server};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Interval at which the stop flag and an embedded database are polled.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

impl Connection {
    /// Notifies the processes that wait in [`Connection::await_change`], once the transaction is committed.
    ///
    /// # Errors
    /// Errors of the engine.
    pub fn announce_change(&self) -> Result<()> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(_) => {
                self.execute_batch("SELECT pg_notify('almagest_' || current_schema(), '')")
            }
        }
    }

    /// Waits for another connection to change the database, until a time has passed or `stop` is set. Returns `true` when one
    /// did. A change may be missed, so the result is only a hint.
    ///
    /// # Errors
    /// Errors of the engine.
    pub fn await_change(&self, at_most: Duration, stop: &AtomicBool) -> Result<bool> {
        let until = Instant::now() + at_most;
        let mut poll: Box<dyn FnMut(Duration) -> Result<bool> + '_> = match self {
            Self::Postgres(server) => {
                listen(server)?;
                Box::new(|slice| server.notified(slice))
            }
            Self::Sqlite(_) => {
                let before = version(self)?;
                Box::new(move |slice| {
                    std::thread::sleep(slice);
                    Ok(version(self)? != before)
                })
            }
        };
        while Instant::now() < until && !stop.load(Ordering::Relaxed) {
            let left = until.saturating_duration_since(Instant::now());
            if poll(left.min(POLL_INTERVAL))? {
                return Ok(true);
            }
        }
        Ok(false)
    }
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
