//! Rounds of use cases, their tasks, and the attempts of each task.

use super::table::{Table, flag, id, index, integer, real, text, time, unique_index, use_case};

pub(super) const TABLES: &[Table] = &[
    Table::new(
        "unit",
        "One round of one use case on one delivery.",
        &[
            id("unit_id", "assigned in the order of opening"),
            integer("delivery_id", "the delivery").refers("delivery (delivery_id)"),
            use_case("use_case", "the use case"),
            integer("round", "number of the round of this use case and delivery: 1, 2 …")
                .at_least(1),
            text("recipe", "version of the processing recipe; may be empty"),
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
            time("opened", "time at which the round was opened (UTC)"),
        ],
    )
    .unique(&["delivery_id, use_case, round"])
    .indexes(&[
        // Unfinished rounds are few among those of many years.
        index("unit_state", "state"),
    ]),
    Table::new(
        "unit_history",
        "Every change of state of a round.",
        &[
            integer("unit_id", "the round").refers("unit (unit_id)"),
            integer("number", "number of the change of this round: 1, 2 …").at_least(1),
            text("from_state", "state before the change"),
            text("to_state", "state after the change"),
            time("changed", "time of the change (UTC)"),
            text("who", "operator or process").not_empty(),
            text("why", "reason").not_empty(),
        ],
    )
    .key("unit_id, number"),
    Table::new(
        "task",
        "A part of a round that one process works on. All its files use one \
         survey profile.",
        &[
            id("task_id", "assigned in the order of opening"),
            integer("unit_id", "the round").refers("unit (unit_id)"),
            integer("number", "number of the task within the round: 1, 2 …").at_least(1),
            text("survey", "name of the survey profile").not_empty(),
            text("state", "given_up: no attempt succeeded, and its files are refused")
                .one_of(&["open", "done", "given_up"]),
            integer("result_attempt", "number of the attempt whose result is used; NULL: none yet")
                .or_null(),
        ],
    )
    .unique(&["unit_id, number"])
    .checks(&["(state = 'done') = (result_attempt IS NOT NULL)"])
    .foreign_keys(&["(task_id, result_attempt) REFERENCES attempt (task_id, number)"]),
    Table::new(
        "task_input",
        "Input files of a task, and the outcome for each.",
        &[
            integer("task_id", "the task").refers("task (task_id)"),
            integer("ordinal", "position within the task, ordered by file name, from 1")
                .at_least(1),
            integer("multiframe_id", "the image").refers("image (multiframe_id)"),
            integer(
                "catalogue_version",
                "version of the catalogue that the task reads; NULL: it reads none",
            )
            .or_null(),
            text("outcome", "outcome for this image; NULL: the task is not finished")
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
        "Starts of tasks. A task may be started several times, even concurrently; \
         the result of one attempt is used.",
        &[
            integer("task_id", "the task").refers("task (task_id)"),
            integer("number", "number of the attempt of this task: 1, 2 …").at_least(1),
            text(
                "state",
                "accepted: its result is used; redundant: another attempt finished first; \
                 lost: its lease expired",
            )
            .one_of(&["running", "accepted", "failed", "lost", "redundant"]),
            text("directory", "output directory, below staging/").not_empty(),
            flag("swept", "1: the directory was removed").default("0"),
            text("executor", "executor that started it, e.g. local").not_empty(),
            text("holder", "process or job that holds the lease").not_empty(),
            time("started", "time of the start (UTC)"),
            time(
                "lease_until",
                "expiry of the lease (UTC); no other process ends the attempt before",
            ),
            time("ended", "time of the end (UTC)").or_null(),
            text("why", "reason of the failure or loss").or_null(),
            real("seconds", "wall-clock time in seconds, as reported by the attempt")
                .or_null()
                .at_least(0),
            real("cpu_seconds", "CPU time in seconds, as reported by the attempt")
                .or_null()
                .at_least(0),
            integer("peak_memory_bytes", "peak memory in bytes, as reported by the attempt")
                .or_null()
                .at_least(0),
            integer("input_bytes", "bytes read from the library").or_null().at_least(0),
            text("result", "its manifest (JSON); NULL: not accepted").or_null(),
            integer(
                "recorded_refusals",
                "number of refusals of its result that are recorded; a long list takes \
                 several transactions",
            )
            .default("0")
            .at_least(0),
        ],
    )
    .key("task_id, number")
    .checks(&["(state = 'running') = (ended IS NULL)", "state <> 'accepted' OR result IS NOT NULL"])
    .indexes(&[
        index("attempt_running", "state").only("state = 'running'"),
        index("attempt_unswept", "task_id, number").only("swept = 0"),
        index("attempt_accepted", "ended").only("state = 'accepted'"),
    ]),
    Table::new(
        "attempt_place",
        "Host and job of an attempt, and the size of its output.",
        &[
            integer("task_id", "the task"),
            integer("number", "number of the attempt"),
            text("host", "host name").not_empty(),
            text("job", "id of the job at the executor; empty: unknown"),
            integer("memory_bytes", "memory limit in bytes").at_least(0),
            integer("output_bytes", "size of its output in bytes; NULL: result not accepted")
                .or_null()
                .at_least(0),
            integer("output_rows", "number of rows in its output; NULL: result not accepted")
                .or_null()
                .at_least(0),
            text("ended_by", "code of an end without result; NULL: none").or_null().not_empty(),
        ],
    )
    .key("task_id, number")
    .foreign_keys(&["(task_id, number) REFERENCES attempt (task_id, number)"]),
    Table::new(
        "redo",
        "Requests to process files again: a refusal was retried, a programme was \
         added, or earlier content of a file returned.",
        &[
            id("redo_id", "assigned in the order of request"),
            integer("file_id", "the image file").refers("file (file_id)"),
            use_case("use_case", "the use case"),
            time("requested", "time of the request (UTC)"),
            text("why", "reason").not_empty(),
            integer("unit_id", "round that processes the file again; NULL: not opened yet")
                .or_null()
                .refers("unit (unit_id)"),
        ],
    )
    .indexes(&[unique_index("redo_pending", "file_id, use_case").only("unit_id IS NULL")]),
];
