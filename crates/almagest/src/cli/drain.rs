//! `almagest drain`.

use super::instruction::{StopArguments, instruct};
use crate::exit::{self, Exit};
use crate::report::{counted, say};
use archive::attempts::{AttemptKey, Place};
use archive::planning::Instruction;
use curate::scheduler::Curator;
use curate::site::{self, Site};
use std::path::PathBuf;

/// Empties a host.
pub fn run(site: Option<PathBuf>, arguments: &StopArguments) -> anyhow::Result<Exit> {
    if arguments.about.host.is_none() {
        return Err(exit::usage("only a host can be drained: --host HOST"));
    }
    let host = arguments.about.host.clone().unwrap_or_default();
    let done = instruct(
        site.clone(),
        arguments,
        &Instruction::Drain,
        "what runs there ends, nothing new starts",
    )?;
    let site = Site::find(site)?;
    let mut curator =
        Curator::open_or_rehearse(site, &site::operator(), "drain", arguments.dry_run)?;
    if curator.reaches() {
        let is_there = |_: &AttemptKey, place: &Place| place.host == host;
        let taken = match arguments.dry_run {
            true => curator.cancellable(&is_there, true)?,
            false => curator.cancel(&is_there, true, "its host is drained")?,
        };
        say!("{} that had not started there cancelled", counted(taken, "task"));
    }
    Ok(done)
}
