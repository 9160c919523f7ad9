//! Refusals and findings.

use super::table::{Table, flag, id, index, integer, stage, text, time, unique_index};

pub(super) const TABLES: &[Table] = &[
    Table::new(
        "refusal",
        "What was not accepted. One row per delivery, file content, stage, \
         HDU and code while it is not dealt with.",
        &[
            id("refusal_id", "shown to operators"),
            integer("delivery_id", "in which delivery").refers("delivery (delivery_id)"),
            integer("file_id", "the content; NULL: never registered")
                .or_null()
                .refers("file (file_id)"),
            integer("unit_id", "the round that refused it, if one did")
                .or_null()
                .refers("unit (unit_id)"),
            text("file_name", "name in the delivery; empty: a whole round"),
            stage("stage", "stage of the pipeline that refused the input"),
            text("code", "reason, for machines").check_each(
                "length(code) > 0 AND code NOT GLOB '*[^a-z0-9_]*'",
                "length(code) > 0 AND code !~ '[^a-z0-9_]'",
            ),
            integer(
                "ext_num",
                "extension number of the HDU in the file, primary = 1, as \
                 multiframe_detector.ext_num; NULL: the whole file",
            )
            .or_null()
            .at_least(1),
            text("keyword", "header keyword at fault").or_null(),
            text("column_name", "table column at fault").or_null(),
            text(
                "subject",
                "what it is about beside the file: the project of `unknown_project`, \
                 the refused image of `image_absent`; NULL: nothing else",
            )
            .or_null(),
            text("message", "one sentence for the operator"),
            integer("rows", "how many rows, when rows are refused").default("0").at_least(0),
            text("row_ranges", "[{\"first\":…,\"last\":…}, …]")
                .default("'[]'")
                .check_each("json_valid(row_ranges)", "row_ranges::jsonb IS NOT NULL"),
            flag("parked", "1: waits, and is taken up by itself"),
            flag("taken", "1: accepted, and what was refused is used all the same").default("0"),
            text("state", "open, or how the refusal was settled").one_of(&[
                "open",
                "accepted",
                "dismissed",
                "retried",
                "resolved",
            ]),
            integer("seen_times", "number of times that it was found").default("1").at_least(1),
            time("first_seen", "when first"),
            time("last_seen", "when last"),
        ],
    )
    .indexes(&[
        unique_index(
            "refusal_open",
            "delivery_id, file_name, stage, code, coalesce(ext_num, -1), \
             coalesce(file_id, 0), (CASE WHEN file_name = '' THEN \
             coalesce(unit_id, 0) ELSE 0 END)",
        )
        .only("state = 'open'"),
        index("refusal_file", "file_id, stage"),
        index(
            "refusal_key",
            "delivery_id, file_name, stage, code, coalesce(ext_num, -1), \
             coalesce(file_id, 0)",
        ),
        // Refusals of a file name, in whichever delivery.
        index("refusal_name", "file_name"),
    ]),
    Table::new(
        "refusal_history",
        "Every decision on a refusal, by operators or by later events.",
        &[
            integer("refusal_id", "the refusal").refers("refusal (refusal_id)"),
            integer("number", "1, 2 … of this refusal").at_least(1),
            text("to_state", "state after"),
            time("changed", "time of the change"),
            text("who", "who or what decided").not_empty(),
            text("why", "the reason").not_empty(),
        ],
    )
    .key("refusal_id, number"),
    Table::new(
        "finding",
        "What was odd in what was accepted: the drift report, counted per \
         round.",
        &[
            integer("delivery_id", "in which delivery").refers("delivery (delivery_id)"),
            stage("stage", "stage of the pipeline that reported the finding"),
            integer("round", "of the stage's unit; 0 outside rounds").at_least(0),
            text("code", "kind, for machines").not_empty(),
            text("subject", "keyword or column; empty: none"),
            integer("files", "in how many files").at_least(1),
            integer("occurrences", "how often in all").at_least(1),
            text("example_file", "one of the files"),
            integer(
                "example_ext_num",
                "extension number of the HDU in the example file, primary = 1; NULL: \
                 the whole file",
            )
            .or_null()
            .at_least(1),
            text("message", "one sentence for the operator"),
            text(
                "members",
                "which images (in rounds) or files (in stage register): JSON [[first \
                 id, last id, occurrences in each], …]",
            )
            .or_null(),
        ],
    )
    .key("delivery_id, stage, round, code, subject"),
];
