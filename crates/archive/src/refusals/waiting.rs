//! Parked refusals of waiting catalogues: without image, with an image whose metadata were refused, or with one that has another
//! catalogue.

use crate::Timestamp;
use crate::error::ArchiveFault;
use crate::history::Cause;
use crate::product_names;
use crate::refusals::met::{self, Met};
use crate::refusals::{RefusalState, Stage, move_refusal};
use crate::registration::pairing::Ambiguity;
use engine::Connection;
use model::{FileId, Refusal, RefusalCode, SurveyName, UseCase};
use rusqlite::params;
use std::collections::BTreeMap;

/// Code of a catalogue without image.
const IMAGE_ABSENT: RefusalCode = RefusalCode::IMAGE_ABSENT;
/// Code of a catalogue whose image has no metadata because they were refused or are parked.
const METADATA_REFUSED: RefusalCode = RefusalCode::METADATA_REFUSED;

/// Code of a catalogue whose image has another catalogue.
const AMBIGUOUS: RefusalCode = RefusalCode::CATALOGUE_AMBIGUOUS;
/// The codes of waiting catalogues, as SQL literals.
pub(crate) const CODES: &str = "'image_absent', 'metadata_refused', 'catalogue_ambiguous'";

/// The numbers of new and resolved refusals.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    pub new: u64,
    pub resolved: u64,
}

/// Finds the name of a refused image by name and survey of its catalogue.
pub(crate) type RefusedImage<'a> = dyn Fn(&str, Option<&SurveyName>) -> Option<String> + 'a;

/// An open or retried refusal of a waiting catalogue.
struct Said {
    refusal: i64,
    file: FileId,
    is_open: bool,
}

/// Compares the waiting catalogues with their parked refusals, and updates the refusals. A refusal keeps its number while a
/// catalogue of its name waits for the same reason, whatever else arrives. `ambiguous` are the catalogues of images that have
/// several; `None` keeps those that are refused already.
pub(crate) fn settle(
    tx: &Connection,
    delivery: i64,
    ambiguous: Option<&BTreeMap<FileId, Ambiguity>>,
    refused_image: &RefusedImage<'_>,
    now: Timestamp,
) -> Result<Settled, ArchiveFault> {
    let refused = match ambiguous {
        Some(_) => BTreeMap::new(),
        None => refused_as_ambiguous(tx, delivery)?,
    };
    let waiting = waiting(tx, delivery, ambiguous.unwrap_or(&refused), refused_image)?;
    // While more files are known to be outstanding, the image may be among them: no new refusal is recorded, but earlier ones
    // stay.
    let is_awaited: bool = tx
        .prepare_cached("SELECT awaited IS NOT NULL FROM delivery WHERE delivery_id = ?1")?
        .query_row([delivery], |r| r.get(0))?;
    let mut said = said(tx, delivery)?;
    let mut settled = Settled::default();
    for (file, (name, Reason { code, message, image })) in &waiting {
        let before = said.remove(&(name.clone(), code.to_string()));
        if let Some(Said { refusal, file: of, .. }) =
            before.as_ref().filter(|said| said.file != *file)
        {
            tx.execute(
                "UPDATE refusal SET file_id = ?2 WHERE refusal_id = ?1 AND file_id = ?3",
                [*refusal, file.get(), of.get()],
            )?;
        }
        let is_news = before.is_none() && *code == IMAGE_ABSENT && is_awaited;
        if is_news || before.is_some_and(|said| said.is_open) {
            continue;
        }
        let refusal = Refusal {
            parked: true,
            subject: image.clone(),
            ..Refusal::new(*code, name.clone(), message.clone())
        };
        let stage = Stage::Task(UseCase::Catalogue);
        let met = Met { delivery, stage, unit: None, file: Some(*file), refusal: &refusal };
        settled.new += u64::from(met::note(tx, &met, now)?);
    }
    for ((_, code), said) in said {
        let why = match code == AMBIGUOUS.as_str() {
            true => "the image has no other catalogue now",
            false => "the image and its metadata are available now",
        };
        let cause = Cause::new("register", why);
        move_refusal(tx, said.refusal, RefusalState::Resolved, &cause, now)?;
        settled.resolved += 1;
    }
    Ok(settled)
}

/// Returns the catalogues of a delivery that are refused because their images have several.
fn refused_as_ambiguous(
    tx: &Connection,
    delivery: i64,
) -> Result<BTreeMap<FileId, Ambiguity>, ArchiveFault> {
    let mut select = tx.prepare_cached(
        "SELECT file_id, subject, message FROM refusal
         WHERE delivery_id = ?1 AND code = ?2 AND state <> 'resolved' AND file_id IS NOT NULL AND subject IS NOT NULL",
    )?;
    let rows = select.query_map(params![delivery, AMBIGUOUS.as_str()], |r| {
        Ok((r.id(0)?, Ambiguity { image: r.get(1)?, message: r.get(2)? }))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns the refusals of a delivery's waiting catalogues, by name and code; of several, the open one.
fn said(tx: &Connection, delivery: i64) -> Result<BTreeMap<(String, String), Said>, ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT file_name, code, refusal_id, file_id, state = 'open' FROM refusal
         WHERE delivery_id = ?1 AND state IN ('open', 'retried') AND code IN ({CODES}) AND file_id IS NOT NULL
         ORDER BY state = 'open', refusal_id"
    ))?;
    let rows = select.query_map([delivery], |r| {
        let said = Said { refusal: r.get(2)?, file: r.id(3)?, is_open: r.get(4)? };
        Ok(((r.get(0)?, r.get(1)?), said))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The reason why a catalogue waits.
struct Reason {
    code: RefusalCode,
    message: String,
    /// The image that was refused on arrival, or that has several catalogues; `None` otherwise.
    image: Option<String>,
}

/// Name and reason by file.
type Waiting = BTreeMap<FileId, (String, Reason)>;

/// Lists the current catalogue files that cannot be processed, with the reason.
fn waiting(
    tx: &Connection,
    delivery: i64,
    ambiguous: &BTreeMap<FileId, Ambiguity>,
    refused_image: &RefusedImage<'_>,
) -> Result<Waiting, ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT file.file_id, file.name, file.survey, of_image.name,
             (SELECT CASE WHEN unit.state = 'failed' THEN 'failed' ELSE task_input.outcome END
              FROM task_input JOIN task USING (task_id) JOIN unit USING (unit_id)
              WHERE task_input.multiframe_id = image.multiframe_id AND unit.use_case IN ({describing})
                  AND (task_input.outcome IS NOT NULL OR unit.state = 'failed')
              ORDER BY unit.round DESC LIMIT 1)
         FROM file
             LEFT JOIN catalogue ON catalogue.file_id = file.file_id AND EXISTS (
                 SELECT * FROM image AS i JOIN file AS f ON f.file_id = i.file_id
                 WHERE i.multiframe_id = catalogue.multiframe_id AND f.state = 'current')
             LEFT JOIN image ON image.multiframe_id = catalogue.multiframe_id
             LEFT JOIN file AS of_image ON of_image.file_id = image.file_id
         WHERE file.delivery_id = ?1 AND file.state = 'current'
             AND (file.kind = 'catalogue' OR catalogue.file_id IS NOT NULL)",
        describing = product_names::describing()
    ))?;
    let rows = select.query_map([delivery], |r| {
        Ok((
            r.id::<FileId>(0)?,
            r.get::<String>(1)?,
            r.name_if_any::<SurveyName>(2)?,
            r.get::<Option<String>>(3)?,
            r.get::<Option<String>>(4)?,
        ))
    })?;
    let mut waiting = Waiting::new();
    for row in rows {
        let (file, name, survey, image, outcome) = row?;
        if let Some(Ambiguity { image, message }) = ambiguous.get(&file) {
            let (image, message) = (Some(image.clone()), message.clone());
            waiting.insert(file, (name, Reason { code: AMBIGUOUS, message, image }));
            continue;
        }
        let reason = |code, message| Reason { code, message, image: None };
        let reason = match (image, outcome.as_deref()) {
            (None, _) => match refused_image(&name, survey.as_ref()) {
                Some(image) => Reason {
                    image: Some(image.clone()),
                    ..reason(IMAGE_ABSENT, format!("the image {image} was refused"))
                },
                None => {
                    reason(IMAGE_ABSENT, "the image of the catalogue has not arrived".to_owned())
                }
            },
            (Some(image), Some("refused")) => {
                reason(METADATA_REFUSED, format!("the metadata of the image {image} were refused"))
            }
            (Some(image), Some("parked")) => {
                reason(METADATA_REFUSED, format!("the metadata of the image {image} are parked"))
            }
            (Some(image), Some("failed")) => {
                reason(METADATA_REFUSED, format!("the metadata round of the image {image} failed"))
            }
            _ => continue,
        };
        waiting.insert(file, (name, reason));
    }
    Ok(waiting)
}
