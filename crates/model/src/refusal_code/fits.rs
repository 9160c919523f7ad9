//! Codes of the structure of FITS files.

use super::Remedy::{Limit, Repaired, Unpack, UnpackOrGzip, Words};
use super::codes;

codes! { FILES "Structure of FITS files"
    EMPTY_FILE = "empty_file", Refusal, Repaired => "The file has no bytes.";
    NOT_FITS = "not_fits", Refusal, Repaired => "The file has a FITS name, but not the content of a FITS file.";
    WRAPPED_BZIP2 = "wrapped_bzip2", Refusal, UnpackOrGzip => "The file is packed with bzip2.";
    WRAPPED_COMPRESS = "wrapped_compress", Refusal, UnpackOrGzip => "The file is packed with compress (`.Z`).";
    WRAPPED_ZIP = "wrapped_zip", Refusal, UnpackOrGzip => "The file is packed with zip.";
    WRAPPED_XZ = "wrapped_xz", Refusal, UnpackOrGzip => "The file is packed with xz.";
    WRAPPED_ZSTD = "wrapped_zstd", Refusal, UnpackOrGzip => "The file is packed with zstd.";
    WRAPPED_OTHER = "wrapped_other", Refusal, UnpackOrGzip => "The file is packed with a program that Almagest does not unpack.";
    GZIP_DAMAGED = "gzip_damaged", Refusal, Repaired => "The gzip stream of the file is damaged.";
    GZIP_BOMB = "gzip_bomb", Refusal, Limit => "The file unpacks to more bytes than the profile's limits allow.";
    TOO_MANY_HDUS = "too_many_hdus", Refusal, Repaired => "The file has more HDUs than the limit.";
    NO_SUCH_HDU = "no_such_hdu", Refusal, Repaired => "The file has no HDU of the requested number.";
    MISSING_END = "missing_end", Refusal, Repaired => "A header has no END card.";
    HEADER_TOO_LONG = "header_too_long", Refusal, Repaired => "A header has more cards than the limit.";
    NOT_STANDARD = "not_standard", Refusal, Repaired => "SIMPLE = F: the file declares itself not to be standard FITS.";
    NOT_AN_HDU = "not_an_hdu", Refusal, Repaired => "Bytes after an HDU are neither an extension nor padding.";
    CONTRADICTORY_KEYWORD = "contradictory_keyword", Refusal, Repaired => "A mandatory keyword occurs twice with different values.";
    MISSING_KEYWORD = "missing_keyword", Refusal, Repaired => "A keyword that FITS requires is missing.";
    KEYWORD_ORDER = "keyword_order", Refusal, Repaired => "A required keyword is not at the place that FITS requires.";
    WRONG_TYPE = "wrong_type", Refusal, Repaired => "A keyword of the structure has a value of the wrong type.";
    BAD_VALUE = "bad_value", Refusal, Repaired => "A keyword of the structure has an invalid value.";
    NEGATIVE_VALUE = "negative_value", Refusal, Repaired => "A keyword of the structure is negative.";
    SIZE_OVERFLOW = "size_overflow", Refusal, Repaired => "The header describes data of more than 2^63 bytes.";
    UNKNOWN_EXTENSION = "unknown_extension", Refusal, Repaired => "The extension has a type that is not read.";
    RANDOM_GROUPS = "random_groups", Refusal, Repaired => "The HDU holds random groups, which are not read.";
    WRONG_KIND = "wrong_kind", Refusal, Repaired => "The HDU holds an image where a table is expected, or the reverse.";
    TRUNCATED = "truncated", Refusal, Repaired => "The data of an HDU end early.";
    TRUNCATED_PADDING = "truncated_padding", Refusal, Repaired => "The padding of the last HDU ends early: the file was cut, and detectors may be lost.";
    NO_DATA = "no_data", Refusal, Repaired => "The file has headers only, neither pixels nor rows.";
    DATASUM_MISMATCH = "datasum_mismatch", Either, Repaired => "The data of an HDU do not fit their DATASUM.";
    CHECKSUM_MISMATCH = "checksum_mismatch", Finding, Words("nothing, unless the header was not edited on purpose")
        => "CHECKSUM does not fit while DATASUM does: the header was edited after the file was written.";
    PADDING_MISSING = "padding_missing", Finding, Words("nothing: the data are complete; the program that wrote the file should pad it")
        => "The padding after the last HDU is missing.";
    TRAILING_BYTES = "trailing_bytes", Finding, Words("nothing: all HDUs before the bytes are complete and are used")
        => "Bytes follow the last HDU.";
    HEADER_TEXT_CLEANED = "header_text_cleaned", Finding, Words("correct the program that writes the keyword")
        => "Cards have NUL, control characters or bytes beyond ASCII, and their texts were cut, escaped or replaced.";
    TEXT_AFTER_END = "text_after_end", Finding, Words("correct the program that writes the header")
        => "Text follows END in the last block of a header, and was ignored.";
    BAD_FORMAT = "bad_format", Refusal, Repaired => "A TFORMn is not a column format.";
    ROW_LENGTH = "row_length", Refusal, Repaired => "NAXIS1 differs from the sum of the column widths.";
    COLUMN_TYPE = "column_type", Refusal, Repaired => "A column has a format that does not give the required type.";
    NO_SUCH_ROWS = "no_such_rows", Refusal, Repaired => "The table has fewer rows than were requested.";
    OUTSIDE_HEAP = "outside_heap", Refusal, Repaired => "An array descriptor points outside the heap of the table.";
    BAD_CELL = "bad_cell", Refusal, Repaired => "A cell of an ASCII table is not a number.";
    OVERFLOW = "overflow", Refusal, Repaired => "A whole number of a table does not fit 64 bits with a sign.";
    COMPRESSED_TABLE = "compressed_table", Refusal, Unpack => "The catalogue is a compressed table (ZTABLE), which is not read.";
}

codes! { TILES "Compressed images"
    UNSUPPORTED = "unsupported", Refusal, Unpack => "The compression, or one of its parameters, is not supported.";
    TILE_CODE_TOO_SHORT = "tile_code_too_short", Refusal, Repaired => "The code of a tile ends before its last pixel.";
    TILE_CODE_TOO_LONG = "tile_code_too_long", Refusal, Repaired => "The code of a tile is longer than its pixels can need.";
    TILE_WITHOUT_CODE = "tile_without_code", Refusal, Repaired => "No column has the code of a tile.";
    TILE_NULL_PIXEL_MASK = "tile_null_pixel_mask", Refusal, Unpack => "The null pixels of a tile are in a separate mask (ZMASKCMP), which is not read.";
    TILE_TOO_MANY_PIXELS = "tile_too_many_pixels", Refusal, Repaired => "The code of a tile has more pixels than the tile.";
    TILE_PIXEL_COUNT = "tile_pixel_count", Refusal, Repaired => "The number of bytes in the code of a tile does not match its pixels.";
    TILE_SCALED_INTEGERS = "tile_scaled_integers", Refusal, Unpack => "ZSCALE and ZZERO are set for integer pixels.";
    TILE_PIXEL_TYPE = "tile_pixel_type", Refusal, Repaired => "The pixel type in the code of a tile differs from that of the image.";
    TILE_RICE_LEVEL = "tile_rice_level", Refusal, Repaired => "A Rice block has a level that no encoder writes.";
    TILE_GZIP_HEADER = "tile_gzip_header", Refusal, Repaired => "The code of a gzip tile has no gzip header.";
    TILE_GZIP_DAMAGED = "tile_gzip_damaged", Refusal, Repaired => "The gzip stream of a tile is damaged.";
    TILE_PLIO_HEADER = "tile_plio_header", Refusal, Repaired => "The PLIO list of a tile has an invalid header.";
    TILE_PLIO_INSTRUCTION = "tile_plio_instruction", Refusal, Repaired => "The PLIO list of a tile has an unknown instruction.";
    TILE_HCOMPRESS_MAGIC = "tile_hcompress_magic", Refusal, Repaired => "The code of an HCOMPRESS tile has no HCOMPRESS header.";
    TILE_HCOMPRESS_SHAPE = "tile_hcompress_shape", Refusal, Repaired => "The shape in the code of an HCOMPRESS tile differs from that of the tile.";
    TILE_HCOMPRESS_PLANES = "tile_hcompress_planes", Refusal, Repaired => "The bit planes of an HCOMPRESS tile are out of order.";
}
