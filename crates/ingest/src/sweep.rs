//! Collects results that nobody waited for, and clears what dead attempts and passes left, and what was ingested days ago.
//!
//! A node reports by a file; this pass finds it. An attempt whose process is gone or whose lease ended is lost, and only
//! then is its directory removed.

use archive::lease::Process;
use archive::records::{AttemptEnd, AttemptKey, RunningAttempt, Taken};
use archive::{ArchiveError, Publication, Queue, Timestamp};
use stage::Verification;
use std::fs;
use std::path::Path;

/// What a sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Results that were found complete.
    pub collected: u64,
    /// Refusals in them that were not known before.
    pub new_refusals: u64,
    /// Attempts whose lease ended without result.
    pub lost: u64,
    /// Directories of attempts removed.
    pub directories: u64,
    /// Left-over files and tables removed.
    pub files: u64,
}

/// One sweep. Safe to repeat and beside running attempts. What was ingested stays staged for `keep` after that.
///
/// # Errors
/// [`ArchiveError`]; what could not be removed is left for the next sweep.
pub fn sweep<A: Queue + Publication>(
    archive: &mut A,
    keep: chrono::TimeDelta,
    now: Timestamp,
) -> Result<SweepReport, ArchiveError> {
    let site = archive.site().clone();
    let mut report = SweepReport::default();
    for attempt in archive.running_attempts()? {
        let gone = is_over(&attempt, now);
        match stage::read_result(&attempt.directory, Verification::Lengths) {
            Ok(result) if AttemptKey::of(&result) == attempt.attempt => {
                if let Taken::Taken { new_refusals, .. } = archive.take_result(&result, now)? {
                    report.collected += 1;
                    report.new_refusals += new_refusals;
                }
            }
            _ if gone => {
                let why = "its process is gone or its lease ended";
                archive.end_attempt(&attempt.attempt, AttemptEnd::Lost, why, now)?;
                report.lost += 1;
            }
            _ => {}
        }
    }
    for (attempt, directory) in archive.sweepable_attempts(now - keep)? {
        if remove_directory(&directory, &site.staging()) {
            archive.mark_swept(&attempt)?;
            report.directories += 1;
        }
    }
    report.files += archive.clear_abandoned()?.len() as u64;
    report.files += remove_temporaries(&site.lake().join("detection"));
    Ok(report)
}

/// A process of this machine can be seen to be gone; for the others only the lease tells.
fn is_over(attempt: &RunningAttempt, now: Timestamp) -> bool {
    Process::parse(&attempt.lease.holder).is_some_and(|p| p.is_gone()) || attempt.lease.until < now
}

/// `true` when the directory is gone afterwards. Never leaves `staging/`.
fn remove_directory(directory: &Path, staging: &Path) -> bool {
    if !directory.starts_with(staging) || directory == staging {
        return false;
    }
    match fs::remove_dir_all(directory) {
        Ok(()) => {
            // Task, round and unit, as far as nothing else is in them.
            let above = directory.ancestors().skip(1).take_while(|dir| *dir != staging);
            let _ = above.map(fs::remove_dir).find(Result::is_err);
            true
        }
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// Removes what publications of dead processes left: their names end in pid and serial number.
fn remove_temporaries(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let mut removed = 0;
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.rsplit('-').nth(1).and_then(|pid| pid.parse::<u32>().ok());
        let gone = pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists());
        if files::is_temporary(&name) && gone {
            removed += u64::from(fs::remove_file(entry.path()).is_ok());
        }
    }
    removed
}
