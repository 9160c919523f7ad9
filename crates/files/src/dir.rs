//! A directory as a handle: names are resolved within it, and no symbolic link is followed.
//!
//! A process that may write below a directory may replace any part of a path by a link between two system calls. A
//! handle always refers to the directory that was opened. Everything that is opened, moved or deleted in a place that
//! nodes may write to is accessed through one.

use crate::OpenFault;
use crate::open::regular;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Entries that [`Dir::remove_tree`] handles before it gives up: another process may keep adding new ones.
const MAX_REMOVED: u64 = 10_000_000;

/// An open directory.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

impl Dir {
    /// Opens a directory of our own. Links in its path were made by the operator, and are followed.
    ///
    /// # Errors
    /// [`OpenFault`] names the kind of entry that exists there instead.
    pub fn open(path: &Path) -> Result<Self, OpenFault> {
        Self::at(CWD, path, OFlags::empty(), path.to_owned())
    }

    /// Opens a directory below one of our own, following no link beneath `base`.
    ///
    /// # Errors
    /// [`OpenFault::Outside`] when `path` is not `base` and plain names below it, else as [`Dir::open`].
    pub fn below(base: &Path, path: &Path) -> Result<Self, OpenFault> {
        let mut dir = Self::open(base)?;
        for name in names_below(base, path)? {
            dir = dir.enter(name)?;
        }
        Ok(dir)
    }

    /// Makes a directory below one of our own, and the directories between, following no link beneath `base`.
    ///
    /// # Errors
    /// As [`Dir::below`]; an existing entry that is not a directory is kept.
    pub fn make_below(base: &Path, path: &Path) -> Result<Self, OpenFault> {
        let mut dir = Self::open(base)?;
        for name in names_below(base, path)? {
            match rustix::fs::mkdirat(&dir.fd, name, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(fault_of(errno)),
            }
            dir = dir.enter(name)?;
        }
        Ok(dir)
    }

    fn at(
        parent: impl std::os::fd::AsFd,
        name: impl rustix::path::Arg,
        flags: OFlags,
        path: PathBuf,
    ) -> Result<Self, OpenFault> {
        let flags = flags | OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::openat(parent, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Self { fd, path }),
            Err(errno) => Err(fault_of(errno)),
        }
    }

    /// Returns the path that it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a directory in this one; a link is not followed.
    ///
    /// # Errors
    /// As [`Dir::open`]; [`OpenFault::SymbolicLink`] for a link.
    pub fn enter(&self, name: &OsStr) -> Result<Self, OpenFault> {
        one_name(name)?;
        let opened = Self::at(&self.fd, name, OFlags::NOFOLLOW, self.path.join(name));
        // With O_DIRECTORY the system reports a link as "not a directory".
        match opened {
            Err(OpenFault::Missing) if self.is_link(name) => Err(OpenFault::SymbolicLink),
            opened => opened,
        }
    }

    fn is_link(&self, name: &OsStr) -> bool {
        rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
            rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Symlink
        })
    }

    /// Opens a regular file in this directory for reading, as [`crate::open_regular`] does.
    ///
    /// # Errors
    /// [`OpenFault`] names the kind of entry that exists there instead.
    pub fn open_regular(&self, name: &OsStr) -> Result<File, OpenFault> {
        one_name(name)?;
        regular(&self.fd, Path::new(name))
    }

    /// Opens a file or directory in this directory, of any kind, for its metadata; a link is not followed, and the call
    /// does not wait for a FIFO.
    pub(crate) fn open_any(&self, name: &OsStr) -> io::Result<File> {
        one_name(name).map_err(io::Error::other)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(&self.fd, name, flags, Mode::empty())?))
    }

    /// Returns the metadata of an entry of this directory; for a link, those of the link itself.
    pub(crate) fn stat(&self, name: &OsStr) -> io::Result<rustix::fs::Stat> {
        one_name(name).map_err(io::Error::other)?;
        Ok(rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Returns the handle as a file, for its metadata.
    pub(crate) fn into_file(self) -> File {
        File::from(self.fd)
    }

    /// Makes a new file in this directory; an existing file or link is an error.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn create(&self, name: &OsStr) -> io::Result<File> {
        one_name(name).map_err(io::Error::other)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o666))?;
        Ok(File::from(fd))
    }

    /// Moves an entry of this directory to another one, replacing an entry of the same name there.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn rename(&self, name: &OsStr, to: &Self, to_name: &OsStr) -> io::Result<()> {
        one_name(name).and_then(|()| one_name(to_name)).map_err(io::Error::other)?;
        Ok(rustix::fs::renameat(&self.fd, name, &to.fd, to_name)?)
    }

    /// Removes a file of this directory; for a link, the link itself.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        one_name(name).map_err(io::Error::other)?;
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Removes an empty directory in this one.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn remove_dir(&self, name: &OsStr) -> io::Result<()> {
        one_name(name).map_err(io::Error::other)?;
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR)?)
    }

    /// Removes an entry of this directory with everything in it. Links are removed, never followed; directories may be
    /// nested to any depth. An entry that does not exist counts as removed.
    ///
    /// # Errors
    /// Errors of the system, or entries that are added as fast as they are removed.
    pub fn remove_tree(&self, name: &OsStr) -> io::Result<()> {
        if remove_one(self, name)? {
            return Ok(());
        }
        match self.enter(name) {
            Ok(dir) => dir.clear()?,
            // The entry changed its kind in the meantime.
            Err(OpenFault::SymbolicLink | OpenFault::Missing) => {}
            Err(fault) => return Err(io::Error::other(fault)),
        }
        match remove_one(self, name)? {
            true => Ok(()),
            false => Err(io::Error::from(Errno::NOTEMPTY)),
        }
    }

    /// Removes everything in this directory. Deeper entries are moved up first, so that neither the stack nor the
    /// number of open files grows with the depth.
    fn clear(&self) -> io::Result<()> {
        let mut handled = 0;
        let mut serial = 0_u64;
        loop {
            let names = self.names()?;
            if names.is_empty() {
                return Ok(());
            }
            for name in names {
                handled += 1;
                if handled > MAX_REMOVED {
                    return Err(io::Error::other("entries are added while they are removed"));
                }
                if remove_one(self, &name)? {
                    continue;
                }
                let child = match self.enter(&name) {
                    Ok(child) => child,
                    Err(OpenFault::SymbolicLink | OpenFault::Missing) => continue,
                    Err(fault) => return Err(io::Error::other(fault)),
                };
                for inner in child.names()? {
                    handled += 1;
                    if !remove_one(&child, &inner)? {
                        self.move_up(&child, &inner, &mut serial)?;
                    }
                }
                remove_one(self, &name)?;
            }
        }
    }

    /// Moves a directory of a child into this directory, under an unused name.
    fn move_up(&self, child: &Self, name: &OsStr, serial: &mut u64) -> io::Result<()> {
        loop {
            *serial += 1;
            let free = OsString::from(format!(".removing-{serial}"));
            match rustix::fs::renameat(&child.fd, name, &self.fd, &free) {
                Ok(()) | Err(Errno::NOENT) => return Ok(()),
                Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR | Errno::ISDIR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Returns the names in this directory.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsStr::from_bytes(name).to_owned());
            }
        }
        Ok(names)
    }

    /// Makes the names in this directory durable.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.fd)?)
    }
}

/// Removes a file, a link or an empty directory. Returns `false` for a directory that is not empty.
fn remove_one(dir: &Dir, name: &OsStr) -> io::Result<bool> {
    match rustix::fs::unlinkat(&dir.fd, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(true),
        // Linux reports EISDIR for a directory, POSIX allows EPERM.
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(errno.into()),
    }
    match rustix::fs::unlinkat(&dir.fd, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Opens a regular file below a directory of the site for reading, following no link beneath `base`.
///
/// # Errors
/// As [`Dir::below`] and [`Dir::open_regular`].
pub fn open_below(base: &Path, path: &Path) -> Result<File, OpenFault> {
    let (dir, name) = parent_below(base, path)?;
    dir.open_regular(&name)
}

/// Removes a file below a directory of the site, following no link beneath `base`. Returns `false` when there is none.
///
/// # Errors
/// Errors of the system.
pub fn remove_below(base: &Path, path: &Path) -> io::Result<bool> {
    match parent_below(base, path) {
        Ok((dir, name)) => match dir.remove_file(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            removed => removed.map(|()| true),
        },
        Err(OpenFault::Missing) => Ok(false),
        Err(fault) => Err(io::Error::other(fault)),
    }
}

/// Returns what [`remove_below`] would return, and removes nothing: the file exists, and the permissions of its directory let
/// this process remove it.
///
/// # Errors
/// As [`remove_below`].
pub fn may_remove_below(base: &Path, path: &Path) -> io::Result<bool> {
    let (dir, name) = match parent_below(base, path) {
        Ok(found) => found,
        Err(OpenFault::Missing) => return Ok(false),
        Err(fault) => return Err(io::Error::other(fault)),
    };
    match rustix::fs::statat(&dir.fd, &name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(false),
        found => found?,
    };
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    rustix::fs::accessat(&dir.fd, ".", access, AtFlags::EACCESS)?;
    Ok(true)
}

fn parent_below(base: &Path, path: &Path) -> Result<(Dir, OsString), OpenFault> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(OpenFault::Outside);
    };
    Ok((Dir::below(base, parent)?, name.to_owned()))
}

/// Returns the names that lead from a directory to a path below it.
fn names_below<'p>(base: &Path, path: &'p Path) -> Result<Vec<&'p OsStr>, OpenFault> {
    let below = path.strip_prefix(base).map_err(|_| OpenFault::Outside)?;
    let name = |component| match component {
        Component::Normal(name) => Ok(name),
        _ => Err(OpenFault::Outside),
    };
    below.components().map(name).collect()
}

fn one_name(name: &OsStr) -> Result<(), OpenFault> {
    let bytes = name.as_bytes();
    let is_one = !bytes.is_empty()
        && bytes != b"."
        && bytes != b".."
        && !bytes.iter().any(|b| matches!(b, b'/' | 0));
    if is_one { Ok(()) } else { Err(OpenFault::Outside) }
}

fn fault_of(errno: Errno) -> OpenFault {
    match errno {
        Errno::LOOP => OpenFault::SymbolicLink,
        Errno::ACCESS | Errno::PERM => OpenFault::Unreadable,
        Errno::NOENT | Errno::NOTDIR => OpenFault::Missing,
        other => OpenFault::Io(other.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn tree() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let (base, outside) = (dir.path().join("base"), dir.path().join("outside"));
        fs::create_dir_all(base.join("a/b")).unwrap();
        fs::create_dir_all(outside.join("sub")).unwrap();
        fs::write(base.join("a/b/file"), "in").unwrap();
        fs::write(outside.join("precious"), "out").unwrap();
        fs::write(outside.join("sub/precious"), "out").unwrap();
        (dir, base, outside)
    }

    #[test]
    fn paths_stay_below_and_follow_no_link() {
        let (_dir, base, outside) = tree();
        symlink(&outside, base.join("link")).unwrap();
        symlink(outside.join("precious"), base.join("a/file_link")).unwrap();
        let code = |path: &Path| open_below(&base, path).unwrap_err().code();
        assert!(open_below(&base, &base.join("a/b/file")).is_ok());
        assert_eq!(code(&base.join("link/precious")), "symbolic_link");
        assert_eq!(code(&base.join("a/file_link")), "symbolic_link");
        assert_eq!(code(&base.join("a/../../outside/precious")), "outside");
        assert_eq!(code(&outside.join("precious")), "outside");
        assert_eq!(code(Path::new("/etc/passwd")), "outside");
        assert_eq!(code(&base.join("a/none")), "missing_file");
        assert!(may_remove_below(&base, &base.join("link/precious")).is_err());
        assert!(remove_below(&base, &base.join("link/precious")).is_err());
        assert!(may_remove_below(&base, &base.join("a/file_link")).unwrap());
        assert!(remove_below(&base, &base.join("a/file_link")).unwrap(), "the link itself goes");
        assert!(!remove_below(&base, &base.join("a/file_link")).unwrap());
        assert!(!may_remove_below(&base, &base.join("a/file_link")).unwrap());
        assert!(outside.join("precious").exists());
        assert!(Dir::make_below(&base, &base.join("link/new")).is_err());
        assert!(!outside.join("new").exists());
    }

    #[test]
    fn a_tree_is_removed_without_the_targets_of_its_links() {
        let (_dir, base, outside) = tree();
        symlink(&outside, base.join("a/link")).unwrap();
        symlink(&outside, base.join("a/b/link")).unwrap();
        symlink(outside.join("precious"), base.join("a/b/file_link")).unwrap();
        let deep: PathBuf = std::iter::repeat_n("d", 300).collect();
        let mut at = base.join("a");
        for name in deep.iter() {
            at.push(name);
            fs::create_dir(&at).unwrap();
        }
        fs::write(at.join("leaf"), "x").unwrap();
        let dir = Dir::open(&base).unwrap();
        dir.remove_tree(OsStr::new("a")).unwrap();
        dir.remove_tree(OsStr::new("a")).unwrap();
        assert!(!base.join("a").exists());
        symlink(&outside, base.join("top")).unwrap();
        dir.remove_tree(OsStr::new("top")).unwrap();
        assert!(dir.names().unwrap().is_empty());
        assert!(outside.join("precious").exists() && outside.join("sub/precious").exists());
        for name in ["", ".", "..", "a/b", "/etc"] {
            assert!(dir.remove_file(OsStr::new(name)).is_err(), "{name:?}");
        }
    }

    /// Checks a directory that is repeatedly exchanged for a link while its tree is removed.
    #[test]
    fn a_race_with_links_removes_nothing_outside() {
        let (_dir, base, outside) = tree();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let _ = fs::create_dir_all(base.join("a/b/c"));
                    let _ = fs::write(base.join("a/b/c/precious"), "in");
                    let _ = fs::rename(base.join("a/b"), base.join("a/away"));
                    let _ = symlink(&outside, base.join("a/b"));
                    let _ = fs::remove_file(base.join("a/b"));
                    let _ = fs::rename(base.join("a"), base.join("aside"));
                    let _ = symlink(&outside, base.join("a"));
                    let _ = fs::remove_file(base.join("a"));
                    let _ = fs::rename(base.join("aside"), base.join("a"));
                }
            });
            let dir = Dir::open(&base).unwrap();
            for _ in 0..2000 {
                let _ = dir.remove_tree(OsStr::new("a"));
            }
            done.store(true, Ordering::Relaxed);
        });
        assert!(outside.join("precious").exists() && outside.join("sub/precious").exists());
    }
}
