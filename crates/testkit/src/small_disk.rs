//! A file system in memory that is soon full.

use crate::{is_root, skipped};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted file system of a few bytes, unmounted when dropped.
pub struct SmallDisk {
    at: PathBuf,
    _dir: Option<tempfile::TempDir>,
}

impl SmallDisk {
    /// Mounts one of so many MB at a place of its own; `None` where the system allows no mounts.
    pub fn new(megabytes: u64) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a directory");
        let mut disk = Self::mount(dir.path(), megabytes << 20)?;
        disk._dir = Some(dir);
        Some(disk)
    }

    /// Mounts one of so many bytes at a directory, which is made; `None` where the system allows no mounts.
    pub fn mount(at: &Path, bytes: u64) -> Option<Self> {
        if !is_root() {
            skipped("mounting needs root");
            return None;
        }
        std::fs::create_dir_all(at).expect("a directory");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
            .arg(at)
            .output();
        if !mounted.is_ok_and(|out| out.status.success()) {
            skipped("no file system can be mounted here");
            return None;
        }
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

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}
