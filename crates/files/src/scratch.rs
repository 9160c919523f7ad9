//! Files without a name, for data that does not fit into memory.

use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Creates a file without a name in `directory`, which is deleted when it is closed.
///
/// # Errors
/// Errors of the system, such as a directory that cannot be written.
pub fn scratch_file(directory: &Path) -> io::Result<File> {
    let mode = Mode::RUSR | Mode::WUSR;
    let unnamed = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    if let Ok(file) = rustix::fs::open(directory, unnamed, mode) {
        return Ok(file.into());
    }
    // Some file systems do not support files without a name.
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = directory.join(format!(".almagest-{}-{number}", std::process::id()));
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::open(&path, flags, mode)?;
    std::fs::remove_file(&path)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::FileExt;

    #[test]
    fn a_scratch_file_has_no_name_and_can_be_read() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = scratch_file(directory.path()).unwrap();
        file.write_all(b"night").unwrap();
        let mut read = [0; 5];
        file.read_exact_at(&mut read, 0).unwrap();
        assert_eq!(&read, b"night");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
