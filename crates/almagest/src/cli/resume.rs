//! `almagest resume`.

use super::decision::{Form, OptionalReason, cause};
use super::plan::latest;
use super::subject::About;
use crate::exit::{self, Exit};
use crate::report::{counted, say, tell};
use archive::Reader;
use archive::planning::{Resumed, Standing, Subject};
use curate::advice;
use curate::site::{self, Site};
use model::{DeliveryName, PlanId};
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A level ends the pauses, holds, drains and rejections set at that level and within it: --night
also those of its deliveries and units, --all everything except hosts. --plan resumes the units
that the rejection of that plan paused.

With --json: one object {dry_run, act, subject, who, reason, resumed: [SUBJECT]}.")]
pub struct Arguments {
    #[command(flatten)]
    about: About,
    /// Units that the rejection of this plan paused.
    #[arg(long, value_name = "N", conflicts_with = "About")]
    plan: Option<PlanId>,
    #[command(flatten)]
    why: OptionalReason,
    #[command(flatten)]
    form: Form,
}

/// Ends pauses, holds, drains and rejections.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let cause = cause(&arguments.why.reason)?;
    let mut archive = site.write_or_rehearse(arguments.form.dry_run)?;
    let (resumed, what) = match arguments.plan {
        Some(plan) => {
            let number = latest(&archive, Some(plan))?;
            (Resumed::Plan(number), format!("plan {number}"))
        }
        None => {
            let subject = arguments.about.known(&site, &archive)?;
            (Resumed::Subject(subject.clone()), subject.to_string())
        }
    };
    let ended = archive.resume(&resumed, &cause, site::now())?;
    let mut left = still_stopped(&archive, &resumed, &ended)?;
    if arguments.form.dry_run {
        left.retain(|standing| !ended.contains(&standing.subject));
    }
    for standing in &left {
        tell!(
            WARN,
            "still_stopped",
            "{}: {}",
            standing,
            advice::command(&advice::resume_of(standing))
        );
    }
    if ended.is_empty() {
        return Err(exit::conflict(format!("{what} is not paused")));
    }
    let names: Vec<String> = ended.iter().map(ToString::to_string).collect();
    let details = serde_json::json!({"resumed": names});
    arguments.form.report(("resume", &what), &cause, details, || match names.as_slice() {
        [only] => say!("{only}: resumed"),
        many => say!("{what}: {} resumed", counted(many.len() as u64, "pause")),
    })
}

/// Returns the instructions that still stop something of the resumed subject, or all of them when none does and nothing ended.
fn still_stopped(
    archive: &Reader,
    resumed: &Resumed,
    ended: &[Subject],
) -> anyhow::Result<Vec<Standing>> {
    let mut left: Vec<Standing> =
        archive.instructions()?.into_iter().filter(Standing::is_stop).collect();
    let mut nights = std::collections::HashMap::new();
    let named = left.iter().map(|s| &s.subject).chain(ended);
    for subject in named {
        if let Subject::Delivery(name) | Subject::Unit(name, _) = subject {
            nights.insert(name.clone(), archive.night(name)?);
        }
    }
    if let Resumed::Subject(Subject::Delivery(name) | Subject::Unit(name, _)) = resumed {
        nights.insert(name.clone(), archive.night(name)?);
    }
    let night_of = |name: &DeliveryName| nights.get(name).copied().flatten();
    let meets = |s: &Standing| match resumed {
        // Hosts are no part of the work, and stop all of it.
        Resumed::Subject(Subject::All) => true,
        Resumed::Subject(subject) => subject.meets(&s.subject, &night_of),
        Resumed::Plan(_) => ended.iter().any(|one| one.meets(&s.subject, &night_of)),
    };
    if !ended.is_empty() || left.iter().any(meets) {
        left.retain(meets);
    }
    // Units that one rejection paused are resumed together.
    left.dedup_by_key(|s| s.plan_id.map_or_else(|| s.subject.to_string(), |p| format!("plan {p}")));
    Ok(left)
}
