//! Readers that query a night while its second version is ingested, retracted, superseded and undone.
//!
//! The process that changes the archive stops itself at each instant of its transactions. At each of them every reader answers
//! at least once, and between them the readers query all the time. An answer is one statement, so it comes of one snapshot.
//!
//! - In each answer the detections of a detector of a file name are all those of exactly one version, or a record of the same
//!   snapshot says why there are none: each version is retracted, or an operator decided to end it.
//! - A product that is kept despite a newer frame, or a newer catalogue of the frame, is recorded as kept, and is a finding.
//! - Answers that see the same events are equal, whichever reader has them and whenever.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod operator;

#[path = "watch/answer.rs"]
mod answer;

use answer::{Answer, Detector, Query};
use archive::products::kept::KeptProduct;
use archive::{Reader, Site};
use model::UseCase;
use operator::{Desk, Small, Spoilt, signal};
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const FIRST: &str = "20071011_v1";
const SECOND: &str = "20071011_v2";
/// Readers that query all the time.
const READERS: usize = 2;
/// Instants at which the process stops: all within and after the transactions that change what queries see.
const INSTANTS: [&str; 17] = [
    "register:after-commit",
    "load:after-commit",
    "attach:before-commit",
    "attach:after-commit",
    "publish:claimed",
    "publish:rows",
    "publish:lake",
    "publish:moved",
    "publish:before-commit",
    "publish:after-commit",
    "retract:ended",
    "retract:before-commit",
    "retract:after-commit",
    "restore:before-commit",
    "restore:after-commit",
    "supersede:before-commit",
    "supersede:after-commit",
];

/// The version that shows the detections of each detector that has some.
type Shown = BTreeMap<Detector, String>;

/// Extension numbers of the detectors of every image.
const DETECTORS: [i64; 4] = [2, 3, 4, 5];

/// The state that all readers share.
#[derive(Default)]
struct Shared {
    /// The first answer for each set of events.
    answers: Mutex<BTreeMap<Vec<i64>, Answer>>,
    faults: Mutex<Vec<String>>,
    /// The number of the instant at which the process is stopped.
    instant: AtomicU64,
    /// The latest instant in which each reader began an answer that it has finished.
    answered: [AtomicU64; READERS],
    count: AtomicU64,
    is_over: AtomicBool,
}

impl Shared {
    fn note(&self, answer: &Answer) {
        self.count.fetch_add(1, SeqCst);
        let mut faults = answer.faults();
        let mut answers = self.answers.lock().unwrap();
        let events: Vec<i64> = answer.events.keys().copied().collect();
        let first = answers.entry(events).or_insert_with(|| answer.clone());
        if !first.shows_the_same(answer) {
            faults.push(format!("two answers with the same events differ: {first:?} {answer:?}"));
        }
        self.faults.lock().unwrap().extend(faults);
    }

    #[track_caller]
    fn is_without_fault(&self) {
        let faults = self.faults.lock().unwrap().clone();
        assert!(faults.is_empty(), "{faults:#?}");
    }

    /// Queries until the test is over.
    fn read(&self, reader: usize, site: &Site) {
        let query = Query::open(site);
        while !self.is_over.load(SeqCst) {
            let instant = self.instant.load(SeqCst);
            match query.answer() {
                Ok(answer) => self.note(&answer),
                Err(fault) => self.faults.lock().unwrap().push(fault),
            }
            self.answered[reader].store(instant, SeqCst);
        }
    }
}

/// A night with its readers.
struct Watch<'d> {
    desk: &'d Desk,
    site: Site,
    query: Query,
    shared: Arc<Shared>,
    readers: Vec<JoinHandle<()>>,
    /// What shows now, and all that showed once.
    now: Shown,
    ever: Vec<Shown>,
    instants: usize,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.shared.is_over.store(true, SeqCst);
    }
}

impl<'d> Watch<'d> {
    fn begin(desk: &'d Desk, site: Site) -> Self {
        let shared = Arc::new(Shared::default());
        let readers = (0..READERS).map(|reader| {
            let (shared, site) = (Arc::clone(&shared), site.clone());
            std::thread::spawn(move || shared.read(reader, &site))
        });
        let readers = readers.collect();
        let (query, now, ever) = (Query::open(&site), Shown::new(), vec![Shown::new()]);
        Self { desk, site, query, shared, readers, now, ever, instants: 0 }
    }

    /// Runs a command that stops at every instant. Before it has done its work `self.now` shows, and `after` afterwards.
    #[track_caller]
    fn step(&mut self, words: &[&str], codes: &[i32], after: &Shown) {
        let instants = INSTANTS.map(|name| format!("{name}:*")).join(",");
        let mut command = self.desk.command(words);
        command.env("ALMAGEST_STOP_AT", instants).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut seen = Vec::new();
        while is_stopped_before_its_end(&mut process) {
            seen.push(self.hold());
            signal(&process, Signal::CONT);
        }
        let ended = process.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.code().is_some_and(|c| codes.contains(&c)), "{words:?}: {said}");
        assert_eq!(seen.first(), Some(&self.now), "{words:?}: readers see the state before");
        assert_eq!(&self.hold(), after, "{words:?}: readers see the state after");
        let is_either = |shown: &Shown| *shown == self.now || shown == after;
        assert!(seen.iter().all(is_either), "{words:?}: {seen:?}");
        self.now.clone_from(after);
        self.ever.push(after.clone());
    }

    /// Has every reader answer while nothing changes, and compares an answer with the reports. Returns what shows.
    #[track_caller]
    fn hold(&mut self) -> Shown {
        self.instants += 1;
        let instant = self.shared.instant.fetch_add(1, SeqCst) + 1;
        let answer = self.query.answer().unwrap();
        self.shared.note(&answer);
        self.compare_with_reports(&answer);
        let began = Instant::now();
        while self.shared.answered.iter().any(|answered| answered.load(SeqCst) < instant) {
            assert!(began.elapsed() < Duration::from_secs(600), "a reader has no answer");
            std::thread::sleep(Duration::from_millis(2));
        }
        self.shared.is_without_fault();
        answer.shown()
    }

    /// Checks that the kept products are those that show despite a newer frame, and that each kept product is a finding.
    #[track_caller]
    fn compare_with_reports(&self, answer: &Answer) {
        let archive = Reader::open(&self.site).unwrap();
        let all = archive.kept_products(None).unwrap();
        let (own, beside): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|k| k.is_of_own_catalogue());
        let images = |kept: &[KeptProduct], use_case: UseCase| -> BTreeSet<(String, i64)> {
            let kept = kept.iter().filter(|k| k.use_case == use_case);
            kept.map(|k| (k.file.clone(), k.multiframe_id.get())).collect()
        };
        assert_eq!(images(&own, UseCase::Catalogue), answer.uncovered());
        for (use_case, code, wanted) in [
            (UseCase::Catalogue, "older_detections_kept", answer.kept(&answer.detections)),
            (UseCase::Preview, "older_preview_kept", answer.kept(&answer.previews)),
        ] {
            assert_eq!(images(&beside, use_case), wanted, "{use_case}");
            let wanted = wanted.len() + images(&own, use_case).len();
            let findings = archive.findings(None).unwrap();
            let found: u64 = findings.iter().filter(|f| f.code == code).map(|f| f.files).sum();
            assert_eq!(found, wanted as u64, "{findings:?}");
        }
    }

    /// Ends the readers and checks all their answers.
    fn end(mut self) {
        self.shared.is_over.store(true, SeqCst);
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        self.shared.is_without_fault();
        let answers = self.shared.answers.lock().unwrap();
        for answer in answers.values() {
            let shown = answer.shown();
            assert!(self.ever.contains(&shown), "{shown:?} never showed at an instant");
        }
        // The process stopped after every commit, so that the state of each event was seen.
        let (all, last) = answers.last_key_value().unwrap();
        assert!(all.len() > 3);
        let before = answers.keys().map(Vec::len).min().unwrap();
        // Metadata that wait are stored in an event that is committed with the next.
        let is_with_next = |n: usize| n < all.len() && last.events[&all[n - 1]] == "reference";
        for n in (before..=all.len()).filter(|n| !is_with_next(*n)) {
            assert!(answers.contains_key(&all[..n]), "no answer after {n} of {} events", all.len());
        }
        let (instants, count) = (self.instants, self.shared.count.load(SeqCst));
        println!("{count} answers, {instants} instants, {} states", answers.len());
        drop(answers);
        self.desk.verified();
    }
}

/// Waits until a process stops itself. Returns `false` when it ends instead.
fn is_stopped_before_its_end(process: &mut Child) -> bool {
    loop {
        if process.try_wait().unwrap().is_some() {
            return false;
        }
        if operator::is_stopped(process) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Runs a test on a desk of each engine, with the site as its queries see it.
fn on_both_engines(test: impl Fn(&Desk, Site)) {
    let desk = Desk::new();
    let site = Site::open_on(&desk.site, &archive::Database::default()).unwrap();
    test(&desk, site);
    let Some((desk, database)) = Desk::on_server() else { return };
    let of_queries = archive::Database {
        url: Some(database.url()),
        query_user: Some(format!("{}_query", database.name)),
        ..Default::default()
    };
    let site = Site::open_on(&desk.site, &of_queries).unwrap();
    test(&desk, site);
}

/// Lists the catalogues of a delivery in the order of their names.
fn catalogues(delivery: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(delivery).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> =
        entries.filter(|path| path.to_string_lossy().ends_with("_cat.fits")).collect();
    found.sort();
    found
}

/// Returns the name of the image to which a catalogue belongs.
fn image_of(catalogue: &Path) -> String {
    catalogue.file_name().unwrap().to_str().unwrap().replace("_cat.fits", ".fit")
}

/// Two versions of a night, of which the second has other detections.
struct Night {
    first: PathBuf,
    second: PathBuf,
    /// File names of the frames with catalogues.
    names: Vec<String>,
    /// Holds the catalogues of the second version that were taken out or replaced, whole.
    whole: PathBuf,
}

impl Night {
    fn simulate(desk: &Desk) -> Self {
        let small = Small { detections: 8, ..Small::default() };
        let first = desk.simulate(&small);
        let second = desk.simulate(&Small { version: 2, detections: 11, ..small });
        let names: Vec<String> = catalogues(&first).iter().map(|path| image_of(path)).collect();
        let of_second: Vec<String> = catalogues(&second).iter().map(|p| image_of(p)).collect();
        assert!(names == of_second && names.len() == 4, "{names:?} {of_second:?}");
        let whole = desk.dir.path().join("whole");
        std::fs::create_dir(&whole).unwrap();
        Self { first, second, names, whole }
    }

    /// Keeps a catalogue of the second version for later. Returns the place where it was.
    fn take_out(&self, n: usize) -> PathBuf {
        let name = self.names[n].replace(".fit", "_cat.fits");
        std::fs::rename(self.second.join(&name), self.whole.join(&name)).unwrap();
        self.second.join(&name)
    }

    /// Has the HDU of a detector refused, or leaves out the last HDU, of a catalogue of the second version.
    fn spoil(&self, n: usize, hdu: Spoilt) {
        let place = self.take_out(n);
        std::fs::write(place, hdu.of(&std::fs::read(self.whole_catalogue(n)).unwrap())).unwrap();
    }

    fn whole_catalogue(&self, n: usize) -> PathBuf {
        self.whole.join(self.names[n].replace(".fit", "_cat.fits"))
    }

    /// Puts whole catalogues in the place of those that are absent or wrong.
    fn repair(&self) {
        for catalogue in catalogues(&self.whole) {
            std::fs::rename(&catalogue, self.second.join(catalogue.file_name().unwrap())).unwrap();
        }
    }

    /// Returns the detections that show when the first `n` frames show the first version and the others the second.
    fn shown(&self, n: usize) -> Shown {
        let mut shown = Shown::new();
        for (at, name) in self.names.iter().enumerate() {
            let version = if at < n { FIRST } else { SECOND };
            shown.extend(DETECTORS.map(|ext_num| ((name.clone(), ext_num), version.to_owned())));
        }
        shown
    }

    fn all_first(&self) -> Shown {
        self.shown(self.names.len())
    }

    fn all_second(&self) -> Shown {
        self.shown(0)
    }

    fn run_first(&self) -> [&str; 2] {
        ["run", self.first.to_str().unwrap()]
    }

    fn run_second(&self) -> [&str; 2] {
        ["run", self.second.to_str().unwrap()]
    }
}

/// Retracts a version and undoes that.
#[track_caller]
fn there_and_back(watch: &mut Watch<'_>, words: &[&str], meanwhile: &Shown) {
    let before = watch.now.clone();
    let reason = ["--reason", "a test"];
    watch.step(&[words, &reason].concat(), &[0], meanwhile);
    watch.step(&[words, &["--undo"], &reason].concat(), &[0], &before);
}

#[test]
fn a_second_version_with_catalogues() {
    on_both_engines(|desk, site| {
        let night = Night::simulate(desk);
        let (first, second) = (night.all_first(), night.all_second());
        let mut watch = Watch::begin(desk, site);
        watch.step(&night.run_first(), &[0], &first);
        watch.step(&night.run_second(), &[0], &second);
        there_and_back(&mut watch, &["retract", SECOND, "--use-case", "catalogue"], &first);
        there_and_back(&mut watch, &["retract", SECOND], &first);
        there_and_back(&mut watch, &["retract", FIRST], &second);
        watch.end();
    });
}

#[test]
fn a_second_version_whose_catalogues_are_late() {
    on_both_engines(|desk, site| {
        let night = Night::simulate(desk);
        let (first, second) = (night.all_first(), night.all_second());
        (0..4).for_each(|n| drop(night.take_out(n)));
        let mut watch = Watch::begin(desk, site);
        watch.step(&night.run_first(), &[0], &first);
        watch.step(&night.run_second(), &[0], &first);
        there_and_back(&mut watch, &["supersede", SECOND], &Shown::new());
        there_and_back(&mut watch, &["retract", FIRST], &Shown::new());
        there_and_back(&mut watch, &["retract", SECOND], &first);
        night.repair();
        watch.step(&night.run_second(), &[0], &second);
        there_and_back(&mut watch, &["retract", SECOND], &first);
        watch.end();
    });
}

/// Covers four frames: one has no catalogue, one a truncated one, one that of another field, and one a good one.
#[test]
fn a_second_version_with_refused_catalogues() {
    on_both_engines(|desk, site| {
        let night = Night::simulate(desk);
        night.take_out(0);
        let truncated = night.take_out(1);
        std::fs::write(truncated, &std::fs::read(night.whole_catalogue(1)).unwrap()[..4000])
            .unwrap();
        let wrong = night.take_out(2);
        std::fs::copy(night.whole_catalogue(0), wrong).unwrap();
        let mut watch = Watch::begin(desk, site);
        watch.step(&night.run_first(), &[0], &night.all_first());
        watch.step(&night.run_second(), &[1], &night.shown(3));
        let mut good = night.all_second();
        good.retain(|(name, _), _| *name == night.names[3]);
        there_and_back(&mut watch, &["supersede", SECOND], &good);
        let mut without_one = watch.now.clone();
        without_one.retain(|(name, _), _| *name != night.names[2]);
        let decide = ["supersede", SECOND, "--file", &night.names[2], "--reason", "a test"];
        watch.step(&decide, &[0], &without_one);
        // The decision is about the newer frame: the older one shows as long as that one is retracted.
        there_and_back(&mut watch, &["retract", SECOND], &night.all_first());
        night.repair();
        watch.step(&night.run_second(), &[0], &night.all_second());
        let undo = ["supersede", SECOND, "--undo", "--reason", "a test"];
        watch.step(&undo, &[0], &night.all_second());
        there_and_back(&mut watch, &["retract", FIRST], &night.all_second());
        watch.end();
    });
}

/// Covers four frames of the second version: of one catalogue an HDU is refused, of one the last HDU is absent, two are good.
/// Afterwards a newer catalogue of the same image has a refused HDU.
#[test]
fn a_second_version_with_a_refused_hdu() {
    on_both_engines(|desk, site| {
        let night = Night::simulate(desk);
        night.spoil(0, Spoilt::Refused(3));
        night.spoil(1, Spoilt::LastAbsent);
        let kept = [(night.names[0].clone(), 3), (night.names[1].clone(), 5)];
        let without = |shown: &Shown, detectors: &[Detector]| -> Shown {
            let mut shown = shown.clone();
            shown.retain(|detector, _| !detectors.contains(detector));
            shown
        };
        let good = without(&night.all_second(), &kept);
        let mut both = night.all_second();
        both.extend(kept.clone().map(|detector| (detector, FIRST.to_owned())));
        let mut watch = Watch::begin(desk, site);
        watch.step(&night.run_first(), &[0], &night.all_first());
        watch.step(&night.run_second(), &[1], &both);
        there_and_back(&mut watch, &["supersede", SECOND], &good);
        there_and_back(
            &mut watch,
            &["retract", SECOND, "--use-case", "catalogue"],
            &night.all_first(),
        );
        there_and_back(&mut watch, &["retract", SECOND], &night.all_first());
        there_and_back(&mut watch, &["retract", FIRST], &good);
        night.repair();
        watch.step(&night.run_second(), &[0], &night.all_second());
        there_and_back(&mut watch, &["retract", FIRST], &night.all_second());
        // The image is the same: its own older detections stay.
        night.spoil(2, Spoilt::Refused(4));
        watch.step(&night.run_second(), &[1], &night.all_second());
        let ended = without(&night.all_second(), &[(night.names[2].clone(), 4)]);
        there_and_back(&mut watch, &["supersede", SECOND], &ended);
        there_and_back(&mut watch, &["retract", SECOND], &night.all_first());
        watch.end();
    });
}
