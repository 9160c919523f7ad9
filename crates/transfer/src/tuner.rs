//! How many lines read at once: as many as raise throughput, and never more than allowed. Pure.
//!
//! Throughput is looked at in steps. While more lines bring clearly more, more are tried; when they do not, the number goes
//! back to the best one and stays there for a while, until it is tried again whether anything changed. A source that
//! refuses connections or breaks them gets fewer lines at once.

/// More than this is clearly more.
const GAIN: f64 = 1.10;
/// Less than this is clearly less than what was reached before.
const LOSS: f64 = 0.80;
/// Steps for which a number that was found good stays.
const REST: u32 = 20;
/// Steps that are not looked at after lines were added: a new connection takes its time.
const SETTLING: u32 = 1;
/// Lines to begin with.
const FIRST: usize = 2;

/// Decides how many lines may read.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuner {
    most: usize,
    lines: usize,
    best: (usize, f64),
    rest: u32,
    settling: u32,
}

impl Tuner {
    /// Begins with 2 lines, or 1 where there may be only one.
    pub fn new(most: usize) -> Self {
        let lines = most.clamp(1, FIRST);
        Self { most: most.max(1), lines, best: (lines, 0.0), rest: 0, settling: SETTLING }
    }

    /// Lines that may read now.
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// Takes the throughput of a step in, in bytes per second, and decides for the next one.
    pub fn step(&mut self, bytes_per_second: f64) {
        if self.settling > 0 {
            self.settling -= 1;
            return;
        }
        if self.rest > 0 {
            self.rest -= 1;
            if bytes_per_second < LOSS * self.best.1 {
                // The line or the source changed: what was found does not hold any more.
                (self.best, self.rest) = ((self.lines, bytes_per_second), 0);
            }
            if self.rest > 0 {
                return;
            }
            self.best = (self.lines, bytes_per_second);
            self.try_more();
            return;
        }
        if bytes_per_second > GAIN * self.best.1 {
            self.best = (self.lines, bytes_per_second);
            self.try_more();
        } else {
            self.lines = self.best.0;
            self.rest = REST;
        }
    }

    /// The source refused a connection or broke one.
    pub fn fault(&mut self) {
        self.lines = (self.lines / 2).max(1);
        self.best = (self.lines, 0.0);
        self.rest = REST;
    }

    fn try_more(&mut self) {
        let more = (self.lines + self.lines.div_ceil(2)).min(self.most);
        if more == self.lines {
            self.rest = REST;
        } else {
            self.settling = SETTLING;
        }
        self.lines = more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines in the course of so many steps, when a number of lines gives a throughput.
    fn course(tuner: &mut Tuner, steps: usize, throughput: impl Fn(usize) -> f64) -> Vec<usize> {
        let step = |_| {
            tuner.step(throughput(tuner.lines()));
            tuner.lines()
        };
        (0..steps).map(step).collect()
    }

    #[test]
    fn a_far_source_gets_all_lines_and_a_near_one_few() {
        let far = |lines: usize| 50e6 * lines as f64;
        let mut tuner = Tuner::new(16);
        assert_eq!(tuner.lines(), 2);
        assert_eq!(course(&mut tuner, 10, far), [2, 3, 3, 5, 5, 8, 8, 12, 12, 16]);
        let full_at_two = |lines: usize| 200e6 * lines.min(2) as f64;
        let mut tuner = Tuner::new(16);
        assert_eq!(course(&mut tuner, 6, full_at_two), [2, 3, 3, 2, 2, 2]);
        let overloaded = |lines: usize| if lines > 4 { 10e6 } else { 50e6 * lines as f64 };
        let mut tuner = Tuner::new(32);
        assert_eq!(course(&mut tuner, 7, overloaded), [2, 3, 3, 5, 5, 3, 3]);
        assert_eq!(Tuner::new(1).lines(), 1);
    }

    #[test]
    fn the_cap_holds_whatever_comes() {
        for most in 1..=8 {
            let mut tuner = Tuner::new(most);
            for step in 0..500_u32 {
                tuner.step(f64::from(step.wrapping_mul(2_654_435_761) % 1000));
                if step % 37 == 0 {
                    tuner.fault();
                }
                assert!((1..=most).contains(&tuner.lines()));
            }
        }
    }

    #[test]
    fn what_changes_is_noticed() {
        let mut tuner = Tuner::new(16);
        course(&mut tuner, 6, |lines| 200e6 * lines.min(2) as f64);
        assert_eq!(tuner.lines(), 2);
        let after = course(&mut tuner, 60, |lines| 20e6 * lines as f64);
        assert_eq!(after.last(), Some(&16), "{after:?}");
        tuner.fault();
        assert_eq!(tuner.lines(), 8);
    }
}
