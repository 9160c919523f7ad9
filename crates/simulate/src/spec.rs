//! The specification of a simulated night.

use crate::Night;
use crate::programme::{PROGRAMMES, Programme};

/// The kinds of frames of a night.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// All kinds: library frames, single exposures, interleaved frames, stacks with their confidence maps. The recorded
    /// components of a frame are in the delivery too.
    Night,
    /// Stacks with catalogues alone, for measuring: their components are not delivered.
    Stacks,
}

/// The specification of a simulation. [`NightSpec::default`] is a night that is small, complete and suitable for
/// viewing.
#[derive(Clone, Debug, PartialEq)]
pub struct NightSpec {
    /// UT date; with `version` the name of the delivery.
    pub night: Night,
    /// Version of the pipeline.
    pub version: u32,
    /// Number of image files, without catalogues.
    pub frames: usize,
    /// The kinds of the frames.
    pub mix: Mix,
    /// Rows per detector of a catalogue; three times as many in the galactic plane, except in [`Mix::Stacks`].
    pub detections: usize,
    /// Side of a detector in pixels (2048 in reality); interleaved frames have twice as many.
    pub size: usize,
    /// Seed of all random numbers.
    pub seed: u64,
    /// The observing programmes, in turn.
    pub programmes: Vec<&'static Programme>,
    /// True when damaged files are put among the sound ones.
    pub faults: bool,
    /// True when the summary lists every planted source.
    pub truth: bool,
    /// Worker threads; 0 for as many as there are processors.
    pub threads: usize,
}

impl Default for NightSpec {
    fn default() -> Self {
        Self {
            night: Night::new(2007, 10, 11).expect("a date of the calendar"),
            version: 1,
            frames: 16,
            mix: Mix::Night,
            detections: 250,
            size: 512,
            seed: 1,
            programmes: PROGRAMMES.iter().collect(),
            faults: false,
            truth: false,
            threads: 0,
        }
    }
}

/// A night that cannot be simulated as requested.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecFault {
    /// Detectors too small for a star, or too large for memory.
    #[error("detectors of {0} pixels are not simulated (32 to 8192)")]
    Size(usize),
    /// A night without frames.
    #[error("a night needs at least one frame and one programme")]
    Empty,
    /// More exposures than run numbers of five digits.
    #[error("{0} frames do not fit into one night's run numbers")]
    TooMany(usize),
    /// More sources than a detector holds.
    #[error(
        "{0} detections do not fit on a detector of {1} pixels: at most one in 8 pixels of its area"
    )]
    Crowded(usize, usize),
    /// A number of detectors that the camera does not have.
    #[error("{0} detectors are not simulated (1 to {1} for this pipeline)")]
    Detectors(usize, usize),
}

impl NightSpec {
    /// Returns the name of the delivery: `20071011_v1`.
    pub fn delivery(&self) -> String {
        format!("{}_v{}", self.night, self.version)
    }

    /// Checks that it can be simulated.
    ///
    /// # Errors
    /// The first reason against it.
    pub fn check(&self) -> Result<(), SpecFault> {
        if !(32..=8192).contains(&self.size) {
            return Err(SpecFault::Size(self.size));
        }
        if self.frames == 0 || self.programmes.is_empty() {
            return Err(SpecFault::Empty);
        }
        if self.detections > self.size * self.size / 8 {
            return Err(SpecFault::Crowded(self.detections, self.size));
        }
        // An interleaved frame uses up four run numbers.
        if self.frames > 20_000 { Err(SpecFault::TooMany(self.frames)) } else { Ok(()) }
    }
}
