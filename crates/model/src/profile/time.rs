//! Sources of the time of an observation whose date has no time.

use serde::Deserialize;
use std::collections::BTreeMap;

/// Keywords with times of day, and the units of numbers in them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimeRules {
    /// Keywords with the time of day at the start, first choice first. They count when the date of the start has
    /// no time of day.
    pub start: Vec<String>,
    /// Keywords with the time of day at the end, likewise.
    pub end: Vec<String>,
    /// Unit of keywords that hold a number. A number in another keyword is not read as a time of day.
    pub numbers: BTreeMap<String, DayUnit>,
    /// Time scale of headers without TIMESYS.
    pub scale: String,
}

/// Unit of a time of day that is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DayUnit {
    /// Hours since midnight.
    Hours,
    /// Seconds since midnight.
    Seconds,
    /// Parts of a day since midnight.
    Days,
}

impl DayUnit {
    /// Returns the number of seconds in one unit.
    pub fn seconds(self) -> f64 {
        match self {
            Self::Hours => 3_600.0,
            Self::Seconds => 1.0,
            Self::Days => 86_400.0,
        }
    }
}

impl Default for TimeRules {
    fn default() -> Self {
        const START: [&str; 15] = [
            "TIME-OBS", "TIME-BEG", "TIME_OBS", "UTC-OBS", "UT-OBS", "UTC-BEG", "UT-BEG",
            "UTSTART", "UT-START", "UTCSTART", "UT", "UTC", "UT-TIME", "UTTIME", "TIME",
        ];
        const END: [&str; 6] = ["TIME-END", "TIME_END", "UTC-END", "UT-END", "UTEND", "UTCEND"];
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        let hours = ["UTSTART", "UTEND"].map(|name| (name.to_owned(), DayUnit::Hours));
        let seconds = [("UTC".to_owned(), DayUnit::Seconds)];
        Self {
            start: owned(&START),
            end: owned(&END),
            numbers: hours.into_iter().chain(seconds).collect(),
            scale: "UTC".to_owned(),
        }
    }
}

impl TimeRules {
    /// Returns the faults that types cannot express: (key path, fault).
    pub(super) fn check(&self) -> Vec<(String, String)> {
        let lists = [("time.start", &self.start), ("time.end", &self.end)];
        let empty = lists.into_iter().flat_map(|(key, list)| {
            list.iter().enumerate().filter(|(_, name)| name.trim().is_empty()).map(move |(n, _)| {
                (format!("{key}.{n}"), "the name of a keyword is empty".to_owned())
            })
        });
        let mut faults: Vec<_> = empty.collect();
        if self.scale.trim().is_empty() {
            faults
                .push(("time.scale".to_owned(), "the name of the time scale is empty".to_owned()));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_value_replaces_the_default() {
        let rules: TimeRules =
            toml::from_str("start = [\"BEGIN\"]\nnumbers = { BEGIN = \"seconds\" }").unwrap();
        assert_eq!(rules.start, ["BEGIN"]);
        assert_eq!(rules.numbers.get("BEGIN"), Some(&DayUnit::Seconds));
        assert_eq!(rules.end, TimeRules::default().end);
        assert!(rules.check().is_empty());
    }

    #[test]
    fn faults_name_their_key() {
        let rules: TimeRules = toml::from_str("start = [\"UT\", \" \"]\nscale = \"\"").unwrap();
        let keys: Vec<String> = rules.check().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["time.start.1", "time.scale"]);
    }
}
