//! Holders of leases on attempts, and the check that a process of this machine still runs.

use files::{host_name as host, start_of};
use std::fs;

/// A process, distinguished from later ones with the same pid by host, boot, pid and start time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    host: String,
    boot: String,
    pid: u32,
    start: u64,
}

impl Process {
    /// Returns the current process.
    pub fn me() -> Self {
        let pid = std::process::id();
        Self { host: host(), boot: boot(), pid, start: start_of(pid).unwrap_or(0) }
    }

    /// Parses the output of `Display`; `None` for holders of another kind (jobs of a batch system).
    pub fn parse(holder: &str) -> Option<Self> {
        let mut parts = holder.rsplitn(4, '/');
        let start = parts.next()?.parse().ok()?;
        let pid = parts.next()?.parse().ok()?;
        let boot = parts.next()?.to_owned();
        Some(Self { host: parts.next()?.to_owned(), boot, pid, start })
    }

    /// Returns true when the process is known to have ended, which is known on its own machine only.
    pub fn has_stopped(&self) -> bool {
        self.host == host()
            && (self.boot != boot() || start_of(self.pid).is_none_or(|start| start != self.start))
    }
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}/{}", self.host, self.boot, self.pid, self.start)
    }
}

fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_living_and_the_gone() {
        let me = Process::me();
        assert!(!me.has_stopped());
        assert_eq!(Process::parse(&me.to_string()), Some(me.clone()));
        assert!(
            Process { start: me.start + 1, ..me.clone() }.has_stopped(),
            "the number was reused"
        );
        assert!(Process { boot: "earlier".to_owned(), ..me.clone() }.has_stopped());
        assert!(!Process { host: "elsewhere".to_owned(), pid: 1, ..me }.has_stopped());
        assert_eq!(Process::parse("slurm job 12"), None);
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let start = start_of(child.id()).unwrap();
        let child_process = Process { pid: child.id(), start, host: host(), boot: boot() };
        assert!(!child_process.has_stopped());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(child_process.has_stopped());
    }
}
