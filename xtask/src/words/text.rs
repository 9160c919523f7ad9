//! The words of a plain text: a document, a help text, a TOML file.

use super::Word;

/// Splits a text into its words. A line break joins words; an empty line and punctuation part them.
pub fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_start().trim_start_matches(['#', '>']);
        if line.trim().is_empty() {
            words.push(Word { text: String::new(), line: at + 1, in_name: false });
        }
        add(line, at + 1, &mut words);
    }
    words
}

/// Adds the words of one line of prose.
pub fn add(text: &str, line: usize, words: &mut Vec<Word>) {
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_part = |c: char| c.is_alphanumeric() || c == '\'' || c == '’';
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        if end > 0 {
            words.push(Word { text: rest[..end].to_owned(), line, in_name: false });
            rest = &rest[end..];
            continue;
        }
        if !first.is_whitespace() {
            words.push(Word { text: String::new(), line, in_name: false });
        }
        rest = &rest[first.len_utf8()..];
    }
}
