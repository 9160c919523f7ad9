//! Stage 5 of 5: makes staged batches visible in the archive, each exactly once.
//!
//! Takes the rounds that are staged, in the order of their deliveries' registration, and takes each through *check* (does the
//! batch fit its manifest?), *reserve* (object ids), *load* (unseen), *publish* (one short transaction). A batch that does not
//! fit is refused with the name of the check and holds no other up; a blocked one waits and reports the reason. A pass that is
//! killed anywhere and run again yields the same archive.
//!
//! Start at [`pass`], the whole ingester; a daemon is a loop around it. Checks are in [`check`], [`previews`] moves JPEGs to
//! their places, [`sweep`] collects results and removes the remains of attempts, [`crash`] lists the instants that kill tests
//! target.
//! This crate does not depend on tables or the engine, reads no FITS files, and does not decide what is done next.

pub mod check;
pub mod crash;
mod failure;
pub mod previews;
pub mod sweep;

use archive::batches::{Receipt, RowsOfProgramme, StagedBatch, StagedRound, Timing};
use archive::history::Cause;
use archive::{Archive, ArchiveError, Reader, Timestamp};
use check::Failure;
use model::{DeliveryName, EventId, UnitKey, one_line, shown_briefly};
use std::collections::BTreeSet;

/// Maximum number of bytes that are kept of a message about a batch.
const MESSAGE_BYTES: usize = 4000;

/// A round that was made visible.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// The round.
    pub unit: UnitKey,
    /// Event of the publication.
    pub event: EventId,
    /// Rows per table.
    pub rows: Vec<(String, u64)>,
    /// Multiframes that newer content superseded.
    pub superseded: u64,
    /// Durations of the publication.
    pub timing: Timing,
}

impl Published {
    /// Returns a line: round, event, rows per table, seconds.
    pub fn in_words(&self) -> String {
        let rows: Vec<String> = self.rows.iter().map(|(t, n)| format!("{n} {t}")).collect();
        let Timing { load, keys, publish } = self.timing;
        format!(
            "ingested {} in event {}: {}; load {load:.3} s, keys {keys:.3} s, publish {publish:.3} s",
            self.unit,
            self.event,
            rows.join(", ")
        )
    }
}

/// A round that does not fit its manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The round.
    pub unit: UnitKey,
    /// Name of the check that failed.
    pub check: String,
    /// One sentence.
    pub message: String,
}

/// The outcome of one pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PassReport {
    /// Rounds made visible, in their order.
    pub published: Vec<Published>,
    /// Rounds that were refused; each is a new refusal.
    pub refused: Vec<Misfit>,
    /// Rounds that wait, each with the reason.
    pub blocked: Vec<(UnitKey, String)>,
    /// Rounds with a failure that may be temporary, each with the reason.
    pub postponed: Vec<(UnitKey, String)>,
    /// Deliveries that are complete now.
    pub completed: Vec<String>,
    /// Reason why the archive was not tidied up; `None` when it was.
    pub untidy: Option<String>,
}

impl PassReport {
    /// Returns true when there was nothing to do.
    pub fn is_idle(&self) -> bool {
        self.published.is_empty()
            && self.refused.is_empty()
            && self.postponed.is_empty()
            && self.completed.is_empty()
    }

    /// Returns the number of rows of a table that were made visible.
    pub fn rows_of(&self, table: &str) -> u64 {
        let rows = self.published.iter().flat_map(|p| &p.rows);
        rows.filter(|(name, _)| name == table).map(|(_, rows)| rows).sum()
    }

    /// Returns the number of new refusals.
    pub fn new_refusals(&self) -> u64 {
        self.refused.len() as u64
    }
}

/// The outcome of one round.
#[derive(Debug)]
enum Outcome {
    Published(Published),
    AlreadyPublished,
    Refused(Misfit),
    Postponed(String),
}

/// Runs one pass: makes every staged round of these deliveries (of all, when none is named) visible that can be. Reads the whole
/// state, takes no hint of changes.
///
/// # Errors
/// [`ArchiveError`] when the archive itself cannot be read or written; a failure of one batch is in the report.
pub fn pass(
    archive: &mut Archive,
    deliveries: &[DeliveryName],
    cause: &Cause,
    now: Timestamp,
) -> Result<PassReport, ArchiveError> {
    pass_until(&|| false, archive, deliveries, cause, now)
}

/// Runs a [`pass`] that begins no further batch once `stop` returns true.
///
/// # Errors
/// As [`pass`].
pub fn pass_until(
    stop: &dyn Fn() -> bool,
    archive: &mut Archive,
    deliveries: &[DeliveryName],
    cause: &Cause,
    now: Timestamp,
) -> Result<PassReport, ArchiveError> {
    let mut report = PassReport::default();
    let mut tried: BTreeSet<UnitKey> = BTreeSet::new();
    while !stop()
        && let Some(unit) = next(archive, deliveries, &tried)?
    {
        tried.insert(unit.clone());
        match ingest(archive, &unit, cause, now)? {
            Outcome::Published(published) => report.published.push(published),
            Outcome::AlreadyPublished => {}
            Outcome::Refused(misfit) => report.refused.push(misfit),
            Outcome::Postponed(why) => report.postponed.push((unit, why)),
        }
    }
    for round in archive.staged_rounds()? {
        if let StagedRound { unit, blocked: Some(why) } = round {
            report.blocked.push((unit, why));
        }
    }
    report.completed = archive.complete_deliveries(now)?;
    if !stop() {
        report.untidy = archive.tidy().err().map(|error| one_line(&error));
    }
    Ok(report)
}

/// Returns the first staged round that is wanted, not blocked and not tried yet. The rounds are read again each time: a round may
/// have been blocked by the one before.
fn next(
    archive: &Reader,
    deliveries: &[DeliveryName],
    tried: &BTreeSet<UnitKey>,
) -> Result<Option<UnitKey>, ArchiveError> {
    let wanted = |u: &UnitKey| deliveries.is_empty() || deliveries.contains(&u.delivery);
    let free = |r: &StagedRound| r.blocked.is_none() && !tried.contains(&r.unit) && wanted(&r.unit);
    Ok(archive.staged_rounds()?.into_iter().find(free).map(|r| r.unit))
}

/// Publishes one staged round in the archive.
fn ingest(
    archive: &mut Archive,
    unit: &UnitKey,
    cause: &Cause,
    now: Timestamp,
) -> Result<Outcome, ArchiveError> {
    let batch = match archive.batch(unit) {
        Ok(batch) => batch,
        Err(error) if error.is_conflict() => return Ok(Outcome::AlreadyPublished),
        Err(error) => return failed(archive, unit, error, now),
    };
    let (staging, home) = (archive.site().staging(), archive.site().previews());
    let counts = match check::check(&batch, &staging, &home) {
        Ok(counts) => counts,
        Err(Failure::Passing(why)) => return Ok(Outcome::Postponed(why)),
        Err(Failure::Check { check, message }) => {
            return refuse(archive, unit, check.name(), message, now);
        }
    };
    files::crash_point("ingest:checked");
    if unit.use_case.product().has_pictures
        && let Err(failure) = previews::settle(&batch, &staging, &home)
    {
        return match failure {
            Failure::Passing(why) => Ok(Outcome::Postponed(why)),
            Failure::Check { check, message } => refuse(archive, unit, check.name(), message, now),
        };
    }
    match publish(archive, &batch, &counts.rows, cause, now) {
        Ok(Receipt::AlreadyPublished) => Ok(Outcome::AlreadyPublished),
        Ok(Receipt::Published { event, rows, superseded, timing }) => {
            Ok(Outcome::Published(Published {
                unit: unit.clone(),
                event,
                rows,
                superseded,
                timing,
            }))
        }
        Err(error) => failed(archive, unit, error, now),
    }
}

/// Distinguishes a fault of the batch from one of the archive: the batch is refused, or waits, and the others continue. Only a
/// fault that concerns every batch ends the pass.
fn failed(
    archive: &mut Archive,
    unit: &UnitKey,
    error: ArchiveError,
    now: Timestamp,
) -> Result<Outcome, ArchiveError> {
    if let Some((check, message)) = error.failed_check() {
        return refuse(archive, unit, check, message, now);
    }
    if error.is_transient() || error.is_conflict() {
        return Ok(Outcome::Postponed(one_line(&error)));
    }
    if error.is_about_data() {
        return refuse(archive, unit, "value", one_line(&error), now);
    }
    if error.is_gate() { Err(error) } else { Ok(Outcome::Postponed(one_line(&error))) }
}

fn publish(
    archive: &mut Archive,
    batch: &StagedBatch,
    rows: &[RowsOfProgramme],
    cause: &Cause,
    now: Timestamp,
) -> Result<Receipt, ArchiveError> {
    let ranges = match rows {
        [] => Vec::new(),
        rows => archive.reserve(&batch.unit, rows, now)?,
    };
    files::crash_point("ingest:reserved");
    let loaded = archive.load(batch, &ranges)?;
    files::crash_point("ingest:loaded");
    let cause = Cause::new(cause.who.clone(), format!("ingest of {}", batch.unit));
    archive.publish(batch, loaded, &cause, now)
}

fn refuse(
    archive: &mut Archive,
    unit: &UnitKey,
    check: &str,
    message: String,
    now: Timestamp,
) -> Result<Outcome, ArchiveError> {
    let message = shown_briefly(&message, MESSAGE_BYTES);
    match archive.refuse_batch(unit, check, &message, now) {
        Ok(()) => {
            Ok(Outcome::Refused(Misfit { unit: unit.clone(), check: check.to_owned(), message }))
        }
        // Another process decided on the batch in the meantime.
        Err(error) if error.is_conflict() => Ok(Outcome::Postponed(one_line(&error))),
        Err(error) => Err(error),
    }
}
