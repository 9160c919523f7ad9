//! Number of connections that read at once: as many as raise throughput, and never more than allowed. Pure.
//!
//! Throughput is measured in steps. While more connections clearly raise it, their number grows; otherwise the number returns
//! to the best one and stays there for a while, until the next trial. When a source refuses connections or breaks them, the
//! number is lowered at once.

/// Factor of throughput above which a step is clearly better.
const GAIN: f64 = 1.10;
/// Factor of throughput below which a step is clearly worse than an earlier one.
const LOSS: f64 = 0.80;
/// Steps for which a number that was found good is kept.
const REST: u32 = 20;
/// Steps that are not evaluated after connections were added: a new connection is slow.
const SETTLING: u32 = 1;
/// Number of connections at the start.
const FIRST: usize = 2;

/// The decision on the number of connections that may read.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuner {
    max: usize,
    connections: usize,
    best: (usize, f64),
    rest: u32,
    settling: u32,
}

impl Tuner {
    /// Starts with 2 connections, or 1 where only one is allowed.
    pub fn new(max: usize) -> Self {
        let connections = max.clamp(1, FIRST);
        Self { max: max.max(1), connections, best: (connections, 0.0), rest: 0, settling: SETTLING }
    }

    /// Returns the number of connections that may read now.
    pub fn connections(&self) -> usize {
        self.connections
    }

    /// Accepts the throughput of a step, in bytes per second, and decides for the next step.
    pub fn step(&mut self, bytes_per_second: f64) {
        if self.settling > 0 {
            self.settling -= 1;
            return;
        }
        if self.rest > 0 {
            self.rest -= 1;
            if bytes_per_second < LOSS * self.best.1 {
                // The connection or the source changed: the number found before is no longer valid.
                (self.best, self.rest) = ((self.connections, bytes_per_second), 0);
            }
            if self.rest > 0 {
                return;
            }
            self.best = (self.connections, bytes_per_second);
            self.try_more();
            return;
        }
        if bytes_per_second > GAIN * self.best.1 {
            self.best = (self.connections, bytes_per_second);
            self.try_more();
        } else {
            self.connections = self.best.0;
            self.rest = REST;
        }
    }

    /// Lowers the number after the source refused a connection or broke one.
    pub fn fault(&mut self) {
        self.connections = (self.connections / 2).max(1);
        self.best = (self.connections, 0.0);
        self.rest = REST;
    }

    fn try_more(&mut self) {
        let more = (self.connections + self.connections.div_ceil(2)).min(self.max);
        if more == self.connections {
            self.rest = REST;
        } else {
            self.settling = SETTLING;
        }
        self.connections = more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the number of connections over `steps` steps, for a throughput that depends on it.
    fn course(tuner: &mut Tuner, steps: usize, throughput: impl Fn(usize) -> f64) -> Vec<usize> {
        let step = |_| {
            tuner.step(throughput(tuner.connections()));
            tuner.connections()
        };
        (0..steps).map(step).collect()
    }

    #[test]
    fn a_far_source_gets_all_connections_and_a_near_one_few() {
        let far = |connections: usize| 50e6 * connections as f64;
        let mut tuner = Tuner::new(16);
        assert_eq!(tuner.connections(), 2);
        assert_eq!(course(&mut tuner, 10, far), [2, 3, 3, 5, 5, 8, 8, 12, 12, 16]);
        let full_at_two = |connections: usize| 200e6 * connections.min(2) as f64;
        let mut tuner = Tuner::new(16);
        assert_eq!(course(&mut tuner, 6, full_at_two), [2, 3, 3, 2, 2, 2]);
        let overloaded =
            |connections: usize| if connections > 4 { 10e6 } else { 50e6 * connections as f64 };
        let mut tuner = Tuner::new(32);
        assert_eq!(course(&mut tuner, 7, overloaded), [2, 3, 3, 5, 5, 3, 3]);
        assert_eq!(Tuner::new(1).connections(), 1);
    }

    #[test]
    fn the_limit_holds_for_any_throughput() {
        for max in 1..=8 {
            let mut tuner = Tuner::new(max);
            for step in 0..500_u32 {
                tuner.step(f64::from(step.wrapping_mul(2_654_435_761) % 1000));
                if step % 37 == 0 {
                    tuner.fault();
                }
                assert!((1..=max).contains(&tuner.connections()));
            }
        }
    }

    #[test]
    fn a_change_of_throughput_is_detected() {
        let mut tuner = Tuner::new(16);
        course(&mut tuner, 6, |connections| 200e6 * connections.min(2) as f64);
        assert_eq!(tuner.connections(), 2);
        let after = course(&mut tuner, 60, |connections| 20e6 * connections as f64);
        assert_eq!(after.last(), Some(&16), "{after:?}");
        tuner.fault();
        assert_eq!(tuner.connections(), 8);
    }
}
