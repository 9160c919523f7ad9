//! The site's log `logs/almagest.log`, with one line per act, for operators who later check the events of a night.
//!
//! Each line is self-contained: time, process, user, act. The history in the archive is authoritative; a log that cannot be
//! written stops nothing.

use crate::site;
use crate::words::shown;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

const NAME: &str = "almagest.log";
/// Maximum size of the log: a longer one is renamed to `almagest.log.1` and replaces the older one of that name.
const MAX_BYTES: u64 = 10_000_000;

/// The log of the acts of this process.
#[derive(Debug)]
pub struct Journal {
    file: Option<File>,
    who: String,
}

impl Journal {
    /// Opens the log in a site's `logs/`.
    pub fn open(directory: &Path) -> Self {
        let path = directory.join(NAME);
        if fs::metadata(&path).is_ok_and(|log| log.len() > MAX_BYTES) {
            let _ = fs::rename(&path, directory.join(format!("{NAME}.1")));
        }
        let file = OpenOptions::new().append(true).create(true).open(&path).ok();
        Self { file, who: site::operator() }
    }

    /// Records one act.
    pub fn note(&mut self, act: &str) {
        let Some(file) = &mut self.file else { return };
        let time = site::now().format("%Y-%m-%dT%H:%M:%S%.3fZ");
        let line = format!("{time} {} {}: {}\n", std::process::id(), self.who, shown(act));
        // One write, so that lines of several processes do not mix.
        let _ = file.write_all(line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_log_is_restarted() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join(NAME);
        fs::write(&log, vec![b'x'; MAX_BYTES as usize + 1]).unwrap();
        Journal::open(dir.path()).note("run begins\n");
        let text = fs::read_to_string(&log).unwrap();
        assert!(text.ends_with(": run begins\\x0a\n") && text.lines().count() == 1, "{text}");
        assert!(dir.path().join("almagest.log.1").exists());
    }
}
