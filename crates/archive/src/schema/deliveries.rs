//! Deliveries: directories of providers, their origins, and the instruments in them.

use super::table::{Table, flag, id, index, integer, text, time};

pub(super) const TABLES: &[Table] = &[
    Table::new(
        "delivery",
        "One directory of a provider: an observing night and pipeline version.",
        &[
            id("delivery_id", "assigned in the order of registration"),
            text("name", "name, e.g. 20071011_v1; a single path component").unique().check_each(
                "length(name) BETWEEN 1 AND 200 AND instr(name, '/') = 0 AND name NOT \
                 IN ('.', '..')",
                "length(name) BETWEEN 1 AND 200 AND strpos(name, '/') = 0 AND name \
                 NOT IN ('.', '..')",
            ),
            integer("night", "observing night, yyyymmdd; NULL: not part of the name")
                .or_null()
                .check("night BETWEEN 10000101 AND 99991231"),
            text("version", "pipeline version; NULL: not part of the name").or_null().not_empty(),
            text("source", "path or URL from which it was fetched").not_empty(),
            text(
                "state",
                "arriving: more files are expected; registered: all expected files are \
                 here; complete: all its rounds are ingested",
            )
            .one_of(&["arriving", "registered", "complete"]),
            text(
                "marker",
                "name of the marker file that announced the end of the delivery; NULL: none",
            )
            .or_null()
            .not_empty(),
            text("manifest", "name of the provider's manifest that was used; NULL: none")
                .or_null()
                .not_empty(),
            integer(
                "expected_files",
                "number of files announced by the marker or manifest; NULL: unknown",
            )
            .or_null()
            .at_least(0),
            text("awaited", "files known to be missing, in words; NULL: none")
                .or_null()
                .not_empty(),
            time("first_seen", "time of the first registration (UTC)"),
            time("last_arrival", "time at which the latest new file arrived (UTC)"),
            time("completed", "time at which all its rounds were ingested (UTC)").or_null(),
            time("closed", "time at which an operator declared it complete (UTC); NULL: none did")
                .or_null(),
            text("closed_by", "operator who declared it complete").or_null().not_empty(),
        ],
    )
    .checks(&["(state = 'complete') = (completed IS NOT NULL)"])
    .indexes(&[
        // Unfinished deliveries are few among those of many years.
        index("delivery_state", "state"),
    ]),
    Table::new(
        "delivery_origin",
        "Places at which deliveries were found. A directory of the same name at \
         another origin is another delivery.",
        &[
            text("origin", "name of a configured source, or address of the parent directory")
                .not_empty(),
            text("directory", "name of the directory at the origin").not_empty(),
            text("delivery", "name of the delivery, reserved until the delivery has files")
                .not_empty(),
            text("address", "address of the parent directory, without credentials").not_empty(),
            flag(
                "is_source",
                "1: the origin is a source of almagest.toml; 0: a path given to a command",
            ),
            text(
                "joined_by",
                "operator who declared it the same delivery as an earlier origin; NULL: \
                 the first origin",
            )
            .or_null()
            .not_empty(),
            time("recorded", "time at which the row was written (UTC)"),
        ],
    )
    .key("origin, directory")
    .indexes(&[index("delivery_origin_delivery", "delivery")]),
    Table::new(
        "camera",
        "Telescopes and instruments named by the headers of a delivery, in lower \
         case. Written with the metadata of the delivery.",
        &[
            integer("delivery_id", "the delivery").refers("delivery (delivery_id)"),
            text("telescope", "telescope; empty: not in the headers"),
            text("instrument", "instrument; empty: not in the headers"),
        ],
    )
    .key("delivery_id, telescope, instrument")
    .checks(&["telescope <> '' OR instrument <> ''"]),
];
