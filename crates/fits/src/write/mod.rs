//! Writing FITS: headers, images, tables, byte for byte reproducible.
//!
//! Each function appends one HDU to a `Vec<u8>` that holds the file up to this HDU; the cards that the format requires are
//! derived from the data, all others from a [`HeaderBuilder`]. Same arguments, same bytes: no dates, no versions.
//!
//! Start at [`primary`], then [`rice_image()`] or [`bin_table`]. The caller publishes the bytes.
//! Does not know what a keyword means, and does not read.

mod cards;
mod image;
mod rice_image;
mod table;

pub use cards::HeaderBuilder;
pub use image::{Pixels, Place, image, primary};
pub use rice_image::{RicePixels, rice_image};
pub use table::{Column, Field, Rows, Values, bin_table, bin_table_rows};

use crate::checksum::{Accumulator, encode};

/// Bytes of a block: every header and every data unit is padded to a multiple.
pub const BLOCK_BYTES: usize = 2880;

/// Content that cannot be written as FITS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteFault {
    /// A keyword with characters that no reader accepts.
    #[error("{0:?} cannot be a keyword")]
    Keyword(String),
    /// Text beyond printable ASCII.
    #[error("{keyword}: {text:?} is not printable ASCII")]
    Text {
        /// The keyword, or COMMENT, HISTORY.
        keyword: String,
        /// The text to be written.
        text: String,
    },
    /// NaN or infinite.
    #[error("{0} = NaN or infinity cannot be written in a header")]
    NotFinite(String),
    /// A value that does not fit its card.
    #[error("the value of {0} does not fit a card")]
    TooLong(String),
    /// A number of pixels other than that of the axes.
    #[error("the axes require {wanted} pixels, {found} were passed")]
    PixelCount {
        /// Product of the axes.
        wanted: u64,
        /// Number of pixels passed.
        found: u64,
    },
    /// Values that do not make whole rows, or not as many as the other columns.
    #[error("column {column}: {values} values do not make {rows} rows")]
    RowCount {
        /// Its name.
        column: String,
        /// Number of values passed.
        values: usize,
        /// Rows of the table.
        rows: usize,
    },
    /// A text longer than its column is wide.
    #[error("column {column}: {text:?} is wider than {width}")]
    TextWidth {
        /// Its name.
        column: String,
        /// The text.
        text: String,
        /// Width of the column.
        width: usize,
    },
    /// More bytes than 32-bit array descriptors can address.
    #[error("the compressed image is larger than 2 GiB")]
    HeapTooLarge,
}

/// The choice of an HDU with or without DATASUM and CHECKSUM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checks {
    /// No such cards.
    Absent,
    /// Both, at the end of the header.
    Written,
}

/// Ends the header that begins at `start`, appends the data and pads both; `data` writes big-endian bytes.
fn finish_hdu(out: &mut Vec<u8>, start: usize, checks: Checks, data: impl FnOnce(&mut Vec<u8>)) {
    let sums_at = out.len();
    if checks == Checks::Written {
        // Placeholders of the final length; both sums are known only when everything else is complete.
        cards::push_text(out, "CHECKSUM", "0000000000000000", "HDU checksum");
        cards::push_text(out, "DATASUM", "0", "data unit checksum");
    }
    cards::push_end(out, start);
    let data_at = out.len();
    data(out);
    pad(out, data_at, 0);
    if checks == Checks::Written {
        let mut sum = Accumulator::default();
        sum.add(&out[data_at..]);
        let data_sum = sum.value();
        let mut card = Vec::with_capacity(80);
        cards::push_text(&mut card, "DATASUM", &data_sum.to_string(), "data unit checksum");
        out[sums_at + 80..sums_at + 160].copy_from_slice(&card);
        let mut sum = Accumulator::from_value(data_sum);
        sum.add(&out[start..data_at]);
        out[sums_at + 11..sums_at + 27].copy_from_slice(&encode(!sum.value()));
    }
}

/// Fills up to a whole block, counted from `start`.
fn pad(out: &mut Vec<u8>, start: usize, fill: u8) {
    let length = (out.len() - start).next_multiple_of(BLOCK_BYTES);
    out.resize(start + length, fill);
}
