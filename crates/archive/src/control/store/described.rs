//! Metadata that follow detections: what a frame says of its catalogue comes from the version of the catalogue that its
//! detections come from, so a reader never joins the detections of one version with the zero points of another.
//!
//! A metadata round is made for every new version of a catalogue, before the catalogue itself. Every row of `multiframe` and
//! `multiframe_detector` names the version with which it was read (`cat_version`). Where the detections that are published come
//! from another version, the rows of the round are stored in an event of their own, in which they begin and end, and the earlier
//! ones stay ([`HeldBack`]). An act that publishes detections, or brings them back, copies the rows that describe them into its event
//! ([`follow`]).

use super::products::{self, UPDATED_AT_ONCE};
use crate::engine::Connection;
use crate::error::ArchiveFault;
use crate::metadata::definition::{quoted, versioned};
use model::{EventId, UseCase};
use std::collections::{BTreeMap, BTreeSet};

/// Tables with a row per detector that has values of its catalogue. All others describe the frame as a whole.
const OF_DETECTOR: [&str; 2] = ["multiframe_detector_all", "astrometry_all"];

/// Versions of the published detections of images with published metadata, by image and detector.
type Versions = BTreeMap<i64, BTreeMap<i64, i64>>;

/// Loads the versions of the detections of some images; `of` is a query for them in which `?1` is `id`.
fn versions(tx: &Connection, (id, of): (i64, &str)) -> Result<Versions, ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT held.multiframe_id, held.ext_num, held.version
         FROM product_detector AS held JOIN product AS described ON described.multiframe_id = held.multiframe_id
             AND described.use_case = 'metadata' AND described.state <> 'retracted'
         WHERE held.state <> 'retracted' AND held.version > 0 AND held.multiframe_id IN ({of})"
    ))?;
    let rows = select.query_map([id], |r| Ok([r.get(0)?, r.get(1)?, r.get::<i64>(2)?]))?;
    let mut found = Versions::new();
    for row in rows {
        let [multiframe, ext_num, version] = row?;
        found.entry(multiframe).or_default().insert(ext_num, version);
    }
    Ok(found)
}

/// Frames and detectors whose metadata a round is not to change.
#[derive(Debug, Default)]
pub(super) struct HeldBack {
    /// Frames that keep all their metadata.
    frames: Vec<i64>,
    /// Detectors that keep theirs, of frames that do not.
    detectors: BTreeMap<i64, Vec<i64>>,
}

impl HeldBack {
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.detectors.is_empty()
    }

    /// Finds the frames and detectors of a round whose published detections come from another version of the catalogue than the
    /// round has read. `done` is a query for the images of the round `unit` that were done, in which `?1` is the round.
    pub(super) fn of_round(
        tx: &Connection,
        (unit, done): (i64, &str),
    ) -> Result<Self, ArchiveFault> {
        let mut held = Self::default();
        let published = versions(tx, (unit, done))?;
        if published.is_empty() {
            return Ok(held);
        }
        let mut select = tx.prepare_cached(
            "SELECT multiframe_id, catalogue_version FROM task JOIN task_input USING (task_id)
             WHERE unit_id = ?1 AND outcome = 'done'",
        )?;
        let rows = select.query_map([unit], |r| Ok((r.get(0)?, r.get(1)?)))?;
        let read: BTreeMap<i64, Option<i64>> = rows.collect::<Result<_, _>>()?;
        let mut is_current = tx.prepare_cached(
            "SELECT EXISTS (SELECT * FROM product
                            WHERE multiframe_id = ?1 AND use_case = 'metadata' AND state = 'current')",
        )?;
        for (multiframe, detectors) in published {
            let Some(&read) = read.get(&multiframe) else { continue };
            let others: Vec<i64> =
                detectors.iter().filter(|(_, v)| Some(**v) != read).map(|(ext, _)| *ext).collect();
            if others.is_empty() {
                continue;
            }
            // The rows of a superseded frame end and open together.
            if detectors.values().max().copied() != read
                || !is_current.query_row([multiframe], |r| r.get::<bool>(0))?
            {
                held.frames.push(multiframe);
            } else {
                held.detectors.insert(multiframe, others);
            }
        }
        Ok(held)
    }

    /// Moves the rows that a metadata round has just begun in `event` to the event `stored`, in which they begin and end, and opens
    /// the earlier ones, which the round ended. Returns the rows moved, per table.
    ///
    /// The two events differ: a row that stays may begin in `event` with another link.
    pub(super) fn keep(
        &self,
        tx: &Connection,
        stored: EventId,
        event: EventId,
    ) -> Result<BTreeMap<String, u64>, ArchiveFault> {
        let mut moved = BTreeMap::new();
        for some in self.frames.chunks(UPDATED_AT_ONCE) {
            keep(tx, (some, &[]), (stored, event), &mut moved)?;
        }
        for (multiframe, ext_nums) in &self.detectors {
            keep(tx, (&[*multiframe], ext_nums), (stored, event), &mut moved)?;
        }
        Ok(moved)
    }
}

/// Keeps the rows of some frames, or of some detectors of them; see [`HeldBack::keep`].
fn keep(
    tx: &Connection,
    (multiframes, ext_nums): (&[i64], &[i64]),
    (stored, event): (EventId, EventId),
    moved: &mut BTreeMap<String, u64>,
) -> Result<(), ArchiveFault> {
    let of_frames = format!("multiframe_id IN ({})", list(multiframes));
    let (is_mine, is_whole) = match ext_nums {
        [] => (of_frames, true),
        _ => (format!("{of_frames} AND ext_num IN ({})", list(ext_nums)), false),
    };
    for table in versioned().filter(|t| t.name != "preview") {
        let all = format!("{}_all", table.name);
        if !is_whole && !OF_DETECTOR.contains(&all.as_str()) {
            continue;
        }
        let name = quoted(&all);
        let rows = tx.execute(
            &format!(
                "UPDATE {name} SET begin_event = ?2, end_event = ?2
                 WHERE {is_mine} AND begin_event = ?1 AND end_event IS NULL"
            ),
            [event.get(), stored.get()],
        )?;
        *moved.entry(table.name.clone()).or_default() += rows as u64;
        tx.execute(
            &format!(
                "UPDATE {name} SET end_event = NULL WHERE {is_mine} AND begin_event < ?1 AND end_event = ?1"
            ),
            [event.get()],
        )?;
    }
    Ok(())
}

fn list(numbers: &[i64]) -> String {
    numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}

/// The metadata that are published of a frame.
#[derive(Debug)]
struct Described {
    /// The event that ended them; `None` while they are current.
    ended: Option<i64>,
    /// Version of the catalogue with which they were read.
    version: Option<i64>,
    /// The same of each detector.
    detectors: BTreeMap<i64, Option<i64>>,
}

/// Loads what is published of some images; `of` is a query for them in which `?1` is `id`.
fn described(
    tx: &Connection,
    (id, of): (i64, &str),
) -> Result<BTreeMap<i64, Described>, ArchiveFault> {
    let published = |table: &str, columns: &str| {
        format!(
            "SELECT held.multiframe_id, product.ended_event, {columns}
             FROM {table} AS held JOIN product ON product.multiframe_id = held.multiframe_id
                 AND product.use_case = 'metadata' AND product.state <> 'retracted'
             WHERE held.end_event IS NOT DISTINCT FROM product.ended_event AND held.multiframe_id IN ({of})"
        )
    };
    let mut frames = BTreeMap::new();
    let mut select = tx.prepare_cached(&published("multiframe_all", "held.cat_version"))?;
    let mut rows = select.query([id])?;
    while let Some(row) = rows.next()? {
        let (ended, version) = (row.get(1)?, row.get(2)?);
        frames.insert(row.get(0)?, Described { ended, version, detectors: BTreeMap::new() });
    }
    let columns = "held.ext_num, held.cat_version";
    let mut select = tx.prepare_cached(&published("multiframe_detector_all", columns))?;
    let mut rows = select.query([id])?;
    while let Some(row) = rows.next()? {
        if let Some(frame) = frames.get_mut(&row.get::<i64>(0)?) {
            frame.detectors.insert(row.get(2)?, row.get(3)?);
        }
    }
    Ok(frames)
}

/// Parts of a frame whose rows of an earlier event are to be published.
#[derive(Debug, Default)]
struct Due {
    /// The event of the rows that describe the frame as a whole.
    frame: Option<i64>,
    /// The same of each detector.
    detectors: BTreeMap<i64, i64>,
}

impl Due {
    /// Finds the rows that describe the published detections of a frame, where others are published. A detector without detections
    /// goes with its frame.
    fn of(
        tx: &Connection,
        multiframe: i64,
        shown: &Described,
        detections: &BTreeMap<i64, i64>,
    ) -> Result<Self, ArchiveFault> {
        let mut due = Self::default();
        let Some(&newest) = detections.values().max() else { return Ok(due) };
        if shown.version != Some(newest) {
            due.frame = tx
                .prepare_cached(
                    "SELECT max(begin_event) FROM multiframe_all WHERE multiframe_id = ?1 AND cat_version = ?2",
                )?
                .query_row([multiframe, newest], |r| r.get(0))?;
        }
        for (&ext_num, &version) in &shown.detectors {
            let wanted = *detections.get(&ext_num).unwrap_or(&newest);
            if version == Some(wanted) {
                continue;
            }
            let stored: Option<i64> = tx
                .prepare_cached(
                    "SELECT max(begin_event) FROM multiframe_detector_all
                     WHERE multiframe_id = ?1 AND ext_num = ?2 AND cat_version = ?3",
                )?
                .query_row([multiframe, ext_num, wanted], |r| r.get(0))?;
            if let Some(stored) = stored {
                due.detectors.insert(ext_num, stored);
            }
        }
        Ok(due)
    }

    fn is_empty(&self) -> bool {
        self.frame.is_none() && self.detectors.is_empty()
    }

    /// The event of the rows, when all rows of a frame are due and are of one event.
    fn whole(&self, shown: &Described) -> Option<i64> {
        let is_all = self.detectors.len() == shown.detectors.len();
        self.frame.filter(|event| is_all && self.detectors.values().all(|stored| stored == event))
    }
}

/// Publishes, in an event, the metadata that describe the detections of a round's images which are published now. `of_round` is a
/// query for the images in which `?1` is the round. Returns the rows per table.
pub(super) fn follow(
    tx: &Connection,
    (unit, of_round): (i64, &str),
    event: EventId,
) -> Result<BTreeMap<String, u64>, ArchiveFault> {
    let mut rows = BTreeMap::new();
    let published = versions(tx, (unit, of_round))?;
    let described = described(tx, (unit, of_round))?;
    let mut whole: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    let mut changed = BTreeSet::new();
    for (multiframe, detections) in published {
        let Some(shown) = described.get(&multiframe) else { continue };
        let due = Due::of(tx, multiframe, shown, &detections)?;
        if due.is_empty() {
            continue;
        }
        changed.insert(multiframe);
        match due.whole(shown) {
            Some(stored) => whole.entry(stored).or_default().push(multiframe),
            None => begin_parts(tx, multiframe, shown.ended, &due, event, &mut rows)?,
        }
    }
    for (stored, multiframes) in whole {
        for some in multiframes.chunks(UPDATED_AT_ONCE) {
            begin_again(tx, some, stored, event, &mut rows)?;
        }
    }
    products::publish(tx, changed.into_iter(), UseCase::Metadata, event)?;
    Ok(rows)
}

/// Ends the current rows of a table of some frames.
fn end(tx: &Connection, name: &str, frames: &str, event: EventId) -> Result<(), ArchiveFault> {
    tx.execute(
        &format!(
            "UPDATE {name} SET end_event = ?1 WHERE multiframe_id IN ({frames}) AND end_event IS NULL"
        ),
        [event.get()],
    )?;
    Ok(())
}

/// Begins the rows that an earlier event stored of some frames again.
fn begin_again(
    tx: &Connection,
    multiframes: &[i64],
    stored: i64,
    event: EventId,
    rows: &mut BTreeMap<String, u64>,
) -> Result<(), ArchiveFault> {
    let frames = list(multiframes);
    for table in versioned().filter(|t| t.name != "preview") {
        let name = quoted(&format!("{}_all", table.name));
        end(tx, &name, &frames, event)?;
        let columns: Vec<String> = table.columns.iter().map(|c| quoted(&c.name)).collect();
        let columns = columns.join(", ");
        let count = tx.execute(
            &format!(
                "INSERT INTO {name} ({columns}, begin_event) SELECT {columns}, CAST(?1 AS BIGINT) FROM {name}
                 WHERE multiframe_id IN ({frames}) AND begin_event = ?2"
            ),
            [event.get(), stored],
        )?;
        *rows.entry(table.name.clone()).or_default() += count as u64;
    }
    Ok(())
}

/// Begins all metadata of a frame again: the parts that are due as they were stored, the others as they are.
fn begin_parts(
    tx: &Connection,
    multiframe: i64,
    ended: Option<i64>,
    due: &Due,
    event: EventId,
    rows: &mut BTreeMap<String, u64>,
) -> Result<(), ArchiveFault> {
    let shown = ended.unwrap_or(event.get());
    for table in versioned().filter(|t| t.name != "preview") {
        let all = format!("{}_all", table.name);
        let name = quoted(&all);
        end(tx, &name, &multiframe.to_string(), event)?;
        let columns: Vec<String> = table.columns.iter().map(|c| quoted(&c.name)).collect();
        let columns = columns.join(", ");
        let copy = |condition: &str| {
            format!(
                "INSERT INTO {name} ({columns}, begin_event) SELECT {columns}, CAST(?2 AS BIGINT) FROM {name}
                 WHERE multiframe_id = ?1 AND {condition}"
            )
        };
        let is_shown = "end_event = ?3 AND begin_event < ?2";
        let mut count = 0;
        if OF_DETECTOR.contains(&all.as_str()) {
            let numbers: Vec<i64> = due.detectors.keys().copied().collect();
            let others = match numbers.as_slice() {
                [] => is_shown.to_owned(),
                some => format!("{is_shown} AND ext_num NOT IN ({})", list(some)),
            };
            count += tx.execute(&copy(&others), [multiframe, event.get(), shown])?;
            let mut one = tx.prepare_cached(&copy("begin_event = ?3 AND ext_num = ?4"))?;
            for (&ext_num, &stored) in &due.detectors {
                count += one.execute([multiframe, event.get(), stored, ext_num])?;
            }
        } else {
            let (condition, of) = match due.frame {
                Some(stored) => ("begin_event = ?3", stored),
                None => (is_shown, shown),
            };
            let mut all = tx.prepare_cached(&copy(condition))?;
            count += all.execute([multiframe, event.get(), of])?;
        }
        *rows.entry(table.name.clone()).or_default() += count as u64;
    }
    Ok(())
}

/// Names the version of the catalogue in the rows of detectors of an archive that is older than the column: that of their frame.
pub(super) fn adopt(tx: &Connection) -> Result<(), ArchiveFault> {
    tx.execute_batch(
        "UPDATE multiframe_detector_all SET cat_version = (
             SELECT frame.cat_version FROM multiframe_all AS frame
             WHERE frame.multiframe_id = multiframe_detector_all.multiframe_id
                 AND frame.begin_event = multiframe_detector_all.begin_event)
         WHERE cat_version IS NULL",
    )?;
    Ok(())
}
