//! Sources of deliveries: the sections `sources.NAME`.

use super::{Links, Order, Span};
use model::profile::Glob;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A source of deliveries.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceConfig {
    /// A directory or URL whose subdirectories are deliveries.
    pub url: String,
    /// Pattern of the names of the deliveries that are fetched.
    pub deliveries: Glob,
    /// The criterion by which a delivery is known to be complete.
    pub complete_when: Complete,
    /// Number of files of a complete delivery, for [`Complete::Count`].
    pub expected_files: u64,
    /// Seconds without change after which a delivery is complete.
    pub quiet_seconds: u64,
    /// True when files are fetched before their delivery is complete.
    pub fetch_early: bool,
    /// Seconds without change after which a file is fetched.
    pub settle_seconds: u64,
    /// Seconds between two polls.
    pub poll_seconds: u64,
    /// Maximum number of connections.
    pub max_connections: usize,
    /// Maximum speed in MB per second; 0 = no limit.
    pub mb_per_second: f64,
    /// Spans of the day, UTC, in which files are fetched; empty = always.
    pub windows: Vec<Span>,
    /// The nights that are fetched first.
    pub order: Order,
    /// Seconds with almost no data after which a connection is replaced.
    pub stall_timeout_seconds: u64,
    /// User of HTTP; access key of S3.
    pub user: String,
    /// File of mode 0600 that holds the password, token or secret key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// Environment variable that holds the password, token or secret key.
    pub secret_env: String,
    /// File of mode 0600 that holds the session token of S3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_file: Option<PathBuf>,
    /// Environment variable that holds the session token of S3.
    pub session_env: String,
    /// Endpoint of S3, when it is not Amazon's.
    pub endpoint: String,
    /// Region of S3.
    pub region: String,
    /// File of the certificates to trust.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The list that names the files of a delivery.
    pub listing: String,
    /// Symbolic links that are followed.
    pub links: Links,
    /// Trees outside the source's own into which links may lead.
    pub link_roots: Vec<PathBuf>,
    /// Patterns of the names of unfinished files, in addition to the usual ones.
    pub unfinished_patterns: Vec<String>,
    /// Further options of ssh.
    pub ssh_options: Vec<String>,
}

impl Default for SourceConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            deliveries: Glob::new("*"),
            complete_when: Complete::MarkerOrQuiet,
            expected_files: 0,
            quiet_seconds: 300,
            fetch_early: true,
            settle_seconds: 10,
            poll_seconds: 30,
            max_connections: 8,
            mb_per_second: 0.0,
            windows: Vec::new(),
            order: Order::Newest,
            stall_timeout_seconds: 60,
            user: String::new(),
            secret_file: None,
            secret_env: String::new(),
            session_file: None,
            session_env: String::new(),
            endpoint: String::new(),
            region: String::new(),
            ca_file: None,
            listing: String::new(),
            links: Links::Within,
            link_roots: Vec::new(),
            unfinished_patterns: Vec::new(),
            ssh_options: Vec::new(),
        }
    }
}

impl SourceConfig {
    /// Returns the limits beyond which a connection counts as dead.
    pub fn stall(&self) -> transfer::Stall {
        transfer::Stall { seconds: self.stall_timeout_seconds, ..transfer::Stall::default() }
    }

    /// Returns true when files may be fetched at the given time.
    pub fn is_open(&self, now: archive::Timestamp) -> bool {
        use chrono::Timelike;
        let minute = now.hour() * 60 + now.minute();
        self.windows.is_empty() || self.windows.iter().any(|span| span.holds(minute))
    }
}

/// The criterion by which a delivery is known to be complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Complete {
    /// The marker of the delivery, or no change for a while.
    #[default]
    MarkerOrQuiet,
    /// The marker of the delivery.
    Marker,
    /// All files of the delivery's list.
    Manifest,
    /// A number of files.
    Count,
    /// No change for a while.
    Quiet,
}
