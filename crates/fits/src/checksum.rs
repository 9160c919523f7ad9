//! CHECKSUM and DATASUM: ones' complement sums of an HDU (FITS 4.0, section 4.4.2.7 and appendix J).

use crate::card::Value;
use crate::error::{FitsError, FitsFault};
use crate::file::FitsFile;
use crate::hdu::{Hdu, HduIndex};
use crate::header::Header;
use crate::scan::BLOCK_BYTES;

/// Bytes read at a time while summing.
const PIECE_BYTES: usize = 256 << 10;

/// A sum over bytes, added in pieces of any length.
#[derive(Clone, Copy, Debug, Default)]
pub struct Accumulator {
    sum: u64,
    /// Bytes of a word that is not complete.
    rest: [u8; 4],
    rest_bytes: usize,
}

impl Accumulator {
    /// Continues from a sum, such as that of the header before the data.
    pub fn from_value(value: u32) -> Self {
        Self { sum: u64::from(value), ..Self::default() }
    }

    /// Adds bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        while self.rest_bytes > 0 && !bytes.is_empty() {
            self.rest[self.rest_bytes] = bytes[0];
            self.rest_bytes += 1;
            bytes = &bytes[1..];
            if self.rest_bytes == 4 {
                self.sum = fold_once(self.sum + u64::from(u32::from_be_bytes(self.rest)));
                self.rest_bytes = 0;
            }
        }
        // A piece of 2^30 words cannot overflow 64 bits.
        for piece in bytes.chunks(1 << 30) {
            let (words, rest) = piece.as_chunks();
            let sum: u64 = words.iter().map(|&word| u64::from(u32::from_be_bytes(word))).sum();
            self.sum = fold_once(self.sum + fold_once(sum));
            self.rest[..rest.len()].copy_from_slice(rest);
            self.rest_bytes = rest.len();
        }
    }

    /// Returns the sum; a last word that is cut short counts as filled with zeros.
    pub fn value(&self) -> u32 {
        let mut rest = [0; 4];
        rest[..self.rest_bytes].copy_from_slice(&self.rest[..self.rest_bytes]);
        let sum = fold_once(fold_once(self.sum + u64::from(u32::from_be_bytes(rest))));
        sum as u32
    }
}

fn fold_once(sum: u64) -> u64 {
    (sum & 0xffff_ffff) + (sum >> 32)
}

/// Encodes a sum as sixteen letters and digits, as CHECKSUM holds it. The CHECKSUM card takes the complement of the HDU's sum,
/// computed with CHECKSUM as sixteen zeros.
///
/// Each byte is spread over four characters whose offsets from '0' add up to it; all characters are rotated right by one for
/// their place in the card.
pub fn encode(value: u32) -> [u8; 16] {
    let mut text = [0; 16];
    for (column, byte) in value.to_be_bytes().into_iter().enumerate() {
        let quarter = byte / 4 + b'0';
        let mut four = [quarter + byte % 4, quarter, quarter, quarter];
        while four.iter().any(|&letter| is_punctuation(letter)) {
            for pair in four.as_chunks_mut::<2>().0 {
                if pair.iter().any(|&letter| is_punctuation(letter)) {
                    pair[0] += 1;
                    pair[1] -= 1;
                }
            }
        }
        for (row, letter) in four.into_iter().enumerate() {
            text[(4 * row + column + 1) % 16] = letter;
        }
    }
    text
}

/// Returns true for the ASCII characters between digits, upper-case letters and lower-case letters.
fn is_punctuation(letter: u8) -> bool {
    (0x3a..=0x40).contains(&letter) || (0x5b..=0x60).contains(&letter)
}

/// The result of comparing one of the two keywords with the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not in the header, or empty.
    Absent,
    /// The sum fits.
    Match,
    /// The sum does not fit.
    Mismatch {
        /// The value in the header.
        stored: String,
        /// The sum of the data (DATASUM), or of the whole HDU, which should be 4294967295 (CHECKSUM).
        computed: u32,
    },
}

/// Both verdicts on one HDU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChecksumReport {
    /// The verdict on the data. A mismatch refuses the HDU.
    pub datasum: Verdict,
    /// The verdict on header and data together. A mismatch alone is an edited header: a finding.
    pub checksum: Verdict,
}

impl ChecksumReport {
    /// Returns the fault that refuses the HDU, when DATASUM does not fit.
    pub fn fault(&self) -> Option<FitsFault> {
        match &self.datasum {
            Verdict::Mismatch { stored, computed } => {
                Some(FitsFault::DataSum { stored: stored.clone(), computed: *computed })
            }
            _ => None,
        }
    }
}

/// Verifies one HDU; reads its data only when there is a sum to verify.
///
/// # Errors
/// The HDU's own fault, or [`FitsFault::Io`]. A sum that does not fit is a verdict, not an error.
pub fn verify(file: &FitsFile, index: HduIndex) -> Result<ChecksumReport, FitsError> {
    let hdu = file.sound_hdu(index)?;
    let datasum = stored(&hdu.header, "DATASUM");
    let checksum = stored(&hdu.header, "CHECKSUM");
    if datasum.is_none() && checksum.is_none() {
        return Ok(ChecksumReport { datasum: Verdict::Absent, checksum: Verdict::Absent });
    }
    let (data_sum, hdu_sum) = sums(file, hdu).map_err(|fault| file.error_in(index, fault))?;
    Ok(ChecksumReport {
        datasum: verdict(datasum, data_sum, |stored| stored.parse() == Ok(data_sum)),
        checksum: verdict(checksum, hdu_sum, |_| matches!(hdu_sum, 0 | u32::MAX)),
    })
}

fn verdict(stored: Option<String>, computed: u32, fits: impl Fn(&str) -> bool) -> Verdict {
    match stored {
        None => Verdict::Absent,
        Some(stored) if fits(&stored) => Verdict::Match,
        Some(stored) => Verdict::Mismatch { stored, computed },
    }
}

/// Returns the keyword as text; some writers omit the quotes of DATASUM.
fn stored(header: &Header, keyword: &str) -> Option<String> {
    let text = match header.value(keyword)? {
        Value::Text(text) => text.trim().to_owned(),
        Value::Undefined => String::new(),
        _ => header.card(keyword)?.written(),
    };
    (!text.is_empty()).then_some(text)
}

/// Returns the sum of the data, and that of the whole HDU, padding included.
fn sums(file: &FitsFile, hdu: &Hdu) -> Result<(u32, u32), FitsFault> {
    let mut scratch = Vec::new();
    let data_end =
        (hdu.data_offset + hdu.data_bytes).next_multiple_of(BLOCK_BYTES).min(file.file_bytes());
    let mut sum = |mut offset: u64, end: u64, accumulator: &mut Accumulator| {
        while offset < end {
            let length = (end - offset).min(PIECE_BYTES as u64) as usize;
            accumulator.add(file.read_range(offset, length, &mut scratch)?);
            offset += length as u64;
        }
        Ok::<_, FitsFault>(())
    };
    let mut data = Accumulator::default();
    sum(hdu.data_offset, data_end, &mut data)?;
    let mut whole = Accumulator::from_value(data.value());
    sum(hdu.header_offset, hdu.data_offset.min(file.file_bytes()), &mut whole)?;
    Ok((data.value(), whole.value()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standards_example_of_encoding() {
        // FITS 4.0, J.5: an HDU that sums to 868229149 = 0x33C0201D.
        assert_eq!(&encode(!868_229_149), b"hcHjjc9ghcEghc9g");
    }

    #[test]
    fn sums_do_not_depend_on_the_pieces() {
        let bytes: Vec<u8> = (0..10_007_u32)
            .map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        let mut wanted = 0_u64;
        for word in bytes.chunks(4) {
            let mut padded = [0; 4];
            padded[..word.len()].copy_from_slice(word);
            wanted += u64::from(u32::from_be_bytes(padded));
        }
        while wanted >> 32 != 0 {
            wanted = fold_once(wanted);
        }
        for step in [1, 2, 3, 4, 5, 7, 64, 2880, 10_007] {
            let mut accumulator = Accumulator::default();
            for piece in bytes.chunks(step) {
                accumulator.add(piece);
            }
            assert_eq!(u64::from(accumulator.value()), wanted, "pieces of {step}");
        }
    }

    #[test]
    fn carries_wrap_around() {
        let sum = |bytes: &[u8]| {
            let mut accumulator = Accumulator::default();
            accumulator.add(bytes);
            accumulator.value()
        };
        assert_eq!(sum(&[0xff; 8]), 0xffff_ffff);
        assert_eq!(sum(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2]), 2);
        assert_eq!(sum(&[1, 2, 3, 4, 5]), 0x0602_0304);
    }
}
