//! The control store beside the metadata and detections: in the site's own SQLite file, or in a database on a server.
//!
//! [`Archive`] is one connection. A write is one transaction, the only one at its time ([`Archive::write`]); a method reads
//! everything that it decides on inside that transaction. Foreign keys are enforced, commits are synced; the files `archive.db`,
//! `-wal` and `-shm` persist for readers of the group.
//!
//! Start at the `impl` blocks below: each method is implemented in the file of its concept.

use crate::Timestamp;
use crate::attempts::results::Taken;
use crate::attempts::{self, results};
use crate::attempts::{AttemptEnd, AttemptKey, Lease, Place, RunningAttempt, Started};
use crate::batches::{self, publication, publication::Loaded};
use crate::batches::{IdRange, Receipt, RowsOfProgramme, StagedBatch, StagedRound};
use crate::deliveries::origins::{Claim, DeliveryOrigin, KnownOrigin};
use crate::deliveries::{Recorded, Registration, SkippedEntry};
use crate::deliveries::{origins, registration};
use crate::error::{ArchiveError, ArchiveFault};
use crate::explain::facts;
use crate::explain::sheets::{Asked, Facts};
use crate::history::Cause;
use crate::library::{Holding, KnownFile, Soundness};
use crate::metadata::ReferenceRows;
use crate::partitions;
use crate::planning::*;
use crate::planning::{instructions, plans};
use crate::products::aside;
use crate::products::aside::SetAside;
use crate::products::kept::KeptProduct;
use crate::programmes::Programme;
use crate::refusals::{Decision, RefusalFilter, RefusalRecord};
use crate::retraction::Retracted;
use crate::retraction::purge::{PurgeScope, Purged};
use crate::retraction::{self, deletions, purge};
use crate::rounds::{PlannedRound, TaskKey, TaskRecord};
use crate::site;
use crate::site::Site;
use crate::status::reports;
use crate::status::{Drift, Rate, Status, StatusFilter};
use crate::work::DeliveryWork;
use crate::{Curation, Holdings, Inquiry, Planning, Publication, Queue, Registry};
use crate::{changes, detections, history, library, migrations, refusals, rounds, work};
use engine::{Connection, Dialect, Kind, Server};
use model::task::TaskResult;
use model::{EventId, ProgrammeId, UnitKey, UnitState, UseCase};
use rusqlite::OpenFlags;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Maximum time that a write waits for another process's write.
const BUSY: Duration = Duration::from_secs(60);

/// Returns the command that updates the rights of a site's roles.
fn roles_of(site: &Site) -> String {
    format!("`{}`", model::Advice::InitRoles { site: site.root().display().to_string() })
}

/// The purpose of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading for reports.
    Read,
    /// Reading and writing; upgrades the schema.
    Write,
    /// As [`Access::Write`], and every write is rolled back: see [`Archive::rehearse`]. Remains of killed processes stay.
    Rehearse,
    /// Creating the archive, and then reading and writing.
    Create,
}

/// The archive of a site: control store, metadata and detections.
#[derive(Debug)]
pub struct Archive {
    pub(crate) connection: Connection,
    pub(crate) site: Site,
    stop: Arc<AtomicBool>,
    note: Option<String>,
    /// True when every write is rolled back: see [`Archive::rehearse`].
    is_rehearsal: bool,
    /// Keeps a move of the archive from beginning; only who writes has it.
    _at_work: Option<files::DirLock>,
}

impl Archive {
    /// Creates the archive of a new site.
    ///
    /// # Errors
    /// Returns an error when the site has an archive already, its disk is unsuitable, or its server cannot be reached.
    pub fn create(site: &Site, now: Timestamp) -> Result<Self, ArchiveError> {
        let lock = at_work(site)?;
        Ok(Self { _at_work: Some(lock), ..Self::create_alone(site, now)? })
    }

    /// Creates the archive for a caller that is the only process working on the site.
    ///
    /// # Errors
    /// As [`Archive::create`].
    pub fn create_alone(site: &Site, now: Timestamp) -> Result<Self, ArchiveError> {
        let exists = || ArchiveError {
            act: "create an archive".to_owned(),
            fault: ArchiveFault::SiteExists(site.root().to_owned()),
        };
        if site.is_embedded() {
            if site.database().exists() {
                return Err(exists());
            }
            site.check_disk()?;
        }
        let connection =
            connect(site, Access::Create).map_err(ArchiveError::during("create an archive"))?;
        if !site.is_embedded() {
            let found = migrations::migration_number(&connection)
                .map_err(ArchiveError::during("create an archive"))?;
            if found > 0 {
                return Err(ArchiveError {
                    act: "create an archive".to_owned(),
                    fault: ArchiveFault::Conflict(format!(
                        "{} holds an archive already",
                        site.location()
                    )),
                });
            }
        }
        Ok(Self::of(connection, site).brought_up(now)?.without_remains())
    }

    /// Opens the archive of a site. For writing, new migrations and columns are applied first and a moved lake is recorded.
    ///
    /// # Errors
    /// Returns an error when there is no archive, it is newer than the program, or its disk or server is unsuitable.
    pub fn open(site: &Site, access: Access, now: Timestamp) -> Result<Self, ArchiveError> {
        let lock = if access == Access::Read { None } else { Some(at_work(site)?) };
        Ok(Self { _at_work: lock, ..Self::open_alone(site, access, now)? })
    }

    /// Opens the archive for a caller that is the only process working on the site.
    ///
    /// # Errors
    /// As [`Archive::open`].
    pub fn open_alone(site: &Site, access: Access, now: Timestamp) -> Result<Self, ArchiveError> {
        let fault = |fault| ArchiveError { act: "open the archive".to_owned(), fault };
        if site.is_embedded() {
            if !site.database().is_file() {
                return Err(fault(absent(site)));
            }
            if access != Access::Read {
                site.check_disk()?;
            }
        }
        let (connection, note) = connect_noting(site, access).map_err(fault)?;
        let found = migrations::migration_number(&connection).map_err(fault)?;
        if found == 0 && !site.is_embedded() {
            let interrupted = crate::unfinished::interrupted(site.root());
            return Err(fault(
                interrupted.unwrap_or_else(|| ArchiveFault::NoArchive(Box::new(site.clone()))),
            ));
        }
        let archive = Self { note, ..Self::of(connection, site) };
        match access {
            Access::Read => Ok(archive),
            Access::Rehearse => Ok(archive.brought_up(now)?.rehearse(true)),
            Access::Write | Access::Create => Ok(archive.brought_up(now)?.without_remains()),
        }
    }

    fn of(connection: Connection, site: &Site) -> Self {
        let site = site.clone();
        Self {
            connection,
            site,
            stop: Arc::default(),
            note: None,
            is_rehearsal: false,
            _at_work: None,
        }
    }

    /// Returns a note for the user of this archive, if it could not be opened as usual.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Returns the facts about the database, and its faults: one sentence each.
    ///
    /// # Errors
    /// Returns an error when the database cannot be read.
    pub fn examine(&self) -> Result<(Vec<String>, Vec<String>), ArchiveError> {
        self.read("examine the database", |c| match c.dialect() {
            Dialect::Sqlite => Ok((Vec::new(), Vec::new())),
            Dialect::Postgres => {
                let (mut facts, mut faults) = partitions::examine(c)?;
                let (user, may_write): (String, bool) = c.query_row(
                    "SELECT current_user::text, has_table_privilege('unit', 'INSERT, UPDATE, DELETE')",
                    [],
                    |r| Ok((r.get(0)?, r.get(1)?)),
                )?;
                match may_write {
                    true => facts.push(format!("{user} may write to the database")),
                    false => faults.push(format!(
                        "{user} cannot write to the database: commands that change the archive fail for this login"
                    )),
                }
                let unreadable = crate::roles::unreadable(c)?;
                if !unreadable.is_empty() {
                    let roles = roles_of(&self.site);
                    faults.push(format!("readers cannot read {}: {roles}", unreadable.join(", ")));
                }
                Ok((facts, faults))
            }
        })
    }

    /// Sets the flag that interrupts loads and waits; the next run finds and resumes the interrupted work.
    pub fn stop_with(&mut self, stop: Arc<AtomicBool>) {
        self.stop = stop;
    }

    fn brought_up(mut self, now: Timestamp) -> Result<Self, ArchiveError> {
        if let Some(sqlite) = self.connection.sqlite() {
            let prepare = || -> Result<(), ArchiveFault> {
                // With a limit, the last connection leaves the -wal empty; without, the next one reads megabytes that are in the
                // database already.
                sqlite.execute_batch(
                    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;\
                     PRAGMA journal_size_limit = 4194304;",
                )?;
                lake::keep_wal_files(sqlite)?;
                Ok(())
            };
            prepare().map_err(ArchiveError::during("prepare the archive"))?;
        }
        let site = self.site.clone();
        let rights = self.write("open", "bring the archive up to date", |tx| {
            migrations::bring_up(tx, &site, now)
        })?;
        self.note = rights.map(|fault| {
            format!(
                "the rights of the database's roles are not up to date: {fault}: {}",
                roles_of(&site)
            )
        });
        if site.is_embedded() {
            for suffix in ["", "-wal", "-shm"] {
                let path = site.root().join(format!("archive.db{suffix}"));
                // `doctor` reports a group that cannot read, so the error does not stop the program.
                let _ = site::let_group_read(&path);
            }
        }
        Ok(self)
    }

    /// Removes the remains of killed processes. The next process meets a failure here again, so the error does not stop the
    /// program.
    fn without_remains(mut self) -> Self {
        let _ = deletions::finish(&mut self);
        let _ = self.clear_abandoned();
        self
    }

    /// Rolls back every write from now on, which has answered as it would: a command shows what it would do. Only for acts that
    /// change nothing but the database and the lake, whose new files are removed again.
    #[must_use]
    pub fn rehearse(mut self, is_rehearsal: bool) -> Self {
        self.set_rehearsal(is_rehearsal);
        self
    }

    /// The same for an archive that is borrowed.
    pub fn set_rehearsal(&mut self, is_rehearsal: bool) {
        self.is_rehearsal = is_rehearsal;
    }

    /// Returns true when every write is rolled back.
    pub fn is_rehearsal(&self) -> bool {
        self.is_rehearsal
    }

    /// Runs a write transaction. `point` names the crash points before and after its commit.
    ///
    /// # Errors
    /// Returns an error of the database or of `body`; `act` describes the act in the error.
    pub fn write<T>(
        &mut self,
        point: &str,
        act: impl Into<String>,
        body: impl FnOnce(&Connection) -> Result<T, ArchiveFault>,
    ) -> Result<T, ArchiveError> {
        let run = || -> Result<T, ArchiveFault> {
            let tx = self.connection.begin(Kind::Write)?;
            #[cfg(test)]
            let began = Instant::now();
            if self.is_rehearsal {
                return detections::rehearsed(&tx, &self.site, body);
            }
            let value = body(&tx)?;
            files::crash_point(&format!("{point}:before-commit"));
            tx.commit()?;
            #[cfg(test)]
            crate::tests::load::note(began.elapsed());
            files::crash_point(&format!("{point}:after-commit"));
            Ok(value)
        };
        run().map_err(ArchiveError::during(act))
    }

    /// Runs several statements on one consistent view of the archive.
    ///
    /// # Errors
    /// As [`Archive::write`].
    pub fn read<T>(
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

/// Shares a site with other writing processes, so that no move of its archive starts before the lock is dropped.
///
/// # Errors
/// A conflict while an archive is being moved or restored.
pub fn at_work(site: &Site) -> Result<files::DirLock, ArchiveError> {
    let act = "work on the site";
    let io = |source| ArchiveFault::Io { path: site.root().to_owned(), source };
    let shared = files::share_dir(site.root()).map_err(io).map_err(ArchiveError::during(act))?;
    shared.ok_or_else(|| {
        let message = "the archive is being moved or restored: run the command again afterwards";
        ArchiveError::during(act)(ArchiveFault::Conflict(message.to_owned()))
    })
}

/// Returns the fault of a site without archive.db: the archive may have moved since the configuration was read.
pub(crate) fn absent(site: &Site) -> ArchiveFault {
    if let Some(interrupted) = crate::unfinished::interrupted(site.root()) {
        return interrupted;
    }
    let before = site.root().join(crate::unfinished::MIGRATED);
    let open = |path| rusqlite::Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    match before.is_file().then(|| open(&before)) {
        Some(Ok(c)) => match engine::relocation::check(&c) {
            Err(moved) if moved.is_moved() => moved.into(),
            _ => ArchiveFault::NoSite(site.root().to_owned()),
        },
        _ => ArchiveFault::NoSite(site.root().to_owned()),
    }
}

/// Connects to the archive of a site.
///
/// # Errors
/// Returns the engine's error.
pub fn connect(site: &Site, access: Access) -> Result<Connection, ArchiveFault> {
    Ok(connect_noting(site, access)?.0)
}

/// Connects to the archive, and returns a note for the user if it is not opened as usual.
fn connect_noting(
    site: &Site,
    access: Access,
) -> Result<(Connection, Option<String>), ArchiveFault> {
    if let Some(address) = site.address()? {
        return Ok((Connection::Postgres(Server::connect(&address)?), None));
    }
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if access == Access::Create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let (connection, note) = match access {
        Access::Read => engine::reading::open(&site.database())?,
        _ => (rusqlite::Connection::open_with_flags(site.database(), flags)?, None),
    };
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(200);
    // With QPSG, query plans do not depend on the values of parameters; without it, SQLite plans again for every value.
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.execute_batch(
        "PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536;",
    )?;
    Ok((Connection::Sqlite(connection), note))
}

impl Registry for Archive {
    fn record(
        &mut self,
        registration: &Registration<'_>,
        now: Timestamp,
    ) -> Result<Recorded, ArchiveError> {
        let act = format!("register {}", registration.delivery.name);
        let site = self.site.clone();
        self.write("register", act, |tx| registration::record(tx, &site, registration, now))
    }

    fn known_files(&self, delivery: &str) -> Result<Vec<KnownFile>, ArchiveError> {
        self.read("list known files", |c| registration::known_files(c, delivery))
    }

    fn origins(&self, directory: Option<&str>) -> Result<Vec<KnownOrigin>, ArchiveError> {
        self.read("list origins of deliveries", |c| origins::list(c, directory))
    }

    fn claim_origin(
        &mut self,
        place: &DeliveryOrigin,
        delivery: &str,
        claim: Claim<'_>,
        now: Timestamp,
    ) -> Result<(), ArchiveError> {
        let act = format!("record the origin of {delivery}");
        self.write("origin", act, |tx| origins::claim(tx, place, delivery, claim, now))
    }

    fn release_origin(&mut self, place: &DeliveryOrigin) -> Result<(), ArchiveError> {
        let act = format!("release the name of {}", place.directory);
        self.write("origin", act, |tx| origins::release(tx, place))
    }

    fn close_delivery(
        &mut self,
        delivery: &str,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<bool, ArchiveError> {
        let act = format!("declare {delivery} complete");
        self.write("close", act, |tx| origins::close(tx, delivery, cause, now))
    }

    fn skipped(&self, delivery: &str) -> Result<Vec<SkippedEntry>, ArchiveError> {
        self.read("list skipped entries", |c| origins::skipped(c, delivery))
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
        self.read(format!("list the work of {delivery}"), |c| work::delivery_work(c, delivery))
    }

    fn request_again(
        &mut self,
        delivery: &str,
        use_case: UseCase,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<(), ArchiveError> {
        let act = format!("request the {use_case} of {delivery} again");
        self.write("again", act, |tx| {
            let mut select = tx.prepare_cached(
                "SELECT file_id FROM file WHERE delivery_id = ?1 AND state = 'current' AND kind = 'image'",
            )?;
            let delivery = registration::delivery_id(tx, delivery)?;
            let files: Vec<i64> =
                select.query_map([delivery], |r| r.get(0))?.collect::<Result<_, _>>()?;
            for file in files {
                rounds::request_again(tx, file, use_case, &cause.why, now)?;
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
        self.read(format!("read the state of {unit}"), |c| Ok(rounds::find(c, unit)?.state))
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
        self.write("sweep", "record a swept attempt", |tx| attempts::mark_swept(tx, attempt))
    }
}

impl Planning for Archive {
    fn instructions(&self) -> Result<Vec<Standing>, ArchiveError> {
        self.read("list instructions", instructions::instructions)
    }

    fn instruct(
        &mut self,
        subject: &Subject,
        instruction: &Instruction,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<(), ArchiveError> {
        self.write("instruct", format!("{} {subject}", instruction.act()), |tx| {
            instructions::instruct(tx, subject, instruction, cause, now)?;
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
            let is_changed = instructions::withdraw(tx, subject, act, cause, now)?;
            changes::tell(tx)?;
            Ok(is_changed)
        })
    }

    fn resume(
        &mut self,
        resumed: &Resumed,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Vec<Subject>, ArchiveError> {
        self.write("resume", "resume paused work", |tx| {
            let ended = instructions::resume(tx, resumed, cause, now)?;
            changes::tell(tx)?;
            Ok(ended)
        })
    }

    fn held(&self, deliveries: &[(String, Option<i32>)]) -> Result<Vec<Held>, ArchiveError> {
        self.read("list paused work", |c| instructions::held(c, deliveries))
    }

    fn instructions_given(&self) -> Result<i64, ArchiveError> {
        self.read("count instructions", instructions::instructions_given)
    }

    fn decisions(&self, at_most: u32) -> Result<Latest<PlanDecision>, ArchiveError> {
        self.read("list decisions on plans", |c| plans::decisions(c, at_most))
    }

    fn instruction_history(&self, at_most: u32) -> Result<Latest<InstructionChange>, ArchiveError> {
        self.read("list instructions of the past", |c| {
            instructions::instruction_history(c, at_most)
        })
    }

    fn unfinished_deliveries(&self) -> Result<Vec<Unfinished>, ArchiveError> {
        self.read("list unfinished deliveries", plans::unfinished_deliveries)
    }

    fn open_tasks(&self) -> Result<Vec<OpenTask>, ArchiveError> {
        self.read("list open tasks", plans::open_tasks)
    }

    fn recent_results(&self, most: u32) -> Result<Vec<TaskUsage>, ArchiveError> {
        self.read("list the durations of tasks", |c| plans::recent_results(c, most))
    }

    fn propose(
        &mut self,
        proposal: &Proposal,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<i64, ArchiveError> {
        self.write("propose", "propose a plan", |tx| plans::propose(tx, proposal, cause, now))
    }

    fn withdraw_proposal(&mut self, cause: &Cause, now: Timestamp) -> Result<(), ArchiveError> {
        self.write("withdraw-proposal", "end a proposal", |tx| {
            plans::withdraw_proposal(tx, cause, now)
        })
    }

    fn approve(
        &mut self,
        plan_id: Option<i64>,
        selection: &Selection,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Decided, ArchiveError> {
        self.write("approve", of_plan("approve", plan_id), |tx| {
            plans::approve(tx, plan_id, selection, cause, now)
        })
    }

    fn reject(
        &mut self,
        plan_id: Option<i64>,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<(i64, Vec<(String, UseCase)>), ArchiveError> {
        self.write("reject", of_plan("reject", plan_id), |tx| {
            plans::reject(tx, plan_id, cause, now)
        })
    }

    fn approve_expected(&mut self, now: Timestamp) -> Result<Vec<UnitKey>, ArchiveError> {
        if self.approved_expected()?.is_empty() {
            return Ok(Vec::new());
        }
        self.write("approve-coming", "approve expected rounds", |tx| {
            plans::approve_expected(tx, now)
        })
    }

    fn approved_expected(&self) -> Result<Vec<(String, UseCase)>, ArchiveError> {
        self.read("list approved expected rounds", plans::approved_expected)
    }

    fn plan(&self, plan_id: Option<i64>) -> Result<Option<PlanRecord>, ArchiveError> {
        self.read("read a plan", |c| plans::plan(c, plan_id))
    }

    fn compare(&self, plan_id: i64) -> Result<Vec<PlannedRun>, ArchiveError> {
        self.read(format!("compare plan {plan_id}"), |c| plans::compare(c, plan_id))
    }

    fn compare_expected(
        &self,
        delivery: &str,
        use_case: UseCase,
        since: Timestamp,
    ) -> Result<Vec<ExpectedRun>, ArchiveError> {
        self.read(format!("compare {delivery}/{use_case}"), |c| {
            plans::compare_expected(c, delivery, use_case, since)
        })
    }

    fn note_job(&mut self, attempt: &AttemptKey, job: &str) -> Result<(), ArchiveError> {
        self.write("job", "record the job of an attempt", |tx| plans::note_job(tx, attempt, job))
    }

    fn note_end(&mut self, attempt: &AttemptKey, code: &str) -> Result<(), ArchiveError> {
        self.write("end-code", "record the end of an attempt", |tx| {
            plans::note_end(tx, attempt, code)
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
        publication::load(&self.connection, &self.site, batch, ranges, &self.stop)
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
            self.write("attach", act.clone(), |tx| publication::attach(tx, &batch.unit, &loaded))?;
            partitions::let_plans_end(&self.connection)
                .map_err(|fault| ArchiveError::during(act)(ArchiveFault::from(fault)))?;
        }
        let mut receipt = self.write("publish", format!("publish {}", batch.unit), |tx| {
            publication::publish(tx, &site, batch, loaded, cause, now)
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
            return match self.is_rehearsal {
                true => partitions::due_to_drop(&self.connection),
                false => partitions::drop_left_over(&self.connection),
            }
            .map_err(ArchiveError::during("drop abandoned tables"));
        }
        let site = self.site.clone();
        let files = self.read("list abandoned files", |c| batches::abandoned_files(c, &site))?;
        let lake = self.site.lake();
        let is_removed = |path: &&PathBuf| match self.is_rehearsal {
            true => path.symlink_metadata().is_ok(),
            false => files::remove_below(&lake, path).is_ok_and(|is_removed| is_removed),
        };
        let removed = files.iter().filter(is_removed);
        Ok(removed.map(|path| path.display().to_string()).collect())
    }

    fn tidy(&mut self) -> Result<u64, ArchiveError> {
        if self.site.is_embedded() {
            return Ok(0);
        }
        let folded = partitions::fold(&self.connection, partitions::max_partitions());
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
        self.write("restore", format!("restore {delivery}"), |tx| {
            retraction::restore(tx, &site, delivery, use_cases, cause, now)
        })
    }

    fn set_aside(
        &mut self,
        newer: (&str, Option<&str>),
        use_cases: &[UseCase],
        cause: &Cause,
        now: Timestamp,
    ) -> Result<SetAside, ArchiveError> {
        let site = self.site.clone();
        self.write("set-aside", format!("end older products beside {}", newer.0), |tx| {
            aside::set_aside(tx, &site, newer, use_cases, cause, now)
        })
    }

    fn undo_set_aside(
        &mut self,
        newer: (&str, Option<&str>),
        use_cases: &[UseCase],
        cause: &Cause,
        now: Timestamp,
    ) -> Result<SetAside, ArchiveError> {
        let site = self.site.clone();
        self.write("set-aside", format!("show older products beside {} again", newer.0), |tx| {
            aside::undo(tx, &site, newer, use_cases, cause, now)
        })
    }

    fn purge(
        &mut self,
        scope: PurgeScope<'_>,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Purged, ArchiveError> {
        let site = self.site.clone();
        let mut purged = self.write("purge", "purge retracted rounds", |tx| {
            let (purged, files) = purge::purge(tx, &site, scope, cause, now)?;
            deletions::note(tx, &site, &files)?;
            Ok(purged)
        })?;
        if !self.is_rehearsal {
            purged.files = deletions::finish(self)?;
        }
        Ok(purged)
    }
}

impl Holdings for Archive {
    fn holdings(&self, delivery: Option<&str>) -> Result<Vec<Holding>, ArchiveError> {
        self.read("list the library", |c| library::list(c, delivery))
    }

    fn note_soundness(
        &mut self,
        found: &[(i64, Soundness)],
        now: Timestamp,
    ) -> Result<(), ArchiveError> {
        self.write("scrub", "record the state of library files", |tx| library::note(tx, found, now))
    }
}

impl Inquiry for Archive {
    fn deliveries(&self, night: Option<i32>) -> Result<Vec<String>, ArchiveError> {
        self.read("list deliveries", |c| reports::deliveries(c, night))
    }

    fn awaited(&self, delivery: &str) -> Result<Option<String>, ArchiveError> {
        self.read(format!("look up {delivery:?}"), |c| reports::awaited(c, delivery))
    }

    fn source(&self, delivery: &str) -> Result<PathBuf, ArchiveError> {
        self.read(format!("look up {delivery:?}"), |c| reports::source(c, delivery))
    }

    fn status(&self) -> Result<Status, ArchiveError> {
        self.status_of(&StatusFilter::default())
    }

    fn status_of(&self, filter: &StatusFilter) -> Result<Status, ArchiveError> {
        self.read("report the status", |c| reports::status(c, filter))
    }

    fn night(&self, delivery: &str) -> Result<Option<i32>, ArchiveError> {
        self.read(format!("look up {delivery:?}"), |c| instructions::night(c, delivery))
    }

    fn rates(&self) -> Result<Vec<Rate>, ArchiveError> {
        self.read("list rates", reports::rates)
    }

    fn facts_about(&self, asked: &Asked) -> Result<Facts, ArchiveError> {
        self.read("look up facts", |c| facts::facts(c, asked))
    }

    fn facts(&self, delivery_or_file: &str) -> Result<Option<Facts>, ArchiveError> {
        let name = Some(delivery_or_file.to_owned());
        let facts = self.facts_about(&Asked { name, at_most: 1000, ..Asked::default() })?;
        Ok((!facts.is_empty()).then_some(facts))
    }

    fn files_like(&self, begin: &str) -> Result<Vec<(String, String)>, ArchiveError> {
        self.read("look up names", |c| reports::files_like(c, begin))
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

    fn kept_products(&self, newer: Option<&str>) -> Result<Vec<KeptProduct>, ArchiveError> {
        self.read("list kept products", |c| aside::list(c, newer))
    }

    fn programmes(&self) -> Result<Vec<Programme>, ArchiveError> {
        self.read("list programmes", reports::programmes)
    }
}

/// Names an act on a plan for the message of its failure.
fn of_plan(act: &str, plan_id: Option<i64>) -> String {
    match plan_id {
        Some(plan_id) => format!("{act} plan {plan_id}"),
        None => format!("{act} the plan"),
    }
}
