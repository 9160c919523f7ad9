//! What the archive must show after any sequence of acts, by a model that keeps lists and decides by the rules as they are written:
//! detections yield to detections and previews to previews, metadata stay while a product shows, links follow names.

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

/// One content of a name in a delivery.
#[derive(Clone, Debug)]
pub struct Frame {
    pub delivery: usize,
    pub name: &'static str,
    pub multiframe: i64,
    pub has_catalogue: bool,
    pub products: [State; 3],
    /// Of each product the newer deliveries beside which it was ended by decision.
    pub aside: [BTreeSet<usize>; 3],
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
    pub detections: BTreeSet<i64>,
    /// Of each shown frame that names others: what they are.
    pub links: BTreeMap<(i64, &'static str), Option<i64>>,
}

/// A product counts when there are metadata to which it refers.
fn has(frame: &Frame, product: usize) -> bool {
    frame.products[product] == State::Published && frame.products[METADATA] == State::Published
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
        self.newer(of).iter().any(|f| f.products[METADATA] == State::Published)
    }

    pub fn shows(&self, of: &Frame, product: usize) -> bool {
        if !has(of, product) {
            return false;
        }
        if product == METADATA {
            return !self.is_followed(of) || self.shows(of, PREVIEW) || self.shows(of, CATALOGUE);
        }
        let is_replaced = self.newer(of).iter().any(|f| has(f, product));
        let is_aside = self.newer(of).iter().any(|f| {
            f.products[METADATA] == State::Published && of.aside[product].contains(&f.delivery)
        });
        !(is_replaced || is_aside)
    }

    /// Products that show only because the newer frame lacks them; with that frame's delivery.
    pub fn kept(&self) -> Vec<(i64, usize, usize)> {
        let mut kept = Vec::new();
        for frame in &self.frames {
            for product in [PREVIEW, CATALOGUE] {
                let newer = self.newer(frame);
                let newest = newer.iter().rev().find(|f| f.products[METADATA] == State::Published);
                if let Some(newest) = newest.filter(|_| self.shows(frame, product)) {
                    kept.push((frame.multiframe, product, newest.delivery));
                }
            }
        }
        kept
    }

    /// What a name in a header means for a frame.
    fn meaning(&self, of: &Frame, name: &str) -> Option<i64> {
        let night = self.deliveries[of.delivery].0;
        let named: Vec<&Frame> = self.frames.iter().filter(|f| f.name == name).collect();
        let own: Vec<&&Frame> = named
            .iter()
            .filter(|f| f.delivery == of.delivery && f.products[METADATA] == State::Published)
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
            if self.shows(frame, CATALOGUE) {
                shown.detections.insert(frame.multiframe);
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

    pub fn publish(&mut self, unit: Unit, accepted: &[i64]) {
        for &multiframe in accepted {
            self.frame_mut(multiframe).products[unit.use_case] = State::Published;
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
                if frame.products[product] == State::Published {
                    frame.products[product] = State::Retracted;
                }
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
                unit.inputs.iter().map(|m| self.frame(*m).products[unit.use_case]).collect();
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
                let state = &mut after.frame_mut(multiframe).products[use_case];
                if *state == State::Retracted {
                    *state = State::Published;
                }
            }
        }
        let refers_to_nothing = after.frames.iter().any(|f| {
            f.delivery == delivery
                && f.products[METADATA] == State::Retracted
                && [PREVIEW, CATALOGUE].iter().any(|p| f.products[*p] == State::Published)
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
                let state = &mut self.frame_mut(multiframe).products[unit.use_case];
                if *state == State::Retracted {
                    *state = State::Absent;
                }
            }
        }
    }

    /// `false` when nothing is kept beside the delivery.
    pub fn set_aside(&mut self, delivery: usize) -> bool {
        let kept = self.kept();
        let mut is_any = false;
        for (multiframe, product, newer) in kept {
            if newer == delivery {
                self.frame_mut(multiframe).aside[product].insert(newer);
                is_any = true;
            }
        }
        is_any
    }
}
