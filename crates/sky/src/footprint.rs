//! The part of the sky that an image covers, and tests for overlap with a cone.

use crate::orientation::PixelSize;
use crate::position::{SkyPosition, UnitVector};
use crate::trig::atan2_deg;
use crate::wcs::{Wcs, WcsFault};

/// The sky under an image, out to the outer edges of its border pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Footprint {
    /// Position of the image centre, pixel ((nx+1)/2, (ny+1)/2).
    pub centre: SkyPosition,
    /// Positions of the outer corners (0.5, 0.5), (nx+0.5, 0.5), (nx+0.5, ny+0.5), (0.5, ny+0.5), in this order.
    pub corners: [SkyPosition; 4],
    /// Western end of the right ascensions, 0 to 360. Larger than [`Self::max_ra_deg`] when RA 0 is inside: the
    /// footprint then covers `min_ra_deg`..360 and 0..`max_ra_deg`.
    pub min_ra_deg: f64,
    /// Eastern end of the right ascensions, 0 to 360 (360 with a pole inside).
    pub max_ra_deg: f64,
    /// Southern end; -90 with the south pole inside.
    pub min_dec_deg: f64,
    /// Northern end; 90 with the north pole inside.
    pub max_dec_deg: f64,
    /// The interpretation of the right ascensions.
    pub ra_span: RaSpan,
    /// Largest angle between the centre and any point of the image, arcmin.
    pub extent_arcmin: f64,
    /// Size of the central pixel along x on the sky, arcsec.
    pub pixel_scale_x_arcsec: f64,
    /// Size of the central pixel along y on the sky, arcsec.
    pub pixel_scale_y_arcsec: f64,
    /// Position angle of the image x axis at the centre: of the direction of increasing x, from north through
    /// east, -180 < angle <= 180. An image with north up and east left has -90.
    pub position_angle_deg: f64,
    /// Position angle of the direction of increasing y, likewise. North up has 0.
    pub position_angle_y_deg: f64,
    /// The quadrilateral of the corners, with the padding required by distorted edges.
    pub polygon: SkyPolygon,
}

/// The interpretation of `min_ra_deg` and `max_ra_deg` of a footprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaSpan {
    /// From the smaller to the larger.
    Plain,
    /// Across RA 0: `min_ra_deg` > `max_ra_deg`.
    AcrossZero,
    /// A pole is inside: all right ascensions, 0 to 360.
    AroundPole,
}

/// Points along each edge, in addition to its first corner, that are searched for extremes and curvature.
const STEPS: usize = 12;

impl Wcs {
    /// Computes the footprint of an image of this size.
    ///
    /// # Errors
    /// [`WcsFault::OffSky`] when part of the border or the centre is not on the sky, [`WcsFault::TooLarge`] when the
    /// border extends further than 90 degrees from the centre, [`WcsFault::EmptyImage`] without pixels.
    pub fn footprint(&self, image: PixelSize) -> Result<Footprint, WcsFault> {
        let (x, y) = image.centre()?;
        let jacobian = self.central_jacobian(image)?;
        let centre = self.direction(x, y)?;
        let border = Border::of(self, image)?;
        let corners = [0, 1, 2, 3].map(|side| border.vectors[side * STEPS]);
        let polygon = SkyPolygon::new(corners, border.bulge_deg(corners));
        let extent_deg = border.vectors.iter().map(|v| v.distance_deg(centre)).fold(0.0, f64::max);
        if extent_deg >= 90.0 {
            return Err(WcsFault::TooLarge);
        }
        let centre = centre.position();
        let declination = border.extremes(|p| p.dec_deg);
        let turned = border.extremes(|p| half_turn(p.ra_deg - centre.ra_deg));
        let mut footprint = Footprint {
            centre,
            corners: corners.map(UnitVector::position),
            min_ra_deg: full_turn(centre.ra_deg + turned.0),
            max_ra_deg: full_turn(centre.ra_deg + turned.1),
            min_dec_deg: declination.0,
            max_dec_deg: declination.1,
            ra_span: RaSpan::Plain,
            extent_arcmin: extent_deg * 60.0,
            pixel_scale_x_arcsec: jacobian.east_x.hypot(jacobian.north_x) * 3600.0,
            pixel_scale_y_arcsec: jacobian.east_y.hypot(jacobian.north_y) * 3600.0,
            position_angle_deg: atan2_deg(jacobian.east_x, jacobian.north_x),
            position_angle_y_deg: atan2_deg(jacobian.east_y, jacobian.north_y),
            polygon,
        };
        if footprint.min_ra_deg > footprint.max_ra_deg {
            footprint.ra_span = RaSpan::AcrossZero;
        }
        for pole_dec_deg in [90.0, -90.0] {
            if self.covers_pole(pole_dec_deg, image) {
                footprint.widen_to_pole(pole_dec_deg);
            }
        }
        Ok(footprint)
    }

    fn direction(&self, x: f64, y: f64) -> Result<UnitVector, WcsFault> {
        self.pixel_to_vector(x, y).ok_or(WcsFault::OffSky { x, y })
    }

    fn covers_pole(&self, dec_deg: f64, image: PixelSize) -> bool {
        self.sky_to_pixel(SkyPosition { ra_deg: 0.0, dec_deg }).is_some_and(|(x, y)| {
            (0.5..=image.width as f64 + 0.5).contains(&x)
                && (0.5..=image.height as f64 + 0.5).contains(&y)
        })
    }
}

impl Footprint {
    fn widen_to_pole(&mut self, dec_deg: f64) {
        (self.min_ra_deg, self.max_ra_deg, self.ra_span) = (0.0, 360.0, RaSpan::AroundPole);
        if dec_deg > 0.0 {
            self.max_dec_deg = dec_deg;
        } else {
            self.min_dec_deg = dec_deg;
        }
    }

    /// Returns the direction of the centre, and the angle (degrees) from it within which the whole image lies.
    pub fn bounding_cap(&self) -> (UnitVector, f64) {
        (self.centre.unit_vector(), self.extent_arcmin / 60.0 + self.polygon.padding_deg)
    }

    /// Returns the outline in the form of IVOA's DALI and STC-S: `Polygon ICRS` and the corners in degrees,
    /// counter-clockwise as seen on the sky.
    pub fn stc_s(&self) -> String {
        let mut corners = self.corners;
        if self.polygon.sense > 0.0 {
            corners.reverse();
        }
        let mut text = "Polygon ICRS".to_owned();
        for corner in corners {
            text += &format!(" {:.9} {:.9}", corner.ra_deg, corner.dec_deg);
        }
        text
    }

    /// Returns true when right ascension and declination are between the ends of the footprint.
    pub fn box_contains(&self, position: SkyPosition) -> bool {
        let ra = position.ra_deg;
        let within_ra = match self.ra_span {
            RaSpan::Plain => self.min_ra_deg <= ra && ra <= self.max_ra_deg,
            RaSpan::AcrossZero => ra >= self.min_ra_deg || ra <= self.max_ra_deg,
            RaSpan::AroundPole => true,
        };
        within_ra && self.min_dec_deg <= position.dec_deg && position.dec_deg <= self.max_dec_deg
    }
}

/// Points along the border of an image.
struct Border<'a> {
    wcs: &'a Wcs,
    width: f64,
    height: f64,
    /// Directions from corner to corner, `STEPS` on each side.
    vectors: Vec<UnitVector>,
    positions: Vec<SkyPosition>,
}

impl<'a> Border<'a> {
    fn of(wcs: &'a Wcs, image: PixelSize) -> Result<Self, WcsFault> {
        let (width, height) = (image.width as f64, image.height as f64);
        let vectors = Vec::with_capacity(4 * STEPS);
        let mut border = Self { wcs, width, height, vectors, positions: Vec::new() };
        for i in 0..4 * STEPS {
            let (x, y) = border.pixel(i as f64 / STEPS as f64);
            border.vectors.push(wcs.direction(x, y)?);
        }
        border.positions = border.vectors.iter().map(|v| v.position()).collect();
        Ok(border)
    }

    /// Returns the border pixel at a parameter: 0 to 4, one unit per side, counter-clockwise from (0.5, 0.5).
    fn pixel(&self, along: f64) -> (f64, f64) {
        let along = along.rem_euclid(4.0);
        let part = along.fract();
        let (x, y) = match along as u8 {
            0 => (part, 0.0),
            1 => (1.0, part),
            2 => (1.0 - part, 1.0),
            _ => (0.0, 1.0 - part),
        };
        (0.5 + x * self.width, 0.5 + y * self.height)
    }

    /// Returns the distance in degrees by which the border exceeds the great circles between the corners.
    fn bulge_deg(&self, corners: [UnitVector; 4]) -> f64 {
        let inside = SkyPolygon::new(corners, 0.0);
        let beyond = |v: &UnitVector| inside.distance_deg(*v);
        // A margin for the border between two points, whose additional bulge is less than that of the points.
        1.05 * self.vectors.iter().map(beyond).fold(0.0, f64::max) + 1e-9
    }

    /// Returns the smallest and largest value of a coordinate along the border.
    fn extremes(&self, coordinate: impl Fn(SkyPosition) -> f64) -> (f64, f64) {
        let values: Vec<f64> = self.positions.iter().map(|&p| coordinate(p)).collect();
        let lowest = self.refined(&values, |v| -v, &coordinate);
        let highest = self.refined(&values, |v| v, &coordinate);
        (-lowest, highest)
    }

    /// Returns the largest `sign(coordinate)`: that of the best point, refined by section search between its
    /// neighbours.
    fn refined(
        &self,
        values: &[f64],
        sign: impl Fn(f64) -> f64,
        coordinate: impl Fn(SkyPosition) -> f64,
    ) -> f64 {
        let best =
            (0..values.len()).fold(0, |b, i| if sign(values[i]) > sign(values[b]) { i } else { b });
        let at = |along: f64| {
            let (x, y) = self.pixel(along);
            self.wcs.pixel_to_sky(x, y).map_or(f64::NEG_INFINITY, |p| sign(coordinate(p)))
        };
        let (mut low, mut high) =
            ((best as f64 - 1.0) / STEPS as f64, (best as f64 + 1.0) / STEPS as f64);
        let mut top = sign(values[best]);
        while high - low > 1e-3 {
            let (left, right) = (low + (high - low) * 0.45, low + (high - low) * 0.55);
            let (at_left, at_right) = (at(left), at(right));
            top = top.max(at_left).max(at_right);
            if at_left > at_right { high = right } else { low = left }
        }
        top
    }
}

/// A convex quadrilateral of great circles, smaller than a hemisphere, with a padding around it.
#[derive(Clone, Debug, PartialEq)]
pub struct SkyPolygon {
    corners: [UnitVector; 4],
    /// Poles of the edges, on the inner side; `None` for an edge of no length.
    poles: [Option<UnitVector>; 4],
    /// 1 when the corners run clockwise as seen on the sky (counter-clockwise from outside), else -1.
    sense: f64,
    /// Degrees around the great circles that also belong to it.
    pub padding_deg: f64,
}

impl SkyPolygon {
    /// Makes the polygon from corners in either sense of rotation.
    pub fn new(corners: [UnitVector; 4], padding_deg: f64) -> Self {
        let [a, b, c, d] = corners;
        let turn = a.cross(b).dot(c) + c.cross(d).dot(a);
        let sense = if turn < 0.0 { -1.0 } else { 1.0 };
        let poles = [0, 1, 2, 3].map(|i| {
            let n = corners[i].cross(corners[(i + 1) % 4]);
            UnitVector::towards(n.x * sense, n.y * sense, n.z * sense)
        });
        Self { corners, poles, sense, padding_deg }
    }

    /// Returns true when a direction is inside or on the padding.
    pub fn contains(&self, direction: UnitVector) -> bool {
        self.distance_deg(direction) <= self.padding_deg
    }

    /// Returns true when a cone touches the polygon. The result is never false for a cone that does, and sometimes true
    /// for one that misses by less than the padding.
    pub fn touches_cone(&self, axis: UnitVector, radius_deg: f64) -> bool {
        self.distance_deg(axis) <= radius_deg + self.padding_deg
    }

    /// Returns the angle to the nearest point of the quadrilateral without its padding; 0 inside.
    pub fn distance_deg(&self, direction: UnitVector) -> f64 {
        let height = |pole: &UnitVector| pole.dot(direction);
        if self.poles.iter().flatten().all(|pole| height(pole) >= 0.0) {
            return 0.0;
        }
        let mut nearest = 180.0f64;
        for (i, pole) in self.poles.iter().enumerate() {
            let (a, b) = (self.corners[i], self.corners[(i + 1) % 4]);
            nearest = nearest.min(match pole {
                Some(pole) => edge_distance_deg(a, b, *pole, height(pole), direction),
                None => direction.distance_deg(a),
            });
        }
        nearest
    }
}

/// Returns the angle from a direction to the arc between `a` and `b`, whose plane has this normal.
fn edge_distance_deg(
    a: UnitVector,
    b: UnitVector,
    normal: UnitVector,
    height: f64,
    direction: UnitVector,
) -> f64 {
    let flat = UnitVector {
        x: direction.x - height * normal.x,
        y: direction.y - height * normal.y,
        z: direction.z - height * normal.z,
    };
    // The foot of the perpendicular lies on the arc when it is on the inner side of both ends.
    let middle = UnitVector { x: a.x + b.x, y: a.y + b.y, z: a.z + b.z };
    let reach = a.dot(middle);
    let length = flat.dot(flat).sqrt();
    if flat.dot(middle) >= reach * length {
        atan2_deg(height.abs(), length)
    } else {
        direction.distance_deg(a).min(direction.distance_deg(b))
    }
}

/// Reduces an angle to -180 .. 180.
fn half_turn(deg: f64) -> f64 {
    if deg > 180.0 {
        deg - 360.0
    } else if deg <= -180.0 {
        deg + 360.0
    } else {
        deg
    }
}

/// Reduces an angle to 0 .. 360.
fn full_turn(deg: f64) -> f64 {
    SkyPosition::new(deg, 0.0).map_or(deg, |p| p.ra_deg)
}
