//! Batches: what a staged round leaves to ingest, and the object ids that it is given.

use super::table::{Table, index, integer, text, time};

pub(super) const TABLES: &[Table] = &[
    Table::new(
        "batch",
        "What a staged round leaves to ingest.",
        &[
            integer("unit_id", "the round").refers("unit (unit_id)").key(),
            time("staged", "when its last task was done"),
            time("reserved", "when its id ranges were recorded").or_null(),
            integer("reserved_event", "event number kept for it; its lake files carry it")
                .or_null()
                .unique()
                .at_least(1),
            integer("event_id", "the ingest; the claim to have published it")
                .or_null()
                .unique()
                .refers("event (event_id)"),
            text("failed_check", "name of the check that refused it").or_null().not_empty(),
        ],
    )
    .checks(&["event_id IS NULL OR failed_check IS NULL"])
    .indexes(&[
        // Batches that are not, or not yet, to be seen: few among many, and every query of detections on a server needs them.
        index("batch_coming", "reserved_event").only("event_id IS NULL"),
    ]),
    Table::new(
        "batch_rows",
        "How many rows of each table a published batch brought, as counted \
         while loading.",
        &[
            integer("unit_id", "the batch").refers("batch (unit_id)"),
            text("table_name", "the table").not_empty(),
            integer("rows", "rows published").at_least(0),
        ],
    )
    .key("unit_id, table_name"),
    Table::new(
        "hdu_rows",
        "Rows of each catalogue HDU of a published batch: read = written + \
         refused.",
        &[
            integer("unit_id", "the batch").refers("batch (unit_id)"),
            integer("multiframe_id", "the image").refers("image (multiframe_id)"),
            integer(
                "ext_num",
                "extension number (primary = 1) of the image's detector, as \
                 multiframe_detector.ext_num; NULL: none belongs to the HDU",
            )
            .or_null()
            .at_least(1),
            integer(
                "cat_ext_num",
                "extension number (primary = 1) of the HDU in the catalogue file, as \
                 multiframe_detector.cat_ext_num",
            )
            .at_least(1),
            integer("rows_read", "rows in the file").at_least(0),
            integer("rows_written", "rows in the archive").at_least(0),
            integer("rows_refused", "rows refused").at_least(0),
        ],
    )
    .key("unit_id, multiframe_id, cat_ext_num")
    .checks(&["rows_read = rows_written + rows_refused"]),
    Table::new(
        "programme_counter",
        "Identity of a programme and the last object id given to its \
         detections.",
        &[
            integer("programme_id", "from counter programme, or from a profile").key().at_least(1),
            integer("last_obj_id", "object ids 1 to this one are in id_range")
                .default("0")
                .at_least(0),
        ],
    ),
    Table::new(
        "id_range",
        "Object ids given to a batch. Every id from 1 to the counter belongs \
         to exactly one range.",
        &[
            integer("programme_id", "whose ids").refers("programme_counter (programme_id)"),
            integer("first_obj_id", "first").at_least(1),
            integer("last_obj_id", "last").check("last_obj_id >= first_obj_id"),
            integer("unit_id", "given to this batch").refers("batch (unit_id)"),
            text("state", "what became of it").one_of(&[
                "reserved",
                "ingested",
                "retracted",
                "abandoned",
            ]),
            text("why", "reason of the abandonment").or_null().not_empty(),
        ],
    )
    .key("programme_id, first_obj_id")
    .unique(&["unit_id, programme_id"])
    .checks(&["(state = 'abandoned') = (why IS NOT NULL)"])
    .indexes(&[index("id_range_abandoned", "unit_id, programme_id").only("state = 'abandoned'")]),
];
