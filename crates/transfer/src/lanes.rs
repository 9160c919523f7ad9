//! Files of a source elsewhere: several lines, each of which takes the next piece that is due, of whichever file.
//!
//! A file is always a beginning ([`Partial`]): bytes are hashed and written in their order, pieces that come early wait in
//! memory, at most [`WINDOW_BYTES`] ahead. So large files come over several lines at once, and still no byte is read
//! twice. The board under one lock says what is to be asked for next; the bytes go past it.
//!
//! A line that fails is made anew, after a pause that grows; what it had brought stays. A file that gets nowhere is put off
//! for the next fetch, and when nothing at all comes for a while, so is all of it.

use crate::landing::{self, Complete, Landed, Landing, Outcome, Verdict};
use crate::listing::Wanted;
use crate::manifest::Manifest;
use crate::pace::Watch;
use crate::partial::{self, Partial};
use crate::source::{Entry, Line, SourceFault, Span};
use crate::tuner::Tuner;
use crate::{Fetched, Request, Step, TransferFault};
use model::Refusal;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes asked for in one go.
const PIECE_BYTES: u64 = 4 << 20;
/// The same, of a file that nobody else reads, while there are files enough for all: every piece costs a round trip.
const LONG_PIECE_BYTES: u64 = 64 << 20;
/// How far ahead of what is written pieces of a file are asked for.
const WINDOW_BYTES: u64 = 8 * PIECE_BYTES;
/// Bytes of a file of unknown length after which the room on the disk is checked again, at most.
const MAX_ROOM_CHECK_BYTES: u64 = 32 << 20;
/// Room that a file of unknown length leaves, and bytes between two checks at least.
const MIN_ROOM_BYTES: u64 = 4 << 20;
/// Bytes that a line collects before it hands them over.
const HANDOVER_BYTES: usize = 1 << 20;
/// Faults in a row without a byte, and contents met, after which a file is put off or refused.
const FAULTS_MOST: u32 = 6;
const CONTENTS_MOST: u32 = 3;
/// When nothing at all came for so long, and lines fail, the source is away.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
const STEP: Duration = Duration::from_millis(500);

/// Brings the wanted files over lines of the source.
pub(crate) fn bring_all(
    request: &Request<'_>,
    wanted: &[Wanted],
    manifest: &Manifest,
    landed: &mut Landed<'_>,
) -> Result<Fetched, TransferFault> {
    let most = request.lines_most.max(1);
    let (sender, outcomes) = channel();
    let board = Board {
        request,
        manifest,
        wanted,
        state: Mutex::new(State::new(most)),
        changed: Condvar::new(),
        bytes: AtomicU64::new(0),
        lines: AtomicUsize::new(0),
    };
    let mut landing = Landing::new(request, landed);
    let received = std::thread::scope(|scope| {
        for number in 0..most.min(board.pieces()) {
            let (board, sender) = (&board, sender.clone());
            scope.spawn(move || {
                Lane { board, number, sender, line: None, faults: 0, came: false }.run()
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
    landing.fetched.lines = board.lines.load(Ordering::Relaxed);
    let state = board.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    match state.fault {
        Some(Halt::Library(fault)) => Err(fault),
        Some(Halt::Away(why)) => {
            landing.fetched.away = Some(why);
            Ok(landing.fetched)
        }
        None => Ok(landing.fetched),
    }
}

/// Why all lines stop.
enum Halt {
    Library(TransferFault),
    Away(String),
}

struct Board<'a> {
    request: &'a Request<'a>,
    manifest: &'a Manifest,
    wanted: &'a [Wanted],
    state: Mutex<State>,
    changed: Condvar,
    /// Bytes that came.
    bytes: AtomicU64,
    /// Most lines that read at once.
    lines: AtomicUsize,
}

struct State {
    tuner: Tuner,
    /// Number of the file that is begun next.
    next: usize,
    under_way: Vec<Arc<Journey>>,
    /// Files that are being opened.
    opening: usize,
    reading: usize,
    /// A line that might have read had nothing to read.
    is_idle: bool,
    halted: bool,
    fault: Option<Halt>,
    came: Instant,
}

impl State {
    fn new(lines_most: usize) -> Self {
        Self {
            tuner: Tuner::new(lines_most),
            next: 0,
            under_way: Vec::new(),
            opening: 0,
            reading: 0,
            is_idle: false,
            halted: false,
            fault: None,
            came: Instant::now(),
        }
    }
}

/// A file under way.
struct Journey {
    index: usize,
    began: Instant,
    road: Mutex<Road>,
}

/// How far a file is.
struct Road {
    entry: Entry,
    /// `None` once it is finished with.
    partial: Option<Partial>,
    path: PathBuf,
    /// Bytes that are asked for, or there.
    asked: u64,
    /// Pieces that were asked for and did not come.
    returned: Vec<Span>,
    /// Pieces that came early, by their first byte.
    early: BTreeMap<u64, Vec<u8>>,
    readers: usize,
    resumed_bytes: u64,
    faults: u32,
    /// When it last got on.
    since: Instant,
    contents: u32,
    /// SHA-256 of a copy that its own checksums denied.
    doubted: Option<String>,
}

impl Road {
    fn written(&self) -> u64 {
        self.partial.as_ref().map_or(0, Partial::written)
    }

    /// Where the file ends, as far as it is known.
    fn end(&self) -> u64 {
        self.entry.bytes.unwrap_or(u64::MAX)
    }

    /// The next piece to ask for; a long one when there is other work for the others.
    fn take(&mut self, is_plenty: bool) -> Option<Span> {
        self.partial.as_ref()?;
        let span = match self.returned.pop() {
            Some(span) => span,
            // An empty file, or one of which all was there: nothing is asked for, and somebody has to finish it.
            None if self.is_whole() => Span { from: self.written(), to: self.written() },
            None if !self.entry.has_ranges || self.entry.bytes.is_none() => {
                if self.asked > 0 || self.readers > 0 || self.end() == 0 {
                    return None;
                }
                Span { from: 0, to: self.end() }
            }
            None => {
                let from = self.asked;
                if from >= self.end() || from >= self.written() + WINDOW_BYTES {
                    return None;
                }
                let is_alone = self.readers == 0 && from == self.written();
                let bytes = if is_plenty && is_alone { LONG_PIECE_BYTES } else { PIECE_BYTES };
                Span { from, to: self.end().min(from + bytes) }
            }
        };
        self.asked = self.asked.max(span.to);
        self.readers += 1;
        Some(span)
    }

    /// Writes bytes that begin at a place, and what waited for them, if it is their turn.
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

    /// Takes bytes that begin at a place: they are written if it is their turn, and wait otherwise.
    fn put(&mut self, from: u64, bytes: Vec<u8>) -> io::Result<()> {
        if !bytes.is_empty() && !self.write_next(from, &bytes)? {
            self.early.insert(from, bytes);
        }
        Ok(())
    }

    fn is_whole(&self) -> bool {
        self.readers == 0 && self.partial.is_some() && self.entry.bytes == Some(self.written())
    }

    /// Forgets what came, for another content of the file or another try.
    fn restart(&mut self) -> io::Result<()> {
        self.early.clear();
        self.returned.clear();
        (self.asked, self.resumed_bytes) = (0, 0);
        self.partial.as_mut().map_or(Ok(()), Partial::restart)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Board<'_> {
    /// No more lines than pieces.
    fn pieces(&self) -> usize {
        let pieces = |w: &Wanted| {
            usize::try_from(w.bytes.div_ceil(PIECE_BYTES).max(1)).unwrap_or(usize::MAX)
        };
        self.wanted.iter().map(pieces).fold(0, usize::saturating_add)
    }

    /// Looks at the throughput every now and then.
    fn step(&self, (since, bytes): &mut (Instant, u64)) {
        if since.elapsed() < STEP {
            return;
        }
        let now = self.bytes.load(Ordering::Relaxed);
        let rate = (now - *bytes) as f64 / since.elapsed().as_secs_f64();
        (*since, *bytes) = (Instant::now(), now);
        let mut state = locked(&self.state);
        if rate > 0.0 {
            state.came = Instant::now();
        }
        // Lines that had nothing to read say nothing about how many would be good.
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

    /// A piece for a lane, of the file that it read last if possible; `None` when there will be none any more.
    fn take(&self, lane: usize, last: Option<&Arc<Journey>>) -> Option<(Arc<Journey>, Span)> {
        let mut state = locked(&self.state);
        loop {
            if state.halted || self.request.stop.load(Ordering::Relaxed) {
                return None;
            }
            if lane < state.tuner.lines() {
                let is_plenty = state.next < self.wanted.len();
                let due = |journey: &Arc<Journey>| {
                    Some((Arc::clone(journey), locked(&journey.road).take(is_plenty)?))
                };
                let under_way = state.opening + state.under_way.len();
                let mut taken = last.and_then(due);
                if taken.is_none() && is_plenty && under_way < state.tuner.lines() {
                    state = self.begin_next(state);
                    continue;
                }
                taken = taken.or_else(|| state.under_way.iter().find_map(due));
                if taken.is_some() {
                    state.reading += 1;
                    self.lines.fetch_max(state.reading, Ordering::Relaxed);
                    return taken;
                }
                if is_plenty && under_way < state.tuner.lines() + 2 {
                    state = self.begin_next(state);
                    continue;
                }
            }
            state.is_idle |= lane < state.tuner.lines();
            let is_over =
                state.next >= self.wanted.len() && state.opening == 0 && state.under_way.is_empty();
            if is_over {
                self.changed.notify_all();
                return None;
            }
            let waited = self.changed.wait_timeout(state, Duration::from_millis(100));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Opens the next file, without the lock.
    fn begin_next<'s>(&'s self, mut state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        let index = state.next;
        state.next += 1;
        state.opening += 1;
        drop(state);
        let begun = self.begin(index);
        let mut state = locked(&self.state);
        state.opening -= 1;
        state.under_way.extend(begun);
        state
    }

    /// Opens a file that is to be brought, where it was left. `None` when the library cannot be written.
    fn begin(&self, index: usize) -> Option<Arc<Journey>> {
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
                let road = Road {
                    entry: wanted.entry.clone(),
                    partial: Some(partial),
                    path,
                    asked: resumed_bytes,
                    returned: Vec::new(),
                    early: BTreeMap::new(),
                    readers: 0,
                    resumed_bytes,
                    faults: 0,
                    since: Instant::now(),
                    contents: 1,
                    doubted: None,
                };
                Some(Arc::new(Journey { index, began: Instant::now(), road: Mutex::new(road) }))
            }
        }
    }

    /// Ends a file whose length the source does not state when it passes the survey's limit, or leaves no room on the disk.
    fn check_untold(
        &self,
        journey: &Journey,
        bytes: u64,
        room_check: &mut u64,
    ) -> Result<(), SourceFault> {
        let request = self.request;
        let place = || request.source.place(request.delivery);
        if bytes > request.file_bytes_most {
            let why = format!(
                "it is longer than the survey's limit of {} bytes",
                request.file_bytes_most
            );
            return Err(SourceFault::lasting("too_large", place(), why));
        }
        if bytes < *room_check {
            return Ok(());
        }
        let volume = &request.volumes[self.wanted[journey.index].volume];
        match volume.room() {
            Ok(room) if room < MIN_ROOM_BYTES => {
                let why = format!("the library has no room for more than its first {bytes} bytes");
                Err(SourceFault::lasting("no_room", place(), why))
            }
            Ok(room) => {
                *room_check = bytes + (room / 2).clamp(MIN_ROOM_BYTES / 2, MAX_ROOM_CHECK_BYTES);
                Ok(())
            }
            Err(TransferFault::Library { source, .. }) => Err(SourceFault::Sink(source)),
            Err(fault) => Err(SourceFault::Sink(io::Error::other(fault))),
        }
    }

    /// A file is finished with.
    fn leave(&self, journey: &Arc<Journey>) {
        let mut state = locked(&self.state);
        state.under_way.retain(|other| !Arc::ptr_eq(other, journey));
        self.changed.notify_all();
    }
}

/// The name of a file on its way.
pub(crate) fn path_of(request: &Request<'_>, wanted: &Wanted) -> PathBuf {
    let directory = &request.volumes[wanted.volume].directory;
    partial::path_of(directory, &request.source.place(request.delivery), wanted)
}

/// One line's thread.
struct Lane<'a> {
    board: &'a Board<'a>,
    number: usize,
    sender: Sender<(usize, Outcome)>,
    line: Option<Box<dyn Line>>,
    /// In a row.
    faults: u32,
    /// The last reading brought something.
    came: bool,
}

impl Lane<'_> {
    fn run(&mut self) {
        let mut last: Option<Arc<Journey>> = None;
        while let Some((journey, span)) = self.board.take(self.number, last.as_ref()) {
            let read = self.read(&journey, span);
            locked(&self.board.state).reading -= 1;
            self.board.changed.notify_all();
            match read {
                Ok(()) => self.faults = 0,
                Err(SourceFault::Sink(error)) => {
                    let path = locked(&journey.road).path.clone();
                    self.board.library(&path, error);
                }
                // Another connection gave the file up meanwhile.
                Err(_) if locked(&journey.road).partial.is_none() => self.line = None,
                Err(fault) => self.failed(&journey, fault),
            }
            let is_whole = locked(&journey.road).is_whole();
            if is_whole {
                self.finish(&journey);
            }
            last = Some(journey);
        }
    }

    /// Reads a piece; what came before a fault is kept, and what did not is asked for again.
    fn read(&mut self, journey: &Journey, span: Span) -> Result<(), SourceFault> {
        let board = self.board;
        let request = board.request;
        let entry = locked(&journey.road).entry.clone();
        let place = request.source.place(request.delivery);
        let (mut at, mut held) = (span.from, Vec::<u8>::new());
        let mut room_check = 0;
        let mut watch = Watch::new(request.stall);
        let mut sink = |bytes: &[u8]| {
            let waited = request.pace.pass(bytes.len());
            watch.came(&place, bytes.len(), waited)?;
            if request.stop.load(Ordering::Relaxed) {
                return Err(SourceFault::passing(&place, "interrupted"));
            }
            self.board.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            if entry.bytes.is_none() {
                let came = at + held.len() as u64 + bytes.len() as u64;
                board.check_untold(journey, came, &mut room_check)?;
            }
            // What is next in the file is written as it comes; what is early is kept until its turn.
            let write = |at: u64, bytes: &[u8]| {
                let mut road = locked(&journey.road);
                if road.partial.is_none() {
                    return Err(SourceFault::passing(&place, "another connection ended the file"));
                }
                road.write_next(at, bytes).map_err(SourceFault::Sink)
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
        let read = match &mut self.line {
            _ if span.from == span.to => Ok(()),
            Some(line) => line.read(request.delivery, &entry, span, &mut sink),
            None => request.source.line().and_then(|line| {
                self.line.insert(line).read(request.delivery, &entry, span, &mut sink)
            }),
        };
        let mut road = locked(&journey.road);
        let came = at + held.len() as u64;
        self.came = came > span.from;
        let put = road.put(at, held).map_err(SourceFault::Sink);
        road.readers -= 1;
        // What does not last is no progress.
        if came > span.from && road.entry.has_ranges {
            (road.faults, road.since) = (0, Instant::now());
        }
        let kept = match &read {
            Ok(()) if road.entry.bytes.is_none() => {
                road.entry.bytes = Some(came);
                Ok(())
            }
            Ok(()) => Ok(()),
            Err(_) if road.entry.has_ranges => {
                road.returned.push(Span { from: came, to: span.to });
                Ok(())
            }
            Err(_) => road.restart().map_err(SourceFault::Sink),
        };
        drop(road);
        if came > span.from {
            locked(&self.board.state).came = Instant::now();
        }
        read.and(put).and(kept)
    }

    /// What to do about a piece that did not come.
    fn failed(&mut self, journey: &Arc<Journey>, fault: SourceFault) {
        let wanted = &self.board.wanted[journey.index];
        match fault {
            SourceFault::Changed { .. } => self.look_again(journey),
            SourceFault::Lasting { why, code, place } => {
                let is_of_file = matches!(
                    code,
                    "missing_file" | "unreadable" | "refused_by_source" | "too_large" | "no_room"
                );
                if is_of_file {
                    let refusal = Refusal::new(code, wanted.name.clone(), why);
                    return self.give_up(journey, Outcome::Refused(refusal));
                }
                self.board.halt(Some(Halt::Away(format!("{place}: {why}"))));
            }
            passing => {
                let is_answered = matches!(passing, SourceFault::Passing { is_answered: true, .. });
                // A server that sends the beginning of such a file again and again is there.
                let is_repeated = self.came && !locked(&journey.road).entry.has_ranges;
                self.put_off(journey, &passing.to_string(), is_answered || is_repeated);
            }
        }
    }

    /// A line that failed is made anew after a pause. A file that gets nowhere while the source is there is put off: after some
    /// faults if the source said so itself, and else, since several lines may meet the same trouble, only after a while.
    fn put_off(&mut self, journey: &Arc<Journey>, why: &str, is_there: bool) {
        self.line = None;
        self.faults += 1;
        let (faults, stuck) = {
            let mut road = locked(&journey.road);
            road.faults += 1;
            (road.faults, road.since.elapsed())
        };
        let _ = self.sender.send((journey.index, Outcome::Troubled));
        let silent = {
            let mut state = locked(&self.board.state);
            if is_there {
                state.came = Instant::now();
            }
            state.tuner.fault();
            state.came.elapsed()
        };
        if self.board.request.stop.load(Ordering::Relaxed) {
            return;
        }
        if silent > PATIENCE {
            return self.board.halt(Some(Halt::Away(why.to_owned())));
        }
        let pause = PAUSES.0.saturating_mul(1 << self.faults.min(8)).min(PAUSES.1);
        let is_stuck = is_there || stuck > PATIENCE && silent < PAUSES.1;
        if faults >= FAULTS_MOST && is_stuck {
            let name = self.board.wanted[journey.index].name.clone();
            return self.give_up(journey, Outcome::Postponed { name, why: why.to_owned() });
        }
        crate::sleep(pause, self.board.request.stop);
    }

    /// A file that changed is taken again as it is now.
    fn look_again(&mut self, journey: &Arc<Journey>) {
        let wanted = &self.board.wanted[journey.index];
        let refused =
            |code: &str, why: &str| Outcome::Refused(Refusal::new(code, wanted.name.clone(), why));
        let entry = locked(&journey.road).entry.clone();
        let looked = match &mut self.line {
            Some(line) => line.look(self.board.request.delivery, &entry),
            None => return,
        };
        let found = match looked {
            Ok(found) if found.kind == crate::source::EntryKind::File => found,
            Ok(_) => {
                return self.give_up(
                    journey,
                    refused("not_a_file_device", "it is not a regular file any more"),
                );
            }
            Err(SourceFault::Lasting { why, code, .. }) => {
                return self.give_up(journey, refused(code, &why));
            }
            Err(fault) => return self.put_off(journey, &fault.to_string(), false),
        };
        let mut road = locked(&journey.road);
        if road.readers > 0 {
            // Another line reads it still, perhaps what was there before.
            drop(road);
            return crate::sleep(PAUSES.0, self.board.request.stop);
        }
        road.contents += 1;
        if road.contents > CONTENTS_MOST {
            drop(road);
            let why = "it changed twice while it was read: still being written?";
            return self.give_up(journey, refused("changed_while_read", why));
        }
        road.entry = found;
        let restarted = road.restart();
        let path = road.path.clone();
        drop(road);
        if let Err(error) = restarted {
            self.board.library(&path, error);
        }
    }

    /// A file is left with an outcome; what came of it stays for another time only if it is put off.
    fn give_up(&mut self, journey: &Arc<Journey>, outcome: Outcome) {
        let mut road = locked(&journey.road);
        if road.partial.take().is_none() {
            return;
        }
        if !matches!(outcome, Outcome::Postponed { .. }) || !road.entry.has_ranges {
            partial::discard(&road.path);
        }
        drop(road);
        self.send(journey, outcome);
    }

    fn send(&self, journey: &Arc<Journey>, outcome: Outcome) {
        let wanted = &self.board.wanted[journey.index];
        (self.board.request.progress)(Step::Ended { name: &wanted.name, bytes: wanted.bytes });
        let _ = self.sender.send((journey.index, outcome));
        self.board.leave(journey);
    }

    /// All bytes of a file are here.
    fn finish(&mut self, journey: &Arc<Journey>) {
        let Some(partial) = locked(&journey.road).partial.take() else { return };
        let path = locked(&journey.road).path.clone();
        match self.judged(journey, partial) {
            Ok(Some(outcome)) => self.send(journey, outcome),
            Ok(None) => self.board.changed.notify_all(), // taken again
            Err(Judgement::Library(fault)) => self.board.halt(Some(Halt::Library(fault))),
            Err(Judgement::Io(error)) => self.board.library(&path, error),
        }
    }

    /// What a whole file is worth; `None` when it is to be taken again.
    fn judged(
        &mut self,
        journey: &Arc<Journey>,
        partial: Partial,
    ) -> Result<Option<Outcome>, Judgement> {
        let board = self.board;
        let wanted = &board.wanted[journey.index];
        let stated = board.manifest.of(&wanted.name);
        let (path, sums) = partial.finish()?;
        let (entry, tries, doubted) = {
            let road = locked(&journey.road);
            (road.entry.clone(), road.contents, road.doubted.clone())
        };
        let sha256 = sums.sha256.clone();
        let proof = match landing::confirmed(
            &wanted.name,
            stated,
            board.manifest.bytes_of(&wanted.name),
            &sums,
        ) {
            Ok(proof) => proof,
            // The way may have done it: the same twice is the source's own.
            Err(refusal) => {
                partial::discard(&path);
                if doubted.as_deref() == Some(sha256.as_str()) {
                    return Ok(Some(Outcome::Refused(*refusal)));
                }
                return self.once_more(journey, entry, sha256);
            }
        };
        let complete = Complete {
            sums,
            temporary: path,
            is_in_place: false,
            modified_ns: entry.modified_ns,
            tries,
            resumed_bytes: locked(&journey.road).resumed_bytes,
            began: journey.began,
        };
        let mut is_still = || self.is_still(&entry);
        let doubted = doubted.as_deref();
        match landing::settle(board.request, wanted, complete, proof, doubted, &mut is_still) {
            Ok(Verdict::Done(outcome)) => Ok(Some(outcome)),
            Ok(Verdict::Doubtful(sha256)) => self.once_more(journey, entry, sha256),
            Err(fault) => Err(Judgement::Library(fault)),
        }
    }

    /// A second look at the source, where nobody states what a file should be. One that cannot be had is no objection:
    /// what was read was held against the list.
    fn is_still(&mut self, entry: &Entry) -> bool {
        if self.line.is_none() {
            self.line = self.board.request.source.line().ok();
        }
        let looked = self.line.as_mut().map(|line| line.look(self.board.request.delivery, entry));
        match looked {
            Some(Ok(found)) => found.is_same(entry),
            Some(Err(SourceFault::Lasting { .. })) => true,
            Some(Err(_)) => {
                self.line = None;
                true
            }
            None => true,
        }
    }

    /// Takes a whole file again from its beginning.
    fn once_more(
        &mut self,
        journey: &Arc<Journey>,
        entry: Entry,
        sha256: String,
    ) -> Result<Option<Outcome>, Judgement> {
        let wanted = &self.board.wanted[journey.index];
        let looked =
            self.line.as_mut().and_then(|l| l.look(self.board.request.delivery, &entry).ok());
        let mut road = locked(&journey.road);
        road.contents += 1;
        if road.contents > CONTENTS_MOST {
            let why = "it was another one each time it was read";
            let refusal = Refusal::new("changed_while_read", wanted.name.clone(), why);
            return Ok(Some(Outcome::Refused(refusal)));
        }
        road.doubted = Some(sha256);
        road.entry = looked.unwrap_or(entry);
        road.partial =
            Some(Partial::open(road.path.clone(), self.board.manifest.of(&wanted.name))?);
        road.restart()?;
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
