//! Bytes of a file that belong to no HDU.

/// Bytes after the last HDU, or after a gzip stream, that are neither an HDU nor padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailing {
    /// True when the bytes follow a gzip stream.
    pub is_packed: bool,
    /// Offset of the first byte: in the file when the bytes follow a gzip stream, else in the unpacked file.
    pub offset: u64,
    /// Number of bytes.
    pub bytes: u64,
}

impl std::fmt::Display for Trailing {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { is_packed, offset, bytes } = self;
        let place = if *is_packed { "the gzip stream" } else { "the last HDU" };
        write!(
            out,
            "{bytes} bytes, from {offset}, follow {place} and are neither an extension nor padding"
        )
    }
}
