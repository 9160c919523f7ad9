//! The sky of a frame: its level and scatter, whatever objects are in the image.

/// Values of a sample; more add nothing to a preview.
const SAMPLE: usize = 30_000;
/// Largest usable value. A larger one stands for "no value" in files that have no NaN, unless all values of an image are so
/// large.
pub const MAX_PIXEL_VALUE: f32 = 1e30;

/// Values of a reduced image in ascending order: enough of them to represent their distribution.
#[derive(Clone, Debug)]
pub struct Sample {
    sorted: Vec<f32>,
}

/// Sky of a reduced image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sky {
    /// The level, in physical units.
    pub level: f32,
    /// Scatter of the reduced pixels around it, measured on the faint side, where no star is; 0 when all of them
    /// have one value.
    pub sigma: f32,
}

impl Sample {
    /// Samples the values under [`MAX_PIXEL_VALUE`]. `None` when there are none.
    ///
    /// A plateau of exact zeros, as stacks and confidence maps have outside their coverage, is omitted.
    pub fn of(values: &[f32]) -> Option<Self> {
        // One value of each chunk, at a varying place: equal steps would follow the lines of a regular pattern.
        let mut keys = keys_of(values.chunks((values.len() / SAMPLE).max(1)).zip(0..).map(pick));
        if keys.is_empty() {
            // A few valid pixels may lie between those that were picked.
            keys = keys_of(values.iter());
            keys.truncate(SAMPLE);
        }
        drop_plateau(&mut keys);
        keys.sort_unstable();
        let sorted: Vec<f32> =
            keys.into_iter().map(|key| f32::from_bits(ordered(key).cast_unsigned())).collect();
        (!sorted.is_empty()).then_some(Self { sorted })
    }

    /// Returns about `count` of the values at most, evenly spaced.
    pub(super) fn thinned(&self, count: usize) -> Vec<f64> {
        let stride = (self.sorted.len() / count).max(1);
        self.sorted.iter().step_by(stride).map(|v| f64::from(*v)).collect()
    }

    /// Returns the value that this share of them (0 to 1) does not exceed.
    pub fn at(&self, share: f64) -> f32 {
        at(&self.sorted, share)
    }

    /// Measures the sky.
    ///
    /// The median is clipped on the bright side at 3 sigma and on the faint side at 5 until it converges; in a crowded field,
    /// where the clipped mean stays above the median, the mode (2.5 median - 1.5 mean) is taken.
    pub fn sky(&self) -> Sky {
        let sorted = &self.sorted;
        let (mut low, mut high) = (0, sorted.len());
        for _ in 0..12 {
            let (median, sigma) = centre(&sorted[low..high]);
            let next_low = sorted.partition_point(|v| *v < median - 5.0 * sigma);
            let next_high = sorted.partition_point(|v| *v <= median + 3.0 * sigma);
            if (next_low, next_high) == (low, high) || next_high <= next_low {
                break;
            }
            (low, high) = (next_low, next_high);
        }
        let kept = &sorted[low..high];
        let (median, sigma) = centre(kept);
        let mean = mean(kept);
        let mode = 2.5 * median - 1.5 * mean;
        let crowded = mean - median > 0.15 * sigma;
        let level = if crowded { mode.clamp(median - sigma, median) } else { median };
        // The rounding errors of one value are not scatter.
        let noise_floor = 4.0 * f32::EPSILON * level.abs();
        Sky { level, sigma: if sigma > noise_floor { sigma } else { 0.0 } }
    }

    /// Returns the distance from `level`, in the median, of those values that differ from it: a scale for pictures of few
    /// values. `None` when all are the same.
    pub fn deviation(&self, level: f32) -> Option<f32> {
        let floor = 4.0 * f32::EPSILON * level.abs();
        let mut apart: Vec<f32> =
            self.sorted.iter().map(|v| (v - level).abs()).filter(|d| *d > floor).collect();
        apart.sort_unstable_by(f32::total_cmp);
        (!apart.is_empty()).then(|| at(&apart, 0.5))
    }
}

/// Picks one of a few values; its position depends on their number.
fn pick((few, number): (&[f32], u32)) -> &f32 {
    let scattered = number.wrapping_mul(0x9e37_79b9).rotate_left(16);
    &few[scattered as usize % few.len()]
}

/// Returns the usable values as integers of the same order, which sort several times as fast.
fn keys_of<'v>(values: impl Iterator<Item = &'v f32>) -> Vec<i32> {
    let usable = values.filter(|v| v.abs() < MAX_PIXEL_VALUE);
    // Adding 0 makes a zero of a negative zero.
    usable.map(|v| ordered((v + 0.0).to_bits().cast_signed())).collect()
}

/// Converts the bits of a number to an integer of the same order, and back.
fn ordered(bits: i32) -> i32 {
    bits ^ (((bits >> 31).cast_unsigned()) >> 1).cast_signed()
}

/// Removes the zeros (of which -0 is one), when there are many zeros and other values too.
fn drop_plateau(keys: &mut Vec<i32>) {
    let zeros = keys.iter().filter(|v| **v == 0).count();
    if zeros * 50 > keys.len() && !is_image_of_zeros(zeros as u64, keys.len() as u64) {
        keys.retain(|v| *v != 0);
    }
}

/// Returns true when the share of zeros is so large that they are the image, not a plateau outside of it.
pub(super) fn is_image_of_zeros(zeros: u64, all: u64) -> bool {
    zeros * 20 >= all * 19
}

/// Returns the median, and the distance from it down to the 15.87th percentile, of ascending values.
fn centre(sorted: &[f32]) -> (f32, f32) {
    let median = at(sorted, 0.5);
    let faint = median - at(sorted, 0.1587);
    let bright = at(sorted, 0.8413) - median;
    (median, if faint > 0.0 { faint } else { bright.max(0.0) })
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a position in a small sample"
)]
fn at(sorted: &[f32], share: f64) -> f32 {
    sorted[((sorted.len() - 1) as f64 * share.clamp(0.0, 1.0)).round() as usize]
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "for display")]
fn mean(values: &[f32]) -> f32 {
    (values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len().max(1) as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns deterministic noise with unit sigma: the sum of twelve uniform numbers, less six.
    fn noise(seed: &mut u64) -> f32 {
        let mut uniform = || {
            *seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (*seed >> 40) as f32 / (1_u64 << 24) as f32
        };
        (0..12).map(|_| uniform()).sum::<f32>() - 6.0
    }

    #[test]
    fn sky_is_found_under_stars_holes_and_plateaus() {
        let mut seed = 7;
        let plain: Vec<f32> = (0..100_000).map(|_| 900.0 + 5.0 * noise(&mut seed)).collect();
        let spoil = |every: usize, value: f32| {
            let mut values = plain.clone();
            values.iter_mut().step_by(every).for_each(|v| *v = value);
            values
        };
        let cases = [
            ("plain", plain.clone()),
            ("stars on a tenth", spoil(10, 30_000.0)),
            ("NaN on half", spoil(2, f32::NAN)),
            ("zero confidence on a third", spoil(3, 0.0)),
            ("negative zeros on a third", spoil(3, -0.0)),
            ("dead pixels", spoil(40, -5000.0)),
        ];
        for (what, values) in cases {
            let sky = Sample::of(&values).unwrap().sky();
            assert!((sky.level - 900.0).abs() < 1.5, "{what}: {sky:?}");
            assert!((sky.sigma - 5.0).abs() < 1.0, "{what}: {sky:?}");
        }
    }

    #[test]
    fn nothing_and_constants() {
        assert!(Sample::of(&[f32::NAN; 9]).is_none());
        assert!(Sample::of(&[]).is_none());
        for level in [3.0, 0.0, -0.1] {
            let sample = Sample::of(&[level; 100]).unwrap();
            assert_eq!(sample.sky(), Sky { level, sigma: 0.0 });
            assert_eq!(sample.deviation(level), None);
        }
    }

    #[test]
    fn one_valid_pixel_is_found() {
        let mut values = vec![f32::NAN; 200_000];
        values[123_457] = 7.0;
        assert_eq!(Sample::of(&values).unwrap().sky().level, 7.0);
    }

    #[test]
    fn samples_ascend_through_negative_values() {
        let sample = Sample::of(&[1.5, -2.0, f32::INFINITY, -1e29, 7.0, -0.5]).unwrap();
        assert_eq!(sample.sorted, [-1e29, -2.0, -0.5, 1.5, 7.0]);
        assert_eq!((sample.at(0.0), sample.at(0.5), sample.at(2.0)), (-1e29, -0.5, 7.0));
    }

    #[test]
    fn few_values_have_a_scale() {
        let mut values = vec![0.0; 98];
        values.extend([4.0, -8.0]);
        let sample = Sample::of(&values).unwrap();
        assert_eq!(sample.sky(), Sky { level: 0.0, sigma: 0.0 });
        assert_eq!(sample.deviation(0.0), Some(8.0));
    }
}
