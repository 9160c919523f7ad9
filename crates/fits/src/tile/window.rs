//! A window on a file: tiles lie one behind the other, so that reading ahead spares calls.

use crate::error::FitsFault;
use crate::file::FitsFile;

/// Read at once when reading goes forward; stays in the second-level cache.
const AHEAD_BYTES: u64 = 256 << 10;

/// Bytes of a file that were read last.
#[derive(Debug, Default)]
pub(crate) struct Window {
    bytes: Vec<u8>,
    start: u64,
}

impl Window {
    /// Forgets what was read, before another file or HDU.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }

    /// Bytes from `offset` on; may read up to `end`, where the HDU ends.
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
            // Jumping about, reading ahead would read everything many times.
            let goes_on = held.contains(&offset) || offset == held.end || held.is_empty();
            let ahead = if goes_on { AHEAD_BYTES.min(end.saturating_sub(offset)) } else { 0 };
            // Only what it grows by is zeroed.
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
