//! The control store beside the metadata and detections: in the site's own SQLite file, or in a database on a server.
//!
//! [`Archive`] is one connection. A write is one transaction, the only one at its time ([`Archive::write`]); what a method
//! decides it reads inside that transaction. Foreign keys are enforced, commits are synced; of `archive.db`, `-wal` and
//! `-shm` stay for readers of the group.
//!
//! Start at the `impl` blocks below: each method stands in the file of its concept.

mod acceptance;
mod attempts;
mod batches;
mod changes;
mod detections;
mod facts;
mod history;
mod holdings;
mod migration;
mod planning;
#[cfg(test)]
mod plans;
mod publish;
mod refusals;
mod registration;
mod reports;
mod results;
mod retraction;
mod rounds;
mod superseded;
mod time;
mod waiting;
mod work;

use super::planning::*;
use super::records::*;
use super::report::{Drift, Facts, Rate, Status};
use super::{Curation, Holdings, Inquiry, Planning, Publication, Queue, Registry};
use crate::engine::{Connection, Dialect, Kind, Server};
use crate::error::{ArchiveError, ArchiveFault};
use crate::metadata::ReferenceRows;
use crate::partitions;
use crate::site::{self, Site};
use model::task::TaskResult;
use model::{EventId, ProgrammeId, UnitKey, UnitState, UseCase};
use rusqlite::OpenFlags;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

pub use publish::Loaded;
pub(crate) use time::text_of;

/// How long a write waits for another process's.
const BUSY: Duration = Duration::from_secs(60);

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reports.
    Read,
    /// Everything; brings the schema up.
    Write,
    /// That, where nothing is yet.
    Create,
}

/// The archive of a site: control store, metadata and detections.
#[derive(Debug)]
pub struct Archive {
    connection: Connection,
    site: Site,
    stop: Arc<AtomicBool>,
}

impl Archive {
    /// Makes the archive of a new site.
    ///
    /// # Errors
    /// When the site has one already, its disk is not fit, or its server cannot be reached.
    pub fn create(site: &Site, now: Timestamp) -> Result<Self, ArchiveError> {
        let exists = || ArchiveError {
            act: "make an archive".to_owned(),
            fault: ArchiveFault::SiteExists(site.root().to_owned()),
        };
        if site.is_embedded() {
            if site.database().exists() {
                return Err(exists());
            }
            site.check_disk()?;
        }
        let connection =
            connect(site, Access::Create).map_err(ArchiveError::during("make an archive"))?;
        if !site.is_embedded() {
            let found =
                migration::check(&connection).map_err(ArchiveError::during("make an archive"))?;
            if found > 0 {
                return Err(ArchiveError {
                    act: "make an archive".to_owned(),
                    fault: ArchiveFault::Conflict(format!(
                        "{} holds an archive already",
                        site.whereabouts()
                    )),
                });
            }
        }
        Self { connection, site: site.clone(), stop: Arc::default() }.brought_up(now)
    }

    /// Opens the archive of a site. For writing, new migrations and columns are brought in first and a moved lake is
    /// noted.
    ///
    /// # Errors
    /// When there is none, it is newer than the program, or its disk or server is not fit.
    pub fn open(site: &Site, access: Access, now: Timestamp) -> Result<Self, ArchiveError> {
        let fault = |fault| ArchiveError { act: "open the archive".to_owned(), fault };
        if site.is_embedded() {
            if !site.database().is_file() {
                return Err(fault(ArchiveFault::NoSite(site.root().to_owned())));
            }
            if access != Access::Read {
                site.check_disk()?;
            }
        }
        let connection = connect(site, access).map_err(fault)?;
        let found = migration::check(&connection).map_err(fault)?;
        if found == 0 && !site.is_embedded() {
            return Err(fault(ArchiveFault::NoArchive(site.whereabouts())));
        }
        let archive = Self { connection, site: site.clone(), stop: Arc::default() };
        if access == Access::Read { Ok(archive) } else { archive.brought_up(now) }
    }

    /// What is so with the database, and what is amiss with it: one sentence each.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn examine(&self) -> Result<(Vec<String>, Vec<String>), ArchiveError> {
        self.read("examine the database", |c| match c.dialect() {
            Dialect::Sqlite => Ok((Vec::new(), Vec::new())),
            Dialect::Postgres => partitions::examine(c),
        })
    }

    /// Gives up loads and waits when the flag is set; what was under way is found again by the next run.
    pub fn stop_with(&mut self, stop: Arc<AtomicBool>) {
        self.stop = stop;
    }

    fn brought_up(mut self, now: Timestamp) -> Result<Self, ArchiveError> {
        if let Some(sqlite) = self.connection.sqlite() {
            let prepare = || -> Result<(), ArchiveFault> {
                // With a limit, the last connection leaves the -wal empty; without, the next one reads megabytes that
                // are in the database already.
                sqlite.execute_batch(
                    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;\
                     PRAGMA journal_size_limit = 4194304;",
                )?;
                crate::lake::keep_wal_files(sqlite)?;
                Ok(())
            };
            prepare().map_err(ArchiveError::during("prepare the archive"))?;
        }
        let site = self.site.clone();
        self.write("open", "bring the archive up to date", |tx| {
            migration::bring_up(tx, &site, now)
        })?;
        if site.is_embedded() {
            for suffix in ["", "-wal", "-shm"] {
                let path = site.root().join(format!("archive.db{suffix}"));
                // A group that cannot read is told by `doctor`; it is no reason to stop.
                let _ = site::let_group_read(&path);
            }
        }
        Ok(self)
    }

    /// One write transaction. `point` names the crash points before and after its commit.
    pub(crate) fn write<T>(
        &mut self,
        point: &str,
        act: impl Into<String>,
        body: impl FnOnce(&Connection) -> Result<T, ArchiveFault>,
    ) -> Result<T, ArchiveError> {
        let run = || -> Result<T, ArchiveFault> {
            let tx = self.connection.begin(Kind::Write)?;
            let value = body(&tx)?;
            files::crash_point(&format!("{point}:before-commit"));
            tx.commit()?;
            files::crash_point(&format!("{point}:after-commit"));
            Ok(value)
        };
        run().map_err(ArchiveError::during(act))
    }

    /// One consistent view for several statements.
    pub(crate) fn read<T>(
        &self,
        act: impl Into<String>,
        body: impl FnOnce(&Connection) -> Result<T, ArchiveFault>,
    ) -> Result<T, ArchiveError> {
        let run = || -> Result<T, ArchiveFault> {
            let tx = self.connection.begin(Kind::Read)?;
            body(&tx)
        };
        run().map_err(ArchiveError::during(act))
    }
}

/// Asks for the previews of a multiframe to be made again.
pub(crate) fn ask_for_preview(
    tx: &Connection,
    multiframe: i64,
    why: &str,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    let file = "SELECT file_id FROM image WHERE multiframe_id = ?1";
    let file = tx.query_row(file, [multiframe], |r| r.get(0))?;
    rounds::ask_again(tx, file, UseCase::Preview, why, now)
}

/// A connection to the archive of a site.
///
/// # Errors
/// What the engine said.
pub(crate) fn connect(site: &Site, access: Access) -> Result<Connection, ArchiveFault> {
    if let Some(address) = site.address()? {
        return Ok(Connection::Postgres(Server::connect(&address)?));
    }
    let flags = match access {
        Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
        Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Access::Create => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
    };
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = rusqlite::Connection::open_with_flags(site.database(), flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(200);
    // Plans without regard to the values of parameters: else SQLite plans anew with every value.
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.execute_batch(
        "PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536;",
    )?;
    Ok(Connection::Sqlite(connection))
}

impl Registry for Archive {
    fn record(
        &mut self,
        registration: &Registration<'_>,
        now: Timestamp,
    ) -> Result<Recorded, ArchiveError> {
        let act = format!("register {}", registration.delivery.name);
        self.write("register", act, |tx| registration::record(tx, registration, now))
    }

    fn known_files(&self, delivery: &str) -> Result<Vec<KnownFile>, ArchiveError> {
        self.read("list known files", |c| registration::known_files(c, delivery))
    }

    fn load_reference(
        &mut self,
        tables: &[ReferenceRows],
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Option<EventId>, ArchiveError> {
        self.write("reference", "load reference tables", |tx| {
            registration::load_reference(tx, tables, cause, now)
        })
    }

    fn add_programme(
        &mut self,
        name: &str,
        project: &str,
        releases: &dyn Fn(&RefusalRecord) -> bool,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<(ProgrammeId, u64), ArchiveError> {
        self.write("programme", format!("add programme {name}"), |tx| {
            registration::add_programme(tx, (name, project), releases, cause, now)
        })
    }
}

impl Queue for Archive {
    fn delivery_work(&self, delivery: &str) -> Result<DeliveryWork, ArchiveError> {
        self.read(format!("look at {delivery}"), |c| work::delivery_work(c, delivery))
    }

    fn ask_again(
        &mut self,
        delivery: &str,
        use_case: UseCase,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<(), ArchiveError> {
        let act = format!("ask for the {use_case} of {delivery} again");
        self.write("again", act, |tx| {
            let mut select = tx.prepare_cached(
                "SELECT file_id FROM file WHERE delivery_id = ?1 AND state = 'current' AND kind = 'image'",
            )?;
            let delivery = registration::delivery_id(tx, delivery)?;
            let files: Vec<i64> =
                select.query_map([delivery], |r| r.get(0))?.collect::<Result<_, _>>()?;
            for file in files {
                rounds::ask_again(tx, file, use_case, &cause.why, now)?;
            }
            Ok(())
        })
    }

    fn open_round(
        &mut self,
        round: &PlannedRound,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<UnitKey, ArchiveError> {
        let act = format!("open a {} round of {}", round.use_case, round.delivery);
        self.write("round", act, |tx| rounds::open(tx, round, cause, now))
    }

    fn unit_state(&self, unit: &UnitKey) -> Result<UnitState, ArchiveError> {
        self.read(format!("look at {unit}"), |c| Ok(rounds::find(c, unit)?.state))
    }

    fn move_unit(
        &mut self,
        unit: &UnitKey,
        to: UnitState,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<(), ArchiveError> {
        self.write("move", format!("move {unit} to {to}"), |tx| {
            let found = rounds::find(tx, unit)?;
            history::move_unit(tx, &found, to, cause, now)
        })
    }

    fn tasks(&self, unit: &UnitKey) -> Result<Vec<TaskRecord>, ArchiveError> {
        self.read(format!("list tasks of {unit}"), |c| rounds::tasks(c, unit))
    }

    fn start_attempt(
        &mut self,
        task: &TaskKey,
        lease: &Lease,
        place: Option<&Place>,
        now: Timestamp,
    ) -> Result<Started, ArchiveError> {
        let act = format!("start task {} of {}", task.task, task.unit);
        let site = self.site.clone();
        self.write("start", act, |tx| attempts::start(tx, &site, task, lease, place, now))
    }

    fn renew_lease(
        &mut self,
        attempt: &AttemptKey,
        until: Timestamp,
    ) -> Result<bool, ArchiveError> {
        self.write("renew", "renew a lease", |tx| attempts::renew(tx, attempt, until))
    }

    fn take_result(&mut self, result: &TaskResult, now: Timestamp) -> Result<Taken, ArchiveError> {
        let act = format!("take the result of task {} of {}", result.task, result.unit);
        let mut new = 0;
        if result.refusals.len() > results::REFUSALS_AT_ONCE {
            let act = || format!("record refusals of task {} of {}", result.task, result.unit);
            let mut part =
                || self.write("result-part", act(), |tx| results::note_part(tx, result, now));
            while let Some(noted) = part()? {
                new += noted;
            }
        }
        match self.write("result", act, |tx| results::take(tx, result, now))? {
            Taken::Taken { new_refusals, staged } => {
                Ok(Taken::Taken { new_refusals: new_refusals + new, staged })
            }
            taken => Ok(taken),
        }
    }

    fn end_attempt(
        &mut self,
        attempt: &AttemptKey,
        end: AttemptEnd,
        why: &str,
        now: Timestamp,
    ) -> Result<(), ArchiveError> {
        self.write("end", "end an attempt", |tx| attempts::end(tx, attempt, end, why, now))
    }

    fn give_up_task(
        &mut self,
        task: &TaskKey,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Taken, ArchiveError> {
        let act = format!("give up task {} of {}", task.task, task.unit);
        self.write("give-up", act, |tx| results::give_up(tx, task, cause, now))
    }

    fn running_attempts(&self) -> Result<Vec<RunningAttempt>, ArchiveError> {
        let site = self.site.clone();
        self.read("list running attempts", |c| attempts::running(c, &site))
    }

    fn sweepable_attempts(
        &self,
        ingested_before: Timestamp,
    ) -> Result<Vec<(AttemptKey, PathBuf)>, ArchiveError> {
        let site = self.site.clone();
        self.read("list attempts to sweep", |c| attempts::sweepable(c, &site, ingested_before))
    }

    fn mark_swept(&mut self, attempt: &AttemptKey) -> Result<(), ArchiveError> {
        self.write("sweep", "note a swept attempt", |tx| attempts::mark_swept(tx, attempt))
    }
}

impl Planning for Archive {
    fn instructions(&self) -> Result<Vec<Standing>, ArchiveError> {
        self.read("list instructions", planning::instructions)
    }

    fn instruct(
        &mut self,
        subject: &Subject,
        instruction: &Instruction,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<(), ArchiveError> {
        self.write("instruct", format!("{} {subject}", instruction.act()), |tx| {
            planning::instruct(tx, subject, instruction, cause, now)?;
            changes::tell(tx)?;
            Ok(())
        })
    }

    fn withdraw(
        &mut self,
        subject: &Subject,
        act: &str,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<bool, ArchiveError> {
        self.write("withdraw", format!("withdraw the {act} of {subject}"), |tx| {
            let is_changed = planning::withdraw(tx, subject, act, cause, now)?;
            changes::tell(tx)?;
            Ok(is_changed)
        })
    }

    fn instruction_history(&self) -> Result<Vec<InstructionChange>, ArchiveError> {
        self.read("list instructions of the past", planning::instruction_history)
    }

    fn unfinished_deliveries(&self) -> Result<Vec<Unfinished>, ArchiveError> {
        self.read("list unfinished deliveries", planning::unfinished_deliveries)
    }

    fn open_tasks(&self) -> Result<Vec<OpenTask>, ArchiveError> {
        self.read("list open tasks", planning::open_tasks)
    }

    fn results_of_late(&self, most: u32) -> Result<Vec<Took>, ArchiveError> {
        self.read("list what tasks took", |c| planning::results_of_late(c, most))
    }

    fn propose(
        &mut self,
        proposal: &Proposal,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<i64, ArchiveError> {
        self.write("propose", "propose a plan", |tx| planning::propose(tx, proposal, cause, now))
    }

    fn approve(
        &mut self,
        plan_id: i64,
        selection: &Selection,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Decided, ArchiveError> {
        self.write("approve", format!("approve plan {plan_id}"), |tx| {
            planning::approve(tx, plan_id, selection, cause, now)
        })
    }

    fn reject(
        &mut self,
        plan_id: i64,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Vec<(String, UseCase)>, ArchiveError> {
        self.write("reject", format!("reject plan {plan_id}"), |tx| {
            planning::reject(tx, plan_id, cause, now)
        })
    }

    fn approve_coming(&mut self, now: Timestamp) -> Result<Vec<UnitKey>, ArchiveError> {
        if self.approved_to_come()?.is_empty() {
            return Ok(Vec::new());
        }
        self.write("approve-coming", "approve rounds that came", |tx| {
            planning::approve_coming(tx, now)
        })
    }

    fn approved_to_come(&self) -> Result<Vec<(String, UseCase)>, ArchiveError> {
        self.read("list rounds approved to come", planning::approved_to_come)
    }

    fn plan(&self, plan_id: Option<i64>) -> Result<Option<PlanRecord>, ArchiveError> {
        self.read("read a plan", |c| planning::plan(c, plan_id))
    }

    fn compare(&self, plan_id: i64) -> Result<Vec<PlannedAndDone>, ArchiveError> {
        self.read(format!("compare plan {plan_id}"), |c| planning::compare(c, plan_id))
    }

    fn note_job(&mut self, attempt: &AttemptKey, job: &str) -> Result<(), ArchiveError> {
        self.write("job", "note the job of an attempt", |tx| planning::note_job(tx, attempt, job))
    }

    fn note_end(&mut self, attempt: &AttemptKey, code: &str) -> Result<(), ArchiveError> {
        self.write("end-code", "note how an attempt ended", |tx| {
            planning::note_end(tx, attempt, code)
        })
    }
}

impl Publication for Archive {
    type Loaded = Loaded;

    fn site(&self) -> &Site {
        &self.site
    }

    fn staged_rounds(&self) -> Result<Vec<StagedRound>, ArchiveError> {
        self.read("list staged rounds", batches::staged_rounds)
    }

    fn batch(&self, unit: &UnitKey) -> Result<StagedBatch, ArchiveError> {
        let site = self.site.clone();
        self.read(format!("read the batch of {unit}"), |c| batches::batch(c, &site, unit))
    }

    fn reserve(
        &mut self,
        unit: &UnitKey,
        wanted: &[RowsOfProgramme],
        now: Timestamp,
    ) -> Result<Vec<IdRange>, ArchiveError> {
        let act = format!("reserve object ids for {unit}");
        self.write("reserve", act, |tx| batches::reserve(tx, unit, wanted, now))
    }

    fn load(&mut self, batch: &StagedBatch, ranges: &[IdRange]) -> Result<Loaded, ArchiveError> {
        publish::load(&self.connection, &self.site, batch, ranges, &self.stop)
            .map_err(ArchiveError::during(format!("load {}", batch.unit)))
    }

    fn publish(
        &mut self,
        batch: &StagedBatch,
        loaded: Loaded,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Receipt, ArchiveError> {
        let site = self.site.clone();
        let began = Instant::now();
        if loaded.is_to_be_attached() {
            let act = format!("attach the tables of {}", batch.unit);
            self.write("attach", act.clone(), |tx| publish::attach(tx, &batch.unit, &loaded))?;
            partitions::let_plans_end(&self.connection)
                .map_err(|fault| ArchiveError::during(act)(ArchiveFault::from(fault)))?;
        }
        let mut receipt = self.write("publish", format!("publish {}", batch.unit), |tx| {
            publish::publish(tx, &site, batch, loaded, cause, now)
        })?;
        if let Receipt::Published { timing, .. } = &mut receipt {
            timing.publish = began.elapsed().as_secs_f64();
        }
        Ok(receipt)
    }

    fn refuse_batch(
        &mut self,
        unit: &UnitKey,
        check: &str,
        message: &str,
        now: Timestamp,
    ) -> Result<(), ArchiveError> {
        self.write("refuse-batch", format!("refuse the batch of {unit}"), |tx| {
            batches::refuse(tx, unit, check, message, now)
        })
    }

    fn clear_abandoned(&mut self) -> Result<Vec<String>, ArchiveError> {
        if !self.site.is_embedded() {
            return partitions::drop_left_over(&self.connection)
                .map_err(ArchiveError::during("drop abandoned tables"));
        }
        let site = self.site.clone();
        let files = self.read("list abandoned files", |c| batches::abandoned_files(c, &site))?;
        let lake = self.site.lake();
        let removed = files.iter().filter(|path| files::remove_below(&lake, path).is_ok_and(|r| r));
        Ok(removed.map(|path| path.display().to_string()).collect())
    }

    fn tidy(&mut self) -> Result<u64, ArchiveError> {
        if self.site.is_embedded() {
            return Ok(0);
        }
        let most = partitions::MOST_PARTITIONS;
        let folded = partitions::fold(&self.connection, most);
        folded.map_err(ArchiveError::during("fold partitions"))
    }

    fn await_change(&mut self, at_most: Duration) -> Result<bool, ArchiveError> {
        changes::wait(&self.connection, at_most, &self.stop)
            .map_err(ArchiveError::during("wait for changes"))
    }

    fn complete_deliveries(&mut self, now: Timestamp) -> Result<Vec<String>, ArchiveError> {
        self.write("complete", "complete deliveries", |tx| batches::complete_deliveries(tx, now))
    }
}

impl Curation for Archive {
    fn retract(
        &mut self,
        delivery: &str,
        use_cases: &[UseCase],
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Retracted, ArchiveError> {
        let site = self.site.clone();
        self.write("retract", format!("retract {delivery}"), |tx| {
            retraction::retract(tx, &site, delivery, use_cases, cause, now)
        })
    }

    fn restore(
        &mut self,
        delivery: &str,
        use_cases: &[UseCase],
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Retracted, ArchiveError> {
        let site = self.site.clone();
        self.write("restore", format!("bring {delivery} back"), |tx| {
            retraction::restore(tx, &site, delivery, use_cases, cause, now)
        })
    }

    fn purge(&mut self, delivery: Option<&str>, now: Timestamp) -> Result<Purged, ArchiveError> {
        let site = self.site.clone();
        let (mut purged, files) = self.write("purge", "purge what is retracted", |tx| {
            retraction::purge(tx, &site, delivery, now)
        })?;
        // A file that a crash leaves is listed nowhere, and found by `verify`.
        let root = self.site.root().to_owned();
        let is_removed = |(base, path): &(PathBuf, PathBuf)| {
            base.starts_with(&root) && files::remove_below(base, path).is_ok_and(|removed| removed)
        };
        purged.files = files.iter().filter(|file| is_removed(file)).count() as u64;
        Ok(purged)
    }
}

impl Holdings for Archive {
    fn holdings(&self, delivery: Option<&str>) -> Result<Vec<Holding>, ArchiveError> {
        self.read("list the library", |c| holdings::list(c, delivery))
    }

    fn note_soundness(
        &mut self,
        found: &[(i64, Soundness)],
        now: Timestamp,
    ) -> Result<(), ArchiveError> {
        self.write("scrub", "note what a look at the library found", |tx| {
            holdings::note(tx, found, now)
        })
    }
}

impl Inquiry for Archive {
    fn deliveries(&self, night: Option<i32>) -> Result<Vec<String>, ArchiveError> {
        self.read("list deliveries", |c| reports::deliveries(c, night))
    }

    fn source(&self, delivery: &str) -> Result<PathBuf, ArchiveError> {
        self.read(format!("look up {delivery:?}"), |c| reports::source(c, delivery))
    }

    fn status(&self) -> Result<Status, ArchiveError> {
        self.read("report the status", reports::status)
    }

    fn rates(&self) -> Result<Vec<Rate>, ArchiveError> {
        self.read("list rates", reports::rates)
    }

    fn facts(&self, delivery_or_file: &str) -> Result<Option<Facts>, ArchiveError> {
        self.read(format!("look up {delivery_or_file:?}"), |c| facts::facts(c, delivery_or_file))
    }

    fn refusals(&self, filter: &RefusalFilter) -> Result<Vec<RefusalRecord>, ArchiveError> {
        self.read("list refusals", |c| refusals::list(c, filter))
    }

    fn decide(
        &mut self,
        refusal_id: i64,
        decision: Decision,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<(), ArchiveError> {
        self.write("decide", format!("decide on refusal {refusal_id}"), |tx| {
            refusals::decide(tx, refusal_id, decision, cause, now)
        })
    }

    fn findings(&self, delivery: Option<&str>) -> Result<Vec<Drift>, ArchiveError> {
        self.read("list findings", |c| reports::findings(c, delivery))
    }

    fn programmes(&self) -> Result<Vec<Programme>, ArchiveError> {
        self.read("list programmes", reports::programmes)
    }
}
