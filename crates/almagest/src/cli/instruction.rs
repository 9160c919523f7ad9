//! The common part of the verbs that give instructions: these hold until they are withdrawn.

use super::decision::{Form, Reason};
use super::subject::About;
use crate::report::{Table, counted, utc};
use archive::history::Cause;
use archive::planning::{Instruction, Standing, Subject};
use curate::advice;
use curate::site::{self, Site};
use model::Advice;

/// Arguments of `pause`, `drain` and `cancel`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --json: one object {dry_run, act, subject, who, reason}. `drain` has tasks_cancelled too, and
`cancel` tasks_ended and units: [UNIT].")]
pub struct StopArguments {
    #[command(flatten)]
    pub about: About,
    #[command(flatten)]
    pub why: Reason,
    #[command(flatten)]
    pub form: Form,
}

/// Gives an instruction that stops something, and returns its subject.
pub fn instruct(
    site: &Site,
    arguments: &StopArguments,
    instruction: &Instruction,
    cause: &Cause,
) -> anyhow::Result<Subject> {
    let mut archive = site.write_or_rehearse(arguments.form.dry_run)?;
    let subject = arguments.about.known(site, &archive)?;
    archive.instruct(&subject, instruction, cause, site::now())?;
    Ok(subject)
}

/// Returns the command that resumes a subject.
pub fn resume(subject: &Subject) -> String {
    advice::command(&Advice::Resume { target: subject.target() })
}

/// Returns the paused work, one line for each cause, with the command that resumes it.
pub fn paused(standing: &[Standing]) -> String {
    let mut causes: Vec<(String, Vec<&Standing>)> = Vec::new();
    for s in standing {
        let key = match s.plan_id {
            Some(plan) => format!("plan {plan}"),
            None => s.subject.to_string(),
        };
        match causes.iter_mut().find(|(known, _)| *known == key) {
            Some((_, all)) => all.push(s),
            None => causes.push((key, vec![s])),
        }
    }
    let mut table = Table::new(["paused", "since (UTC)", "by", "why", "resume"]);
    for (key, all) in causes {
        let first = all[0];
        let what = match first.plan_id {
            Some(_) => format!("{key}: {}", counted(all.len() as u64, "unit")),
            None => key,
        };
        table.row([
            what,
            utc(first.since),
            first.cause.who.clone(),
            first.cause.why.clone(),
            advice::command(&advice::resume_of(first)),
        ]);
    }
    table.text()
}

/// Returns an instruction in words.
pub fn in_words(instruction: &Instruction) -> String {
    match instruction {
        Instruction::Pause => "pause".to_owned(),
        Instruction::Drain => "drain".to_owned(),
        Instruction::Priority(n) => format!("priority {n}"),
        Instruction::Move(host) => format!("move to {host}"),
    }
}
