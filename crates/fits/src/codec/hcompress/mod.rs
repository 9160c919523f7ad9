//! HCOMPRESS_1: R. White's H-transform, its coefficients coded plane by plane as quadtrees (FITS 4.0, section 10.4.4).
//!
//! A tile is a two-dimensional array of rows. Its transform consists of quadrants: sums of 2x2 pixels, differences along the
//! columns, along the rows, and across; the sums are transformed again, until one remains.

mod inverse;
mod planes;

use super::CodecFault;

/// Memory that is reused from tile to tile.
#[derive(Debug, Default)]
pub struct Scratch {
    coefficients: Vec<i64>,
    expanded: Vec<i64>,
    quadtree: planes::Scratch,
}

/// The start of a tile's code: 0xDD99, rows, columns, scale, the sum, and the bit planes of the quadrants.
struct Preamble {
    rows: usize,
    columns: usize,
    scale: i64,
    sum: i64,
    planes: [u8; 3],
}

const PREAMBLE_BYTES: usize = 25;

/// Returns the bytes of scratch memory that a tile of `pixels` pixels takes.
pub fn scratch_bytes(pixels: u64) -> u64 {
    pixels.saturating_mul(17)
}

/// Decodes one tile of `row_pixels` a row. `smooth` evens out the steps that a lossy scale leaves.
///
/// # Errors
/// Damaged code, and tiles of another shape than the header of the image states.
pub fn decode(
    code: &[u8],
    row_pixels: usize,
    smooth: bool,
    scratch: &mut Scratch,
    pixels: &mut [i32],
) -> Result<(), CodecFault> {
    let preamble = Preamble::read(code)?;
    let Preamble { rows, columns, scale, .. } = preamble;
    // The quadrants of a single row or column would be empty; no encoder makes such a tile.
    if columns != row_pixels
        || rows.checked_mul(columns) != Some(pixels.len())
        || rows < 2
        || columns < 2
    {
        return Err(CodecFault::HcompressShape);
    }
    let Scratch { coefficients, expanded, quadtree } = scratch;
    coefficients.clear();
    coefficients.resize(pixels.len(), 0);
    planes::read(&code[PREAMBLE_BYTES..], columns, preamble.planes, quadtree, coefficients)?;
    coefficients[0] = preamble.sum;
    if scale > 1 {
        for coefficient in coefficients.iter_mut() {
            *coefficient = coefficient.wrapping_mul(scale);
        }
    }
    expanded.resize(pixels.len(), 0);
    inverse::transform(coefficients, columns, if smooth { scale / 2 } else { 0 }, expanded);
    for (pixel, &value) in pixels.iter_mut().zip(coefficients.iter()) {
        *pixel = value as i32;
    }
    Ok(())
}

impl Preamble {
    fn read(code: &[u8]) -> Result<Self, CodecFault> {
        let preamble = code.get(..PREAMBLE_BYTES).ok_or(CodecFault::CodeTooShort)?;
        if preamble[..2] != [0xdd, 0x99] {
            return Err(CodecFault::HcompressMagic);
        }
        let word = |at: usize| {
            preamble[at..at + 4].iter().fold(0i32, |word, &byte| word << 8 | i32::from(byte))
        };
        let length = |at: usize| usize::try_from(word(at)).map_err(|_| CodecFault::HcompressShape);
        Ok(Self {
            rows: length(2)?,
            columns: length(6)?,
            scale: i64::from(word(10)),
            sum: i64::from(word(14)) << 32 | i64::from(word(18) as u32),
            planes: [preamble[22], preamble[23], preamble[24]],
        })
    }
}
