//! Area averaging, row by row, so that a detector is never in memory as a whole.

use super::level::MAX_PIXEL_VALUE;
use super::unit;

/// Stored value = `scale * raw + zero`; `blank` marks raw integers without a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaling {
    /// BSCALE.
    pub scale: f64,
    /// BZERO.
    pub zero: f64,
    /// BLANK.
    pub blank: Option<i64>,
}

/// A reduced image: `width * height` physical values, FITS row 1 first; NaN where no pixel was valid.
#[derive(Clone, Debug, PartialEq)]
pub struct Reduced {
    /// Pixels along FITS axis 1.
    pub width: usize,
    /// Pixels along FITS axis 2.
    pub height: usize,
    /// Original pixels per reduced pixel, along each axis.
    pub factor: usize,
    /// Original pixels that had a value.
    pub valid_pixels: u64,
    /// The values.
    pub values: Vec<f32>,
}

/// A reducer that accepts the rows of an image in their order and averages blocks of `factor` x `factor` pixels. The last block
/// of a row or column may be smaller.
#[derive(Debug)]
pub struct Reducer {
    factor: usize,
    scaling: Scaling,
    /// Physical value of 1 in the reduced image; `None` when it is 1.
    unit: Option<f64>,
    /// Sums over the rows of the current block, column by column: whole rows are added before columns are, which suits vector
    /// instructions.
    sums: Vec<f32>,
    /// Number of values in each sum; filled only when a value was missing.
    counts: Vec<f32>,
    some_missing: bool,
    rows_in_block: usize,
    valid_pixels: u64,
    values: Vec<f32>,
}

/// Maximum number of original pixels per reduced pixel that a profile may set.
pub const FACTOR_MAX: usize = 64;
/// Minimum number of pixels along a side; a wanted factor is lowered where fewer would remain.
const SIDE_MIN: usize = 64;

/// Returns the factor for an image: the wanted one, lower for small images and higher if the result would have a side of more
/// than `max_side` pixels, or more than `area` in all.
pub fn factor_for(width: u64, height: u64, wanted: usize, max_side: usize, area: usize) -> usize {
    let small = usize::try_from(width.min(height) / SIDE_MIN as u64).unwrap_or(FACTOR_MAX);
    let wanted = wanted.clamp(1, FACTOR_MAX).min(small.max(1)) as u64;
    let min_factor = width.max(height).div_ceil(max_side as u64);
    let mut factor = wanted.max(min_factor);
    while width.div_ceil(factor).saturating_mul(height.div_ceil(factor)) > area as u64 {
        factor += factor.div_ceil(8);
    }
    usize::try_from(factor).unwrap_or(usize::MAX)
}

impl Reducer {
    /// Makes a reducer for rows of `width` pixels.
    pub fn new(width: usize, factor: usize, scaling: Scaling) -> Self {
        Self {
            factor,
            scaling,
            unit: None,
            sums: vec![0.0; width],
            counts: vec![0.0; width],
            some_missing: false,
            rows_in_block: 0,
            valid_pixels: 0,
            values: Vec::new(),
        }
    }

    /// Makes a reducer of values in a unit. Pixels are scaled one by one, in double precision.
    pub fn in_unit(width: usize, factor: usize, scaling: Scaling, unit: f64) -> Self {
        Self { unit: Some(unit), ..Self::new(width, factor, scaling) }
    }

    /// Adds one row of floating-point pixels; NaN, infinities and values beyond [`MAX_PIXEL_VALUE`] are ignored.
    pub fn push_floats<T: Copy + Into<f64>>(&mut self, row: &[T]) {
        if let Some(unit) = self.unit {
            let scaling = self.scaling;
            return self.push_some(row, |v| in_unit(v.into(), scaling, unit));
        }
        self.push_some(row, |v| {
            let v: f64 = v.into();
            #[expect(clippy::cast_possible_truncation, reason = "previews need single precision")]
            let v = v as f32;
            (v, v.abs() < MAX_PIXEL_VALUE)
        });
    }

    /// Adds one row of integer pixels; BLANK ones are ignored.
    pub fn push_integers<T: Pixel>(&mut self, row: &[T]) {
        let blank = self.scaling.blank.and_then(T::of_blank);
        if let Some(unit) = self.unit {
            let scaling = self.scaling;
            return self.push_some(row, |v| {
                let (value, valid) = in_unit(v.as_f64(), scaling, unit);
                (value, valid && Some(v) != blank)
            });
        }
        match blank {
            Some(blank) => self.push_some(row, |v| (v.as_f32(), v != blank)),
            None => self.push_all(row),
        }
    }

    fn push_all<T: Pixel>(&mut self, row: &[T]) {
        for (sum, v) in self.sums.iter_mut().zip(row) {
            *sum += v.as_f32();
        }
        self.valid_pixels += row.len() as u64;
        self.end_row();
    }

    fn push_some<T: Copy>(&mut self, row: &[T], value: impl Fn(T) -> (f32, bool)) {
        let mut missing = 0_u32;
        for (sum, v) in self.sums.iter_mut().zip(row) {
            let (v, valid) = value(*v);
            *sum += if valid { v } else { 0.0 };
            missing += u32::from(!valid);
        }
        if missing > 0 && !self.some_missing {
            self.some_missing = true;
            #[expect(clippy::cast_precision_loss, reason = "few rows")]
            self.counts.fill(self.rows_in_block as f32);
        }
        if self.some_missing {
            for (count, v) in self.counts.iter_mut().zip(row) {
                *count += if value(*v).1 { 1.0 } else { 0.0 };
            }
        }
        self.valid_pixels += row.len() as u64 - u64::from(missing);
        self.end_row();
    }

    fn end_row(&mut self) {
        self.rows_in_block += 1;
        if self.rows_in_block == self.factor {
            self.flush();
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "previews need single precision"
    )]
    fn flush(&mut self) {
        let (scale, zero) = match self.unit {
            None => (self.scaling.scale as f32, self.scaling.zero as f32),
            Some(_) => (1.0, 0.0),
        };
        let Self { factor, sums, counts, values, rows_in_block, .. } = self;
        if self.some_missing {
            let blocks = sums.chunks(*factor).zip(counts.chunks(*factor));
            values.extend(blocks.map(|(sums, counts)| {
                // A block without values is 0 / 0, which is NaN.
                sums.iter().sum::<f32>() / counts.iter().sum::<f32>() * scale + zero
            }));
        } else {
            let rows = *rows_in_block as f32;
            let mean = |block: &[f32], sum: f32| sum / (rows * block.len() as f32) * scale + zero;
            let (fours, rest) = sums.as_chunks::<4>();
            if *factor == 4 {
                values.extend(fours.iter().map(|b| mean(b, (b[0] + b[1]) + (b[2] + b[3]))));
                values.extend(rest.chunks(4).map(|b| mean(b, b.iter().sum())));
            } else {
                values.extend(sums.chunks(*factor).map(|b| mean(b, b.iter().sum())));
            }
        }
        self.sums.fill(0.0);
        self.some_missing = false;
        self.rows_in_block = 0;
    }

    /// Returns the reduced image of all rows added.
    pub fn finish(mut self) -> Reduced {
        if self.rows_in_block > 0 {
            self.flush();
        }
        let width = self.sums.len().div_ceil(self.factor);
        Reduced {
            width,
            height: self.values.len() / width.max(1),
            factor: self.factor,
            valid_pixels: self.valid_pixels,
            values: self.values,
        }
    }
}

/// Returns the physical value of a stored one in a unit, and true when it is a value.
fn in_unit(stored: f64, scaling: Scaling, unit: f64) -> (f32, bool) {
    let physical = stored * scaling.scale + scaling.zero;
    #[expect(clippy::cast_possible_truncation, reason = "previews need single precision")]
    let value = (physical / unit) as f32;
    (value, unit::is_value(stored) && value.abs() < MAX_PIXEL_VALUE)
}

/// Integer pixel types of FITS.
pub trait Pixel: Copy + PartialEq {
    /// Returns the value in single precision.
    fn as_f32(self) -> f32;
    /// Returns the value in double precision.
    fn as_f64(self) -> f64;
    /// Returns BLANK in this type; `None` when it cannot occur.
    fn of_blank(blank: i64) -> Option<Self>;
}

macro_rules! pixel {
    ($($type:ty),*) => {$(
        impl Pixel for $type {
            fn as_f32(self) -> f32 {
                self as f32
            }
            fn as_f64(self) -> f64 {
                self as f64
            }
            fn of_blank(blank: i64) -> Option<Self> {
                Self::try_from(blank).ok()
            }
        }
    )*};
}
pixel!(u8, i16, i32, i64);

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Scaling = Scaling { scale: 1.0, zero: 0.0, blank: None };

    #[test]
    fn blocks_are_averaged_with_ragged_edges() {
        for (factor, wanted) in [(4, [2.5, 15.0]), (3, [2.0, 9.5])] {
            let mut reducer = Reducer::new(5, factor, PLAIN);
            for row in [[1_i32, 2, 3, 4, 10], [1, 2, 3, 4, 20]] {
                reducer.push_integers(&row);
            }
            let reduced = reducer.finish();
            assert_eq!((reduced.width, reduced.height), (2, 1));
            assert_eq!((reduced.values, reduced.valid_pixels), (wanted.to_vec(), 10));
        }
    }

    #[test]
    fn pixels_without_value_do_not_count() {
        let scaling = Scaling { scale: 2.0, zero: 1.0, blank: Some(-1) };
        let mut reducer = Reducer::new(4, 3, scaling);
        reducer.push_integers(&[5_i16, 3, 1, 7]);
        reducer.push_integers(&[-1_i16, 3, -1, -1]);
        reducer.push_integers(&[5_i16, -1, 1, 8]);
        reducer.push_integers(&[0_i16, 0, 0, -1]);
        let reduced = reducer.finish();
        assert_eq!(reduced.values[..3], [7.0, 16.0, 1.0]);
        assert!(reduced.values[3].is_nan());
        assert_eq!(reduced.valid_pixels, 11);
    }

    #[test]
    fn no_number_is_no_value() {
        let mut reducer = Reducer::new(2, 2, PLAIN);
        reducer.push_floats(&[f32::NAN, 3.0]);
        reducer.push_floats(&[f32::INFINITY, 5.0]);
        assert_eq!(reducer.finish().values, [4.0]);
        let mut reducer = Reducer::new(2, 1, PLAIN);
        reducer.push_floats(&[f64::MAX, 3.0]); // no single-precision number
        assert!(reducer.finish().values[0].is_nan());
    }

    #[test]
    fn factors() {
        let cases = [
            ((2048, 2048), 4),
            ((300, 300), 4),
            ((200, 128), 2), // small images are reduced less
            ((64, 64), 1),
            ((5, 9), 1),
            ((1_000_000, 10), 16),  // a JPEG has no longer side
            ((40_000, 40_000), 11), // nor is memory without end
            ((u64::MAX, 1), (u64::MAX / 65_500 + 1) as usize),
        ];
        for ((width, height), wanted) in cases {
            let factor = factor_for(width, height, 4, 65_500, 16_000_000);
            assert_eq!(factor, wanted, "{width} x {height}");
        }
    }
}
