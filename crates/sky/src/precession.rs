//! Precession of the mean equator and equinox: IAU 2006 for the FK5 and the ecliptic, Newcomb for the FK4.

use crate::position::UnitVector;
use crate::rotation::Rotation;

const DEG_PER_ARCSEC: f64 = 1.0 / 3600.0;

/// Returns the Julian centuries since 2000.0 of a Julian epoch in years.
fn centuries(julian_year: f64) -> f64 {
    (julian_year - 2000.0) / 100.0
}

/// Returns the value of a polynomial, lowest power first.
fn polynomial(coefficients: &[f64], t: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, c| sum * t + c)
}

/// Returns the Fukushima-Williams angles of bias and precession in degrees (Capitaine & Wallace 2006): gamma, phi, psi.
fn fukushima_williams(t: f64) -> [f64; 3] {
    const GAMMA: [f64; 6] =
        [-0.052_928, 10.556_378, 0.493_204_4, -0.000_312_38, -0.000_002_788, 0.000_000_026_0];
    const PHI: [f64; 6] =
        [84_381.412_819, -46.811_016, 0.051_126_8, 0.000_532_89, -0.000_000_440, -0.000_000_017_6];
    const PSI: [f64; 6] =
        [-0.041_775, 5_038.481_484, 1.558_417_5, -0.000_185_22, -0.000_026_452, -0.000_000_014_8];
    [GAMMA, PHI, PSI].map(|angle| polynomial(&angle, t) * DEG_PER_ARCSEC)
}

/// Returns the mean obliquity of the ecliptic in degrees (IAU 2006).
fn obliquity(t: f64) -> f64 {
    const OBLIQUITY: [f64; 6] =
        [84_381.406, -46.836_769, -0.000_183_1, 0.002_003_40, -0.000_000_576, -0.000_000_043_4];
    polynomial(&OBLIQUITY, t) * DEG_PER_ARCSEC
}

/// Returns the rotation from the ICRS to the mean ecliptic and equinox of a Julian epoch (IAU 2006).
pub(crate) fn icrs_to_ecliptic(julian_year: f64) -> Rotation {
    let [gamma, phi, psi] = fukushima_williams(centuries(julian_year));
    Rotation::about_z(-psi).after(Rotation::about_x(phi)).after(Rotation::about_z(gamma))
}

/// Returns the rotation from the ICRS to the mean equator and equinox of a Julian epoch, frame bias included (IAU 2006).
fn icrs_to_mean_equator(julian_year: f64) -> Rotation {
    let obliquity = obliquity(centuries(julian_year));
    Rotation::about_x(-obliquity).after(icrs_to_ecliptic(julian_year))
}

/// Returns the rotation from the mean equator and equinox of a Julian epoch to those of 2000.0 (IAU 2006, no bias).
pub(crate) fn julian_to_2000(julian_year: f64) -> Rotation {
    if julian_year == 2000.0 {
        return Rotation::IDENTITY;
    }
    icrs_to_mean_equator(2000.0).after(icrs_to_mean_equator(julian_year).inverse())
}

/// Returns the rotation from the mean equator and equinox of a Besselian epoch to those of 1950.0 (Newcomb).
pub(crate) fn besselian_to_1950(besselian_year: f64) -> Rotation {
    if besselian_year == 1950.0 {
        return Rotation::IDENTITY;
    }
    let t = (besselian_year - 1850.0) / 1000.0;
    let dt = 0.1 - t;
    let linear = 23_035.545 + 139.720 * t + 0.060 * t * t;
    let angle = |second: f64, third: f64, first: f64| {
        ((third * dt + second) * dt + first) * dt * DEG_PER_ARCSEC
    };
    let zeta = angle(30.240 - 0.27 * t, 17.995, linear);
    let z = angle(109.480 + 0.39 * t, 18.325, linear);
    let theta = angle(-42.65 - 0.37 * t, -41.8, 20_051.12 - 85.29 * t - 0.37 * t * t);
    Rotation::about_z(-z).after(Rotation::about_y(theta)).after(Rotation::about_z(-zeta))
}

/// Returns the elliptic terms of aberration at a Besselian epoch (Explanatory Supplement 1992, section 3.53), as they
/// are part of FK4 positions.
pub(crate) fn e_terms(besselian_year: f64) -> UnitVector {
    const ABERRATION_DEG: f64 = 0.005_693_2;
    let jd = besselian_to_jd(besselian_year);
    let t = (jd - besselian_to_jd(1950.0)) / 36_525.0;
    let eccentricity = polynomial(&[0.016_730_11, -0.000_041_93, -0.000_000_126], t);
    let perigee = polynomial(&[1_015_489.951, 6_190.67, 1.65, 0.012], t) * DEG_PER_ARCSEC;
    let century = (jd - 2_451_545.0) / 36_525.0;
    let obliquity =
        polynomial(&[84_381.448, -46.8150, -0.000_59, 0.001_813], century) * DEG_PER_ARCSEC;
    let size = ABERRATION_DEG.to_radians() * eccentricity;
    let (sin_g, cos_g) = perigee.to_radians().sin_cos();
    let (sin_o, cos_o) = obliquity.to_radians().sin_cos();
    UnitVector { x: size * sin_g, y: -size * cos_g * cos_o, z: -size * cos_g * sin_o }
}

/// Returns the Julian date of a Besselian epoch.
fn besselian_to_jd(besselian_year: f64) -> f64 {
    2_415_020.313_52 + (besselian_year - 1900.0) * 365.242_198_781
}

/// Returns the Julian epoch of a Besselian one, years.
pub(crate) fn besselian_to_julian(besselian_year: f64) -> f64 {
    2000.0 + (besselian_to_jd(besselian_year) - 2_451_545.0) / 365.25
}
