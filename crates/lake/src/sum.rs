//! Checksums of the lake's files: XXH64 with seed 0. They detect bit rot, not manipulation, and cost next to nothing.

use std::hash::Hasher;
use std::io::{self, Read, Write};
use twox_hash::XxHash64;

/// A writer that sums the bytes written through it.
pub struct Summed<W: Write> {
    inner: W,
    hash: XxHash64,
}

impl<W: Write> Summed<W> {
    /// Wraps `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, hash: XxHash64::with_seed(0) }
    }

    /// Returns the sum, hexadecimal.
    pub fn finish(self) -> String {
        format!("{:016x}", self.hash.finish())
    }
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buffer)?;
        self.hash.write(&buffer[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Returns the sum of all bytes of a reader.
///
/// # Errors
/// Errors of the reader.
pub fn xxhash64(mut from: impl Read) -> io::Result<String> {
    let mut summed = Summed::new(io::sink());
    io::copy(&mut from, &mut summed)?;
    Ok(summed.finish())
}
