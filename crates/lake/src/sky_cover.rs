//! HEALPix cells that a circle on the sky may touch: a cone search finds detectors by them through an index.
//!
//! Cells are those of HEALPix (Górski et al. 2005, ApJ 622, 759), NESTED, order 29, as in the column `healpix29`.

use sky::healpix::{MAX_ORDER, centre};
use std::f64::consts::PI;

/// Order of the finest cells that are worth more ranges: 3.4 arcmin, a quarter of a WFCAM detector.
const MAX_COVER_ORDER: u8 = 10;

/// A circle on the sky.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cone {
    /// Right ascension of the centre, degrees.
    pub ra_deg: f64,
    /// Declination of the centre, degrees.
    pub dec_deg: f64,
    /// Radius, degrees.
    pub radius_deg: f64,
}

impl Cone {
    /// Makes a cone; `None` unless all three are finite, the declination within ±90 and the radius not negative.
    pub fn new(ra_deg: f64, dec_deg: f64, radius_deg: f64) -> Option<Self> {
        let sound = ra_deg.is_finite()
            && dec_deg.abs() <= 90.0
            && radius_deg.is_finite()
            && radius_deg >= 0.0;
        sound.then_some(Self { ra_deg, dec_deg, radius_deg })
    }

    /// Returns true when a position is inside, edge included.
    pub fn contains(&self, ra_deg: f64, dec_deg: f64) -> bool {
        sky::angular_distance_deg(self.ra_deg, self.dec_deg, ra_deg, dec_deg) <= self.radius_deg
    }
}

/// Returns ranges of `healpix29` (first and last, both included, ascending, not touching) that hold every cell whose
/// centre is within the cone, and some cells beyond.
pub fn healpix_ranges(cone: Cone) -> Vec<(i64, i64)> {
    let order = cover_order(cone.radius_deg);
    let mut cells: Vec<u64> = (0..12).collect();
    for level in 0..=order {
        let reach = cone.radius_deg + cell_radius_deg(level);
        cells.retain(|&cell| {
            centre(level, cell).is_some_and(|c| {
                sky::angular_distance_deg(cone.ra_deg, cone.dec_deg, c.ra_deg, c.dec_deg) <= reach
            })
        });
        if level < order {
            cells =
                cells.iter().flat_map(|cell| (0..4).map(move |child| cell * 4 + child)).collect();
        }
    }
    merge(&cells, 2 * u32::from(MAX_ORDER - order))
}

/// Returns the coarsest order whose cells are smaller than the radius: a cone then touches about twenty cells.
fn cover_order(radius_deg: f64) -> u8 {
    (0..MAX_COVER_ORDER)
        .find(|&order| cell_radius_deg(order) < radius_deg)
        .unwrap_or(MAX_COVER_ORDER)
}

fn merge(cells: &[u64], shift: u32) -> Vec<(i64, i64)> {
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for &cell in cells {
        let (first, last) = ((cell << shift) as i64, (((cell + 1) << shift) - 1) as i64);
        match ranges.last_mut() {
            Some(range) if range.1 + 1 == first => range.1 = last,
            _ => ranges.push((first, last)),
        }
    }
    ranges
}

/// Returns the greatest distance of a corner from its cell's centre (`max_pixrad` of the HEALPix C++ library), degrees,
/// with a small margin for rounding.
fn cell_radius_deg(order: u8) -> f64 {
    let nside = f64::from(1u32 << order);
    let from_z_phi = |z: f64, phi: f64| {
        let s = (1.0 - z * z).sqrt();
        [s * phi.cos(), s * phi.sin(), z]
    };
    let a = from_z_phi(2.0 / 3.0, PI / (4.0 * nside));
    let t = (1.0 - 1.0 / nside).powi(2);
    let b = from_z_phi(1.0 - t / 3.0, 0.0);
    let cross = [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
    let sine = cross.iter().map(|x| x * x).sum::<f64>().sqrt();
    let cosine: f64 = a.iter().zip(b).map(|(x, y)| x * y).sum();
    sine.atan2(cosine).to_degrees() * (1.0 + 1e-9) + 1e-9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_position_of_a_cone_is_covered() {
        let centres = [
            (0.0, 0.0),
            (359.999, 45.0),
            (123.4, 89.99),
            (10.0, -90.0),
            (200.0, 41.81),
            (90.0, -41.8),
        ];
        for (ra, dec) in centres {
            for radius in [0.0, 1.0 / 60.0, 0.2, 3.0, 60.0, 180.0] {
                let cone = Cone::new(ra, dec, radius).unwrap();
                let ranges = healpix_ranges(cone);
                assert!(ranges.len() < 80, "{} ranges for {cone:?}", ranges.len());
                for i in 0..400 {
                    let distance = radius * f64::from(i % 20) / 19.0;
                    let (r, d) = moved(ra, dec, distance, f64::from(i) * 0.9);
                    let cell = sky::healpix::nested29(r, d).unwrap() as i64;
                    assert!(
                        ranges.iter().any(|&(a, b)| (a..=b).contains(&cell)),
                        "{r} {d} of {cone:?}"
                    );
                }
            }
        }
    }

    /// Returns the position at a distance and position angle (degrees east of north).
    fn moved(ra: f64, dec: f64, distance: f64, angle: f64) -> (f64, f64) {
        let (d0, s, a) = (dec.to_radians(), distance.to_radians(), angle.to_radians());
        let sin_dec = d0.sin() * s.cos() + d0.cos() * s.sin() * a.cos();
        let east = s.sin() * a.sin();
        let north = s.cos() * d0.cos() - s.sin() * d0.sin() * a.cos();
        let ra = (ra + east.atan2(north).to_degrees()).rem_euclid(360.0);
        (ra, sin_dec.clamp(-1.0, 1.0).asin().to_degrees())
    }
}
