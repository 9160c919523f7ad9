//! Batches: the output of staged rounds, and the ids assigned to its rows.

use super::table::{Table, index, integer, text, time};

pub(super) const TABLES: &[Table] = &[
    Table::new(
        "batch",
        "Output of a staged round, to be published by the ingester.",
        &[
            integer("unit_id", "the round").refers("unit (unit_id)").key(),
            time("staged", "time at which the last task of the round finished (UTC)"),
            time("reserved", "time at which the id ranges of the batch were recorded (UTC)")
                .or_null(),
            integer(
                "reserved_event",
                "event number reserved for the publication; the lake files of the batch \
                 carry it",
            )
            .or_null()
            .unique()
            .at_least(1),
            integer("event_id", "event that published the batch; NULL: not published")
                .or_null()
                .unique()
                .refers("event (event_id)"),
            text("failed_check", "name of the check that rejected the batch; NULL: none")
                .or_null()
                .not_empty(),
        ],
    )
    .checks(&["event_id IS NULL OR failed_check IS NULL"])
    .indexes(&[
        // Few among many, and every query of detections on a server excludes them.
        index("batch_unpublished", "reserved_event").only("event_id IS NULL"),
    ]),
    Table::new(
        "batch_rows",
        "Number of rows that a published batch added to each table, as counted \
         while loading.",
        &[
            integer("unit_id", "the batch").refers("batch (unit_id)"),
            text("table_name", "name of the table").not_empty(),
            integer("rows", "number of rows added").at_least(0),
        ],
    )
    .key("unit_id, table_name"),
    Table::new(
        "hdu_rows",
        "Rows of each catalogue HDU of a published batch: rows_read = \
         rows_written + rows_refused.",
        &[
            integer("unit_id", "the batch").refers("batch (unit_id)"),
            integer("multiframe_id", "the image").refers("image (multiframe_id)"),
            integer(
                "ext_num",
                "extension number (primary = 1) of the image's detector, as \
                 multiframe_detector.ext_num; NULL: the image has no detector for this \
                 HDU",
            )
            .or_null()
            .at_least(1),
            integer(
                "cat_ext_num",
                "extension number (primary = 1) of the HDU in the catalogue file, as \
                 multiframe_detector.cat_ext_num",
            )
            .at_least(1),
            integer("rows_read", "number of rows in the file").at_least(0),
            integer("rows_written", "number of rows written to the archive").at_least(0),
            integer("rows_refused", "number of rows refused").at_least(0),
        ],
    )
    .key("unit_id, multiframe_id, cat_ext_num")
    .checks(&["rows_read = rows_written + rows_refused"]),
    Table::new(
        "programme_counter",
        "Observing programmes.",
        &[integer(
            "programme_id",
            "programme id: from counter programme, or from a survey profile",
        )
        .key()
        .at_least(1)],
    ),
    Table::new(
        "id_counter",
        "Last id that was assigned to rows of a lake table, by programme.",
        &[
            text("lake_table", "name of the lake table, e.g. detection").not_empty(),
            integer("programme_id", "the programme").refers("programme_counter (programme_id)"),
            integer("last_id", "last id assigned; ids 1 to this one are in id_range").at_least(1),
        ],
    )
    .key("lake_table, programme_id"),
    Table::new(
        "id_range",
        "Ids assigned to the rows of a batch. Every id from 1 to the counter of a \
         lake table and programme belongs to exactly one range.",
        &[
            text("lake_table", "name of the lake table, e.g. detection").not_empty(),
            integer("programme_id", "the programme").refers("programme_counter (programme_id)"),
            integer("first_id", "first id of the range").at_least(1),
            integer("last_id", "last id of the range").check("last_id >= first_id"),
            integer("unit_id", "batch to which the ids are assigned").refers("batch (unit_id)"),
            text(
                "state",
                "reserved: batch not published yet; ingested: in use; retracted: rows \
                 retracted; abandoned: never used",
            )
            .one_of(&["reserved", "ingested", "retracted", "abandoned"]),
            text("why", "reason of the abandonment").or_null().not_empty(),
        ],
    )
    .key("lake_table, programme_id, first_id")
    .unique(&["unit_id, lake_table, programme_id"])
    .checks(&["(state = 'abandoned') = (why IS NOT NULL)"])
    .indexes(&[index("id_range_abandoned", "unit_id, programme_id").only("state = 'abandoned'")]),
];
