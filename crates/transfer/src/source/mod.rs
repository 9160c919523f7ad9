//! Where deliveries come from: a directory, `ssh://` (SFTP), `http(s)://`, `s3://`. One face, [`Source`]; each kind in its file.
//!
//! A source lists its deliveries and their files, and hands out [`Line`]s: one connection each, used by one thread at a
//! time, that reads ranges of files. What a file looked like when it was listed ([`Entry`]) is held against it
//! when it is read, as far as the protocol can: `fstat` on SFTP, `If-Match` on HTTP and S3.
//!
//! Start at [`open`]. Another kind is another implementation of the two traits. Retries, order and limits are not made
//! here but in [`crate::lanes`].

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

use crate::pace::Stall;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file; of a remote source also what says nothing of itself.
    File,
    /// A symbolic link.
    Link,
    /// A directory.
    Directory,
    /// A FIFO, socket or device.
    Other,
    /// A link of a page that leads to no file of the delivery; the note says where.
    Elsewhere,
}

/// One name in a delivery, as it looked when it was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, as the source has it.
    pub name: OsString,
    /// What stands there.
    pub kind: EntryKind,
    /// Length, when the source tells it.
    pub bytes: Option<u64>,
    /// Modification time, nanoseconds since 1970; 0 when the source does not tell it.
    pub modified_ns: i64,
    /// What the source calls this version of the content (ETag); may be empty.
    pub tag: String,
    /// Whether parts of it can be asked for.
    pub has_ranges: bool,
    /// Where its content is, when that is not under the name: the target of a link, or a URL.
    pub locator: Option<OsString>,
    /// Reason for which a link is not followed.
    pub note: String,
}

/// Links that are followed.
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

/// What a source shows where its deliveries are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Names of what may be deliveries, in order.
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

    /// Whether two looks at a name saw the same content, as far as a source can tell.
    pub fn is_same(&self, other: &Self) -> bool {
        let alike = |a: &str, b: &str| a.is_empty() || b.is_empty() || a == b;
        self.bytes == other.bytes
            && self.modified_ns == other.modified_ns
            && alike(&self.tag, &other.tag)
    }
}

/// A list that is longer is no delivery.
const ENTRIES_MOST: usize = 1_000_000;

fn endless(place: impl Into<String>) -> SourceFault {
    SourceFault::lasting("refused_by_source", place, "its list does not end")
}

/// Why a source did not do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum SourceFault {
    /// Asking again may help: the line was cut, the server is busy or restarts.
    #[error("{place}: {why}")]
    Passing {
        /// What was asked for, without secrets.
        place: String,
        /// What was said.
        why: String,
        /// The source itself said so: it is there.
        is_answered: bool,
    },
    /// It will not change by itself soon: no such name, no permission.
    #[error("{place}: {why}")]
    Lasting {
        /// What was asked for, without secrets.
        place: String,
        /// What was said.
        why: String,
        /// Machine-readable reason.
        code: &'static str,
    },
    /// The file is another one by now than was listed.
    #[error("{place}: it changed since it was listed")]
    Changed {
        /// The file.
        place: String,
    },
    /// What was read could not be put away here.
    #[error("cannot put away what was read")]
    Sink(#[source] io::Error),
}

impl SourceFault {
    /// Asking again may help.
    pub fn passing(place: impl Into<String>, why: impl ToString) -> Self {
        Self::Passing { place: place.into(), why: why.to_string(), is_answered: false }
    }

    /// The source is there and says that it cannot now.
    pub fn busy(place: impl Into<String>, why: impl ToString) -> Self {
        Self::Passing { place: place.into(), why: why.to_string(), is_answered: true }
    }

    /// Asking again does not help.
    pub fn lasting(code: &'static str, place: impl Into<String>, why: impl ToString) -> Self {
        Self::Lasting { place: place.into(), why: why.to_string(), code }
    }
}

/// Somewhere deliveries come from.
pub trait Source: Send + Sync {
    /// Names of what may be deliveries, in order, and entries that are not followed.
    ///
    /// # Errors
    /// [`SourceFault`].
    fn deliveries(&self) -> Result<Found, SourceFault>;

    /// What stands in a delivery, in any order.
    ///
    /// # Errors
    /// [`SourceFault`].
    fn list(&self, delivery: &str) -> Result<Vec<Entry>, SourceFault>;

    /// A word that changes when anything in a delivery does; cheaper than [`Source::list`] where that asks for every file.
    ///
    /// # Errors
    /// [`SourceFault`].
    fn glance(&self, delivery: &str) -> Result<Glance, SourceFault> {
        self.list(delivery).map(|entries| Glance::of(&entries))
    }

    /// A connection of its own.
    ///
    /// # Errors
    /// [`SourceFault`].
    fn line(&self) -> Result<Box<dyn Line>, SourceFault>;

    /// Where a delivery comes from, for the record: a URL without secrets, or a path.
    fn place(&self, delivery: &str) -> String;

    /// Whether [`Source::list`] asks for every file by itself.
    fn is_slow_to_list(&self) -> bool {
        false
    }

    /// The directory of a delivery on this machine, where it has one.
    fn directory(&self, _delivery: &str) -> Option<PathBuf> {
        None
    }
}

/// How a delivery looks from afar.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Glance {
    /// Names in it.
    pub names: Vec<String>,
    /// Changes when anything does.
    pub word: u64,
}

impl Glance {
    /// That of a list.
    pub fn of(entries: &[Entry]) -> Self {
        let mut lines: Vec<String> = entries
            .iter()
            .map(|e| format!("{:?} {:?} {} {}\n", e.name, e.bytes, e.modified_ns, e.tag))
            .collect();
        lines.sort_unstable();
        let names = entries.iter().map(|e| e.name.to_string_lossy().into_owned()).collect();
        Self { names, word: twox_hash::XxHash64::oneshot(0, lines.concat().as_bytes()) }
    }
}

/// Part of a file: from a byte to before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub from: u64,
    /// The byte after the last one.
    pub to: u64,
}

/// Takes bytes as they come.
pub type Sink<'a> = dyn FnMut(&[u8]) -> Result<(), SourceFault> + 'a;

/// One connection.
pub trait Line: Send {
    /// Reads a span of a file into `sink`; a file without known length is read to its end from 0.
    ///
    /// # Errors
    /// [`SourceFault`]; what went into the sink before is good all the same.
    fn read(
        &mut self,
        delivery: &str,
        entry: &Entry,
        span: Span,
        sink: &mut Sink<'_>,
    ) -> Result<(), SourceFault>;

    /// Looks at a file once more.
    ///
    /// # Errors
    /// [`SourceFault`].
    fn look(&mut self, delivery: &str, entry: &Entry) -> Result<Entry, SourceFault>;
}

/// How a source is reached.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Options of ssh, as they are.
    pub ssh_options: Vec<String>,
    /// Who asks: user of HTTP's basic authentication, access key of S3.
    pub user: String,
    /// Password, token, or secret key.
    pub secret: Option<Secret>,
    /// Session token of S3.
    pub session: Option<Secret>,
    /// Where S3 is, when it is not Amazon's.
    pub endpoint: String,
    /// Region of S3.
    pub region: String,
    /// Certificates of authorities (PEM); `None` = those of the system.
    pub authorities: Option<PathBuf>,
    /// The list of files that every delivery of an HTTP source has, instead of a directory page.
    pub listing: String,
    /// Symbolic links that are followed.
    pub links: Links,
    /// Trees beside the source's own into which links may lead.
    pub link_roots: Vec<PathBuf>,
    /// When a connection counts as dead.
    pub stall: Stall,
    /// Connections at the most.
    pub lines_most: usize,
}

/// A source at an address.
///
/// # Errors
/// [`SourceFault::Lasting`] for one that cannot be used at all; nothing is asked of the source yet.
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

/// A path below another, in the manner of URLs.
fn below(root: &str, delivery: &str, name: &str) -> String {
    let mut path = root.trim_end_matches('/').to_owned();
    for part in [delivery, name].into_iter().filter(|part| !part.is_empty()) {
        path.push('/');
        path.push_str(part);
    }
    path
}

/// Whether a path is one of a directory that is there.
fn is_directory(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.is_dir())
}
