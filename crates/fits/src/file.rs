//! A FITS file: opened, sniffed, its HDUs found; data are read on demand.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::{FitsError, FitsFault};
use crate::hdu::{Hdu, HduIndex};
use crate::limits::Limits;

/// An open FITS file. Headers are in memory, data stay on disk (or in the unpacked bytes).
#[derive(Debug)]
pub struct FitsFile {
    name: PathBuf,
    source: Source,
    source_bytes: u64,
    hdus: Vec<Hdu>,
    limits: Limits,
}

#[derive(Debug)]
enum Source {
    File(File),
    Bytes(Vec<u8>),
}

impl FitsFile {
    /// Opens a regular file, unpacks gzip in memory, scans all headers.
    ///
    /// # Errors
    /// When the file as a whole cannot be used. A broken HDU carries its own fault instead.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, FitsError> {
        let file = File::open(path).map_err(|error| FitsError::of_file(path, error.into()))?;
        let source_bytes =
            file.metadata().map_err(|error| FitsError::of_file(path, error.into()))?.len();
        Ok(Self {
            name: path.to_path_buf(),
            source: Source::File(file),
            source_bytes,
            hdus: Vec::new(),
            limits: *limits,
        })
    }

    /// The same from bytes in memory; `name` is used in messages only.
    ///
    /// # Errors
    /// As [`FitsFile::open`].
    pub fn from_bytes(name: &str, bytes: Vec<u8>, limits: &Limits) -> Result<Self, FitsError> {
        Ok(Self {
            name: PathBuf::from(name),
            source_bytes: bytes.len() as u64,
            source: Source::Bytes(bytes),
            hdus: Vec::new(),
            limits: *limits,
        })
    }

    /// The file's name, as given.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// All HDUs, broken ones included.
    pub fn hdus(&self) -> &[Hdu] {
        &self.hdus
    }

    /// One HDU, usable or not.
    ///
    /// # Errors
    /// [`FitsFault::NoSuchHdu`].
    pub fn hdu(&self, index: HduIndex) -> Result<&Hdu, FitsError> {
        self.hdus.get(usize::from(index.0)).ok_or_else(|| {
            let count = self.hdus.len();
            FitsError::in_hdu(&self.name, index, FitsFault::NoSuchHdu { count })
        })
    }

    /// The limits it was opened with.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Bytes of the file, unpacked.
    pub fn file_bytes(&self) -> u64 {
        self.source_bytes
    }

    /// Names this file and HDU in a fault.
    pub fn error_in(&self, hdu: HduIndex, fault: FitsFault) -> FitsError {
        FitsError::in_hdu(&self.name, hdu, fault)
    }

    /// Fills `buffer` from byte `offset` of the (unpacked) file.
    ///
    /// # Errors
    /// [`FitsFault::Truncated`] when the file ends before, [`FitsFault::Io`].
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), FitsFault> {
        self.check_range(offset, buffer.len())?;
        match &self.source {
            Source::File(file) => Ok(file.read_exact_at(buffer, offset)?),
            Source::Bytes(bytes) => {
                let first = offset as usize;
                buffer.copy_from_slice(&bytes[first..first + buffer.len()]);
                Ok(())
            }
        }
    }

    /// `length` bytes from `offset` of the (unpacked) file: borrowed when they are in memory, else read into
    /// `scratch`. Nothing is allocated for a range that the file does not have.
    ///
    /// # Errors
    /// [`FitsFault::Truncated`] when the file ends before, [`FitsFault::Io`].
    pub fn read_range<'a>(
        &'a self,
        offset: u64,
        length: usize,
        scratch: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], FitsFault> {
        self.check_range(offset, length)?;
        match &self.source {
            Source::File(file) => {
                scratch.resize(length, 0);
                file.read_exact_at(scratch, offset)?;
                Ok(scratch)
            }
            Source::Bytes(bytes) => {
                let first = offset as usize;
                Ok(&bytes[first..first + length])
            }
        }
    }

    fn check_range(&self, offset: u64, length: usize) -> Result<(), FitsFault> {
        let end = offset.checked_add(length as u64).ok_or(FitsFault::SizeOverflow)?;
        match end.checked_sub(self.source_bytes) {
            None | Some(0) => Ok(()),
            Some(short_bytes) => Err(FitsFault::Truncated { short_bytes }),
        }
    }
}
