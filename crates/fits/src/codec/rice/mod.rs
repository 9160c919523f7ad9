//! RICE_1: differences of neighbouring pixels, coded in blocks that adapt to the noise.
//!
//! The code of R. White as the FITS standard 4.0 (section 10.4.1) describes it: the first pixel as it is, then per block of
//! pixels a level `fs` of [`RicePixel::LEVEL_BITS`] bits (stored plus one), and each difference, folded to be non-negative, as
//! (value >> fs) zeros, a one, and its low `fs` bits. Level -1 means that all differences are zero, [`RicePixel::PLAIN_LEVEL`]
//! that they are written plainly.

mod decode;
mod encode;

pub use decode::{Decoder, decode};
pub use encode::encode;

/// A pixel type that RICE_1 codes (BYTEPIX 1, 2 and 4).
pub trait RicePixel: Copy + Default + 'static {
    /// Bits of a pixel.
    const BITS: u32;
    /// Bits of a block's level.
    const LEVEL_BITS: u32;
    /// Level at which differences are written plainly.
    const PLAIN_LEVEL: u32;
    /// Makes a pixel of the low bits of a sum of differences.
    fn from_low_bits(bits: u32) -> Self;
    /// Returns the pixel in the low bits, the rest zero.
    fn low_bits(self) -> u32;
    /// Returns the difference to the previous pixel, modulo 2^BITS, folded: 0, -1, 1, -2 ... become 0, 1, 2, 3 ...
    fn fold_difference(self, before: Self) -> u32;
}

impl RicePixel for u8 {
    const BITS: u32 = 8;
    const LEVEL_BITS: u32 = 3;
    const PLAIN_LEVEL: u32 = 6;
    #[inline(always)]
    fn from_low_bits(bits: u32) -> Self {
        bits as u8
    }
    #[inline(always)]
    fn low_bits(self) -> u32 {
        u32::from(self)
    }
    #[inline(always)]
    fn fold_difference(self, before: Self) -> u32 {
        let difference = self.wrapping_sub(before) as i8;
        u32::from((difference << 1 ^ difference >> 7) as u8)
    }
}

impl RicePixel for i16 {
    const BITS: u32 = 16;
    const LEVEL_BITS: u32 = 4;
    const PLAIN_LEVEL: u32 = 14;
    #[inline(always)]
    fn from_low_bits(bits: u32) -> Self {
        bits as i16
    }
    #[inline(always)]
    fn low_bits(self) -> u32 {
        u32::from(self as u16)
    }
    #[inline(always)]
    fn fold_difference(self, before: Self) -> u32 {
        let difference = self.wrapping_sub(before);
        u32::from((difference << 1 ^ difference >> 15) as u16)
    }
}

impl RicePixel for i32 {
    const BITS: u32 = 32;
    const LEVEL_BITS: u32 = 5;
    const PLAIN_LEVEL: u32 = 25;
    #[inline(always)]
    fn from_low_bits(bits: u32) -> Self {
        bits as i32
    }
    #[inline(always)]
    fn low_bits(self) -> u32 {
        self as u32
    }
    #[inline(always)]
    fn fold_difference(self, before: Self) -> u32 {
        let difference = self.wrapping_sub(before);
        (difference << 1 ^ difference >> 31) as u32
    }
}

/// Returns true when the processor counts and shifts bits in one step (every x86-64 since 2015).
#[cfg(target_arch = "x86_64")]
fn has_bit_instructions() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("movbe")
}
