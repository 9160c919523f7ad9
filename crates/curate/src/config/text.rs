//! The text of a configuration: the line of every key, and the commented form that `init` writes.

use std::collections::BTreeMap;
use toml::de::{DeTable, DeValue};

/// The line of every key, by its path: `["plan", "max_load"]`.
pub type Lines = BTreeMap<Vec<String>, usize>;

/// Returns the line of every key; empty for a text that is not TOML.
pub fn lines(text: &str) -> Lines {
    let mut lines = Lines::new();
    if let Ok(document) = DeTable::parse(text) {
        note(text, document.get_ref(), &mut Vec::new(), &mut lines);
    }
    lines
}

fn note(text: &str, table: &DeTable<'_>, path: &mut Vec<String>, lines: &mut Lines) {
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        let before = text.get(..key.span().start).unwrap_or_default();
        lines.insert(path.clone(), before.matches('\n').count() + 1);
        if let DeValue::Table(inner) = value.get_ref() {
            note(text, inner, path, lines);
        }
        path.pop();
    }
}

/// Returns a configuration with every setting behind `#`, so that defaults that a later version changes apply to the site then.
pub fn commented(text: &str) -> String {
    let line = |line: &str| {
        let is_setting = line.starts_with(|c: char| c.is_ascii_lowercase()) && line.contains(" = ");
        if is_setting { format!("# {line}\n") } else { format!("{line}\n") }
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_on_their_lines() {
        let text = "# first\n[plan]\nmax_load = 2.0\nsql.rows = 3\n\n[sources.casu]\nurl = \"x\"\nhosts = { a = 1 }\n";
        let lines = lines(text);
        let line = |path: &[&str]| lines[&path.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>()];
        assert_eq!((line(&["plan"]), line(&["plan", "max_load"])), (2, 3));
        assert_eq!(line(&["plan", "sql", "rows"]), 4);
        assert_eq!((line(&["sources", "casu"]), line(&["sources", "casu", "url"])), (6, 7));
        assert_eq!(line(&["sources", "casu", "hosts", "a"]), 8);
        assert_eq!(commented("[a]\n# b\nc = 1\n"), "[a]\n# b\n# c = 1\n");
    }
}
