//! The control store: deliveries, files, rounds, tasks, attempts, refusals, events, and the interface to the pipeline.
//!
//! The traits declare what the pipeline needs. Each method is one complete act in one transaction. The SQL behind the traits is
//! written once for both engines (`store`), and one conformance suite runs on every engine (`tests/control_conformance`).
//! [`Registry`] serves registration, [`Queue`] running tasks, [`Planning`] planning and decisions, [`Publication`] ingest,
//! [`Curation`] retraction and purging, [`Holdings`] the verification of the library, [`Inquiry`] reports.
//!
//! Every method may be repeated after a crash: it finds what was done before. Time is a parameter. A state changes only where
//! [`model::UnitState::may_become`] allows, and every change adds a row to a history.
//!
//! Start at the traits below; values are in [`records`]. Tables are in [`schema`]. Does not decide what is to be done (that is
//! `register::plan` and `ingest`), touch FITS files, or write products.

use crate::Timestamp;
use crate::attempts::results::Taken;
use crate::attempts::{AttemptEnd, AttemptKey, Lease, Place, RunningAttempt, Started};
use crate::batches::{IdRange, Receipt, RowsOfProgramme, StagedBatch, StagedRound};
use crate::deliveries::origins::{Claim, DeliveryOrigin, KnownOrigin};
use crate::deliveries::{Recorded, Registration, SkippedEntry};
use crate::error::ArchiveError;
use crate::explain::sheets as explain;
use crate::history::Cause;
use crate::library::{Holding, KnownFile, Soundness};
use crate::metadata::ReferenceRows;
use crate::planning::*;
use crate::products::aside::SetAside;
use crate::products::kept::KeptProduct;
use crate::programmes::Programme;
use crate::refusals::{Decision, RefusalFilter, RefusalRecord};
use crate::retraction::Retracted;
use crate::retraction::purge::{PurgeScope, Purged};
use crate::rounds::{PlannedRound, TaskKey, TaskRecord};
use crate::site::Site;
use crate::status as report;
use crate::work::DeliveryWork;
use model::task::TaskResult;
use model::{EventId, ProgrammeId, UnitKey, UnitState, UseCase};

/// Methods of registration.
pub trait Registry {
    /// Records what arrived of a delivery: ids for new images, versions for new catalogues, supersession of older contents,
    /// refusals, and the release of refusals that waited for these files. Recording the same arrivals again changes nothing.
    ///
    /// # Errors
    /// [`ArchiveError`]; nothing is recorded then.
    fn record(
        &mut self,
        registration: &Registration<'_>,
        now: Timestamp,
    ) -> Result<Recorded, ArchiveError>;

    /// Lists all contents that arrived under the names of a delivery, by name, oldest first; empty for an unknown delivery.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn known_files(&self, delivery: &str) -> Result<Vec<KnownFile>, ArchiveError>;

    /// Returns the origins of deliveries, in the order of their recording: all of them, or those with a directory of a name.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn origins(&self, directory: Option<&str>) -> Result<Vec<KnownOrigin>, ArchiveError>;

    /// Records that a delivery comes from an origin. A reservation of the name by another origin whose fetch never registered a
    /// file expires. The caller holds the lock of the delivery's directory in the library.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when the origin has another delivery, or the delivery another origin and is not joined.
    fn claim_origin(
        &mut self,
        place: &DeliveryOrigin,
        delivery: &str,
        claim: Claim<'_>,
        now: Timestamp,
    ) -> Result<(), ArchiveError>;

    /// Removes the reservation of a name for which no file was registered; does nothing for a delivery that exists.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn release_origin(&mut self, place: &DeliveryOrigin) -> Result<(), ArchiveError>;

    /// Declares a delivery complete by an operator's decision. Later fetches await nothing of the delivery, until
    /// [`DeliveryFacts::is_reopened`]. Returns `false` when it was declared complete before.
    ///
    /// # Errors
    /// [`ArchiveError`], an unknown delivery among them.
    fn close_delivery(
        &mut self,
        delivery: &str,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<bool, ArchiveError>;

    /// Returns the entries that the source of a delivery showed at its last listing and that were not fetched.
    ///
    /// # Errors
    /// [`ArchiveError`], an unknown delivery among them.
    fn skipped(&self, delivery: &str) -> Result<Vec<SkippedEntry>, ArchiveError>;

    /// Updates a reference table to the rows of the profiles, in one event; returns `None` when nothing changed. Rows that are
    /// not mentioned stay.
    ///
    /// # Errors
    /// [`ArchiveError`]; nothing is changed then.
    fn load_reference(
        &mut self,
        tables: &[ReferenceRows],
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Option<EventId>, ArchiveError>;

    /// Adds a programme, or finds the one of the same name and PROJECT, and releases the parked refusals for which `releases`
    /// returns true. Returns the programme's id and the number of released refusals.
    ///
    /// # Errors
    /// [`ArchiveError`], a conflict among them when the name belongs to another PROJECT.
    fn add_programme(
        &mut self,
        name: &str,
        project: &str,
        releases: &dyn Fn(&RefusalRecord) -> bool,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<(ProgrammeId, u64), ArchiveError>;
}

/// Methods of running tasks.
pub trait Queue {
    /// Returns all data that decide what is to be done about a delivery.
    ///
    /// # Errors
    /// [`ArchiveError`], an unknown delivery among them.
    fn delivery_work(&self, delivery: &str) -> Result<DeliveryWork, ArchiveError>;

    /// Requests that all current images of a delivery are redone in the next round, with the reason of the cause.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn request_again(
        &mut self,
        delivery: &str,
        use_case: UseCase,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<(), ArchiveError>;

    /// Opens a round with its tasks: `waiting` and at once `ready`. The round includes the pending requests to redo files.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when another open round of the use case already covers one of the files.
    fn open_round(
        &mut self,
        round: &PlannedRound,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<UnitKey, ArchiveError>;

    /// Returns the state of a round.
    ///
    /// # Errors
    /// [`ArchiveError`], an unknown round among them.
    fn unit_state(&self, unit: &UnitKey) -> Result<UnitState, ArchiveError>;

    /// Moves a round to another state and records the change.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when the current state may not become the new one.
    fn move_unit(
        &mut self,
        unit: &UnitKey,
        to: UnitState,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<(), ArchiveError>;

    /// Lists the tasks of a round, in order.
    ///
    /// # Errors
    /// [`ArchiveError`], an unknown round among them.
    fn tasks(&self, unit: &UnitKey) -> Result<Vec<TaskRecord>, ArchiveError>;

    /// Starts an attempt of a task: assigns it a number and a directory, records the host that it will be sent to, if any, and
    /// moves an approved round to running.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when the task is finished or its round neither approved nor running.
    fn start_attempt(
        &mut self,
        task: &TaskKey,
        lease: &Lease,
        place: Option<&Place>,
        now: Timestamp,
    ) -> Result<Started, ArchiveError>;

    /// Extends the lease of a running attempt; returns `false` when the attempt has ended.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn renew_lease(&mut self, attempt: &AttemptKey, until: Timestamp)
    -> Result<bool, ArchiveError>;

    /// Accepts a result, if it is the first of its task: records refusals, findings and outcomes, releases what waited for it,
    /// and moves the round to `staged` after the last task.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when the result does not belong to a started attempt of the task.
    fn take_result(&mut self, result: &TaskResult, now: Timestamp) -> Result<Taken, ArchiveError>;

    /// Records that a running attempt ended without result. An attempt that has ended already stays as it is.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn end_attempt(
        &mut self,
        attempt: &AttemptKey,
        end: AttemptEnd,
        why: &str,
        now: Timestamp,
    ) -> Result<(), ArchiveError>;

    /// Gives a task up: its files are refused with the code `task_failed`, and the round continues without them. Returns the
    /// number of new refusals and whether the round is staged now.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when the task is done.
    fn give_up_task(
        &mut self,
        task: &TaskKey,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Taken, ArchiveError>;

    /// Lists the attempts that have not ended.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn running_attempts(&self) -> Result<Vec<RunningAttempt>, ArchiveError>;

    /// Lists the attempts whose directories may be removed: those that ended without their result having been accepted, and those
    /// of previews and catalogues whose round was ingested before a given time. Staged metadata stay, because later catalogue
    /// rounds read them.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn sweepable_attempts(
        &self,
        ingested_before: Timestamp,
    ) -> Result<Vec<(AttemptKey, std::path::PathBuf)>, ArchiveError>;

    /// Records that an attempt's directory was removed.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn mark_swept(&mut self, attempt: &AttemptKey) -> Result<(), ArchiveError>;
}

/// Methods of planning, and of operators' decisions.
pub trait Planning {
    /// Lists the instructions in force, oldest first.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn instructions(&self) -> Result<Vec<Standing>, ArchiveError>;

    /// Records an instruction; it replaces one of the same kind on the same subject.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn instruct(
        &mut self,
        subject: &Subject,
        instruction: &Instruction,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<(), ArchiveError>;

    /// Withdraws an instruction of the given act (as [`Instruction::act`] names it); returns `false` when there is none.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn withdraw(
        &mut self,
        subject: &Subject,
        act: &str,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<bool, ArchiveError>;

    /// Ends the pauses and drains of a subject and of everything within it, or those that the rejection of a plan made. Returns
    /// their subjects.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn resume(
        &mut self,
        resumed: &Resumed,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Vec<Subject>, ArchiveError>;

    /// Returns the units of some deliveries of which nothing new may start. The night beside a name is used for a delivery that
    /// the archive does not know.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn held(&self, deliveries: &[(String, Option<i32>)]) -> Result<Vec<Held>, ArchiveError>;

    /// Returns the number of the latest change of an instruction: a plan that was made before that change is stale.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn instructions_given(&self) -> Result<i64, ArchiveError>;

    /// Lists the decisions on plans, oldest first.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn decisions(&self, at_most: u32) -> Result<Latest<PlanDecision>, ArchiveError>;

    /// Returns the latest instructions that were given or withdrawn, oldest first.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn instruction_history(&self, at_most: u32) -> Result<Latest<InstructionChange>, ArchiveError>;

    /// Lists the deliveries that have work to do or may receive files, in the order of registration. Complete deliveries with
    /// nothing open are omitted.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn unfinished_deliveries(&self) -> Result<Vec<Unfinished>, ArchiveError>;

    /// Lists the tasks without result of all rounds that are open and not staged, in the order of registration.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn open_tasks(&self) -> Result<Vec<OpenTask>, ArchiveError>;

    /// Lists the resources that the latest tasks used, at most `most` tasks, oldest first.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn recent_results(&self, most: u32) -> Result<Vec<TaskUsage>, ArchiveError>;

    /// Submits a plan to the operator: its rounds become proposed. The undecided parts of earlier plans are superseded. Returns
    /// the plan's number.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn propose(
        &mut self,
        proposal: &Proposal,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<i64, ArchiveError>;

    /// Withdraws the undecided proposal; its rounds become ready again.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn withdraw_proposal(&mut self, cause: &Cause, now: Timestamp) -> Result<(), ArchiveError>;

    /// Approves a plan or part of it; without a number, the plan that waits for a decision.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when it is decided or superseded, or no plan waits for a decision.
    fn approve(
        &mut self,
        plan_id: Option<i64>,
        selection: &Selection,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Decided, ArchiveError>;

    /// Rejects the undecided part of a plan; without a number, of the plan that waits for a decision. The units of that part are
    /// paused, so that they are not proposed again automatically, and their proposed rounds become ready again. Returns the
    /// number of the plan and the units.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when it is decided or superseded, or no plan waits for a decision.
    fn reject(
        &mut self,
        plan_id: Option<i64>,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<(i64, Vec<(String, UseCase)>), ArchiveError>;

    /// Approves rounds that were opened after the plan that covers them was approved, and returns these rounds.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn approve_expected(&mut self, now: Timestamp) -> Result<Vec<UnitKey>, ArchiveError>;

    /// Lists the rounds that were approved before they are open.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn approved_expected(&self) -> Result<Vec<(String, UseCase)>, ArchiveError>;

    /// Returns a plan, the latest when no number is given; `None` when there is none.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn plan(&self, plan_id: Option<i64>) -> Result<Option<PlanRecord>, ArchiveError>;

    /// Compares the planned and the actual runs of a plan's tasks, by planned start. Tasks that a later plan took over are
    /// omitted.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn compare(&self, plan_id: i64) -> Result<Vec<PlannedRun>, ArchiveError>;

    /// Returns the actual runs of the tasks of a unit's rounds that were opened since a time and were in no plan as open rounds.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn compare_expected(
        &self,
        delivery: &str,
        use_case: UseCase,
        since: Timestamp,
    ) -> Result<Vec<ExpectedRun>, ArchiveError>;

    /// Records the executor's name of an attempt.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn note_job(&mut self, attempt: &AttemptKey, job: &str) -> Result<(), ArchiveError>;

    /// Records the cause of an attempt's end without result, e.g. `memory`.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn note_end(&mut self, attempt: &AttemptKey, code: &str) -> Result<(), ArchiveError>;
}

/// Methods of ingest. A batch passes through `reserve` → `load` → `publish`; each may be repeated, by any process.
pub trait Publication {
    /// Rows prepared by [`Publication::load`], not visible yet.
    type Loaded;

    /// Returns the site whose staging area and previews belong to this archive.
    fn site(&self) -> &Site;

    /// Lists the staged rounds in the order of their deliveries' registration (metadata before previews before detections), each
    /// with the reason why it is blocked, if it is.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn staged_rounds(&self) -> Result<Vec<StagedRound>, ArchiveError>;

    /// Returns a staged round with its results.
    ///
    /// # Errors
    /// [`ArchiveError`], an unknown round or one that is not staged among them.
    fn batch(&self, unit: &UnitKey) -> Result<StagedBatch, ArchiveError>;

    /// Assigns object ids to a batch and records them; the same batch gets the same ids again.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when ids were reserved for other counts.
    fn reserve(
        &mut self,
        unit: &UnitKey,
        wanted: &[RowsOfProgramme],
        now: Timestamp,
    ) -> Result<Vec<IdRange>, ArchiveError>;

    /// Loads a batch invisibly, without holding a lock.
    ///
    /// # Errors
    /// [`ArchiveError`]; [`ArchiveError::failed_check`] returns the check when the batch itself is at fault.
    fn load(
        &mut self,
        batch: &StagedBatch,
        ranges: &[IdRange],
    ) -> Result<Self::Loaded, ArchiveError>;

    /// Makes a loaded batch visible in one short transaction, or finds that an earlier run did.
    ///
    /// # Errors
    /// [`ArchiveError`]; nothing is visible then.
    fn publish(
        &mut self,
        batch: &StagedBatch,
        loaded: Self::Loaded,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Receipt, ArchiveError>;

    /// Refuses a batch that failed a check: its round fails, its id ranges are abandoned, and a refusal names the check.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn refuse_batch(
        &mut self,
        unit: &UnitKey,
        check: &str,
        message: &str,
        now: Timestamp,
    ) -> Result<(), ArchiveError>;

    /// Removes what was loaded for batches that will never be published, and returns its names. Items that cannot be removed are
    /// left for the next call.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn clear_abandoned(&mut self) -> Result<Vec<String>, ArchiveError>;

    /// Keeps the archive fast: on a server, merges partitions when there are many. Returns the number of merged partitions.
    ///
    /// # Errors
    /// [`ArchiveError`]; the archive is then unchanged.
    fn tidy(&mut self) -> Result<u64, ArchiveError>;

    /// Waits for another process to change the archive, for a limited time. Returns `true` when one did. A change may be missed,
    /// so the result is only a hint.
    ///
    /// # Errors
    /// [`ArchiveError`] when the archive cannot be reached.
    fn await_change(&mut self, at_most: std::time::Duration) -> Result<bool, ArchiveError>;

    /// Marks deliveries complete that have everything they announced and nothing left to ingest. Returns their names.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn complete_deliveries(&mut self, now: Timestamp) -> Result<Vec<String>, ArchiveError>;
}

/// Methods that undo and delete.
pub trait Curation {
    /// Retracts rounds of a delivery from all tables and views, in one event: those of some use cases, with what refers to them
    /// (previews and detections follow their metadata), or all. What the delivery had superseded shows again.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when nothing of it is in the archive.
    fn retract(
        &mut self,
        delivery: &str,
        use_cases: &[UseCase],
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Retracted, ArchiveError>;

    /// Restores what was retracted of a delivery, under the same ids, in one event.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when there is nothing to restore, or something was ingested in its place.
    fn restore(
        &mut self,
        delivery: &str,
        use_cases: &[UseCase],
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Retracted, ArchiveError>;

    /// Ends products of older images that are kept because the images of a delivery that replaced them lack these products: those
    /// of some use cases (all when none is named), of all names or of one, in one event.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when nothing is kept.
    fn set_aside(
        &mut self,
        newer: (&str, Option<&str>),
        use_cases: &[UseCase],
        cause: &Cause,
        now: Timestamp,
    ) -> Result<SetAside, ArchiveError>;

    /// Undoes [`Curation::set_aside`].
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when no such decision is in force.
    fn undo_set_aside(
        &mut self,
        newer: (&str, Option<&str>),
        use_cases: &[UseCase],
        cause: &Cause,
        now: Timestamp,
    ) -> Result<SetAside, ArchiveError>;

    /// Deletes permanently what is retracted, and records who did it and why. A file that also holds rows that stay is kept.
    ///
    /// # Errors
    /// [`ArchiveError`]; nothing is deleted then. An unknown delivery is an error.
    fn purge(
        &mut self,
        scope: PurgeScope<'_>,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Purged, ArchiveError>;
}

/// Methods of the verification of the library.
pub trait Holdings {
    /// Lists the files of a delivery, or of all, least recently checked first.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn holdings(&self, delivery: Option<&str>) -> Result<Vec<Holding>, ArchiveError>;

    /// Records the results of checks of the bytes of files.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn note_soundness(
        &mut self,
        found: &[(i64, Soundness)],
        now: Timestamp,
    ) -> Result<(), ArchiveError>;
}

/// Methods of reports, and of operators' decisions on refusals.
pub trait Inquiry {
    /// Lists the names of the deliveries in the order of their registration; of one night, if given.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn deliveries(&self, night: Option<i32>) -> Result<Vec<String>, ArchiveError>;

    /// Returns what is still awaited of a delivery; `None` when nothing is, or the delivery is unknown.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn awaited(&self, delivery: &str) -> Result<Option<String>, ArchiveError>;

    /// Returns the directory that a delivery was last fetched from.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when there is no such delivery.
    fn source(&self, delivery: &str) -> Result<std::path::PathBuf, ArchiveError>;

    /// Returns everything that `status` shows.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn status(&self) -> Result<report::Status, ArchiveError>;

    /// Returns the same, with only the selected deliveries in its list. Counts are of the whole archive.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn status_of(&self, filter: &report::StatusFilter) -> Result<report::Status, ArchiveError>;

    /// Returns the observing night of a delivery; `None` for one that has no night, or is unknown.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn night(&self, delivery: &str) -> Result<Option<i32>, ArchiveError>;

    /// Returns the throughput of recent tasks, by use case and host.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn rates(&self) -> Result<Vec<report::Rate>, ArchiveError>;

    /// Returns the facts that `explain` needs; empty when nothing matches the request.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn facts_about(&self, asked: &explain::Asked) -> Result<explain::Facts, ArchiveError>;

    /// Returns the facts about a delivery or all files of a name; `None` when nothing has that name.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn facts(&self, delivery_or_file: &str) -> Result<Option<explain::Facts>, ArchiveError>;

    /// Lists some files whose names begin with a text, the latest first: delivery and file.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn files_like(&self, begin: &str) -> Result<Vec<(String, String)>, ArchiveError>;

    /// Lists refusals, oldest first.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn refusals(&self, filter: &RefusalFilter) -> Result<Vec<RefusalRecord>, ArchiveError>;

    /// Records a decision on a refusal; a retry adds the refusal's file to the next round.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when the refusal's state does not allow the decision.
    fn decide(
        &mut self,
        refusal_id: i64,
        decision: Decision,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<(), ArchiveError>;

    /// Returns the drift report: findings of a delivery, or of all in the order of their registration; most frequent first.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn findings(&self, delivery: Option<&str>) -> Result<Vec<report::Drift>, ArchiveError>;

    /// Lists the products of older images that are kept because the newer images of a delivery, or of any, lack them.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn kept_products(&self, newer: Option<&str>) -> Result<Vec<KeptProduct>, ArchiveError>;

    /// Lists the current programmes, by id.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn programmes(&self) -> Result<Vec<Programme>, ArchiveError>;
}
