//! Quantised floats: value = (integer - random + 0.5) x ZSCALE + ZZERO (FITS 4.0, section 10.2).
//!
//! The random numbers that were added before rounding are subtracted again. They are one sequence of 10 000 numbers that the
//! standard prescribes (its appendix I), started at a place that depends on the number of the tile and ZDITHER0.

use std::sync::LazyLock;

/// Length of the sequence.
const RANDOM_COUNT: usize = 10_000;

/// The sequence: x(n+1) = 16807 x(n) mod (2^31 - 1), divided by the modulus.
static RANDOM: LazyLock<Box<[f32; RANDOM_COUNT]>> = LazyLock::new(|| {
    const MODULUS: u64 = 0x7fff_ffff;
    let mut values = Box::new([0.0; RANDOM_COUNT]);
    let mut seed = 1u64;
    for value in values.iter_mut() {
        seed = 16_807 * seed % MODULUS;
        *value = (seed as f64 / MODULUS as f64) as f32;
    }
    values
});

/// The integer that stands for exactly 0.0 in SUBTRACTIVE_DITHER_2.
const ZERO_VALUE: i64 = -2_147_483_646;

/// ZQUANTIZ of floats that were quantised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dither {
    /// NO_DITHER, or files older than the keyword.
    None,
    /// SUBTRACTIVE_DITHER_1.
    Subtractive,
    /// SUBTRACTIVE_DITHER_2: zeros stay zeros.
    SubtractiveZeros,
}

/// The quantisation of the floats of one tile to integers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantization {
    /// ZQUANTIZ.
    pub dither: Dither,
    /// Start of the tile in the sequence: its number, from 0, plus ZDITHER0, minus 1.
    pub start: u64,
    /// ZSCALE.
    pub scale: f64,
    /// ZZERO.
    pub zero: f64,
    /// ZBLANK: the integer that stands for NaN.
    pub blank: Option<i64>,
}

/// A float that quantised integers become.
pub trait Float: Copy {
    /// Rounds to this type.
    fn from_f64(value: f64) -> Self;
}

impl Float for f32 {
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value as f32
    }
}

impl Float for f64 {
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value
    }
}

/// An integer that floats were quantised to.
pub trait Quantum: Copy + PartialEq + TryFrom<i64> {
    /// Converts without loss.
    fn to_f64(self) -> f64;
}

impl Quantum for u8 {
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}

impl Quantum for i16 {
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}

impl Quantum for i32 {
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}

/// A position in the random sequence of a tile.
#[derive(Clone, Copy, Debug)]
pub struct Randoms {
    seed: usize,
    next: usize,
}

impl Randoms {
    /// Starts at the beginning of a tile; see [`Quantization::start`].
    pub fn new(start: u64) -> Self {
        let seed = (start % RANDOM_COUNT as u64) as usize;
        Self { seed, next: first_of(seed) }
    }

    /// Returns the next numbers, at most `wanted` and at least one.
    fn take(&mut self, wanted: usize) -> &'static [f32] {
        if self.next == RANDOM_COUNT {
            self.seed = (self.seed + 1) % RANDOM_COUNT;
            self.next = first_of(self.seed);
        }
        let end = RANDOM_COUNT.min(self.next + wanted);
        let taken = &RANDOM[self.next..end];
        self.next = end;
        taken
    }
}

fn first_of(seed: usize) -> usize {
    (RANDOM[seed] * 500.0) as usize
}

impl Quantization {
    /// Turns integers into floats; `randoms` continues after the earlier rows of the tile.
    pub fn restore<Q: Quantum, F: Float>(
        &self,
        integers: &[Q],
        randoms: &mut Randoms,
        floats: &mut [F],
    ) {
        let Self { scale, zero, .. } = *self;
        if self.dither == Dither::None {
            for (float, &integer) in floats.iter_mut().zip(integers) {
                *float = F::from_f64(integer.to_f64() * scale + zero);
            }
        } else {
            self.restore_dithered(integers, randoms, floats);
        }
        if self.dither == Dither::SubtractiveZeros {
            replace(integers, ZERO_VALUE, floats, F::from_f64(0.0));
        }
        if let Some(blank) = self.blank {
            replace(integers, blank, floats, F::from_f64(f64::NAN));
        }
    }

    fn restore_dithered<Q: Quantum, F: Float>(
        &self,
        integers: &[Q],
        randoms: &mut Randoms,
        floats: &mut [F],
    ) {
        let Self { scale, zero, .. } = *self;
        let mut done = 0;
        while done < integers.len() {
            let randoms = randoms.take(integers.len() - done);
            let end = done + randoms.len();
            let pairs = integers[done..end].iter().zip(randoms);
            for (float, (&integer, &random)) in floats[done..end].iter_mut().zip(pairs) {
                // Another order of operations changes the last bit against cfitsio's.
                *float = F::from_f64((integer.to_f64() - f64::from(random) + 0.5) * scale + zero);
            }
            done = end;
        }
    }
}

/// Overwrites the floats whose integer is `special`.
fn replace<Q: Quantum, F: Float>(integers: &[Q], special: i64, floats: &mut [F], by: F) {
    let Ok(special) = Q::try_from(special) else { return };
    // Most rows have none, and the search for one vectorises.
    if integers.iter().fold(false, |found, &integer| found | (integer == special)) {
        for (float, &integer) in floats.iter_mut().zip(integers) {
            if integer == special {
                *float = by;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_standard_one() {
        // The standard states the last seed to check an implementation by.
        let last = 1_043_618_065.0 / 2_147_483_647.0;
        assert_eq!(RANDOM[RANDOM_COUNT - 1], last as f32);
        assert_eq!(RANDOM[0], (16_807.0 / 2_147_483_647.0) as f32);
    }

    #[test]
    fn rows_of_a_tile_share_one_walk() {
        let quantization = Quantization {
            dither: Dither::SubtractiveZeros,
            start: 9_999,
            scale: 0.5,
            zero: 7.0,
            blank: Some(-1),
        };
        let integers: Vec<i32> =
            (0..30_000).map(|n| [n, -1, ZERO_VALUE as i32][n as usize % 3]).collect();
        let mut whole = vec![0f32; integers.len()];
        quantization.restore(&integers, &mut Randoms::new(9_999), &mut whole);
        let mut parts = vec![0f32; integers.len()];
        let mut randoms = Randoms::new(9_999);
        for (integers, floats) in integers.chunks(7).zip(parts.chunks_mut(7)) {
            quantization.restore(integers, &mut randoms, floats);
        }
        assert!(whole.iter().zip(&parts).all(|(a, b)| a.to_bits() == b.to_bits()));
        assert!(whole[1].is_nan());
        assert_eq!(whole[2], 0.0);
        let first = (0.0 - f64::from(RANDOM[first_of(9_999)]) + 0.5) * 0.5 + 7.0;
        assert_eq!(whole[0], first as f32);
    }
}
