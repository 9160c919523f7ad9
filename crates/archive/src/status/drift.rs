//! The drift report: findings, and the older products that are kept.

use crate::Reader;
use crate::error::{ArchiveError, ArchiveFault};
use crate::findings::{Drift, IS_REPORTED};
use crate::products::supersession;
use crate::status::reports::{Chosen, known_id};
use engine::Connection;
use model::DeliveryName;

impl Reader {
    /// Returns the drift report: findings of a delivery, or of all in the order of their registration; most frequent first.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn findings(&self, delivery: Option<&DeliveryName>) -> Result<Vec<Drift>, ArchiveError> {
        self.read("list findings", |c| findings(c, delivery))
    }
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
        "SELECT delivery.name, f.stage, f.code, f.subject, sums.files, sums.occurrences, example_file, example_ext_num, message,
             (SELECT max(survey) FROM file WHERE file.delivery_id = delivery.delivery_id AND file.name = f.example_file
                  AND file.state = 'current')
         FROM (SELECT finding.delivery_id, stage, code, subject, sum(files) AS files, sum(occurrences) AS occurrences,
                   max(finding.round) AS round
               FROM finding LEFT JOIN unit ON unit.delivery_id = finding.delivery_id
                   AND unit.use_case = finding.stage AND unit.round = finding.round
               WHERE (unit.state IS NULL OR unit.state <> 'retracted') AND {IS_REPORTED} AND {}
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
            profile: r.name_if_any(9)?,
        })
    })?;
    let mut findings: Vec<Drift> = rows.collect::<Result<_, _>>()?;
    findings.extend(supersession::findings(c, delivery)?);
    Ok(findings)
}
