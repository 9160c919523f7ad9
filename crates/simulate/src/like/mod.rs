//! Small deliveries as six other pipelines write them: their file names, HDUs, headers and columns, over a common scene.
//!
//! Takes a [`LikeSpec`], writes a directory, returns the planted sources as [`TrueImage`]s. The same specification
//! produces the same bytes.
//!
//! Start at [`like`]. A pipeline is a file here, which holds its camera, the text of its headers ([`layout::header`]) and the
//! columns of its catalogues ([`layout::push_table`]); stars, astrometry and pixels are in `scene`.
//! The values are plausible, and the files are no copies of real ones.

mod banzai;
mod decam;
mod layout;
mod ldac;
mod photutils;
mod scene;
mod sextractor;
mod ztf;

use crate::Night;
use crate::delivery::SimulateError;
use crate::spec::SpecFault;
use fits::write::WriteFault;
use scene::{Camera, Exposure};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A pipeline whose deliveries are simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pipeline {
    /// BANZAI of Las Cumbres Observatory: image, catalogue, mask and errors in one file.
    Banzai,
    /// SExtractor on the four detectors of 90Prime: FITS_LDAC.
    Ldac,
    /// SExtractor on one detector of Las Cumbres Observatory: FITS_1.0.
    Sextractor,
    /// The Community Pipeline of DECam: images, masks and weights, without catalogues.
    Decam,
    /// The Zwicky Transient Facility: an image, its mask and two catalogues.
    Ztf,
    /// A script that calls photutils and writes with astropy.
    Photutils,
}

impl Pipeline {
    /// The names, in the order of the variants.
    pub const NAMES: [&str; 6] = ["banzai", "ldac", "sextractor", "decam", "ztf", "photutils"];
    const ALL: [Self; 6] =
        [Self::Banzai, Self::Ldac, Self::Sextractor, Self::Decam, Self::Ztf, Self::Photutils];

    /// Returns the pipeline of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().position(|known| *known == name).map(|n| Self::ALL[n])
    }

    /// Returns the name, that of the survey profile too.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// Returns the largest number of detectors of an image, which is the default.
    pub fn max_detectors(self) -> usize {
        self.camera().detectors
    }

    /// Returns the default night.
    pub fn night(self) -> Night {
        let [year, month, day] = self.camera().night;
        Night::new(year as i32, month, day).expect("a date of the calendar")
    }

    fn camera(self) -> &'static Camera {
        match self {
            Self::Banzai => &banzai::CAMERA,
            Self::Ldac => &ldac::CAMERA,
            Self::Sextractor => &sextractor::CAMERA,
            Self::Decam => &decam::CAMERA,
            Self::Ztf => &ztf::CAMERA,
            Self::Photutils => &photutils::CAMERA,
        }
    }

    fn files(self, exposure: &Exposure) -> Result<Vec<NamedFile>, WriteFault> {
        match self {
            Self::Banzai => banzai::files(exposure),
            Self::Ldac => ldac::files(exposure),
            Self::Sextractor => sextractor::files(exposure),
            Self::Decam => decam::files(exposure),
            Self::Ztf => ztf::files(exposure),
            Self::Photutils => photutils::files(exposure),
        }
    }
}

/// The specification of a delivery.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LikeSpec {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// Observing night of the first exposure.
    pub night: Night,
    /// Number of exposures.
    pub frames: usize,
    /// Detectors of an exposure, at most [`Pipeline::max_detectors`].
    pub detectors: usize,
    /// Sources on a detector.
    pub detections: usize,
    /// Side of a detector in pixels.
    pub size: usize,
    /// Seed of all random numbers.
    pub seed: u64,
}

impl LikeSpec {
    /// Makes the default specification of a pipeline.
    pub fn of(pipeline: Pipeline) -> Self {
        let night = pipeline.night();
        let detectors = pipeline.max_detectors();
        Self { pipeline, night, frames: 2, detectors, detections: 40, size: 128, seed: 1 }
    }

    /// Returns the name of the delivery.
    pub fn delivery(&self) -> String {
        layout::filled(self.pipeline.camera().delivery, &|_| self.night.to_string())
    }

    /// Checks that it can be simulated.
    ///
    /// # Errors
    /// The first reason against it.
    pub fn check(&self) -> Result<(), SpecFault> {
        let max = self.pipeline.max_detectors();
        match self {
            Self { size, .. } if !(32..=8192).contains(size) => Err(SpecFault::Size(*size)),
            Self { detections, size, .. } if *detections > size * size / 8 => {
                Err(SpecFault::Crowded(*detections, *size))
            }
            Self { frames: 0, .. } => Err(SpecFault::Empty),
            // A night of exposures a few minutes apart.
            Self { frames, .. } if *frames > 100 => Err(SpecFault::TooMany(*frames)),
            Self { detectors, .. } if !(1..=max).contains(detectors) => {
                Err(SpecFault::Detectors(*detectors, max))
            }
            _ => Ok(()),
        }
    }
}

/// The use of a file that belongs to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FileUse {
    Image,
    Catalogue,
    Companion,
}

/// A file as bytes.
struct NamedFile {
    name: String,
    content: FileUse,
    bytes: Vec<u8>,
}

/// An image of a simulated delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrueImage {
    /// Its name.
    pub file: String,
    /// Names of its catalogues in other files.
    pub catalogues: Vec<String>,
    /// Names of its mask and weight files.
    pub companions: Vec<String>,
    /// Its detectors.
    pub detectors: Vec<LikeDetector>,
}

/// One detector of a [`TrueImage`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LikeDetector {
    /// HDU of the image, primary = 0.
    pub hdu: usize,
    /// Magnitude of a source of one count per second.
    pub zero_mag: f64,
    /// The sources, from below.
    pub sources: Vec<LikeSource>,
}

/// A planted source, before the scatter of its measurement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LikeSource {
    /// Pixel from the left; the centre of the first is 1.
    pub x: f64,
    /// Pixel from below; the centre of the first is 1.
    pub y: f64,
    /// Right ascension in degrees.
    pub ra_deg: f64,
    /// Declination in degrees.
    pub dec_deg: f64,
    /// Magnitude.
    pub mag: f64,
}

/// A simulated delivery.
#[derive(Clone, Debug)]
pub struct LikeSummary {
    /// Its directory.
    pub delivery: PathBuf,
    /// Its images.
    pub images: Vec<TrueImage>,
    /// Files written.
    pub files: usize,
    /// Bytes written.
    pub bytes: u64,
}

/// Writes a delivery into a new directory below `out`.
///
/// # Errors
/// An impossible specification, a delivery that exists already, or a failure of the disk.
pub fn like(out: &Path, spec: &LikeSpec) -> Result<LikeSummary, SimulateError> {
    spec.check()?;
    let delivery = out.join(spec.delivery());
    if delivery.exists() {
        return Err(SimulateError::Exists(delivery));
    }
    let fault = |path: &Path, source| SimulateError::Io { path: path.to_owned(), source };
    files::create_dir(&delivery).map_err(|error| fault(&delivery, error))?;
    let mut summary = LikeSummary { delivery, images: Vec::new(), files: 0, bytes: 0 };
    for number in 0..spec.frames {
        let exposure = Exposure::new(spec, spec.pipeline.camera(), number);
        let written = spec.pipeline.files(&exposure).map_err(|source| {
            let file = format!("exposure {number} of {}", spec.pipeline.name());
            SimulateError::Format { file, source }
        })?;
        let named = |content| {
            let files = written.iter().filter(move |file| file.content == content);
            files.map(|file| file.name.clone()).collect::<Vec<_>>()
        };
        summary.images.push(TrueImage {
            file: named(FileUse::Image).concat(),
            catalogues: named(FileUse::Catalogue),
            companions: named(FileUse::Companion),
            detectors: exposure.truth(),
        });
        for file in &written {
            let path = summary.delivery.join(&file.name);
            std::fs::write(&path, &file.bytes).map_err(|error| fault(&path, error))?;
            summary.files += 1;
            summary.bytes += file.bytes.len() as u64;
        }
    }
    files::sync_disk(&summary.delivery).map_err(|error| fault(&summary.delivery, error))?;
    Ok(summary)
}

/// Writes images as JSON. Never into a delivery.
///
/// # Errors
/// Fails when the file cannot be published.
pub fn write_like_truth(path: &Path, images: &[TrueImage]) -> std::io::Result<()> {
    let json = serde_json::to_vec(images)?;
    files::publish_bytes(path, &json).map(drop).map_err(std::io::Error::other)
}
