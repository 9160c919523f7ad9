//! Changing the bytes of a simulated FITS file.

use fits::{FitsFile, Limits};

/// Bytes of a card.
const CARD: usize = 80;

/// A file to be damaged. HDUs are located once, before anything is changed.
pub(super) struct Editor {
    pub bytes: Vec<u8>,
    hdus: Vec<Span>,
}

/// Start of an HDU's header and data, and end of its data (without padding).
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub header: usize,
    pub data: usize,
    pub end: usize,
}

impl Editor {
    /// Opens a sound file.
    pub fn of(bytes: &[u8]) -> Self {
        let file = FitsFile::from_bytes("sound", bytes.to_vec(), &Limits::default())
            .expect("the simulator's files are FITS");
        let hdus = file
            .hdus()
            .iter()
            .map(|hdu| Span {
                header: hdu.header_offset as usize,
                data: hdu.data_offset as usize,
                end: (hdu.data_offset + hdu.data_bytes) as usize,
            })
            .collect();
        Self { bytes: bytes.to_vec(), hdus }
    }

    /// Returns the span of an HDU.
    pub fn hdu(&self, hdu: usize) -> Span {
        self.hdus[hdu]
    }

    /// Returns the first card of a keyword.
    fn card(&mut self, hdu: usize, keyword: &str) -> &mut [u8] {
        let Span { header, data, .. } = self.hdus[hdu];
        let wanted = format!("{keyword:8}");
        let found = self.bytes[header..data]
            .chunks_exact_mut(CARD)
            .find(|card| card.starts_with(wanted.as_bytes()));
        found.unwrap_or_else(|| unreachable!("the simulator writes {keyword}"))
    }

    /// Writes a value, unchanged, into the card of a keyword.
    pub fn set(&mut self, hdu: usize, keyword: &str, value: &str) -> &mut Self {
        let text = format!("{keyword:8}= {value:>20}");
        self.put(hdu, keyword, text.as_bytes())
    }

    /// Replaces the card of a keyword.
    pub fn put(&mut self, hdu: usize, keyword: &str, text: &[u8]) -> &mut Self {
        let card = self.card(hdu, keyword);
        card.fill(b' ');
        card[..text.len()].copy_from_slice(text);
        self
    }

    /// Converts the card of a keyword to a comment.
    pub fn remove(&mut self, hdu: usize, keyword: &str) -> &mut Self {
        self.put(hdu, keyword, b"COMMENT taken out")
    }

    /// Exchanges two cards.
    pub fn exchange(&mut self, hdu: usize, one: &str, other: &str) -> &mut Self {
        let first = self.card(hdu, one).to_vec();
        let second = self.card(hdu, other).to_vec();
        self.put(hdu, one, b"(exchanged)").put(hdu, other, &first);
        self.put(hdu, "(exchang", &second)
    }

    /// Returns the data of an HDU.
    pub fn data(&mut self, hdu: usize) -> &mut [u8] {
        let Span { data, end, .. } = self.hdus[hdu];
        &mut self.bytes[data..end]
    }

    /// Writes a number into a row (from 0) of a catalogue, at a column counted from 1.
    pub fn cell(&mut self, hdu: usize, row: usize, column: usize, value: f32) -> &mut Self {
        let at = row * 320 + 4 * (column - 1);
        self.data(hdu)[at..at + 4].copy_from_slice(&value.to_be_bytes());
        self
    }

    /// Returns the file up to a position.
    pub fn cut(mut self, end: usize) -> Vec<u8> {
        self.bytes.truncate(end);
        self.bytes
    }
}
