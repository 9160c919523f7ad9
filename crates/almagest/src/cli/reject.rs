//! `almagest reject`.

use super::decision::{Form, Reason, cause, unit_name};
use super::plan::{latest, undecidable};
use crate::exit::Exit;
use crate::report::{counted, say};
use curate::advice;
use curate::site::{self, Site};
use model::{Advice, PlanId};
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --json: one object {dry_run, act, subject, who, reason, plan, paused: [UNIT]}.")]
pub struct Arguments {
    #[command(flatten)]
    why: Reason,
    /// Number of the plan [default: the latest].
    #[arg(long, value_name = "N")]
    plan: Option<PlanId>,
    #[command(flatten)]
    form: Form,
}

/// Rejects the undecided part of a plan.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let cause = cause(&arguments.why.reason)?;
    let mut archive = site.write_or_rehearse(arguments.form.dry_run)?;
    latest(&archive, arguments.plan)?;
    let (number, paused) = archive
        .reject(arguments.plan, &cause, site::now())
        .map_err(|error| undecidable(error, arguments.plan))?;
    let names: Vec<String> = paused.iter().map(unit_name).collect();
    let details = serde_json::json!({"plan": number, "paused": names});
    arguments.form.report(("reject", &format!("plan {number}")), &cause, details, || {
        say!("plan {number} is rejected; {} do not start:", counted(names.len() as u64, "unit"));
        for name in &names {
            say!("  {name}");
        }
        if !names.is_empty() {
            let target = model::advice::Target::Plan(number);
            say!("resume them: {}", advice::command(&Advice::Resume { target }));
        }
    })
}
