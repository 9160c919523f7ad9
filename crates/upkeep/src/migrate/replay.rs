//! The history of lake tables, replayed in the lake of an archive that moves back from a server.
//!
//! Each event that added, ended or opened rows gets its snapshot, whatever tables it concerns. A reopening is known from the
//! table of interruptions; ranges of a table without one are replayed as if they had never ended in between.

use super::columns_of;
use super::to_embedded::{Written, verify_equal};
use archive::Timestamp;
use archive::error::ArchiveFault;
use archive::site::Site;
use engine::{Connection, Row, Server, quoted};
use lake::{LakeTable, RangeKey};
use model::EventId;
use std::collections::{BTreeMap, BTreeSet};

/// The ends and openings of the row ranges of a table, by event.
struct History {
    table: &'static LakeTable,
    versions: BTreeMap<(RangeKey, EventId), i64>,
    ends: BTreeMap<EventId, BTreeSet<RangeKey>>,
    /// Ranges that ended in the event that added them: they were never visible then.
    ends_at_once: BTreeMap<EventId, BTreeSet<RangeKey>>,
    /// Ranges that an event opened, by the event that had ended them.
    reopens: BTreeMap<EventId, BTreeMap<EventId, BTreeSet<RangeKey>>>,
    ranges: u64,
}

impl History {
    fn read(from: &Connection, table: &'static LakeTable) -> Result<Self, ArchiveFault> {
        let mut history = Self {
            table,
            versions: BTreeMap::new(),
            ends: BTreeMap::new(),
            ends_at_once: BTreeMap::new(),
            reopens: BTreeMap::new(),
            ranges: 0,
        };
        let interrupted = interrupted(from, table)?;
        let keys = table.range_key();
        let version = table.layout().version.as_deref().unwrap_or("0");
        let mut select = from.prepare(&format!(
            "SELECT {}, CAST({version} AS BIGINT), begin_event, end_event FROM {}",
            keys.join(", "),
            table.index()
        ))?;
        let after = keys.len();
        let rows = select.query_map([], |r| {
            let events = (r.id::<EventId>(after + 1)?, r.optional_id::<EventId>(after + 2)?);
            Ok((key_of(r, after)?, r.get::<i64>(after)?, events))
        })?;
        for row in rows {
            let (key, version, (begin, end)) = row?;
            history.ranges += 1;
            history.versions.insert((key.clone(), begin), version);
            if let Some(end) = end {
                history.end_in(end, begin, &key);
            }
            for (out, back) in interrupted.get(&key).into_iter().flatten() {
                if begin <= *out && end.is_none_or(|end| end >= *back) {
                    history.end_in(*out, begin, &key);
                    let reopened = history.reopens.entry(*back).or_default();
                    reopened.entry(*out).or_default().insert(key.clone());
                }
            }
        }
        Ok(history)
    }

    fn end_in(&mut self, event: EventId, begin: EventId, key: &RangeKey) {
        let of = if event == begin { &mut self.ends_at_once } else { &mut self.ends };
        of.entry(event).or_default().insert(key.clone());
    }
}

/// Returns a range key from the first columns of a row.
fn key_of(row: &Row<'_>, columns: usize) -> engine::Result<RangeKey> {
    let values: Vec<i64> = (0..columns).map(|at| row.get(at)).collect::<engine::Result<_>>()?;
    Ok(RangeKey::new(values))
}

/// The spans in which the reopened ranges of a table did not show: the events that ended and opened them.
type Interrupted = BTreeMap<RangeKey, Vec<(EventId, EventId)>>;

/// Returns the interruptions of a table; none when it has no table of them.
fn interrupted(from: &Connection, table: &LakeTable) -> Result<Interrupted, ArchiveFault> {
    let mut interrupted = Interrupted::new();
    let history = table.layout().history.as_ref();
    let Some(interruptions) = history.and_then(|history| history.interruptions.as_ref()) else {
        return Ok(interrupted);
    };
    let keys = table.range_key();
    let mut select = from.prepare(&format!(
        "SELECT {}, from_event, to_event FROM {interruptions}",
        keys.join(", ")
    ))?;
    let after = keys.len();
    let spans =
        select.query_map([], |r| Ok((key_of(r, after)?, r.id(after)?, r.id(after + 1)?)))?;
    for span in spans {
        let (key, out, back) = span?;
        interrupted.entry(key).or_default().push((out, back));
    }
    Ok(interrupted)
}

/// Replays the history of the lake tables. Returns the number of row ranges.
pub(super) fn replay(
    from: &Connection,
    sqlite: &rusqlite::Connection,
    target: &Site,
    written: &[Written],
) -> Result<u64, ArchiveFault> {
    let mut histories = Vec::new();
    for table in target.lake_tables() {
        histories.push(History::read(from, table)?);
    }
    let mut select = from.prepare("SELECT event_id, happened, why FROM event ORDER BY event_id")?;
    let events = select
        .query_map([], |r| Ok((r.id::<EventId>(0)?, r.get::<String>(1)?, r.get::<String>(2)?)))?;
    for event in events {
        let (event, happened, why) = event?;
        let now: Timestamp = happened
            .parse()
            .map_err(|e| ArchiveFault::Damaged(format!("event {event}: {happened}: {e}")))?;
        let mut changes = lake::Publication::begin(sqlite, &target.lake(), event)?;
        for history in &histories {
            replay_event(&mut changes, history, event, written)?;
        }
        changes.finish(now, &why)?;
    }
    Ok(histories.iter().map(|history| history.ranges).sum())
}

/// Replays what an event did to a table.
fn replay_event(
    changes: &mut lake::Publication<'_>,
    history: &History,
    event: EventId,
    written: &[Written],
) -> Result<(), ArchiveFault> {
    let table = history.table;
    let keys = |sets: &BTreeMap<EventId, BTreeSet<RangeKey>>| -> Vec<RangeKey> {
        sets.get(&event).into_iter().flatten().cloned().collect()
    };
    for (out, reopened) in history.reopens.get(&event).into_iter().flatten() {
        changes.reopen(table, *out, reopened.iter().cloned())?;
    }
    let ended = keys(&history.ends);
    if !ended.is_empty() {
        changes.end(table, ended)?;
    }
    for Written { file, .. } in written.iter().filter(|w| w.table == table && w.event == event) {
        let version = |key: &RangeKey| {
            history.versions.get(&(key.clone(), event)).copied().unwrap_or_default()
        };
        changes.add(table, file, version)?;
    }
    let ended = keys(&history.ends_at_once);
    if !ended.is_empty() {
        changes.end(table, ended)?;
    }
    Ok(())
}

/// Checks that the index of a table after the replay equals that on the server, but for the location of rows, which depends on the
/// storage.
pub(super) fn verify_ranges(
    server: &Server,
    sqlite: &rusqlite::Connection,
    table: &LakeTable,
) -> Result<(), ArchiveFault> {
    let index = table.index();
    let mut columns = columns_of(server, index)?;
    columns.retain(|(name, _)| !["file_id", "file_row"].contains(&name.as_str()));
    let names: Vec<String> = columns.iter().map(|(name, _)| quoted(name)).collect();
    let order = format!(" ORDER BY programme_id, {}", table.first_id());
    let select = format!("SELECT {} FROM {index}{order}", names.join(", "));
    verify_equal(server, sqlite, index, &columns, &select, &order)
}
