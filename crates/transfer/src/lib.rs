//! Stage 1 of 5 (CU1): fetches a delivery into the library, whole and verified.
//!
//! Takes a delivery of a [`Source`] (a directory, SFTP, HTTP, S3) and writes read-only files into the library, with one
//! [`FetchedFile`] each, which holds the kind of the file by its content. Groups of files are passed on as soon as they are
//! durable, in the order of the wanted files. A file that cannot be accepted becomes a refusal; all others continue.
//!
//! Start at [`fetch`]. A new rule for names goes into [`names`], a new kind of content into [`examine`], a new kind of source
//! into [`source`]. Files of a directory go through `copying`, those of remote sources through `connections`; both end in
//! `landing`.
//! Does not know the database: the known contents are queried through [`Request::known`].

pub mod completeness;
pub mod examine;
pub mod manifest;
pub mod names;
pub mod pace;
pub mod source;
pub mod tuner;

mod connections;
mod copying;
mod landing;
mod listing;
mod partial;
mod space;
mod stall;
mod unfinished;

pub use examine::{Content, HduFact, Sample, SurveyRules};
pub use landing::Landed;
pub use pace::{Pace, Stall};
pub use source::{Entry, Source, SourceFault};
pub use space::{Fill, Volume};
pub use unfinished::Unfinished;

use model::{Refusal, Sha256, SkipReason, Verification};
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The way in which a file gets into the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// A copy (copy-on-write where the file system can).
    #[default]
    Copy,
    /// A hard link: source and library must be on one disk, and the provider must never write in place.
    Link,
    /// The file stays where it is; the ledger records the place.
    InPlace,
}

/// A content of a file in the ledger, one entry per content that arrived under its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Length.
    pub bytes: u64,
    /// Modification time at the source, nanoseconds since 1970.
    pub modified_ns: i64,
    /// SHA-256 of its content.
    pub sha256: Sha256,
    /// Path at which it is stored.
    pub path: PathBuf,
    /// True when it is to be examined although it did not change: an operator requested a retry of a refusal.
    pub reexamine: bool,
}

/// The delivery to fetch, and the settings of the fetch.
pub struct Request<'a> {
    /// The source of the delivery.
    pub source: &'a dyn Source,
    /// Name of the delivery's directory in the source.
    pub directory: &'a str,
    /// The delivery's directories in the library, one per volume.
    pub volumes: &'a [Volume],
    /// The volume to fill first.
    pub fill: Fill,
    /// The way in which files of a directory get into the library; files of remote sources are always copied.
    pub mode: Mode,
    /// Number of files of a directory that are copied concurrently.
    pub threads: usize,
    /// Maximum number of connections to a remote source.
    pub max_connections: usize,
    /// Limit on the rate at which the source is read.
    pub pace: &'a Pace,
    /// The criterion for a dead connection.
    pub stall: Stall,
    /// Function from a name to its known contents, oldest first.
    pub known: &'a (dyn Fn(&str) -> Vec<Known> + Sync),
    /// Function from a file to the survey profile that fits: its name, and its settings for such files.
    pub survey_of: &'a (dyn Fn(&Sample<'_>) -> SurveyRules + Sync),
    /// Rule that finds files which another program is still writing.
    pub unfinished: &'a Unfinished,
    /// Length in bytes of the longest file that is accepted.
    pub max_file_bytes: u64,
    /// Names that mark a delivery as complete, e.g. `OK_TO_COPY`.
    pub markers: &'a [String],
    /// Predicate for the name of a list of checksums.
    pub is_manifest: &'a (dyn Fn(&str) -> bool + Sync),
    /// Function from a name to its rank: files are fetched by rising rank, then by name.
    pub rank: &'a (dyn Fn(&str) -> u8 + Sync),
    /// Predicate for a file that may be fetched; a file that may still grow is deferred.
    pub is_settled: &'a (dyn Fn(&Entry) -> bool + Sync),
    /// Function called during the fetch.
    pub progress: &'a (dyn Fn(Step<'_>) + Sync),
    /// Set by the caller to stop the fetch: complete files are landed, the others stay as they are.
    pub stop: &'a AtomicBool,
}

/// The progress of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// The list of the source.
    Listed {
        /// Names that the source lists and that are accepted.
        names: &'a BTreeSet<String>,
    },
    /// The size of the fetch.
    Begins {
        /// Number of files.
        files: usize,
        /// Number of their bytes, if the source reports it.
        bytes: u64,
    },
    /// A file is finished, with any outcome.
    Ended {
        /// Name of the file.
        name: &'a str,
        /// Number of its bytes.
        bytes: u64,
    },
}

/// One file that is now in the library.
#[derive(Clone, Debug)]
pub struct FetchedFile {
    /// Name within the delivery.
    pub name: String,
    /// Path at which it is stored.
    pub path: PathBuf,
    /// Length.
    pub bytes: u64,
    /// Modification time at the source, nanoseconds since 1970.
    pub modified_ns: i64,
    /// SHA-256 of its content.
    pub sha256: Sha256,
    /// Seconds that its fetch and examination took.
    pub seconds: f64,
    /// Number of times that it was read from its beginning.
    pub tries: u32,
    /// Bytes that an earlier fetch had transferred.
    pub resumed_bytes: u64,
    /// The verification of its bytes.
    pub verified_by: Verification,
    /// The result of its examination.
    pub content: Content,
}

/// An entry that a source lists and that is not fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The name as the source lists it, escaped where needed.
    pub name: String,
    /// The reason.
    pub code: SkipReason,
    /// Reason in words.
    pub why: String,
}

/// The outcome of a fetch.
#[derive(Debug, Default)]
pub struct Fetched {
    /// New files, in the order of their names.
    pub arrivals: Vec<FetchedFile>,
    /// Files that were already in the library, unchanged.
    pub unchanged: Vec<String>,
    /// Names that the source lists and that are accepted, sorted.
    pub present: Vec<String>,
    /// Of these, files that were read again because their date at the source is different, with that date in nanoseconds since
    /// 1970.
    pub touched: Vec<(String, i64)>,
    /// Rejected inputs. (Damage found inside a file is in its [`FetchedFile`].)
    pub refusals: Vec<Refusal>,
    /// Entries that the source lists and that are not fetched: unfinished files, links to elsewhere.
    pub skipped: Vec<Skipped>,
    /// True when the delivery holds a completeness marker.
    pub marked_complete: bool,
    /// Number of names in the provider's list, and the name of that list.
    pub listed: Option<(usize, String)>,
    /// Number of files of the list that are absent.
    pub absent: usize,
    /// Files that may still be growing.
    pub unsettled: Vec<String>,
    /// Files that could not be fetched for a temporary reason, each with the reason.
    pub postponed: Vec<(String, String)>,
    /// The reason why the source could not be read to the end; `None` when it was reachable.
    pub unreachable: Option<String>,
    /// Number of files that were not started, because the source is unreachable or the fetch was stopped.
    pub not_started: usize,
    /// Number of wanted files that are finished, with any outcome.
    pub finished: usize,
    /// Maximum number of connections that read concurrently.
    pub connections: usize,
    /// Number of bytes fetched.
    pub bytes: u64,
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// The effect that a fetch would have now.
#[derive(Debug)]
pub struct Prospect {
    /// Names of the files that would be fetched, in this order.
    pub files: Vec<String>,
    /// Number of their bytes.
    pub bytes: u64,
    /// Number of files that are already in the library, unchanged.
    pub unchanged: usize,
    /// Files that would be refused before they are opened.
    pub refusals: Vec<Refusal>,
    /// Entries that would not be fetched.
    pub skipped: Vec<Skipped>,
}

/// A failure to fetch a delivery at all.
#[derive(Debug, thiserror::Error)]
pub enum TransferFault {
    /// The source cannot be listed.
    #[error("cannot list the delivery")]
    Source(#[from] SourceFault),
    /// The library cannot be written.
    #[error("cannot write into {}", path.display())]
    Library {
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// Not enough free space.
    #[error("{} needs {needed_bytes} bytes, {free_bytes} are free", shown(places))]
    NoSpace {
        /// The volumes of the library.
        places: Vec<PathBuf>,
        /// Bytes that would be written, with a reserve of 2 %.
        needed_bytes: u64,
        /// Free bytes, less those that are to stay free.
        free_bytes: u64,
    },
    /// The registration of files failed.
    #[error("cannot register the fetched files")]
    Ledger(#[source] Box<dyn std::error::Error + Send + Sync>),
}

fn shown(places: &[PathBuf]) -> String {
    let places: Vec<String> = places.iter().map(|p| p.display().to_string()).collect();
    places.join(", ")
}

impl TransferFault {
    /// Returns true when a precondition failed (space) rather than the machine.
    pub fn is_gate(&self) -> bool {
        matches!(self, Self::NoSpace { .. })
    }

    /// Returns true when the same call may succeed later without intervention.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Source(SourceFault::Passing { .. }))
    }
}

/// Returns the effect that [`fetch`] would have, and changes nothing.
///
/// # Errors
/// Fails when the source cannot be listed, or the disks would not hold it all.
pub fn dry_run(request: &Request<'_>) -> Result<Prospect, TransferFault> {
    let mut listing = listing::list(request)?;
    let mut refusals = listing.refusals;
    refusals.extend(space::allot(request, &mut listing.wanted)?);
    refusals.extend(listing.manifest.absent(&listing.present));
    Ok(Prospect {
        bytes: listing.wanted.iter().map(|w| w.bytes).sum(),
        files: listing.wanted.into_iter().map(|w| w.name).collect(),
        unchanged: listing.unchanged.len(),
        refusals,
        skipped: listing.skipped,
    })
}

/// Fetches every file of a delivery that is not in the library yet. `landed` is called for each group of files that is durable
/// and has its names; a file that it does not register is fetched again by the next fetch.
///
/// Safe to repeat and to interrupt: a file appears in the library whole, after its content was synced, and
/// a name that the ledger knows with other content is stored next to the old file, never over it.
///
/// # Errors
/// Fails when the source cannot be listed, the library cannot be written, the disks would not hold it all, or `landed` fails.
pub fn fetch(request: &Request<'_>, landed: &mut Landed<'_>) -> Result<Fetched, TransferFault> {
    let started = Instant::now();
    let mut listing = listing::list(request)?;
    (request.progress)(Step::Listed { names: &listing.present });
    let oversized = space::allot(request, &mut listing.wanted)?;
    let wanted = listing.wanted;
    let bytes = wanted.iter().map(|w| w.bytes).sum();
    (request.progress)(Step::Begins { files: wanted.len(), bytes });
    let directory = request.source.directory(request.directory);
    let in_transfer: Vec<PathBuf> = match directory {
        Some(_) => Vec::new(),
        None => wanted.iter().map(|w| connections::path_of(request, w)).collect(),
    };
    for volume in request.volumes {
        let path = &volume.directory;
        let fault = |source| TransferFault::Library { path: path.clone(), source };
        files::create_dir(path).map_err(fault)?;
        files::remove_temporaries(path).map_err(fault)?;
        partial::sweep(path, &in_transfer).map_err(fault)?;
    }
    let mut fetched = match directory {
        Some(directory) => {
            copying::copy_all(request, &directory, &wanted, &listing.manifest, landed)?
        }
        None => connections::fetch_all(request, &wanted, &listing.manifest, landed)?,
    };
    fetched.not_started = wanted.len() - fetched.finished;
    fetched.unchanged.extend(listing.unchanged);
    fetched.unchanged.sort();
    fetched.refusals.extend(listing.refusals);
    fetched.refusals.extend(oversized);
    let absent = listing.manifest.absent(&listing.present);
    fetched.absent = listing.manifest.files().filter(|f| !listing.present.contains(*f)).count();
    fetched.refusals.extend(absent);
    fetched.present = listing.present.into_iter().collect();
    fetched.unsettled = listing.unsettled;
    fetched.skipped = listing.skipped;
    fetched.marked_complete = listing.marked_complete;
    fetched.listed =
        listing.manifest.list().map(|list| (listing.manifest.files().count(), list.to_owned()));
    fetched.seconds = started.elapsed().as_secs_f64();
    Ok(fetched)
}

/// Sleeps, unless the fetch is to stop.
fn sleep(time: Duration, stop: &AtomicBool) {
    let until = Instant::now() + time;
    while Instant::now() < until && !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(20).min(time));
    }
}
