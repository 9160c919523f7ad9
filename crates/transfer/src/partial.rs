//! A file in transfer: always a beginning of the whole, with checksums of its blocks in a second file, so that the transfer can
//! resume after a kill or a lost connection.
//!
//! `.arriving-<key>` holds the bytes, `.arriving-<key>.sums` eight bytes (XXH64, little endian) for each full block. The key is
//! made of the place and of the file's state when it was listed, so that another version of the file is not resumed. Existing
//! bytes are read back and checked block by block before any are added, because after a power cut the length of a file proves
//! nothing about its bytes.

use crate::listing::Wanted;
use crate::manifest::Stated;
use files::crash_point;
use md5::{Digest, Md5};
use sha2::Sha256;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use twox_hash::XxHash64;

const MARK: &str = ".arriving-";
const SUMS: &str = ".sums";
/// Bytes of a block.
pub(crate) const BLOCK_BYTES: u64 = 1 << 20;

/// The length and checksums of the bytes read from a source.
pub(crate) struct Sums {
    pub bytes: u64,
    pub sha256: model::Sha256,
    pub md5: Option<String>,
}

/// The beginning of a file.
pub(crate) struct Partial {
    path: PathBuf,
    file: File,
    sums: File,
    written: u64,
    sha: Sha256,
    md5: Option<Md5>,
    block: XxHash64,
    in_block: u64,
}

/// Returns the name of a file in transfer, in its final directory.
pub(crate) fn path_of(directory: &Path, place: &str, wanted: &Wanted) -> PathBuf {
    let seen = format!(
        "{place}\n{}\n{:?}\n{}\n{}",
        wanted.name, wanted.entry.bytes, wanted.entry.modified_ns, wanted.entry.tag
    );
    let key = files::hex(&Sha256::digest(seen.as_bytes())[..10]);
    directory.join(format!("{MARK}{key}"))
}

/// Removes the files in transfer from a directory, except the wanted ones.
pub(crate) fn sweep(directory: &Path, wanted: &[PathBuf]) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()) else { continue };
        let is_wanted = || {
            let whole = path.with_file_name(name.trim_end_matches(SUMS));
            wanted.contains(&whole)
        };
        if name.starts_with(MARK) && !is_wanted() {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

impl Partial {
    /// Resumes with the existing bytes that verify, or restarts.
    pub fn open(path: PathBuf, stated: Option<&Stated>) -> io::Result<Self> {
        let open = |path: &Path| {
            File::options().read(true).write(true).create(true).truncate(false).open(path)
        };
        // A finished file that did not get its final name is read-only, and nothing proves that it is good.
        if !sums_of(&path).exists() {
            discard(&path);
        }
        let (file, sums) = (open(&path)?, open(&sums_of(&path))?);
        let mut partial = Self {
            path,
            file,
            sums,
            written: 0,
            sha: Sha256::new(),
            md5: stated.is_some_and(Stated::is_md5).then(Md5::new),
            block: XxHash64::with_seed(0),
            in_block: 0,
        };
        partial.resume()?;
        Ok(partial)
    }

    /// Reads back the existing bytes up to the first block that does not match its checksum, and truncates the rest.
    fn resume(&mut self) -> io::Result<()> {
        let mut stated = Vec::new();
        self.sums.seek(SeekFrom::Start(0))?;
        self.sums.read_to_end(&mut stated)?;
        self.file.seek(SeekFrom::Start(0))?;
        let mut block = vec![0; usize::try_from(BLOCK_BYTES).unwrap_or(1 << 20)];
        let mut good = 0;
        for sum in stated.chunks_exact(8) {
            if self.file.read_exact(&mut block).is_err()
                || XxHash64::oneshot(0, &block).to_le_bytes() != *sum
            {
                break;
            }
            self.sha.update(&block);
            if let Some(md5) = &mut self.md5 {
                md5.update(&block);
            }
            good += 1;
        }
        self.written = good * BLOCK_BYTES;
        self.file.set_len(self.written)?;
        self.file.seek(SeekFrom::Start(self.written))?;
        self.sums.set_len(good * 8)?;
        self.sums.seek(SeekFrom::Start(good * 8))?;
        Ok(())
    }

    /// Returns the number of bytes that are present.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Restarts from the beginning.
    pub fn restart(&mut self) -> io::Result<()> {
        self.sha = Sha256::new();
        self.md5 = self.md5.as_ref().map(|_| Md5::new());
        (self.block, self.in_block, self.written) = (XxHash64::with_seed(0), 0, 0);
        self.sums.set_len(0)?;
        self.sums.seek(SeekFrom::Start(0))?;
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0)).map(drop)
    }

    /// Appends the next bytes.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.sha.update(bytes);
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        self.written += bytes.len() as u64;
        let mut rest = bytes;
        while !rest.is_empty() {
            let space = usize::try_from(BLOCK_BYTES - self.in_block).unwrap_or(usize::MAX);
            let (part, later) = rest.split_at(rest.len().min(space));
            std::hash::Hasher::write(&mut self.block, part);
            self.in_block += part.len() as u64;
            if self.in_block == BLOCK_BYTES {
                let sum = std::hash::Hasher::finish(&self.block);
                self.sums.write_all(&sum.to_le_bytes())?;
                (self.block, self.in_block) = (XxHash64::with_seed(0), 0);
                crash_point("transfer:block");
            }
            rest = later;
        }
        Ok(())
    }

    /// Returns the path of the whole file, which becomes read-only and keeps its name, and its checksums.
    pub fn finish(self) -> io::Result<(PathBuf, Sums)> {
        let _ = std::fs::remove_file(sums_of(&self.path));
        self.file.set_permissions(std::fs::Permissions::from_mode(files::allowed(0o444)))?;
        let sums = Sums {
            bytes: self.written,
            sha256: model::Sha256::new(self.sha.finalize().into()),
            md5: self.md5.map(|m| files::hex(&m.finalize())),
        };
        Ok((self.path, sums))
    }
}

/// Removes a file in transfer.
pub(crate) fn discard(path: &Path) {
    let _ = std::fs::remove_file(path);
    let _ = std::fs::remove_file(sums_of(path));
}

fn sums_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(SUMS);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content() -> Vec<u8> {
        (0..3 * BLOCK_BYTES + 777).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
    }

    fn finished(mut partial: Partial, content: &[u8]) -> model::Sha256 {
        let from = usize::try_from(partial.written()).unwrap();
        for part in content[from..].chunks(300_001) {
            partial.append(part).unwrap();
        }
        let (path, sums) = partial.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), content);
        assert_eq!(sums.bytes, content.len() as u64);
        std::fs::remove_file(path).unwrap();
        sums.sha256
    }

    #[test]
    fn a_partial_file_resumes_where_it_verifies() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".arriving-x");
        let content = content();
        let whole = model::Sha256::new(Sha256::digest(&content).into());
        type Harm = fn(&Path);
        let harms: [(Harm, u64); 5] = [
            (|_| {}, 2),
            (|p| File::options().write(true).open(p).unwrap().set_len(BLOCK_BYTES + 5).unwrap(), 1),
            (|p| File::options().write(true).open(p).unwrap().set_len(9 * BLOCK_BYTES).unwrap(), 2),
            // The state after a power cut: the length is there, the bytes are not.
            (|p| std::fs::write(p, vec![0; 3 * (1 << 20)]).unwrap(), 0),
            (|p| std::fs::remove_file(sums_of(p)).unwrap(), 0),
        ];
        for (harm, blocks) in harms {
            let mut partial = Partial::open(path.clone(), None).unwrap();
            partial.append(&content[..2 * (1 << 20) + 4321]).unwrap();
            drop(partial);
            harm(&path);
            let partial = Partial::open(path.clone(), None).unwrap();
            assert_eq!(partial.written(), blocks * BLOCK_BYTES);
            assert_eq!(finished(partial, &content), whole);
        }
    }

    #[test]
    fn a_partial_file_can_restart() {
        let dir = tempfile::tempdir().unwrap();
        let content = content();
        let mut partial = Partial::open(dir.path().join(".arriving-x"), None).unwrap();
        partial.append(&content[100..]).unwrap();
        partial.restart().unwrap();
        assert_eq!(
            finished(partial, &content),
            model::Sha256::new(Sha256::digest(&content).into())
        );
    }
}
