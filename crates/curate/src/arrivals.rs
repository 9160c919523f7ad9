//! The loops that watch sources: new files are fetched into the library and registered, each source in a thread of its own.
//!
//! A delivery is first listed remotely ([`Probe`]). It is fetched only when it changed or some of its files are awaited.
//! Files that did not change for a while are fetched immediately ([`SourceConfig::fetch_early`]), so that the work on them begins
//! while the rest is on its way. [`transfer::completeness`] decides when the delivery is complete. Only earlier listings are
//! remembered here: after a restart every delivery is checked again.

use crate::config::SourceConfig;
use crate::failure::{Failure, Kind};
use crate::file_time::FileTime;
use crate::log::{self, note, tell};
use crate::loops::{BACK_OFF, first_of, is_for_ever, sleep, stand_by};
use crate::profiles::{self, Loaded};
use crate::site::{self, Site};
use crate::sources::{self, Origin};
use crate::state_file;
use crate::steps::{DeliveryFetch, FetchedDelivery, NightRun, own};
use crate::words::{counted, shown};
use archive::attempts::lease::Process;
use archive::deliveries::DeliveryState;
use archive::status::DeliveryStatus;
use model::DeliveryName;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use transfer::completeness::{self, Rule, Seen};
use transfer::source::Probe;
use transfer::{Entry, Fetched};

/// Delay before files that could not be fetched are retried.
const AGAIN: Duration = Duration::from_secs(30);
/// Longest time for one fetch of a delivery: the fetch resumes only when no delivery before it has something new.
const SLICE: Duration = Duration::from_secs(120);
/// Number of polls from which a complete delivery is left out.
const SKIPPED_POLLS: u32 = 10;
/// Delay before something that needs an operator's help is retried.
const LATER: Duration = Duration::from_secs(600);

/// The state that a transfer daemon is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArrivalsState {
    /// Watches its sources.
    #[default]
    Watching,
    /// Has ended.
    Stopped,
}

impl ArrivalsState {
    /// Returns the name in files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Watching => "watching",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for ArrivalsState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The state of the watch over a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WatchState {
    /// Before the first scan; files and reports show no word for it.
    #[default]
    #[serde(rename = "")]
    Unscanned,
    /// Waits for the next scan.
    Waiting,
    /// A delivery is being fetched.
    Reading,
    /// The source is unreachable.
    Away,
    /// The time is outside the windows of the source.
    Closed,
}

impl WatchState {
    /// Returns the name in files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unscanned => "",
            Self::Waiting => "waiting",
            Self::Reading => "reading",
            Self::Away => "away",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for WatchState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The state of the sources, for `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrivalsStatus {
    /// Host, boot, pid and start time.
    pub process: String,
    /// State of the daemon.
    pub state: ArrivalsState,
    /// State of each source, by name.
    pub sources: BTreeMap<String, SourceState>,
}

/// The state of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceState {
    /// Address without secrets.
    pub address: String,
    /// State of the watch.
    pub state: WatchState,
    /// Time of the last scan that succeeded; `None` before the first.
    pub scanned: Option<FileTime<true>>,
    /// Reason why the source is unreachable; `None` when it is reachable.
    pub fault: Option<String>,
    /// Time since which the source is unreachable; `None` when it is reachable.
    pub away_since: Option<FileTime<true>>,
    /// Deliveries with awaited files, each with a description of the missing files.
    pub awaited: BTreeMap<String, String>,
    /// Entries that are no deliveries, each with the reason.
    #[serde(default)]
    pub skipped: BTreeMap<String, String>,
}

/// Returns the directory in which the state is kept.
pub fn directory(logs: &Path) -> PathBuf {
    logs.join("arrivals")
}

/// Reads the state that the last daemon wrote.
pub fn read(logs: &Path) -> Option<ArrivalsStatus> {
    state_file::read(&directory(logs))
}

impl ArrivalsStatus {
    /// Returns true when the process of this state is running, if this machine can determine it.
    pub fn is_alive(&self) -> bool {
        state_file::is_alive(&self.process, self.state == ArrivalsState::Stopped)
    }
}

/// A state that several threads change.
struct Board {
    state: Mutex<ArrivalsStatus>,
    directory: PathBuf,
}

impl Board {
    fn change(&self, change: impl FnOnce(&mut ArrivalsStatus)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.clone();
        change(&mut state);
        if *state != before {
            state_file::write(&self.directory, &*state);
        }
    }

    fn of(&self, origin: &Origin, change: impl FnOnce(&mut SourceState)) {
        self.change(|state| change(state.sources.entry(origin.name.clone()).or_default()));
    }
}

/// Returns true when anything is to be watched.
pub fn has_sources(site: &Site) -> bool {
    !site.config.inbox.directories.is_empty() || !site.config.sources.is_empty()
}

/// Runs until a signal ends it.
///
/// # Errors
/// Faults that waiting does not repair: no archive, a newer schema, a wrong configuration.
pub fn watch(site: &Site, stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
    let origins = sources::all(site)?;
    if origins.is_empty() {
        return Err(crate::failure::gate(
            "almagest.toml names no source: [inbox] directories, [sources.NAME]",
        ));
    }
    let profiles = site.profiles()?;
    let directory = directory(&site.place.logs());
    files::create_dir(&directory)?;
    let Some(_lock) = stand_by(&directory, stop, &|| {
        "another process watches the sources of this site; standing by".to_owned()
    })?
    else {
        return Ok(());
    };
    let state = ArrivalsStatus {
        process: Process::me().to_string(),
        state: ArrivalsState::Watching,
        ..ArrivalsStatus::default()
    };
    state_file::write(&directory, &state);
    let board = Board { state: Mutex::new(state), directory };
    tell!(INFO, "daemon_begun", "watching {}", counted(origins.len() as u64, "source"));
    let subscriber = log::current();
    let ended = std::thread::scope(|scope| {
        let (board, profiles, subscriber) = (&board, &profiles, &subscriber);
        let watch = move |origin| {
            let memories = HashMap::new();
            let complete_before = None;
            let mut watcher =
                Watcher { site, origin, profiles, board, stop, memories, complete_before };
            log::under(subscriber, || watcher.run())
        };
        let threads: Vec<_> =
            origins.iter().map(|origin| scope.spawn(move || watch(origin))).collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(ended) => ended,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect::<Vec<_>>()
    });
    board.change(|state| state.state = ArrivalsState::Stopped);
    first_of(ended)
}

/// The earlier listings of a delivery.
#[derive(Default)]
struct Memory {
    probe: Option<Probe>,
    since: Option<Instant>,
    /// Fingerprint of the listing at the last fetch; `None` before the first.
    gone_into: Option<u64>,
    /// Time of the next listing; `None` when every poll lists the delivery.
    next_look: Option<Instant>,
    /// True when files of the delivery are awaited.
    is_open: bool,
    /// Time at which the delivery is fetched again although nothing changed.
    again: Option<Instant>,
    /// Files, each with the time since which it is known in this form.
    files: Mutex<HashMap<OsString, (Entry, Instant)>>,
}

impl Memory {
    fn see(&mut self, probe: Probe) {
        if self.probe.as_ref() != Some(&probe) {
            (self.probe, self.since) = (Some(probe), Some(Instant::now()));
        }
    }

    fn quiet(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Returns true when a file has not changed for the wanted time.
    fn is_settled(&self, entry: &Entry, wanted: Duration) -> bool {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        match files.get(&entry.name) {
            Some((seen, since)) if seen.kind == entry.kind && seen.is_same(entry) => {
                since.elapsed() >= wanted
            }
            _ => {
                files.insert(entry.name.clone(), (entry.clone(), Instant::now()));
                wanted.is_zero()
            }
        }
    }
}

/// Returns true when a delivery is to be fetched now. Pure except for the clock.
fn is_due(memory: &Memory, settings: &SourceConfig, is_marked: bool, quiet: Duration) -> bool {
    let Some(probe) = memory.probe.as_ref().filter(|probe| !probe.names.is_empty()) else {
        return false;
    };
    let is_again = memory.again.is_some_and(|at| Instant::now() >= at);
    let is_new = memory.gone_into != Some(probe.fingerprint);
    let is_quiet = quiet >= Duration::from_secs(settings.quiet_seconds);
    if !settings.fetch_early && memory.gone_into.is_none() {
        use crate::config::Complete;
        return match settings.complete_when {
            Complete::MarkerOrQuiet => is_marked || is_quiet,
            Complete::Marker => is_marked,
            Complete::Quiet => is_quiet,
            Complete::Count => probe.names.len() as u64 >= settings.expected_files,
            Complete::Manifest => is_new || is_again,
        };
    }
    is_new || is_again
}

fn is_conflict(fault: &anyhow::Error) -> bool {
    fault.downcast_ref::<Failure>().is_some_and(|failure| failure.kind == Kind::Conflict)
}

/// The outcome of a pass over deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// All deliveries that were due were fetched.
    Over,
    /// The pass ended within a delivery: the deliveries before it are checked first.
    Cut,
}

struct Watcher<'a> {
    site: &'a Site,
    origin: &'a Origin,
    profiles: &'a [Loaded],
    board: &'a Board,
    stop: &'a Arc<AtomicBool>,
    memories: HashMap<String, Memory>,
    /// Deliveries that were complete at the first query.
    complete_before: Option<HashSet<DeliveryName>>,
}

impl Watcher<'_> {
    fn run(&mut self) -> anyhow::Result<()> {
        let settings = &self.origin.settings;
        let poll = Duration::from_secs(settings.poll_seconds.max(1));
        let mut back_off = BACK_OFF.0;
        self.board.of(self.origin, |s| s.address.clone_from(&self.origin.address));
        while !self.stop.load(Ordering::Relaxed) {
            if !settings.is_open(site::now()) {
                self.board.of(self.origin, |s| s.state = WatchState::Closed);
                sleep(Duration::from_secs(5).min(poll), self.stop);
                continue;
            }
            match self.pass() {
                Ok(turn) => {
                    back_off = BACK_OFF.0;
                    self.board.of(self.origin, |s| {
                        s.state = WatchState::Waiting;
                        (s.fault, s.away_since, s.scanned) = (None, None, Some(site::now().into()));
                    });
                    if turn == Turn::Over {
                        sleep(poll, self.stop);
                    }
                }
                Err(fault) if crate::failure::is_moved(&fault) => {
                    self.stop.store(true, Ordering::Relaxed);
                    return Err(fault);
                }
                Err(fault) => {
                    self.away(&shown(&format!("{fault:#}")));
                    sleep(back_off, self.stop);
                    back_off = (2 * back_off).min(BACK_OFF.1);
                }
            }
        }
        Ok(())
    }

    /// Reports the source as unreachable, once until it is reachable again or the reason changes.
    fn away(&self, why: &str) {
        if self.stop.load(Ordering::Relaxed) {
            return;
        }
        self.board.of(self.origin, |s| {
            if s.fault.as_deref() != Some(why) {
                let source = &self.origin.name;
                tell!(ERROR, "source_unreachable", source, "{source} is retried: {why}");
            }
            s.state = WatchState::Away;
            s.fault = Some(why.to_owned());
            s.away_since.get_or_insert_with(|| site::now().into());
        });
    }

    /// Lists every delivery, and fetches those that are due.
    fn pass(&mut self) -> anyhow::Result<Turn> {
        let offered = self.origin.deliveries(self.profiles)?;
        self.tell_skipped(offered.skipped);
        for name in offered.names {
            if self.stop.load(Ordering::Relaxed) || !self.origin.settings.is_open(site::now()) {
                break;
            }
            let mut memory = self.memories.remove(&name).unwrap_or_default();
            if memory.next_look.is_some_and(|at| Instant::now() < at) {
                self.memories.insert(name, memory);
                continue;
            }
            memory.see(self.origin.source.probe(&name)?);
            let gone = self.go_into(&name, &mut memory);
            let is_done = memory.gone_into.is_some() && !memory.is_open && memory.again.is_none();
            let is_far = self.origin.source.directory(&name).is_none();
            // Hundreds of complete nights must not be listed every half minute.
            memory.next_look =
                (is_done && is_far).then(|| Instant::now() + self.between_listings());
            self.memories.insert(name, memory);
            if gone? == Turn::Cut {
                return Ok(Turn::Cut);
            }
        }
        Ok(Turn::Over)
    }

    /// Reports entries that are skipped, each once.
    fn tell_skipped(&self, skipped: Vec<(String, String)>) {
        let skipped: BTreeMap<String, String> = skipped.into_iter().collect();
        self.board.of(self.origin, |s| {
            for (name, why) in
                skipped.iter().filter(|(name, why)| s.skipped.get(*name) != Some(*why))
            {
                let source = &self.origin.name;
                tell!(WARN, "skipped", source, "{source}: {name} is skipped: {why}");
            }
            s.skipped = skipped;
        });
    }

    fn go_into(&mut self, name: &str, memory: &mut Memory) -> anyhow::Result<Turn> {
        let settings = &self.origin.settings;
        let marker = self.marker(name);
        let probe = memory.probe.clone().unwrap_or_default();
        let is_marked = marker.as_ref().is_some_and(|marker| probe.names.contains(marker));
        let quiet = memory.quiet().max(self.age(name));
        if !is_due(memory, settings, is_marked, quiet) {
            return Ok(Turn::Over);
        }
        let is_first = memory.gone_into.is_none() && memory.again.is_none();
        if is_first && self.origin.source.is_slow_to_list() && self.was_complete(name, &probe)? {
            memory.gone_into = Some(probe.fingerprint);
            return Ok(Turn::Over);
        }
        let source = &self.origin.name;
        note!(DEBUG, "fetching", delivery = name, source, "{name} is due at {source}");
        self.board.of(self.origin, |s| s.state = WatchState::Reading);
        let outcome = self.fetch(name, memory, marker, (is_marked, quiet));
        (memory.gone_into, memory.again) = (Some(probe.fingerprint), None);
        match outcome {
            Ok((is_open, again)) => {
                memory.is_open = is_open;
                memory.again = again.map(|after| Instant::now() + after);
                Ok(if again == Some(Duration::ZERO) { Turn::Cut } else { Turn::Over })
            }
            // Another process is fetching the delivery.
            Err(fault) if is_conflict(&fault) => {
                (memory.is_open, memory.again) = (true, Some(Instant::now() + AGAIN));
                Ok(Turn::Over)
            }
            Err(fault) if is_for_ever(&fault) && !crate::failure::is_moved(&fault) => {
                // The fault concerns this delivery only: the others must not wait for it.
                let why = shown(&format!("{fault:#}"));
                self.board.of(self.origin, |s| {
                    if s.awaited.get(name) != Some(&why) {
                        tell!(ERROR, "fetch_failed", delivery = name, "{name}: {why}");
                    }
                    s.awaited.insert(name.to_owned(), why);
                });
                (memory.is_open, memory.again) = (true, Some(Instant::now() + LATER));
                Ok(Turn::Over)
            }
            Err(fault) => {
                memory.gone_into = None;
                Err(fault)
            }
        }
    }

    /// Returns the time between two listings of a complete delivery: late files are rare.
    fn between_listings(&self) -> Duration {
        let poll = Duration::from_secs(self.origin.settings.poll_seconds.max(1));
        (poll * SKIPPED_POLLS).min(LATER).max(poll)
    }

    /// Returns true when a delivery was complete before this process started, and has no new names now. Called only for sources
    /// that query every file to list a delivery.
    fn was_complete(&mut self, name: &str, probe: &Probe) -> anyhow::Result<bool> {
        let archive = self.site.read()?;
        if self.complete_before.is_none() {
            let is_complete =
                |d: &DeliveryStatus| d.state != DeliveryState::Arriving && d.awaited.is_none();
            let all = archive.status()?.deliveries.into_iter().filter(is_complete);
            self.complete_before = Some(all.map(|d| d.name).collect());
        }
        let origins = archive.origins(Some(name))?;
        let Some(own) = own(&origins, self.origin, &sources::keys(self.site)) else {
            return Ok(false);
        };
        if !self.complete_before.as_ref().is_some_and(|before| before.contains(&own.delivery)) {
            return Ok(false);
        }
        let files = archive.known_files(&own.delivery)?.into_iter().map(|f| f.name);
        let skipped = archive.skipped(&own.delivery)?.into_iter().map(|s| s.name);
        let known: HashSet<String> = files.chain(skipped).collect();
        Ok(probe.names.iter().all(|name| known.contains(name)))
    }

    /// Returns the name that the delivery's marker would have.
    fn marker(&self, name: &str) -> Option<String> {
        match profiles::naming_of(self.profiles, name) {
            Some(own) => own.marker.clone(),
            None => self.profiles.iter().find_map(|p| p.profile.naming.marker.clone()),
        }
    }

    /// Returns the time since the last change by the files' own dates: only for a directory of this machine, where clocks agree.
    fn age(&self, name: &str) -> Duration {
        let Some(directory) = self.origin.source.directory(name) else { return Duration::ZERO };
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        // For a link, the date of its target counts.
        let date = |path: &Path| std::fs::metadata(path).ok()?.modified().ok();
        let latest = entries.filter_map(|e| date(&e.path())).max();
        latest.and_then(|at| at.elapsed().ok()).unwrap_or_default()
    }

    /// Fetches the files that are due. Returns true when files are awaited, and the delay after which another try makes
    /// sense.
    fn fetch(
        &self,
        name: &str,
        memory: &Memory,
        marker: Option<String>,
        (is_marked, quiet): (bool, Duration),
    ) -> anyhow::Result<(bool, Option<Duration>)> {
        let settings = &self.origin.settings;
        let settle = Duration::from_secs(settings.settle_seconds);
        let quiet_wanted = Duration::from_secs(settings.quiet_seconds);
        let by_marker = matches!(self.origin.rule(), Rule::Marker | Rule::MarkerOrQuiet);
        let all_settled = is_marked && by_marker || quiet >= quiet_wanted;
        let is_settled = |entry: &Entry| memory.is_settled(entry, settle) || all_settled;
        let judge = |fetched: &Fetched| {
            let seen = Seen {
                is_marked: fetched.marked_complete,
                marker: marker.clone().unwrap_or_default(),
                listed: fetched.listed.as_ref().map(|(files, _)| *files),
                absent: fetched.absent,
                files: fetched.arrivals.len() + fetched.unchanged.len(),
                quiet,
                quiet_wanted,
                unsettled: fetched.unsettled.len(),
                postponed: fetched.postponed.len() + fetched.not_started,
                lost: fetched.unreachable.clone(),
            };
            let awaited = completeness::awaited(self.origin.rule(), &seen);
            (awaited.is_none(), awaited)
        };
        let fetch = DeliveryFetch::new(self.origin, name, &is_settled, &judge);
        let fetched = self.while_open(|halt| -> anyhow::Result<_> {
            let mut night =
                NightRun::open_until(self.site.clone(), &self.origin.name, "transfer", halt)?;
            let delivery = night.fetch(&fetch)?;
            let refused = night.counts().get("transfer").map_or(0, |counts| counts.refusals);
            night.ended(i32::from(refused > 0));
            Ok((delivery, refused))
        });
        let (FetchedDelivery { name, fetched, awaited }, refused) = fetched?;
        self.told(&name, &fetched, refused, awaited.as_deref());
        let again = match () {
            () if fetched.unreachable.is_some() || !fetched.postponed.is_empty() => Some(AGAIN),
            () if fetched.not_started > 0 => Some(Duration::ZERO), // the slice is over
            () if !fetched.unsettled.is_empty() => Some(settle.max(Duration::from_secs(1))),
            () if awaited.is_some() && quiet < quiet_wanted => {
                Some(quiet_wanted.saturating_sub(quiet))
            }
            () if awaited.is_some() => Some(LATER),
            () => None,
        };
        Ok((awaited.is_some(), again))
    }

    fn told(&self, name: &str, fetched: &Fetched, refused: u64, awaited: Option<&str>) {
        let mut was_open = false;
        self.board.of(self.origin, |s| {
            was_open = match awaited {
                Some(awaited) => s.awaited.insert(name.to_owned(), awaited.to_owned()).is_some(),
                None => s.awaited.remove(name).is_some(),
            };
        });
        let is_news = !fetched.arrivals.is_empty() || awaited.is_none() && was_open;
        if !is_news || self.stop.load(Ordering::Relaxed) {
            return;
        }
        let refused = match refused {
            0 => String::new(),
            n => format!(", {} refused", counted(n, "file")),
        };
        let counted_files = counted(fetched.arrivals.len() as u64, "file");
        let skipped = match fetched.skipped.as_slice() {
            [] => String::new(),
            [one] => format!(", {} skipped", one.name),
            [one, rest @ ..] => {
                format!(", {} and {} more skipped", one.name, rest.len())
            }
        };
        let refused = format!("{refused}{skipped}");
        let rest =
            awaited.map_or("complete".to_owned(), |awaited| format!("not complete: {awaited}"));
        let (source, files) = (&self.origin.name, fetched.arrivals.len());
        tell!(
            INFO,
            "fetched",
            delivery = name,
            source,
            files,
            "{name}: {counted_files} fetched{refused}; {rest}"
        );
    }

    /// Runs `act` with a flag that is set when the daemon stops, the window of the source closes or the slice expires.
    fn while_open<T>(&self, act: impl FnOnce(Arc<AtomicBool>) -> T) -> T {
        let (halt, done) = (Arc::new(AtomicBool::new(false)), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let began = Instant::now();
                while !done.load(Ordering::Relaxed) {
                    let is_over = self.stop.load(Ordering::Relaxed)
                        || began.elapsed() > SLICE
                        || !self.origin.settings.is_open(site::now());
                    halt.fetch_or(is_over, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(50));
                }
            });
            let result = act(Arc::clone(&halt));
            done.store(true, Ordering::Relaxed);
            result
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Complete;

    fn probe(names: &[&str]) -> Probe {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        Probe { fingerprint: names.len() as u64, names }
    }

    fn memory(names: &[&str]) -> Memory {
        let mut memory = Memory::default();
        memory.see(probe(names));
        memory
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_delivery_is_listed_when_it_may_have_changed() {
        let early = SourceConfig { quiet_seconds: 60, ..SourceConfig::default() };
        let whole = SourceConfig { fetch_early: false, ..early.clone() };
        assert!(!is_due(&memory(&[]), &early, false, 99 * SECOND), "nothing has arrived");
        assert!(is_due(&memory(&["a"]), &early, false, SECOND), "it is new");
        assert!(!is_due(&memory(&["a"]), &whole, false, SECOND), "it is not complete");
        assert!(is_due(&memory(&["a"]), &whole, true, SECOND), "its marker is there");
        assert!(is_due(&memory(&["a"]), &whole, false, 60 * SECOND), "nothing changed for a while");
        let marker = SourceConfig { complete_when: Complete::Marker, ..whole.clone() };
        assert!(!is_due(&memory(&["a"]), &marker, false, 60 * SECOND), "only its marker counts");
        let count = SourceConfig { complete_when: Complete::Count, expected_files: 2, ..whole };
        assert!(!is_due(&memory(&["a"]), &count, true, SECOND));
        assert!(is_due(&memory(&["a", "b"]), &count, false, SECOND));

        let mut fetched = memory(&["a"]);
        fetched.gone_into = Some(1);
        assert!(!is_due(&fetched, &early, true, 99 * SECOND), "fetched, and complete");
        fetched.again = Some(Instant::now() + 99 * SECOND);
        assert!(!is_due(&fetched, &early, false, 60 * SECOND), "not yet");
        fetched.again = Some(Instant::now());
        assert!(is_due(&fetched, &early, false, SECOND), "now");
        fetched.again = None;
        fetched.see(probe(&["a", "b"]));
        assert!(is_due(&fetched, &marker, false, SECOND), "late files come without a word");
    }

    #[test]
    fn a_file_settles_when_it_stays_as_it_is() {
        let memory = Memory::default();
        let entry = |bytes| Entry {
            name: "a.fit".into(),
            kind: transfer::source::EntryKind::File,
            bytes: Some(bytes),
            modified_ns: 1,
            tag: String::new(),
            has_ranges: true,
            locator: None,
            note: String::new(),
        };
        let wanted = Duration::from_millis(30);
        assert!(!memory.is_settled(&entry(1), wanted));
        std::thread::sleep(wanted);
        assert!(!memory.is_settled(&entry(2), wanted), "it grew");
        std::thread::sleep(wanted);
        assert!(memory.is_settled(&entry(2), wanted));
        assert!(Memory::default().is_settled(&entry(1), Duration::ZERO));
    }
}
