//! Files of the library and previews.

use super::{Finding, Options, Report};
use crate::error::ArchiveFault;
use crate::site::Site;
use rusqlite::Connection;
use std::path::Path;

/// Every current file is there, with its length, and with its content if that is asked for.
pub(super) fn library(
    c: &Connection,
    site: &Site,
    options: Options,
    report: &mut Report,
) -> Result<(), ArchiveFault> {
    let mut select =
        c.prepare("SELECT path, bytes, sha256 FROM file WHERE state = 'current' ORDER BY file_id")?;
    let mut rows = select.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        let path = site.library_file(&row.get::<_, String>(0)?);
        let wanted: u64 = row.get(1)?;
        match length(&path) {
            None => report.findings.push(Finding::LibraryFileMissing { path }),
            Some(found) if found != wanted => {
                report.findings.push(Finding::LibraryFileLength { path, found, wanted });
            }
            Some(_) => {
                let sha256: String = row.get(2)?;
                if options.checksums && content(&path).is_none_or(|found| found != sha256) {
                    report.findings.push(Finding::LibraryFileContent { path });
                }
            }
        }
    }
    report.note(
        if options.checksums { "library files, contents too" } else { "library files" },
        count,
    );
    Ok(())
}

/// Every current preview is there with its length.
pub(super) fn previews(
    c: &Connection,
    site: &Site,
    report: &mut Report,
) -> Result<(), ArchiveFault> {
    let mut select =
        c.prepare("SELECT multiframe_id, path, file_bytes FROM preview ORDER BY 1, 2")?;
    let mut rows = select.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        let path = site.previews().join(row.get::<_, String>(1)?);
        let wanted: u64 = row.get(2)?;
        match length(&path) {
            None => {
                let multiframe_id = row.get(0)?;
                report.findings.push(Finding::PreviewMissing { multiframe_id, path });
            }
            Some(found) if found != wanted => {
                report.findings.push(Finding::PreviewLength { path, found, wanted });
            }
            Some(_) => {}
        }
    }
    report.note("previews", count);
    Ok(())
}

/// Length of a regular file; `None` when there is none.
pub(super) fn length(path: &Path) -> Option<u64> {
    Some(files::open_regular(path).ok()?.metadata().ok()?.len())
}

fn content(path: &Path) -> Option<String> {
    Some(files::sha256(files::open_regular(path).ok()?).ok()?.0)
}
