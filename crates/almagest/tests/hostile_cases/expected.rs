//! What is to come of each kind of damage: its own refusal, those that follow from it, and what stays usable.

use serde_json::{Value, json};
use std::path::Path;
use testkit::damage::{Damage, Finder, Planted, Scope, named};

/// Rows of each of the four tables of a damaged stack's catalogue.
const ROWS: u64 = 40;

/// The place of the fault, beyond the HDU: (kind, keyword, column, part of the message).
type Place = (&'static str, Option<&'static str>, Option<&'static str>, &'static str);

const PLACES: &[Place] = &[
    ("name_twice", None, None, "_ST.fit"),
    ("text", None, None, "The night was"),
    ("gzip_bomb", None, None, "unpacks to more than"),
    ("cut_in_primary", Some("END"), None, "ext_num 1"),
    ("cut_odd", Some("END"), None, "ext_num 1"),
    ("cut_in_header", Some("END"), None, "ext_num 3"),
    ("end_missing", Some("END"), None, "ext_num 5"),
    ("cut_in_data", None, None, "ext_num 4"),
    ("cut_in_rows", None, None, "ext_num 5"),
    ("cut_in_padding", None, None, "ext_num 2"),
    ("cut_after_primary", None, None, "neither pixels nor rows"),
    ("cut_between_extensions", Some("NEXTEND"), None, "the file has 3"),
    ("xtension_spoiled", None, None, "ext_num 5"),
    ("header_endless", None, None, "ext_num 1"),
    ("simple_false", Some("SIMPLE"), None, "ext_num 1"),
    ("bitpix_13", Some("BITPIX"), None, "ext_num 3"),
    ("naxis_negative", Some("NAXIS"), None, "ext_num 3"),
    ("naxis1_text", Some("NAXIS1"), None, "ext_num 3"),
    ("naxis1_negative", Some("NAXIS1"), None, "ext_num 3"),
    ("naxis2_missing", Some("NAXIS2"), None, "ext_num 3"),
    ("naxis2_twice", Some("NAXIS2"), None, "ext_num 4"),
    ("bitpix_late", Some("BITPIX"), None, "ext_num 3"),
    ("pcount_negative", Some("PCOUNT"), None, "ext_num 2"),
    ("size_absurd", None, None, "ext_num 2"),
    ("size_claimed", None, None, "ext_num 2"),
    ("datasum_of_image", Some("DATASUM"), None, "the data sum to"),
    ("datasum_of_table", Some("DATASUM"), None, "the data sum to"),
    ("datasum_no_number", Some("DATASUM"), None, "unknown"),
    ("project_unknown", Some("PROJECT"), None, "u/99z/999"),
    ("project_blank", Some("PROJECT"), None, ""),
    ("codec_unknown", Some("ZCMPTYPE"), None, "MAGIC_1"),
    ("tile_outside", None, Some("COMPRESSED_DATA"), "row 20"),
    ("tile_before", None, Some("COMPRESSED_DATA"), "row 20"),
    ("tile_short", None, None, "tile 31"),
    ("tile_rubbish", None, None, "tile 0"),
    ("tfields_text", Some("TFIELDS"), None, "one"),
    ("zbitpix_wrong", Some("ZBITPIX"), None, "12"),
    ("znaxis2_missing", Some("ZNAXIS2"), None, ""),
    ("tiles_absurd", None, None, "are allowed"),
    ("row_too_short", Some("NAXIS1"), None, "316"),
    ("row_too_long", Some("NAXIS1"), None, "328"),
    ("tform_unknown", None, Some("#7"), "TFORM7"),
    ("tfields_missing", Some("TFIELDS"), None, ""),
    ("tform_missing", Some("TFORM80"), None, ""),
    ("column_missing", None, Some("X_coordinate"), ""),
    ("column_of_text", None, Some("X_coordinate"), "4A"),
    ("sequence_twice", None, Some("seq_num"), ""),
    ("sequence_nan", None, Some("seq_num"), ""),
    ("sequence_half", None, Some("seq_num"), ""),
    ("sequence_zero", None, Some("seq_num"), ""),
    ("sequence_huge", None, Some("seq_num"), ""),
    ("place_nan", None, Some("x"), ""),
    ("place_outside", None, Some("x"), ""),
    ("places_outside", None, Some("x"), "10 of 40 rows"),
];

/// Kinds of [`PLACES`] that are none: misspelt, or gone.
pub fn kinds_unknown() -> Vec<&'static str> {
    PLACES.iter().map(|place| place.0).filter(|kind| named(kind).is_none()).collect()
}

/// Compares open refusals with what was planted into a delivery; a line per difference.
pub fn differences(planted: &[Planted], delivery: &Path, refusals: &[Value]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut left: Vec<&Value> = refusals.iter().collect();
    for one in planted {
        let damage = named(one.kind).unwrap();
        let name = files::shown(&one.file);
        let mine = take(&mut left, &name);
        let complaint = culprit(damage, &mine);
        wrong.extend(complaint.map(|why| format!("{damage:?} in {name}: {why}: {mine:?}")));
        let Some(root) = name.strip_suffix(".fit") else { continue };
        let catalogue = format!("{root}_cat.fits");
        let theirs = take(&mut left, &catalogue);
        let follows = following(damage).filter(|_| delivery.join(&catalogue).exists());
        let found: Vec<Value> = theirs.iter().map(|r| json!([r["code"], r["ext_num"]])).collect();
        let wanted: Vec<Value> =
            follows.map(|(code, hdu)| json!([code, ext_num(hdu)])).into_iter().collect();
        if found != wanted || theirs.iter().any(|r| r["parked"] != json!(true)) {
            wrong.push(format!("{damage:?}: {catalogue} should wait as {wanted:?}: {theirs:?}"));
        }
    }
    wrong.extend(left.into_iter().map(|r| format!("refused and not planted: {r}")));
    wrong
}

fn take<'a>(left: &mut Vec<&'a Value>, file: &str) -> Vec<&'a Value> {
    let (mine, rest) = left.iter().partition(|r| r["file"] == json!(file));
    *left = rest;
    mine
}

/// Describes the fault of the refusals of a damaged file, if any.
fn culprit(damage: &Damage, mine: &[&Value]) -> Option<String> {
    let (_, keyword, column, said) =
        PLACES.iter().find(|place| place.0 == damage.name).copied().unwrap_or_default();
    let place = match damage.scope {
        Scope::Hdu(hdu) | Scope::Rows(hdu, _) => Some(Some(hdu)),
        Scope::File => Some(None),
        Scope::Parked => None, // one of the file, or one of each HDU
    };
    if mine.is_empty() || (place.is_some() && mine.len() > 1) {
        return Some("not one refusal".to_owned());
    }
    for refusal in mine {
        let wanted = [
            ("code", json!(damage.code)),
            ("keyword", json!(keyword)),
            ("column", json!(column)),
            ("parked", json!(damage.scope == Scope::Parked)),
            ("ext_num", place.map_or(refusal["ext_num"].clone(), |hdu| json!(ext_num(hdu)))),
        ];
        if let Some((what, value)) = wanted.iter().find(|(what, value)| refusal[*what] != *value) {
            return Some(format!("{what} is {}, not {value}", refusal[*what]));
        }
        if !refusal["message"].as_str().unwrap().contains(said) {
            return Some(format!("the message does not name {said:?}"));
        }
        if let Scope::Rows(_, rows) = damage.scope {
            let ranges = refusal["row_ranges"].as_array().unwrap();
            let in_range =
                |r: &Value| r["last"].as_u64().unwrap() + 1 - r["first"].as_u64().unwrap();
            let listed: u64 = ranges.iter().map(in_range).sum();
            if refusal["rows"] != json!(rows) || listed != rows {
                return Some(format!("{rows} rows should be refused, and listed"));
            }
        }
    }
    None
}

/// The extension number of an HDU: the primary is 1.
fn ext_num(hdu: Option<u16>) -> Option<u16> {
    hdu.map(|hdu| hdu + 1)
}

/// Code and HDU of the refusal of the catalogue whose image is damaged.
fn following(damage: &Damage) -> Option<(&'static str, Option<u16>)> {
    match (damage.scope, damage.finder) {
        (Scope::File, _) => Some(("image_absent", None)),
        (Scope::Parked, _) => Some(("metadata_refused", None)),
        (Scope::Hdu(hdu), Finder::Arrival) => Some(("no_detector", Some(hdu))),
        _ => None,
    }
}

/// Detections that a damaged catalogue, or the catalogue of a damaged image, still gives.
pub fn detections(damage: &Damage, has_catalogue: bool) -> u64 {
    let by_image = !matches!(damage.finder, Finder::Pixels);
    match damage.scope {
        _ if !has_catalogue => 0,
        Scope::File | Scope::Parked => 0,
        Scope::Hdu(_) => (if by_image { 3 } else { 4 }) * ROWS,
        Scope::Rows(_, rows) => 4 * ROWS - rows,
    }
}
