//! A directory on this machine, or mounted.

use super::{
    Connection, Entry, EntryKind, Found, Links, Sink, Source, SourceFault, Span, is_directory,
    links,
};
use files::OpenFault;
use model::RefusalCode;
use std::ffi::OsString;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A directory whose subdirectories are deliveries.
#[derive(Clone, Debug)]
pub struct Directory {
    root: PathBuf,
    links: Links,
    link_roots: Vec<PathBuf>,
}

impl Directory {
    /// Makes the source of a path.
    pub fn new(root: PathBuf) -> Self {
        Self { root, links: Links::default(), link_roots: Vec::new() }
    }

    /// Sets the links that the source follows.
    #[must_use]
    pub fn following(self, links: Links, link_roots: Vec<PathBuf>) -> Self {
        Self { links, link_roots, ..self }
    }

    /// Returns the target of a link, or the reason for which it is not followed. `own` is a further tree into which it may
    /// lead.
    fn followed(&self, link: &Path, own: Option<&Path>) -> Result<PathBuf, String> {
        if self.links == Links::Skip {
            return Err(links::SKIPPED.to_owned());
        }
        let target = link
            .canonicalize()
            .map_err(|error| format!("the target cannot be resolved: {error}"))?;
        let trees = std::iter::once(&self.root).chain(&self.link_roots);
        let is_within = |tree: &PathBuf| tree.canonicalize().is_ok_and(|t| target.starts_with(t));
        let is_own = own.is_some_and(|own| target.starts_with(own));
        if self.links == Links::Anywhere || is_own || trees.into_iter().any(is_within) {
            return Ok(target);
        }
        Err(links::outside(&target.display().to_string()))
    }

    /// Returns the directory of a delivery; for a link, its target.
    fn real(&self, directory: &str) -> Result<PathBuf, String> {
        let path = self.root.join(directory);
        match std::fs::symlink_metadata(&path) {
            Ok(found) if found.is_symlink() => self.followed(&path, None),
            _ => Ok(path),
        }
    }

    /// Returns the entry of a name in a delivery's directory; a followed link is its target.
    fn entry(&self, directory: &Path, name: OsString) -> Option<Entry> {
        let path = directory.join(&name);
        let metadata = match std::fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            // A file that disappears meanwhile counts as absent.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            // Opening the file will report the reason.
            Err(_) => return Some(Entry::named(name, EntryKind::File)),
        };
        if !metadata.is_symlink() {
            return Some(entry(name, &metadata));
        }
        let own = directory.canonicalize().ok();
        let target = self.followed(&path, own.as_deref()).and_then(|target| {
            let found = std::fs::symlink_metadata(&target).map_err(|e| e.to_string())?;
            Ok((target, found))
        });
        Some(match target {
            Ok((target, found)) => {
                Entry { locator: Some(target.into_os_string()), ..entry(name, &found) }
            }
            Err(note) => Entry { note, ..entry(name, &metadata) },
        })
    }
}

/// Makes the fault of a source from a system's error.
pub(crate) fn fault(path: &Path, error: &io::Error) -> SourceFault {
    let place = path.display().to_string();
    match error.kind() {
        io::ErrorKind::NotFound => {
            SourceFault::lasting(RefusalCode::MISSING_FILE, place, "not found")
        }
        io::ErrorKind::PermissionDenied => {
            SourceFault::lasting(RefusalCode::UNREADABLE, place, "permission denied")
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
        locator: None,
        note: String::new(),
    }
}

impl Source for Directory {
    fn deliveries(&self) -> Result<Found, SourceFault> {
        let at = |e: io::Error| fault(&self.root, &e);
        let mut found = Found::default();
        for entry in std::fs::read_dir(&self.root).map_err(at)? {
            let entry = entry.map_err(at)?;
            let kind = entry.file_type().map_err(at)?;
            if kind.is_dir() {
                found.names.push(entry.file_name());
            } else if kind.is_symlink() {
                match self.followed(&entry.path(), None) {
                    Ok(target) if target.is_dir() => found.names.push(entry.file_name()),
                    Ok(_) => {}
                    Err(why) => found.skipped.push(links::skipped(&entry.file_name(), why)),
                }
            }
        }
        found.names.sort();
        found.skipped.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn list(&self, directory: &str) -> Result<Vec<Entry>, SourceFault> {
        let shown = self.place(directory);
        let path = self
            .real(directory)
            .map_err(|why| SourceFault::lasting(RefusalCode::SYMBOLIC_LINK, shown, why))?;
        let at = |e: io::Error| fault(&path, &e);
        let mut entries = Vec::new();
        for found in std::fs::read_dir(&path).map_err(at)? {
            let found = found.map_err(at)?;
            entries.extend(self.entry(&path, found.file_name()));
        }
        Ok(entries)
    }

    fn connect(&self) -> Result<Box<dyn Connection>, SourceFault> {
        if !is_directory(&self.root) {
            return Err(fault(&self.root, &io::ErrorKind::NotFound.into()));
        }
        Ok(Box::new(self.clone()))
    }

    fn place(&self, directory: &str) -> String {
        self.root.join(directory).display().to_string()
    }

    fn directory(&self, directory: &str) -> Option<PathBuf> {
        Some(self.real(directory).unwrap_or_else(|_| self.root.join(directory)))
    }
}

impl Connection for Directory {
    fn read(
        &mut self,
        directory: &str,
        wanted: &Entry,
        span: Span,
        sink: &mut Sink<'_>,
    ) -> Result<(), SourceFault> {
        let path = self.path_of(directory, wanted);
        let opened = match &wanted.locator {
            Some(_) => files::open_resolved(&path),
            None => files::open_regular(&path),
        };
        let mut file = opened.map_err(|f| of_open(&path, &f))?;
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

    fn stat(&mut self, directory: &str, wanted: &Entry) -> Result<Entry, SourceFault> {
        let path = self.path_of(directory, wanted);
        let found = std::fs::symlink_metadata(&path).map_err(|e| fault(&path, &e))?;
        Ok(Entry { locator: wanted.locator.clone(), ..entry(wanted.name.clone(), &found) })
    }
}

impl Directory {
    fn path_of(&self, directory: &str, wanted: &Entry) -> PathBuf {
        match &wanted.locator {
            Some(target) => target.into(),
            None => self.real(directory).unwrap_or_default().join(&wanted.name),
        }
    }
}

fn of_open(path: &Path, open: &OpenFault) -> SourceFault {
    match open {
        OpenFault::Io(error) => fault(path, error),
        other => SourceFault::lasting(
            RefusalCode::of_fault(other.code()),
            path.display().to_string(),
            format!("the file {other}"),
        ),
    }
}
