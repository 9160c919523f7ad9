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
use std::collections::BTreeMap;

/// Tables with a row per detector that has values of its catalogue. All others describe the frame as a whole.
const OF_DETECTOR: [&str; 2] = ["multiframe_detector_all", "astrometry_all"];

/// The part of a frame that is no detector, in `pending_metadata.ext_num`.
const WHOLE_FRAME: i64 = 0;

/// Versions of the detections of images with published metadata, by image and detector.
type Versions = BTreeMap<i64, BTreeMap<i64, i64>>;

/// Loads the versions of the detections of some images; `of` is a query for them in which `?1` is `id`. Retracted detections may
/// come back.
fn versions(
    tx: &Connection,
    (id, of): (i64, &str),
    with_retracted: bool,
) -> Result<Versions, ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT held.multiframe_id, held.ext_num, held.version
         FROM product_detector AS held JOIN product AS described ON described.multiframe_id = held.multiframe_id
             AND described.use_case = 'metadata' AND described.state <> 'retracted'
         WHERE (held.state <> 'retracted' OR CAST(?2 AS BIGINT) = 1) AND held.multiframe_id IN ({of})"
    ))?;
    let rows = select
        .query_map([id, i64::from(with_retracted)], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
    let mut found = Versions::new();
    for row in rows {
        let (multiframe, ext_num, version): (i64, i64, i64) = row?;
        found.entry(multiframe).or_default().insert(ext_num, version);
    }
    Ok(found)
}

/// The version of a catalogue in `pending_metadata` when metadata were read without one.
const NO_CATALOGUE: i64 = 0;

/// Ends the rows that a metadata round has just begun, and opens the earlier ones, where the archive has detections of another
/// version of the catalogue, retracted ones included.
///
/// `done` is a query for the images of the round `unit` that were done, in which `?1` is the round. The current rows that the
/// round replaces have been ended by `event`.
pub(super) fn hold_back(
    tx: &Connection,
    (unit, done): (i64, &str),
    event: EventId,
) -> Result<(), ArchiveFault> {
    let mut select = tx.prepare_cached(
        "SELECT multiframe_id, catalogue_version FROM task JOIN task_input USING (task_id)
         WHERE unit_id = ?1 AND outcome = 'done'",
    )?;
    let rows = select
        .query_map([unit], |r| Ok((r.get(0)?, r.get::<Option<i64>>(1)?.unwrap_or(NO_CATALOGUE))))?;
    let read: BTreeMap<i64, i64> = rows.collect::<Result<_, _>>()?;
    let mut select = tx.prepare_cached(&format!(
        "SELECT DISTINCT multiframe_id FROM pending_metadata WHERE multiframe_id IN ({done})"
    ))?;
    let rows = select.query_map([unit], |r| r.get(0))?;
    for multiframe in rows.collect::<Result<Vec<i64>, _>>()? {
        // They are read anew; those of a newer catalogue wait as before.
        if let Some(version) = read.get(&multiframe) {
            forget_parts(tx, multiframe, None, *version)?;
        }
    }
    for (&multiframe, detectors) in &versions(tx, (unit, done), true)? {
        let Some(&read) = read.get(&multiframe) else { continue };
        if detectors.values().max() == Some(&read) {
            for (&ext_num, _) in detectors.iter().filter(|(_, version)| **version != read) {
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
    }
    Ok(())
}

/// Forgets what waits of a frame, or of one of its detectors, of versions of its catalogue up to one.
fn forget_parts(
    tx: &Connection,
    multiframe: i64,
    ext_num: Option<i64>,
    up_to: i64,
) -> Result<(), ArchiveFault> {
    tx.prepare_cached(
        "DELETE FROM pending_metadata WHERE multiframe_id = ?1 AND catalogue_version <= ?2
             AND (CAST(?3 AS BIGINT) IS NULL OR ext_num = ?3)",
    )?
    .execute(params![multiframe, up_to, ext_num])?;
    Ok(())
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
    version: i64,
    event: EventId,
) -> Result<(), ArchiveFault> {
    tx.prepare_cached(
        "INSERT INTO pending_metadata (multiframe_id, ext_num, catalogue_version, event_id)
         VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![multiframe, ext_num, version, event.get()])?;
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

/// Publishes, in an event, the metadata of a round's images that waited for the detections that are published now. Returns the
/// rows per table.
pub(super) fn release(
    tx: &Connection,
    (unit, of_round): (i64, &str),
    event: EventId,
) -> Result<Vec<(String, u64)>, ArchiveFault> {
    let waiting = waiting(tx, of_round, unit)?;
    let mut rows: BTreeMap<String, u64> = BTreeMap::new();
    if waiting.is_empty() {
        return Ok(Vec::new());
    }
    let published = versions(tx, (unit, of_round), false)?;
    let none = BTreeMap::new();
    for (multiframe, parts) in waiting {
        let detectors = published.get(&multiframe).unwrap_or(&none);
        let Some(newest) = detectors.values().max() else { continue };
        let due: BTreeMap<i64, Stored> = parts
            .into_iter()
            .filter_map(|(ext_num, stored)| {
                // A detector without detections goes with its frame.
                let version = *detectors.get(&ext_num).unwrap_or(newest);
                Some((ext_num, Stored { event: *stored.get(&version)?, version }))
            })
            .collect();
        if !due.is_empty() {
            release_frame(tx, multiframe, &due, event, &mut rows)?;
        }
    }
    Ok(rows.into_iter().collect())
}

/// Publishes, in an event, the earlier metadata of a round's images whose detections of an earlier version came back. Metadata
/// that were published without detections, since these were retracted, describe a later version. Returns the rows per table.
pub(super) fn bring_back(
    tx: &Connection,
    (unit, of_round): (i64, &str),
    event: EventId,
) -> Result<Vec<(String, u64)>, ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT held.multiframe_id, held.cat_version
         FROM multiframe_all AS held JOIN product ON product.multiframe_id = held.multiframe_id
             AND product.use_case = 'metadata' AND product.state <> 'retracted'
         WHERE held.end_event IS NOT DISTINCT FROM product.ended_event AND held.multiframe_id IN ({of_round})"
    ))?;
    let described = select.query_map([unit], |r| Ok((r.get(0)?, r.get(1)?)))?;
    let described: BTreeMap<i64, Option<i64>> = described.collect::<Result<_, _>>()?;
    let mut latest = tx.prepare_cached(
        "SELECT max(begin_event) FROM multiframe_all WHERE multiframe_id = ?1 AND cat_version = ?2",
    )?;
    let mut rows: BTreeMap<String, u64> = BTreeMap::new();
    for (multiframe, detectors) in versions(tx, (unit, of_round), false)? {
        let Some(&version) = detectors.values().max() else { continue };
        if described.get(&multiframe).is_none_or(|described| *described == Some(version)) {
            continue;
        }
        let stored: Option<i64> = latest.query_row([multiframe, version], |r| r.get(0))?;
        let Some(stored) = stored else { continue };
        let parts = detectors_of(tx, multiframe, super::history::event_id(stored)?)?;
        let due = std::iter::once(WHOLE_FRAME)
            .chain(parts)
            .map(|ext_num| (ext_num, Stored { event: stored, version }))
            .collect();
        release_frame(tx, multiframe, &due, event, &mut rows)?;
    }
    Ok(rows.into_iter().collect())
}

/// Rows that wait for the detections of a version of a catalogue, or that described them once.
#[derive(Clone, Copy, Debug)]
struct Stored {
    /// The event that stored them.
    event: i64,
    version: i64,
}

/// Parts of frames that wait: by frame and detector, for each version of the catalogue the event that stored them.
type Waiting = BTreeMap<i64, BTreeMap<i64, BTreeMap<i64, i64>>>;

/// Lists what waits of images whose metadata are published.
fn waiting(tx: &Connection, of: &str, id: i64) -> Result<Waiting, ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT pending_metadata.multiframe_id, ext_num, catalogue_version, event_id
         FROM pending_metadata JOIN product ON product.multiframe_id = pending_metadata.multiframe_id
             AND product.use_case = 'metadata' AND product.state <> 'retracted'
         WHERE pending_metadata.multiframe_id IN ({of})"
    ))?;
    let rows =
        select.query_map([id], |r| Ok([r.get(0)?, r.get(1)?, r.get(2)?, r.get::<i64>(3)?]))?;
    let mut found = Waiting::new();
    for row in rows {
        let [multiframe, ext_num, version, event] = row?;
        found.entry(multiframe).or_default().entry(ext_num).or_default().insert(version, event);
    }
    Ok(found)
}

/// Begins all metadata of a frame anew in an event: the parts that are due from what waits, the others as they are.
fn release_frame(
    tx: &Connection,
    multiframe: i64,
    due: &BTreeMap<i64, Stored>,
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
        let is_stored = "begin_event = ?3";
        let is_shown = "end_event = ?3 AND begin_event < ?2";
        let mut count = 0;
        if OF_DETECTOR.contains(&all.as_str()) {
            let listed: Vec<String> = due.keys().map(i64::to_string).collect();
            let others = format!("{is_shown} AND ext_num NOT IN ({})", listed.join(", "));
            count += tx.execute(&copy(&others), params![multiframe, event.get(), ended])?;
            let mut one = tx.prepare_cached(&copy(&format!("{is_stored} AND ext_num = ?4")))?;
            for (ext_num, stored) in due {
                count += one.execute(params![multiframe, event.get(), stored.event, ext_num])?;
            }
        } else {
            let (condition, of) = match due.get(&WHOLE_FRAME) {
                Some(stored) => (is_stored, stored.event),
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
    for (&ext_num, stored) in due {
        forget_parts(tx, multiframe, Some(ext_num), stored.version)?;
    }
    Ok(())
}

/// Forgets what waits of a round's images, whose rows are deleted.
pub(super) fn forget(tx: &Connection, unit: i64, of_round: &str) -> Result<(), ArchiveFault> {
    tx.execute(&format!("DELETE FROM pending_metadata WHERE {of_round}"), [unit])?;
    Ok(())
}
