//! Storage of the bytes of a file: on disk or in memory.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::error::FitsFault;

/// The storage of the (unwrapped) bytes.
#[derive(Debug)]
pub(crate) enum Source {
    File { file: File, bytes: u64 },
    Bytes(Vec<u8>),
}

impl Source {
    pub fn of_file(file: File) -> Result<Self, FitsFault> {
        Ok(Self::File { bytes: file.metadata()?.len(), file })
    }

    pub fn bytes(&self) -> u64 {
        match self {
            Self::File { bytes, .. } => *bytes,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }

    pub fn read_range<'a>(
        &'a self,
        offset: u64,
        length: usize,
        scratch: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], FitsFault> {
        self.check_range(offset, length)?;
        match self {
            Self::File { file, .. } => {
                if scratch.len() < length {
                    scratch.resize(length, 0);
                }
                let buffer = &mut scratch[..length];
                file.read_exact_at(buffer, offset)?;
                Ok(buffer)
            }
            Self::Bytes(bytes) => {
                let first = offset as usize;
                Ok(&bytes[first..first + length])
            }
        }
    }

    pub fn check_range(&self, offset: u64, length: usize) -> Result<(), FitsFault> {
        let end = offset.checked_add(length as u64).ok_or(FitsFault::SizeOverflow)?;
        match end.checked_sub(self.bytes()) {
            None | Some(0) => Ok(()),
            Some(short_bytes) => Err(FitsFault::Truncated { short_bytes }),
        }
    }
}
