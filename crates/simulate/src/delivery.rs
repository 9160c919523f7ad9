//! A night on disk: its frames are written into its directory, in parallel, and its marker last.

use crate::frame_files::make_frame;
use crate::plan::{Frame, plan};
use crate::spec::{NightSpec, SpecFault};
use crate::truth::TrueFrame;
use fits::write::{Checks, WriteFault};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Name of the file that marks a delivery as complete.
pub const MARKER: &str = "OK_TO_COPY";

/// The reason that a night was not simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// It cannot be simulated as requested.
    #[error("no such night can be simulated")]
    Spec(#[from] SpecFault),
    /// The delivery exists already.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// The system refused.
    #[error("cannot write {}", path.display())]
    Io {
        /// File or directory.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// A header or table that is not FITS: a defect of this crate.
    #[error("{file} would not be FITS")]
    Format {
        /// Name of the file.
        file: String,
        /// The fault.
        #[source]
        source: WriteFault,
    },
}

/// The progress of a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Frames finished.
    pub done: usize,
    /// Frames in all.
    pub frames: usize,
    /// Bytes written until now.
    pub bytes: u64,
}

/// A simulated night.
#[derive(Clone, Debug)]
pub struct NightSummary {
    /// The delivery's directory.
    pub delivery: PathBuf,
    /// The images, in the order of their run numbers.
    pub frames: Vec<TrueFrame>,
    /// Files written, catalogues, damaged files and marker included.
    pub files: usize,
    /// Detectors of all images.
    pub detectors: usize,
    /// Rows of all catalogues.
    pub rows: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Damaged files and their expected outcomes.
    pub faults: Vec<crate::damage::Planted>,
}

/// Writes a night into a new directory below `out` and marks it complete. `progress` is called after each frame,
/// from any thread.
///
/// # Errors
/// An impossible night, a delivery that exists already, or a failure of the disk.
pub fn night(
    out: &Path,
    spec: &NightSpec,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<NightSummary, SimulateError> {
    spec.check()?;
    let delivery = out.join(spec.delivery());
    let fault = |path: &Path, source| SimulateError::Io { path: path.to_owned(), source };
    if delivery.exists() {
        return Err(SimulateError::Exists(delivery));
    }
    files::create_dir(&delivery).map_err(|error| fault(&delivery, error))?;
    let frames = plan(spec);
    let mut summary = write_frames(&delivery, spec, &frames, progress)?;
    if spec.faults {
        summary.faults =
            crate::damage::plant(&delivery, spec).map_err(|error| fault(&delivery, error))?;
        let entries = std::fs::read_dir(&delivery).map_err(|error| fault(&delivery, error))?;
        summary.files = entries.count() + 1;
    }
    // Nothing reads the files before the marker exists: one sync for all files, then the marker separately.
    files::sync_disk(&delivery).map_err(|error| fault(&delivery, error))?;
    let marker = delivery.join(MARKER);
    files::publish_bytes(&marker, b"").map_err(|error| fault(&marker, error.source))?;
    Ok(summary)
}

/// Writes all frames, as many in parallel as there are threads.
fn write_frames(
    delivery: &Path,
    spec: &NightSpec,
    frames: &[Frame],
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<NightSummary, SimulateError> {
    let threads = match spec.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let next = AtomicUsize::new(0);
    let finished = Mutex::new((Progress { done: 0, frames: frames.len(), bytes: 0 }, Vec::new()));
    let failed = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(frames.len()) {
            scope.spawn(|| {
                while let Some(frame) = frames.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match write_frame(delivery, spec, frame) {
                        Ok(written) => {
                            let mut finished = lock(&finished);
                            finished.0.done += 1;
                            finished.0.bytes += written.bytes;
                            let now = finished.0;
                            finished.1.push((frame.run, written));
                            drop(finished);
                            progress(now);
                        }
                        Err(error) => {
                            next.store(frames.len(), Ordering::Relaxed);
                            lock(&failed).get_or_insert(error);
                        }
                    }
                }
            });
        }
    });
    if let Some(error) = lock(&failed).take() {
        return Err(error);
    }
    let mut written = std::mem::take(&mut lock(&finished).1);
    written.sort_by(|a, b| (a.0, &a.1.truth.file).cmp(&(b.0, &b.1.truth.file)));
    let written: Vec<Written> = written.into_iter().map(|(_, written)| written).collect();
    Ok(NightSummary {
        delivery: delivery.to_owned(),
        files: written.iter().map(|w| w.files).sum::<usize>() + 1,
        detectors: 4 * written.len(),
        rows: written.iter().map(|w| w.truth.rows).sum(),
        bytes: written.iter().map(|w| w.bytes).sum(),
        faults: Vec::new(),
        frames: written.into_iter().map(|w| w.truth).collect(),
    })
}

/// Locks a mutex, ignoring a panic of another thread: the guarded value is only ever added to.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A frame on disk.
struct Written {
    truth: TrueFrame,
    files: usize,
    bytes: u64,
}

fn write_frame(delivery: &Path, spec: &NightSpec, frame: &Frame) -> Result<Written, SimulateError> {
    let format = |source| SimulateError::Format { file: frame.file.clone(), source };
    let (made, truth) = make_frame(spec, frame, Checks::Written).map_err(format)?;
    let mut written = Written { truth, files: 0, bytes: 0 };
    let names = std::iter::once(frame.file.clone()).chain(frame.catalogue());
    for (name, bytes) in names.zip([Some(made.image), made.catalogue].into_iter().flatten()) {
        let path = delivery.join(name);
        std::fs::write(&path, &bytes)
            .map_err(|source| SimulateError::Io { path: path.clone(), source })?;
        written.files += 1;
        written.bytes += bytes.len() as u64;
    }
    Ok(written)
}
