//! Start and end of an observation, in UTC: dates, times of day in other keywords, time scales.
//!
//! A start is MJD-OBS, else DATE-OBS with a time of day, else DATE-OBS with the time of day of another keyword (the profile
//! names them), else the standard's other keywords (DATE-BEG, MJD-BEG, JD-OBS, TSTART), else JEPOCH or BEPOCH. A date alone is
//! never midnight: without a time of day, and in a time scale without a known relation to UTC, the time is NULL with a finding.
//! A date with the time of day T00:00:00 is midnight, as the standard and astropy have it. A whole MJD next to another time of
//! day has lost its own, and does not count.
//!
//! Second 60 is a time in UTC alone, at the end of days with a leap second. Another keyword with a time of day outside of
//! the exposure is a finding ([`clock`]), and an end before the start is NULL with a finding ([`order`]).

mod clock;
mod epoch;
mod order;

use fits::Value;
use model::RefusalCode;
use model::profile::{SurveyProfile, TimeRules};

use super::cell::Cell;
use super::keywords::{Source, note_blank};
use super::notes::{Notes, Place};
use super::row::Row;
use super::time::{self, DAY_S, Written};
use super::time_scale::TimeScale;
use epoch::EpochKeyword;

/// Keywords that are read here in addition to those of columns and of the profile.
pub(super) const KEYWORDS: [&str; 21] = [
    "TIMESYS", "DATE-BEG", "MJD-BEG", "JD-OBS", "JD-BEG", "JD", "JD-END", "TSTART", "TSTOP",
    "TIMEUNIT", "TIMEOFFS", "MJDREF", "MJDREFI", "MJDREFF", "JDREF", "JDREFI", "JDREFF", "DATEREF",
    "DATE-END", "JEPOCH", "BEPOCH",
];

/// Columns and keywords of one end of an observation.
struct End<'p> {
    is_start: bool,
    date_column: &'static str,
    mjd_column: &'static str,
    /// Keyword for messages.
    date_keyword: &'static str,
    /// Keywords with the time of day.
    clocks: &'p [String],
    /// Other keywords that hold date and time, a Modified Julian Date, a Julian date; a time after a zero.
    date: &'static str,
    mjd: &'static [&'static str],
    jd: &'static [&'static str],
    elapsed: &'static str,
    /// Keywords with an epoch in years.
    epochs: &'static [EpochKeyword],
}

/// Seconds by which MJD, date and time of day may differ without a finding: MJDs are written to five digits or so, and
/// telescopes and detectors read their clocks some seconds apart.
const CONTRADICTION_S: f64 = 10.0;

/// Replaces the dates and times of a row, which were copied from keywords, by those in UTC.
pub(super) fn set(
    row: &mut Row<'_>,
    sources: &[Source<'_, '_>],
    profile: &SurveyProfile,
    notes: &mut Notes,
) {
    let rules = &profile.time;
    let start = End {
        is_start: true,
        date_column: "date_obs",
        mjd_column: "mjd_obs",
        date_keyword: "DATE-OBS",
        clocks: &rules.start,
        date: "DATE-BEG",
        mjd: &["MJD-OBS", "MJD-BEG"],
        jd: &["JD-OBS", "JD-BEG", "JD"],
        elapsed: "TSTART",
        epochs: &[("JEPOCH", epoch::of_julian), ("BEPOCH", epoch::of_besselian)],
    };
    let end = End {
        is_start: false,
        date_column: "date_end",
        mjd_column: "mjd_end",
        date_keyword: "DATE-END",
        clocks: &rules.end,
        date: "",
        mjd: &["MJD-END"],
        jd: &["JD-END"],
        elapsed: "TSTOP",
        epochs: &[],
    };
    let reader = Reader { sources, rules };
    let place = sources.first().map_or(Place { file: "", hdu: None }, |s| s.place);
    reader.set(&start, row, place, notes);
    order::drop_days_before_start(&end, row, place, notes);
    reader.set(&end, row, place, notes);
    order::drop_before_start(&end, row, place, notes);
}

/// Converts a Modified Julian Date of a detector to UTC.
pub(super) fn mjd_in_utc(
    row: &mut Row<'_>,
    column: &str,
    source: Source<'_, '_>,
    profile: &SurveyProfile,
    notes: &mut Notes,
) {
    let Some(mjd) = row.float(column) else { return };
    let reader = Reader { sources: &[source], rules: &profile.time };
    if let Some(utc) = reader.scale_or_note(source.place, notes) {
        row.set(column, utc.to_utc(of_mjd(mjd)).and_then(Written::mjd));
    } else {
        row.set(column, Cell::Null);
    }
}

struct Reader<'a, 'f, 'p> {
    sources: &'a [Source<'f, 'p>],
    rules: &'a TimeRules,
}

/// The statements of a header about one end, in the scale of TIMESYS.
struct Stated {
    date: Option<Written>,
    mjd: Option<f64>,
    /// The time by the other keywords, if neither MJD nor date has a time of day.
    other: Option<Written>,
    /// The keyword and value of an epoch, if no other keyword has a time of day, and its time in UTC.
    epoch: Option<(&'static str, f64, Option<Written>)>,
}

impl Stated {
    /// Returns true when the date has no time of day.
    fn is_date_alone(&self) -> bool {
        self.date.is_some_and(|date| date.seconds.is_none())
    }

    /// Returns the MJD where it has a time of day. A whole MJD next to a date was derived from the date, or has lost its time: a
    /// finding if the date has another time.
    fn mjd_with_time(&self, end: &End<'_>, place: Place<'_>, notes: &mut Notes) -> Option<f64> {
        let mjd = self.mjd?;
        let Some(date) = self.date.filter(|_| mjd.fract() == 0.0) else { return Some(mjd) };
        let apart = (date.mjd()? - mjd).abs() * DAY_S;
        if apart > CONTRADICTION_S {
            let keyword = end.date_keyword;
            let message = format!(
                "{keyword} and the Modified Julian Date {mjd}, which is a whole day, are {apart:.0} s apart: {keyword} counts"
            );
            notes.find(place, RefusalCode::TIME_CONTRADICTED, keyword, message);
        }
        None
    }
}

impl Reader<'_, '_, '_> {
    fn value(&self, keyword: &str) -> Option<Value<'_>> {
        self.sources.iter().find_map(|s| s.view.value(keyword))
    }

    fn text(&self, keyword: &str) -> Option<&str> {
        match self.value(keyword)? {
            Value::Text(text) => Some(text.trim()).filter(|text| !text.is_empty()),
            _ => None,
        }
    }

    fn number(&self, keyword: &str) -> Option<f64> {
        match self.value(keyword)? {
            Value::Integer(number) => Some(number as f64),
            Value::Float(number) if number.is_finite() => Some(number),
            _ => None,
        }
    }

    /// Returns TIMESYS, else the profile's scale.
    fn scale_name(&self) -> &str {
        self.text("TIMESYS").unwrap_or(&self.rules.scale)
    }

    fn scale_or_note(&self, place: Place<'_>, notes: &mut Notes) -> Option<TimeScale> {
        let name = self.scale_name();
        let scale = TimeScale::named(name);
        if scale.is_none() {
            let message = format!(
                "TIMESYS = {name:?} has no known relation to UTC: dates and times are NULL"
            );
            notes.find(place, RefusalCode::TIME_SCALE_UNKNOWN, "TIMESYS", message);
        }
        scale
    }

    /// Sets a date to NULL, with a finding, whose second 60 does not exist in the scale of the header. Another keyword that
    /// would replace the date and has no time is a finding too.
    fn drop_times_that_are_none(
        &self,
        end: &End<'_>,
        row: &mut Row<'_>,
        place: Place<'_>,
        notes: &mut Notes,
    ) {
        let Some(scale) = TimeScale::named(self.scale_name()) else { return };
        let mut find = |keyword: &str, text: &str| {
            let message = format!("{keyword} = {text:?} is not a time of {}", self.scale_name());
            notes.find(place, RefusalCode::KEYWORD_MISTYPED, keyword, message);
        };
        let date = match row.get(end.date_column) {
            Cell::Text(text) => time::parse(text).map(|date| (text, date)),
            _ => None,
        };
        let has_time = date.as_ref().is_some_and(|(_, date)| date.seconds.is_some());
        match date {
            Some((text, date)) if !scale.has(date) => {
                find(end.date_keyword, text);
                row.set(end.date_column, Cell::Null);
            }
            _ if has_time || row.float(end.mjd_column).is_some() => {}
            _ => {
                let other = self.text(end.date);
                let is_time = |text: &&str| time::parse(text).is_some_and(|date| scale.has(date));
                if let Some(text) = other.filter(|text| !is_time(text)) {
                    find(end.date, text);
                }
            }
        }
    }

    fn set(&self, end: &End<'_>, row: &mut Row<'_>, place: Place<'_>, notes: &mut Notes) {
        self.drop_times_that_are_none(end, row, place, notes);
        let Some(stated) = self.stated(end, row) else { return };
        let Some(scale) = self.scale_or_note(place, notes) else {
            row.set(end.date_column, Cell::Null);
            row.set(end.mjd_column, Cell::Null);
            return;
        };
        let known = |time: Option<Written>, notes: &mut Notes| {
            let utc = time.and_then(|time| scale.to_utc(time));
            if utc.is_none() && time.is_some_and(|t| t.seconds.is_some()) {
                let message = format!("{} is before the leap seconds of 1972", self.scale_name());
                notes.find(place, RefusalCode::TIME_SCALE_UNKNOWN, end.date_keyword, message);
            }
            utc
        };
        let written = match stated.date {
            Some(date) if date.seconds.is_none() => {
                match self.clock(end, date, scale, place, notes) {
                    Some(clock) if clock.is_ut => Some(clock.time),
                    Some(clock) => known(Some(clock.time), notes),
                    None => None,
                }
            }
            date => known(date, notes),
        };
        let mjd = stated.mjd_with_time(end, place, notes);
        let mjd_utc = mjd.and_then(|mjd| known(Some(of_mjd(mjd)), notes));
        let other = written.or_else(|| known(stated.other, notes));
        if written.is_none() && other.is_some() {
            note_blank(end.date, self.value(end.date), place, notes);
        }
        let utc = other.or_else(|| epoch::note(&stated, end, place, notes));
        contradiction(end, written.and_then(Written::mjd), mjd_utc, place, notes);
        let best = match mjd {
            // The value of the header, to the last digit.
            Some(mjd) if scale == TimeScale::Utc => Some(mjd),
            _ => mjd_utc.or(utc).and_then(Written::mjd),
        };
        row.set(end.mjd_column, best);
        if let Some(best) = best {
            self.note_other_clocks(end, best, scale, row, place, notes);
        }
        match (stated.date, utc) {
            (Some(date), Some(utc)) if date != utc => row.set(end.date_column, utc.iso()),
            (Some(date), None) if date.seconds.is_some() => row.set(end.date_column, Cell::Null),
            _ => {}
        }
        if stated.is_date_alone() && best.is_none() {
            let (keyword, column) = (end.date_keyword, end.mjd_column);
            let message = format!(
                "{keyword} has no time of day, and no keyword of the profile's [time] has one: {column} is NULL"
            );
            notes.find(place, RefusalCode::TIME_OF_DAY_MISSING, keyword, message);
        }
    }

    /// Returns the statements of the header; `None` when it has none.
    fn stated(&self, end: &End<'_>, row: &Row<'_>) -> Option<Stated> {
        let date = match row.get(end.date_column) {
            Cell::Text(text) => time::parse(text),
            _ => None,
        };
        let mjd = row.float(end.mjd_column);
        let has_time = mjd.is_some() || date.is_some_and(|date| date.seconds.is_some());
        let other = if has_time { None } else { self.other(end) };
        let epoch = end.epochs.iter().filter(|_| !has_time && other.is_none());
        let epoch = epoch
            .filter_map(|(keyword, time)| self.number(keyword).map(|n| (*keyword, n, time(n))))
            .next();
        let is_any = date.is_some() || mjd.is_some() || other.is_some() || epoch.is_some();
        is_any.then_some(Stated { date, mjd, other, epoch })
    }

    /// Returns the time by the other keywords of the standard, in the scale of TIMESYS.
    fn other(&self, end: &End<'_>) -> Option<Written> {
        let scale = TimeScale::named(self.scale_name());
        let is_time =
            |date: &Written| date.seconds.is_some() && scale.is_none_or(|scale| scale.has(*date));
        let date = self.text(end.date).and_then(time::parse).filter(is_time);
        let number = |keywords: &[&str]| keywords.iter().find_map(|keyword| self.number(keyword));
        date.or_else(|| number(end.mjd).filter(|mjd| mjd.fract() != 0.0).map(of_mjd))
            .or_else(|| {
                // Julian dates begin at noon.
                let jd = number(end.jd)?;
                let day = (jd - 0.5).floor();
                Some(Written {
                    day: day as i64 - 2_400_000,
                    seconds: Some((jd - 0.5 - day) * DAY_S),
                })
            })
            .filter(|time| time.day.abs() < 4_000_000)
            .or_else(|| self.elapsed(end))
    }

    /// Returns a time counted from a zero (FITS 4.0, section 9.5): TSTART in TIMEUNIT after MJDREF, JDREF or DATEREF.
    fn elapsed(&self, end: &End<'_>) -> Option<Written> {
        let elapsed = self.number(end.elapsed)? + self.number("TIMEOFFS").unwrap_or(0.0);
        let unit = match self.text("TIMEUNIT").unwrap_or("s").to_ascii_lowercase().as_str() {
            "s" => 1.0,
            "min" => 60.0,
            "h" => 3_600.0,
            "d" => DAY_S,
            _ => return None,
        };
        let parts = |stem: &str| match self.number(stem) {
            Some(whole) => Some((whole, 0.0)),
            None => Some((self.number(&format!("{stem}I"))?, self.number(&format!("{stem}F"))?)),
        };
        let (day, seconds) = if let Some((whole, fraction)) = parts("MJDREF") {
            (whole, fraction * DAY_S)
        } else if let Some((whole, fraction)) = parts("JDREF") {
            (whole - 2_400_000.0, (fraction - 0.5) * DAY_S)
        } else {
            let zero = time::parse(self.text("DATEREF")?)?;
            (zero.day as f64, zero.seconds.unwrap_or(0.0))
        };
        let seconds = (day - day.floor()) * DAY_S + seconds + elapsed * unit;
        let days = (seconds / DAY_S).floor();
        let whole = day.floor() + days;
        (whole.abs() < 4.0e6)
            .then_some(Written { day: whole as i64, seconds: Some(seconds - days * DAY_S) })
    }
}

/// Notes a date and an MJD that are too far apart.
fn contradiction(
    end: &End<'_>,
    date: Option<f64>,
    mjd: Option<Written>,
    place: Place<'_>,
    notes: &mut Notes,
) {
    let Some((date, mjd)) = date.zip(mjd.and_then(Written::mjd)) else { return };
    let apart = (date - mjd).abs() * DAY_S;
    if apart > CONTRADICTION_S {
        let message = format!(
            "{} and the Modified Julian Date are {apart:.0} s apart: the latter counts",
            end.date_keyword
        );
        notes.find(place, RefusalCode::TIME_CONTRADICTED, end.date_keyword, message);
    }
}

fn of_mjd(mjd: f64) -> Written {
    let day = mjd.floor();
    Written { day: day as i64, seconds: Some((mjd - day) * DAY_S) }
}
