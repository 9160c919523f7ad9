//! From keywords to cells: one row's slots, read from its headers.

use fits::{Card, Value};
use model::RefusalCode;
use model::profile::Mistyped;

use super::cell::{Cell, Unfit};
use super::notes::{Notes, Place};
use super::plan::Slot;
use super::row::Row;
use super::time;
use crate::header_view::HeaderView;

/// A header to search, and its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'f, 'p> {
    pub view: HeaderView<'f>,
    pub place: Place<'p>,
}

/// Fills the columns of a row that are copied from keywords; the first spelling with a value counts, and for each
/// the first source that has it.
pub(super) fn fill<'f>(
    row: &mut Row<'f>,
    slots: &[Slot],
    sources: &[Source<'f, '_>],
    null_texts: &[String],
    notes: &mut Notes,
) {
    for slot in slots {
        for keyword in &slot.keywords {
            let card = sources.iter().find_map(|s| s.view.card(keyword).map(|c| (c, s.place)));
            let Some((card, place)) = card else { continue };
            if let Some(cell) = take(slot, card, place, null_texts, notes) {
                row.cells[slot.position] = cell;
                break;
            }
        }
    }
}

/// Returns the cell of a card; `None` when the card has no value for it.
pub(super) fn take<'f>(
    slot: &Slot,
    card: Card<'f>,
    place: Place<'_>,
    null_texts: &[String],
    notes: &mut Notes,
) -> Option<Cell<'f>> {
    let taken = match card.value() {
        Some(value) => slot.taking.take(value, null_texts),
        None => Err(Unfit::Mistyped), // the card is malformed
    };
    let problem = match taken {
        Ok(cell) => {
            if slot.taking.time {
                note_blank(card.keyword(), card.value(), place, notes);
            }
            return Some(cell);
        }
        Err(Unfit::NoValue) => return None,
        Err(Unfit::Mistyped) => (RefusalCode::KEYWORD_MISTYPED, "of the wrong type for its column"),
        Err(Unfit::OutOfRange) => (RefusalCode::KEYWORD_OUT_OF_RANGE, "out of range"),
    };
    let keyword = card.keyword();
    let message = format!("{keyword} = {} is {}", shown(card), problem.1);
    match slot.mistyped {
        Mistyped::Finding => notes.find(place, problem.0, keyword, message),
        Mistyped::Refuse => notes.refuse(place, problem.0, Some(keyword), message),
    }
    None
}

/// Notes a time with a blank where the standard has a T.
pub(super) fn note_blank(
    keyword: &str,
    value: Option<Value<'_>>,
    place: Place<'_>,
    notes: &mut Notes,
) {
    if let Some(Value::Text(text)) = value
        && time::has_blank(text)
    {
        let message = format!("{keyword} = {text:?} has a blank where FITS has a T");
        notes.find(place, RefusalCode::TIME_SPELLING, keyword, message);
    }
}

/// Returns the value as written in the card.
fn shown(card: Card<'_>) -> String {
    let text = String::from_utf8_lossy(card.raw());
    let value = text.split_once('=').map_or(text.as_ref(), |(_, value)| value).trim_end();
    let value = value.strip_suffix(card.comment().trim_end()).unwrap_or(value);
    model::shown_briefly(value.trim().trim_end_matches('/').trim(), 200)
}
