//! Deliveries: where they come from, what arrived of them, and which supersede each other.

pub mod origins;
pub(crate) mod provider;
pub mod registration;
pub(crate) mod superseded;

use crate::Timestamp;
use crate::library::Content;
use crate::library::FileKind;
use crate::refusals::StagedRefusal;

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
    /// SHA-256 of the content, lower-case hexadecimal.
    pub sha256: String,
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
    pub tries: u32,
    /// Bytes that an earlier try had transferred.
    pub resumed_bytes: u64,
    /// Method of the file's verification: `sha256`, `md5`, `datasum` or `second_look`.
    pub verified_by: &'static str,
}

impl Default for TransferRecord {
    /// Returns the course of a transfer that read the file once and verified it by a second listing.
    fn default() -> Self {
        Self { tries: 1, resumed_bytes: 0, verified_by: "second_look" }
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

/// An entry that a source shows and that was not fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedEntry {
    /// The name as the source shows it, escaped if needed.
    pub name: String,
    /// Machine-readable reason.
    pub code: String,
    /// Reason in words.
    pub why: String,
}

/// The facts about a delivery as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFacts {
    /// Name, e.g. `20071011_v1`; one plain path component.
    pub name: String,
    /// Observing night as yyyymmdd, when the name contains it.
    pub night: Option<i32>,
    /// Version of the pipeline, when the name contains it.
    pub version: Option<String>,
    /// Directory or address that the delivery was fetched from.
    pub source: String,
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
}

/// A current file that may have a partner.
#[derive(Clone, Copy, Debug)]
pub struct Partner<'a> {
    /// Image or catalogue.
    pub kind: FileKind,
    /// Name within the delivery.
    pub name: &'a str,
    /// Its survey profile, if any.
    pub survey: Option<&'a str>,
}

/// The keys that an image and its catalogue have in common, most significant first: a catalogue belongs to the first image (by
/// name) that has the catalogue's first key among its own, else to one that has its second, and so on.
pub type PairingRule<'a> = dyn Fn(Partner<'_>) -> Vec<String> + 'a;

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
