//! A FITS file: opened, its format detected, its HDUs found; data are read on demand.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::{FitsError, FitsFault};
use crate::hdu::{Hdu, HduIndex};
use crate::header::Header;
use crate::limits::Limits;
use crate::scan;
use crate::source::Source;
pub use crate::trailing::Trailing;
use crate::wrapped::{self, Choose, SNIFF_BYTES, Wrapper};

/// An open FITS file. Headers are in memory, data stay on disk (or in the unpacked bytes).
#[derive(Debug)]
pub struct FitsFile {
    name: PathBuf,
    source: Source,
    packed_bytes: u64,
    wrapper: Wrapper,
    hdus: Vec<Hdu>,
    trailing: Option<Trailing>,
    limits: Limits,
}

impl FitsFile {
    /// Opens a regular file, unpacks gzip, scans all headers.
    ///
    /// # Errors
    /// Fails when the file as a whole cannot be used. A broken HDU carries its own fault instead.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, FitsError> {
        Self::open_choosing(path, limits, &|_| *limits)
    }

    /// Opens a file whose primary header chooses its limits, such as those of the survey that it belongs to. Until that header
    /// is read, `limits` apply.
    ///
    /// # Errors
    /// As [`FitsFile::open`].
    pub fn open_choosing(
        path: &Path,
        limits: &Limits,
        choose: &dyn Fn(&Header) -> Limits,
    ) -> Result<Self, FitsError> {
        let file =
            files::open_regular(path).map_err(|fault| FitsError::of_file(path, fault.into()))?;
        Self::of_source(path, Source::of_file(file), limits, choose)
    }

    /// Reads a file that is already open; `path` is used in messages only.
    ///
    /// # Errors
    /// As [`FitsFile::open`].
    pub fn from_open(path: &Path, file: File, limits: &Limits) -> Result<Self, FitsError> {
        Self::of_source(path, Source::of_file(file), limits, &|_| *limits)
    }

    /// Reads a file from bytes in memory; `name` is used in messages only.
    ///
    /// # Errors
    /// As [`FitsFile::open`].
    pub fn from_bytes(name: &str, bytes: Vec<u8>, limits: &Limits) -> Result<Self, FitsError> {
        Self::of_source(Path::new(name), Ok(Source::Bytes(bytes)), limits, &|_| *limits)
    }

    fn of_source(
        path: &Path,
        source: Result<Source, FitsFault>,
        limits: &Limits,
        choose: Choose<'_>,
    ) -> Result<Self, FitsError> {
        let unwrapped = source
            .and_then(|source| unwrap_source(source, limits, choose))
            .map_err(|fault| FitsError::of_file(path, fault))?;
        let scanned = scan::hdus(&unwrapped.source, &unwrapped.limits)
            .map_err(|(hdu, fault)| FitsError { file: path.to_path_buf(), hdu, fault })?;
        let limits = match (unwrapped.wrapper, scanned.hdus.first()) {
            (Wrapper::Plain, Some(primary)) => choose(&primary.header),
            _ => unwrapped.limits,
        };
        Ok(Self {
            name: path.to_path_buf(),
            source: unwrapped.source,
            packed_bytes: unwrapped.packed_bytes,
            wrapper: unwrapped.wrapper,
            hdus: scanned.hdus,
            trailing: scanned.trailing.or(unwrapped.trailing),
            limits,
        })
    }

    /// Returns the file's name, as given.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Returns all HDUs, broken ones included; at least one.
    pub fn hdus(&self) -> &[Hdu] {
        &self.hdus
    }

    /// Returns one HDU, usable or not.
    ///
    /// # Errors
    /// [`FitsFault::NoSuchHdu`].
    pub fn hdu(&self, index: HduIndex) -> Result<&Hdu, FitsError> {
        self.hdus
            .get(usize::from(index.0))
            .ok_or_else(|| self.error_in(index, FitsFault::NoSuchHdu { count: self.hdus.len() }))
    }

    /// Returns one HDU in which the scan found no fault.
    ///
    /// # Errors
    /// [`FitsFault::NoSuchHdu`], or the HDU's own fault.
    pub fn sound_hdu(&self, index: HduIndex) -> Result<&Hdu, FitsError> {
        let hdu = self.hdu(index)?;
        match &hdu.fault {
            None => Ok(hdu),
            Some(fault) => Err(self.error_in(index, fault.clone())),
        }
    }

    /// Returns the bytes after the last HDU that are neither an HDU nor padding. All HDUs are complete nevertheless.
    pub fn trailing(&self) -> Option<Trailing> {
        self.trailing
    }

    /// Returns the limits that the file was opened with.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns the format in which the file was packed as a whole.
    pub fn wrapper(&self) -> Wrapper {
        self.wrapper
    }

    /// Returns the number of bytes of the unpacked file.
    pub fn file_bytes(&self) -> u64 {
        self.source.bytes()
    }

    /// Returns the number of bytes of the file on disk.
    pub fn packed_bytes(&self) -> u64 {
        self.packed_bytes
    }

    /// Makes an error of a fault in an HDU of this file.
    pub fn error_in(&self, hdu: HduIndex, fault: FitsFault) -> FitsError {
        FitsError::in_hdu(&self.name, hdu, fault)
    }

    /// Fills `buffer` from byte `offset` of the (unpacked) file.
    ///
    /// # Errors
    /// [`FitsFault::Truncated`] when the file ends before, [`FitsFault::Io`].
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), FitsFault> {
        self.source.check_range(offset, buffer.len())?;
        match &self.source {
            Source::File { file, .. } => Ok(file.read_exact_at(buffer, offset)?),
            Source::Bytes(bytes) => {
                let first = offset as usize;
                buffer.copy_from_slice(&bytes[first..first + buffer.len()]);
                Ok(())
            }
        }
    }

    /// Returns `length` bytes from `offset` of the (unpacked) file: borrowed when they are in memory, else read into `scratch`.
    /// Nothing is allocated for a range that the file does not have.
    ///
    /// # Errors
    /// [`FitsFault::Truncated`] when the file ends before, [`FitsFault::Io`].
    pub fn read_range<'a>(
        &'a self,
        offset: u64,
        length: usize,
        scratch: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], FitsFault> {
        self.source.read_range(offset, length, scratch)
    }
}

struct Unwrapped {
    source: Source,
    packed_bytes: u64,
    wrapper: Wrapper,
    trailing: Option<Trailing>,
    limits: Limits,
}

/// Detects the format of the file, and unpacks gzip.
fn unwrap_source(
    source: Source,
    limits: &Limits,
    choose: Choose<'_>,
) -> Result<Unwrapped, FitsFault> {
    let packed_bytes = source.bytes();
    let begin_bytes = packed_bytes.min(SNIFF_BYTES as u64) as usize;
    let wrapper = wrapped::sniff(source.read_range(0, begin_bytes, &mut Vec::new())?)?;
    if wrapper == Wrapper::Plain {
        return Ok(Unwrapped { source, packed_bytes, wrapper, trailing: None, limits: *limits });
    }
    let unpacked = match &source {
        Source::File { file, .. } => {
            let packed = std::io::BufReader::with_capacity(1 << 16, ReadAt { file, offset: 0 });
            wrapped::unpack(packed, packed_bytes, limits, choose)?
        }
        Source::Bytes(bytes) => wrapped::unpack(bytes.as_slice(), packed_bytes, limits, choose)?,
    };
    let wrapped::Unpacked { source, limits, trailing } = unpacked;
    Ok(Unwrapped { source, packed_bytes, wrapper, trailing, limits })
}

/// A reader of a file from its start, which does not move the file's own position.
struct ReadAt<'a> {
    file: &'a File,
    offset: u64,
}

impl std::io::Read for ReadAt<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let bytes = self.file.read_at(buffer, self.offset)?;
        self.offset += bytes as u64;
        Ok(bytes)
    }
}
