//! Images: pixels of plain and tile-compressed HDUs, read in bands of rows.
//!
//! Takes an HDU, leaves rows of pixels as stored with their [`Scaling`]; memory is that of one band, whatever the size
//! of the image. An image of more than two axes is read as rows too: row = y + NAXIS2 x (z + NAXIS3 x ...).
//!
//! Start at [`FitsFile::image`] and [`Image::bands`]. A new compression begins in [`crate::tile`].
//! Does not know what the pixels mean, nor where they are on the sky.

mod pixels;
mod scaling;

use std::ops::Range;

pub(crate) use pixels::{Pixel, PixelBuffers};
pub use pixels::{PixelType, Rows};
pub use scaling::{Scaling, ValueType};

use crate::error::{FitsError, FitsFault};
use crate::file::FitsFile;
use crate::hdu::{Hdu, HduIndex, HduKind};

/// Bytes of a band of a plain image: about what stays in a core's cache.
const BAND_BYTES: usize = 256 << 10;

/// The pixels of one HDU; nothing is read before a band is asked for.
#[derive(Debug)]
pub struct Image<'f> {
    file: &'f FitsFile,
    hdu: HduIndex,
    axes: Vec<u64>,
    pixel_type: PixelType,
    scaling: Scaling,
    row_count: u64,
    store: Store,
}

#[derive(Debug)]
enum Store {
    /// Big-endian pixels from this byte of the file on.
    Plain { offset: u64 },
}

/// Memory that is used again from band to band and from image to image.
#[derive(Debug, Default)]
pub struct Scratch {
    bytes: Vec<u8>,
    pixels: PixelBuffers,
}

/// Some rows of an image.
#[derive(Clone, Copy, Debug)]
pub struct Band<'s> {
    /// Number of the first row, from 0.
    pub first_row: u64,
    /// The pixels, as stored.
    pub rows: Rows<'s>,
}

/// Reads an image band by band; see [`Image::bands`].
#[derive(Debug)]
pub struct Bands<'i, 'f, 's> {
    image: &'i Image<'f>,
    scratch: &'s mut Scratch,
    next_row: u64,
}

impl FitsFile {
    /// The image of an HDU. Costs a look at the header, whatever size that claims.
    ///
    /// # Errors
    /// The HDU's own fault, [`FitsFault::WrongKind`] when it holds no image, and what is wrong with the header.
    pub fn image(&self, index: HduIndex) -> Result<Image<'_>, FitsError> {
        let hdu = self.hdu(index)?;
        Image::of_hdu(self, hdu).map_err(|fault| self.error_in(index, fault))
    }
}

impl<'f> Image<'f> {
    fn of_hdu(file: &'f FitsFile, hdu: &Hdu) -> Result<Self, FitsFault> {
        if let Some(fault) = &hdu.fault {
            return Err(fault.clone());
        }
        let store = match hdu.kind {
            HduKind::Image => Store::Plain { offset: hdu.data_offset },
            // An axis of length 0 makes an image without pixels; no axis at all makes none.
            HduKind::NoData if !hdu.axes.is_empty() => Store::Plain { offset: hdu.data_offset },
            kind => return Err(no_image(kind)),
        };
        let pixel_type = pixel_type(hdu.bitpix, "BITPIX")?;
        Ok(Self {
            file,
            hdu: hdu.index,
            row_count: count_rows(&hdu.axes, pixel_type)?,
            axes: hdu.axes.clone(),
            pixel_type,
            scaling: Scaling::from_header(&hdu.header, pixel_type)?,
            store,
        })
    }

    /// NAXISn (of compressed images ZNAXISn), fastest first.
    pub fn axes(&self) -> &[u64] {
        &self.axes
    }

    /// Pixels of a row: NAXIS1.
    pub fn row_pixels(&self) -> u64 {
        self.axes.first().copied().unwrap_or(0)
    }

    /// Rows of all planes together; 0 when any axis is 0.
    pub fn row_count(&self) -> u64 {
        self.row_count
    }

    /// Pixels in all.
    pub fn pixel_count(&self) -> u64 {
        self.row_count * self.row_pixels()
    }

    /// The type of stored pixels (BITPIX or ZBITPIX).
    pub fn pixel_type(&self) -> PixelType {
        self.pixel_type
    }

    /// How stored pixels become physical values.
    pub fn scaling(&self) -> &Scaling {
        &self.scaling
    }

    /// The type of physical values.
    pub fn value_type(&self) -> ValueType {
        self.scaling.value_type(self.pixel_type)
    }

    /// Reads the image from the first row to the last in bands, each once.
    pub fn bands<'i, 's>(&'i self, scratch: &'s mut Scratch) -> Bands<'i, 'f, 's> {
        Bands { image: self, scratch, next_row: 0 }
    }

    /// Calls `take` with the first row and the pixels of each band, as [`Image::bands`] gives them.
    ///
    /// # Errors
    /// When reading or decoding fails; the bands before have been taken by then.
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

    /// Physical values of some rows in one vector; BLANK is NaN.
    ///
    /// # Errors
    /// [`FitsFault::NoSuchRows`], [`FitsFault::TooLarge`] beyond the limits, or when reading fails.
    pub fn read_rows_f32(
        &self,
        rows: Range<u64>,
        scratch: &mut Scratch,
    ) -> Result<Vec<f32>, FitsError> {
        let mut values = Vec::new();
        self.visit_rows(rows, size_of::<f32>(), scratch, |pixels| {
            pixels.append_f32(&self.scaling, &mut values);
        })?;
        Ok(values)
    }

    /// As [`Image::read_rows_f32`], in double precision.
    ///
    /// # Errors
    /// As there.
    pub fn read_rows_f64(
        &self,
        rows: Range<u64>,
        scratch: &mut Scratch,
    ) -> Result<Vec<f64>, FitsError> {
        let mut values = Vec::new();
        self.visit_rows(rows, size_of::<f64>(), scratch, |pixels| {
            pixels.append_f64(&self.scaling, &mut values);
        })?;
        Ok(values)
    }

    /// Physical values of the whole image.
    ///
    /// # Errors
    /// As [`Image::read_rows_f32`].
    pub fn read_f32(&self) -> Result<Vec<f32>, FitsError> {
        self.read_rows_f32(0..self.row_count, &mut Scratch::default())
    }

    /// Physical values of the whole image in double precision.
    ///
    /// # Errors
    /// As [`Image::read_rows_f32`].
    pub fn read_f64(&self) -> Result<Vec<f64>, FitsError> {
        self.read_rows_f64(0..self.row_count, &mut Scratch::default())
    }

    /// Gives `take` the pixels of `rows`, part by part in order.
    fn visit_rows(
        &self,
        rows: Range<u64>,
        value_bytes: usize,
        scratch: &mut Scratch,
        mut take: impl FnMut(Rows<'_>),
    ) -> Result<(), FitsError> {
        self.check_rows(&rows, value_bytes).map_err(|fault| self.error(fault))?;
        let mut bands = self.bands(scratch);
        bands.next_row = rows.start;
        while bands.next_row < rows.end {
            let Some(band) = bands.next_band()? else { break };
            let last = rows.end.min(band.first_row + band.rows.len() as u64 / self.row_pixels());
            let pixels = (last - band.first_row) * self.row_pixels();
            take(band.rows.slice(0..pixels as usize));
        }
        Ok(())
    }

    fn check_rows(&self, rows: &Range<u64>, value_bytes: usize) -> Result<(), FitsFault> {
        if rows.end > self.row_count || rows.start > rows.end {
            let Range { start: first, end } = *rows;
            return Err(FitsFault::NoSuchRows { first, end, rows: self.row_count });
        }
        let wanted = (rows.end - rows.start)
            .saturating_mul(self.row_pixels())
            .saturating_mul(value_bytes as u64);
        let allowed = self.file.limits().unpacked_bytes;
        if wanted > allowed {
            return Err(FitsFault::TooLarge { what: "an image in one piece", wanted, allowed });
        }
        Ok(())
    }

    fn error(&self, fault: FitsFault) -> FitsError {
        self.file.error_in(self.hdu, fault)
    }

    /// Rows of a band of a plain image, one at least.
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
    /// The next band; `None` after the last one.
    ///
    /// # Errors
    /// When reading or decoding fails.
    pub fn next_band(&mut self) -> Result<Option<Band<'_>>, FitsError> {
        let image = self.image;
        if self.next_row >= image.row_count {
            return Ok(None);
        }
        match image.store {
            Store::Plain { offset } => self.read_plain(offset),
        }
        .map(Some)
        .map_err(|fault| image.error(fault))
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
        problem: "no FITS pixel type",
    })
}

/// The product of all axes but the first; the pixels' bytes fit 63 bits, or it is a fault.
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

fn no_image(kind: HduKind) -> FitsFault {
    let found = match kind {
        HduKind::NoData => "no data",
        HduKind::Image | HduKind::CompressedImage => "an image",
        HduKind::BinTable | HduKind::CompressedTable => "a binary table",
        HduKind::AsciiTable => "an ASCII table",
        HduKind::RandomGroups => return FitsFault::RandomGroups,
        HduKind::Other => "an extension of another type",
    };
    FitsFault::WrongKind { found, wanted: "an image" }
}
