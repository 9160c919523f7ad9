//! Projections on the faces of a cube (TSC) and on the facets of HEALPix (HPX).
//!
//! Formulae: Calabretta & Greisen 2002 (A&A 395, 1077), section 5.6.1, and Calabretta & Roukema 2007 (MNRAS 381, 865),
//! with angles in radians.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

/// What counts as rounding.
const ROUNDING: f64 = 1e-12;

/// Returns the components of the direction at a point of the tangential spherical cube.
pub(super) fn cube_to_sphere(x: f64, y: f64) -> Option<(f64, f64, f64)> {
    let (mut u, mut v) = (x / FRAC_PI_4, y / FRAC_PI_4);
    let edge = 1.0 + ROUNDING;
    let is_on_cube = (u.abs() <= edge && v.abs() <= 3.0 + ROUNDING)
        || (u.abs() <= 7.0 + ROUNDING && v.abs() <= edge);
    if !is_on_cube {
        return None;
    }
    if u < -edge {
        u += 8.0;
    }
    // Towards native longitude 0, 90, and towards the pole.
    let (l, m, n) = if u > 5.0 {
        u -= 6.0;
        (u, -1.0, v)
    } else if u > 3.0 {
        u -= 4.0;
        (-1.0, -u, v)
    } else if u > edge {
        u -= 2.0;
        (-u, 1.0, v)
    } else if v > 1.0 {
        v -= 2.0;
        (-v, u, 1.0)
    } else if v < -1.0 {
        v += 2.0;
        (v, u, -1.0)
    } else {
        (1.0, u, v)
    };
    let length = (1.0 + u * u + v * v).sqrt();
    Some((n / length, m / length, -l / length))
}

/// Returns the point of the tangential spherical cube for a direction.
pub(super) fn cube_to_plane(along: f64, a: f64, b: f64) -> Option<(f64, f64)> {
    let (l, m, n) = (-b, a, along);
    // How far the direction leans to each face, and its place: the polar face first, as in wcslib.
    let faces = [
        (n, m, -l, 0.0, 2.0),
        (l, m, n, 0.0, 0.0),
        (m, -l, n, 2.0, 0.0),
        (-l, -m, n, 4.0, 0.0),
        (-m, l, n, 6.0, 0.0),
        (-n, m, l, 0.0, -2.0),
    ];
    let mut best = faces[0];
    for face in faces {
        if face.0 > best.0 {
            best = face;
        }
    }
    let (towards, u, v, u0, v0) = best;
    (towards > 0.0).then(|| (FRAC_PI_4 * (u / towards + u0), FRAC_PI_4 * (v / towards + v0)))
}

/// The HEALPix projection of H facets along the equator and K rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hpx {
    h: f64,
    k: f64,
    k_is_odd: bool,
}

impl Hpx {
    /// Makes the projection of PV2_1 and PV2_2; `None` unless both are whole numbers from 1.
    pub(super) fn new(h: f64, k: f64) -> Option<Self> {
        let is_count = |n: f64| n.fract() == 0.0 && (1.0..1000.0).contains(&n);
        (is_count(h) && is_count(k)).then_some(Self { h, k, k_is_odd: k % 2.0 == 1.0 })
    }

    /// Half the width of a facet.
    fn half(&self) -> f64 {
        PI / self.h
    }

    /// The middle of the polar facet at a longitude, or at an x of the plane, on the northern or southern side.
    fn middle(&self, longitude: f64, is_north: bool) -> f64 {
        let is_odd = self.k_is_odd || is_north;
        let shift = if is_odd { 0.0 } else { 0.5 };
        let number = ((longitude + PI) * self.h / (2.0 * PI) + shift).floor();
        -PI + (2.0 * number + if is_odd { 1.0 } else { 0.0 }) * self.half()
    }

    /// Native longitude and latitude at a point of the plane.
    pub(super) fn native(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        let height = y.abs() * self.h / PI;
        if height <= 0.5 * (self.k - 1.0) {
            return Some((x, (2.0 * y * self.h / (PI * self.k)).asin()));
        }
        let sigma = 0.5 * (self.k + 1.0) - height;
        if sigma < -ROUNDING {
            return None;
        }
        let sigma = sigma.max(0.0);
        let sine = 1.0 - sigma * sigma / self.k;
        let theta = (sine.asin()).copysign(y);
        let middle = self.middle(x, y > 0.0);
        let off = x - middle;
        if off.abs() > sigma * self.half() + ROUNDING {
            return None;
        }
        let phi = if sigma > ROUNDING { middle + off / sigma } else { middle };
        Some((phi, theta.clamp(-FRAC_PI_2, FRAC_PI_2)))
    }

    /// The point of the plane for a native longitude and latitude.
    pub(super) fn plane(&self, phi: f64, theta: f64) -> (f64, f64) {
        let sine = theta.sin();
        if sine.abs() <= (self.k - 1.0) / self.k {
            return (phi, 0.5 * PI * self.k / self.h * sine);
        }
        let sigma = (self.k * (1.0 - sine.abs())).sqrt();
        let middle = self.middle(phi, theta > 0.0);
        let y = self.half() * (0.5 * (self.k + 1.0) - sigma);
        (middle + (phi - middle) * sigma, y.copysign(theta))
    }
}
