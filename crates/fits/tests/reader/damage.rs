//! Every way in which a file can be wrong has a code of its own, and leaves the HDUs before it usable.

use fits::{FitsError, HduIndex, HduKind, Limits};

use crate::bytes::{self, empty_primary, hdu, header, small_image, table_with};

const SIMPLE: &str = "SIMPLE  =                    T";
const BYTES: &str = "BITPIX  =                    8";

/// The first fault of the file: of its opening, its HDUs, or of reading their contents.
fn first_fault(bytes: Vec<u8>) -> Option<FitsError> {
    let file = match bytes::open(bytes) {
        Ok(file) => file,
        Err(error) => return Some(error),
    };
    let contents = |hdu: &fits::Hdu| match hdu.kind {
        _ if hdu.fault.is_some() => file.sound_hdu(hdu.index).err(),
        HduKind::NoData => None,
        HduKind::Image | HduKind::CompressedImage => file.image(hdu.index).err(),
        _ => file.table(hdu.index).err(),
    };
    file.hdus().iter().find_map(contents)
}

fn check(name: &str, bytes: Vec<u8>, hdu: Option<u16>, code: &str, message: &str) {
    let error = first_fault(bytes).unwrap_or_else(|| panic!("{name}: nothing was found"));
    let found = (error.hdu, error.fault.code(), error.fault.to_string());
    assert_eq!(found, (hdu.map(HduIndex), code, message.to_owned()), "{name}");
}

/// Name, cards, code, message.
type HeaderCase = (&'static str, &'static [&'static str], &'static str, &'static str);

const PRIMARIES: [HeaderCase; 19] = [
    ("no BITPIX", &[SIMPLE, "NAXIS   = 0"], "missing_keyword", "keyword BITPIX is missing"),
    (
        "order",
        &[SIMPLE, "NAXIS   = 0", BYTES],
        "keyword_order",
        "keyword BITPIX is missing from its place, card 2",
    ),
    (
        "BITPIX 12",
        &[SIMPLE, "BITPIX  = 12", "NAXIS   = 0"],
        "bad_value",
        "keyword BITPIX = 12 is not a FITS pixel type",
    ),
    (
        "BITPIX text",
        &[SIMPLE, "BITPIX  = 'eight' / c", "NAXIS   = 0"],
        "wrong_type",
        "keyword BITPIX holds 'eight', not a whole number of 64 bits",
    ),
    ("no NAXIS", &[SIMPLE, BYTES], "missing_keyword", "keyword NAXIS is missing"),
    (
        "NAXIS -1",
        &[SIMPLE, BYTES, "NAXIS   = -1"],
        "bad_value",
        "keyword NAXIS = -1 is not a number of axes, 0 to 999",
    ),
    (
        "NAXIS 1000",
        &[SIMPLE, BYTES, "NAXIS   = 1000"],
        "bad_value",
        "keyword NAXIS = 1000 is not a number of axes, 0 to 999",
    ),
    (
        "no NAXIS2",
        &[SIMPLE, BYTES, "NAXIS   = 2", "NAXIS1  = 3"],
        "missing_keyword",
        "keyword NAXIS2 is missing",
    ),
    (
        "negative axis",
        &[SIMPLE, BYTES, "NAXIS   = 1", "NAXIS1  = -5"],
        "negative_value",
        "keyword NAXIS1 = -5 is negative",
    ),
    (
        "10^12 pixels",
        &[SIMPLE, BYTES, "NAXIS   = 2", "NAXIS1  = 1000000", "NAXIS2  = 1000000"],
        "truncated",
        "data end 1000000000000 bytes early",
    ),
    (
        "overflow",
        &[
            SIMPLE,
            BYTES,
            "NAXIS   = 3",
            "NAXIS1  = 3000000",
            "NAXIS2  = 3000000",
            "NAXIS3  = 3000000",
        ],
        "size_overflow",
        "the data would have more than 2^63 bytes (NAXISn x PCOUNT x GCOUNT)",
    ),
    (
        "overflow by the pixel's size",
        &[SIMPLE, "BITPIX  = -64", "NAXIS   = 1", "NAXIS1  = 2000000000000000000"],
        "size_overflow",
        "the data would have more than 2^63 bytes (NAXISn x PCOUNT x GCOUNT)",
    ),
    (
        "axis of 20 digits",
        &[SIMPLE, BYTES, "NAXIS   = 1", "NAXIS1  = 99999999999999999999"],
        "wrong_type",
        "keyword NAXIS1 holds 99999999999999999999, not a whole number of 64 bits",
    ),
    (
        "axis twice",
        &[SIMPLE, BYTES, "NAXIS   = 1", "NAXIS1  = 5", "NAXIS1  = 6"],
        "contradictory_keyword",
        "keyword NAXIS1 occurs twice with different values",
    ),
    (
        "SIMPLE = F",
        &["SIMPLE  =                    F", BYTES, "NAXIS   = 0"],
        "not_standard",
        "SIMPLE = F, the file itself says that it does not conform to the standard",
    ),
    (
        "SIMPLE = 7",
        &["SIMPLE  = 7", BYTES, "NAXIS   = 0"],
        "wrong_type",
        "keyword SIMPLE holds 7, not T or F",
    ),
    (
        "no axis is needed twice",
        &[SIMPLE, BYTES, "NAXIS   = 1", "COMMENT in the way", "NAXIS1  = 5"],
        "keyword_order",
        "keyword NAXIS1 is missing from its place, card 4",
    ),
    (
        "groups without GCOUNT",
        &[SIMPLE, BYTES, "NAXIS   = 2", "NAXIS1  = 0", "NAXIS2  = 3", "GROUPS  = T", "PCOUNT  = 1"],
        "missing_keyword",
        "keyword GCOUNT is missing",
    ),
    (
        "groups with a negative PCOUNT",
        &[
            SIMPLE,
            BYTES,
            "NAXIS   = 2",
            "NAXIS1  = 0",
            "NAXIS2  = 3",
            "GROUPS  = T",
            "PCOUNT  = -1",
            "GCOUNT  = 1",
        ],
        "negative_value",
        "keyword PCOUNT = -1 is negative",
    ),
];

#[test]
fn headers_of_the_primary() {
    for (name, texts, code, message) in PRIMARIES {
        check(name, header(texts), Some(0), code, message);
    }
}

#[test]
fn headers_of_extensions() {
    let image = ["XTENSION= 'IMAGE'", BYTES, "NAXIS   = 0", "PCOUNT  = 0", "GCOUNT  = 1"];
    let without = |left_out: &str| -> Vec<&str> {
        image.iter().copied().filter(|text| !text.starts_with(left_out)).collect()
    };
    let cases: [(&str, Vec<&str>, &str, &str); 5] = [
        ("no PCOUNT", without("PCOUNT"), "missing_keyword", "keyword PCOUNT is missing"),
        ("no GCOUNT", without("GCOUNT"), "missing_keyword", "keyword GCOUNT is missing"),
        (
            "XTENSION is a number",
            vec!["XTENSION= 5", BYTES, "NAXIS   = 0"],
            "wrong_type",
            "keyword XTENSION holds 5, not a string",
        ),
        (
            "unknown type",
            vec!["XTENSION= 'FOREIGN'", BYTES, "NAXIS   = 0", "PCOUNT  = 0", "GCOUNT  = 1"],
            "unknown_extension",
            "extension type \"FOREIGN\" is not read",
        ),
        (
            "a table of 16-bit bytes",
            vec!["XTENSION= 'TABLE'", "BITPIX  = 16", "NAXIS   = 0", "PCOUNT  = 0", "GCOUNT  = 1"],
            "bad_value",
            "keyword BITPIX = 16 is not 8, as a table needs",
        ),
    ];
    for (name, texts, code, message) in cases {
        check(name, [small_image(), header(&texts)].concat(), Some(1), code, message);
    }
}

#[test]
fn what_follows_the_last_hdu() {
    let image = small_image();
    let tail = |tail: &[u8]| [&image[..], tail].concat();
    for padding in [vec![0; 100], vec![0; 5760], vec![b' '; 2880]] {
        assert_eq!(first_fault(tail(&padding)), None, "{} bytes of padding", padding.len());
    }
    let mut late = vec![0; 30_000];
    late[29_999] = 1;
    let mut special = b"SPECIAL RECORD".to_vec();
    special.resize(2880, b' ');
    for (name, junk) in [
        ("text", vec![b'x'; 10]),
        ("CR LF", b"\r\n".to_vec()),
        ("late", late),
        ("mixed", [[0; 80], [b' '; 80]].concat()),
        ("a special record", special.clone()),
    ] {
        let file = bytes::open(tail(&junk)).expect(name);
        assert_eq!(file.hdus().len(), 1, "{name}");
        assert_eq!(first_fault(tail(&junk)), None, "{name}");
        let trailing = file.trailing().expect(name);
        let found = (trailing.is_packed, trailing.offset, trailing.bytes);
        assert_eq!(found, (false, 5760, junk.len() as u64), "{name}");
    }
    // What is, or was, an HDU is lost: that is damage.
    let extension =
        header(&["XTENSION= 'IMAGE'", BYTES, "NAXIS   = 0", "PCOUNT  = 0", "GCOUNT  = 1"]);
    let mut spoiled = extension.clone();
    spoiled[3] = b'?';
    for (name, lost) in [
        ("a spoiled extension", spoiled),
        ("another file", empty_primary()),
        ("an extension after a record", [special, extension].concat()),
        ("the begin of an extension", b"XTEN".to_vec()),
    ] {
        let message = format!(
            "the last {} bytes, from 5760, are neither an extension nor padding",
            lost.len()
        );
        check(name, tail(&lost), Some(1), "not_an_hdu", &message);
    }
    check(
        "no END",
        tail(&bytes::cards(&["XTENSION= 'IMAGE'"])),
        Some(1),
        "missing_end",
        "the header has no END card",
    );
}

#[test]
fn a_file_cut_anywhere_is_refused_and_complete_hdus_are_kept() {
    let whole = [
        small_image(),
        hdu(
            &[
                "XTENSION= 'IMAGE'",
                BYTES,
                "NAXIS   = 1",
                "NAXIS1  = 3000",
                "PCOUNT  = 0",
                "GCOUNT  = 1",
            ],
            &[7; 3000],
        ),
    ]
    .concat();
    assert_eq!(first_fault(whole.clone()), None);
    for length in (1..whole.len()).step_by(37) {
        let cut = whole[..length].to_vec();
        let Ok(file) = bytes::open(cut) else {
            assert!(length < 6 * 80, "only a primary without END refuses the file: {length}");
            continue;
        };
        let faults: Vec<_> =
            file.hdus().iter().map(|hdu| hdu.fault.as_ref().map(|fault| fault.code())).collect();
        let wanted: Vec<Option<&str>> = match length {
            ..2886 => vec![Some("truncated")],
            // The image is whole, its padding need not be; of the next HDU nothing can be missed.
            2886..=5760 => vec![None],
            5761..6320 => {
                vec![None, Some(if length < 5768 { "not_an_hdu" } else { "missing_end" })]
            }
            6320..11640 => vec![None, Some("truncated")],
            _ => vec![None, None],
        };
        assert_eq!(faults, wanted, "cut to {length}");
        if length >= 2886 {
            assert_eq!(
                file.image(HduIndex(0)).unwrap().read_f32().unwrap()[5],
                6.0,
                "cut to {length}"
            );
        }
    }
}

/// Name, (NAXIS1, NAXIS2, PCOUNT, TFIELDS), cards, bytes of data, code, message.
type TableCase = (
    &'static str,
    (i64, i64, i64, i64),
    &'static [&'static str],
    usize,
    &'static str,
    &'static str,
);

const J: [&str; 1] = ["TFORM1  = 'J'"];

const TABLES: [TableCase; 17] = [
    (
        "row too long",
        (6, 1, 0, 1),
        &J,
        6,
        "row_length",
        "a row has 6 bytes (NAXIS1), the columns need 4",
    ),
    (
        "row too short",
        (3, 1, 0, 1),
        &J,
        3,
        "row_length",
        "a row has 3 bytes (NAXIS1), the columns need 4",
    ),
    ("no TFORM2", (4, 1, 0, 2), &J, 4, "missing_keyword", "keyword TFORM2 is missing"),
    (
        "unknown letter",
        (4, 1, 0, 1),
        &["TFORM1  = '1Z'"],
        4,
        "bad_format",
        "TFORM1 = \"1Z\" is not a column format",
    ),
    (
        "no letter",
        (4, 1, 0, 1),
        &["TFORM1  = '4'"],
        4,
        "bad_format",
        "TFORM1 = \"4\" is not a column format",
    ),
    (
        "two descriptors in a cell",
        (16, 1, 0, 1),
        &["TFORM1  = '2PJ(3)'"],
        16,
        "bad_format",
        "TFORM1 = \"2PJ(3)\" is not a column format",
    ),
    (
        "a cell of 10^19 bytes",
        (4, 1, 0, 1),
        &["TFORM1  = '9999999999999999999A'"],
        4,
        "bad_format",
        "TFORM1 = \"9999999999999999999A\" is not a column format",
    ),
    (
        "a cell of 10^30 bytes",
        (4, 1, 0, 1),
        &["TFORM1  = '999999999999999999999999999999A'"],
        4,
        "bad_format",
        "TFORM1 = \"999999999999999999999999999999A\" is not a column format",
    ),
    (
        "TFORM is a number",
        (4, 1, 0, 1),
        &["TFORM1  = 4"],
        4,
        "wrong_type",
        "keyword TFORM1 holds 4, not a string",
    ),
    (
        "TSCAL is a text",
        (4, 1, 0, 1),
        &["TFORM1  = 'J'", "TSCAL1  = 'x'"],
        4,
        "wrong_type",
        "keyword TSCAL1 holds 'x', not a number",
    ),
    ("TFIELDS -1", (0, 0, 0, -1), &[], 0, "negative_value", "keyword TFIELDS = -1 is negative"),
    (
        "TFIELDS 1000",
        (0, 0, 0, 1000),
        &[],
        0,
        "bad_value",
        "keyword TFIELDS = 1000 is more than 999",
    ),
    ("negative PCOUNT", (4, 1, -4, 1), &J, 4, "negative_value", "keyword PCOUNT = -4 is negative"),
    ("rows are missing", (4, 10_000, 0, 1), &J, 4, "truncated", "data end 37120 bytes early"),
    (
        "rows beyond all measure",
        (4, i64::MAX, 0, 1),
        &J,
        4,
        "size_overflow",
        "the data would have more than 2^63 bytes (NAXISn x PCOUNT x GCOUNT)",
    ),
    (
        "THEAP in the rows",
        (4, 2, 8, 1),
        &["TFORM1  = 'J'", "THEAP   = 4"],
        16,
        "bad_value",
        "keyword THEAP = 4 is not between the rows and the end of the data",
    ),
    (
        "THEAP behind the data",
        (4, 2, 8, 1),
        &["TFORM1  = 'J'", "THEAP   = 17"],
        16,
        "bad_value",
        "keyword THEAP = 17 is not between the rows and the end of the data",
    ),
];

#[test]
fn tables() {
    for (name, (row_bytes, rows, pcount, fields), cards, bytes, code, message) in TABLES {
        let file = table_with(row_bytes, rows, pcount, fields, cards, &vec![0; bytes]);
        check(name, file, Some(1), code, message);
    }
}

#[test]
fn a_mandatory_keyword_may_be_repeated_with_the_same_value() {
    let file = header(&[SIMPLE, BYTES, "NAXIS   = 0", "NAXIS   = 0"]);
    assert_eq!(first_fault(file), None);
}

#[test]
fn headers_and_files_are_bounded() {
    let mut long = vec![SIMPLE, BYTES, "NAXIS   = 0"];
    long.resize(4000, "COMMENT repeated");
    let limits = Limits { header_cards: 1000, hdus: 3, ..Limits::default() };
    let open = |bytes: Vec<u8>| fits::FitsFile::from_bytes("x", bytes, &limits);
    assert_eq!(open(header(&long)).unwrap_err().fault.code(), "header_too_long");
    // Without END the limit comes first, whatever the length of the file.
    assert_eq!(open(bytes::cards(&long)).unwrap_err().fault.code(), "header_too_long");
    let extension =
        header(&["XTENSION= 'IMAGE'", BYTES, "NAXIS   = 0", "PCOUNT  = 0", "GCOUNT  = 1"]);
    assert!(open([empty_primary(), extension.clone(), extension.clone()].concat()).is_ok());
    let many = open([empty_primary(), extension.repeat(3)].concat()).unwrap_err();
    assert_eq!(many.fault.code(), "too_many_hdus");
}

#[test]
fn rows_without_bytes_cost_nothing() {
    let file =
        bytes::open(table_with(0, 1_000_000_000_000, 0, 1, &["TFORM1  = '0J'"], &[])).unwrap();
    let table = file.table(HduIndex(1)).unwrap();
    assert_eq!(table.rows(), 1_000_000_000_000);
    assert_eq!(table.batches().count(), 0);
    let report = fits::inspect::inspect_file(&file).to_json().to_string();
    assert!(report.contains("\"rows\": 1000000000000"), "{report}");
}

#[test]
fn errors_name_their_place() {
    let error = first_fault(table_with(6, 1, 0, 1, &["TFORM1  = 'J'"], &[0; 6])).unwrap();
    assert_eq!(error.to_string(), "cannot use test.fits[1]");
    let error = bytes::open(b"hello".to_vec()).unwrap_err();
    assert_eq!(error.to_string(), "cannot use test.fits");
    assert_eq!(error.fault.to_string(), "the file begins with 'hello', not like FITS");
}
