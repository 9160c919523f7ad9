//! Permissions of our files: 0640 and 0750 at most, unless a site configures others.

use rustix::fs::{Mode, OFlags};
use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Permissions that nothing of ours has, unless configured: writing by the group, everything by others.
const FORBIDDEN: u32 = 0o027;
/// Permissions to write of group and others.
const WRITING: u32 = 0o022;

/// What [`limit_permissions`] was told last.
static MASK: AtomicU32 = AtomicU32::new(FORBIDDEN);

/// Keeps permissions from all files and directories that this process makes from now on: those of `mask`, or else what the
/// caller's umask forbids already, together with 027. For the beginning of a program.
pub fn limit_permissions(mask: Option<u32>) {
    let wanted = match mask {
        Some(mask) => mask & 0o777,
        None => rustix::process::umask(Mode::from_raw_mode(FORBIDDEN)).as_raw_mode() | FORBIDDEN,
    };
    rustix::process::umask(Mode::from_raw_mode(wanted));
    MASK.store(wanted, Ordering::Relaxed);
}

/// Returns a mode without the permissions that nothing of ours has, for files whose mode is set outright.
pub fn allowed(mode: u32) -> u32 {
    mode & !MASK.load(Ordering::Relaxed)
}

/// A file or directory with permissions that a site forbids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wide {
    /// Its path.
    pub path: PathBuf,
    /// Its permissions.
    pub mode: u32,
    /// The permissions that it may keep.
    pub allowed: u32,
}

/// Returns what lies in some directories with permissions that a mask (or else 027) forbids, in the order of the paths. The
/// directories themselves were made by their owner; of them only writing by others counts. Links are not followed, and a file
/// with several names is left out: another tree has it too.
///
/// # Errors
/// When a directory cannot be listed.
pub fn wide_permissions(roots: &[PathBuf], mask: Option<u32>) -> io::Result<Vec<Wide>> {
    let mask = mask.unwrap_or(FORBIDDEN);
    let mut found = Vec::new();
    let mut note = |path: &Path, metadata: &Metadata, mask: u32| {
        let mode = metadata.mode() & 0o777;
        if mode & mask != 0 {
            found.push(Wide { path: path.to_owned(), mode, allowed: mode & !mask });
        }
    };
    let mut left = Vec::new();
    for root in roots {
        note(root, &root.symlink_metadata()?, mask & WRITING);
        left.push(root.clone());
    }
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            let metadata = match path.symlink_metadata() {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if metadata.is_dir() {
                note(&path, &metadata, mask);
                left.push(path);
            } else if metadata.is_file() && metadata.nlink() == 1 {
                note(&path, &metadata, mask);
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    // A root may lie in another one, where all of its permissions count.
    found.dedup_by(|other, first| {
        let is_same = other.path == first.path;
        first.allowed &= if is_same { other.allowed } else { !0 };
        is_same
    });
    Ok(found)
}

/// Takes the forbidden permissions from a file or directory.
///
/// # Errors
/// When it is another user's, or another kind of file by now.
pub fn narrow_permissions(wide: &Wide) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(&wide.path, flags, Mode::empty())?);
    file.set_permissions(Permissions::from_mode(wide.allowed))
}
