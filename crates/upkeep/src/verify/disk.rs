//! Files of the library and previews.

use super::{Delivered, Options, Report, VerifyFinding};
use archive::error::ArchiveFault;
use archive::library::frame_names::LATEST_OF_NAME;
use archive::site::Site;
use archive::{Access, connect};
use engine::{Connection, Kind};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Checks that the latest content of every name exists with its length, and with its content if that is requested.
pub(super) fn library(
    c: &Connection,
    site: &Site,
    options: Options,
    report: &mut Report,
) -> Result<(), ArchiveFault> {
    let latest = LATEST_OF_NAME;
    let mut select = c.prepare(&format!(
        "SELECT path, bytes, sha256, delivery.name, file.name, file_id FROM file JOIN delivery USING (delivery_id)
         WHERE {latest} ORDER BY file_id"
    ))?;
    let mut rows = select.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        let path = site.library_file(&row.get::<String>(0)?);
        let wanted: u64 = row.get(1)?;
        let of = || -> Result<Delivered, ArchiveFault> {
            Ok(Delivered { delivery: row.name(3)?, name: row.get(4)? })
        };
        match length(&path) {
            None => {
                let of = of()?;
                report.findings.push(VerifyFinding::LibraryFileMissing { of, path });
            }
            Some(found) if found != wanted => {
                let of = of()?;
                report.findings.push(VerifyFinding::LibraryFileLength { of, path, found, wanted });
            }
            Some(_) => {
                let sha256: String = row.get(2)?;
                if options.reads(&path.to_string_lossy()) {
                    report.has_read(wanted, options);
                    if content(&path).is_none_or(|found| found != sha256) {
                        let (of, file_id) = (of()?, row.id(5)?);
                        report.findings.push(VerifyFinding::LibraryFileContent {
                            of,
                            file_id,
                            path,
                        });
                    }
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

/// Finds files in the library that no delivery contains. A delivery that is being transferred is skipped. The files
/// found are looked up afterwards, by a connection that sees the registrations made in the meantime.
pub(super) fn library_strays(site: &Site, report: &mut Report) -> Result<(), ArchiveFault> {
    let library = site.library();
    let mut seen = files_below(&library, report);
    let mut busy: HashMap<PathBuf, bool> = HashMap::new();
    seen.retain(|path| {
        let Some(delivery) = path.ancestors().find(|dir| dir.parent() == Some(&library)) else {
            return true;
        };
        let is_busy = || matches!(files::lock_dir(delivery), Ok(None));
        !*busy.entry(delivery.to_owned()).or_insert_with(is_busy)
    });
    let listed = paths(&now(site)?, "SELECT path FROM file", |path| site.library_file(path))?;
    seen.retain(|path| !listed.contains(path));
    let known = paths(&now(site)?, "SELECT name FROM delivery", |name| library.join(name))?;
    report.findings.extend(seen.into_iter().map(|path| {
        let directory = path.ancestors().find(|dir| dir.parent() == Some(&library));
        let delivery = directory.filter(|dir| known.contains(*dir)).and_then(Path::file_name);
        let delivery = delivery.and_then(|name| name.to_str()?.parse().ok());
        VerifyFinding::LibraryFileStray { delivery, path }
    }));
    Ok(())
}

/// Finds files among the previews that no event made. Deliveries whose previews are being published are skipped.
pub(super) fn preview_strays(site: &Site, report: &mut Report) -> Result<(), ArchiveFault> {
    let mut seen = files_below(&site.previews(), report);
    let c = now(site)?;
    let tx = c.begin(Kind::Read)?;
    let listed = paths(&tx, "SELECT path FROM preview_all", |path| site.previews().join(path))?;
    let coming = "SELECT delivery.name FROM unit JOIN delivery USING (delivery_id)
                  WHERE use_case = 'preview' AND unit.state = 'staged'";
    let coming = paths(&tx, coming, |name| site.previews().join(name))?;
    seen.retain(|path| !listed.contains(path) && !path.ancestors().any(|dir| coming.contains(dir)));
    report.findings.extend(seen.into_iter().map(|path| VerifyFinding::PreviewStray { path }));
    Ok(())
}

/// Opens the archive in its present state; the rest of a verification sees one state of the past.
fn now(site: &Site) -> Result<Connection, ArchiveFault> {
    connect(site, Access::Read)
}

fn paths(
    c: &Connection,
    sql: &str,
    place: impl Fn(&str) -> PathBuf,
) -> Result<HashSet<PathBuf>, ArchiveFault> {
    let mut select = c.prepare(sql)?;
    let rows = select.query_map([], |r| Ok(place(&r.get::<String>(0)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns all files below a directory except hidden ones: unfinished publications, files in transfer, strays that were
/// moved aside. No delivered file and no product has such a name. A directory that cannot be listed is a finding; one
/// that disappears in the meantime contains nothing.
fn files_below(directory: &Path, report: &mut Report) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(dir) = left.pop() {
        let listed = std::fs::read_dir(&dir).and_then(|entries| {
            let found = |e: std::fs::DirEntry| Ok((e.path(), e.file_name(), e.file_type()?));
            entries.map(|entry| entry.and_then(found)).collect::<std::io::Result<Vec<_>>>()
        });
        let entries = match listed {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => {
                let why = error.to_string();
                report.findings.push(VerifyFinding::DirectoryUnreadable { path: dir, why });
                continue;
            }
        };
        for (path, name, kind) in entries {
            if name.to_string_lossy().starts_with('.') {
                continue;
            }
            if kind.is_dir() {
                left.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Checks that every current preview exists with its length.
pub(super) fn previews(
    c: &Connection,
    site: &Site,
    report: &mut Report,
) -> Result<(), ArchiveFault> {
    let mut select = c.prepare(
        "SELECT preview.multiframe_id, preview.path, file_bytes, delivery.name
         FROM preview JOIN image ON image.multiframe_id = preview.multiframe_id
             JOIN file ON file.file_id = image.file_id JOIN delivery ON delivery.delivery_id = file.delivery_id
         ORDER BY 1, 2",
    )?;
    let mut rows = select.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        let path = site.previews().join(row.get::<String>(1)?);
        let wanted: u64 = row.get(2)?;
        // A path that leads to another place is not that of a preview, and is not opened.
        let found = files::open_below(&site.previews(), &path).ok();
        match found.and_then(|file| Some(file.metadata().ok()?.len())) {
            None => {
                let (multiframe_id, delivery) = (row.id(0)?, row.name(3)?);
                report.findings.push(VerifyFinding::PreviewMissing {
                    delivery,
                    multiframe_id,
                    path,
                });
            }
            Some(found) if found != wanted => {
                let (multiframe_id, delivery) = (row.id(0)?, row.name(3)?);
                let finding =
                    VerifyFinding::PreviewLength { delivery, multiframe_id, path, found, wanted };
                report.findings.push(finding);
            }
            Some(_) => {}
        }
    }
    report.note("previews", count);
    Ok(())
}

/// Returns the length of a regular file; `None` when there is none.
pub(super) fn length(path: &Path) -> Option<u64> {
    Some(files::open_regular(path).ok()?.metadata().ok()?.len())
}

fn content(path: &Path) -> Option<String> {
    Some(files::hex(&files::sha256(files::open_regular(path).ok()?).ok()?.0))
}
