//! Images: pixels of plain and tile-compressed HDUs, read in bands of rows.
//!
//! Takes an HDU and returns rows of pixels as stored with their [`Scaling`]; memory is that of one band, whatever the size of
//! the image. An image of more than two axes is read as rows too: row = y + NAXIS2 x (z + NAXIS3 x ...).
//!
//! Start at [`FitsFile::image`] and [`Image::bands`]. A new compression begins in [`crate::codec`].
//! Does not know what the pixels mean, nor where they are on the sky.

mod tiled;

use std::ops::Range;

use crate::error::{FitsError, FitsFault};
use crate::file::FitsFile;
use crate::hdu::{Hdu, HduIndex, HduKind};
use crate::pixels::{Pixel, PixelBuffers};
pub use crate::pixels::{PixelType, Rows, Scaling, ValueType};
use crate::tile::grid::TileRow;
use crate::tile::settings::{Compression, image_shape};
use crate::tile::table::TileBlank;
use tiled::{TileScratch, Tiled};

/// Bytes of a band of a plain image: about what stays in a core's cache.
const BAND_BYTES: usize = 256 << 10;

/// The pixels of one HDU; nothing is read before a band is requested.
#[derive(Debug)]
pub struct Image<'f> {
    file: &'f FitsFile,
    hdu: HduIndex,
    axes: Vec<u64>,
    pixel_type: PixelType,
    value_type: ValueType,
    scaling: Scaling,
    row_count: u64,
    store: Store<'f>,
}

#[derive(Debug)]
enum Store<'f> {
    /// Big-endian pixels from this byte of the file on.
    Plain { offset: u64 },
    /// Tiles in a table.
    Tiled(Box<Tiled<'f>>),
}

/// Memory that is reused from band to band and from image to image.
#[derive(Debug, Default)]
pub struct Scratch {
    bytes: Vec<u8>,
    pixels: PixelBuffers,
    tiles: TileScratch,
}

/// Some rows of an image.
#[derive(Clone, Copy, Debug)]
pub struct Band<'s> {
    /// Number of the first row, from 0.
    pub first_row: u64,
    /// The pixels, as stored.
    pub rows: Rows<'s>,
}

/// A reader of an image, band by band; see [`Image::bands`].
#[derive(Debug)]
pub struct Bands<'i, 'f, 's> {
    image: &'i Image<'f>,
    scratch: &'s mut Scratch,
    /// Of a plain image: the row at which the next band begins.
    next_row: u64,
    /// Of a compressed image: the row of tiles to decode next, and the runs that remain of the last decoded one.
    next_tile_row: u64,
    decoded: Option<(TileRow, Range<u64>)>,
}

impl FitsFile {
    /// Returns the image of an HDU. Reads only the header, whatever size it claims.
    ///
    /// # Errors
    /// The HDU's own fault, [`FitsFault::WrongKind`] when it holds no image, or a fault of the header.
    pub fn image(&self, index: HduIndex) -> Result<Image<'_>, FitsError> {
        let hdu = self.sound_hdu(index)?;
        Image::of_hdu(self, hdu).map_err(|fault| self.error_in(index, fault))
    }
}

impl<'f> Image<'f> {
    fn of_hdu(file: &'f FitsFile, hdu: &'f Hdu) -> Result<Self, FitsFault> {
        let (axes, pixel_type) = match hdu.kind {
            HduKind::Image => (hdu.axes.clone(), pixel_type(hdu.bitpix, "BITPIX")?),
            HduKind::CompressedImage => {
                let (axes, bitpix) = image_shape(&hdu.header)?;
                (axes, pixel_type(bitpix, "ZBITPIX")?)
            }
            HduKind::RandomGroups => return Err(FitsFault::RandomGroups),
            kind => {
                return Err(FitsFault::WrongKind { found: kind.in_words(), wanted: "an image" });
            }
        };
        if axes.is_empty() {
            let found = HduKind::NoData.in_words();
            return Err(FitsFault::WrongKind { found, wanted: "an image" });
        }
        let row_count = count_rows(&axes, pixel_type)?;
        let store = if hdu.kind == HduKind::CompressedImage && row_count > 0 {
            Store::Tiled(Box::new(Tiled::new(file, hdu, &axes, pixel_type)?))
        } else {
            Store::Plain { offset: hdu.data_offset }
        };
        let mut image = Self {
            file,
            hdu: hdu.index,
            row_count,
            axes,
            pixel_type,
            value_type: ValueType::F64,
            scaling: Scaling::from_header(&hdu.header, pixel_type)?,
            store,
        };
        if pixel_type.is_integer()
            && let Store::Tiled(tiled) = &image.store
        {
            match tiled.blank(&hdu.header) {
                TileBlank::One(blank) => image.scaling.set_blank(blank),
                TileBlank::PerTile => {
                    (image.pixel_type, image.scaling.blank) =
                        tiled::with_space_for_blank(pixel_type);
                    image.scaling.blank_is_float = false;
                }
            }
        }
        image.value_type = image.scaling.value_type(pixel_type);
        Ok(image)
    }

    /// Returns NAXISn (of compressed images ZNAXISn), fastest first.
    pub fn axes(&self) -> &[u64] {
        &self.axes
    }

    /// Returns the number of pixels of a row: NAXIS1.
    pub fn row_pixels(&self) -> u64 {
        self.axes.first().copied().unwrap_or(0)
    }

    /// Returns the number of rows of all planes together; 0 when any axis is 0.
    pub fn row_count(&self) -> u64 {
        self.row_count
    }

    /// Returns the number of all pixels.
    pub fn pixel_count(&self) -> u64 {
        self.row_count * self.row_pixels()
    }

    /// Returns the type of the pixels in [`Rows`]: that of stored ones (BITPIX or ZBITPIX). Only where integer tiles have blank
    /// values of their own it is the next wider one, which has room for one blank value of all.
    pub fn pixel_type(&self) -> PixelType {
        self.pixel_type
    }

    /// Returns the conversion from stored pixels to physical values.
    pub fn scaling(&self) -> &Scaling {
        &self.scaling
    }

    /// Returns the type of physical values.
    pub fn value_type(&self) -> ValueType {
        self.value_type
    }

    /// Returns the compression; `None` for a plain image.
    pub fn compression(&self) -> Option<&Compression> {
        match &self.store {
            Store::Plain { .. } => None,
            Store::Tiled(tiled) => Some(&tiled.compression),
        }
    }

    /// Reads the image band by band, each row once, in order from the first to the last. Only where tiles span several planes
    /// of a cube are bands in the order of tiles.
    pub fn bands<'i, 's>(&'i self, scratch: &'s mut Scratch) -> Bands<'i, 'f, 's> {
        scratch.tiles.clear();
        Bands { image: self, scratch, next_row: 0, next_tile_row: 0, decoded: None }
    }

    /// Calls `take` with the first row and the pixels of each band, as [`Image::bands`] returns them.
    ///
    /// # Errors
    /// Fails when reading or decoding fails; the earlier bands have been passed to `take` by then.
    pub fn for_each_band(
        &self,
        scratch: &mut Scratch,
        mut take: impl FnMut(u64, Rows<'_>),
    ) -> Result<(), FitsError> {
        let mut bands = self.bands(scratch);
        while let Some(band) = bands.next_band()? {
            take(band.first_row, band.rows);
        }
        Ok(())
    }

    /// Returns the physical values of some rows in one vector; BLANK is NaN.
    ///
    /// # Errors
    /// [`FitsFault::NoSuchRows`], [`FitsFault::TooLarge`] beyond the limits, or when reading fails.
    pub fn read_rows_f32(
        &self,
        rows: Range<u64>,
        scratch: &mut Scratch,
    ) -> Result<Vec<f32>, FitsError> {
        self.read_rows_as(rows, scratch, |pixels, values| pixels.write_f32(&self.scaling, values))
    }

    /// Returns the values of [`Image::read_rows_f32`] in double precision.
    ///
    /// # Errors
    /// As [`Image::read_rows_f32`].
    pub fn read_rows_f64(
        &self,
        rows: Range<u64>,
        scratch: &mut Scratch,
    ) -> Result<Vec<f64>, FitsError> {
        self.read_rows_as(rows, scratch, |pixels, values| pixels.write_f64(&self.scaling, values))
    }

    /// Returns the physical values of the whole image.
    ///
    /// # Errors
    /// As [`Image::read_rows_f32`].
    pub fn read_f32(&self) -> Result<Vec<f32>, FitsError> {
        self.read_rows_f32(0..self.row_count, &mut Scratch::default())
    }

    /// Returns the physical values of the whole image in double precision.
    ///
    /// # Errors
    /// As [`Image::read_rows_f32`].
    pub fn read_f64(&self) -> Result<Vec<f64>, FitsError> {
        self.read_rows_f64(0..self.row_count, &mut Scratch::default())
    }

    /// Returns the values that `write` makes of the pixels of `rows`.
    fn read_rows_as<V: Clone + Default>(
        &self,
        rows: Range<u64>,
        scratch: &mut Scratch,
        write: impl Fn(Rows<'_>, &mut [V]),
    ) -> Result<Vec<V>, FitsError> {
        self.check_rows(&rows, size_of::<V>()).map_err(|fault| self.error(fault))?;
        let width = self.row_pixels() as usize;
        let mut values = Vec::new();
        let mut bands = self.bands(scratch);
        bands.seek(rows.start);
        while let Some(band) = bands.next_band_before(rows.end)? {
            let band_rows = band.rows.len() / width;
            let first = band.first_row.max(rows.start);
            let end = rows.end.min(band.first_row + band_rows as u64);
            if first >= end {
                continue;
            }
            // The memory grows with the decoded rows, not with the size that the header claims.
            let known = (end - rows.start) as usize * width;
            if values.len() < known {
                values.resize(known, V::default());
            }
            let skip = (first - band.first_row) as usize * width;
            let pixels = band.rows.slice(skip..skip + (end - first) as usize * width);
            let at = (first - rows.start) as usize * width;
            write(pixels, &mut values[at..at + pixels.len()]);
        }
        Ok(values)
    }

    fn check_rows(&self, rows: &Range<u64>, value_bytes: usize) -> Result<(), FitsFault> {
        if rows.end > self.row_count || rows.start > rows.end {
            let Range { start: first, end } = *rows;
            return Err(FitsFault::NoSuchRows { first, end, rows: self.row_count });
        }
        let wanted = (rows.end - rows.start)
            .saturating_mul(self.row_pixels())
            .saturating_mul(value_bytes as u64);
        let allowed = self.file.limits().values_bytes;
        if wanted > allowed {
            return Err(FitsFault::TooLarge { what: "an image in one piece", wanted, allowed });
        }
        Ok(())
    }

    fn error(&self, fault: FitsFault) -> FitsError {
        self.file.error_in(self.hdu, fault)
    }

    /// Returns the number of rows of a band of a plain image, at least one.
    fn band_rows(&self) -> Result<u64, FitsFault> {
        let wanted = self.row_pixels().saturating_mul(self.pixel_type.bytes() as u64);
        let allowed = self.file.limits().piece_bytes as u64;
        if wanted > allowed {
            return Err(FitsFault::TooLarge { what: "a row of pixels", wanted, allowed });
        }
        Ok((BAND_BYTES as u64 / wanted.max(1)).max(1))
    }
}

impl Bands<'_, '_, '_> {
    /// Returns the next band; `None` after the last one.
    ///
    /// # Errors
    /// Fails when reading or decoding fails.
    pub fn next_band(&mut self) -> Result<Option<Band<'_>>, FitsError> {
        self.next_band_before(self.image.row_count)
    }

    /// Moves to the first band that covers a row or one after it.
    fn seek(&mut self, row: u64) {
        self.next_row = row;
        if let Store::Tiled(tiled) = &self.image.store {
            self.next_tile_row = tiled.grid.tile_row_from(row);
        }
    }

    /// Returns the next band; `None` when no row before `end` remains.
    fn next_band_before(&mut self, end: u64) -> Result<Option<Band<'_>>, FitsError> {
        let image = self.image;
        let band = match &image.store {
            Store::Plain { .. } if self.next_row >= end => return Ok(None),
            Store::Plain { offset } => self.read_plain(*offset).map(Some),
            Store::Tiled(tiled) => self.read_tiled(tiled, end),
        };
        band.map_err(|fault| image.error(fault))
    }

    fn read_plain(&mut self, offset: u64) -> Result<Band<'_>, FitsFault> {
        let image = self.image;
        let first_row = self.next_row;
        let rows = image.band_rows()?.min(image.row_count - first_row);
        self.next_row += rows;
        let first_pixel = first_row * image.row_pixels();
        let offset = offset + first_pixel * image.pixel_type.bytes() as u64;
        let pixels = (rows * image.row_pixels()) as usize;
        let rows = match image.pixel_type {
            PixelType::U8 => read_plain::<u8>(image.file, offset, pixels, self.scratch),
            PixelType::I16 => read_plain::<i16>(image.file, offset, pixels, self.scratch),
            PixelType::I32 => read_plain::<i32>(image.file, offset, pixels, self.scratch),
            PixelType::I64 => read_plain::<i64>(image.file, offset, pixels, self.scratch),
            PixelType::F32 => read_plain::<f32>(image.file, offset, pixels, self.scratch),
            PixelType::F64 => read_plain::<f64>(image.file, offset, pixels, self.scratch),
        }?;
        Ok(Band { first_row, rows })
    }

    fn read_tiled(&mut self, tiled: &Tiled<'_>, end: u64) -> Result<Option<Band<'_>>, FitsFault> {
        let image = self.image;
        let (row, run) = match &mut self.decoded {
            Some((row, runs)) if !runs.is_empty() => {
                let run = runs.start;
                runs.start += 1;
                (*row, run)
            }
            _ if self.next_tile_row >= tiled.grid.tile_rows() => return Ok(None),
            _ => {
                let row = tiled.grid.tile_row(self.next_tile_row);
                if tiled.grid.first_row(row, 0) >= end {
                    return Ok(None);
                }
                let Scratch { tiles, pixels, .. } = &mut *self.scratch;
                self.decoded = None;
                tiled.decode_row(image.file, row, image.pixel_type, tiles, pixels)?;
                self.next_tile_row += 1;
                self.decoded = Some((row, 1..row.runs));
                (row, 0)
            }
        };
        let pixels = (row.run_rows * image.row_pixels()) as usize;
        let first = run as usize * pixels;
        Ok(Some(Band {
            first_row: tiled.grid.first_row(row, run),
            rows: tiled::rows_of(&mut self.scratch.pixels, image.pixel_type, first..first + pixels),
        }))
    }
}

fn read_plain<'s, P: Pixel>(
    file: &FitsFile,
    offset: u64,
    count: usize,
    scratch: &'s mut Scratch,
) -> Result<Rows<'s>, FitsFault> {
    let bytes = file.read_range(offset, count * P::TYPE.bytes(), &mut scratch.bytes)?;
    let pixels = P::buffer(&mut scratch.pixels);
    pixels.resize(count, P::default());
    P::read_big_endian(bytes, pixels);
    Ok(P::rows(pixels))
}

fn pixel_type(bitpix: i64, keyword: &str) -> Result<PixelType, FitsFault> {
    PixelType::from_bitpix(bitpix).ok_or_else(|| FitsFault::BadValue {
        keyword: keyword.to_owned(),
        found: bitpix.to_string(),
        problem: "not a FITS pixel type",
    })
}

/// Returns the product of all axes but the first; a fault when the pixels' bytes do not fit 63 bits.
fn count_rows(axes: &[u64], pixel_type: PixelType) -> Result<u64, FitsFault> {
    if axes.contains(&0) {
        return Ok(0);
    }
    let overflow = || FitsFault::SizeOverflow;
    let mut rows = 1u64;
    for &axis in &axes[1..] {
        rows = rows.checked_mul(axis).ok_or_else(overflow)?;
    }
    let bytes = rows.checked_mul(axes[0]).and_then(|n| n.checked_mul(pixel_type.bytes() as u64));
    if bytes.is_none_or(|bytes| bytes > i64::MAX as u64) {
        return Err(overflow());
    }
    Ok(rows)
}
