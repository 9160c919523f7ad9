//! Ends of observations that are before their starts.

use super::super::time::{self, DAY_S, Written};
use super::{Cell, End, Notes, Place, Row};
use model::RefusalCode;

/// Seconds by which an end may precede the start: dates are cut off to whole seconds, and MJDs rounded to five digits.
const ROUNDING_S: f64 = 1.0;

/// Sets a date of the end to NULL when it is days before the start. This applies to dates of DD/MM/YY after 1999: the standard
/// puts them into the years from 1900.
pub(super) fn drop_days_before_start(
    end: &End<'_>,
    row: &mut Row<'_>,
    place: Place<'_>,
    notes: &mut Notes,
) {
    let begins = match row.float("mjd_obs") {
        Some(mjd) => Some(mjd.floor() as i64),
        None => date(row, "date_obs").map(|date| date.day),
    };
    let ends = date(row, end.date_column).map(|date| date.day);
    let Some((ends, _)) = ends.zip(begins).filter(|(ends, begins)| ends + 1 < *begins) else {
        return;
    };
    let (keyword, date) = (end.date_keyword, Written { day: ends, seconds: None }.iso());
    let message = format!("{keyword} is {date}, before the start of the observation");
    notes.find(place, RefusalCode::KEYWORD_MISTYPED, keyword, message);
    row.set(end.date_column, Cell::Null);
}

/// Sets the times of the end to NULL when they precede the start. Both are already in UTC.
pub(super) fn drop_before_start(
    end: &End<'_>,
    row: &mut Row<'_>,
    place: Place<'_>,
    notes: &mut Notes,
) {
    let Some(begins) = row.float("mjd_obs") else { return };
    let ends = [
        (end.date_column, date(row, end.date_column).and_then(Written::mjd)),
        (end.mjd_column, row.float(end.mjd_column)),
    ];
    let too_early = |(column, mjd): (_, Option<f64>)| {
        let early_s = (begins - mjd?) * DAY_S;
        (early_s > ROUNDING_S).then_some((column, early_s))
    };
    let early: Vec<(&str, f64)> = ends.into_iter().filter_map(too_early).collect();
    let Some((_, early_s)) = early.first() else { return };
    let columns: Vec<&str> = early.iter().map(|(column, _)| *column).collect();
    let message = format!(
        "the end is {early_s:.1} s before the start of the observation: {} is NULL",
        columns.join(", ")
    );
    notes.find(place, RefusalCode::TIME_CONTRADICTED, end.date_keyword, message);
    for column in columns {
        row.set(column, Cell::Null);
    }
}

fn date(row: &Row<'_>, column: &str) -> Option<Written> {
    match row.get(column) {
        Cell::Text(text) => time::parse(text),
        _ => None,
    }
}
