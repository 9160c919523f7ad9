//! The picture of the crates: who must never depend on whom.

use crate::root;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// (crate, what it must never reach, why).
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("process", "archive", "compute nodes cannot touch the database because it is not linked in"),
    ("stage", "archive", "compute nodes cannot touch the database because it is not linked in"),
    ("node", "archive", "compute nodes cannot touch the database because it is not linked in"),
    ("node", "rusqlite", "the node's binary links no database"),
    ("model", "files", "the nouns do no I/O"),
    ("model", "fits", "the nouns do no I/O"),
    ("sky", "fits", "geometry knows no file format"),
    ("fits", "model", "the format knows no archive"),
    ("node", "postgres", "the node's binary links no database"),
    ("almagest", "rusqlite", "no engine is named outside the archive"),
    ("almagest", "postgres", "no engine is named outside the archive"),
    ("ingest", "rusqlite", "no engine is named outside the archive"),
    ("ingest", "postgres", "no engine is named outside the archive"),
    ("almagest", "testkit", "the product does not depend on its tests"),
    ("simulate", "testkit", "the product does not depend on its tests"),
];

/// Crates whose reach is only their own direct dependencies (the archive may bring an engine along).
const DIRECT_ONLY: &[(&str, &str)] = &[
    ("almagest", "rusqlite"),
    ("almagest", "postgres"),
    ("ingest", "rusqlite"),
    ("ingest", "postgres"),
];

/// Reads every manifest and follows the arrows.
pub fn check() -> Result<(), String> {
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let rooms = fs::read_dir(root().join("crates")).map_err(|e| format!("crates: {e}"))?;
    for room in rooms {
        let room = room.map_err(|e| e.to_string())?;
        let manifest = room.path().join("Cargo.toml");
        let text =
            fs::read_to_string(&manifest).map_err(|e| format!("{}: {e}", manifest.display()))?;
        arrows.insert(room.file_name().to_string_lossy().into_owned(), dependencies(&text));
    }
    let mut faults = Vec::new();
    for (from, to, why) in FORBIDDEN {
        let direct = DIRECT_ONLY.contains(&(*from, *to));
        if reaches(&arrows, from, to, direct) {
            faults.push(format!("{from} depends on {to}: {why}"));
        }
    }
    faults.extend(node_tree()?);
    if faults.is_empty() {
        println!(
            "{} forbidden arrows looked for, none found among {} crates",
            FORBIDDEN.len(),
            arrows.len()
        );
        return Ok(());
    }
    Err(faults.join("\n"))
}

/// Crates that the node's binary must not link, however they come.
const NOT_ON_NODES: [&str; 14] = [
    "rusqlite",
    "libsqlite3-sys",
    "postgres",
    "tokio-postgres",
    "sqlx",
    "duckdb",
    "datafusion",
    "sqlparser",
    "hyper",
    "reqwest",
    "ureq",
    "rustls",
    "tokio",
    "openssl-sys",
];

/// What the node's binary links beyond that, by cargo's own word.
fn node_tree() -> Result<Vec<String>, String> {
    let words = ["tree", "--package", "node", "--edges", "normal", "--prefix", "none", "--locked"];
    let said = std::process::Command::new(env!("CARGO")).args(words).current_dir(root()).output();
    let said = said.map_err(|e| format!("cargo tree: {e}"))?;
    if !said.status.success() {
        return Err(format!("cargo tree: {}", String::from_utf8_lossy(&said.stderr)));
    }
    let tree = String::from_utf8_lossy(&said.stdout).into_owned();
    let linked: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    let faults = NOT_ON_NODES.iter().filter(|name| linked.contains(**name));
    Ok(faults
        .map(|name| format!("almagest-node links {name}: nodes have no database and no network"))
        .collect())
}

/// Names in `[dependencies]` of a manifest (not in `[dev-dependencies]`).
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.trim() == "[dependencies]" || line.trim() == "[build-dependencies]";
        } else if inside
            && let Some(name) = line.split(['.', ' ', '=']).next().filter(|n| !n.is_empty())
        {
            names.insert(name.trim().to_owned());
        }
    }
    names
}

fn reaches(
    arrows: &BTreeMap<String, BTreeSet<String>>,
    from: &str,
    to: &str,
    direct: bool,
) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(here) = open.pop() {
        for next in arrows.get(here).into_iter().flatten() {
            if next == to {
                return true;
            }
            if !direct && seen.insert(next) {
                open.push(next);
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_are_followed() {
        let arrows = BTreeMap::from([
            (
                "node".to_owned(),
                dependencies(
                    "[dependencies]\nstage.workspace = true\n[dev-dependencies]\ntestkit = 1\n",
                ),
            ),
            ("stage".to_owned(), dependencies("[dependencies]\narchive = { path = \"x\" }\n")),
        ]);
        assert!(reaches(&arrows, "node", "archive", false));
        assert!(!reaches(&arrows, "node", "archive", true));
        assert!(!reaches(&arrows, "node", "testkit", false));
    }
}
