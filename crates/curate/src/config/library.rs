//! How delivered files are kept: the section `library`.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How files are kept.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Library {
    /// How they get there.
    pub mode: LibraryMode,
    /// Disks beside `library/`.
    pub volumes: Vec<PathBuf>,
    /// Which is filled first.
    pub fill: FillOrder,
    /// GB that stay free on each.
    pub keep_free_gb: u64,
    /// Speed of `scrub` at the most; 0 = no limit.
    pub scrub_mb_per_second: f64,
}

impl Default for Library {
    fn default() -> Self {
        Self {
            mode: LibraryMode::Copy,
            volumes: Vec::new(),
            fill: FillOrder::InOrder,
            keep_free_gb: 0,
            scrub_mb_per_second: 100.0,
        }
    }
}

/// Which disk of the library is filled first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FillOrder {
    /// In the order in which they are listed.
    #[default]
    InOrder,
    /// The one with the most room.
    MostFree,
}

/// How delivered files get into the library.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LibraryMode {
    /// Copied.
    #[default]
    Copy,
    /// Hard links.
    Link,
    /// Not at all: they stay where they are.
    InPlace,
}
