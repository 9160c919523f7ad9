//! The log files: the section `log`.

use crate::log::{Format, Level};
use serde::{Deserialize, Serialize};

/// The log files in `logs/`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Last level that is written.
    pub level: Level,
    /// Format of the lines.
    pub format: Format,
}
