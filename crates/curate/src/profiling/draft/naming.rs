//! Names of files: endings, suffixes, catalogues of images, nights and run numbers.

use super::sample::{Sample, counted};
use super::text::{comment, list, quoted};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// An image, and its root in pieces of digits and of other characters.
type Pieces<'s> = (&'s Sample, Vec<&'s str>);

/// Patterns of run names that are written at most.
const MAX_PATTERNS: usize = 6;

/// The rules for the names of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Naming {
    /// FITS endings.
    pub extensions: Vec<String>,
    /// Endings of catalogues.
    pub catalogue_extensions: Vec<String>,
    /// Suffixes of catalogues.
    pub catalogue_suffixes: Vec<String>,
    /// Suffixes that are left out when names are compared.
    pub ignored_suffixes: Vec<String>,
    /// Suffixes of products.
    pub suffixes: Vec<String>,
    /// Names of image and catalogue by these rules.
    pub pairs: Vec<(String, String)>,
    /// Catalogues without an image.
    pub orphans: Vec<String>,
}

/// Returns the name without directories, FITS endings, and the ending of a catalogue.
fn stem(name: &str) -> (&str, Option<&str>) {
    let file = name.rsplit('/').next().unwrap_or(name);
    let stem = model::frame_name(file);
    let last = stem.rfind('.').filter(|at| *at > 0 && stem.len() - at <= 6);
    // `a.fits.phot`, `a.cat`: an ending of letters that is not a FITS one.
    match last.map(|at| stem.split_at(at)) {
        Some((before, ending)) if ending[1..].bytes().all(|b| b.is_ascii_alphabetic()) => {
            (model::frame_name(before), Some(ending))
        }
        _ => (stem, None),
    }
}

impl Naming {
    /// Finds the rules for some files.
    pub fn of(samples: &[Sample]) -> Self {
        let mut naming = Self { extensions: endings(samples), ..Self::default() };
        let images: Vec<&str> =
            samples.iter().filter(|s| s.is_image()).map(|s| s.name.as_str()).collect();
        let mut tails = Vec::new();
        for sample in samples.iter().filter(|s| s.is_catalogue()) {
            let Some((image, [image_tail, tail])) = image_of(&sample.name, &images) else {
                naming.orphans.push(sample.name.clone());
                continue;
            };
            naming.pairs.push((image.to_owned(), sample.name.clone()));
            tails.push((image_tail.to_owned(), tail.to_owned()));
            if let (_, Some(ending)) = stem(&sample.name) {
                push(&mut naming.catalogue_extensions, ending);
            }
        }
        for ((image_tail, tail), _) in counted(tails) {
            if !tail.is_empty() {
                push(&mut naming.catalogue_suffixes, &tail);
            }
            if !image_tail.is_empty() {
                push(&mut naming.ignored_suffixes, &image_tail);
            }
        }
        let roots = images.iter().map(|name| naming.without_tail(stem(name).0));
        naming.suffixes = product_suffixes(roots);
        naming
    }

    /// Returns a stem without the suffixes of catalogues and ignored ones.
    fn without_tail<'n>(&self, stem: &'n str) -> &'n str {
        let tails = self.catalogue_suffixes.iter().chain(&self.ignored_suffixes);
        tails
            .filter_map(|tail| stem.strip_suffix(tail.as_str()))
            .min_by_key(|s| s.len())
            .unwrap_or(stem)
    }

    /// Returns the root of a name, and its chain of product suffixes.
    pub fn root<'n>(&self, name: &'n str) -> (&'n str, &'n str) {
        let image = self.without_tail(stem(name).0);
        let mut root = image;
        while let Some(shorter) = self.suffixes.iter().find_map(|s| root.strip_suffix(s.as_str())) {
            root = shorter;
        }
        (root, &image[root.len()..])
    }

    /// Returns true when an image has a catalogue.
    pub fn has_catalogue(&self, image: &str) -> bool {
        self.pairs.iter().any(|(paired, _)| paired == image)
    }

    /// Returns the section `naming`.
    pub fn section(&self, directory: &str, samples: &[Sample]) -> String {
        let mut text = String::from("[naming]\n");
        match delivery_pattern(directory) {
            Some(pattern) => {
                text += &comment(&format!("from the directory {directory}"));
                let _ = writeln!(text, "delivery = {}", quoted(&pattern));
            }
            None => {
                text += &comment(&format!(
                    "TODO: the directory {directory} names no night: name deliveries by this pattern, or change it"
                ));
                text += "delivery = \"{night}_v{version}\"\n";
            }
        }
        text += &self.runs(samples);
        let _ = writeln!(text, "extensions = {}", list(&self.extensions));
        if !self.suffixes.is_empty() {
            text += &comment("words at the end of image names, in any order");
            let _ = writeln!(text, "suffixes = {}", list(&self.suffixes));
        }
        let lists = [
            ("catalogue_extensions", &self.catalogue_extensions),
            ("catalogue_suffixes", &self.catalogue_suffixes),
            ("ignored_suffixes", &self.ignored_suffixes),
        ];
        if let Some((image, catalogue)) = self.pairs.first() {
            let count = self.pairs.len();
            text += &comment(&format!(
                "{count} catalogues have an image by these, e.g. {catalogue} has {image}"
            ));
        }
        for (key, values) in lists.iter().filter(|(_, values)| !values.is_empty()) {
            let _ = writeln!(text, "{key} = {}", list(values));
        }
        if let Some(first) = self.orphans.first() {
            let count = self.orphans.len();
            text += &comment(&format!(
                "TODO: {count} catalogues have no image by their names, e.g. {first}"
            ));
        }
        text
    }

    /// Returns the patterns of roots with a night and a run number, proven against DATE-OBS.
    fn runs(&self, samples: &[Sample]) -> String {
        let mut shapes: Vec<(String, Vec<Pieces<'_>>)> = Vec::new();
        for sample in samples.iter().filter(|s| s.is_image()) {
            let (root, _) = self.root(&sample.name);
            let pieces = pieces(root);
            let shape = shape_of(root);
            match shapes.iter_mut().find(|(known, _)| *known == shape) {
                Some((_, members)) => members.push((sample, pieces)),
                None => shapes.push((shape, vec![(sample, pieces)])),
            }
        }
        shapes.sort_by_key(|(_, members)| std::cmp::Reverse(members.len()));
        let (mut patterns, mut text) = (Vec::new(), String::new());
        for (shape, members) in shapes.iter().take(MAX_PATTERNS) {
            match pattern(members) {
                Ok((pattern, evidence)) => {
                    text += &comment(&format!("{shape}: {evidence}"));
                    patterns.push(pattern);
                }
                Err(why) => text += &comment(&format!("{shape}: no pattern for runs: {why}")),
            }
        }
        if shapes.len() > MAX_PATTERNS {
            let more = shapes.len() - MAX_PATTERNS;
            text += &comment(&format!("TODO: {more} other forms of names"));
        }
        if !patterns.is_empty() {
            let _ = writeln!(text, "runs = {}", list(&patterns));
        }
        text
    }
}

fn push(all: &mut Vec<String>, one: &str) {
    if !all.iter().any(|known| known == one) {
        all.push(one.to_owned());
    }
}

/// Returns the FITS endings that names have, each once.
fn endings(samples: &[Sample]) -> Vec<String> {
    let mut endings = BTreeSet::new();
    for sample in samples {
        let mut name = sample.name.as_str();
        while model::frame_name(name).len() < name.len() {
            let Some(at) = name.rfind('.') else { break };
            endings.insert(name[at..].to_owned());
            name = &name[..at];
        }
    }
    if endings.is_empty() {
        endings.insert(".fits".to_owned());
    }
    endings.into_iter().collect()
}

/// Returns the image of a catalogue by its name, and the ends of both stems behind the common part.
fn image_of<'n>(catalogue: &'n str, images: &[&'n str]) -> Option<(&'n str, [&'n str; 2])> {
    let own = stem(catalogue).0;
    let directory = |name: &str| name.rsplit_once('/').map_or(String::new(), |(d, _)| d.to_owned());
    let in_place = images.iter().filter(|image| directory(image) == directory(catalogue));
    let candidates = in_place.filter_map(|image| {
        let other = stem(image).0;
        let continues = |c: char| c.is_ascii_digit();
        if own.strip_prefix(other).is_some_and(|tail| !tail.starts_with(continues)) {
            // The whole name of the image counts most.
            return Some((usize::MAX, other.len(), *image, ["", &own[other.len()..]]));
        }
        let common = common_length(own, other);
        let has_digit = own[..common].bytes().any(|b| b.is_ascii_digit());
        // Both ends must be words: a digit is part of the exposure's number.
        let are_words = [&own[common..], &other[common..]]
            .iter()
            .all(|tail| !tail.is_empty() && !tail.bytes().any(|b| b.is_ascii_digit()));
        (has_digit && are_words).then(|| (common, 0, *image, [&other[common..], &own[common..]]))
    });
    candidates
        .max_by_key(|(common, length, image, _)| (*common, *length, std::cmp::Reverse(*image)))
        .map(|(_, _, image, tails)| (image, tails))
}

/// Returns the length of the common beginning of two stems, cut before a separator.
fn common_length(one: &str, other: &str) -> usize {
    let equal = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let is_separator = |c: char| "_-.".contains(c);
    one.get(..equal).and_then(|common| common.rfind(is_separator)).unwrap_or(0)
}

/// Returns the words at the ends of names that only some names have.
fn product_suffixes<'n>(stems: impl Iterator<Item = &'n str>) -> Vec<String> {
    let stems: Vec<&str> = stems.collect();
    let mut words = Vec::new();
    for stem in &stems {
        let mut rest = *stem;
        while let Some(at) = rest.rfind('_').filter(|at| *at > 0) {
            let word = &rest[at + 1..];
            let is_word = !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
            if !is_word || !rest[..at].bytes().any(|b| b.is_ascii_digit()) {
                break;
            }
            words.push(rest[at..].to_owned());
            rest = &rest[..at];
        }
    }
    counted(words).into_iter().map(|(word, _)| word).collect()
}

/// Cuts a root into runs of digits and other text, in turn.
fn pieces(root: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = root;
    while let Some(first) = rest.chars().next() {
        let is_digit = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != is_digit).unwrap_or(rest.len());
        pieces.push(&rest[..end]);
        rest = &rest[end..];
    }
    pieces
}

/// Returns a root with `#` for each digit.
pub(super) fn shape_of(root: &str) -> String {
    root.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect()
}

fn is_digits(piece: &str) -> bool {
    piece.bytes().all(|b| b.is_ascii_digit())
}

/// Returns a pattern for roots of one shape, with its evidence.
///
/// # Errors
/// The reason why there is none.
fn pattern(members: &[Pieces<'_>]) -> Result<(String, String), String> {
    let first = &members[0].1;
    let at = |n: usize| members.iter().map(move |(_, pieces)| pieces[n]);
    let numbers: Vec<usize> = (0..first.len()).filter(|n| is_digits(first[*n])).collect();
    let full = |n: usize| {
        at(n).all(|p| model::Night::new(p.parse().unwrap_or(0)).is_some() && p.len() == 8)
    };
    let short = |n: usize| at(n).all(|p| p.len() == 6 && is_date(&format!("20{p}")));
    let night = numbers.iter().copied().find(|n| full(*n));
    let night = match night.or_else(|| numbers.iter().copied().find(|n| short(*n))) {
        Some(night) => night,
        None => return Err("no number of the name is a date".to_owned()),
    };
    let is_short = first[night].len() == 6;
    let century = if is_short { "20" } else { "" };
    let dated: Vec<bool> = members
        .iter()
        .filter_map(|(sample, pieces)| {
            let date = sample.value("DATE-OBS")?.0.get(..10)?.replace('-', "");
            Some(is_near(&format!("{century}{}", pieces[night]), &date))
        })
        .collect();
    let near = dated.iter().filter(|is_near| **is_near).count();
    if !dated.is_empty() && near * 2 < dated.len() {
        return Err(format!("the date is that of DATE-OBS in {near} of {} files", dated.len()));
    }
    let distinct = |n: usize| at(n).collect::<BTreeSet<_>>().len();
    let run = numbers
        .iter()
        .copied()
        .filter(|n| *n != night && first[*n].len() <= 9)
        .max_by_key(|n| (distinct(*n), *n));
    let mut pattern = String::new();
    for (n, piece) in first.iter().enumerate() {
        match n {
            n if n == night && is_short => pattern += "{yymmdd}",
            n if n == night => pattern += "{night}",
            n if Some(n) == run => pattern += "{run}",
            n if distinct(n) == 1 => pattern += piece,
            _ => pattern += "*",
        }
    }
    let proof = match dated.len() {
        0 => "TODO: no DATE-OBS confirms the date".to_owned(),
        all => format!("the date is that of DATE-OBS, or the day before, in {near} of {all} files"),
    };
    Ok((pattern, format!("{} files; {proof}", members.len())))
}

fn is_date(digits: &str) -> bool {
    digits.parse().ok().and_then(model::Night::new).is_some()
}

/// Returns true when a night is the date of an exposure, or the day before.
fn is_near(night: &str, date: &str) -> bool {
    let day = |text: &str| {
        let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u32>().ok();
        chrono::NaiveDate::from_ymd_opt(
            number(0..4)?.try_into().ok()?,
            number(4..6)?,
            number(6..8)?,
        )
    };
    match (day(night), day(date)) {
        (Some(night), Some(date)) => (0..=1).contains(&(date - night).num_days()),
        _ => false,
    }
}

/// Returns the pattern of a delivery's name: its date is the night, digits behind `v` the version.
fn delivery_pattern(directory: &str) -> Option<String> {
    let pieces = pieces(directory);
    let night = pieces.iter().position(|p| p.len() == 8 && is_digits(p) && is_date(p))?;
    let before: String = pieces[..night].concat();
    let behind: String = pieces[night + 1..].concat();
    let version = behind.rfind('v').filter(|at| {
        let rest = &behind[at + 1..];
        rest.starts_with(|c: char| c.is_ascii_digit())
            && rest.bytes().all(|b| b.is_ascii_digit() || b == b'.')
    });
    let behind = match version {
        Some(at) => format!("{}v{{version}}", &behind[..at]),
        None => behind,
    };
    Some(format!("{before}{{night}}{behind}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fits::HduKind;
    use std::path::PathBuf;

    fn sample(name: &str, is_image: bool, date: &str) -> Sample {
        let kind = if is_image { HduKind::Image } else { HduKind::BinTable };
        let cards = vec![("DATE-OBS".to_owned(), date.to_owned())];
        let hdu = super::super::sample::SampleHdu {
            number: 0,
            name: String::new(),
            kind,
            cards,
            columns: Vec::new(),
        };
        Sample { name: name.to_owned(), path: PathBuf::new(), hdus: vec![hdu] }
    }

    #[test]
    fn suffixes_and_runs_of_a_night() {
        let files = [
            ("w20071011_00101_st.fit", true),
            ("w20071011_00101_st_conf.fit", true),
            ("w20071011_00101_st_cat.fits", false),
            ("w20071011_00102.fit", true),
            ("list_cat.fits", false),
        ];
        let samples: Vec<Sample> =
            files.iter().map(|(name, image)| sample(name, *image, "2007-10-12T05:00:00")).collect();
        let naming = Naming::of(&samples);
        assert_eq!(naming.catalogue_suffixes, ["_cat"]);
        assert_eq!(naming.suffixes, ["_st", "_conf"], "the most frequent first");
        assert_eq!(naming.extensions, [".fit", ".fits"]);
        assert_eq!(naming.orphans, ["list_cat.fits"]);
        assert!(naming.has_catalogue("w20071011_00101_st.fit"));
        let text = naming.section("20071011_v1", &samples);
        assert!(text.contains("delivery = \"{night}_v{version}\""), "{text}");
        assert!(text.contains("runs = [\"w{night}_{run}\"]"), "{text}");
        assert!(text.contains("in 3 of 3 files"), "{text}");
    }

    #[test]
    fn suffixes_that_replace_another_and_endings() {
        let files =
            [("ztf_20200101_000655_sciimg.fits", true), ("ztf_20200101_000655_psfcat.fits", false)];
        let samples: Vec<Sample> =
            files.iter().map(|(name, image)| sample(name, *image, "2020-01-01")).collect();
        let naming = Naming::of(&samples);
        assert_eq!(
            (naming.ignored_suffixes, naming.catalogue_suffixes),
            (vec!["_sciimg".to_owned()], vec!["_psfcat".to_owned()])
        );
        let names = [("a1.fits", true), ("a1.cat", false), ("a12_cat.fits", false)];
        let samples: Vec<Sample> = names.iter().map(|(n, image)| sample(n, *image, "")).collect();
        let naming = Naming::of(&samples);
        assert_eq!(naming.catalogue_extensions, [".cat"]);
        assert_eq!(naming.pairs.len(), 1);
        assert_eq!(naming.orphans, ["a12_cat.fits"], "12 is another number than 1");
    }

    #[test]
    fn dates_of_six_digits_have_their_field() {
        let files = ["c4d_150412_073257_ooi.fits", "c4d_150412_073400_ooi.fits"];
        let samples: Vec<Sample> =
            files.iter().map(|name| sample(name, true, "2015-04-12T07:32:57")).collect();
        let naming = Naming::of(&samples);
        let text = naming.section("CP20150407", &samples);
        assert!(text.contains("delivery = \"CP{night}\""), "{text}");
        let text = naming.section("x", &samples);
        assert!(text.contains("runs = [\"c4d_{yymmdd}_{run}\"]"), "{text}");
        assert!(text.contains("TODO: the directory x names no night"), "{text}");
        assert!(!is_near("20150411", "20150413") && is_near("20150412", "20150413"));
    }
}
