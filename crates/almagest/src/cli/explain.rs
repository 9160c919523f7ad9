//! `almagest explain DELIVERY|FILE`.

use super::findings::{self, Deliveries};
use crate::exit::{self, Exit};
use crate::report::{say, say_part, shown};
use crate::site::{Archive, Site};
use archive::planning::{Instruction, Subject};
use archive::records::Cause;
use archive::report::{DeliveryStatus, Drift, Explanation};
use archive::{Inquiry, Planning};
use model::UseCase;
use std::ffi::OsString;
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Name of a delivery, of a file within one, or DELIVERY/FILE.
    #[arg(value_name = "DELIVERY|FILE")]
    name: OsString,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

/// Says where a delivery or file stands and what helps.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let archive = Site::find(site)?.read()?;
    // A refused name is kept as it can be shown; completed by a shell it comes as it is.
    let raw = arguments.name.to_string_lossy();
    let mut facts = archive.facts(&raw)?;
    if facts.is_none() {
        facts = archive.facts(&files::shown(&arguments.name))?;
    }
    let Some(facts) = facts else {
        return Err(exit::gate(format!(
            "nothing goes by the name {raw:?}: no delivery, and no file of one (almagest status lists deliveries)"
        )));
    };
    let mut explanation = archive::report::explain(&facts);
    if let Some(delivery) = &facts.delivery {
        explain_plan(&archive, &delivery.status, &mut explanation)?;
    }
    if arguments.json {
        say!("{}", crate::report::json(&explanation)?);
        return Ok(Exit::Done);
    }
    for line in &explanation.lines {
        say!("{}", shown(line));
    }
    if !explanation.suggestions.is_empty() {
        say!("\nwhat helps:");
        for suggestion in &explanation.suggestions {
            say!("  {}", shown(suggestion));
        }
    }
    if !explanation.findings.is_empty() {
        say_part!("\n{}", findings_section(&explanation.findings));
    }
    Ok(Exit::Done)
}

/// What operators have decided, or have to, about a delivery.
fn explain_plan(
    archive: &Archive,
    delivery: &DeliveryStatus,
    explanation: &mut Explanation,
) -> anyhow::Result<()> {
    for standing in archive.instructions()? {
        let is_of = |u: &UseCase| standing.subject.covers(&delivery.name, delivery.night, *u);
        if standing.instruction == Instruction::Pause && UseCase::ALL.iter().any(is_of) {
            let Cause { who, why } = &standing.cause;
            explanation.lines.push(format!("{} is paused by {who}: {why}", standing.subject));
            let option = match &standing.subject {
                Subject::All => "--all".to_owned(),
                subject => format!("--{} {}", subject.kind().replace('_', "-"), subject.name()),
            };
            explanation.suggestions.push(format!("almagest resume {option}"));
        }
    }
    if delivery.rounds.iter().any(|round| round.state == "proposed") {
        explanation.lines.push("a plan with it waits for a decision".to_owned());
        explanation.suggestions.push("almagest plan".to_owned());
    }
    Ok(())
}

/// The most frequent findings of a delivery, and where the others are to be seen.
fn findings_section(findings: &[Drift]) -> String {
    const MOST: usize = 20;
    let shown = &findings[..findings.len().min(MOST)];
    let mut text = format!("findings:\n{}", findings::table(shown, Deliveries::One));
    if let Some(first) = findings.get(MOST) {
        let more = findings.len() - MOST;
        text += &format!("… {more} more: almagest findings --delivery {}\n", first.delivery);
    }
    text
}
