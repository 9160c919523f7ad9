//! Files of the library, and the results of the checks of their bytes.

use super::frame_names::LATEST_OF_NAME;
use super::time::text_of;
use crate::control::records::{Holding, Soundness, Timestamp};
use crate::error::ArchiveFault;
use engine::Connection;
use rusqlite::params;

/// Implements [`crate::Holdings::holdings`].
pub(super) fn list(c: &Connection, delivery: Option<&str>) -> Result<Vec<Holding>, ArchiveFault> {
    let mut select = c.prepare_cached(&format!(
        "SELECT file.file_id, delivery.name, file.name, file.path, file.bytes, file.modified_ns, file.sha256,
             {LATEST_OF_NAME}, scrub.outcome
         FROM file JOIN delivery USING (delivery_id) LEFT JOIN scrub ON scrub.file_id = file.file_id
         WHERE CAST(?1 AS TEXT) IS NULL OR delivery.name = ?1
         ORDER BY coalesce(scrub.checked, ''), file.file_id"
    ))?;
    let rows = select.query_map([delivery], |r| {
        Ok(Holding {
            file_id: r.get(0)?,
            delivery: r.get(1)?,
            name: r.get(2)?,
            path: r.get(3)?,
            bytes: r.get(4)?,
            modified_ns: r.get(5)?,
            sha256: r.get(6)?,
            is_current: r.get(7)?,
            soundness: r.get::<Option<String>>(8)?.as_deref().and_then(Soundness::named),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Implements [`crate::Holdings::note_soundness`].
pub(super) fn note(
    tx: &Connection,
    found: &[(i64, Soundness)],
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    for (file, soundness) in found {
        tx.prepare_cached(
            "INSERT INTO scrub (file_id, checked, outcome) VALUES (?1, ?2, ?3)
             ON CONFLICT (file_id) DO UPDATE SET checked = excluded.checked, outcome = excluded.outcome",
        )?
        .execute(params![file, text_of(now), soundness.name()])?;
    }
    Ok(())
}
