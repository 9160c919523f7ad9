//! Rows: what they refer to, natural keys, and that published batches have the rows they brought.

use super::{Finding, Report};
use crate::engine::Connection;
use crate::error::ArchiveFault;
use crate::metadata::definition::{quoted, versioned};
use rusqlite::params;

/// Detections have their multiframe, one current catalogue each, and nothing superseded is current.
pub(super) fn references(c: &Connection, report: &mut Report) -> Result<(), ArchiveFault> {
    let mut select = c.prepare(
        "SELECT multiframe_id, sum(rows) FROM detector_rows
         WHERE end_event IS NULL AND multiframe_id NOT IN (SELECT multiframe_id FROM multiframe)
         GROUP BY multiframe_id",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let finding = Finding::MultiframeAbsent { multiframe_id: row.get(0)?, rows: row.get(1)? };
        report.findings.push(finding);
    }
    let mut select = c.prepare(
        "SELECT multiframe_id, ext_num FROM detector_rows WHERE end_event IS NULL
         GROUP BY 1, 2 HAVING count(*) > 1",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let finding = Finding::NaturalKeyTwice { multiframe_id: row.get(0)?, ext_num: row.get(1)? };
        report.findings.push(finding);
    }
    superseded(c, report)?;
    let detectors = c.query_row("SELECT count(*) FROM detector_rows", [], |r| r.get(0))?;
    report.note("detectors with detections", detectors);
    Ok(())
}

fn superseded(c: &Connection, report: &mut Report) -> Result<(), ArchiveFault> {
    let tables = versioned().map(|t| (t.name.as_str(), format!("{}_all", t.name)));
    let tables = tables.chain([("detector_rows", "detector_rows".to_owned())]);
    for (name, table) in tables {
        let mut select = c.prepare(&format!(
            "SELECT DISTINCT old.multiframe_id
             FROM file AS old_file JOIN image AS old ON old.file_id = old_file.file_id
                 JOIN file AS new_file ON new_file.delivery_id = old_file.delivery_id
                     AND new_file.name = old_file.name AND new_file.state = 'current'
                 JOIN image AS new ON new.file_id = new_file.file_id
                 JOIN multiframe ON multiframe.multiframe_id = new.multiframe_id
                 JOIN {} AS kept ON kept.multiframe_id = old.multiframe_id AND kept.end_event IS NULL
             WHERE old_file.state = 'superseded'",
            quoted(&table)
        ))?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let finding =
                Finding::SupersededCurrent { multiframe_id: row.get(0)?, table: name.to_owned() };
            report.findings.push(finding);
        }
    }
    Ok(())
}

struct Brought {
    unit_id: i64,
    round: String,
    event: i64,
    table: String,
    rows: i64,
}

/// Published batches have the rows they brought, and their rounds say so.
pub(super) fn counts(c: &Connection, report: &mut Report) -> Result<(), ArchiveFault> {
    let mut select = c.prepare(
        "SELECT unit_id, delivery.name || ' ' || use_case || ' round ' || round, event_id, table_name, rows
         FROM batch_rows JOIN batch USING (unit_id) JOIN unit USING (unit_id) JOIN delivery USING (delivery_id)
         WHERE event_id IS NOT NULL AND NOT EXISTS (
             SELECT * FROM retraction WHERE retraction.unit_id = unit.unit_id AND purged IS NOT NULL)",
    )?;
    let rows = select.query_map([], |r| {
        Ok(Brought {
            unit_id: r.get(0)?,
            round: r.get(1)?,
            event: r.get(2)?,
            table: r.get(3)?,
            rows: r.get(4)?,
        })
    })?;
    let mut count = 0;
    for brought in rows {
        let brought = brought?;
        count += 1;
        let found = found(c, &brought)?;
        if found != brought.rows {
            report.findings.push(Finding::BatchRows {
                round: brought.round,
                table: brought.table,
                brought: brought.rows,
                found,
            });
        }
    }
    report.note("tables of published batches", count);
    without_event(c, report)
}

fn found(c: &Connection, brought: &Brought) -> Result<i64, ArchiveFault> {
    if brought.table == "detection" {
        let rows = "SELECT coalesce(sum(rows), 0) FROM detector_rows WHERE begin_event = ?1";
        return Ok(c.prepare_cached(rows)?.query_row([brought.event], |r| r.get(0))?);
    }
    let select = format!(
        "SELECT count(*) FROM {} WHERE begin_event = ?1 AND multiframe_id IN (
             SELECT multiframe_id FROM task JOIN task_input USING (task_id) WHERE unit_id = ?2)",
        quoted(&format!("{}_all", brought.table))
    );
    let found =
        c.prepare_cached(&select)?.query_row(params![brought.event, brought.unit_id], |r| r.get(0));
    Ok(found?)
}

fn without_event(c: &Connection, report: &mut Report) -> Result<(), ArchiveFault> {
    let mut select = c.prepare(
        "SELECT delivery.name || ' ' || use_case || ' round ' || round, unit.state
         FROM unit JOIN delivery USING (delivery_id) LEFT JOIN batch USING (unit_id)
         WHERE (unit.state IN ('ingested', 'retracted')) <> (event_id IS NOT NULL)",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        report.findings.push(Finding::RoundWithoutEvent { round: row.get(0)?, state: row.get(1)? });
    }
    Ok(())
}
