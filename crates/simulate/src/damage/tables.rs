//! Tables that are no catalogues, and catalogues that cannot be read. One HDU is damaged, the others stay sound.

use super::edit::Editor;
use super::{Build, Damage, Finder, Scope};

const fn kind(
    name: &'static str,
    description: &'static str,
    code: &'static str,
    edit: fn(&mut Editor) -> &mut Editor,
) -> Damage {
    let build = Build::Catalogue(edit);
    Damage { name, description, code, scope: Scope::Hdu(2), finder: Finder::Catalogue, build }
}

pub(super) static KINDS: [Damage; 8] = [
    kind("row_too_short", "rows shorter than their columns", "row_length", |f| {
        f.set(2, "NAXIS1", "316")
    }),
    kind("row_too_long", "rows longer than their columns", "row_length", |f| {
        f.set(2, "NAXIS1", "328")
    }),
    kind("tform_unknown", "a column of an unknown format", "bad_format", |f| {
        f.put(2, "TFORM7", b"TFORM7  = '1Z      '")
    }),
    kind("tfields_missing", "TFIELDS is missing", "missing_keyword", |f| f.remove(2, "TFIELDS")),
    kind("tform_missing", "a column without a format", "missing_keyword", |f| {
        f.remove(2, "TFORM80")
    }),
    Damage {
        name: "rows_none",
        description: "a catalogue without rows",
        code: "zero_rows",
        scope: Scope::Hdu(4),
        finder: Finder::Catalogue,
        build: Build::Catalogue(|f| {
            let at = f.hdu(4).data;
            f.set(4, "NAXIS2", "0").bytes.truncate(at);
            f
        }),
    },
    kind("column_missing", "no X_coordinate", "required_column_missing", |f| {
        f.put(2, "TTYPE3", b"TTYPE3  = 'Unknown '")
    }),
    kind("column_of_text", "X_coordinate holds texts", "required_column_format", |f| {
        f.put(2, "TFORM3", b"TFORM3  = '4A      '")
    }),
];
