//! Rules for the night of an exposure.

use crate::Night;
use serde::Deserialize;

/// The night of each exposure: the date on which it began, local time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NightRules {
    /// Source of the night: `name` (the default) or `date_obs`.
    pub from: NightFrom,
    /// Local hour at which a new night begins, from 0 to 24, e.g. `12.0`, which is the default.
    pub noon: Option<f64>,
    /// Local time minus UTC in hours, e.g. `-10.0` for Hawaii. Default: 0.
    pub utc_offset_h: Option<f64>,
    /// East longitude of the telescope in degrees, instead of `utc_offset_h`: local time is that of the mean sun.
    pub longitude_deg: Option<f64>,
}

/// Source of the night of an exposure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NightFrom {
    /// The name of the delivery, else that of the file, else UTDATE.
    #[default]
    Name,
    /// The start of the exposure (`multiframe.mjd_obs`). The name counts for exposures without a start.
    DateObs,
}

impl NightRules {
    /// Returns the night of an exposure that began at a Modified Julian Date (UTC); `None` where the rules take it from names.
    pub fn of_start(&self, mjd: f64) -> Option<Night> {
        if self.from == NightFrom::Name {
            return None;
        }
        let by_longitude = self.longitude_deg.map(|degrees| degrees / 15.0);
        let offset_h = self.utc_offset_h.or(by_longitude).unwrap_or(0.0);
        let day = (mjd + (offset_h - self.noon.unwrap_or(12.0)) / 24.0).floor();
        (day.abs() < 1e7).then(|| Night::of_mjd(day as i64))?
    }

    /// Returns the faults that types cannot express: (key path, fault).
    pub(super) fn check(&self) -> Vec<(String, String)> {
        let keys = [
            ("noon", self.noon, 0.0..=24.0),
            ("utc_offset_h", self.utc_offset_h, -14.0..=14.0),
            ("longitude_deg", self.longitude_deg, -180.0..=360.0),
        ];
        let mut faults = Vec::new();
        for (key, value, range) in &keys {
            let Some(value) = value else { continue };
            let fault = if self.from == NightFrom::Name {
                "has an effect with from = \"date_obs\" alone".to_owned()
            } else if !range.contains(value) {
                format!("{value} is not from {} to {}", range.start(), range.end())
            } else {
                continue;
            };
            faults.push((format!("night.{key}"), fault));
        }
        if self.utc_offset_h.is_some() && self.longitude_deg.is_some() {
            let fault = "utc_offset_h states the local time already".to_owned();
            faults.push(("night.longitude_deg".to_owned(), fault));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> NightRules {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_night_begins_at_the_local_noon() {
        let hawaii = rules("from = \"date_obs\"\nutc_offset_h = -10.0");
        let tololo = rules("from = \"date_obs\"\nlongitude_deg = -70.8");
        let morning = rules("from = \"date_obs\"\nnoon = 9.0");
        let cases = [
            (&hawaii, 54_384.55, Some(20_071_010)),  // 3:12 of 11 October
            (&hawaii, 54_385.25, Some(20_071_011)),  // 20:00 of 11 October
            (&tololo, 57_124.314, Some(20_150_411)), // c4d_150412_073257
            (&morning, 57_124.374, Some(20_150_411)),
            (&morning, 57_124.376, Some(20_150_412)),
            (&NightRules::default(), 57_124.3, None),
            (&morning, f64::NAN, None),
            (&morning, 1e12, None),
        ];
        for (rules, mjd, wanted) in cases {
            assert_eq!(rules.of_start(mjd).map(Night::get), wanted, "{mjd} by {rules:?}");
        }
    }

    #[test]
    fn faults_name_their_key() {
        let faults = |text| -> Vec<String> {
            rules(text).check().into_iter().map(|(key, fault)| format!("{key}: {fault}")).collect()
        };
        assert_eq!(
            faults("noon = 12.0"),
            ["night.noon: has an effect with from = \"date_obs\" alone"]
        );
        assert_eq!(
            faults("from = \"date_obs\"\nnoon = 25.0\nutc_offset_h = 1.0\nlongitude_deg = 15.0"),
            [
                "night.noon: 25 is not from 0 to 24",
                "night.longitude_deg: utc_offset_h states the local time already"
            ]
        );
        assert!(faults("from = \"date_obs\"\nnoon = 12.0\nutc_offset_h = -10.0").is_empty());
    }
}
