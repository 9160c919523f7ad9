//! Stage 5 of 5: makes staged batches visible in the archive, each exactly once.
//!
//! Takes the rounds that are staged, in the order of their deliveries' registration, and takes each through
//! *check* (does the batch fit its manifest?), *reserve* (object ids), *load* (unseen), *publish* (one short transaction). A
//! batch that does not fit is refused with the name of the check and holds no other up; a blocked one waits and
//! says why. Killed anywhere and run again, the archive comes out the same.
//!
//! Start at [`pass`], the whole ingester; a daemon is a loop around it. Checks are in [`check`], JPEGs find their place in
//! [`previews`], [`sweep`] collects and clears what attempts left, [`crash`] lists the instants that kill tests aim at.
//! Does not know tables or the engine, read FITS files, or decide what is to be done next.

pub mod check;
pub mod crash;
pub mod previews;
pub mod sweep;

use archive::records::{Cause, Receipt, StagedRound};
use archive::{ArchiveError, Publication, Site, Timestamp};
use check::Failure;
use model::{EventId, UnitKey, UseCase};
use std::collections::BTreeSet;

/// A round that was made visible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The round.
    pub unit: UnitKey,
    /// Its event.
    pub event: EventId,
    /// Rows per table.
    pub rows: Vec<(String, u64)>,
    /// Multiframes that newer content superseded.
    pub superseded: u64,
}

/// What one pass did.
#[derive(Debug, Default)]
pub struct PassReport {
    /// Rounds made visible, in their order.
    pub published: Vec<Published>,
    /// Rounds that do not fit: check and message.
    pub refused: Vec<(UnitKey, String, String)>,
    /// Rounds that wait, and for what.
    pub blocked: Vec<(UnitKey, String)>,
    /// Rounds that met trouble which may pass by itself.
    pub postponed: Vec<(UnitKey, String)>,
    /// Deliveries that are complete now.
    pub completed: Vec<String>,
}

/// Which rounds a pass takes, and whom it tells.
pub struct Pass<'a> {
    /// Only these rounds.
    pub wanted: &'a dyn Fn(&UnitKey) -> bool,
    /// Who ingests, for the record.
    pub who: &'a str,
    /// Called after each round with what became of it.
    pub progress: &'a dyn Fn(&UnitKey, &Outcome),
}

/// What became of one round.
#[derive(Debug)]
pub enum Outcome {
    /// It is visible.
    Published(Published),
    /// Another process had done it.
    AlreadyPublished,
    /// It does not fit: check and message.
    Refused(String, String),
    /// It met trouble which may pass by itself.
    Postponed(String),
}

/// One pass: everything that can be made visible now is. Looks at the whole state, takes no hint of what changed.
///
/// # Errors
/// [`ArchiveError`] when the archive itself cannot be read or written; trouble with one batch is in the report.
pub fn pass(
    site: &Site,
    archive: &mut impl Publication,
    pass: &Pass<'_>,
    now: &dyn Fn() -> Timestamp,
) -> Result<PassReport, ArchiveError> {
    let mut report = PassReport::default();
    let mut tried: BTreeSet<UnitKey> = BTreeSet::new();
    while let Some(unit) = next(archive, pass, &tried)? {
        tried.insert(unit.clone());
        let outcome = ingest(site, archive, &unit, pass.who, now)?;
        (pass.progress)(&unit, &outcome);
        match outcome {
            Outcome::Published(published) => report.published.push(published),
            Outcome::AlreadyPublished => {}
            Outcome::Refused(check, message) => report.refused.push((unit, check, message)),
            Outcome::Postponed(why) => report.postponed.push((unit, why)),
        }
    }
    for round in archive.staged_rounds()? {
        if let StagedRound { unit, blocked: Some(why) } = round {
            report.blocked.push((unit, why));
        }
    }
    report.completed = archive.complete_deliveries(now())?;
    Ok(report)
}

/// The first staged round that is wanted, not blocked and not tried yet. Looked up anew each time: a round may have been
/// what another waited for.
fn next(
    archive: &impl Publication,
    pass: &Pass<'_>,
    tried: &BTreeSet<UnitKey>,
) -> Result<Option<UnitKey>, ArchiveError> {
    let free =
        |r: &StagedRound| r.blocked.is_none() && !tried.contains(&r.unit) && (pass.wanted)(&r.unit);
    Ok(archive.staged_rounds()?.into_iter().find(free).map(|r| r.unit))
}

/// Takes one staged round into the archive.
///
/// # Errors
/// [`ArchiveError`] when the archive cannot be read or written.
pub fn ingest(
    site: &Site,
    archive: &mut impl Publication,
    unit: &UnitKey,
    who: &str,
    now: &dyn Fn() -> Timestamp,
) -> Result<Outcome, ArchiveError> {
    let batch = match archive.batch(unit) {
        Ok(batch) => batch,
        Err(error) if error.is_conflict() => return Ok(Outcome::AlreadyPublished),
        Err(error) => return Err(error),
    };
    let counts = match check::check(&batch, &site.previews()) {
        Ok(counts) => counts,
        Err(Failure::Passing(why)) => return Ok(Outcome::Postponed(why)),
        Err(Failure::Check { check, message }) => {
            return refuse(archive, unit, check.name(), &message, now);
        }
    };
    files::crash_point("ingest:checked");
    if unit.use_case == UseCase::Preview
        && let Err(fault) = previews::settle(&batch, &site.previews())
    {
        return Ok(Outcome::Postponed(fault.to_string()));
    }
    let cause = Cause::new(who, format!("ingest of {unit}"));
    match publish(archive, &batch, &counts.rows, &cause, now) {
        Ok(Receipt::AlreadyPublished) => Ok(Outcome::AlreadyPublished),
        Ok(Receipt::Published { event, rows, superseded }) => {
            Ok(Outcome::Published(Published { unit: unit.clone(), event, rows, superseded }))
        }
        Err(error) => match error.failed_check() {
            Some((check, message)) => refuse(archive, unit, check, &message, now),
            None if error.is_transient() || error.is_conflict() => {
                Ok(Outcome::Postponed(one_line(&error)))
            }
            None => Err(error),
        },
    }
}

fn publish(
    archive: &mut impl Publication,
    batch: &archive::records::StagedBatch,
    rows: &[archive::records::RowsOfProgramme],
    cause: &Cause,
    now: &dyn Fn() -> Timestamp,
) -> Result<Receipt, ArchiveError> {
    let ranges = archive.reserve(&batch.unit, rows, now())?;
    files::crash_point("ingest:reserved");
    let loaded = archive.load(batch, &ranges)?;
    files::crash_point("ingest:loaded");
    archive.publish(batch, loaded, cause, now())
}

fn refuse(
    archive: &mut impl Publication,
    unit: &UnitKey,
    check: &str,
    message: &str,
    now: &dyn Fn() -> Timestamp,
) -> Result<Outcome, ArchiveError> {
    archive.refuse_batch(unit, check, message, now())?;
    Ok(Outcome::Refused(check.to_owned(), message.to_owned()))
}

/// An error with its sources.
fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
