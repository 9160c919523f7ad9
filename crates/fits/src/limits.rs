//! Bounds on the work and memory that a file may require.

/// Bounds on what reading one file may cost. The defaults fit survey data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Unpacked bytes over packed bytes, for gzip files larger than `ratio_from_bytes` and for compressed tiles.
    pub expansion_ratio: u64,
    /// Unpacked bytes up to which a gzip file may have any ratio: an empty mask compresses a thousandfold.
    pub ratio_from_bytes: u64,
    /// Unpacked bytes of a gzip file, whatever its ratio. Only the first part of them is held in memory.
    pub unpacked_bytes: u64,
    /// Unpacked bytes of a compressed image, read in bands; more only in proportion to its code (`expansion_ratio`).
    pub image_bytes: u64,
    /// Values of an image that are read in one piece.
    pub values_bytes: u64,
    /// Cards of one header.
    pub header_cards: usize,
    /// HDUs of one file.
    pub hdus: usize,
    /// Memory for one piece of work: a band of an image, a tile, a batch of rows, a heap array.
    pub piece_bytes: usize,
}

impl Limits {
    /// Returns the size to which a gzip file of `packed_bytes` bytes may unpack.
    pub(crate) fn unpacked_of(&self, packed_bytes: u64) -> u64 {
        let by_ratio = packed_bytes.saturating_mul(self.expansion_ratio);
        by_ratio.max(self.ratio_from_bytes).min(self.unpacked_bytes)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            expansion_ratio: 200,
            // More than the largest frames of a survey: 3 x 3 microsteps of WFCAM take 604 MB.
            ratio_from_bytes: 1_000_000_000,
            unpacked_bytes: 4 << 30,
            // A few bytes may be a large empty mask: one of 16 000 x 13 000 pixels has 832 MB. No memory, but time.
            image_bytes: 4 << 30,
            values_bytes: 300_000_000,
            header_cards: 30_000,
            hdus: 10_000,
            piece_bytes: 96 << 20,
        }
    }
}
