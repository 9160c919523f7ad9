//! Opening files that other processes wrote.

use rustix::fs::{Mode, OFlags, ResolveFlags};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// The reason that a path was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenFault {
    /// A symbolic link; following it could leave the delivery.
    #[error("is a symbolic link")]
    SymbolicLink,
    /// A directory, FIFO, socket or device.
    #[error("is a {0}, not a regular file")]
    NotRegular(&'static str),
    /// No permission to read.
    #[error("cannot be read: permission denied")]
    Unreadable,
    /// Removed, or never present.
    #[error("does not exist")]
    Missing,
    /// A path outside the directory that it belongs to.
    #[error("is not a plain name in its directory")]
    Outside,
    /// Another error of the system.
    #[error("cannot be opened")]
    Io(#[from] io::Error),
}

impl OpenFault {
    /// Returns the machine-readable reason, one per kind.
    pub fn code(&self) -> &'static str {
        match self {
            Self::SymbolicLink => "symbolic_link",
            Self::NotRegular("directory") => "not_a_file_directory",
            Self::NotRegular("FIFO") => "not_a_file_fifo",
            Self::NotRegular("socket") => "not_a_file_socket",
            Self::NotRegular(_) => "not_a_file_device",
            Self::Unreadable => "unreadable",
            Self::Missing => "missing_file",
            Self::Outside => "outside",
            Self::Io(_) => "io_error",
        }
    }

    /// Returns true when the same call may succeed later without intervention.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Io(_))
    }
}

/// Returns the bundle of certificates of authorities that this system trusts, if it has one.
pub fn system_authorities() -> Option<PathBuf> {
    const BUNDLES: [&str; 4] = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/cert.pem",
        "/etc/ssl/ca-bundle.pem",
    ];
    BUNDLES.iter().map(PathBuf::from).find(|path| path.is_file())
}

/// Opens a regular file for reading: no link is followed, the call does not wait for a FIFO, no device is opened.
///
/// # Errors
/// [`OpenFault`] names the kind of entry that exists there instead.
pub fn open_regular(path: &Path) -> Result<File, OpenFault> {
    regular(rustix::fs::CWD, path)
}

/// Opens a regular file by a path without links: a link that was inserted in the meantime is not followed.
///
/// # Errors
/// As [`open_regular`].
pub fn open_resolved(path: &Path) -> Result<File, OpenFault> {
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(rustix::fs::CWD, path, READING, Mode::empty(), resolve) {
        Err(rustix::io::Errno::NOSYS) => open_regular(path),
        opened => opened_regular(opened),
    }
}

const READING: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// Opens a regular file by a path relative to a directory.
pub(crate) fn regular(dir: impl AsFd, path: &Path) -> Result<File, OpenFault> {
    opened_regular(rustix::fs::openat(dir, path, READING, Mode::empty()))
}

fn opened_regular(opened: rustix::io::Result<rustix::fd::OwnedFd>) -> Result<File, OpenFault> {
    let fd = opened.map_err(|errno| match errno {
        rustix::io::Errno::LOOP => OpenFault::SymbolicLink,
        rustix::io::Errno::ACCESS | rustix::io::Errno::PERM => OpenFault::Unreadable,
        rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR => OpenFault::Missing,
        rustix::io::Errno::NXIO => OpenFault::NotRegular("socket"),
        other => OpenFault::Io(other.into()),
    })?;
    let file = File::from(fd);
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        return Ok(file);
    }
    use std::os::unix::fs::FileTypeExt;
    Err(OpenFault::NotRegular(if kind.is_dir() {
        "directory"
    } else if kind.is_fifo() {
        "FIFO"
    } else if kind.is_socket() {
        "socket"
    } else {
        "device"
    }))
}

/// Returns the content of a small regular file of another process, up to a number of bytes.
///
/// # Errors
/// As [`open_regular`], and errors of reading.
pub fn read_regular(path: &Path, most: u64) -> Result<Vec<u8>, OpenFault> {
    let mut content = Vec::new();
    open_regular(path)?.take(most).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_open() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        std::fs::write(&file, b"x").unwrap();
        let link = dir.path().join("l");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let fifo = dir.path().join("f");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RUSR, 0)
            .unwrap();
        let cases = [
            (link.as_path(), "symbolic_link"),
            (fifo.as_path(), "not_a_file_fifo"),
            (dir.path(), "not_a_file_directory"),
            (Path::new("/dev/null"), "not_a_file_device"),
            (Path::new("/nonexistent"), "missing_file"),
        ];
        assert!(open_regular(&file).is_ok());
        for (path, code) in cases {
            assert_eq!(open_regular(path).unwrap_err().code(), code, "{}", path.display());
            assert_eq!(open_resolved(path).unwrap_err().code(), code, "{}", path.display());
        }
        let real = dir.path().canonicalize().unwrap();
        assert!(open_resolved(&real.join("a")).is_ok());
        std::os::unix::fs::symlink(&real, real.join("d")).unwrap();
        assert!(open_regular(&real.join("d/a")).is_ok());
        let through = open_resolved(&real.join("d/a")).unwrap_err();
        assert_eq!(through.code(), "symbolic_link", "a link on the way");
    }
}
