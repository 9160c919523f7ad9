//! Binary tables, from columns or from rows that are already bytes.

use super::cards::{push_text, push_value};
use super::{Checks, HeaderBuilder, WriteFault, finish_hdu};

/// The description of a column in the header.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// TTYPEn.
    pub name: String,
    /// TFORMn, such as `1E`, `16A`, `1PB(120)`.
    pub form: String,
    /// TUNITn.
    pub unit: Option<String>,
    /// TNULLn.
    pub null: Option<i64>,
    /// TSCALn and TZEROn.
    pub scaling: Option<(f64, f64)>,
}

impl Field {
    /// Makes a column without unit, null value and scaling.
    pub fn new(name: &str, form: &str) -> Self {
        Self { name: name.into(), form: form.into(), unit: None, null: None, scaling: None }
    }

    /// Sets TUNITn.
    #[must_use]
    pub fn unit(mut self, unit: &str) -> Self {
        self.unit = Some(unit.to_owned());
        self
    }

    /// Sets TNULLn.
    #[must_use]
    pub fn null(mut self, null: i64) -> Self {
        self.null = Some(null);
        self
    }

    /// Sets TSCALn and TZEROn.
    #[must_use]
    pub fn scaled(mut self, scale: f64, zero: f64) -> Self {
        self.scaling = Some((scale, zero));
        self
    }
}

/// Values of a column as they are stored, row after row.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// TFORM `L`.
    Bool(&'a [bool]),
    /// TFORM `B`.
    U8(&'a [u8]),
    /// TFORM `I`.
    I16(&'a [i16]),
    /// TFORM `J`.
    I32(&'a [i32]),
    /// TFORM `K`.
    I64(&'a [i64]),
    /// TFORM `E`.
    F32(&'a [f32]),
    /// TFORM `D`.
    F64(&'a [f64]),
    /// TFORM `wA`: one text a row, filled with blanks to the width.
    Text(usize, &'a [&'a str]),
}

impl Values<'_> {
    fn count(&self) -> usize {
        match self {
            Self::Bool(v) => v.len(),
            Self::U8(v) => v.len(),
            Self::I16(v) => v.len(),
            Self::I32(v) => v.len(),
            Self::I64(v) => v.len(),
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
            Self::Text(_, v) => v.len(),
        }
    }

    fn form(&self, repeat: usize) -> String {
        match self {
            Self::Bool(_) => format!("{repeat}L"),
            Self::U8(_) => format!("{repeat}B"),
            Self::I16(_) => format!("{repeat}I"),
            Self::I32(_) => format!("{repeat}J"),
            Self::I64(_) => format!("{repeat}K"),
            Self::F32(_) => format!("{repeat}E"),
            Self::F64(_) => format!("{repeat}D"),
            Self::Text(width, _) => format!("{width}A"),
        }
    }

    fn push(&self, at: std::ops::Range<usize>, out: &mut Vec<u8>) {
        match self {
            Self::Bool(v) => out.extend(v[at].iter().map(|b| if *b { b'T' } else { b'F' })),
            Self::U8(v) => out.extend_from_slice(&v[at]),
            Self::I16(v) => out.extend(v[at].iter().flat_map(|v| v.to_be_bytes())),
            Self::I32(v) => out.extend(v[at].iter().flat_map(|v| v.to_be_bytes())),
            Self::I64(v) => out.extend(v[at].iter().flat_map(|v| v.to_be_bytes())),
            Self::F32(v) => out.extend(v[at].iter().flat_map(|v| v.to_be_bytes())),
            Self::F64(v) => out.extend(v[at].iter().flat_map(|v| v.to_be_bytes())),
            Self::Text(width, v) => {
                for text in &v[at] {
                    out.extend(text.bytes().chain(std::iter::repeat(b' ')).take(*width));
                }
            }
        }
    }

    fn check_width(&self, column: &str) -> Result<(), WriteFault> {
        let Self::Text(width, texts) = self else { return Ok(()) };
        match texts.iter().find(|text| text.len() > *width) {
            Some(text) => Err(WriteFault::TextWidth {
                column: column.to_owned(),
                text: (*text).to_owned(),
                width: *width,
            }),
            None => Ok(()),
        }
    }
}

/// A column and its values; several values a row make a vector column.
#[derive(Clone, Debug)]
pub struct Column<'a> {
    /// TTYPEn.
    pub name: &'a str,
    /// TUNITn; empty for none.
    pub unit: &'a str,
    /// As many as rows, or a multiple.
    pub values: Values<'a>,
}

/// Appends a binary table of `rows` rows made from columns.
///
/// # Errors
/// Columns whose values do not make `rows` rows, texts wider than their column, or a fault of the header.
pub fn bin_table(
    out: &mut Vec<u8>,
    rows: usize,
    columns: &[Column<'_>],
    header: &HeaderBuilder,
    checks: Checks,
) -> Result<(), WriteFault> {
    let mut fields = Vec::with_capacity(columns.len());
    let mut repeats = Vec::with_capacity(columns.len());
    for column in columns {
        let values = column.values.count();
        let repeat = values.checked_div(rows).unwrap_or(1);
        let whole = values == repeat * rows;
        if !whole || (matches!(column.values, Values::Text(..)) && repeat != 1) {
            return Err(WriteFault::RowCount { column: column.name.to_owned(), values, rows });
        }
        column.values.check_width(column.name)?;
        let mut field = Field::new(column.name, &column.values.form(repeat));
        if !column.unit.is_empty() {
            field = field.unit(column.unit);
        }
        fields.push(field);
        repeats.push(repeat);
    }
    let mut bytes = Vec::new();
    for row in 0..rows {
        for (column, repeat) in columns.iter().zip(&repeats) {
            column.values.push(row * repeat..(row + 1) * repeat, &mut bytes);
        }
    }
    let row_bytes = fields.iter().map(|field| form_bytes(&field.form)).sum();
    bin_table_rows(out, &fields, &Rows { row_bytes, bytes: &bytes, heap: &[] }, header, checks)
}

/// The data unit of a table, big-endian as it is stored.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// NAXIS1. The caller ensures that the fields add up to it.
    pub row_bytes: usize,
    /// All rows.
    pub bytes: &'a [u8],
    /// The heap that array descriptors point into.
    pub heap: &'a [u8],
}

/// Appends a binary table whose rows are bytes already.
///
/// # Errors
/// Bytes that are not a whole number of rows, or a fault of the header.
pub fn bin_table_rows(
    out: &mut Vec<u8>,
    fields: &[Field],
    table: &Rows<'_>,
    header: &HeaderBuilder,
    checks: Checks,
) -> Result<(), WriteFault> {
    let rows = table.bytes.len().checked_div(table.row_bytes).unwrap_or(0);
    if rows * table.row_bytes != table.bytes.len() {
        let column = "(row)".to_owned();
        return Err(WriteFault::RowCount { column, values: table.bytes.len(), rows });
    }
    let cards = header.cards()?;
    let start = out.len();
    push_structure(out, table.row_bytes, rows, table.heap.len(), fields.len());
    push_fields(out, fields)?;
    out.extend_from_slice(cards);
    finish_hdu(out, start, checks, |out| {
        out.extend_from_slice(table.bytes);
        out.extend_from_slice(table.heap);
    });
    Ok(())
}

/// Appends the cards that every binary table begins with.
pub(super) fn push_structure(
    out: &mut Vec<u8>,
    row_bytes: usize,
    rows: usize,
    heap_bytes: usize,
    fields: usize,
) {
    push_text(out, "XTENSION", "BINTABLE", "binary table extension");
    push_value(out, "BITPIX", 8, "8-bit bytes");
    push_value(out, "NAXIS", 2, "2-dimensional binary table");
    push_value(out, "NAXIS1", row_bytes, "width of table in bytes");
    push_value(out, "NAXIS2", rows, "number of rows in table");
    push_value(out, "PCOUNT", heap_bytes, "size of special data area");
    push_value(out, "GCOUNT", 1, "one data group (required keyword)");
    push_value(out, "TFIELDS", fields, "number of fields in each row");
}

/// Appends TTYPEn, TFORMn and the other known properties of each column.
pub(super) fn push_fields(out: &mut Vec<u8>, fields: &[Field]) -> Result<(), WriteFault> {
    let mut cards = HeaderBuilder::new();
    for (n, field) in (1..).zip(fields) {
        let comment = format!("label for field {n:3}");
        cards.text(&format!("TTYPE{n}"), &field.name, &comment);
        cards.text(&format!("TFORM{n}"), &field.form, form_comment(&field.form));
        if let Some(unit) = &field.unit {
            cards.text(&format!("TUNIT{n}"), unit, "physical unit of field");
        }
        if let Some(null) = field.null {
            cards.integer(&format!("TNULL{n}"), null, "value that means undefined");
        }
        if let Some((scale, zero)) = field.scaling {
            cards.number(&format!("TSCAL{n}"), scale, "scale of field");
            cards.number(&format!("TZERO{n}"), zero, "zero point of field");
        }
    }
    out.extend_from_slice(cards.cards()?);
    Ok(())
}

fn form_comment(form: &str) -> &'static str {
    match form.trim_start_matches(|c: char| c.is_ascii_digit()).bytes().next() {
        Some(b'E') => "data format of field: 4-byte REAL",
        Some(b'D') => "data format of field: 8-byte DOUBLE",
        Some(b'I') => "data format of field: 2-byte INTEGER",
        Some(b'J') => "data format of field: 4-byte INTEGER",
        Some(b'K') => "data format of field: 8-byte INTEGER",
        Some(b'A') => "data format of field: ASCII Character",
        Some(b'P' | b'Q') => "data format of field: variable length array",
        _ => "data format of field",
    }
}

/// Returns the number of bytes of one of the forms that [`Values::form`] makes.
fn form_bytes(form: &str) -> usize {
    let letter = form.trim_start_matches(|c: char| c.is_ascii_digit());
    let repeat: usize = form[..form.len() - letter.len()].parse().unwrap_or(1);
    repeat
        * match letter {
            "I" => 2,
            "J" | "E" => 4,
            "K" | "D" => 8,
            _ => 1,
        }
}
