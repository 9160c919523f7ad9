//! `almagest completions`: a completion script, made from the definition of the command line.

use super::man::command;
use crate::exit::Exit;
use crate::report::say_part;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The shell.
    shell: clap_complete::Shell,
}

/// Prints a completion script.
pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command(), "almagest", &mut script);
    say_part!("{}", String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}
