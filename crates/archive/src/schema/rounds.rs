//! Rounds of use cases, their tasks, and every start of a task.

use super::table::{Table, flag, id, index, integer, real, text, time, unique_index, use_case};

pub(super) const TABLES: &[Table] = &[
    Table::new(
        "unit",
        "One round of one use case on one delivery.",
        &[
            id("unit_id", "internal"),
            integer("delivery_id", "the delivery").refers("delivery (delivery_id)"),
            use_case("use_case", "the use case"),
            integer("round", "1, 2 … of this use case and delivery").at_least(1),
            text("recipe", "version of the recipe; may be empty"),
            text("state", "state of the round").one_of(&[
                "waiting",
                "ready",
                "proposed",
                "approved",
                "running",
                "staged",
                "ingested",
                "failed",
                "retracted",
            ]),
            time("made", "when the round was opened"),
        ],
    )
    .unique(&["delivery_id, use_case, round"])
    .indexes(&[
        // What is to be done is found among years of what is done.
        index("unit_state", "state"),
    ]),
    Table::new(
        "unit_history",
        "Every change of a unit's state.",
        &[
            integer("unit_id", "the round").refers("unit (unit_id)"),
            integer("number", "1, 2 … of this unit").at_least(1),
            text("from_state", "state before"),
            text("to_state", "state after"),
            time("changed", "time of the change"),
            text("who", "who or what changed it").not_empty(),
            text("why", "the reason").not_empty(),
        ],
    )
    .key("unit_id, number"),
    Table::new(
        "task",
        "A part of a round that one process works through. All its files \
         follow one survey profile.",
        &[
            id("task_id", "internal"),
            integer("unit_id", "the round").refers("unit (unit_id)"),
            integer("number", "1, 2 … within the round").at_least(1),
            text("survey", "name of the survey profile").not_empty(),
            text("state", "given_up: its files are refused").one_of(&["open", "done", "given_up"]),
            integer("result_attempt", "the attempt whose result was taken").or_null(),
        ],
    )
    .unique(&["unit_id, number"])
    .checks(&["(state = 'done') = (result_attempt IS NOT NULL)"])
    .foreign_keys(&["(task_id, result_attempt) REFERENCES attempt (task_id, number)"]),
    Table::new(
        "task_input",
        "Files of a task, and the outcome of each.",
        &[
            integer("task_id", "the task").refers("task (task_id)"),
            integer("ordinal", "order within the task: by file name").at_least(1),
            integer("multiframe_id", "the image").refers("image (multiframe_id)"),
            integer("catalogue_version", "its catalogue, when the task reads one").or_null(),
            text("outcome", "NULL until the task is done")
                .or_null()
                .one_of(&["done", "refused", "parked"]),
        ],
    )
    .key("task_id, ordinal")
    .unique(&["task_id, multiframe_id"])
    .foreign_keys(&["(multiframe_id, catalogue_version) REFERENCES catalogue \
                     (multiframe_id, version)"])
    .indexes(&[index("task_input_multiframe", "multiframe_id")]),
    Table::new(
        "attempt",
        "One start of a task. A task may be started more than once, even at \
         the same time; one result is taken.",
        &[
            integer("task_id", "the task").refers("task (task_id)"),
            integer("number", "1, 2 … of this task").at_least(1),
            text(
                "state",
                "taken: its result counts; surplus: another was first; lost: its \
                 lease ended",
            )
            .one_of(&["running", "taken", "failed", "lost", "surplus"]),
            text("directory", "below staging/").not_empty(),
            flag("swept", "1: that directory was removed").default("0"),
            text("executor", "who started it, e.g. local").not_empty(),
            text("holder", "process or job that holds the lease").not_empty(),
            time("started", "when"),
            time("lease_until", "no other process removes it before this time"),
            time("ended", "end time").or_null(),
            text("why", "why it failed or was lost").or_null(),
            real("seconds", "wall-clock time by its own report").or_null().at_least(0),
            real("cpu_seconds", "CPU time by its own report").or_null().at_least(0),
            integer("peak_memory_bytes", "by its own report").or_null().at_least(0),
            integer("input_bytes", "read from the library").or_null().at_least(0),
            text("result", "its manifest (JSON), when taken").or_null(),
            integer(
                "noted",
                "refusals of its result that are recorded: very many take several \
                 transactions",
            )
            .default("0")
            .at_least(0),
        ],
    )
    .key("task_id, number")
    .checks(&["(state = 'running') = (ended IS NULL)", "state <> 'taken' OR result IS NOT NULL"])
    .indexes(&[
        index("attempt_running", "state").only("state = 'running'"),
        index("attempt_unswept", "task_id, number").only("swept = 0"),
        index("attempt_taken", "ended").only("state = 'taken'"),
    ]),
    Table::new(
        "attempt_place",
        "Host and job of an attempt, and its output.",
        &[
            integer("task_id", "the task"),
            integer("number", "number of the attempt"),
            text("host", "the computer").not_empty(),
            text("job", "number of the job at the executor; empty when unknown"),
            integer("memory_bytes", "memory that it may use").at_least(0),
            integer("output_bytes", "bytes that it left, when its result was taken")
                .or_null()
                .at_least(0),
            integer("output_rows", "rows that it left, when its result was taken")
                .or_null()
                .at_least(0),
            text("ended_by", "code of its end without result").or_null().not_empty(),
        ],
    )
    .key("task_id, number")
    .foreign_keys(&["(task_id, number) REFERENCES attempt (task_id, number)"]),
    Table::new(
        "redo",
        "Files that a use case is to do again: a refusal was retried, a \
         programme was added, an old content came back.",
        &[
            id("redo_id", "internal"),
            integer("file_id", "image file").refers("file (file_id)"),
            use_case("use_case", "the use case"),
            time("asked", "time of the request"),
            text("why", "the reason").not_empty(),
            integer("unit_id", "the round that contains the file; NULL: none yet")
                .or_null()
                .refers("unit (unit_id)"),
        ],
    )
    .indexes(&[unique_index("redo_pending", "file_id, use_case").only("unit_id IS NULL")]),
];
