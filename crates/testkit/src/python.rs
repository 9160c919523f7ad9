//! External checkers: a Python interpreter with astropy, fitsio, DuckDB and others.

use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

/// Returns the interpreter that `ALMAGEST_PYTHON` names. Without one, prints that the calling test is skipped.
pub fn python() -> Option<PathBuf> {
    let found = std::env::var_os("ALMAGEST_PYTHON").filter(|path| !path.is_empty());
    if found.is_none() {
        skipped("no python environment");
    }
    found.map(PathBuf::from)
}

/// Prints, past the capture of test output, that the calling test is skipped and why; it also writes this to the file
/// that `ALMAGEST_SKIP_LOG` names, from which the runner of all tests collects it.
pub fn skipped(reason: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("unnamed test");
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {reason}");
    let Some(log) = std::env::var_os("ALMAGEST_SKIP_LOG") else { return };
    let line = format!("{test}: {reason}\n");
    let log = std::fs::OpenOptions::new().append(true).create(true).open(log);
    log.and_then(|mut log| log.write_all(line.as_bytes())).expect("the log can be written");
}

/// Runs a script and returns its output; `None`, with a message, when there is no interpreter.
///
/// Warnings count as errors. `name` appears in the message when it fails.
///
/// # Panics
/// Panics when the script fails, with its error output.
pub fn python_script<A: AsRef<OsStr>>(name: &str, script: &str, args: &[A]) -> Option<String> {
    let python = python()?;
    let output = Command::new(python)
        .args(["-W", "error", "-c", script])
        .args(args)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("ALMAGEST_PYTHON is a program that runs");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "script {name} failed:\n{stdout}{stderr}");
    Some(stdout)
}
