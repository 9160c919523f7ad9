//! Findings of `verify`.

use model::RefusalCode;
use model::{DeliveryName, FileId, MultiframeId};
use std::fmt;
use std::path::PathBuf;

/// A delivered file by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Delivery.
    pub delivery: DeliveryName,
    /// Name within it.
    pub name: String,
}

/// A deviation from the required state.
#[derive(Clone, Debug, PartialEq)]
pub enum VerifyFinding {
    /// The engine reports that the database file is damaged.
    DatabaseDamaged {
        /// Its report.
        message: String,
    },
    /// Rows of a table refer to rows that do not exist.
    BrokenReference {
        /// Table of the rows.
        table: String,
        /// Table that they refer to.
        target: String,
        /// Number of rows.
        rows: u64,
        /// Rowids of the first ones.
        first: Vec<i64>,
    },
    /// A number that a counter assigned does not exist.
    NumberMissing {
        /// `multiframe` or `event`.
        counter: &'static str,
        /// First missing number of a run.
        first: i64,
        /// Last one.
        last: i64,
    },
    /// A number beyond its counter.
    NumberBeyondCounter {
        /// `multiframe`, `event` or `object`.
        counter: &'static str,
        /// The number.
        number: i64,
        /// The number of the counter.
        last: i64,
    },
    /// Ids of a lake table that belong to no range.
    ObjectIdsUnaccounted {
        /// Name of the ids, e.g. `obj_id`.
        id: String,
        /// Programme.
        programme_id: i64,
        /// First id of the gap.
        first: i64,
        /// Last one.
        last: i64,
    },
    /// Ids of a lake table that belong to two ranges.
    ObjectIdsTwice {
        /// Name of the ids, e.g. `obj_id`.
        id: String,
        /// Programme.
        programme_id: i64,
        /// First id of the overlap.
        first: i64,
        /// Last one.
        last: i64,
    },
    /// A range whose state does not fit its round's.
    RangeState {
        /// Name of the ids, e.g. `obj_id`.
        id: String,
        /// Programme.
        programme_id: i64,
        /// First id of the range.
        first: i64,
        /// State of the range.
        state: String,
        /// State of its round.
        round_state: String,
    },
    /// An ingested range whose detectors do not fill it exactly.
    RangeRows {
        /// Name of the ids, e.g. `obj_id`.
        id: String,
        /// Programme.
        programme_id: i64,
        /// First id of the range.
        first: i64,
        /// Ids in the range.
        ids: i64,
        /// Rows that detectors have there.
        rows: i64,
    },
    /// Two detectors of a programme share object ids.
    DetectorsOverlap {
        /// Name of the ids, e.g. `obj_id`.
        id: String,
        /// Programme.
        programme_id: i64,
        /// First id of the second one.
        first: i64,
    },
    /// A detector has two current catalogues.
    NaturalKeyTwice {
        /// Multiframe.
        multiframe_id: i64,
        /// Extension number.
        ext_num: i64,
    },
    /// Detections whose multiframe is not in the archive.
    MultiframeAbsent {
        /// Multiframe.
        multiframe_id: i64,
        /// Current rows.
        rows: i64,
    },
    /// Rows of a multiframe are current while newer content of its name is.
    SupersededCurrent {
        /// Multiframe.
        multiframe_id: i64,
        /// Table of the rows.
        table: String,
        /// True when the record of products agrees; otherwise the rows differ from it, and only a backup has their
        /// original state.
        is_recorded: bool,
    },
    /// A published product is not visible although no newer image of its name has one.
    ProductNotShown {
        /// Multiframe.
        multiframe_id: i64,
        /// First table of the product.
        table: String,
        /// True when the record of products agrees; otherwise the rows differ from it, and only a backup has their
        /// original state.
        is_recorded: bool,
    },
    /// The zero points and aperture corrections of a detector come from a different version of its catalogue than its detections.
    CatalogueVersions {
        /// Multiframe.
        multiframe_id: i64,
        /// Extension number.
        ext_num: i64,
        /// Version that its metadata were read with.
        described: Option<i64>,
        /// Version of its detections.
        version: i64,
    },
    /// The rows of a published batch differ from those it had at publication.
    BatchRows {
        /// Round.
        round: String,
        /// Table.
        table: String,
        /// Rows at publication.
        published: i64,
        /// Rows found.
        found: i64,
    },
    /// A round is ingested without an event, or has one and is not.
    RoundWithoutEvent {
        /// Round.
        round: String,
        /// Its state.
        state: String,
    },
    /// A delivered file is missing.
    LibraryFileMissing {
        /// Its delivery and name.
        of: Delivered,
        /// The file.
        path: PathBuf,
    },
    /// A delivered file has another length.
    LibraryFileLength {
        /// Its delivery and name.
        of: Delivered,
        /// The file.
        path: PathBuf,
        /// Its length.
        found: u64,
        /// Length when it was registered.
        wanted: u64,
    },
    /// A delivered file has other content.
    LibraryFileContent {
        /// Its delivery and name.
        of: Delivered,
        /// Its identity.
        file_id: FileId,
        /// The file.
        path: PathBuf,
    },
    /// A preview is missing.
    PreviewMissing {
        /// Delivery of the image.
        delivery: DeliveryName,
        /// Multiframe.
        multiframe_id: MultiframeId,
        /// The file.
        path: PathBuf,
    },
    /// A preview has another length.
    PreviewLength {
        /// Delivery of the image.
        delivery: DeliveryName,
        /// Multiframe.
        multiframe_id: MultiframeId,
        /// The file.
        path: PathBuf,
        /// Its length.
        found: u64,
        /// Length when it was made.
        wanted: u64,
    },
    /// A lake file is missing.
    LakeFileMissing {
        /// The file.
        path: PathBuf,
    },
    /// A lake file has another length.
    LakeFileLength {
        /// The file.
        path: PathBuf,
        /// Its length.
        found: u64,
        /// Length when it was published.
        wanted: u64,
    },
    /// A lake file does not hold the rows that the archive records.
    LakeFileContent {
        /// The file.
        path: PathBuf,
        /// The difference.
        message: String,
    },
    /// The lake lists a file that no event made.
    LakeFileWithoutEvent {
        /// Name within `lake/detection/`.
        name: String,
    },
    /// A partition of detections does not hold the rows that were published into it.
    PartitionRows {
        /// Its table.
        name: String,
        /// The difference.
        message: String,
    },
    /// A table of detections that belongs to no event and to no pending batch.
    TableWithoutEvent {
        /// Its name.
        name: String,
    },
    /// A file is in the lake that nothing lists.
    LakeFileStray {
        /// The file.
        path: PathBuf,
    },
    /// A file is in the library that no delivery contains.
    LibraryFileStray {
        /// The delivery in whose directory it is, if the archive knows one.
        delivery: Option<DeliveryName>,
        /// The file.
        path: PathBuf,
    },
    /// A file is among the previews that is not a preview.
    PreviewStray {
        /// The file.
        path: PathBuf,
    },
    /// A directory cannot be listed: unlisted contents are not known.
    DirectoryUnreadable {
        /// The directory.
        path: PathBuf,
        /// The error of the system.
        why: String,
    },
    /// A snapshot of the lake that no event made.
    SnapshotWithoutEvent {
        /// Number of the snapshot.
        snapshot_id: i64,
        /// Its changes.
        changes: String,
    },
    /// Rows that another program put into the lake's catalogue itself.
    InlinedRows {
        /// Table that holds them.
        table: String,
    },
}

impl VerifyFinding {
    /// Returns the machine-readable kind.
    pub fn code(&self) -> &'static str {
        self.registered().as_str()
    }

    /// Returns the kind as a code of the register.
    pub(super) fn registered(&self) -> RefusalCode {
        match self {
            Self::DatabaseDamaged { .. } => RefusalCode::DATABASE_DAMAGED,
            Self::BrokenReference { .. } => RefusalCode::BROKEN_REFERENCE,
            Self::NumberMissing { .. } => RefusalCode::NUMBER_MISSING,
            Self::NumberBeyondCounter { .. } => RefusalCode::NUMBER_BEYOND_COUNTER,
            Self::ObjectIdsUnaccounted { .. } => RefusalCode::OBJECT_IDS_UNACCOUNTED,
            Self::ObjectIdsTwice { .. } => RefusalCode::OBJECT_IDS_TWICE,
            Self::RangeState { .. } => RefusalCode::RANGE_STATE,
            Self::RangeRows { .. } => RefusalCode::RANGE_ROWS,
            Self::DetectorsOverlap { .. } => RefusalCode::DETECTORS_OVERLAP,
            Self::NaturalKeyTwice { .. } => RefusalCode::NATURAL_KEY_TWICE,
            Self::MultiframeAbsent { .. } => RefusalCode::MULTIFRAME_ABSENT,
            Self::SupersededCurrent { .. } => RefusalCode::SUPERSEDED_CURRENT,
            Self::ProductNotShown { .. } => RefusalCode::PRODUCT_NOT_SHOWN,
            Self::CatalogueVersions { .. } => RefusalCode::CATALOGUE_VERSIONS,
            Self::BatchRows { .. } => RefusalCode::BATCH_ROWS,
            Self::RoundWithoutEvent { .. } => RefusalCode::ROUND_WITHOUT_EVENT,
            Self::LibraryFileMissing { .. } => RefusalCode::LIBRARY_FILE_MISSING,
            Self::LibraryFileLength { .. } => RefusalCode::LIBRARY_FILE_LENGTH,
            Self::LibraryFileContent { .. } => RefusalCode::LIBRARY_FILE_CONTENT,
            Self::PreviewMissing { .. } => RefusalCode::PREVIEW_MISSING,
            Self::PreviewLength { .. } => RefusalCode::PREVIEW_LENGTH,
            Self::LakeFileMissing { .. } => RefusalCode::LAKE_FILE_MISSING,
            Self::LakeFileLength { .. } => RefusalCode::LAKE_FILE_LENGTH,
            Self::LakeFileContent { .. } => RefusalCode::LAKE_FILE_CONTENT,
            Self::LakeFileWithoutEvent { .. } => RefusalCode::LAKE_FILE_WITHOUT_EVENT,
            Self::PartitionRows { .. } => RefusalCode::PARTITION_ROWS,
            Self::TableWithoutEvent { .. } => RefusalCode::TABLE_WITHOUT_EVENT,
            Self::LakeFileStray { .. } => RefusalCode::LAKE_FILE_STRAY,
            Self::LibraryFileStray { .. } => RefusalCode::LIBRARY_FILE_STRAY,
            Self::PreviewStray { .. } => RefusalCode::PREVIEW_STRAY,
            Self::DirectoryUnreadable { .. } => RefusalCode::DIRECTORY_UNREADABLE,
            Self::SnapshotWithoutEvent { .. } => RefusalCode::SNAPSHOT_WITHOUT_EVENT,
            Self::InlinedRows { .. } => RefusalCode::INLINED_ROWS,
        }
    }

    /// Returns the repair in words: those of the register, except where only some of the findings of a code can be repaired so.
    pub fn repair(&self) -> &'static str {
        let code = match self {
            Self::LibraryFileStray { delivery: None, .. } => {
                return "remove the file, unless a user put it there on purpose; no table lists the file";
            }
            // The rows differ from the record of products: only a backup has their original state.
            Self::SupersededCurrent { is_recorded: false, .. }
            | Self::ProductNotShown { is_recorded: false, .. } => RefusalCode::DATABASE_DAMAGED,
            _ => self.registered(),
        };
        code.entry().map_or("", |entry| entry.remedy.text())
    }
}

impl VerifyFinding {
    /// Returns the delivery concerned.
    pub fn delivery(&self) -> Option<&str> {
        match self {
            Self::LibraryFileMissing { of, .. }
            | Self::LibraryFileLength { of, .. }
            | Self::LibraryFileContent { of, .. } => Some(&of.delivery),
            Self::PreviewMissing { delivery, .. } | Self::PreviewLength { delivery, .. } => {
                Some(delivery)
            }
            Self::LibraryFileStray { delivery, .. } => delivery.as_deref(),
            _ => None,
        }
    }
}

impl fmt::Display for VerifyFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // All kinds are named, so that a new kind does not compile without words.
        match self {
            Self::NumberMissing { .. }
            | Self::NumberBeyondCounter { .. }
            | Self::ObjectIdsUnaccounted { .. }
            | Self::ObjectIdsTwice { .. }
            | Self::RangeState { .. }
            | Self::RangeRows { .. }
            | Self::DetectorsOverlap { .. } => self.about_numbers(f),
            Self::DatabaseDamaged { .. }
            | Self::BrokenReference { .. }
            | Self::NaturalKeyTwice { .. }
            | Self::MultiframeAbsent { .. }
            | Self::SupersededCurrent { .. }
            | Self::ProductNotShown { .. }
            | Self::CatalogueVersions { .. }
            | Self::BatchRows { .. }
            | Self::RoundWithoutEvent { .. } => self.about_rows(f),
            Self::LibraryFileMissing { .. }
            | Self::LibraryFileLength { .. }
            | Self::LibraryFileContent { .. }
            | Self::LibraryFileStray { .. }
            | Self::PreviewMissing { .. }
            | Self::PreviewLength { .. }
            | Self::PreviewStray { .. }
            | Self::DirectoryUnreadable { .. }
            | Self::LakeFileMissing { .. }
            | Self::LakeFileLength { .. }
            | Self::LakeFileContent { .. }
            | Self::LakeFileStray { .. }
            | Self::LakeFileWithoutEvent { .. }
            | Self::PartitionRows { .. }
            | Self::TableWithoutEvent { .. }
            | Self::SnapshotWithoutEvent { .. }
            | Self::InlinedRows { .. } => self.about_files(f),
        }
    }
}

impl VerifyFinding {
    /// Writes a finding about numbers that counters assigned.
    fn about_numbers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NumberMissing { counter, first, last } => {
                write!(f, "{counter} numbers {first} to {last} were assigned and are missing")
            }
            Self::NumberBeyondCounter { counter, number, last } => {
                write!(f, "{counter} number {number} is beyond the counter, which is at {last}")
            }
            Self::ObjectIdsUnaccounted { id, programme_id, first, last } => {
                write!(f, "{id} {first} to {last} of programme {programme_id} belong to no range")
            }
            Self::ObjectIdsTwice { id, programme_id, first, last } => {
                write!(f, "{id} {first} to {last} of programme {programme_id} belong to two ranges")
            }
            Self::RangeState { id, programme_id, first, state, round_state } => write!(
                f,
                "{id} of programme {programme_id} from {first} are {state} while their round is {round_state}"
            ),
            Self::RangeRows { id, programme_id, first, ids, rows } => write!(
                f,
                "{ids} {id} of programme {programme_id} from {first} are ingested, {rows} rows have them"
            ),
            Self::DetectorsOverlap { id, programme_id, first } => {
                write!(f, "two row ranges of programme {programme_id} have {id} from {first} on")
            }
            _ => write!(f, "{}", self.code()),
        }
    }

    /// Writes a finding about rows of tables.
    fn about_rows(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DatabaseDamaged { message } => {
                write!(f, "the database file is damaged: {message}")
            }
            Self::BrokenReference { table, target, rows, first } => {
                write!(f, "{rows} rows of {table} refer to rows that {target} lacks")?;
                if first.is_empty() {
                    return Ok(());
                }
                let which: Vec<String> = first.iter().map(i64::to_string).collect();
                let more = if *rows > first.len() as u64 { ", …" } else { "" };
                write!(f, ": rowid {}{more}", which.join(", "))
            }
            Self::NaturalKeyTwice { multiframe_id, ext_num } => write!(
                f,
                "multiframe {multiframe_id} extension {ext_num} has more than one current catalogue"
            ),
            Self::MultiframeAbsent { multiframe_id, rows } => write!(
                f,
                "{rows} detections belong to multiframe {multiframe_id}, which the archive lacks"
            ),
            Self::SupersededCurrent { multiframe_id, table, .. } => write!(
                f,
                "rows of multiframe {multiframe_id} in {table} are current while newer content is"
            ),
            Self::ProductNotShown { multiframe_id, table, .. } => write!(
                f,
                "rows of multiframe {multiframe_id} in {table} should be current and are not"
            ),
            Self::CatalogueVersions { multiframe_id, ext_num, described, version } => {
                let described = described
                    .map_or("no version".to_owned(), |version| format!("version {version}"));
                write!(
                    f,
                    "detections of multiframe {multiframe_id} extension {ext_num} are of version {version} of its \
                     catalogue, its metadata of {described}"
                )
            }
            Self::BatchRows { round, table, published, found } => {
                write!(f, "{round} published {published} rows of {table}, {found} exist")
            }
            Self::RoundWithoutEvent { round, state } => {
                write!(f, "{round} is {state}, which contradicts its event")
            }
            _ => write!(f, "{}", self.code()),
        }
    }
}

impl VerifyFinding {
    /// Writes a finding about files.
    fn about_files(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LibraryFileMissing { path, .. }
            | Self::PreviewMissing { path, .. }
            | Self::LakeFileMissing { path } => write!(f, "{} is missing", path.display()),
            Self::LibraryFileLength { path, found, wanted, .. }
            | Self::PreviewLength { path, found, wanted, .. }
            | Self::LakeFileLength { path, found, wanted } => {
                write!(f, "{} has {found} bytes instead of {wanted}", path.display())
            }
            Self::LibraryFileContent { path, .. } => {
                write!(f, "{} has changed since it was registered", path.display())
            }
            Self::LakeFileContent { path, message } => write!(f, "{}: {message}", path.display()),
            Self::LakeFileWithoutEvent { name } => {
                write!(f, "the lake lists {name}, which no event created")
            }
            Self::PartitionRows { name, message } => write!(f, "{name}: {message}"),
            Self::TableWithoutEvent { name } => {
                write!(f, "the table {name} belongs to no event")
            }
            Self::LakeFileStray { path }
            | Self::LibraryFileStray { path, .. }
            | Self::PreviewStray { path } => {
                write!(f, "{} is listed nowhere", path.display())
            }
            Self::DirectoryUnreadable { path, why } => {
                write!(f, "{} cannot be listed: {why}", path.display())
            }
            Self::SnapshotWithoutEvent { snapshot_id, changes } => {
                write!(f, "no event created snapshot {snapshot_id} of the lake ({changes})")
            }
            Self::InlinedRows { table } => {
                write!(f, "another program wrote rows to the catalogue of the lake, in {table}")
            }
            _ => write!(f, "{}", self.code()),
        }
    }
}
