//! Index of the detections of each detector on a server. The embedded archive has the table of the same name from `lake`.

use super::table::{Table, index, integer, real, unique_index};

pub(super) const TABLES: &[Table] = &[Table::new(
    "detector_rows",
    "Where the detections of each detector are, and whether they are \
     current: the access path of every search. One row per detector and \
     catalogue version; written by `lake::Publication` alone.",
    &[
        integer("programme_id", "owner of the rows").at_least(1),
        integer("first_obj_id", "object id of the first row; the others follow").at_least(1),
        integer("rows", "how many rows").at_least(1),
        integer("multiframe_id", "the image").at_least(1),
        integer("ext_num", "primary = 1").at_least(1),
        integer("version", "version of the image's catalogue").at_least(1),
        integer("file_id", "the batch that published them"),
        integer("file_row", "place of the first row within the batch, from 0").at_least(0),
        integer("begin_event", "event that published the rows").at_least(1),
        integer("end_event", "event that ended them; NULL = current")
            .or_null()
            .check("end_event >= begin_event"),
        integer("centre_healpix29", "cell of the centre of the cap below").or_null().at_least(0),
        real("radius_deg", "cap around the centre that holds every position").or_null().at_least(0),
        integer("radius_class", "least k >= -12 with radius_deg <= 2^k").or_null(),
    ],
)
.key("programme_id, first_obj_id")
.checks(&["(centre_healpix29 IS NULL) = (radius_deg IS NULL) \
           AND (radius_deg IS NULL) = (radius_class IS NULL)"])
.indexes(&[
    index("detector_rows_detector", "multiframe_id, ext_num, version"),
    unique_index("detector_rows_current", "multiframe_id, ext_num, programme_id")
        .only("end_event IS NULL"),
    unique_index("detector_rows_file", "file_id, file_row"),
    index("detector_rows_sky", "radius_class, centre_healpix29"),
    index("detector_rows_out", "multiframe_id, ext_num, begin_event").only("end_event IS NOT NULL"),
    index("detector_rows_event", "begin_event"),
    index("detector_rows_ended", "file_id, file_row, rows").only("end_event IS NOT NULL"),
])];
