//! Costs of tasks, learned from results.
//!
//! Work is measured in bytes of input, which are known before a file is opened: pixels decoded, headers and rows read are in
//! proportion to them within a use case and survey (`status` reports rows per second, too). Per use case there is a rate at speed
//! 1, and per host a speed; both start from a default that counts as a few results, so that one unusual result does not change
//! the whole plan.

use super::Seconds;
use model::{HostName, UseCase};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Number of results for which the default counts.
const PRIOR: f64 = 3.0;
/// Number of latest results of a use case and host that are used; older ones are ignored.
pub const MAX_RESULTS: usize = 200;
/// Speeds stay within this factor of 1.
const MAX_SPEED_FACTOR: f64 = 10.0;
/// Seconds that a task takes in addition to its work: starting, reading the profile, syncing.
const START_SECONDS: Seconds = 0.3;

/// The measured cost of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Use case.
    pub use_case: UseCase,
    /// Host.
    pub host: HostName,
    /// Bytes read.
    pub input_bytes: u64,
    /// Bytes written.
    pub output_bytes: u64,
    /// Wall-clock seconds.
    pub seconds: Seconds,
    /// Peak memory of the task's process, when it had one of its own.
    pub peak_memory_bytes: u64,
}

/// The costs of tasks, by use case and host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    learned: BTreeMap<UseCase, Learned>,
    speed: BTreeMap<HostName, Speeds>,
}

/// The costs of a use case after some results.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Learned {
    /// Bytes of input per second and core.
    rate: f64,
    /// Bytes written per byte of input.
    output: f64,
    /// Largest memory of a result, in bytes.
    memory: u64,
}

/// The speed of a host by use case: 1 = the speed in which tasks are measured, and the speed of use cases without results.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Speeds(BTreeMap<UseCase, f64>);

impl Speeds {
    /// Returns the speeds of a host that is as fast in every use case.
    pub fn uniform(speed: f64) -> Self {
        UseCase::ALL.iter().map(|use_case| (*use_case, speed)).collect()
    }

    /// Returns the speed in a use case.
    pub fn of(&self, use_case: UseCase) -> f64 {
        self.0.get(&use_case).copied().unwrap_or(1.0)
    }

    /// Returns the greatest speed in some use cases.
    pub(super) fn max(&self, use_cases: &BTreeSet<UseCase>) -> f64 {
        use_cases.iter().map(|u| self.of(*u)).fold(0.0, f64::max)
    }

    /// Returns the sum of the speeds in some use cases.
    pub(super) fn sum(&self, use_cases: &BTreeSet<UseCase>) -> f64 {
        use_cases.iter().map(|u| self.of(*u)).sum()
    }
}

impl FromIterator<(UseCase, f64)> for Speeds {
    fn from_iter<I: IntoIterator<Item = (UseCase, f64)>>(speeds: I) -> Self {
        Self(speeds.into_iter().collect())
    }
}

impl Default for Costs {
    fn default() -> Self {
        Self::learn(&[])
    }
}

impl Costs {
    /// Learns costs from results, the latest last.
    pub fn learn(samples: &[Sample]) -> Self {
        let mut by_use_case: BTreeMap<UseCase, Vec<&Sample>> = BTreeMap::new();
        let mut counted: BTreeMap<(UseCase, &HostName), usize> = BTreeMap::new();
        for sample in samples.iter().rev() {
            let seen = counted.entry((sample.use_case, &sample.host)).or_default();
            *seen += 1;
            if *seen <= MAX_RESULTS && sample.seconds > 0.0 && sample.input_bytes > 0 {
                by_use_case.entry(sample.use_case).or_default().push(sample);
            }
        }
        let mut costs = Self { learned: BTreeMap::new(), speed: BTreeMap::new() };
        for (use_case, samples) in by_use_case {
            costs.learn_use_case(use_case, &samples);
        }
        costs
    }

    fn learn_use_case(&mut self, use_case: UseCase, samples: &[&Sample]) {
        let default = use_case.product().costs;
        let rate_of = |s: &Sample| s.input_bytes as f64 / (s.seconds - START_SECONDS).max(0.05);
        let mut by_host: BTreeMap<&HostName, Vec<f64>> = BTreeMap::new();
        for sample in samples {
            by_host.entry(&sample.host).or_default().push(rate_of(sample).ln());
        }
        // The median host is speed 1; each host counts once, however many results it has.
        let mut typical: Vec<f64> = Vec::new();
        for rates in by_host.values_mut() {
            rates.sort_by(f64::total_cmp);
            typical.push(rates[rates.len() / 2]);
        }
        typical.sort_by(f64::total_cmp);
        let count = samples.len() as f64;
        let middle = typical[typical.len() / 2];
        // The default loses weight with every result.
        let weight = count / (count + PRIOR);
        let rate = (weight * middle + (1.0 - weight) * default.bytes_per_second.ln()).exp();
        for (host, rates) in &by_host {
            let n = rates.len() as f64;
            let ratio = rates[rates.len() / 2] - middle;
            let speed =
                (n / (n + PRIOR) * ratio).exp().clamp(1.0 / MAX_SPEED_FACTOR, MAX_SPEED_FACTOR);
            self.speed.entry((*host).to_owned()).or_default().0.insert(use_case, speed);
        }
        let read: f64 = samples.iter().map(|s| s.input_bytes as f64).sum();
        let written: f64 = samples.iter().map(|s| s.output_bytes as f64).sum();
        let output = weight * written / read + (1.0 - weight) * default.output_per_byte;
        let memory = samples.iter().map(|s| s.peak_memory_bytes).max().unwrap_or(0);
        self.learned.insert(use_case, Learned { rate, output, memory });
    }

    fn of(&self, use_case: UseCase) -> Learned {
        let costs = use_case.product().costs;
        self.learned.get(&use_case).copied().unwrap_or(Learned {
            rate: costs.bytes_per_second,
            output: costs.output_per_byte,
            memory: 0,
        })
    }

    /// Returns the duration of a task with `input_bytes` at speed 1.
    pub fn seconds(&self, use_case: UseCase, input_bytes: u64) -> Seconds {
        START_SECONDS + input_bytes as f64 / self.of(use_case).rate
    }

    /// Returns the number of bytes that a task writes.
    pub fn output_bytes(&self, use_case: UseCase, input_bytes: u64) -> u64 {
        (input_bytes as f64 * self.of(use_case).output) as u64
    }

    /// Returns the largest memory that a result of the use case reported, in bytes; 0 when none did.
    pub fn peak_memory_bytes(&self, use_case: UseCase) -> u64 {
        self.of(use_case).memory
    }

    /// Returns the speeds of a host; 1 for an unknown host.
    pub fn speed(&self, host: &HostName) -> Speeds {
        self.speed.get(host).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(host: &str, seconds: f64) -> Sample {
        Sample {
            use_case: UseCase::Metadata,
            host: host.parse().unwrap(),
            input_bytes: 100_000_000,
            output_bytes: 2_000_000,
            seconds,
            peak_memory_bytes: 200_000_000,
        }
    }

    #[test]
    fn results_take_over_from_the_default() {
        let day_one = Costs::default();
        assert_eq!(day_one.speed(&"n1".parse().unwrap()).of(UseCase::Metadata), 1.0);
        assert!((day_one.seconds(UseCase::Metadata, 250_000_000) - 1.3).abs() < 1e-9);
        let samples: Vec<Sample> = (0..100)
            .flat_map(|_| [sample("fast", 2.3), sample("normal", 4.3), sample("slow", 8.3)])
            .collect();
        let costs = Costs::learn(&samples);
        let expected = costs.seconds(UseCase::Metadata, 100_000_000);
        assert!((expected - 4.3).abs() < 0.2, "{expected}");
        let of = |host: &str| costs.speed(&host.parse().unwrap());
        let speed = |host| of(host).of(UseCase::Metadata);
        assert!((speed("fast") - 2.0).abs() < 0.1, "{}", speed("fast"));
        assert!((speed("slow") - 0.5).abs() < 0.05, "{}", speed("slow"));
        assert_eq!(of("slow").of(UseCase::Preview), 1.0);
        assert_eq!(costs.peak_memory_bytes(UseCase::Metadata), 200_000_000);
    }

    #[test]
    fn one_unusual_result_changes_little_and_old_ones_are_forgotten() {
        let mut samples = vec![sample("n1", 4.3); 30];
        samples.push(sample("n1", 400.0));
        let costs = Costs::learn(&samples);
        assert!(costs.seconds(UseCase::Metadata, 100_000_000) < 5.0);
        samples.extend(vec![sample("n1", 1.3); MAX_RESULTS]);
        assert!(Costs::learn(&samples).seconds(UseCase::Metadata, 100_000_000) < 1.4);
    }
}
