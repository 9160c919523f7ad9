//! `docs/profile-keys.md` is generated from the types of a survey profile: keys, types and meaning from the source, defaults from
//! the program, examples from the shipped profiles. `ALMAGEST_WRITE_DOCS=1 cargo test --test profile_keys` writes it.

use model::profile::{SurveyProfile, optional, shipped};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use testkit::source_items::{Definitions, Item, definitions, inner, kind_in_words, meaning};

const HEAD: &str = "\
# Keys of a survey profile

Every key of `surveys/NAME.toml`, generated from the program. [Survey profiles](profiles.md) tells how to write one. Unknown keys and
impossible values are refused, all at once, with line and key. A key without a default and without \"required\" is not set. Examples are taken
from the profiles that are part of the program.
";

/// A profile with one entry in each list, and of each entry the required keys alone.
const MIN_PROFILE: &str = include_str!("least_profile.toml");

/// Keys of the least profile of which another one will do.
const EITHER: [&str; 2] = ["companion.suffix", "hdu.extname"];

/// A value as `Debug` writes it.
#[derive(Clone, Debug, PartialEq)]
enum Shown {
    /// A struct or a map, its entries in their order.
    Named(Vec<(String, Shown)>),
    /// A list, or the content of a tuple.
    List(Vec<Shown>),
    /// `None`.
    Nothing,
    /// Anything else, as it is written.
    Plain(String),
}

impl Shown {
    fn of(text: &str) -> Self {
        let mut rest = text;
        let shown = Self::next(&mut rest);
        assert!(rest.is_empty(), "{rest:?} follows");
        shown
    }

    fn next(rest: &mut &str) -> Self {
        if rest.starts_with('"') {
            let mut escaped = false;
            let end = rest[1..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            return Self::Plain(take(rest, end.expect("the end of a text") + 2).to_owned());
        }
        let end = rest.find([' ', ',', '(', ')', '[', ']', '{', '}', ':']).unwrap_or(rest.len());
        let name = take(rest, end);
        let opening = rest.trim_start();
        match opening.chars().next() {
            Some('{') if rest.len() - opening.len() < 2 => Self::entries(rest),
            Some('(' | '[') if opening.len() == rest.len() => {
                let items = Self::items(rest);
                let is_list = name.is_empty();
                match <[Self; 1]>::try_from(items) {
                    Ok([only]) if !is_list => only,
                    Ok([only]) => Self::List(vec![only]),
                    Err(items) => Self::List(items),
                }
            }
            _ if name == "None" => Self::Nothing,
            _ => Self::Plain(name.to_owned()),
        }
    }

    fn items(rest: &mut &str) -> Vec<Self> {
        let mut items = Vec::new();
        take(rest, 1);
        while !rest.starts_with([')', ']']) {
            items.push(Self::next(rest));
            skip(rest, ", ");
        }
        take(rest, 1);
        items
    }

    fn entries(rest: &mut &str) -> Self {
        let mut entries = Vec::new();
        skip(rest, " ");
        take(rest, 1);
        skip(rest, " ");
        while !rest.starts_with('}') {
            let Self::Plain(key) = Self::next(rest) else { panic!("no key before {rest:?}") };
            assert!(skip(rest, ": "), "no value before {rest:?}");
            entries.push((key.trim_matches('"').to_owned(), Self::next(rest)));
            skip(rest, ", ");
            skip(rest, " ");
        }
        take(rest, 1);
        Self::Named(entries)
    }

    /// Returns an entry of a struct or a map; the first entry of a list.
    fn entry(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Named(entries) => entries.iter().find(|(key, _)| key == name).map(|(_, v)| v),
            Self::List(items) => items.first()?.entry(name),
            _ => None,
        }
    }

    /// Returns the value as TOML; `None` when it is not set or empty.
    fn toml(&self, choice: &dyn Fn(&str) -> Option<String>) -> Option<String> {
        match self {
            Self::Nothing => None,
            // The text of a pattern, in the form in which it was written.
            Self::Named(_) if self.entry("written").or(self.entry("text")).is_some() => {
                self.entry("written").or(self.entry("text"))?.toml(choice)
            }
            Self::Named(entries) if entries.is_empty() => None,
            Self::Named(entries) => {
                let shown = entries
                    .iter()
                    .filter_map(|(key, value)| Some(format!("{key} = {}", value.toml(choice)?)));
                Some(format!("{{ {} }}", shown.collect::<Vec<_>>().join(", ")))
            }
            Self::List(items) if items.is_empty() => None,
            Self::List(items) => {
                let shown = items.iter().filter_map(|item| item.toml(choice));
                Some(format!("[{}]", shown.collect::<Vec<_>>().join(", ")))
            }
            Self::Plain(text) if text == "\"\"" => None,
            Self::Plain(text) => Some(choice(text).unwrap_or_else(|| text.clone())),
        }
    }
}

/// Takes the first bytes of a text.
fn take<'t>(rest: &mut &'t str, bytes: usize) -> &'t str {
    let (taken, left) = rest.split_at(bytes);
    *rest = left;
    taken
}

/// Skips a text at the beginning; returns true when it was there.
fn skip(rest: &mut &str, text: &str) -> bool {
    let left = rest.strip_prefix(text);
    *rest = left.unwrap_or(rest);
    left.is_some()
}

/// Types that are written as one value.
fn leaf(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "i16" | "u8" | "u16" | "u32" | "u64" | "i64" | "usize" | "SurveyId" | "ProgrammeId" => {
            "whole number"
        }
        "f32" | "f64" => "number",
        "bool" => "true or false",
        "String" | "SurveyName" | "ProgrammeName" => "text",
        "Epoch" => "date",
        "Addend" => "number",
        "MagAdd" => "number or keyword",
        "Pairing" => "`\"hdu\"`, `\"order\"`, `\"ldac\"`, `{ keyword = text }`",
        "Glob" => "text with `*` and `?`",
        "NamePattern" => "name with fields",
        "BTreeMap<String, Glob>" => "table of KEYWORD = text with `*` and `?`",
        "BTreeMap<String, Vec<Glob>>" => "table of KEYWORD = list of text with `*` and `?`",
        "BTreeMap<String, String>" => "table of text = text",
        "BTreeMap<String, DayUnit>" => "table of KEYWORD = `\"hours\"`, `\"seconds\"`, `\"days\"`",
        _ => return None,
    })
}

/// A section of the reference.
struct Section {
    /// As it stands in a profile: `[naming]`, `[[filter]]`.
    heading: String,
    /// Keys of the sections that it is in, then its own.
    path: Vec<String>,
    doc: String,
    keys: Vec<Item>,
}

/// Returns the section of a type and those in it.
fn sections(kind: &str, path: &[String], marks: (&str, &str), all: &Definitions) -> Vec<Section> {
    let definition = all.get(kind).unwrap_or_else(|| panic!("no definition of {kind}"));
    let heading = format!("{}{}{}", marks.0, path.join("."), marks.1);
    let (mut keys, mut below) = (Vec::new(), Vec::new());
    for item in &definition.items {
        let kind = inner(&item.kind, "Option").unwrap_or(&item.kind);
        let here = |ends: &[&str]| {
            [
                path,
                &[item.key().to_owned()],
                &ends.iter().map(|e| (*e).to_owned()).collect::<Vec<_>>(),
            ]
            .concat()
        };
        let is_table =
            |kind: &str| leaf(kind).is_none() && all.get(kind).is_some_and(|of| !of.is_choice());
        let of_map = inner(kind, "BTreeMap").and_then(|kinds| Some(kinds.split_once(", ")?.1));
        let of_maps = of_map.and_then(|kind| inner(kind, "BTreeMap"));
        let of_maps = of_maps.and_then(|kinds| Some(kinds.split_once(", ")?.1));
        let documented = |sections: Vec<Section>| {
            let mut sections = sections;
            if !sections[0].doc.starts_with(&item.doc) {
                sections[0].doc = format!("{} {}", item.doc, sections[0].doc).trim().to_owned();
            }
            sections
        };
        if is_table(kind) {
            below.extend(documented(sections(kind, &here(&[]), ("[", "]"), all)));
        } else if let Some(of) = inner(kind, "Vec").filter(|of| is_table(of)) {
            below.extend(documented(sections(of, &here(&[]), ("[[", "]]"), all)));
        } else if let Some(of) = of_maps.filter(|of| is_table(of)) {
            below.extend(documented(sections(of, &here(&["TABLE", "COLUMN"]), ("[", "]"), all)));
        } else if let Some(of) = of_map.and_then(|of| inner(of, "Vec")).filter(|of| is_table(of)) {
            below.extend(documented(sections(of, &here(&["COLUMN"]), ("[", "]"), all)));
        } else if let Some(of) = of_map.filter(|of| is_table(of)) {
            below.extend(documented(sections(of, &here(&["NAME"]), ("[", "]"), all)));
        } else {
            keys.push(item.clone());
        }
    }
    let own = Section { heading, path: path.to_vec(), doc: definition.doc.clone(), keys };
    std::iter::once(own).chain(below).collect()
}

/// Returns the first value at a path in a document: of a list, in any of its entries.
fn example(value: &toml::Value, path: &[String]) -> Option<String> {
    let Some((first, rest)) = path.split_first() else {
        return match value {
            toml::Value::Array(items) if items.iter().any(toml::Value::is_table) => None,
            _ => Some(value.to_string()),
        };
    };
    match value {
        toml::Value::Table(table)
            if first == &first.to_uppercase() && !table.contains_key(first) =>
        {
            table.values().find_map(|value| example(value, rest))
        }
        toml::Value::Table(table) => example(table.get(first)?, rest),
        toml::Value::Array(items) => items.iter().find_map(|item| example(item, path)),
        _ => None,
    }
}

/// Returns the value of a key in the least profile; fields have their names in the source.
fn default_of<'s>(
    least: &'s Shown,
    path: &[String],
    names: &BTreeMap<String, String>,
) -> Option<&'s Shown> {
    path.iter().try_fold(least, |shown, key| {
        let name = names.get(key).unwrap_or(key);
        match shown {
            Shown::Named(entries) if key == &key.to_uppercase() => entries.first().map(|(_, v)| v),
            _ => shown.entry(name).or_else(|| shown.entry(key)),
        }
    })
}

fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}

#[test]
fn every_key_of_a_profile_is_documented() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/profile");
    let all = definitions(&source);
    let names: BTreeMap<String, String> = all
        .values()
        .flat_map(|of| &of.items)
        .filter_map(|item| Some((item.renamed.clone()?, item.name.clone())))
        .collect();
    let least = SurveyProfile::parse(MIN_PROFILE).unwrap_or_else(|faults| panic!("{faults}"));
    let least = Shown::of(&format!("{least:?}"));
    let written: toml::Value = toml::from_str(MIN_PROFILE).expect("the least profile");
    let shipped: Vec<toml::Value> = shipped()
        .iter()
        .chain(optional())
        .map(|(_, text)| toml::from_str(text).expect("a profile"))
        .collect();
    let choice = |variant: &str| {
        let of = all.values().filter(|d| d.is_choice());
        let mut of = of.filter(|d| d.items.iter().any(|item| item.name == variant));
        Some(format!("\"{}\"", of.next()?.spelling(variant)))
    };
    let mut text = HEAD.to_owned();
    for section in sections("SurveyProfile", &[], ("", ""), &all) {
        if !section.heading.is_empty() {
            let _ = write!(
                text,
                "\n## {}\n\n{}\n",
                section.heading,
                testkit::source_items::cell(&section.doc)
            );
        }
        if section.keys.is_empty() {
            continue;
        }
        text += "\n| key | type | default | example | meaning |\n| --- | --- | --- | --- | --- |\n";
        for key in &section.keys {
            assert!(!key.doc.is_empty(), "{} {} has no comment", section.heading, key.key());
            let path = [section.path.as_slice(), &[key.key().to_owned()]].concat();
            let is_written = example(&written, &path).is_some();
            let default = match EITHER.contains(&path.join(".").as_str()) {
                true => None,
                false if is_written => Some("required".to_owned()),
                false => {
                    let value = default_of(&least, &path, &names);
                    value.and_then(|shown| shown.toml(&choice)).map(|default| code(&default))
                }
            };
            let shown = shipped.iter().find_map(|profile| example(profile, &path));
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {} | {} |",
                key.key(),
                kind_in_words(&key.kind, &all, &leaf),
                default.unwrap_or_default(),
                shown.map(|value| code(&brief(&value))).unwrap_or_default(),
                meaning(key, &all)
            );
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/profile-keys.md");
    if std::env::var_os("ALMAGEST_WRITE_DOCS").is_some() {
        std::fs::write(path, &text).expect("the document");
    }
    let kept = std::fs::read_to_string(path).expect("the document");
    assert!(kept == text, "docs/profile-keys.md differs from what it is generated from");
}

/// Returns an example without the entries of a list that would make the table wide.
fn brief(value: &str) -> String {
    const WIDE: usize = 60;
    if value.len() <= WIDE || !value.starts_with('[') {
        return value.to_owned();
    }
    let end = value[..WIDE].rfind(", ").unwrap_or(WIDE);
    format!("{}, …]", &value[..end])
}
