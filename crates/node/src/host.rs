//! The report of this host about itself: proc(5), and the logged-in users.

use crate::NodeFault;
use model::HostName;
use model::task::{FORMAT_VERSION, HostReport, UnixSeconds};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the name of this host: ALMAGEST_HOST when it is set, since operators and batch systems may use another name
/// for a host than the host itself.
pub fn name() -> HostName {
    let given = std::env::var("ALMAGEST_HOST").ok().filter(|name| files::is_plain(name));
    HostName::reported(&given.unwrap_or_else(files::host_name))
}

/// Returns the time by this host's clock.
pub fn clock() -> UnixSeconds {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixSeconds::new(since.map_or(0, |since| since.as_secs()))
}

/// Reads a number of kB of /proc/PID/status, in bytes.
pub(crate) fn status_bytes(pid: u32, field: &str) -> Option<u64> {
    bytes_of(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, field)
}

/// Reads a line of /proc/meminfo, e.g. `MemTotal`, in bytes.
pub fn memory(field: &str) -> Option<u64> {
    bytes_of(&fs::read_to_string("/proc/meminfo").ok()?, field)
}

/// Parses a line such as `VmHWM:   1024 kB` of proc(5).
fn bytes_of(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kb| kb * 1024)
}

/// Writes a report of this host into a directory, under its name.
///
/// # Errors
/// Fails when it cannot be written.
pub fn report(directory: &Path, beat: u64) -> Result<HostReport, NodeFault> {
    let fault = |source| NodeFault::Directory { path: directory.to_owned(), source };
    files::create_dir(directory).map_err(fault)?;
    let report = HostReport {
        version: FORMAT_VERSION,
        host: name(),
        beat,
        at: clock(),
        cores: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
        load: load().unwrap_or_default(),
        memory_bytes: memory("MemTotal").unwrap_or(0),
        memory_free_bytes: memory("MemAvailable").unwrap_or(0),
        disk_free_bytes: files::free_bytes(directory).map_err(fault)?,
        users: users(),
        tasks: tasks(),
        software: crate::software(),
    };
    let text = serde_json::to_vec_pretty(&report).unwrap_or_default();
    files::publish_bytes(&directory.join(format!("{}.json", report.host)), &text)
        .map_err(|f| fault(f.source))?;
    Ok(report)
}

/// Returns the load averages over 1, 5 and 15 minutes.
pub fn load() -> Option<[f64; 3]> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    let numbers: Vec<f64> = text.split(' ').take(3).filter_map(|n| n.parse().ok()).collect();
    numbers.try_into().ok()
}

/// Returns the logged-in users, by who(1); none where there is no such program.
fn users() -> Vec<String> {
    let who = Command::new("who").stdin(Stdio::null()).stderr(Stdio::null()).output();
    let text = who.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    let mut users: Vec<String> =
        text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    users.sort();
    users.dedup();
    users
}

/// Returns the task files of the processes `almagest-node run FILE` on this host.
fn tasks() -> Vec<PathBuf> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let mut tasks = Vec::new();
    for process in processes.flatten() {
        let Ok(line) = fs::read(process.path().join("cmdline")) else { continue };
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        if let [program, b"run", file, ..] = words.as_slice()
            && program.ends_with(b"almagest-node")
        {
            tasks.push(PathBuf::from(String::from_utf8_lossy(file).into_owned()));
        }
    }
    tasks.sort();
    tasks.dedup();
    tasks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_describes_this_host() {
        let directory = tempfile::tempdir().unwrap();
        let report = report(directory.path(), 7).unwrap();
        assert!(report.cores >= 1 && report.memory_bytes > report.memory_free_bytes);
        assert!(report.memory_free_bytes > 0 && report.disk_free_bytes > 0);
        assert!(report.load[0] >= 0.0);
        let path = directory.path().join(format!("{}.json", name()));
        let text = fs::read_to_string(path).unwrap();
        assert_eq!(serde_json::from_str::<HostReport>(&text).unwrap(), report);
    }
}
