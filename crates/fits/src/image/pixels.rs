//! Pixel types, and rows of pixels as they are stored.

use std::ops::Range;

use super::Scaling;

/// The type of stored pixels (BITPIX).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PixelType {
    /// BITPIX 8, unsigned.
    U8,
    /// BITPIX 16.
    I16,
    /// BITPIX 32.
    I32,
    /// BITPIX 64.
    I64,
    /// BITPIX -32.
    F32,
    /// BITPIX -64.
    F64,
}

impl PixelType {
    /// `None` for a number that is no BITPIX.
    pub fn from_bitpix(bitpix: i64) -> Option<Self> {
        Some(match bitpix {
            8 => Self::U8,
            16 => Self::I16,
            32 => Self::I32,
            64 => Self::I64,
            -32 => Self::F32,
            -64 => Self::F64,
            _ => return None,
        })
    }

    /// As in the header.
    pub fn bitpix(self) -> i64 {
        match self {
            Self::U8 => 8,
            Self::I16 => 16,
            Self::I32 => 32,
            Self::I64 => 64,
            Self::F32 => -32,
            Self::F64 => -64,
        }
    }

    /// Bytes of one pixel.
    pub fn bytes(self) -> usize {
        self.bitpix().unsigned_abs() as usize / 8
    }

    /// BITPIX above zero.
    pub fn is_integer(self) -> bool {
        self.bitpix() > 0
    }
}

/// Whole rows of an image, first pixel first, as stored: [`Scaling`] is yet to be applied.
///
/// Quantised floats are floats here, their null pixels NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rows<'a> {
    /// BITPIX 8.
    U8(&'a [u8]),
    /// BITPIX 16.
    I16(&'a [i16]),
    /// BITPIX 32.
    I32(&'a [i32]),
    /// BITPIX 64.
    I64(&'a [i64]),
    /// BITPIX -32.
    F32(&'a [f32]),
    /// BITPIX -64.
    F64(&'a [f64]),
}

/// Runs `$body` with `$pixels` bound to the slice, whatever its type.
macro_rules! with_pixels {
    ($rows:expr, $pixels:ident => $body:expr) => {
        match $rows {
            Rows::U8($pixels) => $body,
            Rows::I16($pixels) => $body,
            Rows::I32($pixels) => $body,
            Rows::I64($pixels) => $body,
            Rows::F32($pixels) => $body,
            Rows::F64($pixels) => $body,
        }
    };
}

impl<'a> Rows<'a> {
    /// Number of pixels.
    pub fn len(&self) -> usize {
        with_pixels!(self, pixels => pixels.len())
    }

    /// No pixels at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Some of the pixels; panics when `range` is out of bounds, as slices do.
    pub fn slice(self, range: Range<usize>) -> Rows<'a> {
        with_pixels!(self, pixels => Pixel::rows(&pixels[range]))
    }

    /// Appends physical values; BLANK becomes NaN. Computed in double precision, then rounded.
    pub fn append_f32(&self, scaling: &Scaling, values: &mut Vec<f32>) {
        match self {
            Rows::F32(pixels) if scaling.is_identity() => values.extend_from_slice(pixels),
            _ => with_pixels!(self, pixels => {
                append_physical(pixels, scaling, values, |value| value as f32);
            }),
        }
    }

    /// Appends physical values; BLANK becomes NaN.
    pub fn append_f64(&self, scaling: &Scaling, values: &mut Vec<f64>) {
        match self {
            Rows::F64(pixels) if scaling.is_identity() => values.extend_from_slice(pixels),
            _ => {
                with_pixels!(self, pixels => append_physical(pixels, scaling, values, |value| value))
            }
        }
    }
}

fn append_physical<P: Pixel, V>(
    pixels: &[P],
    scaling: &Scaling,
    values: &mut Vec<V>,
    round: impl Fn(f64) -> V,
) {
    let Scaling { bscale, bzero, .. } = *scaling;
    match scaling.blank.and_then(P::from_integer) {
        Some(blank) => values.extend(pixels.iter().map(|&pixel| {
            let value = if pixel == blank { f64::NAN } else { pixel.to_f64() * bscale + bzero };
            round(value)
        })),
        None => values.extend(pixels.iter().map(|&pixel| round(pixel.to_f64() * bscale + bzero))),
    }
}

/// A pixel type of the language; all code that is the same for several of them is generic over this.
pub(crate) trait Pixel: Copy + Default + PartialEq + 'static {
    /// Its BITPIX.
    const TYPE: PixelType;
    /// Where a [`super::Scratch`] keeps pixels of this type.
    fn buffer(buffers: &mut PixelBuffers) -> &mut Vec<Self>;
    /// Rows of this type.
    fn rows(pixels: &[Self]) -> Rows<'_>;
    /// Converts big-endian bytes, as many as fill `pixels`.
    fn read_big_endian(bytes: &[u8], pixels: &mut [Self]);
    /// The value as a double; large 64-bit integers are rounded.
    fn to_f64(self) -> f64;
    /// The pixel that has this value; `None` for floats, and what an integer type cannot hold.
    fn from_integer(value: i64) -> Option<Self>;
}

/// Reusable memory for pixels, one buffer per type; only those in use take any.
#[derive(Debug, Default)]
pub(crate) struct PixelBuffers {
    u8s: Vec<u8>,
    i16s: Vec<i16>,
    i32s: Vec<i32>,
    i64s: Vec<i64>,
    f32s: Vec<f32>,
    f64s: Vec<f64>,
}

macro_rules! impl_pixel {
    ($type:ty, $variant:ident, $buffer:ident, $from_integer:expr) => {
        impl Pixel for $type {
            const TYPE: PixelType = PixelType::$variant;
            fn buffer(buffers: &mut PixelBuffers) -> &mut Vec<Self> {
                &mut buffers.$buffer
            }
            fn rows(pixels: &[Self]) -> Rows<'_> {
                Rows::$variant(pixels)
            }
            fn read_big_endian(bytes: &[u8], pixels: &mut [Self]) {
                let (words, _) = bytes.as_chunks::<{ size_of::<$type>() }>();
                for (pixel, &word) in pixels.iter_mut().zip(words) {
                    *pixel = <$type>::from_be_bytes(word);
                }
            }
            fn to_f64(self) -> f64 {
                self as f64
            }
            fn from_integer(value: i64) -> Option<Self> {
                let convert: fn(i64) -> Option<Self> = $from_integer;
                convert(value)
            }
        }
    };
}

impl_pixel!(u8, U8, u8s, |value| value.try_into().ok());
impl_pixel!(i16, I16, i16s, |value| value.try_into().ok());
impl_pixel!(i32, I32, i32s, |value| value.try_into().ok());
impl_pixel!(i64, I64, i64s, Some);
impl_pixel!(f32, F32, f32s, |_| None);
impl_pixel!(f64, F64, f64s, |_| None);
