//! Rounds and their tasks.

use crate::deliveries::delivery_id;
use crate::error::{ArchiveError, ArchiveFault};
use crate::history::Cause;
use crate::product_names;
use crate::time::text_of;
use crate::{Archive, Reader, Timestamp};
use engine::{self, Connection, EngineError, Optional, Row};
use model::products::Scope;
use model::{
    AttemptNumber, BatchId, DeliveryName, MultiframeId, RoundNumber, SurveyName, TaskNumber,
};
use model::{UnitKey, UnitState, UseCase};
use rusqlite::params;

/// One file of a task to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedInput {
    /// The image.
    pub multiframe_id: MultiframeId,
    /// Version of its catalogue that the task reads.
    pub catalogue_version: Option<i32>,
}

/// One task to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedTask {
    /// Survey profile of all its files.
    pub survey: SurveyName,
    /// The files, in the order of their names.
    pub inputs: Vec<PlannedInput>,
}

/// A round to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedRound {
    /// Name of the delivery.
    pub delivery: DeliveryName,
    /// The use case.
    pub use_case: UseCase,
    /// Recipe of the round.
    pub recipe: String,
    /// Its tasks, in their order.
    pub tasks: Vec<PlannedTask>,
    /// The reason for opening the round, for the history.
    pub why: String,
}

/// One task.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskKey {
    /// The round of the task.
    pub unit: UnitKey,
    /// Its number within the round.
    pub task: TaskNumber,
}

/// The state of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// Not done.
    Open,
    /// A result was accepted.
    Done,
    /// The task is not started again; its files are refused.
    GivenUp,
}

/// A task as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskRecord {
    /// The task.
    pub key: TaskKey,
    /// Survey profile of its files.
    pub survey: SurveyName,
    /// State of the task.
    pub state: TaskState,
    /// Number of files.
    pub inputs: u32,
    /// Number of starts.
    pub attempts: u32,
    /// Number of starts that ended without result.
    pub failures: u32,
    /// True when a start holds a lease now.
    pub running: bool,
}

/// The images of a round, as a query in which `?1` is the round.
pub(crate) const IMAGES: &str =
    "SELECT task_input.multiframe_id FROM task JOIN task_input USING (task_id)
     WHERE task.unit_id = ?1";

/// The images of a delivery, for conditions on `?1`.
pub(crate) const IMAGES_OF_DELIVERY: &str =
    "SELECT multiframe_id FROM image JOIN file USING (file_id) WHERE file.delivery_id = ?1";

/// A round with its internal number.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    pub id: i64,
    pub delivery_id: i64,
    pub key: UnitKey,
    pub state: UnitState,
}

impl Unit {
    /// Returns the batch of the round.
    pub(crate) fn batch(&self) -> Result<BatchId, ArchiveFault> {
        BatchId::try_from(self.id).map_err(ArchiveFault::Damaged)
    }
}

/// The columns of [`Unit`], for queries that join `unit` and `delivery`.
pub(crate) const UNIT_COLUMNS: &str =
    "unit.unit_id, unit.delivery_id, delivery.name, unit.use_case, unit.round, unit.state";

impl Reader {
    /// Returns the state of a round.
    ///
    /// # Errors
    /// [`ArchiveError`], an unknown round among them.
    pub fn unit_state(&self, unit: &UnitKey) -> Result<UnitState, ArchiveError> {
        self.read(format!("read the state of {unit}"), |c| Ok(find(c, unit)?.state))
    }

    /// Lists the tasks of a round, in order.
    ///
    /// # Errors
    /// [`ArchiveError`], an unknown round among them.
    pub fn tasks(&self, unit: &UnitKey) -> Result<Vec<TaskRecord>, ArchiveError> {
        self.read(format!("list tasks of {unit}"), |c| tasks(c, unit))
    }
}

impl Archive {
    /// Requests that all current images of a delivery are redone in the next round, with the reason of the cause.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn request_again(
        &mut self,
        delivery: &DeliveryName,
        use_case: UseCase,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<(), ArchiveError> {
        let act = format!("request the {use_case} of {delivery} again");
        self.write("again", act, |tx| {
            let mut select = tx.prepare_cached(
                "SELECT file_id FROM file WHERE delivery_id = ?1 AND state = 'current' AND kind = 'image'",
            )?;
            let delivery = delivery_id(tx, delivery)?;
            let files: Vec<i64> =
                select.query_map([delivery], |r| r.get(0))?.collect::<Result<_, _>>()?;
            for file in files {
                request_again(tx, file, use_case, &cause.why, now)?;
            }
            Ok(())
        })
    }

    /// Opens a round with its tasks: `waiting` and then `ready`. The round includes the pending requests to redo files.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when another open round of the use case already covers one of the files.
    pub fn open_round(
        &mut self,
        round: &PlannedRound,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<UnitKey, ArchiveError> {
        let act = format!("open a {} round of {}", round.use_case, round.delivery);
        self.write("round", act, |tx| open(tx, round, cause, now))
    }

    /// Moves a round to another state and records the change.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when the current state may not become the new one.
    pub fn move_unit(
        &mut self,
        unit: &UnitKey,
        to: UnitState,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<(), ArchiveError> {
        self.write("move", format!("move {unit} to {to}"), |tx| {
            let found = find(tx, unit)?;
            move_unit(tx, &found, to, cause, now)
        })
    }
}

/// Reads [`UNIT_COLUMNS`] from the first columns of a row.
pub(crate) fn unit_of(row: &Row<'_>) -> engine::Result<Unit> {
    Ok(Unit {
        id: row.get(0)?,
        delivery_id: row.get(1)?,
        key: UnitKey { delivery: row.name(2)?, use_case: parsed(row, 3)?, round: row.id(4)? },
        state: parsed(row, 5)?,
    })
}

/// Parses a text column that holds a name of the model.
pub(crate) fn parsed<T: std::str::FromStr<Err = String>>(
    row: &Row<'_>,
    column: usize,
) -> engine::Result<T> {
    row.get::<String>(column)?.parse().map_err(|reason| EngineError::Value { column, reason })
}

/// Finds the round of a key.
pub(crate) fn find(tx: &Connection, key: &UnitKey) -> Result<Unit, ArchiveFault> {
    tx.prepare_cached(&format!(
        "SELECT {UNIT_COLUMNS} FROM unit JOIN delivery USING (delivery_id)
         WHERE delivery.name = ?1 AND use_case = ?2 AND round = ?3"
    ))?
    .query_row(params![key.delivery.as_str(), key.use_case.name(), key.round.get()], unit_of)
    .optional()?
    .ok_or_else(|| ArchiveFault::Unknown { what: "round", name: key.to_string() })
}

/// Opens a round: checks that no other round covers these files, writes tasks and inputs, and fulfils the pending requests to
/// redo them.
pub(crate) fn open(
    tx: &Connection,
    round: &PlannedRound,
    cause: &Cause,
    now: Timestamp,
) -> Result<UnitKey, ArchiveFault> {
    let delivery = delivery_id(tx, &round.delivery)?;
    if round.tasks.iter().all(|t| t.inputs.is_empty()) {
        return Err(ArchiveFault::Conflict("a round needs files".to_owned()));
    }
    check_free(tx, delivery, round)?;
    let number: RoundNumber = tx.query_row(
        "SELECT coalesce(max(round), 0) + 1 FROM unit WHERE delivery_id = ?1 AND use_case = ?2",
        params![delivery, round.use_case.name()],
        |r| r.id(0),
    )?;
    tx.execute(
        "INSERT INTO unit (delivery_id, use_case, round, recipe, state, opened) VALUES (?1, ?2, ?3, ?4, 'waiting', ?5)",
        params![delivery, round.use_case.name(), number.get(), round.recipe, text_of(now)],
    )?;
    let key = UnitKey { delivery: round.delivery.clone(), use_case: round.use_case, round: number };
    let unit = find(tx, &key)?;
    for (number, task) in (1_u32..).zip(&round.tasks) {
        insert_task(tx, &unit, number, task)?;
    }
    tx.execute(
        "UPDATE redo SET unit_id = ?1 WHERE unit_id IS NULL AND use_case = ?2 AND file_id IN
             (SELECT image.file_id FROM task JOIN task_input USING (task_id) JOIN image USING (multiframe_id)
              WHERE task.unit_id = ?1)",
        params![unit.id, round.use_case.name()],
    )?;
    let cause = Cause::new(cause.who.clone(), round.why.clone());
    move_unit(tx, &unit, UnitState::Ready, &cause, now)?;
    Ok(key)
}

/// Checks that no file is in another unfinished round of the use case.
fn check_free(tx: &Connection, delivery: i64, round: &PlannedRound) -> Result<(), ArchiveFault> {
    let mut busy = tx.prepare_cached(
        "SELECT unit.round FROM unit JOIN task USING (unit_id) JOIN task_input USING (task_id)
         WHERE unit.delivery_id = ?1 AND unit.use_case = ?2 AND task_input.multiframe_id = ?3
             AND unit.state IN ('waiting', 'ready', 'proposed', 'approved', 'running', 'staged')",
    )?;
    for input in round.tasks.iter().flat_map(|t| &t.inputs) {
        let id = input.multiframe_id;
        let other: Option<RoundNumber> = busy
            .query_row(params![delivery, round.use_case.name(), id.get()], |r| r.id(0))
            .optional()?;
        if let Some(other) = other {
            let use_case = round.use_case;
            return Err(ArchiveFault::Conflict(format!(
                "multiframe {id} is in {use_case} round {other} already, which is not finished"
            )));
        }
    }
    Ok(())
}

fn insert_task(
    tx: &Connection,
    unit: &Unit,
    number: u32,
    task: &PlannedTask,
) -> Result<(), ArchiveFault> {
    let task_id: i64 = tx
        .prepare_cached(
            "INSERT INTO task (unit_id, number, survey, state) VALUES (?1, ?2, ?3, 'open') RETURNING task_id",
        )?
        .query_row(params![unit.id, number, task.survey.as_str()], |r| r.get(0))?;
    let mut insert = tx.prepare_cached(
        "INSERT INTO task_input (task_id, ordinal, multiframe_id, catalogue_version) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (ordinal, input) in (1..).zip(&task.inputs) {
        insert.execute(params![
            task_id,
            ordinal,
            input.multiframe_id.get(),
            input.catalogue_version
        ])?;
    }
    Ok(())
}

/// Moves a round to another state, if the transition is allowed, and records the change.
pub(crate) fn move_unit(
    tx: &Connection,
    unit: &Unit,
    to: UnitState,
    cause: &Cause,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    let from: String =
        tx.query_row("SELECT state FROM unit WHERE unit_id = ?1", [unit.id], |r| r.get(0))?;
    let from: UnitState = from.parse().map_err(ArchiveFault::Damaged)?;
    if !from.may_become(to) {
        return Err(ArchiveFault::State { what: unit.key.to_string(), from, to });
    }
    tx.execute("UPDATE unit SET state = ?2 WHERE unit_id = ?1", params![unit.id, to.name()])?;
    note_unit(tx, unit.id, [from, to], cause, now)
}

/// Adds a change to the history of a round.
pub(crate) fn note_unit(
    tx: &Connection,
    unit: i64,
    [from, to]: [UnitState; 2],
    cause: &Cause,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    tx.prepare_cached(
        "INSERT INTO unit_history (unit_id, number, from_state, to_state, changed, who, why)
         SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4, ?5, ?6 FROM unit_history WHERE unit_id = ?1",
    )?
    .execute(params![unit, from.name(), to.name(), text_of(now), cause.who, cause.why])?;
    Ok(())
}

/// A task with its internal number.
pub(crate) struct Task {
    pub id: i64,
    pub unit: Unit,
    pub number: TaskNumber,
    pub survey: SurveyName,
    pub state: TaskState,
    pub result_attempt: Option<AttemptNumber>,
}

/// Finds the task of a key.
pub(crate) fn find_task(tx: &Connection, key: &TaskKey) -> Result<Task, ArchiveFault> {
    let unit = find(tx, &key.unit)?;
    let found = tx
        .prepare_cached(
            "SELECT task_id, survey, state, result_attempt FROM task WHERE unit_id = ?1 AND number = ?2",
        )?
        .query_row(params![unit.id, key.task.get()], |r| {
            Ok((r.get(0)?, r.name(1)?, task_state(&r.get::<String>(2)?), r.optional_id(3)?))
        })
        .optional()?;
    let (id, survey, state, result_attempt) = found.ok_or_else(|| ArchiveFault::Unknown {
        what: "task",
        name: format!("{} of {}", key.task, key.unit),
    })?;
    Ok(Task { id, unit, number: key.task, survey, state, result_attempt })
}

fn task_state(name: &str) -> TaskState {
    match name {
        "done" => TaskState::Done,
        "given_up" => TaskState::GivenUp,
        _ => TaskState::Open,
    }
}

/// Lists the tasks of a round, in order.
pub(crate) fn tasks(c: &Connection, key: &UnitKey) -> Result<Vec<TaskRecord>, ArchiveFault> {
    let unit = find(c, key)?;
    let mut select = c.prepare_cached(
        "SELECT number, survey, state,
             (SELECT count(*) FROM task_input WHERE task_input.task_id = task.task_id),
             (SELECT count(*) FROM attempt WHERE attempt.task_id = task.task_id),
             (SELECT count(*) FROM attempt WHERE attempt.task_id = task.task_id AND state IN ('failed', 'lost')),
             EXISTS (SELECT * FROM attempt WHERE attempt.task_id = task.task_id AND state = 'running')
         FROM task WHERE unit_id = ?1 ORDER BY number",
    )?;
    let rows = select.query_map([unit.id], |r| {
        Ok(TaskRecord {
            key: TaskKey { unit: key.clone(), task: r.id(0)? },
            survey: r.name(1)?,
            state: task_state(&r.get::<String>(2)?),
            inputs: r.get(3)?,
            attempts: r.get(4)?,
            failures: r.get(5)?,
            running: r.get(6)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Stages a round without open tasks, which becomes a batch. Returns `true` when that happened.
pub(crate) fn stage_when_over(
    tx: &Connection,
    unit: &Unit,
    now: Timestamp,
) -> Result<bool, ArchiveFault> {
    let open: bool = tx.query_row(
        "SELECT EXISTS (SELECT * FROM task WHERE unit_id = ?1 AND state = 'open')",
        [unit.id],
        |r| r.get(0),
    )?;
    if open {
        return Ok(false);
    }
    let cause = Cause::new("queue", "all tasks of the round are finished");
    move_unit(tx, unit, UnitState::Staged, &cause, now)?;
    tx.execute(
        "INSERT INTO batch (unit_id, staged) VALUES (?1, ?2)",
        params![unit.id, text_of(now)],
    )?;
    tx.announce_change()?;
    Ok(true)
}

/// Requests that a use case of an image is redone; a pending request stays. An image without a catalogue has no detections to
/// redo.
pub(crate) fn request_again(
    tx: &Connection,
    file_id: i64,
    use_case: UseCase,
    why: &str,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    tx.prepare_cached(&format!(
        "INSERT INTO redo (file_id, use_case, requested, why)
         SELECT CAST(?1 AS BIGINT), CAST(?2 AS TEXT), CAST(?3 AS TEXT), CAST(?4 AS TEXT)
         WHERE CAST(?2 AS TEXT) NOT IN ({of_catalogues}) OR EXISTS (
             SELECT * FROM image JOIN catalogue ON catalogue.multiframe_id = image.multiframe_id
                 JOIN file ON file.file_id = catalogue.file_id
             WHERE image.file_id = ?1 AND file.state = 'current')
         ON CONFLICT DO NOTHING",
        of_catalogues = product_names::of_catalogues()
    ))?
    .execute(params![file_id, use_case.name(), text_of(now), why])?;
    Ok(())
}

/// Requests that all products of a file's image are made again: those of the site whose units are deliveries.
pub(crate) fn request_all(
    tx: &Connection,
    file_id: i64,
    products: &[UseCase],
    why: &str,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    for use_case in products.iter().filter(|u| u.product().scope == Scope::Delivery) {
        request_again(tx, file_id, *use_case, why, now)?;
    }
    Ok(())
}

/// Requests that the previews of a multiframe are made again.
pub fn request_preview(
    tx: &Connection,
    multiframe: MultiframeId,
    why: &str,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    let file = "SELECT file_id FROM image WHERE multiframe_id = ?1";
    let file = tx.query_row(file, [multiframe.get()], |r| r.get(0))?;
    request_again(tx, file, UseCase::Preview, why, now)
}

/// Drops requests to redo the detections of images that have no catalogue, or no longer: no round could process them.
pub(crate) fn drop_requests_without_catalogue(tx: &Connection) -> Result<(), ArchiveFault> {
    tx.prepare_cached(&format!(
        "DELETE FROM redo WHERE unit_id IS NULL AND use_case IN ({of_catalogues}) AND NOT EXISTS (
             SELECT * FROM image JOIN catalogue ON catalogue.multiframe_id = image.multiframe_id
                 JOIN file ON file.file_id = catalogue.file_id
             WHERE image.file_id = redo.file_id AND file.state = 'current')",
        of_catalogues = product_names::of_catalogues()
    ))?
    .execute(params![])?;
    Ok(())
}
