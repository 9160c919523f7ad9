//! WFCAM's four detectors on the sky: transformations from pixels to the sky and from stars to pixels.
//!
//! Written independently of the crate `sky`, so that the two check each other: positions planted here are found there.

use std::f64::consts::PI;

/// Degrees per pixel of a detector (0.4005 arcsec).
const PIXEL_DEG: f64 = 1.1125e-4;
/// Distance of a detector's centre from the optical axis along each side, in detector widths: gaps are 94 % of a
/// detector wide.
pub(crate) const CENTRE_OFFSET: f64 = 0.97;

/// The astrometric solution of one detector: zenithal polynomial (ZPN) with a cubic term, pixels from 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Wcs {
    /// CRPIXn.
    pub crpix: [f64; 2],
    /// CRVALn, degrees.
    pub crval: [f64; 2],
    /// CDi_j, degrees per pixel, by rows.
    pub cd: [[f64; 2]; 2],
    /// PV2_3: r = z + PV2_3 z^3, radians.
    pub pv2_3: f64,
    /// Direction of CRVAL, and east and north there.
    axes: [[f64; 3]; 3],
}

impl Wcs {
    /// Makes the solution of camera `camera` (1-4), pointing at (`ra_deg`, `dec_deg`), detectors of `size` pixels;
    /// `microsteps` per axis is 1, or 2 for an interleaved frame whose pixels are half as large and twice as many.
    ///
    /// All numbers are rounded as in the header. Camera 4 has north up and west left; each camera is rotated by 90
    /// degrees with respect to the one before, and all four are mirror images of the sky.
    pub fn of_camera(
        camera: usize,
        pointing: [f64; 2],
        size: usize,
        microsteps: usize,
        pv2_3: f64,
    ) -> Self {
        // Mounting of the four detectors: rotation in degrees, shift in pixels, relative scale.
        const MOUNTING: [(f64, [f64; 2], f64); 4] = [
            (0.06, [-7.4, 2.8], -4.0e-4),
            (-0.11, [3.1, -1.9], 2.0e-4),
            (0.03, [5.6, 4.4], 5.0e-4),
            (-0.08, [-2.2, -6.1], 1.0e-4),
        ];
        let (turn, shift, scale) = MOUNTING[(camera - 1) % 4];
        let n = size as f64;
        let angle = ((camera % 4) as f64 * 90.0 + turn) * PI / 180.0;
        let steps = microsteps as f64;
        let pixel = PIXEL_DEG * (1.0 + scale) / steps;
        let (sin, cos) = angle.sin_cos();
        let cd = [[pixel * cos, -pixel * sin], [pixel * sin, pixel * cos]]
            .map(|row| row.map(|v| rounded(v, 8)));
        let centre = (n + 1.0) / 2.0;
        let on_detector = [
            centre + CENTRE_OFFSET * n + shift[0] * n / 2048.0,
            centre - CENTRE_OFFSET * n + shift[1] * n / 2048.0,
        ];
        let crpix = on_detector.map(|v| (1e4 * (steps * (v - 0.5) + 0.5)).round() / 1e4);
        let crval = pointing.map(|v| (1e7 * v).round() / 1e7);
        Self { crpix, crval, cd, pv2_3, axes: axes(crval) }
    }

    /// Returns the right ascension (0 to 360) and declination in degrees of a pixel.
    pub fn sky(&self, x: f64, y: f64) -> [f64; 2] {
        let (dx, dy) = (x - self.crpix[0], y - self.crpix[1]);
        let xi = (self.cd[0][0] * dx + self.cd[0][1] * dy).to_radians();
        let eta = (self.cd[1][0] * dx + self.cd[1][1] * dy).to_radians();
        let r = (xi * xi + eta * eta).sqrt();
        let zenith = self.zenith_distance(r);
        let [pole, east, north] = &self.axes;
        let (sin, cos) = zenith.sin_cos();
        let (e, n) = if r > 0.0 { (sin * xi / r, sin * eta / r) } else { (0.0, 0.0) };
        let v: [f64; 3] = std::array::from_fn(|i| cos * pole[i] + e * east[i] + n * north[i]);
        let ra = v[1].atan2(v[0]).to_degrees();
        [
            if ra < 0.0 { ra + 360.0 } else { ra },
            v[2].atan2((v[0] * v[0] + v[1] * v[1]).sqrt()).to_degrees(),
        ]
    }

    /// Returns the pixel of a position in degrees, which must be on this side of the sky.
    pub fn pixel(&self, position: [f64; 2]) -> [f64; 2] {
        let v = unit_vector(position);
        let [pole, east, north] = &self.axes;
        let dot = |a: &[f64; 3]| a.iter().zip(&v).map(|(a, b)| a * b).sum::<f64>();
        let (e, n) = (dot(east), dot(north));
        let sin = (e * e + n * n).sqrt();
        let zenith = sin.atan2(dot(pole));
        let r = zenith + self.pv2_3 * zenith.powi(3);
        let factor = if sin > 0.0 { r / sin } else { 1.0 };
        let (xi, eta) = ((e * factor).to_degrees(), (n * factor).to_degrees());
        let [[a, b], [c, d]] = self.cd;
        let determinant = a * d - b * c;
        [
            self.crpix[0] + (d * xi - b * eta) / determinant,
            self.crpix[1] + (a * eta - c * xi) / determinant,
        ]
    }

    /// Returns the factor on a flux measured at a pixel: flat fielding has treated the changing area of pixels as
    /// changing sensitivity (domain formula for ZPN: 1 / ((1 + 3 k r^2) (1 + k r^2))).
    pub fn flux_correction(&self, x: f64, y: f64) -> f64 {
        let (dx, dy) = (x - self.crpix[0], y - self.crpix[1]);
        let xi = (self.cd[0][0] * dx + self.cd[0][1] * dy).to_radians();
        let eta = (self.cd[1][0] * dx + self.cd[1][1] * dy).to_radians();
        let k = self.pv2_3 * (xi * xi + eta * eta);
        1.0 / ((1.0 + 3.0 * k) * (1.0 + k))
    }

    /// Solves z + k z^3 = r.
    fn zenith_distance(&self, r: f64) -> f64 {
        let mut z = r;
        for _ in 0..6 {
            let square = z * z;
            z -= (z + self.pv2_3 * square * z - r) / (1.0 + 3.0 * self.pv2_3 * square);
        }
        z
    }
}

/// Returns a direction in degrees, and east and north there, as unit vectors.
pub(crate) fn axes([ra, dec]: [f64; 2]) -> [[f64; 3]; 3] {
    let (sin_ra, cos_ra) = ra.to_radians().sin_cos();
    let (sin_dec, cos_dec) = dec.to_radians().sin_cos();
    [
        [cos_dec * cos_ra, cos_dec * sin_ra, sin_dec],
        [-sin_ra, cos_ra, 0.0],
        [-sin_dec * cos_ra, -sin_dec * sin_ra, cos_dec],
    ]
}

fn unit_vector([ra, dec]: [f64; 2]) -> [f64; 3] {
    let (sin_ra, cos_ra) = ra.to_radians().sin_cos();
    let (sin_dec, cos_dec) = dec.to_radians().sin_cos();
    [cos_dec * cos_ra, cos_dec * sin_ra, sin_dec]
}

/// Returns a number rounded to some significant digits.
fn rounded(value: f64, digits: usize) -> f64 {
    format!("{value:.*e}", digits - 1).parse().unwrap_or(value)
}

/// Returns half the side of the square of four detectors' centres, in degrees: the offset of a pointing's field.
pub(crate) fn centre_offset_deg(size: usize) -> f64 {
    CENTRE_OFFSET * size as f64 * PIXEL_DEG
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for pointing in [[0.05, 1.0], [83.9, 21.8], [40.0, 89.8], [359.99, -5.0]] {
            for camera in 1..=4 {
                for microsteps in [1, 2] {
                    let wcs = Wcs::of_camera(camera, pointing, 2048, microsteps, -60.0);
                    for (x, y) in [(1.0, 1.0), (2048.0, 100.5), (700.25, 2048.0)] {
                        let [u, v] = wcs.pixel(wcs.sky(x, y));
                        assert!((u - x).abs() < 1e-6 && (v - y).abs() < 1e-6, "{wcs:?} {u} {v}");
                    }
                }
            }
        }
    }

    #[test]
    fn cameras_stand_around_the_axis() {
        // South-west, south-east, north-east, north-west.
        let wanted = [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)];
        for (camera, (east, north)) in (1..=4).zip(wanted) {
            let wcs = Wcs::of_camera(camera, [100.0, 10.0], 2048, 1, -50.0);
            let [ra, dec] = wcs.sky(1024.5, 1024.5);
            assert!((ra - 100.0) * east > 0.2 && (dec - 10.0) * north > 0.2, "{camera} {ra} {dec}");
            let [[a, b], [c, d]] = wcs.cd;
            assert!(a * d - b * c > 0.0, "camera {camera} is not mirror inverted");
        }
    }
}
