//! The pixels of a detector: sky, stars, noise, and the effects of the detector.

use crate::bad_pixels::BadPixels;
use crate::conditions::{Conditions, FULL_ADU, GAIN, READ_NOISE};
use crate::plan::{Frame, FrameKind};
use crate::random::{Normal, Random};
use crate::scene::{Nature, Source};

/// Stored integers and their scaling: physical = stored * bscale + bzero.
#[derive(Debug)]
pub(crate) struct Stored {
    pub pixels: Vec<i32>,
    pub bscale: f64,
    pub bzero: f64,
}

/// Makes the image of one detector.
pub(crate) fn paint(
    frame: &Frame,
    conditions: &Conditions,
    bad: &BadPixels,
    sources: &[Source],
    faint: &[Source],
) -> Stored {
    let side = frame.side();
    let mut signal = Signal { side, values: Vec::new() };
    if !frame.kind.is_library() && frame.kind != FrameKind::Confidence {
        signal.values.resize(side * side, 0.0);
        for source in sources.iter().chain(faint) {
            signal.add(source, conditions);
        }
    }
    let detector = Detector { frame, conditions, side };
    let (bscale, bzero) = scaling(frame);
    let mut pixels = Vec::with_capacity(side * side);
    let mut row = vec![0.0; side];
    for y in 0..side {
        detector.level(y, &mut row);
        let stars = signal.values.get(y * side..(y + 1) * side).unwrap_or(&[]);
        detector.expose(y, &mut row, stars);
        detector.spoil(y, &mut row, bad.row(y));
        let factor = (1.0 / bscale) as f32;
        let zero = bzero as f32;
        pixels.extend(row.iter().map(|v| nearest((v - zero) * factor)));
    }
    Stored { pixels, bscale, bzero }
}

/// Returns BSCALE and BZERO of a kind of frame.
fn scaling(frame: &Frame) -> (f64, f64) {
    match frame.kind {
        FrameKind::Raw | FrameKind::Confidence | FrameKind::FlatConfidence => (1.0, 0.0),
        FrameKind::Flat => (2.5e-5, 0.0),
        FrameKind::Sky => (0.25, 5000.0),
        FrameKind::Dark | FrameKind::Superframe | FrameKind::Stack | FrameKind::Superstack => {
            // One over the square root of two, rounded as by the pipeline.
            ((1e4 * std::f64::consts::FRAC_1_SQRT_2).round() / 1e4, 0.0)
        }
    }
}

/// Light of the sources, ADU per pixel.
struct Signal {
    side: usize,
    values: Vec<f32>,
}

impl Signal {
    fn add(&mut self, source: &Source, conditions: &Conditions) {
        let (turn, ratio) = match source.nature {
            Nature::Noise => return self.add_hot_pixel(source),
            Nature::Star => (0.0, 1.0),
            Nature::Galaxy { axis_ratio, angle, .. } => (angle, axis_ratio),
        };
        let profile = source.profile(conditions);
        // Light is computed down to a fiftieth of the noise.
        let reach = profile.radius_at(0.02 * conditions.noise / source.flux) / ratio.sqrt() + 1.0;
        let (x, y) = (source.x - 1.0, source.y - 1.0);
        let end = self.side as f64 - 1.0;
        let columns = (x - reach).max(0.0)..=(x + reach).min(end);
        let rows = (y - reach).max(0.0)..=(y + reach).min(end);
        if columns.is_empty() || rows.is_empty() {
            return;
        }
        let (first, last) = (columns.start().ceil() as usize, *columns.end() as usize);
        // The square of the elliptical radius is a quadratic form of the distances along x and y.
        let (sin, cos) = (turn.sin() as f32, turn.cos() as f32);
        let (along, across) = (ratio as f32, 1.0 / ratio as f32);
        let xx = along * cos * cos + across * sin * sin;
        let yy = along * sin * sin + across * cos * cos;
        let xy = 2.0 * (along - across) * sin * cos;
        let flux = source.flux as f32;
        for row in rows.start().ceil() as usize..=*rows.end() as usize {
            let dy = (row as f64 - y) as f32;
            let line = &mut self.values[row * self.side..][first..=last];
            let left = (first as f64 - x) as f32;
            for (n, value) in line.iter_mut().enumerate() {
                let dx = left + n as u32 as f32;
                *value += flux * profile.density(xx * dx * dx + (xy * dx + yy * dy) * dy);
            }
        }
    }

    fn add_hot_pixel(&mut self, source: &Source) {
        let (x, y) = ((source.x - 0.5) as usize, (source.y - 0.5) as usize);
        if x < self.side && y < self.side {
            self.values[y * self.side + x] += source.flux as f32;
        }
    }
}

/// The contributions of the detector, without sources.
struct Detector<'a> {
    frame: &'a Frame,
    conditions: &'a Conditions,
    side: usize,
}

impl Detector<'_> {
    /// Fills the expected levels of a row without sources.
    fn level(&self, y: usize, row: &mut [f32]) {
        let sky = self.conditions.sky as f32;
        match self.frame.kind {
            FrameKind::Superframe | FrameKind::Stack | FrameKind::Superstack => {
                let [along, across] = self.conditions.slope.map(|slope| slope as f32);
                let step = sky * along / self.side as f32;
                let start = sky * (1.0 + across * self.place(y) - 0.5 * along);
                fill(row, |x| start + step * x);
            }
            FrameKind::Sky => {
                let wave = 0.004 * sky * (3.0 * self.place(y)).sin();
                self.fill_by_place(row, |x| sky + wave * (2.5 * x).cos());
            }
            FrameKind::Flat => self.flat(y, row, 1.0),
            FrameKind::Confidence | FrameKind::FlatConfidence => {
                self.flat(y, row, 1.0);
                self.confidence(y, row);
            }
            FrameKind::Dark => {
                let glow = self.dark_level(y);
                self.fill_by_place(row, |x| glow + 55.0 * (16.0 * (x.abs() - 0.5)).exp());
            }
            FrameKind::Raw => {
                self.flat(y, row, sky);
                let dark = self.dark_level(y);
                row.iter_mut().for_each(|v| *v += dark);
            }
        }
    }

    /// Returns the position across the detector, -0.5 to 0.5.
    fn place(&self, k: usize) -> f32 {
        (k as f32 + 0.5) / self.side as f32 - 0.5
    }

    fn fill_by_place(&self, row: &mut [f32], level: impl Fn(f32) -> f32) {
        let step = 1.0 / self.side as f32;
        fill(row, |x| level((x + 0.5) * step - 0.5));
    }

    /// Fills the sensitivity of a row: decreasing towards the corner that is farthest from the axis, each quadrant with
    /// its amplifiers.
    fn flat(&self, y: usize, row: &mut [f32], scale: f32) {
        let v = self.place(y);
        let upper = usize::from(v >= 0.0);
        let gains = [[1.00, 0.975], [1.02, 0.99]][upper].map(|gain: f32| gain * scale);
        self.fill_by_place(row, |u| {
            // The axis is beyond the lower right corner (CRPIX1 > NAXIS1, CRPIX2 < 1).
            let (du, dv) = (u - 0.97, v + 0.97);
            gains[usize::from(u >= 0.0)] * (1.09 - 0.048 * (du * du + dv * dv))
        });
        // Eight readout channels per quadrant leave faint stripes.
        for (x, value) in row.iter_mut().enumerate() {
            let channel = x * 16 / self.side;
            *value *= 1.0 + 0.0015 * ((channel * 7 % 5) as f32 - 2.0);
        }
    }

    /// Converts sensitivity to confidence: 100 normally, less at the edges that not all exposures cover.
    fn confidence(&self, y: usize, row: &mut [f32]) {
        let edge = if self.frame.jitters > 1 { (self.side as f32 / 120.0).max(1.0) } else { 0.0 };
        let end = self.side as f32;
        let factor = |k: f32| if k < edge || k > end - edge { 0.5 } else { 1.0 };
        let of_row = 100.0 * factor(y as f32 + 0.5);
        for (x, value) in row.iter_mut().enumerate() {
            *value *= of_row * factor(x as f32 + 0.5);
        }
    }

    /// Returns the dark level of a row: pedestal, and the curtain pattern of the readout.
    fn dark_level(&self, y: usize) -> f32 {
        let mut random = Random::of(&[self.conditions.key, 5, (y % (self.side / 8)) as u64]);
        let curtain = random.between(-4.0, 4.0) as f32;
        let glow = 25.0 * (14.0 * (self.place(y).abs() - 0.5)).exp();
        60.0 + curtain + glow
    }

    /// Adds sources and noise.
    fn expose(&self, y: usize, row: &mut [f32], stars: &[f32]) {
        let conditions = self.conditions;
        let mut random = Random::of(&[conditions.key, 4, y as u64]);
        let (noise, full) = (conditions.noise as f32, FULL_ADU as f32);
        let per_adu = (1.0 / GAIN) as f32;
        match self.frame.kind {
            FrameKind::Confidence | FrameKind::FlatConfidence => {}
            FrameKind::Flat => add_noise(row, &mut random, |_| 0.003),
            FrameKind::Sky => add_noise(row, &mut random, |_| 0.3 * noise),
            FrameKind::Dark => add_noise(row, &mut random, |_| 2.6),
            FrameKind::Raw => {
                let sky = conditions.sky as f32;
                for (value, star) in row.iter_mut().zip(stars) {
                    *value += star * *value / sky; // sensitivity is in the level already
                }
                let read = (READ_NOISE / GAIN).powi(2) as f32;
                add_noise(row, &mut random, |v| (v.max(0.0) * per_adu + read).sqrt());
                row.iter_mut().for_each(|v| *v = v.min(full));
            }
            FrameKind::Superframe | FrameKind::Stack | FrameKind::Superstack => {
                let variance = noise * noise;
                add_noise_by(row, stars, &mut random, |s| (variance + s * per_adu).sqrt());
                row.iter_mut().zip(stars).for_each(|(v, s)| *v = (*v + s).min(full));
            }
        }
    }

    /// Sets bad pixels: dead ones, and hot ones of any brightness.
    fn spoil(&self, y: usize, row: &mut [f32], bad: &[u32]) {
        for column in bad {
            let value = &mut row[*column as usize];
            let mut random =
                Random::of(&[9, self.conditions.camera as u64, y as u64, u64::from(*column)]);
            *value = match self.frame.kind {
                FrameKind::Confidence | FrameKind::FlatConfidence => 0.0,
                FrameKind::Flat => random.between(0.02, 0.6) as f32,
                FrameKind::Sky => *value,
                _ if random.uniform() < 0.4 => random.between(0.0, 40.0) as f32,
                _ => *value + random.between(4.0, 9.8).exp() as f32,
            };
        }
    }
}

/// Rounds half away from zero; `f32::round` would be a call for each pixel.
#[inline(always)]
fn nearest(value: f32) -> i32 {
    (value + 0.5_f32.copysign(value)) as i32
}

fn fill(row: &mut [f32], level: impl Fn(f32) -> f32) {
    for (x, value) in row.iter_mut().enumerate() {
        *value = level(x as f32);
    }
}

/// Adds normal noise whose width follows from the level.
fn add_noise(row: &mut [f32], random: &mut Random, width: impl Fn(f32) -> f32) {
    let normal = Normal::table();
    for pair in row.chunks_mut(2) {
        let mut bits = random.bits();
        for value in pair {
            *value += width(*value) * normal.of_bits(bits as u32);
            bits >>= 32;
        }
    }
}

/// Adds normal noise whose width follows from the light of the stars.
fn add_noise_by(row: &mut [f32], stars: &[f32], random: &mut Random, width: impl Fn(f32) -> f32) {
    let normal = Normal::table();
    for (pair, light) in row.chunks_mut(2).zip(stars.chunks(2)) {
        let mut bits = random.bits();
        for (value, star) in pair.iter_mut().zip(light) {
            *value += width(*star) * normal.of_bits(bits as u32);
            bits >>= 32;
        }
    }
}
