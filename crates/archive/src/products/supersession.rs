//! Kept products of older images: the reason why each is kept, and the operator's decision to end it nevertheless.

use crate::deliveries::delivery_id;
use crate::deliveries::superseded::processings;
use crate::detections::Changes;
use crate::error::{ArchiveError, ArchiveFault};
use crate::findings::{Drift, OLDER_DETECTIONS_KEPT, OLDER_PREVIEW_KEPT};
use crate::history::{self, Act, Cause};
use crate::metadata::links;
use crate::product_names;
use crate::products::kept::{KeptProduct, Lack};
use crate::products::{self, Kept, Scope, described, detectors};
use crate::rounds::IMAGES_OF_DELIVERY;
use crate::site::Site;
use crate::{Archive, Reader, Timestamp};
use engine::Connection;
use model::{DeliveryName, EventId, MultiframeId, UseCase, frame_name};
use rusqlite::params;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// The result of a decision to end kept products, or of its undo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Supersession {
    /// Its event.
    pub event: Option<EventId>,
    /// The products that it ended, or that are current again.
    pub products: Vec<KeptProduct>,
}

impl Reader {
    /// Lists the products of older images that are kept because the newer images of a delivery, or of any, lack them.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn kept_products(
        &self,
        newer: Option<&DeliveryName>,
    ) -> Result<Vec<KeptProduct>, ArchiveError> {
        self.read("list kept products", |c| list(c, newer))
    }
}

impl Archive {
    /// Ends products of older images that are kept because the images of a delivery that replaced them lack these products: those
    /// of some use cases (all when none is named), of all names or of one, in one event.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when nothing is kept.
    pub fn supersede(
        &mut self,
        newer: (&str, Option<&str>),
        use_cases: &[UseCase],
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Supersession, ArchiveError> {
        let site = self.site.clone();
        self.write("supersede", format!("end older products in favour of {}", newer.0), |tx| {
            supersede(tx, &site, newer, use_cases, cause, now)
        })
    }

    /// Undoes [`crate::Archive::supersede`].
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when no such decision is in force.
    pub fn undo_supersession(
        &mut self,
        newer: (&str, Option<&str>),
        use_cases: &[UseCase],
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Supersession, ArchiveError> {
        let site = self.site.clone();
        self.write(
            "supersede",
            format!("restore older products that were ended in favour of {}", newer.0),
            |tx| undo(tx, &site, newer, use_cases, cause, now),
        )
    }
}

/// Implements [`crate::Reader::kept_products`].
pub(crate) fn list(
    c: &Connection,
    delivery: Option<&DeliveryName>,
) -> Result<Vec<KeptProduct>, ArchiveFault> {
    let kept = match delivery {
        Some(name) => kept_despite(c, delivery_id(c, name)?)?,
        None => products::kept(c, None)?,
    };
    records(c, &kept)
}

/// Lists the products that are kept despite a newer delivery: by the earlier processings of its night, and by older contents of
/// its own files.
fn kept_despite(c: &Connection, newer: i64) -> Result<Vec<Kept>, ArchiveFault> {
    let mut all = of_processings(c, newer)?;
    all.retain(|kept| kept.newer.1 == newer);
    Ok(all)
}

/// Lists the products that the images of a delivery and of its processings keep.
fn of_processings(c: &Connection, delivery: i64) -> Result<Vec<Kept>, ArchiveFault> {
    let mut deliveries = processings(c, delivery)?;
    if !deliveries.contains(&delivery) {
        deliveries.push(delivery);
    }
    deliveries.sort_unstable();
    let mut all = Vec::new();
    for delivery in deliveries {
        all.extend(products::kept(c, Some((delivery, Scope::KeptOf(delivery))))?);
    }
    Ok(all)
}

/// Lists the products that the images of a delivery keep.
pub(crate) fn of_delivery(c: &Connection, delivery: i64) -> Result<Vec<KeptProduct>, ArchiveFault> {
    let kept = products::kept(c, Some((delivery, Scope::KeptOf(delivery))))?;
    records(c, &kept)
}

/// Lists the products that an image keeps, and those that older images keep despite it.
pub(crate) fn of_image(
    c: &Connection,
    multiframe: MultiframeId,
) -> Result<Vec<KeptProduct>, ArchiveFault> {
    let delivery: i64 = c
        .prepare_cached(
            "SELECT delivery_id FROM image JOIN file USING (file_id) WHERE multiframe_id = ?1",
        )?
        .query_row([multiframe.get()], |r| r.get(0))?;
    let mut kept = products::kept(c, Some((delivery, Scope::Image(multiframe.get()))))?;
    kept.retain(|kept| [kept.multiframe, kept.newer.0].contains(&multiframe));
    records(c, &kept)
}

/// Describes kept products with their causes.
fn records(c: &Connection, kept: &[Kept]) -> Result<Vec<KeptProduct>, ArchiveFault> {
    let mut deliveries: BTreeMap<i64, Arrived> = BTreeMap::new();
    for id in kept.iter().flat_map(|kept| [kept.delivery, kept.newer.1]) {
        if let Entry::Vacant(entry) = deliveries.entry(id) {
            let of_delivery = kept.iter().filter(|kept| kept.newer.1 == id);
            let newer: BTreeSet<i64> = of_delivery.map(|kept| kept.newer.0.get()).collect();
            entry.insert(Arrived::of(c, id, &newer)?);
        }
    }
    let record = |kept: &Kept| {
        let newer = &deliveries[&kept.newer.1];
        let none = BTreeMap::new();
        let detectors = newer.detectors.get(&kept.newer.0.get()).unwrap_or(&none);
        let newer_ext_nums = kept.newer_ext_nums(detectors);
        let why = newer.lack(kept, &newer_ext_nums);
        KeptProduct {
            delivery: deliveries[&kept.delivery].name.clone(),
            file: kept.name.clone(),
            multiframe_id: kept.multiframe,
            use_case: kept.use_case,
            newer_delivery: newer.name.clone(),
            newer_multiframe_id: kept.newer.0,
            newer_file: kept.newer_name.clone(),
            ext_nums: kept.ext_nums.clone(),
            newer_ext_nums,
            why,
        }
    };
    Ok(kept.iter().map(record).collect())
}

/// The facts about the images of a delivery that explain a lack.
#[derive(Default)]
struct Arrived {
    name: DeliveryName,
    /// Images with a catalogue.
    with_catalogue: HashSet<i64>,
    /// State and outcome of the latest round of an image in a use case.
    latest: HashMap<(i64, UseCase), (String, Option<String>)>,
    /// Images with published detections.
    with_detections: HashSet<i64>,
    /// HDUs of the images' catalogues that were refused.
    refused: HashMap<i64, RefusedHdus>,
    /// Names from the headers of each image's detectors, by extension number.
    detectors: HashMap<i64, BTreeMap<i64, Option<String>>>,
}

/// Refused HDUs of the latest catalogue of an image.
#[derive(Default)]
struct RefusedHdus {
    round: i64,
    /// Extension numbers of the detectors of refused HDUs.
    of_detectors: BTreeSet<i64>,
    /// Extension numbers, in the catalogue, of refused HDUs whose detector is unknown.
    others: BTreeSet<i64>,
}

impl RefusedHdus {
    /// Returns whether the HDU of a detector is refused. A refused HDU whose detector is unknown is assumed to belong to the
    /// detector of the same number or, when `uncovered` does not contain that number, to any detector.
    fn has(&self, ext_num: i64, uncovered: &[i64]) -> bool {
        self.of_detectors.contains(&ext_num)
            || self.others.iter().any(|other| *other == ext_num || !uncovered.contains(other))
    }
}

impl Arrived {
    /// Reads the facts about some images in a few statements, however many there are.
    fn of(c: &Connection, delivery: i64, images: &BTreeSet<i64>) -> Result<Self, ArchiveFault> {
        let name = c
            .prepare_cached("SELECT name FROM delivery WHERE delivery_id = ?1")?
            .query_row([delivery], |r| r.name(0))?;
        if images.is_empty() {
            return Ok(Self { name, ..Self::default() });
        }
        let of = few(images, "multiframe_id");
        let mut select = c.prepare_cached(&format!(
            "SELECT multiframe_id FROM catalogue JOIN file USING (file_id)
             WHERE file.delivery_id = ?1 AND file.state = 'current' {of}"
        ))?;
        let rows = select.query_map([delivery], |r| r.get(0))?;
        let with_catalogue = rows.collect::<Result<_, _>>()?;
        let mut select = c.prepare_cached(&format!(
            "SELECT multiframe_id, unit.use_case, unit.state, task_input.outcome
             FROM unit JOIN task USING (unit_id) JOIN task_input USING (task_id)
             WHERE unit.delivery_id = ?1 {of} ORDER BY unit.round"
        ))?;
        let rows = select.query_map([delivery], |r| {
            let key = (r.get(0)?, crate::rounds::parsed::<UseCase>(r, 1)?);
            Ok((key, (r.get(2)?, r.get(3)?)))
        })?;
        let latest = rows.collect::<Result<_, _>>()?;
        let mut select = c.prepare_cached(&format!(
            "SELECT DISTINCT held.multiframe_id FROM file JOIN image ON image.file_id = file.file_id
                 JOIN product_detector AS held ON held.multiframe_id = image.multiframe_id
             WHERE file.delivery_id = ?1 AND held.state <> 'retracted' {}",
            few(images, "held.multiframe_id")
        ))?;
        let rows = select.query_map([delivery], |r| r.get(0))?;
        let with_detections = rows.collect::<Result<_, _>>()?;
        let refused = refused_hdus(c, delivery, images)?;
        let of_images = few(images, "multiframe_id");
        let detectors =
            detectors::names(c, &format!("{IMAGES_OF_DELIVERY} {of_images}"), delivery)?;
        Ok(Self { name, with_catalogue, latest, with_detections, refused, detectors })
    }

    /// Determines why the newer image, or the newer round of the image's own catalogue, lacks a product. `ext_nums` are those of
    /// the kept detectors in the newer image.
    fn lack(&self, kept: &Kept, ext_nums: &[i64]) -> Lack {
        let (multiframe, use_case) = (kept.newer.0.get(), kept.use_case);
        let Some((state, outcome)) = self.latest.get(&(multiframe, use_case)) else {
            let is_absent =
                use_case.product().is_by_detector() && !self.with_catalogue.contains(&multiframe);
            return if is_absent { Lack::NoCatalogue } else { Lack::Pending };
        };
        match (state.as_str(), outcome.as_deref()) {
            ("retracted", _) => Lack::Retracted,
            ("failed", _) => Lack::Failed,
            ("ingested", Some("done"))
                if use_case.product().is_by_detector()
                    && self.with_detections.contains(&multiframe) =>
            {
                let refused = self.refused.get(&multiframe);
                let is_refused =
                    |ext_num: &i64| refused.is_some_and(|refused| refused.has(*ext_num, ext_nums));
                let is_any = ext_nums.iter().any(is_refused);
                if is_any { Lack::HduRefused } else { Lack::HduAbsent }
            }
            (_, Some("refused")) | ("ingested", Some("done")) => Lack::Refused,
            (_, Some("parked")) => Lack::Parked,
            _ => Lack::Pending,
        }
    }
}

/// Returns the condition that a column names one of a few images; for many images, the condition is empty and all rows are read.
fn few(images: &BTreeSet<i64>, column: &str) -> String {
    const NAMED: usize = 10;
    if images.len() > NAMED {
        return String::new();
    }
    let list: Vec<String> = images.iter().map(i64::to_string).collect();
    format!("AND {column} IN ({})", list.join(", "))
}

/// Loads the refused HDUs of the latest catalogues of some images of a delivery: those refused by the tasks and those refused on
/// arrival.
fn refused_hdus(
    c: &Connection,
    delivery: i64,
    images: &BTreeSet<i64>,
) -> Result<HashMap<i64, RefusedHdus>, ArchiveFault> {
    const DETECTOR: &str = "(SELECT min(described.ext_num) FROM multiframe_detector AS described
         WHERE described.multiframe_id = refused.multiframe_id AND described.cat_ext_num = refused.cat_ext_num)";
    let mut select = c.prepare_cached(&format!(
        "SELECT refused.multiframe_id, refused.round, coalesce(refused.ext_num, {DETECTOR}), refused.cat_ext_num
         FROM (SELECT hdu_rows.multiframe_id, unit.round, hdu_rows.ext_num, hdu_rows.cat_ext_num
               FROM unit JOIN hdu_rows ON hdu_rows.unit_id = unit.unit_id
               WHERE unit.delivery_id = ?1 AND hdu_rows.rows_written = 0
               UNION ALL
               SELECT catalogue.multiframe_id, CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), refusal.ext_num
               FROM file JOIN catalogue ON catalogue.file_id = file.file_id JOIN refusal ON refusal.file_id = file.file_id
               WHERE file.delivery_id = ?1 AND file.state = 'current' AND refusal.delivery_id = ?1
                   AND refusal.state = 'open' AND refusal.stage = 'register' AND refusal.ext_num IS NOT NULL) AS refused
         WHERE refused.multiframe_id IS NOT NULL {}",
        few(images, "refused.multiframe_id")
    ))?;
    let mut rows = select.query([delivery])?;
    let mut found: HashMap<i64, RefusedHdus> = HashMap::new();
    while let Some(row) = rows.next()? {
        let refused = found.entry(row.get(0)?).or_default();
        if let Some(round) = row.get::<Option<i64>>(1)? {
            if round < refused.round {
                continue;
            }
            if round > refused.round {
                *refused = RefusedHdus { round, ..RefusedHdus::default() };
            }
        }
        match row.get::<Option<i64>>(2)? {
            Some(ext_num) => refused.of_detectors.insert(ext_num),
            None => refused.others.insert(row.get(3)?),
        };
    }
    Ok(found)
}

/// Returns the kept products as findings of the newer deliveries: one per older delivery, product and cause.
pub(crate) fn findings(
    c: &Connection,
    delivery: Option<&DeliveryName>,
) -> Result<Vec<Drift>, ArchiveFault> {
    let mut sums: BTreeMap<(DeliveryName, String, String), Drift> = BTreeMap::new();
    for kept in list(c, delivery)? {
        let code = match kept.use_case.product().is_by_detector() {
            true => OLDER_DETECTIONS_KEPT,
            false => OLDER_PREVIEW_KEPT,
        };
        let subject = format!("{} {}", kept.delivery, kept.why.name());
        let key = (kept.newer_delivery.clone(), code.to_owned(), subject.clone());
        let drift = sums.entry(key).or_insert_with(|| Drift {
            delivery: kept.newer_delivery.clone(),
            stage: "ingest".to_owned(),
            code: code.into(),
            subject,
            files: 0,
            occurrences: 0,
            example_file: kept.newer_file.clone(),
            example_ext_num: kept
                .is_of_detectors()
                .then(|| kept.newer_ext_nums.first().and_then(|n| u32::try_from(*n).ok()))
                .flatten(),
            profile: None,
            message: kept.to_string(),
        });
        drift.files += 1;
        drift.occurrences += 1;
    }
    Ok(sums.into_values().collect())
}

/// Implements [`crate::Archive::supersede`].
pub(crate) fn supersede(
    tx: &Connection,
    site: &Site,
    (name, file): (&str, Option<&str>),
    use_cases: &[UseCase],
    cause: &Cause,
    now: Timestamp,
) -> Result<Supersession, ArchiveFault> {
    let delivery = delivery_id(tx, name)?;
    let mut kept = kept_despite(tx, delivery)?;
    kept.retain(|kept| {
        file.is_none_or(|file| frame_name(file) == frame_name(&kept.name))
            && (use_cases.is_empty() || use_cases.contains(&kept.use_case))
    });
    if kept.is_empty() {
        let message = format!("no older product is kept despite {name}");
        return Err(ArchiveFault::Conflict(message));
    }
    let mut done = Supersession { event: None, products: records(tx, &kept)? };
    let event = history::next_event(tx)?;
    record_act(tx, delivery, event, Act::Retract, cause, now)?;
    for kept in &kept {
        if kept.is_of_own_catalogue() {
            detectors::supersede(tx, kept.multiframe.get(), &kept.ext_nums, event)?;
            continue;
        }
        tx.prepare_cached(
            "INSERT INTO supersession (multiframe_id, use_case, event_id) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![kept.multiframe.get(), kept.use_case.name(), event.get()])?;
    }
    settle(tx, site, delivery, event, (&format!("{name}: older products ended"), cause), now)?;
    done.event = Some(event);
    Ok(done)
}

/// Implements [`crate::Archive::undo_supersession`].
pub(crate) fn undo(
    tx: &Connection,
    site: &Site,
    (name, file): (&str, Option<&str>),
    use_cases: &[UseCase],
    cause: &Cause,
    now: Timestamp,
) -> Result<Supersession, ArchiveFault> {
    let delivery = delivery_id(tx, name)?;
    let mut select = tx.prepare_cached(
        "SELECT supersession.multiframe_id, supersession.use_case, supersession.event_id
         FROM supersession JOIN event USING (event_id) JOIN unit USING (unit_id)
         WHERE unit.delivery_id = ?1 AND undone_event IS NULL
             AND (CAST(?2 AS TEXT) IS NULL OR EXISTS (
                 SELECT * FROM image JOIN file USING (file_id)
                 WHERE image.multiframe_id = supersession.multiframe_id AND file.frame_name = ?2))
         ORDER BY 1, 2",
    )?;
    let rows = select.query_map(params![delivery, file.map(frame_name)], |r| {
        Ok((r.get(0)?, crate::rounds::parsed::<UseCase>(r, 1)?, r.get(2)?))
    })?;
    let mut superseded: Vec<(i64, UseCase, i64)> = rows.collect::<Result<_, _>>()?;
    superseded.retain(|(_, use_case, _)| use_cases.is_empty() || use_cases.contains(use_case));
    let of_detections = use_cases.is_empty() || use_cases.contains(&UseCase::Catalogue);
    let uncovered = match of_detections {
        true => detectors::with_supersessions(tx, delivery, file)?,
        false => BTreeSet::new(),
    };
    if superseded.is_empty() && uncovered.is_empty() {
        return Err(ArchiveFault::Conflict(format!(
            "no decision to end older products in favour of {name} is in force"
        )));
    }
    let event = history::next_event(tx)?;
    record_act(tx, delivery, event, Act::Restore, cause, now)?;
    detectors::undo_supersessions(tx, &uncovered, event)?;
    for (multiframe, use_case, decided) in &superseded {
        tx.prepare_cached(
            "UPDATE supersession SET undone_event = ?4 WHERE multiframe_id = ?1 AND use_case = ?2 AND event_id = ?3",
        )?
        .execute(params![multiframe, use_case.name(), decided, event.get()])?;
    }
    settle(
        tx,
        site,
        delivery,
        event,
        (&format!("{name}: older products are current again"), cause),
        now,
    )?;
    let mut kept = of_processings(tx, delivery)?;
    kept.retain(|kept| match kept.is_of_own_catalogue() {
        true => uncovered.contains(&kept.multiframe.get()),
        false => {
            let key = (kept.multiframe.get(), kept.use_case);
            superseded.iter().any(|(m, u, _)| (*m, *u) == key)
        }
    });
    Ok(Supersession { event: Some(event), products: records(tx, &kept)? })
}

/// Records an event about a delivery that belongs to no round.
fn record_act(
    tx: &Connection,
    delivery: i64,
    event: EventId,
    act: Act,
    cause: &Cause,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    let unit: i64 = tx.query_row(
        &format!(
            "SELECT min(unit_id) FROM unit WHERE delivery_id = ?1 AND use_case IN ({})",
            product_names::describing()
        ),
        [delivery],
        |r| r.get(0),
    )?;
    history::record_event(tx, event, act, Some(unit), cause, now)
}

fn settle(
    tx: &Connection,
    site: &Site,
    delivery: i64,
    event: EventId,
    (what, cause): (&str, &Cause),
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    let mut changes = Changes::begin(tx, site, event, None)?;
    products::settle(tx, delivery, Scope::Delivery(delivery), event, &mut changes)?;
    links::relink(tx, event)?;
    changes.finish(now, &format!("{what}: {}", cause.why))
}

/// Makes the shown products match the published ones, delivery by delivery, for `verify --repair`. Returns the deliveries.
pub fn realign(
    tx: &Connection,
    site: &Site,
    multiframes: &[i64],
    cause: &Cause,
    now: Timestamp,
) -> Result<Vec<String>, ArchiveFault> {
    let mut deliveries: BTreeMap<i64, String> = BTreeMap::new();
    for multiframe in multiframes {
        let (id, name) = tx
            .prepare_cached(
                "SELECT delivery_id, delivery.name FROM image JOIN file USING (file_id) JOIN delivery USING (delivery_id)
                 WHERE multiframe_id = ?1",
            )?
            .query_row([multiframe], |r| Ok((r.get(0)?, r.get(1)?)))?;
        deliveries.insert(id, name);
    }
    for delivery in deliveries.keys() {
        let event = history::next_event(tx)?;
        record_act(tx, *delivery, event, Act::Restore, cause, now)?;
        described::follow(tx, (*delivery, IMAGES_OF_DELIVERY), event)?;
        settle(
            tx,
            site,
            *delivery,
            event,
            ("the current products were derived again", cause),
            now,
        )?;
    }
    Ok(deliveries.into_values().collect())
}
