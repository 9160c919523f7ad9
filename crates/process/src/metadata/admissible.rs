//! The last check of rows before they are staged: every value that an engine may refuse.
//!
//! A value that its column cannot hold becomes unknown, with a finding. One that must be known refuses the frame. So no value
//! in a batch blocks other frames.

use model::tables::{Column, ColumnType};
use model::{RefusalCode, is_clean, shown_briefly};

use super::cell::Cell;
use super::notes::{Notes, Place};
use super::row::Row;

/// Maximum number of bytes of a text. Texts of headers are short; engines index some of them and refuse long keys.
const TEXT_BYTES_MAX: usize = 1000;

/// Checks the rows of one frame, and changes values that an engine may refuse.
pub(super) fn check(rows: &mut [Row<'_>], file: &str, notes: &mut Notes) {
    let place = Place { file, hdu: None };
    for row in rows {
        let table = row.kind.sheet().table;
        for (column, cell) in table.columns.iter().zip(&mut row.cells) {
            let subject = || format!("{}.{}", table.name, column.name);
            match unfit(column, cell) {
                None => {}
                Some(Problem::Range(value)) => {
                    let message =
                        format!("{value} is outside the column's range and became unknown");
                    notes.find(place, RefusalCode::VALUE_OUT_OF_RANGE, &subject(), message);
                    *cell = Cell::Null;
                }
                Some(Problem::Text(text)) => {
                    let message = format!("a text of {} bytes was cut or escaped", text.0);
                    notes.find(place, RefusalCode::TEXT_NOT_STORABLE, &subject(), message);
                    *cell = Cell::from(text.1);
                }
            }
            if *cell == Cell::Null && !column.nullable {
                let message = format!("{} has no value that can be stored", subject());
                return notes.refuse(
                    place,
                    RefusalCode::VALUE_MISSING,
                    column.keyword.as_deref(),
                    message,
                );
            }
        }
    }
}

enum Problem {
    /// The value, as shown.
    Range(String),
    /// Length of the text, and the part of it that can be stored.
    Text((usize, String)),
}

fn unfit(column: &Column, cell: &Cell<'_>) -> Option<Problem> {
    match cell {
        Cell::Int(value) => {
            (!holds_integer(column, *value)).then(|| Problem::Range(value.to_string()))
        }
        Cell::Float(value) => {
            (!holds_float(column, *value)).then(|| Problem::Range(value.to_string()))
        }
        Cell::Text(text) if text.len() > TEXT_BYTES_MAX || !is_clean(text) => {
            Some(Problem::Text((text.len(), shown_briefly(text, TEXT_BYTES_MAX))))
        }
        Cell::Null | Cell::Bool(_) | Cell::Text(_) | Cell::Bytes(_) => None,
    }
}

fn holds_integer(column: &Column, value: i64) -> bool {
    let fits = match column.kind {
        ColumnType::I16 => i16::try_from(value).is_ok(),
        ColumnType::I32 => i32::try_from(value).is_ok(),
        _ => true,
    };
    fits && column.range.is_none_or(|[low, high]| (low..=high).contains(&(value as f64)))
}

fn holds_float(column: &Column, value: f64) -> bool {
    let value = if column.kind == ColumnType::F32 { f64::from(value as f32) } else { value };
    value.is_finite() && column.range.is_none_or(|[low, high]| (low..=high).contains(&value))
}

#[cfg(test)]
mod tests {
    use super::super::row::Kind;
    use super::*;

    fn checked(column: &str, cell: Cell<'static>) -> (Cell<'static>, Vec<String>, bool) {
        let mut row = Row::new(Kind::Multiframe);
        for column in &Kind::Multiframe.sheet().table.columns {
            if !column.nullable {
                let value = match column.kind {
                    ColumnType::Text => Cell::from("x"),
                    ColumnType::Bool => Cell::Bool(true),
                    ColumnType::F32 | ColumnType::F64 => Cell::Float(1.0),
                    _ => Cell::Int(1),
                };
                row.set_cell(&column.name, value);
            }
        }
        row.set_cell(column, cell);
        let mut rows = [row];
        let mut notes = Notes::default();
        check(&mut rows, "a.fit", &mut notes);
        let codes = notes.findings.iter().map(|finding| finding.code.to_string()).collect();
        (rows[0].get(column).clone(), codes, notes.refused)
    }

    #[test]
    fn values_that_no_engine_accepts_become_unknown_or_short() {
        let long = "x".repeat(5000);
        let cut = format!("{}…", "x".repeat(1000));
        let range = vec!["value_out_of_range".to_owned()];
        let text = vec!["text_not_storable".to_owned()];
        let cases = [
            ("object", Cell::from("M31"), Cell::from("M31"), Vec::new()),
            ("object", Cell::from("M31\0"), Cell::from("M31\\x00"), text.clone()),
            ("object", Cell::from(long), Cell::from(cut), text),
            ("night", Cell::Int(1 << 31), Cell::Null, range.clone()),
            ("file_bytes", Cell::Int(1 << 62), Cell::Int(1 << 62), Vec::new()),
            ("exp_time", Cell::Float(f64::INFINITY), Cell::Null, range),
        ];
        for (column, cell, wanted, codes) in cases {
            assert_eq!(checked(column, cell.clone()), (wanted, codes, false), "{column} {cell:?}");
        }
        assert!(checked("file_name", Cell::Null).2, "a frame without a name cannot be stored");
    }
}
