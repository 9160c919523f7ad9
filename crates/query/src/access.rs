//! The lookup from conditions to runs of rows in lake files, through `detector_rows`, before any file is opened.

use super::as_of;
use super::constraint::{Scalar, Wanted};
use lake::{Cone, healpix_ranges};
use model::UseCase;
use rusqlite::{Connection, Row, params, types::ValueRef};
use std::collections::HashMap;

/// `table_id` of `detection_all` in the lake's catalogue: its entries never end.
const ALL_TABLE: i64 = 2;

/// Consecutive rows of one lake file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Segment {
    pub file_id: i64,
    pub first: u64,
    pub rows: u64,
}

/// Conditions on columns that the lookup understands, grouped by what they limit.
#[derive(Debug, Default)]
pub(crate) struct Search {
    pub obj_id: Vec<Wanted>,
    pub multiframe_id: Vec<Wanted>,
    pub ext_num: Vec<Wanted>,
    pub programme_id: Vec<Wanted>,
    pub cones: Vec<Option<Cone>>,
    /// Conditions by field id, for the files' statistics.
    pub by_field: HashMap<i64, Vec<Wanted>>,
    /// True when ended rows are searched too.
    pub ended_too: bool,
    /// The event as of which rows are current; `None` for now.
    pub as_of: Option<i64>,
}

impl Search {
    /// Returns SQL that is NULL for the visible rows of `detector_rows`, and has a value for the others.
    fn hidden(&self) -> String {
        match self.as_of {
            None => "end_event".to_owned(),
            Some(event) => format!(
                "CASE WHEN {} THEN NULL ELSE 1 END",
                as_of::condition("detector_rows", Some(UseCase::Catalogue), event)
            ),
        }
    }

    fn columns(&self) -> String {
        format!(
            "programme_id, first_obj_id, rows, multiframe_id, ext_num, file_id, file_row, {}",
            self.hidden()
        )
    }
}

/// Rows that may satisfy a search, and the conditions that they are known to satisfy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// Ascending by file and row, without overlap.
    pub segments: Vec<Segment>,
    /// True when conditions on `multiframe_id`, `ext_num` and `programme_id` hold for every row.
    pub detectors_exact: bool,
    /// True when conditions on `obj_id` hold for every row.
    pub objects_exact: bool,
}

/// A row of `detector_rows`.
struct DetectorRow {
    programme_id: i64,
    first_obj_id: i64,
    rows: i64,
    multiframe_id: i64,
    ext_num: i64,
    file_id: i64,
    file_row: i64,
    current: bool,
}

impl DetectorRow {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            programme_id: row.get(0)?,
            first_obj_id: row.get(1)?,
            rows: row.get(2)?,
            multiframe_id: row.get(3)?,
            ext_num: row.get(4)?,
            file_id: row.get(5)?,
            file_row: row.get(6)?,
            current: row.get_ref(7)? == ValueRef::Null,
        })
    }

    /// Returns the part of it whose object ids are between two bounds.
    fn part(&self, low: i64, high: i64) -> Option<Segment> {
        let last = self.first_obj_id + self.rows - 1;
        let (from, to) = (low.max(self.first_obj_id), high.min(last));
        (from <= to).then(|| Segment {
            file_id: self.file_id,
            first: (self.file_row + from - self.first_obj_id).unsigned_abs(),
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

/// Looks up a search by the narrowest method: object ids, detectors, cones, or else the files' statistics.
pub(crate) fn look_up(db: &Connection, search: &Search) -> rusqlite::Result<Access> {
    let mut found = Found { search, segments: Vec::new() };
    let (mut detectors_exact, mut objects_exact) = (true, false);
    if let Some(objects) = list(&search.obj_id).or_else(|| bounded_range(&search.obj_id)) {
        objects_exact = true;
        found.by_object(db, &objects)?;
    } else if let Some(frames) = list(&search.multiframe_id) {
        found.by_multiframe(db, &frames)?;
    } else if let Some(cone) = search.cones.first() {
        found.by_cone(db, *cone)?;
    } else if let Some(frames) = bounded_range(&search.multiframe_id) {
        found.by_multiframe(db, &frames)?;
    } else {
        detectors_exact = false;
        found.by_file(db)?;
    }
    let mut segments = found.segments;
    segments.sort_unstable();
    Ok(Access { segments: joined(&segments), detectors_exact, objects_exact })
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
    search: &'a Search,
    segments: Vec<Segment>,
}

impl Found<'_> {
    fn wants(&self, row: &DetectorRow) -> bool {
        let all = |wanted: &[Wanted], n| wanted.iter().all(|w| w.holds_whole(n));
        (row.current || self.search.ended_too)
            && all(&self.search.multiframe_id, row.multiframe_id)
            && all(&self.search.ext_num, row.ext_num)
            && all(&self.search.programme_id, row.programme_id)
    }

    fn by_object(&mut self, db: &Connection, ranges: &[(i64, i64)]) -> rusqlite::Result<()> {
        let mut select = db.prepare_cached(&format!(
            "SELECT {} FROM detector_rows
             WHERE programme_id = ?1 AND first_obj_id <= ?3 AND first_obj_id >=
                 coalesce((SELECT max(first_obj_id) FROM detector_rows
                           WHERE programme_id = ?1 AND first_obj_id <= ?2), ?2)",
            self.search.columns()
        ))?;
        for programme in programmes(db)? {
            for &(low, high) in ranges {
                let mut rows = select.query(params![programme, low, high])?;
                while let Some(row) = rows.next()? {
                    let row = DetectorRow::of(row)?;
                    if self.wants(&row) {
                        self.segments.extend(row.part(low, high));
                    }
                }
            }
        }
        Ok(())
    }

    fn by_multiframe(&mut self, db: &Connection, frames: &[(i64, i64)]) -> rusqlite::Result<()> {
        let mut select = db.prepare_cached(&format!(
            "SELECT {} FROM detector_rows WHERE multiframe_id BETWEEN ?1 AND ?2",
            self.search.columns()
        ))?;
        for &(low, high) in frames {
            let mut rows = select.query(params![low, high])?;
            while let Some(row) = rows.next()? {
                let row = DetectorRow::of(row)?;
                if self.wants(&row) {
                    self.segments.push(row.whole());
                }
            }
        }
        Ok(())
    }

    /// Adds the detectors whose cap of positions touches the cone, class of cap sizes by class.
    fn by_cone(&mut self, db: &Connection, cone: Option<Cone>) -> rusqlite::Result<()> {
        let Some(cone) = cone else { return Ok(()) };
        let mut next_class = db.prepare_cached(
            "SELECT min(radius_class) FROM detector_rows WHERE radius_class > ?1",
        )?;
        let mut select = db.prepare_cached(&format!(
            "SELECT {}, centre_healpix29, radius_deg FROM detector_rows
             WHERE radius_class = ?1 AND centre_healpix29 BETWEEN ?2 AND ?3",
            self.search.columns()
        ))?;
        let mut class = i64::MIN;
        while let Some(found) = next_class.query_row([class], |r| r.get::<_, Option<i64>>(0))? {
            class = found;
            let reach = cone.radius_deg + (class as f64).exp2();
            for (first, last) in healpix_ranges(Cone { radius_deg: reach, ..cone }) {
                let mut rows = select.query(params![class, first, last])?;
                while let Some(row) = rows.next()? {
                    let (cell, radius): (u64, f64) = (row.get(8)?, row.get(9)?);
                    let row = DetectorRow::of(row)?;
                    if self.wants(&row) && touches(cone, cell, radius) {
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
        let mut rows = select.query([ALL_TABLE])?;
        while let Some(row) = rows.next()? {
            let (file_id, count): (i64, u64) = (row.get(0)?, row.get(1)?);
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

    fn ruled_out(&self, db: &Connection, file_id: i64) -> rusqlite::Result<bool> {
        let mut select = db.prepare_cached(
            "SELECT value_count, null_count, min_value, max_value FROM ducklake_file_column_stats
             WHERE data_file_id = ?1 AND column_id = ?2",
        )?;
        for (column, wanted) in &self.search.by_field {
            let mut rows = select.query([file_id, *column])?;
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

    fn current_rows(&mut self, db: &Connection, file_id: i64, count: u64) -> rusqlite::Result<()> {
        let mut select = db.prepare_cached(&format!(
            "SELECT file_row, rows FROM detector_rows
             WHERE file_id = ?1 AND ({}) IS NOT NULL ORDER BY file_row",
            self.search.hidden()
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

fn programmes(db: &Connection) -> rusqlite::Result<Vec<i64>> {
    let mut next =
        db.prepare_cached("SELECT min(programme_id) FROM detector_rows WHERE programme_id > ?1")?;
    let mut programmes = Vec::new();
    let mut last = i64::MIN;
    while let Some(programme) = next.query_row([last], |r| r.get::<_, Option<i64>>(0))? {
        programmes.push(programme);
        last = programme;
    }
    Ok(programmes)
}

/// Returns true when a detector's cap and a cone have a point in common (with a small tolerance).
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
        Segment { file_id, first, rows }
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
