//! All data that determine the work to do on a delivery, in a few queries.

use super::registration::delivery_id;
use super::rounds::{UNIT_COLUMNS, parsed, unit_of};
use super::time::time_of;
use crate::control::records::*;
use crate::error::ArchiveFault;
use engine::{Connection, Optional};
use model::{MultiframeId, UseCase};
use std::collections::HashMap;

/// Implements [`crate::Queue::delivery_work`].
pub(super) fn delivery_work(c: &Connection, name: &str) -> Result<DeliveryWork, ArchiveFault> {
    let delivery = delivery_id(c, name)?;
    let mut progress = coverages(c, delivery)?;
    for ((multiframe, use_case), why) in redone(c, delivery)? {
        progress.entry((multiframe, use_case)).or_default().redo = Some(why);
    }
    let mut images = images(c, delivery)?;
    for image in &mut images {
        let mut take =
            |use_case| progress.remove(&(image.multiframe_id.get(), use_case)).unwrap_or_default();
        image.preview = take(UseCase::Preview);
        image.metadata = take(UseCase::Metadata);
        image.catalogue_progress = take(UseCase::Catalogue);
    }
    Ok(DeliveryWork {
        delivery: name.to_owned(),
        images,
        unpaired: unpaired(c, delivery)?,
        rounds: rounds(c, delivery)?,
        arriving: arriving(c, delivery)?,
    })
}

fn arriving(c: &Connection, delivery: i64) -> Result<Option<Timestamp>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT last_arrival FROM delivery WHERE delivery_id = ?1 AND awaited IS NOT NULL",
    )?;
    let latest: Option<String> = select.query_row([delivery], |r| r.get(0)).optional()?;
    latest.as_deref().map(time_of).transpose()
}

type Key = (i64, UseCase);

fn coverages(c: &Connection, delivery: i64) -> Result<HashMap<Key, Progress>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT task_input.multiframe_id, unit.use_case, unit.round, unit.state, unit.recipe,
             task_input.catalogue_version, task_input.outcome,
             EXISTS (SELECT * FROM attempt WHERE attempt.task_id = task.task_id AND number = task.result_attempt
                         AND swept = 0)
         FROM unit JOIN task USING (unit_id) JOIN task_input USING (task_id)
         WHERE unit.delivery_id = ?1 ORDER BY unit.round",
    )?;
    let rows = select.query_map([delivery], |r| {
        let outcome: Option<String> = r.get(6)?;
        let coverage = Coverage {
            round: r.get(2)?,
            state: parsed(r, 3)?,
            recipe: r.get(4)?,
            catalogue_version: r.get(5)?,
            outcome: outcome.as_deref().and_then(Outcome::named),
            is_staged: r.get(7)?,
        };
        Ok(((r.get(0)?, parsed(r, 1)?), coverage))
    })?;
    let mut latest: HashMap<Key, Progress> = HashMap::new();
    for row in rows {
        let (key, coverage) = row?;
        latest.entry(key).or_default().coverage = Some(coverage);
    }
    Ok(latest)
}

fn redone(c: &Connection, delivery: i64) -> Result<Vec<(Key, String)>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT image.multiframe_id, redo.use_case, redo.why
         FROM redo JOIN file USING (file_id) JOIN image USING (file_id)
         WHERE file.delivery_id = ?1 AND redo.unit_id IS NULL",
    )?;
    let rows = select.query_map([delivery], |r| Ok(((r.get(0)?, parsed(r, 1)?), r.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn images(c: &Connection, delivery: i64) -> Result<Vec<ImageWork>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT image.multiframe_id, file.name, file.bytes, coalesce(file.survey, ''), file.hdus,
             version, of_catalogue.name, of_catalogue.bytes, of_catalogue.rows,
             (SELECT min(programme_id) FROM programme_frame WHERE programme_frame.multiframe_id = image.multiframe_id)
         FROM file JOIN image USING (file_id)
             LEFT JOIN catalogue ON catalogue.multiframe_id = image.multiframe_id AND version = (
                 SELECT max(latest.version) FROM catalogue AS latest JOIN file AS f USING (file_id)
                 WHERE latest.multiframe_id = image.multiframe_id AND f.state = 'current')
             LEFT JOIN file AS of_catalogue ON of_catalogue.file_id = catalogue.file_id
         WHERE file.delivery_id = ?1 AND file.state = 'current' AND file.kind = 'image'
         ORDER BY file.name",
    )?;
    let rows = select.query_map([delivery], |r| {
        let catalogue = match r.get(5)? {
            None => None,
            Some(version) => {
                Some(CatalogueWork { version, name: r.get(6)?, bytes: r.get(7)?, rows: r.get(8)? })
            }
        };
        Ok((r.get(0)?, (r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(9)?), catalogue))
    })?;
    let mut images = Vec::new();
    for row in rows {
        let (id, (name, bytes, survey, hdus, programme), catalogue) = row?;
        images.push(ImageWork {
            multiframe_id: multiframe_id(id)?,
            name,
            bytes,
            survey,
            hdus,
            programme,
            catalogue,
            preview: Progress::default(),
            metadata: Progress::default(),
            catalogue_progress: Progress::default(),
        });
    }
    Ok(images)
}

/// Parses a stored multiframe id.
pub(super) fn multiframe_id(raw: i64) -> Result<MultiframeId, ArchiveFault> {
    MultiframeId::new(raw)
        .ok_or_else(|| ArchiveFault::Damaged(format!("{raw} is not a multiframe id")))
}

fn unpaired(c: &Connection, delivery: i64) -> Result<Vec<String>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT name FROM file WHERE delivery_id = ?1 AND state = 'current' AND kind = 'catalogue'
             AND NOT EXISTS (SELECT * FROM catalogue JOIN image USING (multiframe_id)
                                 JOIN file AS of_image ON of_image.file_id = image.file_id
                             WHERE catalogue.file_id = file.file_id AND of_image.state = 'current')
         ORDER BY name",
    )?;
    let rows = select.query_map([delivery], |r| r.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn rounds(c: &Connection, delivery: i64) -> Result<Vec<RoundWork>, ArchiveFault> {
    let mut select = c.prepare_cached(&format!(
        "SELECT {UNIT_COLUMNS}, unit.recipe,
             (SELECT count(*) FROM task WHERE task.unit_id = unit.unit_id),
             (SELECT count(*) FROM task WHERE task.unit_id = unit.unit_id AND task.state <> 'open')
         FROM unit JOIN delivery USING (delivery_id) WHERE unit.delivery_id = ?1 ORDER BY unit.unit_id"
    ))?;
    let rows = select.query_map([delivery], |r| {
        let unit = unit_of(r)?;
        Ok(RoundWork {
            unit: unit.key,
            state: unit.state,
            recipe: r.get(6)?,
            tasks: r.get(7)?,
            tasks_over: r.get(8)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
