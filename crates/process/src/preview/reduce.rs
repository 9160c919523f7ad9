//! Area averaging, row by row, so that a detector is never in memory as a whole.

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
    /// The values.
    pub values: Vec<f32>,
}

/// Takes the rows of an image in their order and averages blocks of `factor` x `factor` pixels. The last
/// block of a row or column may be smaller.
pub struct Reducer {
    width: usize,
    factor: usize,
    out_width: usize,
    sums: Vec<f32>,
    counts: Vec<u16>,
    rows_in_block: usize,
    values: Vec<f32>,
    scaling: Scaling,
}

/// The factor for an image: the wanted one, less where the result would be under 64 pixels.
pub fn factor_for(width: usize, height: usize, wanted: usize) -> usize {
    wanted.clamp(1, 64).min((width.min(height) / 64).max(1))
}

impl Reducer {
    /// A reducer for rows of `width` pixels.
    pub fn new(width: usize, factor: usize, scaling: Scaling) -> Self {
        let out_width = width.div_ceil(factor);
        Self {
            width,
            factor,
            out_width,
            sums: vec![0.0; out_width],
            counts: vec![0; out_width],
            rows_in_block: 0,
            values: Vec::new(),
            scaling,
        }
    }

    /// One row of floating-point pixels; NaN and infinities are passed over.
    pub fn push_floats<T: Copy + Into<f64>>(&mut self, row: &[T]) {
        self.push_checked(row, |v: T| {
            let v: f64 = v.into();
            #[expect(clippy::cast_possible_truncation, reason = "previews need single precision")]
            v.is_finite().then_some(v as f32)
        });
    }

    /// One row of integer pixels; BLANK ones are passed over.
    pub fn push_integers<T: Pixel>(&mut self, row: &[T]) {
        match self.scaling.blank.and_then(T::of_blank) {
            Some(blank) => self.push_checked(row, |v| (v != blank).then(|| v.as_f32())),
            None => self.push_all(row),
        }
    }

    fn push_all<T: Pixel>(&mut self, row: &[T]) {
        let factor = self.factor;
        debug_assert_eq!(row.len(), self.width);
        let whole = row.len() / factor;
        if factor == 4 {
            for (sum, block) in self.sums.iter_mut().zip(row.chunks_exact(4)) {
                *sum += (block[0].as_f32() + block[1].as_f32())
                    + (block[2].as_f32() + block[3].as_f32());
            }
        } else {
            for (sum, block) in self.sums.iter_mut().zip(row.chunks_exact(factor)) {
                *sum += block.iter().map(|v| v.as_f32()).sum::<f32>();
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "a block is at most 64 wide")]
        for count in &mut self.counts[..whole] {
            *count += factor as u16;
        }
        for v in &row[whole * factor..] {
            self.sums[whole] += v.as_f32();
            self.counts[whole] += 1;
        }
        self.end_row();
    }

    fn push_checked<T: Copy>(&mut self, row: &[T], value: impl Fn(T) -> Option<f32>) {
        for (block, (sum, count)) in
            row.chunks(self.factor).zip(self.sums.iter_mut().zip(self.counts.iter_mut()))
        {
            for &v in block {
                if let Some(v) = value(v) {
                    *sum += v;
                    *count += 1;
                }
            }
        }
        self.end_row();
    }

    fn end_row(&mut self) {
        self.rows_in_block += 1;
        if self.rows_in_block == self.factor {
            self.flush();
        }
    }

    fn flush(&mut self) {
        #[expect(clippy::cast_possible_truncation, reason = "previews need single precision")]
        let (scale, zero) = (self.scaling.scale as f32, self.scaling.zero as f32);
        for (sum, count) in self.sums.iter_mut().zip(self.counts.iter_mut()) {
            let mean = if *count == 0 { f32::NAN } else { *sum / f32::from(*count) * scale + zero };
            self.values.push(mean);
            *sum = 0.0;
            *count = 0;
        }
        self.rows_in_block = 0;
    }

    /// The reduced image of all rows that came.
    pub fn finish(mut self) -> Reduced {
        if self.rows_in_block > 0 {
            self.flush();
        }
        let height = self.values.len() / self.out_width.max(1);
        Reduced { width: self.out_width, height, factor: self.factor, values: self.values }
    }
}

/// Integer pixel types of FITS.
pub trait Pixel: Copy + PartialEq {
    /// Value in single precision.
    fn as_f32(self) -> f32;
    /// BLANK in this type; `None` when it cannot occur.
    fn of_blank(blank: i64) -> Option<Self>;
}

macro_rules! pixel {
    ($($type:ty),*) => {$(
        impl Pixel for $type {
            #[expect(clippy::cast_precision_loss, clippy::cast_lossless, clippy::allow_attributes, reason = "previews need single precision")]
            fn as_f32(self) -> f32 {
                self as f32
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
        let mut reducer = Reducer::new(5, 4, PLAIN);
        for row in [[1_i32, 2, 3, 4, 10], [1, 2, 3, 4, 20]] {
            reducer.push_integers(&row);
        }
        let reduced = reducer.finish();
        assert_eq!((reduced.width, reduced.height), (2, 1));
        assert_eq!(reduced.values, [2.5, 15.0]);
    }

    #[test]
    fn what_has_no_value_does_not_count() {
        let scaling = Scaling { scale: 2.0, zero: 1.0, blank: Some(-1) };
        let mut reducer = Reducer::new(4, 2, scaling);
        reducer.push_integers(&[-1_i16, 3, -1, -1]);
        reducer.push_integers(&[5_i16, -1, -1, -1]);
        let values = reducer.finish().values;
        assert_eq!(values[0], 9.0);
        assert!(values[1].is_nan());

        let mut reducer = Reducer::new(2, 2, PLAIN);
        reducer.push_floats(&[f32::NAN, 3.0]);
        reducer.push_floats(&[f32::INFINITY, 5.0]);
        assert_eq!(reducer.finish().values, [4.0]);
    }

    #[test]
    fn small_images_are_reduced_less() {
        let cases =
            [((2048, 2048), 4), ((300, 300), 4), ((200, 128), 2), ((64, 64), 1), ((5, 9), 1)];
        for ((width, height), factor) in cases {
            assert_eq!(factor_for(width, height, 4), factor, "{width} x {height}");
        }
    }
}
