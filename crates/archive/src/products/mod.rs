//! The selection of the image of a name that shows each product: detections are superseded by detections of the same detector,
//! previews by previews.
//!
//! The name is that of the frame ([`model::frame_name()`]): a file that was compressed, or has another FITS ending, is the same
//! frame. Images of one name are the contents of a name in a delivery and the images of that name and survey in the processings
//! of its night. They are ordered from old to new: within a delivery by succession, and by arrival where files do not succeed one
//! another. A published preview shows on the newest image that has one, once that image has metadata. The same holds for the
//! detections of each detector. Metadata show on the newest image, and on every image one of whose products shows: the multiframe
//! of a shown detection or preview is always shown. The shown products are a function of the published ones, and each act updates
//! the rows accordingly in its own event.
//!
//! Start at [`settle`]. An act first writes what it publishes ([`publish`]), retracts ([`retract`]) or restores ([`restore`]),
//! then settles. [`crate::deliveries::superseded::processings`] decides which deliveries are processings of one another.

pub mod described;
pub mod detectors;
pub mod kept;
pub mod supersession;

pub(crate) use kept::{Kept, kept};

use crate::deliveries::superseded::processings;
use crate::detections::Changes;
use crate::error::ArchiveFault;
use crate::metadata::definition::versioned;
use crate::product_names;
use crate::products::detectors::DetectorProduct;
use crate::rounds::IMAGES;
use crate::values::{self, UPDATED_AT_ONCE};
use engine::{Connection, Value, quoted};
use lake::DetectorKey;
use model::products::Succession;
use model::{EventId, MultiframeId, UseCase};
use rusqlite::params;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The images whose names an act concerns.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scope {
    /// The images of a round.
    Round(i64),
    /// All images of a delivery.
    Delivery(i64),
    /// The images of a delivery that have a kept product, or detections that a newer round of their catalogue did not cover.
    KeptOf(i64),
    /// One image.
    Image(i64),
}

impl Scope {
    /// Returns the condition that selects the names, in which `?2` is [`Scope::id`].
    fn names(self) -> &'static str {
        match self {
            Self::Round(_) => {
                "SELECT named.frame_name FROM task JOIN task_input USING (task_id) JOIN image USING (multiframe_id)
                     JOIN file AS named ON named.file_id = image.file_id WHERE task.unit_id = ?2"
            }
            Self::Delivery(_) => {
                "SELECT named.frame_name FROM file AS named JOIN image ON image.file_id = named.file_id
                 WHERE named.delivery_id = ?2"
            }
            Self::KeptOf(_) => {
                "SELECT named.frame_name FROM product JOIN image USING (multiframe_id)
                     JOIN file AS named ON named.file_id = image.file_id
                 WHERE product.kept = 1 AND named.delivery_id = ?2
                 UNION ALL SELECT named.frame_name FROM product_detector JOIN image USING (multiframe_id)
                     JOIN file AS named ON named.file_id = image.file_id
                 WHERE product_detector.uncovered_event IS NOT NULL AND named.delivery_id = ?2"
            }
            Self::Image(_) => {
                "SELECT named.frame_name FROM image JOIN file AS named ON named.file_id = image.file_id
                 WHERE image.multiframe_id = ?2"
            }
        }
    }

    fn id(self) -> i64 {
        match self {
            Self::Round(id) | Self::Delivery(id) | Self::KeptOf(id) | Self::Image(id) => id,
        }
    }
}

/// The changes of an act beyond what it wrote itself.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// Images of which a product ended.
    pub superseded: BTreeSet<i64>,
    /// Images of which a product is current again.
    pub shown: BTreeSet<i64>,
    /// Number of reopened rows, per table.
    pub opened: BTreeMap<String, u64>,
}

/// Returns the tables of a use case that are in the database itself: all but those of the lake.
pub(crate) fn tables_of(use_case: UseCase) -> Vec<String> {
    let mine = use_case.product().tables;
    versioned()
        .filter(|t| mine.contains(&t.name.as_str()))
        .map(|t| format!("{}_all", t.name))
        .collect()
}

/// Records that images have a product now, whose rows began in `event`.
pub(crate) fn publish(
    tx: &Connection,
    multiframes: impl Iterator<Item = i64>,
    use_case: UseCase,
    event: EventId,
) -> Result<(), ArchiveFault> {
    let text = |text: &str| Value::Text(text.to_owned());
    let row = |image| {
        [Value::Integer(image), text(use_case.name()), text("current"), Value::Integer(event.get())]
    };
    let rows: Vec<_> = multiframes.map(row).collect();
    values::write(tx, &rows, |list| {
        format!(
            "INSERT INTO product (multiframe_id, use_case, state, changed_event) VALUES {list}
             ON CONFLICT (multiframe_id, use_case) DO UPDATE
                 SET state = 'current', ended_event = NULL, changed_event = excluded.changed_event"
        )
    })
}

/// Retracts the products of a delivery's images in a use case, shown or not.
pub(crate) fn retract(
    tx: &Connection,
    delivery: i64,
    use_case: UseCase,
    event: EventId,
) -> Result<(), ArchiveFault> {
    tx.execute(
        "UPDATE product SET state = 'retracted', ended_event = coalesce(ended_event, ?3), changed_event = ?3, kept = 0
         WHERE use_case = ?2 AND state <> 'retracted' AND multiframe_id IN (
             SELECT multiframe_id FROM image JOIN file USING (file_id) WHERE delivery_id = ?1)",
        params![delivery, use_case.name(), event.get()],
    )?;
    Ok(())
}

/// Restores the retracted products of a round's images as superseded ones, which [`settle`] shows where they are the newest.
pub(crate) fn restore(tx: &Connection, unit: i64, use_case: UseCase) -> Result<(), ArchiveFault> {
    tx.execute(
        "UPDATE product SET state = 'superseded' WHERE use_case = ?2 AND state = 'retracted' AND multiframe_id IN (
             SELECT multiframe_id FROM task JOIN task_input USING (task_id) WHERE unit_id = ?1)",
        params![unit, use_case.name()],
    )?;
    Ok(())
}

/// Marks the restored products of a round's images that are not shown, since links within their delivery may refer to them.
pub(crate) fn mark_restored(
    tx: &Connection,
    unit: i64,
    use_case: UseCase,
    event: EventId,
) -> Result<(), ArchiveFault> {
    tx.execute(
        "UPDATE product SET changed_event = ?3 WHERE use_case = ?2 AND state = 'superseded' AND multiframe_id IN (
             SELECT multiframe_id FROM task JOIN task_input USING (task_id) WHERE unit_id = ?1)",
        params![unit, use_case.name(), event.get()],
    )?;
    Ok(())
}

/// The recorded state of one product of an image.
#[derive(Clone, Debug)]
struct Product {
    state: State,
    ended: Option<i64>,
    is_kept: bool,
    /// Newer deliveries in favour of which a decision ends the product.
    superseded_by: Vec<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Current,
    Superseded,
    Retracted,
}

/// An image with its published products.
#[derive(Clone, Debug)]
struct Frame {
    /// Name of its file.
    name: String,
    multiframe: MultiframeId,
    delivery: i64,
    survey: String,
    /// The recorded products.
    products: BTreeMap<UseCase, Product>,
    /// The detections of each detector, by extension number.
    detectors: BTreeMap<i64, DetectorProduct>,
}

impl Frame {
    fn published(&self, use_case: UseCase) -> Option<&Product> {
        self.products.get(&use_case).filter(|p| p.state != State::Retracted)
    }

    /// Returns true when the image has a product that may show: previews and detections need metadata to refer to.
    fn has(&self, use_case: UseCase) -> bool {
        self.published(use_case).is_some() && self.published(UseCase::Metadata).is_some()
    }

    /// Returns true when the image has detections of a detector of an older image that may show: of the detector with the same
    /// name in the headers, else of the detector with the same extension number, unless that is another detector of the older
    /// image.
    fn covers(&self, older: &Self, ext_num: i64) -> bool {
        if !self.has(UseCase::Catalogue) {
            return false;
        }
        let wanted = older.detectors.get(&ext_num).and_then(|d| d.detector.as_deref());
        let published = |d: &&DetectorProduct| !d.is_retracted;
        let is_named = |d: &DetectorProduct| wanted.is_some() && d.detector.as_deref() == wanted;
        if self.detectors.values().filter(published).any(is_named) {
            return true;
        }
        self.detectors.get(&ext_num).filter(published).is_some_and(|d| {
            let is_known = |name: &String| {
                older.detectors.values().any(|of_older| of_older.detector.as_ref() == Some(name))
            };
            wanted.is_none() || !d.detector.as_ref().is_some_and(is_known)
        })
    }

    /// Returns true when a newer image of the name belongs to the same delivery, or to the same survey in another processing.
    fn yields_to(&self, newer: &Self) -> bool {
        self.delivery == newer.delivery || self.survey == newer.survey
    }
}

/// Loads the images of a delivery's processings, grouped by name, each group from old to new; of a scope's names, or of all.
fn groups(
    c: &Connection,
    delivery: i64,
    scope: Option<Scope>,
) -> Result<Vec<Vec<Frame>>, ArchiveFault> {
    let mut deliveries = processings(c, delivery)?;
    if !deliveries.contains(&delivery) {
        deliveries.push(delivery);
    }
    let mut by_frame: BTreeMap<String, Vec<Vec<Vec<Frame>>>> = BTreeMap::new();
    for of in deliveries {
        for (frame_name, images) in contents(c, of, scope)? {
            by_frame.entry(frame_name).or_default().push(images);
        }
    }
    let mut groups = Vec::new();
    for of_deliveries in by_frame.into_values() {
        if of_deliveries.iter().all(|images| images.len() == 1) {
            groups.push(of_deliveries.into_iter().flatten().flatten().collect());
            continue;
        }
        // A delivery has several files of the frame: only files of the same name are versions of one another.
        let mut by_name: BTreeMap<String, Vec<Frame>> = BTreeMap::new();
        for mut contents in of_deliveries.into_iter().flatten() {
            let Some(newest) = contents.last() else { continue };
            by_name.entry(newest.name.clone()).or_default().append(&mut contents);
        }
        groups.extend(by_name.into_values());
    }
    Ok(groups)
}

/// Loads the images of a delivery by the name of their frame: the contents of each file, which superseded one another, from old
/// to new.
fn contents(
    c: &Connection,
    delivery: i64,
    scope: Option<Scope>,
) -> Result<BTreeMap<String, Vec<Vec<Frame>>>, ArchiveFault> {
    let names = scope
        .map_or("SELECT frame_name FROM file WHERE CAST(?2 AS BIGINT) IS NOT NULL", Scope::names);
    let mut decided = decisions(c, delivery)?;
    let mut detectors = detectors::load(c, delivery, names, scope.map_or(0, Scope::id))?;
    let mut select = c.prepare_cached(&format!(
        "SELECT file.frame_name, file.file_id, file.superseded_by, coalesce(file.survey, ''), image.multiframe_id,
             product.use_case, product.state, product.ended_event, product.kept, file.name
         FROM file LEFT JOIN image ON image.file_id = file.file_id
             LEFT JOIN product ON product.multiframe_id = image.multiframe_id
         WHERE file.delivery_id = ?1 AND file.frame_name IN ({names})
         ORDER BY file.frame_name, file.file_id"
    ))?;
    let mut rows = select.query(params![delivery, scope.map_or(0, Scope::id)])?;
    let mut followed_by: HashMap<i64, i64> = HashMap::new();
    let mut found: BTreeMap<String, Vec<(i64, Frame)>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (frame_name, file): (String, i64) = (row.get(0)?, row.get(1)?);
        if let Some(newer) = row.get::<Option<i64>>(2)? {
            followed_by.insert(file, newer);
        }
        let Some(multiframe) = row.optional_id::<MultiframeId>(4)? else { continue };
        let frames = found.entry(frame_name).or_default();
        if frames.last().is_none_or(|(last, _)| *last != file) {
            let (name, survey) = (row.get(9)?, row.get(3)?);
            let products = BTreeMap::new();
            let detectors = detectors.remove(&multiframe.get()).unwrap_or_default();
            frames.push((file, Frame { name, multiframe, delivery, survey, products, detectors }));
        }
        let Some(use_case) = row.get::<Option<String>>(5)? else { continue };
        let use_case: UseCase = use_case.parse().map_err(ArchiveFault::Damaged)?;
        let product = Product {
            state: State::named(&row.get::<String>(6)?)?,
            ended: row.get(7)?,
            is_kept: row.get(8)?,
            superseded_by: decided.remove(&(multiframe.get(), use_case)).unwrap_or_default(),
        };
        if let Some((_, frame)) = frames.last_mut() {
            frame.products.insert(use_case, product);
        }
    }
    // Returns the file that finally superseded a file, and the number of supersessions up to it.
    let newest = |file: i64| {
        let mut steps = 0;
        let mut at = file;
        while let Some(newer) = followed_by.get(&at).filter(|_| steps <= followed_by.len()) {
            (steps, at) = (steps + 1, *newer);
        }
        (at, std::cmp::Reverse(steps))
    };
    let ordered = found.into_iter().map(|(name, mut frames)| {
        frames.sort_by_key(|(file, _)| newest(*file));
        let mut images: Vec<(i64, Vec<Frame>)> = Vec::new();
        for (file, frame) in frames {
            let (of, _) = newest(file);
            match images.last_mut().filter(|(last, _)| *last == of) {
                Some((_, contents)) => contents.push(frame),
                None => images.push((of, vec![frame])),
            }
        }
        (name, images.into_iter().map(|(_, contents)| contents).collect())
    });
    Ok(ordered.collect())
}

/// Loads the decisions in force about products of a delivery's images, with the newer deliveries that they name.
fn decisions(
    c: &Connection,
    delivery: i64,
) -> Result<HashMap<(i64, UseCase), Vec<i64>>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT supersession.multiframe_id, supersession.use_case, unit.delivery_id
         FROM supersession JOIN image ON image.multiframe_id = supersession.multiframe_id
             JOIN file ON file.file_id = image.file_id
             JOIN event ON event.event_id = supersession.event_id JOIN unit ON unit.unit_id = event.unit_id
         WHERE file.delivery_id = ?1 AND supersession.undone_event IS NULL",
    )?;
    let mut rows = select.query([delivery])?;
    let mut decided: HashMap<(i64, UseCase), Vec<i64>> = HashMap::new();
    while let Some(row) = rows.next()? {
        let use_case = row.get::<String>(1)?.parse().map_err(ArchiveFault::Damaged)?;
        decided.entry((row.get(0)?, use_case)).or_default().push(row.get(2)?);
    }
    Ok(decided)
}

impl State {
    fn named(name: &str) -> Result<Self, ArchiveFault> {
        match name {
            "current" => Ok(Self::Current),
            "superseded" => Ok(Self::Superseded),
            "retracted" => Ok(Self::Retracted),
            _ => Err(ArchiveFault::Damaged(format!("{name:?} is not a state of a product"))),
        }
    }
}

/// The required state of one product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wanted {
    shows: bool,
    kept: bool,
}

/// The required state of the products of one image.
#[derive(Clone, Debug, Default)]
struct WantedFrame {
    /// The published products.
    products: BTreeMap<UseCase, Wanted>,
    /// Detectors whose detections should show.
    detectors: BTreeSet<i64>,
}

impl WantedFrame {
    fn product(&self, use_case: UseCase) -> Wanted {
        self.products.get(&use_case).copied().unwrap_or_default()
    }
}

/// Decides which products of the images of one name show. `frames` are ordered from old to new.
fn wanted(frames: &[Frame]) -> Vec<WantedFrame> {
    let mut all = Vec::with_capacity(frames.len());
    for (at, frame) in frames.iter().enumerate() {
        let newer = || frames[at + 1..].iter().filter(|newer| frame.yields_to(newer));
        let is_followed = newer().any(|newer| newer.has(UseCase::Metadata));
        let mut wanted = WantedFrame::default();
        for &use_case in frame.products.keys().filter(|u| !u.product().describes_images()) {
            let Some(product) = frame.published(use_case).filter(|_| frame.has(use_case)) else {
                continue;
            };
            // A decision is in force as long as the frame in favour of which it was made has metadata.
            let is_superseded = newer().any(|newer| {
                newer.has(UseCase::Metadata) && product.superseded_by.contains(&newer.delivery)
            });
            let shows = match use_case.product().succession {
                _ if is_superseded => false,
                Succession::Detector => {
                    let shown = frame.detectors.iter().filter(|(ext_num, detector)| {
                        let is_superseded = detector.is_uncovered && detector.is_superseded;
                        let is_replaced = || newer().any(|newer| newer.covers(frame, **ext_num));
                        !detector.is_retracted && !is_superseded && !is_replaced()
                    });
                    wanted.detectors = shown.map(|(ext_num, _)| *ext_num).collect();
                    !wanted.detectors.is_empty()
                }
                _ => !newer().any(|newer| newer.has(use_case)),
            };
            wanted.products.insert(use_case, Wanted { shows, kept: shows && is_followed });
        }
        if frame.has(UseCase::Metadata) {
            let shows = !is_followed || wanted.products.values().any(|p| p.shows);
            wanted.products.insert(UseCase::Metadata, Wanted { shows, kept: false });
        }
        all.push(wanted);
    }
    all
}

/// Lists the newer images of an image's name that have its product, from old to new; for detections, only when they have those of
/// all its detectors.
pub(crate) fn newer_with(
    c: &Connection,
    multiframe: MultiframeId,
    use_case: UseCase,
) -> Result<Vec<MultiframeId>, ArchiveFault> {
    let delivery: i64 = c
        .prepare_cached(
            "SELECT delivery_id FROM image JOIN file USING (file_id) WHERE multiframe_id = ?1",
        )?
        .query_row([multiframe.get()], |r| r.get(0))?;
    for frames in groups(c, delivery, Some(Scope::Image(multiframe.get())))? {
        if let Some(at) = frames.iter().position(|frame| frame.multiframe == multiframe) {
            let own = &frames[at];
            let newer = || frames[at + 1..].iter().filter(|newer| own.yields_to(newer));
            let is_covered = |ext_num: &i64| newer().any(|newer| newer.covers(own, *ext_num));
            if use_case.product().is_by_detector() && !own.detectors.keys().all(is_covered) {
                return Ok(Vec::new());
            }
            return Ok(newer().filter(|n| n.has(use_case)).map(|n| n.multiframe).collect());
        }
    }
    Ok(Vec::new())
}

/// Counts the frames of a delivery whose metadata are superseded by frames of other deliveries, by the newest such delivery.
pub(crate) fn superseded_by(
    c: &Connection,
    delivery: i64,
) -> Result<BTreeMap<i64, u64>, ArchiveFault> {
    let mut counts = BTreeMap::new();
    let any: bool = c
        .prepare_cached(&format!(
            "SELECT EXISTS (SELECT * FROM product JOIN image USING (multiframe_id) JOIN file USING (file_id)
                            WHERE file.delivery_id = ?1 AND product.use_case IN ({})
                                AND product.state = 'superseded')",
            product_names::describing()
        ))?
        .query_row([delivery], |r| r.get(0))?;
    if !any {
        return Ok(counts);
    }
    for frames in groups(c, delivery, Some(Scope::Delivery(delivery)))? {
        for (at, frame) in frames.iter().enumerate().filter(|(_, f)| f.delivery == delivery) {
            let metadata = frame.published(UseCase::Metadata);
            if metadata.is_none_or(|product| product.state != State::Superseded) {
                continue;
            }
            let newer = frames[at + 1..].iter().rev();
            let mut newer = newer.filter(|n| frame.yields_to(n) && n.has(UseCase::Metadata));
            if let Some(newest) = newer.next().filter(|newest| newest.delivery != delivery) {
                *counts.entry(newest.delivery).or_default() += 1;
            }
        }
    }
    Ok(counts)
}

/// Updates the rows of the names of a scope to the published state: ends the rows that a newer image replaces, and reopens those
/// that are current again.
pub(crate) fn settle(
    tx: &Connection,
    delivery: i64,
    scope: Scope,
    event: EventId,
    changes: &mut Changes<'_>,
) -> Result<Settled, ArchiveFault> {
    let mut settled = Settled::default();
    if is_settled(tx, delivery, scope)? {
        return Ok(settled);
    }
    let mut acts = Acts::default();
    for frames in groups(tx, delivery, Some(scope))? {
        for (frame, wanted) in frames.iter().zip(wanted(&frames)) {
            acts.compare(frame, &wanted);
        }
    }
    if acts.is_empty() {
        return Ok(settled);
    }
    let event = event.get();
    acts.write(tx, event)?;
    for (use_case, multiframes) in &acts.ends {
        end_rows(tx, *use_case, event)?;
        settled.superseded.extend(multiframes);
    }
    detectors::end(tx, &acts.detector_ends, event, changes)?;
    settled.superseded.extend(acts.detector_ends.iter().map(|key| key.multiframe_id));
    for (use_case, multiframes) in &acts.opens {
        open_rows(tx, *use_case, event, &mut settled.opened)?;
        settled.shown.extend(multiframes);
    }
    if !acts.detector_opens.is_empty() {
        let rows = detectors::open(tx, &acts.detector_opens, event, changes)?;
        *settled.opened.entry("detection_all".to_owned()).or_default() += rows;
        settled.shown.extend(acts.detector_opens.iter().map(|(key, _)| key.multiframe_id));
    }
    note_opened(tx, event)?;
    detectors::follow(tx, &acts.with_detectors(), event)?;
    acts.write_kept(tx)?;
    Ok(settled)
}

/// Returns true when one query shows that nothing of a round is to be settled: no other delivery is of its night, no file of its
/// delivery was superseded, all that was ever published of its images shows, and all of these images have metadata. This is so of
/// nearly every round.
fn is_settled(tx: &Connection, delivery: i64, scope: Scope) -> Result<bool, ArchiveFault> {
    let Scope::Round(unit) = scope else { return Ok(false) };
    if processings(tx, delivery)?.iter().any(|other| *other != delivery) {
        return Ok(false);
    }
    let mut select = tx.prepare_cached(&format!(
        "SELECT NOT EXISTS (SELECT * FROM file WHERE delivery_id = ?1 AND superseded_by IS NOT NULL)
             AND NOT EXISTS (SELECT * FROM product
                             WHERE (state <> 'current' OR kept <> 0) AND multiframe_id IN ({IMAGES}))
             AND NOT EXISTS (SELECT * FROM product AS shown
                             WHERE use_case NOT IN ({describing}) AND multiframe_id IN ({IMAGES}) AND NOT EXISTS (
                                 SELECT * FROM product AS described WHERE described.multiframe_id = shown.multiframe_id
                                     AND described.use_case IN ({describing})))
             AND NOT EXISTS (SELECT * FROM product_detector
                             WHERE (state <> 'current' OR supersession_event IS NOT NULL) AND multiframe_id IN ({IMAGES}))",
        describing = product_names::describing(),
        IMAGES = IMAGES.replace("?1", "?2")
    ))?;
    Ok(select.query_row([delivery, unit], |r| r.get(0))?)
}

/// The changes that make the shown products match the published ones.
#[derive(Debug, Default)]
struct Acts {
    ends: HashMap<UseCase, Vec<i64>>,
    opens: HashMap<UseCase, Vec<i64>>,
    detector_ends: Vec<DetectorKey>,
    /// Detectors to be reopened, with the event that ended their rows.
    detector_opens: Vec<(DetectorKey, EventId)>,
    keeps: Vec<(i64, UseCase, bool)>,
}

impl Acts {
    fn is_empty(&self) -> bool {
        self.ends.is_empty()
            && self.opens.is_empty()
            && self.detector_ends.is_empty()
            && self.detector_opens.is_empty()
            && self.keeps.is_empty()
    }

    /// Returns the images whose detectors change.
    fn with_detectors(&self) -> BTreeSet<i64> {
        let opened = self.detector_opens.iter().map(|(key, _)| key);
        self.detector_ends.iter().chain(opened).map(|key| key.multiframe_id).collect()
    }

    fn compare(&mut self, frame: &Frame, wanted: &WantedFrame) {
        for &use_case in frame.products.keys() {
            let Some(product) = frame.published(use_case) else { continue };
            let wanted = wanted.product(use_case);
            match (product.state, product.ended) {
                _ if use_case.product().is_by_detector() => {}
                (State::Current, _) if !wanted.shows => {
                    self.ends.entry(use_case).or_default().push(frame.multiframe.get());
                }
                (State::Superseded, Some(_)) if wanted.shows => {
                    self.opens.entry(use_case).or_default().push(frame.multiframe.get());
                }
                _ => {}
            }
            if wanted.shows && wanted.kept != product.is_kept {
                self.keeps.push((frame.multiframe.get(), use_case, wanted.kept));
            }
        }
        for (&ext_num, detector) in frame.detectors.iter().filter(|(_, d)| !d.is_retracted) {
            let key = DetectorKey { multiframe_id: frame.multiframe.get(), ext_num };
            match (detector.ended, wanted.detectors.contains(&ext_num)) {
                (None, false) => self.detector_ends.push(key),
                (Some(ended), true) => self.detector_opens.push((key, ended)),
                _ => {}
            }
        }
    }

    /// Marks the changed products; those to be reopened keep the event that ended them until their rows are reopened.
    fn write(&self, tx: &Connection, event: i64) -> Result<(), ArchiveFault> {
        for (use_case, multiframes) in &self.ends {
            let change = format!(
                "state = 'superseded', ended_event = {event}, changed_event = {event}, kept = 0"
            );
            update(tx, &change, *use_case, multiframes.iter().copied())?;
        }
        for (use_case, multiframes) in &self.opens {
            let change = format!("changed_event = {event}");
            update(tx, &change, *use_case, multiframes.iter().copied())?;
        }
        Ok(())
    }

    /// Marks which of the current products are kept.
    fn write_kept(&self, tx: &Connection) -> Result<(), ArchiveFault> {
        let mut kinds: BTreeMap<(UseCase, bool), Vec<i64>> = BTreeMap::new();
        for (multiframe, use_case, is_kept) in &self.keeps {
            kinds.entry((*use_case, *is_kept)).or_default().push(*multiframe);
        }
        for ((use_case, is_kept), multiframes) in kinds {
            // A product that has just been superseded is not kept, whatever it was before.
            let change = format!(
                "kept = CASE state WHEN 'current' THEN {} ELSE kept END",
                i64::from(is_kept)
            );
            update(tx, &change, use_case, multiframes.into_iter())?;
        }
        Ok(())
    }
}

/// Changes the products of many images in a use case, in few statements.
fn update(
    tx: &Connection,
    change: &str,
    use_case: UseCase,
    multiframes: impl Iterator<Item = i64>,
) -> Result<(), ArchiveFault> {
    let multiframes: Vec<String> = multiframes.map(|id| id.to_string()).collect();
    for some in multiframes.chunks(UPDATED_AT_ONCE) {
        let list = some.join(", ");
        tx.execute(
            &format!(
                "UPDATE product SET {change} WHERE use_case = ?1 AND multiframe_id IN ({list})"
            ),
            params![use_case.name()],
        )?;
    }
    Ok(())
}

/// Ends the rows of the products that an event superseded.
fn end_rows(tx: &Connection, use_case: UseCase, event: i64) -> Result<(), ArchiveFault> {
    for table in tables_of(use_case) {
        tx.execute(
            &format!(
                "UPDATE {} SET end_event = ?2 WHERE end_event IS NULL AND multiframe_id IN (
                     SELECT multiframe_id FROM product
                     WHERE changed_event = ?2 AND ended_event = ?2 AND state = 'superseded' AND use_case = ?1)",
                quoted(&table)
            ),
            params![use_case.name(), event],
        )?;
    }
    Ok(())
}

/// Returns the condition that no later row of the same key ended in the same event: an event may end the current rows and, at
/// once, the rows that it put in their place. `held` names the rows.
pub(crate) fn is_latest_to_end(all: &str, held: &str) -> String {
    let key = versioned().find(|t| all.strip_suffix("_all") == Some(&t.name)).map(|t| &t.key);
    let same: String = key
        .into_iter()
        .flatten()
        .map(|column| format!("later.{0} = {held}.{0} AND ", quoted(column)))
        .collect();
    format!(
        "NOT EXISTS (SELECT * FROM {} AS later WHERE {same} later.end_event = {held}.end_event
                         AND later.begin_event > {held}.begin_event)",
        quoted(all)
    )
}

/// Reopens the rows of the superseded products that are marked with an event.
fn open_rows(
    tx: &Connection,
    use_case: UseCase,
    event: i64,
    opened: &mut BTreeMap<String, u64>,
) -> Result<(), ArchiveFault> {
    for table in tables_of(use_case) {
        let name = quoted(&table);
        let is_latest = is_latest_to_end(&table, &name);
        let rows = tx.execute(
            &format!(
                "UPDATE {name} SET end_event = NULL
                 WHERE {is_latest} AND multiframe_id IN (
                     SELECT multiframe_id FROM product
                     WHERE changed_event = ?2 AND ended_event < ?2 AND state = 'superseded' AND use_case = ?1)
                 AND end_event = (SELECT ended_event FROM product
                                  WHERE product.multiframe_id = {name}.multiframe_id AND product.use_case = ?1)"
            ),
            params![use_case.name(), event],
        )?;
        *opened.entry(table).or_default() += rows as u64;
    }
    Ok(())
}

/// Records the spans in which the products that an event reopened were not shown, and marks the products as current.
fn note_opened(tx: &Connection, event: i64) -> Result<(), ArchiveFault> {
    let is_opened = format!(
        "changed_event = ?1 AND ended_event < ?1 AND state = 'superseded' AND use_case NOT IN ({})",
        product_names::by_detector()
    );
    tx.execute(
        &format!(
            "INSERT INTO interruption (multiframe_id, use_case, from_event, to_event)
             SELECT multiframe_id, use_case, ended_event, changed_event FROM product WHERE {is_opened}
             ON CONFLICT DO NOTHING"
        ),
        [event],
    )?;
    tx.execute(
        &format!("UPDATE product SET state = 'current', ended_event = NULL WHERE {is_opened}"),
        [event],
    )?;
    Ok(())
}
