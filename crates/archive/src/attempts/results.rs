//! Results of attempts: the first complete result of a task counts, the others are redundant.

use crate::attempts::{acceptance, results};
use crate::error::{ArchiveError, ArchiveFault};
use crate::findings::{self, Found};
use crate::history::Cause;
use crate::refusals::met::{self, Met};
use crate::refusals::{self, Stage, waiting};
use crate::rounds::{self, Task, TaskKey, TaskState, find_task, request_again, stage_when_over};
use crate::time::text_of;
use crate::{Archive, Timestamp};
use engine::{Connection, Optional};
use model::products::defined;
use model::task::TaskResult;
use model::{FileId, MultiframeId, Refusal, RefusalCode, ReportCode, UnitState, UseCase};
use rusqlite::params;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The outcome of one file in a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Products were staged (some HDUs or rows may have been refused).
    Done,
    /// The whole file was refused.
    Refused,
    /// The whole file waits for another file or a programme, and is retried automatically.
    Parked,
}

impl Outcome {
    /// Returns the name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Parked => "parked",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Done, Self::Refused, Self::Parked].into_iter().find(|o| o.name() == name)
    }
}

/// The treatment of a submitted result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// The result was accepted.
    Accepted {
        /// Refusals met for the first time.
        new_refusals: u64,
        /// True when the round is staged now.
        staged: bool,
    },
    /// The same result was accepted before.
    Already,
    /// The result of another start was first; this attempt may be swept.
    Redundant,
}

/// Number of refusals that are recorded in one transaction: more would block other writers for seconds.
pub(crate) const REFUSALS_AT_ONCE: usize = 5000;

impl Archive {
    /// Accepts a result, if it is the first of its task: records refusals, findings and outcomes, releases what waited for it,
    /// and moves the round to `staged` after the last task.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when the result does not belong to a started attempt of the task.
    pub fn accept_result(
        &mut self,
        result: &TaskResult,
        now: Timestamp,
    ) -> Result<Acceptance, ArchiveError> {
        let act = format!("accept the result of task {} of {}", result.task, result.unit);
        let mut new = 0;
        if result.refusals.len() > results::REFUSALS_AT_ONCE {
            let act = || format!("record refusals of task {} of {}", result.task, result.unit);
            let mut part = || self.write("result-part", act(), |tx| note_part(tx, result, now));
            while let Some(noted) = part()? {
                new += noted;
            }
        }
        match self.write("result", act, |tx| take(tx, result, now))? {
            Acceptance::Accepted { new_refusals, staged } => {
                Ok(Acceptance::Accepted { new_refusals: new_refusals + new, staged })
            }
            taken => Ok(taken),
        }
    }

    /// Gives a task up: its files are refused with the code `task_failed`, and the round continues without them. Returns the
    /// number of new refusals and whether the round is staged now.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when the task is done.
    pub fn give_up_task(
        &mut self,
        task: &TaskKey,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Acceptance, ArchiveError> {
        let act = format!("give up task {} of {}", task.task, task.unit);
        self.write("give-up", act, |tx| give_up(tx, task, cause, now))
    }
}

/// Records part of the refusals of a very long result, before the result is accepted. Returns how many of them are new, or `None`
/// when the rest can be recorded together with the result. After an interruption, the next call resumes after the recorded
/// refusals.
pub(crate) fn note_part(
    tx: &Connection,
    result: &TaskResult,
    now: Timestamp,
) -> Result<Option<u64>, ArchiveFault> {
    let key = TaskKey { unit: result.unit.clone(), task: result.task };
    let task = find_task(tx, &key)?;
    let noted = noted(tx, &task, result)?;
    let ordered = ordered(result);
    let rest = ordered.get(noted..).unwrap_or_default();
    let is_open = task.unit.state == UnitState::Running && task.state == TaskState::Open;
    if !is_open || rest.len() <= REFUSALS_AT_ONCE {
        return Ok(None);
    }
    let inputs = inputs(tx, task.id)?;
    acceptance::check(&task, &inputs, result)?;
    let new = note_all(tx, &task, &inputs, &rest[..REFUSALS_AT_ONCE], now)?;
    tx.execute(
        "UPDATE attempt SET recorded_refusals = recorded_refusals + ?3 WHERE task_id = ?1 AND number = ?2",
        params![task.id, result.attempt.get(), REFUSALS_AT_ONCE as u64],
    )?;
    Ok(Some(new))
}

/// Returns the refusals of a result by file, code and HDU, so that each part of a long list is about few files, and the recorded
/// refusals of a file are read once.
fn ordered(result: &TaskResult) -> Vec<&Refusal> {
    let mut refusals: Vec<&Refusal> = result.refusals.iter().collect();
    refusals.sort_by(|a, b| (&a.file, &a.code, a.hdu).cmp(&(&b.file, &b.code, b.hdu)));
    refusals
}

/// Returns the number of refusals of an attempt's result that are already recorded.
fn noted(tx: &Connection, task: &Task, result: &TaskResult) -> Result<usize, ArchiveFault> {
    let noted: Option<u64> = tx
        .query_row(
            "SELECT recorded_refusals FROM attempt WHERE task_id = ?1 AND number = ?2",
            params![task.id, result.attempt.get()],
            |r| r.get(0),
        )
        .optional()?;
    Ok(usize::try_from(noted.unwrap_or(0)).unwrap_or(0).min(result.refusals.len()))
}

/// Implements [`crate::Archive::accept_result`].
pub(crate) fn take(
    tx: &Connection,
    result: &TaskResult,
    now: Timestamp,
) -> Result<Acceptance, ArchiveFault> {
    let key = TaskKey { unit: result.unit.clone(), task: result.task };
    let task = find_task(tx, &key)?;
    let state: Option<String> = tx
        .query_row(
            "SELECT state FROM attempt WHERE task_id = ?1 AND number = ?2",
            params![task.id, result.attempt.get()],
            |r| r.get(0),
        )
        .optional()?;
    if state.is_none() {
        return Err(ArchiveFault::Conflict(format!(
            "task {} of {} was never started as attempt {}",
            result.task, result.unit, result.attempt
        )));
    }
    if task.result_attempt == Some(result.attempt) {
        return Ok(Acceptance::Already);
    }
    let inputs = inputs(tx, task.id)?;
    acceptance::check(&task, &inputs, result)?;
    // The compare-and-set: only an open task of a running round accepts a result.
    let first = task.unit.state == UnitState::Running
        && tx.execute(
            "UPDATE task SET state = 'done', result_attempt = ?2 WHERE task_id = ?1 AND state = 'open'",
            params![task.id, result.attempt.get()],
        )? == 1;
    if !first {
        tx.execute(
            "UPDATE attempt SET state = 'redundant', ended = coalesce(ended, ?3), why = 'another result was first', swept = 0
             WHERE task_id = ?1 AND number = ?2",
            params![task.id, result.attempt.get(), text_of(now)],
        )?;
        return Ok(Acceptance::Redundant);
    }
    write_result(tx, &task, result, now)?;
    let refusals = of_files(&result.refusals);
    for input in &inputs {
        let (name, _) = input.subject(task.unit.key.use_case);
        let refused = refusals.get(name.as_str()).map_or(&[][..], Vec::as_slice);
        set_outcome(tx, task.id, input, outcome(refused, task.unit.key.use_case))?;
    }
    let noted = noted(tx, &task, result)?;
    let rest = &ordered(result)[noted..];
    let new_refusals = note_all(tx, &task, &inputs, rest, now)?;
    note_findings(tx, &task, &inputs, result)?;
    resolve_inputs(tx, &task, &inputs, &refusals, now)?;
    over(tx, &task, new_refusals, now)
}

/// Records the findings of a result, counted over its files; findings of earlier rounds about these files are replaced.
fn note_findings(
    tx: &Connection,
    task: &Task,
    inputs: &[Input],
    result: &TaskResult,
) -> Result<(), ArchiveFault> {
    let (stage, round) = (Stage::Task(task.unit.key.use_case), task.unit.key.round.get());
    let mut names: HashMap<&str, i64> = HashMap::new();
    for (name, file) in inputs.iter().flat_map(|i| std::iter::once(&i.image).chain(&i.catalogue)) {
        names.insert(name, file.get());
    }
    let covered: BTreeSet<i64> = names.values().copied().collect();
    findings::forget(tx, task.unit.delivery_id, Some((stage, round)), &covered)?;
    let file_of = |ordinal: u32, is_catalogue: bool| {
        let input = inputs.get(usize::try_from(ordinal).unwrap_or(usize::MAX).wrapping_sub(1))?;
        let file = if is_catalogue { input.catalogue.as_ref()? } else { &input.image };
        Some(file.1.get())
    };
    let found = result.findings.iter().map(|finding| {
        let told = result.counted.iter().filter(|counted| {
            counted.code == finding.code && Some(&counted.subject) == finding.subject.as_ref()
        });
        let mut members: BTreeMap<i64, u64> = BTreeMap::new();
        for counted in told.filter(|_| finding.files > 1) {
            for [first, last, count] in &counted.inputs {
                // Input numbers that the task does not have are ignored.
                for ordinal in *first..=(*last).min(u32::try_from(inputs.len()).unwrap_or(u32::MAX))
                {
                    if let Some(file) = file_of(ordinal, counted.catalogue) {
                        *members.entry(file).or_default() += u64::from(*count);
                    }
                }
            }
        }
        if members.is_empty() {
            let file = names.get(finding.file.as_str()).copied().unwrap_or_default();
            members.insert(file, finding.count);
        }
        Found { finding, members }
    });
    findings::note(tx, task.unit.delivery_id, stage, round, found.collect())
}

/// Implements [`crate::Archive::give_up_task`].
pub(crate) fn give_up(
    tx: &Connection,
    key: &TaskKey,
    cause: &Cause,
    now: Timestamp,
) -> Result<Acceptance, ArchiveFault> {
    let task = find_task(tx, key)?;
    match task.state {
        TaskState::GivenUp => return Ok(Acceptance::Already),
        TaskState::Done => {
            return Err(ArchiveFault::Conflict(format!(
                "task {} of {} is done",
                key.task, key.unit
            )));
        }
        TaskState::Open => {}
    }
    if task.unit.state != UnitState::Running {
        return Err(ArchiveFault::Conflict(format!("{} is {}", key.unit, task.unit.state)));
    }
    tx.execute("UPDATE task SET state = 'given_up' WHERE task_id = ?1", [task.id])?;
    let inputs = inputs(tx, task.id)?;
    let mut refused = Vec::new();
    for input in &inputs {
        set_outcome(tx, task.id, input, Outcome::Refused)?;
        let file = input.subject(task.unit.key.use_case).0.clone();
        refused.push(Refusal::new(RefusalCode::TASK_FAILED, file, cause.why.clone()));
    }
    let refused: Vec<&Refusal> = refused.iter().collect();
    let new_refusals = note_all(tx, &task, &inputs, &refused, now)?;
    over(tx, &task, new_refusals, now)
}

/// Completes a finished task: settles the catalogues that wait for the task, and stages the round after its last task.
fn over(
    tx: &Connection,
    task: &Task,
    new: u64,
    now: Timestamp,
) -> Result<Acceptance, ArchiveFault> {
    let mut new_refusals = new;
    if task.unit.key.use_case.product().describes_images() {
        new_refusals += waiting::settle(tx, task.unit.delivery_id, None, &|_, _| None, now)?.new;
    }
    let staged = stage_when_over(tx, &rounds::find(tx, &task.unit.key)?, now)?;
    Ok(Acceptance::Accepted { new_refusals, staged })
}

fn write_result(
    tx: &Connection,
    task: &Task,
    result: &TaskResult,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    let text = serde_json::to_string(result)
        .map_err(|fault| ArchiveFault::Damaged(format!("a result: {fault}")))?;
    let run = &result.run;
    tx.execute(
        "UPDATE attempt SET state = 'accepted', ended = ?3, why = NULL, result = ?4, seconds = ?5, cpu_seconds = ?6,
             peak_memory_bytes = ?7, input_bytes = ?8
         WHERE task_id = ?1 AND number = ?2",
        params![
            task.id,
            result.attempt.get(),
            text_of(now),
            text,
            run.seconds,
            run.cpu_seconds,
            run.peak_memory_bytes,
            run.input_bytes
        ],
    )?;
    let bytes: u64 = result.files.iter().map(|file| file.bytes).sum();
    let rows: u64 = result.files.iter().map(|file| file.rows).sum();
    tx.execute(
        "UPDATE attempt_place SET output_bytes = ?3, output_rows = ?4 WHERE task_id = ?1 AND number = ?2",
        params![task.id, result.attempt.get(), bytes, rows],
    )?;
    Ok(())
}

/// One file of a task with its names and numbers.
pub(crate) struct Input {
    pub multiframe: MultiframeId,
    pub image: (String, FileId),
    pub catalogue: Option<(String, FileId)>,
    pub catalogue_version: Option<i32>,
    /// Rows of the catalogue in all HDUs, as counted on arrival.
    pub catalogue_rows: Option<u64>,
}

impl Input {
    /// Returns the file that a use case is about: name and internal number.
    fn subject(&self, use_case: UseCase) -> &(String, FileId) {
        let catalogue = self.catalogue.as_ref().filter(|_| use_case.product().is_of_catalogue());
        catalogue.unwrap_or(&self.image)
    }
}

fn inputs(tx: &Connection, task_id: i64) -> Result<Vec<Input>, ArchiveFault> {
    let mut select = tx.prepare_cached(
        "SELECT task_input.multiframe_id, file.name, file.file_id, of_catalogue.name, of_catalogue.file_id,
             task_input.catalogue_version, of_catalogue.rows
         FROM task_input JOIN image USING (multiframe_id) JOIN file ON file.file_id = image.file_id
             LEFT JOIN catalogue ON catalogue.multiframe_id = task_input.multiframe_id
                 AND catalogue.version = task_input.catalogue_version
             LEFT JOIN file AS of_catalogue ON of_catalogue.file_id = catalogue.file_id
         WHERE task_id = ?1 ORDER BY ordinal",
    )?;
    let rows = select.query_map([task_id], |r| {
        let catalogue: (Option<String>, Option<FileId>) = (r.get(3)?, r.optional_id(4)?);
        Ok(Input {
            multiframe: r.id(0)?,
            image: (r.get(1)?, r.id(2)?),
            catalogue: catalogue.0.zip(catalogue.1),
            catalogue_version: r.get(5)?,
            catalogue_rows: r.get(6)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

type OfFiles<'r> = HashMap<&'r str, Vec<&'r Refusal>>;

/// Groups refusals by the file that they are about.
fn of_files(refusals: &[Refusal]) -> OfFiles<'_> {
    let mut of_files = OfFiles::new();
    for refusal in refusals {
        of_files.entry(&refusal.file).or_default().push(refusal);
    }
    of_files
}

/// Returns the outcome of a file: a refusal of the whole file, or of the primary header that all its HDUs need, refuses the file.
fn outcome(refused: &[&Refusal], use_case: UseCase) -> Outcome {
    let whole = |r: &&&Refusal| {
        r.rows == 0 && (r.hdu.is_none() || (r.hdu == Some(0) && use_case == UseCase::Metadata))
    };
    let mut refusals = refused.iter().filter(whole).peekable();
    if refusals.peek().is_none() {
        return Outcome::Done;
    }
    if refusals.all(|r| r.parked) { Outcome::Parked } else { Outcome::Refused }
}

fn set_outcome(
    tx: &Connection,
    task_id: i64,
    input: &Input,
    outcome: Outcome,
) -> Result<(), ArchiveFault> {
    tx.prepare_cached(
        "UPDATE task_input SET outcome = ?3 WHERE task_id = ?1 AND multiframe_id = ?2",
    )?
    .execute(params![task_id, input.multiframe.get(), outcome.name()])?;
    Ok(())
}

fn note_all(
    tx: &Connection,
    task: &Task,
    inputs: &[Input],
    refused: &[&Refusal],
    now: Timestamp,
) -> Result<u64, ArchiveFault> {
    let mut files: HashMap<&str, FileId> = HashMap::new();
    for input in inputs {
        for (name, file) in std::iter::once(&input.image).chain(&input.catalogue) {
            files.insert(name, *file);
        }
    }
    let mut met = Vec::with_capacity(refused.len());
    for refusal in refused {
        met.push(Met {
            delivery: task.unit.delivery_id,
            stage: Stage::Task(task.unit.key.use_case),
            unit: Some(task.unit.id),
            file: files.get(refusal.file.as_str()).copied(),
            refusal,
        });
    }
    met::note_many(tx, &met, now)
}

/// Resolves refusals of earlier rounds that this round did not meet again. When a product that was refused before is
/// accepted now, the image's products that follow it become due again, since they were made without it.
fn resolve_inputs(
    tx: &Connection,
    task: &Task,
    inputs: &[Input],
    met: &OfFiles<'_>,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    let use_case = task.unit.key.use_case;
    let cause = Cause::new("queue", format!("not met again in round {}", task.unit.key.round));
    for input in inputs {
        let (name, file) = input.subject(use_case);
        let met = met.get(name.as_str()).into_iter().flatten();
        let met: BTreeSet<(ReportCode, Option<u16>)> =
            met.map(|r| (r.code.clone(), r.hdu)).collect();
        let resolved =
            refusals::resolve_not_met(tx, file.get(), Stage::Task(use_case), &met, &cause, now)?;
        if resolved == 0 {
            continue;
        }
        let why =
            format!("the refused part of the image's {} is good now", use_case.product().noun);
        for follower in defined().filter(|u| u.product().follows.contains(&use_case)) {
            if has_round(tx, follower, input)? {
                request_again(tx, input.image.1.get(), follower, &why, now)?;
            }
        }
    }
    Ok(())
}

/// Returns true when a round of a use case covered the image.
fn has_round(tx: &Connection, use_case: UseCase, input: &Input) -> Result<bool, ArchiveFault> {
    Ok(tx
        .prepare_cached(
            "SELECT EXISTS (SELECT * FROM task_input JOIN task USING (task_id) JOIN unit USING (unit_id)
                            WHERE multiframe_id = ?1 AND unit.use_case = ?2)",
        )?
        .query_row(params![input.multiframe.get(), use_case.name()], |r| r.get(0))?)
}
