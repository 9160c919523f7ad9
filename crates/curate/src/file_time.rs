//! Times in the state files of daemons.

use archive::Timestamp;
use chrono::SecondsFormat;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A time in a state file, written as ISO 8601 in UTC: to the millisecond, or else to the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileTime<const TO_MILLISECONDS: bool>(Timestamp);

impl<const TO_MILLISECONDS: bool> FileTime<TO_MILLISECONDS> {
    /// Returns the time.
    pub fn get(self) -> Timestamp {
        self.0
    }
}

impl<const TO_MILLISECONDS: bool> From<Timestamp> for FileTime<TO_MILLISECONDS> {
    fn from(time: Timestamp) -> Self {
        Self(time)
    }
}

impl<const TO_MILLISECONDS: bool> Serialize for FileTime<TO_MILLISECONDS> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let precision = if TO_MILLISECONDS { SecondsFormat::Millis } else { SecondsFormat::Secs };
        to.serialize_str(&self.0.to_rfc3339_opts(precision, true))
    }
}

impl<'de, const TO_MILLISECONDS: bool> Deserialize<'de> for FileTime<TO_MILLISECONDS> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_were_written() {
        let time: Timestamp = "2026-01-02T03:04:05.678Z".parse().unwrap();
        let (fine, coarse) = (FileTime::<true>::from(time), FileTime::<false>::from(time));
        assert_eq!(serde_json::to_string(&fine).unwrap(), "\"2026-01-02T03:04:05.678Z\"");
        assert_eq!(serde_json::to_string(&coarse).unwrap(), "\"2026-01-02T03:04:05Z\"");
        let read: FileTime<true> = serde_json::from_str("\"2026-01-02T03:04:05.678Z\"").unwrap();
        assert_eq!(read.get(), time);
    }
}
