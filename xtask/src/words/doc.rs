//! The opening of doc comments of functions.

/// Openings of a question, which do not say what the function does.
const QUESTIONS: [&str; 6] = ["What", "Whether", "Where", "How", "When", "Who"];

/// Finds the doc comments of functions that begin with a question word: the line and the word.
pub fn questions(text: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    let mut lines = text.lines().map(str::trim).enumerate().peekable();
    while let Some((at, line)) = lines.next() {
        let Some(doc) = line.strip_prefix("///") else { continue };
        while lines.next_if(|(_, line)| line.starts_with("///")).is_some() {}
        while let Some((_, attribute)) = lines.next_if(|(_, line)| line.starts_with("#[")) {
            let mut open = attribute.ends_with(']');
            while !open {
                open = lines.next().is_none_or(|(_, line)| line.ends_with(']'));
            }
        }
        let first = doc.trim_start().split(|c: char| !c.is_alphabetic()).next();
        let question = QUESTIONS.into_iter().find(|question| first == Some(question));
        let is_function = lines.peek().is_some_and(|(_, line)| is_function(line));
        found.extend(question.filter(|_| is_function).map(|question| (at + 1, question)));
    }
    found
}

/// Returns true for the first line of a function.
fn is_function(line: &str) -> bool {
    let words = line.split_whitespace();
    let mut words = words.skip_while(|word| {
        word.starts_with("pub")
            || ["const", "async", "unsafe", "extern", "\"C\"", "super)", "crate)"].contains(word)
    });
    words.next() == Some("fn")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_not_described_by_a_question() {
        let cases = [
            ("/// Whether it runs.\nfn f() {}", Some((1, "Whether"))),
            ("\n    /// How it\n    /// runs.\n    pub(crate) const fn f() {}", Some((2, "How"))),
            ("/// What.\n#[must_use]\n#[expect(\n    a\n)]\npub fn f() {}", Some((1, "What"))),
            ("/// Returns what it found.\nfn f() {}", None),
            ("/// Whatever it finds.\nfn f() {}", None),
            ("/// How many.\nconst F: fn() = f;", None),
            ("/// How many.\npub rows: u64,", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(questions(text), Vec::from_iter(wanted), "{text}");
        }
    }
}
