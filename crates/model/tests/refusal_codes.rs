//! The register of codes has exactly the codes that the sources contain.

use model::refusal_code::REGISTER;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Faults whose `fn code` returns text, in crates that know nothing of `model`.
const FAULTS: [&str; 4] =
    ["files/src/open.rs", "fits/src/error.rs", "fits/src/codec/mod.rs", "sky/src/wcs/fault.rs"];
/// Kinds of notes on coordinate systems, likewise.
const NOTES: &str = "sky/src/wcs/note.rs";
/// Names of checks of a batch, which become codes behind `batch_`: in `fn name` here, as `check: "…"` in the archive.
const CHECKS: &str = "ingest/src/failure.rs";

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns the sources of all crates except the register itself, without their tests at the end.
fn sources() -> BTreeMap<String, String> {
    let (root, mut found) = (crates(), BTreeMap::new());
    let mut directories = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("a source of this workspace") {
            let path = entry.expect("a source of this workspace").path();
            let name = path
                .strip_prefix(&root)
                .expect("a source of this workspace")
                .to_string_lossy()
                .into_owned();
            if path.is_dir() {
                directories.push(path);
            } else if name.ends_with(".rs")
                && name.contains("/src/")
                && !name.contains("/refusal_code/")
            {
                let text = std::fs::read_to_string(path).expect("a source of this workspace");
                let code = text
                    .split("\n#[cfg(test)]\nmod tests {")
                    .next()
                    .expect("a source of this workspace");
                found.insert(name, code.to_owned());
            }
        }
    }
    let of_tests: Vec<String> =
        found.iter().flat_map(|(name, source)| test_modules(name, source)).collect();
    let is_of_tests = |name: &str| {
        of_tests.iter().any(|module| {
            name == module || name.starts_with(&format!("{}/", module.trim_end_matches(".rs")))
        })
    };
    found.retain(|name, _| !is_of_tests(name));
    assert!(found.len() > 200, "{} sources", found.len());
    found
}

/// Returns the files of the modules that a source has for tests alone.
fn test_modules(name: &str, source: &str) -> Vec<String> {
    let (directory, _) = name.rsplit_once('/').expect("a source of this workspace");
    let modules = source.split("#[cfg(test)]\nmod ").skip(1);
    modules
        .filter_map(|rest| rest.split_once(';'))
        .map(|(module, _)| format!("{directory}/{module}.rs"))
        .collect()
}

/// Returns the string literals that follow a text.
fn literals_after<'s>(source: &'s str, before: &str) -> Vec<&'s str> {
    let literal = |(at, _): (usize, &str)| {
        let rest = source[at + before.len()..].trim_start().strip_prefix('"')?;
        rest.split_once('"').map(|(text, _)| text)
    };
    source.match_indices(before).filter_map(literal).collect()
}

/// Returns the body of a function, up to the brace at its own depth.
fn body<'s>(source: &'s str, head: &str) -> &'s str {
    let begin = source.find(head).unwrap_or_else(|| panic!("no {head}"));
    let indent = source[..begin].rsplit('\n').next().expect("a source of this workspace");
    let end = source[begin..].find(&format!("\n{indent}}}\n")).expect("a source of this workspace");
    &source[begin..begin + end]
}

/// Codes of faults and notes that are text, and of checks.
fn codes_as_text(sources: &BTreeMap<String, String>) -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for fault in FAULTS {
        let found = literals_after(body(&sources[fault], "pub fn code("), "=> ");
        assert!(found.len() > 5, "{fault}: {found:?}");
        codes.extend(found.into_iter().map(str::to_owned));
    }
    let notes = literals_after(body(&sources[NOTES], "pub fn code("), "=> ");
    assert!(notes.len() > 2, "{notes:?}");
    codes.extend(notes.into_iter().map(str::to_owned));

    let mut checks = literals_after(body(&sources[CHECKS], "pub fn name("), "=> ");
    let ours = |name: &&String| name.starts_with("archive/") || name.starts_with("ingest/");
    for source in sources.keys().filter(ours).map(|name| &sources[name]) {
        checks.extend(literals_after(source, "check: "));
        checks.extend(literals_after(source, "refuse(archive, unit, "));
    }
    checks.extend(literals_after(
        body(&sources["archive/src/error.rs"], "pub fn failed_check("),
        "=> Some((",
    ));
    assert!(checks.len() > 20, "{checks:?}");
    codes.extend(checks.into_iter().map(|check| format!("batch_{check}")));
    codes
}

/// Returns the constants of the register that a source uses.
fn constants(source: &str) -> impl Iterator<Item = &str> {
    const BEFORE: &str = "RefusalCode::";
    source.match_indices(BEFORE).filter_map(|(at, _)| {
        let rest = &source[at + BEFORE.len()..];
        let end = rest.find(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_');
        let name = &rest[..end.unwrap_or(rest.len())];
        (name.len() > 1 && !name.ends_with('_')).then_some(name)
    })
}

#[test]
fn the_register_has_the_codes_of_the_sources_and_no_others() {
    let sources = sources();
    let registered: BTreeSet<String> = REGISTER
        .iter()
        .flat_map(|section| section.entries)
        .map(|entry| entry.code.to_string())
        .collect();
    let mut used = codes_as_text(&sources);
    // A constant that the register lacks does not compile.
    used.extend(sources.values().flat_map(|s| constants(s)).map(str::to_ascii_lowercase));
    let unregistered: Vec<_> = used.difference(&registered).collect();
    assert!(unregistered.is_empty(), "codes without an entry: {unregistered:?}");
    let unused: Vec<_> = registered.difference(&used).collect();
    assert!(unused.is_empty(), "entries without a source: {unused:?}");
}

#[test]
fn codes_in_text_come_from_faults_records_and_checks_alone() {
    for (name, source) in sources() {
        for call in ["of_fault(", "Refusal::stored(", "Refusal::new(", "Finding::new("] {
            let found = literals_after(&source, call);
            assert!(
                found.is_empty(),
                "{name}: {call}{found:?}: a code that is not in the register"
            );
        }
        // Struct literals with a code as text: `code: "…".to_owned()`. Differences of `reconcile` have codes too, and are
        // neither refusals nor findings; `simulate` names the codes that its damage ends in.
        let others = ["almagest/", "simulate/"];
        let is_other = others.iter().any(|other| name.starts_with(other));
        let found = literals_after(&source, "code: ");
        assert!(is_other || found.is_empty(), "{name}: {found:?}");
    }
}
