//! The frames of a night, their names and their components. This module only decides; it writes nothing.

use crate::programme::{Filter, Programme};
use crate::random::Random;
use crate::spec::{Mix, NightSpec};

/// The kind of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameKind {
    /// Library frame: closed shutter.
    Dark,
    /// Library frame: flat field, median 1.
    Flat,
    /// Confidence map of a flat field.
    FlatConfidence,
    /// Library frame: residual sky.
    Sky,
    /// One exposure, as read out.
    Raw,
    /// Interleaved from 2 x 2 microsteps (`_sf`).
    Superframe,
    /// Stacked from single exposures (`_st`), with a catalogue.
    Stack,
    /// Stacked from interleaved frames (`_sf_st`), with a catalogue.
    Superstack,
    /// Confidence map of a stack (`_conf`).
    Confidence,
}

impl FrameKind {
    /// Returns true when a catalogue belongs to it.
    pub fn has_catalogue(self) -> bool {
        matches!(self, Self::Stack | Self::Superstack)
    }

    /// Returns true when it was made for the library, not for a programme.
    pub(crate) fn is_library(self) -> bool {
        matches!(self, Self::Dark | Self::Flat | Self::FlatConfidence | Self::Sky)
    }
}

/// An image file to be made.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// Its name.
    pub file: String,
    pub kind: FrameKind,
    /// Run number of its first exposure.
    pub run: u32,
    /// Start of that exposure in seconds after 0 h UT.
    pub start_s: f64,
    pub programme: &'static Programme,
    pub filter: &'static Filter,
    /// Centre of the camera, degrees.
    pub pointing: [f64; 2],
    /// OBJECT card.
    pub object: String,
    /// Key of the stars in the field.
    pub field: u64,
    /// Microsteps per axis: 1, or 2 when interleaved.
    pub microsteps: usize,
    /// Side of a detector in pixels of the camera.
    pub size: usize,
    /// Number of its exposures, and the number of this one (from 1) when it is a single exposure.
    pub jitters: usize,
    pub jitter: usize,
    /// Files that it was formed from.
    pub components: Vec<String>,
    /// Confidence map that belongs to it.
    pub confidence: Option<String>,
    /// Library frames that it was reduced with.
    pub library: Library,
    /// Sources on each detector.
    pub sources: usize,
}

impl Frame {
    /// Returns the side of the image in pixels.
    pub fn side(&self) -> usize {
        self.size * self.microsteps
    }

    /// Returns the name of its catalogue.
    pub fn catalogue(&self) -> Option<String> {
        let root = self.file.strip_suffix(".fit")?;
        self.kind.has_catalogue().then(|| format!("{root}_cat.fits"))
    }
}

/// Names of the library frames of a filter.
#[derive(Clone, Debug)]
pub(crate) struct Library {
    pub dark: String,
    pub flat: String,
    pub flat_confidence: String,
    pub sky: String,
}

/// Seconds of each exposure.
pub(crate) const EXPOSURE_S: f64 = 10.0;
/// Evening and morning on Mauna Kea, seconds after 0 h UT.
const DARK_TIME_S: [f64; 2] = [17_100.0, 56_700.0];
/// The first run number; those before were focus and tests.
const FIRST_RUN: u32 = 21;

/// One target through one filter: its exposures, their stack and its confidence map.
struct Group {
    programme: &'static Programme,
    filter: &'static Filter,
    pointing: usize,
    exposures: usize,
}

/// Returns all frames of a night, in the order of their run numbers.
pub(crate) fn plan(spec: &NightSpec) -> Vec<Frame> {
    let mut frames = match spec.mix {
        Mix::Night => night(spec),
        Mix::Stacks => stacks(spec),
    };
    let runs = frames.iter().map(|frame| frame.run).max().unwrap_or(FIRST_RUN) + 8;
    let pace = ((DARK_TIME_S[1] - DARK_TIME_S[0]) / f64::from(runs)).min(22.0);
    for frame in &mut frames {
        frame.start_s = DARK_TIME_S[0] + pace * f64::from(frame.run);
    }
    frames
}

/// Returns a stack of a run outside any plan: a survey field through K.
pub(crate) fn stack_of_run(spec: &NightSpec, run: u32) -> Frame {
    let programme = Programme::named("LAS").expect("the list has it");
    let filter = Filter::named("K").expect("the list has it");
    let group = Group { programme, filter, pointing: 0, exposures: 2 };
    let mut stack = members(spec, &group, 1, run).remove(2);
    stack.start_s = DARK_TIME_S[1] - 60.0;
    stack
}

/// Returns the n-th target of a night: programmes in turn, each using all its filters before the next pointing.
fn target(spec: &NightSpec, n: usize) -> (&'static Programme, &'static Filter, usize) {
    let count = spec.programmes.len();
    let (programme, turn) = (spec.programmes[n % count], n / count);
    let filters = programme.filters;
    let filter = Filter::named(filters[turn % filters.len()]).expect("programmes name filters");
    (programme, filter, turn / filters.len())
}

fn stacks(spec: &NightSpec) -> Vec<Frame> {
    let mut run = FIRST_RUN;
    let mut frames = Vec::with_capacity(spec.frames);
    for n in 0..spec.frames {
        let (programme, filter, pointing) = target(spec, n);
        let group = Group { programme, filter, pointing, exposures: 2 };
        let mut stack = members(spec, &group, 1, run).remove(2);
        stack.sources = spec.detections;
        run += 2;
        frames.push(stack);
    }
    frames
}

fn night(spec: &NightSpec) -> Vec<Frame> {
    let (filters, groups) = groups(spec);
    let mut run = FIRST_RUN;
    let mut frames = Vec::new();
    if !filters.is_empty() {
        library(spec, &filters, &mut run, &mut frames);
    }
    for group in &groups {
        let microsteps = if group.programme.microstepped { 2 } else { 1 };
        frames.extend(members(spec, group, microsteps, run));
        run += (group.exposures * microsteps * microsteps) as u32;
    }
    if spec.frames < 3 {
        frames.remove(0); // a stack shows more than an exposure
    }
    frames.truncate(spec.frames);
    frames
}

/// Returns the contents that fit into the night: filters that need library frames, and groups. Two frames of a filter
/// (flat, sky) and one dark are counted, and three files of a group; the remainder becomes more exposures.
fn groups(spec: &NightSpec) -> (Vec<&'static Filter>, Vec<Group>) {
    let exposures = if spec.frames < 40 { 1 } else { 2 };
    let mut filters: Vec<&'static Filter> = Vec::new();
    let mut groups: Vec<Group> = Vec::new();
    if spec.frames < 6 {
        let (programme, filter, pointing) = target(spec, 0);
        let exposures = spec.frames.saturating_sub(2).max(1);
        return (filters, vec![Group { programme, filter, pointing, exposures }]);
    }
    let mut left = spec.frames - 1;
    let mut skipped = 0;
    for n in 0.. {
        let (programme, filter, pointing) = target(spec, n);
        let new_filter = !filters.contains(&filter);
        let cost = exposures + 2 + if new_filter { library_cost(spec) } else { 0 };
        if cost > left {
            skipped += 1;
            if skipped > 4 * spec.programmes.len() {
                break;
            }
            continue;
        }
        left -= cost;
        if new_filter {
            filters.push(filter);
        }
        groups.push(Group { programme, filter, pointing, exposures });
    }
    for n in 0..left {
        let at = n % groups.len();
        groups[at].exposures += 1;
    }
    (filters, groups)
}

/// Returns the number of library frames of a filter: flat and sky, in larger nights the flat's confidence map too.
fn library_cost(spec: &NightSpec) -> usize {
    if spec.frames < 24 { 2 } else { 3 }
}

fn library_of(spec: &NightSpec, filter: &Filter) -> Library {
    let (night, name, month) = (spec.night, filter.name, spec.night.flat_month());
    Library {
        dark: format!("dark_{night}_{EXPOSURE_S}_CDS_1.fit"),
        flat: format!("p{name}_flat_{month}.fit"),
        flat_confidence: format!("p{name}_conf_{month}.fit"),
        sky: format!("sky_{night}_{:05}_{name}.fit", FIRST_RUN + 5),
    }
}

fn library(spec: &NightSpec, filters: &[&'static Filter], run: &mut u32, frames: &mut Vec<Frame>) {
    let calibration = Programme::named("CAL").expect("the list has it");
    let mut push = |kind, filter, file: String, object: &str| {
        let frame = Frame {
            file,
            kind,
            run: *run,
            start_s: 0.0,
            programme: calibration,
            filter,
            pointing: [120.0, 19.8],
            object: object.to_owned(),
            field: 0,
            microsteps: 1,
            size: spec.size,
            jitters: 5,
            jitter: 1,
            components: Vec::new(),
            confidence: None,
            library: library_of(spec, filter),
            sources: 0,
        };
        *run += 5;
        frames.push(frame);
    };
    push(FrameKind::Dark, filters[0], library_of(spec, filters[0]).dark, "DARK");
    for filter in filters {
        let names = library_of(spec, filter);
        push(FrameKind::Flat, filter, names.flat, "SKYFLAT");
        if library_cost(spec) > 2 {
            push(FrameKind::FlatConfidence, filter, names.flat_confidence, "SKYFLAT");
        }
        push(FrameKind::Sky, filter, names.sky, "SKY");
    }
}

/// Returns the files of a group: its exposures, the stack, and the stack's confidence map.
fn members(spec: &NightSpec, group: &Group, microsteps: usize, first_run: u32) -> Vec<Frame> {
    let programme = group.programme;
    let number = u64::from(programme.name.bytes().fold(0_u32, |n, b| n * 31 + u32::from(b)));
    let field = Random::of(&[spec.seed, number, group.pointing as u64]).bits();
    let runs = (microsteps * microsteps) as u32;
    let (single, stacked) = match microsteps {
        1 => (FrameKind::Raw, FrameKind::Stack),
        _ => (FrameKind::Superframe, FrameKind::Superstack),
    };
    let suffix = if microsteps == 1 { "" } else { "_sf" };
    let file = |run: u32, tail: &str| format!("w{}_{run:05}{suffix}{tail}.fit", spec.night);
    let base = Frame {
        file: file(first_run, "_st"),
        kind: stacked,
        run: first_run,
        start_s: 0.0,
        programme,
        filter: group.filter,
        pointing: programme.pointing(group.pointing, spec.size),
        object: format!("{}{}:{}_1", programme.object, group.pointing + 1, group.filter.name),
        field,
        microsteps,
        size: spec.size,
        jitters: group.exposures,
        jitter: 1,
        components: (0..group.exposures as u32).map(|k| file(first_run + runs * k, "")).collect(),
        confidence: Some(file(first_run, "_st_conf")),
        library: library_of(spec, group.filter),
        sources: spec.detections * if programme.crowded { 3 } else { 1 },
    };
    let mut frames: Vec<Frame> = (0..group.exposures)
        .map(|k| Frame {
            file: base.components[k].clone(),
            kind: single,
            run: first_run + runs * k as u32,
            jitter: k + 1,
            components: Vec::new(),
            confidence: None,
            ..base.clone()
        })
        .collect();
    let confidence = Frame {
        file: file(first_run, "_st_conf"),
        kind: FrameKind::Confidence,
        components: Vec::new(),
        confidence: None,
        ..base.clone()
    };
    frames.extend([base, confidence]);
    frames
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn planned(frames: usize, mix: Mix) -> Vec<Frame> {
        plan(&NightSpec { frames, mix, ..NightSpec::default() })
    }

    #[test]
    fn a_night_has_the_requested_frames_and_the_files_they_name() {
        for frames in [6, 7, 11, 12, 13, 16, 24, 60, 250, 3000] {
            let night = planned(frames, Mix::Night);
            assert_eq!(night.len(), frames);
            let names: HashSet<_> = night.iter().map(|f| f.file.as_str()).collect();
            assert_eq!(names.len(), frames, "names are unique");
            for frame in night.iter().filter(|f| f.kind.has_catalogue()) {
                let named = frame.components.iter().chain(&frame.confidence);
                let Library { dark, flat, sky, .. } = &frame.library;
                for name in named.chain([dark, flat, sky]) {
                    assert!(names.contains(name.as_str()), "{} of {} frames", name, frames);
                }
            }
        }
    }

    #[test]
    fn twelve_frames_show_every_kind() {
        let kinds: HashSet<_> = planned(12, Mix::Night).iter().map(|f| f.kind).collect();
        assert_eq!(kinds.len(), 8, "{kinds:?}");
        let kinds: HashSet<_> = planned(24, Mix::Night).iter().map(|f| f.kind).collect();
        assert_eq!(kinds.len(), 9, "{kinds:?}");
    }

    #[test]
    fn small_nights_and_nights_of_stacks() {
        for frames in 1..6 {
            assert_eq!(planned(frames, Mix::Night).len(), frames);
        }
        let stacks = planned(60, Mix::Stacks);
        assert!(stacks.len() == 60 && stacks.iter().all(|f| f.kind == FrameKind::Stack));
        assert!(stacks.iter().all(|f| f.sources == 250 && f.start_s < 57_000.0));
        let programmes: HashSet<_> = stacks.iter().map(|f| f.programme.name).collect();
        assert_eq!(programmes.len(), 7);
    }
}
