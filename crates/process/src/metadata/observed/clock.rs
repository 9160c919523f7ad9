//! Times of day in other keywords than that of the date: TIME-OBS, UT and what else the profile names.

use fits::Value;

use super::super::time::{self, DAY_S, Written};
use super::{CONTRADICTION_S, End, Notes, Place, Reader, TimeScale};

/// The time of day in a keyword, with its date.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock<'e> {
    keyword: &'e str,
    pub time: Written,
    /// The keyword's name says that the time is UT; else it is in the scale of TIMESYS.
    pub is_ut: bool,
}

impl Reader<'_, '_, '_> {
    /// Returns the first time of day of a date, with a finding for each keyword before that has none.
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
                "{keyword} is no time of day, or a number without a unit in the profile's time.numbers"
            );
            notes.find(place, "time_of_day_unreadable", keyword, message);
        }
        None
    }

    /// Notes a midnight that another keyword contradicts: programs write T00:00:00 for a time of day that they do not
    /// have.
    pub(super) fn note_midnight(
        &self,
        end: &End<'_>,
        date: Option<Written>,
        scale: TimeScale,
        place: Place<'_>,
        notes: &mut Notes,
    ) {
        let Some(date) = date.filter(|date| date.seconds == Some(0.0)) else { return };
        let Some(clock) = self.clock(end, date, scale, place, notes) else { return };
        let seconds = clock.time.seconds.unwrap_or_default();
        if (CONTRADICTION_S..=DAY_S - CONTRADICTION_S).contains(&seconds) {
            let (keyword, clock, time) = (end.date_keyword, clock.keyword, clock.time.iso());
            let message = format!(
                "{keyword} is midnight, and the time of day in {clock} makes it {time}: {keyword} counts"
            );
            notes.find(place, "time_contradicted", keyword, message);
        }
    }

    /// Returns the keywords with a time of day, and the times; `None` for what is no time on that day.
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
        let clock = |time| Some(Clock { keyword, time, is_ut: false });
        let at = |seconds| Written { day, seconds: Some(seconds) };
        let Value::Text(text) = value else {
            let seconds = self.number(keyword)? * self.rules.numbers.get(keyword)?.seconds();
            return (0.0..DAY_S).contains(&seconds).then(|| clock(at(seconds)))?;
        };
        match time::loose_seconds_of_day(text) {
            Some(seconds) => clock(at(seconds)),
            None => clock(time::parse(text).filter(|time| time.seconds.is_some())?),
        }
    }
}
