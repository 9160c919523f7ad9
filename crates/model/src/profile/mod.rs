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
mod choice;
mod companions;
mod faults;
mod frames;
mod hdus;
mod keywords;
mod limits;
mod naming;
mod nearest;
mod night;
mod pattern;
mod preview;
mod programmes;
mod time;

pub use astrometry::{AstrometryRules, Fk5Rule};
pub use catalogue::*;
pub use choice::{ProfileFit, reasons, reasons_in_words};
pub use companions::Companion;
pub use faults::{ProfileFault, ProfileFaults};
pub use frames::{FrameKind, FrameType, OTHER_FRAME};
pub use hdus::{HduContent, HduFacts, HduRole, HduRule, HduUse};
pub use keywords::{
    ColumnRule, Expectation, Library, Missing, Mistyped, NewKeyword, NumberFormat, Policy, Role,
};
pub use limits::{MissingExtensions, ProfileLimits, StaleChecksum};
pub use naming::{NamedDelivery, Naming, RunName, Stem};
pub use night::{NightFrom, NightRules};
pub use pattern::{Glob, NamePattern};
pub use preview::PreviewProfile;
pub use programmes::{Assignment, OfProject, Programme, ProjectRule, ProjectRules};
pub use time::{DayUnit, TimeRules};

use crate::{SurveyId, SurveyName};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// A rule that selects the profile of a file: every condition must fit.
///
/// A condition is a keyword with a glob: `INSTRUME = "fa*"`. The keyword is looked up in the primary header, then in the header
/// of the first image extension, or of the first table in a file without images. The key `file`, in lower case, is a glob on
/// the file's name without directories: `file = "*-e91.fits*"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct MatchRule(pub BTreeMap<String, Glob>);

/// The key of a [`MatchRule`] for the name of the file.
const FILE_KEY: &str = "file";

/// A file as the rules see it that select its profile.
#[derive(Clone, Copy)]
pub struct Identifying<'a> {
    /// Name within the delivery.
    pub file: &'a str,
    /// Returns the text of a keyword.
    pub keyword: &'a dyn Fn(&str) -> Option<String>,
}

impl Identifying<'_> {
    /// Returns the text that a condition is about: the name without directories, or a keyword's.
    fn text(&self, key: &str) -> Option<String> {
        match key {
            FILE_KEY => self.file.rsplit('/').next().map(str::to_owned),
            keyword => (self.keyword)(keyword),
        }
    }
}

impl MatchRule {
    /// Returns the keywords of its conditions.
    pub fn keywords(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|key| *key != FILE_KEY)
    }

    /// Returns true when every condition fits a file.
    pub fn fits(&self, file: &Identifying<'_>) -> bool {
        self.0.iter().all(|(key, glob)| file.text(key).is_some_and(|text| glob.fits(&text)))
    }
}

/// A passband of a survey.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// `filter_id`, unique within the survey.
    pub id: i16,
    /// Short name, e.g. `K`.
    pub name: String,
    /// Globs of the values of the FILTER keyword for it, e.g. `z DECam*`, compared without regard to case and surrounding
    /// blanks. The name itself is one of them. A value that equals a name or spelling to the letter means that filter, so that
    /// `r` and `R` may be two filters; else the first filter whose name or spelling fits counts.
    #[serde(default)]
    pub spellings: Vec<Glob>,
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
    /// A file belongs to this profile when one of these fits its headers and its name. Of the rules of all profiles the one
    /// with most conditions counts, then the order of the profiles.
    #[serde(default, rename = "match")]
    pub matches: Vec<MatchRule>,
    /// File and directory names.
    pub naming: Naming,
    /// Rules for frame types; the first matching rule applies.
    #[serde(default, rename = "frame_type")]
    pub frame_types: Vec<FrameType>,
    /// Roles of HDUs; the first rule that fits an HDU gives its role. Without a rule an image is a detector, and a table
    /// that has the required columns is a catalogue. Images of another role than `"image"` are no detectors: they are not
    /// counted, and have no previews and no metadata. Tables of another role than `"catalogue"` are no catalogues.
    #[serde(default, rename = "hdu")]
    pub hdus: Vec<HduRule>,
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
    /// Files that belong to images: masks, weights, backgrounds, quick looks.
    #[serde(default, rename = "companion")]
    pub companions: Vec<Companion>,
    /// Dates and times of observations.
    #[serde(default)]
    pub time: TimeRules,
    /// The night of each exposure.
    #[serde(default)]
    pub night: NightRules,
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

    /// Returns the number of conditions of the largest rule that fits a file. `None`: no rule fits.
    pub fn fit(&self, file: &Identifying<'_>) -> Option<usize> {
        self.matches.iter().filter(|rule| rule.fits(file)).map(|rule| rule.0.len()).max()
    }

    /// Returns the filter that a FILTER keyword means.
    pub fn filter(&self, spelling: &str) -> Option<&Filter> {
        let wanted = spelling.trim();
        let equals = |f: &&Filter| {
            f.name == wanted || f.spellings.iter().any(|s| s.written().trim() == wanted)
        };
        let fits = |f: &&Filter| {
            f.name.eq_ignore_ascii_case(wanted) || f.spellings.iter().any(|s| s.fits(wanted))
        };
        self.filters.iter().find(equals).or_else(|| self.filters.iter().find(fits))
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
        for (n, rule) in self.matches.iter().enumerate() {
            for keyword in rule.keywords() {
                if let Some(message) = not_a_keyword(keyword) {
                    let message = format!("{message}; `{FILE_KEY}` is the name of the file");
                    fault(&format!("match.{n}.{keyword}"), message);
                }
            }
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
        for (n, filter) in self.filters.iter().enumerate() {
            for (m, _) in filter.spellings.iter().enumerate().filter(|(_, s)| s.as_str().is_empty())
            {
                fault(&format!("filter.{n}.spellings.{m}"), "a spelling is empty".to_owned());
            }
        }
        faults.extend(hdus::check(&self.hdus));
        faults.extend(keywords::check(self));
        faults.extend(companions::check(&self.companions));
        faults.extend(self.time.check());
        faults.extend(self.night.check());
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

/// Returns the reason why a text cannot be a keyword of a header.
fn not_a_keyword(text: &str) -> Option<String> {
    let fault = format!("{text:?} is no keyword, which has upper-case letters alone");
    (text.is_empty() || text.chars().any(|c| c.is_lowercase())).then_some(fault)
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

/// Returns the profile a file belongs to. The rule with most conditions wins, then the profile's place in the list. When no
/// rule fits, the fallback is used.
pub fn choose<'p>(
    profiles: impl IntoIterator<Item = &'p SurveyProfile>,
    file: &Identifying<'_>,
) -> Option<&'p SurveyProfile> {
    let mut best: Option<(usize, &SurveyProfile)> = None;
    for profile in profiles {
        let fit = profile.fit(file).or(profile.fallback.then_some(0));
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
    fn filters_are_found_by_globs_without_case_and_to_the_letter_first() {
        let text = r#"
name = "x"
survey_id = 1
title = "X"
fallback = true
naming = { delivery = "*", extensions = [] }
[[filter]]
id = 1
name = "z"
spellings = ["z DECam*"]
[[filter]]
id = 2
name = "r"
[[filter]]
id = 3
name = "R"
spellings = ["Bessell?R"]
"#;
        let profile = SurveyProfile::parse(text).unwrap();
        let cases = [
            ("z DECam SDSS c0004 9260.0 1520.0", Some(1)),
            ("Z decam c0004 ", Some(1)),
            ("z", Some(1)),
            ("z Mosaic", None),
            ("r", Some(2)),
            ("R ", Some(3)),
            ("bessell-r", Some(3)),
        ];
        for (written, wanted) in cases {
            assert_eq!(profile.filter(written).map(|f| f.id), wanted, "{written}");
        }
        let empty = text.replace("Bessell?R", " ");
        let faults = SurveyProfile::parse(&empty).unwrap_err().to_string();
        assert_eq!(faults, "line 17: filter.2.spellings.0: a spelling is empty");
    }

    #[test]
    fn suffixes_and_roots_of_frame_types_are_globs() {
        let text = r#"
name = "x"
survey_id = 1
title = "X"
fallback = true
[naming]
delivery = "*"
extensions = [".fits"]
suffixes = ["_ST", "_conf"]
[[frame_type]]
name = "conf"
suffixes = "*_conf"
[[frame_type]]
name = "plain"
suffixes = ""
roots = ["C4D*"]
[[frame_type]]
name = "stack"
suffixes = "_st"
"#;
        let profile = SurveyProfile::parse(text).unwrap();
        let cases = [
            ("a_ST_conf.fits", Some("conf")),
            ("a_conf.fits", Some("conf")),
            ("c4d_1.fits", Some("plain")),
            ("a_1.fits", None),
            ("a_ST.fits", Some("stack")),
        ];
        for (file, wanted) in cases {
            let stem = profile.naming.stem(file);
            let found = profile.frame_type(&stem, &|_| None).map(|t| t.name.as_str());
            assert_eq!(found, wanted, "{file}");
        }
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
            let file = Identifying { file: "a.fits", keyword: &keyword };
            assert_eq!(choose(&profiles, &file).unwrap().name, wanted, "{cards:?}");
        }
    }

    #[test]
    fn names_of_files_are_conditions() {
        let profile = |name: &str, rules: &str| {
            let text = format!(
                "name = \"{name}\"\nsurvey_id = 9\ntitle = \"X\"\n\
                 naming = {{ delivery = \"{{night}}\", extensions = [] }}\n{rules}"
            );
            SurveyProfile::parse(&text)
        };
        let camera = profile("camera", "[[match]]\nINSTRUME = \"fa*\"\n").unwrap();
        let reduced = "[[match]]\nINSTRUME = \"fa*\"\nfile = \"*-E91.fits*\"\n";
        let reduced = profile("reduced", reduced).unwrap();
        let profiles = [camera, reduced];
        let keyword = |name: &str| (name == "INSTRUME").then(|| "fa15".to_owned());
        let chosen = |file: &str| {
            let found = choose(&profiles, &Identifying { file, keyword: &keyword });
            found.map(|profile| profile.name.to_string())
        };
        assert_eq!(chosen("day/a-e91.fits.fz").as_deref(), Some("reduced"));
        assert_eq!(chosen("a-e91.fits/a-e00.fits").as_deref(), Some("camera"));
        let nothing = |_: &str| None;
        let unknown = Identifying { file: "a-e91.fits", keyword: &nothing };
        assert!(choose(&profiles, &unknown).is_none());
        let faults = profile("x", "[[match]]\nFile = \"*\"\n").unwrap_err().to_string();
        assert!(
            faults.starts_with("line 6: match.0.File: ") && faults.contains("`file`"),
            "{faults}"
        );
    }
}
