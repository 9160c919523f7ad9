//! `almagest purge`: permanent deletion of what is retracted.

use super::dry_run::tell_dry_run;
use crate::exit::{self, Exit};
use crate::report::{bytes, counted, say, shown, tell};
use archive::history::Cause;
use archive::retraction::purge::{PurgeScope, Purged};
use curate::site::{self, Site};
use curate::{log, note};
use model::DeliveryName;
use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What is purged cannot be brought back; it can be ingested again, under new ids, from the files of
the library. The command names the deliveries, rounds, rows and files first, and asks for
confirmation. Without a terminal it needs --yes. Who purged and why is kept, and `explain` shows
it.

With --json: one object {dry_run, deliveries, rounds: [{delivery, use_case, round}], rows, files,
bytes, reason}.")]
pub struct Arguments {
    /// Only this delivery; else everything that is retracted.
    #[arg(value_name = "DELIVERY")]
    delivery: Option<DeliveryName>,
    /// Why, for the history.
    #[arg(long, value_name = "TEXT", required_unless_present = "dry_run")]
    reason: Option<String>,
    /// Do not ask for confirmation.
    #[arg(long)]
    yes: bool,
    /// Only say what would be deleted.
    #[arg(long)]
    dry_run: bool,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

/// Deletes permanently the data that are retracted, after naming them.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let cause = cause(arguments)?;
    let can_ask = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if !(arguments.yes || arguments.dry_run || can_ask) {
        return Err(exit::usage(
            "a purge deletes permanently and there is no terminal to confirm it on: --yes confirms it",
        ));
    }
    let mut archive = site.write_or_rehearse(true)?;
    let scope = arguments.delivery.as_deref().map_or(PurgeScope::All, PurgeScope::Delivery);
    let due = archive.purge(scope, &cause, site::now())?;
    if arguments.dry_run {
        print(&due, arguments)?;
        return Ok(Exit::Done);
    }
    if !due.rounds.is_empty() {
        let deletion = in_words(&due);
        if arguments.yes {
            tell!(WARN, "purge", "to be deleted permanently: {deletion}");
        } else if !is_confirmed(&deletion)? {
            return Err(exit::gate("not confirmed: nothing is deleted"));
        }
    }
    archive.set_rehearsal(false);
    log::open(&site, log::Writer::Commands);
    // What was retracted since was not named, and stays.
    let purged = archive.purge(PurgeScope::Rounds(&due.rounds), &cause, site::now())?;
    note!(INFO, "purged", rows = purged.rows, "purged {}: {}", in_words(&purged), cause.why);
    print(&purged, arguments)?;
    Ok(Exit::Done)
}

/// Returns who purges and why. A dry run, which keeps no reason, needs none.
fn cause(arguments: &Arguments) -> anyhow::Result<Cause> {
    let why = match &arguments.reason {
        Some(reason) => reason.trim(),
        None => "dry run",
    };
    if why.is_empty() {
        return Err(exit::usage("--reason must say why"));
    }
    Ok(Cause::new(site::operator(), why))
}

/// Returns the deliveries of purged rounds.
fn deliveries(purged: &Purged) -> BTreeSet<&str> {
    purged.rounds.iter().map(|round| round.delivery.as_str()).collect()
}

/// Returns the numbers and the deliveries of a purge.
fn in_words(due: &Purged) -> String {
    let deliveries = deliveries(due);
    let names: Vec<String> = deliveries.iter().map(|name| shown(name)).collect();
    format!(
        "{} of {}, {} and {} with {}: {}",
        counted(due.rounds.len() as u64, "round"),
        counted(deliveries.len() as u64, "delivery"),
        counted(due.rows, "row"),
        counted(due.files, "file"),
        bytes(due.bytes),
        names.join(", ")
    )
}

/// Asks on the terminal, whatever `--quiet` says, after naming what is to be deleted. Only `yes` confirms.
fn is_confirmed(deletion: &str) -> anyhow::Result<bool> {
    let mut terminal = std::io::stderr();
    write!(
        terminal,
        "almagest: to be deleted permanently: {deletion}\ndelete it permanently? Type yes: "
    )?;
    terminal.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}

/// Prints what was deleted, or what would be.
fn print(purged: &Purged, arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.json {
        let rounds: Vec<_> = purged
            .rounds
            .iter()
            .map(|r| {
                serde_json::json!({"delivery": r.delivery, "use_case": r.use_case.name(), "round": r.round})
            })
            .collect();
        let report = serde_json::json!({
            "dry_run": arguments.dry_run,
            "deliveries": deliveries(purged),
            "rounds": rounds,
            "rows": purged.rows,
            "files": purged.files,
            "bytes": purged.bytes,
            "reason": arguments.reason,
        });
        say!("{}", crate::report::json(&report)?);
        return Ok(());
    }
    tell_dry_run(arguments.dry_run);
    for round in &purged.rounds {
        say!("purged {round}");
    }
    say!(
        "{} deleted, {} with {} removed",
        counted(purged.rows, "row"),
        counted(purged.files, "file"),
        bytes(purged.bytes)
    );
    Ok(())
}
