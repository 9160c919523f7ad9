//! The size limit of the release binary, which users download and every node reads over the network.

use crate::target;
use std::fs;

const CEILING: u64 = 32_000_000;

/// Compares the size of the release binary with its ceiling.
pub fn check() -> Result<(), String> {
    let binary = target().join("release/almagest");
    let bytes = fs::metadata(&binary)
        .map_err(|e| format!("{}: {e}; cargo build --release makes it", binary.display()))?
        .len();
    let megabytes = bytes as f64 / 1e6;
    if bytes > CEILING {
        return Err(format!("{} has {megabytes:.1} MB, the ceiling is 32 MB", binary.display()));
    }
    println!("the release binary has {megabytes:.1} MB, the ceiling is 32 MB");
    Ok(())
}
