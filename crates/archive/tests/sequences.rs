//! Random sequences of arrivals, rounds, retractions, undos, purges and decisions over nights that share calibration frames, on
//! both engines, against a model: after every act each product of each name shows where it should, links are right, joins lose
//! nothing, and the archive as of every earlier event stays as it was.
//!
//! `ALMAGEST_SEQUENCES=200` runs as many sequences of 60 acts on each engine; without it a sample runs.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../query/tests/fixture/query.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod query;
#[path = "control_conformance/staging.rs"]
mod staging;

#[path = "sequences/model.rs"]
mod model_of;

use ::query::{SqlLimits, SqlReader};
use archive::attempts::Started;
use archive::attempts::results::Outcome;
use archive::batches::RowsOfProgramme;
use archive::registration::{Arrival, DeliveryFacts, Registration};
use archive::retraction::purge::PurgeScope;
use archive::{Archive, Site};
use model::{EventId, Night, UnitKey, UseCase};
use model_of::*;
use query::Rows;
use rusqlite::types::{Value as Cell, ValueRef};
use staging::*;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use upkeep::verify::{Options, verify};

/// Names in headers that other frames have.
const NAMED: [&str; 2] = ["dark.fit", "flat.fit"];

/// Endings under which frames arrive, and under which headers name them.
const ENDINGS: [&str; 4] = [".fit", ".fit.gz", ".fits", ".FIT.fz"];

/// Name, night and version of the deliveries: two nights are processed twice, and the first version of one arrives last.
const DELIVERIES: [(&str, u32, u32); 5] = [
    ("20071011_v1", 20_071_011, 1),
    ("20071011_v2", 20_071_011, 2),
    ("20071012_v2", 20_071_012, 2),
    ("20071013_v1", 20_071_013, 1),
    ("20071012_v1", 20_071_012, 1),
];

const ALL: [usize; 3] = [PREVIEW, METADATA, CATALOGUE];

/// xorshift64*, so that a seed is a sequence.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % sides
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }
}

/// A round that is staged, and which of its images will be accepted.
struct Staged {
    key: UnitKey,
    delivery: usize,
    use_case: usize,
    inputs: Vec<i64>,
    accepted: Vec<i64>,
    /// Of catalogues, what becomes of the HDU of each detector, by its place in [`DETECTORS`].
    hdus: BTreeMap<(i64, usize), Hdu>,
}

struct Player {
    site: Site,
    /// The site as queries see it.
    reader: Site,
    archive: Archive,
    model: Model,
    dice: Dice,
    /// Which delivery of [`DELIVERIES`] is which of the model, as it was registered.
    registered: Vec<usize>,
    contents: u32,
    staged: Vec<Staged>,
    seen: Vec<(EventId, Shown)>,
    acts: Vec<String>,
    /// How often each kind of act was done.
    tally: BTreeMap<&'static str, u32>,
}

fn use_case_of(product: usize) -> UseCase {
    UseCase::ALL[product]
}

impl Player {
    fn new(site: Site, archive: Archive, seed: u64) -> Self {
        Self {
            reader: as_reader(&site),
            site,
            archive,
            model: Model::default(),
            dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            registered: Vec::new(),
            contents: 0,
            staged: Vec::new(),
            seen: Vec::new(),
            acts: Vec::new(),
            tally: BTreeMap::new(),
        }
    }

    fn name(&self, delivery: usize) -> &'static str {
        DELIVERIES[self.registered[delivery]].0
    }

    /// One act.
    fn act(&mut self) {
        match self.dice.roll(20) {
            0..=3 => self.arrive(),
            4..=9 => self.stage(),
            10..=11 if self.staged.is_empty() => self.stage(),
            10..=11 => {
                let at = self.dice.roll(self.staged.len());
                self.publish(at);
            }
            12..=14 => self.retract(),
            15..=16 => self.restore(),
            17 => self.supersede(),
            18 => self.undo_supersession(),
            _ => self.purge(),
        }
    }

    fn any_delivery(&mut self) -> Option<usize> {
        let count = self.registered.len();
        (count > 0).then(|| self.dice.roll(count))
    }

    fn arrive(&mut self) {
        let place = if self.registered.len() < 3 {
            self.registered.len()
        } else {
            self.dice.roll(DELIVERIES.len())
        };
        let delivery = match self.registered.iter().position(|p| *p == place) {
            Some(delivery) => delivery,
            None => {
                self.registered.push(place);
                let (_, night, version) = DELIVERIES[place];
                self.model.deliveries.push((night, version));
                self.registered.len() - 1
            }
        };
        let mut arrivals = Vec::new();
        for name in ["dark.fit", "flat.fit", "s1.fit", "s2.fit"] {
            if self.dice.one_in(2) {
                continue;
            }
            self.contents += 1;
            let file = name.replace(".fit", ENDINGS[self.dice.roll(ENDINGS.len())]);
            arrivals.push(arrival(&file, &format!("content {}", self.contents)));
            let is_science = name.starts_with('s');
            let before =
                self.model.frames.iter().rev().find(|f| f.delivery == delivery && f.name == name);
            // A catalogue that arrived before belongs to the newest content.
            let had = before.is_some_and(|f| f.has_catalogue);
            let has_catalogue = is_science && (had || !self.dice.one_in(4));
            if has_catalogue && !had {
                let catalogue = name.replace(".fit", "_cat.fits");
                arrivals.push(arrival(&catalogue, &format!("rows {}", self.contents)));
            }
            self.model.frames.push(Frame {
                delivery,
                name,
                multiframe: i64::try_from(self.model.frames.len()).unwrap() + 1,
                has_catalogue,
                products: [State::Absent; 2],
                detectors: [Detector::ABSENT; 2],
                superseded: Default::default(),
            });
        }
        arrivals.extend(self.newer_catalogues(delivery, &arrivals));
        let (name, night, version) = DELIVERIES[place];
        let registration = Registration {
            delivery: DeliveryFacts {
                name: name.parse().unwrap(),
                night: Some(Night::new(i32::try_from(night).unwrap()).unwrap()),
                version: Some(version.to_string()),
                ..delivery_facts()
            },
            ..registration(&arrivals)
        };
        self.archive.record(&registration, now()).unwrap();
        self.acts.push(format!("{} files arrive in {name}", arrivals.len()));
    }

    /// Rolls which images of a delivery get another version of the catalogue that they have.
    fn newer_catalogues(&mut self, delivery: usize, arrivals: &[Arrival]) -> Vec<Arrival> {
        let mut newer = Vec::new();
        for name in ["s1.fit", "s2.fit"] {
            let catalogue = name.replace(".fit", "_cat.fits");
            let has = |f: &&Frame| f.delivery == delivery && f.name == name && f.has_catalogue;
            let is_there = self.model.frames.iter().any(|f| has(&f));
            let is_new = arrivals.iter().any(|a| a.name == catalogue);
            if is_there && !is_new && self.dice.one_in(2) {
                self.contents += 1;
                let ending = if self.dice.one_in(3) { ".gz" } else { "" };
                let catalogue = format!("{catalogue}{ending}");
                newer.push(arrival(&catalogue, &format!("rows {}", self.contents)));
                self.count("newer catalogue");
            }
        }
        newer
    }

    /// Opens a round, works it off, and publishes it now or later.
    fn stage(&mut self) {
        let Some(delivery) = self.any_delivery() else { return };
        let product = [METADATA, METADATA, PREVIEW, CATALOGUE, CATALOGUE][self.dice.roll(5)];
        if self.staged.iter().any(|s| (s.delivery, s.use_case) == (delivery, product)) {
            return;
        }
        let again = self.dice.one_in(4);
        let name = self.name(delivery);
        let work = self.archive.delivery_work(&name.parse().unwrap()).unwrap();
        let mut inputs = Vec::new();
        for image in &work.images {
            let frame = self.model.frame(image.multiframe_id.get());
            // Metadata are read with the catalogue as it is, and catalogues after them.
            let version = image.catalogue.as_ref().map(|c| c.version);
            let metadata = image.progress(UseCase::Metadata).coverage.as_ref();
            let is_read = metadata.is_some_and(|m| {
                m.catalogue_version == version && m.outcome == Some(Outcome::Done)
            });
            let is_due = again || !frame.is_published(product) || product == METADATA && !is_read;
            let is_described = product == METADATA
                || frame.is_published(METADATA) && (product == PREVIEW || is_read);
            let has_input = product != CATALOGUE || frame.has_catalogue;
            if is_due && is_described && has_input && !self.dice.one_in(6) {
                inputs.push(frame.multiframe);
            }
        }
        if inputs.is_empty() {
            return;
        }
        let key = open_round_of(&mut self.archive, name, use_case_of(product), 1, &|image| {
            inputs.contains(&image.multiframe_id.get())
        });
        let refused: BTreeSet<i64> =
            inputs.iter().copied().filter(|_| self.dice.one_in(5)).collect();
        let accepted: Vec<i64> = inputs.iter().copied().filter(|m| !refused.contains(m)).collect();
        let hdus = self.hdus(product, &accepted);
        for started in start_all(&mut self.archive, &key) {
            let result = worked_off(&started, &refused, &hdus);
            self.archive.accept_result(&result, now()).unwrap();
        }
        self.acts.push(format!("{key} of {inputs:?}, refused {refused:?}, HDUs {hdus:?}"));
        self.staged.push(Staged { key, delivery, use_case: product, inputs, accepted, hdus });
        if !self.dice.one_in(3) {
            self.publish(self.staged.len() - 1);
        }
    }

    /// Rolls what becomes of the HDUs of catalogues: most catalogues are whole.
    fn hdus(&mut self, product: usize, accepted: &[i64]) -> BTreeMap<(i64, usize), Hdu> {
        let mut hdus = BTreeMap::new();
        for &multiframe in accepted.iter().filter(|_| product == CATALOGUE) {
            let is_whole = self.dice.one_in(2);
            for at in 0..DETECTORS.len() {
                let hdu = match self.dice.roll(6) {
                    _ if is_whole => Hdu::Whole,
                    0 => Hdu::Empty,
                    1..=2 => Hdu::Refused,
                    3 => Hdu::Absent,
                    _ => Hdu::Whole,
                };
                hdus.insert((multiframe, at), hdu);
            }
        }
        hdus
    }

    fn publish(&mut self, at: usize) {
        let staged = &self.staged[at];
        let blocked = self.archive.staged_rounds().unwrap();
        let blocked = blocked.iter().find(|round| round.unit == staged.key).unwrap();
        if blocked.blocked.is_some() {
            let is_retracted =
                staged.inputs.iter().any(|m| !self.model.frame(*m).is_published(METADATA));
            let waits = self.staged.iter().any(|s| {
                s.use_case == METADATA && s.inputs.iter().any(|m| staged.inputs.contains(m))
            });
            assert!(is_retracted || waits, "{blocked:?}");
            self.acts.push(format!("{} is blocked", staged.key));
            self.count("blocked");
            return;
        }
        let staged = self.staged.remove(at);
        let batch = self.archive.batch(&staged.key).unwrap();
        let results = batch.tasks.iter().filter_map(|t| t.result.as_ref());
        let rows: u64 = results.flat_map(|r| &r.detectors).map(|d| d.rows).sum();
        let wanted = RowsOfProgramme { programme_id: 7.try_into().unwrap(), rows };
        let wanted: &[_] = if rows > 0 { &[wanted] } else { &[] };
        let ranges = self.archive.reserve(&staged.key, wanted, now()).unwrap();
        let loaded = self.archive.load(&batch, &ranges).unwrap();
        self.archive.publish(&batch, loaded, &cause(), now()).unwrap();
        self.acts.push(format!("{} is published", staged.key));
        let unit = Unit {
            delivery: staged.delivery,
            use_case: staged.use_case,
            inputs: staged.inputs,
            retracted: false,
            purged: false,
        };
        if unit.use_case != CATALOGUE {
            self.model.publish(unit, &staged.accepted);
            return;
        }
        let rows = staged.hdus.iter().filter_map(|(place, hdu)| match hdu {
            Hdu::Whole => Some((*place, 10)),
            Hdu::Empty => Some((*place, 0)),
            Hdu::Refused | Hdu::Absent => None,
        });
        self.model.publish_detections(unit, &rows.collect());
    }

    /// Some use cases as they are given, and with what refers to them.
    fn some_use_cases(&mut self) -> (Vec<UseCase>, Vec<usize>) {
        match self.dice.roll(5) {
            0 => (vec![UseCase::Preview], vec![PREVIEW]),
            1 => (vec![UseCase::Catalogue], vec![CATALOGUE]),
            2 => (vec![UseCase::Metadata], ALL.to_vec()),
            _ => (Vec::new(), ALL.to_vec()),
        }
    }

    fn retract(&mut self) {
        let Some(delivery) = self.any_delivery() else { return };
        let (given, with) = self.some_use_cases();
        let name = self.name(delivery);
        let done = self.archive.retract(&name.parse().unwrap(), &given, &cause(), now());
        self.acts.push(format!("retract {name} {given:?}: {}", done.is_ok()));
        let wanted = self.model.retract(delivery, &with);
        self.agree("retract", done.map(drop), wanted);
    }

    fn restore(&mut self) {
        let Some(delivery) = self.any_delivery() else { return };
        let (given, with) = self.some_use_cases();
        let name = self.name(delivery);
        let done = self.archive.restore(&name.parse().unwrap(), &given, &cause(), now());
        self.acts.push(format!("restore {name} {given:?}: {:?}", done.as_ref().err()));
        let wanted = self.model.restore(delivery, &with);
        self.agree("restore", done.map(drop), wanted);
    }

    fn supersede(&mut self) {
        let beside: Vec<usize> =
            self.model.kept().iter().map(|k| self.model.frame(k.newer).delivery).collect();
        let any = self.any_delivery();
        // Mostly where something is kept, which is seldom.
        let Some(delivery) = (match beside.len() {
            0 => any,
            _ if self.dice.one_in(4) => any,
            count => Some(beside[self.dice.roll(count)]),
        }) else {
            return;
        };
        let name = self.name(delivery);
        let is_of_detectors = self.model.kept().iter().any(|kept| {
            kept.newer == kept.multiframe && self.model.frame(kept.newer).delivery == delivery
        });
        let done = self.archive.supersede((name, None), &[], &cause(), now());
        if is_of_detectors {
            self.count("supersede of detectors");
        }
        self.acts.push(format!("supersede {name}: {}", done.is_ok()));
        let wanted = self.model.supersede(delivery);
        self.agree("supersede", done.map(drop), wanted);
    }

    /// Undoes decisions; the model forgets those that were made in favour of the delivery.
    fn undo_supersession(&mut self) {
        let Some(delivery) = self.any_delivery() else { return };
        let name = self.name(delivery);
        let (before, own_before) = (self.supersessions(), self.own_supersessions());
        let done = self.archive.undo_supersession((name, None), &[], &cause(), now());
        self.acts.push(format!("undo supersede {name}: {}", done.is_ok()));
        let (after, own_after) = (self.supersessions(), self.own_supersessions());
        let undone: Vec<_> = before.difference(&after).copied().collect();
        let own_undone: Vec<_> = own_before.difference(&own_after).copied().collect();
        assert_eq!(done.is_ok(), !(undone.is_empty() && own_undone.is_empty()));
        if done.is_ok() {
            self.count("undo_supersession");
        }
        for (multiframe, product, newer) in undone {
            self.model.frame_mut(multiframe).superseded[product].remove(&newer);
        }
        for (multiframe, at) in own_undone {
            assert_eq!(self.model.frame(multiframe).delivery, delivery);
            self.model.frame_mut(multiframe).detectors[at].is_superseded = false;
        }
    }

    /// Detectors whose detections a decision ended, which a newer catalogue of the frame had left.
    fn own_supersessions(&self) -> BTreeSet<(i64, usize)> {
        let sql = "SELECT multiframe_id, ext_num FROM product_detector WHERE supersession_event IS NOT NULL";
        let place = |row: &String| {
            let (multiframe, ext_num) = row.split_once('|').unwrap();
            let ext_num: i16 = ext_num.parse().unwrap();
            let at = DETECTORS.iter().position(|ext| *ext == ext_num).unwrap();
            (multiframe.parse().unwrap(), at)
        };
        raw(&self.site, sql).iter().map(place).collect()
    }

    /// Decisions in force, with the newer delivery of each.
    fn supersessions(&self) -> BTreeSet<(i64, usize, usize)> {
        let mut superseded = BTreeSet::new();
        let sql = "SELECT supersession.multiframe_id, supersession.use_case, delivery.name FROM supersession
                 JOIN event ON event.event_id = supersession.event_id JOIN unit ON unit.unit_id = event.unit_id
                 JOIN delivery ON delivery.delivery_id = unit.delivery_id
             WHERE undone_event IS NULL";
        for row in raw(&self.site, sql) {
            let [multiframe, use_case, name] = row.split('|').collect::<Vec<_>>()[..] else {
                panic!("{row}");
            };
            let product = ALL.into_iter().find(|p| use_case_of(*p).name() == use_case).unwrap();
            let mut deliveries = 0..self.model.deliveries.len();
            let newer = deliveries.find(|d| self.name(*d) == name).unwrap();
            superseded.insert((multiframe.parse().unwrap(), product, newer));
        }
        superseded
    }

    fn purge(&mut self) {
        let Some(delivery) = self.any_delivery() else { return };
        if !self.dice.one_in(2) {
            return;
        }
        let name = self.name(delivery);
        let purged = self.archive.purge(PurgeScope::Delivery(name), &cause(), now()).unwrap();
        self.acts.push(format!("purge {name}: {} rounds", purged.rounds.len()));
        self.model.purge(delivery);
        if purged.rows > 0 {
            self.count("purge");
            self.seen.clear(); // what is deleted is lost to the past too
        }
    }

    fn agree(&mut self, kind: &'static str, done: Result<(), archive::ArchiveError>, wanted: bool) {
        match done {
            Ok(()) => {
                assert!(wanted, "the model refuses {:?}", self.acts.last());
                self.count(kind);
            }
            Err(error) => {
                assert!(error.is_conflict(), "{error:?}");
                assert!(!wanted, "{error:?}, and the model does it");
            }
        }
    }

    fn count(&mut self, kind: &'static str) {
        *self.tally.entry(kind).or_default() += 1;
    }

    fn check(&mut self) {
        let wanted = self.model.shown();
        let reader = SqlReader::open_as_of(&self.reader, limits(), None).unwrap();
        assert_eq!(shown(&reader), wanted);
        assert_one_catalogue(&reader);
        if !wanted.detections.is_empty() {
            self.count("detections");
        }
        let kept: BTreeSet<Kept> = self
            .archive
            .kept_products(None)
            .unwrap()
            .into_iter()
            .map(|k| Kept {
                multiframe: k.multiframe_id.get(),
                product: ALL.into_iter().find(|p| use_case_of(*p) == k.use_case).unwrap(),
                newer: k.newer_multiframe_id.get(),
                ext_nums: k.ext_nums,
            })
            .collect();
        let wanted_kept: BTreeSet<Kept> = self.model.kept().into_iter().collect();
        for Kept { multiframe, newer, .. } in &wanted_kept {
            self.count(if multiframe == newer { "kept by detector" } else { "kept" });
        }
        assert_eq!(self.archive.status().unwrap().kept_products, wanted_kept.len() as u64);
        assert_eq!(kept, wanted_kept);
        let event = EventId::new(self.archive.status().unwrap().events).unwrap();
        if self.seen.last().is_none_or(|(last, _)| *last != event) {
            self.seen.push((event, wanted));
        }
    }

    fn check_history(&self) {
        for (event, wanted) in &self.seen {
            let reader = SqlReader::open_as_of(&self.reader, limits(), Some(*event)).unwrap();
            assert_eq!(shown(&reader), *wanted, "as of event {event}");
        }
        self.check_snapshots();
        let report = verify(&self.archive, Options::default()).unwrap();
        // No file of the library or preview was ever made here.
        let found: Vec<String> = report
            .findings
            .iter()
            .filter(|f| !f.code().starts_with("library_") && !f.code().starts_with("preview_"))
            .map(|f| format!("{}: {f}", f.code()))
            .collect();
        assert!(found.is_empty(), "{found:?}");
    }
}

impl Player {
    /// Rows that DuckLake's own tables show of `detection` at the snapshot of each remembered event: files begun and not
    /// ended, without the rows of their delete files.
    fn check_snapshots(&self) {
        if !self.site.is_embedded() {
            return;
        }
        let visible = "table_id = t.table_id AND begin_snapshot <= s.snapshot_id
            AND (end_snapshot IS NULL OR end_snapshot > s.snapshot_id)";
        let sql = format!(
            "SELECT json_extract(commit_extra_info, '$.event'),
                 (SELECT coalesce(sum(record_count), 0) FROM ducklake_data_file WHERE {visible})
                 - (SELECT coalesce(sum(delete_count), 0) FROM ducklake_delete_file WHERE {visible})
             FROM ducklake_snapshot AS s JOIN ducklake_snapshot_changes AS c ON c.snapshot_id = s.snapshot_id
                 JOIN ducklake_table AS t ON t.table_name = 'detection'
             WHERE commit_extra_info IS NOT NULL"
        );
        let of_events: BTreeMap<i64, u64> = raw(&self.site, &sql)
            .iter()
            .map(|row| row.split_once('|').unwrap())
            .map(|(event, rows)| (event.parse().unwrap(), rows.parse().unwrap()))
            .collect();
        for (event, wanted) in &self.seen {
            if let Some(rows) = of_events.get(&event.get()) {
                let shown: i64 = wanted.detections.values().sum();
                assert_eq!(*rows, shown.unsigned_abs(), "rows of the snapshot of event {event}");
            }
        }
    }
}

fn delivery_facts() -> DeliveryFacts {
    DeliveryFacts { address: "/far/away".to_owned(), all_there: true, ..delivery() }
}

/// Returns the name of a calibration frame in the headers of a frame.
fn named(frame: &str, multiframe: i64) -> Value {
    Value::Text(format!("{frame}{}", ENDINGS[usize::try_from(multiframe).unwrap() % ENDINGS.len()]))
}

/// The result of an attempt in which every frame names a dark and a flat, some inputs are refused, some HDUs are not whole, and a
/// component is named.
fn worked_off(
    started: &Started,
    refused: &BTreeSet<i64>,
    hdus: &BTreeMap<(i64, usize), Hdu>,
) -> model::task::TaskResult {
    let mut accepted = started.clone();
    accepted.inputs.retain(|input| !refused.contains(&input.multiframe_id.get()));
    let mut result = work_off_hdus(&accepted, &|multiframe, ext_num| {
        let at = DETECTORS.iter().position(|ext| *ext == ext_num).unwrap();
        hdus[&(multiframe, at)]
    });
    for input in &started.inputs {
        if refused.contains(&input.multiframe_id.get()) {
            let catalogue = input.catalogue.as_ref().map(|c| c.file.name.clone());
            let name = catalogue
                .filter(|_| started.attempt.task.unit.use_case == UseCase::Catalogue)
                .unwrap_or_else(|| input.image.name.clone());
            result.refusals.push(refusal("damaged", &name, None, false));
        }
    }
    if started.attempt.task.unit.use_case != UseCase::Metadata {
        return result;
    }
    let frames: Vec<Row> = accepted
        .inputs
        .iter()
        .map(|input| {
            let version = input.catalogue.as_ref().map(|c| Value::Integer(c.version.into()));
            let frame = [
                ("multiframe_id", Value::Integer(input.multiframe_id.get())),
                ("file_name", Value::Text(input.image.name.clone())),
                ("dark_name", named("dark", input.multiframe_id.get())),
                ("flat_name", named("flat", input.multiframe_id.get())),
            ];
            row(frame.into_iter().chain(version.map(|version| ("cat_version", version))))
        })
        .collect();
    let components: Vec<Row> = accepted
        .inputs
        .iter()
        .map(|input| {
            row([
                ("multiframe_id", Value::Integer(input.multiframe_id.get())),
                ("role", Value::Text("dark".to_owned())),
                ("component_name", named("dark", input.multiframe_id.get())),
            ])
        })
        .collect();
    result.files.retain(|file| file.table != "multiframe");
    result.files.push(write(&started.directory, "multiframe", &frames, None));
    result.files.push(write(&started.directory, "provenance", &components, None));
    result
}

fn limits() -> SqlLimits {
    SqlLimits { memory_bytes: None, ..SqlLimits::DEFAULT }
}

fn ask(reader: &SqlReader, sql: &str) -> Vec<Vec<Option<i64>>> {
    let mut rows = Rows::default();
    reader.query(sql, &mut rows).unwrap();
    let whole = |cell: &Cell| match cell {
        Cell::Integer(n) => Some(*n),
        Cell::Null => None,
        other => panic!("{other:?} is not a whole number"),
    };
    rows.rows.iter().map(|row| row.iter().map(whole).collect()).collect()
}

/// Returns the rows that a reader sees, each frame once, and each detection with its multiframe.
fn shown(reader: &SqlReader) -> Shown {
    let mut shown = Shown::default();
    let sql = "SELECT multiframe_id, dark_id, flat_id,
            (SELECT component_multiframe_id FROM provenance WHERE provenance.multiframe_id = multiframe.multiframe_id)
        FROM multiframe";
    for row in ask(reader, sql) {
        let multiframe = row[0].unwrap();
        assert!(shown.multiframes.insert(multiframe), "multiframe {multiframe} shows twice");
        shown.links.insert((multiframe, "dark.fit"), row[1]);
        shown.links.insert((multiframe, "flat.fit"), row[2]);
        assert_eq!(row[3], row[1], "the component of multiframe {multiframe} is its dark");
    }
    for row in ask(reader, "SELECT multiframe_id, count(*) FROM preview GROUP BY multiframe_id") {
        assert_eq!(row[1], Some(1));
        shown.previews.insert(row[0].unwrap());
    }
    let sql = "SELECT detection.multiframe_id, detection.ext_num, count(*), count(multiframe.multiframe_id)
        FROM detection LEFT JOIN multiframe ON multiframe.multiframe_id = detection.multiframe_id
        GROUP BY detection.multiframe_id, detection.ext_num";
    for row in ask(reader, sql) {
        assert_eq!(row[2], row[3], "detections of {:?} join their multiframe", row[0]);
        shown.detections.insert((row[0].unwrap(), row[1].unwrap()), row[2].unwrap());
    }
    shown
}

/// Each current detection and what describes its catalogue come from one version of it.
fn assert_one_catalogue(reader: &SqlReader) {
    let of_frames = "SELECT multiframe_id, cat_version, newest
        FROM (SELECT multiframe_id, max(version) AS newest FROM product_detector WHERE state <> 'retracted'
              GROUP BY multiframe_id) AS published
            JOIN multiframe USING (multiframe_id)
        WHERE cat_version IS NULL OR cat_version <> newest";
    assert_eq!(ask(reader, of_frames), Vec::<Vec<Option<i64>>>::new(), "frame, described, shown");
    let of_detectors = "SELECT DISTINCT multiframe_id, ext_num, of_detector.cat_version, version
        FROM detection JOIN multiframe_detector AS of_detector USING (multiframe_id, ext_num)
        WHERE of_detector.cat_version IS NULL OR of_detector.cat_version <> version";
    assert_eq!(
        ask(reader, of_detectors),
        Vec::<Vec<Option<i64>>>::new(),
        "frame, detector, described, shown"
    );
}

/// Returns what another program reads from the archive's own tables: cells joined by `|`.
fn raw(site: &Site, sql: &str) -> Vec<String> {
    if !site.is_embedded() {
        return psql(site, sql)
            .lines()
            .map(|l| l.trim().to_owned())
            .filter(|l| !l.is_empty())
            .collect();
    }
    let connection = rusqlite::Connection::open(site.database()).unwrap();
    let mut select = connection.prepare(sql).unwrap();
    let columns = select.column_count();
    let rows = select.query_map([], |r| {
        let cells: Vec<String> = (0..columns)
            .map(|at| match r.get_ref(at).unwrap() {
                ValueRef::Integer(n) => n.to_string(),
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                other => format!("{other:?}"),
            })
            .collect();
        Ok(cells.join("|"))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

fn play(seed: u64, acts: usize) -> BTreeMap<&'static str, u32> {
    let dir = tempfile::tempdir().unwrap();
    let (site, archive) = new_site(&dir.path().join("site"));
    let mut player = Player::new(site, archive, seed);
    let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        for _ in 0..acts {
            player.act();
            player.check();
        }
        player.check_history();
    }));
    if let Err(fault) = played {
        println!("seed {seed} fails after:\n  {}", player.acts.join("\n  "));
        std::panic::resume_unwind(fault);
    }
    player.tally
}

/// Sequences to play, from a number on, and acts in each.
fn campaign(sample: u64) -> (u64, u64, usize) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let first = number("ALMAGEST_FIRST_SEQUENCE").unwrap_or(1);
    match number("ALMAGEST_SEQUENCES") {
        Some(count) => (first, count, 60),
        None => (first, sample, 40),
    }
}

#[test]
fn every_sequence_is_reversible() {
    let (first, count, acts) = campaign(12);
    let tally: RefCell<BTreeMap<&str, u32>> = RefCell::default();
    on_both_engines(|| {
        for seed in first..first + count {
            let mut tally = tally.borrow_mut();
            for (kind, count) in play(seed, acts) {
                *tally.entry(kind).or_default() += count;
            }
        }
    });
    let tally = tally.into_inner();
    // A sample of a few sequences need not meet the rare ones.
    let rare = ["undo_supersession", "blocked", "kept by detector"];
    let rare = rare.iter().filter(|_| count >= 60);
    for kind in ["retract", "restore", "supersede", "purge"].iter().chain(rare) {
        assert!(tally.contains_key(*kind), "no sequence did {kind}: {tally:?}");
    }
    println!("{count} sequences of {acts} acts on each engine: {tally:?}");
}
