//! Images as they are: the primary HDU and IMAGE extensions.

use super::cards::{push_text, push_value};
use super::{Checks, HeaderBuilder, WriteFault, finish_hdu};

/// Pixels in one of the six types of the standard, first axis fastest.
#[derive(Clone, Copy, Debug)]
pub enum Pixels<'a> {
    /// BITPIX 8, unsigned.
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

impl Pixels<'_> {
    fn bitpix(&self) -> i64 {
        match self {
            Self::U8(_) => 8,
            Self::I16(_) => 16,
            Self::I32(_) => 32,
            Self::I64(_) => 64,
            Self::F32(_) => -32,
            Self::F64(_) => -64,
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::U8(p) => p.len(),
            Self::I16(p) => p.len(),
            Self::I32(p) => p.len(),
            Self::I64(p) => p.len(),
            Self::F32(p) => p.len(),
            Self::F64(p) => p.len(),
        }
    }

    fn push(&self, out: &mut Vec<u8>) {
        match self {
            Self::U8(p) => out.extend_from_slice(p),
            Self::I16(p) => out.extend(p.iter().flat_map(|v| v.to_be_bytes())),
            Self::I32(p) => out.extend(p.iter().flat_map(|v| v.to_be_bytes())),
            Self::I64(p) => out.extend(p.iter().flat_map(|v| v.to_be_bytes())),
            Self::F32(p) => out.extend(p.iter().flat_map(|v| v.to_be_bytes())),
            Self::F64(p) => out.extend(p.iter().flat_map(|v| v.to_be_bytes())),
        }
    }
}

/// The place of an image in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The first HDU.
    Primary,
    /// Any other.
    Extension,
}

/// Appends a primary HDU without data, to be followed by extensions.
///
/// # Errors
/// The first fault of the header.
pub fn primary(
    out: &mut Vec<u8>,
    header: &HeaderBuilder,
    checks: Checks,
) -> Result<(), WriteFault> {
    image(out, Place::Primary, &[], Pixels::U8(&[]), header, checks)
}

/// Appends an image; `axes` are NAXISn, fastest first. BSCALE, BZERO, BLANK are cards of `header`.
///
/// # Errors
/// Pixels that do not fit the axes, or the first fault of the header.
pub fn image(
    out: &mut Vec<u8>,
    place: Place,
    axes: &[u64],
    pixels: Pixels<'_>,
    header: &HeaderBuilder,
    checks: Checks,
) -> Result<(), WriteFault> {
    let wanted = if axes.is_empty() { 0 } else { axes.iter().product() };
    if wanted != pixels.count() as u64 {
        return Err(WriteFault::PixelCount { wanted, found: pixels.count() as u64 });
    }
    let cards = header.cards()?;
    let start = out.len();
    match place {
        Place::Primary => push_value(out, "SIMPLE", "T", "file does conform to FITS standard"),
        Place::Extension => push_text(out, "XTENSION", "IMAGE", "IMAGE extension"),
    }
    push_value(out, "BITPIX", pixels.bitpix(), "number of bits per data pixel");
    push_value(out, "NAXIS", axes.len(), "number of data axes");
    for (n, axis) in (1..).zip(axes) {
        push_value(out, &format!("NAXIS{n}"), axis, &format!("length of data axis {n}"));
    }
    match place {
        Place::Primary => push_value(out, "EXTEND", "T", "FITS dataset may contain extensions"),
        Place::Extension => {
            push_value(out, "PCOUNT", 0, "required keyword; must = 0");
            push_value(out, "GCOUNT", 1, "required keyword; must = 1");
        }
    }
    out.extend_from_slice(cards);
    finish_hdu(out, start, checks, |out| pixels.push(out));
    Ok(())
}
