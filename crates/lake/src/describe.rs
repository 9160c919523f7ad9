//! Description of a lake file, read back from the file itself, so that the registered values are those of the file.

use super::{ByteCounter, ColumnBlock, ColumnScan, LakeError, OpenFile, Values};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;
use sky::SkyPosition;
use sky::healpix::MAX_ORDER;
use stage::parquet_format::STATISTICS_COLUMNS;
use std::path::Path;
use std::sync::Arc;

/// A finished file of the lake, ready to be registered.
#[derive(Clone, Debug, PartialEq)]
pub struct LakeFile {
    /// Name within `lake/detection/`.
    pub name: String,
    /// Owner of all its rows.
    pub programme_id: i64,
    /// Object id of its first row; the others follow without a gap.
    pub first_obj_id: i64,
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
    /// The detectors, in the order of their rows.
    pub detectors: Vec<DetectorRun>,
    /// XXH64 of its bytes, hexadecimal; known only to the process that wrote it.
    pub xxhash64: Option<String>,
}

/// Exact statistics of one column over a whole file.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnStatistics {
    /// Field id.
    pub column_id: i64,
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

/// The consecutive rows of one detector.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectorRun {
    /// The image.
    pub multiframe_id: i64,
    /// Extension number, primary = 1.
    pub ext_num: i64,
    /// First row in the file, from 0.
    pub first_row: u64,
    /// Number of rows.
    pub rows: u64,
    /// A circle that holds every position; `None` when no row has one.
    pub sky: Option<SkyCap>,
}

/// A circle on the sky that holds a detector's positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SkyCap {
    /// Cell of its centre.
    pub centre_healpix29: i64,
    /// Radius, degrees.
    pub radius_deg: f64,
}

impl SkyCap {
    /// Returns the least whole k >= -12 for which the radius is at most 2^k degrees: caps of one class are found by one
    /// search.
    pub fn radius_class(self) -> i32 {
        (-12..8).find(|&k| self.radius_deg <= f64::from(k).exp2()).unwrap_or(8)
    }
}

/// Reads a file of the lake and describes its contents.
///
/// # Errors
/// [`LakeError`] when the file is damaged, its object ids have gaps, it holds another programme's rows, or a detector's
/// rows are not consecutive.
pub fn describe(lake_dir: &Path, name: &str, programme_id: i64) -> Result<LakeFile, LakeError> {
    let path = lake_dir.join(super::catalogue::TABLE_PATH).join(name);
    let file = OpenFile::open(&path, None, &Arc::new(ByteCounter::default()))?;
    describe_open(&file, name, programme_id)
}

/// Describes a file that is open, as [`describe`] does.
pub(crate) fn describe_open(
    file: &OpenFile,
    name: &str,
    programme_id: i64,
) -> Result<LakeFile, LakeError> {
    let metadata = file.metadata();
    let statistics = statistics(metadata);
    let misfit = |reason: String| LakeError::Staged { path: file.path().to_owned(), reason };
    let obj_id = bounds_of(file, &statistics, "obj_id")
        .ok_or_else(|| misfit("the file has no rows".to_owned()))?;
    if u64::try_from(obj_id.1 - obj_id.0 + 1) != Ok(file.rows()) || obj_id.0 < 1 {
        return Err(misfit(format!(
            "{} rows with object ids {} to {}",
            file.rows(),
            obj_id.0,
            obj_id.1
        )));
    }
    if bounds_of(file, &statistics, "programme_id") != Some((programme_id, programme_id)) {
        return Err(misfit(format!("not all rows are of programme {programme_id}")));
    }
    Ok(LakeFile {
        name: name.to_owned(),
        programme_id,
        first_obj_id: obj_id.0,
        rows: file.rows(),
        bytes: file.bytes(),
        footer_bytes: file.footer_bytes(),
        row_groups: metadata.row_groups().iter().map(|g| g.num_rows().unsigned_abs()).collect(),
        detectors: detectors(file)?,
        statistics,
        xxhash64: None,
    })
}

/// Returns integer bounds of a column, when its statistics are complete.
fn bounds_of(file: &OpenFile, all: &[ColumnStatistics], name: &str) -> Option<(i64, i64)> {
    let schema = file.metadata().file_metadata().schema_descr();
    let id = i64::from(schema.column(file.column(name)?).self_type().get_basic_info().id());
    let (low, high) = all.iter().find(|s| s.column_id == id && s.nulls == 0)?.bounds.as_ref()?;
    Some((low.parse().ok()?, high.parse().ok()?))
}

/// Returns statistics over all row groups; a column that lacks them in any row group is left out.
fn statistics(metadata: &ParquetMetaData) -> Vec<ColumnStatistics> {
    let schema = metadata.file_metadata().schema_descr();
    (0..schema.num_columns())
        .filter(|&column| STATISTICS_COLUMNS.contains(&schema.column(column).name()))
        .filter_map(|column| column_statistics(metadata, column))
        .collect()
}

fn column_statistics(metadata: &ParquetMetaData, column: usize) -> Option<ColumnStatistics> {
    let info =
        metadata.file_metadata().schema_descr().column(column).self_type().get_basic_info().clone();
    let mut sum = ColumnStatistics {
        column_id: info.has_id().then(|| i64::from(info.id()))?,
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

/// Returns the detectors of a file. Row groups may split a detector; its parts are joined.
pub fn detectors(file: &OpenFile) -> Result<Vec<DetectorRun>, LakeError> {
    let column = |name: &str| {
        file.column(name).ok_or_else(|| LakeError::Staged {
            path: file.path().to_owned(),
            reason: format!("column {name} is missing"),
        })
    };
    let wanted = [column("multiframe_id")?, column("ext_num")?, column("ra")?, column("dec")?];
    let mut runs: Vec<(DetectorRun, Vec<(f64, f64)>)> = Vec::new();
    let mut row = 0;
    for (index, group) in file.metadata().row_groups().iter().enumerate() {
        let rows = usize::try_from(group.num_rows()).unwrap_or(0);
        let mut blocks = Vec::with_capacity(wanted.len());
        for column in wanted {
            blocks.push(ColumnScan::new(file, index, column)?.read(0, rows)?);
        }
        for i in 0..rows {
            let key = (whole(&blocks[0], i), whole(&blocks[1], i));
            if runs.last().is_none_or(|(r, _)| (r.multiframe_id, r.ext_num) != key) {
                let run = DetectorRun {
                    multiframe_id: key.0,
                    ext_num: key.1,
                    first_row: row,
                    rows: 0,
                    sky: None,
                };
                runs.push((run, Vec::new()));
            }
            if let Some((run, positions)) = runs.last_mut() {
                run.rows += 1;
                positions.extend(real(&blocks[2], i).zip(real(&blocks[3], i)));
            }
            row += 1;
        }
    }
    let mut seen = std::collections::HashSet::new();
    for (run, positions) in &mut runs {
        if !seen.insert((run.multiframe_id, run.ext_num)) {
            return Err(LakeError::Staged {
                path: file.path().to_owned(),
                reason: format!(
                    "the rows of multiframe {} extension {} are not contiguous",
                    run.multiframe_id, run.ext_num
                ),
            });
        }
        run.sky = cap(positions);
    }
    Ok(runs.into_iter().map(|(run, _)| run).collect())
}

fn whole(block: &ColumnBlock, row: usize) -> i64 {
    match &block.values {
        Values::I32(v) => i64::from(v[row]),
        Values::I64(v) => v[row],
        _ => 0,
    }
}

fn real(block: &ColumnBlock, row: usize) -> Option<f64> {
    match &block.values {
        Values::F64(v) if block.is_valid(row) => Some(v[row]),
        _ => None,
    }
}

/// Returns the circle around the mean direction.
fn cap(positions: &[(f64, f64)]) -> Option<SkyCap> {
    let first = positions.first()?;
    let vectors: Vec<_> = positions.iter().map(|&(ra, dec)| sky::unit_vector(ra, dec)).collect();
    let (mut x, mut y, mut z) = (0.0, 0.0, 0.0);
    for v in &vectors {
        (x, y, z) = (x + v.x, y + v.y, z + v.z);
    }
    let centre = sky::UnitVector::towards(x, y, z)
        .map_or(SkyPosition { ra_deg: first.0, dec_deg: first.1 }, sky::UnitVector::position);
    let centre_cell = sky::healpix::nested29(centre.ra_deg, centre.dec_deg)?;
    // The cell's centre replaces the mean direction from here on, so the radius is measured from it.
    let centre = sky::healpix::centre(MAX_ORDER, centre_cell)?;
    let c = sky::unit_vector(centre.ra_deg, centre.dec_deg);
    let (mut farthest, mut most) = (first, 0.0);
    for (position, v) in positions.iter().zip(&vectors) {
        let (x, y, z) = (v.x - c.x, v.y - c.y, v.z - c.z);
        let chord = x * x + y * y + z * z;
        if chord > most {
            (farthest, most) = (position, chord);
        }
    }
    let &(ra, dec) = farthest;
    let radius_deg = sky::angular_distance_deg(centre.ra_deg, centre.dec_deg, ra, dec);
    Some(SkyCap {
        centre_healpix29: i64::try_from(centre_cell).ok()?,
        // Chords resolve distances to 1e-7 of them at worst: within a cell, and opposite the centre.
        radius_deg: (radius_deg * (1.0 + 1e-6)).min(180.0),
    })
}
