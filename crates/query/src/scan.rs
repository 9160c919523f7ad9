//! Reading the rows of an access, block by block: the columns that conditions need first, the others on request.

use super::access::Segment;
use super::constraint::{Scalar, Wanted};
use super::shared::LakeShare;
use lake::{ColumnBlock, ColumnScan, Cone, LakeError, LakeFileId, OpenFile, Values};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;
use rusqlite::Connection;
use stage::parquet_format::PAGE_ROWS;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

/// A condition on one column of the table.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub column: usize,
    pub wanted: Wanted,
}

/// Conditions that rows must satisfy beyond the access.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    pub columns: Vec<Filter>,
    pub cones: Vec<Option<Cone>>,
}

/// A forward cursor over the rows of some segments.
pub(crate) struct Scan {
    share: Arc<LakeShare>,
    filters: Filters,
    segments: VecDeque<Segment>,
    group: Option<GroupScan>,
    block: Option<Block>,
}

/// One row group of one file, and the part of it still to be read.
struct GroupScan {
    file: Arc<OpenFile>,
    file_id: LakeFileId,
    group: usize,
    /// First row of the group in the file.
    first_row: u64,
    ranges: VecDeque<Range<usize>>,
    columns: RefCell<Vec<Column>>,
}

/// A column of the table in the current row group.
enum Column {
    Untouched,
    /// The file is older than the column.
    Absent,
    Open(Box<ColumnScan>),
}

/// The current rows.
struct Block {
    rows: Range<usize>,
    /// Rows that satisfy the conditions, relative to the block; `None` for all.
    kept: Option<Vec<u32>>,
    /// Position in `kept`, or in the block.
    at: usize,
    loaded: RefCell<Vec<Option<Rc<Loaded>>>>,
}

enum Loaded {
    Absent,
    Values(ColumnBlock),
}

/// A value of the current row.
#[derive(Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Whole(i64),
    Real(f64),
    Bytes(&'a [u8]),
}

impl Scan {
    pub(crate) fn new(share: Arc<LakeShare>, segments: Vec<Segment>, filters: Filters) -> Self {
        Self { share, filters, segments: segments.into(), group: None, block: None }
    }

    /// Advances to the next row that satisfies the conditions and returns whether there is one.
    pub(crate) fn advance(&mut self, db: &Connection) -> Result<bool, LakeError> {
        if let Some(block) = &mut self.block {
            block.at += 1;
            let kept = block.kept.as_ref().map_or(block.rows.len(), Vec::len);
            if block.at < kept {
                return Ok(true);
            }
            self.block = None;
        }
        while self.block.is_none() {
            if self.share.reading.budget.exhausted().is_some() {
                return Err(LakeError::Catalogue("the query was stopped".to_owned()));
            }
            let Some(group) = &mut self.group else {
                if !self.open_next_group(db)? {
                    return Ok(false);
                }
                continue;
            };
            match group.next_rows() {
                Some(rows) => self.block = self.sifted(rows)?,
                None => self.group = None,
            }
        }
        Ok(true)
    }

    /// Returns a row number that no other row of the archive has: file and row.
    pub(crate) fn row_number(&self) -> i64 {
        let (Some(group), Some(block)) = (&self.group, &self.block) else { return 0 };
        let row = group.first_row + (block.rows.start + block.row()) as u64;
        (group.file_id.get() << 36) | i64::try_from(row).unwrap_or(0)
    }

    /// Passes a value of the current row to a function.
    pub(crate) fn with_cell<T>(
        &self,
        column: usize,
        take: impl FnOnce(Cell<'_>) -> T,
    ) -> Result<T, LakeError> {
        let (Some(group), Some(block)) = (&self.group, &self.block) else {
            return Ok(take(Cell::Null));
        };
        let loaded = block.load(&self.share, group, column)?;
        Ok(take(loaded.cell(block.row())))
    }

    /// Takes the next row group that has rows to read from the queue of segments.
    fn open_next_group(&mut self, db: &Connection) -> Result<bool, LakeError> {
        let Some(first) = self.segments.front().copied() else { return Ok(false) };
        let file = self.share.file(db, first.file_id)?;
        let (mut group, mut first_row) = (0, 0);
        let groups = file.metadata().row_groups();
        while group < groups.len()
            && first.first >= first_row + groups[group].num_rows().unsigned_abs()
        {
            first_row += groups[group].num_rows().unsigned_abs();
            group += 1;
        }
        let Some(metadata) = groups.get(group) else {
            return Err(LakeError::Catalogue(format!(
                "row {} is beyond the end of {}",
                first.first,
                file.path().display()
            )));
        };
        let rows = metadata.num_rows().unsigned_abs();
        let mut ranges = VecDeque::new();
        while let Some(segment) = self.segments.front_mut() {
            let end = first_row + rows;
            if segment.file_id != first.file_id || segment.first >= end {
                break;
            }
            let taken = segment.rows.min(end - segment.first);
            let start = (segment.first - first_row) as usize;
            ranges.push_back(start..start + taken as usize);
            if taken < segment.rows {
                segment.first += taken;
                segment.rows -= taken;
                break;
            }
            self.segments.pop_front();
        }
        self.group = self.pruned(file, first.file_id, group, first_row, ranges)?;
        Ok(true)
    }

    /// Removes the rows that statistics of the row group and its pages exclude.
    fn pruned(
        &self,
        file: Arc<OpenFile>,
        file_id: LakeFileId,
        group: usize,
        first_row: u64,
        mut ranges: VecDeque<Range<usize>>,
    ) -> Result<Option<GroupScan>, LakeError> {
        for filter in &self.filters.columns {
            let Some(column) = file.column(&self.share.columns[filter.column].name) else {
                continue;
            };
            let chunk = file.metadata().row_group(group).column(column);
            if chunk.statistics().is_some_and(|s| !chunk_may_hold(s, &filter.wanted)) {
                return Ok(None);
            }
            // Reading the index of the pages only pays off for many rows.
            if ranges.iter().map(Range::len).sum::<usize>() > 2 * PAGE_ROWS {
                prune_pages(&file, group, column, &filter.wanted, &mut ranges)?;
            }
        }
        let columns = self.share.columns.iter().map(|_| Column::Untouched).collect();
        Ok(Some(GroupScan {
            file,
            file_id,
            group,
            first_row,
            ranges,
            columns: RefCell::new(columns),
        }))
    }

    /// Returns the block of some rows; `None` when no row satisfies the conditions.
    fn sifted(&self, rows: Range<usize>) -> Result<Option<Block>, LakeError> {
        let loaded = RefCell::new(vec![None; self.share.columns.len()]);
        let mut block = Block { rows, kept: None, at: 0, loaded };
        if self.filters.columns.is_empty() && self.filters.cones.is_empty() {
            return Ok(Some(block));
        }
        let Some(group) = &self.group else { return Ok(None) };
        let mut keep = vec![true; block.rows.len()];
        for filter in &self.filters.columns {
            match block.load(&self.share, group, filter.column)?.as_ref() {
                Loaded::Values(values) => filter.wanted.sift(values, &mut keep),
                Loaded::Absent if filter.wanted == Wanted::Unknown => {}
                Loaded::Absent => return Ok(None),
            }
            if !keep.contains(&true) {
                return Ok(None);
            }
        }
        if !self.filters.cones.is_empty() {
            self.sift_cones(&block, group, &mut keep)?;
        }
        let kept: Vec<u32> =
            (0u32..).zip(&keep).filter(|(_, keep)| **keep).map(|(i, _)| i).collect();
        if kept.is_empty() {
            return Ok(None);
        }
        block.kept = Some(kept);
        Ok(Some(block))
    }

    fn sift_cones(
        &self,
        block: &Block,
        group: &GroupScan,
        keep: &mut [bool],
    ) -> Result<(), LakeError> {
        let Some((ra, dec)) = self.share.roles.sky else { return Ok(()) };
        let (ra, dec) = (block.load(&self.share, group, ra)?, block.load(&self.share, group, dec)?);
        for (row, keep) in keep.iter_mut().enumerate().filter(|(_, keep)| **keep) {
            *keep = match (ra.cell(row), dec.cell(row)) {
                (Cell::Real(ra), Cell::Real(dec)) => {
                    self.filters.cones.iter().all(|c| c.is_some_and(|c| c.contains(ra, dec)))
                }
                _ => false,
            };
        }
        Ok(())
    }
}

impl GroupScan {
    /// Returns the next rows to check: never beyond a page of [`PAGE_ROWS`] rows, so that a page without wanted rows is
    /// not decoded for the other columns.
    fn next_rows(&mut self) -> Option<Range<usize>> {
        let range = self.ranges.front_mut()?;
        let end = range.end.min((range.start / PAGE_ROWS + 1) * PAGE_ROWS);
        let rows = range.start..end;
        range.start = end;
        if range.start >= range.end {
            self.ranges.pop_front();
        }
        Some(rows)
    }

    fn read(
        &self,
        share: &LakeShare,
        column: usize,
        rows: &Range<usize>,
    ) -> Result<Loaded, LakeError> {
        let mut columns = self.columns.borrow_mut();
        let state = &mut columns[column];
        if matches!(state, Column::Untouched) {
            *state = match self.file.column(&share.columns[column].name) {
                Some(at) => Column::Open(Box::new(ColumnScan::new(&self.file, self.group, at)?)),
                None => Column::Absent,
            };
        }
        match state {
            Column::Open(scan) => Ok(Loaded::Values(scan.read(rows.start, rows.len())?)),
            Column::Untouched | Column::Absent => Ok(Loaded::Absent),
        }
    }
}

impl Block {
    /// Returns the current row, relative to the block.
    fn row(&self) -> usize {
        self.kept.as_ref().map_or(self.at, |kept| kept[self.at] as usize)
    }

    fn load(
        &self,
        share: &LakeShare,
        group: &GroupScan,
        column: usize,
    ) -> Result<Rc<Loaded>, LakeError> {
        if let Some(loaded) = &self.loaded.borrow()[column] {
            return Ok(Rc::clone(loaded));
        }
        let loaded = Rc::new(group.read(share, column, &self.rows)?);
        self.loaded.borrow_mut()[column] = Some(Rc::clone(&loaded));
        Ok(loaded)
    }
}

impl Loaded {
    fn cell(&self, row: usize) -> Cell<'_> {
        match self {
            Self::Values(block) if block.is_valid(row) => match &block.values {
                Values::Bool(v) => Cell::Whole(i64::from(v[row])),
                Values::I32(v) => Cell::Whole(i64::from(v[row])),
                Values::I64(v) => Cell::Whole(v[row]),
                Values::F32(v) => Cell::Real(f64::from(v[row])),
                Values::F64(v) => Cell::Real(v[row]),
                Values::Bytes(v) => Cell::Bytes(v[row].data()),
            },
            _ => Cell::Null,
        }
    }
}

fn chunk_may_hold(statistics: &Statistics, wanted: &Wanted) -> bool {
    if *wanted == Wanted::Unknown {
        return statistics.null_count_opt() != Some(0);
    }
    let bounds = match statistics {
        Statistics::Int32(s) => s
            .min_opt()
            .zip(s.max_opt())
            .map(|(a, b)| (Scalar::Whole(i64::from(*a)), Scalar::Whole(i64::from(*b)))),
        Statistics::Int64(s) => {
            s.min_opt().zip(s.max_opt()).map(|(a, b)| (Scalar::Whole(*a), Scalar::Whole(*b)))
        }
        Statistics::Double(s) => {
            s.min_opt().zip(s.max_opt()).map(|(a, b)| (Scalar::Real(*a), Scalar::Real(*b)))
        }
        _ => None,
    };
    bounds.is_none_or(|(least, greatest)| wanted.may_hold(least, greatest))
}

/// Restricts the ranges to pages that may hold wanted values.
fn prune_pages(
    file: &OpenFile,
    group: usize,
    column: usize,
    wanted: &Wanted,
    ranges: &mut VecDeque<Range<usize>>,
) -> Result<(), LakeError> {
    let (Some(bounds), Some(pages)) =
        (file.page_bounds(group, column)?, file.page_locations(group, column)?)
    else {
        return Ok(());
    };
    let rows = usize::try_from(file.metadata().row_group(group).num_rows()).unwrap_or(0);
    let starts = pages.iter().map(|p| usize::try_from(p.first_row_index).unwrap_or(0));
    let ends = starts.clone().skip(1).chain([rows]);
    let wanted_pages: Vec<Range<usize>> = starts
        .zip(ends)
        .enumerate()
        .filter(|(page, _)| page_may_hold(&bounds, *page, wanted))
        .map(|(_, (start, end))| start..end)
        .collect();
    *ranges = intersection(ranges.make_contiguous(), &wanted_pages);
    Ok(())
}

fn page_may_hold(bounds: &ColumnIndexMetaData, page: usize, wanted: &Wanted) -> bool {
    let nulls = bounds.null_count(page);
    if *wanted == Wanted::Unknown {
        return nulls != Some(0);
    }
    if bounds.is_null_page(page) {
        return false;
    }
    let ends = match bounds {
        ColumnIndexMetaData::INT32(i) => i
            .min_value(page)
            .zip(i.max_value(page))
            .map(|(a, b)| (Scalar::Whole(i64::from(*a)), Scalar::Whole(i64::from(*b)))),
        ColumnIndexMetaData::INT64(i) => i
            .min_value(page)
            .zip(i.max_value(page))
            .map(|(a, b)| (Scalar::Whole(*a), Scalar::Whole(*b))),
        ColumnIndexMetaData::DOUBLE(i) => i
            .min_value(page)
            .zip(i.max_value(page))
            .map(|(a, b)| (Scalar::Real(*a), Scalar::Real(*b))),
        _ => None,
    };
    ends.is_none_or(|(least, greatest)| wanted.may_hold(least, greatest))
}

/// Returns the intersection of two ascending lists of ranges.
fn intersection(a: &[Range<usize>], b: &[Range<usize>]) -> VecDeque<Range<usize>> {
    let (mut i, mut j, mut common) = (0, 0, VecDeque::new());
    while i < a.len() && j < b.len() {
        let (start, end) = (a[i].start.max(b[j].start), a[i].end.min(b[j].end));
        if start < end {
            common.push_back(start..end);
        }
        if a[i].end <= b[j].end {
            i += 1;
        } else {
            j += 1;
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::intersection;

    #[test]
    fn ranges_meet() {
        let common = intersection(&[0..5, 10..20, 30..31], &[2..12, 15..18, 25..40]);
        assert_eq!(common, [2..5, 10..12, 15..18, 30..31]);
        let (before, behind) = (0..5, 5..9);
        assert!(intersection(&[before], &[behind]).is_empty());
    }
}
