//! The section `database` in the text of a configuration: written and replaced without changing the rest.

use super::TEMPLATE;
use super::text;
use std::path::{Path, PathBuf};

/// Returns [`TEMPLATE`] for an archive on a server.
pub fn on_server(database: &archive::Database) -> String {
    moved_to(&text::commented(TEMPLATE), database)
}

/// Keys of the section `database`.
const DATABASE_KEYS: [&str; 4] = ["url", "password_file", "query_user", "query_password_file"];

/// Returns a configuration with the keys of the section `database` turned back into comments.
fn without_database(text: &str) -> String {
    let mut section = "";
    let lines = text.lines().map(|line| {
        if line.starts_with('[') {
            section = line.split('#').next().unwrap_or_default().trim();
        }
        let key = line.split_once('=').map_or("", |(key, _)| key.trim());
        if section == "[database]" && DATABASE_KEYS.contains(&key) {
            return format!("# {key} = \n");
        }
        format!("{line}\n")
    });
    lines.collect()
}

/// Returns a configuration for an archive that moved; the rest of the text stays as it is.
pub fn moved_to(text: &str, database: &archive::Database) -> String {
    let path = |path: &PathBuf| path.to_string_lossy().into_owned();
    let values = [
        ("url", database.url.clone()),
        ("password_file", database.password_file.as_ref().map(path)),
        ("query_user", database.query_user.clone()),
        ("query_password_file", database.query_password_file.as_ref().map(path)),
    ];
    let values = values.into_iter().filter_map(|(key, value)| Some((key, value?)));
    values.fold(without_database(text), |text, (key, value)| filled(text, key, &value))
}

/// Returns a configuration whose queries run under a login.
pub fn with_query_login(text: &str, login: &str, password_file: &Path) -> String {
    let mut section = "";
    let kept = text.lines().filter(|line| {
        if line.starts_with('[') {
            section = line.split('#').next().unwrap_or_default().trim();
        }
        let key = line.split_once('=').map_or("", |(key, _)| key.trim());
        section != "[database]" || !["query_user", "query_password_file"].contains(&key)
    });
    let kept: String = kept.map(|line| format!("{line}\n")).collect();
    let with_login = filled(kept, "query_user", login);
    filled(with_login, "query_password_file", &password_file.to_string_lossy())
}

/// Returns a configuration with a key of the section `database` set: in the place of the key's comment, else at the beginning of
/// the section.
fn filled(text: String, key: &str, value: &str) -> String {
    let set = format!("{key} = {}", toml::Value::from(value));
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let Some(heading) = lines.iter().position(|line| line.trim_start().starts_with("[database]"))
    else {
        let space = if text.is_empty() || text.ends_with("\n\n") { "" } else { "\n" };
        return format!("{text}{space}[database]\n{set}\n");
    };
    let end = lines[heading + 1..].iter().position(|line| line.trim_start().starts_with('['));
    let end = end.map_or(lines.len(), |length| heading + 1 + length);
    let marked = format!("# {key} =");
    match lines[heading..end].iter().position(|line| line.starts_with(&marked)) {
        Some(at) => lines[heading + at] = set,
        None => lines.insert(heading + 1, set),
    }
    lines.into_iter().map(|line| line + "\n").collect()
}
