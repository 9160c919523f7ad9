//! The table that holds the tiles: a row for each, in the order of the image.

use super::window::Window;
use crate::codec::CodecFault;
use crate::column::{Column, ColumnKind, Element};
use crate::error::FitsFault;
use crate::file::FitsFile;
use crate::hdu::Hdu;
use crate::header::Header;
use crate::heap::Descriptor;
use crate::pixels::Blank;
use crate::table::Table;

/// The columns that tiles are read from.
#[derive(Debug)]
pub(crate) struct TileTable<'f> {
    table: Table<'f>,
    compressed: Option<Column>,
    gzip: Option<Column>,
    plain: Option<Column>,
    null_mask: Option<Column>,
    scale: Parameter,
    zero: Parameter,
    blank: Parameter,
}

/// ZSCALE, ZZERO or ZBLANK.
#[derive(Debug)]
enum Parameter {
    Absent,
    /// A keyword: the same for all tiles.
    Fixed(f64),
    /// A column.
    Column(Box<Column>),
}

/// The stored value that integer tiles use for pixels without value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TileBlank {
    /// The same in all tiles; `None` when no pixel is blank.
    One(Option<Blank>),
    /// A value per tile, in the column ZBLANK.
    PerTile,
}

/// The last rows read, decoded; reused from batch to batch.
#[derive(Debug, Default)]
pub(crate) struct TileRows {
    bytes: Vec<u8>,
    first: u64,
    count: u64,
    compressed: Vec<Descriptor>,
    gzip: Vec<Descriptor>,
    plain: Vec<Descriptor>,
    null_mask: Vec<Descriptor>,
    scale: Vec<f64>,
    zero: Vec<f64>,
    blank: Vec<f64>,
}

/// The content of a tile's row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TileCode<'w> {
    /// The bytes.
    pub bytes: &'w [u8],
    /// The form of the code.
    pub form: CodeForm,
    /// ZSCALE; `None` when pixels are not scaled.
    pub scale: Option<f64>,
    /// ZZERO.
    pub zero: f64,
    /// ZBLANK.
    pub blank: Option<i64>,
}

/// The column of the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodeForm {
    /// COMPRESSED_DATA: by ZCMPTYPE.
    Compressed,
    /// GZIP_COMPRESSED_DATA: floats that could not be quantised, in gzip.
    Gzip,
    /// UNCOMPRESSED_DATA: pixels of this type.
    Plain(Element),
}

impl<'f> TileTable<'f> {
    /// Finds the columns.
    ///
    /// # Errors
    /// A fault of the table, a column of the wrong type, or no column for code.
    pub fn new(file: &'f FitsFile, hdu: &'f Hdu) -> Result<Self, FitsFault> {
        let table = file.table(hdu.index).map_err(|error| error.fault)?;
        let arrays = |name| match table.column(name) {
            Some(column) if !matches!(column.kind, ColumnKind::Arrays { .. }) => Err(bad(column)),
            column => Ok(column.cloned()),
        };
        let parameter = |name| match table.column(name) {
            Some(column) => match column.kind {
                ColumnKind::Cells(element)
                    if column.repeat == 1 && (element.is_integer() || element.is_float()) =>
                {
                    Ok(Parameter::Column(Box::new(column.clone())))
                }
                _ => Err(bad(column)),
            },
            None => Ok(hdu.header.number(name)?.map_or(Parameter::Absent, Parameter::Fixed)),
        };
        let compressed = arrays("COMPRESSED_DATA")?;
        if let Some(column) = &compressed
            && !matches!(column.element(), Some(Element::Byte | Element::Short))
        {
            return Err(bad(column));
        }
        let gzip = arrays("GZIP_COMPRESSED_DATA")?;
        let plain = arrays("UNCOMPRESSED_DATA")?;
        if compressed.is_none() && gzip.is_none() && plain.is_none() {
            return Err(FitsFault::MissingKeyword("TTYPEn = 'COMPRESSED_DATA'".to_owned()));
        }
        let null_mask = arrays("NULL_PIXEL_MASK")?;
        let (scale, zero) = (parameter("ZSCALE")?, parameter("ZZERO")?);
        let blank = match table.column("ZBLANK") {
            Some(_) => parameter("ZBLANK")?,
            // cfitsio takes BLANK where ZBLANK is absent, for quantised floats too.
            None => Blank::of_header(&hdu.header, &["ZBLANK", "BLANK"])
                .map_or(Parameter::Absent, |blank| Parameter::Fixed(blank.value as f64)),
        };
        Ok(Self { table, compressed, gzip, plain, null_mask, scale, zero, blank })
    }

    /// Returns the number of rows, each of a tile.
    pub fn rows(&self) -> u64 {
        self.table.rows()
    }

    /// Returns true when tiles have scales of their own: quantised floats.
    pub fn is_scaled(&self) -> bool {
        !matches!(self.scale, Parameter::Absent)
    }

    /// Returns the blank pixels of integer tiles. Every tile has a value of its own where ZBLANK is a column; otherwise one
    /// keyword holds the value of all.
    pub fn blank(&self, header: &Header) -> TileBlank {
        match self.blank {
            Parameter::Column(_) => TileBlank::PerTile,
            _ => TileBlank::One(Blank::of_header(header, &["ZBLANK", "BLANK"])),
        }
    }

    /// Returns the row and the code of a tile. `code_max` is a length that no code of such a tile exceeds.
    ///
    /// # Errors
    /// A failure to read, a descriptor out of the heap, or a tile without code or with too much.
    pub fn code<'w>(
        &self,
        file: &FitsFile,
        tile: u64,
        code_max: u64,
        rows: &mut TileRows,
        window: &'w mut Window,
    ) -> Result<TileCode<'w>, FitsFault> {
        if !(rows.first..rows.first + rows.count).contains(&tile) {
            self.read_rows(tile, rows)?;
        }
        let row = (tile - rows.first) as usize;
        let bad_tile = |fault| FitsFault::BadTile { tile, fault };
        if rows.null_mask.get(row).is_some_and(|mask| mask.count != 0) {
            return Err(bad_tile(CodecFault::NullPixelMask));
        }
        let candidates = [
            (&self.compressed, &rows.compressed, CodeForm::Compressed),
            (&self.gzip, &rows.gzip, CodeForm::Gzip),
            (&self.plain, &rows.plain, CodeForm::Plain(Element::Byte)),
        ];
        for (column, descriptors, form) in candidates {
            let (Some(column), Some(&array)) = (column, descriptors.get(row)) else { continue };
            let (offset, length) = self.table.heap().locate(column, tile, array)?;
            if length == 0 {
                continue;
            }
            if length > code_max {
                return Err(bad_tile(CodecFault::CodeTooLong));
            }
            let heap = self.table.heap();
            let end = heap.offset + heap.bytes;
            let form = match (form, column.element()) {
                (CodeForm::Plain(_), Some(element)) => CodeForm::Plain(element),
                (form, _) => form,
            };
            return Ok(TileCode {
                bytes: window.read(file, offset, length as usize, end)?,
                form,
                scale: self.scale.of(&rows.scale, row),
                zero: self.zero.of(&rows.zero, row).unwrap_or(0.0),
                blank: self.blank.of(&rows.blank, row).map(|blank| blank as i64),
            });
        }
        Err(bad_tile(CodecFault::NoCode))
    }

    /// Reads the batch of rows that begins with that of `tile`.
    fn read_rows(&self, tile: u64, rows: &mut TileRows) -> Result<(), FitsFault> {
        let end = self.table.rows().min(tile + self.table.batch_rows());
        rows.count = 0;
        let mut bytes = std::mem::take(&mut rows.bytes);
        let read = self.table.read_rows(tile..end, &mut bytes);
        let decoded = read.map_err(|error| error.fault).and_then(|stored| {
            for (column, descriptors) in [
                (&self.compressed, &mut rows.compressed),
                (&self.gzip, &mut rows.gzip),
                (&self.plain, &mut rows.plain),
                (&self.null_mask, &mut rows.null_mask),
            ] {
                descriptors.clear();
                if let Some(column) = column {
                    column.descriptors(&stored, descriptors)?;
                }
            }
            for (parameter, values) in [
                (&self.scale, &mut rows.scale),
                (&self.zero, &mut rows.zero),
                (&self.blank, &mut rows.blank),
            ] {
                values.clear();
                if let Parameter::Column(column) = parameter {
                    column.f64s(&stored, values)?;
                }
            }
            Ok(())
        });
        rows.bytes = bytes;
        decoded?;
        (rows.first, rows.count) = (tile, end - tile);
        Ok(())
    }
}

impl TileRows {
    /// Discards the rows read, before another image.
    pub fn clear(&mut self) {
        self.count = 0;
    }
}

impl Parameter {
    fn of(&self, column: &[f64], row: usize) -> Option<f64> {
        match self {
            Self::Absent => None,
            Self::Fixed(value) => Some(*value),
            Self::Column(_) => column.get(row).copied(),
        }
    }
}

fn bad(column: &Column) -> FitsFault {
    FitsFault::BadFormat { column: column.number, found: column.tform.clone() }
}
