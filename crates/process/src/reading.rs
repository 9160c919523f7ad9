//! Rules of a survey for reading reference frames.

use model::profile::{Fk5Rule, SurveyProfile};
use sky::Reading;

/// Returns the survey's rules for reading reference frames.
pub(crate) fn reading(profile: &SurveyProfile) -> Reading {
    Reading { rotates_fk5_2000: profile.astrometry.fk5_2000 == Fk5Rule::Rotate, any_frame: false }
}
