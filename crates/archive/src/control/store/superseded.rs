//! Ending the rows of multiframes that newer content replaced, once that content is visible: of the same delivery, or of a
//! later processing of the same night.

use super::detections::Changes;
use crate::engine::Connection;
use crate::error::ArchiveFault;
use crate::lake::DetectorKey;
use crate::metadata::definition::{quoted, versioned};
use crate::provider;
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

/// Multiframes that still have current rows while newer content of their name is visible: older contents of the delivery,
/// and frames of its night in deliveries of an earlier version than one that shows a frame of the same name and survey.
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
    let mut candidates: Vec<i64> =
        select.query_map([delivery], |r| r.get(0))?.collect::<Result<_, _>>()?;
    let processings = processings(tx, delivery)?;
    let mut select = tx.prepare_cached(
        "SELECT old.multiframe_id
         FROM file AS new_file JOIN image AS new ON new.file_id = new_file.file_id
             JOIN file AS old_file ON old_file.delivery_id = ?1 AND old_file.name = new_file.name
                 AND coalesce(old_file.survey, '') = coalesce(new_file.survey, '')
             JOIN image AS old ON old.file_id = old_file.file_id
         WHERE new_file.delivery_id = ?2 AND new_file.state = 'current'
             AND EXISTS (SELECT * FROM multiframe_all AS seen
                         WHERE seen.multiframe_id = new.multiframe_id AND seen.end_event IS NULL)",
    )?;
    for (place, newer) in processings.iter().enumerate() {
        for older in &processings[..place] {
            if delivery == *older || delivery == *newer {
                let rows = select.query_map([*older, *newer], |r| r.get(0))?;
                candidates.extend(rows.collect::<Result<Vec<i64>, _>>()?);
            }
        }
    }
    candidates.sort_unstable();
    candidates.dedup();
    let mut overdue = Vec::new();
    for multiframe in candidates {
        if has_rows(tx, multiframe)? {
            overdue.push(multiframe);
        }
    }
    Ok(overdue)
}

/// The deliveries of the same night and provider, oldest processing first: by version, numbers in it as numbers, then by
/// registration. One without night or version stands for itself. Two deliveries of one version are no processings of each other.
pub(super) fn processings(c: &Connection, delivery: i64) -> Result<Vec<i64>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT other.delivery_id, other.version FROM delivery AS own
             JOIN delivery AS other ON other.night = own.night AND other.version IS NOT NULL
         WHERE own.delivery_id = ?1 AND own.version IS NOT NULL
             AND (other.delivery_id = own.delivery_id OR other.version <> own.version)",
    )?;
    let rows = select.query_map([delivery], |r| Ok((r.get(0)?, r.get(1)?)))?;
    let mut found: Vec<(i64, String)> = rows.collect::<Result<_, _>>()?;
    found.sort_by_key(|(id, version)| (version_key(version), *id));
    let mut processings = Vec::new();
    for (id, _) in found {
        if provider::is_same(c, delivery, id)? {
            processings.push(id);
        }
    }
    Ok(processings)
}

/// `10.2b` in pieces of a number and a text each, so that 10 comes after 9.
fn version_key(version: &str) -> Vec<(u64, String)> {
    let mut key: Vec<(u64, String)> = Vec::new();
    for c in version.chars() {
        let is_new = key.last().is_none_or(|(_, text)| !text.is_empty() && c.is_ascii_digit());
        if is_new {
            key.push((0, String::new()));
        }
        if let Some((number, text)) = key.last_mut() {
            match c.to_digit(10).filter(|_| text.is_empty()) {
                Some(digit) => *number = number.saturating_mul(10).saturating_add(digit.into()),
                None => text.push(c),
            }
        }
    }
    key
}

/// Current frames of earlier processings of a delivery's night that have no successor in it: delivery and file.
pub(super) fn without_successor(
    c: &Connection,
    delivery: i64,
) -> Result<Vec<(String, String)>, ArchiveFault> {
    let processings = processings(c, delivery)?;
    let earlier = processings.iter().take_while(|id| **id != delivery);
    let mut select = c.prepare_cached(
        "SELECT delivery.name, old_file.name
         FROM file AS old_file JOIN delivery USING (delivery_id) JOIN image USING (file_id)
         WHERE old_file.delivery_id = ?1 AND old_file.state = 'current'
             AND EXISTS (SELECT * FROM file AS any_file WHERE any_file.delivery_id = ?2
                             AND coalesce(any_file.survey, '') = coalesce(old_file.survey, ''))
             AND NOT EXISTS (SELECT * FROM file AS new_file
                             WHERE new_file.delivery_id = ?2 AND new_file.name = old_file.name
                                 AND new_file.state = 'current' AND new_file.kind = 'image')
             AND EXISTS (SELECT * FROM multiframe_all AS seen
                         WHERE seen.multiframe_id = image.multiframe_id AND seen.end_event IS NULL)
         ORDER BY old_file.name",
    )?;
    let mut found = Vec::new();
    for older in earlier {
        let rows = select.query_map([*older, delivery], |r| Ok((r.get(0)?, r.get(1)?)))?;
        found.extend(rows.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(found)
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

#[cfg(test)]
mod tests {
    use super::version_key;

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        let mut versions = ["10", "2", "1.10", "1.9", "1", "2b", "2a"];
        versions.sort_by_key(|v| version_key(v));
        assert_eq!(versions, ["1", "1.9", "1.10", "2", "2a", "2b", "10"]);
    }
}
