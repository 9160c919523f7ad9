//! The codecs of tile compression (FITS 4.0, section 10): the code of one tile, in bytes, and its pixels.
//!
//! They know nothing of files: bytes in, pixels out, and a [`CodecFault`] for all other bytes. A new codec is a file here and an
//! arm in [`crate::tile::settings::Algorithm`].

mod bits;
pub mod dither;
pub mod gzip;
pub mod hcompress;
pub mod plio;
pub mod rice;

/// The reason why the code of a tile cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecFault {
    /// The code ends before the tile does.
    #[error("the code ends before the last pixel")]
    CodeTooShort,
    /// More code than any encoder writes for the pixels of the tile.
    #[error("the code is longer than that of the pixels can be")]
    CodeTooLong,
    /// None of the columns has code for the tile.
    #[error("no column has code for the tile")]
    NoCode,
    /// A null pixel mask (ZMASKCMP), recognised and not read.
    #[error("the null pixels are in a separate mask, which is not supported")]
    NullPixelMask,
    /// The code holds more pixels than the tile has.
    #[error("the code has too many pixels")]
    TooManyPixels,
    /// The code holds another number of bytes than pixels of any type take.
    #[error("the code has another number of pixels")]
    PixelCount,
    /// ZSCALE and ZZERO of integer pixels.
    #[error("the integers have their own scale, which is not supported")]
    ScaledIntegers,
    /// Floats where integers are, or too large ones.
    #[error("the code has pixels of another type")]
    PixelType,
    /// A Rice block of a level that no encoder writes.
    #[error("a Rice block has a level that does not exist")]
    RiceLevel,
    /// The code does not begin like gzip.
    #[error("the code does not begin like gzip")]
    GzipHeader,
    /// The gzip stream is damaged or its check sum is wrong.
    #[error("the gzip stream is damaged")]
    GzipDamaged,
    /// A PLIO list whose header makes no sense.
    #[error("the PLIO list has an invalid header")]
    PlioHeader,
    /// A PLIO word that is not an instruction.
    #[error("the PLIO list has a word that is not an instruction")]
    PlioInstruction,
    /// The code does not begin like HCOMPRESS.
    #[error("the code does not begin like HCOMPRESS")]
    HcompressMagic,
    /// An HCOMPRESS tile of another shape.
    #[error("the HCOMPRESS code is of another shape")]
    HcompressShape,
    /// HCOMPRESS bit planes out of order.
    #[error("the HCOMPRESS bit planes are out of order")]
    HcompressPlanes,
}

impl CodecFault {
    /// Returns the machine-readable reason: snake case, stable.
    pub fn code(self) -> &'static str {
        match self {
            Self::CodeTooShort => "tile_code_too_short",
            Self::CodeTooLong => "tile_code_too_long",
            Self::NoCode => "tile_without_code",
            Self::NullPixelMask => "tile_null_pixel_mask",
            Self::TooManyPixels => "tile_too_many_pixels",
            Self::PixelCount => "tile_pixel_count",
            Self::ScaledIntegers => "tile_scaled_integers",
            Self::PixelType => "tile_pixel_type",
            Self::RiceLevel => "tile_rice_level",
            Self::GzipHeader => "tile_gzip_header",
            Self::GzipDamaged => "tile_gzip_damaged",
            Self::PlioHeader => "tile_plio_header",
            Self::PlioInstruction => "tile_plio_instruction",
            Self::HcompressMagic => "tile_hcompress_magic",
            Self::HcompressShape => "tile_hcompress_shape",
            Self::HcompressPlanes => "tile_hcompress_planes",
        }
    }
}
