//! `almagest completions` and `almagest man`: shell completions and manual pages, made from the command line's definition.

use crate::exit::Exit;
use crate::report::say_part;
use anyhow::Context;
use clap::{Command, CommandFactory};
use std::path::{Path, PathBuf};

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArguments {
    /// The shell.
    shell: clap_complete::Shell,
}

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
pub struct ManArguments {
    /// Write a page for almagest and one for each verb into this directory, instead of the first to stdout.
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Prints a completion script.
pub fn completions(arguments: &CompletionsArguments) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command(), "almagest", &mut script);
    say_part!("{}", String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}

/// Prints or writes manual pages.
pub fn man(arguments: &ManArguments) -> anyhow::Result<Exit> {
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

fn command() -> Command {
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
