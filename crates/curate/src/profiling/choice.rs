//! The profile of a file, and the conditions that the others lack.

use super::candidates::Candidates;
use super::delivered::Delivered;
use super::language::Language;
use fits::{FitsFile, Hdu, HduKind, Value as CardValue};
use model::profile::SurveyProfile;

/// A file as the rules of profiles see it.
pub(super) struct Chosen {
    fits: FitsFile,
    name: String,
    is_wide: bool,
}

impl Chosen {
    /// Opens a file; `None` when it is not FITS.
    pub fn open(file: &Delivered, language: Language) -> Option<Self> {
        let name = file.name.rsplit('/').next().unwrap_or_default().to_owned();
        Some(Self { fits: file.open()?, name, is_wide: language.has_roles })
    }

    /// Returns the value of a condition, as `run` reads it: a keyword of the primary header, from the version on that reads roles
    /// also of the first image or table, and the name of the file.
    fn value(&self, condition: &str) -> Option<String> {
        if self.is_wide && condition == "file" {
            return Some(self.name.clone());
        }
        let hdus = self.fits.hdus();
        let is_image = |hdu: &&Hdu| matches!(hdu.kind, HduKind::Image | HduKind::CompressedImage);
        let is_table = |hdu: &&Hdu| matches!(hdu.kind, HduKind::BinTable | HduKind::AsciiTable);
        let second = hdus.iter().find(is_image).or_else(|| hdus.iter().find(is_table));
        let places = hdus.first().into_iter().chain(second.filter(|_| self.is_wide));
        let value = places.filter_map(|hdu| hdu.header.value(condition)).next()?;
        Some(match value {
            CardValue::Text(text) => text.trim_end().to_owned(),
            other => other.to_string(),
        })
    }
}

/// Returns the reason for which a profile takes a file: the values of the keywords of the rule that fits.
pub(super) fn reason(profile: &SurveyProfile, file: &Chosen) -> String {
    let value = |name: &str| file.value(name);
    let Some(keywords) = profile.fit(&value) else {
        return match profile.fallback {
            true => "no profile fits, and it is the fallback".to_owned(),
            false => String::new(),
        };
    };
    let rule = profile.matches.iter().find(|rule| {
        rule.0.len() == keywords
            && rule.0.iter().all(|(name, glob)| value(name).is_some_and(|text| glob.fits(&text)))
    });
    let conditions = rule.into_iter().flat_map(|rule| rule.0.keys());
    let stated = conditions.map(|name| format!("{name} is {:?}", value(name).unwrap_or_default()));
    stated.collect::<Vec<_>>().join(", ")
}

/// Returns for each other profile what it lacks: its conditions that do not fit, or the better rule of the chosen one.
pub(super) fn lacks(candidates: &Candidates, chosen: &str, file: &Chosen) -> String {
    let value = |name: &str| file.value(name);
    let mut all = Vec::new();
    for one in candidates.all.iter().filter(|one| one.profile.name != *chosen) {
        let profile = &one.profile;
        let why = match profile.fit(&value) {
            Some(1) => "fits by 1 keyword, not by more than the chosen one".to_owned(),
            Some(n) => format!("fits by {n} keywords, not by more than the chosen one"),
            None if profile.matches.is_empty() => "is the fallback".to_owned(),
            None => missing(profile, &value),
        };
        all.push(format!("{}: {why}", profile.name));
    }
    all.join("; ")
}

/// Returns the conditions of the rules of a profile that a file does not meet.
fn missing(profile: &SurveyProfile, value: &dyn Fn(&str) -> Option<String>) -> String {
    let of_rule = |rule: &model::profile::MatchRule| {
        let failed = rule.0.iter().filter_map(|(name, glob)| match value(name) {
            Some(text) if glob.fits(&text) => None,
            Some(text) => Some(format!("{name} is {text:?}, not {}", glob.as_str().to_uppercase())),
            None => Some(format!("{name} is absent")),
        });
        failed.collect::<Vec<_>>().join(" and ")
    };
    profile.matches.iter().map(of_rule).collect::<Vec<_>>().join(", or ")
}

/// Returns true when a rule fits a file.
pub(super) fn fits(rule: &model::profile::MatchRule, file: &Chosen) -> bool {
    rule.0.iter().all(|(name, glob)| file.value(name).is_some_and(|text| glob.fits(&text)))
}
