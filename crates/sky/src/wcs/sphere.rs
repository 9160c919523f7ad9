//! From the native sphere of a zenithal projection to the sky: three vectors instead of spherical trigonometry.

use crate::frames::from_galactic;
use crate::position::{UnitVector, unit_vector};
use crate::trig::sin_cos_deg;

use super::axes::CelestialSystem;

/// The reference direction, and the directions in which the two plane coordinates grow there. Orthonormal,
/// equatorial whatever the axes of the header are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sphere {
    pub(super) pole: UnitVector,
    pub(super) x: UnitVector,
    pub(super) y: UnitVector,
}

impl Sphere {
    /// `pole_longitude_deg` is LONPOLE: 180 makes x point east and y north.
    pub(super) fn new(
        longitude_deg: f64,
        latitude_deg: f64,
        pole_longitude_deg: f64,
        system: CelestialSystem,
    ) -> Self {
        let (sin_a, cos_a) = sin_cos_deg(longitude_deg);
        let (sin_d, cos_d) = sin_cos_deg(latitude_deg);
        let east = UnitVector { x: -sin_a, y: cos_a, z: 0.0 };
        let north = UnitVector { x: -sin_d * cos_a, y: -sin_d * sin_a, z: cos_d };
        let (sin_p, cos_p) = sin_cos_deg(pole_longitude_deg);
        let own = Self {
            pole: unit_vector(longitude_deg, latitude_deg),
            x: mix(east, -cos_p, north, sin_p),
            y: mix(east, -sin_p, north, -cos_p),
        };
        match system {
            CelestialSystem::Equatorial => own,
            CelestialSystem::Galactic => own.galactic_to_equatorial(),
        }
    }

    /// The matrix is orthogonal to 4e-11 only; here it must be so to rounding, or pixels would not come back.
    fn galactic_to_equatorial(self) -> Self {
        let unit = |v: UnitVector| {
            let length = v.dot(v).sqrt();
            UnitVector { x: v.x / length, y: v.y / length, z: v.z / length }
        };
        let pole = unit(from_galactic(self.pole));
        let x = from_galactic(self.x);
        let x = unit(mix(x, 1.0, pole, -x.dot(pole)));
        Self { pole, x, y: pole.cross(x) }
    }

    /// The direction with these components: `along` the pole, `a` along x, `b` along y.
    #[inline(always)]
    pub(super) fn direction(&self, along: f64, a: f64, b: f64) -> UnitVector {
        UnitVector {
            x: along * self.pole.x + a * self.x.x + b * self.y.x,
            y: along * self.pole.y + a * self.x.y + b * self.y.y,
            z: along * self.pole.z + a * self.x.z + b * self.y.z,
        }
    }

    /// The components of a direction, as [`Self::direction`] takes them.
    #[inline(always)]
    pub(super) fn components(&self, v: UnitVector) -> (f64, f64, f64) {
        (v.dot(self.pole), v.dot(self.x), v.dot(self.y))
    }
}

fn mix(a: UnitVector, fa: f64, b: UnitVector, fb: f64) -> UnitVector {
    UnitVector { x: a.x * fa + b.x * fb, y: a.y * fa + b.y * fb, z: a.z * fa + b.z * fb }
}
