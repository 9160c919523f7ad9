//! The last steps of a file: its examination and final place; then sync in groups, rename, and registration.
//!
//! Files are registered in the order of the wanted files, whichever arrived first, so that their ids do not depend on the speed
//! of connections. A file that fails is skipped and registered when it arrives.

use crate::listing::Wanted;
use crate::partial::Sums;
use crate::{Content, Fetched, FetchedFile, Known, Request, TransferFault, examine};
use files::crash_point;
use model::{Refusal, RefusalCode, Sha256, Verification};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Limits in files and bytes of a group that becomes durable together: one sync of the disk instead of one per file.
const GROUP_FILES: usize = 512;
const GROUP_BYTES: u64 = 2 << 30;
/// Longest time that a complete file waits for others.
const GROUP_AGE: Duration = Duration::from_secs(2);

/// A file that is in the library under a temporary name (or remains in its place).
pub(crate) struct Arrived {
    pub arrival: FetchedFile,
    pub temporary: Option<PathBuf>,
}

/// The outcome of a wanted file.
pub(crate) enum Outcome {
    Arrived(Box<Arrived>),
    /// The file was read again and its content is unchanged; with its date at the source, in nanoseconds since 1970.
    Unchanged(String, i64),
    Refused(Refusal),
    /// The file could not be fetched for a temporary reason.
    Postponed {
        name: String,
        why: String,
    },
    /// The file failed; its outcome follows.
    Failing,
}

/// The function called for every group of files that is durable and has its names; a file that it does not register is fetched
/// again by the next fetch.
pub type Landed<'a> =
    dyn FnMut(&[FetchedFile]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> + 'a;

/// The receiver of outcomes, which lands them in their order.
pub(crate) struct Landing<'r, 'l> {
    request: &'r Request<'r>,
    landed: &'l mut Landed<'l>,
    early: BTreeMap<usize, Outcome>,
    failing: BTreeSet<usize>,
    next: usize,
    group: Vec<Arrived>,
    group_since: Option<Instant>,
    pub fetched: Fetched,
}

impl<'r, 'l> Landing<'r, 'l> {
    pub fn new(request: &'r Request<'r>, landed: &'l mut Landed<'l>) -> Self {
        Self {
            request,
            landed,
            early: BTreeMap::new(),
            failing: BTreeSet::new(),
            next: 0,
            group: Vec::new(),
            group_since: None,
            fetched: Fetched::default(),
        }
    }

    /// Lands outcomes until all senders have stopped. `step` is called at intervals.
    pub fn receive(
        &mut self,
        outcomes: &Receiver<(usize, Outcome)>,
        mut step: impl FnMut(),
    ) -> Result<(), TransferFault> {
        loop {
            match outcomes.recv_timeout(Duration::from_millis(100)) {
                Ok((index, outcome)) => self.take(index, outcome),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            step();
            let bytes: u64 = self.group.iter().map(|b| b.arrival.bytes).sum();
            let is_old = self.group_since.is_some_and(|since| since.elapsed() >= GROUP_AGE);
            if is_old || self.group.len() >= GROUP_FILES || bytes >= GROUP_BYTES {
                self.publish()?;
            }
        }
        // All senders have stopped: outcomes that waited for a file that never arrived are landed too.
        for (_, outcome) in std::mem::take(&mut self.early) {
            self.settle(outcome);
        }
        self.publish()
    }

    fn take(&mut self, index: usize, outcome: Outcome) {
        match outcome {
            Outcome::Failing => drop(self.failing.insert(index)),
            outcome if index < self.next => self.settle(outcome),
            outcome => drop(self.early.insert(index, outcome)),
        }
        loop {
            if let Some(outcome) = self.early.remove(&self.next) {
                self.settle(outcome);
            } else if !self.failing.contains(&self.next) {
                return;
            }
            self.next += 1;
        }
    }

    fn settle(&mut self, outcome: Outcome) {
        self.fetched.finished += 1;
        match outcome {
            Outcome::Arrived(one) => {
                self.group_since.get_or_insert_with(Instant::now);
                self.group.push(*one);
            }
            Outcome::Unchanged(name, modified_ns) => {
                self.fetched.touched.push((name.clone(), modified_ns));
                self.fetched.unchanged.push(name);
            }
            Outcome::Refused(refusal) => self.fetched.refusals.push(refusal),
            Outcome::Postponed { name, why } => self.fetched.postponed.push((name, why)),
            Outcome::Failing => {}
        }
    }

    /// Syncs the group's content, renames every file, syncs the names, and passes the group on for registration.
    fn publish(&mut self) -> Result<(), TransferFault> {
        self.group_since = None;
        let group = std::mem::take(&mut self.group);
        if group.is_empty() {
            return Ok(());
        }
        name_all(self.request, &group)?;
        let mut arrivals: Vec<FetchedFile> = group.into_iter().map(|b| b.arrival).collect();
        (self.landed)(&arrivals).map_err(TransferFault::Ledger)?;
        crash_point("transfer:landed");
        self.fetched.bytes += arrivals.iter().map(|a| a.bytes).sum::<u64>();
        self.fetched.arrivals.append(&mut arrivals);
        Ok(())
    }
}

fn name_all(request: &Request<'_>, group: &[Arrived]) -> Result<(), TransferFault> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| TransferFault::Library { path, source }
    };
    let renamed = || group.iter().filter_map(|b| Some((b.temporary.as_ref()?, &b.arrival.path)));
    let mut directories: Vec<&Path> = renamed().filter_map(|(_, path)| path.parent()).collect();
    directories.sort_unstable();
    directories.dedup();
    if directories.is_empty() {
        return Ok(());
    }
    crash_point("transfer:before-sync");
    for volume in request.volumes {
        if directories.iter().any(|d| d.starts_with(&volume.directory)) {
            files::sync_disk(&volume.directory).map_err(at(&volume.directory))?;
        }
    }
    crash_point("transfer:before-rename");
    for (temporary, path) in renamed() {
        std::fs::rename(temporary, path).map_err(at(path))?;
        crash_point("transfer:after-rename");
    }
    for directory in directories {
        files::sync_dir(directory).map_err(at(directory))?;
    }
    crash_point("transfer:renamed");
    Ok(())
}

/// A file of which all bytes have arrived.
pub(crate) struct Complete {
    pub sums: Sums,
    /// Path of the file: under a temporary name, or its own place when it stays there.
    pub temporary: PathBuf,
    pub is_in_place: bool,
    pub modified_ns: i64,
    pub tries: u32,
    pub resumed_bytes: u64,
    pub began: Instant,
}

/// The decision on a file of which all bytes have arrived.
pub(crate) enum Verdict {
    Done(Outcome),
    /// The file fails its own checksums, or has changed at the source since, and nothing else verifies it. The SHA-256 is that
    /// of this copy.
    Suspect(Sha256),
}

/// Determines the file's final place and examines it. `is_unchanged` checks the source again; `suspect` is the SHA-256 of an
/// earlier copy that was not trusted.
pub(crate) fn settle(
    request: &Request<'_>,
    wanted: &Wanted,
    complete: Complete,
    verified_by: Option<Verification>,
    suspect: Option<Sha256>,
    is_unchanged: &mut dyn FnMut() -> bool,
) -> Result<Verdict, TransferFault> {
    let Complete { sums, temporary, is_in_place, .. } = &complete;
    let remove = || {
        if !is_in_place {
            let _ = std::fs::remove_file(temporary);
        }
    };
    let known = (request.known)(&wanted.name);
    let stored = known.iter().find(|k| k.sha256 == sums.sha256);
    if let Some(stored) = stored
        && !stored.reexamine
        && std::fs::symlink_metadata(&stored.path).is_ok_and(|m| m.len() == stored.bytes)
        && known.last().is_some_and(|latest| latest == stored)
    {
        remove();
        let outcome = Outcome::Unchanged(wanted.name.clone(), complete.modified_ns);
        return Ok(Verdict::Done(outcome));
    }
    let content = examine::examine(temporary, &wanted.name, request.survey_of);
    let is_new = suspect != Some(sums.sha256);
    // Damage that is the same in two copies is the source's own. Without checksums in the file only the source shows whether
    // the file is complete.
    let mut is_suspect = || match content.is_damaged() {
        true => is_new,
        false => !content.is_summed && !is_unchanged(),
    };
    if verified_by.is_none() && is_suspect() {
        let sha256 = sums.sha256;
        remove();
        return Ok(Verdict::Suspect(sha256));
    }
    let path = match stored {
        _ if *is_in_place => temporary.clone(),
        Some(stored) => stored.path.clone(),
        None => place_for(&request.volumes[wanted.volume].directory, &wanted.name, &known)?,
    };
    let verified_by = verified_by.unwrap_or(if content.is_summed {
        Verification::Datasum
    } else {
        Verification::Recheck
    });
    Ok(Verdict::Done(Outcome::Arrived(Box::new(arrived(
        wanted,
        complete,
        path,
        content,
        verified_by,
    )))))
}

fn arrived(
    wanted: &Wanted,
    complete: Complete,
    path: PathBuf,
    content: Content,
    verified_by: Verification,
) -> Arrived {
    let arrival = FetchedFile {
        name: wanted.name.clone(),
        path,
        bytes: complete.sums.bytes,
        modified_ns: complete.modified_ns,
        sha256: complete.sums.sha256,
        seconds: complete.began.elapsed().as_secs_f64(),
        tries: complete.tries,
        resumed_bytes: complete.resumed_bytes,
        verified_by,
        content,
    };
    Arrived { arrival, temporary: (!complete.is_in_place).then_some(complete.temporary) }
}

/// Returns `<library>/<delivery>/<name>` for the first content of a name, `…/<n>/<name>` for the n-th.
fn place_for(directory: &Path, name: &str, known: &[Known]) -> Result<PathBuf, TransferFault> {
    if known.is_empty() {
        return Ok(directory.join(name));
    }
    let directory = directory.join((known.len() + 1).to_string());
    files::create_dir(&directory)
        .map_err(|source| TransferFault::Library { path: directory.clone(), source })?;
    Ok(directory.join(name))
}

/// Returns the verification when the provider's list agrees with the bytes read; a refusal when the list differs.
pub(crate) fn confirmed(
    name: &str,
    stated: Option<&crate::manifest::Stated>,
    stated_bytes: Option<u64>,
    sums: &Sums,
) -> Result<Option<Verification>, Box<Refusal>> {
    use crate::manifest::Stated;
    if let Some(bytes) = stated_bytes.filter(|bytes| *bytes != sums.bytes) {
        let message = format!("the provider states {bytes} bytes, the file has {}", sums.bytes);
        return Err(Box::new(Refusal::new(RefusalCode::SIZE_NOT_AS_STATED, name, message)));
    }
    let sha256 = sums.sha256.to_string();
    let (verified_by, kind, stated, found) = match stated {
        None => return Ok(None),
        Some(Stated::Sha256(sum)) => (Verification::Sha256, "SHA-256", sum, Some(&sha256)),
        Some(Stated::Md5(sum)) => (Verification::Md5, "MD5", sum, sums.md5.as_ref()),
    };
    match found {
        Some(found) if found == stated => Ok(Some(verified_by)),
        found => {
            let found = found.map_or("none", String::as_str);
            let message = format!("the provider states {kind} {stated}, the file has {found}");
            Err(Box::new(Refusal::new(RefusalCode::CHECKSUM_NOT_AS_STATED, name, message)))
        }
    }
}
