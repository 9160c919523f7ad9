//! Facts for `explain` about object ids and positions, and about the events that ended rows.

use crate::error::ArchiveFault;
use crate::explain::sheets::{
    DetectorFactsheet, Ending, ObjectFactsheet, PositionFactsheet, SupersessionDecision,
    UndoneDecision,
};
use crate::history::Cause;
use crate::products;
use crate::rounds::parsed;
use crate::time::time_of;
use engine::{Connection, Optional, Row, ToSql};
use model::{DeliveryName, EventId, MultiframeId, ObjectId, UnitKey, UseCase};
use rusqlite::params;
use sky::{SkyPolygon, SkyPosition, UnitVector};

/// Returns the event that ended rows of a product of a multiframe, found by a query; `None` when the query returns none.
pub(crate) fn ending(
    c: &Connection,
    sql: &str,
    values: &[&dyn ToSql],
    (multiframe, use_case): (MultiframeId, UseCase),
) -> Result<Option<Ending>, ArchiveFault> {
    let event = c.prepare_cached(sql)?.query_row(values, |r| r.optional_id(0))?;
    event.map_or(Ok(None), |event| end_of(c, event, (multiframe, use_case)))
}

/// Returns the reason why rows of a product of a multiframe that ended in an event are not shown. That event may have been a
/// retraction that has been undone, or may have preceded a retraction that is in force.
fn end_of(
    c: &Connection,
    ended: EventId,
    (multiframe, use_case): (MultiframeId, UseCase),
) -> Result<Option<Ending>, ArchiveFault> {
    let Some(first) = recorded(c, ended)? else { return Ok(None) };
    let product = Product::of(c, multiframe, use_case)?.filter(|p| p.ended == Some(ended));
    let Some(product) = product else { return Ok(Some(first)) };
    let supersession = decision(c, &first, multiframe, use_case)?;
    let is_retraction = product.state == "retracted";
    let event = match is_retraction {
        true => retraction(c, (multiframe, use_case), None)?.unwrap_or(ended),
        // The retraction is undone, so the rows have been superseded since its undo.
        false if retraction(c, (multiframe, use_case), Some(ended))?.is_some() => product.changed,
        false => ended,
    };
    let Some(last) = recorded(c, event)? else { return Ok(None) };
    let newer = products::newer_with(c, multiframe, use_case)?;
    let frames = newer.into_iter().map(|newer| frame(c, newer)).collect::<Result<Vec<_>, _>>()?;
    let of_event = frames.iter().rfind(|frame| frame.0 == last.delivery);
    let successor = of_event.or(frames.last()).cloned();
    Ok(Some(Ending { is_retraction, successor, supersession, ..last }))
}

/// Returns an event that ended rows; `None` when there is no such event.
fn recorded(c: &Connection, event: EventId) -> Result<Option<Ending>, ArchiveFault> {
    let found = c
        .prepare_cached(
            "SELECT act, happened, event.who, event.why, delivery.name
             FROM event LEFT JOIN unit USING (unit_id) LEFT JOIN delivery USING (delivery_id) WHERE event_id = ?1",
        )?
        .query_row([event.get()], |r| {
            let texts: [String; 4] = [r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?];
            Ok((texts, r.name_if_any(4)?.unwrap_or_default()))
        })
        .optional()?;
    let Some(([act, happened, who, why], delivery)) = found else { return Ok(None) };
    let happened = time_of(&happened)?;
    let (is_retraction, successor, supersession) = (false, None, None);
    Ok(Some(Ending {
        event,
        act,
        happened,
        who,
        why,
        delivery,
        is_retraction,
        successor,
        supersession,
    }))
}

/// The record of a product of an image.
struct Product {
    state: String,
    ended: Option<EventId>,
    changed: EventId,
}

impl Product {
    fn of(
        c: &Connection,
        multiframe: MultiframeId,
        use_case: UseCase,
    ) -> Result<Option<Self>, ArchiveFault> {
        let mut select = c.prepare_cached(
            "SELECT state, ended_event, changed_event FROM product WHERE multiframe_id = ?1 AND use_case = ?2",
        )?;
        let product = |r: &Row<'_>| {
            Ok(Self { state: r.get(0)?, ended: r.optional_id(1)?, changed: r.id(2)? })
        };
        Ok(select.query_row(params![multiframe.get(), use_case.name()], product).optional()?)
    }
}

/// Returns the latest retraction of a round that covers an image: the one in force, or that of a given event, in force or not.
fn retraction(
    c: &Connection,
    (multiframe, use_case): (MultiframeId, UseCase),
    event: Option<EventId>,
) -> Result<Option<EventId>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT max(retraction.event_id) FROM task_input JOIN task USING (task_id) JOIN unit USING (unit_id)
             JOIN retraction USING (unit_id)
         WHERE task_input.multiframe_id = ?1 AND unit.use_case = ?2
             AND CASE WHEN CAST(?3 AS BIGINT) IS NULL THEN retraction.undone_event IS NULL
                      ELSE retraction.event_id = ?3 END",
    )?;
    let values = params![multiframe.get(), use_case.name(), event.map(EventId::get)];
    Ok(select.query_row(values, |r| r.optional_id(0))?)
}

/// Returns the delivery and the file of an image, with its number.
fn frame(
    c: &Connection,
    multiframe: MultiframeId,
) -> Result<(DeliveryName, String, MultiframeId), ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT delivery.name, file.name FROM image JOIN file USING (file_id) JOIN delivery USING (delivery_id)
         WHERE multiframe_id = ?1",
    )?;
    Ok(select.query_row([multiframe.get()], |r| Ok((r.name(0)?, r.get(1)?, multiframe)))?)
}

/// Returns the decision in force that ended rows of a product of a multiframe in an event. That event is the one of the decision,
/// or one in which the newer frame was restored while it lacked the product. Metadata end with the last product that kept them.
fn decision(
    c: &Connection,
    end: &Ending,
    multiframe: MultiframeId,
    of: UseCase,
) -> Result<Option<SupersessionDecision>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT supersession.use_case, file.name, supersession.event_id, happened, event.who, event.why, delivery.name, product.state,
             own.name, product.ended_event
         FROM supersession JOIN event ON event.event_id = supersession.event_id
             JOIN unit ON unit.unit_id = event.unit_id JOIN delivery ON delivery.delivery_id = unit.delivery_id
             JOIN image ON image.multiframe_id = supersession.multiframe_id JOIN file ON file.file_id = image.file_id
             JOIN delivery AS own ON own.delivery_id = file.delivery_id
             JOIN product ON product.multiframe_id = supersession.multiframe_id AND product.use_case = supersession.use_case
         WHERE supersession.multiframe_id = ?1 AND undone_event IS NULL
         ORDER BY supersession.use_case",
    )?;
    let rows = select.query_map([multiframe.get()], |r| {
        let texts: [String; 5] = [r.get(1)?, r.get(3)?, r.get(4)?, r.get(5)?, r.get(7)?];
        let deliveries: [DeliveryName; 2] = [r.name(6)?, r.name(8)?];
        let numbers = (r.id::<EventId>(2)?, r.optional_id::<EventId>(9)?);
        Ok((parsed::<UseCase>(r, 0)?, texts, deliveries, numbers))
    })?;
    for (use_case, texts, [newer, own], (decided, ended)) in rows.collect::<Result<Vec<_>, _>>()? {
        let [file, happened, who, why, state] = texts;
        if of != UseCase::Metadata && of != use_case {
            continue;
        }
        let is_replaced = !products::newer_with(c, multiframe, use_case)?.is_empty();
        let is_kept_out = ended == Some(end.event) && !is_replaced;
        if decided == end.event || is_kept_out && (state == "superseded" || end.act != "retract") {
            let happened = time_of(&happened)?;
            let retracted = (state == "retracted").then_some(own);
            return Ok(Some(SupersessionDecision {
                use_case,
                file,
                event: decided,
                happened,
                who,
                why,
                newer,
                ext_nums: Vec::new(),
                retracted,
                is_replaced,
            }));
        }
    }
    let found = superseded_detectors(c, multiframe)?;
    let found = found.filter(|d| of == UseCase::Metadata || of == d.use_case);
    Ok(found.filter(|d| d.event == end.event || end.act != "retract" && !d.is_replaced))
}

/// Returns the latest decision in force about detections of an image that its own newer catalogue lacks, with the detectors of
/// all such decisions.
pub(crate) fn superseded_detectors(
    c: &Connection,
    multiframe: MultiframeId,
) -> Result<Option<SupersessionDecision>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT held.ext_num, event.event_id, file.name, event.happened, event.who, event.why, delivery.name, held.state
         FROM product_detector AS held JOIN event ON event.event_id = held.supersession_event
             JOIN image ON image.multiframe_id = held.multiframe_id JOIN file ON file.file_id = image.file_id
             JOIN delivery ON delivery.delivery_id = file.delivery_id
         WHERE held.multiframe_id = ?1 AND held.uncovered_event IS NOT NULL
         ORDER BY event.event_id, held.ext_num",
    )?;
    let rows = select.query_map([multiframe.get()], |r| {
        let texts: [String; 5] = [r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?, r.get(7)?];
        Ok((r.get::<i64>(0)?, r.id::<EventId>(1)?, texts, r.name::<DeliveryName>(6)?))
    })?;
    let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
    let mut ext_nums: Vec<i64> = rows.iter().map(|(ext_num, ..)| *ext_num).collect();
    ext_nums.sort_unstable();
    let Some((_, event, [file, happened, who, why, state], newer)) = rows.into_iter().next_back()
    else {
        return Ok(None);
    };
    Ok(Some(SupersessionDecision {
        use_case: UseCase::Catalogue,
        file,
        event,
        happened: time_of(&happened)?,
        who,
        why,
        retracted: (state == "retracted").then(|| newer.clone()),
        newer,
        ext_nums,
        is_replaced: !products::newer_with(c, multiframe, UseCase::Catalogue)?.is_empty(),
    }))
}

/// Returns the undone decisions about detections of an image that its own newer catalogue lacks, oldest first.
pub(crate) fn undone_decisions(
    c: &Connection,
    multiframe: MultiframeId,
) -> Result<Vec<UndoneDecision>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT held.ext_num, decided.event_id, decided.happened, decided.who, decided.why,
             undo.event_id, undo.happened, undo.who, undo.why
         FROM product_detector AS held JOIN event AS decided ON decided.event_id = held.undone_supersession
             JOIN event AS undo ON undo.event_id = held.undone_event
         WHERE held.multiframe_id = ?1 ORDER BY 2, 6, 1",
    )?;
    let mut rows = select.query([multiframe.get()])?;
    let mut found: Vec<UndoneDecision> = Vec::new();
    while let Some(row) = rows.next()? {
        let (event, undone_event) = (row.id::<EventId>(1)?, row.id::<EventId>(5)?);
        if let Some(last) = found.last_mut()
            && (last.event, last.undone_event) == (event, undone_event)
        {
            last.ext_nums.push(row.get(0)?);
            continue;
        }
        found.push(UndoneDecision {
            ext_nums: vec![row.get(0)?],
            event,
            happened: time_of(&row.get::<String>(2)?)?,
            cause: Cause::new(row.get::<String>(3)?, row.get::<String>(4)?),
            undone_event,
            undone: time_of(&row.get::<String>(6)?)?,
            undo_cause: Cause::new(row.get::<String>(7)?, row.get::<String>(8)?),
        });
    }
    Ok(found)
}

/// Returns an object id in each programme that assigned it.
pub(crate) fn objects(
    c: &Connection,
    obj_id: ObjectId,
) -> Result<Vec<ObjectFactsheet>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT id_range.programme_id, coalesce(programme.name, ''), id_range.state, id_range.why, delivery.name,
             unit.use_case, unit.round
         FROM programme_counter JOIN id_range ON id_range.programme_id = programme_counter.programme_id
                 AND lake_table = 'detection' AND id_range.first_id = (SELECT max(first_id) FROM id_range AS r
                     WHERE r.lake_table = 'detection' AND r.programme_id = programme_counter.programme_id AND r.first_id <= ?1)
             JOIN unit USING (unit_id) JOIN delivery USING (delivery_id)
             LEFT JOIN programme ON programme.programme_id = id_range.programme_id
         WHERE id_range.last_id >= ?1 ORDER BY id_range.programme_id",
    )?;
    let rows = select.query_map([obj_id.get()], |r| {
        let delivery: DeliveryName = r.name(4)?;
        let round =
            UnitKey { delivery: delivery.clone(), use_case: parsed(r, 5)?, round: r.id(6)? };
        let sheet = ObjectFactsheet {
            obj_id,
            programme: r.get::<String>(1)?.parse().ok(),
            state: r.parsed(2)?,
            why: r.get(3)?,
            round,
            delivery,
            detector: None,
            end: None,
        };
        Ok((r.get::<i64>(0)?, sheet))
    })?;
    let found: Vec<(i64, ObjectFactsheet)> = rows.collect::<Result<_, _>>()?;
    let mut sheets = Vec::new();
    for (programme, mut sheet) in found {
        let detector = c
            .prepare_cached(
                "SELECT delivery.name, file.name, detector_rows.multiframe_id, ext_num, end_event FROM detector_rows
                     JOIN image ON image.multiframe_id = detector_rows.multiframe_id
                     JOIN file ON file.file_id = image.file_id
                     JOIN delivery ON delivery.delivery_id = file.delivery_id
                 WHERE programme_id = ?1 AND first_obj_id <= ?2 AND first_obj_id + detector_rows.rows > ?2
                 ORDER BY first_obj_id DESC LIMIT 1",
            )?
            .query_row([programme, obj_id.get()], |r| {
                let place: (String, String, MultiframeId, i64) =
                    (r.get(0)?, r.get(1)?, r.id(2)?, r.get(3)?);
                Ok((place, r.optional_id(4)?))
            })
            .optional()?;
        if let Some((place, ended)) = detector {
            if let Some(event) = ended {
                sheet.end = end_of(c, event, (place.2, UseCase::Catalogue))?;
            }
            sheet.detector = Some(place);
        }
        sheets.push(sheet);
    }
    Ok(sheets)
}

/// A detector whose outline may include a position.
struct Outline {
    multiframe: MultiframeId,
    ext_num: i64,
    ended: Option<EventId>,
    polygon: Option<SkyPolygon>,
}

/// Returns the detectors that include a position, the latest multiframes in detail; `None` when the position is invalid.
pub(crate) fn position(
    c: &Connection,
    (ra_deg, dec_deg): (f64, f64),
    at_most: usize,
) -> Result<Option<PositionFactsheet>, ArchiveFault> {
    let Some(position) = SkyPosition::new(ra_deg, dec_deg) else { return Ok(None) };
    let direction = position.unit_vector();
    let mut select = c.prepare_cached(
        "SELECT multiframe_id, ext_num, end_event, edge_padding, ra1, dec1, ra2, dec2, ra3, dec3, ra4, dec4
         FROM astrometry_all WHERE min_dec <= ?1 AND max_dec >= ?1 AND cap_radius IS NOT NULL
         ORDER BY multiframe_id DESC, ext_num, coalesce(end_event, 9223372036854775807) DESC",
    )?;
    let rows = select.query_map([dec_deg], outline)?;
    let (mut holding, mut seen): (Vec<Outline>, Option<(MultiframeId, i64)>) = (Vec::new(), None);
    for row in rows {
        let outline = row?;
        // For a detector whose rows were made again, the latest rows count.
        let key = (outline.multiframe, outline.ext_num);
        if seen == Some(key) {
            continue;
        }
        seen = Some(key);
        if outline.polygon.as_ref().is_some_and(|polygon| polygon.contains(direction)) {
            holding.push(outline);
        }
    }
    let current = holding.iter().filter(|o| o.ended.is_none()).count() as u64;
    let ended = holding.len() as u64 - current;
    let mut detectors = Vec::new();
    for outline in holding.iter().take(at_most) {
        detectors.push(detector(c, outline)?);
    }
    Ok(Some(PositionFactsheet { ra_deg, dec_deg, current, ended, detectors }))
}

fn outline(r: &Row<'_>) -> engine::Result<Outline> {
    let mut corners = [None::<UnitVector>; 4];
    for (n, corner) in corners.iter_mut().enumerate() {
        let (ra, dec): (Option<f64>, Option<f64>) = (r.get(4 + 2 * n)?, r.get(5 + 2 * n)?);
        *corner = ra.zip(dec).and_then(|(ra, dec)| Some(SkyPosition::new(ra, dec)?.unit_vector()));
    }
    let padding: f64 = r.get::<Option<f64>>(3)?.unwrap_or(0.0);
    let polygon = match corners {
        [Some(a), Some(b), Some(c), Some(d)] => Some(SkyPolygon::new([a, b, c, d], padding)),
        _ => None,
    };
    Ok(Outline { multiframe: r.id(0)?, ext_num: r.get(1)?, ended: r.optional_id(2)?, polygon })
}

fn detector(c: &Connection, outline: &Outline) -> Result<DetectorFactsheet, ArchiveFault> {
    let (delivery, file): (DeliveryName, String) = c
        .prepare_cached(
            "SELECT delivery.name, file.name FROM image JOIN file USING (file_id) JOIN delivery USING (delivery_id)
             WHERE multiframe_id = ?1",
        )?
        .query_row([outline.multiframe.get()], |r| Ok((r.name(0)?, r.get(1)?)))?;
    let detections: u64 = c
        .prepare_cached(
            "SELECT coalesce(sum(rows), 0) FROM detector_rows
             WHERE multiframe_id = ?1 AND ext_num = ?2 AND end_event IS NULL",
        )?
        .query_row(params![outline.multiframe.get(), outline.ext_num], |r| r.get(0))?;
    let end = match outline.ended {
        Some(event) => end_of(c, event, (outline.multiframe, UseCase::Metadata))?,
        None => None,
    };
    Ok(DetectorFactsheet {
        delivery,
        file,
        multiframe_id: outline.multiframe,
        ext_num: outline.ext_num,
        detections,
        end,
    })
}
