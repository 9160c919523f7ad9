//! The loop that watches the inbox: what is complete is brought into the library and registered.
//!
//! A delivery is complete when its marker is there, or nothing of it changed for a while. Which of its files are new is
//! decided by transfer itself; here is only remembered how a delivery looked when it was last brought, so that a quiet
//! inbox costs a listing. After a restart every delivery is looked at once more.

use super::{BACK_OFF, is_for_ever, sleep};
use crate::exit::Exit;
use crate::report::{counted, shown, tell};
use crate::site::Site;
use crate::steps::Night;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Names that lie about, such as editors and file managers leave them, are no deliveries.
fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name == "lost+found"
}

/// How a delivery looks: files, bytes, and the latest change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    files: u64,
    bytes: u64,
    changed: Option<SystemTime>,
    has_marker: bool,
}

#[derive(Default)]
struct Memory {
    look: Option<Look>,
    since: Option<Instant>,
    brought: Option<Look>,
}

/// Runs until a signal ends it.
///
/// # Errors
/// What waiting does not mend: no archive, a newer schema, a wrong configuration.
pub fn watch(site: &Site, stop: &Arc<AtomicBool>) -> anyhow::Result<Exit> {
    let config = &site.config.inbox;
    let directories: Vec<PathBuf> =
        config.directories.iter().map(|d| site.place.root().join(d)).collect();
    if directories.is_empty() {
        return Err(crate::exit::gate("[inbox] directories in almagest.toml names none"));
    }
    let profiles = site.profiles()?;
    let markers: Vec<String> =
        profiles.iter().filter_map(|p| p.profile.naming.marker.clone()).collect();
    let quiet = Duration::from_secs(config.quiet_seconds);
    let poll = Duration::from_secs(config.poll_seconds.max(1));
    let mut memories: HashMap<PathBuf, Memory> = HashMap::new();
    let mut back_off = BACK_OFF.0;
    tell!("almagest: watching {}", counted(directories.len() as u64, "inbox"));
    while !stop.load(Ordering::Relaxed) {
        let mut is_failed = false;
        for delivery in directories.iter().flat_map(|d| deliveries(d)) {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let memory = memories.entry(delivery.clone()).or_default();
            let Ok(look) = look(&delivery, &markers) else { continue };
            if !is_due(memory, look, quiet, poll) {
                continue;
            }
            match bring(site, &delivery, stop) {
                Ok(()) => {
                    memory.brought = Some(look);
                    back_off = BACK_OFF.0;
                }
                Err(fault) if is_for_ever(&fault) => {
                    // Of this delivery: the others are not to wait for it.
                    tell!("almagest: {}: {}", delivery.display(), shown(&format!("{fault:#}")));
                    memory.brought = Some(look);
                }
                Err(fault) => {
                    tell!(
                        "almagest: {}, trying again: {}",
                        delivery.display(),
                        shown(&format!("{fault:#}"))
                    );
                    is_failed = true;
                    break;
                }
            }
        }
        if is_failed {
            sleep(back_off, stop);
            back_off = (2 * back_off).min(BACK_OFF.1);
        } else {
            sleep(poll, stop);
        }
    }
    Ok(Exit::Done)
}

/// The subdirectories of an inbox, by name. One that cannot be read has none for now.
fn deliveries(inbox: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(inbox).into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> = entries
        .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
        .filter(|e| !is_hidden(&e.file_name().to_string_lossy()))
        .map(|e| e.path())
        .collect();
    all.sort();
    all
}

fn look(delivery: &Path, markers: &[String]) -> std::io::Result<Look> {
    let mut look = Look { files: 0, bytes: 0, changed: None, has_marker: false };
    for entry in std::fs::read_dir(delivery)?.flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        look.files += 1;
        look.bytes += metadata.len();
        look.changed = look.changed.max(metadata.modified().ok());
        look.has_marker |= markers.iter().any(|m| entry.file_name() == m.as_str());
    }
    Ok(look)
}

/// Whether a delivery is to be brought now.
fn is_due(memory: &mut Memory, look: Look, quiet: Duration, poll: Duration) -> bool {
    if memory.look != Some(look) {
        (memory.look, memory.since) = (Some(look), Some(Instant::now()));
    }
    if look.files == 0 || memory.brought == Some(look) {
        return false;
    }
    let unchanged = memory.since.map_or(Duration::ZERO, |since| since.elapsed());
    match (look.has_marker, memory.brought) {
        // The marker is written last.
        (true, None) => true,
        // Late files come without a word: two looks at the same.
        (true, Some(_)) => unchanged >= poll,
        // What was there before this process came may have been quiet for long.
        (false, _) => {
            let age = look.changed.and_then(|at| at.elapsed().ok()).unwrap_or_default();
            unchanged >= quiet || age >= quiet
        }
    }
}

fn bring(site: &Site, delivery: &Path, stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
    let mut night =
        Night::open_until(site.clone(), "inbox".to_owned(), "transfer", Arc::clone(stop))?;
    let name = night.transfer(delivery)?;
    let counts = night.counts.get("transfer").cloned().unwrap_or_default();
    if counts.files > 0 {
        let refused = match counts.refusals {
            0 => String::new(),
            n => format!(", {} refused", counted(n, "file")),
        };
        tell!("almagest: {name}: {} brought{refused}", counted(counts.files, "file"));
    }
    night.ended(if counts.refusals > 0 { Exit::Refusals } else { Exit::Done });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_due_by_its_marker_or_when_it_is_quiet() {
        let quiet = Duration::from_millis(80);
        let poll = Duration::from_millis(20);
        let look = |files, has_marker| Look {
            files,
            bytes: 10 * files,
            changed: Some(SystemTime::now()),
            has_marker,
        };
        let mut memory = Memory::default();
        assert!(!is_due(&mut memory, look(0, false), quiet, poll), "nothing has arrived");
        let whole = look(2, true);
        assert!(is_due(&mut memory, whole, quiet, poll), "its marker is there");
        memory.brought = Some(whole);
        assert!(!is_due(&mut memory, whole, quiet, poll), "brought already");
        let late = look(3, true);
        assert!(!is_due(&mut memory, late, quiet, poll), "it may still be growing");
        std::thread::sleep(poll);
        assert!(is_due(&mut memory, late, quiet, poll), "two looks at the same");
        let mut memory = Memory::default();
        let without = look(2, false);
        assert!(!is_due(&mut memory, without, quiet, poll));
        std::thread::sleep(quiet);
        assert!(is_due(&mut memory, without, quiet, poll), "nothing changed for a while");
        let old =
            Look { changed: SystemTime::now().checked_sub(Duration::from_secs(9)), ..without };
        assert!(is_due(&mut Memory::default(), old, quiet, poll), "quiet before we came");
    }
}
