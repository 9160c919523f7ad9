//! `almagest plan`: proposals, and what became of them.

use super::instruction::{in_words, paused};
use crate::exit::{self, Exit};
use crate::report::{Table, grouped, say, say_part, utc};
use archive::history::Cause;
use archive::planning::{Instruction, PlanState, Standing};
use archive::{ArchiveError, ArchiveFault, Reader, Timestamp};
use curate::advice;
use curate::scheduler::document::{self, Document};
use curate::scheduler::{self, Curator};
use curate::site::{self, Site};
use model::{Advice, HostName, PlanId};
use std::path::PathBuf;

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// As one JSON object.
    #[arg(long)]
    json: bool,
    /// Only print what would be proposed: no round is opened and no plan is recorded.
    #[arg(long, conflicts_with_all = ["compare", "history"])]
    dry_run: bool,
    /// Compare the latest plan (or plan N) with the actual run.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "0", conflicts_with = "history")]
    compare: Option<i64>,
    /// List the latest instructions, withdrawals and decisions on plans, with author and time.
    #[arg(long)]
    history: bool,
    /// With --history: at most N entries.
    #[arg(long, value_name = "N", default_value_t = 50, requires = "history")]
    limit: u32,
}

/// Shows the proposal, and proposes new work.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    if arguments.history {
        return history(&site, arguments.limit);
    }
    if let Some(number) = arguments.compare {
        return compare(&site, PlanId::new(number), arguments.json);
    }
    let mut curator = Curator::open(site, &site::operator(), "plan")?;
    let (document, record) = match arguments.dry_run {
        true => (curator.preview_plan()?, None),
        false => curator.propose()?,
    };
    if arguments.json {
        let mut value = serde_json::to_value(&document)?;
        value["plan_id"] = serde_json::json!(record.as_ref().map(|r| r.plan_id));
        value["state"] = serde_json::json!(record.as_ref().map(|r| r.state));
        say!("{}", crate::report::json(&value)?);
        return Ok(Exit::Done);
    }
    let title = match &record {
        None if arguments.dry_run => "what would be proposed".to_owned(),
        None => "nothing is proposed".to_owned(),
        Some(record) => match record.state {
            PlanState::Proposed | PlanState::PartlyApproved => format!(
                "plan {}, proposed at {} UTC by {}",
                record.plan_id,
                utc(record.proposed),
                record.proposer
            ),
            state => format!("plan {} is {}; from now on", record.plan_id, state.name()),
        },
    };
    say_part!("{}", document.text(&title));
    let is_open = record.as_ref().is_some_and(scheduler::is_open);
    if is_open && document.has_undecided() {
        say_part!("{}", choices(&document));
    }
    let standing = curator.archive().instructions()?;
    for s in &standing {
        let is_unknown = |host: &HostName| document.hosts.iter().all(|known| known.host != *host);
        if let Instruction::Move(host) = &s.instruction
            && is_unknown(host)
        {
            let unbind = Advice::EditUnbind { target: s.subject.target() };
            say!("\n{s}; {host} does not exist: {}", advice::command(&unbind));
        }
    }
    let stopped: Vec<Standing> = standing.into_iter().filter(Standing::is_stop).collect();
    if !stopped.is_empty() {
        say_part!("\n{}", paused(&stopped));
    }
    Ok(Exit::Done)
}

/// Returns the commands for a decision on a plan, ready to be run.
fn choices(document: &Document) -> String {
    let undecided = document.units.iter().find(|unit| !unit.approved && !unit.to_come);
    let mut lines = vec![("approve all of it", Advice::ApproveAll)];
    if let Some(unit) = undecided {
        let (delivery, use_case) = (unit.delivery.clone(), unit.use_case);
        lines
            .push(("approve a unit", Advice::ApproveUnit { delivery: delivery.clone(), use_case }));
        if let Some(host) = unit.hosts.first().cloned() {
            lines.push(("approve a host", Advice::ApproveHost { host: host.clone() }));
            let delivery = delivery.clone();
            lines.push(("bind a unit to a host", Advice::EditMove { delivery, use_case, host }));
        }
        lines.push((
            "run a unit first",
            Advice::EditPriority { delivery: delivery.clone(), use_case },
        ));
        lines.push(("hold a unit", Advice::EditHold { delivery, use_case }));
    }
    lines.push(("reject it", Advice::Reject));
    let line = |(what, advice): (&str, Advice)| {
        format!("{:<23}{}\n", format!("{what}:"), advice::command(&advice))
    };
    format!("\n{}", lines.into_iter().map(line).collect::<String>())
}

fn compare(site: &Site, number: Option<PlanId>, json: bool) -> anyhow::Result<Exit> {
    let archive = site.read()?;
    let record = archive.plan(number)?.ok_or_else(|| no_plan(number))?;
    let document = scheduler::parsed(&record)?;
    let done = archive.compare(record.plan_id)?;
    let mut came = document::Came::new();
    for unit in document.units.iter().filter(|unit| unit.to_come) {
        let tasks = archive.compare_expected(&unit.delivery, unit.use_case, record.proposed)?;
        if !tasks.is_empty() {
            came.insert((unit.delivery.clone(), unit.use_case), tasks);
        }
    }
    if json {
        let line = |host: &HostName, start, seconds: f64| {
            let start = site::iso(start);
            serde_json::json!({ "host": host, "start": start, "seconds": seconds })
        };
        let mut tasks: Vec<_> = done
            .iter()
            .map(|d| {
                serde_json::json!({
                    "unit": d.task.unit,
                    "task": d.task.task,
                    "planned": line(&d.assignment.host, d.assignment.starts, d.assignment.seconds),
                    "actual": d.actual.as_ref().map(|(host, start, seconds)| line(host, *start, *seconds)),
                })
            })
            .collect();
        // The plan had an estimate of the unit: its tasks are those of the round that was opened later.
        tasks.extend(came.values().flatten().map(|t| {
            serde_json::json!({
                "unit": t.task.unit,
                "task": t.task.task,
                "planned": null,
                "actual": t.actual.as_ref().map(|(host, start, seconds)| line(host, *start, *seconds)),
            })
        }));
        let value = serde_json::json!({ "plan_id": record.plan_id, "tasks": tasks });
        say!("{}", crate::report::json(&value)?);
        return Ok(Exit::Done);
    }
    let table = document::compared(&document, &done, &came);
    match table.is_empty() {
        true => say!("plan {} has no tasks that a later plan did not take over", record.plan_id),
        false => say_part!("plan {}\n\n{}", record.plan_id, table.text()),
    }
    Ok(Exit::Done)
}

/// Prints the latest instructions and decisions, and counts the older ones.
fn history(site: &Site, limit: u32) -> anyhow::Result<Exit> {
    let archive = site.read()?;
    let mut lines: Vec<(Timestamp, [String; 4])> = Vec::new();
    let (changes, decisions) = (archive.instruction_history(limit)?, archive.decisions(limit)?);
    let count = changes.count + decisions.count;
    for change in changes.rows {
        let instruction = in_words(&change.instruction);
        let what = if change.is_set { instruction } else { format!("end of {instruction}") };
        let Cause { who, why } = change.cause;
        lines.push((change.changed, [who, what, change.subject.to_string(), why]));
    }
    for decision in decisions.rows {
        let what = if decision.is_approval { "approve" } else { "reject" };
        let about = format!("plan {}: {}", decision.plan_id, decision.subject);
        let Cause { who, why } = decision.cause;
        lines.push((decision.decided, [who, what.to_owned(), about, why]));
    }
    lines.sort_by_key(|(when, _)| *when);
    lines.drain(..lines.len().saturating_sub(limit as usize));
    let older = count - lines.len() as u64;
    let mut table = Table::new(["when (UTC)", "who", "what", "about", "why"]);
    for (when, [who, what, about, why]) in lines {
        table.row([utc(when), who, what, about, why]);
    }
    if count == 0 {
        say!("no plan was decided, and no instruction was set");
    }
    if !table.is_empty() {
        say_part!("{}", table.text());
    }
    if older > 0 {
        let all = advice::command(&Advice::PlanHistory { limit: count });
        let gap = if table.is_empty() { "" } else { "\n" };
        say!("{gap}{} older: {all}", grouped(older));
    }
    Ok(Exit::Done)
}

/// Returns the error for a plan that is decided already, or for no undecided plan, with the command that shows the plan.
pub fn undecidable(error: ArchiveError, plan: Option<PlanId>) -> anyhow::Error {
    if !matches!(error.fault, ArchiveFault::Conflict(_)) {
        return error.into();
    }
    let what = match plan {
        Some(_) => error.to_string(),
        None => "no plan waits for a decision".to_owned(),
    };
    exit::conflict(format!("{what}: {}", advice::command(&Advice::Plan)))
}

fn no_plan(number: Option<PlanId>) -> anyhow::Error {
    let plan = advice::command(&Advice::Plan);
    exit::gate(match number {
        Some(number) => format!("there is no plan {number}: {plan}"),
        None => format!("there is no plan yet: {plan}"),
    })
}

/// Returns the id of the plan with a number, or of the latest.
///
/// # Errors
/// Exit code 3 when there is no such plan.
pub fn latest(archive: &Reader, given: Option<PlanId>) -> anyhow::Result<PlanId> {
    Ok(archive.plan(given)?.ok_or_else(|| no_plan(given))?.plan_id)
}
