//! The table of a catalogue that belongs to a detector: by the names of both HDUs, else by their place.
//!
//! Takes the identities of the image HDUs and of the tables, returns for each table its image or the reason why it has none.
//! Equal names and detector numbers (`[catalogue] pair_by` of the profile) count first, then names that contain the detector's
//! name ([`related`]). The place in the file counts for all other tables: their order, in files with as many catalogues as
//! detectors, or the HDU if the profile sets this. Numbers in names, or in different keywords, confirm or replace the place. If
//! all of them are the images' numbers plus a constant, one file counts from another number, and the positions of the rows
//! decide ([`Pair::IfPlaced`]). Nothing is guessed: a table that could belong to several images, or to different ones by
//! different keywords, belongs to none.
//!
//! Start at [`pair`]. Metadata and catalogues both use it, so that zero points and rows are of the same detector.

mod related;

use model::RefusalCode;
use model::profile::{CatalogueProfile, Pairing};
use std::collections::BTreeSet;

/// Keyword of the name of an HDU.
const NAME: &str = "EXTNAME";
/// Keyword of the number that distinguishes HDUs of the same name.
const VERSION: &str = "EXTVER";

/// Keywords whose values are names, or the type of all detectors of a camera.
const TEXT_KEYWORDS: [&str; 4] = ["DETECTOR", "DETNAME", "CCDNAME", "CHIPNAME"];

/// The names of an HDU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Index of the HDU, primary = 0.
    pub(crate) hdu: u16,
    name: Option<String>,
    version: Option<String>,
    /// Values of [`other_keywords`], in their order.
    others: Vec<Option<String>>,
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
            others: other_keywords(pair_by).map(value).collect(),
        }
    }

    /// Returns the values of all keywords but EXTVER.
    fn texts(&self) -> impl Iterator<Item = &str> {
        self.name.iter().chain(self.others.iter().flatten()).map(String::as_str)
    }

    fn ext_num(&self) -> u32 {
        model::ext_num_of(self.hdu)
    }
}

/// Returns the keywords to pair by, without EXTNAME.
fn other_keywords(pair_by: &[String]) -> impl Iterator<Item = &str> {
    pair_by.iter().map(String::as_str).filter(|keyword| *keyword != NAME)
}

/// Returns a value in the form for comparison: without regard to case and blanks, numbers without leading zeros.
fn normal(text: &str) -> String {
    let text = text.trim().to_uppercase();
    text.parse::<i64>().map_or(text, |number| number.to_string())
}

/// The image of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pair {
    /// Position of the image among the images, and the reason.
    With { image: usize, ground: Ground },
    /// Position of the image at the table's place, whose number differs. The pair counts where RA and DEC of the rows agree
    /// with the image's WCS, else there is none.
    IfPlaced { image: usize, otherwise: Unpaired },
    /// No image, with the reason.
    Apart(Unpaired),
}

impl Pair {
    /// Returns the image that the table is of, or claims.
    fn image(&self) -> Option<usize> {
        match self {
            Self::With { image, .. } | Self::IfPlaced { image, .. } => Some(*image),
            Self::Apart(_) => None,
        }
    }

    fn is_by_identity(&self) -> bool {
        matches!(self, Self::With { ground: Ground::Identity, .. })
    }
}

/// The reason for a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// Names or numbers of both HDUs.
    Identity,
    /// Equal places, in files that name no HDUs, or with a number that confirms the pair.
    Place,
    /// Equal places, in files of which one names its HDUs and nothing confirms the pair.
    PlaceAlone,
}

/// The reason why a table has no image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unpaired {
    /// Code of the refusal.
    pub(crate) code: RefusalCode,
    /// Sentence that names both sides.
    pub(crate) message: String,
    /// True when the identities of the HDUs decided it, not their places.
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
    /// HDUs of the image file that hold an image or may hold one, usable or not, ascending.
    pub(crate) image_hdus: &'a [u16],
    /// HDUs of the other file that hold a catalogue or may hold one, usable or not, ascending; used by [`Pairing::Order`].
    pub(crate) table_hdus: &'a [u16],
    /// True when neither file has another table or image, usable or not.
    pub(crate) alone: bool,
}

/// The evidence of one keyword about a table: the images to which it could belong; `None` without evidence.
type Opinion = Option<BTreeSet<usize>>;

/// Pairs tables with images. No image is in two pairs.
pub(crate) fn pair(sides: &Sides<'_>, rules: &CatalogueProfile) -> Vec<Pair> {
    let opinions = opinions(sides, &rules.pair_by);
    let contained = related::contained(sides);
    let numbers = if sides.alone { Vec::new() } else { related::numbers(sides, &rules.pair_by) };
    let places: Vec<Pair> =
        (0..sides.tables.len()).map(|table| by_place(sides, rules, table)).collect();
    let is_shifted = is_shifted(&numbers, &places);
    let one = |(table, place): (usize, Pair)| {
        let stated = by_identity(sides, &opinions, &contained, table);
        stated.unwrap_or_else(|| by_number(sides, &numbers, is_shifted, place, table))
    };
    let mut pairs: Vec<Pair> = places.into_iter().enumerate().map(one).collect();
    let claims = pairs.clone();
    for (table, pair) in pairs.iter_mut().enumerate() {
        let Some(image) = pair.image() else { continue };
        let rival = claims.iter().enumerate().find(|(other, claim)| {
            // A name counts more than a place, but the other table still needs a reason.
            *other != table
                && claim.image() == Some(image)
                && (claim.is_by_identity() || !pair.is_by_identity())
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
    schemes.extend(other_keywords(pair_by).enumerate().map(|(n, keyword)| {
        let of_names = TEXT_KEYWORDS.contains(&keyword);
        scheme(keyword, &|i: &Identity| i.others.get(n)?.clone(), of_names)
    }));
    schemes
}

fn shares(scheme: &Scheme) -> bool {
    scheme.tables.iter().flatten().any(|t| scheme.images.iter().flatten().any(|i| i == t))
}

fn has_equals(keys: &[Option<String>]) -> bool {
    let known: Vec<&String> = keys.iter().flatten().collect();
    known.iter().collect::<BTreeSet<_>>().len() < known.len()
}

/// Returns true when every HDU has a key, and no two have the same.
fn are_distinct(keys: &[Option<String>]) -> bool {
    !keys.is_empty() && keys.iter().all(Option::is_some) && !has_equals(keys)
}

/// Returns the images that a key of a table could mean.
///
/// Keys that all images share distinguish no image and are no evidence. A name that no image has is no evidence either
/// (`COMPRESSED_IMAGE` here, `APM-BINARYTABLE` there), unless it is of the same kind as the images' names: other tables are
/// named like images, or it differs from an image's name in its number alone. Numbers are always of the same kind.
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

/// Returns a name with `#` for every number in it.
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

/// Returns the image that the keywords agree on, and the names that contain each other; `None` without evidence.
fn by_identity(
    sides: &Sides<'_>,
    schemes: &[Scheme],
    contained: &Scheme,
    table: usize,
) -> Option<Pair> {
    let mut stated: Vec<(&Scheme, &BTreeSet<usize>)> =
        schemes.iter().filter_map(|s| Some((s, s.opinions[table].as_ref()?))).collect();
    // A name that contains no image's name is no evidence where keywords are equal.
    let by_parts = contained.opinions[table].as_ref();
    stated.extend(
        by_parts
            .filter(|images| stated.is_empty() || !images.is_empty())
            .map(|images| (contained, images)),
    );
    let (_, first) = stated.first()?;
    let agreed = stated.iter().fold((*first).clone(), |all, (_, one)| &all & *one);
    let mut agreed = agreed.into_iter();
    let apart = |code, message| Some(Pair::Apart(Unpaired { code, message, by_identity: true }));
    let listed = |only: fn(&BTreeSet<usize>) -> bool| {
        let one = |(scheme, images): &(&Scheme, &BTreeSet<usize>)| {
            described(sides, scheme, images, table)
        };
        stated.iter().filter(|(_, images)| only(images)).map(one).collect::<Vec<_>>().join("; ")
    };
    match (agreed.next(), agreed.next()) {
        (Some(image), None) => Some(Pair::With { image, ground: Ground::Identity }),
        (Some(_), Some(_)) => apart(RefusalCode::PAIRING_AMBIGUOUS, listed(|_| true)),
        (None, _) if stated.iter().all(|(_, images)| images.is_empty()) => {
            apart(RefusalCode::NO_DETECTOR, listed(|_| true))
        }
        (None, _) => apart(RefusalCode::PAIRING_CONTRADICTORY, listed(|_| true)),
    }
}

/// Formats an opinion: `EXTNAME CHIP2 is that of ext_num 3 of IMAGE`.
fn described(sides: &Sides<'_>, scheme: &Scheme, images: &BTreeSet<usize>, table: usize) -> String {
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

/// Returns a value of a header for a message: the beginning of it, without characters that a terminal would interpret as a
/// command.
fn brief(value: &str) -> String {
    const MAX_CHARS: usize = 40;
    value.chars().take(MAX_CHARS).flat_map(char::escape_debug).collect()
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
    Unpaired { code: RefusalCode::PAIRING_AMBIGUOUS, message, by_identity: true }
}

/// Returns the image at the place of a table.
fn by_place(sides: &Sides<'_>, rules: &CatalogueProfile, table: usize) -> Pair {
    let hdu = sides.tables[table].hdu;
    let image = match rules.pairing {
        Pairing::Hdu if sides.alone && sides.images.len() == 1 && sides.tables.len() == 1 => {
            Some(0)
        }
        Pairing::Hdu => sides.images.iter().position(|image| image.hdu == hdu),
        Pairing::Order if sides.image_hdus.len() != sides.table_hdus.len() => {
            return Pair::Apart(uneven(sides));
        }
        Pairing::Order => {
            let order = sides.table_hdus.iter().position(|of_table| *of_table == hdu);
            let theirs = order.and_then(|n| sides.image_hdus.get(n));
            sides.images.iter().position(|image| theirs == Some(&image.hdu))
        }
    };
    if let Some(image) = image {
        let named = !sides.alone && (are_named(sides.images) || are_named(sides.tables));
        let ground = if named { Ground::PlaceAlone } else { Ground::Place };
        return Pair::With { image, ground };
    }
    let message = format!(
        "{} has no detector for the table: the metadata were refused, or there is none",
        sides.image_name
    );
    Pair::Apart(Unpaired { code: RefusalCode::NO_DETECTOR, message, by_identity: false })
}

/// Returns the reason why the order of the tables is no reason for a pair.
fn uneven(sides: &Sides<'_>) -> Unpaired {
    let message = format!(
        "neither names nor numbers nor the order of the tables identify the detector: {} has {} images, the file {} catalogues",
        sides.image_name,
        sides.image_hdus.len(),
        sides.table_hdus.len()
    );
    Unpaired { code: RefusalCode::PAIRING_AMBIGUOUS, message, by_identity: false }
}

/// Returns true when keywords distinguish the HDUs of a file.
fn are_named(side: &[Identity]) -> bool {
    let key = |identity: &Identity| {
        (identity.name.clone(), identity.version.clone(), identity.others.clone())
    };
    side.iter().map(key).collect::<BTreeSet<_>>().len() > 1
}

/// Compares the place of a table with numbers that are in different keywords of the two files, or in names.
///
/// A number that is the same at the place confirms it. Numbers that the images have for all tables, and more than one, replace
/// the place. If all tables are numbered from another number than the images, the positions of their rows decide. Other numbers
/// that differ leave the table without an image.
fn by_number(
    sides: &Sides<'_>,
    schemes: &[Scheme],
    is_shifted: bool,
    place: Pair,
    table: usize,
) -> Pair {
    let stated = |scheme: &Scheme| scheme.opinions[table].iter().flatten().next().copied();
    let at_place = place.image();
    if schemes.is_empty() {
        return place;
    }
    if let Some(image) = at_place.filter(|image| schemes.iter().any(|s| stated(s) == Some(*image)))
    {
        return Pair::With { image, ground: Ground::Place };
    }
    let is_complete = |scheme: &&Scheme| {
        let known = |opinion: &Opinion| opinion.as_ref().is_some_and(|images| !images.is_empty());
        scheme.opinions.len() > 1 && scheme.opinions.iter().all(known)
    };
    let found: BTreeSet<usize> = schemes.iter().filter(is_complete).filter_map(stated).collect();
    let mut found = found.into_iter();
    if let (Some(image), None) = (found.next(), found.next()) {
        return Pair::With { image, ground: Ground::Identity };
    }
    let Some(image) = at_place else { return place };
    let scheme = &schemes[0];
    let by_number = scheme.opinions[table].clone().unwrap_or_default();
    let message = format!(
        "{}, and ext_num {} is at the place of the table",
        described(sides, scheme, &by_number, table),
        sides.images[image].ext_num()
    );
    let otherwise =
        Unpaired { code: RefusalCode::PAIRING_CONTRADICTORY, message, by_identity: true };
    if is_shifted { Pair::IfPlaced { image, otherwise } } else { Pair::Apart(otherwise) }
}

/// Returns true when the numbers of several tables are those of the images at their places and a constant, the same for
/// all: one file counts from 0 and the other from 1.
fn is_shifted(schemes: &[Scheme], places: &[Pair]) -> bool {
    let number = |key: &Option<String>| key.as_deref().and_then(|key| key.parse::<i64>().ok());
    let shift = |scheme: &Scheme, table: usize| {
        number(&scheme.tables[table])?.checked_sub(number(&scheme.images[places[table].image()?])?)
    };
    let is_constant = |scheme: &Scheme| {
        let first = shift(scheme, 0);
        first.is_some() && (1..places.len()).all(|table| shift(scheme, table) == first)
    };
    places.len() > 1 && schemes.iter().any(is_constant)
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

    fn hdus(side: &[Identity]) -> Vec<u16> {
        side.iter().map(|identity| identity.hdu).collect()
    }

    /// Returns the rules of a survey whose tables are in the HDUs of their images.
    fn same_hdu() -> CatalogueProfile {
        CatalogueProfile { pairing: Pairing::Hdu, ..CatalogueProfile::default() }
    }

    /// Returns for each table the HDU of its image, or the code.
    fn paired(images: Side<'_>, tables: Side<'_>, rules: &CatalogueProfile) -> Vec<String> {
        let (images, tables) = (identities(images, rules), identities(tables, rules));
        let alone = images.len() == 1 && tables.len() == 1;
        let (image_hdus, table_hdus) = (hdus(&images), hdus(&tables));
        let sides = Sides {
            image_name: "a.fit",
            images: &images,
            tables: &tables,
            image_hdus: &image_hdus,
            table_hdus: &table_hdus,
            alone,
        };
        let word = |pair: Pair| match pair {
            Pair::With { image, .. } => images[image].hdu.to_string(),
            Pair::IfPlaced { image, otherwise } => {
                assert_eq!(otherwise.code, "pairing_contradictory");
                format!("{} if placed", images[image].hdu)
            }
            Pair::Apart(reason) => {
                assert!(reason.message.contains("a.fit"), "{}", reason.message);
                reason.code.to_string()
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
        let by_place = CatalogueProfile { pair_by: Vec::new(), ..same_hdu() };
        assert_eq!(paired(images, &[(1, &two), (2, &three)], &by_place), ["1", "2"]);
    }

    #[test]
    fn uninformative_names_defer_to_the_position() {
        let rules = same_hdu();
        let (image, table) = (chip("COMPRESSED_IMAGE"), chip("APM-BINARYTABLE"));
        let images: Side<'_> = &[(1, &image), (2, &image)];
        assert_eq!(paired(images, &[(1, &table), (2, &table)], &rules), ["1", "2"]);
        assert_eq!(paired(images, &[(2, &table), (9, &table)], &rules), ["2", "no_detector"]);
        assert_eq!(paired(images, &[(1, &image), (2, &image)], &rules), ["1", "2"]);
        assert_eq!(paired(&[(0, &chip("WSAIMAGE"))], &[(1, &table)], &rules), ["0"]);
        assert_eq!(paired(&[(0, &[])], &[(1, &chip("CHIP2"))], &rules), ["0"]);
        let order = CatalogueProfile { pairing: Pairing::Order, ..rules };
        assert_eq!(paired(images, &[(4, &table), (7, &table)], &order), ["1", "2"]);
        assert_eq!(paired(images, &[(2, &table)], &order), ["pairing_ambiguous"]);
        let three: Side<'_> = &[(1, &table), (2, &table), (3, &table)];
        assert_eq!(paired(images, three, &order), ["pairing_ambiguous"; 3]);
    }

    #[test]
    fn refused_images_count_for_the_order() {
        let rules = CatalogueProfile::default();
        let images = identities(&[(2, &[]), (3, &[])], &rules);
        let tables = identities(&[(2, &[]), (4, &[]), (6, &[])], &rules);
        let sides = Sides {
            image_name: "a.fit",
            images: &images,
            tables: &tables,
            image_hdus: &[1, 2, 3],
            table_hdus: &[2, 4, 6],
            alone: false,
        };
        let pairs = pair(&sides, &rules);
        let with = |image| Pair::With { image, ground: Ground::Place };
        assert_eq!(pairs[1..], [with(0), with(1)]);
        assert!(matches!(&pairs[0], Pair::Apart(reason) if reason.code == "no_detector"));
    }

    #[test]
    fn names_joined_to_another_word_pair() {
        let rules = CatalogueProfile::default();
        let pairs = |images: [&'static str; 2], tables: [&'static str; 2]| {
            let (images, tables) = (images.map(chip), tables.map(chip));
            paired(&[(1, &images[0]), (2, &images[1])], &[(1, &tables[0]), (2, &tables[1])], &rules)
        };
        assert_eq!(pairs(["ALPHA", "BETA"], ["BETACAT", "ALPHACAT"]), ["2", "1"]);
        assert_eq!(pairs(["ALPHA", "BETA"], ["CATBETA", "CATALPHA"]), ["2", "1"]);
        assert_eq!(pairs(["NE", "NW"], ["NWCAT", "NECAT"]), ["2", "1"]);
        assert_eq!(pairs(["ALPHACCD", "BETACCD"], ["BETA", "ALPHA"]), ["2", "1"]);
        assert_eq!(pairs(["A", "B"], ["BCAT", "ACAT"]), ["2", "1"]);
        // The name that is part of the other one does not count.
        assert_eq!(pairs(["CCD", "CCDB"], ["CCDBCAT", "CCDCAT"]), ["2", "1"]);
        // Coincidences of single letters, and of letters within a word.
        assert_eq!(pairs(["A", "B"], ["BRIGHT", "ALL"]), ["1", "2"]);
        assert_eq!(pairs(["NE", "NW"], ["POINTS", "LINES"]), ["1", "2"]);
        let both = ["pairing_ambiguous", "pairing_ambiguous"];
        assert_eq!(pairs(["ALPHA", "BETA"], ["ALPHABETA", "BETAALPHA"]), both);
        // The number continues: the name is another one.
        assert_eq!(pairs(["CCD1", "CCD2"], ["CCD21CAT", "CCD11CAT"]), ["no_detector"; 2]);
        // A number of the camera contradicts the name.
        let camera =
            |number: &'static str, name: &'static str| [("CAMNUM", number), ("EXTNAME", name)];
        let images: Side<'_> = &[(1, &camera("1", "ALPHA")), (2, &camera("2", "BETA"))];
        let crossed = camera("1", "BETACAT");
        assert_eq!(paired(images, &[(1, &crossed)], &rules), ["pairing_contradictory"]);
    }

    #[test]
    fn names_that_contain_the_detectors_name_pair() {
        let rules = CatalogueProfile::default();
        let images: Side<'_> = &[(1, &chip("CCD1")), (2, &chip("CCD2")), (3, &chip("CCD12"))];
        let tables: Side<'_> = &[(1, &chip("CCD2_CAT")), (2, &chip("CCD12_CAT"))];
        assert_eq!(paired(images, tables, &rules), ["2", "3"]);
        assert_eq!(paired(&images[..1], &tables[..1], &rules), ["no_detector"]);
        let tables: Side<'_> = &[(1, &chip("CAT.CCD12")), (2, &chip("CAT.CCD4"))];
        assert_eq!(paired(images, tables, &rules), ["3", "no_detector"]);
        let both: Side<'_> = &[(1, &chip("CCD1+CCD2"))];
        assert_eq!(paired(images, both, &rules), ["pairing_ambiguous"]);
        let twice: Side<'_> = &[(1, &chip("CCD2_CAT")), (2, &chip("CCD2_OLD"))];
        assert_eq!(paired(images, twice, &rules), ["pairing_ambiguous"; 2]);
        // The name of the detector is in a keyword that the other file does not have.
        let detector = |name: &'static str| [("DETECTOR", name), ("EXTNAME", "LDAC_OBJECTS")];
        let tables: Side<'_> = &[(1, &detector("CCD2")), (2, &detector("CCD12"))];
        assert_eq!(paired(images, tables, &rules), ["2", "3"]);
        let images: Side<'_> = &[(1, &detector("CCD1")), (2, &detector("CCD2"))];
        assert_eq!(paired(images, &[(1, &chip("CCD2_CAT"))], &rules), ["2"]);
        let camera: Side<'_> = &[(1, &detector("Hawaii 2")), (2, &detector("Hawaii 2"))];
        assert_eq!(paired(camera, &[(2, &detector("VIRGO"))], &same_hdu()), ["2"]);
        // A number of the camera contradicts the name.
        let camera =
            |number: &'static str, name: &'static str| [("CAMNUM", number), ("EXTNAME", name)];
        let images: Side<'_> = &[(1, &camera("1", "CCD1")), (2, &camera("2", "CCD2"))];
        let crossed = camera("1", "CCD2_CAT");
        assert_eq!(paired(images, &[(1, &crossed)], &rules), ["pairing_contradictory"]);
    }

    #[test]
    fn numbers_in_names_pair_or_contradict() {
        let rules = same_hdu();
        let images: Side<'_> = &[(1, &chip("CCD1")), (2, &chip("CCD2")), (3, &chip("CCD3"))];
        let cats = [chip("CAT0"), chip("CAT1"), chip("CAT2"), chip("CAT3"), chip("CAT4")];
        let tables: Side<'_> = &[(1, &cats[2]), (2, &cats[3])];
        assert_eq!(paired(images, tables, &rules), ["2", "3"]);
        let order = CatalogueProfile { pairing: Pairing::Order, ..rules.clone() };
        assert_eq!(paired(images, tables, &order), ["2", "3"]);
        // Counted from 0, or the first is missing and one too many: the positions decide.
        let placed = ["1 if placed", "2 if placed", "3 if placed"];
        let tables: Side<'_> = &[(1, &cats[0]), (2, &cats[1]), (3, &cats[2])];
        assert_eq!(paired(images, tables, &rules), placed);
        assert_eq!(paired(images, tables, &order), placed);
        let tables: Side<'_> = &[(1, &cats[2]), (2, &cats[3]), (3, &cats[4])];
        assert_eq!(paired(images, tables, &rules), placed);
        // The numbers do not differ by a constant.
        let tables: Side<'_> = &[(1, &cats[0]), (2, &cats[3]), (3, &cats[1])];
        assert_eq!(paired(images, tables, &rules), ["pairing_contradictory"; 3]);
        let tables: Side<'_> = &[(1, &cats[1]), (2, &cats[2]), (3, &cats[3]), (4, &cats[4])];
        assert_eq!(paired(images, tables, &rules), ["1", "2", "3", "no_detector"]);
        assert_eq!(paired(images, &[(1, &cats[3])], &rules), ["pairing_contradictory"]);
        assert_eq!(paired(images, &[(3, &cats[3])], &rules), ["3"]);
        let number = |number: &'static str| [("CCDNUM", number)];
        let tables: Side<'_> = &[(1, &number("2")), (2, &number("3"))];
        assert_eq!(paired(images, tables, &rules), ["2", "3"]);
        let version = |number: &'static str| [("EXTNAME", "SCI"), ("EXTVER", number)];
        let images: Side<'_> = &[(1, &version("1")), (2, &version("2")), (3, &version("3"))];
        assert_eq!(paired(images, tables, &rules), ["2", "3"]);
    }

    #[test]
    fn a_lone_number_of_a_camera_does_not_number_a_detector() {
        let rules = same_hdu();
        let images: Side<'_> = &[(1, &chip("CCD1")), (2, &chip("CCD2")), (3, &chip("CCD3"))];
        let camera = [("DETECTOR", "Hawaii 2"), ("EXTNAME", "CASU-CAT")];
        for hdu in [1, 2, 3] {
            assert_eq!(paired(images, &[(hdu, &camera)], &rules), [hdu.to_string()]);
        }
        let all = |name| [("DETECTOR", "Hawaii 2"), ("EXTNAME", name)];
        let images: Side<'_> = &[(1, &all("CCD1")), (2, &all("CCD2")), (3, &all("CCD3"))];
        assert_eq!(paired(images, &[(3, &camera)], &rules), ["3"]);
        // A name that varies among the images is the detector's.
        let named = |name| [("DETECTOR", name)];
        let images: Side<'_> = &[(1, &named("Hawaii 1")), (2, &named("Hawaii 2"))];
        assert_eq!(paired(images, &[(1, &camera)], &rules), ["2"]);
        // A number in a keyword for numbers, or in the name of the HDU, is the table's own.
        let images: Side<'_> = &[(1, &chip("CCD1")), (2, &chip("CCD2"))];
        assert_eq!(paired(images, &[(1, &[("CCDNUM", "2")])], &rules), ["pairing_contradictory"]);
    }

    #[test]
    fn a_place_that_nothing_confirms() {
        let rules = CatalogueProfile::default();
        let ground = |images: Side<'_>, tables: Side<'_>| {
            let (images, tables) = (identities(images, &rules), identities(tables, &rules));
            let alone = images.len() == 1 && tables.len() == 1;
            let (image_hdus, table_hdus) = (hdus(&images), hdus(&tables));
            let sides = Sides {
                image_name: "a.fit",
                images: &images,
                tables: &tables,
                image_hdus: &image_hdus,
                table_hdus: &table_hdus,
                alone,
            };
            match pair(&sides, &rules)[0] {
                Pair::With { ground, .. } => Some(ground),
                Pair::IfPlaced { .. } | Pair::Apart(_) => None,
            }
        };
        let (one, two) = (chip("CCD1"), chip("CCD2"));
        let named: Side<'_> = &[(1, &one), (2, &two)];
        let unnamed: Side<'_> = &[(1, &[]), (2, &[])];
        let other: Side<'_> = &[(1, &chip("NORTH")), (2, &chip("SOUTH"))];
        assert_eq!(ground(named, unnamed), Some(Ground::PlaceAlone));
        assert_eq!(ground(unnamed, named), Some(Ground::PlaceAlone));
        assert_eq!(ground(named, other), Some(Ground::PlaceAlone));
        assert_eq!(ground(unnamed, unnamed), Some(Ground::Place));
        assert_eq!(ground(named, &[(1, &chip("CAT1")), (2, &chip("CAT2"))]), Some(Ground::Place));
        assert_eq!(ground(&named[..1], &unnamed[..1]), Some(Ground::Place));
        assert_eq!(ground(named, named), Some(Ground::Identity));
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
        // Two keywords name different detectors.
        let images: Side<'_> = &[(1, &camera("1", "CHIP1")), (2, &camera("2", "CHIP2"))];
        let crossed = camera("1", "CHIP2");
        assert_eq!(paired(images, &[(1, &crossed)], &rules), ["pairing_contradictory"]);
        let (right, unknown) = (camera("1", "CHIP1"), camera("9", "CHIP2"));
        assert_eq!(
            paired(images, &[(2, &right), (3, &unknown)], &rules),
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
