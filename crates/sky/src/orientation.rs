//! Showing a detector with north up and east left: one of eight rotations and reflections of its pixels.

use crate::wcs::{Jacobian, Wcs, WcsFault};

/// A transform for showing an image: a mirroring, then quarter turns.
///
/// FITS pixels (x, y) start at (1, 1) in the lower left corner of the image as it is usually drawn. Display pixels
/// (column, row) start at (0, 0) in the upper left corner. [`Transform::IDENTITY`] draws x to the right and y
/// upwards, FITS row 1 at the bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transform {
    /// Left and right are exchanged first.
    flip_x: bool,
    /// Number of counter-clockwise quarter turns that follow, 0 to 3.
    quarter_turns: u8,
}

/// Pixels of an image or of its display.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelSize {
    /// Along x, or columns.
    pub width: u64,
    /// Along y, or rows.
    pub height: u64,
}

const NAMES: [[&str; 4]; 2] = [
    ["identity", "rot90", "rot180", "rot270"],
    ["flipx", "flipx_rot90", "flipx_rot180", "flipx_rot270"],
];

impl Transform {
    /// The image as it is usually drawn, FITS row 1 at the bottom: the transform used without a WCS.
    pub const IDENTITY: Self = Self { flip_x: false, quarter_turns: 0 };

    /// Returns all eight transforms.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..8).map(|i| Self { flip_x: i >= 4, quarter_turns: i % 4 })
    }

    /// Returns the name: `identity`, `rot90` (counter-clockwise), `rot180`, `rot270`, `flipx`, and `flipx_rot90` ...
    /// for mirrored ones.
    pub fn name(self) -> &'static str {
        NAMES[usize::from(self.flip_x)][usize::from(self.quarter_turns)]
    }

    /// Returns the transform with a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|t| t.name() == name)
    }

    /// Returns the size of the display of an image.
    pub fn display_size(self, image: PixelSize) -> PixelSize {
        if self.quarter_turns.is_multiple_of(2) {
            image
        } else {
            PixelSize { width: image.height, height: image.width }
        }
    }

    /// Returns the display column and row of a FITS pixel (fractions included) of an image of this size.
    pub fn apply(self, x: f64, y: f64, image: PixelSize) -> (f64, f64) {
        let (width, height) = (image.width as f64, image.height as f64);
        let right = if self.flip_x { width - x } else { x - 1.0 };
        let up = y - 1.0;
        match self.quarter_turns {
            0 => (right, height - 1.0 - up),
            1 => (height - 1.0 - up, width - 1.0 - right),
            2 => (width - 1.0 - right, up),
            _ => (up, right),
        }
    }

    /// Returns the FITS pixel shown at a display column and row (fractions included) of an image of this size.
    pub fn invert(self, column: f64, row: f64, image: PixelSize) -> (f64, f64) {
        let (width, height) = (image.width as f64, image.height as f64);
        let (right, up) = match self.quarter_turns {
            0 => (column, height - 1.0 - row),
            1 => (width - 1.0 - row, height - 1.0 - column),
            2 => (width - 1.0 - column, row),
            _ => (row, column),
        };
        (if self.flip_x { width - right } else { right + 1.0 }, up + 1.0)
    }

    /// Returns the direction on the display, as (right, up), of a step in image pixels.
    fn turn(self, dx: f64, dy: f64) -> (f64, f64) {
        let dx = if self.flip_x { -dx } else { dx };
        match self.quarter_turns {
            0 => (dx, dy),
            1 => (-dy, dx),
            2 => (-dx, -dy),
            _ => (dy, -dx),
        }
    }

    /// Returns the transform that best turns a step `up` in pixels upwards and a step `left` to the left.
    ///
    /// For directions at right angles both are then within 45 degrees.
    pub(crate) fn bringing(up: (f64, f64), left: (f64, f64)) -> Self {
        let (up, left) = (unit(up), unit(left));
        let score = |t: Self| t.turn(up.0, up.1).1 - t.turn(left.0, left.1).0;
        let mut best = Self::IDENTITY;
        for t in Self::all() {
            // A clear gain is required: ties at exactly 45 degrees go to the first in the order of the names.
            if score(t) > score(best) + 1e-9 {
                best = t;
            }
        }
        best
    }

    /// Returns the transform that shows north up and east left to within 45 degrees.
    pub fn north_up_east_left(jacobian: &Jacobian) -> Self {
        let det = jacobian.determinant();
        // Columns of the inverse: the pixel steps towards north and east.
        let north = (-jacobian.east_y / det, jacobian.east_x / det);
        let east = (jacobian.north_y / det, -jacobian.north_x / det);
        Self::bringing(north, east)
    }

    /// Returns the angle of north from up on the display, in degrees, counter-clockwise positive.
    pub fn north_from_up_deg(self, jacobian: &Jacobian) -> f64 {
        let det = jacobian.determinant();
        let (right, up) = self.turn(-jacobian.east_y / det, jacobian.east_x / det);
        crate::trig::atan2_deg(-right, up)
    }
}

impl Wcs {
    /// Returns the transform that shows an image of this size with north up and east left to within 45 degrees at its
    /// centre.
    ///
    /// # Errors
    /// [`WcsFault::OffSky`] when the centre is not on the sky, [`WcsFault::EmptyImage`] without pixels.
    pub fn orientation(&self, image: PixelSize) -> Result<Transform, WcsFault> {
        Ok(Transform::north_up_east_left(&self.central_jacobian(image)?))
    }

    /// Computes [`Wcs::local_jacobian`] at the centre of an image.
    ///
    /// # Errors
    /// As [`Wcs::orientation`].
    pub fn central_jacobian(&self, image: PixelSize) -> Result<Jacobian, WcsFault> {
        let (x, y) = image.centre()?;
        self.local_jacobian(x, y).ok_or(WcsFault::OffSky { x, y })
    }
}

impl PixelSize {
    /// Returns the FITS pixel coordinates of the centre.
    ///
    /// # Errors
    /// [`WcsFault::EmptyImage`] without pixels.
    pub fn centre(self) -> Result<(f64, f64), WcsFault> {
        if self.width == 0 || self.height == 0 {
            return Err(WcsFault::EmptyImage { nx: self.width, ny: self.height });
        }
        Ok((0.5 * (self.width as f64 + 1.0), 0.5 * (self.height as f64 + 1.0)))
    }
}

fn unit((x, y): (f64, f64)) -> (f64, f64) {
    let length = x.hypot(y);
    (x / length, y / length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: PixelSize = PixelSize { width: 5, height: 3 };

    #[test]
    fn places_of_the_first_pixel_and_its_neighbours() {
        // (column, row) of the FITS pixels (1,1), (2,1), (1,2) in a 5 x 3 image.
        let cases = [
            ("identity", (0.0, 2.0), (1.0, 2.0), (0.0, 1.0)),
            ("rot90", (2.0, 4.0), (2.0, 3.0), (1.0, 4.0)),
            ("rot180", (4.0, 0.0), (3.0, 0.0), (4.0, 1.0)),
            ("rot270", (0.0, 0.0), (0.0, 1.0), (1.0, 0.0)),
            ("flipx", (4.0, 2.0), (3.0, 2.0), (4.0, 1.0)),
            ("flipx_rot90", (2.0, 0.0), (2.0, 1.0), (1.0, 0.0)),
            ("flipx_rot180", (0.0, 0.0), (1.0, 0.0), (0.0, 1.0)),
            ("flipx_rot270", (0.0, 4.0), (0.0, 3.0), (1.0, 4.0)),
        ];
        for (name, origin, right, up) in cases {
            let t = Transform::from_name(name).unwrap();
            assert_eq!(t.apply(1.0, 1.0, IMAGE), origin, "{name}");
            assert_eq!(t.apply(2.0, 1.0, IMAGE), right, "{name}");
            assert_eq!(t.apply(1.0, 2.0, IMAGE), up, "{name}");
        }
        assert_eq!(Transform::from_name("sideways"), None);
    }

    #[test]
    fn display_is_filled_and_undone() {
        for t in Transform::all() {
            let size = t.display_size(IMAGE);
            let mut seen = vec![false; 15];
            for y in 1..=3 {
                for x in 1..=5 {
                    let (column, row) = t.apply(f64::from(x), f64::from(y), IMAGE);
                    assert_eq!(t.invert(column, row, IMAGE), (f64::from(x), f64::from(y)));
                    seen[row as usize * size.width as usize + column as usize] = true;
                }
            }
            assert!(seen.into_iter().all(|s| s), "{}", t.name());
        }
    }

    #[test]
    fn steps_turn_as_pixels_do() {
        for t in Transform::all() {
            let (c0, r0) = t.apply(2.0, 2.0, IMAGE);
            let (c1, r1) = t.apply(2.5, 2.75, IMAGE);
            assert_eq!(t.turn(0.5, 0.75), (c1 - c0, r0 - r1), "{}", t.name());
        }
    }

    #[test]
    fn north_comes_up_and_east_left() {
        for i in 0..720 {
            let angle = f64::from(i) * 0.5;
            let (sin, cos) = crate::trig::sin_cos_deg(angle);
            for mirror in [1.0, -1.0] {
                let jacobian = Jacobian {
                    east_x: mirror * cos,
                    east_y: -sin,
                    north_x: mirror * sin,
                    north_y: cos,
                };
                let t = Transform::north_up_east_left(&jacobian);
                assert!(t.north_from_up_deg(&jacobian).abs() <= 45.0 + 1e-9, "{angle} {mirror}");
                let det = jacobian.determinant();
                let east = t.turn(jacobian.north_y / det, -jacobian.north_x / det);
                assert!(east.0 < -0.707, "{angle} {mirror}: east goes {east:?}");
                assert_eq!(t.flip_x, mirror > 0.0);
            }
        }
    }
}
