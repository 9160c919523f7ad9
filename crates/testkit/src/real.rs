//! The set of real files, and its known contents.

use serde_json::Value;
use std::path::{Path, PathBuf};

/// Returns the directory of real files: `ALMAGEST_REAL_FITS`, else `shared/data/real` next to the workspace. Without it,
/// prints that the calling test is skipped.
pub fn real_data() -> Option<PathBuf> {
    let named = std::env::var_os("ALMAGEST_REAL_FITS").filter(|path| !path.is_empty());
    let dir = named
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/real"));
    if dir.join("truth.json").is_file() {
        return Some(dir);
    }
    crate::python::skipped("no real files (ALMAGEST_REAL_FITS)");
    None
}

/// Reads `truth.json` of the real files: an object `files` whose keys are paths below the directory.
///
/// # Panics
/// Panics when the file is not JSON.
pub fn real_truth(dir: &Path) -> Value {
    let text = std::fs::read(dir.join("truth.json")).expect("the real set has a truth.json");
    serde_json::from_slice(&text).expect("truth.json is JSON")
}
