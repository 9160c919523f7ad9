//! Format of a file, detected by its first bytes: FITS, FITS inside gzip, or something that is refused.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::os::unix::fs::FileExt;

use flate2::bufread::GzDecoder;

use crate::card::CARD_BYTES;
use crate::error::FitsFault;
use crate::header::{Header, is_end};
use crate::limits::Limits;
use crate::source::Source;
use crate::trailing::Trailing;

/// The packing of a FITS file as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapper {
    /// Not packed.
    Plain,
    /// gzip; unpacked in memory, a large one in a scratch file.
    Gzip,
}

/// Number of bytes that [`sniff`] needs.
pub(crate) const SNIFF_BYTES: usize = 32;

/// First bytes of the formats that are known and not unpacked.
const WRAPPERS: [(&[u8], &str); 8] = [
    (b"BZh", "bzip2"),
    (b"\x1f\x9d", "compress"),
    (b"\x1f\xa0", "compress"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
];

/// Detects the format of the file by content; `begin` holds its first bytes, at most [`SNIFF_BYTES`].
pub(crate) fn sniff(begin: &[u8]) -> Result<Wrapper, FitsFault> {
    if begin.is_empty() {
        return Err(FitsFault::EmptyFile);
    }
    if begin.starts_with(b"\x1f\x8b") {
        return Ok(Wrapper::Gzip);
    }
    for (magic, wrapper) in WRAPPERS {
        if begin.starts_with(magic) {
            return Err(FitsFault::Wrapped { wrapper });
        }
    }
    if begin.starts_with(b"SIMPLE  =") {
        return Ok(Wrapper::Plain);
    }
    let shown = &begin[..begin.len().min(16)];
    Err(FitsFault::NotFits { begins: shown.escape_ascii().to_string() })
}

/// A choice of a file's limits by its primary header.
pub(crate) type Choose<'a> = &'a dyn Fn(&Header) -> Limits;

/// The content of a gzip stream.
pub(crate) struct Unpacked {
    pub source: Source,
    /// The limits that its primary header leads to.
    pub limits: Limits,
    /// Place and number of the bytes other than zeros after the stream; `None` when there are none.
    pub trailing: Option<Trailing>,
}

/// Unpacks a gzip stream of `packed_bytes` bytes, never more than the limits allow. Zeros after the stream are padding.
///
/// # Errors
/// A damaged stream, one without FITS inside, or one that is too large; [`FitsFault::Io`].
pub(crate) fn unpack(
    packed: impl BufRead,
    packed_bytes: u64,
    limits: &Limits,
    choose: Choose<'_>,
) -> Result<Unpacked, FitsFault> {
    let mut packed = Counted { inner: packed, consumed: 0 };
    let mut sink = Sink::new(packed_bytes, limits, choose);
    loop {
        let begin = packed.consumed;
        match unpack_member(&mut packed, &mut sink) {
            Ok(()) => {}
            // Bytes after the first member need not be gzip.
            Err(FitsFault::GzipDamaged { .. }) if begin > 0 && !sink.grew => {
                return sink.finish(Some(begin));
            }
            Err(fault) => return Err(fault),
        }
        let end = packed.consumed;
        let rest = packed.fill_buf()?;
        match rest.first() {
            None => return sink.finish(None),
            Some(0x1f) => sink.grew = false,
            Some(_) => {
                let is_padding = is_zero_to_end(&mut packed)?;
                return sink.finish((!is_padding).then_some(end));
            }
        }
    }
}

fn unpack_member(packed: &mut impl BufRead, sink: &mut Sink<'_>) -> Result<(), FitsFault> {
    let mut member = GzDecoder::new(packed);
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match member.read(&mut buffer).map_err(gzip_fault)? {
            0 => return Ok(()),
            bytes => sink.add(&buffer[..bytes])?,
        }
    }
}

fn is_zero_to_end(packed: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let rest = packed.fill_buf()?;
        if rest.is_empty() {
            return Ok(true);
        }
        if rest.iter().any(|&byte| byte != 0) {
            return Ok(false);
        }
        let bytes = rest.len();
        packed.consume(bytes);
    }
}

/// Bytes that are unpacked at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// Bytes that stay in memory; a larger file goes to a scratch file.
const MEMORY_BYTES: usize = 32 << 20;

/// Bytes that stay in memory where no scratch file can be made.
const MEMORY_BYTES_MAX: usize = 300_000_000;

/// A sink for unpacked bytes, in memory or in a scratch file, which enforces the limits.
struct Sink<'a> {
    memory: Vec<u8>,
    spool: Option<File>,
    no_spool: bool,
    bytes: u64,
    packed_bytes: u64,
    limits: Limits,
    /// The choice of limits; `None` once the primary header is complete.
    choose: Option<Choose<'a>>,
    next_try: usize,
    is_sniffed: bool,
    /// True when the current member yielded bytes.
    grew: bool,
}

impl<'a> Sink<'a> {
    fn new(packed_bytes: u64, limits: &Limits, choose: Choose<'a>) -> Self {
        Self {
            memory: Vec::new(),
            spool: None,
            no_spool: false,
            bytes: 0,
            packed_bytes,
            limits: *limits,
            choose: Some(choose),
            next_try: 10 * 2880,
            is_sniffed: false,
            grew: false,
        }
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), FitsFault> {
        self.grew = true;
        match &self.spool {
            // Holes take no space: masks are mostly zeros.
            Some(file) if bytes.iter().any(|&byte| byte != 0) => {
                file.write_all_at(bytes, self.bytes)?;
            }
            Some(_) => {}
            None => self.memory.extend_from_slice(bytes),
        }
        self.bytes += bytes.len() as u64;
        if !self.is_sniffed && self.memory.len() >= SNIFF_BYTES {
            self.sniff()?;
        }
        if self.choose.is_some() && self.memory.len() >= self.next_try {
            self.choose_limits();
            self.next_try = 2 * self.memory.len();
        }
        self.check_size()?;
        if self.spool.is_none() && self.memory.len() > MEMORY_BYTES {
            self.spool_memory()?;
        }
        Ok(())
    }

    /// Checks that the content is FITS itself: packing inside packing is refused.
    fn sniff(&mut self) -> Result<(), FitsFault> {
        self.is_sniffed = true;
        match sniff(&self.memory[..self.memory.len().min(SNIFF_BYTES)])? {
            Wrapper::Plain => Ok(()),
            Wrapper::Gzip => Err(FitsFault::Wrapped { wrapper: "gzip twice" }),
        }
    }

    /// Chooses the limits, when the primary header is complete.
    fn choose_limits(&mut self) {
        let cards = self.memory.chunks_exact(CARD_BYTES).take(self.limits.header_cards);
        let Some(end) = cards.into_iter().position(is_end) else { return };
        if let Some(choose) = self.choose.take() {
            let header = Header::parse(self.memory[..(end + 1) * CARD_BYTES].to_vec());
            self.limits = choose(&header);
        }
    }

    fn check_size(&mut self) -> Result<(), FitsFault> {
        let allowed_bytes = self.limits.unpacked_of(self.packed_bytes);
        if self.bytes <= allowed_bytes {
            return Ok(());
        }
        if self.choose.is_some() {
            self.choose_limits();
            if self.choose.is_none() {
                return self.check_size();
            }
        }
        Err(FitsFault::GzipBomb { packed_bytes: self.packed_bytes, allowed_bytes })
    }

    fn spool_memory(&mut self) -> Result<(), FitsFault> {
        if self.no_spool && self.memory.len() <= MEMORY_BYTES_MAX {
            return Ok(());
        }
        match files::scratch_file(&std::env::temp_dir()) {
            Ok(file) => {
                file.write_all_at(&self.memory, 0)?;
                self.choose_limits();
                self.choose = None;
                self.memory = Vec::new();
                self.spool = Some(file);
                Ok(())
            }
            Err(_) if self.memory.len() <= MEMORY_BYTES_MAX => {
                self.no_spool = true;
                Ok(())
            }
            Err(fault) => Err(fault.into()),
        }
    }

    fn finish(mut self, trailing: Option<u64>) -> Result<Unpacked, FitsFault> {
        if !self.is_sniffed {
            self.sniff()?;
        }
        if self.choose.is_some() {
            self.choose_limits();
            self.check_size()?;
        }
        let source = match self.spool {
            Some(file) => {
                file.set_len(self.bytes)?;
                Source::File { file, bytes: self.bytes }
            }
            None => Source::Bytes(self.memory),
        };
        let trailing = trailing.map(|offset| Trailing {
            is_packed: true,
            offset,
            bytes: self.packed_bytes.saturating_sub(offset),
        });
        Ok(Unpacked { source, limits: self.limits, trailing })
    }
}

/// A reader that counts the bytes taken from it.
struct Counted<R> {
    inner: R,
    consumed: u64,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.inner.read(buffer)?;
        self.consumed += bytes as u64;
        Ok(bytes)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.consumed += bytes as u64;
        self.inner.consume(bytes);
    }
}

/// Makes the fault of an I/O error: a damaged stream is the file's fault, any other error the machine's.
fn gzip_fault(error: io::Error) -> FitsFault {
    match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            FitsFault::GzipDamaged { text: error.to_string() }
        }
        _ => error.into(),
    }
}
