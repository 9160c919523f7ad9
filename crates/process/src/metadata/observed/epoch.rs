//! Epochs in years (FITS 4.0, section 9.5), which replace a time of observation as in wcslib's `datfix`.

use super::{DAY_S, End, Notes, Place, Stated, TimeScale, Written};
use model::RefusalCode;

/// A keyword with an epoch in years, and the conversion of the epoch to a time.
pub(super) type EpochKeyword = (&'static str, fn(f64) -> Option<Written>);

/// Returns the time of a Julian epoch, which is in TDB.
pub(super) fn of_julian(years: f64) -> Option<Written> {
    time(51_544, 43_200.0, (years - 2000.0) * 365.25, TimeScale::Tdb)
}

/// Returns the time of a Besselian epoch, which is in Ephemeris Time.
pub(super) fn of_besselian(years: f64) -> Option<Written> {
    time(15_019, 0.81352 * DAY_S, (years - 1900.0) * 365.242_198_781, TimeScale::Tt)
}

/// Returns the time some days after another one, in UTC.
fn time(day: i64, seconds: f64, days: f64, scale: TimeScale) -> Option<Written> {
    if days.is_nan() || days.abs() >= 4.0e6 {
        return None;
    }
    let whole = days.floor();
    let seconds = seconds + (days - whole) * DAY_S;
    let more = (seconds / DAY_S).floor();
    let day = day + (whole + more) as i64;
    scale.to_utc(Written { day, seconds: Some(seconds - more * DAY_S) })
}

/// Returns the time of the epoch, with a finding. A whole year is the epoch of another quantity, and an epoch of another day
/// than the date is not precise enough to have a time of day.
pub(super) fn note(
    stated: &Stated,
    end: &End<'_>,
    place: Place<'_>,
    notes: &mut Notes,
) -> Option<Written> {
    let (keyword, years, time) = stated.epoch.filter(|_| stated.mjd.is_none())?;
    let time = time.filter(|_| years.fract() != 0.0);
    let time = time.filter(|time| stated.date.is_none_or(|date| date.day == time.day));
    let column = end.mjd_column;
    match time {
        Some(time) => {
            let message = format!(
                "no keyword but {keyword} = {years} has the time of the observation: {column} is {}",
                time.iso()
            );
            notes.find(place, RefusalCode::TIME_FROM_EPOCH, keyword, message);
        }
        None if stated.date.is_none() => {
            let message = format!(
                "no keyword has the time of the observation, and {keyword} = {years} is a whole year, or before the leap seconds of 1972: {column} is NULL"
            );
            notes.find(place, RefusalCode::TIME_OF_DAY_MISSING, keyword, message);
        }
        None => {}
    }
    time
}
