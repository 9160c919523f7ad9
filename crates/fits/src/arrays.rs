//! Values of arrays of variable length, from their bytes in the heap.

use crate::cells::{Scale, logical};
use crate::column::{Column, Element};
use crate::error::FitsFault;

impl Column {
    /// Appends the physical values of one array's bytes as doubles.
    ///
    /// # Errors
    /// [`FitsFault::ColumnType`] for arrays of text, logicals, bits and complex numbers.
    pub fn array_f64s(&self, bytes: &[u8], out: &mut Vec<f64>) -> Result<(), FitsFault> {
        let first = out.len();
        match self.element() {
            Some(Element::Byte) => out.extend(bytes.iter().map(|&byte| f64::from(byte))),
            Some(Element::Short) => each(bytes, out, |bytes| f64::from(i16::from_be_bytes(bytes))),
            Some(Element::Int) => each(bytes, out, |bytes| f64::from(i32::from_be_bytes(bytes))),
            Some(Element::Long) => each(bytes, out, |bytes| i64::from_be_bytes(bytes) as f64),
            Some(Element::Float) => each(bytes, out, |bytes| f64::from(f32::from_be_bytes(bytes))),
            Some(Element::Double) => each(bytes, out, f64::from_be_bytes),
            _ => return Err(self.wrong_type("numbers")),
        }
        if let Some(scale) = Scale::of(self) {
            for value in &mut out[first..] {
                *value = scale.apply(*value);
            }
        }
        Ok(())
    }

    /// Appends the stored integers of one array's bytes, TSCAL and TZERO not applied.
    ///
    /// # Errors
    /// [`FitsFault::ColumnType`] for arrays of anything but integers.
    pub fn array_stored_i64s(&self, bytes: &[u8], out: &mut Vec<i64>) -> Result<(), FitsFault> {
        match self.element() {
            Some(Element::Byte) => out.extend(bytes.iter().map(|&byte| i64::from(byte))),
            Some(Element::Short) => each(bytes, out, |bytes| i64::from(i16::from_be_bytes(bytes))),
            Some(Element::Int) => each(bytes, out, |bytes| i64::from(i32::from_be_bytes(bytes))),
            Some(Element::Long) => each(bytes, out, i64::from_be_bytes),
            _ => return Err(self.wrong_type("whole numbers")),
        }
        Ok(())
    }

    /// Appends the logicals of one array's bytes.
    ///
    /// # Errors
    /// [`FitsFault::ColumnType`] for arrays of anything else.
    pub fn array_bools(&self, bytes: &[u8], out: &mut Vec<Option<bool>>) -> Result<(), FitsFault> {
        match self.element() {
            Some(Element::Logical) => out.extend(bytes.iter().map(|&byte| logical(byte))),
            _ => return Err(self.wrong_type("logicals")),
        }
        Ok(())
    }
}

fn each<const N: usize, T>(bytes: &[u8], out: &mut Vec<T>, convert: impl Fn([u8; N]) -> T) {
    out.extend(bytes.as_chunks().0.iter().map(|&element| convert(element)));
}
