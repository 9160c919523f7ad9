//! Magnitudes of catalogues.

use crate::Night;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Rules for calibrating magnitudes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PhotometryRules {
    /// The origin of the magnitudes: `"computed"` from fluxes and zero point (default), or `"delivered"` in columns that
    /// `[catalogue.spellings]` names. Delivered magnitudes need no zero point, and fluxes among the required columns may be
    /// absent. Example: `magnitudes = "delivered"`.
    pub magnitudes: Magnitudes,
    /// The magnitudes to add to delivered magnitudes, not to their errors: a number, or a keyword of the catalogue's header.
    /// Default none. Example: `mag_add = "MAGZP"`.
    pub mag_add: Option<MagAdd>,
    /// The formula of errors of computed magnitudes. Example: `error_formula = "pogson"`.
    pub error_formula: ErrorFormula,
    /// A zero point that holds for all detectors instead of that of their headers, from `fixed_zero_point_epoch` on. Earlier
    /// frames have that of their headers. `zero_point` is its reference too. Example: `fixed_zero_point_mag = 25.0`.
    pub fixed_zero_point_mag: Option<f64>,
    /// The date (UTC, at 0 h) from which `fixed_zero_point_mag` holds; required with it. Example:
    /// `fixed_zero_point_epoch = "2015-04-12"`.
    pub fixed_zero_point_epoch: Option<Epoch>,
    /// The reference of the zero point.
    pub zero_point: ZeroPointFor,
    /// The treatment of a detector without a zero point.
    pub missing_zero_point: MissingZeroPoint,
    /// A zero point of at most this value means that there is none.
    pub no_zero_point_up_to: f64,
    /// Magnitudes per airmass when the header gives none.
    pub default_extinction: f64,
    /// Shortest accepted exposure in seconds; shorter ones count as this.
    pub least_exposure_s: f64,
    /// Correction for the change of pixel area across the field.
    pub distortion: Distortion,
}

impl Default for PhotometryRules {
    fn default() -> Self {
        Self {
            magnitudes: Magnitudes::default(),
            mag_add: None,
            error_formula: ErrorFormula::default(),
            fixed_zero_point_mag: None,
            fixed_zero_point_epoch: None,
            zero_point: ZeroPointFor::default(),
            missing_zero_point: MissingZeroPoint::default(),
            no_zero_point_up_to: 0.0,
            default_extinction: 0.05,
            least_exposure_s: 1.0,
            distortion: Distortion::default(),
        }
    }
}

impl PhotometryRules {
    /// Returns true when magnitudes are read from columns.
    pub fn are_delivered(&self) -> bool {
        self.magnitudes == Magnitudes::Delivered
    }

    /// Returns the faults that types cannot express: (key, fault).
    pub(super) fn check(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut fault = |key: &str, message: &str| {
            faults.push((format!("photometry.{key}"), message.to_owned()));
        };
        match &self.mag_add {
            Some(_) if !self.are_delivered() => {
                fault("mag_add", "the key has no effect without magnitudes = \"delivered\"");
            }
            Some(MagAdd::Number(number)) if !number.is_finite() => {
                fault("mag_add", "the value is not a finite number");
            }
            Some(MagAdd::Keyword(keyword)) if keyword.trim().is_empty() => {
                fault("mag_add", "the keyword is empty");
            }
            _ => {}
        }
        if self.are_delivered() && self.error_formula != ErrorFormula::default() {
            fault("error_formula", "the key has no effect with magnitudes = \"delivered\"");
        }
        match (self.fixed_zero_point_mag, self.fixed_zero_point_epoch) {
            (Some(_), _) if self.are_delivered() => {
                fault(
                    "fixed_zero_point_mag",
                    "the key has no effect with magnitudes = \"delivered\"",
                );
            }
            (Some(mag), _) if !mag.is_finite() => {
                fault("fixed_zero_point_mag", "the value is not a finite number");
            }
            (Some(_), None) => fault(
                "fixed_zero_point_mag",
                "the value needs fixed_zero_point_epoch, the date from which it holds, e.g. \"2015-04-12\"",
            ),
            (None, Some(_)) => {
                fault(
                    "fixed_zero_point_epoch",
                    "the key has no effect without fixed_zero_point_mag",
                );
            }
            _ => {}
        }
        faults
    }
}

/// The origin of magnitudes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Magnitudes {
    /// From the fluxes and the zero point of the detector.
    #[default]
    Computed,
    /// From columns of the catalogue; a magnitude without a spelling is NULL.
    Delivered,
}

/// The magnitudes that are added to delivered ones.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged, expecting = "a keyword or a number")]
pub enum MagAdd {
    /// The same for all catalogues.
    Number(f64),
    /// The value of a keyword of the catalogue's table, or of its primary header.
    Keyword(String),
}

/// The formula of the error of a magnitude from a flux and its error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorFormula {
    /// `2.5 log10(1 + error / flux)`, as CASU has it.
    #[default]
    Casu,
    /// `1.0857 error / flux`, the first order of Pogson's formula, as SExtractor has it.
    Pogson,
}

/// A date of the Gregorian calendar at 0 h.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// Its modified Julian date.
    pub mjd: f64,
}

impl<'de> Deserialize<'de> for Epoch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::of(&text).ok_or_else(|| {
            D::Error::custom(format!("{text:?} is not a date such as \"2015-04-12\""))
        })
    }
}

impl Epoch {
    /// Reads a date as ISO 8601 writes it.
    fn of(text: &str) -> Option<Self> {
        let mut parts = text.split('-').map(|part| (part.len(), part.parse::<u16>().ok()));
        let (Some((4, Some(year))), Some((2, Some(month))), Some((2, Some(day))), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let (year, month, day) = (i32::from(year), i32::from(month), i32::from(day));
        Night::new(year * 10_000 + month * 100 + day)?;
        // Days are counted from 1 March, so that a leap day is the last of its year.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
        let days = year * 365 + leap_days + (153 * month + 2) / 5 + day - 1;
        Some(Self { mjd: f64::from(days - MJD_ZERO) })
    }
}

/// Days from 1 March of the year 0 to the modified Julian date 0.
const MJD_ZERO: i32 = 678_881;

/// The reference of a zero point: the source whose magnitude it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ZeroPointFor {
    /// One count per second at airmass 1 (CASU's MAGZPT): exposure and extinction are applied.
    #[default]
    Second,
    /// One count in the frame itself (ESO's PHOTZP): exposure and extinction are included.
    Frame,
}

/// The treatment of the catalogue of a detector without a zero point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MissingZeroPoint {
    /// The catalogue waits for metadata with one.
    #[default]
    Park,
    /// The catalogue is refused.
    Refuse,
    /// Its magnitudes are NULL, and a finding is recorded.
    Null,
}

/// Correction for the change of pixel area across the field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distortion {
    /// None: the pipeline has applied it, or there is nothing to correct.
    #[default]
    None,
    /// From the projection of the image (ZPN, TAN).
    Wcs,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks astropy's modified Julian dates.
    #[test]
    fn epochs_are_dates() {
        let cases = [
            ("1858-11-17", Some(0.0)),
            ("2015-04-12", Some(57_124.0)),
            ("2000-02-29", Some(51_603.0)),
            ("2000-03-01", Some(51_604.0)),
            ("2026-12-31", Some(61_405.0)),
            ("2015-4-12", None),
            ("2015-02-29", None),
            ("2015-04-12T00:00:00", None),
            ("57124", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(Epoch::of(text).map(|epoch| epoch.mjd), wanted, "{text}");
        }
    }

    #[test]
    fn keys_without_effect_are_faults() {
        let cases = [
            ("mag_add = 25", &["photometry.mag_add"][..]),
            ("magnitudes = \"delivered\"\nmag_add = 25", &[]),
            ("magnitudes = \"delivered\"\nmag_add = \"MAGZP\"", &[]),
            ("magnitudes = \"delivered\"\nmag_add = \" \"", &["photometry.mag_add"]),
            ("magnitudes = \"delivered\"\nmag_add = inf", &["photometry.mag_add"]),
            (
                "magnitudes = \"delivered\"\nerror_formula = \"pogson\"",
                &["photometry.error_formula"],
            ),
            ("error_formula = \"pogson\"", &[]),
            ("fixed_zero_point_mag = 25.0", &["photometry.fixed_zero_point_mag"]),
            ("fixed_zero_point_epoch = \"2015-04-12\"", &["photometry.fixed_zero_point_epoch"]),
            ("fixed_zero_point_mag = 25\nfixed_zero_point_epoch = \"2015-04-12\"", &[]),
            (
                "magnitudes = \"delivered\"\nfixed_zero_point_mag = 25\n\
                 fixed_zero_point_epoch = \"2015-04-12\"",
                &["photometry.fixed_zero_point_mag"],
            ),
        ];
        for (text, wanted) in cases {
            let rules: PhotometryRules = toml::from_str(text).unwrap();
            let keys: Vec<String> = rules.check().into_iter().map(|(key, _)| key).collect();
            assert_eq!(keys, wanted, "{text}");
        }
        let wrong = toml::from_str::<PhotometryRules>("fixed_zero_point_epoch = \"tomorrow\"");
        assert!(wrong.unwrap_err().to_string().contains("such as \"2015-04-12\""));
    }
}
