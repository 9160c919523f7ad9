//! The format of Parquet files of lake tables: the only place for codec, pages, encodings and statistics.
//!
//! The same properties apply to the staged files and to the files that the lake rewrites, since the lake copies staged
//! column chunks unchanged.
//!
//! - zstd level 1: level 3 costs a third of the speed for 2 % of the size, as fluxes are noise in their low bits.
//! - Floats are BYTE_STREAM_SPLIT, which puts signs and exponents together; no dictionary.
//! - Integers are DELTA_BINARY_PACKED: ascending or constant values take a few bytes a page, and sky pixels take the
//!   bits in which one detector's differ. Most of them would abandon a dictionary after half the work.
//! - Pages of at most 2000 rows, so that one detector's rows touch few of them.
//! - Least and greatest values, per chunk and page, only for the columns by which searches are limited
//!   (`model::tables::LakeLayout::statistics`): those of 150 columns make footers long and planning slow.

use arrow_schema::{DataType, Schema};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion,
};
use parquet::schema::types::ColumnPath;

/// Greatest number of rows of a data page.
pub const PAGE_ROWS: usize = 2000;

/// Greatest number of rows of a row group.
pub const ROW_GROUP_ROWS: usize = 1_000_000;

/// Returns the properties for files of a lake table with some columns, of which those named in `statistics` carry
/// statistics.
pub fn lake_writer_properties(schema: &Schema, statistics: &[String]) -> WriterProperties {
    let mut builder = table_writer_properties()
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(PAGE_ROWS)
        .set_statistics_enabled(EnabledStatistics::None);
    for field in schema.fields() {
        builder = column_properties(builder, field.name(), field.data_type());
        if statistics.contains(field.name()) {
            let path = ColumnPath::from(field.name().as_str());
            builder = builder.set_column_statistics_enabled(path, EnabledStatistics::Page);
        }
    }
    builder.build()
}

/// Returns the properties for staged files of metadata: hundreds of columns, few rows, read once. Any setup per column
/// (a compressor, a dictionary) would cost more than it saves; header texts are packed already.
pub(crate) fn metadata_writer_properties() -> WriterProperties {
    table_writer_properties()
        .set_compression(Compression::UNCOMPRESSED)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .build()
}

/// Returns the properties shared by all our Parquet files.
pub fn table_writer_properties() -> WriterPropertiesBuilder {
    let level = ZstdLevel::try_new(1).expect("1 is a level of zstd");
    WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_created_by(concat!("almagest ", env!("CARGO_PKG_VERSION")).to_owned())
}

fn column_properties(
    builder: WriterPropertiesBuilder,
    name: &str,
    kind: &DataType,
) -> WriterPropertiesBuilder {
    let path = || ColumnPath::from(name);
    match kind {
        DataType::Float32 | DataType::Float64 => builder
            .set_column_dictionary_enabled(path(), false)
            .set_column_encoding(path(), Encoding::BYTE_STREAM_SPLIT),
        DataType::Int16 | DataType::Int32 | DataType::Int64 => builder
            .set_column_dictionary_enabled(path(), false)
            .set_column_encoding(path(), Encoding::DELTA_BINARY_PACKED),
        _ => builder,
    }
}
