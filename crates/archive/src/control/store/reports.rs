//! What `status` shows.

use super::planning;
use super::registration::delivery_id;
use crate::control::records::Programme;
use crate::control::report::*;
use crate::engine::Connection;
use crate::error::ArchiveFault;
use model::{ProgrammeId, UseCase};
use rusqlite::params;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Results from which rates are told.
const RESULTS_MOST: u32 = 1000;

/// See [`crate::Inquiry::deliveries`].
pub(super) fn deliveries(c: &Connection, night: Option<i32>) -> Result<Vec<String>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT name FROM delivery WHERE CAST(?1 AS INTEGER) IS NULL OR night = ?1 ORDER BY delivery_id",
    )?;
    Ok(select.query_map([night], |r| r.get(0))?.collect::<Result<_, _>>()?)
}

/// See [`crate::Inquiry::source`].
pub(super) fn source(c: &Connection, delivery: &str) -> Result<PathBuf, ArchiveFault> {
    let id = delivery_id(c, delivery)?;
    let source: String = c
        .prepare_cached("SELECT source FROM delivery WHERE delivery_id = ?1")?
        .query_row([id], |r| r.get(0))?;
    Ok(source.into())
}

/// See [`crate::Inquiry::programmes`].
pub(super) fn programmes(c: &Connection) -> Result<Vec<Programme>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT programme_id, name, project FROM programme ORDER BY programme_id",
    )?;
    let rows = select.query_map([], |r| Ok((r.get::<i32>(0)?, r.get(1)?, r.get(2)?)))?;
    let mut programmes = Vec::new();
    for row in rows {
        let (id, name, project) = row?;
        let programme_id = ProgrammeId::new(id)
            .ok_or_else(|| ArchiveFault::Damaged(format!("{id} is no programme id")))?;
        programmes.push(Programme { programme_id, name, project });
    }
    Ok(programmes)
}

/// See [`crate::Inquiry::status`].
pub(super) fn status(c: &Connection) -> Result<Status, ArchiveFault> {
    let count =
        |sql: &str| -> Result<u64, ArchiveFault> { Ok(c.query_row(sql, [], |r| r.get(0))?) };
    Ok(Status {
        deliveries: delivery_statuses(c, None)?,
        programmes: programme_statuses(c)?,
        events: c.query_row("SELECT coalesce(max(event_id), 0) FROM event", [], |r| r.get(0))?,
        running_attempts: count("SELECT count(*) FROM attempt WHERE state = 'running'")?,
        open_refusals: count("SELECT count(*) FROM refusal WHERE state = 'open' AND parked = 0")?,
        parked_refusals: count("SELECT count(*) FROM refusal WHERE state = 'open' AND parked = 1")?,
        unsound_files: count("SELECT count(*) FROM scrub WHERE outcome <> 'sound'")?,
    })
}

/// See [`crate::Inquiry::rates`].
pub(super) fn rates(c: &Connection) -> Result<Vec<Rate>, ArchiveFault> {
    let mut rates: BTreeMap<(UseCase, String), Rate> = BTreeMap::new();
    for took in planning::results_of_late(c, RESULTS_MOST)? {
        let rate =
            rates.entry((took.use_case, took.host)).or_insert_with_key(|(use_case, host)| {
                let (use_case, host) = (use_case.to_string(), host.clone());
                Rate { use_case, host, tasks: 0, input_bytes: 0, rows: 0, seconds: 0.0 }
            });
        rate.tasks += 1;
        rate.input_bytes += took.input_bytes;
        rate.rows += took.output_rows;
        rate.seconds += took.seconds;
    }
    Ok(rates.into_values().collect())
}

fn programme_statuses(c: &Connection) -> Result<Vec<ProgrammeStatus>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT programme_id, name, last_obj_id,
             (SELECT coalesce(sum(rows), 0) FROM detector_rows
              WHERE detector_rows.programme_id = programme.programme_id AND end_event IS NULL)
         FROM programme JOIN programme_counter USING (programme_id) ORDER BY programme_id",
    )?;
    let rows = select.query_map([], |r| {
        Ok(ProgrammeStatus {
            programme_id: r.get(0)?,
            name: r.get(1)?,
            last_obj_id: r.get(2)?,
            detections: r.get(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// All deliveries, or the one of an internal number.
pub(super) fn delivery_statuses(
    c: &Connection,
    only: Option<i64>,
) -> Result<Vec<DeliveryStatus>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT delivery_id, name, night, state, awaited, last_arrival FROM delivery WHERE CAST(?1 AS BIGINT) IS NULL OR delivery_id = ?1
         ORDER BY delivery_id",
    )?;
    let rows = select.query_map([only], |r| {
        let status = DeliveryStatus {
            name: r.get(1)?,
            night: r.get(2)?,
            state: r.get(3)?,
            awaited: r.get(4)?,
            last_arrival: r.get(5)?,
            ..DeliveryStatus::default()
        };
        Ok((r.get(0)?, status))
    })?;
    let mut statuses: BTreeMap<i64, DeliveryStatus> = rows.collect::<Result<_, _>>()?;
    count_files(c, &mut statuses)?;
    count_products(c, &mut statuses)?;
    for (delivery, status) in &mut statuses {
        status.rounds = rounds(c, *delivery)?;
    }
    Ok(statuses.into_values().collect())
}

fn count_files(
    c: &Connection,
    statuses: &mut BTreeMap<i64, DeliveryStatus>,
) -> Result<(), ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT delivery_id, kind, state, count(*), sum(bytes), sum(hdus) FROM file GROUP BY 1, 2, 3",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let Some(status) = statuses.get_mut(&row.get(0)?) else { continue };
        let (kind, state): (String, String) = (row.get(1)?, row.get(2)?);
        let (files, bytes, hdus): (u64, u64, u64) = (row.get(3)?, row.get(4)?, row.get(5)?);
        if state == "superseded" {
            status.superseded += files;
            continue;
        }
        status.bytes += bytes;
        match kind.as_str() {
            "image" => (status.images, status.detectors) = (files, hdus),
            "catalogue" => status.catalogues = files,
            _ => status.others = files,
        }
    }
    Ok(())
}

fn count_products(
    c: &Connection,
    statuses: &mut BTreeMap<i64, DeliveryStatus>,
) -> Result<(), ArchiveFault> {
    type Field = fn(&mut DeliveryStatus) -> &mut u64;
    let counts: [(&str, Field); 6] = [
        (
            "SELECT file.delivery_id, count(*) FROM multiframe JOIN image USING (multiframe_id)
                 JOIN file USING (file_id) GROUP BY 1",
            |s| &mut s.multiframes,
        ),
        (
            "SELECT file.delivery_id, count(*) FROM preview JOIN image USING (multiframe_id)
                 JOIN file USING (file_id) GROUP BY 1",
            |s| &mut s.previews,
        ),
        (
            "SELECT file.delivery_id, sum(detector_rows.rows) FROM detector_rows JOIN image USING (multiframe_id)
                 JOIN file ON file.file_id = image.file_id WHERE end_event IS NULL GROUP BY 1",
            |s| &mut s.detections,
        ),
        (
            "SELECT delivery_id, count(*) FROM refusal WHERE state = 'open' AND parked = 0 GROUP BY 1",
            |s| &mut s.open_refusals,
        ),
        (
            "SELECT delivery_id, count(*) FROM refusal WHERE state = 'open' AND parked = 1 GROUP BY 1",
            |s| &mut s.parked_refusals,
        ),
        (
            "SELECT delivery_id, count(*) FROM (SELECT DISTINCT delivery_id, stage, code, subject FROM finding) AS kind GROUP BY 1",
            |s| &mut s.findings,
        ),
    ];
    for (sql, field) in counts {
        let mut select = c.prepare_cached(sql)?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            if let Some(status) = statuses.get_mut(&row.get(0)?) {
                *field(status) = row.get(1)?;
            }
        }
    }
    Ok(())
}

fn rounds(c: &Connection, delivery: i64) -> Result<Vec<RoundStatus>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT use_case, round, unit.state,
             (SELECT count(*) FROM task WHERE task.unit_id = unit.unit_id),
             (SELECT count(*) FROM task WHERE task.unit_id = unit.unit_id AND task.state <> 'open'),
             unit_history.why, unit_history.changed
         FROM unit JOIN unit_history USING (unit_id)
         WHERE delivery_id = ?1
             AND number = (SELECT max(number) FROM unit_history AS h WHERE h.unit_id = unit.unit_id)
         ORDER BY unit_id",
    )?;
    let rows = select.query_map([delivery], |r| {
        Ok(RoundStatus {
            use_case: r.get(0)?,
            round: r.get(1)?,
            state: r.get(2)?,
            tasks: r.get(3)?,
            tasks_over: r.get(4)?,
            why: r.get(5)?,
            since: r.get(6)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// See [`crate::Inquiry::findings`].
pub(super) fn findings(c: &Connection, delivery: Option<&str>) -> Result<Vec<Drift>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT delivery.name, f.stage, f.code, f.subject, sums.files, sums.occurrences, example_file, example_ext_num, message
         FROM (SELECT delivery_id, stage, code, subject, sum(files) AS files, sum(occurrences) AS occurrences,
                   max(round) AS round FROM finding GROUP BY 1, 2, 3, 4) AS sums
             JOIN finding AS f USING (delivery_id, stage, code, subject, round)
             JOIN delivery USING (delivery_id)
         WHERE CAST(?1 AS TEXT) IS NULL OR delivery.name = ?1
         ORDER BY delivery_id, sums.occurrences DESC, f.stage, f.code, f.subject",
    )?;
    let rows = select.query_map(params![delivery], |r| {
        Ok(Drift {
            delivery: r.get(0)?,
            stage: r.get(1)?,
            code: r.get(2)?,
            subject: r.get(3)?,
            files: r.get(4)?,
            occurrences: r.get(5)?,
            example_file: r.get(6)?,
            example_ext_num: r.get(7)?,
            message: r.get(8)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
