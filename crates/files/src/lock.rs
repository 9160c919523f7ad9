//! Locks on directories.

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

/// Lock on a directory, held until this is dropped or the process ends, in whatever way.
#[derive(Debug)]
pub struct DirLock(#[expect(dead_code, reason = "held, not read")] OwnedFd);

/// Locks a directory; `None` while another process holds the lock. On a file system without locks, other processes are
/// not kept out.
///
/// # Errors
/// Errors of the system.
pub fn lock_dir(dir: &Path) -> io::Result<Option<DirLock>> {
    lock(dir, FlockOperation::NonBlockingLockExclusive)
}

/// Locks a directory in shared mode; `None` while a process holds it exclusively.
///
/// # Errors
/// Errors of the system.
pub fn share_dir(dir: &Path) -> io::Result<Option<DirLock>> {
    lock(dir, FlockOperation::NonBlockingLockShared)
}

fn lock(dir: &Path, operation: FlockOperation) -> io::Result<Option<DirLock>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(dir, flags, Mode::empty())?;
    let mut locked = rustix::fs::flock(&fd, operation);
    for _ in 0..5 {
        if locked != Err(Errno::WOULDBLOCK) {
            break;
        }
        // A process that only checks for a lock holds it for an instant.
        std::thread::sleep(Duration::from_millis(20));
        locked = rustix::fs::flock(&fd, operation);
    }
    match locked {
        Err(Errno::WOULDBLOCK) => Ok(None),
        // NFS has no exclusive lock on files that are open for reading.
        Ok(()) | Err(Errno::NOTSUP | Errno::NOSYS | Errno::INVAL | Errno::BADF | Errno::NOLCK) => {
            Ok(Some(DirLock(fd)))
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns the processes of this machine that hold a lock on a directory, if the system lists them.
pub fn lock_holders(dir: &Path) -> Vec<u32> {
    use std::os::unix::fs::MetadataExt;
    let Ok(metadata) = std::fs::metadata(dir) else { return Vec::new() };
    let inode = format!(":{}", metadata.ino());
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    // `5: FLOCK  ADVISORY  READ 1234 fe:00:5678 0 EOF`
    let holder = |line: &str| -> Option<u32> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_it = words.get(1) == Some(&"FLOCK") && words.get(5)?.ends_with(&inode);
        if is_it { words.get(4)?.parse().ok() } else { None }
    };
    let mut holders: Vec<u32> = locks.lines().filter_map(holder).collect();
    holders.sort_unstable();
    holders.dedup();
    holders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let ours = lock_dir(dir.path()).unwrap();
        assert!(ours.is_some());
        assert!(lock_dir(dir.path()).unwrap().is_none());
        drop(ours);
        assert!(lock_dir(dir.path()).unwrap().is_some());
    }

    #[test]
    fn shared_by_many_or_held_by_one() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (share_dir(dir.path()).unwrap(), share_dir(dir.path()).unwrap());
        assert!(one.is_some() && other.is_some());
        drop(one);
        assert!(lock_dir(dir.path()).unwrap().is_none());
        let holders = lock_holders(dir.path());
        assert!(holders.is_empty() || holders == [std::process::id()], "{holders:?}");
        drop(other);
        let sole = lock_dir(dir.path()).unwrap();
        assert!(sole.is_some() && share_dir(dir.path()).unwrap().is_none());
    }
}
