//! Retraction: rounds that were retracted from the archive, and files to be deleted.

use super::table::{Table, index, integer, text, time};

pub(super) const TABLES: &[Table] = &[
    Table::new(
        "retraction",
        "Rounds that were retracted from the archive.",
        &[
            integer("event_id", "event of the retraction").refers("event (event_id)"),
            integer("unit_id", "the round").refers("unit (unit_id)"),
            integer("undone_event", "event that undid the retraction; NULL: none")
                .or_null()
                .refers("event (event_id)")
                .check("undone_event > event_id"),
            time("purged", "time at which the rows were deleted (UTC); NULL: they exist").or_null(),
        ],
    )
    .key("event_id, unit_id")
    .checks(&["undone_event IS NULL OR purged IS NULL"])
    .indexes(&[
        index("retraction_unit", "unit_id"),
        index("retraction_open", "event_id, unit_id")
            .only("undone_event IS NULL AND purged IS NULL"),
    ]),
    Table::new(
        "deletion",
        "Files that no table lists any more, to be deleted. A purge records them \
         in its transaction; the next process that opens the archive for writing \
         deletes what an interrupted purge left.",
        &[
            text("place", "directory of the site").one_of(&["previews", "lake"]),
            text("path", "path below that directory")
                .check("length(path) > 0 AND substr(path, 1, 1) <> '/'"),
        ],
    )
    .key("place, path"),
];
