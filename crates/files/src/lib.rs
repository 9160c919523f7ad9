//! The only access to the file system: opens delivered files, publishes our own.
//!
//! A delivered file is opened without following links and without blocking, and only if it is a regular file
//! ([`open_regular`]). A file is published whole or not at all ([`publish()`]). Only the contents of an attempt's
//! directory, the log of a site and the nights of the simulator are written elsewhere.
//!
//! Files that nodes may write are opened, moved and removed through a [`Dir`], a handle that follows no link.
//!
//! Start at [`publish()`]. [`crash_point`] marks the points that the kill tests target.
//! This crate does not know the contents of the files.

mod crash;
mod dir;
mod hashing;
mod lock;
mod names;
mod open;
mod permissions;
mod process;
mod publish;
mod scratch;
mod side_by_side;

pub use crash::crash_point;
pub use dir::{Dir, may_remove_below, open_below, remove_below};
pub use hashing::{Hashing, Published};
pub use lock::{DirLock, lock_dir, lock_holders, share_dir};
pub use names::{is_plain, shown};
pub use open::{OpenFault, open_regular, open_resolved, read_regular, system_authorities};
pub use permissions::{Wide, allowed, limit_permissions, narrow_permissions, wide_permissions};
pub use process::{host_name, start_of};
pub use publish::{
    PublishFault, create_dir, free_bytes, is_temporary, link_or_copy, may_create_dir, may_publish,
    publish, publish_bytes, publish_hashed, publish_together, remove_own_temporaries,
    remove_temporaries, sync_dir, sync_disk,
};
pub use scratch::scratch_file;
pub use side_by_side::side_by_side;

use sha2::{Digest, Sha256};
use std::io::{self, Read};

/// Returns a digest in lower-case hexadecimal.
pub fn hex(digest: &[u8]) -> String {
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

/// Computes the SHA-256 of everything a reader returns, and its length in bytes.
///
/// # Errors
/// Errors of the reader.
pub fn sha256(mut reader: impl Read) -> io::Result<([u8; 32], u64)> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0_u8; 1 << 17];
    let mut bytes = 0;
    loop {
        let n = reader.read(&mut buffer)?;
        if n == 0 {
            return Ok((hash.finalize().into(), bytes));
        }
        hash.update(&buffer[..n]);
        bytes += n as u64;
    }
}
