//! Planning: what was proposed, and what operators decided.

use super::table::{Table, flag, id, index, integer, real, text, time, use_case};

pub(super) const TABLES: &[Table] = &[
    Table::new(
        "instruction",
        "What operators want until they say otherwise.",
        &[
            text("subject", "about what kind of thing")
                .one_of(&["all", "host", "use_case", "night", "delivery", "unit"]),
            text("name", "which; a unit as delivery/use case")
                .check("(subject = 'all') = (name = '')"),
            text("act", "what is to be").one_of(&["pause", "drain", "priority", "move"]),
            text("value", "the priority, or the host to move to; else empty"),
            time("since", "time of the instruction"),
            text("who", "by whom").not_empty(),
            text("why", "the reason").not_empty(),
            integer("plan_id", "the plan whose rejection gave it; NULL for an operator's own")
                .or_null(),
        ],
    )
    .key("subject, name, act"),
    Table::new(
        "instruction_history",
        "Every instruction given or withdrawn.",
        &[
            id("number", "in the order of time"),
            text("subject", "about what kind of thing").not_empty(),
            text("name", "which"),
            text("act", "what was to be").not_empty(),
            text("value", "the priority, or the host"),
            flag("given", "1: given; 0: withdrawn"),
            time("changed", "time of the change"),
            text("who", "by whom").not_empty(),
            text("why", "the reason").not_empty(),
        ],
    ),
    Table::new(
        "plan",
        "What was proposed to the operator.",
        &[
            id("plan_id", "1, 2 … in the order of time"),
            time("proposed", "when"),
            text("proposer", "who or what made it").not_empty(),
            text(
                "state",
                "partly: some of it was approved; superseded: a newer one took its \
                 place before it was decided",
            )
            .one_of(&["proposed", "partly", "approved", "rejected", "superseded"]),
            text("document", "the whole of it (JSON)").not_empty(),
            time("decided", "time of the last decision").or_null(),
            text("who", "by whom").or_null(),
            text("why", "the reason").or_null(),
        ],
    )
    .indexes(&[index("plan_open", "state").only("state IN ('proposed', 'partly')")]),
    Table::new(
        "plan_decision",
        "Every decision on a plan.",
        &[
            integer("plan_id", "the plan").refers("plan (plan_id)"),
            integer("number", "1, 2 … of this plan").at_least(1),
            text("act", "what was decided").one_of(&["approve", "reject"]),
            text("about", "which part of the plan, in words").not_empty(),
            time("decided", "when"),
            text("who", "by whom").not_empty(),
            text("why", "the reason").not_empty(),
        ],
    )
    .key("plan_id, number"),
    Table::new(
        "assignment",
        "Where and when a plan has a task run. One row per task, of the \
         latest plan that speaks of it.",
        &[
            integer("task_id", "the task").refers("task (task_id)").key(),
            integer("plan_id", "the plan").refers("plan (plan_id)"),
            text("host", "where").not_empty(),
            time("starts", "expected start"),
            real("seconds", "expected duration").at_least(0),
            flag("approved", "1: it may start"),
            flag("is_bound", "1: on that host only"),
        ],
    )
    .indexes(&[index("assignment_plan", "plan_id")]),
    Table::new(
        "coming_round",
        "Rounds that are not open yet and stand in a plan: approved with it, \
         they may start as soon as they are.",
        &[
            integer("delivery_id", "of which delivery").refers("delivery (delivery_id)"),
            use_case("use_case", "of which use case"),
            integer("plan_id", "the plan").refers("plan (plan_id)"),
            flag("approved", "1: decided already"),
        ],
    )
    .key("delivery_id, use_case"),
];
