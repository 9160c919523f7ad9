//! Celestial reference frames that headers name, and the transformation from each to the ICRS.
//!
//! The numbers are those of astropy's `builtin_frames`, so that both agree to rounding: FK5 to ICRS by USNO
//! Circular 179, precession of the FK5 and the ecliptic by IAU 2006, FK4 by Newcomb's precession, its E-terms
//! and Murray's matrix (1989), with the epoch of observation equal to the equinox. Galactic coordinates are
//! those of the FK5 pole.

use crate::frames::Galactic;
use crate::position::{SkyPosition, UnitVector, unit_vector};
use crate::precession::{
    besselian_to_1950, besselian_to_julian, e_terms, icrs_to_ecliptic, julian_to_2000,
};
use crate::rotation::Rotation;

/// A celestial reference frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReferenceFrame {
    /// The International Celestial Reference System.
    Icrs,
    /// The FK5 at an equinox in Julian years.
    Fk5 {
        /// Julian years.
        equinox: f64,
    },
    /// The FK4 at an equinox in Besselian years, with the E-terms of aberration.
    Fk4 {
        /// Besselian years.
        equinox: f64,
    },
    /// The FK4 without the E-terms of aberration.
    Fk4NoE {
        /// Besselian years.
        equinox: f64,
    },
    /// Galactic longitude and latitude (IAU 1958, through the FK5 pole).
    Galactic,
    /// Supergalactic longitude and latitude (de Vaucouleurs).
    Supergalactic,
    /// Longitude and latitude in the mean ecliptic and equinox of date (IAU 2006).
    Ecliptic {
        /// Julian years.
        equinox: f64,
    },
}

impl std::fmt::Display for ReferenceFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Icrs => f.write_str("ICRS"),
            Self::Fk5 { equinox } => write!(f, "FK5 of equinox {equinox}"),
            Self::Fk4 { equinox } => write!(f, "FK4 of equinox {equinox}"),
            Self::Fk4NoE { equinox } => write!(f, "FK4 without E-terms of equinox {equinox}"),
            Self::Galactic => f.write_str("galactic coordinates"),
            Self::Supergalactic => f.write_str("supergalactic coordinates"),
            Self::Ecliptic { equinox } => write!(f, "ecliptic coordinates of equinox {equinox}"),
        }
    }
}

/// The reason that a header names no known frame.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FrameFault {
    /// A name that is not one of ICRS, FK5, FK4, FK4-NO-E.
    #[error("{0:?} is not a reference system that is converted")]
    Unknown(String),
    /// An impossible equinox.
    #[error("{0} is not an equinox in years")]
    Equinox(f64),
}

/// Permitted years of an equinox. The precession formulae are valid for some centuries around 2000.
const EQUINOXES: std::ops::RangeInclusive<f64> = 1500.0..=2500.0;
/// First equinox of the FK5: an earlier one without RADESYS means the FK4 (FITS 4.0, section 8.3).
const FIRST_OF_FK5: f64 = 1984.0;

impl ReferenceFrame {
    /// Returns the frame of right ascension and declination that RADESYS and EQUINOX name.
    ///
    /// Absent or blank keywords have the defaults of FITS 4.0, section 8.3: without RADESYS the FK4 before 1984.0, the
    /// FK5 from then on, the ICRS without EQUINOX; 1950.0 for the FK4 and 2000.0 for the FK5.
    ///
    /// # Errors
    /// [`FrameFault`] for another name (GAPPT among them) or an impossible equinox.
    pub fn equatorial(system: Option<&str>, equinox: Option<f64>) -> Result<Self, FrameFault> {
        let system = system.map(|name| name.trim().to_ascii_uppercase());
        let name = match system.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => name,
            None => match equinox {
                None => "ICRS",
                Some(year) if year < FIRST_OF_FK5 => "FK4",
                Some(_) => "FK5",
            },
        };
        let year = |default: f64| match equinox.unwrap_or(default) {
            year if EQUINOXES.contains(&year) => Ok(year),
            year => Err(FrameFault::Equinox(year)),
        };
        match name {
            "ICRS" => Ok(Self::Icrs),
            "FK5" => Ok(Self::Fk5 { equinox: year(2000.0)? }),
            "FK4" => Ok(Self::Fk4 { equinox: year(1950.0)? }),
            "FK4-NO-E" => Ok(Self::Fk4NoE { equinox: year(1950.0)? }),
            _ => Err(FrameFault::Unknown(system.unwrap_or_default())),
        }
    }

    /// Returns the ecliptic frame that RADESYS and EQUINOX name: the mean ecliptic and equinox of EQUINOX, in
    /// Besselian years for the FK4 and in Julian years otherwise, 2000.0 by default.
    ///
    /// # Errors
    /// As [`Self::equatorial`].
    pub fn ecliptic(system: Option<&str>, equinox: Option<f64>) -> Result<Self, FrameFault> {
        let julian = match Self::equatorial(system, equinox)? {
            Self::Fk4 { equinox } | Self::Fk4NoE { equinox } => besselian_to_julian(equinox),
            Self::Fk5 { equinox } => equinox,
            _ => equinox.filter(|year| EQUINOXES.contains(year)).unwrap_or(2000.0),
        };
        Ok(Self::Ecliptic { equinox: julian })
    }

    /// Returns the FK5 of equinox 2000.0 as the ICRS, from which it differs by 0.023 arcsec; others unchanged.
    #[must_use]
    pub fn with_fk5_2000_as_icrs(self) -> Self {
        if self == (Self::Fk5 { equinox: 2000.0 }) { Self::Icrs } else { self }
    }

    /// Returns the transformation to the equatorial system in which an archive keeps the FK5 of 2000.0: as
    /// [`Self::to_icrs`], but the FK5 of 2000.0 is unchanged, and galactic coordinates are converted by the matrix of
    /// [`crate::galactic`].
    pub fn to_kept_fk5(self) -> ToIcrs {
        match self {
            Self::Galactic => {
                let rotation = crate::frames::equatorial_to_galactic().inverse();
                ToIcrs { e_terms: None, rotation }
            }
            frame => frame.with_fk5_2000_as_icrs().to_icrs(),
        }
    }

    /// Returns the galactic coordinates of a direction in the ICRS. (Those of [`crate::galactic`] are of a direction
    /// in the FK5 of 2000.0, and differ by 0.03 arcsec.)
    pub fn galactic_of_icrs(v: UnitVector) -> Galactic {
        let p = Self::Galactic.to_icrs().vector_back(v).position();
        Galactic { l_deg: p.ra_deg, b_deg: p.dec_deg }
    }

    /// Returns the transformation to the ICRS, computed once for many positions.
    pub fn to_icrs(self) -> ToIcrs {
        let fk5_of = |fk4_equinox: f64| {
            fk5_to_icrs().after(murray(fk4_equinox).after(besselian_to_1950(fk4_equinox)))
        };
        let (e_terms, rotation) = match self {
            Self::Icrs => (None, Rotation::IDENTITY),
            Self::Fk5 { equinox } => (None, fk5_to_icrs().after(julian_to_2000(equinox))),
            Self::Fk4 { equinox } => (Some(e_terms(equinox)), fk5_of(equinox)),
            Self::Fk4NoE { equinox } => (None, fk5_of(equinox)),
            Self::Galactic => (None, galactic_to_icrs()),
            Self::Supergalactic => {
                (None, galactic_to_icrs().after(galactic_to_supergalactic().inverse()))
            }
            Self::Ecliptic { equinox } => (None, icrs_to_ecliptic(equinox).inverse()),
        };
        let rotation = if self == Self::Icrs { rotation } else { rotation.orthonormal() };
        ToIcrs { e_terms, rotation }
    }
}

/// The transformation from a reference frame to the ICRS and back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToIcrs {
    e_terms: Option<UnitVector>,
    rotation: Rotation,
}

impl ToIcrs {
    /// Returns true when the transformation leaves positions unchanged.
    pub fn is_identity(&self) -> bool {
        self.e_terms.is_none() && self.rotation == Rotation::IDENTITY
    }

    /// Returns the rotation, when the transformation is only a rotation.
    pub(crate) fn rotation(&self) -> Option<Rotation> {
        self.e_terms.is_none().then_some(self.rotation)
    }

    /// Returns a direction in the ICRS.
    pub fn vector(&self, v: UnitVector) -> UnitVector {
        match self.e_terms {
            Some(e) => self.rotation.apply(without_e_terms(v, e)),
            None => self.rotation.apply(v),
        }
    }

    /// Returns a direction of the ICRS in the frame.
    pub fn vector_back(&self, v: UnitVector) -> UnitVector {
        let v = self.rotation.apply_inverse(v);
        match self.e_terms {
            Some(e) => with_e_terms(v, e),
            None => v,
        }
    }

    /// Returns a position in the ICRS.
    pub fn position(&self, position: SkyPosition) -> SkyPosition {
        if self.is_identity() {
            return position;
        }
        self.vector(position.unit_vector()).position()
    }

    /// Converts columns of longitude and latitude (degrees) to right ascension and declination in the ICRS. Rows
    /// without a valid position (NaN, latitude beyond a pole) are unchanged.
    ///
    /// # Panics
    /// Panics when the two slices differ in length.
    pub fn columns(&self, longitude_deg: &mut [f64], latitude_deg: &mut [f64]) {
        assert_eq!(longitude_deg.len(), latitude_deg.len(), "one latitude per longitude");
        if self.is_identity() {
            return;
        }
        for (lon, lat) in longitude_deg.iter_mut().zip(latitude_deg) {
            if lon.is_finite() && lat.abs() <= 90.0 {
                let p = self.vector(unit_vector(*lon, *lat)).position();
                (*lon, *lat) = (p.ra_deg, p.dec_deg);
            }
        }
    }
}

/// Returns the rotation from the FK5 of 2000.0 to the ICRS.
fn fk5_to_icrs() -> Rotation {
    const ETA_DEG: f64 = -19.9 / 3_600_000.0;
    const XI_DEG: f64 = 9.1 / 3_600_000.0;
    const DA_DEG: f64 = -22.9 / 3_600_000.0;
    Rotation::about_x(-ETA_DEG)
        .after(Rotation::about_y(XI_DEG))
        .after(Rotation::about_z(DA_DEG))
        .inverse()
}

/// Returns Murray's matrix (1989, equations 28 and 29) from the FK4 of 1950.0 without E-terms to the FK5 of 2000.0, for
/// an epoch of observation in Besselian years: the FK4 rotates relative to the FK5.
fn murray(epoch: f64) -> Rotation {
    const B1950: [[f64; 3]; 3] = [
        [0.999_925_679_495_687_7, -0.011_181_483_220_466_2, -0.004_859_003_815_359_2],
        [0.011_181_483_239_171_7, 0.999_937_484_893_313_5, -0.000_027_162_594_714_2],
        [0.004_859_003_772_314_3, -0.000_027_170_293_744_0, 0.999_988_194_602_374_2],
    ];
    const PER_CENTURY: [[f64; 3]; 3] = [
        [-0.002_645_526_2e-6, -1.153_991_868_9e-6, 2.111_134_619_0e-6],
        [1.154_062_816_1e-6, -0.012_904_299_7e-6, 0.023_602_147_8e-6],
        [-2.111_297_904_8e-6, -0.005_602_444_8e-6, 0.010_258_773_4e-6],
    ];
    let centuries = (besselian_to_julian(epoch) - 1950.0) / 100.0;
    let mut matrix = B1950;
    for (row, slope) in matrix.iter_mut().zip(PER_CENTURY) {
        for (cell, slope) in row.iter_mut().zip(slope) {
            *cell += slope * centuries;
        }
    }
    Rotation(matrix)
}

fn galactic_to_icrs() -> Rotation {
    const POLE_RA_DEG: f64 = 192.859_481_206_534_8;
    const POLE_DEC_DEG: f64 = 27.128_251_180_856_22;
    const POLE_LONGITUDE_DEG: f64 = 122.931_918_568_002_6;
    let from_fk5 = Rotation::about_z(180.0 - POLE_LONGITUDE_DEG)
        .after(Rotation::about_y(90.0 - POLE_DEC_DEG))
        .after(Rotation::about_z(POLE_RA_DEG));
    fk5_to_icrs().after(from_fk5.inverse())
}

fn galactic_to_supergalactic() -> Rotation {
    const POLE_L_DEG: f64 = 47.37;
    const POLE_B_DEG: f64 = 6.32;
    Rotation::about_z(90.0)
        .after(Rotation::about_y(90.0 - POLE_B_DEG))
        .after(Rotation::about_z(POLE_L_DEG))
}

#[inline(always)]
fn without_e_terms(v: UnitVector, e: UnitVector) -> UnitVector {
    let along = e.dot(v);
    unit(UnitVector {
        x: v.x - e.x + along * v.x,
        y: v.y - e.y + along * v.y,
        z: v.z - e.z + along * v.z,
    })
}

/// Returns the inverse of [`without_e_terms`], by iteration: the terms are 1.7e-6, so that each step adds six digits.
#[inline(always)]
fn with_e_terms(v: UnitVector, e: UnitVector) -> UnitVector {
    let start = UnitVector { x: v.x + e.x, y: v.y + e.y, z: v.z + e.z };
    let mut out = unit(start);
    for _ in 0..4 {
        let again = without_e_terms(out, e);
        out = unit(UnitVector {
            x: out.x + v.x - again.x,
            y: out.y + v.y - again.y,
            z: out.z + v.z - again.z,
        });
    }
    out
}

#[inline(always)]
fn unit(v: UnitVector) -> UnitVector {
    let length = v.dot(v).sqrt();
    UnitVector { x: v.x / length, y: v.y / length, z: v.z / length }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_of_the_standard() {
        let frame = |system, equinox| ReferenceFrame::equatorial(system, equinox);
        use ReferenceFrame::{Fk4, Fk4NoE, Fk5, Icrs};
        let cases = [
            (None, None, Ok(Icrs)),
            (None, Some(1950.0), Ok(Fk4 { equinox: 1950.0 })),
            (None, Some(1983.99), Ok(Fk4 { equinox: 1983.99 })),
            (None, Some(1984.0), Ok(Fk5 { equinox: 1984.0 })),
            (Some("  "), Some(2000.0), Ok(Fk5 { equinox: 2000.0 })),
            (Some("FK4"), None, Ok(Fk4 { equinox: 1950.0 })),
            (Some("FK4-NO-E"), Some(1975.0), Ok(Fk4NoE { equinox: 1975.0 })),
            (Some("fk5 "), None, Ok(Fk5 { equinox: 2000.0 })),
            (Some("ICRS"), Some(1950.0), Ok(Icrs)),
            (Some("GAPPT"), None, Err(FrameFault::Unknown("GAPPT".to_owned()))),
            (Some("FK5"), Some(0.0), Err(FrameFault::Equinox(0.0))),
            (None, Some(2_451_545.0), Err(FrameFault::Equinox(2_451_545.0))),
            (Some("FK5"), Some(f64::NAN), Err(FrameFault::Equinox(f64::NAN))),
        ];
        for (system, equinox, wanted) in cases {
            let found = frame(system, equinox);
            // NaN is not equal to itself.
            assert_eq!(format!("{found:?}"), format!("{wanted:?}"), "{system:?} {equinox:?}");
        }
    }

    #[test]
    fn every_way_has_a_way_back() {
        let frames = [
            ReferenceFrame::Icrs,
            ReferenceFrame::Fk5 { equinox: 2000.0 },
            ReferenceFrame::Fk5 { equinox: 1875.0 },
            ReferenceFrame::Fk4 { equinox: 1950.0 },
            ReferenceFrame::Fk4 { equinox: 1900.0 },
            ReferenceFrame::Fk4NoE { equinox: 1975.0 },
            ReferenceFrame::Galactic,
            ReferenceFrame::Supergalactic,
            ReferenceFrame::Ecliptic { equinox: 2000.0 },
        ];
        for frame in frames {
            let to_icrs = frame.to_icrs();
            for (lon, lat) in [(0.0, 0.0), (10.0, 89.999_9), (123.4, -56.7), (300.0, -90.0)] {
                let v = unit_vector(lon, lat);
                let apart = to_icrs.vector_back(to_icrs.vector(v)).distance_deg(v);
                assert!(apart < 3e-14, "{frame:?} {lon} {lat}: {apart}");
            }
        }
    }

    #[test]
    fn columns_keep_values_that_are_not_positions() {
        let (mut lon, mut lat) = (vec![f64::NAN, 0.0, 12.0], vec![1.0, 90.5, f64::NAN]);
        let before = (format!("{lon:?}"), format!("{lat:?}"));
        ReferenceFrame::Galactic.to_icrs().columns(&mut lon, &mut lat);
        assert_eq!((format!("{lon:?}"), format!("{lat:?}")), before);
    }
}
