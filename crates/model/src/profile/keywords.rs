//! Keywords: how a survey spells the columns' keywords, and what happens when a header is not as expected.

use super::SurveyProfile;
use super::pattern::Glob;
use crate::tables;
use serde::Deserialize;

/// What happens when an expected keyword is missing or has no value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// The column is NULL.
    Null,
    /// The column is NULL and a finding tells so.
    #[default]
    Finding,
    /// The file is refused.
    Refuse,
}

/// What happens when a keyword holds a value of another type than its column, or one out of range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mistyped {
    /// The column is NULL and a finding tells so.
    #[default]
    Finding,
    /// The file is refused.
    Refuse,
}

/// What happens with a keyword that neither a column nor the profile knows. Its card is always kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NewKeyword {
    /// Nothing more.
    Keep,
    /// A finding tells so.
    #[default]
    Finding,
}

/// What happens when headers are not as expected.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Values of another type, or out of range.
    pub mistyped: Mistyped,
    /// Keywords that are not known.
    pub new_keyword: NewKeyword,
    /// A FILTER that no filter of the profile is spelled like.
    pub unknown_filter: Mistyped,
    /// Keywords that are known and taken into no column.
    pub known_keywords: Vec<Glob>,
    /// Texts that mean no value, beside blanks.
    pub null_texts: Vec<String>,
}

/// What is expected of some frames.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Frame types; left out: all.
    #[serde(default)]
    pub frames: Vec<Glob>,
    /// Only frames that have a catalogue.
    #[serde(default)]
    pub with_catalogue: bool,
    /// Columns that must have a value, as `table.column`.
    pub columns: Vec<String>,
    /// What happens when they have none.
    #[serde(default)]
    pub missing: Missing,
}

/// Where a survey differs from the definition of a column.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ColumnRule {
    /// Spellings of the keyword, the first that has a value counts; they replace that of the definition.
    pub keywords: Option<Vec<String>>,
    /// The column is the keyword's value times this.
    pub scale: Option<f64>,
    /// Numbers may be written as texts: `'20071011'`.
    pub text_numbers: bool,
    /// What happens to values of another type, or out of range, when not as in [`Policy::mistyped`].
    pub mistyped: Option<Mistyped>,
}

/// What another frame was for this one.
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
}

impl Role {
    /// Name in `provenance.role`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Combine => "combine",
            Self::Dark => "dark",
            Self::Flat => "flat",
            Self::Sky => "sky",
            Self::Conf => "conf",
            Self::Mask => "mask",
            Self::Frin => "frin",
        }
    }
}

/// Keywords that name another frame, alone (`dark.fit[2]`) or within a sentence.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Library {
    /// What the frame was for this one.
    pub role: Role,
    /// Keywords; `#` at the end stands for a number of any length.
    pub keywords: Vec<String>,
    /// Keywords among them that name the product itself, e.g. `PROV0000`.
    #[serde(default)]
    pub itself: Vec<String>,
}

/// Column rules and expectations must name columns that there are.
pub(super) fn check(profile: &SurveyProfile) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    for (table, rules) in &profile.columns {
        for (column, rule) in rules {
            let key = format!("column.{table}.{column}");
            if !exists(table, column) {
                faults.push((key, "there is no such column".to_owned()));
            } else if rule.keywords.as_ref().is_some_and(|k| k.iter().any(|k| k.trim().is_empty()))
            {
                faults.push((key, "a keyword is empty".to_owned()));
            } else if rule.scale.is_some_and(|s| s == 0.0 || !s.is_finite()) {
                faults.push((key, "the scale is no number to multiply with".to_owned()));
            }
        }
    }
    for (n, expectation) in profile.expectations.iter().enumerate() {
        for (m, name) in expectation.columns.iter().enumerate() {
            if !name.split_once('.').is_some_and(|(table, column)| exists(table, column)) {
                let key = format!("expect.{n}.columns.{m}");
                faults.push((key, format!("there is no column {name:?}")));
            }
        }
    }
    faults
}

fn exists(table: &str, column: &str) -> bool {
    tables::table(table).is_some_and(|t| t.column(column).is_some())
}
