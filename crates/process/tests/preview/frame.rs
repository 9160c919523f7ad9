//! Images with planted stars and planted damage.

use fits::write::{Checks, HeaderBuilder, Pixels, Place, RicePixels, image, primary, rice_image};

/// An image, FITS row 1 first, and where nothing but sky was planted.
#[derive(Clone)]
pub struct Frame {
    pub width: usize,
    pub height: usize,
    pub values: Vec<f32>,
    pub is_sky: Vec<bool>,
    random: Random,
}

/// Random numbers, the same every time.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Evenly in 0 to 1.
    pub fn even(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// Almost normal, with a scatter of 1.
    pub fn normal(&mut self) -> f32 {
        let bits = self.next();
        let parts = [bits & 0xffff, bits >> 16 & 0xffff, bits >> 32 & 0xffff, bits >> 48];
        (parts.iter().sum::<u64>() as f32 / 65_536.0 - 2.0) * 3.0_f32.sqrt()
    }
}

impl Frame {
    /// Sky of a level with noise.
    pub fn sky(width: usize, height: usize, level: f32, noise: f32) -> Self {
        let mut random = Random::new((width * 31 + height) as u64);
        let values = (0..width * height).map(|_| level + noise * random.normal()).collect();
        Self { width, height, values, is_sky: vec![true; width * height], random }
    }

    /// Changes every pixel; x and y are shares of the sides, 0 to 1. It stays sky.
    pub fn shade(mut self, change: impl Fn(f32, f32, f32) -> f32) -> Self {
        let (width, height) = (self.width as f32, self.height as f32);
        for (at, value) in self.values.iter_mut().enumerate() {
            let (x, y) = (at % self.width, at / self.width);
            *value = change(*value, x as f32 / width, y as f32 / height);
        }
        self
    }

    /// Adds light; x and y are shares of the sides. Where it is brighter than `seen` there is no sky any more.
    pub fn light(mut self, light: impl Fn(f32, f32) -> f32, seen: f32) -> Self {
        for at in 0..self.values.len() {
            let (x, y) = ((at % self.width) as f32, (at / self.width) as f32);
            let light = light(x / self.width as f32, y / self.height as f32);
            self.values[at] += light;
            self.is_sky[at] &= light < seen;
        }
        self
    }

    /// A star at FITS pixels; where it is brighter than `seen` there is no sky any more.
    pub fn star(&mut self, (x, y): (f64, f64), peak: f32, fwhm: f64, seen: f32) {
        let sigma = fwhm / 2.354_82;
        let reach = (sigma * (2.0 * f64::from(peak / seen).ln().max(0.5)).sqrt()).ceil() + 1.0;
        let range = |centre: f64, side: usize| {
            let first = (centre - 1.0 - reach).max(0.0) as usize;
            first..((centre + reach).max(0.0) as usize).min(side)
        };
        for row in range(y, self.height) {
            for column in range(x, self.width) {
                let (dx, dy) = (column as f64 + 1.0 - x, row as f64 + 1.0 - y);
                let light = peak * (-(dx * dx + dy * dy) / (2.0 * sigma * sigma)).exp() as f32;
                let at = row * self.width + column;
                self.values[at] += light;
                self.is_sky[at] &= light < seen;
            }
        }
    }

    /// Stars everywhere, few of them bright.
    pub fn stars(mut self, count: usize, faintest: f32, fwhm: f64, seen: f32) -> Self {
        for _ in 0..count {
            let x = f64::from(self.random.even()) * self.width as f64 + 0.5;
            let y = f64::from(self.random.even()) * self.height as f64 + 0.5;
            let peak = faintest / self.random.even().max(1e-3);
            self.star((x, y), peak, fwhm, seen);
        }
        self
    }

    /// Gives a value to a share of the pixels, here and there.
    pub fn sprinkle(mut self, share: f32, value: f32) -> Self {
        for at in 0..self.values.len() {
            if self.random.even() < share {
                self.spoil(at, value);
            }
        }
        self
    }

    /// Gives a value to all pixels (columns and rows from 0) of an area.
    pub fn area(mut self, inside: impl Fn(usize, usize) -> bool, value: f32) -> Self {
        for at in 0..self.values.len() {
            if inside(at % self.width, at / self.width) {
                self.spoil(at, value);
            }
        }
        self
    }

    fn spoil(&mut self, at: usize, value: f32) {
        self.values[at] = value;
        self.is_sky[at] = false;
    }

    /// Nothing brighter than the detector can count.
    pub fn saturate(mut self, full: f32) -> Self {
        self.values.iter_mut().for_each(|v| *v = v.min(full));
        self
    }

    /// Which pixels of a preview (drawn FITS row 1 at the bottom) show sky alone.
    pub fn sky_of_preview(&self, factor: usize) -> Vec<bool> {
        let (columns, rows) = (self.width.div_ceil(factor), self.height.div_ceil(factor));
        let mut is_sky = vec![true; columns * rows];
        let mut has_value = vec![false; columns * rows];
        for (at, (value, sky)) in self.values.iter().zip(&self.is_sky).enumerate() {
            let (x, y) = (at % self.width / factor, at / self.width / factor);
            let shown = (rows - 1 - y) * columns + x;
            // What has no value is not there: the others are shown.
            if value.abs() < 1e30 {
                is_sky[shown] &= sky;
                has_value[shown] = true;
            }
        }
        is_sky.iter().zip(has_value).map(|(sky, value)| *sky && value).collect()
    }

    /// Stored integers of `value = scale * stored + zero`; NaN becomes `blank`.
    pub fn integers(&self, scale: f32, zero: f32, blank: i32) -> Vec<i32> {
        let stored = |v: &f32| if v.is_nan() { blank } else { ((v - zero) / scale).round() as i32 };
        self.values.iter().map(stored).collect()
    }

    /// A file of this image in single precision, with no more than the format asks for.
    pub fn file(&self) -> Vec<u8> {
        file(&[Extension::Floats(self, HeaderBuilder::new())])
    }
}

/// An image extension to be.
pub enum Extension<'f> {
    Floats(&'f Frame, HeaderBuilder),
    /// Rice-compressed 32-bit integers.
    Rice(&'f Frame, HeaderBuilder),
}

/// A primary without data, and extensions.
pub fn file(extensions: &[Extension]) -> Vec<u8> {
    let mut bytes = Vec::new();
    primary(&mut bytes, &HeaderBuilder::new(), Checks::Absent).unwrap();
    for extension in extensions {
        match extension {
            Extension::Floats(frame, header) => {
                let pixels = Pixels::F32(&frame.values);
                append(&mut bytes, &[frame.width, frame.height], pixels, header);
            }
            Extension::Rice(frame, header) => {
                let pixels = frame.integers(1.0, 0.0, 0);
                let pixels = RicePixels::I32(&pixels);
                let (width, height) = (frame.width, frame.height);
                rice_image(&mut bytes, width, height, pixels, header, Checks::Absent).unwrap();
            }
        }
    }
    bytes
}

/// One image, as an extension behind a primary without data.
pub fn single(axes: &[usize], pixels: Pixels, header: &HeaderBuilder) -> Vec<u8> {
    let mut bytes = file(&[]);
    append(&mut bytes, axes, pixels, header);
    bytes
}

fn append(bytes: &mut Vec<u8>, axes: &[usize], pixels: Pixels, header: &HeaderBuilder) {
    let axes: Vec<u64> = axes.iter().map(|n| *n as u64).collect();
    image(bytes, Place::Extension, &axes, pixels, header, Checks::Absent).unwrap();
}
