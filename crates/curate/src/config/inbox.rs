//! Where deliveries arrive: the section `inbox`.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where deliveries arrive.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Inbox {
    /// Directories whose subdirectories are deliveries.
    pub directories: Vec<PathBuf>,
    /// A delivery without a marker is taken after so many quiet seconds.
    pub quiet_seconds: u64,
    /// Seconds between two looks.
    pub poll_seconds: u64,
    /// Symbolic links that are followed.
    pub links: Links,
    /// Trees beside the inbox into which they may lead.
    pub link_roots: Vec<PathBuf>,
    /// Names of unfinished files beside the usual ones.
    pub unfinished: Vec<String>,
}

impl Default for Inbox {
    fn default() -> Self {
        Self {
            directories: Vec::new(),
            quiet_seconds: 300,
            poll_seconds: 5,
            links: Links::Within,
            link_roots: Vec::new(),
            unfinished: Vec::new(),
        }
    }
}

/// Symbolic links that are followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Links {
    /// None.
    Skip,
    /// Those that lead into the source's own tree, or one of the named ones.
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
