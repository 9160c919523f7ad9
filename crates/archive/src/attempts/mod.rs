//! Starts of tasks: numbers, directories, leases, hosts and jobs. Results are in [`results`].

mod acceptance;
mod end_cause;
pub mod lease;
pub mod results;

pub use end_cause::EndCause;

use crate::attempts::lease::Process;
use crate::error::{ArchiveError, ArchiveFault};
use crate::history::Cause;
use crate::product_names;
use crate::programmes::{Programme, programmes};
use crate::refusals::refused_hdus;
use crate::rounds::{TaskKey, TaskState, UNIT_COLUMNS, find_task, move_unit, unit_of};
use crate::site::Site;
use crate::time::{text_of, time_of};
use crate::{Archive, Reader, Timestamp};
use engine::{self, Connection};
use model::task::TaskResult;
use model::task::{CatalogueRef, DoneHdu, FileRef, TaskInput};
use model::{
    AttemptNumber, DeliveryName, HostName, MultiframeId, RoundNumber, SurveyName, TaskNumber,
    UnitKey, UnitState, UseCase,
};
use rusqlite::params;
use std::path::PathBuf;

/// Identity of one start of a task.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptKey {
    /// The task.
    pub task: TaskKey,
    /// Number of the start.
    pub attempt: AttemptNumber,
}

impl AttemptKey {
    /// Returns the attempt that a result names.
    pub fn of(result: &TaskResult) -> Self {
        let task = TaskKey { unit: result.unit.clone(), task: result.task };
        Self { task, attempt: result.attempt }
    }
}

/// The holder of an attempt, and the time until which no other process may sweep the attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Executor, e.g. `local`.
    pub executor: String,
    /// Process or job that holds it, e.g. `host/boot/pid/start`.
    pub holder: String,
    /// Time of expiry.
    pub until: Timestamp,
}

/// A started attempt: all contents of the task file that the archive knows.
#[derive(Clone, Debug, PartialEq)]
pub struct Started {
    /// The attempt.
    pub attempt: AttemptKey,
    /// The attempt's own directory, absolute; not created yet.
    pub directory: PathBuf,
    /// Survey profile of its files.
    pub survey: SurveyName,
    /// The files, in order.
    pub inputs: Vec<TaskInput>,
    /// Programmes of the archive.
    pub programmes: Vec<Programme>,
    /// For `catalogue`: directories of the finished `metadata` attempts that hold these multiframes.
    pub metadata: Vec<PathBuf>,
}

/// An attempt that holds or held a lease.
#[derive(Clone, Debug, PartialEq)]
pub struct RunningAttempt {
    /// The attempt.
    pub attempt: AttemptKey,
    /// Its directory, absolute.
    pub directory: PathBuf,
    /// Its lease.
    pub lease: Lease,
    /// Time of the start.
    pub started: Timestamp,
    /// The host and job that the attempt was sent to; `None` when it runs in the process that started it.
    pub place: Option<Place>,
}

impl RunningAttempt {
    /// Returns whether the attempt's process is known to have ended, or its lease has expired. A process is known on its own
    /// machine only; on other machines the lease decides.
    pub fn is_over(&self, now: Timestamp) -> bool {
        Process::parse(&self.lease.holder).is_some_and(|process| process.has_stopped())
            || self.lease.until < now
    }
}

/// The host and job of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The computer.
    pub host: HostName,
    /// The executor's name of the attempt; empty when it is not known.
    pub job: String,
    /// Memory limit in bytes.
    pub memory_bytes: u64,
}

/// The reason why an attempt ended without result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// The attempt reported or showed a failure.
    Failed,
    /// The attempt's lease expired or its process has ended.
    Lost,
}

/// Maximum bytes of a reason that are stored.
const WHY_BYTES: usize = 4000;

impl Reader {
    /// Lists the attempts that have not ended.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn running_attempts(&self) -> Result<Vec<RunningAttempt>, ArchiveError> {
        let site = self.site.clone();
        self.read("list running attempts", |c| running(c, &site))
    }

    /// Lists the attempts whose directories may be removed: those that ended without their result having been accepted, and those
    /// of previews and catalogues whose round was ingested before a given time. Staged metadata stay, because later catalogue
    /// rounds read them.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn sweepable_attempts(
        &self,
        ingested_before: Timestamp,
    ) -> Result<Vec<(AttemptKey, PathBuf)>, ArchiveError> {
        let site = self.site.clone();
        self.read("list attempts to sweep", |c| sweepable(c, &site, ingested_before))
    }
}

impl Archive {
    /// Starts an attempt of a task: assigns it a number and a directory, records the host that it will be sent to, if any, and
    /// moves an approved round to running.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when the task is finished or its round neither approved nor running.
    pub fn start_attempt(
        &mut self,
        task: &TaskKey,
        lease: &Lease,
        place: Option<&Place>,
        now: Timestamp,
    ) -> Result<Started, ArchiveError> {
        let act = format!("start task {} of {}", task.task, task.unit);
        let site = self.site.clone();
        self.write("start", act, |tx| start(tx, &site, task, lease, place, now))
    }

    /// Extends the lease of a running attempt; returns `false` when the attempt has ended.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn renew_lease(
        &mut self,
        attempt: &AttemptKey,
        until: Timestamp,
    ) -> Result<bool, ArchiveError> {
        self.write("renew", "renew a lease", |tx| renew(tx, attempt, until))
    }

    /// Records that a running attempt ended without result. An attempt that has ended already stays as it is.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn end_attempt(
        &mut self,
        attempt: &AttemptKey,
        end: AttemptEnd,
        why: &str,
        now: Timestamp,
    ) -> Result<(), ArchiveError> {
        self.write("end", "end an attempt", |tx| self::end(tx, attempt, end, why, now))
    }

    /// Records that an attempt's directory was removed.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn mark_swept(&mut self, attempt: &AttemptKey) -> Result<(), ArchiveError> {
        self.write("sweep", "record a swept attempt", |tx| mark_swept(tx, attempt))
    }

    /// Records the executor's name of an attempt.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn note_job(&mut self, attempt: &AttemptKey, job: &str) -> Result<(), ArchiveError> {
        self.write("job", "record the job of an attempt", |tx| note_job(tx, attempt, job))
    }

    /// Records the cause of an attempt's end without result.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn note_end(&mut self, attempt: &AttemptKey, cause: EndCause) -> Result<(), ArchiveError> {
        self.write("end-code", "record the end of an attempt", |tx| note_end(tx, attempt, cause))
    }
}

/// Implements [`crate::Archive::start_attempt`].
pub(crate) fn start(
    tx: &Connection,
    site: &Site,
    key: &TaskKey,
    lease: &Lease,
    place: Option<&Place>,
    now: Timestamp,
) -> Result<Started, ArchiveFault> {
    let task = find_task(tx, key)?;
    if task.state != TaskState::Open {
        return Err(ArchiveFault::Conflict(format!(
            "task {} of {} is finished",
            key.task, key.unit
        )));
    }
    match task.unit.state {
        UnitState::Running => {}
        UnitState::Approved => {
            let cause = Cause::new(lease.executor.clone(), "its first task was started");
            move_unit(tx, &task.unit, UnitState::Running, &cause, now)?;
        }
        state => {
            return Err(ArchiveFault::Conflict(format!("{} is {state}, not approved", key.unit)));
        }
    }
    let number: AttemptNumber = tx.query_row(
        "SELECT coalesce(max(number), 0) + 1 FROM attempt WHERE task_id = ?1",
        [task.id],
        |r| r.id(0),
    )?;
    let directory = directory_name(&key.unit, task.number, number);
    tx.execute(
        "INSERT INTO attempt (task_id, number, state, directory, executor, holder, started, lease_until)
         VALUES (?1, ?2, 'running', ?3, ?4, ?5, ?6, ?7)",
        params![
            task.id,
            number.get(),
            directory,
            lease.executor,
            lease.holder,
            text_of(now),
            text_of(lease.until)
        ],
    )?;
    if let Some(Place { host, job, memory_bytes }) = place {
        tx.execute(
            "INSERT INTO attempt_place (task_id, number, host, job, memory_bytes) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![task.id, number.get(), host.as_str(), job, memory_bytes],
        )?;
    }
    let use_case = key.unit.use_case;
    let mut metadata = Vec::new();
    for &read in use_case.product().inputs.products {
        metadata.extend(directories_read(tx, site, task.id, use_case, read)?);
    }
    Ok(Started {
        attempt: AttemptKey { task: key.clone(), attempt: number },
        directory: site.staging().join(directory),
        inputs: inputs(tx, site, task.id)?,
        survey: task.survey,
        programmes: programmes(tx)?,
        metadata,
    })
}

/// Returns the path of an attempt's directory below `staging/`.
fn directory_name(unit: &UnitKey, task: TaskNumber, attempt: AttemptNumber) -> String {
    format!("{}/{task}/{attempt}", unit.directory())
}

/// Returns the directory of an attempt, absolute. It is computed from the attempt's numbers; the path in the table is only for
/// users.
pub(crate) fn directory(
    site: &Site,
    unit: &UnitKey,
    task: TaskNumber,
    attempt: AttemptNumber,
) -> PathBuf {
    site.staging().join(directory_name(unit, task, attempt))
}

fn directory_of(site: &Site, key: &AttemptKey) -> PathBuf {
    directory(site, &key.task.unit, key.task.task, key.attempt)
}

fn inputs(tx: &Connection, site: &Site, task_id: i64) -> Result<Vec<TaskInput>, ArchiveFault> {
    let mut select = tx.prepare_cached(
        "SELECT task_input.multiframe_id, image.file_id, task_input.catalogue_version, catalogue.file_id
         FROM task_input JOIN image USING (multiframe_id)
             LEFT JOIN catalogue ON catalogue.multiframe_id = task_input.multiframe_id
                 AND catalogue.version = task_input.catalogue_version
         WHERE task_id = ?1 ORDER BY ordinal",
    )?;
    let rows = select.query_map([task_id], |r| Ok((r.id(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?;
    let rows: Vec<(MultiframeId, i64, Option<i32>, Option<i64>)> =
        rows.collect::<Result<_, _>>()?;
    let mut inputs = Vec::with_capacity(rows.len());
    for (multiframe_id, image, version, catalogue) in rows {
        let catalogue = match (version, catalogue) {
            (Some(version), Some(file)) => {
                let done = done_hdus(tx, multiframe_id.get(), version)?;
                Some(CatalogueRef { file: file_ref(tx, site, file)?, version, done })
            }
            _ => None,
        };
        inputs.push(TaskInput { multiframe_id, image: file_ref(tx, site, image)?, catalogue });
    }
    Ok(inputs)
}

/// Lists the HDUs of a catalogue whose latest `hdu_rows` entry has all rows in the archive, where they are current, read with
/// metadata that are still those of the image. Processing these HDUs again would assign other ids to the same objects.
fn done_hdus(
    tx: &Connection,
    multiframe_id: i64,
    version: i32,
) -> Result<Vec<DoneHdu>, ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT cat_ext_num - 1, ext_num FROM (
             SELECT cat_ext_num, ext_num, rows_written, rows_refused, unit_id AS last,
                 row_number() OVER (PARTITION BY cat_ext_num ORDER BY unit_id DESC) AS place
             FROM hdu_rows JOIN unit USING (unit_id) JOIN task USING (unit_id) JOIN task_input USING (task_id)
             WHERE hdu_rows.multiframe_id = ?1 AND task_input.multiframe_id = ?1 AND catalogue_version = ?2
                 AND unit.state = 'ingested') AS account
         WHERE place = 1 AND rows_written > 0 AND rows_refused = 0
             AND EXISTS (SELECT * FROM detector_rows
                         WHERE multiframe_id = ?1 AND ext_num = account.ext_num AND version = ?2
                             AND end_event IS NULL)
             AND NOT EXISTS (SELECT * FROM task_input AS input JOIN task USING (task_id) JOIN unit AS newer USING (unit_id)
                             WHERE input.multiframe_id = ?1 AND newer.use_case IN ({describing}) AND newer.unit_id > last)
         ORDER BY cat_ext_num",
        describing = product_names::describing()
    ))?;
    let rows = select.query_map(params![multiframe_id, version], |r| {
        Ok(DoneHdu { hdu: r.get(0)?, ext_num: r.get(1)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn file_ref(tx: &Connection, site: &Site, file_id: i64) -> Result<FileRef, ArchiveFault> {
    let mut file = tx
        .prepare_cached("SELECT path, name, bytes, sha256 FROM file WHERE file_id = ?1")?
        .query_row([file_id], |r| {
            Ok(FileRef {
                path: site.library_file(&r.get::<String>(0)?),
                name: r.get(1)?,
                bytes: r.get(2)?,
                sha256: r.parsed(3)?,
                refused_hdus: Vec::new(),
            })
        })?;
    file.refused_hdus = refused_hdus(tx, file_id)?;
    Ok(file)
}

/// Lists the directories of the latest attempts of another product that staged the multiframes of a task; where the task reads
/// catalogues, with these catalogues.
fn directories_read(
    tx: &Connection,
    site: &Site,
    task_id: i64,
    reader: UseCase,
    read: UseCase,
) -> Result<Vec<PathBuf>, ArchiveFault> {
    let is_of_version = i64::from(reader.product().inputs.catalogues);
    let mut select = tx.prepare_cached(
        "SELECT DISTINCT delivery.name, unit.round, task.number, task.result_attempt
         FROM task_input LEFT JOIN task ON task.task_id = (
                 SELECT task.task_id FROM task_input AS done JOIN task USING (task_id) JOIN unit USING (unit_id)
                 WHERE done.multiframe_id = task_input.multiframe_id AND done.outcome = 'done'
                     AND (CAST(?2 AS BIGINT) = 0
                          OR done.catalogue_version IS NOT DISTINCT FROM task_input.catalogue_version)
                     AND task.result_attempt IS NOT NULL
                     AND unit.use_case = ?3 AND unit.state NOT IN ('failed', 'retracted')
                 ORDER BY unit.round DESC LIMIT 1)
             LEFT JOIN unit ON unit.unit_id = task.unit_id LEFT JOIN delivery ON delivery.delivery_id = unit.delivery_id
         WHERE task_input.task_id = ?1",
    )?;
    type Place =
        (Option<DeliveryName>, Option<RoundNumber>, Option<TaskNumber>, Option<AttemptNumber>);
    let values = params![task_id, is_of_version, read.name()];
    let rows = select.query_map(values, |r| -> engine::Result<Place> {
        Ok((r.name_if_any(0)?, r.optional_id(1)?, r.optional_id(2)?, r.optional_id(3)?))
    })?;
    let mut directories = Vec::new();
    for row in rows {
        let (Some(delivery), Some(round), Some(task), Some(attempt)) = row? else {
            return Err(ArchiveFault::Conflict(format!(
                "a {reader} task has an image without staged {}",
                read.product().plural
            )));
        };
        let unit = UnitKey { delivery, use_case: read, round };
        directories.push(directory(site, &unit, task, attempt));
    }
    // Task files list the directories in the order of their names.
    directories.sort();
    Ok(directories)
}

/// Implements [`crate::Archive::renew_lease`].
pub(crate) fn renew(
    tx: &Connection,
    key: &AttemptKey,
    until: Timestamp,
) -> Result<bool, ArchiveFault> {
    let task = find_task(tx, &key.task)?;
    let renewed = tx.execute(
        "UPDATE attempt SET lease_until = ?3 WHERE task_id = ?1 AND number = ?2 AND state = 'running'",
        params![task.id, key.attempt.get(), text_of(until)],
    )?;
    Ok(renewed == 1)
}

/// Implements [`crate::Archive::end_attempt`].
pub(crate) fn end(
    tx: &Connection,
    key: &AttemptKey,
    end: AttemptEnd,
    why: &str,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    let task = find_task(tx, &key.task)?;
    let state = match end {
        AttemptEnd::Failed => "failed",
        AttemptEnd::Lost => "lost",
    };
    tx.execute(
        "UPDATE attempt SET state = ?3, ended = ?4, why = ?5
         WHERE task_id = ?1 AND number = ?2 AND state = 'running'",
        params![
            task.id,
            key.attempt.get(),
            state,
            text_of(now),
            model::shown_briefly(why, WHY_BYTES)
        ],
    )?;
    Ok(())
}

/// Implements [`crate::Reader::running_attempts`].
pub(crate) fn running(c: &Connection, site: &Site) -> Result<Vec<RunningAttempt>, ArchiveFault> {
    let mut select = c.prepare_cached(&format!(
        "SELECT {UNIT_COLUMNS}, task.number, attempt.number, executor, holder, lease_until, started,
             host, job, memory_bytes
         FROM attempt JOIN task USING (task_id) JOIN unit USING (unit_id) JOIN delivery USING (delivery_id)
             LEFT JOIN attempt_place ON attempt_place.task_id = attempt.task_id
                 AND attempt_place.number = attempt.number
         WHERE attempt.state = 'running' ORDER BY attempt.task_id, attempt.number"
    ))?;
    let rows = select.query_map([], |r| {
        let unit = unit_of(r)?.key;
        let attempt = AttemptKey { task: TaskKey { unit, task: r.id(6)? }, attempt: r.id(7)? };
        let texts: [String; 4] = [r.get(8)?, r.get(9)?, r.get(10)?, r.get(11)?];
        let place = match r.name_if_any(12)? {
            Some(host) => Some(Place { host, job: r.get(13)?, memory_bytes: r.get(14)? }),
            None => None,
        };
        Ok((attempt, texts, place))
    })?;
    let mut running = Vec::new();
    for row in rows {
        let (attempt, [executor, holder, until, started], place) = row?;
        running.push(RunningAttempt {
            directory: directory_of(site, &attempt),
            attempt,
            lease: Lease { executor, holder, until: time_of(&until)? },
            started: time_of(&started)?,
            place,
        });
    }
    Ok(running)
}

/// Implements [`crate::Reader::sweepable_attempts`].
pub(crate) fn sweepable(
    c: &Connection,
    site: &Site,
    ingested_before: Timestamp,
) -> Result<Vec<(AttemptKey, PathBuf)>, ArchiveFault> {
    let mut select = c.prepare_cached(&format!(
        "SELECT {UNIT_COLUMNS}, task.number, attempt.number
         FROM attempt JOIN task USING (task_id) JOIN unit USING (unit_id) JOIN delivery USING (delivery_id)
         WHERE swept = 0 AND (
             attempt.state IN ('failed', 'lost', 'redundant')
             OR attempt.state = 'accepted' AND unit.use_case NOT IN ({read_by_others}) AND unit.state = 'ingested'
                 AND EXISTS (SELECT * FROM unit_history AS moved
                             WHERE moved.unit_id = unit.unit_id AND moved.to_state = 'ingested' AND moved.changed < ?1))
         ORDER BY attempt.task_id, attempt.number",
        read_by_others = product_names::read_by_others()
    ))?;
    let rows = select.query_map([text_of(ingested_before)], |r| {
        let unit = unit_of(r)?.key;
        let attempt = AttemptKey { task: TaskKey { unit, task: r.id(6)? }, attempt: r.id(7)? };
        let directory = directory_of(site, &attempt);
        Ok((attempt, directory))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Implements [`crate::Archive::mark_swept`].
pub(crate) fn mark_swept(tx: &Connection, key: &AttemptKey) -> Result<(), ArchiveFault> {
    let task = find_task(tx, &key.task)?;
    tx.execute(
        "UPDATE attempt SET swept = 1
         WHERE task_id = ?1 AND number = ?2 AND state <> 'running'",
        params![task.id, key.attempt.get()],
    )?;
    Ok(())
}

/// Implements [`crate::Archive::note_job`].
pub(crate) fn note_job(
    tx: &Connection,
    attempt: &AttemptKey,
    job: &str,
) -> Result<(), ArchiveFault> {
    note(tx, attempt, "job", job)
}

/// Implements [`crate::Archive::note_end`].
pub(crate) fn note_end(
    tx: &Connection,
    attempt: &AttemptKey,
    cause: EndCause,
) -> Result<(), ArchiveFault> {
    note(tx, attempt, "ended_by", cause.name())
}

fn note(
    tx: &Connection,
    attempt: &AttemptKey,
    column: &str,
    value: &str,
) -> Result<(), ArchiveFault> {
    let task = find_task(tx, &attempt.task)?;
    tx.execute(
        &format!("UPDATE attempt_place SET {column} = ?3 WHERE task_id = ?1 AND number = ?2"),
        params![task.id, attempt.attempt.get(), value],
    )?;
    Ok(())
}
