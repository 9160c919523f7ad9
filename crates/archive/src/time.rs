//! Times as the archive writes them: ISO 8601 in UTC with milliseconds and Z.

use crate::error::ArchiveFault;
use chrono::{DateTime, SecondsFormat, Utc};

/// Times in the archive, in UTC.
pub type Timestamp = DateTime<Utc>;

/// Formats a time.
pub fn text_of(time: Timestamp) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Parses a text that the archive wrote.
pub(crate) fn time_of(text: &str) -> Result<Timestamp, ArchiveFault> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.with_timezone(&Utc))
        .map_err(|_| ArchiveFault::Damaged(format!("{text:?} is no time")))
}
