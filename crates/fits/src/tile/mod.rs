//! Tile compression: the codecs and the arithmetic of quantised floats.

pub mod rice;

/// Why the code of a tile cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecFault {
    /// The code ends before the tile does.
    #[error("the code ends before the last pixel")]
    CodeTooShort,
    /// A Rice block of a level that no encoder writes.
    #[error("a Rice block has a level that does not exist")]
    RiceLevel,
}
