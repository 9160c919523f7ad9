//! Retention of batches: the section `staging`.

use serde::{Deserialize, Serialize};

/// The retention of batches.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Staging {
    /// Days for which batches are kept after ingest.
    pub keep_days: u32,
}

impl Default for Staging {
    fn default() -> Self {
        Self { keep_days: 7 }
    }
}

impl Staging {
    /// Returns the time for which batches are kept after ingest.
    pub fn keep(&self) -> chrono::TimeDelta {
        chrono::TimeDelta::days(self.keep_days.into())
    }
}
