//! Kinds of entries in a directory.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// An ordinary file.
    Bytes(Vec<u8>),
    /// An ordinary file without read permission; the superuser can read it.
    Unreadable(Vec<u8>),
    /// A symbolic link to a path.
    Link(PathBuf),
    /// A directory.
    Directory,
    /// A pipe without a writer: opening it would wait for ever.
    Fifo,
    /// A socket without a listener.
    Socket,
    /// The endless device (`/dev/zero`); only the superuser can make it.
    Device,
}

impl Entry {
    /// Returns true when this user can make it, so that it has an effect.
    pub fn can_be_made(&self) -> bool {
        let superuser = rustix::process::geteuid().is_root();
        match self {
            Self::Device => superuser && Self::devices_allowed(),
            Self::Unreadable(_) => !superuser,
            _ => true,
        }
    }

    /// Returns true when device files can be made: containers often forbid them even to root.
    fn devices_allowed() -> bool {
        let probe = std::env::temp_dir().join(format!(".device-{}", std::process::id()));
        let made = Self::Device.write(&probe).is_ok();
        let _ = fs::remove_file(&probe);
        made
    }

    /// Writes it under a name.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
        match self {
            Self::Bytes(bytes) => fs::write(path, bytes),
            Self::Unreadable(bytes) => {
                fs::write(path, bytes)?;
                fs::set_permissions(path, fs::Permissions::from_mode(0o000))
            }
            Self::Link(target) => std::os::unix::fs::symlink(target, path),
            Self::Directory => fs::create_dir(path),
            Self::Fifo => Ok(mknodat(CWD, path, FileType::Fifo, Mode::RUSR, 0)?),
            Self::Socket => Ok(mknodat(CWD, path, FileType::Socket, Mode::RUSR, 0)?),
            Self::Device => {
                Ok(mknodat(CWD, path, FileType::CharacterDevice, Mode::RUSR, makedev(1, 5))?)
            }
        }
    }
}
