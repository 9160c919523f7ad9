//! `almagest edit`, `pause`, `resume`, `drain`, `cancel`, `retry`: instructions of operators that hold until they are withdrawn.

use super::plan::latest;
use crate::exit::{self, Exit};
use crate::report::{Table, counted, say, shown, tell, utc};
use archive::planning::{Instruction, Resumed, Standing, Subject};
use archive::records::{AttemptKey, Cause, Decision, Place, RefusalFilter, RefusalState};
use archive::{Inquiry, Planning, Queue};
use curate::advice;
use curate::scheduler::{self, Curator};
use curate::site::{self, Archive, Site};
use model::{Advice, UnitState, UseCase};
use std::path::PathBuf;

/// What an instruction is about.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(multiple = false)]
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

    fn is_empty(&self) -> bool {
        self.subject() == Subject::All && !self.all
    }

    /// Returns the subject if it exists. A host with an instruction may be named even after it was removed.
    fn known(&self, site: &Site, archive: &Archive) -> anyhow::Result<Subject> {
        if self.is_empty() {
            return Err(exit::usage(
                "--unit UNIT, --delivery NAME, --night YYYYMMDD, --use-case USE_CASE, --host HOST or --all is missing",
            ));
        }
        let subject = self.subject();
        let is_known = match &subject {
            Subject::Unit(delivery, _) | Subject::Delivery(delivery) => {
                archive.deliveries(None)?.contains(delivery)
            }
            Subject::Night(night) => !archive.deliveries(Some(*night))?.is_empty(),
            Subject::Host(host) => {
                if archive.instructions()?.iter().all(|s| s.subject != subject) {
                    check_host(site, host)?;
                }
                true
            }
            Subject::All | Subject::UseCase(_) => true,
        };
        match is_known {
            true => Ok(subject),
            false => Err(exit::gate(format!(
                "the archive knows no {subject}: {}",
                advice::command(&Advice::Status)
            ))),
        }
    }
}

/// Refuses a host that does not exist.
///
/// # Errors
/// Exit code 3, with the hosts that exist.
pub fn check_host(site: &Site, host: &str) -> anyhow::Result<()> {
    let hosts = scheduler::hosts(site)?;
    if hosts.iter().any(|known| known == host) {
        return Ok(());
    }
    let known = if hosts.is_empty() { "none".to_owned() } else { hosts.join(", ") };
    Err(exit::gate(format!("there is no host {host:?}; hosts: {known}")))
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
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `pause`, `drain` and `cancel`.
#[derive(Debug, clap::Args)]
pub struct StopArguments {
    #[command(flatten)]
    about: About,
    /// Why, for the history.
    #[arg(long)]
    reason: String,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `resume`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A level ends the pauses, holds, drains and rejections that were given at it, and all within it: --night also those of
its deliveries and units, --all everything but hosts. --plan ends what the rejection of that plan paused.")]
pub struct ResumeArguments {
    #[command(flatten)]
    about: About,
    /// What the rejection of this plan paused.
    #[arg(long, value_name = "N", conflicts_with = "About")]
    plan: Option<i64>,
    /// Why, for the history.
    #[arg(long, default_value = "it may go on")]
    reason: String,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `retry`.
#[derive(Debug, clap::Args)]
pub struct GoArguments {
    #[command(flatten)]
    about: About,
    /// Why, for the history.
    #[arg(long, default_value = "it may go on")]
    reason: String,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// Reads a unit.
///
/// # Errors
/// A message when the text is no unit.
pub fn unit(text: &str) -> Result<(String, UseCase), String> {
    let wrong = || format!("{text:?} is no unit such as 20071011_v1/catalogue");
    let (delivery, use_case) = text.rsplit_once('/').ok_or_else(wrong)?;
    Ok((delivery.to_owned(), use_case.parse().map_err(|_| wrong())?))
}

/// Says that what follows is not done.
pub fn tell_dry_run(is_dry_run: bool) {
    if is_dry_run {
        say!("dry run, nothing is changed:");
    }
}

/// Changes what the next plan is to be.
pub fn edit(site: Option<PathBuf>, arguments: &EditArguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let mut archive = site.write()?.rehearse(arguments.dry_run);
    let subject = arguments.about.known(&site, &archive)?;
    if matches!(subject, Subject::Host(_))
        && (arguments.r#move.is_some() || arguments.priority.is_some())
    {
        return Err(exit::usage("a host has no place to move to and no priority"));
    }
    if let Some(host) = arguments.r#move.as_deref().filter(|host| !host.is_empty()) {
        check_host(&site, host)?;
    }
    let cause = Cause::new(site::operator(), arguments.reason.clone());
    if arguments.r#move.is_none() && arguments.priority.is_none() && !arguments.hold {
        return Err(exit::usage("what is to change? --move HOST, --priority N or --hold"));
    }
    tell_dry_run(arguments.dry_run);
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
    for instruction in given {
        archive.instruct(&subject, &instruction, &cause, site::now())?;
        say!("{subject}: {}", in_words(&instruction));
        if instruction == Instruction::Pause {
            let target = subject.target();
            say!("nothing new starts until {}", advice::command(&Advice::Resume { target }));
        }
    }
    Ok(Exit::Done)
}

/// Stops new starts.
pub fn pause(site: Option<PathBuf>, arguments: &StopArguments) -> anyhow::Result<Exit> {
    instruct(site, arguments, &Instruction::Pause, "nothing new starts")
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
        "what runs there ends, nothing new starts",
    )?;
    let mut curator = Curator::open(Site::find(site)?, &site::operator(), "drain")?;
    if curator.reaches() {
        let is_there = |_: &AttemptKey, place: &Place| place.host == host;
        let taken = match arguments.dry_run {
            true => curator.cancellable(&is_there, true)?,
            false => curator.cancel(&is_there, true, "its host is drained")?,
        };
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
    let mut archive = site.write()?.rehearse(arguments.dry_run);
    let subject = arguments.about.known(&site, &archive)?;
    let cause = Cause::new(site::operator(), arguments.reason.clone());
    tell_dry_run(arguments.dry_run);
    archive.instruct(&subject, instruction, &cause, site::now())?;
    let resume = advice::command(&Advice::Resume { target: subject.target() });
    say!("{subject}: {meaning} until {resume}");
    Ok(Exit::Done)
}

/// Ends pauses, holds, drains and rejections.
pub fn resume(site: Option<PathBuf>, arguments: &ResumeArguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let mut archive = site.write()?.rehearse(arguments.dry_run);
    let cause = Cause::new(site::operator(), arguments.reason.clone());
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
    if arguments.dry_run {
        left.retain(|standing| !ended.contains(&standing.subject));
    }
    for standing in &left {
        tell!(
            WARN,
            "still_stopped",
            "{}: {}",
            shown(&standing.to_string()),
            advice::command(&advice::resume_of(standing))
        );
    }
    if ended.is_empty() {
        return Err(exit::conflict(format!("{what} is not paused")));
    }
    tell_dry_run(arguments.dry_run);
    match ended.as_slice() {
        [only] => say!("{only}: resumed"),
        many => say!("{what}: {} resumed", counted(many.len() as u64, "pause")),
    }
    Ok(Exit::Done)
}

/// Returns the instructions that still stop something of the resumed subject, or all of them when none does and nothing ended.
fn still_stopped(
    archive: &Archive,
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
    let night_of = |name: &str| nights.get(name).copied().flatten();
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

/// Cancels units: their running tasks are ended, and none of their tasks start until they are resumed.
pub fn cancel(site: Option<PathBuf>, arguments: &StopArguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let mut curator = Curator::open(site, &site::operator(), "cancel")?;
    curator.archive().set_rehearsal(arguments.dry_run);
    let site = curator.site().clone();
    let subject = arguments.about.known(&site, curator.archive())?;
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
    let is_chosen = |a: &AttemptKey, p: &Place| is_meant(&a.task.unit, &p.host);
    let cancelled = match (curator.reaches(), arguments.dry_run) {
        (false, _) => 0,
        (true, true) => curator.cancellable(&is_chosen, false)?,
        (true, false) => curator.cancel(&is_chosen, false, "cancelled by the operator")?,
    };
    // Units are decided on again; their finished work is kept.
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
            if curator.reaches() && arguments.dry_run {
                continue;
            }
            tell!(
                WARN,
                "runs_on",
                "{unit}: what runs of it on this machine's own pool ends by itself"
            );
        } else {
            curator.archive().move_unit(unit, UnitState::Ready, &cause, now)?;
        }
    }
    tell_dry_run(arguments.dry_run);
    say!(
        "{subject}: {} ended, {} to be decided on again after {}",
        counted(cancelled, "task"),
        counted(units.len() as u64, "unit"),
        advice::command(&Advice::Resume { target: subject.target() })
    );
    Ok(Exit::Done)
}

/// Retries tasks that were given up.
pub fn retry(site: Option<PathBuf>, arguments: &GoArguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let mut archive = site.write()?.rehearse(arguments.dry_run);
    let subject = arguments.about.known(&site, &archive)?;
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
            "nothing of {subject} was given up: {}",
            advice::command(&Advice::Refusals)
        )));
    }
    tell_dry_run(arguments.dry_run);
    say!("{subject}: {} done again in the next round", counted(retried, "file"));
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
