//! Publishing a file whole or not at all.

use crate::{crash_point, hex};
use rustix::fs::{Mode, OFlags};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A file of ours that could not be published.
#[derive(Debug, thiserror::Error)]
#[error("cannot publish {}", path.display())]
pub struct PublishFault {
    /// The final name.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// What was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Length of the file.
    pub bytes: u64,
    /// SHA-256 of its content, lower-case hexadecimal.
    pub sha256: String,
}

static SERIAL: AtomicU64 = AtomicU64::new(0);
const MARK: &str = ".publishing-";

/// Whether a file name is one that an unfinished [`publish`] left behind.
pub fn is_temporary(name: &str) -> bool {
    name.starts_with(MARK)
}

/// Removes what unfinished publications left in a directory (not below it) and says how many there were.
/// Only for a directory that no other process publishes into at the time.
///
/// # Errors
/// When the directory cannot be read or a file not removed.
pub fn remove_temporaries(dir: &Path) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if is_temporary(&entry.file_name().to_string_lossy()) {
            fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Writes a file under a temporary name beside its final one, syncs, closes, renames, and syncs the
/// directory. `write` gets the open file; its value is handed back. An older file of the name is replaced.
///
/// # Errors
/// [`PublishFault`] naming the path, or whatever `write` returns (the temporary file is then removed).
pub fn publish<T, E: From<PublishFault>>(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<T, E>,
) -> Result<T, E> {
    let fault = |source| PublishFault { path: path.to_owned(), source };
    let dir = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let temporary = dir.join(format!("{MARK}{}-{serial}", std::process::id()));
    let mut file =
        File::options().read(true).write(true).create_new(true).open(&temporary).map_err(fault)?;
    let value = match write(&mut file) {
        Ok(value) => value,
        Err(error) => {
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
    };
    let finish = || -> io::Result<()> {
        crash_point("publish:before-sync");
        file.sync_all()?;
        close(file)?;
        crash_point("publish:before-rename");
        fs::rename(&temporary, path)?;
        crash_point("publish:after-rename");
        sync_dir(dir)
    };
    finish().map_err(|source| {
        let _ = fs::remove_file(&temporary);
        fault(source)
    })?;
    Ok(value)
}

/// Closes a file and reports what network disks report only then.
fn close(file: File) -> io::Result<()> {
    use std::os::fd::IntoRawFd;
    let raw = file.into_raw_fd();
    // SAFETY: `raw` was just released by its owner and is closed exactly once, here.
    unsafe { rustix::io::try_close(raw)? };
    Ok(())
}

/// [`publish`] for bytes that are in memory.
///
/// # Errors
/// See [`publish`].
pub fn publish_bytes(path: &Path, bytes: &[u8]) -> Result<Published, PublishFault> {
    publish(path, |file| {
        file.write_all(bytes).map_err(|source| PublishFault { path: path.to_owned(), source })
    })?;
    Ok(Published { bytes: bytes.len() as u64, sha256: hex(&Sha256::digest(bytes)) })
}

/// [`publish`] through a writer that counts and hashes what passes (a writer that never seeks).
///
/// # Errors
/// See [`publish`].
pub fn publish_hashed<T, E: From<PublishFault>>(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<T, E>,
) -> Result<(T, Published), E> {
    publish(path, |file| {
        let mut hashing = Hashing {
            inner: io::BufWriter::with_capacity(1 << 20, file),
            hash: Sha256::new(),
            bytes: 0,
        };
        let value = write(&mut hashing)?;
        hashing.inner.flush().map_err(|source| PublishFault { path: path.to_owned(), source })?;
        let published = Published { bytes: hashing.bytes, sha256: hex(&hashing.hash.finalize()) };
        Ok((value, published))
    })
}

struct Hashing<W: Write> {
    inner: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buffer)?;
        self.hash.update(&buffer[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Gives an existing file a second name: hard link where the disk allows it, else a published copy.
///
/// # Errors
/// [`PublishFault`] naming the new path.
pub fn link_or_copy(from: &Path, to: &Path) -> Result<(), PublishFault> {
    let fault = |source| PublishFault { path: to.to_owned(), source };
    match fs::hard_link(from, to) {
        Ok(()) => sync_dir(to.parent().unwrap_or(Path::new("."))).map_err(fault),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(fault(error)),
        Err(_) => publish(to, |file| {
            let mut source = File::open(from).map_err(fault)?;
            io::copy(&mut source, file).map_err(fault)?;
            Ok(())
        }),
    }
}

/// Makes a directory and its parents, and syncs the parent of what is new.
///
/// # Errors
/// Whatever the system says.
pub fn create_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        create_dir(parent)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => {
            sync_dir(path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")))
        }
    }
}

/// Makes the names in a directory durable.
///
/// # Errors
/// Whatever the system says.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    let fd =
        rustix::fs::open(dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(rustix::fs::fsync(fd)?)
}

/// Makes everything written to the disk of `dir` durable, in one call: for a directory of many small files
/// that nobody reads before the file that is published last.
///
/// # Errors
/// Whatever the system says.
pub fn sync_disk(dir: &Path) -> io::Result<()> {
    let fd =
        rustix::fs::open(dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(rustix::fs::syncfs(fd)?)
}

/// Bytes that an unprivileged process may still write on the disk of `path`.
///
/// # Errors
/// Whatever the system says.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let result: Result<(), PublishFault> = publish(&path, |file| {
            file.write_all(b"half").unwrap();
            Err(PublishFault { path: path.clone(), source: io::Error::other("full") })
        });
        assert!(result.is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn hashing_sees_every_byte() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let ((), published) = publish_hashed::<_, PublishFault>(&path, |w| {
            w.write_all(b"al").and_then(|()| w.write_all(b"magest")).unwrap();
            Ok(())
        })
        .unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"almagest");
        assert_eq!(published, publish_bytes(&path, b"almagest").unwrap());
    }
}
