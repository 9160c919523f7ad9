//! Codes of previews and catalogues.

use super::Remedy::{Calibration, ImageRefusal, Profile, Repaired, Words};
use super::codes;

/// The remedy when positions are used that the file did not state clearly.
const POSITIONS: super::Remedy = Words(
    "state unit and frame of RA and DEC in the file, or in `catalogue.position` of the survey's profile",
);

codes! { PREVIEWS "Previews"
    NO_PICTURE = "no_picture", Refusal, Repaired => "The HDU has no picture of two axes.";
    NO_JPEG = "no_jpeg", Refusal, Repaired => "The preview could not be encoded as JPEG.";
    NO_VALID_PIXEL = "no_valid_pixel", Finding, Words("compare the image with the provider's") => "No pixel of the image has a value, and the preview is black.";
    PLANES_NOT_SHOWN = "planes_not_shown", Finding, Words("nothing: the preview shows the first plane") => "The image has more than one plane.";
}

codes! { TABLES "Catalogues"
    NO_TABLE = "no_table", Refusal, Repaired => "The catalogue file has no table.";
    TABLE_IN_IMAGE = "table_in_image", Finding, Words("set `catalogue.where` of the survey's profile to `\"image\"`, or give the table a role in `[[hdu]]`: `\"catalogue\"`, or `\"ignored\"` if it is none")
        => "A table in an image file has the columns of a catalogue, and is not used.";
    ZERO_ROWS = "zero_rows", Refusal, Profile => "The catalogue of a detector has no rows.";
    NO_METADATA = "no_metadata", Refusal, ImageRefusal => "The archive lacks the metadata of the catalogue's image.";
    NO_PROGRAMME = "no_programme", Refusal, ImageRefusal => "The image of the catalogue belongs to no programme.";
    NO_DETECTOR = "no_detector", Refusal, ImageRefusal => "The image has no detector for the table.";
    PAIRING_AMBIGUOUS = "pairing_ambiguous", Refusal, Profile => "Names and numbers do not identify the detector of the table.";
    PAIRING_CONTRADICTORY = "pairing_contradictory", Refusal, Profile => "Names or numbers of the table belong to another detector than its place, or than the metadata state.";
    PAIRING_CONTRADICTED = "pairing_contradicted", Refusal, Profile => "The positions of the rows do not fit the detector that the table was paired with, and fit another one of the image.";
    PAIRING_BY_POSITION = "pairing_by_position", Finding, Words("name the extensions of image and catalogue alike, or set `catalogue.pair_by` of the survey's profile")
        => "The table was paired by its place in the file, and nothing confirms the pair.";
    DETECTOR_WITHOUT_CATALOGUE = "detector_without_catalogue", Finding, Words("deliver the catalogue of the detector, or settle its refusal")
        => "A detector of the image has no usable catalogue.";
    REQUIRED_COLUMN_MISSING = "required_column_missing", Refusal, Profile => "A column that every catalogue of the survey has is missing.";
    REQUIRED_COLUMN_FORMAT = "required_column_format", Refusal, Profile => "A required column does not have one number per row.";
    FOREIGN_COLUMN = "foreign_column", Refusal, Profile => "The table has a column that marks tables of another kind.";
    COLUMN_UNKNOWN = "column_unknown", Finding, Words("map the columns in the survey's profile where a column of the archive should have them")
        => "The table has columns that neither the archive nor the profile knows.";
    COLUMN_UNUSABLE = "column_unusable", Finding, Words("deliver the columns with one number per row") => "Columns do not have one number per row, and are NULL.";
    NO_ZERO_POINT = "no_zero_point", Either, Calibration => "The header has no usable zero point, and magnitudes cannot be computed.";
    NO_EXPOSURE_TIME = "no_exposure_time", Either, Calibration => "The header has no exposure time for a zero point per second.";
    NO_WCS = "no_wcs", Finding, Words("correct the coordinate keywords of the image at the provider")
        => "The image has no usable coordinates, and magnitudes are not corrected for distortion.";
    TOO_MANY_REFUSED_ROWS = "too_many_refused_rows", Refusal, Profile => "More rows are unusable than the profile allows, and the whole table is refused.";
    INFINITE_VALUE = "infinite_value", Finding, Words("nothing: the values are NULL") => "Values of a column are infinite, and became NULL.";
    CLASS_NOT_SET = "class_not_set", Finding, Words("nothing: `class` of the rows is NULL") => "Rows were not classified by the pipeline.";
    CLASS_NOT_WHOLE = "class_not_whole", Finding, Words("nothing: `class` of the rows is NULL") => "Classes of rows are not whole numbers.";
    POSITION_CONTRADICTS_WCS = "position_contradicts_wcs", Refusal, Profile => "RA and DEC are farther from the positions of x and y in the WCS than the profile allows.";
    PIXEL_SHIFT = "pixel_shift", Refusal, Profile => "Pixels x and y are shifted against those of RA and DEC in the WCS by more than the profile allows.";
    POSITION_UNIT_UNKNOWN = "position_unit_unknown", Refusal, Profile => "The unit of RA and DEC is unknown, and no WCS decides it.";
    POSITION_FRAME_UNKNOWN = "position_frame_unknown", Either, Profile => "The reference frame of RA and DEC is unknown.";
    POSITION_UNIT_CONTRADICTED = "position_unit_contradicted", Finding, POSITIONS => "RA and DEC are not in the unit that TUNIT declares; the values count.";
    POSITION_UNIT_INFERRED = "position_unit_inferred", Finding, POSITIONS => "TUNIT of RA and DEC declares no known unit, and the WCS decided it.";
    POSITION_UNIT_ASSUMED = "position_unit_assumed", Finding, POSITIONS => "RA and DEC have no unit, and nothing confirms the assumed one.";
    POSITION_DISAGREES_WITH_WCS = "position_disagrees_with_wcs", Finding, POSITIONS => "RA and DEC differ from the positions of x and y in the WCS, within the profile's limit.";
    POSITION_FROM_WCS = "position_from_wcs", Finding, Words("nothing: the positions are those of x and y in the WCS") => "Rows have no RA and DEC.";
    POSITION_FROM_COLUMNS = "position_from_columns", Finding, Words("nothing: the positions are those of RA and DEC") => "Rows have no position through the WCS.";
}

codes! { ROWS "Rows of catalogues"
    SEQUENCE_NUMBER_MISSING = "sequence_number_missing", Refusal, Repaired => "Rows have no sequence number.";
    SEQUENCE_NUMBER_NOT_WHOLE = "sequence_number_not_whole", Refusal, Repaired => "Sequence numbers of rows are not whole numbers.";
    SEQUENCE_NUMBER_OUT_OF_RANGE = "sequence_number_out_of_range", Refusal, Repaired => "Sequence numbers of rows are below 1 or beyond 32 bits.";
    SEQUENCE_NUMBER_DUPLICATE = "sequence_number_duplicate", Refusal, Repaired => "Rows have the sequence number of an earlier row.";
    PIXEL_POSITION_MISSING = "pixel_position_missing", Refusal, Repaired => "Rows have no x or no y.";
    OUTSIDE_DETECTOR = "outside_detector", Refusal, Profile => "Rows have an x or y outside the detector, beyond the profile's margin.";
    SKY_POSITION_MISSING = "sky_position_missing", Refusal, Repaired => "Rows have no position on the sky, and no WCS to compute it.";
    SKY_POSITION_OUT_OF_RANGE = "sky_position_out_of_range", Refusal, Repaired => "Rows have an RA or DEC that is not a position on the sky.";
}
