//! Random numbers that depend on a key and a counter alone: the same on every thread, in every order of work.

use std::sync::OnceLock;

/// The golden ratio in 64 bits: steps of the counter.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of random numbers (splitmix64: a bijection of key + counter).
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Random {
    /// Returns the stream that belongs to these words.
    pub(crate) fn of(words: &[u64]) -> Self {
        let state = words
            .iter()
            .fold(0, |key: u64, word| mix(key.rotate_left(17) ^ mix(word.wrapping_add(STEP))));
        Self { state }
    }

    /// Returns the next 64 bits.
    #[inline(always)]
    pub(crate) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        mix(self.state)
    }

    /// Returns a number uniform in [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// Returns a number uniform between two bounds.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Returns a whole number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.bits()) * end as u128) >> 64) as usize
    }

    /// Returns a normal number with mean 0 and standard deviation 1.
    pub(crate) fn normal(&mut self) -> f64 {
        f64::from(Normal::table().of_bits(self.bits() as u32))
    }
}

/// Cells of the table: 12 bits choose the cell, 20 bits the place in it.
const CELLS: usize = 4096;

/// The inverse of the normal distribution, in straight pieces; it ends at 4 standard deviations.
pub(crate) struct Normal {
    knots: [f32; CELLS + 1],
}

impl Normal {
    /// Returns the only table.
    pub(crate) fn table() -> &'static Self {
        static TABLE: OnceLock<Normal> = OnceLock::new();
        TABLE.get_or_init(|| {
            let mut knots = [0.0; CELLS + 1];
            for (k, knot) in knots.iter_mut().enumerate() {
                let p = (k as f64 / CELLS as f64).clamp(3.2e-5, 1.0 - 3.2e-5);
                *knot = inverse_normal(p) as f32;
            }
            Self { knots }
        })
    }

    /// Returns a normal number with mean 0 and standard deviation 1, from 32 uniform bits.
    #[inline(always)]
    pub(crate) fn of_bits(&self, bits: u32) -> f32 {
        let cell = (bits >> 20) as usize;
        let part = (bits & 0xf_ffff) as f32 * (1.0 / 1_048_576.0);
        let (low, high) = (self.knots[cell], self.knots[cell + 1]);
        low + (high - low) * part
    }
}

/// Returns the inverse of the normal distribution function: rational approximation of P. J. Acklam (2003), to 1e-9.
fn inverse_normal(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 6] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 5] = [
        7.784_695_709_041_462e-3,
        3.224_671_290_700_398e-1,
        2.445_134_137_142_996,
        3.754_408_661_907_416,
        1.0,
    ];
    let polynomial = |c: &[f64], x: f64| c.iter().fold(0.0, |sum, c| sum * x + c);
    let tail = |p: f64| {
        let q = (-2.0 * p.ln()).sqrt();
        polynomial(&C, q) / polynomial(&D, q)
    };
    if p < 0.024_25 {
        tail(p)
    } else if p > 1.0 - 0.024_25 {
        -tail(1.0 - p)
    } else {
        let q = p - 0.5;
        q * polynomial(&A, q * q) / polynomial(&B, q * q)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_numbers_are_normal() {
        let mut random = Random::of(&[7, 11]);
        let n = 400_000;
        let (mut sum, mut squares, mut beyond) = (0.0, 0.0, 0);
        for _ in 0..n {
            let x = random.normal();
            sum += x;
            squares += x * x;
            beyond += usize::from(x.abs() > 1.959_964);
        }
        let n = f64::from(n);
        assert!((sum / n).abs() < 0.006, "mean {}", sum / n);
        assert!((squares / n - 1.0).abs() < 0.01, "variance {}", squares / n);
        assert!((beyond as f64 / n - 0.05).abs() < 0.002, "tails {}", beyond as f64 / n);
    }

    #[test]
    fn streams_differ_by_their_names() {
        let first = |words: &[u64]| Random::of(words).bits();
        assert_eq!(first(&[1, 2]), first(&[1, 2]));
        let all = [first(&[1, 2]), first(&[2, 1]), first(&[1]), first(&[1, 2, 0]), first(&[])];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b));
        }
    }
}
