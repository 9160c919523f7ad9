//! The contents of a staged file, read in full before any of it is passed on: its writer is trusted less than its
//! reader.
//!
//! The columns must be those of the table's definition or of an earlier one. The form must be that of
//! [`crate::parquet_format`], so that no part of the file expands beyond its declared size. A panic of the Parquet
//! reader over a damaged file is a fault of that file.

use crate::fault::StageFault;
use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::Schema;
use model::tables::{Column, ColumnType, Keeping, Table};
use model::task::StagedFile;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{Compression, Encoding};
use parquet::column::page::Page;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use std::collections::HashSet;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Rows decoded at a time.
const ROWS_AT_ONCE: usize = 8192;
/// Greatest length in bytes of one text, and of one binary value.
const TEXT_BYTES: usize = 1 << 20;
const BINARY_BYTES: usize = 8 << 20;
/// Greatest number of row groups.
const MAX_ROW_GROUPS: usize = 100_000;

/// Reads all rows of a staged file of a table, and checks that its table accepts them.
///
/// # Errors
/// [`StageFault`], which names the column.
pub fn examine_rows(file: File, table: &Table, staged: &StagedFile) -> Result<(), StageFault> {
    guarded(|| match table.keeping {
        Keeping::Lake => numbers(file, table, staged),
        Keeping::Versioned | Keeping::Reference => rows(file, table, staged),
    })
}

/// Checks columns, form and number of rows of a staged file by its footer, without reading its rows.
///
/// # Errors
/// As [`examine_rows`].
pub fn examine_form(file: &File, table: &Table, staged: &StagedFile) -> Result<(), StageFault> {
    guarded(|| form(file, table, staged).map(|_| ()))
}

fn guarded(read: impl FnOnce() -> Result<(), StageFault>) -> Result<(), StageFault> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(StageFault::Parquet(
            "the file is damaged in a way that the reader cannot handle".to_owned(),
        ))
    })
}

/// Returns the footer of a file that has the form in which its table's files are staged. Detections are compressed;
/// rows of metadata and previews are not, so that they need no more memory than disk space.
fn form(
    file: &File,
    table: &Table,
    staged: &StagedFile,
) -> Result<ArrowReaderMetadata, StageFault> {
    let metadata = ArrowReaderMetadata::load(file, options())?;
    let is_packed = table.keeping == Keeping::Lake;
    check_footer(&metadata, table, staged, |packing| match packing {
        Compression::UNCOMPRESSED => true,
        Compression::ZSTD(_) => is_packed,
        _ => false,
    })?;
    Ok(metadata)
}

fn misfit(column: &str, problem: impl Into<String>) -> StageFault {
    StageFault::Schema { column: column.to_owned(), problem: problem.into() }
}

/// Checks columns, rows and form according to the footer.
fn check_footer(
    metadata: &ArrowReaderMetadata,
    table: &Table,
    staged: &StagedFile,
    is_allowed: impl Fn(Compression) -> bool,
) -> Result<(), StageFault> {
    check_columns(metadata.schema(), table)?;
    let footer: &ParquetMetaData = metadata.metadata();
    let rows = footer.file_metadata().num_rows();
    let groups = footer.row_groups();
    let in_groups = groups.iter().try_fold(0_i64, |sum, g| {
        (g.num_rows() >= 0).then(|| sum.checked_add(g.num_rows())).flatten()
    });
    if u64::try_from(rows) != Ok(staged.rows) || in_groups != Some(rows) {
        let problem = format!("the file has {rows} rows, the result states {}", staged.rows);
        return Err(StageFault::Parquet(problem));
    }
    if groups.len() > MAX_ROW_GROUPS {
        return Err(StageFault::Parquet(format!("the file has {} row groups", groups.len())));
    }
    for column in groups.iter().flat_map(|g| g.columns()) {
        let name = column.column_descr().name();
        let bytes = u64::try_from(column.compressed_size()).unwrap_or(u64::MAX);
        if bytes > staged.bytes || column.uncompressed_size() < 0 {
            return Err(misfit(name, format!("the values take {bytes} bytes")));
        }
        if !is_allowed(column.compression()) {
            return Err(misfit(name, format!("the compression is {}", column.compression())));
        }
    }
    Ok(())
}

/// Checks that every column belongs to the table or is a retired one, appears once and has the column's type. A missing
/// column must be nullable: the file is older than the definition.
fn check_columns(found: &Schema, table: &Table) -> Result<(), StageFault> {
    let mut names = HashSet::new();
    for field in found.fields().iter().filter(|field| !table.is_retired(field.name())) {
        let name = field.name();
        let defined = table.column(name).ok_or_else(|| {
            misfit(&model::shown_briefly(name, 100), format!("{} has no such column", table.name))
        })?;
        if !names.insert(name.as_str()) {
            return Err(misfit(name, "the column appears twice"));
        }
        if *field.data_type() != defined.kind.arrow() {
            return Err(misfit(name, format!("the type is {}", field.data_type())));
        }
    }
    match table.columns.iter().find(|c| !c.nullable && !names.contains(c.name.as_str())) {
        None => Ok(()),
        Some(column) => Err(misfit(&column.name, "the column is missing and may not be NULL")),
    }
}

fn options() -> ArrowReaderOptions {
    ArrowReaderOptions::new().with_skip_arrow_metadata(true)
}

/// Checks rows of metadata and previews, none of them in dictionaries.
fn rows(file: File, table: &Table, staged: &StagedFile) -> Result<(), StageFault> {
    let metadata = form(&file, table, staged)?;
    check_pages(file.try_clone()?)?;
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
    let mut found = 0;
    for batch in builder.with_batch_size(ROWS_AT_ONCE).build()? {
        let batch = batch.map_err(|error| StageFault::Parquet(error.to_string()))?;
        found += batch.num_rows() as u64;
        for (column, values) in columns_of(table, &batch) {
            check_nulls(column, values)?;
            let check_length = |max: usize, bytes: Option<usize>| match bytes {
                Some(bytes) if bytes > max => {
                    Err(misfit(&column.name, format!("a value has {bytes} bytes")))
                }
                _ => Ok(()),
            };
            match column.kind {
                ColumnType::Text => {
                    let texts = values.as_string::<i32>();
                    check_length(TEXT_BYTES, texts.iter().flatten().map(str::len).max())?;
                }
                ColumnType::Bytes => {
                    let blobs = values.as_binary::<i32>();
                    check_length(BINARY_BYTES, blobs.iter().flatten().map(<[u8]>::len).max())?;
                }
                _ => {}
            }
        }
    }
    check_count(found, staged)
}

/// Returns the columns of a batch with their definitions.
fn columns_of<'b>(
    table: &'b Table,
    batch: &'b RecordBatch,
) -> impl Iterator<Item = (&'b Column, &'b ArrayRef)> {
    let fields = batch.schema_ref().fields().iter();
    fields
        .zip(batch.columns())
        .filter_map(|(field, values)| Some((table.column(field.name())?, values)))
}

/// Checks that every page stores its values directly.
fn check_pages(file: File) -> Result<(), StageFault> {
    let reader = SerializedFileReader::new(file)?;
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group)?;
        for position in 0..group.num_columns() {
            let mut pages = group.get_column_page_reader(position)?;
            while let Some(page) = pages.get_next_page()? {
                let is_plain = match &page {
                    Page::DictionaryPage { .. } => false,
                    Page::DataPage { encoding, .. } | Page::DataPageV2 { encoding, .. } => {
                        matches!(encoding, Encoding::PLAIN | Encoding::RLE)
                    }
                };
                if !is_plain {
                    let column = group.metadata().column(position).column_descr();
                    return Err(misfit(column.name(), "the values are not stored directly"));
                }
            }
        }
    }
    Ok(())
}

/// Checks rows of detections: numbers only, none of them NaN, each within its column's range.
fn numbers(file: File, table: &Table, staged: &StagedFile) -> Result<(), StageFault> {
    let metadata = form(&file, table, staged)?;
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
    let mut found = 0;
    for batch in builder.with_batch_size(ROWS_AT_ONCE).build()? {
        let batch = batch.map_err(|error| StageFault::Parquet(error.to_string()))?;
        found += batch.num_rows() as u64;
        for (column, values) in columns_of(table, &batch) {
            check_nulls(column, values)?;
            check_numbers(column, values)?;
        }
    }
    check_count(found, staged)
}

fn check_count(found: u64, staged: &StagedFile) -> Result<(), StageFault> {
    if found == staged.rows {
        return Ok(());
    }
    Err(StageFault::Parquet(format!(
        "the file has {found} rows, the result states {}",
        staged.rows
    )))
}

fn check_nulls(column: &Column, values: &ArrayRef) -> Result<(), StageFault> {
    if column.nullable || values.null_count() == 0 {
        return Ok(());
    }
    Err(misfit(&column.name, "rows without a value"))
}

fn check_numbers(column: &Column, values: &ArrayRef) -> Result<(), StageFault> {
    match column.kind {
        ColumnType::F32 => check_floats::<Float32Type>(column, values),
        ColumnType::F64 => check_floats::<Float64Type>(column, values),
        _ => Ok(()),
    }
}

fn check_floats<T>(column: &Column, values: &ArrayRef) -> Result<(), StageFault>
where
    T: ArrowPrimitiveType,
    T::Native: Into<f64>,
{
    let values = values.as_primitive::<T>();
    // Without branches the whole column is a few instructions per value; the value under a NULL does not matter.
    let is_finite = values.values().iter().fold(true, |all, x| all & (*x).into().is_finite());
    let [low, high] = column.range.unwrap_or([f64::NEG_INFINITY, f64::INFINITY]);
    let is_within = |x: f64| x.is_finite() && low <= x && x <= high;
    if is_finite && column.range.is_none() {
        return Ok(());
    }
    match values.iter().flatten().map(Into::into).find(|x| !is_within(*x)) {
        None => Ok(()),
        Some(x) => Err(misfit(&column.name, format!("a row has the value {x}"))),
    }
}
