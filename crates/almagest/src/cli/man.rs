//! `almagest man`: manual pages, made from the definition of the command line.

use super::dry_run::tell_dry_run;
use crate::exit::Exit;
use crate::report::{say, say_part};
use anyhow::Context;
use clap::{Command, CommandFactory};
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Write a page for almagest and one for each verb into this directory, instead of the first to stdout.
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
    /// With DIR: only print which pages would be written.
    #[arg(long, requires = "directory")]
    dry_run: bool,
}

/// Prints or writes manual pages.
pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let command = command();
    let Some(directory) = &arguments.directory else {
        say_part!("{}", String::from_utf8_lossy(&page(command)?));
        return Ok(Exit::Done);
    };
    let verbs = command.get_subcommands().filter(|verb| verb.get_name() != "help");
    let mut pages: Vec<(String, Command)> =
        verbs.map(|verb| (format!("almagest-{}", verb.get_name()), verb.clone())).collect();
    pages.push(("almagest".to_owned(), command));
    tell_dry_run(arguments.dry_run);
    if !arguments.dry_run {
        files::create_dir(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
    }
    for (name, command) in pages {
        let path = directory.join(format!("{name}.1"));
        if arguments.dry_run {
            say!("{}", path.display());
        } else {
            files::publish_bytes(&path, &page(command)?)?;
        }
    }
    Ok(Exit::Done)
}

/// Returns the definition of the command line.
pub fn command() -> Command {
    let mut command = super::Arguments::command();
    command.build();
    command
}

fn page(command: Command) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(page)
}
