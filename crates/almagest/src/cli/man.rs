//! `almagest man`: manual pages, made from the definition of the command line.

use crate::exit::Exit;
use crate::report::say_part;
use anyhow::Context;
use clap::{Command, CommandFactory};
use std::path::{Path, PathBuf};

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Write a page for almagest and one for each verb into this directory, instead of the first to stdout.
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Prints or writes manual pages.
pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let command = command();
    let Some(directory) = &arguments.directory else {
        say_part!("{}", String::from_utf8_lossy(&page(command)?));
        return Ok(Exit::Done);
    };
    files::create_dir(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let name = format!("almagest-{}", verb.get_name());
        write(directory, &name, verb.clone())?;
    }
    write(directory, "almagest", command)?;
    Ok(Exit::Done)
}

/// Returns the definition of the command line.
pub fn command() -> Command {
    let mut command = super::Arguments::command();
    command.build();
    command
}

fn write(directory: &Path, name: &str, command: Command) -> anyhow::Result<()> {
    files::publish_bytes(&directory.join(format!("{name}.1")), &page(command)?)?;
    Ok(())
}

fn page(command: Command) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(page)
}
