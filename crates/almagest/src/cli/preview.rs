//! `almagest preview`.

use super::step::{self, Redo};
use crate::exit::Exit;
use model::UseCase;
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = step::JSON_HELP)]
pub struct Arguments {
    #[command(flatten)]
    step: step::StepArguments,
    /// Make those previews again whose files are lost or damaged, and no others.
    #[arg(long, conflicts_with = "again")]
    lost: bool,
}

/// Runs only CU2.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let redo = if arguments.lost { Redo::LostPreviews } else { arguments.step.redo() };
    step::run(site, UseCase::Preview, &arguments.step, redo)
}
