//! `almagest ingest`.

use super::ScopeArguments;
use super::night::{ended, open, report};
use crate::exit::Exit;
use crate::report::{Table, say};
use archive::Publication;
use curate::scope::{Scope, chosen};
use curate::site::Site;
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    of: ScopeArguments,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// Runs ingest alone.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    if arguments.dry_run {
        return ingestible(&site, &arguments.of.scope());
    }
    let mut night = open(site, "ingest")?;
    let deliveries = night.chosen(&arguments.of.scope())?;
    night.ingest(&deliveries)?;
    report(&night);
    Ok(ended(&mut night))
}

/// Shows the batches that ingest would make visible, and those that wait.
fn ingestible(site: &Site, scope: &Scope) -> anyhow::Result<Exit> {
    let archive = site.read()?;
    let deliveries = chosen(&archive, scope)?;
    let mut table = Table::new(["batch", "waits for"]);
    for round in archive.staged_rounds()? {
        if deliveries.contains(&round.unit.delivery) {
            table.row([round.unit.to_string(), round.blocked.unwrap_or_default()]);
        }
    }
    if !table.is_empty() {
        say!("{}", table.text());
    }
    Ok(Exit::Done)
}
