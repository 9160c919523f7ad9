//! Names that are not equal and still name one detector: the table `CCD2_CAT` and the image `CCD2`.
//!
//! A name contains another one when it appears in it whole: `CCD1` is in `CCD1_CAT` and not in `CCD12_CAT`. If no name appears
//! whole, one that is joined to other letters counts: `NORTH` in `NORTHCAT` ([`joined`]). Numbers in names, or in other
//! keywords than those of the other file, are compared in [`numbers`].

use super::{Identity, NAME, Opinion, Scheme, Sides, VERSION, are_distinct, kind_of};
use std::collections::{BTreeMap, BTreeSet};

/// Returns the scheme of names that contain each other, whichever keywords they are in.
pub(super) fn contained(sides: &Sides<'_>) -> Scheme {
    let (names, tables) = (own_names(sides.images), own_names(sides.tables));
    let kinds: BTreeSet<String> = names.iter().flatten().map(|name| kind_of(name)).collect();
    let is_numbered = |kind: &&String| kind.contains('#') && is_name(kind);
    let kinds: Vec<&String> = kinds.iter().filter(is_numbered).collect();
    // The name of an absent detector: `CCD4_CAT` where the images are `CCD1` to `CCD3`.
    let of_their_kind = |table: &[&str]| {
        table.iter().any(|text| kinds.iter().any(|kind| holds(&kind_of(text), kind)))
    };
    let opinion = |table: &Vec<&str>| -> Opinion {
        let either = |text: &str, name: &str| holds(text, name) || holds(name, text);
        let mut found = related(&names, table, either, holds);
        if found.is_empty() {
            found = joined(&names, &tables, table);
        }
        (!found.is_empty() || of_their_kind(table)).then_some(found)
    };
    let text = |side: &[Vec<&str>]| {
        side.iter().map(|names| names.first().map(|name| (*name).to_owned())).collect()
    };
    Scheme {
        keyword: "name".to_owned(),
        opinions: tables.iter().map(opinion).collect(),
        images: text(&names),
        tables: text(&tables),
    }
}

/// Returns the names of each HDU that no other HDU of the file has.
fn own_names(side: &[Identity]) -> Vec<Vec<&str>> {
    let mut bearers: BTreeMap<&str, usize> = BTreeMap::new();
    for identity in side {
        let names: BTreeSet<&str> = identity.texts().filter(|text| is_name(text)).collect();
        names.into_iter().for_each(|name| *bearers.entry(name).or_default() += 1);
    }
    let own = |name: &&str| bearers.get(name) == Some(&1);
    side.iter().map(|identity| identity.texts().filter(own).collect()).collect()
}

/// Returns the images whose names are joined to other letters in a name of a table. Where there is none, returns the one
/// image whose name has that of the table joined to other letters.
fn joined(images: &[Vec<&str>], tables: &[Vec<&str>], table: &[&str]) -> BTreeSet<usize> {
    let forward = |text: &str, name: &str| match name.chars().count() {
        1 => is_affixed(images, tables, text, name),
        _ => is_joined(text, name),
    };
    let found = related(images, table, forward, forward);
    if !found.is_empty() {
        return found;
    }
    let backward = |text: &str, name: &str| text.chars().count() > 1 && is_joined(name, text);
    let found = related(images, table, backward, |_, _| false);
    if found.len() == 1 { found } else { BTreeSet::new() }
}

/// Returns true when a text is a name with letters before or after it that all tables have before or after a name:
/// `ACAT` and `BCAT` name the detectors A and B. `ALL` and `BRIGHT` do not.
fn is_affixed(images: &[Vec<&str>], tables: &[Vec<&str>], text: &str, name: &str) -> bool {
    let names = || images.iter().flatten();
    let all_have = |is_alike: &dyn Fn(&str) -> bool| {
        tables.len() > 1 && tables.iter().all(|texts| texts.iter().any(|text| is_alike(text)))
    };
    let after = text.strip_prefix(name).is_some_and(|after| {
        all_have(&|other| names().any(|name| other.strip_prefix(name) == Some(after)))
    });
    let before = text.strip_suffix(name).is_some_and(|before| {
        all_have(&|other| names().any(|name| other.strip_suffix(name) == Some(before)))
    });
    after || before
}

/// Returns true when a text contains a name, joined to other letters on one side, or on both for three letters or more. No
/// number continues at the beginning or end of the name.
fn is_joined(text: &str, name: &str) -> bool {
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let letter = |c: Option<char>| c.is_some_and(char::is_alphabetic);
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        let (first, last) = (name.chars().next(), name.chars().next_back());
        let goes_on = digit(before) && digit(first) || digit(last) && digit(after);
        !goes_on && (name.chars().count() > 2 || !letter(before) || !letter(after))
    })
}

/// Returns the images whose names resemble the name of a table. Of names that contain each other (`CCD1` and `CCD1_B`
/// in `CCD1_B_CAT`) the longest counts.
fn related(
    images: &[Vec<&str>],
    table: &[&str],
    is_alike: impl Fn(&str, &str) -> bool,
    contains: impl Fn(&str, &str) -> bool,
) -> BTreeSet<usize> {
    let mut found: Vec<(usize, &str)> = Vec::new();
    for (image, names) in images.iter().enumerate() {
        for name in names {
            if table.iter().any(|text| is_alike(text, name)) {
                found.push((image, name));
            }
        }
    }
    let is_part = |name: &str| {
        found.iter().any(|(_, other)| {
            other.len() > name.len()
                && contains(other, name)
                && table.iter().any(|text| contains(text, other))
        })
    };
    found.iter().filter(|(_, name)| !is_part(name)).map(|(image, _)| *image).collect()
}

/// Returns true for a text with a letter: numbers alone are compared as numbers.
fn is_name(text: &str) -> bool {
    text.chars().any(char::is_alphabetic)
}

/// Returns true when a text contains a name whole: neither a number nor a word continues at its beginning or end.
fn holds(text: &str, name: &str) -> bool {
    let alike = |a: Option<char>, b: Option<char>| {
        let digit = |c: char| c.is_ascii_digit() || c == '#';
        a.zip(b)
            .is_some_and(|(a, b)| digit(a) && digit(b) || a.is_alphabetic() && b.is_alphabetic())
    };
    text.match_indices(name).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        !alike(before.chars().next_back(), name.chars().next())
            && !alike(name.chars().next_back(), after.chars().next())
    })
}

/// A numbering of the HDUs of a file.
struct Numbering {
    keyword: String,
    numbers: Vec<i64>,
}

/// Returns a scheme for every numbering of the images and of the tables that have numbers in common. They are weaker than equal
/// keywords: one file may count from 0, or omit absent HDUs.
pub(super) fn numbers(sides: &Sides<'_>, pair_by: &[String]) -> Vec<Scheme> {
    let (images, tables) = (numberings(sides.images, pair_by), numberings(sides.tables, pair_by));
    let mut schemes = Vec::new();
    for of_images in &images {
        for of_tables in &tables {
            let opinion = |number: &i64| -> Opinion {
                Some((0..sides.images.len()).filter(|n| of_images.numbers[*n] == *number).collect())
            };
            let text = |numbers: &[i64]| numbers.iter().map(|n| Some(n.to_string())).collect();
            schemes.push(Scheme {
                keyword: format!("the number in {}", of_tables.keyword),
                opinions: of_tables.numbers.iter().map(opinion).collect(),
                images: text(&of_images.numbers),
                tables: text(&of_tables.numbers),
            });
        }
    }
    schemes
}

/// Returns the numberings of a file: whole numbers in a keyword or in the names, different in all HDUs. EXTVER counts if there
/// is no other. A keyword that may name the camera (DETECTOR = 'Hawaii 2') counts where several HDUs differ in it.
fn numberings(side: &[Identity], pair_by: &[String]) -> Vec<Numbering> {
    let numbering = |keyword: &str, key: &dyn Fn(&Identity) -> Option<String>| {
        let texts: Vec<Option<String>> = side.iter().map(key).collect();
        Some(Numbering { keyword: keyword.to_owned(), numbers: numbers_in(&texts)? })
    };
    let by_name = numbering(NAME, &|i: &Identity| i.name.clone());
    let others = super::other_keywords(pair_by).enumerate();
    let may_name_camera = |keyword: &str| super::TEXT_KEYWORDS.contains(&keyword);
    let others = others.filter(|(_, keyword)| side.len() > 1 || !may_name_camera(keyword));
    let by_others = others.filter_map(|(n, keyword)| {
        numbering(keyword, &|i: &Identity| i.others.get(n).cloned().flatten())
    });
    let mut found: Vec<Numbering> = by_name.into_iter().chain(by_others).collect();
    if found.is_empty() && side.len() > 1 {
        found.extend(numbering(VERSION, &|i: &Identity| i.version.clone()));
    }
    found
}

/// Returns the one number that is different in every text; `None` if there is not exactly one, or a text is missing or of
/// another kind.
fn numbers_in(texts: &[Option<String>]) -> Option<Vec<i64>> {
    let texts: Vec<&str> = texts.iter().map(Option::as_deref).collect::<Option<_>>()?;
    let kind = kind_of(texts.first()?);
    if texts.iter().any(|text| kind_of(text) != kind) {
        return None;
    }
    let rows: Vec<Vec<i64>> = texts.iter().map(|text| digits_in(text)).collect::<Option<_>>()?;
    let column = |n: usize| rows.iter().map(|row| row[n]).collect::<Vec<i64>>();
    let varies = |numbers: &Vec<i64>| rows.len() == 1 || numbers.iter().any(|n| *n != numbers[0]);
    let mut varying = (0..rows[0].len()).map(column).filter(varies);
    let (only, None) = (varying.next()?, varying.next()) else { return None };
    let keys: Vec<Option<String>> = only.iter().map(|n| Some(n.to_string())).collect();
    are_distinct(&keys).then_some(only)
}

/// Returns the numbers in a text, in their order; `None` when one is too large.
fn digits_in(text: &str) -> Option<Vec<i64>> {
    let parts = text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    parts.map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_appear_whole() {
        let cases = [
            ("CCD2_CAT", "CCD2", true),
            ("CAT-CCD2", "CCD2", true),
            ("CCD2CAT", "CCD2", true),
            ("CCD12_CAT", "CCD1", false),
            ("CCD12_CAT", "CCD2", false),
            ("CCD1_CCD12", "CCD12", true),
            ("ACCD2_CAT", "CCD2", false),
            ("DET1.CHIP2.CAT", "DET1.CHIP2", true),
            ("DET1.CHIP21", "DET1.CHIP2", false),
            ("CAT", "CCD2", false),
        ];
        for (text, name, wanted) in cases {
            assert_eq!(holds(text, name), wanted, "{name} in {text}");
        }
    }

    #[test]
    fn the_number_that_differs() {
        let numbers = |texts: &[&str]| {
            numbers_in(&texts.iter().map(|text| Some((*text).to_owned())).collect::<Vec<_>>())
        };
        assert_eq!(numbers(&["CAT02", "CAT03"]), Some(vec![2, 3]));
        assert_eq!(numbers(&["DET1.CHIP2", "DET1.CHIP13"]), Some(vec![2, 13]));
        assert_eq!(numbers(&["CAT2"]), Some(vec![2]));
        assert_eq!(numbers(&["V2_CAT2"]), None);
        assert_eq!(numbers(&["A1_1", "A2_2"]), None);
        assert_eq!(numbers(&["CAT2", "CAT2"]), None);
        assert_eq!(numbers(&["CAT2", "OBJ3"]), None);
        assert_eq!(numbers(&["CAT", "CAT"]), None);
        assert_eq!(numbers(&["CAT99999999999999999999"]), None);
    }
}
