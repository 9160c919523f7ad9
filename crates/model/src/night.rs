//! The observing night.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An observing night by the date on which it began, in tables and texts one number: yyyymmdd. The date exists, and is of
/// the years 1000 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub struct Night(i32);

impl Night {
    /// Makes the night of a number yyyymmdd. `None` when it is no date.
    pub fn new(number: i32) -> Option<Self> {
        let (year, month, day) = (number / 10_000, number / 100 % 100, number % 100);
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        let is_date = (1000..=9999).contains(&year) && (1..=days).contains(&day);
        is_date.then_some(Self(number))
    }

    /// Makes the night that began on the day of a Modified Julian Date. `None` outside the years 1000 to 9999.
    pub fn of_mjd(day: i64) -> Option<Self> {
        // Days from 0000-03-01 to 1858-11-17. A year that begins on 1 March ends with its leap day.
        let days = day.checked_add(678_881)?;
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let march_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = era.checked_mul(400)? + year + i64::from(month <= 2);
        let number = year.checked_mul(10_000)?.checked_add(month * 100 + day)?;
        i32::try_from(number).ok().and_then(Self::new)
    }

    /// Returns the number yyyymmdd.
    pub fn get(self) -> i32 {
        self.0
    }
}

impl FromStr for Night {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        text.parse()
            .ok()
            .and_then(Self::new)
            .ok_or_else(|| format!("{text:?} is not a night such as 20071011"))
    }
}

impl TryFrom<i32> for Night {
    type Error = String;
    fn try_from(number: i32) -> Result<Self, String> {
        Self::new(number).ok_or_else(|| format!("{number} is not a night such as 20071011"))
    }
}

impl From<Night> for i32 {
    fn from(night: Night) -> i32 {
        night.0
    }
}

impl From<Night> for i64 {
    fn from(night: Night) -> i64 {
        night.0.into()
    }
}

impl fmt::Display for Night {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nights_are_dates() {
        for number in [20_071_011, 20_080_229, 20_000_229, 10_000_101, 99_991_231] {
            let night = Night::new(number).unwrap();
            assert_eq!(night.to_string().parse(), Ok(night));
            assert_eq!(serde_json::to_string(&night).unwrap(), number.to_string());
        }
        for number in
            [20_071_311, 20_070_230, 20_070_229, 19_000_229, 20_070_931, 20_071_000, 101, -5]
        {
            assert_eq!(Night::new(number), None, "{number}");
        }
        for (mjd, wanted) in [
            (0, Some(18_581_117)),
            (54_384, Some(20_071_011)),
            (51_603, Some(20_000_229)),
            (51_604, Some(20_000_301)),
            (53_370, Some(20_041_231)),
            (53_371, Some(20_050_101)),
            (i64::MAX, None),
            (i64::MIN, None),
            (-400_000, None), // the year 763
        ] {
            assert_eq!(Night::of_mjd(mjd).map(Night::get), wanted, "{mjd}");
        }
        assert!("2007-10-11".parse::<Night>().is_err() && "".parse::<Night>().is_err());
    }
}
