//! The unit in which an image is reduced: 1, except for images whose values single precision cannot hold or distinguish.

use super::level::{MAX_PIXEL_VALUE, is_image_of_zeros};
use super::reduce::Reduced;

/// Values that programs write for "no value" if they have no NaN.
const FILLERS: [f64; 4] = [1e30, MAX_PIXEL_VALUE as f64, f32::MAX as f64, f64::MAX];
/// Size below which values vanish against the smallest scatter of a stretch.
const SMALL: f32 = 1e-25;
/// Size above which values are close to [`MAX_PIXEL_VALUE`].
const LARGE: f32 = 1e27;

/// Returns true when an image, reduced in the unit 1, may have values other than those that were kept: none has a value, all
/// are very small, or most are very large.
pub(super) fn may_differ(reduced: &Reduced) -> bool {
    let (mut known, mut large, mut peak) = (0_usize, 0_usize, 0.0_f32);
    for size in reduced.values.iter().map(|v| v.abs()).filter(|v| !v.is_nan()) {
        known += 1;
        large += usize::from(size > LARGE);
        peak = peak.max(size);
    }
    peak < SMALL || 2 * large > known
}

/// Counts of an image's values by size, in powers of two.
#[derive(Debug)]
pub(super) struct Sizes {
    counts: Vec<u64>,
    zeros: u64,
}

/// Exponents of double precision.
const EXPONENTS: usize = 2048;

impl Sizes {
    pub(super) fn new() -> Self {
        Self { counts: vec![0; EXPONENTS], zeros: 0 }
    }

    /// Counts a physical value. A value that stands for "no value" is ignored.
    pub(super) fn add(&mut self, value: f64) {
        if value == 0.0 {
            self.zeros += 1;
        } else if is_value(value) {
            self.counts[exponent(value)] += 1;
        }
    }

    /// Returns the power of two below the median size of all values but zeros, which stacks have outside their coverage. `None`
    /// without such values, or it needs no unit: large values in an image of zeros are defects.
    pub(super) fn unit(&self) -> Option<f64> {
        let total: u64 = self.counts.iter().sum();
        let mut below = 0;
        let median = self.counts.iter().position(|count| {
            below += count;
            2 * below > total
        })?;
        let unit = f64::from_bits((median.max(1) as u64) << 52);
        let is_usual = (f64::from(SMALL)..f64::from(LARGE)).contains(&unit);
        let is_defect =
            unit >= f64::from(LARGE) && is_image_of_zeros(self.zeros, self.zeros + total);
        (!is_usual && !is_defect).then_some(unit)
    }
}

/// Returns true for a number that is a value and not a filler.
pub(super) fn is_value(value: f64) -> bool {
    value.is_finite() && !FILLERS.contains(&value.abs())
}

fn exponent(value: f64) -> usize {
    (value.to_bits() >> 52) as usize % EXPONENTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        let unit = |values: &[f64]| {
            let mut sizes = Sizes::new();
            values.iter().for_each(|value| sizes.add(*value));
            sizes.unit()
        };
        assert_eq!(unit(&[]), None);
        assert_eq!(unit(&[0.0, f64::NAN, 1e30, f64::from(1e30_f32), f64::from(f32::MAX)]), None);
        assert_eq!(unit(&[900.0, -900.0, 1e33]), None);
        assert_eq!(unit(&[1e33, -1.1e33, 1e300]), Some(2.0_f64.powi(109)));
        assert_eq!(unit(&[3e-40]), Some(2.0_f64.powi(-132)));
        assert_eq!(unit(&[5e-324]), Some(f64::MIN_POSITIVE));
        // A plateau of zeros, and an image of zeros with a defect or with small values.
        let with_zeros = |value: f64, zeros: usize| {
            let mut values = vec![0.0; zeros];
            values.push(value);
            unit(&values)
        };
        assert_eq!(with_zeros(1e31, 18), Some(2.0_f64.powi(102)));
        assert_eq!(with_zeros(1e31, 19), None);
        assert_eq!(with_zeros(-1e300, 1000), None);
        assert_eq!(with_zeros(3e-40, 1000), Some(2.0_f64.powi(-132)));
    }
}
