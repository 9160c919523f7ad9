//! Permanent deletion of retracted rounds.
//!
//! A purge deletes the rows that a retraction ended, and the files that hold nothing else. One transaction deletes the rows and
//! notes the files; [`crate::retraction::deletions`] removes the files after its commit. The history of each round records who
//! purged it and why.

use crate::deliveries::{delivery_id, provider};
use crate::detections;
use crate::error::{ArchiveError, ArchiveFault};
use crate::history::Cause;
use crate::products::{detectors, tables_of};
use crate::retraction::deletions;
use crate::rounds::{IMAGES, UNIT_COLUMNS, Unit, note_unit, parsed, unit_of};
use crate::site::Site;
use crate::time::{text_of, time_of};
use crate::{Archive, Reader, Timestamp, partitions};
use engine::Connection;
use engine::quoted;
use model::UnitKey;
use model::{EventId, MultiframeId, RoundNumber, UnitState, UseCase, preview_name};
use rusqlite::params;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// A retracted round with the event that retracted it. After an undo, another retraction of the round is another event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetractedRound {
    /// The round.
    pub unit: UnitKey,
    /// The event.
    pub event: EventId,
}

/// The retracted rounds that a purge deletes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PurgeScope<'a> {
    /// Every retracted round.
    All,
    /// The retracted rounds of a delivery.
    Delivery(&'a str),
    /// Those of these rounds that are still retracted by these events.
    Rounds(&'a [RetractedRound]),
}

/// The result of a purge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Rounds that can no longer be restored.
    pub rounds: Vec<RetractedRound>,
    /// Number of deleted rows.
    pub rows: u64,
    /// Number of deleted files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The record of a purged round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgedRound {
    /// The use case.
    pub use_case: UseCase,
    /// The number of the round.
    pub round: RoundNumber,
    /// Time of the purge.
    pub purged: Timestamp,
    /// The operator, with the reason.
    pub cause: Cause,
}

/// A file to be removed: the directory that must contain it, and its path.
pub(crate) type Doomed = (PathBuf, PathBuf);

/// The words before the reason of a purge in the history of a round.
const PURGED: &str = "purged: ";

impl Archive {
    /// Deletes permanently what is retracted, and records who did it and why. A file that also holds rows that stay is kept.
    ///
    /// # Errors
    /// [`ArchiveError`]; nothing is deleted then. An unknown delivery is an error.
    pub fn purge(
        &mut self,
        scope: PurgeScope<'_>,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Purged, ArchiveError> {
        let site = self.site.clone();
        let (mut purged, files) = self.write("purge", "purge retracted rounds", |tx| {
            let (purged, files) = purge(tx, &site, scope, cause, now)?;
            deletions::note(tx, &site, &files)?;
            Ok((purged, files))
        })?;
        if !self.is_rehearsal() {
            // Files that an earlier purge left are removed too, and not counted.
            deletions::finish(self)?;
            purged.leave_out_kept(&files);
        }
        Ok(purged)
    }
}

impl Reader {
    /// Lists the rounds that a purge would delete.
    ///
    /// # Errors
    /// [`ArchiveError`]. An unknown delivery is an error.
    pub fn purgeable(&self, scope: PurgeScope<'_>) -> Result<Vec<RetractedRound>, ArchiveError> {
        self.read("list what is retracted", |c| {
            let found = purgeable(c, scope)?;
            found.into_iter().map(|(unit, event)| retracted(unit.key, event)).collect()
        })
    }
}

/// Implements [`crate::Archive::purge`]. Returns what was deleted, and the files to be removed after the commit.
pub(crate) fn purge(
    tx: &Connection,
    site: &Site,
    scope: PurgeScope<'_>,
    cause: &Cause,
    now: Timestamp,
) -> Result<(Purged, Vec<Doomed>), ArchiveFault> {
    // A concurrent fold would restore the deleted rows from its copy.
    if tx.server().is_some() && !partitions::keep_from_folding(tx)? {
        return Err(ArchiveFault::Conflict("partitions are being merged: retry".to_owned()));
    }
    let mut purged = Purged::default();
    let (mut previews, mut doomed) = (BTreeSet::new(), Vec::new());
    for (unit, event) in purgeable(tx, scope)? {
        for table in tables_of(unit.key.use_case) {
            let of = format!("multiframe_id IN ({IMAGES}) AND end_event <= ?2");
            if table == "preview_all" {
                previews.extend(own_previews(tx, unit.id, event)?);
            }
            let sql = format!("DELETE FROM {} WHERE {of}", quoted(&table));
            purged.rows += tx.execute(&sql, [unit.id, event])? as u64;
        }
        if unit.key.use_case.product().is_by_detector() {
            let (rows, lake_files) = purge_detections(tx, site, unit.id, event)?;
            purged.rows += rows;
            doomed.extend(lake_files.into_iter().map(|path| (site.lake(), path)));
            detectors::purge(tx, unit.id, event)?;
        }
        tx.execute(
            &format!(
                "DELETE FROM product WHERE use_case = ?3 AND state = 'retracted' AND ended_event <= ?2
                 AND multiframe_id IN ({IMAGES})"
            ),
            params![unit.id, event, unit.key.use_case.name()],
        )?;
        tx.execute(
            "UPDATE retraction SET purged = ?3 WHERE event_id = ?1 AND unit_id = ?2",
            params![event, unit.id, text_of(now)],
        )?;
        let cause = Cause::new(&cause.who, format!("{PURGED}{}", cause.why));
        note_unit(tx, unit.id, [UnitState::Retracted; 2], &cause, now)?;
        if unit.key.use_case.product().describes_images() {
            provider::renew_cameras(tx, unit.delivery_id)?;
        }
        purged.rounds.push(retracted(unit.key, event)?);
    }
    // By now, another row may refer to the same path.
    let sql = "SELECT EXISTS (SELECT * FROM preview_all WHERE path = ?1)";
    for path in previews {
        let is_shown: bool = tx.query_row(sql, [&path], |r| r.get(0))?;
        if !is_shown {
            doomed.push((site.previews(), site.previews().join(path)));
        }
    }
    purged.count(&doomed);
    Ok((purged, doomed))
}

impl Purged {
    /// Counts the files to be removed that exist, and their bytes.
    fn count(&mut self, doomed: &[Doomed]) {
        (self.files, self.bytes) = (0, 0);
        for (_, path) in doomed {
            if let Ok(found) = std::fs::symlink_metadata(path) {
                self.files += 1;
                self.bytes += found.len();
            }
        }
    }

    /// Takes the files off the count that were not removed.
    pub(crate) fn leave_out_kept(&mut self, doomed: &[Doomed]) {
        let (files, bytes) = (self.files, self.bytes);
        self.count(doomed);
        (self.files, self.bytes) =
            (files.saturating_sub(self.files), bytes.saturating_sub(self.bytes));
    }
}

fn retracted(unit: UnitKey, event: i64) -> Result<RetractedRound, ArchiveFault> {
    let damaged = || ArchiveFault::Damaged(format!("{event} is no event"));
    Ok(RetractedRound { unit, event: EventId::new(event).ok_or_else(damaged)? })
}

/// Lists the purged rounds of a delivery, each with its latest purge.
pub(crate) fn purged_rounds(
    c: &Connection,
    delivery: i64,
) -> Result<Vec<PurgedRound>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT unit.use_case, unit.round, history.changed, history.who, history.why
         FROM unit JOIN unit_history AS history USING (unit_id)
         WHERE unit.delivery_id = ?1 AND history.from_state = 'retracted' AND history.to_state = 'retracted'
             AND EXISTS (SELECT * FROM retraction
                         WHERE retraction.unit_id = unit.unit_id AND retraction.purged = history.changed)
         ORDER BY unit.unit_id, history.number",
    )?;
    let rows = select.query_map([delivery], |r| {
        let texts: [String; 3] = [r.get(2)?, r.get(3)?, r.get(4)?];
        Ok((parsed(r, 0)?, r.id(1)?, texts))
    })?;
    let mut rounds = Vec::new();
    for row in rows {
        let (use_case, round, [purged, who, why]) = row?;
        let why = why.strip_prefix(PURGED).unwrap_or(&why).to_owned();
        let purged = time_of(&purged)?;
        rounds.push(PurgedRound { use_case, round, purged, cause: Cause { who, why } });
    }
    Ok(rounds)
}

/// Lists the preview paths of a round's ended rows, if they are the paths that the archive itself would choose. Other paths may
/// name any file and are ignored.
fn own_previews(tx: &Connection, unit: i64, event: i64) -> Result<Vec<String>, ArchiveFault> {
    let mut select = tx.prepare_cached(
        "SELECT DISTINCT preview_all.multiframe_id, preview_all.ext_num, preview_all.path, file.name, delivery.name
         FROM task JOIN task_input USING (task_id) JOIN image ON image.multiframe_id = task_input.multiframe_id
             JOIN file ON file.file_id = image.file_id
             JOIN preview_all ON preview_all.multiframe_id = image.multiframe_id
             JOIN delivery ON delivery.delivery_id = file.delivery_id
         WHERE task.unit_id = ?1 AND preview_all.end_event <= ?2",
    )?;
    let rows = select.query_map([unit, event], |r| {
        let (multiframe, ext_num): (MultiframeId, i64) = (r.id(0)?, r.get(1)?);
        let texts: [String; 2] = [r.get(2)?, r.get(3)?];
        Ok((multiframe, ext_num, texts, r.name(4)?))
    })?;
    let mut own = Vec::new();
    for row in rows {
        let (multiframe, ext_num, [path, image], delivery) = row?;
        if preview_name::path(&delivery, &image, multiframe, ext_num).as_ref() == Some(&path) {
            own.push(path);
        }
    }
    Ok(own)
}

/// Lists the rounds that are retracted and not purged, with the event of the retraction.
fn purgeable(tx: &Connection, scope: PurgeScope<'_>) -> Result<Vec<(Unit, i64)>, ArchiveFault> {
    let name = match scope {
        PurgeScope::Delivery(name) => Some(name),
        PurgeScope::All | PurgeScope::Rounds(_) => None,
    };
    if let Some(name) = name {
        delivery_id(tx, name)?;
    }
    let mut select = tx.prepare_cached(&format!(
        "SELECT {UNIT_COLUMNS}, retraction.event_id FROM retraction JOIN unit USING (unit_id) JOIN delivery USING (delivery_id)
         WHERE undone_event IS NULL AND purged IS NULL AND (CAST(?1 AS TEXT) IS NULL OR delivery.name = ?1)
         ORDER BY retraction.event_id, unit.unit_id"
    ))?;
    let rows = select.query_map([name], |r| Ok((unit_of(r)?, r.get(6)?)))?;
    let mut found: Vec<(Unit, i64)> = rows.collect::<Result<_, _>>()?;
    if let PurgeScope::Rounds(named) = scope {
        let is_named = |unit: &Unit, event: i64| {
            named.iter().any(|round| round.unit == unit.key && round.event.get() == event)
        };
        found.retain(|(unit, event)| is_named(unit, *event));
    }
    Ok(found)
}

/// Deletes the detections that a round published and its retraction ended; in the lake, the files of which all rows have ended.
fn purge_detections(
    tx: &Connection,
    site: &Site,
    unit: i64,
    event: i64,
) -> Result<(u64, Vec<PathBuf>), ArchiveFault> {
    let ranges: Vec<[i64; 3]> = tx
        .prepare_cached(
            "SELECT programme_id, first_id, last_id FROM id_range
             WHERE unit_id = ?1 AND lake_table = 'detection' AND state = 'retracted'",
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
        files.extend(detections::delete(tx, site, bounds)?);
        tx.execute(&format!("DELETE FROM detector_rows WHERE {of}"), bounds)?;
    }
    Ok((rows, files))
}
