//! `docs/configuration.md` is generated from the settings of `almagest.toml`: their names, types and meaning from the source, their
//! defaults from the program. `ALMAGEST_WRITE_DOCS=1 cargo test --test documented` writes it. The template has every setting, too.

use curate::config::{Config, HostConfig, SourceConfig, TEMPLATE};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use testkit::source_items::{Definitions, Item, definitions, inner, kind_in_words, meaning};

const HEAD: &str = "\
# Configuration

Every setting of a site's `almagest.toml`, generated from the program. `almagest init` writes the file with all settings commented out;
[the template](../crates/curate/src/config/almagest.toml) shows them in place. Unknown keys and impossible values are refused, all at once, with
line and key. `almagest config show` prints the values in force, and where each comes from. Relative paths are below the site.

The environment adds `ALMAGEST_SITE` (the site, unless `--site` is given), `ALMAGEST_OPERATOR` (the name in the history of decisions), and the
variables that the database client (`PGPASSWORD`, `PGPASSFILE`, `PGUSER`) and the settings of sources name.
";

fn all_definitions() -> Definitions {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let sources = [
        "curate/src/config.rs",
        "curate/src/config",
        "curate/src/log/line.rs",
        "engine/src/address.rs",
    ];
    sources.iter().flat_map(|source| definitions(&crates.join(source))).collect()
}

/// Returns the words for a type that is no choice.
fn leaf(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "u64" | "u32" | "usize" | "Night" => "whole number",
        "f64" => "number",
        "bool" => "true or false",
        "String" | "HostName" | "Glob" => "text",
        "PathBuf" => "path",
        "Umask" => "text, octal",
        "Span" => "text, `HH:MM-HH:MM`",
        _ => return None,
    })
}

/// Returns the unit that the name of a key ends with.
fn unit(key: &str) -> &'static str {
    // Spans of the day are not a number of hours.
    if key == "quiet_hours" {
        return "";
    }
    const UNITS: [(&str, &str); 7] = [
        ("mb_per_second", "MB/s"),
        ("seconds", "s"),
        ("hours", "h"),
        ("days", "d"),
        ("_gb", "GB"),
        ("_mb", "MB"),
        ("rows", "rows"),
    ];
    UNITS.iter().find(|(end, _)| key.ends_with(end)).map_or("", |(_, unit)| unit)
}

/// The sections: heading and purpose, keys, and defaults.
fn sections(all: &Definitions) -> Vec<(Item, &[Item], toml::Table)> {
    let defaults = toml::Table::try_from(Config::default()).expect("the defaults");
    let section = |section: &Item| {
        let named =
            inner(&section.kind, "BTreeMap").and_then(|kinds| Some(kinds.split_once(", ")?.1));
        let kind = named.unwrap_or(&section.kind).rsplit("::").next().expect("a name");
        let default = match section.name.as_str() {
            "sources" => toml::Table::try_from(SourceConfig::default()).expect("the defaults"),
            "hosts" => toml::Table::try_from(HostConfig::default()).expect("the defaults"),
            name => defaults[name].as_table().expect("a section").clone(),
        };
        let heading = named.map_or(section.name.clone(), |_| format!("{}.NAME", section.name));
        (Item { name: heading, ..section.clone() }, all[kind].items.as_slice(), default)
    };
    all["Config"].items.iter().map(section).collect()
}

#[test]
fn every_setting_is_documented() {
    let all = all_definitions();
    let mut text = HEAD.to_owned();
    for (section, keys, defaults) in sections(&all) {
        let _ = write!(
            text,
            "\n## [{}]\n\n{}\n\n| key | type | default | unit | meaning |\n| --- | --- | --- | --- | --- |\n",
            section.name, section.doc
        );
        for key in keys {
            let default = defaults.get(&key.name).map(|value| format!("`{value}`"));
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {} | {} |",
                key.name,
                kind_in_words(&key.kind, &all, &leaf),
                default.as_deref().unwrap_or("not set"),
                unit(&key.name),
                meaning(key, &all)
            );
        }
        let known: BTreeSet<&str> = keys.iter().map(|key| key.name.as_str()).collect();
        let unknown: Vec<_> = defaults.keys().filter(|key| !known.contains(key.as_str())).collect();
        assert!(unknown.is_empty(), "[{}] has {unknown:?} too", section.name);
        assert!(keys.iter().all(|key| !key.doc.is_empty()), "{keys:?}");
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    if std::env::var_os("ALMAGEST_WRITE_DOCS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap();
    assert!(kept == text, "docs/configuration.md differs from the settings of the program");
}

#[test]
fn the_template_has_every_setting_and_no_others() {
    // The template's keys, behind `#` or not, by section; the examples of `sources` and `hosts` have a name.
    let mut written: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut section = String::new();
    for line in TEMPLATE.lines() {
        let line = line.trim_start_matches("# ");
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.split_once('.').map_or(name.to_owned(), |(of, _)| format!("{of}.NAME"));
        }
        let key = line.split_once(" = ").map_or("", |(key, _)| key);
        if !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            written.entry(section.clone()).or_default().insert(key.to_owned());
        }
    }
    let all = all_definitions();
    let settings: BTreeMap<String, BTreeSet<String>> = sections(&all)
        .into_iter()
        .map(|(section, keys, _)| (section.name, keys.iter().map(|k| k.name.clone()).collect()))
        .collect();
    assert_eq!(written, settings);
}
