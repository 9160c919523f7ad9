//! Multi-row writes: one statement per row would be one round trip per row on a server.

use crate::error::ArchiveFault;
use engine::{Connection, Value};

/// Number of rows that one statement changes.
pub(crate) const UPDATED_AT_ONCE: usize = 250;

/// Returns the rows of a VALUES list, each of which a function makes from its parameters.
pub(crate) fn list(rows: usize, columns: usize, row: impl Fn(&[String]) -> String) -> String {
    let marks = |n: usize| -> Vec<String> {
        (1..=columns).map(|i| format!("?{}", n * columns + i)).collect()
    };
    (0..rows).map(|n| row(&marks(n))).collect::<Vec<_>>().join(", ")
}

/// Writes rows by statements that a function makes from a VALUES list.
pub(crate) fn write<const N: usize>(
    tx: &Connection,
    rows: &[[Value; N]],
    sql: impl Fn(&str) -> String,
) -> Result<(), ArchiveFault> {
    for some in rows.chunks(UPDATED_AT_ONCE) {
        let list = list(some.len(), N, |marks| format!("({})", marks.join(", ")));
        let values: Vec<Value> = some.iter().flatten().cloned().collect();
        tx.prepare_cached(&sql(&list))?.execute(values)?;
    }
    Ok(())
}
