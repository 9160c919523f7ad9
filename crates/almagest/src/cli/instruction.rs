//! The common part of the verbs that give instructions: these hold until they are withdrawn.

use super::dry_run::tell_dry_run;
use super::subject::About;
use crate::exit::Exit;
use crate::report::{Table, counted, say, utc};
use archive::history::Cause;
use archive::planning::{Instruction, Standing};
use curate::advice;
use curate::site::{self, Site};
use model::Advice;
use std::path::PathBuf;

/// Arguments of `pause`, `drain` and `cancel`.
#[derive(Debug, clap::Args)]
pub struct StopArguments {
    #[command(flatten)]
    pub about: About,
    /// Why, for the history.
    #[arg(long)]
    pub reason: String,
    /// Only say what would be done.
    #[arg(long)]
    pub dry_run: bool,
}

/// Gives an instruction that stops something; `meaning` is its effect in words.
pub fn instruct(
    site: Option<PathBuf>,
    arguments: &StopArguments,
    instruction: &Instruction,
    meaning: &str,
) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let mut archive = site.write_or_rehearse(arguments.dry_run)?;
    let subject = arguments.about.known(&site, &archive)?;
    let cause = Cause::new(site::operator(), arguments.reason.clone());
    tell_dry_run(arguments.dry_run);
    archive.instruct(&subject, instruction, &cause, site::now())?;
    let resume = advice::command(&Advice::Resume { target: subject.target() });
    say!("{subject}: {meaning} until {resume}");
    Ok(Exit::Done)
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
