//! Magnitudes of catalogues.

use serde::Deserialize;

/// Rules for calibrating magnitudes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PhotometryRules {
    /// The reference of the zero point.
    pub zero_point: ZeroPointFor,
    /// The treatment of a detector without a zero point.
    pub missing_zero_point: MissingZeroPoint,
    /// A zero point of at most this value means that there is none.
    pub no_zero_point_up_to: f64,
    /// Magnitudes per airmass when the header gives none.
    pub default_extinction: f64,
    /// Shortest accepted exposure in seconds; shorter ones count as this.
    pub least_exposure_s: f64,
    /// Correction for the change of pixel area across the field.
    pub distortion: Distortion,
}

impl Default for PhotometryRules {
    fn default() -> Self {
        Self {
            zero_point: ZeroPointFor::default(),
            missing_zero_point: MissingZeroPoint::default(),
            no_zero_point_up_to: 0.0,
            default_extinction: 0.05,
            least_exposure_s: 1.0,
            distortion: Distortion::default(),
        }
    }
}

/// The reference of a zero point: the source whose magnitude it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ZeroPointFor {
    /// One count per second at airmass 1 (CASU's MAGZPT): exposure and extinction are applied.
    #[default]
    Second,
    /// One count in the frame itself (ESO's PHOTZP): exposure and extinction are included.
    Frame,
}

/// The treatment of the catalogue of a detector without a zero point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MissingZeroPoint {
    /// The catalogue waits for metadata with one.
    #[default]
    Park,
    /// The catalogue is refused.
    Refuse,
    /// Its magnitudes are NULL, and a finding is recorded.
    Null,
}

/// Correction for the change of pixel area across the field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distortion {
    /// None: the pipeline has applied it, or there is nothing to correct.
    #[default]
    None,
    /// From the projection of the image (ZPN, TAN).
    Wcs,
}
