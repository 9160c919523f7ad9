//! A file system in memory that fills up quickly.

use crate::{is_root, skipped};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted file system of a few bytes, unmounted when dropped.
pub struct SmallDisk {
    at: PathBuf,
    _dir: Option<tempfile::TempDir>,
}

impl SmallDisk {
    /// Mounts one of a size in MB at a new directory; `None` when this user is not root.
    pub fn new(megabytes: u64) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a directory");
        let mut disk = Self::mount(dir.path(), megabytes << 20)?;
        disk._dir = Some(dir);
        Some(disk)
    }

    /// Mounts one of a size in bytes at a directory, which is made; `None` when this user is not root.
    pub fn mount(at: &Path, bytes: u64) -> Option<Self> {
        if !is_root() {
            skipped("mounting needs root");
            return None;
        }
        std::fs::create_dir_all(at).expect("a directory");
        mount(at, &format!("size={bytes}"));
        Some(Self { at: at.to_owned(), _dir: None })
    }

    /// Returns the directory at which it is mounted.
    pub fn path(&self) -> &Path {
        &self.at
    }

    /// Changes its size.
    pub fn resize(&self, bytes: u64) {
        let resized = Command::new("mount")
            .args(["-o", &format!("remount,size={bytes}")])
            .arg(&self.at)
            .status();
        assert!(resized.is_ok_and(|status| status.success()), "remounted");
    }
}

/// Mounts a file system in memory. Root may do so: a failure is one of the test, which must not pass by omitting its
/// subject.
fn mount(at: &Path, options: &str) {
    let mut command = Command::new("mount");
    let out = command
        .args(["-t", "tmpfs", "-o", options, "tmpfs"])
        .arg(at)
        .output()
        .expect("the program mount");
    assert!(out.status.success(), "mount: {}", String::from_utf8_lossy(&out.stderr));
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "mount: ")]
    fn a_failed_mount_fails_the_test() {
        let dir = tempfile::tempdir().expect("a directory");
        mount(dir.path(), "size=nonsense");
    }
}
