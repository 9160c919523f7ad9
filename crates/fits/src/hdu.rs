//! One header and data unit: its kind, its place and its size.

use std::sync::OnceLock;

use crate::error::FitsFault;
pub use crate::hdu_index::HduIndex;
use crate::header::Header;
use crate::image_header;

/// The kind of data in an HDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HduKind {
    /// A header alone: the primary or an IMAGE extension with NAXIS = 0.
    NoData,
    /// Pixels as they are, in the primary or an IMAGE extension. An axis may have length 0.
    Image,
    /// An image in compressed tiles: a BINTABLE with ZIMAGE = T.
    CompressedImage,
    /// A binary table.
    BinTable,
    /// An ASCII table (XTENSION = 'TABLE').
    AsciiTable,
    /// A primary with GROUPS = T.
    RandomGroups,
    /// A binary table with ZTABLE = T; read as the table that is stored.
    CompressedTable,
    /// A conforming extension of another type, or bytes that are not an HDU (then with a fault).
    Other,
}

impl HduKind {
    /// Returns the kind in words, with its article.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::NoData => "a header alone",
            Self::Image => "an image",
            Self::CompressedImage => "a compressed image",
            Self::BinTable => "a binary table",
            Self::AsciiTable => "an ASCII table",
            Self::RandomGroups => "random groups",
            Self::CompressedTable => "a compressed table",
            Self::Other => "another extension",
        }
    }
}

/// One header and data unit, as found by the scan; no data was read.
#[derive(Clone, Debug)]
pub struct Hdu {
    /// Position in the file.
    pub index: HduIndex,
    /// The kind of data.
    pub kind: HduKind,
    /// The header as stored (for compressed images: that of the table).
    pub header: Header,
    /// Offset of the header in the (unwrapped) file.
    pub header_offset: u64,
    /// Offset of the data in the (unwrapped) file.
    pub data_offset: u64,
    /// Number of bytes of data without padding: |BITPIX|/8 x GCOUNT x (PCOUNT + product of NAXISn).
    pub data_bytes: u64,
    /// NAXISn, fastest first; of a compressed image those of the table.
    pub axes: Vec<u64>,
    /// BITPIX; of a compressed image that of the table.
    pub bitpix: i64,
    /// The fault for which the HDU cannot be used; `None` for a usable HDU. The header may be read in both cases.
    pub fault: Option<FitsFault>,
    pub(crate) image_header: OnceLock<Header>,
}

impl Hdu {
    /// Returns EXTNAME; `None` when absent.
    pub fn name(&self) -> Option<&str> {
        self.header.text("EXTNAME")
    }

    /// Returns the header of the image: for a compressed image ZNAXISn as NAXISn and so on, else the header as it is.
    pub fn image_header(&self) -> &Header {
        if self.kind != HduKind::CompressedImage {
            return &self.header;
        }
        self.image_header.get_or_init(|| image_header::of_table(&self.header))
    }
}
