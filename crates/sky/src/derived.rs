//! All values that the archive stores about a position, from one pass over right ascension and declination.
//!
//! Two sine-cosine pairs and four arc tangents serve all nine values; columns are processed four rows at a time. The
//! values are those of the single functions of this crate, bit for bit.

use crate::frames::{galactic, sdss_lambda_eta};
use crate::htm::HtmId;
use crate::position::{SkyPosition, UnitVector};
use crate::reference_frame::ReferenceFrame;
use crate::trig::quarters;
use crate::{healpix, htm};

/// Unit vector, galactic and SDSS survey coordinates, HTM trixel and HEALPix pixel of one position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SkyDerived {
    /// cos(dec) cos(ra)
    pub cx: f64,
    /// cos(dec) sin(ra)
    pub cy: f64,
    /// sin(dec)
    pub cz: f64,
    /// Galactic longitude, 0 <= l < 360.
    pub l_deg: f64,
    /// Galactic latitude.
    pub b_deg: f64,
    /// SDSS survey latitude.
    pub lambda_deg: f64,
    /// SDSS survey longitude, -180 < eta <= 180.
    pub eta_deg: f64,
    /// HTM trixel at depth 20.
    pub htm_id: HtmId,
    /// HEALPix pixel, nested, order 29.
    pub healpix29: i64,
}

impl SkyDerived {
    /// Computes the values of one position; `None` unless both are finite and the declination is in -90..=90.
    pub fn from_radec(ra_deg: f64, dec_deg: f64) -> Option<Self> {
        let position = SkyPosition::new(ra_deg, dec_deg)?;
        let mut out = SkyColumns::with_rows(1);
        out.fill_rows(0, [position.ra_deg], [position.dec_deg]);
        out.row(0)
    }
}

/// [`SkyDerived`] of many rows, as columns.
///
/// A row without a valid position (NaN, infinite, declination beyond a pole) has NaN and -1 in every column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SkyColumns {
    /// cos(dec) cos(ra)
    pub cx: Vec<f64>,
    /// cos(dec) sin(ra)
    pub cy: Vec<f64>,
    /// sin(dec)
    pub cz: Vec<f64>,
    /// Galactic longitude, 0 <= l < 360.
    pub l_deg: Vec<f64>,
    /// Galactic latitude.
    pub b_deg: Vec<f64>,
    /// SDSS survey latitude.
    pub lambda_deg: Vec<f64>,
    /// SDSS survey longitude, -180 < eta <= 180.
    pub eta_deg: Vec<f64>,
    /// HTM trixel at depth 20; -1 without a position.
    pub htm_id: Vec<i64>,
    /// HEALPix pixel, nested, order 29; -1 without a position.
    pub healpix29: Vec<i64>,
}

impl SkyColumns {
    /// Computes the columns for these positions (degrees).
    ///
    /// # Panics
    /// Panics when the two slices differ in length.
    pub fn from_radec(ra_deg: &[f64], dec_deg: &[f64]) -> Self {
        let mut out = Self::default();
        out.refill(ra_deg, dec_deg);
        out
    }

    /// Replaces the contents by the columns for these positions, keeping the memory.
    ///
    /// # Panics
    /// Panics when the two slices differ in length.
    pub fn refill(&mut self, ra_deg: &[f64], dec_deg: &[f64]) {
        assert_eq!(ra_deg.len(), dec_deg.len(), "one declination per right ascension");
        self.resize(ra_deg.len());
        let whole = ra_deg.len() / LANES * LANES;
        for row in (0..whole).step_by(LANES) {
            let (ra, dec) = (&ra_deg[row..row + LANES], &dec_deg[row..row + LANES]);
            let ra: [f64; LANES] = std::array::from_fn(|i| turned(ra[i]));
            let dec: [f64; LANES] = std::array::from_fn(|i| dec[i]);
            self.fill_rows(row, ra, dec);
        }
        for row in whole..ra_deg.len() {
            self.fill_rows(row, [turned(ra_deg[row])], [dec_deg[row]]);
        }
        for row in 0..ra_deg.len() {
            if !(ra_deg[row].is_finite() && dec_deg[row].abs() <= 90.0) {
                self.blank(row);
            }
        }
    }

    /// Replaces the galactic coordinates computed for positions in the FK5 of 2000.0 by those for positions in the
    /// ICRS.
    pub fn turn_galactic_to_icrs(&mut self) {
        let to_icrs = ReferenceFrame::Galactic.to_icrs();
        for row in 0..self.rows() {
            let v = UnitVector { x: self.cx[row], y: self.cy[row], z: self.cz[row] };
            if v.x.is_finite() {
                let p = to_icrs.vector_back(v).position();
                (self.l_deg[row], self.b_deg[row]) = (p.ra_deg, p.dec_deg);
            }
        }
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        self.cx.len()
    }

    /// Returns one row; `None` for a row without a valid position.
    ///
    /// # Panics
    /// Panics when there is no such row.
    pub fn row(&self, row: usize) -> Option<SkyDerived> {
        let htm_id = u64::try_from(self.htm_id[row]).ok().and_then(HtmId::new)?;
        Some(SkyDerived {
            cx: self.cx[row],
            cy: self.cy[row],
            cz: self.cz[row],
            l_deg: self.l_deg[row],
            b_deg: self.b_deg[row],
            lambda_deg: self.lambda_deg[row],
            eta_deg: self.eta_deg[row],
            htm_id,
            healpix29: self.healpix29[row],
        })
    }

    fn with_rows(rows: usize) -> Self {
        let mut out = Self::default();
        out.resize(rows);
        out
    }

    fn resize(&mut self, rows: usize) {
        for column in self.floats() {
            column.resize(rows, f64::NAN);
        }
        self.htm_id.resize(rows, -1);
        self.healpix29.resize(rows, -1);
    }

    fn blank(&mut self, row: usize) {
        for column in self.floats() {
            column[row] = f64::NAN;
        }
        self.htm_id[row] = -1;
        self.healpix29[row] = -1;
    }

    fn floats(&mut self) -> [&mut Vec<f64>; 7] {
        [
            &mut self.cx,
            &mut self.cy,
            &mut self.cz,
            &mut self.l_deg,
            &mut self.b_deg,
            &mut self.lambda_deg,
            &mut self.eta_deg,
        ]
    }

    /// Fills `N` rows from `first` on.
    #[inline(always)]
    fn fill_rows<const N: usize>(&mut self, first: usize, ra_deg: [f64; N], dec_deg: [f64; N]) {
        let (mut cx, mut cy, mut cz) = ([0.0; N], [0.0; N], [0.0; N]);
        for i in 0..N {
            let (ra, dec) = (quarters(ra_deg[i]), quarters(dec_deg[i]));
            (cx[i], cy[i], cz[i]) = (dec.cos * ra.cos + 0.0, dec.cos * ra.sin + 0.0, dec.sin);
            self.healpix29[first + i] =
                healpix::from_parts(healpix::MAX_ORDER, ra, dec.sin, dec.cos) as i64;
        }
        for i in 0..N {
            let v = UnitVector { x: cx[i], y: cy[i], z: cz[i] };
            let (row, g, s) = (first + i, galactic(v), sdss_lambda_eta(v));
            (self.cx[row], self.cy[row], self.cz[row]) = (v.x, v.y, v.z);
            (self.l_deg[row], self.b_deg[row]) = (g.l_deg, g.b_deg);
            (self.lambda_deg[row], self.eta_deg[row]) = (s.lambda_deg, s.eta_deg);
        }
        let trixels = htm::ids::<N>(cx, cy, cz, htm::ARCHIVE_DEPTH);
        for (row, trixel) in trixels.into_iter().enumerate() {
            self.htm_id[first + row] = trixel as i64;
        }
    }
}

const LANES: usize = 4;

/// Returns the right ascension in 0..360, as [`SkyPosition::new`] does; any value without a position.
#[inline(always)]
fn turned(ra_deg: f64) -> f64 {
    SkyPosition::new(ra_deg, 0.0).map_or(0.0, |p| p.ra_deg)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::unit_vector;

    #[test]
    fn columns_rows_and_single_functions_agree() {
        let ra: Vec<f64> = (0..101).map(|i| f64::from(i) * 7.31 - 180.0).collect();
        let dec: Vec<f64> = (0..101).map(|i| f64::from(i) * 1.8 - 90.0).collect();
        let columns = SkyColumns::from_radec(&ra, &dec);
        assert_eq!(columns.rows(), 101);
        for i in 0..101 {
            let row = columns.row(i).unwrap();
            assert_eq!(Some(row), SkyDerived::from_radec(ra[i], dec[i]), "row {i}");
            let v = SkyPosition::new(ra[i], dec[i]).unwrap().unit_vector();
            assert_eq!((row.cx, row.cy, row.cz), (v.x, v.y, v.z));
            assert_eq!(row.htm_id, htm::id20(v));
            assert_eq!(Some(row.healpix29 as u64), healpix::nested29(ra[i], dec[i]));
            let g = galactic(v);
            assert_eq!((row.l_deg, row.b_deg), (g.l_deg, g.b_deg));
            let s = sdss_lambda_eta(v);
            assert_eq!((row.lambda_deg, row.eta_deg), (s.lambda_deg, s.eta_deg));
        }
    }

    #[test]
    fn galactic_coordinates_of_the_icrs() {
        let mut columns = SkyColumns::from_radec(&[120.0, f64::NAN], &[29.0, 1.0]);
        columns.turn_galactic_to_icrs();
        // astropy: SkyCoord(120, 29).galactic
        let (l, b) = (columns.l_deg[0], columns.b_deg[0]);
        assert!(
            (l - 192.344_435_630_494_53).abs() < 1e-9 && (b - 26.774_020_990_094_96).abs() < 1e-9,
            "{l} {b}"
        );
        assert!(columns.l_deg[1].is_nan());
    }

    #[test]
    fn rows_without_position_are_blank() {
        let ra = [1.0, f64::NAN, 3.0, f64::INFINITY, 5.0, 6.0];
        let dec = [1.0, 2.0, f64::NAN, 4.0, 90.5, -90.0];
        let mut columns = SkyColumns::from_radec(&ra, &dec);
        for (row, wanted) in [true, false, false, false, false, true].into_iter().enumerate() {
            assert_eq!(SkyDerived::from_radec(ra[row], dec[row]).is_some(), wanted);
            assert_eq!(columns.htm_id[row] >= 0, wanted);
            assert_eq!(columns.row(row).is_some(), wanted);
            assert_eq!(columns.healpix29[row] >= 0, wanted);
            assert_eq!(columns.cx[row].is_finite(), wanted);
            assert_eq!(columns.eta_deg[row].is_finite(), wanted);
        }
        columns.refill(&[10.0], &[20.0]);
        assert_eq!(columns.rows(), 1);
        assert_eq!(columns.row(0).unwrap().cz, unit_vector(10.0, 20.0).z);
    }
}
