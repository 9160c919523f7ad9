//! Publishing a file whole or not at all.

use crate::hashing::{Hashing, Published};
use crate::{crash_point, side_by_side};
use rustix::fs::{Mode, OFlags};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Write};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A file that could not be published.
#[derive(Debug, thiserror::Error)]
#[error("cannot publish {}", path.display())]
pub struct PublishFault {
    /// The final name.
    pub path: PathBuf,
    /// The error of the system.
    #[source]
    pub source: io::Error,
}

static SERIAL: AtomicU64 = AtomicU64::new(0);
const MARK: &str = ".publishing-";

/// Returns true when a file name is that of a temporary file left by an unfinished [`publish`].
pub fn is_temporary(name: &str) -> bool {
    name.starts_with(MARK)
}

/// Removes the files of unfinished publications in a directory (not below it) and returns their number. Only for a
/// directory that no other process publishes into at the time.
///
/// # Errors
/// Fails when the directory cannot be read or a file not removed.
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

/// Removes the files of unfinished publications of this process in a directory: for a process that ends during one.
pub fn remove_own_temporaries(dir: &Path) {
    let own = format!("{MARK}{}-", std::process::id());
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&own) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Writes a file under a temporary name next to its final one, syncs, closes, renames, and syncs the directory. `write`
/// receives the open file; its result is returned. An older file of the name is replaced.
///
/// # Errors
/// [`PublishFault`] naming the path, or the error of `write` (the temporary file is then removed).
pub fn publish<T, E: From<PublishFault>>(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<T, E>,
) -> Result<T, E> {
    let (temporary, mut file) = Temporary::create(path)?;
    let value = write(&mut file)?;
    temporary.sync(file)?;
    temporary.rename()?;
    sync_dir(parent(path)).map_err(|source| PublishFault { path: path.to_owned(), source })?;
    Ok(value)
}

/// Publishes several files of one directory as [`publish`] does: they are written in parallel, and the disk works on
/// each while the next ones are being written. No file gets its name before all of them are durable.
///
/// # Errors
/// That of the first item that failed; no file is published then, unless a renaming failed.
pub fn publish_together<I: Sync, T: Send, E: From<PublishFault> + Send>(
    dir: &Path,
    items: &[I],
    name: impl Fn(&I) -> &str + Sync,
    write: impl Fn(&I, &mut File) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let written: Vec<(T, Temporary)> = std::thread::scope(|scope| {
        let begun = side_by_side(items, |item| -> Result<_, E> {
            let (temporary, mut file) = Temporary::create(&dir.join(name(item)))?;
            let value = write(item, &mut file)?;
            let synced = scope.spawn(move || temporary.sync(file).map(|()| temporary));
            Ok((value, synced))
        });
        let ended = begun.into_iter().map(|begun| {
            let (value, synced) = begun?;
            let temporary = synced.join().unwrap_or_else(|panic| resume_unwind(panic))?;
            Ok((value, temporary))
        });
        ended.collect::<Result<_, E>>()
    })?;
    let mut values = Vec::with_capacity(written.len());
    for (value, temporary) in written {
        temporary.rename()?;
        values.push(value);
    }
    sync_dir(dir).map_err(|source| PublishFault { path: dir.to_owned(), source })?;
    Ok(values)
}

/// A temporary file next to its final name, removed unless it is renamed to that.
struct Temporary {
    temporary: PathBuf,
    path: PathBuf,
    renamed: bool,
}

impl Temporary {
    fn create(path: &Path) -> Result<(Self, File), PublishFault> {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let temporary = parent(path).join(format!("{MARK}{}-{serial}", std::process::id()));
        let file = File::options().read(true).write(true).create_new(true).open(&temporary);
        let this = Self { temporary, path: path.to_owned(), renamed: false };
        match file {
            Ok(file) => Ok((this, file)),
            Err(source) => Err(this.fault(source)),
        }
    }

    fn sync(&self, file: File) -> Result<(), PublishFault> {
        crash_point("publish:before-sync");
        file.sync_all().and_then(|()| close(file)).map_err(|source| self.fault(source))
    }

    fn rename(mut self) -> Result<(), PublishFault> {
        crash_point("publish:before-rename");
        fs::rename(&self.temporary, &self.path).map_err(|source| self.fault(source))?;
        self.renamed = true;
        crash_point("publish:after-rename");
        Ok(())
    }

    fn fault(&self, source: io::Error) -> PublishFault {
        PublishFault { path: self.path.clone(), source }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.renamed {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Closes a file and reports the errors that network disks report only then.
fn close(file: File) -> io::Result<()> {
    use std::os::fd::IntoRawFd;
    let raw = file.into_raw_fd();
    // SAFETY: `raw` was just released by its owner and is closed exactly once, here.
    unsafe { rustix::io::try_close(raw)? };
    Ok(())
}

/// Publishes bytes in memory as [`publish`] does.
///
/// # Errors
/// See [`publish`].
pub fn publish_bytes(path: &Path, bytes: &[u8]) -> Result<Published, PublishFault> {
    publish(path, |file| {
        file.write_all(bytes).map_err(|source| PublishFault { path: path.to_owned(), source })
    })?;
    Ok(Published { bytes: bytes.len() as u64, sha256: Sha256::digest(bytes).into() })
}

/// Publishes as [`publish`] does, through a writer that counts and hashes the bytes (a writer that never seeks).
///
/// # Errors
/// See [`publish`].
pub fn publish_hashed<T, E: From<PublishFault>>(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<T, E>,
) -> Result<(T, Published), E> {
    publish(path, |file| {
        let mut hashing = Hashing::new(io::BufWriter::with_capacity(1 << 20, file));
        let value = write(&mut hashing)?;
        hashing.flush().map_err(|source| PublishFault { path: path.to_owned(), source })?;
        Ok((value, hashing.finish().1))
    })
}

/// Adds a second name to an existing file: a hard link where the disk allows it, else a published copy.
///
/// # Errors
/// [`PublishFault`] naming the new path.
pub fn link_or_copy(from: &Path, to: &Path) -> Result<(), PublishFault> {
    let fault = |source| PublishFault { path: to.to_owned(), source };
    match fs::hard_link(from, to) {
        Ok(()) => sync_dir(parent(to)).map_err(fault),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(fault(error)),
        Err(_) => publish(to, |file| {
            let mut source = File::open(from).map_err(fault)?;
            io::copy(&mut source, file).map_err(fault)?;
            Ok(())
        }),
    }
}

/// Makes a directory and its parents, and syncs the parent of each new one.
///
/// # Errors
/// Errors of the system.
pub fn create_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if parent(path) != Path::new(".") {
        create_dir(parent(path))?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_dir(parent(path)),
    }
}

/// Checks that [`create_dir`] could make a directory, or finds one in which this process may make files. Changes nothing.
///
/// # Errors
/// As [`create_dir`], by the permissions of the nearest directory above that exists.
pub fn may_create_dir(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound && parent(path) != path => {
            may_create_dir(parent(path))
        }
        found => may_create_in(path, &found?),
    }
}

/// Checks that [`publish`] could write a file. Changes nothing.
///
/// # Errors
/// As [`publish`], by the permissions of the file's directory.
pub fn may_publish(path: &Path) -> Result<(), PublishFault> {
    let dir = parent(path);
    let check = || match path.is_dir() {
        true => Err(io::ErrorKind::IsADirectory.into()),
        false => may_create_in(dir, &fs::metadata(dir)?),
    };
    check().map_err(|source| PublishFault { path: path.to_owned(), source })
}

fn may_create_in(dir: &Path, found: &fs::Metadata) -> io::Result<()> {
    if !found.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    Ok(rustix::fs::accessat(rustix::fs::CWD, dir, access, rustix::fs::AtFlags::EACCESS)?)
}

/// Makes the names in a directory durable.
///
/// # Errors
/// Errors of the system.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    let fd =
        rustix::fs::open(dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(rustix::fs::fsync(fd)?)
}

/// Makes everything written to the disk of `dir` durable, in one call: for a directory of many small files that no
/// process reads before the file that is published last.
///
/// # Errors
/// Errors of the system.
pub fn sync_disk(dir: &Path) -> io::Result<()> {
    let fd =
        rustix::fs::open(dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(rustix::fs::syncfs(fd)?)
}

/// Returns the number of bytes that an unprivileged process may still write on the disk of `path`.
///
/// # Errors
/// Errors of the system.
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

    /// The checks agree with the acts, and make nothing.
    #[test]
    fn checks_agree_with_acts() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "x").unwrap();
        fs::create_dir(at("dir")).unwrap();
        let bytes = |path: &Path| publish_bytes(path, b"x");
        for (name, is_dir, is_file) in [
            ("file/a", false, false),
            ("file", false, true),
            ("dir", true, false),
            ("a", true, true),
            ("b/c", true, false),
        ] {
            assert_eq!(may_create_dir(&at(name)).is_ok(), is_dir, "{name}");
            assert_eq!(may_publish(&at(name)).is_ok(), is_file, "{name}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        assert!(create_dir(&at("file/a")).is_err());
        for name in ["file/a", "dir", "b/c"] {
            assert!(bytes(&at(name)).is_err(), "{name}");
        }
        bytes(&at("a")).unwrap();
        create_dir(&at("b/c")).unwrap();
    }

    #[test]
    fn files_published_together_appear_all_or_none() {
        let dir = tempfile::tempdir().unwrap();
        let words = ["one", "two", "three", "four"];
        let publish = |bad: Option<&str>| {
            publish_together(
                dir.path(),
                &words,
                |word| word,
                |word, file| {
                    file.write_all(word.as_bytes()).unwrap();
                    if Some(*word) == bad {
                        return Err(PublishFault {
                            path: word.into(),
                            source: io::Error::other("full"),
                        });
                    }
                    Ok(word.len())
                },
            )
        };
        assert_eq!(publish(Some("three")).unwrap_err().path, Path::new("three"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        assert_eq!(publish(None).unwrap(), [3, 3, 5, 4]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
        assert_eq!(fs::read(dir.path().join("three")).unwrap(), b"three");
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
