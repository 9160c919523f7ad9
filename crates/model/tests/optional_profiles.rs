//! The profiles that a site gets only when they are named.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use model::profile::{SurveyProfile, optional, shipped};
use std::collections::BTreeSet;

#[test]
fn optional_profiles_are_sound_and_their_own() {
    let parsed = |(name, text): &(&str, &str)| {
        let profile =
            SurveyProfile::parse(text).unwrap_or_else(|faults| panic!("{name}:\n{faults}"));
        assert_eq!(profile.name.as_str(), *name);
        profile
    };
    let all: Vec<SurveyProfile> = shipped().iter().chain(optional()).map(parsed).collect();
    let surveys: BTreeSet<_> = all.iter().map(|profile| profile.survey_id).collect();
    assert_eq!(surveys.len(), all.len(), "two profiles have one survey_id");
    let programmes = || all.iter().flat_map(|profile| &profile.programmes);
    let ids: BTreeSet<_> = programmes().map(|programme| programme.id).collect();
    assert_eq!(ids.len(), programmes().count(), "two programmes have one id");
    assert_eq!(optional().len(), 6);
    for profile in &all[shipped().len()..] {
        assert!(!profile.fallback, "{}", profile.name);
        assert!((11..=16).contains(&i64::from(profile.survey_id)), "{}", profile.name);
    }
}
