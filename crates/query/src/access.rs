//! The lookup from conditions to runs of rows in lake files, through the index of row ranges, before any file is opened.

use super::as_of;
use super::constraint::{Scalar, Wanted};
use lake::{Cone, FieldId, LakeFileId, LakeTable, healpix_ranges};
use rusqlite::{Connection, Row, params, types::ValueRef};
use std::collections::HashMap;

/// Consecutive rows of one lake file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Segment {
    pub file_id: LakeFileId,
    pub first: u64,
    pub rows: u64,
}

/// Conditions on columns that the lookup understands, grouped by what they limit.
#[derive(Debug)]
pub(crate) struct Search<'a> {
    pub table: &'a LakeTable,
    pub id: Vec<Wanted>,
    /// Conditions on each column of the range key.
    pub key: Vec<Vec<Wanted>>,
    pub programme_id: Vec<Wanted>,
    pub cones: Vec<Option<Cone>>,
    /// Conditions by field id, for the files' statistics.
    pub by_field: HashMap<FieldId, Vec<Wanted>>,
    /// SQL that is NULL for the visible rows of the index, and has a value for the others.
    hidden: String,
    /// True when ended rows are searched too.
    ended_too: bool,
}

/// Columns of [`Search::select`] before those of the range key.
const FIXED_COLUMNS: usize = 6;

impl<'a> Search<'a> {
    /// Makes a search without conditions. `as_of` is the event as of which rows are current; `None` for now.
    pub(crate) fn new(table: &'a LakeTable, ended_too: bool, as_of: Option<i64>) -> Self {
        let hidden = match as_of {
            None => "end_event".to_owned(),
            Some(event) => format!(
                "CASE WHEN {} THEN NULL ELSE 1 END",
                as_of::range_condition(table.index(), table, event)
            ),
        };
        Self {
            table,
            id: Vec::new(),
            key: vec![Vec::new(); table.range_key().len()],
            programme_id: Vec::new(),
            cones: Vec::new(),
            by_field: HashMap::new(),
            hidden,
            ended_too,
        }
    }

    /// Returns the query for rows of the index; `more` are columns after those of [`IndexRow`].
    fn select(&self, more: &str, condition: &str) -> String {
        let (index, first_id) = (self.table.index(), self.table.first_id());
        let key = self.table.range_key().join(", ");
        let hidden = &self.hidden;
        format!(
            "SELECT programme_id, {first_id}, rows, file_id, file_row, {hidden}, {key}{more} FROM {index}
             WHERE {condition}"
        )
    }
}

/// Rows that may satisfy a search, and the conditions that they are known to satisfy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// Ascending by file and row, without overlap.
    pub segments: Vec<Segment>,
    /// True when conditions on the range key and `programme_id` hold for every row.
    pub ranges_exact: bool,
    /// True when conditions on the id hold for every row.
    pub ids_exact: bool,
}

/// A row of the index.
struct IndexRow<'a> {
    row: &'a Row<'a>,
    programme_id: i64,
    first_id: i64,
    rows: i64,
    file_id: LakeFileId,
    file_row: i64,
    current: bool,
}

impl<'a> IndexRow<'a> {
    fn of(row: &'a Row<'a>) -> rusqlite::Result<Self> {
        Ok(Self {
            row,
            programme_id: row.get(0)?,
            first_id: row.get(1)?,
            rows: row.get(2)?,
            file_id: row.get(3)?,
            file_row: row.get(4)?,
            current: row.get_ref(5)? == ValueRef::Null,
        })
    }

    /// Returns the part of it whose ids are between two bounds.
    fn part(&self, low: i64, high: i64) -> Option<Segment> {
        let last = self.first_id + self.rows - 1;
        let (from, to) = (low.max(self.first_id), high.min(last));
        (from <= to).then(|| Segment {
            file_id: self.file_id,
            first: (self.file_row + from - self.first_id).unsigned_abs(),
            rows: (to - from + 1).unsigned_abs(),
        })
    }

    fn whole(&self) -> Segment {
        Segment {
            file_id: self.file_id,
            first: self.file_row.unsigned_abs(),
            rows: self.rows.unsigned_abs(),
        }
    }
}

/// Looks up a search by the narrowest method: ids, the first column of the range key, cones, or else the files' statistics.
pub(crate) fn look_up(db: &Connection, search: &Search<'_>) -> rusqlite::Result<Access> {
    let mut found = Found { search, segments: Vec::new() };
    let (mut ranges_exact, mut ids_exact) = (true, false);
    let of_key = search.key.first().map_or(&[][..], Vec::as_slice);
    if let Some(ids) = list(&search.id).or_else(|| bounded_range(&search.id)) {
        ids_exact = true;
        found.by_id(db, &ids)?;
    } else if let Some(keys) = list(of_key) {
        found.by_key(db, &keys)?;
    } else if let Some(cone) = search.cones.first() {
        found.by_cone(db, *cone)?;
    } else if let Some(keys) = bounded_range(of_key) {
        found.by_key(db, &keys)?;
    } else {
        ranges_exact = false;
        found.by_file(db)?;
    }
    let mut segments = found.segments;
    segments.sort_unstable();
    Ok(Access { segments: joined(&segments), ranges_exact, ids_exact })
}

/// Returns the shortest list among the conditions, restricted by all of them, as ranges of one.
fn list(wanted: &[Wanted]) -> Option<Vec<(i64, i64)>> {
    let shortest = wanted.iter().filter_map(Wanted::whole_list).min_by_key(|l| l.len())?;
    let held = shortest.iter().filter(|&&n| wanted.iter().all(|w| w.holds_whole(n)));
    Some(held.map(|&n| (n, n)).collect())
}

/// Returns the range that all conditions allow, when it has two ends.
fn bounded_range(wanted: &[Wanted]) -> Option<Vec<(i64, i64)>> {
    if wanted.is_empty() {
        return None;
    }
    let (mut low, mut high) = (i64::MIN, i64::MAX);
    for wanted in wanted {
        let Some((a, b)) = wanted.whole_range() else { return Some(Vec::new()) };
        (low, high) = (low.max(a), high.min(b));
    }
    match (low, high) {
        (i64::MIN, _) | (_, i64::MAX) => None,
        _ if low > high => Some(Vec::new()),
        _ => Some(vec![(low, high)]),
    }
}

/// Joins adjacent segments.
fn joined(sorted: &[Segment]) -> Vec<Segment> {
    let mut joined: Vec<Segment> = Vec::with_capacity(sorted.len());
    for segment in sorted {
        match joined.last_mut() {
            Some(last)
                if last.file_id == segment.file_id && segment.first <= last.first + last.rows =>
            {
                let end = (segment.first + segment.rows).max(last.first + last.rows);
                last.rows = end - last.first;
            }
            _ => joined.push(*segment),
        }
    }
    joined
}

struct Found<'a> {
    search: &'a Search<'a>,
    segments: Vec<Segment>,
}

impl Found<'_> {
    fn wants(&self, row: &IndexRow<'_>) -> rusqlite::Result<bool> {
        let all = |wanted: &[Wanted], n| wanted.iter().all(|w| w.holds_whole(n));
        if !(row.current || self.search.ended_too)
            || !all(&self.search.programme_id, row.programme_id)
        {
            return Ok(false);
        }
        for (place, wanted) in self.search.key.iter().enumerate().filter(|(_, w)| !w.is_empty()) {
            if !all(wanted, row.row.get(FIXED_COLUMNS + place)?) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn by_id(&mut self, db: &Connection, ranges: &[(i64, i64)]) -> rusqlite::Result<()> {
        let (index, first_id) = (self.search.table.index(), self.search.table.first_id());
        let mut select = db.prepare_cached(&self.search.select(
            "",
            &format!(
                "programme_id = ?1 AND {first_id} <= ?3 AND {first_id} >=
                 coalesce((SELECT max({first_id}) FROM {index}
                           WHERE programme_id = ?1 AND {first_id} <= ?2), ?2)"
            ),
        ))?;
        for programme in programmes(db, index)? {
            for &(low, high) in ranges {
                let mut rows = select.query(params![programme, low, high])?;
                while let Some(row) = rows.next()? {
                    let row = IndexRow::of(row)?;
                    if self.wants(&row)? {
                        self.segments.extend(row.part(low, high));
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds the ranges whose first key column has a value in one of some intervals.
    fn by_key(&mut self, db: &Connection, intervals: &[(i64, i64)]) -> rusqlite::Result<()> {
        let Some(first) = self.search.table.range_key().first() else { return Ok(()) };
        let select = self.search.select("", &format!("{first} BETWEEN ?1 AND ?2"));
        let mut select = db.prepare_cached(&select)?;
        for &(low, high) in intervals {
            let mut rows = select.query(params![low, high])?;
            while let Some(row) = rows.next()? {
                let row = IndexRow::of(row)?;
                if self.wants(&row)? {
                    self.segments.push(row.whole());
                }
            }
        }
        Ok(())
    }

    /// Adds the ranges whose circle of positions touches the cone, class of circle sizes by class.
    fn by_cone(&mut self, db: &Connection, cone: Option<Cone>) -> rusqlite::Result<()> {
        let Some(cone) = cone else { return Ok(()) };
        let mut next_class = db.prepare_cached(&format!(
            "SELECT min(radius_class) FROM {} WHERE radius_class > ?1",
            self.search.table.index()
        ))?;
        let mut select = db.prepare_cached(&self.search.select(
            ", centre_healpix29, radius_deg",
            "radius_class = ?1 AND centre_healpix29 BETWEEN ?2 AND ?3",
        ))?;
        let after_key = FIXED_COLUMNS + self.search.key.len();
        let mut class = i64::MIN;
        while let Some(found) = next_class.query_row([class], |r| r.get::<_, Option<i64>>(0))? {
            class = found;
            let reach = cone.radius_deg + (class as f64).exp2();
            for (first, last) in healpix_ranges(Cone { radius_deg: reach, ..cone }) {
                let mut rows = select.query(params![class, first, last])?;
                while let Some(row) = rows.next()? {
                    let (cell, radius): (u64, f64) = (row.get(after_key)?, row.get(after_key + 1)?);
                    let row = IndexRow::of(row)?;
                    if self.wants(&row)? && touches(cone, cell, radius) {
                        self.segments.push(row.whole());
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds every file that its statistics do not exclude, without the rows that have ended.
    fn by_file(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let mut select = db.prepare_cached(
            "SELECT data_file_id, record_count FROM ducklake_data_file
             WHERE table_id = ?1 AND end_snapshot IS NULL",
        )?;
        let mut rows = select.query([self.search.table.lasting_table()])?;
        while let Some(row) = rows.next()? {
            let (file_id, count): (LakeFileId, u64) = (row.get(0)?, row.get(1)?);
            if self.ruled_out(db, file_id)? {
                continue;
            }
            if self.search.ended_too {
                self.segments.push(Segment { file_id, first: 0, rows: count });
            } else {
                self.current_rows(db, file_id, count)?;
            }
        }
        Ok(())
    }

    fn ruled_out(&self, db: &Connection, file_id: LakeFileId) -> rusqlite::Result<bool> {
        let mut select = db.prepare_cached(
            "SELECT value_count, null_count, min_value, max_value FROM ducklake_file_column_stats
             WHERE data_file_id = ?1 AND column_id = ?2",
        )?;
        for (column, wanted) in &self.search.by_field {
            let mut rows = select.query(params![file_id, column])?;
            let Some(row) = rows.next()? else { continue };
            let (values, nulls): (i64, i64) = (row.get(0)?, row.get(1)?);
            let (least, greatest) = (Scalar::of(row.get_ref(2)?), Scalar::of(row.get_ref(3)?));
            let possible = wanted.iter().all(|w| match w {
                Wanted::Unknown => nulls > 0,
                _ => values > 0 && w.may_hold(least, greatest),
            });
            if !possible {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn current_rows(
        &mut self,
        db: &Connection,
        file_id: LakeFileId,
        count: u64,
    ) -> rusqlite::Result<()> {
        let mut select = db.prepare_cached(&format!(
            "SELECT file_row, rows FROM {}
             WHERE file_id = ?1 AND ({}) IS NOT NULL ORDER BY file_row",
            self.search.table.index(),
            self.search.hidden
        ))?;
        let mut rows = select.query([file_id])?;
        let mut next = 0;
        while let Some(row) = rows.next()? {
            let (first, ended): (u64, u64) = (row.get(0)?, row.get(1)?);
            if first > next {
                self.segments.push(Segment { file_id, first: next, rows: first - next });
            }
            next = first + ended;
        }
        if count > next {
            self.segments.push(Segment { file_id, first: next, rows: count - next });
        }
        Ok(())
    }
}

fn programmes(db: &Connection, index: &str) -> rusqlite::Result<Vec<i64>> {
    let mut next = db.prepare_cached(&format!(
        "SELECT min(programme_id) FROM {index} WHERE programme_id > ?1"
    ))?;
    let mut programmes = Vec::new();
    let mut last = i64::MIN;
    while let Some(programme) = next.query_row([last], |r| r.get::<_, Option<i64>>(0))? {
        programmes.push(programme);
        last = programme;
    }
    Ok(programmes)
}

/// Returns true when the circle of a range and a cone have a point in common (with a small tolerance).
pub(crate) fn touches(cone: Cone, centre_cell: u64, radius_deg: f64) -> bool {
    sky::healpix::centre(sky::healpix::MAX_ORDER, centre_cell).is_none_or(|centre| {
        let distance =
            sky::angular_distance_deg(cone.ra_deg, cone.dec_deg, centre.ra_deg, centre.dec_deg);
        distance <= cone.radius_deg + radius_deg + 1e-9
    })
}

#[cfg(test)]
mod tests {
    use super::super::constraint::Comparison;
    use super::*;

    fn segment(file_id: i64, first: u64, rows: u64) -> Segment {
        Segment { file_id: LakeFileId::new(file_id).unwrap(), first, rows }
    }

    #[test]
    fn touching_segments_become_one() {
        let sorted = [segment(1, 0, 10), segment(1, 10, 5), segment(1, 20, 1), segment(2, 21, 1)];
        assert_eq!(joined(&sorted), [segment(1, 0, 15), segment(1, 20, 1), segment(2, 21, 1)]);
    }

    #[test]
    fn ranges_need_two_ends_to_be_looked_up() {
        let at_least = |n| Wanted::compared(Comparison::GreaterEqual, Scalar::Whole(n));
        let less = |n| Wanted::compared(Comparison::Less, Scalar::Whole(n));
        assert_eq!(bounded_range(&[at_least(5)]), None);
        assert_eq!(bounded_range(&[at_least(5), less(9), at_least(6)]), Some(vec![(6, 8)]));
        assert_eq!(bounded_range(&[at_least(5), less(3)]), Some(vec![]));
        assert_eq!(bounded_range(&[Wanted::Nothing]), Some(vec![]));
        assert_eq!(bounded_range(&[]), None);
    }
}
