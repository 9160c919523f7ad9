//! `almagest retract`: removal of a delivery from the archive, and its restoration.

use crate::exit::{self, Exit};
use crate::report::{Table, counted, grouped, say, say_part, utc_of};
use archive::records::{Cause, Retracted};
use archive::{Curation, Inquiry};
use curate::advice;
use curate::site::{self, Site};
use model::{Advice, UseCase};
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A retraction ends the rows of a delivery (all its rounds) in every table and view; it deletes
nothing, keeps who did it and why, and takes as long as the delivery is large. What the
delivery had superseded of earlier processings of the night shows again. --undo
brings all of it back under the same ids. To ingest it again instead: almagest metadata --again --delivery
NAME, likewise preview and catalogue, then almagest ingest.")]
pub struct Arguments {
    /// Name of the delivery, e.g. 20071011_v1.
    #[arg(value_name = "DELIVERY")]
    delivery: String,
    /// Only this use case: preview, metadata (takes previews and detections along) or catalogue; may be repeated.
    #[arg(long, value_name = "USE_CASE")]
    use_case: Vec<UseCase>,
    /// Why, for the history.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Bring back what was retracted.
    #[arg(long)]
    undo: bool,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// Removes a delivery from the archive, or restores it.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let name = &arguments.delivery;
    if arguments.dry_run {
        return prospect(&site, arguments);
    }
    let cause = Cause::new(site::operator(), arguments.reason.trim());
    if cause.why.is_empty() {
        return Err(exit::usage("--reason must say why"));
    }
    let mut archive = site.write()?;
    let done = if arguments.undo {
        archive.restore(name, &arguments.use_case, &cause, site::now())?
    } else {
        archive.retract(name, &arguments.use_case, &cause, site::now())?
    };
    told(&done, arguments.undo);
    if !arguments.undo {
        let undo = Advice::RetractUndo { delivery: name.clone() };
        say!("undo: {}", advice::command(&undo));
    }
    Ok(Exit::Done)
}

fn told(done: &Retracted, undo: bool) {
    let rounds: Vec<String> = done.rounds.iter().map(ToString::to_string).collect();
    let event = done.event.map(|e| e.get()).unwrap_or_default();
    let what = if undo { "brought back" } else { "retracted" };
    say!("{what} in event {event}: {}", rounds.join(", "));
    let mut table = Table::new(["table", "rows"]);
    for (name, rows) in &done.rows {
        table.row([name.clone(), grouped(*rows)]);
    }
    say_part!("{}", table.text());
    if !done.shown_again.is_empty() {
        let frames = counted(done.shown_again.len() as u64, "multiframe");
        say!("{frames} of earlier processings of the night show again");
    }
}

/// Shows the rounds that would be removed or restored.
fn prospect(site: &Site, arguments: &Arguments) -> anyhow::Result<Exit> {
    let status = site.read()?.status()?;
    let delivery = status.deliveries.iter().find(|d| d.name == arguments.delivery);
    let delivery = delivery.ok_or_else(|| {
        exit::gate(format!("the archive knows no delivery {:?}", arguments.delivery))
    })?;
    let state = if arguments.undo { "retracted" } else { "ingested" };
    let all = arguments.use_case.is_empty() || arguments.use_case.contains(&UseCase::Metadata);
    let mut table = Table::new(["round", "since (UTC)", "why"]);
    for round in delivery.rounds.iter().filter(|r| r.state == state) {
        if all || arguments.use_case.iter().any(|u| u.name() == round.use_case) {
            let name = format!("{} round {}", round.use_case, round.round);
            table.row([name, utc_of(&round.since), round.why.clone()]);
        }
    }
    say_part!("{}", table.text());
    Ok(Exit::Done)
}
