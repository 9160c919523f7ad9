//! `almagest config show`.

use crate::exit::Exit;
use crate::report::say;
use clap::Subcommand;
use curate::config::{self, Config, SourceConfig};
use curate::site::Site;
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Print the effective configuration, and where each value comes from
    #[command(after_help = "\
With --json: one object {values: [{section: [NAME], key, value, origin}], environment: [{what,
origin}]}.")]
    Show {
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// Prints the effective configuration as TOML, each value with its origin.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let Act::Show { json } = arguments.act;
    let site = Site::find(site)?;
    let (sections, environment) = (sections(&site)?, of_the_environment(&site));
    if json {
        say!("{}", crate::report::json(&as_json(&sections, &environment)?)?);
        return Ok(Exit::Done);
    }
    for section in sections {
        let named: Vec<String> = section.path.iter().map(|part| key_of(part)).collect();
        say!("[{}]", named.join("."));
        for (key, value, origin) in section.values {
            say!("{} = {value}  # {origin}", key_of(&key));
        }
    }
    for (what, origin) in environment {
        say!("# {what}: {origin}");
    }
    Ok(Exit::Done)
}

/// A section of the configuration with its effective values.
struct Section {
    path: Vec<String>,
    /// Key, value and origin.
    values: Vec<(String, toml::Value, String)>,
}

/// Returns the sections of the effective configuration.
fn sections(site: &Site) -> anyhow::Result<Vec<Section>> {
    let lines = config::text::lines(&std::fs::read_to_string(site.place.config())?);
    let effective = toml::Table::try_from(&site.config)?;
    let section = |path: &[&str], values: &toml::Table, defaults: Option<&toml::Table>| {
        let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
        let mut section = Section { path, values: Vec::new() };
        for (key, value) in values.iter().filter(|(_, value)| !value.is_table()) {
            let of_key: Vec<String> = section.path.iter().chain([key]).cloned().collect();
            let origin = match lines.get(&of_key) {
                Some(line) if defaults.and_then(|d| d.get(key)) == Some(value) => {
                    format!("{}:{line}, equal to the default", config::FILE_NAME)
                }
                Some(line) => format!("{}:{line}", config::FILE_NAME),
                None => "default".to_owned(),
            };
            section.values.push((key.clone(), value.clone(), origin));
        }
        section
    };
    let defaults = toml::Table::try_from(Config::default())?;
    let source = toml::Table::try_from(SourceConfig::default())?;
    let mut sections = Vec::new();
    for (name, values) in effective.iter().filter_map(|(name, v)| Some((name, v.as_table()?))) {
        match name.as_str() {
            "sources" | "hosts" => {
                for (of, values) in values.iter().filter_map(|(of, v)| Some((of, v.as_table()?))) {
                    let defaults = (name == "sources").then_some(&source);
                    sections.push(section(&[name, of], values, defaults));
                }
            }
            name => {
                let defaults = defaults.get(name).and_then(toml::Value::as_table);
                sections.push(section(&[name], values, defaults));
            }
        }
    }
    Ok(sections)
}

/// Returns the configuration for `--json`.
fn as_json(
    sections: &[Section],
    environment: &[(String, String)],
) -> anyhow::Result<serde_json::Value> {
    let mut values = Vec::new();
    for section in sections {
        for (key, value, origin) in &section.values {
            let value = serde_json::to_value(value)?;
            values.push(serde_json::json!({
                "section": section.path, "key": key, "value": value, "origin": origin
            }));
        }
    }
    let environment: Vec<_> = environment
        .iter()
        .map(|(what, origin)| serde_json::json!({"what": what, "origin": origin}))
        .collect();
    Ok(serde_json::json!({"values": values, "environment": environment}))
}

/// Returns a key as TOML writes it.
fn key_of(key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !key.is_empty() && key.chars().all(is_bare) {
        true => key.to_owned(),
        false => toml::Value::from(key).to_string(),
    }
}

/// Returns the values from the environment, by the names of its variables. Values are not shown: some are secrets.
fn of_the_environment(site: &Site) -> Vec<(String, String)> {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let environment = |name: &str| match is_set(name) {
        true => format!("environment ({name})"),
        false => format!("environment ({name}), which is not set"),
    };
    let mut found = Vec::new();
    if is_set("ALMAGEST_SITE") && curate::advice::is_site_unnamed() {
        found.push(("the site".to_owned(), environment("ALMAGEST_SITE")));
    }
    if is_set(curate::site::OPERATOR) {
        found.push(("the operator's name".to_owned(), environment(curate::site::OPERATOR)));
    }
    if site.config.database.url.is_some() {
        for name in ["PGPASSWORD", "PGPASSFILE", "PGUSER"].into_iter().filter(|n| is_set(n)) {
            found.push(("the login to the database".to_owned(), environment(name)));
        }
    }
    for (name, source) in &site.config.sources {
        let is_s3 = source.url.starts_with("s3://");
        let what = |of: &str| format!("{of} of source {name}");
        if source.secret_file.is_none() && !source.secret_env.is_empty() {
            found.push((what("the secret"), environment(&source.secret_env)));
        } else if source.secret_file.is_none() && is_s3 {
            found.push((what("the secret key"), environment("AWS_SECRET_ACCESS_KEY")));
        }
        if is_s3 && source.user.is_empty() {
            found.push((what("the access key"), environment("AWS_ACCESS_KEY_ID")));
        }
    }
    if site.config.plan.executor == config::ExecutorKind::Slurm && is_set("SLURM_CONF") {
        found.push(("the cluster".to_owned(), environment("SLURM_CONF")));
    }
    found
}
