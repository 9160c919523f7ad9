//! How long batches stay: the section `staging`.

use serde::{Deserialize, Serialize};

/// What becomes of batches.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Staging {
    /// Days that they stay after ingest.
    pub keep_days: u32,
}

impl Default for Staging {
    fn default() -> Self {
        Self { keep_days: 7 }
    }
}

impl Staging {
    /// How long they stay after ingest.
    pub fn keep(&self) -> chrono::TimeDelta {
        chrono::TimeDelta::days(self.keep_days.into())
    }
}
