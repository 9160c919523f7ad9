//! Notification of operators about failures: the section `notify`.

use serde::{Deserialize, Serialize};

/// The notification of operators about failures.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Notify {
    /// Program to call, with its arguments; empty = none.
    pub command: Vec<String>,
    /// URL to call; empty = none.
    pub webhook: String,
    /// Hours without progress after which a unit is stuck.
    pub stuck_hours: f64,
    /// Free GB below which a disk is low.
    pub low_disk_gb: u64,
}

impl Default for Notify {
    fn default() -> Self {
        Self { command: Vec::new(), webhook: String::new(), stuck_hours: 6.0, low_disk_gb: 20 }
    }
}
