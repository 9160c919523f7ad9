//! FITS byte by byte, right or wrong as the test wants it.

use fits::{FitsError, FitsFile, Limits};

/// Cards as given, each filled up to 80 bytes; no END.
pub fn cards(texts: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in texts {
        assert!(text.len() <= 80, "{text:?} is not a card");
        bytes.extend_from_slice(format!("{text:<80}").as_bytes());
    }
    bytes
}

/// Cards, END and padding.
pub fn header(texts: &[&str]) -> Vec<u8> {
    let mut bytes = cards(texts);
    bytes.extend_from_slice(&cards(&["END"]));
    padded(bytes, b' ')
}

/// Filled up to whole blocks.
pub fn padded(mut bytes: Vec<u8>, fill: u8) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(2880), fill);
    bytes
}

/// Header and data, both padded.
pub fn hdu(texts: &[&str], data: &[u8]) -> Vec<u8> {
    [header(texts), padded(data.to_vec(), 0)].concat()
}

/// A primary without data.
pub fn empty_primary() -> Vec<u8> {
    header(&[
        "SIMPLE  =                    T",
        "BITPIX  =                    8",
        "NAXIS   =                    0",
    ])
}

/// A primary of 3 x 2 bytes.
pub fn small_image() -> Vec<u8> {
    hdu(
        &[
            "SIMPLE  =                    T",
            "BITPIX  =                    8",
            "NAXIS   =                    2",
            "NAXIS1  =                    3",
            "NAXIS2  =                    2",
        ],
        &[1, 2, 3, 4, 5, 6],
    )
}

/// A binary table behind an empty primary. `more` are the cards behind TFIELDS; rows and heap are one behind the other.
pub fn binary_table(
    row_bytes: usize,
    rows: usize,
    fields: usize,
    more: &[&str],
    data: &[u8],
) -> Vec<u8> {
    let heap = data.len() - row_bytes * rows;
    table_with(row_bytes as i64, rows as i64, heap as i64, fields as i64, more, data)
}

/// The same with any numbers in the mandatory keywords.
pub fn table_with(
    row_bytes: i64,
    rows: i64,
    pcount: i64,
    fields: i64,
    more: &[&str],
    data: &[u8],
) -> Vec<u8> {
    let mandatory = [
        "XTENSION= 'BINTABLE'".to_owned(),
        "BITPIX  =                    8".to_owned(),
        "NAXIS   =                    2".to_owned(),
        format!("NAXIS1  = {row_bytes}"),
        format!("NAXIS2  = {rows}"),
        format!("PCOUNT  = {pcount}"),
        "GCOUNT  =                    1".to_owned(),
        format!("TFIELDS = {fields}"),
    ];
    let texts: Vec<&str> =
        mandatory.iter().map(String::as_str).chain(more.iter().copied()).collect();
    [empty_primary(), hdu(&texts, data)].concat()
}

/// Opens bytes with the default limits.
pub fn open(bytes: Vec<u8>) -> Result<FitsFile, FitsError> {
    FitsFile::from_bytes("test.fits", bytes, &Limits::default())
}
