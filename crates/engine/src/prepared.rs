//! The statements that a thread prepares, for tests of their plans, and the numbers of statements run and rows fetched.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

thread_local! {
    static NOTED: RefCell<Option<BTreeSet<String>>> = const { RefCell::new(None) };
    static COUNTED: Cell<Counted> = const { Cell::new(Counted { statements: 0, rows: 0 }) };
}

/// Begins to record the statements of this thread.
pub fn begin() {
    NOTED.with_borrow_mut(|noted| *noted = Some(BTreeSet::new()));
}

/// Returns the statements recorded since [`begin`], each once.
pub fn end() -> BTreeSet<String> {
    NOTED.take().unwrap_or_default()
}

/// Numbers of the statements and rows of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Statements run.
    pub statements: u64,
    /// Rows fetched.
    pub rows: u64,
}

/// Returns the result of a function, and the statements and rows that it caused in this thread.
pub fn counted<T>(act: impl FnOnce() -> T) -> (T, Counted) {
    let before = COUNTED.get();
    let done = act();
    let after = COUNTED.get();
    let statements = after.statements - before.statements;
    (done, Counted { statements, rows: after.rows - before.rows })
}

pub(crate) fn count(statements: u64, rows: u64) {
    let before = COUNTED.get();
    let counted = Counted { statements: before.statements + statements, rows: before.rows + rows };
    COUNTED.set(counted);
}

pub(crate) fn note(sql: &str) {
    NOTED.with_borrow_mut(|noted| {
        if let Some(noted) = noted {
            noted.insert(sql.to_owned());
        }
    });
}
