//! The last steps of a file: what it is, where it will lie; then durable in groups, named, and handed on to be registered.
//!
//! Files are handed on in the order in which they were wanted, whichever came first, so that the ids which they get do not
//! depend on the speed of lines. One that gives trouble is stepped over and follows when it comes.

use crate::listing::Wanted;
use crate::partial::Sums;
use crate::{Arrival, Content, Fetched, Known, Proof, Request, TransferFault, examine};
use files::crash_point;
use model::Refusal;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Files, and bytes, that become durable together: one sync of the disk instead of one per file.
const GROUP_FILES: usize = 512;
const GROUP_BYTES: u64 = 2 << 30;
/// What is complete waits for others no longer than this.
const GROUP_AGE: Duration = Duration::from_secs(2);

/// A file that lies in the library under a temporary name (or stays where it is).
pub(crate) struct Brought {
    pub arrival: Arrival,
    pub temporary: Option<PathBuf>,
}

/// What became of a wanted file.
pub(crate) enum Outcome {
    Brought(Box<Brought>),
    /// It was read again and is what it was; its date at the source, in nanoseconds since 1970.
    Unchanged(String, i64),
    Refused(Refusal),
    /// It could not be brought for a reason that may pass.
    Postponed {
        name: String,
        why: String,
    },
    /// It gives trouble; its outcome follows.
    Troubled,
}

/// Called for every group of files that is durable and has its names; what it does not take in comes again with the next fetch.
pub type Landed<'a> =
    dyn FnMut(&[Arrival]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> + 'a;

/// Receives outcomes and lands them in their order.
pub(crate) struct Landing<'r, 'l> {
    request: &'r Request<'r>,
    landed: &'l mut Landed<'l>,
    early: BTreeMap<usize, Outcome>,
    troubled: BTreeSet<usize>,
    next: usize,
    group: Vec<Brought>,
    group_since: Option<Instant>,
    pub fetched: Fetched,
}

impl<'r, 'l> Landing<'r, 'l> {
    pub fn new(request: &'r Request<'r>, landed: &'l mut Landed<'l>) -> Self {
        Self {
            request,
            landed,
            early: BTreeMap::new(),
            troubled: BTreeSet::new(),
            next: 0,
            group: Vec::new(),
            group_since: None,
            fetched: Fetched::default(),
        }
    }

    /// Lands what comes until nobody sends any more. `step` is called every now and then.
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
        // Nobody sends any more: what had to wait for a file that never came goes too.
        for (_, outcome) in std::mem::take(&mut self.early) {
            self.settle(outcome);
        }
        self.publish()
    }

    fn take(&mut self, index: usize, outcome: Outcome) {
        match outcome {
            Outcome::Troubled => drop(self.troubled.insert(index)),
            outcome if index < self.next => self.settle(outcome),
            outcome => drop(self.early.insert(index, outcome)),
        }
        loop {
            if let Some(outcome) = self.early.remove(&self.next) {
                self.settle(outcome);
            } else if !self.troubled.contains(&self.next) {
                return;
            }
            self.next += 1;
        }
    }

    fn settle(&mut self, outcome: Outcome) {
        self.fetched.over += 1;
        match outcome {
            Outcome::Brought(one) => {
                self.group_since.get_or_insert_with(Instant::now);
                self.group.push(*one);
            }
            Outcome::Unchanged(name, modified_ns) => {
                self.fetched.touched.push((name.clone(), modified_ns));
                self.fetched.unchanged.push(name);
            }
            Outcome::Refused(refusal) => self.fetched.refusals.push(refusal),
            Outcome::Postponed { name, why } => self.fetched.postponed.push((name, why)),
            Outcome::Troubled => {}
        }
    }

    /// Syncs the group's content, gives every file its name, syncs the names, and hands the group on.
    fn publish(&mut self) -> Result<(), TransferFault> {
        self.group_since = None;
        let group = std::mem::take(&mut self.group);
        if group.is_empty() {
            return Ok(());
        }
        name_all(self.request, &group)?;
        let mut arrivals: Vec<Arrival> = group.into_iter().map(|b| b.arrival).collect();
        (self.landed)(&arrivals).map_err(TransferFault::Ledger)?;
        crash_point("transfer:landed");
        self.fetched.bytes += arrivals.iter().map(|a| a.bytes).sum::<u64>();
        self.fetched.arrivals.append(&mut arrivals);
        Ok(())
    }
}

fn name_all(request: &Request<'_>, group: &[Brought]) -> Result<(), TransferFault> {
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

/// A file of which all bytes are here.
pub(crate) struct Complete {
    pub sums: Sums,
    /// Where it lies: under a temporary name, or, in place, where it stays.
    pub temporary: PathBuf,
    pub is_in_place: bool,
    pub modified_ns: i64,
    pub tries: u32,
    pub resumed_bytes: u64,
    pub began: Instant,
}

/// What is left to do with a file of which all bytes are here.
pub(crate) enum Verdict {
    Done(Outcome),
    /// Its own checksums deny it, or the source shows another one by now, and nobody else vouches for it. The SHA-256 is that of
    /// this copy.
    Doubtful(String),
}

/// Finds the file's final place and says what it is. `is_still` looks at the source once more, `doubted` is the
/// SHA-256 of a copy that was not believed before.
pub(crate) fn settle(
    request: &Request<'_>,
    wanted: &Wanted,
    complete: Complete,
    proof: Option<Proof>,
    doubted: Option<&str>,
    is_still: &mut dyn FnMut() -> bool,
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
        && !stored.look_again
        && std::fs::symlink_metadata(&stored.path).is_ok_and(|m| m.len() == stored.bytes)
        && known.last().is_some_and(|latest| latest == stored)
    {
        remove();
        let outcome = Outcome::Unchanged(wanted.name.clone(), complete.modified_ns);
        return Ok(Verdict::Done(outcome));
    }
    let content = examine::examine(temporary, &wanted.name, request.survey_of);
    let is_news = doubted != Some(sums.sha256.as_str());
    // Damaged the same twice is the source's own; without sums of its own only the source can say whether it is all of it.
    let mut is_doubtful = || match content.is_damaged() {
        true => is_news,
        false => !content.is_summed && !is_still(),
    };
    if proof.is_none() && is_doubtful() {
        let sha256 = sums.sha256.clone();
        remove();
        return Ok(Verdict::Doubtful(sha256));
    }
    let path = match stored {
        _ if *is_in_place => temporary.clone(),
        Some(stored) => stored.path.clone(),
        None => place_for(&request.volumes[wanted.volume].directory, &wanted.name, &known)?,
    };
    let proof = proof.unwrap_or(if content.is_summed { Proof::Datasum } else { Proof::SecondLook });
    Ok(Verdict::Done(Outcome::Brought(Box::new(brought(wanted, complete, path, content, proof)))))
}

fn brought(
    wanted: &Wanted,
    complete: Complete,
    path: PathBuf,
    content: Content,
    proof: Proof,
) -> Brought {
    let arrival = Arrival {
        name: wanted.name.clone(),
        path,
        bytes: complete.sums.bytes,
        modified_ns: complete.modified_ns,
        sha256: complete.sums.sha256,
        seconds: complete.began.elapsed().as_secs_f64(),
        tries: complete.tries,
        resumed_bytes: complete.resumed_bytes,
        proof,
        content,
    };
    Brought { arrival, temporary: (!complete.is_in_place).then_some(complete.temporary) }
}

/// `<library>/<delivery>/<name>` for the first content of a name, `…/<n>/<name>` for the n-th.
fn place_for(directory: &Path, name: &str, known: &[Known]) -> Result<PathBuf, TransferFault> {
    if known.is_empty() {
        return Ok(directory.join(name));
    }
    let directory = directory.join((known.len() + 1).to_string());
    files::create_dir(&directory)
        .map_err(|source| TransferFault::Library { path: directory.clone(), source })?;
    Ok(directory.join(name))
}

/// Whether the provider's list says what was read; a refusal when it says otherwise.
pub(crate) fn confirmed(
    name: &str,
    stated: Option<&crate::manifest::Stated>,
    stated_bytes: Option<u64>,
    sums: &Sums,
) -> Result<Option<Proof>, Box<Refusal>> {
    use crate::manifest::Stated;
    if let Some(bytes) = stated_bytes.filter(|bytes| *bytes != sums.bytes) {
        let message = format!("the provider states {bytes} bytes, the file has {}", sums.bytes);
        return Err(Box::new(Refusal::new("size_not_as_stated", name, message)));
    }
    let (proof, kind, stated, found) = match stated {
        None => return Ok(None),
        Some(Stated::Sha256(sum)) => (Proof::Sha256, "SHA-256", sum, Some(&sums.sha256)),
        Some(Stated::Md5(sum)) => (Proof::Md5, "MD5", sum, sums.md5.as_ref()),
    };
    match found {
        Some(found) if found == stated => Ok(Some(proof)),
        found => {
            let found = found.map_or("none", String::as_str);
            let message = format!("the provider states {kind} {stated}, the file has {found}");
            Err(Box::new(Refusal::new("checksum_not_as_stated", name, message)))
        }
    }
}
