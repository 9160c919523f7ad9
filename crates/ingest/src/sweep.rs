//! Collects results for which no process waited, and removes the remains of dead attempts and passes, and of batches ingested
//! days ago.
//!
//! A node reports by a file; this pass finds it. An attempt whose process has ended or whose lease has expired is lost, and only
//! then is its directory removed. Nodes write to `staging/`: nothing there is opened or removed through a link.

use archive::attempts::results::Acceptance;
use archive::attempts::{AttemptEnd, AttemptKey};
use archive::{Archive, ArchiveError, Timestamp};
use files::{Dir, OpenFault};
use model::one_line;
use stage::ResultCheck;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// The counts of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Complete results that were found.
    pub collected: u64,
    /// New refusals in these results.
    pub new_refusals: u64,
    /// Attempts that ended without a valid result.
    pub lost: u64,
    /// Directories of attempts removed.
    pub directories: u64,
    /// Left-over files and tables removed.
    pub files: u64,
    /// Directories and files that could not be removed, each with the reason.
    pub not_removed: Vec<String>,
}

/// Runs one sweep. Safe to repeat, and to run alongside running attempts. Ingested batches stay staged for `keep` after ingest.
///
/// # Errors
/// [`ArchiveError`]; directories that could not be removed are left for the next sweep.
pub fn sweep(
    archive: &mut Archive,
    keep: chrono::TimeDelta,
    now: Timestamp,
) -> Result<SweepReport, ArchiveError> {
    let site = archive.site().clone();
    let mut report = SweepReport::default();
    for attempt in archive.running_attempts()? {
        let gone = attempt.is_over(now);
        let opened = Dir::below(&site.staging(), &attempt.directory).ok();
        match opened.map(|dir| stage::read_result_in(&dir, ResultCheck::Lengths)) {
            Some(Ok(result)) if AttemptKey::of(&result) == attempt.attempt => {
                match archive.accept_result(&result, now) {
                    Ok(Acceptance::Accepted { new_refusals, .. }) => {
                        report.collected += 1;
                        report.new_refusals += new_refusals;
                    }
                    Ok(_) => {}
                    Err(error) if error.failed_check().is_some() || error.is_about_data() => {
                        let why = format!("the result is invalid: {}", one_line(&error.fault));
                        archive.end_attempt(&attempt.attempt, AttemptEnd::Failed, &why, now)?;
                        report.lost += 1;
                    }
                    Err(error) => return Err(error),
                }
            }
            _ if gone => {
                let why = "the process of the attempt does not exist, or the lease expired";
                archive.end_attempt(&attempt.attempt, AttemptEnd::Lost, why, now)?;
                report.lost += 1;
            }
            _ => {}
        }
    }
    for (attempt, directory) in archive.sweepable_attempts(now - keep)? {
        match remove_directory(&directory, &site.staging()) {
            Ok(()) => {
                archive.mark_swept(&attempt)?;
                report.directories += 1;
            }
            Err(fault) => report.not_removed.push(format!("{}: {fault}", directory.display())),
        }
    }
    report.files += archive.clear_abandoned()?.len() as u64;
    remove_temporaries(&site.lake().join("detection"), &mut report);
    Ok(report)
}

/// Removes a directory; one that does not exist counts as removed. Stays inside `staging/`: every name on the way is opened
/// without following links, and the target of a link stays.
fn remove_directory(directory: &Path, staging: &Path) -> Result<(), String> {
    let (Some(parent), Some(name)) = (directory.parent(), directory.file_name()) else {
        return Err("is not a directory of an attempt".to_owned());
    };
    match Dir::below(staging, parent) {
        Ok(dir) => dir.remove_tree(name).map_err(|fault| fault.to_string())?,
        Err(OpenFault::Missing) => return Ok(()),
        Err(fault) => return Err(one_line(&fault)),
    }
    // The directories of task, round and unit, if nothing else is in them.
    let above = directory.ancestors().skip(1).take_while(|dir| *dir != staging);
    let is_removed = |path: &Path| {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return false };
        Dir::below(staging, parent).is_ok_and(|dir| dir.remove_dir(name).is_ok())
    };
    let _ = above.map(is_removed).find(|removed| !removed);
    Ok(())
}

/// Removes the temporary files of publications of dead processes: their names end in pid and serial number.
fn remove_temporaries(directory: &Path, report: &mut SweepReport) {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(fault) if fault.kind() == ErrorKind::NotFound => return,
        Err(fault) => return report.not_removed.push(format!("{}: {fault}", directory.display())),
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.rsplit('-').nth(1).and_then(|pid| pid.parse::<u32>().ok());
        let gone = pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists());
        if files::is_temporary(&name) && gone {
            match fs::remove_file(entry.path()) {
                Ok(()) => report.files += 1,
                Err(fault) if fault.kind() == ErrorKind::NotFound => {}
                Err(fault) => {
                    report.not_removed.push(format!("{}: {fault}", entry.path().display()))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_removed_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let (staging, elsewhere) = (dir.path().join("staging"), dir.path().join("elsewhere"));
        fs::create_dir_all(elsewhere.join("attempt")).unwrap();
        fs::create_dir_all(staging.join("unit/attempt")).unwrap();
        std::os::unix::fs::symlink(&elsewhere, staging.join("link")).unwrap();
        let fault = remove_directory(&staging.join("link/attempt"), &staging).unwrap_err();
        assert!(fault.contains("symbolic link"), "{fault}");
        assert!(elsewhere.join("attempt").exists());
        assert_eq!(remove_directory(&staging.join("unit/attempt"), &staging), Ok(()));
        assert!(!staging.join("unit").exists());
        assert_eq!(remove_directory(&staging.join("unit/attempt"), &staging), Ok(()), "again");

        let mut report = SweepReport::default();
        remove_temporaries(&dir.path().join("nowhere"), &mut report);
        assert_eq!(report, SweepReport::default());
        fs::write(dir.path().join("file"), "x").unwrap();
        remove_temporaries(&dir.path().join("file"), &mut report);
        assert_eq!(report.not_removed.len(), 1, "{report:?}");
    }
}
