//! One column of one row group, read block by block; pages that are not needed are skipped.

use super::{LakeError, OpenFile};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::Result as ParquetResult;
use parquet::file::serialized_reader::SerializedPageReader;
use std::path::PathBuf;
use std::sync::Arc;

/// Values of a block, one entry per row. At rows without a value the entry is a default.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Truth values.
    Bool(Vec<bool>),
    /// 16- and 32-bit integers.
    I32(Vec<i32>),
    /// 64-bit integers.
    I64(Vec<i64>),
    /// Single precision.
    F32(Vec<f32>),
    /// Double precision.
    F64(Vec<f64>),
    /// Text or bytes, as stored.
    Bytes(Vec<ByteArray>),
}

/// A run of consecutive rows of one column.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnBlock {
    /// The values.
    pub values: Values,
    /// Marks the rows that have one; `None` when all have.
    pub valid: Option<Vec<bool>>,
}

impl ColumnBlock {
    /// Returns true when a row has a value.
    pub fn is_valid(&self, row: usize) -> bool {
        self.valid.as_ref().is_none_or(|v| v[row])
    }
}

/// Reads one column chunk forwards.
pub struct ColumnScan {
    reader: ColumnReader,
    nullable: bool,
    position: usize,
    path: PathBuf,
}

impl ColumnScan {
    /// Makes a scan at the first row of a row group.
    ///
    /// # Errors
    /// [`LakeError::Parquet`] for damaged metadata or an unknown codec.
    pub fn new(file: &OpenFile, row_group: usize, column: usize) -> Result<Self, LakeError> {
        let locations = file.page_locations(row_group, column)?;
        let group = file.metadata().row_group(row_group);
        let chunk = group.column(column);
        let rows = usize::try_from(group.num_rows()).unwrap_or(0);
        let pages = SerializedPageReader::new(Arc::clone(file.reader()), chunk, rows, locations)
            .map_err(LakeError::parquet(file.path()))?;
        let descr = chunk.column_descr_ptr();
        let nullable = descr.max_def_level() > 0;
        let reader = get_column_reader(descr, Box::new(pages));
        Ok(Self { reader, nullable, position: 0, path: file.path().to_owned() })
    }

    /// Reads `rows` rows from row `start` of the row group, which must not be before the last block's end.
    ///
    /// # Errors
    /// [`LakeError::Parquet`] for damaged pages, or when the chunk has fewer rows than its footer states.
    pub fn read(&mut self, start: usize, rows: usize) -> Result<ColumnBlock, LakeError> {
        let skip = start.checked_sub(self.position).ok_or_else(|| {
            LakeError::Catalogue(format!("{} was read backwards", self.path.display()))
        })?;
        let fault = LakeError::parquet(&self.path);
        let nullable = self.nullable;
        macro_rules! block {
            ($reader:expr, $kind:ident) => {
                read_block($reader, skip, rows, nullable)
                    .map(|(values, valid)| ColumnBlock { values: Values::$kind(values), valid })
            };
        }
        let block = match &mut self.reader {
            ColumnReader::BoolColumnReader(r) => block!(r, Bool),
            ColumnReader::Int32ColumnReader(r) => block!(r, I32),
            ColumnReader::Int64ColumnReader(r) => block!(r, I64),
            ColumnReader::FloatColumnReader(r) => block!(r, F32),
            ColumnReader::DoubleColumnReader(r) => block!(r, F64),
            ColumnReader::ByteArrayColumnReader(r) => block!(r, Bytes),
            _ => Err(parquet::errors::ParquetError::NYI("INT96 or fixed-length bytes".to_owned())),
        }
        .map_err(fault)?;
        self.position = start + rows;
        Ok(block)
    }
}

/// Values, and the marks of rows that have one; `None` when all have.
type Block<T> = (Vec<T>, Option<Vec<bool>>);

fn read_block<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    skip: usize,
    rows: usize,
    nullable: bool,
) -> ParquetResult<Block<T::T>>
where
    T::T: Default,
{
    let short = |got| {
        parquet::errors::ParquetError::EOF(format!("{got} rows where the footer states {rows}"))
    };
    if skip > 0 && reader.skip_records(skip)? != skip {
        return Err(short(0));
    }
    let mut values = Vec::with_capacity(rows);
    let mut levels = Vec::new();
    let mut got = 0;
    while got < rows {
        let (records, _, _) =
            reader.read_records(rows - got, nullable.then_some(&mut levels), None, &mut values)?;
        if records == 0 {
            return Err(short(got));
        }
        got += records;
    }
    if values.len() == rows {
        return Ok((values, None));
    }
    let valid: Vec<bool> = levels.iter().map(|&level| level > 0).collect();
    Ok((spread(values, &valid), Some(valid)))
}

/// Moves the values to the rows that have one.
fn spread<T: Default + Clone>(mut values: Vec<T>, valid: &[bool]) -> Vec<T> {
    let mut from = values.len();
    values.resize(valid.len(), T::default());
    for to in (0..valid.len()).rev() {
        if valid[to] {
            from -= 1;
            values.swap(from, to);
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn values_stand_at_the_rows_that_have_one() {
        let cases: [(&[i32], &[bool], &[i32]); 4] = [
            (&[1, 2], &[true, false, true], &[1, 0, 2]),
            (&[], &[false, false], &[0, 0]),
            (&[7], &[false, false, true], &[0, 0, 7]),
            (&[7, 8], &[true, true, false, false], &[7, 8, 0, 0]),
        ];
        for (values, valid, wanted) in cases {
            assert_eq!(spread(values.to_vec(), valid), wanted, "{valid:?}");
        }
    }
}
