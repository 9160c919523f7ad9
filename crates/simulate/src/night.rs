//! The night as a date, and instants in it.

use std::fmt;
use std::str::FromStr;

/// An observing night, named by its UT date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Night {
    year: i32,
    month: u32,
    day: u32,
}

/// Modified Julian Date of 1970-01-01.
const MJD_1970: i64 = 40_587;
/// Names of the months in library frames.
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

impl Night {
    /// Makes a night; `None` for an invalid date, or one before 1970.
    pub fn new(year: i32, month: u32, day: u32) -> Option<Self> {
        let february = if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) { 29 } else { 28 };
        let days = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let last = *days.get(month.checked_sub(1)? as usize)?;
        let known = (1970..=9999).contains(&year) && (1..=last).contains(&day);
        known.then_some(Self { year, month, day })
    }

    /// Returns the MJD at 0 h UT.
    pub fn mjd(self) -> i64 {
        // Days of the proleptic Gregorian calendar, with years beginning in March.
        let (y, m) = match self.month {
            1 | 2 => (i64::from(self.year) - 1, i64::from(self.month) + 9),
            _ => (i64::from(self.year), i64::from(self.month) - 3),
        };
        let era = y.div_euclid(400);
        let of_era = y.rem_euclid(400);
        let of_year = (153 * m + 2) / 5 + i64::from(self.day) - 1;
        let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
        days - 719_468 + MJD_1970
    }

    /// Returns the date of an MJD of 1970 or later.
    pub(crate) fn of_mjd(mjd: i64) -> Self {
        // Days of the proleptic Gregorian calendar, with years beginning in March.
        let days = mjd - MJD_1970 + 719_468;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let of_eras = of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096;
        let year = of_eras / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        Self { year: (era * 400 + year + later) as i32, month: month as u32, day: day as u32 }
    }

    /// Returns the month of the flats: `aug2007` for a night two months later, since flats are made about monthly.
    pub(crate) fn flat_month(self) -> String {
        let month = (self.month + 9) % 12;
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        format!("{}{year}", MONTHS[month as usize])
    }

    /// Returns the ISO time with milliseconds of an instant at some seconds after 0 h UT, within the day.
    pub(crate) fn iso(self, seconds: f64) -> String {
        let ms = (seconds * 1000.0).round() as u64;
        let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        let Self { year, month, day } = self;
        format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{:03}", ms % 1000)
    }
}

impl fmt::Display for Night {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}{:02}{:02}", self.year, self.month, self.day)
    }
}

impl FromStr for Night {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit());
        let number = |at: std::ops::Range<usize>| text.get(at)?.parse::<u32>().ok();
        digits
            .then(|| Self::new(number(0..4)? as i32, number(4..6)?, number(6..8)?))
            .flatten()
            .ok_or_else(|| format!("{text:?} is not a night (YYYYMMDD)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nights_have_dates() {
        let night: Night = "20071011".parse().unwrap();
        assert_eq!(night.mjd(), 54_384); // the header of a real file: MJD-OBS = 54384.55006
        assert_eq!(night.flat_month(), "aug2007");
        assert_eq!(night.iso(47_525.56), "2007-10-11T13:12:05.560");
        assert_eq!(night.to_string(), "20071011");
        let february: Night = "20080229".parse().unwrap();
        assert_eq!(february.mjd(), 54_525);
        assert_eq!(february.flat_month(), "dec2007");
        for mjd in 40_587..90_000 {
            assert_eq!(Night::of_mjd(mjd).mjd(), mjd);
        }
        for wrong in ["20070229", "2007101", "200710111", "20071311", "2007-1-1", "19690101", ""] {
            assert!(wrong.parse::<Night>().is_err(), "{wrong}");
        }
    }
}
