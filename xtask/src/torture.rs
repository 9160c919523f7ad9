//! The long versions of the campaigns that the test suite runs as samples.

use crate::{fuzz, outfit, root};
use std::process::Command;
use std::time::Instant;

/// A campaign: its description, its test binary, and its environment.
type Campaign = (&'static str, &'static str, (&'static str, &'static str));

const CAMPAIGNS: &[Campaign] = &[
    ("1000 kills of a whole run, on each engine", "kills", ("ALMAGEST_KILLS", "1000")),
    ("10 000 small batches with concurrent readers", "partitions", ("ALMAGEST_BATCHES", "10000")),
    ("20 kills of the data daemon under Slurm", "slurm", ("ALMAGEST_DAEMON_KILLS", "20")),
    ("200 kills of a transfer", "transfer", ("ALMAGEST_TRANSFER_KILLS", "200")),
    (
        "200 sequences of 60 acts on each engine, against a model",
        "sequences",
        ("ALMAGEST_SEQUENCES", "200"),
    ),
    ("50 migrations during other work, each way", "migrate", ("ALMAGEST_MIGRATIONS", "50")),
    ("every planted fault", "hostile", ("ALMAGEST_FAULTS", "all")),
    HEADERS,
];

/// Generated headers, compared with astropy and wcslib. Its test runs 200 of them in the ordinary suite.
const HEADERS: Campaign =
    ("2000 generated headers compared with astropy", "headers", ("ALMAGEST_HEADERS", "2000"));

/// Runs all campaigns, each to its end, then fuzzes for an hour (or the hours given). With `--headers [SEED]` runs the
/// campaign of generated headers alone.
pub fn run(words: &[String]) -> Result<(), String> {
    if words.first().is_some_and(|word| word == "--headers") {
        return headers(words.get(1).map(String::as_str));
    }
    let hours: f64 = match words.first() {
        Some(word) => word.parse().map_err(|_| format!("{word:?} is not a number of hours"))?,
        None => 1.0,
    };
    let outfit = outfit::prepare();
    let mut failed = Vec::new();
    for campaign in CAMPAIGNS {
        if !passes(campaign, &outfit, &[])? {
            failed.push(campaign.0);
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

/// Runs the campaign of generated headers, with a given seed if there is one.
fn headers(seed: Option<&str>) -> Result<(), String> {
    let seed = match seed {
        Some(word) => {
            word.parse::<u32>().map_err(|_| format!("{word:?} is not a seed (a whole number)"))?;
            vec![("ALMAGEST_HEADER_SEED", word)]
        }
        None => Vec::new(),
    };
    let outfit = outfit::prepare();
    if passes(&HEADERS, &outfit, &seed)? { Ok(()) } else { Err(format!("failed: {}", HEADERS.0)) }
}

/// Runs one campaign; returns false when its test fails.
fn passes(
    (what, binary, (name, value)): &Campaign,
    outfit: &outfit::Outfit,
    environment: &[(&str, &str)],
) -> Result<bool, String> {
    println!("== {what}");
    let started = Instant::now();
    let mut command = Command::new("cargo");
    command
        .current_dir(root())
        // For the whole workspace, since tests of one crate run programs of another.
        .args(["test", "--workspace", "--test", binary, "--", "--nocapture"])
        .env(name, value)
        .envs(environment.iter().copied());
    outfit.lend(&mut command);
    let passed = command.status().map_err(|e| format!("cargo: {e}"))?.success();
    let (outcome, seconds) =
        (if passed { "passed" } else { "FAILED" }, started.elapsed().as_secs_f64());
    println!("== {what}: {outcome} after {seconds:.0} s");
    Ok(passed)
}
