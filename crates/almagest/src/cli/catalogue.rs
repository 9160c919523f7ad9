//! `almagest catalogue`.

use super::step;
use crate::exit::Exit;
use model::UseCase;
use std::path::PathBuf;

/// Runs only CU4.
pub fn run(site: Option<PathBuf>, arguments: &step::StepArguments) -> anyhow::Result<Exit> {
    step::run(site, UseCase::Catalogue, arguments, arguments.redo())
}
