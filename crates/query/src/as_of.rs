//! The archive as it was after an event: the public names over rows that were current at that event.

use super::SqlError;
use archive::metadata::tables;
use engine::quoted;
use lake::LakeTable;
use model::products::Succession;
use model::tables::{Keeping, Table};
use model::{EventId, UseCase};
use std::fmt::Write;

/// Checks that the archive has reached that event.
pub(crate) fn check(event: EventId, last: i64) -> Result<(), SqlError> {
    if event.get() <= last {
        return Ok(());
    }
    Err(SqlError::NoEvent { asked: event.get(), last })
}

/// Returns the condition that a row of a table (or alias) with `begin_event`, `end_event` and, where it belongs to a
/// use case, `multiframe_id` (of detections `ext_num` too) was current after an event: it had begun, had not ended, and
/// was not retracted at that time.
pub(crate) fn condition(
    table: &str,
    use_case: Option<UseCase>,
    event: impl std::fmt::Display,
) -> String {
    let mut sql = format!(
        "{table}.begin_event <= {event} AND ({table}.end_event IS NULL OR {table}.end_event > {event})"
    );
    let (interruptions, of) = match use_case {
        None => return sql,
        Some(use_case) if use_case.product().succession == Succession::Detector => {
            ("detector_interruption", format!("i.ext_num = {table}.ext_num"))
        }
        Some(use_case) => ("interruption", format!("i.use_case = '{use_case}'")),
    };
    let _ = write!(
        sql,
        " AND NOT EXISTS (SELECT 1 FROM {interruptions} AS i WHERE i.multiframe_id = {table}.multiframe_id
              AND {of} AND i.from_event <= {event} AND i.to_event > {event}
              AND i.from_event >= {table}.begin_event)"
    );
    sql
}

/// Returns the condition that a row of the index of a lake table, under a name or alias, was current after an event.
pub(crate) fn range_condition(name: &str, table: &LakeTable, event: i64) -> String {
    let mut sql = format!(
        "{name}.begin_event <= {event} AND ({name}.end_event IS NULL OR {name}.end_event > {event})"
    );
    let interruptions = table.layout().history.as_ref().and_then(|h| h.interruptions.as_deref());
    if let Some(interruptions) = interruptions {
        let equal: Vec<String> =
            table.range_key().iter().map(|key| format!("i.{key} = {name}.{key}")).collect();
        let _ = write!(
            sql,
            " AND NOT EXISTS (SELECT 1 FROM {interruptions} AS i WHERE {}
                  AND i.from_event <= {event} AND i.to_event > {event}
                  AND i.from_event >= {name}.begin_event)",
            equal.join(" AND ")
        );
    }
    sql
}

/// Returns the use case whose retractions interrupt the rows of a table.
pub(crate) fn use_case_of(table: &Table) -> Option<UseCase> {
    UseCase::of_table(&table.name).filter(|_| table.keeping == Keeping::Versioned)
}

/// Returns the statements that make a view of `kind` for every public name but `detection`.
pub(crate) fn views(kind: &str, schema: &str, event: i64) -> String {
    let mut sql = String::new();
    for table in tables() {
        let use_case = use_case_of(table);
        let columns: Vec<String> = table.columns.iter().map(|c| quoted(&c.name)).collect();
        let _ = writeln!(
            sql,
            "CREATE {kind} {} AS SELECT {}, begin_event FROM {schema}.{} AS t WHERE {};",
            quoted(&table.name),
            columns.join(", "),
            quoted(&format!("{}_all", table.name)),
            condition("t", use_case, event)
                .replace("FROM interruption", &format!("FROM {schema}.interruption"))
        );
    }
    sql
}
