//! A limited run of the fuzz target of the FITS reader.

use crate::{root, target};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Builds the target of `fuzz/` the way `cargo fuzz run --sanitizer none` does, and runs it. The coverage
/// instrumentation is a set of compiler flags without unstable ones, so the stable tool chain is sufficient.
pub fn run(words: &[String]) -> Result<(), String> {
    let seconds: u32 = match words.first() {
        Some(word) => word.parse().map_err(|_| format!("{word:?} is not a number of seconds"))?,
        None => 60,
    };
    let fuzz = root().join("fuzz");
    let host = host_triple()?;
    let built = Command::new("cargo")
        .current_dir(&fuzz)
        .args(["build", "--release", "--target", &host, "--target-dir"])
        .arg(target().join("fuzz"))
        .env("RUSTFLAGS", INSTRUMENT)
        .status()
        .map_err(|e| format!("cargo: {e}"))?;
    if !built.success() {
        return Err("the fuzz target does not build".to_owned());
    }
    let corpus = target().join("fuzz-corpus");
    fs::create_dir_all(&corpus).map_err(|e| e.to_string())?;
    let seeds = seed_directories();
    let finds = target().join("fuzz-finds/");
    fs::create_dir_all(&finds).map_err(|e| e.to_string())?;
    let binary = target().join("fuzz").join(&host).join("release/fits_reader");
    let ran = Command::new(binary)
        .arg(&corpus)
        .args(seeds)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}", finds.display()))
        .args([
            "-timeout=20",
            "-rss_limit_mb=2048",
            "-max_len=65536",
            "-print_final_stats=1",
            "-verbosity=1",
        ])
        .status()
        .map_err(|e| format!("the fuzz target: {e}"))?;
    if ran.success() {
        Ok(())
    } else {
        Err(format!("the fuzzer found something, see {}", finds.display()))
    }
}

const INSTRUMENT: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions";

fn host_triple() -> Result<String, String> {
    let said = Command::new("rustc").arg("-vV").output().map_err(|e| format!("rustc: {e}"))?;
    String::from_utf8_lossy(&said.stdout)
        .lines()
        .find_map(|line| line.strip_prefix("host: ").map(str::to_owned))
        .ok_or_else(|| "rustc -vV names no host".to_owned())
}

/// Returns directories of small real files, which make good seeds; libFuzzer reads extra directories without writing to
/// them.
fn seed_directories() -> Vec<std::path::PathBuf> {
    let real = std::env::var_os("ALMAGEST_REAL_FITS")
        .map_or_else(|| root().join("../shared/data/real"), Into::into);
    ["edge_case", "wrapped", "tile_compressed"]
        .iter()
        .map(|kind| Path::new(&real).join(kind))
        .filter(|dir| dir.is_dir())
        .collect()
}
