//! Refusals: deciding, releasing, resolving, their histories and their places in words. [`met`] records them, [`waiting`] parks
//! catalogues.

pub(crate) mod met;
pub(crate) mod waiting;

use crate::error::{ArchiveError, ArchiveFault};
use crate::findings::{self, Found};
use crate::history::Cause;
use crate::rounds::{request_again, request_all};
use crate::time::{text_of, time_of};
use crate::{Archive, Reader, Timestamp};
use engine::{self, Connection, Optional, Row, ToSql};
use model::RowRange;
use model::{
    DeliveryName, FileId, Finding, Refusal, RefusalCode, RefusalId, ReportCode, RoundNumber,
    SurveyName, UseCase,
};
use rusqlite::params;
use std::collections::BTreeSet;

pub use crate::findings::Stage;

/// A refusal with the stage that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedRefusal {
    /// The stage of the pipeline.
    pub stage: Stage,
    /// The refusal.
    pub refusal: Refusal,
}

/// The state of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusalState {
    /// The refusal waits for a decision.
    Open,
    /// The refused data stay out: an operator confirmed the refusal.
    Accepted,
    /// An operator decided that the refusal did not matter.
    Dismissed,
    /// The refused data are processed again.
    Retried,
    /// Newer content, a late file or a later round removed the cause.
    Resolved,
}

impl RefusalState {
    /// Returns the name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Dismissed => "dismissed",
            Self::Retried => "retried",
            Self::Resolved => "resolved",
        }
    }

    /// Returns the state of a name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Open, Self::Accepted, Self::Dismissed, Self::Retried, Self::Resolved]
            .into_iter()
            .find(|s| s.name() == name)
    }
}

/// Codes of refusals on arrival that an operator can overrule: the data can be read, and only a person can judge whether they are
/// right.
pub const TAKEABLE: [&str; 1] = [RefusalCode::DATASUM_MISMATCH.as_str()];

/// An operator's decision on a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The refused data stay out: the refusal is confirmed.
    Accept,
    /// The refused data are accepted nevertheless, marked by a finding; see [`TAKEABLE`].
    Take,
    /// The refusal did not matter.
    Dismiss,
    /// The refused data are redone in the next round.
    Retry,
}

/// A refusal as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusalRecord {
    /// Number shown to operators.
    pub refusal_id: RefusalId,
    /// Delivery of the refusal.
    pub delivery: DeliveryName,
    /// Stage of the pipeline.
    pub stage: Stage,
    /// Round that refused it.
    pub round: Option<RoundNumber>,
    /// The refusal; its file name is empty when a whole round is meant.
    pub refusal: Refusal,
    /// Content of its file, when the file is registered.
    pub file_id: Option<FileId>,
    /// Survey of its file, when the file is registered.
    pub survey: Option<SurveyName>,
    /// Name of the image that its file is the catalogue of.
    pub image: Option<String>,
    /// State of the refusal.
    pub state: RefusalState,
    /// True when the refusal was accepted and the refused data are used nevertheless.
    pub overruled: bool,
    /// Number of times that the refusal was met.
    pub occurrences: u64,
    /// Time when the refusal was first met.
    pub first_seen: Timestamp,
    /// Time when the refusal was last met.
    pub last_seen: Timestamp,
    /// Decisions, oldest first.
    pub history: Vec<RefusalChange>,
}

/// One decision on a refusal.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusalChange {
    /// State after it.
    pub state: RefusalState,
    /// Time of the decision.
    pub changed: Timestamp,
    /// Author and reason of the decision.
    pub cause: Cause,
}

/// The selection of refusals; fields that are `None` select all.
#[derive(Clone, Debug, Default)]
pub struct RefusalFilter {
    /// Only of this delivery.
    pub delivery: Option<DeliveryName>,
    /// Only in this state.
    pub state: Option<RefusalState>,
    /// Only with this code.
    pub code: Option<ReportCode>,
    /// Only of this file.
    pub file: Option<String>,
}

impl Reader {
    /// Lists refusals, oldest first.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn refusals(&self, filter: &RefusalFilter) -> Result<Vec<RefusalRecord>, ArchiveError> {
        self.read("list refusals", |c| list(c, filter))
    }
}

impl Archive {
    /// Records a decision on a refusal; a retry adds the refusal's file to the next round.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when the refusal's state does not allow the decision.
    pub fn decide(
        &mut self,
        refusal_id: RefusalId,
        decision: Decision,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<(), ArchiveError> {
        let products = self.site.products();
        self.write("decide", format!("decide on refusal {refusal_id}"), |tx| {
            decide(tx, products, refusal_id, decision, cause, now)
        })
    }
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

/// Resolves refusals that are open (or retried) and fulfil a condition. Returns the number of resolved refusals.
fn resolve(
    tx: &Connection,
    condition: &str,
    values: &[&dyn ToSql],
    cause: &Cause,
    now: Timestamp,
) -> Result<u64, ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT refusal_id FROM refusal WHERE state IN ('open', 'retried') AND {condition}"
    ))?;
    let ids: Vec<i64> = select.query_map(values, |r| r.get(0))?.collect::<Result<_, _>>()?;
    for &id in &ids {
        move_refusal(tx, id, RefusalState::Resolved, cause, now)?;
    }
    Ok(ids.len() as u64)
}

/// Resolves all refusals of a content that is no longer current, except those of waiting catalogues, which are settled by name.
pub(crate) fn resolve_file(
    tx: &Connection,
    file: i64,
    cause: &Cause,
    now: Timestamp,
) -> Result<u64, ArchiveFault> {
    let condition = format!("file_id = ?1 AND code NOT IN ({})", waiting::CODES);
    resolve(tx, &condition, &[&file], cause, now)
}

/// Resolves all refusals of a name that were made before any content of the name was registered.
pub(crate) fn resolve_unregistered(
    tx: &Connection,
    delivery: i64,
    name: &str,
    cause: &Cause,
    now: Timestamp,
) -> Result<u64, ArchiveFault> {
    let condition =
        "delivery_id = ?1 AND file_name = ?2 AND file_id IS NULL AND stage = 'transfer'";
    resolve(tx, condition, &[&delivery, &name], cause, now)
}

/// Resolves the same refusals for names that are unchanged in the delivery since they were registered.
pub(crate) fn resolve_back(
    tx: &Connection,
    delivery: i64,
    unchanged: &[String],
    cause: &Cause,
    now: Timestamp,
) -> Result<u64, ArchiveFault> {
    let mut select = tx.prepare_cached(
        "SELECT DISTINCT file_name FROM refusal WHERE delivery_id = ?1 AND file_id IS NULL AND stage = 'transfer'
             AND state IN ('open', 'retried')",
    )?;
    let rows = select.query_map([delivery], |r| r.get(0))?;
    let refused: BTreeSet<String> = rows.collect::<Result<_, _>>()?;
    let mut resolved = 0;
    for name in unchanged.iter().filter(|name| refused.contains(*name)) {
        resolved += resolve_unregistered(tx, delivery, name, cause, now)?;
    }
    Ok(resolved)
}

/// Resolves the refusals of a content and stage that a newer round, or a recheck of the file, did not meet again.
pub(crate) fn resolve_not_met(
    tx: &Connection,
    file: i64,
    stage: Stage,
    met: &BTreeSet<(ReportCode, Option<u16>)>,
    cause: &Cause,
    now: Timestamp,
) -> Result<u64, ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT refusal_id, code, ext_num FROM refusal WHERE state IN ('open', 'retried') AND file_id = ?1 AND stage = ?2
             AND code NOT IN ({})",
        waiting::CODES
    ))?;
    let rows = select.query_map(params![file, stage.name()], |r| {
        Ok((r.get::<i64>(0)?, (r.name(1)?, hdu(r.get(2)?))))
    })?;
    let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
    let mut resolved = 0;
    for (id, _) in rows.iter().filter(|(_, key)| !met.contains(key)) {
        move_refusal(tx, *id, RefusalState::Resolved, cause, now)?;
        resolved += 1;
    }
    Ok(resolved)
}

/// Implements [`crate::Archive::decide`].
pub(crate) fn decide(
    tx: &Connection,
    products: &[UseCase],
    refusal_id: RefusalId,
    decision: Decision,
    cause: &Cause,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    let state: String = tx
        .query_row("SELECT state FROM refusal WHERE refusal_id = ?1", [refusal_id.get()], |r| {
            r.get(0)
        })
        .optional()?
        .ok_or_else(|| ArchiveFault::Unknown { what: "refusal", name: refusal_id.to_string() })?;
    if decision == Decision::Take {
        return take(tx, products, refusal_id, &state, cause, now);
    }
    let to = match decision {
        Decision::Accept | Decision::Take => RefusalState::Accepted,
        Decision::Dismiss => RefusalState::Dismissed,
        Decision::Retry => RefusalState::Retried,
    };
    let reopened =
        decision == Decision::Retry && matches!(state.as_str(), "accepted" | "dismissed");
    if state != "open" && !reopened {
        return Err(ArchiveFault::Conflict(format!("refusal {refusal_id} is {state} already")));
    }
    if decision == Decision::Retry {
        retry(tx, products, refusal_id, &cause.why, now)?;
    }
    move_refusal(tx, refusal_id.get(), to, cause, now)
}

/// Accepts data that were refused on arrival, marked by a finding: every use case of the file is redone.
fn take(
    tx: &Connection,
    products: &[UseCase],
    refusal_id: RefusalId,
    state: &str,
    cause: &Cause,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    let (delivery, file_id, stage, overruled, refusal) = tx.query_row(
        "SELECT delivery_id, stage, overruled, code, file_name, ext_num, message, file_id FROM refusal WHERE refusal_id = ?1",
        [refusal_id.get()],
        |r| {
            let refusal = Refusal {
                hdu: hdu(r.get(5)?),
                ..Refusal::stored(r.name(3)?, r.get::<String>(4)?, r.get::<String>(6)?)
            };
            let file_id: Option<i64> = r.get(7)?;
            Ok((r.get::<i64>(0)?, file_id, r.get::<String>(1)?, r.get::<bool>(2)?, refusal))
        },
    )?;
    let code = &refusal.code;
    if stage != Stage::Register.name() || !TAKEABLE.contains(&code.as_str()) {
        return Err(ArchiveFault::Conflict(format!(
            "refusal {refusal_id} is {code} of {stage}, which cannot be overruled"
        )));
    }
    if overruled || !matches!(state, "open" | "accepted") {
        let state = if overruled { "overruled" } else { state };
        return Err(ArchiveFault::Conflict(format!("refusal {refusal_id} is {state} already")));
    }
    let finding = Finding {
        code: code.clone(),
        file: refusal.file.clone(),
        hdu: refusal.hdu,
        subject: Some("DATASUM".to_owned()),
        files: 1,
        count: 1,
        message: format!("{}; overruled by {}: {}", refusal.message, cause.who, cause.why),
    };
    let members = file_id.into_iter().map(|file| (file, 1)).collect();
    let found = Found { finding: &finding.cleaned(), members };
    findings::note(tx, delivery, Stage::Register, 0, vec![found])?;
    tx.execute("UPDATE refusal SET overruled = 1 WHERE refusal_id = ?1", [refusal_id.get()])?;
    retry(tx, products, refusal_id, &cause.why, now)?;
    move_refusal(tx, refusal_id.get(), RefusalState::Accepted, cause, now)
}

/// Adds the files of a refusal to the next round: the refusal's own file, or all files of a refused round.
fn retry(
    tx: &Connection,
    products: &[UseCase],
    refusal_id: RefusalId,
    why: &str,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    let (is_round, unit, file, use_case): (bool, Option<i64>, Option<i64>, String) = tx
        .prepare_cached(
            "SELECT file_name = '', refusal.unit_id, file_id, coalesce(unit.use_case, refusal.stage)
             FROM refusal LEFT JOIN unit ON unit.unit_id = refusal.unit_id WHERE refusal_id = ?1",
        )?
        .query_row([refusal_id.get()], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?;
    let (sql, key) = match is_round {
        true => (
            "SELECT DISTINCT image.file_id FROM task JOIN task_input USING (task_id) JOIN image USING (multiframe_id)
                 JOIN file ON file.file_id = image.file_id AND file.state = 'current' WHERE task.unit_id = ?1",
            unit,
        ),
        false => (
            "SELECT image.file_id FROM image JOIN file USING (file_id)
             WHERE image.file_id = ?1 AND file.state = 'current'
             UNION SELECT image.file_id FROM catalogue JOIN image USING (multiframe_id)
                 JOIN file ON file.file_id = image.file_id AND file.state = 'current' WHERE catalogue.file_id = ?1",
            file,
        ),
    };
    let again: Vec<i64> =
        tx.prepare_cached(sql)?.query_map([key], |r| r.get(0))?.collect::<Result<_, _>>()?;
    for file in again {
        match use_case.parse::<UseCase>() {
            Ok(use_case) => request_again(tx, file, use_case, why, now)?,
            // An HDU refused on arrival was left out of every use case. It stays out until the file is rechecked.
            Err(_) => request_all(tx, file, products, why, now)?,
        }
    }
    Ok(())
}

/// Retries the parked refusals for which `releases` returns true. Returns the number of retried refusals.
pub(crate) fn release(
    tx: &Connection,
    products: &[UseCase],
    releases: &dyn Fn(&RefusalRecord) -> bool,
    cause: &Cause,
    now: Timestamp,
) -> Result<u64, ArchiveFault> {
    let filter = RefusalFilter { state: Some(RefusalState::Open), ..RefusalFilter::default() };
    let mut released = 0;
    for record in list(tx, &filter)? {
        if record.refusal.parked && matches!(record.stage, Stage::Task(_)) && releases(&record) {
            decide(tx, products, record.refusal_id, Decision::Retry, cause, now)?;
            released += 1;
        }
    }
    Ok(released)
}

const COLUMNS: &str = "refusal.refusal_id, delivery.name, refusal.stage, unit.round, refusal.code, refusal.file_name,
    refusal.ext_num, refusal.keyword, refusal.column_name, refusal.message, refusal.rows, refusal.row_ranges,
    refusal.parked, refusal.state, refusal.occurrences, refusal.first_seen, refusal.last_seen, refusal.overruled,
    (SELECT file.survey FROM file WHERE file.file_id = refusal.file_id),
    (SELECT of_image.name FROM catalogue JOIN image USING (multiframe_id) JOIN file AS of_image ON of_image.file_id = image.file_id
     WHERE catalogue.file_id = refusal.file_id ORDER BY image.multiframe_id DESC LIMIT 1), refusal.file_id, refusal.subject";

/// Implements [`crate::Reader::refusals`].
pub(crate) fn list(
    c: &Connection,
    filter: &RefusalFilter,
) -> Result<Vec<RefusalRecord>, ArchiveFault> {
    // Only requested fields become conditions, so that each query finds its index. The state is a literal, as in the partial
    // indexes.
    let wanted = [
        ("delivery.name", filter.delivery.as_deref()),
        ("refusal.code", filter.code.as_deref()),
        ("refusal.file_name", filter.file.as_deref()),
    ];
    let wanted: Vec<(&str, &str)> =
        wanted.into_iter().filter_map(|(column, value)| Some((column, value?))).collect();
    let mut conditions: Vec<String> =
        (1..).zip(&wanted).map(|(n, (column, _))| format!("{column} = ?{n}")).collect();
    conditions.extend(filter.state.map(|state| format!("refusal.state = '{}'", state.name())));
    let conditions =
        if conditions.is_empty() { "TRUE".to_owned() } else { conditions.join(" AND ") };
    let mut select = c.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM refusal JOIN delivery USING (delivery_id) LEFT JOIN unit USING (unit_id)
         WHERE {conditions} ORDER BY refusal.refusal_id"
    ))?;
    let values: Vec<engine::Value> =
        wanted.iter().map(|(_, value)| engine::Value::Text((*value).to_owned())).collect();
    let rows = select.query_map(values, raw_record)?;
    let mut records = Vec::new();
    for row in rows {
        records.push(finished(c, row?)?);
    }
    Ok(records)
}

type Raw = (RefusalRecord, [String; 5]);

fn raw_record(row: &Row<'_>) -> engine::Result<Raw> {
    let epoch = Timestamp::default();
    let record = RefusalRecord {
        refusal_id: row.id(0)?,
        delivery: row.name(1)?,
        stage: Stage::Transfer,
        round: row.optional_id(3)?,
        refusal: Refusal {
            code: row.name(4)?,
            file: row.get(5)?,
            hdu: hdu(row.get(6)?),
            keyword: row.get(7)?,
            column: row.get(8)?,
            subject: row.get(21)?,
            message: row.get(9)?,
            rows: row.get(10)?,
            row_ranges: Vec::new(),
            parked: row.get(12)?,
        },
        file_id: row.optional_id(20)?,
        survey: row.name_if_any(18)?,
        image: row.get(19)?,
        state: RefusalState::Open,
        overruled: row.get(17)?,
        occurrences: row.get(14)?,
        first_seen: epoch,
        last_seen: epoch,
        history: Vec::new(),
    };
    Ok((record, [row.get(2)?, row.get(11)?, row.get(13)?, row.get(15)?, row.get(16)?]))
}

fn finished(
    c: &Connection,
    (mut record, [stage, ranges, state, first, last]): Raw,
) -> Result<RefusalRecord, ArchiveFault> {
    let damaged =
        |what: &str| ArchiveFault::Damaged(format!("refusal {} has {what}", record.refusal_id));
    record.stage = Stage::named(&stage).ok_or_else(|| damaged("an unknown stage"))?;
    record.state = RefusalState::named(&state).ok_or_else(|| damaged("an unknown state"))?;
    record.refusal.row_ranges =
        serde_json::from_str(&ranges).map_err(|_| damaged("unreadable row ranges"))?;
    record.first_seen = time_of(&first)?;
    record.last_seen = time_of(&last)?;
    let mut select = c.prepare_cached(
        "SELECT to_state, changed, who, why FROM refusal_history WHERE refusal_id = ?1 ORDER BY number",
    )?;
    let rows = select.query_map([record.refusal_id.get()], |r| {
        Ok((r.get::<String>(0)?, r.get::<String>(1)?, Cause { who: r.get(2)?, why: r.get(3)? }))
    })?;
    for row in rows {
        let (state, changed, cause) = row?;
        let state = RefusalState::named(&state).ok_or_else(|| {
            ArchiveFault::Damaged(format!("{state:?} is not a state of a refusal"))
        })?;
        record.history.push(RefusalChange { state, changed: time_of(&changed)?, cause });
    }
    Ok(record)
}

/// Lists the HDUs of a file that were refused on arrival. A retry alone accepts none of them; only a recheck of the file does, or
/// an operator's decision to take them.
pub(crate) fn refused_hdus(c: &Connection, file: i64) -> Result<Vec<u16>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT DISTINCT ext_num FROM refusal
         WHERE file_id = ?1 AND stage = 'register' AND ext_num IS NOT NULL AND state <> 'resolved' AND overruled = 0
         ORDER BY ext_num",
    )?;
    let rows = select.query_map([file], |r| Ok(hdu(Some(r.get(0)?))))?;
    Ok(rows.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// Returns the extension number of an HDU, as in tables: the primary HDU has extension number 1 and HDU number 0.
pub(crate) fn ext_num(hdu: Option<u16>) -> Option<u32> {
    hdu.map(model::ext_num_of)
}

/// Returns the HDU of an extension number; `None` also for numbers that no HDU has.
pub(crate) fn hdu(ext_num: Option<u32>) -> Option<u16> {
    ext_num.and_then(|number| u16::try_from(number.checked_sub(1)?).ok())
}

/// Returns the message of a refusal, with keyword, column and rows if the message does not name them itself.
pub fn in_full(refusal: &Refusal) -> String {
    const RANGES_SHOWN: usize = 3;
    let mut more = Vec::new();
    for (what, name) in [("keyword", &refusal.keyword), ("column", &refusal.column)] {
        let name = name.as_deref().filter(|n| !n.starts_with('#') && !refusal.message.contains(n));
        more.extend(name.map(|name| format!("{what} {name}")));
    }
    if refusal.rows > 0 {
        more.push(format!("{} refused", rows_in_words(refusal, RANGES_SHOWN)));
    }
    if more.is_empty() {
        return refusal.message.clone();
    }
    format!("{} ({})", refusal.message, more.join("; "))
}

/// Returns the number of rows in words, and at most `most` of the ranges that were listed.
pub fn rows_in_words(refusal: &Refusal, most: usize) -> String {
    let in_words = |range: &RowRange| match range.first == range.last {
        true => range.first.to_string(),
        false => format!("{}-{}", range.first, range.last),
    };
    let mut which: Vec<String> = refusal.row_ranges.iter().take(most).map(in_words).collect();
    if refusal.row_ranges.len() > most {
        which.push("…".to_owned());
    }
    let plural = if refusal.rows == 1 { "row" } else { "rows" };
    let which = if which.is_empty() { String::new() } else { format!(" ({})", which.join(", ")) };
    format!("{} {plural}{which}", refusal.rows)
}

/// Returns file and HDU of a refusal, the HDU by its extension number (primary = 1); empty for a whole round.
pub fn place_in_words(refusal: &Refusal) -> String {
    match refusal.hdu {
        Some(hdu) => format!("{} ext_num {}", refusal.file, model::ext_num_of(hdu)),
        None => refusal.file.clone(),
    }
}
