//! Retraction of a delivery's rounds from the archive, and its undo.
//!
//! A retraction ends the current rows of the delivery and writes one event. It deletes and copies nothing, and no reader waits
//! for it. Its undo reopens the same rows and records the span in which they were not shown. In the same event
//! [`products::settle`] makes the products that the delivery had superseded current, or ends them again.

pub(crate) mod deletions;
pub mod purge;

use crate::deliveries::delivery_id;
use crate::detections::Changes;
use crate::error::{ArchiveError, ArchiveFault};
use crate::history::{self, Act, Cause};
use crate::metadata::links;
use crate::product_names;
use crate::products::{self, Scope, described, detectors, tables_of};
use crate::rounds::{IMAGES, IMAGES_OF_DELIVERY, UNIT_COLUMNS, Unit, move_unit, unit_of};
use crate::site::Site;
use crate::{Archive, Timestamp};
use engine::quoted;
use engine::{Connection, Optional};
use model::{DeliveryName, UnitKey};
use model::{EventId, UnitState, UseCase};
use rusqlite::params;

/// The result of a retraction or of its undo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retracted {
    /// Its event.
    pub event: Option<EventId>,
    /// Rounds that were retracted or restored.
    pub rounds: Vec<UnitKey>,
    /// Rows per table.
    pub rows: Vec<(String, u64)>,
    /// Multiframes of earlier processings that are current again.
    pub shown_again: Vec<i64>,
}

impl Archive {
    /// Retracts rounds of a delivery from all tables and views, in one event: those of some use cases, with what refers to them
    /// (previews and detections follow their metadata), or all. Products that the delivery had superseded become current again.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when nothing of it is in the archive.
    pub fn retract(
        &mut self,
        delivery: &DeliveryName,
        use_cases: &[UseCase],
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Retracted, ArchiveError> {
        let site = self.site.clone();
        self.write("retract", format!("retract {delivery}"), |tx| {
            retract(tx, &site, delivery, use_cases, cause, now)
        })
    }

    /// Restores what was retracted of a delivery, under the same ids, in one event.
    ///
    /// # Errors
    /// [`ArchiveError`]; a conflict when there is nothing to restore, or something was ingested in its place.
    pub fn restore(
        &mut self,
        delivery: &DeliveryName,
        use_cases: &[UseCase],
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Retracted, ArchiveError> {
        let site = self.site.clone();
        self.write("restore", format!("restore {delivery}"), |tx| {
            restore(tx, &site, delivery, use_cases, cause, now)
        })
    }
}

/// Returns some use cases with their dependents: detections and previews refer to metadata.
fn with_dependents(site: &Site, use_cases: &[UseCase]) -> Vec<UseCase> {
    let describes_images = |u: &UseCase| u.product().describes_images();
    let all = use_cases.is_empty() || use_cases.iter().any(describes_images);
    site.products().iter().copied().filter(|u| all || use_cases.contains(u)).collect()
}

/// Implements [`crate::Archive::retract`].
pub(crate) fn retract(
    tx: &Connection,
    site: &Site,
    name: &str,
    use_cases: &[UseCase],
    cause: &Cause,
    now: Timestamp,
) -> Result<Retracted, ArchiveFault> {
    let delivery = delivery_id(tx, name)?;
    let use_cases = with_dependents(site, use_cases);
    let units = units(tx, delivery, UnitState::Ingested, &use_cases)?;
    let Some(first) = units.first() else {
        return Err(ArchiveFault::Conflict(format!("the archive has nothing of {name}")));
    };
    let event = history::next_event(tx)?;
    history::record_event(tx, event, Act::Retract, Some(first.id), cause, now)?;
    let mut retracted = Retracted { event: Some(event), ..Retracted::default() };
    let mut changes = Changes::begin(tx, site, event, None)?;
    for use_case in &use_cases {
        products::retract(tx, delivery, *use_case, event)?;
        end_retracted(tx, *use_case, event, &mut retracted)?;
        if use_case.product().is_by_detector() {
            let detectors = detectors::retract(tx, delivery, event)?;
            retracted.count("detection_all", changes.end_detectors(&detectors)?);
        }
    }
    files::crash_point("retract:ended");
    for unit in &units {
        move_unit(tx, unit, UnitState::Retracted, cause, now)?;
        tx.execute(
            "INSERT INTO retraction (event_id, unit_id) VALUES (?1, ?2)",
            [event.get(), unit.id],
        )?;
        range_state(tx, unit.id, "ingested", "retracted")?;
        retracted.rounds.push(unit.key.clone());
    }
    let settled = products::settle(tx, delivery, Scope::Delivery(delivery), event, &mut changes)?;
    retracted.shown_again = settled.shown.into_iter().collect();
    links::relink(tx, event)?;
    changes.finish(now, &format!("{name} retracted: {}", cause.why))?;
    Ok(retracted)
}

/// Ends the current rows of the products that an event retracted.
fn end_retracted(
    tx: &Connection,
    use_case: UseCase,
    event: EventId,
    counts: &mut Retracted,
) -> Result<(), ArchiveFault> {
    const ENDED: &str = "SELECT multiframe_id FROM product
         WHERE changed_event = ?1 AND ended_event = ?1 AND state = 'retracted' AND use_case = ?2";
    for table in tables_of(use_case) {
        let ended = tx.execute(
            &format!(
                "UPDATE {} SET end_event = ?1 WHERE end_event IS NULL AND multiframe_id IN ({ENDED})",
                quoted(&table)
            ),
            params![event.get(), use_case.name()],
        )?;
        counts.count(&table, ended as u64);
    }
    Ok(())
}

/// Implements [`crate::Archive::restore`].
pub(crate) fn restore(
    tx: &Connection,
    site: &Site,
    name: &str,
    use_cases: &[UseCase],
    cause: &Cause,
    now: Timestamp,
) -> Result<Retracted, ArchiveFault> {
    let delivery = delivery_id(tx, name)?;
    let wanted = with_dependents(site, use_cases);
    let wanted = if use_cases.is_empty() { site.products().to_vec() } else { wanted };
    let units = units(tx, delivery, UnitState::Retracted, &wanted)?;
    let mut out: Vec<(Unit, i64)> = Vec::new();
    let mut is_any_out = false;
    for unit in units {
        let Some(event) = open_retraction(tx, unit.id)? else { continue };
        is_any_out = true;
        // Rounds whose rows were replaced by a later ingest are not restored.
        if can_return(tx, &unit)? {
            out.push((unit, event));
        }
    }
    let Some((first, _)) = out.first() else {
        return Err(ArchiveFault::Conflict(if is_any_out {
            format!(
                "the retracted rows of {name} were ingested again since: retract the new ones first"
            )
        } else {
            format!("{name} has no retracted rows to restore")
        }));
    };
    let event = history::next_event(tx)?;
    history::record_event(tx, event, Act::Restore, Some(first.id), cause, now)?;
    let mut changes = Changes::begin(tx, site, event, None)?;
    let mut restored = Retracted { event: Some(event), ..Retracted::default() };
    for (unit, _) in &out {
        products::restore(tx, unit.id, unit.key.use_case)?;
        if unit.key.use_case.product().is_by_detector() {
            detectors::restore(tx, unit.id)?;
        }
    }
    check_metadata(tx, name, delivery)?;
    for (table, rows) in described::follow(tx, (delivery, IMAGES_OF_DELIVERY), event)? {
        restored.count(&format!("{table}_all"), rows);
    }
    for (unit, ended_by) in &out {
        move_unit(tx, unit, UnitState::Ingested, cause, now)?;
        tx.execute(
            "UPDATE retraction SET undone_event = ?3 WHERE event_id = ?1 AND unit_id = ?2",
            [*ended_by, unit.id, event.get()],
        )?;
        range_state(tx, unit.id, "retracted", "ingested")?;
        restored.rounds.push(unit.key.clone());
    }
    let settled = products::settle(tx, delivery, Scope::Delivery(delivery), event, &mut changes)?;
    for (table, rows) in &settled.opened {
        restored.count(table, *rows);
    }
    for (unit, _) in &out {
        products::mark_restored(tx, unit.id, unit.key.use_case, event)?;
    }
    links::relink(tx, event)?;
    changes.finish(now, &format!("{name} restored: {}", cause.why))?;
    Ok(restored)
}

/// Returns true when undoing a delivery's retraction would restore something.
pub(crate) fn can_come_back(
    c: &Connection,
    site: &Site,
    delivery: i64,
) -> Result<bool, ArchiveFault> {
    for unit in units(c, delivery, UnitState::Retracted, site.products())? {
        if open_retraction(c, unit.id)?.is_some() && can_return(c, &unit)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns true when something of a round can be restored: a retracted product (for detections, those of some detector). A round
/// without products can be restored as well.
fn can_return(tx: &Connection, unit: &Unit) -> Result<bool, ArchiveFault> {
    let of = match unit.key.use_case.product().is_by_detector() {
        true => "product_detector WHERE CAST(?2 AS TEXT) IS NOT NULL",
        false => "product WHERE use_case = ?2",
    };
    let (products, retracted): (u64, u64) = tx
        .prepare_cached(&format!(
            "SELECT count(*), coalesce(sum(CASE state WHEN 'retracted' THEN 1 ELSE 0 END), 0)
             FROM {of} AND multiframe_id IN ({IMAGES})"
        ))?
        .query_row(params![unit.id, unit.key.use_case.name()], |r| Ok((r.get(0)?, r.get(1)?)))?;
    Ok(products == 0 || retracted > 0)
}

/// Checks that metadata are not retracted while previews or detections refer to them.
fn check_metadata(tx: &Connection, name: &str, delivery: i64) -> Result<(), ArchiveFault> {
    let refers: bool = tx
        .prepare_cached(&format!(
            "SELECT EXISTS (
                 SELECT * FROM file JOIN image USING (file_id) JOIN product USING (multiframe_id)
                 WHERE file.delivery_id = ?1 AND product.use_case NOT IN ({describing}) AND product.state <> 'retracted'
                     AND EXISTS (SELECT * FROM product AS described
                                 WHERE described.multiframe_id = image.multiframe_id
                                     AND described.use_case IN ({describing}) AND described.state = 'retracted'))",
            describing = product_names::describing()
        ))?
        .query_row([delivery], |r| r.get(0))?;
    if refers {
        return Err(ArchiveFault::Conflict(format!(
            "the metadata of {name} are retracted, and the other rows refer to them: restore them too"
        )));
    }
    Ok(())
}

fn units(
    tx: &Connection,
    delivery: i64,
    state: UnitState,
    use_cases: &[UseCase],
) -> Result<Vec<Unit>, ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT {UNIT_COLUMNS} FROM unit JOIN delivery USING (delivery_id)
         WHERE unit.delivery_id = ?1 AND unit.state = ?2"
    ))?;
    let rows = select.query_map(params![delivery, state.name()], unit_of)?;
    let mut units: Vec<Unit> = rows.collect::<Result<_, _>>()?;
    units.sort_by_key(|u| (model::products::place(u.key.use_case), u.key.round));
    Ok(units.into_iter().filter(|u| use_cases.contains(&u.key.use_case)).collect())
}

/// Returns the event that retracted a round, as long as the round can be restored.
fn open_retraction(tx: &Connection, unit: i64) -> Result<Option<i64>, ArchiveFault> {
    Ok(tx
        .prepare_cached(
            "SELECT event_id FROM retraction WHERE unit_id = ?1 AND undone_event IS NULL AND purged IS NULL
             ORDER BY event_id DESC LIMIT 1",
        )?
        .query_row([unit], |r| r.get(0))
        .optional()?)
}

fn range_state(tx: &Connection, unit: i64, from: &str, to: &str) -> Result<(), ArchiveFault> {
    tx.execute(
        "UPDATE id_range SET state = ?3 WHERE unit_id = ?1 AND state = ?2",
        params![unit, from, to],
    )?;
    Ok(())
}

impl Retracted {
    fn count(&mut self, table: &str, rows: u64) {
        if rows > 0 {
            let name = table.trim_end_matches("_all").to_owned();
            self.rows.push((name, rows));
        }
    }
}
