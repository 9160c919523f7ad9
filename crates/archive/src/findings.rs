//! Findings, counted over distinct files: a file counts once per kind, by the newest round that covered it.
//!
//! A row per delivery, stage, round, code and subject records which files have the finding and how often. When a later round
//! covers a file again, or newer content replaces the file, the file is removed from the earlier rows ([`forget`]), so that the
//! rows of all rounds may be summed. [`crate::Reader::findings`] reports them.

use crate::error::ArchiveFault;
use engine::{Connection, Optional};
use model::Finding;
use model::RefusalCode;
use model::ReportCode;
use model::{Advice, DeliveryName, SurveyName, UseCase};
use rusqlite::params;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Maximum bytes of a text that are stored; characters that engines refuse are escaped.
const TEXT_BYTES: usize = 8000;
/// Maximum occurrences in a file: engines store counts in 64 bits with a sign, and sums stay below that limit.
const COUNT_MAX: u64 = 1 << 40;

/// The stage of the pipeline in which something was refused or noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Copying into the library.
    Transfer,
    /// Examining the content.
    Register,
    /// A task of a use case.
    Task(UseCase),
    /// Publishing.
    Ingest,
}

impl Stage {
    /// Returns the name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transfer => "transfer",
            Self::Register => "register",
            Self::Task(use_case) => use_case.name(),
            Self::Ingest => "ingest",
        }
    }

    /// Returns the stage of a name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "transfer" => Some(Self::Transfer),
            "register" => Some(Self::Register),
            "ingest" => Some(Self::Ingest),
            _ => name.parse().ok().map(Self::Task),
        }
    }
}

/// Files by their numbers, with each file's number of occurrences.
type Members = BTreeMap<i64, u64>;

/// One finding with the files that have it.
pub(crate) struct Found<'a> {
    pub finding: &'a Finding,
    pub members: Members,
}

/// Code of detections of an older image that stay current.
pub(crate) const OLDER_DETECTIONS_KEPT: &str = RefusalCode::OLDER_DETECTIONS_KEPT.as_str();
/// Code of a preview of an older image that stays current.
pub(crate) const OLDER_PREVIEW_KEPT: &str = RefusalCode::OLDER_PREVIEW_KEPT.as_str();

/// Condition of rows of `finding` that are reported. While files of a delivery are awaited, the catalogue of an image may be one
/// of them.
pub(crate) const IS_REPORTED: &str = "NOT (finding.code = 'catalogue_absent' AND EXISTS (
    SELECT * FROM delivery AS arriving WHERE arriving.delivery_id = finding.delivery_id
        AND (arriving.state = 'arriving' OR arriving.awaited IS NOT NULL)))";

/// Encodes members for storage: runs of consecutive files with equal counts.
fn stored(members: &Members) -> Result<String, ArchiveFault> {
    let mut runs: Vec<(i64, i64, u64)> = Vec::new();
    for (&file, &count) in members {
        match runs.last_mut() {
            Some((_, last, each)) if *last + 1 == file && *each == count => *last = file,
            _ => runs.push((file, file, count)),
        }
    }
    serde_json::to_string(&runs)
        .map_err(|fault| ArchiveFault::Damaged(format!("files of a finding: {fault}")))
}

fn members(text: &str) -> Result<Members, ArchiveFault> {
    let runs: Vec<(i64, i64, u64)> = serde_json::from_str(text)
        .map_err(|fault| ArchiveFault::Damaged(format!("files of a finding: {fault}")))?;
    Ok(runs.into_iter().flat_map(|(first, last, n)| (first..=last).map(move |f| (f, n))).collect())
}

/// Adds findings to the rows of a round (round 0: outside rounds).
pub(crate) fn note(
    tx: &Connection,
    delivery: i64,
    stage: Stage,
    round: u32,
    found: Vec<Found<'_>>,
) -> Result<(), ArchiveFault> {
    let mut sums: BTreeMap<(&str, &str), (Members, &Finding)> = BTreeMap::new();
    for Found { finding, members } in found {
        let subject = finding.subject.as_deref().unwrap_or_default();
        let (sum, _) =
            sums.entry((&finding.code, subject)).or_insert_with(|| (Members::new(), finding));
        for (file, count) in members {
            let each: &mut u64 = sum.entry(file).or_default();
            *each = each.saturating_add(count.max(1)).min(COUNT_MAX);
        }
    }
    for ((code, subject), (mut sum, example)) in sums {
        let subject = model::shown_briefly(subject, TEXT_BYTES);
        let before: Option<Option<String>> = tx
            .prepare_cached(
                "SELECT members FROM finding
                 WHERE delivery_id = ?1 AND stage = ?2 AND round = ?3 AND code = ?4 AND subject = ?5",
            )?
            .query_row(params![delivery, stage.name(), round, code, subject], |r| r.get(0))
            .optional()?;
        if let Some(before) = before.flatten() {
            for (file, count) in members(&before)? {
                let each = sum.entry(file).or_default();
                *each = each.saturating_add(count).min(COUNT_MAX);
            }
        }
        tx.prepare_cached(
            "INSERT INTO finding (delivery_id, stage, round, code, subject, files, occurrences, example_file, example_ext_num,
                 message, members)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT (delivery_id, stage, round, code, subject) DO UPDATE
                 SET files = excluded.files, occurrences = excluded.occurrences, members = excluded.members",
        )?
        .execute(params![
            delivery,
            stage.name(),
            round,
            code,
            subject,
            sum.len() as u64,
            sum.values().sum::<u64>(),
            example.file,
            example.hdu.map(model::ext_num_of),
            model::shown_briefly(&example.message, TEXT_BYTES),
            stored(&sum)?
        ])?;
    }
    Ok(())
}

/// Removes files from the findings of a delivery: from those of a stage before a round, or from all.
pub(crate) fn forget(
    tx: &Connection,
    delivery: i64,
    of: Option<(Stage, u32)>,
    files: &BTreeSet<i64>,
) -> Result<(), ArchiveFault> {
    let (stage, before) = of.map_or((None, u32::MAX), |(s, round)| (Some(s.name()), round));
    let mut select = tx.prepare_cached(
        "SELECT stage, round, code, subject, members, example_file FROM finding
         WHERE delivery_id = ?1 AND (CAST(?2 AS TEXT) IS NULL OR stage = ?2) AND round < CAST(?3 AS BIGINT)
             AND members IS NOT NULL",
    )?;
    let rows = select.query_map(params![delivery, stage, before], |r| {
        let key: (String, u32, String, String) = (r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?);
        Ok((key, r.get::<String>(4)?, r.get::<String>(5)?))
    })?;
    let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
    for ((stage, round, code, subject), text, example) in rows {
        let mut left = members(&text)?;
        let count = left.len();
        left.retain(|file, _| !files.contains(file));
        if left.len() == count {
            continue;
        }
        let Some((&first, _)) = left.first_key_value() else {
            tx.prepare_cached(
                "DELETE FROM finding
                 WHERE delivery_id = ?1 AND stage = ?2 AND round = ?3 AND code = ?4 AND subject = ?5",
            )?
            .execute(params![delivery, stage, round, code, subject])?;
            continue;
        };
        tx.prepare_cached(
            "UPDATE finding SET files = ?6, occurrences = ?7, members = ?8, example_file = ?9
             WHERE delivery_id = ?1 AND stage = ?2 AND round = ?3 AND code = ?4 AND subject = ?5",
        )?
        .execute(params![
            delivery,
            stage,
            round,
            code,
            subject,
            left.len() as u64,
            left.values().sum::<u64>(),
            stored(&left)?,
            example_among(tx, &left, example, first)?
        ])?;
    }
    Ok(())
}

/// Returns the previous example when it is still one of the files, else the first of the files.
fn example_among(
    tx: &Connection,
    left: &Members,
    before: String,
    first: i64,
) -> Result<String, ArchiveFault> {
    let mut select = tx.prepare_cached("SELECT name FROM file WHERE file_id = ?1")?;
    for &file in left.keys() {
        let name: Option<String> = select.query_row([file], |r| r.get(0)).optional()?;
        if name.as_deref() == Some(before.as_str()) {
            return Ok(before);
        }
    }
    Ok(select.query_row([first], |r| r.get(0)).optional()?.unwrap_or(before))
}

/// One line of the drift report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// Delivery.
    pub delivery: DeliveryName,
    /// Stage of the pipeline.
    pub stage: String,
    /// Kind.
    pub code: ReportCode,
    /// Keyword or column; empty when there is none.
    pub subject: String,
    /// Number of files with the finding.
    pub files: u64,
    /// Total number of occurrences.
    pub occurrences: u64,
    /// Name of one of the files.
    pub example_file: String,
    /// Extension number of the HDU in that file, primary = 1.
    pub example_ext_num: Option<u32>,
    /// Survey profile of that file; `None` for a file without one.
    pub profile: Option<SurveyName>,
    /// Message of one sentence.
    pub message: String,
}

impl Drift {
    /// Returns the command that ends the condition that the finding reports, if there is one.
    pub fn advice(&self) -> Option<Advice> {
        let delivery = self.delivery.clone();
        let is_kept = matches!(self.code.as_str(), OLDER_DETECTIONS_KEPT | OLDER_PREVIEW_KEPT);
        is_kept.then_some(Advice::Supersede { delivery })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_hold_what_they_were_made_of() {
        let of: Members = [(1, 4), (2, 4), (3, 4), (4, 1), (9, 1), (10, 1)].into();
        let text = stored(&of).unwrap();
        assert_eq!(text, "[[1,3,4],[4,4,1],[9,10,1]]");
        assert_eq!(members(&text).unwrap(), of);
    }
}
