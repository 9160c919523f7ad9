//! The ingester daemon: the section `ingest`.

use serde::{Deserialize, Serialize};

/// The ingester daemon.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ingest {
    /// Address on which metrics are served; empty = none.
    pub listen: String,
    /// Maximum number of seconds between two passes.
    pub poll_seconds: u64,
}

impl Default for Ingest {
    fn default() -> Self {
        Self { listen: "127.0.0.1:19187".to_owned(), poll_seconds: 10 }
    }
}
