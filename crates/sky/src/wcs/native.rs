//! The celestial coordinates of the native pole (Calabretta & Greisen 2002, section 2.4; wcslib's `celset`).

use crate::trig::sin_cos_deg;

/// Description of the native sphere in a header, degrees.
#[derive(Clone, Copy, Debug)]
pub(super) struct Native {
    /// Native longitude of the reference point.
    pub(super) phi0_deg: f64,
    /// Native latitude of the reference point.
    pub(super) theta0_deg: f64,
    /// Native longitude of the celestial pole (LONPOLE); `None` for the default.
    pub(super) pole_longitude_deg: Option<f64>,
    /// Native latitude of the celestial pole that selects one of two solutions (LATPOLE).
    pub(super) pole_latitude_deg: f64,
}

/// The native pole: its celestial longitude and latitude, and the native longitude of the celestial pole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct NativePole {
    pub(super) longitude_deg: f64,
    pub(super) latitude_deg: f64,
    pub(super) pole_longitude_deg: f64,
}

/// Tolerance for equality, degrees.
const TOLERANCE: f64 = 1e-10;

impl Native {
    /// Returns the native pole for a reference point; `None` when no orientation of the sphere fits.
    pub(super) fn pole(&self, longitude_deg: f64, latitude_deg: f64) -> Option<NativePole> {
        let Self { phi0_deg, theta0_deg, .. } = *self;
        let pole_longitude_deg = self.pole_longitude_deg.unwrap_or_else(|| {
            let default = if latitude_deg < theta0_deg { 180.0 } else { 0.0 };
            let turned = default + phi0_deg;
            if turned > 180.0 { turned - 360.0 } else { turned }
        });
        if theta0_deg == 90.0 {
            return Some(NativePole { longitude_deg, latitude_deg, pole_longitude_deg });
        }
        let (sin_lat0, cos_lat0) = sin_cos_deg(latitude_deg);
        let (sin_dphi, cos_dphi) = sin_cos_deg(pole_longitude_deg - phi0_deg);
        let (sin_theta0, cos_theta0) = sin_cos_deg(theta0_deg);
        let latitude = self.pole_latitude(sin_lat0, cos_theta0 * cos_dphi, sin_theta0)?;
        let (sin_pole, cos_pole) = sin_cos_deg(latitude);
        let z = cos_pole * cos_lat0;
        let longitude = if z.abs() < TOLERANCE {
            if cos_lat0.abs() < TOLERANCE {
                longitude_deg
            } else if latitude > 0.0 {
                longitude_deg + pole_longitude_deg - phi0_deg - 180.0
            } else {
                longitude_deg - pole_longitude_deg + phi0_deg
            }
        } else {
            let x = (sin_theta0 - sin_pole * sin_lat0) / z;
            let y = sin_dphi * cos_theta0 / cos_lat0;
            if x == 0.0 && y == 0.0 {
                return None;
            }
            longitude_deg - y.atan2(x).to_degrees()
        };
        Some(NativePole { longitude_deg: longitude, latitude_deg: latitude, pole_longitude_deg })
    }

    /// Returns the celestial latitude of the native pole: of two solutions the one nearer to LATPOLE.
    fn pole_latitude(&self, sin_lat0: f64, x: f64, sin_theta0: f64) -> Option<f64> {
        let wanted = self.pole_latitude_deg;
        let length = x.hypot(sin_theta0);
        if length == 0.0 {
            return (sin_lat0 == 0.0).then_some(wanted.clamp(-90.0, 90.0));
        }
        let sine = sin_lat0 / length;
        if sine.abs() > 1.0 + TOLERANCE {
            return None;
        }
        let (middle, half) =
            (sin_theta0.atan2(x).to_degrees(), sine.clamp(-1.0, 1.0).acos().to_degrees());
        let turned = |deg: f64| match deg {
            deg if deg > 180.0 => deg - 360.0,
            deg if deg < -180.0 => deg + 360.0,
            deg => deg,
        };
        let (first, second) = (turned(middle + half), turned(middle - half));
        let possible = |deg: f64| deg.abs() < 90.0 + TOLERANCE;
        let nearer = (wanted - first).abs() < (wanted - second).abs();
        let [best, other] = if nearer { [first, second] } else { [second, first] };
        let latitude = if possible(best) { best } else { other };
        possible(latitude).then_some(latitude.clamp(-90.0, 90.0))
    }
}
