//! `almagest config show`.

use crate::exit::Exit;
use crate::report::say;
use crate::site::Site;
use clap::Subcommand;
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
    Show,
}

/// Prints the effective configuration as TOML.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let Act::Show = arguments.act;
    let site = Site::find(site)?;
    let path = site.place.config();
    let written: toml::Table = toml::from_str(&std::fs::read_to_string(&path)?)?;
    let effective = toml::Table::try_from(&site.config)?;
    for (section, values) in &effective {
        say!("[{section}]");
        for (key, value) in values.as_table().into_iter().flatten() {
            let given = written.get(section).and_then(|s| s.get(key)).is_some();
            let origin = if given { "almagest.toml" } else { "default" };
            say!("{key} = {value}  # {origin}");
        }
    }
    Ok(Exit::Done)
}
