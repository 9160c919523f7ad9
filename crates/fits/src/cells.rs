//! Values of a column from rows as stored.
//!
//! Columns are decoded one after the other over a batch of rows that fits a cache: each loop knows its type, its
//! offset and its stride.

use std::borrow::Cow;

use crate::card::escape_controls;
use crate::column::{AsciiKind, Column, ColumnKind, Element, Null, ascii_number};
use crate::error::FitsFault;
use crate::heap::Descriptor;

/// Consecutive rows as stored.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    bytes: &'a [u8],
    row_bytes: usize,
    first: u64,
    count: usize,
}

impl<'a> Rows<'a> {
    /// Wraps `count` rows of `row_bytes` each; the first of them is row `first` of its table. Returns `None` when `bytes` has
    /// another length.
    pub fn new(bytes: &'a [u8], row_bytes: usize, first: u64, count: usize) -> Option<Self> {
        (row_bytes.checked_mul(count)? == bytes.len()).then_some(Self {
            bytes,
            row_bytes,
            first,
            count,
        })
    }

    /// Returns number of rows.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Returns true when there is no row.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the number of the first row in its table, from 0.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Returns all bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the cell of a column in the `row`-th of these rows.
    pub fn cell(&self, row: usize, column: &Column) -> &'a [u8] {
        &self.bytes[row * self.row_bytes + column.offset..][..column.bytes]
    }

    fn cells(&self, column: &Column) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (bytes, row_bytes, offset, width) =
            (self.bytes, self.row_bytes, column.offset, column.bytes);
        (0..self.count).map(move |row| &bytes[row * row_bytes + offset..][..width])
    }

    /// Converts every element of `N` bytes, row by row.
    fn each<const N: usize, T>(
        &self,
        column: &Column,
        out: &mut Vec<T>,
        convert: impl Fn([u8; N]) -> T,
    ) {
        out.reserve(self.count.saturating_mul(column.bytes / N));
        if column.bytes == N {
            let offset = column.offset;
            out.extend(self.bytes.chunks_exact(self.row_bytes).map(|row| {
                convert(
                    *row[offset..]
                        .first_chunk()
                        .expect("the columns fit the row: checked when they were made"),
                )
            }));
            return;
        }
        for cell in self.cells(column) {
            out.extend(cell.as_chunks().0.iter().map(|&element| convert(element)));
        }
    }
}

/// Physical values: stored x TSCAL + TZERO.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    scale: f64,
    zero: f64,
}

impl Scale {
    pub fn of(column: &Column) -> Option<Self> {
        let scale = Self { scale: column.scale(), zero: column.zero() };
        (scale.scale != 1.0 || scale.zero != 0.0).then_some(scale)
    }

    pub fn apply(self, stored: f64) -> f64 {
        stored * self.scale + self.zero
    }
}

impl Column {
    /// Appends the physical values as doubles, `repeat` for each row. Undefined values keep the stored value (integers) or
    /// become NaN (ASCII reals); [`Column::nulls`] marks them.
    ///
    /// # Errors
    /// [`FitsFault::ColumnType`] for text, logicals, bits, complex numbers and heap arrays; [`FitsFault::BadCell`].
    pub fn f64s(&self, rows: &Rows<'_>, out: &mut Vec<f64>) -> Result<(), FitsFault> {
        let first = out.len();
        match self.kind {
            ColumnKind::Cells(Element::Byte) => {
                rows.each(self, out, |[byte]: [u8; 1]| f64::from(byte))
            }
            ColumnKind::Cells(Element::Short) => {
                rows.each(self, out, |bytes| f64::from(i16::from_be_bytes(bytes)))
            }
            ColumnKind::Cells(Element::Int) => {
                rows.each(self, out, |bytes| f64::from(i32::from_be_bytes(bytes)))
            }
            ColumnKind::Cells(Element::Long) => {
                rows.each(self, out, |bytes| i64::from_be_bytes(bytes) as f64)
            }
            ColumnKind::Cells(Element::Float) => {
                rows.each(self, out, |bytes| f64::from(f32::from_be_bytes(bytes)))
            }
            ColumnKind::Cells(Element::Double) => rows.each(self, out, f64::from_be_bytes),
            ColumnKind::Ascii(AsciiKind::Integer | AsciiKind::Real) => {
                self.ascii_f64s(rows, out)?
            }
            _ => return Err(self.wrong_type("numbers")),
        }
        if let Some(scale) = Scale::of(self) {
            for value in &mut out[first..] {
                *value = scale.apply(*value);
            }
        }
        Ok(())
    }

    /// Appends the physical values as floats; wider ones are rounded.
    ///
    /// # Errors
    /// As [`Column::f64s`].
    pub fn f32s(&self, rows: &Rows<'_>, out: &mut Vec<f32>) -> Result<(), FitsFault> {
        if self.kind == ColumnKind::Cells(Element::Float) && Scale::of(self).is_none() {
            rows.each(self, out, f32::from_be_bytes);
            return Ok(());
        }
        let mut wide = Vec::new();
        self.f64s(rows, &mut wide)?;
        out.extend(wide.into_iter().map(|value| value as f32));
        Ok(())
    }

    /// Appends the stored integers, TSCAL and TZERO not applied. Undefined cells of an ASCII table are 0.
    ///
    /// # Errors
    /// [`FitsFault::ColumnType`] for anything but integers; [`FitsFault::BadCell`].
    pub fn stored_i64s(&self, rows: &Rows<'_>, out: &mut Vec<i64>) -> Result<(), FitsFault> {
        match self.kind {
            ColumnKind::Cells(Element::Byte) => {
                rows.each(self, out, |[byte]: [u8; 1]| i64::from(byte))
            }
            ColumnKind::Cells(Element::Short) => {
                rows.each(self, out, |bytes| i64::from(i16::from_be_bytes(bytes)))
            }
            ColumnKind::Cells(Element::Int) => {
                rows.each(self, out, |bytes| i64::from(i32::from_be_bytes(bytes)))
            }
            ColumnKind::Cells(Element::Long) => rows.each(self, out, i64::from_be_bytes),
            ColumnKind::Ascii(AsciiKind::Integer) => self.ascii_i64s(rows, out)?,
            _ => return Err(self.wrong_type("whole numbers")),
        }
        Ok(())
    }

    /// Appends the physical values of a column of whole numbers (TSCAL 1, TZERO whole; the unsigned conventions).
    ///
    /// # Errors
    /// [`FitsFault::ColumnType`] for anything else; [`FitsFault::Overflow`] beyond 63 bits; [`FitsFault::BadCell`].
    pub fn i64s(&self, rows: &Rows<'_>, out: &mut Vec<i64>) -> Result<(), FitsFault> {
        let zero = self.integer_zero().ok_or_else(|| self.wrong_type("whole numbers"))?;
        let first = out.len();
        self.stored_i64s(rows, out)?;
        if zero == 0 {
            return Ok(());
        }
        for (place, value) in out[first..].iter_mut().enumerate() {
            let physical = i128::from(*value) + zero;
            *value = i64::try_from(physical).map_err(|_| FitsFault::Overflow {
                column: self.label(),
                row: rows.first + (place / self.repeat.max(1)) as u64,
                found: physical.to_string(),
            })?;
        }
        Ok(())
    }

    /// Appends logicals (L; `None` is undefined) or bits (X), `repeat` for each row.
    ///
    /// # Errors
    /// [`FitsFault::ColumnType`] for anything else.
    pub fn bools(&self, rows: &Rows<'_>, out: &mut Vec<Option<bool>>) -> Result<(), FitsFault> {
        match self.kind {
            ColumnKind::Cells(Element::Logical) => {
                rows.each(self, out, |[byte]: [u8; 1]| logical(byte))
            }
            ColumnKind::Cells(Element::Bit) => {
                for cell in rows.cells(self) {
                    out.extend(
                        (0..self.repeat).map(|bit| Some(cell[bit / 8] >> (7 - bit % 8) & 1 == 1)),
                    );
                }
            }
            _ => return Err(self.wrong_type("logicals")),
        }
        Ok(())
    }

    /// Appends one text for each row, without trailing blanks; it ends at the first NUL. Bytes beyond 7 bits become `?`,
    /// control characters `\x..`.
    ///
    /// # Errors
    /// [`FitsFault::ColumnType`] for anything but text.
    pub fn texts<'a>(&self, rows: &Rows<'a>, out: &mut Vec<Cow<'a, str>>) -> Result<(), FitsFault> {
        if !matches!(
            self.kind,
            ColumnKind::Cells(Element::Text) | ColumnKind::Ascii(AsciiKind::Text)
        ) {
            return Err(self.wrong_type("texts"));
        }
        out.extend(rows.cells(self).map(|cell| match text(cell) {
            Cow::Borrowed(text) => escape_controls(text.trim_end_matches(' ')),
            Cow::Owned(text) => {
                Cow::Owned(escape_controls(text.trim_end_matches(' ')).into_owned())
            }
        }));
        Ok(())
    }

    /// Appends the array descriptor of each row.
    ///
    /// # Errors
    /// [`FitsFault::ColumnType`] for columns that keep their cells in the row.
    pub fn descriptors(&self, rows: &Rows<'_>, out: &mut Vec<Descriptor>) -> Result<(), FitsFault> {
        match self.kind {
            ColumnKind::Arrays { .. } if self.repeat == 0 => {
                out.extend((0..rows.count).map(|_| Descriptor::default()))
            }
            ColumnKind::Arrays { wide: false, .. } => rows.each(self, out, Descriptor::of_32_bits),
            ColumnKind::Arrays { wide: true, .. } => rows.each(self, out, Descriptor::of_64_bits),
            _ => return Err(self.wrong_type("arrays")),
        }
        Ok(())
    }

    /// Counts the values that TNULL marks as undefined, and undefined logicals.
    ///
    /// # Errors
    /// As [`Column::stored_i64s`].
    pub fn null_count(&self, rows: &Rows<'_>) -> Result<u64, FitsFault> {
        let mut nulls = Vec::new();
        self.nulls(rows, &mut nulls)?;
        Ok(nulls.iter().filter(|&&null| null).count() as u64)
    }

    /// Appends for each value whether TNULL (or a logical's 0) marks it as undefined. NaN does not count.
    ///
    /// # Errors
    /// As [`Column::stored_i64s`].
    pub fn nulls(&self, rows: &Rows<'_>, out: &mut Vec<bool>) -> Result<(), FitsFault> {
        match (self.kind, &self.tnull) {
            (ColumnKind::Ascii(_), null) => {
                out.extend(rows.cells(self).map(|cell| is_undefined(cell, null.as_ref())));
            }
            (ColumnKind::Cells(Element::Logical), _) => {
                rows.each(self, out, |[byte]: [u8; 1]| byte == 0)
            }
            (ColumnKind::Cells(element), Some(Null::Integer(null))) if element.is_integer() => {
                let mut stored = Vec::new();
                self.stored_i64s(rows, &mut stored)?;
                out.extend(stored.iter().map(|value| value == null));
            }
            (ColumnKind::Arrays { .. }, _) => out.extend((0..rows.count).map(|_| false)),
            _ => out.extend((0..rows.count.saturating_mul(self.repeat)).map(|_| false)),
        }
        Ok(())
    }

    fn ascii_f64s(&self, rows: &Rows<'_>, out: &mut Vec<f64>) -> Result<(), FitsFault> {
        let undefined =
            if self.kind == ColumnKind::Ascii(AsciiKind::Integer) { 0.0 } else { f64::NAN };
        for (row, cell) in rows.cells(self).enumerate() {
            let is_blank = cell.iter().all(|&byte| byte == b' ' || byte == 0);
            out.push(if is_blank || is_undefined(cell, self.tnull.as_ref()) {
                undefined
            } else {
                ascii_number(cell).ok_or_else(|| self.bad_cell(rows, row))?
            });
        }
        Ok(())
    }

    fn ascii_i64s(&self, rows: &Rows<'_>, out: &mut Vec<i64>) -> Result<(), FitsFault> {
        for (row, cell) in rows.cells(self).enumerate() {
            let cell = cell.trim_ascii();
            out.push(
                if cell.iter().all(|&byte| byte == 0) || is_undefined(cell, self.tnull.as_ref()) {
                    0
                } else {
                    let number = std::str::from_utf8(cell).ok().and_then(|text| text.parse().ok());
                    number.ok_or_else(|| self.bad_cell(rows, row))?
                },
            );
        }
        Ok(())
    }

    fn bad_cell(&self, rows: &Rows<'_>, row: usize) -> FitsFault {
        let found = rows.cell(row, self).escape_ascii().to_string();
        FitsFault::BadCell { column: self.label(), row: rows.first + row as u64, found }
    }
}

/// Returns true for TNULL's text, and for the asterisks that Fortran prints for a number that does not fit its field.
fn is_undefined(cell: &[u8], null: Option<&Null>) -> bool {
    let cell = cell.trim_ascii();
    let is_null = matches!(null, Some(Null::Text(null)) if null.trim().as_bytes() == cell);
    is_null || (!cell.is_empty() && cell.iter().all(|&byte| byte == b'*'))
}

pub(crate) fn logical(byte: u8) -> Option<bool> {
    match byte {
        0 => None,
        _ => Some(byte == b'T'),
    }
}

/// Returns a cell as text: up to the first NUL, bytes beyond 7 bits as `?`.
pub(crate) fn text(cell: &[u8]) -> Cow<'_, str> {
    let end = cell.iter().position(|&byte| byte == 0).unwrap_or(cell.len());
    let cell = &cell[..end];
    match std::str::from_utf8(cell) {
        Ok(text) if text.is_ascii() => Cow::Borrowed(text),
        _ => cell.iter().map(|&byte| if byte.is_ascii() { byte as char } else { '?' }).collect(),
    }
}
