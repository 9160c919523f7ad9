//! Copying with checksums, several files at once, durable in groups.

use crate::listing::Wanted;
use crate::manifest::{Manifest, Stated};
use crate::{Arrival, Fetched, Known, Mode, Request, TransferFault, examine};
use files::{OpenFault, crash_point};
use md5::{Digest, Md5};
use model::Refusal;
use sha2::Sha256;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Files, and bytes, that become durable together: one sync of the disk instead of one per file.
const GROUP_FILES: usize = 512;
const GROUP_BYTES: u64 = 4 << 30;
/// Name before the rename; `files::is_temporary` knows it.
const TEMPORARY: &str = ".publishing-arrival-";

/// Refuses to start what will not fit. A file that alone is larger than the disk holds no other up: it is taken out and
/// refused.
pub(crate) fn check_room(
    request: &Request,
    wanted: &mut Vec<Wanted>,
) -> Result<Vec<Refusal>, TransferFault> {
    let library = |source| TransferFault::Library { path: request.library.to_owned(), source };
    if request.mode != Mode::Copy {
        return Ok(Vec::new());
    }
    let disk = request.library.ancestors().find(|dir| dir.is_dir()).unwrap_or(request.library);
    let free_bytes = files::free_bytes(disk).map_err(library)?;
    let mut refused = Vec::new();
    for one in wanted.extract_if(.., |one| one.bytes > free_bytes) {
        let message = format!("it has {} bytes, the library has room for {free_bytes}", one.bytes);
        refused.push(Refusal::new("no_room", one.name, message));
    }
    let bytes = wanted.iter().fold(0_u64, |sum, one| sum.saturating_add(one.bytes));
    let needed_bytes = bytes.saturating_add(bytes / 50);
    if needed_bytes > free_bytes {
        return Err(TransferFault::NoSpace {
            path: request.library.to_owned(),
            needed_bytes,
            free_bytes,
        });
    }
    Ok(refused)
}

/// Brings the wanted files, group by group.
pub(crate) fn copy_all(
    request: &Request,
    wanted: Vec<Wanted>,
    manifest: &Manifest,
) -> Result<Fetched, TransferFault> {
    let fault = |source| TransferFault::Library { path: request.library.to_owned(), source };
    files::remove_temporaries(request.library).map_err(fault)?;
    let mut fetched = Fetched::default();
    let mut rest = wanted.as_slice();
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.iter().take(GROUP_FILES).take_while(|w| {
            bytes += w.bytes;
            bytes <= GROUP_BYTES
        });
        let (group, later) = rest.split_at(fits.count().max(1));
        bring_group(request, group, manifest, &mut fetched)?;
        rest = later;
    }
    Ok(fetched)
}

/// A file that lies in the library under its temporary name (or stays where it is).
struct Brought {
    arrival: Arrival,
    temporary: Option<PathBuf>,
    confirmed: bool,
}

enum Outcome {
    Brought(Box<Brought>),
    Unchanged(String),
    Refused(Refusal),
}

fn bring_group(
    request: &Request,
    group: &[Wanted],
    manifest: &Manifest,
    fetched: &mut Fetched,
) -> Result<(), TransferFault> {
    let next = AtomicUsize::new(0);
    let outcomes: Mutex<Vec<(usize, Result<Outcome, TransferFault>)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..request.threads.max(1).min(group.len()) {
            scope.spawn(|| {
                let mut buffer = vec![0_u8; 1 << 20];
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(wanted) = group.get(index) else { return };
                    let outcome = bring(request, wanted, index, manifest, &mut buffer);
                    (request.progress)(&wanted.name, wanted.bytes);
                    if let Ok(mut all) = outcomes.lock() {
                        all.push((index, outcome));
                    }
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    outcomes.sort_by_key(|(index, _)| *index);
    let mut brought = Vec::new();
    for (_, outcome) in outcomes {
        match outcome? {
            Outcome::Brought(one) => brought.push(*one),
            Outcome::Unchanged(name) => fetched.unchanged.push(name),
            Outcome::Refused(refusal) => fetched.refusals.push(refusal),
        }
    }
    publish_group(request, brought, fetched)
}

/// Syncs the group's content, then gives every file its name, then syncs the names.
fn publish_group(
    request: &Request,
    brought: Vec<Brought>,
    fetched: &mut Fetched,
) -> Result<(), TransferFault> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| TransferFault::Library { path, source }
    };
    if brought.iter().any(|b| b.temporary.is_some()) {
        crash_point("transfer:before-sync");
        files::sync_disk(request.library).map_err(at(request.library))?;
        crash_point("transfer:before-rename");
        for Brought { arrival, temporary, .. } in &brought {
            let Some(temporary) = temporary else { continue };
            std::fs::rename(temporary, &arrival.path).map_err(at(&arrival.path))?;
            crash_point("transfer:after-rename");
        }
        let mut directories: Vec<&Path> =
            brought.iter().filter_map(|b| b.arrival.path.parent()).collect();
        directories.sort_unstable();
        directories.dedup();
        for directory in directories {
            files::sync_dir(directory).map_err(at(directory))?;
        }
        crash_point("transfer:renamed");
    }
    for one in brought {
        fetched.bytes += one.arrival.bytes;
        fetched.confirmed += usize::from(one.confirmed);
        fetched.arrivals.push(one.arrival);
    }
    Ok(())
}

/// Brings one file under a temporary name; taken again, once, when the source changes meanwhile.
fn bring(
    request: &Request,
    wanted: &Wanted,
    index: usize,
    manifest: &Manifest,
    buffer: &mut [u8],
) -> Result<Outcome, TransferFault> {
    let started = Instant::now();
    for tries in 1..=2 {
        let mut source = match files::open_regular(&wanted.source) {
            Ok(file) => file,
            Err(fault) => return Ok(Outcome::Refused(of_open_fault(&wanted.name, &fault))),
        };
        let before = match source.metadata() {
            Ok(found) => found,
            Err(error) => return Ok(Outcome::Refused(unreadable(&wanted.name, &error))),
        };
        let temporary = request.library.join(format!("{TEMPORARY}{}-{index}", std::process::id()));
        let stated = manifest.of(&wanted.name);
        let sums = match copy_one(request, &mut source, &temporary, stated, buffer) {
            Ok(sums) => sums,
            Err(CopyFault::Source(error)) => {
                let _ = std::fs::remove_file(&temporary);
                return Ok(Outcome::Refused(unreadable(&wanted.name, &error)));
            }
            Err(CopyFault::Library(source)) => {
                let _ = std::fs::remove_file(&temporary);
                return Err(TransferFault::Library { path: temporary, source });
            }
        };
        let changed = source.metadata().is_ok_and(|after| {
            (after.len(), after.mtime(), after.mtime_nsec())
                != (before.len(), before.mtime(), before.mtime_nsec())
        });
        if changed || sums.bytes != before.len() {
            let _ = std::fs::remove_file(&temporary);
            continue;
        }
        if let Some(refusal) = contradiction(&wanted.name, stated, &sums) {
            let _ = std::fs::remove_file(&temporary);
            return Ok(Outcome::Refused(refusal));
        }
        let modified_ns =
            before.mtime().saturating_mul(1_000_000_000).saturating_add(before.mtime_nsec());
        let confirmed = stated.is_some();
        let arrived = Arrived { sums, modified_ns, tries, temporary, started };
        return settle(request, wanted, arrived, confirmed);
    }
    let message = "it changed twice while it was read: still being written?".to_owned();
    Ok(Outcome::Refused(Refusal::new("changed_while_read", wanted.name.clone(), message)))
}

/// What one reading of a source gave.
struct Arrived {
    sums: Sums,
    modified_ns: i64,
    tries: u32,
    temporary: PathBuf,
    started: Instant,
}

/// Finds the file's final place and says what it is.
fn settle(
    request: &Request,
    wanted: &Wanted,
    arrived: Arrived,
    confirmed: bool,
) -> Result<Outcome, TransferFault> {
    let Arrived { sums, modified_ns, tries, temporary, started } = arrived;
    let known = (request.known)(&wanted.name);
    let stored = known.iter().find(|k| k.sha256 == sums.sha256);
    if let Some(stored) = stored
        && !stored.look_again
        && std::fs::symlink_metadata(&stored.path).is_ok_and(|m| m.len() == stored.bytes)
        && known.last().is_some_and(|latest| latest == stored)
    {
        let _ = std::fs::remove_file(&temporary);
        return Ok(Outcome::Unchanged(wanted.name.clone()));
    }
    let in_place = request.mode == Mode::InPlace;
    let path = match (in_place, stored) {
        (true, _) => std::path::absolute(&wanted.source).unwrap_or_else(|_| wanted.source.clone()),
        (false, Some(stored)) => stored.path.clone(),
        (false, None) => place_for(request.library, &wanted.name, &known)?,
    };
    let read_from = if in_place { &path } else { &temporary };
    let content = examine::examine(read_from, &wanted.name, request.survey_of);
    let arrival = Arrival {
        name: wanted.name.clone(),
        path,
        bytes: sums.bytes,
        modified_ns,
        sha256: sums.sha256,
        seconds: started.elapsed().as_secs_f64(),
        tries,
        content,
    };
    let temporary = (!in_place).then_some(temporary);
    Ok(Outcome::Brought(Box::new(Brought { arrival, temporary, confirmed })))
}

/// `library/<delivery>/<name>` for the first content of a name, `…/<n>/<name>` for the n-th.
fn place_for(library: &Path, name: &str, known: &[Known]) -> Result<PathBuf, TransferFault> {
    if known.is_empty() {
        return Ok(library.join(name));
    }
    let directory = library.join((known.len() + 1).to_string());
    files::create_dir(&directory)
        .map_err(|source| TransferFault::Library { path: directory.clone(), source })?;
    Ok(directory.join(name))
}

struct Sums {
    bytes: u64,
    sha256: String,
    md5: Option<String>,
}

enum CopyFault {
    Source(io::Error),
    Library(io::Error),
}

fn copy_one(
    request: &Request,
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
    // On a file system with copy-on-write the clone costs nothing, and only the reading is left to do.
    let cloned = target.as_ref().is_some_and(|t| rustix::fs::ioctl_ficlone(t, &*source).is_ok());
    let mut sha = Sha256::new();
    let mut md5 = matches!(stated, Some(Stated::Md5(_))).then(Md5::new);
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
    }
    if let Some(target) = &target {
        target
            .set_permissions(std::fs::Permissions::from_mode(0o444))
            .map_err(CopyFault::Library)?;
    }
    let md5 = md5.map(|m| files::hex(&m.finalize()));
    Ok(Sums { bytes, sha256: files::hex(&sha.finalize()), md5 })
}

/// A second name for the file that is open, whatever its first name points at by now.
fn link_open_file(source: &File, temporary: &Path) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let _ = std::fs::remove_file(temporary);
    let open = format!("/proc/self/fd/{}", source.as_raw_fd());
    let flags = rustix::fs::AtFlags::SYMLINK_FOLLOW;
    Ok(rustix::fs::linkat(rustix::fs::CWD, open, rustix::fs::CWD, temporary, flags)?)
}

/// A refusal when the provider's own list says otherwise.
fn contradiction(name: &str, stated: Option<&Stated>, sums: &Sums) -> Option<Refusal> {
    let (kind, stated, found) = match stated? {
        Stated::Sha256(sum) => ("SHA-256", sum, sums.sha256.as_str()),
        Stated::Md5(sum) => ("MD5", sum, sums.md5.as_deref()?),
    };
    (stated != found).then(|| {
        let message = format!("the provider states {kind} {stated}, the file has {found}");
        Refusal::new("checksum_not_as_stated", name, message)
    })
}

fn of_open_fault(name: &str, fault: &OpenFault) -> Refusal {
    Refusal::new(fault.code(), name, format!("it {fault}"))
}

fn unreadable(name: &str, error: &io::Error) -> Refusal {
    Refusal::new("io_error", name, format!("reading stopped: {error}"))
}
