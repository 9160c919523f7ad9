//! Structs and enums of a source file with their comments, from which reference documents are generated.

use std::collections::BTreeMap;
use std::path::Path;

/// A field or variant: its name, the type of a field, and its comment.
#[derive(Clone, Debug, Default)]
pub struct Item {
    /// Name in the source.
    pub name: String,
    /// Name for serde, when an attribute gives one.
    pub renamed: Option<String>,
    /// Type of a field; empty for a variant without content.
    pub kind: String,
    /// Its comment, in one line.
    pub doc: String,
}

impl Item {
    /// Returns the name of a field in a document.
    pub fn key(&self) -> &str {
        self.renamed.as_deref().unwrap_or(&self.name)
    }
}

/// A struct or an enum.
#[derive(Clone, Debug, Default)]
pub struct Definition {
    /// Its comment, in one line.
    pub doc: String,
    /// Its fields or variants, in the order of the source.
    pub items: Vec<Item>,
    /// True for an enum whose variants have names in a document.
    pub is_tagged: bool,
    /// The case of all names for serde, when an attribute gives one.
    rename_all: Option<String>,
}

impl Definition {
    /// Returns the spelling of a variant in a document.
    ///
    /// # Panics
    /// Panics on a case that no definition uses.
    pub fn spelling(&self, variant: &str) -> String {
        match self.rename_all.as_deref() {
            None => variant.to_owned(),
            Some("lowercase") => variant.to_lowercase(),
            Some("kebab-case") => in_parts(variant, '-'),
            Some("snake_case") => in_parts(variant, '_'),
            Some(other) => panic!("names in {other}"),
        }
    }

    /// Returns true for a choice: an enum whose variants have no content.
    pub fn is_choice(&self) -> bool {
        !self.items.is_empty() && self.items.iter().all(|item| item.kind.is_empty())
    }
}

/// Returns the name of a variant in lower case, with a mark between its words.
fn in_parts(name: &str, mark: char) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !text.is_empty() {
            text.push(mark);
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

/// The structs and enums of some sources, by name.
pub type Definitions = BTreeMap<String, Definition>;

/// Reads the public structs and enums of every Rust file in a directory, below it too, or of one
/// file.
///
/// # Panics
/// Panics when a file cannot be read.
pub fn definitions(path: &Path) -> Definitions {
    let mut found = Definitions::new();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).expect("the directory of sources") {
            found.extend(definitions(&entry.expect("a source").path()));
        }
    } else if path.extension().is_some_and(|end| end == "rs") {
        read(&std::fs::read_to_string(path).expect("a source"), &mut found);
    }
    found
}

/// Adds the definitions of a source text.
fn read(source: &str, found: &mut Definitions) {
    let mut lines = source.lines();
    let (mut doc, mut rename_all, mut is_untagged) = (String::new(), None, false);
    while let Some(line) = lines.next() {
        if let Some(text) = line.strip_prefix("///") {
            join(&mut doc, text.trim_start());
            continue;
        }
        if line.starts_with("#[") {
            rename_all = value_of(line, "rename_all").or(rename_all);
            is_untagged |= line.contains("untagged");
            continue;
        }
        let head = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum "));
        if let Some(name) = head.and_then(|head| head.strip_suffix(" {")) {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "}").collect();
            let (doc, rename_all) = (std::mem::take(&mut doc), rename_all.take());
            let is_tagged = line.starts_with("pub enum ") && !is_untagged;
            let definition = Definition { doc, items: items(&body), is_tagged, rename_all };
            found.insert(name.to_owned(), definition);
        } else if let Some((name, _)) = head.and_then(|head| head.split_once('(')) {
            let definition = Definition { doc: std::mem::take(&mut doc), ..Definition::default() };
            found.insert(name.to_owned(), definition);
        }
        doc.clear();
        (rename_all, is_untagged) = (None, false);
    }
}

/// Returns the fields or variants in the body of a definition. Fields of a variant belong to the variant.
fn items(body: &[&str]) -> Vec<Item> {
    let (mut all, mut item, mut depth) = (Vec::new(), Item::default(), 0);
    for line in body.iter().map(|line| line.trim()) {
        if depth > 0 {
            depth -= usize::from(line.starts_with('}'));
            continue;
        }
        if let Some(text) = line.strip_prefix("///") {
            join(&mut item.doc, text.trim_start());
        } else if line.starts_with("#[serde(") {
            item.renamed = value_of(line, "rename").or(item.renamed);
        } else if !line.starts_with('#') && !line.starts_with("//") && !line.is_empty() {
            let field = line.trim_end_matches(',').trim_start_matches("pub ");
            let field = field.trim_start_matches("pub(super) ").trim_start_matches("pub(crate) ");
            depth += usize::from(line.ends_with('{'));
            let (name, kind) = field.split_once(": ").unwrap_or((field, ""));
            let end = name.find([' ', '{', '(']).unwrap_or(name.len());
            let (name, content) = name.split_at(end);
            let kind = if kind.is_empty() { content.trim() } else { kind };
            (item.name, item.kind) = (name.to_owned(), kind.to_owned());
            all.push(std::mem::take(&mut item));
        }
    }
    all
}

/// Returns the value of an argument of an attribute: `b` of `#[serde(a = "b")]`.
fn value_of(attribute: &str, argument: &str) -> Option<String> {
    let rest = attribute.split_once(&format!("{argument} = \""))?.1;
    rest.split_once('"').map(|(value, _)| value.to_owned())
}

fn join(doc: &mut String, text: &str) {
    if !doc.is_empty() && !text.is_empty() {
        doc.push(' ');
    }
    doc.push_str(text);
}

/// Returns what a wrapper such as `Vec<…>` holds.
pub fn inner<'k>(kind: &'k str, wrapper: &str) -> Option<&'k str> {
    kind.strip_prefix(wrapper)?.strip_prefix('<')?.strip_suffix('>')
}

/// Returns a comment as Markdown for a cell of a table: without the links of rustdoc.
pub fn cell(doc: &str) -> String {
    doc.replace("[`", "`").replace("`]", "`").replace('|', "\\|")
}

/// Returns a type in words; `leaf` names the types that are no choices.
///
/// # Panics
/// Panics on a type without words.
pub fn kind_in_words(
    kind: &str,
    all: &Definitions,
    leaf: &dyn Fn(&str) -> Option<&'static str>,
) -> String {
    if let Some(words) = leaf(kind) {
        return words.to_owned();
    }
    if let Some(of) = inner(kind, "Option") {
        return kind_in_words(of, all, leaf);
    }
    if let Some(of) = inner(kind, "Vec") {
        return format!("list of {}", kind_in_words(of, all, leaf));
    }
    let choice = all.get(kind).filter(|definition| definition.is_choice());
    let choice = choice.unwrap_or_else(|| panic!("the type {kind} has no words"));
    let names = choice.items.iter().map(|v| format!("`\"{}\"`", choice.spelling(&v.name)));
    names.collect::<Vec<_>>().join(", ")
}

/// Returns the comment of a field for a cell of a table, followed by the meanings of the values of a choice.
pub fn meaning(item: &Item, all: &Definitions) -> String {
    let mut text = cell(&item.doc);
    for (kind, definition) in all {
        for variant in &definition.items {
            let path = format!("`{kind}::{}`", variant.name);
            text = text.replace(&path, &format!("`\"{}\"`", definition.spelling(&variant.name)));
        }
    }
    let kind = inner(&item.kind, "Option").unwrap_or(&item.kind);
    if let Some(choice) = all.get(kind).filter(|definition| definition.is_tagged) {
        for variant in &choice.items {
            let name = choice.spelling(&variant.name);
            let name = match variant.kind.is_empty() {
                true => format!("\"{name}\""),
                false => format!("{{ {name} = … }}"),
            };
            text += &format!(" `{name}`: {}", cell(&variant.doc));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_read_with_comments_and_names() {
        let source = "\
/// Rules.
///
/// More.
#[derive(Deserialize)]
#[serde(default)]
pub struct Rules {
    /// A list
    /// of names.
    #[serde(default, rename = \"name\")]
    pub names: Vec<String>,
    // Not a comment of a field.
    pub(super) hidden: bool,
}
/// A choice.
#[serde(rename_all = \"kebab-case\")]
pub enum Choice {
    /// One.
    One,
    /// Two.
    TwoParts {
        /// Inside.
        by: f64,
    },
    /// Three.
    Three(String),
}
";
        let mut found = Definitions::new();
        read(source, &mut found);
        let rules = &found["Rules"];
        assert_eq!(rules.doc, "Rules. More.");
        let names: Vec<(&str, &str, &str)> =
            rules.items.iter().map(|i| (i.key(), i.kind.as_str(), i.doc.as_str())).collect();
        assert_eq!(names, [("name", "Vec<String>", "A list of names."), ("hidden", "bool", "")]);
        let choice = &found["Choice"];
        let choices: Vec<String> = choice.items.iter().map(|i| choice.spelling(&i.name)).collect();
        assert_eq!(choices, ["one", "two-parts", "three"]);
        assert!(!choice.is_choice(), "variants have content");
    }
}
