//! Repairs that cannot lose data: objects that no event made are removed, and lost products are requested again.

use super::{Report, VerifyFinding};
use archive::error::ArchiveError;
use archive::history::Cause;
use archive::{Archive, Reader, Timestamp};
use model::{DeliveryName, MultiframeId};
use std::path::Path;

/// Repairs everything that can be repaired safely, and returns a line for each repair. In a rehearsal of the archive nothing is
/// repaired, and the lines are those of the repairs that would be made.
///
/// # Errors
/// [`ArchiveError`]; repairs done until then are kept.
pub fn repair(
    archive: &mut Archive,
    report: &Report,
    cause: &Cause,
    now: Timestamp,
) -> Result<Vec<String>, ArchiveError> {
    let mut done = realigned(archive, report, cause, now)?;
    let (lake, previews) = (archive.site().lake(), archive.site().previews());
    let is_rehearsal = archive.is_rehearsal();
    let remove = |base: &Path, path: &Path| {
        let removed = match is_rehearsal {
            true => files::may_remove_below(base, path),
            false => files::remove_below(base, path),
        };
        removed.is_ok_and(|is_removed| is_removed)
    };
    for finding in &report.findings {
        match finding {
            VerifyFinding::LakeFileStray { path } if remove(&lake, path) => {
                done.push(format!("removed {}, which no event created", path.display()));
            }
            VerifyFinding::PreviewStray { path } if remove(&previews, path) => {
                done.push(format!("removed {}, which no event created", path.display()));
            }
            VerifyFinding::TableWithoutEvent { .. } => {
                for name in archive.clear_abandoned()? {
                    let line = format!("dropped the table {name}, which no event created");
                    // A rehearsal finds the same tables again.
                    if !done.contains(&line) {
                        done.push(line);
                    }
                }
            }
            VerifyFinding::PreviewMissing { multiframe_id, .. }
            | VerifyFinding::PreviewLength { multiframe_id, .. } => {
                let multiframe = *multiframe_id;
                let line = format!("requested the previews of multiframe {multiframe} again");
                if done.contains(&line) {
                    continue;
                }
                archive.write("repair", "request previews again", |tx| {
                    archive::rounds::request_preview(tx, multiframe, &cause.why, now)
                })?;
                done.push(line);
            }
            _ => {}
        }
    }
    Ok(done)
}

/// Aligns the visible products with the published ones, where they differ.
fn realigned(
    archive: &mut Archive,
    report: &Report,
    cause: &Cause,
    now: Timestamp,
) -> Result<Vec<String>, ArchiveError> {
    let misplaced = report.findings.iter().filter_map(|finding| match finding {
        VerifyFinding::SupersededCurrent { multiframe_id, is_recorded: true, .. }
        | VerifyFinding::ProductNotShown { multiframe_id, is_recorded: true, .. }
        | VerifyFinding::CatalogueVersions { multiframe_id, .. } => Some(*multiframe_id),
        _ => None,
    });
    let misplaced: Vec<i64> = misplaced.collect();
    if misplaced.is_empty() {
        return Ok(Vec::new());
    }
    let site = archive.site().clone();
    let deliveries = archive.write("repair", "settle the current products", |tx| {
        archive::products::supersession::realign(tx, &site, &misplaced, cause, now)
    })?;
    Ok(deliveries
        .iter()
        .map(|name| format!("the newest products of {name} are current again"))
        .collect())
}

/// Requests that lost or damaged previews of some deliveries be made again, and returns the number of multiframes.
///
/// # Errors
/// [`ArchiveError`].
pub fn request_lost_previews(
    archive: &mut Archive,
    deliveries: &[DeliveryName],
    cause: &Cause,
    now: Timestamp,
) -> Result<u64, ArchiveError> {
    let lost = lost_previews(archive, deliveries)?;
    archive.write("again", "request lost previews again", |tx| {
        for multiframe in &lost {
            archive::rounds::request_preview(tx, *multiframe, &cause.why, now)?;
        }
        Ok(())
    })?;
    Ok(lost.len() as u64)
}

/// Lists the multiframes of some deliveries whose previews are lost or damaged.
///
/// # Errors
/// [`ArchiveError`].
pub fn lost_previews(
    archive: &Reader,
    deliveries: &[DeliveryName],
) -> Result<Vec<MultiframeId>, ArchiveError> {
    let site = archive.site().clone();
    let report = archive.read("list lost previews", |c| {
        let mut report = Report::default();
        super::disk::previews(c, &site, &mut report)?;
        Ok(report)
    })?;
    let mut lost: Vec<MultiframeId> = report
        .findings
        .iter()
        .filter(|f| f.delivery().is_some_and(|name| deliveries.iter().any(|d| d == name)))
        .filter_map(|finding| match finding {
            VerifyFinding::PreviewMissing { multiframe_id, .. }
            | VerifyFinding::PreviewLength { multiframe_id, .. } => Some(*multiframe_id),
            _ => None,
        })
        .collect();
    lost.dedup();
    Ok(lost)
}
