//! Files that a purge deletes after its transaction is committed, however often the deletion is interrupted.

use crate::Archive;
use crate::error::{ArchiveError, ArchiveFault};
use crate::site::Site;
use engine::{Connection, Result as EngineResult};
use rusqlite::params;
use std::path::PathBuf;

/// Files deleted in one write transaction.
const AT_ONCE: i64 = 2000;

/// Records files to be deleted, in the transaction after which no table lists them.
pub(crate) fn note(
    tx: &Connection,
    site: &Site,
    files: &[(PathBuf, PathBuf)],
) -> Result<(), ArchiveFault> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO deletion (place, path) VALUES (?1, ?2) ON CONFLICT (place, path) DO NOTHING",
    )?;
    let places = [("previews", site.previews()), ("lake", site.lake())];
    for (base, file) in files {
        let place = places.iter().find(|(_, directory)| directory == base);
        let path = file.strip_prefix(base).ok().and_then(|path| path.to_str());
        let (Some((place, _)), Some(path)) = (place, path) else {
            let message = format!("{} is no file of previews/ or lake/", file.display());
            return Err(ArchiveFault::Damaged(message));
        };
        insert.execute(params![place, path])?;
    }
    Ok(())
}

/// Deletes the recorded files, and returns the number of deleted files.
///
/// # Errors
/// Returns the engine's error. A file that cannot be deleted stays recorded.
pub(crate) fn finish(archive: &mut Archive) -> Result<u64, ArchiveError> {
    let site = archive.site.clone();
    let mut deleted = 0;
    loop {
        let any = archive.read("list files to delete", |c| {
            Ok(c.query_row("SELECT EXISTS (SELECT * FROM deletion)", [], |r| r.get::<bool>(0))?)
        })?;
        if !any {
            return Ok(deleted);
        }
        let (removed, left) =
            archive.write("delete", "delete purged files", |tx| delete_some(tx, &site))?;
        deleted += removed;
        if left {
            return Ok(deleted);
        }
    }
}

/// Deletes some of the recorded files within a write transaction, so that no other process publishes a file of the same name
/// meanwhile. Returns the number of deleted files, and whether a file could not be deleted.
fn delete_some(tx: &Connection, site: &Site) -> Result<(u64, bool), ArchiveFault> {
    let mut select =
        tx.prepare_cached("SELECT place, path FROM deletion ORDER BY 1, 2 LIMIT ?1")?;
    let rows = select.query_map([AT_ONCE], |r| Ok((r.get(0)?, r.get(1)?)))?;
    let noted: Vec<(String, String)> = rows.collect::<EngineResult<_>>()?;
    let mut forget = tx.prepare_cached("DELETE FROM deletion WHERE place = ?1 AND path = ?2")?;
    let (mut removed, mut left) = (0, false);
    for (place, path) in noted {
        let directory = if place == "lake" { site.lake() } else { site.previews() };
        if !is_listed(tx, &place, &path)? {
            match files::remove_below(&directory, &directory.join(&path)) {
                Ok(is_removed) => removed += u64::from(is_removed),
                Err(_) => {
                    left = true;
                    continue;
                }
            }
        }
        forget.execute([&place, &path])?;
    }
    Ok((removed, left))
}

/// Returns true when a table lists a file again.
fn is_listed(tx: &Connection, place: &str, path: &str) -> Result<bool, ArchiveFault> {
    if place == "previews" {
        let shown = "SELECT EXISTS (SELECT * FROM preview_all WHERE path = ?1)";
        return Ok(tx.query_row(shown, [path], |r| r.get(0))?);
    }
    let Some(sqlite) = tx.sqlite() else { return Ok(false) };
    let name = path.strip_prefix(lake::TABLE_PATH).unwrap_or(path);
    let published = "SELECT EXISTS (SELECT 1 FROM ducklake_data_file WHERE path = ?1
                         UNION ALL SELECT 1 FROM ducklake_delete_file WHERE path = ?1)";
    Ok(sqlite.query_row(published, [name], |r| r.get(0))?)
}
