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

    /// Returns the native latitude of the reference point in degrees; its native longitude is 0.
    pub(super) fn theta0_deg(&self) -> f64 {
        match self {
            Self::Flat(flat) => flat.theta0_deg(),
            _ => 90.0,
        }
    }

    /// Returns the components (along the pole, along x, along y) of the directions at points of the plane; `along` is
    /// NaN without a direction.
    #[inline(always)]
    pub(super) fn to_spheres<const N: usize>(&self, x: [f64; N], y: [f64; N]) -> [[f64; N]; 3] {
        let square: [f64; N] = std::array::from_fn(|i| x[i] * x[i] + y[i] * y[i]);
        let zeta = match self {
            Self::Tan => {
                let along = square.map(|square| 1.0 / (1.0 + square).sqrt());
                return [
                    along,
                    std::array::from_fn(|i| x[i] * along[i]),
                    std::array::from_fn(|i| y[i] * along[i]),
                ];
            }
            // The root of a negative number is NaN.
            Self::Sin => return [square.map(|square| (1.0 - square).sqrt()), x, y],
            Self::Flat(flat) => {
                let mut out = [[f64::NAN; N]; 3];
                for i in 0..N {
                    if let Some((along, a, b)) = flat.to_sphere(x[i], y[i]) {
                        (out[0][i], out[1][i], out[2][i]) = (along, a, b);
                    }
                }
                return out;
            }
            Self::Zpn(zpn) => zpn.zetas(square.map(f64::sqrt)),
            Self::Arc => square.map(f64::sqrt).map(|r| if r <= PI { r } else { f64::NAN }),
            Self::Stg => square.map(|square| match square.sqrt() {
                radius if radius.is_finite() => 2.0 * (0.5 * radius).atan(),
                _ => f64::NAN,
            }),
            // The arc sine of more than 1 is NaN.
            Self::Zea => square.map(|square| 2.0 * (0.5 * square.sqrt()).asin()),
        };
        let (sin, cos) = sines_cosines(zeta);
        let scale: [f64; N] = std::array::from_fn(|i| {
            let radius = square[i].sqrt();
            if radius > 0.0 { sin[i] / radius } else { 0.0 }
        });
        let times_scale = |v: [f64; N]| std::array::from_fn(|i| v[i] * scale[i]);
        [cos, times_scale(x), times_scale(y)]
    }

    /// Returns the point of the plane for a direction with these components.
    #[inline(always)]
    pub(super) fn to_plane(&self, along: f64, a: f64, b: f64) -> Option<(f64, f64)> {
        let sine = (a * a + b * b).sqrt();
        let zeta = || atan2_deg(sine, along).to_radians();
        let radius = match self {
            Self::Tan => return (along > 0.0).then(|| (a / along, b / along)),
            Self::Sin => return (along >= 0.0).then_some((a, b)),
            Self::Zpn(zpn) => zpn.radius(zeta())?,
            Self::Arc => zeta(),
            // The antipode is excluded: it has no point (STG) or a whole circle of them (ARC, ZEA).
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

/// Returns sines and cosines of angles in radians, fast for the angles that images have.
#[inline(always)]
fn sines_cosines<const N: usize>(angle: [f64; N]) -> ([f64; N], [f64; N]) {
    let (mut sin, mut cos) = ([0.0; N], [0.0; N]);
    let is_small = angle.map(|angle| angle <= FRAC_PI_4);
    for i in 0..N {
        (sin[i], cos[i]) = sin_cos_small(angle[i]);
    }
    if is_small.contains(&false) {
        for i in (0..N).filter(|i| !is_small[*i]) {
            (sin[i], cos[i]) = angle[i].sin_cos();
        }
    }
    (sin, cos)
}
