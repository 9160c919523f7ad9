//! `almagest status`.

use crate::exit::Exit;
use crate::report::{Table, bytes, grouped, say, say_part};
use crate::site::Site;
use archive::Inquiry;
use archive::report::Status;
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

/// Prints where everything stands.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let status = Site::find(site)?.read()?.status()?;
    if arguments.json {
        say!("{}", serde_json::to_string_pretty(&status)?);
    } else {
        say_part!("{}", text(&status));
    }
    Ok(Exit::Done)
}

fn text(status: &Status) -> String {
    if status.deliveries.is_empty() {
        return "no deliveries yet: almagest run DELIVERY_DIR\n".to_owned();
    }
    let tables = [deliveries(status), unfinished(status), programmes(status)];
    let shown: Vec<String> = tables.iter().filter(|t| !t.is_empty()).map(Table::text).collect();
    let mut text = shown.join("\n");
    if status.open_refusals + status.parked_refusals > 0 {
        text += &format!(
            "\nopen refusals: {}, parked: {}: almagest refusals list\n",
            grouped(status.open_refusals),
            grouped(status.parked_refusals)
        );
    }
    let findings: u64 = status.deliveries.iter().map(|d| d.findings).sum();
    if findings > 0 {
        text += &format!(
            "\n{} kinds of findings in what was accepted: almagest findings\n",
            grouped(findings)
        );
    }
    text
}

fn deliveries(status: &Status) -> Table {
    let mut table = Table::new([
        "delivery",
        "state",
        "images",
        "detectors",
        "multiframes",
        "detections",
        "previews",
        "refusals",
        "parked",
        "findings",
        "size",
    ]);
    for d in &status.deliveries {
        table.row([
            d.name.clone(),
            d.state.clone(),
            grouped(d.images),
            grouped(d.detectors),
            grouped(d.multiframes),
            grouped(d.detections),
            grouped(d.previews),
            grouped(d.open_refusals),
            grouped(d.parked_refusals),
            grouped(d.findings),
            bytes(d.bytes),
        ]);
    }
    table
}

/// Rounds that are not ingested.
fn unfinished(status: &Status) -> Table {
    let mut table = Table::new(["delivery", "use case", "round", "state", "tasks", "why"]);
    for delivery in &status.deliveries {
        for round in delivery.rounds.iter().filter(|r| r.state != "ingested") {
            table.row([
                delivery.name.clone(),
                round.use_case.clone(),
                round.round.to_string(),
                round.state.clone(),
                format!("{}/{}", round.tasks_over, round.tasks),
                round.why.clone(),
            ]);
        }
    }
    table
}

fn programmes(status: &Status) -> Table {
    let mut table = Table::new(["programme", "name", "detections", "last object id"]);
    for p in status.programmes.iter().filter(|p| p.detections > 0) {
        table.row([
            p.programme_id.to_string(),
            p.name.clone(),
            grouped(p.detections),
            grouped(p.last_obj_id.unsigned_abs()),
        ]);
    }
    table
}
