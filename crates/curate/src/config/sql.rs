//! Limits of queries: the section `sql`.

use serde::{Deserialize, Serialize};

/// Limits of queries.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sql {
    /// Maximum number of seconds; 0 = no limit.
    pub max_seconds: u64,
    /// Maximum number of rows; 0 = no limit.
    pub max_rows: u64,
    /// Maximum size of the temporary files of a query in MB; 0 = no limit.
    pub max_temporary_mb: u64,
}

impl Default for Sql {
    fn default() -> Self {
        Self { max_seconds: 600, max_rows: 0, max_temporary_mb: 4096 }
    }
}
