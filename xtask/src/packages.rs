//! The ceiling on the number of packages in the lock file. Raising the ceiling is a decision: PostgreSQL's client and TLS
//! added 56 packages and a minute of building, deliveries by SFTP, HTTP and S3 another 29, `tracing` 2.

use crate::root;
use std::fs;

const CEILING: usize = 262;

/// Counts the locked packages, those of the workspace included.
pub fn check() -> Result<(), String> {
    let lock =
        fs::read_to_string(root().join("Cargo.lock")).map_err(|e| format!("Cargo.lock: {e}"))?;
    let all = lock.lines().filter(|line| *line == "[[package]]").count();
    if all > CEILING {
        return Err(format!("{all} packages are locked, the ceiling is {CEILING}"));
    }
    let others = lock.lines().filter(|line| line.starts_with("source = ")).count();
    println!("{all} packages are locked, {others} of others; the ceiling is {CEILING}");
    Ok(())
}
