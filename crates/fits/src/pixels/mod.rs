//! Pixel types, and rows of pixels as they are stored.

mod scaling;

use std::ops::Range;

pub(crate) use scaling::Blank;
pub use scaling::{Scaling, ValueType};

use crate::codec::dither::{Float, Quantization, Randoms};
use crate::codec::{CodecFault, rice};

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
    /// Returns the type of a BITPIX; `None` for a number that is not one.
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

    /// Returns BITPIX as in the header.
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

    /// Returns the number of bytes of one pixel.
    pub fn bytes(self) -> usize {
        self.bitpix().unsigned_abs() as usize / 8
    }

    /// Returns true when BITPIX is above zero.
    pub fn is_integer(self) -> bool {
        self.bitpix() > 0
    }
}

/// Whole rows of an image, first pixel first, as stored: [`Scaling`] is not applied.
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
    /// Returns the number of pixels.
    pub fn len(&self) -> usize {
        with_pixels!(self, pixels => pixels.len())
    }

    /// Returns true when there are no pixels.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns some of the pixels; panics when `range` is out of bounds, as slices do.
    pub fn slice(self, range: Range<usize>) -> Rows<'a> {
        with_pixels!(self, pixels => Pixel::rows(&pixels[range]))
    }

    /// Appends physical values; BLANK becomes NaN. Computed in double precision, then rounded.
    pub fn append_f32(&self, scaling: &Scaling, values: &mut Vec<f32>) {
        let first = values.len();
        values.resize(first + self.len(), 0.0);
        self.write_f32(scaling, &mut values[first..]);
    }

    /// Appends physical values; BLANK becomes NaN.
    pub fn append_f64(&self, scaling: &Scaling, values: &mut Vec<f64>) {
        let first = values.len();
        values.resize(first + self.len(), 0.0);
        self.write_f64(scaling, &mut values[first..]);
    }

    /// Writes the values of [`Rows::append_f32`] into a slice of the same length.
    pub fn write_f32(&self, scaling: &Scaling, values: &mut [f32]) {
        match self {
            Rows::F32(pixels) if scaling.is_identity() => values.copy_from_slice(pixels),
            Rows::I64(pixels) if scaling.bscale == 1.0 => write_offset(pixels, scaling, values),
            _ => with_pixels!(self, pixels => write_physical(pixels, scaling, values)),
        }
    }

    /// Writes the values of [`Rows::append_f64`] into a slice of the same length.
    pub fn write_f64(&self, scaling: &Scaling, values: &mut [f64]) {
        match self {
            Rows::F64(pixels) if scaling.is_identity() => values.copy_from_slice(pixels),
            Rows::I64(pixels) if scaling.bscale == 1.0 => write_offset(pixels, scaling, values),
            _ => with_pixels!(self, pixels => write_physical(pixels, scaling, values)),
        }
    }
}

fn write_physical<P: Pixel, V: Float>(pixels: &[P], scaling: &Scaling, values: &mut [V]) {
    let Scaling { bscale, bzero, .. } = *scaling;
    for (value, &pixel) in values.iter_mut().zip(pixels) {
        *value = V::from_f64(pixel.to_f64() * bscale + bzero);
    }
    write_blanks(pixels, scaling, values);
}

/// Writes the values of 64-bit integers with an offset, above all unsigned ones: the sum is exact, then rounded.
fn write_offset<V: Float>(pixels: &[i64], scaling: &Scaling, values: &mut [V]) {
    if scaling.bzero.fract() != 0.0 || scaling.bzero.abs() > 2f64.powi(64) {
        return write_physical(pixels, scaling, values);
    }
    let offset = scaling.bzero as i128;
    for (value, &pixel) in values.iter_mut().zip(pixels) {
        *value = V::from_f64((i128::from(pixel) + offset) as f64);
    }
    write_blanks(pixels, scaling, values);
}

fn write_blanks<P: Pixel, V: Float>(pixels: &[P], scaling: &Scaling, values: &mut [V]) {
    if let Some(blank) = scaling.blank.and_then(P::from_integer) {
        for (value, &pixel) in values.iter_mut().zip(pixels) {
            if pixel == blank {
                *value = V::from_f64(f64::NAN);
            }
        }
    }
}

/// A pixel type of Rust; code that several pixel types share is generic over this trait.
pub(crate) trait Pixel: Copy + Default + PartialEq + 'static {
    /// BITPIX of the type.
    const TYPE: PixelType;
    /// Returns the buffer of a [`crate::image::Scratch`] for pixels of this type.
    fn buffer(buffers: &mut PixelBuffers) -> &mut Vec<Self>;
    /// Wraps pixels of this type as rows.
    fn rows(pixels: &[Self]) -> Rows<'_>;
    /// Converts big-endian bytes, as many as fill `pixels`.
    fn read_big_endian(bytes: &[u8], pixels: &mut [Self]);
    /// Returns the value as a double; large 64-bit integers are rounded.
    fn to_f64(self) -> f64;
    /// Returns the pixel that has this value; `None` for floats, and for values that an integer type cannot hold.
    fn from_integer(value: i64) -> Option<Self>;
    /// Converts pixels of any type that a codec made, clipped to the range of this one.
    fn from_rows(rows: Rows<'_>, pixels: &mut [Self]) -> Result<(), CodecFault>;
    /// Decodes a Rice tile in place, when its coded pixels have this type; otherwise returns `None`.
    fn decode_rice(
        _code: &[u8],
        _block_pixels: usize,
        _pixel_bytes: usize,
        _pixels: &mut [Self],
    ) -> Option<Result<(), CodecFault>> {
        None
    }
    /// Restores floats from the integers that they were quantised to.
    fn restore(
        quantization: &Quantization,
        rows: Rows<'_>,
        randoms: &mut Randoms,
        pixels: &mut [Self],
    ) -> Result<(), CodecFault>;
}

/// Reusable memory for pixels, one buffer per type; only buffers in use take memory.
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
    ($type:ty, $variant:ident, $buffer:ident, { $($of_kind:tt)* }) => {
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
            $($of_kind)*
        }
    };
}

macro_rules! impl_integer {
    ($type:ty, $variant:ident, $buffer:ident $(, $decode_rice:item)?) => {
        impl_pixel!($type, $variant, $buffer, {
            fn from_integer(value: i64) -> Option<Self> {
                <$type>::try_from(value).ok()
            }
            fn from_rows(rows: Rows<'_>, pixels: &mut [Self]) -> Result<(), CodecFault> {
                match rows {
                    Rows::$variant(same) => pixels.copy_from_slice(same),
                    Rows::F32(_) | Rows::F64(_) => return Err(CodecFault::PixelType),
                    _ => with_pixels!(rows, other => {
                        for (pixel, &other) in pixels.iter_mut().zip(other) {
                            let min = <$type>::MIN as i64;
                            *pixel = (other as i64).clamp(min, <$type>::MAX as i64) as $type;
                        }
                    }),
                }
                Ok(())
            }
            fn restore(
                _: &Quantization,
                _: Rows<'_>,
                _: &mut Randoms,
                _: &mut [Self],
            ) -> Result<(), CodecFault> {
                Err(CodecFault::ScaledIntegers)
            }
            $($decode_rice)?
        });
    };
}

macro_rules! impl_float {
    ($type:ty, $variant:ident, $buffer:ident) => {
        impl_pixel!($type, $variant, $buffer, {
            fn from_integer(_: i64) -> Option<Self> {
                None
            }
            fn from_rows(rows: Rows<'_>, pixels: &mut [Self]) -> Result<(), CodecFault> {
                match rows {
                    Rows::$variant(same) => pixels.copy_from_slice(same),
                    _ => with_pixels!(rows, other => {
                        for (pixel, &other) in pixels.iter_mut().zip(other) {
                            *pixel = other as $type;
                        }
                    }),
                }
                Ok(())
            }
            fn restore(
                quantization: &Quantization,
                rows: Rows<'_>,
                randoms: &mut Randoms,
                pixels: &mut [Self],
            ) -> Result<(), CodecFault> {
                match rows {
                    Rows::U8(integers) => quantization.restore(integers, randoms, pixels),
                    Rows::I16(integers) => quantization.restore(integers, randoms, pixels),
                    Rows::I32(integers) => quantization.restore(integers, randoms, pixels),
                    _ => return Err(CodecFault::PixelType),
                }
                Ok(())
            }
        });
    };
}

/// [`Pixel::decode_rice`] of the types that RICE_1 codes.
macro_rules! impl_rice_integer {
    ($type:ty, $variant:ident, $buffer:ident) => {
        impl_integer!(
            $type,
            $variant,
            $buffer,
            fn decode_rice(
                code: &[u8],
                block_pixels: usize,
                pixel_bytes: usize,
                pixels: &mut [Self],
            ) -> Option<Result<(), CodecFault>> {
                let fits = pixel_bytes == size_of::<Self>();
                fits.then(|| rice::decode(code, block_pixels, pixels))
            }
        );
    };
}

impl_rice_integer!(u8, U8, u8s);
impl_rice_integer!(i16, I16, i16s);
impl_rice_integer!(i32, I32, i32s);
impl_integer!(i64, I64, i64s);
impl_float!(f32, F32, f32s);
impl_float!(f64, F64, f64s);
