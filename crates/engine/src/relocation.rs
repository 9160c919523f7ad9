//! The mark of an archive that moved: the table `relocation`.
//!
//! A move writes it in the transaction that reads the old archive, and in the one that fills the new archive, which
//! stays closed until the old one is closed. So both can never be writable at the same instant, and an interrupted move
//! is finished by its repetition. The move itself is in `migrate`.
//!
//! The column `move` holds the identifier of the move. A row that closes an archive may have more behind the
//! identifier, each part after a space: `reopening`, when the archive was closed since the one at `place` is reopened,
//! and then `password_file=PATH`, the file of the password of the database at `place`, for the command that messages
//! recommend.

use super::{Connection, EngineError, Result, Row, text};
use rusqlite::OptionalExtension;
use std::str::FromStr;

/// Selects the row that closes an archive, if there is one.
pub const CLOSED: &str = "SELECT state, move, place FROM relocation WHERE state <> 'arrived'";

/// Part of the column `move` of an archive that was closed for the reopening of the other one.
const REOPENING: &str = " reopening";
/// Beginning of the part of the column `move` that names the file of a password.
const PASSWORD_FILE: &str = " password_file=";

/// Returns the fault of an archive that is closed.
pub(crate) fn closed(state: &str, word: &str, place: String) -> EngineError {
    // A row of any other state than these closes the archive too.
    let state = state.parse().unwrap_or(RelocationState::Arriving);
    let row = Relocation::read(state, word, place);
    let Relocation { place, password_file, .. } = row;
    match row.state {
        RelocationState::Moved => EngineError::Moved { place, password_file },
        RelocationState::Reopening => EngineError::Reopening { place, password_file },
        RelocationState::Arriving | RelocationState::Arrived => EngineError::Arriving(place),
    }
}

/// Returns an error for an embedded archive that is closed.
pub fn check(c: &rusqlite::Connection) -> Result<()> {
    let mut select = match c.prepare_cached(CLOSED) {
        Ok(select) => select,
        Err(fault) if is_absent(&fault) => return Ok(()),
        Err(fault) => return Err(fault.into()),
    };
    let row =
        |r: &rusqlite::Row<'_>| Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?, r.get(2)?));
    let found = select.query_row([], row).optional()?;
    found.map_or(Ok(()), |(state, word, place)| Err(closed(&state, &word, place)))
}

/// Returns true when the database has no such table: nothing was ever made in it.
fn is_absent(fault: &rusqlite::Error) -> bool {
    fault.to_string().contains("no such table")
}

/// The state of an archive with respect to a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelocationState {
    /// The contents of the archive are at the other place.
    Moved,
    /// The archive was closed for the reopening of the other one. The table has `moved` for it.
    Reopening,
    /// A copy that is not confirmed.
    Arriving,
    /// A confirmed copy.
    Arrived,
}

impl RelocationState {
    /// Returns the word in the column `state`.
    fn stored(self) -> &'static str {
        match self {
            Self::Moved | Self::Reopening => "moved",
            Self::Arriving => "arriving",
            Self::Arrived => "arrived",
        }
    }
}

impl FromStr for RelocationState {
    type Err = String;

    /// Parses a word of the column `state`.
    fn from_str(word: &str) -> std::result::Result<Self, String> {
        [Self::Moved, Self::Arriving, Self::Arrived]
            .into_iter()
            .find(|state| state.stored() == word)
            .ok_or_else(|| format!("{word:?} is not a state of a relocation"))
    }
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// State of the archive.
    pub state: RelocationState,
    /// Identifier of the move, the same in both archives.
    pub word: String,
    /// The other archive.
    pub place: String,
    /// File of the password of the other archive's database, if `place` is to be named in a command.
    pub password_file: Option<String>,
}

impl Relocation {
    /// Makes a row of its columns.
    fn read(state: RelocationState, word: &str, place: String) -> Self {
        let (word, password_file) = match word.split_once(PASSWORD_FILE) {
            Some((word, path)) => (word, Some(path.to_owned())),
            None => (word, None),
        };
        let (word, state) = match word.strip_suffix(REOPENING) {
            Some(word) => (word, RelocationState::Reopening),
            None => (word, state),
        };
        Self { state, word: word.to_owned(), place, password_file }
    }

    /// Returns true when the contents of the archive are at the other place.
    pub fn is_moved(&self) -> bool {
        self.is_reopening() || self.state == RelocationState::Moved
    }

    /// Returns true when the archive was closed for the reopening of the other one.
    pub fn is_reopening(&self) -> bool {
        self.state == RelocationState::Reopening
    }

    /// Returns the columns `state` and `move`.
    fn columns(&self) -> (&'static str, String) {
        let reopening = if self.is_reopening() { REOPENING } else { "" };
        let path = self.password_file.iter().map(|path| format!("{PASSWORD_FILE}{path}"));
        (self.state.stored(), format!("{}{reopening}{}", self.word, path.collect::<String>()))
    }
}

/// Returns the rows of an archive.
pub fn all(c: &Connection) -> Result<Vec<Relocation>> {
    let row =
        |r: &Row<'_>| Ok(Relocation::read(r.parsed(0)?, &r.get::<String>(1)?, r.get::<String>(2)?));
    c.prepare("SELECT state, move, place FROM relocation ORDER BY state")?
        .query_map([], row)?
        .collect()
}

/// Replaces the rows of an archive by one.
pub fn set(tx: &Connection, row: &Relocation, changed: &str) -> Result<()> {
    let (state, word) = row.columns();
    tx.execute_batch(&format!(
        "DELETE FROM relocation;
         INSERT INTO relocation (state, move, place, changed) VALUES ({}, {}, {}, {})",
        text(state),
        text(&word),
        text(&row.place),
        text(changed)
    ))
}

/// Removes the rows of an archive, which opens it.
pub fn clear(tx: &Connection) -> Result<()> {
    tx.execute_batch("DELETE FROM relocation")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_as_it_was_written() {
        use RelocationState::{Arrived, Arriving, Moved, Reopening};
        for state in [Moved, Reopening, Arriving, Arrived] {
            for file in [None, Some("/a b/reopening password_file".to_owned())] {
                let row = Relocation {
                    state,
                    word: "12-3".to_owned(),
                    place: "/site/archive.db".to_owned(),
                    password_file: file,
                };
                let (stored, word) = row.columns();
                assert_eq!(
                    Relocation::read(stored.parse().unwrap(), &word, row.place.clone()),
                    row
                );
            }
        }
    }
}
