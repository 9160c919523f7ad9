//! Names of foreign files.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Returns true when a name stays within its directory and can be shown: no separators, no leading point, no control
/// characters.
pub fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && !name.starts_with('.')
        && !name.chars().any(|c| c == '/' || c.is_control())
}

/// Returns a name in a form that can be shown: bytes other than printable ASCII appear as `\x..`.
pub fn shown(name: &OsStr) -> String {
    let mut text = String::new();
    for &byte in name.as_bytes() {
        if (0x20..0x7f).contains(&byte) && byte != b'\\' {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}
