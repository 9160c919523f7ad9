//! Zenithal projections that depend on more than the distance from the pole, and Airy's, which has no inverse in closed
//! form.
//!
//! Formulae: Calabretta & Greisen 2002 (A&A 395, 1077), sections 5.1.1, 5.1.2 and 5.1.8, written for the components of
//! directions: `along` is sin(theta), `a` is cos(theta) sin(phi), `b` is -cos(theta) cos(phi).

use std::f64::consts::FRAC_PI_2;

/// Tolerance for rounding.
const ROUNDING: f64 = 1e-12;

/// Zenithal perspective with a tilted plane (AZP).
#[derive(Clone, Debug)]
pub(super) struct Azp {
    /// Distance of the point of projection from the centre of the sphere, opposite to the pole.
    mu: f64,
    sin_gamma: f64,
    cos_gamma: f64,
}

impl Azp {
    /// Makes the projection of PV2_1 and PV2_2; `None` for a point in the plane, or a plane seen from its edge.
    pub(super) fn new(mu: f64, gamma_deg: f64) -> Option<Self> {
        let (sin_gamma, cos_gamma) = gamma_deg.to_radians().sin_cos();
        let is_usable = mu != -1.0 && cos_gamma.abs() > ROUNDING;
        is_usable.then_some(Self { mu, sin_gamma, cos_gamma })
    }

    pub(super) fn to_sphere(&self, x: f64, y: f64) -> Option<(f64, f64, f64)> {
        let down = y * self.cos_gamma;
        let radius = x.hypot(down);
        if radius == 0.0 {
            return Some((1.0, 0.0, 0.0));
        }
        let slope = radius / (self.mu + 1.0 + y * self.sin_gamma);
        let sine = slope * self.mu / slope.hypot(1.0);
        if sine.abs() > 1.0 + ROUNDING {
            return None;
        }
        let (psi, omega) = (1.0_f64.atan2(slope), sine.clamp(-1.0, 1.0).asin());
        // Of the two points of the sphere on the line of sight, the one nearer to the pole.
        let nearer = |theta: f64| if theta > FRAC_PI_2 { theta - 4.0 * FRAC_PI_2 } else { theta };
        let theta = nearer(psi - omega).max(nearer(psi + omega + 2.0 * FRAC_PI_2));
        let (sin, cos) = theta.sin_cos();
        Some((sin, cos * x / radius, cos * down / radius))
    }

    pub(super) fn to_plane(&self, along: f64, a: f64, b: f64) -> Option<(f64, f64)> {
        let distance = self.mu + along - b * self.sin_gamma / self.cos_gamma;
        let scale = (self.mu + 1.0) / distance;
        let (x, y) = (a * scale, b * scale / self.cos_gamma);
        is_seen(self.to_sphere(x, y), (along, a, b)).then_some((x, y))
    }
}

/// Slant zenithal perspective (SZP).
#[derive(Clone, Debug)]
pub(super) struct Szp {
    /// The point of projection.
    x: f64,
    y: f64,
    z: f64,
}

impl Szp {
    /// Makes the projection of PV2_1, PV2_2 and PV2_3; `None` for a point in the plane.
    pub(super) fn new(mu: f64, phi_deg: f64, theta_deg: f64) -> Option<Self> {
        let (sin_phi, cos_phi) = phi_deg.to_radians().sin_cos();
        let (sin_theta, cos_theta) = theta_deg.to_radians().sin_cos();
        let z = mu * sin_theta + 1.0;
        let point = Self { x: -mu * cos_theta * sin_phi, y: mu * cos_theta * cos_phi, z };
        (z.abs() > ROUNDING).then_some(point)
    }

    pub(super) fn to_sphere(&self, x: f64, y: f64) -> Option<(f64, f64, f64)> {
        let (slope_x, slope_y) = ((x - self.x) / self.z, (y - self.y) / self.z);
        let (dx, dy) = (x - slope_x, y - slope_y);
        let square = slope_x * slope_x + slope_y * slope_y + 1.0;
        let half = slope_x * dx + slope_y * dy;
        let along = larger_sine(square, half, dx * dx + dy * dy - 1.0)?;
        let fall = 1.0 - along;
        Some((along, x - slope_x * fall, y - slope_y * fall))
    }

    pub(super) fn to_plane(&self, along: f64, a: f64, b: f64) -> Option<(f64, f64)> {
        let fall = 1.0 - along;
        let scale = (self.z - fall).recip();
        let (x, y) = ((self.z * a - self.x * fall) * scale, (self.z * b - self.y * fall) * scale);
        // Lines of sight touch the sphere where the direction times the point of projection is 1.
        let is_before_limb = along * (1.0 - self.z) + a * self.x + b * self.y < 1.0;
        let is_seen = is_before_limb && is_seen(self.to_sphere(x, y), (along, a, b));
        is_seen.then_some((x, y))
    }
}

/// Solves a s^2 + 2 b s + c = 0 for the sine of a latitude: the larger solution that is a sine.
pub(super) fn larger_sine(a: f64, b: f64, c: f64) -> Option<f64> {
    let square = b * b - a * c;
    if square < 0.0 {
        return None;
    }
    let root = square.sqrt();
    let (high, low) = ((-b + root) / a, (-b - root) / a);
    let sine = if high <= 1.0 + ROUNDING { high.min(1.0) } else { low };
    (-1.0 - ROUNDING..=1.0).contains(&sine).then_some(sine)
}

/// Returns true when a direction is the visible one at its point in the plane: another direction can be hidden behind
/// it or be opposite to it.
fn is_seen(shown: Option<(f64, f64, f64)>, (along, a, b): (f64, f64, f64)) -> bool {
    shown.is_some_and(|shown| shown.0 * along + shown.1 * a + shown.2 * b > 1.0 - 1e-9)
}

/// Airy's projection (AIR).
#[derive(Clone, Debug)]
pub(super) struct Air {
    /// ln(cos xi_b) / tan(xi_b)^2 of the latitude within which the error is least.
    weight: f64,
}

/// Half the distance from the pole at which the search for a radius stops.
const XI_MAX: f64 = FRAC_PI_2 - 1e-9;

impl Air {
    /// Makes the projection of PV2_1; `None` for an invalid latitude, or for the pole that is infinitely far.
    pub(super) fn new(theta_deg: f64) -> Option<Self> {
        if !(theta_deg > -90.0 && theta_deg <= 90.0) {
            return None;
        }
        let xi = (0.5 * (90.0 - theta_deg)).to_radians();
        let weight = if xi < 1e-4 { -0.5 } else { ln_cos(xi) / xi.tan().powi(2) };
        Some(Self { weight })
    }

    /// Returns the distance from the pole in the plane, and its slope, at half a distance on the sphere.
    fn radius(&self, xi: f64) -> (f64, f64) {
        if xi == 0.0 {
            return (0.0, 1.0 - 2.0 * self.weight);
        }
        let (sin, cos) = xi.sin_cos();
        let log = ln_cos(xi);
        let radius = -2.0 * (log * cos / sin + self.weight * sin / cos);
        (radius, 2.0 * (1.0 + log / (sin * sin) - self.weight / (cos * cos)))
    }

    /// Solves for half the distance on the sphere, by Newton's iteration inside a shrinking bracket.
    fn xi(&self, radius: f64) -> Option<f64> {
        let (mut low, mut high) = (0.0, XI_MAX);
        if !(radius >= 0.0 && radius <= self.radius(high).0) {
            return None;
        }
        let mut xi = (radius / (1.0 - 2.0 * self.weight)).min(1.0);
        for _ in 0..200 {
            let (value, slope) = self.radius(xi);
            if value > radius {
                high = xi;
            } else {
                low = xi;
            }
            let mut next = xi - (value - radius) / slope;
            if !(next >= low && next <= high) {
                next = 0.5 * (low + high);
            }
            let step = (next - xi).abs();
            xi = next;
            if step <= 1e-16 * xi {
                break;
            }
        }
        Some(xi)
    }

    pub(super) fn to_sphere(&self, x: f64, y: f64) -> Option<(f64, f64, f64)> {
        let radius = x.hypot(y);
        let (sin, cos) = (2.0 * self.xi(radius)?).sin_cos();
        let scale = if radius == 0.0 { 0.0 } else { sin / radius };
        Some((cos, x * scale, y * scale))
    }

    pub(super) fn to_plane(&self, along: f64, a: f64, b: f64) -> Option<(f64, f64)> {
        let sine = a.hypot(b);
        let xi = 0.5 * sine.atan2(along);
        if sine == 0.0 || xi >= XI_MAX {
            return (along > 0.0).then_some((0.0, 0.0));
        }
        let scale = self.radius(xi).0 / sine;
        Some((a * scale, b * scale))
    }
}

/// Returns ln(cos(xi)), accurate for small angles too.
fn ln_cos(xi: f64) -> f64 {
    (-2.0 * (0.5 * xi).sin().powi(2)).ln_1p()
}
