//! The opening of messages.

/// Openings of a message that does not name its subject.
const OPENINGS: [&str; 3] = ["it", "It", "nobody"];

/// Finds the string literals outside of tests that begin with a pronoun: the line and the pronoun.
pub fn pronouns(path: &str, text: &str) -> Vec<(usize, &'static str)> {
    let is_test = path.split('/').any(|part| part == "tests" || part == "tests.rs");
    let lines = text.lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]");
    let lines = lines.filter(|(_, line)| !is_test && !line.trim_start().starts_with("//"));
    lines
        .flat_map(|(at, line)| {
            let literals = line.match_indices('"').filter(|(quote, _)| {
                !line[..*quote].ends_with(|c: char| c.is_alphanumeric() || c == '\\')
            });
            literals.filter_map(move |(quote, _)| {
                let literal = &line[quote + 1..];
                let (first, _) = literal.split_once(' ')?;
                Some((at + 1, OPENINGS.into_iter().find(|opening| *opening == first)?))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_its_subject() {
        let cases = [
            ("a.rs", "f(\"it is missing\");", Some((1, "it"))),
            ("a.rs", "\nbail!(\"It ends: {a}\")", Some((2, "It"))),
            ("a.rs", "f(\"the file is missing: it was never fetched\");", None),
            ("a.rs", "f(\"items\", \"a\"); // \\\"it is\\\"", None),
            ("a.rs", "#[cfg(test)]\nmod tests { f(\"it is new\"); }", None),
            ("tests/a.rs", "assert!(a, \"it is new\");", None),
        ];
        for (path, text, wanted) in cases {
            assert_eq!(pronouns(path, text), Vec::from_iter(wanted), "{text}");
        }
    }
}
