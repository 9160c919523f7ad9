//! Stage 1 of 5 (CU1): brings a delivery into the library, complete, verified, never half.
//!
//! Takes a delivery of a [`Source`] (a directory, SFTP, HTTP, S3), leaves read-only files in the library and one
//! [`Arrival`] each, which says what the file is by its content. Groups of files are handed on as soon as they are durable,
//! in the order in which they were wanted. What cannot be taken becomes a refusal; everything else goes on.
//!
//! Start at [`fetch`]. A new rule for names goes into [`names`], a new kind of content into [`examine`], a new kind of
//! source into [`source`]. Files of a directory go through `copying`, those from elsewhere through `lanes`; both
//! end in `landing`.
//! Does not know the database: what is known already is asked through [`Request::known`].

pub mod completeness;
pub mod examine;
pub mod manifest;
pub mod names;
pub mod pace;
pub mod source;
pub mod tuner;

mod copying;
mod landing;
mod lanes;
mod listing;
mod partial;
mod space;
mod unfinished;

pub use examine::{Content, FileKind, HduFact, SurveyRules};
pub use landing::Landed;
pub use pace::{Pace, Stall};
pub use source::{Entry, Source, SourceFault};
pub use space::{Fill, Volume};
pub use unfinished::Unfinished;

use model::Refusal;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

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
    /// Where it comes from.
    pub source: &'a dyn Source,
    /// Name of the delivery there.
    pub delivery: &'a str,
    /// The delivery's directories in the library, one per volume.
    pub volumes: &'a [Volume],
    /// Which volume is filled first.
    pub fill: Fill,
    /// How files of a directory get there; from elsewhere they are always copied.
    pub mode: Mode,
    /// Files of a directory at once.
    pub threads: usize,
    /// Lines to a source elsewhere at the most.
    pub lines_most: usize,
    /// How fast the source may be read.
    pub pace: &'a Pace,
    /// When a line counts as dead.
    pub stall: Stall,
    /// What the ledger knows of a name, oldest first.
    pub known: &'a (dyn Fn(&str) -> Vec<Known> + Sync),
    /// Name of the survey profile that fits a primary header, and what the profile says of such files.
    pub survey_of: &'a (dyn Fn(&fits::Header) -> SurveyRules + Sync),
    /// Finds files that another program is still writing.
    pub unfinished: &'a Unfinished,
    /// Longest file that is taken.
    pub file_bytes_most: u64,
    /// Names that mark a delivery as complete, e.g. `OK_TO_COPY`.
    pub markers: &'a [String],
    /// Whether a name is that of a list of checksums.
    pub is_manifest: &'a (dyn Fn(&str) -> bool + Sync),
    /// What comes first: files are brought by rising rank, then by name.
    pub rank: &'a (dyn Fn(&str) -> u8 + Sync),
    /// Whether a file may be taken; one that may still grow is left for another time.
    pub is_settled: &'a (dyn Fn(&Entry) -> bool + Sync),
    /// Called as the fetch goes on.
    pub progress: &'a (dyn Fn(Step<'_>) + Sync),
    /// Set by who wants it to end: what is complete is landed, the rest stays as it is.
    pub stop: &'a AtomicBool,
}

/// How far a fetch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// So much is to be brought.
    Begins {
        /// Files.
        files: usize,
        /// Their bytes, as far as the source tells.
        bytes: u64,
    },
    /// A file is over, one way or another.
    Ended {
        /// Its name.
        name: &'a str,
        /// Its bytes.
        bytes: u64,
    },
}

/// What vouches for the bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The provider's SHA-256.
    Sha256,
    /// The provider's MD5.
    Md5,
    /// The DATASUM of every HDU with data.
    Datasum,
    /// Size and date, the same before it was read and after.
    SecondLook,
}

impl Proof {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Md5 => "md5",
            Self::Datasum => "datasum",
            Self::SecondLook => "second_look",
        }
    }
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
    /// How often it was read from its beginning.
    pub tries: u32,
    /// Bytes that an earlier fetch had brought.
    pub resumed_bytes: u64,
    /// What vouches for it.
    pub proof: Proof,
    /// What it is.
    pub content: Content,
}

/// An entry that a source shows and that is not fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The name as the source shows it, escaped where needed.
    pub name: String,
    /// Machine-readable reason.
    pub code: &'static str,
    /// Reason in words.
    pub why: String,
}

/// The outcome of a fetch.
#[derive(Debug, Default)]
pub struct Fetched {
    /// New files, in the order of their names.
    pub arrivals: Vec<Arrival>,
    /// Files that were there already, unchanged.
    pub unchanged: Vec<String>,
    /// Names that the source shows and that may stay, sorted.
    pub present: Vec<String>,
    /// Of these, files that were read again because their date at the source is another one, with that date in nanoseconds
    /// since 1970.
    pub touched: Vec<(String, i64)>,
    /// What was not taken. (Damage found inside a file is in its [`Arrival`].)
    pub refusals: Vec<Refusal>,
    /// Entries that the source shows and that are not fetched: unfinished files, links to elsewhere.
    pub skipped: Vec<Skipped>,
    /// A completeness marker stands in the delivery.
    pub marked_complete: bool,
    /// Names that the provider's list has, and the name of that list.
    pub listed: Option<(usize, String)>,
    /// Files of the list that are not there.
    pub absent: usize,
    /// Files that may still be growing.
    pub unsettled: Vec<String>,
    /// Files that could not be brought for a reason that may pass, each with the reason.
    pub postponed: Vec<(String, String)>,
    /// Why the source could not be read to the end, when it is away.
    pub away: Option<String>,
    /// Files that were not come to, because it is away or the fetch was to stop.
    pub left: usize,
    /// Wanted files that are over, one way or another.
    pub over: usize,
    /// Lines that read at once, at the most.
    pub lines: usize,
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
    /// Entries that would not be fetched.
    pub skipped: Vec<Skipped>,
}

/// A delivery that could not be brought at all.
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
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Not enough room.
    #[error("{} needs {needed_bytes} bytes, {free_bytes} are free", shown(places))]
    NoSpace {
        /// The volumes of the library.
        places: Vec<PathBuf>,
        /// What would be written, with a reserve of 2 %.
        needed_bytes: u64,
        /// What is there, less what is to stay free.
        free_bytes: u64,
    },
    /// Who registers files failed.
    #[error("what arrived cannot be registered")]
    Ledger(#[source] Box<dyn std::error::Error + Send + Sync>),
}

fn shown(places: &[PathBuf]) -> String {
    let places: Vec<String> = places.iter().map(|p| p.display().to_string()).collect();
    places.join(", ")
}

impl TransferFault {
    /// Whether a precondition failed (room) rather than the machine.
    pub fn is_gate(&self) -> bool {
        matches!(self, Self::NoSpace { .. })
    }

    /// Whether the same call may succeed later without anybody's help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Source(SourceFault::Passing { .. }))
    }
}

/// Says what [`fetch`] would do, and does nothing.
///
/// # Errors
/// When the source cannot be listed, or the disks would not hold it all.
pub fn look(request: &Request<'_>) -> Result<Prospect, TransferFault> {
    let mut listing = listing::list(request)?;
    let mut refusals = listing.refusals;
    refusals.extend(space::allot(request, &mut listing.wanted)?);
    refusals.extend(listing.manifest.absent(&listing.present));
    Ok(Prospect {
        files: listing.wanted.len(),
        bytes: listing.wanted.iter().map(|w| w.bytes).sum(),
        unchanged: listing.unchanged.len(),
        refusals,
        skipped: listing.skipped,
    })
}

/// Brings every file of a delivery that is not in the library yet. `landed` is called for each group of files that is durable
/// and has its names; what it does not take in is brought again by the next fetch.
///
/// Safe to repeat and to interrupt: a file appears in the library whole, after its content was synced, and
/// a name that the ledger knows with other content is stored beside the old file, never over it.
///
/// # Errors
/// When the source cannot be listed, the library not written, the disks would not hold it all, or `landed` fails.
pub fn fetch(request: &Request<'_>, landed: &mut Landed<'_>) -> Result<Fetched, TransferFault> {
    let started = Instant::now();
    let mut listing = listing::list(request)?;
    let oversized = space::allot(request, &mut listing.wanted)?;
    let wanted = listing.wanted;
    let bytes = wanted.iter().map(|w| w.bytes).sum();
    (request.progress)(Step::Begins { files: wanted.len(), bytes });
    let directory = request.source.directory(request.delivery);
    let on_way: Vec<PathBuf> = match directory {
        Some(_) => Vec::new(),
        None => wanted.iter().map(|w| lanes::path_of(request, w)).collect(),
    };
    for volume in request.volumes {
        let path = &volume.directory;
        let fault = |source| TransferFault::Library { path: path.clone(), source };
        files::create_dir(path).map_err(fault)?;
        files::remove_temporaries(path).map_err(fault)?;
        partial::sweep(path, &on_way).map_err(fault)?;
    }
    let mut fetched = match directory {
        Some(directory) => {
            copying::copy_all(request, &directory, &wanted, &listing.manifest, landed)?
        }
        None => lanes::bring_all(request, &wanted, &listing.manifest, landed)?,
    };
    fetched.left = wanted.len() - fetched.over;
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

/// Sleeps, unless it is to stop.
fn sleep(time: Duration, stop: &AtomicBool) {
    let until = Instant::now() + time;
    while Instant::now() < until && !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(20).min(time));
    }
}
