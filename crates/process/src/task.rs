//! The common part of the tasks of all use cases: library files opened as they were registered, and work that is distributed to
//! threads while its results keep their order.

use fits::{FitsError, FitsFile, Limits};
use model::profile::SurveyProfile;
use model::task::FileRef;
use model::{Refusal, RefusalCode, one_line};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError, mpsc};

/// The reason why a task could not be done; a retry may succeed.
#[derive(Debug, thiserror::Error)]
pub enum TaskFault {
    /// The machine failed, not the file.
    #[error("a file of the library could not be read")]
    Fits(#[from] FitsError),
    /// The file is absent, or not yet as it was registered (network file systems may lag).
    #[error("{} has {found_bytes:?} bytes, {wanted_bytes} were registered", path.display())]
    NotAsRegistered {
        /// The file.
        path: PathBuf,
        /// Length now; `None` when it cannot be opened.
        found_bytes: Option<u64>,
        /// Length when it was registered.
        wanted_bytes: u64,
    },
    /// A product could not be written.
    #[error("{name} could not be written")]
    Write {
        /// Name of the product.
        name: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
}

static FILES_OPENED: AtomicU64 = AtomicU64::new(0);

/// Returns the number of library files that this process has opened for tasks until now: a measure of progress only.
pub fn files_opened() -> u64 {
    FILES_OPENED.load(Ordering::Relaxed)
}

/// A file of the library: opened, or rejected.
#[derive(Debug)]
pub(crate) enum Opened {
    Usable(FitsFile),
    Refused(Refusal),
}

/// Opens a file of the library, if it is as it was registered.
///
/// # Errors
/// Fails when the file is not as registered, or the machine failed. Any fault of the file's content is a refusal.
pub(crate) fn open(file: &FileRef, limits: &Limits) -> Result<Opened, TaskFault> {
    let not_as_registered = |found_bytes| TaskFault::NotAsRegistered {
        path: file.path.clone(),
        found_bytes,
        wanted_bytes: file.bytes,
    };
    FILES_OPENED.fetch_add(1, Ordering::Relaxed);
    let opened = files::open_regular(&file.path).map_err(|_| not_as_registered(None))?;
    let found = opened.metadata().map_err(|_| not_as_registered(None))?.len();
    if found != file.bytes {
        return Err(not_as_registered(Some(found)));
    }
    match FitsFile::from_open(&file.path, opened, limits) {
        Ok(fits) => Ok(Opened::Usable(fits)),
        Err(error) if error.fault.is_transient() => Err(error.into()),
        Err(error) => Ok(Opened::Refused(refusal(&file.name, &error))),
    }
}

/// Returns the limits on the files of a survey.
pub fn limits(profile: &SurveyProfile) -> Limits {
    let limits = &profile.limits;
    Limits {
        expansion_ratio: limits.expansion_ratio,
        ratio_from_bytes: limits.ratio_from_bytes,
        unpacked_bytes: limits.unpacked_bytes,
        ..Limits::default()
    }
}

/// Returns the refusal for a fault of a file or HDU; `name` is that of the file within its delivery.
pub(crate) fn refusal(name: &str, error: &FitsError) -> Refusal {
    Refusal {
        hdu: error.hdu.map(|hdu| hdu.0),
        keyword: error.fault.keyword().map(str::to_owned),
        column: error.fault.column(),
        ..Refusal::new(RefusalCode::of_fault(error.fault.code()), name, one_line(&error.fault))
    }
}

/// Does `work` for every item on up to `threads` threads and passes the results to `take` on this one, in the order of the
/// items and while the work continues. After the first error no new item is started.
///
/// # Errors
/// Returns the error that is first in the order of the items, of `work` or `take`.
pub(crate) fn in_order<I: Sync, R: Send, E: Send>(
    items: &[I],
    threads: u32,
    work: impl Fn(&I) -> Result<R, E> + Sync,
    mut take: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let threads = usize::try_from(threads).unwrap_or(1).clamp(1, items.len().max(1));
    let next = AtomicUsize::new(0);
    let window = Window { ahead: AHEAD * threads, due: Mutex::new(Some(0)), moved: Condvar::new() };
    // The channel is bounded, so that a slow disk blocks the work instead of filling the memory.
    let (results, received) = mpsc::sync_channel(threads);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (results, next, window, work) = (results.clone(), &next, &window, &work);
            scope.spawn(move || {
                let _closed_by_a_panic = CloseOnPanic(window);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(number) else { return };
                    if !window.opens_for(number) || results.send((number, work(item))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(results);
        let _closed_by_a_panic = CloseOnPanic(&window);
        let take_all = || {
            let mut early = BTreeMap::new();
            let mut due = 0;
            for (number, result) in received {
                early.insert(number, result);
                while let Some(result) = early.remove(&due) {
                    take(result?)?;
                    due += 1;
                    window.move_to(Some(due));
                }
            }
            Ok(())
        };
        let outcome = take_all();
        window.move_to(None);
        outcome
    })
}

/// Items per thread that may be worked on before their turn to be taken: while one item takes long, the results of others wait
/// in memory.
const AHEAD: usize = 4;

/// A guard for a thread that panics: its item is lost, and the others must not wait for it.
struct CloseOnPanic<'a>(&'a Window);

impl Drop for CloseOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.move_to(None);
        }
    }
}

/// The limit on the work ahead of the results taken.
struct Window {
    ahead: usize,
    /// The item to be taken next; `None` when no more are taken.
    due: Mutex<Option<usize>>,
    moved: Condvar,
}

impl Window {
    /// Waits until an item may be worked on; `false` when it is no longer needed.
    fn opens_for(&self, number: usize) -> bool {
        let due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = |due: &mut Option<usize>| due.is_some_and(|due| number >= due + self.ahead);
        let due = self.moved.wait_while(due, closed).unwrap_or_else(PoisonError::into_inner);
        due.is_some()
    }

    /// Moves the window to an item; a closed window stays closed.
    fn move_to(&self, to: Option<usize>) {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        *due = due.and(to);
        drop(due);
        self.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u64> = (0..40).collect();
        for threads in [0, 1, 3, 100] {
            let mut taken = Vec::new();
            let work = |n: &u64| {
                std::thread::sleep(Duration::from_micros((40 - n) % 7 * 50));
                Ok::<u64, ()>(n * n)
            };
            in_order(&items, threads, work, |r| {
                taken.push(r);
                Ok(())
            })
            .unwrap();
            assert!(taken.iter().zip(&items).all(|(t, n)| *t == n * n), "{threads}: {taken:?}");
            assert_eq!(taken.len(), 40);
        }
    }

    #[test]
    fn the_first_error_in_order_ends_the_work() {
        let items: Vec<usize> = (0..1000).collect();
        let begun = AtomicUsize::new(0);
        let work = |n: &usize| {
            begun.fetch_add(1, Ordering::Relaxed);
            if [20, 21].contains(n) { Err(*n) } else { Ok(*n) }
        };
        let mut taken = 0;
        let fault = in_order(&items, 4, work, |_| {
            taken += 1;
            Ok(())
        });
        assert_eq!((fault, taken), (Err(20), 20));
        assert!(begun.load(Ordering::Relaxed) <= 20 + 4 * AHEAD, "{begun:?}");
        let panics = std::panic::catch_unwind(|| {
            let work = |n: &usize| match n {
                27 | 28 => {
                    std::thread::sleep(Duration::from_millis(30));
                    Ok::<_, ()>(*n)
                }
                30 => panic!("a mistake"),
                _ => Ok(*n),
            };
            in_order(&items, 4, work, |_| Ok(()))
        });
        assert!(panics.is_err(), "and nobody waits");
        let panics = std::panic::catch_unwind(|| {
            in_order(
                &items,
                4,
                |n| Ok::<_, ()>(*n),
                |n| if n == 7 { panic!("another") } else { Ok(()) },
            )
        });
        assert!(panics.is_err(), "and nobody waits");
        let fault = in_order(&items, 4, |n| Ok(*n), |n| if n == 5 { Err("full") } else { Ok(()) });
        assert_eq!(fault, Err("full"));
        assert_eq!(in_order(&[] as &[u8], 4, |_| Ok::<u8, ()>(0), |_| Err(())), Ok(()));
    }
}
