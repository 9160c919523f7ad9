//! The file in which a daemon keeps its state, for `status`.

use crate::log::tell;
use archive::attempts::lease::Process;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

const FILE: &str = "state.json";

/// Reads the state that the last daemon wrote to a directory. A file that cannot be read is reported once, and counts as none.
pub fn read<T: DeserializeOwned>(directory: &Path) -> Option<T> {
    static REPORTED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let path = directory.join(FILE);
    let text = match std::fs::read(&path) {
        Ok(text) => Ok(text),
        Err(fault) if fault.kind() == ErrorKind::NotFound => return None,
        Err(fault) => Err(fault.to_string()),
    };
    let read = text.and_then(|text| serde_json::from_slice(&text).map_err(|f| f.to_string()));
    let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    match read {
        Ok(state) => {
            reported.remove(&path);
            Some(state)
        }
        Err(fault) => {
            if reported.insert(path.clone()) {
                tell!(WARN, "state_not_read", "cannot read {}: {fault}", path.display());
            }
            None
        }
    }
}

/// Writes a state. A file that cannot be written stops nothing and is reported once. The file is not synced, since the process
/// does not survive a crash of the machine.
pub fn write(directory: &Path, state: &impl Serialize) {
    static IS_REPORTED: AtomicBool = AtomicBool::new(false);
    let temporary = directory.join(format!(".{FILE}"));
    let written = serde_json::to_vec_pretty(state)
        .map_err(std::io::Error::from)
        .and_then(|text| std::fs::write(&temporary, text))
        .and_then(|()| std::fs::rename(temporary, directory.join(FILE)));
    match written {
        Ok(()) => IS_REPORTED.store(false, Ordering::Relaxed),
        Err(fault) if !IS_REPORTED.swap(true, Ordering::Relaxed) => tell!(
            ERROR,
            "state_not_written",
            "`status` does not show this daemon: cannot write to {}: {fault}",
            directory.display()
        ),
        Err(_) => {}
    }
}

/// Returns true when the daemon that wrote a state is running, if this machine can determine it. `is_stopped` is true when the
/// daemon recorded its end.
pub fn is_alive(process: &str, is_stopped: bool) -> bool {
    !is_stopped && Process::parse(process).is_some_and(|p| !p.has_stopped())
}

/// Returns the pid of a process.
pub fn pid(process: &str) -> &str {
    process.rsplit('/').nth(1).unwrap_or_default()
}
