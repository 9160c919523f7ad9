//! Bits of a code, highest first, read without a test for the end: zeros follow it.

/// Bits of a 64-bit look-ahead that hold code whatever the position in its first byte.
pub(super) const LOOK_AHEAD_BITS: u32 = 57;

/// Returns the code from position `bit`, left-aligned: at least 57 bits, zeros after the end.
#[inline(always)]
pub(super) fn look_ahead(code: &[u8], bit: usize) -> u64 {
    let byte = bit >> 3;
    let word = match code.get(byte..byte + 8).map(<[u8; 8]>::try_from) {
        Some(Ok(bytes)) => u64::from_be_bytes(bytes),
        _ => look_beyond(code, byte),
    };
    word << (bit & 7)
}

/// Returns the last bytes of the code, filled up with zeros.
#[cold]
#[inline(never)]
fn look_beyond(code: &[u8], byte: usize) -> u64 {
    let rest = code.get(byte..).unwrap_or_default();
    let mut bytes = [0; 8];
    bytes[..rest.len()].copy_from_slice(rest);
    u64::from_be_bytes(bytes)
}

/// A reader of successive bits, used where codes are short and speed matters less.
#[derive(Debug)]
pub(super) struct BitReader<'a> {
    code: &'a [u8],
    bit: usize,
}

impl<'a> BitReader<'a> {
    /// Starts at the first bit of `code`.
    pub(super) fn new(code: &'a [u8]) -> Self {
        Self { code, bit: 0 }
    }

    /// Returns the next `count` bits, 1 to 32, without consuming them.
    pub(super) fn peek(&self, count: u32) -> u32 {
        (look_ahead(self.code, self.bit) >> (64 - count)) as u32
    }

    /// Skips `count` bits.
    pub(super) fn skip(&mut self, count: u32) {
        self.bit += count as usize;
    }

    /// Takes the next `count` bits, 1 to 32.
    pub(super) fn take(&mut self, count: u32) -> u32 {
        let bits = self.peek(count);
        self.skip(count);
        bits
    }

    /// Skips the rest of a partly read byte.
    pub(super) fn align(&mut self) {
        self.bit = self.bit.next_multiple_of(8);
    }

    /// Returns true when more bits were taken than the code has.
    pub(super) fn is_beyond_end(&self) -> bool {
        self.bit > self.code.len() * 8
    }
}
