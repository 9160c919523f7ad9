//! The lock of a process that works on a site exclusively.

use archive::error::{ArchiveError, ArchiveFault};
use archive::site::Site;

/// A site on which no other process of this machine writes or begins to.
#[derive(Debug)]
pub struct Alone(#[expect(dead_code, reason = "held, not read")] files::DirLock);

impl Alone {
    /// Locks a site, when no other process works on it.
    ///
    /// # Errors
    /// A conflict that names the processes at work.
    pub fn on(site: &Site) -> Result<Self, ArchiveError> {
        let fault = |fault| ArchiveError { act: "lock the site".to_owned(), fault };
        let io = |source| fault(ArchiveFault::Io { path: site.root().to_owned(), source });
        if let Some(lock) = files::lock_dir(site.root()).map_err(io)? {
            return Ok(Self(lock));
        }
        let holders: Vec<String> =
            files::lock_holders(site.root()).iter().map(u32::to_string).collect();
        let who = match &holders[..] {
            [] => String::new(),
            [one] => format!(" (process {one})"),
            several => format!(" (processes {})", several.join(", ")),
        };
        Err(fault(ArchiveFault::Conflict(format!(
            "other processes work on this site{who}: wait until their commands finish, or stop the daemons first"
        ))))
    }
}
