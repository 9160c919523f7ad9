//! Several detectors side by side in one picture, in their arrangement on the sky.

use crate::orientation::{PixelSize, Transform};
use crate::position::{SkyPosition, UnitVector};
use crate::trig::{atan2_deg, sin_cos_deg};
use crate::wcs::{Jacobian, Wcs, WcsFault};

/// One detector: its world coordinate system and its size.
#[derive(Clone, Copy, Debug)]
pub struct Detector<'a> {
    /// Pixels to sky.
    pub wcs: &'a Wcs,
    /// Its pixels.
    pub image: PixelSize,
}

/// A picture of the sky with a place for each detector: a plane that touches the sky in the middle of them, north up
/// and east left, rotated by less than 45 degrees so that the detectors are upright.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// The point at which the plane touches the sky.
    pub centre: SkyPosition,
    /// Columns of the picture.
    pub width: f64,
    /// Rows of the picture.
    pub height: f64,
    /// Size of a pixel of the picture, arcsec.
    pub scale_arcsec: f64,
    /// Angle of north from up in the middle of the picture, degrees, counter-clockwise positive.
    pub north_from_up_deg: f64,
    /// The places, in the order of the detectors.
    pub placements: Vec<Placement>,
    plane: Plane,
}

/// The place of one detector in a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    /// The transform of its pixels before they are drawn.
    pub transform: Transform,
    /// Left edge of the transformed image, in pixels of the picture from its left edge.
    pub left: f64,
    /// Upper edge, from the upper edge of the picture.
    pub top: f64,
    /// Width of the transformed image in the picture.
    pub width: f64,
    /// Height of the transformed image in the picture.
    pub height: f64,
}

/// The tangent plane: coordinates to the right and up, in radians.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Plane {
    centre: UnitVector,
    right: UnitVector,
    up: UnitVector,
    /// Corner of the picture.
    left_edge: f64,
    top_edge: f64,
}

impl Layout {
    /// Lays out detectors at `scale_arcsec` per pixel of the picture. Each keeps its own size on the sky.
    ///
    /// # Errors
    /// The first detector whose centre or edges are not on the sky of the plane ([`WcsFault::OffSky`]) or that has
    /// no pixels ([`WcsFault::EmptyImage`]); also when there are no detectors.
    pub fn of(detectors: &[Detector<'_>], scale_arcsec: f64) -> Result<Self, WcsFault> {
        let centre = middle(detectors)?;
        let (east, north) = centre.east_north();
        let west = UnitVector { x: -east.x, y: -east.y, z: -east.z };
        let upright = Plane { centre, right: west, up: north, left_edge: 0.0, top_edge: 0.0 };
        let turn_deg = mean_tilt_deg(&upright, detectors)?;
        let mut plane = upright.turned(turn_deg);
        let mut placements = Vec::with_capacity(detectors.len());
        for detector in detectors {
            placements.push(plane.place(detector)?);
        }
        let unit = scale_arcsec / 3600.0 * RAD_PER_DEG;
        plane.left_edge = placements.iter().map(|p| p.left).fold(f64::INFINITY, f64::min);
        plane.top_edge = placements.iter().map(|p| p.top).fold(f64::NEG_INFINITY, f64::max);
        for p in &mut placements {
            p.left = (p.left - plane.left_edge) / unit;
            p.top = (plane.top_edge - p.top) / unit;
            p.width /= unit;
            p.height /= unit;
        }
        Ok(Self {
            centre: centre.position(),
            width: placements.iter().map(|p| p.left + p.width).fold(0.0, f64::max),
            height: placements.iter().map(|p| p.top + p.height).fold(0.0, f64::max),
            scale_arcsec,
            north_from_up_deg: -turn_deg,
            placements,
            plane,
        })
    }

    /// Returns the place of a position in the picture: columns from its left edge, rows from its upper edge (the middle
    /// of the first pixel is 0.5, 0.5); `None` for the far side of the sky.
    pub fn locate(&self, position: SkyPosition) -> Option<(f64, f64)> {
        let (right, up) = self.plane.project(position.unit_vector())?;
        let unit = self.scale_arcsec / 3600.0 * RAD_PER_DEG;
        Some(((right - self.plane.left_edge) / unit, (self.plane.top_edge - up) / unit))
    }
}

const RAD_PER_DEG: f64 = std::f64::consts::PI / 180.0;

/// Returns the mean direction of the detectors' centres.
fn middle(detectors: &[Detector<'_>]) -> Result<UnitVector, WcsFault> {
    let mut sum = (0.0, 0.0, 0.0);
    for detector in detectors {
        let (x, y) = detector.image.centre()?;
        let v = detector.wcs.pixel_to_vector(x, y).ok_or(WcsFault::OffSky { x, y })?;
        sum = (sum.0 + v.x, sum.1 + v.y, sum.2 + v.z);
    }
    UnitVector::towards(sum.0, sum.1, sum.2).ok_or(WcsFault::EmptyImage { nx: 0, ny: 0 })
}

/// Returns the mean angle by which the detectors, each in its best orientation, are tilted from the plane's upright
/// (degrees, counter-clockwise positive). All detectors of a camera have the same tilt, up to quarter turns.
fn mean_tilt_deg(plane: &Plane, detectors: &[Detector<'_>]) -> Result<f64, WcsFault> {
    let (mut sin, mut cos) = (0.0, 0.0);
    for detector in detectors {
        // Four times the angle, so that quarter turns cancel.
        let up = plane.jacobian(detector)?;
        let (s, c) = sin_cos_deg(4.0 * atan2_deg(up.north_x, -up.east_x));
        (sin, cos) = (sin + s, cos + c);
    }
    Ok(0.25 * atan2_deg(sin, cos))
}

impl Plane {
    fn turned(self, deg: f64) -> Self {
        let (sin, cos) = sin_cos_deg(deg);
        let mix = |a: UnitVector, fa: f64, b: UnitVector, fb: f64| UnitVector {
            x: a.x * fa + b.x * fb,
            y: a.y * fa + b.y * fb,
            z: a.z * fa + b.z * fb,
        };
        Self {
            right: mix(self.right, cos, self.up, sin),
            up: mix(self.up, cos, self.right, -sin),
            ..self
        }
    }

    /// Returns the right and up coordinates of a direction on this side of the sky.
    fn project(&self, v: UnitVector) -> Option<(f64, f64)> {
        let along = v.dot(self.centre);
        (along > 0.0).then(|| (v.dot(self.right) / along, v.dot(self.up) / along))
    }

    fn project_pixel(
        &self,
        detector: &Detector<'_>,
        x: f64,
        y: f64,
    ) -> Result<(f64, f64), WcsFault> {
        let off_sky = WcsFault::OffSky { x, y };
        let v = detector.wcs.pixel_to_vector(x, y).ok_or_else(|| off_sky.clone())?;
        self.project(v).filter(|p| p.0.is_finite() && p.1.is_finite()).ok_or(off_sky)
    }

    /// Returns the change of plane coordinates along the middle lines of a detector; "north" is up and "east" left.
    fn jacobian(&self, detector: &Detector<'_>) -> Result<Jacobian, WcsFault> {
        let (x, y) = detector.image.centre()?;
        let (width, height) = (detector.image.width as f64, detector.image.height as f64);
        let x0 = self.project_pixel(detector, 0.5, y)?;
        let x1 = self.project_pixel(detector, width + 0.5, y)?;
        let y0 = self.project_pixel(detector, x, 0.5)?;
        let y1 = self.project_pixel(detector, x, height + 0.5)?;
        Ok(Jacobian {
            east_x: (x0.0 - x1.0) / width,
            east_y: (y0.0 - y1.0) / height,
            north_x: (x1.1 - x0.1) / width,
            north_y: (y1.1 - y0.1) / height,
        })
    }

    /// Returns the transform, and left edge, upper edge and size in radians of the plane.
    fn place(&self, detector: &Detector<'_>) -> Result<Placement, WcsFault> {
        let jacobian = self.jacobian(detector)?;
        let transform = Transform::north_up_east_left(&jacobian);
        let (x, y) = detector.image.centre()?;
        let (right, up) = self.project_pixel(detector, x, y)?;
        let along_x = jacobian.east_x.hypot(jacobian.north_x) * detector.image.width as f64;
        let along_y = jacobian.east_y.hypot(jacobian.north_y) * detector.image.height as f64;
        let turned = transform.display_size(PixelSize { width: 0, height: 1 }).width == 1;
        let (width, height) = if turned { (along_y, along_x) } else { (along_x, along_y) };
        Ok(Placement {
            transform,
            left: right - 0.5 * width,
            top: up + 0.5 * height,
            width,
            height,
        })
    }
}
