//! The transformation from the native sphere of a projection to the sky: three vectors instead of spherical
//! trigonometry.

use crate::position::{UnitVector, unit_vector};
use crate::rotation::Rotation;
use crate::trig::sin_cos_deg;

use super::native::NativePole;

/// The direction of the native pole, and those of native longitude 90 and 180 on the native equator: for a
/// zenithal projection the directions in which the two plane coordinates grow. Orthonormal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sphere {
    pub(super) pole: UnitVector,
    pub(super) x: UnitVector,
    pub(super) y: UnitVector,
}

impl Sphere {
    /// Makes the sphere of a native pole. A pole longitude (LONPOLE) of 180 makes x point east and y north.
    pub(super) fn new(native: NativePole) -> Self {
        let (sin_a, cos_a) = sin_cos_deg(native.longitude_deg);
        let (sin_d, cos_d) = sin_cos_deg(native.latitude_deg);
        let east = UnitVector { x: -sin_a, y: cos_a, z: 0.0 };
        let north = UnitVector { x: -sin_d * cos_a, y: -sin_d * sin_a, z: cos_d };
        let (sin_p, cos_p) = sin_cos_deg(native.pole_longitude_deg);
        Self {
            pole: unit_vector(native.longitude_deg, native.latitude_deg),
            x: mix(east, -cos_p, north, sin_p),
            y: mix(east, -sin_p, north, -cos_p),
        }
    }

    /// Returns the sphere in other coordinates.
    pub(super) fn turned(self, rotation: Rotation) -> Self {
        Self {
            pole: rotation.apply(self.pole),
            x: rotation.apply(self.x),
            y: rotation.apply(self.y),
        }
    }

    /// Returns the direction with these components: `along` the pole, `a` along x, `b` along y.
    #[inline(always)]
    pub(super) fn direction(&self, along: f64, a: f64, b: f64) -> UnitVector {
        UnitVector {
            x: along * self.pole.x + a * self.x.x + b * self.y.x,
            y: along * self.pole.y + a * self.x.y + b * self.y.y,
            z: along * self.pole.z + a * self.x.z + b * self.y.z,
        }
    }

    /// Returns the components of a direction, as [`Self::direction`] expects them.
    #[inline(always)]
    pub(super) fn components(&self, v: UnitVector) -> (f64, f64, f64) {
        (v.dot(self.pole), v.dot(self.x), v.dot(self.y))
    }
}

fn mix(a: UnitVector, fa: f64, b: UnitVector, fb: f64) -> UnitVector {
    UnitVector { x: a.x * fa + b.x * fb, y: a.y * fa + b.y * fb, z: a.z * fa + b.z * fb }
}
