//! Projections between the plane and the sphere around the reference direction; those that are not zenithal are
//! in [`super::flat`].
//!
//! Formulae: Calabretta & Greisen 2002 (A&A 395, 1077), section 5.1, with angles in radians and the distance
//! from the pole (zeta = 90 deg - theta) instead of the native latitude.

use std::f64::consts::{FRAC_PI_4, PI};

use crate::trig::{atan2_deg, sin_cos_small};

use super::flat::Flat;
use super::zpn::Zpn;

/// A projection. The zenithal ones place the reference point at their pole.
#[derive(Clone, Debug)]
pub(super) enum Projection {
    /// Gnomonic.
    Tan,
    /// Zenithal polynomial.
    Zpn(Box<Zpn>),
    /// Orthographic.
    Sin,
    /// Zenithal equidistant.
    Arc,
    /// Stereographic.
    Stg,
    /// Zenithal equal-area.
    Zea,
    /// Not zenithal, or slant.
    Flat(Box<Flat>),
}

impl Projection {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Tan => "TAN",
            Self::Zpn(_) => "ZPN",
            Self::Sin => "SIN",
            Self::Arc => "ARC",
            Self::Stg => "STG",
            Self::Zea => "ZEA",
            Self::Flat(flat) => flat.code(),
        }
    }

    /// Native latitude of the reference point in degrees; its native longitude is 0.
    pub(super) fn theta0_deg(&self) -> f64 {
        match self {
            Self::Flat(flat) => flat.theta0_deg(),
            _ => 90.0,
        }
    }

    /// Components (along the pole, along x, along y) of the direction at a point of the plane.
    #[inline(always)]
    pub(super) fn to_sphere(&self, x: f64, y: f64) -> Option<(f64, f64, f64)> {
        let square = x * x + y * y;
        let radius = square.sqrt();
        let zeta = match self {
            Self::Tan => {
                let along = 1.0 / (1.0 + square).sqrt();
                return Some((along, x * along, y * along));
            }
            Self::Sin => return (square <= 1.0).then(|| ((1.0 - square).sqrt(), x, y)),
            Self::Zpn(zpn) => zpn.zeta(radius)?,
            Self::Arc if radius <= PI => radius,
            Self::Stg if radius.is_finite() => 2.0 * (0.5 * radius).atan(),
            Self::Zea if radius <= 2.0 => 2.0 * (0.5 * radius).asin(),
            Self::Flat(flat) => return flat.to_sphere(x, y),
            _ => return None,
        };
        let (sin, cos) = sin_cos(zeta);
        let scale = if radius > 0.0 { sin / radius } else { 0.0 };
        Some((cos, x * scale, y * scale))
    }

    /// The point of the plane for a direction with these components.
    #[inline(always)]
    pub(super) fn to_plane(&self, along: f64, a: f64, b: f64) -> Option<(f64, f64)> {
        let sine = (a * a + b * b).sqrt();
        let zeta = || atan2_deg(sine, along).to_radians();
        let radius = match self {
            Self::Tan => return (along > 0.0).then(|| (a / along, b / along)),
            Self::Sin => return (along >= 0.0).then_some((a, b)),
            Self::Zpn(zpn) => zpn.radius(zeta())?,
            Self::Arc => zeta(),
            // Without the antipode, which is nowhere (STG) or a whole circle (ARC, ZEA).
            Self::Stg => 2.0 * sine / (1.0 + along),
            Self::Zea => 2.0 * (0.5 * zeta()).sin(),
            Self::Flat(flat) => return flat.to_plane(along, a, b),
        };
        if sine == 0.0 {
            return (along > 0.0).then_some((0.0, 0.0));
        }
        let scale = radius / sine;
        scale.is_finite().then_some((a * scale, b * scale))
    }
}

/// Sine and cosine in radians, quick for the angles that images have.
#[inline(always)]
fn sin_cos(angle: f64) -> (f64, f64) {
    if angle <= FRAC_PI_4 { sin_cos_small(angle) } else { angle.sin_cos() }
}
