//! What others may do with our files: 0640 and 0750 at most, unless a site says otherwise.

use rustix::fs::Mode;
use std::sync::atomic::{AtomicU32, Ordering};

/// Permissions that nothing of ours has, unless configured: writing by the group, everything by others.
const FORBIDDEN: u32 = 0o027;

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
