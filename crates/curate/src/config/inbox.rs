//! Directories in which deliveries arrive: the section `inbox`.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The directories in which deliveries arrive.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Inbox {
    /// Directories whose subdirectories are deliveries.
    pub directories: Vec<PathBuf>,
    /// Seconds without change after which a delivery without a marker is complete.
    pub quiet_seconds: u64,
    /// Seconds between two polls.
    pub poll_seconds: u64,
    /// Symbolic links that are followed.
    pub links: Links,
    /// Trees outside the inbox into which links may lead.
    pub link_roots: Vec<PathBuf>,
    /// Patterns of the names of unfinished files, in addition to the usual ones.
    pub unfinished_patterns: Vec<String>,
}

impl Default for Inbox {
    fn default() -> Self {
        Self {
            directories: Vec::new(),
            quiet_seconds: 300,
            poll_seconds: 5,
            links: Links::Within,
            link_roots: Vec::new(),
            unfinished_patterns: Vec::new(),
        }
    }
}

/// The symbolic links that are followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Links {
    /// None.
    Skip,
    /// Links that lead into the source's own tree, or one of the named trees.
    #[default]
    Within,
    /// All.
    Anywhere,
}

impl From<Links> for transfer::source::Links {
    fn from(links: Links) -> Self {
        match links {
            Links::Skip => Self::Skip,
            Links::Within => Self::Within,
            Links::Anywhere => Self::Anywhere,
        }
    }
}
