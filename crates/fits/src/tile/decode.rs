//! One tile: from its code to pixels in place.

use super::settings::{Algorithm, Compression, Quantized};
use super::table::{CodeForm, TileCode};
use crate::codec::dither::{Quantization, Randoms};
use crate::codec::gzip::{self, Inflater};
use crate::codec::{CodecFault, hcompress, plio, rice};
use crate::column::Element;
use crate::pixels::{Pixel, PixelBuffers, PixelType, Rows};

/// A decoder of tiles; its memory is reused for each tile.
#[derive(Debug, Default)]
pub(crate) struct TileDecoder {
    inflater: Inflater,
    bytes: Vec<u8>,
    sorted: Vec<u8>,
    pixels: PixelBuffers,
    hcompress: hcompress::Scratch,
}

/// Size of a tile, and its start in the sequence of random numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TileShape {
    /// Pixels in all.
    pub pixels: usize,
    /// Pixels of a row.
    pub row_pixels: usize,
    /// See [`Quantization::start`].
    pub dither_start: u64,
}

/// The destination of a tile: `pixels` begins with the tile's first pixel, its rows are `row_step` apart.
pub(crate) struct Place<'b, P> {
    pub pixels: &'b mut [P],
    pub row_step: usize,
}

/// Returns the bytes of memory that decoding a tile takes in addition to its destination; `is_whole_rows` is true when tiles are as
/// wide as the image.
pub(crate) fn work_bytes(
    compression: &Compression,
    pixel_type: PixelType,
    is_whole_rows: bool,
    pixels: u64,
) -> u64 {
    let stored = pixel_type.bytes().max(4) as u64;
    let each = match compression.algorithm {
        Algorithm::Rice { pixel_bytes, .. }
            if is_whole_rows && pixel_type.is_integer() && pixel_type.bytes() == pixel_bytes =>
        {
            0 // decoded in place
        }
        Algorithm::Rice { pixel_bytes, .. } => pixel_bytes as u64,
        Algorithm::Gzip | Algorithm::Plain => 2 * stored,
        Algorithm::GzipShuffled => 3 * stored,
        Algorithm::Hcompress { .. } => 4 + hcompress::scratch_bytes(1),
        Algorithm::Plio { .. } => 4,
    };
    pixels.saturating_mul(each)
}

impl TileDecoder {
    /// Decodes a tile into its place.
    ///
    /// # Errors
    /// Any fault of the code.
    pub fn decode<P: Pixel>(
        &mut self,
        compression: &Compression,
        code: TileCode<'_>,
        shape: TileShape,
        place: Place<'_, P>,
    ) -> Result<(), CodecFault> {
        let quantization = quantization(compression, &code, shape);
        let is_scaled = code.scale.is_some_and(|scale| scale != 1.0) || code.zero != 0.0;
        if is_scaled && P::TYPE.is_integer() {
            return Err(CodecFault::ScaledIntegers);
        }
        if let (CodeForm::Compressed, Algorithm::Rice { block_pixels, pixel_bytes }) =
            (code.form, compression.algorithm)
            && quantization.is_none()
            && shape.row_pixels == place.row_step
        {
            let pixels = &mut place.pixels[..shape.pixels];
            if let Some(done) = P::decode_rice(code.bytes, block_pixels, pixel_bytes, pixels) {
                return done;
            }
        }
        let holds_floats = !P::TYPE.is_integer() && quantization.is_none();
        let pixels = self.decode_apart(compression, &code, shape, P::TYPE, holds_floats)?;
        put(pixels, quantization, shape, place)
    }

    /// Decodes a tile into memory of its own, in the type of its code.
    fn decode_apart(
        &mut self,
        compression: &Compression,
        code: &TileCode<'_>,
        shape: TileShape,
        target: PixelType,
        holds_floats: bool,
    ) -> Result<Rows<'_>, CodecFault> {
        match code.form {
            CodeForm::Compressed => {
                self.decode_code(compression.algorithm, code.bytes, shape, target, holds_floats)
            }
            CodeForm::Gzip => {
                self.decode_gzip(code.bytes, false, shape.pixels, target, holds_floats)
            }
            CodeForm::Plain(element) => {
                let pixel_type = pixel_type(element).ok_or(CodecFault::PixelType)?;
                if code.bytes.len() != shape.pixels * pixel_type.bytes() {
                    return Err(CodecFault::PixelCount);
                }
                Ok(convert(code.bytes, pixel_type, shape.pixels, &mut self.pixels))
            }
        }
    }

    fn decode_code(
        &mut self,
        algorithm: Algorithm,
        code: &[u8],
        shape: TileShape,
        target: PixelType,
        holds_floats: bool,
    ) -> Result<Rows<'_>, CodecFault> {
        let TileShape { pixels, row_pixels, .. } = shape;
        match algorithm {
            Algorithm::Rice { block_pixels, pixel_bytes: 1 } => {
                decode_rice::<u8>(code, block_pixels, pixels, &mut self.pixels)
            }
            Algorithm::Rice { block_pixels, pixel_bytes: 2 } => {
                decode_rice::<i16>(code, block_pixels, pixels, &mut self.pixels)
            }
            Algorithm::Rice { block_pixels, .. } => {
                decode_rice::<i32>(code, block_pixels, pixels, &mut self.pixels)
            }
            Algorithm::Gzip => self.decode_gzip(code, false, pixels, target, holds_floats),
            Algorithm::GzipShuffled => self.decode_gzip(code, true, pixels, target, holds_floats),
            Algorithm::Hcompress { smooth } => {
                let out = buffer::<i32>(&mut self.pixels, pixels);
                hcompress::decode(code, row_pixels, smooth, &mut self.hcompress, out)?;
                Ok(Rows::I32(out))
            }
            Algorithm::Plio { offset } => {
                let out = buffer::<i32>(&mut self.pixels, pixels);
                plio::decode(code, out)?;
                if offset != 0 {
                    out.iter_mut().for_each(|pixel| *pixel = pixel.wrapping_sub(offset));
                }
                Ok(Rows::I32(out))
            }
            Algorithm::Plain => {
                let pixel_type = type_of_length(code.len(), pixels, holds_floats)?;
                Ok(convert(code, pixel_type, pixels, &mut self.pixels))
            }
        }
    }

    fn decode_gzip(
        &mut self,
        code: &[u8],
        is_sorted: bool,
        pixels: usize,
        target: PixelType,
        holds_floats: bool,
    ) -> Result<Rows<'_>, CodecFault> {
        let bytes_max = pixels * target.bytes().max(4);
        let unpacked = if is_sorted { &mut self.sorted } else { &mut self.bytes };
        self.inflater.inflate(code, bytes_max, unpacked)?;
        let pixel_type = type_of_length(unpacked.len(), pixels, holds_floats)?;
        if is_sorted {
            gzip::unshuffle(&self.sorted, pixel_type.bytes(), &mut self.bytes);
        }
        Ok(convert(&self.bytes, pixel_type, pixels, &mut self.pixels))
    }
}

/// Returns the quantisation of a tile; `None` when its code has the pixels themselves.
fn quantization(
    compression: &Compression,
    code: &TileCode<'_>,
    shape: TileShape,
) -> Option<Quantization> {
    match (compression.quantized, code.form, code.scale) {
        (Quantized::With(dither), CodeForm::Compressed, Some(scale)) => {
            let TileCode { zero, blank, .. } = *code;
            Some(Quantization { dither, start: shape.dither_start, scale, zero, blank })
        }
        _ => None,
    }
}

fn decode_rice<'b, P: Pixel + rice::RicePixel>(
    code: &[u8],
    block_pixels: usize,
    pixels: usize,
    buffers: &'b mut PixelBuffers,
) -> Result<Rows<'b>, CodecFault> {
    let out = buffer::<P>(buffers, pixels);
    rice::decode(code, block_pixels, out)?;
    Ok(P::rows(out))
}

fn buffer<P: Pixel>(buffers: &mut PixelBuffers, pixels: usize) -> &mut [P] {
    let buffer = P::buffer(buffers);
    buffer.resize(pixels, P::default());
    buffer
}

/// Returns the type of coded pixels. The number of bytes determines the width of a pixel, but not whether pixels are floats.
fn type_of_length(
    bytes: usize,
    pixels: usize,
    holds_floats: bool,
) -> Result<PixelType, CodecFault> {
    let width = bytes.checked_div(pixels).filter(|width| width * pixels == bytes);
    match (width, holds_floats) {
        (Some(1), _) => Ok(PixelType::U8),
        (Some(2), _) => Ok(PixelType::I16),
        (Some(4), false) => Ok(PixelType::I32),
        (Some(4), true) => Ok(PixelType::F32),
        (Some(8), false) => Ok(PixelType::I64),
        (Some(8), true) => Ok(PixelType::F64),
        _ => Err(CodecFault::PixelCount),
    }
}

fn pixel_type(element: Element) -> Option<PixelType> {
    Some(match element {
        Element::Byte => PixelType::U8,
        Element::Short => PixelType::I16,
        Element::Int => PixelType::I32,
        Element::Long => PixelType::I64,
        Element::Float => PixelType::F32,
        Element::Double => PixelType::F64,
        _ => return None,
    })
}

/// Converts big-endian bytes to pixels.
fn convert<'b>(
    bytes: &[u8],
    pixel_type: PixelType,
    pixels: usize,
    buffers: &'b mut PixelBuffers,
) -> Rows<'b> {
    fn to<'b, P: Pixel>(bytes: &[u8], pixels: usize, buffers: &'b mut PixelBuffers) -> Rows<'b> {
        let out = buffer::<P>(buffers, pixels);
        P::read_big_endian(bytes, out);
        P::rows(out)
    }
    match pixel_type {
        PixelType::U8 => to::<u8>(bytes, pixels, buffers),
        PixelType::I16 => to::<i16>(bytes, pixels, buffers),
        PixelType::I32 => to::<i32>(bytes, pixels, buffers),
        PixelType::I64 => to::<i64>(bytes, pixels, buffers),
        PixelType::F32 => to::<f32>(bytes, pixels, buffers),
        PixelType::F64 => to::<f64>(bytes, pixels, buffers),
    }
}

/// Copies a decoded tile to its place, as pixels of the image's type.
fn put<P: Pixel>(
    pixels: Rows<'_>,
    quantization: Option<Quantization>,
    shape: TileShape,
    place: Place<'_, P>,
) -> Result<(), CodecFault> {
    let mut randoms = Randoms::new(shape.dither_start);
    let Place { pixels: target, row_step } = place;
    // Rows that are whole rows of the image are contiguous in both.
    let width = if shape.row_pixels == row_step { shape.pixels } else { shape.row_pixels };
    for (row, target) in target.chunks_mut(row_step.max(width)).enumerate() {
        let first = row * width;
        if first >= shape.pixels {
            break;
        }
        let source = pixels.slice(first..first + width);
        let target = &mut target[..width];
        match quantization {
            Some(quantization) => P::restore(&quantization, source, &mut randoms, target)?,
            None => P::from_rows(source, target)?,
        }
    }
    Ok(())
}
