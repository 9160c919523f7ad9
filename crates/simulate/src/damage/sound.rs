//! The sound files that are damaged: a small stack and its catalogue.

use super::{Entry, Made};
use crate::frame_files::{MadeFrame, make_frame};
use crate::plan::stack_of_run;
use crate::spec::NightSpec;
use fits::write::Checks;
use std::ffi::OsString;

/// Rows of each table: one bad row is 2.5 %.
pub(super) const ROWS: usize = 40;
/// Side of each detector, pixels.
pub(super) const SIDE: usize = 64;

/// A stack with its catalogue, four detectors each.
#[derive(Clone, Debug)]
pub struct Sound {
    /// Name without extension: `w20071011_90001_st`.
    pub root: String,
    /// The image, without CHECKSUM and DATASUM.
    pub image: Vec<u8>,
    /// The catalogue, without CHECKSUM and DATASUM.
    pub catalogue: Vec<u8>,
    run: u32,
    spec: NightSpec,
}

impl Sound {
    /// Returns the stack of a run; other runs have other pixels.
    pub fn of_run(spec: &NightSpec, run: u32) -> Self {
        let spec =
            NightSpec { size: SIDE, detections: ROWS, faults: false, truth: false, ..spec.clone() };
        let (root, made) = Self::make(&spec, run, Checks::Absent);
        let catalogue = made.catalogue.unwrap_or_default();
        Self { root, image: made.image, catalogue, run, spec }
    }

    fn make(spec: &NightSpec, run: u32, checks: Checks) -> (String, MadeFrame) {
        let frame = stack_of_run(spec, run);
        let (made, _) = make_frame(spec, &frame, checks)
            .expect("a stack of the simulator is FITS: its tests read it");
        let root = frame.file.strip_suffix(".fit").unwrap_or(&frame.file).to_owned();
        (root, made)
    }

    /// Returns the image with CHECKSUM and DATASUM.
    pub(super) fn summed_image(&self) -> Vec<u8> {
        Self::make(&self.spec, self.run, Checks::Written).1.image
    }

    /// Returns the catalogue with CHECKSUM and DATASUM.
    pub(super) fn summed_catalogue(&self) -> Vec<u8> {
        Self::make(&self.spec, self.run, Checks::Written).1.catalogue.unwrap_or_default()
    }

    /// Returns the name of the image.
    pub(super) fn image_name(&self) -> OsString {
        format!("{}.fit", self.root).into()
    }

    /// Returns only an image, with these bytes.
    pub(super) fn only_image(&self, bytes: Vec<u8>) -> Made {
        self.only(Entry::Bytes(bytes))
    }

    /// Returns only an entry under the image's name.
    pub(super) fn only(&self, entry: Entry) -> Made {
        Made { files: vec![(self.image_name(), entry)], culprit: self.image_name() }
    }

    /// Returns the sound image and a catalogue with these bytes.
    pub(super) fn with_catalogue(&self, bytes: Vec<u8>) -> Made {
        let culprit: OsString = format!("{}_cat.fits", self.root).into();
        let image = (self.image_name(), Entry::Bytes(self.image.clone()));
        Made { files: vec![image, (culprit.clone(), Entry::Bytes(bytes))], culprit }
    }

    /// Returns an image with these bytes and the sound catalogue.
    pub(super) fn with_image(&self, bytes: Vec<u8>) -> Made {
        let culprit = self.image_name();
        let catalogue: OsString = format!("{}_cat.fits", self.root).into();
        let catalogue = (catalogue, Entry::Bytes(self.catalogue.clone()));
        Made { files: vec![(culprit.clone(), Entry::Bytes(bytes)), catalogue], culprit }
    }

    /// Returns the sound image under another name.
    pub(super) fn named(&self, name: impl Into<OsString>) -> Made {
        let culprit = name.into();
        let entry = Entry::Bytes(self.image.clone());
        Made { files: vec![(culprit.clone(), entry)], culprit }
    }
}
