//! The mapping from keywords to columns, and the known keywords, from a survey's profile and the table definitions. Computed
//! once per task.

use model::profile::{Glob, Library, Missing, Mistyped, NumberFormat, Role, SurveyProfile};
use model::tables::{Column, ColumnType, Origin, Table};

use super::cell::Taking;
use super::observed;
use super::row::Kind;
use crate::header_view::is_own;

/// Looked up for every card of every header: the standard library's hash took a sixteenth of the task.
type Meanings = std::collections::HashMap<String, Meaning, foldhash::fast::RandomState>;

/// A column that is copied from a keyword.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub position: usize,
    /// Spellings, first choice first.
    pub keywords: Vec<String>,
    pub taking: Taking,
    pub mistyped: Mistyped,
    /// True when the column is never filled from the image if there is no catalogue.
    pub catalogue_alone: bool,
}

/// Columns that must have a value.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub frames: Vec<Glob>,
    pub kind: Kind,
    pub position: usize,
    /// Subject of messages: first spelling of its keyword, or its name.
    pub subject: String,
    /// True when only frames with a catalogue can have it.
    pub of_catalogue: bool,
    /// True when no companion can have it.
    pub of_image: bool,
    pub missing: Missing,
}

/// The meaning of a keyword for the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Read into a column, or known without one.
    Known,
    /// Names another frame.
    Component(Role),
}

/// The plan of a task.
#[derive(Debug)]
pub(super) struct Plan {
    pub multiframe: Vec<Slot>,
    pub detector_image: Vec<Slot>,
    pub detector_catalogue: Vec<Slot>,
    /// The columns of [`Self::detector_image`] that a companion has too.
    pub detector_companion: Vec<Slot>,
    pub astrometry: Vec<Slot>,
    pub expected: Vec<Expected>,
    meanings: Meanings,
    /// Keywords that end in a number of any length.
    families: Meanings,
    known: Vec<Glob>,
}

/// Keywords of the standard that describe table and image, in addition to those of [`is_own`]; they are known although no
/// column takes them. `#`: a number follows.
const STANDARD: [&str; 49] = [
    "END", "DATAMIN", "DATAMAX", "EXTLEVEL", "INHERIT", "THEAP", "TTYPE#", "TFORM#", "TUNIT#",
    "TNULL#", "TSCAL#", "TZERO#", "TDISP#", "TDIM#", "TBCOL#", "ZIMAGE", "ZSIMPLE", "ZTENSION",
    "ZBITPIX", "ZNAXIS", "ZNAXIS#", "ZTILE#", "ZNAME#", "ZVAL#", "ZCMPTYPE", "ZQUANTIZ",
    "ZDITHER#", "ZBLANK", "ZSCALE", "ZZERO", "ZPCOUNT", "ZGCOUNT", "ZEXTEND", "ZHECKSUM",
    "ZDATASUM", "ZMASKCMP", "WCSAXES", "CSYER#", "CRDER#", "LONPOLE", "LATPOLE", "RADECSYS",
    "EPOCH", "TCTYP#", "TCRPX#", "TCRVL#", "TCUNI#", "TCSY#", "TCRD#",
];

impl Plan {
    pub fn new(profile: &SurveyProfile) -> Self {
        let slots = |kind: Kind, origin: Origin| slots(profile, kind, origin);
        let mut astrometry = slots(Kind::Astrometry, Origin::Extension);
        astrometry.extend(slots(Kind::Astrometry, Origin::Primary));
        let detector_image = slots(Kind::Detector, Origin::Extension);
        let columns = &Kind::Detector.sheet().table.columns;
        let is_of_companion = |slot: &&Slot| !is_measured(&columns[slot.position]);
        let mut plan = Self {
            multiframe: slots(Kind::Multiframe, Origin::Primary),
            detector_companion: detector_image.iter().filter(is_of_companion).cloned().collect(),
            detector_image,
            detector_catalogue: slots(Kind::Detector, Origin::Catalogue),
            astrometry,
            expected: expected(profile),
            meanings: Meanings::default(),
            families: Meanings::default(),
            known: profile.policy.known_keywords.clone(),
        };
        plan.learn_keywords(profile);
        plan
    }

    fn learn_keywords(&mut self, profile: &SurveyProfile) {
        for keyword in STANDARD {
            self.learn(keyword, Meaning::Known);
        }
        let lists =
            [&self.multiframe, &self.detector_image, &self.detector_catalogue, &self.astrometry];
        let taken: Vec<String> =
            lists.into_iter().flatten().flat_map(|slot| slot.keywords.iter().cloned()).collect();
        let rules = profile.frame_types.iter().flat_map(|rule| rule.keywords.keys().cloned());
        let matches = profile.matches.iter().flat_map(|rule| rule.keywords().map(str::to_owned));
        let roles = profile.hdus.iter().flat_map(|rule| rule.keywords.keys().cloned());
        let projects = profile.project.keywords.iter().cloned();
        let clocks = profile.time.start.iter().chain(&profile.time.end).cloned();
        let read = observed::KEYWORDS.iter().map(|keyword| (*keyword).to_owned());
        let read = taken.into_iter().chain(roles).chain(read);
        for keyword in read.chain(rules).chain(matches).chain(projects).chain(clocks) {
            self.learn(&keyword, Meaning::Known);
        }
        for Library { role, keywords, itself } in &profile.libraries {
            for keyword in keywords {
                self.learn(keyword, Meaning::Component(*role));
            }
            for keyword in itself {
                self.learn(keyword, Meaning::Known);
            }
        }
    }

    fn learn(&mut self, keyword: &str, meaning: Meaning) {
        match keyword.strip_suffix('#') {
            Some(stem) => self.families.insert(stem.to_owned(), meaning),
            None => self.meanings.insert(keyword.to_owned(), meaning),
        };
    }

    /// Returns the meaning of a keyword for the archive; `None` for a new keyword.
    pub fn meaning(&self, keyword: &str) -> Option<Meaning> {
        if let Some(meaning) = self.meanings.get(keyword) {
            return Some(*meaning);
        }
        let stem = keyword.trim_end_matches(|c: char| c.is_ascii_digit());
        if stem.len() < keyword.len()
            && let Some(meaning) = self.families.get(stem)
        {
            return Some(*meaning);
        }
        let known = is_own(keyword) || self.known.iter().any(|glob| glob.fits(keyword));
        known.then_some(Meaning::Known)
    }
}

fn slots(profile: &SurveyProfile, kind: Kind, origin: Origin) -> Vec<Slot> {
    let table = kind.sheet().table;
    let wanted = table.columns.iter().enumerate().filter(|(_, c)| c.origin == Some(origin));
    wanted.map(|(position, column)| slot(profile, table, position, column)).collect()
}

fn slot(profile: &SurveyProfile, table: &Table, position: usize, column: &Column) -> Slot {
    let rule = profile.column_rule(&table.name, &column.name);
    let format = rule.map_or(NumberFormat::Number, |r| r.format);
    Slot {
        position,
        keywords: spellings(profile, table, column),
        taking: Taking {
            kind: column.kind,
            time: column.kind == ColumnType::Text && column.ucd.starts_with("time"),
            text_numbers: rule.is_some_and(|r| r.text_numbers),
            as_text: rule.is_some_and(|r| r.as_text),
            format,
            scale: rule.and_then(|r| r.scale).unwrap_or(1.0)
                * format.in_unit(&column.unit).unwrap_or(1.0),
            add: rule.and_then(|r| r.add).unwrap_or(0.0),
            range: column.range,
        },
        mistyped: rule.and_then(|r| r.mistyped).unwrap_or(profile.policy.mistyped),
        catalogue_alone: is_alone(profile, table, column),
    }
}

/// Returns true when a column of the catalogue is never filled from the image: columns that describe the table, and those named
/// `…_cat`.
fn is_alone(profile: &SurveyProfile, table: &Table, column: &Column) -> bool {
    column.name.ends_with("_cat") || spellings(profile, table, column).iter().any(|k| is_own(k))
}

/// Returns true when a column of `multiframe_detector` was measured in the image: it describes detections, or is a zero point. The
/// headers of masks and weights repeat the values of their image.
fn is_measured(column: &Column) -> bool {
    column.origin == Some(Origin::Catalogue) || column.name.ends_with("_ext")
}

fn spellings(profile: &SurveyProfile, table: &Table, column: &Column) -> Vec<String> {
    match profile.column_rule(&table.name, &column.name).and_then(|rule| rule.keywords.as_ref()) {
        Some(list) => list.clone(),
        None => column.keyword.iter().cloned().collect(),
    }
}

fn expected(profile: &SurveyProfile) -> Vec<Expected> {
    let mut expected = Vec::new();
    for expectation in profile.expectations.iter().filter(|e| e.missing != Missing::Null) {
        for name in &expectation.columns {
            let Some((table, column)) = name.split_once('.') else { continue };
            let Some(kind) = Kind::of_table(table) else { continue };
            let table = kind.sheet().table;
            let Some(position) = table.position(column) else { continue };
            let column = &table.columns[position];
            expected.push(Expected {
                frames: expectation.frames.clone(),
                kind,
                position,
                subject: spellings(profile, table, column).first().unwrap_or(&column.name).clone(),
                of_catalogue: expectation.with_catalogue
                    || (column.origin == Some(Origin::Catalogue)
                        && is_alone(profile, table, column)),
                of_image: kind == Kind::Detector && is_measured(column),
                missing: expectation.missing,
            });
        }
    }
    expected
}
