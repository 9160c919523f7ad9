//! Faults of a FITS file, and their places.

use std::io;
use std::path::{Path, PathBuf};

use crate::codec::CodecFault;
use crate::hdu_index::HduIndex;

/// A FITS file that could not be used, and the place of the fault in it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("cannot use {}{}", file.display(), hdu.map(|index| format!("[{}]", index.0)).unwrap_or_default())]
pub struct FitsError {
    /// The file as it was named to [`crate::FitsFile::open`].
    pub file: PathBuf,
    /// The HDU, primary = 0; `None` when the file as a whole is at fault.
    pub hdu: Option<HduIndex>,
    /// The fault.
    #[source]
    pub fault: FitsFault,
}

impl FitsError {
    /// Makes the error for a fault of the file as a whole.
    pub fn of_file(file: &Path, fault: FitsFault) -> Self {
        Self { file: file.to_path_buf(), hdu: None, fault }
    }

    /// Makes the error for a fault inside one HDU.
    pub fn in_hdu(file: &Path, hdu: HduIndex, fault: FitsFault) -> Self {
        Self { file: file.to_path_buf(), hdu: Some(hdu), fault }
    }
}

/// The kind of fault, without its place. [`FitsFault::code`] is stable; the message is for readers.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FitsFault {
    // The file as a whole.
    /// The operating system could not read; see [`FitsFault::is_transient`].
    #[error("reading stopped: {text}")]
    Io {
        /// The operating system's class of error.
        kind: io::ErrorKind,
        /// The operating system's message.
        text: String,
    },
    /// Not opened: absent, unreadable, or not a regular file (directory, pipe, device, symbolic link).
    #[error("the file {text}")]
    NotOpened {
        /// The reason code of the crate that opens files.
        code: &'static str,
        /// The reason in words.
        text: String,
    },
    /// No bytes at all.
    #[error("the file is empty")]
    EmptyFile,
    /// The file does not begin with `SIMPLE  =`.
    #[error("the file begins with '{begins}', not like FITS")]
    NotFits {
        /// The first bytes, escaped.
        begins: String,
    },
    /// Packed by a program whose format is not read here.
    #[error("the file is packed with {wrapper}, which is not supported")]
    Wrapped {
        /// bzip2, compress, zip, xz, zstd, ...
        wrapper: &'static str,
    },
    /// The gzip stream breaks off or its check sum is wrong.
    #[error("the gzip stream is damaged: {text}")]
    GzipDamaged {
        /// The decoder's message.
        text: String,
    },
    /// The unpacked file is larger than the limits allow.
    #[error("the file unpacks to more than {allowed_bytes} bytes, from {packed_bytes}")]
    GzipBomb {
        /// Bytes before unpacking.
        packed_bytes: u64,
        /// Bytes that [`crate::Limits`] allow for it.
        allowed_bytes: u64,
    },
    /// More HDUs than the limits allow.
    #[error("the file has more than {allowed} HDUs")]
    TooManyHdus {
        /// The limit.
        allowed: usize,
    },
    /// An index that is not that of an HDU of the file.
    #[error("there is no such HDU, the file has {count}")]
    NoSuchHdu {
        /// HDUs in the file.
        count: usize,
    },

    // Headers.
    /// No END card before the end of the file.
    #[error("the header has no END card")]
    MissingEnd,
    /// A header longer than the limits allow.
    #[error("the header is longer than {allowed_cards} cards")]
    HeaderTooLong {
        /// The limit.
        allowed_cards: usize,
    },
    /// SIMPLE = F: the file declares itself not to be standard FITS, so nothing is known of the content after the header.
    #[error("SIMPLE = F, the file itself says that it does not conform to the standard")]
    NotStandard,
    /// Bytes after an HDU that are neither an extension nor padding.
    #[error("the last {bytes} bytes, from {offset}, are neither an extension nor padding")]
    NotAnHdu {
        /// Offset of the bytes in the (unwrapped) file.
        offset: u64,
        /// Number of bytes to the end of the file.
        bytes: u64,
    },
    /// A mandatory keyword occurs twice with different values.
    #[error("keyword {keyword} occurs twice with different values")]
    Contradiction {
        /// The keyword.
        keyword: String,
    },
    /// A required keyword is absent.
    #[error("keyword {0} is missing")]
    MissingKeyword(String),
    /// A required keyword is not at the place that the standard requires.
    #[error("keyword {keyword} is missing from its place, card {card}")]
    KeywordOrder {
        /// The keyword.
        keyword: String,
        /// Number of the card that should hold the keyword, from 1.
        card: usize,
    },
    /// A keyword whose value has the wrong type.
    #[error("keyword {keyword} holds {found}, not {wanted}")]
    WrongType {
        /// The keyword.
        keyword: String,
        /// The value as written.
        found: String,
        /// The expected type, with its article.
        wanted: &'static str,
    },
    /// A keyword whose value has the right type but is invalid.
    #[error("keyword {keyword} = {found} is {problem}")]
    BadValue {
        /// The keyword.
        keyword: String,
        /// The value as written.
        found: String,
        /// The problem, such as "not a FITS pixel type".
        problem: &'static str,
    },
    /// NAXISn, PCOUNT, GCOUNT, ... below zero.
    #[error("keyword {keyword} = {found} is negative")]
    Negative {
        /// The keyword.
        keyword: String,
        /// Its value.
        found: i64,
    },
    /// The product of the axes (with PCOUNT and GCOUNT) is not a possible file size.
    #[error("the data would have more than 2^63 bytes (NAXISn x PCOUNT x GCOUNT)")]
    SizeOverflow,
    /// The extension's type is unknown to this reader.
    #[error("extension type {0:?} is not read")]
    UnknownExtension(String),
    /// Random groups are recognised and not read.
    #[error("random groups are not read")]
    RandomGroups,
    /// An image or table was requested from an HDU that holds the other, or nothing.
    #[error("the HDU is {found}, not {wanted}")]
    WrongKind {
        /// The kind of the HDU, with its article.
        found: &'static str,
        /// The requested kind, with its article.
        wanted: &'static str,
    },

    // Data.
    /// The file ends inside the data.
    #[error("data end {short_bytes} bytes early")]
    Truncated {
        /// Number of missing bytes, padding not counted.
        short_bytes: u64,
    },
    /// DATASUM does not fit the data.
    #[error("DATASUM is {stored}, the data sum to {computed}")]
    DataSum {
        /// The sum in the header.
        stored: String,
        /// The sum of the bytes in the file.
        computed: u32,
    },
    /// The work or memory that the file requires is more than the limits allow.
    #[error("{what} would take {wanted} bytes, {allowed} are allowed")]
    TooLarge {
        /// The object that is too large, such as "a tile".
        what: &'static str,
        /// Bytes required.
        wanted: u64,
        /// Bytes allowed.
        allowed: u64,
    },

    // Tables.
    /// TFORMn is not a format of the table's kind.
    #[error("TFORM{column} = {found:?} is not a column format")]
    BadFormat {
        /// Column number, from 1.
        column: usize,
        /// TFORMn as written.
        found: String,
    },
    /// The columns require another row length than NAXIS1.
    #[error("a row has {row_bytes} bytes (NAXIS1), the columns need {column_bytes}")]
    RowLength {
        /// NAXIS1.
        row_bytes: u64,
        /// Sum of the columns.
        column_bytes: u64,
    },
    /// A column was requested in a type that it cannot have.
    #[error("column {column} has format {tform}, which does not hold {wanted}")]
    ColumnType {
        /// TTYPEn, or `#n`.
        column: String,
        /// TFORMn.
        tform: String,
        /// The requested type, as a plural noun.
        wanted: &'static str,
    },
    /// Rows that the table does not have.
    #[error("rows {first}..{end} were requested, the table has {rows}")]
    NoSuchRows {
        /// First requested row, from 0.
        first: u64,
        /// One past the last requested row.
        end: u64,
        /// Rows of the table.
        rows: u64,
    },
    /// An array descriptor that points out of the heap.
    #[error(
        "column {column}, row {row}: {bytes} bytes at {offset} are not in the heap of {heap_bytes}"
    )]
    OutsideHeap {
        /// TTYPEn, or `#n`.
        column: String,
        /// Row number, from 0.
        row: u64,
        /// Byte offset into the heap; may be negative in a broken file.
        offset: i64,
        /// Length in bytes.
        bytes: u64,
        /// Size of the heap.
        heap_bytes: u64,
    },
    /// A cell of an ASCII table that is not a number.
    #[error("column {column}, row {row}: {found:?} is not a number")]
    BadCell {
        /// TTYPEn, or `#n`.
        column: String,
        /// Row number, from 0.
        row: u64,
        /// The text.
        found: String,
    },

    /// A whole number beyond 63 bits.
    #[error("column {column}, row {row}: {found} does not fit 64 bits with a sign")]
    Overflow {
        /// TTYPEn, or `#n`.
        column: String,
        /// Row number, from 0.
        row: u64,
        /// The value.
        found: String,
    },

    // Compressed images.
    /// ZCMPTYPE, ZQUANTIZ or a codec's parameter that is not known.
    #[error("keyword {keyword} = {found:?} is not supported")]
    Unsupported {
        /// The keyword.
        keyword: String,
        /// Its value.
        found: String,
    },
    /// A compressed tile that cannot be decoded.
    #[error("tile {tile} cannot be decoded")]
    BadTile {
        /// Tile number, from 0, in row order.
        tile: u64,
        /// The codec's fault.
        #[source]
        fault: CodecFault,
    },
}

impl FitsFault {
    /// Returns the machine-readable reason: snake case, one per kind, stable.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io",
            Self::NotOpened { code, .. } => code,
            Self::EmptyFile => "empty_file",
            Self::NotFits { .. } => "not_fits",
            Self::Wrapped { wrapper } => match *wrapper {
                "bzip2" => "wrapped_bzip2",
                "compress" => "wrapped_compress",
                "zip" => "wrapped_zip",
                "xz" => "wrapped_xz",
                "zstd" => "wrapped_zstd",
                _ => "wrapped_other",
            },
            Self::GzipDamaged { .. } => "gzip_damaged",
            Self::GzipBomb { .. } => "gzip_bomb",
            Self::TooManyHdus { .. } => "too_many_hdus",
            Self::NoSuchHdu { .. } => "no_such_hdu",
            Self::MissingEnd => "missing_end",
            Self::HeaderTooLong { .. } => "header_too_long",
            Self::NotStandard => "not_standard",
            Self::NotAnHdu { .. } => "not_an_hdu",
            Self::Contradiction { .. } => "contradictory_keyword",
            Self::MissingKeyword(_) => "missing_keyword",
            Self::KeywordOrder { .. } => "keyword_order",
            Self::WrongType { .. } => "wrong_type",
            Self::BadValue { .. } => "bad_value",
            Self::Negative { .. } => "negative_value",
            Self::SizeOverflow => "size_overflow",
            Self::UnknownExtension(_) => "unknown_extension",
            Self::RandomGroups => "random_groups",
            Self::WrongKind { .. } => "wrong_kind",
            Self::Truncated { .. } => "truncated",
            Self::DataSum { .. } => "datasum_mismatch",
            Self::TooLarge { .. } => "too_large",
            Self::BadFormat { .. } => "bad_format",
            Self::RowLength { .. } => "row_length",
            Self::ColumnType { .. } => "column_type",
            Self::NoSuchRows { .. } => "no_such_rows",
            Self::OutsideHeap { .. } => "outside_heap",
            Self::BadCell { .. } => "bad_cell",
            Self::Overflow { .. } => "overflow",
            Self::Unsupported { .. } => "unsupported",
            Self::BadTile { fault, .. } => fault.code(),
        }
    }

    /// Returns the header keyword at fault, when there is one.
    pub fn keyword(&self) -> Option<&str> {
        match self {
            Self::MissingKeyword(keyword)
            | Self::KeywordOrder { keyword, .. }
            | Self::WrongType { keyword, .. }
            | Self::BadValue { keyword, .. }
            | Self::Negative { keyword, .. }
            | Self::Contradiction { keyword }
            | Self::Unsupported { keyword, .. } => Some(keyword),
            Self::DataSum { .. } => Some("DATASUM"),
            Self::MissingEnd => Some("END"),
            Self::NotStandard => Some("SIMPLE"),
            Self::RowLength { .. } => Some("NAXIS1"),
            _ => None,
        }
    }

    /// Returns the table column at fault (TTYPEn, or its number), when there is one.
    pub fn column(&self) -> Option<String> {
        match self {
            Self::ColumnType { column, .. }
            | Self::OutsideHeap { column, .. }
            | Self::BadCell { column, .. } => Some(column.clone()),
            Self::BadFormat { column, .. } => Some(format!("#{column}")),
            _ => None,
        }
    }

    /// Returns true when a later retry may succeed: a failure of the machine, not of the file.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Io { .. })
    }
}

impl From<files::OpenFault> for FitsFault {
    fn from(fault: files::OpenFault) -> Self {
        match fault {
            files::OpenFault::Io(error) => error.into(),
            other => Self::NotOpened { code: other.code(), text: other.to_string() },
        }
    }
}

impl From<io::Error> for FitsFault {
    fn from(error: io::Error) -> Self {
        Self::Io { kind: error.kind(), text: error.to_string() }
    }
}
