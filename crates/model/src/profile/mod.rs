//! Survey profiles: the names that one survey gives to its files, frames, filters, programmes and keywords.
//!
//! Takes the text of `surveys/<name>.toml`, returns a [`SurveyProfile`], or all faults of the text with key and
//! line ([`ProfileFaults`]).
//!
//! Start at [`SurveyProfile::parse`]; [`shipped`] and [`optional`] hold the profiles that are part of the program. A new survey is a
//! new file there and needs no Rust code; a new *kind* of rule begins as a field in one of these files.
//! This module does not read files, and knows FITS keywords only as text.

mod astrometry;
mod catalogue;
mod faults;
mod frames;
mod keywords;
mod limits;
mod naming;
mod pattern;
mod preview;
mod programmes;
mod time;

pub use astrometry::{AstrometryRules, Fk5Rule};
pub use catalogue::*;
pub use faults::{ProfileFault, ProfileFaults};
pub use frames::{FrameKind, FrameType, OTHER_FRAME};
pub use keywords::{ColumnRule, Expectation, Library, Missing, Mistyped, NewKeyword, Policy, Role};
pub use limits::{MissingExtensions, ProfileLimits, StaleChecksum};
pub use naming::{NamedDelivery, Naming, RunName, Stem};
pub use pattern::{Glob, NamePattern};
pub use preview::PreviewProfile;
pub use programmes::{Assignment, OfProject, Programme, ProjectRule, ProjectRules};
pub use time::{DayUnit, TimeRules};

use crate::{SurveyId, SurveyName};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// A header rule that selects the profile of a file: every keyword must fit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct MatchRule(pub BTreeMap<String, Glob>);

/// A passband of a survey.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// `filter_id`, unique within the survey.
    pub id: i16,
    /// Short name, e.g. `K`.
    pub name: String,
    /// Permitted values of the FILTER keyword for it, without surrounding blanks; the name itself always counts.
    #[serde(default)]
    pub spellings: Vec<String>,
    /// One sentence.
    #[serde(default)]
    pub description: String,
    /// Wavelength in micrometres below which less than half is transmitted.
    #[serde(default)]
    pub cut_on_um: Option<f32>,
    /// Wavelength in micrometres above which less than half is transmitted.
    #[serde(default)]
    pub cut_off_um: Option<f32>,
    /// Number to add to a Vega magnitude to obtain an AB magnitude.
    #[serde(default)]
    pub vega_to_ab_mag: Option<f32>,
    /// Extinction in the band over E(B-V).
    #[serde(default)]
    pub extinction_per_ebv: Option<f32>,
}

/// All that is particular to one survey.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SurveyProfile {
    /// Name, that of its file without `.toml`.
    pub name: SurveyName,
    /// `survey_id` of the archive.
    #[serde(deserialize_with = "from_one")]
    pub survey_id: SurveyId,
    /// One line for human readers.
    pub title: String,
    /// Some sentences.
    #[serde(default)]
    pub description: String,
    /// True when this profile takes the files that fit no other profile.
    #[serde(default)]
    pub fallback: bool,
    /// A file belongs to this profile when one of these fits the primary header of its image (else its own).
    #[serde(default, rename = "match")]
    pub matches: Vec<MatchRule>,
    /// File and directory names.
    pub naming: Naming,
    /// Rules for frame types; the first matching rule applies.
    #[serde(default, rename = "frame_type")]
    pub frame_types: Vec<FrameType>,
    /// Passbands.
    #[serde(default, rename = "filter")]
    pub filters: Vec<Filter>,
    /// Rules for reading PROJECT.
    #[serde(default)]
    pub project: ProjectRules,
    /// Programmes that are part of the survey.
    #[serde(default, rename = "programme")]
    pub programmes: Vec<Programme>,
    /// The treatment of unexpected headers.
    #[serde(default)]
    pub policy: Policy,
    /// Columns that are expected, by frames.
    #[serde(default, rename = "expect")]
    pub expectations: Vec<Expectation>,
    /// Columns by table and name that differ from the table definitions.
    #[serde(default, rename = "column")]
    pub columns: BTreeMap<String, BTreeMap<String, ColumnRule>>,
    /// Keywords that name other frames: library frames and components.
    #[serde(default, rename = "library")]
    pub libraries: Vec<Library>,
    /// Dates and times of observations.
    #[serde(default)]
    pub time: TimeRules,
    /// Reference frames.
    #[serde(default)]
    pub astrometry: AstrometryRules,
    /// Previews.
    #[serde(default)]
    pub preview: PreviewProfile,
    /// Catalogues.
    #[serde(default)]
    pub catalogue: CatalogueProfile,
    /// Limits on the number of faults.
    #[serde(default)]
    pub limits: ProfileLimits,
}

impl SurveyProfile {
    /// Reads a profile.
    ///
    /// # Errors
    /// All faults of the text at once.
    pub fn parse(text: &str) -> Result<Self, ProfileFaults> {
        faults::parse(text, Self::check)
    }

    /// Returns the number of keywords of the largest rule that fits a header; `keyword` returns a keyword's text.
    /// `None`: no rule fits.
    pub fn fit(&self, keyword: &dyn Fn(&str) -> Option<String>) -> Option<usize> {
        let fits = |rule: &&MatchRule| {
            rule.0.iter().all(|(name, glob)| keyword(name).is_some_and(|text| glob.fits(&text)))
        };
        self.matches.iter().filter(fits).map(|rule| rule.0.len()).max()
    }

    /// Returns the filter that a FILTER keyword means.
    pub fn filter(&self, spelling: &str) -> Option<&Filter> {
        let wanted = spelling.trim();
        self.filters
            .iter()
            .find(|f| f.name == wanted || f.spellings.iter().any(|s| s.trim() == wanted))
    }

    /// Returns the rule for a column, when the profile has one.
    pub fn column_rule(&self, table: &str, column: &str) -> Option<&ColumnRule> {
        self.columns.get(table)?.get(column)
    }

    /// Returns the faults that serde cannot find: (key path, fault).
    fn check(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut fault = |key: &str, message: String| faults.push((key.to_owned(), message));
        if self.name.is_empty() || !self.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        {
            fault("name", format!("{:?} is not a plain name", self.name));
        }
        if self.matches.is_empty() && !self.fallback {
            fault("match", "without a [[match]] no file belongs to the profile".to_owned());
        }
        for (n, rule) in self.matches.iter().enumerate().filter(|(_, rule)| rule.0.is_empty()) {
            fault(&format!("match.{n}"), format!("{:?} would match every file", rule.0));
        }
        for (n, double) in doubles(self.filters.iter().map(|f| f.id)) {
            fault(&format!("filter.{n}.id"), format!("filter {double} is defined twice"));
        }
        for (n, double) in doubles(self.programmes.iter().map(|p| p.id)) {
            fault(&format!("programme.{n}.id"), format!("programme {double} is defined twice"));
        }
        for (n, filter) in self.filters.iter().enumerate().filter(|(_, f)| f.id < 1) {
            fault(&format!("filter.{n}.id"), format!("{} is below 1", filter.id));
        }
        faults.extend(keywords::check(self));
        faults.extend(self.time.check());
        faults.extend(self.preview.check());
        faults.extend(self.catalogue.check());
        faults.extend(self.limits.check());
        faults
    }
}

/// Reads the identity of a survey or a programme.
fn from_one<'de, D: Deserializer<'de>, T: TryFrom<i64>>(deserializer: D) -> Result<T, D::Error> {
    let number = i32::deserialize(deserializer)?;
    T::try_from(number.into()).map_err(|_| serde::de::Error::custom(format!("{number} is below 1")))
}

/// Returns the positions and values of repeated values.
fn doubles<T: Copy + PartialEq>(values: impl Iterator<Item = T>) -> Vec<(usize, T)> {
    let mut seen = Vec::new();
    let mut doubles = Vec::new();
    for (position, value) in values.enumerate() {
        if seen.contains(&value) {
            doubles.push((position, value));
        }
        seen.push(value);
    }
    doubles
}

/// Returns the profiles that a new site gets: (name, text).
pub fn shipped() -> &'static [(&'static str, &'static str)] {
    &[
        ("wfcam", include_str!("../../../../surveys/wfcam.toml")),
        ("vista", include_str!("../../../../surveys/vista.toml")),
        ("hawki", include_str!("../../../../surveys/hawki.toml")),
        ("generic", include_str!("../../../../surveys/generic.toml")),
    ]
}

/// Returns the profiles that a new site gets only when they are named: (name, text).
pub fn optional() -> &'static [(&'static str, &'static str)] {
    &[
        ("banzai", include_str!("../../../../surveys/banzai.toml")),
        ("ldac", include_str!("../../../../surveys/ldac.toml")),
        ("sextractor", include_str!("../../../../surveys/sextractor.toml")),
        ("decam", include_str!("../../../../surveys/decam.toml")),
        ("ztf", include_str!("../../../../surveys/ztf.toml")),
        ("photutils", include_str!("../../../../surveys/photutils.toml")),
    ]
}

/// Returns the profile a file belongs to, from its image's (else its own) primary header; `keyword` returns a keyword's
/// text. The rule with most keywords wins, then the profile's place in the list. When no rule fits, the fallback is
/// used.
pub fn choose<'p>(
    profiles: impl IntoIterator<Item = &'p SurveyProfile>,
    keyword: &dyn Fn(&str) -> Option<String>,
) -> Option<&'p SurveyProfile> {
    let mut best: Option<(usize, &SurveyProfile)> = None;
    for profile in profiles {
        let fit = profile.fit(keyword).or(profile.fallback.then_some(0));
        if let Some(keywords) = fit
            && best.is_none_or(|(most, _)| keywords > most)
        {
            best = Some((keywords, profile));
        }
    }
    best.map(|(_, profile)| profile)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profiles() -> Vec<SurveyProfile> {
        shipped()
            .iter()
            .map(|(name, text)| {
                let profile = SurveyProfile::parse(text).unwrap_or_else(|f| panic!("{name}:\n{f}"));
                assert_eq!(profile.name, *name);
                profile
            })
            .collect()
    }

    #[test]
    fn shipped_profiles_do_not_clash() {
        let profiles = profiles();
        assert!(doubles(profiles.iter().map(|p| p.survey_id)).is_empty());
        let programmes = profiles.iter().flat_map(|p| &p.programmes);
        assert!(doubles(programmes.map(|p| p.id)).is_empty());
        assert_eq!(profiles.iter().filter(|p| p.fallback).count(), 1);
    }

    #[test]
    fn files_find_their_profile() {
        let profiles = profiles();
        let cases: [(&[(&str, &str)], &str); 5] = [
            (&[("INSTRUME", "WFCAM             "), ("TELESCOP", "UKIRT")], "wfcam"),
            (&[("INSTRUME", "VIRCAM"), ("TELESCOP", "ESO-VISTA")], "vista"),
            (&[("INSTRUME", "HAWKI   ")], "hawki"),
            (&[("INSTRUME", "NGTS")], "generic"),
            (&[], "generic"),
        ];
        for (cards, wanted) in cases {
            let keyword = |name: &str| {
                cards.iter().find(|(k, _)| *k == name).map(|(_, text)| (*text).to_owned())
            };
            assert_eq!(choose(&profiles, &keyword).unwrap().name, wanted, "{cards:?}");
        }
    }
}
