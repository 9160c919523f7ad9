//! `almagest reject`.

use super::dry_run::tell_dry_run;
use super::plan::{latest, undecidable};
use crate::exit::Exit;
use crate::report::{counted, say};
use archive::history::Cause;
use curate::advice;
use curate::site::{self, Site};
use model::{Advice, PlanId};
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Why, for the history.
    #[arg(long)]
    reason: String,
    /// The plan that is meant; the latest when left out.
    #[arg(long, value_name = "N")]
    plan: Option<PlanId>,
    /// Only say what would be rejected.
    #[arg(long)]
    dry_run: bool,
}

/// Rejects the undecided part of a plan.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let mut archive = site.write_or_rehearse(arguments.dry_run)?;
    latest(&archive, arguments.plan)?;
    let cause = Cause::new(site::operator(), arguments.reason.clone());
    let (number, paused) = archive
        .reject(arguments.plan, &cause, site::now())
        .map_err(|error| undecidable(error, arguments.plan))?;
    tell_dry_run(arguments.dry_run);
    say!("plan {number} is rejected; {} do not start:", counted(paused.len() as u64, "unit"));
    for (delivery, use_case) in &paused {
        say!("  {delivery}/{use_case}");
    }
    if !paused.is_empty() {
        let target = model::advice::Target::Plan(number);
        say!("resume them: {}", advice::command(&Advice::Resume { target }));
    }
    Ok(Exit::Done)
}
