//! From physical values to grey: black and white points, and the curve between them.

use super::level::{Sample, Sky};

/// The curve from values to grey.
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
    /// Returns the name in profiles and in the `preview` table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Asinh => "asinh",
            Self::Zscale => "zscale",
            Self::Linear => "linear",
        }
    }

    /// Returns the curve of a name.
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

/// The grey of the level of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tone {
    /// A quarter: of the sky, with most of the range for brighter values.
    #[default]
    Sky,
    /// The middle: of flats, confidence maps and other calibrations, which differ from their level both ways.
    Even,
}

impl Tone {
    /// Returns the place of the level between black and white.
    fn grey(self) -> f64 {
        match self {
            Self::Sky => 0.25,
            Self::Even => 0.5,
        }
    }

    /// Returns the level that gets the tone's grey, and the scatter around it.
    pub fn level(self, sample: &Sample) -> Sky {
        let sky = sample.sky();
        match self {
            Self::Sky => sky,
            Self::Even => Sky { level: sample.at(0.5), ..sky },
        }
    }
}

/// Minimum distance in sigma of black below the sky.
const BLACK_SIGMAS: f32 = 4.0;
/// Distance in sigma below the sky down to which faint areas are shown (where a stack covers less, in the shade of a guide
/// probe); fainter values are dead, and black is at most [`BLACK_SIGMAS_OVER_DEAD`] below the sky.
const FAINT_SIGMAS: f32 = 60.0;
/// Distance in sigma of black below the sky, when too many pixels for a share of [`BLACK`] are dead.
const BLACK_SIGMAS_OVER_DEAD: f32 = 12.0;
/// Calibrations show structure that counts as scatter: their black and white are this many times as far from the level as all
/// values but a share of [`STRUCTURE`] at each end, if that is less than [`BLACK_SIGMAS`].
const STRUCTURE_MARGIN: f32 = 1.25;
const STRUCTURE: f64 = 0.01;
/// Grey of an image of zeros alone; pixels without value are black.
const ZERO_GREY: f64 = 1.0 / 16.0;
/// Maximum number of sigma of white above the sky; white is at least three times as far above as black is below.
const WHITE_SIGMAS: f32 = 3000.0;
/// Shares of the values under black, tried in order: the first that excludes the dead ones counts.
const BLACK: [f64; 4] = [0.003, 0.006, 0.01, 0.02];
/// Share of the values above white.
const WHITE: f64 = 0.0005;

impl Stretch {
    /// Fits a stretch to an image with a measured level, which gets the same grey under every curve. An image of zeros alone is
    /// dark, so that a confidence map of zeros looks unlike any other constant one.
    pub fn fit(curve: Curve, tone: Tone, sample: &Sample, sky: Sky) -> Self {
        let sigma = if sky.sigma > 0.0 { sky.sigma } else { scale_of_few(sample, sky.level) };
        let sigma = sigma.max(1e-30);
        let below = depth(sample, sky.level, sigma, tone);
        let is_zero = sample.at(0.0) == 0.0 && sample.at(1.0) == 0.0;
        let grey = if is_zero { ZERO_GREY } else { tone.grey() };
        let least = below * (1.0 / grey - 1.0) as f32;
        let bright = match curve {
            Curve::Asinh => sample.at(1.0 - WHITE),
            Curve::Zscale => zscale(sample).map_or(sky.level, |(_, high)| high),
            Curve::Linear => sky.level,
        };
        let above = (bright - sky.level).clamp(least, WHITE_SIGMAS * sigma);
        match curve {
            Curve::Asinh => {
                let range = f64::from(below) + f64::from(above);
                let softening = soften(f64::from(below), range, grey);
                Self::between(curve, sky.level - below, sky.level + above, softening)
            }
            Curve::Linear | Curve::Zscale => {
                let black = sky.level - above * (least / below).recip();
                Self::between(curve, black, sky.level + above, 0.0)
            }
        }
    }

    fn between(curve: Curve, black: f32, white: f32, softening: f32) -> Self {
        Self { curve, black, white, softening }
    }

    /// Returns the grey of one value, 0 to 1, clipped; 0 for NaN.
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

    /// Returns the 8-bit grey of every value; 0 for NaN.
    pub fn apply(&self, values: &[f32]) -> Vec<u8> {
        // A table replaces the curve. Its steps are proportional to the height above black, where the curve is a logarithm:
        // they are the leading bits of a number that is 1 at black.
        const DROPPED_BITS: u32 = 13;
        let range = self.white - self.black;
        let per_unit = 1.0 / if self.softening > 0.0 { self.softening.min(range) } else { range };
        let step = |number: f32| (number.to_bits() - 1.0_f32.to_bits()) >> DROPPED_BITS;
        let top = 1.0 + range * per_unit;
        let number_of = |step: u32| {
            f32::from_bits((step << DROPPED_BITS) + (1 << (DROPPED_BITS - 1)) + 1.0_f32.to_bits())
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
        let table: Vec<u8> = (0..=step(top))
            .map(|step| self.black + (number_of(step) - 1.0) / per_unit)
            .map(|value| (255.0 * self.grey(value)).round() as u8)
            .collect();
        // The maximum turns NaN into 1.
        let number = |v: f32| ((v - self.black) * per_unit + 1.0).max(1.0).min(top);
        values.iter().map(|v| table[step(number(*v)) as usize]).collect()
    }
}

/// Returns the distance of black below the level.
fn depth(sample: &Sample, level: f32, sigma: f32, tone: Tone) -> f32 {
    let depths = BLACK.map(|share| level - sample.at(share));
    let seen = depths.into_iter().find(|depth| *depth <= FAINT_SIGMAS * sigma);
    // A slightly larger depth, so that an area of one value is not all black.
    seen.map_or(BLACK_SIGMAS_OVER_DEAD * sigma, |depth| 1.1 * depth)
        .max(least_depth(sample, level, sigma, tone))
}

/// Returns the least distance of black below the level.
fn least_depth(sample: &Sample, level: f32, sigma: f32, tone: Tone) -> f32 {
    let scatter = BLACK_SIGMAS * sigma;
    let (low, high) = (level - sample.at(STRUCTURE), sample.at(1.0 - STRUCTURE) - level);
    let structure = STRUCTURE_MARGIN * low.max(high);
    if tone == Tone::Even && structure > 0.0 { scatter.min(structure) } else { scatter }
}

/// Returns a scatter for images in which most pixels have the same value: masks, constant frames.
fn scale_of_few(sample: &Sample, level: f32) -> f32 {
    // Half the distance to most of the other values is white, or black.
    let halves = 2.0 * BLACK_SIGMAS_OVER_DEAD;
    sample.deviation(level).map_or_else(|| (level.abs() * 1e-3).max(1e-6), |d| d / halves)
}

/// Returns the softening that puts the sky, `sky` above black, at a grey when white is `range` above black.
fn soften(sky: f64, range: f64, wanted: f64) -> f32 {
    let grey = |log: f64| {
        let softening = log.exp();
        (sky / softening).asinh() / (range / softening).asinh()
    };
    // The share falls from 1 (no softening) to sky / range (all of it), which is below the sky's grey.
    let (mut low, mut high) = ((range * 1e-9).ln(), (range * 1e3).ln());
    for _ in 0..40 {
        let middle = 0.5 * (low + high);
        if grey(middle) > wanted { low = middle } else { high = middle }
    }
    #[expect(clippy::cast_possible_truncation, reason = "display")]
    let softening = (0.5 * (low + high)).exp() as f32;
    softening
}

/// Returns the limits of the IRAF zscale algorithm: a line through the sorted sample, outliers rejected, its slope divided by
/// the contrast (0.25). `None` for fewer than ten values.
fn zscale(sample: &Sample) -> Option<(f32, f32)> {
    const CONTRAST: f64 = 0.25;
    let sample = sample.thinned(2000);
    if sample.len() < 10 {
        return None;
    }
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

    fn fit(curve: Curve, values: &[f32]) -> (Stretch, Sky) {
        let sample = Sample::of(values).unwrap();
        let sky = sample.sky();
        (Stretch::fit(curve, Tone::Sky, &sample, sky), sky)
    }

    /// Returns a ramp of noise around a level, with stars on a thousandth.
    fn field(level: f32, sigma: f32, star: f32) -> Vec<f32> {
        let noise = |i: usize| sigma * ((i * 7919 % 10_000) as f32 / 5000.0 - 1.0);
        (0..10_000).map(|i| if i % 1000 == 0 { star } else { level + noise(i) }).collect()
    }

    #[test]
    fn sky_is_at_a_quarter_for_any_range() {
        for (level, sigma, star) in [
            (900.0, 3.0, 60_000.0),
            (0.0, 1.0, 5.0),
            (-50.0, 0.1, 1e9),
            (1.0, 0.01, 1.02),
            (1e-12, 1e-14, 1e-10),
            (1e29, 1e25, 9e29),
        ] {
            for curve in [Curve::Asinh, Curve::Zscale, Curve::Linear] {
                let (stretch, sky) = fit(curve, &field(level, sigma, star));
                let grey = stretch.grey(sky.level);
                assert!((grey - 0.25).abs() < 0.01, "{curve:?} {level} {sigma} {star}: {grey}");
                let shown = stretch.apply(&[
                    sky.level,
                    f32::NAN,
                    f32::INFINITY,
                    f32::NEG_INFINITY,
                    stretch.white,
                ]);
                assert!((f64::from(shown[0]) / 255.0 - grey).abs() < 0.02, "{shown:?}");
                assert_eq!(&shown[1..], [0, 255, 0, 255]);
            }
        }
    }

    /// Checks that the median of a flat is grey for all tails: vignetting, dead and hot pixels, weights in steps.
    #[test]
    fn even_images_have_their_median_in_the_middle() {
        let flat = |dead: f32, hot: f32| {
            let vignetted = |i: usize| 1.0 - 0.2 * (i as f32 / 10_000.0).powi(2);
            let mut values: Vec<f32> = (0..10_000).map(vignetted).collect();
            values[..20].fill(dead);
            values[20..40].fill(hot);
            values
        };
        let mut weights = vec![0.0; 3000];
        weights.resize(10_000, 100.0);
        weights[4000..5000].fill(50.0);
        let images = [flat(1.0, 1.0), flat(0.0, 60.0), flat(-1e6, 1e6), weights, vec![100.0; 500]];
        for (n, values) in images.iter().enumerate() {
            let sample = Sample::of(values).unwrap();
            let level = Tone::Even.level(&sample);
            for curve in [Curve::Asinh, Curve::Zscale, Curve::Linear] {
                let stretch = Stretch::fit(curve, Tone::Even, &sample, level);
                let grey = stretch.grey(sample.at(0.5));
                assert!((grey - 0.5).abs() < 0.01, "{n} {curve:?}: {grey}");
            }
        }
    }

    /// Returns the grey levels, of 255, by which values differ from the median of an image.
    fn contrast(values: &[f32], wanted: &[f32]) -> Vec<f64> {
        let sample = Sample::of(values).unwrap();
        let level = Tone::Even.level(&sample);
        let stretch = Stretch::fit(Curve::Asinh, Tone::Even, &sample, level);
        wanted.iter().map(|d| 255.0 * (stretch.grey(level.level + d) - 0.5)).collect()
    }

    /// Checks calibrations, which differ from their level both ways: the same difference is as many levels brighter as darker,
    /// values above the noise are seen, and the structure of a smooth flat fills most of the range.
    #[test]
    fn structure_of_even_images_is_seen_above_and_below() {
        // The sum of twelve uniform numbers is nearly Gaussian.
        let mut state = 1_u32;
        let mut uniform = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state as f32 / u32::MAX as f32
        };
        let sigma = 0.01;
        let mut noise: Vec<f32> = (0..20_000)
            .map(|_| 1.0 + sigma * ((0..12).map(|_| uniform()).sum::<f32>() - 6.0))
            .collect();
        // Dead and hot pixels.
        noise[..40].fill(0.0);
        noise[40..48].fill(9.0);
        let shown = contrast(&noise, &[-3.0 * sigma, -sigma, sigma, 3.0 * sigma]);
        assert!(shown[0] < -75.0 && shown[3] > 75.0, "three sigma: {shown:?}");
        assert!(shown[1] < -25.0 && shown[2] > 25.0, "one sigma: {shown:?}");
        let vignetted: Vec<f32> =
            (0..10_000_u16).map(|i| 1.0 - 0.2 * (f32::from(i) / 10_000.0).powi(2)).collect();
        // From 0.8 at the edge to 1.0 in the middle, 0.95 in the median.
        let shown = contrast(&vignetted, &[-0.15, -0.05, 0.0, 0.05]);
        assert!(shown[0] < -90.0 && shown[0] > -127.0, "the edge is dark and not black: {shown:?}");
        assert!(shown[3] > 30.0, "the middle is brighter: {shown:?}");
        for same in [&noise[100..], &vignetted] {
            let shown = contrast(same, &[-0.02, -0.01, 0.01, 0.02]);
            let differs = |a: f64, b: f64| (a + b).abs() > 5.0;
            assert!(!differs(shown[0], shown[3]) && !differs(shown[1], shown[2]), "{shown:?}");
        }
    }

    #[test]
    fn the_table_follows_the_curve() {
        for star in [950.0, 60_000.0] {
            for curve in [Curve::Asinh, Curve::Zscale, Curve::Linear] {
                let (stretch, _) = fit(curve, &field(900.0, 5.0, star));
                let span = stretch.white - stretch.black;
                let values: Vec<f32> =
                    (0..5000).map(|i| stretch.black + span * (i as f32 / 5000.0).powi(3)).collect();
                for (value, shown) in values.iter().zip(stretch.apply(&values)) {
                    let grey = 255.0 * stretch.grey(*value);
                    assert!((f64::from(shown) - grey).abs() < 1.0, "{curve:?} {value}: {grey}");
                }
            }
        }
    }

    #[test]
    fn a_long_faint_tail_is_not_cut_off() {
        let mut values = field(100.0, 1.0, 101.0);
        values.iter_mut().step_by(20).for_each(|v| *v = 92.0);
        let (stretch, sky) = fit(Curve::Asinh, &values);
        assert!(stretch.grey(92.0) > 0.02, "{stretch:?}");
        assert!((stretch.grey(sky.level) - 0.25).abs() < 0.01, "{stretch:?}");
    }

    #[test]
    fn faint_areas_are_shown_and_dead_pixels_are_not() {
        let with = |faint: usize, dead: usize| {
            let mut values = field(100.0, 2.0, 101.0);
            values[..faint].fill(60.0);
            values[faint..faint + dead].fill(-3000.0);
            fit(Curve::Asinh, &values).0
        };
        // Half as well exposed on 3 %, with few and with many dead pixels.
        for dead in [0, 50, 150] {
            let stretch = with(300, dead);
            assert!(stretch.grey(60.0) > 0.01, "{dead}: {stretch:?}");
        }
        // Dead pixels alone: black stays near the sky.
        for dead in [50, 400] {
            let stretch = with(0, dead);
            assert!(stretch.black > 80.0, "{dead}: {stretch:?}");
        }
    }

    #[test]
    fn constant_frames_are_grey_and_masks_have_contrast() {
        for curve in [Curve::Asinh, Curve::Zscale, Curve::Linear] {
            let (stretch, _) = fit(curve, &[0.0; 64]);
            let grey = stretch.grey(0.0);
            assert!((0.05..0.08).contains(&grey), "{curve:?}: {grey}");
        }
        for level in [1e-3, 1.0, -7.0, 1e6] {
            let (stretch, _) = fit(Curve::Asinh, &[level; 64]);
            let grey = stretch.grey(level);
            assert!((0.15..0.35).contains(&grey), "{level}: {grey}");
        }
        let mut mask = vec![8.0; 1000];
        mask[..30].fill(9.0);
        mask[30..60].fill(7.0);
        let (stretch, _) = fit(Curve::Asinh, &mask);
        let [low, middle, high] = [7.0, 8.0, 9.0].map(|v| stretch.grey(v));
        // White is three times as far from the others as black.
        assert!(low < 0.05 && (0.2..0.3).contains(&middle) && high > 0.45, "{low} {middle} {high}");
    }

    #[test]
    fn zscale_of_a_ramp_is_its_range() {
        let ramp: Vec<f32> = (1..=1000).map(|i| i as f32).collect();
        assert_eq!(zscale(&Sample::of(&ramp).unwrap()), Some((1.0, 1000.0)));
    }
}
