//! Changes of state of rounds and refusals, each with a row in a history and a [`Cause`]; events; the numbers of counters.

use crate::Timestamp;
use crate::error::ArchiveFault;
use crate::refusals::RefusalState;
use crate::rounds::Unit;
use crate::time::text_of;
use engine::{self, Connection};
use model::{EventId, UnitState};
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
    EventId::new(number).ok_or_else(|| ArchiveFault::Damaged(format!("{number} is no event")))
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

/// Moves a round to another state, if the transition is allowed, and records the change.
pub(crate) fn move_unit(
    tx: &Connection,
    unit: &Unit,
    to: UnitState,
    cause: &Cause,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    let from: String =
        tx.query_row("SELECT state FROM unit WHERE unit_id = ?1", [unit.id], |r| r.get(0))?;
    let from: UnitState = from.parse().map_err(ArchiveFault::Damaged)?;
    if !from.may_become(to) {
        return Err(ArchiveFault::State { what: unit.key.to_string(), from, to });
    }
    tx.execute("UPDATE unit SET state = ?2 WHERE unit_id = ?1", params![unit.id, to.name()])?;
    note_unit(tx, unit.id, [from, to], cause, now)
}

/// Adds a change to the history of a round.
pub(crate) fn note_unit(
    tx: &Connection,
    unit: i64,
    [from, to]: [UnitState; 2],
    cause: &Cause,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    tx.prepare_cached(
        "INSERT INTO unit_history (unit_id, number, from_state, to_state, changed, who, why)
         SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4, ?5, ?6 FROM unit_history WHERE unit_id = ?1",
    )?
    .execute(params![unit, from.name(), to.name(), text_of(now), cause.who, cause.why])?;
    Ok(())
}

/// Moves a refusal to another state and records the change.
pub(crate) fn move_refusal(
    tx: &Connection,
    refusal_id: i64,
    to: RefusalState,
    cause: &Cause,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    move_refusals(tx, &[refusal_id], to, cause, now)
}

/// Moves refusals to another state and records the changes. A statement is prepared for each number of refusals.
pub(crate) fn move_refusals(
    tx: &Connection,
    numbers: &[i64],
    to: RefusalState,
    cause: &Cause,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    let list = |first: usize| -> String {
        let marks: Vec<String> = (0..numbers.len()).map(|n| format!("?{}", first + n)).collect();
        marks.join(", ")
    };
    let text = |text: &str| engine::Value::Text(text.to_owned());
    let numbers = || numbers.iter().map(|number| engine::Value::Integer(*number));
    let mut values = vec![text(to.name())];
    values.extend(numbers());
    tx.prepare_cached(&format!("UPDATE refusal SET state = ?1 WHERE refusal_id IN ({})", list(2)))?
        .execute(values)?;
    let mut values = vec![text(to.name()), text(&text_of(now)), text(&cause.who), text(&cause.why)];
    values.extend(numbers());
    tx.prepare_cached(&format!(
        "INSERT INTO refusal_history (refusal_id, number, to_state, changed, who, why)
         SELECT refusal_id, (SELECT coalesce(max(number), 0) + 1 FROM refusal_history AS h
                             WHERE h.refusal_id = refusal.refusal_id), CAST(?1 AS TEXT), CAST(?2 AS TEXT), CAST(?3 AS TEXT),
             CAST(?4 AS TEXT)
         FROM refusal WHERE refusal_id IN ({})",
        list(5)
    ))?
    .execute(values)?;
    Ok(())
}
