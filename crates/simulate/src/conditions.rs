//! Sky, seeing and sensitivity of one detector in one frame.

use crate::camera::Wcs;
use crate::plan::{EXPOSURE_S, Frame, FrameKind};
use crate::profile::{Profile, Shape};
use crate::programme::Filter;
use crate::random::Random;

/// Electrons per ADU.
pub(crate) const GAIN: f64 = 4.5;
/// Readout noise in electrons.
pub(crate) const READ_NOISE: f64 = 25.0;
/// Magnitudes per airmass, all bands.
pub(crate) const EXTINCTION: f64 = 0.05;
/// ADU above which pixels are full.
pub(crate) const FULL_ADU: f64 = 40_000.0;
/// Aperture radii in units of the core radius.
pub(crate) const APERTURES: [f64; 13] = [
    0.5,
    std::f64::consts::FRAC_1_SQRT_2,
    1.0,
    std::f64::consts::SQRT_2,
    2.0,
    2.0 * std::f64::consts::SQRT_2,
    4.0,
    5.0,
    6.0,
    7.0,
    8.0,
    10.0,
    12.0,
];
/// Size of a pixel of the camera in arcseconds, rounded.
const PIXEL_ARCSEC: f64 = 0.4;
/// Latitude of UKIRT.
const LATITUDE_DEG: f64 = 19.8225;

/// One detector of one frame.
#[derive(Clone, Debug)]
pub(crate) struct Conditions {
    /// Camera, 1 to 4.
    pub camera: usize,
    pub wcs: Wcs,
    pub profile: &'static Profile,
    pub airmass: f64,
    pub hour_angle_deg: f64,
    /// Zero point of this detector: mag of 1 ADU/s above the atmosphere's mean.
    pub zero_point: f64,
    /// Zero point of the night.
    pub night_zero_point: f64,
    /// ADU per pixel.
    pub sky: f64,
    /// ADU of a pixel's noise on empty sky.
    pub noise: f64,
    /// Radius of aperture 3, pixels.
    pub core_radius: f64,
    /// Mean ellipticity of stars.
    pub ellipticity: f64,
    /// Slope of the sky along x and y, relative.
    pub slope: [f64; 2],
    /// Key of the random numbers of this detector.
    pub key: u64,
}

impl Conditions {
    /// Returns the conditions on detector `camera` (1-4) of a frame; `seed` is the night's.
    pub fn of(frame: &Frame, camera: usize, seed: u64) -> Self {
        let mut of_frame = Random::of(&[seed, 1, u64::from(frame.run)]);
        let seeing_step = of_frame.below(8) as f64;
        let hour_angle_deg = of_frame.between(-35.0, 35.0);
        let clouds = of_frame.between(0.0, 0.03);
        let mut random = Random::of(&[seed, 2, u64::from(frame.run), camera as u64]);
        let steps = frame.microsteps as f64;
        let seeing_px = (0.72 + 0.05 * seeing_step) / PIXEL_ARCSEC * steps;
        let shape = Shape {
            fwhm_centipixels: (100.0 * seeing_px).round() as u32,
            microsteps: frame.microsteps as u32,
        };
        let sky = frame.filter.sky_adu_s * EXPOSURE_S * random.between(0.97, 1.03);
        // Poisson and read noise of one exposure, averaged over the stack; resampling adds a little.
        let exposures = if frame.kind.has_catalogue() { frame.jitters as f64 } else { 1.0 };
        let noise = ((sky / GAIN + (READ_NOISE / GAIN).powi(2)) / exposures).sqrt() * 1.06;
        let interleaved = 2.5 * (steps * steps).log10();
        let pointing = jittered(frame);
        Self {
            camera,
            wcs: Wcs::of_camera(camera, pointing, frame.size, frame.microsteps, frame.filter.pv2_3),
            profile: Profile::of(shape),
            airmass: airmass(hour_angle_deg, pointing[1]),
            hour_angle_deg,
            zero_point: as_in_header(
                frame.filter.zero_point - clouds + interleaved + random.between(-0.015, 0.015),
            ),
            night_zero_point: frame.filter.zero_point,
            sky,
            noise,
            core_radius: 1.0 / PIXEL_ARCSEC * steps,
            ellipticity: random.between(0.05, 0.09),
            slope: [random.between(-0.004, 0.004), random.between(-0.004, 0.004)],
            key: Random::of(&[seed, 3, u64::from(frame.run), camera as u64, frame.kind as u64])
                .bits(),
        }
    }

    /// Returns the magnitude of a star of 1 ADU in all, without flux correction.
    pub fn magnitude_of_one_adu(&self) -> f64 {
        self.zero_point - (self.airmass - 1.0) * EXTINCTION + 2.5 * EXPOSURE_S.log10()
    }

    /// Returns APCOR1 to APCOR7: magnitudes by which the apertures miss light of a star.
    pub fn aperture_corrections(&self) -> [f64; 7] {
        let part = |k: usize| self.profile.within(APERTURES[k] * self.core_radius);
        std::array::from_fn(|k| -2.5 * part(k).log10())
    }

    /// Returns the level of the isophote, ADU above the sky.
    pub fn threshold(&self) -> f64 {
        1.5 * self.noise
    }

    /// Returns the level above the sky at which pixels are full.
    pub fn headroom(&self) -> f64 {
        FULL_ADU - self.sky
    }
}

/// Returns the magnitude of a star whose core flux is five times its noise on one exposure through a filter, in usual
/// seeing.
pub(crate) fn limit_mag(filter: &Filter) -> f64 {
    let sky = filter.sky_adu_s * EXPOSURE_S;
    let noise = (sky / GAIN + (READ_NOISE / GAIN).powi(2)).sqrt();
    let core = 5.0 * std::f64::consts::PI.sqrt() / PIXEL_ARCSEC * noise;
    let total = core / 0.77;
    filter.zero_point - 0.4 * EXTINCTION - 2.5 * (total / EXPOSURE_S).log10()
}

/// Returns the centre of the camera in a frame: the exposures of a pattern are 6.4 arcsec apart.
fn jittered(frame: &Frame) -> [f64; 2] {
    let [ra, dec] = frame.pointing;
    if frame.kind != FrameKind::Raw {
        return [ra, dec];
    }
    let [east, north] = jitter_arcsec(frame.jitter);
    let ra = ra + east / 3600.0 / dec.to_radians().cos();
    [ra.rem_euclid(360.0), dec + north / 3600.0]
}

/// Returns the offset of the n-th exposure of a pattern, arcsec to the east and north.
pub(crate) fn jitter_arcsec(n: usize) -> [f64; 2] {
    const PATTERN: [[f64; 2]; 5] = [[0.0, 0.0], [6.4, 0.0], [0.0, -6.4], [-6.4, 0.0], [0.0, 6.4]];
    PATTERN[n.saturating_sub(1) % PATTERN.len()]
}

/// Rounds to three decimals, the precision of the header.
fn as_in_header(value: f64) -> f64 {
    (1e3 * value).round() / 1e3
}

/// Returns the secant of the zenith distance at UKIRT, at most 3.
fn airmass(hour_angle_deg: f64, dec_deg: f64) -> f64 {
    let (lat, dec) = (LATITUDE_DEG.to_radians(), dec_deg.to_radians());
    let sin_altitude =
        lat.sin() * dec.sin() + lat.cos() * dec.cos() * hour_angle_deg.to_radians().cos();
    as_in_header(1.0 / sin_altitude.max(1.0 / 3.0))
}
