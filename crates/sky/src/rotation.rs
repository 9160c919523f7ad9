//! Rotations of the sphere as matrices.

use crate::position::UnitVector;
use crate::trig::sin_cos_deg;

/// A rotation of coordinate axes: the rows are the new axes in the old coordinates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rotation(pub(crate) [[f64; 3]; 3]);

impl Rotation {
    pub(crate) const IDENTITY: Self = Self([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);

    /// Makes the rotation of the axes about x by an angle in degrees.
    pub(crate) fn about_x(deg: f64) -> Self {
        let (s, c) = sin_cos_deg(deg);
        Self([[1.0, 0.0, 0.0], [0.0, c, s], [0.0, -s, c]])
    }

    /// Makes the rotation of the axes about y by an angle in degrees.
    pub(crate) fn about_y(deg: f64) -> Self {
        let (s, c) = sin_cos_deg(deg);
        Self([[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]])
    }

    /// Makes the rotation of the axes about z by an angle in degrees.
    pub(crate) fn about_z(deg: f64) -> Self {
        let (s, c) = sin_cos_deg(deg);
        Self([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
    }

    /// Returns the rotation that applies `first` and then `self`.
    pub(crate) fn after(self, first: Self) -> Self {
        let mut product = [[0.0; 3]; 3];
        for (row, out) in self.0.iter().zip(&mut product) {
            for (k, cell) in out.iter_mut().enumerate() {
                *cell = row[0] * first.0[0][k] + row[1] * first.0[1][k] + row[2] * first.0[2][k];
            }
        }
        Self(product)
    }

    /// Returns the inverse rotation.
    pub(crate) fn inverse(self) -> Self {
        let m = self.0;
        Self([0, 1, 2].map(|k| [m[0][k], m[1][k], m[2][k]]))
    }

    /// Returns the matrix with rows that are orthonormal to rounding: published matrices are orthonormal to 1e-11 only.
    pub(crate) fn orthonormal(self) -> Self {
        let rows = self.0.map(|[x, y, z]| UnitVector { x, y, z });
        let unit = |v: UnitVector| {
            let length = v.dot(v).sqrt();
            UnitVector { x: v.x / length, y: v.y / length, z: v.z / length }
        };
        let third = unit(rows[2]);
        let along = rows[0].dot(third);
        let first = unit(UnitVector {
            x: rows[0].x - along * third.x,
            y: rows[0].y - along * third.y,
            z: rows[0].z - along * third.z,
        });
        let second = third.cross(first);
        Self([first, second, third].map(|v| [v.x, v.y, v.z]))
    }

    /// Returns a direction in the new coordinates.
    #[inline(always)]
    pub(crate) fn apply(&self, v: UnitVector) -> UnitVector {
        let m = &self.0;
        UnitVector {
            x: m[0][0] * v.x + m[0][1] * v.y + m[0][2] * v.z,
            y: m[1][0] * v.x + m[1][1] * v.y + m[1][2] * v.z,
            z: m[2][0] * v.x + m[2][1] * v.y + m[2][2] * v.z,
        }
    }

    /// Returns a direction in the old coordinates.
    #[inline(always)]
    pub(crate) fn apply_inverse(&self, v: UnitVector) -> UnitVector {
        let m = &self.0;
        UnitVector {
            x: m[0][0] * v.x + m[1][0] * v.y + m[2][0] * v.z,
            y: m[0][1] * v.x + m[1][1] * v.y + m[2][1] * v.z,
            z: m[0][2] * v.x + m[1][2] * v.y + m[2][2] * v.z,
        }
    }
}
