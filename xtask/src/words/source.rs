//! The words of a Rust source: its comments, string literals and names.

use super::{Word, text};

/// A source that is read from its beginning.
struct Reader<'a> {
    rest: &'a str,
    line: usize,
    words: Vec<Word>,
}

/// Splits a source into words. Comments on successive lines are one text, and every string literal and name is one.
pub fn words(source: &str) -> Vec<Word> {
    let mut reader = Reader { rest: source, line: 1, words: Vec::new() };
    let mut code_since_comment = true;
    while let Some(first) = reader.rest.chars().next() {
        if reader.rest.starts_with("//") {
            if code_since_comment {
                reader.part();
            }
            reader.comment();
            code_since_comment = false;
            continue;
        }
        if first.is_whitespace() {
            reader.take(first.len_utf8());
            continue;
        }
        code_since_comment = true;
        reader.part();
        if reader.rest.starts_with("/*") {
            let end = reader.rest.find("*/").map_or(reader.rest.len(), |at| at + 2);
            reader.prose(end);
        } else if let Some((open, close, raw)) = literal(reader.rest) {
            reader.take(open);
            reader.string(&close, raw);
        } else if first == '\'' {
            reader.quote();
        } else if first.is_alphabetic() || first == '_' {
            reader.name();
        } else {
            reader.take(first.len_utf8());
        }
    }
    reader.words
}

/// Returns the length of the opening of a string literal, its closing, and true for a raw one.
fn literal(rest: &str) -> Option<(usize, String, bool)> {
    let prefix = rest.find(|c: char| !"bcr".contains(c))?;
    let raw = rest[..prefix].contains('r');
    let hashes = rest[prefix..].find(|c| c != '#')?;
    let is_string = rest[prefix + hashes..].starts_with('"') && prefix <= 2 && (raw || hashes == 0);
    is_string.then(|| (prefix + hashes + 1, format!("\"{}", "#".repeat(hashes)), raw))
}

impl Reader<'_> {
    /// Takes bytes from the beginning.
    fn take(&mut self, bytes: usize) -> &str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    /// Adds a break.
    fn part(&mut self) {
        self.words.push(Word { text: String::new(), line: self.line, in_name: false });
    }

    /// Adds bytes as prose.
    fn prose(&mut self, bytes: usize) {
        let mut line = self.line;
        let (taken, rest) = self.rest.split_at(bytes);
        for part in taken.split('\n') {
            text::add(part.trim_start(), line, &mut self.words);
            line += 1;
        }
        self.line = line - 1;
        self.rest = rest;
    }

    /// Adds a comment of one line. An empty one ends a paragraph.
    fn comment(&mut self) {
        let marker = self.rest.find(|c| c != '/' && c != '!').unwrap_or(self.rest.len());
        self.take(marker);
        let end = self.rest.find('\n').unwrap_or(self.rest.len());
        if self.rest[..end].trim().is_empty() {
            self.part();
        }
        self.prose(end);
    }

    /// Adds a string literal up to its closing.
    fn string(&mut self, close: &str, raw: bool) {
        while !self.rest.is_empty() && !self.rest.starts_with(close) {
            let end = self.rest.find(['"', '\\']).unwrap_or(self.rest.len());
            self.prose(end);
            if self.rest.starts_with("\\\n") {
                self.take(1);
            } else if raw && !self.rest.is_empty() && !self.rest.starts_with(close) {
                self.part();
                self.take(1);
            } else if self.rest.starts_with('\\') {
                self.part();
                let escaped = self.rest.chars().nth(1).map_or(0, char::len_utf8);
                self.take(1 + escaped);
            }
        }
        self.take(close.len().min(self.rest.len()));
        self.part();
    }

    /// Skips a character literal, or the quote of a lifetime.
    fn quote(&mut self) {
        let mut chars = self.rest.char_indices().skip(1);
        let (first, second) = (chars.next(), chars.next());
        let end = match (first, second) {
            (Some((_, '\\')), Some((at, escaped))) => {
                let from = at + escaped.len_utf8();
                self.rest[from..].find('\'').map_or(from, |close| from + close + 1)
            }
            (Some(_), Some((at, '\''))) => at + 1,
            _ => 1,
        };
        self.take(end);
    }

    /// Adds the parts of a name: `still_open`, `STILL_OPEN` and `StillOpen` have two.
    fn name(&mut self) {
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        let line = self.line;
        let name = self.take(end.unwrap_or(self.rest.len())).to_owned();
        let mut before = '_';
        for letter in name.chars() {
            let begins = before == '_' || before.is_lowercase() && letter.is_uppercase();
            if letter != '_' && begins {
                self.words.push(Word { text: String::new(), line, in_name: true });
            }
            if letter != '_'
                && let Some(word) = self.words.last_mut()
            {
                word.text.push(letter);
            }
            before = letter;
        }
        self.part();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_literals_and_names_are_parted() {
        let cases = [
            ("// One\n// two.\nfn three() {}", "One two . fn . three"),
            ("/// One.\n///\n/// Two", "One . Two"),
            (r#"f("a \"b\" c", 'd', '\'', 'e')"#, "f . a . b . c"),
            ("f(r#\"a \"b\" c\\\"#, \"d\ne\")", "f . a . b . c . d e"),
            ("g::<'a, 'b>('\\n', b\"x\")", "g . a . b . x"),
            ("/* one\n two */ // three", "one two . three"),
            ("url(\"http://a\") // b", "url . http . a . b"),
        ];
        for (source, wanted) in cases {
            let texts = words(source).into_iter().map(|word| word.text);
            let mut texts: Vec<String> =
                texts.map(|t| if t.is_empty() { ".".to_owned() } else { t }).collect();
            texts.dedup();
            let text = texts.join(" ");
            assert_eq!(text.trim_matches([' ', '.']), wanted, "{source}");
        }
    }

    #[test]
    fn words_have_their_lines() {
        let found = words("// one\nf(\"\n  two\");\n/* \n three */ four");
        let found = found.iter().filter(|word| !word.text.is_empty());
        let found: Vec<_> = found.map(|word| (word.text.as_str(), word.line)).collect();
        assert_eq!(found, [("one", 1), ("f", 2), ("two", 3), ("three", 5), ("four", 5)]);
    }
}
