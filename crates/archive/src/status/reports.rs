//! Contents of `status`.

use crate::deliveries::registration::delivery_id;
use crate::error::ArchiveFault;
use crate::planning::{Instruction, Standing};
use crate::planning::{instructions, plans};
use crate::products::aside;
use crate::programmes::Programme;
use crate::rounds::parsed;
use crate::status::*;
use crate::time::text_of;
use engine::{Connection, Optional};
use model::{ProgrammeId, UseCase};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Maximum number of results from which rates are computed.
const MAX_RESULTS: u32 = 1000;

/// Implements [`crate::Inquiry::deliveries`].
pub(crate) fn deliveries(c: &Connection, night: Option<i32>) -> Result<Vec<String>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT name FROM delivery WHERE CAST(?1 AS INTEGER) IS NULL OR night = ?1 ORDER BY delivery_id",
    )?;
    Ok(select.query_map([night], |r| r.get(0))?.collect::<Result<_, _>>()?)
}

/// Implements [`crate::Inquiry::awaited`].
pub(crate) fn awaited(c: &Connection, delivery: &str) -> Result<Option<String>, ArchiveFault> {
    let mut select = c.prepare_cached("SELECT awaited FROM delivery WHERE name = ?1")?;
    Ok(select.query_row([delivery], |r| r.get::<Option<String>>(0)).optional()?.flatten())
}

/// Implements [`crate::Inquiry::files_like`].
pub(crate) fn files_like(
    c: &Connection,
    begin: &str,
) -> Result<Vec<(String, String)>, ArchiveFault> {
    // The upper end of the range is above every name with that beginning; other names are filtered below.
    let mut select = c.prepare_cached(
        "SELECT delivery.name, file.name FROM file JOIN delivery USING (delivery_id)
         WHERE file.name >= ?1 AND file.name <= ?2 AND file.state = 'current' ORDER BY file.file_id DESC LIMIT 100",
    )?;
    let rows = select.query_map([begin.to_owned(), format!("{begin}\u{10ffff}")], |r| {
        Ok((r.get(0)?, r.get(1)?))
    })?;
    let mut names: Vec<(String, String)> = rows.collect::<Result<_, _>>()?;
    names.retain(|(_, name)| name.starts_with(begin));
    Ok(names)
}

/// Returns the internal number of a delivery, if there is one of that name.
fn known_id(c: &Connection, delivery: &str) -> Result<Option<i64>, ArchiveFault> {
    let mut select = c.prepare_cached("SELECT delivery_id FROM delivery WHERE name = ?1")?;
    Ok(select.query_row([delivery], |r| r.get(0)).optional()?)
}

/// Implements [`crate::Inquiry::source`].
pub(crate) fn source(c: &Connection, delivery: &str) -> Result<PathBuf, ArchiveFault> {
    let id = delivery_id(c, delivery)?;
    let source: String = c
        .prepare_cached("SELECT source FROM delivery WHERE delivery_id = ?1")?
        .query_row([id], |r| r.get(0))?;
    Ok(source.into())
}

/// Implements [`crate::Inquiry::programmes`].
pub(crate) fn programmes(c: &Connection) -> Result<Vec<Programme>, ArchiveFault> {
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

/// Implements [`crate::Inquiry::status`].
pub(crate) fn status(c: &Connection, filter: &StatusFilter) -> Result<Status, ArchiveFault> {
    let count =
        |sql: &str| -> Result<u64, ArchiveFault> { Ok(c.query_row(sql, [], |r| r.get(0))?) };
    let mut states = c.prepare_cached("SELECT state, count(*) FROM delivery GROUP BY state")?;
    let states = states.query_map([], |r| Ok((r.get::<String>(0)?, r.get::<u64>(1)?)))?;
    let paused = instructions::instructions(c)?.into_iter().filter(Standing::is_stop);
    Ok(Status {
        deliveries: delivery_statuses(c, &chosen(c, filter)?)?,
        programmes: programme_statuses(c)?,
        events: c.query_row("SELECT coalesce(max(event_id), 0) FROM event", [], |r| r.get(0))?,
        running_attempts: count("SELECT count(*) FROM attempt WHERE state = 'running'")?,
        open_refusals: count("SELECT count(*) FROM refusal WHERE state = 'open' AND parked = 0")?,
        parked_refusals: count("SELECT count(*) FROM refusal WHERE state = 'open' AND parked = 1")?,
        unsound_files: count("SELECT count(*) FROM scrub WHERE outcome <> 'sound'")?,
        findings: count(
            "SELECT count(*) FROM (SELECT DISTINCT delivery_id, stage, code, subject FROM finding) AS kind",
        )?,
        kept_products: count("SELECT count(*) FROM product WHERE kept = 1")?
            + count(
                "SELECT count(DISTINCT multiframe_id) FROM product_detector
                 WHERE uncovered_event IS NOT NULL AND state = 'current'",
            )?,
        delivery_states: states.collect::<Result<_, _>>()?,
        open_rounds: count(
            "SELECT count(*) FROM unit WHERE state IN ('waiting', 'ready', 'proposed', 'approved', 'running', 'staged')",
        )?,
        paused: paused.map(pause_status).collect(),
    })
}

fn pause_status(standing: Standing) -> PauseStatus {
    let act = match standing.plan_id {
        Some(_) => "reject",
        None => standing.instruction.act(),
    };
    PauseStatus {
        subject: standing.subject.to_string(),
        act: act.to_owned(),
        since: text_of(standing.since),
        who: standing.cause.who,
        why: standing.cause.why,
        target: standing.subject.target(),
    }
}

/// The deliveries that a status lists.
enum Chosen {
    All,
    /// Internal numbers.
    Some(Vec<i64>),
}

impl Chosen {
    /// Returns a condition on a column.
    fn condition(&self, column: &str) -> String {
        match self {
            Self::All => "1 = 1".to_owned(),
            Self::Some(ids) if ids.is_empty() => "1 = 0".to_owned(),
            Self::Some(ids) => {
                let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
                format!("{column} IN ({})", ids.join(", "))
            }
        }
    }
}

fn chosen(c: &Connection, filter: &StatusFilter) -> Result<Chosen, ArchiveFault> {
    if *filter == StatusFilter::default() {
        return Ok(Chosen::All);
    }
    let mut select = c.prepare_cached(
        "SELECT delivery_id, name, night FROM delivery WHERE CAST(?1 AS TEXT) IS NULL OR state = ?1
         ORDER BY CASE WHEN state = 'complete' THEN 1 ELSE 0 END, delivery_id DESC",
    )?;
    let rows = select.query_map([filter.state.as_deref()], |r| {
        Ok((r.get::<i64>(0)?, r.get::<String>(1)?, r.get::<Option<i32>>(2)?))
    })?;
    let rows: Vec<(i64, String, Option<i32>)> = rows.collect::<Result<_, _>>()?;
    let is_wanted = |(_, name, night): &&(i64, String, Option<i32>)| {
        let is_all = filter.deliveries.is_empty() && filter.nights.is_empty();
        is_all
            || filter.deliveries.contains(name)
            || night.is_some_and(|night| filter.nights.contains(&night))
    };
    let at_most = filter.at_most.map_or(usize::MAX, |n| n as usize);
    Ok(Chosen::Some(rows.iter().filter(is_wanted).take(at_most).map(|(id, ..)| *id).collect()))
}

/// Implements [`crate::Inquiry::rates`].
pub(crate) fn rates(c: &Connection) -> Result<Vec<Rate>, ArchiveFault> {
    let mut rates: BTreeMap<(UseCase, String), Rate> = BTreeMap::new();
    for took in plans::recent_results(c, MAX_RESULTS)? {
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

/// Returns the status of the delivery with an internal number.
pub(crate) fn delivery_status(c: &Connection, id: i64) -> Result<DeliveryStatus, ArchiveFault> {
    Ok(delivery_statuses(c, &Chosen::Some(vec![id]))?.pop().unwrap_or_default())
}

fn delivery_statuses(c: &Connection, chosen: &Chosen) -> Result<Vec<DeliveryStatus>, ArchiveFault> {
    let mut select = c.prepare(&format!(
        "SELECT delivery_id, name, night, state, awaited, last_arrival FROM delivery WHERE {} ORDER BY delivery_id",
        chosen.condition("delivery_id")
    ))?;
    let rows = select.query_map([], |r| {
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
    count_files(c, chosen, &mut statuses)?;
    count_products(c, chosen, &mut statuses)?;
    rounds(c, chosen, &mut statuses)?;
    Ok(statuses.into_values().collect())
}

fn count_files(
    c: &Connection,
    chosen: &Chosen,
    statuses: &mut BTreeMap<i64, DeliveryStatus>,
) -> Result<(), ArchiveFault> {
    let mut select = c.prepare(&format!(
        "SELECT delivery_id, kind, state, count(*), sum(bytes), sum(hdus) FROM file WHERE {} GROUP BY 1, 2, 3",
        chosen.condition("delivery_id")
    ))?;
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
    chosen: &Chosen,
    statuses: &mut BTreeMap<i64, DeliveryStatus>,
) -> Result<(), ArchiveFault> {
    type Field = fn(&mut DeliveryStatus) -> &mut u64;
    let (of_file, of_delivery) =
        (chosen.condition("file.delivery_id"), chosen.condition("delivery_id"));
    let of_finding = chosen.condition("finding.delivery_id");
    let counts: [(String, Field); 7] = [
        (
            format!(
                "SELECT file.delivery_id, count(*) FROM file JOIN image ON image.file_id = file.file_id
                     JOIN multiframe ON multiframe.multiframe_id = image.multiframe_id WHERE {of_file} GROUP BY 1"
            ),
            |s| &mut s.multiframes,
        ),
        (
            format!(
                "SELECT file.delivery_id, count(*) FROM file JOIN image ON image.file_id = file.file_id
                     JOIN preview ON preview.multiframe_id = image.multiframe_id WHERE {of_file} GROUP BY 1"
            ),
            |s| &mut s.previews,
        ),
        (
            format!(
                "SELECT file.delivery_id, sum(detector_rows.rows) FROM file JOIN image ON image.file_id = file.file_id
                     JOIN detector_rows ON detector_rows.multiframe_id = image.multiframe_id
                 WHERE {of_file} AND end_event IS NULL GROUP BY 1"
            ),
            |s| &mut s.detections,
        ),
        (
            format!(
                "SELECT delivery_id, count(*) FROM refusal
                 WHERE {of_delivery} AND state = 'open' AND parked = 0 GROUP BY 1"
            ),
            |s| &mut s.open_refusals,
        ),
        (
            format!(
                "SELECT delivery_id, count(*) FROM refusal
                 WHERE {of_delivery} AND state = 'open' AND parked = 1 GROUP BY 1"
            ),
            |s| &mut s.parked_refusals,
        ),
        (
            format!(
                "SELECT delivery_id, count(*) FROM (
                     SELECT DISTINCT finding.delivery_id, stage, code, subject
                     FROM finding LEFT JOIN unit ON unit.delivery_id = finding.delivery_id
                         AND unit.use_case = finding.stage AND unit.round = finding.round
                     WHERE (unit.state IS NULL OR unit.state <> 'retracted') AND {of_finding}) AS kind GROUP BY 1"
            ),
            |s| &mut s.findings,
        ),
        (
            format!("SELECT delivery_id, count(*) FROM skipped WHERE {of_delivery} GROUP BY 1"),
            |s| &mut s.skipped,
        ),
    ];
    for (sql, field) in counts {
        let mut select = c.prepare(&sql)?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            if let Some(status) = statuses.get_mut(&row.get(0)?) {
                *field(status) = row.get(1)?;
            }
        }
    }
    // For a single delivery, the query does not read the rows of the others.
    let only = match statuses.len() {
        1 => statuses.values().next().map(|status| status.name.clone()),
        _ => None,
    };
    for kind in aside::findings(c, only.as_deref())? {
        if let Some(status) = statuses.values_mut().find(|s| s.name == kind.delivery) {
            status.findings += 1;
        }
    }
    Ok(())
}

fn rounds(
    c: &Connection,
    chosen: &Chosen,
    statuses: &mut BTreeMap<i64, DeliveryStatus>,
) -> Result<(), ArchiveFault> {
    let pauses: Vec<Standing> = instructions::instructions(c)?
        .into_iter()
        .filter(|s| s.instruction == Instruction::Pause)
        .collect();
    let mut select = c.prepare(&format!(
        "SELECT use_case, round, unit.state,
             (SELECT count(*) FROM task WHERE task.unit_id = unit.unit_id),
             (SELECT count(*) FROM task WHERE task.unit_id = unit.unit_id AND task.state <> 'open'),
             unit_history.why, unit_history.changed, unit.delivery_id
         FROM unit JOIN unit_history USING (unit_id)
         WHERE {}
             AND number = (SELECT max(number) FROM unit_history AS h WHERE h.unit_id = unit.unit_id)
         ORDER BY unit_id",
        chosen.condition("unit.delivery_id")
    ))?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let Some(delivery) = statuses.get_mut(&row.get(7)?) else { continue };
        let (use_case, state): (UseCase, String) = (parsed(&row, 0)?, row.get(2)?);
        let is_open = !matches!(state.as_str(), "ingested" | "failed" | "retracted" | "staged");
        let covers =
            |s: &&Standing| is_open && s.subject.covers(&delivery.name, delivery.night, use_case);
        let paused = pauses.iter().find(covers).map(ToString::to_string);
        delivery.rounds.push(RoundStatus {
            use_case: use_case.to_string(),
            round: row.get(1)?,
            state,
            tasks: row.get(3)?,
            tasks_over: row.get(4)?,
            why: row.get(5)?,
            since: row.get(6)?,
            paused,
        });
    }
    Ok(())
}

/// Implements [`crate::Inquiry::findings`].
pub(crate) fn findings(c: &Connection, delivery: Option<&str>) -> Result<Vec<Drift>, ArchiveFault> {
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
    let mut findings: Vec<Drift> = rows.collect::<Result<_, _>>()?;
    findings.extend(aside::findings(c, delivery)?);
    Ok(findings)
}
