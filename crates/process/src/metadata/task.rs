//! A whole metadata task: opens the files, reads them on several threads, keeps the order.

use fits::{FitsError, FitsFile, Limits};
use model::Refusal;
use model::profile::SurveyProfile;
use model::task::{FileRef, TaskFile, TaskInput};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::{Extractor, Kind, Products, Rows, notes};

/// Frames that one thread takes at a time. Batches are cut there too, whatever the number of threads.
const BLOCK: usize = 64;

/// Why a task could not be done; trying again may help.
#[derive(Debug, thiserror::Error)]
pub enum TaskFault {
    /// The machine failed, not the file.
    #[error("a file of the library could not be read")]
    Fits(#[from] FitsError),
    /// The file is not there, or not yet as it was registered (network file systems take their time).
    #[error("{} has {found_bytes:?} bytes, {wanted_bytes} were registered", path.display())]
    NotAsRegistered {
        /// The file.
        path: PathBuf,
        /// Length now; `None` when it cannot be opened.
        found_bytes: Option<u64>,
        /// Length when it was registered.
        wanted_bytes: u64,
    },
}

/// Extracts the metadata of all inputs, on as many threads as the task allows. The result does not depend on how
/// many there are.
///
/// # Errors
/// When the machine failed. Whatever is wrong with a file is a refusal among the products.
pub fn run(task: &TaskFile, profile: &SurveyProfile) -> Result<Products, TaskFault> {
    let extractor = Extractor::new(profile, &task.programmes, &task.unit.delivery);
    let limits = Limits { expansion_ratio: profile.limits.expansion_ratio, ..Limits::default() };
    let blocks: Vec<&[TaskInput]> = task.inputs.chunks(BLOCK).collect();
    let threads = usize::try_from(task.limits.threads).unwrap_or(1).clamp(1, blocks.len().max(1));
    let next = AtomicUsize::new(0);
    let (results, received) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let results = results.clone();
            let (next, blocks, extractor, limits) = (&next, &blocks, &extractor, &limits);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(inputs) = blocks.get(number) else { return };
                    let done = block(extractor, inputs, limits);
                    let failed = done.is_err();
                    if results.send((number, done)).is_err() || failed {
                        return;
                    }
                }
            });
        }
        drop(results);
    });
    let mut done: Vec<_> = received.into_iter().collect();
    done.sort_by_key(|(number, _)| *number);
    let blocks: Result<Vec<Products>, TaskFault> = done.into_iter().map(|(_, done)| done).collect();
    Ok(joined(blocks?))
}

fn joined(blocks: Vec<Products>) -> Products {
    let tables = Kind::ALL.map(|kind| (kind.sheet().table, Vec::new()));
    let mut all = Products {
        tables: tables.into(),
        refusals: Vec::new(),
        findings: Vec::new(),
        input_bytes: 0,
    };
    for block in blocks {
        for ((_, whole), (_, part)) in all.tables.iter_mut().zip(block.tables) {
            whole.extend(part);
        }
        all.refusals.extend(block.refusals);
        all.findings.extend(block.findings);
        all.input_bytes += block.input_bytes;
    }
    all.findings = notes::counted(all.findings);
    all
}

fn block(
    extractor: &Extractor<'_>,
    inputs: &[TaskInput],
    limits: &Limits,
) -> Result<Products, TaskFault> {
    let mut rows = Rows::default();
    let mut input_bytes = 0;
    for input in inputs {
        let Some(image) = open(&input.image, limits, &mut rows)? else { continue };
        input_bytes += input.image.bytes;
        let catalogue = match &input.catalogue {
            Some(catalogue) => {
                input_bytes += catalogue.file.bytes;
                open(&catalogue.file, limits, &mut rows)?
            }
            None => None,
        };
        extractor.extract(input, &image, catalogue.as_ref(), &mut rows);
    }
    let mut products = rows.finish();
    products.input_bytes = input_bytes;
    Ok(products)
}

/// Opens a file of the library; `None` when it is refused.
fn open(file: &FileRef, limits: &Limits, rows: &mut Rows) -> Result<Option<FitsFile>, TaskFault> {
    let not_as_registered = |found_bytes| TaskFault::NotAsRegistered {
        path: file.path.clone(),
        found_bytes,
        wanted_bytes: file.bytes,
    };
    let opened = files::open_regular(&file.path).map_err(|_| not_as_registered(None))?;
    let found = opened.metadata().map_err(|_| not_as_registered(None))?.len();
    if found != file.bytes {
        return Err(not_as_registered(Some(found)));
    }
    match FitsFile::from_open(&file.path, opened, limits) {
        Ok(fits) => Ok(Some(fits)),
        Err(error) if error.fault.is_transient() => Err(error.into()),
        Err(error) => {
            rows.add_refusal(refusal(file, &error));
            Ok(None)
        }
    }
}

fn refusal(file: &FileRef, error: &FitsError) -> Refusal {
    Refusal {
        code: error.fault.code().to_owned(),
        file: file.name.clone(),
        hdu: error.hdu.map(|hdu| hdu.0),
        keyword: None,
        column: None,
        message: error.fault.to_string(),
        rows: 0,
        row_ranges: Vec::new(),
        parked: false,
    }
}
