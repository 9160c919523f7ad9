//! The present time, and the form of times that programs read.

use archive::Timestamp;

/// Returns the present time, to be passed down: modules below read no clock.
pub fn now() -> Timestamp {
    chrono::Utc::now()
}

/// Returns a time in the form that programs read.
pub fn iso(time: Timestamp) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}
