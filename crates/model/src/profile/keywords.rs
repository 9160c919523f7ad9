//! Keywords: a survey's spellings of the columns' keywords, and the treatment of unexpected headers.

use super::SurveyProfile;
use super::nearest;
use super::pattern::Glob;
use crate::tables::{self, ColumnType};
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
    /// The column is the keyword's value times this, plus `add`, e.g. `0.27` for a seeing in pixels. Default: 1.
    pub scale: Option<f64>,
    /// Number to add to the scaled value, e.g. `-2400000.5` for a Julian date. Default: 0.
    pub add: Option<f64>,
    /// Format of numbers: `number` (the default), `sexagesimal_h`, `sexagesimal_d` or `sexagesimal_time`.
    pub format: NumberFormat,
    /// True when numbers may be written as texts: `'20071011'`. Default: false.
    pub text_numbers: bool,
    /// True when a number or logical value becomes the text of a column of texts: `PROGRMID = 1`. Default: false.
    pub as_text: bool,
    /// The treatment of values of another type, or out of range, when it differs from [`Policy::mistyped`].
    pub mistyped: Option<Mistyped>,
}

impl ColumnRule {
    /// Returns the key that has no effect on a column of its type, in words.
    fn misused(&self, table: &str, column: &str) -> Option<String> {
        let column = tables::table(table)?.column(column)?;
        let is_text = column.kind == ColumnType::Text;
        if !is_text && self.format.in_unit(&column.unit).is_none() {
            return Some(format!("format has no meaning in the unit {:?}", column.unit));
        }
        let key = match is_text {
            true if self.scale.is_some() => "scale",
            true if self.add.is_some() => "add",
            true if self.format != NumberFormat::Number => "format",
            true if self.text_numbers => "text_numbers",
            false if self.as_text => "as_text",
            _ => return None,
        };
        let kind = if is_text { "of texts" } else { "without texts" };
        Some(format!("{key} has no effect on a column {kind}"))
    }
}

/// Format in which a keyword has a number. `scale` and `add` of the column apply to the number that is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberFormat {
    /// A number; with `text_numbers` the text of one.
    #[default]
    Number,
    /// A text of hours, minutes and seconds of an angle, `13:16:35.7`, `13 16 35.7` or `13h16m35.7s`, in the unit of the column.
    SexagesimalH,
    /// A text of degrees, minutes and seconds, in the unit of the column.
    SexagesimalD,
    /// A text of hours, minutes and seconds of a time of day, in the unit of the column.
    SexagesimalTime,
}

impl NumberFormat {
    /// Returns the number of a unit in one hour or degree of the format. `None` for a unit that is none of angle or time.
    pub fn in_unit(self, unit: &str) -> Option<f64> {
        let per_hour = match unit {
            "h" => 1.0,
            "deg" => 15.0,
            "min" => 60.0,
            "s" => 3600.0,
            "arcsec" => 54_000.0,
            _ => return (self == Self::Number).then_some(1.0),
        };
        Some(match self {
            Self::Number => 1.0,
            Self::SexagesimalH | Self::SexagesimalTime => per_hour,
            Self::SexagesimalD => per_hour / 15.0,
        })
    }
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
                let meant = nearest_column(table, column);
                faults.push((key, format!("the column does not exist{meant}")));
            } else if rule.keywords.as_ref().is_some_and(|k| k.iter().any(|k| k.trim().is_empty()))
            {
                faults.push((key, "a keyword is empty".to_owned()));
            } else if rule.scale.is_some_and(|s| s == 0.0 || !s.is_finite()) {
                faults.push((key, "the scale is not a usable factor".to_owned()));
            } else if rule.add.is_some_and(|a| !a.is_finite()) {
                faults.push((key, "the number to add is none".to_owned()));
            } else if let Some(fault) = rule.misused(table, column) {
                faults.push((key, fault));
            }
        }
    }
    for (n, expectation) in profile.expectations.iter().enumerate() {
        for (m, name) in expectation.columns.iter().enumerate() {
            if !name.split_once('.').is_some_and(|(table, column)| exists(table, column)) {
                let key = format!("expect.{n}.columns.{m}");
                let (table, column) = name.split_once('.').unwrap_or((name, ""));
                let meant = nearest_column(table, column);
                faults.push((key, format!("column {name:?} does not exist{meant}")));
            }
        }
    }
    faults
}

/// Returns the nearest column of a table, or the nearest table with columns of keywords, as a question.
fn nearest_column(table: &str, column: &str) -> String {
    match tables::table(table) {
        Some(found) => nearest::did_you_mean(column, found.columns.iter().map(|c| c.name.as_str())),
        None => nearest::did_you_mean(table, ["multiframe", "multiframe_detector", "astrometry"]),
    }
}

fn exists(table: &str, column: &str) -> bool {
    tables::table(table).is_some_and(|t| t.column(column).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_without_effect_on_its_column_is_a_fault() {
        let cases = [
            ("tel_ra", "format = \"sexagesimal_h\"", None),
            ("lst", "format = \"sexagesimal_time\", add = 1.0, scale = 2.0", None),
            ("observer", "as_text = true", None),
            ("observer", "scale = 2.0", Some("scale has no effect on a column of texts")),
            (
                "observer",
                "format = \"sexagesimal_h\"",
                Some("format has no effect on a column of texts"),
            ),
            ("tel_ra", "as_text = true", Some("as_text has no effect on a column without texts")),
            (
                "run_no",
                "format = \"sexagesimal_d\"",
                Some("format has no meaning in the unit \"\""),
            ),
        ];
        for (column, keys, wanted) in cases {
            let rule: ColumnRule = toml::from_str(&keys.replace(", ", "\n")).unwrap();
            assert_eq!(rule.misused("multiframe", column).as_deref(), wanted, "{column}: {keys}");
        }
    }
}
