//! `almagest plan`, `approve`, `reject`: proposals, and the decisions of operators.

use super::instruct::{check_host, in_words, paused, tell_dry_run, unit};
use crate::exit::{self, Exit};
use crate::report::{Table, counted, grouped, say, say_part, tell, utc};
use archive::planning::{Decided, Instruction, PlanState, Selection, Standing};
use archive::records::Cause;
use archive::{ArchiveError, ArchiveFault, Planning, Timestamp};
use curate::advice;
use curate::scheduler::document::{self, Document};
use curate::scheduler::{self, Curator};
use curate::site::{self, Archive, Site};
use model::{Advice, UseCase};
use std::path::PathBuf;

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// As one JSON object.
    #[arg(long)]
    json: bool,
    /// Only say what would be proposed: no round is opened, nothing is put before anybody.
    #[arg(long, conflicts_with_all = ["compare", "history"])]
    dry_run: bool,
    /// What the latest plan (or plan N) said, beside what happened.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "0", conflicts_with = "history")]
    compare: Option<i64>,
    /// The latest instructions that were given or withdrawn and the decisions on plans, with who and when.
    #[arg(long)]
    history: bool,
    /// With --history: at most N lines, the latest.
    #[arg(long, value_name = "N", default_value_t = 50, requires = "history")]
    limit: u32,
}

/// Arguments of `approve`.
#[derive(Debug, clap::Args)]
pub struct ApproveArguments {
    /// All of it.
    #[arg(long, conflicts_with_all = ["unit", "host"])]
    all: bool,
    /// Only this unit, as DELIVERY/USE_CASE; may be repeated.
    #[arg(long, value_name = "UNIT", value_parser = unit)]
    unit: Vec<(String, UseCase)>,
    /// Only what is planned on this host, and there only; may be repeated.
    #[arg(long, value_name = "HOST")]
    host: Vec<String>,
    /// The plan that is meant; the latest when left out.
    #[arg(long, value_name = "N")]
    plan: Option<i64>,
    /// Why, for the history.
    #[arg(long, default_value = "approved")]
    reason: String,
    /// Only say what would be approved.
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `reject`.
#[derive(Debug, clap::Args)]
pub struct RejectArguments {
    /// Why, for the history.
    #[arg(long)]
    reason: String,
    /// The plan that is meant; the latest when left out.
    #[arg(long, value_name = "N")]
    plan: Option<i64>,
    /// Only say what would be rejected.
    #[arg(long)]
    dry_run: bool,
}

/// Shows the proposal, and proposes new work.
pub fn plan(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    if arguments.history {
        return history(&site, arguments.limit);
    }
    if let Some(number) = arguments.compare {
        return compare(&site, Some(number).filter(|n| *n > 0), arguments.json);
    }
    let mut curator = Curator::open(site, &site::operator(), "plan")?;
    let (document, record) = match arguments.dry_run {
        true => (curator.look()?, None),
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
            PlanState::Proposed | PlanState::Partly => format!(
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
        let is_gone = |host: &String| document.hosts.iter().all(|known| known.host != *host);
        if let Instruction::Move(host) = &s.instruction
            && is_gone(host)
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

fn compare(site: &Site, number: Option<i64>, json: bool) -> anyhow::Result<Exit> {
    let archive = site.read()?;
    let record = archive.plan(number)?.ok_or_else(|| no_plan(number))?;
    let document = scheduler::parsed(&record)?;
    let done = archive.compare(record.plan_id)?;
    let mut came = document::Came::new();
    for unit in document.units.iter().filter(|unit| unit.to_come) {
        let tasks = archive.compare_coming(&unit.delivery, unit.use_case, record.proposed)?;
        if !tasks.is_empty() {
            came.insert((unit.delivery.clone(), unit.use_case), tasks);
        }
    }
    if json {
        let line = |host: &str, start, seconds: f64| {
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
        let what = if change.given { instruction } else { format!("end of {instruction}") };
        let Cause { who, why } = change.cause;
        lines.push((change.changed, [who, what, change.subject.to_string(), why]));
    }
    for decision in decisions.rows {
        let what = if decision.is_approval { "approve" } else { "reject" };
        let about = format!("plan {}: {}", decision.plan_id, decision.about);
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
        say!("no plan was decided on, and no instruction was given");
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

/// Approves a plan or part of it.
pub fn approve(site: Option<PathBuf>, arguments: &ApproveArguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    if !arguments.all && arguments.unit.is_empty() && arguments.host.is_empty() {
        return Err(exit::usage("what is approved? --all, --unit UNIT or --host HOST"));
    }
    let mut archive = site.write()?.rehearse(arguments.dry_run);
    latest(&archive, arguments.plan)?;
    for host in &arguments.host {
        check_host(&site, host)?;
    }
    let selection = Selection { units: arguments.unit.clone(), hosts: arguments.host.clone() };
    let cause = Cause::new(site::operator(), arguments.reason.clone());
    let decided = archive
        .approve(arguments.plan, &selection, &cause, site::now())
        .map_err(|error| undecidable(error, arguments.plan))?;
    let number = decided.plan_id;
    if decided.tasks == 0 && decided.coming.is_empty() {
        return Err(exit::gate(format!(
            "plan {number} has nothing undecided of that: {}",
            advice::command(&Advice::Plan)
        )));
    }
    tell_dry_run(arguments.dry_run);
    say!("plan {number}: {}", approved(&archive, number, &decided)?);
    still_paused(&archive, &decided)?;
    if arguments.dry_run {
        return Ok(Exit::Done);
    }
    let daemon = scheduler::state::read(&scheduler::state::directory(&site.place.logs()));
    if !daemon.is_some_and(|state| state.is_alive()) {
        tell!(
            WARN,
            "no_data_daemon",
            "no data daemon runs on this machine: {}",
            advice::command(&Advice::DaemonData)
        );
    }
    Ok(Exit::Done)
}

/// Returns the numbers of tasks and units that were approved, as in the plan's header.
fn approved(archive: &Archive, number: i64, decided: &Decided) -> anyhow::Result<String> {
    let mut text = format!(
        "{} of {} may start",
        counted(decided.tasks, "task"),
        counted(decided.units.len() as u64, "unit")
    );
    if !decided.coming.is_empty() {
        let document =
            archive.plan(Some(number))?.map(|record| scheduler::parsed(&record)).transpose()?;
        let tasks = document.map_or(0, |document| document.tasks_to_come(&decided.coming));
        text += &format!(
            ", and {} in {} to come",
            counted(tasks, "more task"),
            counted(decided.coming.len() as u64, "round")
        );
    }
    Ok(text)
}

/// Reports the instructions by which approved units do not start.
fn still_paused(archive: &Archive, decided: &Decided) -> anyhow::Result<()> {
    let units: Vec<(String, UseCase)> = decided
        .units
        .iter()
        .map(|unit| (unit.delivery.clone(), unit.use_case))
        .chain(decided.coming.iter().cloned())
        .collect();
    let mut deliveries: Vec<(String, Option<i32>)> =
        units.iter().map(|(delivery, _)| (delivery.clone(), None)).collect();
    deliveries.dedup();
    let mut told: Vec<Standing> = Vec::new();
    for held in archive.held(&deliveries)? {
        if units.contains(&(held.delivery, held.use_case)) && !told.contains(&held.standing) {
            told.push(held.standing);
        }
    }
    for standing in &told {
        tell!(
            WARN,
            "still_stopped",
            "{}, and does not start: {}",
            standing,
            advice::command(&advice::resume_of(standing))
        );
    }
    Ok(())
}

/// Rejects the undecided part of a plan.
pub fn reject(site: Option<PathBuf>, arguments: &RejectArguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let mut archive = site.write()?.rehearse(arguments.dry_run);
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

/// Returns the error for a plan that is decided already, or for no undecided plan, with the command that shows the plan.
fn undecidable(error: ArchiveError, plan: Option<i64>) -> anyhow::Error {
    if !matches!(error.fault, ArchiveFault::Conflict(_)) {
        return error.into();
    }
    let what = match plan {
        Some(_) => error.to_string(),
        None => "no plan waits for a decision".to_owned(),
    };
    exit::conflict(format!("{what}: {}", advice::command(&Advice::Plan)))
}

fn no_plan(number: Option<i64>) -> anyhow::Error {
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
pub fn latest(archive: &Archive, given: Option<i64>) -> anyhow::Result<i64> {
    Ok(archive.plan(given)?.ok_or_else(|| no_plan(given))?.plan_id)
}
