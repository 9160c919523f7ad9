//! What `inspect` says, letter by letter: other programs read it.

use std::path::Path;

use fits::Limits;
use fits::inspect::{inspect, inspect_file};

use crate::bytes::{self, binary_table, small_image};

fn said_of(file: Vec<u8>) -> String {
    inspect_file(&bytes::open(file).unwrap()).to_json().to_string()
}

#[test]
fn an_image() {
    let wanted = concat!(
        r#"{"size": 5760, "format": "fits", "nhdus": 1, "hdus": [{"index": 0, "class": "PrimaryHDU", "#,
        r#""name": "PRIMARY", "header": {"cards": 5, "comment_cards": 0, "history_cards": 0, "#,
        r#""blank_cards": 0, "duplicate_keywords": [], "values": {"SIMPLE": true, "BITPIX": 8, "#,
        r#""NAXIS": 2, "NAXIS1": 3, "NAXIS2": 2}}, "image": {"count": 6, "nan": 0, "inf": 0, "min": 1, "#,
        r#""max": 6, "mean": 3.5, "dtype": "uint8", "shape_numpy": [2, 3], "median": 3.5, "sum": 21.0, "#,
        r#""first_pixel": 1, "last_pixel": 6}}]}"#,
    );
    assert_eq!(said_of(small_image()), wanted);
}

#[test]
fn a_table() {
    let cards = [
        "TTYPE1  = 'N'",
        "TFORM1  = 'I'",
        "TNULL1  = -1",
        "TTYPE2  = 'S'",
        "TFORM2  = '2A'",
        "TUNIT2  = 'm'",
    ];
    let said = said_of(binary_table(4, 2, 2, &cards, b"\xff\xffab\x00\x05c "));
    let wanted = concat!(
        r#""table": {"rows": 2, "row_bytes": 4, "heap_bytes": 0, "columns": [{"name": "N", "format": "I", "#,
        r#""null": -1, "stats": {"count": 2, "nan": 0, "inf": 0, "min": -1, "max": 5, "mean": 2.0, "tnull": 1}, "#,
        r#""first": -1, "last": 5}, {"name": "S", "format": "2A", "unit": "m", "distinct": 2, "first": "ab", "#,
        r#""last": "c "}]}}"#,
    );
    assert!(said.contains(wanted), "{said}\nlacks\n{wanted}");
}

#[test]
fn a_refused_hdu_keeps_its_header_and_has_a_reason() {
    let said = said_of(binary_table(5, 1, 1, &["TFORM1  = 'J'"], &[0; 5]));
    let wanted = concat!(
        r#""TFIELDS": 1, "TFORM1": "J"}}, "refusal": {"code": "row_length", "#,
        r#""message": "a row has 5 bytes (NAXIS1), the columns need 4"}}"#,
    );
    assert!(said.contains(wanted), "{said}\nlacks\n{wanted}");
    assert!(!said.contains(r#""table""#), "{said}");
}

#[test]
fn a_refused_file_has_a_reason() {
    let said = inspect(Path::new("/dev/null"), &Limits::default()).to_json().to_string();
    let wanted = r#"{"refusal": {"code": "not_a_file_device", "message": "the file is a device, not a regular file"}}"#;
    assert_eq!(said, wanted);
}

#[test]
fn odd_header_values() {
    let header = bytes::header(&[
        "SIMPLE  =                    T",
        "BITPIX  =                    8",
        "NAXIS   =                    0",
        "BIG     = +99999999999999999999",
        "COMPLEX = (1.5, -2)",
        "UNDEF   =",
        "TEXT    = 'a\"b\u{1b}'",
        "BAD     = 1.2.3",
        "BIG     = 5",
    ]);
    let said = said_of(header);
    let wanted = concat!(
        r#""duplicate_keywords": ["BIG"], "values": {"SIMPLE": true, "BITPIX": 8, "NAXIS": 0, "#,
        r#""BIG": 99999999999999999999, "COMPLEX": "(1.5-2j)", "UNDEF": null, "TEXT": "a\"b\\x1b"}, "#,
        r#""faults": [{"card": 7, "code": "control_character"}, {"card": 8, "code": "bad_card_value"}]}"#,
    );
    assert!(said.contains(wanted), "{said}\nlacks\n{wanted}");
}
