//! Recording of arrivals: deliveries, files, identities, catalogue versions, reference rows.

use crate::deliveries::{delivery_id, origins};
use crate::error::{ArchiveError, ArchiveFault};
use crate::findings::Found;
use crate::history::{self, Cause};
use crate::library::frame_names::{self, LATEST_OF_NAME};
use crate::library::{Content, KnownFile, request_all};
use crate::refusals::{self, Stage, met, waiting};
use crate::registration::{
    Arrival, DeliveryFacts, PairingRule, Partner, Recorded, Registration, UnusedPatterns, pairing,
};
use crate::site::Site;
use crate::time::text_of;
use crate::{Archive, Reader, Timestamp, findings};
use engine::{Connection, Optional};
use model::{DeliveryName, FileId, FileKind, Night, RefusalCode, SurveyName};
use rusqlite::params;
use std::collections::HashMap;

impl Reader {
    /// Lists all contents that arrived under the names of a delivery, by name, oldest first; empty for an unknown delivery.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn known_files(&self, delivery: &DeliveryName) -> Result<Vec<KnownFile>, ArchiveError> {
        self.read("list known files", |c| known_files(c, delivery))
    }
}

impl Archive {
    /// Records what arrived of a delivery: ids for new images, versions for new catalogues, supersession of older contents,
    /// refusals, and the release of refusals that waited for these files. Recording the same arrivals again changes nothing.
    ///
    /// # Errors
    /// [`ArchiveError`]; nothing is recorded then.
    pub fn record(
        &mut self,
        registration: &Registration<'_>,
        now: Timestamp,
    ) -> Result<Recorded, ArchiveError> {
        let act = format!("register {}", registration.delivery.name);
        let site = self.site.clone();
        self.write("register", act, |tx| record(tx, &site, registration, now))
    }
}

/// Implements [`crate::Archive::record`].
pub(crate) fn record(
    tx: &Connection,
    site: &Site,
    registration: &Registration<'_>,
    now: Timestamp,
) -> Result<Recorded, ArchiveFault> {
    tx.defer_foreign_keys()?; // a file names its successor before that is written
    let delivery = upsert_delivery(tx, &registration.delivery, now)?;
    let mut recorded = Recorded::default();
    let mut reexamined = Vec::new();
    for arrival in registration.arrivals {
        reexamined.extend(record_file(tx, site, delivery, arrival, &mut recorded, now)?);
        note_arrival(tx, delivery, &registration.delivery.address, arrival)?;
    }
    note_postponed(tx, delivery, registration, now)?;
    if !registration.delivery.is_under_way {
        origins::note_skipped(tx, delivery, registration.skipped, now)?;
    }
    for (name, modified_ns) in registration.touched {
        tx.prepare_cached(&format!(
            "UPDATE file SET modified_ns = ?3 WHERE delivery_id = ?1 AND name = ?2 AND {LATEST_OF_NAME}"
        ))?
        .execute(params![delivery, name, modified_ns])?;
    }
    let cause = Cause::new("register", "the file has its earlier content");
    recorded.resolved_refusals +=
        refusals::resolve_back(tx, delivery, registration.unchanged, &cause, now)?;
    let superseded = match registration.present {
        Some(present) => frame_names::supersede(tx, site, delivery, present, now)?,
        None => Vec::new(),
    };
    recorded.superseded += superseded.len() as u64;
    let paired = pairing::pair(tx, delivery, &registration.into())?;
    recorded.superseded += paired.superseded.len() as u64;
    let names = latest_files(tx, delivery)?;
    let find = |stage: Stage, name: &str| match stage {
        Stage::Transfer => None, // a file that was not accepted has no row
        _ => names.get(name).copied(),
    };
    for staged in registration.refusals {
        let met = met::Met {
            delivery,
            stage: staged.stage,
            unit: None,
            file: find(staged.stage, &staged.refusal.file),
            refusal: &staged.refusal,
        };
        recorded.new_refusals += u64::from(met::note(tx, &met, now)?);
    }
    for (file, name) in reexamined {
        recorded.resolved_refusals += resolve_looked_at(tx, site, file, &name, registration, now)?;
    }
    note_findings(tx, delivery, registration, &names)?;
    recorded.resolved_refusals += frame_names::close(tx, delivery, &superseded, now)?;
    frame_names::settle(tx, site, &superseded, now)?;
    recorded.resolved_refusals += pairing::close(tx, delivery, &paired.superseded, now)?;
    settle_waiting(tx, delivery, (registration.pairing, &paired), &mut recorded, now)?;
    if registration.delivery.all_there && !registration.delivery.is_under_way {
        note_unused(tx, delivery, registration.unused)?;
    }
    note_progress(tx, delivery, &registration.delivery, &recorded, now)?;
    Ok(recorded)
}

/// Updates the refusals of catalogues that wait for their images, or are one of several of an image.
pub(super) fn settle_waiting(
    tx: &Connection,
    delivery: i64,
    (pairing, paired): (&PairingRule<'_>, &pairing::Paired),
    recorded: &mut Recorded,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    let refused = refused_images(tx, delivery)?;
    let refused_image = |name: &str, survey: Option<&SurveyName>| {
        let catalogue = Partner { kind: FileKind::Catalogue, name, survey };
        let keys = pairing.keys(catalogue);
        let fits = |refused: &&String| {
            let image = Partner { kind: FileKind::Image, name: refused, survey };
            pairing.keys(image).iter().any(|key| keys.contains(key))
        };
        refused.iter().find(fits).cloned()
    };
    let settled = waiting::settle(tx, delivery, Some(&paired.ambiguous), &refused_image, now)?;
    recorded.new_refusals += settled.new;
    recorded.resolved_refusals += settled.resolved;
    Ok(())
}

/// Replaces the findings about patterns that fit no image of a delivery.
pub(super) fn note_unused(
    tx: &Connection,
    delivery: i64,
    unused: &UnusedPatterns<'_>,
) -> Result<(), ArchiveFault> {
    let mut select = tx.prepare_cached(
        "SELECT name, survey FROM file
         WHERE delivery_id = ?1 AND state = 'current' AND kind = 'image' ORDER BY name",
    )?;
    let rows = select.query_map([delivery], |r| Ok((r.get(0)?, r.name_if_any(1)?)))?;
    let images: Vec<(String, Option<SurveyName>)> = rows.collect::<Result<_, _>>()?;
    tx.prepare_cached(
        "DELETE FROM finding WHERE delivery_id = ?1 AND stage = ?2 AND round = 0 AND code = ?3",
    )?
    .execute(params![
        delivery,
        Stage::Register.name(),
        RefusalCode::PATTERN_UNUSED.as_str()
    ])?;
    let found = unused(&images);
    // The finding is about the delivery, not about the file that is its example.
    let found = found.iter().map(|finding| Found { finding, members: [(0, 1)].into() });
    findings::note(tx, delivery, Stage::Register, 0, found.collect())
}

/// Records the findings about the files that arrived; earlier findings about these files are replaced.
fn note_findings(
    tx: &Connection,
    delivery: i64,
    registration: &Registration<'_>,
    names: &HashMap<String, FileId>,
) -> Result<(), ArchiveFault> {
    let number = |name: &String| names.get(name).map(|file| file.get());
    let arrived = registration.arrivals.iter().filter_map(|a| number(&a.name));
    findings::forget(tx, delivery, Some((Stage::Register, 1)), &arrived.collect())?;
    let found = registration.findings.iter().map(|finding| {
        let file = number(&finding.file).unwrap_or_default();
        Found { finding, members: [(file, finding.count)].into() }
    });
    findings::note(tx, delivery, Stage::Register, 0, found.collect())
}

fn upsert_delivery(
    tx: &Connection,
    facts: &DeliveryFacts,
    now: Timestamp,
) -> Result<i64, ArchiveFault> {
    tx.execute(
        "INSERT INTO delivery (name, night, version, source, state, marker, manifest, expected_files,
             first_seen, last_arrival, awaited)
         VALUES (?1, ?2, ?3, ?4, 'arriving', ?5, ?6, ?7, ?8, ?8, ?9)
         ON CONFLICT (name) DO UPDATE SET
             source = excluded.source,
             marker = coalesce(excluded.marker, delivery.marker),
             manifest = coalesce(excluded.manifest, delivery.manifest),
             expected_files = coalesce(excluded.expected_files, delivery.expected_files),
             awaited = CASE WHEN delivery.closed IS NULL OR ?10 OR ?11 THEN excluded.awaited END,
             closed = CASE WHEN NOT ?11 THEN delivery.closed END,
             closed_by = CASE WHEN NOT ?11 THEN delivery.closed_by END",
        params![
            facts.name.as_str(),
            facts.night.map(Night::get),
            facts.version,
            facts.address,
            facts.marker,
            facts.manifest,
            facts.expected_files,
            text_of(now),
            facts.awaited,
            facts.is_under_way,
            facts.is_reopened
        ],
    )?;
    delivery_id(tx, &facts.name)
}

/// The next number of a row about a file in the table of transfers.
const NEXT_OF_NAME: &str =
    "(SELECT coalesce(max(number), 0) + 1 FROM transfer WHERE delivery_id = ?1 AND name = ?2)";

fn note_arrival(
    tx: &Connection,
    delivery: i64,
    address: &str,
    arrival: &Arrival,
) -> Result<(), ArchiveFault> {
    let transfer_record = &arrival.transfer_record;
    tx.prepare_cached(&format!(
        "INSERT INTO transfer (delivery_id, name, number, source, outcome, file_id, bytes, resumed_bytes, reads, verified_by,
             seconds, ended)
         SELECT ?1, ?2, {NEXT_OF_NAME}, ?3, 'arrived', file_id, ?4, ?5, ?6, ?7, ?8, ?9
         FROM file WHERE delivery_id = ?1 AND name = ?2 AND sha256 = ?10"
    ))?
    .execute(params![
        delivery,
        arrival.name,
        address,
        arrival.bytes,
        transfer_record.resumed_bytes,
        transfer_record.reads,
        transfer_record.verified_by.name(),
        arrival.transfer_seconds,
        text_of(arrival.arrived),
        arrival.sha256.to_string()
    ])?;
    Ok(())
}

fn note_postponed(
    tx: &Connection,
    delivery: i64,
    registration: &Registration<'_>,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    for postponed in registration.postponed {
        tx.prepare_cached(&format!(
            "INSERT INTO transfer (delivery_id, name, number, source, outcome, why, ended)
             VALUES (?1, ?2, {NEXT_OF_NAME}, ?3, 'postponed', ?4, ?5)"
        ))?
        .execute(params![
            delivery,
            postponed.name,
            registration.delivery.address,
            postponed.why,
            text_of(now)
        ])?;
    }
    Ok(())
}

/// Updates the delivery's state: new files move a complete delivery back to registered, and completeness moves an arriving one
/// forward to registered.
fn note_progress(
    tx: &Connection,
    delivery: i64,
    facts: &DeliveryFacts,
    recorded: &Recorded,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    if recorded.images + recorded.catalogues + recorded.others > 0 {
        tx.execute(
            "UPDATE delivery SET last_arrival = ?2, completed = NULL,
                 state = CASE state WHEN 'complete' THEN 'registered' ELSE state END
             WHERE delivery_id = ?1",
            params![delivery, text_of(now)],
        )?;
    }
    tx.execute(
        "UPDATE delivery SET state = 'registered'
         WHERE delivery_id = ?1 AND state = 'arriving' AND (?2 OR closed IS NOT NULL)",
        params![delivery, facts.all_there],
    )?;
    Ok(())
}

/// Resolves refusals of a file on arrival that a recheck of the file did not meet again; what was left out of the file's image is
/// then due.
fn resolve_looked_at(
    tx: &Connection,
    site: &Site,
    file: i64,
    name: &str,
    registration: &Registration<'_>,
    now: Timestamp,
) -> Result<u64, ArchiveFault> {
    let met = registration.refusals.iter().map(|r| &r.refusal).filter(|r| r.file == name);
    let met = met.map(|r| (r.code.clone(), r.hdu)).collect();
    let cause = Cause::new("register", "not met again");
    let resolved = refusals::resolve_not_met(tx, file, Stage::Register, &met, &cause, now)?;
    if resolved > 0 {
        let why = "the part of the file that was refused on arrival is good now";
        request_all(tx, site, file, why, now)?;
    }
    Ok(resolved)
}

/// Lists the names of files in the delivery that were refused on transfer, or as a whole on arrival.
fn refused_images(tx: &Connection, delivery: i64) -> Result<Vec<String>, ArchiveFault> {
    let mut select = tx.prepare_cached(
        "SELECT DISTINCT file_name FROM refusal
         WHERE delivery_id = ?1 AND stage IN ('transfer', 'register') AND ext_num IS NULL AND parked = 0
             AND state <> 'resolved' ORDER BY file_name",
    )?;
    let rows = select.query_map([delivery], |r| r.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Records one arrival. Returns number and name of a content that was already current, and was rechecked.
fn record_file(
    tx: &Connection,
    site: &Site,
    delivery: i64,
    arrival: &Arrival,
    recorded: &mut Recorded,
    now: Timestamp,
) -> Result<Option<(i64, String)>, ArchiveFault> {
    let known: Option<(i64, String)> = tx
        .prepare_cached(
            "SELECT file_id, state FROM file WHERE delivery_id = ?1 AND name = ?2 AND sha256 = ?3",
        )?
        .query_row(params![delivery, arrival.name, arrival.sha256.to_string()], |r| {
            Ok((r.get(0)?, r.get(1)?))
        })
        .optional()?;
    let mut reexamined = None;
    match known {
        Some((file_id, state)) if state == "current" => {
            recorded.known += 1;
            become_usable(tx, file_id, arrival, recorded)?;
            reexamined = Some((file_id, arrival.name.clone()));
        }
        Some((file_id, _)) => {
            recorded.known += 1;
            supersede(tx, delivery, &arrival.name, file_id, recorded, now)?;
            revive(tx, site, file_id, arrival, now)?;
        }
        None => {
            let file_id =
                tx.query_row("SELECT coalesce(max(file_id), 0) + 1 FROM file", [], |r| r.get(0))?;
            supersede(tx, delivery, &arrival.name, file_id, recorded, now)?;
            insert_file(tx, delivery, file_id, arrival, now)?;
            identify(tx, file_id, &arrival.content, recorded)?;
        }
    }
    let cause = Cause::new("register", "a good copy arrived");
    recorded.resolved_refusals +=
        refusals::resolve_unregistered(tx, delivery, &arrival.name, &cause, now)?;
    Ok(reexamined)
}

/// Assigns an identity to an image; a catalogue in the same file is the first version of its catalogue.
pub(super) fn identify(
    tx: &Connection,
    file_id: i64,
    content: &Content,
    recorded: &mut Recorded,
) -> Result<(), ArchiveFault> {
    match content.kind {
        FileKind::Image => {
            let multiframe = history::next(tx, "multiframe")?;
            tx.prepare_cached("INSERT INTO image (multiframe_id, file_id) VALUES (?1, ?2)")?
                .execute([multiframe, file_id])?;
            recorded.images += 1;
            if content.has_catalogue {
                pair_with_itself(tx, file_id, recorded)?;
            }
        }
        FileKind::Catalogue => recorded.catalogues += 1,
        FileKind::Other => recorded.others += 1,
    }
    Ok(())
}

/// Makes the catalogue in an image file the newest version of the image's catalogue, if it is none yet.
pub(super) fn pair_with_itself(
    tx: &Connection,
    file_id: i64,
    recorded: &mut Recorded,
) -> Result<(), ArchiveFault> {
    let paired = tx
        .prepare_cached(
            "INSERT INTO catalogue (multiframe_id, version, file_id, sha256)
             SELECT image.multiframe_id, (SELECT coalesce(max(version), 0) + 1 FROM catalogue AS known
                                          WHERE known.multiframe_id = image.multiframe_id),
                 file.file_id, file.sha256
             FROM image JOIN file USING (file_id)
             WHERE file.file_id = ?1 AND NOT EXISTS (
                 SELECT * FROM catalogue AS own
                 WHERE own.multiframe_id = image.multiframe_id AND own.file_id = file.file_id)",
        )?
        .execute([file_id])?;
    recorded.catalogues += paired as u64;
    Ok(())
}

/// Updates a content that was refused as a whole and that a recheck, by a newer version of the reader, recognized as an image or
/// catalogue.
fn become_usable(
    tx: &Connection,
    file_id: i64,
    arrival: &Arrival,
    recorded: &mut Recorded,
) -> Result<(), ArchiveFault> {
    let content = &arrival.content;
    if content.kind == FileKind::Other {
        return Ok(());
    }
    let changed = tx
        .prepare_cached(
            "UPDATE file SET kind = ?2, format = ?3, survey = ?4, hdus = ?5, rows = ?6
             WHERE file_id = ?1 AND kind = 'other'",
        )?
        .execute(params![
            file_id,
            content.kind.name(),
            content.format,
            survey_of(arrival)?,
            content.hdus,
            content.rows
        ])?;
    if changed > 0 {
        identify(tx, file_id, content, recorded)?;
    }
    Ok(())
}

/// Returns the name of the survey profile of a file.
///
/// # Errors
///
/// Fails for an image or catalogue without one: such a file is refused as `no_profile` before it is registered.
fn survey_of(arrival: &Arrival) -> Result<Option<&str>, ArchiveFault> {
    match &arrival.content.survey {
        None if arrival.content.kind != FileKind::Other => Err(ArchiveFault::Damaged(format!(
            "file {} was accepted as {} without survey profile",
            arrival.name,
            arrival.content.kind.name()
        ))),
        survey => Ok(survey.as_deref()),
    }
}

fn insert_file(
    tx: &Connection,
    delivery: i64,
    file_id: i64,
    arrival: &Arrival,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    let content = &arrival.content;
    tx.prepare_cached(
        "INSERT INTO file (file_id, delivery_id, name, sha256, bytes, kind, format, survey, path, modified_ns, hdus,
             rows, state, same_content_as, arrived, transfer_seconds, registered, frame_name)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 'current',
             (SELECT min(file_id) FROM file WHERE sha256 = ?4 AND (delivery_id <> ?2 OR name <> ?3)), ?13, ?14, ?15, ?16)",
    )?
    .execute(params![
        file_id,
        delivery,
        arrival.name,
        arrival.sha256.to_string(),
        arrival.bytes,
        content.kind.name(),
        content.format,
        survey_of(arrival)?,
        arrival.path,
        arrival.modified_ns,
        content.hdus,
        content.rows,
        text_of(arrival.arrived),
        arrival.transfer_seconds,
        text_of(now),
        model::frame_name(&arrival.name)
    ])?;
    Ok(())
}

/// Supersedes the current content of a name by another one.
fn supersede(
    tx: &Connection,
    delivery: i64,
    name: &str,
    by: i64,
    recorded: &mut Recorded,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    let old: Option<i64> = tx
        .prepare_cached(
            "UPDATE file SET state = 'superseded', superseded_by = ?3
             WHERE delivery_id = ?1 AND name = ?2 AND state = 'current' RETURNING file_id",
        )?
        .query_row(params![delivery, name, by], |r| r.get(0))
        .optional()?;
    // An earlier content that a file of another name superseded precedes the new content as well.
    tx.prepare_cached(&format!(
        "UPDATE file SET superseded_by = ?3
         WHERE delivery_id = ?1 AND name = ?2 AND state = 'superseded' AND file_id <> ?3 AND {LATEST_OF_NAME}"
    ))?
    .execute(params![delivery, name, by])?;
    if let Some(old) = old {
        recorded.superseded += 1;
        let cause = Cause::new("register", "newer content of the same name arrived");
        recorded.resolved_refusals += refusals::resolve_file(tx, old, &cause, now)?;
        findings::forget(tx, delivery, None, &[old].into())?;
        tx.execute("DELETE FROM redo WHERE file_id = ?1 AND unit_id IS NULL", [old])?;
    }
    Ok(())
}

/// Makes a superseded content that arrived again current, and requests that all its use cases are redone.
fn revive(
    tx: &Connection,
    site: &Site,
    file_id: i64,
    arrival: &Arrival,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    tx.execute(
        "UPDATE file SET state = 'current', superseded_by = NULL, path = ?2, modified_ns = ?3 WHERE file_id = ?1",
        params![file_id, arrival.path, arrival.modified_ns],
    )?;
    request_all(tx, site, file_id, "the earlier content of the file was delivered again", now)
}

/// Returns the latest content of each name of a delivery.
fn latest_files(tx: &Connection, delivery: i64) -> Result<HashMap<String, FileId>, ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT name, file_id FROM file WHERE delivery_id = ?1 AND {LATEST_OF_NAME}"
    ))?;
    let rows = select.query_map([delivery], |r| Ok((r.get(0)?, r.id(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Implements [`crate::Reader::known_files`].
pub(crate) fn known_files(
    c: &Connection,
    delivery: &DeliveryName,
) -> Result<Vec<KnownFile>, ArchiveFault> {
    let mut select = c.prepare_cached(&format!(
        "SELECT file.name, bytes, sha256, path, modified_ns,
             EXISTS (SELECT * FROM refusal WHERE refusal.file_id = file.file_id AND refusal.stage = 'register'
                                               AND refusal.state = 'retried')
         FROM file JOIN delivery USING (delivery_id)
         WHERE delivery.name = ?1 ORDER BY file.name, {LATEST_OF_NAME}, file_id"
    ))?;
    let rows = select.query_map([delivery.as_str()], |r| {
        Ok(KnownFile {
            name: r.get(0)?,
            bytes: r.get(1)?,
            sha256: r.parsed(2)?,
            path: r.get(3)?,
            modified_ns: r.get(4)?,
            reexamine: r.get(5)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
