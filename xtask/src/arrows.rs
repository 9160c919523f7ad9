//! The dependency graph of the crates: the permitted dependencies of each.

use crate::root;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Permitted dependencies of each crate within the workspace. A new arrow is a decision, made here.
const ALLOWED: &[(&str, &[&str])] = &[
    // At the bottom: they do not know each other or any crate above.
    ("files", &[]),
    ("model", &[]),
    ("sky", &[]),
    ("fits", &["files"]),
    // The pipeline. The crates that run on nodes (process, stage, node) never reach the archive.
    ("process", &["files", "fits", "model", "sky"]),
    ("stage", &["files", "fits", "model"]),
    ("node", &["files", "model", "process", "stage"]),
    ("transfer", &["files", "fits", "model"]),
    // The store, from the ground up: the database, the files of detections, the archive of both, and reading it.
    ("engine", &["files", "model"]),
    ("lake", &["files", "model", "sky", "stage"]),
    ("archive", &["engine", "files", "lake", "model", "sky", "stage"]),
    ("query", &["archive", "engine", "files", "lake", "model", "sky", "stage"]),
    ("upkeep", &["archive", "engine", "files", "lake", "model", "stage"]),
    ("register", &["archive", "model", "transfer"]),
    ("ingest", &["archive", "files", "model", "stage"]),
    ("dispatch", &["files", "model", "node"]),
    // The application, and the binary around it.
    (
        "curate",
        &[
            "archive", "dispatch", "files", "fits", "ingest", "model", "process", "query",
            "register", "stage", "transfer", "upkeep",
        ],
    ),
    (
        "almagest",
        &[
            "archive", "curate", "files", "fits", "ingest", "model", "process", "query",
            "register", "simulate", "stage", "transfer", "upkeep",
        ],
    ),
    // Nights and checkers for tests.
    ("simulate", &["files", "fits"]),
    ("testkit", &["simulate"]),
];

/// Crates that alone may depend on an external library.
const KEEPERS: &[(&str, &[&str])] = &[
    ("rusqlite", &["archive", "engine", "lake", "query", "upkeep"]),
    ("postgres", &["archive", "engine", "query", "upkeep"]),
    ("clap", &["almagest"]),
    ("indicatif", &["almagest"]),
    ("ureq", &["transfer"]),
    // Crates below the application return what happened, and the application logs it; nodes leave files.
    ("tracing", &["curate"]),
];

/// Reads every manifest and compares its arrows with those that are allowed.
pub fn check() -> Result<(), String> {
    let mut manifests: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let crates = fs::read_dir(root().join("crates")).map_err(|e| format!("crates: {e}"))?;
    for entry in crates {
        let entry = entry.map_err(|e| e.to_string())?;
        let manifest = entry.path().join("Cargo.toml");
        let text =
            fs::read_to_string(&manifest).map_err(|e| format!("{}: {e}", manifest.display()))?;
        manifests.insert(entry.file_name().to_string_lossy().into_owned(), dependencies(&text));
    }
    let mut faults = faults(&manifests);
    faults.extend(node_tree()?);
    if faults.is_empty() {
        println!("the arrows among {} crates are those that are allowed", manifests.len());
        return Ok(());
    }
    Err(faults.join("\n"))
}

/// Lists the arrows that are not allowed, and the allowed ones that do not exist.
fn faults(manifests: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, uses) in manifests {
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| known == name) else {
            faults.push(format!("crate {name} is not in the list of arrows"));
            continue;
        };
        let own = uses.iter().filter(|to| manifests.contains_key(*to));
        let wrong = own.filter(|to| !allowed.contains(&to.as_str()));
        faults.extend(
            wrong.map(|to| format!("{name} depends on {to}, which is not in the list of arrows")),
        );
        let unused = allowed.iter().filter(|to| !uses.contains(**to));
        faults.extend(
            unused.map(|to| {
                format!("{name} does not depend on {to}: remove the arrow from the list")
            }),
        );
        for (library, keepers) in KEEPERS {
            if uses.contains(*library) && !keepers.contains(&name.as_str()) {
                faults.push(format!(
                    "{name} depends on {library}, which only {} may",
                    keepers.join(", ")
                ));
            }
        }
    }
    faults
}

/// Crates that the node's binary must not link, directly or indirectly.
const NOT_ON_NODES: [&str; 15] = [
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
    "tracing",
];

/// Returns the forbidden crates that the node's binary links, according to cargo.
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
        .map(|name| {
            format!("almagest-node links {name}: nodes have no database, no network and no log")
        })
        .collect())
}

/// Returns the names in `[dependencies]` of a manifest (not in `[dev-dependencies]`).
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            let table = line.trim().trim_matches(['[', ']']);
            let (before, name) = table.rsplit_once("dependencies").unwrap_or(("dev-", ""));
            inside = !before.ends_with("dev-") && name.is_empty();
            names.extend(
                name.strip_prefix('.').filter(|_| !before.ends_with("dev-")).map(str::to_owned),
            );
        } else if inside
            && let Some(name) = line.split(['.', ' ', '=']).next().filter(|n| !n.is_empty())
        {
            names.insert(name.trim().to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_that_nobody_allowed_are_found() {
        let manifest = |name: &str, text: &str| (name.to_owned(), dependencies(text));
        let sound = manifest(
            "fits",
            "[dependencies]\nfiles.workspace = true\n[dev-dependencies]\ntestkit.workspace = true\n",
        );
        let files = manifest("files", "[dependencies]\n");
        assert_eq!(faults(&BTreeMap::from([sound, files.clone()])), Vec::<String>::new());
        let wrong =
            manifest("fits", "[dependencies]\nmodel = { path = \"x\" }\nrusqlite = \"1\"\n");
        let unknown = manifest("web", "[dependencies]\n");
        let model = manifest("model", "[dependencies]\n");
        let found = faults(&BTreeMap::from([wrong, files, model, unknown]));
        let wanted = [
            "fits depends on model, which is not in the list of arrows",
            "fits does not depend on files: remove the arrow from the list",
            "fits depends on rusqlite, which only archive, engine, lake, query, upkeep may",
            "crate web is not in the list of arrows",
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn dependencies_are_read_from_every_table() {
        let manifest = "[target.'cfg(unix)'.dependencies]\nclap = \"4\"\n[dependencies.ureq]\nversion = \"3\"\n\
             [dev-dependencies]\ntempfile = \"3\"\n[dev-dependencies.rusqlite]\nversion = \"1\"\n[build-dependencies]\ncc = \"1\"\n";
        let wanted = ["cc", "clap", "ureq"].map(str::to_owned);
        assert_eq!(dependencies(manifest), wanted.into());
    }
}
