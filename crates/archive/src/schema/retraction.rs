//! Retraction: what was taken out of the archive, and files that are to be deleted.

use super::table::{Table, index, integer, text, time};

pub(super) const TABLES: &[Table] = &[
    Table::new(
        "retraction",
        "Rounds that were taken out of the archive.",
        &[
            integer("event_id", "the act that took it out").refers("event (event_id)"),
            integer("unit_id", "the round").refers("unit (unit_id)"),
            integer("undone_event", "the event that undid it")
                .or_null()
                .refers("event (event_id)")
                .check("undone_event > event_id"),
            time("purged", "when its rows were deleted").or_null(),
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
        "Files that no table lists any more and that are to be deleted: a \
         purge notes them in its transaction, and whoever opens the archive \
         for writing deletes what an interrupted one left.",
        &[
            text("place", "directory of the site").one_of(&["previews", "lake"]),
            text("path", "below that directory")
                .check("length(path) > 0 AND substr(path, 1, 1) <> '/'"),
        ],
    )
    .key("place, path"),
];
