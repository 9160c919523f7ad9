//! Opening an embedded archive for reading, even where its directory is not writable.
//!
//! SQLite reads a database with a write-ahead log through the file `-shm`, which it makes when it is absent. On a
//! read-only mount, or in a directory of another user, it cannot. Then the database is read as a file that does not
//! change; when the log has contents, which only SQLite can apply, a copy of both is read. The `-shm` of an archive in
//! use exists, so neither happens while another process writes. While a writer starts, its `-shm` is not filled yet, and a reader
//! that may not write gets an error: opening is then retried for a short time.

use rusqlite::{Connection, ErrorCode, OpenFlags, Result, ffi};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Time within which a writer must fill its `-shm`.
const WRITER_START: Duration = Duration::from_secs(2);

/// Opens a database for reading. Returns a note for the reader, if it is not read as usual.
pub fn open(path: &Path) -> Result<(Connection, Option<String>)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let began = Instant::now();
    let fault = loop {
        match Connection::open_with_flags(path, flags).and_then(readable) {
            Ok(connection) => return Ok((connection, None)),
            Err(fault) if is_starting(path, &fault) && began.elapsed() < WRITER_START => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(fault) => break fault,
        }
    };
    let may_help = matches!(
        fault.sqlite_error_code(),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied)
    );
    if !may_help || beside(path, "-shm").exists() || std::fs::File::open(path).is_err() {
        return Err(fault);
    }
    let log = beside(path, "-wal");
    if std::fs::metadata(&log).map_or(0, |log| log.len()) > 0 {
        return copied(path, &log, flags).ok_or(fault);
    }
    let connection = Connection::open_with_flags(uri(path), flags | OpenFlags::SQLITE_OPEN_URI)
        .and_then(readable)?;
    let note = format!(
        "{} cannot be locked, since its directory is not writable: the database is read as a file that does not change",
        path.display()
    );
    Ok((connection, Some(note)))
}

/// Returns true when a writer has made its `-shm` and not filled it.
fn is_starting(path: &Path, fault: &rusqlite::Error) -> bool {
    let codes = [ffi::SQLITE_READONLY_RECOVERY, ffi::SQLITE_READONLY_CANTINIT];
    let is_of_log = fault.sqlite_error().is_some_and(|e| codes.contains(&e.extended_code));
    is_of_log && beside(path, "-shm").exists()
}

/// Returns the connection after it has read something.
fn readable(connection: Connection) -> Result<Connection> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Returns a path as SQLite's URI of a database that does not change.
fn uri(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut name = String::from("file:");
    for byte in absolute.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => name.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => name.push(char::from(*byte)),
            byte => name.push_str(&format!("%{byte:02X}")),
        }
    }
    name + "?immutable=1"
}

/// Reads a copy of a database and its log. The copy has no name any more once it is open.
fn copied(path: &Path, log: &Path, flags: OpenFlags) -> Option<(Connection, Option<String>)> {
    static COPIES: AtomicU64 = AtomicU64::new(0);
    let number = COPIES.fetch_add(1, Ordering::Relaxed);
    let name = format!("almagest-{}-{number}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    let mut builder = std::fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&directory).ok()?;
    let copy = directory.join("archive.db");
    let opened = std::fs::copy(path, &copy)
        .and_then(|_| std::fs::copy(log, beside(&copy, "-wal")))
        .ok()
        .and_then(|_| Connection::open_with_flags(&copy, flags).and_then(readable).ok());
    let _ = std::fs::remove_dir_all(&directory);
    let note = format!(
        "{} holds changes that cannot be read in a directory that is not writable: a copy of the database is read",
        log.display()
    );
    Some((opened?, Some(note)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_unchanging_databases_are_escaped() {
        assert_eq!(
            uri(Path::new("/a b/o'?#%é.db")),
            "file:/a%20b/o%27%3F%23%25%C3%A9.db?immutable=1"
        );
    }
}
