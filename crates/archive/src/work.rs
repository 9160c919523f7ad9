//! All data that determine the work to do on a delivery, in a few queries.

use crate::attempts::results::Outcome;
use crate::deliveries::delivery_id;
use crate::error::{ArchiveError, ArchiveFault};
use crate::rounds::{UNIT_COLUMNS, parsed, unit_of};
use crate::time::time_of;
use crate::{Reader, Timestamp};
use engine::{Connection, Optional};
use model::{DeliveryName, UnitKey};
use model::{MultiframeId, UseCase};
use model::{RoundNumber, SurveyName, UnitState};
use rusqlite::params;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The progress of a use case with one image: the latest round that covers the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Round.
    pub round: RoundNumber,
    /// State of the round.
    pub state: UnitState,
    /// Recipe of the round.
    pub recipe: String,
    /// Catalogue version that the round reads.
    pub catalogue_version: Option<i32>,
    /// Outcome of the file; `None` while its task is not done.
    pub outcome: Option<Outcome>,
    /// True when the products of the file's task are still in staging.
    pub is_staged: bool,
}

/// One use case on one image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Latest round that covers the image.
    pub coverage: Option<Coverage>,
    /// The reason why the use case is to be redone; `None` when it is not.
    pub redo: Option<String>,
}

/// A catalogue of a current image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueWork {
    /// 1, 2 … of its image.
    pub version: i32,
    /// Name within the delivery.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Number of rows in all HDUs.
    pub rows: u64,
}

/// A current image of a delivery, with all data that determine the work to do on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageWork {
    /// Its identity.
    pub multiframe_id: MultiframeId,
    /// Name within the delivery.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Name of the survey profile.
    pub survey: SurveyName,
    /// Number of HDUs with pixels.
    pub hdus: u32,
    /// Its programme, once its metadata are ingested.
    pub programme: Option<i32>,
    /// Latest current version of its catalogue.
    pub catalogue: Option<CatalogueWork>,
    /// Progress of each product of which a round covered the image, or is due again.
    pub products: BTreeMap<UseCase, Progress>,
}

impl ImageWork {
    /// Returns the catalogue that a catalogue round is due to read, although earlier rounds have covered the image.
    ///
    /// Returns `None` for images without metadata, for images whose metadata failed or are retracted, and for images whose
    /// detections failed or are retracted: no round reads their catalogues without a decision.
    pub fn waiting_catalogue(&self) -> Option<&CatalogueWork> {
        let catalogue = self.catalogue.as_ref()?;
        let metadata = self.progress(UseCase::Metadata).coverage.as_ref()?;
        let is_other = |c: &Coverage| c.catalogue_version != Some(catalogue.version);
        let is_stuck = |c: &Coverage| matches!(c.state, UnitState::Failed | UnitState::Retracted);
        let has_none = matches!(metadata.outcome, Some(Outcome::Refused | Outcome::Parked));
        if is_stuck(metadata) || has_none && !is_other(metadata) {
            return None;
        }
        let detections = self.progress(UseCase::Catalogue).coverage.as_ref();
        let is_due = detections.is_none_or(|c| is_other(c) && !is_stuck(c));
        is_due.then_some(catalogue)
    }

    /// Returns true when a round that reads the catalogue of the image is running, so that a newer round will follow it.
    pub fn is_in_hand(&self) -> bool {
        let is_over = |s: UnitState| {
            matches!(s, UnitState::Ingested | UnitState::Failed | UnitState::Retracted)
        };
        let of = self.products.iter().filter(|(u, _)| u.product().inputs.catalogues);
        let mut covered = of.filter_map(|(_, progress)| progress.coverage.as_ref());
        covered.any(|c| !is_over(c.state))
    }

    /// Returns the progress of a use case.
    pub fn progress(&self, use_case: UseCase) -> &Progress {
        static NONE: Progress = Progress { coverage: None, redo: None };
        self.products.get(&use_case).unwrap_or(&NONE)
    }
}

/// A round with its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundWork {
    /// The round.
    pub unit: UnitKey,
    /// State of the round.
    pub state: UnitState,
    /// Recipe of the round.
    pub recipe: String,
    /// Total number of tasks.
    pub tasks: u32,
    /// Number of tasks done or given up.
    pub tasks_over: u32,
}

/// All data that determine the work to do on a delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryWork {
    /// Name of the delivery.
    pub delivery: DeliveryName,
    /// Current images, in the order of their names.
    pub images: Vec<ImageWork>,
    /// Current catalogues without image.
    pub unpaired: Vec<String>,
    /// Current catalogues that are refused because their images have several.
    pub ambiguous: Vec<String>,
    /// Rounds, oldest first.
    pub rounds: Vec<RoundWork>,
    /// Time of the latest arrival, while more files are known to be outstanding; `None` otherwise.
    pub arriving: Option<Timestamp>,
}

impl Reader {
    /// Returns all data that determine the work to do on a delivery.
    ///
    /// # Errors
    /// [`ArchiveError`], an unknown delivery among them.
    pub fn delivery_work(&self, delivery: &DeliveryName) -> Result<DeliveryWork, ArchiveError> {
        self.read(format!("list the work of {delivery}"), |c| delivery_work(c, delivery))
    }
}

/// Implements [`crate::Reader::delivery_work`].
pub(crate) fn delivery_work(
    c: &Connection,
    name: &DeliveryName,
) -> Result<DeliveryWork, ArchiveFault> {
    let delivery = delivery_id(c, name)?;
    let mut progress = coverages(c, delivery)?;
    for ((multiframe, use_case), why) in redone(c, delivery)? {
        progress.entry((multiframe, use_case)).or_default().redo = Some(why);
    }
    let mut images = images(c, delivery)?;
    let mut of_image: HashMap<i64, BTreeMap<UseCase, Progress>> = HashMap::new();
    for ((multiframe, use_case), progress) in progress {
        of_image.entry(multiframe).or_default().insert(use_case, progress);
    }
    for image in &mut images {
        image.products = of_image.remove(&image.multiframe_id.get()).unwrap_or_default();
    }
    let (ambiguous, claimed) = ambiguous(c, delivery)?;
    for image in images.iter_mut().filter(|image| claimed.contains(&image.name)) {
        image.catalogue = covered_catalogue(c, image)?;
    }
    Ok(DeliveryWork {
        delivery: name.clone(),
        images,
        unpaired: unpaired(c, delivery)?,
        ambiguous,
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
            round: r.id(2)?,
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
        Ok((r.get(0)?, (r.get(1)?, r.get(2)?, r.name(3)?, r.get(4)?, r.get(9)?), catalogue))
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
            products: BTreeMap::new(),
        });
    }
    Ok(images)
}

/// Parses a stored multiframe id.
pub(crate) fn multiframe_id(raw: i64) -> Result<MultiframeId, ArchiveFault> {
    MultiframeId::new(raw)
        .ok_or_else(|| ArchiveFault::Damaged(format!("{raw} is not a multiframe id")))
}

/// Returns the current catalogues that are refused because their images have several, and these images.
fn ambiguous(
    c: &Connection,
    delivery: i64,
) -> Result<(Vec<String>, HashSet<String>), ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT file_name, coalesce(subject, '') FROM refusal
         WHERE delivery_id = ?1 AND code = 'catalogue_ambiguous' AND state <> 'resolved' ORDER BY file_name",
    )?;
    let rows = select.query_map([delivery], |r| Ok((r.get(0)?, r.get(1)?)))?;
    let pairs: Vec<(String, String)> = rows.collect::<Result<_, _>>()?;
    let (mut catalogues, images): (Vec<_>, HashSet<_>) = pairs.into_iter().unzip();
    catalogues.dedup();
    Ok((catalogues, images))
}

/// Returns the catalogue of an image that was described with its metadata before another one arrived. The image keeps it while
/// the two are ambiguous, so that its metadata and its detections stay of one catalogue.
fn covered_catalogue(
    c: &Connection,
    image: &ImageWork,
) -> Result<Option<CatalogueWork>, ArchiveFault> {
    let coverage = image.progress(UseCase::Metadata).coverage.as_ref();
    let Some(version) = coverage.and_then(|c| c.catalogue_version) else { return Ok(None) };
    let mut select = c.prepare_cached(
        "SELECT name, bytes, rows FROM catalogue JOIN file USING (file_id)
         WHERE multiframe_id = ?1 AND version = ?2",
    )?;
    let key = params![image.multiframe_id.get(), version];
    let found = select.query_row(key, |r| {
        Ok(CatalogueWork { version, name: r.get(0)?, bytes: r.get(1)?, rows: r.get(2)? })
    });
    Ok(found.optional()?)
}

fn unpaired(c: &Connection, delivery: i64) -> Result<Vec<String>, ArchiveFault> {
    let mut select = c.prepare_cached(
        "SELECT name FROM file WHERE delivery_id = ?1 AND state = 'current' AND kind = 'catalogue'
             AND NOT EXISTS (SELECT * FROM catalogue JOIN image USING (multiframe_id)
                                 JOIN file AS of_image ON of_image.file_id = image.file_id
                             WHERE catalogue.file_id = file.file_id AND of_image.state = 'current')
             AND NOT EXISTS (SELECT * FROM refusal WHERE refusal.file_id = file.file_id
                                 AND refusal.code = 'catalogue_ambiguous' AND refusal.state <> 'resolved')
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
