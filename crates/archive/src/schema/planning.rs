//! Planning: proposed schedules, and the decisions and instructions of operators.

use super::table::{Table, flag, id, index, integer, real, text, time, use_case};

pub(super) const TABLES: &[Table] = &[
    Table::new(
        "instruction",
        "Instructions of operators to the scheduler, in force until they are \
         withdrawn.",
        &[
            text("subject", "kind of the subject")
                .one_of(&["all", "host", "use_case", "night", "delivery", "unit"]),
            text("name", "name of the subject; a unit as delivery/use case; empty for all")
                .check("(subject = 'all') = (name = '')"),
            text("act", "kind of instruction").one_of(&["pause", "drain", "priority", "move"]),
            text("value", "priority, or host to move to; empty for other kinds"),
            time("since", "time of the instruction (UTC)"),
            text("who", "operator").not_empty(),
            text("why", "reason").not_empty(),
            integer(
                "plan_id",
                "plan whose rejection set the instruction; NULL: set by an operator \
                 directly",
            )
            .or_null(),
        ],
    )
    .key("subject, name, act"),
    Table::new(
        "instruction_history",
        "Every instruction that was set or withdrawn.",
        &[
            id("number", "number of the change, in the order of time"),
            text("subject", "kind of the subject").not_empty(),
            text("name", "name of the subject, as in instruction"),
            text("act", "kind of instruction").not_empty(),
            text("value", "priority, or host to move to; empty for other kinds"),
            flag("is_set", "1: the instruction was set; 0: it was withdrawn"),
            time("changed", "time of the change (UTC)"),
            text("who", "operator").not_empty(),
            text("why", "reason").not_empty(),
        ],
    ),
    Table::new(
        "plan",
        "Proposed schedules.",
        &[
            id("plan_id", "number of the plan, in the order of time"),
            time("proposed", "time of the proposal (UTC)"),
            text("proposer", "process that proposed it").not_empty(),
            text(
                "state",
                "partly_approved: some parts are approved, others undecided; superseded: \
                 a newer plan replaced it before it was decided",
            )
            .one_of(&[
                "proposed",
                "partly_approved",
                "approved",
                "rejected",
                "superseded",
            ]),
            text("document", "the plan as JSON").not_empty(),
            time("decided", "time of the latest decision (UTC)").or_null(),
            text("who", "operator of the latest decision").or_null(),
            text("why", "reason of the latest decision").or_null(),
        ],
    )
    .indexes(&[index("plan_open", "state").only("state IN ('proposed', 'partly_approved')")]),
    Table::new(
        "plan_decision",
        "Every decision on a plan.",
        &[
            integer("plan_id", "the plan").refers("plan (plan_id)"),
            integer("number", "number of the decision on this plan: 1, 2 …").at_least(1),
            text("act", "the decision").one_of(&["approve", "reject"]),
            text("subject", "part of the plan that was decided, in words").not_empty(),
            time("decided", "time of the decision (UTC)"),
            text("who", "operator").not_empty(),
            text("why", "reason").not_empty(),
        ],
    )
    .key("plan_id, number"),
    Table::new(
        "assignment",
        "Host and start of each task in a plan. One row per task, from the latest \
         plan that contains it.",
        &[
            integer("task_id", "the task").refers("task (task_id)").key(),
            integer("plan_id", "the plan").refers("plan (plan_id)"),
            text("host", "host on which the task is to run").not_empty(),
            time("starts", "expected start (UTC)"),
            real("seconds", "expected duration in seconds").at_least(0),
            flag("approved", "1: the task may start"),
            flag("is_bound", "1: the task may run on this host only"),
        ],
    )
    .indexes(&[index("assignment_plan", "plan_id")]),
    Table::new(
        "expected_round",
        "Rounds that are in a plan before they can be opened. An approved one \
         starts as soon as it is opened.",
        &[
            integer("delivery_id", "the delivery").refers("delivery (delivery_id)"),
            use_case("use_case", "the use case"),
            integer("plan_id", "the plan").refers("plan (plan_id)"),
            flag("approved", "1: approved; 0: undecided"),
        ],
    )
    .key("delivery_id, use_case"),
];
