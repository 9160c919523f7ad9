//! Rules from the headers of images: which files, frame types, filters, projects, keywords of columns.

use super::super::candidates;
use super::super::dictionary::Dictionary;
use super::naming::Naming;
use super::sample::{Sample, counted};
use super::text::{comment, list, quoted, word};
use model::profile::Identifying;
use std::fmt::Write as _;

/// A keyword, its values with the number of their images, and whether all are in the primary header.
type KeywordValues<'s> = (String, Vec<(&'s str, usize)>, bool);

/// Returns the keyword of a kind that most images have.
fn values<'s>(images: &[&'s Sample], kind: &str) -> Option<KeywordValues<'s>> {
    let found = Dictionary::shipped().keywords(kind).into_iter().map(|keyword| {
        let all: Vec<(&str, bool)> =
            images.iter().filter_map(|image| image.value(&keyword)).collect();
        let is_primary = all.iter().all(|(_, is_primary)| *is_primary);
        (all.len(), keyword, counted(all.into_iter().map(|(value, _)| value)), is_primary)
    });
    // The first of equally frequent ones, in the order of the dictionary.
    let most = found.reduce(|best, next| if next.0 > best.0 { next } else { best })?;
    (most.0 > 0).then_some((most.1, most.2, most.3))
}

/// Returns the glob that fits all values of a keyword and little else; `None` when they have nothing in common.
fn common_glob(values: &[(&str, usize)]) -> Option<String> {
    let (first, _) = values.first()?;
    if values.len() == 1 {
        return Some((*first).to_owned());
    }
    let mut common: &str = first;
    for (value, _) in values {
        let equal = common.bytes().zip(value.bytes()).take_while(|(a, b)| a == b).count();
        common = common.get(..equal).unwrap_or_default();
    }
    let common = common.trim_end_matches(|c: char| c.is_ascii_digit());
    (common.len() >= 2).then(|| format!("{common}*"))
}

/// Returns the rule for the files of the profile, with its evidence.
pub(super) fn match_rule(images: &[&Sample]) -> String {
    let keywords = Dictionary::shipped().keywords("identity");
    let mut text = String::new();
    let mut usable = Vec::new();
    for keyword in &keywords {
        let found: Vec<(&str, bool)> = images.iter().filter_map(|i| i.value(keyword)).collect();
        let values = counted(found.iter().map(|(value, _)| *value));
        let Some(glob) = common_glob(&values).filter(|_| found.len() == images.len()) else {
            continue;
        };
        let is_primary = found.iter().all(|(_, is_primary)| *is_primary);
        let place = if is_primary { "the primary header" } else { "the first image extension" };
        text += &comment(&format!("{keyword} is {glob} in {place} of all {} images", images.len()));
        usable.push((keyword.as_str(), glob));
    }
    let needed = shipped_keywords(images) + 1;
    if usable.len() < needed {
        text += &comment(
            "TODO: no rule tells these files from those of other profiles: the fallback takes what fits no other",
        );
        text += "fallback = true\n";
        return text;
    }
    text += "[[match]]\n";
    for (keyword, glob) in usable.into_iter().take(needed) {
        let key = match keyword.contains(' ') {
            true => quoted(keyword),
            false => keyword.to_owned(),
        };
        let _ = writeln!(text, "{key} = {}", quoted(&glob));
    }
    text
}

/// Returns the number of keywords by which a shipped profile fits some image.
fn shipped_keywords(images: &[&Sample]) -> usize {
    let shipped = candidates::shipped();
    let of_image = |image: &&Sample| {
        let value = |keyword: &str| image.value(keyword).map(|(value, _)| value.to_owned());
        let file = Identifying { file: &image.name, keyword: &value };
        shipped.iter().filter_map(|one| one.profile.fit(&file)).max()
    };
    images.iter().filter_map(of_image).max().unwrap_or(0)
}

/// Returns the rules for frame types: chains of suffixes first, then values of a keyword.
pub(super) fn frame_types(images: &[&Sample], naming: &Naming) -> String {
    let mut text = String::new();
    let share = |members: &[&&Sample]| {
        members.iter().filter(|image| naming.has_catalogue(&image.name)).count()
    };
    let mut rule = |name: &str, condition: String, kind: Option<&str>, members: &[&&Sample]| {
        let catalogues = share(members);
        text += &comment(&format!("{} images, {catalogues} with a catalogue", members.len()));
        if kind.is_none() {
            text += &comment("TODO: kind is science, confidence or calibration");
        }
        let kind = kind.unwrap_or("science");
        let _ = write!(
            text,
            "[[frame_type]]\nname = {}\n{condition}kind = {}\n",
            quoted(name),
            quoted(kind)
        );
        // A type some of whose frames lack one is left out: their absence is not a finding.
        if catalogues > 0 && catalogues * 2 >= members.len() {
            text += "catalogue = true\n";
        }
        text += "\n";
    };
    let chains = counted(images.iter().map(|image| naming.root(&image.name).1));
    for (chain, _) in chains.iter().filter(|(chain, _)| !chain.is_empty()) {
        let members: Vec<&&Sample> =
            images.iter().filter(|image| naming.root(&image.name).1 == *chain).collect();
        let name = word(&chain.replace('_', ""), "suffix");
        let last = chain.rsplit('_').next().unwrap_or_default();
        let is_weight = ["conf", "weight", "wt", "mask"].contains(&last);
        let kind = if is_weight { "confidence" } else { "science" };
        rule(&name, format!("suffixes = {}\n", quoted(chain)), Some(kind), &members);
    }
    let plain: Vec<&Sample> =
        images.iter().filter(|image| naming.root(&image.name).1.is_empty()).copied().collect();
    match values(&plain, "frame_type") {
        Some((keyword, values, _)) => {
            for (value, _) in values {
                let is_it =
                    |image: &&&Sample| image.value(&keyword).is_some_and(|(v, _)| v == value);
                let members: Vec<&&Sample> = plain.iter().filter(is_it).collect();
                let kind = Dictionary::shipped().frame_kind(value);
                let condition =
                    format!("keywords = {{ {} = [{}] }}\n", quoted(&keyword), quoted(value));
                rule(&word(value, "frame").to_lowercase(), condition, kind, &members);
            }
        }
        None if !plain.is_empty() => {
            let members: Vec<&&Sample> = plain.iter().collect();
            rule("image", "roots = [\"*\"]\n".to_owned(), None, &members);
        }
        None => {}
    }
    text
}

/// Returns the filters with their counts, and the keyword when it is not FILTER.
pub(super) fn filters(images: &[&Sample]) -> (String, Option<String>) {
    let Some((keyword, values, _)) = values(images, "filter") else {
        return (comment("TODO: no keyword names a filter"), None);
    };
    let mut text = comment(&format!("values of {keyword}"));
    let first = |value: &str| value.split_whitespace().next().unwrap_or_default().to_owned();
    let names = counted(values.iter().map(|(value, _)| first(value)));
    for (n, (value, count)) in values.iter().enumerate() {
        let short = first(value);
        let is_unique = names.iter().any(|(name, count)| *name == short && *count == 1);
        let name = if is_unique { short } else { (*value).to_owned() };
        let _ =
            write!(text, "[[filter]]\nid = {} # {count} images\nname = {}\n", n + 1, quoted(&name));
        if name != *value {
            let _ = writeln!(text, "spellings = [{}]", quoted(value));
        }
        text += "\n";
    }
    (text, (keyword != "FILTER").then_some(keyword))
}

/// Returns the programmes by the values of a project keyword.
pub(super) fn projects(images: &[&Sample], name: &str, first_id: i32) -> (String, Option<String>) {
    let todo = comment("TODO: ids of programmes must not be those of another profile");
    let Some((keyword, values, _)) = values(images, "project") else {
        let mut text = comment("no keyword names a project: all frames are of one programme");
        let programme = quoted(&name.to_uppercase());
        let _ = write!(
            text,
            "[project]\nunnamed = {programme}\n\n{todo}[[programme]]\nid = {first_id}\nname = {programme}\nproject = {}\n\n",
            quoted(name)
        );
        return (text, None);
    };
    let all: usize = values.iter().map(|(_, count)| count).sum();
    let mut text =
        comment(&format!("{keyword} names a project in {all} of {} images", images.len()));
    let unnamed = quoted(&name.to_uppercase());
    let _ = write!(text, "[project]\nkeywords = [{}]\n", quoted(&keyword));
    let mut id = first_id;
    let mut programmes = todo;
    let mut used: Vec<String> = Vec::new();
    for (value, count) in &values {
        let mut name = word(value, "P").to_uppercase();
        if name.starts_with(|c: char| !c.is_ascii_alphabetic()) {
            name.insert(0, 'P');
        }
        while used.contains(&name) {
            name.push('X');
        }
        let _ = write!(
            programmes,
            "[[programme]]\nid = {id} # {count} images\nname = {}\nproject = {}\n\n",
            quoted(&name),
            quoted(value)
        );
        used.push(name);
        id += 1;
    }
    if all < images.len() && !used.contains(&name.to_uppercase()) {
        text += &comment("frames that name none; TODO: leave it out to park them");
        let _ = writeln!(text, "unnamed = {unnamed}");
        let _ = write!(
            programmes,
            "[[programme]]\nid = {id}\nname = {unnamed}\nproject = {}\n\n",
            quoted(name)
        );
    }
    (format!("{text}\n{programmes}"), (keyword != "PROJECT").then_some(keyword))
}

/// Returns the lines of `column.TABLE` for keywords that are not those of the definitions.
pub(super) fn column_rules(images: &[&Sample], renamed: &[(&str, Option<String>)]) -> String {
    let mut text = String::from("[column.multiframe]\n");
    for (column, keyword) in renamed {
        if let Some(keyword) = keyword {
            let _ = writeln!(text, "{column} = {{ keywords = [{}] }}", quoted(keyword));
        }
    }
    for (column, kind) in [("mjd_obs", "mjd"), ("exp_time", "exposure")] {
        let present: Vec<String> = Dictionary::shipped()
            .keywords(kind)
            .into_iter()
            .filter(|keyword| images.iter().any(|image| image.value(keyword).is_some()))
            .collect();
        match present.len() {
            0 => text += &comment(&format!("TODO: no known keyword has {column}")),
            n => {
                if n > 1 {
                    text += &comment(&format!(
                        "TODO: several keywords may be {column}; the first counts"
                    ));
                }
                let _ = writeln!(text, "{column} = {{ keywords = {} }}", list(&present));
            }
        }
    }
    let seeing: Vec<String> = Dictionary::shipped().keywords("seeing");
    for keyword in seeing {
        if let Some((value, _)) = images.first().and_then(|image| image.value(&keyword)) {
            text += &comment(&format!(
                "TODO: {keyword} = {value} may be the seeing: multiframe_detector.seeing is in pixels; set its keywords and scale"
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_of_several_values() {
        assert_eq!(common_glob(&[("WFCAM", 3)]).unwrap(), "WFCAM");
        assert_eq!(common_glob(&[("kb70", 2), ("kb71", 1)]).unwrap(), "kb*");
        assert_eq!(common_glob(&[("fa15", 2), ("kb70", 1)]), None);
    }
}
