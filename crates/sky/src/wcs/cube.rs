//! Projections on the faces of a cube: tangential (TSC), of COBE (CSC) and with equal areas (QSC).
//!
//! Formulae: Calabretta & Greisen 2002 (A&A 395, 1077), sections 5.6.1 to 5.6.3. Each maps a face of the cube, in its tangent
//! coordinates, to a square from -1 to 1.
//!
//! CSC has a polynomial for each direction. They are not exact inverses of each other: the round trip of a point has an
//! error of up to 24 arcsec.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_PI_4, PI};

/// Tolerance for rounding.
const ROUNDING: f64 = 1e-12;

/// The kind of cube.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cube {
    /// Tangential spherical cube (TSC).
    Tangential,
    /// COBE quadrilateralized spherical cube (CSC).
    Cobe,
    /// Quadrilateralized spherical cube (QSC).
    EqualArea,
}

impl Cube {
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Tangential => "TSC",
            Self::Cobe => "CSC",
            Self::EqualArea => "QSC",
        }
    }

    /// Returns the components of the direction at a point of the plane.
    pub(super) fn to_sphere(self, x: f64, y: f64) -> Option<(f64, f64, f64)> {
        let (face, u, v) = Face::at(x / FRAC_PI_4, y / FRAC_PI_4)?;
        let (chi, psi) = match self {
            Self::Tangential => (u, v),
            Self::Cobe => (cobe_tangent(u, v), cobe_tangent(v, u)),
            Self::EqualArea => equal_area_tangents(u, v),
        };
        // Towards native longitude 0, 90, and towards the pole.
        let (l, m, n) = match face {
            Face::North => (-psi, chi, 1.0),
            Face::South => (psi, chi, -1.0),
            Face::Equator0 => (1.0, chi, psi),
            Face::Equator90 => (-chi, 1.0, psi),
            Face::Equator180 => (-1.0, -chi, psi),
            Face::Equator270 => (chi, -1.0, psi),
        };
        let length = (1.0 + chi * chi + psi * psi).sqrt();
        Some((n / length, m / length, -l / length))
    }

    /// Returns the point of the plane for a direction.
    pub(super) fn to_plane(self, along: f64, a: f64, b: f64) -> Option<(f64, f64)> {
        let (l, m, n) = (-b, a, along);
        // The component of the direction towards each face, and its place: the polar face first, as in wcslib.
        let faces = [
            (n, m, -l, 0.0, 2.0),
            (l, m, n, 0.0, 0.0),
            (m, -l, n, 2.0, 0.0),
            (-l, -m, n, 4.0, 0.0),
            (-m, l, n, 6.0, 0.0),
            (-n, m, l, 0.0, -2.0),
        ];
        let mut best = faces[0];
        for face in faces {
            if face.0 > best.0 {
                best = face;
            }
        }
        let (towards, xi, eta, u0, v0) = best;
        if towards.is_nan() || towards <= 0.0 {
            return None;
        }
        let (chi, psi) = (xi / towards, eta / towards);
        let (u, v) = match self {
            Self::Tangential => (chi, psi),
            Self::Cobe => (cobe_square(chi, psi), cobe_square(psi, chi)),
            Self::EqualArea => equal_area_square(chi, psi),
        };
        Some((FRAC_PI_4 * (u + u0), FRAC_PI_4 * (v + v0)))
    }
}

/// A face, by the native longitude of its middle.
#[derive(Clone, Copy, Debug)]
enum Face {
    North,
    Equator0,
    Equator90,
    Equator180,
    Equator270,
    South,
}

impl Face {
    /// Returns the face at a point of the unfolded cube, whose faces are 2 wide, and the point of the face.
    fn at(mut u: f64, mut v: f64) -> Option<(Self, f64, f64)> {
        let edge = 1.0 + ROUNDING;
        let is_on_cube = (u.abs() <= edge && v.abs() <= 3.0 + ROUNDING)
            || (u.abs() <= 7.0 + ROUNDING && v.abs() <= edge);
        if !is_on_cube {
            return None;
        }
        if u < -edge {
            u += 8.0;
        }
        let face = if u > 5.0 {
            u -= 6.0;
            Self::Equator270
        } else if u > 3.0 {
            u -= 4.0;
            Self::Equator180
        } else if u > edge {
            u -= 2.0;
            Self::Equator90
        } else if v > 1.0 {
            v -= 2.0;
            Self::North
        } else if v < -1.0 {
            v += 2.0;
            Self::South
        } else {
            Self::Equator0
        };
        Some((face, u, v))
    }
}

/// Coefficients of the CSC polynomial from the plane to the sphere: `P[j][i]` is that of u^2i v^2j.
const P: [&[f64]; 7] = [
    &[
        -0.272_926_96,
        -0.076_299_69,
        -0.227_970_56,
        0.548_523_84,
        -0.629_300_65,
        0.257_957_94,
        0.025_843_75,
    ],
    &[-0.028_194_52, -0.014_715_65, 0.480_515_09, -1.741_144_54, 1.715_475_08, -0.530_223_37],
    &[0.270_581_60, -0.568_009_38, 0.308_033_17, 0.989_381_02, -0.831_804_69],
    &[-0.604_415_60, 1.508_800_86, -0.936_785_76, 0.086_938_41],
    &[0.934_120_77, -1.416_019_20, 0.338_874_46],
    &[-0.639_153_06, 0.520_322_38],
    &[0.143_815_85],
];

/// Returns the value of a polynomial.
fn polynomial(coefficients: impl DoubleEndedIterator<Item = f64>, x: f64) -> f64 {
    coefficients.rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

/// Returns the tangent coordinate along u at a point of a face of CSC.
fn cobe_tangent(u: f64, v: f64) -> f64 {
    let (uu, vv) = (u * u, v * v);
    let sum = polynomial(P.iter().map(|row| polynomial(row.iter().copied(), uu)), vv);
    u + u * (1.0 - uu) * sum
}

/// Returns the coordinate along the first tangent coordinate of a face of CSC.
fn cobe_square(chi: f64, psi: f64) -> f64 {
    const GAMMA_STAR: f64 = 1.374_848_477_32;
    const M: f64 = 0.004_869_491_981;
    const GAMMA: f64 = -0.131_616_714_74;
    const OMEGA_1: f64 = -0.159_596_235_474;
    const D: [f64; 2] = [0.075_919_620_046_7, -0.021_776_249_069_9];
    const C00: f64 = 0.141_189_631_152;
    const C10: f64 = 0.080_970_128_652_5;
    const C01: f64 = -0.281_528_535_557;
    const C11: f64 = 0.153_841_128_76;
    const C20: f64 = -0.178_251_207_466;
    const C02: f64 = 0.106_959_469_314;
    let (xx, yy) = (chi * chi, psi * psi);
    let (x_left, y_left) = (1.0 - xx, 1.0 - yy);
    let sum = C00 + C10 * xx + C01 * yy + C11 * xx * yy + C20 * xx * xx + C02 * yy * yy;
    let across = yy * (GAMMA * x_left + M * xx + y_left * sum);
    let along = xx * (OMEGA_1 - x_left * (D[0] + D[1] * xx));
    chi * (xx + x_left * (GAMMA_STAR + across + along))
}

/// Returns the tangent coordinates at a point of a face of QSC.
fn equal_area_tangents(u: f64, v: f64) -> (f64, f64) {
    let (large, small) = if u.abs() > v.abs() { (u, v) } else { (v, u) };
    if large == 0.0 {
        return (0.0, 0.0);
    }
    let (sin, cos) = (PI / 12.0 * small / large).sin_cos();
    // The other tangent coordinate is `omega` times this one.
    let omega = sin / (cos - FRAC_1_SQRT_2);
    let tau = 1.0 + omega * omega;
    let fall = large * large * (1.0 - 1.0 / (1.0 + tau).sqrt());
    let tangent = ((fall * (2.0 - fall) / tau).sqrt() / (1.0 - fall)).copysign(large);
    if u.abs() > v.abs() { (tangent, tangent * omega) } else { (tangent * omega, tangent) }
}

/// Returns the point of a face of QSC for tangent coordinates.
fn equal_area_square(chi: f64, psi: f64) -> (f64, f64) {
    let (large, small) = if chi.abs() > psi.abs() { (chi, psi) } else { (psi, chi) };
    if large == 0.0 {
        return (0.0, 0.0);
    }
    let omega = small / large;
    let tau = 1.0 + omega * omega;
    // 1 - cos of the distance from the middle of the face.
    let square = chi * chi + psi * psi;
    let secant = (1.0 + square).sqrt();
    let fall = square / (secant * (secant + 1.0));
    let far = (fall / (1.0 - 1.0 / (1.0 + tau).sqrt())).sqrt().copysign(large);
    let near = far * (12.0 / PI) * (omega.atan() - (omega / (2.0 * tau).sqrt()).asin());
    if chi.abs() > psi.abs() { (far, near) } else { (near, far) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks points of a face. The middle of an edge is in the same place on all cubes, and CSC is its own inverse to
    /// 24 arcsec.
    #[test]
    fn points_of_a_face() {
        for cube in [Cube::Tangential, Cube::Cobe, Cube::EqualArea] {
            let (x, y) = cube.to_plane(0.5_f64.sqrt(), 0.0, -(0.5_f64.sqrt())).unwrap();
            assert!(x.abs() < 1e-15 && (y - FRAC_PI_4).abs() < 1e-7, "{cube:?}: {x} {y}");
            assert_eq!(cube.to_sphere(0.0, 0.0), Some((0.0, 0.0, -1.0)), "{cube:?}");
            assert_eq!(cube.to_sphere(1.0, 1.0), None, "{cube:?}");
            assert_eq!(cube.to_plane(f64::NAN, 0.0, 0.0), None, "{cube:?}");
        }
        let mut farthest: f64 = 0.0;
        for step in 0..=1600 {
            let (chi, psi) = (f64::from(step % 41) / 20.0 - 1.0, f64::from(step / 41) / 20.0 - 1.0);
            let (u, v) = (cobe_square(chi, psi), cobe_square(psi, chi));
            let (back, across) = (cobe_tangent(u, v), cobe_tangent(v, u));
            farthest = farthest.max((back - chi).hypot(across - psi));
        }
        let arcsec = farthest.to_degrees() * 3600.0;
        assert!((5.0..=60.0).contains(&arcsec), "{arcsec}");
    }
}
