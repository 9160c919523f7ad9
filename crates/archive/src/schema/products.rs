//! Products: what is published of each image and detector, and which of the images of one name shows it.

use super::table::{Table, flag, index, integer, text, use_case};

pub(super) const TABLES: &[Table] = &[
    Table::new(
        "product",
        "What is published of each image: a row per image and use case. Of \
         the images of one name the newest that has a product shows it.",
        &[
            integer("multiframe_id", "the image").refers("image (multiframe_id)"),
            use_case("use_case", "which of its products"),
            text("state", "superseded: a newer image of the name shows instead").one_of(&[
                "current",
                "superseded",
                "retracted",
            ]),
            integer("ended_event", "event that ended its rows; NULL: they are current")
                .or_null()
                .at_least(1),
            integer("changed_event", "event of the latest change of this row").at_least(1),
            flag(
                "kept",
                "1: current only because the newer image of the name lacks this \
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
        "What is published of the detections of each detector: a row per \
         image and detector with an accepted catalogue HDU, an empty one \
         included.",
        &[
            integer("multiframe_id", "the image").refers("image (multiframe_id)"),
            integer("ext_num", "extension number (primary = 1) of the detector").at_least(1),
            text(
                "detector",
                "the detector as the headers of all processings name it, e.g. cam_num \
                 3; NULL: unknown, its place counts",
            )
            .or_null()
            .not_empty(),
            text(
                "state",
                "superseded: a newer image of the name shows the detector instead, or \
                 a decision ended it",
            )
            .one_of(&["current", "superseded", "retracted"]),
            integer(
                "version",
                "version of the image's catalogue that its detections come from; 0: \
                 unknown",
            )
            .at_least(0),
            integer("ended_event", "event that ended its detections; NULL: they are current")
                .or_null()
                .at_least(1),
            integer("changed_event", "event of the latest change of this row").at_least(1),
            integer(
                "uncovered_event",
                "first event that published a newer round of the image's catalogue \
                 without accepted detections of the detector; NULL: the detections \
                 are of the newest round",
            )
            .or_null()
            .at_least(1),
            integer(
                "aside_event",
                "decision in force that ends the detections that such a round left; \
                 NULL: none",
            )
            .or_null()
            .check("aside_event > uncovered_event"),
        ],
    )
    .key("multiframe_id, ext_num")
    .checks(&[
        "(state = 'current') = (ended_event IS NULL)",
        "aside_event IS NULL OR uncovered_event IS NOT NULL",
    ])
    .indexes(&[
        index("product_detector_changed", "changed_event"),
        index("product_detector_uncovered", "multiframe_id").only("uncovered_event IS NOT NULL"),
    ]),
    Table::new(
        "interruption",
        "Spans of events in which rows that were opened again did not show.",
        &[
            integer("multiframe_id", "whose rows").refers("image (multiframe_id)"),
            use_case("use_case", "in the tables of which use case"),
            integer("from_event", "the event that had ended them").at_least(1),
            integer("to_event", "the event that opened them again").check("to_event > from_event"),
        ],
    )
    .key("multiframe_id, use_case, from_event"),
    Table::new(
        "detector_interruption",
        "Spans of events in which detections that were opened again did not \
         show.",
        &[
            integer("multiframe_id", "the image").refers("image (multiframe_id)"),
            integer("ext_num", "extension number (primary = 1) of the detector").at_least(1),
            integer("from_event", "the event that had ended them").at_least(1),
            integer("to_event", "the event that opened them again").check("to_event > from_event"),
        ],
    )
    .key("multiframe_id, ext_num, from_event"),
    Table::new(
        "set_aside",
        "Decisions that a kept product of an older image ends although the \
         newer image of the name lacks it.",
        &[
            integer("multiframe_id", "the older image").refers("image (multiframe_id)"),
            use_case("use_case", "which of its products"),
            integer("event_id", "the decision").refers("event (event_id)"),
            integer("undone_event", "its undo")
                .or_null()
                .refers("event (event_id)")
                .check("undone_event > event_id"),
        ],
    )
    .key("multiframe_id, use_case, event_id"),
];
