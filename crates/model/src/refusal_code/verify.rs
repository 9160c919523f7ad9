//! Codes of the findings of `verify`.

use super::Remedy::{self, Words};
use super::codes;

/// The archive's own record is damaged.
pub(super) const RESTORE_ARCHIVE: Remedy =
    Words("restore archive.db from a backup; the library and lake are not concerned");
/// A product is visible that should not be, or the reverse.
const SHOW_NEWEST: Remedy = Words("show the newest product of each name again");
/// A delivered file is damaged.
const REFETCH: Remedy =
    Words("fetch it again from its source, or restore it from a backup of the library");
/// A preview is damaged.
const REMAKE: Remedy = Words("recreate the preview");
/// A lake file is damaged.
const RESTORE_LAKE: Remedy = Words("restore the file from a backup of lake/");
/// A file that nothing lists.
const REMOVE: Remedy = Words("remove it; no table lists it");
/// Another program wrote into the lake.
const FOREIGN_WRITER: Remedy = Words(
    "another program wrote into the lake: restore archive.db from a backup, or take its rows out with \
     that program, and attach READ_ONLY from now on",
);

codes! { DATABASE "Findings of `verify`: rows"
    DATABASE_DAMAGED = "database_damaged", Verify, RESTORE_ARCHIVE => "The database engine reports a damaged file.";
    BROKEN_REFERENCE = "broken_reference", Verify, RESTORE_ARCHIVE => "Rows of a table refer to rows that do not exist.";
    NUMBER_MISSING = "number_missing", Verify, RESTORE_ARCHIVE => "A number that a counter assigned does not exist.";
    NUMBER_BEYOND_COUNTER = "number_beyond_counter", Verify, RESTORE_ARCHIVE => "A number is beyond its counter.";
    OBJECT_IDS_UNACCOUNTED = "object_ids_unaccounted", Verify, RESTORE_ARCHIVE => "Object ids belong to no range.";
    OBJECT_IDS_TWICE = "object_ids_twice", Verify, RESTORE_ARCHIVE => "Object ids belong to two ranges.";
    RANGE_STATE = "range_state", Verify, RESTORE_ARCHIVE => "The state of a range of object ids does not fit that of its round.";
    RANGE_ROWS = "range_rows", Verify, RESTORE_ARCHIVE => "The detectors of an ingested range of object ids do not fill it exactly.";
    DETECTORS_OVERLAP = "detectors_overlap", Verify, RESTORE_ARCHIVE => "Two detectors of a programme share object ids.";
    NATURAL_KEY_TWICE = "natural_key_twice", Verify, RESTORE_ARCHIVE => "A detector has two current catalogues.";
    MULTIFRAME_ABSENT = "multiframe_absent", Verify, RESTORE_ARCHIVE => "Detections belong to a multiframe that the archive lacks.";
    SUPERSEDED_CURRENT = "superseded_current", Verify, SHOW_NEWEST => "Rows of a multiframe are current while newer content of its name is.";
    PRODUCT_NOT_SHOWN = "product_not_shown", Verify, SHOW_NEWEST => "A published product is not visible, although no newer image of its name has one.";
    CATALOGUE_VERSIONS = "catalogue_versions", Verify, Words("show the metadata that were read with the detections' version again")
        => "The zero points and the detections of a detector come from different versions of its catalogue.";
    BATCH_ROWS = "batch_rows", Verify, RESTORE_ARCHIVE => "The rows of a published batch differ from those at publication.";
    ROUND_WITHOUT_EVENT = "round_without_event", Verify, RESTORE_ARCHIVE => "A round is ingested without an event, or has an event and is not ingested.";
    PARTITION_ROWS = "partition_rows", Verify, Words("restore the database from a backup") => "A partition of detections does not have the rows that were published into it.";
    TABLE_WITHOUT_EVENT = "table_without_event", Verify, Words("drop it: nothing of it was ever visible") => "A table of detections belongs to no event and to no staged batch.";
    SNAPSHOT_WITHOUT_EVENT = "snapshot_without_event", Verify, FOREIGN_WRITER => "The lake has a snapshot that no event made.";
    INLINED_ROWS = "inlined_rows", Verify, FOREIGN_WRITER => "Another program put rows into the lake's catalogue.";
}

codes! { FILES "Findings of `verify`: files"
    LIBRARY_FILE_MISSING = "library_file_missing", Verify, REFETCH => "A delivered file is missing.";
    LIBRARY_FILE_LENGTH = "library_file_length", Verify, REFETCH => "The length of a delivered file has changed since registration.";
    LIBRARY_FILE_CONTENT = "library_file_content", Verify, REFETCH => "The content of a delivered file has changed since registration.";
    LIBRARY_FILE_STRAY = "library_file_stray", Verify, Words("move it aside into library/.strays; no table lists it") => "A file is in the library that no delivery contains.";
    PREVIEW_MISSING = "preview_missing", Verify, REMAKE => "A preview is missing.";
    PREVIEW_LENGTH = "preview_length", Verify, REMAKE => "The length of a preview file has changed since it was written.";
    PREVIEW_STRAY = "preview_stray", Verify, REMOVE => "A file is among the previews that is not a preview.";
    LAKE_FILE_MISSING = "lake_file_missing", Verify, RESTORE_LAKE => "A lake file is missing.";
    LAKE_FILE_LENGTH = "lake_file_length", Verify, RESTORE_LAKE => "The length of a lake file has changed since publication.";
    LAKE_FILE_CONTENT = "lake_file_content", Verify, RESTORE_LAKE => "A lake file does not have the rows that the archive records.";
    LAKE_FILE_WITHOUT_EVENT = "lake_file_without_event", Verify, FOREIGN_WRITER => "The lake lists a file that no event made.";
    LAKE_FILE_STRAY = "lake_file_stray", Verify, REMOVE => "A file is in the lake that nothing lists.";
    DIRECTORY_UNREADABLE = "directory_unreadable", Verify, Words("give the user that runs almagest the right to list it, or repair the disk")
        => "A directory cannot be listed, and its contents are not known.";
}
