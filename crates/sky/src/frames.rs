//! Galactic coordinates and SDSS survey coordinates, with the conventions of the archives.

use crate::position::UnitVector;
use crate::rotation::Rotation;
use crate::trig::{atan2_deg, atan2_deg_positive};

/// Matrix from equatorial (J2000) to galactic, as in SLALIB's `sla_EQGAL`. Newer matrices differ by 2e-6 degrees; the
/// archives' `l` and `b` are computed with this one.
const EQUATORIAL_TO_GALACTIC: [[f64; 3]; 3] = [
    [-0.054_875_539_726, -0.873_437_108_010, -0.483_834_985_808],
    [0.494_109_453_312, -0.444_829_589_425, 0.746_982_251_810],
    [-0.867_666_135_858, -0.198_076_386_122, 0.455_983_795_705],
];

/// Galactic coordinates in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Galactic {
    /// Longitude, 0 <= l < 360.
    pub l_deg: f64,
    /// Latitude.
    pub b_deg: f64,
}

/// Returns the galactic coordinates of an equatorial direction.
#[inline(always)]
pub fn galactic(v: UnitVector) -> Galactic {
    let m = &EQUATORIAL_TO_GALACTIC;
    let x = m[0][0] * v.x + m[0][1] * v.y + m[0][2] * v.z;
    let y = m[1][0] * v.x + m[1][1] * v.y + m[1][2] * v.z;
    let z = m[2][0] * v.x + m[2][1] * v.y + m[2][2] * v.z;
    Galactic { l_deg: atan2_deg_positive(y, x), b_deg: atan2_deg(z, (x * x + y * y).sqrt()) }
}

/// Returns the rotation used by [`galactic`], orthonormal to rounding (the matrix itself only to 4e-11).
pub(crate) fn equatorial_to_galactic() -> Rotation {
    Rotation(EQUATORIAL_TO_GALACTIC).orthonormal()
}

/// SDSS survey coordinates in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SdssSurvey {
    /// -90 to 90.
    pub lambda_deg: f64,
    /// -180 < eta <= 180; not folded to |eta| <= 90.
    pub eta_deg: f64,
}

/// Right ascension of the survey's node, as sine and cosine of 95 degrees.
const SIN_95: f64 = 0.996_194_698_091_745_5;
const COS_95: f64 = -0.087_155_742_747_658_17;

/// Returns the SDSS survey coordinates of an equatorial direction:
/// lambda = -asin(cos dec cos(ra - 95)), eta = atan2(sin dec, cos dec sin(ra - 95)) - 32.5.
#[inline(always)]
pub fn sdss_lambda_eta(v: UnitVector) -> SdssSurvey {
    let towards_node = v.x * COS_95 + v.y * SIN_95;
    let across = v.y * COS_95 - v.x * SIN_95;
    let eta = atan2_deg(v.z, across) - 32.5;
    SdssSurvey {
        lambda_deg: -atan2_deg(towards_node, (across * across + v.z * v.z).sqrt()),
        eta_deg: if eta <= -180.0 { eta + 360.0 } else { eta },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::unit_vector;

    #[test]
    fn galactic_pole_and_centre() {
        let pole = galactic(unit_vector(192.859_48, 27.128_25));
        assert!(pole.b_deg > 89.999_9, "{pole:?}");
        let centre = galactic(unit_vector(266.405_1, -28.936_175));
        assert!(centre.b_deg.abs() < 1e-4, "{centre:?}");
        assert!(centre.l_deg.min(360.0 - centre.l_deg) < 1e-4, "{centre:?}");
    }

    #[test]
    fn survey_coordinates_at_their_special_points() {
        let cases = [
            ((185.0, 0.0), (0.0, -32.5)), // 90 degrees past the node, on the equator
            ((185.0, 32.5), (0.0, 0.0)),  // centre of the survey
            ((95.0, 0.0), (-90.0, f64::NAN)), // the pole of lambda: eta means nothing
            ((5.0, 0.0), (0.0, 147.5)),
            ((0.0, 90.0), (0.0, 57.5)),
            ((0.0, -90.0), (0.0, -122.5)),
        ];
        for ((ra, dec), (lambda, eta)) in cases {
            let found = sdss_lambda_eta(unit_vector(ra, dec));
            assert!((found.lambda_deg - lambda).abs() < 1e-12, "({ra}, {dec}): {found:?}");
            assert!(
                eta.is_nan() || (found.eta_deg - eta).abs() < 1e-12,
                "({ra}, {dec}): {found:?}"
            );
        }
    }

    #[test]
    fn eta_is_in_its_range() {
        for i in 0..3600 {
            for dec in [-89.9, -45.0, -1e-13, 0.0, 1e-13, 33.3, 89.9] {
                let eta = sdss_lambda_eta(unit_vector(f64::from(i) * 0.1, dec)).eta_deg;
                assert!(eta > -180.0 && eta <= 180.0, "eta {eta}");
            }
        }
    }
}
