//! The control store: deliveries, files, rounds, tasks, attempts, refusals, events, and the seam to the pipeline.
//!
//! The traits ask for what the pipeline needs, each method one whole act in one transaction; the SQL is behind
//! them, once for both engines (`store`), and one conformance suite runs on every engine
//! (`tests/control_conformance`). [`Registry`] is what registration needs, [`Queue`] what running tasks needs,
//! [`Planning`] what planning and deciding need, [`Publication`] what ingest needs, [`Holdings`] what looking after the library
//! needs, [`Inquiry`] what reports need.
//!
//! Every method may be repeated after a crash: what was done is found done. Time is a parameter. A state changes only
//! where [`model::UnitState::may_become`] allows, and every change leaves a row in a history.
//!
//! Start at the traits below; values are in [`records`]. Tables are in `migrations/`.
//! Does not decide what is to be done (that is `register::plan` and `ingest`), touch FITS files, or write products.

pub mod explain;
mod facts;
mod help;
pub mod lease;
pub mod planning;
pub mod records;
pub mod report;
pub mod store;

use crate::error::ArchiveError;
use crate::metadata::ReferenceRows;
use crate::site::Site;
use model::task::TaskResult;
use model::{EventId, ProgrammeId, UnitKey, UnitState, UseCase};
use planning::*;
use records::*;

/// What registration needs.
pub trait Registry {
    /// Records what arrived of a delivery: ids for new images, versions for new catalogues, supersession of
    /// older contents, refusals, and the release of what waited for these files. The same again changes nothing.
    ///
    /// # Errors
    /// [`ArchiveError`]; nothing is recorded then.
    fn record(
        &mut self,
        registration: &Registration<'_>,
        now: Timestamp,
    ) -> Result<Recorded, ArchiveError>;

    /// All contents that came under the names of a delivery, by name, oldest first; empty for an unknown delivery.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn known_files(&self, delivery: &str) -> Result<Vec<KnownFile>, ArchiveError>;

    /// Returns the origins of deliveries, in the order of their recording: all of them, or those with a directory of a name.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn origins(&self, directory: Option<&str>) -> Result<Vec<KnownOrigin>, ArchiveError>;

    /// Records that a delivery comes from an origin. A reservation of the name by another origin, whose fetch never
    /// registered a file, ends. The caller holds the lock of the delivery's directory in the library.
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

    /// Declares a delivery complete on an operator's word. Later fetches await nothing of it, until
    /// [`DeliveryFacts::is_reopened`]. Returns `false` when it was declared so before.
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

    /// Brings a reference table up to the rows of the profiles, in one event; `None` when nothing changed. Rows
    /// that are not mentioned stay.
    ///
    /// # Errors
    /// [`ArchiveError`]; nothing is changed then.
    fn load_reference(
        &mut self,
        tables: &[ReferenceRows],
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Option<EventId>, ArchiveError>;

    /// Adds a programme, or finds the one of the same name and PROJECT, and releases the parked refusals that
    /// `releases` says it explains. Gives its id and how many were released.
    ///
    /// # Errors
    /// [`ArchiveError`], a conflict among them when the name stands for another PROJECT.
    fn add_programme(
        &mut self,
        name: &str,
        project: &str,
        releases: &dyn Fn(&RefusalRecord) -> bool,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<(ProgrammeId, u64), ArchiveError>;
}

/// What running tasks needs.
pub trait Queue {
    /// All that decides what is to be done about a delivery.
    ///
    /// # Errors
    /// [`ArchiveError`], an unknown delivery among them.
    fn delivery_work(&self, delivery: &str) -> Result<DeliveryWork, ArchiveError>;

    /// Asks for all current images of a delivery to be done again in the next round, whose reason is that of the cause.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn ask_again(
        &mut self,
        delivery: &str,
        use_case: UseCase,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<(), ArchiveError>;

    /// Opens a round with its tasks: `waiting` and at once `ready`. Takes up what was to be done again.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when another open round of the use case covers one of the files already.
    fn open_round(
        &mut self,
        round: &PlannedRound,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<UnitKey, ArchiveError>;

    /// Where a round stands.
    ///
    /// # Errors
    /// [`ArchiveError`], an unknown round among them.
    fn unit_state(&self, unit: &UnitKey) -> Result<UnitState, ArchiveError>;

    /// Moves a round to another state and records it.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when the state of now may not become that one.
    fn move_unit(
        &mut self,
        unit: &UnitKey,
        to: UnitState,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<(), ArchiveError>;

    /// Tasks of a round, in order.
    ///
    /// # Errors
    /// [`ArchiveError`], an unknown round among them.
    fn tasks(&self, unit: &UnitKey) -> Result<Vec<TaskRecord>, ArchiveError>;

    /// Starts a task once more: gives the attempt a number and a directory, notes where it will be sent, if anywhere, and
    /// moves an approved round to running.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when the task is over or its round neither approved nor running.
    fn start_attempt(
        &mut self,
        task: &TaskKey,
        lease: &Lease,
        place: Option<&Place>,
        now: Timestamp,
    ) -> Result<Started, ArchiveError>;

    /// Prolongs the lease of a running attempt; `false` when it is over.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn renew_lease(&mut self, attempt: &AttemptKey, until: Timestamp)
    -> Result<bool, ArchiveError>;

    /// Takes a result, if it is the first of its task: records refusals, findings and outcomes, releases what waited
    /// for it, and moves the round to `staged` after the last task.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when the result does not belong to a start of the task.
    fn take_result(&mut self, result: &TaskResult, now: Timestamp) -> Result<Taken, ArchiveError>;

    /// Notes that a running attempt is over without result. One that is over already stays as it is.
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

    /// Stops starting a task: its files are refused with the code `task_failed`, the round goes on without them.
    /// Gives the new refusals and whether the round is staged now.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when the task is done.
    fn give_up_task(
        &mut self,
        task: &TaskKey,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Taken, ArchiveError>;

    /// Attempts that are not over.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn running_attempts(&self) -> Result<Vec<RunningAttempt>, ArchiveError>;

    /// Attempts whose directories may be removed: those that are over without their result having been taken, and
    /// those of previews and catalogues whose round was ingested before some time. Staged metadata stay: later
    /// catalogue rounds read them.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn sweepable_attempts(
        &self,
        ingested_before: Timestamp,
    ) -> Result<Vec<(AttemptKey, std::path::PathBuf)>, ArchiveError>;

    /// Notes that an attempt's directory was removed.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn mark_swept(&mut self, attempt: &AttemptKey) -> Result<(), ArchiveError>;
}

/// What planning needs, and what operators decide.
pub trait Planning {
    /// Instructions that hold, oldest first.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn instructions(&self) -> Result<Vec<Standing>, ArchiveError>;

    /// Gives an instruction; one of the same kind on the same subject is replaced.
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

    /// Withdraws an instruction of the act given (as [`Instruction::act`] names it); `false` when there is none.
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

    /// Ends the pauses and drains of a subject and of all that lies within it, or those that the rejection of a plan gave.
    /// Returns what they were about.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn resume(
        &mut self,
        resumed: &Resumed,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Vec<Subject>, ArchiveError>;

    /// Returns the units of some deliveries of which nothing new may start. The night beside a name counts for a delivery that
    /// the archive does not know.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn held(&self, deliveries: &[(String, Option<i32>)]) -> Result<Vec<Held>, ArchiveError>;

    /// Returns the number of the latest change of an instruction: a plan that was made before it is stale.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn instructions_given(&self) -> Result<i64, ArchiveError>;

    /// Every decision on a plan, oldest first.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn decisions(&self, at_most: u32) -> Result<Latest<PlanDecision>, ArchiveError>;

    /// Returns the latest instructions that were given or withdrawn, oldest first.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn instruction_history(&self, at_most: u32) -> Result<Latest<InstructionChange>, ArchiveError>;

    /// Deliveries of which something is to be done, or may arrive, in the order of registration: complete ones with nothing
    /// open are not among them.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn unfinished_deliveries(&self) -> Result<Vec<Unfinished>, ArchiveError>;

    /// Tasks without result of all rounds that are open and not staged, in the order of registration.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn open_tasks(&self) -> Result<Vec<OpenTask>, ArchiveError>;

    /// What the latest tasks took, at most so many, oldest first.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn results_of_late(&self, most: u32) -> Result<Vec<Took>, ArchiveError>;

    /// Puts a plan before the operator: its rounds become proposed. What nobody has decided on of earlier plans is
    /// superseded. Gives its number.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn propose(
        &mut self,
        proposal: &Proposal,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<i64, ArchiveError>;

    /// Ends the proposal that nobody has decided on; its rounds are ready again.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn withdraw_proposal(&mut self, cause: &Cause, now: Timestamp) -> Result<(), ArchiveError>;

    /// Approves a plan, the one that waits for a decision when no number is given, or part of it.
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

    /// Rejects what is undecided of a plan. Its units are paused, so that they are not proposed again by themselves, and
    /// given back. With no number, it is the plan that waits for a decision. Returns the number of the plan beside the units.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when it is decided or superseded, or no plan waits for a decision.
    fn reject(
        &mut self,
        plan_id: Option<i64>,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<(i64, Vec<(String, UseCase)>), ArchiveError>;

    /// Approves rounds that were opened after the plan that covers them was approved, and gives them.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn approve_coming(&mut self, now: Timestamp) -> Result<Vec<UnitKey>, ArchiveError>;

    /// Rounds that were approved before they are open.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn approved_to_come(&self) -> Result<Vec<(String, UseCase)>, ArchiveError>;

    /// A plan, the latest when no number is given; `None` when there is none.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn plan(&self, plan_id: Option<i64>) -> Result<Option<PlanRecord>, ArchiveError>;

    /// What a plan said of its tasks, and what happened, by planned start. Tasks that a later plan took over are not among
    /// them.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn compare(&self, plan_id: i64) -> Result<Vec<PlannedAndDone>, ArchiveError>;

    /// What happened to the tasks of a unit whose rounds were opened since a time and were in no plan as open rounds.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn compare_coming(
        &self,
        delivery: &str,
        use_case: UseCase,
        since: Timestamp,
    ) -> Result<Vec<CameAndDone>, ArchiveError>;

    /// Notes what the executor calls an attempt.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn note_job(&mut self, attempt: &AttemptKey, job: &str) -> Result<(), ArchiveError>;

    /// Notes by what an attempt ended without result, e.g. `memory`.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn note_end(&mut self, attempt: &AttemptKey, code: &str) -> Result<(), ArchiveError>;
}

/// What ingest needs. A batch goes `reserve` → `load` → `publish`; each may be repeated, by any process.
pub trait Publication {
    /// Rows prepared by [`Publication::load`], not visible yet.
    type Loaded;

    /// The site whose staging area and previews belong to this archive.
    fn site(&self) -> &Site;

    /// Staged rounds in the order of their deliveries' registration (metadata before previews before
    /// detections), each with what blocks it.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn staged_rounds(&self) -> Result<Vec<StagedRound>, ArchiveError>;

    /// A staged round with its results.
    ///
    /// # Errors
    /// [`ArchiveError`], an unknown round or one that is not staged among them.
    fn batch(&self, unit: &UnitKey) -> Result<StagedBatch, ArchiveError>;

    /// Gives a batch its object ids and records them; the same batch again gets the same ids.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when it was reserved for other counts.
    fn reserve(
        &mut self,
        unit: &UnitKey,
        wanted: &[RowsOfProgramme],
        now: Timestamp,
    ) -> Result<Vec<IdRange>, ArchiveError>;

    /// Loads a batch unseen, holding no lock.
    ///
    /// # Errors
    /// [`ArchiveError`]; [`ArchiveError::failed_check`] tells when the batch itself is at fault.
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

    /// Refuses a batch that does not fit: its round fails, its id ranges are abandoned, a refusal names the check.
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

    /// Removes what was loaded for batches that will never be published, and gives its names. What cannot be removed is
    /// left for the next time.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn clear_abandoned(&mut self) -> Result<Vec<String>, ArchiveError>;

    /// Keeps the archive quick: on a server, merges partitions when there are many. Gives how many it merged.
    ///
    /// # Errors
    /// [`ArchiveError`]; the archive is as it was then.
    fn tidy(&mut self) -> Result<u64, ArchiveError>;

    /// Waits for another process to change the archive, but no longer than a time. `true` when one did; a change may be
    /// missed, so it is a hint and no more.
    ///
    /// # Errors
    /// [`ArchiveError`] when the archive cannot be reached.
    fn await_change(&mut self, at_most: std::time::Duration) -> Result<bool, ArchiveError>;

    /// Marks deliveries complete that have everything they announced and nothing left to ingest.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn complete_deliveries(&mut self, now: Timestamp) -> Result<Vec<String>, ArchiveError>;
}

/// What undoes.
pub trait Curation {
    /// Takes rounds of a delivery out of all tables and views, in one event: those of some use cases, with what refers to
    /// them (metadata take previews and detections along), or all. What the delivery had superseded shows again.
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

    /// Brings back what was retracted of a delivery, under the same ids, in one event.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when there is nothing that could come back, or something was ingested in its place.
    fn restore(
        &mut self,
        delivery: &str,
        use_cases: &[UseCase],
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Retracted, ArchiveError>;

    /// Ends products of older images that are kept because the images of a delivery that replaced them lack these products: of
    /// some use cases (all when none is named), of all names or of one, in one event.
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

    /// Deletes for good what is retracted, of one delivery or of all. What shares a file with rows that stay, stays.
    ///
    /// # Errors
    /// [`ArchiveError`]; nothing is deleted then.
    fn purge(&mut self, delivery: Option<&str>, now: Timestamp) -> Result<Purged, ArchiveError>;
}

/// What looking after the library needs.
pub trait Holdings {
    /// Files of a delivery, or of all; those that were not looked at for longest come first.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn holdings(&self, delivery: Option<&str>) -> Result<Vec<Holding>, ArchiveError>;

    /// Notes what a look at the bytes of files found.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn note_soundness(
        &mut self,
        found: &[(i64, Soundness)],
        now: Timestamp,
    ) -> Result<(), ArchiveError>;
}

/// What reports need, and what operators decide.
pub trait Inquiry {
    /// Names of the deliveries in the order of their registration; of one night, if given.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn deliveries(&self, night: Option<i32>) -> Result<Vec<String>, ArchiveError>;

    /// Returns what is still to come of a delivery; `None` when nothing is, or the delivery is unknown.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn awaited(&self, delivery: &str) -> Result<Option<String>, ArchiveError>;

    /// The directory from which a delivery came last.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when there is no such delivery.
    fn source(&self, delivery: &str) -> Result<std::path::PathBuf, ArchiveError>;

    /// Everything `status` shows.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn status(&self) -> Result<report::Status, ArchiveError>;

    /// The same, with some deliveries alone in its list. Counts are of the whole archive.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn status_of(&self, filter: &report::StatusFilter) -> Result<report::Status, ArchiveError>;

    /// Returns the observing night of a delivery; `None` for one that has no night, or is unknown.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn night(&self, delivery: &str) -> Result<Option<i32>, ArchiveError>;

    /// What the tasks of late did, by use case and host.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn rates(&self) -> Result<Vec<report::Rate>, ArchiveError>;

    /// Everything `explain` needs; empty when nothing goes by what is asked.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn facts_about(&self, asked: &explain::Asked) -> Result<explain::Facts, ArchiveError>;

    /// The same about a delivery or all files of a name; `None` when nothing goes by that name.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn facts(&self, delivery_or_file: &str) -> Result<Option<explain::Facts>, ArchiveError>;

    /// Returns some files whose names begin with a text, the latest first: delivery and file.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn files_like(&self, begin: &str) -> Result<Vec<(String, String)>, ArchiveError>;

    /// Refusals, oldest first.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn refusals(&self, filter: &RefusalFilter) -> Result<Vec<RefusalRecord>, ArchiveError>;

    /// Records a decision on an open refusal; a retry makes its file part of the next round.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when it is not open.
    fn decide(
        &mut self,
        refusal_id: i64,
        decision: Decision,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<(), ArchiveError>;

    /// Drift report: findings of a delivery, or of all in the order of their registration; most frequent first.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn findings(&self, delivery: Option<&str>) -> Result<Vec<report::Drift>, ArchiveError>;

    /// Products of older images that are kept because the newer images of a delivery, or of any, lack them.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn kept_products(&self, newer: Option<&str>) -> Result<Vec<KeptProduct>, ArchiveError>;

    /// Current programmes, by id.
    ///
    /// # Errors
    /// [`ArchiveError`].
    fn programmes(&self) -> Result<Vec<Programme>, ArchiveError>;
}
