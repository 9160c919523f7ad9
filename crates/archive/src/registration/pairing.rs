//! Pairing of the catalogues of a delivery with its images. Start at [`pair`].
//!
//! Successive files of one catalogue are its versions, whichever of their names ([`super::Pairing::series`]). Different catalogues of
//! one image are no versions of each other. If the source shows them side by side, none of them is paired, and all are refused. If it
//! shows only one of them, that one supersedes the others, and so it does a file of its own series whose image is superseded. A catalogue that was read before another one arrived stays the catalogue
//! of its image meanwhile ([`crate::work`]).

use crate::Timestamp;
use crate::error::ArchiveFault;
use crate::findings;
use crate::history::Cause;
use crate::library::frame_names::LATEST_OF_NAME;
use crate::refusals;
use crate::registration::{PairingRule, Partner, Registration};
use engine::Connection;
use model::{FileId, FileKind, SurveyName};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The files that the source of a delivery shows, and the rule by which catalogues find their images.
pub(crate) struct Listing<'a> {
    rule: &'a PairingRule<'a>,
    /// Names that the source shows now, sorted; `None` while files are being fetched, or when they are unknown.
    present: Option<&'a [String]>,
    /// Names that the source lists while the fetch is running, sorted.
    announced: &'a [String],
    /// True when files are known to be outstanding.
    is_awaiting: bool,
}

impl<'a> Listing<'a> {
    /// Returns the listing of a delivery whose source is not asked.
    pub(crate) fn unknown(rule: &'a PairingRule<'a>) -> Self {
        Self { rule, present: None, announced: &[], is_awaiting: false }
    }
}

impl<'a> From<&'a Registration<'a>> for Listing<'a> {
    fn from(registration: &'a Registration<'a>) -> Self {
        Self {
            rule: registration.pairing,
            present: registration.present,
            announced: &registration.delivery.listed,
            is_awaiting: registration.delivery.awaited.is_some(),
        }
    }
}

/// The result of pairing the files of a delivery.
#[derive(Debug, Default)]
pub(crate) struct Paired {
    /// Catalogues that are refused because their image has another catalogue.
    pub ambiguous: BTreeMap<FileId, Ambiguity>,
    /// Catalogue files that another catalogue of their image superseded.
    pub superseded: Vec<i64>,
}

/// The reason why a catalogue is one of several.
#[derive(Clone, Debug)]
pub(crate) struct Ambiguity {
    /// Name of the image.
    pub image: String,
    /// The reason in words.
    pub message: String,
}

/// A catalogue file of an image.
struct Claim {
    file: i64,
    name: String,
    series: String,
    is_current: bool,
    /// True when the file is not the catalogue of a current image yet.
    is_loose: bool,
    is_shown: bool,
}

/// An image and the catalogue files that claim it, in the order of their registration.
struct Claimed {
    image: i64,
    name: String,
    claims: Vec<Claim>,
    /// True when a catalogue of another series is known to be outstanding.
    is_rivalled: bool,
}

/// Pairs every current catalogue that has no current image with one, if the rule finds it and no other catalogue claims that image.
pub(crate) fn pair(
    tx: &Connection,
    delivery: i64,
    listing: &Listing<'_>,
) -> Result<Paired, ArchiveFault> {
    let mut paired = Paired::default();
    for mut claimed in claims(tx, delivery, listing)? {
        if listing.present.is_some() {
            revive(tx, &mut claimed.claims)?;
        }
        claimed.claims.retain(|claim| claim.is_current);
        let is_any_shown = claimed.claims.iter().any(|claim| claim.is_shown);
        let (shown, others): (Vec<&Claim>, Vec<&Claim>) =
            claimed.claims.iter().partition(|claim| claim.is_shown || !is_any_shown);
        let series: BTreeSet<&str> = shown.iter().map(|claim| claim.series.as_str()).collect();
        if series.len() > 1 {
            let reason = ambiguity(&claimed.name, &shown);
            paired.ambiguous.extend(
                shown
                    .iter()
                    .filter_map(|claim| FileId::new(claim.file).map(|file| (file, reason.clone()))),
            );
            continue;
        }
        if claimed.is_rivalled {
            continue;
        }
        for loose in shown.iter().filter(|claim| claim.is_loose) {
            add_version(tx, claimed.image, loose.file)?;
        }
        let Some(latest) = shown.last().filter(|_| listing.present.is_some()) else {
            continue;
        };
        let is_replaced = |claim: &&&Claim| claim.is_loose || claim.series != latest.series;
        for other in others.iter().filter(is_replaced) {
            tx.prepare_cached(
                "UPDATE file SET state = 'superseded', superseded_by = ?2 WHERE file_id = ?1",
            )?
            .execute([other.file, latest.file])?;
            paired.superseded.push(other.file);
        }
    }
    Ok(paired)
}

/// Closes the refusals and findings of catalogues that another catalogue of their image superseded. Returns the number of resolved
/// refusals.
pub(crate) fn close(
    tx: &Connection,
    delivery: i64,
    superseded: &[i64],
    now: Timestamp,
) -> Result<u64, ArchiveFault> {
    let cause = Cause::new("register", "the source shows another catalogue of the image alone");
    let mut resolved = 0;
    for file in superseded {
        resolved += refusals::resolve_file(tx, *file, &cause, now)?;
    }
    if !superseded.is_empty() {
        findings::forget(tx, delivery, None, &superseded.iter().copied().collect())?;
    }
    Ok(resolved)
}

/// Returns the reason why catalogues of an image are refused.
fn ambiguity(image: &str, claims: &[&Claim]) -> Ambiguity {
    let mut names: Vec<&str> = claims.iter().map(|claim| claim.name.as_str()).collect();
    names.sort_unstable();
    let last = names.pop().unwrap_or_default();
    let message = format!(
        "{} and {last} are catalogues of the image {image} by their names, and the survey's profile does not tell them apart",
        names.join(", ")
    );
    Ambiguity { image: image.to_owned(), message }
}

/// Makes superseded catalogues current if the source lists them.
fn revive(tx: &Connection, claims: &mut [Claim]) -> Result<(), ArchiveFault> {
    for claim in claims.iter_mut().filter(|claim| claim.is_shown && !claim.is_current) {
        tx.prepare_cached(
            "UPDATE file SET state = 'current', superseded_by = NULL WHERE file_id = ?1",
        )?
        .execute([claim.file])?;
        claim.is_current = true;
    }
    Ok(())
}

/// Records a catalogue file as the next version of the catalogue of an image.
fn add_version(tx: &Connection, image: i64, catalogue: i64) -> Result<(), ArchiveFault> {
    tx.prepare_cached(
        "INSERT INTO catalogue (multiframe_id, version, file_id, sha256)
         SELECT multiframe_id, (SELECT coalesce(max(version), 0) + 1 FROM catalogue AS older
                                WHERE older.multiframe_id = image.multiframe_id), ?2, sha256
         FROM image, file WHERE image.file_id = ?1 AND file.file_id = ?2
         ON CONFLICT (multiframe_id, sha256) DO UPDATE SET file_id = excluded.file_id",
    )?
    .execute([image, catalogue])?;
    Ok(())
}

/// Returns the images that catalogues claim, each with these.
fn claims(
    tx: &Connection,
    delivery: i64,
    listing: &Listing<'_>,
) -> Result<Vec<Claimed>, ArchiveFault> {
    let rule = listing.rule;
    let catalogues = catalogues(tx, delivery)?;
    if catalogues.is_empty() {
        return Ok(Vec::new());
    }
    let images = Images::of(tx, delivery, rule)?;
    let listed = listing.present.unwrap_or(listing.announced);
    let mut claimed: BTreeMap<i64, Claimed> = BTreeMap::new();
    let mut arrived: BTreeSet<&str> = BTreeSet::new();
    for (Named { file, name, survey }, is_current, is_loose) in &catalogues {
        arrived.insert(name);
        let partner = Partner { kind: FileKind::Catalogue, name, survey: survey.as_ref() };
        let Some((image, image_name)) = images.find(&rule.keys(partner)) else { continue };
        let claim = Claim {
            file: *file,
            name: name.clone(),
            series: rule.series(partner),
            is_current: *is_current,
            is_loose: *is_loose,
            is_shown: listed.binary_search(name).is_ok(),
        };
        let none = || Claimed {
            image: *image,
            name: image_name.clone(),
            claims: Vec::new(),
            is_rivalled: false,
        };
        claimed.entry(*image).or_insert_with(none).claims.push(claim);
    }
    if listing.is_awaiting {
        let outstanding = listed.iter().filter(|name| !arrived.contains(name.as_str()));
        for name in outstanding.filter(|name| rule.is_catalogue(name)) {
            let partner = Partner { kind: FileKind::Catalogue, name, survey: None };
            let image = images.find(&rule.keys(partner)).map(|(image, _)| image);
            if let Some(claimed) = image.and_then(|image| claimed.get_mut(image)) {
                let series = rule.series(partner);
                let is_other = |claim: &Claim| claim.is_shown && claim.series != series;
                claimed.is_rivalled |= claimed.claims.iter().any(is_other);
            }
        }
    }
    Ok(claimed.into_values().collect())
}

/// The current images of a delivery, by their keys.
struct Images {
    by_key: HashMap<String, (i64, String)>,
}

impl Images {
    fn of(tx: &Connection, delivery: i64, rule: &PairingRule<'_>) -> Result<Self, ArchiveFault> {
        let mut select = tx.prepare_cached(
            "SELECT file_id, name, survey FROM file
             WHERE delivery_id = ?1 AND state = 'current' AND kind = 'image' ORDER BY name",
        )?;
        let rows = select.query_map([delivery], named)?;
        let mut by_key = HashMap::new();
        for row in rows {
            let Named { file, name, survey } = row?;
            let partner = Partner { kind: FileKind::Image, name: &name, survey: survey.as_ref() };
            for key in rule.keys(partner) {
                by_key.entry(key).or_insert_with(|| (file, name.clone()));
            }
        }
        Ok(Self { by_key })
    }

    fn find(&self, keys: &[String]) -> Option<&(i64, String)> {
        keys.iter().find_map(|key| self.by_key.get(key))
    }
}

/// A file with its name and survey.
struct Named {
    file: i64,
    name: String,
    survey: Option<SurveyName>,
}

fn named(row: &engine::Row<'_>) -> engine::Result<Named> {
    Ok(Named { file: row.get(0)?, name: row.get(1)?, survey: row.name_if_any(2)? })
}

/// Lists the latest contents of the names of a delivery's catalogues, in the order of registration: the later of two files of a
/// catalogue is its newer version. Each is listed with whether it is current, and whether it has no current image.
fn catalogues(tx: &Connection, delivery: i64) -> Result<Vec<(Named, bool, bool)>, ArchiveFault> {
    let mut select = tx.prepare_cached(&format!(
        "SELECT file_id, name, survey, state = 'current', NOT EXISTS (
             SELECT * FROM catalogue JOIN image USING (multiframe_id) JOIN file AS of_image ON of_image.file_id = image.file_id
             WHERE catalogue.file_id = file.file_id AND of_image.state = 'current')
         FROM file WHERE delivery_id = ?1 AND kind = 'catalogue' AND {LATEST_OF_NAME} ORDER BY file_id"
    ))?;
    let rows = select.query_map([delivery], |r| Ok((named(r)?, r.get(3)?, r.get(4)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
