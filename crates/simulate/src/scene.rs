//! The sources on a detector: the same stars in every frame of a field, with the brightness of the frame.

use crate::camera::Wcs;
use crate::conditions::{Conditions, limit_mag};
use crate::plan::Frame;
use crate::profile::{Profile, Shape};
use crate::random::Random;

/// The nature of a source.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Nature {
    Star,
    /// An ellipse, rotated by `angle` (radians, from x to y).
    Galaxy {
        profile: &'static Profile,
        axis_ratio: f64,
        angle: f64,
    },
    /// A hot pixel that the extraction mistakes for an object.
    Noise,
}

/// One source on a detector.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    /// Position in pixels, from 1.
    pub x: f64,
    pub y: f64,
    /// Position on the sky, degrees.
    pub position: [f64; 2],
    /// Total magnitude.
    pub mag: f64,
    /// Total flux in ADU.
    pub flux: f64,
    pub nature: Nature,
    /// True when a brighter source is within two core radii.
    pub deblended: bool,
    /// Distance to the nearest source, pixels.
    pub isolation: f64,
}

impl Source {
    /// Returns the profile of its light.
    pub fn profile(&self, conditions: &Conditions) -> &'static Profile {
        match self.nature {
            Nature::Galaxy { profile, .. } => profile,
            Nature::Star | Nature::Noise => conditions.profile,
        }
    }

    /// Returns the ratio of minor to major axis.
    pub fn axis_ratio(&self) -> f64 {
        match self.nature {
            Nature::Galaxy { axis_ratio, .. } => axis_ratio,
            Nature::Star | Nature::Noise => 1.0,
        }
    }
}

/// Excess of the faintest source's magnitude over the limit.
const FAINTEST: f64 = 0.25;
/// Slope of the number counts: log10 N grows by this per magnitude.
const COUNTS_SLOPE: f64 = 0.3;

/// Returns the catalogued sources of a detector, by y, in the order of extraction.
pub(crate) fn sources(frame: &Frame, conditions: &Conditions) -> Vec<Source> {
    let reference = Wcs::of_camera(conditions.camera, frame.pointing, frame.size, 1, -60.0);
    let mut sources: Vec<Source> = Vec::with_capacity(frame.sources);
    for n in 0..frame.sources {
        let mut random = Random::of(&[frame.field, conditions.camera as u64, n as u64]);
        // One in 25 is a companion of the one before.
        let companion = (random.uniform() < 0.04).then_some(()).and(sources.last());
        let at = match companion {
            Some(other) => {
                let [u, v] = reference.pixel(other.position);
                let (distance, angle) =
                    (random.between(2.5, 4.5), random.between(0.0, std::f64::consts::TAU));
                inside([u + distance * angle.cos(), v + distance * angle.sin()], frame.size)
            }
            None => {
                let side = frame.size as f64;
                inside([random.between(0.0, side), random.between(0.0, side)], frame.size)
            }
        };
        let position = reference.sky(at[0], at[1]);
        sources.push(source(frame, conditions, position, &mut random));
    }
    sources.sort_by(|a, b| a.y.total_cmp(&b.y).then(a.x.total_cmp(&b.x)));
    mark_neighbours(&mut sources, 2.0 * conditions.core_radius);
    sources
}

/// Returns stars too faint or too close for a catalogue, which make a crowded field look crowded.
pub(crate) fn unresolved(frame: &Frame, conditions: &Conditions) -> Vec<Source> {
    let count = if frame.programme.crowded { 3 * frame.sources } else { 0 };
    let reference = Wcs::of_camera(conditions.camera, frame.pointing, frame.size, 1, -60.0);
    let stars = (0..count).map(|n| {
        let mut random = Random::of(&[frame.field, 77, conditions.camera as u64, n as u64]);
        let side = frame.size as f64;
        let (u, v) = (random.between(0.5, side + 0.5), random.between(0.5, side + 0.5));
        let mag = limit_mag(frame.filter) + random.between(0.3, 3.0);
        place(conditions, reference.sky(u, v), mag, Nature::Star)
    });
    stars.collect()
}

/// Moves sources away from the edge, where other bands or exposures would lose them.
fn inside([u, v]: [f64; 2], size: usize) -> [f64; 2] {
    let margin = (size as f64 / 5.0).min(12.0);
    let span = size as f64 - 2.0 * margin;
    [u, v].map(|w| margin + 0.5 + (w - margin).rem_euclid(span))
}

fn source(
    frame: &Frame,
    conditions: &Conditions,
    position: [f64; 2],
    random: &mut Random,
) -> Source {
    let kind = random.uniform();
    let brightness = -(1.0 - random.uniform()).ln() / (COUNTS_SLOPE * std::f64::consts::LN_10);
    let colour = 0.35 * random.normal();
    let (wide, flat, turn) = (random.below(3), random.between(0.25, 1.0), random.uniform());
    // PV2_3 depends on the wavelength: -44 in Z, -60 in K.
    let blueness = (frame.filter.pv2_3 + 60.0) / 16.0;
    let above = FAINTEST + (brightness + colour * blueness).max(0.0);
    let mag = limit_mag(frame.filter) - above.min(11.5);
    let nature = if kind < 0.015 {
        Nature::Noise
    } else if kind < if frame.programme.crowded { 0.02 } else { 0.14 } {
        let widths = [1.3, 1.8, 2.6];
        let fwhm = 100.0 * conditions.profile.fwhm * widths[wide];
        let microsteps = (conditions.core_radius / 2.5).round() as u32;
        let shape = Shape { fwhm_centipixels: fwhm.round() as u32, microsteps };
        let profile = Profile::of(shape);
        Nature::Galaxy { profile, axis_ratio: flat, angle: turn * std::f64::consts::PI }
    } else {
        Nature::Star
    };
    place(conditions, position, mag, nature)
}

fn place(conditions: &Conditions, position: [f64; 2], mag: f64, nature: Nature) -> Source {
    let [x, y] = conditions.wcs.pixel(position);
    let correction = conditions.wcs.flux_correction(x, y);
    let flux = 10.0_f64.powf(0.4 * (conditions.magnitude_of_one_adu() - mag)) / correction;
    let flux = match nature {
        Nature::Noise => flux.min(14.0 * conditions.noise),
        Nature::Star | Nature::Galaxy { .. } => flux,
    };
    let (deblended, isolation) = (false, f64::INFINITY);
    Source { x, y, position, mag, flux, nature, deblended, isolation }
}

/// Finds each source's nearest neighbour, within 40 pixels; sources are sorted by y.
fn mark_neighbours(sources: &mut [Source], blend: f64) {
    const FAR: f64 = 40.0;
    let places: Vec<(f64, f64, f64)> = sources.iter().map(|s| (s.x, s.y, s.flux)).collect();
    for (i, source) in sources.iter_mut().enumerate() {
        let (x, y, flux) = places[i];
        let mut nearest = FAR * FAR;
        let before = places[..i].iter().rev().take_while(|p| y - p.1 < FAR);
        let after = places[i + 1..].iter().take_while(|p| p.1 - y < FAR);
        for other in before.chain(after) {
            let square = (other.0 - x).powi(2) + (other.1 - y).powi(2);
            nearest = nearest.min(square);
            source.deblended |= square < blend * blend && other.2 > flux;
        }
        source.isolation = nearest.sqrt();
    }
}
