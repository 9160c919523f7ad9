//! Metadata that follow detections: the catalogue values of a frame's metadata come from the catalogue version of its published
//! detections, so a reader never joins the detections of one version with the zero points of another. The frame's own values come
//! from its newest metadata.
//!
//! A metadata round is run for every new version of a catalogue, before the catalogue itself. Every row of `multiframe` and
//! `multiframe_detector` names the version with which the row was read (`cat_version`). Where the published detections come from
//! another version, a copy of the round's rows is stored in an event of its own, in which the copy begins and ends, and the
//! published rows take the catalogue's values from the earlier rows ([`withhold`]). An act that publishes or restores detections
//! begins the metadata rows again with the values of the detections' version ([`follow`]).

use crate::error::ArchiveFault;
use crate::metadata::definition::versioned;
use crate::product_names;
use crate::products::{self, UPDATED_AT_ONCE, detectors, is_latest_to_end};
use engine::Connection;
use engine::quoted;
use model::tables::{Column, Table};
use model::{EventId, MultiframeId, UseCase};
use std::collections::{BTreeMap, BTreeSet};

/// The number of a round or a delivery, and a query for images in which `?1` is that number.
type Images<'a> = (i64, &'a str);

/// Versions of the published detections of images with published metadata, by image and detector.
type Versions = BTreeMap<i64, BTreeMap<i64, i64>>;

/// Rows that begin in an event, per table.
pub(crate) type Counts = BTreeMap<String, u64>;

/// Loads the versions of the detections of some images.
fn versions(tx: &Connection, (id, of): Images<'_>) -> Result<Versions, ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT held.multiframe_id, held.ext_num, held.version
         FROM product_detector AS held JOIN product AS described ON described.multiframe_id = held.multiframe_id
             AND described.use_case IN ({}) AND described.state <> 'retracted'
         WHERE held.state <> 'retracted' AND held.version > 0 AND held.multiframe_id IN ({of})",
        product_names::describing()
    ))?;
    let rows = select.query_map([id], |r| Ok([r.get(0)?, r.get(1)?, r.get::<i64>(2)?]))?;
    let mut found = Versions::new();
    for row in rows {
        let [multiframe, ext_num, version] = row?;
        found.entry(multiframe).or_default().insert(ext_num, version);
    }
    Ok(found)
}

/// Returns true when the published rows of all frames of some images were read with the newest version of the images' published
/// detections.
pub(crate) fn frames_agree(tx: &Connection, (id, of): Images<'_>) -> Result<bool, ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT NOT EXISTS (
             SELECT * FROM product AS described JOIN multiframe_all AS held ON held.multiframe_id = described.multiframe_id
                 AND held.end_event IS NOT DISTINCT FROM described.ended_event
             WHERE described.use_case = 'metadata' AND described.state <> 'retracted'
                 AND described.multiframe_id IN ({of}) AND held.cat_version IS DISTINCT FROM (
                     SELECT max(version) FROM product_detector AS detections
                     WHERE detections.multiframe_id = described.multiframe_id AND state <> 'retracted' AND version > 0))"
    ))?;
    Ok(select.query_row([id], |r| r.get(0))?)
}

/// The published metadata of a frame.
#[derive(Debug)]
struct Described {
    /// Version of the catalogue with which they were read.
    version: Option<i64>,
    /// Version of the catalogue with which each detector's metadata were read.
    detectors: BTreeMap<i64, Option<i64>>,
}

/// Loads the published metadata of some images.
fn described(
    tx: &Connection,
    (id, of): Images<'_>,
) -> Result<BTreeMap<i64, Described>, ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT held.multiframe_id, held.cat_version
         FROM multiframe_all AS held JOIN product ON product.multiframe_id = held.multiframe_id
             AND product.use_case = 'metadata' AND product.state <> 'retracted'
         WHERE held.end_event IS NOT DISTINCT FROM product.ended_event AND held.multiframe_id IN ({of})
         ORDER BY held.begin_event"
    ))?;
    let mut frames = BTreeMap::new();
    let mut rows = select.query([id])?;
    while let Some(row) = rows.next()? {
        let shown = Described { version: row.get(1)?, detectors: BTreeMap::new() };
        frames.insert(row.get(0)?, shown);
    }
    for (key, detector) in detectors::described(tx, of, id)? {
        if let Some(frame) = frames.get_mut(&key.multiframe_id) {
            frame.detectors.insert(key.ext_num, detector.version);
        }
    }
    Ok(frames)
}

/// Returns true when the published detections of a round's images come from another version of their catalogue than the round has
/// read. `done` is a query for the images of the round that were done, in which `?1` is the round.
pub(crate) fn reads_another_version(
    tx: &Connection,
    (unit, done): Images<'_>,
) -> Result<bool, ArchiveFault> {
    let published = versions(tx, (unit, done))?;
    let mut select = tx.prepare_cached(
        "SELECT multiframe_id, catalogue_version FROM task JOIN task_input USING (task_id)
         WHERE unit_id = ?1 AND outcome = 'done'",
    )?;
    let mut rows = select.query([unit])?;
    while let Some(row) = rows.next()? {
        let read: Option<i64> = row.get(1)?;
        let detections = published.get(&row.get::<i64>(0)?);
        if detections.is_some_and(|of| of.values().any(|version| Some(*version) != read)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Stored rows whose catalogue values are to be published in place of the current ones.
#[derive(Debug, Default)]
struct Due {
    /// Frames by the event of their stored rows.
    frames: BTreeMap<i64, Vec<i64>>,
    /// Frames by the event of their detectors' stored rows and the extension numbers of those detectors.
    detectors: BTreeMap<(i64, Vec<i64>), Vec<i64>>,
}

impl Due {
    /// Finds the stored rows of some images. A detector without detections takes the version of its frame.
    fn of(tx: &Connection, images: Images<'_>) -> Result<Self, ArchiveFault> {
        let mut due = Self::default();
        let published = versions(tx, images)?;
        let shown = described(tx, images)?;
        let mut frames = Vec::new();
        let mut detectors = Vec::new();
        for (multiframe, detections) in &published {
            let Some(shown) = shown.get(multiframe) else { continue };
            let Some(&newest) = detections.values().max() else { continue };
            if shown.version != Some(newest) {
                frames.push((*multiframe, newest));
            }
            for (&ext_num, &version) in &shown.detectors {
                let wanted = *detections.get(&ext_num).unwrap_or(&newest);
                if version != Some(wanted) {
                    detectors.push((*multiframe, ext_num, wanted));
                }
            }
        }
        if !frames.is_empty() {
            let stored = stored(tx, images, ("multiframe_all", "0"))?;
            for (multiframe, version) in frames {
                if let Some(event) = stored.get(&(multiframe, 0, version)) {
                    due.frames.entry(*event).or_default().push(multiframe);
                }
            }
        }
        if !detectors.is_empty() {
            let stored = stored(tx, images, ("multiframe_detector_all", "ext_num"))?;
            let mut of_frame: BTreeMap<(i64, i64), Vec<i64>> = BTreeMap::new();
            for (multiframe, ext_num, version) in detectors {
                if let Some(event) = stored.get(&(multiframe, ext_num, version)) {
                    of_frame.entry((*event, multiframe)).or_default().push(ext_num);
                }
            }
            for ((event, multiframe), ext_nums) in of_frame {
                due.detectors.entry((event, ext_nums)).or_default().push(multiframe);
            }
        }
        Ok(due)
    }

    fn frames(&self) -> BTreeSet<i64> {
        self.frames.values().chain(self.detectors.values()).flatten().copied().collect()
    }

    /// Lists the parts of frames. Each part has the event of the stored rows, and a condition that selects its rows in a table
    /// with a row per frame or per detector.
    fn parts(&self) -> impl Iterator<Item = Part> {
        let frames = self.frames.iter().flat_map(|(event, all)| {
            all.chunks(UPDATED_AT_ONCE).map(|some| Part {
                stored: *event,
                is_mine: format!("held.multiframe_id IN ({})", list(some)),
                of_detectors: false,
            })
        });
        let detectors = self.detectors.iter().flat_map(|((event, ext_nums), all)| {
            all.chunks(UPDATED_AT_ONCE).map(|some| Part {
                stored: *event,
                is_mine: format!(
                    "held.multiframe_id IN ({}) AND held.ext_num IN ({})",
                    list(some),
                    list(ext_nums)
                ),
                of_detectors: true,
            })
        });
        frames.chain(detectors)
    }
}

/// Some frames, or some detectors of frames.
struct Part {
    /// The event in which the stored rows begin whose values are to be published.
    stored: i64,
    /// The condition for rows of `held`.
    is_mine: String,
    of_detectors: bool,
}

impl Part {
    /// Lists the tables whose rows hold values of catalogues.
    fn tables(&self) -> impl Iterator<Item = &'static Table> {
        let names = match self.of_detectors {
            true => ["multiframe_detector", "astrometry"],
            false => ["multiframe", "header"],
        };
        versioned().filter(move |table| names.contains(&table.name.as_str()))
    }
}

/// Loads the newest event in which a row of some images begins, by image, extension number and version of the catalogue.
fn stored(
    tx: &Connection,
    (id, of): Images<'_>,
    (table, ext_num): (&str, &str),
) -> Result<BTreeMap<(i64, i64, i64), i64>, ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT multiframe_id, {ext_num}, cat_version, max(begin_event) FROM {table}
         WHERE cat_version IS NOT NULL AND multiframe_id IN ({of}) GROUP BY 1, 2, 3"
    ))?;
    let rows = select.query_map([id], |r| Ok(((r.get(0)?, r.get(1)?, r.get(2)?), r.get(3)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn list(numbers: &[i64]) -> String {
    numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}

fn columns(table: &Table) -> String {
    let columns: Vec<String> = table.columns.iter().map(|c| quoted(&c.name)).collect();
    columns.join(", ")
}

/// Withholds the catalogue values of a metadata round, whose rows have just begun in `event`, where the published detections come
/// from another version: a copy of the round's rows begins and ends in the event `stored`, and the rows themselves take the
/// values of the detections' version. Counts in `rows` the rows that begin in `event`.
pub(crate) fn withhold(
    tx: &Connection,
    images: Images<'_>,
    (stored, event): (EventId, EventId),
    rows: &mut Counts,
) -> Result<(), ArchiveFault> {
    let due = Due::of(tx, images)?;
    for part in due.parts() {
        for table in part.tables() {
            let (name, columns) = (quoted(&format!("{}_all", table.name)), columns(table));
            tx.execute(
                &format!(
                    "INSERT INTO {name} ({columns}, begin_event, end_event)
                     SELECT {columns}, CAST(?2 AS BIGINT), CAST(?2 AS BIGINT) FROM {name} AS held
                     WHERE begin_event = ?1 AND {}",
                    part.is_mine
                ),
                [event.get(), stored.get()],
            )?;
        }
    }
    take_values(tx, &due, event, rows)
}

/// Publishes, in an event, the metadata that describe the currently published detections of some images. Returns the rows per
/// table.
pub(crate) fn follow(
    tx: &Connection,
    images: Images<'_>,
    event: EventId,
) -> Result<Counts, ArchiveFault> {
    let due = Due::of(tx, images)?;
    let frames: Vec<i64> = due.frames().into_iter().collect();
    let mut rows = Counts::new();
    for some in frames.chunks(UPDATED_AT_ONCE) {
        begin_again(tx, &list(some), event, &mut rows)?;
    }
    take_values(tx, &due, event, &mut rows)?;
    products::publish(tx, frames.into_iter(), UseCase::Metadata, event)?;
    Ok(rows)
}

/// Ends the published rows of some frames and begins copies of them in `event`.
fn begin_again(
    tx: &Connection,
    frames: &str,
    event: EventId,
    rows: &mut Counts,
) -> Result<(), ArchiveFault> {
    for table in versioned().filter(|t| t.name != "preview") {
        let all = format!("{}_all", table.name);
        let (name, columns) = (quoted(&all), columns(table));
        let is_latest = is_latest_to_end(&all, "held");
        tx.execute(
            &format!(
                "UPDATE {name} SET end_event = ?1 WHERE multiframe_id IN ({frames}) AND end_event IS NULL"
            ),
            [event.get()],
        )?;
        // The rows of a superseded frame end together.
        let count = tx.execute(
            &format!(
                "INSERT INTO {name} ({columns}, begin_event) SELECT {columns}, CAST(?1 AS BIGINT) FROM {name} AS held
                 WHERE multiframe_id IN ({frames}) AND begin_event < ?1 AND {is_latest} AND end_event = coalesce(
                     (SELECT ended_event FROM product
                      WHERE product.multiframe_id = held.multiframe_id AND use_case = 'metadata'), ?1)"
            ),
            [event.get()],
        )?;
        *rows.entry(table.name.clone()).or_default() += count as u64;
    }
    Ok(())
}

/// Copies the due catalogue values to the rows that begin in `event`.
fn take_values(
    tx: &Connection,
    due: &Due,
    event: EventId,
    rows: &mut Counts,
) -> Result<(), ArchiveFault> {
    for part in due.parts() {
        for table in part.tables() {
            match table.name.as_str() {
                "header" => {
                    take_headers(tx, &part, event, rows.entry(table.name.clone()).or_default())?
                }
                // A row of astrometry is copied as a whole, or not at all.
                "astrometry" => {
                    let is_of_catalogue = "AND 'catalogue' IN (held.wcs_source, source.wcs_source)";
                    take(tx, table, |_| true, (&part, is_of_catalogue), event)?;
                    take_pixel_size(tx, &part, event)?;
                }
                _ => take(tx, table, Column::is_of_catalogue, (&part, ""), event)?,
            }
        }
    }
    Ok(())
}

/// Copies values of columns from the stored rows of a part to those that begin in `event`.
fn take(
    tx: &Connection,
    table: &Table,
    is_taken: impl Fn(&Column) -> bool,
    (part, condition): (&Part, &str),
    event: EventId,
) -> Result<(), ArchiveFault> {
    let name = quoted(&format!("{}_all", table.name));
    let taken = table.columns.iter().filter(|c| !table.key.contains(&c.name) && is_taken(c));
    let columns = taken.map(|c| quoted(&c.name)).collect::<Vec<_>>().join(", ");
    let same_key: String =
        table.key.iter().map(|key| format!("source.{0} = held.{0} AND ", quoted(key))).collect();
    let source = format!("FROM {name} AS source WHERE {same_key} source.begin_event = ?2");
    tx.execute(
        &format!(
            "UPDATE {name} AS held SET ({columns}) = (SELECT {columns} {source})
             WHERE held.begin_event = ?1 AND {} AND EXISTS (SELECT * {source} {condition})",
            part.is_mine
        ),
        [event.get(), part.stored],
    )?;
    Ok(())
}

/// Copies the pixel size, which is computed from the astrometry, where the astrometry is the catalogue's.
fn take_pixel_size(tx: &Connection, part: &Part, event: EventId) -> Result<(), ArchiveFault> {
    const IS_OF_CATALOGUE: &str = "AND EXISTS (
        SELECT * FROM astrometry_all AS placed WHERE placed.multiframe_id = held.multiframe_id
            AND placed.ext_num = held.ext_num AND placed.begin_event = ?1 AND placed.wcs_source = 'catalogue')";
    let Some(detector) = model::tables::table("multiframe_detector") else { return Ok(()) };
    take(tx, detector, |column| column.name == "pixel_size", (part, IS_OF_CATALOGUE), event)
}

/// Replaces the catalogue headers of a part that begin in `event` by the stored ones. Updates `rows`, the number of headers that
/// begin in `event`.
fn take_headers(
    tx: &Connection,
    part: &Part,
    event: EventId,
    rows: &mut u64,
) -> Result<(), ArchiveFault> {
    let is_of_catalogue = "held.file_name <> (
        SELECT frame.file_name FROM multiframe_all AS frame
        WHERE frame.multiframe_id = held.multiframe_id AND frame.begin_event = ?1)";
    let deleted = tx.execute(
        &format!(
            "DELETE FROM header_all AS held WHERE begin_event = ?1 AND {} AND {is_of_catalogue}",
            part.is_mine
        ),
        [event.get()],
    )?;
    let header = model::tables::table("header")
        .ok_or_else(|| ArchiveFault::Damaged("there is no definition of headers".to_owned()))?;
    let columns = columns(header);
    // A changed link begins the row of a frame again, but not the frame's headers.
    let inserted = tx.execute(
        &format!(
            "INSERT INTO header_all ({columns}, begin_event) SELECT {columns}, CAST(?1 AS BIGINT) FROM header_all AS held
             WHERE {} AND {is_of_catalogue} AND begin_event = (
                 SELECT max(begin_event) FROM header_all AS newest
                 WHERE newest.multiframe_id = held.multiframe_id AND newest.begin_event <= ?2)",
            part.is_mine
        ),
        [event.get(), part.stored],
    )?;
    *rows = (*rows + inserted as u64).saturating_sub(deleted as u64);
    Ok(())
}

/// A detector whose current metadata and detections come from two versions of its catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Mixed {
    /// The image.
    pub multiframe_id: MultiframeId,
    /// Extension number, primary = 1.
    pub ext_num: i64,
    /// Version of the metadata.
    pub described: Option<i64>,
    /// Version of the detections.
    pub version: i64,
}

/// Lists the detectors whose metadata and detections come from two versions.
pub fn mixed(c: &Connection) -> Result<Vec<Mixed>, ArchiveFault> {
    let mut select = c.prepare(
        "SELECT held.multiframe_id, held.ext_num, held.cat_version, shown.version
         FROM multiframe_detector_all AS held JOIN product_detector AS shown
             ON shown.multiframe_id = held.multiframe_id AND shown.ext_num = held.ext_num
         WHERE held.end_event IS NULL AND shown.state = 'current' AND shown.version > 0
             AND held.cat_version IS DISTINCT FROM shown.version
         ORDER BY 1, 2",
    )?;
    let rows = select.query_map([], |r| {
        Ok(Mixed {
            multiframe_id: r.id(0)?,
            ext_num: r.get(1)?,
            described: r.get(2)?,
            version: r.get(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
