//! Columns of a table, described by TFORMn and its companions (FITS 4.0, sections 7.2 and 7.3).

use crate::card::{Value, float};
use crate::error::FitsFault;
use crate::header::Header;
use crate::structure::{bad_value, not_negative};

/// The type of one element of a binary table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// L: T, F or undefined, one byte.
    Logical,
    /// X: bits, packed from the highest.
    Bit,
    /// B: unsigned byte.
    Byte,
    /// I: 16-bit integer.
    Short,
    /// J: 32-bit integer.
    Int,
    /// K: 64-bit integer.
    Long,
    /// A: character.
    Text,
    /// E: 32-bit float.
    Float,
    /// D: 64-bit float.
    Double,
    /// C: pair of 32-bit floats.
    ComplexFloat,
    /// M: pair of 64-bit floats.
    ComplexDouble,
}

impl Element {
    fn of_letter(letter: u8) -> Option<Self> {
        Some(match letter {
            b'L' => Self::Logical,
            b'X' => Self::Bit,
            b'B' => Self::Byte,
            b'I' => Self::Short,
            b'J' => Self::Int,
            b'K' => Self::Long,
            b'A' => Self::Text,
            b'E' => Self::Float,
            b'D' => Self::Double,
            b'C' => Self::ComplexFloat,
            b'M' => Self::ComplexDouble,
            _ => return None,
        })
    }

    /// Returns the number of bytes of `count` elements; bits are packed.
    pub fn bytes(self, count: u64) -> Option<u64> {
        let each = match self {
            Self::Bit => return Some(count.div_ceil(8)),
            Self::Logical | Self::Byte | Self::Text => 1,
            Self::Short => 2,
            Self::Int | Self::Float => 4,
            Self::Long | Self::Double | Self::ComplexFloat => 8,
            Self::ComplexDouble => 16,
        };
        count.checked_mul(each)
    }

    /// Returns true for B, I, J and K.
    pub fn is_integer(self) -> bool {
        matches!(self, Self::Byte | Self::Short | Self::Int | Self::Long)
    }

    /// Returns true for E and D.
    pub fn is_float(self) -> bool {
        matches!(self, Self::Float | Self::Double)
    }
}

/// The format in which an ASCII table writes a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AsciiKind {
    /// Aw.
    Text,
    /// Iw.
    Integer,
    /// Fw.d, Ew.d or Dw.d.
    Real,
}

/// The storage of a column's cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnKind {
    /// In the row.
    Cells(Element),
    /// An array descriptor in the row, the elements in the heap.
    Arrays {
        /// The type of the arrays' elements.
        element: Element,
        /// True for 64-bit descriptors (Q), false for 32-bit ones (P).
        wide: bool,
    },
    /// As text, in an ASCII table.
    Ascii(AsciiKind),
}

/// TNULLn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Null {
    /// The stored integer that means undefined.
    Integer(i64),
    /// The text that means undefined, in an ASCII table.
    Text(String),
}

/// One column of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Number of the column, from 1.
    pub number: usize,
    /// TTYPEn.
    pub name: Option<String>,
    /// TFORMn as written.
    pub tform: String,
    /// The storage of the cells.
    pub kind: ColumnKind,
    /// Elements in a cell; for arrays in the heap 0 or 1 descriptors, for bits and characters their number.
    pub repeat: usize,
    /// Offset of the cell in its row, in bytes.
    pub offset: usize,
    /// Number of bytes of the cell.
    pub bytes: usize,
    /// TUNITn.
    pub unit: Option<String>,
    /// TSCALn; `None` when absent.
    pub tscal: Option<f64>,
    /// TZEROn; `None` when absent.
    pub tzero: Option<f64>,
    /// TNULLn; `None` when absent.
    pub tnull: Option<Null>,
    /// TDISPn.
    pub tdisp: Option<String>,
    /// TDIMn as written.
    pub tdim: Option<String>,
    /// The axes of TDIMn, fastest first; empty when absent, malformed, or larger than the cell.
    pub shape: Vec<usize>,
}

impl Column {
    /// Returns TTYPEn, or `#n` for a column without one.
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("#{}", self.number))
    }

    /// Returns TSCALn, or 1.
    pub fn scale(&self) -> f64 {
        self.tscal.unwrap_or(1.0)
    }

    /// Returns TZEROn, or 0.
    pub fn zero(&self) -> f64 {
        self.tzero.unwrap_or(0.0)
    }

    /// Returns the type of the elements in the cells, or in the arrays of the heap; `None` in an ASCII table.
    pub fn element(&self) -> Option<Element> {
        match self.kind {
            ColumnKind::Cells(element) | ColumnKind::Arrays { element, .. } => Some(element),
            ColumnKind::Ascii(_) => None,
        }
    }

    /// Returns the TZERO to add to whole numbers whose physical values are whole too (TSCAL 1, TZERO whole). Unsigned integers
    /// are also written in this way.
    pub fn integer_zero(&self) -> Option<i128> {
        let is_integer = match self.kind {
            ColumnKind::Ascii(kind) => kind == AsciiKind::Integer,
            _ => self.element().is_some_and(Element::is_integer),
        };
        let zero = self.zero();
        (is_integer && self.scale() == 1.0 && zero.fract() == 0.0 && zero.abs() < 2e19)
            .then_some(zero as i128)
    }

    pub(crate) fn wrong_type(&self, wanted: &'static str) -> FitsFault {
        FitsFault::ColumnType { column: self.label(), tform: self.tform.clone(), wanted }
    }
}

/// Returns the columns of a binary table; they must fill a row of `row_bytes` exactly.
///
/// # Errors
/// A missing or malformed TFIELDS or TFORMn, or [`FitsFault::RowLength`].
pub fn binary_columns(header: &Header, row_bytes: u64) -> Result<Vec<Column>, FitsFault> {
    let mut columns = Vec::new();
    let mut offset = 0_u64;
    for number in 1..=field_count(header)? {
        let tform = tform(header, number)?;
        let format = parse_binary(tform)
            .filter(|format| offset + format.bytes <= u64::from(u32::MAX))
            .ok_or_else(|| bad_format(number, tform))?;
        let mut column = described(header, number, tform, format.kind)?;
        column.repeat = format.repeat as usize;
        column.offset = offset as usize;
        column.bytes = format.bytes as usize;
        column.shape = shape(&column);
        offset += format.bytes;
        columns.push(column);
    }
    if offset != row_bytes {
        return Err(FitsFault::RowLength { row_bytes, column_bytes: offset });
    }
    Ok(columns)
}

/// Returns the columns of an ASCII table; they may overlap and leave gaps, but not extend beyond the row.
///
/// # Errors
/// A missing or malformed TFIELDS, TFORMn or TBCOLn, or [`FitsFault::RowLength`].
pub fn ascii_columns(header: &Header, row_bytes: u64) -> Result<Vec<Column>, FitsFault> {
    let mut columns = Vec::new();
    for number in 1..=field_count(header)? {
        let tform = tform(header, number)?;
        let (kind, width) = parse_ascii(tform).ok_or_else(|| bad_format(number, tform))?;
        let keyword = format!("TBCOL{number}");
        let first =
            header.integer(&keyword)?.ok_or_else(|| FitsFault::MissingKeyword(keyword.clone()))?;
        if first < 1 {
            return Err(bad_value(&keyword, first, "before the row's first byte"));
        }
        let column_bytes = first.unsigned_abs() - 1 + width;
        if column_bytes > row_bytes {
            return Err(FitsFault::RowLength { row_bytes, column_bytes });
        }
        let mut column = described(header, number, tform, ColumnKind::Ascii(kind))?;
        column.repeat = if kind == AsciiKind::Text { width as usize } else { 1 };
        column.offset = first as usize - 1;
        column.bytes = width as usize;
        columns.push(column);
    }
    Ok(columns)
}

fn field_count(header: &Header) -> Result<usize, FitsFault> {
    let count =
        header.integer("TFIELDS")?.ok_or_else(|| FitsFault::MissingKeyword("TFIELDS".into()))?;
    match not_negative("TFIELDS", count)? {
        0..=999 => Ok(count as usize),
        _ => Err(bad_value("TFIELDS", count, "more than 999")),
    }
}

fn tform(header: &Header, number: usize) -> Result<&str, FitsFault> {
    let keyword = format!("TFORM{number}");
    match header.value(&keyword) {
        Some(Value::Text(text)) => Ok(text),
        None if header.card(&keyword).is_none() => Err(FitsFault::MissingKeyword(keyword)),
        _ => {
            let found = header.card(&keyword).map(|card| card.written()).unwrap_or_default();
            Err(FitsFault::WrongType { keyword, found, wanted: "a string" })
        }
    }
}

fn bad_format(column: usize, found: &str) -> FitsFault {
    FitsFault::BadFormat { column, found: found.to_owned() }
}

struct BinaryFormat {
    kind: ColumnKind,
    repeat: u64,
    bytes: u64,
}

/// Parses rT, rAw, or rPt(max) and rQt(max); text after a plain letter is ignored.
fn parse_binary(tform: &str) -> Option<BinaryFormat> {
    let tform = tform.trim().to_ascii_uppercase();
    let digits = tform.bytes().take_while(u8::is_ascii_digit).count();
    let repeat = if digits == 0 { 1 } else { tform[..digits].parse().ok()? };
    let mut letters = tform[digits..].bytes();
    let letter = letters.next()?;
    if letter == b'P' || letter == b'Q' {
        let element = Element::of_letter(letters.next()?)?;
        let wide = letter == b'Q';
        let bytes = repeat * if wide { 16 } else { 8 };
        let kind = ColumnKind::Arrays { element, wide };
        return (repeat <= 1).then_some(BinaryFormat { kind, repeat, bytes });
    }
    let element = Element::of_letter(letter)?;
    let bytes = element.bytes(repeat).filter(|&bytes| bytes <= u64::from(u32::MAX))?;
    Some(BinaryFormat { kind: ColumnKind::Cells(element), repeat, bytes })
}

/// Parses Aw, Iw, Fw.d, Ew.d or Dw.d.
fn parse_ascii(tform: &str) -> Option<(AsciiKind, u64)> {
    let tform = tform.trim().to_ascii_uppercase();
    let (letter, rest) = tform.split_at_checked(1)?;
    let kind = match letter {
        "A" => AsciiKind::Text,
        "I" => AsciiKind::Integer,
        "F" | "E" | "D" => AsciiKind::Real,
        _ => return None,
    };
    let width = rest.split('.').next()?;
    let width = if width.is_empty() { 1 } else { width.parse().ok()? };
    (1..=u64::from(u32::MAX)).contains(&width).then_some((kind, width))
}

/// Returns the column with the values of TTYPEn, TUNITn, TSCALn, ...
fn described(
    header: &Header,
    number: usize,
    tform: &str,
    kind: ColumnKind,
) -> Result<Column, FitsFault> {
    let text = |stem: &str| header.text(&format!("{stem}{number}")).map(str::to_owned);
    let scaled = !matches!(
        kind,
        ColumnKind::Cells(Element::Text | Element::Logical | Element::Bit)
            | ColumnKind::Ascii(AsciiKind::Text)
    );
    let factor =
        |stem: &str| if scaled { header.number(&format!("{stem}{number}")) } else { Ok(None) };
    Ok(Column {
        number,
        name: text("TTYPE").filter(|name| !name.is_empty()),
        tform: tform.to_owned(),
        kind,
        repeat: 0,
        offset: 0,
        bytes: 0,
        unit: text("TUNIT").filter(|unit| !unit.is_empty()),
        tscal: factor("TSCAL")?,
        tzero: factor("TZERO")?,
        tnull: null(header, number, kind)?,
        tdisp: text("TDISP"),
        tdim: text("TDIM"),
        shape: Vec::new(),
    })
}

/// Reads TNULLn, which has a meaning for integers, and as text in ASCII tables; elsewhere it is ignored.
fn null(header: &Header, number: usize, kind: ColumnKind) -> Result<Option<Null>, FitsFault> {
    let keyword = format!("TNULL{number}");
    match kind {
        ColumnKind::Ascii(_) => Ok(header.text(&keyword).map(|text| Null::Text(text.to_owned()))),
        ColumnKind::Cells(element) | ColumnKind::Arrays { element, .. } if element.is_integer() => {
            Ok(header.integer(&keyword)?.map(Null::Integer))
        }
        _ => Ok(None),
    }
}

/// Returns the axes `(n1,n2,…)` of TDIMn when their product fits the cell.
fn shape(column: &Column) -> Vec<usize> {
    let inside = column
        .tdim
        .as_deref()
        .map(str::trim)
        .and_then(|text| text.strip_prefix('(')?.strip_suffix(')'));
    let axes: Option<Vec<usize>> =
        inside.and_then(|text| text.split(',').map(|axis| axis.trim().parse().ok()).collect());
    let in_cell = matches!(column.kind, ColumnKind::Cells(_));
    axes.filter(|axes| {
        let product = axes.iter().try_fold(1_usize, |product, &axis| product.checked_mul(axis));
        in_cell && product.is_some_and(|product| product <= column.repeat)
    })
    .unwrap_or_default()
}

/// Returns the number that a cell of an ASCII table holds; `None` when it is not a number. E and D exponents and surrounding
/// blanks are accepted.
///
/// A missing decimal point is not supplied: the standard deprecates it, and writers mean what they print.
pub(crate) fn ascii_number(cell: &[u8]) -> Option<f64> {
    float(cell.trim_ascii())
}
