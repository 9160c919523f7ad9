//! Rows of a catalogue that cannot be used. The other rows stay.

use super::edit::Editor;
use super::{Build, Damage, Finder, Scope};

const fn kind(
    name: &'static str,
    description: &'static str,
    code: &'static str,
    rows: u64,
    edit: fn(&mut Editor) -> &mut Editor,
) -> Damage {
    let scope = Scope::Rows(2, rows);
    Damage {
        name,
        description,
        code,
        scope,
        finder: Finder::Catalogue,
        build: Build::Catalogue(edit),
    }
}

/// Columns that matter here, counted from 1.
const SEQUENCE: usize = 1;
const X: usize = 3;
const Y: usize = 5;

pub(super) static KINDS: [Damage; 8] = [
    kind("sequence_twice", "two rows of one number", "sequence_number_duplicate", 1, |f| {
        f.cell(2, 17, SEQUENCE, 17.0) // the number of the row before
    }),
    kind("sequence_nan", "a row without a number", "sequence_number_missing", 1, |f| {
        f.cell(2, 9, SEQUENCE, f32::NAN)
    }),
    kind("sequence_half", "a row with half a number", "sequence_number_not_whole", 1, |f| {
        f.cell(2, 9, SEQUENCE, 10.5)
    }),
    kind("sequence_zero", "a row of number 0", "sequence_number_out_of_range", 1, |f| {
        f.cell(2, 0, SEQUENCE, 0.0)
    }),
    kind("sequence_huge", "a row of number 10^10", "sequence_number_out_of_range", 1, |f| {
        f.cell(2, 39, SEQUENCE, 1e10)
    }),
    kind("place_nan", "a row without a place", "pixel_position_missing", 1, |f| {
        f.cell(2, 5, X, f32::NAN)
    }),
    kind("place_outside", "a row outside the detector", "outside_detector", 1, |f| {
        f.cell(2, 5, Y, -5000.0)
    }),
    Damage {
        name: "places_outside",
        description: "a quarter of the rows outside the detector",
        code: "too_many_refused_rows",
        scope: Scope::Hdu(2),
        finder: Finder::Catalogue,
        build: Build::Catalogue(|f| {
            for row in (0..super::sound::ROWS).step_by(4) {
                f.cell(2, row, X, 1e6);
            }
            f
        }),
    },
];
