//! Keywords of a staged detector, as the sky room reads them.

use model::detector::{CardValue, Detector};
use sky::{Keywords, Wcs, WcsFault};
use std::collections::BTreeMap;

struct Cards<'a>(&'a BTreeMap<String, CardValue>);

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
}

/// The world coordinate system of a detector.
///
/// # Errors
/// Why there is none.
pub(super) fn wcs(detector: &Detector) -> Result<Wcs, WcsFault> {
    Wcs::from_image(&Cards(&detector.wcs))
}
