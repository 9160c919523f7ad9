//! Files of a remote source: several connections, each of which reads the next due piece of any file.
//!
//! A file is always a beginning ([`Partial`]): bytes are hashed and written in their order, pieces that arrive early wait in
//! memory, at most [`WINDOW_BYTES`] ahead. So large files arrive over several connections at once, and still no byte is read
//! twice. The board under one lock holds the next piece to request; the bytes bypass the board.
//!
//! A connection that fails is reopened after a pause that grows; the bytes that it fetched are kept. A file without progress is
//! deferred to the next fetch; when nothing arrives at all for a while, the whole fetch is deferred.

use crate::landing::{self, Complete, Landed, Landing, Outcome, Verdict};
use crate::listing::Wanted;
use crate::manifest::Manifest;
use crate::pace::Watch;
use crate::partial::{self, Partial};
use crate::source::{Connection, Entry, SourceFault, Span};
use crate::tuner::Tuner;
use crate::{Fetched, Request, Step, TransferFault};
use model::{Refusal, RefusalCode, Sha256};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of one request.
const PIECE_BYTES: u64 = 4 << 20;
/// Bytes of one request for a file that no other connection reads, while there are enough files for all: every piece costs a
/// round trip.
const LONG_PIECE_BYTES: u64 = 64 << 20;
/// Bytes of a file that are requested ahead of the written ones.
const WINDOW_BYTES: u64 = 8 * PIECE_BYTES;
/// Maximum number of bytes of a file of unknown length after which the free space of the disk is checked again.
const MAX_SPACE_CHECK_BYTES: u64 = 32 << 20;
/// Free space that must remain in addition to a file of unknown length, and minimum number of bytes between two checks.
const MIN_FREE_BYTES: u64 = 4 << 20;
/// Bytes that a connection collects before it passes them on.
const HANDOVER_BYTES: usize = 1 << 20;
/// Consecutive faults without a byte, and contents seen, after which a file is deferred or refused.
const MAX_FAULTS: u32 = 6;
const MAX_CONTENTS: u32 = 3;
/// Time without any byte after which, when connections fail, the source is unreachable.
const UNREACHABLE_TIMEOUT: Duration = Duration::from_secs(20);
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
const STEP: Duration = Duration::from_millis(500);

/// Fetches the wanted files over connections to the source.
pub(crate) fn fetch_all(
    request: &Request<'_>,
    wanted: &[Wanted],
    manifest: &Manifest,
    landed: &mut Landed<'_>,
) -> Result<Fetched, TransferFault> {
    let max_connections = request.max_connections.max(1);
    let (sender, outcomes) = channel();
    let board = Board {
        request,
        manifest,
        wanted,
        state: Mutex::new(State::new(max_connections)),
        changed: Condvar::new(),
        bytes: AtomicU64::new(0),
        connections: AtomicUsize::new(0),
    };
    let mut landing = Landing::new(request, landed);
    let received = std::thread::scope(|scope| {
        for number in 0..max_connections.min(board.pieces()) {
            let (board, sender) = (&board, sender.clone());
            scope.spawn(move || {
                Worker { board, number, sender, connection: None, faults: 0, has_read: false }.run()
            });
        }
        drop(sender);
        let mut step = (Instant::now(), 0);
        let received = landing.receive(&outcomes, || board.step(&mut step));
        if received.is_err() {
            board.halt(None);
        }
        received
    });
    received?;
    landing.fetched.connections = board.connections.load(Ordering::Relaxed);
    let state = board.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    match state.fault {
        Some(Halt::Library(fault)) => Err(fault),
        Some(Halt::Unreachable(why)) => {
            landing.fetched.unreachable = Some(why);
            Ok(landing.fetched)
        }
        None => Ok(landing.fetched),
    }
}

/// The reason why all connections stop.
enum Halt {
    Library(TransferFault),
    Unreachable(String),
}

struct Board<'a> {
    request: &'a Request<'a>,
    manifest: &'a Manifest,
    wanted: &'a [Wanted],
    state: Mutex<State>,
    changed: Condvar,
    /// Number of bytes that arrived.
    bytes: AtomicU64,
    /// Maximum number of connections that read concurrently.
    connections: AtomicUsize,
}

struct State {
    tuner: Tuner,
    /// Number of the next file to start.
    next: usize,
    active: Vec<Arc<ActiveFile>>,
    /// Number of files that are being opened.
    opening: usize,
    reading: usize,
    /// True when a connection that could have read had nothing to read.
    is_idle: bool,
    halted: bool,
    fault: Option<Halt>,
    last_arrival: Instant,
}

impl State {
    fn new(max_connections: usize) -> Self {
        Self {
            tuner: Tuner::new(max_connections),
            next: 0,
            active: Vec::new(),
            opening: 0,
            reading: 0,
            is_idle: false,
            halted: false,
            fault: None,
            last_arrival: Instant::now(),
        }
    }
}

/// A file in progress.
struct ActiveFile {
    index: usize,
    began: Instant,
    progress: Mutex<Progress>,
}

/// The progress of a file.
struct Progress {
    entry: Entry,
    /// `None` once the file is finished.
    partial: Option<Partial>,
    path: PathBuf,
    /// Number of bytes that are requested or present.
    requested: u64,
    /// Pieces that were requested and did not arrive.
    returned: Vec<Span>,
    /// Pieces that arrived early, by their first byte.
    early: BTreeMap<u64, Vec<u8>>,
    readers: usize,
    resumed_bytes: u64,
    faults: u32,
    /// Time of the last progress.
    since: Instant,
    contents: u32,
    /// SHA-256 of a copy that failed its own checksums.
    suspect: Option<Sha256>,
}

impl Progress {
    fn written(&self) -> u64 {
        self.partial.as_ref().map_or(0, Partial::written)
    }

    /// Returns the length of the file, if known.
    fn end(&self) -> u64 {
        self.entry.bytes.unwrap_or(u64::MAX)
    }

    /// Returns the next piece to request; a long one when there is other work for the other connections.
    fn take(&mut self, is_plenty: bool) -> Option<Span> {
        self.partial.as_ref()?;
        let span = match self.returned.pop() {
            Some(span) => span,
            // An empty file, or one of which all bytes are present: nothing is requested, but a connection has to finish the
            // file.
            None if self.is_whole() => Span { from: self.written(), to: self.written() },
            None if !self.entry.has_ranges || self.entry.bytes.is_none() => {
                if self.requested > 0 || self.readers > 0 || self.end() == 0 {
                    return None;
                }
                Span { from: 0, to: self.end() }
            }
            None => {
                let from = self.requested;
                if from >= self.end() || from >= self.written() + WINDOW_BYTES {
                    return None;
                }
                let is_alone = self.readers == 0 && from == self.written();
                let bytes = if is_plenty && is_alone { LONG_PIECE_BYTES } else { PIECE_BYTES };
                Span { from, to: self.end().min(from + bytes) }
            }
        };
        self.requested = self.requested.max(span.to);
        self.readers += 1;
        Some(span)
    }

    /// Writes bytes that begin at a place, and the pieces that waited for them, if their turn has come. Returns whether it has.
    fn write_next(&mut self, from: u64, bytes: &[u8]) -> io::Result<bool> {
        let Some(partial) = self.partial.as_mut().filter(|partial| partial.written() == from)
        else {
            return Ok(false);
        };
        partial.append(bytes)?;
        while let Some(bytes) = self.early.remove(&partial.written()) {
            partial.append(&bytes)?;
        }
        Ok(true)
    }

    /// Accepts bytes that begin at a place: they are written if it is their turn, and wait otherwise.
    fn put(&mut self, from: u64, bytes: Vec<u8>) -> io::Result<()> {
        if !bytes.is_empty() && !self.write_next(from, &bytes)? {
            self.early.insert(from, bytes);
        }
        Ok(())
    }

    fn is_whole(&self) -> bool {
        self.readers == 0 && self.partial.is_some() && self.entry.bytes == Some(self.written())
    }

    /// Discards the bytes that arrived, before another content of the file or another attempt.
    fn restart(&mut self) -> io::Result<()> {
        self.early.clear();
        self.returned.clear();
        (self.requested, self.resumed_bytes) = (0, 0);
        self.partial.as_mut().map_or(Ok(()), Partial::restart)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Board<'_> {
    /// Returns the number of pieces: more connections are of no use.
    fn pieces(&self) -> usize {
        let pieces = |w: &Wanted| {
            usize::try_from(w.bytes.div_ceil(PIECE_BYTES).max(1)).unwrap_or(usize::MAX)
        };
        self.wanted.iter().map(pieces).fold(0, usize::saturating_add)
    }

    /// Measures the throughput at intervals.
    fn step(&self, (since, bytes): &mut (Instant, u64)) {
        if since.elapsed() < STEP {
            return;
        }
        let now = self.bytes.load(Ordering::Relaxed);
        let rate = (now - *bytes) as f64 / since.elapsed().as_secs_f64();
        (*since, *bytes) = (Instant::now(), now);
        let mut state = locked(&self.state);
        if rate > 0.0 {
            state.last_arrival = Instant::now();
        }
        // Connections that had nothing to read do not show the best number of connections.
        if !std::mem::take(&mut state.is_idle) {
            state.tuner.step(rate);
            self.changed.notify_all();
        }
    }

    fn halt(&self, why: Option<Halt>) {
        let mut state = locked(&self.state);
        state.halted = true;
        if state.fault.is_none() {
            state.fault = why;
        }
        self.changed.notify_all();
    }

    fn library(&self, path: &std::path::Path, source: io::Error) {
        self.halt(Some(Halt::Library(TransferFault::Library { path: path.to_owned(), source })));
    }

    /// Returns a piece for a worker, of the file that it read last if possible; `None` when no more pieces follow.
    fn take(
        &self,
        worker: usize,
        last: Option<&Arc<ActiveFile>>,
    ) -> Option<(Arc<ActiveFile>, Span)> {
        let mut state = locked(&self.state);
        loop {
            if state.halted || self.request.stop.load(Ordering::Relaxed) {
                return None;
            }
            if worker < state.tuner.connections() {
                let is_plenty = state.next < self.wanted.len();
                let due = |file: &Arc<ActiveFile>| {
                    Some((Arc::clone(file), locked(&file.progress).take(is_plenty)?))
                };
                let active = state.opening + state.active.len();
                let mut taken = last.and_then(due);
                if taken.is_none() && is_plenty && active < state.tuner.connections() {
                    state = self.begin_next(state);
                    continue;
                }
                taken = taken.or_else(|| state.active.iter().find_map(due));
                if taken.is_some() {
                    state.reading += 1;
                    self.connections.fetch_max(state.reading, Ordering::Relaxed);
                    return taken;
                }
                if is_plenty && active < state.tuner.connections() + 2 {
                    state = self.begin_next(state);
                    continue;
                }
            }
            state.is_idle |= worker < state.tuner.connections();
            let is_finished =
                state.next >= self.wanted.len() && state.opening == 0 && state.active.is_empty();
            if is_finished {
                self.changed.notify_all();
                return None;
            }
            let waited = self.changed.wait_timeout(state, Duration::from_millis(100));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Opens the next file, without holding the lock.
    fn begin_next<'s>(&'s self, mut state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        let index = state.next;
        state.next += 1;
        state.opening += 1;
        drop(state);
        let begun = self.begin(index);
        let mut state = locked(&self.state);
        state.opening -= 1;
        state.active.extend(begun);
        state
    }

    /// Opens a file to fetch, at the point where an earlier fetch stopped. `None` when the library cannot be written.
    fn begin(&self, index: usize) -> Option<Arc<ActiveFile>> {
        let wanted = self.wanted.get(index)?;
        let path = path_of(self.request, wanted);
        let stated = self.manifest.of(&wanted.name);
        let opened = Partial::open(path.clone(), stated).and_then(|mut partial| {
            let is_of_use =
                wanted.entry.has_ranges && partial.written() <= wanted.entry.bytes.unwrap_or(0);
            if !is_of_use {
                partial.restart()?;
            }
            Ok(partial)
        });
        match opened {
            Err(error) => {
                self.library(&path, error);
                None
            }
            Ok(partial) => {
                let resumed_bytes = partial.written();
                let progress = Progress {
                    entry: wanted.entry.clone(),
                    partial: Some(partial),
                    path,
                    requested: resumed_bytes,
                    returned: Vec::new(),
                    early: BTreeMap::new(),
                    readers: 0,
                    resumed_bytes,
                    faults: 0,
                    since: Instant::now(),
                    contents: 1,
                    suspect: None,
                };
                Some(Arc::new(ActiveFile {
                    index,
                    began: Instant::now(),
                    progress: Mutex::new(progress),
                }))
            }
        }
    }

    /// Stops a file whose length the source does not state when it exceeds the survey's limit, or leaves no space on the disk.
    fn check_unknown_length(
        &self,
        file: &ActiveFile,
        bytes: u64,
        space_check: &mut u64,
    ) -> Result<(), SourceFault> {
        let request = self.request;
        let place = || request.source.place(request.directory);
        if bytes > request.max_file_bytes {
            let why = format!(
                "the file is longer than the survey's limit of {} bytes",
                request.max_file_bytes
            );
            return Err(SourceFault::lasting(RefusalCode::TOO_LARGE, place(), why));
        }
        if bytes < *space_check {
            return Ok(());
        }
        let volume = &request.volumes[self.wanted[file.index].volume];
        match volume.writable_bytes() {
            Ok(free) if free < MIN_FREE_BYTES => {
                let why =
                    format!("the library has space for the first {bytes} bytes of the file only");
                Err(SourceFault::lasting(RefusalCode::NO_ROOM, place(), why))
            }
            Ok(free) => {
                *space_check = bytes + (free / 2).clamp(MIN_FREE_BYTES / 2, MAX_SPACE_CHECK_BYTES);
                Ok(())
            }
            Err(TransferFault::Library { source, .. }) => Err(SourceFault::Sink(source)),
            Err(fault) => Err(SourceFault::Sink(io::Error::other(fault))),
        }
    }

    /// Removes a finished file from those in progress.
    fn remove(&self, file: &Arc<ActiveFile>) {
        let mut state = locked(&self.state);
        state.active.retain(|other| !Arc::ptr_eq(other, file));
        self.changed.notify_all();
    }
}

/// Returns the name of a file in transfer.
pub(crate) fn path_of(request: &Request<'_>, wanted: &Wanted) -> PathBuf {
    let directory = &request.volumes[wanted.volume].directory;
    partial::path_of(directory, &request.source.place(request.directory), wanted)
}

/// The thread of one connection.
struct Worker<'a> {
    board: &'a Board<'a>,
    number: usize,
    sender: Sender<(usize, Outcome)>,
    connection: Option<Box<dyn Connection>>,
    /// Number of consecutive faults.
    faults: u32,
    /// True when the last read returned bytes.
    has_read: bool,
}

impl Worker<'_> {
    fn run(&mut self) {
        let mut last: Option<Arc<ActiveFile>> = None;
        while let Some((file, span)) = self.board.take(self.number, last.as_ref()) {
            let read = self.read(&file, span);
            locked(&self.board.state).reading -= 1;
            self.board.changed.notify_all();
            match read {
                Ok(()) => self.faults = 0,
                Err(SourceFault::Sink(error)) => {
                    let path = locked(&file.progress).path.clone();
                    self.board.library(&path, error);
                }
                // Another connection abandoned the file meanwhile.
                Err(_) if locked(&file.progress).partial.is_none() => self.connection = None,
                Err(fault) => self.failed(&file, fault),
            }
            let is_whole = locked(&file.progress).is_whole();
            if is_whole {
                self.finish(&file);
            }
            last = Some(file);
        }
    }

    /// Reads a piece; bytes that arrived before a fault are kept, the others are requested again.
    fn read(&mut self, file: &ActiveFile, span: Span) -> Result<(), SourceFault> {
        let board = self.board;
        let request = board.request;
        let entry = locked(&file.progress).entry.clone();
        let place = request.source.place(request.directory);
        let (mut at, mut held) = (span.from, Vec::<u8>::new());
        let mut space_check = 0;
        let mut watch = Watch::new(request.stall);
        let mut sink = |bytes: &[u8]| {
            let waited = request.pace.pass(bytes.len());
            watch.received(&place, bytes.len(), waited)?;
            if request.stop.load(Ordering::Relaxed) {
                return Err(SourceFault::passing(&place, "interrupted"));
            }
            self.board.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            if entry.bytes.is_none() {
                let received = at + held.len() as u64 + bytes.len() as u64;
                board.check_unknown_length(file, received, &mut space_check)?;
            }
            // Bytes that are next in the file are written as they arrive; early bytes are kept until their turn.
            let write = |at: u64, bytes: &[u8]| {
                let mut progress = locked(&file.progress);
                if progress.partial.is_none() {
                    return Err(SourceFault::passing(
                        &place,
                        "another connection finished the file",
                    ));
                }
                progress.write_next(at, bytes).map_err(SourceFault::Sink)
            };
            if held.is_empty() && write(at, bytes)? {
                at += bytes.len() as u64;
                return Ok(());
            }
            held.extend_from_slice(bytes);
            if held.len() >= HANDOVER_BYTES && write(at, &held)? {
                at += held.len() as u64;
                held.clear();
            }
            Ok(())
        };
        let read = match &mut self.connection {
            _ if span.from == span.to => Ok(()),
            Some(connection) => connection.read(request.directory, &entry, span, &mut sink),
            None => request.source.connect().and_then(|connection| {
                self.connection.insert(connection).read(request.directory, &entry, span, &mut sink)
            }),
        };
        let mut progress = locked(&file.progress);
        let received = at + held.len() as u64;
        self.has_read = received > span.from;
        let put = progress.put(at, held).map_err(SourceFault::Sink);
        progress.readers -= 1;
        // Bytes that are not kept are no progress.
        if received > span.from && progress.entry.has_ranges {
            (progress.faults, progress.since) = (0, Instant::now());
        }
        let kept = match &read {
            Ok(()) if progress.entry.bytes.is_none() => {
                progress.entry.bytes = Some(received);
                Ok(())
            }
            Ok(()) => Ok(()),
            Err(_) if progress.entry.has_ranges => {
                progress.returned.push(Span { from: received, to: span.to });
                Ok(())
            }
            Err(_) => progress.restart().map_err(SourceFault::Sink),
        };
        drop(progress);
        if received > span.from {
            locked(&self.board.state).last_arrival = Instant::now();
        }
        read.and(put).and(kept)
    }

    /// Handles a piece that did not arrive.
    fn failed(&mut self, file: &Arc<ActiveFile>, fault: SourceFault) {
        let wanted = &self.board.wanted[file.index];
        match fault {
            SourceFault::Changed { .. } => self.refetch_changed(file),
            SourceFault::Lasting { why, code, place } => {
                let is_of_file = matches!(
                    code,
                    RefusalCode::MISSING_FILE
                        | RefusalCode::UNREADABLE
                        | RefusalCode::REFUSED_BY_SOURCE
                        | RefusalCode::TOO_LARGE
                        | RefusalCode::NO_ROOM
                );
                if is_of_file {
                    let refusal = Refusal::new(code, wanted.name.clone(), why);
                    return self.give_up(file, Outcome::Refused(refusal));
                }
                self.board.halt(Some(Halt::Unreachable(format!("{place}: {why}"))));
            }
            passing => {
                let is_answered = matches!(passing, SourceFault::Passing { is_answered: true, .. });
                // A server that repeatedly sends the beginning of such a file is reachable.
                let is_repeated = self.has_read && !locked(&file.progress).entry.has_ranges;
                self.defer(file, &passing.to_string(), is_answered || is_repeated);
            }
        }
    }

    /// Closes a connection that failed, and pauses. A file without progress while the source is reachable is deferred: after
    /// several faults if the source itself reported them, and otherwise, since several connections may meet the same failure,
    /// only after a while.
    fn defer(&mut self, file: &Arc<ActiveFile>, why: &str, is_reachable: bool) {
        self.connection = None;
        self.faults += 1;
        let (faults, stuck) = {
            let mut progress = locked(&file.progress);
            progress.faults += 1;
            (progress.faults, progress.since.elapsed())
        };
        let _ = self.sender.send((file.index, Outcome::Failing));
        let silent = {
            let mut state = locked(&self.board.state);
            if is_reachable {
                state.last_arrival = Instant::now();
            }
            state.tuner.fault();
            state.last_arrival.elapsed()
        };
        if self.board.request.stop.load(Ordering::Relaxed) {
            return;
        }
        if silent > UNREACHABLE_TIMEOUT {
            return self.board.halt(Some(Halt::Unreachable(why.to_owned())));
        }
        let pause = PAUSES.0.saturating_mul(1 << self.faults.min(8)).min(PAUSES.1);
        let is_stuck = is_reachable || stuck > UNREACHABLE_TIMEOUT && silent < PAUSES.1;
        if faults >= MAX_FAULTS && is_stuck {
            let name = self.board.wanted[file.index].name.clone();
            return self.give_up(file, Outcome::Postponed { name, why: why.to_owned() });
        }
        crate::sleep(pause, self.board.request.stop);
    }

    /// Restarts a file that changed, with its present content.
    fn refetch_changed(&mut self, file: &Arc<ActiveFile>) {
        let wanted = &self.board.wanted[file.index];
        let refused = |code: RefusalCode, why: &str| {
            Outcome::Refused(Refusal::new(code, wanted.name.clone(), why))
        };
        let entry = locked(&file.progress).entry.clone();
        let queried = match &mut self.connection {
            Some(connection) => connection.stat(self.board.request.directory, &entry),
            None => return,
        };
        let found = match queried {
            Ok(found) if found.kind == crate::source::EntryKind::File => found,
            Ok(_) => {
                return self.give_up(
                    file,
                    refused(RefusalCode::NOT_A_FILE_DEVICE, "the file is no longer a regular file"),
                );
            }
            Err(SourceFault::Lasting { why, code, .. }) => {
                return self.give_up(file, refused(code, &why));
            }
            Err(fault) => return self.defer(file, &fault.to_string(), false),
        };
        let mut progress = locked(&file.progress);
        if progress.readers > 0 {
            // Another connection still reads the file, perhaps its former content.
            drop(progress);
            return crate::sleep(PAUSES.0, self.board.request.stop);
        }
        progress.contents += 1;
        if progress.contents > MAX_CONTENTS {
            drop(progress);
            let why = "the file changed twice while it was read: still being written?";
            return self.give_up(file, refused(RefusalCode::CHANGED_WHILE_READ, why));
        }
        progress.entry = found;
        let restarted = progress.restart();
        let path = progress.path.clone();
        drop(progress);
        if let Err(error) = restarted {
            self.board.library(&path, error);
        }
    }

    /// Abandons a file with an outcome; the bytes that arrived are kept only if the file is deferred.
    fn give_up(&mut self, file: &Arc<ActiveFile>, outcome: Outcome) {
        let mut progress = locked(&file.progress);
        if progress.partial.take().is_none() {
            return;
        }
        if !matches!(outcome, Outcome::Postponed { .. }) || !progress.entry.has_ranges {
            partial::discard(&progress.path);
        }
        drop(progress);
        self.send(file, outcome);
    }

    fn send(&self, file: &Arc<ActiveFile>, outcome: Outcome) {
        let wanted = &self.board.wanted[file.index];
        (self.board.request.progress)(Step::Ended { name: &wanted.name, bytes: wanted.bytes });
        let _ = self.sender.send((file.index, outcome));
        self.board.remove(file);
    }

    /// Completes a file of which all bytes have arrived.
    fn finish(&mut self, file: &Arc<ActiveFile>) {
        let Some(partial) = locked(&file.progress).partial.take() else { return };
        let path = locked(&file.progress).path.clone();
        match self.verify(file, partial) {
            Ok(Some(outcome)) => self.send(file, outcome),
            Ok(None) => self.board.changed.notify_all(), // fetched again
            Err(Judgement::Library(fault)) => self.board.halt(Some(Halt::Library(fault))),
            Err(Judgement::Io(error)) => self.board.library(&path, error),
        }
    }

    /// Decides on a whole file; `None` when it is to be fetched again.
    fn verify(
        &mut self,
        file: &Arc<ActiveFile>,
        partial: Partial,
    ) -> Result<Option<Outcome>, Judgement> {
        let board = self.board;
        let wanted = &board.wanted[file.index];
        let stated = board.manifest.of(&wanted.name);
        let (path, sums) = partial.finish()?;
        let (entry, tries, suspect) = {
            let progress = locked(&file.progress);
            (progress.entry.clone(), progress.contents, progress.suspect)
        };
        let sha256 = sums.sha256;
        let by = match landing::confirmed(
            &wanted.name,
            stated,
            board.manifest.bytes_of(&wanted.name),
            &sums,
        ) {
            Ok(by) => by,
            // The transfer may have damaged the file; damage that is the same twice is the source's own.
            Err(refusal) => {
                partial::discard(&path);
                if suspect == Some(sha256) {
                    return Ok(Some(Outcome::Refused(*refusal)));
                }
                return self.refetch(file, entry, sha256);
            }
        };
        let complete = Complete {
            sums,
            temporary: path,
            is_in_place: false,
            modified_ns: entry.modified_ns,
            tries,
            resumed_bytes: locked(&file.progress).resumed_bytes,
            began: file.began,
        };
        let mut is_unchanged = || self.is_unchanged(&entry);
        match landing::settle(board.request, wanted, complete, by, suspect, &mut is_unchanged) {
            Ok(Verdict::Done(outcome)) => Ok(Some(outcome)),
            Ok(Verdict::Suspect(sha256)) => self.refetch(file, entry, sha256),
            Err(fault) => Err(Judgement::Library(fault)),
        }
    }

    /// Checks the source a second time, when no list states the content of a file. A failed check is no objection, because the
    /// bytes read were compared with the listing.
    fn is_unchanged(&mut self, entry: &Entry) -> bool {
        if self.connection.is_none() {
            self.connection = self.board.request.source.connect().ok();
        }
        let queried = self.connection.as_mut().map(|c| c.stat(self.board.request.directory, entry));
        match queried {
            Some(Ok(found)) => found.is_same(entry),
            Some(Err(SourceFault::Lasting { .. })) => true,
            Some(Err(_)) => {
                self.connection = None;
                true
            }
            None => true,
        }
    }

    /// Fetches a whole file again from its beginning.
    fn refetch(
        &mut self,
        file: &Arc<ActiveFile>,
        entry: Entry,
        sha256: Sha256,
    ) -> Result<Option<Outcome>, Judgement> {
        let wanted = &self.board.wanted[file.index];
        let queried = self
            .connection
            .as_mut()
            .and_then(|c| c.stat(self.board.request.directory, &entry).ok());
        let mut progress = locked(&file.progress);
        progress.contents += 1;
        if progress.contents > MAX_CONTENTS {
            let why = "the file had other content each time it was read";
            let refusal = Refusal::new(RefusalCode::CHANGED_WHILE_READ, wanted.name.clone(), why);
            return Ok(Some(Outcome::Refused(refusal)));
        }
        progress.suspect = Some(sha256);
        progress.entry = queried.unwrap_or(entry);
        progress.partial =
            Some(Partial::open(progress.path.clone(), self.board.manifest.of(&wanted.name))?);
        progress.restart()?;
        Ok(None)
    }
}

enum Judgement {
    Library(TransferFault),
    Io(io::Error),
}

impl From<io::Error> for Judgement {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
