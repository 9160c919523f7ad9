//! Files of the library, and the results of the checks of their bytes. Files of one frame are in [`frame_names`].

pub mod frame_names;

use crate::error::{ArchiveError, ArchiveFault};
use crate::library::frame_names::LATEST_OF_NAME;
use crate::site::Site;
use crate::time::text_of;
use crate::{Archive, Reader, Timestamp, rounds};
use engine::Connection;
use model::{DeliveryName, FileId, FileKind, Sha256, SurveyName};
use rusqlite::params;

/// The result of examining a file's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Kind of the file.
    pub kind: FileKind,
    /// Format as one word: `fits`, `fits.gz`, `text` ….
    pub format: String,
    /// Name of the survey profile that fits, for images and catalogues.
    pub survey: Option<SurveyName>,
    /// Detectors of an image, HDUs with rows of a catalogue.
    pub hdus: u32,
    /// Rows of a catalogue, all HDUs.
    pub rows: u64,
    /// True for an image whose catalogue is in the same file.
    pub has_catalogue: bool,
}

/// One content that arrived under a file's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownFile {
    /// Name within the delivery.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 of its content.
    pub sha256: Sha256,
    /// Path below `library/` (or absolute).
    pub path: String,
    /// Modification time at the source, nanoseconds since 1970.
    pub modified_ns: i64,
    /// True when a refusal of the file on arrival is to be retried: the file must be checked again although it did not change.
    pub reexamine: bool,
}

/// A file of the library with the archive's facts about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Its identity.
    pub file_id: FileId,
    /// Its delivery.
    pub delivery: DeliveryName,
    /// Name within the delivery.
    pub name: String,
    /// Path below `library/` (or absolute).
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Modification time at the source, nanoseconds since 1970.
    pub modified_ns: i64,
    /// SHA-256 of its content.
    pub sha256: Sha256,
    /// True when no newer content of the name replaced the file.
    pub is_current: bool,
    /// Result of the last check of the file's bytes; `None` before the first.
    pub soundness: Option<Soundness>,
}

/// The result of a check of the bytes of a library file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Soundness {
    /// The bytes match the checksum.
    Intact,
    /// The bytes do not match the checksum.
    Corrupt,
    /// The file is missing.
    Missing,
    /// The file cannot be read.
    Unreadable,
}

impl Soundness {
    /// Returns the name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Intact => "intact",
            Self::Corrupt => "corrupt",
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
        }
    }

    /// Returns the value of a name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Intact, Self::Corrupt, Self::Missing, Self::Unreadable]
            .into_iter()
            .find(|s| s.name() == name)
    }
}

impl Reader {
    /// Lists the files of a delivery, or of all, least recently checked first.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn holdings(&self, delivery: Option<&DeliveryName>) -> Result<Vec<Holding>, ArchiveError> {
        self.read("list the library", |c| list(c, delivery))
    }
}

impl Archive {
    /// Records the results of checks of the bytes of files.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn note_soundness(
        &mut self,
        found: &[(FileId, Soundness)],
        now: Timestamp,
    ) -> Result<(), ArchiveError> {
        self.write("scrub", "record the state of library files", |tx| note(tx, found, now))
    }
}

/// Requests that all use cases of a file are redone, if it is an image.
pub(crate) fn request_all(
    tx: &Connection,
    site: &Site,
    file_id: i64,
    why: &str,
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    let image: bool =
        tx.query_row("SELECT EXISTS (SELECT * FROM image WHERE file_id = ?1)", [file_id], |r| {
            r.get(0)
        })?;
    if image {
        rounds::request_all(tx, file_id, site.products(), why, now)?;
    }
    Ok(())
}

/// Implements [`crate::Reader::holdings`].
pub(crate) fn list(
    c: &Connection,
    delivery: Option<&DeliveryName>,
) -> Result<Vec<Holding>, ArchiveFault> {
    let mut select = c.prepare_cached(&format!(
        "SELECT file.file_id, delivery.name, file.name, file.path, file.bytes, file.modified_ns, file.sha256,
             {LATEST_OF_NAME}, scrub.outcome
         FROM file JOIN delivery USING (delivery_id) LEFT JOIN scrub ON scrub.file_id = file.file_id
         WHERE CAST(?1 AS TEXT) IS NULL OR delivery.name = ?1
         ORDER BY coalesce(scrub.checked, ''), file.file_id"
    ))?;
    let rows = select.query_map([delivery.map(DeliveryName::as_str)], |r| {
        Ok(Holding {
            file_id: r.id(0)?,
            delivery: r.name(1)?,
            name: r.get(2)?,
            path: r.get(3)?,
            bytes: r.get(4)?,
            modified_ns: r.get(5)?,
            sha256: r.parsed(6)?,
            is_current: r.get(7)?,
            soundness: r.get::<Option<String>>(8)?.as_deref().and_then(Soundness::named),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Implements [`crate::Archive::note_soundness`].
pub(crate) fn note(
    tx: &Connection,
    found: &[(FileId, Soundness)],
    now: Timestamp,
) -> Result<(), ArchiveFault> {
    for (file, soundness) in found {
        tx.prepare_cached(
            "INSERT INTO scrub (file_id, checked, outcome) VALUES (?1, ?2, ?3)
             ON CONFLICT (file_id) DO UPDATE SET checked = excluded.checked, outcome = excluded.outcome",
        )?
        .execute(params![file.get(), text_of(now), soundness.name()])?;
    }
    Ok(())
}
