//! A directory on this machine, or mounted.

use super::{Entry, EntryKind, Line, Sink, Source, SourceFault, Span, is_directory};
use files::OpenFault;
use std::ffi::OsString;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A directory whose subdirectories are deliveries.
#[derive(Clone, Debug)]
pub struct Directory {
    root: PathBuf,
}

impl Directory {
    /// The one at a path.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }
}

/// What a system's error means for a source.
pub(crate) fn fault(path: &Path, error: &io::Error) -> SourceFault {
    let place = path.display().to_string();
    match error.kind() {
        io::ErrorKind::NotFound => SourceFault::lasting("missing_file", place, "it is not there"),
        io::ErrorKind::PermissionDenied => {
            SourceFault::lasting("unreadable", place, "permission denied")
        }
        _ => SourceFault::passing(place, error),
    }
}

fn entry(name: OsString, found: &std::fs::Metadata) -> Entry {
    let kind = found.file_type();
    let special =
        kind.is_fifo() || kind.is_socket() || kind.is_block_device() || kind.is_char_device();
    let kind = match kind {
        kind if kind.is_symlink() => EntryKind::Link,
        kind if kind.is_dir() => EntryKind::Directory,
        _ if special => EntryKind::Other,
        _ => EntryKind::File,
    };
    Entry {
        name,
        kind,
        bytes: Some(if kind == EntryKind::File { found.len() } else { 0 }),
        modified_ns: found.mtime().saturating_mul(1_000_000_000).saturating_add(found.mtime_nsec()),
        tag: String::new(),
        has_ranges: true,
    }
}

impl Source for Directory {
    fn deliveries(&self) -> Result<Vec<OsString>, SourceFault> {
        let at = |e: io::Error| fault(&self.root, &e);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.root).map_err(at)? {
            let entry = entry.map_err(at)?;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                names.push(entry.file_name());
            }
        }
        names.sort();
        Ok(names)
    }

    fn list(&self, delivery: &str) -> Result<Vec<Entry>, SourceFault> {
        let path = self.root.join(delivery);
        let at = |e: io::Error| fault(&path, &e);
        let mut entries = Vec::new();
        for found in std::fs::read_dir(&path).map_err(at)? {
            let found = found.map_err(at)?;
            // What vanishes meanwhile was not there.
            if let Ok(metadata) = std::fs::symlink_metadata(found.path()) {
                entries.push(entry(found.file_name(), &metadata));
            }
        }
        Ok(entries)
    }

    fn line(&self) -> Result<Box<dyn Line>, SourceFault> {
        if !is_directory(&self.root) {
            return Err(fault(&self.root, &io::ErrorKind::NotFound.into()));
        }
        Ok(Box::new(self.clone()))
    }

    fn place(&self, delivery: &str) -> String {
        self.root.join(delivery).display().to_string()
    }

    fn directory(&self, delivery: &str) -> Option<PathBuf> {
        Some(self.root.join(delivery))
    }
}

impl Line for Directory {
    fn read(
        &mut self,
        delivery: &str,
        wanted: &Entry,
        span: Span,
        sink: &mut Sink<'_>,
    ) -> Result<(), SourceFault> {
        let path = self.root.join(delivery).join(&wanted.name);
        let mut file = files::open_regular(&path).map_err(|f| of_open(&path, &f))?;
        let at = |e: io::Error| fault(&path, &e);
        let found = entry(wanted.name.clone(), &file.metadata().map_err(at)?);
        if !found.is_same(wanted) {
            return Err(SourceFault::Changed { place: path.display().to_string() });
        }
        file.seek(SeekFrom::Start(span.from)).map_err(at)?;
        let mut rest = file.take(span.to - span.from);
        let mut buffer = vec![0; 1 << 18];
        loop {
            match rest.read(&mut buffer).map_err(at)? {
                0 if rest.limit() == 0 => return Ok(()),
                0 => return Err(SourceFault::Changed { place: path.display().to_string() }),
                n => sink(&buffer[..n])?,
            }
        }
    }

    fn look(&mut self, delivery: &str, wanted: &Entry) -> Result<Entry, SourceFault> {
        let path = self.root.join(delivery).join(&wanted.name);
        let found = std::fs::symlink_metadata(&path).map_err(|e| fault(&path, &e))?;
        Ok(entry(wanted.name.clone(), &found))
    }
}

fn of_open(path: &Path, open: &OpenFault) -> SourceFault {
    match open {
        OpenFault::Io(error) => fault(path, error),
        other => {
            SourceFault::lasting(other.code(), path.display().to_string(), format!("it {other}"))
        }
    }
}
