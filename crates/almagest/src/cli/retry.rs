//! `almagest retry`.

use super::decision::{Form, OptionalReason, cause, decide_each};
use super::subject::About;
use crate::exit::{self, Exit};
use crate::report::{counted, say};
use archive::refusals::{Decision, RefusalFilter, RefusalState};
use curate::advice;
use curate::site::Site;
use model::{Advice, DeliveryName, Night, RefusalCode};
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --json: one object {dry_run, act, subject, who, reason, files}.")]
pub struct Arguments {
    #[command(flatten)]
    about: About,
    #[command(flatten)]
    why: OptionalReason,
    #[command(flatten)]
    form: Form,
}

/// Retries tasks that were given up.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let cause = cause(&arguments.why.reason)?;
    let mut archive = site.write_or_rehearse(arguments.form.dry_run)?;
    let subject = arguments.about.known(&site, &archive)?;
    let filter = RefusalFilter { state: Some(RefusalState::Open), ..RefusalFilter::default() };
    let nights: std::collections::HashMap<DeliveryName, Option<Night>> =
        archive.status()?.deliveries.into_iter().map(|d| (d.name, d.night)).collect();
    let mut given_up = Vec::new();
    for refusal in archive.refusals(&filter)? {
        let archive::refusals::Stage::Task(use_case) = refusal.stage else { continue };
        let night = nights.get(&refusal.delivery).copied().flatten();
        let is_given_up = refusal.refusal.code == RefusalCode::TASK_FAILED;
        if is_given_up && subject.covers(&refusal.delivery, night, use_case) {
            given_up.push(refusal.refusal_id);
        }
    }
    if given_up.is_empty() {
        return Err(exit::gate(format!(
            "nothing of {subject} was given up: {}",
            advice::command(&Advice::Refusals)
        )));
    }
    let (retried, outcome) = decide_each(&mut archive, &given_up, Decision::Retry, &cause);
    if retried == 0 {
        outcome?;
        return Ok(Exit::Done);
    }
    // The decisions before a failure hold, and are logged and reported.
    let details = serde_json::json!({"files": retried});
    let exit = arguments.form.report(("retry", &subject.to_string()), &cause, details, || {
        say!("{subject}: {} to be redone in the next round", counted(retried as u64, "file"));
    })?;
    outcome?;
    Ok(exit)
}
