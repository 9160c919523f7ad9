//! Files of a directory on this machine: copied, cloned, linked or left in place, with their checksums, several at once.

use crate::landing::{self, Complete, Landed, Landing, Outcome, Verdict};
use crate::listing::Wanted;
use crate::manifest::{Manifest, Stated};
use crate::partial::Sums;
use crate::{Fetched, Mode, Request, Step, TransferFault};
use files::OpenFault;
use md5::{Digest, Md5};
use model::{Refusal, RefusalCode};
use sha2::Sha256;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Instant;

/// Start of a file's name before the rename; `files::is_temporary` knows it.
const TEMPORARY: &str = ".publishing-arrival-";
/// Attempts at reading a file that changes while it is read.
const TRIES: u32 = 2;

/// Fetches the wanted files of a directory.
pub(crate) fn copy_all(
    request: &Request<'_>,
    directory: &Path,
    wanted: &[Wanted],
    manifest: &Manifest,
    landed: &mut Landed<'_>,
) -> Result<Fetched, TransferFault> {
    let (next, halt) = (AtomicUsize::new(0), AtomicBool::new(false));
    let fault: Mutex<Option<TransferFault>> = Mutex::new(None);
    let (sender, outcomes) = channel();
    let mut landing = Landing::new(request, landed);
    let received = std::thread::scope(|scope| {
        for _ in 0..request.threads.max(1).min(wanted.len()) {
            let sender = sender.clone();
            let (next, halt, fault) = (&next, &halt, &fault);
            scope.spawn(move || {
                let mut buffer = vec![0_u8; 1 << 20];
                while !halt.load(Ordering::Relaxed) && !request.stop.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(one) = wanted.get(index) else { return };
                    let paths = Paths::of(request, directory, one, index);
                    let outcome = fetch_one(request, one, &paths, manifest, &mut buffer);
                    (request.progress)(Step::Ended { name: &one.name, bytes: one.bytes });
                    match outcome {
                        Ok(outcome) => drop(sender.send((index, outcome))),
                        Err(error) => {
                            halt.store(true, Ordering::Relaxed);
                            fault.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(error);
                        }
                    }
                }
            });
        }
        drop(sender);
        let received = landing.receive(&outcomes, || {});
        halt.store(received.is_err(), Ordering::Relaxed);
        received
    });
    received?;
    match fault.into_inner().unwrap_or_else(|e| e.into_inner()) {
        Some(fault) => Err(fault),
        None => Ok(landing.fetched),
    }
}

/// The place of a file at the source, and its temporary place in the library.
struct Paths {
    source: PathBuf,
    /// True when the source is the target of a link: no link on the path to it is followed.
    is_target: bool,
    temporary: PathBuf,
}

impl Paths {
    fn of(request: &Request<'_>, directory: &Path, wanted: &Wanted, index: usize) -> Self {
        let name = format!("{TEMPORARY}{}-{index}", std::process::id());
        Self {
            source: match &wanted.entry.locator {
                Some(target) => PathBuf::from(target),
                None => directory.join(&wanted.name),
            },
            is_target: wanted.entry.locator.is_some(),
            temporary: request.volumes[wanted.volume].directory.join(name),
        }
    }
}

/// Fetches one file to a temporary name; retries once when the source changes meanwhile.
fn fetch_one(
    request: &Request<'_>,
    wanted: &Wanted,
    paths: &Paths,
    manifest: &Manifest,
    buffer: &mut [u8],
) -> Result<Outcome, TransferFault> {
    let began = Instant::now();
    let discard = || drop(std::fs::remove_file(&paths.temporary));
    for tries in 1..=TRIES {
        let opened = match paths.is_target {
            true => files::open_resolved(&paths.source),
            false => files::open_regular(&paths.source),
        };
        let mut source = match opened {
            Ok(file) => file,
            Err(fault) => return Ok(Outcome::Refused(of_open_fault(&wanted.name, &fault))),
        };
        let before = match source.metadata() {
            Ok(found) => found,
            Err(error) => return Ok(Outcome::Refused(unreadable(&wanted.name, &error))),
        };
        let stated = manifest.of(&wanted.name);
        let sums = match copy_one(request, &mut source, &paths.temporary, stated, buffer) {
            Ok(sums) => sums,
            Err(CopyFault::Source(error)) => {
                discard();
                return Ok(Outcome::Refused(unreadable(&wanted.name, &error)));
            }
            Err(CopyFault::Library(source)) => {
                discard();
                return Err(TransferFault::Library { path: paths.temporary.clone(), source });
            }
        };
        let changed = source.metadata().is_ok_and(|after| {
            (after.len(), after.mtime(), after.mtime_nsec())
                != (before.len(), before.mtime(), before.mtime_nsec())
        });
        if changed || sums.bytes != before.len() {
            discard();
            continue;
        }
        let stated_bytes = manifest.bytes_of(&wanted.name);
        let by = match landing::confirmed(&wanted.name, stated, stated_bytes, &sums) {
            Ok(by) => by,
            Err(refusal) => {
                discard();
                return Ok(Outcome::Refused(*refusal));
            }
        };
        let is_in_place = request.mode == Mode::InPlace;
        let in_place =
            || std::path::absolute(&paths.source).unwrap_or_else(|_| paths.source.clone());
        let complete = Complete {
            // A damaged copy from a local disk is not read again: a second read would return the same bytes.
            temporary: if is_in_place { in_place() } else { paths.temporary.clone() },
            is_in_place,
            modified_ns: before
                .mtime()
                .saturating_mul(1_000_000_000)
                .saturating_add(before.mtime_nsec()),
            tries,
            resumed_bytes: 0,
            began,
            sums,
        };
        let sha256 = complete.sums.sha256;
        return match landing::settle(request, wanted, complete, by, Some(sha256), &mut || true)? {
            Verdict::Done(outcome) => Ok(outcome),
            Verdict::Suspect(_) => unreachable!("the same copy is not suspect twice"),
        };
    }
    let message = "the file changed twice while it was read: still being written?".to_owned();
    Ok(Outcome::Refused(Refusal::new(
        RefusalCode::CHANGED_WHILE_READ,
        wanted.name.clone(),
        message,
    )))
}

enum CopyFault {
    Source(io::Error),
    Library(io::Error),
}

fn copy_one(
    request: &Request<'_>,
    source: &mut File,
    temporary: &Path,
    stated: Option<&Stated>,
    buffer: &mut [u8],
) -> Result<Sums, CopyFault> {
    let mut target = match request.mode {
        Mode::Copy => Some(
            File::options()
                .write(true)
                .create(true)
                .truncate(true)
                .open(temporary)
                .map_err(CopyFault::Library)?,
        ),
        Mode::Link => {
            link_open_file(source, temporary).map_err(CopyFault::Library)?;
            None
        }
        Mode::InPlace => None,
    };
    // On a file system with copy-on-write the clone costs nothing, and only the read remains.
    let cloned = target.as_ref().is_some_and(|t| rustix::fs::ioctl_ficlone(t, &*source).is_ok());
    let mut sha = Sha256::new();
    let mut md5 = stated.is_some_and(Stated::is_md5).then(Md5::new);
    let mut bytes = 0;
    loop {
        let n = match source.read(buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CopyFault::Source(error)),
        };
        sha.update(&buffer[..n]);
        if let Some(md5) = &mut md5 {
            md5.update(&buffer[..n]);
        }
        if let (Some(target), false) = (&mut target, cloned) {
            target.write_all(&buffer[..n]).map_err(CopyFault::Library)?;
        }
        bytes += n as u64;
        request.pace.pass(n);
    }
    if let Some(target) = &target {
        target
            .set_permissions(std::fs::Permissions::from_mode(files::allowed(0o444)))
            .map_err(CopyFault::Library)?;
    }
    let md5 = md5.map(|m| files::hex(&m.finalize()));
    Ok(Sums { bytes, sha256: model::Sha256::new(sha.finalize().into()), md5 })
}

/// Makes a second name for the open file, even if its first name now refers to another file.
fn link_open_file(source: &File, temporary: &Path) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let _ = std::fs::remove_file(temporary);
    let open = format!("/proc/self/fd/{}", source.as_raw_fd());
    let flags = rustix::fs::AtFlags::SYMLINK_FOLLOW;
    Ok(rustix::fs::linkat(rustix::fs::CWD, open, rustix::fs::CWD, temporary, flags)?)
}

fn of_open_fault(name: &str, fault: &OpenFault) -> Refusal {
    Refusal::new(RefusalCode::of_fault(fault.code()), name, format!("the file {fault}"))
}

fn unreadable(name: &str, error: &io::Error) -> Refusal {
    Refusal::new(RefusalCode::IO_ERROR, name, format!("reading stopped: {error}"))
}
