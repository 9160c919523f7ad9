//! Refusals and findings.

use super::table::{Table, flag, id, index, integer, stage, text, time, unique_index};

pub(super) const TABLES: &[Table] = &[
    Table::new(
        "refusal",
        "Rejected inputs. One row per delivery, file content, stage, HDU and code \
         until it is settled.",
        &[
            id("refusal_id", "number shown to operators"),
            integer("delivery_id", "the delivery").refers("delivery (delivery_id)"),
            integer("file_id", "the file content; NULL: never registered")
                .or_null()
                .refers("file (file_id)"),
            integer("unit_id", "the round that refused it; NULL: none did")
                .or_null()
                .refers("unit (unit_id)"),
            text("file_name", "name within the delivery; empty: a whole round"),
            stage("stage", "stage of the pipeline that refused the input"),
            text("code", "reason, machine-readable").check_each(
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
            text("keyword", "header keyword at fault; NULL: none").or_null(),
            text("column_name", "table column at fault; NULL: none").or_null(),
            text(
                "subject",
                "object concerned in addition to the file: the project of `unknown_project`, the \
                 refused image of `image_absent`; NULL: none",
            )
            .or_null(),
            text("message", "reason, one sentence for the operator"),
            integer("rows", "number of refused rows; 0: not a refusal of rows")
                .default("0")
                .at_least(0),
            text("row_ranges", "refused rows as JSON: [{\"first\":…,\"last\":…}, …]")
                .default("'[]'")
                .check_each("json_valid(row_ranges)", "row_ranges::jsonb IS NOT NULL"),
            flag("parked", "1: waits for another input, and is retried automatically"),
            flag(
                "overruled",
                "1: an operator overruled it, and the refused input is used as it is",
            )
            .default("0"),
            text("state", "open, or how it was settled").one_of(&[
                "open",
                "accepted",
                "dismissed",
                "retried",
                "resolved",
            ]),
            integer("occurrences", "number of times that it occurred").default("1").at_least(1),
            time("first_seen", "time of the first occurrence (UTC)"),
            time("last_seen", "time of the latest occurrence (UTC)"),
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
        "Every change of state of a refusal, by operators or by later events.",
        &[
            integer("refusal_id", "the refusal").refers("refusal (refusal_id)"),
            integer("number", "number of the change of this refusal: 1, 2 …").at_least(1),
            text("to_state", "state after the change"),
            time("changed", "time of the change (UTC)"),
            text("who", "operator or process").not_empty(),
            text("why", "reason").not_empty(),
        ],
    )
    .key("refusal_id, number"),
    Table::new(
        "finding",
        "Unexpected properties of accepted inputs, counted per round: the source \
         of the drift report.",
        &[
            integer("delivery_id", "the delivery").refers("delivery (delivery_id)"),
            stage("stage", "stage of the pipeline that reported the finding"),
            integer("round", "round of the use case of that stage; 0 for stages without rounds")
                .at_least(0),
            text("code", "kind of finding, machine-readable").not_empty(),
            text("subject", "keyword or column; empty: none"),
            integer("files", "number of files with the finding").at_least(1),
            integer("occurrences", "number of occurrences in all files").at_least(1),
            text("example_file", "name of one of the files"),
            integer(
                "example_ext_num",
                "extension number of the HDU in the example file, primary = 1; NULL: \
                 the whole file",
            )
            .or_null()
            .at_least(1),
            text("message", "finding, one sentence for the operator"),
            text(
                "members",
                "images (of rounds) or files (of stage register) with the finding, as \
                 JSON: [[first id, last id, occurrences in each], …]",
            )
            .or_null(),
        ],
    )
    .key("delivery_id, stage, round, code, subject"),
];
