//! The projection on the facets of HEALPix (HPX).
//!
//! Formulae: Calabretta & Roukema 2007 (MNRAS 381, 865), with angles in radians.

use std::f64::consts::{FRAC_PI_2, PI};

/// What counts as rounding.
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
