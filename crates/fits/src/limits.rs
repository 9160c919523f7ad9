//! How much a file may ask for.

/// Bounds on what reading one file may cost. The defaults fit survey data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Unpacked bytes over packed bytes, for gzip files and for compressed tiles.
    pub expansion_ratio: u64,
    /// Unpacked bytes of a gzip file, held in memory.
    pub unpacked_bytes: u64,
    /// Unpacked bytes of a compressed image, read in bands; more only in proportion to its code (`expansion_ratio`).
    pub image_bytes: u64,
    /// Cards of one header.
    pub header_cards: usize,
    /// HDUs of one file.
    pub hdus: usize,
    /// Memory for one piece of work: a band of an image, a tile, a batch of rows, a heap array.
    pub piece_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            expansion_ratio: 200,
            unpacked_bytes: 300_000_000,
            // A few bytes may be a large empty mask: one of 16 000 x 13 000 pixels has 832 MB. No memory, but time.
            image_bytes: 4 << 30,
            header_cards: 30_000,
            hdus: 10_000,
            piece_bytes: 96 << 20,
        }
    }
}
