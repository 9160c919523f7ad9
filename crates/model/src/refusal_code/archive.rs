//! Codes of tasks, waiting catalogues and batches.

use super::Remedy::{CompleteImage, ImageRefusal, OneCatalogue, Round, TaskCause, Words};
use super::codes;

codes! { TASKS "Tasks and products"
    TASK_FAILED = "task_failed", Refusal, TaskCause => "The task of the file failed in every attempt.";
    IMAGE_ABSENT = "image_absent", Refusal, CompleteImage => "The image of the catalogue has not arrived, or was refused.";
    METADATA_REFUSED = "metadata_refused", Refusal, ImageRefusal => "The metadata of the catalogue's image were refused, are parked, or could not be made.";
    CATALOGUE_AMBIGUOUS = "catalogue_ambiguous", Refusal, OneCatalogue => "The image of the catalogue has another catalogue of another name, and neither is used.";
    TEXT_CLEANED = "text_cleaned", Finding, Words("nothing: the header's text has the whole value") => "Texts with control characters were cut at the first NUL and escaped.";
    OLDER_DETECTIONS_KEPT = "older_detections_kept", Finding, Words("deliver the missing catalogue, or end the older detections with `supersede`")
        => "A newer frame has no detections of a detector, and those of the older frame are kept.";
    OLDER_PREVIEW_KEPT = "older_preview_kept", Finding, Words("make the missing preview, or end the older one with `supersede`")
        => "A newer frame has no preview, and that of the older frame is kept.";
}

codes! { BATCHES "Checks of batches at ingest"
    BATCH_IDENTITY = "batch_identity", Refusal, Round => "The manifest belongs to another round.";
    BATCH_RESULT = "batch_result", Refusal, Round => "The result of a task cannot be read, or differs from the manifest.";
    BATCH_NAME = "batch_name", Refusal, Round => "A file of the batch has a name that a node may not choose.";
    BATCH_FILE = "batch_file", Refusal, Round => "A file of the batch is missing or not a regular file.";
    BATCH_LENGTH = "batch_length", Refusal, Round => "The length of a file of the batch differs from its manifest.";
    BATCH_CHECKSUM = "batch_checksum", Refusal, Round => "The checksum of a file of the batch differs from its manifest.";
    BATCH_CONTENT = "batch_content", Refusal, Round => "The content of a file of the batch does not fit its table.";
    BATCH_TABLE = "batch_table", Refusal, Round => "The batch has rows of a table that is not of its use case.";
    BATCH_TABLES = "batch_tables", Refusal, Round => "The batch has rows of a table that its use case does not publish.";
    BATCH_SCHEMA = "batch_schema", Refusal, Round => "A file of the batch lacks a column of the archive, or has one of another type.";
    BATCH_SCHEMA_VERSION = "batch_schema_version", Refusal, Round => "The batch was written by a newer version, whose tables this version does not have.";
    BATCH_ROW_COUNT = "batch_row_count", Refusal, Round => "The numbers of rows read, written, refused and staged do not agree.";
    BATCH_STAGED_ROWS = "batch_staged_rows", Refusal, Round => "The rows of a staged file cannot be read.";
    BATCH_MULTIFRAME_ID = "batch_multiframe_id", Refusal, Round => "The batch has rows of a multiframe that does not belong to its task.";
    BATCH_DETECTORS = "batch_detectors", Refusal, Round => "The detectors of the batch are not unique, or do not add up to their file.";
    BATCH_DETECTOR_ROWS = "batch_detector_rows", Refusal, Round => "The detectors of a file differ from those in the manifest.";
    BATCH_DETECTION_ROWS = "batch_detection_rows", Refusal, Round => "Detections of the batch break a rule of their table, or differ from the rows that were loaded before.";
    BATCH_KEPT_DETECTOR = "batch_kept_detector", Refusal, Round => "Detections that the batch relies on are no longer current.";
    BATCH_LAKE_FILE = "batch_lake_file", Refusal, Round => "A lake file of the batch does not have the reserved rows, or cannot be read.";
    BATCH_PREVIEW_PATH = "batch_preview_path", Refusal, Round => "The path of a preview differs from the one that the archive chooses.";
    BATCH_PROGRAMME = "batch_programme", Refusal, Round => "The batch has detections of a programme that the archive does not know.";
    BATCH_VALUE = "batch_value", Refusal, Round => "The database does not accept a value of the batch.";
    BATCH_VALUE_RANGE = "batch_value_range", Refusal, Round => "A value is outside the range of a column that may not be NULL.";
}
