//! The ceiling on the number of external packages in the lock file. Raising the ceiling is a decision: PostgreSQL's
//! client and TLS added 56 packages and a minute of building, deliveries by SFTP, HTTP and S3 another 29, `tracing` 2.

use crate::root;
use std::fs;

const CEILING: usize = 245;

/// Counts the locked packages from outside the workspace.
pub fn check() -> Result<(), String> {
    let lock =
        fs::read_to_string(root().join("Cargo.lock")).map_err(|e| format!("Cargo.lock: {e}"))?;
    let all = lock.lines().filter(|line| *line == "[[package]]").count();
    let count = lock.lines().filter(|line| line.starts_with("source = ")).count();
    if count > CEILING {
        return Err(format!("{count} packages of others are locked, the ceiling is {CEILING}"));
    }
    println!("{count} packages of others are locked, the ceiling is {CEILING}; {all} with our own");
    Ok(())
}
