//! Stage 2 of 5: gives arrived files their identity, and decides which rounds can be opened for them now.
//!
//! Takes the files that [`transfer::fetch`] fetched, and writes files, multiframe ids, catalogue versions and refusals to the
//! archive ([`record`]). From the archive's state, [`plan::plan`] then decides which rounds can be opened, how they are cut into
//! tasks, and which files wait for which work. It is a pure function.
//!
//! Start at [`record`], for files whose profile is chosen again at [`reprofile`]. [`pairing`] finds the image of a catalogue,
//! [`unused`] the patterns that fit nothing, [`plan`] has the dependency rules, [`cut`] the sizes of tasks.
//! This crate opens no files, assigns no ids itself, and starts nothing.

pub mod cut;
pub mod pairing;
pub mod plan;
pub mod unused;

use archive::deliveries::SkippedEntry;
use archive::history::Cause;
use archive::library::Content;
use archive::refusals::{Stage, StagedRefusal};
use archive::registration::{
    Arrival, DeliveryFacts, Postponed, Recorded, Reexamined, Registration, Reprofiling,
    TransferRecord,
};
use archive::{Archive, ArchiveError, Reader, Site, Timestamp};
use model::profile::SurveyProfile;
use model::{DeliveryName, FileId, FileKind, Finding};
use std::collections::HashMap;
use transfer::{Fetched, Known};

/// A delivery as it is known before its files are examined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// Name in the archive: the directory's, with a label where another origin has a directory of that name.
    pub name: &'a DeliveryName,
    /// Path or URL of the delivery's directory, for the record.
    pub address: &'a str,
    /// True when all files exist (by marker, list, count, quiet time, or the operator's declaration).
    pub all_there: bool,
    /// Description of the awaited files; `None` when there are none.
    pub awaited: Option<String>,
    /// Number of files that the provider of the delivery announced.
    pub expected_files: Option<u64>,
    /// True when the operator declares that more files are expected.
    pub is_reopened: bool,
    /// Names that the source lists, sorted; empty until it was listed.
    pub listed: &'a [String],
}

/// Records files that landed while others are still on their way: each has its identity now, and the work on it can begin.
///
/// # Errors
/// [`ArchiveError`]; nothing is recorded then.
pub fn record_group(
    delivery: &Delivery<'_>,
    arrivals: &[transfer::FetchedFile],
    profiles: &[SurveyProfile],
    site: &Site,
    archive: &mut Archive,
    now: Timestamp,
) -> Result<Recorded, ArchiveError> {
    let group = Fetched { arrivals: arrivals.to_vec(), ..Fetched::default() };
    let awaited = Some("files are being fetched".to_owned());
    let delivery = Delivery { all_there: false, awaited, ..delivery.clone() };
    record_all(&delivery, &group, (profiles, true), site, archive, now)
}

/// Records the result of a transfer. The same result again changes nothing.
///
/// # Errors
/// [`ArchiveError`]; nothing is recorded then.
pub fn record(
    delivery: &Delivery<'_>,
    fetched: &Fetched,
    profiles: &[SurveyProfile],
    site: &Site,
    archive: &mut Archive,
    now: Timestamp,
) -> Result<Recorded, ArchiveError> {
    record_all(delivery, fetched, (profiles, false), site, archive, now)
}

fn record_all(
    delivery: &Delivery<'_>,
    fetched: &Fetched,
    (profiles, is_under_way): (&[SurveyProfile], bool),
    site: &Site,
    archive: &mut Archive,
    now: Timestamp,
) -> Result<Recorded, ArchiveError> {
    let arrivals: Vec<Arrival> = fetched.arrivals.iter().map(|a| arrival(a, site, now)).collect();
    let findings: Vec<Finding> = fetched
        .arrivals
        .iter()
        .flat_map(|a| a.content.findings.iter().cloned().map(Finding::cleaned))
        .collect();
    let (rule, unused) = (pairing::Rule::new(profiles), unused::patterns(profiles));
    let registration = Registration {
        delivery: DeliveryFacts { is_under_way, ..facts(delivery, fetched, profiles) },
        arrivals: &arrivals,
        unchanged: &fetched.unchanged,
        present: (!is_under_way).then_some(fetched.present.as_slice()),
        touched: &fetched.touched,
        refusals: &refusals(fetched),
        postponed: &postponed(fetched),
        skipped: &skipped(fetched),
        findings: &findings,
        pairing: &rule,
        unused: &unused,
    };
    archive.record(&registration, now)
}

/// Returns the archive's entries for a delivery's files, in the form of [`transfer::Request::known`].
///
/// # Errors
/// [`ArchiveError`].
pub fn known(
    delivery: &DeliveryName,
    site: &Site,
    archive: &Reader,
) -> Result<HashMap<String, Vec<Known>>, ArchiveError> {
    let mut known: HashMap<String, Vec<Known>> = HashMap::new();
    for file in archive.known_files(delivery)? {
        let path = site.library_file(&file.path);
        let content = Known {
            bytes: file.bytes,
            modified_ns: file.modified_ns,
            sha256: file.sha256,
            path,
            reexamine: file.reexamine,
        };
        known.entry(file.name).or_default().push(content);
    }
    Ok(known)
}

/// Returns night and version, by the first profile whose pattern finds a night in the name, else by the first whose pattern
/// fits it.
fn facts(delivery: &Delivery<'_>, fetched: &Fetched, profiles: &[SurveyProfile]) -> DeliveryFacts {
    let mut fitting = profiles.iter().filter_map(|p| p.naming.delivery(delivery.name));
    let first = fitting.next();
    let has_night = first.as_ref().is_some_and(|named| named.night.is_some());
    let named = if has_night { first } else { fitting.find(|n| n.night.is_some()).or(first) };
    let marker = fetched
        .marked_complete
        .then(|| profiles.iter().find_map(|p| p.naming.marker.clone()).unwrap_or_default());
    DeliveryFacts {
        name: delivery.name.clone(),
        night: named.as_ref().and_then(|n| n.night),
        version: named.map(|n| n.version).filter(|v| !v.is_empty()),
        address: delivery.address.to_owned(),
        marker: marker.filter(|m| !m.is_empty()),
        manifest: fetched.listed.as_ref().map(|(_, list)| list.clone()),
        expected_files: delivery.expected_files,
        all_there: delivery.all_there,
        awaited: delivery.awaited.clone(),
        is_under_way: false,
        is_reopened: delivery.is_reopened,
        listed: delivery.listed.to_vec(),
    }
}

/// Returns the entry of a fetched file.
fn arrival(fetched: &transfer::FetchedFile, site: &Site, now: Timestamp) -> Arrival {
    Arrival {
        name: fetched.name.clone(),
        path: site.stored_path(&fetched.path).to_string_lossy().into_owned(),
        modified_ns: fetched.modified_ns,
        bytes: fetched.bytes,
        sha256: fetched.sha256,
        content: content_of(&fetched.content),
        arrived: now,
        transfer_seconds: fetched.seconds,
        transfer_record: TransferRecord {
            reads: fetched.tries,
            resumed_bytes: fetched.resumed_bytes,
            verified_by: fetched.verified_by,
        },
    }
}

/// Returns the archive's entry of an examined file. A file that is refused as a whole is kept as `other`: it gets no identity,
/// and a repaired one replaces it.
fn content_of(content: &transfer::Content) -> Content {
    let kind = match content.kind {
        _ if content.is_refused() => FileKind::Other,
        kind => kind,
    };
    let counted = content.hdus.iter().filter(|h| match kind {
        FileKind::Image => h.is_image,
        FileKind::Catalogue => h.rows.is_some(),
        FileKind::Other => false,
    });
    Content {
        kind,
        format: if content.hdus.is_empty() { "other" } else { "fits" }.to_owned(),
        survey: content.survey.clone(),
        hdus: u32::try_from(counted.count()).unwrap_or(u32::MAX),
        rows: if kind == FileKind::Other { 0 } else { content.rows() },
        has_catalogue: kind == FileKind::Image && content.has_catalogue(),
    }
}

/// Records other profiles of registered files, and requests what depends on them again. The same again changes nothing.
///
/// # Errors
/// [`ArchiveError`]; nothing is recorded then.
pub fn reprofile(
    delivery: &DeliveryName,
    changed: &[(FileId, transfer::Content)],
    redone: &[FileId],
    profiles: &[SurveyProfile],
    archive: &mut Archive,
    (cause, now): (&Cause, Timestamp),
) -> Result<Recorded, ArchiveError> {
    let reexamined = |(file_id, content): &(FileId, transfer::Content)| Reexamined {
        file_id: *file_id,
        content: content_of(content),
        refusals: content.refusals.iter().map(|r| r.clone().cleaned()).collect(),
        findings: content.findings.iter().map(|f| f.clone().cleaned()).collect(),
    };
    let changed: Vec<Reexamined> = changed.iter().map(reexamined).collect();
    let (pairing, unused) = (pairing::rule(profiles), unused::patterns(profiles));
    let reprofiling =
        Reprofiling { delivery, changed: &changed, redone, pairing: &pairing, unused: &unused };
    archive.reprofile(&reprofiling, cause, now)
}

fn postponed(fetched: &Fetched) -> Vec<Postponed> {
    let one = |(name, why): &(String, String)| Postponed {
        name: name.clone(),
        why: model::shown_briefly(why, 1000),
    };
    fetched.postponed.iter().map(one).collect()
}

fn skipped(fetched: &Fetched) -> Vec<SkippedEntry> {
    let one = |s: &transfer::Skipped| SkippedEntry {
        name: s.name.clone(),
        code: s.code.clone(),
        why: s.why.clone(),
    };
    fetched.skipped.iter().map(one).collect()
}

fn refusals(fetched: &Fetched) -> Vec<StagedRefusal> {
    let transferred = fetched
        .refusals
        .iter()
        .map(|r| StagedRefusal { stage: Stage::Transfer, refusal: r.clone().cleaned() });
    let registered = fetched
        .arrivals
        .iter()
        .flat_map(|a| &a.content.refusals)
        .map(|r| StagedRefusal { stage: Stage::Register, refusal: r.clone().cleaned() });
    transferred.chain(registered).collect()
}
