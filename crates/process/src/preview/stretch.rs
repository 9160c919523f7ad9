//! From physical values to grey: black and white points, and the curve between them.

use super::level::Sky;

/// How values become grey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Curve {
    /// Inverse hyperbolic sine: linear around the sky, logarithmic for stars.
    Asinh,
    /// Linear between the limits of the IRAF zscale algorithm.
    Zscale,
    /// Linear between black and white.
    Linear,
}

impl Curve {
    /// The name in profiles and in the `preview` table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Asinh => "asinh",
            Self::Zscale => "zscale",
            Self::Linear => "linear",
        }
    }

    /// The curve of a name.
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Asinh, Self::Zscale, Self::Linear].into_iter().find(|c| c.name() == name)
    }
}

/// A fitted stretch: `black` shows as 0, `white` as 255.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stretch {
    /// The curve.
    pub curve: Curve,
    /// Physical value shown as black.
    pub black: f32,
    /// Physical value shown as white.
    pub white: f32,
    /// Softening of the asinh curve, in physical units.
    pub softening: f32,
}

/// Where the sky shall lie between black and white.
const SKY_GREY: f64 = 0.25;
/// Black lies this many sigma under the sky.
const BLACK_SIGMAS: f32 = 4.0;
/// White lies at least, and at most, this many sigma above the sky.
const WHITE_SIGMAS: (f32, f32) = (12.0, 3000.0);

impl Stretch {
    /// Fits a stretch to an image with a measured sky.
    pub fn fit(curve: Curve, values: &[f32], sky: Sky) -> Self {
        let sigma = if sky.sigma > 0.0 { sky.sigma } else { constant_sigma(sky.level) };
        let black = sky.level - BLACK_SIGMAS * sigma;
        let bright = percentile(values, 0.9995).unwrap_or(sky.level);
        let white =
            bright.clamp(sky.level + WHITE_SIGMAS.0 * sigma, sky.level + WHITE_SIGMAS.1 * sigma);
        match curve {
            Curve::Asinh => {
                let softening = soften(f64::from(sky.level - black), f64::from(white - black));
                Self { curve, black, white, softening }
            }
            Curve::Linear => {
                let white = black + (sky.level - black) / SKY_GREY as f32;
                Self { curve, black, white, softening: 0.0 }
            }
            Curve::Zscale => {
                let (low, high) = zscale(values).unwrap_or((black, white));
                Self { curve, black: low, white: high, softening: 0.0 }
            }
        }
    }

    /// Grey of one value, 0 to 1, clipped; 0 for NaN.
    pub fn grey(&self, value: f32) -> f64 {
        let range = f64::from(self.white) - f64::from(self.black);
        let above = f64::from(value) - f64::from(self.black);
        let share = match self.curve {
            Curve::Asinh => {
                let softening = f64::from(self.softening);
                (above / softening).asinh() / (range / softening).asinh()
            }
            Curve::Zscale | Curve::Linear => above / range,
        };
        if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
    }

    /// 8-bit grey of every value. A table over black..white stands in for the curve.
    pub fn apply(&self, values: &[f32]) -> Vec<u8> {
        const STEPS: usize = 1 << 15;
        let range = self.white - self.black;
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 255"
        )]
        let table: Vec<u8> = (0..=STEPS)
            .map(|i| {
                (255.0 * self.grey(self.black + range * (i as f32 / STEPS as f32))).round() as u8
            })
            .collect();
        #[expect(clippy::cast_precision_loss, reason = "a power of two")]
        let per_unit = STEPS as f32 / range;
        values
            .iter()
            .map(|v| {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "the cast saturates, NaN gives 0"
                )]
                let step = ((v - self.black) * per_unit) as usize;
                table[step.min(STEPS)]
            })
            .collect()
    }
}

/// A scatter to show a constant frame with: its value lies at the sky's grey.
fn constant_sigma(level: f32) -> f32 {
    (level.abs() * 1e-3).max(1e-6)
}

/// The softening that puts the sky, `sky` above black, at its grey when white is `range` above black.
fn soften(sky: f64, range: f64) -> f32 {
    let grey = |log: f64| {
        let softening = log.exp();
        (sky / softening).asinh() / (range / softening).asinh()
    };
    // The share falls from 1 (no softening) to sky / range (all of it), which is under the sky's grey.
    let (mut low, mut high) = ((range * 1e-9).ln(), (range * 1e3).ln());
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if grey(middle) > SKY_GREY { low = middle } else { high = middle }
    }
    #[expect(clippy::cast_possible_truncation, reason = "display")]
    let softening = (0.5 * (low + high)).exp() as f32;
    softening
}

fn percentile(values: &[f32], share: f64) -> Option<f32> {
    let stride = (values.len() / 250_000).max(1);
    let mut finite: Vec<f32> =
        values.iter().step_by(stride).copied().filter(|v| v.is_finite()).collect();
    if finite.is_empty() {
        return None;
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a position in a sample"
    )]
    let position = ((finite.len() - 1) as f64 * share) as usize;
    Some(*finite.select_nth_unstable_by(position, f32::total_cmp).1)
}

/// Limits of the IRAF zscale algorithm: a line through the sorted sample, outliers rejected, its slope divided
/// by the contrast (0.25). `None` for fewer than ten values.
fn zscale(values: &[f32]) -> Option<(f32, f32)> {
    const CONTRAST: f64 = 0.25;
    let stride = (values.len() / 2000).max(1);
    let mut sample: Vec<f64> =
        values.iter().step_by(stride).filter(|v| v.is_finite()).map(|v| f64::from(*v)).collect();
    if sample.len() < 10 {
        return None;
    }
    sample.sort_unstable_by(f64::total_cmp);
    #[expect(clippy::cast_precision_loss, reason = "at most a few thousand")]
    let position = |i: usize| i as f64;
    let middle = position(sample.len() - 1) / 2.0;
    let mut kept = vec![true; sample.len()];
    let mut slope = 0.0;
    for _ in 0..5 {
        let points = || sample.iter().enumerate().filter(|(i, _)| kept[*i]);
        let n = position(points().count());
        if n < position(sample.len()) / 2.0 {
            break;
        }
        let mean_x = points().map(|(i, _)| position(i) - middle).sum::<f64>() / n;
        let mut level = points().map(|(_, v)| v).sum::<f64>() / n;
        let xx = points().map(|(i, _)| (position(i) - middle - mean_x).powi(2)).sum::<f64>();
        slope = points().map(|(i, v)| (position(i) - middle - mean_x) * (v - level)).sum::<f64>()
            / xx.max(1e-30);
        level -= slope * mean_x;
        let residual = |i: usize, v: f64| v - level - slope * (position(i) - middle);
        let sigma = (points().map(|(i, v)| residual(i, *v).powi(2)).sum::<f64>() / n).sqrt();
        kept =
            sample.iter().enumerate().map(|(i, v)| residual(i, *v).abs() <= 2.5 * sigma).collect();
    }
    let median = sample[sample.len() / 2];
    let half = middle * slope / CONTRAST;
    let low = (median - half).max(sample[0]);
    let high = (median + half).min(sample[sample.len() - 1]);
    #[expect(clippy::cast_possible_truncation, reason = "display")]
    (high > low).then_some((low as f32, high as f32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sky_lies_at_a_quarter_whatever_the_range() {
        for (level, sigma, star) in
            [(900.0, 3.0, 60_000.0), (0.0, 1.0, 5.0), (-50.0, 0.1, 1e9), (1.0, 0.01, 1.02)]
        {
            let mut values = vec![level; 10_000];
            values.iter_mut().step_by(1000).for_each(|v| *v = star);
            let sky = Sky { level, sigma, constant: false };
            let stretch = Stretch::fit(Curve::Asinh, &values, sky);
            let grey = stretch.grey(level);
            assert!((grey - 0.25).abs() < 0.01, "{level} {sigma} {star}: {grey}");
            let table = stretch.apply(&[level, f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
            assert!((f64::from(table[0]) / 255.0 - grey).abs() < 0.02, "{table:?}");
            assert_eq!(&table[1..], [0, 255, 0]);
        }
    }

    #[test]
    fn constant_frames_are_grey() {
        for level in [0.0, 1.0, -7.0, 1e6] {
            let sky = Sky { level, sigma: 0.0, constant: true };
            let grey = Stretch::fit(Curve::Asinh, &[level; 64], sky).grey(level);
            assert!((0.15..0.35).contains(&grey), "{level}: {grey}");
        }
    }

    #[test]
    fn zscale_of_a_ramp_is_its_range() {
        let ramp: Vec<f32> = (0..1000).map(|i| i as f32).collect();
        assert_eq!(zscale(&ramp), Some((0.0, 999.0)));
    }
}
