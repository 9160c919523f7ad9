//! The projections on the facets of HEALPix: HPX, and XPH around a pole (the butterfly).
//!
//! Formulae: Calabretta & Roukema 2007 (MNRAS 381, 865), and Calabretta & Lowe 2013 (PASA 30, e050) for XPH, with angles
//! in radians.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_PI_2, FRAC_PI_4, PI};

/// Tolerance for rounding.
const ROUNDING: f64 = 1e-12;

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

    /// Returns half the width of a facet.
    fn half(&self) -> f64 {
        PI / self.h
    }

    /// Returns the middle of the polar facet at a longitude, or at an x of the plane, on the northern or southern side.
    fn middle(&self, longitude: f64, is_north: bool) -> f64 {
        let is_odd = self.k_is_odd || is_north;
        let shift = if is_odd { 0.0 } else { 0.5 };
        let number = ((longitude + PI) * self.h / (2.0 * PI) + shift).floor();
        -PI + (2.0 * number + if is_odd { 1.0 } else { 0.0 }) * self.half()
    }

    /// Returns the native longitude and latitude at a point of the plane.
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

    /// Returns the point of the plane for a native longitude and latitude.
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

/// Height of the facets along the equator, from the middle to sin(theta) = 1, in XPH.
const XPH_HEIGHT: f64 = 3.0 * PI / 8.0;

/// Returns the native longitude and latitude at a point of XPH. The quarters of the sphere meet at the native pole.
pub(super) fn butterfly_native(x: f64, y: f64) -> Option<(f64, f64)> {
    let (x, y) = (FRAC_1_SQRT_2 * x, FRAC_1_SQRT_2 * y);
    // Across the quarter from its middle, and down from the pole.
    let (across, down, first) = if x <= 0.0 && y > 0.0 {
        (-x - y, x - y, -PI)
    } else if x < 0.0 && y <= 0.0 {
        (x - y, x + y, -FRAC_PI_2)
    } else if x >= 0.0 && y < 0.0 {
        (x + y, -x + y, 0.0)
    } else {
        (-x + y, -x - y, FRAC_PI_2)
    };
    let middle = first + FRAC_PI_4;
    let height = down + FRAC_PI_2;
    let sigma = (FRAC_PI_2 - height.abs()) / FRAC_PI_4;
    if sigma >= 1.0 {
        let is_on_facet = across.abs() <= FRAC_PI_4 + ROUNDING;
        return is_on_facet.then(|| (middle + across, (height / XPH_HEIGHT).asin()));
    }
    if sigma.is_nan() || sigma < 0.0 {
        return None;
    }
    let is_on_facet = across.abs() <= sigma * FRAC_PI_4 + ROUNDING;
    let off = if sigma > ROUNDING { across / sigma } else { 0.0 };
    let theta = FRAC_PI_2 - 2.0 * (sigma / 6.0_f64.sqrt()).asin();
    is_on_facet.then(|| (middle + off, theta.copysign(height)))
}

/// Returns the point of XPH for a native longitude and latitude.
pub(super) fn butterfly_plane(phi: f64, theta: f64) -> (f64, f64) {
    let quarter = ((phi + PI) / FRAC_PI_2).floor().rem_euclid(4.0);
    let off = (phi + PI).rem_euclid(FRAC_PI_2) - FRAC_PI_4;
    let sine = theta.sin();
    let (across, height) = if 3.0 * sine.abs() <= 2.0 {
        (off, XPH_HEIGHT * sine)
    } else {
        let sigma = 6.0_f64.sqrt() * (0.5 * (FRAC_PI_2 - theta.abs())).sin();
        (off * sigma, (FRAC_PI_4 * (2.0 - sigma)).copysign(theta))
    };
    let down = height - FRAC_PI_2;
    let (x, y) = match quarter {
        0.0 => (-across + down, -across - down),
        1.0 => (across + down, -across + down),
        2.0 => (across - down, across + down),
        _ => (-across - down, across - down),
    };
    (FRAC_1_SQRT_2 * x, FRAC_1_SQRT_2 * y)
}
