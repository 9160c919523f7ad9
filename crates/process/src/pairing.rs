//! The table of a catalogue that belongs to a detector: by what both HDUs are called, else by their place.
//!
//! Takes the identities of the image HDUs and of the tables, returns for each table its image or the reason why it has
//! none. Names and detector numbers (`[catalogue] pair_by` of the profile) count where both files have them; the place
//! in the file counts for tables whose names say nothing about the images. Nothing is guessed: what could belong to
//! several, or to different ones by different keywords, belongs to none.
//!
//! Start at [`pair`]. Metadata and catalogues both use it, so that zero points and rows are of the same detector.

use model::profile::{CatalogueProfile, Pairing};
use std::collections::BTreeSet;

/// Keyword of the name of an HDU.
const NAME: &str = "EXTNAME";
/// Keyword of the number that tells HDUs of the same name apart.
const VERSION: &str = "EXTVER";

/// The names of an HDU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Index of the HDU, primary = 0.
    pub(crate) hdu: u16,
    name: Option<String>,
    version: Option<String>,
    /// Values of the other keywords of `pair_by`, in their order.
    numbers: Vec<Option<String>>,
}

impl Identity {
    /// Reads the identity of an HDU; `own` returns the value of a keyword of its own header.
    pub(crate) fn of(hdu: u16, pair_by: &[String], own: impl Fn(&str) -> Option<String>) -> Self {
        let value =
            |keyword: &str| own(keyword).map(|text| normal(&text)).filter(|t| !t.is_empty());
        let by_name = pair_by.iter().any(|keyword| keyword == NAME);
        Self {
            hdu,
            name: value(NAME).filter(|_| by_name),
            version: value(VERSION).filter(|_| by_name),
            numbers: pair_by.iter().filter(|k| *k != NAME).map(|k| value(k)).collect(),
        }
    }

    fn ext_num(&self) -> u32 {
        model::ext_num_of(self.hdu)
    }
}

/// A value as it is compared: without regard to case and blanks, numbers without leading zeros.
fn normal(text: &str) -> String {
    let text = text.trim().to_uppercase();
    text.parse::<i64>().map_or(text, |number| number.to_string())
}

/// The image of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pair {
    /// Position of the image among the images.
    With { image: usize, by_identity: bool },
    /// None, and why.
    Apart(Unpaired),
}

/// The reason why a table has no image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unpaired {
    /// Code of the refusal.
    pub(crate) code: &'static str,
    /// Names both sides.
    pub(crate) message: String,
    /// The identities of the HDUs decided it, not their places.
    pub(crate) by_identity: bool,
}

/// The two files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sides<'a> {
    /// Name of the image file, for messages.
    pub(crate) image_name: &'a str,
    /// Its image HDUs, ascending.
    pub(crate) images: &'a [Identity],
    /// The tables of the catalogue, ascending.
    pub(crate) tables: &'a [Identity],
    /// Neither file has another image or table, usable or not.
    pub(crate) alone: bool,
}

/// What one keyword says about a table: the images it could belong to; `None` when it says nothing.
type Opinion = Option<BTreeSet<usize>>;

/// Pairs tables with images. No image is given twice.
pub(crate) fn pair(sides: &Sides<'_>, rules: &CatalogueProfile) -> Vec<Pair> {
    let opinions = opinions(sides, &rules.pair_by);
    let mut pairs: Vec<Pair> = (0..sides.tables.len())
        .map(|table| {
            by_identity(sides, &opinions, table)
                .unwrap_or_else(|| by_place(sides, rules.pairing, table))
        })
        .collect();
    let claims = pairs.clone();
    for (table, pair) in pairs.iter_mut().enumerate() {
        let Pair::With { image, by_identity } = *pair else { continue };
        let rival = claims.iter().enumerate().find(|(other, claim)| {
            // A name counts more than a place, but not enough to leave the other without a word.
            *other != table
                && matches!(claim, Pair::With { image: theirs, by_identity: named }
                    if *theirs == image && (*named || !by_identity))
        });
        if let Some((rival, _)) = rival {
            *pair = Pair::Apart(claimed_twice(sides, image, table, rival));
        }
    }
    pairs
}

/// One keyword and its opinion on each table.
struct Scheme {
    keyword: String,
    images: Vec<Option<String>>,
    tables: Vec<Option<String>>,
    opinions: Vec<Opinion>,
}

fn opinions(sides: &Sides<'_>, pair_by: &[String]) -> Vec<Scheme> {
    let scheme = |keyword: &str, key: &dyn Fn(&Identity) -> Option<String>, of_names: bool| {
        let images: Vec<_> = sides.images.iter().map(key).collect();
        let tables: Vec<_> = sides.tables.iter().map(key).collect();
        let opinions = tables.iter().map(|t| opinion(&images, &tables, t.as_deref(), of_names));
        let opinions = opinions.collect();
        Scheme { keyword: keyword.to_owned(), images, tables, opinions }
    };
    let mut schemes = Vec::new();
    if pair_by.iter().any(|keyword| keyword == NAME) {
        let name = |i: &Identity| i.name.clone();
        let versioned =
            |i: &Identity| Some(format!("{} {}", i.name.as_deref()?, i.version.as_deref()?));
        let by_name = scheme(NAME, &name, true);
        let by_version = scheme("EXTNAME, EXTVER", &versioned, false);
        let useless = by_name.opinions.iter().all(Option::is_none);
        let several = |o: &Opinion| o.as_ref().is_some_and(|images| images.len() > 1);
        let same = has_equals(&by_name.images) || has_equals(&by_name.tables);
        let numbered = are_distinct(&by_version.images) && are_distinct(&by_version.tables);
        if numbered && same && (by_name.opinions.iter().any(several) || shares(&by_version)) {
            schemes.push(by_version);
        } else if useless && numbered && sides.tables.len() > 1 && sides.images.len() > 1 {
            let version = |i: &Identity| i.version.clone();
            let by_version = scheme(VERSION, &version, false);
            if are_distinct(&by_version.images) && are_distinct(&by_version.tables) {
                schemes.push(by_version);
            }
        } else {
            schemes.push(by_name);
        }
    }
    let others = pair_by.iter().filter(|keyword| *keyword != NAME);
    schemes.extend(
        others
            .enumerate()
            .map(|(n, keyword)| scheme(keyword, &|i: &Identity| i.numbers.get(n)?.clone(), false)),
    );
    schemes
}

fn shares(scheme: &Scheme) -> bool {
    scheme.tables.iter().flatten().any(|t| scheme.images.iter().flatten().any(|i| i == t))
}

fn has_equals(keys: &[Option<String>]) -> bool {
    let known: Vec<&String> = keys.iter().flatten().collect();
    known.iter().collect::<BTreeSet<_>>().len() < known.len()
}

/// Every HDU has a key, and no two the same.
fn are_distinct(keys: &[Option<String>]) -> bool {
    !keys.is_empty() && keys.iter().all(Option::is_some) && !has_equals(keys)
}

/// The images that a key of a table could mean.
///
/// Keys that all images share tell none from the other and say nothing. A name that no image has says nothing either
/// (`COMPRESSED_IMAGE` here, `APM-BINARYTABLE` there), unless it is of the same kind as theirs: other tables are named
/// like images, or it differs from an image's name in its number alone. Numbers are always of the same kind.
fn opinion(
    images: &[Option<String>],
    tables: &[Option<String>],
    key: Option<&str>,
    of_names: bool,
) -> Opinion {
    let key = key?;
    let named: Vec<&str> = images.iter().flatten().map(String::as_str).collect();
    let constant = named.len() > 1 && named.iter().all(|name| *name == named[0]);
    if named.is_empty() || constant {
        return None;
    }
    let found: BTreeSet<usize> =
        (0..images.len()).filter(|n| images[*n].as_deref() == Some(key)).collect();
    let alike = |table: &str| named.contains(&table);
    let of_their_kind = !of_names
        || tables.iter().flatten().any(|table| alike(table))
        || named.iter().any(|name| kind_of(name) == kind_of(key));
    (!found.is_empty() || of_their_kind).then_some(found)
}

/// A name with `#` for every number in it.
fn kind_of(name: &str) -> String {
    let mut kind = String::new();
    for letter in name.chars() {
        match letter.is_ascii_digit() {
            true if kind.ends_with('#') => {}
            true => kind.push('#'),
            false => kind.push(letter),
        }
    }
    kind
}

/// The image that the keywords agree on; `None` when they say nothing.
fn by_identity(sides: &Sides<'_>, schemes: &[Scheme], table: usize) -> Option<Pair> {
    let said: Vec<(&Scheme, &BTreeSet<usize>)> =
        schemes.iter().filter_map(|s| Some((s, s.opinions[table].as_ref()?))).collect();
    let (_, first) = said.first()?;
    let agreed = said.iter().fold((*first).clone(), |all, (_, one)| &all & *one);
    let mut agreed = agreed.into_iter();
    let apart = |code, message| Some(Pair::Apart(Unpaired { code, message, by_identity: true }));
    let words = |only: fn(&BTreeSet<usize>) -> bool| {
        let one = |(scheme, images): &(&Scheme, &BTreeSet<usize>)| {
            opinion_in_words(sides, scheme, images, table)
        };
        said.iter().filter(|(_, images)| only(images)).map(one).collect::<Vec<_>>().join("; ")
    };
    match (agreed.next(), agreed.next()) {
        (Some(image), None) => Some(Pair::With { image, by_identity: true }),
        (Some(_), Some(_)) => apart("pairing_ambiguous", words(|_| true)),
        (None, _) if said.iter().all(|(_, images)| images.is_empty()) => {
            apart("no_detector", words(|_| true))
        }
        (None, _) => apart("pairing_contradictory", words(|_| true)),
    }
}

/// `EXTNAME CHIP2 is that of ext_num 3 of IMAGE`.
fn opinion_in_words(
    sides: &Sides<'_>,
    scheme: &Scheme,
    images: &BTreeSet<usize>,
    table: usize,
) -> String {
    const LISTED: usize = 8;
    let key = brief(scheme.tables[table].as_deref().unwrap_or_default());
    let (keyword, file) = (&scheme.keyword, sides.image_name);
    if images.is_empty() {
        let known: Vec<&String> = scheme.images.iter().flatten().collect();
        let mut theirs: Vec<String> = known.iter().take(LISTED).map(|name| brief(name)).collect();
        if known.len() > LISTED {
            theirs.push(format!("{} others", known.len() - LISTED));
        }
        let theirs = theirs.join(", ");
        return format!("{keyword} {key} is that of no usable image of {file}, which has {theirs}");
    }
    let numbers: Vec<String> =
        images.iter().take(LISTED).map(|n| sides.images[*n].ext_num().to_string()).collect();
    format!("{keyword} {key} is that of ext_num {} of {file}", numbers.join(" and "))
}

/// A value of a header in a message: the beginning of it, and nothing that a terminal would take for a command.
fn brief(value: &str) -> String {
    const LETTERS_MAX: usize = 40;
    value.chars().take(LETTERS_MAX).flat_map(char::escape_debug).collect()
}

fn claimed_twice(sides: &Sides<'_>, image: usize, table: usize, rival: usize) -> Unpaired {
    let message = format!(
        "both this table and that of ext_num {} would belong to ext_num {} of {}{}",
        sides.tables[rival].ext_num(),
        sides.images[image].ext_num(),
        sides.image_name,
        sides.tables[table]
            .name
            .as_deref()
            .map_or(String::new(), |n| format!(" (EXTNAME {})", brief(n))),
    );
    Unpaired { code: "pairing_ambiguous", message, by_identity: true }
}

/// The image at the place of a table.
fn by_place(sides: &Sides<'_>, pairing: Pairing, table: usize) -> Pair {
    let hdu = sides.tables[table].hdu;
    let image = match pairing {
        Pairing::Hdu if sides.alone && sides.images.len() == 1 && sides.tables.len() == 1 => {
            Some(0)
        }
        Pairing::Hdu => sides.images.iter().position(|image| image.hdu == hdu),
        Pairing::Order => Some(table).filter(|n| *n < sides.images.len()),
    };
    if let Some(image) = image {
        return Pair::With { image, by_identity: false };
    }
    let message = format!(
        "{} has no detector for it: its metadata were refused, or there is none",
        sides.image_name
    );
    Pair::Apart(Unpaired { code: "no_detector", message, by_identity: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// HDUs as (index, cards).
    type Side<'a> = &'a [(u16, &'a [(&'a str, &'a str)])];

    fn identities(side: Side<'_>, rules: &CatalogueProfile) -> Vec<Identity> {
        let identity = |(hdu, cards): &(u16, &[(&str, &str)])| {
            Identity::of(*hdu, &rules.pair_by, |keyword| {
                cards.iter().find(|(k, _)| *k == keyword).map(|(_, value)| (*value).to_owned())
            })
        };
        side.iter().map(identity).collect()
    }

    /// For each table the HDU of its image, or the code.
    fn paired(images: Side<'_>, tables: Side<'_>, rules: &CatalogueProfile) -> Vec<String> {
        let (images, tables) = (identities(images, rules), identities(tables, rules));
        let alone = images.len() == 1 && tables.len() == 1;
        let sides = Sides { image_name: "a.fit", images: &images, tables: &tables, alone };
        let word = |pair: Pair| match pair {
            Pair::With { image, .. } => images[image].hdu.to_string(),
            Pair::Apart(reason) => {
                assert!(reason.message.contains("a.fit"), "{}", reason.message);
                reason.code.to_owned()
            }
        };
        pair(&sides, rules).into_iter().map(word).collect()
    }

    fn chip(name: &'static str) -> [(&'static str, &'static str); 1] {
        [("EXTNAME", name)]
    }

    #[test]
    fn names_pair() {
        let rules = CatalogueProfile::default();
        let (one, two, three) = (chip("CHIP1"), chip("CHIP2"), chip(" chip3 "));
        let images: Side<'_> = &[(1, &one), (2, &two), (3, &chip("CHIP3"))];
        assert_eq!(paired(images, &[(1, &two), (2, &three)], &rules), ["2", "3"]);
        assert_eq!(paired(&images[1..], &[(1, &two), (2, &three)], &rules), ["2", "3"]);
        assert_eq!(paired(images, &[(1, &three), (2, &one), (3, &two)], &rules), ["3", "1", "2"]);
        // The image is another one, though the name is of the same kind.
        assert_eq!(paired(&images[..1], &[(1, &two)], &rules), ["no_detector"]);
        assert_eq!(paired(images, &[(1, &two), (2, &two)], &rules), ["pairing_ambiguous"; 2]);
        let unnamed: Side<'_> = &[(1, &three), (3, &[])];
        assert_eq!(paired(images, unnamed, &rules), ["3", "pairing_ambiguous"]);
        let by_place = CatalogueProfile { pair_by: Vec::new(), ..rules };
        assert_eq!(paired(images, &[(1, &two), (2, &three)], &by_place), ["1", "2"]);
    }

    #[test]
    fn names_that_say_nothing_leave_it_to_the_place() {
        let rules = CatalogueProfile::default();
        let (image, table) = (chip("COMPRESSED_IMAGE"), chip("APM-BINARYTABLE"));
        let images: Side<'_> = &[(1, &image), (2, &image)];
        assert_eq!(paired(images, &[(1, &table), (2, &table)], &rules), ["1", "2"]);
        assert_eq!(paired(images, &[(2, &table), (9, &table)], &rules), ["2", "no_detector"]);
        assert_eq!(paired(images, &[(1, &image), (2, &image)], &rules), ["1", "2"]);
        assert_eq!(paired(&[(0, &chip("WSAIMAGE"))], &[(1, &table)], &rules), ["0"]);
        assert_eq!(paired(&[(0, &[])], &[(1, &chip("CHIP2"))], &rules), ["0"]);
        let order = CatalogueProfile { pairing: Pairing::Order, ..rules };
        assert_eq!(paired(images, &[(4, &table), (7, &table)], &order), ["1", "2"]);
    }

    #[test]
    fn numbers_pair() {
        let rules = CatalogueProfile::default();
        let camera =
            |number: &'static str, name: &'static str| [("CAMNUM", number), ("EXTNAME", name)];
        let image = |number| camera(number, "COMPRESSED_IMAGE");
        let table = |number| camera(number, "CASU-CAT");
        let images: Side<'_> = &[(1, &image("1")), (2, &image("2")), (3, &image("3"))];
        assert_eq!(paired(images, &[(1, &table("2")), (2, &table("03"))], &rules), ["2", "3"]);
        assert_eq!(paired(images, &[(1, &table("4"))], &rules), ["no_detector"]);
        assert_eq!(
            paired(images, &[(1, &table("2")), (2, &table("2"))], &rules),
            ["pairing_ambiguous"; 2]
        );
        // By two keywords to different detectors.
        let images: Side<'_> = &[(1, &camera("1", "CHIP1")), (2, &camera("2", "CHIP2"))];
        let crossed = camera("1", "CHIP2");
        assert_eq!(paired(images, &[(1, &crossed)], &rules), ["pairing_contradictory"]);
        let (right, odd) = (camera("1", "CHIP1"), camera("9", "CHIP2"));
        assert_eq!(
            paired(images, &[(2, &right), (3, &odd)], &rules),
            ["1", "pairing_contradictory"]
        );
    }

    #[test]
    fn versions_tell_hdus_of_one_name_apart() {
        let rules = CatalogueProfile::default();
        let hdu =
            |name: &'static str, version: &'static str| [("EXTNAME", name), ("EXTVER", version)];
        let images: Side<'_> =
            &[(1, &hdu("SCI", "1")), (2, &hdu("SCI", "2")), (3, &hdu("SCI", "3"))];
        assert_eq!(
            paired(images, &[(1, &hdu("SCI", "2")), (2, &hdu("SCI", "3"))], &rules),
            ["2", "3"]
        );
        assert_eq!(
            paired(images, &[(1, &hdu("CAT", "2")), (2, &hdu("CAT", "3"))], &rules),
            ["2", "3"]
        );
        let dull: Side<'_> = &[(1, &hdu("CHIP1", "1")), (2, &hdu("CHIP2", "1"))];
        assert_eq!(paired(dull, &[(1, &hdu("CHIP2", "1"))], &rules), ["2"]);
    }
}
