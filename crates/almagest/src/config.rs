//! The site's one configuration file, `almagest.toml`. Unknown keys are refused, all faults at once.

use crate::exit;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Name of the file at the root of a site.
pub const FILE_NAME: &str = "almagest.toml";

/// What `init` writes: every key with its default, and what it does.
pub const TEMPLATE: &str = "\
# Configuration of this Almagest site. Every key may be left out; the values below are the defaults.

[library]
# How delivered files get into library/: \"copy\", \"link\" (hard links; the provider must never write in
# place) or \"in-place\" (they stay where they are and are only read).
mode = \"copy\"

[work]
# Worker threads; 0 = one per processor.
threads = 0
# Memory per worker thread in MB, for images and tables; 300 MB are kept for everything else.
memory_per_thread_mb = 150
# Detections of a catalogue task at the least, where the night has them.
rows_per_catalogue_task = 100000

[sql]
# A query ends after so many seconds, rows, and MB of temporary files. 0 = no limit.
seconds = 600
rows = 0
temporary_mb = 4096
";

/// The configuration of a site.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The library.
    pub library: Library,
    /// The work.
    pub work: Work,
    /// Queries.
    pub sql: Sql,
}

/// How files are kept.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Library {
    /// How they get there.
    pub mode: LibraryMode,
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

/// What steps may use.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Work {
    /// Worker threads; 0 = one per processor.
    pub threads: usize,
    /// Memory per worker thread.
    pub memory_per_thread_mb: u64,
    /// Rows of a catalogue task at the least.
    pub rows_per_catalogue_task: u64,
}

impl Default for Work {
    fn default() -> Self {
        Self { threads: 0, memory_per_thread_mb: 150, rows_per_catalogue_task: 100_000 }
    }
}

impl Work {
    /// Worker threads, never 0.
    pub fn workers(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }
}

/// Limits of queries.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sql {
    /// Seconds; 0 = no limit.
    pub seconds: u64,
    /// Rows; 0 = no limit.
    pub rows: u64,
    /// Temporary files.
    pub temporary_mb: u64,
}

impl Default for Sql {
    fn default() -> Self {
        Self { seconds: 600, rows: 0, temporary_mb: 4096 }
    }
}

/// Reads the configuration of the site at `root`.
///
/// # Errors
/// Exit code 2, with line and key, when it does not parse.
pub fn load(root: &Path) -> anyhow::Result<Config> {
    let path = root.join(FILE_NAME);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).map_err(|fault| exit::usage(format!("{}: {fault}", path.display())))
}

fn parse(text: &str) -> Result<Config, String> {
    toml::from_str(text).map_err(|fault| fault.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_holds_the_defaults() {
        assert_eq!(parse(TEMPLATE).unwrap(), Config::default());
        assert_eq!(parse("").unwrap(), Config::default());
    }

    #[test]
    fn unknown_keys_are_refused_with_their_line() {
        let fault = parse("[work]\nthreads = 2\ntreads = 3\n").unwrap_err();
        assert!(fault.contains("treads") && fault.contains('3'), "{fault}");
    }
}
