//! The distribution of light: the profile of a star or galaxy over pixels, and its curve of growth.

use std::collections::HashMap;
use std::f64::consts::PI;
use std::sync::{Mutex, OnceLock};

/// Steps of the tables per pixel.
const STEPS: usize = 8;
/// End of the tables, in pixels of the camera (times two when interleaved).
const REACH: usize = 64;

/// A circular profile of total flux 1 per pixel: a Moffat function of exponent 3, averaged over a pixel to second
/// order (a pixel's mean is the value at its centre plus 1/24 of the Laplacian).
#[derive(Debug)]
pub(crate) struct Profile {
    /// Full width at half maximum before the averaging, pixels.
    pub fwhm: f64,
    /// 1 / alpha^2 of the Moffat function.
    squeeze: f32,
    /// Height that makes the flux 1.
    height: f32,
    /// Weight of the Laplacian.
    blur: f32,
    /// Flux in a pixel whose centre is k / STEPS pixels away.
    density: Vec<f32>,
    /// Flux within a soft-edged circle of k / STEPS pixels.
    within: Vec<f32>,
}

/// The parameters of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    /// Full width at half maximum in hundredths of a pixel.
    pub fwhm_centipixels: u32,
    /// Microsteps per axis.
    pub microsteps: u32,
}

impl Profile {
    /// Returns the profile of a shape, made once.
    pub fn of(shape: Shape) -> &'static Self {
        static MADE: OnceLock<Mutex<HashMap<Shape, &'static Profile>>> = OnceLock::new();
        let mut made = MADE
            .get_or_init(Default::default)
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // A night has some dozens of shapes; they are kept until the process ends.
        made.entry(shape).or_insert_with(|| Box::leak(Box::new(Self::moffat(shape))))
    }

    fn moffat(shape: Shape) -> Self {
        let fwhm = f64::from(shape.fwhm_centipixels) / 100.0;
        let alpha = fwhm / (2.0 * (2.0_f64.cbrt() - 1.0).sqrt());
        let squeeze = 1.0 / (alpha * alpha);
        let mut profile = Self {
            fwhm,
            squeeze: squeeze as f32,
            height: 1.0,
            blur: (0.5 * squeeze) as f32,
            density: Vec::new(),
            within: Vec::new(),
        };
        let count = REACH * shape.microsteps as usize * STEPS + 2;
        let radius = |k: usize| k as f64 / STEPS as f64;
        let raw: Vec<f64> =
            (0..count).map(|k| f64::from(profile.density(radius(k).powi(2) as f32))).collect();
        let mut sums = vec![0.0; count];
        for k in 1..count {
            let middle = 0.5 * (raw[k] + raw[k - 1]);
            let ring = PI * (radius(k).powi(2) - radius(k - 1).powi(2));
            sums[k] = sums[k - 1] + middle * ring;
        }
        let total = sums[count - 1];
        // An aperture counts pixels at its edge partially: the mean of circles from half a pixel less to half a pixel
        // more.
        const HALF: usize = STEPS / 2;
        let soft = (0..count).map(|k| {
            let circles = (k.saturating_sub(HALF)..=(k + HALF).min(count - 1)).map(|j| sums[j]);
            circles.sum::<f64>() / (2 * HALF + 1) as f64
        });
        profile.within = soft.map(|v| (v / total) as f32).collect();
        profile.density = raw.iter().map(|v| (v / total) as f32).collect();
        profile.height = (1.0 / total) as f32;
        profile
    }

    /// Returns the flux in the pixel at the square of a distance.
    #[inline(always)]
    pub fn density(&self, square: f32) -> f32 {
        let s = square * self.squeeze;
        let inverse = 1.0 / (1.0 + s);
        let squared = inverse * inverse;
        self.height * squared * inverse * (1.0 + self.blur * squared * (3.0 * s - 1.0))
    }

    /// Returns the flux within a circle with a soft edge, as in catalogues.
    pub fn within(&self, r: f64) -> f64 {
        f64::from(interpolate(&self.within, r as f32))
    }

    /// Returns the flux within a circle when the profile is squeezed to an ellipse of the same area.
    pub fn within_ellipse(&self, r: f64, axis_ratio: f64) -> f64 {
        if axis_ratio > 0.99 {
            return self.within(r);
        }
        const ANGLES: usize = 8;
        let mut sum = 0.0;
        for k in 0..ANGLES {
            let (sin, cos) = ((k as f64 + 0.5) * PI / (2 * ANGLES) as f64).sin_cos();
            // Elliptical radius per unit of length in this direction.
            let stretch = axis_ratio * cos * cos + sin * sin / axis_ratio;
            sum += self.within(r * stretch.sqrt()) / stretch;
        }
        sum / ANGLES as f64
    }

    /// Returns the distance at which the flux per pixel, for a total of 1, falls to a value.
    pub fn radius_at(&self, density: f64) -> f64 {
        let below = self.density.partition_point(|v| f64::from(*v) > density);
        below as f64 / STEPS as f64
    }

    /// Returns the distance within which a fraction of the flux lies.
    pub fn radius_of(&self, part: f64) -> f64 {
        let below = self.within.partition_point(|v| f64::from(*v) < part);
        below as f64 / STEPS as f64
    }

    /// Computes the flux within each radius (ascending) when no pixel may hold more than `cap`, for a total of `flux`.
    pub fn within_capped(&self, flux: f64, cap: f64, radii: &[f64], sums: &mut [f64]) {
        let mut sum = 0.0;
        let mut k = 0;
        for (radius, out) in radii.iter().zip(sums) {
            let end = ((radius * STEPS as f64) as usize).min(self.density.len() - 1);
            while k < end {
                k += 1;
                let ring = PI * ((k * k - (k - 1) * (k - 1)) as f64) / (STEPS * STEPS) as f64;
                let middle = 0.5 * f64::from(self.density[k] + self.density[k - 1]);
                sum += ring * (middle * flux).min(cap);
            }
            *out = sum;
        }
    }
}

/// Interpolates between the entries of a curve of growth; all of the flux beyond its end.
fn interpolate(table: &[f32], r: f32) -> f32 {
    let at = r * STEPS as f32;
    let k = at as usize;
    match table.get(k..k + 2) {
        Some(pair) => pair[0] + (pair[1] - pair[0]) * (at - k as f32),
        None => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_add_up_to_the_curve_of_growth() {
        for (fwhm, centre) in [(180, (0.3, -0.2)), (380, (0.0, 0.5)), (500, (0.1, 0.1))] {
            let shape = Shape { fwhm_centipixels: fwhm, microsteps: 1 };
            let profile = Profile::of(shape);
            let mut total = 0.0;
            let mut inner = 0.0;
            for x in -60..=60 {
                for y in -60..=60 {
                    let r = (f64::from(x) - centre.0).hypot(f64::from(y) - centre.1);
                    let flux = f64::from(profile.density((r * r) as f32));
                    total += flux;
                    // Soft edge, as in catalogues.
                    inner += flux * (10.0 - r + 0.5).clamp(0.0, 1.0);
                }
            }
            assert!((total - 1.0).abs() < 0.004, "{shape:?}: {total}");
            let wanted = profile.within(10.0);
            assert!((inner - wanted).abs() < 0.004, "{shape:?}: {inner} {wanted}");
        }
    }

    #[test]
    fn an_ellipse_keeps_its_flux() {
        let profile = Profile::of(Shape { fwhm_centipixels: 400, microsteps: 1 });
        assert!((profile.within_ellipse(60.0, 0.4) - profile.within(60.0)).abs() < 0.01);
        assert!(profile.within_ellipse(4.0, 0.4) < profile.within(4.0));
        assert_eq!(profile.within_ellipse(4.0, 1.0), profile.within(4.0));
    }
}
