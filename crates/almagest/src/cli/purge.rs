//! `almagest purge`: permanent deletion of what is retracted.

use super::dry_run::tell_dry_run;
use crate::exit::{self, Exit};
use crate::report::{bytes, counted, say, shown, tell};
use archive::history::Cause;
use archive::retraction::purge::{PurgeScope, Purged, RetractedRound};
use curate::site::{self, Site};
use curate::{log, note};
use model::DeliveryName;
use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A purge cannot be undone; the files of the library can be ingested again, under new ids. The
command names the deliveries, rounds, rows and files first, and asks for confirmation. Without a
terminal it needs --yes. The history keeps who purged what and why, and `explain` shows it.

With --json: one object {dry_run, deliveries, rounds: [{delivery, use_case, round, retracted_in}],
rows, files, bytes, reason}, where retracted_in is the number of an event.")]
pub struct Arguments {
    /// Only this delivery [default: all retracted rounds].
    #[arg(value_name = "DELIVERY")]
    delivery: Option<DeliveryName>,
    /// Reason, for the history.
    #[arg(long, value_name = "TEXT", required_unless_present = "dry_run")]
    reason: Option<String>,
    /// Do not ask for confirmation.
    #[arg(long)]
    yes: bool,
    /// Only print what would be deleted.
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
            "a purge is permanent, and there is no terminal to confirm it: give --yes",
        ));
    }
    let scope = arguments.delivery.as_deref().map_or(PurgeScope::All, PurgeScope::Delivery);
    // The rehearsal is the deletion itself, rolled back: which lake files go depends on the rows that went before, so a count by
    // other queries could differ from what the act deletes. It opens and hashes no file; it looks up the size of those that go.
    let rehearsed = || -> anyhow::Result<Purged> {
        Ok(site.write_or_rehearse(true)?.purge(scope, &cause, site::now())?)
    };
    if arguments.dry_run {
        print(&rehearsed()?, arguments)?;
        return Ok(Exit::Done);
    }
    // What is retracted after it was named, or again after an undo, stays.
    let due = if arguments.yes {
        let due = site.read()?.purgeable(scope)?;
        if !due.is_empty() {
            tell!(WARN, "purge", "to be deleted permanently: {}", rounds_in_words(&due));
        }
        due
    } else {
        let due = rehearsed()?;
        if !due.rounds.is_empty() && !is_confirmed(&in_words(&due))? {
            return Err(exit::gate("not confirmed: nothing is deleted"));
        }
        due.rounds
    };
    let purged = site.write()?.purge(PurgeScope::Rounds(&due), &cause, site::now())?;
    note!(INFO, "purged", rows = purged.rows, "purged {}: {}", in_words(&purged), cause.why);
    log::decision("purge", arguments.delivery.as_deref().unwrap_or("all retractions"), &cause);
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
        return Err(exit::usage("--reason is empty"));
    }
    Ok(Cause::new(site::operator(), why))
}

/// Returns the deliveries of retracted rounds.
fn deliveries(rounds: &[RetractedRound]) -> BTreeSet<&str> {
    rounds.iter().map(|round| round.unit.delivery.as_str()).collect()
}

/// Returns the number of retracted rounds, and the number of their deliveries.
fn counts_in_words(rounds: &[RetractedRound]) -> String {
    let deliveries = counted(deliveries(rounds).len() as u64, "delivery");
    format!("{} of {deliveries}", counted(rounds.len() as u64, "round"))
}

fn names(rounds: &[RetractedRound]) -> String {
    deliveries(rounds).into_iter().map(shown).collect::<Vec<_>>().join(", ")
}

/// Returns the numbers and the deliveries of retracted rounds.
fn rounds_in_words(rounds: &[RetractedRound]) -> String {
    format!("{}: {}", counts_in_words(rounds), names(rounds))
}

/// Returns the numbers and the deliveries of a purge.
fn in_words(due: &Purged) -> String {
    format!(
        "{}, {} and {} with {}: {}",
        counts_in_words(&due.rounds),
        counted(due.rows, "row"),
        counted(due.files, "file"),
        bytes(due.bytes),
        names(&due.rounds)
    )
}

/// Asks on the terminal, even with `--quiet`, after naming the rows and files to delete. Only `yes` confirms.
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
            .map(|RetractedRound { unit, event }| {
                serde_json::json!({
                    "delivery": unit.delivery, "use_case": unit.use_case.name(), "round": unit.round,
                    "retracted_in": event.get(),
                })
            })
            .collect();
        let report = serde_json::json!({
            "dry_run": arguments.dry_run,
            "deliveries": deliveries(&purged.rounds),
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
        say!("purged {}", round.unit);
    }
    say!(
        "{} deleted, {} with {} removed",
        counted(purged.rows, "row"),
        counted(purged.files, "file"),
        bytes(purged.bytes)
    );
    Ok(())
}
