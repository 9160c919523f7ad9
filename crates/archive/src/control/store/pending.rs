//! Metadata that wait for detections. What a frame says of its catalogue changes in the event that publishes that catalogue's
//! detections: a reader never joins the detections of one version of a catalogue with the zero points of another.
//!
//! A metadata round is made for every new version of a catalogue, before the catalogue itself. Where detections of another
//! version are published, the rows of the round are stored as ended in the event that began them, and the table
//! `pending_metadata` names them ([`hold_back`]). The publication of the detections copies them into its own event
//! ([`release`]). When the catalogue is refused, the rows wait for its next version, and what the frame says still describes
//! the detections that are current.

use super::products::{self, tables_of};
use crate::engine::Connection;
use crate::error::ArchiveFault;
use crate::metadata::definition::{quoted, versioned};
use model::{EventId, UseCase};
use rusqlite::params;
use std::collections::{BTreeMap, BTreeSet};

/// Tables with a row per detector that has values of its catalogue. All others describe the frame as a whole.
const OF_DETECTOR: [&str; 2] = ["multiframe_detector_all", "astrometry_all"];

/// The part of a frame that is no detector, in `pending_metadata.ext_num`.
const WHOLE_FRAME: i64 = 0;

/// Published detections of the images of a set, which is a query for `multiframe_id`: image, detector and version. Images
/// without published metadata have none that a join finds.
fn published_versions(of: &str) -> String {
    format!(
        "SELECT DISTINCT detector_rows.multiframe_id, detector_rows.ext_num, detector_rows.version
         FROM detector_rows JOIN product_detector AS held ON held.multiframe_id = detector_rows.multiframe_id
             AND held.ext_num = detector_rows.ext_num AND held.state <> 'retracted'
             JOIN product AS described ON described.multiframe_id = detector_rows.multiframe_id
             AND described.use_case = 'metadata' AND described.state <> 'retracted'
         WHERE detector_rows.end_event IS NOT DISTINCT FROM held.ended_event
             AND detector_rows.multiframe_id IN ({of})"
    )
}

/// Versions of the published detections, by image and detector.
type Versions = BTreeMap<i64, BTreeMap<i64, i64>>;

fn versions(tx: &Connection, of: &str, id: i64) -> Result<Versions, ArchiveFault> {
    let mut select = tx.prepare_cached(&published_versions(of))?;
    let rows = select.query_map([id], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
    let mut found = Versions::new();
    for row in rows {
        let (multiframe, ext_num, version): (i64, i64, i64) = row?;
        found.entry(multiframe).or_default().insert(ext_num, version);
    }
    Ok(found)
}

/// Ends the rows that a metadata round has just begun, and opens the earlier ones, where the detections that are published
/// come from another version of the catalogue. Returns the frames that keep their metadata as a whole.
///
/// `done` is a query for the images of the round `unit` that were done, in which `?1` is the round. The current rows that the
/// round replaces have been ended by `event`.
pub(super) fn hold_back(
    tx: &Connection,
    (unit, done): (i64, &str),
    event: EventId,
) -> Result<BTreeSet<i64>, ArchiveFault> {
    tx.execute(&format!("DELETE FROM pending_metadata WHERE multiframe_id IN ({done})"), [unit])?;
    let mut frames = BTreeSet::new();
    let published = versions(tx, done, unit)?;
    if published.is_empty() {
        return Ok(frames);
    }
    let mut select = tx.prepare_cached(
        "SELECT multiframe_id, catalogue_version FROM task JOIN task_input USING (task_id)
         WHERE unit_id = ?1 AND outcome = 'done'",
    )?;
    let rows = select.query_map([unit], |r| Ok((r.get(0)?, r.get(1)?)))?;
    for row in rows {
        let (multiframe, read): (i64, Option<i64>) = row?;
        let Some(detectors) = published.get(&multiframe) else { continue };
        if detectors.values().max().copied() == read {
            let others = detectors.iter().filter(|(_, version)| Some(**version) != read);
            for (&ext_num, _) in others {
                hold_part(tx, multiframe, Some(ext_num), event)?;
                note(tx, (multiframe, ext_num), read, event)?;
            }
            continue;
        }
        hold_part(tx, multiframe, None, event)?;
        note(tx, (multiframe, WHOLE_FRAME), read, event)?;
        for ext_num in detectors_of(tx, multiframe, event)? {
            note(tx, (multiframe, ext_num), read, event)?;
        }
        frames.insert(multiframe);
    }
    Ok(frames)
}

/// Ends the rows that an event began of a frame or one of its detectors, and opens those that it ended.
fn hold_part(
    tx: &Connection,
    multiframe: i64,
    ext_num: Option<i64>,
    event: EventId,
) -> Result<(), ArchiveFault> {
    let tables = tables_of(UseCase::Metadata);
    for table in tables.iter().filter(|t| ext_num.is_none() || OF_DETECTOR.contains(&t.as_str())) {
        let name = quoted(table);
        let is_mine = match ext_num {
            Some(_) => "multiframe_id = ?1 AND ext_num = ?3",
            None => "multiframe_id = ?1 AND CAST(?3 AS BIGINT) IS NULL",
        };
        let params = params![multiframe, event.get(), ext_num];
        tx.prepare_cached(&format!(
            "UPDATE {name} SET end_event = ?2 WHERE {is_mine} AND begin_event = ?2 AND end_event IS NULL"
        ))?
        .execute(params)?;
        let params = params![multiframe, event.get(), ext_num];
        tx.prepare_cached(&format!(
            "UPDATE {name} SET end_event = NULL WHERE {is_mine} AND begin_event < ?2 AND end_event = ?2"
        ))?
        .execute(params)?;
    }
    Ok(())
}

fn note(
    tx: &Connection,
    (multiframe, ext_num): (i64, i64),
    read: Option<i64>,
    event: EventId,
) -> Result<(), ArchiveFault> {
    tx.prepare_cached(
        "INSERT INTO pending_metadata (multiframe_id, ext_num, event_id, catalogue_version)
         VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![multiframe, ext_num, event.get(), read])?;
    Ok(())
}

fn detectors_of(
    tx: &Connection,
    multiframe: i64,
    event: EventId,
) -> Result<Vec<i64>, ArchiveFault> {
    let mut select = tx.prepare_cached(
        "SELECT ext_num FROM multiframe_detector_all WHERE multiframe_id = ?1 AND begin_event = ?2",
    )?;
    let rows = select.query_map([multiframe, event.get()], |r| r.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Publishes, in an event, the metadata of a round's images that waited for the detections that are published now.
///
/// `accepted` are the images whose catalogues the event publishes, with their versions: an empty catalogue has no rows that
/// tell. Returns the rows per table.
pub(super) fn release(
    tx: &Connection,
    (unit, of_round): (i64, &str),
    accepted: &BTreeMap<i64, i64>,
    event: EventId,
) -> Result<Vec<(String, u64)>, ArchiveFault> {
    let waiting = waiting(tx, of_round, unit)?;
    let mut rows: BTreeMap<String, u64> = BTreeMap::new();
    if waiting.is_empty() {
        return Ok(Vec::new());
    }
    let published = versions(tx, of_round, unit)?;
    let none = BTreeMap::new();
    for (multiframe, parts) in waiting {
        let detectors = published.get(&multiframe).unwrap_or(&none);
        let newest = accepted.get(&multiframe).or_else(|| detectors.values().max()).copied();
        let is_due = |ext_num: i64, read: Option<i64>| {
            let version = match ext_num {
                WHOLE_FRAME => newest,
                // A detector without detections goes with its frame.
                _ => detectors.get(&ext_num).copied().or(newest),
            };
            read.is_some() && version == read
        };
        let due: BTreeMap<i64, i64> = parts
            .into_iter()
            .filter(|&(ext_num, (_, read))| is_due(ext_num, read))
            .map(|(ext_num, (stored, _))| (ext_num, stored))
            .collect();
        if !due.is_empty() {
            release_frame(tx, multiframe, &due, event, &mut rows)?;
        }
    }
    Ok(rows.into_iter().collect())
}

/// Parts of frames that wait: by frame and detector, the event that stored them and the version of their catalogue.
type Waiting = BTreeMap<i64, BTreeMap<i64, (i64, Option<i64>)>>;

/// Lists what waits of images whose metadata are published.
fn waiting(tx: &Connection, of: &str, id: i64) -> Result<Waiting, ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT pending_metadata.multiframe_id, ext_num, event_id, catalogue_version
         FROM pending_metadata JOIN product ON product.multiframe_id = pending_metadata.multiframe_id
             AND product.use_case = 'metadata' AND product.state <> 'retracted'
         WHERE pending_metadata.multiframe_id IN ({of})"
    ))?;
    let rows = select.query_map([id], |r| Ok(((r.get(0)?, r.get(1)?), (r.get(2)?, r.get(3)?))))?;
    let mut found = Waiting::new();
    for row in rows {
        let ((multiframe, ext_num), stored) = row?;
        found.entry(multiframe).or_default().insert(ext_num, stored);
    }
    Ok(found)
}

/// Begins all metadata of a frame anew in an event: the parts that are due from what waits, the others as they are.
fn release_frame(
    tx: &Connection,
    multiframe: i64,
    due: &BTreeMap<i64, i64>,
    event: EventId,
    rows: &mut BTreeMap<String, u64>,
) -> Result<(), ArchiveFault> {
    let ended: Option<i64> = tx
        .prepare_cached(
            "SELECT ended_event FROM product WHERE multiframe_id = ?1 AND use_case = 'metadata'",
        )?
        .query_row([multiframe], |r| r.get(0))?;
    let ended = ended.unwrap_or(event.get());
    for table in versioned().filter(|t| t.name != "preview") {
        let all = format!("{}_all", table.name);
        let name = quoted(&all);
        tx.prepare_cached(&format!(
            "UPDATE {name} SET end_event = ?2 WHERE multiframe_id = ?1 AND end_event IS NULL"
        ))?
        .execute([multiframe, event.get()])?;
        let columns: Vec<String> = table.columns.iter().map(|c| quoted(&c.name)).collect();
        let columns = columns.join(", ");
        let copy = |condition: &str| {
            format!(
                "INSERT INTO {name} ({columns}, begin_event) SELECT {columns}, CAST(?2 AS BIGINT) FROM {name}
                 WHERE multiframe_id = ?1 AND {condition}"
            )
        };
        let is_stored = "begin_event = ?3 AND end_event = ?3";
        let is_shown = "end_event = ?3 AND begin_event < ?2";
        let mut count = 0;
        if OF_DETECTOR.contains(&all.as_str()) {
            let listed: Vec<String> = due.keys().map(i64::to_string).collect();
            let others = format!("{is_shown} AND ext_num NOT IN ({})", listed.join(", "));
            count += tx.execute(&copy(&others), params![multiframe, event.get(), ended])?;
            let mut one = tx.prepare_cached(&copy(&format!("{is_stored} AND ext_num = ?4")))?;
            for (ext_num, stored) in due {
                count += one.execute(params![multiframe, event.get(), stored, ext_num])?;
            }
        } else {
            let (condition, of) = match due.get(&WHOLE_FRAME) {
                Some(stored) => (is_stored, *stored),
                None => (is_shown, ended),
            };
            count += tx.prepare_cached(&copy(condition))?.execute(params![
                multiframe,
                event.get(),
                of
            ])?;
        }
        *rows.entry(table.name.clone()).or_default() += count as u64;
    }
    products::publish(tx, std::iter::once(multiframe), UseCase::Metadata, event)?;
    let mut delete = tx
        .prepare_cached("DELETE FROM pending_metadata WHERE multiframe_id = ?1 AND ext_num = ?2")?;
    for ext_num in due.keys() {
        delete.execute([multiframe, *ext_num])?;
    }
    Ok(())
}

/// Forgets what waits of a round's images, whose rows are deleted.
pub(super) fn forget(tx: &Connection, unit: i64, of_round: &str) -> Result<(), ArchiveFault> {
    tx.execute(&format!("DELETE FROM pending_metadata WHERE {of_round}"), [unit])?;
    Ok(())
}
