//! Events: acts of curation, and the counters of the numbers that leave this database.

use super::table::{Table, index, integer, text, time};

pub(super) const TABLES: &[Table] = &[
    Table::new(
        "counter",
        "Last number assigned of each kind. Never decreased, and never derived \
         from the rows.",
        &[
            text("name", "kind of number").key().one_of(&["multiframe", "event", "programme"]),
            integer("last", "last number assigned").at_least(0),
        ],
    ),
    Table::new(
        "event",
        "Every act of curation that changed the content of the public tables.",
        &[
            integer("event_id", "number of the event, from counter event").key().at_least(1),
            text(
                "act",
                "kind of act; abandon: the number was reserved for a batch that used \
                 another number or failed",
            )
            .one_of(&["ingest", "reference", "retract", "restore", "abandon"]),
            integer("unit_id", "the round; NULL: the act concerns no single round")
                .or_null()
                .refers("unit (unit_id)"),
            time("happened", "time of the event (UTC)"),
            text("who", "operator or process").not_empty(),
            text("why", "reason").not_empty(),
            text("software", "version of almagest").not_empty(),
        ],
    )
    .checks(&["act = 'reference' OR unit_id IS NOT NULL"])
    .indexes(&[
        index("event_unit", "unit_id"),
        // Few among many, and every query of detections on a server excludes them.
        index("event_abandoned", "event_id").only("act = 'abandon'"),
    ]),
];
