//! Events: acts of curation, and the counters of the numbers that leave this database.

use super::table::{Table, index, integer, text, time};

pub(super) const TABLES: &[Table] = &[
    Table::new(
        "counter",
        "The last number assigned of each kind; never decreased, never derived from the \
         rows.",
        &[
            text("name", "what is numbered").key().one_of(&["multiframe", "event", "programme"]),
            integer("last", "the last number given").at_least(0),
        ],
    ),
    Table::new(
        "event",
        "Every act of curation that changed what the archive shows.",
        &[
            integer("event_id", "from counter event").key().at_least(1),
            text(
                "act",
                "what was done; abandon: the number was kept for a batch that took \
                 another one or failed",
            )
            .one_of(&["ingest", "reference", "retract", "restore", "abandon"]),
            integer("unit_id", "the round").or_null().refers("unit (unit_id)"),
            time("happened", "time of the event"),
            text("who", "who or what did it").not_empty(),
            text("why", "in a few words").not_empty(),
            text("software", "version of the program").not_empty(),
        ],
    )
    .checks(&["act = 'reference' OR unit_id IS NOT NULL"])
    .indexes(&[
        index("event_unit", "unit_id"),
        // Events that are never to be seen: few among many, and every query of detections on a server needs them.
        index("event_abandoned", "event_id").only("act = 'abandon'"),
    ]),
];
