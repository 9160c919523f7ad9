//! A log file: written by several processes, a line at a time, and rotated by size.

use super::line::Line;
use crate::config::{Format, Level};
use crate::operator::operator;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Maximum size of a log file. A file that a line would not fit into is renamed to `NAME.1` and replaces the older one of that
/// name.
const MAX_BYTES: u64 = 10_000_000;

/// A log file, made when its first line is written.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    level: Level,
    format: Format,
    who: String,
    max_bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    file: Option<File>,
    /// True when the latest line was not written.
    is_failing: bool,
}

impl LogFile {
    /// Returns a log file that takes events up to a level.
    pub(super) fn new(path: &Path, level: Level, format: Format) -> Self {
        Self {
            path: path.to_owned(),
            level,
            format,
            who: operator(),
            max_bytes: MAX_BYTES,
            state: Mutex::default(),
        }
    }

    pub(super) fn level(&self) -> Level {
        self.level
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a line. Returns the fault of the first line that could not be written; each line is tried again.
    pub(super) fn write(&self, line: &Line) -> Option<io::Error> {
        let text = line.in_file(self.format, &self.who);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.append(&mut state.file, text.as_bytes());
        let was_failing = std::mem::replace(&mut state.is_failing, written.is_err());
        written.err().filter(|_| !was_failing)
    }

    fn append(&self, held: &mut Option<File>, line: &[u8]) -> io::Result<()> {
        let rotated = self.rotate_when_full(held, line.len() as u64);
        let file = match held {
            Some(file) => file,
            None => held.insert(self.open()?),
        };
        // One write, so that lines of several processes do not mix.
        file.write_all(line)?;
        rotated
    }

    fn open(&self) -> io::Result<File> {
        OpenOptions::new().append(true).create(true).open(&self.path)
    }

    /// Makes `held` the file that has the log's name now and has room for a line. A full file that cannot be renamed is written on.
    fn rotate_when_full(&self, held: &mut Option<File>, bytes: u64) -> io::Result<()> {
        if let Some(file) = held
            && !self.is_ours(file)?
        {
            *held = None; // another process rotated it
        }
        let file = match held {
            Some(file) => file,
            None => held.insert(self.open()?),
        };
        if file.metadata()?.len().saturating_add(bytes) <= self.max_bytes {
            return Ok(());
        }
        // The lock is on the full file: of several processes only the first one still finds it under its name.
        file.lock()?;
        let is_first = self.is_ours(file)?;
        let renamed = match is_first {
            true => fs::rename(&self.path, self.older()),
            false => Ok(()),
        };
        if renamed.is_err() {
            file.unlock()?;
            return renamed;
        }
        *held = None; // closes it, which unlocks it
        Ok(())
    }

    /// Returns true when a file is the one under the log's name.
    fn is_ours(&self, file: &File) -> io::Result<bool> {
        let ours = file.metadata()?;
        match fs::metadata(&self.path) {
            Ok(named) => Ok((named.dev(), named.ino()) == (ours.dev(), ours.ino())),
            Err(fault) if fault.kind() == ErrorKind::NotFound => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    fn older(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".1");
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::process::Command;

    const WRITER: &str = "ALMAGEST_TEST_LOG_WRITER";
    /// Lines of each of two processes: together they fill the file once and a half.
    const LINES: usize = 750;

    fn file(path: &Path, max_bytes: u64) -> LogFile {
        LogFile { max_bytes, ..LogFile::new(path, Level::Info, Format::Text) }
    }

    fn line(message: String) -> Line {
        Line::new(Level::Info, "test", message, crate::clock::now())
    }

    /// Runs itself as two processes that write to one file.
    #[test]
    fn two_processes_rotate_a_file_once_and_lose_no_line() {
        if let Ok(path) = std::env::var(WRITER) {
            let log = file(Path::new(&path), 200_000);
            for number in 0..LINES {
                let filler = "x".repeat(100);
                let fault =
                    log.write(&line(format!("line {} {number} {filler}", std::process::id())));
                assert!(fault.is_none(), "{fault:?}");
            }
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let name = std::thread::current().name().unwrap().to_owned();
        let mut program = Command::new(std::env::current_exe().unwrap());
        program.args([&name, "--exact", "--test-threads=1"]).env(WRITER, &path);
        program.stdout(std::process::Stdio::null());
        let writers = [program.spawn().unwrap(), program.spawn().unwrap()];
        let pids = writers.each_ref().map(std::process::Child::id);
        for mut writer in writers {
            assert!(writer.wait().unwrap().success());
        }
        let older = fs::read_to_string(dir.path().join("a.log.1")).unwrap();
        let newer = fs::read_to_string(&path).unwrap();
        // A process that looked just before the other one rotated writes one line more.
        assert!(older.len() > 190_000 && older.len() < 200_500, "{}", older.len());
        let all: Vec<&str> = older.lines().chain(newer.lines()).collect();
        assert_eq!(all.len(), 2 * LINES, "rotated once, no line is lost or mixed with another");
        let found: BTreeSet<(u32, usize)> = all
            .iter()
            .map(|line| {
                let (_, rest) = line.split_once(": line ").unwrap();
                let words: Vec<&str> = rest.split(' ').collect();
                assert_eq!(words[2..], ["x".repeat(100).as_str(), "event=test"], "{line}");
                (words[0].parse().unwrap(), words[1].parse().unwrap())
            })
            .collect();
        let wanted = pids.iter().flat_map(|pid| (0..LINES).map(|number| (*pid, number)));
        assert_eq!(found, wanted.collect());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_reported_once_until_it_can_be() {
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path().join("logs");
        fs::write(&logs, "a file, no directory").unwrap();
        let log = file(&logs.join("a.log"), 1000);
        let write = || log.write(&line("text".to_owned())).map(|fault| fault.kind());
        assert_eq!(write(), Some(ErrorKind::NotADirectory));
        assert_eq!(write(), None, "known");
        fs::remove_file(&logs).unwrap();
        fs::create_dir(&logs).unwrap();
        assert_eq!(write(), None);
        assert_eq!(fs::read_to_string(logs.join("a.log")).unwrap().lines().count(), 1);
        fs::remove_dir_all(&logs).unwrap();
        assert_eq!(write(), Some(ErrorKind::NotFound), "a new fault");
    }

    #[test]
    fn a_full_file_that_cannot_be_renamed_is_written_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        fs::write(&path, "x".repeat(1000)).unwrap();
        fs::create_dir_all(dir.path().join("a.log.1/occupied")).unwrap();
        let log = file(&path, 1000);
        assert!(log.write(&line("first".to_owned())).is_some());
        assert!(log.write(&line("second".to_owned())).is_none(), "known");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("first") && text.contains("second"), "{text}");
    }
}
