//! `almagest retract`: removal of a delivery from the archive, and its restoration.

use super::decision::Form;
use crate::exit::{self, Exit};
use crate::report::{Table, counted, grouped, say, say_part};
use archive::history::Cause;
use archive::retraction::Retracted;
use curate::advice;
use curate::site::{self, Site};
use model::{Advice, DeliveryName, UseCase};
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A retraction ends the rows of a delivery (all its rounds) in every table and view; it deletes
nothing, records who did it and why, and takes time in proportion to the size of the delivery.
Products of earlier processings of the night that the delivery had superseded become current
again. --undo restores all rows under the same ids. To ingest the delivery again instead: almagest
metadata --again --delivery NAME, likewise preview and catalogue, then almagest ingest.

With --json: one object {dry_run, act, subject, who, reason, undo, delivery, event, rounds:
[{use_case, round}], rows: {TABLE: COUNT}, shown_again}; shown_again counts multiframes of earlier
processings that are current again.")]
pub struct Arguments {
    /// Name of the delivery, e.g. 20071011_v1.
    #[arg(value_name = "DELIVERY")]
    delivery: DeliveryName,
    /// Only this use case: preview, metadata (includes previews and detections) or catalogue; may be repeated.
    #[arg(long, value_name = "USE_CASE")]
    use_case: Vec<UseCase>,
    /// Reason, for the history.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Undo the retraction.
    #[arg(long)]
    undo: bool,
    #[command(flatten)]
    form: Form,
}

/// Removes a delivery from the archive, or restores it.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let name = &arguments.delivery;
    let cause = Cause::new(site::operator(), arguments.reason.trim());
    if cause.why.is_empty() {
        return Err(exit::usage("--reason is empty"));
    }
    let mut archive = site.write_or_rehearse(arguments.form.dry_run)?;
    let (act, done) = if arguments.undo {
        ("retract --undo", archive.restore(name, &arguments.use_case, &cause, site::now())?)
    } else {
        ("retract", archive.retract(name, &arguments.use_case, &cause, site::now())?)
    };
    arguments.form.report((act, name.as_str()), &cause, details(&done, arguments), || {
        told(&done, arguments.undo);
        if !arguments.undo {
            let undo = Advice::RetractUndo { delivery: name.clone() };
            say!("undo: {}", advice::command(&undo));
        }
    })
}

fn told(done: &Retracted, undo: bool) {
    let rounds: Vec<String> = done.rounds.iter().map(ToString::to_string).collect();
    let event = done.event.map(|e| e.get()).unwrap_or_default();
    let what = if undo { "restored" } else { "retracted" };
    say!("{what} in event {event}: {}", rounds.join(", "));
    let mut table = Table::new(["table", "rows"]);
    for (name, rows) in &done.rows {
        table.row([name.clone(), grouped(*rows)]);
    }
    say_part!("{}", table.text());
    if !done.shown_again.is_empty() {
        let frames = counted(done.shown_again.len() as u64, "multiframe");
        say!("{frames} of earlier processings of the night are current again");
    }
}

fn details(done: &Retracted, arguments: &Arguments) -> serde_json::Value {
    let rounds: Vec<_> = done
        .rounds
        .iter()
        .map(|r| serde_json::json!({"use_case": r.use_case.name(), "round": r.round}))
        .collect();
    let rows: serde_json::Map<_, _> =
        done.rows.iter().map(|(table, rows)| (table.clone(), (*rows).into())).collect();
    serde_json::json!({
        "undo": arguments.undo,
        "delivery": arguments.delivery,
        "event": done.event.map(|event| event.get()),
        "rounds": rounds,
        "rows": rows,
        "shown_again": done.shown_again.len(),
    })
}
