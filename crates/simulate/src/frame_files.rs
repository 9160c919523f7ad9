//! The files of one frame, as bytes: the image, and its catalogue.

use crate::bad_pixels::BadPixels;
use crate::conditions::Conditions;
use crate::detector_header::{catalogue_header, image_header};
use crate::plan::{Frame, FrameKind};
use crate::primary_header::primary_header;
use crate::scene::{self, Source};
use crate::spec::NightSpec;
use crate::truth::{TrueDetector, TrueFrame, TrueSource};
use crate::{catalogue, pixels};
use fits::write::{Checks, RicePixels, Rows, WriteFault, bin_table_rows, primary, rice_image};

/// A frame as bytes.
pub(crate) struct MadeFrame {
    pub image: Vec<u8>,
    pub catalogue: Option<Vec<u8>>,
}

/// Makes a frame and its catalogue.
pub(crate) fn make_frame(
    spec: &NightSpec,
    frame: &Frame,
    checks: Checks,
) -> Result<(MadeFrame, TrueFrame), WriteFault> {
    let mut truth = TrueFrame::of(frame);
    let first = Conditions::of(frame, 1, spec.seed);
    let header = primary_header(spec, frame, &first);
    let mut image = Vec::new();
    primary(&mut image, &header, checks)?;
    let mut tables = Vec::new();
    if frame.kind.has_catalogue() {
        primary(&mut tables, &header, checks)?;
    }
    for camera in 1..=4 {
        let conditions = Conditions::of(frame, camera, spec.seed);
        let bad = BadPixels::of_camera(camera, frame.side());
        let (sources, faint) = match frame.kind {
            kind if kind.is_library() || kind == FrameKind::Confidence => (Vec::new(), Vec::new()),
            _ => (scene::sources(frame, &conditions), scene::unresolved(frame, &conditions)),
        };
        let detector = Detector { spec, frame, conditions: &conditions, bad: &bad, checks };
        detector.push_image(&mut image, &sources, &faint)?;
        if frame.kind.has_catalogue() {
            detector.push_catalogue(&mut tables, &sources)?;
        }
        if spec.truth {
            truth.detectors.push(TrueDetector {
                hdu: camera as u16,
                camera,
                sky: conditions.sky,
                noise: conditions.noise,
                fwhm_px: conditions.profile.fwhm,
                sources: sources.iter().map(TrueSource::of).collect(),
            });
        }
    }
    let catalogue = frame.kind.has_catalogue().then_some(tables);
    Ok((MadeFrame { image, catalogue }, truth))
}

/// One detector of a frame.
struct Detector<'a> {
    spec: &'a NightSpec,
    frame: &'a Frame,
    conditions: &'a Conditions,
    bad: &'a BadPixels,
    checks: Checks,
}

impl Detector<'_> {
    fn push_image(
        &self,
        out: &mut Vec<u8>,
        sources: &[Source],
        faint: &[Source],
    ) -> Result<(), WriteFault> {
        let side = self.frame.side();
        let stored = pixels::paint(self.frame, self.conditions, self.bad, sources, faint);
        let (bscale, bzero) = (stored.bscale, stored.bzero);
        let header = image_header(self.spec, self.frame, self.conditions, bscale, bzero);
        let small: Vec<i16>;
        let pixels = match self.frame.kind {
            FrameKind::Confidence | FrameKind::FlatConfidence => {
                small = stored.pixels.iter().map(|v| *v as i16).collect();
                RicePixels::I16(&small)
            }
            _ => RicePixels::I32(&stored.pixels),
        };
        rice_image(out, side, side, pixels, &header, self.checks)
    }

    fn push_catalogue(&self, out: &mut Vec<u8>, sources: &[Source]) -> Result<(), WriteFault> {
        let rows = catalogue::rows(self.conditions, self.bad, sources, self.frame.side());
        let header = catalogue_header(self.spec, self.frame, self.conditions);
        let table = Rows { row_bytes: 4 * catalogue::COLUMNS, bytes: &rows, heap: &[] };
        bin_table_rows(out, catalogue::fields(), &table, &header, self.checks)
    }
}
