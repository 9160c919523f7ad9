//! `almagest plan`, `approve`, `reject`, `edit`, `pause`, `resume`, `drain`, `cancel`, `retry`: the operator decides.

use crate::data::{self, Curator, document};
use crate::exit::{self, Exit};
use crate::report::{Table, counted, quoted, say, say_part, shown, tell};
use crate::site::{self, Archive, Site};
use archive::planning::{Instruction, PlanState, Selection, Standing, Subject};
use archive::records::{Cause, Decision, RefusalFilter, RefusalState};
use archive::{Inquiry, Planning, Queue};
use model::{UnitState, UseCase};
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
    /// Every instruction that was given or withdrawn, with who and when.
    #[arg(long)]
    history: bool,
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
}

/// What an instruction is about.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(required = true, multiple = false)]
pub struct About {
    /// A unit, as DELIVERY/USE_CASE.
    #[arg(long, value_name = "UNIT", value_parser = unit)]
    unit: Option<(String, UseCase)>,
    /// A delivery.
    #[arg(long, value_name = "NAME")]
    delivery: Option<String>,
    /// An observing night.
    #[arg(long, value_name = "YYYYMMDD")]
    night: Option<i32>,
    /// A use case: preview, metadata or catalogue.
    #[arg(long, value_name = "USE_CASE")]
    use_case: Option<UseCase>,
    /// A host.
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Everything.
    #[arg(long)]
    all: bool,
}

impl About {
    fn subject(&self) -> Subject {
        let mut subject = Subject::All;
        if let Some((delivery, use_case)) = &self.unit {
            subject = Subject::Unit(delivery.clone(), *use_case);
        } else if let Some(name) = &self.delivery {
            subject = Subject::Delivery(name.clone());
        } else if let Some(night) = self.night {
            subject = Subject::Night(night);
        } else if let Some(use_case) = self.use_case {
            subject = Subject::UseCase(use_case);
        } else if let Some(name) = &self.host {
            subject = Subject::Host(name.clone());
        }
        subject
    }

    /// The subject, when there is such a thing in the archive.
    fn known(&self, archive: &Archive) -> anyhow::Result<Subject> {
        let subject = self.subject();
        let is_known = match &subject {
            Subject::Unit(delivery, _) | Subject::Delivery(delivery) => {
                archive.deliveries(None)?.contains(delivery)
            }
            Subject::Night(night) => !archive.deliveries(Some(*night))?.is_empty(),
            Subject::All | Subject::Host(_) | Subject::UseCase(_) => true,
        };
        match is_known {
            true => Ok(subject),
            false => Err(exit::gate(format!("the archive knows no {subject}"))),
        }
    }
}

/// Arguments of `edit`.
#[derive(Debug, clap::Args)]
pub struct EditArguments {
    #[command(flatten)]
    about: About,
    /// Have it run on this host only; "" = wherever there is room.
    #[arg(long, value_name = "HOST")]
    r#move: Option<String>,
    /// Do it before what has a lower priority; 0 is usual.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i64>,
    /// Hold it back until `almagest resume`.
    #[arg(long)]
    hold: bool,
    /// Why, for the history.
    #[arg(long)]
    reason: String,
}

/// Arguments of `pause`, `drain` and `cancel`.
#[derive(Debug, clap::Args)]
pub struct StopArguments {
    #[command(flatten)]
    about: About,
    /// Why, for the history.
    #[arg(long)]
    reason: String,
}

/// Arguments of `resume` and `retry`.
#[derive(Debug, clap::Args)]
pub struct GoArguments {
    #[command(flatten)]
    about: About,
    /// Why, for the history.
    #[arg(long, default_value = "it may go on")]
    reason: String,
}

fn unit(text: &str) -> Result<(String, UseCase), String> {
    let wrong = || format!("{text:?} is no unit such as 20071011_v1/catalogue");
    let (delivery, use_case) = text.rsplit_once('/').ok_or_else(wrong)?;
    Ok((delivery.to_owned(), use_case.parse().map_err(|_| wrong())?))
}

/// Shows what is proposed, and proposes what is new.
pub fn plan(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    if arguments.history {
        return history(&site);
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
                "plan {}, proposed at {} by {}",
                record.plan_id,
                document::clock(record.proposed, site::now()),
                record.proposer
            ),
            state => format!("plan {} is {}; from now on", record.plan_id, state.name()),
        },
    };
    say_part!("{}", document.text(&title));
    if record.as_ref().is_some_and(data::is_open) && document.has_undecided() {
        let at = quoted(curator.site().place.root());
        say!(
            "\napprove it:  almagest --site {at} approve --all   (or --unit UNIT, --host HOST)\n\
             change it:   almagest --site {at} edit --unit UNIT --move HOST | --priority N | --hold\n\
             reject it:   almagest --site {at} reject --reason WHY"
        );
    }
    Ok(Exit::Done)
}

fn compare(site: &Site, number: Option<i64>, json: bool) -> anyhow::Result<Exit> {
    let archive = site.read()?;
    let record =
        archive.plan(number)?.ok_or_else(|| exit::gate("there is no plan yet: almagest plan"))?;
    let document = data::parsed(&record)?;
    let done = archive.compare(record.plan_id)?;
    if json {
        let tasks: Vec<_> = done
            .iter()
            .map(|d| {
                let line = |host: &str, start, seconds: f64| {
                    let start = site::iso(start);
                    serde_json::json!({ "host": host, "start": start, "seconds": seconds })
                };
                serde_json::json!({
                    "unit": d.task.unit,
                    "task": d.task.task,
                    "planned": line(&d.assignment.host, d.assignment.starts, d.assignment.seconds),
                    "actual": d.actual.as_ref().map(|(host, start, seconds)| line(host, *start, *seconds)),
                })
            })
            .collect();
        let value = serde_json::json!({ "plan_id": record.plan_id, "tasks": tasks });
        say!("{}", crate::report::json(&value)?);
        return Ok(Exit::Done);
    }
    let table = document::compared(&document, &done);
    match table.is_empty() {
        true => say!("plan {} has no tasks that a later plan did not take over", record.plan_id),
        false => say_part!("plan {}\n\n{}", record.plan_id, table.text()),
    }
    Ok(Exit::Done)
}

fn history(site: &Site) -> anyhow::Result<Exit> {
    let archive = site.read()?;
    let mut table = Table::new(["when", "who", "what", "about", "why"]);
    for change in archive.instruction_history()? {
        let instruction = in_words(&change.instruction);
        table.row([
            change.changed.format("%Y-%m-%d %H:%M:%S").to_string(),
            change.cause.who,
            if change.given { instruction } else { format!("end of {instruction}") },
            change.subject.to_string(),
            change.cause.why,
        ]);
    }
    match table.is_empty() {
        true => say!("no instruction was ever given"),
        false => say_part!("{}", table.text()),
    }
    Ok(Exit::Done)
}

fn in_words(instruction: &Instruction) -> String {
    match instruction {
        Instruction::Pause => "pause".to_owned(),
        Instruction::Drain => "drain".to_owned(),
        Instruction::Priority(n) => format!("priority {n}"),
        Instruction::Move(host) => format!("move to {host}"),
    }
}

/// Approves a plan or part of it.
pub fn approve(site: Option<PathBuf>, arguments: &ApproveArguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    if !arguments.all && arguments.unit.is_empty() && arguments.host.is_empty() {
        return Err(exit::usage("what is approved? --all, --unit UNIT or --host HOST"));
    }
    let mut archive = site.write()?;
    let number = latest(&archive, arguments.plan)?;
    let selection = Selection { units: arguments.unit.clone(), hosts: arguments.host.clone() };
    let cause = Cause::new(site::operator(), arguments.reason.clone());
    let decided = archive.approve(number, &selection, &cause, site::now())?;
    if decided.tasks == 0 && decided.coming.is_empty() {
        return Err(exit::gate(format!(
            "plan {number} has nothing undecided of that: almagest plan"
        )));
    }
    say!(
        "plan {number}: {} of {} may start{}",
        counted(decided.tasks, "task"),
        counted(decided.units.len() as u64, "unit"),
        match decided.coming.len() {
            0 => String::new(),
            n => format!(", {} to come too", counted(n as u64, "round")),
        }
    );
    let daemon = data::state::read(&data::state::directory(&site.place.logs()));
    if !daemon.is_some_and(|state| state.is_alive()) {
        tell!("almagest: no data daemon runs on this machine: almagest daemon data");
    }
    Ok(Exit::Done)
}

/// Rejects what is undecided.
pub fn reject(site: Option<PathBuf>, arguments: &RejectArguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let mut archive = site.write()?;
    let number = latest(&archive, arguments.plan)?;
    let cause = Cause::new(site::operator(), arguments.reason.clone());
    let paused = archive.reject(number, &cause, site::now())?;
    say!("plan {number} is rejected; these are paused until `almagest resume`:");
    for (delivery, use_case) in paused {
        say!("  {delivery}/{use_case}");
    }
    Ok(Exit::Done)
}

fn latest(archive: &Archive, given: Option<i64>) -> anyhow::Result<i64> {
    let none = || exit::gate("there is no plan yet: almagest plan");
    Ok(archive.plan(given)?.ok_or_else(none)?.plan_id)
}

/// Changes what the next plan is to be.
pub fn edit(site: Option<PathBuf>, arguments: &EditArguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let mut archive = site.write()?;
    let subject = arguments.about.known(&archive)?;
    if matches!(subject, Subject::Host(_))
        && (arguments.r#move.is_some() || arguments.priority.is_some())
    {
        return Err(exit::usage("a host has no place to move to and no priority"));
    }
    let cause = Cause::new(site::operator(), arguments.reason.clone());
    let mut given = Vec::new();
    match arguments.r#move.as_deref() {
        Some("") => {
            archive.withdraw(&subject, "move", &cause, site::now())?;
            say!("{subject}: wherever there is room");
        }
        Some(host) => given.push(Instruction::Move(host.to_owned())),
        None => {}
    }
    given.extend(arguments.priority.map(Instruction::Priority));
    given.extend(arguments.hold.then_some(Instruction::Pause));
    if given.is_empty() && arguments.r#move.is_none() {
        return Err(exit::usage("what is to change? --move HOST, --priority N or --hold"));
    }
    for instruction in given {
        archive.instruct(&subject, &instruction, &cause, site::now())?;
        say!("{subject}: {}", in_words(&instruction));
    }
    Ok(Exit::Done)
}

/// Lets nothing new start.
pub fn pause(site: Option<PathBuf>, arguments: &StopArguments) -> anyhow::Result<Exit> {
    instruct(site, arguments, &Instruction::Pause, "nothing new starts until `almagest resume`")
}

/// Empties a host.
pub fn drain(site: Option<PathBuf>, arguments: &StopArguments) -> anyhow::Result<Exit> {
    if arguments.about.host.is_none() {
        return Err(exit::usage("only a host can be drained: --host HOST"));
    }
    let host = arguments.about.host.clone().unwrap_or_default();
    let done = instruct(
        site.clone(),
        arguments,
        &Instruction::Drain,
        "what runs there ends, nothing new starts until `almagest resume`",
    )?;
    let mut curator = Curator::open(Site::find(site)?, &site::operator(), "drain")?;
    if curator.reaches() {
        let taken = curator.cancel(&|_, place| place.host == host, true, "its host is drained")?;
        say!("{} that had not begun there taken back", counted(taken, "task"));
    }
    Ok(done)
}

fn instruct(
    site: Option<PathBuf>,
    arguments: &StopArguments,
    instruction: &Instruction,
    meaning: &str,
) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let mut archive = site.write()?;
    let subject = arguments.about.known(&archive)?;
    let cause = Cause::new(site::operator(), arguments.reason.clone());
    archive.instruct(&subject, instruction, &cause, site::now())?;
    say!("{subject}: {meaning}");
    Ok(Exit::Done)
}

/// Ends pauses.
pub fn resume(site: Option<PathBuf>, arguments: &GoArguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let mut archive = site.write()?;
    let subject = arguments.about.known(&archive)?;
    let cause = Cause::new(site::operator(), arguments.reason.clone());
    let mut is_changed = false;
    for act in ["pause", "drain"] {
        is_changed |= archive.withdraw(&subject, act, &cause, site::now())?;
    }
    if !is_changed {
        let others: Vec<Standing> = archive.instructions()?;
        for standing in others
            .iter()
            .filter(|s| matches!(s.instruction, Instruction::Pause | Instruction::Drain))
        {
            tell!("almagest: {} is paused: {}", standing.subject, shown(&standing.cause.why));
        }
        return Err(exit::conflict(format!("{subject} is not paused")));
    }
    say!("{subject}: goes on");
    Ok(Exit::Done)
}

/// Takes units back: what runs of them is ended, and nothing of them starts until it is resumed.
pub fn cancel(site: Option<PathBuf>, arguments: &StopArguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let mut curator = Curator::open(site, &site::operator(), "cancel")?;
    let subject = arguments.about.known(curator.archive())?;
    let cause = Cause::new(site::operator(), arguments.reason.clone());
    let now = site::now();
    curator.archive().instruct(&subject, &Instruction::Pause, &cause, now)?;
    let open = curator.archive().open_tasks()?;
    let is_meant = |unit: &model::UnitKey, host: &str| match &subject {
        Subject::Host(name) => name == host,
        subject => {
            let night = open.iter().find(|t| t.key.unit == *unit).and_then(|t| t.night);
            subject.covers(&unit.delivery, night, unit.use_case)
        }
    };
    let cancelled = match curator.reaches() {
        true => curator.cancel(
            &|a, p| is_meant(&a.task.unit, &p.host),
            false,
            "cancelled by the operator",
        )?,
        false => 0,
    };
    // Units are decided on anew; what is done of them stays done.
    let mut units: Vec<_> = open
        .iter()
        .filter(|t| matches!(t.state, UnitState::Approved | UnitState::Running))
        .filter(|t| !matches!(subject, Subject::Host(_)) && is_meant(&t.key.unit, ""))
        .map(|t| t.key.unit.clone())
        .collect();
    units.dedup();
    let is_under_way = |archive: &Archive, unit: &model::UnitKey| {
        archive.running_attempts().map(|all| all.iter().any(|a| a.attempt.task.unit == *unit))
    };
    for unit in &units {
        if is_under_way(curator.archive(), unit)? {
            tell!("almagest: {unit}: what runs of it on this machine's own pool ends by itself");
        } else {
            curator.archive().move_unit(unit, UnitState::Ready, &cause, now)?;
        }
    }
    say!(
        "{subject}: {} ended, {} to be decided on anew after `almagest resume`",
        counted(cancelled, "task"),
        counted(units.len() as u64, "unit")
    );
    Ok(Exit::Done)
}

/// Has what was given up done again.
pub fn retry(site: Option<PathBuf>, arguments: &GoArguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let mut archive = site.write()?;
    let subject = arguments.about.known(&archive)?;
    let cause = Cause::new(site::operator(), arguments.reason.clone());
    let filter = RefusalFilter { state: Some(RefusalState::Open), ..RefusalFilter::default() };
    let nights: std::collections::HashMap<String, Option<i32>> =
        archive.status()?.deliveries.into_iter().map(|d| (d.name, d.night)).collect();
    let mut retried = 0;
    for refusal in archive.refusals(&filter)? {
        let archive::records::Stage::Task(use_case) = refusal.stage else { continue };
        let night = nights.get(&refusal.delivery).copied().flatten();
        let is_given_up = refusal.refusal.code == "task_failed";
        if is_given_up && subject.covers(&refusal.delivery, night, use_case) {
            archive.decide(refusal.refusal_id, Decision::Retry, &cause, site::now())?;
            retried += 1;
        }
    }
    if retried == 0 {
        return Err(exit::gate(format!(
            "nothing of {subject} was given up: almagest refusals list"
        )));
    }
    say!("{subject}: {} done again in the next round", counted(retried, "file"));
    Ok(Exit::Done)
}
