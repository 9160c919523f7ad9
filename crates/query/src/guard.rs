//! The rights of a query: reading, and listing the schema.

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Pragmas that only report.
const PRAGMAS: [&str; 9] = [
    "collation_list",
    "foreign_key_list",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "table_info",
    "table_list",
    "table_xinfo",
];

/// The state of the authorizer of a session.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    /// True while a statement of the user is prepared and run; the session's own statements are not checked.
    armed: AtomicBool,
    /// The last action that was denied, as SQLite itself only reports "not authorized".
    refused: Mutex<Option<String>>,
}

impl Guard {
    /// Checks every statement until the returned value is dropped.
    pub(crate) fn arm(self: &Arc<Self>) -> Armed {
        self.take_refused();
        self.armed.store(true, Ordering::Relaxed);
        Armed(Arc::clone(self))
    }

    /// Returns the action denied since the last call.
    pub(crate) fn take_refused(&self) -> Option<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Keeps a [`Guard`] armed.
pub(crate) struct Armed(Arc<Guard>);

impl Drop for Armed {
    fn drop(&mut self) {
        self.0.armed.store(false, Ordering::Relaxed);
    }
}

/// Returns the authorizer of a session: no writes, no ATTACH, no extensions, no settings, no transactions.
pub(crate) fn authorizer(
    guard: Arc<Guard>,
) -> impl for<'r> FnMut(AuthContext<'r>) -> Authorization + Send + 'static {
    move |context| {
        if !guard.armed.load(Ordering::Relaxed) {
            return Authorization::Allow;
        }
        match objection(&context.action) {
            None => Authorization::Allow,
            Some(what) => {
                *guard.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
                Authorization::Deny
            }
        }
    }
}

fn objection(action: &AuthAction<'_>) -> Option<String> {
    match action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => None,
        AuthAction::Function { function_name } => function_name
            .eq_ignore_ascii_case("load_extension")
            .then(|| "load_extension".to_owned()),
        AuthAction::Pragma { pragma_name, .. } => {
            let tells = PRAGMAS.iter().any(|p| p.eq_ignore_ascii_case(pragma_name));
            (!tells).then(|| format!("PRAGMA {pragma_name}"))
        }
        AuthAction::Attach { .. } => Some("ATTACH".to_owned()),
        AuthAction::Detach { .. } => Some("DETACH".to_owned()),
        AuthAction::Insert { table_name } => Some(format!("INSERT INTO {table_name}")),
        AuthAction::Update { table_name, .. } => Some(format!("UPDATE of {table_name}")),
        AuthAction::Delete { table_name } => Some(format!("DELETE FROM {table_name}")),
        AuthAction::Transaction { .. } => Some("BEGIN, COMMIT or ROLLBACK".to_owned()),
        AuthAction::Savepoint { .. } => Some("SAVEPOINT".to_owned()),
        other => {
            let name = format!("{other:?}");
            Some(name.split([' ', '{']).next().unwrap_or("that").to_owned())
        }
    }
}
