//! The rows of a query as a table, CSV and JSON. The memory for waiting output is bounded in bytes, however long a row
//! is.

use crate::{ResultColumn, RowSink, SqlValue};
use model::shown;
use std::borrow::Cow;
use std::collections::HashSet;
use std::io::{self, Write};

/// Greatest width of a column of a table.
const MAX_WIDTH: usize = 1000;
/// Bytes of a text that are escaped or quoted at a time.
const PIECE: usize = 16 << 10;

/// Returns the shortest text that reads back as the same number.
fn number(x: f64) -> String {
    if x == x.trunc() && x.abs() < 1e15 { format!("{x:.1}") } else { format!("{x}") }
}

/// Returns a value as text; NULL is empty.
pub fn cell<'v>(value: &SqlValue<'v>) -> Cow<'v, str> {
    match *value {
        SqlValue::Null => Cow::Borrowed(""),
        SqlValue::Integer(i) => i.to_string().into(),
        SqlValue::Real(x) => number(x).into(),
        SqlValue::Text(text) => String::from_utf8_lossy(text),
        SqlValue::Blob(bytes) => files::hex(bytes).into(),
    }
}

/// Splits a text into short pieces that end between characters.
fn pieces(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let mut end = PIECE.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, rest) = text.split_at(end);
        text = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Rows and bytes that decide the widths of a table's columns.
const WIDTH_SAMPLE: (usize, usize) = (1000, 1 << 20);

/// A table: columns as wide as the longest cell of its first rows, numbers to the right.
pub struct AsTable<W: Write> {
    out: W,
    columns: Vec<String>,
    waiting: Vec<Vec<String>>,
    waiting_bytes: usize,
    layout: Option<Layout>,
}

struct Layout {
    widths: Vec<usize>,
    numeric: Vec<bool>,
}

/// Returns the number of characters of a text as shown, as they count for the width of a column.
fn width(text: &str) -> usize {
    if text.len() > 4 * MAX_WIDTH { MAX_WIDTH } else { shown(text).chars().count().min(MAX_WIDTH) }
}

fn is_numeric(cell: &str) -> bool {
    cell.is_empty() || cell.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+')
}

impl<W: Write> AsTable<W> {
    /// Makes a writer to `out`.
    pub fn new(out: W) -> Self {
        Self { out, columns: Vec::new(), waiting: Vec::new(), waiting_bytes: 0, layout: None }
    }

    /// Writes the waiting rows.
    ///
    /// # Errors
    /// Fails when it cannot be written.
    pub fn end(&mut self) -> io::Result<()> {
        if self.layout.is_some() {
            return Ok(());
        }
        let waiting = std::mem::take(&mut self.waiting);
        let mut widths: Vec<usize> = self.columns.iter().map(|name| width(name)).collect();
        let mut numeric = vec![!waiting.is_empty(); widths.len()];
        for row in &waiting {
            for (i, cell) in row.iter().enumerate() {
                widths[i] = widths[i].max(width(cell));
                numeric[i] &= is_numeric(cell);
            }
        }
        let rules: Vec<String> = widths.iter().map(|w| "-".repeat(*w)).collect();
        let layout = Layout { widths, numeric };
        let heads = std::mem::take(&mut self.columns);
        for row in [heads, rules].iter().chain(&waiting) {
            layout.line(&mut self.out, row.iter().map(|cell| Cow::Borrowed(cell.as_str())))?;
        }
        self.layout = Some(layout);
        Ok(())
    }
}

impl Layout {
    fn line<'c>(
        &self,
        out: &mut impl Write,
        cells: impl Iterator<Item = Cow<'c, str>>,
    ) -> io::Result<()> {
        // Spaces are written before the text that follows them: none at the end of a line.
        let mut spaces = 0;
        for (i, cell) in cells.enumerate() {
            let space = self.widths[i] - width(&cell).min(self.widths[i]);
            spaces += if i > 0 { 2 } else { 0 };
            spaces += if self.numeric[i] { space } else { 0 };
            if !cell.is_empty() {
                out.write_all(" ".repeat(spaces).as_bytes())?;
                spaces = 0;
                for piece in pieces(&cell) {
                    out.write_all(shown(piece).as_bytes())?;
                }
            }
            spaces += if self.numeric[i] { 0 } else { space };
        }
        out.write_all(b"\n")
    }
}

impl<W: Write> RowSink for AsTable<W> {
    fn columns(&mut self, columns: &[ResultColumn]) -> io::Result<()> {
        self.columns = columns.iter().map(|c| c.name.clone()).collect();
        Ok(())
    }

    fn row(&mut self, values: &[SqlValue<'_>]) -> io::Result<()> {
        if let Some(layout) = &self.layout {
            return layout.line(&mut self.out, values.iter().map(cell));
        }
        let cells: Vec<String> = values.iter().map(|v| cell(v).into_owned()).collect();
        self.waiting_bytes += cells.iter().map(String::len).sum::<usize>();
        self.waiting.push(cells);
        let (rows, bytes) = WIDTH_SAMPLE;
        let is_enough = self.waiting.len() >= rows || self.waiting_bytes >= bytes;
        if is_enough { self.end() } else { Ok(()) }
    }
}

/// Rows as CSV by RFC 4180; NULL is empty, an empty text is quoted, so that the two differ.
pub struct AsCsv<W: Write> {
    out: W,
}

impl<W: Write> AsCsv<W> {
    /// Makes a writer to `out`.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    fn line<'c>(&mut self, cells: impl Iterator<Item = Option<Cow<'c, str>>>) -> io::Result<()> {
        for (i, cell) in cells.enumerate() {
            if i > 0 {
                self.out.write_all(b",")?;
            }
            match cell {
                None => {}
                Some(text) if text.is_empty() || text.contains([',', '"', '\n', '\r']) => {
                    self.out.write_all(b"\"")?;
                    for (n, part) in text.split('"').enumerate() {
                        self.out.write_all(if n > 0 { b"\"\"" } else { b"" })?;
                        self.out.write_all(part.as_bytes())?;
                    }
                    self.out.write_all(b"\"")?;
                }
                Some(text) => self.out.write_all(text.as_bytes())?,
            }
        }
        self.out.write_all(b"\r\n")
    }
}

impl<W: Write> RowSink for AsCsv<W> {
    fn columns(&mut self, columns: &[ResultColumn]) -> io::Result<()> {
        self.line(columns.iter().map(|c| Some(Cow::Borrowed(c.name.as_str()))))
    }

    fn row(&mut self, values: &[SqlValue<'_>]) -> io::Result<()> {
        self.line(values.iter().map(|v| (!matches!(v, SqlValue::Null)).then(|| cell(v))))
    }
}

/// Returns names as keys of an object: of equal ones the later get a number.
fn distinct<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Vec<String> {
    let given: HashSet<&str> = names.clone().collect();
    let mut taken: HashSet<String> = HashSet::new();
    let free = |name: &str, taken: &HashSet<String>| {
        let numbered = (2..).map(|n| format!("{name}_{n}"));
        let mut free = numbered.filter(|n| !taken.contains(n) && !given.contains(n.as_str()));
        free.next().unwrap_or_default()
    };
    names
        .map(|name| {
            let name = if taken.contains(name) { free(name, &taken) } else { name.to_owned() };
            taken.insert(name.clone());
            name
        })
        .collect()
}

/// Rows as an array of objects.
pub struct AsJson<W: Write> {
    out: W,
    names: Vec<String>,
    rows: u64,
}

impl<W: Write> AsJson<W> {
    /// Makes a writer to `out`.
    pub fn new(out: W) -> Self {
        Self { out, names: Vec::new(), rows: 0 }
    }

    /// Writes the end of the array.
    ///
    /// # Errors
    /// Fails when it cannot be written.
    pub fn end(&mut self) -> io::Result<()> {
        self.out.write_all(if self.rows == 0 { b"[]\n" } else { b"\n]\n" })
    }
}

impl<W: Write> RowSink for AsJson<W> {
    fn columns(&mut self, columns: &[ResultColumn]) -> io::Result<()> {
        let names = distinct(columns.iter().map(|c| c.name.as_str()));
        self.names = names.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn row(&mut self, values: &[SqlValue<'_>]) -> io::Result<()> {
        self.out.write_all(if self.rows == 0 { b"[\n{" } else { b",\n{" })?;
        self.rows += 1;
        for (i, (name, value)) in self.names.iter().zip(values).enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(self.out, "{comma}{name}: ")?;
            match value {
                SqlValue::Null => self.out.write_all(b"null")?,
                SqlValue::Integer(n) => write!(self.out, "{n}")?,
                // JSON has no number for infinities.
                SqlValue::Real(x) if !x.is_finite() => write!(self.out, "\"{x}\"")?,
                SqlValue::Real(x) => self.out.write_all(number(*x).as_bytes())?,
                other => serde_json::to_writer(&mut self.out, &cell(other))?,
            }
        }
        self.out.write_all(b"}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[&[SqlValue<'_>]]) -> String {
        let mut out = Vec::new();
        let mut sink = AsTable::new(&mut out);
        let column = |name: &str| ResultColumn { name: name.to_owned(), declared: None };
        sink.columns(&[column("a"), column("b")]).unwrap();
        for row in rows {
            sink.row(row).unwrap();
        }
        sink.end().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_aligns_and_ends_no_line_with_spaces() {
        let text = SqlValue::Text(b"x\x1b");
        let said =
            table(&[&[text, SqlValue::Integer(7)], &[SqlValue::Null, SqlValue::Integer(-12)]]);
        assert_eq!(said, "a        b\n-----  ---\nx\\x1b    7\n       -12\n");
        assert_eq!(table(&[]), "a  b\n-  -\n");
    }

    /// Checks that cells of any length are written, although a format string of Rust takes no width beyond 65 535.
    #[test]
    fn cells_of_any_length_are_written() {
        for length in [65_534, 65_535, 65_536, 65_537, 3 << 20] {
            let long = "é".repeat(length);
            let rows: [&[SqlValue<'_>]; 2] = [
                &[SqlValue::Text(long.as_bytes()), SqlValue::Integer(1)],
                &[SqlValue::Text(b"short"), SqlValue::Integer(2)],
            ];
            let said = table(&rows);
            assert_eq!(said.lines().nth(2).unwrap().chars().filter(|c| *c == 'é').count(), length);
            assert!(said.lines().nth(3).unwrap().len() < 2 * MAX_WIDTH);
        }
    }
}
