//! A window on a file: tiles are contiguous, so that reading ahead saves calls.

use crate::error::FitsFault;
use crate::file::FitsFile;

/// Bytes read at a time in sequential reading; they stay in the second-level cache.
const AHEAD_BYTES: u64 = 256 << 10;

/// The last bytes read from a file.
#[derive(Debug, Default)]
pub(crate) struct Window {
    bytes: Vec<u8>,
    start: u64,
}

impl Window {
    /// Discards the bytes, before another file or HDU.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }

    /// Returns bytes from `offset` on; may read up to `end`, the end of the HDU.
    ///
    /// # Errors
    /// As [`FitsFile::read_at`].
    pub fn read(
        &mut self,
        file: &FitsFile,
        offset: u64,
        length: usize,
        end: u64,
    ) -> Result<&[u8], FitsFault> {
        let held = self.start..self.start + self.bytes.len() as u64;
        if offset < held.start || offset + length as u64 > held.end {
            // With random access, reading ahead would read everything many times.
            let continues = held.contains(&offset) || offset == held.end || held.is_empty();
            let ahead = if continues { AHEAD_BYTES.min(end.saturating_sub(offset)) } else { 0 };
            // Only the growth is zeroed.
            self.bytes.resize((length as u64).max(ahead) as usize, 0);
            self.start = offset;
            if let Err(fault) = file.read_at(offset, &mut self.bytes) {
                self.bytes.clear();
                return Err(fault);
            }
        }
        let first = (offset - self.start) as usize;
        Ok(&self.bytes[first..first + length])
    }
}
