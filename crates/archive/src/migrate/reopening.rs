//! Reopening of a moved archive whose new place is lost.
//!
//! The old archive keeps all that it had when it moved. Records that only the new place has are lost with it: events, registered
//! files, changes of rounds. As long as the new place can be read and has such records, reopening is refused unless it is forced.
//!
//! 1. The new archive is closed, if it can be reached: never are both open.
//! 2. An embedded archive that was set aside gets its name back.
//! 3. In one transaction the old archive is brought to this program's schema and opened, and rounds that were running or staged are restarted.
//! 4. The caller switches the configuration over.
//!
//! After an interruption the same call finishes it.

use super::handover::MIGRATED;
use super::{Alone, conflict};
use crate::backup::start_again_sql;
use crate::control::records::{Cause, Timestamp};
use crate::control::store::{Access, bring_up, connect, text_of};
use crate::engine::relocation::{self, Relocation};
use crate::engine::{Connection, Database, EngineError, Kind, Optional};
use crate::error::{ArchiveError, ArchiveFault};
use crate::site::Site;
use rusqlite::params;
use std::path::{Path, PathBuf};

const ACT: &str = "reopen the archive";
/// Beginning of the name of the earlier `staging`, beside the new one.
const STAGING_ASIDE: &str = "staging.before-reopening";

/// Records that only the new place has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lead {
    /// Events.
    pub events: u64,
    /// Registered files.
    pub files: u64,
    /// Changes of rounds.
    pub changes: u64,
}

impl Lead {
    fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// The state of the place to which an archive moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewPlace {
    /// It does not exist, or no server answers there.
    Lost(String),
    /// Something answers that is not the archive that moved there, or that cannot be read.
    Unknown(String),
    /// The archive, with what it has recorded since it moved.
    Archive(Lead),
}

/// A closed archive that can be reopened.
#[derive(Debug)]
pub struct Reopening {
    old: Site,
    new: Site,
    /// `None` when it is open already and only the configuration must be switched.
    moved: Option<Relocation>,
    new_place: NewPlace,
}

impl Reopening {
    /// Finds the closed archive of a site in `old`, and inspects the place to which it moved. Changes nothing.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when there is no closed archive.
    pub fn find(site: &Site, old: &Database, _: &Alone) -> Result<Self, ArchiveError> {
        Self::found(site, old).map_err(ArchiveError::during(ACT))
    }

    fn found(site: &Site, old: &Database) -> Result<Self, ArchiveFault> {
        let old = site.clone().on(old.clone());
        let c = reader(&old)?;
        let Some(moved) = relocation::all(&c)?.into_iter().find(|row| row.state == "moved") else {
            return Self::open_already(site, old, &c);
        };
        let new = match site.whereabouts() == moved.place {
            true => site.clone(),
            false => site.clone().on(database_of(&moved.place)),
        };
        let new_place = inspected(&new, &moved, &c);
        Ok(Self { old, new, moved: Some(moved), new_place })
    }

    /// Returns a reopening that was interrupted before the configuration was switched.
    fn open_already(site: &Site, old: Site, c: &Connection) -> Result<Self, ArchiveFault> {
        let is_switched = site.whereabouts() == old.whereabouts();
        let place = if is_switched { None } else { last_reopening(c)? };
        if place.is_none_or(|place| place != site.whereabouts()) {
            let message = format!("the archive at {} is not closed by a move", old.whereabouts());
            return Err(ArchiveFault::Conflict(message));
        }
        let new_place = NewPlace::Lost("it was given up by the interrupted reopening".to_owned());
        Ok(Self { old, new: site.clone(), moved: None, new_place })
    }

    /// Returns the address of the place to which the archive moved.
    pub fn place(&self) -> String {
        self.new.whereabouts()
    }

    /// Returns the state of that place.
    pub fn new_place(&self) -> &NewPlace {
        &self.new_place
    }

    /// Checks that nothing is given up that could be kept, unless that is forced, and that the files of the old archive exist.
    ///
    /// # Errors
    /// A conflict that names what would be lost.
    pub fn check(&self, is_forced: bool) -> Result<(), ArchiveError> {
        let place = self.place();
        let fault = match &self.new_place {
            _ if is_forced => None,
            NewPlace::Archive(lead) if !lead.is_empty() => Some(format!(
                "{place} can be reached and has {} events, {} files and {} changes of rounds that the old archive lacks: move it \
                 back, or give these up with --force",
                lead.events, lead.files, lead.changes
            )),
            NewPlace::Unknown(why) => Some(format!(
                "{place} answers, but not as the archive that moved there ({why}): repair it, or give it up with --force"
            )),
            NewPlace::Archive(_) | NewPlace::Lost(_) => None,
        };
        match fault {
            Some(message) => Err(conflict(&message)),
            None => self.check_lake().map_err(ArchiveError::during(ACT)),
        }
    }

    /// Refuses an embedded archive whose lake files were removed after the move.
    fn check_lake(&self) -> Result<(), ArchiveFault> {
        if !self.old.is_embedded() {
            return Ok(());
        }
        let c = reader(&self.old)?;
        let mut select = c.prepare("SELECT DISTINCT path FROM ducklake_data_file ORDER BY path")?;
        let names: Vec<String> =
            select.query_map([], |r| r.get(0))?.collect::<crate::engine::Result<_>>()?;
        let directory = self.old.lake().join("detection");
        match names.iter().find(|name| !directory.join(name).is_file()) {
            None => Ok(()),
            Some(name) => Err(ArchiveFault::Conflict(format!(
                "lake/detection/{name} of the old archive is missing: restore a backup instead"
            ))),
        }
    }

    /// Reopens the old archive. The caller has called [`Self::check`], and switches the configuration over afterwards.
    ///
    /// # Errors
    /// [`ArchiveError`]
    pub fn run(&self, cause: &Cause, now: Timestamp, _: &Alone) -> Result<(), ArchiveError> {
        self.reopen(cause, now).map_err(ArchiveError::during(ACT))
    }

    fn reopen(&self, cause: &Cause, now: Timestamp) -> Result<(), ArchiveFault> {
        let Some(moved) = &self.moved else { return Ok(()) };
        if let NewPlace::Archive(_) = self.new_place {
            self.close_new(moved, now)?;
        }
        files::crash_point("reopen:closed");
        if self.old.is_embedded() {
            take_name_back(&self.old)?;
        }
        files::crash_point("reopen:renamed");
        set_staging_aside(&self.old)?;
        files::crash_point("reopen:aside");
        self.open_old(moved, cause, now)?;
        files::crash_point("reopen:opened");
        Ok(())
    }

    fn close_new(&self, moved: &Relocation, now: Timestamp) -> Result<(), ArchiveFault> {
        let new = connect(&self.new, Access::Write)?;
        let tx = new.begin(Kind::Move)?;
        let row = Relocation {
            state: "moved".to_owned(),
            word: moved.word.clone(),
            place: self.old.whereabouts(),
        };
        relocation::set(&tx, &row, &text_of(now))?;
        Ok(tx.commit()?)
    }

    fn open_old(
        &self,
        moved: &Relocation,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<(), ArchiveFault> {
        let old = connect(&self.old, Access::Write)?;
        let tx = old.begin(Kind::Move)?;
        bring_up(&tx, &self.old, now)?;
        relocation::clear(&tx)?;
        let lost = match self.new_place {
            NewPlace::Archive(lead) => Some(lead.events),
            NewPlace::Lost(_) | NewPlace::Unknown(_) => None,
        };
        tx.prepare(
            "INSERT INTO reopening (move, place, lost_events, reopened, who, why) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![moved.word, moved.place, lost, text_of(now), cause.who, cause.why])?;
        tx.execute_batch(&start_again_sql(
            now,
            "its results may be lost with the place to which the archive moved",
        ))?;
        Ok(tx.commit()?)
    }
}

/// Opens an archive for reading, also an embedded one that was set aside.
fn reader(site: &Site) -> Result<Connection, ArchiveFault> {
    if !site.is_embedded() || site.database().is_file() {
        return connect(site, Access::Read);
    }
    let aside = site.root().join(MIGRATED);
    if !aside.is_file() {
        return Err(ArchiveFault::Conflict(format!(
            "{} has neither archive.db nor {MIGRATED}: restore a backup instead",
            site.root().display()
        )));
    }
    Ok(Connection::Sqlite(crate::engine::reading::open(&aside)?.0))
}

/// Returns the database that a recorded place names.
fn database_of(place: &str) -> Database {
    let url = (!Path::new(place).is_absolute()).then(|| place.to_owned());
    Database { url, ..Database::default() }
}

/// Returns the place that the latest reopening of an archive gave up.
fn last_reopening(c: &Connection) -> Result<Option<String>, ArchiveFault> {
    let select = c.prepare("SELECT place FROM reopening ORDER BY reopened DESC LIMIT 1");
    match select {
        Ok(mut select) => Ok(select.query_row([], |r| r.get(0)).optional()?),
        Err(_) => Ok(None), // an archive of an older schema, which nobody has reopened
    }
}

/// Reads the new place and compares it with the old archive.
fn inspected(new: &Site, moved: &Relocation, old: &Connection) -> NewPlace {
    if new.is_embedded() && !new.database().is_file() {
        return NewPlace::Lost(format!("{} does not exist", new.database().display()));
    }
    let compare = || -> Result<NewPlace, ArchiveFault> {
        let c = connect(new, Access::Read)?;
        match relocation::all(&c)?.into_iter().find(|row| row.word == moved.word) {
            Some(row) if row.state == "arriving" => Ok(NewPlace::Archive(Lead::default())),
            Some(_) => Ok(NewPlace::Archive(lead(&counts(&c)?, &counts(old)?))),
            None => Ok(NewPlace::Unknown("it does not hold the copy of this archive".to_owned())),
        }
    };
    compare().unwrap_or_else(|fault| match is_absent(&fault) {
        true => NewPlace::Lost(model::one_line(&fault)),
        false => NewPlace::Unknown(model::one_line(&fault)),
    })
}

/// Returns whether a fault means that no server answers, or that it has no such database.
fn is_absent(fault: &ArchiveFault) -> bool {
    match fault {
        ArchiveFault::Engine(engine) => match engine {
            EngineError::Postgres(error) if error.code().is_some() => {
                error.code() == Some(&postgres::error::SqlState::INVALID_CATALOG_NAME)
            }
            EngineError::Postgres(_) => engine.is_transient(),
            _ => false,
        },
        _ => false,
    }
}

/// Numbers that only grow: the last event, registered files, changes of rounds.
fn counts(c: &Connection) -> Result<[u64; 3], ArchiveFault> {
    let count = |sql: &str| c.query_row(sql, [], |r| r.get::<u64>(0));
    Ok([
        count("SELECT coalesce(max(event_id), 0) FROM event")?,
        count("SELECT count(*) FROM file")?,
        count("SELECT count(*) FROM unit_history")?,
    ])
}

fn lead(new: &[u64; 3], old: &[u64; 3]) -> Lead {
    let more = |at: usize| new[at].saturating_sub(old[at]);
    Lead { events: more(0), files: more(1), changes: more(2) }
}

/// Renames an embedded archive that was set aside.
fn take_name_back(site: &Site) -> Result<(), ArchiveFault> {
    // archive.db comes last: where it exists, everything else has its name.
    for suffix in ["-wal", "-shm", ""] {
        let path = |name: &str| -> PathBuf { site.root().join(format!("{name}{suffix}")) };
        let (from, to) = (path(MIGRATED), path("archive.db"));
        if from.exists() && !to.exists() {
            std::fs::rename(&from, &to)
                .map_err(|source| ArchiveFault::Io { path: from, source })?;
        }
    }
    files::sync_dir(site.root())
        .map_err(|source| ArchiveFault::Io { path: site.root().to_owned(), source })
}

/// Renames `staging`: attempts of the new place have left results there under names that the old archive gives out again.
fn set_staging_aside(site: &Site) -> Result<(), ArchiveFault> {
    let staging = site.staging();
    let fault = |source| ArchiveFault::Io { path: staging.clone(), source };
    let is_empty = match std::fs::read_dir(&staging) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(fault(error)),
    };
    if !is_empty {
        let names = (1..).map(|n| site.root().join(format!("{STAGING_ASIDE}-{n}")));
        let free = names.into_iter().find(|path| !path.exists()).unwrap_or_default();
        std::fs::rename(&staging, free).map_err(fault)?;
    }
    files::create_dir(&staging).map_err(fault)
}
