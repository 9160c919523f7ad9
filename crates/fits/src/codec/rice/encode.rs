//! Encoder from pixels to code, bit for bit as cfitsio writes it.

use super::RicePixel;

/// Appends the code of one tile in blocks of `block` pixels (cfitsio's is 32).
pub fn encode<P: RicePixel>(pixels: &[P], block: usize, code: &mut Vec<u8>) {
    #[cfg(target_arch = "x86_64")]
    if super::has_bit_instructions() {
        // SAFETY: the function needs nothing but the instructions just found.
        return unsafe { encode_with_bit_instructions(pixels, block, code) };
    }
    encode_tile(pixels, block, code);
}

/// Runs [`encode_tile`], compiled for a processor with those instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,movbe")]
fn encode_with_bit_instructions<P: RicePixel>(pixels: &[P], block: usize, code: &mut Vec<u8>) {
    encode_tile(pixels, block, code);
}

#[inline(always)]
fn encode_tile<P: RicePixel>(pixels: &[P], block: usize, code: &mut Vec<u8>) {
    let Some(&first) = pixels.first() else { return };
    let block = block.clamp(1, pixels.len());
    let start = code.len();
    code.resize(start + code_bytes_max::<P>(pixels.len(), block), 0);
    let mut bits = BitWriter { code: &mut code[start..], byte: 0, word: 0, held: 0 };
    bits.put(u64::from(first.low_bits()), P::BITS);
    let mut folded = vec![0; block];
    let mut before = first;
    for pixels in pixels.chunks(block) {
        let folded = &mut folded[..pixels.len()];
        let sum = fold(pixels, before, folded);
        before = pixels[pixels.len() - 1];
        put_block::<P>(&mut bits, folded, sum);
    }
    let bytes = bits.finish();
    code.truncate(start + bytes);
}

/// Returns a bound on the length of a tile's code, with room for a whole word after it: by the choice of the level the zeros of
/// a block are at most 2.5 per pixel and one, and a level below the plain one leaves room for them.
fn code_bytes_max<P: RicePixel>(pixels: usize, block: usize) -> usize {
    let blocks = pixels.div_ceil(block);
    (pixels * (P::BITS as usize + 2) + blocks * 8) / 8 + P::BITS as usize / 8 + 16
}

/// Folds the differences of a block; returns their sum.
#[inline(always)]
fn fold<P: RicePixel>(pixels: &[P], before: P, folded: &mut [u32]) -> u64 {
    folded[0] = pixels[0].fold_difference(before);
    for (value, pair) in folded[1..].iter_mut().zip(pixels.windows(2)) {
        *value = pair[1].fold_difference(pair[0]);
    }
    folded.iter().map(|&value| u64::from(value)).sum()
}

/// Returns the number of low bits to write as they are, about log2 of the mean; cfitsio's rounding.
fn choose_level(sum: u64, pixels: u64) -> u32 {
    let mean = sum.saturating_sub(pixels / 2 + 1) / pixels;
    u64::BITS - (mean >> 1).leading_zeros()
}

#[inline(always)]
fn put_block<P: RicePixel>(bits: &mut BitWriter<'_>, folded: &[u32], sum: u64) {
    let fs = choose_level(sum, folded.len() as u64);
    if fs >= P::PLAIN_LEVEL {
        bits.put(u64::from(P::PLAIN_LEVEL) + 1, P::LEVEL_BITS);
        for &value in folded {
            bits.put(u64::from(value), P::BITS);
        }
    } else if sum == 0 {
        bits.put(0, P::LEVEL_BITS);
    } else {
        bits.put(u64::from(fs) + 1, P::LEVEL_BITS);
        let (pairs, last) = folded.as_chunks::<2>();
        for &pair in pairs {
            bits.put_codes(pair, fs);
        }
        for &value in last {
            bits.put_code(value, fs);
        }
    }
}

/// A writer of bits into bytes, highest first. `word` holds fewer than 8 bits, left-aligned, between calls.
struct BitWriter<'a> {
    code: &'a mut [u8],
    byte: usize,
    word: u64,
    held: u32,
}

impl BitWriter<'_> {
    /// Writes the low `count` bits of `value`, whose other bits are zero; `count` is 1 to 56.
    #[inline(always)]
    fn put(&mut self, value: u64, count: u32) {
        let word = self.word | value << (64 - self.held - count);
        self.code[self.byte..self.byte + 8].copy_from_slice(&word.to_be_bytes());
        let held = self.held + count;
        self.byte += (held >> 3) as usize;
        self.word = word << (held & !7);
        self.held = held & 7;
    }

    /// Writes two codes at once when they are short: each write waits for the previous one.
    #[inline(always)]
    fn put_codes(&mut self, [first, second]: [u32; 2], fs: u32) {
        let [first_zeros, second_zeros] = [first >> fs, second >> fs];
        let second_bits = second_zeros.saturating_add(1 + fs);
        let bits = first_zeros.saturating_add(1 + fs).saturating_add(second_bits);
        if bits <= 56 {
            self.put(one_and_low(first, fs) << second_bits | one_and_low(second, fs), bits);
        } else {
            self.put_code(first, fs);
            self.put_code(second, fs);
        }
    }

    fn put_code(&mut self, value: u32, fs: u32) {
        let mut zeros = value >> fs;
        while zeros > 31 {
            self.put(0, 31);
            zeros -= 31;
        }
        self.put(one_and_low(value, fs), zeros + 1 + fs);
    }

    /// Returns the number of bytes written; the last byte is filled up with zeros.
    fn finish(self) -> usize {
        self.byte + usize::from(self.held > 0)
    }
}

/// Returns the bits after the zeros of a code: a one, and the low bits.
#[inline(always)]
fn one_and_low(value: u32, fs: u32) -> u64 {
    1 << fs | u64::from(value) & ((1 << fs) - 1)
}
