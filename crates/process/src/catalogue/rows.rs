//! Usability of rows.

use model::{RefusalCode, RowRange};

/// The reason why a row cannot be used; the first reason that applies counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RowFault {
    SequenceMissing,
    SequenceNotWhole,
    SequenceOutOfRange,
    SequenceTwice,
    PixelMissing,
    OutsideDetector,
    SkyMissing,
    SkyOutOfRange,
}

impl RowFault {
    pub(super) fn code(self) -> RefusalCode {
        match self {
            Self::SequenceMissing => RefusalCode::SEQUENCE_NUMBER_MISSING,
            Self::SequenceNotWhole => RefusalCode::SEQUENCE_NUMBER_NOT_WHOLE,
            Self::SequenceOutOfRange => RefusalCode::SEQUENCE_NUMBER_OUT_OF_RANGE,
            Self::SequenceTwice => RefusalCode::SEQUENCE_NUMBER_DUPLICATE,
            Self::PixelMissing => RefusalCode::PIXEL_POSITION_MISSING,
            Self::OutsideDetector => RefusalCode::OUTSIDE_DETECTOR,
            Self::SkyMissing => RefusalCode::SKY_POSITION_MISSING,
            Self::SkyOutOfRange => RefusalCode::SKY_POSITION_OUT_OF_RANGE,
        }
    }

    /// Returns the column of `detection` with the fault.
    pub(super) fn column(self) -> &'static str {
        match self {
            Self::SequenceMissing
            | Self::SequenceNotWhole
            | Self::SequenceOutOfRange
            | Self::SequenceTwice => "seq_num",
            Self::PixelMissing | Self::OutsideDetector => "x",
            Self::SkyMissing | Self::SkyOutOfRange => "ra",
        }
    }

    pub(super) fn message(self) -> &'static str {
        match self {
            Self::SequenceMissing => "the row has no sequence number",
            Self::SequenceNotWhole => "the sequence number is not a whole number",
            Self::SequenceOutOfRange => "the sequence number is below 1 or beyond 32 bits",
            Self::SequenceTwice => "an earlier row has the same sequence number",
            Self::PixelMissing => "x or y is missing",
            Self::OutsideDetector => {
                "x, y are outside of the detector, beyond the profile's margin"
            }
            Self::SkyMissing => {
                "the row has no position on the sky, and there is no WCS to compute one"
            }
            Self::SkyOutOfRange => "RA or DEC is not a position on the sky",
        }
    }
}

/// The values that identify and place the rows of an HDU; slices of equal length.
pub(super) struct Keys<'a> {
    pub(super) seq_num: &'a [f64],
    pub(super) x: &'a [f64],
    pub(super) y: &'a [f64],
    pub(super) ra_deg: &'a [f64],
    pub(super) dec_deg: &'a [f64],
}

/// The limits of x and y.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) min_px: f64,
    pub(super) max_x_px: f64,
    pub(super) max_y_px: f64,
}

impl Bounds {
    /// Returns the bounds of a detector; without its size only x and y below its first pixel are outside.
    pub(super) fn of(size_px: Option<[i64; 2]>, margin_px: f64) -> Self {
        let max =
            |axis: usize| size_px.map_or(f64::INFINITY, |size| size[axis] as f64 + 0.5 + margin_px);
        Self { min_px: 0.5 - margin_px, max_x_px: max(0), max_y_px: max(1) }
    }

    /// Returns true for a pixel position within the bounds.
    pub(super) fn hold(&self, x: f64, y: f64) -> bool {
        (self.min_px..=self.max_x_px).contains(&x) && (self.min_px..=self.max_y_px).contains(&y)
    }
}

/// Returns the rows that cannot be used, ascending, from 0.
pub(super) fn faults(keys: &Keys<'_>, bounds: Bounds) -> Vec<(usize, RowFault)> {
    let rows = keys.seq_num.len();
    let mut sound = true;
    for row in 0..rows {
        sound &= fault(keys, bounds, row).is_none();
    }
    let ascending = keys.seq_num.windows(2).all(|pair| pair[0] < pair[1]);
    if sound && ascending {
        return Vec::new();
    }
    let mut faults: Vec<(usize, RowFault)> =
        (0..rows).filter_map(|row| Some((row, fault(keys, bounds, row)?))).collect();
    if !ascending {
        add_twice(keys.seq_num, &mut faults);
    }
    faults
}

#[inline(always)]
fn fault(keys: &Keys<'_>, bounds: Bounds, row: usize) -> Option<RowFault> {
    let (seq, x, y) = (keys.seq_num[row], keys.x[row], keys.y[row]);
    let (ra, dec) = (keys.ra_deg[row], keys.dec_deg[row]);
    if seq.is_nan() {
        Some(RowFault::SequenceMissing)
    } else if !(1.0..=f64::from(i32::MAX)).contains(&seq) {
        Some(RowFault::SequenceOutOfRange)
    } else if f64::from(seq as i32) != seq {
        Some(RowFault::SequenceNotWhole)
    } else if x.is_nan() || y.is_nan() {
        Some(RowFault::PixelMissing)
    } else if !(x >= bounds.min_px
        && x <= bounds.max_x_px
        && y >= bounds.min_px
        && y <= bounds.max_y_px
        && x.is_finite()
        && y.is_finite())
    {
        Some(RowFault::OutsideDetector)
    } else if ra.is_nan() || dec.is_nan() {
        Some(RowFault::SkyMissing)
    } else if !(0.0..360.0).contains(&ra) || dec.abs() > 90.0 {
        Some(RowFault::SkyOutOfRange)
    } else {
        None
    }
}

/// Adds rows whose sequence number an earlier usable row has.
fn add_twice(seq_num: &[f64], faults: &mut Vec<(usize, RowFault)>) {
    let mut refused = vec![false; seq_num.len()];
    for (row, _) in faults.iter() {
        refused[*row] = true;
    }
    let mut order: Vec<usize> = (0..seq_num.len()).filter(|row| !refused[*row]).collect();
    order.sort_by(|a, b| seq_num[*a].total_cmp(&seq_num[*b]).then(a.cmp(b)));
    for pair in order.windows(2).filter(|pair| seq_num[pair[0]] == seq_num[pair[1]]) {
        faults.push((pair[1], RowFault::SequenceTwice));
    }
    faults.sort_unstable();
}

/// Returns the rows of each reason as ranges that count from 1, at most `most` ranges each, with the number of all rows.
pub(super) fn by_fault(
    faults: &[(usize, RowFault)],
    max_ranges: usize,
) -> Vec<(RowFault, u64, Vec<RowRange>)> {
    let mut kinds: Vec<RowFault> = faults.iter().map(|(_, fault)| *fault).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
        .into_iter()
        .map(|kind| {
            let rows =
                || faults.iter().filter(move |(_, f)| *f == kind).map(|(row, _)| *row as u64);
            (kind, rows().count() as u64, ranges(rows(), max_ranges))
        })
        .collect()
}

/// Returns ascending rows from 0 as ranges from 1, the first `most` of them.
pub(super) fn ranges(rows: impl Iterator<Item = u64>, max_ranges: usize) -> Vec<RowRange> {
    let mut ranges = Vec::new();
    for row in rows {
        RowRange::push(&mut ranges, row + 1);
        if ranges.len() > max_ranges {
            ranges.pop();
            break;
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { min_px: -9.5, max_x_px: 110.5, max_y_px: 60.5 };

    fn of(rows: &[(f64, f64, f64, f64, f64)]) -> Vec<(usize, RowFault)> {
        let column = |pick: fn(&(f64, f64, f64, f64, f64)) -> f64| -> Vec<f64> {
            rows.iter().map(pick).collect()
        };
        let (seq_num, x, y) = (column(|r| r.0), column(|r| r.1), column(|r| r.2));
        let (ra_deg, dec_deg) = (column(|r| r.3), column(|r| r.4));
        let keys = Keys { seq_num: &seq_num, x: &x, y: &y, ra_deg: &ra_deg, dec_deg: &dec_deg };
        faults(&keys, BOUNDS)
    }

    #[test]
    fn one_row_at_a_time() {
        use RowFault::*;
        const NAN: f64 = f64::NAN;
        const INF: f64 = f64::INFINITY;
        let cases = [
            ((1.0, 50.0, 50.0, 10.0, 10.0), None),
            ((NAN, 50.0, 50.0, 10.0, 10.0), Some(SequenceMissing)),
            ((1.5, 50.0, 50.0, 10.0, 10.0), Some(SequenceNotWhole)),
            ((0.0, 50.0, 50.0, 10.0, 10.0), Some(SequenceOutOfRange)),
            ((-3.0, 50.0, 50.0, 10.0, 10.0), Some(SequenceOutOfRange)),
            ((INF, 50.0, 50.0, 10.0, 10.0), Some(SequenceOutOfRange)),
            ((2_147_483_648.0, 50.0, 50.0, 10.0, 10.0), Some(SequenceOutOfRange)),
            ((1.0, NAN, 50.0, 10.0, 10.0), Some(PixelMissing)),
            ((1.0, 50.0, INF, 10.0, 10.0), Some(OutsideDetector)),
            ((1.0, -9.5, 60.5, 10.0, 10.0), None), // on the bounds
            ((1.0, -9.6, 50.0, 10.0, 10.0), Some(OutsideDetector)),
            ((1.0, 50.0, 60.6, 10.0, 10.0), Some(OutsideDetector)),
            ((1.0, 50.0, 50.0, NAN, 10.0), Some(SkyMissing)),
            ((1.0, 50.0, 50.0, 10.0, 90.1), Some(SkyOutOfRange)),
            ((1.0, 50.0, 50.0, 360.0, 10.0), Some(SkyOutOfRange)),
            ((NAN, NAN, NAN, NAN, NAN), Some(SequenceMissing)),
        ];
        for (row, wanted) in cases {
            let found = of(&[row]).first().map(|(_, fault)| *fault);
            assert_eq!(found, wanted, "{row:?}");
        }
    }

    #[test]
    fn the_first_of_equal_numbers_stays() {
        let row = |seq: f64, x: f64| (seq, x, 50.0, 10.0, 10.0);
        // The first 2 is outside, and does not refuse the second.
        let rows = [row(3.0, 1.0), row(2.0, 900.0), row(2.0, 1.0), row(3.0, 2.0), row(3.0, 3.0)];
        let wanted = [
            (1, RowFault::OutsideDetector),
            (3, RowFault::SequenceTwice),
            (4, RowFault::SequenceTwice),
        ];
        assert_eq!(of(&rows), wanted);
        let groups = by_fault(&wanted, 10);
        assert_eq!(groups[0].2, [RowRange { first: 4, last: 5 }]);
        assert_eq!((groups[1].1, groups[1].2.len()), (1, 1));
    }

    #[test]
    fn listed_ranges_are_limited_and_rows_are_not() {
        let faults: Vec<_> = (0..100).map(|n| (n * 2, RowFault::SkyMissing)).collect();
        let groups = by_fault(&faults, 7);
        assert_eq!((groups[0].1, groups[0].2.len()), (100, 7));
    }

    #[test]
    fn a_detector_of_unknown_size_has_no_far_edge() {
        let bounds = Bounds::of(None, 10.0);
        assert_eq!(bounds.min_px, -9.5);
        assert!(bounds.max_x_px.is_infinite());
        let known = Bounds::of(Some([100, 50]), 10.0);
        assert_eq!((known.max_x_px, known.max_y_px), (110.5, 60.5));
    }
}
