//! Keywords of a staged detector, as the crate `sky` reads them.

use crate::reading::reading;
use model::detector::{CardValue, Detector};
use model::profile::SurveyProfile;
use sky::{Keywords, Wcs, WcsFault};
use std::collections::BTreeMap;

/// The keywords of the image's coordinate system.
pub(super) struct Cards<'a>(pub(super) &'a BTreeMap<String, CardValue>);

impl Keywords for Cards<'_> {
    fn text(&self, keyword: &str) -> Option<String> {
        match self.0.get(keyword)? {
            CardValue::Text(text) => Some(text.clone()),
            CardValue::Number(_) => None,
        }
    }

    fn number(&self, keyword: &str) -> Option<f64> {
        match self.0.get(keyword)? {
            CardValue::Number(number) => Some(*number),
            CardValue::Text(_) => None,
        }
    }

    fn each_keyword(&self, each: &mut dyn FnMut(&str)) -> bool {
        self.0.keys().for_each(|keyword| each(keyword));
        true
    }
}

/// Returns the world coordinate system of a detector; positions are in the ICRS, as the profile reads frames.
///
/// # Errors
/// The reason why there is none.
pub(super) fn wcs(detector: &Detector, profile: &SurveyProfile) -> Result<Wcs, WcsFault> {
    Wcs::read_image(&Cards(&detector.wcs), reading(profile))
}
