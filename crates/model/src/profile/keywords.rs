//! Keywords: a survey's spellings of the columns' keywords, and the treatment of unexpected headers.

use super::SurveyProfile;
use super::pattern::Glob;
use crate::tables;
use serde::Deserialize;

/// The treatment of an expected keyword that is missing or has no value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// The column is NULL.
    Null,
    /// The column is NULL and a finding is recorded.
    #[default]
    Finding,
    /// The file is refused.
    Refuse,
}

/// The treatment of a keyword that holds a value of another type than its column, or one out of range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mistyped {
    /// The column is NULL and a finding is recorded.
    #[default]
    Finding,
    /// The file is refused.
    Refuse,
}

/// The treatment of a keyword that neither a column nor the profile knows. Its card is always kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NewKeyword {
    /// Keeps the card only.
    Keep,
    /// Records a finding.
    #[default]
    Finding,
}

/// The treatment of unexpected headers.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// The treatment of values of another type, or out of range.
    pub mistyped: Mistyped,
    /// The treatment of unknown keywords.
    pub new_keyword: NewKeyword,
    /// The treatment of a FILTER that matches no spelling of a filter of the profile.
    pub unknown_filter: Mistyped,
    /// Keywords that are known and not copied to any column.
    pub known_keywords: Vec<Glob>,
    /// Texts that mean no value, in addition to blanks.
    pub null_texts: Vec<String>,
}

/// Columns that are expected of some frames.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Frame types; left out: all.
    #[serde(default)]
    pub frames: Vec<Glob>,
    /// Applies to frames that have a catalogue only.
    #[serde(default)]
    pub with_catalogue: bool,
    /// Columns that must have a value, as `table.column`.
    pub columns: Vec<String>,
    /// The treatment of columns without one.
    #[serde(default)]
    pub missing: Missing,
}

/// The deviation of a survey from the definition of a column.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ColumnRule {
    /// Spellings of the keyword; the first one that has a value counts. They replace those of the definition.
    pub keywords: Option<Vec<String>>,
    /// The column is the keyword's value times this.
    pub scale: Option<f64>,
    /// True when numbers may be written as texts: `'20071011'`.
    pub text_numbers: bool,
    /// The treatment of values of another type, or out of range, when it differs from [`Policy::mistyped`].
    pub mistyped: Option<Mistyped>,
}

/// The role of another frame for this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Combined into it.
    Combine,
    /// Dark that was subtracted.
    Dark,
    /// Flat field it was divided by.
    Flat,
    /// Sky that was subtracted.
    Sky,
    /// Its confidence map.
    Conf,
    /// Object mask.
    Mask,
    /// Fringe map that was subtracted.
    Frin,
    /// Its weights.
    Weight,
    /// Its errors.
    Error,
    /// Its background.
    Background,
    /// A picture of it.
    Quicklook,
}

impl Role {
    /// Returns the name in `provenance.role`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Combine => "combine",
            Self::Dark => "dark",
            Self::Flat => "flat",
            Self::Sky => "sky",
            Self::Conf => "conf",
            Self::Mask => "mask",
            Self::Frin => "frin",
            Self::Weight => "weight",
            Self::Error => "error",
            Self::Background => "background",
            Self::Quicklook => "quicklook",
        }
    }
}

/// Keywords that name another frame, alone (`dark.fit[2]`) or within a sentence.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Library {
    /// The role of the frame for this one.
    pub role: Role,
    /// Keywords; `#` at the end stands for a number of any length.
    pub keywords: Vec<String>,
    /// Keywords among them that name the product itself, e.g. `PROV0000`.
    #[serde(default)]
    pub itself: Vec<String>,
}

/// Returns faults for column rules and expectations that name columns that do not exist.
pub(super) fn check(profile: &SurveyProfile) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    for (table, rules) in &profile.columns {
        for (column, rule) in rules {
            let key = format!("column.{table}.{column}");
            if !exists(table, column) {
                faults.push((key, "the column does not exist".to_owned()));
            } else if rule.keywords.as_ref().is_some_and(|k| k.iter().any(|k| k.trim().is_empty()))
            {
                faults.push((key, "a keyword is empty".to_owned()));
            } else if rule.scale.is_some_and(|s| s == 0.0 || !s.is_finite()) {
                faults.push((key, "the scale is not a usable factor".to_owned()));
            }
        }
    }
    for (n, expectation) in profile.expectations.iter().enumerate() {
        for (m, name) in expectation.columns.iter().enumerate() {
            if !name.split_once('.').is_some_and(|(table, column)| exists(table, column)) {
                let key = format!("expect.{n}.columns.{m}");
                faults.push((key, format!("column {name:?} does not exist")));
            }
        }
    }
    faults
}

fn exists(table: &str, column: &str) -> bool {
    tables::table(table).is_some_and(|t| t.column(column).is_some())
}
