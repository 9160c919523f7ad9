//! Taking a delivery's rounds out of the archive, and bringing them back.
//!
//! A retraction ends the rows that are current of the delivery and writes one event; nothing is deleted or copied, so it
//! takes as long as the delivery is large, whatever the archive's size, and no reader waits for it. Its undo opens the same
//! rows again and notes the span in which they did not show. What the delivery had superseded shows again meanwhile.

use super::detections::Changes;
use super::history::{self, Act};
use super::registration::delivery_id;
use super::rounds::{UNIT_COLUMNS, Unit, unit_of};
use super::superseded::{end_all, overdue};
use super::time::text_of;
use crate::control::records::*;
use crate::engine::{Connection, Optional};
use crate::error::ArchiveFault;
use crate::lake::DetectorKey;
use crate::metadata::definition::{quoted, versioned};
use crate::metadata::links;
use crate::partitions;
use crate::site::Site;
use model::{EventId, UnitState, UseCase, preview_name};
use rusqlite::params;
use std::path::PathBuf;

/// Images of a delivery, whatever their content is now.
const OF_DELIVERY: &str = "multiframe_id IN (SELECT multiframe_id FROM image JOIN file USING (file_id) WHERE delivery_id = ?1)";

/// The use cases that go with some: detections and previews refer to metadata.
fn with_dependents(use_cases: &[UseCase]) -> Vec<UseCase> {
    let all = use_cases.is_empty() || use_cases.contains(&UseCase::Metadata);
    UseCase::ALL.into_iter().filter(|u| all || use_cases.contains(u)).collect()
}

/// Tables of a use case, but for detections.
fn tables_of(use_case: UseCase) -> Vec<String> {
    let is_mine = |name: &str| match use_case {
        UseCase::Preview => name == "preview",
        UseCase::Metadata => name != "preview",
        UseCase::Catalogue => false,
    };
    versioned().filter(|t| is_mine(&t.name)).map(|t| format!("{}_all", t.name)).collect()
}

/// See [`crate::Curation::retract`].
pub(super) fn retract(
    tx: &Connection,
    site: &Site,
    name: &str,
    use_cases: &[UseCase],
    cause: &Cause,
    now: Timestamp,
) -> Result<Retracted, ArchiveFault> {
    let delivery = delivery_id(tx, name)?;
    let use_cases = with_dependents(use_cases);
    let units = units(tx, delivery, UnitState::Ingested, &use_cases)?;
    let Some(first) = units.first() else {
        return Err(ArchiveFault::Conflict(format!("nothing of {name} is in the archive")));
    };
    let event = history::next_event(tx)?;
    history::record_event(tx, event, Act::Retract, Some(first.id), cause, now)?;
    let mut retracted = Retracted { event: Some(event), ..Retracted::default() };
    let mut changes = Changes::begin(tx, site, event, first.id)?;
    for use_case in &use_cases {
        for table in tables_of(*use_case) {
            let ended = tx.execute(
                &format!(
                    "UPDATE {} SET end_event = ?2 WHERE {OF_DELIVERY} AND end_event IS NULL",
                    quoted(&table)
                ),
                params![delivery, event.get()],
            )?;
            retracted.count(&table, ended as u64);
        }
        if *use_case == UseCase::Catalogue {
            let keys = detectors(tx, delivery, "end_event IS NULL", 0)?;
            let ended = changes.end_detectors(&keys)?;
            retracted.count("detection_all", ended);
        }
    }
    files::crash_point("retract:ended");
    for unit in &units {
        history::move_unit(tx, unit, UnitState::Retracted, cause, now)?;
        tx.execute(
            "INSERT INTO retraction (event_id, unit_id) VALUES (?1, ?2)",
            [event.get(), unit.id],
        )?;
        range_state(tx, unit.id, "ingested", "retracted")?;
        retracted.rounds.push(unit.key.clone());
    }
    retracted.shown_again = reopen_predecessors(tx, delivery, &use_cases, event, &mut changes)?;
    if use_cases.contains(&UseCase::Metadata) {
        links::unlink(tx, delivery, event)?;
        links::link(tx, &retracted.shown_again, event)?;
    }
    changes.finish(now, &format!("{name} retracted: {}", cause.why))?;
    end_overdue(tx, site, delivery, first.id, cause, now)?;
    Ok(retracted)
}

/// See [`crate::Curation::restore`].
pub(super) fn restore(
    tx: &Connection,
    site: &Site,
    name: &str,
    use_cases: &[UseCase],
    cause: &Cause,
    now: Timestamp,
) -> Result<Retracted, ArchiveFault> {
    let delivery = delivery_id(tx, name)?;
    let wanted = with_dependents(use_cases);
    let wanted = if use_cases.is_empty() { UseCase::ALL.to_vec() } else { wanted };
    let units = units(tx, delivery, UnitState::Retracted, &wanted)?;
    let mut out: Vec<(Unit, i64)> = Vec::new();
    for unit in units {
        if let Some(event) = open_retraction(tx, unit.id)? {
            out.push((unit, event));
        }
    }
    let Some((first, _)) = out.first() else {
        let message = format!("nothing of {name} is retracted that could come back");
        return Err(ArchiveFault::Conflict(message));
    };
    let refers = out.iter().all(|(unit, _)| unit.key.use_case != UseCase::Metadata);
    if refers && !units_out(tx, delivery)?.is_empty() {
        return Err(ArchiveFault::Conflict(format!(
            "the metadata of {name} are retracted, to which the rest refers: bring them back too"
        )));
    }
    check_free(tx, delivery, &out)?;
    let event = history::next_event(tx)?;
    history::record_event(tx, event, Act::Restore, Some(first.id), cause, now)?;
    let mut changes = Changes::begin(tx, site, event, first.id)?;
    let mut restored = Retracted { event: Some(event), ..Retracted::default() };
    let first = first.id;
    let mut done: Vec<(UseCase, i64)> = Vec::new();
    for (unit, ended_by) in &out {
        let act = (unit.key.use_case, *ended_by);
        if !done.contains(&act) {
            done.push(act);
            let opened =
                reopen(tx, delivery, act, event, &mut changes, &mut restored, OF_DELIVERY)?;
            if unit.key.use_case == UseCase::Metadata {
                links::link(tx, &opened, event)?;
            }
        }
        history::move_unit(tx, unit, UnitState::Ingested, cause, now)?;
        tx.execute(
            "UPDATE retraction SET undone_event = ?3 WHERE event_id = ?1 AND unit_id = ?2",
            [*ended_by, unit.id, event.get()],
        )?;
        range_state(tx, unit.id, "retracted", "ingested")?;
        restored.rounds.push(unit.key.clone());
    }
    changes.finish(now, &format!("{name} restored: {}", cause.why))?;
    end_overdue(tx, site, delivery, first, cause, now)?;
    Ok(restored)
}

fn units(
    tx: &Connection,
    delivery: i64,
    state: UnitState,
    use_cases: &[UseCase],
) -> Result<Vec<Unit>, ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT {UNIT_COLUMNS} FROM unit JOIN delivery USING (delivery_id)
         WHERE unit.delivery_id = ?1 AND unit.state = ?2
         ORDER BY CASE unit.use_case WHEN 'metadata' THEN 1 WHEN 'preview' THEN 2 ELSE 3 END, unit.round"
    ))?;
    let rows = select.query_map(params![delivery, state.name()], unit_of)?;
    let units: Vec<Unit> = rows.collect::<Result<_, _>>()?;
    Ok(units.into_iter().filter(|u| use_cases.contains(&u.key.use_case)).collect())
}

/// Rounds of metadata that are out.
fn units_out(tx: &Connection, delivery: i64) -> Result<Vec<Unit>, ArchiveFault> {
    units(tx, delivery, UnitState::Retracted, &[UseCase::Metadata])
}

/// The event that took a round out, as long as it can come back.
fn open_retraction(tx: &Connection, unit: i64) -> Result<Option<i64>, ArchiveFault> {
    Ok(tx
        .prepare_cached(
            "SELECT event_id FROM retraction WHERE unit_id = ?1 AND undone_event IS NULL AND purged IS NULL
             ORDER BY event_id DESC LIMIT 1",
        )?
        .query_row([unit], |r| r.get(0))
        .optional()?)
}

/// What was ingested since a retraction would be there twice.
fn check_free(tx: &Connection, delivery: i64, out: &[(Unit, i64)]) -> Result<(), ArchiveFault> {
    for (unit, ended_by) in out {
        let newer: Option<u32> = tx
            .prepare_cached(
                "SELECT round FROM unit JOIN batch USING (unit_id)
                 WHERE delivery_id = ?1 AND use_case = ?2 AND state = 'ingested' AND batch.event_id > ?3
                 ORDER BY round LIMIT 1",
            )?
            .query_row(params![delivery, unit.key.use_case.name(), ended_by], |r| r.get(0))
            .optional()?;
        if let Some(round) = newer {
            return Err(ArchiveFault::Conflict(format!(
                "{} round {round} of {} was ingested since: retract that first",
                unit.key.use_case, unit.key.delivery
            )));
        }
    }
    Ok(())
}

fn range_state(tx: &Connection, unit: i64, from: &str, to: &str) -> Result<(), ArchiveFault> {
    tx.execute(
        "UPDATE id_range SET state = ?3 WHERE unit_id = ?1 AND state = ?2",
        params![unit, from, to],
    )?;
    Ok(())
}

/// Detectors of a delivery whose rows fulfil a condition in which `?2` may stand.
fn detectors(
    tx: &Connection,
    delivery: i64,
    condition: &str,
    value: i64,
) -> Result<Vec<DetectorKey>, ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT DISTINCT multiframe_id, ext_num FROM detector_rows WHERE {OF_DELIVERY} AND {condition} AND ?2 >= 0
         ORDER BY 1, 2"
    ))?;
    let rows = select.query_map([delivery, value], |r| {
        Ok(DetectorKey { multiframe_id: r.get(0)?, ext_num: r.get(1)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Opens what an event ended of a use case, for the multiframes that a condition on `?1` picks, and notes the span. Gives
/// those multiframes.
fn reopen(
    tx: &Connection,
    delivery: i64,
    (use_case, ended_by): (UseCase, i64),
    event: EventId,
    changes: &mut Changes<'_>,
    counts: &mut Retracted,
    condition: &str,
) -> Result<Vec<i64>, ArchiveFault> {
    let mut tables = tables_of(use_case);
    if use_case == UseCase::Catalogue {
        tables.push("detector_rows".to_owned());
    }
    let concerned: Vec<String> = tables
        .iter()
        .map(|table| {
            format!(
                "SELECT multiframe_id FROM {} WHERE {condition} AND end_event = ?2 AND begin_event < ?2",
                quoted(table)
            )
        })
        .collect();
    let mut select = tx.prepare(&format!("{} ORDER BY 1", concerned.join(" UNION ")))?;
    let rows = select.query_map([delivery, ended_by], |r| r.get(0))?;
    let multiframes: Vec<i64> = rows.collect::<Result<_, _>>()?;
    for table in tables_of(use_case) {
        let opened = tx.execute(
            &format!(
                "UPDATE {} SET end_event = NULL WHERE {condition} AND end_event = ?2 AND begin_event < ?2",
                quoted(&table)
            ),
            [delivery, ended_by],
        )?;
        counts.count(&table, opened as u64);
    }
    if use_case == UseCase::Catalogue {
        let mut select = tx.prepare_cached(&format!(
            "SELECT DISTINCT multiframe_id, ext_num FROM detector_rows WHERE {condition} AND end_event = ?2 ORDER BY 1, 2"
        ))?;
        let rows = select.query_map([delivery, ended_by], |r| {
            Ok(DetectorKey { multiframe_id: r.get(0)?, ext_num: r.get(1)? })
        })?;
        let keys: Vec<DetectorKey> = rows.collect::<Result<_, _>>()?;
        let opened = changes.reopen_detectors(history::event_id(ended_by)?, &keys)?;
        counts.count("detection_all", opened);
    }
    let mut insert = tx.prepare_cached(
        "INSERT INTO interruption (multiframe_id, use_case, from_event, to_event) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO NOTHING",
    )?;
    for multiframe in &multiframes {
        insert.execute(params![multiframe, use_case.name(), ended_by, event.get()])?;
    }
    Ok(multiframes)
}

/// Frames of other deliveries that this one had superseded show again. Gives their multiframes.
fn reopen_predecessors(
    tx: &Connection,
    delivery: i64,
    use_cases: &[UseCase],
    event: EventId,
    changes: &mut Changes<'_>,
) -> Result<Vec<i64>, ArchiveFault> {
    let mut select = tx.prepare_cached(
        "SELECT event_id FROM event JOIN unit USING (unit_id)
         WHERE delivery_id = ?1 AND act IN ('ingest', 'restore') ORDER BY event_id",
    )?;
    let events: Vec<i64> = select.query_map([delivery], |r| r.get(0))?.collect::<Result<_, _>>()?;
    // Only metadata supersede; a part of a delivery alone keeps its place.
    if !use_cases.contains(&UseCase::Metadata) {
        return Ok(Vec::new());
    }
    let others = format!("NOT {OF_DELIVERY}");
    let mut shown = Vec::new();
    let mut uncounted = Retracted::default();
    for ended_by in events {
        for use_case in UseCase::ALL {
            let act = (use_case, ended_by);
            let opened = reopen(tx, delivery, act, event, changes, &mut uncounted, &others)?;
            shown.extend(opened);
        }
    }
    shown.sort_unstable();
    shown.dedup();
    Ok(shown)
}

/// What is overdue after all ends in an event of its own: a publication cannot end what it opens.
fn end_overdue(
    tx: &Connection,
    site: &Site,
    delivery: i64,
    unit: i64,
    cause: &Cause,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    let mut overdue_now = Vec::new();
    for processing in super::superseded::processings(tx, delivery)?.into_iter().chain([delivery]) {
        overdue_now.extend(overdue(tx, processing)?);
    }
    overdue_now.sort_unstable();
    overdue_now.dedup();
    if overdue_now.is_empty() {
        return Ok(());
    }
    let event = history::next_event(tx)?;
    let cause = Cause::new(cause.who.clone(), "newer images are in the archive");
    history::record_event(tx, event, Act::Ingest, Some(unit), &cause, now)?;
    let mut changes = Changes::begin(tx, site, event, unit)?;
    end_all(tx, &overdue_now, event, &mut changes)?;
    changes.finish(now, &cause.why)
}

/// A file to be removed: the directory that it must lie in, and its path.
type Doomed = (PathBuf, PathBuf);

/// See [`crate::Curation::purge`]. Gives what was deleted, and the files to be removed once that is committed.
pub(super) fn purge(
    tx: &Connection,
    site: &Site,
    name: Option<&str>,
    now: Timestamp,
) -> Result<(Purged, Vec<Doomed>), ArchiveFault> {
    // A fold would bring back what is deleted from under it.
    if tx.server().is_some() && !partitions::keep_from_folding(tx)? {
        return Err(ArchiveFault::Conflict("partitions are being merged: try again".to_owned()));
    }
    let mut purged = Purged::default();
    let (mut previews, mut doomed) = (Vec::new(), Vec::new());
    for (unit, delivery, event) in purgeable(tx, name)? {
        for table in tables_of(unit.key.use_case) {
            let of = format!("{OF_DELIVERY} AND end_event = ?2");
            if table == "preview_all" {
                previews.extend(own_previews(tx, delivery, event)?);
            }
            let sql = format!("DELETE FROM {} WHERE {of}", quoted(&table));
            purged.rows += tx.execute(&sql, [delivery, event])? as u64;
        }
        if unit.key.use_case == UseCase::Catalogue {
            let (rows, lake_files) = purge_detections(tx, site, unit.id, event)?;
            purged.rows += rows;
            doomed.extend(lake_files.into_iter().map(|path| (site.lake(), path)));
        }
        tx.execute(
            "UPDATE retraction SET purged = ?3 WHERE event_id = ?1 AND unit_id = ?2",
            params![event, unit.id, text_of(now)],
        )?;
        purged.rounds.push(unit.key);
    }
    // A path may show another frame by now.
    let sql = "SELECT EXISTS (SELECT * FROM preview_all WHERE path = ?1)";
    for path in previews {
        let is_shown: bool = tx.query_row(sql, [&path], |r| r.get(0))?;
        if !is_shown {
            doomed.push((site.previews(), site.previews().join(path)));
        }
    }
    Ok((purged, doomed))
}

/// Paths of the previews of a delivery that an event ended, as the archive itself chose them. A row with another path is not
/// obeyed: what it names may be anything.
fn own_previews(tx: &Connection, delivery: i64, event: i64) -> Result<Vec<String>, ArchiveFault> {
    let mut select = tx.prepare_cached(
        "SELECT DISTINCT preview_all.multiframe_id, preview_all.ext_num, preview_all.path, file.name, delivery.name
         FROM file JOIN image ON image.file_id = file.file_id
             JOIN preview_all ON preview_all.multiframe_id = image.multiframe_id
             JOIN delivery ON delivery.delivery_id = file.delivery_id
         WHERE file.delivery_id = ?1 AND preview_all.end_event = ?2",
    )?;
    let rows = select.query_map([delivery, event], |r| {
        let (multiframe, ext_num): (i64, i64) = (r.get(0)?, r.get(1)?);
        let texts: [String; 3] = [r.get(2)?, r.get(3)?, r.get(4)?];
        Ok((multiframe, ext_num, texts))
    })?;
    let mut own = Vec::new();
    for row in rows {
        let (multiframe, ext_num, [path, image, delivery]) = row?;
        if preview_name::path(&delivery, &image, multiframe, ext_num).as_ref() == Some(&path) {
            own.push(path);
        }
    }
    Ok(own)
}

/// Rounds that are retracted and not purged, with their delivery and event.
fn purgeable(tx: &Connection, name: Option<&str>) -> Result<Vec<(Unit, i64, i64)>, ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT {UNIT_COLUMNS}, retraction.event_id FROM retraction JOIN unit USING (unit_id) JOIN delivery USING (delivery_id)
         WHERE undone_event IS NULL AND purged IS NULL AND (CAST(?1 AS TEXT) IS NULL OR delivery.name = ?1)
         ORDER BY retraction.event_id, unit.unit_id"
    ))?;
    let rows = select.query_map([name], |r| {
        let unit = unit_of(r)?;
        let delivery = unit.delivery_id;
        Ok((unit, delivery, r.get(6)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Deletes the detections that a round brought and its retraction ended: of the lake, files of which nothing else is left.
fn purge_detections(
    tx: &Connection,
    site: &Site,
    unit: i64,
    event: i64,
) -> Result<(u64, Vec<PathBuf>), ArchiveFault> {
    let ranges: Vec<[i64; 3]> = tx
        .prepare_cached(
            "SELECT programme_id, first_obj_id, last_obj_id FROM id_range WHERE unit_id = ?1 AND state = 'retracted'",
        )?
        .query_map([unit], |r| Ok([r.get(0)?, r.get(1)?, r.get(2)?]))?
        .collect::<Result<_, _>>()?;
    let (mut rows, mut files) = (0, Vec::new());
    for [programme, first, last] in ranges {
        let of = "programme_id = ?1 AND first_obj_id BETWEEN ?2 AND ?3";
        let others: bool = tx.query_row(
            &format!(
                "SELECT EXISTS (SELECT * FROM detector_rows WHERE {of} AND (end_event IS NULL OR end_event > ?4))"
            ),
            params![programme, first, last, event],
            |r| r.get(0),
        )?;
        if others {
            continue;
        }
        let bounds = [programme, first, last];
        let count = format!("SELECT coalesce(sum(rows), 0) FROM detector_rows WHERE {of}");
        rows += tx.query_row(&count, bounds, |r| r.get::<u64>(0))?;
        match tx.sqlite() {
            Some(sqlite) => files.extend(crate::lake::forget(sqlite, &site.lake(), bounds)?),
            None => {
                tx.execute(
                    "DELETE FROM detection_data WHERE programme_id = ?1 AND obj_id BETWEEN ?2 AND ?3",
                    bounds,
                )?;
            }
        }
        tx.execute(&format!("DELETE FROM detector_rows WHERE {of}"), bounds)?;
    }
    Ok((rows, files))
}

impl Retracted {
    fn count(&mut self, table: &str, rows: u64) {
        if rows > 0 {
            let name = table.trim_end_matches("_all").to_owned();
            self.rows.push((name, rows));
        }
    }
}
