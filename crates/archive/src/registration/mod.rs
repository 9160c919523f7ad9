//! Registration of what arrived of deliveries, up to their completion.
//!
//! Start at [`Registration`] and [`crate::Archive::record`], for another profile of registered files at [`Reprofiling`]. A delivery
//! is complete once everything that it announced is ingested ([`crate::Archive::complete_deliveries`]).

pub(crate) mod pairing;
mod record;
mod reprofile;

pub use reprofile::{ProfiledFile, Reexamined, Reprofiling};

use crate::deliveries::SkippedEntry;
use crate::error::{ArchiveError, ArchiveFault};
use crate::library::Content;
use crate::refusals::StagedRefusal;
use crate::time::text_of;
use crate::{Archive, Timestamp};
use engine::Connection;
use model::products::Scope;
use model::{DeliveryName, FileKind, Night, Sha256, SurveyName, UseCase, Verification};

/// A file in the library whose transfer was verified.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// Name within the delivery.
    pub name: String,
    /// Path below `library/`; absolute when the file is kept in place.
    pub path: String,
    /// Modification time at the source, nanoseconds since 1970.
    pub modified_ns: i64,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 of the content.
    pub sha256: Sha256,
    /// The result of examining its content.
    pub content: Content,
    /// Time of the end of its transfer.
    pub arrived: Timestamp,
    /// Duration of the transfer in seconds.
    pub transfer_seconds: f64,
    /// Course of the transfer.
    pub transfer_record: TransferRecord,
}

/// The course of a file's transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferRecord {
    /// Number of times that the file was read from its beginning.
    pub reads: u32,
    /// Bytes that an earlier try had transferred.
    pub resumed_bytes: u64,
    /// Method of the file's verification.
    pub verified_by: Verification,
}

impl Default for TransferRecord {
    /// Returns the course of a transfer that read the file once and verified it by a second listing.
    fn default() -> Self {
        Self { reads: 1, resumed_bytes: 0, verified_by: Verification::Recheck }
    }
}

/// A file that could not be fetched for a reason that may be temporary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postponed {
    /// Name within the delivery.
    pub name: String,
    /// The reason why the file could not be fetched.
    pub why: String,
}

/// The facts about a delivery as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFacts {
    /// Name, e.g. `20071011_v1`.
    pub name: DeliveryName,
    /// Observing night, when the name contains it.
    pub night: Option<Night>,
    /// Version of the pipeline, when the name contains it.
    pub version: Option<String>,
    /// Path or URL of the directory that the delivery was fetched from.
    pub address: String,
    /// Name of the marker file that was seen.
    pub marker: Option<String>,
    /// Name of the provider's manifest that was used.
    pub manifest: Option<String>,
    /// Number of files that marker or manifest announced.
    pub expected_files: Option<u64>,
    /// True when everything announced has arrived (by marker, manifest, count or quiet time).
    pub all_there: bool,
    /// Description of what is known to be still outstanding; until it arrives, catalogues without image are not reported.
    pub awaited: Option<String>,
    /// True while the fetch is running: the facts are those of one group of its files.
    pub is_under_way: bool,
    /// True when the operator declares that more will arrive, whatever was declared before.
    pub is_reopened: bool,
    /// Names that the source lists, sorted, while the fetch is running; empty when they are unknown.
    pub listed: Vec<String>,
}

/// A current file that may have a partner.
#[derive(Clone, Copy, Debug)]
pub struct Partner<'a> {
    /// Image or catalogue.
    pub kind: FileKind,
    /// Name within the delivery.
    pub name: &'a str,
    /// Its survey profile, if any.
    pub survey: Option<&'a SurveyName>,
}

/// A rule by which catalogues find their images. A function that returns keys is a rule that tells the catalogues of an image apart
/// by the names of their frames.
pub trait Pairing {
    /// Returns the keys that an image and its catalogue have in common, most significant first: a catalogue belongs to the first
    /// image (by name) that has the catalogue's first key among its own, else to one that has its second, and so on.
    fn keys(&self, partner: Partner<'_>) -> Vec<String>;

    /// Returns the part of a catalogue's name that all files of this catalogue of an image have, and no file of another one.
    fn series(&self, catalogue: Partner<'_>) -> String {
        model::frame_name(catalogue.name).to_owned()
    }

    /// Returns true when a file that has not arrived is a catalogue by its name.
    fn is_catalogue(&self, _name: &str) -> bool {
        false
    }
}

impl<F: Fn(Partner<'_>) -> Vec<String>> Pairing for F {
    fn keys(&self, partner: Partner<'_>) -> Vec<String> {
        self(partner)
    }
}

/// The rule of an act of registration.
pub type PairingRule<'a> = dyn Pairing + 'a;

/// The images of a delivery with their survey profiles, from which the findings about patterns of the profiles that fit none of
/// them follow.
pub type UnusedPatterns<'a> = dyn Fn(&[(String, Option<SurveyName>)]) -> Vec<model::Finding> + 'a;

/// The input of one act of registration.
pub struct Registration<'a> {
    /// The delivery.
    pub delivery: DeliveryFacts,
    /// Files of the library, new or known, that were examined.
    pub arrivals: &'a [Arrival],
    /// Names of files that are unchanged in the delivery and were not examined.
    pub unchanged: &'a [String],
    /// Names that the source shows now, sorted; `None` while files are being fetched.
    pub present: Option<&'a [String]>,
    /// Of the unchanged files, those whose modification time at the source differs from the recorded one, with the new time in
    /// nanoseconds since 1970. The recorded time is updated, so that the files are not read again because of it.
    pub touched: &'a [(String, i64)],
    /// Rejected inputs.
    pub refusals: &'a [StagedRefusal],
    /// Files that could not be fetched this time.
    pub postponed: &'a [Postponed],
    /// Entries that the source shows and that were not fetched.
    pub skipped: &'a [SkippedEntry],
    /// Findings about the files.
    pub findings: &'a [model::Finding],
    /// The rule by which catalogues find their images.
    pub pairing: &'a PairingRule<'a>,
    /// The search for patterns that fit no file of a complete delivery.
    pub unused: &'a UnusedPatterns<'a>,
}

/// The result of an act of registration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Number of images that got an id now.
    pub images: u64,
    /// Number of catalogue files recorded now.
    pub catalogues: u64,
    /// Number of other files recorded now.
    pub others: u64,
    /// Number of files that were known before, with the same content.
    pub known: u64,
    /// Number of files whose earlier content is superseded now.
    pub superseded: u64,
    /// Number of refusals met for the first time.
    pub new_refusals: u64,
    /// Number of refusals that newer content or a late image resolved.
    pub resolved_refusals: u64,
}

impl Archive {
    /// Marks deliveries complete that have everything they announced and nothing left to ingest. Returns their names.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn complete_deliveries(&mut self, now: Timestamp) -> Result<Vec<String>, ArchiveError> {
        let products = self.site.products();
        self.write("complete", "complete deliveries", |tx| complete_deliveries(tx, products, now))
    }
}

/// Implements [`crate::Archive::complete_deliveries`].
pub(crate) fn complete_deliveries(
    tx: &Connection,
    products: &[UseCase],
    now: Timestamp,
) -> Result<Vec<String>, ArchiveFault> {
    crate::rounds::drop_requests_without_catalogue(tx)?;
    let due = |of_catalogues: bool| {
        let of_delivery = products.iter().filter(|u| u.product().scope == Scope::Delivery);
        let due = of_delivery.filter(move |u| u.product().is_of_catalogue() == of_catalogues);
        let due: Vec<String> = due.copied().map(is_due).collect();
        if due.is_empty() { "FALSE".to_owned() } else { due.join(" OR ") }
    };
    let mut update = tx.prepare_cached(&format!(
        "UPDATE delivery SET state = 'complete', completed = ?1
         WHERE state = 'registered'
             AND EXISTS (SELECT * FROM unit WHERE unit.delivery_id = delivery.delivery_id)
             AND NOT EXISTS (SELECT * FROM unit WHERE unit.delivery_id = delivery.delivery_id
                                 AND state NOT IN ('ingested', 'retracted'))
             AND NOT EXISTS (SELECT * FROM redo JOIN file USING (file_id)
                             WHERE file.delivery_id = delivery.delivery_id AND redo.unit_id IS NULL)
             AND NOT EXISTS (
                 SELECT * FROM file JOIN image USING (file_id)
                 WHERE file.delivery_id = delivery.delivery_id AND file.state = 'current' AND ({of_images}))
             AND NOT EXISTS (
                 SELECT * FROM file JOIN catalogue USING (file_id) JOIN image USING (multiframe_id)
                     JOIN file AS of_image ON of_image.file_id = image.file_id
                 WHERE file.delivery_id = delivery.delivery_id AND file.state = 'current'
                     AND of_image.state = 'current' AND ({of_catalogues})
                     AND NOT EXISTS (SELECT * FROM refusal WHERE refusal.file_id = file.file_id
                                         AND refusal.code IN ('metadata_refused', 'catalogue_ambiguous')
                                         AND refusal.state IN ('open', 'accepted', 'dismissed')))
         RETURNING name",
        of_images = due(false),
        of_catalogues = due(true)
    ))?;
    let rows = update.query_map([text_of(now)], |r| r.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns the condition that an image has no ingested round of a product. A product of images that follows others is due once
/// these are published; an image whose products before a product of catalogues were refused has a refusal that says so.
fn is_due(use_case: UseCase) -> String {
    let product = use_case.product();
    let mut due = format!(
        "NOT EXISTS (
             SELECT * FROM task_input JOIN task USING (task_id) JOIN unit USING (unit_id)
             WHERE task_input.multiframe_id = image.multiframe_id AND unit.use_case = '{use_case}'
                 AND unit.state = 'ingested')"
    );
    let is_of_images = !product.is_of_catalogue();
    for before in product.follows.iter().filter(|_| is_of_images) {
        due += &format!(
            " AND EXISTS (SELECT * FROM product WHERE product.multiframe_id = image.multiframe_id
                              AND product.use_case = '{before}')"
        );
    }
    format!("({due})")
}
