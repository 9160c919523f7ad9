//! One value of a row, and its conversion from a header card.

use fits::Value;
use model::profile::NumberFormat;
use model::tables::ColumnType;
use std::borrow::Cow;
use std::str::FromStr;

use super::{sexagesimal, time};
use crate::header_view::as_written;

/// One value of a row. Texts borrow from the headers until the row is appended.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Cell<'f> {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'f, str>),
    Bytes(Vec<u8>),
}

impl From<i64> for Cell<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<model::MultiframeId> for Cell<'_> {
    fn from(id: model::MultiframeId) -> Self {
        Self::Int(id.get())
    }
}

impl From<model::ProgrammeId> for Cell<'_> {
    fn from(id: model::ProgrammeId) -> Self {
        Self::Int(id.into())
    }
}

impl From<model::SurveyId> for Cell<'_> {
    fn from(id: model::SurveyId) -> Self {
        Self::Int(id.into())
    }
}

impl From<i32> for Cell<'_> {
    fn from(value: i32) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<i16> for Cell<'_> {
    fn from(value: i16) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<f64> for Cell<'_> {
    fn from(value: f64) -> Self {
        if value.is_finite() { Self::Float(value) } else { Self::Null }
    }
}

impl From<bool> for Cell<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl<'f> From<&'f str> for Cell<'f> {
    fn from(value: &'f str) -> Self {
        Self::Text(Cow::Borrowed(value))
    }
}

impl From<String> for Cell<'_> {
    fn from(value: String) -> Self {
        Self::Text(Cow::Owned(value))
    }
}

impl From<Vec<u8>> for Cell<'_> {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl<'f, T: Into<Cell<'f>>> From<Option<T>> for Cell<'f> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The reason why a card's value does not become a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// The value holds nothing: undefined, blank, or a text that means no value.
    NoValue,
    /// The value is of another type than the column.
    Mistyped,
    /// The value is of the column's type but invalid.
    OutOfRange,
}

/// The rules for reading the values of one column.
#[derive(Clone, Debug)]
pub(super) struct Taking {
    pub kind: ColumnType,
    /// True when the column holds a time as ISO 8601 text.
    pub time: bool,
    /// True when numbers may be written as texts.
    pub text_numbers: bool,
    /// True when a number or logical value becomes the text of the column.
    pub as_text: bool,
    pub format: NumberFormat,
    pub scale: f64,
    pub add: f64,
    pub range: Option<[f64; 2]>,
}

impl Taking {
    /// Makes a cell of a card's value.
    pub fn take<'f>(&self, value: Value<'f>, null_texts: &[String]) -> Result<Cell<'f>, Unfit> {
        if let Value::Text(text) = value {
            let text = text.trim();
            if text.is_empty() || null_texts.iter().any(|n| n.eq_ignore_ascii_case(text)) {
                return Err(Unfit::NoValue);
            }
        }
        if value == Value::Undefined {
            return Err(Unfit::NoValue);
        }
        match self.kind {
            ColumnType::I16 => self.whole(value, i64::from(i16::MIN), i64::from(i16::MAX)),
            ColumnType::I32 => self.whole(value, i64::from(i32::MIN), i64::from(i32::MAX)),
            ColumnType::I64 => self.whole(value, i64::MIN, i64::MAX),
            ColumnType::F32 | ColumnType::F64 => self.number(value),
            ColumnType::Bool => match value {
                Value::Logical(truth) => Ok(Cell::Bool(truth)),
                _ => Err(Unfit::Mistyped),
            },
            ColumnType::Text => self.text(value),
            ColumnType::Bytes => Err(Unfit::Mistyped),
        }
    }

    fn text<'f>(&self, value: Value<'f>) -> Result<Cell<'f>, Unfit> {
        let Value::Text(text) = value else {
            let written = as_written(value).filter(|_| self.as_text);
            return written.map(Cell::from).ok_or(Unfit::Mistyped);
        };
        let text = text.trim();
        if self.time {
            let written = time::parse(text).ok_or(Unfit::Mistyped)?;
            // The year of DD/MM/YY has two digits: in ISO 8601 text it has four.
            let is_iso = !text.contains('/') && !time::has_blank(text);
            return Ok(if is_iso { text.into() } else { written.iso().into() });
        }
        Ok(text.into())
    }

    /// Returns the number of a text.
    fn parsed<T: FromStr>(&self, text: &str) -> Result<T, Unfit> {
        let text = Some(text.trim()).filter(|_| self.text_numbers);
        text.and_then(|text| text.parse().ok()).ok_or(Unfit::Mistyped)
    }

    fn number<'f>(&self, value: Value<'f>) -> Result<Cell<'f>, Unfit> {
        let number = match value {
            Value::Text(text) if self.format != NumberFormat::Number => {
                sexagesimal::read(text, self.format).ok_or(Unfit::Mistyped)?
            }
            _ if self.format != NumberFormat::Number => return Err(Unfit::Mistyped),
            Value::Integer(number) => number as f64,
            Value::Float(number) => number,
            Value::BigInteger(digits) => digits.parse().map_err(|_| Unfit::Mistyped)?,
            Value::Text(text) => self.parsed(text)?,
            _ => return Err(Unfit::Mistyped),
        };
        let number = number * self.scale + self.add;
        if self.kind == ColumnType::F32 && number.abs() > f64::from(f32::MAX) {
            return Err(Unfit::OutOfRange);
        }
        self.within(number)?;
        Ok(Cell::Float(number))
    }

    fn whole<'f>(&self, value: Value<'f>, lowest: i64, highest: i64) -> Result<Cell<'f>, Unfit> {
        if self.format != NumberFormat::Number {
            let Cell::Float(number) = self.number(value)? else { return Err(Unfit::Mistyped) };
            return self.in_limits(whole_of(number)?, lowest, highest);
        }
        let number = match value {
            Value::Integer(number) => number,
            Value::Float(number) => whole_of(number)?,
            Value::BigInteger(_) => return Err(Unfit::OutOfRange),
            Value::Text(text) => self.parsed(text)?,
            _ => return Err(Unfit::Mistyped),
        };
        let is_plain = self.scale == 1.0 && self.add == 0.0;
        let changed = || whole_of(number as f64 * self.scale + self.add);
        self.in_limits(if is_plain { number } else { changed()? }, lowest, highest)
    }

    fn in_limits<'f>(&self, number: i64, lowest: i64, highest: i64) -> Result<Cell<'f>, Unfit> {
        self.within(number as f64)?;
        if number < lowest || number > highest {
            return Err(Unfit::OutOfRange);
        }
        Ok(Cell::Int(number))
    }

    fn within(&self, number: f64) -> Result<(), Unfit> {
        let fits = number.is_finite()
            && self.range.is_none_or(|[low, high]| (low..=high).contains(&number));
        if fits { Ok(()) } else { Err(Unfit::OutOfRange) }
    }
}

/// Converts a float to a whole number: `5.0` counts as 5; beyond 2^53 a float is not an exact whole number.
fn whole_of(number: f64) -> Result<i64, Unfit> {
    if number.fract() != 0.0 {
        return Err(Unfit::Mistyped);
    }
    if number.abs() > 9.0e15 {
        return Err(Unfit::OutOfRange);
    }
    Ok(number as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taking(kind: ColumnType) -> Taking {
        Taking {
            kind,
            time: false,
            text_numbers: false,
            as_text: false,
            format: NumberFormat::Number,
            scale: 1.0,
            add: 0.0,
            range: None,
        }
    }

    #[test]
    fn values_become_cells_of_their_column() {
        let (int, float) = (taking(ColumnType::I16), taking(ColumnType::F64));
        let text = taking(ColumnType::Text);
        let loose = Taking { text_numbers: true, ..taking(ColumnType::I32) };
        let hours = Taking { scale: 1.0 / 3600.0, ..taking(ColumnType::F64) };
        let declination = Taking { range: Some([-90.0, 90.0]), ..taking(ColumnType::F64) };
        let time = Taking { time: true, ..taking(ColumnType::Text) };
        let written = Taking { as_text: true, ..taking(ColumnType::Text) };
        let julian = Taking { add: -2_400_000.5, ..taking(ColumnType::F64) };
        let next = Taking { scale: 2.0, add: 1.0, ..taking(ColumnType::I16) };
        let angle =
            Taking { format: NumberFormat::SexagesimalH, scale: 15.0, ..taking(ColumnType::F64) };
        let cases = [
            (&int, Value::Integer(7), Ok(Cell::Int(7))),
            (&int, Value::Float(7.0), Ok(Cell::Int(7))), // written by a program that knows floats only
            (&int, Value::Float(7.5), Err(Unfit::Mistyped)),
            (&int, Value::Integer(40_000), Err(Unfit::OutOfRange)),
            (&int, Value::BigInteger("99999999999999999999"), Err(Unfit::OutOfRange)),
            (&int, Value::Text("7"), Err(Unfit::Mistyped)),
            (&loose, Value::Text("20071011"), Ok(Cell::Int(20_071_011))), // UTDATE of WFCAM
            (&loose, Value::Text("2007 Oct"), Err(Unfit::Mistyped)),
            (&loose, Value::Text("        "), Err(Unfit::NoValue)), // RQ_MXTAU of a real header
            (&float, Value::Integer(25), Ok(Cell::Float(25.0))),
            (&float, Value::Logical(true), Err(Unfit::Mistyped)),
            (&float, Value::Undefined, Err(Unfit::NoValue)),
            (&hours, Value::Float(7200.0), Ok(Cell::Float(2.0))),
            (&declination, Value::Float(90.5), Err(Unfit::OutOfRange)),
            (&text, Value::Text(" none "), Err(Unfit::NoValue)),
            (&text, Value::Text("K   "), Ok(Cell::from("K"))),
            (&text, Value::Integer(5), Err(Unfit::Mistyped)),
            (&written, Value::Integer(1), Ok("1".into())), // PROGRMID of ZTF
            (&written, Value::Float(1.5), Ok("1.5".into())),
            (&written, Value::Logical(true), Ok("T".into())),
            (&written, Value::Text("K "), Ok("K".into())),
            (&julian, Value::Float(2_457_124.25), Ok(Cell::Float(57_123.75))),
            (&next, Value::Integer(3), Ok(Cell::Int(7))),
            (&next, Value::Integer(20_000), Err(Unfit::OutOfRange)),
            (&angle, Value::Text("12:30:00"), Ok(Cell::Float(187.5))),
            (&angle, Value::Text("12.5"), Err(Unfit::Mistyped)),
            (&angle, Value::Float(12.5), Err(Unfit::Mistyped)), // hours or degrees?
            (&time, Value::Text("2007-10-11T13:12:05.560"), Ok("2007-10-11T13:12:05.560".into())),
            (
                &time,
                Value::Text("2007-10-11 13:12:05.560"),
                Ok("2007-10-11T13:12:05.56".to_owned().into()),
            ),
            (&time, Value::Text("2007-10-11T23:59:60.5"), Err(Unfit::Mistyped)),
            (&time, Value::Text("11/10/97"), Ok("1997-10-11".to_owned().into())),
            (&time, Value::Text("11.10.1997"), Err(Unfit::Mistyped)),
        ];
        let null_texts = ["NONE".to_owned()];
        for (taking, value, wanted) in cases {
            assert_eq!(taking.take(value, &null_texts), wanted, "{value:?} for {:?}", taking.kind);
        }
    }
}
