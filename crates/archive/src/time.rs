//! Times as the archive writes them: ISO 8601 in UTC with milliseconds and Z.

use crate::error::ArchiveFault;
use chrono::{DateTime, SecondsFormat, Utc};
use engine::{EngineError, Row};
use serde::Serializer;

/// Times in the archive, in UTC.
pub type Timestamp = DateTime<Utc>;

/// Formats a time.
pub fn text_of(time: Timestamp) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Serializes a time as the archive writes it.
pub(crate) fn serialize<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&text_of(*time))
}

/// Reads a time from a column.
pub(crate) fn time_in(row: &Row<'_>, column: usize) -> engine::Result<Timestamp> {
    let text: String = row.get(column)?;
    time_of(&text).map_err(|fault| EngineError::Value { column, reason: fault.to_string() })
}

/// Parses a text that the archive wrote.
pub(crate) fn time_of(text: &str) -> Result<Timestamp, ArchiveFault> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.with_timezone(&Utc))
        .map_err(|_| ArchiveFault::Damaged(format!("{text:?} is not a time")))
}
