//! Projections that are not zenithal: cylindrical, pseudocylindrical, conic, Bonne's, polyconic, and those of
//! [`super::cube`] and [`super::facets`].
//! The slant zenithal ones and those of [`super::perspective`] are here too, since they have no fast implementation.
//!
//! Formulae: Calabretta & Greisen 2002 (A&A 395, 1077), sections 5.1.5 to 5.5.2, with angles in radians. Directions
//! are components along the native pole, along native longitude 90 and along native longitude 180, as those of
//! the zenithal projections.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI, SQRT_2};

use super::cube::Cube;
use super::facets::{self, Hpx};
use super::perspective::{Air, Azp, Szp, larger_sine};

/// A projection that is not zenithal, or zenithal with a slant.
#[derive(Clone, Debug)]
pub(super) enum Flat {
    /// Slant orthographic (SIN with PV2_1, PV2_2; NCP).
    Slant { xi: f64, eta: f64 },
    /// Plate carree.
    Car,
    /// Cylindrical equal-area.
    Cea { lambda: f64 },
    /// Mercator.
    Mer,
    /// Cylindrical perspective.
    Cyp { mu: f64, lambda: f64 },
    /// Sanson-Flamsteed.
    Sfl,
    /// Parabolic.
    Par,
    /// Mollweide.
    Mol,
    /// Hammer-Aitoff.
    Ait,
    /// A conic.
    Conic(Conic),
    /// Bonne's, with the latitude that is true to scale and the distance of the apex from the origin.
    Bon { middle: f64, apex: f64 },
    /// Zenithal perspective.
    Azp(Azp),
    /// Slant zenithal perspective.
    Szp(Szp),
    /// Airy's.
    Air(Air),
    /// Polyconic.
    Pco,
    /// A cube.
    Cube(Cube),
    /// HEALPix.
    Hpx(Hpx),
    /// HEALPix around a pole, the butterfly.
    Xph,
}

/// The kind of conic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConicKind {
    /// Perspective (COP).
    Perspective,
    /// Equal-area (COE).
    EqualArea,
    /// Equidistant (COD).
    Equidistant,
    /// Orthomorphic (COO).
    Orthomorphic,
}

/// A conic with its constants.
#[derive(Clone, Debug)]
pub(super) struct Conic {
    kind: ConicKind,
    /// Mean of the standard parallels, radians.
    middle: f64,
    /// Constant of the cone.
    constant: f64,
    /// Further constants of the kind.
    a: f64,
    b: f64,
    /// Distance of the apex from the origin.
    apex: f64,
}

/// Overshoot beyond an end of the native sphere that is attributed to rounding.
const ROUNDING: f64 = 1e-12;

impl Flat {
    /// Makes Bonne's projection of a latitude in degrees; at the equator it is that of Sanson and Flamsteed.
    pub(super) fn bonne(middle_deg: f64) -> Self {
        let middle = middle_deg.to_radians();
        if middle == 0.0 {
            Self::Sfl
        } else {
            Self::Bon { middle, apex: middle.tan().recip() + middle }
        }
    }

    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Slant { .. } => "SIN",
            Self::Car => "CAR",
            Self::Cea { .. } => "CEA",
            Self::Mer => "MER",
            Self::Cyp { .. } => "CYP",
            Self::Sfl => "SFL",
            Self::Par => "PAR",
            Self::Mol => "MOL",
            Self::Ait => "AIT",
            Self::Conic(conic) => match conic.kind {
                ConicKind::Perspective => "COP",
                ConicKind::EqualArea => "COE",
                ConicKind::Equidistant => "COD",
                ConicKind::Orthomorphic => "COO",
            },
            Self::Bon { .. } => "BON",
            Self::Azp(_) => "AZP",
            Self::Szp(_) => "SZP",
            Self::Air(_) => "AIR",
            Self::Pco => "PCO",
            Self::Cube(cube) => cube.code(),
            Self::Hpx(_) => "HPX",
            Self::Xph => "XPH",
        }
    }

    /// Returns the native latitude of the reference point, degrees.
    pub(super) fn theta0_deg(&self) -> f64 {
        match self {
            Self::Slant { .. } | Self::Azp(_) | Self::Szp(_) | Self::Air(_) | Self::Xph => 90.0,
            Self::Conic(conic) => conic.middle.to_degrees(),
            _ => 0.0,
        }
    }

    /// Returns the components of the direction at a point of the plane.
    pub(super) fn to_sphere(&self, x: f64, y: f64) -> Option<(f64, f64, f64)> {
        match self {
            Self::Slant { xi, eta } => return slant_to_sphere(x, y, *xi, *eta),
            Self::Azp(azp) => return azp.to_sphere(x, y),
            Self::Szp(szp) => return szp.to_sphere(x, y),
            Self::Air(air) => return air.to_sphere(x, y),
            Self::Cube(cube) => return cube.to_sphere(x, y),
            _ => {}
        }
        let (phi, theta) = self.native(x, y)?;
        let phi = within(phi, PI)?;
        let theta = within(theta, FRAC_PI_2)?;
        let ((sin_phi, cos_phi), (sin_theta, cos_theta)) = (phi.sin_cos(), theta.sin_cos());
        Some((sin_theta, cos_theta * sin_phi, -cos_theta * cos_phi))
    }

    /// Returns the native longitude and latitude at a point of the plane, radians.
    fn native(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        match self {
            Self::Slant { .. } | Self::Azp(_) | Self::Szp(_) | Self::Air(_) | Self::Cube(_) => None,
            Self::Bon { middle, apex } => {
                let down = apex - y;
                let radius = x.hypot(down).copysign(*middle);
                let angle = if radius == 0.0 { 0.0 } else { (x / radius).atan2(down / radius) };
                let theta = within(apex - radius, FRAC_PI_2)?;
                let cos = theta.cos();
                Some((if cos < ROUNDING { 0.0 } else { angle * radius / cos }, theta))
            }
            Self::Pco => polyconic_native(x, y),
            Self::Hpx(hpx) => hpx.native(x, y),
            Self::Xph => facets::butterfly_native(x, y),
            Self::Car => Some((x, y)),
            Self::Cea { lambda } => Some((x, within(y * lambda, 1.0)?.asin())),
            Self::Mer => Some((x, 2.0 * y.exp().atan() - FRAC_PI_2)),
            Self::Cyp { mu, lambda } => {
                let slope = y / (mu + lambda);
                let sine = within(slope * mu / slope.hypot(1.0), 1.0)?;
                Some((x / lambda, slope.atan() + sine.asin()))
            }
            Self::Sfl => {
                let cos = within(y, FRAC_PI_2)?.cos();
                Some((if cos == 0.0 { 0.0 } else { x / cos }, y))
            }
            Self::Par => {
                let sine = within(y / PI, 0.5)?;
                let width = 1.0 - 4.0 * sine * sine;
                Some((if width == 0.0 { 0.0 } else { x / width }, 3.0 * sine.asin()))
            }
            Self::Mol => {
                let sine = within(y / SQRT_2, 1.0)?;
                let cos = (1.0 - sine * sine).sqrt();
                let angle = sine.asin();
                let theta = within((2.0 * angle + 2.0 * sine * cos) / PI, 1.0)?.asin();
                let phi = if cos == 0.0 { 0.0 } else { PI * x / (2.0 * SQRT_2 * cos) };
                Some((phi, theta))
            }
            Self::Ait => {
                let square = 1.0 - x * x / 16.0 - y * y / 4.0;
                if square < 0.5 - ROUNDING {
                    return None;
                }
                let z = square.sqrt();
                let phi = 2.0 * (z * x / 2.0).atan2(2.0 * square - 1.0);
                Some((phi, within(y * z, 1.0)?.asin()))
            }
            Self::Conic(conic) => conic.native(x, y),
        }
    }

    /// Returns the point of the plane for a direction with these components.
    pub(super) fn to_plane(&self, along: f64, a: f64, b: f64) -> Option<(f64, f64)> {
        match self {
            Self::Slant { xi, eta } => {
                let fall = 1.0 - along;
                return Some((a + xi * fall, b + eta * fall));
            }
            Self::Azp(azp) => return azp.to_plane(along, a, b),
            Self::Szp(szp) => return szp.to_plane(along, a, b),
            Self::Air(air) => return air.to_plane(along, a, b),
            Self::Cube(cube) => return cube.to_plane(along, a, b),
            _ => {}
        }
        let phi = if a == 0.0 && b == 0.0 { 0.0 } else { a.atan2(-b) };
        let theta = along.atan2(a.hypot(b));
        let (x, y) = self.plane(phi, theta)?;
        (x.is_finite() && y.is_finite()).then_some((x, y))
    }

    /// Returns the point of the plane for a native longitude and latitude, radians.
    fn plane(&self, phi: f64, theta: f64) -> Option<(f64, f64)> {
        let (sin, cos) = theta.sin_cos();
        Some(match self {
            Self::Slant { .. } | Self::Azp(_) | Self::Szp(_) | Self::Air(_) | Self::Cube(_) => {
                return None;
            }
            Self::Bon { apex, .. } => {
                let radius = apex - theta;
                let angle = if radius == 0.0 { 0.0 } else { phi * cos / radius };
                (radius * angle.sin(), apex - radius * angle.cos())
            }
            Self::Pco if sin == 0.0 => (phi, 0.0),
            Self::Pco => {
                let (sin_half, cos_half) = (0.5 * phi * sin).sin_cos();
                let height = 2.0 * cos / sin * sin_half;
                (height * cos_half, theta + height * sin_half)
            }
            Self::Hpx(hpx) => hpx.plane(phi, theta),
            Self::Xph => facets::butterfly_plane(phi, theta),
            Self::Car => (phi, theta),
            Self::Cea { lambda } => (phi, sin / lambda),
            Self::Mer => (phi, (FRAC_PI_4 + 0.5 * theta).tan().ln()),
            Self::Cyp { mu, lambda } => (lambda * phi, (mu + lambda) * sin / (mu + cos)),
            Self::Sfl => (phi * cos, theta),
            Self::Par => {
                let sine = (theta / 3.0).sin();
                (phi * (1.0 - 4.0 * sine * sine), PI * sine)
            }
            Self::Mol => {
                let angle = mollweide_angle(sin);
                (2.0 * SQRT_2 / PI * phi * angle.cos(), SQRT_2 * angle.sin())
            }
            Self::Ait => {
                let (sin_half, cos_half) = (0.5 * phi).sin_cos();
                let scale = (2.0 / (1.0 + cos * cos_half)).sqrt();
                (2.0 * scale * cos * sin_half, scale * sin)
            }
            Self::Conic(conic) => return conic.plane(phi, theta),
        })
    }
}

/// Returns the value, limited to an end that it exceeds by rounding only; `None` beyond that.
fn within(value: f64, end: f64) -> Option<f64> {
    (value.abs() <= end + ROUNDING).then(|| value.clamp(-end, end))
}

/// Solves 2 g + sin 2g = pi sin(theta).
fn mollweide_angle(sin_theta: f64) -> f64 {
    let target = PI * sin_theta;
    if sin_theta.abs() >= 1.0 {
        return FRAC_PI_2.copysign(sin_theta);
    }
    let (mut low, mut high) = (-PI, PI);
    let mut twice = target;
    for _ in 0..100 {
        let excess = twice + twice.sin() - target;
        if excess > 0.0 {
            high = twice
        } else {
            low = twice
        }
        let step = excess / (1.0 + twice.cos());
        let mut next = twice - step;
        if !(next > low && next < high) {
            next = 0.5 * (low + high);
        }
        let moved = (next - twice).abs();
        twice = next;
        if moved <= 1e-16 {
            break;
        }
    }
    0.5 * twice
}

/// Returns the native longitude and latitude at a point of the polyconic projection. The latitude is between the equator
/// and y: Newton's iteration inside a shrinking bracket solves sin(theta) (x^2 + (y - theta)^2) = 2 cos(theta) (y - theta).
fn polyconic_native(x: f64, y: f64) -> Option<(f64, f64)> {
    if !(x.is_finite() && y.is_finite()) {
        return None;
    }
    let height = y.abs();
    let (mut low, mut high) = (0.0, height.min(FRAC_PI_2));
    let mut theta = (2.0 * height / (2.0 + x * x)).min(high);
    for _ in 0..200 {
        let (sin, cos) = theta.sin_cos();
        let left = height - theta;
        let square = x * x + left * left;
        let excess = sin * square - 2.0 * cos * left;
        if excess > 0.0 {
            high = theta;
        } else {
            low = theta;
        }
        let mut next = theta - excess / (cos * (square + 2.0));
        if !(next >= low && next <= high) {
            next = 0.5 * (low + high);
        }
        let step = (next - theta).abs();
        theta = next;
        if step <= 1e-16 * theta {
            break;
        }
    }
    let (sin, cos) = theta.sin_cos();
    let angle = (x * sin).atan2(cos - (height - theta) * sin);
    let phi = if sin == 0.0 { x } else { angle / sin };
    Some((phi, theta.copysign(y)))
}

/// Inverts the slant orthographic projection: a quadratic equation for the sine of the latitude.
fn slant_to_sphere(x: f64, y: f64, xi: f64, eta: f64) -> Option<(f64, f64, f64)> {
    let (dx, dy) = (x - xi, y - eta);
    let a = xi * xi + eta * eta + 1.0;
    let b = xi * dx + eta * dy;
    let c = dx * dx + dy * dy - 1.0;
    let along = larger_sine(a, b, c)?;
    let fall = 1.0 - along;
    Some((along, x - xi * fall, y - eta * fall))
}

impl Conic {
    /// Makes a conic of its standard parallels `middle` -+ `half`, degrees; `None` when they make no cone.
    pub(super) fn new(kind: ConicKind, middle_deg: f64, half_deg: f64) -> Option<Self> {
        let (middle, half) = (middle_deg.to_radians(), half_deg.to_radians());
        let (first, second) = (middle - half, middle + half);
        let mut conic = Self { kind, middle, constant: middle.sin(), a: 0.0, b: 0.0, apex: 0.0 };
        match kind {
            ConicKind::Perspective => {
                conic.a = half.cos();
                conic.b = 1.0 / middle.tan();
            }
            ConicKind::EqualArea => {
                conic.a = first.sin() + second.sin();
                conic.b = 1.0 + first.sin() * second.sin();
                conic.constant = 0.5 * conic.a;
            }
            ConicKind::Equidistant if half == 0.0 => conic.a = 1.0 / middle.tan(),
            ConicKind::Equidistant => {
                conic.constant *= half.sin() / half;
                conic.a = half / (half.tan() * middle.tan());
            }
            ConicKind::Orthomorphic => {
                let tangent = |theta: f64| (FRAC_PI_4 - 0.5 * theta).tan();
                if half != 0.0 {
                    conic.constant =
                        (second.cos() / first.cos()).ln() / (tangent(second) / tangent(first)).ln();
                }
                conic.a = first.cos() / (conic.constant * tangent(first).powf(conic.constant));
            }
        }
        conic.apex = conic.radius(middle)?;
        let usable = conic.constant != 0.0 && conic.constant.is_finite() && conic.apex.is_finite();
        usable.then_some(conic)
    }

    /// Returns the distance from the apex at a native latitude.
    fn radius(&self, theta: f64) -> Option<f64> {
        let radius = match self.kind {
            ConicKind::Perspective => self.a * (self.b - (theta - self.middle).tan()),
            ConicKind::EqualArea => {
                let square = self.b - self.a * theta.sin();
                if square < 0.0 {
                    return None;
                }
                2.0 / self.a * square.sqrt()
            }
            ConicKind::Equidistant => self.middle - theta + self.a,
            ConicKind::Orthomorphic => self.a * (FRAC_PI_4 - 0.5 * theta).tan().powf(self.constant),
        };
        Some(radius)
    }

    fn native(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        let down = self.apex - y;
        let radius = x.hypot(down).copysign(self.middle);
        let phi = if radius == 0.0 { 0.0 } else { (x / radius).atan2(down / radius) };
        let theta = match self.kind {
            ConicKind::Perspective => self.middle + (self.b - radius / self.a).atan(),
            ConicKind::EqualArea => {
                let half = 0.5 * radius * self.a;
                within((self.b - half * half) / self.a, 1.0)?.asin()
            }
            ConicKind::Equidistant => self.middle + self.a - radius,
            ConicKind::Orthomorphic => {
                FRAC_PI_2 - 2.0 * (radius / self.a).powf(1.0 / self.constant).atan()
            }
        };
        theta.is_finite().then_some((phi / self.constant, theta))
    }

    fn plane(&self, phi: f64, theta: f64) -> Option<(f64, f64)> {
        let radius = self.radius(theta)?;
        let (sin, cos) = (self.constant * phi).sin_cos();
        Some((radius * sin, self.apex - radius * cos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_come_back() {
        let conic = |kind, middle, half| Flat::Conic(Conic::new(kind, middle, half).unwrap());
        let all = [
            Flat::Slant { xi: 0.3, eta: -0.2 },
            Flat::Car,
            Flat::Cea { lambda: 0.7 },
            Flat::Mer,
            Flat::Cyp { mu: 1.5, lambda: 0.8 },
            Flat::Sfl,
            Flat::Par,
            Flat::Mol,
            Flat::Ait,
            conic(ConicKind::Perspective, 45.0, 20.0),
            conic(ConicKind::EqualArea, -35.0, 20.0),
            conic(ConicKind::Equidistant, 45.0, 0.0),
            conic(ConicKind::Equidistant, 45.0, 25.0),
            conic(ConicKind::Orthomorphic, -40.0, 10.0),
            Flat::bonne(35.0),
            Flat::bonne(-60.0),
            Flat::Azp(Azp::new(2.0, 30.0).unwrap()),
            Flat::Azp(Azp::new(-0.3, -20.0).unwrap()),
            Flat::Szp(Szp::new(2.0, 30.0, 60.0).unwrap()),
            Flat::Air(Air::new(45.0).unwrap()),
            Flat::Air(Air::new(90.0).unwrap()),
            Flat::Cube(Cube::Tangential),
            Flat::Cube(Cube::EqualArea),
            Flat::Pco,
            Flat::Hpx(Hpx::new(4.0, 3.0).unwrap()),
            Flat::Hpx(Hpx::new(6.0, 4.0).unwrap()),
            Flat::Xph,
        ];
        for flat in &all {
            let north = matches!(flat, Flat::Slant { .. } | Flat::Azp(_) | Flat::Szp(_));
            for (phi, theta) in [(0.0f64, 0.1f64), (1.2, 0.9), (-2.8, 0.4), (0.3, -0.7), (2.0, 1.2)]
            {
                let theta = if north { theta.abs().max(0.8) } else { theta };
                let (along, a, b) =
                    (theta.sin(), theta.cos() * phi.sin(), -theta.cos() * phi.cos());
                let (x, y) = flat.to_plane(along, a, b).unwrap();
                let (back, back_a, back_b) = flat.to_sphere(x, y).unwrap();
                let off = (back - along).abs().max((back_a - a).abs()).max((back_b - b).abs());
                assert!(off < 1e-13, "{} {phi} {theta}: {off}", flat.code());
            }
        }
    }

    #[test]
    fn beyond_the_edge_there_is_nothing() {
        assert_eq!(Flat::Car.to_sphere(3.2, 0.0), None);
        assert_eq!(Flat::Car.to_sphere(0.0, 1.6), None);
        assert_eq!(Flat::Ait.to_sphere(2.9, 0.0), None);
        assert_eq!(Flat::Mol.to_sphere(0.0, 1.5), None);
        assert_eq!(Flat::Cea { lambda: 1.0 }.to_sphere(0.0, 1.1), None);
        assert_eq!(Flat::Sfl.to_sphere(3.0, 1.0), None);
        assert_eq!(Flat::Car.to_sphere(f64::NAN, 0.0), None);
        assert!(Conic::new(ConicKind::Equidistant, 0.0, 0.0).is_none());
        assert_eq!(Flat::Cube(Cube::Tangential).to_sphere(1.0, 1.0), None);
        assert_eq!(Flat::Pco.to_sphere(3.2, 0.0), None);
        assert_eq!(Flat::Pco.to_sphere(0.0, 1.6), None);
        assert_eq!(Flat::Hpx(Hpx::new(4.0, 3.0).unwrap()).to_sphere(0.0, 1.2), None);
        assert_eq!(Flat::Hpx(Hpx::new(4.0, 3.0).unwrap()).to_sphere(0.7, 1.6), None);
        assert_eq!(Flat::bonne(30.0).to_sphere(0.0, 1.7), None);
        // Between two lobes, and beyond the opposite pole.
        assert_eq!(Flat::Xph.to_sphere(0.0, 2.0), None);
        assert_eq!(Flat::Xph.to_sphere(2.3, 2.3), None);
        // The far side of the sphere is hidden by the near one.
        assert_eq!(Flat::Azp(Azp::new(3.0, 0.0).unwrap()).to_plane(-0.9, 0.4, 0.17), None);
        assert!(Azp::new(-1.0, 0.0).is_none() && Szp::new(1.0, 0.0, -90.0).is_none());
        assert!(Air::new(-90.0).is_none() && Hpx::new(4.5, 3.0).is_none());
    }
}
