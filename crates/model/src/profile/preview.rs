//! Settings of previews.

use serde::Deserialize;

/// How previews of a survey are made.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PreviewProfile {
    /// Pixels of the detector per pixel of the preview, along each axis; averaged.
    pub scale: u32,
    /// JPEG quality, 1 to 100.
    pub quality: u8,
    /// `asinh` or `zscale`.
    pub stretch: String,
    /// Longest side of the mosaic of all detectors, in pixels.
    pub mosaic_size: u32,
}

impl Default for PreviewProfile {
    fn default() -> Self {
        Self { scale: 4, quality: 85, stretch: "asinh".to_owned(), mosaic_size: 1024 }
    }
}
