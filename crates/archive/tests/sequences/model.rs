//! What the archive must show after any sequence of acts, by a model that keeps lists and decides by the rules as they are written:
//! detections yield to detections of the same detector and previews to previews, metadata stay while a product shows, links follow
//! names.

use std::collections::{BTreeMap, BTreeSet};

/// Index of a product: preview, metadata, catalogue.
pub const PREVIEW: usize = 0;
pub const METADATA: usize = 1;
pub const CATALOGUE: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Absent,
    Published,
    Retracted,
}

/// The detections of one detector of a frame.
#[derive(Clone, Copy, Debug)]
pub struct Detector {
    pub state: State,
    pub rows: i64,
    /// A newer round of the frame's catalogue had no accepted HDU of it.
    pub is_uncovered: bool,
    /// A decision ends them although they are uncovered.
    pub is_superseded: bool,
}

impl Detector {
    pub const ABSENT: Self =
        Self { state: State::Absent, rows: 0, is_uncovered: false, is_superseded: false };
}

/// One content of a name in a delivery.
#[derive(Clone, Debug)]
pub struct Frame {
    pub delivery: usize,
    pub name: &'static str,
    pub multiframe: i64,
    pub has_catalogue: bool,
    /// Preview and metadata.
    pub products: [State; 2],
    pub detectors: [Detector; 2],
    /// Of each product the newer deliveries in favour of which it was ended by decision.
    pub superseded: [BTreeSet<usize>; 3],
}

/// A round that was published.
#[derive(Clone, Debug)]
pub struct Unit {
    pub delivery: usize,
    pub use_case: usize,
    pub inputs: Vec<i64>,
    pub retracted: bool,
    pub purged: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Night and version of each delivery, in the order of their registration.
    pub deliveries: Vec<(u32, u32)>,
    /// In the order of their multiframe ids.
    pub frames: Vec<Frame>,
    pub units: Vec<Unit>,
}

/// What a reader sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    pub multiframes: BTreeSet<i64>,
    pub previews: BTreeSet<i64>,
    /// Rows of each frame and detector that has some.
    pub detections: BTreeMap<(i64, i64), i64>,
    /// Of each shown frame that names others: what they are.
    pub links: BTreeMap<(i64, &'static str), Option<i64>>,
}

impl Frame {
    /// The states of a product: of detections, those of each detector.
    pub fn states(&self, product: usize) -> Vec<State> {
        match product {
            CATALOGUE => self.detectors.iter().map(|detector| detector.state).collect(),
            _ => vec![self.products[product]],
        }
    }

    pub fn is_published(&self, product: usize) -> bool {
        self.states(product).contains(&State::Published)
    }

    /// Turns what a product, or the detections of detectors, is into something else.
    fn turn(&mut self, product: usize, from: State, to: State) {
        let states: Vec<&mut State> = match product {
            CATALOGUE => self.detectors.iter_mut().map(|detector| &mut detector.state).collect(),
            _ => vec![&mut self.products[product]],
        };
        for state in states.into_iter().filter(|state| **state == from) {
            *state = to;
        }
    }
}

/// A product counts when there are metadata to which it refers.
fn has(frame: &Frame, product: usize) -> bool {
    frame.is_published(product) && frame.is_published(METADATA)
}

fn covers(frame: &Frame, at: usize) -> bool {
    frame.detectors[at].state == State::Published && frame.is_published(METADATA)
}

/// A product that shows only because a newer frame, or a newer catalogue of the frame, lacks it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kept {
    pub multiframe: i64,
    pub product: usize,
    /// The newer frame; the same where its own newer catalogue lacks it.
    pub newer: i64,
    /// Extension numbers of the detectors.
    pub ext_nums: Vec<i64>,
}

impl Model {
    pub fn frame(&self, multiframe: i64) -> &Frame {
        &self.frames[usize::try_from(multiframe - 1).unwrap()]
    }

    pub fn frame_mut(&mut self, multiframe: i64) -> &mut Frame {
        &mut self.frames[usize::try_from(multiframe - 1).unwrap()]
    }

    /// The frames of one name in the processings of a night, from old to new.
    fn rivals(&self, of: &Frame) -> Vec<&Frame> {
        let night = self.deliveries[of.delivery].0;
        let mut rivals: Vec<&Frame> = self
            .frames
            .iter()
            .filter(|f| f.name == of.name && self.deliveries[f.delivery].0 == night)
            .collect();
        rivals.sort_by_key(|f| (self.deliveries[f.delivery].1, f.multiframe));
        rivals
    }

    fn newer(&self, of: &Frame) -> Vec<&Frame> {
        let rivals = self.rivals(of);
        let at = rivals.iter().position(|f| f.multiframe == of.multiframe).unwrap();
        rivals[at + 1..].to_vec()
    }

    /// A newer frame of the name has its metadata in the archive.
    fn is_followed(&self, of: &Frame) -> bool {
        self.newer(of).iter().any(|f| f.is_published(METADATA))
    }

    /// A decision in favour of a newer frame ends a product.
    fn is_superseded(&self, of: &Frame, product: usize) -> bool {
        let newer = self.newer(of);
        newer
            .iter()
            .any(|f| f.is_published(METADATA) && of.superseded[product].contains(&f.delivery))
    }

    /// Places of the detectors that show.
    pub fn shown_detectors(&self, of: &Frame) -> Vec<usize> {
        let newer = self.newer(of);
        let shows = |at: &usize| {
            let detector = of.detectors[*at];
            let is_replaced = newer.iter().any(|f| covers(f, *at));
            let is_superseded = self.is_superseded(of, CATALOGUE)
                || detector.is_uncovered && detector.is_superseded;
            covers(of, *at) && !is_replaced && !is_superseded
        };
        (0..of.detectors.len()).filter(shows).collect()
    }

    pub fn shows(&self, of: &Frame, product: usize) -> bool {
        if !has(of, product) {
            return false;
        }
        if product == METADATA {
            return !self.is_followed(of) || self.shows(of, PREVIEW) || self.shows(of, CATALOGUE);
        }
        if product == CATALOGUE {
            return !self.shown_detectors(of).is_empty();
        }
        let is_replaced = self.newer(of).iter().any(|f| has(f, product));
        !(is_replaced || self.is_superseded(of, product))
    }

    /// Products that show only because the newer frame, or a newer catalogue of the frame, lacks them.
    pub fn kept(&self) -> Vec<Kept> {
        let mut kept = Vec::new();
        for frame in &self.frames {
            let multiframe = frame.multiframe;
            let shown = self.shown_detectors(frame);
            let ext_nums = |places: &[usize]| -> Vec<i64> {
                places.iter().map(|at| super::DETECTORS[*at].into()).collect()
            };
            for product in [PREVIEW, CATALOGUE] {
                let newer = self.newer(frame);
                let newest = newer.iter().rev().find(|f| f.is_published(METADATA));
                if let Some(newest) = newest.filter(|_| self.shows(frame, product)) {
                    let newer = newest.multiframe;
                    let ext_nums = if product == CATALOGUE { ext_nums(&shown) } else { Vec::new() };
                    kept.push(Kept { multiframe, product, newer, ext_nums });
                }
            }
            let is_uncovered = |at: &usize| frame.detectors[*at].is_uncovered;
            let uncovered: Vec<usize> = shown.iter().copied().filter(is_uncovered).collect();
            if !uncovered.is_empty() {
                let (product, ext_nums) = (CATALOGUE, ext_nums(&uncovered));
                kept.push(Kept { multiframe, product, newer: multiframe, ext_nums });
            }
        }
        kept
    }

    /// Returns the image that a name in a header means for a frame.
    fn meaning(&self, of: &Frame, name: &str) -> Option<i64> {
        let night = self.deliveries[of.delivery].0;
        let named: Vec<&Frame> = self.frames.iter().filter(|f| f.name == name).collect();
        let own: Vec<&&Frame> = named
            .iter()
            .filter(|f| f.delivery == of.delivery && f.is_published(METADATA))
            .collect();
        let newest = |frames: &[&&Frame]| frames.iter().map(|f| f.multiframe).max();
        let shown: Vec<&&Frame> = own.iter().copied().filter(|f| self.shows(f, METADATA)).collect();
        let found = if !shown.is_empty() {
            newest(&shown)
        } else if !own.is_empty() {
            newest(&own)
        } else {
            let others: Vec<&&Frame> = named
                .iter()
                .filter(|f| {
                    f.delivery != of.delivery
                        && self.deliveries[f.delivery].0 != night
                        && self.shows(f, METADATA)
                })
                .collect();
            let before = others.iter().map(|f| f.delivery).filter(|d| *d < of.delivery).max();
            let after = others.iter().map(|f| f.delivery).filter(|d| *d > of.delivery).min();
            let lender = before.or(after);
            let lent: Vec<&&Frame> =
                others.iter().copied().filter(|f| Some(f.delivery) == lender).collect();
            newest(&lent)
        };
        found.filter(|id| *id != of.multiframe)
    }

    pub fn shown(&self) -> Shown {
        let mut shown = Shown::default();
        for frame in &self.frames {
            if self.shows(frame, PREVIEW) {
                shown.previews.insert(frame.multiframe);
            }
            for at in self.shown_detectors(frame) {
                let rows = frame.detectors[at].rows;
                if rows > 0 {
                    let key = (frame.multiframe, super::DETECTORS[at].into());
                    shown.detections.insert(key, rows);
                }
            }
            if self.shows(frame, METADATA) {
                shown.multiframes.insert(frame.multiframe);
                for name in super::NAMED {
                    shown.links.insert((frame.multiframe, name), self.meaning(frame, name));
                }
            }
        }
        shown
    }

    /// Publishes a round of previews or metadata.
    pub fn publish(&mut self, unit: Unit, accepted: &[i64]) {
        for &multiframe in accepted {
            self.frame_mut(multiframe).products[unit.use_case] = State::Published;
        }
        self.units.push(unit);
    }

    /// Publishes a round of catalogues: the rows of each detector whose HDU was accepted.
    pub fn publish_detections(&mut self, unit: Unit, rows: &BTreeMap<(i64, usize), i64>) {
        for &multiframe in &unit.inputs {
            for at in 0..super::DETECTORS.len() {
                let detector = &mut self.frame_mut(multiframe).detectors[at];
                if let Some(&rows) = rows.get(&(multiframe, at)) {
                    *detector = Detector { state: State::Published, rows, ..Detector::ABSENT };
                } else if detector.state != State::Absent {
                    detector.is_uncovered = true;
                }
            }
        }
        self.units.push(unit);
    }

    /// `false` when nothing of it is in the archive.
    pub fn retract(&mut self, delivery: usize, use_cases: &[usize]) -> bool {
        let concerned = |unit: &Unit| {
            unit.delivery == delivery && use_cases.contains(&unit.use_case) && !unit.retracted
        };
        if !self.units.iter().any(concerned) {
            return false;
        }
        for unit in self.units.iter_mut().filter(|unit| concerned(unit)) {
            unit.retracted = true;
        }
        for frame in self.frames.iter_mut().filter(|f| f.delivery == delivery) {
            for &product in use_cases {
                frame.turn(product, State::Published, State::Retracted);
            }
        }
        true
    }

    /// `false` when nothing could come back, or not without its metadata.
    pub fn restore(&mut self, delivery: usize, use_cases: &[usize]) -> bool {
        let mut after = self.clone();
        let mut returning = Vec::new();
        for (at, unit) in self.units.iter().enumerate() {
            let is_out = unit.delivery == delivery
                && use_cases.contains(&unit.use_case)
                && unit.retracted
                && !unit.purged;
            let states: Vec<State> =
                unit.inputs.iter().flat_map(|m| self.frame(*m).states(unit.use_case)).collect();
            let returns = states.contains(&State::Retracted)
                || states.iter().all(|state| *state == State::Absent);
            if is_out && returns {
                returning.push(at);
            }
        }
        for at in &returning {
            after.units[*at].retracted = false;
            let Unit { use_case, inputs, .. } = after.units[*at].clone();
            for multiframe in inputs {
                after.frame_mut(multiframe).turn(use_case, State::Retracted, State::Published);
            }
        }
        let refers_to_nothing = after.frames.iter().any(|f| {
            f.delivery == delivery
                && f.products[METADATA] == State::Retracted
                && [PREVIEW, CATALOGUE].iter().any(|p| f.is_published(*p))
        });
        if returning.is_empty() || refers_to_nothing {
            return false;
        }
        *self = after;
        true
    }

    pub fn purge(&mut self, delivery: usize) {
        for at in 0..self.units.len() {
            let unit = self.units[at].clone();
            if unit.delivery != delivery || !unit.retracted || unit.purged {
                continue;
            }
            self.units[at].purged = true;
            for multiframe in unit.inputs {
                let frame = self.frame_mut(multiframe);
                frame.turn(unit.use_case, State::Retracted, State::Absent);
                for detector in &mut frame.detectors {
                    if detector.state == State::Absent {
                        *detector = Detector::ABSENT;
                    }
                }
            }
        }
    }

    /// `false` when nothing is kept despite the delivery.
    pub fn supersede(&mut self, delivery: usize) -> bool {
        let mut is_any = false;
        for Kept { multiframe, product, newer, ext_nums } in self.kept() {
            if self.frame(newer).delivery != delivery {
                continue;
            }
            is_any = true;
            let frame = self.frame_mut(multiframe);
            if newer != multiframe {
                frame.superseded[product].insert(delivery);
                continue;
            }
            for (at, detector) in frame.detectors.iter_mut().enumerate() {
                detector.is_superseded |= ext_nums.contains(&super::DETECTORS[at].into());
            }
        }
        is_any
    }
}
