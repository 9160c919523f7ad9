//! `almagest pause`.

use super::instruction::{StopArguments, instruct};
use crate::exit::Exit;
use archive::planning::Instruction;
use std::path::PathBuf;

/// Stops new starts.
pub fn run(site: Option<PathBuf>, arguments: &StopArguments) -> anyhow::Result<Exit> {
    instruct(site, arguments, &Instruction::Pause, "nothing new starts")
}
