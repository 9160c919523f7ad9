//! The table of a catalogue that belongs to a detector: by the names of both HDUs, else by their place.
//!
//! Takes the identities of the image HDUs and of the tables, returns for each table its image or the reason why it has none.
//! Equal names and detector numbers (`[catalogue] pair_by` of the profile) count first, then names that contain the detector's
//! name ([`related`]). The place in the file counts for all other tables: their order, in files with as many catalogues as
//! detectors, or the HDU or a keyword if the profile sets this. Numbers in names, or in different keywords, confirm or replace
//! the place. If all of them are the images' numbers plus a constant, one file counts from another number, and the positions of
//! the rows decide ([`Pair::IfPlaced`]). Nothing is guessed: a table that could belong to several images, or to different ones by
//! different keywords, belongs to none.
//!
//! Start at [`pair`]. Metadata and catalogues both use it, so that zero points and rows are of the same detector.

mod related;
#[cfg(test)]
mod tests;

use crate::header_view::HeaderView;
use crate::ldac::CellHeaders;
use fits::Hdu;
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
    /// Value of the keyword of [`Pairing::Keyword`].
    key: Option<String>,
}

impl Identity {
    /// Reads the identity of an HDU; `own` returns the value of a keyword of its own header.
    pub(crate) fn of(
        hdu: u16,
        rules: &CatalogueProfile,
        own: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let pair_by = rules.pair_by.as_slice();
        let value =
            |keyword: &str| own(keyword).map(|text| normal(&text)).filter(|t| !t.is_empty());
        let by_name = pair_by.iter().any(|keyword| keyword == NAME);
        Self {
            hdu,
            name: value(NAME).filter(|_| by_name),
            version: value(VERSION).filter(|_| by_name),
            others: other_keywords(pair_by).map(value).collect(),
            key: rules.pairing_keyword().and_then(value),
        }
    }

    /// Reads the identity of a catalogue HDU. The names and numbers in a header before it (FITS_LDAC) are the image's own and
    /// count first: the name of the table says nothing then.
    pub(crate) fn of_table(hdu: &Hdu, rules: &CatalogueProfile, cells: &CellHeaders) -> Self {
        let own = HeaderView::new(hdu);
        let Some(cell) = cells.before(hdu.index.0).filter(|_| rules.pairing == Pairing::Ldac)
        else {
            return Self::of(hdu.index.0, rules, |keyword| own.own_written(keyword));
        };
        let cell = HeaderView::of_header(cell);
        Self::of(hdu.index.0, rules, |keyword| {
            let is_name = [NAME, VERSION].contains(&keyword);
            cell.own_written(keyword).or_else(|| own.own_written(keyword).filter(|_| !is_name))
        })
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
    /// HDUs of the other file that hold a catalogue or may hold one, usable or not, ascending; not used by
    /// [`Pairing::Hdu`].
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
    let is_by_keyword = rules.pairing_keyword().is_some();
    let numbers = if sides.alone || is_by_keyword {
        Vec::new()
    } else {
        related::numbers(sides, &rules.pair_by)
    };
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
    let image = match &rules.pairing {
        Pairing::Keyword(keyword) => return by_keyword(sides, keyword, table),
        Pairing::Hdu if sides.alone && sides.images.len() == 1 && sides.tables.len() == 1 => {
            Some(0)
        }
        Pairing::Hdu => sides.images.iter().position(|image| image.hdu == hdu),
        Pairing::Order | Pairing::Ldac if sides.image_hdus.len() != sides.table_hdus.len() => {
            return Pair::Apart(uneven(sides));
        }
        Pairing::Order | Pairing::Ldac => {
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

/// Returns the image that has the value of a keyword in the header of a table.
fn by_keyword(sides: &Sides<'_>, keyword: &str, table: usize) -> Pair {
    let apart = |code, message| {
        Pair::Apart(Unpaired { code, message, by_identity: code != RefusalCode::NO_DETECTOR })
    };
    let file = sides.image_name;
    let is_lone = sides.alone && sides.images.len() == 1 && sides.tables.len() == 1;
    let Some(key) = &sides.tables[table].key else {
        let message = format!(
            "the header of the table has no {keyword}, which identifies the detector of {file} by catalogue.pairing of the profile"
        );
        return match is_lone {
            true => Pair::With { image: 0, ground: Ground::Place },
            false => apart(RefusalCode::PAIRING_AMBIGUOUS, message),
        };
    };
    let with_key = |n: &usize| sides.images[*n].key.as_ref() == Some(key);
    let found: Vec<usize> = (0..sides.images.len()).filter(with_key).collect();
    match found.as_slice() {
        [image] => Pair::With { image: *image, ground: Ground::Identity },
        [] if is_lone && sides.images[0].key.is_none() => {
            Pair::With { image: 0, ground: Ground::Place }
        }
        [] => {
            let message = format!("{keyword} {} is that of no usable image of {file}", brief(key));
            apart(RefusalCode::NO_DETECTOR, message)
        }
        several => {
            let message =
                format!("{keyword} {} is that of {} images of {file}", brief(key), several.len());
            apart(RefusalCode::PAIRING_AMBIGUOUS, message)
        }
    }
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
