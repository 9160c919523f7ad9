//! From stored to physical values: BSCALE, BZERO, BLANK.

use super::PixelType;
use crate::card::{self, Value};
use crate::error::FitsFault;
use crate::header::Header;

/// physical value = stored x `bscale` + `bzero`; a stored integer equal to `blank` has no value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaling {
    /// BSCALE, 1 when absent.
    pub bscale: f64,
    /// BZERO, 0 when absent.
    pub bzero: f64,
    /// BLANK; only of integer pixels.
    pub blank: Option<i64>,
    /// True when BLANK is written as a float or a text, against the standard. It is honoured as in cfitsio, but other readers
    /// ignore it.
    pub blank_is_float: bool,
}

/// The stored integer that stands for a pixel without value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blank {
    /// The integer.
    pub value: i64,
    /// True when the integer is written as a float or a text.
    pub is_float: bool,
}

impl Blank {
    /// Returns the first keyword's value that is a whole number, however it is written.
    pub fn of_header(header: &Header, keywords: &[&str]) -> Option<Self> {
        keywords.iter().find_map(|keyword| {
            let value = match header.value(keyword)? {
                Value::Text(text) => whole(card::float(text.trim().as_bytes())?)?,
                _ => header.integer(keyword).ok().flatten()?,
            };
            let is_float = !matches!(header.value(keyword), Some(Value::Integer(_)));
            Some(Self { value, is_float })
        })
    }
}

fn whole(value: f64) -> Option<i64> {
    (value.fract() == 0.0 && value.abs() < 9.2e18).then_some(value as i64)
}

/// The type that physical values have without loss, as astropy chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// BITPIX 8 with BZERO = -128.
    I8,
    /// BITPIX 8.
    U8,
    /// BITPIX 16.
    I16,
    /// BITPIX 16 with BZERO = 2^15.
    U16,
    /// BITPIX 32.
    I32,
    /// BITPIX 32 with BZERO = 2^31.
    U32,
    /// BITPIX 64.
    I64,
    /// BITPIX 64 with BZERO = 2^63.
    U64,
    /// BITPIX -32, and 8 or 16 with other scaling or BLANK.
    F32,
    /// BITPIX -64, and 32 or 64 with other scaling or BLANK.
    F64,
}

impl Scaling {
    /// The scaling that changes nothing.
    pub const IDENTITY: Self = Self { bscale: 1.0, bzero: 0.0, blank: None, blank_is_float: false };

    /// Reads the scaling from a header; BSCALE = 0 and values that are not finite are faults, BLANK of floats is ignored.
    ///
    /// # Errors
    /// [`FitsFault::WrongType`], [`FitsFault::BadValue`].
    pub fn from_header(header: &Header, pixel_type: PixelType) -> Result<Self, FitsFault> {
        let mut scaling = Self::without_blank(header)?;
        if pixel_type.is_integer() {
            // A BLANK that is not a number blanks nothing; the header keeps the card.
            scaling.set_blank(Blank::of_header(header, &["BLANK"]));
        }
        Ok(scaling)
    }

    /// Reads BSCALE and BZERO alone.
    ///
    /// # Errors
    /// As [`Scaling::from_header`].
    pub(crate) fn without_blank(header: &Header) -> Result<Self, FitsFault> {
        let bscale = header.number("BSCALE")?.unwrap_or(1.0);
        let bzero = header.number("BZERO")?.unwrap_or(0.0);
        for (keyword, value, usable) in [
            ("BSCALE", bscale, bscale.is_finite() && bscale != 0.0),
            ("BZERO", bzero, bzero.is_finite()),
        ] {
            if !usable {
                let (keyword, found) = (keyword.to_owned(), value.to_string());
                return Err(FitsFault::BadValue {
                    keyword,
                    found,
                    problem: "not a scale of pixels",
                });
            }
        }
        Ok(Self { bscale, bzero, ..Self::IDENTITY })
    }

    /// Sets the stored value of blank pixels.
    pub(crate) fn set_blank(&mut self, blank: Option<Blank>) {
        self.blank = blank.map(|blank| blank.value);
        self.blank_is_float = blank.is_some_and(|blank| blank.is_float);
    }

    /// Returns true when stored values are the physical ones.
    pub fn is_identity(&self) -> bool {
        self.bscale == 1.0 && self.bzero == 0.0 && self.blank.is_none()
    }

    /// Returns the type of physical values.
    pub fn value_type(&self, stored: PixelType) -> ValueType {
        let blank = self.blank.is_some() && !self.blank_is_float;
        let plain = self.bscale == 1.0 && self.bzero == 0.0 && !blank;
        // A whole number cannot be NaN: blank pixels need floats in the unsigned conventions too.
        let offset = if self.bscale == 1.0 && !blank { self.bzero } else { 0.0 };
        match stored {
            PixelType::U8 if offset == -128.0 => ValueType::I8,
            PixelType::I16 if offset == 2f64.powi(15) => ValueType::U16,
            PixelType::I32 if offset == 2f64.powi(31) => ValueType::U32,
            PixelType::I64 if offset == 2f64.powi(63) => ValueType::U64,
            PixelType::U8 if plain => ValueType::U8,
            PixelType::I16 if plain => ValueType::I16,
            PixelType::I32 if plain => ValueType::I32,
            PixelType::I64 if plain => ValueType::I64,
            PixelType::U8 | PixelType::I16 | PixelType::F32 => ValueType::F32,
            PixelType::I32 | PixelType::I64 | PixelType::F64 => ValueType::F64,
        }
    }
}
