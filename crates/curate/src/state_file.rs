//! The file in which a daemon keeps what it does, for `status`.

use crate::words::tell;
use archive::lease::Process;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

const FILE: &str = "state.json";

/// What the last daemon left in a directory.
pub fn read<T: DeserializeOwned>(directory: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(directory.join(FILE)).ok()?).ok()
}

/// Leaves a state. A file that cannot be written stops nothing and is reported once; none is synced, since after a crash of
/// the machine the process is gone anyway.
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

/// Whether a daemon that says it is in a state is there, as far as this machine can tell.
pub fn is_alive(process: &str, state: &str) -> bool {
    state != "stopped" && Process::parse(process).is_some_and(|p| !p.is_gone())
}

/// Number of a process.
pub fn pid(process: &str) -> &str {
    process.rsplit('/').nth(1).unwrap_or_default()
}
