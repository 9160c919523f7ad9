//! Checks of the database itself, its numbers, and that every object id is accounted for once.

use super::{Report, VerifyFinding};
use archive::error::ArchiveFault;
use engine::Connection;
use lake::LakeTable;
use rusqlite::params;
use std::collections::BTreeMap;

/// Runs the engine's own checks.
pub(super) fn database(c: &Connection, report: &mut Report) -> Result<(), ArchiveFault> {
    report.note("tables", c.count_tables()?);
    if c.sqlite().is_none() {
        // References are enforced by the server, pages are checked by its own tools.
        return Ok(());
    }
    let mut select = c.prepare("PRAGMA quick_check(20)")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let message: String = row.get(0)?;
        if message != "ok" {
            report.findings.push(VerifyFinding::DatabaseDamaged { message });
        }
    }
    broken_references(c, report)?;
    Ok(())
}

/// Records one finding for all rows of a table that lack a row in the same other table.
fn broken_references(c: &Connection, report: &mut Report) -> Result<(), ArchiveFault> {
    const NAMED: usize = 5;
    let mut broken: BTreeMap<(String, String), (u64, Vec<i64>)> = BTreeMap::new();
    let mut select = c.prepare("PRAGMA foreign_key_check")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (count, first) = broken.entry((row.get(0)?, row.get(2)?)).or_default();
        *count += 1;
        if first.len() < NAMED {
            first.extend(row.get::<Option<i64>>(1)?); // a table WITHOUT ROWID has none
        }
    }
    for ((table, target), (rows, first)) in broken {
        report.findings.push(VerifyFinding::BrokenReference { table, target, rows, first });
    }
    Ok(())
}

/// Checks that multiframes and events are numbered without gap up to their counters. An event that is reserved for a
/// staged batch is not written yet.
pub(super) fn numbers(c: &Connection, report: &mut Report) -> Result<(), ArchiveFault> {
    let series = [
        ("multiframe", "SELECT multiframe_id AS number FROM image"),
        (
            "event",
            "SELECT event_id AS number FROM event UNION
             SELECT reserved_event FROM batch JOIN unit USING (unit_id)
             WHERE reserved_event IS NOT NULL AND unit.state = 'staged'",
        ),
    ];
    for (counter, sql) in series {
        let last: i64 =
            c.query_row("SELECT last FROM counter WHERE name = ?1", [counter], |r| r.get(0))?;
        let mut select =
            c.prepare(&format!("SELECT number FROM ({sql}) AS series ORDER BY number"))?;
        let mut rows = select.query([])?;
        let (mut expected, mut count) = (1, 0);
        while let Some(row) = rows.next()? {
            let number: i64 = row.get(0)?;
            count += 1;
            if number > last {
                report.findings.push(VerifyFinding::NumberBeyondCounter { counter, number, last });
            } else if number > expected {
                let gap =
                    VerifyFinding::NumberMissing { counter, first: expected, last: number - 1 };
                report.findings.push(gap);
            }
            expected = number + 1;
        }
        if expected <= last {
            report.findings.push(VerifyFinding::NumberMissing { counter, first: expected, last });
        }
        report.note(if counter == "event" { "events" } else { "multiframes" }, count);
    }
    Ok(())
}

/// Checks that every id from 1 to the counter of a lake table belongs to exactly one range, and that the rows of the table fill
/// ingested ranges.
pub(super) fn ids(
    c: &Connection,
    tables: &[LakeTable],
    report: &mut Report,
) -> Result<(), ArchiveFault> {
    let mut count = 0;
    for table in tables {
        let mut select = c.prepare(
            "SELECT programme_id, coalesce(last_id, 0) FROM programme_counter
                 LEFT JOIN (SELECT programme_id, last_id FROM id_counter WHERE lake_table = ?1) AS counter USING (programme_id)
             ORDER BY 1",
        )?;
        let programmes = select.query_map([table.name()], |r| Ok((r.get(0)?, r.get(1)?)))?;
        for programme in programmes.collect::<Result<Vec<(i64, i64)>, _>>()? {
            ranges_of(c, table, programme, report)?;
            overlaps_of(c, table, programme.0, report)?;
        }
        count += filled(c, table, report)?;
    }
    report.note("ranges of object ids", count);
    Ok(())
}

fn ranges_of(
    c: &Connection,
    table: &LakeTable,
    (programme_id, last): (i64, i64),
    report: &mut Report,
) -> Result<(), ArchiveFault> {
    let id = || table.id().to_owned();
    let mut select = c.prepare_cached(
        "SELECT first_id, last_id FROM id_range WHERE lake_table = ?1 AND programme_id = ?2 ORDER BY first_id",
    )?;
    let mut rows = select.query(params![table.name(), programme_id])?;
    let mut expected = 1;
    while let Some(row) = rows.next()? {
        let (first, end): (i64, i64) = (row.get(0)?, row.get(1)?);
        if first > expected {
            let (first, last) = (expected, first - 1);
            let gap = VerifyFinding::ObjectIdsUnaccounted { id: id(), programme_id, first, last };
            report.findings.push(gap);
        } else if first < expected {
            let last = end.min(expected - 1);
            let overlap = VerifyFinding::ObjectIdsTwice { id: id(), programme_id, first, last };
            report.findings.push(overlap);
        }
        if end > last {
            report.findings.push(VerifyFinding::NumberBeyondCounter {
                counter: "object",
                number: end,
                last,
            });
        }
        expected = expected.max(end + 1);
    }
    if expected <= last {
        let first = expected;
        let gap = VerifyFinding::ObjectIdsUnaccounted { id: id(), programme_id, first, last };
        report.findings.push(gap);
    }
    Ok(())
}

fn overlaps_of(
    c: &Connection,
    table: &LakeTable,
    programme_id: i64,
    report: &mut Report,
) -> Result<(), ArchiveFault> {
    let mut select = c.prepare_cached(&format!(
        "SELECT {first_id}, rows FROM {} WHERE programme_id = ?1 ORDER BY {first_id}",
        table.index(),
        first_id = table.first_id()
    ))?;
    let mut rows = select.query([programme_id])?;
    let mut next = 1;
    while let Some(row) = rows.next()? {
        let (first, count): (i64, i64) = (row.get(0)?, row.get(1)?);
        if first < next {
            let id = table.id().to_owned();
            report.findings.push(VerifyFinding::DetectorsOverlap { id, programme_id, first });
        }
        next = next.max(first + count);
    }
    Ok(())
}

/// Checks the states and rows of the ranges of a table, and returns their number.
fn filled(c: &Connection, table: &LakeTable, report: &mut Report) -> Result<u64, ArchiveFault> {
    let mut select = c.prepare(&format!(
        "SELECT programme_id, first_id, last_id - first_id + 1, id_range.state, unit.state,
             (SELECT coalesce(sum(rows), 0) FROM {} AS i
              WHERE i.programme_id = id_range.programme_id AND i.{} BETWEEN id_range.first_id AND id_range.last_id)
         FROM id_range JOIN unit USING (unit_id) WHERE lake_table = ?1",
        table.index(),
        table.first_id()
    ))?;
    let mut rows = select.query([table.name()])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        let (programme_id, first, ids): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (state, round_state): (String, String) = (row.get(3)?, row.get(4)?);
        let (id, rows): (_, i64) = (table.id().to_owned(), row.get(5)?);
        let fits = matches!(
            (state.as_str(), round_state.as_str()),
            ("reserved", "staged")
                | ("ingested", "ingested")
                | ("retracted", "retracted")
                | ("abandoned", "failed")
        );
        if !fits {
            report.findings.push(VerifyFinding::RangeState {
                id,
                programme_id,
                first,
                state,
                round_state,
            });
        } else if state == "ingested" && rows != ids {
            let wrong = VerifyFinding::RangeRows { id, programme_id, first, ids, rows };
            report.findings.push(wrong);
        }
    }
    Ok(count)
}
