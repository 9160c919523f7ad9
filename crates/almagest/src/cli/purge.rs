//! `almagest purge`: permanent deletion of what is retracted.

use crate::exit::Exit;
use crate::report::{counted, say};
use archive::{Curation, Inquiry};
use curate::site::{self, Site};
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only this delivery; else everything that is retracted.
    #[arg(value_name = "DELIVERY")]
    delivery: Option<String>,
    /// Only say what would be deleted.
    #[arg(long)]
    dry_run: bool,
}

/// Deletes permanently the data that are retracted.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let name = arguments.delivery.as_deref();
    if arguments.dry_run {
        let status = site.read()?.status()?;
        let deliveries = status.deliveries.iter().filter(|d| name.is_none_or(|n| n == d.name));
        for delivery in deliveries {
            for round in delivery.rounds.iter().filter(|r| r.state == "retracted") {
                say!("{} {} round {}", delivery.name, round.use_case, round.round);
            }
        }
        return Ok(Exit::Done);
    }
    let purged = site.write()?.purge(name, site::now())?;
    for round in &purged.rounds {
        say!("purged {round}");
    }
    say!("{} deleted, {} removed", counted(purged.rows, "row"), counted(purged.files, "file"));
    Ok(Exit::Done)
}
