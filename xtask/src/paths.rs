//! The paths in the documents: every file, module and item that ARCHITECTURE.md names exists, and so does what a link of any document
//! points to within the repository.

use crate::root;
use std::fs;
use std::path::Path;

/// Directories of a site, which are not part of the repository.
const OF_SITES: [&str; 6] = ["library/", "previews/", "staging/", "lake/", "logs/", "surveys/"];

/// A source file as a module.
struct Module {
    /// Crate and modules, e.g. `archive`, `control`, `store`.
    path: Vec<String>,
    text: String,
}

/// Checks every path.
pub fn check() -> Result<(), String> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md"))
        .map_err(|e| format!("ARCHITECTURE.md: {e}"))?;
    let mut files = Vec::new();
    list(&root(), &mut files).map_err(|e| e.to_string())?;
    let modules: Vec<Module> = files.iter().filter_map(|file| module(file)).collect();
    let mut checked = 0;
    let mut faults = Vec::new();
    for name in text.split('`').skip(1).step_by(2) {
        let exists: Vec<bool> =
            if name.contains("::") && !name.contains(' ') || name.contains("::{") {
                expanded(name).iter().map(|path| is_item(path, &modules)).collect()
            } else if name.contains('/') && !name.contains([' ', '<', '$']) {
                vec![OF_SITES.contains(&name) || is_file(name, &files)]
            } else {
                continue;
            };
        checked += 1;
        if !exists.into_iter().all(|exists| exists) {
            faults.push(format!("ARCHITECTURE.md names {name}, which does not exist"));
        }
    }
    let documents =
        files.iter().filter(|file| file.ends_with(".md") && !file.starts_with("crates/"));
    let mut links = 0;
    for document in documents {
        let text =
            fs::read_to_string(root().join(document)).map_err(|e| format!("{document}: {e}"))?;
        let within = linked(&text);
        links += within.len();
        let parent = root().join(document);
        let parent = parent.parent().unwrap_or(Path::new(""));
        let broken = within.into_iter().filter(|target| !parent.join(target).exists());
        faults.extend(
            broken.map(|target| format!("{document} links to {target}, which does not exist")),
        );
    }
    if faults.is_empty() {
        println!("{checked} paths of ARCHITECTURE.md and {links} links of documents looked up");
        return Ok(());
    }
    Err(faults.join("\n"))
}

/// Lists the targets of a document's links, without those to other hosts and to headings.
fn linked(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets
        .map(|(target, _)| target.split('#').next().unwrap_or_default())
        .filter(|target| !target.is_empty() && !target.contains("://"))
        .collect()
}

/// Lists the files of the repository, relative to its root.
fn list(directory: &Path, files: &mut Vec<String>) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == "target" || name == ".git" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            list(&entry.path(), files)?;
        } else if let Ok(path) = entry.path().strip_prefix(root()) {
            files.push(path.to_string_lossy().into_owned());
        }
    }
    Ok(())
}

/// Reads a source file of a crate.
fn module(file: &str) -> Option<Module> {
    let (name, rest) = file.strip_prefix("crates/")?.split_once("/src/")?;
    let mut path = vec![name.to_owned()];
    path.extend(rest.strip_suffix(".rs")?.split('/').map(str::to_owned));
    if path.last().is_some_and(|last| ["lib", "main", "mod"].contains(&last.as_str())) {
        path.pop();
    }
    let text = fs::read_to_string(root().join(file)).ok()?;
    Some(Module { path, text })
}

/// Returns the paths that `a::{b, c}` stands for.
fn expanded(name: &str) -> Vec<String> {
    match name.split_once('{').and_then(|(before, rest)| Some((before, rest.strip_suffix('}')?))) {
        Some((before, names)) => {
            names.split(',').map(|n| format!("{before}{}", n.trim())).collect()
        }
        None => vec![name.trim_end_matches("()").to_owned()],
    }
}

/// Returns true for a module, an item of one, or a member of such an item. A path may begin anywhere in its crate.
fn is_item(path: &str, modules: &[Module]) -> bool {
    let names: Vec<&str> = path.split("::").collect();
    let least = names.len().saturating_sub(2);
    (least..=names.len()).any(|at| {
        let (of_module, items) = names.split_at(at);
        modules.iter().any(|module| {
            let is_of = module.path.len() >= at
                && module.path[module.path.len() - at..].iter().zip(of_module).all(|(a, b)| a == b);
            // The type of a member may be re-exported: the member is in any file of the crate.
            let of_crate = |item: &str| {
                let same = |other: &&Module| other.path.first() == module.path.first();
                modules.iter().filter(same).any(|other| declares(&other.text, item))
            };
            is_of
                && items.first().is_none_or(|item| declares(&module.text, item))
                && items.get(1).is_none_or(|item| of_crate(item))
        })
    })
}

/// Returns true when a source file declares or re-exports a name.
fn declares(text: &str, name: &str) -> bool {
    const KEYWORDS: [&str; 9] = [
        "fn ",
        "struct ",
        "enum ",
        "trait ",
        "mod ",
        "const ",
        "type ",
        "static ",
        "macro_rules! ",
    ];
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    let follows = |keyword: &str| {
        let wanted = format!("{keyword}{name}");
        text.match_indices(&wanted).any(|(at, _)| ends(&text[at + wanted.len()..]))
    };
    let is_reexported = || {
        let uses = text.split("pub use ").skip(1).filter_map(|rest| rest.split(';').next());
        uses.flat_map(|list| list.split(|c: char| !c.is_alphanumeric() && c != '_'))
            .any(|word| word == name)
    };
    KEYWORDS.iter().any(|keyword| follows(keyword)) || is_reexported()
}

/// Returns true for a file or directory of the repository, or a part of its path. `*` matches any name.
fn is_file(name: &str, files: &[String]) -> bool {
    let (before, after) = name.split_once('*').unwrap_or((name, ""));
    files.iter().any(|file| {
        let (slashed, wanted) = (format!("/{file}/"), format!("/{before}"));
        let ends = |at: usize| {
            name.contains('*')
                || name.ends_with('/')
                || slashed[at + wanted.len()..].starts_with('/')
        };
        slashed.match_indices(&wanted).any(|(at, _)| ends(at)) && file.ends_with(after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_modules_items_and_members() {
        let module = |path: &[&str], text: &str| Module {
            path: path.iter().map(|&name| name.to_owned()).collect(),
            text: text.to_owned(),
        };
        let modules = [
            module(&["sky"], "pub mod wcs;\npub use wcs::Wcs;"),
            module(&["sky", "wcs"], "pub struct Wcs;\nimpl Wcs {\n    pub fn from_header() {}\n}"),
        ];
        for known in
            ["sky::wcs", "sky::Wcs", "wcs::Wcs", "sky::Wcs::from_header", "Wcs::from_header"]
        {
            assert!(is_item(known, &modules), "{known}");
        }
        for unknown in ["sky::frame", "wcs::Wc", "Wcs::from", "model::Wcs"] {
            assert!(!is_item(unknown, &modules), "{unknown}");
        }
        assert_eq!(expanded("sky::{wcs, Wcs}"), ["sky::wcs", "sky::Wcs"]);
    }

    #[test]
    fn files_are_found_by_parts_of_their_path() {
        let files = ["crates/model/tables/header.toml".to_owned()];
        for known in ["tables/*.toml", "crates/model/tables", "model/tables/header.toml"] {
            assert!(is_file(known, &files), "{known}");
        }
        for unknown in
            ["tables/*.sql", "els/tables", "model/header.toml", "crates/mod", "model/tab"]
        {
            assert!(!is_file(unknown, &files), "{unknown}");
        }
    }
}
