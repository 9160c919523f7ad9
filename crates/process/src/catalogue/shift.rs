//! The shift between x and y of a catalogue and the pixels of its RA and DEC in the WCS.

/// Two pixels of one row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pixels {
    /// x and y of the catalogue, the first pixel centred on 1.
    pub(super) delivered: [f64; 2],
    /// The pixel of RA and DEC in the WCS.
    pub(super) of_wcs: [f64; 2],
}

/// The medians of x and y of a catalogue minus the pixels of its RA and DEC.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shift {
    pub(super) dx: f64,
    pub(super) dy: f64,
    /// Pixels by which RA and DEC may be rounded.
    rounding_px: f64,
}

impl Shift {
    /// Returns true when the shift is this or more in one axis, even if the positions are rounded.
    pub(super) fn reaches(self, limit_px: f64) -> bool {
        let limit_px = limit_px + self.rounding_px;
        self.dx.abs() >= limit_px || self.dy.abs() >= limit_px
    }

    /// Returns 1 or -1 when both axes are shifted by one pixel in this direction.
    pub(super) fn one_pixel(self) -> Option<i8> {
        let is_one = |sign: f64| [self.dx, self.dy].iter().all(|d| (d - sign).abs() <= 0.1);
        if is_one(1.0) { Some(1) } else { is_one(-1.0).then_some(-1) }
    }
}

/// Returns the medians of the differences; `None` without rows.
pub(super) fn median_shift(rows: impl Iterator<Item = Pixels>, rounding_px: f64) -> Option<Shift> {
    let mut differences = [Vec::new(), Vec::new()];
    for Pixels { delivered, of_wcs } in rows {
        for axis in 0..2 {
            let difference = delivered[axis] - of_wcs[axis];
            differences[axis].extend(difference.is_finite().then_some(difference));
        }
    }
    let [dx, dy] = differences.map(median);
    Some(Shift { dx: dx?, dy: dy?, rounding_px })
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(differences: &[(f64, f64)]) -> Option<Shift> {
        let rows = differences
            .iter()
            .map(|(dx, dy)| Pixels { delivered: [100.0 + dx, 50.0 + dy], of_wcs: [100.0, 50.0] });
        median_shift(rows, 0.0)
    }

    #[test]
    fn the_median_has_a_sign() {
        let shift = of(&[(1.0, 1.0), (1.0, 1.0), (-300.0, 7.0)]).unwrap();
        assert_eq!((shift.dx, shift.dy, shift.one_pixel()), (1.0, 1.0, Some(1)));
        let shift = of(&[(-1.0, -0.95)]).unwrap();
        assert_eq!(shift.one_pixel(), Some(-1));
        assert!(shift.reaches(0.5) && !shift.reaches(1.5));
        // Errors of single rows cancel out.
        let scattered = of(&[(3.0, -2.0), (-3.0, 2.0), (0.1, -0.1), (2.0, 1.0), (-2.0, -1.0)]);
        assert!(!scattered.unwrap().reaches(0.5));
        assert_eq!(of(&[(1.0, -1.0)]).unwrap().one_pixel(), None);
        assert!(of(&[(0.5, 0.0)]).unwrap().reaches(0.5));
        assert!(of(&[]).is_none());
        let rounded = median_shift(std::iter::empty(), 0.2);
        assert!(rounded.is_none());
        let rounded = Shift { dx: 0.6, dy: 0.0, rounding_px: 0.2 };
        assert!(!rounded.reaches(0.5) && rounded.reaches(0.3));
    }
}
