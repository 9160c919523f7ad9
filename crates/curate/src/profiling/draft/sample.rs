//! The files of a directory, as a draft sees them: names, HDUs, cards, columns.

use crate::failure;
use anyhow::Context;
use fits::{Column, ColumnKind, FitsFile, Hdu, HduKind, Limits, Value};
use std::path::{Path, PathBuf};

/// Files that are read at most.
const MAX_FILES: usize = 2000;

/// A file.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// Name within the directory.
    pub name: String,
    /// Its path.
    pub path: PathBuf,
    /// Its HDUs.
    pub hdus: Vec<SampleHdu>,
}

/// An HDU.
#[derive(Clone, Debug)]
pub(super) struct SampleHdu {
    /// Primary = 0.
    pub number: u16,
    /// EXTNAME; empty without one.
    pub name: String,
    /// Its content.
    pub kind: HduKind,
    /// Keywords and values, of the primary HDU, the first image and all tables.
    pub cards: Vec<(String, String)>,
    /// Columns of a table.
    pub columns: Vec<SampleColumn>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SampleColumn {
    /// TTYPE.
    pub name: String,
    /// TFORM.
    pub format: String,
    /// TUNIT; empty without one.
    pub unit: String,
    /// Number of numbers in a cell; 0 for other content.
    pub elements: usize,
    /// The value in the first row.
    pub example: String,
}

impl Sample {
    /// Returns true for a file with an image.
    pub fn is_image(&self) -> bool {
        self.hdus.iter().any(SampleHdu::is_image)
    }

    /// Returns true for a file with tables alone.
    pub fn is_catalogue(&self) -> bool {
        !self.is_image() && self.hdus.iter().any(SampleHdu::is_table)
    }

    /// Returns the value of a keyword in the primary header, then in that of the first image, and whether it is the primary one.
    pub fn value(&self, keyword: &str) -> Option<(&str, bool)> {
        let image = self.hdus.iter().find(|hdu| hdu.is_image() && hdu.number > 0);
        let places = [self.hdus.first().map(|hdu| (hdu, true)), image.map(|hdu| (hdu, false))];
        places
            .into_iter()
            .flatten()
            .find_map(|(hdu, is_primary)| Some((hdu.value(keyword)?, is_primary)))
    }

    /// Returns its tables.
    pub fn tables(&self) -> impl Iterator<Item = &SampleHdu> {
        self.hdus.iter().filter(|hdu| hdu.is_table())
    }

    /// Returns its HDUs in words, equal ones counted: `a header alone, 4 an image`.
    pub fn shape(&self) -> String {
        let mut parts: Vec<(String, usize)> = Vec::new();
        for hdu in &self.hdus {
            let words = match hdu.columns.len() {
                0 => hdu.kind.in_words().to_owned(),
                n => format!("{} of {n} columns", hdu.kind.in_words()),
            };
            match parts.iter_mut().find(|(known, _)| *known == words) {
                Some((_, count)) => *count += 1,
                None => parts.push((words, 1)),
            }
        }
        let word = |(words, count): &(String, usize)| match count {
            1 => words.clone(),
            n => format!("{n} times {words}"),
        };
        parts.iter().map(word).collect::<Vec<_>>().join(", ")
    }
}

impl SampleHdu {
    /// Returns true for an image, compressed or not.
    pub fn is_image(&self) -> bool {
        matches!(self.kind, HduKind::Image | HduKind::CompressedImage)
    }

    /// Returns true for a table.
    pub fn is_table(&self) -> bool {
        matches!(self.kind, HduKind::BinTable | HduKind::AsciiTable)
    }

    /// Returns the value of a keyword.
    pub fn value(&self, keyword: &str) -> Option<&str> {
        self.cards.iter().find(|(name, _)| name == keyword).map(|(_, value)| value.as_str())
    }

    /// Returns a column by its name, regardless of case.
    pub fn column(&self, name: &str) -> Option<&SampleColumn> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }
}

/// Reads the FITS files of a directory and the directories below it, in the order of their names, and returns them with the
/// number of files that were not read.
///
/// # Errors
/// `Kind::Gate` for a directory without FITS files.
pub(super) fn read(directory: &Path) -> anyhow::Result<(Vec<Sample>, usize)> {
    let mut paths = Vec::new();
    list(directory, &mut paths)?;
    paths.sort();
    let mut samples = Vec::new();
    let all = paths.len();
    for path in paths.into_iter().take(MAX_FILES) {
        let Ok(fits) = FitsFile::open(&path, &Limits::default()) else { continue };
        let name = path.strip_prefix(directory).unwrap_or(&path).to_string_lossy().into_owned();
        samples.push(Sample { name, hdus: hdus(&fits), path });
    }
    if samples.is_empty() {
        let place = directory.display();
        return Err(failure::gate(format!("{place} has no FITS file that can be read")));
    }
    Ok((samples, all.saturating_sub(MAX_FILES)))
}

fn list(directory: &Path, paths: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let listing = || format!("cannot list {}", directory.display());
    for entry in std::fs::read_dir(directory).with_context(listing)? {
        let path = entry.with_context(listing)?.path();
        let is_hidden = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
        if path.is_dir() && !path.is_symlink() {
            list(&path, paths)?;
        } else if path.is_file() && !is_hidden {
            paths.push(path);
        }
    }
    Ok(())
}

fn hdus(fits: &FitsFile) -> Vec<SampleHdu> {
    let mut has_image = false;
    let mut all = Vec::new();
    for hdu in fits.hdus() {
        let mut sample = SampleHdu {
            number: hdu.index.0,
            name: hdu.name().unwrap_or_default().trim().to_owned(),
            kind: hdu.kind,
            cards: Vec::new(),
            columns: Vec::new(),
        };
        let is_first_image = sample.is_image() && !has_image;
        has_image |= sample.is_image();
        if hdu.index.0 == 0 || is_first_image || sample.is_table() {
            sample.cards = cards(hdu);
        }
        if sample.is_table() {
            sample.columns = columns(fits, hdu);
        }
        all.push(sample);
    }
    all
}

fn cards(hdu: &Hdu) -> Vec<(String, String)> {
    let mut cards: Vec<(String, String)> = Vec::new();
    for card in hdu.image_header().cards() {
        let value = match card.value() {
            Some(Value::Text(text)) => text.trim().to_owned(),
            Some(Value::Undefined) | None => continue,
            Some(other) => other.to_string(),
        };
        let keyword = card.keyword();
        if !value.is_empty()
            && !keyword.is_empty()
            && !cards.iter().any(|(known, _)| known == keyword)
        {
            cards.push((keyword.to_owned(), value));
        }
    }
    cards
}

fn columns(fits: &FitsFile, hdu: &Hdu) -> Vec<SampleColumn> {
    let Ok(table) = fits.table(hdu.index) else { return Vec::new() };
    let mut scratch = Vec::new();
    let first = (table.rows() > 0).then(|| table.read_rows(0..1, &mut scratch).ok()).flatten();
    let one = |column: &Column| {
        let mut example = String::new();
        if let Some(rows) = &first {
            let (mut numbers, mut texts) = (Vec::new(), Vec::new());
            if column.f64s(rows, &mut numbers).is_ok() {
                example = numbers.first().map(f64::to_string).unwrap_or_default();
            } else if column.texts(rows, &mut texts).is_ok() {
                example = texts.first().map(|text| text.trim().to_owned()).unwrap_or_default();
            }
        }
        let elements = match column.kind {
            ColumnKind::Cells(e) if e.is_float() || e.is_integer() => column.repeat,
            _ => 0,
        };
        SampleColumn {
            name: column.label().trim().to_owned(),
            format: column.tform.clone(),
            unit: column.unit.clone().unwrap_or_default(),
            elements,
            example,
        }
    };
    table.columns().iter().map(one).collect()
}

/// Counts equal values, the most frequent first, equal counts in the order of the values.
pub(super) fn counted<T: Ord + Clone>(values: impl IntoIterator<Item = T>) -> Vec<(T, usize)> {
    let mut counts = std::collections::BTreeMap::new();
    for value in values {
        *counts.entry(value).or_insert(0) += 1;
    }
    let mut all: Vec<(T, usize)> = counts.into_iter().collect();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    all
}
