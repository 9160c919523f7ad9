//! Quality bits and classes of catalogues.

use serde::Deserialize;

/// Quality bits determined by row data, and classes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QualityRules {
    /// Value of a_prof2 to a_prof8 that marks a deblended image (bit 4).
    pub deblended_profile: f32,
    /// Bit 6: a row with more err_bits than this has bad pixels in its default aperture.
    pub bad_pixels_above: f32,
    /// Bit 7: a row with less average_conf than this has low confidence in its default aperture.
    pub low_confidence_below: f32,
    /// Classes that mean "not yet classified": class and class_stat are NULL.
    pub unclassified: Vec<i16>,
}

impl Default for QualityRules {
    fn default() -> Self {
        Self {
            deblended_profile: -1.0,
            bad_pixels_above: 0.0,
            low_confidence_below: 80.0,
            unclassified: vec![100],
        }
    }
}
