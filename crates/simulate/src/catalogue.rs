//! The catalogue of a detector: simulated measurements of the extraction on its pixels.
//!
//! 80 columns of four bytes, with names and units of CASU's WFCAM layout. Fluxes follow the curve of growth of each
//! source's own profile; errors follow imcore's error model, and the measured values scatter by these errors.

use crate::bad_pixels::BadPixels;
use crate::conditions::{APERTURES, Conditions, GAIN};
use crate::random::Random;
use crate::scene::{Nature, Source};
use fits::write::Field;
use std::f64::consts::PI;
use std::sync::OnceLock;

/// Columns of a row.
pub(crate) const COLUMNS: usize = 80;

/// Local rms of the interpolated sky, in parts of the noise.
const SKY_RMS: f64 = 0.02;

/// Returns the columns, in their order.
pub(crate) fn fields() -> &'static [Field] {
    static FIELDS: OnceLock<Vec<Field>> = OnceLock::new();
    FIELDS.get_or_init(|| {
        names().into_iter().map(|(name, unit)| Field::new(&name, "1E").unit(unit)).collect()
    })
}

fn names() -> Vec<(String, &'static str)> {
    let mut names: Vec<(String, &'static str)> = Vec::with_capacity(COLUMNS);
    let mut push = |name: &str, unit| names.push((name.to_owned(), unit));
    push("Sequence_number", "Number");
    push("Isophotal_flux", "ADU");
    for name in ["X_coordinate", "X_coordinate_err", "Y_coordinate", "Y_coordinate_err"] {
        push(name, "Pixels");
    }
    push("Gaussian_sigma", "Pixels");
    push("Ellipticity", "Number");
    push("Position_angle", "Degrees");
    for level in 1..=8 {
        push(&format!("Areal_{level}_profile"), "Pixels");
    }
    push("Peak_height", "ADU");
    push("Peak_height_err", "ADU");
    for aperture in 1..=APERTURES.len() {
        push(&format!("Aper_flux_{aperture}"), "ADU");
        push(&format!("Aper_flux_{aperture}_err"), "ADU");
    }
    for name in ["Petr_radius", "Kron_radius", "Hall_radius"] {
        push(name, "Pixels");
    }
    for name in ["Petr_flux", "Kron_flux", "Hall_flux"] {
        push(name, "ADU");
        push(&format!("{name}_err"), "ADU");
    }
    push("Error_bit_flag", "Number");
    push("Sky_level", "ADU");
    push("Sky_rms", "ADU");
    push("Parent_or_child", "Number");
    push("RA", "RADIANS");
    push("DEC", "RADIANS");
    push("Classification", "Flag");
    push("Statistic", "N-sigma");
    for (name, unit) in [("PSF_flux", "ADU"), ("PSF_fit_X", "Pixels"), ("PSF_fit_Y", "Pixels")] {
        push(name, unit);
        push(&format!("{name}_err"), unit);
    }
    push("PSF_fit_chi2", "Number");
    push("PSF_fit_dof", "Number");
    for kind in ["1D", "2D"] {
        push(&format!("{kind}_Sersic_flux"), "ADU");
        push(&format!("{kind}_Sersic_scale_len"), "Pixels");
        for name in ["index", "fit_chi2", "fit_nu"] {
            push(&format!("{kind}_Sersic_{name}"), "Number");
        }
    }
    names
}

/// Returns all rows of a detector, big-endian.
pub(crate) fn rows(
    conditions: &Conditions,
    bad: &BadPixels,
    sources: &[Source],
    side: usize,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(sources.len() * COLUMNS * 4);
    for (n, source) in sources.iter().enumerate() {
        let measured = Measured::of(conditions, bad, source, n, side);
        bytes.extend(measured.row.iter().flat_map(|value| value.to_be_bytes()));
    }
    bytes
}

/// A row under construction.
struct Measured<'a> {
    conditions: &'a Conditions,
    source: &'a Source,
    random: Random,
    row: [f32; COLUMNS],
    /// Variance of a pixel of sky, with that of the interpolated level.
    variance: f64,
    saturated: bool,
}

impl<'a> Measured<'a> {
    fn of(
        conditions: &'a Conditions,
        bad: &BadPixels,
        source: &'a Source,
        n: usize,
        side: usize,
    ) -> Self {
        let rms = SKY_RMS * conditions.noise;
        let mut measured = Self {
            conditions,
            source,
            random: Random::of(&[conditions.key, 6, n as u64]),
            row: [0.0; COLUMNS],
            variance: conditions.noise.powi(2) + rms * rms,
            saturated: false,
        };
        measured.put(1, (n + 1) as f64);
        measured.shape();
        let place = [source.x, source.y].map(|v| (v - 0.5) / side as f64 - 0.5);
        let slope = conditions.slope[0] * place[0] + conditions.slope[1] * place[1];
        let peak = measured.peak();
        measured.areas(peak);
        measured.apertures();
        measured.radii();
        let bad_pixels = bad.within(source.x, source.y, conditions.core_radius);
        measured.put(55, bad_pixels as f64);
        measured.put(56, conditions.sky * (1.0 + slope));
        let local_rms = rms * measured.random.between(0.6, 1.5);
        measured.put(57, local_rms);
        measured.put(58, f64::from(u8::from(source.deblended)));
        measured.position(peak);
        measured.classify(bad_pixels);
        measured
    }

    /// Sets the value of a column, counted from 1.
    fn put(&mut self, column: usize, value: f64) {
        self.row[column - 1] = value as f32;
    }

    fn is_noise(&self) -> bool {
        matches!(self.source.nature, Nature::Noise)
    }

    fn shape(&mut self) {
        let fwhm = self.source.profile(self.conditions).fwhm;
        let (ellipticity, angle) = match self.source.nature {
            Nature::Galaxy { axis_ratio, angle, .. } => (1.0 - axis_ratio, angle.to_degrees()),
            Nature::Star => (self.conditions.ellipticity, self.random.between(0.0, 180.0)),
            Nature::Noise => (self.random.between(0.3, 0.8), self.random.between(0.0, 180.0)),
        };
        let scatter = 0.03 * self.random.normal();
        let narrow = if self.is_noise() { 0.3 } else { 1.0 / 2.355 * std::f64::consts::SQRT_2 };
        self.put(7, (fwhm * narrow).powi(2).max(0.5).sqrt());
        self.put(8, (ellipticity + scatter).clamp(0.0, 0.99));
        self.put(9, angle);
    }

    /// Returns the height of the brightest pixel above the sky.
    fn peak(&mut self) -> f64 {
        let conditions = self.conditions;
        let offset = [self.source.x, self.source.y].map(|v| v - v.round());
        let square = (offset[0].powi(2) + offset[1].powi(2)) as f32;
        let part = match self.source.nature {
            Nature::Noise => 1.0,
            Nature::Star | Nature::Galaxy { .. } => {
                f64::from(self.source.profile(conditions).density(square))
            }
        };
        let expected = self.source.flux * part;
        self.saturated = expected > 0.9 * conditions.headroom();
        let scatter = (expected / GAIN + self.variance).sqrt() * self.random.normal();
        let peak = (expected + scatter).clamp(0.5 * conditions.threshold(), conditions.headroom());
        self.put(18, peak);
        self.put(19, (peak / GAIN + self.variance).sqrt());
        peak
    }

    /// Computes the isophotal flux and the areas above eight levels.
    fn areas(&mut self, peak: f64) {
        let profile = self.source.profile(self.conditions);
        let threshold = self.conditions.threshold();
        let flux = self.source.flux;
        let outer = profile.radius_at(threshold / flux).max(0.8);
        self.put(2, flux * self.within(outer));
        for level in 0..8 {
            let height = threshold * f64::from(1 << level);
            let area = match (level, self.source.deblended) {
                (0, _) => (PI * outer * outer).round().max(1.0),
                (_, true) => -1.0,
                (7, false) => 0.0,
                (_, false) if height >= peak => 0.0,
                (_, false) if self.is_noise() => 1.0,
                (_, false) => (PI * profile.radius_at(height / flux).powi(2)).round(),
            };
            self.put(10 + level, area);
        }
    }

    /// Returns the fraction of the flux within a circle.
    fn within(&self, radius: f64) -> f64 {
        match self.source.nature {
            // A single pixel, with the soft edge of the aperture.
            Nature::Noise => (radius + 0.5).clamp(0.0, 1.0),
            Nature::Star | Nature::Galaxy { .. } => {
                let profile = self.source.profile(self.conditions);
                profile.within_ellipse(radius, self.source.axis_ratio())
            }
        }
    }

    /// Returns the error of a flux within a circle.
    fn flux_error(&self, flux: f64, radius: f64) -> f64 {
        ((flux / GAIN).max(0.0) + PI * radius * radius * self.variance).sqrt()
    }

    /// Computes fluxes in the thirteen apertures. Larger apertures contain the noise of smaller ones.
    fn apertures(&mut self) {
        let radii = APERTURES.map(|factor| factor * self.conditions.core_radius);
        let mut fluxes = radii.map(|radius| self.source.flux * self.within(radius));
        if self.saturated {
            let profile = self.source.profile(self.conditions);
            let full = self.conditions.headroom();
            profile.within_capped(self.source.flux, full, &radii, &mut fluxes);
        }
        let sky = self.conditions.noise.powi(2);
        let (mut noise, mut inner_flux, mut inner_area) = (0.0, 0.0, 0.0);
        for (k, (radius, flux)) in radii.into_iter().zip(fluxes).enumerate() {
            let area = PI * radius * radius;
            let ring = (flux - inner_flux) / GAIN + (area - inner_area) * sky;
            noise += ring.max(0.0).sqrt() * self.random.normal();
            (inner_flux, inner_area) = (flux, area);
            self.put(20 + 2 * k, flux + noise);
            self.put(21 + 2 * k, self.flux_error(flux + noise, radius));
        }
    }

    /// Computes Petrosian, Kron and half-light radii and the fluxes within them.
    fn radii(&mut self) {
        let profile = self.source.profile(self.conditions);
        let half = if self.is_noise() { 0.5 } else { profile.radius_of(0.5) };
        let [petrosian, kron] = [2.1 * half, 1.35 * half];
        let columns = [(46, 49, petrosian, 2.0), (47, 51, kron, 2.0), (48, 53, half, 1.0)];
        for (radius_column, flux_column, radius, factor) in columns {
            let aperture = (radius * factor).max(self.conditions.core_radius);
            let flux = self.source.flux * self.within(aperture);
            let scatter = self.flux_error(flux, aperture) * self.random.normal();
            self.put(radius_column, radius);
            self.put(flux_column, flux + scatter);
            self.put(flux_column + 1, self.flux_error(flux + scatter, aperture));
        }
    }

    fn position(&mut self, peak: f64) {
        let width = f64::from(self.row[6]).powi(2);
        let sky = 2.0 * self.conditions.noise.powi(2) / (PI * peak * peak);
        let error = (sky + width / (2.0 * PI * GAIN * peak) + 1e-4).sqrt();
        let mut measured = [0.0; 2];
        for (k, place) in [self.source.x, self.source.y].into_iter().enumerate() {
            let centre = if self.is_noise() { place.round() } else { place };
            let at = centre + error * self.random.normal();
            self.put(3 + 2 * k, at);
            self.put(4 + 2 * k, error);
            measured[k] = f64::from(self.row[2 + 2 * k]);
        }
        let [ra, dec] = self.conditions.wcs.sky(measured[0], measured[1]);
        self.put(59, ra.to_radians());
        self.put(60, dec.to_radians());
    }

    fn classify(&mut self, bad_pixels: usize) {
        let faint = self.row[23] < 12.0 * self.row[24];
        let (class, statistic) = match self.source.nature {
            _ if self.saturated => (-9.0, self.random.normal()),
            _ if bad_pixels > 2 => (-7.0, 2.0 + self.random.normal()),
            Nature::Star if faint && self.random.uniform() < 0.3 => (-2.0, -1.5),
            Nature::Star => (-1.0, self.random.normal()),
            Nature::Galaxy { .. } if faint && self.random.uniform() < 0.5 => (-3.0, 2.4),
            Nature::Galaxy { .. } => (1.0, self.random.between(3.0, 14.0)),
            Nature::Noise => (0.0, self.random.between(-9.0, -4.0)),
        };
        self.put(61, class);
        self.put(62, statistic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_are_where_the_format_has_them() {
        let names = names();
        assert_eq!(names.len(), COLUMNS);
        let cases = [
            (1, "Sequence_number"),
            (5, "Y_coordinate"),
            (17, "Areal_8_profile"),
            (18, "Peak_height"),
            (24, "Aper_flux_3"),
            (45, "Aper_flux_13_err"),
            (48, "Hall_radius"),
            (54, "Hall_flux_err"),
            (58, "Parent_or_child"),
            (61, "Classification"),
            (63, "PSF_flux"),
            (70, "PSF_fit_dof"),
            (71, "1D_Sersic_flux"),
            (80, "2D_Sersic_fit_nu"),
        ];
        for (column, name) in cases {
            assert_eq!(names[column - 1].0, name);
        }
    }
}
