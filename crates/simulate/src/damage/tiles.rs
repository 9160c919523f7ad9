//! Compressed images whose tiles cannot be decoded. HDU 2 is damaged, the others stay sound.

use super::edit::Editor;
use super::{Build, Damage, Finder, Scope};

const fn kind(
    name: &'static str,
    description: &'static str,
    code: &'static str,
    edit: fn(&mut Editor) -> &mut Editor,
) -> Damage {
    let build = Build::Image(edit);
    Damage { name, description, code, scope: Scope::Hdu(2), finder: Finder::Pixels, build }
}

pub(super) static KINDS: [Damage; 9] = [
    kind("codec_unknown", "compressed by an unknown algorithm", "unsupported", |f| {
        f.put(2, "ZCMPTYPE", b"ZCMPTYPE= 'MAGIC_1 '")
    }),
    kind("tile_outside", "a tile outside of the HDU", "outside_heap", |f| {
        descriptor(f, 20, None, Some(1 << 28))
    }),
    kind("tile_before", "a tile before the heap", "outside_heap", |f| {
        descriptor(f, 20, None, Some(-4000))
    }),
    kind("tile_short", "a tile whose code ends early", "tile_code_too_short", |f| {
        descriptor(f, 31, Some(9), None)
    }),
    kind("tile_rubbish", "a tile whose code is garbage", "tile_rice_level", |f| {
        let rows = super::sound::SIDE;
        let from = 8 * rows + 4; // the first pixel of the first tile may be anything
        f.data(2)[from..from + 40].fill(0xff);
        f
    }),
    kind("tfields_text", "TFIELDS is not a number", "wrong_type", |f| {
        f.put(2, "TFIELDS", b"TFIELDS = 'one     '")
    }),
    kind("zbitpix_wrong", "ZBITPIX = 12", "bad_value", |f| f.set(2, "ZBITPIX", "12")),
    kind("znaxis2_missing", "ZNAXIS2 is missing", "missing_keyword", |f| f.remove(2, "ZNAXIS2")),
    kind("tiles_absurd", "an image of 10^9 x 64 pixels in tiles of a row", "too_large", |f| {
        f.set(2, "ZNAXIS1", "1000000000").set(2, "ZTILE1", "1000000000")
    }),
];

/// Changes length or offset of the descriptor of a tile.
fn descriptor(
    f: &mut Editor,
    tile: usize,
    length: Option<i32>,
    offset: Option<i32>,
) -> &mut Editor {
    for (at, value) in [(8 * tile, length), (8 * tile + 4, offset)] {
        if let Some(value) = value {
            f.data(2)[at..at + 4].copy_from_slice(&value.to_be_bytes());
        }
    }
    f
}
