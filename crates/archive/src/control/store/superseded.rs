//! Ending the rows of multiframes that newer content replaced, once that content is visible.

use super::detections::Changes;
use crate::engine::Connection;
use crate::error::ArchiveFault;
use crate::lake::DetectorKey;
use crate::metadata::definition::{quoted, versioned};
use model::EventId;
use rusqlite::params;

/// Ends the current rows of a multiframe in the tables that a condition picks.
pub(super) fn end_rows(
    tx: &Connection,
    multiframe: i64,
    event: EventId,
    tables: &dyn Fn(&str) -> bool,
) -> Result<u64, ArchiveFault> {
    let mut ended = 0;
    for table in versioned().filter(|t| tables(&t.name)) {
        let update = format!(
            "UPDATE {} SET end_event = ?2 WHERE multiframe_id = ?1 AND end_event IS NULL",
            quoted(&format!("{}_all", table.name))
        );
        ended += tx.prepare_cached(&update)?.execute(params![multiframe, event.get()])? as u64;
    }
    Ok(ended)
}

/// Detectors of a multiframe that have current detections.
pub(super) fn current_detectors(
    tx: &Connection,
    multiframe: i64,
) -> Result<Vec<DetectorKey>, ArchiveFault> {
    let mut select = tx.prepare_cached(
        "SELECT DISTINCT ext_num FROM detector_rows WHERE multiframe_id = ?1 AND end_event IS NULL",
    )?;
    let rows = select.query_map([multiframe], |r| {
        Ok(DetectorKey { multiframe_id: multiframe, ext_num: r.get(0)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Multiframes of a delivery that still have current rows while newer content of their name is visible.
pub(super) fn overdue(tx: &Connection, delivery: i64) -> Result<Vec<i64>, ArchiveFault> {
    let mut select = tx.prepare_cached(
        "SELECT old.multiframe_id
         FROM file AS old_file JOIN image AS old ON old.file_id = old_file.file_id
             JOIN file AS new_file ON new_file.delivery_id = old_file.delivery_id AND new_file.name = old_file.name
                 AND new_file.state = 'current'
             JOIN image AS new ON new.file_id = new_file.file_id
         WHERE old_file.delivery_id = ?1 AND old_file.state = 'superseded'
             AND EXISTS (SELECT * FROM multiframe_all AS seen
                         WHERE seen.multiframe_id = new.multiframe_id AND seen.end_event IS NULL)",
    )?;
    let candidates: Vec<i64> =
        select.query_map([delivery], |r| r.get(0))?.collect::<Result<_, _>>()?;
    let mut overdue = Vec::new();
    for multiframe in candidates {
        if has_rows(tx, multiframe)? {
            overdue.push(multiframe);
        }
    }
    Ok(overdue)
}

fn has_rows(tx: &Connection, multiframe: i64) -> Result<bool, ArchiveFault> {
    for table in versioned() {
        let select = format!(
            "SELECT EXISTS (SELECT * FROM {} WHERE multiframe_id = ?1 AND end_event IS NULL)",
            quoted(&format!("{}_all", table.name))
        );
        if tx.prepare_cached(&select)?.query_row([multiframe], |r| r.get(0))? {
            return Ok(true);
        }
    }
    Ok(!current_detectors(tx, multiframe)?.is_empty())
}

/// Ends everything of some multiframes: metadata rows and detections.
pub(super) fn end_all(
    tx: &Connection,
    multiframes: &[i64],
    event: EventId,
    changes: &mut Changes<'_>,
) -> Result<(), ArchiveFault> {
    let mut detectors = Vec::new();
    for &multiframe in multiframes {
        end_rows(tx, multiframe, event, &|_| true)?;
        detectors.extend(current_detectors(tx, multiframe)?);
    }
    changes.end_detectors(&detectors)?;
    Ok(())
}
