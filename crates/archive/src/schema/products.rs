//! Products: the published state of each image and detector, and which image of a name is current.

use super::table::{Table, flag, index, integer, text, use_case};

pub(super) const TABLES: &[Table] = &[
    Table::new(
        "product",
        "State of the published products, one row per image and use case. Among \
         images of the same name, the newest with a product is current.",
        &[
            integer("multiframe_id", "the image").refers("image (multiframe_id)"),
            use_case("use_case", "the use case that made the product"),
            text(
                "state",
                "superseded: a newer image of the same name is current instead, or an \
                 operator ended it",
            )
            .one_of(&["current", "superseded", "retracted"]),
            integer("ended_event", "event that ended the rows; NULL: the rows are current")
                .or_null()
                .at_least(1),
            integer("changed_event", "latest event that changed this row").at_least(1),
            flag(
                "kept",
                "1: current only because the newer image of the same name has no such \
                 product",
            )
            .default("0"),
        ],
    )
    .key("multiframe_id, use_case")
    .checks(&["(state = 'current') = (ended_event IS NULL)", "kept = 0 OR state = 'current'"])
    .indexes(&[
        index("product_changed", "changed_event"),
        index("product_kept", "multiframe_id").only("kept = 1"),
    ]),
    Table::new(
        "product_detector",
        "State of the published detections, one row per image and detector with \
         an accepted catalogue HDU, including empty ones.",
        &[
            integer("multiframe_id", "the image").refers("image (multiframe_id)"),
            integer("ext_num", "extension number (primary = 1) of the detector").at_least(1),
            text(
                "detector",
                "identity of the detector in the headers of all processings, e.g. cam_num \
                 3; NULL: unknown, and the extension number identifies it",
            )
            .or_null()
            .not_empty(),
            text(
                "state",
                "superseded: the detector is current in a newer image of the same name, \
                 or an operator ended it",
            )
            .one_of(&["current", "superseded", "retracted"]),
            integer(
                "version",
                "version of the image's catalogue from which the detections come; 0: \
                 unknown",
            )
            .at_least(0),
            integer(
                "ended_event",
                "event that ended the detections; NULL: the detections are current",
            )
            .or_null()
            .at_least(1),
            integer("changed_event", "latest event that changed this row").at_least(1),
            integer(
                "uncovered_event",
                "first event that published a newer round of the image's catalogue \
                 without accepted detections of this detector; NULL: the detections come \
                 from the newest round",
            )
            .or_null()
            .at_least(1),
            integer(
                "supersession_event",
                "decision in force that ends the detections left by such a round; NULL: \
                 none",
            )
            .or_null()
            .check("supersession_event > uncovered_event"),
            integer(
                "undone_supersession",
                "latest decision to end detections of this detector that was undone; NULL: \
                 none",
            )
            .or_null()
            .at_least(1),
            integer("undone_event", "event that undid that decision; NULL: none")
                .or_null()
                .check("undone_event > undone_supersession"),
        ],
    )
    .key("multiframe_id, ext_num")
    .checks(&[
        "(state = 'current') = (ended_event IS NULL)",
        "supersession_event IS NULL OR uncovered_event IS NOT NULL",
        "(undone_supersession IS NULL) = (undone_event IS NULL)",
    ])
    .indexes(&[
        index("product_detector_changed", "changed_event"),
        index("product_detector_uncovered", "multiframe_id").only("uncovered_event IS NOT NULL"),
    ]),
    Table::new(
        "interruption",
        "Ranges of events in which rows that were restored later were not current.",
        &[
            integer("multiframe_id", "the image").refers("image (multiframe_id)"),
            use_case("use_case", "use case of the tables concerned"),
            integer("from_event", "event that ended the rows").at_least(1),
            integer("to_event", "event that restored the rows").check("to_event > from_event"),
        ],
    )
    .key("multiframe_id, use_case, from_event"),
    Table::new(
        "detector_interruption",
        "Ranges of events in which detections that were restored later were not \
         current.",
        &[
            integer("multiframe_id", "the image").refers("image (multiframe_id)"),
            integer("ext_num", "extension number (primary = 1) of the detector").at_least(1),
            integer("from_event", "event that ended the detections").at_least(1),
            integer("to_event", "event that restored the detections")
                .check("to_event > from_event"),
        ],
    )
    .key("multiframe_id, ext_num, from_event"),
    Table::new(
        "supersession",
        "Decisions of operators to end a product of an older image although the \
         newer image of the same name has no such product.",
        &[
            integer("multiframe_id", "the older image, whose product ends")
                .refers("image (multiframe_id)"),
            use_case("use_case", "use case of the product"),
            integer("event_id", "event of the decision").refers("event (event_id)"),
            integer(
                "undone_event",
                "event that undid the decision; NULL: the decision is in force",
            )
            .or_null()
            .refers("event (event_id)")
            .check("undone_event > event_id"),
        ],
    )
    .key("multiframe_id, use_case, event_id"),
];
