//! The file in which a daemon keeps its state, for `status`.

use crate::words::tell;
use archive::lease::Process;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

const FILE: &str = "state.json";

/// Reads the state that the last daemon wrote to a directory.
pub fn read<T: DeserializeOwned>(directory: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(directory.join(FILE)).ok()?).ok()
}

/// Writes a state. A file that cannot be written stops nothing and is reported once. The file is not synced, since the process
/// does not survive a crash of the machine.
pub fn write(directory: &Path, state: &impl Serialize) {
    static IS_REPORTED: AtomicBool = AtomicBool::new(false);
    let text = serde_json::to_vec_pretty(state).unwrap_or_default();
    let temporary = directory.join(format!(".{FILE}"));
    let written = std::fs::write(&temporary, text)
        .and_then(|()| std::fs::rename(temporary, directory.join(FILE)));
    match written {
        Ok(()) => IS_REPORTED.store(false, Ordering::Relaxed),
        Err(fault) if !IS_REPORTED.swap(true, Ordering::Relaxed) => tell!(
            "almagest: what this daemon does is not in `status`: cannot write to {}: {fault}",
            directory.display()
        ),
        Err(_) => {}
    }
}

/// Returns true when the daemon that wrote a state is running, as far as this machine can determine.
pub fn is_alive(process: &str, state: &str) -> bool {
    state != "stopped" && Process::parse(process).is_some_and(|p| !p.has_stopped())
}

/// Returns the pid of a process.
pub fn pid(process: &str) -> &str {
    process.rsplit('/').nth(1).unwrap_or_default()
}
