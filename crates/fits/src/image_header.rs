//! The header that a compressed image had before it was compressed (FITS 4.0, section 10.1.1).

use crate::card::{CARD_BYTES, Value};
use crate::header::{Card, Header};

/// Keywords of the image that the table keeps under another name, in the order they take in the image.
const RENAMED: [(&str, &str); 10] = [
    ("ZSIMPLE", "SIMPLE"),
    ("ZTENSION", "XTENSION"),
    ("ZBITPIX", "BITPIX"),
    ("ZNAXIS", "NAXIS"),
    ("ZPCOUNT", "PCOUNT"),
    ("ZGCOUNT", "GCOUNT"),
    ("ZEXTEND", "EXTEND"),
    ("ZBLOCKED", "BLOCKED"),
    ("ZHECKSUM", "CHECKSUM"),
    ("ZDATASUM", "DATASUM"),
];

/// Keywords that describe the table or the compression.
const OF_THE_TABLE: [&str; 19] = [
    "SIMPLE", "XTENSION", "BITPIX", "NAXIS", "PCOUNT", "GCOUNT", "EXTEND", "TFIELDS", "THEAP",
    "CHECKSUM", "DATASUM", "ZIMAGE", "ZTABLE", "ZCMPTYPE", "ZMASKCMP", "ZQUANTIZ", "ZDITHER0",
    "ZSCALE", "ZZERO",
];

/// Keywords of the same kind that end in a column number.
const OF_A_COLUMN: [&str; 15] = [
    "NAXIS", "TTYPE", "TFORM", "TUNIT", "TNULL", "TSCAL", "TZERO", "TDISP", "TBCOL", "TDIM",
    "ZNAXIS", "ZTILE", "ZNAME", "ZVAL", "ZBLANK",
];

/// Builds the image's header from that of its table.
///
/// Cards keep their order, comments and text; NAXISn, PCOUNT and GCOUNT follow NAXIS as the standard requires.
pub(crate) fn of_table(table: &Header) -> Header {
    let mut cards = Vec::with_capacity(table.raw().len());
    if table.card("ZSIMPLE").is_none() && table.card("ZTENSION").is_none() {
        write_card(&mut cards, "XTENSION", "'IMAGE   '");
    }
    let is_primary = table.card("ZSIMPLE").is_some();
    for (stored, name) in RENAMED {
        let skip = is_primary && matches!(name, "XTENSION" | "PCOUNT" | "GCOUNT");
        match table.card(stored) {
            Some(card) if !skip => rename_card(&mut cards, card, name),
            None if name == "PCOUNT" && !is_primary => write_card(&mut cards, name, "0"),
            None if name == "GCOUNT" && !is_primary => write_card(&mut cards, name, "1"),
            _ => {}
        }
        if name == "NAXIS" {
            let axes = table.integer("ZNAXIS").ok().flatten().unwrap_or(0);
            for axis in 1..=axes.min(999) {
                if let Some(card) = table.card(&format!("ZNAXIS{axis}")) {
                    rename_card(&mut cards, card, &format!("NAXIS{axis}"));
                }
            }
        }
    }
    for card in table.cards().filter(|card| is_of_image(card)) {
        cards.extend_from_slice(card.raw());
    }
    add_blank(&mut cards, table);
    let mut end = [b' '; CARD_BYTES];
    end[..3].copy_from_slice(b"END");
    cards.extend_from_slice(&end);
    Header::parse(cards)
}

/// Adds BLANK of a compressed integer image, which may be stored as ZBLANK.
fn add_blank(cards: &mut Vec<u8>, table: &Header) {
    let is_integer = matches!(table.value("ZBITPIX"), Some(Value::Integer(1..)));
    if let (true, None, Some(card)) = (is_integer, table.card("BLANK"), table.card("ZBLANK")) {
        rename_card(cards, card, "BLANK");
    }
}

fn is_of_image(card: &Card<'_>) -> bool {
    let keyword = card.keyword();
    if card.is_commentary() {
        return true;
    }
    if keyword == "EXTNAME" {
        return card.value() != Some(Value::Text("COMPRESSED_IMAGE"));
    }
    let stem = keyword.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let numbered = stem.len() < keyword.len() && OF_A_COLUMN.contains(&stem);
    let renamed = RENAMED.iter().any(|(stored, _)| *stored == keyword);
    !(numbered || renamed || keyword == "ZBLANK" || OF_THE_TABLE.contains(&keyword))
}

/// Appends the card's bytes under another keyword of at most eight letters.
fn rename_card(cards: &mut Vec<u8>, card: Card<'_>, name: &str) {
    let first = cards.len();
    cards.extend_from_slice(card.raw());
    let keyword = &mut cards[first..first + 8];
    keyword.fill(b' ');
    keyword[..name.len()].copy_from_slice(name.as_bytes());
}

fn write_card(cards: &mut Vec<u8>, name: &str, value: &str) {
    let text = if value.starts_with('\'') {
        format!("{name:<8}= {value}")
    } else {
        format!("{name:<8}= {value:>20}")
    };
    cards.extend_from_slice(format!("{text:<80}").as_bytes());
}
