//! Staged rounds: their blocks, results, ids and refusal.

pub mod publication;

use crate::attempts::results::Outcome;
use crate::error::{ArchiveError, ArchiveFault};
use crate::history::{self, Act, Cause};
use crate::product_names;
use crate::refusals::met::{self, Met};
use crate::refusals::{Stage, waiting};
use crate::rounds::{UNIT_COLUMNS, Unit, find, move_unit, unit_of};
use crate::site::Site;
use crate::time::text_of;
use crate::work::multiframe_id;
use crate::{Archive, Reader, Timestamp, attempts, partitions};
use engine::{Connection, Optional};
use lake::{self, LakeTable};
use model::MultiframeId;
use model::ProgrammeId;
use model::products;
use model::task::TaskResult;
use model::{BatchId, EventId, ObjectId};
use model::{Refusal, RoundNumber, TaskNumber, UnitKey, UnitState};
use rusqlite::params;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A staged round that waits to be ingested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedRound {
    /// The round.
    pub unit: UnitKey,
    /// The reason why the round cannot be ingested yet; `None` when it can.
    pub blocked: Option<String>,
}

/// A staged round with the results that were accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct StagedBatch {
    /// The round.
    pub unit: UnitKey,
    /// Tasks in their order.
    pub tasks: Vec<StagedTask>,
}

/// One task of a staged round.
#[derive(Clone, Debug, PartialEq)]
pub struct StagedTask {
    /// Number of the task.
    pub task: TaskNumber,
    /// Directory of the accepted attempt, absolute; `None` when the task was given up.
    pub directory: Option<PathBuf>,
    /// Result of the task; `None` when the task was given up.
    pub result: Option<TaskResult>,
    /// The files that the task covers, with their outcomes.
    pub inputs: Vec<StagedInput>,
    /// Names of its images, by multiframe.
    pub images: BTreeMap<MultiframeId, String>,
    /// True when the archive's own program ran the task on this machine, false when a node did.
    pub is_own: bool,
}

/// One file of a finished task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StagedInput {
    /// The image.
    pub multiframe_id: MultiframeId,
    /// Version of its catalogue that the task read.
    pub catalogue_version: Option<i32>,
    /// Outcome of the file.
    pub outcome: Outcome,
}

/// The number of detections of a programme in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowsOfProgramme {
    /// Programme.
    pub programme_id: ProgrammeId,
    /// Rows, at least 1.
    pub rows: u64,
}

/// Ids reserved for rows of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// Programme of the ids.
    pub programme_id: ProgrammeId,
    /// First id.
    pub first_obj_id: ObjectId,
    /// Number of ids.
    pub rows: u64,
}

/// The state of a range of reserved ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeState {
    /// The batch is not published yet.
    Reserved,
    /// The ids are in use.
    Ingested,
    /// The rows are retracted.
    Retracted,
    /// The ids were never used.
    Abandoned,
}

impl RangeState {
    /// All states.
    const ALL: [Self; 4] = [Self::Reserved, Self::Ingested, Self::Retracted, Self::Abandoned];

    /// Returns the name in tables and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Ingested => "ingested",
            Self::Retracted => "retracted",
            Self::Abandoned => "abandoned",
        }
    }
}

impl fmt::Display for RangeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for RangeState {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|state| state.name() == name)
            .ok_or_else(|| format!("{name:?} is not a state of an id range"))
    }
}

/// The result of publishing a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Receipt {
    /// The batch is visible now.
    Published {
        /// The event.
        event: EventId,
        /// Rows per table, in the order of the definitions.
        rows: Vec<(String, u64)>,
        /// Number of multiframes that newer content superseded now.
        superseded: u64,
        /// Duration of the ingest.
        timing: Timing,
    },
    /// An earlier run had published the batch.
    AlreadyPublished,
}

/// Wall-clock seconds of an ingest.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timing {
    /// Loading rows invisibly, without building keys.
    pub load: f64,
    /// Building keys and CHECKs on a server; the sum over all connections.
    pub keys: f64,
    /// The transaction that published.
    pub publish: f64,
}

impl Reader {
    /// Lists the staged rounds in the order of their deliveries' registration (metadata before previews before detections), each
    /// with the reason why it is blocked, if it is.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn staged_rounds(&self) -> Result<Vec<StagedRound>, ArchiveError> {
        self.read("list staged rounds", staged_rounds)
    }

    /// Returns a staged round with its results.
    ///
    /// # Errors
    /// [`ArchiveError`], an unknown round or one that is not staged among them.
    pub fn batch(&self, unit: &UnitKey) -> Result<StagedBatch, ArchiveError> {
        let site = self.site.clone();
        self.read(format!("read the batch of {unit}"), |c| batch(c, &site, unit))
    }
}

impl Archive {
    /// Assigns object ids to a batch and records them; the same batch gets the same ids again.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when ids were reserved for other counts.
    pub fn reserve(
        &mut self,
        unit: &UnitKey,
        wanted: &[RowsOfProgramme],
        now: Timestamp,
    ) -> Result<Vec<IdRange>, ArchiveError> {
        self.reserve_of(lake::detection(), unit, wanted, now)
    }

    /// Assigns ids of a lake table to a batch, as [`Archive::reserve`] does for detections. The numbers of a table without ids
    /// follow from the batch.
    ///
    /// # Errors
    /// As [`Archive::reserve`].
    pub fn reserve_of(
        &mut self,
        table: &LakeTable,
        unit: &UnitKey,
        wanted: &[RowsOfProgramme],
        now: Timestamp,
    ) -> Result<Vec<IdRange>, ArchiveError> {
        let ids = if table == lake::detection() { "object ids" } else { table.id() };
        let act = format!("reserve {ids} for {unit}");
        self.write("reserve", act, |tx| reserve(tx, table, unit, wanted, now))
    }

    /// Refuses a batch that failed a check: its round fails, its id ranges are abandoned, and a refusal names the check.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn refuse_batch(
        &mut self,
        unit: &UnitKey,
        check: &str,
        message: &str,
        now: Timestamp,
    ) -> Result<(), ArchiveError> {
        self.write("refuse-batch", format!("refuse the batch of {unit}"), |tx| {
            refuse(tx, unit, check, message, now)
        })
    }

    /// Removes what was loaded for batches that will never be published, and returns its names. Items that cannot be removed are
    /// left for the next call.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn clear_abandoned(&mut self) -> Result<Vec<String>, ArchiveError> {
        if !self.site.is_embedded() {
            let mut dropped = Vec::new();
            for table in self.site.lake_tables() {
                let of_table = match self.is_rehearsal() {
                    true => partitions::due_to_drop(&self.connection, table),
                    false => partitions::drop_left_over(&self.connection, table),
                };
                dropped.extend(of_table.map_err(ArchiveError::during("drop abandoned tables"))?);
            }
            return Ok(dropped);
        }
        let site = self.site.clone();
        let files = self.read("list abandoned files", |c| abandoned_files(c, &site))?;
        let lake = self.site.lake();
        let is_removed = |path: &&PathBuf| match self.is_rehearsal() {
            true => path.symlink_metadata().is_ok(),
            false => files::remove_below(&lake, path).is_ok_and(|is_removed| is_removed),
        };
        let removed = files.iter().filter(is_removed);
        Ok(removed.map(|path| path.display().to_string()).collect())
    }
}

/// Implements [`crate::Reader::staged_rounds`].
pub(crate) fn staged_rounds(c: &Connection) -> Result<Vec<StagedRound>, ArchiveFault> {
    let mut select = c.prepare_cached(&format!(
        "SELECT {UNIT_COLUMNS} FROM unit JOIN delivery USING (delivery_id) WHERE unit.state = 'staged'
         ORDER BY unit.delivery_id, unit.round"
    ))?;
    let mut units: Vec<Unit> = select.query_map([], unit_of)?.collect::<Result<_, _>>()?;
    units.sort_by_key(|u| (u.delivery_id, products::place(u.key.use_case), u.key.round));
    units
        .into_iter()
        .map(|unit| Ok(StagedRound { blocked: blocked(c, &unit)?, unit: unit.key }))
        .collect()
}

fn blocked(c: &Connection, unit: &Unit) -> Result<Option<String>, ArchiveFault> {
    let earlier: Option<(RoundNumber, String)> = c
        .prepare_cached(
            "SELECT round, state FROM unit WHERE delivery_id = ?1 AND use_case = ?2 AND round < ?3
                 AND state NOT IN ('ingested', 'failed', 'retracted') ORDER BY round LIMIT 1",
        )?
        .query_row(params![unit.delivery_id, unit.key.use_case.name(), unit.key.round.get()], |r| {
            Ok((r.id(0)?, r.get(1)?))
        })
        .optional()?;
    if let Some((round, state)) = earlier {
        return Ok(Some(format!("round {round} comes first and is {state}")));
    }
    if unit.key.use_case.product().describes_images() {
        return Ok(None);
    }
    let without: u64 = c
        .prepare_cached(&format!(
            "SELECT count(*) FROM task JOIN task_input USING (task_id)
             WHERE task.unit_id = ?1 AND NOT EXISTS (
                 SELECT * FROM task_input AS before JOIN task AS t ON t.task_id = before.task_id
                     JOIN unit ON unit.unit_id = t.unit_id
                 WHERE before.multiframe_id = task_input.multiframe_id
                     AND unit.use_case IN ({describing}) AND unit.state = 'ingested'
                     AND (CAST(?2 AS TEXT) NOT IN ({of_catalogues})
                          OR before.outcome = 'done'
                              AND before.catalogue_version IS NOT DISTINCT FROM task_input.catalogue_version))",
            describing = product_names::describing(),
            of_catalogues = product_names::of_catalogues()
        ))?
        .query_row(params![unit.id, unit.key.use_case.name()], |r| r.get(0))?;
    Ok((without > 0)
        .then(|| format!("the metadata of {without} of its multiframes are not ingested")))
}

/// Implements [`crate::Reader::batch`].
pub(crate) fn batch(
    c: &Connection,
    site: &Site,
    key: &UnitKey,
) -> Result<StagedBatch, ArchiveFault> {
    let unit = find(c, key)?;
    if unit.state != UnitState::Staged {
        return Err(ArchiveFault::Conflict(format!("{key} is {}, not staged", unit.state)));
    }
    let mut select = c.prepare_cached(
        "SELECT task.task_id, task.number, attempt.number, attempt.result, coalesce(attempt.executor, '') = 'local'
         FROM task LEFT JOIN attempt ON attempt.task_id = task.task_id AND attempt.number = task.result_attempt
         WHERE task.unit_id = ?1 ORDER BY task.number",
    )?;
    let rows = select.query_map([unit.id], |r| {
        Ok((r.get(0)?, r.id(1)?, r.optional_id(2)?, r.get::<Option<String>>(3)?, r.get(4)?))
    })?;
    let mut tasks = Vec::new();
    for row in rows {
        let (task_id, task, attempt, result, is_own) = row?;
        let result = result.map(|text| serde_json::from_str(&text)).transpose();
        tasks.push(StagedTask {
            task,
            directory: attempt.map(|number| attempts::directory(site, key, task, number)),
            result: result
                .map_err(|fault| ArchiveFault::Damaged(format!("a stored result: {fault}")))?,
            inputs: staged_inputs(c, task_id)?,
            images: image_names(c, task_id)?,
            is_own,
        });
    }
    Ok(StagedBatch { unit: key.clone(), tasks })
}

/// Returns the names of the images of a task, by multiframe.
fn image_names(
    c: &Connection,
    task_id: i64,
) -> Result<BTreeMap<MultiframeId, String>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT task_input.multiframe_id, file.name
         FROM task_input JOIN image USING (multiframe_id) JOIN file ON file.file_id = image.file_id WHERE task_id = ?1",
    )?;
    let rows = select.query_map([task_id], |r| Ok((r.id(0)?, r.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn staged_inputs(c: &Connection, task_id: i64) -> Result<Vec<StagedInput>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT multiframe_id, catalogue_version, outcome FROM task_input WHERE task_id = ?1 ORDER BY ordinal",
    )?;
    let rows =
        select.query_map([task_id], |r| Ok((r.get(0)?, r.get(1)?, r.get::<Option<String>>(2)?)))?;
    let mut inputs = Vec::new();
    for row in rows {
        let (id, catalogue_version, outcome) = row?;
        let outcome = outcome.as_deref().and_then(Outcome::named);
        inputs.push(StagedInput {
            multiframe_id: multiframe_id(id)?,
            catalogue_version,
            outcome: outcome.ok_or_else(|| {
                ArchiveFault::Damaged("a finished task has a file without outcome".to_owned())
            })?,
        });
    }
    Ok(inputs)
}

/// Implements [`crate::Archive::reserve`].
pub(crate) fn reserve(
    tx: &Connection,
    table: &LakeTable,
    key: &UnitKey,
    wanted: &[RowsOfProgramme],
    now: Timestamp,
) -> Result<Vec<IdRange>, ArchiveFault> {
    let unit = find(tx, key)?;
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(base) = table.base_of(unit.batch()?) {
        keep_event(tx, &unit, now)?;
        let first_obj_id = ObjectId::try_from(base + 1).map_err(ArchiveFault::Damaged)?;
        let range = |w: &RowsOfProgramme| IdRange {
            programme_id: w.programme_id,
            first_obj_id,
            rows: w.rows,
        };
        return Ok(wanted.iter().map(range).collect());
    }
    let ranges = ranges(tx, table, unit.id)?;
    if ranges.is_empty() {
        for rows in wanted {
            assign_range(tx, table, unit.id, *rows)?;
        }
    } else {
        let same = ranges.len() == wanted.len()
            && ranges.iter().all(|range| {
                wanted.iter().any(|w| (w.programme_id, w.rows) == (range.programme_id, range.rows))
            });
        if !same {
            return Err(ArchiveFault::Conflict(format!(
                "{key} has object ids for row counts other than those of its files now"
            )));
        }
    }
    keep_event(tx, &unit, now)?;
    self::ranges(tx, table, unit.id)
}

fn assign_range(
    tx: &Connection,
    table: &LakeTable,
    unit_id: i64,
    rows: RowsOfProgramme,
) -> Result<(), ArchiveFault> {
    let count = i64::try_from(rows.rows).unwrap_or(i64::MAX);
    let last: Option<i64> = tx
        .query_row(
            "INSERT INTO id_counter (lake_table, programme_id, last_id)
             SELECT CAST(?3 AS TEXT), programme_id, CAST(?2 AS BIGINT) FROM programme_counter WHERE programme_id = ?1
             ON CONFLICT (lake_table, programme_id) DO UPDATE SET last_id = id_counter.last_id + excluded.last_id
             RETURNING last_id",
            params![rows.programme_id.get(), count, table.name()],
            |r| r.get(0),
        )
        .optional()?;
    let last = last.ok_or_else(|| ArchiveFault::Check {
        check: "programme",
        message: format!("there is no programme {}", rows.programme_id),
    })?;
    tx.execute(
        "INSERT INTO id_range (lake_table, programme_id, first_id, last_id, unit_id, state)
         VALUES (?1, ?2, ?3, ?4, ?5, 'reserved')",
        params![table.name(), rows.programme_id.get(), last - count + 1, last, unit_id],
    )?;
    Ok(())
}

/// Reserves an event number for the batch, since the batch's lake files contain it. When later events were published in the
/// meantime, the batch gets a new number: events stay in the order in which they became visible.
fn keep_event(tx: &Connection, unit: &Unit, now: Timestamp) -> Result<(), ArchiveFault> {
    let kept: Option<i64> =
        tx.query_row("SELECT reserved_event FROM batch WHERE unit_id = ?1", [unit.id], |r| {
            r.get(0)
        })?;
    if let Some(kept) = kept {
        let overtaken: bool =
            tx.query_row("SELECT EXISTS (SELECT * FROM event WHERE event_id > ?1)", [kept], |r| {
                r.get(0)
            })?;
        if !overtaken {
            return Ok(());
        }
        abandon_event(tx, unit, kept, "later events were published first", now)?;
    }
    let event = history::next_event(tx)?;
    tx.execute(
        "UPDATE batch SET reserved_event = ?2, reserved = coalesce(reserved, ?3) WHERE unit_id = ?1",
        params![unit.id, event.get(), text_of(now)],
    )?;
    Ok(())
}

fn abandon_event(
    tx: &Connection,
    unit: &Unit,
    number: i64,
    why: &str,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    let cause = Cause::new("ingest", why);
    history::record_event(tx, history::event_id(number)?, Act::Abandon, Some(unit.id), &cause, now)
}

fn ranges(tx: &Connection, table: &LakeTable, unit_id: i64) -> Result<Vec<IdRange>, ArchiveFault> {
    let mut select = tx.prepare_cached(
        "SELECT programme_id, first_id, last_id - first_id + 1 FROM id_range
         WHERE unit_id = ?1 AND lake_table = ?2 AND state = 'reserved' ORDER BY programme_id",
    )?;
    let rows = select.query_map(params![unit_id, table.name()], |r| {
        Ok((r.get::<i64>(0)?, r.get::<i64>(1)?, r.get(2)?))
    })?;
    let mut ranges = Vec::new();
    for row in rows {
        let (programme, first, rows) = row?;
        let programme_id = programme.try_into().map_err(ArchiveFault::Damaged)?;
        let first_obj_id = first.try_into().map_err(ArchiveFault::Damaged)?;
        ranges.push(IdRange { programme_id, first_obj_id, rows });
    }
    Ok(ranges)
}

/// Implements [`crate::Archive::refuse_batch`].
pub(crate) fn refuse(
    tx: &Connection,
    key: &UnitKey,
    check: &str,
    message: &str,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    let unit = find(tx, key)?;
    if unit.state == UnitState::Failed {
        return Ok(());
    }
    let cause = Cause::new("ingest", format!("check {check} failed: {message}"));
    move_unit(tx, &unit, UnitState::Failed, &cause, now)?;
    tx.execute("UPDATE batch SET failed_check = ?2 WHERE unit_id = ?1", params![unit.id, check])?;
    tx.execute(
        "UPDATE id_range SET state = 'abandoned', why = ?2 WHERE unit_id = ?1 AND state = 'reserved'",
        params![unit.id, cause.why],
    )?;
    let kept: Option<i64> =
        tx.query_row("SELECT reserved_event FROM batch WHERE unit_id = ?1", [unit.id], |r| {
            r.get(0)
        })?;
    if let Some(kept) = kept {
        abandon_event(tx, &unit, kept, &cause.why, now)?;
    }
    let refusal = Refusal::stored(format!("batch_{check}").into(), "", format!("{key}: {message}"));
    let met = Met {
        delivery: unit.delivery_id,
        stage: Stage::Ingest,
        unit: Some(unit.id),
        file: None,
        refusal: &refusal,
    };
    met::note(tx, &met, now)?;
    waiting::settle(tx, unit.delivery_id, None, &|_, _| None, now)?;
    Ok(())
}

/// Lists the lake files that [`crate::Archive::clear_abandoned`] removes: those of failed rounds whose id ranges are
/// abandoned.
pub(crate) fn abandoned_files(c: &Connection, site: &Site) -> Result<Vec<PathBuf>, ArchiveFault> {
    let mut abandoned = Vec::new();
    for table in site.lake_tables() {
        let mut select = c.prepare_cached(match table.row_number() {
            None => {
                "SELECT unit_id, programme_id FROM id_range JOIN unit USING (unit_id)
                 WHERE lake_table = ?1 AND id_range.state = 'abandoned' AND unit.state = 'failed'"
            }
            Some(_) => {
                "SELECT unit_id, programme_id FROM unit CROSS JOIN programme_counter
                 WHERE CAST(?1 AS TEXT) <> '' AND unit.state = 'failed'"
            }
        })?;
        let rows = select.query_map([table.name()], |r| Ok((r.id(0)?, r.id(1)?)))?;
        for row in rows {
            let (batch, programme): (BatchId, ProgrammeId) = row?;
            let path = table.directory(&site.lake()).join(table.file_name(batch, programme));
            if path.exists() {
                abandoned.push(path);
            }
        }
    }
    Ok(abandoned)
}
