//! The sweep of staging, with its entries in the log.

use crate::log::note;
use crate::site::{self, Archive};
use crate::words::counted;
use ingest::sweep::SweepReport;

/// Runs one sweep, and records what was lost and what could not be removed.
pub(crate) fn sweep(
    archive: &mut Archive,
    keep: chrono::TimeDelta,
) -> Result<SweepReport, archive::ArchiveError> {
    let report = ingest::sweep::sweep(archive, keep, site::now())?;
    if report.lost > 0 {
        let lost = counted(report.lost, "attempt");
        note!(
            WARN,
            "attempts_lost",
            "{lost} without a valid result: their processes ended or their leases expired"
        );
    }
    if !report.not_removed.is_empty() {
        let (count, example) = (report.not_removed.len() as u64, &report.not_removed[0]);
        note!(
            WARN,
            "not_removed",
            "{} cannot be removed, e.g. {example}",
            counted(count, "remaining directory")
        );
    }
    note!(
        DEBUG,
        "swept",
        collected = report.collected,
        directories = report.directories,
        files = report.files,
        "staging was swept"
    );
    Ok(report)
}
