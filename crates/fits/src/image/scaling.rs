//! From stored to physical values: BSCALE, BZERO, BLANK.

use super::PixelType;
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
    /// BLANK is written as a float, against the standard: meant all the same, but other readers ignore it.
    pub blank_is_float: bool,
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
    /// Nothing to do.
    pub const IDENTITY: Self = Self { bscale: 1.0, bzero: 0.0, blank: None, blank_is_float: false };

    /// From a header; BSCALE = 0 and what is no finite number are faults, BLANK of floats is ignored.
    ///
    /// # Errors
    /// [`FitsFault::WrongType`], [`FitsFault::BadValue`].
    pub fn from_header(header: &Header, pixel_type: PixelType) -> Result<Self, FitsFault> {
        let bscale = header.number("BSCALE")?.unwrap_or(1.0);
        let bzero = header.number("BZERO")?.unwrap_or(0.0);
        for (keyword, value, usable) in [
            ("BSCALE", bscale, bscale.is_finite() && bscale != 0.0),
            ("BZERO", bzero, bzero.is_finite()),
        ] {
            if !usable {
                let (keyword, found) = (keyword.to_owned(), value.to_string());
                return Err(FitsFault::BadValue { keyword, found, problem: "no scale of pixels" });
            }
        }
        let mut scaling = Self { bscale, bzero, ..Self::IDENTITY };
        if pixel_type.is_integer() {
            // A BLANK that is no number at all blanks nothing; the header keeps the card for those who look.
            scaling.blank = header.integer("BLANK").ok().flatten();
            scaling.blank_is_float = scaling.blank.is_some()
                && matches!(header.value("BLANK"), Some(crate::card::Value::Float(_)));
        }
        Ok(scaling)
    }

    /// Stored values are the physical ones.
    pub fn is_identity(&self) -> bool {
        self.bscale == 1.0 && self.bzero == 0.0 && self.blank.is_none()
    }

    /// The type of physical values.
    pub fn value_type(&self, stored: PixelType) -> ValueType {
        let blank = self.blank.is_some() && !self.blank_is_float;
        let plain = self.bscale == 1.0 && self.bzero == 0.0 && !blank;
        let offset = if self.bscale == 1.0 { self.bzero } else { 0.0 };
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
