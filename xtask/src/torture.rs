//! The long versions of the campaigns that the test suite runs as samples.

use crate::{fuzz, outfit, root};
use std::process::Command;
use std::time::Instant;

/// (what, test binary, environment).
const CAMPAIGNS: &[(&str, &str, (&str, &str))] = &[
    ("1000 kills of a whole run, on each engine", "kills", ("ALMAGEST_KILLS", "1000")),
    ("10 000 small batches beside readers", "partitions", ("ALMAGEST_BATCHES", "10000")),
    ("20 kills of the data daemon beside Slurm", "slurm", ("ALMAGEST_DAEMON_KILLS", "20")),
    ("200 kills of a transfer", "transfer", ("ALMAGEST_TRANSFER_KILLS", "200")),
    ("50 migrations beside others, each way", "migrate", ("ALMAGEST_MIGRATIONS", "50")),
    ("every planted fault", "hostile", ("ALMAGEST_FAULTS", "all")),
];

/// Runs all campaigns, each to its end, then fuzzes for an hour (or the hours given).
pub fn run(words: &[String]) -> Result<(), String> {
    let hours: f64 = match words.first() {
        Some(word) => word.parse().map_err(|_| format!("{word:?} is no number of hours"))?,
        None => 1.0,
    };
    let outfit = outfit::prepare();
    let mut failed = Vec::new();
    for (what, binary, (name, value)) in CAMPAIGNS {
        println!("== {what}");
        let started = Instant::now();
        let mut command = Command::new("cargo");
        command
            .current_dir(root())
            // Of the whole workspace, since tests of one crate run programs of another.
            .args(["test", "--workspace", "--test", binary, "--", "--nocapture"])
            .env(name, value);
        outfit.lend(&mut command);
        let passed = command.status().map_err(|e| format!("cargo: {e}"))?.success();
        println!(
            "== {what}: {} after {:.0} s",
            if passed { "passed" } else { "FAILED" },
            started.elapsed().as_secs_f64()
        );
        if !passed {
            failed.push(*what);
        }
    }
    println!("== fuzzing for {hours} h");
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive number of seconds"
    )]
    let seconds = (hours * 3600.0).max(1.0) as u32;
    fuzz::run(&[seconds.to_string()])?;
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}
