//! Cameras of flat detectors in a common focal plane, and where their stars must appear: worked out here from the
//! headers' meaning alone, without the crates that are tested.

use crate::frame::{Extension, Frame, file};
use fits::write::HeaderBuilder;

/// Degrees per detector pixel.
const SCALE_DEG: f64 = 1.1e-4;

/// A camera. In its focal plane u goes right and v up; without a turn or mirroring north is up there, east left.
#[derive(Clone)]
pub struct Camera {
    /// Counter-clockwise turn of north in the focal plane.
    pub turn_deg: f64,
    /// East is to the right of north.
    pub is_mirrored: bool,
    pub mounts: Vec<Mount>,
    /// Of every detector, before it is turned.
    pub width: usize,
    pub height: usize,
}

/// How a detector sits in the focal plane.
#[derive(Clone, Copy)]
pub struct Mount {
    /// Its centre.
    pub centre: (f64, f64),
    /// Its x axis is turned counter-clockwise so often by 90 degrees.
    pub quarter_turns: u8,
}

type Vector = (f64, f64);

impl Camera {
    /// Four detectors with wide gaps, each turned by 90 degrees from the one before, as those of WFCAM are.
    pub fn wide_field(turn_deg: f64, is_mirrored: bool) -> Self {
        let mount = |u, v, quarter_turns| Mount { centre: (u, v), quarter_turns };
        let mounts = vec![
            mount(-600.0, -610.0, 0),
            mount(600.0, -600.0, 1),
            mount(605.0, 600.0, 2),
            mount(-600.0, 607.0, 3),
        ];
        Self { turn_deg, is_mirrored, mounts, width: 640, height: 480 }
    }

    /// East and north (degrees) of a step in the focal plane.
    fn on_sky(&self, (u, v): Vector) -> Vector {
        let (sin, cos) = self.turn_deg.to_radians().sin_cos();
        // Against the turn first: what is left has north up.
        let (right, up) = (u * cos + v * sin, v * cos - u * sin);
        let east = if self.is_mirrored { right } else { -right };
        (east * SCALE_DEG, up * SCALE_DEG)
    }

    fn header(&self, mount: Mount) -> HeaderBuilder {
        let (along_x, along_y) =
            (self.on_sky(mount.turned((1.0, 0.0))), self.on_sky(mount.turned((0.0, 1.0))));
        let (x, y) = mount.turned_back((-mount.centre.0, -mount.centre.1));
        let middle = self.middle();
        let mut header = HeaderBuilder::new();
        header.text("CTYPE1", "RA---TAN", "").text("CTYPE2", "DEC--TAN", "");
        header.number("CRVAL1", 0.003, "").number("CRVAL2", -35.0, "");
        header.number("CRPIX1", middle.0 + x, "").number("CRPIX2", middle.1 + y, "");
        header.number("CD1_1", along_x.0, "").number("CD1_2", along_y.0, "");
        header.number("CD2_1", along_x.1, "").number("CD2_2", along_y.1, "");
        header
    }

    /// FITS pixel of a detector's middle.
    fn middle(&self) -> Vector {
        (0.5 * (self.width as f64 + 1.0), 0.5 * (self.height as f64 + 1.0))
    }

    /// Focal plane of a FITS pixel of a detector.
    fn focal(&self, mount: Mount, (x, y): Vector) -> Vector {
        let middle = self.middle();
        let (u, v) = mount.turned((x - middle.0, y - middle.1));
        (mount.centre.0 + u, mount.centre.1 + v)
    }

    /// A file with such stars (FITS pixels) on its detectors, one list for each.
    pub fn file(&self, stars: &[Vec<Vector>]) -> Vec<u8> {
        let frames: Vec<Frame> = stars
            .iter()
            .map(|stars| {
                let mut frame = Frame::sky(self.width, self.height, 900.0, 12.0);
                stars.iter().for_each(|at| frame.star(*at, 9000.0, 9.0, 1.0));
                frame
            })
            .collect();
        let extensions = frames.iter().zip(&self.mounts);
        let extensions: Vec<Extension> =
            extensions.map(|(frame, mount)| Extension::Rice(frame, self.header(*mount))).collect();
        file(&extensions)
    }

    /// Returns the place of a detector's FITS pixel in its own preview, and the preview's size.
    pub fn in_preview(&self, mount: Mount, (x, y): Vector, factor: f64) -> (Vector, Vector) {
        let (width, height) = (self.width as f64, self.height as f64);
        let corners = [(0.5, 0.5), (width + 0.5, height + 0.5)].map(|at| at as Vector);
        let upright = self.upright(|step| mount.turned(step));
        let [first, last] = corners.map(&upright);
        let (left, top) = (first.0.min(last.0), first.1.max(last.1));
        let (right, up) = upright((x, y));
        // The middle of the first preview pixel is (0, 0).
        let at = ((right - left) / factor - 0.5, (top - up) / factor - 0.5);
        (at, ((first.0 - last.0).abs() / factor, (first.1 - last.1).abs() / factor))
    }

    /// Returns the place of a detector's FITS pixel in a mosaic of a number of columns, and the mosaic's rows.
    pub fn in_mosaic(&self, mount: Mount, at: Vector, columns: f64) -> (Vector, f64) {
        let upright = self.upright(|step| step);
        let (width, height) = (self.width as f64, self.height as f64);
        let corners = self.mounts.iter().flat_map(|mount| {
            let corners = [(0.5, 0.5), (width + 0.5, height + 0.5)];
            corners.map(|corner| upright(self.focal(*mount, corner)))
        });
        let corners: Vec<Vector> = corners.collect();
        let range = |of: fn(&Vector) -> f64| {
            let values = corners.iter().map(of);
            let low = values.clone().fold(f64::INFINITY, f64::min);
            (low, values.fold(f64::NEG_INFINITY, f64::max))
        };
        let ((left, right), (bottom, top)) = (range(|c| c.0), range(|c| c.1));
        let scale = columns / (right - left);
        let (u, v) = upright(self.focal(mount, at));
        (((u - left) * scale - 0.5, (top - v) * scale - 0.5), (top - bottom) * scale)
    }

    /// Turns a plane by right angles and mirrors it, so that north is up and east left as well as can be.
    fn upright(&self, to_focal: impl Fn(Vector) -> Vector) -> impl Fn(Vector) -> Vector {
        let axes = [(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)];
        let most = |of: fn(Vector) -> f64| {
            let score = |axis: &Vector| of(self.on_sky(to_focal(*axis)));
            axes.into_iter().max_by(|a, b| score(a).total_cmp(&score(b))).unwrap()
        };
        let (north, west) = (most(|(_, north)| north), most(|(east, _)| -east));
        let along = |at: Vector, axis: Vector| at.0 * axis.0 + at.1 * axis.1;
        move |at| (along(at, west), along(at, north))
    }
}

impl Mount {
    fn turned(self, at: Vector) -> Vector {
        (0..self.quarter_turns).fold(at, |(x, y), _| (-y, x))
    }

    fn turned_back(self, at: Vector) -> Vector {
        (0..self.quarter_turns).fold(at, |(x, y), _| (y, -x))
    }
}

/// Stars on each detector of a wide-field camera, no two patterns alike under any turn or mirroring.
pub fn patterns() -> Vec<Vec<Vector>> {
    let shifted = |by: f64| {
        let stars = [(60.0, 50.0), (591.4, 40.0), (130.0, 422.7), (333.0, 211.0), (520.0, 377.0)];
        stars.map(|(x, y)| (x + 9.0 * by, y - 5.0 * by)).to_vec()
    };
    let mut all: Vec<Vec<Vector>> = (0..4).map(|n| shifted(f64::from(n))).collect();
    // Their number distinguishes the detectors.
    for (n, stars) in all.iter_mut().enumerate() {
        stars.truncate(5 - n);
    }
    all
}
