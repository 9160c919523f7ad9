//! Sources of deliveries: a directory, `ssh://` (SFTP), `http(s)://`, `s3://`. One interface, [`Source`]; each kind in its
//! file.
//!
//! A source lists its deliveries and their files, and opens [`Connection`]s, each used by one thread at a time, that read ranges
//! of files. The state of a file when it was listed ([`Entry`]) is compared with its state when it is read, by the means of the
//! protocol: `fstat` on SFTP, `If-Match` on HTTP and S3.
//!
//! Start at [`open`]. Another kind is another implementation of the two traits. Retries, order and limits are the task of
//! [`crate::connections`].

pub mod address;
mod directory;
mod html;
mod http;
mod links;
mod page;
mod s3;
mod sftp;

pub use address::{Address, Secret};
pub use directory::Directory;

use crate::stall::Stall;
use model::RefusalCode;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// The kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file; in a remote source also an entry without a stated kind.
    File,
    /// A symbolic link.
    Link,
    /// A directory.
    Directory,
    /// A FIFO, socket or device.
    Other,
    /// A link of a page that leads to no file of the delivery; the note holds the target.
    Elsewhere,
}

/// One name in a delivery, in its state when it was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, as the source has it.
    pub name: OsString,
    /// The kind of the entry.
    pub kind: EntryKind,
    /// Length; `None` when the source does not report it.
    pub bytes: Option<u64>,
    /// Modification time, nanoseconds since 1970; 0 when the source does not report it.
    pub modified_ns: i64,
    /// The source's name for this version of the content (ETag); may be empty.
    pub tag: String,
    /// True when parts of the file can be requested.
    pub has_ranges: bool,
    /// The place of its content when it is not under the name: the target of a link, or a URL.
    pub locator: Option<OsString>,
    /// The reason why a link is not followed.
    pub note: String,
}

/// The links that are followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// None.
    Skip,
    /// Those that lead into the source's own tree, or into one of the named ones.
    #[default]
    Within,
    /// All.
    Anywhere,
}

/// The entries of a source at the level of deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Names of possible deliveries, in order.
    pub names: Vec<OsString>,
    /// Entries that are not followed.
    pub skipped: Vec<crate::Skipped>,
}

impl Entry {
    /// Returns an entry of which nothing but name and kind is known.
    fn named(name: OsString, kind: EntryKind) -> Self {
        Self {
            name,
            kind,
            bytes: None,
            modified_ns: 0,
            tag: String::new(),
            has_ranges: false,
            locator: None,
            note: String::new(),
        }
    }

    /// Returns true when two listings of a name saw the same content, if the source can determine it.
    pub fn is_same(&self, other: &Self) -> bool {
        let alike = |a: &str, b: &str| a.is_empty() || b.is_empty() || a == b;
        self.bytes == other.bytes
            && self.modified_ns == other.modified_ns
            && alike(&self.tag, &other.tag)
    }
}

/// Maximum number of entries of a list; a longer one is not a delivery.
const MAX_ENTRIES: usize = 1_000_000;

fn endless(place: impl Into<String>) -> SourceFault {
    SourceFault::lasting(RefusalCode::REFUSED_BY_SOURCE, place, "the list of entries does not end")
}

/// The reason why a source did not fulfil a request.
#[derive(Debug, thiserror::Error)]
pub enum SourceFault {
    /// A retry may succeed: the connection was cut, the server is busy or restarts.
    #[error("{place}: {why}")]
    Passing {
        /// The requested place, without secrets.
        place: String,
        /// The message.
        why: String,
        /// True when the source itself reported the fault: it is reachable.
        is_answered: bool,
    },
    /// The fault is not temporary: no such name, no permission.
    #[error("{place}: {why}")]
    Lasting {
        /// The requested place, without secrets.
        place: String,
        /// The message.
        why: String,
        /// Machine-readable reason.
        code: RefusalCode,
    },
    /// The file has changed since it was listed.
    #[error("{place}: changed since it was listed")]
    Changed {
        /// The file.
        place: String,
    },
    /// The bytes read could not be stored on this machine.
    #[error("cannot store the bytes that were read")]
    Sink(#[source] io::Error),
}

impl SourceFault {
    /// Makes a fault for which a retry may succeed.
    pub fn passing(place: impl Into<String>, why: impl ToString) -> Self {
        Self::Passing { place: place.into(), why: why.to_string(), is_answered: false }
    }

    /// Makes a fault of a source that is reachable and reports a temporary failure.
    pub fn busy(place: impl Into<String>, why: impl ToString) -> Self {
        Self::Passing { place: place.into(), why: why.to_string(), is_answered: true }
    }

    /// Makes a fault for which a retry does not help.
    pub fn lasting(code: RefusalCode, place: impl Into<String>, why: impl ToString) -> Self {
        Self::Lasting { place: place.into(), why: why.to_string(), code }
    }
}

/// A place from which deliveries are fetched.
pub trait Source: Send + Sync {
    /// Lists the names of possible deliveries, in order, and entries that are not followed.
    ///
    /// # Errors
    /// [`SourceFault`].
    fn deliveries(&self) -> Result<Found, SourceFault>;

    /// Lists the entries of a delivery, in any order.
    ///
    /// # Errors
    /// [`SourceFault`].
    fn list(&self, directory: &str) -> Result<Vec<Entry>, SourceFault>;

    /// Returns a fingerprint that changes when anything in a delivery does; cheaper than [`Source::list`] where that queries
    /// every file.
    ///
    /// # Errors
    /// [`SourceFault`].
    fn probe(&self, directory: &str) -> Result<Probe, SourceFault> {
        self.list(directory).map(|entries| Probe::of(&entries))
    }

    /// Opens a separate connection.
    ///
    /// # Errors
    /// [`SourceFault`].
    fn connect(&self) -> Result<Box<dyn Connection>, SourceFault>;

    /// Returns the place of a delivery, for the record: a URL without secrets, or a path.
    fn place(&self, directory: &str) -> String;

    /// Returns true when [`Source::list`] queries every file separately.
    fn is_slow_to_list(&self) -> bool {
        false
    }

    /// Returns the directory of a delivery on this machine; `None` for a remote source.
    fn directory(&self, _directory: &str) -> Option<PathBuf> {
        None
    }
}

/// A summary of a delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// Names in it.
    pub names: Vec<String>,
    /// A fingerprint that changes when anything in the delivery does.
    pub fingerprint: u64,
}

impl Probe {
    /// Makes the summary of a list.
    pub fn of(entries: &[Entry]) -> Self {
        let mut lines: Vec<String> = entries
            .iter()
            .map(|e| format!("{:?} {:?} {} {}\n", e.name, e.bytes, e.modified_ns, e.tag))
            .collect();
        lines.sort_unstable();
        let names = entries.iter().map(|e| e.name.to_string_lossy().into_owned()).collect();
        Self { names, fingerprint: twox_hash::XxHash64::oneshot(0, lines.concat().as_bytes()) }
    }
}

/// Part of a file: from one byte up to before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub from: u64,
    /// The byte after the last one.
    pub to: u64,
}

/// A receiver of bytes as they arrive.
pub type Sink<'a> = dyn FnMut(&[u8]) -> Result<(), SourceFault> + 'a;

/// One connection.
pub trait Connection: Send {
    /// Reads a span of a file into `sink`; a file of unknown length is read from 0 to its end.
    ///
    /// # Errors
    /// [`SourceFault`]; bytes passed to the sink before it are valid nevertheless.
    fn read(
        &mut self,
        directory: &str,
        entry: &Entry,
        span: Span,
        sink: &mut Sink<'_>,
    ) -> Result<(), SourceFault>;

    /// Queries a file again.
    ///
    /// # Errors
    /// [`SourceFault`].
    fn stat(&mut self, directory: &str, entry: &Entry) -> Result<Entry, SourceFault>;
}

/// The access to a source.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Options of ssh, unchanged.
    pub ssh_options: Vec<String>,
    /// The user name: user of HTTP's basic authentication, access key of S3.
    pub user: String,
    /// Password, token, or secret key.
    pub secret: Option<Secret>,
    /// Session token of S3.
    pub session: Option<Secret>,
    /// Endpoint of S3; empty for Amazon's.
    pub endpoint: String,
    /// Region of S3.
    pub region: String,
    /// Certificates of authorities (PEM); `None` = those of the system.
    pub ca_file: Option<PathBuf>,
    /// The list of files that every delivery of an HTTP source has, instead of a directory page.
    pub listing: String,
    /// Symbolic links that are followed.
    pub links: Links,
    /// Trees outside the tree of the source into which links may lead.
    pub link_roots: Vec<PathBuf>,
    /// The criterion for a dead connection.
    pub stall: Stall,
    /// Maximum number of connections.
    pub max_connections: usize,
}

/// Opens a source at an address.
///
/// # Errors
/// [`SourceFault::Lasting`] for an address that cannot be used at all; no request is sent to the source yet.
pub fn open(address: &Address, access: Access) -> Result<Box<dyn Source>, SourceFault> {
    Ok(match address {
        Address::Directory(path) => {
            Box::new(Directory::new(path.clone()).following(access.links, access.link_roots))
        }
        Address::Ssh(place) => Box::new(sftp::Sftp::new(place.clone(), access)),
        Address::Http(url) => Box::new(http::Http::new(url.clone(), access)?),
        Address::S3(place) => Box::new(s3::S3::new(place.clone(), access)?),
    })
}

/// Returns a path below another, joined as in URLs.
fn below(root: &str, directory: &str, name: &str) -> String {
    let mut path = root.trim_end_matches('/').to_owned();
    for part in [directory, name].into_iter().filter(|part| !part.is_empty()) {
        path.push('/');
        path.push_str(part);
    }
    path
}

/// Returns true when a path is that of an existing directory.
fn is_directory(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.is_dir())
}
