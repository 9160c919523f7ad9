//! The mark of an archive that moved: the table `relocation`.
//!
//! A move writes it in the transaction that reads the old archive, and in the one that fills the new archive, which stays
//! closed until the old one is. So at no instant can both be written, and a move that is interrupted is finished by its
//! repetition. The move itself is in `migrate`.

use super::{Connection, EngineError, Result, Row, text};
use rusqlite::OptionalExtension;

/// Selects the row that closes an archive, if there is one.
pub(crate) const CLOSED: &str = "SELECT state, place FROM relocation WHERE state <> 'arrived'";

/// The fault of an archive that is closed.
pub(super) fn closed(state: &str, place: String) -> EngineError {
    match state {
        "moved" => EngineError::Moved(place),
        _ => EngineError::Arriving(place),
    }
}

/// Refuses an embedded archive that is closed.
pub(crate) fn check(c: &rusqlite::Connection) -> Result<()> {
    let mut select = match c.prepare_cached(CLOSED) {
        Ok(select) => select,
        Err(fault) if is_absent(&fault) => return Ok(()),
        Err(fault) => return Err(fault.into()),
    };
    let found = select.query_row([], |r| Ok((r.get::<_, String>(0)?, r.get(1)?))).optional()?;
    found.map_or(Ok(()), |(state, place)| Err(closed(&state, place)))
}

/// Whether an archive of an older schema has no such table.
fn is_absent(fault: &rusqlite::Error) -> bool {
    fault.to_string().contains("no such table")
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Relocation {
    /// `moved`, `arriving` or `arrived`.
    pub state: String,
    /// Word of the move, the same in both archives.
    pub word: String,
    /// The other archive.
    pub place: String,
}

/// The rows of an archive.
pub(crate) fn all(c: &Connection) -> Result<Vec<Relocation>> {
    let row = |r: &Row<'_>| Ok(Relocation { state: r.get(0)?, word: r.get(1)?, place: r.get(2)? });
    c.prepare("SELECT state, move, place FROM relocation ORDER BY state")?
        .query_map([], row)?
        .collect()
}

/// Replaces the rows of an archive by one.
pub(crate) fn set(tx: &Connection, row: &Relocation, changed: &str) -> Result<()> {
    tx.execute_batch(&format!(
        "DELETE FROM relocation;
         INSERT INTO relocation (state, move, place, changed) VALUES ({}, {}, {}, {})",
        text(&row.state),
        text(&row.word),
        text(&row.place),
        text(changed)
    ))
}

/// Removes the rows of an archive, which opens it.
pub(crate) fn clear(tx: &Connection) -> Result<()> {
    tx.execute_batch("DELETE FROM relocation")
}
