//! Settings of previews.

use serde::Deserialize;

/// Settings for the previews of a survey.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PreviewProfile {
    /// Pixels of the detector per pixel of the preview, along each axis; averaged. 1 to 64.
    pub scale: u32,
    /// JPEG quality, 1 to 100.
    pub quality: u8,
    /// One of [`PreviewProfile::STRETCHES`].
    pub stretch: String,
    /// Longest side of the mosaic of all detectors, in pixels. 16 to 8192.
    pub mosaic_size: u32,
}

impl PreviewProfile {
    /// Scales from values to grey: `asinh` (linear around the sky, logarithmic for stars), `zscale` (linear, with white
    /// set by the IRAF algorithm), `linear` (white three times as far above the sky as black below).
    pub const STRETCHES: [&str; 3] = ["asinh", "zscale", "linear"];

    pub(super) fn check(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut fault = |key: &str, message: String| faults.push((key.to_owned(), message));
        if !(1..=64).contains(&self.scale) {
            fault("preview.scale", format!("{} is not 1 to 64", self.scale));
        }
        if !(1..=100).contains(&self.quality) {
            fault("preview.quality", format!("{} is not 1 to 100", self.quality));
        }
        if !Self::STRETCHES.contains(&self.stretch.as_str()) {
            let known = Self::STRETCHES.join(", ");
            fault("preview.stretch", format!("{:?} is none of {known}", self.stretch));
        }
        if !(16..=8192).contains(&self.mosaic_size) {
            fault("preview.mosaic_size", format!("{} is not 16 to 8192", self.mosaic_size));
        }
        faults
    }
}

impl Default for PreviewProfile {
    fn default() -> Self {
        Self { scale: 4, quality: 85, stretch: "asinh".to_owned(), mosaic_size: 1024 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::SurveyProfile;

    #[test]
    fn all_faults_are_reported() {
        let text = "name = \"x\"\nsurvey_id = 9\ntitle = \"X\"\nfallback = true\n\
            [naming]\ndelivery = \"{night}_v{version}\"\nextensions = [\".fit\"]\n\
            [preview]\nscale = 0\nquality = 101\nstretch = \"sqrt\"\nmosaic_size = 9000\n";
        let faults = SurveyProfile::parse(text).unwrap_err().to_string();
        for wanted in [
            "line 9: preview.scale: 0 is not 1 to 64",
            "line 10: preview.quality: 101 is not 1 to 100",
            "line 11: preview.stretch: \"sqrt\" is none of asinh, zscale, linear",
            "line 12: preview.mosaic_size: 9000 is not 16 to 8192",
        ] {
            assert!(faults.contains(wanted), "{faults}");
        }
        assert_eq!(PreviewProfile::default().check(), []);
    }
}
