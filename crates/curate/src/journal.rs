//! The site's log: a line per act, in `logs/almagest.log`, for who looks later what happened in the night.
//!
//! A line reads alone: time, process, who, what. The history in the archive is what counts; a log that cannot be
//! written stops nothing.

use crate::site;
use crate::words::shown;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

const NAME: &str = "almagest.log";
/// A log of this size becomes `almagest.log.1`, the older one of which goes.
const MOST_BYTES: u64 = 10_000_000;

/// Where acts of this process are written down.
#[derive(Debug)]
pub struct Journal {
    file: Option<File>,
    who: String,
}

impl Journal {
    /// The log in a site's `logs/`.
    pub fn open(directory: &Path) -> Self {
        let path = directory.join(NAME);
        if fs::metadata(&path).is_ok_and(|log| log.len() > MOST_BYTES) {
            let _ = fs::rename(&path, directory.join(format!("{NAME}.1")));
        }
        let file = OpenOptions::new().append(true).create(true).open(&path).ok();
        Self { file, who: site::operator() }
    }

    /// Writes down one act.
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
    fn a_large_log_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join(NAME);
        fs::write(&log, vec![b'x'; MOST_BYTES as usize + 1]).unwrap();
        Journal::open(dir.path()).note("run begins\n");
        let text = fs::read_to_string(&log).unwrap();
        assert!(text.ends_with(": run begins\\x0a\n") && text.lines().count() == 1, "{text}");
        assert!(dir.path().join("almagest.log.1").exists());
    }
}
