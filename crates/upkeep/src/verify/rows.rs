//! Checks of rows: their references, natural keys, and the rows of published batches.

use super::{Report, VerifyFinding};
use archive::error::ArchiveFault;
use archive::metadata::versioned;
use archive::products::described::{Mixed, mixed};
use archive::products::kept::{Misplaced, misplaced};
use engine::Connection;
use engine::quoted;
use model::UseCase;
use rusqlite::params;
use std::collections::BTreeSet;

/// Checks that detections have their multiframe and one current catalogue each, and that nothing superseded is current.
pub(super) fn references(c: &Connection, report: &mut Report) -> Result<(), ArchiveFault> {
    let mut select = c.prepare(
        "SELECT multiframe_id, sum(rows) FROM detector_rows
         WHERE end_event IS NULL AND multiframe_id NOT IN (SELECT multiframe_id FROM multiframe)
         GROUP BY multiframe_id",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let finding =
            VerifyFinding::MultiframeAbsent { multiframe_id: row.get(0)?, rows: row.get(1)? };
        report.findings.push(finding);
    }
    let mut select = c.prepare(
        "SELECT multiframe_id, ext_num FROM detector_rows WHERE end_event IS NULL
         GROUP BY 1, 2 HAVING count(*) > 1",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let finding =
            VerifyFinding::NaturalKeyTwice { multiframe_id: row.get(0)?, ext_num: row.get(1)? };
        report.findings.push(finding);
    }
    superseded(c, report)?;
    for Mixed { multiframe_id, ext_num, described, version } in mixed(c)? {
        let multiframe_id = multiframe_id.get();
        let finding =
            VerifyFinding::CatalogueVersions { multiframe_id, ext_num, described, version };
        report.findings.push(finding);
    }
    let detectors = c.query_row("SELECT count(*) FROM detector_rows", [], |r| r.get(0))?;
    report.note("detectors with detections", detectors);
    Ok(())
}

/// Checks that the visible products are the required ones: the newest published product of each name, of detections
/// that of each detector, and the metadata of the visible products. Rows and the record of products must agree.
fn superseded(c: &Connection, report: &mut Report) -> Result<(), ArchiveFault> {
    let mut seen = BTreeSet::new();
    for Misplaced { multiframe_id, use_case, should_show } in misplaced(c)? {
        let multiframe_id = multiframe_id.get();
        let table = first_table(use_case).to_owned();
        seen.insert((multiframe_id, table.clone()));
        report.findings.push(if should_show {
            VerifyFinding::ProductNotShown { multiframe_id, table, is_recorded: true }
        } else {
            VerifyFinding::SupersededCurrent { multiframe_id, table, is_recorded: true }
        });
    }
    let tables = versioned().filter_map(|t| {
        Some((t.name.as_str(), format!("{}_all", t.name), UseCase::of_table(&t.name)?))
    });
    let detections = ("detector_rows", "detector_rows".to_owned(), UseCase::Catalogue);
    for (name, table, use_case) in tables.chain([detections]) {
        let table = quoted(&table);
        let of_detector = match use_case.product().is_by_detector() {
            true => {
                "AND EXISTS (SELECT * FROM product_detector AS detector
                             WHERE detector.multiframe_id = held.multiframe_id AND detector.ext_num = held.ext_num
                                 AND detector.state = 'current')"
            }
            false => "",
        };
        let without_product = format!(
            "SELECT DISTINCT multiframe_id FROM {table} AS held WHERE end_event IS NULL AND NOT EXISTS (
                 SELECT * FROM product WHERE product.multiframe_id = held.multiframe_id AND product.use_case = ?1
                     AND product.state = 'current' {of_detector}) ORDER BY 1"
        );
        for multiframe_id in multiframes(c, &without_product, use_case)? {
            if seen.insert((multiframe_id, name.to_owned())) {
                let table = name.to_owned();
                report.findings.push(VerifyFinding::SupersededCurrent {
                    multiframe_id,
                    table,
                    is_recorded: false,
                });
            }
        }
        if use_case.product().is_by_detector() || name != first_table(use_case) {
            continue; // a catalogue may be empty
        }
        let without_rows = format!(
            "SELECT multiframe_id FROM product WHERE use_case = ?1 AND state = 'current' AND NOT EXISTS (
                 SELECT * FROM {table} AS held
                 WHERE held.multiframe_id = product.multiframe_id AND held.end_event IS NULL) ORDER BY 1"
        );
        for multiframe_id in multiframes(c, &without_rows, use_case)? {
            if seen.insert((multiframe_id, name.to_owned())) {
                let table = name.to_owned();
                report.findings.push(VerifyFinding::ProductNotShown {
                    multiframe_id,
                    table,
                    is_recorded: false,
                });
            }
        }
    }
    Ok(())
}

/// Returns the table that has a row of every image with a product.
fn first_table(use_case: UseCase) -> &'static str {
    let product = use_case.product();
    match product.tables {
        _ if product.is_by_detector() => "detector_rows",
        [first, ..] => first,
        [] => "product",
    }
}

fn multiframes(c: &Connection, sql: &str, use_case: UseCase) -> Result<Vec<i64>, ArchiveFault> {
    let mut select = c.prepare(sql)?;
    let rows = select.query_map([use_case.name()], |r| r.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

struct Published {
    unit_id: i64,
    round: String,
    event: i64,
    table: String,
    rows: i64,
}

/// Checks that published batches have their rows, and that their rounds are in the matching state.
pub(super) fn counts(c: &Connection, report: &mut Report) -> Result<(), ArchiveFault> {
    let mut select = c.prepare(
        "SELECT unit_id, delivery.name || ' ' || use_case || ' round ' || round, event_id, table_name, rows
         FROM batch_rows JOIN batch USING (unit_id) JOIN unit USING (unit_id) JOIN delivery USING (delivery_id)
         WHERE event_id IS NOT NULL AND NOT EXISTS (
             SELECT * FROM retraction WHERE retraction.unit_id = unit.unit_id AND purged IS NOT NULL)",
    )?;
    let rows = select.query_map([], |r| {
        Ok(Published {
            unit_id: r.get(0)?,
            round: r.get(1)?,
            event: r.get(2)?,
            table: r.get(3)?,
            rows: r.get(4)?,
        })
    })?;
    let mut count = 0;
    for published in rows {
        let published = published?;
        count += 1;
        let found = found(c, &published)?;
        if found != published.rows {
            report.findings.push(VerifyFinding::BatchRows {
                round: published.round,
                table: published.table,
                published: published.rows,
                found,
            });
        }
    }
    report.note("tables of published batches", count);
    without_event(c, report)
}

fn found(c: &Connection, published: &Published) -> Result<i64, ArchiveFault> {
    if published.table == "detection" {
        let rows = "SELECT coalesce(sum(rows), 0) FROM detector_rows WHERE begin_event = ?1";
        return Ok(c.prepare_cached(rows)?.query_row([published.event], |r| r.get(0))?);
    }
    let select = format!(
        "SELECT count(*) FROM {} WHERE begin_event = ?1 AND multiframe_id IN (
             SELECT multiframe_id FROM task JOIN task_input USING (task_id) WHERE unit_id = ?2 AND outcome = 'done')",
        quoted(&format!("{}_all", published.table))
    );
    let found = c
        .prepare_cached(&select)?
        .query_row(params![published.event, published.unit_id], |r| r.get(0));
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
        report
            .findings
            .push(VerifyFinding::RoundWithoutEvent { round: row.get(0)?, state: row.get(1)? });
    }
    Ok(())
}
