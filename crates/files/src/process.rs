//! Distinguishing a process from a later one of the same number.

use std::fs;

/// Returns the host name of this machine, as the system reports it.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Returns the start time of a process in ticks since boot: field 22 of proc(5) stat, counted behind the name's last
/// `)`. `None` for a process that has ended, which includes zombies.
pub fn start_of(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    (*fields.first()? != "Z").then(|| fields.get(19)?.parse().ok())?
}
