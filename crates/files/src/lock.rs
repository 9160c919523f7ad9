//! Who works in a directory.

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

/// A directory is ours until this is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct DirLock(#[expect(dead_code, reason = "held, not read")] OwnedFd);

/// Makes a directory ours; `None` while another process has it. Where the file system knows no locks, nobody is kept
/// out.
///
/// # Errors
/// Whatever the system says.
pub fn lock_dir(dir: &Path) -> io::Result<Option<DirLock>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(dir, flags, Mode::empty())?;
    let mut locked = rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive);
    for _ in 0..5 {
        if locked != Err(Errno::WOULDBLOCK) {
            break;
        }
        // Who only asks whether somebody works there holds it for an instant.
        std::thread::sleep(Duration::from_millis(20));
        locked = rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive);
    }
    match locked {
        Err(Errno::WOULDBLOCK) => Ok(None),
        Ok(()) | Err(Errno::NOTSUP | Errno::NOSYS | Errno::INVAL) => Ok(Some(DirLock(fd))),
        Err(error) => Err(error.into()),
    }
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
}
