//! Time scales of headers (FITS 4.0, section 9.2.1) and the conversion of each to UTC.

use super::time::{self, DAY_S, Written};

/// A time scale with a known relation to UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeScale {
    /// UTC, and the navigators' GMT or UT.
    Utc,
    /// International Atomic Time.
    Tai,
    /// Terrestrial Time, and its former names.
    Tt,
    /// Time of the Global Positioning System.
    Gps,
    /// Barycentric Dynamical Time.
    Tdb,
    /// Geocentric Coordinate Time.
    Tcg,
    /// Barycentric Coordinate Time.
    Tcb,
}

/// TT - TAI in seconds.
const TT_TAI_S: f64 = 32.184;
/// TAI - GPS in seconds.
const TAI_GPS_S: f64 = 19.0;
/// Modified Julian Date of 1977-01-01T00:00:00 TAI, where TT, TCG and TCB agree but for constants.
const DAY_1977: i64 = 43_144;
/// 1 - d(TT)/d(TCG) (IAU 2000, resolution B1.9).
const L_G: f64 = 6.969_290_134e-10;
/// 1 - d(TDB)/d(TCB), and TDB - TCB at 1977 in seconds (IAU 2006, resolution 3).
const L_B: f64 = 1.550_519_768e-8;
const TDB_0_S: f64 = -6.55e-5;

/// Modified Julian Dates from which TAI - UTC is a number of seconds. (IERS bulletin C; none has been announced since.)
const LEAP_SECONDS: [(i64, f64); 28] = [
    (41_317, 10.0),
    (41_499, 11.0),
    (41_683, 12.0),
    (42_048, 13.0),
    (42_413, 14.0),
    (42_778, 15.0),
    (43_144, 16.0),
    (43_509, 17.0),
    (43_874, 18.0),
    (44_239, 19.0),
    (44_786, 20.0),
    (45_151, 21.0),
    (45_516, 22.0),
    (46_247, 23.0),
    (47_161, 24.0),
    (47_892, 25.0),
    (48_257, 26.0),
    (48_804, 27.0),
    (49_169, 28.0),
    (49_534, 29.0),
    (50_083, 30.0),
    (50_630, 31.0),
    (51_179, 32.0),
    (53_736, 33.0),
    (54_832, 34.0),
    (56_109, 35.0),
    (57_204, 36.0),
    (57_754, 37.0),
];

impl TimeScale {
    /// Returns the scale of a TIMESYS; `None` for LOCAL, for UT1 (which needs observed Earth rotation) and for
    /// names that are not in the standard. A realization in parentheses, `TT(BIPM08)`, and words after the name,
    /// `UTC approximate`, change nothing here.
    pub fn named(text: &str) -> Option<Self> {
        let upper = text.trim().to_ascii_uppercase();
        match upper.split(['(', ' ']).next().unwrap_or_default() {
            "UTC" | "UT" | "GMT" => Some(Self::Utc),
            "TAI" | "IAT" => Some(Self::Tai),
            "TT" | "TDT" | "ET" => Some(Self::Tt),
            "GPS" => Some(Self::Gps),
            "TDB" => Some(Self::Tdb),
            "TCG" => Some(Self::Tcg),
            "TCB" => Some(Self::Tcb),
            _ => None,
        }
    }

    /// Returns true for a time that exists in this scale: UTC alone has leap seconds.
    pub fn has(self, time: Written) -> bool {
        time.seconds.is_none_or(|seconds| match self {
            Self::Utc => time::exists(time.day, seconds),
            _ => seconds < DAY_S,
        })
    }

    /// Returns a time of this scale in UTC; `None` without a time of day, and before 1972 for scales that need
    /// leap seconds.
    pub fn to_utc(self, time: Written) -> Option<Written> {
        let seconds = time.seconds?;
        let day = time.day;
        let since_1977 = |seconds: f64| (day - DAY_1977) as f64 * DAY_S + seconds - TT_TAI_S;
        let tt = match self {
            Self::Utc => return Some(time),
            Self::Tai => seconds + TT_TAI_S,
            Self::Gps => seconds + TAI_GPS_S + TT_TAI_S,
            Self::Tt => seconds,
            Self::Tdb => seconds - tdb_minus_tt(day, seconds),
            Self::Tcg => seconds - L_G * since_1977(seconds),
            Self::Tcb => {
                let tdb = seconds - L_B * since_1977(seconds) + TDB_0_S;
                tdb - tdb_minus_tt(day, tdb)
            }
        };
        utc_of_tai(day, tt - TT_TAI_S)
    }
}

/// Returns true for a day at whose end UTC has a leap second.
pub(super) fn ends_with_leap_second(day: i64) -> bool {
    // 1972 began with another offset, not with a leap second.
    LEAP_SECONDS[1..].iter().any(|(from, _)| *from == day + 1)
}

/// Converts a TAI, given as day and seconds, to UTC; a time in a leap second is in the second after it.
fn utc_of_tai(day: i64, tai: f64) -> Option<Written> {
    LEAP_SECONDS.iter().rev().find_map(|&(from, offset)| {
        let seconds = tai - offset;
        // A leap second follows the last second of the day before, with the offset of that day.
        let begun = (day - from) as f64 * DAY_S + seconds >= 0.0;
        begun.then(|| {
            let whole = (seconds / DAY_S).floor();
            Written { day: day + whole as i64, seconds: Some(seconds - whole * DAY_S) }
        })
    })
}

/// Returns TDB - TT in seconds, to 10 microseconds (USNO Circular 179, equation 2.6).
fn tdb_minus_tt(day: i64, seconds: f64) -> f64 {
    const TERMS: [(f64, f64, f64); 6] = [
        (0.001_657, 628.3076, 6.2401),
        (0.000_022, 575.3385, 4.2970),
        (0.000_014, 1256.6152, 6.1969),
        (0.000_005, 606.9777, 4.0212),
        (0.000_005, 52.9691, 0.4444),
        (0.000_002, 21.3299, 5.5431),
    ];
    let t = ((day - 51_544) as f64 + seconds / DAY_S - 0.5) / 36_525.0;
    let periodic: f64 =
        TERMS.iter().map(|(size, rate, phase)| size * (rate * t + phase).sin()).sum();
    periodic + 0.000_010 * t * (628.3076 * t + 4.2490).sin()
}

#[cfg(test)]
mod tests {
    use super::super::time::parse;
    use super::*;

    #[test]
    fn names() {
        use TimeScale::{Gps, Tai, Tt, Utc};
        let cases = [
            ("UTC", Some(Utc)),
            ("ut(nist)", Some(Utc)),
            ("GMT", Some(Utc)),
            ("UTC approximate", Some(Utc)),
            ("TAI", Some(Tai)),
            ("TT(BIPM08)", Some(Tt)),
            ("ET", Some(Tt)),
            ("GPS ", Some(Gps)),
            ("UT1", None),
            ("LOCAL", None),
            ("", None),
            ("MST", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(TimeScale::named(text), wanted, "{text:?}");
        }
    }

    /// Checks times against astropy 8.0: `Time(text, scale=...).utc.isot`.
    #[test]
    fn times_in_utc() {
        let cases = [
            (TimeScale::Tai, "2011-01-07T08:33:54.500", "2011-01-07T08:33:20.5"),
            (TimeScale::Tt, "2011-01-07T08:34:26.684", "2011-01-07T08:33:20.5"),
            (TimeScale::Gps, "2011-01-07T08:33:35.500", "2011-01-07T08:33:20.5"),
            (TimeScale::Tai, "2017-01-01T00:00:37", "2017-01-01T00:00:00"),
            (TimeScale::Tai, "2017-01-01T00:00:35.75", "2016-12-31T23:59:59.75"),
            (TimeScale::Tai, "1972-01-01T00:00:10", "1972-01-01T00:00:00"),
            (TimeScale::Utc, "2011-01-07T08:33:20.5", "2011-01-07T08:33:20.5"),
        ];
        for (scale, text, wanted) in cases {
            let utc = scale.to_utc(parse(text).unwrap()).unwrap();
            assert_eq!(utc.iso(), wanted, "{scale:?} {text}");
        }
        let early = parse("1971-12-31T00:00:00").unwrap();
        assert_eq!(TimeScale::Tai.to_utc(early), None);
        assert_eq!(TimeScale::Utc.to_utc(early), Some(early));
        assert_eq!(TimeScale::Tai.to_utc(parse("2011-01-07").unwrap()), None);
    }
}
