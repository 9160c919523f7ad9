//! The workspace runner: sets up the prerequisites of the checks, and runs them.
//!
//! `cargo xtask test` runs every test, `torture` the long campaigns, `fuzz` the reader's fuzz target. `arrows` checks
//! the dependencies between crates, `packages` the number of locked packages, `paths` the paths in ARCHITECTURE.md,
//! `words` the words, `size` the release binary. `dist` makes the distribution. It uses the standard library alone, so that it is built in a second.

mod arrows;
mod dist;
mod fuzz;
mod outfit;
mod packages;
mod paths;
mod size;
mod suite;
mod torture;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

  test [FILTER…]       set up the checking tools, run every test; a skipped test is named
                       (under CI=true a skip is a failure, but of real files)
  torture [HOURS]      the long campaigns: 1000 kills, every planted fault, an hour of fuzzing
  torture --headers [SEED]
                       the campaign of 2000 generated headers compared with astropy alone
  fuzz [SECONDS]       fuzz the FITS reader (default 60)
  arrows               check that crates depend on what they may and on nothing else
  packages             check the number of locked packages against its ceiling
  paths                check that every path in ARCHITECTURE.md exists
  words                check that no text that users read has a banned phrase
  size                 check the size of the release binary against its ceiling
  dist                 build the distribution for Linux on x86-64 (glibc 2.17 or newer) in target/dist:
                       a tar file, and a Debian package where dpkg-deb is installed";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let rest = words.get(1..).unwrap_or_default();
    let done = match words.first().map(String::as_str) {
        Some("test") => suite::run(rest),
        Some("torture") => torture::run(rest),
        Some("fuzz") => fuzz::run(rest),
        Some("arrows") => arrows::check(),
        Some("packages") => packages::check(),
        Some("paths") => paths::check(),
        Some("words") => words::check(),
        Some("size") => size::check(),
        Some("dist") => dist::make(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("xtask: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the root of the workspace.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or(here.clone(), PathBuf::from)
}

/// Returns `CARGO_TARGET_DIR`, or `target/` of the workspace.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Returns true when a skipped check is a failure.
fn strict() -> bool {
    std::env::var("CI").is_ok_and(|v| v == "true")
}
