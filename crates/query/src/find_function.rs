//! The feature of SQLite's virtual tables that rusqlite does not offer: overloaded functions.
//!
//! SQLite treats a function of two arguments whose first is a column of a virtual table as a condition that the table
//! may use (`SQLITE_INDEX_CONSTRAINT_FUNCTION`), if the table's `xFindFunction` allows it. This module allows it for
//! [`cone_hint::NAME`] alone.

use super::cone_hint;
use rusqlite::ffi;
use rusqlite::vtab::{CreateVTab, Module};
use std::ffi::{CStr, c_char, c_int, c_void};

type Implementation =
    Option<unsafe extern "C" fn(*mut ffi::sqlite3_context, c_int, *mut *mut ffi::sqlite3_value)>;

/// Returns a read-only module that accepts the hint of a cone as a condition. Its few bytes are leaked for the life of
/// the program.
pub(crate) fn module_with_hints<T: for<'a> CreateVTab<'a>>() -> &'static Module<'static, T> {
    let plain: Module<'static, T> = Module::read_only_module();
    // SAFETY: `Module` is `repr(transparent)` over `sqlite3_module`, which is plain data.
    let mut raw: ffi::sqlite3_module =
        unsafe { std::ptr::from_ref(&plain).cast::<ffi::sqlite3_module>().read() };
    raw.xFindFunction = Some(find_function);
    let raw: &'static ffi::sqlite3_module = Box::leak(Box::new(raw));
    // SAFETY: as above, and the leaked value is never moved or freed.
    unsafe { &*std::ptr::from_ref(raw).cast::<Module<'static, T>>() }
}

/// Answers SQLite, which calls this for each function whose first argument is a column of the table.
unsafe extern "C" fn find_function(
    _table: *mut ffi::sqlite3_vtab,
    arguments: c_int,
    name: *const c_char,
    implementation: *mut Implementation,
    user_data: *mut *mut c_void,
) -> c_int {
    // SAFETY: SQLite passes a C string and two places to write to, valid during the call.
    unsafe {
        if arguments != 2 || CStr::from_ptr(name).to_bytes() != cone_hint::NAME.as_bytes() {
            return 0;
        }
        *implementation = Some(always_true);
        *user_data = std::ptr::null_mut();
    }
    c_int::from(cone_hint::OPERATOR)
}

/// Returns the value of the hint where no table uses it.
unsafe extern "C" fn always_true(
    context: *mut ffi::sqlite3_context,
    _count: c_int,
    _values: *mut *mut ffi::sqlite3_value,
) {
    // SAFETY: the context is SQLite's own and valid during the call.
    unsafe { ffi::sqlite3_result_int(context, 1) }
}
