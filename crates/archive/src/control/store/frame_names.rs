//! Files of one frame: images of a delivery whose names differ in FITS and compression endings alone.
//!
//! The later of them supersedes the earlier as newer content of its own name does: the catalogue goes to it, and rounds are opened for it alone.
//! Start at [`supersede`]. What an earlier file has in the archive shows until the later one has it ([`super::products`]).

use super::products::UPDATED_AT_ONCE;
use super::{findings, refusals};
use crate::control::records::{Cause, Timestamp};
use crate::engine::Connection;
use crate::error::ArchiveFault;
use model::frame_name;
use std::collections::BTreeMap;

/// The condition that a row of `file` is the latest content of its name: it is current, or a file of another name superseded it.
pub(crate) const LATEST_OF_NAME: &str =
    "(SELECT successor.name FROM file AS successor WHERE successor.file_id = file.superseded_by)
    IS DISTINCT FROM file.name";

/// Marks images of a delivery as superseded by those of the same frame that were registered after them. Returns the superseded files.
pub(super) fn supersede(tx: &Connection, delivery: i64) -> Result<Vec<i64>, ArchiveFault> {
    let mut select = tx.prepare_cached(
        "SELECT frame_name, file_id FROM file
         WHERE delivery_id = ?1 AND state = 'current' AND kind = 'image' ORDER BY frame_name, file_id",
    )?;
    let rows = select.query_map([delivery], |r| Ok((r.get(0)?, r.get(1)?)))?;
    let files: Vec<(String, i64)> = rows.collect::<Result<_, _>>()?;
    let mut update = tx.prepare_cached(
        "UPDATE file SET state = 'superseded', superseded_by = ?2 WHERE file_id = ?1",
    )?;
    let mut superseded = Vec::new();
    for pair in files.windows(2) {
        let [(older_frame, older), (newer_frame, newer)] = pair else { continue };
        if older_frame == newer_frame {
            update.execute([older, newer])?;
            superseded.push(*older);
        }
    }
    Ok(superseded)
}

/// Drops what is open about files that a later file of their frame superseded. Returns the number of resolved refusals.
pub(super) fn close(
    tx: &Connection,
    delivery: i64,
    superseded: &[i64],
    now: Timestamp,
) -> Result<u64, ArchiveFault> {
    let cause = Cause::new("register", "the same frame arrived under another file name");
    let mut resolved = 0;
    for file in superseded {
        resolved += refusals::resolve_file(tx, *file, &cause, now)?;
        tx.prepare_cached("DELETE FROM redo WHERE file_id = ?1 AND unit_id IS NULL")?
            .execute([file])?;
    }
    if !superseded.is_empty() {
        findings::forget(tx, delivery, None, &superseded.iter().copied().collect())?;
    }
    Ok(resolved)
}

/// Names the frames of the files of an archive that is older than the column.
pub(super) fn adopt(tx: &Connection) -> Result<(), ArchiveFault> {
    let mut select = tx.prepare("SELECT file_id, name FROM file WHERE frame_name = ''")?;
    let rows = select.query_map([], |r| Ok((r.get(0)?, r.get::<String>(1)?)))?;
    // The name of a frame is the beginning of a file's name: there are as many statements as there are lengths, times some.
    let mut by_length: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
    for row in rows {
        let (file, name): (i64, String) = row?;
        by_length.entry(frame_name(&name).chars().count()).or_default().push(file);
    }
    for (length, files) in by_length {
        for some in files.chunks(UPDATED_AT_ONCE) {
            let list: Vec<String> = some.iter().map(i64::to_string).collect();
            tx.execute(
                &format!(
                    "UPDATE file SET frame_name = substr(name, 1, {length}) WHERE file_id IN ({})",
                    list.join(", ")
                ),
                [],
            )?;
        }
    }
    Ok(())
}
