//! The help of every verb is what `tests/help/VERB.txt` says: a changed option or text is a change that a review sees.
//! `ALMAGEST_WRITE_HELP=1 cargo test --test help` writes the files.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

fn help(words: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_almagest"));
    let output =
        command.args(words).arg("--help").env_remove("ALMAGEST_SITE").output().expect("it starts");
    assert!(output.status.success(), "{words:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The verbs that a help text lists in groups, or as commands.
fn verbs(text: &str) -> Vec<String> {
    let listed = text.lines().skip_while(|line| *line != "Set up:" && *line != "Commands:");
    let listed =
        listed.take_while(|line| *line != "Options:").filter(|line| line.starts_with("  "));
    let names = listed.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn the_help_of_every_verb_is_as_it_is_kept() {
    let kept = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/help"));
    let mut texts = vec![("almagest".to_owned(), help(&[]))];
    for verb in verbs(&texts[0].1) {
        let text = help(&[&verb]);
        for inner in verbs(&text) {
            texts.push((format!("{verb}-{inner}"), help(&[&verb, &inner])));
        }
        texts.push((verb, text));
    }
    assert!(texts.len() > 40, "{}", texts.len());
    if std::env::var_os("ALMAGEST_WRITE_HELP").is_some() {
        std::fs::create_dir_all(&kept).unwrap();
        for (name, text) in &texts {
            std::fs::write(kept.join(format!("{name}.txt")), text).unwrap();
        }
    }
    let files: BTreeSet<String> = std::fs::read_dir(&kept)
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().trim_end_matches(".txt").to_owned())
        .collect();
    let names: BTreeSet<String> = texts.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(files, names, "verbs that came or went");
    for (name, text) in texts {
        let was = std::fs::read_to_string(kept.join(format!("{name}.txt"))).unwrap();
        assert!(was == text, "the help of {name} is another one:\n{text}");
    }
}

/// The verbs that change neither the archive nor a site nor a file of the caller's. `daemon` works until it is ended, and shows by
/// `plan --dry-run` what it would do; the file of `sql --output` is the requested result.
const READ_ONLY: [&str; 25] = [
    "attach",
    "completions",
    "config",
    "config-show",
    "daemon",
    "daemon-data",
    "daemon-ingest",
    "daemon-transfer",
    "doctor",
    "explain",
    "findings",
    "inspect",
    "profile",
    "profile-check",
    "profile-draft",
    "profile-list",
    "programme",
    "programme-list",
    "refusals",
    "refusals-list",
    "refusals-show",
    "sources",
    "sql",
    "status",
    "almagest",
];

/// The verbs that report nothing: they decide, make something, or print a document in its own form.
const NO_REPORT: [&str; 18] = [
    "almagest",
    "attach",
    "completions",
    "config",
    "contact-sheet",
    "daemon",
    "daemon-data",
    "daemon-ingest",
    "daemon-transfer",
    "demo",
    "init",
    "man",
    "profile",
    "profile-draft",
    "profile-set",
    "programme",
    "simulate",
    "sql",
];

/// The names of the golden help texts in which an option is missing.
fn without(option: &str) -> BTreeSet<String> {
    let kept = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/help"));
    let mut without = BTreeSet::new();
    for entry in std::fs::read_dir(kept).expect("the golden help").flatten() {
        let text = std::fs::read_to_string(entry.path()).expect("a text");
        if !text.split_whitespace().any(|word| word == option) {
            let name = entry.file_name().to_string_lossy().trim_end_matches(".txt").to_owned();
            without.insert(name);
        }
    }
    without
}

#[test]
fn every_verb_that_changes_something_has_a_dry_run() {
    let expected = READ_ONLY.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(without("--dry-run"), expected);
}

#[test]
fn every_report_has_a_form_for_programs() {
    let expected = NO_REPORT.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(without("--json"), expected);
}

/// The commands in the code blocks of README.md and `docs/`: words of a command line, from `almagest` to the end of its line.
fn documented() -> Vec<(String, Vec<String>)> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut documents = vec![root.join("README.md")];
    let docs = std::fs::read_dir(root.join("docs")).expect("docs/").flatten().map(|e| e.path());
    documents.extend(docs.filter(|path| path.extension().is_some_and(|end| end == "md")));
    let mut commands = Vec::new();
    for document in documents {
        let text = std::fs::read_to_string(&document).expect("a document");
        for block in text.split("```").skip(1).step_by(2).filter(|block| block.starts_with("sh\n"))
        {
            for line in block.lines().filter(|line| line.starts_with("almagest ")) {
                let line = line.split(" #").next().unwrap_or_default();
                let outside: Vec<&str> = line.split('"').step_by(2).collect();
                let words =
                    outside.join(" ").split_whitespace().skip(1).map(str::to_owned).collect();
                commands.push((format!("{}: {line}", document.display()), words));
            }
        }
    }
    commands
}

#[test]
fn the_documents_name_commands_and_options_that_exist() {
    let known = verbs(&help(&[]));
    let commands = documented();
    assert!(commands.len() > 20, "{}", commands.len());
    for (place, words) in commands {
        let words: Vec<&str> = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice()
        {
            ["--site", _, rest @ ..] => rest.to_vec(),
            all => all.to_vec(),
        };
        let verb = words[0];
        assert!(known.iter().any(|known| known == verb), "{place}");
        let text = help(&[verb]);
        for option in words.iter().filter(|word| word.starts_with("--")) {
            let is_option = |word: &str| word.trim_end_matches([',', ']', '.']) == *option;
            assert!(text.split_whitespace().any(is_option), "{place}: {option}");
        }
    }
}
