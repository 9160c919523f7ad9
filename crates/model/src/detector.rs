//! One detector as staged by the metadata task: the input of the work on its catalogue.

use crate::{ExtNum, MultiframeId, ProgrammeId};
use std::collections::BTreeMap;

/// A value of a header keyword.
#[derive(Clone, Debug, PartialEq)]
pub enum CardValue {
    /// Text, without trailing blanks.
    Text(String),
    /// A number.
    Number(f64),
}

/// One detector of one multiframe, from the staged rows of `multiframe`, `multiframe_detector`, `astrometry` and
/// `programme_frame`. Unknown values are `None`; no value is computed yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Detector {
    /// The image.
    pub multiframe_id: MultiframeId,
    /// The detector.
    pub ext_num: ExtNum,
    /// HDU of its table in the catalogue file, primary = 0, when metadata were read with the catalogue at hand.
    pub catalogue_hdu: Option<u16>,
    /// Names of the image's HDU: values by keyword, of the keywords that the profile pairs by.
    pub names: BTreeMap<String, String>,
    /// Number of rows of that table, according to its header.
    pub catalogue_rows: Option<u64>,
    /// Programme that owns its detections; `None` while PROJECT belongs to none.
    pub programme_id: Option<ProgrammeId>,
    /// Filter, numbered per survey.
    pub filter_id: Option<i16>,
    /// Start of the exposure, modified Julian date.
    pub mjd: Option<f64>,
    /// Length of the image's axes in pixels.
    pub size_px: Option<[i64; 2]>,
    /// Photometric facts from which magnitudes are computed.
    pub photometry: Photometry,
    /// World coordinate system, as keywords of an image header (CTYPE1, CRPIX1, CD1_1, PV2_3 ...); empty when
    /// there is none.
    pub wcs: BTreeMap<String, CardValue>,
}

/// Photometric facts of a detector, as given in its headers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Photometry {
    /// Zero point in magnitudes; the survey profile defines its reference.
    pub zero_point: Option<f64>,
    /// Magnitudes per airmass.
    pub extinction: Option<f64>,
    /// Seconds of one exposure.
    pub exposure_s: Option<f64>,
    /// Airmass of the whole exposure.
    pub airmass: Option<f64>,
    /// Airmass at its start.
    pub airmass_start: Option<f64>,
    /// Airmass at its end.
    pub airmass_end: Option<f64>,
    /// Aperture corrections in magnitudes of apertures 1 to 7; positive values make sources brighter.
    pub aperture_corrections: [Option<f64>; 7],
    /// Percentage correction in magnitudes; a positive value makes sources brighter.
    pub percentage_correction: Option<f64>,
}
