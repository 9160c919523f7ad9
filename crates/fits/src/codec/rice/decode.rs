//! Decoder from code to pixels, which takes most of the time of previews.
//!
//! The decoder takes as many differences from a look-ahead of 57 bits as usually fit ([`take_codes`]), then turns a block of
//! them into pixels ([`undo_differences`]). When a run of zeros is too long for the look-ahead, the group is read again, one
//! code at a time ([`take_code`]). Bits beyond the end of the code read as zeros, and every block checks that it ended in time.

use super::RicePixel;
use crate::codec::CodecFault;
use crate::codec::bits::{LOOK_AHEAD_BITS, look_ahead};

/// Differences that are expanded together: a usual block, or a part of a long one.
const CHUNK: usize = 32;

/// Decodes one tile: `pixels.len()` pixels in blocks of `block` from `code`.
///
/// # Errors
/// Fails when the code ends before the pixels do, or names a level that no encoder writes.
pub fn decode<P: RicePixel>(code: &[u8], block: usize, pixels: &mut [P]) -> Result<(), CodecFault> {
    if pixels.is_empty() {
        return Ok(());
    }
    Decoder::start(code)?.decode(code, block, pixels)
}

/// A partly decoded tile: the position in its code, and the last pixel.
#[derive(Clone, Copy, Debug)]
pub struct Decoder<P> {
    bit: usize,
    last: P,
}

impl<P: RicePixel> Decoder<P> {
    /// Reads the first pixel.
    ///
    /// # Errors
    /// Fails when the code is shorter than a pixel.
    pub fn start(code: &[u8]) -> Result<Self, CodecFault> {
        let bytes = code.get(..P::BITS as usize / 8).ok_or(CodecFault::CodeTooShort)?;
        let first = bytes.iter().fold(0, |bits, &byte| bits << 8 | u32::from(byte));
        Ok(Self { bit: P::BITS as usize, last: P::from_low_bits(first) })
    }

    /// Decodes the next pixels: whole blocks, except at the end of the tile.
    ///
    /// # Errors
    /// As [`decode`].
    pub fn decode(
        &mut self,
        code: &[u8],
        block: usize,
        pixels: &mut [P],
    ) -> Result<(), CodecFault> {
        #[cfg(target_arch = "x86_64")]
        if super::has_bit_instructions() {
            // SAFETY: the function needs nothing but the instructions just found.
            return unsafe { decode_with_bit_instructions(self, code, block, pixels) };
        }
        decode_blocks(self, code, block, pixels)
    }
}

/// Runs [`decode_blocks`], compiled for a processor with those instructions: twice as fast.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,movbe")]
fn decode_with_bit_instructions<P: RicePixel>(
    state: &mut Decoder<P>,
    code: &[u8],
    block: usize,
    pixels: &mut [P],
) -> Result<(), CodecFault> {
    decode_blocks(state, code, block, pixels)
}

#[inline(always)]
fn decode_blocks<P: RicePixel>(
    state: &mut Decoder<P>,
    code: &[u8],
    block: usize,
    pixels: &mut [P],
) -> Result<(), CodecFault> {
    let code_bits = code.len() * 8;
    let mut bit = state.bit;
    let mut last = state.last;
    let mut codes = [0u32; CHUNK];
    for pixels in pixels.chunks_mut(block.max(1)) {
        let level = (look_ahead(code, bit) >> (64 - P::LEVEL_BITS)) as u32;
        bit += P::LEVEL_BITS as usize;
        if level == 0 {
            pixels.fill(last);
        } else {
            for pixels in pixels.chunks_mut(CHUNK) {
                let codes = &mut codes[..pixels.len()];
                let base = if level - 1 == P::PLAIN_LEVEL { 0 } else { 1 << (level - 1) };
                bit = take_block::<P>(code, bit, level - 1, codes)?;
                undo_differences(codes, base, &mut last, pixels);
            }
        }
        if bit > code_bits {
            return Err(CodecFault::CodeTooShort);
        }
    }
    *state = Decoder { bit, last };
    Ok(())
}

/// Reads the folded differences of a block, or part of one; returns the position after it.
#[inline(always)]
fn take_block<P: RicePixel>(
    code: &[u8],
    bit: usize,
    fs: u32,
    codes: &mut [u32],
) -> Result<usize, CodecFault> {
    if fs == P::PLAIN_LEVEL {
        Ok(take_plain(code, bit, P::BITS, codes))
    } else if fs > P::PLAIN_LEVEL {
        Err(CodecFault::RiceLevel)
    } else if fs <= 2 {
        take_groups::<8>(code, bit, fs, codes)
    } else if fs <= 9 {
        take_groups::<4>(code, bit, fs, codes)
    } else {
        take_groups::<2>(code, bit, fs, codes)
    }
}

/// Reads codes in groups of `N`, the number that usually fits into the look-ahead.
#[inline(always)]
fn take_groups<const N: usize>(
    code: &[u8],
    mut bit: usize,
    fs: u32,
    codes: &mut [u32],
) -> Result<usize, CodecFault> {
    let (groups, rest) = codes.as_chunks_mut::<N>();
    for group in groups {
        let used = take_codes(look_ahead(code, bit), fs, group);
        if used <= LOOK_AHEAD_BITS {
            bit += used as usize;
        } else {
            for value in group {
                bit = take_code(code, bit, fs, value)?;
            }
        }
    }
    for value in rest {
        bit = take_code(code, bit, fs, value)?;
    }
    Ok(bit)
}

/// Reads `N` codes from the look-ahead; returns the number of bits they took, which is valid only if the look-ahead holds as
/// many.
///
/// Each value keeps the one bit that ends the zeros, and is therefore too large by `1 << fs`.
#[inline(always)]
fn take_codes<const N: usize>(mut bits: u64, fs: u32, codes: &mut [u32; N]) -> u32 {
    let mut used = N as u32 * (fs + 1);
    for value in codes {
        let zeros = bits.leading_zeros();
        let from_one = bits.wrapping_shl(zeros);
        *value = (u64::from(zeros) << fs).wrapping_add(from_one >> (63 - fs)) as u32;
        bits = from_one << (fs + 1);
        used += zeros;
    }
    used
}

/// Reads one code whose zeros may be many; returns the position after it. The value is too large like those of [`take_codes`].
#[cold]
#[inline(never)]
fn take_code(code: &[u8], mut bit: usize, fs: u32, value: &mut u32) -> Result<usize, CodecFault> {
    let mut zeros = 0u32;
    loop {
        let bits = look_ahead(code, bit);
        let here = bits.leading_zeros();
        if here < LOOK_AHEAD_BITS {
            zeros = zeros.wrapping_add(here);
            bit += here as usize + 1;
            break;
        }
        if bit >= code.len() * 8 {
            return Err(CodecFault::CodeTooShort);
        }
        zeros = zeros.wrapping_add(LOOK_AHEAD_BITS);
        bit += LOOK_AHEAD_BITS as usize;
    }
    let low = (look_ahead(code, bit) >> 1 >> (63 - fs)) as u32;
    *value = zeros.wrapping_add(1).wrapping_shl(fs) | low;
    Ok(bit + fs as usize)
}

/// Reads differences of the highest level: all bits of each.
fn take_plain(code: &[u8], mut bit: usize, bits: u32, codes: &mut [u32]) -> usize {
    for value in codes {
        *value = (look_ahead(code, bit) >> (64 - bits)) as u32;
        bit += bits as usize;
    }
    bit
}

/// Unfolds differences, too large by `base` each, and adds them up.
#[inline(always)]
fn undo_differences<P: RicePixel>(codes: &mut [u32], base: u32, last: &mut P, pixels: &mut [P]) {
    for code in codes.iter_mut() {
        let folded = code.wrapping_sub(base);
        *code = (folded >> 1) ^ (folded & 1).wrapping_neg();
    }
    let mut sum = last.low_bits();
    let (eights, rest) = codes.as_chunks::<8>();
    let (pixel_eights, pixel_rest) = pixels.as_chunks_mut::<8>();
    for (pixels, &differences) in pixel_eights.iter_mut().zip(eights) {
        let sums = running_sums(differences);
        for (pixel, from_here) in pixels.iter_mut().zip(sums) {
            *pixel = P::from_low_bits(sum.wrapping_add(from_here));
        }
        sum = sum.wrapping_add(sums[7]);
    }
    for (pixel, &difference) in pixel_rest.iter_mut().zip(rest) {
        sum = sum.wrapping_add(difference);
        *pixel = P::from_low_bits(sum);
    }
    *last = P::from_low_bits(sum);
}

/// Computes running sums in three steps of a whole vector instead of seven of one number.
#[inline(always)]
fn running_sums(values: [u32; 8]) -> [u32; 8] {
    let sums = add_shifted::<1>(values);
    let sums = add_shifted::<2>(sums);
    add_shifted::<4>(sums)
}

#[inline(always)]
fn add_shifted<const BY: usize>(sums: [u32; 8]) -> [u32; 8] {
    std::array::from_fn(|at| if at >= BY { sums[at].wrapping_add(sums[at - BY]) } else { sums[at] })
}
