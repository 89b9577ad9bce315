//! What SQLite must be taught on every connection: `kith_fold`, as PostgreSQL's function of that name.

#![expect(unsafe_code, reason = "SQLite takes functions through its C interface only")]

use std::ffi::{c_char, c_int};
use std::slice;

use libsqlite3_sys as ffi;
use sqlx::sqlite::SqliteConnection;

use crate::infra::text::fold;

/// Registers the functions on one connection.
pub async fn register(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let mut handle = connection.lock_handle().await?;
    let flags = ffi::SQLITE_UTF8 | ffi::SQLITE_DETERMINISTIC | ffi::SQLITE_INNOCUOUS;
    // SAFETY: the handle is locked and alive, the name is a C string, and `fold_text` keeps to the
    // contract of an application-defined function: it reads its one argument and sets one result.
    let code = unsafe {
        ffi::sqlite3_create_function_v2(
            handle.as_raw_handle().as_ptr(),
            c"kith_fold".as_ptr(),
            1,
            flags,
            std::ptr::null_mut(),
            Some(fold_text),
            None,
            None,
            None,
        )
    };
    if code == ffi::SQLITE_OK { Ok(()) } else { Err(sqlx::Error::Protocol(format!("SQLite refused the function kith_fold: code {code}"))) }
}

unsafe extern "C" fn fold_text(context: *mut ffi::sqlite3_context, count: c_int, values: *mut *mut ffi::sqlite3_value) {
    debug_assert_eq!(count, 1);
    // SAFETY: SQLite calls with one value, whose text lives until the value is converted again;
    // the result is copied by SQLite (SQLITE_TRANSIENT) before this function returns.
    unsafe {
        let text = ffi::sqlite3_value_text(*values);
        if text.is_null() {
            ffi::sqlite3_result_null(context);
            return;
        }
        let length = usize::try_from(ffi::sqlite3_value_bytes(*values)).unwrap_or(0);
        let text = String::from_utf8_lossy(slice::from_raw_parts(text, length));
        let folded = fold(&text);
        let bytes = c_int::try_from(folded.len()).unwrap_or(c_int::MAX);
        ffi::sqlite3_result_text(context, folded.as_ptr().cast::<c_char>(), bytes, ffi::SQLITE_TRANSIENT());
    }
}
