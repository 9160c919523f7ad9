//! Rules for the names of delivered files.
//!
//! A name is used in paths, scripts, pages and tables; a name that would need quoting in one of them is refused.

pub use crate::unfinished::Unfinished;

use model::{RefusalCode, name_fault};
use std::ffi::OsStr;

/// Returns the reason why a name is refused: (code, sentence). `None` when it is accepted.
pub fn fault(name: &OsStr) -> Option<(RefusalCode, &'static str)> {
    match name.to_str() {
        Some(name) => name_fault(name),
        None => Some((RefusalCode::NAME_NOT_UTF8, "the name is not UTF-8")),
    }
}

/// Returns true when a name claims that its file is FITS.
pub fn claims_fits(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let plain = [".gz", ".fz", ".bz2", ".z", ".zip", ".xz", ".zst"]
        .iter()
        .find_map(|end| lower.strip_suffix(end))
        .unwrap_or(&lower);
    lower.ends_with(".fz")
        || [".fit", ".fits", ".fts", ".cat", ".phot"].iter().any(|end| plain.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_or_refused() {
        let long = "w".repeat(201);
        let cases: &[(&str, Option<&str>)] = &[
            ("w20071011_00100_st.fit", None),
            ("OK_TO_COPY", None),
            ("dark_20071011_10_CDS_1.fit", None),
            ("a b.fit", None),
            ("a\nb.fit", Some("name_newline")),
            ("a\u{1b}[31m.fit", Some("name_escape")),
            ("a\tb.fit", Some("name_control_character")),
            ("..fit", Some("name_parent")),
            ("x..y.fit", Some("name_parent")),
            ("<script>.fit", Some("name_markup")),
            ("$(reboot).fit", Some("name_shell_character")),
            ("-rf.fit", Some("name_option")),
            (".w.fit.swp", Some("name_hidden")),
            ("\u{3b1}.fit", Some("name_not_ascii")),
            ("a\u{fffd}.fit", Some("name_not_utf8")), // as reported by a source that has no other way
            ("sub/a.fit", Some("name_separator")),
            (&long, Some("name_too_long")),
        ];
        for (name, code) in cases {
            assert_eq!(fault(OsStr::new(name)).map(|f| f.0.as_str()), *code, "{name:?}");
        }
        use std::os::unix::ffi::OsStrExt;
        let odd = OsStr::from_bytes(b"a\xff.fit");
        assert_eq!(fault(odd).map(|f| f.0.as_str()), Some("name_not_utf8"));
        assert_eq!(files::shown(odd), "a\\xff.fit");
    }

    #[test]
    fn which_names_claim_fits() {
        for yes in
            ["a.fit", "a.FITS", "a_cat.fits.gz", "a.fits.fz", "a.cat", "a.fits.phot", "a.fits.Z"]
        {
            assert!(claims_fits(yes), "{yes}");
        }
        for no in ["OK_TO_COPY", "notes.txt", "a.tar.gz", "SHA256SUMS"] {
            assert!(!claims_fits(no), "{no}");
        }
    }
}
