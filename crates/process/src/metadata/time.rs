//! Times and nights: ISO 8601 texts, Modified Julian Dates, Julian day numbers.

/// Days from 0000-03-01 to 1858-11-17, the zero of the Modified Julian Date.
const MJD_ZERO: i64 = 678_881;

/// Whether a text is a FITS time: `2007-10-11`, `2007-10-11T13:12`, `2007-10-11T13:12:05.56`, with or without Z.
pub(super) fn is_iso(text: &str) -> bool {
    mjd(text).is_some()
}

/// The Modified Julian Date of a FITS time; a leap second counts as the second after it.
pub(super) fn mjd(text: &str) -> Option<f64> {
    let text = text.trim();
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, clock) = match text.split_once('T') {
        Some((date, clock)) => (date, Some(clock)),
        None => (text, None),
    };
    let (year, rest) = date.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    let day = mjd_of_date(digits(year, 4)?, digits(month, 2)?, digits(day, 2)?)?;
    let seconds = clock.map_or(Some(0.0), seconds_of_day)?;
    Some(day as f64 + seconds / 86_400.0)
}

fn seconds_of_day(clock: &str) -> Option<f64> {
    let mut parts = clock.split(':');
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
    let fits = parts.next().is_none() && hours < 24 && minutes < 60 && seconds < 61.0;
    fits.then_some(f64::from(hours) * 3600.0 + f64::from(minutes) * 60.0 + seconds)
}

fn digits(text: &str, length: usize) -> Option<i32> {
    (text.len() == length && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Modified Julian Date of a day of the Gregorian calendar at 0 h; `None` for a day there is not.
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

/// Julian day number at noon of a night written as yyyymmdd.
pub(super) fn julian_day_num(night: i32) -> Option<i32> {
    let mjd = mjd_of_date(night / 10_000, night / 100 % 100, night % 100)?;
    i32::try_from(mjd + 2_400_001).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_real_headers() {
        let close = |text: &str, wanted: f64| {
            let got = mjd(text).unwrap_or_else(|| panic!("{text}"));
            assert!((got - wanted).abs() < 6e-6, "{text}: {got}, not {wanted}");
        };
        close("2007-10-11T13:12:05.560", 54384.55006); // UKIRT, MJD-OBS of the same header
        close("2005-04-04T10:31:11.267", 53464.43832);
        close("2014-05-11T02:57:41.760", 56788.1234); // VLT
        close("1858-11-17", 0.0);
        close("2000-02-29T12:00:00Z", 51603.5);
        close("2005-04-04T10:22", 53464.431944);
        close("2016-12-31T23:59:60.5", 57754.0000058);
        assert_eq!(julian_day_num(20_071_011), Some(2_454_385));
    }

    #[test]
    fn what_is_no_time() {
        let bad = [
            "",
            "11/10/07",
            "2007-13-01",
            "2007-02-29",
            "2007-1-1",
            "2007-10-11 13:12:05",
            "2007-10-11T25:00:00",
            "2007-10-11T13:12:05.5e1",
            "2007-10-11T13",
            "20071011",
            "2007-10-11T13:12:61",
        ];
        for text in bad {
            assert_eq!(mjd(text), None, "{text:?}");
        }
        assert_eq!(julian_day_num(20_071_131), None);
    }
}
