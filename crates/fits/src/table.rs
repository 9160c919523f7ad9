//! Tables: rows are read in batches, columns decoded from them.

use std::ops::Range;

use crate::cells::Rows;
use crate::column::{Column, ascii_columns, binary_columns};
use crate::error::{FitsError, FitsFault};
use crate::file::FitsFile;
use crate::hdu::{Hdu, HduIndex, HduKind};
use crate::heap::{Descriptor, Heap};
use crate::structure::bad_value;

/// A batch of rows of this size stays in the second-level cache while its columns are decoded.
const BATCH_BYTES: u64 = 256 << 10;

/// A table of a file. A compressed image's or table's own rows can be read too.
#[derive(Debug)]
pub struct Table<'a> {
    file: &'a FitsFile,
    hdu: &'a Hdu,
    columns: Vec<Column>,
    rows: u64,
    row_bytes: u64,
    heap: Heap,
}

impl FitsFile {
    /// Returns the table of an HDU: binary, ASCII, or the stored table of a compressed image or table.
    ///
    /// # Errors
    /// The HDU's own fault, [`FitsFault::WrongKind`], or a fault in TFIELDS, TFORMn, TBCOLn, THEAP, ...
    pub fn table(&self, index: HduIndex) -> Result<Table<'_>, FitsError> {
        let hdu = self.sound_hdu(index)?;
        Table::new(self, hdu).map_err(|fault| self.error_in(index, fault))
    }
}

impl<'a> Table<'a> {
    fn new(file: &'a FitsFile, hdu: &'a Hdu) -> Result<Self, FitsFault> {
        let is_ascii = match hdu.kind {
            HduKind::AsciiTable => true,
            HduKind::BinTable | HduKind::CompressedTable | HduKind::CompressedImage => false,
            HduKind::Other => {
                return Err(FitsFault::UnknownExtension(
                    hdu.header.text("XTENSION").unwrap_or("").into(),
                ));
            }
            _ => {
                return Err(FitsFault::WrongKind { found: hdu.kind.in_words(), wanted: "a table" });
            }
        };
        let &[row_bytes, rows] = hdu.axes.as_slice() else {
            return Err(bad_value("NAXIS", hdu.axes.len() as i64, "not 2, as a table needs"));
        };
        let columns = if is_ascii {
            ascii_columns(&hdu.header, row_bytes)?
        } else {
            binary_columns(&hdu.header, row_bytes)?
        };
        let heap = heap(hdu, rows * row_bytes)?;
        Ok(Self { file, hdu, columns, rows, row_bytes, heap })
    }

    /// Returns the HDU of the table.
    pub fn hdu(&self) -> &'a Hdu {
        self.hdu
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns the number of bytes of a row.
    pub fn row_bytes(&self) -> u64 {
        self.row_bytes
    }

    /// Returns the columns in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Returns the first column of this name, regardless of case, as the standard requires.
    pub fn column(&self, name: &str) -> Option<&Column> {
        let is_it = |column: &&Column| {
            column.name.as_deref().is_some_and(|other| other.eq_ignore_ascii_case(name))
        };
        self.columns.iter().find(is_it)
    }

    /// Returns the heap after the rows.
    pub fn heap(&self) -> Heap {
        self.heap
    }

    /// Returns the number of rows to read at a time: at least one, and no more than a cache holds.
    pub fn batch_rows(&self) -> u64 {
        (BATCH_BYTES / self.row_bytes.max(1)).max(1)
    }

    /// Returns row ranges that cover the table, each of [`Table::batch_rows`]. There are none when the rows have no bytes,
    /// whatever their number: such a table holds nothing, and its header alone could claim any number of rows.
    pub fn batches(&self) -> impl Iterator<Item = Range<u64>> + use<> {
        let rows = if self.row_bytes == 0 { 0 } else { self.rows };
        let step = self.batch_rows();
        (0..rows).step_by(step as usize).map(move |first| first..rows.min(first + step))
    }

    /// Reads rows as stored, into `scratch` unless they are already in memory.
    ///
    /// # Errors
    /// [`FitsFault::NoSuchRows`], [`FitsFault::TooLarge`] beyond [`crate::Limits::piece_bytes`], [`FitsFault::Io`].
    pub fn read_rows<'b>(
        &'b self,
        range: Range<u64>,
        scratch: &'b mut Vec<u8>,
    ) -> Result<Rows<'b>, FitsError> {
        let rows = self.rows_of(range, scratch);
        rows.map_err(|fault| self.error(fault))
    }

    fn rows_of<'b>(
        &'b self,
        range: Range<u64>,
        scratch: &'b mut Vec<u8>,
    ) -> Result<Rows<'b>, FitsFault> {
        let no_such_rows =
            FitsFault::NoSuchRows { first: range.start, end: range.end, rows: self.rows };
        if range.start > range.end || range.end > self.rows {
            return Err(no_such_rows);
        }
        let count = range.end - range.start;
        let bytes = self.piece("a batch of rows", count.checked_mul(self.row_bytes))?;
        let offset = self.hdu.data_offset + range.start * self.row_bytes;
        let bytes = self.file.read_range(offset, bytes, scratch)?;
        Rows::new(bytes, self.row_bytes as usize, range.start, count as usize).ok_or(no_such_rows)
    }

    /// Returns the bytes of a heap array, read into `scratch` unless they are already in memory.
    ///
    /// # Errors
    /// [`FitsFault::OutsideHeap`], [`FitsFault::TooLarge`] beyond [`crate::Limits::piece_bytes`], [`FitsFault::Io`].
    pub fn read_array<'b>(
        &'b self,
        column: &Column,
        row: u64,
        array: Descriptor,
        scratch: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], FitsError> {
        let located = self.heap.locate(column, row, array).and_then(|(offset, bytes)| {
            let bytes = self.piece("an array of the heap", Some(bytes))?;
            self.file.read_range(offset, bytes, scratch)
        });
        located.map_err(|fault| self.error(fault))
    }

    /// Returns `fault` with this file and HDU.
    pub fn error(&self, fault: FitsFault) -> FitsError {
        self.file.error_in(self.hdu.index, fault)
    }

    fn piece(&self, what: &'static str, bytes: Option<u64>) -> Result<usize, FitsFault> {
        let allowed = self.file.limits().piece_bytes;
        match bytes {
            Some(bytes) if bytes <= allowed as u64 => Ok(bytes as usize),
            _ => Err(FitsFault::TooLarge {
                what,
                wanted: bytes.unwrap_or(u64::MAX),
                allowed: allowed as u64,
            }),
        }
    }
}

/// Returns the heap: PCOUNT bytes follow the rows; THEAP, when present, counts from the first row.
fn heap(hdu: &Hdu, table_bytes: u64) -> Result<Heap, FitsFault> {
    let first = match hdu.header.integer("THEAP")? {
        None => table_bytes,
        Some(theap) => u64::try_from(theap)
            .ok()
            .filter(|theap| (table_bytes..=hdu.data_bytes).contains(theap))
            .ok_or_else(|| {
                bad_value("THEAP", theap, "not between the rows and the end of the data")
            })?,
    };
    Ok(Heap { offset: hdu.data_offset + first, bytes: hdu.data_bytes - first })
}
