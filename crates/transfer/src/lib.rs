//! Stage 1 of 5 (CU1): brings a delivery into the library, complete, verified, never half.
//!
//! Takes a directory of a provider, leaves read-only files in the library and one [`Arrival`] each, which says
//! what the file is by its content. What cannot be taken becomes a refusal; everything else goes on.
//!
//! Start at [`fetch`]. A new rule for names goes into [`names`], a new kind of content into [`examine`].
//! Does not know the database: what is known already is asked through [`Request::known`].

pub mod examine;
pub mod manifest;
pub mod names;

mod copying;
mod listing;

pub use examine::{Content, FileKind, HduFact};

use model::Refusal;
use std::io;
use std::path::{Path, PathBuf};

/// How a file gets into the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// A copy (copy-on-write where the file system can).
    #[default]
    Copy,
    /// A hard link: source and library must be on one disk, and the provider must never write in place.
    Link,
    /// The file stays where it is; the library remembers the place.
    InPlace,
}

/// What the ledger knows of a file, one entry per content that came under its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Length.
    pub bytes: u64,
    /// Modification time at the source, nanoseconds since 1970.
    pub modified_ns: i64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
    /// Where it is stored.
    pub path: PathBuf,
    /// It is to be examined although it did not change: somebody wants a refusal of it tried again.
    pub look_again: bool,
}

/// What to fetch, and how.
pub struct Request<'a> {
    /// The provider's directory.
    pub source: &'a Path,
    /// The delivery's directory in the library.
    pub library: &'a Path,
    /// How files get there.
    pub mode: Mode,
    /// Files at once.
    pub threads: usize,
    /// What the ledger knows of a name, oldest first.
    pub known: &'a (dyn Fn(&str) -> Vec<Known> + Sync),
    /// Name of the survey profile that fits a primary header.
    pub survey_of: &'a (dyn Fn(&fits::Header) -> String + Sync),
    /// Names that mark a delivery as complete, e.g. `OK_TO_COPY`.
    pub markers: &'a [String],
    /// Whether a name is that of a list of checksums.
    pub is_manifest: &'a (dyn Fn(&str) -> bool + Sync),
    /// Called after each file: name, bytes.
    pub progress: &'a (dyn Fn(&str, u64) + Sync),
}

/// One file that is in the library now.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Name within the delivery.
    pub name: String,
    /// Where it is stored.
    pub path: PathBuf,
    /// Length.
    pub bytes: u64,
    /// Modification time at the source, nanoseconds since 1970.
    pub modified_ns: i64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
    /// Seconds it took to bring and examine it.
    pub seconds: f64,
    /// How often it was tried.
    pub tries: u32,
    /// What it is.
    pub content: Content,
}

/// The outcome of a fetch.
#[derive(Debug, Default)]
pub struct Fetched {
    /// New files, in the order of their names.
    pub arrivals: Vec<Arrival>,
    /// Files that were there already, unchanged.
    pub unchanged: Vec<String>,
    /// What was not taken. (Damage found inside a file is in its [`Arrival`].)
    pub refusals: Vec<Refusal>,
    /// A completeness marker stands in the delivery.
    pub marked_complete: bool,
    /// Files that a manifest of the provider confirmed.
    pub confirmed: usize,
    /// Bytes brought.
    pub bytes: u64,
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// What a fetch would do now.
#[derive(Debug)]
pub struct Prospect {
    /// Files that would be brought.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Files that are there already, unchanged.
    pub unchanged: usize,
    /// What would be refused before it is opened.
    pub refusals: Vec<Refusal>,
}

/// A delivery that could not be brought at all.
#[derive(Debug, thiserror::Error)]
pub enum TransferFault {
    /// The source directory cannot be listed.
    #[error("cannot list {}", path.display())]
    Source {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The library cannot be written.
    #[error("cannot write into {}", path.display())]
    Library {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Not enough room.
    #[error("{} needs {needed_bytes} bytes, {free_bytes} are free", path.display())]
    NoSpace {
        /// The library.
        path: PathBuf,
        /// What would be written, with a reserve of 2 %.
        needed_bytes: u64,
        /// What is there.
        free_bytes: u64,
    },
}

impl TransferFault {
    /// Whether a precondition failed (room) rather than the machine.
    pub fn is_gate(&self) -> bool {
        matches!(self, Self::NoSpace { .. })
    }
}

/// Says what [`fetch`] would do, and does nothing.
///
/// # Errors
/// When the source cannot be listed, or the disk would not hold it all.
pub fn look(request: &Request) -> Result<Prospect, TransferFault> {
    let mut listing = listing::list(request)?;
    let mut refusals = listing.refusals;
    refusals.extend(copying::check_room(request, &mut listing.wanted)?);
    refusals.extend(listing.manifest.absent(&listing.present));
    Ok(Prospect {
        files: listing.wanted.len(),
        bytes: listing.wanted.iter().map(|w| w.bytes).sum(),
        unchanged: listing.unchanged.len(),
        refusals,
    })
}

/// Brings every file of a delivery that is not in the library yet.
///
/// Safe to repeat and to interrupt: a file appears in the library whole, after its content was synced, and
/// a name that the ledger knows with other content is stored beside the old file, never over it.
///
/// # Errors
/// When the source cannot be listed, the library not written, or the disk would not hold it all.
pub fn fetch(request: &Request) -> Result<Fetched, TransferFault> {
    let started = std::time::Instant::now();
    let mut listing = listing::list(request)?;
    let library = |source| TransferFault::Library { path: request.library.to_owned(), source };
    files::create_dir(request.library).map_err(library)?;
    let oversized = copying::check_room(request, &mut listing.wanted)?;
    let mut fetched = copying::copy_all(request, listing.wanted, &listing.manifest)?;
    fetched.unchanged.extend(listing.unchanged);
    fetched.unchanged.sort();
    fetched.refusals.extend(listing.refusals);
    fetched.refusals.extend(oversized);
    fetched.refusals.extend(listing.manifest.absent(&listing.present));
    fetched.marked_complete = listing.marked_complete;
    fetched.seconds = started.elapsed().as_secs_f64();
    Ok(fetched)
}
