//! Deliveries: directories of providers, where they come from, and what their sources show that was not fetched.

use super::table::{Table, flag, id, index, integer, text, time};

pub(super) const TABLES: &[Table] = &[
    Table::new(
        "delivery",
        "One directory of a provider: a night and pipeline version. Its id is \
         the order of registration.",
        &[
            id("delivery_id", "order of registration"),
            text("name", "e.g. 20071011_v1; one plain path component").unique().check_each(
                "length(name) BETWEEN 1 AND 200 AND instr(name, '/') = 0 AND name NOT \
                 IN ('.', '..')",
                "length(name) BETWEEN 1 AND 200 AND strpos(name, '/') = 0 AND name \
                 NOT IN ('.', '..')",
            ),
            integer("night", "yyyymmdd; NULL when the name tells none")
                .or_null()
                .check("night BETWEEN 10000101 AND 99991231"),
            text("version", "pipeline version; NULL when the name tells none")
                .or_null()
                .not_empty(),
            text("source", "where it came from").not_empty(),
            text("state", "progress of its arrival").one_of(&[
                "arriving",
                "registered",
                "complete",
            ]),
            text("marker", "name of the marker file that was seen").or_null().not_empty(),
            text("manifest", "name of the provider's manifest that was used").or_null().not_empty(),
            integer("expected_files", "count that marker or manifest announced")
                .or_null()
                .at_least(0),
            text("awaited", "what is known to be missing; NULL when nothing is")
                .or_null()
                .not_empty(),
            time("first_seen", "first registration"),
            time("last_arrival", "latest new file"),
            time("completed", "when all its units were ingested").or_null(),
            time("closed", "when an operator declared it complete; NULL when none did").or_null(),
            text("closed_by", "the operator who declared it complete").or_null().not_empty(),
        ],
    )
    .checks(&["(state = 'complete') = (completed IS NOT NULL)"])
    .indexes(&[
        // What is to be done is found among years of what is done.
        index("delivery_state", "state"),
    ]),
    Table::new(
        "delivery_origin",
        "Origins of deliveries. A directory of the same name at another \
         origin is another delivery.",
        &[
            text("origin", "name of a configured source, or address of the parent directory")
                .not_empty(),
            text("directory", "name of the delivery's directory at the origin").not_empty(),
            text("delivery", "name of the delivery; reserved until it has files").not_empty(),
            text("address", "address of the parent directory, without secrets").not_empty(),
            flag("is_source", "1: the configuration names the origin as a source"),
            text(
                "joined_by",
                "operator who declared it the same delivery; NULL for its first \
                 origin",
            )
            .or_null()
            .not_empty(),
            time("recorded", "when the row was written"),
        ],
    )
    .key("origin, directory")
    .indexes(&[index("delivery_origin_delivery", "delivery")]),
    Table::new(
        "camera",
        "Telescopes and instruments that the headers of a delivery name, in \
         lower case. Written with its metadata.",
        &[
            integer("delivery_id", "the delivery").refers("delivery (delivery_id)"),
            text("telescope", "empty: the headers name none"),
            text("instrument", "empty: the headers name none"),
        ],
    )
    .key("delivery_id, telescope, instrument")
    .checks(&["telescope <> '' OR instrument <> ''"]),
];
