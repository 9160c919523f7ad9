//! Where deliveries come from: the sections `sources.NAME`.

use super::{Links, Order, Span};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where deliveries come from.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceConfig {
    /// A directory or URL whose directories are deliveries.
    pub url: String,
    /// Which of them.
    pub deliveries: String,
    /// By what a delivery is known to be complete.
    pub complete: Complete,
    /// Files of a delivery.
    pub count: u64,
    /// Seconds without change.
    pub quiet_seconds: u64,
    /// Files come before their delivery is complete.
    pub early: bool,
    /// When they did not change for so long.
    pub settle_seconds: u64,
    /// Seconds between two looks.
    pub poll_seconds: u64,
    /// Connections at the most.
    pub lines: usize,
    /// Speed at the most; 0 = no limit.
    pub mb_per_second: f64,
    /// Spans of the day, UTC, in which files come; empty = always.
    pub windows: Vec<Span>,
    /// Which night comes first.
    pub order: Order,
    /// After so many seconds with next to nothing a connection is dead.
    pub stall_seconds: u64,
    /// Who asks.
    pub user: String,
    /// File of mode 0600 that holds password, token or secret key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// Variable of the environment that holds it.
    pub secret_env: String,
    /// File of mode 0600 that holds the session token of S3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_file: Option<PathBuf>,
    /// Variable of the environment that holds it.
    pub session_env: String,
    /// Where S3 is.
    pub endpoint: String,
    /// Region of S3.
    pub region: String,
    /// Certificates to trust.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorities: Option<PathBuf>,
    /// The list that names the files of a delivery.
    pub listing: String,
    /// Symbolic links that are followed.
    pub links: Links,
    /// Trees beside the source's own into which they may lead.
    pub link_roots: Vec<PathBuf>,
    /// Names of unfinished files beside the usual ones.
    pub unfinished: Vec<String>,
    /// Further options of ssh.
    pub ssh_options: Vec<String>,
}

impl Default for SourceConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            deliveries: "*".to_owned(),
            complete: Complete::MarkerOrQuiet,
            count: 0,
            quiet_seconds: 300,
            early: true,
            settle_seconds: 10,
            poll_seconds: 30,
            lines: 8,
            mb_per_second: 0.0,
            windows: Vec::new(),
            order: Order::Newest,
            stall_seconds: 60,
            user: String::new(),
            secret_file: None,
            secret_env: String::new(),
            session_file: None,
            session_env: String::new(),
            endpoint: String::new(),
            region: String::new(),
            authorities: None,
            listing: String::new(),
            links: Links::Within,
            link_roots: Vec::new(),
            unfinished: Vec::new(),
            ssh_options: Vec::new(),
        }
    }
}

impl SourceConfig {
    /// When a connection counts as dead.
    pub fn stall(&self) -> transfer::Stall {
        transfer::Stall { seconds: self.stall_seconds, ..transfer::Stall::default() }
    }

    /// Whether files may come at a time.
    pub fn is_open(&self, now: archive::Timestamp) -> bool {
        use chrono::Timelike;
        let minute = now.hour() * 60 + now.minute();
        self.windows.is_empty() || self.windows.iter().any(|span| span.holds(minute))
    }
}

/// By what a delivery is known to be complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Complete {
    /// Its marker, or no change for a while.
    #[default]
    MarkerOrQuiet,
    /// Its marker.
    Marker,
    /// All files of its list.
    Manifest,
    /// A number of files.
    Count,
    /// No change for a while.
    Quiet,
}
