//! Expectations: columns that must have a value, and the consequence when they have none.

use model::RefusalCode;
use model::profile::Missing;

use super::cell::Cell;
use super::frame::Frame;
use super::multiframe::Exposure;
use super::notes::{Notes, Place};
use super::plan::{Expected, Plan};
use super::row::Row;

/// Checks the rows of a frame, and that a frame has a catalogue whose type has one.
pub(super) fn check(
    rows: &[Row<'_>],
    frame: &Frame<'_>,
    exposure: Exposure<'_>,
    (plan, is_companion): (&Plan, bool),
    notes: &mut Notes,
) {
    let name = exposure.frame_type_name();
    let place = Place { file: frame.file(), hdu: None };
    if exposure.frame_type.is_some_and(|rule| rule.catalogue) && frame.input.catalogue.is_none() {
        let message = format!("frames of type {name} have a catalogue, and none has arrived");
        notes.find(place, RefusalCode::CATALOGUE_ABSENT, name, message);
    }
    for expected in &plan.expected {
        let applies = expected.frames.is_empty() || expected.frames.iter().any(|g| g.fits(name));
        let has_none = (expected.of_catalogue && frame.catalogue().is_none())
            || (expected.of_image && is_companion);
        if !applies || has_none {
            continue;
        }
        for _ in rows.iter().filter(|row| lacks(row, expected)) {
            report(expected, place, notes);
        }
    }
}

fn lacks(row: &Row<'_>, expected: &Expected) -> bool {
    row.kind == expected.kind && row.cells[expected.position] == Cell::Null
}

fn report(expected: &Expected, place: Place<'_>, notes: &mut Notes) {
    let table = expected.kind.sheet().table;
    let column = &table.columns[expected.position].name;
    let subject = expected.subject.as_str();
    let message = format!("{}.{column} has no value ({subject})", table.name);
    match expected.missing {
        Missing::Null => {}
        Missing::Finding => notes.find(place, RefusalCode::KEYWORD_MISSING, subject, message),
        Missing::Refuse if notes.refused => {} // once is enough
        Missing::Refuse => {
            notes.refuse(place, RefusalCode::KEYWORD_MISSING, Some(subject), message)
        }
    }
}
