//! Refusals of rejected inputs, and findings in accepted ones.

use crate::{RefusalCode, ReportCode, is_clean, shown_briefly};
use serde::{Deserialize, Serialize};

/// Greatest length of a message in bytes.
const MESSAGE_BYTES: usize = 2000;

/// Greatest length of a name of a file, keyword or column in bytes.
const NAME_BYTES: usize = 400;

fn clean(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max || !is_clean(text) {
        *text = shown_briefly(text, bytes_max);
    }
}

/// Inclusive range of row numbers, the first row of a table being 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowRange {
    /// First row.
    pub first: u64,
    /// Last row.
    pub last: u64,
}

impl RowRange {
    /// Adds a row to ranges that are kept ascending.
    pub fn push(ranges: &mut Vec<Self>, row: u64) {
        match ranges.last_mut() {
            Some(range) if range.last + 1 == row => range.last = row,
            _ => ranges.push(Self { first: row, last: row }),
        }
    }
}

/// A file, HDU or set of rows that was not accepted. One record per (file, HDU, code).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Machine-readable reason in snake case, e.g. `truncated`.
    pub code: ReportCode,
    /// Name of the file within its delivery.
    pub file: String,
    /// HDU, primary = 0; `None` when the whole file is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hdu: Option<u16>,
    /// Header keyword at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyword: Option<String>,
    /// Table column at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The subject in addition to the file: the project that no programme has, the image that a catalogue waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// One sentence for the operator.
    pub message: String,
    /// Number of rows, when rows are refused.
    #[serde(default)]
    pub rows: u64,
    /// The refused rows, if they were listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub row_ranges: Vec<RowRange>,
    /// Parked: waits for a decision or another file, and is retried automatically when that arrives.
    #[serde(default)]
    pub parked: bool,
}

impl Refusal {
    /// Returns the refusal with texts that every engine accepts: no control characters, no excessive length.
    #[must_use]
    pub fn cleaned(mut self) -> Self {
        clean(&mut self.file, NAME_BYTES);
        self.keyword.iter_mut().for_each(|keyword| clean(keyword, NAME_BYTES));
        self.column.iter_mut().for_each(|column| clean(column, NAME_BYTES));
        self.subject.iter_mut().for_each(|subject| clean(subject, NAME_BYTES));
        clean(&mut self.message, MESSAGE_BYTES);
        self
    }

    /// Returns the permanent refusal of a whole file.
    pub fn new(code: RefusalCode, file: impl Into<String>, message: impl Into<String>) -> Self {
        Self::stored(code.into(), file, message)
    }

    /// Returns the refusal with the code of a record, or one made from the name of a check.
    pub fn stored(code: ReportCode, file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            file: file.into(),
            hdu: None,
            keyword: None,
            column: None,
            subject: None,
            message: message.into(),
            rows: 0,
            row_ranges: Vec::new(),
            parked: false,
        }
    }
}

/// An unexpected property of accepted data: counted in reports, shown as drift, not refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Machine-readable kind in snake case, e.g. `keyword_missing`.
    pub code: ReportCode,
    /// Name of the file within its delivery.
    pub file: String,
    /// HDU, primary = 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hdu: Option<u16>,
    /// Keyword or column it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Number of files: the one that is named, and similar ones that are not reported one by one.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub files: u64,
    /// Number of occurrences (rows, cards).
    pub count: u64,
    /// One sentence.
    pub message: String,
}

impl Finding {
    /// Returns the finding of one occurrence in a file as a whole.
    pub fn new(code: RefusalCode, file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            file: file.into(),
            hdu: None,
            subject: None,
            files: 1,
            count: 1,
            message: message.into(),
        }
    }

    /// Returns the finding with texts that every engine accepts: no control characters, no excessive length.
    #[must_use]
    pub fn cleaned(mut self) -> Self {
        clean(&mut self.file, NAME_BYTES);
        self.subject.iter_mut().for_each(|subject| clean(subject, NAME_BYTES));
        clean(&mut self.message, MESSAGE_BYTES);
        self
    }
}

fn one() -> u64 {
    1
}

fn is_one(files: &u64) -> bool {
    *files == 1
}
