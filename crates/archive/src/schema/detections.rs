//! Index of the detections of each detector on a server. The embedded archive has the table of the same name from `lake`.

use super::table::{Table, index, integer, real, unique_index};

pub(super) const TABLES: &[Table] = &[Table::new(
    "detector_rows",
    "Location and validity of the detections of each detector: the access \
         path of every search. One row per detector and catalogue version. \
         Written by the publication of batches alone.",
    &[
        integer("programme_id", "programme of the rows").at_least(1),
        integer("first_obj_id", "object id of the first row; the others follow without gaps")
            .at_least(1),
        integer("rows", "number of rows").at_least(1),
        integer("multiframe_id", "the image").at_least(1),
        integer("ext_num", "extension number (primary = 1) of the detector").at_least(1),
        integer("version", "version of the image's catalogue").at_least(1),
        integer("file_id", "batch that published the rows"),
        integer("file_row", "position of the first row within the batch, from 0").at_least(0),
        integer("begin_event", "event that published the rows").at_least(1),
        integer("end_event", "event that ended the rows; NULL: current")
            .or_null()
            .check("end_event >= begin_event"),
        integer("centre_healpix29", "HEALPix cell (nested, order 29) of the centre of the cap")
            .or_null()
            .at_least(0),
        real("radius_deg", "radius in degrees of the cap that contains all positions")
            .or_null()
            .at_least(0),
        integer("radius_class", "smallest k >= -12 with radius_deg <= 2^k").or_null(),
    ],
)
.key("programme_id, first_obj_id")
.checks(&["(centre_healpix29 IS NULL) = (radius_deg IS NULL) \
           AND (radius_deg IS NULL) = (radius_class IS NULL)"])
.indexes(&[
    index("detector_rows_key", "multiframe_id, ext_num, version"),
    unique_index("detector_rows_current", "multiframe_id, ext_num, programme_id")
        .only("end_event IS NULL"),
    unique_index("detector_rows_file", "file_id, file_row"),
    index("detector_rows_sky", "radius_class, centre_healpix29"),
    index("detector_rows_out", "multiframe_id, ext_num, begin_event").only("end_event IS NOT NULL"),
    index("detector_rows_event", "begin_event"),
    index("detector_rows_ended", "file_id, file_row, rows").only("end_event IS NOT NULL"),
])];
