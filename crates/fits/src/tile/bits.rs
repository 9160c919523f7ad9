//! Bits of a code, highest first, read without a test for the end: zeros follow it.

/// Bits of a 64-bit look-ahead that hold code whatever the position in its first byte.
pub(super) const LOOK_AHEAD_BITS: u32 = 57;

/// The code from position `bit`, left-aligned: 57 bits at least, zeros after the end.
#[inline(always)]
pub(super) fn look_ahead(code: &[u8], bit: usize) -> u64 {
    let byte = bit >> 3;
    let word = match code.get(byte..byte + 8).map(<[u8; 8]>::try_from) {
        Some(Ok(bytes)) => u64::from_be_bytes(bytes),
        _ => look_beyond(code, byte),
    };
    word << (bit & 7)
}

/// The last bytes of the code, filled up with zeros.
#[cold]
#[inline(never)]
fn look_beyond(code: &[u8], byte: usize) -> u64 {
    let rest = code.get(byte..).unwrap_or_default();
    let mut bytes = [0; 8];
    bytes[..rest.len()].copy_from_slice(rest);
    u64::from_be_bytes(bytes)
}

/// Reads bits one after the other; used where codes are short and speed is not all.
#[derive(Debug)]
pub(super) struct BitReader<'a> {
    code: &'a [u8],
    bit: usize,
}

impl<'a> BitReader<'a> {
    /// From the first bit of `code`.
    pub(super) fn new(code: &'a [u8]) -> Self {
        Self { code, bit: 0 }
    }

    /// The next `count` bits, 1 to 32, without taking them.
    pub(super) fn peek(&self, count: u32) -> u32 {
        (look_ahead(self.code, self.bit) >> (64 - count)) as u32
    }

    /// Takes `count` bits.
    pub(super) fn skip(&mut self, count: u32) {
        self.bit += count as usize;
    }

    /// Takes the next `count` bits, 1 to 32.
    pub(super) fn take(&mut self, count: u32) -> u32 {
        let bits = self.peek(count);
        self.skip(count);
        bits
    }

    /// Leaves out the rest of a byte that was begun.
    pub(super) fn align(&mut self) {
        self.bit = self.bit.next_multiple_of(8);
    }

    /// More bits were taken than there are.
    pub(super) fn is_beyond_end(&self) -> bool {
        self.bit > self.code.len() * 8
    }
}
