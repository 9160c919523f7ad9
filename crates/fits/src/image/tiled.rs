//! Compressed images: rows of tiles, decoded one at a time.

use crate::error::FitsFault;
use crate::file::FitsFile;
use crate::hdu::Hdu;
use crate::header::Header;
use crate::pixels::{Pixel, PixelBuffers, PixelType, Rows};
use crate::tile::decode::{self, Place, TileDecoder, TileShape};
use crate::tile::grid::{Grid, TileRow};
use crate::tile::settings::{Compression, Quantized};
use crate::tile::table::{TileBlank, TileRows, TileTable};
use crate::tile::window::Window;

/// Maximum number of bytes of code that any codec makes of a pixel, and of a tile.
const CODE_BYTES_PER_PIXEL_MAX: u64 = 16;
const CODE_BYTES_MAX: u64 = 64 << 10;

/// The tiles of an image.
#[derive(Debug)]
pub(super) struct Tiled<'f> {
    pub grid: Grid,
    pub compression: Compression,
    table: TileTable<'f>,
    /// The common value of the blank pixels of all tiles; `None` unless integer tiles have blank values of their own.
    common_blank: Option<i64>,
}

/// Returns the pixel type and blank value of an integer image whose tiles have blank values of their own: one that no
/// pixel of any tile can have. Only 64-bit pixels get no wider type; see [`set_blanks`].
pub(super) fn with_space_for_blank(pixel_type: PixelType) -> (PixelType, Option<i64>) {
    match pixel_type {
        PixelType::U8 => (PixelType::I16, Some(i16::MIN.into())),
        PixelType::I16 => (PixelType::I32, Some(i32::MIN.into())),
        PixelType::I32 | PixelType::I64 => (PixelType::I64, Some(i64::MIN)),
        floats => (floats, None),
    }
}

/// Memory for tiles.
#[derive(Debug, Default)]
pub(super) struct TileScratch {
    rows: TileRows,
    window: Window,
    decoder: TileDecoder,
}

impl TileScratch {
    /// Clears the memory before another image.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.window.clear();
    }
}

impl<'f> Tiled<'f> {
    /// Reads the header and the columns, not the tiles; refuses images that would take too much memory or time.
    pub fn new(
        file: &'f FitsFile,
        hdu: &'f Hdu,
        axes: &[u64],
        pixel_type: PixelType,
    ) -> Result<Self, FitsFault> {
        let mut compression = Compression::from_header(&hdu.header, axes, pixel_type)?;
        let table = TileTable::new(file, hdu)?;
        if !table.is_scaled() {
            compression.quantized = Quantized::Not;
        }
        let grid = Grid::new(axes, &compression.tile);
        if grid.tile_count() != Some(table.rows()) {
            return Err(FitsFault::BadValue {
                keyword: "NAXIS2".to_owned(),
                found: table.rows().to_string(),
                problem: "not the number of tiles",
            });
        }
        let (decoded, common_blank) = match table.blank(&hdu.header) {
            TileBlank::PerTile => with_space_for_blank(pixel_type),
            TileBlank::One(_) => (pixel_type, None),
        };
        let tiled = Self { grid, compression, table, common_blank };
        tiled.check_size(file, hdu, axes, decoded)?;
        Ok(tiled)
    }

    /// Returns the blank pixels of integer tiles.
    pub fn blank(&self, header: &Header) -> TileBlank {
        self.table.blank(header)
    }

    /// Checks the size of the image. A header may claim any size, and some code is very dense: a few bytes of PLIO or HCOMPRESS
    /// are a large, empty tile. So an image may be large in proportion to its code, or else no larger than files that are
    /// unpacked.
    fn check_size(
        &self,
        file: &FitsFile,
        hdu: &Hdu,
        axes: &[u64],
        pixel_type: PixelType,
    ) -> Result<(), FitsFault> {
        let limits = file.limits();
        let bytes = pixel_type.bytes() as u64;
        // The product fits, because the image has already counted its rows.
        let wanted = axes.iter().product::<u64>() * bytes;
        let allowed = limits.expansion_ratio.saturating_mul(hdu.data_bytes);
        let allowed = allowed.max(limits.image_bytes);
        if wanted > allowed {
            return Err(FitsFault::TooLarge { what: "the unpacked image", wanted, allowed });
        }
        let band = self.grid.tile_row_rows_max().and_then(|rows| rows.checked_mul(axes[0] * bytes));
        let is_whole_rows = self.grid.tiles_across() == 1;
        let tile = self
            .grid
            .tile_pixels_max()
            .map(|pixels| decode::work_bytes(&self.compression, pixel_type, is_whole_rows, pixels));
        let wanted = band.zip(tile).map_or(u64::MAX, |(band, tile)| band.saturating_add(tile));
        let allowed = limits.piece_bytes as u64;
        if wanted > allowed {
            return Err(FitsFault::TooLarge { what: "a row of tiles", wanted, allowed });
        }
        Ok(())
    }

    /// Decodes a row of tiles into the buffer of the image's pixel type.
    pub fn decode_row(
        &self,
        file: &FitsFile,
        row: TileRow,
        pixel_type: PixelType,
        scratch: &mut TileScratch,
        pixels: &mut PixelBuffers,
    ) -> Result<(), FitsFault> {
        match pixel_type {
            PixelType::U8 => self.decode_row_as::<u8>(file, row, scratch, pixels),
            PixelType::I16 => self.decode_row_as::<i16>(file, row, scratch, pixels),
            PixelType::I32 => self.decode_row_as::<i32>(file, row, scratch, pixels),
            PixelType::I64 => self.decode_row_as::<i64>(file, row, scratch, pixels),
            PixelType::F32 => self.decode_row_as::<f32>(file, row, scratch, pixels),
            PixelType::F64 => self.decode_row_as::<f64>(file, row, scratch, pixels),
        }
    }

    fn decode_row_as<P: Pixel>(
        &self,
        file: &FitsFile,
        row: TileRow,
        scratch: &mut TileScratch,
        pixels: &mut PixelBuffers,
    ) -> Result<(), FitsFault> {
        let row_step = self.grid.row_pixels() as usize;
        let rows = (row.run_rows * row.runs) as usize;
        let band = P::buffer(pixels);
        band.resize(rows * row_step, P::default());
        let across = self.grid.tiles_across();
        for in_row in 0..across {
            let tile = row.number * across + in_row;
            let (first, width) = self.grid.columns(in_row);
            let count = width as usize * rows;
            let code_max = CODE_BYTES_MAX.max(count as u64 * CODE_BYTES_PER_PIXEL_MAX);
            let TileScratch { rows: table_rows, window, decoder } = &mut *scratch;
            let code = self.table.code(file, tile, code_max, table_rows, window)?;
            let shape = TileShape {
                pixels: count,
                row_pixels: width as usize,
                dither_start: dither_start(tile, self.compression.dither_seed),
            };
            let blank = code.blank;
            let pixels = &mut band[first as usize..];
            decoder
                .decode(&self.compression, code, shape, Place { pixels, row_step })
                .map_err(|fault| FitsFault::BadTile { tile, fault })?;
            if let (Some(blank), Some(common)) = (blank, self.common_blank) {
                let pixels = &mut band[first as usize..];
                set_blanks(pixels, row_step, width as usize, (blank, common));
            }
        }
        Ok(())
    }
}

/// Sets the blank pixels of one tile to the value that all tiles have in common. A 64-bit pixel that has that value and is not
/// blank becomes its neighbour, which is the same number in double precision.
fn set_blanks<P: Pixel>(
    pixels: &mut [P],
    row_step: usize,
    width: usize,
    (blank, common): (i64, i64),
) {
    let (blank, Some(common)) = (P::from_integer(blank), P::from_integer(common)) else { return };
    let neighbour = (P::TYPE == PixelType::I64).then(|| P::from_integer(i64::MIN + 1)).flatten();
    for row in pixels.chunks_mut(row_step) {
        let width = width.min(row.len());
        for pixel in &mut row[..width] {
            if Some(*pixel) == blank {
                *pixel = common;
            } else if let (true, Some(neighbour)) = (*pixel == common, neighbour) {
                *pixel = neighbour;
            }
        }
    }
}

/// Returns the start of a tile in the sequence of random numbers. `tile` and ZDITHER0 count from 1 here.
fn dither_start(tile: u64, seed: i64) -> u64 {
    (tile as i64).wrapping_add(seed).wrapping_sub(1).rem_euclid(10_000) as u64
}

/// Returns some pixels of a buffer.
pub(super) fn rows_of(
    buffers: &mut PixelBuffers,
    pixel_type: PixelType,
    range: std::ops::Range<usize>,
) -> Rows<'_> {
    match pixel_type {
        PixelType::U8 => Pixel::rows(&u8::buffer(buffers)[range]),
        PixelType::I16 => Pixel::rows(&i16::buffer(buffers)[range]),
        PixelType::I32 => Pixel::rows(&i32::buffer(buffers)[range]),
        PixelType::I64 => Pixel::rows(&i64::buffer(buffers)[range]),
        PixelType::F32 => Pixel::rows(&f32::buffer(buffers)[range]),
        PixelType::F64 => Pixel::rows(&f64::buffer(buffers)[range]),
    }
}
