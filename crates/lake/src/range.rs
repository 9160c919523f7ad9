//! Ranges of rows that share a key, each of which has a row in the index of its lake table; finding them in a file.

use super::{ColumnBlock, ColumnScan, LakeError, LakeTable, OpenFile, Values};
use sky::SkyPosition;
use sky::healpix::MAX_ORDER;
use std::cmp::Ordering;

/// The values of the columns of a range key, in the order of the definition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RangeKey(Vec<i64>);

impl RangeKey {
    /// Makes a key of values in the order of the definition.
    pub fn new(values: impl Into<Vec<i64>>) -> Self {
        Self(values.into())
    }

    /// Returns the values.
    pub fn values(&self) -> &[i64] {
        &self.0
    }

    /// Checks that the key has a value for each column of a table's key.
    ///
    /// # Errors
    /// [`LakeError::Catalogue`] when it has another number of values.
    pub fn check(&self, table: &LakeTable) -> Result<(), LakeError> {
        let (found, wanted) = (self.0.len(), table.range_key().len());
        if found == wanted {
            return Ok(());
        }
        Err(LakeError::Catalogue(format!(
            "a range of {} has {found} values for {wanted} key columns",
            table.name()
        )))
    }

    /// Returns the key in words, e.g. `multiframe_id 7, ext_num 2`.
    pub(crate) fn described(&self, table: &LakeTable) -> String {
        let parts = table.range_key().iter().zip(&self.0);
        let parts: Vec<String> = parts.map(|(column, value)| format!("{column} {value}")).collect();
        parts.join(", ")
    }
}

/// The range key of `detection`: one detector's catalogue, whatever its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DetectorKey {
    /// The image.
    pub multiframe_id: i64,
    /// Extension number, primary = 1.
    pub ext_num: i64,
}

impl DetectorKey {
    /// Returns the key of a range of `detection`.
    ///
    /// # Errors
    /// [`LakeError::Catalogue`] for a key of another table, with another number of columns.
    pub fn of(key: &RangeKey) -> Result<Self, LakeError> {
        match *key.values() {
            [multiframe_id, ext_num] => Ok(Self { multiframe_id, ext_num }),
            _ => Err(LakeError::Catalogue("a range is not one of detection".to_owned())),
        }
    }
}

impl From<DetectorKey> for RangeKey {
    fn from(key: DetectorKey) -> Self {
        Self::new([key.multiframe_id, key.ext_num])
    }
}

/// Consecutive rows of a file with one range key.
#[derive(Clone, Debug, PartialEq)]
pub struct LakeRowRange {
    /// The values that the rows share.
    pub key: RangeKey,
    /// First row in the file, from 0.
    pub first_row: u64,
    /// Number of rows.
    pub rows: u64,
    /// A circle that holds every position; `None` when no row has one.
    pub sky: Option<SkyCap>,
}

/// A circle on the sky that holds the positions of a range.
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

/// Returns the ranges of a file. Row groups may split a range; its parts are joined.
///
/// # Errors
/// [`LakeError::Staged`] when a column is missing, or the rows of a range are not consecutive or not in order.
pub fn ranges(table: &LakeTable, file: &OpenFile) -> Result<Vec<LakeRowRange>, LakeError> {
    let misfit = |reason: String| LakeError::Staged { path: file.path().to_owned(), reason };
    let mut found = Ranges::new(table, file)?;
    for group in 0..file.metadata().num_row_groups() {
        found.read(file, group)?;
    }
    let mut seen = std::collections::HashSet::new();
    for (range, positions) in &mut found.ranges {
        if !seen.insert(range.key.clone()) {
            let key = range.key.described(table);
            return Err(misfit(format!("the rows of {key} are not contiguous")));
        }
        range.sky = cap(positions);
    }
    Ok(found.ranges.into_iter().map(|(range, _)| range).collect())
}

/// The ranges of a file that is read row group by row group, with their positions.
struct Ranges<'a> {
    table: &'a LakeTable,
    /// Positions of the columns in the file.
    key: Vec<usize>,
    sort: Vec<usize>,
    sky: Option<(usize, usize)>,
    ranges: Vec<(LakeRowRange, Vec<(f64, f64)>)>,
    row: u64,
    /// Values of the sort columns in the last row.
    last: Vec<Option<f64>>,
}

impl<'a> Ranges<'a> {
    fn new(table: &'a LakeTable, file: &OpenFile) -> Result<Self, LakeError> {
        let column = |name: &String| {
            file.column(name).ok_or_else(|| LakeError::Staged {
                path: file.path().to_owned(),
                reason: format!("column {name} is missing"),
            })
        };
        let layout = table.layout();
        let sky = match table.sky() {
            Some(sky) => Some((column(&sky.ra)?, column(&sky.dec)?)),
            None => None,
        };
        Ok(Self {
            table,
            key: layout.range_key.iter().map(column).collect::<Result<_, _>>()?,
            sort: layout.sort.iter().map(column).collect::<Result<_, _>>()?,
            sky,
            ranges: Vec::new(),
            row: 0,
            last: Vec::new(),
        })
    }

    fn read(&mut self, file: &OpenFile, group: usize) -> Result<(), LakeError> {
        let rows = usize::try_from(file.metadata().row_group(group).num_rows()).unwrap_or(0);
        let block = |column: &usize| ColumnScan::new(file, group, *column)?.read(0, rows);
        let key: Vec<Vec<i64>> = self
            .key
            .iter()
            .map(|column| {
                whole(block(column)?.values).ok_or_else(|| LakeError::Staged {
                    path: file.path().to_owned(),
                    reason: "a column of the range key is not an integer".to_owned(),
                })
            })
            .collect::<Result<_, LakeError>>()?;
        let sky = match &self.sky {
            Some((ra, dec)) => Some((block(ra)?, block(dec)?)),
            None => None,
        };
        let starts = starts(&key, rows);
        let begun = self.ranges.len();
        for (start, end) in starts.iter().zip(starts.iter().skip(1).chain([&rows])) {
            let values: Vec<i64> = key.iter().map(|column| column[*start]).collect();
            if *start > 0 || self.ranges.last().is_none_or(|(r, _)| r.key.values() != values) {
                let first_row = self.row + *start as u64;
                let range =
                    LakeRowRange { key: RangeKey::new(values), first_row, rows: 0, sky: None };
                self.ranges.push((range, Vec::new()));
            }
            let Some((range, positions)) = self.ranges.last_mut() else { continue };
            range.rows += (end - start) as u64;
            if let Some((ra, dec)) = &sky
                && let (Values::F64(ras), Values::F64(decs)) = (&ra.values, &dec.values)
            {
                let known = (*start..*end).filter(|&i| ra.is_valid(i) && dec.is_valid(i));
                positions.extend(known.map(|i| (ras[i], decs[i])));
            }
        }
        // A range that continues from the row group before keeps its order across both.
        let continues = rows > 0 && begun > 0 && self.ranges.len() < begun + starts.len();
        self.check_order(file, group, &starts, continues)?;
        self.row += rows as u64;
        Ok(())
    }

    /// Checks that the rows of each range ascend by the sort columns; rows without a value come first.
    fn check_order(
        &mut self,
        file: &OpenFile,
        group: usize,
        starts: &[usize],
        continues: bool,
    ) -> Result<(), LakeError> {
        let rows = usize::try_from(file.metadata().row_group(group).num_rows()).unwrap_or(0);
        if self.sort.is_empty() || rows == 0 {
            return Ok(());
        }
        let mut columns: Vec<Vec<Option<f64>>> = Vec::with_capacity(self.sort.len());
        for column in &self.sort {
            let block = ColumnScan::new(file, group, *column)?.read(0, rows)?;
            columns.push((0..rows).map(|row| number(&block, row)).collect());
        }
        let before = |column: usize, row: usize| match row.checked_sub(1) {
            Some(row) => columns[column][row],
            None => self.last[column],
        };
        let is_start = |row: usize| starts.binary_search(&row).is_ok() && !(row == 0 && continues);
        for row in (0..rows).filter(|&row| !is_start(row)) {
            let order = (0..columns.len())
                .filter_map(|c| columns[c][row].partial_cmp(&before(c, row)))
                .find(|order| order.is_ne());
            if order == Some(Ordering::Less) {
                let sort = self.table.layout().sort.join(", ");
                let row = self.row + row as u64;
                return Err(LakeError::Staged {
                    path: file.path().to_owned(),
                    reason: format!("row {row} is out of order: a range ascends by {sort}"),
                });
            }
        }
        self.last = columns.iter().map(|column| column[rows - 1]).collect();
        Ok(())
    }
}

/// Returns the rows at which a key begins that differs from that of the row before.
fn starts(key: &[Vec<i64>], rows: usize) -> Vec<usize> {
    let differs =
        |row: &usize| *row == 0 || key.iter().any(|values| values[*row] != values[row - 1]);
    (0..rows).filter(differs).collect()
}

fn whole(values: Values) -> Option<Vec<i64>> {
    match values {
        Values::I64(values) => Some(values),
        Values::I32(values) => Some(values.into_iter().map(i64::from).collect()),
        _ => None,
    }
}

fn number(block: &ColumnBlock, row: usize) -> Option<f64> {
    let value = match &block.values {
        Values::I32(values) => f64::from(values[row]),
        Values::I64(values) => values[row] as f64,
        Values::F32(values) => f64::from(values[row]),
        Values::F64(values) => values[row],
        Values::Bool(_) | Values::Bytes(_) => return None,
    };
    block.is_valid(row).then_some(value)
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
