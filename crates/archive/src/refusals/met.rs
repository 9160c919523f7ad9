//! Recording of refusals: each is written once, and counted each further time that it is met.
//!
//! Start at [`note`] for one refusal and [`note_many`] for those of a result, which are written together.

use crate::error::ArchiveFault;
use crate::history::Cause;
use crate::refusals::{RefusalState, Stage, ext_num, hdu, move_refusal, move_refusals};
use crate::time::text_of;
use crate::{Timestamp, values};
use engine::{self, Connection, Optional};
use model::{FileId, Refusal, ReportCode};
use rusqlite::params;
use std::collections::{BTreeSet, HashMap};

/// Maximum bytes of a text of a refusal or finding that are stored; characters that engines refuse are escaped.
const TEXT_BYTES: usize = 8000;

/// A refusal at the moment it is met.
pub(crate) struct Met<'a> {
    pub delivery: i64,
    pub stage: Stage,
    pub unit: Option<i64>,
    /// The content, when the file is registered.
    pub file: Option<FileId>,
    pub refusal: &'a Refusal,
}

/// Records a refusal; returns `true` when it is new, or reopened because a retry met it. A refusal that is open, or that a user
/// accepted or dismissed for the same content, is only counted again.
pub(crate) fn note(tx: &Connection, met: &Met<'_>, now: Timestamp) -> Result<bool, ArchiveFault> {
    let r = met.refusal;
    let known: Option<(i64, bool)> = tx
        .prepare_cached(
            "SELECT refusal_id, state = 'retried' FROM refusal
             WHERE delivery_id = ?1 AND file_name = ?2 AND stage = ?3 AND code = ?4 AND coalesce(ext_num, -1) = ?5
                 AND coalesce(file_id, 0) = ?6 AND (file_name <> '' OR unit_id IS NOT DISTINCT FROM ?7)
                 AND state IN ('open', 'retried', 'accepted', 'dismissed')
             ORDER BY state = 'open' DESC, state = 'retried' DESC, refusal_id DESC LIMIT 1",
        )?
        .query_row(
            // The order of columns is that of the index `refusal_key`.
            params![
                met.delivery,
                r.file,
                met.stage.name(),
                r.code.as_str(),
                ext_num(r.hdu).map_or(-1, i64::from),
                met.file.map_or(0, FileId::get),
                met.unit
            ],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let counted = Counted { met, times: 1 };
    if let Some((known, retried)) = known {
        count_again(tx, &[(known, counted)], now)?;
        if retried {
            move_refusal(tx, known, RefusalState::Open, &refused_again(met.stage), now)?;
        }
        return Ok(retried);
    }
    insert(tx, &[counted], now)?;
    Ok(true)
}

/// Numbers of rows per statement, the largest first. Few sizes mean that few statements are prepared; an engine accepts some
/// thousands of parameters.
const ROWS_AT_ONCE: [usize; 3] = [250, 16, 1];

/// Calls `write` with pieces of a list whose lengths are among [`ROWS_AT_ONCE`].
fn in_pieces<T>(
    mut list: &[T],
    mut write: impl FnMut(&[T]) -> Result<(), ArchiveFault>,
) -> Result<(), ArchiveFault> {
    for size in ROWS_AT_ONCE {
        while let Some((piece, rest)) = list.split_at_checked(size) {
            write(piece)?;
            list = rest;
        }
    }
    Ok(())
}

/// A refusal with its number of occurrences in one list.
struct Counted<'a> {
    met: &'a Met<'a>,
    times: u64,
}

/// Writes new refusals.
fn insert(tx: &Connection, met: &[Counted<'_>], now: Timestamp) -> Result<(), ArchiveFault> {
    let row = |marks: &[String]| {
        let last = &marks[15];
        format!("({}, 'open', {last}, {last})", marks[..15].join(", "))
    };
    let mut values: Vec<engine::Value> = Vec::with_capacity(16 * met.len());
    for Counted { met, times } in met {
        values.extend(values_of(met, *times)?);
        values.push(engine::Value::Text(text_of(now)));
    }
    tx.prepare_cached(&format!(
        "INSERT INTO refusal (delivery_id, file_id, unit_id, file_name, stage, code, ext_num, keyword, column_name,
             subject, message, rows, row_ranges, parked, occurrences, state, first_seen, last_seen)
         VALUES {}",
        values::list(met.len(), 16, row)
    ))?
    .execute(values)?;
    Ok(())
}

fn values_of(met: &Met<'_>, times: u64) -> Result<[engine::Value; 15], ArchiveFault> {
    use engine::Value::{Integer, Null, Text};
    let r = met.refusal;
    let text = |text: &String| Text(model::shown_briefly(text, TEXT_BYTES));
    let number = |number: Option<i64>| number.map_or(Null, Integer);
    Ok([
        Integer(met.delivery),
        number(met.file.map(FileId::get)),
        number(met.unit),
        Text(r.file.clone()),
        Text(met.stage.name().to_owned()),
        Text(r.code.to_string()),
        number(ext_num(r.hdu).map(i64::from)),
        r.keyword.as_ref().map_or(Null, text),
        r.column.as_ref().map_or(Null, text),
        r.subject.as_ref().map_or(Null, text),
        text(&r.message),
        Integer(i64::try_from(r.rows).unwrap_or(i64::MAX)),
        Text(ranges(r)?),
        Integer(r.parked.into()),
        Integer(i64::try_from(times).unwrap_or(i64::MAX)),
    ])
}

fn ranges(refusal: &Refusal) -> Result<String, ArchiveFault> {
    serde_json::to_string(&refusal.row_ranges)
        .map_err(|fault| ArchiveFault::Damaged(format!("row ranges: {fault}")))
}

/// Counts recorded refusals again; each is in the list once, with its number.
fn count_again(
    tx: &Connection,
    met: &[(i64, Counted<'_>)],
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    use engine::Value::{Integer, Null, Text};
    const TYPES: [&str; 9] =
        ["BIGINT", "BIGINT", "TEXT", "TEXT", "BIGINT", "TEXT", "BIGINT", "BIGINT", "TEXT"];
    let row = |marks: &[String]| {
        let cast: Vec<String> =
            marks.iter().zip(TYPES).map(|(mark, kind)| format!("CAST({mark} AS {kind})")).collect();
        format!("({})", cast.join(", "))
    };
    let mut values: Vec<engine::Value> = Vec::with_capacity(TYPES.len() * met.len());
    for (number, Counted { met, times }) in met {
        let r = met.refusal;
        values.extend([
            Integer(*number),
            Integer(i64::try_from(*times).unwrap_or(i64::MAX)),
            Text(text_of(now)),
            Text(model::shown_briefly(&r.message, TEXT_BYTES)),
            Integer(i64::try_from(r.rows).unwrap_or(i64::MAX)),
            Text(ranges(r)?),
            met.unit.map_or(Null, Integer),
            Integer(r.parked.into()),
            r.subject.as_ref().map_or(Null, |s| Text(model::shown_briefly(s, TEXT_BYTES))),
        ]);
    }
    tx.prepare_cached(&format!(
        "UPDATE refusal SET occurrences = occurrences + again.column2, last_seen = again.column3, message = again.column4,
             rows = again.column5, row_ranges = again.column6, unit_id = coalesce(again.column7, unit_id),
             parked = again.column8, subject = again.column9
         FROM (VALUES {}) AS again WHERE refusal.refusal_id = again.column1",
        values::list(met.len(), TYPES.len(), row)
    ))?
    .execute(values)?;
    Ok(())
}

/// Records many refusals of one delivery and stage with few statements. Returns the number of new or reopened refusals.
pub(crate) fn note_many(
    tx: &Connection,
    met: &[Met<'_>],
    now: Timestamp,
) -> Result<u64, ArchiveFault> {
    let mut noted = 0;
    let mut order: Vec<Key> = Vec::new();
    let mut counted: HashMap<Key, Counted<'_>> = HashMap::new();
    for one in met {
        let r = one.refusal;
        if r.file.is_empty() {
            // Refusals of whole rounds are distinguished by their round as well.
            noted += u64::from(note(tx, one, now)?);
            continue;
        }
        let key = (r.file.clone(), r.code.clone(), r.hdu, one.file);
        match counted.get_mut(&key) {
            Some(counted) => *counted = Counted { met: one, times: counted.times + 1 },
            None => {
                order.push(key.clone());
                counted.insert(key, Counted { met: one, times: 1 });
            }
        }
    }
    let known = known(tx, met)?;
    let (mut new, mut again, mut retried) = (Vec::new(), Vec::new(), Vec::new());
    for key in order {
        let Some(counted) = counted.remove(&key) else { continue };
        match known.get(&key) {
            None => new.push(counted),
            Some(known) => {
                retried.extend((known.state == "retried").then_some(known.number));
                again.push((known.number, counted));
            }
        }
    }
    noted += (new.len() + retried.len()) as u64;
    in_pieces(&new, |piece| insert(tx, piece, now))?;
    in_pieces(&again, |piece| count_again(tx, piece, now))?;
    let cause = met.first().map(|met| refused_again(met.stage));
    let Some(cause) = cause else { return Ok(noted) };
    in_pieces(&retried, |piece| move_refusals(tx, piece, RefusalState::Open, &cause, now))?;
    Ok(noted)
}

fn refused_again(stage: Stage) -> Cause {
    Cause::new(stage.name(), "refused again after a retry")
}

type Key = (String, ReportCode, Option<u16>, Option<FileId>);

/// A recorded refusal that is not resolved.
struct Known {
    number: i64,
    state: String,
}

impl Known {
    /// Returns its rank among those of one key: open ones come first, then retried ones, then newer ones.
    fn rank(&self) -> (bool, bool, i64) {
        (self.state == "open", self.state == "retried", self.number)
    }
}

/// Finds the recorded refusals of some files that are not resolved.
fn known(tx: &Connection, met: &[Met<'_>]) -> Result<HashMap<Key, Known>, ArchiveFault> {
    let mut known: HashMap<Key, Known> = HashMap::new();
    let Some(Met { delivery, stage, .. }) = met.first() else { return Ok(known) };
    let names: BTreeSet<&str> =
        met.iter().map(|met| met.refusal.file.as_str()).filter(|name| !name.is_empty()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    in_pieces(&names, |piece| {
        let marks: Vec<String> = (0..piece.len()).map(|n| format!("?{}", n + 3)).collect();
        let mut values =
            vec![engine::Value::Integer(*delivery), engine::Value::Text(stage.name().to_owned())];
        values.extend(piece.iter().map(|name| engine::Value::Text((*name).to_owned())));
        let mut select = tx.prepare_cached(&format!(
            "SELECT file_name, code, ext_num, file_id, refusal_id, state FROM refusal
             WHERE delivery_id = ?1 AND stage = ?2 AND file_name IN ({})
                 AND state IN ('open', 'retried', 'accepted', 'dismissed')",
            marks.join(", ")
        ))?;
        let rows = select.query_map(values, |r| {
            let key: Key = (r.get(0)?, r.name(1)?, hdu(r.get(2)?), r.optional_id(3)?);
            Ok((key, Known { number: r.get(4)?, state: r.get(5)? }))
        })?;
        for row in rows {
            let (key, found) = row?;
            let is_better = known.get(&key).is_none_or(|other| other.rank() < found.rank());
            if is_better {
                known.insert(key, found);
            }
        }
        Ok(())
    })?;
    Ok(known)
}
