//! Scan for the HDUs of a file: headers are read, data are skipped.

use std::sync::OnceLock;

use crate::card::CARD_BYTES;
use crate::error::FitsFault;
use crate::hdu::{Hdu, HduIndex, HduKind};
use crate::header::{Header, is_end};
use crate::limits::Limits;
use crate::source::Source;
use crate::structure;
use crate::trailing::Trailing;

/// FITS files are made of blocks of this size.
pub(crate) const BLOCK_BYTES: u64 = 2880;

/// Bytes read at a time at the start of a header: most headers of surveys fit.
const HEADER_BYTES: usize = 8 * BLOCK_BYTES as usize;

/// The place and fault at which the scan stopped before it found a single HDU.
type ScanFault = (Option<HduIndex>, FitsFault);

/// The content of a file.
pub(crate) struct Scanned {
    pub hdus: Vec<Hdu>,
    pub trailing: Option<Trailing>,
}

/// Returns all HDUs. A broken HDU carries its fault; one of unknown size is the last.
pub(crate) fn hdus(source: &Source, limits: &Limits) -> Result<Scanned, ScanFault> {
    let mut hdus = Vec::new();
    let mut trailing = None;
    let mut scratch = Vec::new();
    let mut offset = 0;
    while offset < source.bytes() {
        if hdus.len() >= limits.hdus.min(usize::from(u16::MAX)) {
            return Err((None, FitsFault::TooManyHdus { allowed: limits.hdus }));
        }
        let index = HduIndex(hdus.len() as u16);
        match next_hdu(source, offset, index, limits, &mut scratch) {
            Ok(Next::End) => break,
            Ok(Next::Trailing(found)) => {
                trailing = Some(found);
                break;
            }
            Ok(Next::Hdu(hdu, next)) => {
                hdus.push(*hdu);
                match next {
                    Some(next) => offset = next,
                    None => break,
                }
            }
            Err(fault) if index == HduIndex(0) => return Err((Some(index), fault)),
            Err(fault) => {
                hdus.push(broken(index, Header::default(), offset, offset, fault));
                break;
            }
        }
    }
    Ok(Scanned { hdus, trailing })
}

/// The content at an offset.
enum Next {
    /// An HDU, and the offset of the next one, if known.
    Hdu(Box<Hdu>, Option<u64>),
    /// Padding to the end of the file.
    End,
    /// Bytes that are not FITS.
    Trailing(Trailing),
}

/// Reads the content at `offset`.
fn next_hdu(
    source: &Source,
    offset: u64,
    index: HduIndex,
    limits: &Limits,
    scratch: &mut Vec<u8>,
) -> Result<Next, FitsFault> {
    let primary = index == HduIndex(0);
    if !primary && !begins_extension(source, offset, scratch)? {
        if is_padding(source, offset, scratch)? {
            return Ok(Next::End);
        }
        let bytes = source.bytes() - offset;
        if holds_hdu(source, offset, scratch)? {
            return Err(FitsFault::NotAnHdu { offset, bytes });
        }
        return Ok(Next::Trailing(Trailing { is_packed: false, offset, bytes }));
    }
    let (cards, text_after) = header_cards(source, offset, limits, scratch)?;
    let header_bytes = cards.len() as u64;
    let mut header = Header::parse(cards);
    if text_after {
        header.note_text_after_end();
    }
    let data_offset = offset + header_bytes.next_multiple_of(BLOCK_BYTES);
    let structure = match structure::of_header(&header, primary) {
        Ok(structure) => structure,
        Err(fault) => {
            let hdu = broken(index, header, offset, data_offset, fault);
            return Ok(Next::Hdu(Box::new(hdu), None));
        }
    };
    let there = source.bytes().saturating_sub(data_offset);
    let short_bytes = structure.data_bytes.saturating_sub(there);
    let hdu = Hdu {
        index,
        kind: structure.kind,
        header,
        header_offset: offset,
        data_offset,
        data_bytes: structure.data_bytes,
        axes: structure.axes,
        bitpix: structure.bitpix,
        fault: (short_bytes > 0).then_some(FitsFault::Truncated { short_bytes }),
        image_header: OnceLock::new(),
    };
    let next = data_offset
        .checked_add(hdu.data_bytes)
        .and_then(|end| end.checked_next_multiple_of(BLOCK_BYTES))
        .filter(|_| short_bytes == 0);
    Ok(Next::Hdu(Box::new(hdu), next))
}

fn broken(
    index: HduIndex,
    header: Header,
    header_offset: u64,
    data_offset: u64,
    fault: FitsFault,
) -> Hdu {
    Hdu {
        index,
        kind: HduKind::Other,
        header,
        header_offset,
        data_offset,
        data_bytes: 0,
        axes: Vec::new(),
        bitpix: 8,
        fault: Some(fault),
        image_header: OnceLock::new(),
    }
}

fn begins_extension(
    source: &Source,
    offset: u64,
    scratch: &mut Vec<u8>,
) -> Result<bool, FitsFault> {
    let bytes = (source.bytes() - offset).min(8) as usize;
    Ok(source.read_range(offset, bytes, scratch)? == b"XTENSION")
}

/// Returns true when the bytes after the HDUs are, or were, an HDU too, so that part of the file is lost: the start of
/// XTENSION, a block with mandatory keywords at the places of cards, or an extension at a later block.
fn holds_hdu(source: &Source, offset: u64, scratch: &mut Vec<u8>) -> Result<bool, FitsFault> {
    const BEGIN: &[u8] = b"XTENSION=";
    let mut at = offset;
    while at < source.bytes() {
        let length = (source.bytes() - at).min(HEADER_BYTES as u64) as usize;
        let bytes = source.read_range(at, length, scratch)?;
        let is_cut = at == offset && length < BEGIN.len() && BEGIN.starts_with(bytes);
        let is_header = at == offset
            && bytes.chunks(CARD_BYTES).take(36).any(|card| card.starts_with(b"BITPIX  ="));
        let blocks = bytes.chunks(BLOCK_BYTES as usize);
        if is_cut || is_header || blocks.into_iter().any(|block| block.starts_with(BEGIN)) {
            return Ok(true);
        }
        at += length as u64;
    }
    Ok(false)
}

/// Returns true when all bytes to the end are zero, or all blank: tapes and copies produce such tails.
fn is_padding(source: &Source, offset: u64, scratch: &mut Vec<u8>) -> Result<bool, FitsFault> {
    let mut offset = offset;
    let mut fill = None;
    while offset < source.bytes() {
        let length = (source.bytes() - offset).min(HEADER_BYTES as u64) as usize;
        let bytes = source.read_range(offset, length, scratch)?;
        let wanted = *fill.get_or_insert(bytes[0]);
        if !matches!(wanted, 0 | b' ') || bytes.iter().any(|&byte| byte != wanted) {
            return Ok(false);
        }
        offset += length as u64;
    }
    Ok(true)
}

/// Returns true when all bytes are blanks or zeros. Both have no bit that a blank lacks, and an OR of all bytes, unlike a search
/// for the first other one, is made many bytes at a time.
fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |all, byte| all | byte) & !b' ' == 0
}

/// Returns the cards of the header at `offset`, END included; and whether something other than padding follows END in its
/// block.
fn header_cards(
    source: &Source,
    offset: u64,
    limits: &Limits,
    scratch: &mut Vec<u8>,
) -> Result<(Vec<u8>, bool), FitsFault> {
    let mut cards = Vec::new();
    loop {
        let at = offset + cards.len() as u64;
        let length = source.bytes().saturating_sub(at).min(HEADER_BYTES as u64) as usize
            / CARD_BYTES
            * CARD_BYTES;
        if length == 0 {
            return Err(FitsFault::MissingEnd);
        }
        let bytes = source.read_range(at, length, scratch)?;
        let end = bytes.chunks_exact(CARD_BYTES).position(is_end);
        let kept = end.map_or(length, |card| (card + 1) * CARD_BYTES);
        cards.extend_from_slice(&bytes[..kept]);
        if cards.len() > limits.header_cards.saturating_mul(CARD_BYTES) {
            return Err(FitsFault::HeaderTooLong { allowed_cards: limits.header_cards });
        }
        if end.is_some() {
            let block_bytes = cards.len().next_multiple_of(BLOCK_BYTES as usize) - cards.len();
            let rest = &bytes[kept..length.min(kept + block_bytes)];
            return Ok((cards, !is_blank(rest)));
        }
    }
}
