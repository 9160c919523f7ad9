//! The survey profile of registered files, chosen again: their identities stay, and what depends on the profile is requested
//! again.

use crate::deliveries::{DeliveryState, delivery_id};
use crate::error::{ArchiveError, ArchiveFault};
use crate::findings::{self, Found};
use crate::history::Cause;
use crate::library::{Content, request_all};
use crate::refusals::{self, Stage, met};
use crate::registration::record::{self, settle_waiting};
use crate::registration::{PairingRule, Recorded, UnusedPatterns, pairing};
use crate::site::Site;
use crate::{Archive, Reader, Timestamp};
use engine::{Connection, ToSql};
use model::{DeliveryName, FileId, FileKind, Finding, Refusal, SurveyName};
use rusqlite::params;

/// A current file with its profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfiledFile {
    /// Its identity.
    pub file_id: FileId,
    /// Name within the delivery.
    pub name: String,
    /// Path below `library/` (or absolute).
    pub path: String,
    /// Image, catalogue or other.
    pub kind: FileKind,
    /// Name of its survey profile; `None` for files that are neither image nor catalogue.
    pub survey: Option<SurveyName>,
}

/// A registered file that was examined again, with another profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Reexamined {
    /// The file.
    pub file_id: FileId,
    /// The result of its examination.
    pub content: Content,
    /// The refusals that a new arrival of the file would have.
    pub refusals: Vec<Refusal>,
    /// The findings that it would have.
    pub findings: Vec<Finding>,
}

/// The profiles of some files of a delivery, chosen again.
pub struct Reprofiling<'a> {
    /// The delivery.
    pub delivery: &'a DeliveryName,
    /// The files with another profile, by name.
    pub changed: &'a [Reexamined],
    /// Images that are redone although their profile stays.
    pub redone: &'a [FileId],
    /// The rule by which catalogues find their images.
    pub pairing: &'a PairingRule<'a>,
    /// The search for patterns that fit no file.
    pub unused: &'a UnusedPatterns<'a>,
}

impl Reader {
    /// Lists the current files of a delivery with their profiles, by name.
    ///
    /// # Errors
    /// [`ArchiveError`], an unknown delivery among them.
    pub fn profiled_files(
        &self,
        delivery: &DeliveryName,
    ) -> Result<Vec<ProfiledFile>, ArchiveError> {
        self.read(format!("list the profiles of {delivery}"), |c| profiled_files(c, delivery))
    }

    /// Returns the current file of a name with its profile.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn profiled_file(
        &self,
        delivery: &DeliveryName,
        name: &str,
    ) -> Result<Option<ProfiledFile>, ArchiveError> {
        let of = "delivery_id = (SELECT delivery_id FROM delivery WHERE delivery.name = ?1) AND name = ?2";
        self.read(format!("read the profile of {delivery}/{name}"), |c| {
            Ok(profiled(c, of, params![delivery.as_str(), name])?.pop())
        })
    }
}

impl Archive {
    /// Records other profiles of files, and requests all products of the images concerned again. A file that newer content
    /// has replaced meanwhile is left alone.
    ///
    /// # Errors
    /// [`ArchiveError`]; nothing is recorded then.
    pub fn reprofile(
        &mut self,
        reprofiling: &Reprofiling<'_>,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Recorded, ArchiveError> {
        let act = format!("choose the profiles of {} again", reprofiling.delivery);
        let site = self.site.clone();
        self.write("reprofile", act, |tx| reprofile(tx, &site, reprofiling, cause, now))
    }
}

/// Implements [`crate::Reader::profiled_files`].
pub(crate) fn profiled_files(
    c: &Connection,
    delivery: &DeliveryName,
) -> Result<Vec<ProfiledFile>, ArchiveFault> {
    profiled(c, "delivery_id = ?1", params![delivery_id(c, delivery)?])
}

/// Lists the current files that fulfil a condition, by name.
fn profiled(
    c: &Connection,
    of: &str,
    values: &[&dyn ToSql],
) -> Result<Vec<ProfiledFile>, ArchiveFault> {
    let mut select = c.prepare_cached(&format!(
        "SELECT file_id, name, path, kind, survey FROM file
         WHERE {of} AND state = 'current' ORDER BY name"
    ))?;
    let rows = select.query_map(values, |r| {
        Ok(ProfiledFile {
            file_id: r.id(0)?,
            name: r.get(1)?,
            path: r.get(2)?,
            kind: r.parsed(3)?,
            survey: r.name_if_any(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Implements [`crate::Archive::reprofile`].
pub(crate) fn reprofile(
    tx: &Connection,
    site: &Site,
    reprofiling: &Reprofiling<'_>,
    cause: &Cause,
    now: Timestamp,
) -> Result<Recorded, ArchiveFault> {
    let delivery = delivery_id(tx, reprofiling.delivery)?;
    let mut recorded = Recorded::default();
    let mut redone: Vec<i64> = reprofiling.redone.iter().map(|file| file.get()).collect();
    for file in reprofiling.changed {
        if change(tx, file, &mut recorded)? {
            redone.push(file.file_id.get());
            settle(tx, delivery, file, &mut recorded, now)?;
        }
    }
    let listing = pairing::Listing::unknown(reprofiling.pairing);
    let paired = pairing::pair(tx, delivery, &listing)?;
    let mut images = tx.prepare_cached(
        "SELECT file_id FROM image WHERE file_id = ?1
         UNION SELECT image.file_id FROM catalogue JOIN image USING (multiframe_id) WHERE catalogue.file_id = ?1",
    )?;
    for file in redone {
        let of_file: Vec<i64> =
            images.query_map([file], |r| r.get(0))?.collect::<Result<_, _>>()?;
        for image in of_file {
            request_current(tx, site, image, &cause.why, now)?;
        }
    }
    settle_waiting(tx, delivery, (reprofiling.pairing, &paired), &mut recorded, now)?;
    let state: DeliveryState =
        tx.query_row("SELECT state FROM delivery WHERE delivery_id = ?1", [delivery], |r| {
            r.parsed(0)
        })?;
    if state != DeliveryState::Arriving {
        record::note_unused(tx, delivery, reprofiling.unused)?;
    }
    if recorded.images + recorded.catalogues > 0 {
        tx.execute(
            "UPDATE delivery SET completed = NULL, state = 'registered'
             WHERE delivery_id = ?1 AND state = 'complete'",
            [delivery],
        )?;
    }
    Ok(recorded)
}

/// Records the profile of a file. Returns false for a file that is no longer current. A file that was refused as a whole gets
/// its identity.
fn change(
    tx: &Connection,
    file: &Reexamined,
    recorded: &mut Recorded,
) -> Result<bool, ArchiveFault> {
    let (number, content) = (file.file_id.get(), &file.content);
    let mut select =
        tx.prepare_cached("SELECT kind FROM file WHERE file_id = ?1 AND state = 'current'")?;
    let before: Vec<FileKind> =
        select.query_map([number], |r| r.parsed(0))?.collect::<Result<_, _>>()?;
    let Some(before) = before.first() else { return Ok(false) };
    // A file keeps its identity: an image stays one, whatever its new profile refuses.
    let kind = if *before == FileKind::Other { content.kind } else { *before };
    tx.prepare_cached(
        "UPDATE file SET kind = ?2, format = ?3, survey = ?4, hdus = ?5, rows = ?6 WHERE file_id = ?1",
    )?
    .execute(params![
        number,
        kind.name(),
        content.format,
        content.survey.as_deref(),
        content.hdus,
        content.rows
    ])?;
    if *before == FileKind::Other {
        record::identify(tx, number, content, recorded)?;
    } else if kind == FileKind::Image && content.has_catalogue {
        record::pair_with_itself(tx, number, recorded)?;
    }
    Ok(true)
}

/// Replaces the refusals and findings that the file had on arrival by those of its examination now.
fn settle(
    tx: &Connection,
    delivery: i64,
    file: &Reexamined,
    recorded: &mut Recorded,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    let number = file.file_id.get();
    for refusal in &file.refusals {
        let id = Some(file.file_id);
        let met = met::Met { delivery, stage: Stage::Register, unit: None, file: id, refusal };
        recorded.new_refusals += u64::from(met::note(tx, &met, now)?);
    }
    let met = file.refusals.iter().map(|r| (r.code.clone(), r.hdu)).collect();
    let cause = Cause::new("register", "not met with the file's profile");
    recorded.resolved_refusals +=
        refusals::resolve_not_met(tx, number, Stage::Register, &met, &cause, now)?;
    findings::forget(tx, delivery, Some((Stage::Register, 1)), &[number].into())?;
    let found = file
        .findings
        .iter()
        .map(|finding| Found { finding, members: [(number, finding.count)].into() });
    findings::note(tx, delivery, Stage::Register, 0, found.collect())
}

/// Requests all products of an image again, if it is current.
fn request_current(
    tx: &Connection,
    site: &Site,
    image: i64,
    why: &str,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    let is_current: bool = tx
        .prepare_cached("SELECT state = 'current' FROM file WHERE file_id = ?1")?
        .query_row([image], |r| r.get(0))?;
    if is_current {
        request_all(tx, site, image, why, now)?;
    }
    Ok(())
}
