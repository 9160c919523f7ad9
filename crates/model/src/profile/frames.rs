//! Frame types: the kind of a file, by its name and header.

use super::naming::Stem;
use super::pattern::Glob;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Type of frames that fit no rule.
pub const OTHER_FRAME: &str = "other";

/// The use of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FrameKind {
    /// Shows the sky and belongs to a programme.
    #[default]
    Science,
    /// Weights of another frame; belongs to its programme.
    Confidence,
    /// Serves to calibrate others; may belong to no programme.
    Calibration,
}

/// A rule: frames that fit all its conditions have this type.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrameType {
    /// Name in `multiframe.frame_type`.
    pub name: String,
    /// Glob of the whole chain of suffixes, e.g. `_sf_st` or `*_conf`; empty for no suffix, any chain when left out.
    #[serde(default)]
    pub suffixes: Option<Glob>,
    /// Globs; one of them fits the root of the name. Any root when left out.
    #[serde(default)]
    pub roots: Vec<Glob>,
    /// One of these fits, for each keyword. Searched in the primary header, then in that of the first image.
    #[serde(default)]
    pub keywords: BTreeMap<String, Vec<Glob>>,
    /// The use of the frame.
    #[serde(default)]
    pub kind: FrameKind,
    /// True when the pipeline makes a catalogue of it. A frame without one is a finding (`catalogue_absent`) unless files of its
    /// delivery are still awaited. Default: false.
    #[serde(default)]
    pub catalogue: bool,
}

impl FrameType {
    fn fits(&self, stem: &Stem<'_>, keyword: &dyn Fn(&str) -> Option<String>) -> bool {
        self.suffixes.as_ref().is_none_or(|glob| glob.fits(stem.suffixes))
            && (self.roots.is_empty() || self.roots.iter().any(|g| g.fits(stem.root)))
            && self.keywords.iter().all(|(name, globs)| {
                keyword(name).is_some_and(|text| globs.iter().any(|g| g.fits(&text)))
            })
    }
}

impl super::SurveyProfile {
    /// Returns the first matching rule for frame types; `None` means [`OTHER_FRAME`].
    pub fn frame_type(
        &self,
        stem: &Stem<'_>,
        keyword: &dyn Fn(&str) -> Option<String>,
    ) -> Option<&FrameType> {
        self.frame_types.iter().find(|rule| rule.fits(stem, keyword))
    }
}
