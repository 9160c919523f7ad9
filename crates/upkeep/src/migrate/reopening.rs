//! Reopening of a moved archive whose new place is lost.
//!
//! The old archive keeps all its contents from the time of the move. Records that only the new place has are lost with
//! it: events, registered files, changes of rounds and refusals, programmes, instructions, decisions on plans. While
//! the new place has such records ([`Lead`]), or cannot be reached or read, reopening is refused unless it is forced.
//! Only a place that does not exist is lost without force: `archive.db` is absent, or the server reports that it has no
//! such database.
//!
//! 1. The new archive is closed, if it can be read. One that is abandoned while it cannot be reached stays open:
//!    processes whose configuration names it can still write there.
//! 2. An embedded archive that was set aside gets its name back.
//! 3. In one transaction the old archive is migrated to this program's schema and opened, and rounds that were running
//!    or staged are restarted.
//! 4. The caller switches the configuration over.
//!
//! After an interruption the same call finishes it. The closed new archive names that call.

use super::handover::{password_file_of, rename_database};
use super::{Alone, conflict};
use crate::backup::start_again_sql;
use archive::error::{ArchiveError, ArchiveFault};
use archive::history::Cause;
use archive::migrations::{bring_up, migration_number};
use archive::site::Site;
use archive::time::text_of;
use archive::unfinished::MIGRATED;
use archive::{Access, Timestamp, connect};
use engine::relocation::{self, Relocation, RelocationState};
use engine::{Connection, Database, EngineError, Kind, Optional, Row};
use rusqlite::params;
use std::fmt;
use std::path::{Path, PathBuf};

const ACT: &str = "reopen the archive";
/// Prefix of the name of the earlier `staging`, next to the new one.
const STAGING_ASIDE: &str = "staging.before-reopening";

/// Records that are counted: a table, and the name of its rows. Rows are only added, so that the new place has as many
/// as the old archive and those that it made itself.
const RECORDS: [(&str, &str); 7] = [
    ("event", "events"),
    ("file", "files"),
    ("unit_history", "changes of rounds"),
    ("programme_counter", "programmes"),
    ("refusal_history", "changes of refusals"),
    ("instruction_history", "instructions"),
    ("plan_decision", "decisions on plans"),
];

/// Numbers of the records of an archive, in the order of [`RECORDS`].
type Counts = [u64; RECORDS.len()];

/// Records that only the new place has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lead(Counts);

impl Lead {
    /// Compares the new place with the old archive.
    fn of(new: &Counts, old: &Counts) -> Self {
        Self(std::array::from_fn(|at| new[at].saturating_sub(old[at])))
    }

    fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Returns true when there are records that another lead does not have.
    fn exceeds(self, other: Self) -> bool {
        self.0.iter().zip(other.0).any(|(count, other)| *count > other)
    }

    /// Returns the number of events.
    fn events(self) -> u64 {
        self.0[0]
    }
}

impl fmt::Display for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = self.0.iter().zip(RECORDS).filter(|(count, _)| **count > 0);
        let words: Vec<String> =
            counted.map(|(count, (_, name))| format!("{count} {name}")).collect();
        match words.split_last() {
            None => f.write_str("no records"),
            Some((last, [])) => f.write_str(last),
            Some((last, others)) => write!(f, "{} and {last}", others.join(", ")),
        }
    }
}

/// The state of the place to which an archive moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewPlace {
    /// It does not exist: there is no `archive.db`, or its server has no such database.
    Lost(String),
    /// Its server or its directory cannot be reached. It may have records of its own.
    Unreachable(String),
    /// It can be reached, and is not the archive that moved there, or cannot be read.
    Unknown(String),
    /// The archive, with the records made since it moved.
    Archive(Lead),
    /// The archive, closed by a reopening that was interrupted.
    Closed(Lead),
}

/// A closed archive that can be reopened.
#[derive(Debug)]
pub struct Reopening {
    old: Site,
    new: Site,
    /// The row of the move, or of the interrupted reopening.
    moved: Relocation,
    /// True when the old archive is open already, and only the configuration must be switched.
    is_open: bool,
    /// Record counts of the old archive.
    counts: Counts,
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
        let closed = relocation::all(&c)?.into_iter().find(Relocation::is_moved);
        let is_open = closed.is_none();
        let interrupted = || unconfirmed(site, &old);
        let Some(moved) = closed.or(reopened(site, &old, &c)?).or_else(interrupted) else {
            let message = format!("the archive at {} is not closed by a move", old.location());
            return Err(ArchiveFault::Conflict(message));
        };
        let new = match site.location() == moved.place {
            true => site.clone(),
            false => site.clone().on(database_of(&moved)),
        };
        let counts = counts(&c)?;
        let new_place = inspected(&new, &moved.word, &counts);
        Ok(Self { old, new, moved, is_open, counts, new_place })
    }

    /// Returns the address of the place to which the archive moved.
    pub fn place(&self) -> String {
        self.new.location()
    }

    /// Returns the state of that place.
    pub fn new_place(&self) -> &NewPlace {
        &self.new_place
    }

    /// Checks that nothing is abandoned that could be kept, unless that is forced, and that the files of the old
    /// archive exist.
    ///
    /// # Errors
    /// A conflict that names the records that would be lost.
    pub fn check(&self, is_forced: bool) -> Result<(), ArchiveError> {
        let place = self.place();
        let fault = match &self.new_place {
            _ if is_forced => None,
            NewPlace::Archive(lead) if !lead.is_empty() => Some(format!(
                "{place} can be reached and has {lead} that the old archive lacks: move the archive back, or discard these records with --force"
            )),
            NewPlace::Unreachable(why) => Some(format!(
                "{place} cannot be reached ({why}) and may have records that the old archive lacks: make it reachable, \
                 or discard it with --force"
            )),
            NewPlace::Unknown(why) => Some(format!(
                "{place} cannot be read as the archive that moved there ({why}): repair it, or discard it with --force"
            )),
            NewPlace::Archive(_) | NewPlace::Closed(_) | NewPlace::Lost(_) => None,
        };
        match fault {
            Some(message) => Err(conflict(&message)),
            None => self.check_lake().map_err(ArchiveError::during(ACT)),
        }
    }

    /// Returns an error for an embedded archive whose lake files were removed after the move.
    fn check_lake(&self) -> Result<(), ArchiveFault> {
        if !self.old.is_embedded() {
            return Ok(());
        }
        let c = reader(&self.old)?;
        let mut select = c.prepare(
            "SELECT DISTINCT t.path || f.path FROM ducklake_data_file AS f JOIN ducklake_table AS t USING (table_id)
             ORDER BY 1",
        )?;
        let names: Vec<String> =
            select.query_map([], |r| r.get(0))?.collect::<engine::Result<_>>()?;
        let directory = self.old.lake();
        match names.iter().find(|name| !directory.join(name).is_file()) {
            None => Ok(()),
            Some(name) => Err(ArchiveFault::Conflict(format!(
                "lake/{name} of the old archive is missing: restore a backup instead"
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
        files::crash_point("reopen:checked");
        if let NewPlace::Archive(lead) = self.new_place {
            self.close_new(lead, now)?;
        }
        files::crash_point("reopen:closed");
        if self.is_open {
            return Ok(());
        }
        let root = self.old.root();
        if self.old.lacks_database() {
            rename_database(root, MIGRATED, "archive.db", "reopen:name")?;
        }
        files::crash_point("reopen:renamed");
        set_staging_aside(&self.old)?;
        files::crash_point("reopen:aside");
        self.open_old(cause, now)?;
        files::crash_point("reopen:opened");
        Ok(())
    }

    /// Closes the new place, unless it has recorded more than was shown.
    fn close_new(&self, shown: Lead, now: Timestamp) -> Result<(), ArchiveFault> {
        let new = connect(&self.new, Access::Write)?;
        let tx = new.begin(Kind::Move)?;
        let is_ours = relocation::all(&tx)?.iter().any(|row| row.word == self.moved.word);
        let lead = Lead::of(&counts(&tx)?, &self.counts);
        if !is_ours || lead.exceeds(shown) {
            return Err(ArchiveFault::Conflict(format!(
                "{} has changed since the inspection, and has {lead} that the old archive lacks: run the command again",
                self.place()
            )));
        }
        let row = Relocation {
            state: RelocationState::Reopening,
            word: self.moved.word.clone(),
            place: self.old.location(),
            password_file: password_file_of(&self.old),
        };
        relocation::set(&tx, &row, &text_of(now))?;
        Ok(tx.commit()?)
    }

    fn open_old(&self, cause: &Cause, now: Timestamp) -> Result<(), ArchiveFault> {
        let moved = &self.moved;
        let old = connect(&self.old, Access::Write)?;
        let tx = old.begin(Kind::Move)?;
        bring_up(&tx, &self.old, now)?;
        relocation::clear(&tx)?;
        let lost = match self.new_place {
            NewPlace::Archive(lead) | NewPlace::Closed(lead) => Some(lead.events()),
            NewPlace::Lost(_) | NewPlace::Unreachable(_) | NewPlace::Unknown(_) => None,
        };
        tx.prepare(
            "INSERT INTO reopening (move, place, lost_events, reopened, who, why) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![moved.word, moved.place, lost, text_of(now), cause.who, cause.why])?;
        let why = "the results of the task may be lost with the place to which the archive moved";
        let restarted = Cause::new(cause.who.as_str(), why);
        tx.execute_batch(&start_again_sql(now, &restarted, "reopened"))?;
        Ok(tx.commit()?)
    }
}

/// Opens an archive of this program's schema, or of one that it can migrate, for reading, including an embedded one that was
/// set aside.
fn reader(site: &Site) -> Result<Connection, ArchiveFault> {
    let c = opened(site)?;
    match migration_number(&c)? {
        0 => Err(ArchiveFault::Conflict(format!("{} holds no archive", site.location()))),
        _ => Ok(c),
    }
}

fn opened(site: &Site) -> Result<Connection, ArchiveFault> {
    if !site.lacks_database() {
        return connect(site, Access::Read);
    }
    let aside = site.root().join(MIGRATED);
    if !aside.is_file() {
        return Err(ArchiveFault::Conflict(format!(
            "{} has neither archive.db nor {MIGRATED}: restore a backup instead",
            site.root().display()
        )));
    }
    Ok(Connection::Sqlite(engine::reading::open(&aside)?.0))
}

/// Returns the database that a row names.
fn database_of(moved: &Relocation) -> Database {
    let url = (!Path::new(&moved.place).is_absolute()).then(|| moved.place.clone());
    let password_file = url.as_ref().and(moved.password_file.as_ref()).map(PathBuf::from);
    Database { url, password_file, ..Database::default() }
}

/// Returns the move of an archive that was interrupted before the old place was closed, for a site whose configuration
/// names the copy already.
fn unconfirmed(site: &Site, old: &Site) -> Option<Relocation> {
    let rows = relocation::all(&connect(site, Access::Read).ok()?).ok()?;
    let copy = rows.into_iter().find(|row| row.state == RelocationState::Arriving)?;
    let is_of_old = copy.place == old.location() && copy.place != site.location();
    let moved =
        || Relocation { state: RelocationState::Moved, place: site.location(), ..copy.clone() };
    is_of_old.then(moved)
}

/// Returns the row that a reopening revoked, if it was interrupted before the configuration was switched.
fn reopened(site: &Site, old: &Site, c: &Connection) -> Result<Option<Relocation>, ArchiveFault> {
    if site.location() == old.location() {
        return Ok(None);
    }
    let row = |r: &Row<'_>| {
        Ok(Relocation {
            state: RelocationState::Moved,
            word: r.get(0)?,
            place: r.get(1)?,
            password_file: None,
        })
    };
    let last = c
        .prepare("SELECT move, place FROM reopening ORDER BY reopened DESC LIMIT 1")?
        .query_row([], row)
        .optional()?;
    Ok(last.filter(|last| last.place == site.location()))
}

/// Reads the new place and compares it with the old archive.
fn inspected(new: &Site, word: &str, old: &Counts) -> NewPlace {
    if let Some(place) = embedded_fault(new) {
        return place;
    }
    let compare = || -> Result<NewPlace, ArchiveFault> {
        let c = connect(new, Access::Read)?;
        let rows = match migration_number(&c)? {
            0 => Vec::new(),
            _ => relocation::all(&c)?,
        };
        let Some(row) = rows.into_iter().find(|row| row.word == word) else {
            return Ok(NewPlace::Unknown(
                "the place does not hold the copy of this archive".to_owned(),
            ));
        };
        if row.state == RelocationState::Arriving {
            return Ok(NewPlace::Archive(Lead::default()));
        }
        let lead = Lead::of(&counts(&c)?, old);
        Ok(if row.is_reopening() { NewPlace::Closed(lead) } else { NewPlace::Archive(lead) })
    };
    compare().unwrap_or_else(|fault| {
        let why = model::one_line(&fault);
        match fault {
            ArchiveFault::Engine(fault) if is_no_database(&fault) => NewPlace::Lost(why),
            ArchiveFault::Engine(fault) if is_unreachable(&fault) => NewPlace::Unreachable(why),
            _ => NewPlace::Unknown(why),
        }
    })
}

/// Returns the state of an embedded place that has no `archive.db`.
fn embedded_fault(new: &Site) -> Option<NewPlace> {
    let path = new.database();
    match path.try_exists() {
        _ if !new.is_embedded() => None,
        Ok(true) => None,
        Ok(false) if new.root().join(MIGRATED).exists() => {
            Some(NewPlace::Unknown(format!("the database was set aside as {MIGRATED}")))
        }
        Ok(false) => Some(NewPlace::Lost(format!("{} does not exist", path.display()))),
        Err(fault) => Some(NewPlace::Unreachable(model::one_line(&fault))),
    }
}

/// Returns true when a server answered that it has no such database.
fn is_no_database(fault: &EngineError) -> bool {
    let code = match fault {
        EngineError::Postgres(error) => error.code(),
        _ => None,
    };
    code == Some(&postgres::error::SqlState::INVALID_CATALOG_NAME)
}

/// Returns true when no server answered, or one that is not serving now.
fn is_unreachable(fault: &EngineError) -> bool {
    match fault {
        EngineError::Postgres(error) => error.code().is_none() || fault.is_transient(),
        EngineError::Address(_) => true,
        _ => false,
    }
}

/// Counts the records of an archive.
fn counts(c: &Connection) -> Result<Counts, ArchiveFault> {
    let mut counts = Counts::default();
    for (count, (table, _)) in counts.iter_mut().zip(RECORDS) {
        let select = match table {
            "event" => "SELECT coalesce(max(event_id), 0) FROM event".to_owned(),
            _ => format!("SELECT count(*) FROM {table}"),
        };
        *count = c.query_row(&select, [], |r| r.get(0))?;
    }
    Ok(counts)
}

/// Renames `staging`: attempts of the new place have left results there under names that the old archive will assign
/// again.
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
    files::create_dir(&staging).map_err(fault)?;
    let root = site.root();
    files::sync_dir(root).map_err(|source| ArchiveFault::Io { path: root.to_owned(), source })
}
