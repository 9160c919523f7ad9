//! The published detections of each detector: the table `product_detector`, and what it implies for `product`.
//!
//! The detections of a detector are superseded only by accepted detections of the same detector. Detectors are matched by CAMNUM, or by
//! EXTNAME where there is no CAMNUM: in a processing that lacks a detector, or stores the detectors in another order, the
//! extension numbers belong to other detectors. A round that publishes a catalogue covers the detectors whose HDUs were accepted
//! ([`publish`]). The other detectors of the image keep their detections, and `uncovered_event` records that.
//! [`crate::products::settle`] decides which of them show.
//!
//! A row of `product` for detections follows from the rows of its detectors ([`follow`]).

use crate::detections::Changes;
use crate::error::ArchiveFault;
use crate::rounds::IMAGES;
use crate::values::{self, UPDATED_AT_ONCE};
use engine::{Connection, Value};
use lake::DetectorKey;
use model::{EventId, UseCase};
use rusqlite::params;

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The recorded state of the published detections of one detector of an image.
#[derive(Clone, Debug)]
pub(crate) struct DetectorProduct {
    /// The detector's name from the headers; `None` when the headers have none.
    pub detector: Option<String>,
    pub is_retracted: bool,
    /// The event that ended the detections; `None` while they are current.
    pub ended: Option<EventId>,
    /// True when a newer round of the image's catalogue has none of the detector's detections.
    pub is_uncovered: bool,
    /// True when a decision ends the detections although they are uncovered.
    pub is_superseded: bool,
}

/// The recorded detectors of each image, by extension number.
pub(crate) type Detectors = HashMap<i64, BTreeMap<i64, DetectorProduct>>;

/// Loads the detectors of a delivery's images of some names. `names` is a query in which `?2` is `id`.
pub(crate) fn load(
    c: &Connection,
    delivery: i64,
    names: &str,
    id: i64,
) -> Result<Detectors, ArchiveFault> {
    let mut select = c.prepare_cached(&format!(
        "SELECT held.multiframe_id, held.ext_num, held.state, held.ended_event, held.uncovered_event, held.supersession_event,
             held.detector
         FROM file JOIN image ON image.file_id = file.file_id
             JOIN product_detector AS held ON held.multiframe_id = image.multiframe_id
         WHERE file.delivery_id = ?1 AND file.frame_name IN ({names})"
    ))?;
    let mut rows = select.query(params![delivery, id])?;
    let mut found = Detectors::new();
    while let Some(row) = rows.next()? {
        let product = DetectorProduct {
            detector: row.get(6)?,
            is_retracted: row.get::<String>(2)? == "retracted",
            ended: row.optional_id(3)?,
            is_uncovered: row.get::<Option<i64>>(4)?.is_some(),
            is_superseded: row.get::<Option<i64>>(5)?.is_some(),
        };
        found.entry(row.get(0)?).or_default().insert(row.get(1)?, product);
    }
    Ok(found)
}

/// Records that the `covered` detectors have published detections, which began in `event`, and that the round did not cover the
/// other detectors of its images. `versions` are the catalogue versions of the images. The covered detectors that are also in
/// `kept` keep their earlier detections. Returns true when all published metadata of the images' detectors were read with the
/// versions that are published now.
pub(crate) fn publish(
    tx: &Connection,
    unit: i64,
    (covered, kept): (&BTreeSet<DetectorKey>, &BTreeSet<DetectorKey>),
    versions: &HashMap<i64, i64>,
    event: EventId,
) -> Result<bool, ArchiveFault> {
    const CURRENT: &str =
        "state = 'current', ended_event = NULL, uncovered_event = NULL, supersession_event = NULL";
    let event_id = event.get();
    let described = described(tx, IMAGES, unit)?;
    let mut named = named(&described);
    let row = |key: &DetectorKey| {
        let version = versions.get(&key.multiframe_id).copied().unwrap_or(0);
        [
            Value::Integer(key.multiframe_id),
            Value::Integer(key.ext_num),
            named.remove(key).map_or(Value::Null, Value::Text),
            Value::Text("current".to_owned()),
            Value::Integer(version),
            Value::Integer(event_id),
        ]
    };
    let replaced: Vec<_> = covered.difference(kept).map(row).collect();
    values::write(tx, &replaced, |list| {
        format!(
            "INSERT INTO product_detector (multiframe_id, ext_num, detector, state, version, changed_event)
             VALUES {list}
             ON CONFLICT (multiframe_id, ext_num) DO UPDATE
                 SET {CURRENT}, detector = excluded.detector, version = excluded.version,
                     changed_event = excluded.changed_event"
        )
    })?;
    let row = |key: &DetectorKey| [Value::Integer(key.multiframe_id), Value::Integer(key.ext_num)];
    for some in covered.intersection(kept).map(row).collect::<Vec<_>>().chunks(UPDATED_AT_ONCE) {
        let number = |mark: &String| format!("CAST({mark} AS BIGINT)");
        let list = values::list(some.len(), 2, |marks| {
            format!("({}, {})", number(&marks[0]), number(&marks[1]))
        });
        let mut values: Vec<Value> = some.iter().flatten().cloned().collect();
        values.push(Value::Integer(event_id));
        let event = values.len();
        tx.prepare_cached(&format!(
            "UPDATE product_detector SET {CURRENT}, changed_event = ?{event}
             WHERE (multiframe_id, ext_num) IN (VALUES {list})"
        ))?
        .execute(values)?;
    }
    tx.execute(
        &format!(
            "UPDATE product_detector SET uncovered_event = ?2, changed_event = ?2
             WHERE uncovered_event IS NULL AND changed_event < ?2 AND multiframe_id IN ({IMAGES})"
        ),
        params![unit, event_id],
    )?;
    let mut count = tx.prepare_cached(&format!(
        "SELECT count(*) FROM product_detector WHERE multiframe_id IN ({IMAGES})"
    ))?;
    let all: usize = count.query_row([unit], |r| r.get(0))?;
    let is_of_its_version = |(key, detector): (&DetectorKey, &DescribedDetector)| {
        versions.get(&key.multiframe_id).is_some_and(|version| detector.version == Some(*version))
    };
    Ok(kept.is_empty() && all == covered.len() && described.iter().all(is_of_its_version))
}

/// The published metadata of a detector.
#[derive(Clone, Debug, Default)]
pub(crate) struct DescribedDetector {
    begin_event: i64,
    cam_num: Option<i64>,
    ext_name: Option<String>,
    /// Version of the catalogue with which they were read.
    pub version: Option<i64>,
}

/// Loads the published metadata of the detectors of some images. `of` is a query for the images in which `?1` is `id`.
pub(crate) fn described(
    tx: &Connection,
    of: &str,
    id: i64,
) -> Result<BTreeMap<DetectorKey, DescribedDetector>, ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT held.multiframe_id, held.ext_num, held.begin_event, held.cam_num, held.ext_name, held.cat_version
         FROM multiframe_detector_all AS held JOIN product ON product.multiframe_id = held.multiframe_id
             AND product.use_case = 'metadata'
         WHERE held.end_event IS NOT DISTINCT FROM product.ended_event AND held.multiframe_id IN ({of})"
    ))?;
    let mut found: BTreeMap<DetectorKey, DescribedDetector> = BTreeMap::new();
    let mut rows = select.query([id])?;
    while let Some(row) = rows.next()? {
        let key = DetectorKey { multiframe_id: row.get(0)?, ext_num: row.get(1)? };
        let begin_event = row.get(2)?;
        let (cam_num, ext_name, version) = (row.get(3)?, row.get(4)?, row.get(5)?);
        let held = found.entry(key).or_default();
        // Of rows that ended in the same event, the newest were the published ones.
        if begin_event >= held.begin_event {
            *held = DescribedDetector { begin_event, cam_num, ext_name, version };
        }
    }
    Ok(found)
}

/// Returns the names of detectors from the headers: CAMNUM when every detector of the image has a distinct one, else EXTNAME.
fn named(described: &BTreeMap<DetectorKey, DescribedDetector>) -> HashMap<DetectorKey, String> {
    let mut found = HashMap::with_capacity(described.len());
    let detectors: Vec<(&DetectorKey, &DescribedDetector)> = described.iter().collect();
    for image in detectors.chunk_by(|(a, _), (b, _)| a.multiframe_id == b.multiframe_id) {
        let numbers: BTreeSet<i64> = image.iter().filter_map(|(_, d)| d.cam_num).collect();
        let names: BTreeSet<&str> =
            image.iter().filter_map(|(_, d)| d.ext_name.as_deref()).collect();
        for (key, detector) in image {
            let name = match (detector.cam_num, &detector.ext_name) {
                (Some(number), _) if numbers.len() == image.len() => format!("cam_num {number}"),
                (_, Some(name)) if names.len() == image.len() => format!("ext_name {name}"),
                _ => continue,
            };
            found.insert(**key, name);
        }
    }
    found
}

/// Loads the names from the headers of all detectors of some images, by image and extension number. `of` is as in [`described`].
pub(crate) fn names(
    c: &Connection,
    of: &str,
    id: i64,
) -> Result<HashMap<i64, BTreeMap<i64, Option<String>>>, ArchiveFault> {
    let described = described(c, of, id)?;
    let mut named = named(&described);
    let mut found: HashMap<i64, BTreeMap<i64, Option<String>>> = HashMap::new();
    for key in described.into_keys() {
        let name = named.remove(&key);
        found.entry(key.multiframe_id).or_default().insert(key.ext_num, name);
    }
    Ok(found)
}

/// Retracts the detections of a delivery's images, shown or not. Returns the detectors whose detections were shown.
pub(crate) fn retract(
    tx: &Connection,
    delivery: i64,
    event: EventId,
) -> Result<Vec<DetectorKey>, ArchiveFault> {
    const OF_DELIVERY: &str = "multiframe_id IN (
        SELECT multiframe_id FROM image JOIN file USING (file_id) WHERE delivery_id = ?1)";
    let mut select = tx.prepare_cached(&format!(
        "SELECT multiframe_id, ext_num FROM product_detector WHERE state = 'current' AND {OF_DELIVERY} ORDER BY 1, 2"
    ))?;
    let rows = select.query_map([delivery], |r| {
        Ok(DetectorKey { multiframe_id: r.get(0)?, ext_num: r.get(1)? })
    })?;
    let shown = rows.collect::<Result<_, _>>()?;
    tx.execute(
        &format!(
            "UPDATE product_detector
             SET state = 'retracted', ended_event = coalesce(ended_event, ?2), changed_event = ?2
             WHERE state <> 'retracted' AND {OF_DELIVERY}"
        ),
        params![delivery, event.get()],
    )?;
    Ok(shown)
}

/// Restores the retracted detections of a round's images as superseded ones.
pub(crate) fn restore(tx: &Connection, unit: i64) -> Result<(), ArchiveFault> {
    tx.execute(
        &format!(
            "UPDATE product_detector SET state = 'superseded' WHERE state = 'retracted' AND multiframe_id IN ({IMAGES})"
        ),
        [unit],
    )?;
    Ok(())
}

/// Deletes the records of a round's images whose detections a retraction, or an event before it, ended. Those of a later
/// retraction stay.
pub(crate) fn purge(tx: &Connection, unit: i64, event: i64) -> Result<(), ArchiveFault> {
    tx.execute(
        &format!(
            "DELETE FROM product_detector WHERE state = 'retracted' AND ended_event <= ?2
             AND multiframe_id IN ({IMAGES})"
        ),
        [unit, event],
    )?;
    Ok(())
}

/// Records the decision of an event to end the detections that newer rounds of an image's catalogue did not cover.
pub(crate) fn supersede(
    tx: &Connection,
    multiframe: i64,
    ext_nums: &[i64],
    event: EventId,
) -> Result<(), ArchiveFault> {
    let mut update = tx.prepare_cached(
        "UPDATE product_detector SET supersession_event = ?3 WHERE multiframe_id = ?1 AND ext_num = ?2",
    )?;
    for ext_num in ext_nums {
        update.execute(params![multiframe, ext_num, event.get()])?;
    }
    Ok(())
}

/// Returns the images of a delivery, or of one file's frame, that have decisions in force about their detectors.
pub(crate) fn with_supersessions(
    tx: &Connection,
    delivery: i64,
    file: Option<&str>,
) -> Result<BTreeSet<i64>, ArchiveFault> {
    let mut select = tx.prepare_cached(
        "SELECT DISTINCT held.multiframe_id
         FROM file JOIN image ON image.file_id = file.file_id
             JOIN product_detector AS held ON held.multiframe_id = image.multiframe_id
         WHERE file.delivery_id = ?1 AND held.supersession_event IS NOT NULL AND held.uncovered_event IS NOT NULL
             AND (CAST(?2 AS TEXT) IS NULL OR file.frame_name = ?2)",
    )?;
    let rows = select.query_map(params![delivery, file.map(model::frame_name)], |r| r.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Undoes the decisions in force about detectors of some images in an event. Each row keeps the decision and the event.
pub(crate) fn undo_supersessions(
    tx: &Connection,
    images: &BTreeSet<i64>,
    event: EventId,
) -> Result<(), ArchiveFault> {
    let mut update = tx.prepare_cached(
        "UPDATE product_detector
         SET undone_supersession = supersession_event, undone_event = ?2, supersession_event = NULL
         WHERE multiframe_id = ?1 AND supersession_event IS NOT NULL",
    )?;
    for image in images {
        update.execute(params![image, event.get()])?;
    }
    Ok(())
}

/// Ends the shown detections of some detectors.
pub(crate) fn end(
    tx: &Connection,
    detectors: &[DetectorKey],
    event: i64,
    changes: &mut Changes<'_>,
) -> Result<(), ArchiveFault> {
    let mut update = tx.prepare_cached(
        "UPDATE product_detector SET state = 'superseded', ended_event = ?3, changed_event = ?3
         WHERE multiframe_id = ?1 AND ext_num = ?2",
    )?;
    for key in detectors {
        update.execute(params![key.multiframe_id, key.ext_num, event])?;
    }
    changes.end_detectors(detectors)?;
    Ok(())
}

/// Reopens the detections of detectors, given with the event that ended them, and records the spans in which they were not shown.
/// Returns the number of rows.
pub(crate) fn open(
    tx: &Connection,
    detectors: &[(DetectorKey, EventId)],
    event: i64,
    changes: &mut Changes<'_>,
) -> Result<u64, ArchiveFault> {
    let mut by_event: BTreeMap<EventId, Vec<DetectorKey>> = BTreeMap::new();
    for (key, ended) in detectors {
        by_event.entry(*ended).or_default().push(*key);
    }
    let mut update = tx.prepare_cached(
        "UPDATE product_detector SET state = 'current', ended_event = NULL, changed_event = ?3
         WHERE multiframe_id = ?1 AND ext_num = ?2",
    )?;
    let mut opened = 0;
    for (ended, keys) in by_event {
        opened += reopen(tx, &keys, (ended, event), changes)?;
        for key in keys {
            update.execute(params![key.multiframe_id, key.ext_num, event])?;
        }
    }
    Ok(opened)
}

/// Reopens the rows of some detectors that an event ended, and records the span in which they were not shown.
pub(crate) fn reopen(
    tx: &Connection,
    detectors: &[DetectorKey],
    (ended, event): (EventId, i64),
    changes: &mut Changes<'_>,
) -> Result<u64, ArchiveFault> {
    let opened = changes.reopen_detectors(ended, detectors)?;
    if ended.get() < event {
        let mut insert = tx.prepare_cached(
            "INSERT INTO detector_interruption (multiframe_id, ext_num, from_event, to_event) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
        )?;
        for key in detectors {
            insert.execute(params![key.multiframe_id, key.ext_num, ended.get(), event])?;
        }
    }
    Ok(opened)
}

/// Updates `product` for images whose detectors changed in an event.
pub(crate) fn follow(
    tx: &Connection,
    multiframes: &BTreeSet<i64>,
    event: i64,
) -> Result<(), ArchiveFault> {
    const OF: &str =
        "FROM product_detector AS held WHERE held.multiframe_id = product.multiframe_id";
    let multiframes: Vec<String> = multiframes.iter().map(ToString::to_string).collect();
    for some in multiframes.chunks(UPDATED_AT_ONCE) {
        let list = some.join(", ");
        tx.execute(
            &format!(
                "UPDATE product SET
                     state = CASE WHEN EXISTS (SELECT * {OF} AND held.state = 'current') THEN 'current'
                                  WHEN EXISTS (SELECT * {OF} AND held.state = 'superseded') THEN 'superseded'
                                  ELSE 'retracted' END,
                     ended_event = CASE WHEN EXISTS (SELECT * {OF} AND held.state = 'current') THEN NULL
                                        ELSE (SELECT max(held.ended_event) {OF}) END,
                     kept = CASE WHEN EXISTS (SELECT * {OF} AND held.state = 'current') THEN kept ELSE 0 END,
                     changed_event = {event}
                 WHERE use_case = ?1 AND multiframe_id IN ({list})"
            ),
            [UseCase::Catalogue.name()],
        )?;
    }
    Ok(())
}
