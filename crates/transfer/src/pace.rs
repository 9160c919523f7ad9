//! Limits on the rate at which a source is read: the highest allowed one, and the lowest of a live connection.

use crate::source::SourceFault;
pub use crate::stall::Stall;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A limit on the bytes per second of all connections to a source together.
#[derive(Debug)]
pub struct Pace {
    bytes_per_second: f64,
    /// Time at which the bytes passed until now are within the limit.
    paid: Mutex<Instant>,
}

/// Amount that may pass at once after a pause.
const BURST: Duration = Duration::from_millis(200);

impl Pace {
    /// Makes a limit; 0 or less is none.
    pub fn new(bytes_per_second: f64) -> Self {
        Self { bytes_per_second, paid: Mutex::new(Instant::now()) }
    }

    /// Waits until `bytes` more bytes may pass; returns the time waited.
    pub fn pass(&self, bytes: usize) -> Duration {
        if self.bytes_per_second <= 0.0 {
            return Duration::ZERO;
        }
        let cost = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second);
        let now = Instant::now();
        let wait = {
            let mut paid = self.paid.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let from = (*paid).max(now.checked_sub(BURST).unwrap_or(now));
            *paid = from + cost;
            paid.saturating_duration_since(now)
        };
        std::thread::sleep(wait);
        wait
    }
}

/// A monitor of the bytes of one read.
#[derive(Debug)]
pub struct Watch {
    stall: Stall,
    since: Instant,
    bytes: u64,
}

impl Watch {
    /// Starts before any byte.
    pub fn new(stall: Stall) -> Self {
        Self { stall, since: Instant::now(), bytes: 0 }
    }

    /// Notes the bytes that arrived, and the time that they were held up on this side.
    ///
    /// # Errors
    /// [`SourceFault::Passing`] when too little arrived for too long.
    pub fn received(
        &mut self,
        place: &str,
        bytes: usize,
        held: Duration,
    ) -> Result<(), SourceFault> {
        self.bytes += bytes as u64;
        self.since += held;
        let (took, window) = (self.since.elapsed().as_secs_f64(), self.stall.seconds.max(1) as f64);
        if took < window {
            return Ok(());
        }
        if (self.bytes as f64) < self.stall.bytes_per_second * took {
            let why = format!("only {} bytes arrived in {took:.0} s", self.bytes);
            return Err(SourceFault::passing(place, why));
        }
        (self.since, self.bytes) = (Instant::now(), 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_holds_for_all_together() {
        let pace = Pace::new(1e6);
        let began = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        pace.pass(20_000);
                    }
                });
            }
        });
        let took = began.elapsed().as_secs_f64(); // 0.8 MB, of which 0.2 MB are the burst
        assert!(took > 0.55, "{took}");
        assert_eq!(Pace::new(0.0).pass(1 << 30), Duration::ZERO);
    }

    #[test]
    fn a_trickle_is_detected_and_a_configured_limit_is_not_one() {
        let stall = Stall { seconds: 1, bytes_per_second: 1000.0 };
        let mut slow = Watch::new(stall);
        slow.since = slow.since.checked_sub(Duration::from_secs(2)).unwrap();
        assert!(slow.received("x", 100, Duration::ZERO).is_err());
        let mut held = Watch::new(stall);
        held.since = held.since.checked_sub(Duration::from_secs(2)).unwrap();
        assert!(held.received("x", 100, Duration::from_secs(2)).is_ok());
        let mut fast = Watch::new(stall);
        fast.since = fast.since.checked_sub(Duration::from_secs(2)).unwrap();
        assert!(fast.received("x", 5000, Duration::ZERO).is_ok());
    }
}
