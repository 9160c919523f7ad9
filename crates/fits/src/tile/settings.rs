//! Coding of the tiles of an image: ZCMPTYPE, its parameters, and ZQUANTIZ.

use crate::card::Value;
use crate::codec::dither::Dither;
use crate::error::FitsFault;
use crate::header::Header;
use crate::pixels::PixelType;

/// ZCMPTYPE with its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RICE_1, and its old alias RICE_ONE.
    Rice {
        /// BLOCKSIZE: pixels of a block.
        block_pixels: usize,
        /// BYTEPIX: bytes of a coded pixel, 1, 2 or 4.
        pixel_bytes: usize,
    },
    /// GZIP_1.
    Gzip,
    /// GZIP_2: bytes sorted by weight.
    GzipShuffled,
    /// HCOMPRESS_1.
    Hcompress {
        /// SMOOTH.
        smooth: bool,
    },
    /// PLIO_1.
    Plio {
        /// Subtracted from decoded values: unsigned 16-bit pixels (BZERO = 2^15) are coded as they are, not as stored.
        offset: i32,
    },
    /// NOCOMPRESS.
    Plain,
}

/// The quantisation of floats to integers before coding (ZQUANTIZ).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quantized {
    /// No quantisation: integers, or floats coded without loss.
    Not,
    /// With or without dither.
    With(Dither),
}

/// The compression of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Compression {
    /// The codec.
    pub algorithm: Algorithm,
    /// The quantisation of floats.
    pub quantized: Quantized,
    /// ZDITHER0: the start in the sequence of random numbers; 1 when absent.
    pub dither_seed: i64,
    /// ZTILEn, or its default, cut to the axes.
    pub tile: Vec<u64>,
}

impl Compression {
    /// Reads the compression from the header of the table that holds the tiles.
    ///
    /// # Errors
    /// A keyword that is missing, mistyped or not supported.
    pub fn from_header(
        header: &Header,
        axes: &[u64],
        pixel_type: PixelType,
    ) -> Result<Self, FitsFault> {
        let quantized = if pixel_type.is_integer() { Quantized::Not } else { quantized(header)? };
        Ok(Self {
            algorithm: algorithm(header, pixel_type)?,
            quantized,
            dither_seed: header.integer("ZDITHER0")?.unwrap_or(1),
            tile: tile(header, axes)?,
        })
    }
}

fn algorithm(header: &Header, pixel_type: PixelType) -> Result<Algorithm, FitsFault> {
    let missing = || FitsFault::MissingKeyword("ZCMPTYPE".to_owned());
    let name = header.text("ZCMPTYPE").ok_or_else(missing)?.trim();
    Ok(match name {
        "RICE_1" | "RICE_ONE" => rice(header)?,
        "GZIP_1" => Algorithm::Gzip,
        "GZIP_2" => Algorithm::GzipShuffled,
        "HCOMPRESS_1" => {
            let smooth = parameter(header, "SMOOTH", 2)?.is_some_and(|(_, value)| value != 0.0);
            Algorithm::Hcompress { smooth }
        }
        "PLIO_1" => {
            let is_unsigned =
                pixel_type == PixelType::I16 && header.number("BZERO")? == Some(32_768.0);
            Algorithm::Plio { offset: if is_unsigned { 32_768 } else { 0 } }
        }
        "NOCOMPRESS" => Algorithm::Plain,
        _ => return Err(unsupported("ZCMPTYPE", name)),
    })
}

fn rice(header: &Header) -> Result<Algorithm, FitsFault> {
    let default = |place, value| (format!("ZVAL{place}"), value);
    let block = parameter(header, "BLOCKSIZE", 1)?.unwrap_or_else(|| default(1, 32.0));
    let bytes = parameter(header, "BYTEPIX", 2)?.unwrap_or_else(|| default(2, 4.0));
    // An early encoder wrote them in the wrong order; cfitsio swaps them too.
    let is_turned = block.1 < 16.0 && bytes.1 > 8.0;
    let (block, bytes) = if is_turned { (bytes, block) } else { (block, bytes) };
    if !(block.1 >= 1.0 && block.1 <= f64::from(i32::MAX)) {
        return Err(unsupported(&block.0, &block.1.to_string()));
    }
    if !matches!(bytes.1, 1.0 | 2.0 | 4.0) {
        return Err(unsupported(&bytes.0, &bytes.1.to_string()));
    }
    Ok(Algorithm::Rice { block_pixels: block.1 as usize, pixel_bytes: bytes.1 as usize })
}

/// Returns the value that ZNAMEn = `name` announces, with its keyword; without any ZNAMEn it is ZVAL`place`.
fn parameter(
    header: &Header,
    name: &str,
    place: usize,
) -> Result<Option<(String, f64)>, FitsFault> {
    for number in 1..=999 {
        match header.text(&format!("ZNAME{number}")) {
            Some(found) if !found.trim().eq_ignore_ascii_case(name) => {}
            None if number > 1 => return Ok(None),
            found => {
                let number = if found.is_some() { number } else { place };
                let keyword = format!("ZVAL{number}");
                return Ok(header.number(&keyword)?.map(|value| (keyword, value)));
            }
        }
    }
    Ok(None)
}

fn quantized(header: &Header) -> Result<Quantized, FitsFault> {
    Ok(match header.text("ZQUANTIZ").map(str::trim) {
        None | Some("NO_DITHER" | "") => Quantized::With(Dither::None),
        Some("SUBTRACTIVE_DITHER_1") => Quantized::With(Dither::Subtractive),
        Some("SUBTRACTIVE_DITHER_2") => Quantized::With(Dither::SubtractiveZeros),
        Some("NONE") => Quantized::Not,
        Some(other) => return Err(unsupported("ZQUANTIZ", other)),
    })
}

/// Returns the size of a tile; by default a tile is a row.
fn tile(header: &Header, axes: &[u64]) -> Result<Vec<u64>, FitsFault> {
    let mut tile = Vec::with_capacity(axes.len());
    for (axis, &length) in axes.iter().enumerate() {
        let keyword = format!("ZTILE{}", axis + 1);
        let stated = match header.integer(&keyword)? {
            None if axis == 0 => length,
            None => 1,
            Some(stated) => {
                u64::try_from(stated).ok().filter(|&stated| stated > 0).ok_or_else(|| {
                    FitsFault::BadValue {
                        keyword,
                        found: stated.to_string(),
                        problem: "not a length of a tile",
                    }
                })?
            }
        };
        tile.push(stated.min(length).max(1));
    }
    Ok(tile)
}

/// Returns the axes and pixel type of the image in a table with ZIMAGE = T.
///
/// # Errors
/// Missing or invalid ZNAXIS, ZNAXISn, ZBITPIX.
pub(crate) fn image_shape(header: &Header) -> Result<(Vec<u64>, i64), FitsFault> {
    let required = |keyword: &str| {
        header.integer(keyword)?.ok_or_else(|| match header.value(keyword) {
            None | Some(Value::Undefined) => FitsFault::MissingKeyword(keyword.to_owned()),
            Some(_) => FitsFault::BadValue {
                keyword: keyword.to_owned(),
                found: String::new(),
                problem: "not a number",
            },
        })
    };
    let count = required("ZNAXIS")?;
    if !(0..=999).contains(&count) {
        return Err(FitsFault::BadValue {
            keyword: "ZNAXIS".to_owned(),
            found: count.to_string(),
            problem: "not a number of axes, 0 to 999",
        });
    }
    let mut axes = Vec::new();
    for axis in 1..=count {
        let keyword = format!("ZNAXIS{axis}");
        let found = required(&keyword)?;
        axes.push(u64::try_from(found).map_err(|_| FitsFault::Negative { keyword, found })?);
    }
    Ok((axes, required("ZBITPIX")?))
}

fn unsupported(keyword: &str, found: &str) -> FitsFault {
    FitsFault::Unsupported { keyword: keyword.to_owned(), found: found.to_owned() }
}
