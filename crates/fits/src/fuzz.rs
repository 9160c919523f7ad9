//! Everything that can be read of a string of bytes: the body of the fuzz target.

use crate::cells::Rows;
use crate::checksum;
use crate::file::FitsFile;
use crate::hdu::Hdu;
use crate::inspect::inspect_file;
use crate::limits::Limits;
use crate::table::Table;

/// Bounds that keep one run short. A file beyond the bounds is refused, which exercises that path too.
const LIMITS: Limits = Limits {
    expansion_ratio: 200,
    ratio_from_bytes: 1 << 16,
    unpacked_bytes: 1 << 20,
    image_bytes: 1 << 22,
    values_bytes: 1 << 20,
    header_cards: 400,
    hdus: 12,
    piece_bytes: 1 << 20,
};

/// Reads headers, images, tables, heaps and sums by every path. Every fault is refused; nothing may panic.
#[doc(hidden)]
pub fn fuzz_entry(bytes: &[u8]) {
    let Ok(file) = FitsFile::from_bytes("fuzz", bytes.to_vec(), &LIMITS) else { return };
    std::hint::black_box(inspect_file(&file).to_json().to_string());
    for hdu in file.hdus() {
        read_header(hdu);
        std::hint::black_box(checksum::verify(&file, hdu.index).is_ok());
        if let Ok(table) = file.table(hdu.index) {
            read_table(&table);
        }
        if let Ok(image) = file.image(hdu.index) {
            let rows = image.row_count().min(3);
            let mut scratch = crate::image::Scratch::default();
            std::hint::black_box(image.read_rows_f32(0..rows, &mut scratch).is_ok());
        }
    }
}

fn read_header(hdu: &Hdu) {
    for header in [&hdu.header, hdu.image_header()] {
        for card in header.cards() {
            let keyword = card.keyword();
            std::hint::black_box((card.value(), card.comment(), card.raw().len()));
            let _ = (header.integer(keyword), header.number(keyword), header.logical(keyword));
        }
    }
}

fn read_table(table: &Table<'_>) {
    let mut scratch = Vec::new();
    let Some(batch) = table.batches().next() else { return };
    if let Ok(rows) = table.read_rows(batch, &mut scratch) {
        read_columns(table, &rows);
    }
}

fn read_columns(table: &Table<'_>, rows: &Rows<'_>) {
    for column in table.columns() {
        let _ = column.f32s(rows, &mut Vec::new());
        let _ = column.f64s(rows, &mut Vec::new());
        let _ = column.i64s(rows, &mut Vec::new());
        let _ = column.bools(rows, &mut Vec::new());
        let _ = column.texts(rows, &mut Vec::new());
        let _ = column.nulls(rows, &mut Vec::new());
        let mut descriptors = Vec::new();
        if column.descriptors(rows, &mut descriptors).is_err() {
            continue;
        }
        let mut scratch = Vec::new();
        for (row, &array) in descriptors.iter().enumerate().take(4) {
            if let Ok(bytes) = table.read_array(column, row as u64, array, &mut scratch) {
                let _ = column.array_f64s(bytes, &mut Vec::new());
                let _ = column.array_stored_i64s(bytes, &mut Vec::new());
                let _ = column.array_bools(bytes, &mut Vec::new());
            }
        }
    }
}
