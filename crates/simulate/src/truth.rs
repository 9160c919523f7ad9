//! The true contents of a simulated night, for checking the results of the pipeline.

use crate::plan::{Frame, FrameKind};
use crate::scene::{Nature, Source};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// An image file of the night.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrueFrame {
    /// Its name.
    pub file: String,
    /// Its kind.
    pub kind: FrameKind,
    /// Name of its catalogue.
    pub catalogue: Option<String>,
    /// PROJECT card.
    pub project: String,
    /// Short name of the programme.
    pub programme: String,
    /// FILTER card; `blank` for darks.
    pub filter: String,
    /// Frames that it was formed from.
    pub components: Vec<String>,
    /// Sides of its detectors in pixels.
    pub side: usize,
    /// Rows in its catalogue, all detectors.
    pub rows: u64,
    /// Every source on every detector; empty unless requested ([`crate::NightSpec::truth`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detectors: Vec<TrueDetector>,
}

/// One detector of a [`TrueFrame`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrueDetector {
    /// HDU of the image and of the catalogue, primary = 0.
    pub hdu: u16,
    /// Camera, 1 to 4.
    pub camera: usize,
    /// Sky in physical units.
    pub sky: f64,
    /// Noise of a pixel of sky.
    pub noise: f64,
    /// Full width of a star at half maximum, pixels.
    pub fwhm_px: f64,
    /// The sources, in the order of the catalogue's rows.
    pub sources: Vec<TrueSource>,
}

/// A planted source.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrueSource {
    /// FITS pixels.
    pub x: f64,
    /// FITS pixels.
    pub y: f64,
    /// Right ascension in degrees.
    pub ra_deg: f64,
    /// Declination in degrees.
    pub dec_deg: f64,
    /// Total flux, ADU.
    pub flux: f64,
    /// Total magnitude (Vega).
    pub mag: f64,
    /// -1 star, 1 galaxy, 0 hot pixel.
    pub class: i8,
    /// Distance to the nearest source, pixels, at most 40.
    pub isolation_px: f64,
}

impl TrueFrame {
    pub(crate) fn of(frame: &Frame) -> Self {
        Self {
            file: frame.file.clone(),
            kind: frame.kind,
            catalogue: frame.catalogue(),
            project: frame.programme.project.to_owned(),
            programme: frame.programme.name.to_owned(),
            filter: match frame.kind {
                FrameKind::Dark => "blank".to_owned(),
                _ => frame.filter.name.to_owned(),
            },
            components: frame.components.clone(),
            side: frame.side(),
            rows: if frame.kind.has_catalogue() { 4 * frame.sources as u64 } else { 0 },
            detectors: Vec::new(),
        }
    }
}

impl TrueSource {
    pub(crate) fn of(source: &Source) -> Self {
        Self {
            x: source.x,
            y: source.y,
            ra_deg: source.position[0],
            dec_deg: source.position[1],
            flux: source.flux,
            mag: source.mag,
            class: match source.nature {
                Nature::Star => -1,
                Nature::Galaxy { .. } => 1,
                Nature::Noise => 0,
            },
            isolation_px: source.isolation,
        }
    }
}

/// Writes frames as JSON. Never into a delivery.
///
/// # Errors
/// Fails when the file cannot be published.
pub fn write_truth(path: &Path, frames: &[TrueFrame]) -> io::Result<()> {
    let json = serde_json::to_vec(frames)?;
    files::publish_bytes(path, &json).map(drop).map_err(io::Error::other)
}
