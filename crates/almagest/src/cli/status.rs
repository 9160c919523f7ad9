//! `almagest status`.

use crate::daemon::state::{self, State};
use crate::exit::Exit;
use crate::report::{Table, bytes, grouped, say, say_part, shown};
use crate::site::Site;
use archive::Inquiry;
use archive::report::Status;
use serde_json::json;
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
    let site = Site::find(site)?;
    let status = site.read()?.status()?;
    let ingester = state::read(&state::directory(&site.place.logs()));
    let ingester = ingester.filter(|state| state.state != "stopped");
    if arguments.json {
        let mut value = serde_json::to_value(&status)?;
        value["ingester"] = json!(
            ingester.as_ref().map(|state| { json!({ "alive": state.is_alive(), "state": state }) })
        );
        say!("{}", serde_json::to_string_pretty(&value)?);
    } else {
        say_part!("{}", text(&status));
        if let Some(state) = ingester {
            say_part!("\n{}", ingester_text(&state));
        }
    }
    Ok(Exit::Done)
}

/// What the ingester does, in a few lines.
fn ingester_text(state: &State) -> String {
    if !state.is_alive() {
        return format!(
            "the ingester (pid {}, begun {}) is gone: almagest daemon ingest\n",
            state.pid(),
            state.began
        );
    }
    let mut text = format!(
        "ingester: {}, pid {} since {}; {} passes, the last at {}; {} batches published, {} refused, {} blocked\n",
        state.state,
        state.pid(),
        state.began,
        grouped(state.passes),
        state.last_pass.as_deref().unwrap_or("no time yet"),
        grouped(state.published),
        grouped(state.refused),
        grouped(state.blocked)
    );
    for line in state.postponed.iter().chain(&state.fault) {
        text += &format!("  {}\n", shown(line));
    }
    text
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
