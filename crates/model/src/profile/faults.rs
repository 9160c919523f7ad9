//! Reading a profile so that every fault is reported at once, with key and line.
//!
//! serde stops at the first fault. Here the faulty entry is removed from the parsed document and the rest is read
//! again, until no fault remains. An entry that must exist gets a stand-in ([`STAND_INS`]), so that the rest can be read
//! without it.

use super::nearest;
use serde::de::{DeserializeOwned, IntoDeserializer};
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// One fault of a profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {}{message}", if key.is_empty() { String::new() } else { format!("{key}: ") })]
pub struct ProfileFault {
    /// Line, from 1.
    pub line: usize,
    /// Dotted key; positions in arrays count from 0.
    pub key: String,
    /// The fault.
    pub message: String,
}

/// All faults of a profile, in the order of their lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ProfileFaults(pub Vec<ProfileFault>);

/// Values that take the place of a faulty or missing entry, tried in this order: a number, a name, a pattern of directories, a
/// list.
const STAND_INS: [&str; 4] = ["31013", "\"stand_in\"", "\"{night}_v{version}\"", "[]"];

/// Reads a document into `T`; `check` returns the faults that types cannot express, as (dotted key, message).
pub(super) fn parse<T: DeserializeOwned>(
    text: &str,
    check: impl Fn(&T) -> Vec<(String, String)>,
) -> Result<T, ProfileFaults> {
    let (document, syntax) = DeTable::parse_recoverable(text);
    let mut faults: Vec<ProfileFault> = syntax
        .iter()
        .map(|e| fault(text, e.span().unwrap_or(0..0), String::new(), e.message()))
        .collect();
    if !faults.is_empty() {
        return Err(sorted(faults));
    }
    let whole = document.clone();
    let mut rest = document;
    let mut removed: Vec<String> = Vec::new();
    let mut items = RemovedItems::default();
    // Of each key that has or had a stand-in, the number of those that were tried.
    let mut tried: BTreeMap<String, usize> = BTreeMap::new();
    let value = loop {
        let error = match T::deserialize(rest.clone().into_deserializer()) {
            Ok(value) => break value,
            Err(error) => error,
        };
        let message = error.message().trim().to_owned();
        let span = error.span().unwrap_or_else(|| rest.span());
        let lacking = missing_field(&message).zip(table_at(&rest, &span));
        if let Some((field, table)) = &lacking {
            let named = items.original(table);
            let key = join(&named, field);
            // The place of a stand-in is behind the text, and its own.
            let place = text.len() + 1 + tried.values().sum::<usize>();
            let next = tried.entry(key.clone()).or_default();
            if *next == 0 && !removed.contains(&key) {
                faults.push(fault(text, span.clone(), named, &message));
            }
            *next += 1;
            if stand_in(rest.get_mut(), (table.as_str(), *field), *next - 1, place) {
                continue;
            }
        }
        let key = remove_at(rest.get_mut(), &span, "").map(|key| items.note(&key));
        if lacking.is_none() && span.start <= text.len() {
            let message = with_suggestion(&message);
            faults.push(fault(text, span, key.clone().unwrap_or_default(), &message));
        }
        match key {
            Some(key) => removed.push(key),
            None => return Err(sorted(faults)),
        }
    };
    let found = check(&value).into_iter().map(|(key, message)| (items.original(&key), message));
    for (key, message) in found.filter(|(key, _)| !tried.contains_key(key)) {
        let span = span_of(whole.get_ref(), &key);
        faults.push(fault(text, span, key, &message));
    }
    if faults.is_empty() { Ok(value) } else { Err(sorted(faults)) }
}

/// Adds the nearest right name to a message of serde that lists the right names.
fn with_suggestion(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let is_list =
        message.starts_with("unknown field `") || message.starts_with("unknown variant `");
    let written = quoted.next().filter(|_| is_list);
    let suggestion = written.map(|written| nearest::did_you_mean(written, quoted));
    format!("{message}{}", suggestion.unwrap_or_default())
}

/// The items of arrays that were removed, so that the keys of those after them are still those of the text.
#[derive(Debug, Default)]
struct RemovedItems {
    /// Positions in the text, ascending, by the dotted key of the array in the text.
    positions: BTreeMap<String, Vec<usize>>,
}

impl RemovedItems {
    /// Returns the key in the text of a key in what is left of it.
    fn original(&self, key: &str) -> String {
        let mut path = String::new();
        for step in key.split('.').filter(|step| !step.is_empty()) {
            let removed = self.positions.get(&path);
            let position = removed.zip(step.parse::<usize>().ok()).map(|(removed, position)| {
                removed.iter().fold(position, |at, gone| at + usize::from(*gone <= at))
            });
            path = join(&path, &position.map_or(step.to_owned(), |position| position.to_string()));
        }
        path
    }

    /// Notes the removal of an entry, and returns its key in the text.
    fn note(&mut self, key: &str) -> String {
        let key = self.original(key);
        let (array, item) = key.rsplit_once('.').unwrap_or(("", &key));
        if let Ok(position) = item.parse() {
            let removed = self.positions.entry(array.to_owned()).or_default();
            removed.push(position);
            removed.sort_unstable();
        }
        key
    }
}

fn sorted(mut faults: Vec<ProfileFault>) -> ProfileFaults {
    faults.sort_by_key(|f| f.line);
    ProfileFaults(faults)
}

fn fault(text: &str, span: Range<usize>, key: String, message: &str) -> ProfileFault {
    let before = text.as_bytes().get(..span.start).unwrap_or_default();
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    ProfileFault { line, key, message: message.to_owned() }
}

/// Returns the field that an error calls missing. It may be missing because it was faulty itself and removed.
fn missing_field(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `").and_then(|m| m.strip_suffix('`'))
}

/// Returns the dotted key of the table at a span; empty for the document itself.
fn table_at(document: &Spanned<DeTable<'_>>, span: &Range<usize>) -> Option<String> {
    if document.span() == *span {
        return Some(String::new());
    }
    let entries = document.get_ref().iter();
    let mut below: Vec<_> =
        entries.map(|(key, value)| (key.get_ref().clone().into_owned(), value)).collect();
    while let Some((here, value)) = below.pop() {
        match value.get_ref() {
            DeValue::Table(_) if value.span() == *span => return Some(here),
            DeValue::Table(table) => {
                below.extend(table.iter().map(|(key, value)| (join(&here, key.get_ref()), value)));
            }
            DeValue::Array(array) => below.extend(
                array.iter().enumerate().map(|(n, item)| (join(&here, &n.to_string()), item)),
            ),
            _ => {}
        }
    }
    None
}

/// Inserts a stand-in for a field of a table; returns false when all were tried.
fn stand_in(
    document: &mut DeTable<'_>,
    (table, field): (&str, &str),
    number: usize,
    place: usize,
) -> bool {
    let value = STAND_INS.get(number).and_then(|text| DeValue::parse(text).ok());
    let (Some(value), Some(table)) = (value, table_of(document, table)) else { return false };
    let place = place..place;
    let key = Spanned::new(place.clone(), field.to_owned().into());
    table.insert(key, Spanned::new(place, value.into_inner()));
    true
}

/// Returns the table of a dotted key.
fn table_of<'t, 'i>(document: &'t mut DeTable<'i>, key: &str) -> Option<&'t mut DeTable<'i>> {
    if key.is_empty() {
        return Some(document);
    }
    let mut steps = key.split('.');
    let mut value = document.get_mut(steps.next()?)?;
    for step in steps {
        value = match value.get_mut() {
            DeValue::Table(table) => table.get_mut(step)?,
            DeValue::Array(array) => array.get_mut(step.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    match value.get_mut() {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Removes the entry whose key or value is at the span, and returns its dotted key.
fn remove_at(table: &mut DeTable<'_>, span: &Range<usize>, path: &str) -> Option<String> {
    let mut hit = None;
    for (key, value) in table.iter_mut() {
        let here = join(path, key.get_ref());
        if key.span() == *span {
            hit = Some((key.clone(), here));
            break;
        }
        if let Some(found) = remove_below(value, span, &here) {
            return Some(found);
        }
        if value.span() == *span {
            hit = Some((key.clone(), here));
            break;
        }
    }
    let (key, path) = hit?;
    table.remove(&key);
    Some(path)
}

fn remove_below(
    value: &mut Spanned<DeValue<'_>>,
    span: &Range<usize>,
    path: &str,
) -> Option<String> {
    match value.get_mut() {
        DeValue::Table(table) => remove_at(table, span, path),
        DeValue::Array(array) => {
            let mut hit = None;
            for (position, item) in array.iter_mut().enumerate() {
                let here = join(path, &position.to_string());
                if let Some(found) = remove_below(item, span, &here) {
                    return Some(found);
                }
                if item.span() == *span {
                    hit = Some((position, here));
                    break;
                }
            }
            let (position, path) = hit?;
            let mut left = DeArray::new();
            for (n, item) in std::mem::replace(array, DeArray::new()).into_iter().enumerate() {
                if n != position {
                    left.push(item);
                }
            }
            *array = left;
            Some(path)
        }
        _ => None,
    }
}

/// Returns the position of a dotted key, or of the part of it that exists.
fn span_of(table: &DeTable<'_>, key: &str) -> Range<usize> {
    let mut span = 0..0;
    let mut steps = key.split('.');
    let Some(first) = steps.next() else { return span };
    let Some((name, mut value)) = table.get_key_value(first) else { return span };
    span = name.span();
    for step in steps {
        let next = match value.get_ref() {
            DeValue::Table(table) => table.get_key_value(step).map(|(k, v)| (k.span(), v)),
            DeValue::Array(array) => {
                step.parse::<usize>().ok().and_then(|n| array.get(n)).map(|v| (v.span(), v))
            }
            _ => None,
        };
        match next {
            Some((at, below)) => (span, value) = (at, below),
            None => break,
        }
    }
    span
}

#[cfg(test)]
mod tests {
    use crate::profile::SurveyProfile;

    const BROKEN: &str = r#"
name = "test survey"
survey_id = "one"
title = "A test"
colour = 3

[naming]
delivery = "{nacht}_v{version}"
extensions = [".fit", 7]

[[filter]]
id = 1
name = "K"

[[filter]]
id = 1
names = "H"
name = "H"

[limits]
refused_rows_share = 5
"#;

    #[test]
    fn all_faults_at_once_with_key_and_line() {
        let faults = SurveyProfile::parse(BROKEN).unwrap_err();
        let told: Vec<_> = faults.0.iter().map(|f| (f.line, f.key.as_str())).collect();
        let wanted = [
            (3, "survey_id"),
            (5, "colour"),
            (8, "naming.delivery"),
            (9, "naming.extensions.1"),
            (17, "filter.1.names"),
        ];
        for place in wanted {
            assert!(told.contains(&place), "{place:?} is not in\n{faults}");
        }
        assert!(faults.to_string().contains("line 5: colour: unknown field"), "{faults}");
    }

    #[test]
    fn the_nearest_right_key_is_named() {
        let text = r#"
name = "x"
survey_id = 1
title = "X"
fallback = true
[naming]
delivery = "{nigth}_v{version}"
extensions = []
catalog_suffixes = ["_cat"]
[catalogue]
pairing = "ordered"
[column.multiframe]
seeing_strat = { scale = 2.0 }
"#;
        let faults = SurveyProfile::parse(text).unwrap_err().to_string();
        let text = text.replace("{nigth}", "{night}").replace("catalog_s", "catalogue_s");
        let rest = SurveyProfile::parse(&text.replace("ordered", "order")).unwrap_err().to_string();
        for (faults, wanted) in [
            (&faults, "line 7: naming.delivery: {nigth} is none of"),
            (&faults, "; did you mean {night}?"),
            (
                &faults,
                "line 9: naming.catalog_suffixes: unknown field `catalog_suffixes`, expected one of",
            ),
            (&faults, "; did you mean `catalogue_suffixes`?"),
            (&faults, "; did you mean `order`?"),
            (
                &rest,
                "line 13: column.multiframe.seeing_strat: the column does not exist; did you mean `seeing_start`?",
            ),
        ] {
            assert!(faults.contains(wanted), "{wanted} is not in\n{faults}");
        }
    }

    #[test]
    fn rules_beyond_the_types_are_checked_too() {
        let text = r#"
name = "test survey"
survey_id = 1
title = "A test"
[[match]]
[naming]
delivery = "{night}_v{version}"
extensions = []
[[filter]]
id = 1
name = "K"
[[filter]]
id = 1
name = "H"
[column.multiframe]
colour = { scale = 0.0 }
[limits]
refused_rows_share = 5
"#;
        let faults = SurveyProfile::parse(text).unwrap_err();
        let told: Vec<_> = faults.0.iter().map(|f| (f.line, f.key.as_str())).collect();
        let wanted = [
            (2, "name"),
            (5, "match.0"),
            (13, "filter.1.id"),
            (16, "column.multiframe.colour"),
            (18, "limits.refused_rows_share"),
        ];
        assert_eq!(told, wanted, "{faults}");
    }

    #[test]
    fn identities_count_from_1() {
        let text = "name = \"x\"\nsurvey_id = 0\ntitle = \"X\"\nfallback = true\n\
            [naming]\ndelivery = \"{night}_v{version}\"\nextensions = [\".fit\"]\n\
            [[programme]]\nid = -3\nname = \"A\"\nproject = \"a\"\n";
        let faults = SurveyProfile::parse(text).unwrap_err().to_string();
        assert_eq!(
            faults,
            "line 2: survey_id: 0 is below 1\nline 9: programme.0.id: -3 is below 1"
        );
    }

    /// An entry that must exist and is faulty or missing hides no other fault, whichever way that is found.
    #[test]
    fn a_faulty_entry_hides_no_other() {
        let text = r#"
name = "test survey"
survey_id = 0
[[match]]
[naming]
delivery = "{nacht}"
extensions = [".fit"]
[[filter]]
id = "one"
name = "K"
[[programme]]
id = -3
name = "A"
[[programme]]
id = 0
name = "B"
project = "b"
[[programme]]
id = 5
name = "C"
project = "c"
[[programme]]
id = 5
name = "D"
project = "d"
[limits]
refused_rows_share = 5
"#;
        let faults = SurveyProfile::parse(text).unwrap_err();
        let told: Vec<_> = faults.0.iter().map(|f| (f.line, f.key.as_str())).collect();
        let wanted = [
            (1, ""),
            (2, "name"),
            (3, "survey_id"),
            (4, "match.0"),
            (6, "naming.delivery"),
            (9, "filter.0.id"),
            (11, "programme.0"),
            (12, "programme.0.id"),
            (15, "programme.1.id"),
            (23, "programme.3.id"),
            (27, "limits.refused_rows_share"),
        ];
        assert_eq!(told, wanted, "{faults}");
        let words = faults.to_string();
        for missing in
            ["line 1: missing field `title`", "line 11: programme.0: missing field `project`"]
        {
            assert!(words.contains(missing), "{faults}");
        }
        assert!(words.contains("line 3: survey_id: 0 is below 1"), "{faults}");
        assert!(!words.contains("31013") && !words.contains("stand_in"), "{faults}");
    }

    #[test]
    fn syntax_has_a_line() {
        let faults = SurveyProfile::parse("name = \"x\"\nsurvey_id = \n").unwrap_err();
        assert_eq!(faults.0[0].line, 2, "{faults}");
    }
}
