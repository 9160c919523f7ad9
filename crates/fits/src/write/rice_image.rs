//! Images in Rice-compressed tiles, laid out as cfitsio lays them out: one row a tile.

use super::cards::{push_text, push_value};
use super::table::{Field, push_fields, push_structure};
use super::{Checks, HeaderBuilder, WriteFault, finish_hdu};
use crate::codec::rice;

/// Pixels that RICE_1 codes without loss, first axis fastest.
#[derive(Clone, Copy, Debug)]
pub enum RicePixels<'a> {
    /// ZBITPIX 8, unsigned.
    U8(&'a [u8]),
    /// ZBITPIX 16.
    I16(&'a [i16]),
    /// ZBITPIX 32.
    I32(&'a [i32]),
}

/// Pixels that share a code parameter, as cfitsio's default has it.
const BLOCK_PIXELS: usize = 32;

impl RicePixels<'_> {
    fn bytes(&self) -> usize {
        match self {
            Self::U8(_) => 1,
            Self::I16(_) => 2,
            Self::I32(_) => 4,
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::U8(p) => p.len(),
            Self::I16(p) => p.len(),
            Self::I32(p) => p.len(),
        }
    }

    fn encode(&self, row: std::ops::Range<usize>, code: &mut Vec<u8>) {
        match self {
            Self::U8(p) => rice::encode(&p[row], BLOCK_PIXELS, code),
            Self::I16(p) => rice::encode(&p[row], BLOCK_PIXELS, code),
            Self::I32(p) => rice::encode(&p[row], BLOCK_PIXELS, code),
        }
    }
}

/// Appends a two-dimensional image of `width` x `height` pixels as a binary table with one Rice tile per row. BSCALE, BZERO and
/// other keywords of the image are cards of `header`.
///
/// # Errors
/// Pixels that do not fit the axes, more than 2 GiB of code, or the first fault of the header.
pub fn rice_image(
    out: &mut Vec<u8>,
    width: usize,
    height: usize,
    pixels: RicePixels<'_>,
    header: &HeaderBuilder,
    checks: Checks,
) -> Result<(), WriteFault> {
    let wanted = width as u64 * height as u64;
    if wanted != pixels.count() as u64 {
        return Err(WriteFault::PixelCount { wanted, found: pixels.count() as u64 });
    }
    let cards = header.cards()?;
    let mut heap = Vec::with_capacity(pixels.count() * pixels.bytes() / 2 + 64);
    let mut descriptors = Vec::with_capacity(8 * height);
    let mut max_length = 0;
    for row in 0..height {
        let at = heap.len();
        pixels.encode(row * width..(row + 1) * width, &mut heap);
        let length = heap.len() - at;
        max_length = max_length.max(length);
        for number in [length, at] {
            let number = i32::try_from(number).map_err(|_| WriteFault::HeapTooLarge)?;
            descriptors.extend_from_slice(&number.to_be_bytes());
        }
    }
    let start = out.len();
    push_structure(out, 8, height, heap.len(), 1);
    push_fields(out, &[Field::new("COMPRESSED_DATA", &format!("1PB({max_length})"))])?;
    push_compression(out, width, height, pixels.bytes());
    out.extend_from_slice(cards);
    out.reserve(descriptors.len() + heap.len() + 2 * super::BLOCK_BYTES);
    finish_hdu(out, start, checks, |out| {
        out.extend_from_slice(&descriptors);
        out.extend_from_slice(&heap);
    });
    Ok(())
}

/// Appends the cards of the tiled-image convention.
fn push_compression(out: &mut Vec<u8>, width: usize, height: usize, pixel_bytes: usize) {
    push_value(out, "ZIMAGE", "T", "extension contains compressed image");
    push_text(out, "ZTENSION", "IMAGE", "Image extension");
    push_value(out, "ZBITPIX", 8 * pixel_bytes, "data type of original image");
    push_value(out, "ZNAXIS", 2, "dimension of original image");
    push_value(out, "ZNAXIS1", width, "length of original image axis");
    push_value(out, "ZNAXIS2", height, "length of original image axis");
    push_value(out, "ZPCOUNT", 0, "required keyword; must = 0");
    push_value(out, "ZGCOUNT", 1, "required keyword; must = 1");
    push_value(out, "ZTILE1", width, "size of tiles to be compressed");
    push_value(out, "ZTILE2", 1, "size of tiles to be compressed");
    push_text(out, "ZCMPTYPE", "RICE_1", "compression algorithm");
    push_text(out, "ZNAME1", "BLOCKSIZE", "compression block size");
    push_value(out, "ZVAL1", BLOCK_PIXELS, "pixels per block");
    push_text(out, "ZNAME2", "BYTEPIX", "bytes per pixel (1, 2, 4, or 8)");
    push_value(out, "ZVAL2", pixel_bytes, "bytes per pixel (1, 2, 4, or 8)");
}
