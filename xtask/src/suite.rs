//! Every test of the workspace, with its prerequisites set up first.

use crate::{outfit, root, strict, target};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// The end of a skip that CI permits: the set of real files is data outside the repository, which no command installs.
const NO_REAL_FILES: &str = ": no real files (ALMAGEST_REAL_FITS)";

/// Runs `cargo test` on the workspace and names the skipped tests.
pub fn run(filters: &[String]) -> Result<(), String> {
    let outfit = outfit::prepare();
    let skips = target().join("skipped-tests.log");
    fs::create_dir_all(target()).map_err(|e| e.to_string())?;
    fs::write(&skips, "").map_err(|e| format!("{}: {e}", skips.display()))?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(root())
        .args(["test", "--workspace"])
        .args(filters)
        .env("ALMAGEST_SKIP_LOG", &skips);
    outfit.lend(&mut command);
    let passed = command.status().map_err(|e| format!("cargo: {e}"))?.success();
    let skipped: BTreeSet<String> =
        fs::read_to_string(&skips).unwrap_or_default().lines().map(str::to_owned).collect();
    for thing in &outfit.missing {
        println!("could not set up: {thing}");
    }
    for test in &skipped {
        println!("skipped: {test}");
    }
    if !passed {
        return Err("tests failed".to_owned());
    }
    let needless = skipped.iter().filter(|test| !test.ends_with(NO_REAL_FILES)).count();
    if strict() && needless > 0 {
        return Err(format!("{needless} checks were skipped that CI=true requires"));
    }
    println!("all tests passed, {} skipped", skipped.len());
    Ok(())
}
