//! The rows of `header`: every header as delivered, compressed, so that no card is lost.

use fits::{FitsFile, Header};
use model::MultiframeId;
use std::cell::RefCell;

use super::frame::Frame;
use super::row::{Kind, Row};

const CARD_BYTES: usize = fits::card::CARD_BYTES;
/// Headers are short and many: speed counts for more than the last percent.
const LEVEL: i32 = 1;

thread_local! {
    /// A compressor per thread: setting up its tables takes longer than compressing a header.
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
}

/// Returns one row per HDU of the image file and of the file of the catalogue.
pub(super) fn rows<'f>(frame: &Frame<'f>) -> Vec<Row<'f>> {
    let mut rows = Vec::new();
    add(&mut rows, frame.input.multiframe_id, frame.file(), frame.image);
    if let Some((name, file)) = frame.catalogue_beside() {
        add(&mut rows, frame.input.multiframe_id, name, file);
    }
    rows
}

fn add<'f>(
    rows: &mut Vec<Row<'f>>,
    multiframe_id: MultiframeId,
    name: &'f str,
    file: &'f FitsFile,
) {
    for hdu in file.hdus() {
        let Some(ext_num) = model::ExtNum::of_hdu(hdu.index.0) else { return };
        let cards = cards(&hdu.header);
        let mut row = Row::new(Kind::Header);
        row.set("multiframe_id", multiframe_id);
        row.set("file_name", name);
        row.set("ext_num", ext_num.get());
        row.set("num_cards", i64::try_from(cards.len() / CARD_BYTES).unwrap_or(i64::MAX));
        row.set("cards", compress(cards));
        rows.push(row);
    }
}

/// Returns the cards without END.
fn cards(header: &Header) -> &[u8] {
    let raw = header.raw();
    let end = raw.chunks(CARD_BYTES).position(fits::header::is_end);
    &raw[..end.map_or(raw.len(), |n| n * CARD_BYTES)]
}

fn compress(cards: &[u8]) -> Vec<u8> {
    const SURE: &str = "a buffer of the worst size always suffices";
    COMPRESSOR.with_borrow_mut(|slot| {
        let compressor =
            slot.get_or_insert_with(|| zstd::bulk::Compressor::new(LEVEL).expect("level 1 exists"));
        compressor.compress(cards).expect(SURE)
    })
}

/// Unpacks the cards of a `header` row.
///
/// # Errors
/// Fails when the bytes are not a zstd frame, or unpack to more than `limit` bytes.
pub fn unpack(cards: &[u8], limit: usize) -> std::io::Result<Vec<u8>> {
    zstd::bulk::decompress(cards, limit)
}
