//! Permissions of our files: 0640 and 0750 at most, unless a site configures others.

use crate::{Dir, OpenFault};
use rustix::fs::{FileType, Mode};
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Permissions that no file of a site has, unless configured: writing by the group, everything by others.
const FORBIDDEN: u32 = 0o027;
/// Write permissions of group and others.
const WRITING: u32 = 0o022;
/// Depth of nested directories that [`wide_permissions`] lists before it gives up.
const MAX_DEPTH: usize = 256;

/// The mask set by the last call of [`limit_permissions`].
static MASK: AtomicU32 = AtomicU32::new(FORBIDDEN);

/// Removes permissions from all files and directories that this process creates later: those of `mask`, or else
/// those that the caller's umask forbids already, together with 027. To be called at the start of a program.
pub fn limit_permissions(mask: Option<u32>) {
    let wanted = match mask {
        Some(mask) => mask & 0o777,
        None => rustix::process::umask(Mode::from_raw_mode(FORBIDDEN)).as_raw_mode() | FORBIDDEN,
    };
    rustix::process::umask(Mode::from_raw_mode(wanted));
    MASK.store(wanted, Ordering::Relaxed);
}

/// Returns a mode without the forbidden permissions, for files whose mode is set explicitly.
pub fn allowed(mode: u32) -> u32 {
    mode & !MASK.load(Ordering::Relaxed)
}

/// A file or directory with permissions that a site forbids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wide {
    /// Its path; that of its root contains no link.
    pub path: PathBuf,
    /// Its permissions when it was listed.
    pub mode: u32,
    /// The forbidden permissions.
    pub forbidden: u32,
    /// The directory beneath which no link is followed.
    root: PathBuf,
}

/// Returns the files and directories below some directories with permissions that a mask (or else 027) forbids, in the
/// order of the paths. The directories themselves belong to their owner, who may allow others to list them: one that
/// only its owner may write to is left out, and every other one is returned with all that the mask forbids. They may be
/// links. Links below them are not followed. A file with several names is left out, since another tree contains it too.
/// An entry that is removed in the meantime is left out.
///
/// # Errors
/// Fails when a directory cannot be listed.
pub fn wide_permissions(roots: &[PathBuf], mask: Option<u32>) -> io::Result<Vec<Wide>> {
    let mask = mask.unwrap_or(FORBIDDEN);
    let mut found = Vec::new();
    for root in outermost(roots)? {
        let mode = root.metadata().map_err(|error| about(&root, error))?.mode() & 0o7777;
        if mode & mask & WRITING != 0 {
            found.push(Wide { path: root.clone(), mode, forbidden: mask, root: root.clone() });
        }
        let mut left = vec![(root.clone(), 0)];
        while let Some((path, depth)) = left.pop() {
            if depth > MAX_DEPTH {
                return Err(about(&path, io::Error::other("nested too deeply")));
            }
            let mut listing = Listing { root: &root, mask, found: &mut found, inner: Vec::new() };
            match listing.list(&path) {
                Ok(()) => left.extend(listing.inner.into_iter().map(|path| (path, depth + 1))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(about(&path, error)),
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Returns the resolved paths of some directories, without those inside another one: all of their permissions count
/// there.
fn outermost(roots: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let resolved = roots.iter().map(|root| root.canonicalize().map_err(|error| about(root, error)));
    let mut resolved = resolved.collect::<io::Result<Vec<_>>>()?;
    resolved.sort();
    let mut outermost: Vec<PathBuf> = Vec::new();
    for root in resolved {
        if !outermost.last().is_some_and(|outer| root.starts_with(outer)) {
            outermost.push(root);
        }
    }
    Ok(outermost)
}

/// One directory of a walk.
struct Listing<'w> {
    root: &'w Path,
    mask: u32,
    found: &'w mut Vec<Wide>,
    inner: Vec<PathBuf>,
}

impl Listing<'_> {
    /// Adds the entries of a directory with forbidden permissions, and the directories in it. A directory that became a
    /// link is skipped, like one that was removed.
    fn list(&mut self, path: &Path) -> io::Result<()> {
        let dir = match Dir::below(self.root, path) {
            Ok(dir) => dir,
            Err(OpenFault::SymbolicLink) => return Ok(()),
            Err(fault) => return Err(error_of(fault)),
        };
        for name in dir.names()? {
            let stat = match dir.stat(&name) {
                Ok(stat) => stat,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let path = path.join(name);
            let is_dir = match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => true,
                FileType::RegularFile if stat.st_nlink == 1 => false,
                _ => continue,
            };
            let mode = stat.st_mode & 0o7777;
            if mode & self.mask != 0 {
                let (path, root) = (path.clone(), self.root.to_owned());
                self.found.push(Wide { path, mode, forbidden: self.mask, root });
            }
            if is_dir {
                self.inner.push(path);
            }
        }
        Ok(())
    }
}

/// Removes the forbidden permissions from a file or directory, and no others: setgid and its other present permissions
/// are kept. Returns `false` when it has none of them any more.
///
/// # Errors
/// Fails when it belongs to another user, was removed (`NotFound`), is of another kind by now, or a link leads to it.
pub fn narrow_permissions(wide: &Wide) -> io::Result<bool> {
    let file = opened(wide)?;
    let metadata = file.metadata()?;
    if !(metadata.is_dir() || metadata.is_file() && metadata.nlink() == 1) {
        return Err(io::Error::other("the file has changed its kind, or has several names"));
    }
    let mode = metadata.mode() & 0o7777;
    let is_wide = mode & wide.forbidden != 0;
    if is_wide {
        file.set_permissions(Permissions::from_mode(mode & !wide.forbidden))?;
    }
    Ok(is_wide)
}

/// Opens a listed entry, following no link beneath its root.
fn opened(wide: &Wide) -> io::Result<File> {
    if wide.path == wide.root {
        return Ok(Dir::open(&wide.root).map_err(error_of)?.into_file());
    }
    let (Some(parent), Some(name)) = (wide.path.parent(), wide.path.file_name()) else {
        return Err(io::Error::other(OpenFault::Outside));
    };
    Dir::below(&wide.root, parent).map_err(error_of)?.open_any(name)
}

/// Returns an error of the system for a fault, of the kind that callers match.
fn error_of(fault: OpenFault) -> io::Error {
    match fault {
        OpenFault::Io(error) => error,
        OpenFault::Missing => io::Error::new(io::ErrorKind::NotFound, fault),
        OpenFault::Unreadable => io::Error::new(io::ErrorKind::PermissionDenied, fault),
        fault => io::Error::other(fault),
    }
}

/// Adds the path to an error.
fn about(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
