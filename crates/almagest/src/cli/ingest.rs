//! `almagest ingest`.

use super::ScopeArguments;
use super::night::{ended, open, report_as};
use crate::exit::Exit;
use crate::report::{Table, say};
use archive::batches::StagedRound;
use curate::scope::{Scope, chosen};
use curate::site::Site;
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --json: one object {steps: {STEP: {files, detectors, detections, previews, bytes, refusals,
seconds}}, waits, stopped, blocked, postponed, not_fetched: [{file or unit, why}], busy_elsewhere,
interrupted, left_to_daemon}.

With --dry-run --json: {batches: [{batch, waits_for}]}.")]
pub struct Arguments {
    #[command(flatten)]
    of: ScopeArguments,
    /// Only print what would be done.
    #[arg(long)]
    dry_run: bool,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs only ingest.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    if arguments.dry_run {
        return ingestible(&site, &arguments.of.scope(), arguments.json);
    }
    let mut night = open(site, "ingest")?;
    let deliveries = night.chosen(&arguments.of.scope())?;
    night.ingest(&deliveries)?;
    report_as(&night, arguments.json)?;
    Ok(ended(&mut night))
}

/// Shows the batches that ingest would make visible, and those that wait.
fn ingestible(site: &Site, scope: &Scope, is_json: bool) -> anyhow::Result<Exit> {
    let archive = site.read()?;
    let deliveries = chosen(&archive, scope)?;
    let mut staged = archive.staged_rounds()?;
    staged.retain(|round| deliveries.contains(&round.unit.delivery));
    if is_json {
        let batch = |round: &StagedRound| serde_json::json!({"batch": round.unit.to_string(), "waits_for": round.blocked});
        let batches: Vec<_> = staged.iter().map(batch).collect();
        say!("{}", crate::report::json(&serde_json::json!({ "batches": batches }))?);
        return Ok(Exit::Done);
    }
    let mut table = Table::new(["batch", "waits for"]);
    for round in staged {
        table.row([round.unit.to_string(), round.blocked.unwrap_or_default()]);
    }
    if !table.is_empty() {
        say!("{}", table.text());
    }
    Ok(Exit::Done)
}
