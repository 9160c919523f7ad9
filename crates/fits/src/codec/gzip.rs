//! GZIP_1 and GZIP_2: big-endian pixels in a gzip stream (RFC 1952), the second with their bytes sorted by weight.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::CodecFault;

/// A decoder of gzip tiles; its memory is reused for each tile.
#[derive(Debug)]
pub struct Inflater {
    raw: Decompress,
}

impl Default for Inflater {
    fn default() -> Self {
        Self { raw: Decompress::new(false) }
    }
}

impl Inflater {
    /// Unpacks the first member of a gzip stream into `bytes`, which becomes as long as the content.
    ///
    /// # Errors
    /// A damaged stream, a wrong check sum, content longer than `bytes_max`.
    pub fn inflate(
        &mut self,
        code: &[u8],
        bytes_max: usize,
        bytes: &mut Vec<u8>,
    ) -> Result<(), CodecFault> {
        let packed = skip_header(code).ok_or(CodecFault::GzipHeader)?;
        bytes.resize(bytes_max, 0);
        self.raw.reset(false);
        let status = self.raw.decompress(packed, bytes, FlushDecompress::Finish);
        let length = self.raw.total_out() as usize;
        let used = self.raw.total_in() as usize;
        match status {
            Ok(Status::StreamEnd) => {}
            Ok(_) if length == bytes_max => return Err(CodecFault::TooManyPixels),
            Ok(_) => return Err(CodecFault::CodeTooShort),
            Err(_) => return Err(CodecFault::GzipDamaged),
        }
        bytes.truncate(length);
        let trailer = packed[used..].first_chunk::<8>().ok_or(CodecFault::CodeTooShort)?;
        let mut crc = Crc::new();
        crc.update(bytes);
        if trailer[..4] != crc.sum().to_le_bytes() || trailer[4..] != crc.amount().to_le_bytes() {
            return Err(CodecFault::GzipDamaged);
        }
        Ok(())
    }
}

/// Returns the code after the header of the stream; `None` when there is no header.
fn skip_header(code: &[u8]) -> Option<&[u8]> {
    const HEADER_CRC: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    let (header, mut rest) = code.split_first_chunk::<10>()?;
    let &[0x1f, 0x8b, 8, flags, ..] = header else { return None };
    if flags & EXTRA != 0 {
        let (length, after) = rest.split_first_chunk()?;
        rest = after.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for flag in [NAME, COMMENT] {
        if flags & flag != 0 {
            let end = rest.iter().position(|&byte| byte == 0)?;
            rest = &rest[end + 1..];
        }
    }
    if flags & HEADER_CRC != 0 {
        rest = rest.get(2..)?;
    }
    Some(rest)
}

/// Reorders bytes that are sorted by weight, all highest ones first, into pixels of `width` bytes.
pub fn unshuffle(sorted: &[u8], width: usize, bytes: &mut Vec<u8>) {
    let pixels = sorted.len() / width;
    bytes.resize(pixels * width, 0);
    for (weight, plane) in sorted.chunks_exact(pixels.max(1)).take(width).enumerate() {
        for (pixel, &byte) in bytes.chunks_exact_mut(width).zip(plane) {
            pixel[weight] = byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn packed(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::GzBuilder::new()
            .filename("name")
            .comment("comment")
            .extra(b"extra".as_slice())
            .write(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn streams_are_unpacked_and_checked() {
        let content: Vec<u8> = (0..1000u32).flat_map(u32::to_be_bytes).collect();
        let code = packed(&content);
        let mut inflater = Inflater::default();
        let mut bytes = Vec::new();
        inflater.inflate(&code, 4000, &mut bytes).unwrap();
        assert_eq!(bytes, content);
        inflater.inflate(&code, 9000, &mut bytes).unwrap();
        assert_eq!(bytes, content);
        let too_many = inflater.inflate(&code, 3999, &mut bytes);
        assert_eq!(too_many, Err(CodecFault::TooManyPixels));
        for length in 0..code.len() {
            assert!(inflater.inflate(&code[..length], 4000, &mut bytes).is_err(), "{length}");
        }
        let mut damaged = code.clone();
        let at = damaged.len() - 6;
        damaged[at] ^= 1;
        assert_eq!(inflater.inflate(&damaged, 4000, &mut bytes), Err(CodecFault::GzipDamaged));
    }

    #[test]
    fn shuffled_bytes_come_back() {
        let mut bytes = Vec::new();
        unshuffle(b"ABCabc", 2, &mut bytes);
        assert_eq!(bytes, b"AaBbCc");
        unshuffle(b"", 4, &mut bytes);
        assert_eq!(bytes, b"");
    }
}
