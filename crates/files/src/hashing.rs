//! A writer that counts and hashes the bytes written through it, and the length and hash that it finds.

use sha2::{Digest, Sha256};
use std::io::{self, Write};

/// Length and hash of a published file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Length of the file.
    pub bytes: u64,
    /// SHA-256 of its content.
    pub sha256: [u8; 32],
}

/// A writer that counts and hashes the bytes written through it.
pub struct Hashing<W: Write> {
    inner: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Hashing<W> {
    /// Wraps a writer; nothing is counted yet.
    pub fn new(inner: W) -> Self {
        Self { inner, hash: Sha256::new(), bytes: 0 }
    }

    /// Returns the writer, and the length and hash of the bytes written; nothing is flushed.
    pub fn finish(self) -> (W, Published) {
        let published = Published { bytes: self.bytes, sha256: self.hash.finalize().into() };
        (self.inner, published)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buffer)?;
        self.hash.update(&buffer[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
