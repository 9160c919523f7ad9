//! Queries of `status`.

use crate::Reader;
use crate::deliveries::DeliveryState;
use crate::error::{ArchiveError, ArchiveFault};
use crate::findings::IS_REPORTED;
use crate::planning::{Instruction, Standing, instructions, open_work};
use crate::products::supersession;
use crate::rounds::parsed;
use crate::status::{
    DeliveryStatus, PauseStatus, ProgrammeStatus, Rate, RoundStatus, Status, StatusFilter,
};
use crate::time::time_in;
use engine::{Connection, Optional};
use model::{DeliveryName, HostName, Night, UnitState, UseCase};
use std::collections::BTreeMap;

/// Maximum number of results from which rates are computed.
const MAX_RESULTS: u32 = 1000;

impl Reader {
    /// Returns everything that `status` shows.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn status(&self) -> Result<Status, ArchiveError> {
        self.status_of(&StatusFilter::default())
    }

    /// Returns the same, with only the selected deliveries in its list. Counts refer to the whole archive.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn status_of(&self, filter: &StatusFilter) -> Result<Status, ArchiveError> {
        self.read("report the status", |c| status(c, filter))
    }

    /// Returns the throughput of recent tasks, by use case and host.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn rates(&self) -> Result<Vec<Rate>, ArchiveError> {
        self.read("list rates", rates)
    }

    /// Lists some files whose names begin with a text, the latest first: delivery and file.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn files_like(&self, begin: &str) -> Result<Vec<(DeliveryName, String)>, ArchiveError> {
        self.read("look up names", |c| files_like(c, begin))
    }
}

/// Implements [`crate::Reader::files_like`].
pub(crate) fn files_like(
    c: &Connection,
    begin: &str,
) -> Result<Vec<(DeliveryName, String)>, ArchiveFault> {
    // The upper end of the range is above every name with that beginning; other names are filtered below.
    let mut select = c.prepare_cached(
        "SELECT delivery.name, file.name FROM file JOIN delivery USING (delivery_id)
         WHERE file.name >= ?1 AND file.name <= ?2 AND file.state = 'current' ORDER BY file.file_id DESC LIMIT 100",
    )?;
    let rows = select.query_map([begin.to_owned(), format!("{begin}\u{10ffff}")], |r| {
        Ok((r.name(0)?, r.get(1)?))
    })?;
    let mut names: Vec<(DeliveryName, String)> = rows.collect::<Result<_, _>>()?;
    names.retain(|(_, name)| name.starts_with(begin));
    Ok(names)
}

/// Returns the internal number of a delivery, if there is one of that name.
pub(crate) fn known_id(
    c: &Connection,
    delivery: &DeliveryName,
) -> Result<Option<i64>, ArchiveFault> {
    let mut select = c.prepare_cached("SELECT delivery_id FROM delivery WHERE name = ?1")?;
    Ok(select.query_row([delivery.as_str()], |r| r.get(0)).optional()?)
}

/// Implements [`crate::Reader::status`].
pub(crate) fn status(c: &Connection, filter: &StatusFilter) -> Result<Status, ArchiveFault> {
    let count =
        |sql: &str| -> Result<u64, ArchiveFault> { Ok(c.query_row(sql, [], |r| r.get(0))?) };
    let mut states = c.prepare_cached("SELECT state, count(*) FROM delivery GROUP BY state")?;
    let states = states.query_map([], |r| Ok((r.parsed(0)?, r.get::<u64>(1)?)))?;
    let paused = instructions::instructions(c)?.into_iter().filter(Standing::is_stop);
    Ok(Status {
        deliveries: delivery_statuses(c, &chosen(c, filter)?)?,
        programmes: programme_statuses(c)?,
        events: c.query_row("SELECT coalesce(max(event_id), 0) FROM event", [], |r| r.get(0))?,
        running_attempts: count("SELECT count(*) FROM attempt WHERE state = 'running'")?,
        open_refusals: count("SELECT count(*) FROM refusal WHERE state = 'open' AND parked = 0")?,
        parked_refusals: count("SELECT count(*) FROM refusal WHERE state = 'open' AND parked = 1")?,
        unsound_files: count("SELECT count(*) FROM scrub WHERE outcome <> 'intact'")?,
        findings: count(&format!(
            "SELECT count(*) FROM (SELECT DISTINCT delivery_id, stage, code, subject FROM finding
                                       WHERE {IS_REPORTED}) AS kind"
        ))?,
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
        since: standing.since,
        who: standing.cause.who,
        why: standing.cause.why,
        target: standing.subject.target(),
    }
}

/// The deliveries that a status lists.
pub(crate) enum Chosen {
    All,
    /// Internal numbers.
    Some(Vec<i64>),
}

impl Chosen {
    /// Returns a condition on a column.
    pub(crate) fn condition(&self, column: &str) -> String {
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
    let rows = select.query_map([filter.state.map(DeliveryState::name)], |r| {
        Ok((r.get(0)?, r.name(1)?, r.get::<Option<i32>>(2)?.and_then(Night::new)))
    })?;
    let rows: Vec<(i64, DeliveryName, Option<Night>)> = rows.collect::<Result<_, _>>()?;
    let is_wanted = |(_, name, night): &&(i64, DeliveryName, Option<Night>)| {
        let is_all = filter.deliveries.is_empty() && filter.nights.is_empty();
        is_all
            || filter.deliveries.contains(name)
            || night.is_some_and(|night| filter.nights.contains(&night))
    };
    let at_most = filter.at_most.map_or(usize::MAX, |n| n as usize);
    Ok(Chosen::Some(rows.iter().filter(is_wanted).take(at_most).map(|(id, ..)| *id).collect()))
}

/// Implements [`crate::Reader::rates`].
pub(crate) fn rates(c: &Connection) -> Result<Vec<Rate>, ArchiveFault> {
    let mut rates: BTreeMap<(UseCase, HostName), Rate> = BTreeMap::new();
    for took in open_work::recent_results(c, MAX_RESULTS)? {
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
        "SELECT programme_id, name, coalesce(last_id, 0),
             (SELECT coalesce(sum(rows), 0) FROM detector_rows
              WHERE detector_rows.programme_id = programme.programme_id AND end_event IS NULL)
         FROM programme LEFT JOIN (SELECT programme_id, last_id FROM id_counter WHERE lake_table = 'detection') AS counter
             USING (programme_id) ORDER BY programme_id",
    )?;
    let rows = select.query_map([], |r| {
        Ok(ProgrammeStatus {
            programme_id: r.id(0)?,
            name: r.name(1)?,
            last_obj_id: if r.get::<i64>(2)? == 0 { None } else { Some(r.id(2)?) },
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
            name: r.name(1)?,
            night: r.get::<Option<i32>>(2)?.and_then(Night::new),
            state: r.parsed(3)?,
            awaited: r.get(4)?,
            last_arrival: time_in(r, 5)?,
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
        "SELECT delivery_id, kind, state, count(*), sum(bytes), sum(hdus),
             count(CASE WHEN kind = 'image' THEN (SELECT min(version) FROM catalogue WHERE catalogue.file_id = file.file_id) END)
         FROM file WHERE {} GROUP BY 1, 2, 3",
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
        // A catalogue in an image file is one too.
        status.catalogues += row.get::<u64>(6)?;
        match kind.as_str() {
            "image" => (status.images, status.detectors) = (files, hdus),
            "catalogue" => status.catalogues += files,
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
    for (sql, field) in counts(chosen) {
        let mut select = c.prepare(&sql)?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            if let Some(status) = statuses.get_mut(&row.get(0)?) {
                *field(status) = row.get(1)?;
            }
        }
    }
    count_kept(c, statuses)
}

/// A number in the status of a delivery.
type Field = fn(&mut DeliveryStatus) -> &mut u64;

/// Returns the query of each number, which returns deliveries with their numbers, and its field.
fn counts(chosen: &Chosen) -> [(String, Field); 7] {
    let (of_file, of_delivery) =
        (chosen.condition("file.delivery_id"), chosen.condition("delivery_id"));
    let of_finding = chosen.condition("finding.delivery_id");
    [
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
                     WHERE (unit.state IS NULL OR unit.state <> 'retracted') AND {IS_REPORTED}
                         AND {of_finding}) AS kind GROUP BY 1"
            ),
            |s| &mut s.findings,
        ),
        (
            format!("SELECT delivery_id, count(*) FROM skipped WHERE {of_delivery} GROUP BY 1"),
            |s| &mut s.skipped,
        ),
    ]
}

/// Adds the kept products of each delivery to its findings.
fn count_kept(
    c: &Connection,
    statuses: &mut BTreeMap<i64, DeliveryStatus>,
) -> Result<(), ArchiveFault> {
    // For a single delivery, the query does not read the products of the others. For several, one query for all is cheaper than
    // one for each.
    let only = match statuses.len() {
        1 => statuses.values().next().map(|status| status.name.clone()),
        _ => None,
    };
    let mut of_delivery: BTreeMap<DeliveryName, u64> = BTreeMap::new();
    for kind in supersession::findings(c, only.as_ref())? {
        *of_delivery.entry(kind.delivery).or_default() += 1;
    }
    for status in statuses.values_mut() {
        status.findings += of_delivery.remove(&status.name).unwrap_or(0);
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
        let (use_case, state): (UseCase, UnitState) = (parsed(&row, 0)?, row.parsed(2)?);
        use UnitState::{Failed, Ingested, Retracted, Staged};
        let is_open = !matches!(state, Ingested | Failed | Retracted | Staged);
        let covers =
            |s: &&Standing| is_open && s.subject.covers(&delivery.name, delivery.night, use_case);
        let paused = pauses.iter().find(covers).map(ToString::to_string);
        delivery.rounds.push(RoundStatus {
            use_case: use_case.to_string(),
            round: row.id(1)?,
            state,
            tasks: row.get(3)?,
            tasks_over: row.get(4)?,
            why: row.get(5)?,
            since: time_in(&row, 6)?,
            paused,
        });
    }
    Ok(())
}
