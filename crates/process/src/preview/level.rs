//! The sky of a frame: its level and scatter, whatever else is in the picture.

/// Values looked at; more add nothing to a preview.
const SAMPLE: usize = 60_000;

/// Sky of a reduced image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sky {
    /// The level, in physical units.
    pub level: f32,
    /// Scatter of the reduced pixels around it, measured on the faint side, where no star is.
    pub sigma: f32,
    /// Only one value occurs: a constant frame.
    pub constant: bool,
}

/// Sky of the finite values. `None` when there are none.
///
/// The median is clipped on the bright side at 3 sigma and on the faint side at 5 until it rests; in a crowded
/// field, where the clipped mean stays above the median, the mode (2.5 median - 1.5 mean) is taken.
/// A plateau of exact zeros, as stacks and confidence maps have outside their coverage, is no sky.
pub fn measure(values: &[f32]) -> Option<Sky> {
    let mut sample = sample(values);
    if sample.is_empty() {
        return None;
    }
    drop_plateau(&mut sample);
    sample.sort_unstable_by(f32::total_cmp);
    let (mut low, mut high) = (0, sample.len());
    for _ in 0..12 {
        let (median, sigma) = centre(&sample[low..high]);
        let next_low = sample.partition_point(|v| *v < median - 5.0 * sigma);
        let next_high = sample.partition_point(|v| *v <= median + 3.0 * sigma);
        if (next_low, next_high) == (low, high) || next_high <= next_low {
            break;
        }
        (low, high) = (next_low, next_high);
    }
    let kept = &sample[low..high];
    let (median, sigma) = centre(kept);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "a mean for display"
    )]
    let mean = (kept.iter().map(|v| f64::from(*v)).sum::<f64>() / kept.len() as f64) as f32;
    let mode = 2.5 * median - 1.5 * mean;
    let crowded = mean - median > 0.15 * sigma;
    let level = if crowded { mode.clamp(median - sigma, median) } else { median };
    Some(Sky { level, sigma, constant: sample.first() == sample.last() })
}

fn sample(values: &[f32]) -> Vec<f32> {
    let stride = (values.len() / SAMPLE).max(1);
    // A stride that shares no factor with usual widths does not walk down single columns.
    let stride = if stride > 1 { stride | 1 } else { 1 };
    values.iter().step_by(stride).copied().filter(|v| v.is_finite()).collect()
}

fn drop_plateau(sample: &mut Vec<f32>) {
    let zeros = sample.iter().filter(|v| **v == 0.0).count();
    if zeros * 50 > sample.len() && zeros * 20 < sample.len() * 19 {
        sample.retain(|v| *v != 0.0);
    }
}

/// Median, and the distance from it down to the 15.87th percentile, of ascending values.
fn centre(sorted: &[f32]) -> (f32, f32) {
    let at = |share: f64| {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a position in a small sample"
        )]
        let position = ((sorted.len() - 1) as f64 * share).round() as usize;
        sorted[position]
    };
    let median = at(0.5);
    let faint = median - at(0.1587);
    let bright = at(0.8413) - median;
    (median, if faint > 0.0 { faint } else { bright.max(0.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Deterministic noise with unit sigma: the sum of twelve uniform numbers, less six.
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
            ("dead pixels", spoil(40, -5000.0)),
        ];
        for (what, values) in cases {
            let sky = measure(&values).unwrap();
            assert!((sky.level - 900.0).abs() < 1.5, "{what}: {sky:?}");
            assert!((sky.sigma - 5.0).abs() < 1.0, "{what}: {sky:?}");
        }
    }

    #[test]
    fn nothing_and_constants() {
        assert_eq!(measure(&[f32::NAN; 9]), None);
        let flat = measure(&[3.0; 100]).unwrap();
        assert_eq!((flat.level, flat.sigma, flat.constant), (3.0, 0.0, true));
        assert_eq!(measure(&[0.0; 100]).unwrap().level, 0.0);
    }
}
