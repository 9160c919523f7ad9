//! Findings, counted over distinct files: a file counts once per kind, by the newest round that covered it.
//!
//! A row per delivery, stage, round, code and subject records which files have the finding and how often. When a later round
//! covers a file again, or newer content replaces the file, the file is removed from the earlier rows ([`forget`]), so that the
//! rows of all rounds may be summed.

use crate::Reader;
use crate::error::{ArchiveError, ArchiveFault};
use crate::products::supersession;
use crate::refusals::{Stage, ext_num};
use crate::status::reports::{Chosen, known_id};
use engine::{Connection, Optional};
use model::Finding;
use model::RefusalCode;
use model::ReportCode;
use model::{Advice, DeliveryName};
use rusqlite::params;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Maximum bytes of a text that are stored; characters that engines refuse are escaped.
const TEXT_BYTES: usize = 8000;
/// Maximum occurrences in a file: engines store counts in 64 bits with a sign, and sums stay below that limit.
const COUNT_MAX: u64 = 1 << 40;

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

impl Reader {
    /// Returns the drift report: findings of a delivery, or of all in the order of their registration; most frequent first.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn findings(&self, delivery: Option<&DeliveryName>) -> Result<Vec<Drift>, ArchiveError> {
        self.read("list findings", |c| findings(c, delivery))
    }
}

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
            ext_num(example.hdu),
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

/// Implements [`crate::Reader::findings`].
pub(crate) fn findings(
    c: &Connection,
    delivery: Option<&DeliveryName>,
) -> Result<Vec<Drift>, ArchiveFault> {
    // The condition is inside the sums, so that those of one delivery read only its rows.
    let of = match delivery {
        Some(name) => match known_id(c, name)? {
            Some(id) => Chosen::Some(vec![id]),
            None => Chosen::Some(Vec::new()),
        },
        None => Chosen::All,
    };
    let mut select = c.prepare(&format!(
        "SELECT delivery.name, f.stage, f.code, f.subject, sums.files, sums.occurrences, example_file, example_ext_num, message
         FROM (SELECT finding.delivery_id, stage, code, subject, sum(files) AS files, sum(occurrences) AS occurrences,
                   max(finding.round) AS round
               FROM finding LEFT JOIN unit ON unit.delivery_id = finding.delivery_id
                   AND unit.use_case = finding.stage AND unit.round = finding.round
               WHERE (unit.state IS NULL OR unit.state <> 'retracted') AND {}
               GROUP BY 1, 2, 3, 4) AS sums
             JOIN finding AS f USING (delivery_id, stage, code, subject, round)
             JOIN delivery USING (delivery_id)
         ORDER BY delivery_id, sums.occurrences DESC, f.stage, f.code, f.subject",
        of.condition("finding.delivery_id")
    ))?;
    let rows = select.query_map([], |r| {
        Ok(Drift {
            delivery: r.name(0)?,
            stage: r.get(1)?,
            code: r.name(2)?,
            subject: r.get(3)?,
            files: r.get(4)?,
            occurrences: r.get(5)?,
            example_file: r.get(6)?,
            example_ext_num: r.get(7)?,
            message: r.get(8)?,
        })
    })?;
    let mut findings: Vec<Drift> = rows.collect::<Result<_, _>>()?;
    findings.extend(supersession::findings(c, delivery)?);
    Ok(findings)
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
