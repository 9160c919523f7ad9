//! Checks of the database itself, its numbers, and that every object id is accounted for once.

use super::{Report, VerifyFinding};
use archive::error::ArchiveFault;
use engine::Connection;
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

/// Checks that every object id from 1 to the counter belongs to exactly one range, and that detectors fill ingested
/// ranges.
pub(super) fn object_ids(c: &Connection, report: &mut Report) -> Result<(), ArchiveFault> {
    let mut select =
        c.prepare("SELECT programme_id, last_obj_id FROM programme_counter ORDER BY 1")?;
    let programmes: Vec<(i64, i64)> =
        select.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?.collect::<Result<_, _>>()?;
    for (programme_id, last) in programmes {
        ranges_of(c, programme_id, last, report)?;
        overlaps_of(c, programme_id, report)?;
    }
    filled(c, report)
}

fn ranges_of(
    c: &Connection,
    programme_id: i64,
    last: i64,
    report: &mut Report,
) -> Result<(), ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT first_obj_id, last_obj_id FROM id_range WHERE programme_id = ?1 ORDER BY first_obj_id",
    )?;
    let mut rows = select.query([programme_id])?;
    let mut expected = 1;
    while let Some(row) = rows.next()? {
        let (first, end): (i64, i64) = (row.get(0)?, row.get(1)?);
        if first > expected {
            let gap = VerifyFinding::ObjectIdsUnaccounted {
                programme_id,
                first: expected,
                last: first - 1,
            };
            report.findings.push(gap);
        } else if first < expected {
            let overlap =
                VerifyFinding::ObjectIdsTwice { programme_id, first, last: end.min(expected - 1) };
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
        report.findings.push(VerifyFinding::ObjectIdsUnaccounted {
            programme_id,
            first: expected,
            last,
        });
    }
    Ok(())
}

fn overlaps_of(c: &Connection, programme_id: i64, report: &mut Report) -> Result<(), ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT first_obj_id, rows FROM detector_rows WHERE programme_id = ?1 ORDER BY first_obj_id",
    )?;
    let mut rows = select.query([programme_id])?;
    let mut next = 1;
    while let Some(row) = rows.next()? {
        let (first_obj_id, count): (i64, i64) = (row.get(0)?, row.get(1)?);
        if first_obj_id < next {
            report.findings.push(VerifyFinding::DetectorsOverlap { programme_id, first_obj_id });
        }
        next = next.max(first_obj_id + count);
    }
    Ok(())
}

fn filled(c: &Connection, report: &mut Report) -> Result<(), ArchiveFault> {
    let mut select = c.prepare(
        "SELECT programme_id, first_obj_id, last_obj_id - first_obj_id + 1, id_range.state, unit.state,
             (SELECT coalesce(sum(rows), 0) FROM detector_rows
              WHERE detector_rows.programme_id = id_range.programme_id
                  AND detector_rows.first_obj_id BETWEEN id_range.first_obj_id AND id_range.last_obj_id)
         FROM id_range JOIN unit USING (unit_id)",
    )?;
    let mut rows = select.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        let (programme_id, first, ids): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (state, round_state): (String, String) = (row.get(3)?, row.get(4)?);
        let found: i64 = row.get(5)?;
        let fits = matches!(
            (state.as_str(), round_state.as_str()),
            ("reserved", "staged")
                | ("ingested", "ingested")
                | ("retracted", "retracted")
                | ("abandoned", "failed")
        );
        if !fits {
            report.findings.push(VerifyFinding::RangeState {
                programme_id,
                first,
                state,
                round_state,
            });
        } else if state == "ingested" && found != ids {
            report.findings.push(VerifyFinding::RangeRows {
                programme_id,
                first,
                ids,
                rows: found,
            });
        }
    }
    report.note("ranges of object ids", count);
    Ok(())
}
