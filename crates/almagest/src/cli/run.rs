//! `almagest run`: all steps for some deliveries.

use super::ScopeArguments;
use super::identity::IdentityArguments;
use super::night::{ended, name_retracted, open, report};
use super::step::planned;
use super::transfer::{Sourced, expected, opened};
use crate::exit::Exit;
use archive::Inquiry;
use curate::scope::chosen;
use curate::site::Site;
use curate::steps::{Night, Whole, Word, came_from, gate};
use model::{Advice, UseCase};
use std::path::PathBuf;
use std::rc::Rc;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Directories or URLs of deliveries, one night and pipeline version each, e.g. inbox/20071011_v1.
    #[arg(
        required_unless_present_any = ["night", "delivery"],
        conflicts_with_all = ["night", "delivery"],
        value_name = "DELIVERY"
    )]
    deliveries: Vec<String>,
    #[command(flatten)]
    of: ScopeArguments,
    #[command(flatten)]
    identity: IdentityArguments,
    /// More files of these deliveries are to come: they stay open. Without it each is complete when all that its directory holds
    /// is transferred.
    #[arg(long)]
    more_to_come: bool,
    /// Work on what is paused or rejected too, and beside the data daemon.
    #[arg(long)]
    force: bool,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// Runs all steps for some deliveries.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    // Known deliveries whose sources no longer exist are worked on without a transfer.
    let (deliveries, known) = match arguments.deliveries.as_slice() {
        [] => {
            let archive = site.read()?;
            let found = came_from(&site, &archive, &arguments.of.scope())?;
            let shared = |(origin, directory)| (Rc::new(origin), directory);
            (found.into_iter().map(shared).collect(), chosen(&archive, &arguments.of.scope())?)
        }
        given => (opened(&site, given)?, Vec::new()),
    };
    arguments.identity.check(deliveries.len())?;
    let whole = if arguments.more_to_come { Whole::MoreToCome } else { Whole::AllHere };
    let word = Word { identity: arguments.identity.identity(), whole, ..Word::default() };
    if arguments.dry_run {
        let names = expected(&site, &deliveries, &word.identity)?;
        let archive = site.read()?;
        let known = archive.deliveries(None)?;
        let names: Vec<String> = names.into_iter().filter(|n| known.contains(n)).collect();
        return planned(&site, &UseCase::ALL, &names);
    }
    if !arguments.force {
        let fetch =
            arguments.deliveries.iter().map(|place| Advice::TransferFrom { place: place.clone() });
        gate::alone(&site, &fetch.chain([Advice::Plan]).collect::<Vec<_>>())?;
    }
    let mut night = open(site, "run")?;
    if arguments.force {
        night.force();
    }
    let names = curate_all(&mut night, &deliveries, known, &word)?;
    report(&night);
    name_retracted(night.site(), &names)?;
    gate::tell_held(&night.stopped);
    Ok(ended(&mut night))
}

/// Transfers deliveries, then runs all other steps.
pub fn curate(night: &mut Night, deliveries: &[Sourced], word: &Word) -> anyhow::Result<()> {
    curate_all(night, deliveries, Vec::new(), word)?;
    Ok(())
}

fn curate_all(
    night: &mut Night,
    deliveries: &[Sourced],
    mut names: Vec<String>,
    word: &Word,
) -> anyhow::Result<Vec<String>> {
    for (origin, directory) in deliveries {
        if night.interrupted() {
            return Ok(names);
        }
        names.push(night.bring(origin, directory, word)?);
    }
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    night.admit(&names, &UseCase::ALL)?;
    night.work(&names, &UseCase::ALL, true)?;
    Ok(names)
}
