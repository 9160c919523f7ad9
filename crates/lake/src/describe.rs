//! Description of a lake file, read back from the file itself, so that the registered values are those of the file.

use super::range::ranges;
use super::table::PROGRAMME_ID;
use super::{ByteCounter, FieldId, LakeError, LakeRowRange, LakeTable, OpenFile};
use model::{ObjectId, ProgrammeId};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;
use std::path::Path;
use std::sync::Arc;

/// A finished file of the lake, ready to be registered.
#[derive(Clone, Debug, PartialEq)]
pub struct LakeFile {
    /// Name within the directory of its table.
    pub name: String,
    /// Owner of all its rows.
    pub programme_id: ProgrammeId,
    /// Id of its first row; the others follow without a gap.
    pub first_id: ObjectId,
    /// Rows.
    pub rows: u64,
    /// Length.
    pub bytes: u64,
    /// Length of the footer without the tail's 8 bytes.
    pub footer_bytes: u64,
    /// Rows of each row group.
    pub row_groups: Vec<u64>,
    /// Statistics of the columns that have complete ones.
    pub statistics: Vec<ColumnStatistics>,
    /// The ranges, in the order of their rows.
    pub ranges: Vec<LakeRowRange>,
    /// XXH64 of its bytes, hexadecimal; known only to the process that wrote it.
    pub xxhash64: Option<String>,
}

/// Exact statistics of one column over a whole file.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnStatistics {
    /// Field id.
    pub column_id: FieldId,
    /// Bytes of its chunks.
    pub bytes: u64,
    /// Rows that have a value.
    pub values: u64,
    /// Rows that have none.
    pub nulls: u64,
    /// Least and greatest value as DuckLake writes them; `None` when no row has a value.
    pub bounds: Option<(String, String)>,
    /// True when the column is a floating one, which then holds no NaN.
    pub floating: bool,
}

/// Reads a file of the lake and describes its contents.
///
/// # Errors
/// [`LakeError`] when the file is damaged, its ids have gaps, it holds another programme's rows, or the rows of a range are
/// not consecutive or not in order.
pub fn describe(
    lake_dir: &Path,
    table: &LakeTable,
    name: &str,
    programme_id: ProgrammeId,
) -> Result<LakeFile, LakeError> {
    let path = table.directory(lake_dir).join(name);
    let file = OpenFile::open(&path, None, &Arc::new(ByteCounter::default()))?;
    describe_open(&file, table, name, programme_id)
}

/// Describes a file that is open, as [`describe`] does.
pub(crate) fn describe_open(
    file: &OpenFile,
    table: &LakeTable,
    name: &str,
    programme_id: ProgrammeId,
) -> Result<LakeFile, LakeError> {
    let metadata = file.metadata();
    let statistics = statistics(metadata, &table.layout().statistics);
    let misfit = |reason: String| LakeError::Staged { path: file.path().to_owned(), reason };
    let first_id = first_id(file, table, name, &statistics).map_err(misfit)?;
    let programme = i64::from(programme_id);
    if bounds_of(file, &statistics, PROGRAMME_ID) != Some((programme, programme)) {
        return Err(misfit(format!("not all rows are of programme {programme_id}")));
    }
    Ok(LakeFile {
        name: name.to_owned(),
        programme_id,
        first_id,
        rows: file.rows(),
        bytes: file.bytes(),
        footer_bytes: file.footer_bytes(),
        row_groups: metadata.row_groups().iter().map(|g| g.num_rows().unsigned_abs()).collect(),
        ranges: ranges(table, file)?,
        statistics,
        xxhash64: None,
    })
}

/// Returns the id of the first row: of a table without ids, the number that follows from the batch.
fn first_id(
    file: &OpenFile,
    table: &LakeTable,
    name: &str,
    statistics: &[ColumnStatistics],
) -> Result<ObjectId, String> {
    let rows = file.rows();
    let (first, last) = match table.row_number() {
        None => bounds_of(file, statistics, table.id()),
        Some(_) => {
            let batch = table.batch_of(name);
            let base = batch.and_then(|batch| table.base_of(batch));
            let base = base.ok_or_else(|| format!("the name {name} contains no batch"))?;
            (rows > 0).then(|| (base + 1, base.saturating_add_unsigned(rows)))
        }
    }
    .ok_or_else(|| "the file has no rows".to_owned())?;
    let is_whole = u64::try_from(last - first + 1) == Ok(rows);
    ObjectId::new(first)
        .filter(|_| is_whole)
        .ok_or_else(|| format!("{rows} rows with {} {first} to {last}", table.id()))
}

/// Returns integer bounds of a column, when its statistics are complete.
fn bounds_of(file: &OpenFile, all: &[ColumnStatistics], name: &str) -> Option<(i64, i64)> {
    let schema = file.metadata().file_metadata().schema_descr();
    let id = schema.column(file.column(name)?).self_type().get_basic_info().id();
    let id = FieldId::new(id.into())?;
    let (low, high) = all.iter().find(|s| s.column_id == id && s.nulls == 0)?.bounds.as_ref()?;
    Some((low.parse().ok()?, high.parse().ok()?))
}

/// Returns statistics over all row groups; a column that lacks them in any row group is left out.
fn statistics(metadata: &ParquetMetaData, wanted: &[String]) -> Vec<ColumnStatistics> {
    let schema = metadata.file_metadata().schema_descr();
    (0..schema.num_columns())
        .filter(|&column| wanted.iter().any(|name| name == schema.column(column).name()))
        .filter_map(|column| column_statistics(metadata, column))
        .collect()
}

fn column_statistics(metadata: &ParquetMetaData, column: usize) -> Option<ColumnStatistics> {
    let info =
        metadata.file_metadata().schema_descr().column(column).self_type().get_basic_info().clone();
    let mut sum = ColumnStatistics {
        column_id: info.has_id().then(|| FieldId::new(info.id().into()))??,
        bytes: 0,
        values: 0,
        nulls: 0,
        bounds: None,
        floating: false,
    };
    let mut bounds: Option<(Number, Number)> = None;
    for group in metadata.row_groups() {
        let chunk = group.column(column);
        let statistics = chunk.statistics()?;
        let nulls = statistics.null_count_opt()?;
        let values = u64::try_from(chunk.num_values()).ok()?.checked_sub(nulls)?;
        sum.bytes += u64::try_from(chunk.compressed_size()).ok()?;
        sum.values += values;
        sum.nulls += nulls;
        if values > 0 {
            let (low, high) = Number::bounds(statistics)?;
            bounds = Some(bounds.map_or((low, high), |(a, b)| (a.least(low), b.greatest(high))));
            sum.floating |= matches!(low, Number::Real(_));
        }
    }
    sum.bounds = bounds.map(|(low, high)| (low.text(), high.text()));
    Some(sum)
}

#[derive(Clone, Copy, Debug)]
enum Number {
    Whole(i64),
    Real(f64),
}

impl Number {
    fn bounds(statistics: &Statistics) -> Option<(Self, Self)> {
        Some(match statistics {
            Statistics::Int32(s) => {
                (Self::Whole(i64::from(*s.min_opt()?)), Self::Whole(i64::from(*s.max_opt()?)))
            }
            Statistics::Int64(s) => (Self::Whole(*s.min_opt()?), Self::Whole(*s.max_opt()?)),
            Statistics::Float(s) => {
                (Self::Real(f64::from(*s.min_opt()?)), Self::Real(f64::from(*s.max_opt()?)))
            }
            Statistics::Double(s) => (Self::Real(*s.min_opt()?), Self::Real(*s.max_opt()?)),
            _ => return None,
        })
    }

    fn least(self, other: Self) -> Self {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => Self::Whole(a.min(b)),
            (Self::Real(a), Self::Real(b)) => Self::Real(a.min(b)),
            (this, _) => this,
        }
    }

    fn greatest(self, other: Self) -> Self {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => Self::Whole(a.max(b)),
            (Self::Real(a), Self::Real(b)) => Self::Real(a.max(b)),
            (this, _) => this,
        }
    }

    /// Returns the shortest text that reads back as the same number.
    fn text(self) -> String {
        match self {
            Self::Whole(n) => n.to_string(),
            Self::Real(x) => format!("{x:?}"),
        }
    }
}
