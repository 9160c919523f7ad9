//! The statements that a thread prepares, for tests of their plans.

use std::cell::RefCell;
use std::collections::BTreeSet;

thread_local! {
    static NOTED: RefCell<Option<BTreeSet<String>>> = const { RefCell::new(None) };
}

/// Begins to note the statements of this thread.
pub(crate) fn begin() {
    NOTED.with_borrow_mut(|noted| *noted = Some(BTreeSet::new()));
}

/// Returns the statements noted since [`begin`], each once.
pub(crate) fn end() -> BTreeSet<String> {
    NOTED.take().unwrap_or_default()
}

pub(super) fn note(sql: &str) {
    NOTED.with_borrow_mut(|noted| {
        if let Some(noted) = noted {
            noted.insert(sql.to_owned());
        }
    });
}
