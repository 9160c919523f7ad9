//! Events, the numbers of counters, and the [`Cause`] of a change: what the histories of all concepts have in common.
//!
//! A change of state adds a row to the history of its concept: [`crate::rounds::move_unit`], [`crate::refusals::move_refusals`].

use crate::Timestamp;
use crate::error::ArchiveFault;
use crate::time::text_of;
use engine::Connection;
use model::EventId;
use rusqlite::params;

/// Maximum bytes that are stored of each part of a cause.
const CAUSE_BYTES: usize = 4000;

/// The actor and the reason of a change, as stored in every history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Person or part of the program.
    pub who: String,
    /// The reason, in a few words.
    pub why: String,
}

impl Cause {
    /// Makes a cause of limited length. Both parts are shown, and stored by engines that refuse some characters, so they are
    /// escaped.
    pub fn new(who: impl Into<String>, why: impl Into<String>) -> Self {
        let text = |text: String| model::shown_briefly(&text, CAUSE_BYTES);
        Self { who: text(who.into()), why: text(why.into()) }
    }
}

/// Takes the next number of a counter.
pub(crate) fn next(tx: &Connection, counter: &str) -> Result<i64, ArchiveFault> {
    Ok(tx
        .prepare_cached("UPDATE counter SET last = last + 1 WHERE name = ?1 RETURNING last")?
        .query_row([counter], |r| r.get(0))?)
}

/// The kind of an event.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Ingest,
    Reference,
    Abandon,
    Retract,
    Restore,
}

impl Act {
    fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Reference => "reference",
            Self::Abandon => "abandon",
            Self::Retract => "retract",
            Self::Restore => "restore",
        }
    }
}

/// Takes the number of a new event.
pub(crate) fn next_event(tx: &Connection) -> Result<EventId, ArchiveFault> {
    event_id(next(tx, "event")?)
}

/// Parses a stored event number.
pub(crate) fn event_id(number: i64) -> Result<EventId, ArchiveFault> {
    EventId::new(number).ok_or_else(|| ArchiveFault::Damaged(format!("{number} is not an event")))
}

/// Writes an event.
pub(crate) fn record_event(
    tx: &Connection,
    event: EventId,
    act: Act,
    unit_id: Option<i64>,
    cause: &Cause,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    tx.execute(
        "INSERT INTO event (event_id, act, unit_id, happened, who, why, software) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            event.get(),
            act.name(),
            unit_id,
            text_of(now),
            cause.who,
            cause.why,
            concat!("almagest ", env!("CARGO_PKG_VERSION"))
        ],
    )?;
    Ok(())
}
