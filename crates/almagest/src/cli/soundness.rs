//! The soundness of a delivered file: its bytes compared with its record.

use archive::library::{Holding, Soundness};
use model::Sha256;
use std::io::Read;
use std::path::Path;
use transfer::Pace;

/// Reads one file and compares it with its record.
pub fn compare(path: &Path, holding: &Holding, pace: &Pace) -> Soundness {
    let file = match files::open_regular(path) {
        Ok(file) => file,
        Err(files::OpenFault::Missing) => return Soundness::Missing,
        Err(_) => return Soundness::Unreadable,
    };
    match files::sha256(Paced { file, pace }) {
        Ok((sum, _)) if Sha256::new(sum) == holding.sha256 => Soundness::Intact,
        Ok(_) => Soundness::Corrupt,
        Err(_) => Soundness::Unreadable,
    }
}

struct Paced<'a> {
    file: std::fs::File,
    pace: &'a Pace,
}

impl Read for Paced<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.pace.pass(n);
        Ok(n)
    }
}
