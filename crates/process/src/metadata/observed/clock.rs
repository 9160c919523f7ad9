//! Times of day in other keywords than that of the date: TIME-OBS, UT and others that the profile names.

use fits::Value;
use model::RefusalCode;

use super::super::time::{self, DAY_S, Written};
use super::{CONTRADICTION_S, End, Notes, Place, Reader, Row, TimeScale};

/// The time of day in a keyword, with its date.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock<'e> {
    keyword: &'e str,
    pub time: Written,
    /// True when the keyword's name states that the time is UT; else the time is in the scale of TIMESYS.
    pub is_ut: bool,
    /// True when the keyword has a date too.
    is_dated: bool,
    /// Seconds of precision lost: a minute for `08:33`.
    precision_s: f64,
}

impl Reader<'_, '_, '_> {
    /// Returns the first time of day of a date, with a finding for each earlier keyword that has none.
    pub(super) fn clock<'e>(
        &self,
        end: &End<'e>,
        date: Written,
        scale: TimeScale,
        place: Place<'_>,
        notes: &mut Notes,
    ) -> Option<Clock<'e>> {
        for (keyword, clock) in self.clocks(end, date.day, scale) {
            if let Some(clock) = clock.filter(|clock| clock.time.day == date.day) {
                return Some(clock);
            }
            let message = format!(
                "{keyword} is not a time of day, or a number without a unit in the profile's time.numbers"
            );
            notes.find(place, RefusalCode::TIME_OF_DAY_UNREADABLE, keyword, message);
        }
        None
    }

    /// Notes keywords with a time of day outside of the exposure.
    ///
    /// Some programs write the time of day of the middle or of the end of the exposure, or that of the telescope's clock when
    /// it was set up: a time within the exposure, and some seconds beyond, contradicts nothing.
    pub(super) fn note_other_clocks(
        &self,
        end: &End<'_>,
        mjd: f64,
        scale: TimeScale,
        row: &Row<'_>,
        place: Place<'_>,
        notes: &mut Notes,
    ) {
        let exposures = ["exp_time", "total_exp_time"].map(|column| row.float(column));
        let exposure_s = exposures.into_iter().flatten().fold(0.0, f64::max);
        let (before_s, after_s) = if end.is_start { (0.0, exposure_s) } else { (exposure_s, 0.0) };
        // A time in the day's first or last seconds may be of the adjacent day.
        for (_, clock) in self.clocks(end, mjd.floor() as i64, scale) {
            let Some(clock) = clock else { continue };
            let utc = if clock.is_ut { Some(clock.time) } else { scale.to_utc(clock.time) };
            let Some(theirs) = utc.and_then(Written::mjd) else { continue };
            let mut apart_s = (theirs - mjd) * DAY_S;
            if !clock.is_dated {
                apart_s = (apart_s + DAY_S / 2.0).rem_euclid(DAY_S) - DAY_S / 2.0;
            }
            let first = -before_s - CONTRADICTION_S - clock.precision_s;
            if (first..=after_s + CONTRADICTION_S).contains(&apart_s) {
                continue;
            }
            let (keyword, date) = (clock.keyword, end.date_keyword);
            let message = format!(
                "{keyword} is {:.0} s {} the {} of the observation by {date} or another keyword, which counts",
                apart_s.abs(),
                if apart_s < 0.0 { "before" } else { "after" },
                if end.is_start { "start" } else { "end" },
            );
            notes.find(place, RefusalCode::TIME_CONTRADICTED, date, message);
        }
    }

    /// Returns the keywords with a time of day, and the times; `None` for a value that is not a time on that day.
    fn clocks<'e>(
        &self,
        end: &End<'e>,
        day: i64,
        scale: TimeScale,
    ) -> impl Iterator<Item = (&'e str, Option<Clock<'e>>)> {
        let is_blank = |value: &Value<'_>| matches!(value, Value::Text(t) if t.trim().is_empty());
        end.clocks.iter().filter_map(move |keyword| {
            let value = self.value(keyword).filter(|value| !is_blank(value))?;
            let is_ut = keyword.to_ascii_uppercase().starts_with("UT");
            let scale = if is_ut { TimeScale::Utc } else { scale };
            let clock = self.clock_of(keyword, value, day).map(|clock| Clock { is_ut, ..clock });
            Some((keyword.as_str(), clock.filter(|clock| scale.has(clock.time))))
        })
    }

    /// Reads a time of day, which is of that day when it has no date.
    fn clock_of<'e>(&self, keyword: &'e str, value: Value<'_>, day: i64) -> Option<Clock<'e>> {
        let clock = |time, is_dated, precision_s| {
            Some(Clock { keyword, time, is_ut: false, is_dated, precision_s })
        };
        let at = |seconds| Written { day, seconds: Some(seconds) };
        let Value::Text(text) = value else {
            let seconds = self.number(keyword)? * self.rules.numbers.get(keyword)?.seconds();
            return (0.0..DAY_S).contains(&seconds).then(|| clock(at(seconds), false, 0.0))?;
        };
        let minutes_alone =
            text.trim().split([':', ' ']).filter(|part| !part.is_empty()).count() == 2;
        match time::loose_seconds_of_day(text) {
            Some(seconds) => clock(at(seconds), false, if minutes_alone { 60.0 } else { 0.0 }),
            None => clock(time::parse(text).filter(|time| time.seconds.is_some())?, true, 0.0),
        }
    }
}
