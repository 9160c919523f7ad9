//! Telling a process from a later one of the same number.

use std::fs;

/// Name of this machine, by its own word.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Start time of a process in ticks since boot: field 22 of proc(5) stat, counted behind the name's last `)`. `None` for one
/// that is gone; a zombie is.
pub fn start_of(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    (*fields.first()? != "Z").then(|| fields.get(19)?.parse().ok())?
}
