//! Storage of delivered files: the section `library`.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The storage of delivered files.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Library {
    /// The method by which files are added to the library.
    pub mode: LibraryMode,
    /// Disks in addition to `library/`.
    pub volumes: Vec<PathBuf>,
    /// The disk that is filled first.
    pub fill: FillOrder,
    /// GB that stay free on each disk.
    pub keep_free_gb: u64,
    /// Maximum speed of `scrub` in MB per second; 0 = no limit.
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

/// The disk of the library that is filled first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FillOrder {
    /// The first disk in the order of the list.
    #[default]
    InOrder,
    /// The disk with the most free space.
    MostFree,
}

/// The way in which delivered files get into the library.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LibraryMode {
    /// Copies.
    #[default]
    Copy,
    /// Hard links.
    Link,
    /// Not at all: files stay where they are.
    InPlace,
}
