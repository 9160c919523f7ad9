//! Rules and patterns of a profile that fit nothing in a delivery.

use super::candidates::Candidates;
use super::choice::Chosen;
use super::delivered::Delivered;
use super::report::{Report, Sheet};
use super::spellings::Spellings;
use fits::HduKind;
use model::profile::{NamePattern, SurveyProfile};
use serde_json::json;
use std::collections::BTreeSet;

/// A rule that fits nothing.
struct Unused {
    /// Key of the profile.
    key: String,
    /// The rule as written.
    written: String,
    /// True when it is a problem: it is not one of several alternatives that may be absent in a single night.
    is_problem: bool,
}

/// Returns the sheet of unused rules of the profile that is checked, and adds those to the problems that should fit something.
///
/// Filters and frame types that a night has not are normal: they are listed, and are no problem while others fit.
pub(super) fn sheet(
    candidates: &Candidates,
    files: &[Delivered],
    delivery: &str,
    report: &mut Report,
) -> Sheet {
    let given = candidates.given();
    let own: Vec<&Delivered> =
        files.iter().filter(|file| given.profile.name == file.survey.as_str()).collect();
    let mut unused = matches(&given.profile, files);
    if !own.is_empty() {
        unused.extend(names(&given.text, &given.profile, &own, delivery));
        unused.extend(frames(&given.profile, &own));
        unused.extend(columns(&given.text, files));
    }
    for one in unused.iter().filter(|one| one.is_problem) {
        let message = format!("{} fits nothing in the delivery", one.written);
        report.problem("pattern_unused", &one.key, message);
    }
    let row = |one: &Unused| vec![json!(one.key), json!(one.written), json!(one.is_problem)];
    let rows = unused.iter().map(row).collect();
    Sheet { name: "unused", columns: &["key", "written", "is_problem"], rows }
}

fn matches(profile: &SurveyProfile, files: &[Delivered]) -> Vec<Unused> {
    let mut waiting: BTreeSet<usize> = (0..profile.matches.len()).collect();
    for file in files {
        if waiting.is_empty() {
            break;
        }
        let Some(file) = Chosen::open(file) else { continue };
        waiting.retain(|n| !file.fits(&profile.matches[*n]));
    }
    let one = |n: usize| {
        let conditions = profile.matches[n].0.iter();
        let written: Vec<String> =
            conditions.map(|(name, glob)| format!("{name} = {:?}", glob.as_str())).collect();
        Unused { key: format!("match.{n}"), written: written.join(", "), is_problem: true }
    };
    waiting.into_iter().map(one).collect()
}

/// Returns the patterns of names that fit nothing.
fn names(text: &str, profile: &SurveyProfile, own: &[&Delivered], delivery: &str) -> Vec<Unused> {
    let mut unused = Vec::new();
    let naming = text.parse::<toml::Table>().ok().and_then(|t| t.get("naming").cloned());
    let written = |key: &str| naming.as_ref().and_then(|n| n.get(key).cloned());
    if profile.naming.delivery(delivery).is_none()
        && let Some(pattern) = written("delivery")
    {
        let written = pattern.to_string();
        unused.push(Unused { key: "naming.delivery".to_owned(), written, is_problem: true });
    }
    let roots: Vec<&str> = own.iter().map(|file| profile.naming.stem(&file.name).root).collect();
    let runs = written("runs");
    for (n, pattern) in runs.iter().filter_map(|r| r.as_array()).flatten().enumerate() {
        let Some(pattern) = pattern.as_str() else { continue };
        let fits = NamePattern::new(pattern)
            .is_ok_and(|pattern| roots.iter().any(|root| pattern.read(root).is_some()));
        if !fits {
            let key = format!("naming.runs.{n}");
            unused.push(Unused { key, written: pattern.to_owned(), is_problem: true });
        }
    }
    let lists = ["suffixes", "catalogue_suffixes", "ignored_suffixes", "catalogue_extensions"];
    for key in lists {
        let list = written(key);
        for (n, part) in list.iter().filter_map(|l| l.as_array()).flatten().enumerate() {
            let Some(part) = part.as_str() else { continue };
            if !own.iter().any(|file| file.name.contains(part)) {
                let key = format!("naming.{key}.{n}");
                unused.push(Unused { key, written: part.to_owned(), is_problem: false });
            }
        }
    }
    unused
}

/// Returns the frame types and filters that no image has.
fn frames(profile: &SurveyProfile, own: &[&Delivered]) -> Vec<Unused> {
    let values = |n: usize| -> BTreeSet<&str> {
        own.iter().filter_map(|file| file.facts[n].as_str()).collect()
    };
    let has_images = own.iter().any(|file| file.multiframe.is_some());
    let types = profile.frame_types.iter().map(|t| t.name.as_str()).collect();
    let filters = profile.filters.iter().map(|f| f.name.as_str()).collect();
    let one = |key: &str, defined: BTreeSet<&str>, seen: BTreeSet<&str>| -> Vec<Unused> {
        let is_problem = has_images && defined.is_disjoint(&seen);
        let absent = defined.difference(&seen);
        absent
            .map(|name| Unused { key: key.to_owned(), written: (*name).to_owned(), is_problem })
            .collect()
    };
    let mut unused = one("frame_type", types, values(0));
    unused.extend(one("filter", filters, values(4)));
    unused
}

/// Returns the columns none of whose spellings a table of the delivery has.
fn columns(text: &str, files: &[Delivered]) -> Vec<Unused> {
    let spellings = Spellings::of(text);
    let mut waiting: Vec<_> = spellings.own().collect();
    let mut tables = 0;
    for file in files.iter().filter(|file| file.kind != "other") {
        let Some(fits) = file.open() else { continue };
        for hdu in fits.hdus() {
            if !matches!(hdu.kind, HduKind::BinTable | HduKind::AsciiTable) {
                continue;
            }
            let Ok(table) = fits.table(hdu.index) else { continue };
            tables += 1;
            waiting.retain(|(_, list)| !list.iter().any(|s| s.is_in(table.columns())));
        }
    }
    if tables == 0 {
        return Vec::new();
    }
    let one = |(column, list): (&str, Vec<_>)| Unused {
        key: format!("catalogue.spellings.{column}"),
        written: list.iter().map(|s| format!("{s:?}")).collect::<Vec<_>>().join(", "),
        is_problem: true,
    };
    waiting.into_iter().map(one).collect()
}
