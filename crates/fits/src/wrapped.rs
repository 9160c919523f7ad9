//! What a file is, decided by its first bytes: FITS, FITS inside gzip, or something that is refused.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

use crate::error::FitsFault;
use crate::limits::Limits;

/// How a FITS file was packed as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapper {
    /// Not at all.
    Plain,
    /// gzip; unpacked in memory.
    Gzip,
}

/// Bytes that [`sniff`] wants to see.
pub(crate) const SNIFF_BYTES: usize = 32;

/// First bytes of the formats that are known and not unpacked.
const WRAPPERS: [(&[u8], &str); 8] = [
    (b"BZh", "bzip2"),
    (b"\x1f\x9d", "compress"),
    (b"\x1f\xa0", "compress"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
];

/// Decides by content what the file is; `begin` are its first bytes, at most [`SNIFF_BYTES`].
pub(crate) fn sniff(begin: &[u8]) -> Result<Wrapper, FitsFault> {
    if begin.is_empty() {
        return Err(FitsFault::EmptyFile);
    }
    if begin.starts_with(b"\x1f\x8b") {
        return Ok(Wrapper::Gzip);
    }
    for (magic, wrapper) in WRAPPERS {
        if begin.starts_with(magic) {
            return Err(FitsFault::Wrapped { wrapper });
        }
    }
    if begin.starts_with(b"SIMPLE  =") {
        return Ok(Wrapper::Plain);
    }
    let shown = &begin[..begin.len().min(16)];
    Err(FitsFault::NotFits { begins: shown.escape_ascii().to_string() })
}

/// Unpacks a gzip stream of `packed_bytes` bytes, never holding more than the limits allow.
pub(crate) fn unpack(
    packed: impl Read,
    packed_bytes: u64,
    limits: &Limits,
) -> Result<Vec<u8>, FitsFault> {
    // Small files compress far better than the ratio; one block of FITS is always allowed.
    let by_ratio = packed_bytes.saturating_mul(limits.expansion_ratio).max(64 << 10);
    let allowed_bytes = by_ratio.min(limits.unpacked_bytes);
    let mut unpacked = Vec::new();
    let mut reader = MultiGzDecoder::new(packed).take(allowed_bytes.saturating_add(1));
    reader.read_to_end(&mut unpacked).map_err(gzip_fault)?;
    if unpacked.len() as u64 > allowed_bytes {
        return Err(FitsFault::GzipBomb { packed_bytes, allowed_bytes });
    }
    Ok(unpacked)
}

/// A damaged stream is the file's fault, anything else the machine's.
fn gzip_fault(error: io::Error) -> FitsFault {
    match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            FitsFault::GzipDamaged { text: error.to_string() }
        }
        _ => error.into(),
    }
}
