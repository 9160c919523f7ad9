//! Dates and times as headers write them (FITS 4.0, section 4.4.2.1), Modified Julian Dates, Julian day numbers.

use model::Night;

use super::time_scale::ends_with_leap_second;

/// Days from 0000-03-01 to 1858-11-17, the zero of the Modified Julian Date.
const MJD_ZERO: i64 = 678_881;
/// Seconds of a day without a leap second.
pub(super) const DAY_S: f64 = 86_400.0;

/// A date, with the time of day if it has one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Written {
    /// Modified Julian Date of the day.
    pub day: i64,
    /// Seconds since the start of the day; `None` without a time of day.
    pub seconds: Option<f64>,
}

impl Written {
    /// Returns the Modified Julian Date; `None` without a time of day. A leap second counts as the second after it.
    pub fn mjd(self) -> Option<f64> {
        Some(self.day as f64 + self.seconds? / DAY_S)
    }

    /// Returns the time as ISO 8601 text, to the microsecond. A leap second is second 60.
    pub fn iso(self) -> String {
        const DAY_MICRO: i64 = 86_400_000_000;
        let Some(seconds) = self.seconds else { return iso_date(self.day) };
        let micro = (seconds * 1e6).round() as i64;
        let is_leap_second = seconds >= DAY_S && micro < DAY_MICRO + 1_000_000;
        let (day, micro) = match is_leap_second {
            true => (self.day, micro),
            false => (self.day + micro.div_euclid(DAY_MICRO), micro.rem_euclid(DAY_MICRO)),
        };
        let (second, fraction) = (micro / 1_000_000, micro % 1_000_000);
        let minute_of_day = (second / 60).min(24 * 60 - 1);
        let (hour, minute) = (minute_of_day / 60, minute_of_day % 60);
        let second = second - 60 * minute_of_day;
        let mut text = format!("{}T{hour:02}:{minute:02}:{second:02}", iso_date(day));
        if fraction > 0 {
            text += format!(".{fraction:06}").trim_end_matches('0');
        }
        text
    }
}

/// Parses a FITS time: `2007-10-11`, `2007-10-11T13:12`, `2007-10-11T13:12:05.56`, with or without Z, years of
/// more digits with a sign, and `11/10/97` of the twentieth century. A blank may stand for the T. Second 60 exists at
/// the end of days with a leap second.
pub(super) fn parse(text: &str) -> Option<Written> {
    let text = text.trim();
    if let Some(day) = day_of_last_century(text) {
        return Some(Written { day, seconds: None });
    }
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, clock) = match text.split_once(['T', ' ']) {
        Some((date, clock)) => (date, Some(clock)),
        None => (text, None),
    };
    let day = day_of_iso(date)?;
    match clock {
        Some(clock) => {
            let seconds = seconds_of_day(clock).filter(|seconds| exists(day, *seconds))?;
            Some(Written { day, seconds: Some(seconds) })
        }
        None => Some(Written { day, seconds: None }),
    }
}

/// Returns true for a second of the day, a leap second on days that have one.
pub(super) fn exists(day: i64, seconds: f64) -> bool {
    seconds < DAY_S || ends_with_leap_second(day)
}

/// Returns true for a time with a blank between date and time of day.
pub(super) fn has_blank(text: &str) -> bool {
    text.trim().contains(' ')
}

/// Parses a date of `DD/MM/YY`, which is in the years from 1900 to 1999.
fn day_of_last_century(text: &str) -> Option<i64> {
    let mut parts = text.split('/');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let plain = parts.next().is_none();
    plain.then(|| mjd_of_date(1900 + digits(year, 2)?, digits(month, 2)?, digits(day, 2)?))?
}

/// Parses a date of `CCYY-MM-DD`, or `+CCCYY-MM-DD`.
fn day_of_iso(date: &str) -> Option<i64> {
    let (year, rest, length) = match date.strip_prefix(['+', '-']) {
        Some(unsigned) => {
            let (year, rest) = unsigned.split_once('-')?;
            (year, rest, 5)
        }
        None => {
            let (year, rest) = date.split_once('-')?;
            (year, rest, 4)
        }
    };
    let year = digits(year, length)?;
    let year = if date.starts_with('-') { -year } else { year };
    let (month, day) = rest.split_once('-')?;
    mjd_of_date(year, digits(month, 2)?, digits(day, 2)?)
}

/// Returns the seconds since midnight of a time of day, `13:12` or `13:12:05.56`, with or without Z.
pub(super) fn seconds_of_day(clock: &str) -> Option<f64> {
    let clock = clock.trim();
    let mut parts = clock.strip_suffix('Z').unwrap_or(clock).split(':');
    let hours = digits(parts.next()?, 2)?;
    let minutes = digits(parts.next()?, 2)?;
    let seconds = match parts.next() {
        None => 0.0,
        Some(text) => {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
            let plain = fraction.bytes().all(|b| b.is_ascii_digit());
            digits(whole, 2)?;
            text.parse::<f64>().ok().filter(|_| plain)?
        }
    };
    // Leap seconds are in the last minute of a day.
    let end = if hours == 23 && minutes == 59 { 61.0 } else { 60.0 };
    let fits = parts.next().is_none() && hours < 24 && minutes < 60 && seconds < end;
    fits.then_some(f64::from(hours) * 3600.0 + f64::from(minutes) * 60.0 + seconds)
}

/// Returns the seconds since midnight of a time of day as older files write it: `8:33:20.5` and `08 33 20.5` too.
pub(super) fn loose_seconds_of_day(text: &str) -> Option<f64> {
    let text = text.trim().trim_end_matches(['Z', 'z']).trim_end();
    let apart = |c: char| c == ':' || c.is_ascii_whitespace();
    let parts: Vec<&str> = text.split(apart).filter(|part| !part.is_empty()).collect();
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    let padded: Vec<String> = parts
        .iter()
        .map(|p| if p.find('.').unwrap_or(p.len()) < 2 { format!("0{p}") } else { (*p).to_owned() })
        .collect();
    seconds_of_day(&padded.join(":"))
}

fn digits(text: &str, length: usize) -> Option<i32> {
    (text.len() == length && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Returns the Modified Julian Date of a day of the Gregorian calendar at 0 h; `None` for a day that does not exist.
///
/// Days are counted from 1 March, so that a leap day is the last of its year.
fn mjd_of_date(year: i32, month: i32, day: i32) -> Option<i64> {
    const LENGTHS: [i32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = *LENGTHS.get(usize::try_from(month - 1).ok()?)?;
    if !(1..=length).contains(&day) || (month == 2 && day == 29 && !leap) {
        return None;
    }
    let year = i64::from(if month <= 2 { year - 1 } else { year });
    let months = i64::from((month + 9) % 12);
    let day_of_year = (153 * months + 2) / 5 + i64::from(day) - 1;
    let days = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(days + day_of_year - MJD_ZERO)
}

/// Returns the Gregorian date of a Modified Julian Date, as ISO 8601 text.
fn iso_date(mjd: i64) -> String {
    let days = mjd + MJD_ZERO;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months + 2) / 5 + 1;
    let month = if months < 10 { months + 3 } else { months - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    if (0..10_000).contains(&year) {
        format!("{year:04}-{month:02}-{day:02}")
    } else {
        format!("{year:+06}-{month:02}-{day:02}")
    }
}

/// Returns the Julian day number at noon of a night.
pub(super) fn julian_day_num(night: Night) -> Option<i32> {
    let number = night.get();
    let mjd = mjd_of_date(number / 10_000, number / 100 % 100, number % 100)?;
    i32::try_from(mjd + 2_400_001).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_real_headers() {
        let close = |text: &str, wanted: f64| {
            let got = parse(text).and_then(Written::mjd).unwrap_or_else(|| panic!("{text}"));
            assert!((got - wanted).abs() < 6e-6, "{text}: {got}, not {wanted}");
        };
        close("2007-10-11T13:12:05.560", 54384.55006); // UKIRT, MJD-OBS of the same header
        close("2005-04-04T10:31:11.267", 53464.43832);
        close("2014-05-11T02:57:41.760", 56788.1234); // VLT
        close("2000-02-29T12:00:00Z", 51603.5);
        close("2005-04-04T10:22", 53464.431944);
        close("2016-12-31T23:59:60.5", 57754.0000058);
        close("2000-02-29 12:00:00", 51603.5);
        close("2000-02-29  12:00:00Z", 51603.5);
        close("+02000-02-29T12:00:00", 51603.5);
        assert_eq!(Night::new(20_071_011).and_then(julian_day_num), Some(2_454_385));
    }

    #[test]
    fn a_date_is_not_midnight() {
        let days = [
            ("1858-11-17", 0),
            ("2011-01-07", 55_568),
            ("11/10/97", 50_732),
            ("31/12/99", 51_543),
            ("01/01/00", 15_020),
        ];
        for (text, day) in days {
            let written = parse(text).unwrap();
            assert_eq!(written, Written { day, seconds: None }, "{text}");
            assert_eq!(written.mjd(), None, "{text}");
        }
        assert_eq!(parse("11/10/97").unwrap().iso(), "1997-10-11");
        let full = Written { seconds: Some(30_800.5), ..parse("11/10/97").unwrap() };
        assert_eq!(full.iso(), "1997-10-11T08:33:20.5");
        assert_eq!(Written { day: 55_568, seconds: Some(-0.25) }.iso(), "2011-01-06T23:59:59.75");
        assert_eq!(parse("1998-12-31T23:59:60").unwrap().iso(), "1998-12-31T23:59:60");
        assert_eq!(parse("1998-12-31 23:59:60.5").unwrap().iso(), "1998-12-31T23:59:60.5");
        assert_eq!(parse("1998-12-31T23:59:60.9999999").unwrap().iso(), "1999-01-01T00:00:01");
        assert_eq!(parse("1998-12-31T23:59:59.9999999").unwrap().iso(), "1999-01-01T00:00:00");
    }

    #[test]
    fn every_day_is_read_as_it_was_written() {
        for day in (-800_000..800_000).step_by(37) {
            let text = Written { day, seconds: None }.iso();
            assert_eq!(parse(&text).map(|w| w.day), Some(day), "{text}");
        }
    }

    #[test]
    fn times_of_day() {
        let cases = [
            ("08:33:20.5", Some(30_800.5)),
            ("8:33:20.5", Some(30_800.5)),
            ("08 33 20.5", Some(30_800.5)),
            ("08:33", Some(30_780.0)),
            ("08:33:20Z", Some(30_800.0)),
            ("08:33:5.25", Some(30_785.25)),
            ("25:00:00", None),
            ("08:60:00", None),
            ("08", None),
            ("0.35", None),
            ("", None),
            ("08:33:20:10", None),
            ("-8:33:20", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(loose_seconds_of_day(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn texts_that_are_not_times() {
        let bad = [
            "",
            "11/10/2007",
            "2007/10/11",
            "32/10/97",
            "11/13/97",
            "1/1/97",
            "2007-13-01",
            "2007-02-29",
            "2007-1-1",
            "2007-10-11 noon",
            "2007-10-11 13 12 05",
            "2011-01-07T23:59:60.5",
            "2016-12-31T23:58:60.5",
            "2016-12-31T22:59:60",
            "2017-01-01T23:59:60",
            "2007-10-11T25:00:00",
            "2007-10-11T13:12:05.5e1",
            "2007-10-11T13",
            "20071011",
            "2007-10-11T13:12:61",
        ];
        for text in bad {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert_eq!(Night::new(20_071_131).and_then(julian_day_num), None);
    }
}
