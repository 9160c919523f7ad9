//! The words of the project: banned phrases in texts that users and developers read.
//!
//! `xtask/words.txt` has the phrases and their replacements, `xtask/words-allowed.txt` the places that may use one. The check
//! reads comments, string literals and names in Rust sources, and the whole of the documents, the golden help, the definitions
//! of tables, the survey profiles, the configuration template, SQL and Python. Start at [`check`].

mod doc;
mod message;
mod source;
mod text;

use crate::root;
use std::fs;
use std::path::Path;

/// Directories and files that are searched.
const PLACES: [&str; 11] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.toml",
    "bench",
    "crates",
    "dist",
    "docs",
    "fuzz/fuzz_targets",
    "surveys",
    "xtask/src",
];

/// Endings of the files that are searched.
const ENDINGS: [&str; 8] = [".rs", ".md", ".toml", ".txt", ".sql", ".py", ".service", ".1"];

/// A banned phrase.
#[derive(Debug)]
struct Banned {
    /// The phrase as the list has it.
    phrase: String,
    /// Permitted spellings of each word of it.
    words: Vec<Vec<String>>,
    replacement: String,
}

/// A place that may use a banned phrase.
#[derive(Debug)]
struct Allowed {
    path: String,
    phrase: String,
}

/// A word of a text, or a break (an empty word) that no phrase reaches over.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    text: String,
    line: usize,
    /// True for a part of a name in code, e.g. `BYTES` of `MAX_BYTES`.
    in_name: bool,
}

/// A use of a banned phrase.
#[derive(Debug, PartialEq, Eq)]
struct Hit {
    path: String,
    line: usize,
    phrase: String,
    replacement: String,
}

/// Searches every file for banned phrases.
pub fn check() -> Result<(), String> {
    let read =
        |path: &str| fs::read_to_string(root().join(path)).map_err(|e| format!("{path}: {e}"));
    let banned = banned(&read("xtask/words.txt")?)?;
    let allowed = allowed(&read("xtask/words-allowed.txt")?)?;
    let mut paths = Vec::new();
    for place in PLACES {
        list(Path::new(place), &mut paths).map_err(|e| format!("{place}: {e}"))?;
    }
    paths.sort();
    let mut hits = Vec::new();
    for path in &paths {
        hits.extend(search(path, &read(path)?, &banned));
    }
    let faults = faults(hits, &allowed);
    if faults.is_empty() {
        println!("{} files have none of {} banned phrases", paths.len(), banned.len());
        return Ok(());
    }
    Err(faults.join("\n"))
}

/// Parses the list of banned phrases: `phrase | replacement` on each line, spellings of a word as `repair/repairs`.
fn banned(list: &str) -> Result<Vec<Banned>, String> {
    entries(list, "xtask/words.txt", |[phrase, replacement]: [&str; 2]| {
        let spellings = |word: &str| word.split('/').map(str::to_owned).collect();
        Banned {
            phrase: phrase.to_owned(),
            words: phrase.split_whitespace().map(spellings).collect(),
            replacement: replacement.to_owned(),
        }
    })
}

/// Parses the list of allowed places: `path | phrase | reason` on each line.
fn allowed(list: &str) -> Result<Vec<Allowed>, String> {
    entries(list, "xtask/words-allowed.txt", |[path, phrase, _reason]: [&str; 3]| Allowed {
        path: path.to_owned(),
        phrase: phrase.to_owned(),
    })
}

/// Parses the lines of a list into their `N` fields. Empty lines and lines that begin with `#` are skipped.
fn entries<T, const N: usize>(
    list: &str,
    file: &str,
    entry: impl Fn([&str; N]) -> T,
) -> Result<Vec<T>, String> {
    let lines = list.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|(at, line)| {
            let fields: Vec<&str> = line.split('|').map(str::trim).collect();
            let whole = !fields.contains(&"");
            let fields: Result<[&str; N], _> = fields.try_into();
            match fields {
                Ok(fields) if whole => Ok(entry(fields)),
                _ => Err(format!("{file}:{}: the line does not have {N} fields", at + 1)),
            }
        })
        .collect()
}

/// Lists the files below a path that are searched, relative to the root of the repository.
fn list(path: &Path, files: &mut Vec<String>) -> std::io::Result<()> {
    if root().join(path).is_dir() {
        for entry in fs::read_dir(root().join(path))? {
            let name = entry?.file_name();
            if !name.to_string_lossy().starts_with('.') {
                list(&path.join(name), files)?;
            }
        }
        return Ok(());
    }
    // Released migrations are never edited.
    let is_migration = path.iter().any(|part| part == "migrations");
    let name = path.to_string_lossy();
    if !is_migration && ENDINGS.iter().any(|ending| name.ends_with(ending)) {
        files.push(name.into_owned());
    }
    Ok(())
}

/// Finds the banned phrases in a file, the doc comments of functions that begin with a question word, and the messages that begin
/// with a pronoun.
fn search(path: &str, text: &str, banned: &[Banned]) -> Vec<Hit> {
    let is_source = path.ends_with(".rs");
    let words = if is_source { source::words(text) } else { text::words(text) };
    let mut hits = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let found = banned.iter().filter(|banned| banned.begins(&words[at..]));
        hits.extend(found.map(|banned| Hit {
            path: path.to_owned(),
            line: word.line,
            phrase: banned.phrase.clone(),
            replacement: banned.replacement.clone(),
        }));
    }
    if is_source {
        hits.extend(doc::questions(text).into_iter().map(|(line, word)| Hit {
            path: path.to_owned(),
            line,
            phrase: format!("/// {word}"),
            replacement: "a third-person verb: Returns, Writes, Parses".to_owned(),
        }));
        hits.extend(message::pronouns(path, text).into_iter().map(|(line, word)| Hit {
            path: path.to_owned(),
            line,
            phrase: format!("\"{word}"),
            replacement: "the subject of the message: the file, the task, the host".to_owned(),
        }));
    }
    hits
}

impl Banned {
    /// Returns true when a text begins with the phrase. A phrase in capitals is a part of a constant's name.
    fn begins(&self, text: &[Word]) -> bool {
        text.len() >= self.words.len()
            && self.words.iter().zip(text).all(|(spellings, word)| {
                spellings.iter().any(|spelling| {
                    if spelling.chars().any(char::is_uppercase) {
                        word.in_name && word.text == *spelling
                    } else {
                        word.text.to_lowercase() == *spelling
                    }
                })
            })
    }
}

/// Describes the hits outside of allowed places, and the allowed places that have no hit.
fn faults(hits: Vec<Hit>, allowed: &[Allowed]) -> Vec<String> {
    let permits =
        |allowed: &Allowed, hit: &Hit| allowed.path == hit.path && allowed.phrase == hit.phrase;
    let unused = allowed.iter().filter(|allowed| !hits.iter().any(|hit| permits(allowed, hit)));
    let unused: Vec<String> = unused
        .map(|allowed| {
            let Allowed { path, phrase } = allowed;
            format!("xtask/words-allowed.txt: {path} has no '{phrase}': remove the entry")
        })
        .collect();
    let hits = hits.into_iter().filter(|hit| !allowed.iter().any(|allowed| permits(allowed, hit)));
    hits.map(|hit| {
        let Hit { path, line, phrase, replacement } = hit;
        format!("{path}:{line}: '{phrase}' is banned, write: {replacement}")
    })
    .chain(unused)
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "# Phrases.\nat the double | quickly\nwend/wends | go\nUTMOST | MAX_\n";

    fn phrases(path: &str, text: &str) -> Vec<(usize, String)> {
        let hits = search(path, text, &banned(LIST).unwrap());
        hits.into_iter().map(|hit| (hit.line, hit.phrase)).collect()
    }

    #[test]
    fn a_banned_phrase_is_found_in_comments_strings_names_and_documents() {
        let double = "at the double";
        let cases = [
            ("a.rs", "// It runs at\n// the double.\nfn f() {}\n", 1, double),
            ("a.rs", "//! Runs.\n\n/// Run At the double: one.\n", 3, double),
            ("a.rs", "f(\"he ran at \\\n   the double\");", 1, double),
            ("a.rs", "fn at_the_double() {}", 1, double),
            ("a.rs", "struct AtTheDouble;", 1, double),
            ("a.rs", "const BYTES_UTMOST: u8 = 1;", 1, "UTMOST"),
            ("a.rs", "/* it wends */ // on", 1, "wend/wends"),
            ("a.rs", "/// Whether it runs.\nfn f() {}", 1, "/// Whether"),
            ("a.rs", "f(\"it is missing\");", 1, "\"it"),
            ("a.md", "It runs\nat the\ndouble.\n", 2, double),
            ("a.toml", "# Runs at\n# the double.\nx = 1\n", 1, double),
        ];
        for (path, text, line, phrase) in cases {
            assert_eq!(phrases(path, text), [(line, phrase.to_owned())], "{text}");
        }
    }

    #[test]
    fn ordinary_text_is_not_found() {
        let cases = [
            ("a.rs", "// Look at the. Double.\n"),
            ("a.rs", "// The weekend, a UTMOST of prose.\n"),
            ("a.rs", "let utmost = \"UTMOST(a, b)\";"),
            ("a.rs", "// It runs at the\nlet double = 'a';"),
            ("a.rs", "f(at, the, double)"),
            ("a.md", "It runs at the\n\ndouble."),
        ];
        for (path, text) in cases {
            assert_eq!(phrases(path, text), [], "{text}");
        }
    }

    #[test]
    fn allowed_places_are_not_reported_until_they_no_longer_occur() {
        let list = allowed("docs/a.md | at the double | a quotation\n").unwrap();
        let hits = |path| search(path, "One at the double.", &banned(LIST).unwrap());
        assert_eq!(faults(hits("docs/a.md"), &list), [""; 0]);
        assert_eq!(
            faults(hits("docs/b.md"), &list),
            [
                "docs/b.md:1: 'at the double' is banned, write: quickly",
                "xtask/words-allowed.txt: docs/a.md has no 'at the double': remove the entry",
            ]
        );
    }

    #[test]
    fn a_list_with_a_missing_field_is_refused() {
        assert_eq!(
            banned("\nso\n").unwrap_err(),
            "xtask/words.txt:2: the line does not have 2 fields"
        );
        assert!(banned("so | \n").is_err());
        assert!(allowed("docs/a.md | at the double\n").is_err());
    }
}
